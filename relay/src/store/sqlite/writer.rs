//! The one thread that writes: takes what waits, commits it together, answers each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::cells::{Cells, Change};
use super::checkpoint::Checkpointer;
use super::commit::{Cause, Commit, End, Ending, Step, refused};
use super::front::{Front, Group, SEQS, seconds, tell};
use super::logs::Row;
use crate::metrics::METRICS;
use crate::store::segments::{Cleaning, Journal};
use crate::store::{CrashPoint, CrashPoints, Fault, Write, Written};

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
