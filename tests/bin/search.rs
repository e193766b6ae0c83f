//! What a search costs in a profile with many messages, and what the holder of such a profile needs of memory.
//!
//! ```text
//! cargo build --release --locked && cargo run -p sealpost-tests --bin search -- --client target/release/sealpost
//! ```
//!
//! It ends with status 1 where the first search after the profile was opened takes longer than it may.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use sealpost_tests::lines::different_lines;
use sealpost_tests::processes::{Following, RelayProcess, files_below, finish, programs, signal, until};
use serde_json::{Value, json};

/// What a search may take, in milliseconds.
const LONGEST: f64 = 100.0;

/// Commands on their way at once while the profile is filled.
const WINDOW: usize = 64;

/// How often each question is asked.
const ROUNDS: usize = 50;

/// As the client has them.
const ROWS_OF_A_PAGE: usize = 256;

/// In exactly one message.
const RARE: &str = "xylophone-of-glass";

/// Fills a profile with messages, as many real commands, and measures searches in it and the memory of its holder.
#[derive(Parser)]
struct Arguments {
    /// Messages.
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// The client that is measured; the one that the tests build otherwise.
    #[arg(long)]
    client: Option<PathBuf>,
    /// Also waits until the index is given up, five minutes after the last question.
    #[arg(long)]
    wait: bool,
}

/// The profile's holder, and a conversation with it.
struct Holder {
    process: Following,
    stream: BufReader<UnixStream>,
    next: u64,
}

impl Holder {
    fn start(mut client: Command, profile: &Path) -> Self {
        client.args(["--json", "daemon"]);
        let mut process = Following::start(client);
        let _ = process.lines.until(|line| line.contains("\"listening\""));
        let stream = UnixStream::connect(profile.join("socket")).expect("the holder listens");
        Self { process, stream: BufReader::new(stream), next: 0 }
    }

    fn give(&mut self, command: &Value) {
        self.next += 1;
        let line = json!({ "v": 1, "id": self.next, "command": command });
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the holder reads");
    }

    /// The next event.
    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the holder answers");
        let event: Value = serde_json::from_str(&line).expect("a line is JSON");
        assert_ne!(event["event"], "error", "{event}");
        event
    }

    /// Waits for the end of one command; how many messages answered.
    fn end(&mut self) -> usize {
        let mut messages = 0;
        loop {
            match self.event()["event"].as_str() {
                Some("end") => return messages,
                Some("message") => messages += 1,
                _ => {}
            }
        }
    }

    /// Asks for words; how many messages have them, and how long the last of them took to come.
    fn search(&mut self, words: &str) -> (usize, Duration) {
        let begun = Instant::now();
        self.give(&json!({ "command": "search", "words": words }));
        let found = self.end();
        (found, begun.elapsed())
    }

    /// What of its memory is its own and not a file's, in MiB, whether it is in RAM or was swapped out.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).expect("it runs");
        let of = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
            line.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
        };
        of("RssAnon:") + of("VmSwap:")
    }

    /// CPU time that it has used, in milliseconds, to the tick of ten: on a machine that does something else, too, the clock tells
    /// little.
    fn processor(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.pid())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("its name stands in parentheses");
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
    }

    fn stop(mut self) {
        signal(self.process.pid(), Signal::TERM);
        until("the holder ends", || self.process.ended());
    }
}

