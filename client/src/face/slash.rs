//! What a typed line means: one parser for every face that has a line to type in.

mod entries;
mod path;
mod unknown;

pub use entries::{ENTRIES, Entry};

use super::duration;
use crate::api::{Command, Error, ErrorCode, Wait};
use unknown::unknown;

/// The room that there is from the start.
pub const LOBBY: &str = "#lobby";

/// Longest wait of a command that was typed, in milliseconds.
pub const PATIENCE_MS: u64 = 30_000;

/// Most messages that a typed search finds.
const FOUND: u32 = 50;

/// Messages that `/history` shows.
const LAST: u32 = 20;

/// Where a line is typed, and what it may leave unsaid.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// The open conversation: `@bob` or `#room`.
    pub place: &'a str,
    /// The last message that somebody else wrote there.
    pub last: Option<&'a str>,
    /// The safety number that was shown last, after whose it is.
    pub number: Option<(&'a str, &'a str)>,
}

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing was typed.
    Nothing,
    /// What the engine is asked for.
    Command(Command),
    /// From now on what is typed goes there: `@bob` or `#room`.
    Open(String),
    /// What can be typed.
    Help(Option<&'static Entry>),
    /// What the keys do.
    Keys,
    /// Forget what is shown, and ask for the passphrase.
    Lock,
    /// Leave.
    Quit,
}

/// Whether there is a command of this name.
pub fn knows(name: &str) -> bool {
    Entry::find(name).is_some()
}

/// Understands a line.
///
/// # Errors
/// [`ErrorCode::Usage`] with what to type instead. Nothing that looks like a command is taken for text: that would tell a
/// room what was meant for one person.
pub fn understand(line: &str, here: Here<'_>) -> Result<Meaning, Error> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        return Ok(Meaning::Nothing);
    }
    if let Some(text) = line.strip_prefix("//") {
        return Ok(say(here.place.to_owned(), format!("/{text}")));
    }
    let Some(command) = line.strip_prefix('/') else {
        if line.trim_start().starts_with('/') {
            let error = Error::new(ErrorCode::Usage, "the line begins with spaces and a slash, and was not sent");
            return Err(error.advise("a command without the spaces, or // for a slash"));
        }
        return Ok(say(here.place.to_owned(), line.to_owned()));
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let Some(entry) = Entry::find(&name.to_ascii_lowercase()) else { return Err(unknown(name)) };
    meaning(entry, rest.trim_start(), here)?.ok_or_else(|| {
        let name = entry.names.first().copied().unwrap_or_default();
        Error::new(ErrorCode::Usage, format!("/{name} takes other arguments")).advise(entry.usage())
    })
}

/// A command with what follows it; `None` where that makes no sense.
fn meaning(entry: &'static Entry, rest: &str, here: Here<'_>) -> Result<Option<Meaning>, Error> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let Some(name) = entry.names.first() else { return Ok(None) };
    Ok(match (*name, words.as_slice()) {
        ("dm" | "query", [name]) => Some(Meaning::Open(format!("@{}", bare(name)))),
        ("help", []) => Some(Meaning::Help(None)),
        ("help", [name]) => Entry::find(name.trim_start_matches('/')).map(|entry| Meaning::Help(Some(entry))),
        ("keys", []) => Some(Meaning::Keys),
        ("lock", []) => Some(Meaning::Lock),
        ("quit", []) => Some(Meaning::Quit),
        ("reply" | "react" | "edit", _) => about_message(name, rest, here)?.map(Meaning::Command),
        ("file", [_, ..]) => {
            let (to, path) = (here.place.to_owned(), path::meant(rest)?);
            let (wait, timeout_ms) = (Wait::Queued, PATIENCE_MS);
            Some(Meaning::Command(Command::SendFile { to, path, wait, timeout_ms, expire: None }))
        }
        ("get", [id, _, ..]) => {
            let to = path::meant(rest.get(id.len()..).unwrap_or_default())?;
            Some(Meaning::Command(get(Some(id), None, Some(to))))
        }
        ("verify", ["ok"]) => Some(Meaning::Command(compared(here)?)),
        (name, words) => command(name, words, rest, here).map(Meaning::Command),
    })
}

