//! Events as JSON, one object a line, that no terminal obeys.

use serde::Serialize;

use crate::api::{Event, Kind, Shown, State, VERSION};

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
pub(super) fn line(event: &Event) -> Option<Shown> {
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
            Shown::json(&Named { v: VERSION, event, rest: message })
        }
        Event::State { id, conversation, state } => {
            let event = match state {
                State::Queued => "queued",
                State::Sent => "sent",
                State::Delivered | State::Read | State::NotDelivered | State::Received => "receipt",
            };
            Shown::json(&Named { v: VERSION, event, rest: Moved { id, conversation, state: *state } })
        }
        event => Shown::json(&Whole { v: VERSION, event }),
    })
}

/// The last line of a command.
pub(super) fn end(exit: u8) -> Shown {
    Shown::json(&Named { v: VERSION, event: "end", rest: Exit { exit } })
}

/// What `sealpost schema` prints.
pub(super) const SCHEMA: &str = include_str!("../../schema.json");

#[cfg(test)]
mod schema;
#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
