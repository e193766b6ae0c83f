//! One link after its hello: a state machine that is polled, and that does at each poll all that can be done at once.
//!
//! Requests are begun in their order and answered in their order, and several may wait for the store together: those
//! that borrow nothing of the link. Any other one goes alone, with the link's [`Caller`] in its hands; so does a read
//! of the store for what is pushed. A silent link holds no future but its timer.

use std::collections::VecDeque;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use sealpost_spec::relay::{Answer, LinkKind, Refusal, Request};
use sealpost_spec::wire::{FrameRef, MAX_FRAME, RelayFrame};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use super::frames::{Incoming, Outbox, end_of};
use super::patience::{Patience, alone};
use super::tls::Wire;
use super::{End, Timing, stopped};
use crate::answer::{Begun, Said, Saying, Waits};
use crate::listen::Guest;
use crate::store::{Bell, Fault, Store};
use crate::{Caller, Relay};

/// Most bytes that wait to be written on one link, and of its requests that wait for the store: fifteen of the largest
/// frames. [RELAY-15] [THREAT-21]
pub(super) const MAX_WAITING: usize = 1024 * 1024;
/// Pushes are read while fewer bytes wait: answers keep their room beside them.
pub(super) const PUSH_BELOW: usize = 256 * 1024;
/// Pushes of about so many bytes are read at once.
pub(super) const PUSH_BATCH: usize = 128 * 1024;
/// Most requests of a link that wait for the store together: as many as share a commit with those of other links.
/// Beyond it nothing more is read. [RELAY-15]
pub(super) const MAX_ASKED: usize = 64;
/// How long an answer for which nobody waits may wait for something to travel with.
const LAZY: Duration = Duration::from_millis(100);
/// Requests for which a silent link keeps places.
const FEW: usize = 8;
/// So often a busy link looks for more to do before it lets others.
const ROUNDS: usize = 16;
/// What a link may ask for, by [`weight`], before it lets others. [RELAY-25]
const TURN: u32 = 64;

/// What a full outbox takes of a link's turn: two MiB in all.
const FULL: u32 = TURN / 8;

/// What a request takes of a link's turn: one for some microseconds. What is signed takes a hundred of them.
fn weight(begun: &Begun<'_>) -> u32 {
    match begun {
        Begun::Waits { .. } => 1,
        Begun::Answered(_) | Begun::Said(_) => 4,
        Begun::InTurn(_) => 32,
        Begun::Alone(request) if matches!(**request, Request::Login(_)) => 32,
        Begun::Alone(_) => 4,
        Begun::NotYet => 0,
    }
}

/// A request that was begun and not yet answered.
struct Asked<'a> {
    id: u32,
    /// Of the request, as long as it is not answered.
    bytes: usize,
    lazy: bool,
    answer: Awaited<'a>,
    /// The poll of the link in which it was polled last: until the next one it has nothing new.
    polled: u64,
}

enum Awaited<'a> {
    Ready(Result<Answer, Refusal>),
    Waits(Waits<'a>),
    /// A post that is said, or about to be: its answer comes with those of others.
    Said,
}

/// What has the link's caller in its hands.
type Alone<'a> = Pin<Box<dyn Future<Output = (Box<Caller>, Done)> + Send + 'a>>;

enum Done {
    /// With what it weighs if it is refused.
    Answered(u32, Result<Answer, Refusal>, u32),
    Read(Result<Vec<Bytes>, Fault>),
}

pub(super) struct Link<'a, S, W, N> {
    relay: &'a Arc<Relay<S>>,
    timing: &'a Timing,
    now: N,
    kind: LinkKind,
    /// Away while something goes alone.
    caller: Option<Box<Caller>>,
    alone: Option<Alone<'a>>,
    asked: VecDeque<Asked<'a>>,
    /// Bytes of all that was asked and is not answered.
    asking: usize,
    /// Posts that wait for those before them; they go together.
    said: Vec<Said>,
    saying: Option<Saying<'a>>,
    bell: Bell,
    /// Counts polls of the link.
    polls: u64,
    /// What is first of what came goes alone, once nothing else waits.
    waits_alone: bool,
    pub(super) wire: W,
    pub(super) incoming: Incoming,
    pub(super) outbox: Outbox,
    logged_in: bool,
    /// Held until then.
    pub(super) guest: Option<Arc<Guest>>,
    opened: Instant,
    /// When the last whole frame came.
    heard: Instant,
    /// When it was asked since then whether somebody is there.
    pinged: Option<Instant>,
    pings: u64,
    /// Since when something waits in the outbox that is not urgent; `None` where all of it is.
    lazy: Option<Instant>,
    patience: Patience,
    /// The peer says nothing more, and nothing more is pushed to it.
    ended: bool,
    /// What is left of the present turn.
    turn: u32,
    timer: Pin<Box<Sleep>>,
    /// The timer knows whom to wake.
    timed: bool,
    stopping: watch::Receiver<bool>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whom the relay's stop wakes.
    wakes: Option<Waker>,
    /// The relay stops: nothing more is begun, and what was is answered until then.
    parts: Option<Instant>,
}