/// Commands that need nothing but their words and the open conversation.
fn command(name: &str, words: &[&str], rest: &str, here: Here<'_>) -> Option<Command> {
    let place = || here.place.to_owned();
    // The open room, or the one that there always is.
    let room_here = || if here.place.starts_with('#') { place() } else { LOBBY.to_owned() };
    Some(match (name, words) {
        ("dm", [name, _, ..]) => {
            let text = rest.get(name.len()..)?.trim_start().to_owned();
            send(format!("@{}", bare(name)), text)
        }
        ("me", [_, ..]) => send(place(), format!("/me {rest}")),
        ("join", [room]) => Command::Join { room: self::room(room) },
        ("part", []) => Command::Leave { room: room_here() },
        ("part", [room]) => Command::Leave { room: self::room(room) },
        ("rooms", []) => Command::Rooms,
        ("who", []) => Command::Who { room: Some(room_here()) },
        ("who", [room]) => Command::Who { room: Some(self::room(room)) },
        ("verify", []) => Command::Verify { name: here.place.strip_prefix('@').map(str::to_owned), mark: None },
        ("verify", [name]) => Command::Verify { name: Some(bare(name)), mark: None },
        ("trust", [name, fingerprint]) => Command::Trust { name: bare(name), fingerprint: (*fingerprint).to_owned() },
        ("block", [name]) => Command::Block { name: bare(name) },
        ("unblock", [name]) => Command::Unblock { name: bare(name) },
        ("delete", []) => Command::Delete { id: None, within: Some(place()) },
        ("delete", [id]) => Command::Delete { id: Some((*id).to_owned()), within: None },
        ("get", []) => get(None, here.place.starts_with('@').then_some(here.place), None),
        ("get", [id]) => get(Some(id), None, None),
        ("files", []) => Command::Files,
        ("cancel", [id]) => Command::Cancel { id: (*id).to_owned() },
        ("accept", []) => Command::Accept { name: bare(here.place) },
        ("accept", [name]) => Command::Accept { name: bare(name) },
        ("refuse", []) => Command::Refuse { name: bare(here.place) },
        ("refuse", [name]) => Command::Refuse { name: bare(name) },
        ("mute", []) => Command::Mute { with: place(), on: true },
        ("mute", [with]) => Command::Mute { with: (*with).to_owned(), on: true },
        ("unmute", []) => Command::Mute { with: place(), on: false },
        ("unmute", [with]) => Command::Mute { with: (*with).to_owned(), on: false },
        ("expire", ["off"]) => Command::Expire { with: place(), seconds: None },
        ("expire", [after]) => {
            let after = duration::parse(after).ok()?.as_secs();
            let seconds = Some(u32::try_from(after).ok().filter(|after| *after > 0)?);
            Command::Expire { with: place(), seconds }
        }
        ("settings", []) => Command::Settings { read_receipts: None, typing: None },
        ("settings", ["read-receipts", to]) => Command::Settings { read_receipts: Some(on(to)?), typing: None },
        ("settings", ["typing", to]) => Command::Settings { read_receipts: None, typing: Some(on(to)?) },
        ("link", []) => Command::Me,
        ("add", [link]) => Command::Add { link: (*link).to_owned() },
        ("contacts", []) => Command::Contacts,
        ("history", []) => Command::History { with: place(), limit: Some(LAST), before: None },
        ("history", [last]) => {
            let last = last.parse().ok().filter(|last| *last > 0)?;
            Command::History { with: place(), limit: Some(last), before: None }
        }
        ("read", []) => Command::Read { with: place(), through: None },
        ("read", [with]) => Command::Read { with: (*with).to_owned(), through: None },
        ("draft", _) => Command::Draft { with: place(), text: rest.to_owned() },
        ("bot", ["list"]) => Command::Bots,
        ("bot", ["add", name, conversations @ ..]) if !conversations.is_empty() => {
            let conversations = conversations.iter().map(|one| (*one).to_owned()).collect();
            Command::BotAdd { name: (*name).to_owned(), conversations, read_only: false }
        }
        ("bot", ["remove", name]) => Command::BotRemove { name: (*name).to_owned() },
        ("chats", []) => Command::Conversations,
        ("search", [_, ..]) => Command::Search { words: rest.to_owned(), with: None, limit: Some(FOUND) },
        ("status", []) => Command::Status,
        ("topic" | "kick" | "ban" | "unban", _) => in_room(name, rest, here)?,
        ("whois", []) => Command::Whois { name: bare(here.place.strip_prefix('@')?) },
        ("whois", [name]) => Command::Whois { name: bare(name) },
        ("alias", [name, _, ..]) => {
            let label = rest.get(name.len()..)?.trim();
            Command::Alias { name: bare(name), label: or_nothing(label) }
        }
        ("nick", [_, ..]) => Command::Nick { display: or_nothing(rest.trim()) },
        ("away", _) => Command::Away { why: rest.trim().to_owned() },
        ("doctor", []) => Command::Doctor,
        ("devices", []) => Command::Devices,
        ("device", ["add", request]) => device_add(request, None),
        ("device", ["add", request, code] | ["add", request, "--code", code]) => device_add(request, Some(code)),
        ("device", ["revoke", device]) => Command::DeviceRevoke { device: device.parse().ok()? },
        ("unregister", [name]) => Command::Unregister { name: bare(name) },
        _ => return None,
    })
}

