//! Pairs of people send each other boxes.
use std::time::Duration;

use super::{PATIENCE, noise, open, stamp};
use crate::relay::clock::{Watch, nanos};
use crate::relay::codec::{Event, Wrong};
use crate::relay::engine::{Engine, Heard, LinkId};
use crate::relay::host::Host;
use crate::relay::row::{Latencies, Play, Round, passed};

/// How a pair talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// One box in each pair, back and forth.
    PingPong,
    /// Each keeps so many on their way to the other.
    InFlight(u64),
}

/// One person's side of a pair; `sends`: the link on which it does.
#[derive(Clone, Copy, Default)]
struct Side {
    sends: LinkId,
    sent: u64,
    accepted: u64,
    /// Of the other one's boxes.
    received: u64,
}

/// Sealed boxes between pairs who are both there.
pub struct Boxes {
    pairs: usize,
    talk: Talk,
    span: Duration,
    payload: Vec<u8>,
    accepts: bool,
    /// The two of a pair are neighbours.
    sides: Vec<Side>,
    /// Whose link this is.
    whose: Vec<Option<usize>>,
}

impl Boxes {
    pub fn new(pairs: usize, payload: usize, talk: Talk, span: Duration) -> Self {
        let (sides, whose) = (vec![Side::default(); 2 * pairs], Vec::new());
        Self { pairs, talk, span, payload: noise(payload), accepts: false, sides, whose }
    }

    fn side(&mut self, at: usize) -> Result<&mut Side, Wrong> {
        self.sides.get_mut(at).ok_or_else(|| Wrong::new("no such side"))
    }

    fn send(&mut self, engine: &mut Engine, at: usize) -> Result<(), Wrong> {
        stamp(&mut self.payload, nanos());
        let side = self.side(at)?;
        side.sent += 1;
        let link = side.sends;
        let to = u32::try_from(at ^ 1).map_err(|_| Wrong::new("too many people"))?;
        engine.say(link, |codec, out| codec.send(to, &self.payload, out))
    }

    /// Sends as much as this side may have on its way. A box is on its way until its recipient has it and, where the
    /// protocol says so, its sender knows that it was accepted.
    fn fill(&mut self, engine: &mut Engine, at: usize) -> Result<(), Wrong> {
        let Talk::InFlight(window) = self.talk else { return Ok(()) };
        loop {
            let (received, side) = (self.side(at ^ 1)?.received, *self.side(at)?);
            let done = if self.accepts { side.accepted.min(received) } else { received };
            if side.sent >= done + window {
                return Ok(());
            }
            self.send(engine, at)?;
        }
    }

    /// Takes what came; `answers`: and goes on. How many boxes have come.
    fn hear(
        &mut self,
        engine: &mut Engine,
        heard: &[Heard],
        answers: bool,
        latencies: &mut Option<Latencies>,
    ) -> Result<u64, Wrong> {
        let mut came = 0;
        for heard in heard {
            let Some(at) = self.whose.get(heard.link).copied().flatten() else { continue };
            match heard.what {
                Event::Delivered { stamp } => {
                    came += 1;
                    self.side(at)?.received += 1;
                    if let Some(latencies) = latencies {
                        latencies.add(stamp, heard.at);
                    }
                    match self.talk {
                        Talk::PingPong if answers => self.send(engine, at)?,
                        Talk::InFlight(_) if answers => self.fill(engine, at ^ 1)?,
                        _ => {}
                    }
                }
                Event::Accepted => {
                    self.side(at)?.accepted += 1;
                    if answers {
                        self.fill(engine, at)?;
                    }
                }
                _ => {}
            }
        }
        Ok(came)
    }

    fn go_on(&mut self, engine: &mut Engine, span: Duration, latencies: &mut Option<Latencies>) -> Result<u64, Wrong> {
        let (began, mut came, mut heard) = (nanos(), 0, Vec::new());
        while !passed(began, span) {
            heard.clear();
            engine.turn(Duration::from_millis(100), &mut heard)?;
            came += self.hear(engine, &heard, true, latencies)?;
        }
        Ok(came)
    }

    /// Whether all that was sent has come, and was accepted where that is said.
    fn quiet(&self) -> bool {
        let sent: u64 = self.sides.iter().map(|side| side.sent).sum();
        let received: u64 = self.sides.iter().map(|side| side.received).sum();
        sent == received && (!self.accepts || self.sides.iter().all(|side| side.sent == side.accepted))
    }
}

impl Play for Boxes {
    fn enter(&mut self, engine: &mut Engine, host: &Host) -> Result<(), Wrong> {
        self.accepts = host.clients.accepts();
        let people = 2 * self.pairs;
        let receive = open(engine, host, people, |number| host.clients.person(number))?;
        let own = host.clients.sender(0, 1)?.is_none();
        let send = match own {
            true => receive.clone(),
            false => open(engine, host, people, |number| {
                let link = host.clients.sender(number, number ^ 1)?;
                link.ok_or_else(|| Wrong::new("no link to send on"))
            })?,
        };
        let links = receive.iter().chain(&send).copied().max().unwrap_or_default() + 1;
        self.whose = vec![None; links];
        for (at, (receives, sends)) in receive.into_iter().zip(send).enumerate() {
            *self.side(at)? = Side { sends, ..Side::default() };
            for link in [receives, sends] {
                if let Some(whose) = self.whose.get_mut(link) {
                    *whose = Some(at);
                }
            }
        }
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        self.sides.iter_mut().for_each(|side| (side.sent, side.accepted, side.received) = (0, 0, 0));
        for pair in 0..self.pairs {
            match self.talk {
                Talk::PingPong => self.send(engine, 2 * pair)?,
                Talk::InFlight(_) => {
                    self.fill(engine, 2 * pair)?;
                    self.fill(engine, 2 * pair + 1)?;
                }
            }
        }
        self.go_on(engine, self.span / 5, &mut None)?;
        let mut latencies = Some(Latencies::default());
        let watch = Watch::begin(&host.process)?;
        let came = self.go_on(engine, self.span, &mut latencies)?;
        let used = watch.end()?;
        engine.until(PATIENCE, "the last boxes", |engine, heard| {
            self.hear(engine, heard, false, &mut None)?;
            Ok(self.quiet())
        })?;
        Ok(Round::of(came, used, &latencies.unwrap_or_default()))
    }
}
