//! What the engine tells.

use serde::{Deserialize, Serialize};

use super::{Error, Message, State, Text, Transfer, Trust};

/// What the engine tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message or post that arrived, was sent by oneself, or stands in history.
    Message(Message),
    /// A message is in the outbox.
    Queued {
        /// Its id.
        id: String,
        /// Where it goes.
        conversation: String,
    },
    /// A message came further: `sent`, `receipt` in the words of the interface.
    State {
        /// Its id.
        id: String,
        /// Where it went.
        conversation: String,
        /// How far.
        state: State,
    },
    /// Messages are missing between others of the same author.
    Gap {
        /// Where.
        conversation: String,
        /// Whose.
        from: String,
        /// How many.
        missing: u64,
    },
    /// Something that arrived was refused: forged, altered, unreadable. Nothing of it is shown.
    Refused {
        /// Where, as far as it is known.
        conversation: Option<String>,
        /// What, in a sentence.
        reason: String,
    },
    /// Another key stands under a known name.
    KeyChanged {
        /// Whose.
        name: String,
        /// The fingerprint that was pinned.
        old: String,
        /// The one that the relay shows now.
        new: String,
    },
    /// A known person has a device more, of the same key.
    NewDevice {
        /// Whose.
        name: String,
        /// Its number.
        device: u32,
    },
    /// One's own name and key.
    Me {
        /// Name.
        name: String,
        /// Fingerprint.
        fingerprint: String,
        /// Contact link.
        link: String,
        /// The relay's address.
        relay: String,
    },
    /// A conversation.
    Conversation {
        /// `@bob` or `#room`.
        name: String,
        /// What is known of the person's key; of a room, nothing.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        trust: Option<Trust>,
        /// Messages that are not read yet.
        unread: u32,
        /// Those of them that mention oneself.
        mentions: u32,
        /// Nobody wants attention drawn to it.
        muted: bool,
        /// A stranger has begun it, who is neither accepted nor refused.
        request: bool,
        /// Nothing of the person is shown.
        blocked: bool,
        /// Of a room: whether one is a member.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        joined: Option<bool>,
        /// Text that is not sent yet.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        draft: Option<Text>,
        /// Seconds after which messages are deleted.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expire_after: Option<u32>,
        /// The newest message.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        last: Option<Box<Message>>,
    },
    /// A person.
    Contact {
        /// Name.
        name: String,
        /// Fingerprint that is pinned.
        fingerprint: String,
        /// What is known of the key.
        trust: Trust,
        /// Nothing of them is shown.
        blocked: bool,
        /// One has written to them or added them.
        accepted: bool,
        /// Messages that are not read yet.
        unread: u32,
        /// Where the key has changed: the fingerprint that the relay shows now.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        changed: Option<String>,
    },
    /// Somebody is typing, or no longer is.
    Typing {
        /// `@bob`
        conversation: String,
        /// `@bob`
        from: String,
        /// Whether they are.
        on: bool,
    },
    /// What one wants others to learn.
    Settings {
        /// What one has read.
        read_receipts: bool,
        /// When one is typing.
        typing: bool,
    },
    /// A safety number.
    Safety {
        /// With whom; oneself otherwise.
        name: String,
        /// 60 digits in twelve groups of five; of oneself, the fingerprint.
        number: String,
        /// What a QR code holds.
        code: String,
        /// What is known of the key.
        trust: Trust,
    },
    /// A room.
    Room {
        /// `#room`
        name: String,
        /// Members.
        members: u32,
        /// Posts.
        posts: u64,
        /// Whether one is a member.
        joined: bool,
    },
    /// A member of a room.
    Presence {
        /// `#room`
        room: String,
        /// `@name`
        name: String,
        /// Whether a device is connected.
        online: bool,
    },
    /// How things are.
    Status {
        /// Name.
        name: String,
        /// The relay's address.
        relay: String,
        /// `connected`, `connecting` or `offline`, and why.
        connection: String,
        /// `tls1.3 X25519MLKEM768`.
        transport: String,
        /// Messages that the relay has not accepted yet.
        queued: u32,
        /// Messages that no device has confirmed yet.
        unconfirmed: u32,
        /// Everything in the mailbox has been read.
        drained: bool,
    },
    /// How far a file came.
    Progress(Transfer),
    /// Where a face can be reached from now on.
    Listening {
        /// The path of a socket.
        at: String,
    },
    /// A program that has a token.
    Bot(Bot),
    /// A program's token was made worthless.
    BotRemoved {
        /// What the person calls it.
        name: String,
    },
    /// The relay's operator wants everybody to know something; told once.
    Notice {
        /// 32 hexadecimal digits: which one it is.
        id: String,
        /// By the relay's clock, RFC 3339 with milliseconds.
        time: String,
        /// The operator's words.
        text: Text,
    },
    /// The link came up or went down.
    Connection {
        /// Whether it is up.
        online: bool,
        /// In a sentence.
        detail: String,
    },
    /// The holder of the profile has taken the command: from here on it is carried out, or its end is told.
    Taken,
    /// A command was carried out.
    Done,
    /// A command failed, or something went wrong by itself.
    Error(Error),
    /// The last event of a command.
    End,
}

/// A program that has a token: what it may do on the daemon's socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bot {
    /// What the person calls it.
    pub name: String,
    /// `@bob` or `#room`; none: all of them, and every command.
    pub conversations: Vec<String>,
    /// It hears and reads, and says nothing.
    pub read_only: bool,
    /// Its token, once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
}
