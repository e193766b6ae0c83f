//! What stands in front of the file: the logs' index, what is held, and what waits for the writer.
//!
//! An offer for which nobody listens goes to the writer at once. One whose log is watched waits for its recipient a
//! little, or as long as that one lately took (`patience`): most envelopes between two people who are both there are
//! never written. [STORE-11]

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sealpost_spec::mailbox::Seq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::MAILBOX;
use super::logs::{Logs, Offered, Row, Waiter};
use super::patience::{Due, Patience};
use crate::store::bell::{Bells, lock};
use crate::store::segments::Place;
use crate::store::{Append, Fault, Log, Write, Written};

/// The writer looks for what has waited too long no more often than this.
const TICK: Duration = Duration::from_millis(5);

/// Bytes that are neither written nor taken. Who brings more waits.
const ROOM: usize = 192 * 1024 * 1024;
/// Beyond so many of them no offer waits for its recipient.
const HELD: usize = 128 * 1024 * 1024;
/// The room is counted in pieces of so many bytes.
const PIECE: usize = 1024;

/// Most batches of one commit, and most entries that were offered: keeps it below some 20 ms before the sync.
const GROUP: usize = 2048;

/// So many seqs are reserved at once, and lost where the process is killed. There are enough of them.
pub(super) const SEQS: u64 = 1 << 20;

/// A batch with who waits for it.
pub(super) struct Job {
    pub(super) batch: Vec<Write>,
    pub(super) answer: oneshot::Sender<Result<Vec<Written>, Fault>>,
    _room: OwnedSemaphorePermit,
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) rows: Vec<Row>,
    pub(super) jobs: Vec<Job>,
    /// Seqs run short.
    pub(super) reserve: bool,
    /// Nobody brings anything any more, and this was the rest.
    pub(super) last: bool,
}

impl Group {
    /// Whether there is nothing in it.
    pub(super) fn is_idle(&self) -> bool {
        self.rows.is_empty() && self.jobs.is_empty() && !self.reserve
    }

    /// What needs no tables, and the rest: who waits for one file need not wait for the other.
    pub(super) fn parts(mut self) -> [Self; 2] {
        let envelopes = |write: &Write| match write {
            Write::Append(Append { log, .. }) | Write::Trim { log, .. } => log.kind == MAILBOX,
            Write::Put { .. } | Write::Delete { .. } => false,
        };
        let (first, rest) = self.jobs.into_iter().partition(|job| job.batch.iter().all(envelopes));
        self.jobs = first;
        let (reserve, last) = (std::mem::take(&mut self.reserve), self.last);
        [self, Self { jobs: rest, reserve, last, ..Self::default() }]
    }

    /// Bytes of what it writes.
    pub(super) fn bytes(&self) -> usize {
        let batches = self.jobs.iter().flat_map(|job| &job.batch).map(size);
        self.rows.iter().map(|row| row.bytes.len()).chain(batches).sum()
    }
}

pub(super) struct State {
    pub(super) logs: Logs,
    jobs: VecDeque<Job>,
    due: Due,
    /// The writer sleeps, until then where something is due by itself.
    asleep: Option<Option<Instant>>,
    /// The last attempt to reserve seqs was undone: the next one is made when something is to be written.
    unreserved: bool,
    closed: bool,
    stopped: bool,
}

/// Shared by the store and its writer.
pub(super) struct Front {
    state: Mutex<State>,
    wake: Condvar,
    room: Arc<Semaphore>,
    patience: Patience,
    pub(super) bells: Bells,
}

impl Front {
    pub(super) fn new(logs: Logs, patience: Patience) -> Arc<Self> {
        let (jobs, due) = (VecDeque::new(), Due::default());
        let state = State { logs, jobs, due, asleep: None, unreserved: false, closed: false, stopped: false };
        let room = Arc::new(Semaphore::new(ROOM / PIECE));
        Arc::new_cyclic(|front: &Weak<Self>| {
            let front = front.clone();
            let bells = Bells::telling(move |log| front.upgrade().into_iter().for_each(|front| front.left(log)));
            Self { state: Mutex::new(state), wake: Condvar::new(), room, patience, bells }
        })
    }

    /// Nobody watches this log any more: what is held for its reader waits no longer. [STORE-11]
    fn left(&self, log: &Log) {
        let mut state = lock(&self.state);
        let (now, held) = (Instant::now(), state.logs.held(log));
        let State { logs, due, .. } = &mut *state;
        held.iter().for_each(|seq| due.push(0, now, *seq, |seq| logs.holds(seq)));
        if !held.is_empty() {
            self.rouse(&mut state, now);
        }
    }

    /// A commit was undone, or not.
    pub(super) fn undone(&self, undone: bool) {
        lock(&self.state).unreserved = undone;
    }

    /// Looks at the logs.
    pub(super) fn logs<T>(&self, look: impl FnOnce(&mut Logs) -> T) -> Result<T, Fault> {
        let mut state = lock(&self.state);
        if state.stopped { Err(Fault::Stopped) } else { Ok(look(&mut state.logs)) }
    }

    /// Leaves an entry out that is not what was written, and says so once.
    pub(super) fn lost(&self, log: &Log, seq: u64, place: Place) -> Result<(), Fault> {
        if self.logs(|logs| logs.lost(log, seq, place))? {
            let Place { segment, offset } = place;
            tracing::error!(
                "an envelope is damaged, at byte {offset} of segment {segment}: it is left out, and taken when it is sent again"
            );
        }
        Ok(())
    }

