use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_spec::account::{AccountKey, DeviceBundle, DeviceId, DeviceList, PrekeyId, PrekeyRole};
use sealpost_spec::message::{BOX_SIZES, ChainKey, MAX_JUMP, MAX_SKIPPED_KEYS, Sealing, SessionMessage};
use sealpost_spec::wire::{Bytes, Signature, Signed};

use super::*;
use crate::chain;
use crate::identity::{AccountSecret, PrekeySecret, verify_devices};
use crate::primitive::{ml_kem, x25519, x25519_public};
use crate::ratchet::{OwnKey, PeerKey, Sending, first_transcript, later_transcript};
use crate::secret::Secret;
use crate::vault::door::Door;

fn dice(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A person with one device and all its prekeys.
struct Person {
    party: Party,
    device: DeviceSecret,
    list: Signed,
    signed: PrekeySecret,
    one_time: PrekeySecret,
    kem: PrekeySecret,
    last_resort: PrekeySecret,
    box_key: PrekeySecret,
}

impl Person {
    fn new(name: &str, seed: u64) -> Self {
        let mut rng = dice(seed);
        let account = AccountSecret::generate(&mut rng);
        let device = DeviceSecret::generate(&mut rng);
        let party =
            Party { name: name.parse().unwrap(), account: account.key(), device: device.public(DeviceId::FIRST) };
        let list =
            DeviceList { number: 1, name: party.name.clone(), account: account.key(), devices: vec![party.device] };
        let mut key = |role, id| PrekeySecret::generate(role, PrekeyId(id), 1_700_000_000, &device, &mut rng);
        Self {
            signed: key(PrekeyRole::Signed, 1),
            one_time: key(PrekeyRole::OneTime, 2),
            kem: key(PrekeyRole::OneTimeKem, 3),
            last_resort: key(PrekeyRole::LastResortKem, 4),
            box_key: key(PrekeyRole::Box, 5),
            list: account.sign_devices(&list),
            party,
            device,
        }
    }
    fn bundle(&self) -> DeviceBundle {
        DeviceBundle {
            device: DeviceId::FIRST,
            signed: self.signed.signed().clone(),
            one_time: Some(self.one_time.signed().clone()),
            kem: self.kem.signed().clone(),
            box_key: self.box_key.signed().clone(),
        }
    }
    fn exhausted_bundle(&self) -> DeviceBundle {
        DeviceBundle { one_time: None, kem: self.last_resort.signed().clone(), ..self.bundle() }
    }
    fn verified(&self, bundle: &DeviceBundle) -> Result<VerifiedBundle, Refused> {
        VerifiedBundle::verify(bundle, &verify_devices(&self.list).unwrap())
    }
    fn keys(&self) -> OwnPrekeys<'_> {
        OwnPrekeys { signed: &self.signed, one_time: Some(&self.one_time), kem: &self.kem }
    }
    fn exhausted_keys(&self) -> OwnPrekeys<'_> {
        OwnPrekeys { signed: &self.signed, one_time: None, kem: &self.last_resort }
    }
    fn initiate(&self, other: &Self, rng: &mut ChaCha20Rng) -> Session {
        let bundle = other.verified(&other.bundle()).unwrap();
        Session::initiate(&self.party, &self.device, &bundle, rng).unwrap()
    }
    fn accept(&self, other: &Self, message: &[u8]) -> Result<(Session, Zeroizing<Vec<u8>>), Refused> {
        Session::accept(&self.party, &self.device, &self.keys(), &other.party, message)
    }
}

fn couple() -> (Person, Person) {
    (Person::new("alice", 1), Person::new("bob", 2))
}

/// A session of which both sides have decrypted something.
fn established(rng: &mut ChaCha20Rng) -> (Session, Session) {
    let (alice, bob) = couple();
    let a = alice.initiate(&bob, rng);
    let (a, first) = a.encrypt(b"first", rng).unwrap();
    let (b, _) = bob.accept(&alice, &first).unwrap();
    let (b, reply) = b.encrypt(b"reply", rng).unwrap();
    let (a, _) = a.decrypt(&reply).unwrap();
    (a, b)
}

