//! Who copies an unlocked client's memory, once.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sealpost_crypto::session::{OwnPrekeys, Session, named_prekeys};
use sealpost_spec::account::PrekeyRole;

use crate::world::World;

/// A session between two puppets, each having spoken once: alice's state, bob's state.
fn talking(rng: &mut ChaCha20Rng) -> (Session, Session) {
    let mut world = World::empty(500);
    let alice = world.puppet("alice");
    let bob = world.puppet("bob");
    let list = sealpost_crypto::identity::verify_devices(&bob.list()).unwrap();
    let bundle = sealpost_crypto::session::VerifiedBundle::verify(&bob.bundle().devices[0], &list).unwrap();
    let session = Session::initiate(&alice.party(), &alice.device, &bundle, rng).unwrap();
    let (hers, first) = session.encrypt(b"first", rng).unwrap();
    let named = named_prekeys(&first).unwrap().unwrap();
    assert_eq!(named.kem_role, PrekeyRole::OneTimeKem);
    let prekeys = OwnPrekeys {
        signed: bob.prekey(PrekeyRole::Signed),
        one_time: Some(bob.prekey(PrekeyRole::OneTime)),
        kem: bob.prekey(PrekeyRole::OneTimeKem),
    };
    let (his, text) = Session::accept(&bob.party(), &bob.device, &prekeys, &alice.party(), &first).unwrap();
    assert_eq!(&**text, b"first");
    let (his, reply) = his.encrypt(b"reply", rng).unwrap();
    let (hers, _) = hers.decrypt(&reply).unwrap();
    (hers, his)
}

/// [THREAT-23] Whoever copies the state of a session can't open with it what was received before.
#[test]
fn a_stolen_state_does_not_open_the_past() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut hers, mut his) = talking(&mut rng);
    let mut recorded = Vec::new();
    for n in 0..5_u8 {
        let (next, message) = hers.encrypt(&[n], &mut rng).unwrap();
        hers = next;
        his = his.decrypt(&message).unwrap().0;
        recorded.push(message);
        if n == 2 {
            let (next, answer) = his.encrypt(b"turn", &mut rng).unwrap();
            his = next;
            hers = hers.decrypt(&answer).unwrap().0;
        }
    }
    let stolen = &his;
    for message in &recorded {
        assert!(stolen.decrypt(message).is_err());
    }
}

/// [THREAT-23] Nor what comes once the victim has received and sent again: the theft heals.
#[test]
fn a_stolen_state_is_worthless_after_a_turn() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (hers, stolen) = talking(&mut rng);
    // What comes at once, the thief reads: this is the limit of the promise.
    let (hers, at_once) = hers.encrypt(b"at once", &mut rng).unwrap();
    let (thief, text) = stolen.decrypt(&at_once).unwrap();
    assert_eq!(&**text, b"at once");
    // The victim receives and sends: fresh keys that the thief has never had.
    let (his, _) = stolen.decrypt(&at_once).unwrap();
    let (his, healing) = his.encrypt(b"healing", &mut rng).unwrap();
    let (hers, _) = hers.decrypt(&healing).unwrap();
    let (_, after) = hers.encrypt(b"after", &mut rng).unwrap();
    assert_eq!(&**his.decrypt(&after).unwrap().1, b"after");
    for state in [&stolen, &thief] {
        assert!(state.decrypt(&after).is_err(), "the thief still reads");
    }
}
