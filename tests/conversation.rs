//! The long conversation: two real clients, real lines each way, one of them killed and away for a third of it, the
//! relay killed and restarted twice; then both histories compared, and what the relay held searched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::inspect::{Findings, Taken, inspect, memory_of};
use crate::lines::{Said, different_lines};
use crate::processes::{Following, Person, RelayProcess};

/// What became of it.
#[derive(Debug)]
pub struct Report {
    /// Lines said by each.
    pub each: usize,
    /// Where the lines are from.
    pub source: String,
    /// Lines that are not ASCII.
    pub unicode: usize,
    /// From the first line until both histories were whole.
    pub took: Duration,
    /// Bytes of the compared histories, the same on both sides.
    pub compared: usize,
    /// What the inspection of the relay found; `None` where its memory can't be read here.
    pub findings: Option<Findings>,
    /// Bytes of memory that were searched.
    pub memory: usize,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} lines each way, {} of them not ASCII, from {}", self.each, self.unicode, self.source)?;
        writeln!(f, "bob killed and away for a third, the relay killed and restarted twice; {:.1?}", self.took)?;
        writeln!(f, "histories sorted by id: equal in id, sender and text, {} bytes; each line once", self.compared)?;
        match &self.findings {
            Some(findings) => write!(f, "{} bytes of the relay's memory; {findings}", self.memory),
            None => write!(f, "skipped: inspection of memory (missing permission to read /proc/PID/mem)"),
        }
    }
}

/// Counts what happens, for others to wait for.
#[derive(Default)]
struct Progress {
    said: Mutex<BTreeMap<String, usize>>,
    changed: Condvar,
}

impl Progress {
    fn one_more(&self, name: &str) {
        let mut said = self.said.lock().expect("nobody panics with it");
        *said.entry(name.to_owned()).or_default() += 1;
        self.changed.notify_all();
    }

    fn wait(&self, name: &str, count: usize, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut said = self.said.lock().expect("nobody panics with it");
        while said.get(name).copied().unwrap_or_default() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{name} did not come to say {count} lines but {:?}", said.get(name));
            said = self.changed.wait_timeout(said, left).expect("nobody panics with it").0;
        }
    }
}

/// One side: says its lines one after the other, each once its client says that the one before is queued.
struct Speaker {
    person: Arc<Person>,
    to: String,
    lines: Vec<String>,
}

impl Speaker {
    fn chat(&self) -> Following {
        Following::start(self.person.command(&["--json", "chat"]))
    }

    /// Says the lines from `from` on until `until`; returns the client, still running.
    fn say(&self, chat: &mut Following, from: usize, until: usize, progress: &Progress) {
        for line in &self.lines[from..until] {
            writeln!(chat.stdin(), "/dm {} {line}", self.to).expect("the client is there");
            let answer = chat.lines.until(|line| {
                let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else { return false };
                assert_ne!(event["event"], "error", "{event}");
                event["event"] == "queued"
            });
            drop(answer);
            progress.one_more(&self.person.name);
        }
    }
}

/// History of a conversation, in its own order; empty while it shows that something is missing.
fn history(person: &Person, with: &str) -> Vec<(String, String, String)> {
    let outcome = person.json(&["history", with, "--limit", "1000000"]).expect(0);
    if !outcome.events("gap").is_empty() {
        // Something is still on its way.
        return Vec::new();
    }
    let word = |line: &serde_json::Value, field: &str| line[field].as_str().expect("a string").to_owned();
    outcome.events("message").iter().map(|line| (word(line, "id"), word(line, "from"), word(line, "text"))).collect()
}

