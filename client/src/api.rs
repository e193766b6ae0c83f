//! What faces and programs say to the engine, and what they hear: this file is the JSON schema.
//!
//! A [`Command`] with a number goes in; [`Event`]s come out, those that answer a command with its number, the last one
//! of them being [`Event::End`]. The same lines travel over the profile's socket, one JSON object a line. Fields are
//! only ever added.

mod text;

use serde::{Deserialize, Serialize};

pub use text::Text;
pub(crate) use text::{in_words, is_obeyed};

/// Version of the JSON below.
pub const VERSION: u32 = 1;

/// What a person or program asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Registers a new profile at its relay. Answered by [`Event::Me`].
    Register {
        /// A token, where the relay asks for one.
        invite: Option<String>,
    },
    /// One's own name, fingerprint and contact link. Answered by [`Event::Me`].
    Me,
    /// Takes a contact link: the person is verified from now on. Answered by [`Event::Contact`].
    Add {
        /// `sealpost://HOST:PORT/KEY/NAME?fp=FINGERPRINT`
        link: String,
    },
    /// Sends text. Answered by [`Event::Queued`], then by [`Event::State`] until `wait` is reached.
    Send {
        /// `bob`, `@bob` or `#room`.
        to: String,
        /// The text.
        text: String,
        /// How far the message must come before the command ends.
        #[serde(default)]
        wait: Wait,
        /// After how long to give up waiting, in milliseconds; the message stays queued.
        #[serde(default = "a_while")]
        timeout_ms: u64,
        /// Seconds after which both sides delete it, whatever the conversation's timer says; not in rooms.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expire: Option<u32>,
    },
    /// Messages that are not read yet, oldest first, as [`Event::Message`]; marks them as read. Edits, deletions and
    /// reactions are given too, where they change what was given before.
    Recv {
        /// Only of this conversation.
        from: Option<String>,
        /// At most so many.
        limit: Option<u32>,
        /// Do not end: go on with what arrives.
        #[serde(default)]
        follow: bool,
        /// Without `follow`: wait so long for the mailbox to be drained, in milliseconds.
        #[serde(default = "a_while")]
        timeout_ms: u64,
    },
    /// Local history of a conversation, oldest first, as [`Event::Message`] and [`Event::Gap`].
    History {
        /// `bob`, `@bob` or `#room`.
        with: String,
        /// The newest so many.
        limit: Option<u32>,
        /// Only what stands before this message: its id or a unique prefix of four characters.
        before: Option<String>,
    },
    /// All events from now on, until the connection closes: what `chat` shows.
    Subscribe,
    /// The safety number with somebody, or one's own key. Answered by [`Event::Safety`].
    Verify {
        /// With whom; oneself otherwise.
        name: Option<String>,
        /// The number that the other side shows: compares and marks as verified. Spaces are ignored.
        mark: Option<String>,
    },
    /// Accepts a changed key. Answered by [`Event::Contact`].
    Trust {
        /// Whose.
        name: String,
        /// The new key's fingerprint.
        fingerprint: String,
    },
    /// Becomes a member of a room, which is made where there is none. Answered by [`Event::Done`].
    Join {
        /// `#room`
        room: String,
    },
    /// Ends a membership. Answered by [`Event::Done`].
    Leave {
        /// `#room`
        room: String,
    },
    /// The relay's rooms. Answered by [`Event::Room`] each.
    Rooms,
    /// Members of a room (default `#lobby`). Answered by [`Event::Presence`] each.
    Who {
        /// `#room`
        room: Option<String>,
    },
    /// Everybody known. Answered by [`Event::Contact`] each.
    Contacts,
    /// Shows nothing more of somebody and replaces the delivery token. Answered by [`Event::Contact`].
    Block {
        /// Whom.
        name: String,
    },
    /// Takes [`Command::Block`] back. Answered by [`Event::Contact`].
    Unblock {
        /// Whom.
        name: String,
    },
    /// Everybody one talks with and every room, the newest conversation first. Answered by [`Event::Conversation`] each.
    Conversations,
    /// Marks messages as read. Answered by [`Event::Done`].
    Read {
        /// `bob`, `@bob` or `#room`.
        with: String,
        /// Up to this message: its id or a unique prefix of four characters. Otherwise all.
        through: Option<String>,
    },
    /// Answers a message. Answered as [`Command::Send`].
    Reply {
        /// Which: its id or a unique prefix of four characters.
        id: String,
        /// The text.
        text: String,
        /// How far the message must come before the command ends.
        #[serde(default)]
        wait: Wait,
        /// After how long to give up waiting, in milliseconds; the message stays queued.
        #[serde(default = "a_while")]
        timeout_ms: u64,
    },
    /// Replaces the text of one's own message. Answered by [`Event::Queued`], then by [`Event::State`] until it is sent.
    Edit {
        /// Which; one's own last message in `within` otherwise.
        id: Option<String>,
        /// `bob`, `@bob` or `#room`.
        within: Option<String>,
        /// The new text.
        text: String,
    },
    /// Takes one's own message back. Answered as [`Command::Edit`].
    Delete {
        /// Which; one's own last message in `within` otherwise.
        id: Option<String>,
        /// `bob`, `@bob` or `#room`.
        within: Option<String>,
    },
    /// Reacts to a message; a person has one reaction to it, the newest. Answered as [`Command::Edit`].
    React {
        /// Which.
        id: String,
        /// An emoji; empty takes the reaction back.
        emoji: String,
    },
    /// Takes a stranger for somebody one talks with: what they sent is confirmed from now on. Answered by
    /// [`Event::Contact`].
    Accept {
        /// Whom.
        name: String,
    },
    /// Deletes what a stranger has sent, and tells them nothing. Answered by [`Event::Done`].
    Refuse {
        /// Whom.
        name: String,
    },
    /// Whether a face draws attention to what comes in a conversation. Answered by [`Event::Conversation`].
    Mute {
        /// `bob`, `@bob` or `#room`.
        with: String,
        /// `true`: it does not.
        on: bool,
    },
    /// Keeps text that is not sent yet; empty forgets it. Answered by [`Event::Done`].
    Draft {
        /// `bob`, `@bob` or `#room`.
        with: String,
        /// The text.
        text: String,
    },
    /// Sets after how many seconds messages of a conversation are deleted, on both sides; both are told. Answered as
    /// [`Command::Edit`].
    Expire {
        /// `bob` or `@bob`.
        with: String,
        /// `None`: they are kept.
        seconds: Option<u32>,
    },
    /// Tells somebody that one is typing, where [`Command::Settings`] allows it. Answered by [`Event::Done`].
    Typing {
        /// `bob` or `@bob`; of a room nobody is told.
        to: String,
        /// Whether one still is.
        on: bool,
    },
    /// Changes what is given, and tells how it is. Answered by [`Event::Settings`].
    Settings {
        /// Whether people whom one has accepted learn what one has read.
        read_receipts: Option<bool>,
        /// Whether they learn when one is typing.
        typing: Option<bool>,
    },
    /// Messages that have all these words, oldest first. Answered by [`Event::Message`] each.
    Search {
        /// Parts of words are found too; case does not matter.
        words: String,
        /// Only in this conversation: `bob`, `@bob` or `#room`.
        with: Option<String>,
        /// The newest so many.
        limit: Option<u32>,
    },
    /// Connection, transport and queue. Answered by [`Event::Status`].
    Status,
    /// Makes a token with which a program may speak in some conversations and nowhere else. Answered by [`Event::Bot`].
    BotAdd {
        /// What the person calls the program.
        name: String,
        /// `@bob` or `#room`; none: all of them, and every command.
        conversations: Vec<String>,
        /// It hears and reads, and says nothing.
        #[serde(default)]
        read_only: bool,
    },
    /// The programs that have a token. Answered by [`Event::Bot`] each.
    Bots,
    /// Makes a program's token worthless. Answered by [`Event::Done`].
    BotRemove {
        /// What the person calls it.
        name: String,
    },
    /// Whose token this is. Answered by [`Event::Bot`].
    BotCheck {
        /// The token.
        token: String,
    },
    /// Ends the holder of the profile after what is under way: for tests and `wipe`. Answered by [`Event::Done`].
    Stop,
}

