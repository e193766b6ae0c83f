//! A person before the whole screen: `sealpost` in a pty, keys in, screen out.

mod picture;

use rustix::process::Signal;
use sealpost_tests::processes::{Person, programs, signal, until};

use super::Pair;
use super::hostile::{PAYLOADS, assert_harmless};
use super::terminal::Terminal;

const WIDE: (u16, u16) = (100, 28);

pub(super) fn open(person: &Person, size: (u16, u16), variables: &[(&str, &str)], arguments: &[&str]) -> Terminal {
    let mut all = vec!["tui"];
    all.extend(arguments);
    let plain = person.command(&all);
    Terminal::sized(size, variables, plain.get_program(), plain.get_args())
}

fn says(person: &Person, to: &str, text: &str) {
    let _ = person.run(&["send", to, text, "--wait", "sent"]).expect(0);
}

/// Jumps to a conversation by a few of its letters.
fn jump(terminal: &Terminal, letters: &str, title: &str) {
    terminal.types("\u{b}");
    terminal.shows("Jump to");
    terminal.types(letters);
    terminal.shows(title);
    terminal.types("\r");
    terminal.hides("Jump to");
}

/// Two people talk: what arrives elsewhere is marked as new, a jump opens it, what is typed arrives and says how far it
/// came, and all of it stands there in words.
#[test]
fn two_people_talk() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let mut terminal = open(alice, WIDE, &[], &[]);
    terminal.shows("connected");
    terminal.shows("PUBLIC");
    terminal.types("Good morning, everybody\r");
    terminal.shows("Good morning, everybody");
    says(bob, "alice", "Are you there? 日本語 👍🏽");
    terminal.shows("1 new");
    jump(&terminal, "bo", "@bob");
    terminal.shows("Are you there?");
    terminal.shows("E2E unverified");
    terminal.hides("1 new");
    terminal.types("Yes, on the whole screen");
    terminal.types("\r");
    terminal.shows("Yes, on the whole screen  ");
    assert_eq!(bob.receives(2), ["Good morning, everybody", "Yes, on the whole screen"]);
    terminal.shows("delivered");
    says(bob, "alice", "It wraps between words, however long a message is, and further lines stand under the first.");
    terminal.shows("under the first");
    picture::keep(&terminal.look(Clone::clone), "conversation");
    terminal.types("/quit\r");
    assert_eq!(terminal.ends(), 0);
}

/// Nobody is asked for a command first: where there is no profile, one is made step by step, and then one talks.
#[test]
fn the_first_start_is_a_wizard() {
    let pair = Pair::new();
    let newcomer = pair.folder.path().join("carol");
    let home = newcomer.to_str().unwrap();
    let program = programs().client.to_str().unwrap();
    let mut terminal = Terminal::sized(WIDE, &[], program, ["--home", home].into_iter());
    terminal.shows("Relay address");
    terminal.types(&format!("{}\r", pair.relay.address));
    terminal.shows("The relay's key is");
    terminal.shows("Your name there");
    terminal.types("carol\r");
    terminal.shows("New passphrase");
    terminal.types("narwhal teapot quilt seventeen\r");
    terminal.shows("Strength: strong");
    terminal.types("narwhal teapot quilt seventeen\r");
    terminal.shows("24 recovery words");
    terminal.types("\r");
    terminal.shows("@carol  connected");
    terminal.types("/quit\r");
    assert_eq!(terminal.ends(), 0);
    // The passphrase is asked for on the screen itself, and a wrong one is told apart.
    let mut again = Terminal::sized(WIDE, &[], program, ["--home", home].into_iter());
    again.shows("This profile is locked");
    picture::keep(&again.look(Clone::clone), "locked");
    again.types("a wrong one\r");
    again.shows("the passphrase is wrong");
    assert!(!String::from_utf8_lossy(&again.raw()).contains("a wrong one"));
    again.types("narwhal teapot quilt seventeen\r");
    again.shows("@carol  connected");
    again.types("\u{3}");
    assert_eq!(again.ends(), 0);
}

