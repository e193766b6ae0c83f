//! One link, from its hello to its goodbye: read, answer, write, and push what the store woke.
//!
//! A link is one task. It reads a request only while there is room for the answer, and the store only while there is
//! room for pushes: what waits to be written is bounded, and what is not read stays in the store. Every wait has a
//! deadline of [`Timing`].

mod frames;

use std::net::IpAddr;
use std::time::Duration;

use sealpost_spec::relay::{ClientHello, LinkKind, Refusal};
use sealpost_spec::wire::{ClientFrame, MAX_FRAME, RelayFrame, decode, encode, frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::store::Store;
use crate::{Caller, Peer, Relay};
use frames::{Outbox, Reader};

/// Most bytes that wait to be written on one link: fifteen of the largest frames. [RELAY-15] [THREAT-21]
const MAX_WAITING: usize = 1024 * 1024;
/// Pushes are read while fewer bytes wait: answers keep their room beside them.
const PUSH_BELOW: usize = 256 * 1024;
/// Pushes of about so many bytes are read at once.
const PUSH_BATCH: usize = 128 * 1024;

/// Deadlines of a link, each with its reason.
#[derive(Clone, Debug)]
pub struct Timing {
    /// For the first frame: a hello is 9 bytes.
    pub hello: Duration,
    /// For a login on an authenticated link: an idle stranger holds no place that somebody else needs.
    pub login: Duration,
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
            ping: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            stall: Duration::from_secs(20),
            anonymous: Duration::from_secs(600),
            goodbye: Duration::from_secs(2),
        }
    }
}

/// How a link begins: whom TLS brought.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Where it comes from.
    pub address: IpAddr,
    /// RFC 9266 exporter.
    pub channel: [u8; 32],
    /// There are as many links as there may be: it is told so and closed.
    pub surplus: bool,
}

/// Why a link ends.
enum End {
    /// The peer has gone, or sends what no goodbye would help.
    Quiet,
    /// It is told why.
    Goodbye(Refusal),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Quiet
    }
}

/// Serves one link until it ends. `now`: the clock, Unix milliseconds. `stopping`: true once the relay stops.
pub async fn serve<S: Store, T: AsyncRead + AsyncWrite + Send>(
    relay: &Relay<S>,
    stream: T,
    arrival: Arrival,
    timing: &Timing,
    now: impl Fn() -> u64 + Send,
    stopping: watch::Receiver<bool>,
) {
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = Reader::new(reader);
    let mut outbox = Outbox::new(writer);
    let opened = Instant::now();
    // [RELAY-3] garbage and silence are not answered.
    let hello = match timeout(timing.hello, reader.next()).await {
        Ok(Ok(frame)) => ClientHello::parse(&frame),
        _ => return,
    };
    let Ok(hello) = hello else { return };
    let peer = Peer { address: arrival.address, channel: arrival.channel };
    let (reply, caller) = relay.hello(now(), &hello, peer);
    outbox.push(frame(&reply).unwrap_or_default().into());
    let Some(caller) = caller else { return outbox.finish(timing.goodbye).await };
    reader.hello_answered();
    let mut link = Link { relay, caller, reader, outbox, timing, now, opened, heard: opened, pinged: None, pings: 0 };
    let end = if arrival.surplus { End::Goodbye(Refusal::TooManyLinks) } else { link.run(stopping).await };
    if let End::Goodbye(reason) = end {
        // What was answered stays in front of it; pushes that were not written come again.
        link.send(&RelayFrame::Goodbye(reason));
        let Link { outbox, .. } = link;
        outbox.finish(timing.goodbye).await;
    }
}

/// Resolves when the relay stops.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that whoever would tell has gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

struct Link<'a, S, T, N> {
    relay: &'a Relay<S>,
    caller: Caller,
    reader: Reader<ReadHalf<T>>,
    outbox: Outbox<WriteHalf<T>>,
    timing: &'a Timing,
    now: N,
    opened: Instant,
    /// When the last whole frame came.
    heard: Instant,
    /// When it was asked since then whether somebody is there.
    pinged: Option<Instant>,
    pings: u64,
}

