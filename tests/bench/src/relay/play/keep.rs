//! Boxes for people who are away, and their return.
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{noise, open};
use crate::relay::clock::{Watch, nanos};
use crate::relay::codec::{Codec, Event, Wrong};
use crate::relay::engine::{Engine, LinkId};
use crate::relay::host::Host;
use crate::relay::row::{Latencies, Play, Round, passed};

/// For all that waits to be taken at last: a peer that syncs each acknowledgement takes its time.
const LONG: Duration = Duration::from_secs(300);

/// A link that sends boxes to one person who is away.
struct Deposit {
    person: u32,
    /// When the boxes left that are not accepted yet.
    under_way: VecDeque<u64>,
    /// How many have left in all.
    sent: u32,
}

/// Links that send boxes, each to a person of its own.
struct Deposits {
    links: HashMap<LinkId, Deposit>,
    payload: Vec<u8>,
    /// Boxes that a person is sent at most.
    most: u32,
    /// How many were accepted.
    accepted: u64,
}

impl Deposits {
    fn open(
        engine: &mut Engine,
        host: &Host,
        people: usize,
        most: u32,
        payload: &[u8],
        codec: impl FnMut(u32) -> Result<Box<dyn Codec>, Wrong>,
    ) -> Result<Self, Wrong> {
        let links = open(engine, host, people, codec)?;
        let deposit = |person| Deposit { person, under_way: VecDeque::new(), sent: 0 };
        let links = links.into_iter().zip((0..).map(deposit)).collect();
        Ok(Self { links, payload: payload.to_vec(), most, accepted: 0 })
    }

    fn send(&mut self, engine: &mut Engine, link: LinkId) -> Result<(), Wrong> {
        let Some(deposit) = self.links.get_mut(&link).filter(|deposit| deposit.sent < self.most) else {
            return Ok(());
        };
        deposit.sent += 1;
        deposit.under_way.push_back(nanos());
        let person = deposit.person;
        engine.say(link, |codec, out| codec.send(person, &self.payload, out))
    }

    /// Keeps so many under way on each link, for so long or until each person has the most, and waits for the rest.
    fn run(
        &mut self,
        engine: &mut Engine,
        in_flight: usize,
        span: Duration,
        latencies: &mut Latencies,
    ) -> Result<(), Wrong> {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            (0..in_flight).try_for_each(|_| self.send(engine, link))?;
        }
        let began = nanos();
        engine.until(LONG, "accepting boxes", |engine, heard| {
            let over = passed(began, span);
            for heard in heard.iter().filter(|heard| heard.what == Event::Accepted) {
                let left = self.links.get_mut(&heard.link).and_then(|deposit| deposit.under_way.pop_front());
                let left = left.ok_or_else(|| Wrong::new("a box was accepted that nobody sent"))?;
                self.accepted += 1;
                latencies.add(left, heard.at);
                if !over {
                    self.send(engine, heard.link)?;
                }
            }
            let ended = over || self.links.values().all(|deposit| deposit.sent == self.most);
            Ok(ended && self.links.values().all(|deposit| deposit.under_way.is_empty()))
        })
    }

    /// Ends the links; how many boxes wait for each person.
    fn close(self, engine: &mut Engine) -> Vec<u32> {
        let mut waiting = vec![0; self.links.len()];
        for (link, deposit) in self.links {
            engine.close(link);
            if let Some(waiting) = waiting.get_mut(deposit.person as usize) {
                *waiting = deposit.sent;
            }
        }
        waiting
    }
}

