//! The values that are asked for again and again, that there is none, and how many keys begin with a prefix: as the
//! tables have them.
//!
//! Two generations: what is asked for moves to the young one; once that is full, it is the old one, and what nobody
//! asked for meanwhile is forgotten. Only the writer changes what is here, after its commit and before its answer. A
//! reader puts in what it has read only where no commit that changes this very value was under way since it began: so
//! nothing older than what was committed ever returns [STORE-5], and nothing is counted twice. What other commits do is
//! no matter: when everybody comes back at once, one follows the other, and this fills all the same.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use crate::store::bell::lock;
use crate::store::{Key, Value};

/// Bytes of a generation, roughly: with both, the accounts, devices and mailboxes of some ten thousand people.
const GENERATION: usize = 24 * 1024 * 1024;
/// Larger values are read each time: bodies of posts, and nothing that is asked for often.
const LARGE: usize = 8 * 1024;
/// What a value takes besides its bytes.
const AROUND: usize = 160;
/// So many commits are remembered, the latest: more than a read lasts for.
const COMMITS: usize = 16;
/// Of a commit that changes more, each key counts as changed: what is read is compared with each of them.
const KEYS: usize = 64;

/// Values by their keys, `None` where it is known that there is none; and counts by the prefixes of what they count.
#[derive(Default)]
struct Generation {
    values: HashMap<Key, Option<Value>>,
    counts: HashMap<Key, u64>,
}

#[derive(Default)]
struct State {
    young: Generation,
    old: Generation,
    bytes: usize,
    /// Counts how often a commit that changes something has begun or ended.
    changes: u64,
    /// The latest of them, in order: only the last one may be under way.
    commits: VecDeque<Commit>,
    /// What [`State::changes`] was when the last one ended that is not remembered any more.
    forgotten: u64,
    /// Which lengths counted prefixes of a table have had, a bit each.
    lengths: HashMap<&'static str, u128>,
}

#[derive(Default)]
pub(super) struct Cells(Mutex<State>);

/// A commit that changes something.
struct Commit {
    /// `None`: of too many keys to tell.
    keys: Option<Vec<Key>>,
    /// What [`State::changes`] was when it ended; `None` while it is under way: what is read now may or may not have it.
    ended: Option<u64>,
}

/// What a commit made of a key.
pub(super) enum Change {
    /// Another value; or the first one.
    Put(Key, Value, bool),
    Deleted(Key),
}

impl Change {
    fn key(&self) -> &Key {
        match self {
            Self::Put(key, ..) | Self::Deleted(key) => key,
        }
    }
}

/// Before a read: how much had changed.
#[derive(Clone, Copy)]
pub(super) struct Before(u64);

