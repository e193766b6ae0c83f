//! Places where a test can kill a relay: before and after each commit, where everything that can be lost is lost.

use std::sync::Arc;

/// Where in a store's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// The writes are known and nothing of them is durable.
    BeforeCommit,
    /// What goes into logs is durable, and what goes into tables is not: where a store keeps them apart, of commits that have
    /// both.
    BetweenSyncs,
    /// They are durable, and nobody has been told.
    AfterCommit,
}

/// Asked at each [`CrashPoint`] with the number of the commit, from 1: `true` crashes there. The store then answers
/// nothing but [`super::Fault::Stopped`] until it is opened again.
#[derive(Clone)]
pub struct CrashPoints(Arc<dyn Fn(CrashPoint, u64) -> bool + Send + Sync>);

impl CrashPoints {
    /// Never crashes: every store outside of tests.
    pub fn none() -> Self {
        Self(Arc::new(|_, _| false))
    }

    /// Crashes where this says so.
    pub fn when(crash: impl Fn(CrashPoint, u64) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(crash))
    }

    /// Crashes at one point of one commit.
    pub fn at(point: CrashPoint, commit: u64) -> Self {
        Self::when(move |at, number| at == point && number == commit)
    }

    pub(crate) fn crashes(&self, point: CrashPoint, commit: u64) -> bool {
        (self.0)(point, commit)
    }
}
