//! What an operator asks a running relay, over a Unix socket that only the relay's own user and root may use.
//!
//! A line asks, some lines answer, and each is a JSON object: the answer's records, and one `end` or `error` as its
//! last. A list comes in pages of at most [`PAGE`] records; who wants the next one names the last of the page before.
//! `sealpost-relay admin` speaks it, and so can anything that writes to a socket:
//!
//! ```text
//! > {"command":"kick","name":"bob","reason":"too loud"}
//! < {"v":1,"record":"done","text":"bob: 1 link ended"}
//! < {"v":1,"record":"end"}
//! ```
//!
//! Nothing here shows what people say to each other, what a token is, or who talks with whom.

pub mod client;
mod shown;
pub mod socket;

use sealpost_spec::account::Name;
use sealpost_spec::room::RoomName;
use serde::{Deserialize, Serialize};
pub(crate) use shown::{counted, duration, size};

/// Longest line that asks, in bytes: the longest of an operator's words fit several times.
pub const MAX_LINE: usize = 16 * 1024;
/// Most records of one answer.
pub const PAGE: usize = 500;
/// Longest of an operator's words that people are shown, in characters.
pub const MAX_WORDS: usize = 500;

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// How the relay is: one [`Record::Status`].
    Status,
    /// Who is registered: a page of [`Record::User`], by name.
    Users {
        /// Where the previous page ended.
        #[serde(default)]
        after: Option<Name>,
    },
    /// Ends the links of an account, which may come back by command.
    Kick {
        /// Whose.
        name: Name,
        /// What they are told.
        #[serde(default)]
        reason: Words,
    },
    /// Keeps an account out until it is unbanned, and ends its links.
    Ban {
        /// Whose.
        name: Name,
        /// What they are told.
        #[serde(default)]
        reason: Words,
    },
    /// Lets a banned account in again.
    Unban {
        /// What it was called when it was banned.
        name: Name,
        /// How its key begins, where several were banned under one name.
        #[serde(default)]
        account: Option<Digits>,
    },
    /// Who is banned: a page of [`Record::Banned`], by account key.
    Bans {
        /// Where the previous page ended.
        #[serde(default)]
        after: Option<Digits>,
    },
    /// Frees a name whose owner has lost it: whoever registers it next has it.
    Release {
        /// The name.
        name: Name,
    },
    /// Makes an invite: one [`Record::Invite`], with its token.
    Invite {
        /// How often it may be used.
        uses: u32,
        /// How long, in seconds.
        expire_s: u64,
        /// The operator's own note.
        #[serde(default)]
        label: Words,
    },
    /// Which invites there are: a page of [`Record::Invite`], by id.
    Invites {
        /// Where the previous page ended.
        #[serde(default)]
        after: Option<Digits>,
    },
    /// Takes an invite back.
    Withdraw {
        /// The first digits of its id, four at least.
        invite: Digits,
    },
    /// Which rooms there are and what they hold: a page of [`Record::Room`], by name.
    Rooms {
        /// Where the previous page ended.
        #[serde(default)]
        after: Option<RoomName>,
    },
    /// Changes what a room keeps; what is not given stays as it is.
    Retention {
        /// Which.
        room: RoomName,
        /// The newest posts, so many of them.
        #[serde(default)]
        posts: Option<u32>,
        /// None older than so many seconds; 0 is no bound.
        #[serde(default)]
        age_s: Option<u64>,
    },
    /// Removes the body of a post, whoever wrote it.
    DeletePost {
        /// All digits of its id.
        post: Digits,
    },
    /// What each limit is, and how full: [`Record::Limit`]s.
    Limits,
    /// What the mailboxes of an account may hold: one [`Record::Mailbox`], or sets what is given.
    Mailbox {
        /// Whose.
        name: Name,
        /// So many envelopes.
        #[serde(default)]
        envelopes: Option<u64>,
        /// So many bytes.
        #[serde(default)]
        bytes: Option<u64>,
        /// What everybody's may.
        #[serde(default)]
        reset: bool,
    },
    /// Tells everybody something until it is withdrawn; without a text, tells the operator what everybody is told.
    Notice {
        /// What.
        #[serde(default)]
        text: Option<Words>,
        /// Takes it back.
        #[serde(default)]
        withdraw: bool,
    },
    /// Takes no new links, tells those that there are to come back soon, and ends the relay once they are gone.
    Drain,
    /// Takes links again.
    Reopen,
}

impl Command {
    /// Its name, which says nothing of whom it is about.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Users { .. } => "users",
            Self::Kick { .. } => "kick",
            Self::Ban { .. } => "ban",
            Self::Unban { .. } => "unban",
            Self::Bans { .. } => "bans",
            Self::Release { .. } => "release",
            Self::Invite { .. } => "invite",
            Self::Invites { .. } => "invites",
            Self::Withdraw { .. } => "withdraw",
            Self::Rooms { .. } => "rooms",
            Self::Retention { .. } => "retention",
            Self::DeletePost { .. } => "delete-post",
            Self::Limits => "limits",
            Self::Mailbox { .. } => "mailbox",
            Self::Notice { .. } => "notice",
            Self::Drain => "drain",
            Self::Reopen => "reopen",
        }
    }
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Version of what follows: fields are added, and keep their meaning.
    pub v: u32,
    /// What it says.
    #[serde(flatten)]
    pub record: Record,
}

impl From<Record> for Line {
    fn from(record: Record) -> Self {
        Self { v: 1, record }
    }
}

