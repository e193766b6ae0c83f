//! What a stolen or copied state is good for.
use std::collections::HashMap;

use rand_chacha::rand_core::Rng;

use super::talk::{Sent, Talk, seeds};
use super::*;
use crate::chain;
use crate::primitive::{hkdf, ml_kem, open, sha256, x25519};
use crate::ratchet::{OwnKey, PeerKey, first_transcript, later_transcript};
use crate::secret::Secret;

/// [MSG-8] the pair that a chain was made with is gone once the peer has answered it, and the KEM secret with it.
#[test]
fn the_ratchet_pair_is_gone_after_the_answer() {
    let rng = &mut dice(15);
    let (a, b) = established(rng);
    let (a, message) = a.encrypt(b"hi", rng).unwrap();
    let pair = a.ratchet.own.as_ref().unwrap();
    let secrets = [pair.curve.expose().to_vec(), pair.kem.expose().to_vec()];
    let holds = |session: &Session, secret: &[u8]| state(session).windows(secret.len()).any(|bytes| bytes == secret);
    assert!(secrets.iter().all(|secret| holds(&a, secret)));
    let (_, reply) = b.decrypt(&message).unwrap().0.encrypt(b"hi", rng).unwrap();
    let (a, _) = a.decrypt(&reply).unwrap();
    assert!(a.ratchet.own.is_none());
    assert!(!secrets.iter().any(|secret| holds(&a, secret)));
}

/// [MSG-12] the same state encrypts twice, as two copies of a profile would: the AEAD never sees one key and nonce twice.
#[test]
fn a_copied_state_repeats_no_key_and_nonce() {
    let rng = &mut dice(16);
    let (a, b) = established(rng);
    let (a, _) = a.encrypt(b"chain begun", rng).unwrap();
    let (_, left) = a.encrypt(b"same words", rng).unwrap();
    let (_, right) = reopened(&a).encrypt(b"same words", rng).unwrap();
    let (left, right) = (SessionMessage::parse(&left).unwrap(), SessionMessage::parse(&right).unwrap());
    assert_eq!(left.header.number, right.header.number);
    assert_ne!(left.header.salt, right.header.salt);
    assert_ne!(left.ciphertext, right.ciphertext);
    drop(b);
}

/// [THREAT-23] a thief of the state can't read what was received before, reads what is sent to the stolen keys, and is
/// locked out once the victim has received and sent again: from the victim's words and from the answers to them.
#[test]
fn a_stolen_state_stops_helping() {
    let rng = &mut dice(22);
    let (a, b) = established(rng);
    let (a, to_bob) = a.encrypt(b"before", rng).unwrap();
    let (b, _) = b.decrypt(&to_bob).unwrap();
    let (b, before) = b.encrypt(b"before", rng).unwrap();
    let (a, _) = a.decrypt(&before).unwrap();
    let (a, to_bob) = a.encrypt(b"now", rng).unwrap();
    let thief = reopened(&a);
    assert_eq!(thief.decrypt(&before).unwrap_err(), Refused);
    let (b, _) = b.decrypt(&to_bob).unwrap();
    let (b, reply) = b.encrypt(b"the thief reads this", rng).unwrap();
    let (a, _) = a.decrypt(&reply).unwrap();
    let (thief, seen) = text(thief.decrypt(&reply));
    assert_eq!(seen, "the thief reads this");
    // The thief goes on as the victim would, with pairs of his own.
    let (thief, _) = thief.encrypt(b"mine", rng).unwrap();
    let (_, healed) = a.encrypt(b"healed", rng).unwrap();
    let (b, _) = text(b.decrypt(&healed));
    let (_, answer) = b.encrypt(b"healed", rng).unwrap();
    assert_eq!(thief.decrypt(&healed).unwrap_err(), Refused);
    assert_eq!(thief.decrypt(&answer).unwrap_err(), Refused);
}

/// Which secrets of both sides, earlier and later ones, a thief was handed beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handed {
    Nothing,
    EveryCurve,
    EveryKem,
    Both,
}

