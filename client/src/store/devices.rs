//! The account's devices: what this one is among them, and what it has still to tell the others.

use sealpost_spec::account::{AccountKey, DeviceId, Fingerprint};
use sealpost_spec::message::{ContentId, DeviceSync};
use serde::{Deserialize, Serialize};

use super::rows::{Rows, Stored, Table};

const SETTING: Table = Table("setting");
const TOLD: Table = Table("told");
const SHARED: Table = Table("shared");

/// What this device is to its account, and what became of it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Devices {
    /// The account whose device this machine is to become. **[ACCT-25]**
    pub(crate) linking: Option<Fingerprint>,
    /// It was linked: the account's key is elsewhere.
    pub(crate) linked: bool,
    /// The others have told it what they know. **[MSG-45]**
    pub(crate) ready: bool,
    /// A newer list does not name it. **[ACCT-28]**
    pub(crate) revoked: bool,
    /// The relay has yet to take the newest list.
    pub(crate) unpublished: bool,
    /// When the delivery token was changed last, Unix milliseconds.
    pub(crate) token_at: u64,
    /// The same of the settings.
    pub(crate) settings_at: u64,
    /// Which of the others said so; its own id where it did.
    pub(crate) settings_by: DeviceNumber,
    pub(crate) token_by: DeviceNumber,
}

/// A device's number; 0 for none.
pub(crate) type DeviceNumber = u32;

/// Something that the other devices are to learn.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Rising.
    pub(crate) order: u64,
    /// Not before, Unix milliseconds. **[MSG-43]**
    pub(crate) due: u64,
    pub(crate) item: DeviceSync,
}

impl Told {
    /// What was said, where it is a copy.
    pub(crate) fn said(&self) -> Option<ContentId> {
        match &self.item {
            DeviceSync::Said { content, .. } => Some(content.id),
            _ => None,
        }
    }
}

/// What all devices know of a person or room, and which of them said so. **[MSG-44]**
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shared {
    /// `@bob` or `#room`.
    pub(crate) name: String,
    pub(crate) state: Decided,
    /// When, Unix milliseconds, and by which device.
    pub(crate) at: u64,
    pub(crate) by: DeviceId,
}

/// What somebody decided of a person or room.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Decided {
    Person {
        account: Option<AccountKey>,
        pinned: Option<Fingerprint>,
        verified: bool,
        accepted: bool,
        blocked: bool,
        muted: bool,
        expire_after: Option<u32>,
        label: String,
    },
    Room {
        joined: bool,
        muted: bool,
    },
}

impl Decided {
    /// Whether this says no more of a person than that they are known; of a room it always says whether one is in it.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::Person { verified, accepted, blocked, muted, label, .. } => {
                !verified && !accepted && !blocked && !muted && label.is_empty()
            }
            Self::Room { .. } => false,
        }
    }
}

impl Rows {
    pub(crate) fn devices(&self) -> Stored<Devices> {
        Ok(self.get(SETTING, b"devices")?.unwrap_or_default())
    }
    pub(crate) fn put_devices(&self, devices: &Devices) -> Stored<()> {
        self.put(SETTING, b"devices", devices)
    }
    /// What waits to be told, oldest first.
    pub(crate) fn told(&self, limit: u32) -> Stored<Vec<Told>> {
        self.some(TOLD, limit)
    }
    pub(crate) fn told_at(&self, order: u64) -> Stored<Option<Told>> {
        self.get(TOLD, &order.to_le_bytes())
    }
    pub(crate) fn put_told(&self, told: &Told) -> Stored<()> {
        self.put(TOLD, &told.order.to_le_bytes(), told)
    }
    pub(crate) fn delete_told(&self, order: u64) -> Stored<()> {
        self.delete(TOLD, &order.to_le_bytes()).map(drop)
    }
    pub(crate) fn all_shared(&self) -> Stored<Vec<Shared>> {
        self.all(SHARED)
    }
    pub(crate) fn put_shared(&self, shared: &Shared) -> Stored<()> {
        self.put(SHARED, shared.name.as_bytes(), shared)
    }
}
