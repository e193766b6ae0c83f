//! What a page's forms do: commands of the interface, and lines that are typed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::shown::Trouble;
use super::{Web, pages};
use crate::api::{Command, Error, ErrorCode, Event, Wait};
use crate::face::slash::{self, Line};
use crate::face::{json, plain};

/// How long a message may take to be stored here, in milliseconds.
const PATIENCE_MS: u64 = 30_000;

/// What forms may ask for: what a person does with a message, a person or a room.
const ALLOWED: [&str; 16] = [
    "accept", "block", "delete", "draft", "edit", "expire", "join", "leave", "mute", "react", "read", "refuse",
    "reply", "trust", "unblock", "verify",
];

type Fields = BTreeMap<String, String>;

/// A form as a command: its fields are strings, but for a few.
fn command(mut fields: Fields) -> Option<Command> {
    let name = fields.remove("command")?;
    if !ALLOWED.contains(&name.as_str()) {
        return None;
    }
    let mut whole = Map::from_iter([("command".to_owned(), Value::String(name.clone()))]);
    for (field, text) in fields {
        let value = match field.as_str() {
            "on" => Value::Bool(text == "true"),
            "seconds" => text.parse::<u32>().map_or(Value::Null, Value::from),
            // An empty emoji takes a reaction back, an empty draft is forgotten; elsewhere nothing was given.
            "emoji" | "text" => Value::String(text),
            _ if text.is_empty() => Value::Null,
            _ => Value::String(text),
        };
        whole.insert(field, value);
    }
    if name == "reply" {
        whole.insert("wait".to_owned(), json!("queued"));
        whole.insert("timeout_ms".to_owned(), json!(PATIENCE_MS));
    }
    serde_json::from_value(Value::Object(whole)).ok()
}

fn misunderstood() -> Error {
    Error::new(ErrorCode::Usage, "the form makes no sense").advise("load the page again")
}

pub(super) async fn act(State(web): State<Arc<Web>>, headers: HeaderMap, Form(mut fields): Form<Fields>) -> Response {
    let here = fields.remove("here").unwrap_or_default();
    let Some(command) = command(fields) else { return failed(&web, &headers, &misunderstood()) };
    let left = matches!(command, Command::Refuse { .. });
    match web.ask.of(command).await {
        Ok(events) => done(&web, &headers, if left { "" } else { &here }, &events),
        Err(error) => failed(&web, &headers, &error),
    }
}

#[derive(Deserialize)]
pub(super) struct Said {
    here: String,
    text: String,
    #[serde(default)]
    act: String,
    #[serde(default)]
    id: String,
}

/// What a typed line means here.
enum Meaning {
    Command(Command),
    Go(String),
    Explain(String),
}

pub(super) async fn say(State(web): State<Arc<Web>>, headers: HeaderMap, Form(said): Form<Said>) -> Response {
    let Said { here, text, act, id } = said;
    let text = text.replace("\r\n", "\n");
    let meaning = match act.as_str() {
        "edit" => Ok(Meaning::Command(Command::Edit { id: Some(id), within: Some(here.clone()), text })),
        "reply" => Ok(Meaning::Command(Command::Reply { id, text, wait: Wait::Queued, timeout_ms: PATIENCE_MS })),
        _ => understand(&text, &here),
    };
    let meaning = match meaning {
        Ok(meaning) => meaning,
        Err(error) => return failed(&web, &headers, &error),
    };
    match meaning {
        Meaning::Command(command) => {
            let goes = match &command {
                Command::Join { room } => room.clone(),
                _ => here.clone(),
            };
            match web.ask.of(command).await {
                Ok(events) => done(&web, &headers, &goes, &events),
                Err(error) => failed(&web, &headers, &error),
            }
        }
        Meaning::Go(place) => done(&web, &headers, &place, &[]),
        Meaning::Explain(text) => told(&web, &headers, &here, &text),
    }
}