impl<'a, S: Store, W: Wire, N: Fn() -> u64 + Send> Link<'a, S, W, N> {
    pub(super) fn new(
        relay: &'a Arc<Relay<S>>,
        caller: Caller,
        (wire, incoming, outbox): (W, Incoming, Outbox),
        timing: &'a Timing,
        now: N,
        opened: Instant,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let due = opened + timing.ping;
        let mut stop = stopping.clone();
        Self {
            relay,
            timing,
            now,
            kind: caller.kind(),
            bell: caller.bell().clone(),
            logged_in: caller.name().is_some(),
            guest: None,
            caller: Some(Box::new(caller)),
            alone: None,
            asked: VecDeque::new(),
            asking: 0,
            said: Vec::new(),
            saying: None,
            polls: 0,
            waits_alone: false,
            wire,
            incoming,
            outbox,
            opened,
            heard: opened,
            pinged: None,
            pings: 0,
            lazy: None,
            patience: Patience::default(),
            ended: false,
            turn: TURN,
            timer: Box::pin(sleep_until(due)),
            timed: false,
            stop: Box::pin(async move { stopped(&mut stop).await }),
            stopping,
            wakes: None,
            parts: None,
        }
    }

    /// Until the link ends.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        if self.parts.is_none() && self.stops(context) {
            self.parts = Some(Instant::now() + self.timing.goodbye);
        }
        self.timed &= self.parts.is_none();
        self.turn = TURN;
        self.polls += 1;
        for _ in 0..ROUNDS {
            if self.parted() {
                return Poll::Ready(End::Goodbye(Refusal::Stopping));
            }
            match self.step(context) {
                // [RELAY-25] others first.
                Ok(_) if self.turn == 0 => break,
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(end) => return Poll::Ready(end),
            }
        }
        // Once the others had their turn, and the network was asked for what came meanwhile.
        let _ = pin!(yield_now()).poll(context);
        Poll::Pending
    }

    /// All that can be done now, once; whether there is more.
    fn step(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        self.finish_alone(context)?;
        self.hear(context)?;
        self.answer(context);
        self.push(context)?;
        let full = self.outbox.waiting() >= PUSH_BELOW;
        self.write(context)?;
        // Then there is room for pushes again; but who takes all that is pushed has its turn, and no more. [RELAY-25]
        let mut more = full && self.outbox.waiting() < PUSH_BELOW;
        if more {
            self.turn = self.turn.saturating_sub(FULL);
        }
        more |= self.read(context)?;
        more |= self.overdue(context)?;
        Ok(more || self.hears()? || self.parted())
    }

    /// The relay stops, and [RELAY-14] what was begun is answered.
    fn parted(&self) -> bool {
        self.parts.is_some() && self.asked.is_empty() && self.alone.is_none()
    }

    /// Whether there is a request that may be begun.
    fn hears(&self) -> Result<bool, End> {
        let waits = self.waits_alone && !self.asked.is_empty();
        let begins = self.room() && !waits;
        Ok(begins && self.incoming.first().map_err(|error| end_of(&error))?.is_some())
    }

    /// Whether the relay has begun to stop.
    fn stops(&mut self, context: &Context<'_>) -> bool {
        // Once the future knows whom to wake, an atomic number tells whether there is anything to ask it.
        let same = self.wakes.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if same && self.stopping.has_changed().is_ok_and(|changed| !changed) {
            return false;
        }
        self.wakes = Some(context.waker().clone());
        self.timed = false;
        self.stop.as_mut().poll(&mut Context::from_waker(context.waker())).is_ready()
    }

    /// Whether one more request may be begun.
    fn room(&self) -> bool {
        let begins = self.alone.is_none() && self.parts.is_none() && self.patience.waits().is_none();
        let memory = self.outbox.waiting().max(self.asking) + MAX_FRAME <= MAX_WAITING;
        begins && self.asked.len() < MAX_ASKED && memory
    }

    /// Begins what was asked. [RELAY-14] in the order in which it came.
    fn hear(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        while self.turn > 0 && self.room() {
            let (relay, others) = (self.relay, !self.asked.is_empty());
            let Some(caller) = &mut self.caller else { break };
            let Some(body) = self.incoming.first().map_err(|error| end_of(&error))? else { break };
            let length = body.len();
            self.waits_alone = false;
            match FrameRef::read(body) {
                Ok(FrameRef::Request { id, work, body }) => {
                    let now = (self.now)();
                    let begun = relay.begin(now, caller, work, body, others);
                    self.turn = self.turn.saturating_sub(weight(&begun));
                    match begun {
                        Begun::Answered(answer) => self.ask(id, 0, false, Awaited::Ready(answer)),
                        Begun::Waits { answer, lazy } => self.ask(id, length, lazy, Awaited::Waits(answer)),
                        Begun::Alone(request) => {
                            let Some(mut caller) = self.caller.take() else { break };
                            let weight = alone(length);
                            self.alone = Some(Box::pin(async move {
                                let answer = relay.answer(now, &mut caller, *request).await;
                                (caller, Done::Answered(id, answer, weight))
                            }));
                        }
                        Begun::InTurn(body) => {
                            let Some(mut caller) = self.caller.take() else { break };
                            let weight = alone(length);
                            self.alone = Some(Box::pin(async move {
                                let answer = relay.answer_in_turn(now, &mut caller, &body).await;
                                (caller, Done::Answered(id, answer, weight))
                            }));
                        }
                        Begun::Said(said) => {
                            self.said.push(*said);
                            self.ask(id, length, false, Awaited::Said);
                        }
                        Begun::NotYet => {
                            self.waits_alone = true;
                            break;
                        }
                    }
                }
                Ok(FrameRef::Pong(_)) => self.turn -= 1,
                Err(_) => return Err(End::Goodbye(Refusal::Malformed)),
            }
            self.incoming.heard(length);
            (self.heard, self.pinged) = (Instant::now(), None);
            self.finish_alone(context)?;
        }
        Ok(())
    }

    fn ask(&mut self, id: u32, bytes: usize, lazy: bool, answer: Awaited<'a>) {
        self.asking += bytes;
        self.asked.push_back(Asked { id, bytes, lazy, answer, polled: 0 });
    }

    fn finish_alone(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        let Some(alone) = &mut self.alone else { return Ok(()) };
        let Poll::Ready((mut caller, done)) = alone.as_mut().poll(context) else { return Ok(()) };
        self.alone = None;
        self.logged_in = caller.name().is_some();
        self.guest = self.guest.take().filter(|_| !self.logged_in);
        for tail in caller.take_new_tails() {
            tokio::spawn(Arc::clone(self.relay).pass_on(tail));
        }
        let ended = caller.ended();
        self.caller = Some(caller);
        match (done, ended) {
            (Done::Answered(id, answer, weight), _) => {
                self.patience.answered(&answer, weight);
                self.send(&RelayFrame::Answer { id, answer });
            }
            (Done::Read(_), Some(reason)) => return Err(End::Goodbye(reason)),
            (Done::Read(Err(fault)), None) => return Err(End::Goodbye(self.relay.internal(&fault))),
            (Done::Read(Ok(frames)), None) => {
                self.lazy = self.lazy.filter(|_| frames.is_empty());
                frames.into_iter().for_each(|frame| self.outbox.push(frame));
            }
        }
        Ok(())
    }

    /// Sends the answers that are there, up to the first that is not.
    fn answer(&mut self, context: &mut Context<'_>) {
        self.say(context);
        // All of them go on, whichever is the first.
        for asked in self.asked.iter_mut().filter(|asked| asked.polled < self.polls) {
            if let Awaited::Waits(answer) = &mut asked.answer {
                asked.polled = self.polls;
                match answer.as_mut().poll(context) {
                    Poll::Ready(answer) => asked.answer = Awaited::Ready(answer),
                    // What waits for the disk has waited long enough then.
                    Poll::Pending => asked.lazy = false,
                }
            }
        }
        while self.asked.front().is_some_and(|asked| matches!(asked.answer, Awaited::Ready(_))) {
            let Some(Asked { id, bytes, lazy, answer: Awaited::Ready(answer), .. }) = self.asked.pop_front() else {
                break;
            };
            self.asking -= bytes;
            let before = self.lazy;
            let silent = self.outbox.waiting() == 0;
            self.patience.answered(&answer, 1);
            self.send(&RelayFrame::Answer { id, answer });
            if lazy && (silent || before.is_some()) {
                self.lazy = before.or_else(|| Some(Instant::now()));
            }
        }
        if self.asked.is_empty() && self.asked.capacity() > FEW {
            self.asked = VecDeque::new();
        }
    }

    /// Lets the posts go on: all that wait share a commit, once those before them are durable.
    fn say(&mut self, context: &mut Context<'_>) {
        while self.saying.is_some() || !self.said.is_empty() {
            let (relay, said, now) = (self.relay, &mut self.said, &self.now);
            let saying = self.saying.get_or_insert_with(|| relay.say(now(), std::mem::take(said)));
            let Poll::Ready(answers) = saying.as_mut().poll(context) else { return };
            self.saying = None;
            let waiting = self.asked.iter_mut().filter(|asked| matches!(asked.answer, Awaited::Said));
            waiting.zip(answers).for_each(|(asked, answer)| asked.answer = Awaited::Ready(answer));
        }
    }

    /// Takes what there is to push, as far as there is room: out of memory at once, else out of the store.
    fn push(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        // Until the bell has nothing: it knows whom to wake then.
        while let Some(caller) = &mut self.caller {
            let rung = self.bell.poll_rung(context).is_ready();
            if rung && let Some(reason) = caller.ended() {
                return Err(End::Goodbye(reason));
            }
            let before = self.outbox.waiting();
            if !(rung || caller.more()) || self.parts.is_some() || self.ended || before >= PUSH_BELOW {
                return Ok(());
            }
            let outbox = &mut self.outbox;
            self.relay.posts_at_hand(caller, PUSH_BATCH, |frame| outbox.push(frame));
            if outbox.waiting() > before {
                self.lazy = None;
            } else if caller.more() {
                let (relay, now) = (self.relay, (self.now)());
                let Some(mut caller) = self.caller.take() else { break };
                self.alone = Some(Box::pin(async move {
                    let read = relay.pushed(now, &mut caller, PUSH_BATCH).await;
                    (caller, Done::Read(read))
                }));
                self.finish_alone(context)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        if self.lazy.is_some() {
            return Ok(());
        }
        match self.wire.poll_write(context, &mut self.outbox) {
            Poll::Ready(Err(_)) => Err(End::Quiet),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        if !self.room() || self.incoming.first().map_err(|error| end_of(&error))?.is_some() {
            return Ok(false);
        }
        match self.wire.poll_read(context, &mut self.incoming.bytes) {
            Poll::Ready(Ok(())) => Ok(true),
            // Who says nothing more may still listen: what was asked is answered, and what is answered is written.
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof && self.owes() => {
                self.lazy = None;
                // What waited for company is to be written.
                Ok(!std::mem::replace(&mut self.ended, true))
            }
            Poll::Ready(Err(_)) if !self.asked.is_empty() => Ok(false),
            Poll::Ready(Err(_)) => Err(End::Quiet),
            Poll::Pending => {
                self.incoming.settle();
                Ok(false)
            }
        }
    }

    /// Whether the peer is to hear something that it has not heard yet.
    fn owes(&self) -> bool {
        !self.asked.is_empty() || self.outbox.waiting() > 0 || self.outbox.since().is_some()
    }

    /// When something happens by itself.
    fn due(&self) -> Instant {
        let silence = match self.pinged {
            None => self.heard + self.timing.ping,
            Some(_) => self.heard + self.timing.silence,
        };
        let stall = self.outbox.since().map(|since| since + self.timing.stall);
        let lazy = self.lazy.map(|since| since + LAZY);
        [Some(silence), stall, lazy, self.patience.waits(), self.closes(), self.parts]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(silence)
    }

    /// When the link is closed however busy it is.
    fn closes(&self) -> Option<Instant> {
        match self.kind {
            LinkKind::Anonymous => Some(self.opened + self.timing.anonymous),
            LinkKind::Authenticated if !self.logged_in => Some(self.opened + self.timing.login),
            LinkKind::Authenticated => None,
        }
    }

    fn overdue(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        // One timer, moved forward when it is due before it fires, and back only when it has fired.
        let due = self.due();
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
            self.timed = false;
        }
        // It knows whom to wake, and has not woken.
        if self.timed && !self.timer.is_elapsed() {
            return Ok(false);
        }
        self.timed = self.timer.as_mut().poll(context).is_pending();
        if self.timed {
            return Ok(false);
        }
        let now = Instant::now();
        if self.outbox.since().is_some_and(|since| now >= since + self.timing.stall) {
            return Err(End::Quiet);
        }
        if self.parts.is_some_and(|parts| now >= parts) {
            return Err(End::Goodbye(Refusal::Stopping));
        }
        let silent = now >= self.heard + self.timing.silence;
        if silent || self.closes().is_some_and(|closes| now >= closes) {
            return Err(End::Goodbye(Refusal::TimedOut));
        }
        self.lazy = self.lazy.filter(|since| now < *since + LAZY);
        self.patience.waited(now);
        if self.pinged.is_none() && now >= self.heard + self.timing.ping {
            self.pinged = Some(now);
            self.pings += 1;
            self.send(&RelayFrame::Ping(self.pings));
        }
        let due = self.due();
        self.timer.as_mut().reset(due);
        Ok(true)
    }

    pub(super) fn send(&mut self, what: &RelayFrame) {
        self.lazy = None;
        if !self.outbox.say(what)
            && let RelayFrame::Answer { id, .. } = what
        {
            // An answer that exceeds a frame would be a list without bound, and there is none.
            let answer = Err(Refusal::TooLarge { limit: MAX_FRAME as u64 });
            self.outbox.say(&RelayFrame::Answer { id: *id, answer });
        }
    }
}
