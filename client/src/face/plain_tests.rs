use super::{line, message};
use crate::api::{Error, ErrorCode, Event, Kind, Message, Reaction, State, Text, Transfer, Trust, Way};
use crate::face::json;
use crate::face::screen::{Colour, Screen};

/// What has torn terminals elsewhere.
pub(crate) const PAYLOADS: &[&str] = &[
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;http://example.org\u{1b}\\here\u{1b}]8;;\u{1b}\\",
    "\u{1b}P$q\"p\u{1b}\\",
    "\u{1b}c",
    "\u{1b}[5i",
    "\u{9b}31m",
    "\u{9d}52;c;AAAA\u{9c}",
    "safe\rover",
    "bell\u{7}\u{8}\u{8}",
    "a\u{202e}gpj.exe\u{202c}",
    "\u{2066}iso\u{2069}\u{200f}\u{61c}",
    "line\u{2028}separator\u{85}next",
    "\u{0}\u{7f}",
    "\u{feff}\u{e0001}",
];

pub(crate) fn everywhere(hostile: &str) -> Vec<Event> {
    let text = || hostile.to_owned();
    let kinds = [
        Kind::Text,
        Kind::Reply,
        Kind::Edit,
        Kind::Delete,
        Kind::Reaction,
        Kind::Join,
        Kind::Leave,
        Kind::Removed,
        Kind::Timer,
        Kind::File,
        Kind::Topic,
        Kind::Kick,
        Kind::Ban,
        Kind::Unban,
        Kind::Remove,
        Kind::Name,
        Kind::Away,
    ];
    let file = |state| Transfer {
        id: text(),
        conversation: text(),
        incoming: true,
        name: Text::new(hostile),
        size: 5,
        done: 1,
        state,
        path: Some(text()),
        trouble: Some(text()),
    };
    let mut events: Vec<Event> = kinds
        .into_iter()
        .map(|kind| {
            Event::Message(Message {
                id: text(),
                conversation: text(),
                from: text(),
                verified: false,
                trust: Trust::Unverified,
                sent_at: text(),
                text: Text::new(hostile),
                kind,
                target: Some(text()),
                state: State::Received,
                request: true,
                edited: true,
                reactions: vec![Reaction { emoji: Text::new(hostile), from: text() }],
                expires_at: Some(text()),
                mentions_me: true,
                action: true,
                file: Some(Box::new(file(Way::Done))),
                label: Some(Text::new(hostile)),
                display: Some(Text::new(hostile)),
                whom: Some(text()),
            })
        })
        .collect();
    if let Some(Event::Message(message)) = events.first().cloned() {
        events.push(Event::Conversation {
            name: text(),
            trust: Some(Trust::Unverified),
            unread: 1,
            mentions: 1,
            muted: true,
            request: true,
            blocked: true,
            joined: Some(false),
            topic: Some(Text::new(hostile)),
            creator: Some(text()),
            label: Some(Text::new(hostile)),
            display: Some(Text::new(hostile)),
            draft: Some(Text::new(hostile)),
            expire_after: Some(60),
            last: Some(Box::new(message)),
        });
    }
    events.extend([
        Event::Queued { id: text(), conversation: text() },
        Event::State { id: text(), conversation: text(), state: State::Sent },
        Event::Gap { conversation: text(), from: text(), missing: 1 },
        Event::Refused { conversation: Some(text()), reason: text() },
        Event::KeyChanged { name: text(), old: text(), new: text() },
        Event::Me { name: text(), fingerprint: text(), link: text(), relay: text() },
        Event::Contact {
            name: text(),
            fingerprint: text(),
            trust: Trust::KeyChanged,
            blocked: true,
            accepted: false,
            unread: 1,
            changed: Some(text()),
            label: Some(Text::new(hostile)),
            display: Some(Text::new(hostile)),
        },
        Event::Person {
            name: text(),
            fingerprint: text(),
            trust: Trust::Verified,
            label: Some(Text::new(hostile)),
            display: Some(Text::new(hostile)),
            away: Some(Text::new(hostile)),
            blocked: true,
            accepted: false,
            changed: Some(text()),
            rooms: vec![text()],
            devices: vec![1],
            first_seen: Some(text()),
            verified_since: Some(text()),
        },
        Event::About {
            conversation: text(),
            from: text(),
            display: Some(Text::new(hostile)),
            away: Some(Text::new(hostile)),
        },
        Event::Typing { conversation: text(), from: text(), on: true },
        Event::Settings { read_receipts: true, typing: false },
        Event::Safety { name: text(), number: text(), code: text(), trust: Trust::Verified },
        Event::Room {
            name: text(),
            members: 1,
            posts: 1,
            joined: true,
            topic: Some(Text::new(hostile)),
            creator: Some(text()),
        },
        Event::Presence {
            room: text(),
            name: text(),
            online: true,
            creator: true,
            label: Some(Text::new(hostile)),
            display: Some(Text::new(hostile)),
            away: Some(Text::new(hostile)),
        },
        Event::Status {
            name: text(),
            relay: text(),
            connection: text(),
            transport: text(),
            queued: 0,
            unconfirmed: 0,
            drained: true,
        },
        Event::Progress(file(Way::Offered)),
        Event::Progress(file(Way::Moving)),
        Event::Progress(file(Way::Done)),
        Event::Progress(file(Way::Failed)),
        Event::Notice { id: text(), time: text(), text: Text::new(hostile) },
        Event::Connection { online: true, detail: text() },
        Event::Error(Error::new(ErrorCode::Refused, text()).because(text()).advise(text())),
    ]);
    events
}

