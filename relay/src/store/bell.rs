//! How a store wakes a link: one bell per link, and a tag for each log that it watches.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Log;

/// Rung by stores and by the relay itself; heard by one link. Cheap to clone: a clone is the same bell.
#[derive(Clone, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tags: Mutex<BTreeSet<u32>>,
    wake: Notify,
}

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rings it with a tag.
    pub fn ring(&self, tag: u32) {
        lock(&self.0.tags).insert(tag);
        self.0.wake.notify_one();
    }

    /// The tags that it was rung with since the last time; none where it was not.
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.0.tags)).into_iter().collect()
    }

    /// Waits until it is rung, or returns at once where it was. Tags stay until [`Bell::take`]; dropping the future
    /// loses nothing.
    pub async fn rung(&self) {
        while lock(&self.0.tags).is_empty() {
            self.0.wake.notified().await;
        }
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
        let mut register = lock(&self.bells.0);
        if let Some(watchers) = register.logs.get_mut(&self.log) {
            watchers.retain(|(number, ..)| *number != self.number);
            if watchers.is_empty() {
                register.logs.remove(&self.log);
            }
        }
    }
}

/// Which bell hangs at which log: a store whose writers are all in this process needs no more.
#[derive(Clone, Default)]
pub struct Bells(Arc<Mutex<Register>>);

#[derive(Default)]
struct Register {
    next: u64,
    logs: HashMap<Log, Vec<(u64, Bell, u32)>>,
}

impl Bells {
    /// Hangs a bell at a log.
    pub fn watch(&self, log: &Log, bell: &Bell, tag: u32) -> Watch {
        let mut register = lock(&self.0);
        register.next += 1;
        let number = register.next;
        register.logs.entry(log.clone()).or_default().push((number, bell.clone(), tag));
        Watch { bells: self.clone(), log: log.clone(), number }
    }

    /// Whether a bell hangs at a log.
    pub fn hangs(&self, log: &Log) -> bool {
        lock(&self.0).logs.contains_key(log)
    }

    /// Rings all bells at a log. [STORE-7]
    pub fn ring(&self, log: &Log) {
        for (_, bell, tag) in lock(&self.0).logs.get(log).into_iter().flatten() {
            bell.ring(*tag);
        }
    }
}

/// A mutex whose holders can't panic halfway through a change has nothing to be poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
