//! Two devices and everything that a network, a crash and an attacker do to them: one byte, one act.
//!
//! A model beside them counts chains and numbers, and so knows of each message whether it must be read. It holds no key.
//! Each message is read at most once and as it was said; what must be read is read; what is refused, be it altered, read
//! before or beyond the limits, changes no state; and a profile that is laid away and taken out again goes on the same.

use std::collections::{BTreeSet, HashSet};

use rand_chacha::ChaCha20Rng;
use sealpost_crypto::identity::PrekeySecret;
use sealpost_crypto::session::{OwnPrekeys, Session, SessionId, chain_id, named_prekeys, session_id};
use sealpost_spec::account::{PrekeyId, PrekeyRole};
use sealpost_spec::message::{MAX_JUMP, MAX_SKIPPED_KEYS, SKIPPED_KEY_DAYS, SessionMessage};

use super::key::locker;
use super::people::{NOW, Person, couple, dice};

/// Acts of one input; what follows is left alone.
const ACTS: usize = 200;
/// Sessions that are begun.
const BEGUN: usize = 6;
/// Bursts, each of up to so many messages of which the last two leave.
const BURSTS: usize = 3;
const BURST: [usize; 8] = [2, 10, 100, 500, 1000, 1001, 1002, 1500];
/// One-time keys of each side.
const ONE_TIME: u32 = 3;

type Chain = [u8; 32];

/// What one side of a session must be able to read, by chains and numbers alone.
#[derive(Default)]
struct Model {
    chain: Option<Chain>,
    next: u32,
    past: HashSet<Chain>,
    /// Oldest first, with the day on which each was first seen; 0: not yet.
    skipped: Vec<(Chain, u32, u32)>,
    /// A chain of its own was begun, and the peer has not answered it.
    asked: bool,
}

impl Model {
    /// Whether this message must be read; if so, it has been.
    fn reads(&mut self, chain: Chain, previous: u32, number: u32) -> bool {
        if let Some(place) = self.skipped.iter().position(|kept| (kept.0, kept.1) == (chain, number)) {
            self.skipped.remove(place);
            return true;
        }
        let mut found = Vec::new();
        if self.chain == Some(chain) {
            if number < self.next || number - self.next > MAX_JUMP {
                return false;
            }
            found.extend((self.next..number).map(|skipped| (chain, skipped, 0)));
        } else {
            if self.past.contains(&chain) || !self.asked || previous < self.next {
                return false;
            }
            if previous - self.next + number > MAX_JUMP {
                return false;
            }
            found.extend(
                self.chain.into_iter().flat_map(|old| (self.next..previous).map(move |skipped| (old, skipped, 0))),
            );
            found.extend((0..number).map(|skipped| (chain, skipped, 0)));
            self.begins(chain);
        }
        self.next = number + 1;
        self.skipped.extend(found);
        let excess = self.skipped.len().saturating_sub(MAX_SKIPPED_KEYS);
        self.skipped.drain(..excess);
        true
    }

    /// Keys that were kept for five weeks go; whether anything is another afterwards. [MSG-35]
    fn expires(&mut self, today: u32) -> bool {
        let before = self.skipped.clone();
        self.skipped.retain(|(_, _, day)| *day == 0 || today - day < SKIPPED_KEY_DAYS);
        self.skipped.iter_mut().filter(|kept| kept.2 == 0).for_each(|kept| kept.2 = today);
        self.skipped != before
    }

    fn begins(&mut self, chain: Chain) {
        self.chain = Some(chain);
        self.past.insert(chain);
        self.asked = false;
    }
}

struct Held {
    session: Session,
    model: Model,
}

/// One device.
struct Side {
    person: &'static Person,
    sessions: Vec<Held>,
    one_time: Vec<(PrekeySecret, PrekeySecret)>,
    given: usize,
    /// Of sessions that were begun without one-time keys. [MSG-28]
    replays: HashSet<[u8; 32]>,
    read: BTreeSet<u32>,
}