/// `/lock` forgets what is shown, also where another process holds the profile; the passphrase brings it back, with what was
/// typed and not sent.
#[test]
fn a_locked_screen_shows_nothing() {
    let pair = Pair::acquainted();
    let (program, home) = (programs().client.to_str().unwrap(), pair.alice.home.to_str().unwrap());
    let passphrase = std::fs::read_to_string(&pair.alice.passphrase).unwrap().replace('\n', "\r");
    for held in [false, true] {
        let _holder = held.then(|| pair.alice.holds());
        let arguments = ["--home", home, "tui", "--lock", "off"];
        let mut terminal = Terminal::sized(WIDE, &[], program, arguments.into_iter());
        if !held {
            terminal.shows("This profile is locked");
            terminal.types(&passphrase);
        }
        terminal.shows("connected");
        terminal.types("/query bob\r");
        terminal.shows("E2E unverified");
        terminal.types("\u{15}half of a thought");
        terminal.shows("half of a thought");
        // What is typed stays with its conversation, once another one is opened.
        terminal.types("\u{b}");
        terminal.shows("Jump to");
        terminal.types("lobby\r");
        terminal.hides("Jump to");
        terminal.types("\u{15}/lock\r");
        terminal.shows("This profile is locked");
        let shown = terminal.shown();
        assert!(!shown.contains("hello") && !shown.contains("thought") && !shown.contains("@bob"), "{shown}");
        terminal.types("a wrong one\r");
        terminal.shows("the passphrase is wrong");
        terminal.types(&passphrase);
        terminal.shows("connected");
        terminal.types("/query bob\r");
        terminal.shows("hello");
        terminal.shows("half of a thought");
        terminal.types("\u{3}");
        assert_eq!(terminal.ends(), 0);
    }
}

/// Without a key for long enough the screen locks by itself; with a passphrase from a file it does not.
#[test]
fn an_idle_screen_locks() {
    let pair = Pair::new();
    let (program, home) = (programs().client.to_str().unwrap(), pair.alice.home.to_str().unwrap());
    let passphrase = std::fs::read_to_string(&pair.alice.passphrase).unwrap().replace('\n', "\r");
    let arguments = ["--home", home, "tui", "--lock", "3s"];
    let terminal = Terminal::sized(WIDE, &[], program, arguments.into_iter());
    terminal.shows("This profile is locked");
    for _ in 0..2 {
        terminal.types(&passphrase);
        terminal.hides("This profile is locked");
        terminal.shows("This profile is locked");
    }
    drop(terminal);
    let terminal = open(&pair.alice, WIDE, &[], &["--lock", "1s"]);
    terminal.shows("connected");
    terminal.types("/lock\r");
    terminal.shows("nothing is locked");
}

/// Without a terminal there is nothing to draw on: short help, and exit 2.
#[test]
fn without_a_terminal_there_is_short_help() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = Person::new(folder.path(), "nobody");
    let outcome = nobody.run(&[]).expect(2);
    assert!(outcome.err.contains("Usage: sealpost") && outcome.out.is_empty(), "{outcome:?}");
    let refused = nobody.run(&["tui"]).expect(2);
    assert!(refused.err.contains("try: sealpost chat"), "{}", refused.err);
}

/// The number that two people compare and its code stand on one small screen, and one key marks them as equal.
#[test]
fn number_and_code_fit_80_by_24() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let number = bob.json(&["verify", "alice"]).expect(0).events("safety")[0]["number"].as_str().unwrap().to_owned();
    let terminal = open(alice, (80, 24), &[], &[]);
    terminal.shows("@alice  connected");
    jump(&terminal, "bob", "@bob");
    terminal.types("\u{1b}OS");
    terminal.shows("Verify @bob");
    let shown = terminal.shown();
    for group in number.split_whitespace() {
        assert!(shown.contains(group), "{group} is not in\n{shown}");
    }
    let code = shown.lines().filter(|line| line.contains(['▀', '▄', '█'])).count();
    assert!(code >= 15, "the code has {code} lines in\n{shown}");
    picture::keep(&terminal.look(Clone::clone), "verify");
    terminal.types("y");
    terminal.shows("@bob is verified");
    terminal.shows("E2E verified");
    let contacts = alice.json(&["contacts"]).expect(0);
    assert_eq!(contacts.events("contact")[0]["trust"], "verified");
}

