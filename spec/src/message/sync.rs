use serde::{Deserialize, Serialize};

use crate::account::{AccountKey, Fingerprint, Name};
use crate::mailbox::DeliveryToken;
use crate::message::{Content, ContentId};
use crate::room::RoomName;
use crate::wire::{Bytes, Signed, decode, encode};

/// Most items of one [`super::Body::DeviceSync`], and most things that one item names.
pub const MAX_ITEMS: usize = 256;

/// Something that a device tells the others of its account. **[MSG-42]**
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceSync {
    /// Everything that the others know is wanted. **[MSG-45]**
    Wanted,
    /// That was everything.
    Ready {
        /// The account's [`crate::account::NameReceipt`].
        receipt: Signed,
    },
    /// Something was said. **[MSG-43]**
    Said {
        /// To whom; to oneself, where it is a note.
        to: Name,
        /// The key that it was written for, where it was known.
        account: Option<AccountKey>,
        /// As it was sent, without the token.
        content: Content,
        /// How far it came by then.
        far: Far,
    },
    /// Things that were said before came further.
    Reached {
        /// Which, at most [`MAX_ITEMS`].
        ids: Vec<ContentId>,
        /// How far.
        far: Far,
    },
    /// Messages and posts were read.
    Read {
        /// Who wrote them, and their ids; at most [`MAX_ITEMS`].
        lines: Vec<(AccountKey, ContentId)>,
    },
    /// What was decided of a person. **[MSG-44]**
    Person(SyncedPerson),
    /// What was decided of a room.
    Room {
        /// When, Unix milliseconds.
        at: u64,
        /// Which.
        room: RoomName,
        /// One is a member.
        joined: bool,
        /// Nobody wants attention drawn to it.
        muted: bool,
    },
    /// What the person wants others to learn.
    Settings {
        /// Since when, Unix milliseconds.
        at: u64,
        /// What one has read.
        read_receipts: bool,
        /// When one is typing.
        typing: bool,
    },
    /// The account's delivery token.
    Token {
        /// Since when, Unix milliseconds.
        at: u64,
        /// It.
        token: DeliveryToken,
    },
}

/// How far something came that one said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Far {
    /// It waits at the device on which it was said.
    Queued,
    /// The relay has it.
    Sent,
    /// A device of the recipient has stored it.
    Delivered,
    /// It was read.
    Read,
    /// Nobody confirmed it in time.
    NotDelivered,
}

/// A person, as one of their contact's devices has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedPerson {
    /// When something of it was changed last, Unix milliseconds.
    pub at: u64,
    /// Who.
    pub name: Name,
    /// The pinned key, once it was seen.
    pub account: Option<AccountKey>,
    /// The fingerprint out of a link.
    pub pinned: Option<Fingerprint>,
    /// The newest device list of the pinned key.
    pub list: Option<Signed>,
    /// Lets one deliver to them without work.
    pub token: Option<DeliveryToken>,
    /// The key was compared.
    pub verified: bool,
    /// One has something to do with them.
    pub accepted: bool,
    /// Nothing of them is shown.
    pub blocked: bool,
    /// Nobody wants attention drawn to them.
    pub muted: bool,
    /// Seconds after which what one writes to them is deleted.
    pub expire_after: Option<u32>,
    /// One's own label for them; empty for none.
    pub label: String,
}

impl DeviceSync {
    /// The bytes of a body that tells these items; `None` where they are too many or too long.
    pub fn join(items: &[Bytes]) -> Option<Bytes> {
        (items.len() <= MAX_ITEMS).then(|| encode(&items)).flatten().map(Bytes)
    }

    /// The items of a body. What this version does not know is left out; `None` where it is no list of items.
    pub fn split(body: &Bytes) -> Option<Vec<Self>> {
        let items: Vec<Bytes> = decode(&body.0).ok()?;
        (items.len() <= MAX_ITEMS).then(|| items.iter().filter_map(|item| decode(&item.0).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceSync, MAX_ITEMS};
    use crate::wire::{Bytes, encode};

    /// What a later version adds is passed over, and what is known beside it counts.
    #[test]
    fn an_unknown_item_is_passed_over() {
        let known = |item: &DeviceSync| Bytes(encode(item).unwrap());
        let later = Bytes(999_u32.to_le_bytes().to_vec());
        let items = [known(&DeviceSync::Wanted), later, Bytes(Vec::new()), known(&DeviceSync::Wanted)];
        let body = DeviceSync::join(&items).unwrap();
        assert_eq!(DeviceSync::split(&body), Some(vec![DeviceSync::Wanted; 2]));
        assert_eq!(DeviceSync::split(&Bytes(vec![1])), None);
        assert_eq!(DeviceSync::join(&vec![Bytes(Vec::new()); MAX_ITEMS + 1]), None);
        let many = Bytes(encode(&vec![Bytes(Vec::new()); MAX_ITEMS + 1]).unwrap());
        assert_eq!(DeviceSync::split(&many), None);
    }
}
