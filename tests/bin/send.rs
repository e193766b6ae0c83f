//! How long it takes to send a message: through a daemon, and by a process that opens the profile itself.
//!
//! ```text
//! SEALPOST_TESTED=release cargo run -p sealpost-tests --bin send
//! ```
//!
//! It ends with status 1 where the median is beyond what it may be.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use sealpost_tests::processes::{Following, Person, RelayProcess};

/// Lets real processes send messages over a real relay on this machine, and measures from their start to what they say and to
/// their end. What they need for the passphrase's key is measured beside: by a process that is given a wrong one.
#[derive(Parser)]
struct Arguments {
    /// How often each of them runs.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
}

/// Milliseconds through a daemon, and without one beyond Argon2id.
const THROUGH_DAEMON: f64 = 50.0;
const BEYOND_ARGON: f64 = 100.0;

/// How long a process took.
struct Took {
    /// Until it had said how far the message is; until its end, where it says nothing.
    told: Duration,
    ended: Duration,
}

/// Runs a process to its end, which has this exit code.
fn run(mut command: Command, code: i32) -> Took {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let mut told = None;
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("it is text");
        if line.contains("\"state\":\"sent\"") || line.contains("\"event\":\"sent\"") {
            told.get_or_insert_with(|| begun.elapsed());
        }
    }
    let status = child.wait().expect("it is waited for");
    let ended = begun.elapsed();
    assert_eq!(status.code(), Some(code), "{command:?}");
    Took { told: told.unwrap_or(ended), ended }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Median, and what 95 of 100 do not exceed.
fn spread(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: usize| milliseconds(times[(times.len() - 1) * share / 100]);
    (at(50), at(95))
}

/// Both of many runs, as one line each.
fn measure(rounds: usize, what: &str, mut each: impl FnMut(usize) -> Took) -> f64 {
    let all: Vec<Took> = (0..rounds).map(&mut each).collect();
    let (median, most) = spread(all.iter().map(|took| took.ended).collect());
    let (told, _) = spread(all.iter().map(|took| took.told).collect());
    println!("{what:<52} {median:7.1} ms   {most:7.1} for 95 of 100, {told:7.1} until it is told");
    median
}

fn main() -> ExitCode {
    let Arguments { rounds } = Arguments::parse();
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(folder.path());
    let person = |name: &str| Person::registered(folder.path(), name, &relay.address);
    let (alice, bob) = (person("alice"), person("bob"));
    // Each has the other's token: nobody works for a delivery.
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    assert_eq!(alice.receives(1), ["hello"]);
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "not this\n").expect("a file");
    let with = |passphrase: &Path, arguments: &[&str]| {
        let mut command = Command::new(&sealpost_tests::processes::programs().client);
        command.arg("--home").arg(&alice.home).arg("--passphrase-file").arg(passphrase).args(arguments);
        command
    };
    let send = |round: usize| run(alice.command(&["--json", "send", "bob", &format!("message {round}")]), 0);

    let nothing = measure(rounds, "a process that does nothing", |_| run(alice.command(&["schema"]), 0));
    let refused = measure(rounds, "a process with a wrong passphrase", |_| run(with(&wrong, &["status"]), 5));
    let alone = measure(rounds, "send, by a process that opens the profile", send);
    let derived = refused - nothing;
    println!("that is, beyond Argon2id, which takes {derived:7.1} ms {:15.1} ms", alone - derived);

    let mut daemon = Following::start(alice.command(&["--json", "daemon"]));
    let _ = daemon.lines.until(|line| line.contains("\"listening\""));
    let _ = send(rounds);
    let through = measure(rounds, "send, through a daemon", send);
    ExitCode::from(u8::from(through > THROUGH_DAEMON || alone - derived > BEYOND_ARGON))
}
