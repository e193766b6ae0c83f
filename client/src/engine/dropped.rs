//! Posts of devices that their account has dropped: those from before stay, and none is taken that comes after. **[ROOM-20]**

use std::collections::BTreeSet;

use sealpost_spec::account::{AccountKey, DeviceList};
use sealpost_spec::room::{PostHead, RoomName};

use super::Engine;
use crate::store::Stored;
use crate::store::rooms::Dropped;

impl Engine {
    /// An account's newer list was taken. What devices had posted by then that it does not name is known once all has come that the
    /// relay has.
    pub(super) fn list_taken(&mut self, account: &AccountKey, list: &DeviceList) -> Stored<()> {
        // Before the first one there was none.
        if list.number <= 1 {
            return Ok(());
        }
        let dropped = self.rows().dropped(account)?.unwrap_or_else(|| Dropped::new(*account));
        self.rows().put_dropped(&Dropped { open: true, ..dropped })?;
        self.dropped_open.insert(*account);
        if self.standing.drained { self.all_has_come() } else { Ok(()) }
    }

    /// What the relay had has come: in the rooms that one is in, devices that are gone have posted all that they ever will.
    pub(super) fn all_has_come(&mut self) -> Stored<()> {
        let joined = self.rooms.values().filter(|room| room.joined);
        let rooms: BTreeSet<RoomName> = joined.map(|room| room.name.clone()).collect();
        for account in std::mem::take(&mut self.dropped_open) {
            self.rows().put_dropped(&Dropped { account, open: false, rooms: rooms.clone() })?;
        }
        Ok(())
    }

    /// Whether a post, whose author showed `list`, is of a device that was dropped before it posted that. In a room that one came
    /// to later nobody can tell.
    pub(super) fn is_of_dropped(&self, head: &PostHead, list: &DeviceList) -> Stored<bool> {
        let newest = if self.is_own(&head.author) {
            self.own_list()
        } else {
            let contact = self.contacts.get(&head.author).filter(|contact| contact.account == Some(head.account));
            contact.and_then(|contact| DeviceList::parse(&contact.list.as_ref()?.body.0).ok())
        };
        let names = |newest: &DeviceList| newest.number <= list.number || newest.device(head.device.id).is_some();
        if newest.as_ref().is_none_or(names) {
            return Ok(false);
        }
        let closed = |dropped: Dropped| !dropped.open && dropped.rooms.contains(&head.room);
        let last = self.rows().author(&head.room, &head.account, head.device.id)?.map_or(0, |author| author.number);
        Ok(head.number > last && self.rows().dropped(&head.account)?.is_some_and(closed))
    }
}
