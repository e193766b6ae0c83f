//! Text from strangers is shown, not obeyed: on a terminal, in JSON, in errors and in the relay's log.

use sealpost_tests::processes::finish;

use super::Pair;
use super::terminal::Terminal;
use super::web::Page;

/// What gurk, WeeChat, git and others have obeyed: title, clipboard, screen, printer, overwriting, 8-bit control,
/// bidirectional overrides, and a tower of marks.
pub(super) const PAYLOADS: &[&str] = &[
    "\u{1b}]0;PWNED\u{7}title",
    "\u{1b}]52;c;UFdORUQ=\u{7}clipboard",
    "\u{1b}[2J\u{1b}[Hcleared",
    "\u{1b}[5iprinter",
    "\u{1b}Preset\u{1b}\\dcs",
    "\u{1b}cfull reset",
    "\u{9b}31mc1 colour",
    "\u{9d}0;PWNED\u{9c}c1 title",
    "good\rEVIL overwritten",
    "back\u{8}\u{8}\u{8}\u{8}space",
    "bell\u{7}bell",
    "\u{202e}desrever\u{202c} bidi",
    "\u{2066}isolate\u{2069} bidi",
    "zero\u{200b}width",
    "\u{e}shift out",
];

/// No byte sequence that a terminal would obey comes out of somebody else's text.
pub(super) fn assert_harmless(what: &str, output: &[u8], own_sequences: bool) {
    let text = String::from_utf8_lossy(output);
    for forbidden in
        ["\u{1b}]0;PWNED", "\u{1b}]52;", "\u{1b}[5i", "\u{1b}P", "\u{1b}c", "\u{202e}", "\u{2066}", "\u{200b}"]
    {
        assert!(!text.contains(forbidden), "{what} contains {forbidden:?}");
    }
    assert!(!text.contains(&"\u{301}".repeat(9)), "{what} contains a tower of marks");
    let c1 = text.chars().find(|c| matches!(c, '\u{80}'..='\u{9f}'));
    assert_eq!(c1, None, "{what} contains an 8-bit control character");
    for control in ['\u{8}', '\u{e}'] {
        assert!(own_sequences || !text.contains(control), "{what} contains {control:?}");
    }
    if !own_sequences {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{what} contains an escape or a bell");
        assert!(!text.contains('\r'), "{what} contains a carriage return");
    }
}

/// [THREAT-17] A stranger's text reaches no terminal, pipe, JSON reader, log or page as anything but text.
#[test]
fn text_of_strangers_is_shown_not_obeyed() {
    let pair = Pair::new();
    let Pair { relay, alice, bob, .. } = &pair;
    let terminal = Terminal::run(bob, &["chat"]);
    // Only what bob's own client writes may move his cursor.
    let _ = alice.run(&["join", "#lobby"]).expect(0);
    terminal.types("/join #lobby\r");
    terminal.shows("PUBLIC");
    // As holder of the profile: so that thirty passphrases need not be stretched.
    let _holder = alice.follow();
    for payload in PAYLOADS {
        let _ = finish(alice.command(&["send", "bob"]), payload).expect(0);
        let _ = finish(alice.command(&["send", "#lobby"]), payload).expect(0);
    }
    let tower = format!("tower{}", "\u{301}".repeat(10_000));
    let _ = finish(alice.command(&["send", "bob"]), &tower).expect(0);
    let _ = alice.run(&["send", "bob", "the last direct one"]).expect(0);
    let _ = alice.run(&["send", "#lobby", "the last public one"]).expect(0);
    terminal.shows("the last direct one");
    terminal.shows("the last public one");
    assert_harmless("the terminal of bob", &terminal.raw(), true);
    drop(terminal);
    for conversation in ["alice", "#lobby"] {
        let plain = bob.run(&["history", conversation]).expect(0);
        assert_harmless("plain history", plain.out.as_bytes(), false);
        let json = bob.json(&["history", conversation]).expect(0);
        assert_harmless("history in JSON", json.out.as_bytes(), false);
        let texts: Vec<String> = json.events("message").iter().map(|line| line["text"].to_string()).collect();
        assert!(texts.iter().any(|text| text.contains("title")), "{texts:?}");
    }
    let logging = bob.run(&["-vv", "history", "alice"]).expect(0);
    assert_harmless("the client's log", logging.err.as_bytes(), false);
    assert_harmless("the relay's log", relay.logged().as_bytes(), false);
    let page = Page::of(bob);
    let entered = page.enter();
    for path in ["/", "/with/alice", "/room/lobby", "/search?q=bell", "/people", "/verify/alice"] {
        let (status, answer) = entered.get(&page, path);
        assert_eq!(status, 200, "{answer}");
        let (_, html) = answer.split_once("\r\n\r\n").unwrap();
        assert_harmless(path, html.as_bytes(), false);
    }
    let title = format!("here=%40alice&text=%2Fdm%20{}%20x", "%1B%5D0%3BPWNED%07");
    let (status, answer) = entered.post(&page, "/say", &title);
    assert_eq!(status, 400, "{answer}");
    assert_harmless("an error on the page", answer.split_once("\r\n\r\n").unwrap().1.as_bytes(), false);
}

/// Arguments of one's own come back in errors as text too.
#[test]
fn errors_are_harmless() {
    let pair = Pair::new();
    let Pair { alice, .. } = &pair;
    let payload = PAYLOADS.concat();
    let payload = payload.as_str();
    for arguments in [&["verify", payload][..], &["send", payload, "x"], &["history", payload], &["join", payload]] {
        for outcome in [alice.run(arguments), alice.json(arguments)] {
            assert!(!matches!(outcome.code, Some(0) | None), "{outcome:?}");
            assert_harmless("an error", outcome.err.as_bytes(), false);
            assert_harmless("an error in JSON", outcome.out.as_bytes(), false);
        }
    }
}
