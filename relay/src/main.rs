//! `sealpost-relay`: what stands on the command line, and the room of [`program`] that does it.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use sealpost_relay::config::Log;

use program::arguments::{Cli, Command};
use program::failure::Failure;

mod program;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if !matches!(command, Command::Serve { .. }) {
        program::log::start(&Log::default());
    }
    let outcome = match command {
        Command::Serve { options, key, demo } => program::serve::serve(&options, key.as_deref(), demo),
        Command::Migrate { to, key, options } => program::migrate::migrate(to, key.as_deref(), &options),
        Command::Cluster(cluster) => program::cluster::cluster(&cluster),
        Command::Admin(admin) => program::admin::admin(&admin),
        Command::Drain(drain) => program::admin::drain(&drain),
        Command::Backup { file, options } => program::backup::backup(&options, &file),
        Command::Restore { file, options } => program::backup::restore(&options, &file),
        Command::WhatIKnow { options, json } => program::known::known(&options, json),
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
