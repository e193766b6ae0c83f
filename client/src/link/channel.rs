//! An open link at work: requests out, answers and pushes in, work done, pings answered, deadlines kept.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sealpost_crypto::work;
use sealpost_spec::relay::{Answer, LinkKind, Refusal, RelayHello, Request, Work};
use sealpost_spec::wire::{Bytes, ClientFrame, RelayFrame, decode, encode};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::dial::{Detour, Open, in_words};
use super::frame::{FrameReader, write_frame};
use super::{Job, Timing};
use crate::engine::{Failure, LinkEvent};

/// Requests that are sent and not answered, or about to be sent.
const MAX_IN_FLIGHT: usize = 64;

/// Frames that wait for the socket.
const OUTGOING: usize = 16;

/// Work above this many bits is not done: about a minute of one core, and more than any relay should ask.
const MAX_WORK_BITS: u8 = 28;

/// Why a link ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody gives requests any more.
    Released,
    /// It had nothing to do, or others need its place.
    Idle,
    /// It was open for as long as it may be.
    Aged,
    /// The relay closed it and said why.
    Goodbye(Refusal),
    /// The relay wants it elsewhere.
    Redirect(Detour),
    /// It broke, in words.
    Broken(String),
}

/// What a link left behind.
pub(super) struct Left {
    pub(super) ending: Ending,
    /// Requests that were never written.
    pub(super) unsent: Vec<Job>,
    /// Whether anything was answered.
    pub(super) useful: bool,
}

/// A request that is encoded, with the work that it costs or without.
struct Ready {
    job: Job,
    body: Vec<u8>,
    work: Option<Work>,
    /// Whether the relay has already named another price for it than its hello.
    corrected: bool,
}

struct Unanswered {
    ready: Ready,
    deadline: Instant,
}

/// What keeps a link from living for ever; only anonymous ones have it.
pub(super) struct Lease {
    pub(super) idle: Duration,
    pub(super) until: Instant,
    pub(super) wanted: tokio::sync::watch::Receiver<usize>,
}

pub(super) struct Channel<'a> {
    kind: LinkKind,
    timing: &'a Timing,
    events: &'a mpsc::Sender<LinkEvent>,
    hello: RelayHello,
    relay: [u8; 32],
    exporter: [u8; 32],
    unanswered: HashMap<u32, Unanswered>,
    ready: VecDeque<Ready>,
    costly: VecDeque<(Ready, u8)>,
    solving: Option<(Ready, JoinHandle<Work>)>,
    next_id: u32,
    next_counter: u64,
    heard: Instant,
    busy: Instant,
    useful: bool,
}

impl<'a> Channel<'a> {
    pub(super) fn new(kind: LinkKind, open: &Open, timing: &'a Timing, events: &'a mpsc::Sender<LinkEvent>) -> Self {
        Self {
            kind,
            timing,
            events,
            hello: open.hello.clone(),
            relay: open.relay,
            exporter: open.exporter,
            unanswered: HashMap::new(),
            ready: VecDeque::new(),
            costly: VecDeque::new(),
            solving: None,
            next_id: 1,
            next_counter: 1,
            heard: Instant::now(),
            busy: Instant::now(),
            useful: false,
        }
    }

    /// Works until the link ends; what was sent and not answered has been failed then.
    pub(super) async fn run(mut self, open: Open, jobs: &mut mpsc::Receiver<Job>, lease: Option<Lease>) -> Left {
        let Open { mut reader, writer, .. } = open;
        let (outgoing, frames) = mpsc::channel(OUTGOING);
        let writing = write_frames(writer, frames, self.timing.stall);
        tokio::pin!(writing);
        let ending = tokio::select! {
            ending = self.serve(&mut reader, outgoing, jobs, lease) => {
                // What was promised to the socket goes out, and TLS is told the end.
                let _ = tokio::time::timeout(Duration::from_secs(1), writing).await;
                ending
            }
            broken = &mut writing => Ending::Broken(broken),
        };
        for (_, unanswered) in self.unanswered.drain() {
            unanswered.ready.job.fail(self.events, Failure::Unknown).await;
        }
        // A proof is worth nothing on another link; nobody waits for the one that is under way.
        let solving = self.solving.map(|(ready, _)| ready);
        let costly = self.costly.into_iter().map(|(ready, _)| ready);
        let unsent = solving.into_iter().chain(costly).chain(self.ready).map(|ready| ready.job).collect();
        Left { ending, unsent, useful: self.useful }
    }

