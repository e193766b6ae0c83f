//! How far a message may reach, how much is kept, how much fits.
use sealpost_spec::message::{BOX_SIZES, MAX_JUMP, MAX_SKIPPED_KEYS, Sealing};
use sealpost_spec::wire::Bytes;

use super::*;
use crate::tap::{Call, listen};

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

/// What a refused message cost, by kind of call; the state that refused it is the one it was.
fn cost(session: &Session, message: &[u8]) -> Vec<(Call, usize)> {
    let before = state(session);
    let (result, _, calls) = listen(|| session.decrypt(message));
    assert_eq!(result.err(), Some(Refused));
    assert!(state(session) == before);
    counted(calls)
}

fn counted(mut calls: Vec<Call>) -> Vec<(Call, usize)> {
    calls.sort();
    calls.chunk_by(|left, right| left == right).map(|same| (same[0], same.len())).collect()
}

/// The message with other counters, which its tag does not cover.
fn forged(message: &[u8], previous: u32, number: u32) -> Vec<u8> {
    let mut parsed = SessionMessage::parse(message).unwrap();
    (parsed.header.previous, parsed.header.number) = (previous, number);
    parsed.layout()
}

/// [MSG-14] a forged message of a known chain costs two HMACs for each key it skips and two for its own, a KDF and the tag;
/// beyond the largest jump, and where its number was had before, nothing at all.
#[test]
fn a_forged_number_costs_what_its_jump_allows() {
    let rng = &mut dice(60);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 4, rng);
    let (b, _) = text(b.decrypt(&messages[1]));
    let next = 2;
    for jump in [0, 1, 2, MAX_JUMP - 1, MAX_JUMP] {
        let cost = cost(&b, &forged(&messages[3], 9, next + jump));
        assert_eq!(cost, [(Call::Hmac, 2 * jump as usize + 2), (Call::Hkdf, 1), (Call::Open, 1)]);
    }
    for number in [next + MAX_JUMP + 1, next + MAX_JUMP + 2, u32::MAX / 2, u32::MAX - 1, u32::MAX] {
        assert_eq!(cost(&b, &forged(&messages[3], 9, number)), []);
    }
    // Decrypted before; and a kept key, which is tried and stays.
    assert_eq!(cost(&b, &forged(&messages[3], 9, 1)), []);
    assert_eq!(cost(&b, &forged(&messages[3], 9, 0)), [(Call::Hkdf, 1), (Call::Open, 1)]);
    assert!(b.decrypt(&messages[0]).is_ok() && b.decrypt(&messages[3]).is_ok());
}

/// [MSG-14] a forged message of a new chain costs one agreement of each kind besides, and its two jumps count together:
/// beyond the largest, however they are divided and however near to overflowing, nothing at all.
#[test]
fn a_forged_turn_costs_what_both_jumps_allow() {
    let rng = &mut dice(61);
    let (a, b) = established(rng);
    let (a, old) = sent(&a, 3, rng);
    let (b, _) = text(b.decrypt(&old[0]));
    let (b, reply) = b.encrypt(b"turn", rng).unwrap();
    let (_, turn) = text(a.decrypt(&reply)).0.encrypt(b"new chain", rng).unwrap();
    let read = 1;
    for (missed, number) in [(0, 0), (2, 0), (0, MAX_JUMP), (MAX_JUMP, 0), (MAX_JUMP / 2, MAX_JUMP / 2)] {
        let message = forged(&turn, read + missed, number);
        let hmacs = 2 * (missed + number) as usize + 2;
        let agreements = [(Call::X25519, 1), (Call::KemKey, 1), (Call::Decapsulate, 1)];
        let rest = [(Call::Hmac, hmacs), (Call::Hkdf, 2), (Call::Open, 1)];
        if (missed, number) != (2, 0) {
            assert_eq!(cost(&b, &message), [&agreements[..], &rest].concat());
        } else {
            // That one is as it was sent.
            assert!(b.decrypt(&message).is_ok());
        }
    }
    let beyond = [
        (0, MAX_JUMP + 1),
        (MAX_JUMP + 1, 0),
        (1, MAX_JUMP),
        (MAX_JUMP, 1),
        (MAX_JUMP / 2, MAX_JUMP / 2 + 1),
        (0, u32::MAX),
        (u32::MAX - read, 0),
        (u32::MAX - read, u32::MAX),
        (u32::MAX / 2 + 1, u32::MAX / 2 + 1),
    ];
    for (missed, number) in beyond {
        assert_eq!(cost(&b, &forged(&turn, read + missed, number)), [], "{missed} {number}");
    }
    // A chain before that is shorter than what was read of it.
    assert_eq!(cost(&b, &forged(&turn, 0, 0)), []);
}

