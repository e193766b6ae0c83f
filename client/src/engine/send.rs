//! From the outbox to the relay, and what becomes of it: encrypt, deliver, send again.

use std::collections::BTreeSet;

use sealpost_crypto::identity::mailbox;
use sealpost_crypto::sealed;
use sealpost_spec::account::{Name, Prekey};
use sealpost_spec::mailbox::{DeliveryToken, Envelope, EnvelopeId};
use sealpost_spec::message::{Content, ContentId, Sealing};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::encode;

use super::account::refused;
use super::timers::Timer;
use super::{Asked, Engine, Failure};
use crate::api::{Error, Event, State};
use crate::store::Stored;
use crate::store::outbox::Parcel;
use crate::store::people::{Contact, PeerId};

/// Most deliveries to one person without an answer.
const MAX_FLYING: usize = 32;
/// So many envelopes are made ready before the relay has taken the earlier ones.
const READY: usize = 2 * MAX_FLYING;
/// Most unconfirmed envelopes to one person: a recipient can skip as many, and the rest is encrypted later.
/// **[MSG-31]**
pub(super) const MAX_UNCONFIRMED: usize = 1_000;
/// A mailbox that is full is tried again after so long, in milliseconds, while another device of the person takes what comes.
const FULL: u64 = 5 * 60 * 1_000;
/// An accepted envelope is sent again after so long, then after twice as long, in milliseconds. **[MSG-31]**
const FIRST_AGAIN: u64 = 24 * 60 * 60 * 1_000;
/// After so long without a receipt a message is not delivered, in milliseconds. **[MSG-31]**
pub(super) const GIVE_UP: u64 = 30 * 24 * 60 * 60 * 1_000;

/// `@bob`, or `@bob~1` for one archived by `trust`.
pub(super) fn conversation(contact: &Contact) -> String {
    format!("@{}", contact.name)
}

impl Engine {
    /// Does for somebody what can be done now: encrypts what is queued, delivers what is ready.
    pub(super) fn pump(&mut self, name: &Name) -> Stored<()> {
        if !self.online() {
            return Ok(());
        }
        if self.outbox.paused(name, self.now) {
            return Ok(());
        }
        self.ask_about_parked(name);
        if !self.may_send(name) {
            return Ok(());
        }
        self.serve_late(name)?;
        while let Some(id) = self.outbox.next_queued(name) {
            let counts = self.outbox.counts(name);
            let lags = |peer: &PeerId| {
                self.outbox.is_full(peer, self.now)
                    || counts.get(peer).is_some_and(|(_, unconfirmed)| *unconfirmed >= MAX_UNCONFIRMED)
            };
            let busy = |peer: &PeerId| counts.get(peer).is_some_and(|(waiting, _)| *waiting >= READY);
            // Where the only one lags, there is nobody to go on with.
            let alone = !self.has_several(name) && counts.keys().any(lags);
            if alone || counts.keys().any(|peer| !lags(peer) && busy(peer)) {
                break;
            }
            let behind: BTreeSet<PeerId> = counts.keys().filter(|peer| lags(peer)).copied().collect();
            let Some(mut peers) = self.ready_peers(name)? else { break };
            // [MSG-47] what comes now is shown as missing there.
            peers.retain(|peer| !behind.contains(peer));
            if peers.is_empty() {
                break;
            }
            self.encrypt_queued(name, &id, &peers)?;
        }
        self.deliver(name)
    }

    /// Whether trust allows to send somebody anything.
    pub(super) fn may_send(&self, name: &Name) -> bool {
        self.contacts.get(name).is_some_and(|contact| contact.changed.is_none() && !contact.blocked)
    }

    fn encrypt_queued(&mut self, name: &Name, id: &ContentId, peers: &[PeerId]) -> Stored<()> {
        let account = self.contacts.get(name).and_then(|contact| contact.account);
        let Some(content) = self.rows().content(id)? else { return self.end_pending(id).map(drop) };
        // What was written for one key is never encrypted for another. **[ACCT-13]**
        if self.outbox.pending(id).is_some_and(|pending| pending.account.is_some() && pending.account != account) {
            return self.give_up(id);
        }
        let late = self.outbox.late_for(id).cloned();
        let has: BTreeSet<PeerId> =
            self.outbox.parcels(name).filter(|parcel| parcel.content == Some(*id)).map(Parcel::peer).collect();
        let wants = |peer: &&PeerId| !has.contains(peer) && late.as_ref().is_none_or(|late| late.contains(peer));
        for peer in peers.iter().filter(wants) {
            if !self.encrypt_for(peer, &content)? {
                return self.give_up(id);
            }
        }
        if let Some(account) = account
            && self.outbox.pending(id).is_some_and(|pending| pending.account.is_none())
        {
            self.copy_is_for(id, account)?;
        }
        let changed = self.outbox.change_pending(id, |pending| {
            pending.encrypted = true;
            pending.account = account;
        });
        let Some(pending) = changed else { return Ok(()) };
        self.late_from_now_on(name, &content)?;
        self.rows().put_pending(&pending)?;
        self.end_where_confirmed(id).map(drop)
    }

