//! Anonymous links: one for each recipient, opened when there is something to ask, closed soon after, and replaced
//! without anybody noticing.

use std::sync::Arc;

use sealpost_spec::relay::LinkKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::Job;
use super::channel::{Channel, Ending, Lease};
use super::dial::Dialer;
use crate::engine::{Failure, LinkEvent};

/// Anonymous links that are open at once; a relay grants an address about a hundred.
const MAX_LINKS: usize = 16;

/// Links in a row that may end without having answered anything before their requests fail.
const MAX_FRUITLESS: u32 = 2;

/// Places for open links, and how many recipients wait for one.
pub(super) struct Slots {
    places: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_LINKS)), waiting: watch::Sender::new(0) }
    }
}

impl Slots {
    /// A place; links that have nothing to do make room for who waits.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _done = Waiting(&self.waiting);
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}

struct Waiting<'a>(&'a watch::Sender<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

/// Runs until nobody gives requests any more, or there have been none for a while.
pub(super) async fn run(
    dialer: Arc<Dialer>,
    slots: Arc<Slots>,
    mut jobs: mpsc::Receiver<Job>,
    events: mpsc::Sender<LinkEvent>,
) {
    let mut fruitless = 0;
    let mut detour = None;
    let mut again: Vec<Job> = Vec::new();
    // A link is opened for a request, never in advance.
    while let Some(job) = match again.pop() {
        Some(job) => Some(job),
        None => jobs.recv().await,
    } {
        again.push(job);
        let opening = async {
            let place = slots.place().await;
            (place, dialer.open(LinkKind::Anonymous, detour.take()).await)
        };
        let (_place, opened) = opening.await;
        let open = match opened {
            Ok(open) => open,
            Err(error) => {
                let failure = Failure::from(error);
                while let Ok(job) = jobs.try_recv() {
                    again.push(job);
                }
                for job in again.drain(..) {
                    job.fail(&events, failure.clone()).await;
                }
                continue;
            }
        };
        let lease = Lease {
            idle: dialer.timing().idle,
            until: Instant::now() + dialer.timing().life,
            wanted: slots.waiting.subscribe(),
        };
        let mut channel = Channel::new(LinkKind::Anonymous, &open, dialer.timing(), &events);
        for job in again.drain(..) {
            channel.take(job).await;
        }
        let left = channel.run(open, &mut jobs, Some(lease)).await;
        again = left.unsent;
        // Whom it served is nobody's business, a log's least of all.
        tracing::debug!(ending = ?left.ending, "an anonymous link ended");
        fruitless = if left.useful { 0 } else { fruitless + 1 };
        match left.ending {
            Ending::Idle => {
                // Whoever gives a request now finds the queue closed and opens another link; one that was given in
                // this very moment is still taken.
                jobs.close();
                detour = None;
            }
            Ending::Redirect(to) if fruitless <= MAX_FRUITLESS => detour = Some(to),
            Ending::Released => {
                for job in again.drain(..) {
                    job.fail(&events, Failure::Unreachable("the client went offline".to_owned())).await;
                }
            }
            _ => {}
        }
        if fruitless > MAX_FRUITLESS {
            for job in again.drain(..) {
                job.fail(&events, Failure::Unreachable("the relay closes every link".to_owned())).await;
            }
            fruitless = 0;
        }
    }
}