/// Nobody who stays waits for the device: it is told what it must know when it comes.
fn device_add(request: &str, code: Option<&str>) -> Command {
    Command::DeviceAdd { request: request.to_owned(), code: code.map(str::to_owned), timeout_ms: 0 }
}

/// Commands about a room: the one that is named first, else the open one.
fn in_room(name: &str, rest: &str, here: Here<'_>) -> Option<Command> {
    let rest = rest.trim();
    let first = rest.split_whitespace().next().unwrap_or_default();
    let (room, rest) = match first.starts_with('#') {
        true => (self::room(first), rest.get(first.len()..)?.trim_start()),
        false => (here.place.to_owned(), rest),
    };
    if !room.starts_with('#') {
        return None;
    }
    if name == "topic" {
        return Some(Command::Topic { room, text: (!rest.is_empty()).then(|| or_nothing(rest)) });
    }
    let whom = rest.split_whitespace().next()?;
    let reason = rest.get(whom.len()..)?.trim();
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    let whom = bare(whom);
    Some(match name {
        "kick" => Command::Kick { room, name: whom, reason },
        "ban" => Command::Ban { room, name: whom, reason },
        _ => Command::Unban { room, name: whom, reason },
    })
}

/// `-` takes away what there was.
fn or_nothing(text: &str) -> String {
    if text == "-" { String::new() } else { text.to_owned() }
}

/// Commands about one message, which may be left unsaid.
fn about_message(name: &str, rest: &str, here: Here<'_>) -> Result<Option<Command>, Error> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let react = |id: &str, emoji: &str| {
        let emoji = if emoji == "-" { String::new() } else { emoji.to_owned() };
        Command::React { id: id.to_owned(), emoji }
    };
    let (id, text) = after_id(rest);
    Ok(match (name, words.as_slice()) {
        ("react", [emoji]) if !is_id(emoji) => Some(react(theirs(here)?, emoji)),
        ("react", [id, emoji]) => Some(react(id, emoji)),
        ("reply", _) if !text.is_empty() => {
            let id = id.map_or_else(|| theirs(here), Ok)?.to_owned();
            Some(Command::Reply { id, text: text.to_owned(), wait: Wait::Queued, timeout_ms: PATIENCE_MS })
        }
        ("edit", _) if !text.is_empty() => {
            let within = id.is_none().then(|| here.place.to_owned());
            Some(Command::Edit { id: id.map(str::to_owned), within, text: text.to_owned() })
        }
        _ => None,
    })
}

/// The message that is meant where none is named.
fn theirs(here: Here<'_>) -> Result<&str, Error> {
    here.last.ok_or_else(|| {
        Error::new(ErrorCode::Usage, "nobody has written anything here yet")
            .advise("give the message's id, which sealpost history NAME --json shows")
    })
}

/// `/verify ok`: the number shown last is equal.
fn compared(here: Here<'_>) -> Result<Command, Error> {
    let Some((name, number)) = here.number else {
        return Err(Error::new(ErrorCode::Usage, "no safety number was shown yet").advise("/verify NAME"));
    };
    Ok(Command::Verify { name: Some(name.to_owned()), mark: Some(number.to_owned()) })
}

fn say(to: String, text: String) -> Meaning {
    Meaning::Command(send(to, text))
}

fn send(to: String, text: String) -> Command {
    Command::Send { to, text, wait: Wait::Queued, timeout_ms: PATIENCE_MS, expire: None }
}

fn get(id: Option<&str>, within: Option<&str>, to: Option<String>) -> Command {
    let (id, within) = (id.map(str::to_owned), within.map(str::to_owned));
    Command::Get { id, within, to, keep: false, timeout_ms: PATIENCE_MS }
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

/// The id before a text, where there is one, and the text.
fn after_id(rest: &str) -> (Option<&str>, &str) {
    match rest.split_whitespace().next() {
        Some(first) if is_id(first) => (Some(first), rest.get(first.len()..).unwrap_or_default().trim_start()),
        _ => (None, rest),
    }
}

/// A person's name, with or without `@` before it.
fn bare(word: &str) -> String {
    word.strip_prefix('@').unwrap_or(word).to_owned()
}

fn room(word: &str) -> String {
    if word.starts_with('#') { word.to_owned() } else { format!("#{word}") }
}

#[cfg(test)]
#[path = "slash_tests.rs"]
mod tests;