    /// Encrypts a content for one device and stores the envelope. `false`: it can't be, for ever.
    pub(super) fn encrypt_for(&mut self, id: &PeerId, content: &Content) -> Stored<bool> {
        let Some(peer) = self.peers.get(id).cloned() else { return Ok(false) };
        let Some(note) = peer.sessions.iter().rev().find(|note| note.retired_at.is_none()) else { return Ok(false) };
        let Some(session) = self.rows().session(&note.id)? else { return Ok(false) };
        let Some(box_key) = peer.box_key.as_ref().and_then(|key| Prekey::parse(&key.body.0).ok()) else {
            return Ok(false);
        };
        let blocked = self.contacts.get(&peer.name).is_none_or(|contact| contact.blocked || !contact.accepted);
        // [MSG-45] one's own devices have it, or are told.
        let gives = !blocked && !self.is_own(&peer.name) && self.knows_token();
        let content = Content { token: gives.then_some(self.own.token), ..content.clone() };
        let Some(plaintext) = encode(&content) else { return Ok(false) };
        let step = session.encrypt(&plaintext, &mut **self.rows().dice());
        let Ok((next, message)) = step else { return Ok(false) };
        let envelope = EnvelopeId(self.random());
        let sealing = Sealing { device: self.own.device.id, list: self.own.list.clone(), message };
        let boxed = sealed::seal(&box_key, &peer.device, &envelope, &sealing, &mut **self.rows().dice());
        let Ok(boxed) = boxed else { return Ok(false) };
        let parcel = Parcel {
            order: self.outbox.next_order(),
            envelope,
            content: (content.number > 0).then_some(content.id),
            number: content.number,
            to: peer.name,
            account: peer.account,
            device: peer.device,
            session: note.id,
            box_key: box_key.id.0,
            accepted_at: None,
            again_at: self.now,
            pause: 0,
        };
        self.rows().put_session(&next)?;
        self.rows().add_parcel(&parcel, &sealing.message, &boxed)?;
        self.outbox.add_parcel(parcel);
        Ok(true)
    }

    /// Hands the relay what is due for somebody.
    pub(super) fn deliver(&mut self, name: &Name) -> Stored<()> {
        if !self.online() || self.outbox.paused(name, self.now) || !self.may_send(name) {
            return Ok(());
        }
        // Whoever did not confirm it may have another box key by now: the bundle comes first. [MSG-31]
        let again = self.outbox.parcels(name).any(|parcel| parcel.accepted_at.is_some() && parcel.again_at <= self.now);
        let again = again && !self.refresh(name);
        let token = self.contacts.get(name).and_then(|contact| contact.token);
        for parcel in self.outbox.take_off(name, self.now, MAX_FLYING, again) {
            let Some(sealed) = self.box_of(&parcel)? else {
                self.outbox.landed(name, parcel.order);
                continue;
            };
            let envelope =
                Envelope { mailbox: mailbox(&parcel.device.key), id: parcel.envelope, sealed: sealed.into() };
            let asked = Asked::Deliver { to: name.clone(), order: parcel.order, token };
            if self.is_own(name) {
                // [RELAY-27] [MSG-43]
                self.ask(asked, Request::Deliver { token: None, envelope });
            } else {
                self.ask_anonymously(asked, name.clone(), Request::Deliver { token, envelope });
            }
        }
        Ok(())
    }

