//! What came of a soak, promise by promise.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::ledger::{Counts, Exchange};
use super::measure::{median, percentile};
use super::{Outage, Run, Sample};

/// A line of the honest pair takes no longer than this, 99 of 100 times.
const PROMPT: Duration = Duration::from_secs(2);
/// Memory is flat that grows by no more than this many of a hundred.
const FLAT: f64 = 5.0;
/// The time is looked at in so many parts.
const PARTS: u32 = 10;

/// Lines of the honest pair in a tenth of the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    lines: usize,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

/// Each tenth of the time, of the lines that were said in it.
pub(super) fn windows(calm: &[Exchange], started: Instant, time: Duration) -> Vec<Window> {
    let part = time / PARTS;
    let window = |number: u32| {
        let (from, until) = (started + part * number, started + part * (number + 1));
        let times: Vec<Duration> =
            calm.iter().filter(|one| (from..until).contains(&one.said)).map(Exchange::took).collect();
        let [p50, p99, max] = [50, 99, 100].map(|of_hundred| percentile(&times, of_hundred));
        Window { lines: times.len(), p50, p99, max }
    };
    (0..PARTS).map(window).collect()
}

/// An outage that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    how: &'static str,
    /// From the signal until the relay took connections again.
    relay: Option<Duration>,
    /// From then on until the pair was connected again.
    pair: Option<Duration>,
}

impl Away {
    pub(super) fn of(outage: &Outage) -> Self {
        let relay = outage.relay_back.map(|back| back.saturating_duration_since(outage.began));
        let pair = outage.relay_back.zip(outage.pair_back).map(|(relay, pair)| pair.saturating_duration_since(relay));
        Self { how: outage.how, relay, pair }
    }
}

/// What the relay has resident, in bytes, in the middle of two spans.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    before: u64,
    after: u64,
}

impl Span {
    fn grows(&self) -> f64 {
        100.0 * (self.after as f64 / self.before.max(1) as f64 - 1.0)
    }
}

/// Whether the relay's memory is flat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// The second tenth of the time, and the last.
    whole: Span,
    /// The first third of its last life, without what it takes to warm up, and the last tenth of the time.
    life: Span,
    /// Since when it lived then.
    lived: Duration,
}

impl Memory {
    pub(super) fn of(samples: &[Sample], started: Instant, time: Duration) -> Self {
        let part = time / PARTS;
        let between = |from: Instant, until: Instant, life: Option<usize>| {
            let those = samples.iter().filter(|sample| (from..until).contains(&sample.at));
            median(
                those.filter(|sample| life.is_none_or(|life| life == sample.life)).map(|sample| sample.usage.resident),
            )
        };
        let end = started + time;
        let after = between(end - part, end, None);
        let whole = Span { before: between(started + part, started + part * 2, None), after };
        let last = samples.iter().map(|sample| sample.life).max().unwrap_or_default();
        let born = samples.iter().find(|sample| sample.life == last).map_or(started, |sample| sample.at);
        let lived = end.saturating_duration_since(born);
        let life = Span { before: between(born + lived / 6, born + lived / 2, Some(last)), after };
        Self { whole, life, lived }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub(super) run: Run,
    pub(super) counts: Counts,
    pub(super) files: usize,
    pub(super) wrong: Vec<String>,
    pub(super) died: Vec<String>,
    pub(super) windows: Vec<Window>,
    pub(super) worst_disturbed: Duration,
    pub(super) outages: Vec<Away>,
    pub(super) memory: Memory,
    /// With everybody connected: at the start, and at the end.
    pub(super) full: (usize, usize),
    /// With nobody connected.
    pub(super) empty: (usize, usize),
    pub(super) errors: BTreeMap<String, u64>,
}

impl Report {
    /// Whether everything arrived once, in order and as it was changed, nobody died by themselves, and all links were closed again.
    pub fn arrives(&self) -> bool {
        let Counts { said, doubled, disordered, .. } = self.counts;
        let whole = said > 0 && self.wrong.is_empty() && doubled + disordered == 0;
        whole && self.died.is_empty() && self.full.1 <= self.full.0 && self.empty.1 <= self.empty.0
    }