    /// A batch for the writer.
    pub(super) async fn write(&self, batch: Vec<Write>) -> Result<Vec<Written>, Fault> {
        if let [Write::Trim { log, through }] = batch.as_slice()
            && !self.passed(log, *through)?
        {
            return Ok(vec![Written::Done]);
        }
        let room = self.room(batch.iter().map(size).sum()).await?;
        let (answer, answered) = oneshot::channel();
        self.queue(Job { batch, answer, _room: room })?;
        answered.await.map_err(|_| Fault::Stopped)?
    }

    /// See [`crate::store::Store::offer`].
    pub(super) async fn offer(&self, append: Append) -> Result<Written, Fault> {
        let Append { log, id, bytes } = append;
        let room = self.room(bytes.len()).await?;
        let bytes = Bytes::from(bytes);
        let (answer, answered) = oneshot::channel();
        let offered = {
            let mut state = lock(&self.state);
            // Looked at under this lock: who leaves from now on comes to it afterwards.
            let watched = self.bells.hangs(&log);
            if state.stopped {
                return Err(Fault::Stopped);
            }
            let (offered, answer) = state.logs.offer(&log, id, bytes.clone(), answer, room);
            match offered {
                Offered::Held(Seq(seq)) => {
                    let crowded = self.room.available_permits() < (ROOM - HELD) / PIECE;
                    let pace = (watched && !crowded).then(|| state.logs.pace(&log));
                    let (queue, wait) = self.patience.wait(pace);
                    let at = Instant::now() + wait;
                    let State { logs, due, .. } = &mut *state;
                    due.push(queue, at, seq, |seq| logs.holds(seq));
                    self.rouse(&mut state, at);
                }
                Offered::Known(_) | Offered::Joined | Offered::Busy => drop(answer),
            }
            offered
        };
        match offered {
            Offered::Held(_) => self.bells.ring(&log),
            Offered::Joined => {}
            Offered::Known(seq) => return Ok(Written::Duplicate(seq)),
            Offered::Busy => {
                let written = self.write(vec![Write::Append(Append { log, id, bytes: bytes.into() })]).await?;
                return written.first().copied().ok_or(Fault::Damaged("a log"));
            }
        }
        answered.await.map_err(|_| Fault::Stopped)?
    }

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Fault> {
        let pieces = (bytes / PIECE + 1).min(ROOM / PIECE / 2);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room);
        match Arc::clone(&room).try_acquire_many_owned(pieces) {
            Ok(room) => Ok(room),
            Err(TryAcquireError::NoPermits) => room.acquire_many_owned(pieces).await.map_err(|_| Fault::Stopped),
            Err(TryAcquireError::Closed) => Err(Fault::Stopped),
        }
    }

    fn queue(&self, job: Job) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        if state.stopped || state.closed {
            return Err(Fault::Stopped);
        }
        state.jobs.push_back(job);
        self.rouse(&mut state, Instant::now());
        Ok(())
    }

    /// Wakes the writer where it would sleep for longer.
    fn rouse(&self, state: &mut State, at: Instant) {
        if state.asleep.is_some_and(|until| until.is_none_or(|until| at < until)) {
            state.asleep = None;
            self.wake.notify_one();
        }
    }

    /// Whether a trim leaves something to write; whoever waits for what it passes is told.
    fn passed(&self, log: &Log, through: Seq) -> Result<bool, Fault> {
        let (waiters, written) = self.logs(|logs| logs.pass_held(log, through, seconds(), self.patience))?;
        tell(waiters);
        Ok(written)
    }

    /// What is to be committed next. Waits for it, unless there is something else to do: then there may be nothing in it.
    pub(super) fn next(&self, busy: bool) -> Group {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            let group = state.take(now);
            if busy || group.last || !group.is_idle() {
                return group;
            }
            let until = state.due.first().map(|first| first.max(now + TICK));
            state.asleep = Some(until);
            state = match until {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let waited = self.wake.wait_timeout(state, until.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.asleep = None;
        }
    }

    /// Nobody brings anything any more: the writer writes the rest and ends.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_one();
    }

    /// Nothing is answered any more but that it has stopped.
    pub(super) fn stop(&self) {
        let (jobs, logs) = {
            let mut state = lock(&self.state);
            state.stopped = true;
            (std::mem::take(&mut state.jobs), std::mem::take(&mut state.logs))
        };
        self.room.close();
        drop((jobs, logs));
    }
}

impl State {
    fn take(&mut self, now: Instant) -> Group {
        let mut group = Group::default();
        let all = self.closed;
        while group.rows.len() < GROUP
            && let Some((seq, late)) = if all { self.due.pop_any() } else { self.due.pop(now) }
        {
            group.rows.extend(self.logs.flush(seq, late));
        }
        let jobs = self.jobs.len().min(GROUP);
        group.jobs.extend(self.jobs.drain(..jobs));
        group.reserve = !self.unreserved && self.logs.reserve(SEQS).is_some();
        group.last = all && self.jobs.is_empty() && self.due.is_empty();
        group
    }
}

/// Tells each what it has waited for.
pub(super) fn tell(waiters: Vec<Waiter>) {
    for (answer, written) in waiters {
        // Who gave up waiting is told by the same answer to a repetition. [STORE-4]
        let _ = answer.send(Ok(written));
    }
}

fn size(write: &Write) -> usize {
    match write {
        Write::Append(append) => append.bytes.len(),
        Write::Put { value, .. } => value.len(),
        Write::Trim { .. } | Write::Delete { .. } => 0,
    }
}

/// By the wall clock, which restarts survive; where it jumps, the window is shorter or longer, and clients tell
/// repetitions by what is inside.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
