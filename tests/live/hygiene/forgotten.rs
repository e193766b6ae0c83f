//! What a client that was locked still has in its memory: the memory of the process is read before and after, and searched for
//! all that opens the profile, all that is secret in it, and what was said.

use sealpost_tests::inspect::memory_of;
use sealpost_tests::processes::{Person, programs, until};
use sealpost_tests::skip;

use super::super::Pair;
use super::super::terminal::Terminal;
use super::super::web::Page;
use super::secrets::Wanted;

const SAID: &str = "the heron lands at the old mill at dusk";
const HEARD: &str = "bring the second lantern and no dog";
const SHOWN: [&str; 2] = ["what was said", "what was heard"];

/// Two who have said that to each other.
fn talked() -> Pair {
    let pair = Pair::acquainted();
    let _ = pair.alice.run(&["send", "bob", SAID]).expect(0);
    let _ = pair.bob.run(&["send", "alice", HEARD]).expect(0);
    assert_eq!(pair.alice.receives(1), [HEARD]);
    pair
}

fn wanted(person: &Person) -> Wanted {
    Wanted::default().and_secrets_of(&[person]).and(SHOWN[0], SAID).and(SHOWN[1], HEARD)
}

/// What of it is in the memory of a process; `None` where that can't be read here.
fn found(wanted: &Wanted, pid: u32) -> Option<Vec<String>> {
    match memory_of(pid) {
        Ok(memory) => Some(wanted.within(&memory)),
        Err(_) => {
            skip("the memory of a locked client", "inspection");
            None
        }
    }
}

/// The process has the profile open, and these texts on its screen: it is seen in its memory.
fn is_open(person: &Person, pid: u32, shown: &[&str]) -> Option<()> {
    let found = found(&wanted(person), pid)?;
    for what in [&["the key of rows"], shown].concat() {
        assert!(found.iter().any(|one| one.starts_with(what)), "an open profile has {what} in memory: {found:#?}");
    }
    Some(())
}

/// Nothing of it is left, once the profile is let go.
fn has_forgotten(person: &Person, pid: u32) {
    let wanted = wanted(person);
    let mut left = Vec::new();
    let forgotten = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("nothing is left in memory", || {
            left = found(&wanted, pid)?;
            left.is_empty().then_some(())
        });
    }));
    assert!(forgotten.is_ok(), "left in the memory of a locked client: {left:#?}");
}

fn typed(person: &Person) -> String {
    std::fs::read_to_string(&person.passphrase).unwrap().trim_end().to_owned()
}

/// A key at a time, as fingers do.
fn types(terminal: &Terminal, keys: &str) {
    for key in keys.chars() {
        terminal.types(key.encode_utf8(&mut [0; 4]));
    }
    terminal.types("\r");
}

fn nobody_holds(person: &Person) {
    until("nobody holds the profile", || {
        (person.json(&["profiles"]).expect(0).events("profile")[0]["held"] == false).then_some(())
    });
}

/// [THREAT-29] A screen that was locked has no key, no passphrase and no message in its memory; nor has it after a second time.
#[test]
fn a_locked_screen_has_forgotten() {
    let pair = talked();
    let alice = &pair.alice;
    let arguments = ["--home", alice.home.to_str().unwrap(), "tui", "--lock", "off"];
    let mut terminal = Terminal::sized((100, 30), &[], programs().client.to_str().unwrap(), arguments.into_iter());
    for _ in 0..2 {
        terminal.shows("This profile is locked");
        types(&terminal, &typed(alice));
        terminal.shows("connected");
        types(&terminal, "/query bob");
        terminal.shows(HEARD);
        if is_open(alice, terminal.pid(), &SHOWN).is_none() {
            return;
        }
        types(&terminal, "/lock");
        terminal.shows("This profile is locked");
        nobody_holds(alice);
        has_forgotten(alice, terminal.pid());
    }
    terminal.types("\x03");
    assert_eq!(terminal.ends(), 0);
}

/// [THREAT-29] The same of line mode.
#[test]
fn locked_line_mode_has_forgotten() {
    let pair = talked();
    let alice = &pair.alice;
    let arguments = ["--home", alice.home.to_str().unwrap(), "chat", "--lock", "1h"];
    let mut terminal = Terminal::of(programs().client.to_str().unwrap(), arguments.into_iter());
    terminal.shows("Passphrase:");
    types(&terminal, &typed(alice));
    for _ in 0..2 {
        terminal.shows("connected");
        types(&terminal, "/query bob");
        types(&terminal, "/history 5");
        terminal.shows(HEARD);
        if is_open(alice, terminal.pid(), &SHOWN).is_none() {
            return;
        }
        types(&terminal, "/lock");
        terminal.shows("This profile is locked.");
        nobody_holds(alice);
        has_forgotten(alice, terminal.pid());
        types(&terminal, &typed(alice));
    }
    terminal.types("\x03");
    assert_eq!(terminal.ends(), 0);
}

/// [THREAT-29] The same of the page.
#[test]
fn a_locked_page_has_forgotten() {
    let pair = talked();
    let alice = &pair.alice;
    let arguments = ["--home", alice.home.to_str().unwrap(), "web", "--lock", "6s"];
    let mut terminal = Terminal::sized((160, 24), &[], programs().client.to_str().unwrap(), arguments.into_iter());
    terminal.shows("Passphrase:");
    types(&terminal, &typed(alice));
    let page = Page::on(&terminal);
    let entered = page.enter();
    for _ in 0..2 {
        let shown = entered.get(&page, "/with/bob").1;
        assert!(shown.contains(HEARD), "{shown}");
        // A page that was shown is the browser's, and nothing of it stays here.
        if is_open(alice, terminal.pid(), &[]).is_none() {
            return;
        }
        until("the page is locked", || (entered.get(&page, "/page.js").0 == 403).then_some(()));
        nobody_holds(alice);
        has_forgotten(alice, terminal.pid());
        let passphrase = typed(alice).replace(' ', "+");
        assert_eq!(entered.post(&page, "/unlock", &format!("passphrase={passphrase}")).0, 303);
    }
    terminal.types("\x03");
    assert_eq!(terminal.ends(), 0);
}
