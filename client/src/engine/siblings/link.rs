//! How a machine becomes a device of an account: it waits for a list that names its keys. **[ACCT-25]**

use sealpost_crypto::identity::{device_code, device_request, fingerprint, verify_devices};
use sealpost_spec::account::DeviceId;
use sealpost_spec::relay::{Answer, Refusal};

use crate::api::{Error, ErrorCode, Event};
use crate::engine::account::{LOGIN_PAUSE, refused};
use crate::engine::command::Waiting;
use crate::engine::timers::Timer;
use crate::engine::{CommandId, Engine, Failure};
use crate::store::Stored;

/// Pause before another login to a relay that does not know the account, in milliseconds.
const ABSENT: u64 = 5 * 60_000;

impl Engine {
    /// `device link`: shows what is to be carried to the first device, and waits until that has listed this machine and
    /// told it what it knows.
    pub(in crate::engine) fn link_device(&mut self, id: CommandId, timeout_ms: u64) -> Stored<()> {
        if self.siblings.row.revoked {
            return self.end_with(id, Self::revoked_error());
        }
        match self.siblings.row.linking {
            Some(whose) => {
                let request = device_request(&self.secret.public(DeviceId::FIRST), whose);
                let code = device_code(&request).map(|code| code.to_string()).unwrap_or_default();
                self.tell(Some(id), Event::DeviceRequest { request: request.to_string(), code });
            }
            None if self.was_linked() && !self.siblings.row.ready => {}
            None if self.was_linked() => {
                self.tell_me(id);
                self.end(id);
                return Ok(());
            }
            None => {
                let error = Error::new(ErrorCode::Usage, "this profile has an account of its own")
                    .advise("sealpost -p OTHER device link LINK");
                return self.end_with(id, error);
            }
        }
        self.wait(id, Waiting::Link, self.now.saturating_add(timeout_ms));
        self.go_online();
        self.introduce()
    }

    /// The relay shows which devices the account has.
    pub(in crate::engine) fn linking_answer(&mut self, result: Result<Answer, Failure>) -> Stored<()> {
        let Some(whose) = self.siblings.row.linking else { return Ok(()) };
        let signed = match result {
            Ok(Answer::Devices(signed)) => signed,
            Ok(_) => {
                return self.no_login(Error::new(ErrorCode::Refused, "the relay answered something else than asked"));
            }
            Err(Failure::Refused(refusal)) if self.not_yet(&refusal) => return Ok(()),
            Err(Failure::Refused(Refusal::NoSuchName)) => {
                let error = format!("nobody at this relay has the name {}", self.own.name);
                let error = Error::new(ErrorCode::NoSuchName, error).advise("sealpost me, on the first device");
                return self.no_login(error);
            }
            Err(Failure::Refused(refusal)) => return self.no_login(refused(&refusal)),
            Err(Failure::Unreachable(_) | Failure::Unknown | Failure::WrongRelay) => {
                self.log_in_later();
                return Ok(());
            }
        };
        let Some(list) = verify_devices(&signed).ok().filter(|list| list.name == self.own.name) else {
            return self.no_login(Error::new(ErrorCode::Refused, "the relay's device list is not genuine"));
        };
        if fingerprint(&list.account) != whose {
            let error = format!("the name {} has another key at this relay than the link says", self.own.name);
            return self.no_login(
                Error::new(ErrorCode::NotTrusted, error)
                    .because("the link is an old one, or somebody pretends to be the account")
                    .advise("sealpost me, on the first device, and give that link"),
            );
        }
        let ours = self.secret.public(DeviceId::FIRST);
        let same =
            |device: &&sealpost_spec::account::Device| device.key == ours.key && device.identity == ours.identity;
        let Some(device) = list.devices.iter().find(same).copied() else {
            self.standing.reason = "the first device has not added this one yet".into();
            self.log_in_later();
            return Ok(());
        };
        let own = self.own_mut();
        (own.account, own.device, own.registering) = (list.account, device, None);
        let row = &mut self.siblings.row;
        (row.linking, row.linked) = (None, true);
        self.put_siblings()?;
        self.take_own_list(&signed, &list)?;
        self.introduce()
    }

    /// The account may be over: its owner can end it on the device that has its key, and no other hears more of that than this. A device that
    /// was linked does not bring it back; it gets the receipt again from where it got it, if the account goes on. **[ACCT-30]**
    pub(in crate::engine) fn perhaps_over(&mut self) -> Stored<()> {
        if !self.was_linked() || self.own.receipt.is_none() {
            return Ok(());
        }
        self.own_mut().receipt = None;
        self.siblings.row.ready = false;
        self.put_siblings()
    }

    /// Looks again in a moment.
    pub(in crate::engine) fn log_in_later(&mut self) {
        self.timers.set(Timer::Login, self.now + LOGIN_PAUSE);
    }

    /// Looks again some time: whoever publishes the account anew may be away for long, or for good.
    pub(in crate::engine) fn log_in_much_later(&mut self) {
        self.timers.set(Timer::Login, self.now + ABSENT);
    }

    /// The others have told everything: the machine is one of them.
    pub(in crate::engine) fn linked(&mut self) {
        let waiting: Vec<CommandId> =
            self.waits.iter().filter(|(_, waiting)| matches!(waiting, Waiting::Link)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.tell_me(id);
            self.end(id);
        }
    }

    /// The command has waited as long as it may.
    pub(in crate::engine) fn link_timeout(&mut self, id: CommandId) -> Stored<()> {
        let (message, advice) = if self.was_linked() {
            let advice = "leave the first device connected; what it knows comes by itself";
            ("this is a device of the account; the first one has not told it yet what it knows", advice)
        } else {
            ("the first device has not added this one yet", "add it there, then give the same command again")
        };
        let error = Error::new(ErrorCode::Waiting, message).because(self.standing.reason.clone());
        self.end_with(id, error.advise(advice))
    }
}