/// All of them come back, take what waits for them and acknowledge it, until nothing is left.
pub(super) fn take_all(engine: &mut Engine, host: &Host, waiting: &[u32]) -> Result<(), Wrong> {
    let all: u64 = waiting.iter().copied().map(u64::from).sum();
    let (mut links, mut opened) = (HashMap::new(), waiting.iter().zip(0..));
    let mut taken = 0;
    engine.until(LONG, "taking what waits", |engine, heard| {
        for (boxes, person) in opened.by_ref() {
            links.insert(host.open(engine, host.clients.returner(person, *boxes)?)?, (u64::from(*boxes), false));
        }
        for heard in heard {
            let Some((left, settled)) = links.get_mut(&heard.link) else { continue };
            let boxes = match heard.what {
                Event::Delivered { .. } => 1,
                Event::Page { boxes } => u64::from(boxes),
                Event::Settled => 0,
                _ => continue,
            };
            taken += boxes;
            *left = left.checked_sub(boxes).ok_or_else(|| Wrong::new("more came than had been sent"))?;
            *settled |= *left == 0 && heard.what == Event::Settled;
        }
        Ok(taken == all && links.values().all(|(_, settled)| *settled))
    })?;
    links.into_keys().for_each(|link| engine.close(link));
    Ok(())
}

/// Boxes are sent to people who are away; each is accepted once it is kept.
pub struct Ingest {
    senders: usize,
    in_flight: usize,
    most: u32,
    span: Duration,
    payload: Vec<u8>,
}

impl Ingest {
    /// So many senders with so many boxes under way each, which send a person so many boxes at most in a round.
    pub fn new(senders: usize, in_flight: usize, most: u32, bytes: usize, span: Duration) -> Self {
        Self { senders, in_flight, most, span, payload: noise(bytes) }
    }
}

impl Ingest {
    /// One round, and how many boxes wait for each person after it.
    pub(super) fn keep(&self, engine: &mut Engine, host: &Host) -> Result<(Round, Vec<u32>), Wrong> {
        let codec = |person| host.clients.depositor(person, person);
        let mut deposits = Deposits::open(engine, host, self.senders, self.most, &self.payload, codec)?;
        let mut latencies = Latencies::default();
        let watch = Watch::begin(&host.process)?;
        deposits.run(engine, self.in_flight, self.span, &mut latencies)?;
        let used = watch.end()?;
        let accepted = deposits.accepted;
        Ok((Round::of(accepted, used, &latencies), deposits.close(engine)))
    }
}

impl Play for Ingest {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        let (round, waiting) = self.keep(engine, host)?;
        take_all(engine, host, &waiting)?;
        Ok(round)
    }
}

/// Mailboxes were filled; all their owners come back at once, and take and acknowledge everything.
pub struct Drain {
    people: usize,
    boxes: u32,
    payload: Vec<u8>,
}

impl Drain {
    pub fn new(people: usize, boxes: u32, bytes: usize) -> Self {
        Self { people, boxes, payload: noise(bytes) }
    }
}

impl Play for Drain {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        let codec = |person| host.clients.depositor(person, person);
        let mut deposits = Deposits::open(engine, host, self.people, self.boxes, &self.payload, codec)?;
        deposits.run(engine, 16, LONG, &mut Latencies::default())?;
        let waiting = deposits.close(engine);
        let watch = Watch::begin(&host.process)?;
        take_all(engine, host, &waiting)?;
        let used = watch.end()?;
        Ok(Round::of(waiting.iter().copied().map(u64::from).sum(), used, &Latencies::default()))
    }
}

/// Keys of people are fetched, one bundle at a time on each link.
pub struct Fetch {
    links: usize,
    span: Duration,
}

impl Fetch {
    pub fn new(links: usize, span: Duration) -> Self {
        Self { links, span }
    }
}

impl Play for Fetch {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        let codec = |person| host.clients.fetcher(person);
        let mut fetches = Deposits::open(engine, host, self.links, u32::MAX, &[], codec)?;
        let mut latencies = Latencies::default();
        let watch = Watch::begin(&host.process)?;
        fetches.run(engine, 1, self.span, &mut latencies)?;
        let used = watch.end()?;
        let fetched = fetches.accepted;
        fetches.close(engine);
        Ok(Round::of(fetched, used, &latencies))
    }
}
