//! A relay that lies, and real people's clients before it.
//!
//! ```text
//! cargo run --locked -p sealpost-tests -- tour [WORD]
//! cargo run --locked -p sealpost-tests -- mallory
//! ```

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What the tests show to people.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays Mallory's attacks on real clients, one after the other, and prints what the people saw
    Tour {
        /// Only scenes whose title contains this, or that try this id of spec/threats.md
        word: Option<String>,
    },
    /// Is Mallory: a relay that lies as it is told on standard input, a line each (tests/mallory/orders.rs)
    Mallory,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Tour { word } => sealpost_tests::tour::play(word.as_deref().unwrap_or_default()),
        Command::Mallory => {
            sealpost_tests::mallory::relay::run();
            ExitCode::SUCCESS
        }
    }
}
