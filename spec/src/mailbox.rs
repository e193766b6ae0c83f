#![doc = include_str!("../mailbox.md")]

use serde::{Deserialize, Serialize};

use crate::relay::Notice;
use crate::room::{Post, RoomName};
use crate::wire::Bytes;

/// Most envelopes that wait in a mailbox: a week of a busy person, and a bound for an attacker. **[BOX-4]**
pub const MAX_ENVELOPES: usize = 1_000;
/// Most bytes that wait in a mailbox. **[BOX-4]**
pub const MAX_MAILBOX_BYTES: usize = 64 * 1024 * 1024;
/// How long an envelope waits, in milliseconds: 30 days, as long as the sender's outbox keeps it. **[BOX-5]**
pub const MAX_AGE_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Most entries in one acknowledgement: a whole mailbox.
pub const MAX_ACKNOWLEDGE: usize = 1_000;

/// Where a device's envelopes wait: the first 16 bytes of SHA-256 of label and device key. **[BOX-1]**
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MailboxId(pub [u8; 16]);

/// Names an envelope; random, chosen by its sender, the same on every resend. **[BOX-2]**
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EnvelopeId(pub [u8; 16]);

/// Random, new with every empty store: tells a client that the relay may have forgotten what it accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoreId(pub [u8; 16]);

macro_rules! debug_by_prefix {
    ($($type:ident),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($type), "({:02x}{:02x}{:02x}{:02x}..)"), a, b, c, d)
            }
        }
    )*};
}
debug_by_prefix!(MailboxId, EnvelopeId, StoreId);

/// Place in a log: strictly rising, gaps allowed, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// The secret that lets who holds it deliver to an account without working for it. Random, one per account, sent
/// inside messages. **[BOX-6]**
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryToken(pub [u8; 32]);

impl std::fmt::Debug for DeliveryToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryToken(..)")
    }
}

/// SHA-256 of label and [`DeliveryToken`]: what the relay stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

/// A sealed box with its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Where it goes.
    pub mailbox: MailboxId,
    /// Which it is.
    pub id: EnvelopeId,
    /// The box: [`crate::message::SealedBox`].
    pub sealed: Bytes,
}

/// What a relay sends without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// An envelope in the mailbox of the device that is logged in. Pushed again on each login until acknowledged.
    Envelope {
        /// Its place in the mailbox.
        seq: Seq,
        /// The envelope's id.
        id: EnvelopeId,
        /// The box.
        sealed: Bytes,
    },
    /// A post of a room that this link follows.
    Post {
        /// The room.
        room: RoomName,
        /// The relay's order, a claim.
        seq: Seq,
        /// The post.
        post: Post,
    },
    /// What the relay's operator wants everybody to know. Pushed once on each link, as long as it stands. **[RELAY-21]**
    Notice(Notice),
}
