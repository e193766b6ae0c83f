//! How a state lies in the vault.
use sealpost_spec::message::{ChainKey, MAX_JUMP, MAX_SKIPPED_KEYS, SKIPPED_KEY_DAYS};

use super::*;
use crate::ratchet::{OwnKey, PeerKey, Receiving, Sending, SkippedKey};
use crate::secret::Secret;
use crate::vault::tests::pass;

fn filled<const N: usize>(byte: u8) -> Secret<N> {
    Secret::filled(|bytes| bytes.fill(byte))
}

/// A state with everything in it that a state can have.
fn full(skipped: usize) -> Session {
    let (alice, bob) = couple();
    let part = PqxdhPart {
        ephemeral: [1; 32],
        signed: PrekeyId(2),
        one_time: PrekeyId(3),
        kem_role: PrekeyRole::OneTimeKem,
        kem: PrekeyId(4),
        ciphertext: [5; ML_KEM_CIPHERTEXT],
    };
    let longest = "a".repeat(32);
    let named = |party: Party| Party { name: longest.parse().unwrap(), ..party };
    let facts = Facts {
        own: named(alice.party),
        peer: named(bob.party),
        initiated: true,
        id: id_of(&part),
        part,
        associated: [6; 32],
    };
    let header = ChainKey { ratchet: [12; 32], kem: [13; 1184], ciphertext: Some([14; ML_KEM_CIPHERTEXT]) };
    let header = Arc::new(header);
    let key = |number| Arc::new(SkippedKey { chain: [20; 32], number, day: 22, key: Arc::new(filled(23)) });
    let ratchet = Ratchet {
        root: Arc::new(filled(7)),
        peer: Arc::new(PeerKey::Ratchet { curve: [8; 32], kem: Box::new([9; 1184]) }),
        own: Some(Arc::new(OwnKey { curve: filled(10), kem: filled(11), header })),
        sending: Some(Sending { key: Arc::new(filled(15)), next: 16 }),
        previous: 17,
        receiving: Some(Receiving { chain: [18; 32], header: None, key: Arc::new(filled(19)), next: 21 }),
        skipped: Arc::new((0..skipped as u32).map(key).collect()),
    };
    Session { facts: Arc::new(facts), ratchet, receiving_only: false }
}

/// A profile that this version wrote opens in every later one: each field of a state lies where it lay.
#[test]
fn each_field_of_a_state_has_its_place() {
    let session = full(2);
    let party = |party: &Party| {
        [&[32][..], &[b'a'; 32], &party.account.0, &[1, 0, 0, 0], &party.device.key.0, &party.device.identity.0]
            .concat()
    };
    let part = [&[1; 32][..], &[2, 0, 0, 0, 3, 0, 0, 0, 4, 4, 0, 0, 0], &[5; 1088]].concat();
    let skipped = |number: u8| [&[20; 32][..], &[number, 0, 0, 0, 22, 0, 0, 0], &[23; 32]].concat();
    let expected = [
        &[2, 1, 0][..],
        &party(session.own()),
        &party(session.peer()),
        &part,
        &[6; 32],
        &[7; 32],
        &[1],
        &[8; 32],
        &[9; 1184],
        &[1],
        &[10; 32],
        &[11; 64],
        &[12; 32],
        &[13; 1184],
        &[1],
        &[14; 1088],
        &[1],
        &[15; 32],
        &[16, 0, 0, 0, 17, 0, 0, 0],
        &[1],
        &[18; 32],
        &[19; 32],
        &[21, 0, 0, 0, 2, 0, 0, 0],
        &skipped(0),
        &skipped(1),
    ];
    assert_eq!(state(&session), expected.concat());
    assert_eq!(state(&reopened(&session)), expected.concat());
}

/// The largest state finds its room at once, so that no half of it is left in freed memory, and not much too large.
#[test]
fn a_state_takes_its_room_at_once() {
    let left = full(MAX_SKIPPED_KEYS).leave(pass());
    assert!(left.capacity() - left.len() < 4 * 1024, "{} for {}", left.capacity(), left.len());
    assert_eq!(full(0).leave(pass()).capacity(), 8 * 1024);
}

/// A chain to send in comes with the pair that it was made with: a state that has one without the other is refused.
#[test]
fn a_sending_chain_without_its_pair_is_refused() {
    let mut session = full(0);
    assert!(Session::enter(&state(&session), pass()).is_ok());
    session.ratchet.own = None;
    assert!(Session::enter(&state(&session), pass()).is_err());
    session.ratchet.sending = None;
    assert!(Session::enter(&state(&session), pass()).is_ok());
}

/// What the specification says in numbers: [MSG-14] [MSG-15] [MSG-35].
#[test]
fn the_limits_are_those_of_the_specification() {
    assert_eq!((MAX_JUMP, MAX_SKIPPED_KEYS, SKIPPED_KEY_DAYS), (1_000, 2_000, 35));
}
