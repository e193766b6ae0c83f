//! The link's state, registration and login, publishing anew, and what a copied profile does.

use std::collections::BTreeMap;

use sealpost_crypto::identity::{AccountSecret, relay_pin, token_hash, verify_receipt};
use sealpost_spec::account::{DeviceId, LeaveProof, LoginProof, PrekeyCounts};
use sealpost_spec::mailbox::{DeliveryToken, EnvelopeId, MAX_ACKNOWLEDGE, Seq};
use sealpost_spec::relay::{Answer, Login, Notice, Refusal, Registration, RelayHello, Request};
use sealpost_spec::wire::Signature;

use super::command::Waiting;
use super::doctor::{SKEW, against_relay};
use super::prekeys::STALE_PAUSE;
use super::timers::Timer;
use super::{Asked, Engine, Failure, Offer, Transmit};
use crate::api::{Error, ErrorCode, Event};
use crate::store::Stored;

/// The pause before it is looked again, in milliseconds, whether all that was pushed is understood; and whether there is more, where the
/// relay did not say.
const QUIET: u64 = 300;

/// Pause before another login after one that the relay did not take, in milliseconds.
pub(super) const LOGIN_PAUSE: u64 = 2_000;

/// How often the end of a mailbox is put off while the directory has not answered.
const PATIENCE: u32 = 30;

/// How the authenticated link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Nobody asked for it.
    #[default]
    Off,
    /// It is being opened.
    Opening,
    /// It is open, and nobody is logged in.
    Open,
    /// The device is logged in.
    LoggedIn,
}

#[derive(Default)]
pub(super) struct Standing {
    pub(super) phase: Phase,
    hello: Option<RelayHello>,
    relay: [u8; 32],
    channel: [u8; 32],
    pub(super) transport: String,
    /// Why there is no link, or nobody logged in.
    pub(super) reason: String,
    /// The relay lets nobody in, for good as far as it says.
    pub(super) shut_out: Option<Error>,
    /// Nothing more is expected in the mailbox.
    pub(super) drained: bool,
    /// It is asked whether there is more; and whether something was pushed since.
    asking: bool,
    pushed: bool,
    patience: u32,
    /// By how much this machine's clock is ahead of the relay's, in milliseconds.
    pub(super) skew: i64,
    /// One-time keys that the relay had at the last count.
    pub(super) stock: Option<PrekeyCounts>,
    /// New prekeys are on their way.
    pub(super) publishing: bool,
    /// The operator's notice, while there is nobody to show it to.
    pub(super) notice: Option<Notice>,
}

impl Standing {
    /// Of the relay's hello; zeros before it.
    fn challenge(&self) -> [u8; 32] {
        self.hello.as_ref().map_or([0; 32], |hello| hello.challenge)
    }
}

impl Engine {
    /// Whether requests of somebody who is logged in may be made.
    pub(super) fn online(&self) -> bool {
        self.standing.phase == Phase::LoggedIn
    }

    /// Opens the link, unless it is.
    pub(super) fn go_online(&mut self) {
        if self.standing.phase == Phase::Off && !self.siblings.row.revoked {
            self.standing.phase = Phase::Opening;
            self.standing.reason = "the relay has not answered yet".into();
            self.transmit(Transmit::Connect);
        }
    }

    pub(super) fn connected(
        &mut self,
        hello: RelayHello,
        relay: [u8; 32],
        channel: [u8; 32],
        transport: String,
    ) -> Stored<()> {
        // The link compared it, too. A second look costs nothing and keeps receipts honest.
        if relay_pin(&relay) != self.profile.relay().pin {
            return self.disconnected(Failure::WrongRelay);
        }
        if self.own.relay_key != Some(relay) {
            self.own_mut().relay_key = Some(relay);
        }
        let ahead = i128::from(self.now) - i128::from(hello.time);
        self.standing = Standing {
            phase: Phase::Open,
            skew: i64::try_from(ahead).unwrap_or(if ahead > 0 { i64::MAX } else { i64::MIN }),
            hello: Some(hello),
            relay,
            channel,
            transport,
            reason: "logging in".into(),
            ..Standing::default()
        };
        self.introduce()
    }