/// Somebody who copied the whole state of a session, sees all that is sent from then on, and tries what can be tried.
struct Thief<'a> {
    /// Goes on as the victim would.
    state: Session,
    handed: Handed,
    pairs: &'a [Arc<OwnKey>],
    /// Root keys, each with the ratchet key to which the next chain is made.
    roots: Vec<(Secret<32>, [u8; 32], [u8; 1184])>,
    /// First keys of the chains that were followed.
    chains: HashMap<[u8; 32], Secret<32>>,
}

impl<'a> Thief<'a> {
    fn of(session: &Session, handed: Handed, pairs: &'a [Arc<OwnKey>]) -> Self {
        let state = reopened(session);
        let root = || Secret::copied(state.ratchet.root.expose()).unwrap();
        let mut roots = Vec::new();
        if let PeerKey::Ratchet { curve, kem } = &*state.ratchet.peer {
            roots.push((root(), *curve, **kem));
        }
        if let Some(own) = &state.ratchet.own {
            roots.push((root(), own.header.ratchet, own.header.kem));
        }
        Self { state, handed, pairs, roots, chains: HashMap::new() }
    }

    fn pair(&self, curve: &[u8; 32]) -> Option<&'a OwnKey> {
        self.pairs.iter().find(|pair| pair.header.ratchet == *curve).map(|pair| &**pair)
    }

    /// Whether the thief reads it.
    fn reads(&mut self, message: &[u8]) -> bool {
        let parsed = SessionMessage::parse(message).unwrap();
        let chain = &parsed.header.chain;
        if let Ok((next, _)) = self.state.decrypt(message) {
            if next.ratchet.own.is_none() && self.state.ratchet.own.is_some() {
                let root = Secret::copied(next.ratchet.root.expose()).unwrap();
                self.roots.push((root, chain.ratchet, chain.kem));
            }
            self.state = next;
            return true;
        }
        let id = chain_id(message).unwrap();
        if let Some(first) = self.chains.get(&id) {
            return opens(first, &self.state, message, &parsed);
        }
        for (root, key) in self.candidates(&parsed) {
            if opens(&key, &self.state, message, &parsed) {
                self.roots.push((root, chain.ratchet, chain.kem));
                self.chains.insert(id, key);
                return true;
            }
        }
        false
    }

    /// What a chain could have been made from, with what was handed over and with guesses for what was not.
    fn candidates(&self, message: &SessionMessage) -> Vec<(Secret<32>, Secret<32>)> {
        let header = &message.header.chain;
        let guess = |bytes: &[u8]| Secret::copied(bytes).unwrap();
        let curves = matches!(self.handed, Handed::EveryCurve | Handed::Both);
        let kems = matches!(self.handed, Handed::EveryKem | Handed::Both);
        let Some(ciphertext) = &header.ciphertext else {
            // A first chain, stolen before it began.
            let (PeerKey::Prekey(prekey), Some(pair), true) =
                (&*self.state.ratchet.peer, self.pair(&header.ratchet), curves)
            else {
                return Vec::new();
            };
            let dh = x25519(&pair.curve, prekey).unwrap();
            return vec![chain::first(&self.state.ratchet.root, &dh, &first_transcript(header, prekey))];
        };
        let mut made = Vec::new();
        for (root, to, to_kem) in &self.roots {
            let dhs = match (curves, self.pair(&header.ratchet), self.pair(to)) {
                (true, Some(pair), _) => vec![x25519(&pair.curve, to).unwrap()],
                (true, _, Some(pair)) => vec![x25519(&pair.curve, &header.ratchet).unwrap()],
                _ => vec![guess(&[0; 32]), guess(&header.ratchet), guess(to), guess(&sha256(&[&header.ratchet, to]))],
            };
            let shared = match self.pair(to) {
                Some(pair) if kems => vec![ml_kem::KeyPair::from_seed(&pair.kem).decapsulate(ciphertext)],
                _ => vec![
                    guess(&[0; 32]),
                    guess(&ciphertext[..32]),
                    guess(&ciphertext[1_056..]),
                    guess(&sha256(&[ciphertext])),
                    guess(&sha256(&[to_kem])),
                ],
            };
            let transcript = later_transcript(header, to, to_kem);
            for dh in &dhs {
                for shared in &shared {
                    let (root, key) = chain::later(root, dh, shared, &transcript);
                    made.push((root, key));
                }
                // As though there were no KEM, or no curve: the other half alone.
                let (first, key) = chain::first(root, dh, &transcript);
                made.push((first, key));
                let (left, key) = hkdf::<64>(root.expose(), &[dh.expose()], &[label::RATCHET, &transcript]).halves();
                made.push((left, key));
            }
            for shared in &shared {
                let info = [label::RATCHET, &transcript];
                let (left, key) = hkdf::<64>(root.expose(), &[shared.expose()], &info).halves();
                made.push((left, key));
            }
        }
        made
    }
}

