use super::{line, message};
use crate::api::{Bot, Error, ErrorCode, Event, Found, Kind, Message, Reaction, State, Text, Transfer, Trust, Way};
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
    "zero\u{200b}width\u{2060}",
    "\u{90}q\u{9c}\u{84}",
    "\u{1b}_application\u{1b}\\\u{1b}^private\u{1b}\\",
];

/// The same, and a tower of marks that covers what stands above it.
pub(crate) fn payloads() -> Vec<String> {
    let tower = format!("x{}", "\u{301}".repeat(10_000));
    PAYLOADS.iter().map(|payload| (*payload).to_owned()).chain([tower]).collect()
}

/// Panics where a text is anything but text to whoever shows it: by a list of its own, not by the filter's.
pub(crate) fn assert_harmless(shown: &str) {
    let unseen = "\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\
                  \u{2068}\u{2069}\u{feff}\u{e0001}";
    let obeyed = shown.chars().find(|c| !matches!(c, '\n' | '\t') && (c.is_control() || unseen.contains(*c)));
    assert_eq!(obeyed, None, "{shown:?}");
    assert!(!shown.contains(&"\u{301}".repeat(9)), "a tower of marks");
}

/// Every event, with this in every field that somebody else may have filled.
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
        Event::NewDevice { name: text(), device: 2, replaces: true },
        Event::Restored { name: Some(text()) },
        Event::Restored { name: None },
        Event::Check { what: text(), found: Found::Warn, detail: text(), advice: Some(text()) },
        Event::Device { device: 2, this: true, code: Some(text()) },
        Event::DeviceRequest { request: text(), code: text() },
        Event::Relay { name: text(), address: text() },
        Event::Profile { name: text(), held: true },
        Event::Listening { at: text() },
        Event::Bot(Bot { name: text(), conversations: vec![text()], read_only: true, token: Some(text()) }),
        Event::BotRemoved { name: text() },
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
    let at_a_terminal = Screen { terminal: true, slash: true, ..screen() };
    for hostile in payloads() {
        for event in everywhere(&hostile) {
            for shown in
                [line(&event, &screen()), line(&event, &at_a_terminal), json::line(&event)].into_iter().flatten()
            {
                assert_harmless(&shown);
            }
        }
    }
}

/// Whoever adds an event puts it into `everywhere`, and with that before every face. These say nothing of anybody else.
#[test]
fn no_event_is_left_out() {
    let unknown = serde_json::from_value::<Event>(serde_json::json!({ "event": "?" })).unwrap_err().to_string();
    let (_, names) = unknown.split_once("expected one of").unwrap();
    let there: Vec<String> = everywhere("x")
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    let quiet = ["taken", "done", "end"];
    for name in names.split('`').skip(1).step_by(2).filter(|name| !quiet.contains(name)) {
        assert!(there.iter().any(|there| there == name), "`{name}` is missing in `everywhere` of plain_tests.rs");
    }
}

/// A face prints by `Screen`, which takes nothing but `Shown`, and by the line editor, which is given the same. What is asked of a
/// newcomer is made of words of the program and of what was typed.
#[test]
fn no_other_file_prints() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/face"))];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.to_str().unwrap();
            let may = ["screen.rs", "register.rs", "passphrase.rs", "_tests.rs", "schema.rs"];
            if !name.ends_with(".rs") || may.iter().any(|may| name.ends_with(may)) {
                continue;
            }
            seen += 1;
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap();
            for printing in ["println!(", "print!(", "writeln!(std::io", "writeln!(out", "write!(out"] {
                assert!(!code.contains(printing), "{name} has {printing}");
            }
        }
    }
    assert!(seen > 40, "{seen}");
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
