//! What is refused, and what that changes: nothing.
use proptest::prelude::*;
use sealpost_spec::account::ML_KEM_KEY;
use sealpost_spec::message::MAX_SKIPPED_KEYS;

use super::*;
use crate::bits::flips;

/// Where a message has keys and ciphertexts of ML-KEM.
fn long_fields(message: &[u8]) -> Vec<std::ops::Range<usize>> {
    let parsed = SessionMessage::parse(message).unwrap();
    let part = parsed.pqxdh.map_or(0, |_| PqxdhPart::LENGTH);
    let key = 2 + part + 32;
    let chain = if parsed.header.chain.ciphertext.is_some() { ML_KEM_CIPHERTEXT } else { 0 };
    let in_part = if part > 0 { 2 + part - ML_KEM_CIPHERTEXT..2 + part } else { 0..0 };
    vec![in_part, key..key + ML_KEM_KEY + chain]
}

/// A message opens as it is, is refused with any bit flipped, always alike, and that changes nothing.
fn only_itself(session: &Session, message: &[u8], stride: usize) {
    let before = state(session);
    for (bit, altered) in flips(message, &long_fields(message), stride) {
        assert_eq!(session.decrypt(&altered).err(), Some(Refused), "bit {bit}");
    }
    for length in [0, 1, message.len() / 2, message.len() - 1] {
        assert_eq!(session.decrypt(&message[..length]).err(), Some(Refused));
    }
    assert!(state(session) == before);
    assert!(session.decrypt(message).is_ok());
}

/// [MSG-13] each bit of a message matters, every refusal is the same one, and it changes nothing: the answer that begins a
/// chain, a message within one, a late one whose key was kept, and a later one of a session's first chain.
#[test]
fn a_flipped_bit_of_a_message_is_refused_and_leaves_no_trace() {
    let (alice, bob) = couple();
    let rng = &mut dice(7);
    let (a, first) = sent(&alice.initiate(&bob, rng), 2, rng);
    let (b, _) = bob.accept(&alice, &first[0]).unwrap();
    only_itself(&b, &first[1], 1);
    let (_, replies) = sent(&b, 3, rng);
    only_itself(&a, &replies[0], 1);
    let (a, _) = a.decrypt(&replies[1]).unwrap();
    only_itself(&a, &replies[2], 1);
    only_itself(&a, &replies[0], 1);
}

/// [MSG-13] nor is a first message taken that differs in one bit, with one-time keys or without: a session that never was
/// begins with the original.
#[test]
fn a_flipped_bit_of_a_first_message_is_refused() {
    let (alice, bob) = couple();
    let rng = &mut dice(8);
    let bundle = bob.verified(&bob.exhausted_bundle()).unwrap();
    let without = Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
    let sessions = [(bob.keys(), alice.initiate(&bob, rng)), (bob.exhausted_keys(), without)];
    for (keys, session) in sessions {
        let (_, message) = session.encrypt(b"hello", rng).unwrap();
        let accept = |message: &[u8]| Session::accept(&bob.party, &bob.device, &keys, &alice.party, message);
        for (bit, altered) in flips(&message, &long_fields(&message), 3) {
            assert_eq!(accept(&altered).err(), Some(Refused), "bit {bit}");
        }
        for length in [0, 1, message.len() / 2, message.len() - 1] {
            assert_eq!(accept(&message[..length]).err(), Some(Refused));
        }
        assert!(accept(&message).is_ok());
    }
}

/// [MSG-11] a later chain without KEM ciphertext does not parse as one, nor is it taken for one.
#[test]
fn a_later_chain_needs_its_ciphertext() {
    let rng = &mut dice(14);
    let (a, b) = established(rng);
    let (_, message) = a.encrypt(b"hi", rng).unwrap();
    let mut parsed = SessionMessage::parse(&message).unwrap();
    Arc::make_mut(&mut parsed.header.chain).ciphertext = None;
    assert_eq!(b.decrypt(&parsed.layout()).unwrap_err(), Refused);
    let header = parsed.header.clone();
    let stripped = SessionMessage { pqxdh: Some(b.facts.part.clone()), header, ciphertext: parsed.ciphertext };
    assert!(SessionMessage::parse(&stripped.layout()).is_ok());
    assert_eq!(b.decrypt(&stripped.layout()).unwrap_err(), Refused);
    assert!(b.decrypt(&message).is_ok());
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
}

/// A message is of the chain that was read last only where all of its chain's key is that one's, ciphertext included; and
/// where the key is compared instead of hashed, nothing else comes out.
#[test]
fn a_chain_is_known_by_all_of_its_key() {
    let rng = &mut dice(41);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 2, rng);
    let (b, _) = text(b.decrypt(&messages[0]));
    let compared = |session: &Session, message: &[u8]| session.ratchet.parse(message).unwrap().1;
    let key = 2..2 + 32 + 1184 + ML_KEM_CIPHERTEXT;
    assert_eq!(compared(&b, &messages[1]), chain_id(&messages[0]).unwrap());
    assert!(b.ratchet.parse(&messages[1]).unwrap().0 == parse(&messages[1]).unwrap());
    for place in key.clone() {
        let mut altered = messages[1].clone();
        altered[place] ^= 1;
        assert_ne!(compared(&b, &altered), chain_id(&messages[0]).unwrap(), "byte {place}");
    }
    for place in key.step_by(97) {
        let mut altered = messages[1].clone();
        altered[place] ^= 1;
        assert_eq!(compared(&b, &altered), chain_id(&altered).unwrap(), "byte {place}");
    }
    // What comes from the vault has nothing to compare with yet.
    assert_eq!(compared(&reopened(&b), &messages[1]), chain_id(&messages[0]).unwrap());
}
