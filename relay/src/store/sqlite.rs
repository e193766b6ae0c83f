//! The store of a relay that stands alone: one SQLite file, written by one thread, read by several.
//!
//! What is under way together is committed together: the writer takes every batch that waits, applies them in one
//! transaction, and answers once it is synced (`journal_mode=WAL`, `synchronous=FULL`). A commit that fails ends the
//! store: Linux forgets the dirty pages of a failed sync, and a second attempt would succeed without having written
//! them.

mod reader;
mod writer;

use std::path::Path;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};
use sealpost_spec::mailbox::{Seq, StoreId};
use tokio::sync::{mpsc, oneshot, watch};

use super::bell::{Bells, lock};
use super::{Bell, CrashPoints, Entry, Fault, Key, Limit, Log, Rev, Store, Usage, Value, Watch, Write, Written};
use reader::Readers;

/// The schema, one step for each version of it; `user_version` counts the steps taken. A step never changes once it is
/// released.
const SCHEMA: &[M<'static>] = &[M::up(
    "CREATE TABLE store (
         id   BLOB NOT NULL,    -- 16 bytes, random
         rev  INTEGER NOT NULL  -- the highest revision that was given to a cell
     ) STRICT;
     CREATE TABLE log (
         id     INTEGER PRIMARY KEY,
         kind   TEXT NOT NULL,
         key    BLOB NOT NULL,
         count  INTEGER NOT NULL,  -- entries, and their bytes
         bytes  INTEGER NOT NULL,
         UNIQUE (kind, key)
     ) STRICT;
     CREATE TABLE entry (
         seq    INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
         log    INTEGER NOT NULL REFERENCES log (id),
         id     BLOB NOT NULL,
         bytes  BLOB NOT NULL,
         UNIQUE (log, id)
     ) STRICT;
     CREATE INDEX entry_of_log ON entry (log, seq);
     CREATE TABLE trimmed (
         log  INTEGER NOT NULL REFERENCES log (id),
         id   BLOB NOT NULL,
         seq  INTEGER NOT NULL,
         at   INTEGER NOT NULL,  -- Unix time in seconds
         PRIMARY KEY (log, id)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX trimmed_at ON trimmed (at);
     CREATE TABLE cell (
         tbl    TEXT NOT NULL,
         key    BLOB NOT NULL,
         rev    INTEGER NOT NULL,
         value  BLOB NOT NULL,
         UNIQUE (tbl, key)
     ) STRICT;
     CREATE TABLE part (
         blob   BLOB NOT NULL,
         start  INTEGER NOT NULL,
         bytes  BLOB NOT NULL,
         UNIQUE (blob, start)
     ) STRICT;",
)];

/// Most batches that wait for the writer: more wait with whoever brings them.
const QUEUE: usize = 1024;

/// How long a write waits for somebody else who has the file open, before it fails alone.
const BUSY: Duration = Duration::from_secs(1);

/// Threads that read: reads come out of the page cache, and two keep up with one writer.
const READERS: usize = 2;

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of the relay has written it.
    #[error("the data was written by a newer version of sealpost-relay")]
    Newer,
    /// SQLite's own words.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The schema could not be brought up to date.
    #[error("{0}")]
    Schema(String),
    /// The operating system's own words.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A store in one file.
pub struct Sqlite {
    id: StoreId,
    bells: Bells,
    queue: Option<mpsc::Sender<writer::Job>>,
    readers: Readers,
    stopped: watch::Receiver<bool>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Sqlite {
    /// Opens the store in this file, or makes it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        Self::crashing(file, CrashPoints::none())
    }

    /// The same, crashing at these points.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn crashing(file: &Path, crash: CrashPoints) -> Result<Self, OpenError> {
        private(file)?;
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // What is removed is overwritten where that costs no further page.
        connection.pragma_update(None, "secure_delete", "FAST")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        // No file is opened later on, when links may have taken them all.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        connection.set_prepared_statement_cache_capacity(64);
        migrate(&mut connection)?;
        // A new file, and the log beside it, are durable only with their folder.
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::File::open(folder)?.sync_all()?;
        }
        let id: Vec<u8> = connection.query_row("SELECT id FROM store", [], |row| row.get(0))?;
        let id = id.try_into().map_err(|_| OpenError::Schema("the store's id is damaged".to_owned()))?;
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok::<_, rusqlite::Error>(connection)
        };
        let readers = Readers::start((0..READERS).map(|_| open()).collect::<Result<_, _>>()?)?;
        let bells = Bells::default();
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let writer = writer::Writer::new(connection, bells.clone(), crash, stop)?;
        let writer = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run(jobs))?;
        Ok(Self { id: StoreId(id), bells, queue: Some(queue), readers, stopped, writer: Mutex::new(Some(writer)) })
    }

    /// Resolves when the store has stopped because a commit failed: nothing is accepted any more.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stopped.clone();
        async move {
            // An error says that the writer is gone, which is the same.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        if *self.stopped.borrow() {
            return Err(Fault::Stopped);
        }
        self.readers.run(query).await
    }
}

impl Drop for Sqlite {
    /// Waits for what is under way, so that the file can be opened again at once.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = lock(&self.writer).take() {
            // It panicked: that was logged, and nothing can be done here.
            let _ = writer.join();
        }
    }
}

