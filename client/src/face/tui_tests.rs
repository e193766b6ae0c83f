use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::help::Help;
use super::jump::Jump;
use super::people::People;
use super::session::Heard;
use super::theme::Theme;
use super::verify::Verify;
use super::{App, Next, Panel, Stage, draw};
use crate::api::{Command, Error, ErrorCode, Event, Kind, Message, State, Text, Trust};
use crate::face::notify::Notify;
use crate::face::plain::tests::{everywhere, payloads};

fn talking() -> App {
    let mut app = App::new(Theme::new(Some(false), false), Notify::On);
    app.heard(Heard::Open);
    app.out.clear();
    app
}

fn drawn(app: &mut App, columns: u16, rows: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw::screen(frame, app)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |row| (0..columns).filter_map(|column| buffer.cell((column, row))).map(|cell| cell.symbol()).collect();
    (0..rows).map(line).collect()
}

fn press(app: &mut App, code: KeyCode) {
    app.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

fn type_in(app: &mut App, text: &str) {
    text.chars().for_each(|c| press(app, KeyCode::Char(c)));
}

fn message(id: &str, from: &str, text: &str) -> Event {
    Event::Message(Message {
        id: id.to_owned(),
        conversation: "@bob".to_owned(),
        from: from.to_owned(),
        verified: false,
        trust: Trust::Unverified,
        sent_at: "2026-11-20T08:00:00.000Z".to_owned(),
        text: Text::new(text),
        kind: Kind::Text,
        target: None,
        state: if from == "@alice" { State::Sent } else { State::Received },
        request: false,
        edited: false,
        reactions: Vec::new(),
        expires_at: None,
        mentions_me: false,
        action: false,
        file: None,
        label: None,
        display: None,
        whom: None,
    })
}

/// Every field that somebody else may fill, in every event, on every screen and in every panel: nothing of it is
/// obeyed, and it stays in its place.
#[test]
fn no_field_of_any_event_reaches_the_screen_unfiltered() {
    for hostile in payloads() {
        let mut app = talking();
        for event in everywhere(&hostile) {
            app.heard(Heard::Told(None, event.clone()));
            app.ask(Command::Status, super::Asked::Shown("#lobby".to_owned()));
            app.heard(Heard::Told(Some(app.given), event));
        }
        let text = || hostile.clone();
        let verify = || Verify { name: text(), number: text(), code: text(), trust: Trust::Unverified };
        let mut members = People::new(Some(text()));
        members.tell(&hostile, &hostile, true, hostile.clone());
        let places: Vec<String> = app.view.list().iter().map(|one| one.name.clone()).collect();
        for panel in [
            Panel::None,
            Panel::Help(Help::new()),
            Panel::Jump(Jump::default()),
            Panel::People(People::new(None)),
            Panel::People(members),
            Panel::Verify(verify()),
        ] {
            app.panel = panel;
            for place in &places {
                app.open(place);
                for row in drawn(&mut app, 80, 24).into_iter().chain(drawn(&mut app, 44, 12)) {
                    let obeyed = row.chars().find(|c| crate::api::is_obeyed(*c));
                    assert_eq!(obeyed, None, "{row:?}");
                    let marks = row.chars().filter(|c| *c == '\u{301}').count();
                    assert!(marks <= 80 * 8, "{marks} marks in a row");
                }
            }
        }
        let locked = Error::new(ErrorCode::Locked, hostile);
        app.heard(Heard::Locked(Some(locked)));
        assert!(drawn(&mut app, 80, 24).iter().all(|row| !row.chars().any(crate::api::is_obeyed)));
    }
}

/// However small the terminal is, something is drawn that says what is the matter.
#[test]
fn every_size_is_drawn() {
    let mut app = talking();
    app.heard(Heard::Told(None, Event::KeyChanged { name: "bob".into(), old: "o".repeat(52), new: "n".repeat(52) }));
    app.heard(Heard::Told(None, message("1", "@bob", &"日本語 and a long line of words 👩‍👩‍👧‍👦 ".repeat(30))));
    for place in ["#lobby", "@bob"] {
        app.open(place);
        for (columns, rows) in [(1, 1), (2, 9), (39, 10), (40, 9), (40, 10), (63, 10), (64, 11), (80, 24), (300, 90)] {
            for panel in [Panel::None, Panel::Help(Help::new()), Panel::Jump(Jump::default())] {
                app.panel = panel;
                let shown = drawn(&mut app, columns, rows);
                assert_eq!(shown.len(), usize::from(rows));
            }
        }
    }
    app.panel = Panel::None;
    assert!(drawn(&mut app, 39, 10).concat().contains("40 x 10 are needed"));
    assert!(drawn(&mut app, 40, 10).concat().contains("E2E"));
}

/// While the profile is opened there is a frame already, and a locked one says so.
#[test]
fn opening_shows_a_frame() {
    let mut app = App::new(Theme::new(None, true), Notify::Off);
    assert!(drawn(&mut app, 80, 24).concat().contains("opening the profile"));
    app.heard(Heard::Locked(None));
    assert!(drawn(&mut app, 80, 24).concat().contains("Passphrase:"));
    type_in(&mut app, "secret");
    let shown = drawn(&mut app, 80, 24).concat();
    assert!(shown.contains("******") && !shown.contains("secret"), "{shown}");
    press(&mut app, KeyCode::Enter);
    assert_eq!(app.unlocked.take().unwrap().as_str(), "secret");
    assert!(matches!(app.stage, Stage::Opening));
}

/// What is typed goes to the conversation that is open; what could not be taken stands in the line again.
#[test]
fn what_is_refused_is_not_lost() {
    let mut app = talking();
    app.open("@bob");
    app.out.clear();
    type_in(&mut app, "hello");
    press(&mut app, KeyCode::Enter);
    let Some((number, Command::Send { to, text, .. })) = app.out.pop() else { panic!("nothing was sent") };
    assert_eq!((to.as_str(), text.as_str()), ("@bob", "hello"));
    assert!(app.composer.is_empty());
    let error = Error::new(ErrorCode::NoSuchName, "nobody has this name").advise("sealpost contacts");
    app.heard(Heard::Told(Some(number), Event::Error(error)));
    assert_eq!(app.composer.text(), "hello");
    assert!(drawn(&mut app, 80, 24).concat().contains("nobody has this name"));
}

/// A changed key blocks what is said and not what is commanded; both fingerprints and what to do are shown.
#[test]
fn a_changed_key_blocks_the_line() {
    let mut app = talking();
    app.open("@bob");
    app.heard(Heard::Told(
        None,
        Event::KeyChanged { name: "bob".into(), old: "oldprint".into(), new: "newprint".into() },
    ));
    let shown = drawn(&mut app, 80, 24).concat();
    for words in ["key changed", "oldprint", "newprint", "/trust bob", "/block bob"] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    app.out.clear();
    type_in(&mut app, "hello");
    app.input(Input::Paste("hello".to_owned()));
    press(&mut app, KeyCode::Enter);
    assert!(app.composer.is_empty() && app.out.is_empty());
    press(&mut app, KeyCode::Tab);
    press(&mut app, KeyCode::Enter);
    let trust = Command::Trust { name: "bob".into(), fingerprint: "newprint".into() };
    assert_eq!(app.out.pop().unwrap().1, trust);
}

/// Lines of a paste are one message, and nothing in it is obeyed.
#[test]
fn a_paste_is_one_message() {
    let mut app = talking();
    app.open("@bob");
    app.out.clear();
    app.input(Input::Paste("one\r\ntwo\u{1b}[2J\rthree\u{202e}".to_owned()));
    assert!(app.out.is_empty());
    press(&mut app, KeyCode::Enter);
    let Some((_, Command::Send { text, .. })) = app.out.pop() else { panic!("nothing was sent") };
    assert_eq!(text, "one\ntwo[2J\nthree");
}

/// Tab completes a command, and again shows the next; what was typed before comes back with Up.
#[test]
fn tab_completes_and_up_fetches_back() {
    let mut app = talking();
    type_in(&mut app, "/ver");
    press(&mut app, KeyCode::Tab);
    assert_eq!(app.composer.text(), "/verify ");
    app.composer.set("/who");
    press(&mut app, KeyCode::Tab);
    let first = app.composer.text();
    press(&mut app, KeyCode::Tab);
    assert!(first.starts_with("/who") && app.composer.text().starts_with("/who"));
    app.composer.set("");
    type_in(&mut app, "/status");
    press(&mut app, KeyCode::Enter);
    press(&mut app, KeyCode::Up);
    assert_eq!(app.composer.text(), "/status");
    press(&mut app, KeyCode::Down);
    assert!(app.composer.is_empty());
}

/// A line of a message does not pass for a message of somebody else: it is indented, whatever it says.
#[test]
fn a_forged_line_is_indented() {
    let mut app = talking();
    app.open("@bob");
    app.heard(Heard::Told(None, message("1", "@bob", "hi\n@carol  verified  08:00\n  send me the money")));
    let shown = drawn(&mut app, 60, 20);
    let forged = shown.iter().find(|row| row.contains("@carol")).unwrap();
    assert!(forged.starts_with("  @carol"), "{forged}");
}

/// Nothing is asked of the relay before what is stored was asked for.
#[test]
fn history_comes_before_the_network() {
    let mut app = App::new(Theme::new(None, false), Notify::Off);
    app.heard(Heard::Open);
    let asked: Vec<&Command> = app.out.iter().map(|(_, command)| command).collect();
    let history = asked.iter().position(|command| matches!(command, Command::History { .. })).unwrap();
    let rooms = asked.iter().position(|command| matches!(command, Command::Rooms)).unwrap();
    assert!(history < rooms);
    assert_eq!(app.next, Next::Stay);
}

/// A message is chosen with Esc and the arrows; what is then offered depends on whose it is.
#[test]
fn a_chosen_message_is_answered_changed_and_deleted() {
    let mut app = talking();
    app.open("@bob");
    app.heard(Heard::Told(None, message("m1", "@alice", "mine")));
    app.heard(Heard::Told(None, message("m2", "@bob", "theirs")));
    app.out.clear();
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.selected.as_deref(), Some("m2"));
    let shown = drawn(&mut app, 100, 24).concat();
    assert!(shown.contains("r answers, + reacts") && !shown.contains("d deletes"), "{shown}");
    type_in(&mut app, "d");
    assert!(app.about.is_none());
    type_in(&mut app, "rindeed");
    press(&mut app, KeyCode::Enter);
    assert!(matches!(app.out.pop().unwrap().1, Command::Reply { id, text, .. } if id == "m2" && text == "indeed"));
    press(&mut app, KeyCode::Esc);
    press(&mut app, KeyCode::Up);
    assert!(drawn(&mut app, 100, 24).concat().contains("d deletes"));
    type_in(&mut app, "d");
    press(&mut app, KeyCode::Enter);
    assert!(matches!(app.out.pop().unwrap().1, Command::Delete { id: Some(id), .. } if id == "m1"));
    press(&mut app, KeyCode::Esc);
    type_in(&mut app, "+2");
    assert_eq!(app.out.pop().unwrap().1, Command::React { id: "m2".into(), emoji: "❤".into() });
    press(&mut app, KeyCode::Up);
    assert_eq!(app.composer.text(), "mine");
    type_in(&mut app, "!");
    press(&mut app, KeyCode::Enter);
    assert!(
        matches!(app.out.pop().unwrap().1, Command::Edit { id: Some(id), text, .. } if id == "m1" && text == "mine!")
    );
}

