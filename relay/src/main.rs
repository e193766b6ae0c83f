//! `sealpost-relay`: what stands on the command line, and the room of [`program`] that does it.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use program::arguments::{Cli, Command};
use program::failure::Failure;

mod program;

fn main() -> ExitCode {
    program::log::start();
    let outcome = match Cli::parse().command {
        Command::Serve { options, demo } => program::serve::serve(&options, demo),
        Command::Admin(admin) => program::admin::admin(&admin),
        Command::Address { options } => program::address::address(&options),
        Command::Init { file } => program::init::init(&file),
        Command::Check { options, json } => program::check::check(&options, json),
        Command::Completions { shell } => program::manual::completions(shell),
        Command::Man { folder } => program::manual::manual(folder.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, error, cause, advice }) => {
            let _ = writeln!(std::io::stderr(), "error: {error}\ncause: {cause}\ntry: {advice}");
            ExitCode::from(exit)
        }
    }
}