/// All bytes of a state: equal ones mean that nothing changed.
fn state(session: &Session) -> Vec<u8> {
    session.leave(crate::vault::tests::pass()).to_vec()
}

fn reopened(session: &Session) -> Session {
    Session::enter(&state(session), crate::vault::tests::pass()).unwrap()
}

/// Sends `count` messages, of which the given ones are then delivered.
fn sent(from: &Session, count: usize, rng: &mut ChaCha20Rng) -> (Session, Vec<Vec<u8>>) {
    let mut messages = Vec::new();
    let mut state = from.encrypt(b"0", rng).unwrap();
    for number in 1..count {
        let next = state.0.encrypt(number.to_string().as_bytes(), rng).unwrap();
        messages.push(std::mem::replace(&mut state, next).1);
    }
    messages.push(state.1);
    (state.0, messages)
}

fn text(result: Result<(Session, Zeroizing<Vec<u8>>), Refused>) -> (Session, String) {
    let (session, plaintext) = result.unwrap();
    (session, String::from_utf8(plaintext.to_vec()).unwrap())
}

/// [MSG-7] [MSG-16] whichever message of the first chain arrives first, alone, begins the session; the PQXDH part is in
/// each of them until a reply was decrypted, and in none after.
#[test]
fn any_first_message_begins_the_session() {
    let (alice, bob) = couple();
    let rng = &mut dice(3);
    let (a, messages) = sent(&alice.initiate(&bob, rng), 5, rng);
    for (number, message) in messages.iter().enumerate() {
        assert_eq!(session_id(message).unwrap(), Some(a.id()));
        let (b, plaintext) = text(bob.accept(&alice, message));
        assert_eq!((plaintext, b.id(), b.peer()), (number.to_string(), a.id(), &alice.party));
        assert!(b.confirmed() && !b.initiated() && !a.confirmed() && a.initiated());
    }
    let (mut b, _) = text(bob.accept(&alice, &messages[3]));
    for number in [4, 0, 2, 1] {
        let (next, plaintext) = text(b.decrypt(&messages[number]));
        assert_eq!(plaintext, number.to_string());
        b = next;
    }
    for message in &messages {
        assert_eq!(b.decrypt(message).unwrap_err(), Refused);
    }
    let (b, reply) = b.encrypt(b"reply", rng).unwrap();
    assert_eq!(session_id(&reply), Ok(None));
    let (a, plaintext) = text(a.decrypt(&reply));
    assert_eq!((plaintext.as_str(), a.confirmed()), ("reply", true));
    let (_, later) = a.encrypt(b"later", rng).unwrap();
    assert_eq!(session_id(&later), Ok(None));
    assert_eq!(text(b.decrypt(&later)).1, "later");
}

/// [MSG-14] the first message may be any up to the largest jump, and none beyond.
#[test]
fn a_jump_is_bounded() {
    let (alice, bob) = couple();
    let rng = &mut dice(4);
    let jump = MAX_JUMP as usize;
    let (_, messages) = sent(&alice.initiate(&bob, rng), jump + 3, rng);
    assert!(bob.accept(&alice, &messages[jump]).is_ok());
    assert_eq!(bob.accept(&alice, &messages[jump + 1]).unwrap_err(), Refused);
    let (b, _) = bob.accept(&alice, &messages[0]).unwrap();
    assert!(b.decrypt(&messages[jump + 1]).is_ok());
    assert_eq!(b.decrypt(&messages[jump + 2]).unwrap_err(), Refused);
}

/// [MSG-14] what is missing of the last chain and of the new one counts together.
#[test]
fn a_jump_over_two_chains_is_bounded() {
    let rng = &mut dice(5);
    let (a, b) = established(rng);
    let half = MAX_JUMP as usize / 2;
    let (a, old) = sent(&a, half + 1, rng);
    let (b, _) = text(b.decrypt(&old[0]));
    let (b, reply) = b.encrypt(b"turn", rng).unwrap();
    let (a, _) = text(a.decrypt(&reply));
    let (_, new) = sent(&a, half + 3, rng);
    let (_, plaintext) = text(b.decrypt(&new[half]));
    assert_eq!(plaintext, half.to_string());
    assert_eq!(b.decrypt(&new[half + 1]).unwrap_err(), Refused);
}

