//! The one thread that writes: takes what waits, commits it together, answers each.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use sealpost_spec::mailbox::Seq;
use tokio::sync::{mpsc, oneshot, watch};

use super::{number, sql};
use crate::store::bell::Bells;
use crate::store::{Append, CrashPoint, CrashPoints, DUPLICATE_WINDOW, Fault, Key, Log, Rev, Write, Written};

/// Most batches of one commit.
const GROUP: usize = 512;
/// Most writes of one commit: keeps it below a few milliseconds before the sync.
const GROUP_WRITES: usize = 2048;
/// How often ids of trimmed entries are forgotten that nobody appends again.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// A batch with who waits for it.
pub(super) struct Job {
    pub(super) batch: Vec<Write>,
    pub(super) answer: oneshot::Sender<Result<Vec<Written>, Fault>>,
}

pub(super) struct Writer {
    connection: Connection,
    bells: Bells,
    crash: CrashPoints,
    stop: watch::Sender<bool>,
    rev: u64,
    commits: u64,
    forgot: Option<Instant>,
}

/// How a commit ended where it did not succeed.
enum End {
    /// This group failed, and nothing of it was written.
    Group(rusqlite::Error),
    /// What is on the disk is not known any more.
    Store(rusqlite::Error),
    /// A test's crash point.
    Crash,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        bells: Bells,
        crash: CrashPoints,
        stop: watch::Sender<bool>,
    ) -> rusqlite::Result<Self> {
        let rev = connection.query_row("SELECT rev FROM store", [], |row| row.get(0)).map(number)?;
        Ok(Self { connection, bells, crash, stop, rev, commits: 0, forgot: None })
    }

    /// Until nobody can bring anything any more, or the store stops.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut writes = first.batch.len();
            let mut group = vec![first];
            while group.len() < GROUP && writes < GROUP_WRITES {
                let Ok(job) = jobs.try_recv() else { break };
                writes += job.batch.len();
                group.push(job);
            }
            let (batches, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.batch, job.answer)).unzip();
            let woken = woken(&batches);
            match self.commit(batches) {
                Ok(written) => {
                    // Who gave up waiting is told by the same answer to a repetition. [STORE-4]
                    answers.into_iter().zip(written).for_each(|(answer, written)| drop(answer.send(Ok(written))));
                    woken.iter().for_each(|log| self.bells.ring(log));
                }
                Err(End::Group(error)) => {
                    let fault = || Fault::Backend(error.to_string());
                    answers.into_iter().for_each(|answer| drop(answer.send(Err(fault()))));
                }
                Err(end) => {
                    if let End::Store(error) = end {
                        tracing::error!("the store stops: a commit failed: {error}");
                    }
                    self.stop.send_replace(true);
                    jobs.close();
                    answers.into_iter().for_each(|answer| drop(answer.send(Err(Fault::Stopped))));
                    break;
                }
            }
        }
    }

    fn commit(&mut self, batches: Vec<Vec<Write>>) -> Result<Vec<Vec<Written>>, End> {
        self.commits += 1;
        let forget = self.forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY);
        let mut rev = self.rev;
        // A full disk refuses before anything was written; any other error may hide a sync that failed.
        let end = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => End::Group(error),
            _ => End::Store(error),
        };
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| match error.sqlite_error_code() {
            // Somebody else holds the file for long, with the shell of SQLite for instance: nothing was written.
            Some(ErrorCode::DatabaseBusy) => End::Group(error),
            _ => end(error),
        })?;
        let mut written = Vec::with_capacity(batches.len());
        for batch in batches {
            written.push(apply(&transaction, batch, &mut rev).map_err(end)?);
        }
        if forget {
            let before = seconds().saturating_sub(2 * DUPLICATE_WINDOW.as_secs());
            transaction.execute("DELETE FROM trimmed WHERE at < ?1", [sql(before)]).map_err(end)?;
        }
        if rev != self.rev {
            transaction.execute("UPDATE store SET rev = ?1", [sql(rev)]).map_err(end)?;
        }
        if self.crash.crashes(CrashPoint::BeforeCommit, self.commits) {
            return Err(End::Crash);
        }
        transaction.commit().map_err(end)?;
        if self.crash.crashes(CrashPoint::AfterCommit, self.commits) {
            return Err(End::Crash);
        }
        self.rev = rev;
        if forget {
            self.forgot = Some(Instant::now());
        }
        Ok(written)
    }
}

fn woken(batches: &[Vec<Write>]) -> HashSet<Log> {
    let logs = batches.iter().flatten().filter_map(|write| match write {
        Write::Append(append) => Some(append.log.clone()),
        _ => None,
    });
    logs.collect()
}

