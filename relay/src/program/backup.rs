//! `backup` and `restore`.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sealpost_relay::backup::{self, BackupError};
use sealpost_relay::config::Config;
use sealpost_relay::folder::{Folder, read_key};
use sealpost_relay::migrate::{Copied, copy};
use sealpost_relay::shared;
use sealpost_relay::store::jetstream::Settings;
use sealpost_relay::store::sqlite::OpenError;
use sealpost_relay::store::{JetStream, Sqlite};

use super::arguments::Options;
use super::cluster;
use super::failure::{CONFIGURATION, ENVIRONMENT, Failure, RUNTIME};
use super::migrate::failed;

/// Writes a backup of the relay, which may run.
pub(crate) fn backup(options: &Options, file: &Path) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    let Some(settings) = cluster::settings(&config)? else { return written(&config.data, file) };
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(file.to_owned()).into());
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        // The folder of "-" is nobody's.
        _ if file == Path::new("-") => std::env::temp_dir(),
        _ => Path::new(".").to_owned(),
    };
    let work = tempfile::Builder::new().prefix(".sealpost-backup-").tempdir_in(&folder).map_err(|error| {
        let wrong = format!("nothing can be written into {}", folder.display());
        Failure::new(ENVIRONMENT, &wrong, error, "check the folder's owner and the space on its disk")
    })?;
    let alone = work.path().join("relay");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(ENVIRONMENT, "the backup was not written", error, "allow the process more threads")
    })?;
    runtime.block_on(gathered(&settings, &config.data, &alone))?;
    written(&alone, file)
}

/// Makes a relay that stands alone of what a cluster holds. Relays may serve it meanwhile: what they had accepted before is in
/// it, as entries are read before the rows that name them; what comes later may be, and may lack what belongs to it.
async fn gathered(settings: &Settings, data: &Path, into: &Path) -> Result<(), Failure> {
    let nothing = |cause: String| {
        let advice = "give the data folder of one of the cluster's relays with --data DIR";
        Failure::new(CONFIGURATION, "the backup was not written", cause, advice)
    };
    let key = read_key(data)?.ok_or_else(|| nothing(format!("there is no relay.key in {}", data.display())))?;
    let store = JetStream::open(settings).await?;
    if shared::key(&store).await.map_err(|fault| failed(fault.into()))? != Some(key.public()) {
        return Err(nothing("the relays of this cluster have another key".to_owned()));
    }
    let folder = Folder::open(into)?;
    folder.keep_key(&key)?;
    let alone = Sqlite::open(&folder.store())?;
    let said = std::cell::Cell::new(Instant::now());
    let told = |Copied { values, entries, parts }: Copied| {
        if said.get().elapsed() >= SAID && std::io::stderr().is_terminal() {
            said.set(Instant::now());
            let _ = writeln!(std::io::stderr(), "{entries} messages, {parts} parts of files, {values} rows read");
        }
    };
    copy(&store, &alone, told).await.map_err(failed)?;
    Ok(())
}

/// Writes a backup of the relay in this folder.
fn written(data: &Path, file: &Path) -> Result<(), Failure> {
    if file != Path::new("-") {
        return Ok(backup::backup(data, file, progress("copied"))?);
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
    Ok(backup::stream(data, &std::env::temp_dir(), &mut out, progress("copied"))?)
}

/// Makes a relay of a backup.
pub(crate) fn restore(options: &Options, file: &Path) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    let (data, alone) = (&config.data, config.cluster.servers()?.is_empty());
    let from: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(|error| {
            let (error, cause) = (format!("{} can't be read", file.display()), error);
            Failure::new(ENVIRONMENT, &error, cause, "check the path")
        })?),
    };
    backup::restore(from, data, progress("restored"))?;
    let mut err = std::io::stderr();
    // Into a cluster it goes from there.
    let next = if alone { "serve" } else { "migrate cluster" };
    let _ = writeln!(err, "{}: restored; sealpost-relay {next} --data {}", data.display(), data.display());
    Ok(())
}

/// Between two words about how far it is.
const SAID: Duration = Duration::from_secs(1);

/// Says on a terminal how far it is, each second.
fn progress(word: &'static str) -> impl FnMut(u64, u64) {
    let mut said = Instant::now();
    move |done, all| {
        if said.elapsed() < SAID || all == 0 || !std::io::stderr().is_terminal() {
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
            BackupError::Segments(error) => OpenError::from(error).into(),
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