/// [MSG-15] of more skipped keys than are kept, the oldest go, and the newest still open.
#[test]
fn skipped_keys_are_capped_and_the_oldest_go() {
    let rng = &mut dice(6);
    let (a, b) = established(rng);
    let jump = MAX_JUMP as usize;
    let (_, messages) = sent(&a, 3 * jump + 4, rng);
    let mut b = b;
    for number in [jump, 2 * jump + 1, 3 * jump + 2] {
        b = text(b.decrypt(&messages[number])).0;
    }
    assert_eq!(b.ratchet.skipped.len(), MAX_SKIPPED_KEYS);
    assert_eq!(b.decrypt(&messages[0]).unwrap_err(), Refused);
    assert_eq!(b.decrypt(&messages[jump - 1]).unwrap_err(), Refused);
    assert_eq!(text(b.decrypt(&messages[jump + 1])).1, (jump + 1).to_string());
    let b = reopened(&b);
    assert_eq!(b.ratchet.skipped.len(), MAX_SKIPPED_KEYS);
    assert_eq!(text(b.decrypt(&messages[3 * jump + 1])).1, (3 * jump + 1).to_string());
}

/// [MSG-13] each bit of a message matters, every refusal is the same one, and it changes nothing.
#[test]
fn every_flipped_bit_is_refused_and_leaves_no_trace() {
    let (alice, bob) = couple();
    let rng = &mut dice(7);
    let (a, first) = alice.initiate(&bob, rng).encrypt(b"hello", rng).unwrap();
    let (b, reply) = bob.accept(&alice, &first).unwrap().0.encrypt(b"hello back", rng).unwrap();
    let _ = b;
    let before = state(&a);
    for bit in 0..reply.len() * 8 {
        let mut altered = reply.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(a.decrypt(&altered).unwrap_err(), Refused, "bit {bit}");
    }
    // The first message costs four agreements a try: one bit of each byte of it.
    for byte in 0..first.len() {
        let mut altered = first.clone();
        altered[byte] ^= 1 << (byte % 8);
        assert_eq!(bob.accept(&alice, &altered).unwrap_err(), Refused, "byte {byte}");
    }
    for length in [0, 1, first.len() / 2, first.len() - 1] {
        assert_eq!(bob.accept(&alice, &first[..length]).unwrap_err(), Refused);
    }
    assert_eq!(state(&a), before);
    assert_eq!(text(a.decrypt(&reply)).1, "hello back");
    assert_eq!(text(bob.accept(&alice, &first)).1, "hello");
}

/// [MSG-5] [MSG-1] without one-time keys the last-resort key serves; the recipient must use the keys that are named.
#[test]
fn an_exhausted_bundle_still_works_and_names_its_keys() {
    let (alice, bob) = couple();
    let rng = &mut dice(8);
    let bundle = bob.verified(&bob.exhausted_bundle()).unwrap();
    assert!(!bundle.is_one_time() && bob.verified(&bob.bundle()).unwrap().is_one_time());
    let session = Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
    let (_, message) = session.encrypt(b"hi", rng).unwrap();
    let named = named_prekeys(&message).unwrap().unwrap();
    assert_eq!(
        (named.signed, named.one_time, named.kem_role, named.kem),
        (PrekeyId(1), PrekeyId::NONE, PrekeyRole::LastResortKem, PrekeyId(4))
    );
    let accept = |keys: &OwnPrekeys<'_>| Session::accept(&bob.party, &bob.device, keys, &alice.party, &message);
    assert_eq!(text(accept(&bob.exhausted_keys())).1, "hi");
    assert_eq!(accept(&bob.keys()).unwrap_err(), Refused);
    let wrong = OwnPrekeys { signed: &bob.one_time, ..bob.exhausted_keys() };
    assert_eq!(accept(&wrong).unwrap_err(), Refused);
    let (_, full) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    let replay = named_prekeys(&full).unwrap().unwrap().replay;
    assert_ne!(replay, named.replay);
}