/// Another key under a known name: nothing can be said, both fingerprints are shown, and accepting the new one is a
/// command that is given on purpose.
#[test]
fn a_changed_key_blocks_the_line() {
    let pair = Pair::acquainted();
    let terminal = open(&pair.alice, WIDE, &[], &[]);
    terminal.shows("connected");
    jump(&terminal, "bob", "@bob");
    let _ = super::admin::admin(&pair.relay, &["release", "bob"]).expect(0);
    let again = tempfile::tempdir().unwrap();
    let next = Person::registered(again.path(), "bob", &pair.relay.address);
    let _ = next.run(&["send", "alice", "it is me"]).expect(0);
    terminal.shows("The key of @bob has changed");
    terminal.shows("key changed");
    let me = next.json(&["me"]).expect(0);
    terminal.shows(me.events("me")[0]["fingerprint"].as_str().unwrap());
    terminal.types("a secret\r");
    terminal.types("\u{1b}OP");
    terminal.shows("Commands; // sends a slash");
    terminal.types("\u{1b}");
    terminal.hides("Commands; // sends a slash");
    assert!(!terminal.shown().contains("a secret"), "{}", terminal.shown());
    picture::keep(&terminal.look(Clone::clone), "key-changed");
    terminal.types("\t\r");
    terminal.hides("The key of @bob has changed");
    terminal.shows("unverified");
    terminal.types("to the new one\r");
    until("the new bob has heard it", || next.receives(1).contains(&"to the new one".to_owned()).then_some(()));
}

/// Whatever the window does, the conversation is there again; where it is too small, it says so.
#[test]
fn a_resize_loses_nothing() {
    let pair = Pair::acquainted();
    let terminal = open(&pair.alice, WIDE, &[], &[]);
    jump(&terminal, "bob", "@bob");
    terminal.shows("@bob  unverified");
    terminal.types("half of a thou");
    terminal.shows("half of a thou");
    for (columns, rows, words) in [(60, 15, "half of a thou"), (38, 8, "40 x 10 are"), (40, 10, "half of a thou")] {
        terminal.resize(columns, rows);
        terminal.shows(words);
    }
    terminal.resize(90, 30);
    terminal.types("ght\r");
    terminal.shows("half of a thought  ");
}

/// A key that is hit while the window changes is seen, and so is the new window: a program that is kept from running
/// finds both at once.
#[test]
fn keys_and_resizes_that_come_together_are_both_seen() {
    let pair = Pair::acquainted();
    let terminal = open(&pair.alice, WIDE, &[], &[]);
    jump(&terminal, "bob", "@bob");
    terminal.shows("@bob  unverified");
    for (columns, rows, word) in [(90, 30, "one"), (70, 20, "two"), (WIDE.0, WIDE.1, "three")] {
        signal(terminal.pid(), Signal::STOP);
        terminal.resize(columns, rows);
        terminal.types(&format!("{word}\r"));
        signal(terminal.pid(), Signal::CONT);
        terminal.shows(&format!("  {word}  "));
        until("the last line of the window is the status", || {
            terminal
                .shown()
                .lines()
                .nth(usize::from(rows) - 1)
                .is_some_and(|line| line.contains("F1 help"))
                .then_some(())
        });
    }
}

/// Several lines that are pasted are one message.
#[test]
fn a_paste_is_one_message() {
    let pair = Pair::acquainted();
    let terminal = open(&pair.alice, WIDE, &[], &[]);
    terminal.shows("connected");
    jump(&terminal, "bob", "@bob");
    terminal.types("\u{1b}[200~first line\nsecond line\nthird line\u{1b}[201~");
    terminal.shows("third line");
    terminal.types("\r");
    assert_eq!(pair.bob.receives(1), ["first line\nsecond line\nthird line"]);
}

/// F1 lists keys and commands, F2 the people, the mouse opens what is clicked and the wheel scrolls.
#[test]
fn help_people_and_the_mouse() {
    let pair = Pair::acquainted();
    let terminal = open(&pair.alice, WIDE, &[], &[]);
    terminal.shows("@bob");
    terminal.types("\u{1b}OP");
    terminal.shows("jump to a conversation");
    picture::keep(&terminal.look(Clone::clone), "help");
    terminal.types("\u{1b}");
    terminal.hides("jump to a conversation");
    let row = terminal.shown().lines().position(|line| line.contains("@bob")).unwrap();
    terminal.types(&format!("\u{1b}[<0;5;{}M", row + 1));
    terminal.shows("only @bob can read this");
    terminal.types("\u{1b}OQ");
    terminal.shows("v verifies");
    terminal.shows("unverified");
    terminal.types("\u{1b}");
    terminal.hides("v verifies");
    let long: Vec<String> = (1..=40).map(|number| format!("line {number}.")).collect();
    says(&pair.bob, "alice", &long.join("\n"));
    terminal.shows("line 40.");
    assert!(!terminal.shown().contains("line 5."));
    for _ in 0..9 {
        terminal.types("\u{1b}[<64;50;5M");
    }
    terminal.shows("line 5.");
    terminal.types("\u{1b}[F");
    terminal.shows("line 40.");
}

