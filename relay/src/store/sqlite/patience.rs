//! How long an offer waits for whoever reads its log: as long as that reader lately took, and some more.
//!
//! What is taken in time is never written. Too little patience costs a write, a read and a removal for each entry, and
//! most where the machine is busy already; too much delays *accepted* where a reader has fallen silent. [STORE-11]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Between which bounds an offer waits for a recipient that is there.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Longer than most round trips, and unnoticed by a sender whose recipient has gone silent.
    pub(super) short: Duration,
    /// For a recipient who was that slow and took everything all the same: a busy machine, or a bad line.
    pub(super) long: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { short: Duration::from_millis(100), long: Duration::from_secs(4) }
    }
}

impl Patience {
    /// In which of the [`Due`] queues an offer waits, and how long. `pace`: of its log's reader; none where nobody reads.
    pub(super) fn wait(&self, pace: Option<Pace>) -> (usize, Duration) {
        let Some(Pace(took)) = pace else { return (0, Duration::ZERO) };
        let enough = took.unwrap_or_default().saturating_mul(2);
        let waits = (0..).map(|doubled| self.short.saturating_mul(1 << doubled).min(self.long));
        let mut all = (1..QUEUES).zip(waits);
        all.find(|(_, wait)| *wait >= enough.min(self.long)).unwrap_or((QUEUES - 1, self.long))
    }
}

/// How long the reader of a log takes from an offer to its trim, where that is worth waiting for.
#[derive(Clone, Copy, Default)]
pub(super) struct Pace(Option<Duration>);

impl Pace {
    /// It took so long. What was slower lately counts for a while.
    pub(super) fn took(&mut self, time: Duration, patience: Patience) {
        let before = self.0.unwrap_or_default();
        self.0 = (time <= patience.long).then(|| time.max(before - before / 8));
    }

    /// Something waited so long, and nobody took it. Where the reader has taken longer than that and took everything all
    /// the same, this tells nothing: it had begun to wait before that was known.
    pub(super) fn late(&mut self, waited: Duration) {
        self.0 = self.0.filter(|took| waited < *took);
    }
}

/// No wait, and each twice as long as the one before.
const QUEUES: usize = 10;

/// Offers that are to be written unless somebody takes them, by how long they wait: so each queue is in order.
#[derive(Default)]
pub(super) struct Due([VecDeque<(Instant, u64)>; QUEUES]);

impl Due {
    /// One more. `there`: whether an offer is still to be written.
    pub(super) fn push(&mut self, queue: usize, at: Instant, seq: u64, there: impl Fn(u64) -> bool) {
        let Some(queue) = self.0.get_mut(queue) else { return };
        queue.push_back((at, seq));
        // Nearly all are taken before they are due: so there are about as many here as wait.
        for _ in 0..2 {
            queue.pop_front_if(|(_, seq)| !there(*seq));
        }
    }

    /// The next one that is due by now, with whether it has waited.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(u64, bool)> {
        let mut queues = self.0.iter_mut().enumerate();
        queues.find_map(|(number, queue)| Some((queue.pop_front_if(|(at, _)| *at <= now)?.1, number > 0)))
    }

    /// Any of them.
    pub(super) fn pop_any(&mut self) -> Option<(u64, bool)> {
        self.0.iter_mut().find_map(VecDeque::pop_front).map(|(_, seq)| (seq, false))
    }

    /// When the first one is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.iter().filter_map(|queue| Some(queue.front()?.0)).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { short: Duration::from_millis(25), long: Duration::from_secs(4) };

    fn waits(pace: Pace) -> u64 {
        let (queue, wait) = PATIENCE.wait(Some(pace));
        assert!((1..QUEUES).contains(&queue));
        u64::try_from(wait.as_millis()).unwrap()
    }

    /// [STORE-11] an offer waits twice as long as its recipient lately took, between the bounds; not at all where nobody is
    /// there, and a little where the recipient has let one pass.
    #[test]
    fn patience_follows_the_reader() {
        assert_eq!(PATIENCE.wait(None), (0, Duration::ZERO));
        let mut pace = Pace::default();
        assert_eq!(waits(pace), 25);
        for (took, waited) in [(1, 25), (12, 25), (13, 50), (300, 800), (1_700, 4_000), (3_999, 4_000)] {
            pace = Pace::default();
            pace.took(Duration::from_millis(took), PATIENCE);
            assert_eq!(waits(pace), waited, "after {took}");
        }
        pace.took(Duration::from_millis(1), PATIENCE);
        assert_eq!(waits(pace), 4_000, "it was slow a moment ago");
        for _ in 0..60 {
            pace.took(Duration::from_millis(1), PATIENCE);
        }
        assert_eq!(waits(pace), 25);
        let slows: [fn(&mut Pace); 2] =
            [|pace| pace.late(Duration::from_millis(600)), |pace| pace.took(Duration::from_secs(5), PATIENCE)];
        for slow in slows {
            pace.took(Duration::from_millis(300), PATIENCE);
            slow(&mut pace);
            assert_eq!(waits(pace), 25);
        }
        pace.took(Duration::from_millis(300), PATIENCE);
        pace.late(Duration::from_millis(25));
        assert_eq!(waits(pace), 800, "it waited for less than the reader takes");
    }

    /// What waits for different times is due in its order, and what was taken meanwhile is not kept.
    #[test]
    fn each_is_due_in_its_turn() {
        let (mut due, now) = (Due::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        for (queue, ms, seq) in [(5, 400, 1), (1, 25, 2), (1, 26, 3)] {
            due.push(queue, at(ms), seq, |_| true);
        }
        assert_eq!((due.first(), due.pop(at(24))), (Some(at(25)), None));
        assert_eq!([due.pop(at(25)), due.pop(at(25))], [Some((2, true)), None]);
        assert_eq!([due.pop(at(500)), due.pop(at(500))], [Some((3, true)), Some((1, true))]);
        assert!(due.is_empty());
        (0..1_000).for_each(|seq| due.push(3, at(100), seq, |other| other == seq));
        assert!(due.0.iter().map(VecDeque::len).sum::<usize>() <= 2);
    }
}