/// [MSG-6] whoever differs in one field of either side, or in one byte of the bundle, has another session.
#[test]
fn a_session_binds_both_sides_and_the_bundle() {
    let (alice, bob) = couple();
    let rng = &mut dice(9);
    let (_, message) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    let refused = |own: &Party, peer: &Party| {
        assert_eq!(Session::accept(own, &bob.device, &bob.keys(), peer, &message).unwrap_err(), Refused);
    };
    let (mine, theirs) = (&bob.party, &alice.party);
    refused(&Party { name: "bobby".parse().unwrap(), ..mine.clone() }, theirs);
    refused(&Party { account: AccountKey([7; 32]), ..mine.clone() }, theirs);
    refused(mine, &Party { name: "alicia".parse().unwrap(), ..theirs.clone() });
    refused(mine, &Party { account: AccountKey([7; 32]), ..theirs.clone() });
    let mut device = theirs.device;
    device.id = DeviceId(2);
    refused(mine, &Party { device, ..theirs.clone() });
    let carol = Person::new("carol", 10);
    refused(mine, &Party { device: carol.party.device, ..theirs.clone() });
    // Another time of making: the same key under another signature of the same device.
    let mut again = dice(2);
    AccountSecret::generate(&mut again);
    DeviceSecret::generate(&mut again);
    let signed = PrekeySecret::generate(PrekeyRole::Signed, PrekeyId(1), 1_700_000_001, &bob.device, &mut again);
    assert_eq!(signed.public().key, bob.signed.public().key);
    let keys = OwnPrekeys { signed: &signed, ..bob.keys() };
    assert_eq!(Session::accept(mine, &bob.device, &keys, theirs, &message).unwrap_err(), Refused);
    assert!(bob.accept(&alice, &message).is_ok());
}

/// [MSG-17] a session with oneself, or with the secret of another device, does not begin.
#[test]
fn nothing_of_ones_own_comes_back_as_somebody_elses() {
    let (alice, bob) = couple();
    let rng = &mut dice(11);
    let own = alice.verified(&alice.bundle()).unwrap();
    assert_eq!(Session::initiate(&alice.party, &alice.device, &own, rng).unwrap_err(), Refused);
    let bundle = bob.verified(&bob.bundle()).unwrap();
    assert_eq!(Session::initiate(&alice.party, &bob.device, &bundle, rng).unwrap_err(), Refused);
    let (a, message) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    assert_eq!(a.decrypt(&message).unwrap_err(), Refused);
    assert_eq!(alice.accept(&alice, &message).unwrap_err(), Refused);
    let (b, _) = bob.accept(&alice, &message).unwrap();
    let (b, reply) = b.encrypt(b"hi", rng).unwrap();
    assert_eq!(b.decrypt(&reply).unwrap_err(), Refused);
}

/// [MSG-1] every signature of a bundle is checked, and for the role in which the key is served.
#[test]
fn a_bundle_is_verified_key_by_key() {
    let (_, bob) = couple();
    let carol = Person::new("carol", 12);
    let refused = |change: &dyn Fn(&mut DeviceBundle)| {
        let mut bundle = bob.bundle();
        change(&mut bundle);
        assert_eq!(bob.verified(&bundle).unwrap_err(), Refused);
    };
    refused(&|bundle| bundle.signed = carol.signed.signed().clone());
    refused(&|bundle| bundle.one_time = Some(carol.one_time.signed().clone()));
    refused(&|bundle| bundle.kem = carol.kem.signed().clone());
    refused(&|bundle| bundle.box_key = carol.box_key.signed().clone());
    refused(&|bundle| bundle.signed = bob.one_time.signed().clone());
    refused(&|bundle| bundle.one_time = Some(bob.signed.signed().clone()));
    refused(&|bundle| bundle.kem = bob.signed.signed().clone());
    refused(&|bundle| bundle.box_key = bob.kem.signed().clone());
    refused(&|bundle| bundle.device = DeviceId(2));
    refused(&|bundle| bundle.kem.signature = Signature([0; 64]));
    refused(&|bundle| bundle.signed.body.0[20] ^= 1);
    assert!(bob.verified(&bob.bundle()).is_ok());
}

