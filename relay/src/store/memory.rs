//! The store that forgets with its process: for simulations and tests. Every future is ready at its first poll, but
//! for that of an offer where offers are held ([`Memory::hold`]).

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use sealpost_spec::mailbox::{Seq, StoreId};
use tokio::sync::oneshot;

use super::bell::{Bells, lock};
use super::{
    Append, Bell, CrashPoint, CrashPoints, Entry, Fault, Key, Limit, Log, Rev, Store, Usage, Value, Watch, Write,
    Written,
};

/// A store in memory. Crashes by its [`CrashPoints`]; [`Memory::reopen`] is the restart.
pub struct Memory {
    id: StoreId,
    bells: Bells,
    crash: CrashPoints,
    state: Arc<Mutex<State>>,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    /// The disk is full.
    full: bool,
    commits: u64,
    stopped: bool,
    /// Offers whose log is watched wait for the next commit.
    holds: bool,
    held: HashMap<Log, BTreeMap<u64, Held>>,
    /// Of entries that were held, and trimmed before any commit. [STORE-4]
    passed: HashMap<(Log, [u8; 16]), u64>,
}

/// Who waits for an entry, and what it is told then.
type Waiter = (oneshot::Sender<Written>, Written);

/// What was offered and is not durable.
struct Held {
    id: [u8; 16],
    bytes: Bytes,
    waiters: Vec<Waiter>,
}

