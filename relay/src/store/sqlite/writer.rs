//! The one thread that writes: takes what waits, commits it together, answers each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use sealpost_spec::mailbox::Seq;
use tokio::sync::{oneshot, watch};

use super::cells::{Cells, Change};
use super::checkpoint::Checkpointer;
use super::front::{Front, Group, SEQS, seconds, tell};
use super::logs::{Logs, Row};
use super::{PAGE, sql};
use crate::metrics::METRICS;
use crate::store::{Append, CrashPoint, CrashPoints, Fault, Key, Log, Rev, Value, Write, Written};

/// How often ids of trimmed entries are forgotten that nobody appends again.
const FORGET_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) checkpointer: Checkpointer,
    pub(super) front: Arc<Front>,
    pub(super) cells: Arc<Cells>,
    pub(super) crash: CrashPoints,
    pub(super) stop: watch::Sender<bool>,
    pub(super) rev: u64,
    pub(super) commits: u64,
    pub(super) forgot: Option<Instant>,
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

/// What a commit changes in the logs, in order.
enum Step {
    Stored(Arc<Log>, u64, Bytes),
    Passed(Log, u64),
}

impl Step {
    fn stored(row: &Row) -> Self {
        Self::Stored(Arc::clone(&row.log), row.seq, row.bytes.clone())
    }
}

/// A commit under way.
struct Commit<'a> {
    transaction: Transaction<'a>,
    front: &'a Front,
    steps: &'a mut Vec<Step>,
    rev: u64,
    /// The row in which the next trimmed entry is remembered.
    trimmed: u64,
    now: u64,
    /// Logs that get their row.
    made: HashSet<i64>,
    /// How far logs are trimmed already.
    passed: HashMap<Log, u64>,
    changes: Vec<Change>,
}

/// A commit that is durable.
struct Done {
    written: Vec<Vec<Written>>,
    changes: Vec<Change>,
    reserved: Option<u64>,
    /// Entries that were removed.
    removed: u64,
}

type Answer = oneshot::Sender<Result<Vec<Written>, Fault>>;

impl Writer {
    /// Until nobody can bring anything any more, or the store stops.
    pub(super) fn run(mut self) {
        loop {
            let group = self.front.next();
            let last = group.last;
            let idle = group.rows.is_empty() && group.jobs.is_empty() && !group.reserve;
            let goes_on = (last && idle) || self.commit(group);
            if !goes_on {
                return;
            }
            if last {
                self.front.stop();
                return self.tidy();
            }
        }
    }

    /// Brings what stands in the file's log into the file, and empties the log: who copies the file of a relay that was
    /// stopped has everything, and what was removed is in neither.
    fn tidy(self) {
        let Self { connection, checkpointer, .. } = self;
        drop(checkpointer);
        let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        if !matches!(busy, Ok(false)) {
            tracing::warn!("the store's log stays beside it: the next start brings it in");
        }
    }

    /// Whether the store goes on.
    fn commit(&mut self, group: Group) -> bool {
        self.commits += 1;
        let begun = Instant::now();
        let writes = group.rows.len() + group.jobs.iter().map(|job| job.batch.len()).sum::<usize>();
        let bytes = group.bytes();
        let mut steps: Vec<Step> = group.rows.iter().map(Step::stored).collect();
        let (batches, answers): (Vec<_>, Vec<_>) = group.jobs.into_iter().map(|job| (job.batch, job.answer)).unzip();
        match self.write(group.rows, batches, &mut steps) {
            Ok(done) => {
                METRICS.store.commit.took(begun.elapsed());
                METRICS.store.writes.observe(writes as u64);
                let pages = writes + usize::try_from(done.removed).unwrap_or(usize::MAX);
                let bytes = bytes + pages.saturating_mul(PAGE as usize);
                self.settle(steps, done, answers);
                if let Err(error) = self.checkpointer.committed(&self.connection, bytes) {
                    return self.stops(&End::Store(error));
                }
            }
            Err(End::Group(error)) => self.undo(steps, answers, &error),
            // Before anybody hears of it: from now on nothing is answered.
            Err(end) => return self.stops(&end),
        }
        true
    }

