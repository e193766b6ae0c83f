//! CPU time, which somebody else's load does not lengthen as it does the time of day.
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of the calling thread.
pub fn thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of this process.
pub fn process() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// What the machine did while something ran.
pub struct Load {
    began: Instant,
    own: Duration,
    busy: Duration,
}

impl Load {
    /// Begins to watch.
    pub fn watch() -> Self {
        Self { began: Instant::now(), own: process(), busy: busy() }
    }

    /// The part of all cores that others used meanwhile, in per cent.
    pub fn of_others(&self) -> f64 {
        let own = process() - self.own;
        let others = (busy() - self.busy).saturating_sub(own);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        100.0 * others.as_secs_f64() / (self.began.elapsed().as_secs_f64() * cores as f64)
    }
}

/// CPU time of everybody since the machine started, with what a hypervisor kept for itself (`man 5 proc`).
pub fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user nice system idle iowait irq softirq steal; a hundred ticks are a second.
    let ticks = fields.take(8).enumerate().filter(|(field, _)| !matches!(field, 3 | 4));
    Duration::from_millis(10 * ticks.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum::<u64>())
}
