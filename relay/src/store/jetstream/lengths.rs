//! Which prefixes of tables have too many keys to be listed at once: asked seldom, as a wrong answer costs time alone.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::store::bell::lock;

/// For so long an answer is taken for right.
const HOLDS: Duration = Duration::from_secs(60);
/// Answers that are kept.
const ANSWERS: usize = 10_000;

#[derive(Default)]
pub(super) struct Lengths(Mutex<HashMap<String, (bool, Instant)>>);

impl Lengths {
    /// Whether there are many; `None`: not known.
    pub(super) fn of(&self, filter: &str) -> Option<bool> {
        lock(&self.0).get(filter).filter(|(_, at)| at.elapsed() < HOLDS).map(|(long, _)| *long)
    }

    pub(super) fn note(&self, filter: String, long: bool) {
        let mut answers = lock(&self.0);
        if answers.len() >= ANSWERS {
            answers.clear();
        }
        answers.insert(filter, (long, Instant::now()));
    }
}
