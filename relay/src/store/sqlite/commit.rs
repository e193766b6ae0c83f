//! One commit: what it puts into the segments and the tables, and how it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use sealpost_spec::mailbox::Seq;

use super::cells::{Cells, Change};
use super::front::Front;
use super::logs::{Logs, Row};
use super::{MAILBOX, PAGE, sql};
use crate::store::segments::{Cleaning, Failed, Gone, Item, Journal, Number, Place, Unread};
use crate::store::{Append, CrashPoint, CrashPoints, Key, Log, Rev, Value, Write, Written};

/// What a disk or SQLite says of a failure.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Tables(#[from] rusqlite::Error),
    #[error(transparent)]
    Segments(#[from] std::io::Error),
}

/// How a commit ended where it did not succeed.
pub(super) enum End {
    /// This group failed, and nothing of it was written.
    Group(Cause),
    /// What is on the disk is not known any more.
    Store(Cause),
    /// A test's crash point.
    Crash,
}

impl From<Failed> for End {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Full(error) => Self::Group(error.into()),
            Failed::Unknown(error) => Self::Store(error.into()),
        }
    }
}

/// What a commit changes in the logs, in order.
pub(super) enum Step {
    /// An entry, with its place once it is known; none in the tables.
    Stored(Arc<Log>, u64, Bytes, Option<Place>),
    /// A trim, and in which segment it stands; none in the tables.
    Passed(Log, u64, Option<Number>),
    /// An entry that stands somewhere else now.
    Moved(Log, u64, Place),
    /// Ids that stand somewhere else now.
    Remembered(Log, Vec<Gone>, Number),
}

impl Step {
    pub(super) fn stored(row: &Row) -> Self {
        Self::Stored(Arc::clone(&row.log), row.seq, row.bytes.clone(), None)
    }
}

/// A commit under way.
pub(super) struct Commit<'a, 'c> {
    pub(super) connection: &'c Connection,
    /// Begun with the first thing that goes into the tables.
    pub(super) transaction: Option<Transaction<'c>>,
    pub(super) journal: &'a mut Journal,
    pub(super) front: &'a Front,
    pub(super) steps: &'a mut Vec<Step>,
    pub(super) rev: u64,
    /// The row in which the next trimmed entry is remembered.
    pub(super) trimmed: u64,
    pub(super) now: u64,
    /// Logs that get their row.
    pub(super) made: HashSet<i64>,
    /// How far logs are trimmed already.
    pub(super) passed: HashMap<Log, u64>,
    pub(super) changes: Vec<Change>,
    /// Bytes that go into the tables, roughly.
    pub(super) bytes: usize,
}

/// An error before anything was made durable: a full disk refuses, and so does somebody else who holds the file for
/// long, with the shell of SQLite for instance; any other one may hide a sync that failed.
pub(super) fn refused(error: rusqlite::Error) -> End {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => End::Group(error.into()),
        _ => End::Store(error.into()),
    }
}

/// What a commit needs at its end.
pub(super) struct Ending<'a> {
    pub(super) journal: &'a mut Journal,
    pub(super) cells: &'a Cells,
    pub(super) crash: &'a CrashPoints,
    pub(super) commit: u64,
    /// The number of the tables' commit, where a group belongs to it.
    pub(super) number: Option<u64>,
    /// The highest revision, where that is a new one.
    pub(super) rev: Option<u64>,
}

impl Ending<'_> {
    /// The segments first, then the tables: a group whose tables are not there is cut off when the store is opened.
    pub(super) fn end(self, transaction: Option<Transaction<'_>>, changes: &[Change]) -> Result<(), End> {
        let Self { journal, cells, crash, commit, number, rev } = self;
        if let Some(transaction) = &transaction {
            let set = |name: &str, to: Option<u64>| {
                let set = to.map(|to| transaction.execute(&format!("UPDATE store SET {name} = ?1"), [sql(to)]));
                set.transpose().map_err(refused)
            };
            set("rev", rev)?;
            set("groups", number)?;
        }
        if journal.holds() {
            journal.commit(number)?;
        }
        let Some(transaction) = transaction else { return Ok(()) };
        if number.is_some() && crash.crashes(CrashPoint::BetweenSyncs, commit) {
            return Err(End::Crash);
        }
        if !changes.is_empty() {
            cells.begins(changes);
        }
        let Err(error) = transaction.commit() else { return Ok(()) };
        cells.ends();
        if error.sqlite_error_code() != Some(ErrorCode::DiskFull) {
            return Err(End::Store(error.into()));
        }
        if number.is_some() {
            journal.take_back().map_err(|error| End::Store(error.into()))?;
        }
        Err(End::Group(error.into()))
    }
}

