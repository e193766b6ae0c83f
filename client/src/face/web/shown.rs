//! What a page shows of an event: text that is filtered, and words beside every mark.

use askama::Template;

use crate::api::{Error, Event, Kind, Message, Shown, State, Text, Transfer, Trust, Way, bytes_in_words};
use crate::face::{names, plain};

/// Where a conversation's page is, below the base.
pub(super) fn path(conversation: &str) -> String {
    match conversation.strip_prefix('#') {
        Some(room) => format!("/room/{room}"),
        None => format!("/with/{}", conversation.strip_prefix('@').unwrap_or(conversation)),
    }
}

/// `PUBLIC`, or private with what is known of the key.
pub(super) fn privacy(conversation: &str, trust: Option<Trust>) -> &'static str {
    match trust {
        _ if conversation.starts_with('#') => "PUBLIC",
        Some(Trust::Verified) => "private, verified",
        Some(Trust::KeyChanged) => "private, key changed",
        Some(Trust::Unverified) | None => "private, unverified",
    }
}

/// A conversation in the list.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) name: Shown,
    pub(super) privacy: &'static str,
    pub(super) unread: u32,
    pub(super) mentions: u32,
    pub(super) notes: Vec<&'static str>,
    pub(super) open: bool,
}

impl Entry {
    pub(super) fn of(event: &Event, open: &str) -> Option<Self> {
        let Event::Conversation { name, trust, unread, mentions, muted, request, blocked, joined, draft, .. } = event
        else {
            return None;
        };
        let mut notes = Vec::new();
        for (holds, note) in [
            (*request, "wants to talk"),
            (*muted, "muted"),
            (*blocked, "blocked"),
            (*joined == Some(false), "left"),
            (draft.is_some(), "draft"),
        ] {
            if holds {
                notes.push(note);
            }
        }
        Some(Self {
            path: path(name),
            name: plain::said(name),
            privacy: privacy(name, *trust),
            unread: *unread,
            mentions: *mentions,
            notes,
            open: name == open,
        })
    }
}

/// A reaction, with how many people had it.
pub(super) struct Reactions {
    pub(super) emoji: Shown,
    pub(super) count: usize,
    pub(super) from: Shown,
}

/// A message, a gap or something refused: one line of the log.
#[derive(Template)]
#[template(path = "line.html")]
pub(super) struct Line {
    pub(super) base: String,
    /// Where it stands, as commands name it.
    pub(super) conversation: Shown,
    pub(super) path: String,
    pub(super) id: Shown,
    pub(super) from: Shown,
    pub(super) beside: Shown,
    pub(super) own: bool,
    pub(super) time: Shown,
    pub(super) sent_at: Shown,
    pub(super) text: Shown,
    pub(super) notice: bool,
    pub(super) action: bool,
    pub(super) removed: bool,
    pub(super) edited: bool,
    pub(super) target: Option<Shown>,
    pub(super) state: &'static str,
    pub(super) trust: &'static str,
    pub(super) mentions_me: bool,
    pub(super) reactions: Vec<Reactions>,
    pub(super) file: Option<File>,
    /// Whoever looks at it made the room, and may take it away.
    pub(super) remove: bool,
}

/// What a line shows of the file that it announces.
pub(super) struct File {
    pub(super) name: Shown,
    pub(super) size: String,
    pub(super) words: Shown,
    pub(super) percent: Option<u64>,
    /// It can be fetched.
    pub(super) fetch: bool,
    /// It is being fetched, which can be ended.
    pub(super) end: bool,
    /// It was fetched, and the browser may have it.
    pub(super) give: bool,
}

impl File {
    pub(super) fn of(file: &Transfer) -> Self {
        let moving = matches!(file.state, Way::Moving);
        let percent = (u128::from(file.done) * 100).checked_div(u128::from(file.size)).unwrap_or(100);
        let trouble = file.trouble.as_deref().map_or_else(String::new, |trouble| format!(": {}", plain::said(trouble)));
        let saved = file.incoming && file.state == Way::Done;
        let at =
            file.path.as_deref().filter(|_| saved).map_or_else(String::new, |at| format!(" as {}", plain::said(at)));
        Self {
            name: file.name.on_one_line(),
            size: bytes_in_words(file.size),
            words: format!("{}{at}{trouble}", file.state.words(file.incoming)).into(),
            percent: moving.then(|| u64::try_from(percent).unwrap_or(100)),
            fetch: file.incoming && matches!(file.state, Way::Offered | Way::Waiting | Way::Failed),
            end: file.incoming && matches!(file.state, Way::Waiting | Way::Moving),
            give: saved,
        }
    }
}

