//! Two people hold the same conversation four ways: on the whole screen, in line mode, on the page in a browser, by commands
//! of a script. All four leave the same behind, and each of them shows it.

use sealpost_tests::processes::{Person, until};
use serde_json::{Value, json};

use super::Pair;
use super::screen::open;
use super::terminal::Terminal;
use super::web::{Page, Visit};

/// What a person does, in the words of whichever way.
enum Deed<'a> {
    Says(&'a str),
    /// Answers what the other one said last.
    Replies(&'a str),
    /// Changes what they said last themselves.
    Edits(&'a str),
    Deletes,
    Reacts(&'a str),
    Sends(&'a str),
    /// Takes the newest file of the other one.
    Fetches,
    Compares(&'a str),
}

const WAYS: [&str; 4] = ["script", "lines", "screen", "page"];

/// A way to talk, open on somebody's profile, in the conversation with somebody.
enum Way {
    Screen(Terminal),
    Lines(Terminal),
    Page(Box<(Visit, Page)>),
    Script,
}

impl Way {
    /// `None` where this machine lacks what the way needs.
    fn open(name: &str, person: &Person, with: &str) -> Option<Self> {
        Some(match name {
            "screen" => {
                let terminal = open(person, (110, 40), &[], &[]);
                terminal.shows("connected");
                terminal.types(&format!("/query {with}\r"));
                terminal.shows(&format!("only @{with} can read this"));
                Self::Screen(terminal)
            }
            "lines" => {
                let terminal = Terminal::run(person, &["chat"]);
                terminal.shows("online: connected");
                terminal.types(&format!("/query {with}\r"));
                terminal.shows(&format!("--- @{with} E2E"));
                Self::Lines(terminal)
            }
            "page" => {
                let page = Page::of(person);
                let visit = Visit::to(&page, (1280, 900), &[])?;
                visit.open(&format!("/with/{with}"));
                Self::Page(Box::new((visit, page)))
            }
            _ => Self::Script,
        })
    }

    fn does(&self, person: &Person, with: &str, deed: &Deed<'_>) {
        let typed = match deed {
            Deed::Says(text) => (*text).to_owned(),
            Deed::Replies(text) => format!("/reply {text}"),
            Deed::Edits(text) => format!("/edit {text}"),
            Deed::Deletes => "/delete".to_owned(),
            Deed::Reacts(emoji) => format!("/react {emoji}"),
            Deed::Sends(path) => format!("/file {path}"),
            Deed::Fetches => "/get".to_owned(),
            Deed::Compares(number) => return self.compares(person, with, number),
        };
        match self {
            Self::Screen(terminal) | Self::Lines(terminal) => terminal.types(&format!("{typed}\r")),
            Self::Page(page) => page.0.say(&typed),
            Self::Script => {
                let of_them = || newest(person, with, |line| line["from"] == format!("@{with}"));
                let arguments: Vec<String> = match deed {
                    Deed::Says(text) => vec!["send".into(), with.into(), (*text).into()],
                    Deed::Replies(text) => vec!["reply".into(), of_them(), (*text).into()],
                    Deed::Edits(text) => vec!["edit".into(), "--in".into(), with.into(), (*text).into()],
                    Deed::Deletes => vec!["delete".into(), "--in".into(), with.into()],
                    Deed::Reacts(emoji) => vec!["react".into(), of_them(), (*emoji).into()],
                    Deed::Sends(path) => vec!["send".into(), with.into(), "-f".into(), (*path).into()],
                    Deed::Fetches => vec!["get".into(), newest(person, with, |line| line["event"] == "file")],
                    Deed::Compares(_) => unreachable!("it is another match"),
                };
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let _ = person.run(&arguments).expect(0);
            }
        }
    }

    /// The number with the other one is looked at, compared with theirs, and found equal.
    fn compares(&self, person: &Person, with: &str, number: &str) {
        match self {
            Self::Screen(terminal) => {
                terminal.types("/verify\r");
                terminal.shows(&format!("Verify @{with}"));
                for group in number.split_whitespace() {
                    terminal.shows(group);
                }
                terminal.types("y");
                terminal.shows("E2E verified");
            }
            Self::Lines(terminal) => {
                terminal.types("/verify\r");
                terminal.shows(number.split_whitespace().last().expect("it has twelve groups"));
                terminal.types("/verify ok\r");
                terminal.shows("verified until the key changes");
                terminal.types("\r");
                terminal.shows(&format!("@{with} E2E verified"));
            }
            Self::Page(page) => {
                let visit = &page.0;
                visit.say("/verify");
                visit.browser.shows("Compare this number");
                visit.browser.typed("#mark", &format!("{number}\u{e007}"));
                visit.browser.shows("private, verified");
                visit.open(&format!("/with/{with}"));
            }
            Self::Script => {
                let _ = person.run(&["verify", with, "--mark", number]).expect(0);
            }
        }
    }

    /// Each of these words stands before the person's eyes.
    fn shows(&self, person: &Person, with: &str, words: &[&str]) {
        for word in words {
            match self {
                Self::Screen(terminal) | Self::Lines(terminal) => terminal.shows(word),
                Self::Page(page) => page.0.browser.shows(word),
                Self::Script => {
                    let history = person.run(&["history", with]).expect(0);
                    assert!(history.out.contains(word), "{word:?} is not in\n{}", history.out);
                }
            }
        }
    }
}

/// What stands in a conversation, oldest first.
fn history(person: &Person, with: &str) -> Vec<Value> {
    let lines = person.json(&["history", with]).expect(0).json();
    lines.into_iter().filter(|line| line["event"] == "message" || line["event"] == "file").collect()
}

/// The id of the newest message for which this is true.
fn newest(person: &Person, with: &str, wanted: impl Fn(&Value) -> bool) -> String {
    let history = history(person, with);
    let found = history.iter().rev().find(|line| wanted(line)).unwrap_or_else(|| panic!("{history:#?}"));
    found["id"].as_str().unwrap().to_owned()
}

/// A conversation without what differs from one time to the next: who, what, in answer to which, what became of it.
fn transcript(person: &Person, with: &str) -> Vec<Value> {
    let history = history(person, with);
    let place = |id: &Value| history.iter().position(|line| line["id"] == *id);
    let told = |line: &Value| {
        json!({
            "from": line["from"], "event": line["event"], "kind": line["kind"], "text": line["text"], "edited": line["edited"],
            "reactions": line["reactions"], "about": place(&line["target"]), "size": line["size"],
        })
    };
    history.iter().map(told).collect()
}

/// The conversation, both sides of it one way; what it leaves behind.
fn converse(way: &str) -> Option<Vec<Value>> {
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let a = Way::open(way, alice, "bob")?;
    let b = Way::open(way, bob, "alice")?;
    // What one does has come to the other before anybody goes on.
    let both = |what: &str| {
        until(&format!("both have {what}, {way}"), || {
            // Nobody else is there to take what came for a script.
            if way == "script" {
                let _ = (alice.run(&["recv"]).expect(0), bob.run(&["recv"]).expect(0));
            }
            let (one, other) = (transcript(alice, "bob"), transcript(bob, "alice"));
            let texts: Vec<String> = one.iter().map(Value::to_string).collect();
            (one == other && texts.iter().any(|line| line.contains(what))).then_some(())
        });
    };
    a.does(alice, "bob", &Deed::Says("tea on friday?"));
    both("tea on friday?");
    b.does(bob, "alice", &Deed::Replies("yes, at four"));
    both("yes, at four");
    a.does(alice, "bob", &Deed::Edits("tea on saturday?"));
    both("tea on saturday?");
    b.does(bob, "alice", &Deed::Reacts("👍"));
    both("👍");
    a.does(alice, "bob", &Deed::Says("forget this"));
    both("forget this");
    a.does(alice, "bob", &Deed::Deletes);
    both("\"removed\"");
    let tea: Vec<u8> = (0_u32..300_000).map(|number| (number >> 8 ^ number) as u8).collect();
    let path = pair.folder.path().join("tea.bin");
    std::fs::write(&path, &tea).unwrap();
    b.does(bob, "alice", &Deed::Sends(path.to_str().unwrap()));
    both("tea.bin");
    a.does(alice, "bob", &Deed::Fetches);
    until(&format!("the file is saved, {way}"), || {
        let files = alice.json(&["files"]).expect(0).events("progress");
        let saved = files.iter().find(|file| file["incoming"] == true && file["state"] == "done")?;
        assert_eq!(std::fs::read(saved["path"].as_str()?).unwrap(), tea, "{way}");
        Some(())
    });
    a.shows(alice, "bob", &["tea.bin"]);
    b.shows(bob, "alice", &["tea.bin"]);
    a.shows(alice, "bob", &["tea on saturday?", "yes, at four", "👍"]);
    b.shows(bob, "alice", &["tea on saturday?", "yes, at four", "👍"]);
    let number = alice.json(&["verify", "bob"]).expect(0).events("safety")[0]["number"].as_str().unwrap().to_owned();
    b.does(bob, "alice", &Deed::Compares(&number));
    let contacts = bob.json(&["contacts"]).expect(0);
    assert_eq!(contacts.events("contact")[0]["trust"], "verified", "{way}");
    let left = transcript(bob, "alice");

    // Somebody else takes Alice's name: nothing is sent to them.
    let _ = super::admin::admin(&pair.relay, &["release", "alice"]).expect(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Person::registered(elsewhere.path(), "alice", &pair.relay.address);
    let _ = other.run(&["send", "bob", "it is me"]).expect(0);
    match &b {
        Way::Script => until("the key has changed", || {
            let refused = bob.run(&["send", "alice", "a secret"]);
            (refused.code == Some(4)).then_some(())
        }),
        Way::Page(page) => {
            let visit = &page.0;
            until("the key has changed", || {
                visit.open("/with/alice");
                (visit.browser.count("#composer") == 0).then_some(())
            });
            visit.browser.shows("The key of alice has changed");
        }
        b => {
            b.shows(bob, "alice", &["has changed"]);
            b.does(bob, "alice", &Deed::Says("a secret"));
        }
    }
    assert_eq!(bob.run(&["send", "alice", "a secret"]).code, Some(4), "{way}");
    assert!(!other.history("bob").iter().any(|(_, text)| text == "a secret"), "{way}");
    Some(left)
}

#[test]
fn the_same_conversation_four_ways() {
    let left = std::thread::scope(|scope| {
        WAYS.map(|way| scope.spawn(move || converse(way))).map(|talk| talk.join().expect("both have said everything"))
    });
    let script = left[0].as_ref().expect("a script needs nothing");
    assert_eq!(script.len(), 6, "{script:#?}");
    for (way, left) in WAYS.iter().zip(&left) {
        if let Some(left) = left {
            assert_eq!(left, script, "{way}");
        }
    }
}
