//! Runs everything that supports the claims about the cryptography, and prints claim by claim how it ended.
//!
//! ```text
//! cargo run -p sealpost-tests --bin evidence [-- --long] [WORD]
//! ```

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use sealpost_tests::evidence::{Outcome, ROWS};

/// Runs what supports the claims of spec/README.md, one after the other.
#[derive(Parser)]
struct Arguments {
    /// Also what takes hours or needs Verifpal, nightly Rust, cargo-fuzz and cargo-mutants.
    #[arg(long)]
    long: bool,
    /// Only prints the table of spec/README.md.
    #[arg(long)]
    table: bool,
    /// Only claims that contain this.
    word: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.table {
        print!("{}", sealpost_tests::evidence::table());
        return ExitCode::SUCCESS;
    }
    let (mut held, mut skipped, mut failed) = (0, 0, 0);
    for row in ROWS.iter().filter(|row| arguments.word.as_ref().is_none_or(|word| row.claim.contains(word))) {
        println!("{}\n  {}\n  {}", row.claim, row.evidence, row.place);
        for run in row.runs {
            let words = run.words().join(" ");
            let began = Instant::now();
            let (mark, said) = match run.run(arguments.long) {
                Outcome::Holds(said) => {
                    held += 1;
                    ("holds  ", said)
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    ("skipped", why)
                }
                Outcome::Fails(said) => {
                    failed += 1;
                    ("FAILS  ", said)
                }
            };
            let seconds = began.elapsed().as_secs();
            println!(
                "  {mark} {seconds:>5} s  {words}\n                   {}",
                said.replace('\n', "\n                   ")
            );
        }
    }
    println!("\n{held} hold, {skipped} skipped, {failed} fail");
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