    /// The box of a parcel; made anew around the same session message where the recipient's box key is another one by
    /// now, under the same envelope id. **[MSG-31]** **[BOX-2]**
    fn box_of(&mut self, parcel: &Parcel) -> Stored<Option<Vec<u8>>> {
        let key = self.peers.get(&parcel.peer()).and_then(|peer| peer.box_key.as_ref());
        let Some(key) = key.and_then(|key| Prekey::parse(&key.body.0).ok()).filter(|key| key.id.0 != parcel.box_key)
        else {
            return Ok(self.rows().sealed_box(&parcel.envelope)?.map(|sealed| sealed.0));
        };
        let Some(message) = self.rows().session_message(&parcel.envelope)? else { return Ok(None) };
        let sealing = Sealing { device: self.own.device.id, list: self.own.list.clone(), message: message.0 };
        let boxed = sealed::seal(&key, &parcel.device, &parcel.envelope, &sealing, &mut **self.rows().dice());
        let Ok(boxed) = boxed else { return Ok(None) };
        self.rows().put_box(&parcel.envelope, &boxed)?;
        if let Some(kept) = self.outbox.parcel_mut(&parcel.to, parcel.order) {
            kept.box_key = key.id.0;
            let kept = kept.clone();
            self.rows().put_parcel(&kept)?;
        }
        Ok(Some(boxed))
    }

    /// The relay's answer to a delivery.
    pub(super) fn delivered(
        &mut self,
        name: &Name,
        order: u64,
        token: Option<DeliveryToken>,
        result: Result<Answer, Failure>,
    ) -> Stored<()> {
        self.outbox.landed(name, order);
        self.typing_landed(name, order)?;
        match result {
            Ok(_) => self.accepted(name, order)?,
            Err(Failure::Refused(refusal)) => self.not_accepted(name, order, token, &refusal)?,
            // Unknown: the same envelope id makes sending it again harmless.
            Err(Failure::Unreachable(_) | Failure::Unknown | Failure::WrongRelay) => self.pause(name, 0, None),
        }
        self.pump(name)
    }

    fn accepted(&mut self, name: &Name, order: u64) -> Stored<()> {
        self.outbox.end_pause(name);
        let now = self.now;
        let Some(parcel) = self.outbox.parcel_mut(name, order) else { return Ok(()) };
        let Some(content) = parcel.content else {
            // Receipts and requests are not kept: what they say is said again where it was lost. **[MSG-27]**
            let envelope = parcel.envelope;
            self.outbox.remove_parcel(name, order);
            self.rows().delete_parcel(&envelope)?;
            return Ok(());
        };
        parcel.accepted_at = Some(now);
        parcel.pause = (parcel.pause * 2).max(FIRST_AGAIN);
        parcel.again_at = now + parcel.pause;
        let parcel = parcel.clone();
        self.rows().put_parcel(&parcel)?;
        self.timers.set_sooner(Timer::Again(name.clone()), parcel.again_at);
        self.sent_where_taken(name, content)?;
        if self.is_own(name) { self.device_waits() } else { Ok(()) }
    }

    /// The relay has it for all devices, but for those whose mailbox takes nothing.
    fn sent_where_taken(&mut self, name: &Name, content: ContentId) -> Stored<()> {
        let of_content: Vec<&Parcel> =
            self.outbox.parcels(name).filter(|other| other.content == Some(content)).collect();
        let taken = |parcel: &&&Parcel| parcel.accepted_at.is_some();
        let any = of_content.iter().any(|parcel| taken(&parcel));
        let all = of_content.iter().all(|parcel| taken(&parcel) || self.outbox.is_full(&parcel.peer(), self.now));
        if any && all { self.set_state(&content, State::Sent) } else { Ok(()) }
    }

    /// A device's mailbox is full: what is for the person's others goes on. **[MSG-47]**
    fn mailbox_full(&mut self, name: &Name, order: u64) -> Stored<()> {
        let Some(parcel) = self.outbox.parcel_mut(name, order).map(|parcel| parcel.clone()) else { return Ok(()) };
        let until = self.now + FULL;
        self.outbox.is_full_until(parcel.peer(), until);
        self.timers.set_sooner(Timer::Retry(name.clone()), until);
        match parcel.content {
            Some(content) => self.sent_where_taken(name, content),
            None => Ok(()),
        }
    }

    fn not_accepted(&mut self, name: &Name, order: u64, token: Option<DeliveryToken>, refusal: &Refusal) -> Stored<()> {
        match refusal {
            // [BOX-6] a stranger's price until the next reply brings the new token.
            Refusal::UnknownToken => {
                if let Some(contact) = self.contact_mut(name)
                    && contact.token == token
                {
                    contact.token = None;
                }
                // A token that was refused once and is refused again is none: the relay errs, so it gets a pause.
                if token.is_none() {
                    self.pause(name, 0, None);
                }
            }
            Refusal::TooFast { retry_after_ms } => self.pause(name, u64::from(*retry_after_ms), None),
            Refusal::MailboxFull if self.has_several(name) => self.mailbox_full(name, order)?,
            Refusal::NoSuchMailbox | Refusal::NoSuchName => {
                // The device is gone from the list, or the relay lost it and it has not come back yet.
                if let Some(contact) = self.contact_mut(name) {
                    contact.fetched_at = 0;
                }
                self.pause(name, 0, None);
                let dropped = self.outbox.parcel_mut(name, order).is_some_and(|parcel| parcel.content.is_none());
                if dropped && let Some(parcel) = self.outbox.remove_parcel(name, order) {
                    self.rows().delete_parcel(&parcel.envelope)?;
                }
            }
            Refusal::WorkNeeded { .. }
            | Refusal::WrongLink
            | Refusal::Stopping
            | Refusal::TimedOut
            | Refusal::TooManyLinks => self.pause(name, 0, None),
            other => self.pause(name, 0, Some(refused(other))),
        }
        Ok(())
    }

