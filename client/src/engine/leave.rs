//! The end of an account: asked for, done by the relay, and what is left of it here.

use sealpost_spec::relay::{Answer, Refusal, Request};

use super::account::{Phase, refused};
use super::command::Waiting;
use super::{Asked, CommandId, Engine, Failure, Transmit};
use crate::api::{Error, ErrorCode, Event};
use crate::store::account::Leaving;
use crate::store::{StoreError, Stored};

/// Why there is no link any more.
pub(super) const LEFT: &str = "this account was unregistered";

impl Engine {
    /// Whether the account is to go, and the relay has not said yet that it is gone. **[ACCT-20]**
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.done_at.is_none())
    }

    /// Whether the account is gone.
    pub(super) fn has_left(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.done_at.is_some())
    }

    /// `unregister`: deletes the account at the relay. `name`: one's own, so that nobody does it by mistake.
    pub(super) fn unregister(&mut self, id: CommandId, name: &str) -> Stored<()> {
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        if name.strip_prefix('@').unwrap_or(name) != self.own.name.as_str() {
            let error = Error::new(ErrorCode::Usage, "this is not your own name; nothing was deleted")
                .advise(format!("sealpost unregister {}", self.own.name));
            return self.end_with(id, error);
        }
        if self.rows().account_secret()?.is_none() {
            let error = Error::new(ErrorCode::Usage, "only the device with the account's key ends the account")
                .because("this one was linked to the account and does not have it; nothing was deleted")
                .advise("give the command on the account's first device; or there, to drop this one: sealpost device revoke");
            return self.end_with(id, error);
        }
        self.wait_a_while(id, Waiting::Unregister);
        self.go_online();
        if self.online() { self.ask_to_leave() } else { Ok(()) }
    }

    /// Whether there is nothing to do on a link but to leave.
    pub(super) fn wants_to_leave(&self) -> bool {
        self.is_leaving() || self.waits.values().any(|waiting| matches!(waiting, Waiting::Unregister))
    }

    /// Not before there is a link: what somebody asked for in vain does not happen days later.
    pub(super) fn ask_to_leave(&mut self) -> Stored<()> {
        let first = self.leaving.is_none();
        if first {
            // Committed before it leaves: no answer that is lost makes this client come back. [ACCT-20]
            self.set_leaving(Some(Leaving { asked_at: self.now, done_at: None }))?;
        }
        if !self.asked.values().any(|asked| matches!(asked, Asked::Unregister { .. })) {
            // Nothing but the command makes this client leave, and that looked for the key.
            let secret = self.rows().account_secret()?.ok_or(StoreError::Sealed)?;
            let signature = self.signed_leave(&secret);
            self.ask(Asked::Unregister { first }, Request::Unregister { signature });
        }
        Ok(())
    }

    /// `first`: nobody has asked before.
    pub(super) fn unregister_answer(&mut self, first: bool, result: Result<Answer, Failure>) -> Stored<()> {
        match result {
            Ok(_) | Err(Failure::Refused(Refusal::NoSuchName)) => self.left(),
            // It is asked again on the next link, unless the relay can't do it at all.
            Err(Failure::Refused(refusal)) => {
                let error = match refusal {
                    Refusal::Malformed | Refusal::Unsupported => {
                        self.set_leaving(None)?;
                        Error::new(ErrorCode::Refused, "the relay deletes no accounts")
                            .because("it is older than this client")
                            .advise("ask its operator to release the name")
                    }
                    refusal => refused(&refusal),
                };
                self.fail_waits(&error, |waiting| matches!(waiting, Waiting::Unregister));
                Ok(())
            }
            // It never left. What was asked before may have come through all the same. [ACCT-20]
            Err(Failure::Unreachable(_)) if first => self.set_leaving(None),
            Err(Failure::Unreachable(_) | Failure::Unknown | Failure::WrongRelay) => Ok(()),
        }
    }

    /// The command has waited as long as it may.
    pub(super) fn unregister_timeout(&mut self, id: CommandId) -> Stored<()> {
        let error = match self.is_leaving() {
            true => Error::new(ErrorCode::Unreachable, "whether the account is deleted is not known yet")
                .because("the relay has not answered")
                .advise("sealpost status: it is asked again with the next connection"),
            false => Error::new(ErrorCode::Unreachable, "the relay did not answer in time; nothing was deleted")
                .because(self.standing.reason.clone())
                .advise("try again"),
        };
        self.end_with(id, error)
    }

    /// The relay has nothing of this account any more. **[ACCT-20]**
    pub(super) fn left(&mut self) -> Stored<()> {
        let asked_at = self.leaving.as_ref().map_or(self.now, |leaving| leaving.asked_at);
        self.set_leaving(Some(Leaving { asked_at, done_at: Some(self.now) }))?;
        let own = self.own_mut();
        own.receipt = None;
        own.registering = None;
        // Who waits for something of it hears why that does not come, before each single thing is given up.
        self.fail_waits(&Self::gone(), |waiting| {
            !matches!(waiting, Waiting::Subscribe | Waiting::Unregister | Waiting::Doctor)
        });
        self.doctors_go_on()?;
        for name in self.outbox.names() {
            for id in self.outbox.pendings_to(&name).map(|pending| pending.id).collect::<Vec<_>>() {
                self.give_up(&id)?;
            }
        }
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.give_up_posts(&room)?;
        }
        self.give_up_files(&Self::gone())?;
        self.standing.phase = Phase::Off;
        self.standing.reason = LEFT.into();
        self.transmit(Transmit::Disconnect);
        self.tell(None, Event::Connection { online: false, detail: self.standing.reason.clone() });
        let waiting: Vec<CommandId> =
            self.waits.iter().filter(|(_, wait)| matches!(wait, Waiting::Unregister)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.tell(Some(id), Event::Done);
            self.end(id);
        }
        Ok(())
    }

    /// What everything that needs the account ends with.
    pub(super) fn gone() -> Error {
        Error::new(ErrorCode::NoProfile, "this account was unregistered: the relay knows nothing of it any more")
            .because("what was said is still here, and the name may be somebody else's by now")
            .advise("sealpost history NAME; or sealpost wipe, which deletes it here, too")
    }

    fn set_leaving(&mut self, leaving: Option<Leaving>) -> Stored<()> {
        self.rows().put_leaving(leaving.as_ref())?;
        self.leaving = leaving;
        Ok(())
    }
}
