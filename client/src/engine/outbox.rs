//! What is on its way, in memory: the rows of the outbox, what is in flight, and who can't be reached for now.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_spec::account::Name;
use sealpost_spec::message::ContentId;

use crate::store::outbox::{Parcel, Pending};
use crate::store::people::PeerId;
use crate::store::{Rows, Stored};

/// First and longest pause after a failure, in milliseconds.
const FIRST_PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 5 * 60 * 1_000;

#[derive(Default)]
pub(super) struct Outbox {
    own: Option<Name>,
    pendings: BTreeMap<ContentId, Pending>,
    /// Not encrypted yet, by number.
    queue: BTreeMap<Name, BTreeMap<u64, ContentId>>,
    /// By order.
    parcels: BTreeMap<Name, BTreeMap<u64, Parcel>>,
    /// Deliveries without an answer.
    flying: BTreeMap<Name, BTreeSet<u64>>,
    pauses: BTreeMap<Name, Pause>,
    /// Contents that are encrypted once more, for these devices alone, once they have keys. **[ACCT-29]**
    late: BTreeMap<ContentId, BTreeSet<PeerId>>,
    /// Devices whose mailbox is full, until when.
    full: BTreeMap<PeerId, u64>,
    last_order: u64,
}

#[derive(Default)]
struct Pause {
    until: u64,
    length: u64,
    told: bool,
}

impl Outbox {
    /// `own`: one's own name.
    pub(super) fn load(rows: &Rows, own: Name) -> Stored<Self> {
        let mut outbox = Self { own: Some(own), ..Self::default() };
        for pending in rows.pendings()? {
            outbox.add_pending(pending);
        }
        for parcel in rows.parcels()? {
            outbox.last_order = outbox.last_order.max(parcel.order);
            outbox.add_parcel(parcel);
        }
        for late in rows.lates()? {
            outbox.set_late(late.id, late.peers.into_iter().collect());
        }
        Ok(outbox)
    }

    /// Everybody for whom something is on its way.
    pub(super) fn names(&self) -> BTreeSet<Name> {
        self.pendings.values().map(|pending| pending.to.clone()).chain(self.parcels.keys().cloned()).collect()
    }

    pub(super) fn add_pending(&mut self, pending: Pending) {
        if !pending.encrypted {
            self.queue.entry(pending.to.clone()).or_default().insert(pending.number, pending.id);
        }
        self.pendings.insert(pending.id, pending);
    }

    /// A content is to be encrypted for these devices once more, and for no other; none: it is done.
    pub(super) fn set_late(&mut self, id: ContentId, peers: BTreeSet<PeerId>) {
        if peers.is_empty() {
            self.late.remove(&id);
        } else {
            self.late.insert(id, peers);
        }
    }

    /// The devices for which a content is encrypted once more; `None`: there are none, or it is encrypted for the first time.
    pub(super) fn late_for(&self, id: &ContentId) -> Option<&BTreeSet<PeerId>> {
        self.late.get(id)
    }

    /// All contents that are encrypted once more, with the devices for which they are.
    pub(super) fn all_late(&self) -> impl Iterator<Item = (&ContentId, &BTreeSet<PeerId>)> {
        self.late.iter()
    }

    /// The contents that a device is still to get.
    pub(super) fn late_to<'a>(&'a self, peer: &'a PeerId) -> impl Iterator<Item = &'a ContentId> {
        self.late.iter().filter(move |(_, late)| late.contains(peer)).map(|(id, _)| id)
    }

    pub(super) fn pending(&self, id: &ContentId) -> Option<&Pending> {
        self.pendings.get(id)
    }

    /// Changes a content's row in memory; the caller stores what it gets.
    pub(super) fn change_pending(&mut self, id: &ContentId, change: impl FnOnce(&mut Pending)) -> Option<Pending> {
        let pending = self.pendings.get_mut(id)?;
        change(pending);
        let queue = self.queue.entry(pending.to.clone()).or_default();
        if pending.encrypted {
            queue.remove(&pending.number);
        } else {
            queue.insert(pending.number, pending.id);
        }
        Some(pending.clone())
    }

    /// A content has another number, and waits to be encrypted under it; the caller stores what it gets.
    pub(super) fn renumber(&mut self, id: &ContentId, number: u64) -> Option<Pending> {
        let mut pending = self.remove_pending(id)?;
        (pending.number, pending.encrypted) = (number, false);
        self.add_pending(pending.clone());
        Some(pending)
    }

    pub(super) fn remove_pending(&mut self, id: &ContentId) -> Option<Pending> {
        let pending = self.pendings.remove(id)?;
        if let Some(queue) = self.queue.get_mut(&pending.to) {
            queue.remove(&pending.number);
        }
        Some(pending)
    }

    pub(super) fn pendings_to<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Pending> {
        self.pendings.values().filter(move |pending| pending.to == *name)
    }

    /// The oldest content for this person that waits to be encrypted.
    pub(super) fn next_queued(&self, name: &Name) -> Option<ContentId> {
        self.queue.get(name)?.first_key_value().map(|(_, id)| *id)
    }

    pub(super) fn next_order(&mut self) -> u64 {
        self.last_order += 1;
        self.last_order
    }

    /// The order of the parcel that was made last.
    pub(super) fn last_order(&self) -> u64 {
        self.last_order
    }

