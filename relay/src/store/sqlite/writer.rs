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
use super::{MAILBOX, PAGE, sql};
use crate::metrics::METRICS;
use crate::store::segments::{Cleaning, Failed, Gone, Item, Journal, Number, Place};
use crate::store::{Append, CrashPoint, CrashPoints, Fault, Key, Log, Rev, Value, Write, Written};

/// How often ids of trimmed entries are forgotten that nobody appends again.
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// Bytes of a segment that is cleaned that are looked at with each commit: at least so many, and twice what the commit
/// writes, so that waste comes no faster than it goes.
const CLEANED: u64 = 64 * 1024;
/// The same where nothing else is to be done.
const CLEANED_IDLE: u64 = 1024 * 1024;

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) journal: Journal,
    /// How many commits of the tables belong to groups.
    pub(super) tables: u64,
    pub(super) cleaning: Option<Cleaning>,
    /// The oldest segment can't be read: it stays, and all behind it.
    pub(super) stuck: bool,
    pub(super) checkpointer: Checkpointer,
    pub(super) front: Arc<Front>,
    pub(super) cells: Arc<Cells>,
    pub(super) crash: CrashPoints,
    pub(super) stop: watch::Sender<bool>,
    pub(super) rev: u64,
    pub(super) commits: u64,
    pub(super) forgot: Option<Instant>,
    /// Rows of the table of what was trimmed that are removed.
    pub(super) forgotten: u64,
}

/// What a disk or SQLite says of a failure.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Tables(#[from] rusqlite::Error),
    #[error(transparent)]
    Segments(#[from] std::io::Error),
}