/// A file is sent by its path, as a terminal pastes one that was dropped on it; F3 lists files, and Enter fetches one.
#[test]
fn files_are_sent_and_fetched() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let path = folder.path().join("two words.bin");
    std::fs::write(&path, vec![7; 200_000]).unwrap();
    let (a, b) = (open(alice, WIDE, &[], &[]), open(bob, WIDE, &[], &[]));
    a.shows("connected");
    b.shows("connected");
    jump(&a, "bob", "@bob");
    jump(&b, "alice", "@alice");
    let dropped = path.to_str().unwrap().replace(' ', "\\ ");
    a.types(&format!("/file {dropped}\r"));
    a.shows("file two words.bin (195.3 KiB)");
    b.shows("to fetch it: /get");
    b.types("\u{1b}OR");
    b.shows("not fetched");
    b.types("\r");
    b.shows("saved as");
    b.types("\u{1b}");
    b.hides("Esc closes");
    b.shows("saved as");
    assert_eq!(std::fs::read(bob.home.join("downloads/two words.bin")).unwrap(), vec![7; 200_000]);
    a.types("/file /no/such/file\r");
    a.shows("there is no such file");
}

/// How far files are is shown as they move, and one key ends what somebody has changed their mind about.
#[test]
fn a_file_on_its_way_is_ended() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let file = |name: &str, size: u64| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let _ = bob.run(&["send", "alice", "-f", &file("the plan.pdf", 480_000)]).expect(0);
    let a = open(alice, WIDE, &[], &[]);
    a.shows("connected");
    jump(&a, "bob", "@bob");
    a.shows("to fetch it: /get");
    a.types(&format!("/file {}\r", file("garden.jpg", 1_900_000)));
    a.shows("file garden.jpg");
    a.types(&format!("/file {}\r", file("film.mkv", 256 << 20)));
    a.types("\u{1b}OR");
    a.shows("not fetched");
    a.shows("[#");
    // Two lines each, below the panel's edge.
    picture::keep(&a.look(Clone::clone), "files");
    let row = a.shown().lines().position(|line| line.contains("film.mkv")).unwrap();
    a.types(&"\u{1b}[B".repeat((row - 1) / 2));
    a.types("x");
    a.shows("the file was cancelled");
    let listed = alice.run(&["files"]).expect(0).out;
    assert!(listed.contains("film.mkv") && listed.contains("the file was cancelled"), "{listed}");
}

/// Messages are found by their words, and conversations by a few of their letters.
#[test]
fn words_and_conversations_are_found() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    for person in [alice, bob] {
        let _ = person.run(&["join", "#garden"]).expect(0);
    }
    says(bob, "alice", "The beans want water on friday.");
    says(bob, "alice", "Shall we meet on friday, then?");
    says(bob, "#garden", "No meeting this friday: it rains.");
    let terminal = open(alice, WIDE, &[], &[]);
    terminal.shows("connected");
    terminal.shows("#garden");
    jump(&terminal, "bob", "@bob");
    terminal.shows("Shall we meet");
    terminal.types("/search friday\r");
    terminal.shows("No meeting this friday");
    picture::keep(&terminal.look(Clone::clone), "search");
    terminal.types("\u{b}");
    terminal.shows("Jump to");
    terminal.types("gar");
    terminal.shows("› gar");
    picture::keep(&terminal.look(Clone::clone), "jump");
    terminal.types("\r");
    terminal.hides("Jump to");
    terminal.shows("No meeting this friday");
}

/// An edit, an answer, a reaction and a deletion are shown where the message stands, whoever made them.
#[test]
fn what_is_said_about_a_message_stands_with_it() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let terminal = open(alice, WIDE, &[], &[]);
    terminal.shows("connected");
    jump(&terminal, "bob", "@bob");
    terminal.types("See you at eigth.\r");
    terminal.shows("eigth.  ");
    terminal.types("\u{1b}[A");
    terminal.shows("Enter changes the message");
    terminal.types("\u{15}See you at eight.\r");
    terminal.shows("See you at eight.  edited");
    let id = until("bob has it", || {
        let _ = bob.run(&["recv", "--timeout", "5s"]);
        let history = bob.json(&["history", "alice"]).expect(0).events("message");
        let message = history.iter().find(|message| message["text"] == "See you at eight.")?;
        message["id"].as_str().map(str::to_owned)
    });
    let _ = bob.run(&["react", &id, "👍"]).expect(0);
    terminal.shows("@bob");
    terminal.shows("delivered, 👍 @bob");
    let _ = bob.run(&["reply", &id, "I will bring the map."]).expect(0);
    terminal.shows("in reply to @alice: See you at eight.");
    terminal.types("\u{1b}");
    terminal.shows("r answers, + reacts");
    terminal.types("rAnd a lamp\r");
    terminal.shows("in reply to @bob: I will bring the map.");
    picture::keep(&terminal.look(Clone::clone), "messages");
    terminal.types("\u{1b}");
    terminal.shows("d deletes");
    terminal.types("d\r");
    terminal.shows("(deleted by its author)");
    assert!(!terminal.shown().contains("And a lamp"), "{}", terminal.shown());
}

