//! The only socket: links to the relay, one that logs in and an anonymous one for each recipient.
//!
//! [`start`] runs on tokio and pumps an engine that runs elsewhere: it takes [`Transmit`]s and gives [`LinkEvent`]s,
//! both over bounded channels. What a link does with a frame is in `channel`, how it comes to be open in `dial`, whom
//! it believes in `pin`.

mod anonymous;
mod channel;
mod dial;
mod frame;
mod line;
mod pin;
mod proxy;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sealpost_spec::account::Name;
use sealpost_spec::relay::{Address, Request};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) use line::{Line, Lines};
pub use proxy::{InvalidProxy, Proxy};

use crate::engine::{Failure, LinkEvent, RequestId, Transmit};
use dial::Dialer;

/// Requests of one link that are neither answered nor taken up yet; one more is answered as unreachable.
const QUEUE: usize = 256;

/// Recipients that may have an anonymous link, or wait for one, at once.
const MAX_RECIPIENTS: usize = 256;

/// Which relay, and how it is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// The relay's address.
    pub address: Address,
    /// A SOCKS5 proxy that also resolves names; each link has credentials of its own there.
    pub proxy: Option<Proxy>,
    /// How long everything may take.
    pub timing: Timing,
}

/// Every deadline of a link.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// To open a link to one host, hello included: a TLS handshake over Tor takes a few seconds.
    pub connect: Duration,
    /// To answer a request: the relay's slowest answer waits for its disk.
    pub answer: Duration,
    /// To hear nothing at all: three of the relay's pings.
    pub silence: Duration,
    /// To take a frame that is written: what the relay grants its clients.
    pub stall: Duration,
    /// An anonymous link without requests closes after this long: the next line to the same person finds it open.
    pub idle: Duration,
    /// An anonymous link is replaced after this long, so that what it links together stays short.
    pub life: Duration,
    /// The first pause before connecting again.
    pub first_pause: Duration,
    /// The longest one.
    pub longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(15),
            silence: Duration::from_secs(90),
            stall: Duration::from_secs(20),
            idle: Duration::from_secs(30),
            // Ten minutes at most: the last request still has time to be answered.
            life: Duration::from_secs(9 * 60),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// A request on its way to a link.
pub(crate) struct Job {
    id: RequestId,
    request: Request,
}

impl Job {
    /// Comes to its end without having left.
    async fn fail(self, events: &mpsc::Sender<LinkEvent>, failure: Failure) {
        // Nobody listens any more where the engine has gone; then there is nobody to tell.
        let _ = events.send(LinkEvent::Answer { id: self.id, result: Err(failure) }).await;
    }
}

/// Starts the links; the task ends when the engine's side of `transmits` is gone, and has closed all links then.
pub fn start(
    config: Config,
    mut transmits: mpsc::Receiver<Transmit>,
    events: mpsc::Sender<LinkEvent>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut links = Links::new(config, events);
        while let Some(transmit) = transmits.recv().await {
            links.take(transmit).await;
        }
        links.close().await;
    })
}

struct Links {
    dialer: Arc<Dialer>,
    events: mpsc::Sender<LinkEvent>,
    standing: Option<mpsc::Sender<Job>>,
    anonymous: HashMap<Name, mpsc::Sender<Job>>,
    slots: Arc<anonymous::Slots>,
    tasks: JoinSet<()>,
}

impl Links {
    fn new(config: Config, events: mpsc::Sender<LinkEvent>) -> Self {
        Self {
            dialer: Arc::new(Dialer::new(config)),
            events,
            standing: None,
            anonymous: HashMap::new(),
            slots: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    async fn take(&mut self, transmit: Transmit) {
        match transmit {
            Transmit::Connect => {
                if self.standing.as_ref().is_none_or(mpsc::Sender::is_closed) {
                    let (jobs, taken) = mpsc::channel(QUEUE);
                    self.tasks.spawn(standing::run(Arc::clone(&self.dialer), taken, self.events.clone()));
                    self.standing = Some(jobs);
                }
            }
            Transmit::Disconnect => {
                // A link whose queue has no giver any more fails what it holds and closes.
                self.standing = None;
                self.anonymous.clear();
            }
            Transmit::Authenticated { id, request } => {
                let job = Job { id, request };
                let refused = match &self.standing {
                    Some(jobs) => jobs.try_send(job).err().map(mpsc::error::TrySendError::into_inner),
                    None => Some(job),
                };
                if let Some(job) = refused {
                    job.fail(&self.events, Failure::Unreachable("there is no link to the relay".to_owned())).await;
                }
            }
            Transmit::Anonymous { id, recipient, request } => self.deliver(recipient, Job { id, request }).await,
            // These are for whoever moves files.
            Transmit::File(_) => {}
        }
        while self.tasks.try_join_next().is_some() {}
    }

    async fn deliver(&mut self, recipient: Name, job: Job) {
        let mut job = job;
        if let Some(jobs) = self.anonymous.get(&recipient) {
            match jobs.try_send(job) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(job)) => {
                    return job.fail(&self.events, Failure::Unreachable("too many requests wait".to_owned())).await;
                }
                // The link closed because nobody needed it.
                Err(mpsc::error::TrySendError::Closed(again)) => job = again,
            }
        }
        self.anonymous.retain(|_, jobs| !jobs.is_closed());
        if self.anonymous.len() >= MAX_RECIPIENTS {
            return job.fail(&self.events, Failure::Unreachable("too many recipients at once".to_owned())).await;
        }
        let (jobs, taken) = mpsc::channel(QUEUE);
        // The queue is new and has room.
        let _ = jobs.try_send(job);
        self.anonymous.insert(recipient, jobs);
        let (dialer, slots) = (Arc::clone(&self.dialer), Arc::clone(&self.slots));
        self.tasks.spawn(anonymous::run(dialer, slots, taken, self.events.clone()));
    }

    /// Lets the links say goodbye, for as long as that may take.
    async fn close(mut self) {
        self.standing = None;
        self.anonymous.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), all).await;
    }
}

#[cfg(test)]
mod tests;