/// How a commit ended where it did not succeed.
enum End {
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
enum Step {
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
    fn stored(row: &Row) -> Self {
        Self::Stored(Arc::clone(&row.log), row.seq, row.bytes.clone(), None)
    }
}

/// A commit under way.
struct Commit<'a, 'c> {
    connection: &'c Connection,
    /// Begun with the first thing that goes into the tables.
    transaction: Option<Transaction<'c>>,
    journal: &'a mut Journal,
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
    /// Bytes that go into the tables, roughly.
    bytes: usize,
}

/// A commit that is durable.
struct Done {
    written: Vec<Vec<Written>>,
    changes: Vec<Change>,
    reserved: Option<u64>,
    /// Bytes that went into the tables, roughly; none where nothing did.
    tables: Option<usize>,
}

type Answer = oneshot::Sender<Result<Vec<Written>, Fault>>;

impl Writer {
    /// Until nobody can bring anything any more, or the store stops.
    pub(super) fn run(mut self) {
        loop {
            let group = self.front.next(self.cleaning.is_some());
            let last = group.last;
            let [first, rest] = group.parts();
            // Where there is nothing at all, there is a segment to clean.
            let cleans = first.is_idle() && rest.is_idle() && !last;
            if (cleans || !first.is_idle()) && !self.commit(first) {
                return;
            }
            if !rest.is_idle() && !self.commit(rest) {
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
        let looked = if group.is_idle() { CLEANED_IDLE } else { CLEANED.max(2 * group.bytes() as u64) };
        let mut steps: Vec<Step> = group.rows.iter().map(Step::stored).collect();
        let (batches, answers): (Vec<_>, Vec<_>) = group.jobs.into_iter().map(|job| (job.batch, job.answer)).unzip();
        match self.write(group.rows, batches, &mut steps, looked) {
            Ok(done) => {
                METRICS.store.commit.took(begun.elapsed());
                METRICS.store.writes.observe(writes as u64);
                let tables = done.tables;
                self.settle(steps, done, answers);
                let brought = tables.map_or(Ok(()), |bytes| self.checkpointer.committed(&self.connection, bytes));
                if let Err(cause) = brought.map_err(Cause::from).and_then(|()| self.clean()) {
                    return self.stops(&End::Store(cause));
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

    /// Removes a segment of which nothing is wanted any more, and looks for the next one.
    fn clean(&mut self) -> Result<(), Cause> {
        if let Some(done) = self.cleaning.take_if(|cleaning| cleaning.is_done()) {
            let segment = done.segment();
            match self.front.logs(|logs| logs.wanted(segment)) {
                Ok((0, _)) => {
                    self.journal.remove(segment)?;
                    // It fails where nobody wants to know any more.
                    let _ = self.front.logs(|logs| logs.forget_segment(segment));
                }
                Ok((bytes, _)) => {
                    tracing::error!("segment {segment} is kept: {bytes} bytes are wanted of it that its listing lacks");
                    self.stuck = true;
                }
                Err(_) => return Ok(()),
            }
        }
        if self.cleaning.is_some() || self.stuck {
            return Ok(());
        }
        let front = &self.front;
        let wanted = |segment| front.logs(|logs| logs.wanted(segment)).unwrap_or((1, u64::MAX / 4));
        match Cleaning::begin(&self.journal, wanted) {
            Ok(cleaning) => self.cleaning = cleaning,
            Err(error) => {
                tracing::error!("what is not wanted any more stays on the disk: {error}");
                self.stuck = true;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        rows: Vec<Row>,
        batches: Vec<Vec<Write>>,
        steps: &mut Vec<Step>,
        looked: u64,
    ) -> Result<Done, End> {
        let forget = self.forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY);
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
        self.journal.begin()?;
        let (made, passed, changes) = Default::default();
        let mut commit = Commit {
            connection: &self.connection,
            transaction: None,
            journal: &mut self.journal,
            front: &self.front,
            steps,
            rev: self.rev,
            trimmed,
            now,
            made,
            passed,
            changes,
            bytes: 0,
        };
        let filled = commit.fill(rows, batches, reserved, (forgotten > self.forgotten).then_some(forgotten));
        let readable = filled.is_err() || commit.clean(self.cleaning.as_mut(), looked);
        let Commit { transaction, rev, changes, bytes, .. } = commit;
        if !readable {
            (self.stuck, self.cleaning) = (true, None);
        }
        if self.crash.crashes(CrashPoint::BeforeCommit, self.commits) {
            return Err(End::Crash);
        }
        let tables = transaction.is_some().then_some(bytes);
        let both = transaction.is_some() && self.journal.holds();
        let ending = Ending {
            journal: &mut self.journal,
            cells: &self.cells,
            crash: &self.crash,
            commit: self.commits,
            number: both.then_some(self.tables + 1),
            rev: (rev != self.rev).then_some(rev),
        };
        let written = filled.map_err(refused).and_then(|written| ending.end(transaction, &changes).map(|()| written));
        let written = written.inspect_err(|_| {
            self.journal.abandon();
            // What was looked at is looked at again.
            self.cleaning = None;
        })?;
        if self.crash.crashes(CrashPoint::AfterCommit, self.commits) {
            return Err(End::Crash);
        }
        self.rev = rev;
        self.tables += u64::from(both);
        self.forgotten = forgotten;
        if forget {
            self.forgot = Some(Instant::now());
        }
        Ok(Done { written, changes, reserved, tables })
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
                    Step::Stored(log, seq, bytes, place) => {
                        let read = self.front.bells.hangs(&log);
                        waiters.extend(logs.stored(&log, seq, place, read.then_some(bytes)));
                        woken.insert(log);
                    }
                    Step::Passed(log, through, segment) => waiters.extend(logs.pass(&log, through, now, segment)),
                    Step::Moved(log, seq, place) => logs.moved(&log, seq, place),
                    Step::Remembered(log, gone, segment) => logs.remember(&log, &gone, segment),
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
    fn undo(&self, steps: Vec<Step>, answers: Vec<Answer>, cause: &Cause) {
        self.front.undone(true);
        METRICS.store.refusing.set(1);
        let fault = || match cause {
            Cause::Tables(error) => Fault::Backend(error.to_string()),
            Cause::Segments(_) => Fault::Full,
        };
        let waiters = self.front.logs(|logs| {
            let mut waiters = Vec::new();
            for step in steps {
                if let Step::Stored(log, seq, ..) = step {
                    waiters.extend(logs.undone(&log, seq));
                }
            }
            waiters
        });
        waiters.unwrap_or_default().into_iter().for_each(|(answer, _)| drop(answer.send(Err(fault()))));
        answers.into_iter().for_each(|answer| drop(answer.send(Err(fault()))));
    }
}

/// An error before anything was made durable: a full disk refuses, and so does somebody else who holds the file for
/// long, with the shell of SQLite for instance; any other one may hide a sync that failed.
fn refused(error: rusqlite::Error) -> End {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => End::Group(error.into()),
        _ => End::Store(error.into()),
    }
}

/// What a commit needs at its end.
struct Ending<'a> {
    journal: &'a mut Journal,
    cells: &'a Cells,
    crash: &'a CrashPoints,
    commit: u64,
    /// The number of the tables' commit, where a group belongs to it.
    number: Option<u64>,
    /// The highest revision, where that is a new one.
    rev: Option<u64>,
}

impl Ending<'_> {
    /// The segments first, then the tables: a group whose tables are not there is cut off when the store is opened.
    fn end(self, transaction: Option<Transaction<'_>>, changes: &[Change]) -> Result<(), End> {
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
    fn fill(
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
    fn clean(&mut self, cleaning: Option<&mut Cleaning>, looked: u64) -> bool {
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
                        Err(fault) => {
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
