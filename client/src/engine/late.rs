//! What somebody's device is still to get that has published no keys yet: it was listed a moment ago, or one has only heard of
//! it. The others have it already. **[ACCT-29]**

use std::collections::BTreeSet;

use sealpost_spec::account::{DeviceList, Name};
use sealpost_spec::message::{Content, ContentId};

use super::Engine;
use super::send::MAX_UNCONFIRMED;
use super::timers::Timer;
use crate::store::Stored;
use crate::store::outbox::{Late, Pending};
use crate::store::people::PeerId;

impl Engine {
    /// What nobody has confirmed so far is encrypted for a device, too, that was listed since: else it would lack what was said
    /// before one heard of it.
    pub(super) fn also_for(&mut self, name: &Name, device: PeerId) -> Stored<()> {
        let pendings: Vec<ContentId> = self
            .outbox
            .pendings_to(name)
            .filter(|pending| pending.encrypted || self.outbox.late_for(&pending.id).is_some())
            .filter(|pending| pending.account == Some(device.0))
            .map(|pending| pending.id)
            .collect();
        for id in pendings {
            let late = self.outbox.late_for(&id).into_iter().flatten().copied().chain([device]).collect();
            self.put_late(&id, late)?;
            self.encrypt_once_more(&id)?;
        }
        self.timers.set_sooner(Timer::Retry(name.clone()), self.now);
        Ok(())
    }

    fn encrypt_once_more(&mut self, id: &ContentId) -> Stored<()> {
        match self.outbox.change_pending(id, |pending| pending.encrypted = false) {
            Some(pending) => self.rows().put_pending(&pending),
            None => Ok(()),
        }
    }

    pub(super) fn put_late(&mut self, id: &ContentId, peers: BTreeSet<PeerId>) -> Stored<()> {
        if peers.is_empty() {
            if self.outbox.late_for(id).is_some() {
                self.rows().delete_late(id)?;
            }
        } else if self.outbox.late_for(id) != Some(&peers) {
            self.rows().put_late(&Late { id: *id, peers: peers.iter().copied().collect() })?;
        }
        self.outbox.set_late(*id, peers);
        Ok(())
    }

    /// A content was encrypted for those who have keys: the listed devices that have none get it later. Of what was late before, no
    /// more than was.
    pub(super) fn late_from_now_on(&mut self, name: &Name, content: &Content) -> Stored<()> {
        let id = content.id;
        let lacking = self.lacking(name);
        let late = match self.outbox.late_for(&id) {
            Some(late) => late.intersection(&lacking).copied().collect(),
            None => lacking.into_iter().filter(|peer| self.outbox.late_to(peer).count() < MAX_UNCONFIRMED).collect(),
        };
        self.put_late(&id, late)
    }

    /// The listed devices of somebody that nothing can be encrypted for.
    fn lacking(&self, name: &Name) -> BTreeSet<PeerId> {
        let list = self.contacts.get(name).and_then(|contact| contact.list.as_ref());
        let Some(list) = list.and_then(|list| DeviceList::parse(&list.body.0).ok()) else { return BTreeSet::new() };
        let all = list.devices.iter().map(|device| (list.account, device.id));
        all.filter(|peer| !self.is_this_device(peer) && !self.can_encrypt(peer)).collect()
    }

    /// Whoever has keys by now gets what waited for that; whose keys are missing is asked about from time to time.
    pub(super) fn serve_late(&mut self, name: &Name) -> Stored<()> {
        let mut ready = Vec::new();
        let mut waits = false;
        for (id, late) in self.outbox.all_late() {
            if self.outbox.pending(id).is_none_or(|pending| pending.to != *name || !pending.encrypted) {
                continue;
            }
            if late.iter().any(|peer| self.can_encrypt(peer) || self.has_bundle(peer)) {
                ready.push(*id);
            } else {
                waits = true;
            }
        }
        for id in ready {
            self.encrypt_once_more(&id)?;
        }
        if waits {
            self.ask_about_lacking(name);
        }
        Ok(())
    }

    /// A device gets nothing any more.
    pub(super) fn never_for(&mut self, device: &PeerId) -> Stored<()> {
        let contents: Vec<ContentId> = self.outbox.late_to(device).copied().collect();
        for id in contents {
            let mut late = self.outbox.late_for(&id).cloned().unwrap_or_default();
            late.remove(device);
            match late.is_empty() {
                true => self.too_late(&id)?,
                false => self.put_late(&id, late)?,
            }
        }
        Ok(())
    }

    /// A content goes to no device any more that did not get it yet: those are gone, or it has had its time. **[MSG-40]**
    pub(super) fn too_late(&mut self, id: &ContentId) -> Stored<()> {
        if self.outbox.late_for(id).is_none() {
            return Ok(());
        }
        self.put_late(id, BTreeSet::new())?;
        let Some(to) = self.outbox.pending(id).map(|pending| pending.to.clone()) else { return Ok(()) };
        let on_its_way = self.outbox.parcels(&to).any(|parcel| parcel.content == Some(*id));
        // Where no device has it, it begins anew, with those that are listed now.
        let changed = self.outbox.change_pending(id, |pending| pending.encrypted |= pending.delivered || on_its_way);
        if let Some(pending) = changed {
            self.rows().put_pending(&pending)?;
        }
        self.end_where_confirmed(id).map(drop)
    }

    /// Nothing more is to be done about a content that all have confirmed for whom it was encrypted. Whether that is so.
    pub(super) fn end_where_confirmed(&mut self, id: &ContentId) -> Stored<bool> {
        let Some(pending) = self.outbox.pending(id) else { return Ok(true) };
        let waits = !pending.encrypted || !pending.delivered || self.outbox.late_for(id).is_some();
        if waits || self.outbox.parcels(&pending.to).any(|parcel| parcel.content == Some(*id)) {
            return Ok(false);
        }
        self.end_pending(id)?;
        Ok(true)
    }

    /// Forgets a content that was on its way.
    pub(super) fn end_pending(&mut self, id: &ContentId) -> Stored<Option<Pending>> {
        self.put_late(id, BTreeSet::new())?;
        let pending = self.outbox.remove_pending(id);
        self.rows().delete_content(id)?;
        Ok(pending)
    }
}
