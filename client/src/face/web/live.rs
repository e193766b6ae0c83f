//! What happens while a page is open, as server-sent events: lines of the log, states, the list, the link.

use std::sync::Arc;
use std::time::Duration;

use askama::Template as _;
use axum::extract::{Query, State};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::shown::{File, Line, moved};
use super::{Web, pages};
use crate::api::{Command, Event, Shown, Way};
use crate::face::plain;

/// Events that wait for a browser to take them; one that takes none is closed, and asks again.
const QUEUE: usize = 64;

#[derive(Deserialize)]
pub(super) struct Open {
    #[serde(default)]
    with: String,
}

pub(super) async fn events(State(web): State<Arc<Web>>, Query(Open { with }): Query<Open>) -> Response {
    let (told, stream) = mpsc::channel(QUEUE);
    let subscribed = web.ask.session().await;
    let mut session = match subscribed {
        Ok(session) => session,
        Err(error) => return pages::trouble(&web, &error),
    };
    tokio::spawn(async move {
        let mut ended = web.ask.ended();
        let mut locked = web.lock.told();
        let makes = with.starts_with('#') && pages::makes(&web, &with).await;
        if session.give(Command::Subscribe).await.is_ok() {
            loop {
                tokio::select! {
                    event = session.next() => {
                        let Some((_, event)) = event else { break };
                        // What happened between the page's rendering and now it has to ask for; from here on it is told.
                        if event == Event::Taken && told.try_send(Ok(Sent::default().event("ready").data("{}"))).is_err() {
                            break;
                        }
                        if !tell(&web, (&with, makes), &event, &told).await {
                            break;
                        }
                    }
                    _ = ended.changed() => break,
                    // It is loaded again, and is the page that asks for the passphrase then.
                    _ = locked.changed() => {
                        let _ = told.try_send(Ok(Sent::default().event("again").data("{}")));
                        break;
                    }
                    () = told.closed() => break,
                }
            }
        }
        session.finish().await;
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(20));
    Sse::new(ReceiverStream::new(stream)).keep_alive(alive).into_response()
}

type Told = mpsc::Sender<Result<Sent, std::convert::Infallible>>;

/// Tells a page what it shows of an event. `makes`: its person made the room. `false`: it has gone, or takes nothing.
async fn tell(web: &Web, (with, makes): (&str, bool), event: &Event, told: &Told) -> bool {
    let mut sent = Vec::new();
    if let Some(line) = Line::of_event(event, web.gate.base()) {
        let line = line.for_maker(makes);
        if line.conversation == with {
            if let Ok(html) = line.render() {
                sent.push(("line", json!({ "id": line.id, "html": html })));
            }
            if matches!(event, Event::Message(_)) && !line.own {
                let _ = web.ask.of(Command::Read { with: with.to_owned(), through: None }).await;
            }
        }
    } else if let Event::Message(message) = event
        && message.conversation == with
        && let Some(target) = &message.target
    {
        // An edit, a deletion or a reaction: the line that it is about, as it is now.
        if let Some(line) = line_of(web, with, target).await.map(|line| line.for_maker(makes))
            && let Ok(html) = line.render()
        {
            sent.push(("line", json!({ "id": line.id, "html": html })));
        }
    }
    if let Event::Progress(file) = event
        && file.conversation == with
    {
        let shown = File::of(file);
        let over = matches!(file.state, Way::Done | Way::Failed);
        let (id, name, words, percent) = (plain::said(&file.id), shown.name, shown.words, shown.percent);
        sent.push(("file", json!({ "id": id, "name": name, "words": words, "percent": percent, "over": over })));
        // What can be done with it is another thing now.
        if file.state != Way::Moving
            && let Some(line) = line_of(web, with, &file.id).await
            && let Ok(html) = line.render()
        {
            sent.push(("line", json!({ "id": line.id, "html": html })));
        }
    }
    match event {
        Event::State { id, state, .. } => sent.push(("state", json!({ "id": id, "words": moved(*state) }))),
        Event::Connection { online, detail } => sent.push(("link", json!({ "words": link(*online, detail) }))),
        Event::KeyChanged { name, .. } if format!("@{name}") == with => sent.push(("again", json!({}))),
        Event::Contact { name, .. } if format!("@{name}") == with => sent.push(("again", json!({}))),
        Event::Notice { text, .. } => {
            sent.push((
                "notice",
                json!({ "words": Shown::from(format!("the relay's operator: {}", text.on_one_line())) }),
            ));
        }
        _ => {}
    }
    let listed = matches!(event, Event::Message(_) | Event::KeyChanged { .. } | Event::Conversation { .. });
    if listed && let Some(html) = pages::list(web, with).await {
        sent.push(("list", json!({ "html": html })));
    }
    for (name, value) in sent {
        let event = Sent::default().event(name).data(Shown::json(&value).to_string());
        if told.try_send(Ok(event)).is_err() {
            return false;
        }
    }
    true
}

/// One message of a conversation, as it is now.
async fn line_of(web: &Web, with: &str, id: &str) -> Option<Line> {
    let history = Command::History { with: with.to_owned(), limit: Some(200), before: None };
    let events = web.ask.of(history).await.ok()?;
    let message = events.iter().find_map(|event| match event {
        Event::Message(message) if message.id == id => Some(message),
        _ => None,
    })?;
    Some(Line::of(message, web.gate.base()))
}

fn link(online: bool, detail: &str) -> Shown {
    if online { "online".into() } else { format!("offline: {}", plain::said(detail)).into() }
}

/// How the link stands, for a page that has just been asked for.
pub(super) async fn standing(web: &Web) -> Shown {
    let status = web.ask.of(Command::Status).await.unwrap_or_default();
    let connection = status.iter().find_map(|event| match event {
        Event::Status { connection, .. } => Some(plain::said(connection)),
        _ => None,
    });
    match connection {
        Some(words) if words == "connected" => "online".into(),
        Some(words) => words,
        None => "offline".into(),
    }
}
