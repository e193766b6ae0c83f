//! Messages and posts, as history and faces show them.

use serde::{Deserialize, Serialize};

use super::{Text, Transfer};

/// How far a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Stored here, not yet at the relay.
    Queued,
    /// Durable at the relay.
    Sent,
    /// A device of the recipient has stored it.
    Delivered,
    /// It has been shown there.
    Read,
    /// No device confirmed it in 30 days, or the relay refused it for good.
    NotDelivered,
    /// It came from somebody else.
    Received,
}

/// What is known of a person's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Compared in person, or taken from a link.
    Verified,
    /// Pinned when it was first seen.
    Unverified,
    /// Another key stands under the name: nothing is sent until `trust`.
    KeyChanged,
}

impl Trust {
    /// As every face writes it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::KeyChanged => "key changed",
        }
    }
}

/// A message or post, as history and faces show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message {
    /// 32 hexadecimal digits, the same on both sides.
    pub id: String,
    /// `@bob` or `#room`.
    pub conversation: String,
    /// `@alice`: who wrote it.
    pub from: String,
    /// Whether the author's key was verified in person. Always true of one's own.
    pub verified: bool,
    /// What is known of the author's key.
    pub trust: Trust,
    /// By the author's clock, RFC 3339 with milliseconds.
    pub sent_at: String,
    /// What it says; text from strangers.
    pub text: Text,
    /// `text`, `reply`, `edit`, `delete`, `reaction`, `join`, `leave`, `removed`, `timer`, `file`, `topic`, `kick`, `ban`,
    /// `unban`.
    pub kind: Kind,
    /// The message that this one is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// How far it came.
    pub state: State,
    /// From somebody whom one has not yet written to or added.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub request: bool,
    /// Its author has changed the text since.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub edited: bool,
    /// What people think of it: one each at most.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reactions: Vec<Reaction>,
    /// When it is deleted here, RFC 3339 with milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<String>,
    /// Somebody else has written one's own name, with `@` before it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub mentions_me: bool,
    /// `/me`: the text says what the author does, as in *alice waves*.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub action: bool,
    /// The file that it announces.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Box<Transfer>>,
    /// One's own label for the author.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<Text>,
    /// What the author wants to be called; text from strangers, and no proof of anything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub display: Option<Text>,
    /// `@bob`: whom a kick, ban or unban is about; the text says why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub whom: Option<String>,
}

/// What somebody thinks of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reaction {
    /// An emoji; text from strangers.
    pub emoji: Text,
    /// `@alice`
    pub from: String,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text.
    Text,
    /// Text in answer to the target.
    Reply,
    /// New text of the target.
    Edit,
    /// Takes the target back.
    Delete,
    /// A reaction to the target.
    Reaction,
    /// The author became a member of the room.
    Join,
    /// The author left the room.
    Leave,
    /// Deleted by its author or by the relay's operator; the text says which.
    Removed,
    /// The author set after what time messages are deleted; the text says it.
    Timer,
    /// Announces a file; the text is its name.
    File,
    /// The room's creator says what the room is about.
    Topic,
    /// The room's creator ended somebody's membership.
    Kick,
    /// The same, and keeps them out.
    Ban,
    /// The room's creator lets somebody in again.
    Unban,
    /// The room's creator removed the target.
    Remove,
    /// The author's display name.
    Name,
    /// Why the author is away.
    Away,
}
