//! The tour: Mallory's attacks on real clients, one after the other: what she did, what the people saw, in their client's
//! words, and what was let in.
//!
//! Relay and clients are processes. A scene fails where Mallory had no occasion to lie, or where something got in.

mod keys;
mod messages;
mod rooms;

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use tempfile::TempDir;

use crate::processes::{Following, MalloryProcess, Outcome, Person, until};

/// One attack.
pub struct Scene {
    /// Its title: what Mallory tries.
    pub title: &'static str,
    /// The line of `spec/threats.md` that says that she can't.
    pub cannot: &'static str,
    /// Plays it; what it has shown, in a sentence.
    play: fn(&mut Stage) -> &'static str,
}

/// All scenes, in the order of the tour.
pub fn scenes() -> Vec<&'static Scene> {
    keys::SCENES.iter().chain(messages::SCENES).chain(rooms::SCENES).collect()
}

/// What was to be seen of a scene.
pub struct Seen {
    title: &'static str,
    cannot: &'static str,
    lines: Vec<String>,
    so: &'static str,
}

impl Seen {
    /// Whether somebody saw this.
    pub fn contains(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(words))
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} [{}]", self.title, self.cannot)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "  => {}", self.so)
    }
}

/// Mallory and the people, each with a real client.
pub struct Stage {
    mallory: MalloryProcess,
    folder: TempDir,
    people: BTreeMap<String, Person>,
    lines: Vec<String>,
    /// A client that shows what comes, for as long as a scene lasts.
    watching: Option<Following>,
    /// She has lied in this scene.
    lied: bool,
}