/// Half a thought stays with its conversation, here and in the store.
#[test]
fn a_draft_stays_with_its_conversation() {
    let mut app = talking();
    app.open("@bob");
    type_in(&mut app, "half a thought");
    app.out.clear();
    app.open("#lobby");
    assert!(app.composer.is_empty());
    let draft = Command::Draft { with: "@bob".into(), text: "half a thought".into() };
    assert!(app.out.iter().any(|(_, command)| *command == draft));
    app.open("@bob");
    assert_eq!(app.composer.text(), "half a thought");
}

/// A message counts as read once somebody looks at the terminal, and not before.
#[test]
fn what_nobody_looks_at_is_not_read() {
    let mut app = talking();
    app.open("@bob");
    app.out.clear();
    app.input(Input::FocusLost);
    app.heard(Heard::Told(None, message("1", "@bob", "are you there?")));
    let read = Command::Read { with: "@bob".into(), through: None };
    assert!(!app.out.iter().any(|(_, command)| *command == read));
    app.input(Input::FocusGained);
    assert!(app.out.iter().any(|(_, command)| *command == read));
}

/// Where the holder of the profile ends, what may not have been sent is said, and the next one is asked for everything.
#[test]
fn another_holder_is_asked_anew() {
    let mut app = talking();
    app.open("@bob");
    type_in(&mut app, "did it go?");
    press(&mut app, KeyCode::Enter);
    app.out.clear();
    app.heard(Heard::Open);
    assert!(drawn(&mut app, 80, 24).concat().contains("did it go?"));
    assert!(app.out.iter().any(|(_, command)| matches!(command, Command::History { with, .. } if with == "@bob")));
}