/// [MSG-2] [MSG-3] keys of low order and KEM keys beyond the modulus are refused, however well they are signed.
#[test]
fn bad_points_and_bad_kem_keys_are_refused() {
    let (alice, bob) = couple();
    let rng = &mut dice(13);
    let forged = |secret: &PrekeySecret, key: Vec<u8>| {
        bob.device.sign_prekey(&sealpost_spec::account::Prekey { key, ..secret.public().clone() })
    };
    for point in crate::primitive::tests::LOW_ORDER {
        for one_time in [false, true] {
            let mut bundle = bob.bundle();
            if one_time {
                bundle.one_time = Some(forged(&bob.one_time, point.to_vec()));
            } else {
                bundle.signed = forged(&bob.signed, point.to_vec());
            }
            let bundle = bob.verified(&bundle).unwrap();
            assert_eq!(Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap_err(), Refused);
        }
    }
    let beyond = vec![0xff; 1184];
    let bundle = DeviceBundle { kem: forged(&bob.kem, beyond.clone()), ..bob.bundle() };
    assert_eq!(bob.verified(&bundle).unwrap_err(), Refused);
    let bundle = DeviceBundle { box_key: forged(&bob.box_key, [&beyond[..], &[9; 32]].concat()), ..bob.bundle() };
    assert_eq!(bob.verified(&bundle).unwrap_err(), Refused);
}

/// A session that has begun a chain as a hostile peer would: with this as its ek', all else in order.
fn with_kem_key(session: &Session, kem: [u8; 1184], rng: &mut ChaCha20Rng) -> Session {
    let (curve, seed) = (Secret::random(rng), Secret::random(rng));
    let mut header = ChainKey { ratchet: x25519_public(&curve), kem, ciphertext: None };
    let root = &session.ratchet.root;
    let (root, key) = match &*session.ratchet.peer {
        PeerKey::Prekey(prekey) => {
            let dh = x25519(&curve, prekey).unwrap();
            chain::first(root, &dh, &first_transcript(&header, prekey))
        }
        PeerKey::Ratchet { curve: peer, kem: peer_kem } => {
            let (ciphertext, shared) = ml_kem::encapsulate(peer_kem, &Secret::random(rng)).unwrap();
            header.ciphertext = Some(ciphertext);
            let dh = x25519(&curve, peer).unwrap();
            chain::later(root, &dh, &shared, &later_transcript(&header, peer, peer_kem))
        }
    };
    let mut begun = session.at(session.ratchet.receiving_only());
    begun.ratchet.root = Arc::new(root);
    begun.ratchet.own = Some(Arc::new(OwnKey { curve, kem: seed, header }));
    begun.ratchet.sending = Some(Sending { key: Arc::new(key), next: 0 });
    begun
}

/// [MSG-3] nor is a message taken whose own ek' is beyond the modulus, in a first chain or a later one, though its tag is
/// right: nothing could ever be sent in answer.
#[test]
fn a_peers_bad_kem_key_is_refused_before_it_is_kept() {
    let (alice, bob) = couple();
    let rng = &mut dice(25);
    let (a, b) = established(rng);
    let fresh = alice.initiate(&bob, rng);
    let good = ml_kem::KeyPair::from_seed(&Secret::random(rng)).public();
    let mut bad = good;
    (bad[0], bad[1]) = (0x01, bad[1] & 0xf0 | 0x0d);
    let (_, first) = with_kem_key(&fresh, good, rng).encrypt(b"first", rng).unwrap();
    assert_eq!(text(bob.accept(&alice, &first)).1, "first");
    let (_, first) = with_kem_key(&fresh, bad, rng).encrypt(b"first", rng).unwrap();
    assert_eq!(bob.accept(&alice, &first).unwrap_err(), Refused);
    let (_, later) = with_kem_key(&a, good, rng).encrypt(b"later", rng).unwrap();
    assert_eq!(text(b.decrypt(&later)).1, "later");
    let (_, later) = with_kem_key(&a, bad, rng).encrypt(b"later", rng).unwrap();
    assert_eq!(b.decrypt(&later).unwrap_err(), Refused);
}