    /// Logs in, or registers, on the link that is open.
    pub(super) fn introduce(&mut self) -> Stored<()> {
        let Some(store) = self.standing.hello.as_ref().map(|hello| hello.store) else { return Ok(()) };
        if self.standing.phase != Phase::Open {
            return Ok(());
        }
        if self.restoring.is_some() {
            if self.own.registering.is_some() {
                self.ask_own_list();
            }
            return Ok(());
        }
        // [ACCT-25] nothing to log in with before a list says so.
        if self.siblings.row.linking.is_some() {
            self.ask_own_list();
            return Ok(());
        }
        if self.siblings.row.revoked {
            return Ok(());
        }
        // It has nothing to register with before the others have told it. [MSG-45]
        if self.own.receipt.is_none() && self.was_linked() {
            return self.log_in();
        }
        // Who leaves publishes nothing anew, whatever the relay has lost. [ACCT-20]
        if self.own.receipt.is_some() && (self.own.store == Some(store) || self.is_leaving()) {
            self.log_in()
        } else if self.own.receipt.is_some() || self.own.registering.is_some() {
            self.register()
        } else {
            self.standing.reason = "not registered".into();
            Ok(())
        }
    }

    /// The account's word, on this link, that it ends. **[ACCT-19]**
    pub(super) fn signed_leave(&self, account: &AccountSecret) -> Signature {
        account.sign_leave(&LeaveProof {
            relay: &self.standing.relay,
            channel: &self.standing.channel,
            challenge: &self.standing.challenge(),
            name: &self.own.name,
        })
    }

    /// Raises the generation, which is committed before the login leaves. **[ACCT-12]**
    fn login(&mut self) -> Login {
        let own = self.own_mut();
        own.generation = own.generation.saturating_add(1);
        let challenge = self.standing.challenge();
        let proof = LoginProof {
            relay: &self.standing.relay,
            channel: &self.standing.channel,
            challenge: &challenge,
            name: &self.own.name,
            device: self.own.device.id,
            generation: self.own.generation,
        };
        Login {
            name: self.own.name.clone(),
            device: self.own.device.id,
            generation: self.own.generation,
            signature: self.secret.sign_login(&proof),
        }
    }

    fn log_in(&mut self) -> Stored<()> {
        let login = self.login();
        self.ask(Asked::Login, Request::Login(login));
        Ok(())
    }

    /// Publishes the account: for the first time, or anew to a relay that lost its store.
    pub(super) fn register(&mut self) -> Stored<()> {
        self.rotate_prekeys(true)?;
        let keys = self.keys_to_register()?;
        let login = self.login();
        let registration = Registration {
            list: self.own.list.clone(),
            keys,
            token: token_hash(&self.own.token),
            receipt: self.own.receipt.clone().or_else(|| self.restoring.as_ref()?.receipt.clone()),
            invite: self.own.registering.clone().flatten(),
            login,
        };
        self.ask(Asked::Register(self.offer()), Request::Register(registration));
        Ok(())
    }