/// Applies a batch, up to the first write whose revision moved. [STORE-2]
fn apply(transaction: &Transaction<'_>, batch: Vec<Write>, rev: &mut u64) -> rusqlite::Result<Vec<Written>> {
    let mut written = Vec::with_capacity(batch.len());
    for write in batch {
        let one = match write {
            Write::Append(one) => append(transaction, &one)?,
            Write::Trim { log, through } => trim(transaction, &log, through)?,
            Write::Put { key, expected, value } => put(transaction, &key, expected, &value, rev)?,
            Write::Delete { key, expected } => {
                let mut delete =
                    transaction.prepare_cached("DELETE FROM cell WHERE tbl = ?1 AND key = ?2 AND rev = ?3")?;
                match delete.execute(params![key.table, key.key, sql(expected.0)])? {
                    0 => Written::Moved,
                    _ => Written::Done,
                }
            }
            Write::PutPart { blob, offset, bytes } => {
                let put = "INSERT INTO part (blob, start, bytes) VALUES (?1, ?2, ?3)
                           ON CONFLICT (blob, start) DO UPDATE SET bytes = excluded.bytes";
                transaction.prepare_cached(put)?.execute(params![blob, sql(offset), bytes])?;
                Written::Done
            }
            Write::DeleteBlob { blob } => {
                transaction.prepare_cached("DELETE FROM part WHERE blob = ?1")?.execute([blob])?;
                Written::Done
            }
        };
        written.push(one);
        if one == Written::Moved {
            break;
        }
    }
    Ok(written)
}

fn append(transaction: &Transaction<'_>, append: &Append) -> rusqlite::Result<Written> {
    let Append { log, id, bytes } = append;
    let log = match log_id(transaction, log)? {
        Some(log) => {
            let mut known = transaction.prepare_cached(
                "SELECT seq FROM entry WHERE log = ?1 AND id = ?2
                 UNION ALL SELECT seq FROM trimmed WHERE log = ?1 AND id = ?2 LIMIT 1",
            )?;
            // [STORE-4]
            if let Some(seq) = known.query_row(params![log, id], |row| row.get(0)).optional()? {
                return Ok(Written::Duplicate(Seq(number(seq))));
            }
            log
        }
        None => {
            let make = "INSERT INTO log (kind, key, count, bytes) VALUES (?1, ?2, 0, 0)";
            transaction.prepare_cached(make)?.execute(params![log.kind, log.key])?;
            transaction.last_insert_rowid()
        }
    };
    let mut insert = transaction.prepare_cached("INSERT INTO entry (log, id, bytes) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![log, id, bytes])?;
    let seq = Seq(number(transaction.last_insert_rowid()));
    let mut used = transaction.prepare_cached("UPDATE log SET count = count + 1, bytes = bytes + ?2 WHERE id = ?1")?;
    used.execute(params![log, sql(bytes.len() as u64)])?;
    Ok(Written::Appended(seq))
}

fn trim(transaction: &Transaction<'_>, log: &Log, through: Seq) -> rusqlite::Result<Written> {
    if let Some(log) = log_id(transaction, log)? {
        let through = sql(through.0);
        let mut gone = transaction.prepare_cached(
            "SELECT count(*), coalesce(sum(length(bytes)), 0) FROM entry WHERE log = ?1 AND seq <= ?2",
        )?;
        let (count, bytes): (i64, i64) = gone.query_row(params![log, through], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if count > 0 {
            let keep = "INSERT OR REPLACE INTO trimmed (log, id, seq, at)
                        SELECT log, id, seq, ?3 FROM entry WHERE log = ?1 AND seq <= ?2";
            transaction.prepare_cached(keep)?.execute(params![log, through, sql(seconds())])?;
            let delete = "DELETE FROM entry WHERE log = ?1 AND seq <= ?2";
            transaction.prepare_cached(delete)?.execute(params![log, through])?;
            let used = "UPDATE log SET count = count - ?2, bytes = bytes - ?3 WHERE id = ?1";
            transaction.prepare_cached(used)?.execute(params![log, count, bytes])?;
        }
    }
    Ok(Written::Done)
}

/// Every put gets a revision that none had before. [STORE-6]
fn put(
    transaction: &Transaction<'_>,
    key: &Key,
    expected: Option<Rev>,
    value: &[u8],
    rev: &mut u64,
) -> rusqlite::Result<Written> {
    let next = *rev + 1;
    let changed = match expected {
        Some(expected) => transaction
            .prepare_cached("UPDATE cell SET value = ?3, rev = ?4 WHERE tbl = ?1 AND key = ?2 AND rev = ?5")?
            .execute(params![key.table, key.key, value, sql(next), sql(expected.0)])?,
        None => transaction
            .prepare_cached("INSERT INTO cell (tbl, key, value, rev) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
            .execute(params![key.table, key.key, value, sql(next)])?,
    };
    if changed == 0 {
        return Ok(Written::Moved);
    }
    *rev = next;
    Ok(Written::Put(Rev(next)))
}

fn log_id(transaction: &Transaction<'_>, log: &Log) -> rusqlite::Result<Option<i64>> {
    let mut query = transaction.prepare_cached("SELECT id FROM log WHERE kind = ?1 AND key = ?2")?;
    query.query_row(params![log.kind, log.key], |row| row.get(0)).optional()
}

/// By the wall clock, which restarts survive; where it jumps, the window is shorter or longer, and clients tell
/// repetitions by what is inside.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