/// A table and a key in it.
type Place = (&'static str, Vec<u8>);

#[derive(Clone, Default)]
struct State {
    last_seq: u64,
    last_rev: u64,
    logs: HashMap<Log, Contents>,
    tables: BTreeMap<Place, (u64, Bytes)>,
    blobs: BTreeMap<[u8; 16], Vec<Bytes>>,
}

#[derive(Clone, Default)]
struct Contents {
    entries: BTreeMap<u64, ([u8; 16], Bytes)>,
    /// Of trimmed entries too, until [`Memory::forget_duplicates`]: longer than the window asks. [STORE-4]
    ids: HashMap<[u8; 16], u64>,
    bytes: u64,
}

impl Memory {
    /// An empty store. `id`: random, as no other store's is.
    pub fn new(id: [u8; 16]) -> Self {
        Self::crashing(id, CrashPoints::none())
    }

    /// An empty store that crashes at these points.
    pub fn crashing(id: [u8; 16], crash: CrashPoints) -> Self {
        Self {
            id: StoreId(id),
            bells: Bells::default(),
            crash,
            state: Arc::default(),
            life: Mutex::new(Life::default()),
        }
    }

    /// Holds offers to logs that somebody watches until the next commit, [`Memory::commit_held`] at the latest.
    /// [STORE-11]
    pub fn hold(&self) {
        lock(&self.life).holds = true;
    }

    /// Lets the disk be full, or no more: what would add something is refused with [`Fault::Full`] and changes nothing. What is
    /// trimmed and deleted goes, and what was held before is written.
    pub fn fill(&self, full: bool) {
        lock(&self.life).full = full;
    }

    /// Makes what is held durable, as any other commit does too.
    ///
    /// # Errors
    /// [`Fault::Stopped`] after a crash.
    pub fn commit_held(&self) -> Result<(), Fault> {
        if lock(&self.life).held.is_empty() { Ok(()) } else { self.commit(Vec::new()).map(drop) }
    }

    /// What a restart finds: everything that was durable. This handle stops, as a killed process does.
    #[must_use]
    pub fn reopen(&self, crash: CrashPoints) -> Self {
        {
            let mut life = lock(&self.life);
            life.stopped = true;
            life.held.clear();
        }
        Self {
            id: self.id,
            bells: Bells::default(),
            crash,
            state: Arc::clone(&self.state),
            life: Mutex::new(Life::default()),
        }
    }

    /// Another handle to the same store, as the other relays of a cluster have one; what wakes one wakes none of the others.
    #[cfg(test)]
    pub(crate) fn beside(&self) -> Self {
        Self {
            id: self.id,
            bells: Bells::default(),
            crash: CrashPoints::none(),
            state: Arc::clone(&self.state),
            life: Mutex::new(Life::default()),
        }
    }

    /// An independent copy of everything durable: a backup, to be restored later as an older state of the same store.
    #[must_use]
    pub fn backup(&self) -> Self {
        let copy = Self::crashing(self.id.0, CrashPoints::none());
        *lock(&copy.state) = lock(&self.state).clone();
        copy
    }

    /// Lets the duplicate window pass: ids of trimmed entries are forgotten.
    pub fn forget_duplicates(&self) {
        for contents in lock(&self.state).logs.values_mut() {
            let Contents { entries, ids, .. } = contents;
            ids.retain(|_, seq| entries.contains_key(seq));
        }
        lock(&self.life).passed.clear();
    }

    /// Whether it has crashed or was reopened elsewhere.
    pub fn stopped(&self) -> bool {
        lock(&self.life).stopped
    }

    /// Every value and entry that it holds, for tests that look for what must not be there.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        let (life, state) = (lock(&self.life), lock(&self.state));
        let entries = state.logs.values().flat_map(|log| log.entries.values().map(|(_, bytes)| bytes.to_vec()));
        let values = state.tables.iter().map(|((_, key), (_, value))| [key.as_slice(), value].concat());
        let held = life.held.values().flat_map(BTreeMap::values).map(|held| held.bytes.to_vec());
        let parts = state.blobs.values().flatten().map(|part| part.to_vec());
        entries.chain(held).chain(values).chain(parts).collect()
    }

    fn alive(&self) -> Result<(), Fault> {
        if lock(&self.life).stopped { Err(Fault::Stopped) } else { Ok(()) }
    }

    fn crash(&self, point: CrashPoint) -> Result<(), Fault> {
        let mut life = lock(&self.life);
        if point == CrashPoint::BeforeCommit {
            life.commits += 1;
        }
        if life.stopped || self.crash.crashes(point, life.commits) {
            life.stopped = true;
            life.held.clear();
            return Err(Fault::Stopped);
        }
        Ok(())
    }

    /// Tells whoever waits for what a trim passes; whether that was all there is to do.
    fn pass(&self, log: &Log, through: Seq) -> Result<bool, Fault> {
        self.alive()?;
        let mut life = lock(&self.life);
        let Some(held) = life.held.get_mut(log) else { return Ok(false) };
        let kept = held.split_off(&through.0.saturating_add(1));
        let passed = std::mem::replace(held, kept);
        if held.is_empty() {
            life.held.remove(log);
        }
        for (seq, Held { id, waiters, .. }) in passed {
            life.passed.insert((log.clone(), id), seq);
            tell(waiters);
        }
        let state = lock(&self.state);
        let first = state.logs.get(log).and_then(|contents| contents.entries.keys().next());
        Ok(first.is_none_or(|first| *first > through.0))
    }

    fn commit(&self, batch: Vec<Write>) -> Result<Vec<Written>, Fault> {
        if let [Write::Trim { log, through }] = batch.as_slice()
            && self.pass(log, *through)?
        {
            return Ok(vec![Written::Done]);
        }
        if lock(&self.life).full && batch.iter().any(|write| matches!(write, Write::Append(_) | Write::Put { .. })) {
            return Err(Fault::Full);
        }
        self.crash(CrashPoint::BeforeCommit)?;
        let mut written = Vec::with_capacity(batch.len());
        let mut woken = Vec::new();
        let mut waiters = Vec::new();
        {
            let mut life = lock(&self.life);
            let held = std::mem::take(&mut life.held);
            let mut state = lock(&self.state);
            for (log, entries) in held {
                let contents = state.logs.entry(log.clone()).or_default();
                for (seq, held) in entries {
                    contents.bytes += held.bytes.len() as u64;
                    contents.ids.insert(held.id, seq);
                    contents.entries.insert(seq, (held.id, held.bytes));
                    waiters.extend(held.waiters);
                }
                woken.push(log);
            }
            for write in batch {
                let mut passed = None;
                if let Write::Append(append) = &write {
                    woken.push(append.log.clone());
                    passed = life.passed.get(&(append.log.clone(), append.id)).copied();
                }
                written.push(match passed {
                    Some(seq) => Written::Duplicate(Seq(seq)),
                    None => state.apply(write),
                });
                if written.last() == Some(&Written::Moved) {
                    break;
                }
            }
        }
        self.crash(CrashPoint::AfterCommit)?;
        tell(waiters);
        woken.iter().for_each(|log| self.bells.ring(log));
        Ok(written)
    }
}

