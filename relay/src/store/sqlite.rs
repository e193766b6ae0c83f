//! The store of a relay that stands alone: one SQLite file for tables and rooms, segments beside it for mailboxes
//! (`segments`), and a file for each blob; written by one thread, read by several.
//!
//! What is under way together is committed together: the writer takes every batch that waits, applies them in one
//! group of a segment, one transaction, or both, and answers once that is synced (`journal_mode=WAL`, `synchronous=FULL`).
//! A commit that fails ends the store: Linux forgets the dirty pages of a failed sync, and a second attempt would succeed
//! without having written them.
//!
//! In front of the files stand the logs' index, what was offered and is not written yet (`front`, `logs`), and the
//! values that are asked for most (`cells`): so what is said between two people who are both there reads and writes
//! nothing here. Nobody else may write to the files meanwhile.

pub(crate) mod blobs;
mod cells;
mod checkpoint;
mod commit;
pub mod copy;
mod front;
mod logs;
mod moved;
mod patience;
mod reader;
mod schema;
mod trimmed;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use sealpost_spec::mailbox::{Seq, StoreId};
use tokio::sync::watch;

use super::bell::lock;
use super::segments::{self, Files, Item, Journal, Place, SEGMENT, SegmentError, Unread};
use super::{
    Append, Bell, CrashPoints, DUPLICATE_WINDOW, Entry, Fault, Key, Limit, Log, Rev, Store, Usage, Value, Watch, Write,
    Written,
};
use blobs::Blobs;
use cells::Cells;
use checkpoint::{CHECKPOINT, Checkpointer};
use front::{Front, SEQS, seconds};
use logs::{Found, Loading, Logs};
use patience::Patience;
use reader::Readers;
use trimmed::Kept;
use writer::Writer;

/// The kind of logs that stand in segments: those that are emptied again and again.
const MAILBOX: &str = "mailbox";
/// So often a read looks again where an entry is that was moved meanwhile.
const LOOKS: usize = 100;

/// Bytes of a page of a new file.
const PAGE: i64 = 8192;
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
    /// Too little for the copy that is made before an older version's data is changed.
    #[error("a new version of the data needs {needed} MiB beside it for a while, and {free} MiB are free")]
    Space {
        /// Mebibytes.
        needed: u64,
        /// Mebibytes.
        free: u64,
    },
    /// What waits in mailboxes can't be read.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The operating system's own words.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A store in one file, and in the folders beside it.
pub struct Sqlite {
    id: StoreId,
    front: Arc<Front>,
    files: Arc<Files>,
    cells: Arc<Cells>,
    readers: Readers,
    blobs: Blobs,
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
        Self::patient(file, crash, Patience::default())
    }

    fn patient(file: &Path, crash: CrashPoints, patience: Patience) -> Result<Self, OpenError> {
        Self::divided(file, crash, patience, SEGMENT)
    }

    /// `segment`: bytes after which the next segment is begun.
    fn divided(file: &Path, crash: CrashPoints, patience: Patience, segment: u64) -> Result<Self, OpenError> {
        private(file)?;
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        // Counts for a new file.
        connection.pragma_update(None, "page_size", PAGE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // What is removed is overwritten where that costs no further page.
        connection.pragma_update(None, "secure_delete", "FAST")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        // No file is opened later on, when links may have taken them all.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "journal_size_limit", 2 * CHECKPOINT as i64)?;
        // By a thread of its own.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection, file)?;
        // A new file, and the log beside it, are durable only with their folder.
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::File::open(folder)?.sync_all()?;
        }
        let id = connection.query_row("SELECT id FROM store", [], |row| row.get(0))?;
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok::<_, rusqlite::Error>(connection)
        };
        let readers = Readers::start((0..READERS).map(|_| open()).collect::<Result<_, _>>()?)?;
        let (logs, journal, tables) = load(&connection, &segments::folder(file), segment)?;
        let files = journal.files();
        let front = Front::new(logs, patience);
        let cells = Arc::new(Cells::default());
        let (stop, stopped) = watch::channel(false);
        let rev = connection.query_row("SELECT rev FROM store", [], |row| row.get(0)).map(number)?;
        let beside = Connection::open(file)?;
        beside.busy_timeout(BUSY)?;
        beside.pragma_update(None, "synchronous", "FULL")?;
        let writer = Writer {
            connection,
            journal,
            tables,
            cleaning: None,
            stuck: false,
            checkpointer: Checkpointer::start(beside)?,
            front: Arc::clone(&front),
            cells: Arc::clone(&cells),
            crash,
            stop,
            rev,
            commits: 0,
            forgot: None,
            forgotten: 0,
        };
        let writer = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run())?;
        let blobs = Blobs::start(file)?;
        Ok(Self { id: StoreId(id), front, files, cells, readers, blobs, stopped, writer: Mutex::new(Some(writer)) })
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
        self.alive()?;
        self.readers.run(query).await
    }

    fn alive(&self) -> Result<(), Fault> {
        if *self.stopped.borrow() { Err(Fault::Stopped) } else { Ok(()) }
    }
}