/// Whether the line stands in the log by itself; edits, deletions and reactions change another one.
pub(super) fn stands(kind: Kind) -> bool {
    !matches!(kind, Kind::Edit | Kind::Delete | Kind::Reaction | Kind::Remove | Kind::Name | Kind::Away)
}

fn state(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Sent => "sent",
        State::Delivered => "delivered",
        State::Read => "read",
        State::NotDelivered => "not delivered",
        State::Received => "",
    }
}

/// The words of a message's state, where there are any to say.
pub(super) fn moved(to: State) -> &'static str {
    state(to)
}

impl Line {
    pub(super) fn of(message: &Message, base: &str) -> Self {
        let mut reactions: Vec<Reactions> = Vec::new();
        for reaction in &message.reactions {
            let (emoji, from) = (reaction.emoji.on_one_line(), plain::said(&reaction.from));
            match reactions.iter_mut().find(|one| one.emoji == emoji) {
                Some(one) => {
                    one.count += 1;
                    one.from = format!("{}, {from}", one.from).into();
                }
                None => reactions.push(Reactions { emoji, count: 1, from }),
            }
        }
        let (text, notice) = match message.kind {
            Kind::Join => ("became a member".into(), true),
            Kind::Leave => ("left".into(), true),
            _ => match names::decision(message) {
                Some(decision) => (decision.into(), true),
                None => (message.text.shown(), false),
            },
        };
        Self {
            base: base.to_owned(),
            conversation: plain::said(&message.conversation),
            path: path(&plain::said(&message.conversation)),
            id: plain::said(&message.id),
            from: plain::account(&message.from),
            beside: names::beside(message.label.as_ref(), message.display.as_ref()).trim_start().into(),
            own: message.state != State::Received,
            time: plain::time(&message.sent_at),
            sent_at: plain::said(&message.sent_at),
            text,
            notice,
            action: message.action,
            removed: message.kind == Kind::Removed,
            edited: message.edited,
            target: message.target.as_deref().map(plain::said),
            state: state(message.state),
            trust: if message.state == State::Received { message.trust.words() } else { "" },
            mentions_me: message.mentions_me,
            reactions,
            file: message.file.as_deref().map(File::of),
            remove: false,
        }
    }

    /// As whoever made the room sees it.
    pub(super) fn for_maker(self, makes: bool) -> Self {
        Self { remove: makes && !self.own, ..self }
    }

    /// Something that is said about a conversation, by nobody.
    fn about(conversation: &str, text: impl Into<Shown>) -> Self {
        Self {
            base: String::new(),
            conversation: plain::said(conversation),
            path: String::new(),
            id: Shown::default(),
            from: Shown::default(),
            beside: Shown::default(),
            own: false,
            time: Shown::default(),
            sent_at: Shown::default(),
            text: text.into(),
            notice: true,
            action: false,
            removed: false,
            edited: false,
            target: None,
            state: "",
            trust: "",
            mentions_me: false,
            reactions: Vec::new(),
            file: None,
            remove: false,
        }
    }

    /// The line of an event, with the conversation in which it stands.
    pub(super) fn of_event(event: &Event, base: &str) -> Option<Self> {
        Some(match event {
            Event::Message(message) if stands(message.kind) => Self::of(message, base),
            Event::Gap { conversation, from, missing } => {
                let noun = if *missing == 1 { "message" } else { "messages" };
                Self::about(conversation, format!("{missing} {noun} of {} missing here", plain::account(from)))
            }
            Event::Refused { conversation: Some(conversation), reason } => {
                Self::about(conversation, format!("something was refused: {}", plain::said(reason)))
            }
            Event::About { conversation, from, display, away } => {
                let words = names::of_oneself(display.as_ref(), away.as_ref());
                Self::about(conversation, format!("{} {words}", plain::account(from)))
            }
            Event::NewDevice { name, device, replaces } => {
                let before = if *replaces { "; the one before is gone" } else { "" };
                let who = plain::account(name);
                Self::about(
                    &format!("@{name}"),
                    format!("{who} has a new device, number {device}, of the same key{before}"),
                )
            }
            Event::Restored { name: Some(name) } => Self::about(&format!("@{name}"), plain::restored(Some(name))),
            _ => return None,
        })
    }
}

/// Somebody on the right.
pub(super) struct Person {
    pub(super) path: String,
    pub(super) name: Shown,
    pub(super) words: String,
}