impl<'c> Commit<'_, 'c> {
    /// The tables, in a transaction.
    fn tables(&mut self) -> rusqlite::Result<&Transaction<'c>> {
        if self.transaction.is_none() {
            let begun = Transaction::new_unchecked(self.connection, TransactionBehavior::Immediate)?;
            self.transaction = Some(begun);
        }
        self.transaction.as_ref().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Applies everything. `forgotten`: rows up to this one of what was trimmed go.
    pub(super) fn fill(
        &mut self,
        rows: Vec<Row>,
        batches: Vec<Vec<Write>>,
        reserved: Option<u64>,
        forgotten: Option<u64>,
    ) -> rusqlite::Result<Vec<Vec<Written>>> {
        if let Some(seq) = reserved {
            self.tables()?.execute("UPDATE store SET seq = ?1", [sql(seq)])?;
        }
        for (at, row) in rows.into_iter().enumerate() {
            let placed = self.insert(row)?;
            if let Some(Step::Stored(_, _, _, place)) = self.steps.get_mut(at) {
                *place = placed;
            }
        }
        let written = batches.into_iter().map(|batch| self.apply(batch)).collect::<rusqlite::Result<_>>()?;
        if let Some(forgotten) = forgotten {
            self.tables()?.execute("DELETE FROM trimmed WHERE number <= ?1", [sql(forgotten)])?;
        }
        Ok(written)
    }

    /// Looks at so many bytes of a segment that is to go, and writes again what is still wanted. `false`: it can't be read.
    pub(super) fn clean(&mut self, cleaning: Option<&mut Cleaning>, looked: u64) -> bool {
        let Some(cleaning) = cleaning else { return true };
        let (segment, files) = (cleaning.segment(), self.journal.files());
        let mut left = looked;
        while left > 0
            && let Some((key, item)) = cleaning.next()
        {
            let log = Log { kind: MAILBOX, key: key.to_vec() };
            let took = match item {
                Item::Entry { seq, id, offset, size, .. } => {
                    let place = Place { segment, offset };
                    match self.front.logs(|logs| logs.is_at(&log, seq, place)) {
                        Ok(true) => {}
                        Ok(false) => continue,
                        Err(_) => return true,
                    }
                    match files.read(place, &key, seq, size) {
                        Ok(Some(bytes)) => {
                            let place = self.journal.entry(&key, seq, id, &bytes);
                            self.steps.push(Step::Moved(log, seq, place));
                        }
                        Ok(None) => return false,
                        Err(Unread::Altered) => {
                            if self.front.lost(&log, seq, place).is_err() {
                                return true;
                            }
                        }
                        Err(Unread::Failed(fault)) => {
                            tracing::error!("segment {segment} stays, and all behind it: {fault} in it");
                            return false;
                        }
                    }
                    u64::from(size)
                }
                Item::Trim { at, mut gone, .. } => {
                    if self.front.logs(|logs| logs.remembered(&log, &mut gone, segment)).is_err() {
                        return true;
                    }
                    let took = gone.len() * size_of::<Gone>();
                    if !gone.is_empty() {
                        self.journal.trim(&key, 0, at, gone.clone());
                        self.steps.push(Step::Remembered(log, gone, self.journal.segment()));
                    }
                    took as u64
                }
            };
            left = left.saturating_sub(took);
        }
        true
    }

    /// Applies a batch, up to the first write whose revision moved. [STORE-2]
    fn apply(&mut self, batch: Vec<Write>) -> rusqlite::Result<Vec<Written>> {
        let mut written = Vec::with_capacity(batch.len());
        for write in batch {
            let one = match write {
                Write::Append(one) => self.append(one)?,
                Write::Trim { log, through } => self.trim(log, through)?,
                Write::Put { key, expected, value } => self.put(key, expected, value)?,
                Write::Delete { key, expected } => self.delete(key, expected)?,
            };
            written.push(one);
            if one == Written::Moved {
                break;
            }
        }
        Ok(written)
    }

    fn append(&mut self, append: Append) -> rusqlite::Result<Written> {
        let Append { log, id, bytes } = append;
        let (row, written) = self.logs(|logs| logs.append(&log, id, Bytes::from(bytes)))?;
        // What this commit trims already is not written by it.
        let passed = |row: &Row| self.passed.get(&row.log).is_some_and(|passed| row.seq <= *passed);
        if let Some(row) = row.filter(|row| !passed(row)) {
            self.steps.push(Step::stored(&row));
            let placed = self.insert(row)?;
            if let Some(Step::Stored(_, _, _, place)) = self.steps.last_mut() {
                *place = placed;
            }
        }
        Ok(written)
    }

    /// Puts an entry at the end of the segments, or of the tables.
    fn insert(&mut self, row: Row) -> rusqlite::Result<Option<Place>> {
        let Row { log, number, made, seq, id, bytes } = row;
        if log.kind == MAILBOX {
            return Ok(Some(self.journal.entry(&log.key, seq, id, &bytes)));
        }
        self.bytes += bytes.len() + PAGE as usize;
        let make = !made && self.made.insert(number);
        let tables = self.tables()?;
        if make {
            let make = "INSERT INTO log (id, kind, key) VALUES (?1, ?2, ?3)";
            tables.prepare_cached(make)?.execute(params![number, log.kind, log.key])?;
        }
        let place = "INSERT INTO place (seq, log, id, size) VALUES (?1, ?2, ?3, ?4)";
        let size = sql(bytes.len() as u64);
        tables.prepare_cached(place)?.execute(params![sql(seq), number, id, size])?;
        let entry = "INSERT INTO entry (seq, bytes) VALUES (?1, ?2)";
        tables.prepare_cached(entry)?.execute(params![sql(seq), &bytes[..]])?;
        Ok(None)
    }

    fn trim(&mut self, log: Log, through: Seq) -> rusqlite::Result<Written> {
        let passed = self.passed.get(&log).copied().unwrap_or_default();
        let Some(passing) = self.logs(|logs| logs.passing(&log, passed, through))? else { return Ok(Written::Done) };
        self.passed.insert(log.clone(), passing.through);
        if log.kind == MAILBOX {
            let gone: Vec<Gone> = passing.rows.into_iter().map(|(seq, id)| (id, seq)).collect();
            if !gone.is_empty() {
                self.journal.trim(&log.key, passing.through, self.now, gone);
            }
            self.steps.push(Step::Passed(log, passing.through, Some(self.journal.segment())));
            return Ok(Written::Done);
        }
        for (seq, id) in passing.rows {
            let (row, now) = (sql(self.trimmed), sql(self.now));
            let tables = self.tables()?;
            for gone in ["DELETE FROM place WHERE seq = ?1", "DELETE FROM entry WHERE seq = ?1"] {
                tables.prepare_cached(gone)?.execute([sql(seq)])?;
            }
            let keep = "INSERT INTO trimmed (number, log, id, seq, at) VALUES (?1, ?2, ?3, ?4, ?5)";
            tables.prepare_cached(keep)?.execute(params![row, passing.number, id, sql(seq), now])?;
            self.trimmed += 1;
            self.bytes += PAGE as usize;
        }
        self.steps.push(Step::Passed(log, passing.through, None));
        Ok(Written::Done)
    }

    /// Every put gets a revision that none had before. [STORE-6]
    fn put(&mut self, key: Key, expected: Option<Rev>, value: Vec<u8>) -> rusqlite::Result<Written> {
        let next = self.rev + 1;
        self.bytes += value.len() + PAGE as usize;
        let tables = self.tables()?;
        let changed = match expected {
            Some(expected) => tables
                .prepare_cached("UPDATE cell SET value = ?3, rev = ?4 WHERE tbl = ?1 AND key = ?2 AND rev = ?5")?
                .execute(params![key.table, key.key, value, sql(next), sql(expected.0)])?,
            None => tables
                .prepare_cached(
                    "INSERT INTO cell (tbl, key, value, rev) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                )?
                .execute(params![key.table, key.key, value, sql(next)])?,
        };
        if changed == 0 {
            return Ok(Written::Moved);
        }
        self.rev = next;
        let value = Value { rev: Rev(next), bytes: value.into() };
        self.changes.push(Change::Put(key, value, expected.is_none()));
        Ok(Written::Put(Rev(next)))
    }

    fn delete(&mut self, key: Key, expected: Rev) -> rusqlite::Result<Written> {
        let delete = "DELETE FROM cell WHERE tbl = ?1 AND key = ?2 AND rev = ?3";
        self.bytes += PAGE as usize;
        let removed = self.tables()?.prepare_cached(delete)?.execute(params![key.table, key.key, sql(expected.0)])?;
        if removed == 0 {
            return Ok(Written::Moved);
        }
        self.changes.push(Change::Deleted(key));
        Ok(Written::Done)
    }

    /// Looks at the logs, which are there while the writer is.
    fn logs<T>(&self, look: impl FnOnce(&mut Logs) -> T) -> rusqlite::Result<T> {
        self.front.logs(look).map_err(|_| rusqlite::Error::InvalidQuery)
    }
}
