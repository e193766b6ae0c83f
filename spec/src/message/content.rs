use serde::{Deserialize, Serialize};

use crate::attachment::BlobId;
use crate::mailbox::{DeliveryToken, EnvelopeId};
use crate::transparency::TreeHead;
use crate::wire::Bytes;

/// Most messages or envelopes that one receipt or request names.
pub const MAX_NAMED: usize = 128;
/// Longest reaction in bytes: a family emoji with skin tones takes 41.
pub const MAX_EMOJI: usize = 64;

/// Names a message for ever, across sessions and resends; random. A second content with the same id from the same
/// account is never shown. **[MSG-24]**
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentId(pub [u8; 16]);

impl std::fmt::Debug for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentId({self})")
    }
}

impl std::fmt::Display for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What a session message encrypts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its id.
    pub id: ContentId,
    /// Counts, from 1, what this device sent to this account and wants confirmed; goes on across sessions. 0: receipts
    /// and requests, which are not counted. **[MSG-25]**
    pub number: u64,
    /// Unix time in milliseconds by the sender's clock, a claim.
    pub sent_at: u64,
    /// Seconds after which both sides delete it; 0 is as none. **[MSG-40]**
    pub expire_after: Option<u32>,
    /// The sender's delivery token, so that the recipient can reply without work.
    pub token: Option<DeliveryToken>,
    /// The newest tree head that the sender has seen.
    pub tree_head: TreeHead,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Text.
    Text(String),
    /// New text of one's own earlier message.
    Edit {
        /// Which.
        target: ContentId,
        /// The new text.
        text: String,
    },
    /// Takes one's own earlier message back.
    Delete {
        /// Which.
        target: ContentId,
    },
    /// Text that answers a message.
    Reply {
        /// Which.
        target: ContentId,
        /// The text.
        text: String,
    },
    /// A reaction to a message; empty takes it back.
    Reaction {
        /// Which.
        target: ContentId,
        /// At most [`MAX_EMOJI`] bytes.
        emoji: String,
    },
    /// Confirms what was stored or read.
    Receipt(Receipt),
    /// Announces an attachment. **[FILE-9]**
    File(FilePointer),
    /// Sets the conversation's expiry timer; `None` takes it away.
    Timer(Option<u32>),
    /// For the sender's own other devices: an encoded list of [`super::DeviceSync`] items, each as bytes. **[MSG-42]**
    DeviceSync(Bytes),
    /// Envelopes that could not be read; their contents are wanted again over this session.
    Repair(Vec<EnvelopeId>),
    /// Whether the sender is writing. Not stored. **[MSG-41]**
    Typing(bool),
}

/// Confirms messages by their numbers. Cumulative: each receipt repeats what earlier ones said, so that any one may be
/// lost. **[MSG-27]**
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `false`: stored by the recipient's device; `true`: also shown to the person.
    pub read: bool,
    /// All numbers up to this one.
    pub through: u64,
    /// Single numbers above `through`, rising, at most [`MAX_NAMED`].
    pub also: Vec<u64>,
}

/// Where an attachment is and how it is opened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePointer {
    /// Where at the recipient's relay.
    pub blob: BlobId,
    /// Name that the sender suggests; text from a stranger.
    pub name: String,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub hash: [u8; 32],
    /// The file key.
    pub key: [u8; 32],
}

impl std::fmt::Debug for FilePointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FilePointer(..)")
    }
}