/// What a program waits, in milliseconds, that does not say how long.
const fn a_while() -> u64 {
    30_000
}

/// How far a message must come before `send` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Stored in the outbox.
    Queued,
    /// Durable at the relay.
    #[default]
    Sent,
    /// Stored by a device of the recipient.
    Delivered,
    /// Read by the recipient, who tells that only if they want to.
    Read,
}

/// How far a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// `text`, `reply`, `edit`, `delete`, `reaction`, `join`, `leave`, `removed`, `timer`.
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
}

/// What somebody thinks of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// An emoji; text from strangers.
    pub emoji: Text,
    /// `@alice`
    pub from: String,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// What the engine tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// An error: what happened, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Stable.
    pub code: ErrorCode,
    /// The exit code that belongs to it.
    pub exit: u8,
    /// What happened.
    pub message: String,
    /// Why, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// What to do: an exact command where there is one.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none", default)]
    pub advice: Option<String>,
}

/// Stable names of errors; each has one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Something that should not have happened.
    Failed,
    /// The command makes no sense.
    Usage,
    /// The relay can't be reached, or took too long.
    Unreachable,
    /// The relay's key is not the one in its address.
    WrongRelay,
    /// Somebody's key is not the pinned one.
    KeyChanged,
    /// A number or fingerprint differs.
    NotTrusted,
    /// Wrong passphrase, or the profile was altered.
    Locked,
    /// Another process holds the profile and does not answer.
    InUse,
    /// There is no profile here yet.
    NoProfile,
    /// Nobody has this name.
    NoSuchName,
    /// No such room.
    NoSuchRoom,
    /// No such message.
    NoSuchMessage,
    /// The relay refused.
    Refused,
    /// It is queued and has not come as far as was asked.
    Waiting,
    /// Interrupted.
    Interrupted,
}

impl ErrorCode {
    /// The exit code of a process that ends with this error.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable | Self::WrongRelay => 3,
            Self::KeyChanged | Self::NotTrusted => 4,
            Self::Locked | Self::InUse | Self::NoProfile => 5,
            Self::NoSuchName | Self::NoSuchRoom | Self::NoSuchMessage => 6,
            Self::Refused => 7,
            Self::Waiting => 75,
            Self::Interrupted => 130,
        }
    }
}

impl Error {
    /// An error with neither cause nor advice.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, exit: code.exit(), message: message.into(), cause: None, advice: None }
    }
    /// With why it happened.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
    /// With what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}
