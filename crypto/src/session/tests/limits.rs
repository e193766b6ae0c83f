//! How far a message may reach, how much is kept, how much fits.
use sealpost_spec::message::{BOX_SIZES, MAX_JUMP, MAX_SKIPPED_KEYS, Sealing};
use sealpost_spec::wire::Bytes;

use super::*;

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
