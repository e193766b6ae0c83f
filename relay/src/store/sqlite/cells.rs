//! The values that are asked for again and again, and how many keys begin with a prefix: as the tables have them.
//!
//! Two generations: what is asked for moves to the young one; once that is full, it is the old one, and what nobody
//! asked for meanwhile is forgotten. Only the writer changes what is here, after its commit and before its answer. A
//! reader puts in what it has read only where no commit that changes a value began or ended since it began, and none is
//! under way: so nothing older than what was committed ever returns [STORE-5], and nothing is counted twice.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::store::bell::lock;
use crate::store::{Key, Value};

/// Bytes of a generation, roughly: with both, the accounts, devices and mailboxes of some ten thousand people.
const GENERATION: usize = 24 * 1024 * 1024;
/// Larger values are read each time: bodies of posts, and nothing that is asked for often.
const LARGE: usize = 8 * 1024;
/// What a value takes besides its bytes.
const AROUND: usize = 160;

#[derive(Clone)]
enum Kept {
    Value(Value),
    Count(u64),
}

/// A value's key, or a prefix of keys. Both are names, and differ by the mark.
type Place = (bool, Key);

#[derive(Default)]
struct State {
    young: HashMap<Place, Kept>,
    old: HashMap<Place, Kept>,
    bytes: usize,
    /// Counts how often a commit that changes something has begun or ended.
    changes: u64,
    /// One is under way: what is read now may or may not have it.
    committing: bool,
    /// Which lengths counted prefixes of a table have had, a bit each.
    lengths: HashMap<&'static str, u128>,
}

#[derive(Default)]
pub(super) struct Cells(Mutex<State>);

/// What a commit made of a key.
pub(super) enum Change {
    /// Another value; or the first one.
    Put(Key, Value, bool),
    Deleted(Key),
}

/// Before a read: how much had changed.
#[derive(Clone, Copy)]
pub(super) struct Before(u64);

impl Cells {
    /// The values of all these keys, where they are here and exist.
    pub(super) fn values(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, Before> {
        let mut state = lock(&self.0);
        let before = Before(state.changes);
        let value = |key: &Key| match state.kept(&(false, key.clone())) {
            Some(Kept::Value(value)) => Ok(Some(value)),
            _ => Err(before),
        };
        keys.iter().map(value).collect()
    }

    /// How many keys begin with a prefix, where that is here.
    pub(super) fn count(&self, prefix: &Key) -> Result<u64, Before> {
        let mut state = lock(&self.0);
        match state.kept(&(true, prefix.clone())) {
            Some(Kept::Count(count)) => Ok(count),
            _ => Err(Before(state.changes)),
        }
    }

    /// Keeps what was read, unless something has changed meanwhile.
    pub(super) fn keep(&self, before: Before, keys: &[Key], values: &[Option<Value>]) {
        let mut state = lock(&self.0);
        if state.unchanged(before) {
            for (key, value) in keys.iter().zip(values) {
                if let Some(value) = value.clone().filter(|value| value.bytes.len() <= LARGE) {
                    state.insert((false, key.clone()), Kept::Value(value));
                }
            }
        }
    }

    /// Keeps what was counted, unless something has changed meanwhile.
    pub(super) fn keep_count(&self, before: Before, prefix: Key, count: u64) {
        let mut state = lock(&self.0);
        if state.unchanged(before) && prefix.key.len() < 128 {
            *state.lengths.entry(prefix.table).or_default() |= 1 << prefix.key.len();
            state.insert((true, prefix), Kept::Count(count));
        }
    }

    /// A commit begins that changes something: [`Self::change`] or [`Self::ends`] follows.
    pub(super) fn begins(&self) {
        let mut state = lock(&self.0);
        (state.changes, state.committing) = (state.changes + 1, true);
    }

    /// It came to nothing.
    pub(super) fn ends(&self) {
        let mut state = lock(&self.0);
        (state.changes, state.committing) = (state.changes + 1, false);
    }

    /// What a commit has changed.
    pub(super) fn change(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut state = lock(&self.0);
        (state.changes, state.committing) = (state.changes + 1, false);
        for change in changes {
            let key = match change {
                Change::Put(key, value, first) => {
                    if first {
                        state.counted(&key, 1);
                    }
                    if value.bytes.len() <= LARGE {
                        state.insert((false, key), Kept::Value(value));
                        continue;
                    }
                    key
                }
                Change::Deleted(key) => {
                    state.counted(&key, -1);
                    key
                }
            };
            state.forget(&(false, key));
        }
    }
}

impl State {
    fn unchanged(&self, before: Before) -> bool {
        self.changes == before.0 && !self.committing
    }

    fn kept(&mut self, place: &Place) -> Option<Kept> {
        if let Some(kept) = self.young.get(place) {
            return Some(kept.clone());
        }
        let kept = self.old.remove(place)?;
        self.insert(place.clone(), kept.clone());
        Some(kept)
    }

    fn insert(&mut self, place: Place, kept: Kept) {
        self.forget(&place);
        self.bytes += weight(&place, &kept);
        self.young.insert(place, kept);
        if self.bytes > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }

    fn forget(&mut self, place: &Place) {
        if let Some(kept) = self.young.remove(place) {
            self.bytes -= weight(place, &kept);
        }
        self.old.remove(place);
    }

    /// A key has come or gone: counts of its prefixes follow.
    fn counted(&mut self, key: &Key, by: i64) {
        let mut lengths = self.lengths.get(key.table).copied().unwrap_or_default();
        while lengths != 0 {
            let length = lengths.trailing_zeros() as usize;
            lengths &= lengths - 1;
            let Some(prefix) = key.key.get(..length) else { break };
            let place = (true, Key { table: key.table, key: prefix.to_vec() });
            for generation in [&mut self.young, &mut self.old] {
                if let Some(Kept::Count(count)) = generation.get_mut(&place) {
                    *count = count.saturating_add_signed(by);
                }
            }
        }
    }
}

fn weight(place: &Place, kept: &Kept) -> usize {
    let value = match kept {
        Kept::Value(value) => value.bytes.len(),
        Kept::Count(_) => 0,
    };
    AROUND + place.1.key.len() + value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [STORE-5] what was counted while a commit was under way is not kept, whether it had the commit's key or not: it
    /// would be counted once more, or never.
    #[test]
    fn a_count_beside_a_commit_is_not_kept() {
        let cells = Cells::default();
        let key = |key: &[u8]| Key { table: "prekey", key: key.to_vec() };
        let value = Value { rev: crate::store::Rev(1), bytes: bytes::Bytes::new() };
        let before = cells.count(&key(b"a")).unwrap_err();
        cells.begins();
        let meanwhile = cells.count(&key(b"a")).unwrap_err();
        cells.keep_count(before, key(b"a"), 1);
        cells.keep_count(meanwhile, key(b"a"), 1);
        assert!(cells.count(&key(b"a")).is_err());
        cells.change(vec![Change::Put(key(b"a1"), value, true)]);
        cells.keep_count(meanwhile, key(b"a"), 1);
        let after = cells.count(&key(b"a")).unwrap_err();
        cells.keep_count(after, key(b"a"), 1);
        assert_eq!(cells.count(&key(b"a")).ok(), Some(1));
        cells.begins();
        cells.ends();
        assert_eq!(cells.count(&key(b"a")).ok(), Some(1));
    }
}