    pub(super) fn add_parcel(&mut self, parcel: Parcel) {
        self.parcels.entry(parcel.to.clone()).or_default().insert(parcel.order, parcel);
    }

    pub(super) fn parcels<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a Parcel> + use<'a> {
        self.parcels.get(name).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn parcel_mut(&mut self, name: &Name, order: u64) -> Option<&mut Parcel> {
        self.parcels.get_mut(name)?.get_mut(&order)
    }

    pub(super) fn remove_parcel(&mut self, name: &Name, order: u64) -> Option<Parcel> {
        let of_name = self.parcels.get_mut(name)?;
        let removed = of_name.remove(&order);
        if of_name.is_empty() {
            self.parcels.remove(name);
        }
        removed
    }

    /// Of each device: how many parcels the relay has not accepted, and how many it has not confirmed.
    pub(super) fn counts(&self, name: &Name) -> BTreeMap<PeerId, (usize, usize)> {
        let mut counts: BTreeMap<PeerId, (usize, usize)> = BTreeMap::new();
        for parcel in self.parcels(name) {
            let (waiting, unconfirmed) = counts.entry(parcel.peer()).or_default();
            *waiting += usize::from(parcel.accepted_at.is_none());
            *unconfirmed += 1;
        }
        counts
    }

    /// A device's mailbox takes nothing until then; others of the same person go on. **[MSG-47]**
    pub(super) fn is_full_until(&mut self, peer: PeerId, until: u64) {
        self.full.insert(peer, until);
    }

    /// Whether a device's mailbox was full a moment ago.
    pub(super) fn is_full(&self, peer: &PeerId, now: u64) -> bool {
        self.full.get(peer).is_some_and(|until| *until > now)
    }

    /// How many contents the relay has not accepted, and how many no device has confirmed.
    /// Of what goes to people; what one's own devices tell each other is nobody's message.
    pub(super) fn totals(&self) -> (u32, u32) {
        let waiting = |pending: &Pending| {
            !pending.encrypted
                || self.parcels(&pending.to).any(|p| p.content == Some(pending.id) && p.accepted_at.is_none())
        };
        let to_people = || self.pendings.values().filter(|pending| Some(&pending.to) != self.own.as_ref());
        let queued = to_people().filter(|pending| waiting(pending)).count();
        let unconfirmed = to_people().filter(|pending| !pending.delivered).count();
        (u32::try_from(queued).unwrap_or(u32::MAX), u32::try_from(unconfirmed).unwrap_or(u32::MAX))
    }

    /// What is due for delivery, in order, as far as `most` allow in flight; it counts as in flight from now on.
    /// `again`: also what the relay accepted before.
    pub(super) fn take_off(&mut self, name: &Name, now: u64, most: usize, again: bool) -> Vec<Parcel> {
        let flying = self.flying.entry(name.clone()).or_default();
        let mut taken = Vec::new();
        for parcel in self.parcels.get(name).into_iter().flat_map(BTreeMap::values) {
            if flying.len() >= most {
                break;
            }
            let due = parcel.accepted_at.is_none() || again && parcel.again_at <= now;
            let full = self.full.get(&parcel.peer()).is_some_and(|until| *until > now);
            if due && !full && flying.insert(parcel.order) {
                taken.push(parcel.clone());
            }
        }
        taken
    }

    pub(super) fn landed(&mut self, name: &Name, order: u64) {
        if let Some(flying) = self.flying.get_mut(name) {
            flying.remove(&order);
        }
    }

    /// A new login: whoever could not be reached before is tried again.
    pub(super) fn land(&mut self) {
        self.pauses.clear();
        self.full.clear();
    }

    /// Nothing is known to be at the relay any more; returns what changed.
    pub(super) fn not_accepted_any_more(&mut self, now: u64) -> Vec<Parcel> {
        let mut changed = Vec::new();
        for parcel in self.parcels.values_mut().flat_map(BTreeMap::values_mut) {
            if parcel.accepted_at.take().is_some() {
                parcel.again_at = now;
                parcel.pause = 0;
                changed.push(parcel.clone());
            }
        }
        changed
    }

    /// Parcels to one device.
    pub(super) fn parcels_to(&self, name: &Name, peer: &PeerId) -> Vec<Parcel> {
        self.parcels(name).filter(|parcel| parcel.peer() == *peer).cloned().collect()
    }

    pub(super) fn paused(&self, name: &Name, now: u64) -> bool {
        self.pauses.get(name).is_some_and(|pause| pause.until > now)
    }

    /// Begins or doubles a pause of at least `least` milliseconds; returns its end, and whether it is the first of which
    /// there is something to say.
    pub(super) fn pause(&mut self, name: &Name, now: u64, least: u64, says: bool) -> (u64, bool) {
        let pause = self.pauses.entry(name.clone()).or_default();
        if pause.until <= now {
            pause.length = (pause.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
        pause.until = now + pause.length.max(least);
        (pause.until, says && !std::mem::replace(&mut pause.told, true))
    }

    /// Lets somebody be tried at once; what fails again rests longer than before.
    pub(super) fn lift_pause(&mut self, name: &Name) {
        if let Some(pause) = self.pauses.get_mut(name) {
            pause.until = 0;
        }
    }

    pub(super) fn end_pause(&mut self, name: &Name) {
        self.pauses.remove(name);
    }
}