/// Whether a message opens with the first key of its chain.
fn opens(first: &Secret<32>, state: &Session, message: &[u8], parsed: &SessionMessage) -> bool {
    let mut key = Secret::copied(first.expose()).unwrap();
    for _ in 0..parsed.header.number {
        key = chain::step(&key).0;
    }
    let (key, nonce) = chain::cipher(&chain::step(&key).1, &parsed.header.salt);
    let covered = covered(&state.facts.associated, message, parsed).unwrap();
    open(&key, &nonce, &covered, &parsed.ciphertext).is_ok()
}

/// [THREAT-23] the whole state of either side, copied at any point of any conversation, opens nothing that was read before,
/// and nothing of what is sent in a chain with a pair that the victim drew since: neither what the victim says nor what
/// is answered. Not even for a thief who has every X25519 secret of both sides, nor for one who has every ML-KEM secret. With
/// both the same thief reads everything, so it was not for want of trying.
#[test]
fn a_thief_is_locked_out_by_either_half() {
    let (mut closed, mut open, mut before, mut skipped) = (0, 0, 0, 0);
    for seed in seeds(0..6) {
        let schedule = &mut dice(seed);
        let rng = &mut dice(seed + 1_000_000);
        let people = [Person::drawn("alice", rng), Person::drawn("bob", rng)];
        let victim = seed as usize % 2;
        let mut talk = Talk::begin(people, seed % 3 > 0, rng);
        if victim == 1 {
            talk.turn(0, rng);
        }
        for _ in 0..schedule.next_u32() % 30 {
            talk.act(schedule, rng);
        }
        let stolen = reopened(talk.sides[victim].as_ref().unwrap());
        let (sent_before, pairs_before) = (talk.record.len(), talk.pairs.len());
        let read_before = talk.read[victim].clone();
        for _ in 0..15 {
            talk.act(schedule, rng);
        }
        talk.turn(1 - victim, rng);
        talk.turn(victim, rng);

        // A pair that the victim drew after the theft, and a chain that was made with it or to it.
        let place = |curve: &[u8; 32]| talk.pairs.iter().position(|pair| pair.header.ratchet == *curve).unwrap();
        let healed = |sent: &Sent| {
            let own = SessionMessage::parse(&sent.message).unwrap().header.chain.ratchet;
            let victims = if sent.to == victim { sent.answers } else { Some(own) };
            sent.answers.is_some() && victims.is_some_and(|curve| place(&curve) >= pairs_before)
        };
        for handed in [Handed::Nothing, Handed::EveryCurve, Handed::EveryKem, Handed::Both] {
            let mut thief = Thief::of(&stolen, handed, &talk.pairs);
            for sent in &talk.record[..sent_before] {
                if read_before.contains(&sent.id) {
                    assert!(!thief.reads(&sent.message), "seed {seed} {handed:?}: read before the theft");
                    before += 1;
                } else if sent.to == victim {
                    skipped += usize::from(thief.reads(&sent.message));
                }
            }
            for sent in &talk.record[sent_before..] {
                let read = thief.reads(&sent.message);
                match (healed(sent), handed) {
                    (true, Handed::Both) => assert!(read, "seed {seed}: the thief has no teeth"),
                    (true, _) => assert!(!read, "seed {seed} {handed:?}: message {}", sent.id),
                    (false, _) => open += usize::from(read),
                }
                closed += usize::from(healed(sent));
            }
        }
    }
    // Six walks have a good deal of everything that is promised something about.
    let enough = closed > 100 && open > 10 && before > 30 && skipped > 10;
    assert!(enough || seeds(0..6).count() < 6, "{closed} {open} {before} {skipped}");
}
