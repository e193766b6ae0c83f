//! A conversation on a network that delays, reorders, repeats and loses, as the dice fall.
use std::collections::BTreeSet;

use rand_chacha::rand_core::Rng;

use super::*;
use crate::ratchet::{OwnKey, PeerKey};

/// The seeds to walk: `SEALPOST_SEEDS=a..b`, or these.
pub(super) fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SEALPOST_SEEDS") else { return usual };
    let (from, to) = text.split_once("..").expect("SEALPOST_SEEDS=a..b");
    from.parse().unwrap()..to.parse().unwrap()
}

/// A message on its way to a side, 0 being the initiator.
#[derive(Clone)]
pub(super) struct Sent {
    /// Its place in the talk's record.
    pub(super) id: usize,
    pub(super) to: usize,
    pub(super) message: Vec<u8>,
    /// The ratchet key of the other side to which its chain was made; none in the first chain.
    pub(super) answers: Option<[u8; 32]>,
}

pub(super) struct Talk {
    pub(super) people: [Person; 2],
    pub(super) sides: [Option<Session>; 2],
    pub(super) waiting: Vec<Sent>,
    /// Everything that was sent, in its order.
    pub(super) record: Vec<Sent>,
    /// What each side has decrypted.
    pub(super) read: [BTreeSet<usize>; 2],
    /// Every ratchet pair that either side has drawn, in their order.
    pub(super) pairs: Vec<Arc<OwnKey>>,
}

impl Talk {
    pub(super) fn begin(people: [Person; 2], one_time: bool, rng: &mut dyn CryptoRng) -> Self {
        let [alice, bob] = &people;
        let bundle = bob.verified(&if one_time { bob.bundle() } else { bob.exhausted_bundle() }).unwrap();
        let session = Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
        Self {
            people,
            sides: [Some(session), None],
            waiting: Vec::new(),
            record: Vec::new(),
            read: Default::default(),
            pairs: Vec::new(),
        }
    }

    /// What was said meanwhile arrives, and each side says something that does: a turn of both.
    pub(super) fn turn(&mut self, first: usize, rng: &mut dyn CryptoRng) {
        for sent in std::mem::take(&mut self.waiting) {
            self.deliver(&sent);
        }
        for from in [first, 1 - first, first, 1 - first] {
            if self.can_send(from) {
                let sent = self.send(from, rng);
                assert!(self.deliver(&sent));
            }
        }
    }

    /// Whether this side can send: the recipient can't before a first message came.
    pub(super) fn can_send(&self, side: usize) -> bool {
        self.sides[side].is_some()
    }

    pub(super) fn send(&mut self, from: usize, rng: &mut dyn CryptoRng) -> Sent {
        let (next, message) = self.sides[from].as_ref().unwrap().encrypt(b"some words", rng).unwrap();
        let own = next.ratchet.own.as_ref().unwrap();
        if !self.pairs.iter().any(|pair| Arc::ptr_eq(pair, own)) {
            self.pairs.push(Arc::clone(own));
        }
        let answers = match &*next.ratchet.peer {
            PeerKey::Prekey(_) => None,
            PeerKey::Ratchet { curve, .. } => Some(*curve),
        };
        self.sides[from] = Some(next);
        let sent = Sent { id: self.record.len(), to: 1 - from, message, answers };
        self.record.push(sent.clone());
        sent
    }

    /// Whether it was decrypted; a repetition is not.
    pub(super) fn deliver(&mut self, sent: &Sent) -> bool {
        let [alice, bob] = &self.people;
        let result = match &self.sides[sent.to] {
            Some(session) => session.decrypt(&sent.message),
            None => bob.accept(alice, &sent.message).or_else(|_| {
                Session::accept(&bob.party, &bob.device, &bob.exhausted_keys(), &alice.party, &sent.message)
            }),
        };
        let Ok((next, _)) = result else { return false };
        self.sides[sent.to] = Some(next);
        assert!(self.read[sent.to].insert(sent.id), "read twice");
        true
    }

    /// One thing that happens: somebody says something, or something arrives, is repeated, is lost.
    pub(super) fn act(&mut self, schedule: &mut ChaCha20Rng, rng: &mut dyn CryptoRng) {
        let place = (!self.waiting.is_empty()).then(|| schedule.next_u32() as usize % self.waiting.len());
        match (schedule.next_u32() % 10, place) {
            (0..5, Some(place)) => {
                let sent = self.waiting.swap_remove(place);
                self.deliver(&sent);
            }
            (5, Some(place)) => {
                self.deliver(&self.waiting[place].clone());
            }
            (6, Some(place)) => {
                self.waiting.swap_remove(place);
            }
            _ => {
                let from = schedule.next_u32() as usize % 2;
                if self.can_send(from) {
                    let sent = self.send(from, rng);
                    self.waiting.push(sent);
                }
            }
        }
    }
}