impl Drop for Sqlite {
    /// Writes what is held and waits for it, so that the file can be opened again at once.
    fn drop(&mut self) {
        self.front.close();
        if let Some(writer) = lock(&self.writer).take() {
            // It panicked: that was logged, and nothing can be done here.
            let _ = writer.join();
        }
    }
}

/// The index of all logs, out of the narrow tables and the segments; with the segments, and how many commits of the tables
/// belong to groups of them.
fn load(connection: &Connection, folder: &Path, segment: u64) -> Result<(Logs, Journal, u64), OpenError> {
    let mut loading = Loading::default();
    let mut kinds: Vec<&'static str> = Vec::new();
    let mut query = connection.prepare("SELECT id, kind, key FROM log")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let kind = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let kind = match kinds.iter().find(|known| **known == kind) {
            Some(known) => known,
            None => {
                // There are two or three kinds, and they last as long as the process.
                kinds.push(Box::leak(kind.to_owned().into_boxed_str()));
                kinds[kinds.len() - 1]
            }
        };
        loading.log(Log { kind, key: row.get(2)? }, row.get(0)?);
    }
    let mut query = connection.prepare("SELECT seq, log, id, size FROM place ORDER BY seq")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        loading.entry(row.get(1)?, number(row.get(0)?), row.get(2)?, row.get(3)?, None);
    }
    let mut query = connection.prepare("SELECT number, at, log, id, seq FROM trimmed ORDER BY number")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (at, seq, kept) = (number(row.get(1)?), number(row.get(4)?), Kept::Row(number(row.get(0)?)));
        loading.gone(at, row.get(2)?, row.get(3)?, seq, kept);
    }
    let (next, tables, series) = connection.query_row("SELECT seq, groups, series FROM store", [], |row| {
        Ok((number(row.get(0)?).max(1), number(row.get(1)?), row.get(2)?))
    })?;
    let late = seconds().saturating_sub(2 * DUPLICATE_WINDOW.as_secs());
    let journal = segments::open(folder, series, tables, segment, |segment, listing| {
        let logs: Vec<i64> = listing.names().iter().map(|key| loading.mailbox(MAILBOX, key)).collect();
        let log = |name: u32| logs.get(name as usize).copied().unwrap_or_default();
        for item in listing.items() {
            match item {
                Item::Entry { name, seq, id, offset, size } => {
                    let place = Place { segment, offset: *offset };
                    loading.entry(log(*name), *seq, *id, *size, Some(place));
                }
                Item::Trim { name, through, at, gone } => {
                    loading.trim(log(*name), *through);
                    let gone = gone.iter().filter(|_| *at >= late);
                    gone.for_each(|(id, seq)| loading.gone(*at, log(*name), *id, *seq, Kept::Segment(segment)));
                }
            }
        }
    })?;
    if loading.highest() >= next {
        return Err(SegmentError::Older(folder.to_owned()).into());
    }
    let reserved = match connection.execute("UPDATE store SET seq = ?1", [sql(next + SEQS)]) {
        Ok(_) => next + SEQS,
        // What is there is read and given out all the same.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => next,
        Err(error) => return Err(error.into()),
    };
    Ok((loading.done(next, reserved), journal, tables))
}

/// Makes the file with mode 0600; SQLite gives the files beside it the same mode.
fn private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

/// What was found, with what of it is on the disk; without what was trimmed meanwhile.
fn entries(connection: &Connection, found: Vec<Found>) -> rusqlite::Result<Vec<Entry>> {
    // One look at the file for all of them.
    let look = connection.unchecked_transaction()?;
    let mut query = look.prepare_cached("SELECT bytes FROM entry WHERE seq = ?1")?;
    let mut entries = Vec::with_capacity(found.len());
    for mut found in found {
        if found.bytes.is_none() {
            let stored = query.query_row([sql(found.seq)], |row| row.get::<_, Vec<u8>>(0));
            found.bytes = stored.optional()?.map(Bytes::from);
        }
        entries.extend(found.entry());
    }
    Ok(entries)
}

/// Seqs and places of entries that are not what was written.
type Altered = Vec<(u64, Place)>;

