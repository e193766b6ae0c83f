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
use crate::api::{Command, Error, ErrorCode, Event, Shown, Wait};
use crate::face::plain;
use crate::face::slash::{self, ENTRIES, Entry, Here, Meaning, PATIENCE_MS};
use crate::face::view::{own, says};

/// What forms may ask for: what a person does with a message, a person or a room.
const ALLOWED: [&str; 18] = [
    "accept", "block", "cancel", "delete", "draft", "edit", "expire", "get", "join", "leave", "mute", "react", "read",
    "refuse", "reply", "trust", "unblock", "verify",
];

/// Among so many of the newest messages one of somebody else is looked for.
const RECENT: u32 = 200;

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
    match carried_out(&web, command).await {
        Ok(events) => done(&web, &headers, &pages::whole_path(&web, if left { "" } else { &here }), &events),
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

pub(super) async fn say(State(web): State<Arc<Web>>, headers: HeaderMap, Form(said): Form<Said>) -> Response {
    let Said { here, text, act, id } = said;
    let text = text.replace("\r\n", "\n");
    let meaning = match act.as_str() {
        "edit" => Ok(Meaning::Command(Command::Edit { id: Some(id), within: Some(here.clone()), text })),
        "reply" => Ok(Meaning::Command(Command::Reply { id, text, wait: Wait::Queued, timeout_ms: PATIENCE_MS })),
        _ => {
            let last = if text.starts_with('/') { last_of_others(&web, &here).await } else { None };
            slash::understand(&text, Here { place: &here, last: last.as_deref(), number: None })
        }
    };
    let stay = pages::whole_path(&web, &here);
    match meaning {
        Ok(Meaning::Command(command)) => typed(&web, &headers, &here, command).await,
        Ok(Meaning::Open(place)) => done(&web, &headers, &pages::whole_path(&web, &place), &[]),
        Ok(Meaning::Nothing) => told(&web, &headers, &stay, "nothing was typed"),
        Ok(Meaning::Help(Some(entry))) => told(&web, &headers, &stay, entry.described()),
        Ok(Meaning::Help(None) | Meaning::Keys) => {
            let all: Vec<String> = ENTRIES.iter().map(Entry::usage).collect();
            told(&web, &headers, &stay, all.join("\n"))
        }
        Ok(Meaning::Lock) if web.lock.can() => {
            web.lock.lock();
            done(&web, &headers, &stay, &[])
        }
        Ok(Meaning::Lock) => {
            told(&web, &headers, &stay, "nothing is locked: the passphrase came from a file, or --lock off")
        }
        Ok(Meaning::Quit) => told(&web, &headers, &stay, "close the tab to leave the page"),
        Err(error) => failed(&web, &headers, &error),
    }
}

/// Carries out what was typed; some of it has a page of its own.
async fn typed(web: &Web, headers: &HeaderMap, here: &str, command: Command) -> Response {
    let to = match &command {
        Command::Join { room } => pages::whole_path(web, room),
        Command::Refuse { .. } | Command::Conversations => pages::whole_path(web, ""),
        Command::Verify { name, mark: None } => pages::verify_path(web, name.as_deref()),
        Command::Contacts => pages::people_path(web, here),
        // A token outlasts this page: whoever looks over somebody's shoulder makes none here.
        Command::BotAdd { .. } | Command::Bots | Command::BotRemove { .. } => {
            let error = Error::new(ErrorCode::Usage, "tokens of programs are none of this page's business");
            return failed(web, headers, &error.advise("sealpost bot --help"));
        }
        _ => pages::whole_path(web, here),
    };
    // What stands on the page that one comes to is not told twice.
    let stands_there = matches!(command, Command::History { .. } | Command::Verify { mark: None, .. });
    match carried_out(web, command).await {
        Ok(_) if stands_there => done(web, headers, &to, &[]),
        Ok(events) => done(web, headers, &to, &events),
        Err(error) => failed(web, headers, &error),
    }
}

/// What came of a command; of a file that moves, nothing yet: how far it is, the page is told as it happens.
async fn carried_out(web: &Web, command: Command) -> Result<Vec<Event>, Error> {
    if matches!(command, Command::SendFile { .. } | Command::Get { .. }) {
        return web.ask.begin(command, || {}).await.map(|()| Vec::new());
    }
    web.ask.of(command).await
}

/// The last message that somebody else wrote in a conversation: what `/reply` and `/react` mean.
async fn last_of_others(web: &Web, here: &str) -> Option<String> {
    let history = Command::History { with: here.to_owned(), limit: Some(RECENT), before: None };
    let events = web.ask.of(history).await.ok()?;
    events.into_iter().rev().find_map(|event| match event {
        Event::Message(message) if !own(&message) && says(&message) => Some(message.id),
        _ => None,
    })
}

/// Whether the page's script asks, which stays where it is.
fn scripted(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|accepted| accepted == "application/json")
}

fn answer(status: StatusCode, value: &Value) -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], Shown::json(value).to_string())
        .into_response()
        .with(status)
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

pub(super) fn done(web: &Web, headers: &HeaderMap, to: &str, events: &[Event]) -> Response {
    let screen = crate::face::screen::Screen::plain();
    let lines: Vec<Shown> = events
        .iter()
        .filter(|event| !matches!(event, Event::Queued { .. } | Event::State { .. } | Event::Done))
        .filter(|event| !matches!(event, Event::Contact { .. } | Event::Conversation { .. }))
        .filter_map(|event| plain::line(event, &screen))
        .collect();
    let lines = lines.into_iter().reduce(Shown::above);
    match lines {
        None if !scripted(headers) => Redirect::to(to).into_response(),
        lines => told(web, headers, to, lines.unwrap_or_default()),
    }
}

fn told(web: &Web, headers: &HeaderMap, to: &str, text: impl Into<Shown>) -> Response {
    let text = text.into();
    if scripted(headers) {
        return answer(StatusCode::OK, &json!({ "to": to, "told": text }));
    }
    pages::told(web, to, text)
}

/// What went wrong, for the page's script, which shows it as it is: a relay's operator may have chosen some of the words.
fn told_to_script(error: &Error) -> Value {
    let Trouble { message, cause, advice } = Trouble::from(error);
    json!({ "message": message, "cause": cause, "try": advice })
}

pub(super) fn failed(web: &Web, headers: &HeaderMap, error: &Error) -> Response {
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