fn understand(text: &str, here: &str) -> Result<Meaning, Error> {
    let line = slash::parse(text).map_err(|wrong| Error::new(ErrorCode::Usage, wrong.message).advise(wrong.advice))?;
    let send = |to: String, text: String| Command::Send {
        to,
        text,
        wait: Wait::Queued,
        timeout_ms: PATIENCE_MS,
        expire: None,
    };
    let here = || here.to_owned();
    let nameless = |what: &str| Error::new(ErrorCode::Usage, format!("{what} has a button on this page"));
    Ok(Meaning::Command(match line {
        Line::Empty => return Ok(Meaning::Explain("nothing was typed".to_owned())),
        Line::Say(text) => send(here(), text),
        Line::Act(text) => send(here(), format!("/me {text}")),
        Line::Message { to, text } => send(to, text),
        Line::Open(place) => return Ok(Meaning::Go(place)),
        Line::Join(room) => Command::Join { room },
        Line::Part(room) => Command::Leave { room: room.unwrap_or_else(here) },
        Line::Rooms => Command::Rooms,
        Line::Who(room) => Command::Who { room: Some(room.unwrap_or_else(here)) },
        Line::Trust { name, fingerprint } => Command::Trust { name, fingerprint },
        Line::Block(name) => Command::Block { name },
        Line::Unblock(name) => Command::Unblock { name },
        Line::Search(words) => Command::Search { words, with: None, limit: None },
        Line::Status => Command::Status,
        Line::Edit { id, text } => Command::Edit { id, within: Some(here()), text },
        Line::Delete(id) => Command::Delete { id, within: Some(here()) },
        Line::Reply { id: Some(id), text } => Command::Reply { id, text, wait: Wait::Queued, timeout_ms: PATIENCE_MS },
        Line::React { id: Some(id), emoji } => Command::React { id, emoji },
        Line::Accept(name) => Command::Accept { name: name.unwrap_or_else(here) },
        Line::Refuse(name) => Command::Refuse { name: name.unwrap_or_else(here) },
        Line::Mute { with, on } => Command::Mute { with: with.unwrap_or_else(here), on },
        Line::Expire(seconds) => Command::Expire { with: here(), seconds },
        Line::Settings { read_receipts, typing } => Command::Settings { read_receipts, typing },
        Line::Conversations => return Ok(Meaning::Go(String::new())),
        Line::Verify(_) | Line::VerifyOk => return Err(nameless("/verify")),
        Line::Reply { id: None, .. } => return Err(nameless("/reply")),
        Line::React { id: None, .. } => return Err(nameless("/react")),
        Line::Quit => return Err(nameless("leaving: close the tab; it")),
        Line::Help(Some(entry)) => return Ok(Meaning::Explain(format!("{}: {}", entry.usage(), entry.does))),
        Line::Help(None) | Line::Keys => {
            let all: Vec<String> = slash::ENTRIES.iter().map(slash::Entry::usage).collect();
            return Ok(Meaning::Explain(all.join("\n")));
        }
    }))
}

/// Whether the page's script asks, which stays where it is.
fn scripted(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|accepted| accepted == "application/json")
}

fn answer(status: StatusCode, value: &Value) -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], json::escaped(value)).into_response().with(status)
}

trait With {
    fn with(self, status: StatusCode) -> Self;
}

impl With for Response {
    fn with(mut self, status: StatusCode) -> Self {
        *self.status_mut() = status;
        self
    }
}

fn done(web: &Web, headers: &HeaderMap, here: &str, events: &[Event]) -> Response {
    let to = if here.is_empty() { format!("{}/", web.gate.base()) } else { pages::whole_path(web, here) };
    let screen = crate::face::screen::Screen::plain();
    let lines: Vec<String> = events
        .iter()
        .filter(|event| !matches!(event, Event::Queued { .. } | Event::State { .. } | Event::Done))
        .filter(|event| !matches!(event, Event::Contact { .. } | Event::Conversation { .. }))
        .filter_map(|event| plain::line(event, &screen))
        .collect();
    if scripted(headers) {
        return answer(StatusCode::OK, &json!({ "to": to, "told": lines.join("\n") }));
    }
    if lines.is_empty() { Redirect::to(&to).into_response() } else { told(web, headers, here, &lines.join("\n")) }
}

fn told(web: &Web, headers: &HeaderMap, here: &str, text: &str) -> Response {
    let to = pages::whole_path(web, here);
    if scripted(headers) {
        return answer(StatusCode::OK, &json!({ "to": to, "told": text }));
    }
    pages::told(web, &to, text)
}

/// What went wrong, for the page's script, which shows it as it is: a relay's operator may have chosen some of the words.
fn told_to_script(error: &Error) -> Value {
    let Trouble { message, cause, advice } = Trouble::from(error);
    json!({ "message": message, "cause": cause, "try": advice })
}

fn failed(web: &Web, headers: &HeaderMap, error: &Error) -> Response {
    let page = pages::trouble(web, error);
    if scripted(headers) {
        let status = page.status();
        return answer(status, &told_to_script(error));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, Fields, command, told_to_script};
    use crate::api::{Command, Error, ErrorCode};

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A form is the command that it names, with what was left out left out.
    #[test]
    fn a_form_is_a_command() {
        let mute = command(fields(&[("command", "mute"), ("with", "@bob"), ("on", "true")]));
        assert_eq!(mute, Some(Command::Mute { with: "@bob".to_owned(), on: true }));
        let back = command(fields(&[("command", "react"), ("id", "00ff"), ("emoji", "")]));
        assert_eq!(back, Some(Command::React { id: "00ff".to_owned(), emoji: String::new() }));
        let number = command(fields(&[("command", "verify"), ("name", "bob"), ("mark", "1 2")]));
        assert_eq!(number, Some(Command::Verify { name: Some("bob".to_owned()), mark: Some("1 2".to_owned()) }));
    }

    /// A form can't stop the program, register, or make tokens for others.
    #[test]
    fn a_form_does_no_more_than_a_person_sees() {
        for name in ["stop", "register", "bot_add", "bots", "subscribe", "recv", "send", ""] {
            assert!(!ALLOWED.contains(&name));
            assert_eq!(command(fields(&[("command", name), ("name", "x"), ("to", "bob"), ("text", "x")])), None);
        }
    }

    /// The words of an operator, of a relay or of a stranger in an error are shown and not obeyed, as everywhere.
    #[test]
    fn errors_are_obeyed_by_no_browser() {
        let error =
            Error::new(ErrorCode::Refused, "banned").because("for \u{202e}liveness\u{1b}[2J").advise("ask\u{9b}m");
        let told = told_to_script(&error);
        assert_eq!(told["cause"], "for <U+202E>liveness<U+001B>[2J");
        assert_eq!(told["try"], "ask<U+009B>m");
    }
}
