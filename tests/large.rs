//! A large file between two real clients: its sender is killed on the way, so is its recipient, and the relay is under each of them;
//! then what was saved is compared with what was sent, and the memory that it took with that of a small one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::processes::{Following, Person, RelayProcess};

/// By how much a large file may take more memory than a small one, in bytes: what is on its way at once, a few times over.
const MORE: u64 = 32 << 20;

/// What became of it.
#[derive(Debug)]
pub struct Report {
    /// Bytes of the file.
    pub size: u64,
    /// From the command to send it until it was announced, with what went wrong on the way.
    pub sending: Duration,
    /// From the command to fetch it until it had its name.
    pub fetching: Duration,
    /// The most memory that each took, in bytes.
    pub large: Peaks,
    /// The same for a small file.
    pub small: Peaks,
}

/// The most memory that was resident.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peaks {
    /// Of the client that sends.
    pub sender: u64,
    /// Of the client that fetches.
    pub recipient: u64,
    /// Of the relay.
    pub relay: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let rate = |took: Duration| mib(self.size) / took.as_secs_f64();
        writeln!(f, "{:.0} MiB, bit for bit; sender, recipient and relay killed on the way", mib(self.size))?;
        let (sending, fetching) = (self.sending, self.fetching);
        writeln!(f, "sent in {sending:.1?}, {:.1} MiB a second", rate(sending))?;
        writeln!(f, "fetched in {fetching:.1?}, {:.1} MiB a second", rate(fetching))?;
        for (what, peaks) in [("this file", self.large), ("one of 1 MiB", self.small)] {
            let [sender, recipient, relay] = [peaks.sender, peaks.recipient, peaks.relay].map(mib);
            let all = format!("sender {sender:.1} MiB, recipient {recipient:.1} MiB, relay {relay:.1} MiB");
            writeln!(f, "most memory that was resident, for {what}: {all}")?;
        }
        Ok(())
    }
}

/// The most memory that a process has had resident so far; 0 where it has gone.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Writes a file of bytes that do not repeat; its hash.
fn make(path: &Path, size: u64) -> [u8; 32] {
    let mut file = File::create(path).expect("a file to send");
    let (mut hash, mut left, mut state) = (Sha256::new(), size, 0x9E37_79B9_7F4A_7C15_u64);
    let mut piece = vec![0_u8; 1 << 20];
    while left > 0 {
        for word in piece.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        hash.update(&piece[..count]);
        file.write_all(&piece[..count]).expect("room for a file to send");
        left -= count as u64;
    }
    hash.finalize().into()
}

fn hash_of(path: &Path) -> [u8; 32] {
    let mut file = File::open(path).expect("what was saved");
    let (mut hash, mut piece) = (Sha256::new(), vec![0_u8; 1 << 20]);
    loop {
        match file.read(&mut piece).expect("what was saved can be read") {
            0 => return hash.finalize().into(),
            count => hash.update(&piece[..count]),
        }
    }
}

/// Follows a file until so many bytes of it are there; the most memory that its client has had.
fn moves(moving: &mut Following, bytes: u64) -> u64 {
    loop {
        let event = moving.event("progress");
        if event["state"] == "moving" && event["done"].as_u64().unwrap_or_default() >= bytes {
            return peak(moving.pid());
        }
    }
}

/// Follows it to its end.
fn ends(mut moving: Following) -> u64 {
    let mut most = 0;
    loop {
        let line = moving.lines.next_line().expect("it says how it ended");
        most = most.max(peak(moving.pid()));
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if line["event"] == "end" {
            assert_eq!(line["exit"], 0, "it failed");
            return most;
        }
        assert_ne!(line["event"], "error", "{line}");
    }
}

/// A command that is killed after a third, and given again; then the relay is killed after another third.
fn interrupted(person: &Person, arguments: &[&str], size: u64, relay: &mut RelayProcess, peaks: &mut u64) -> u64 {
    let start = || Following::start(person.command(&[&["--json"], arguments].concat()));
    let mut first = start();
    *peaks = (*peaks).max(moves(&mut first, size / 3));
    first.kill();
    let mut second = start();
    *peaks = (*peaks).max(moves(&mut second, size / 3 * 2));
    let most = peak(relay.pid());
    relay.kill();
    relay.restart();
    *peaks = (*peaks).max(ends(second));
    most.max(peak(relay.pid()))
}

fn announced(recipient: &Person) -> String {
    crate::processes::until("the file is announced", || {
        let outcome = recipient.json(&["recv", "--timeout", "20s"]).expect(0);
        outcome.events("file").pop().map(|file| file["id"].as_str().expect("an id").to_owned())
    })
}

/// Sends and fetches a file of so many bytes in this folder.
///
/// # Panics
/// It does not arrive bit for bit, or takes more memory than a small one.
pub fn move_file(folder: &Path, size: u64) -> Report {
    let mut relay = RelayProcess::start(folder);
    let alice = Person::registered(folder, "alice", &relay.address);
    let bob = Person::registered(folder, "bob", &relay.address);
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    let _ = bob.receives(1);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    let _ = alice.receives(1);

    let path = folder.join("small.bin");
    let whole = make(&path, 1 << 20);
    let mut small = Peaks::default();
    let start = |person: &Person, words: &[&str]| Following::start(person.command(&[&["--json"], words].concat()));
    small.sender = ends(start(&alice, &["send", "bob", "-f", path.to_str().expect("UTF-8")]));
    let id = announced(&bob);
    small.recipient = ends(start(&bob, &["get", &id]));
    small.relay = peak(relay.pid());
    assert_eq!(hash_of(&bob.home.join("downloads/small.bin")), whole);

    let path = folder.join("large.bin");
    let whole = make(&path, size);
    let mut large = Peaks::default();
    let begun = Instant::now();
    let words = ["send", "bob", "-f", path.to_str().expect("UTF-8")];
    large.relay = interrupted(&alice, &words, size, &mut relay, &mut large.sender);
    let sending = begun.elapsed();
    std::fs::remove_file(&path).expect("it is there");
    let id = announced(&bob);
    let begun = Instant::now();
    let most = interrupted(&bob, &["get", &id], size, &mut relay, &mut large.recipient);
    let fetching = begun.elapsed();
    large.relay = large.relay.max(most);
    assert_eq!(hash_of(&bob.home.join("downloads/large.bin")), whole, "it is another file");
    for (what, one, other) in [
        ("sender", large.sender, small.sender),
        ("recipient", large.recipient, small.recipient),
        ("relay", large.relay, small.relay),
    ] {
        assert!(
            one <= other + MORE,
            "the {what} takes {one} bytes of memory for a large file, {other} for a small one"
        );
    }
    Report { size, sending, fetching, large, small }
}
