//! `migrate`.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use sealpost_relay::config::Config;
use sealpost_relay::folder::Folder;
use sealpost_relay::migrate::{Copied, MigrateError, copy};
use sealpost_relay::store::Sqlite;
use sealpost_relay::store::jetstream;

use super::arguments::{Home, Options};
use super::failure::{CONFIGURATION, ENVIRONMENT, Failure, RUNTIME};
use super::{cluster, say};

/// Between two words about how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

/// Moves a store.
pub(crate) fn migrate(to: Home, key: Option<&Path>, options: &Options) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    let Some(settings) = cluster::settings(&config)? else {
        let advice = "name its servers: --cluster nats://a,b,c, or cluster.servers in the configuration";
        return Err(Failure::new(CONFIGURATION, "there is no cluster", "the configuration names no servers", advice));
    };
    let given = key.map(cluster::given_key).transpose()?;
    // No relay runs in it from now on.
    let folder = Folder::open(&config.data)?;
    if to == Home::Cluster && !folder.store().is_file() {
        let cause = format!("there is no store in {}", config.data.display());
        return Err(Failure::new(
            RUNTIME,
            "nothing was copied",
            cause,
            "give the data folder of a relay with --data DIR",
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::new(ENVIRONMENT, "nothing was copied", error, "allow the process more threads"))?;
    let copied = runtime.block_on(async {
        let (_, relays) = jetstream::look(&settings).await?;
        if !relays.is_empty() {
            let cause = format!("{} of the cluster's relays were there within the last minute", relays.len());
            return Err(Failure::new(RUNTIME, "nothing was copied", cause, "stop them, and wait for a minute"));
        }
        let (shared, _) = cluster::join(&settings, &folder, given).await?;
        let alone = Sqlite::open(&folder.store())?;
        let said = Cell::new(Instant::now());
        let told = |copied: Copied| {
            if said.get().elapsed() >= PROGRESS && std::io::stderr().is_terminal() {
                said.set(Instant::now());
                let Copied { values, entries, parts } = copied;
                let _ = write!(std::io::stderr(), "\r{entries} messages, {parts} parts of files, {values} rows");
            }
        };
        let copied = match to {
            Home::Cluster => copy(&alone, &shared, told).await,
            Home::Folder => copy(&shared, &alone, told).await,
        };
        copied.map_err(failed)
    })?;
    let Copied { values, entries, parts } = copied;
    say(&format!("copied: {entries} messages, {parts} parts of files, {values} rows\n"));
    Ok(())
}

pub(super) fn failed(error: MigrateError) -> Failure {
    let advice = match &error {
        MigrateError::NotEmpty => "name an empty data folder, or a cluster.prefix that nobody uses yet",
        MigrateError::Fault(_) => "look at the disk and at sealpost-relay cluster status; the same command goes on",
    };
    Failure::new(RUNTIME, "not all was copied", error, advice)
}
