#![doc = include_str!("../relay.md")]

mod address;
mod hello;
mod refusal;

use serde::{Deserialize, Serialize};

pub use address::{Address, Host, InvalidAddress, RelayPin};
pub use hello::{ClientHello, LinkKind, Registering, RelayHello, WorkPrice};
pub use refusal::Refusal;

use crate::account::{Bundle, DeviceId, Name, PrekeyCounts, PublishedKeys};
use crate::attachment::BlobId;
use crate::mailbox::{DeliveryToken, Envelope, EnvelopeId, Seq, TokenHash};
use crate::room::{Post, PostId, RoomName};
use crate::wire::{Bytes, Signature, Signed};

/// Shows that a request cost its sender something; bound to this link and these bytes. **[RELAY-9]**
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The number of this proof on its link, from 1, strictly rising: no proof counts twice.
    pub counter: u64,
    /// Makes the hash small enough.
    pub nonce: u64,
}

/// Proves that a device is present on this very link: a signature over [`crate::account::LoginProof`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Who.
    pub name: Name,
    /// With which device.
    pub device: DeviceId,
    /// The profile's generation, raised and stored before each login. **[ACCT-12]**
    pub generation: u64,
    /// By the device's key.
    pub signature: Signature,
}

/// Publishes an account, or publishes it anew to a relay that lost its store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The account's [`crate::account::DeviceList`].
    pub list: Signed,
    /// The keys of the device that registers.
    pub keys: PublishedKeys,
    /// Of the account's delivery token.
    pub token: TokenHash,
    /// What the relay gave at the first registration, where there was one.
    pub receipt: Option<Signed>,
    /// Where the relay asks for one.
    pub invite: Option<String>,
    /// By a device of the list, on this link.
    pub login: Login,
}

/// What a client asks. The comment of each names the link on which it is allowed. **[RELAY-7]**
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "a request lives for one answer, and most carry kilobytes anyway")]
pub enum Request {
    /// Authenticated link, before a login, which it includes. Answered by [`Answer::Registered`].
    Register(Registration),
    /// Authenticated link. Answered by [`Answer::LoggedIn`].
    Login(Login),
    /// Logged in. Replaces the keys that are present and adds the one-time ones. Answered by [`Answer::Published`].
    Publish(PublishedKeys),
    /// Logged in. Replaces the account's delivery token at once. Answered by [`Answer::Done`].
    SetToken(TokenHash),
    /// Logged in. Trims the mailbox: each pair must match. Answered by [`Answer::Done`].
    Acknowledge(Vec<(Seq, EnvelopeId)>),
    /// Anonymous link, with work. One of each one-time prekey is used up. Answered by [`Answer::Bundle`]. Logged in: the
    /// keys of the account's other devices. **[RELAY-27]**
    FetchBundle(Name),
    /// Either link; on an anonymous one with work. Answered by [`Answer::Devices`]: the device list alone.
    FetchDevices(Name),
    /// Anonymous link, with token or work. Answered by [`Answer::Accepted`] once durable. Logged in: to a device of the
    /// account itself. **[RELAY-27]**
    Deliver {
        /// The account's delivery token, where the sender has one.
        token: Option<DeliveryToken>,
        /// What is delivered.
        envelope: Envelope,
    },
    /// Logged in. Answered by [`Answer::Posted`] once durable.
    Post(Post),
    /// Logged in. From now on the posts of this room after `after` are pushed, old ones first.
    /// Answered by [`Answer::Done`].
    Follow {
        /// The room.
        room: RoomName,
        /// The last post that the client has; 0 for all.
        after: Seq,
    },
    /// Logged in. Ends [`Request::Follow`]. Answered by [`Answer::Done`].
    Unfollow(RoomName),
    /// Logged in. Answered by [`Answer::Rooms`]: at most [`MAX_LISTED`], in order of names, after this one.
    Rooms {
        /// Where the previous page ended.
        after: Option<RoomName>,
    },
    /// Logged in. Answered by [`Answer::Members`]: at most [`MAX_LISTED`], in order of names, after this one.
    Members {
        /// The room.
        room: RoomName,
        /// Where the previous page ended.
        after: Option<Name>,
    },
    /// Anonymous link, with token or work: a part of a sealed attachment. Answered by [`Answer::Stored`] once durable.
    /// **[FILE-5]**
    PutBlob {
        /// For whom.
        recipient: Name,
        /// The account's delivery token, where the sender has one.
        token: Option<DeliveryToken>,
        /// Which.
        blob: BlobId,
        /// How many parts it will have.
        parts: u32,
        /// The number of this part, from 0.
        part: u32,
        /// This part: [`crate::attachment::PART`] bytes, or none to ask how far the relay has come.
        bytes: Bytes,
    },
    /// Anonymous link. Answered by [`Answer::Blob`]. **[FILE-10]**
    FetchBlob {
        /// Which.
        blob: BlobId,
        /// The number of the part, from 0.
        part: u32,
    },
    /// Logged in: removes a blob of one's own account. Answered by [`Answer::Done`], also where there is none.
    /// **[FILE-11]**
    DropBlob(BlobId),
    /// Logged in: who made a room, and where the relay has lost it, who did. Answered by [`Answer::Room`]. **[ROOM-12]**
    Room {
        /// Which.
        room: RoomName,
        /// What a relay of this key gave before. **[ROOM-14]**
        receipt: Option<Signed>,
    },
    /// Logged in: removes the account with all that is its, and frees the name. Answered by [`Answer::Done`]; nobody is
    /// logged in on the link then. **[ACCT-19]**
    Unregister {
        /// Over [`crate::account::LeaveProof`], by the account's key.
        signature: Signature,
    },
    /// Logged in: the account's next device list, with its delivery token. Answered by [`Answer::Done`]. **[RELAY-26]**
    SetDevices {
        /// The account's [`crate::account::DeviceList`].
        list: Signed,
        /// Of the account's delivery token.
        token: TokenHash,
    },
}

