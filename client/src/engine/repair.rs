//! What can't be read is asked for again over a new session, and encrypted again for who asks.

use sealpost_spec::account::Name;
use sealpost_spec::mailbox::{EnvelopeId, MAX_ENVELOPES};
use sealpost_spec::message::{Body, MAX_NAMED};

use super::Engine;
use super::timers::Timer;
use crate::store::Stored;
use crate::store::people::{Come, PeerId};

/// Most envelopes of a device that wait to be asked for again: a whole mailbox.
const MAX_UNREADABLE: usize = MAX_ENVELOPES;

/// At most one new session per device in this time because of unreadable messages, in milliseconds. **[MSG-30]**
const REPAIR_EVERY: u64 = 60 * 60 * 1_000;

impl Engine {
    /// An envelope of a known device does not open. Of an unknown one nothing is remembered.
    pub(super) fn unreadable(&mut self, id: &PeerId, envelope: EnvelopeId) -> Stored<()> {
        let now = self.now;
        let Some(peer) = self.peer_mut(id) else {
            return self.rows().put_come(&Come { id: envelope, stored: None, at: now });
        };
        // What does not fit is not remembered as come: its sender sends it again, and then it is asked for.
        let fits = peer.unreadable.len() < MAX_UNREADABLE;
        if fits && !peer.unreadable.contains(&envelope) {
            peer.unreadable.push(envelope);
        }
        if fits {
            self.rows().put_come(&Come { id: envelope, stored: None, at: now })?;
        }
        let Some(peer) = self.peers.get(id) else { return Ok(()) };
        let name = peer.name.clone();
        let words = if self.asks_again(&name) {
            "a message could not be read; it is asked for again"
        } else {
            "a stranger's message could not be read; write to them, and it is asked for again"
        };
        self.refuse(Some(&name), words);
        self.start_repair(id)
    }

    /// Whether an envelope that comes again was not to be read, so long ago that its sender should have heard of it: the request
    /// was lost on its way, or is forgotten there. **[MSG-30]**
    pub(super) const fn is_asked_for_once_more(&self, come: &Come) -> bool {
        // A clock may have been set back since.
        come.stored.is_none() && self.now.abs_diff(come.at) >= REPAIR_EVERY
    }

    /// Whether somebody may learn that a message of theirs came and can't be read. A stranger learns nothing before one
    /// has answered: until then what could not be read is only remembered. **[MSG-30]**
    fn asks_again(&self, name: &Name) -> bool {
        self.contacts.get(name).is_some_and(|contact| contact.accepted && !contact.blocked)
    }

    /// There are no keys to begin a session with.
    pub(super) fn repair_later(&mut self, id: &PeerId) {
        if self.peers.get(id).is_some_and(|peer| !peer.unreadable.is_empty()) {
            self.timers.set(Timer::Repair(*id), self.now + REPAIR_EVERY);
        }
    }

    /// Asks for what could not be read, over a session that begins with the request.
    pub(super) fn start_repair(&mut self, id: &PeerId) -> Stored<()> {
        let Some(peer) = self.peers.get(id).filter(|peer| !peer.unreadable.is_empty()) else { return Ok(()) };
        let name = peer.name.clone();
        if !self.online() || !self.may_send(&name) || !self.asks_again(&name) {
            return Ok(());
        }
        let due = if peer.repaired_at == 0 { 0 } else { peer.repaired_at + REPAIR_EVERY };
        if due > self.now {
            self.timers.set(Timer::Repair(*id), due);
            return Ok(());
        }
        let Some(bundle) = self.take_bundle(id) else {
            self.fetch_bundle(&name);
            return Ok(());
        };
        if !self.start_session(id, &bundle)? {
            return Ok(());
        }
        let now = self.now;
        let envelopes = match self.peer_mut(id) {
            Some(peer) => {
                peer.repaired_at = now;
                std::mem::take(&mut peer.unreadable)
            }
            None => return Ok(()),
        };
        for part in envelopes.chunks(MAX_NAMED) {
            let content = self.uncounted(Body::Repair(part.to_vec()));
            self.encrypt_for(id, &content)?;
        }
        self.deliver(&name)
    }

    /// A device can't read these envelopes: their contents are encrypted again, under the same content ids, for the very
    /// account and device that they were written for. **[MSG-30]** **[ACCT-13]**
    pub(super) fn repair_for(&mut self, name: &Name, id: &PeerId, envelopes: &[EnvelopeId]) -> Stored<()> {
        if envelopes.len() > MAX_NAMED || !self.may_send(name) {
            return Ok(());
        }
        let trusted = self.contacts.get(name).is_some_and(|contact| contact.account == Some(id.0));
        if !trusted || !self.can_encrypt(id) {
            // Without a box key nothing is lost: the parcel stays, and is asked for again when it is sent again.
            self.fetch_bundle(name);
            return Ok(());
        }
        for parcel in self.outbox.parcels_to(name, id) {
            let Some(content) = parcel.content.filter(|_| envelopes.contains(&parcel.envelope)) else { continue };
            let Some(content) = self.rows().content(&content)? else { continue };
            if self.encrypt_for(id, &content)? {
                self.outbox.remove_parcel(name, parcel.order);
                self.rows().delete_parcel(&parcel.envelope)?;
            }
        }
        self.deliver(name)
    }
}
