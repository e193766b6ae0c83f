//! What a typed line means: one parser for every face that has a line to type in.

use super::duration;

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing was typed.
    Empty,
    /// Text for the open conversation.
    Say(String),
    /// `/dm NAME TEXT`
    Message { to: String, text: String },
    /// `/dm NAME`, `/query NAME`: from now on what is typed goes there.
    Open(String),
    /// `/join #room`
    Join(String),
    /// `/part [#room]`
    Part(Option<String>),
    /// `/rooms`
    Rooms,
    /// `/who [#room]`
    Who(Option<String>),
    /// `/verify [NAME]`
    Verify(Option<String>),
    /// `/verify ok`: the number shown last is equal.
    VerifyOk,
    /// `/trust NAME FINGERPRINT`
    Trust { name: String, fingerprint: String },
    /// `/block NAME`
    Block(String),
    /// `/unblock NAME`
    Unblock(String),
    /// `/me TEXT`: what one does.
    Act(String),
    /// `/reply [ID] TEXT`: without an id, to the last message of somebody else here.
    Reply { id: Option<String>, text: String },
    /// `/edit [ID] TEXT`: without an id, one's own last message here.
    Edit { id: Option<String>, text: String },
    /// `/delete [ID]`
    Delete(Option<String>),
    /// `/react [ID] [EMOJI]`: without an id, to the last message of somebody else here.
    React { id: Option<String>, emoji: String },
    /// `/accept [NAME]`
    Accept(Option<String>),
    /// `/refuse [NAME]`
    Refuse(Option<String>),
    /// `/mute [NAME]` and `/unmute [NAME]`
    Mute { with: Option<String>, on: bool },
    /// `/expire DUR|off`
    Expire(Option<u32>),
    /// `/settings [read-receipts|typing on|off]`
    Settings { read_receipts: Option<bool>, typing: Option<bool> },
    /// `/chats`
    Conversations,
    /// `/search WORDS`
    Search(String),
    /// `/status`
    Status,
    /// `/help [command]`
    Help(Option<&'static Entry>),
    /// `/keys`
    Keys,
    /// `/quit`
    Quit,
}

/// A command as `/help` shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its names, the first one is its own.
    pub names: &'static [&'static str],
    /// What follows.
    pub arguments: &'static str,
    /// What it does.
    pub does: &'static str,
}

/// Every command.
pub const ENTRIES: &[Entry] = &[
    Entry {
        names: &["dm", "msg"],
        arguments: "NAME [TEXT]",
        does: "write to somebody, end-to-end encrypted; without TEXT, open the conversation",
    },
    Entry { names: &["query"], arguments: "NAME", does: "open the conversation with somebody" },
    Entry { names: &["join"], arguments: "#ROOM", does: "become a member of a public room, and open it" },
    Entry { names: &["part"], arguments: "[#ROOM]", does: "leave a room" },
    Entry { names: &["rooms", "list"], arguments: "", does: "list the relay's rooms" },
    Entry { names: &["who", "names"], arguments: "[#ROOM]", does: "list the members of a room" },
    Entry {
        names: &["verify"],
        arguments: "[NAME|ok]",
        does: "show the safety number with somebody; `ok` after you compared it and it is equal",
    },
    Entry { names: &["trust"], arguments: "NAME FINGERPRINT", does: "accept a changed key" },
    Entry { names: &["block"], arguments: "NAME", does: "show nothing more of somebody" },
    Entry { names: &["unblock"], arguments: "NAME", does: "take /block back" },
    Entry { names: &["me"], arguments: "TEXT", does: "say what you do: /me waves" },
    Entry {
        names: &["reply"],
        arguments: "[ID] TEXT",
        does: "answer a message; without ID, the last one that somebody else wrote here",
    },
    Entry {
        names: &["edit"],
        arguments: "[ID] TEXT",
        does: "replace the text of a message of yours; without ID, of your last one here",
    },
    Entry {
        names: &["delete"],
        arguments: "[ID]",
        does: "take a message of yours back; without ID, your last one here",
    },
    Entry {
        names: &["react"],
        arguments: "[ID] EMOJI",
        does: "react to a message; without ID, to the last one that somebody else wrote here; - takes it back",
    },
    Entry { names: &["accept"], arguments: "[NAME]", does: "accept a stranger who has written to you" },
    Entry { names: &["refuse"], arguments: "[NAME]", does: "delete what a stranger has written to you" },
    Entry { names: &["mute"], arguments: "[NAME|#ROOM]", does: "let a conversation draw no attention" },
    Entry { names: &["unmute"], arguments: "[NAME|#ROOM]", does: "take /mute back" },
    Entry {
        names: &["expire"],
        arguments: "DUR|off",
        does: "delete messages here, on both sides, so long after they were read: 30s, 1h, 7d",
    },
    Entry {
        names: &["settings"],
        arguments: "[read-receipts|typing on|off]",
        does: "show or change what the people you accepted learn of you",
    },
    Entry { names: &["chats"], arguments: "", does: "list conversations, with what is unread" },
    Entry { names: &["search"], arguments: "WORDS", does: "find messages by their words" },
    Entry { names: &["status"], arguments: "", does: "connection, transport and queue" },
    Entry { names: &["help"], arguments: "[COMMAND]", does: "this list" },
    Entry { names: &["keys"], arguments: "", does: "what the keys do" },
    Entry { names: &["quit"], arguments: "", does: "leave; Ctrl-D does too" },
];

