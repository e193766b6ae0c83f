//! A person at a terminal: `sealpost chat` through a pty, read back as a screen.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use sealpost_tests::processes::{Person, until};

use super::Pair;

const ROWS: u16 = 24;
const COLUMNS: u16 = 100;

/// What a terminal has received: raw, and as a screen.
struct Screen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

/// A program on a terminal of its own.
pub(super) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<Mutex<Screen>>,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    pub(super) fn run(person: &Person, arguments: &[&str]) -> Self {
        let plain = person.command(arguments);
        Self::of(plain.get_program(), plain.get_args())
    }

    /// Any program on a terminal.
    pub(super) fn of<S: AsRef<std::ffi::OsStr>>(program: S, arguments: impl Iterator<Item = S>) -> Self {
        Self::sized((COLUMNS, ROWS), &[], program, arguments)
    }

    /// The same on a terminal of this size, with these variables.
    pub(super) fn sized<S: AsRef<std::ffi::OsStr>>(
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
        program: S,
        arguments: impl Iterator<Item = S>,
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        for variable in ["NO_COLOR", "COLORFGBG", "SEALPOST_THEME", "SEALPOST_ASCII", "SEALPOST_NO_MOUSE"] {
            command.env_remove(variable);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        command.cwd(std::env::temp_dir());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keyboard = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let (rows, columns) = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        let screen = Arc::new(Mutex::new(Screen { parser: vt100::Parser::new(rows, columns, 1_000), raw: Vec::new() }));
        let (into, answers) = (screen.clone(), keyboard.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                let bytes = &buffer[..read];
                let mut screen = into.lock().unwrap();
                screen.raw.extend_from_slice(bytes);
                screen.parser.process(bytes);
                // A real terminal tells what it is, and where its cursor is.
                if bytes.windows(3).any(|window| window == b"\x1b[c") {
                    let _ = write!(answers.lock().unwrap(), "\x1b[?62;22c");
                }
                if bytes.windows(4).any(|window| window == b"\x1b[6n") {
                    let (row, column) = screen.parser.screen().cursor_position();
                    drop(screen);
                    let _ = write!(answers.lock().unwrap(), "\x1b[{};{}R", row + 1, column + 1);
                }
            }
        });
        Self { child, keyboard, screen, master: pair.master }
    }

    pub(super) fn types(&self, keys: &str) {
        let mut keyboard = self.keyboard.lock().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// The screen as lines of text.
    pub(super) fn shown(&self) -> String {
        self.screen.lock().unwrap().parser.screen().contents()
    }

    /// Looks at the screen, cell by cell.
    pub(super) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.screen.lock().unwrap().parser.screen())
    }

    /// Whoever sits there makes the window larger or smaller.
    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let (lines, width) = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        self.screen.lock().unwrap().parser.screen_mut().set_size(lines, width);
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// The process on it.
    pub(super) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Everything that was ever written to it.
    pub(super) fn raw(&self) -> Vec<u8> {
        self.screen.lock().unwrap().raw.clone()
    }

    pub(super) fn shows(&self, text: &str) {
        let mut last = String::new();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(&format!("the terminal shows {text:?}"), || {
                last = self.shown();
                last.contains(text).then_some(())
            });
        }));
        assert!(seen.is_ok(), "the terminal does not show {text:?} but:\n{last}");
    }

    /// Waits until a text is gone.
    pub(super) fn hides(&self, text: &str) {
        until(&format!("the terminal no longer shows {text:?}"), || (!self.shown().contains(text)).then_some(()));
    }

    pub(super) fn ends(&mut self) -> u32 {
        until("the program on the terminal ends", || self.child.try_wait().unwrap()).exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Typed text is sent, what arrives appears, and a line that is being typed is not torn by it.
#[test]
fn incoming_lines_do_not_tear_the_one_being_typed() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let mut terminal = Terminal::run(alice, &["chat"]);
    terminal.types("/dm bob hello from a terminal\r");
    assert_eq!(bob.receives(1), ["hello from a terminal"]);
    terminal.shows("hello from a terminal");

    terminal.types("half of a thou");
    terminal.shows("half of a thou");
    let _ = bob.run(&["send", "alice", "an interruption", "--wait", "delivered"]).expect(0);
    terminal.shows("an interruption");
    terminal.types("ght");
    terminal.shows("half of a thought");
    let screen = terminal.shown();
    let line = screen.lines().find(|line| line.contains("half of a thought")).unwrap();
    assert!(!line.contains("interruption"), "torn: {line}");
    terminal.types("\r");
    assert_eq!(bob.receives(1), ["half of a thought"]);
    terminal.types("/quit\r");
    assert_eq!(terminal.ends(), 0);
}