/// [MSG-34] the first chain of either side follows none.
#[test]
fn a_first_chain_names_no_chain_before_it() {
    let (alice, bob) = couple();
    let rng = &mut dice(26);
    let a = alice.initiate(&bob, rng);
    let good = ml_kem::KeyPair::from_seed(&Secret::random(rng)).public();
    let mut claims = with_kem_key(&a, good, rng);
    claims.ratchet.previous = 1;
    let (_, message) = claims.encrypt(b"hi", rng).unwrap();
    assert_eq!(bob.accept(&alice, &message).unwrap_err(), Refused);
    let (a, message) = a.encrypt(b"hi", rng).unwrap();
    let (mut b, _) = text(bob.accept(&alice, &message));
    let (_, reply) = b.encrypt(b"hi", rng).unwrap();
    b.ratchet.previous = 1;
    let (_, claims) = b.encrypt(b"hi", rng).unwrap();
    assert_eq!(a.decrypt(&claims).unwrap_err(), Refused);
    assert!(a.decrypt(&reply).is_ok());
}

/// [MSG-11] a later chain without KEM ciphertext does not parse as one, nor is it taken for one.
#[test]
fn a_later_chain_needs_its_ciphertext() {
    let rng = &mut dice(14);
    let (a, b) = established(rng);
    let (_, message) = a.encrypt(b"hi", rng).unwrap();
    let mut parsed = SessionMessage::parse(&message).unwrap();
    parsed.header.chain.ciphertext = None;
    assert_eq!(b.decrypt(&parsed.layout()).unwrap_err(), Refused);
    let header = parsed.header.clone();
    let stripped = SessionMessage { pqxdh: Some(b.facts.part.clone()), header, ciphertext: parsed.ciphertext };
    assert!(SessionMessage::parse(&stripped.layout()).is_ok());
    assert_eq!(b.decrypt(&stripped.layout()).unwrap_err(), Refused);
    assert!(b.decrypt(&message).is_ok());
}

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

/// A skipped key is wiped with its use, and no other one.
#[test]
fn a_skipped_key_is_used_once() {
    let rng = &mut dice(23);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 4, rng);
    let (b, _) = b.decrypt(&messages[3]).unwrap();
    let key = b.ratchet.skipped[1].key.expose().to_vec();
    let holds = |session: &Session| state(session).windows(32).any(|bytes| bytes == key);
    assert!(holds(&b) && b.ratchet.skipped.len() == 3);
    let (b, _) = b.decrypt(&messages[1]).unwrap();
    assert!(!holds(&b) && b.ratchet.skipped.len() == 2);
    assert_eq!(b.decrypt(&messages[1]).unwrap_err(), Refused);
    assert!(b.decrypt(&messages[0]).is_ok() && b.decrypt(&messages[2]).is_ok());
}

/// Both sides begin at once: two sessions, each of which works, and neither reads the other's messages.
#[test]
fn two_sessions_begun_at_once_stay_apart() {
    let (alice, bob) = couple();
    let rng = &mut dice(17);
    let (a1, to_bob) = alice.initiate(&bob, rng).encrypt(b"from alice", rng).unwrap();
    let (b2, to_alice) = bob.initiate(&alice, rng).encrypt(b"from bob", rng).unwrap();
    assert_ne!(a1.id(), b2.id());
    assert_eq!(a1.decrypt(&to_alice).unwrap_err(), Refused);
    let (b1, _) = bob.accept(&alice, &to_bob).unwrap();
    let (a2, _) = alice.accept(&bob, &to_alice).unwrap();
    assert_eq!((a1.id(), a2.id()), (b1.id(), b2.id()));
    let (_, message) = b1.encrypt(b"in the first", rng).unwrap();
    let chain = chain_id(&message).unwrap();
    assert!(a1.knows_chain(&chain) && !a1.has_chain(&chain) && !a2.knows_chain(&chain));
    assert_eq!(a2.decrypt(&message).unwrap_err(), Refused);
    let (a1, plaintext) = text(a1.decrypt(&message));
    assert!(a1.has_chain(&chain));
    assert_eq!(plaintext, "in the first");
}