/// Makes the file with mode 0600; SQLite gives the files beside it the same mode.
fn private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    use rusqlite_migration::{Error, MigrationDefinitionError};
    match Migrations::from_slice(SCHEMA).to_latest(connection) {
        Ok(()) => {}
        Err(Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead)) => return Err(OpenError::Newer),
        Err(other) => return Err(OpenError::Schema(other.to_string())),
    }
    let known: Option<i64> = connection.query_row("SELECT 1 FROM store", [], |row| row.get(0)).optional()?;
    if known.is_none() {
        // [STORE-10]
        let id: [u8; 16] = rand::random();
        connection.execute("INSERT INTO store (id, rev) VALUES (?1, 0)", params![id])?;
    }
    Ok(())
}

/// SQLite's integers end earlier than ours; nothing is ever numbered beyond them.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(sql: i64) -> u64 {
    u64::try_from(sql).unwrap_or_default()
}

const FROM: &str = "SELECT key, rev, value FROM cell WHERE tbl = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";
const AFTER: &str = "SELECT key, rev, value FROM cell WHERE tbl = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4";
const COUNT: &str = "SELECT count(*) FROM cell WHERE tbl = ?1 AND key >= ?2 AND key < ?3";

/// A bound above every key that begins with `prefix`, and below every later one. Keys have at most 128 bytes.
fn beyond(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|byte| *byte != 0xff) else { return vec![0xff; 256] };
    let mut end = prefix.get(..=last).unwrap_or_default().to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    end
}

impl Store for Sqlite {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Written>, Fault> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(Fault::Stopped)?;
        queue.send(writer::Job { batch, answer }).await.map_err(|_| Fault::Stopped)?;
        answered.await.map_err(|_| Fault::Stopped)?
    }

    async fn read(&self, log: &Log, after: Seq, limit: Limit) -> Result<Vec<Entry>, Fault> {
        let log = log.clone();
        self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT seq, id, bytes FROM entry
                 WHERE log = (SELECT id FROM log WHERE kind = ?1 AND key = ?2) AND seq > ?3 ORDER BY seq LIMIT ?4",
            )?;
            let mut rows = query.query(params![log.kind, log.key, sql(after.0), sql(limit.count.max(1) as u64)])?;
            let mut entries = Vec::new();
            let mut read = 0;
            while let Some(row) = rows.next()? {
                let bytes = row.get_ref(2)?.as_blob()?;
                read += bytes.len();
                if read > limit.bytes && !entries.is_empty() {
                    break;
                }
                entries.push(Entry { seq: Seq(number(row.get(0)?)), id: row.get(1)?, bytes: bytes.to_vec() });
            }
            Ok(entries)
        })
        .await
    }

    async fn usage(&self, log: &Log) -> Result<Usage, Fault> {
        let log = log.clone();
        self.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT count, bytes FROM log WHERE kind = ?1 AND key = ?2")?;
            let usage = query.query_row(params![log.kind, log.key], |row| {
                Ok(Usage { count: number(row.get(0)?), bytes: number(row.get(1)?) })
            });
            Ok(usage.optional()?.unwrap_or_default())
        })
        .await
    }

    async fn total(&self, kind: &'static str) -> Result<Usage, Fault> {
        self.read(move |connection| {
            const TOTAL: &str = "SELECT coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM log WHERE kind = ?1";
            let mut query = connection.prepare_cached(TOTAL)?;
            query.query_row([kind], |row| Ok(Usage { count: number(row.get(0)?), bytes: number(row.get(1)?) }))
        })
        .await
    }

    fn watch(&self, log: &Log, bell: &Bell, tag: u32) -> Watch {
        self.bells.watch(log, bell, tag)
    }

    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Value>>, Fault> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT rev, value FROM cell WHERE tbl = ?1 AND key = ?2")?;
            let mut value = |key: &Key| {
                query
                    .query_row(params![key.table, key.key], |row| {
                        Ok(Value { rev: Rev(number(row.get(0)?)), bytes: row.get(1)? })
                    })
                    .optional()
            };
            keys.iter().map(&mut value).collect()
        })
        .await
    }

    async fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Value)>, Fault> {
        let end = beyond(prefix);
        let (query, from) = match after {
            Some(after) if after >= prefix => (AFTER, after.to_vec()),
            _ => (FROM, prefix.to_vec()),
        };
        self.read(move |connection| {
            let mut query = connection.prepare_cached(query)?;
            let rows = query.query_map(params![table, from, end, sql(limit as u64)], |row| {
                Ok((row.get(0)?, Value { rev: Rev(number(row.get(1)?)), bytes: row.get(2)? }))
            })?;
            rows.collect()
        })
        .await
    }

    async fn count(&self, table: &'static str, prefix: &[u8]) -> Result<u64, Fault> {
        let (from, end) = (prefix.to_vec(), beyond(prefix));
        self.read(move |connection| {
            let mut query = connection.prepare_cached(COUNT)?;
            query.query_row(params![table, from, end], |row| Ok(number(row.get(0)?)))
        })
        .await
    }

    async fn part(&self, blob: [u8; 16], offset: u64) -> Result<Option<Vec<u8>>, Fault> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT bytes FROM part WHERE blob = ?1 AND start = ?2")?;
            query.query_row(params![blob, sql(offset)], |row| row.get(0)).optional()
        })
        .await
    }
}

#[cfg(test)]
mod tests;
