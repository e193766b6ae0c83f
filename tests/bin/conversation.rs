//! The long conversation of two people over a relay that dies, and the search through what that relay had.
//!
//! ```text
//! cargo run -p sealpost-tests --bin conversation -- [--lines 1000] [--keep FOLDER]
//! cargo run -p sealpost-tests --bin conversation -- inspect --relay FOLDER --log FILE --core FILE --lines FILE NAME...
//! ```

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sealpost_tests::conversation::hold;
use sealpost_tests::inspect::{Taken, inspect};

/// Holds a conversation of real lines between two real clients, with kill -9 in between, and compares what both have.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Lines that each of the two says.
    #[arg(long, default_value_t = 1_000)]
    lines: usize,
    /// Leaves everything in this folder, which must not exist yet.
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Searches what a relay had for lines and senders.
    Inspect {
        /// The relay's data folder, with its TLS key.
        #[arg(long)]
        relay: PathBuf,
        /// The relay's log.
        #[arg(long)]
        log: PathBuf,
        /// An image of its memory: `gcore`, or what the conversation left as taken.core.
        #[arg(long)]
        core: Option<PathBuf>,
        /// One line of the conversation per line.
        #[arg(long)]
        lines: PathBuf,
        /// Names of people who wrote.
        names: Vec<String>,
    },
}

fn main() -> std::process::ExitCode {
    let Arguments { command, lines, keep } = Arguments::parse();
    let sound = match command {
        Some(Command::Inspect { relay, log, core, lines, names }) => {
            let said = std::fs::read_to_string(&lines).unwrap_or_else(|error| panic!("{}: {error}", lines.display()));
            let said: Vec<String> = said.lines().map(str::to_owned).collect();
            let taken = Taken::from(&relay, &log, core.as_deref()).unwrap_or_else(|error| panic!("{error}"));
            let senders: Vec<_> =
                names.iter().map(|name| (format!("the name {name}"), name.as_bytes().to_vec())).collect();
            let findings = inspect(&taken, &said, &senders);
            println!("{findings}");
            findings.opened.is_empty() && findings.linked.is_empty()
        }
        None => {
            let temporary = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
            let folder = keep.unwrap_or_else(|| temporary.path().to_owned());
            std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let report = hold(&folder, lines, Duration::from_secs(3_600));
            println!("{report}");
            report.findings.is_none_or(|findings| findings.opened.is_empty() && findings.linked.is_empty())
        }
    };
    if sound { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
