//! The account's devices, of which this is one: their list, how a machine becomes one of them, and what they tell each
//! other. To the rest of the engine the others are devices of a contact that has one's own name.

mod decided;
mod hear;
mod link;
mod list;
mod tell;

pub(super) use tell::AROUND;

use std::collections::BTreeMap;

use sealpost_spec::account::{DeviceId, DeviceList, Name};
use sealpost_spec::message::ContentId;

use super::Engine;
use crate::api::{Error, ErrorCode};
use crate::store::devices::{Devices, Shared};
use crate::store::people::Contact;
use crate::store::{Rows, Stored};

/// Why there is no link any more.
const REVOKED: &str = "this device was revoked";

/// The account's other devices, in memory.
#[derive(Default)]
pub(super) struct Siblings {
    pub(super) row: Devices,
    /// The devices that the newest list names beside this one.
    others: Vec<DeviceId>,
    /// What all devices know of people and rooms.
    shared: BTreeMap<String, Shared>,
    last_order: u64,
    /// Copies that wait, by what they are copies of.
    copies: BTreeMap<ContentId, u64>,
    /// Devices that were told everything since the start: when, and the number of the last message of that.
    told_all: BTreeMap<DeviceId, (u64, u64)>,
}

impl Siblings {
    pub(super) fn load(rows: &Rows, list: Option<&DeviceList>, own: DeviceId) -> Stored<Self> {
        let mut siblings = Self { row: rows.devices()?, ..Self::default() };
        siblings.meet(list, own);
        for told in rows.told(u32::MAX)? {
            siblings.last_order = siblings.last_order.max(told.order);
            siblings.copies.extend(told.said().map(|id| (id, told.order)));
        }
        siblings.shared = rows.all_shared()?.into_iter().map(|shared| (shared.name.clone(), shared)).collect();
        Ok(siblings)
    }

    fn meet(&mut self, list: Option<&DeviceList>, own: DeviceId) {
        let all = list.map(|list| list.devices.as_slice()).unwrap_or_default();
        self.others = all.iter().map(|device| device.id).filter(|id| *id != own).collect();
    }

    /// Why nothing is done on a link, where that is for good.
    pub(super) fn reason(&self) -> Option<&'static str> {
        self.row.revoked.then_some(REVOKED)
    }
}

impl Engine {
    /// Whether the account is at its relay, and this device one of it.
    pub(super) fn is_enrolled(&self) -> bool {
        (self.own.receipt.is_some() || self.siblings.row.linked) && !self.siblings.row.revoked
    }

    /// Whether it is one's own name, whose devices are one's own.
    pub(super) fn is_own(&self, name: &Name) -> bool {
        *name == self.own.name
    }

    /// Everybody but oneself.
    pub(super) fn people(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values().filter(|contact| contact.name != self.own.name)
    }

    /// Whether there are other devices.
    pub(super) fn has_siblings(&self) -> bool {
        !self.siblings.others.is_empty()
    }

    /// Whether it was linked to the account, and so begins in the middle. **[MSG-46]**
    pub(super) fn was_linked(&self) -> bool {
        self.siblings.row.linked
    }

    /// What contacts may be given to reach the account by; not before this device knows it. **[MSG-45]**
    pub(super) fn knows_token(&self) -> bool {
        self.own.token.0 != [0; 32]
    }

    pub(super) fn put_siblings(&self) -> Stored<()> {
        self.rows().put_devices(&self.siblings.row)
    }

    pub(super) fn revoked_error() -> Error {
        Error::new(ErrorCode::Refused, "this device belongs to the account no more")
            .because("it was revoked, or the account was restored on another device, which has taken its place")
            .advise("sealpost history NAME still shows what was said; sealpost wipe deletes it")
    }
}