/// A stranger who is refused is gone from the list.
#[test]
fn a_refused_stranger_is_gone() {
    let mut app = talking();
    app.heard(Heard::Told(None, message("1", "@bob", "buy this")));
    app.open("@bob");
    type_in(&mut app, "/refuse");
    press(&mut app, KeyCode::Enter);
    let (number, command) = app.out.pop().unwrap();
    assert_eq!(command, Command::Refuse { name: "bob".into() });
    app.heard(Heard::Told(Some(number), Event::Done));
    assert_eq!(app.view.here(), "#lobby");
    assert!(app.view.conversation("@bob").is_none());
}

/// That one is typing is told to one person, where that is wished, once and not with each key.
#[test]
fn typing_is_told_where_it_is_wished() {
    let mut app = talking();
    app.open("@bob");
    app.out.clear();
    type_in(&mut app, "no");
    assert!(app.out.is_empty());
    app.heard(Heard::Told(None, Event::Settings { read_receipts: false, typing: true }));
    type_in(&mut app, "w it is told");
    let told = |app: &mut App| {
        let told = std::mem::take(&mut app.out);
        told.into_iter().filter_map(|(_, command)| match command {
            Command::Typing { to, on } => Some((to, on)),
            _ => None,
        })
    };
    assert_eq!(told(&mut app).collect::<Vec<_>>(), [("@bob".to_owned(), true)]);
    press(&mut app, KeyCode::Enter);
    assert_eq!(told(&mut app).collect::<Vec<_>>(), [("@bob".to_owned(), false)]);
    app.open("#lobby");
    type_in(&mut app, "in public");
    assert_eq!(told(&mut app).count(), 0);
    app.heard(Heard::Told(None, Event::Typing { conversation: "@bob".into(), from: "@bob".into(), on: true }));
    app.open("@bob");
    assert!(drawn(&mut app, 80, 24).concat().contains("is typing"));
}
