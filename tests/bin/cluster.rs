//! The long run of a cluster: people talk over three relays and three NATS servers while one of the six is killed every so
//! often. Ends with 1 where something that was said is lost, doubled or out of order.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sealpost_tests::cluster::{Run, run};

#[derive(Parser)]
struct Arguments {
    /// So many people write to so many others.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// For so many minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// A server or a relay is killed every so many seconds, and is away for half of that.
    #[arg(long, default_value_t = 20)]
    every: u64,
    /// What is killed follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two lines of one person.
    #[arg(long, default_value_t = 1)]
    pace: u64,
}

fn main() -> ExitCode {
    let Arguments { pairs, minutes, every, seed, pace } = Arguments::parse();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, every) = (Duration::from_secs(60 * minutes), Duration::from_secs(every));
    let pace = Duration::from_secs(pace);
    match run(folder.path(), Run { pairs, time, every, seed, pace }) {
        Some(report) => {
            println!("{report}");
            if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        None => {
            eprintln!(
                "error: there is no NATS server\ncause: it is not in the target folder\ntry: tests/cluster/prepare"
            );
            ExitCode::FAILURE
        }
    }
}