    pub(super) fn registered_answer(&mut self, offer: Offer, result: Result<Answer, Failure>) -> Stored<()> {
        match result {
            Ok(Answer::Registered { receipt, generation, keys }) => {
                // [ACCT-9]
                let genuine = verify_receipt(&receipt, &self.standing.relay)
                    .is_ok_and(|word| word.name == self.own.name && word.account == self.own.account);
                if !genuine {
                    let error = Error::new(ErrorCode::Refused, "the relay's name receipt is not genuine")
                        .advise("ask the relay's operator for its address, and compare it");
                    return self.no_login(error);
                }
                let first = self.own.receipt.is_none();
                let store = self.standing.hello.as_ref().map(|hello| hello.store);
                let same_store = self.own.store == store;
                let restored = self.restoring.is_some();
                let own = self.own_mut();
                own.receipt = Some(receipt);
                own.registering = None;
                own.store = store;
                self.prekeys.unpublished = false;
                self.rows().put_prekeys(&self.prekeys)?;
                if restored {
                    self.restored()?;
                }
                self.list_published(offer)?;
                if first && self.rooms.is_empty() {
                    self.join_lobby()?;
                } else if !(restored && same_store) {
                    self.forget_acceptance()?;
                }
                self.logged_in(generation, keys)
            }
            Ok(_) => self.no_login(Error::new(ErrorCode::Refused, "the relay answered something else than asked")),
            // Somebody else has restored it in this very moment: the list is looked at once more.
            Err(Failure::Refused(Refusal::StaleDeviceList)) if self.restoring.is_some() => {
                self.timers.set(Timer::Login, self.now + LOGIN_PAUSE);
                Ok(())
            }
            Err(Failure::Refused(Refusal::StaleDeviceList)) => {
                self.ask_own_list();
                Ok(())
            }
            // Another copy of this profile has registered with other keys under these ids. [ACCT-12]
            Err(Failure::Refused(Refusal::StaleKey)) => {
                self.was_copied(self.own.generation)?;
                self.timers.set(Timer::Login, self.now + STALE_PAUSE);
                Ok(())
            }
            Err(Failure::Refused(refusal)) if self.not_yet(&refusal) => Ok(()),
            Err(Failure::Refused(refusal)) => {
                if refusal == Refusal::NameTaken {
                    self.perhaps_over()?;
                }
                self.no_login(refused(&refusal))
            }
            // The link tells by itself that it is down, and comes back.
            Err(_) => Ok(()),
        }
    }

    pub(super) fn login_answer(&mut self, result: Result<Answer, Failure>) -> Stored<()> {
        match result {
            Ok(Answer::LoggedIn { generation, keys }) => self.logged_in(generation, keys),
            Ok(_) => self.no_login(Error::new(ErrorCode::Refused, "the relay answered something else than asked")),
            // It was asked for, and the answer was lost. [ACCT-20]
            Err(Failure::Refused(Refusal::NoSuchName | Refusal::BadSignature)) if self.is_leaving() => self.left(),
            // It can publish nothing anew before it knows all that goes with it; or it is listed no more.
            Err(Failure::Refused(Refusal::NoSuchName | Refusal::BadSignature)) if self.own.receipt.is_none() => {
                self.ask_own_list();
                Ok(())
            }
            // The relay lost the account and kept its store: it gets it anew.
            Err(Failure::Refused(Refusal::NoSuchName)) => {
                self.forget_acceptance()?;
                self.register()
            }
            // Another key has the name there: of two receipts the relay goes by the one that counts more. [ACCT-10]
            Err(Failure::Refused(Refusal::BadSignature)) => self.register(),
            Err(Failure::Refused(refusal)) if self.not_yet(&refusal) => Ok(()),
            Err(Failure::Refused(refusal)) => self.no_login(refused(&refusal)),
            Err(_) => Ok(()),
        }
    }

    /// The relay does not let one in for now: the same is tried again on this link.
    pub(super) fn not_yet(&mut self, refusal: &Refusal) -> bool {
        let pause = match refusal {
            Refusal::TooFast { retry_after_ms } => u64::from(*retry_after_ms),
            Refusal::Internal { .. } | Refusal::Stopping | Refusal::TooManyLinks | Refusal::TimedOut => 0,
            _ => return false,
        };
        self.standing.reason = refused(refusal).message;
        self.timers.set(Timer::Login, self.now + pause.max(LOGIN_PAUSE));
        true
    }

    /// The relay does not let one in: nothing is tried again before the next command.
    pub(super) fn no_login(&mut self, error: Error) -> Stored<()> {
        self.shut_out(error.clone());
        self.own_mut().registering = None;
        self.transmit(Transmit::Disconnect);
        self.tell(None, Event::Error(error.clone()));
        self.fail_waits(&error, |waiting| {
            !matches!(waiting, Waiting::Send { .. } | Waiting::Follow { .. } | Waiting::Doctor)
        });
        self.doctors_go_on()
    }

