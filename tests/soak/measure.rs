//! What processes take, as Linux tells it, and what of a row of figures is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What a process has at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Bytes that are resident.
    pub resident: u64,
    /// Those of them that are no file's.
    pub anonymous: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

/// What a process has; `None` where there is none.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().ok())
    };
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some(Usage {
        resident: field("VmRSS")? * 1024,
        anonymous: field("RssAnon")? * 1024,
        threads: field("Threads")?,
        descriptors,
    })
}

/// What the machine's processors did since the last look, and how much of that was for others.
#[derive(Default)]
pub struct Processors {
    all: u64,
    idle: u64,
    own: BTreeMap<u32, u64>,
}

/// Shares of the machine's processors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shares {
    /// Of the processes that were named.
    pub own: f64,
    /// Of all others.
    pub others: f64,
}

impl Processors {
    /// The shares since the last look; what processes did that have ended meanwhile counts as others'.
    pub fn look(&mut self, pids: impl Iterator<Item = u32>) -> Shares {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = first.split_whitespace().skip(1).take(8).filter_map(|tick| tick.parse().ok()).collect();
        let (all, idle) = (ticks.iter().sum::<u64>(), ticks.iter().skip(3).take(2).sum::<u64>());
        let own: BTreeMap<u32, u64> = pids.filter_map(|pid| Some((pid, ticks_of(pid)?))).collect();
        let more = |(pid, ticks): (&u32, &u64)| ticks.saturating_sub(self.own.get(pid).copied().unwrap_or_default());
        let mine: u64 = own.iter().map(more).sum();
        let (passed, idled) = (all.saturating_sub(self.all).max(1), idle.saturating_sub(self.idle));
        let others = passed.saturating_sub(idled).saturating_sub(mine);
        *self = Self { all, idle, own };
        let share = |part: u64| part as f64 / passed as f64;
        Shares { own: share(mine), others: share(others) }
    }
}

/// The ticks that a process has run for.
fn ticks_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold spaces; it ends with the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Bytes of all files below a folder.
pub fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes_below(&entry.path()),
        Ok(about) => about.len(),
        // It has gone meanwhile.
        Err(_) => 0,
    });
    sizes.sum()
}

/// The time that so many of a hundred did not take longer than; zero of none.
pub fn percentile(times: &[Duration], of_hundred: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (times.len() * of_hundred).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle one; zero of none.
pub fn median(figures: impl IntoIterator<Item = u64>) -> u64 {
    let mut figures: Vec<u64> = figures.into_iter().collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures that a verdict is made of are those of the nearest rank: one slow line of a hundred is the hundredth.
    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!([50, 99, 100].map(|part| percentile(&times, part).as_millis()), [100, 198, 200]);
        assert_eq!((percentile(&times[..1], 99).as_millis(), percentile(&[], 99).as_millis()), (1, 0));
        assert_eq!((median([3, 1, 2]), median([])), (2, 0));
    }

    /// This very process has what every process has.
    #[test]
    fn a_process_is_measured() {
        let here = usage(std::process::id()).unwrap();
        assert!(here.resident >= here.anonymous && here.anonymous > 0, "{here:?}");
        assert!(here.threads >= 1 && here.descriptors >= 3, "{here:?}");
        assert!(usage(u32::MAX).is_none());
        let mut processors = Processors::default();
        let first = processors.look([std::process::id()].into_iter());
        assert!(first.own >= 0.0 && first.own + first.others <= 1.0, "{first:?}");
    }
}
