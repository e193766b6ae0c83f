//! Kinds of figures.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Counts what happened.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts each of a fixed number of things that happened.
#[derive(Debug)]
pub struct Each<const N: usize>([Counter; N]);

impl<const N: usize> Each<N> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self([const { Counter::new() }; N])
    }

    /// So many more of one of them. One that there is not counts nowhere.
    pub fn add(&self, which: usize, more: u64) {
        if let Some(counter) = self.0.get(which) {
            counter.add(more);
        }
    }

    /// How many of each.
    pub fn values(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Counter::value)
    }
}

impl<const N: usize> Default for Each<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// How many there are now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// None.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// So many more, or less.
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// One more until this is dropped.
    pub fn raise(&self) -> Raised<'_> {
        self.add(1);
        Raised(self)
    }

    /// How many.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts one in a [`Gauge`] until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Raised<'a>(&'a Gauge);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// Counts values by their size: so many were at most as large as each bound, and so many larger.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    counts: [Counter; N],
    larger: Counter,
    sum: Counter,
}

impl<const N: usize> Histogram<N> {
    /// None yet. `bounds` rise.
    pub const fn new(bounds: &'static [u64; N]) -> Self {
        Self { bounds, counts: [const { Counter::new() }; N], larger: Counter::new(), sum: Counter::new() }
    }

    /// Another value.
    pub fn observe(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(at).unwrap_or(&self.larger).add(1);
        self.sum.add(value);
    }

    /// Another duration, in microseconds.
    pub fn took(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// All values together; and, for each bound, how many were at most as large as it and larger than the one before.
    /// The last is of what exceeds all bounds, and has none.
    pub(super) fn read(&self) -> (u64, Vec<(Option<u64>, u64)>) {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let counts = self.counts.iter().chain([&self.larger]).map(Counter::value);
        (self.sum.value(), bounds.zip(counts).collect())
    }
}