impl Side {
    fn new(person: &'static Person, rng: &mut ChaCha20Rng) -> Self {
        let mut key = |role, id| PrekeySecret::generate(role, PrekeyId(id), NOW / 1000, &person.device, rng);
        let pair = |id| (key(PrekeyRole::OneTime, id), key(PrekeyRole::OneTimeKem, id));
        Self {
            person,
            sessions: Vec::new(),
            one_time: (10..10 + ONE_TIME).map(pair).collect(),
            given: 0,
            replays: HashSet::new(),
            read: BTreeSet::new(),
        }
    }

    /// All that a profile would hold of the sessions.
    fn state(&self) -> Vec<Vec<u8>> {
        self.sessions.iter().map(|held| locker().bytes_of(&held.session)).collect()
    }

    fn named(&self, one_time: PrekeyId, kem_role: PrekeyRole, kem: PrekeyId) -> Option<OwnPrekeys<'_>> {
        let find = |id| self.one_time.iter().find(|(curve, _)| curve.id() == id);
        Some(OwnPrekeys {
            signed: &self.person.signed,
            one_time: match one_time {
                PrekeyId::NONE => None,
                id => Some(&find(id)?.0),
            },
            kem: match kem_role {
                PrekeyRole::LastResortKem => &self.person.last_resort,
                _ => &find(kem)?.1,
            },
        })
    }

    /// Takes a message as a client does: by the session that it names, by its chain, by trial.
    fn takes(&self, message: &[u8], from: &Person) -> Option<(Option<usize>, Session, Vec<u8>)> {
        let chain = chain_id(message).ok()?;
        let named = named_prekeys(message).ok()?;
        let opened = |place: usize| {
            let (next, plaintext) = self.sessions[place].session.decrypt(message).ok()?;
            Some((Some(place), next, plaintext.to_vec()))
        };
        let (Some(named), Some(id)) = (named, session_id(message).ok()?) else {
            let has = |place: &usize| self.sessions[*place].session.has_chain(&chain);
            let mut places = 0..self.sessions.len();
            return match places.clone().find(has) {
                Some(place) => opened(place),
                None => {
                    places.find_map(|place| opened(place).filter(|_| self.sessions[place].session.knows_chain(&chain)))
                }
            };
        };
        if let Some(place) = self.sessions.iter().position(|held| held.session.id() == id) {
            return opened(place);
        }
        if named.one_time == PrekeyId::NONE && self.replays.contains(&named.replay) {
            return None;
        }
        let keys = self.named(named.one_time, named.kem_role, named.kem)?;
        let own = self.person;
        let (session, plaintext) = Session::accept(&own.party, &own.device, &keys, &from.party, message).ok()?;
        Some((None, session, plaintext.to_vec()))
    }

    /// Whether it must read this message, by the model; if so, the model has read it.
    fn must_read(&mut self, session: SessionId, message: &[u8]) -> bool {
        let parsed = SessionMessage::parse(message).expect("a message as it was sent");
        let (chain, header) = (chain_id(message).unwrap(), parsed.header);
        if let Some(held) = self.sessions.iter_mut().find(|held| held.session.id() == session) {
            return held.model.reads(chain, header.previous, header.number);
        }
        let Some(named) = named_prekeys(message).unwrap() else { return false };
        let known = self.named(named.one_time, named.kem_role, named.kem).is_some();
        let replay = named.one_time == PrekeyId::NONE && self.replays.contains(&named.replay);
        known && !replay && header.number <= MAX_JUMP
    }
}

/// A message under way.
#[derive(Clone)]
struct Flight {
    to: usize,
    session: SessionId,
    number: u32,
    message: Vec<u8>,
}

struct Talk {
    sides: [Side; 2],
    flights: Vec<Flight>,
    rng: ChaCha20Rng,
    said: u32,
    begun: usize,
    bursts: usize,
    /// Since 1970.
    today: u32,
    forgotten: HashSet<SessionId>,
}

pub fn run(input: &[u8]) {
    let rng = &mut dice(11);
    let sides = [&couple().alice, &couple().bob].map(|person| Side::new(person, rng));
    let forgotten = HashSet::new();
    let mut talk =
        Talk { sides, flights: Vec::new(), rng: dice(12), said: 0, begun: 0, bursts: 0, today: 20_000, forgotten };
    talk.begins(0);
    for act in input.iter().take(ACTS) {
        talk.acts(act % 16, usize::from(act >> 4));
    }
    talk.ends();
}