/// A session that lost only receives: late messages of the old and of one new chain still open.
#[test]
fn a_session_that_only_receives_still_reads() {
    let rng = &mut dice(18);
    let (a, b) = established(rng);
    let (a, late) = a.encrypt(b"late", rng).unwrap();
    let (b, question) = b.encrypt(b"question", rng).unwrap();
    let (a, _) = a.decrypt(&question).unwrap();
    let (_, answers) = sent(&a, 2, rng);
    let b = reopened(&b.receiving_only());
    assert!(b.only_receives());
    assert_eq!(b.encrypt(b"no", rng).unwrap_err(), Refused);
    let (b, plaintext) = text(b.decrypt(&late));
    assert_eq!(plaintext, "late");
    let (b, plaintext) = text(b.decrypt(&answers[1]));
    assert_eq!(plaintext, "1");
    assert_eq!(b.ratchet.root.expose(), &[0; 32]);
    assert_eq!(text(reopened(&b).decrypt(&answers[0])).1, "0");
}

/// What a state's row says is checked when it is read: no cut, no other version, no more keys than are kept.
#[test]
fn a_damaged_state_is_refused() {
    let rng = &mut dice(19);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 4, rng);
    let (b, _) = b.decrypt(&messages[3]).unwrap();
    let whole = state(&b);
    let enter = |bytes: &[u8]| Session::enter(bytes, crate::vault::tests::pass());
    for length in 0..whole.len() {
        assert!(enter(&whole[..length]).is_err());
    }
    assert!(enter(&[&whole[..], &[0]].concat()).is_err());
    let mut newer = whole.clone();
    newer[0] += 1;
    assert!(enter(&newer).is_err());
    assert_eq!(state(&enter(&whole).unwrap()), whole);
    // One key more than are kept.
    let mut b = b;
    let key = Arc::clone(&b.ratchet.skipped[0]);
    b.ratchet.skipped = Arc::new(vec![Arc::clone(&key); MAX_SKIPPED_KEYS]);
    assert!(enter(&state(&b)).is_ok());
    b.ratchet.skipped = Arc::new(vec![key; MAX_SKIPPED_KEYS + 1]);
    assert!(enter(&state(&b)).is_err());
    // A session that only receives has no sending chain; a PQXDH part names keys of its roles.
    let (a, _) = a.encrypt(b"begun", rng).unwrap();
    let begun = state(&a);
    assert!(a.ratchet.sending.is_some() && enter(&begun).is_ok());
    let mut retired = begun.clone();
    retired[2] = 1;
    assert!(enter(&retired).is_err());
    let part = 3 + a.own().layout().len() + a.peer().layout().len();
    for (place, byte) in [(32, 0), (40, 1), (41, 0)] {
        let mut other = begun.clone();
        other[part + place] = byte;
        assert!(enter(&other).is_err(), "{place}");
    }
}

/// [MSG-20] the longest plaintext that is promised fits its box, and one byte more does not.
#[test]
fn the_promised_room_is_the_room_there_is() {
    let (alice, bob) = couple();
    let rng = &mut dice(20);
    let fresh = alice.initiate(&bob, rng);
    let (later, _) = established(rng);
    for (session, pqxdh) in [(&fresh, true), (&later, false)] {
        for size in BOX_SIZES {
            let room = room_for_plaintext(size, alice.list.body.0.len(), pqxdh);
            let padded = |length: usize| {
                let (_, message) = session.encrypt(&vec![b'x'; length], &mut dice(21)).unwrap();
                let list = Signed { body: Bytes(alice.list.body.0.clone()), signature: alice.list.signature };
                Sealing { device: DeviceId::FIRST, list, message }.padded().map(|bytes| bytes.len())
            };
            let overhead = sealpost_spec::message::BOX_OVERHEAD;
            assert_eq!(padded(room), Some(size - overhead));
            assert_ne!(padded(room + 1), Some(size - overhead));
        }
    }
    assert_eq!(room_for_plaintext(100, 200, true), 0);
}

