//! The network: links between engines and the relay, with delays, breaks and partitions; and the client's link layer as
//! the real one behaves, work included.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use rand::RngExt;
use sealpost_client::engine::{Failure, LinkEvent, RequestId, Transmit};
use sealpost_crypto::work;
use sealpost_relay::{Caller, Peer};
use sealpost_spec::account::Name;
use sealpost_spec::mailbox::Push;
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Refusal, RelayHello, Request, Work};
use sealpost_spec::wire::{LENGTH_PREFIX, RelayFrame, VERSION, decode, encode};

use super::waiting::Asked;
use super::{MINUTE, SECOND, World, ready, transitions};

/// An anonymous link is replaced after this long.
const LIFE: u64 = 9 * MINUTE;
/// An anonymous link without requests closes after this long.
const IDLE: u64 = 30 * SECOND;
/// Longest pause before connecting again.
const LONGEST_PAUSE: u64 = MINUTE;
/// Bytes of pushes that are asked for at once.
const PUSHED_AT_ONCE: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(pub(super) u64);

/// A link, with what both of its ends know.
pub(super) struct Link {
    person: String,
    life: u64,
    kind: LinkKind,
    recipient: Option<Name>,
    /// What the relay knows of it; not here while a request of it waits for the store.
    pub(super) caller: Option<Caller>,
    channel: [u8; 32],
    hello: RelayHello,
    /// When the relay's hello arrives: nothing is sent before.
    ready_at: u64,
    /// An anonymous link takes no new requests from then on.
    ages_at: u64,
    busy_at: u64,
    counter: u64,
    /// Asked and not answered: the request, and whether the relay has named another price already.
    unanswered: BTreeMap<RequestId, (Request, bool)>,
    to_relay: u64,
    to_client: u64,
}

/// Something that happens at a time.
pub(super) enum Happening {
    /// A client tries to open its authenticated link.
    Dials { person: String, life: u64 },
    /// The relay's hello has arrived.
    Opened(LinkId),
    /// A request arrives at the relay.
    Asks { link: LinkId, id: RequestId, body: Vec<u8>, work: Option<Work> },
    /// Something arrives at a client.
    Hears { link: LinkId, heard: Heard },
    /// A client notices that something has come to its end without the relay.
    Fails { person: String, life: u64, event: LinkEvent },
    /// A client that died comes back.
    Returns { person: String, life: u64 },
    /// An anonymous link may have become idle.
    Idles(LinkId),
    /// The relay's store writes what nobody has taken in time.
    Commits,
}

/// What arrives at a client.
pub(super) enum Heard {
    Answer(RequestId, Result<Answer, Refusal>),
    Push(Push),
    Goodbye(Refusal),
}