impl Talk {
    /// `act`: what. `argument`: below 16; its lowest bit is a side, the others say which session or message.
    fn acts(&mut self, act: u8, argument: usize) {
        let (side, choice) = (argument % 2, argument / 2);
        match act {
            0..=3 => drop(self.says(side, choice).map(|flight| self.flights.push(flight))),
            4..=7 => {
                if let Some(flight) = self.chosen(argument) {
                    let flight = self.flights.remove(flight);
                    self.delivers(&flight);
                }
            }
            8 => drop(self.chosen(argument).map(|flight| self.flights.remove(flight))),
            9 => {
                if let Some(flight) = self.chosen(argument) {
                    let again = self.flights[flight].clone();
                    self.flights.push(again);
                }
            }
            10 => {
                let half = self.flights.len() / 2;
                self.flights.rotate_left(half);
                self.flights[half..].reverse();
            }
            11 => {
                self.restarts(side);
                self.today += [0, 0, 0, 0, 1, 17, 34, 35][choice];
                if choice >= 4 {
                    self.cleans(side);
                }
            }
            12 => self.tampers(argument),
            13 => {
                self.begins(side);
                if choice % 2 == 1 {
                    // Both at once: neither has heard of the other's session.
                    self.begins(1 - side);
                }
            }
            14 if choice % 4 == 3 => self.forgets(side, choice / 4),
            14 => self.retires(side, choice),
            _ => self.bursts(side, choice),
        }
    }

    fn chosen(&self, argument: usize) -> Option<usize> {
        (!self.flights.is_empty()).then(|| argument * self.flights.len() / 16)
    }

    fn begins(&mut self, from: usize) {
        if self.begun == BEGUN {
            return;
        }
        self.begun += 1;
        let to = &mut self.sides[1 - from];
        // The relay gives each one-time key once, and then none. What was used is not there to be named.
        let given = to.person.bundle(
            to.one_time
                .iter()
                .find(|(curve, _)| curve.id().0 as usize >= 10 + to.given)
                .map(|(curve, kem)| (curve, kem)),
        );
        to.given += 1;
        let from = &mut self.sides[from];
        let own = from.person;
        let session = Session::initiate(&own.party, &own.device, &given, &mut self.rng).unwrap();
        assert!(session.initiated() && !session.confirmed());
        from.sessions.push(Held { session, model: Model::default() });
    }

    /// Says something on one of a side's sessions.
    fn says(&mut self, from: usize, choice: usize) -> Option<Flight> {
        let side = &mut self.sides[from];
        let place = choice % side.sessions.len().max(1);
        let held = side.sessions.get_mut(place)?;
        let plaintext = self.said.to_le_bytes().repeat(1 + self.said as usize % 5);
        let encrypted = held.session.encrypt(&plaintext, &mut self.rng);
        assert_eq!(encrypted.is_err(), held.session.only_receives());
        let (next, message) = encrypted.ok()?;
        // [MSG-16]
        assert_eq!(session_id(&message).unwrap().is_some(), !held.session.confirmed());
        held.session = next;
        held.model.asked = true;
        self.said += 1;
        Some(Flight { to: 1 - from, session: held.session.id(), number: self.said - 1, message })
    }

    fn delivers(&mut self, flight: &Flight) -> bool {
        let before = self.sides[flight.to].state();
        let from = self.sides[1 - flight.to].person;
        let side = &mut self.sides[flight.to];
        let taken = side.takes(&flight.message, from);
        let must = side.must_read(flight.session, &flight.message);
        assert_eq!(taken.is_some(), must, "message {} of {:?}: read, and expected", flight.number, flight.session);
        let Some((place, session, plaintext)) = taken else {
            assert!(side.state() == before, "what was refused has changed something");
            return false;
        };
        assert_eq!(session.id(), flight.session);
        assert_eq!(plaintext, flight.number.to_le_bytes().repeat(1 + flight.number as usize % 5));
        assert!(side.read.insert(flight.number), "read twice");
        match place {
            Some(place) => side.sessions[place].session = session,
            None => {
                let named = named_prekeys(&flight.message).unwrap().unwrap();
                side.one_time.retain(|(curve, _)| curve.id() != named.one_time);
                side.replays.insert(named.replay);
                let mut model = Model::default();
                model.begins(chain_id(&flight.message).unwrap());
                let number = SessionMessage::parse(&flight.message).unwrap().header.number;
                assert!(model.reads(model.chain.unwrap(), 0, number));
                side.sessions.push(Held { session, model });
            }
        }
        true
    }