/// What a relay answers its operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// How the relay is.
    Status(Status),
    /// An account.
    User(User),
    /// An account that is kept out.
    Banned(Banned),
    /// What lets newcomers register.
    Invite(Invite),
    /// A room.
    Room(RoomRecord),
    /// A limit.
    Limit(LimitRecord),
    /// What the mailboxes of an account hold.
    Mailbox(MailboxRecord),
    /// Something was done.
    Done {
        /// What, in a sentence.
        text: String,
    },
    /// The answer is whole.
    End,
    /// Nothing was done.
    Error(Trouble),
}

/// How a relay is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Whether it takes no new links because it is to end.
    #[serde(default)]
    pub draining: bool,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Links that are logged in, or on their way to it.
    pub authenticated_links: u64,
    /// Links on which nobody logs in.
    pub anonymous_links: u64,
    /// Accounts.
    pub accounts: u64,
    /// Envelopes that wait for their recipients.
    pub waiting: u64,
    /// Bytes of them.
    pub waiting_bytes: u64,
    /// How many of them are in memory and not written yet: nobody was told that they were accepted.
    #[serde(default)]
    pub held: u64,
    /// Rooms.
    pub rooms: u64,
    /// Sealed files that wait for their recipients, whole or not yet.
    #[serde(default)]
    pub files: u64,
    /// The room that they take, in bytes.
    #[serde(default)]
    pub files_bytes: u64,
    /// The store's id, as hexadecimal digits: new once everything was lost.
    pub store: String,
}

/// An account, as far as the relay knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: Name,
    /// How many devices it lists.
    pub devices: u32,
    /// Whether one of them is logged in.
    pub online: bool,
    /// Envelopes that wait for them.
    pub waiting: u64,
    /// Bytes of those.
    pub waiting_bytes: u64,
    /// Whether it is kept out.
    pub banned: bool,
}

/// An account that is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banned {
    /// What it was called when it was banned.
    pub name: Name,
    /// Its key.
    pub account: Digits,
    /// What it is told.
    pub reason: String,
}

/// What lets newcomers register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The hash of its token, by which it is withdrawn.
    pub id: Digits,
    /// The operator's own note.
    pub label: String,
    /// How often it may still be used.
    pub left: u32,
    /// Until when, in seconds since 1970.
    pub expires_at: u64,
    /// The token itself, told once: the relay keeps its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A link with the token, to be sent to who is invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Why something was not done, in the words of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}: {cause}")]
pub struct Trouble {
    /// What happened.
    pub error: String,
    /// Why.
    pub cause: String,
    /// What to do.
    #[serde(rename = "try")]
    pub advice: String,
    /// The exit code that belongs to it.
    pub exit: u8,
}

impl Trouble {
    /// Something that can't be done as it was asked.
    pub fn new(error: impl Into<String>, cause: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into(), advice: advice.into(), exit: 1 }
    }

    /// The same with another exit code.
    #[must_use]
    pub fn exits(self, exit: u8) -> Self {
        Self { exit, ..self }
    }
}

/// A room and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRecord {
    /// Its name, without `#`.
    pub room: RoomName,
    /// Members.
    pub members: u64,
    /// Posts.
    pub posts: u64,
    /// Bytes of their heads; a body has at most 16 KiB more.
    pub bytes: u64,
    /// The newest posts that it keeps.
    pub keeps_posts: u32,
    /// For how many seconds; 0 for ever.
    pub keeps_s: u64,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRecord {
    /// Of what, as the configuration names it where it does.
    pub what: String,
    /// How much there may be; of a rate, at once.
    pub limit: u64,
    /// Of a rate: milliseconds until one more is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u32>,
    /// How much there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
}

/// What the mailboxes of an account hold, and what each may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxRecord {
    /// Whose.
    pub name: Name,
    /// Envelopes that each may hold.
    pub envelopes: u64,
    /// Bytes that each may hold.
    pub bytes: u64,
    /// Envelopes that wait in them.
    pub waiting: u64,
    /// Bytes of those.
    pub waiting_bytes: u64,
}

/// Bytes as hexadecimal digits: a key, a hash, or the first of their digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digits(String);

/// The text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id, or its beginning, is 4 to 64 of 0-9 a-f")]
pub struct InvalidDigits;

impl Digits {
    /// All digits of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes of which these are all digits; half a byte at the end counts for nothing.
    pub fn bytes(&self) -> Vec<u8> {
        let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let pairs = self.0.as_bytes().chunks_exact(2);
        pairs.filter_map(|pair| Some(value(pair.first()?)? << 4 | value(pair.last()?)?)).collect()
    }
}

impl std::str::FromStr for Digits {
    type Err = InvalidDigits;
    fn from_str(text: &str) -> Result<Self, InvalidDigits> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Digits {
    type Error = InvalidDigits;
    fn try_from(text: String) -> Result<Self, InvalidDigits> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if (4..=64).contains(&text.len()) && text.bytes().all(digit) { Ok(Self(text)) } else { Err(InvalidDigits) }
    }
}

impl From<Digits> for String {
    fn from(digits: Digits) -> Self {
        digits.0
    }
}

/// An operator's own words, which people are shown: a line of at most [`MAX_WORDS`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Words(String);

/// The text can't be shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text is one line of at most {MAX_WORDS} characters without control characters")]
pub struct InvalidWords;

impl Words {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Words {
    type Err = InvalidWords;
    fn from_str(text: &str) -> Result<Self, InvalidWords> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Words {
    type Error = InvalidWords;
    fn try_from(text: String) -> Result<Self, InvalidWords> {
        if text.chars().count() <= MAX_WORDS && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidWords)
        }
    }
}

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0
    }
}

#[cfg(test)]
mod tests;