impl Entry {
    fn find(name: &str) -> Option<&'static Self> {
        ENTRIES.iter().find(|entry| entry.names.contains(&name))
    }

    /// What it is called and does, on one line.
    pub fn described(&self) -> String {
        let also: Vec<String> = self.names.iter().skip(1).map(|name| format!("/{name}")).collect();
        let also = if also.is_empty() { String::new() } else { format!(" (also {})", also.join(", ")) };
        format!("{:<26} {}{also}", self.usage(), self.does)
    }

    /// `/dm NAME [TEXT]`
    pub fn usage(&self) -> String {
        let name = self.names.first().copied().unwrap_or_default();
        if self.arguments.is_empty() { format!("/{name}") } else { format!("/{name} {}", self.arguments) }
    }
}

/// Why a line was not understood: what to say, and what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    pub message: String,
    pub advice: String,
}

/// Whether there is a command of this name.
pub fn knows(name: &str) -> bool {
    Entry::find(name).is_some()
}

/// Understands a line.
pub fn parse(line: &str) -> Result<Line, Misunderstood> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        return Ok(Line::Empty);
    }
    if let Some(text) = line.strip_prefix("//") {
        return Ok(Line::Say(format!("/{text}")));
    }
    let Some(command) = line.strip_prefix('/') else {
        if line.trim_start().starts_with('/') {
            // Somebody meant a command; sending it would tell a room what was meant for one person.
            return Err(Misunderstood {
                message: "the line begins with spaces and a slash, and was not sent".to_owned(),
                advice: "a command without the spaces, or // for a slash".to_owned(),
            });
        }
        return Ok(Line::Say(line.to_owned()));
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let Some(entry) = Entry::find(&name.to_ascii_lowercase()) else { return Err(unknown(name)) };
    let rest = rest.trim_start();
    understand(entry, rest).ok_or_else(|| Misunderstood {
        message: format!("/{} takes other arguments", entry.names.first().copied().unwrap_or_default()),
        advice: entry.usage(),
    })
}

