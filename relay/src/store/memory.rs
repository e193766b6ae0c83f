//! The store that forgets with its process: for simulations and tests. Every future is ready at its first poll.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use sealpost_spec::mailbox::{Seq, StoreId};

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
    commits: u64,
    stopped: bool,
}

/// A table and a key in it.
type Place = (&'static str, Vec<u8>);

#[derive(Clone, Default)]
struct State {
    last_seq: u64,
    last_rev: u64,
    logs: HashMap<Log, Contents>,
    tables: BTreeMap<Place, (u64, Vec<u8>)>,
    parts: BTreeMap<([u8; 16], u64), Vec<u8>>,
}

#[derive(Clone, Default)]
struct Contents {
    entries: BTreeMap<u64, ([u8; 16], Vec<u8>)>,
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

    /// What a restart finds: everything that was durable. This handle stops, as a killed process does.
    #[must_use]
    pub fn reopen(&self, crash: CrashPoints) -> Self {
        lock(&self.life).stopped = true;
        Self {
            id: self.id,
            bells: Bells::default(),
            crash,
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
    }

    /// Whether it has crashed or was reopened elsewhere.
    pub fn stopped(&self) -> bool {
        lock(&self.life).stopped
    }

    /// Every value and entry that it holds, for tests that look for what must not be there.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        let state = lock(&self.state);
        let entries = state.logs.values().flat_map(|log| log.entries.values().map(|(_, bytes)| bytes.clone()));
        let values = state.tables.iter().map(|((_, key), (_, value))| [key.as_slice(), value].concat());
        entries.chain(values).chain(state.parts.values().cloned()).collect()
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
            return Err(Fault::Stopped);
        }
        Ok(())
    }

    fn commit(&self, batch: Vec<Write>) -> Result<Vec<Written>, Fault> {
        self.crash(CrashPoint::BeforeCommit)?;
        let mut written = Vec::with_capacity(batch.len());
        let mut woken = Vec::new();
        {
            let mut state = lock(&self.state);
            for write in batch {
                if let Write::Append(append) = &write {
                    woken.push(append.log.clone());
                }
                written.push(state.apply(write));
                if written.last() == Some(&Written::Moved) {
                    break;
                }
            }
        }
        self.crash(CrashPoint::AfterCommit)?;
        woken.iter().for_each(|log| self.bells.ring(log));
        Ok(written)
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
                contents.entries.insert(self.last_seq, (id, bytes));
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
                self.tables.insert(key, (self.last_rev, value));
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
            Write::PutPart { blob, offset, bytes } => {
                self.parts.insert((blob, offset), bytes);
                Written::Done
            }
            Write::DeleteBlob { blob } => {
                self.parts.retain(|(of, _), _| *of != blob);
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

    async fn read(&self, log: &Log, after: Seq, limit: Limit) -> Result<Vec<Entry>, Fault> {
        self.alive()?;
        let state = lock(&self.state);
        let Some(contents) = state.logs.get(log) else { return Ok(Vec::new()) };
        let mut bytes_read = 0;
        let next = contents.entries.range(after.0.saturating_add(1)..).take(limit.count.max(1));
        let entries = next.take_while(|(_, (_, bytes))| {
            let first = bytes_read == 0;
            bytes_read += bytes.len().max(1);
            first || bytes_read <= limit.bytes
        });
        Ok(entries.map(|(seq, (id, bytes))| Entry { seq: Seq(*seq), id: *id, bytes: bytes.clone() }).collect())
    }

    async fn usage(&self, log: &Log) -> Result<Usage, Fault> {
        self.alive()?;
        let state = lock(&self.state);
        Ok(state
            .logs
            .get(log)
            .map(|contents| Usage { count: contents.entries.len() as u64, bytes: contents.bytes })
            .unwrap_or_default())
    }

    async fn total(&self, kind: &'static str) -> Result<Usage, Fault> {
        self.alive()?;
        let state = lock(&self.state);
        let logs = state.logs.iter().filter(|(log, _)| log.kind == kind).map(|(_, contents)| contents);
        Ok(logs.fold(Usage::default(), |sum, contents| Usage {
            count: sum.count + contents.entries.len() as u64,
            bytes: sum.bytes + contents.bytes,
        }))
    }

    fn watch(&self, log: &Log, bell: &Bell, tag: u32) -> Watch {
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

    async fn part(&self, blob: [u8; 16], offset: u64) -> Result<Option<Vec<u8>>, Fault> {
        self.alive()?;
        Ok(lock(&self.state).parts.get(&(blob, offset)).cloned())
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

    struct Drive(Option<Memory>);

    impl Bench for Drive {
        type Store = Memory;

        async fn open(&mut self, crash: CrashPoints) -> Memory {
            let store = match &self.0 {
                Some(before) => before.reopen(crash),
                None => Memory::crashing([7; 16], crash),
            };
            // The bench keeps a handle on the same contents, as a disk does.
            self.0 = Some(Memory { state: Arc::clone(&store.state), ..Memory::new([7; 16]) });
            store
        }
    }

    /// [STORE-1] to [STORE-10] and without any runtime: every future is ready at once.
    #[test]
    fn memory_conforms() {
        ready(conformance::all(|| Drive(None))).expect("nothing waits");
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