/// [MSG-14] a forged first message costs the agreements of PQXDH and of its chain, with a one-time key one more, and derives
/// no message key beyond the largest jump.
#[test]
fn a_forged_first_message_costs_what_its_jump_allows() {
    let (alice, bob) = couple();
    let rng = &mut dice(62);
    let (_, with) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    let bundle = bob.verified(&bob.exhausted_bundle()).unwrap();
    let without = Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
    let (_, without) = without.encrypt(b"hi", rng).unwrap();
    for (keys, message, agreements) in [(bob.keys(), with, 5), (bob.exhausted_keys(), without, 4)] {
        let cost = |message: &[u8]| {
            let accept = || Session::accept(&bob.party, &bob.device, &keys, &alice.party, message).err();
            let (result, _, calls) = listen(accept);
            assert_eq!(result, Some(Refused));
            counted(calls)
        };
        for number in [1, MAX_JUMP] {
            let begun = [(Call::X25519, agreements), (Call::KemKey, 1), (Call::Decapsulate, 1)];
            let rest = [(Call::Hmac, 2 * number as usize + 2), (Call::Hkdf, 3), (Call::Open, 1)];
            assert_eq!(cost(&forged(&message, 0, number)), [&begun[..], &rest].concat());
        }
        for number in [MAX_JUMP + 1, u32::MAX] {
            let calls = cost(&forged(&message, 0, number));
            assert!(!calls.iter().any(|(call, _)| matches!(call, Call::Hmac | Call::Open)), "{calls:?}");
        }
        // Not so much as an agreement for one that claims a chain before.
        assert!(cost(&forged(&message, u32::MAX, 0)).iter().all(|(call, _)| *call != Call::Hmac));
    }
}

/// The last number of a chain is 2^32 - 2: the one after it is neither sent nor, with whatever tag, read; and nothing
/// overflows.
#[test]
fn a_chain_ends_before_its_counter_does() {
    let rng = &mut dice(63);
    let (a, b) = established(rng);
    let (mut a, first) = a.encrypt(b"0", rng).unwrap();
    let (mut b, _) = text(b.decrypt(&first));
    a.ratchet.sending.as_mut().unwrap().next = u32::MAX - 1;
    b.ratchet.receiving.as_mut().unwrap().next = u32::MAX - 1;
    let (mut a, last) = a.encrypt(b"last", rng).unwrap();
    assert_eq!(a.encrypt(b"beyond", rng).unwrap_err(), Refused);
    let (b, plaintext) = text(b.decrypt(&last));
    assert_eq!(plaintext, "last");
    // The message that a sender who did not stop would send.
    let header = SessionMessage::parse(&last).unwrap().header;
    let header = sealpost_spec::message::RatchetHeader { number: u32::MAX, ..header };
    let key = &a.ratchet.sending.as_ref().unwrap().key;
    let (key, nonce) = crate::chain::cipher(&crate::chain::step(key).1, &header.salt);
    let mut message = SessionMessage::header_layout(None, &header);
    let covered = [&a.facts.associated[..], &message].concat();
    crate::primitive::seal(&key, &nonce, &covered, b"beyond", &mut message).unwrap();
    assert_eq!(b.decrypt(&message).unwrap_err(), Refused);
    // A chain that long is the previous one of the next.
    a.ratchet.sending.as_mut().unwrap().next = u32::MAX;
    let (b, reply) = b.encrypt(b"turn", rng).unwrap();
    let (_, next) = text(a.decrypt(&reply)).0.encrypt(b"goes on", rng).unwrap();
    assert_eq!(SessionMessage::parse(&next).unwrap().header.previous, u32::MAX);
    assert_eq!(text(b.decrypt(&next)).1, "goes on");
}
