//! `init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use sealpost_relay::config;

use super::failure::{ENVIRONMENT, Failure};
use super::say;

/// Writes the commented configuration where there is none yet.
pub(crate) fn init(file: &Path) -> Result<(), Failure> {
    if file == Path::new("-") {
        say(config::TEMPLATE);
        return Ok(());
    }
    let options = OpenOptions::new().write(true).create_new(true).open(file);
    let written = options.and_then(|mut file| file.write_all(config::TEMPLATE.as_bytes()));
    written.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AlreadyExists => "sealpost-relay init -    # prints it, to compare".to_owned(),
            _ => "sealpost-relay init ./relay.toml    # and serve with --config ./relay.toml".to_owned(),
        };
        Failure::new(ENVIRONMENT, &format!("{} can't be written", file.display()), error, advice)
    })?;
    let read = if file == Path::new(config::SYSTEM) { String::new() } else { format!(" --config {}", file.display()) };
    say(&format!("{}: edit it, then\n  sealpost-relay check{read}\n  sealpost-relay serve{read}\n", file.display()));
    Ok(())
}