fn understand(entry: &'static Entry, rest: &str) -> Option<Line> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let person = |word: &&str| word.strip_prefix('@').unwrap_or(word).to_owned();
    Some(match (*entry.names.first()?, words.as_slice()) {
        ("dm", [name]) => Line::Open(format!("@{}", person(name))),
        ("dm", [name, _, ..]) => {
            let text = rest.get(name.len()..)?.trim_start().to_owned();
            Line::Message { to: format!("@{}", person(name)), text }
        }
        ("query", [name]) => Line::Open(format!("@{}", person(name))),
        ("join", [room]) => Line::Join(self::room(room)),
        ("part", []) => Line::Part(None),
        ("part", [room]) => Line::Part(Some(self::room(room))),
        ("rooms", []) => Line::Rooms,
        ("who", []) => Line::Who(None),
        ("who", [room]) => Line::Who(Some(self::room(room))),
        ("verify", []) => Line::Verify(None),
        ("verify", ["ok"]) => Line::VerifyOk,
        ("verify", [name]) => Line::Verify(Some(person(name))),
        ("trust", [name, fingerprint]) => Line::Trust { name: person(name), fingerprint: (*fingerprint).to_owned() },
        ("block", [name]) => Line::Block(person(name)),
        ("unblock", [name]) => Line::Unblock(person(name)),
        ("me", [_, ..]) => Line::Act(rest.to_owned()),
        ("reply", [_, ..]) => match after_id(rest)? {
            (_, "") => return None,
            (id, text) => Line::Reply { id, text: text.to_owned() },
        },
        ("edit", [_, ..]) => match after_id(rest)? {
            (_, "") => return None,
            (id, text) => Line::Edit { id, text: text.to_owned() },
        },
        ("delete", []) => Line::Delete(None),
        ("delete", [id]) => Line::Delete(Some((*id).to_owned())),
        ("react", ["-"]) => Line::React { id: None, emoji: String::new() },
        ("react", [id, "-"]) => Line::React { id: Some((*id).to_owned()), emoji: String::new() },
        ("react", [emoji]) if !is_id(emoji) => Line::React { id: None, emoji: (*emoji).to_owned() },
        ("react", [id, emoji]) => Line::React { id: Some((*id).to_owned()), emoji: (*emoji).to_owned() },
        ("accept", []) => Line::Accept(None),
        ("accept", [name]) => Line::Accept(Some(person(name))),
        ("refuse", []) => Line::Refuse(None),
        ("refuse", [name]) => Line::Refuse(Some(person(name))),
        ("mute", []) => Line::Mute { with: None, on: true },
        ("mute", [with]) => Line::Mute { with: Some((*with).to_owned()), on: true },
        ("unmute", []) => Line::Mute { with: None, on: false },
        ("unmute", [with]) => Line::Mute { with: Some((*with).to_owned()), on: false },
        ("expire", ["off"]) => Line::Expire(None),
        ("expire", [after]) => {
            let after = duration::parse(after).ok()?.as_secs();
            Line::Expire(Some(u32::try_from(after).ok().filter(|after| *after > 0)?))
        }
        ("settings", []) => Line::Settings { read_receipts: None, typing: None },
        ("settings", ["read-receipts", to]) => Line::Settings { read_receipts: Some(on(to)?), typing: None },
        ("settings", ["typing", to]) => Line::Settings { read_receipts: None, typing: Some(on(to)?) },
        ("chats", []) => Line::Conversations,
        ("search", [_, ..]) => Line::Search(rest.to_owned()),
        ("status", []) => Line::Status,
        ("help", []) => Line::Help(None),
        ("help", [name]) => Line::Help(Some(Entry::find(name.trim_start_matches('/'))?)),
        ("keys", []) => Line::Keys,
        ("quit", []) => Line::Quit,
        _ => return None,
    })
}

fn on(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Whether a word is meant as a message's id: hexadecimal, and no word that people write.
fn is_id(word: &str) -> bool {
    (4..=32).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (word.len() >= 8 || word.bytes().any(|byte| byte.is_ascii_digit()))
}

/// The id before a text, where there is one.
fn after_id(rest: &str) -> Option<(Option<String>, &str)> {
    let first = rest.split_whitespace().next()?;
    if is_id(first) {
        Some((Some(first.to_owned()), rest.get(first.len()..)?.trim_start()))
    } else {
        Some((None, rest))
    }
}

fn room(word: &str) -> String {
    if word.starts_with('#') { word.to_owned() } else { format!("#{word}") }
}

fn unknown(name: &str) -> Misunderstood {
    let name = name.to_ascii_lowercase();
    let names = ENTRIES.iter().flat_map(|entry| entry.names);
    let near = names.map(|known| (distance(&name, known), *known)).min();
    // One wrong letter, or two that changed places: what is further from all is no slip of a finger.
    let begins_alike = |known: &str| name.len() > 3 && name.chars().next() == known.chars().next();
    let near = near.filter(|(distance, known)| *distance < 2 || *distance == 2 && begins_alike(known));
    Misunderstood {
        message: format!("there is no command /{}", crate::api::Text::new(name).on_one_line()),
        advice: near.map_or_else(|| "/help".to_owned(), |(_, known)| format!("/{known}")),
    }
}

/// Letters to insert, delete or replace until two words are equal (Levenshtein); words are cut at 16 letters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(16).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(16).enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(&right) {
            let next = (diagonal + usize::from(a != *b)).min(before + 1).min(*slot + 1);
            diagonal = std::mem::replace(slot, next);
            before = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "slash_tests.rs"]
mod tests;