    /// The profile is laid away and opened again.
    fn restarts(&mut self, side: usize) {
        for held in &mut self.sides[side].sessions {
            let bytes = locker().bytes_of(&held.session);
            held.session = locker().secret_of(&bytes).expect("what was laid away is there");
            assert!(locker().bytes_of(&held.session) == bytes);
        }
    }

    /// What is done once a day.
    fn cleans(&mut self, side: usize) {
        for held in &mut self.sides[side].sessions {
            let next = held.session.expire_skipped(self.today);
            assert_eq!(next.is_some(), held.model.expires(self.today));
            if let Some(next) = next {
                held.session = next;
            }
        }
    }

    /// One damaged bit, a byte too few or one too many: nobody reads it, and the genuine one is still to come.
    fn tampers(&mut self, argument: usize) {
        let Some(flight) = self.chosen(argument) else { return };
        let flight = &self.flights[flight];
        let mut message = flight.message.clone();
        // Anywhere, and often where small fields stand: they are few bytes among thousands.
        let place = (self.said as usize).wrapping_mul(2_654_435_761) ^ argument;
        let length = message.len();
        match place % 8 {
            0 => drop(message.pop()),
            1 => message.push(0),
            2 => message[place / 8 % 2] ^= 1,
            3 => message[length - 1 - place / 8 % 64] ^= 1 << (place / 512 % 8),
            4 => message[34 + place / 8 % 16] ^= 1 << (place / 512 % 8),
            _ => message[place / 8 % length] ^= 1 << (place / 8 / length % 8),
        }
        let before = self.sides[flight.to].state();
        let from = self.sides[1 - flight.to].person;
        assert!(self.sides[flight.to].takes(&message, from).is_none(), "an altered message was read");
        assert!(self.sides[flight.to].state() == before, "an altered message has changed something");
    }

    /// A session loses: it only receives from now on.
    fn retires(&mut self, side: usize, choice: usize) {
        let sessions = &mut self.sides[side].sessions;
        let place = choice % sessions.len().max(1);
        if let Some(held) = sessions.get_mut(place) {
            held.session = held.session.receiving_only();
        }
    }

    /// A session is deleted: its first messages may come again, and must begin none.
    fn forgets(&mut self, side: usize, choice: usize) {
        let sessions = &mut self.sides[side].sessions;
        if sessions.len() > 1 {
            let held = sessions.remove(choice % sessions.len());
            self.forgotten.insert(held.session.id());
        }
    }

    /// Many messages, of which the last two leave: up to the limits of what may be skipped, and beyond.
    fn bursts(&mut self, side: usize, choice: usize) {
        if self.bursts == BURSTS {
            return;
        }
        self.bursts += 1;
        let Some(held) = self.sides[side].sessions.first_mut() else { return };
        if held.session.only_receives() {
            return;
        }
        for _ in 2..BURST[choice] {
            held.session = held.session.encrypt(&[], &mut self.rng).unwrap().0;
            held.model.asked = true;
        }
        for _ in 0..2 {
            let flight = self.says(side, 0);
            self.flights.extend(flight);
        }
    }

    /// What is still under way arrives; and then, on each session that both have, either side hears the other.
    fn ends(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            self.delivers(&flight);
        }
        for side in [0, 1, 0, 1] {
            for place in 0..self.sides[side].sessions.len() {
                let Some(flight) = self.says(side, place) else { continue };
                let read = self.delivers(&flight);
                let within = self.bursts == 0 && !self.forgotten.contains(&flight.session);
                assert!(read || !within, "a session that can't be used any more");
            }
        }
    }
}
