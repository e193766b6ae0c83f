//! `backup` and `restore`.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sealpost_relay::backup::{self, BackupError};
use sealpost_relay::config::Config;

use super::arguments::Options;
use super::failure::{ENVIRONMENT, Failure, RUNTIME};

/// Writes a backup of the relay, which may run.
pub(crate) fn backup(options: &Options, file: &Path) -> Result<(), Failure> {
    let data = Config::load(options.config.as_deref(), options)?.data;
    if file != Path::new("-") {
        return Ok(backup::backup(&data, file, progress("copied"))?);
    }
    let mut out = std::io::stdout();
    if out.is_terminal() {
        let cause = "a backup is no text";
        return Err(Failure::new(
            RUNTIME,
            "the backup was not written",
            cause,
            "sealpost-relay backup - > relay.backup",
        ));
    }
    Ok(backup::stream(&data, &std::env::temp_dir(), &mut out, progress("copied"))?)
}

/// Makes a relay of a backup.
pub(crate) fn restore(options: &Options, file: &Path) -> Result<(), Failure> {
    let data = Config::load(options.config.as_deref(), options)?.data;
    let from: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(|error| {
            let (error, cause) = (format!("{} can't be read", file.display()), error);
            Failure::new(ENVIRONMENT, &error, cause, "check the path")
        })?),
    };
    backup::restore(from, &data, progress("restored"))?;
    let mut err = std::io::stderr();
    let _ = writeln!(err, "{}: restored; sealpost-relay serve --data {}", data.display(), data.display());
    Ok(())
}

/// Says on a terminal how far it is, each second.
fn progress(word: &'static str) -> impl FnMut(u64, u64) {
    let mut said = Instant::now();
    move |done, all| {
        if said.elapsed() < Duration::from_secs(1) || all == 0 || !std::io::stderr().is_terminal() {
            return;
        }
        said = Instant::now();
        let percent = u128::from(done) * 100 / u128::from(all);
        let _ = writeln!(std::io::stderr(), "{percent:>3} % {word}");
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let refused = |exit, advice: &str, error: &BackupError| Failure::new(exit, "it was not done", error, advice);
        match error {
            BackupError::Folder(error) => error.into(),
            BackupError::Store(error) => error.into(),
            error @ BackupError::Exists(_) => refused(RUNTIME, "give another name: a backup replaces nothing", &error),
            error @ BackupError::Nothing(_) => refused(RUNTIME, "give the relay's folder with --data DIR", &error),
            error @ BackupError::NotEmpty(_) => refused(
                RUNTIME,
                "give an empty folder with --data DIR: a relay that is there is not overwritten",
                &error,
            ),
            error @ BackupError::Damaged(_) => {
                refused(RUNTIME, "take another backup; tar tvf FILE shows what it holds", &error)
            }
            error @ BackupError::Io { .. } => {
                refused(ENVIRONMENT, "check the folder's owner and the space on its disk", &error)
            }
        }
    }
}