fn main() -> ExitCode {
    let Arguments { messages, client, wait } = Arguments::parse();
    let client = client.unwrap_or_else(|| programs().client.clone());
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(folder.path());
    let (home, passphrase) = (folder.path().join("alice"), folder.path().join("passphrase"));
    std::fs::write(&passphrase, "alice likes long walks by the sea\n").expect("a file");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&client);
        command.arg("--home").arg(&home).arg("--passphrase-file").arg(&passphrase).args(arguments);
        command
    };
    let _ = finish(command(&["register", &relay.address, "alice"]), "").expect(0);
    let profile = home.join("default");

    let said = different_lines(messages - 1);
    let bytes: usize = said.lines.iter().map(String::len).sum();
    let mut holder = Holder::start(command(&[]), &profile);
    let begun = Instant::now();
    let note = |text: &str| json!({ "command": "send", "to": "alice", "text": text, "wait": "queued" });
    let rare = format!("a {RARE} in the attic");
    for (given, text) in said.lines.iter().chain([&rare]).enumerate() {
        holder.give(&note(text));
        if given >= WINDOW {
            let _ = holder.end();
        }
    }
    for _ in 0..WINDOW.min(messages) {
        let _ = holder.end();
    }
    let filled = begun.elapsed();
    println!("{messages} messages of {} bytes on average, from {}, in {filled:.1?}", bytes / messages, said.source);
    holder.stop();

    let mut holder = Holder::start(command(&[]), &profile);
    println!("memory of the idle holder                    {:7.1} MiB", holder.memory());
    let before = holder.processor();
    let _ = first_search(&mut holder, "the first search ever, row by row");
    until("its pages are made", || (pages(&profile) == messages / ROWS_OF_A_PAGE).then_some(()));
    println!("CPU time until all pages are made, too       {:7} ms", holder.processor() - before);
    holder.stop();

    let mut holder = Holder::start(command(&[]), &profile);
    println!("memory of the idle holder                    {:7.1} MiB", holder.memory());
    let first = first_search(&mut holder, "the first search after the profile was opened");
    println!("memory with the index                        {:7.1} MiB", holder.memory());
    for (what, words) in [
        ("a word of one message", RARE),
        ("a word of many, the newest 100", "the"),
        ("two words of many", "the and"),
        ("a part of a word", "ow"),
        ("letters beyond ASCII", "größe"),
        ("words of none", "no such words"),
    ] {
        let mut took: Vec<Duration> = Vec::new();
        let mut found = 0;
        for _ in 0..ROUNDS {
            let (messages, time) = holder.search(words);
            found = messages;
            took.push(time);
        }
        took.sort();
        let (median, worst) = (milliseconds(took[ROUNDS / 2]), milliseconds(took[ROUNDS - 1]));
        println!("{what:<44} {median:7.2} ms   {worst:.2} at worst of {ROUNDS}, {found} found");
    }
    let begun = Instant::now();
    let outcome = finish(command(&["--json", "search", RARE]), "").expect(0);
    println!("sealpost search, a process, through it       {:7.1} ms", milliseconds(begun.elapsed()));
    assert_eq!(outcome.events("message").len(), 1);
    if wait {
        std::thread::sleep(Duration::from_secs(5 * 60 + 10));
        println!("memory five minutes after the last search    {:7.1} MiB", holder.memory());
    }
    let plain =
        files_below(&home).into_iter().filter(|(_, bytes)| bytes.windows(RARE.len()).any(|at| at == RARE.as_bytes()));
    let plain: Vec<String> = plain.map(|(name, _)| name).collect();
    assert!(plain.is_empty(), "the words lie open in {plain:?}");
    println!("no file below the profile's folder has the words");
    holder.stop();
    ExitCode::from(u8::from(first > LONGEST))
}

/// The first search in the life of a holder; how many milliseconds it took.
fn first_search(holder: &mut Holder, what: &str) -> f64 {
    let before = holder.processor();
    let (found, first) = holder.search("no such words");
    let (first, processor) = (milliseconds(first), holder.processor() - before);
    println!("{what:<44} {first:7.1} ms   {processor} ms of CPU time, {found} found");
    first
}

/// How many pages the profile has.
fn pages(profile: &Path) -> usize {
    let path = profile.join("profile.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    let count = database.query_row("SELECT count(*) FROM page", [], |row| row.get::<_, i64>(0));
    usize::try_from(count.expect("it can be read")).expect("a count")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