fn tell(waiters: Vec<Waiter>) {
    for (answer, written) in waiters {
        // Who gave up waiting is told by the same answer to a repetition. [STORE-4]
        let _ = answer.send(written);
    }
}

impl State {
    fn apply(&mut self, write: Write) -> Written {
        match write {
            Write::Append(Append { log, id, bytes }) => {
                let contents = self.logs.entry(log).or_default();
                if let Some(seq) = contents.ids.get(&id) {
                    return Written::Duplicate(Seq(*seq));
                }
                self.last_seq += 1;
                contents.ids.insert(id, self.last_seq);
                contents.bytes += bytes.len() as u64;
                contents.entries.insert(self.last_seq, (id, bytes.into()));
                Written::Appended(Seq(self.last_seq))
            }
            Write::Trim { log, through } => {
                if let Some(contents) = self.logs.get_mut(&log) {
                    let kept = contents.entries.split_off(&through.0.saturating_add(1));
                    let gone = std::mem::replace(&mut contents.entries, kept);
                    contents.bytes -= gone.values().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
                }
                Written::Done
            }
            Write::Put { key, expected, value } => {
                let key = (key.table, key.key);
                if self.tables.get(&key).map(|(rev, _)| Rev(*rev)) != expected {
                    return Written::Moved;
                }
                self.last_rev += 1;
                self.tables.insert(key, (self.last_rev, value.into()));
                Written::Put(Rev(self.last_rev))
            }
            Write::Delete { key, expected } => {
                let key = (key.table, key.key);
                if self.tables.get(&key).map(|(rev, _)| Rev(*rev)) != Some(expected) {
                    return Written::Moved;
                }
                self.tables.remove(&key);
                Written::Done
            }
        }
    }
}

impl Store for Memory {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Written>, Fault> {
        self.commit(batch)
    }

    async fn offer(&self, append: Append) -> Result<Written, Fault> {
        let Append { log, id, bytes } = append;
        self.alive()?;
        let (answer, answered) = oneshot::channel();
        let holds = {
            let life = lock(&self.life);
            life.holds && !life.full && self.bells.hangs(&log)
        };
        if !holds {
            let written = self.commit(vec![Write::Append(Append { log, id, bytes })])?;
            return written.first().copied().ok_or(Fault::Damaged("a log"));
        }
        {
            let mut life = lock(&self.life);
            let mut state = lock(&self.state);
            let known = state.logs.get(&log).and_then(|contents| contents.ids.get(&id)).copied();
            // [STORE-4]
            if let Some(seq) = known.or_else(|| life.passed.get(&(log.clone(), id)).copied()) {
                return Ok(Written::Duplicate(Seq(seq)));
            }
            let held = life.held.entry(log.clone()).or_default();
            match held.iter_mut().find(|(_, held)| held.id == id) {
                Some((seq, held)) => held.waiters.push((answer, Written::Duplicate(Seq(*seq)))),
                None => {
                    state.last_seq += 1;
                    let waiters = vec![(answer, Written::Appended(Seq(state.last_seq)))];
                    held.insert(state.last_seq, Held { id, bytes: bytes.into(), waiters });
                }
            }
        }
        self.bells.ring(&log);
        answered.await.map_err(|_| Fault::Stopped)
    }

