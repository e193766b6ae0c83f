use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_spec::account::DeviceId;

use super::*;
use crate::identity::AccountSecret;

/// A device and its account's list of it.
struct Side {
    secret: DeviceSecret,
    list: DeviceList,
    rng: ChaCha20Rng,
}
impl Side {
    fn new(name: &str, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let account = AccountSecret::generate(&mut rng).key();
        let secret = DeviceSecret::generate(&mut rng);
        let list = DeviceList {
            number: 1,
            name: name.parse().unwrap(),
            account,
            devices: vec![secret.public(DeviceId::FIRST)],
        };
        Self { secret, list, rng }
    }
    fn party(&self) -> Party {
        Party { name: self.list.name.clone(), account: self.list.account, device: self.list.devices[0] }
    }
    fn key(&mut self, role: PrekeyRole, id: u32) -> PrekeySecret {
        PrekeySecret::generate(role, PrekeyId(id), 1_700_000_000, &self.secret, &mut self.rng)
    }
    fn bundle(&mut self, signed: &PrekeySecret, one_time: Option<&PrekeySecret>, kem: &PrekeySecret) -> VerifiedBundle {
        let bundle = DeviceBundle {
            device: DeviceId::FIRST,
            signed: signed.signed().clone(),
            one_time: one_time.map(|key| key.signed().clone()),
            kem: kem.signed().clone(),
            box_key: self.key(PrekeyRole::Box, 1).signed().clone(),
        };
        VerifiedBundle::verify(&bundle, &self.list).unwrap()
    }
}

/// [MSG-7] the recipient takes the keys that the message names, each for its role and by its id, and no others, even where
/// the caller holds out others: that is refused before anything is computed.
#[test]
fn only_the_keys_that_are_named_are_used() {
    let (mut alice, mut bob) = (Side::new("alice", 1), Side::new("bob", 2));
    let (signed, one_time) = (bob.key(PrekeyRole::Signed, 1), bob.key(PrekeyRole::OneTime, 2));
    let kem = bob.key(PrekeyRole::OneTimeKem, 3);
    let bundle = bob.bundle(&signed, Some(&one_time), &kem);
    let (part, theirs) = initiate(&alice.party(), &alice.secret, &bundle, &mut alice.rng).unwrap();
    let keys = || OwnPrekeys { signed: &signed, one_time: Some(&one_time), kem: &kem };
    let accepted =
        |keys: &OwnPrekeys<'_>, part: &PqxdhPart| accept(&bob.party(), &bob.secret, keys, &alice.party(), part);
    let ours = accepted(&keys(), &part).unwrap();
    assert_eq!((ours.root, ours.associated), (theirs.root, theirs.associated));

    // The message names other keys than these.
    let named = |change: fn(&mut PqxdhPart)| {
        let mut part = part.clone();
        change(&mut part);
        accepted(&keys(), &part).err()
    };
    assert_eq!(named(|_| ()), None);
    assert_eq!(named(|part| part.signed = PrekeyId(9)), Some(Refused));
    assert_eq!(named(|part| part.one_time = PrekeyId(9)), Some(Refused));
    assert_eq!(named(|part| part.one_time = PrekeyId::NONE), Some(Refused));
    assert_eq!(named(|part| part.kem = PrekeyId(9)), Some(Refused));
    assert_eq!(named(|part| part.kem_role = PrekeyRole::LastResortKem), Some(Refused));

    // These are others than the message names: another id or none, or another role under the same id.
    let held = |keys: OwnPrekeys<'_>| accepted(&keys, &part).err();
    assert_eq!(held(OwnPrekeys { one_time: None, ..keys() }), Some(Refused));
    let mut other = Side::new("bob", 3);
    for (role, id) in [(PrekeyRole::Signed, 9), (PrekeyRole::OneTime, 1)] {
        assert_eq!(held(OwnPrekeys { signed: &other.key(role, id), ..keys() }), Some(Refused));
    }
    for (role, id) in [(PrekeyRole::OneTime, 9), (PrekeyRole::Signed, 2)] {
        assert_eq!(held(OwnPrekeys { one_time: Some(&other.key(role, id)), ..keys() }), Some(Refused));
    }
    for (role, id) in [(PrekeyRole::OneTimeKem, 9), (PrekeyRole::LastResortKem, 3)] {
        assert_eq!(held(OwnPrekeys { kem: &other.key(role, id), ..keys() }), Some(Refused));
    }
}

/// A bundle counts as one-time only where both kinds of one-time key were left.
#[test]
fn a_bundle_is_one_time_with_both_kinds_of_key() {
    let mut bob = Side::new("bob", 2);
    let (signed, one_time) = (bob.key(PrekeyRole::Signed, 1), bob.key(PrekeyRole::OneTime, 2));
    let (kem, last_resort) = (bob.key(PrekeyRole::OneTimeKem, 3), bob.key(PrekeyRole::LastResortKem, 4));
    assert!(bob.bundle(&signed, Some(&one_time), &kem).is_one_time());
    assert!(!bob.bundle(&signed, Some(&one_time), &last_resort).is_one_time());
    assert!(!bob.bundle(&signed, None, &kem).is_one_time());
    assert!(!bob.bundle(&signed, None, &last_resort).is_one_time());
}

/// [MSG-6] the hash of a bundle covers each key that was served, its signature included, and whether a one-time key was.
#[test]
fn a_bundle_hash_covers_what_was_served() {
    let mut bob = Side::new("bob", 2);
    let keys =
        [PrekeyRole::Signed, PrekeyRole::OneTime, PrekeyRole::OneTimeKem].map(|role| bob.key(role, 1).signed().clone());
    let [signed, one_time, kem] = &keys;
    let whole = bundle_hash(signed, Some(one_time), kem);
    assert_ne!(whole, bundle_hash(signed, None, kem));
    let altered = |key: &Signed| {
        let mut key = key.clone();
        key.signature.0[0] ^= 1;
        key
    };
    assert_ne!(whole, bundle_hash(&altered(signed), Some(one_time), kem));
    assert_ne!(whole, bundle_hash(signed, Some(&altered(one_time)), kem));
    assert_ne!(whole, bundle_hash(signed, Some(one_time), &altered(kem)));
    assert_ne!(whole, bundle_hash(one_time, Some(signed), kem));
}
