//! How much is on its way at once, and what is asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use sealpost_spec::relay::Refusal;
use tokio::time::Instant;

use crate::engine::{Failure, FileTrouble, RequestId};

/// Most parts that are on their way: what a relay counts ahead of what it has. **[FILE-15]**
pub(super) const MOST: usize = 16;
/// An answer that takes longer shows that too much is on its way: each must come before the link's deadline.
const SLOW: Duration = Duration::from_secs(3);
/// One that comes sooner leaves room for more.
const QUICK: Duration = Duration::from_secs(1);
/// So often in a row something is asked again without any of it having come further.
const FRUITLESS: u32 = 4;
/// The longest rest that a relay's wish for fewer requests gets before the engine hears of it, in milliseconds.
const LONGEST_REST: u32 = 30_000;

/// The requests of one file that are on their way.
pub(super) struct Flight {
    flying: BTreeMap<RequestId, (u32, Instant)>,
    window: usize,
    failed: Option<Failure>,
    fruitless: u32,
    came: u32,
    rest: Option<Duration>,
}

impl Flight {
    pub(super) fn new() -> Self {
        Self { flying: BTreeMap::new(), window: 2, failed: None, fruitless: 0, came: 0, rest: None }
    }

    /// Whether another part may leave.
    pub(super) fn has_room(&self) -> bool {
        self.flying.len() < self.window && !self.is_troubled()
    }

    /// Whether something has to be asked again, once all answers are there.
    pub(super) fn is_troubled(&self) -> bool {
        self.failed.is_some() || self.rest.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }

    pub(super) fn departs(&mut self, id: RequestId, part: u32) {
        self.flying.insert(id, (part, Instant::now()));
    }

    /// An answer came: to which part.
    pub(super) fn lands(&mut self, id: RequestId) -> Option<u32> {
        let (part, since) = self.flying.remove(&id)?;
        let took = since.elapsed();
        if took > SLOW {
            self.window = (self.window / 2).max(1);
        } else if took < QUICK {
            self.window = (self.window + 1).min(MOST);
        }
        Some(part)
    }

    /// What it said is what was hoped for.
    pub(super) fn succeeded(&mut self) {
        self.came += 1;
    }

    /// It said something else. What can't be mended by asking again is an error.
    pub(super) fn fails(&mut self, failure: Failure) -> Result<(), FileTrouble> {
        match failure {
            Failure::Refused(Refusal::TooFast { retry_after_ms }) if retry_after_ms <= LONGEST_REST => {
                self.rest = Some(Duration::from_millis(retry_after_ms.into()));
                Ok(())
            }
            Failure::Unknown => {
                self.failed = Some(failure);
                Ok(())
            }
            other => Err(FileTrouble::Link(other)),
        }
    }

    /// Nothing is on its way any more, and not all has come: everything else is asked again, after a rest where the relay wants
    /// one. An error: that has been done too often.
    pub(super) async fn again(&mut self) -> Result<(), FileTrouble> {
        self.fruitless = if self.came > 0 { 0 } else { self.fruitless + 1 };
        self.came = 0;
        let failed = self.failed.take();
        if self.fruitless > FRUITLESS {
            return Err(FileTrouble::Link(failed.unwrap_or(Failure::Unknown)));
        }
        if let Some(rest) = self.rest.take() {
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }
}
