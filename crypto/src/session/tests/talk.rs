//! A conversation on a network that delays, reorders, repeats and loses, as the dice fall.
use rand_chacha::rand_core::Rng;

use super::*;

/// The seeds to walk: `SEALPOST_SEEDS=a..b`, or these.
pub(super) fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SEALPOST_SEEDS") else { return usual };
    let (from, to) = text.split_once("..").expect("SEALPOST_SEEDS=a..b");
    from.parse().unwrap()..to.parse().unwrap()
}

/// A message on its way to a side, 0 being the initiator.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) to: usize,
    pub(super) message: Vec<u8>,
}

pub(super) struct Talk {
    pub(super) people: [Person; 2],
    pub(super) sides: [Option<Session>; 2],
    pub(super) waiting: Vec<Sent>,
}

impl Talk {
    pub(super) fn begin(people: [Person; 2], one_time: bool, rng: &mut dyn CryptoRng) -> Self {
        let [alice, bob] = &people;
        let bundle = bob.verified(&if one_time { bob.bundle() } else { bob.exhausted_bundle() }).unwrap();
        let session = Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
        Self { people, sides: [Some(session), None], waiting: Vec::new() }
    }

    /// Whether this side can send: the recipient can't before a first message came.
    pub(super) fn can_send(&self, side: usize) -> bool {
        self.sides[side].is_some()
    }

    pub(super) fn send(&mut self, from: usize, rng: &mut dyn CryptoRng) -> Sent {
        let (next, message) = self.sides[from].as_ref().unwrap().encrypt(b"some words", rng).unwrap();
        self.sides[from] = Some(next);
        Sent { to: 1 - from, message }
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