    async fn read(&self, log: &Log, after: Seq, limit: Limit) -> Result<Vec<Entry>, Fault> {
        self.alive()?;
        let (life, state) = (lock(&self.life), lock(&self.state));
        let from = after.0.saturating_add(1);
        let stored = state.logs.get(log).into_iter().flat_map(|contents| contents.entries.range(from..));
        let held = life.held.get(log).into_iter().flat_map(|held| held.range(from..));
        // What is held is newer than all that is stored.
        let all = stored.map(|(seq, (id, bytes))| (seq, id, bytes));
        let all = all.chain(held.map(|(seq, held)| (seq, &held.id, &held.bytes)));
        let mut bytes_read = 0;
        let fits = all.take(limit.count.max(1)).take_while(|(_, _, bytes)| {
            let first = bytes_read == 0;
            bytes_read += bytes.len().max(1);
            first || bytes_read <= limit.bytes
        });
        Ok(fits.map(|(seq, id, bytes)| Entry { seq: Seq(*seq), id: *id, bytes: bytes.clone() }).collect())
    }

    async fn usage(&self, log: &Log) -> Result<Usage, Fault> {
        self.alive()?;
        let (life, state) = (lock(&self.life), lock(&self.state));
        let stored = state.logs.get(log);
        let held = life.held.get(log).into_iter().flat_map(BTreeMap::values);
        let stored = stored.map(|contents| Usage { count: contents.entries.len() as u64, bytes: contents.bytes });
        Ok(held.fold(stored.unwrap_or_default(), |usage, held| Usage {
            count: usage.count + 1,
            bytes: usage.bytes + held.bytes.len() as u64,
        }))
    }

    async fn total(&self, kind: &'static str) -> Result<Usage, Fault> {
        self.alive()?;
        let (life, state) = (lock(&self.life), lock(&self.state));
        let stored = state.logs.iter().filter(|(log, _)| log.kind == kind);
        let stored = stored.map(|(_, contents)| (contents.entries.len() as u64, contents.bytes));
        let held = life.held.iter().filter(|(log, _)| log.kind == kind).flat_map(|(_, held)| held.values());
        let all = stored.chain(held.map(|held| (1, held.bytes.len() as u64)));
        Ok(all
            .fold(Usage::default(), |sum, (count, bytes)| Usage { count: sum.count + count, bytes: sum.bytes + bytes }))
    }

    fn watch(&self, log: &Log, bell: &Bell, tag: u8) -> Watch {
        self.bells.watch(log, bell, tag)
    }

    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Value>>, Fault> {
        self.alive()?;
        let state = lock(&self.state);
        let value = |key: Key| {
            state.tables.get(&(key.table, key.key)).map(|(rev, bytes)| Value { rev: Rev(*rev), bytes: bytes.clone() })
        };
        Ok(keys.into_iter().map(value).collect())
    }

    async fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Value)>, Fault> {
        self.alive()?;
        let state = lock(&self.state);
        let from = (table, after.unwrap_or(prefix).max(prefix).to_vec());
        Ok(state
            .tables
            .range(from..)
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .filter(|((_, key), _)| after.is_none_or(|after| key.as_slice() > after))
            .take(limit)
            .map(|((_, key), (rev, bytes))| (key.clone(), Value { rev: Rev(*rev), bytes: bytes.clone() }))
            .collect())
    }

    async fn count(&self, table: &'static str, prefix: &[u8]) -> Result<u64, Fault> {
        self.alive()?;
        let state = lock(&self.state);
        let from = (table, prefix.to_vec());
        let keys = state.tables.range(from..);
        Ok(keys.take_while(|((of, key), _)| *of == table && key.starts_with(prefix)).count() as u64)
    }

    async fn put_part(&self, blob: [u8; 16], number: u32, bytes: Bytes) -> Result<u32, Fault> {
        self.alive()?;
        if lock(&self.life).full {
            return Err(Fault::Full);
        }
        let mut state = lock(&self.state);
        let parts = state.blobs.entry(blob).or_default();
        if parts.len() == number as usize {
            parts.push(bytes);
        }
        Ok(u32::try_from(parts.len()).unwrap_or(u32::MAX))
    }

    async fn parts(&self, blob: [u8; 16]) -> Result<u32, Fault> {
        self.alive()?;
        let parts = lock(&self.state).blobs.get(&blob).map_or(0, Vec::len);
        Ok(u32::try_from(parts).unwrap_or(u32::MAX))
    }

    async fn part(&self, blob: [u8; 16], number: u32) -> Result<Option<Bytes>, Fault> {
        self.alive()?;
        Ok(lock(&self.state).blobs.get(&blob).and_then(|parts| parts.get(number as usize)).cloned())
    }

    async fn delete_blob(&self, blob: [u8; 16]) -> Result<(), Fault> {
        self.alive()?;
        lock(&self.state).blobs.remove(&blob);
        Ok(())
    }
}

