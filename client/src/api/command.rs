//! What is asked of the engine.

use serde::{Deserialize, Serialize};

/// What a person or program asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Registers a new profile at its relay. Answered by `Event::Me`.
    Register {
        /// A token, where the relay asks for one.
        invite: Option<String>,
    },
    /// One's own name, fingerprint and contact link. Answered by `Event::Me`.
    Me,
    /// Takes a contact link: the person is verified from now on. Answered by `Event::Contact`.
    Add {
        /// `sealpost://HOST:PORT/KEY/NAME?fp=FINGERPRINT`
        link: String,
    },
    /// Sends text. Answered by `Event::Queued`, then by `Event::State` until `wait` is reached.
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
    /// Messages that are not read yet, oldest first, as `Event::Message`; marks them as read. Edits, deletions and
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
    /// Local history of a conversation, oldest first, as `Event::Message` and `Event::Gap`.
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
    /// The safety number with somebody, or one's own key. Answered by `Event::Safety`.
    Verify {
        /// With whom; oneself otherwise.
        name: Option<String>,
        /// The number that the other side shows: compares and marks as verified. Spaces are ignored.
        mark: Option<String>,
    },
    /// Accepts a changed key. Answered by `Event::Contact`.
    Trust {
        /// Whose.
        name: String,
        /// The new key's fingerprint.
        fingerprint: String,
    },
    /// Becomes a member of a room, which is made where there is none. Answered by `Event::Done`.
    Join {
        /// `#room`
        room: String,
    },
    /// Ends a membership. Answered by `Event::Done`.
    Leave {
        /// `#room`
        room: String,
    },
    /// The relay's rooms. Answered by `Event::Room` each.
    Rooms,
    /// Members of a room (default `#lobby`). Answered by `Event::Presence` each.
    Who {
        /// `#room`
        room: Option<String>,
    },
    /// Says what a room is about, which its creator does; or asks. Answered as [`Command::Edit`], or by
    /// `Event::Conversation`.
    Topic {
        /// `#room`
        room: String,
        /// The topic; empty takes it away.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<String>,
    },
    /// Ends somebody's membership of a room that one made. Answered as [`Command::Edit`].
    Kick {
        /// `#room`
        room: String,
        /// Whose.
        name: String,
        /// Everybody reads it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// The same, and keeps them out. Answered as [`Command::Edit`].
    Ban {
        /// `#room`
        room: String,
        /// Whom.
        name: String,
        /// Everybody reads it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// Takes [`Command::Ban`] back. Answered as [`Command::Edit`].
    Unban {
        /// `#room`
        room: String,
        /// Whom.
        name: String,
        /// Everybody reads it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// All that is known of somebody; the relay is asked about whom one does not know. Answered by `Event::Person`.
    Whois {
        /// Whom; oneself, too.
        name: String,
    },
    /// Gives somebody a label of one's own, which nobody else learns. Answered by `Event::Person`.
    Alias {
        /// Whom.
        name: String,
        /// One line; empty takes it away.
        label: String,
    },
    /// What one wants to be called besides one's name: told in the rooms that one is a member of. Answered by
    /// `Event::Done` once the relay has it.
    Nick {
        /// One line; empty takes it away.
        display: String,
    },
    /// That one is away, told as [`Command::Nick`].
    Away {
        /// Why, on one line; empty: one is back.
        why: String,
    },
    /// Everybody known. Answered by `Event::Contact` each.
    Contacts,
    /// Shows nothing more of somebody and replaces the delivery token. Answered by `Event::Contact`.
    Block {
        /// Whom.
        name: String,
    },
    /// Takes [`Command::Block`] back. Answered by `Event::Contact`.
    Unblock {
        /// Whom.
        name: String,
    },
    /// Everybody one talks with and every room, the newest conversation first. Answered by `Event::Conversation` each.
    Conversations,
    /// Marks messages as read. Answered by `Event::Done`.
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
    /// Replaces the text of one's own message. Answered by `Event::Queued`, then by `Event::State` until it is sent.
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
    /// `Event::Contact`.
    Accept {
        /// Whom.
        name: String,
    },
    /// Deletes what a stranger has sent, and tells them nothing. Answered by `Event::Done`.
    Refuse {
        /// Whom.
        name: String,
    },
    /// Whether a face draws attention to what comes in a conversation. Answered by `Event::Conversation`.
    Mute {
        /// `bob`, `@bob` or `#room`.
        with: String,
        /// `true`: it does not.
        on: bool,
    },
    /// Keeps text that is not sent yet; empty forgets it. Answered by `Event::Done`.
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
    /// Tells somebody that one is typing, where [`Command::Settings`] allows it. Answered by `Event::Done`.
    Typing {
        /// `bob` or `@bob`; of a room nobody is told.
        to: String,
        /// Whether one still is.
        on: bool,
    },
    /// Changes what is given, and tells how it is. Answered by `Event::Settings`.
    Settings {
        /// Whether people whom one has accepted learn what one has read.
        read_receipts: Option<bool>,
        /// Whether they learn when one is typing.
        typing: Option<bool>,
    },
    /// Messages that have all these words, oldest first. Answered by `Event::Message` each.
    Search {
        /// Parts of words are found too; case does not matter.
        words: String,
        /// Only in this conversation: `bob`, `@bob` or `#room`.
        with: Option<String>,
        /// The newest so many.
        limit: Option<u32>,
    },
    /// Sends a file: sealed, uploaded, and announced once the relay has all of it. The same command again goes on where the last one
    /// stopped. Answered by `Event::Progress`, then as [`Command::Send`].
    SendFile {
        /// `bob` or `@bob`; a room has no files.
        to: String,
        /// An absolute path on the machine of the profile's holder.
        path: String,
        /// How far the message that announces it must come before the command ends.
        #[serde(default)]
        wait: Wait,
        /// How long to wait while nothing moves, in milliseconds.
        #[serde(default = "a_while")]
        timeout_ms: u64,
        /// Seconds after which both sides delete the message; what was saved stays.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expire: Option<u32>,
    },
    /// Fetches a file that somebody sent, and saves it. The same command again goes on where the last one stopped. Answered by
    /// `Event::Progress`, whose last one names where it is.
    Get {
        /// The message that announced it: its id or a unique prefix of four characters; otherwise the newest file that was not
        /// fetched.
        #[serde(default)]
        id: Option<String>,
        /// Only in this conversation: `bob` or `@bob`.
        #[serde(default)]
        within: Option<String>,
        /// An absolute path, of a folder that is there or of a file that is not; otherwise the folder for downloads.
        #[serde(default)]
        to: Option<String>,
        /// The relay keeps it for another time.
        #[serde(default)]
        keep: bool,
        /// How long to wait while nothing moves, in milliseconds.
        #[serde(default = "a_while")]
        timeout_ms: u64,
    },
    /// Files that were sent or came, oldest first. Answered by `Event::Progress` each.
    Files,
    /// Ends a file that is on its way. One that comes can be fetched another time, from its beginning; of one that is sent nobody
    /// is told. Answered by `Event::Progress`; whoever waits for the file hears that it was cancelled.
    Cancel {
        /// Its id, as `files` shows it, or a unique prefix of four characters.
        id: String,
    },
    /// Connection, transport and queue. Answered by `Event::Status`.
    Status,
    /// Looks what is wrong with the profile and its connection. Answered by `Event::Check` each.
    Doctor,
    /// One's own devices. Answered by `Event::Device` each.
    Devices,
    /// Makes another machine a device of the account: only where the account's key is. Answered by `Event::Device` once the relay
    /// has the list. Without the code, by `Event::DeviceRequest` and an error: a person compares it first.
    DeviceAdd {
        /// What the other machine shows.
        request: String,
        /// The device code, as the other machine shows it; hyphens are ignored.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        code: Option<String>,
        /// How long to wait for the device to come and be told what the others know, in milliseconds; it is told in any case.
        #[serde(default)]
        timeout_ms: u64,
    },
    /// Ends what a device of the account may do: only where the account's key is. Answered by `Event::Done`.
    DeviceRevoke {
        /// Its number.
        device: u32,
    },
    /// Waits until this machine, whose profile was made for it, is a device of the account and knows what the others do. Answered
    /// by `Event::DeviceRequest`, then by `Event::Me`.
    DeviceLink {
        /// How long, in milliseconds; the same command goes on with it.
        #[serde(default = "a_while")]
        timeout_ms: u64,
    },
    /// Deletes the account at the relay, for good. Answered by `Event::Done`.
    Unregister {
        /// One's own name, so that nobody does it by mistake.
        name: String,
    },
    /// Makes a token with which a program may speak in some conversations and nowhere else. Answered by `Event::Bot`.
    BotAdd {
        /// What the person calls the program.
        name: String,
        /// `@bob` or `#room`; none: all of them, and every command.
        conversations: Vec<String>,
        /// It hears and reads, and says nothing.
        #[serde(default)]
        read_only: bool,
    },
    /// The programs that have a token. Answered by `Event::Bot` each.
    Bots,
    /// Makes a program's token worthless. Answered by `Event::Done`.
    BotRemove {
        /// What the person calls it.
        name: String,
    },
    /// Whose token this is. Answered by `Event::Bot`.
    BotCheck {
        /// The token.
        token: String,
    },
    /// Ends the holder of the profile after what is under way: for tests and `wipe`. Answered by `Event::Done`.
    Stop,
}

/// What a program waits, in milliseconds, that does not say how long.
const fn a_while() -> u64 {
    30_000
}

/// How far a message must come before `send` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