/// Waits until a history has so many messages.
fn whole(person: &Person, with: &str, count: usize, patience: Duration) -> Vec<(String, String, String)> {
    let deadline = Instant::now() + patience;
    loop {
        let history = history(person, with);
        if history.len() >= count {
            return history;
        }
        assert!(Instant::now() < deadline, "{} has {} of {count} messages", person.name, history.len());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Copies what the relay has while mail waits, its memory included; the image is `None` where it can't be read here.
fn take(relay: &RelayProcess, folder: &Path) -> std::io::Result<(Taken, Option<PathBuf>)> {
    let taken = folder.join("taken");
    for (path, bytes) in crate::processes::files_below(&relay.data) {
        let name = Path::new(&path).strip_prefix(&relay.data).map_err(std::io::Error::other)?;
        let target = taken.join(name);
        std::fs::create_dir_all(target.parent().unwrap_or(&taken))?;
        std::fs::write(target, bytes)?;
    }
    let log = folder.join("taken.log");
    std::fs::copy(&relay.log, &log)?;
    let image = match memory_of(relay.pid()) {
        Ok(memory) => {
            let path = folder.join("taken.core");
            std::fs::write(&path, memory)?;
            Some(path)
        }
        Err(_) => None,
    };
    Ok((Taken::from(&taken, &log, image.as_deref())?, image))
}

/// What would tell a sender: the device list's name, keys and their fingerprints.
fn traces(person: &Person) -> Vec<(String, Vec<u8>)> {
    let me = person.json(&["me"]).expect(0);
    let me = &me.events("me")[0];
    let fingerprint = me["fingerprint"].as_str().unwrap_or_default();
    let mut traces = vec![
        (format!("the name of {}", person.name), person.name.clone().into_bytes()),
        (format!("the fingerprint of {}", person.name), fingerprint.as_bytes().to_vec()),
    ];
    if let Ok(bytes) = data_encoding::BASE32_NOPAD.decode(fingerprint.to_uppercase().as_bytes()) {
        traces.push((format!("the fingerprint of {} in binary", person.name), bytes));
    }
    traces
}

/// Holds the conversation in `folder`, with so many lines each way.
///
/// # Panics
/// Anything is lost, doubled, out of order, or does not end within `patience`.
pub fn hold(folder: &Path, each: usize, patience: Duration) -> Report {
    let Said { lines, source } = different_lines(2 * each);
    let unicode = lines.iter().filter(|line| !line.is_ascii()).count();
    let (hers, his) = lines.split_at(each);
    let mut relay = RelayProcess::start(folder);
    let alice = Arc::new(Person::registered(folder, "alice-the-first", &relay.address));
    let bob = Arc::new(Person::registered(folder, "bob-of-the-hill", &relay.address));
    let started = Instant::now();
    let progress = Arc::new(Progress::default());

    // Alice speaks without a pause; bob speaks his first third, is killed, and goes on when he is told to.
    let (her_end, she_ended) = channel::<Following>();
    let (go_on, told) = channel::<()>();
    let her = Speaker { person: alice.clone(), to: bob.name.clone(), lines: hers.to_vec() };
    let him = Speaker { person: bob.clone(), to: alice.name.clone(), lines: his.to_vec() };
    let third = each / 3;
    let away = spawn_bob(him, progress.clone(), third, told);
    let speaking = spawn_alice(her, progress.clone(), each, her_end, third);

    progress.wait("alice-the-first", each / 6, patience);
    relay.kill();
    relay.restart();
    progress.wait("alice-the-first", each / 2, patience);
    progress.wait("bob-of-the-hill", third, patience);
    // Bob is away, and alice's lines wait for him: now look, and pull the plug again.
    let waiting = crate::processes::until("mail waits at the relay", || {
        let (taken, image) = take(&relay, folder).expect("what the relay has can be read");
        (taken.envelopes.len() >= (each / 12).max(1)).then_some((taken, image))
    });
    relay.kill();
    relay.restart();
    progress.wait("alice-the-first", 2 * third, patience);
    go_on.send(()).expect("bob waits for it");

    let his_chat = away.join().expect("bob says all");
    speaking.join().expect("alice says all");
    let her_chat = she_ended.recv().expect("she hands her client over");
    let at_hers = whole(&alice, &bob.name, 2 * each, patience);
    let at_his = whole(&bob, &alice.name, 2 * each, patience);
    let took = started.elapsed();
    drop((his_chat, her_chat));

    compare(&at_hers, &at_his, (&alice.name, hers), (&bob.name, his));
    let sorted = |mut history: Vec<(String, String, String)>| {
        history.sort();
        history.iter().map(|(id, from, text)| format!("{id}\t{from}\t{text}\n")).collect::<String>()
    };
    let (left, right) = (sorted(at_hers), sorted(at_his));
    assert!(left == right, "the histories differ");

    let (taken, image) = waiting;
    let memory =
        taken.parts.iter().filter(|(name, _)| name.ends_with("taken.core")).map(|(_, bytes)| bytes.len()).sum();
    let findings = image.map(|_| inspect(&taken, &lines, &[traces(&alice), traces(&bob)].concat()));
    std::fs::write(folder.join("lines.txt"), lines.join("\n") + "\n").expect("the folder can be written");
    Report { each, source, unicode, took, compared: left.len(), findings, memory }
}

fn spawn_alice(
    her: Speaker,
    progress: Arc<Progress>,
    each: usize,
    ended: Sender<Following>,
    third: usize,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut chat = her.chat();
        her.say(&mut chat, 0, third, &progress);
        // Not beyond his first third before he has said it: he is to be away for a third of the conversation.
        progress.wait("bob-of-the-hill", third, crate::processes::PATIENCE * 10);
        her.say(&mut chat, third, each, &progress);
        let _ = ended.send(chat);
    })
}

fn spawn_bob(
    him: Speaker,
    progress: Arc<Progress>,
    third: usize,
    told: std::sync::mpsc::Receiver<()>,
) -> std::thread::JoinHandle<Following> {
    std::thread::spawn(move || {
        let mut chat = him.chat();
        him.say(&mut chat, 0, third, &progress);
        chat.kill();
        told.recv().expect("somebody tells him to go on");
        let mut chat = him.chat();
        him.say(&mut chat, third, him.lines.len(), &progress);
        chat
    })
}

/// Each line once on each side, and each sender's lines in the order in which they were said.
fn compare(
    at_hers: &[(String, String, String)],
    at_his: &[(String, String, String)],
    (alice, hers): (&str, &[String]),
    (bob, his): (&str, &[String]),
) {
    for (whose, history) in [(alice, at_hers), (bob, at_his)] {
        let ids: BTreeSet<&str> = history.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!(ids.len(), history.len(), "an id stands twice at {whose}");
        for (from, said) in [(alice, hers), (bob, his)] {
            let name = format!("@{from}");
            let texts: Vec<&str> =
                history.iter().filter(|(_, sender, _)| *sender == name).map(|(.., text)| text.as_str()).collect();
            assert_eq!(texts.len(), said.len(), "lines of {from} at {whose}");
            for (at, (text, line)) in texts.iter().zip(said).enumerate() {
                assert_eq!(text, line, "line {at} of {from} at {whose}");
            }
        }
    }
}