/// Most entries of one page of a list.
pub const MAX_LISTED: usize = 500;

/// What a relay answers where it does not refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done, and durable.
    Done,
    /// The account is registered and the device logged in.
    Registered {
        /// A [`crate::account::NameReceipt`].
        receipt: Signed,
        /// The generation that this device presented last; 0 for none.
        generation: u64,
        /// One-time prekeys that are left.
        keys: PrekeyCounts,
    },
    /// The device is logged in; its mailbox follows.
    LoggedIn {
        /// The generation that this device presented last; 0 for none.
        generation: u64,
        /// One-time prekeys that are left.
        keys: PrekeyCounts,
    },
    /// The keys are published.
    Published {
        /// One-time prekeys that there are now.
        keys: PrekeyCounts,
    },
    /// The bundle.
    Bundle(Bundle),
    /// The device list.
    Devices(Signed),
    /// The envelope is durable, or committed by its recipient's device.
    Accepted {
        /// Its place in the mailbox.
        seq: Seq,
    },
    /// The post is durable.
    Posted {
        /// Its place in the room.
        seq: Seq,
        /// Which post this is about.
        id: PostId,
    },
    /// Rooms.
    Rooms(Vec<RoomSummary>),
    /// Members of a room.
    Members(Vec<Member>),
    /// A part of a sealed attachment.
    Blob {
        /// How many parts it has.
        parts: u32,
        /// This part.
        bytes: Bytes,
    },
    /// So much of a sealed attachment is durable.
    Stored {
        /// Parts, from the first on.
        parts: u32,
    },
    /// A room.
    Room {
        /// A [`crate::room::RoomReceipt`], where it has a creator.
        receipt: Option<Signed>,
    },
}

/// Names a notice; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NoticeId(pub [u8; 16]);

/// Longest notice in bytes: 500 characters, whichever they are. **[RELAY-21]**
pub const MAX_NOTICE: usize = 2_000;

/// What the operator wants everybody to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Which it is: the same one is shown once.
    pub id: NoticeId,
    /// Since when it stands, by the relay's clock, in Unix milliseconds.
    pub time: u64,
    /// The operator's words: a line of at most [`MAX_NOTICE`] bytes.
    pub text: String,
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Its name.
    pub room: RoomName,
    /// How many members it has.
    pub members: u32,
    /// How many posts.
    pub posts: u64,
}

/// A member in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub name: Name,
    /// Whether a device of this account is logged in.
    pub online: bool,
}
