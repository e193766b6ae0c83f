//! The threads that serve links, each with a runtime of its own: a link stays on one thread for life.
//!
//! A delivery is one system call and some microseconds; what a runtime of several threads adds to it, tasks that are
//! stolen, queues that are shared, wakes that cross over, costs a third as much again. So each thread is for itself, and
//! links are dealt out to them in turn.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::answer::Shard;

/// Half of the cores, one at least: the store's threads, which write and sync, need the others.
pub(super) fn usual() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// All of them. Dropping them ends what still runs there.
pub(super) struct Workers {
    workers: Vec<Worker>,
    turn: AtomicUsize,
    alone: Worker,
}

/// One thread.
pub(super) struct Worker {
    pub(super) shard: Shard,
    /// `None`: the runtime of whoever asks.
    thread: Option<Thread>,
}

struct Thread {
    runtime: Handle,
    end: Option<oneshot::Sender<()>>,
    joins: Option<JoinHandle<()>>,
}

impl Workers {
    /// No threads: links are served where they are accepted.
    pub(super) fn none(shard: Shard) -> Self {
        Self { workers: Vec::new(), turn: AtomicUsize::new(0), alone: Worker { shard, thread: None } }
    }

    pub(super) fn start(count: usize, shard: impl Fn() -> Shard) -> std::io::Result<Self> {
        let start = |_| Ok(Worker { shard: shard(), thread: Some(Thread::start()?) });
        Ok(Self { workers: (0..count).map(start).collect::<std::io::Result<_>>()?, ..Self::none(shard()) })
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> &Worker {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(self.workers.len()).and_then(|at| self.workers.get(at)).unwrap_or(&self.alone)
    }
}

impl Worker {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.thread {
            Some(thread) => drop(thread.runtime.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }
}

impl Thread {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let serve = move || drop(runtime.block_on(ended));
        let joins = std::thread::Builder::new().name("links".to_owned()).spawn(serve)?;
        Ok(Self { runtime: handle, end: Some(end), joins: Some(joins) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(joins) = self.joins.take().filter(|joins| joins.thread().id() != std::thread::current().id()) {
            // It panicked: that was logged, and nothing can be done here.
            let _ = joins.join();
        }
    }
}