fn screen() -> Screen {
    Screen { json: false, quiet: false, verbose: true, ..Screen::new(false, false, true, Colour::Never) }
}

#[test]
fn no_field_of_any_event_reaches_a_terminal_unfiltered() {
    for hostile in PAYLOADS {
        for event in everywhere(hostile) {
            for shown in [line(&event, &screen()), json::line(&event)].into_iter().flatten() {
                let obeyed = shown.chars().find(|c| *c != '\n' && *c != '\t' && crate::api::is_obeyed(*c));
                assert_eq!(obeyed, None, "{shown:?}");
            }
        }
    }
}

#[test]
fn a_line_of_a_message_does_not_pass_for_another_message() {
    let forged = "hi\n2026-11-20 08:00 E2E @bob (verified): send me the money";
    for event in everywhere("x") {
        if let Event::Message(mut forging) = event {
            forging.text = Text::new(forged);
            let shown = message(&forging, &screen());
            assert!(shown.lines().skip(1).all(|line| line.starts_with("    ")), "{shown}");
        }
    }
}

#[test]
fn advice_is_given_in_the_words_of_the_place() {
    let changed = Event::KeyChanged { name: "bob".to_owned(), old: "aaa".to_owned(), new: "bbb".to_owned() };
    let error = Event::Error(Error::new(ErrorCode::Waiting, "queued").advise("sealpost status"));
    let odd = Event::Error(Error::new(ErrorCode::Usage, "no").advise("sealpost --passphrase-file F"));
    let typing = Screen { slash: true, ..screen() };
    for (event, outside, inside) in [
        (changed, "sealpost trust bob bbb", "then: /trust bob bbb"),
        (error, "try: sealpost status", "try: /status"),
        (odd, "try: sealpost --passphrase-file F", "try: sealpost --passphrase-file F"),
    ] {
        assert!(line(&event, &screen()).unwrap().contains(outside));
        assert!(line(&event, &typing).unwrap().contains(inside));
    }
}

#[test]
fn marks_are_words() {
    let Some(Event::Message(mut message)) = everywhere("x").into_iter().next() else { panic!("the first is one") };
    message.request = false;
    (message.edited, message.action, message.reactions) = (false, false, Vec::new());
    message.conversation = "@bob".to_owned();
    message.from = "@bob".to_owned();
    message.sent_at = "2026-11-20T08:00:00.123Z".to_owned();
    assert!(super::message(&message, &screen()).contains("E2E @bob [x] \"x\" (unverified): x"), "and what is beside");
    (message.label, message.display) = (None, None);
    for (trust, words) in [
        (Trust::Verified, "E2E @bob (verified): x"),
        (Trust::Unverified, "E2E @bob (unverified): x"),
        (Trust::KeyChanged, "E2E @bob (key changed): x"),
    ] {
        message.trust = trust;
        let shown = super::message(&message, &screen());
        assert!(shown.ends_with(words), "{shown}");
    }
    message.conversation = "#lobby".to_owned();
    assert!(super::message(&message, &screen()).ends_with("PUBLIC #lobby @bob (key changed): x"));
}

/// What became of a message stands behind it: an edit, what people think of it, and that it is gone.
#[test]
fn a_message_is_shown_in_its_present_state() {
    let Some(Event::Message(mut message)) = everywhere("x").into_iter().next() else { panic!("the first is one") };
    message.from = "@bob".to_owned();
    message.reactions =
        ["👍", "❤", "👍"].map(|emoji| Reaction { emoji: Text::new(emoji), from: "@carol".to_owned() }).to_vec();
    let shown = |message: &Message| super::message(message, &screen()).rsplit_once("): ").unwrap().1.to_owned();
    assert_eq!(shown(&message), "* @bob x (edited) *  [👍 2, ❤ 1]");
    (message.action, message.edited) = (false, false);
    assert_eq!(shown(&message), "x  [👍 2, ❤ 1]");
    (message.kind, message.text, message.reactions) = (Kind::Removed, Text::new("deleted by its author"), Vec::new());
    assert_eq!(shown(&message), "(deleted by its author)");
}