    /// The store does not go on.
    fn stops(&self, end: &End) -> bool {
        if let End::Store(error) = end {
            tracing::error!("the store stops: a commit failed: {error}");
        }
        METRICS.store.refusing.set(1);
        self.front.stop();
        self.stop.send_replace(true);
        false
    }

    fn write(&mut self, rows: Vec<Row>, batches: Vec<Vec<Write>>, steps: &mut Vec<Step>) -> Result<Done, End> {
        let forget = self.forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY);
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
        let now = seconds();
        let (reserved, trimmed, forgotten) = self
            .front
            .logs(|logs| {
                if forget {
                    logs.trimmed.forget(now);
                }
                (logs.reserve(SEQS), logs.trimmed.next_row(), logs.trimmed.forgotten())
            })
            .map_err(|_| End::Crash)?;
        let (front, rev) = (&*self.front, self.rev);
        let (made, passed, changes) = Default::default();
        let mut commit = Commit { transaction, front, steps, rev, trimmed, now, made, passed, changes };
        if let Some(seq) = reserved {
            commit.transaction.execute("UPDATE store SET seq = ?1", [sql(seq)]).map_err(end)?;
        }
        for row in rows {
            commit.insert(row).map_err(end)?;
        }
        let mut written = Vec::with_capacity(batches.len());
        for batch in batches {
            written.push(commit.apply(batch).map_err(end)?);
        }
        let removed = commit.trimmed - trimmed;
        let Commit { transaction, rev, changes, .. } = commit;
        if forget {
            transaction.execute("DELETE FROM trimmed WHERE number <= ?1", [sql(forgotten)]).map_err(end)?;
        }
        if rev != self.rev {
            transaction.execute("UPDATE store SET rev = ?1", [sql(rev)]).map_err(end)?;
        }
        if self.crash.crashes(CrashPoint::BeforeCommit, self.commits) {
            return Err(End::Crash);
        }
        if !changes.is_empty() {
            self.cells.begins(&changes);
        }
        transaction.commit().inspect_err(|_| self.cells.ends()).map_err(end)?;
        if self.crash.crashes(CrashPoint::AfterCommit, self.commits) {
            return Err(End::Crash);
        }
        self.rev = rev;
        if forget {
            self.forgot = Some(Instant::now());
        }
        Ok(Done { written, changes, reserved, removed })
    }

    /// What is durable now is to be seen, and whoever waited is told.
    fn settle(&self, steps: Vec<Step>, done: Done, answers: Vec<Answer>) {
        let now = seconds();
        self.front.undone(false);
        METRICS.store.refusing.set(0);
        let mut woken = HashSet::new();
        let waiters = self.front.logs(|logs| {
            logs.trimmed.forget(now);
            done.reserved.into_iter().for_each(|seq| logs.reserved(seq));
            let mut waiters = Vec::new();
            for step in steps {
                match step {
                    Step::Stored(log, seq, bytes) => {
                        let read = self.front.bells.hangs(&log);
                        waiters.extend(logs.stored(&log, seq, read.then_some(bytes)));
                        woken.insert(log);
                    }
                    Step::Passed(log, through) => waiters.extend(logs.pass(&log, through, now)),
                }
            }
            METRICS.store.mailbox_bytes.set(i64::try_from(logs.total("mailbox").bytes).unwrap_or(i64::MAX));
            waiters
        });
        // Before any answer: a read that begins after it sees what was written. [STORE-5]
        self.cells.change(done.changes);
        woken.iter().for_each(|log| self.front.bells.ring(log));
        tell(waiters.unwrap_or_default());
        // Who gave up waiting is told by the same answer to a repetition. [STORE-4]
        answers.into_iter().zip(done.written).for_each(|(answer, written)| drop(answer.send(Ok(written))));
    }

    /// Nothing of a group was written: it is as if it had not been brought.
    fn undo(&self, steps: Vec<Step>, answers: Vec<Answer>, error: &rusqlite::Error) {
        self.front.undone(true);
        METRICS.store.refusing.set(1);
        let fault = || Fault::Backend(error.to_string());
        let waiters = self.front.logs(|logs| {
            let mut waiters = Vec::new();
            for step in steps {
                if let Step::Stored(log, seq, _) = step {
                    waiters.extend(logs.undone(&log, seq));
                }
            }
            waiters
        });
        waiters.unwrap_or_default().into_iter().for_each(|(answer, _)| drop(answer.send(Err(fault()))));
        answers.into_iter().for_each(|answer| drop(answer.send(Err(fault()))));
    }
}