impl Stage {
    /// Mallory, and nobody yet.
    ///
    /// # Panics
    /// She does not start.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            mallory: MalloryProcess::start(),
            folder,
            people: BTreeMap::new(),
            lines: Vec::new(),
            watching: None,
            lied: false,
        }
    }

    /// Plays a scene.
    ///
    /// # Panics
    /// Something got in, or Mallory did not lie.
    pub fn plays(&mut self, scene: &Scene) -> Seen {
        let so = (scene.play)(self);
        self.watching = None;
        self.becomes_honest();
        assert!(std::mem::take(&mut self.lied), "Mallory had no occasion to lie");
        Seen { title: scene.title, cannot: scene.cannot, lines: std::mem::take(&mut self.lines), so }
    }

    // ---- what a scene is made of

    /// Mallory is told to do this from now on.
    fn mallory(&mut self, order: &str) {
        let said = self.mallory.order(order);
        self.lines.push(format!("Mallory {said}."));
    }

    /// Mallory does as a relay should from now on.
    fn honest(&mut self) {
        self.becomes_honest();
        self.lines.push("Mallory is honest again.".to_owned());
    }

    fn becomes_honest(&mut self) {
        self.lied |= self.mallory.counts("lied") > 0;
        let _ = self.mallory.order("honest");
    }

    /// Somebody registers, or has done so before.
    fn person(&mut self, name: &str) -> &Person {
        let (folder, address) = (self.folder.path(), &self.mallory.address);
        self.people.entry(name.to_owned()).or_insert_with(|| Person::registered(folder, name, address))
    }

    /// Somebody who has not registered.
    fn newcomer(&mut self, name: &str) {
        let person = Person::new(self.folder.path(), name);
        self.people.insert(name.to_owned(), person);
    }

    /// Runs somebody's client, unseen.
    fn quietly(&mut self, name: &str, arguments: &[&str]) -> Outcome {
        self.person(name).run(arguments)
    }

    /// Runs somebody's client, and shows what they saw.
    fn sees(&mut self, name: &str, arguments: &[&str]) -> Outcome {
        let outcome = self.person(name).run(arguments);
        let quoted = |word: &&str| if word.contains([' ', '#']) { format!("'{word}'") } else { (*word).to_owned() };
        let words: Vec<String> = arguments.iter().map(quoted).map(|word| in_short(&word)).collect();
        self.lines.push(format!("{name}$ sealpost {}", words.join(" ")));
        let shown: Vec<String> = outcome.out.lines().chain(outcome.err.lines()).map(in_short).collect();
        if shown.is_empty() {
            self.lines.push("    (nothing)".to_owned());
        }
        self.lines.extend(shown.into_iter().map(|line| format!("    {line}")));
        outcome
    }

    /// Somebody's client shows what comes, from now on.
    fn watches(&mut self, name: &str) {
        let person = self.person(name);
        let following = Following::start(person.command(&["chat"]));
        until(&format!("{name} holds the profile"), || {
            let profiles = person.json(&["profiles"]).expect(0);
            profiles.events("profile").iter().any(|one| one["held"] == true).then_some(())
        });
        self.watching = Some(following);
        self.lines.push(format!("{name}$ sealpost chat"));
    }

    /// It shows a line with these words.
    fn hears(&mut self, words: &str) {
        let following = self.watching.as_mut().expect("somebody watches");
        loop {
            let line = following.lines.next_line().expect("it goes on");
            self.lines.push(format!("    {}", in_short(&line)));
            if line.contains(words) {
                return;
            }
        }
    }

    /// Both have talked to each other.
    fn acquainted(&mut self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            let _ = self.person(to);
            if !self.texts(to, from).iter().any(|text| text == "hello") {
                let _ = self.quietly(from, &["send", to, "hello"]).expect(0);
                let _ = self.person(to).receives(1);
            }
        }
    }

    /// Texts that somebody has of a conversation; none where there is no such conversation.
    fn texts(&mut self, whose: &str, with: &str) -> Vec<String> {
        let outcome = self.person(whose).json(&["history", with, "--limit", "1000"]);
        assert!(matches!(outcome.code, Some(0 | 6)), "{}", outcome.out);
        let said = outcome.events("message");
        said.iter().map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Somebody has not been shown this, anywhere.
    fn lacks(&mut self, whose: &str, with: &str, words: &str) {
        let texts = self.texts(whose, with);
        assert!(!texts.iter().any(|text| text.contains(words)), "{whose} was shown {words:?}: {texts:?}");
    }

    /// Both look until the one has this from the other, so many times.
    fn arrives(&mut self, to: &str, from: &str, words: &str) {
        until(&format!("{to} has {words:?}"), || {
            let _ = self.quietly(from, &["recv", "--timeout", "5s"]);
            let _ = self.quietly(to, &["recv", "--timeout", "5s"]);
            self.texts(to, from).iter().any(|text| text == words).then_some(())
        });
        let count = self.texts(to, from).iter().filter(|text| *text == words).count();
        assert_eq!(count, 1, "{to} has {words:?} more than once");
    }

    /// Nobody has sealed anything to a key of Mallory's.
    fn nobody_was_fooled(&mut self) {
        assert_eq!(self.mallory.counts("fooled"), 0, "somebody encrypted to a key of Mallory's");
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// Without what differs from tour to tour: keys, ports and times.
fn in_short(line: &str) -> String {
    let key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut words = Vec::new();
    for word in line.trim_end().split(' ') {
        let bare = word.trim_end_matches([')', ';']);
        let time = word.trim_matches(['[', ']', ',']);
        let clock = |time: &str| time.len() >= 5 && time.bytes().all(|c| c.is_ascii_digit() || b":-TZ.+".contains(&c));
        words.push(if word.starts_with("sealpost://") || word.starts_with("'sealpost://") {
            "sealpost://…".to_owned()
        } else if bare.len() == 52 && bare.chars().all(key) {
            word.replace(bare, "…")
        } else if clock(time) && time.contains([':', '-']) {
            word.replace(time, "…")
        } else {
            word.to_owned()
        });
    }
    words.join(" ")
}

/// Plays all scenes whose title contains this word, or that try this id, and prints what was to be seen.
pub fn play(word: &str) -> ExitCode {
    let mut out = std::io::stdout();
    let mut stage = Stage::new();
    let (mut held, mut failed) = (0, 0);
    for scene in scenes().into_iter().filter(|scene| scene.title.contains(word) || scene.cannot == word) {
        let shown = match catch_unwind(AssertUnwindSafe(|| stage.plays(scene))) {
            Ok(seen) => {
                held += 1;
                seen.to_string()
            }
            Err(_) => {
                failed += 1;
                // Whatever state it was left in.
                stage = Stage::new();
                format!("{} [{}]\n  => FAILS\n", scene.title, scene.cannot)
            }
        };
        // Who reads it may have gone.
        let _ = writeln!(out, "{shown}");
    }
    let _ = writeln!(out, "{held} attacks, {failed} let something in");
    if failed == 0 && held > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