// The agenda orders by time and number alone: no two entries have the same number.
impl PartialEq for Happening {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Happening {}
impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Happening {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl World {
    /// A chance in a thousand.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.dice.random_range(0..1_000) < per_mille
    }

    fn delay(&mut self) -> u64 {
        if self.faults.slowest == 0 { 5 } else { self.dice.random_range(5..=self.faults.slowest) }
    }

    /// Cuts the network in two, or heals it.
    pub(crate) fn partition(&mut self, cut: bool) {
        self.mark("partition", &[u8::from(cut)]);
        self.faults.partition = cut;
        if cut {
            self.walked.note("fault", "partition");
            self.break_all_links();
        }
    }

    /// Cuts somebody off from the relay, or lets them reach it again.
    pub(crate) fn cuts_off(&mut self, person: &str, cut: bool) {
        self.mark(if cut { "cut off" } else { "no more cut off" }, person.as_bytes());
        if cut {
            self.walked.note("fault", "cut off");
            self.faults.cut_off.insert(person.to_owned());
            self.break_links_of(person);
        } else {
            self.faults.cut_off.remove(person);
        }
    }

    /// Breaks every link, as a router that restarts does.
    pub(crate) fn break_all_links(&mut self) {
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        for link in all {
            self.breaks(link);
        }
    }

    pub(super) fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Dials { person, life } => self.dials(&person, life),
            Happening::Opened(link) => self.opened(link),
            Happening::Asks { link, id, body, work } => self.asks(link, id, &body, work),
            Happening::Hears { link, heard } => self.hears(link, heard),
            Happening::Fails { person, life, event } => self.tell(&person, life, event),
            Happening::Returns { person, life } => {
                let them = &self.people[&person];
                if them.life == life && them.returns && them.engine.is_none() {
                    self.opens(&person);
                }
            }
            Happening::Idles(link) => self.idles(link),
            Happening::Commits => self.commits(),
        }
    }

    // ---- the client's side

    pub(super) fn transmits(&mut self, person: &str, transmit: Transmit) {
        match transmit {
            Transmit::Connect => {
                let them = self.people.get_mut(person).unwrap();
                them.wants_link = true;
                if them.authenticated.is_none() && !them.dialing {
                    them.dialing = true;
                    them.attempt = 0;
                    let life = them.life;
                    self.schedule(1, Happening::Dials { person: person.to_owned(), life });
                }
            }
            Transmit::Disconnect => {
                let them = self.people.get_mut(person).unwrap();
                them.wants_link = false;
                self.break_links_of(person);
            }
            Transmit::Authenticated { id, request } => match self.people[person].authenticated {
                Some(link) => self.send(link, id, request, false),
                None => self.fail(person, 1, id, Failure::Unreachable("there is no link to the relay".to_owned())),
            },
            Transmit::Anonymous { id, recipient, request } => self.transmit_anonymously(person, id, recipient, request),
            // Whoever moves files reads and writes real ones: that is tried with real programs.
            Transmit::File(_) => {}
        }
    }

    fn transmit_anonymously(&mut self, person: &str, id: RequestId, recipient: Name, request: Request) {
        let young = self.people[person]
            .anonymous
            .get(&recipient)
            .copied()
            .filter(|link| self.links.get(link).is_some_and(|link| self.now < link.ages_at));
        match young.or_else(|| self.open(person, LinkKind::Anonymous, Some(recipient))) {
            Some(link) => self.send(link, id, request, false),
            None => self.fail(person, 2 * SECOND, id, Failure::Unreachable("nobody answers there".to_owned())),
        }
    }

    fn fail(&mut self, person: &str, after: u64, id: RequestId, failure: Failure) {
        let life = self.people[person].life;
        let event = LinkEvent::Answer { id, result: Err(failure) };
        self.schedule(after, Happening::Fails { person: person.to_owned(), life, event });
    }

    fn tell(&mut self, person: &str, life: u64, event: LinkEvent) {
        let them = &self.people[person];
        if them.life != life || them.engine.is_none() {
            return;
        }
        let disconnected = matches!(event, LinkEvent::Disconnected(_));
        self.mark("tell", format!("{person} {event:?}").as_bytes());
        self.engine_step(person, |engine, now| engine.handle_link(now, event));
        if disconnected {
            self.dial_again(person);
        }
    }

    fn dial_again(&mut self, person: &str) {
        let them = self.people.get_mut(person).unwrap();
        if them.wants_link && them.engine.is_some() && them.authenticated.is_none() && !them.dialing {
            them.dialing = true;
            let pause = (500 << them.attempt.min(10)).min(LONGEST_PAUSE);
            them.attempt += 1;
            let life = them.life;
            let pause = pause + self.dice.random_range(0..pause / 4);
            self.schedule(pause, Happening::Dials { person: person.to_owned(), life });
        }
    }

    fn dials(&mut self, person: &str, life: u64) {
        let them = self.people.get_mut(person).unwrap();
        if them.life != life || them.engine.is_none() {
            return;
        }
        them.dialing = false;
        if !them.wants_link || them.authenticated.is_some() {
            return;
        }
        if let Some(link) = self.open(person, LinkKind::Authenticated, None) {
            let ready_at = self.links[&link].ready_at;
            self.schedule(ready_at - self.now, Happening::Opened(link));
        } else {
            let failure = Failure::Unreachable("nobody answers there".to_owned());
            self.tell(person, life, LinkEvent::Disconnected(failure));
        }
    }

    /// Opens a link; `None`: the relay can't be reached.
    fn open(&mut self, person: &str, kind: LinkKind, recipient: Option<Name>) -> Option<LinkId> {
        if self.faults.partition || self.faults.cut_off.contains(person) {
            return None;
        }
        let relay = self.relay.as_ref()?;
        let channel: [u8; 32] = self.dice.random();
        let place = self.people.keys().position(|name| name == person).unwrap_or_default();
        let peer = Peer { address: [10, 0, 0, place as u8].into(), channel };
        let hello = ClientHello { lowest: VERSION, highest: VERSION, kind };
        let (reply, caller) = relay.hello(self.now, &hello, peer);
        self.record.keep("request", &hello.layout());
        self.record.keep("answer", &reply);
        let caller = caller?;
        let mut hello = RelayHello::parse(&reply).ok()?.ok()?;
        if let Some(bend) = self.mallory.hello.as_mut() {
            hello = bend(person, hello);
        }
        if let Some(version) = self.mallory.version {
            // A client that can't read a hello closes the link.
            hello = RelayHello::parse(&hello.layout(version)?).ok()?.ok()?;
        }
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let delay = self.delay() + self.delay();
        let ready_at = self.now + delay;
        let life = self.people[person].life;
        let link = Link {
            person: person.to_owned(),
            life,
            kind,
            recipient: recipient.clone(),
            caller: Some(caller),
            channel,
            hello,
            ready_at,
            ages_at: self.now + LIFE,
            busy_at: self.now,
            counter: 0,
            unanswered: BTreeMap::new(),
            to_relay: ready_at,
            to_client: ready_at,
        };
        self.links.insert(id, link);
        let them = self.people.get_mut(person).unwrap();
        match recipient {
            Some(recipient) => {
                them.anonymous.insert(recipient, id);
                self.schedule(IDLE, Happening::Idles(id));
            }
            None => them.authenticated = Some(id),
        }
        Some(id)
    }

    fn opened(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let (person, life) = (link.person.clone(), link.life);
        self.people.get_mut(&person).unwrap().attempt = 0;
        let event = LinkEvent::Connected {
            hello: link.hello.clone(),
            relay: self.relay_key,
            channel: link.channel,
            transport: "simulated".to_owned(),
        };
        self.tell(&person, life, event);
    }

    /// Writes a request on a link, with the work that it costs.
    fn send(&mut self, id: LinkId, request_id: RequestId, request: Request, corrected: bool) {
        let body = encode(&request).expect("engines make requests that fit a frame");
        let Some(link) = self.links.get(&id) else { return };
        let bits = match (link.kind, &request) {
            (LinkKind::Anonymous, Request::FetchBundle(_) | Request::FetchDevices(_)) => link.hello.work.fetch,
            (LinkKind::Anonymous, Request::Deliver { token: None, .. }) => link.hello.work.deliver,
            _ => 0,
        };
        self.write(id, request_id, request, body, bits, corrected);
    }

    fn write(&mut self, id: LinkId, request_id: RequestId, request: Request, body: Vec<u8>, bits: u8, corrected: bool) {
        let relay = self.relay_key;
        let delay = self.delay();
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let work = (bits > 0).then(|| {
            link.counter += 1;
            work::solve(work::Channel { relay: &relay, exporter: &link.channel }, link.counter, &body, bits)
        });
        link.busy_at = now;
        link.unanswered.insert(request_id, (request, corrected));
        // A link keeps its order, whatever each message takes.
        link.to_relay = link.to_relay.max(link.ready_at).max(now + delay);
        let at = link.to_relay;
        self.schedule(at - now, Happening::Asks { link: id, id: request_id, body, work });
        if self.chance(self.faults.breaks) {
            self.walked.note("fault", "link breaks");
            self.breaks(id);
        }
    }

    fn hears(&mut self, id: LinkId, heard: Heard) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (person, life) = (link.person.clone(), link.life);
        link.busy_at = self.now;
        match heard {
            Heard::Push(push) => self.tell(&person, life, LinkEvent::Push(push)),
            Heard::Goodbye(refusal) => {
                let stop = matches!(refusal, Refusal::Kicked { .. } | Refusal::Banned { .. } | Refusal::Replaced);
                if stop {
                    self.people.get_mut(&person).unwrap().wants_link = false;
                }
                self.ends(id, Failure::Refused(refusal));
            }
            Heard::Answer(request_id, answer) => {
                let Some((request, corrected)) = link.unanswered.remove(&request_id) else { return };
                if let (LinkKind::Anonymous, Err(Refusal::WorkNeeded { bits }), false) = (link.kind, &answer, corrected)
                {
                    let body = encode(&request).expect("it was encoded before");
                    return self.write(id, request_id, request, body, *bits, true);
                }
                let result = answer.map_err(Failure::Refused);
                self.tell(&person, life, LinkEvent::Answer { id: request_id, result });
            }
        }
    }

    fn idles(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let until = link.busy_at + IDLE;
        if !link.unanswered.is_empty() || self.now < until {
            let again = until.saturating_sub(self.now).max(SECOND);
            self.schedule(again, Happening::Idles(id));
        } else {
            self.breaks(id);
        }
    }

    // ---- the end of links

    /// A link breaks: what was asked and not answered may have arrived or not.
    fn breaks(&mut self, id: LinkId) {
        self.ends(id, Failure::Unreachable("the link broke".to_owned()));
    }

    fn ends(&mut self, id: LinkId, failure: Failure) {
        let Some(link) = self.links.remove(&id) else { return };
        let Link { person, life, recipient, unanswered, kind, .. } = link;
        self.mark("link ends", &id.0.to_le_bytes());
        let them = self.people.get_mut(&person).unwrap();
        match &recipient {
            Some(recipient) => {
                if them.anonymous.get(recipient) == Some(&id) {
                    them.anonymous.remove(recipient);
                }
            }
            None => them.authenticated = them.authenticated.filter(|current| *current != id),
        }
        let noticed = self.delay();
        for id in unanswered.into_keys() {
            let event = LinkEvent::Answer { id, result: Err(Failure::Unknown) };
            self.schedule(noticed, Happening::Fails { person: person.clone(), life, event });
        }
        if kind == LinkKind::Authenticated {
            let event = LinkEvent::Disconnected(failure);
            self.schedule(noticed, Happening::Fails { person, life, event });
        }
    }

    fn break_links_of(&mut self, person: &str) {
        let theirs: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.person == person).map(|(id, _)| *id).collect();
        for id in theirs {
            self.breaks(id);
        }
    }

    /// The client is gone: so are its links, and nobody is told.
    pub(super) fn forget_links_of(&mut self, person: &str) {
        self.links.retain(|_, link| link.person != person);
        let them = self.people.get_mut(person).unwrap();
        them.authenticated = None;
        them.anonymous.clear();
    }

    // ---- the relay's side

    fn asks(&mut self, id: LinkId, request_id: RequestId, body: &[u8], work: Option<Work>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(caller) = link.caller.take() else {
            // An earlier request of this link waits: this one is its turn after it.
            let again = Happening::Asks { link: id, id: request_id, body: body.to_vec(), work };
            return self.schedule(1, again);
        };
        let person = link.person.clone();
        self.record.keep("request", body);
        self.mark("asks", body);
        let request: Request = decode(body).expect("it was encoded by the engine");
        self.walked.note("request", transitions::request(&request));
        let taken = self.mallory.request.as_mut().and_then(|take| take(&person, &request));
        let asked = Asked { link: id, id: request_id, person, request };
        match (taken, self.relay.clone()) {
            (Some(answer), _) => self.answers(&asked, caller, answer),
            (None, Some(relay)) => self.handles(relay, asked, caller, body, work),
            (None, None) => {}
        }
    }

    /// The relay has answered.
    pub(super) fn answers(&mut self, asked: &Asked, caller: Caller, mut answer: Result<Answer, Refusal>) {
        let Asked { link: id, id: request_id, person, request } = asked;
        let Some(link) = self.links.get_mut(id) else { return };
        link.caller = Some(caller);
        if let Some(bend) = self.mallory.answer.as_mut() {
            answer = bend(person, request, answer);
        }
        match &answer {
            Ok(answer) => self.walked.note("answer", transitions::answer(answer)),
            Err(refusal) => self.walked.note("refusal", transitions::refusal(refusal)),
        }
        let frame = RelayFrame::Answer { id: 0, answer };
        let encoded = encode(&frame).unwrap_or_default();
        self.record.keep("answer", &encoded);
        self.mark("answers", &encoded);
        let RelayFrame::Answer { answer, .. } = frame else { return };
        self.say(*id, Heard::Answer(*request_id, answer));
        if self.chance(self.faults.lost_answer) {
            self.walked.note("fault", "answer lost");
            self.breaks(*id);
        }
        if self.chance(self.faults.relay_crash) {
            self.kill_relay();
            self.start_relay();
        }
        self.pushes();
    }

    fn say(&mut self, id: LinkId, heard: Heard) {
        let delay = self.delay();
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.to_client = link.to_client.max(now + delay);
        let at = link.to_client;
        self.schedule(at - now, Happening::Hears { link: id, heard });
    }

    /// What the relay tells unasked, on every link.
    pub(super) fn pushes(&mut self) {
        let all: Vec<LinkId> = self.links.keys().copied().collect();
        for id in all {
            while let Some(relay) = self.relay.as_ref() {
                let Some(link) = self.links.get_mut(&id) else { break };
                let Some(caller) = link.caller.as_mut() else { break };
                let frames = ready(relay.pushes(self.now, caller, PUSHED_AT_ONCE)).unwrap_or_default();
                let ended = caller.ended();
                let person = link.person.clone();
                let none = frames.is_empty();
                for frame in frames {
                    self.record.keep("push", &frame);
                    let Ok(RelayFrame::Push(push)) = decode(&frame[LENGTH_PREFIX..]) else {
                        panic!("the relay pushes something else than a push")
                    };
                    self.walked.note("push", transitions::push(&push));
                    self.push(id, &person, push);
                }
                if let Some(reason) = ended {
                    self.say(id, Heard::Goodbye(reason));
                    break;
                }
                if none {
                    break;
                }
            }
        }
    }

    fn push(&mut self, id: LinkId, person: &str, push: Push) {
        let pushes = match self.mallory.push.as_mut() {
            Some(bend) => bend(person, push),
            None => vec![push],
        };
        for push in pushes {
            if self.chance(self.faults.lost_push) {
                self.walked.note("fault", "push lost");
                continue;
            }
            if self.chance(self.faults.doubled_push) {
                self.walked.note("fault", "push doubled");
                self.say(id, Heard::Push(push.clone()));
            }
            self.say(id, Heard::Push(push));
        }
    }

    /// Mallory pushes something to somebody who is online.
    pub(crate) fn inject(&mut self, person: &str, push: Push) {
        let link = self.people[person].authenticated.expect("they are online");
        self.say(link, Heard::Push(push));
    }

    /// Somebody unknown asks the relay something on an anonymous link of their own, paying what it costs.
    pub(crate) fn stranger_asks(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let channel: [u8; 32] = self.dice.random();
        let relay = self.relay.clone().expect("it runs");
        let peer = Peer { address: [203, 0, 113, self.dice.random()].into(), channel };
        let hello = ClientHello { lowest: VERSION, highest: VERSION, kind: LinkKind::Anonymous };
        let (_, caller) = relay.hello(self.now, &hello, peer);
        let mut caller = caller.expect("a version fits");
        let body = encode(request).expect("it fits");
        let bits = self.rules.work.fetch.max(self.rules.work.deliver);
        let channel = work::Channel { relay: &self.relay_key, exporter: &channel };
        let work = work::solve(channel, 1, &body, bits);
        let mut answer = Box::pin(relay.handle(self.now, &mut caller, Some(work), &body));
        let answer = ready(poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Pending => {
                relay.store().commit_held().expect("nobody has crashed it");
                answer.as_mut().poll(context)
            }
            answered => answered,
        }));
        self.pushes();
        answer
    }
}
