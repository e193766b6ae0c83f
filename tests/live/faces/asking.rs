//! The faces, as a person or program uses them.

use std::fmt::Write as _;
use std::io::Write as _;

use sealpost_client::api::Command;
use sealpost_tests::processes::{Following, Person, schema, until};
use serde_json::{Value, json};

use super::super::daemon::{Rpc, token};
use super::super::terminal::Terminal;
use super::super::web::{Entered, Page};
use super::name_of;
use super::ways::{OnPage, Ways};
use super::world::World;

/// What a face answers a program with; a face for people answers nothing that is compared.
pub(super) type Told = Option<Vec<Value>>;

pub(super) trait Face {
    /// Asks for a command; `None` where this face has no way to.
    fn ask(&mut self, ways: &Ways, command: &Command) -> Option<Told>;

    /// Whether it has been asked for, where it ever is, once [`Self::ask`] is over. Otherwise [`next_line`] was typed, too.
    fn at_once(&self) -> bool {
        true
    }
}

/// What is typed after each line: once this is asked for, the line before it has been understood, or never will be.
pub(super) fn next_line(command: &Command) -> (&'static str, Command) {
    match command {
        Command::Status => ("/rooms", Command::Rooms),
        _ => ("/status", Command::Status),
    }
}

/// How a face of a world's Alice is started.
pub(super) type Start = fn(&World) -> Box<dyn Face>;

pub(super) const FACES: [(&str, Start); 5] = [
    ("the command line", |world| Box::new(Shell::of(&world.alice))),
    ("line mode", |world| Box::new(Line::of(world))),
    ("the whole screen", |world| Box::new(Screen::of(&world.alice))),
    ("the page", |world| Box::new(OnThePage::of(&world.alice))),
    ("a program", |world| Box::new(Program::of(world))),
];

/// `sealpost --json ...`, a process for each command.
struct Shell(Person);

impl Shell {
    fn of(alice: &Person) -> Self {
        Self(Person { name: alice.name.clone(), home: alice.home.clone(), passphrase: alice.passphrase.clone() })
    }
}

impl Face for Shell {
    fn ask(&mut self, ways: &Ways, _: &Command) -> Option<Told> {
        let words: Vec<&str> = ways.shell.as_ref().ok()?.iter().map(String::as_str).collect();
        let mut lines = self.0.json(&words).expect(0).json();
        let end = lines.pop();
        assert_eq!(end, Some(json!({ "v": 1, "event": "end", "exit": 0 })));
        Some(Some(lines))
    }
}

/// `sealpost chat` in a pipe.
struct Line(Following);

impl Line {
    fn of(world: &World) -> Self {
        let since = world.ears.count();
        let chat = Following::start(world.alice.command(&["chat"]));
        // It asks by itself, too: what is typed comes after that.
        until("line mode has asked for what it begins with", || {
            world.ears.first(since, |given| *given == Command::Rooms).map(|_| ())
        });
        Self(chat)
    }
}

impl Face for Line {
    fn at_once(&self) -> bool {
        false
    }

    fn ask(&mut self, ways: &Ways, command: &Command) -> Option<Told> {
        let typed = ways.line.as_ref().ok()?;
        writeln!(self.0.stdin(), "{}\n{typed}\n{}", ways.opened(), next_line(command).0).unwrap();
        Some(None)
    }
}

/// What stands below an open panel.
const PANEL: &str = "Esc closes";

/// `sealpost` on a terminal.
struct Screen(Terminal);

impl Screen {
    fn of(alice: &Person) -> Self {
        let terminal = Terminal::run(alice, &["tui"]);
        terminal.shows("connected");
        Self(terminal)
    }
}

impl Face for Screen {
    fn at_once(&self) -> bool {
        false
    }

    fn ask(&mut self, ways: &Ways, command: &Command) -> Option<Told> {
        let typed = ways.screen.as_ref().ok()?;
        // A panel, such as that of the number that was shown, is left before the next line.
        until("no panel is open", || {
            let open = self.0.shown().contains(PANEL);
            if open {
                self.0.types("\u{1b}");
            }
            (!open).then_some(())
        });
        // What was left in the line, such as a draft, is deleted first.
        self.0.types(&format!("\u{15}{}\r\u{15}{typed}", ways.opened()));
        if matches!(command, Command::Verify { mark: None, .. } | Command::Files) {
            self.0.shows(PANEL);
        } else {
            self.0.types(&format!("\u{15}{}\r", next_line(command).0));
        }
        Some(None)
    }
}

/// `sealpost web`, asked as a browser without scripts asks.
struct OnThePage {
    page: Page,
    entered: Entered,
}

impl OnThePage {
    fn of(alice: &Person) -> Self {
        let page = Page::of(alice);
        let entered = page.enter();
        Self { page, entered }
    }

    fn posts(&self, path: &str, fields: &[(&str, &str)]) {
        let form: Vec<String> = fields.iter().map(|(name, text)| format!("{name}={}", percent(text))).collect();
        let (status, answer) = self.entered.post(&self.page, path, &form.join("&"));
        assert!(status < 400, "{path} {fields:?}: {answer}");
    }
}

impl Face for OnThePage {
    fn ask(&mut self, ways: &Ways, command: &Command) -> Option<Told> {
        match ways.page.as_ref().ok()? {
            OnPage::Typed => {
                let line = ways.line.as_ref().expect("what is typed on the page is typed in line mode");
                self.posts("/say", &[("here", ways.here), ("text", line)]);
            }
            OnPage::Form(fields) => {
                let name = name_of(command);
                let mut all = vec![("command", name.as_str()), ("here", ways.here)];
                all.extend(fields.iter().map(|(name, text)| (*name, text.as_str())));
                self.posts("/do", &all);
            }
            OnPage::Visit(path) => {
                let (status, answer) = self.entered.get(&self.page, path);
                assert_eq!(status, 200, "{path}: {answer}");
            }
        }
        Some(None)
    }
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => write!(all, "{}", char::from(byte)),
            byte => write!(all, "%{byte:02X}"),
        };
        all
    })
}

/// JSON-RPC over the daemon's socket.
struct Program(Rpc);

impl Program {
    fn of(world: &World) -> Self {
        let token = token(&world.alice, &["everything", "--for-all"]);
        let rpc = Rpc::authorized(&world.alice.home.join("default/rpc"), &token);
        Self(rpc)
    }
}

impl Face for Program {
    fn ask(&mut self, ways: &Ways, command: &Command) -> Option<Told> {
        ways.program.as_ref().ok()?;
        let mut params = serde_json::to_value(command).unwrap();
        params.as_object_mut().unwrap().remove("command");
        let method = name_of(command);
        schema::assert_call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        let answer = self.0.call(&method, &params);
        let events = answer["result"]["events"].as_array().unwrap_or_else(|| panic!("{command:?}: {answer}"));
        Some(Some(events.clone()))
    }
}