    /// Lets somebody rest after a failure; says why, once.
    pub(super) fn pause(&mut self, name: &Name, least: u64, why: Option<Error>) {
        let (until, first) = self.outbox.pause(name, self.now, least, why.is_some());
        self.timers.set(Timer::Retry(name.clone()), until);
        let Some(error) = why.filter(|_| first) else { return };
        let whose = if self.is_own(name) { "your other devices".to_owned() } else { format!("@{name}") };
        let error = Error { message: format!("{whose}: {}", error.message), ..error };
        self.tell(None, Event::Error(error));
    }

    /// Goes on after a pause. Where a mailbox was gone, its owner's devices are asked for anew: a relay that lost its
    /// store may have given the name to somebody else meanwhile.
    pub(super) fn retry(&mut self, name: &Name) -> Stored<()> {
        if self.contacts.get(name).is_some_and(|contact| contact.fetched_at == 0 && contact.account.is_some()) {
            self.refresh(name);
        }
        self.pump(name)
    }

    /// What nobody confirmed is sent again; after 30 days it is not delivered.
    pub(super) fn send_again(&mut self, name: &Name) -> Stored<()> {
        let old: Vec<ContentId> = self
            .outbox
            .pendings_to(name)
            .filter(|pending| pending.queued_at + GIVE_UP <= self.now)
            .map(|pending| pending.id)
            .collect();
        for id in old {
            self.give_up(&id)?;
        }
        let again =
            self.outbox.parcels(name).filter(|parcel| parcel.accepted_at.is_some()).map(|parcel| parcel.again_at);
        let give_up = self.outbox.pendings_to(name).map(|pending| pending.queued_at + GIVE_UP);
        if let Some(next) = again.chain(give_up).filter(|at| *at > self.now).min() {
            self.timers.set_sooner(Timer::Again(name.clone()), next);
        }
        self.pump(name)
    }

    /// Nobody will get this any more.
    pub(super) fn give_up(&mut self, id: &ContentId) -> Stored<()> {
        let Some(pending) = self.end_pending(id)? else { return Ok(()) };
        self.drop_parcels(&pending.to, id)?;
        if !pending.delivered {
            self.set_state(id, State::NotDelivered)?;
        }
        Ok(())
    }

    /// The envelopes of a content are sent no more.
    pub(super) fn drop_parcels(&mut self, name: &Name, id: &ContentId) -> Stored<()> {
        let parcels: Vec<(u64, EnvelopeId)> = self
            .outbox
            .parcels(name)
            .filter(|parcel| parcel.content == Some(*id))
            .map(|parcel| (parcel.order, parcel.envelope))
            .collect();
        for (order, envelope) in parcels {
            self.outbox.remove_parcel(name, order);
            self.rows().delete_parcel(&envelope)?;
        }
        Ok(())
    }

    /// A message of one's own came further, and the other devices learn it.
    pub(super) fn set_state(&mut self, id: &ContentId, state: State) -> Stored<()> {
        if self
            .rows()
            .line(&self.own.account, id)?
            .is_some_and(|line| line.state < state && line.conversation.starts_with('@'))
        {
            self.copy_reached(*id, state)?;
        }
        self.advance(id, state)
    }

    /// A message of one's own came further, as far as one knows. It never goes back.
    pub(super) fn advance(&mut self, id: &ContentId, state: State) -> Stored<()> {
        let Some(mut line) = self.rows().line(&self.own.account, id)? else { return Ok(()) };
        if line.state >= state {
            return Ok(());
        }
        line.state = state;
        self.rows().put_line(&line)?;
        self.start_countdown(&line)?;
        let event = Event::State { id: id.to_string(), conversation: line.conversation, state };
        self.tell(None, event);
        self.reached(*id, state);
        Ok(())
    }
}
