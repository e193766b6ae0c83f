//! What a stolen or copied state is good for.
use super::*;

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