    /// Nobody is let in, for this reason.
    pub(super) fn shut_out(&mut self, error: Error) {
        let reason = error.message.clone();
        self.standing = Standing { reason, shut_out: Some(error), ..Standing::default() };
    }

    fn logged_in(&mut self, generation: u64, keys: PrekeyCounts) -> Stored<()> {
        self.standing.phase = Phase::LoggedIn;
        self.standing.reason = "connected".into();
        self.standing.shut_out = None;
        self.standing.stock = Some(keys);
        // Nothing leans on the clock but the times that people see: these would be wrong, so it is said.
        let detail = match self.standing.skew.unsigned_abs() {
            0..SKEW => "connected".to_owned(),
            _ => format!("connected; this machine's clock is {}", against_relay(self.standing.skew)),
        };
        self.tell(None, Event::Connection { online: true, detail });
        if generation >= self.own.generation {
            self.was_copied(generation)?;
        }
        if self.wants_to_leave() {
            return self.ask_to_leave();
        }
        let store = self.standing.hello.as_ref().map(|hello| hello.store);
        if self.own.receipt.is_none() && self.own.store != store {
            self.own_mut().store = store;
        }
        if self.siblings.row.unpublished {
            self.publish_list();
        } else if self.own.token_is_new {
            self.set_token();
        }
        // [ACCT-28] an account that has had other devices looks whether the relay has its newest list.
        if self.own_list().is_some_and(|list| list.number > 1) {
            self.ask_own_devices();
        }
        self.rotate_prekeys(false)?;
        self.replenish(keys)?;
        self.follow_rooms()?;
        self.ask_for_more()?;
        self.fetching.reset();
        self.outbox.land();
        for name in self.contacts.keys().cloned().collect::<Vec<_>>() {
            self.pump(&name)?;
        }
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.plan_receipt(&peer);
            self.start_repair(&peer)?;
        }
        self.resume_files()?;
        self.want_all()?;
        self.tell_due()?;
        self.logged_in_waits()
    }

    /// Another copy of this profile has logged in with this generation or a later one: what it encrypted with is not
    /// known here, so nothing is encrypted with what both have. **[ACCT-12]**
    fn was_copied(&mut self, generation: u64) -> Stored<()> {
        self.own_mut().generation = generation.saturating_add(1);
        self.replace_prekeys()?;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.retire_all(&peer)?;
        }
        for name in self.contacts.keys().cloned().collect::<Vec<_>>() {
            self.count_on(&name, 0)?;
        }
        self.tell(None, Event::Restored { name: None });
        Ok(())
    }

    /// The relay may have lost what it accepted: everything that nobody confirmed is sent again, every post offered.
    fn forget_acceptance(&mut self) -> Stored<()> {
        for parcel in self.outbox.not_accepted_any_more(self.now) {
            self.rows().put_parcel(&parcel)?;
        }
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.doubt_posts(&name)?;
            if let Some(room) = self.room_mut(&name) {
                room.cursor = Seq(0);
            }
        }
        self.forget_places();
        Ok(())
    }

    pub(super) fn disconnected(&mut self, failure: Failure) -> Stored<()> {
        let was_online = self.online();
        let (reason, gives_up, error) = match failure {
            Failure::Unreachable(cause) => {
                let error = Error::new(ErrorCode::Unreachable, "the relay can't be reached")
                    .because(cause.clone())
                    .advise("look whether the relay runs and the network is up, then: sealpost status");
                (cause, false, Some(error))
            }
            Failure::Unknown => ("the link broke".to_owned(), false, None),
            Failure::WrongRelay => {
                let error = Error::new(ErrorCode::WrongRelay, "the relay's key is not the one in its address")
                    .because("somebody stands in between, or the relay was set up anew")
                    .advise("ask the relay's operator for its address over another way");
                ("the relay's key is not the one in its address".to_owned(), true, Some(error))
            }
            Failure::Refused(refusal) => {
                let for_good = matches!(
                    refusal,
                    Refusal::Kicked { .. } | Refusal::Banned { .. } | Refusal::Replaced | Refusal::Unsupported
                );
                if matches!(refusal, Refusal::Kicked { .. }) {
                    self.perhaps_over()?;
                }
                let error = refused(&refusal);
                (error.message.clone(), for_good, for_good.then_some(error))
            }
        };
        let phase = if gives_up { Phase::Off } else { Phase::Opening };
        if gives_up {
            self.transmit(Transmit::Disconnect);
            self.stop_files();
        }
        self.standing = Standing { phase, reason: reason.clone(), ..Standing::default() };
        self.timers.clear(&Timer::Drained);
        // What was asked on the link was answered before, one by one; anonymous links live on.
        self.posting.land();
        self.parked.clear();
        if was_online {
            self.tell(None, Event::Connection { online: false, detail: reason });
        }
        if let Some(error) = error {
            if gives_up {
                self.tell(None, Event::Error(error.clone()));
            }
            self.fail_waits(&error, |waiting| waiting.needs_the_relay() || gives_up && waiting.ends_with_the_link());
            self.doctors_go_on()?;
        }
        Ok(())
    }

    /// Something was pushed: the mailbox is not drained yet.
    pub(super) fn heard_a_push(&mut self) {
        self.standing.pushed = true;
    }

    /// Asks whether there is more than what was pushed, once all rooms are followed. **[BOX-12]**
    pub(super) fn ask_for_more(&mut self) -> Stored<()> {
        let follows = self.asked.values().any(|asked| matches!(asked, Asked::Follow(_) | Asked::Room(_)));
        if self.online() && !self.standing.drained && !self.standing.asking && !follows {
            (self.standing.asking, self.standing.pushed) = (true, false);
            self.ask(Asked::More, Request::Acknowledge(Vec::new()));
        }
        Ok(())
    }

    pub(super) fn more_answer(&mut self, result: &Result<Answer, Failure>) -> Stored<()> {
        self.standing.asking = false;
        match result {
            Ok(_) if self.standing.pushed => self.ask_for_more(),
            Ok(_) => self.drained(),
            Err(_) => {
                self.timers.set(Timer::Drained, self.now + QUIET);
                Ok(())
            }
        }
    }

    pub(super) fn drained(&mut self) -> Stored<()> {
        if !self.online() {
            return Ok(());
        }
        if !self.parked.is_empty() && self.standing.patience < PATIENCE {
            self.standing.patience += 1;
            self.timers.set(Timer::Drained, self.now + QUIET);
            return Ok(());
        }
        self.standing.drained = true;
        self.all_has_come()?;
        self.drained_waits()
    }

    /// Tells the relay that it may forget an envelope. Leaves with the commit under way. **[BOX-7]**
    pub(super) fn acknowledge(&mut self, seq: Seq, id: EnvelopeId) {
        if self.online() {
            self.ask(Asked::Acknowledge, Request::Acknowledge(vec![(seq, id)]));
        }
    }

    /// Joins the acknowledgements of one step into few requests.
    pub(super) fn join_acknowledgements(&mut self) {
        let mut joined: BTreeMap<Seq, EnvelopeId> = BTreeMap::new();
        let mut kept = Vec::with_capacity(self.made.len());
        for made in std::mem::take(&mut self.made) {
            match made {
                Transmit::Authenticated { id, request: Request::Acknowledge(pairs) } if !pairs.is_empty() => {
                    self.asked.remove(&id);
                    joined.extend(pairs);
                }
                other => kept.push(other),
            }
        }
        self.made = kept;
        let pairs: Vec<_> = joined.into_iter().collect();
        for part in pairs.chunks(MAX_ACKNOWLEDGE) {
            self.ask(Asked::Acknowledge, Request::Acknowledge(part.to_vec()));
        }
    }

    pub(super) fn set_token(&mut self) {
        let hash = token_hash(&self.own.token);
        self.ask(Asked::SetToken(self.own.token), Request::SetToken(hash));
    }

    pub(super) fn token_set(&mut self, token: DeliveryToken, result: &Result<Answer, Failure>) -> Stored<()> {
        if result.is_ok() {
            self.relay_has_token(token);
        }
        Ok(())
    }

    /// The relay has taken a token: it need not be told again, unless that is another one by now.
    pub(super) fn relay_has_token(&mut self, token: DeliveryToken) {
        if self.own.token == token {
            self.own_mut().token_is_new = false;
        }
    }

    /// Whether this is one's own device.
    pub(super) fn is_own_device(&self, device: DeviceId) -> bool {
        device == self.own.device.id
    }
}