impl Commit<'_> {
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
            self.insert(row)?;
        }
        Ok(written)
    }

    /// Puts an entry at the end of the tables.
    fn insert(&mut self, row: Row) -> rusqlite::Result<()> {
        let Row { log, number, made, seq, id, bytes } = row;
        if !made && self.made.insert(number) {
            let make = "INSERT INTO log (id, kind, key) VALUES (?1, ?2, ?3)";
            self.transaction.prepare_cached(make)?.execute(params![number, log.kind, log.key])?;
        }
        let place = "INSERT INTO place (seq, log, id, size) VALUES (?1, ?2, ?3, ?4)";
        let size = sql(bytes.len() as u64);
        self.transaction.prepare_cached(place)?.execute(params![sql(seq), number, id, size])?;
        let entry = "INSERT INTO entry (seq, bytes) VALUES (?1, ?2)";
        self.transaction.prepare_cached(entry)?.execute(params![sql(seq), &bytes[..]])?;
        Ok(())
    }

    fn trim(&mut self, log: Log, through: Seq) -> rusqlite::Result<Written> {
        let passed = self.passed.get(&log).copied().unwrap_or_default();
        let Some(passing) = self.logs(|logs| logs.passing(&log, passed, through))? else { return Ok(Written::Done) };
        for (seq, id) in passing.rows {
            for gone in ["DELETE FROM place WHERE seq = ?1", "DELETE FROM entry WHERE seq = ?1"] {
                self.transaction.prepare_cached(gone)?.execute([sql(seq)])?;
            }
            let keep = "INSERT INTO trimmed (number, log, id, seq, at) VALUES (?1, ?2, ?3, ?4, ?5)";
            let row = params![sql(self.trimmed), passing.number, id, sql(seq), sql(self.now)];
            self.transaction.prepare_cached(keep)?.execute(row)?;
            self.trimmed += 1;
        }
        self.passed.insert(log.clone(), passing.through);
        self.steps.push(Step::Passed(log, passing.through));
        Ok(Written::Done)
    }

    /// Every put gets a revision that none had before. [STORE-6]
    fn put(&mut self, key: Key, expected: Option<Rev>, value: Vec<u8>) -> rusqlite::Result<Written> {
        let next = self.rev + 1;
        let changed = match expected {
            Some(expected) => self
                .transaction
                .prepare_cached("UPDATE cell SET value = ?3, rev = ?4 WHERE tbl = ?1 AND key = ?2 AND rev = ?5")?
                .execute(params![key.table, key.key, value, sql(next), sql(expected.0)])?,
            None => self
                .transaction
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
        match self.transaction.prepare_cached(delete)?.execute(params![key.table, key.key, sql(expected.0)])? {
            0 => Ok(Written::Moved),
            _ => {
                self.changes.push(Change::Deleted(key));
                Ok(Written::Done)
            }
        }
    }

    /// Looks at the logs, which are there while the writer is.
    fn logs<T>(&self, look: impl FnOnce(&mut Logs) -> T) -> rusqlite::Result<T> {
        self.front.logs(look).map_err(|_| rusqlite::Error::InvalidQuery)
    }
}