impl Cells {
    /// The values of all these keys, where each is here, or known not to exist.
    pub(super) fn values(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, Before> {
        let mut state = lock(&self.0);
        let before = Before(state.changes);
        keys.iter().map(|key| state.value(key).ok_or(before)).collect()
    }

    /// How many keys begin with a prefix, where that is here.
    pub(super) fn count(&self, prefix: &Key) -> Result<u64, Before> {
        let mut state = lock(&self.0);
        state.count(prefix).ok_or(Before(state.changes))
    }

    /// Keeps what was read of these keys and has not changed meanwhile.
    pub(super) fn keep(&self, before: Before, keys: &[Key], values: &[Option<Value>]) {
        let mut state = lock(&self.0);
        for (key, value) in keys.iter().zip(values) {
            let small = value.as_ref().is_none_or(|value| value.bytes.len() <= LARGE);
            if small && state.unchanged(before, |changed| changed == key) {
                state.insert(key.clone(), value.clone());
            }
        }
    }

    /// Keeps what was counted, unless a key has come or gone meanwhile that counts.
    pub(super) fn keep_count(&self, before: Before, prefix: Key, count: u64) {
        let mut state = lock(&self.0);
        let counts = |changed: &Key| changed.table == prefix.table && changed.key.starts_with(&prefix.key);
        if prefix.key.len() < 128 && state.unchanged(before, counts) {
            *state.lengths.entry(prefix.table).or_default() |= 1 << prefix.key.len();
            state.insert_count(prefix, count);
        }
    }

    /// A commit begins that changes this: [`Self::change`] or [`Self::ends`] follows.
    pub(super) fn begins(&self, changes: &[Change]) {
        let keys = (changes.len() <= KEYS).then(|| changes.iter().map(Change::key).cloned().collect());
        let mut state = lock(&self.0);
        state.changes += 1;
        if state.commits.len() >= COMMITS
            && let Some(Commit { ended, .. }) = state.commits.pop_front()
        {
            state.forgotten = ended.unwrap_or(state.changes);
        }
        state.commits.push_back(Commit { keys, ended: None });
    }

    /// It came to nothing.
    pub(super) fn ends(&self) {
        lock(&self.0).commit_ended();
    }

    /// What a commit has changed.
    pub(super) fn change(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut state = lock(&self.0);
        state.commit_ended();
        for change in changes {
            let key = match change {
                Change::Put(key, value, first) => {
                    if first {
                        state.counted(&key, 1);
                    }
                    if value.bytes.len() <= LARGE {
                        state.insert(key, Some(value));
                        continue;
                    }
                    key
                }
                Change::Deleted(key) => {
                    state.counted(&key, -1);
                    key
                }
            };
            state.forget(&key);
        }
    }
}

impl State {
    fn commit_ended(&mut self) {
        self.changes += 1;
        if let Some(last) = self.commits.back_mut() {
            last.ended = Some(self.changes);
        }
    }

    /// Whether no commit that changes such a key was under way since then.
    fn unchanged(&self, before: Before, such: impl Fn(&Key) -> bool) -> bool {
        let since = self.commits.iter().rev().take_while(|commit| commit.ended.is_none_or(|ended| ended > before.0));
        let mut keys = since.map(|commit| commit.keys.as_ref());
        self.forgotten <= before.0 && keys.all(|keys| keys.is_some_and(|keys| !keys.iter().any(&such)))
    }

