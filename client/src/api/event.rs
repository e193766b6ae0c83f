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
        /// It is their only one: those before are gone.
        #[serde(default)]
        replaces: bool,
    },
    /// A profile runs twice, or goes on from an older copy: sessions with it begin anew by themselves, and what was said since may be
    /// missing in it.
    Restored {
        /// Whose, as somebody one talks to; one's own where there is none.
        name: Option<String>,
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
        /// Of a room: what it is about; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        topic: Option<Text>,
        /// Of a room: `@alice`, who made it and decides in it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        creator: Option<String>,
        /// Of a person: one's own label for them.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        label: Option<Text>,
        /// Of a person: what they want to be called; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        display: Option<Text>,
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
        /// One's own label for them.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        label: Option<Text>,
        /// What they want to be called; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        display: Option<Text>,
    },
    /// All that is known of somebody.
    Person {
        /// Name.
        name: String,
        /// Fingerprint that is pinned; of whom one does not know, the one that the relay shows.
        fingerprint: String,
        /// What is known of the key.
        trust: Trust,
        /// One's own label for them.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        label: Option<Text>,
        /// What they want to be called; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        display: Option<Text>,
        /// Why they are away, where they are; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        away: Option<Text>,
        /// Nothing of them is shown.
        blocked: bool,
        /// One has written to them or added them.
        accepted: bool,
        /// Where the key has changed: the fingerprint that the relay shows now.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        changed: Option<String>,
        /// Rooms of one's own in which they were seen.
        rooms: Vec<String>,
        /// The numbers of their devices, as far as they are known.
        devices: Vec<u32>,
        /// When their key was first seen, RFC 3339 with milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        first_seen: Option<String>,
        /// Since when the key is verified, RFC 3339 with milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        verified_since: Option<String>,
    },
    /// Somebody has said in a room what they want to be called, or that they are away or back.
    About {
        /// `#room`
        conversation: String,
        /// `@bob`
        from: String,
        /// What they want to be called; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        display: Option<Text>,
        /// Why they are away, where they are; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        away: Option<Text>,
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
        /// What it is about, as far as one knows; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        topic: Option<Text>,
        /// `@alice`: who made it, as far as one knows.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        creator: Option<String>,
    },
    /// A member of a room.
    Presence {
        /// `#room`
        room: String,
        /// `@name`
        name: String,
        /// Whether a device is connected.
        online: bool,
        /// Made the room.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        creator: bool,
        /// One's own label for them.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        label: Option<Text>,
        /// What they want to be called; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        display: Option<Text>,
        /// Why they are away, where they are; text from strangers.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        away: Option<Text>,
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
    /// What a self-check found; it names nobody.
    Check {
        /// What was looked at, in a word or two.
        what: String,
        /// How it is.
        found: Found,
        /// In a sentence.
        detail: String,
        /// What to do, where it is not well.
        #[serde(rename = "try", skip_serializing_if = "Option::is_none", default)]
        advice: Option<String>,
    },
    /// A device of one's own account.
    Device {
        /// Its number.
        device: u32,
        /// It is this one.
        this: bool,
        /// What it showed when it was added, to tell it from others.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
    },
    /// What a machine shows that is to become a device.
    DeviceRequest {
        /// To be given to `device add` on the first device.
        request: String,
        /// Both machines show it; a person compares.
        code: String,
    },
    /// A relay that is saved under a name.
    Relay {
        /// What the person calls it.
        name: String,
        /// Its address.
        address: String,
    },
    /// A profile of this user.
    Profile {
        /// What the person calls it.
        name: String,
        /// A process holds it.
        held: bool,
    },
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

/// What a self-check makes of what it looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It is well.
    Ok,
    /// It works, and not as it should.
    Warn,
    /// It does not work.
    Fail,
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
