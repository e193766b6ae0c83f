//! Whether the relay takes links, and when those that it has are to end.
//!
//! A relay that *drains* takes no new links and tells those it has to come back soon, a slice of them after the other:
//! else all would come back at once. What they have asked is answered first. A relay that *stops* tells all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::metrics::METRICS;

/// Links are told in so many slices.
const SLICES: usize = 32;
/// For the links of the last slices to end: longer than a reader may take for what waits for it.
const REST: Duration = Duration::from_secs(30);

/// The course of a relay. Cheap to clone: a clone is the same course.
#[derive(Clone)]
pub struct Course(Arc<Inner>);

struct Inner {
    stopping: watch::Sender<bool>,
    draining: watch::Sender<bool>,
    /// True once the links of a slice are to end.
    slices: [watch::Sender<bool>; SLICES],
    /// What a link is given that comes while the relay drains: it ends at once.
    late: watch::Sender<bool>,
    next: AtomicUsize,
}

impl Default for Course {
    fn default() -> Self {
        Self(Arc::new(Inner {
            stopping: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            slices: std::array::from_fn(|_| watch::Sender::new(false)),
            late: watch::Sender::new(true),
            next: AtomicUsize::new(0),
        }))
    }
}

impl Course {
    /// A relay that serves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells all links at once that the relay stops. There is no way back.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
        self.0.slices.iter().for_each(|slice| _ = slice.send_replace(true));
    }

    /// True once the relay stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Takes no new links from now on. Whether that is new.
    pub fn drain(&self) -> bool {
        METRICS.draining.set(1);
        !self.0.draining.send_replace(true)
    }

    /// Takes links again. Whether that is new.
    pub fn reopen(&self) -> bool {
        METRICS.draining.set(0);
        let drained = self.0.draining.send_replace(false);
        if !*self.0.stopping.borrow() {
            self.0.slices.iter().for_each(|slice| _ = slice.send_replace(false));
        }
        drained
    }

    /// Whether it drains now.
    pub fn drains(&self) -> bool {
        *self.0.draining.borrow()
    }

    /// True while it drains.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.0.draining.subscribe()
    }

    /// For a new link: true once it is to end.
    pub fn link(&self) -> watch::Receiver<bool> {
        if self.drains() {
            return self.0.late.subscribe();
        }
        let next = self.0.next.fetch_add(1, Ordering::Relaxed) % SLICES;
        self.0.slices.get(next).unwrap_or(&self.0.late).subscribe()
    }

    /// Tells the links slice by slice, over this time, once the relay drains; resolves when they are gone, or have had
    /// time enough. Begins anew where it is reopened meanwhile.
    pub async fn drained(&self, over: Duration) {
        let mut draining = self.0.draining.subscribe();
        loop {
            // An error says that the course is gone, and with it the relay.
            let _ = draining.wait_for(|draining| *draining).await;
            tokio::select! {
                () = self.tell(over) => return,
                _ = draining.wait_for(|draining| !draining) => {}
            }
        }
    }

    async fn tell(&self, over: Duration) {
        for slice in &self.0.slices {
            if slice.receiver_count() > 0 {
                slice.send_replace(true);
                sleep(over / SLICES as u32).await;
            }
        }
        let gone = async {
            for slice in &self.0.slices {
                slice.send_replace(true);
                slice.closed().await;
            }
        };
        // Who has not ended by then is told by the stop.
        let _ = timeout(REST, gone).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const OVER: Duration = Duration::from_secs(32);

    /// Links are told to leave one slice after the other, and the relay is drained when the last has gone.
    #[tokio::test(start_paused = true)]
    async fn a_drain_tells_links_in_slices() {
        let course = Course::new();
        let mut told = tokio::task::JoinSet::new();
        for _ in 0..2 * SLICES {
            let mut link = course.link();
            told.spawn(async move {
                link.wait_for(|ends| *ends).await.unwrap();
                Instant::now()
            });
        }
        let began = Instant::now();
        assert!(course.drain() && !course.drain());
        course.drained(OVER).await;
        let mut at: Vec<u64> = told.join_all().await.into_iter().map(|at| (at - began).as_secs()).collect();
        at.sort_unstable();
        let even: Vec<u64> = (0..SLICES as u64).flat_map(|second| [second, second]).collect();
        assert_eq!(at, even);
        assert_eq!(began.elapsed(), OVER);
    }

    /// A newcomer is told to leave at once while the relay drains, and is served again once it is reopened; whoever was
    /// not told yet stays.
    #[tokio::test(start_paused = true)]
    async fn a_reopened_relay_serves_again() {
        let course = Course::new();
        let links: Vec<_> = (0..SLICES).map(|_| course.link()).collect();
        let draining = tokio::spawn({
            let course = course.clone();
            async move { course.drained(OVER).await }
        });
        course.drain();
        sleep(Duration::from_millis(1_500)).await;
        let told = links.iter().filter(|link| *link.borrow()).count();
        assert_eq!((told, *course.link().borrow()), (2, true));
        assert!(course.reopen() && !course.reopen());
        sleep(2 * OVER).await;
        assert!(!draining.is_finished() && !*course.link().borrow());
        course.drain();
        drop(links);
        draining.await.unwrap();
        course.stop();
        assert!(*course.stopping().borrow() && *course.link().borrow());
    }

    /// A link that does not end keeps a drain waiting until its deadline and no longer.
    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_in_time() {
        let course = Course::new();
        let _stays = course.link();
        course.drain();
        let began = Instant::now();
        course.drained(OVER).await;
        assert_eq!(began.elapsed(), OVER / SLICES as u32 + REST);
    }
}