    async fn serve(
        &mut self,
        reader: &mut FrameReader<ReadHalf<TlsStream<TcpStream>>>,
        outgoing: mpsc::Sender<Vec<u8>>,
        jobs: &mut mpsc::Receiver<Job>,
        mut lease: Option<Lease>,
    ) -> Ending {
        let mut released = false;
        loop {
            let waiting = self.ready.len() + self.costly.len() + usize::from(self.solving.is_some());
            let quiet = waiting == 0 && self.unanswered.is_empty();
            if let Some(lease) = &lease {
                let now = Instant::now();
                if quiet && released {
                    return Ending::Released;
                }
                if quiet && now >= lease.until {
                    return Ending::Aged;
                }
                if quiet && jobs.is_empty() && (*lease.wanted.borrow() > 0 || now >= self.busy + lease.idle) {
                    return Ending::Idle;
                }
            }
            let aged = lease.as_ref().is_some_and(|lease| Instant::now() >= lease.until);
            let room = waiting + self.unanswered.len() < MAX_IN_FLIGHT && !aged && !released;
            let due = self.due(quiet, lease.as_ref());
            tokio::select! {
                permit = outgoing.reserve(), if !self.ready.is_empty() => {
                    let Ok(permit) = permit else { return Ending::Broken("writing ended".to_owned()) };
                    if let Some(frame) = self.send() {
                        permit.send(frame);
                    }
                }
                job = jobs.recv(), if room => match job {
                    Some(job) => self.take(job).await,
                    None if lease.is_none() => return Ending::Released,
                    // What is under way still gets its answer.
                    None => released = true,
                },
                work = proof(self.solving.as_mut()) => {
                    if let Some((mut ready, _)) = self.solving.take() {
                        ready.work = work;
                        self.ready.push_back(ready);
                    }
                    self.solve();
                }
                frame = reader.next() => match frame {
                    Ok(frame) => {
                        self.heard = Instant::now();
                        if let Some(ending) = self.hear(&frame, &outgoing).await {
                            return ending;
                        }
                    }
                    Err(error) => return Ending::Broken(in_words(&error)),
                },
                () = others_wait(&mut lease), if quiet => {}
                () = tokio::time::sleep_until(due) => {
                    let now = Instant::now();
                    if now >= self.heard + self.timing.silence {
                        return Ending::Broken("the relay has been silent for too long".to_owned());
                    }
                    self.give_up(now).await;
                }
            }
        }
    }

    /// When something has to happen by itself.
    fn due(&self, quiet: bool, lease: Option<&Lease>) -> Instant {
        let silence = self.heard + self.timing.silence;
        let answer = self.unanswered.values().map(|unanswered| unanswered.deadline).min();
        let lease = lease.filter(|_| quiet).map(|lease| lease.until.min(self.busy + lease.idle));
        [Some(silence), answer, lease].into_iter().flatten().min().unwrap_or(silence)
    }

    pub(super) async fn take(&mut self, job: Job) {
        self.busy = Instant::now();
        let Some(body) = encode(&job.request) else {
            let limit = sealpost_spec::wire::MAX_FRAME as u64;
            return job.fail(self.events, Failure::Refused(Refusal::TooLarge { limit })).await;
        };
        let price = self.price(&job.request);
        let ready = Ready { job, body, work: None, corrected: false };
        match price {
            0 => self.ready.push_back(ready),
            bits => self.pay(ready, bits).await,
        }
    }

    /// What a request costs on this link, in bits. [RELAY-9]
    fn price(&self, request: &Request) -> u8 {
        match (self.kind, request) {
            (LinkKind::Anonymous, Request::FetchBundle(_) | Request::FetchDevices(_)) => self.hello.work.fetch,
            (LinkKind::Anonymous, Request::Deliver { token: None, .. } | Request::PutBlob { token: None, .. }) => {
                self.hello.work.deliver
            }
            _ => 0,
        }
    }