/// An operator's words, as many as anybody reads.
fn words(reason: &str) -> String {
    reason.chars().take(500).collect()
}

/// What a refusal means to a person.
pub(super) fn refused(refusal: &Refusal) -> Error {
    let error = |message: &str| Error::new(ErrorCode::Refused, message);
    match refusal {
        Refusal::NameTaken => error("the name, or one that looks like it, belongs to somebody else")
            .advise("choose another name: sealpost register ADDRESS NAME"),
        Refusal::RegistrationClosed => error("the relay registers nobody new").advise("ask its operator"),
        Refusal::InviteNeeded => error("the relay registers only who has an invite")
            .because("none was given, or it is unknown, expired, or used up")
            .advise("ask its operator for one: sealpost register ADDRESS NAME --invite TOKEN"),
        Refusal::Banned { reason } => error("the relay's operator has banned this account")
            .because(words(reason))
            .advise("ask the operator, or register at another relay: sealpost register ADDRESS NAME"),
        Refusal::Kicked { reason } => error("the relay's operator has ended this link")
            .because(words(reason))
            .advise("connect again by a command of your own, once the operator's reason is settled"),
        Refusal::Replaced => error("another process of this account has logged in")
            .because("a copy of this profile is in use elsewhere")
            .advise("use a profile in one place only"),
        Refusal::TooFast { retry_after_ms } => {
            error("the relay wants fewer requests").advise(format!("try again in {} s", retry_after_ms.div_ceil(1000)))
        }
        Refusal::MailboxFull => error("the recipient's mailbox is full")
            .because("they have to come and fetch what waits there")
            .advise("nothing: it is tried again by itself"),
        Refusal::QuotaReached { limit } => error("a quota of the relay is used up").because(format!("it is {limit}")),
        Refusal::TooLarge { limit } => {
            error("the relay takes nothing so large").because(format!("its limit is {limit}"))
        }
        Refusal::NoSuchName => Error::new(ErrorCode::NoSuchName, "nobody has this name at this relay")
            .advise("ask them for their contact link, then: sealpost add LINK"),
        Refusal::StaleDeviceList => error("this device belongs to the account no more")
            .because("the account was restored on another one, which has taken its place")
            .advise("sealpost history NAME still shows what was said; sealpost wipe deletes it"),
        Refusal::NoSuchRoom => Error::new(ErrorCode::NoSuchRoom, "there is no such room").advise("sealpost rooms"),
        Refusal::NotCreator => {
            error("only who made the room does this").advise("sealpost who '#ROOM' shows who that is")
        }
        Refusal::BannedFromRoom { reason } => error("whoever made the room keeps you out of it")
            .because(words(reason))
            .advise("ask them; sealpost rooms lists the others"),
        Refusal::NotMember => {
            Error::new(ErrorCode::NoSuchRoom, "only members post in this room").advise("sealpost join '#ROOM'")
        }
        Refusal::Unsupported => error("the relay does not do this").advise("ask its operator to update it"),
        Refusal::Internal { id } => {
            error("the relay has trouble of its own").because(format!("its operator finds number {id} in the log"))
        }
        other => error("the relay refused").because(format!("{other:?}")),
    }
}