impl<S: Store, T: AsyncRead + AsyncWrite + Send, N: Fn() -> u64 + Send> Link<'_, S, T, N> {
    async fn run(&mut self, mut stopping: watch::Receiver<bool>) -> End {
        loop {
            let waiting = self.outbox.waiting();
            let room = waiting + MAX_FRAME <= MAX_WAITING;
            let pushes = waiting < PUSH_BELOW;
            let more = pushes && self.caller.more();
            let due = self.due();
            let bell = self.caller.bell().clone();
            let step = tokio::select! {
                written = self.outbox.write(), if self.outbox.unwritten() => written.map_err(End::from),
                frame = self.reader.next(), if room => match frame {
                    Ok(frame) => self.hear(&frame).await,
                    Err(error) => Err(frames::end_of(&error)),
                },
                () = std::future::ready(()), if more => self.push().await,
                () = bell.rung(), if pushes && !more => self.push().await,
                () = sleep_until(due) => self.overdue(),
                () = stopped(&mut stopping) => Err(End::Goodbye(Refusal::Stopping)),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn hear(&mut self, frame: &[u8]) -> Result<(), End> {
        (self.heard, self.pinged) = (Instant::now(), None);
        match decode(frame) {
            // [RELAY-14] one after the other: the answers keep the order of the requests.
            Ok(ClientFrame::Request { id, work, body }) => {
                let answer = self.relay.handle((self.now)(), &mut self.caller, work, &body.0).await;
                self.send(&RelayFrame::Answer { id, answer });
                Ok(())
            }
            Ok(ClientFrame::Pong(_)) => Ok(()),
            Err(_) => Err(End::Goodbye(Refusal::Malformed)),
        }
    }

    async fn push(&mut self) -> Result<(), End> {
        let frames = self.relay.pushes((self.now)(), &mut self.caller, PUSH_BATCH).await;
        if let Some(reason) = self.caller.ended() {
            return Err(End::Goodbye(reason));
        }
        match frames {
            Ok(frames) => frames.into_iter().for_each(|frame| self.outbox.push(frame)),
            Err(fault) => return Err(End::Goodbye(self.relay.internal(&fault))),
        }
        Ok(())
    }

    /// When something happens by itself.
    fn due(&self) -> Instant {
        let silence = match self.pinged {
            None => self.heard + self.timing.ping,
            Some(_) => self.heard + self.timing.silence,
        };
        let stall = self.outbox.since().map(|since| since + self.timing.stall);
        [Some(silence), stall, self.closes()].into_iter().flatten().min().unwrap_or(silence)
    }

    /// When the link is closed however busy it is.
    fn closes(&self) -> Option<Instant> {
        match self.caller.kind() {
            LinkKind::Anonymous => Some(self.opened + self.timing.anonymous),
            LinkKind::Authenticated if self.caller.name().is_none() => Some(self.opened + self.timing.login),
            LinkKind::Authenticated => None,
        }
    }

    fn overdue(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.outbox.since().is_some_and(|since| now >= since + self.timing.stall) {
            return Err(End::Quiet);
        }
        let silent = now >= self.heard + self.timing.silence;
        if silent || self.closes().is_some_and(|closes| now >= closes) {
            return Err(End::Goodbye(Refusal::TimedOut));
        }
        if self.pinged.is_none() && now >= self.heard + self.timing.ping {
            self.pinged = Some(now);
            self.pings += 1;
            self.send(&RelayFrame::Ping(self.pings));
        }
        Ok(())
    }

    fn send(&mut self, what: &RelayFrame) {
        let framed = encode(what).as_deref().and_then(frame).or_else(|| {
            // An answer that exceeds a frame would be a list without bound, and there is none.
            let RelayFrame::Answer { id, .. } = what else { return None };
            let answer = Err(Refusal::TooLarge { limit: MAX_FRAME as u64 });
            encode(&RelayFrame::Answer { id: *id, answer }).as_deref().and_then(frame)
        });
        self.outbox.push(framed.unwrap_or_default().into());
    }
}

#[cfg(test)]
mod tests;
