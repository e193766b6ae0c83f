//! The soak: a relay and hundreds of clients for as long as one likes, a line a minute. Ends with 1 where a promise was not kept.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sealpost_tests::soak::{Run, run};

#[derive(Parser)]
struct Arguments {
    /// So many people, each of them a process.
    #[arg(long, default_value_t = 300)]
    clients: usize,
    /// For so many minutes.
    #[arg(long, default_value_t = 100)]
    minutes: u64,
    /// So many things are done a second, by all people together.
    #[arg(long, default_value_t = 2.0)]
    pace: f64,
    /// The relay is killed, stopped or drained every so many seconds, in the first two thirds of the time.
    #[arg(long, default_value_t = 600)]
    restarts: u64,
    /// What happens follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { clients, minutes, pace, restarts, seed } = Arguments::parse();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, restarts) = (Duration::from_secs(60 * minutes), Duration::from_secs(restarts));
    let lines = Duration::from_secs(60);
    let report = run(folder.path(), Run { clients, time, pace, restarts, lines, seed }, &mut |line| println!("{line}"));
    println!("{report}");
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
