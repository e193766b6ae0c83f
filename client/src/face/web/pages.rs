//! Pages: each asks for what it shows when it is asked for, and remembers nothing.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::shown::{Code, Entry, Line, Person, Trouble, excerpt, path, privacy, stands};
use crate::api::{self, Command, Error, ErrorCode, Event, Kind, Message, Shown, Trust};
use crate::face::{names, plain};

/// Messages of a conversation on one page.
const PAGE: u32 = 100;

/// What stands around every page.
pub(super) struct Frame {
    pub(super) base: String,
    pub(super) me: Shown,
    pub(super) online: Shown,
    pub(super) title: Shown,
    /// Which of the three panes a narrow window shows: `list`, `talk` or `people`.
    pub(super) pane: &'static str,
    pub(super) list: Vec<Entry>,
    pub(super) people: Vec<Person>,
    /// The way to the page of people, which a narrow window needs.
    pub(super) people_path: String,
    pub(super) here: String,
}

impl Frame {
    /// Asks for the list, one's own name and the link; `here`: the open conversation, or nothing.
    async fn new(web: &Web, here: &str, title: &str, pane: &'static str) -> Result<Self, Error> {
        let list = web.ask.of(Command::Conversations).await?;
        let me = web.ask.of(Command::Me).await?;
        let me = me.iter().find_map(|event| match event {
            Event::Me { name, .. } => Some(plain::account(name)),
            _ => None,
        });
        let people = match here.starts_with('#') {
            // Whoever is not online sees the conversation all the same.
            true => web.ask.of(Command::Who { room: Some(here.to_owned()) }).await.unwrap_or_default(),
            false => web.ask.of(Command::Contacts).await?,
        };
        Ok(Self {
            base: web.gate.base().to_owned(),
            me: me.unwrap_or_default(),
            online: super::live::standing(web).await,
            title: title.into(),
            pane,
            list: list.iter().filter_map(|event| Entry::of(event, here)).collect(),
            people: people.iter().filter_map(Person::of).collect(),
            people_path: people_of(here),
            here: here.to_owned(),
        })
    }
}

/// What the composer does with what is typed.
pub(super) struct Composer {
    /// `""`, `reply` or `edit`.
    pub(super) act: &'static str,
    pub(super) id: String,
    pub(super) about: Shown,
    /// One's own, as it was typed: it stands in the line, to be sent.
    pub(super) text: String,
}

/// A key that is not the pinned one: nothing can be written before somebody has decided.
pub(super) struct KeyPanel {
    pub(super) name: Shown,
    pub(super) old: Shown,
    pub(super) new: Shown,
}

#[derive(Template)]
#[template(path = "talk.html")]
struct TalkPage {
    frame: Frame,
    name: Shown,
    privacy: &'static str,
    bare: Shown,
    public: bool,
    joined: bool,
    /// Of a room: what it is about.
    topic: Option<Shown>,
    /// Of a room: who made it.
    creator: Option<Shown>,
    /// Of a person: what stands beside the name.
    beside: Shown,
    request: bool,
    muted: bool,
    blocked: bool,
    verified: bool,
    earlier: Option<Shown>,
    lines: Vec<Line>,
    changed: Option<KeyPanel>,
    composer: Composer,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
}

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage {
    frame: Frame,
    own: bool,
    name: Shown,
    bare: Shown,
    groups: Vec<Shown>,
    link: Shown,
    code: Option<Code>,
    trust: &'static str,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    words: Shown,
    asked: bool,
    found: Vec<Line>,
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    base: String,
    trouble: Trouble,
}

#[derive(Template)]
#[template(path = "told.html")]
struct ToldPage<'a> {
    base: &'a str,
    to: &'a str,
    text: Shown,
}

/// A page that says what a command told, with the way back.
pub(super) fn told(web: &Web, to: &str, text: Shown) -> Response {
    rendered(&ToldPage { base: web.gate.base(), to, text })
}