/// The same of a log that stands in segments. An entry that stands somewhere else by now is left out.
fn placed(files: &Files, log: &Log, found: Vec<Found>) -> Result<(Vec<Entry>, Altered), Fault> {
    let (mut entries, mut altered) = (Vec::with_capacity(found.len()), Vec::new());
    for mut found in found {
        if found.bytes.is_none() {
            let place = found.place.ok_or(Fault::Damaged("an envelope"))?;
            match files.read(place, &log.key, found.seq, found.size) {
                Ok(bytes) => found.bytes = bytes,
                Err(Unread::Altered) => altered.push((found.seq, place)),
                Err(Unread::Failed(fault)) => return Err(fault),
            }
        }
        entries.extend(found.entry());
    }
    Ok((entries, altered))
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
        self.front.write(batch).await
    }

    async fn offer(&self, append: Append) -> Result<Written, Fault> {
        self.front.offer(append).await
    }

    async fn read(&self, log: &Log, after: Seq, limit: Limit) -> Result<Vec<Entry>, Fault> {
        for _ in 0..LOOKS {
            let found = self.front.logs(|logs| logs.read(log, after, limit))?;
            if found.iter().all(|found| found.bytes.is_some()) {
                return Ok(found.into_iter().filter_map(Found::entry).collect());
            }
            let many = found.len();
            let entries = if log.kind == MAILBOX {
                let (files, name) = (Arc::clone(&self.files), log.clone());
                let (entries, altered) = self.read(move |_| Ok(placed(&files, &name, found))).await??;
                altered.into_iter().try_for_each(|(seq, place)| self.front.lost(log, seq, place))?;
                entries
            } else {
                self.read(move |connection| entries(connection, found)).await?
            };
            // Fewer: some were trimmed or moved since we looked where they are, or are damaged and left out from now on, and
            // there may be others behind them.
            if entries.len() == many {
                return Ok(entries);
            }
        }
        Err(Fault::Contended("a log"))
    }

    async fn usage(&self, log: &Log) -> Result<Usage, Fault> {
        self.front.logs(|logs| logs.usage(log))
    }

    async fn total(&self, kind: &'static str) -> Result<Usage, Fault> {
        self.front.logs(|logs| logs.total(kind))
    }

    fn watch(&self, log: &Log, bell: &Bell, tag: u8) -> Watch {
        self.front.bells.watch(log, bell, tag)
    }

    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Value>>, Fault> {
        self.alive()?;
        let before = match self.cells.values(&keys) {
            Ok(values) => return Ok(values),
            Err(before) => before,
        };
        let (keys, values) = self
            .read(move |connection| {
                let mut query = connection.prepare_cached("SELECT rev, value FROM cell WHERE tbl = ?1 AND key = ?2")?;
                let mut value = |key: &Key| {
                    let found = query.query_row(params![key.table, key.key], |row| {
                        Ok(Value { rev: Rev(number(row.get(0)?)), bytes: row.get::<_, Vec<u8>>(1)?.into() })
                    });
                    found.optional()
                };
                let values = keys.iter().map(&mut value).collect::<rusqlite::Result<Vec<_>>>()?;
                Ok((keys, values))
            })
            .await?;
        self.cells.keep(before, &keys, &values);
        Ok(values)
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
                let bytes = row.get::<_, Vec<u8>>(2)?.into();
                Ok((row.get(0)?, Value { rev: Rev(number(row.get(1)?)), bytes }))
            })?;
            rows.collect()
        })
        .await
    }

    async fn count(&self, table: &'static str, prefix: &[u8]) -> Result<u64, Fault> {
        self.alive()?;
        let prefix = Key { table, key: prefix.to_vec() };
        let before = match self.cells.count(&prefix) {
            Ok(count) => return Ok(count),
            Err(before) => before,
        };
        let (from, end) = (prefix.key.clone(), beyond(&prefix.key));
        let count = self
            .read(move |connection| {
                let mut query = connection.prepare_cached(COUNT)?;
                query.query_row(params![table, from, end], |row| Ok(number(row.get(0)?)))
            })
            .await?;
        self.cells.keep_count(before, prefix, count);
        Ok(count)
    }

    async fn put_part(&self, blob: [u8; 16], number: u32, bytes: Bytes) -> Result<u32, Fault> {
        self.alive()?;
        self.blobs.put(blob, number, bytes).await
    }

    async fn parts(&self, blob: [u8; 16]) -> Result<u32, Fault> {
        self.alive()?;
        self.blobs.count(blob).await
    }

    async fn part(&self, blob: [u8; 16], number: u32) -> Result<Option<Bytes>, Fault> {
        self.alive()?;
        self.blobs.part(blob, number).await
    }

    async fn delete_blob(&self, blob: [u8; 16]) -> Result<(), Fault> {
        self.alive()?;
        self.blobs.delete(blob).await
    }

    fn free(&self) -> u64 {
        self.blobs.free()
    }
}

#[cfg(test)]
mod tests;