    async fn pay(&mut self, ready: Ready, bits: u8) {
        if bits > MAX_WORK_BITS {
            return ready.job.fail(self.events, Failure::Refused(Refusal::WorkNeeded { bits })).await;
        }
        self.costly.push_back((ready, bits));
        self.solve();
    }

    /// One proof at a time, so that the counters reach the relay in their order.
    fn solve(&mut self) {
        if self.solving.is_some() {
            return;
        }
        let Some((ready, bits)) = self.costly.pop_front() else { return };
        let (relay, exporter, counter) = (self.relay, self.exporter, self.next_counter);
        self.next_counter += 1;
        let body = ready.body.clone();
        let proof = tokio::task::spawn_blocking(move || {
            work::solve(work::Channel { relay: &relay, exporter: &exporter }, counter, &body, bits)
        });
        self.solving = Some((ready, proof));
    }

    fn send(&mut self) -> Option<Vec<u8>> {
        let ready = self.ready.pop_front()?;
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let frame = encode(&ClientFrame::Request { id, work: ready.work, body: Bytes(ready.body.clone()) });
        self.unanswered.insert(id, Unanswered { ready, deadline: Instant::now() + self.timing.answer });
        // A request that fits a frame alone, but not with what stands around it, runs into its deadline.
        frame
    }

    async fn hear(&mut self, frame: &[u8], outgoing: &mpsc::Sender<Vec<u8>>) -> Option<Ending> {
        match decode::<RelayFrame>(frame) {
            Ok(RelayFrame::Answer { id, answer }) => self.answered(id, answer).await,
            Ok(RelayFrame::Push(push)) => {
                let _ = self.events.send(LinkEvent::Push(push)).await;
            }
            Ok(RelayFrame::Ping(number)) => {
                // [RELAY-13] Where there is no room for it, the relay sees other frames than this one.
                if let Some(pong) = encode(&ClientFrame::Pong(number)) {
                    let _ = outgoing.try_send(pong);
                }
            }
            Ok(RelayFrame::Goodbye(refusal)) => return Some(Ending::Goodbye(refusal)),
            Ok(RelayFrame::Redirect(to)) => {
                return Some(Detour::parse(&to).map_or_else(
                    || Ending::Broken("the relay sent the link to no host".to_owned()),
                    Ending::Redirect,
                ));
            }
            Err(_) => return Some(Ending::Broken("the relay sent a frame that is none".to_owned())),
        }
        None
    }

    async fn answered(&mut self, id: u32, answer: Result<Answer, Refusal>) {
        // One that was given up already, or that was never asked for: nobody waits for it.
        let Some(Unanswered { mut ready, .. }) = self.unanswered.remove(&id) else { return };
        self.busy = Instant::now();
        self.useful |= answer.is_ok();
        if let (LinkKind::Anonymous, Err(Refusal::WorkNeeded { bits })) = (self.kind, &answer)
            && !ready.corrected
        {
            // The price rose since the hello: paid once more, at the relay's word.
            ready.corrected = true;
            return self.pay(ready, *bits).await;
        }
        let result = answer.map_err(Failure::Refused);
        let _ = self.events.send(LinkEvent::Answer { id: ready.job.id, result }).await;
    }

    async fn give_up(&mut self, now: Instant) {
        let late: Vec<u32> =
            self.unanswered.iter().filter(|(_, waiting)| waiting.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(unanswered) = self.unanswered.remove(&id) {
                unanswered.ready.job.fail(self.events, Failure::Unknown).await;
            }
        }
    }
}

/// The proof that is being searched; `None` where the search itself failed, and the relay will say so.
async fn proof(solving: Option<&mut (Ready, JoinHandle<Work>)>) -> Option<Work> {
    match solving {
        Some((_, handle)) => handle.await.ok(),
        None => std::future::pending().await,
    }
}

/// Completes when another recipient waits for a link.
async fn others_wait(lease: &mut Option<Lease>) {
    if let Some(lease) = lease
        && lease.wanted.wait_for(|waiting| *waiting > 0).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn write_frames(
    mut writer: WriteHalf<TlsStream<TcpStream>>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    stall: Duration,
) -> String {
    while let Some(frame) = frames.recv().await {
        if let Err(error) = write_frame(&mut writer, &frame, stall).await {
            return in_words(&error);
        }
    }
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut writer).await;
    "closed".to_owned()
}
