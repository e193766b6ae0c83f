//! How a store wakes a link: one bell per link, and a tag for each log that it watches.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;

use super::Log;

/// Rung by stores and by the relay itself; heard by one link. Cheap to clone: a clone is the same bell. Ringing and
/// hearing take no lock and no memory: a post rings a thousand of them.
#[derive(Clone, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// A bit for each tag that it was rung with.
    tags: [AtomicU64; Tags::WORDS],
    wake: AtomicWaker,
}

/// A set of tags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Tags([u64; Tags::WORDS]);

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rings it with a tag.
    pub fn ring(&self, tag: u8) {
        let (word, bit) = Tags::place(tag);
        if let Some(tags) = self.0.tags.get(word) {
            // Whoever has the tag already will wake, or is about to look.
            if tags.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
                self.0.wake.wake();
            }
        }
    }

    /// The tags that it was rung with since the last time; none where it was not.
    pub fn take(&self) -> Tags {
        let mut taken = Tags::default();
        for (taken, tags) in taken.0.iter_mut().zip(&self.0.tags) {
            if tags.load(Ordering::Relaxed) != 0 {
                *taken = tags.swap(0, Ordering::AcqRel);
            }
        }
        taken
    }

    /// Waits until it is rung, or returns at once where it was. Tags stay until [`Bell::take`]; dropping the future
    /// loses nothing.
    pub async fn rung(&self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }

    /// [`Bell::rung`] for who polls.
    pub fn poll_rung(&self, context: &Context<'_>) -> Poll<()> {
        let rung = || self.0.tags.iter().any(|tags| tags.load(Ordering::Acquire) != 0);
        if rung() {
            return Poll::Ready(());
        }
        // Looked at again once who rings knows whom to wake.
        self.0.wake.register(context.waker());
        if rung() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Tags {
    const WORDS: usize = 4;

    fn place(tag: u8) -> (usize, u64) {
        (usize::from(tag / 64), 1 << (tag % 64))
    }

    /// None of them.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; Self::WORDS]
    }

    /// Adds those of another set.
    pub fn extend(&mut self, others: Self) {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word |= other);
    }

    /// The lowest.
    pub fn first(&self) -> Option<u8> {
        let (at, word) = self.0.iter().enumerate().find(|(_, word)| **word != 0)?;
        u8::try_from(at * 64 + word.trailing_zeros() as usize).ok()
    }

    /// Adds one.
    pub fn insert(&mut self, tag: u8) {
        let (word, bit) = Self::place(tag);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    /// Takes one away.
    pub fn remove(&mut self, tag: u8) {
        let (word, bit) = Self::place(tag);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }
}

impl FromIterator<u8> for Tags {
    fn from_iter<I: IntoIterator<Item = u8>>(tags: I) -> Self {
        let mut all = Self::default();
        tags.into_iter().for_each(|tag| all.insert(tag));
        all
    }
}

impl std::fmt::Debug for Tags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = *self;
        let all = std::iter::from_fn(|| {
            let first = rest.first()?;
            rest.remove(first);
            Some(first)
        });
        f.debug_set().entries(all).finish()
    }
}

/// A bell's place at a log; dropping it ends the watch.
pub struct Watch {
    bells: Bells,
    log: Log,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut register = lock(&self.bells.register);
        let Some(watchers) = register.logs.get_mut(&self.log) else { return };
        // In the order of their numbers: a thousand that leave together don't look at each other.
        if let Ok(at) = watchers.binary_search_by_key(&self.number, |(number, ..)| *number) {
            watchers.remove(at);
        }
        if watchers.is_empty() {
            register.logs.remove(&self.log);
            drop(register);
            if let Some(left) = &self.bells.left {
                left(&self.log);
            }
        }
    }
}

/// Which bell hangs at which log: a store whose writers are all in this process needs no more.
#[derive(Clone, Default)]
pub struct Bells {
    register: Arc<Mutex<Register>>,
    /// Told when the last one has left a log.
    left: Option<Arc<Left>>,
}

type Left = dyn Fn(&Log) + Send + Sync;

#[derive(Default)]
struct Register {
    next: u64,
    logs: HashMap<Log, Vec<(u64, Bell, u8)>>,
}

impl Bells {
    /// Bells that tell when the last of them has left a log.
    pub(super) fn telling(left: impl Fn(&Log) + Send + Sync + 'static) -> Self {
        Self { left: Some(Arc::new(left)), ..Self::default() }
    }

    /// Hangs a bell at a log.
    pub fn watch(&self, log: &Log, bell: &Bell, tag: u8) -> Watch {
        let mut register = lock(&self.register);
        register.next += 1;
        let number = register.next;
        // Nearly every log has one watcher: its mailbox's device, or a room's followers together.
        let watchers = register.logs.entry(log.clone()).or_insert_with(|| Vec::with_capacity(1));
        watchers.push((number, bell.clone(), tag));
        Watch { bells: self.clone(), log: log.clone(), number }
    }

    /// Whether a bell hangs at a log.
    pub fn hangs(&self, log: &Log) -> bool {
        lock(&self.register).logs.contains_key(log)
    }

    /// Rings all bells at the logs for which this is true.
    pub(super) fn ring_those(&self, which: impl Fn(&Log) -> bool) {
        for (log, watchers) in &lock(&self.register).logs {
            if which(log) {
                watchers.iter().for_each(|(_, bell, tag)| bell.ring(*tag));
            }
        }
    }

    /// Rings all bells at a log. [STORE-7]
    pub fn ring(&self, log: &Log) {
        for (_, bell, tag) in lock(&self.register).logs.get(log).into_iter().flatten() {
            bell.ring(*tag);
        }
    }
}

/// A mutex whose holders can't panic halfway through a change has nothing to be poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
