//! Somebody's client in line mode, and the files that they send.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::ledger::{Ledger, Line, Place, name, room_name};
use crate::processes::Person;

/// Bytes of the smallest file.
const SMALLEST: usize = 1_000;
/// Bytes of the largest.
const LARGEST: usize = 200_000;

/// A client that runs.
struct Life {
    child: Child,
    /// Closed: it leaves once what was said is out.
    stdin: Option<ChildStdin>,
    reader: JoinHandle<()>,
    /// Where plain words go.
    place: Option<Place>,
}

/// Somebody, with a client that runs or does not.
pub(super) struct Talker {
    /// Who.
    pub(super) person: Person,
    who: usize,
    ledger: Arc<Mutex<Ledger>>,
    life: Option<Life>,
}

impl Talker {
    /// Somebody who is registered; their client does not run.
    pub(super) const fn new(who: usize, person: Person, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self { person, who, ledger, life: None }
    }

    /// Starts their client; nobody waits until it is connected.
    ///
    /// # Panics
    /// It can't be started.
    pub(super) fn comes(&mut self) {
        let mut command = self.person.command(&["--json", "chat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the client's program is there");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (ledger, who) = (Arc::clone(&self.ledger), self.who);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let now = Instant::now();
                ledger.lock().expect("nobody panics with it").hears(who, &line, now);
            }
        });
        self.life = Some(Life { stdin: child.stdin.take(), child, reader, place: None });
    }

    /// Whether their client runs, and is to go on.
    pub(super) fn is_here(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.stdin.is_some())
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.life.as_ref().map(|life| life.child.id())
    }

    /// Whether it has ended although nobody wanted it to.
    pub(super) fn died(&mut self) -> bool {
        let Some(life) = &mut self.life else { return false };
        life.stdin.is_some() && life.child.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Whether no client of theirs runs.
    pub(super) fn has_ended(&mut self) -> bool {
        self.life.as_mut().is_none_or(|life| life.child.try_wait().is_ok_and(|ended| ended.is_some()))
    }

    /// Lets their client end by itself.
    pub(super) fn leaves(&mut self) {
        if let Some(life) = &mut self.life {
            life.stdin = None;
        }
    }

    /// Ends it by SIGKILL where it has not ended by itself in that time. All that it has printed is counted then.
    pub(super) fn goes(&mut self, patience: Duration) {
        let Some(mut life) = self.life.take() else { return };
        let deadline = Instant::now() + patience;
        while life.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let killed = life.child.try_wait().is_ok_and(|ended| ended.is_none());
        let _ = life.child.kill();
        let _ = life.child.wait();
        let _ = life.reader.join();
        self.ledger.lock().expect("nobody panics with it").returns(self.who, killed);
    }

    /// Types a line.
    fn types(&mut self, line: &str) {
        let stdin = self.life.as_mut().and_then(|life| life.stdin.as_mut());
        // One that has died is noticed elsewhere.
        let _ = stdin.map(|stdin| writeln!(stdin, "{line}"));
    }

    /// A command that says nothing to anybody.
    pub(super) fn asks(&mut self, command: &str) {
        self.types(command);
    }

    /// Says something, with the words that are given.
    pub(super) fn says(&mut self, to: Place, words: &str) {
        let line = self.ledger.lock().expect("nobody panics with it").gives(self.who, to, false);
        let text = format!("line {}: {words}", line.number);
        match to {
            Place::Person(to) => self.types(&format!("/dm {} {text}", name(to))),
            Place::Room(_) => {
                self.opens(to);
                self.types(&text);
            }
        }
    }

    /// Sends a file, which is made in this folder.
    ///
    /// # Panics
    /// The folder can't be written.
    pub(super) fn sends_file(&mut self, to: usize, folder: &Path) {
        let to = Place::Person(to);
        let line = self.ledger.lock().expect("nobody panics with it").gives(self.who, to, true);
        let path = folder.join(file_name(line));
        std::fs::write(&path, contents(line)).expect("room for a file to send");
        self.opens(to);
        self.types(&format!("/file {}", path.display()));
    }

    fn opens(&mut self, place: Place) {
        let Some(life) = &mut self.life else { return };
        if life.place.replace(place) != Some(place) {
            match place {
                Place::Person(who) => self.types(&format!("/query {}", name(who))),
                Place::Room(room) => self.types(&format!("/join {}", room_name(room))),
            }
        }
    }

    /// Where a file is that they have fetched.
    pub(super) fn fetched(&self, line: Line) -> PathBuf {
        self.person.home.join("downloads").join(file_name(line))
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.goes(Duration::ZERO);
    }
}

/// What a file is called; no two are called the same.
fn file_name(line: Line) -> String {
    match line.to {
        Place::Person(to) => format!("line-{}-of-{}-for-{to}.bin", line.number, line.from),
        Place::Room(room) => format!("line-{}-of-{}-in-{room}.bin", line.number, line.from),
    }
}

/// What is in it: bytes that follow from its name.
pub(super) fn contents(line: Line) -> Vec<u8> {
    let to = match line.to {
        Place::Person(to) | Place::Room(to) => to,
    };
    let mut dice = ChaCha8Rng::seed_from_u64((line.from << 40 | to << 20 | line.number) as u64);
    let mut bytes = vec![0; dice.random_range(SMALLEST..LARGEST)];
    dice.fill(bytes.as_mut_slice());
    bytes
}
