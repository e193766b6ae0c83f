//! The authenticated link: opened again and again, with growing pauses, until the relay says not to.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use sealpost_spec::relay::{LinkKind, Refusal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Job;
use super::channel::{Channel, Ending};
use super::dial::{Detour, Dialer, Open, OpenError};
use crate::engine::{Failure, LinkEvent};

/// Detours followed one after another before the relay's own hosts are tried again.
const MAX_DETOURS: u32 = 3;

/// A link that lasted this long was no failed attempt.
const LASTED: Duration = Duration::from_secs(10);

/// Runs until nobody gives requests any more, or the relay forbids to come back.
pub(super) async fn run(dialer: Arc<Dialer>, mut jobs: mpsc::Receiver<Job>, events: mpsc::Sender<LinkEvent>) {
    let mut pause = dialer.timing().first_pause;
    let mut detour: Option<Detour> = None;
    let mut detours = 0;
    loop {
        let opening = dialer.open(LinkKind::Authenticated, detour.take());
        let Some(opened) = meanwhile(opening, &mut jobs, &events).await else { return };
        let failure = match opened {
            Ok(open) => {
                let since = Instant::now();
                let left = work(&dialer, open, &mut jobs, &events).await;
                if left.useful || since.elapsed() >= LASTED {
                    pause = dialer.timing().first_pause;
                    detours = 0;
                }
                match left.ending {
                    Ending::Released => return,
                    Ending::Redirect(to) if detours < MAX_DETOURS => {
                        detours += 1;
                        detour = Some(to);
                        Failure::Unreachable("the relay sent the link to another host".to_owned())
                    }
                    Ending::Redirect(_) => Failure::Unreachable("the relay sends the link in circles".to_owned()),
                    Ending::Goodbye(refusal) => Failure::Refused(refusal),
                    Ending::Broken(why) => Failure::Unreachable(why),
                    Ending::Idle | Ending::Aged => Failure::Unknown,
                }
            }
            Err(error) => error.into(),
        };
        tracing::info!(?failure, "not connected");
        // [RELAY-6] [RELAY-12] these say not to come back by oneself.
        let stop =
            matches!(failure, Failure::Refused(Refusal::Kicked { .. } | Refusal::Banned { .. } | Refusal::Replaced));
        if events.send(LinkEvent::Disconnected(failure)).await.is_err() || stop {
            // Dropping the queue tells the giver that this link is over; what is in it never left.
            jobs.close();
            while let Some(job) = jobs.recv().await {
                job.fail(&events, Failure::Unreachable("the relay has ended the link".to_owned())).await;
            }
            return;
        }
        if detour.is_none() {
            let jittered = pause.mul_f64(rand::rng().random_range(0.75..1.25));
            pause = (pause * 2).min(dialer.timing().longest_pause);
            if meanwhile(tokio::time::sleep(jittered), &mut jobs, &events).await.is_none() {
                return;
            }
        }
    }
}

/// Waits for something while the link is down: requests never leave. `None`: nobody gives requests any more.
async fn meanwhile<T>(
    awaited: impl Future<Output = T>,
    jobs: &mut mpsc::Receiver<Job>,
    events: &mpsc::Sender<LinkEvent>,
) -> Option<T> {
    tokio::pin!(awaited);
    loop {
        tokio::select! {
            done = &mut awaited => return Some(done),
            job = jobs.recv() => match job {
                Some(job) => job.fail(events, Failure::Unreachable("there is no link to the relay".to_owned())).await,
                None => return None,
            },
        }
    }
}

async fn work(
    dialer: &Dialer,
    open: Open,
    jobs: &mut mpsc::Receiver<Job>,
    events: &mpsc::Sender<LinkEvent>,
) -> super::channel::Left {
    // Made for the link before this one.
    while let Ok(job) = jobs.try_recv() {
        job.fail(events, Failure::Unreachable("there is no link to the relay".to_owned())).await;
    }
    let connected = LinkEvent::Connected {
        hello: open.hello.clone(),
        relay: open.relay,
        channel: open.exporter,
        transport: open.transport.clone(),
    };
    let _ = events.send(connected).await;
    tracing::info!(transport = open.transport, "connected");
    let channel = Channel::new(LinkKind::Authenticated, &open, dialer.timing(), events);
    let mut left = channel.run(open, jobs, None).await;
    for job in left.unsent.drain(..) {
        job.fail(events, Failure::Unreachable("the link broke before it left".to_owned())).await;
    }
    left
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongRelay => f.write_str("the relay's key is not the one in its address"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}
