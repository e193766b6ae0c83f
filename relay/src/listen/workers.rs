//! The threads that serve links, each with a runtime of its own: a link stays on one thread for life.
//!
//! A delivery is one system call and some microseconds; what a runtime of several threads adds to it, tasks that are
//! stolen, queues that are shared, wakes that cross over, costs a third as much again. So each thread is for itself, and
//! links are dealt out to them in turn.
//!
//! The door has a thread too: it accepts, and does the handshakes, which take as long as a hundred deliveries each. The
//! system lets it run only where the links leave it time, so that newcomers wait for links and never links for them.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::answer::Shard;

/// Half of the cores, one at least: the store's threads, which write and sync, need the others.
pub(super) fn usual() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// How much the door's thread gives way to others, as `nice` has it: a tenth of a share where all want to run.
const GIVES_WAY: i32 = 10;

/// The longest rest of the door between two pieces of work.
const REST: Duration = Duration::from_millis(2);

/// All of them. Dropping them ends what still runs there.
pub(super) struct Workers {
    workers: Vec<Worker>,
    turn: AtomicUsize,
    alone: Worker,
    /// `None`: the runtime of whoever asks.
    door: Option<Thread>,
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
        Self { workers: Vec::new(), turn: AtomicUsize::new(0), alone: Worker { shard, thread: None }, door: None }
    }

    pub(super) fn start(count: usize, shard: impl Fn() -> Shard) -> std::io::Result<Self> {
        let start = |_| Ok(Worker { shard: shard(), thread: Some(Thread::start("links", || ())?) });
        let workers = (0..count).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { workers, door: Some(Thread::start("door", give_way)?), ..Self::none(shard()) })
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> &Worker {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(self.workers.len()).and_then(|at| self.workers.get(at)).unwrap_or(&self.alone)
    }
}

impl Workers {
    /// A task of the door's.
    pub(super) fn at_the_door(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        match &self.door {
            Some(door) => door.runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }

    /// Lets links go first after a piece of the door's work, which took so long. In a crowd the door rests three times
    /// as long as it worked: a system that lets a thread run for some milliseconds once it runs would have links wait for that.
    pub(super) fn after_you(&self, worked: Duration, crowd: bool) {
        if self.door.is_some() {
            match crowd {
                true => std::thread::sleep((3 * worked).min(REST)),
                false => std::thread::yield_now(),
            }
        }
    }
}

/// Where the system refuses it, handshakes have the rank of links.
fn give_way() {
    // On Linux this is a thread's own, elsewhere the process's.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, GIVES_WAY);
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
    fn start(name: &str, first: fn()) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let serve = move || {
            first();
            drop(runtime.block_on(ended));
        };
        let joins = std::thread::Builder::new().name(name.to_owned()).spawn(serve)?;
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