/// A page that says what went wrong, with a status that programs understand.
pub(super) fn trouble(web: &Web, error: &Error) -> Response {
    let status = match error.code {
        ErrorCode::Usage => StatusCode::BAD_REQUEST,
        ErrorCode::NoSuchName | ErrorCode::NoSuchRoom | ErrorCode::NoSuchMessage | ErrorCode::NoSuchFile => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::KeyChanged | ErrorCode::NotTrusted => StatusCode::CONFLICT,
        ErrorCode::Unreachable => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let page = TroublePage { base: web.gate.base().to_owned(), trouble: Trouble::from(error) };
    (status, rendered(&page)).into_response()
}

fn rendered(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn answer(web: &Web, page: Result<impl Template, Error>) -> Response {
    match page {
        Ok(page) => rendered(&page),
        Err(error) => trouble(web, &error),
    }
}

pub(super) async fn home(State(web): State<Arc<Web>>) -> Response {
    let page = async { Ok(HomePage { frame: Frame::new(&web, "", "Conversations", "list").await? }) };
    answer(&web, page.await)
}

/// What the address of a conversation may say.
#[derive(Deserialize)]
pub(super) struct Asked {
    reply: Option<String>,
    edit: Option<String>,
    before: Option<String>,
}

pub(super) async fn person(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let page = talk(&web, &format!("@{name}"), asked).await;
    answer(&web, page)
}

pub(super) async fn room(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let page = talk(&web, &format!("#{name}"), asked).await;
    answer(&web, page)
}

async fn talk(web: &Web, here: &str, asked: Asked) -> Result<TalkPage, Error> {
    let before = asked.before.clone();
    let history = Command::History { with: here.to_owned(), limit: Some(PAGE), before: before.clone() };
    let events = web.ask.of(history).await?;
    if before.is_none() {
        // What is shown is read. A conversation in which nothing was said yet has nothing to read.
        let _ = web.ask.of(Command::Read { with: here.to_owned(), through: None }).await;
    }
    let frame = Frame::new(web, here, here, "talk").await?;
    let about = web
        .ask
        .of(Command::Conversations)
        .await?
        .into_iter()
        .find(|event| matches!(event, Event::Conversation { name, .. } if name == here));
    let (topic, creator, beside) = match &about {
        Some(Event::Conversation { topic, creator, label, display, .. }) => (
            topic.as_ref().map(api::Text::on_one_line),
            creator.as_deref().map(plain::account),
            names::beside(label.as_ref(), display.as_ref()).trim_start().into(),
        ),
        _ => (None, None, Shown::default()),
    };
    let known = match about {
        Some(Event::Conversation { trust, muted, request, blocked, joined, draft, .. }) => {
            (trust, muted, request, blocked, joined.unwrap_or(false), draft)
        }
        _ => (None, false, false, false, false, None),
    };
    let (trust, muted, request, blocked, joined, draft) = known;
    let shown = |event: &Event| match event {
        Event::Message(message) => stands(message.kind),
        _ => true,
    };
    let makes = creator.as_ref().is_some_and(|creator| *creator == frame.me);
    let lines = events.iter().filter(|event| shown(event)).filter_map(|event| Line::of_event(event, &frame.base));
    let lines: Vec<Line> = lines.map(|line| line.for_maker(makes)).collect();
    let full = events.iter().filter(|event| matches!(event, Event::Message(_))).count() >= PAGE as usize;
    let earlier = lines.iter().find(|line| full && !line.id.is_empty()).map(|line| line.id.clone());
    let changed = match trust {
        Some(Trust::KeyChanged) => Some(key_panel(web, here).await?),
        _ => None,
    };
    let draft = draft.map(|text| text.as_raw().to_owned()).unwrap_or_default();
    let messages: Vec<&Message> = events
        .iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
        .collect();
    let bare = here.trim_start_matches(['@', '#']).to_owned();
    Ok(TalkPage {
        name: plain::said(here),
        privacy: privacy(here, trust),
        bare: plain::said(&bare),
        public: here.starts_with('#'),
        joined,
        topic,
        creator,
        beside,
        request,
        muted,
        blocked,
        verified: trust == Some(Trust::Verified),
        earlier,
        lines,
        changed,
        composer: composer(&messages, &asked, draft),
        frame,
    })
}

/// Whether whoever looks at a room has made it.
pub(super) async fn makes(web: &Web, room: &str) -> bool {
    let (Ok(all), Ok(me)) = (web.ask.of(Command::Conversations).await, web.ask.of(Command::Me).await) else {
        return false;
    };
    let creator = all.into_iter().find_map(|event| match event {
        Event::Conversation { name, creator, .. } if name == room => creator,
        _ => None,
    });
    let me = me.into_iter().find_map(|event| match event {
        Event::Me { name, .. } => Some(name),
        _ => None,
    });
    creator.is_some_and(|creator| me.is_some_and(|me| creator.trim_start_matches('@') == me))
}

fn composer(messages: &[&Message], asked: &Asked, draft: String) -> Composer {
    let find = |id: &Option<String>| {
        let id = id.as_ref()?;
        messages.iter().find(|message| message.id == *id && message.kind != Kind::Removed)
    };
    // The text of somebody else is nothing to begin with: unfiltered, as one's own stands in the line.
    if let Some(message) = find(&asked.edit).filter(|message| message.state != api::State::Received) {
        let text = message.text.as_raw().to_owned();
        return Composer { act: "edit", id: message.id.clone(), about: excerpt(&message.text), text };
    }
    if let Some(message) = find(&asked.reply) {
        let about = format!("{}: {}", plain::account(&message.from), excerpt(&message.text));
        return Composer { act: "reply", id: message.id.clone(), about: about.into(), text: draft };
    }
    Composer { act: "", id: String::new(), about: Shown::default(), text: draft }
}

async fn key_panel(web: &Web, here: &str) -> Result<KeyPanel, Error> {
    let name = here.trim_start_matches('@');
    let contacts = web.ask.of(Command::Contacts).await?;
    let panel = contacts.iter().find_map(|event| match event {
        Event::Contact { name: other, fingerprint, changed, .. } if other == name => Some(KeyPanel {
            name: plain::said(name),
            old: plain::said(fingerprint),
            new: changed.as_deref().map(plain::said).unwrap_or_default(),
        }),
        _ => None,
    });
    panel.ok_or_else(|| Error::new(ErrorCode::NoSuchName, "nobody of this name is known"))
}

#[derive(Deserialize)]
pub(super) struct PeopleOf {
    of: Option<String>,
}

/// The third pane by itself, for a window that has no place for three.
pub(super) async fn people(State(web): State<Arc<Web>>, Query(PeopleOf { of }): Query<PeopleOf>) -> Response {
    let here = of.unwrap_or_default();
    let page = async { Ok(HomePage { frame: Frame::new(&web, &here, "People", "people").await? }) };
    answer(&web, page.await)
}

#[derive(Deserialize)]
pub(super) struct Words {
    q: Option<String>,
}

pub(super) async fn search(State(web): State<Arc<Web>>, Query(Words { q }): Query<Words>) -> Response {
    let page = async {
        let words = q.unwrap_or_default();
        let asked = !words.trim().is_empty();
        let events = match asked {
            true => web.ask.of(Command::Search { words: words.clone(), with: None, limit: Some(PAGE) }).await?,
            false => Vec::new(),
        };
        let frame = Frame::new(&web, "", "Search", "talk").await?;
        let found = events.iter().filter_map(|event| Line::of_event(event, &frame.base)).collect();
        Ok(SearchPage { frame, words: plain::said(&words), asked, found })
    };
    answer(&web, page.await)
}

pub(super) async fn own(State(web): State<Arc<Web>>) -> Response {
    let page = verification(&web, None).await;
    answer(&web, page)
}

pub(super) async fn verify(State(web): State<Arc<Web>>, Path(name): Path<String>) -> Response {
    let page = verification(&web, Some(name)).await;
    answer(&web, page)
}

async fn verification(web: &Web, name: Option<String>) -> Result<VerifyPage, Error> {
    let events = web.ask.of(Command::Verify { name: name.clone(), mark: None }).await?;
    let safety = events.into_iter().find_map(|event| match event {
        Event::Safety { name, number, code, trust } => Some((name, number, code, trust)),
        _ => None,
    });
    let (shown, number, code, trust) = safety
        .ok_or_else(|| Error::new(ErrorCode::Failed, "there is no number to compare").advise("sealpost status"))?;
    let me = web.ask.of(Command::Me).await?;
    let link = me.into_iter().find_map(|event| match event {
        Event::Me { link, .. } => Some(link),
        _ => None,
    });
    let link = link.unwrap_or_default();
    let own = name.is_none();
    let here = name.map(|name| format!("@{name}")).unwrap_or_default();
    let title = if own { "Your key".to_owned() } else { format!("Verify {}", plain::account(&shown)) };
    Ok(VerifyPage {
        frame: Frame::new(web, &here, &title, "talk").await?,
        own,
        name: plain::account(&shown),
        bare: plain::said(shown.trim_start_matches('@')),
        groups: number.split_whitespace().map(plain::said).collect(),
        code: Code::of(if own { &link } else { &code }),
        link: plain::said(&link),
        trust: trust.words(),
    })
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/style.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("pages/page.js"))
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("pages/icon.svg"))
}