    /// The value, or that there is none; `None` where that is not known.
    fn value(&mut self, key: &Key) -> Option<Option<Value>> {
        if let Some(value) = self.young.values.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.values.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    fn count(&mut self, prefix: &Key) -> Option<u64> {
        if let Some(count) = self.young.counts.get(prefix) {
            return Some(*count);
        }
        let (prefix, count) = self.old.counts.remove_entry(prefix)?;
        self.insert_count(prefix, count);
        Some(count)
    }

    fn insert(&mut self, key: Key, value: Option<Value>) {
        self.forget(&key);
        self.bytes += weight(&key, value.as_ref());
        self.young.values.insert(key, value);
        self.age();
    }

    fn insert_count(&mut self, prefix: Key, count: u64) {
        self.old.counts.remove(&prefix);
        let bytes = AROUND + prefix.key.len();
        if self.young.counts.insert(prefix, count).is_none() {
            self.bytes += bytes;
        }
        self.age();
    }

    fn age(&mut self) {
        if self.bytes > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(value) = self.young.values.remove(key) {
            self.bytes -= weight(key, value.as_ref());
        }
        self.old.values.remove(key);
    }

    /// A key has come or gone: counts of its prefixes follow.
    fn counted(&mut self, key: &Key, by: i64) {
        let mut lengths = self.lengths.get(key.table).copied().unwrap_or_default();
        while lengths != 0 {
            let length = lengths.trailing_zeros() as usize;
            lengths &= lengths - 1;
            let Some(prefix) = key.key.get(..length) else { break };
            let prefix = Key { table: key.table, key: prefix.to_vec() };
            for generation in [&mut self.young, &mut self.old] {
                if let Some(count) = generation.counts.get_mut(&prefix) {
                    *count = count.saturating_add_signed(by);
                }
            }
        }
    }
}

fn weight(key: &Key, value: Option<&Value>) -> usize {
    AROUND + key.key.len() + value.map_or(0, |value| value.bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &[u8]) -> Key {
        Key { table: "prekey", key: key.to_vec() }
    }

    fn value() -> Value {
        Value { rev: crate::store::Rev(1), bytes: bytes::Bytes::new() }
    }

    /// [STORE-5] what was counted while a commit was under way is not kept, whether it had the commit's key or not: it
    /// would be counted once more, or never.
    #[test]
    fn a_count_beside_a_commit_is_not_kept() {
        let cells = Cells::default();
        let before = cells.count(&key(b"a")).unwrap_err();
        let changes = vec![Change::Put(key(b"a1"), value(), true)];
        cells.begins(&changes);
        let meanwhile = cells.count(&key(b"a")).unwrap_err();
        cells.keep_count(before, key(b"a"), 1);
        cells.keep_count(meanwhile, key(b"a"), 1);
        assert!(cells.count(&key(b"a")).is_err());
        cells.change(changes);
        cells.keep_count(meanwhile, key(b"a"), 1);
        let after = cells.count(&key(b"a")).unwrap_err();
        cells.keep_count(after, key(b"a"), 1);
        assert_eq!(cells.count(&key(b"a")).ok(), Some(1));
        cells.begins(&[]);
        cells.ends();
        assert_eq!(cells.count(&key(b"a")).ok(), Some(1));
    }

    fn put(name: &[u8]) -> Change {
        Change::Put(key(name), value(), false)
    }

    /// [STORE-5] that there is no value is kept like a value, until one comes; and not where one came meanwhile.
    #[test]
    fn what_is_not_there_is_known() {
        let cells = Cells::default();
        let one = [key(b"a")];
        let before = cells.values(&one).unwrap_err();
        cells.keep(before, &one, &[None]);
        assert_eq!(cells.values(&one).ok(), Some(vec![None]));
        let first = || vec![Change::Put(key(b"a"), value(), true)];
        cells.begins(&first());
        assert_eq!(cells.values(&one).ok(), Some(vec![None]), "the commit is under way");
        cells.change(first());
        assert_eq!(cells.values(&one).ok(), Some(vec![Some(value())]));
        let deleted = vec![Change::Deleted(key(b"a"))];
        cells.begins(&deleted);
        cells.change(deleted);
        let before = cells.values(&one).unwrap_err();
        cells.begins(&first());
        cells.change(first());
        cells.keep(before, &one, &[None]);
        assert_eq!(cells.values(&one).ok(), Some(vec![Some(value())]), "it was read before");
    }

    /// [STORE-5] what was read beside commits is kept where none of them changes it, and not where one does: whether it
    /// is under way, has ended, or is one of too many to be remembered.
    #[test]
    fn what_others_commit_is_no_matter() {
        let cells = Cells::default();
        let both = [key(b"mine"), key(b"other")];
        let keep = |before, one: usize| cells.keep(before, &both[one..=one], &[Some(value())]);
        let kept = |one: usize| cells.values(&both[one..=one]).is_ok();
        let before = cells.values(&both).unwrap_err();
        cells.begins(&[put(b"other")]);
        (0..2).for_each(|one| keep(before, one));
        assert_eq!([kept(0), kept(1)], [true, false], "one is under way");
        cells.ends();
        keep(before, 1);
        assert!(!kept(1), "it has ended since");
        let before = cells.values(&both).unwrap_err();
        cells.begins(&(0..=KEYS).map(|_| put(b"many")).collect::<Vec<_>>());
        keep(before, 1);
        assert!(!kept(1), "it may be any");
        cells.ends();
        let before = cells.values(&both).unwrap_err();
        for _ in 0..COMMITS {
            cells.begins(&[put(b"a")]);
            cells.ends();
        }
        let after = cells.values(&both).unwrap_err();
        cells.begins(&[put(b"a")]);
        cells.ends();
        keep(before, 1);
        assert!(!kept(1), "not all of them are remembered");
        keep(after, 1);
        assert!(kept(1));
    }
}