impl Person {
    pub(super) fn of(event: &Event) -> Option<Self> {
        let (name, words) = match event {
            Event::Presence { name, online, creator, label, display, away, .. } => {
                let creator = if *creator { ", made the room" } else { "" };
                let away = away.as_ref().map_or_else(String::new, |why| format!(", away: {}", excerpt(why)));
                let beside = names::beside(label.as_ref(), display.as_ref());
                (name, format!("{}{creator}{away}{beside}", if *online { "online" } else { "offline" }))
            }
            Event::Contact { name, trust, blocked, label, display, .. } => {
                let blocked = if *blocked { ", blocked" } else { "" };
                let beside = names::beside(label.as_ref(), display.as_ref());
                (name, format!("{}{blocked}{beside}", trust.words()))
            }
            _ => return None,
        };
        let bare = name.strip_prefix('@').unwrap_or(name);
        Some(Self { path: path(bare), name: plain::account(bare), words })
    }
}

/// An error in its three parts.
pub(super) struct Trouble {
    pub(super) message: Shown,
    pub(super) cause: Option<Shown>,
    pub(super) advice: Option<Shown>,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            message: plain::said(&error.message),
            cause: error.cause.as_deref().map(plain::said),
            advice: error.advice.as_deref().map(plain::said),
        }
    }
}

/// A QR code as the path of an SVG picture, with its width in modules.
pub(super) struct Code {
    pub(super) width: usize,
    pub(super) path: String,
}

impl Code {
    /// `None`: it is too long for a code.
    pub(super) fn of(text: &str) -> Option<Self> {
        let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::L).ok()?;
        let width = code.width();
        let dark = |(at, _): &(usize, &qrcode::Color)| (at % width, at / width);
        let modules = code.to_colors();
        let path = modules.iter().enumerate().filter(|(_, colour)| **colour == qrcode::Color::Dark);
        let path = path.map(|module| dark(&module)).map(|(x, y)| format!("M{} {}h1v1h-1z", x + 4, y + 4)).collect();
        // Four modules of quiet zone on each side, as ISO/IEC 18004 asks.
        Some(Self { width: width + 8, path })
    }
}

/// Text of somebody else as a page shows it, on one line.
pub(super) fn excerpt(text: &Text) -> Shown {
    let text = text.on_one_line();
    if text.chars().count() <= 80 { text } else { format!("{}…", text.chars().take(79).collect::<String>()).into() }
}

#[cfg(test)]
mod tests {
    use askama::Template as _;

    use super::{Code, Entry, Line, Person, Trouble, excerpt, path, privacy};
    use crate::api::{Event, Trust};
    use crate::face::plain::tests::{assert_harmless, everywhere, payloads};

    /// Whatever others fill in, in whichever event, is text on a page, and nothing of it is markup.
    #[test]
    fn no_field_of_any_event_reaches_a_page_unfiltered() {
        let markup =
            ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'"].map(str::to_owned);
        for hostile in payloads().into_iter().chain(markup) {
            let mut seen = 0;
            for event in everywhere(&hostile) {
                let line = Line::of_event(&event, "/base").map(|line| line.render().unwrap());
                let named = [Entry::of(&event, "").map(|one| one.name), Person::of(&event).map(|one| one.name)];
                let told = match &event {
                    Event::Error(error) => {
                        let Trouble { message, cause, advice } = Trouble::from(error);
                        vec![message, cause.unwrap(), advice.unwrap()]
                    }
                    Event::Message(message) => vec![excerpt(&message.text)],
                    _ => Vec::new(),
                };
                let texts = named.into_iter().flatten().chain(told).map(|shown| shown.to_string());
                for shown in line.into_iter().chain(texts) {
                    assert_harmless(&shown);
                    seen += 1;
                }
                let line = Line::of_event(&event, "/base").map(|line| line.render().unwrap()).unwrap_or_default();
                assert!(!line.contains("<script") && !line.contains("<img") && !line.contains("'-alert"), "{line}");
            }
            assert!(seen > 15, "{seen}");
        }
    }

    /// What stands beside a conversation is words, for a room as for a person.
    #[test]
    fn marks_are_words() {
        assert_eq!(privacy("#lobby", None), "PUBLIC");
        assert_eq!(privacy("@bob", Some(Trust::Verified)), "private, verified");
        assert_eq!(privacy("@bob", None), "private, unverified");
        assert_eq!((path("#lobby"), path("@bob")), ("/room/lobby".to_owned(), "/with/bob".to_owned()));
    }

    /// Each dark module is a square, inside a quiet zone.
    #[test]
    fn a_code_is_drawn_whole() {
        let code = Code::of(&"0123456789".repeat(6)).unwrap();
        let dark = qrcode::QrCode::with_error_correction_level("0123456789".repeat(6), qrcode::EcLevel::L).unwrap();
        let dark = dark.to_colors().iter().filter(|colour| **colour == qrcode::Color::Dark).count();
        assert_eq!(code.path.matches('M').count(), dark);
        assert!(code.path.starts_with("M4 4"), "{}", &code.path[..20]);
    }
}