pub(super) async fn nothing(State(web): State<Arc<Web>>) -> Response {
    let error = Error::new(ErrorCode::NoSuchMessage, "there is no such page").advise("the list of conversations");
    trouble(&web, &error)
}

/// The list of conversations alone, for a page that is open.
#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct List {
    frame: Frame,
}

pub(super) async fn list(web: &Web, here: &str) -> Option<String> {
    let frame = Frame::new(web, here, "", "list").await.ok()?;
    List { frame }.render().ok()
}

/// Where a conversation's page is, base included; without one, where the list is.
pub(super) fn whole_path(web: &Web, conversation: &str) -> String {
    let path = if conversation.is_empty() { "/".to_owned() } else { path(conversation) };
    format!("{}{path}", web.gate.base())
}

/// Where everybody is listed, or who is in this room, base included.
pub(super) fn people_path(web: &Web, here: &str) -> String {
    format!("{}{}", web.gate.base(), people_of(here))
}

fn people_of(here: &str) -> String {
    format!("/people?of={}", here.replace('#', "%23"))
}

/// Where the number to compare with somebody is, base included; one's own key without a name.
pub(super) fn verify_path(web: &Web, name: Option<&str>) -> String {
    let name = name.map(|name| format!("/{name}")).unwrap_or_default();
    format!("{}/verify{name}", web.gate.base())
}