/// What is stored is painted before the network answers, and the line about the connection tells the truth.
#[test]
fn history_is_there_without_the_relay() {
    let mut pair = Pair::acquainted();
    pair.relay.kill();
    let terminal = open(&pair.alice, WIDE, &[], &[]);
    jump(&terminal, "bob", "@bob");
    terminal.shows("hello");
    terminal.shows("offline");
    terminal.types("for later\r");
    terminal.shows("for later  queued");
    terminal.shows("1 queued");
    pair.relay.restart();
    terminal.shows("connected");
    assert_eq!(pair.bob.receives(1), ["for later"]);
}

/// [THREAT-17] A stranger's text is shown on the whole screen, and never obeyed.
#[test]
fn text_of_strangers_is_shown_on_the_whole_screen() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let terminal = open(bob, WIDE, &[], &[]);
    terminal.shows("connected");
    jump(&terminal, "ali", "@alice");
    let _holder = alice.follow();
    for payload in PAYLOADS {
        let _ = sealpost_tests::processes::finish(alice.command(&["send", "bob"]), payload).expect(0);
    }
    says(alice, "bob", "the last one");
    terminal.shows("the last one");
    assert_harmless("the whole screen", &terminal.raw(), true);
    terminal.types("\u{1b}[5~");
    terminal.shows("<U+001B>");
    assert_harmless("the whole screen", &terminal.raw(), true);
}

/// Without colour every mark is still there, as a word; with `--ascii` nothing that is drawn needs more than ASCII.
#[test]
fn marks_need_neither_colour_nor_more_than_ascii() {
    let pair = Pair::acquainted();
    let terminal = open(&pair.alice, WIDE, &[("NO_COLOR", "1")], &["--ascii"]);
    jump(&terminal, "bob", "@bob");
    for words in ["@bob  unverified", "E2E unverified", "PUBLIC", "delivered", "connected"] {
        terminal.shows(words);
    }
    terminal.types("\u{1b}OP");
    terminal.shows("jump to a conversation");
    terminal.look(|screen| {
        let (rows, columns) = screen.size();
        for (row, column) in (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column))) {
            let cell = screen.cell(row, column).unwrap();
            assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
            assert!(cell.contents().is_ascii(), "{:?}", cell.contents());
        }
    });
}

/// However it ends, the terminal is as it was: the screen, the mouse, the keys.
#[test]
fn the_terminal_is_given_back() {
    let pair = Pair::new();
    for (keys, exit) in [(Some("\u{3}"), 0), (Some("\u{4}"), 0), (Some("/quit\r"), 0), (None, 130)] {
        let mut terminal = open(&pair.alice, WIDE, &[], &[]);
        terminal.shows("connected");
        assert!(terminal.look(|screen| screen.alternate_screen() && screen.bracketed_paste()));
        match keys {
            Some(keys) => terminal.types(keys),
            None => signal(terminal.pid(), Signal::TERM),
        }
        assert_eq!(terminal.ends(), exit, "{keys:?}");
        terminal.look(|screen| {
            assert!(!screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor());
            assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        });
    }
}

/// Ctrl-Z leaves for the shell, and `fg` comes back to the same screen.
#[test]
fn ctrl_z_leaves_for_the_shell() {
    let pair = Pair::new();
    let plain = pair.alice.command(&["tui"]);
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap());
    let line: Vec<String> = std::iter::once(plain.get_program()).chain(plain.get_args()).map(quoted).collect();
    let shell = Terminal::sized(WIDE, &[("PS1", "ready: ")], "bash", ["--norc", "--noprofile", "-i"].into_iter());
    shell.shows("ready:");
    shell.types(&format!("{}\r", line.join(" ")));
    shell.shows("@alice  connected");
    shell.types("\u{1a}");
    shell.shows("Stopped");
    assert!(!shell.look(vt100::Screen::alternate_screen));
    shell.types("fg\r");
    shell.shows("@alice  connected");
    shell.types("\u{4}");
    until("the shell is back", || (!shell.look(vt100::Screen::alternate_screen)).then_some(()));
}
