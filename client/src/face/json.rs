//! Events as JSON, one object a line, that no terminal obeys.

use std::fmt::Write as _;

use serde::Serialize;

use crate::api::{Event, Kind, State, VERSION, is_obeyed};

#[derive(Serialize)]
struct Named<'a, T> {
    v: u32,
    event: &'a str,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Moved<'a> {
    id: &'a str,
    conversation: &'a str,
    state: State,
}

#[derive(Serialize)]
struct Whole<'a> {
    v: u32,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Serialize)]
struct Exit {
    exit: u8,
}

/// The line of an event; `None` for what is no program's business.
pub(super) fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Taken | Event::End => return None,
        Event::Message(message) => {
            let event = match message.kind {
                Kind::Edit => "edit",
                Kind::Delete => "delete",
                Kind::Reaction => "reaction",
                Kind::File => "file",
                Kind::Text
                | Kind::Reply
                | Kind::Join
                | Kind::Leave
                | Kind::Removed
                | Kind::Timer
                | Kind::Topic
                | Kind::Kick
                | Kind::Ban
                | Kind::Unban
                | Kind::Remove
                | Kind::Name
                | Kind::Away => "message",
            };
            escaped(&Named { v: VERSION, event, rest: message })
        }
        Event::State { id, conversation, state } => {
            let event = match state {
                State::Queued => "queued",
                State::Sent => "sent",
                State::Delivered | State::Read | State::NotDelivered | State::Received => "receipt",
            };
            escaped(&Named { v: VERSION, event, rest: Moved { id, conversation, state: *state } })
        }
        event => escaped(&Whole { v: VERSION, event }),
    })
}

/// The last line of a command.
pub(super) fn end(exit: u8) -> String {
    escaped(&Named { v: VERSION, event: "end", rest: Exit { exit } })
}

/// JSON in which nothing is left that a terminal would obey.
pub(super) fn escaped(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("strings, numbers and enums have a JSON form");
    if !json.chars().any(is_obeyed) {
        return json;
    }
    // JSON's own syntax has none of them, so they stand inside strings, where an escape means the same.
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_obeyed(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// What `sealpost schema` prints.
pub(super) const SCHEMA: &str = include_str!("../../schema.json");

#[cfg(test)]
mod schema;
#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