/// Drives a future that is ready at its first poll, as every future of a relay over [`Memory`] is; `None` where it is
/// not, which says that something waited.
pub fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Bench};
    use super::*;

    struct Drive {
        store: Option<Memory>,
        holds: bool,
    }

    impl Bench for Drive {
        type Store = Memory;

        async fn open(&mut self, crash: CrashPoints) -> Memory {
            let store = match &self.store {
                Some(before) => before.reopen(crash),
                None => Memory::crashing([7; 16], crash),
            };
            // The bench keeps a handle on the same contents, as a disk does.
            self.store = Some(Memory { state: Arc::clone(&store.state), ..Memory::new([7; 16]) });
            if self.holds {
                store.hold();
            }
            store
        }
    }

    /// [STORE-1] to [STORE-11] and without any runtime: every future is ready at once, with a place for what is offered
    /// and without.
    #[test]
    fn memory_conforms() {
        for holds in [false, true] {
            ready(conformance::all(|| Drive { store: None, holds })).expect("nothing waits");
        }
    }

    /// [STORE-1] a full disk refuses what would add something, and has then changed nothing; what goes makes room, and
    /// everything is as before once there is.
    #[test]
    fn a_full_disk_changes_nothing() {
        let store = Memory::new([7; 16]);
        let log = Log { kind: "mailbox", key: vec![1] };
        let append = |id| vec![Write::Append(Append { log: log.clone(), id: [id; 16], bytes: vec![id] })];
        ready(store.write(append(1))).unwrap().unwrap();
        store.fill(true);
        assert!(matches!(ready(store.write(append(2))), Some(Err(Fault::Full))));
        let offered = store.offer(Append { log: log.clone(), id: [3; 16], bytes: vec![3] });
        assert!(matches!(ready(offered), Some(Err(Fault::Full))));
        let usage = || ready(store.usage(&log)).unwrap().unwrap().count;
        assert_eq!(usage(), 1);
        ready(store.write(vec![Write::Trim { log: log.clone(), through: Seq(1) }])).unwrap().unwrap();
        assert_eq!(usage(), 0);
        store.fill(false);
        ready(store.write(append(2))).unwrap().unwrap();
        assert_eq!(usage(), 1);
    }

    /// [STORE-4] beyond the window a store may forget, which a simulation wants to see.
    #[test]
    fn the_duplicate_window_can_pass() {
        let store = Memory::new([7; 16]);
        let log = Log { kind: "mailbox", key: vec![1] };
        let append = || vec![Write::Append(Append { log: log.clone(), id: [1; 16], bytes: vec![] })];
        let first = ready(store.write(append())).unwrap().unwrap();
        store.forget_duplicates();
        assert_eq!(ready(store.write(append())).unwrap().unwrap(), [Written::Duplicate(Seq(1))], "it is still there");
        ready(store.write(vec![Write::Trim { log: log.clone(), through: Seq(1) }])).unwrap().unwrap();
        store.forget_duplicates();
        assert_ne!(ready(store.write(append())).unwrap().unwrap(), first);
    }
}
