//! `man` and `completions`: both follow from the command line's own description.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Cli;
use super::failure::{ENVIRONMENT, Failure};
use super::say;

/// Prints what a shell needs to complete commands.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sealpost-relay", &mut script);
    say(&String::from_utf8_lossy(&script));
    Ok(())
}

/// The manual: one page on stdout, or a page for each command in a folder.
pub(crate) fn manual(folder: Option<&Path>) -> Result<(), Failure> {
    let written = match folder {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder),
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            say(&String::from_utf8_lossy(&page));
            rendered
        }
    };
    written.map_err(|error| {
        Failure::new(ENVIRONMENT, "the manual can't be written", error, "give a folder that is there and writable")
    })
}