/// What a walk does next: `true` is Alice's side.
#[derive(Clone, Debug)]
enum Act {
    Send(bool),
    /// Delivers one of the waiting messages, by its place among them; `true` keeps it waiting, so that it comes again.
    Deliver(bool, prop::sample::Index, bool),
    Lose(bool, prop::sample::Index),
    Reopen(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<bool>().prop_map(Act::Send),
        5 => (any::<bool>(), any::<prop::sample::Index>(), prop::bool::weighted(0.2))
            .prop_map(|(side, place, again)| Act::Deliver(side, place, again)),
        1 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(side, place)| Act::Lose(side, place)),
        1 => any::<bool>().prop_map(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// [MSG-4] whatever arrives, it is refused in peace: random bytes, and random bytes behind a plausible beginning.
    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..4_000), parts in 0_u8..4) {
        let (alice, bob) = couple();
        let (a, b) = established(&mut dice(24));
        let shaped = [&[1, parts][..], &bytes].concat();
        for message in [&bytes, &shaped] {
            prop_assert!(a.decrypt(message).is_err() && b.decrypt(message).is_err());
            prop_assert!(bob.accept(&alice, message).is_err());
            prop_assert!(Session::enter(message, crate::vault::tests::pass()).is_err());
            prop_assert!(PrekeySecret::enter(message, crate::vault::tests::pass()).is_err());
            let _ = (session_id(message), named_prekeys(message), chain_id(message));
        }
    }

    /// [MSG-13] in any order, with any loss and repetition, in both directions over many turns: each message is decrypted
    /// once, a repetition is refused and changes nothing, and what is left at the end still opens.
    #[test]
    fn a_pair_survives_any_network(seed: u64, acts in prop::collection::vec(act(), 1..80)) {
        let rng = &mut dice(seed);
        let (alice, bob) = couple();
        let mut sides = [Some(alice.initiate(&bob, rng)), None];
        let mut waiting: [Vec<(Vec<u8>, u32)>; 2] = [Vec::new(), Vec::new()];
        let mut read = [std::collections::HashSet::new(), std::collections::HashSet::new()];
        let mut counter = 0_u32;
        let deliver = |sides: &mut [Option<Session>; 2], read: &mut [std::collections::HashSet<u32>; 2], to: usize, message: &[u8], number: u32| {
            let before = sides[to].as_ref().map(state);
            let result = match &sides[to] {
                Some(session) => session.decrypt(message),
                None => bob.accept(&alice, message),
            };
            match result {
                Ok((next, plaintext)) => {
                    assert!(read[to].insert(number), "read twice");
                    assert_eq!(plaintext.as_slice(), number.to_le_bytes());
                    sides[to] = Some(next);
                }
                Err(Refused) => {
                    assert!(read[to].contains(&number), "lost");
                    assert_eq!(sides[to].as_ref().map(state), before);
                }
            }
        };
        for act in acts {
            match act {
                Act::Send(alices) => {
                    let from = usize::from(!alices);
                    if let Some(session) = &sides[from] {
                        counter += 1;
                        let (next, message) = session.encrypt(&counter.to_le_bytes(), rng).unwrap();
                        sides[from] = Some(next);
                        waiting[1 - from].push((message, counter));
                    }
                }
                Act::Deliver(alices, place, again) => {
                    let to = usize::from(!alices);
                    if !waiting[to].is_empty() {
                        let place = place.index(waiting[to].len());
                        let (message, number) = waiting[to][place].clone();
                        deliver(&mut sides, &mut read, to, &message, number);
                        if !again {
                            waiting[to].swap_remove(place);
                        }
                    }
                }
                Act::Lose(alices, place) => {
                    let to = usize::from(!alices);
                    if !waiting[to].is_empty() {
                        let place = place.index(waiting[to].len());
                        waiting[to].swap_remove(place);
                    }
                }
                Act::Reopen(alices) => {
                    let side = usize::from(!alices);
                    sides[side] = sides[side].as_ref().map(reopened);
                }
            }
        }
        for to in [0, 1] {
            for (message, number) in std::mem::take(&mut waiting[to]) {
                deliver(&mut sides, &mut read, to, &message, number);
            }
        }
    }
}