/// What a conversation is and whether the person is verified stands on the screen in words.
#[test]
fn marks_are_words() {
    let pair = Pair::new();
    let Pair { alice, bob, .. } = &pair;
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    let terminal = Terminal::run(alice, &["chat"]);
    terminal.shows("hello");
    terminal.shows("unverified");
    terminal.types("/dm bob hi\r");
    terminal.shows("E2E");
    terminal.types("/join #lobby\r");
    terminal.shows("PUBLIC");
}

/// Lines that are pasted together are one message, also in line mode.
#[test]
fn lines_that_are_pasted_are_one_message() {
    let pair = Pair::acquainted();
    let terminal = Terminal::run(&pair.alice, &["chat"]);
    terminal.types("/dm bob\r");
    terminal.shows("@bob E2E unverified>");
    terminal.types("\u{1b}[200~first line\nsecond line\nthird line\u{1b}[201~");
    terminal.shows("third line");
    terminal.types("\r");
    assert_eq!(pair.bob.receives(1), ["first line\nsecond line\nthird line"]);
}

/// Tab completes commands, names and rooms; Up fetches back what was typed, of which nothing is written to a disk.
#[test]
fn tab_completes_and_up_fetches_back() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let _ = bob.run(&["join", "#gardening"]).expect(0);
    let mut terminal = Terminal::run(alice, &["chat"]);
    terminal.shows("#lobby PUBLIC>");
    // Once they are listed, names and rooms are known.
    terminal.types("/rooms\r");
    terminal.shows("#gardening");
    terminal.types("/que\tb\t\r");
    terminal.shows("@bob E2E unverified>");
    terminal.types("a sentence to be said twice\r");
    assert_eq!(bob.receives(1), ["a sentence to be said twice"]);
    terminal.types("\u{1b}[A\r");
    assert_eq!(bob.receives(1), ["a sentence to be said twice"]);
    terminal.types("/joi\t#gar\t\r");
    terminal.shows("#gardening PUBLIC>");
    terminal.types("/quit\r");
    assert_eq!(terminal.ends(), 0);
    for (name, bytes) in sealpost_tests::processes::files_below(folder.path()) {
        let found = bytes.windows(9).any(|window| window == b"said twice".get(..9).unwrap());
        assert!(!found, "{name} has what was typed");
    }
}

/// A message that is longer than a line goes on below, between two words.
#[test]
fn long_lines_break_between_words() {
    let pair = Pair::acquainted();
    let terminal = Terminal::run(&pair.alice, &["chat"]);
    terminal.shows("#lobby PUBLIC>");
    let words: Vec<String> = (1..60).map(|number| format!("word{number}")).collect();
    let _ = pair.bob.run(&["send", "alice", &words.join(" ")]).expect(0);
    terminal.shows("word59");
    let shown = terminal.shown();
    for word in words {
        assert!(shown.contains(&word), "{word} is torn in\n{shown}");
    }
}

/// Line mode that nobody uses wipes what it has shown, closes the profile, and asks for the passphrase; so does `/lock`.
#[test]
fn line_mode_locks() {
    let pair = Pair::acquainted();
    let alice = &pair.alice;
    let passphrase = std::fs::read_to_string(&alice.passphrase).unwrap();
    let passphrase = format!("{}\r", passphrase.trim_end());
    let held = || alice.json(&["profiles"]).expect(0).events("profile")[0]["held"] == true;
    for lock in ["3s", "1h"] {
        let arguments = ["--home", alice.home.to_str().unwrap(), "chat", "--lock", lock];
        let client = sealpost_tests::processes::programs().client.to_str().unwrap();
        let mut terminal = Terminal::of(client, arguments.into_iter());
        terminal.shows("Passphrase:");
        terminal.types(&passphrase);
        terminal.shows("#lobby PUBLIC>");
        assert!(held());
        if lock == "1h" {
            terminal.types("/dm bob what nobody else is to read\r");
            terminal.shows("@bob sent");
            terminal.types("/lock\r");
        }
        terminal.shows("This profile is locked.");
        assert!(
            !terminal.shown().contains("#lobby") && !terminal.shown().contains("nobody else"),
            "{}",
            terminal.shown()
        );
        until("nobody holds the profile", || (!held()).then_some(()));
        terminal.types("wrong\r");
        terminal.shows("the passphrase is wrong");
        assert!(!held());
        terminal.types(&passphrase);
        terminal.shows("#lobby PUBLIC>");
        assert!(held());
        if lock == "1h" {
            terminal.types("/lock\r");
            terminal.shows("This profile is locked.");
        }
        // Ctrl-C leaves, locked or not.
        terminal.types("\x03");
        assert_eq!(terminal.ends(), 0);
        assert!(!terminal.shown().contains("by the sea"), "nothing of the passphrase was shown");
    }
}
