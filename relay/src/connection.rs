//! One link, from its hello to its goodbye: read, answer, write, and push what the store woke.
//!
//! A link is one task. It reads a request only while there is room for the answer, and the store only while there is
//! room for pushes: what waits to be written is bounded, and what is not read stays in the store. Every wait has a
//! deadline of [`Timing`].

mod frames;
mod link;
mod patience;
mod tls;

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sealpost_spec::relay::{ClientHello, LinkKind, Refusal};
use sealpost_spec::wire::{RelayFrame, frame};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::answer::Shard;
use crate::listen::Guest;
use crate::metrics::METRICS;
use crate::store::Store;
use crate::{Peer, Relay};
use frames::Incoming;
pub use frames::Outbox;
use link::Link;
pub use tls::{Plain, Tls, Wire};

/// Deadlines of a link, each with its reason.
#[derive(Clone, Debug)]
pub struct Timing {
    /// For the first frame: a hello is 9 bytes.
    pub hello: Duration,
    /// For a login on an authenticated link: an idle stranger holds no place that somebody else needs.
    pub login: Duration,
    /// The same where there are as many links as there may be: then the oldest makes room for a newcomer.
    pub guest: Duration,
    /// After so much silence the relay asks whether somebody is there. [RELAY-13]
    pub ping: Duration,
    /// After so much silence nobody is. [RELAY-13]
    pub silence: Duration,
    /// For a reader that takes nothing.
    pub stall: Duration,
    /// For an anonymous link. [RELAY-8]
    pub anonymous: Duration,
    /// For a goodbye to be taken.
    pub goodbye: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            login: Duration::from_secs(60),
            guest: Duration::from_secs(5),
            ping: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            stall: Duration::from_secs(20),
            anonymous: Duration::from_secs(600),
            goodbye: Duration::from_secs(2),
        }
    }
}

/// How a link begins: whom TLS brought.
#[derive(Clone)]
pub struct Arrival {
    /// Where it comes from.
    pub address: IpAddr,
    /// RFC 9266 exporter.
    pub channel: [u8; 32],
    /// There are as many links as there may be: it is told so and closed.
    pub surplus: bool,
    /// The links of this thread.
    pub shard: Shard,
    /// Held until somebody has logged in, or the link is for nobody to do so.
    pub guest: Option<Arc<Guest>>,
}

/// Why a link ends.
enum End {
    /// The peer has gone, or sends what no goodbye would help.
    Quiet,
    /// It is told why.
    Goodbye(Refusal),
}

/// Serves one link until it ends. `now`: the clock, Unix milliseconds. `stopping`: true once the relay stops.
pub fn serve<'a, S: Store, W: Wire + 'a>(
    relay: &'a Arc<Relay<S>>,
    wire: W,
    arrival: Arrival,
    timing: &'a Timing,
    now: impl Fn() -> u64 + Send + 'a,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'a {
    // Boxed, and so is the end: a link that is silent in between holds no memory for either.
    let begun = Box::pin(begin(relay, wire, arrival, timing, now, stopping));
    async move {
        let Some(mut link) = begun.await else { return };
        let end = poll_fn(|context| link.poll(context)).await;
        Box::pin(leave(link, end, timing)).await;
    }
}

/// From the first byte to a link that was greeted; `None` where none came of it.
async fn begin<'a, S: Store, W: Wire, N: Fn() -> u64 + Send>(
    relay: &'a Arc<Relay<S>>,
    mut wire: W,
    arrival: Arrival,
    timing: &'a Timing,
    now: N,
    stopping: watch::Receiver<bool>,
) -> Option<Box<Link<'a, S, W, N>>> {
    let (mut incoming, mut outbox) = (Incoming::new(), Outbox::default());
    let opened = Instant::now();
    // [RELAY-3] garbage and silence are not answered.
    let hello = timeout(timing.hello, hello(&mut wire, &mut incoming)).await.ok()??;
    let peer = Peer { address: arrival.address, channel: arrival.channel };
    let (reply, caller) = relay.hello(now(), &hello, peer);
    outbox.push(frame(&reply).unwrap_or_default().into());
    let Some(mut caller) = caller else {
        finish(wire, outbox, timing.goodbye).await;
        return None;
    };
    incoming.hello_answered();
    caller.sits_in(arrival.shard);
    let guest = arrival.guest.filter(|_| caller.kind() == LinkKind::Authenticated);
    let mut link = Box::new(Link::new(relay, caller, (wire, incoming, outbox), timing, now, opened, stopping));
    link.guest = guest;
    if arrival.surplus {
        leave(link, End::Goodbye(Refusal::TooManyLinks), timing).await;
        return None;
    }
    Some(link)
}

/// Tells the peer why, where it is to know.
async fn leave<S: Store, W: Wire, N: Fn() -> u64 + Send>(mut link: Box<Link<'_, S, W, N>>, end: End, timing: &Timing) {
    let End::Goodbye(reason) = end else { return };
    METRICS.refused(&reason);
    // What was answered stays in front of it; pushes that were not written come again.
    link.send(&RelayFrame::Goodbye(reason));
    let Link { wire, outbox, .. } = *link;
    finish(wire, outbox, timing.goodbye).await;
}

/// The client's hello; `None` where something else came.
async fn hello(wire: &mut impl Wire, incoming: &mut Incoming) -> Option<ClientHello> {
    loop {
        if let Some(body) = incoming.first().ok()? {
            let hello = ClientHello::parse(body).ok()?;
            incoming.heard(body.len());
            return Some(hello);
        }
        poll_fn(|context| wire.poll_read(context, &mut incoming.bytes)).await.ok()?;
    }
}

/// Writes all that waits and ends the stream, as far as its reader takes it in time.
async fn finish(mut wire: impl Wire, mut outbox: Outbox, deadline: Duration) {
    // Who reads no more learns nothing more.
    let _ = timeout(deadline, poll_fn(|context| wire.poll_finish(context, &mut outbox))).await;
}

/// Resolves when the relay stops.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that whoever would tell has gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests;
