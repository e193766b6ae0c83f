//! What is refused, and what that changes: nothing.
use proptest::prelude::*;
use sealpost_spec::message::MAX_SKIPPED_KEYS;

use super::*;

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