    /// Whether the pair's lines were prompt, in each tenth of the time in which they said any.
    pub fn prompt(&self) -> bool {
        self.windows.iter().all(|window| window.p99 < PROMPT)
    }

    /// Whether the relay's memory is flat.
    pub fn flat(&self) -> bool {
        self.memory.whole.grows() <= FLAT && self.memory.life.grows() <= FLAT
    }

    /// Whether every promise was kept.
    pub fn holds(&self) -> bool {
        self.arrives() && self.prompt() && self.flat()
    }

    /// How many lines were accepted, and how often the relay was restarted.
    pub const fn size(&self) -> (u64, usize) {
        (self.counts.accepted, self.outages.len())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { said, accepted, due, shown, doubled, disordered, changes, .. } = self.counts;
        let Run { clients, time, pace, seed, .. } = self.run;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let seconds = |time: Option<Duration>| time.map_or_else(|| "never".to_owned(), |time| format!("{time:.1?}"));
        writeln!(f, "{clients} people, {:.1} minutes, {pace} things a second, seed {seed}", time.as_secs_f64() / 60.0)?;
        writeln!(f, "| promise | found | |\n|---|---|---|")?;
        let mut row = |promise: &str, found: String, holds: bool| {
            writeln!(f, "| {promise} | {found} | {} |", if holds { "kept" } else { "MISSED" })
        };
        let said = format!(
            "{said} lines said, {accepted} accepted, for {due} readers; {shown} printed, all others in histories"
        );
        row("nothing is lost", format!("{said}; {} things wrong", self.wrong.len()), self.wrong.is_empty())?;
        row("nothing is shown twice", format!("{doubled}"), doubled == 0)?;
        row("everything is in order", format!("{disordered} out of order"), disordered == 0)?;
        row(
            "changes and files arrive",
            format!("{changes} changes, {} files bit for bit", self.files),
            self.wrong.is_empty(),
        )?;
        row("no client dies", format!("{} died", self.died.len()), self.died.is_empty())?;
        for (what, (before, after)) in [("everybody", self.full), ("nobody", self.empty)] {
            let found = format!("{before} at the start, {after} at the end");
            row(&format!("the relay's descriptors, with {what} there"), found, after <= before)?;
        }
        for (what, span) in [("the second and the last tenth", self.memory.whole), ("its last life", self.memory.life)]
        {
            let found = format!("{:.1} MiB, then {:.1} MiB: {:+.1} %", mib(span.before), mib(span.after), span.grows());
            row(&format!("the relay's memory is flat, over {what}"), found, span.grows() <= FLAT)?;
        }
        let worst = self.windows.iter().max_by_key(|window| window.p99);
        let found = worst.map_or_else(String::new, |worst| {
            let Window { lines, p50, p99, max } = worst;
            format!("{lines} lines in the worst tenth: p50 {p50:.0?}, p99 {p99:.0?}, at most {max:.0?}")
        });
        row("the honest pair's lines are prompt", found, self.prompt())?;
        writeln!(f, "Its last life lasted {:.1} minutes.", self.memory.lived.as_secs_f64() / 60.0)?;
        for Away { how, relay, pair } in &self.outages {
            let (relay, pair) = (seconds(*relay), seconds(*pair));
            writeln!(f, "The relay was {how}: back after {relay}, the pair connected {pair} later.")?;
        }
        writeln!(f, "Lines of the pair that were under way meanwhile took {:.1?} at most.", self.worst_disturbed)?;
        for (error, times) in &self.errors {
            writeln!(f, "{times} times a client told: {error}")?;
        }
        self.died.iter().try_for_each(|who| writeln!(f, "{who} died"))?;
        self.wrong.iter().take(50).try_for_each(|wrong| writeln!(f, "wrong: {wrong}"))
    }
}
