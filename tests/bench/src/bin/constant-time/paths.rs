//! The comparisons of secrets that an attacker can time, through the crates' public functions.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealpost_crypto::identity::{
    AccountSecret, DeviceSecret, PrekeySecret, delivery_token, same_token, token_hash, verify_devices,
};
use sealpost_crypto::sealed;
use sealpost_crypto::session::{OwnPrekeys, Party, Session, VerifiedBundle};
use sealpost_crypto::vault::{Cost, Vault};
use sealpost_spec::account::{DeviceBundle, DeviceId, DeviceList, PrekeyId, PrekeyRole};
use sealpost_spec::mailbox::{DeliveryToken, EnvelopeId, TokenHash};
use sealpost_spec::message::Sealing;

use crate::measure::{Measured, measure};

/// One comparison, and two kinds of input to it.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// A comparison that leaks, to show that a leak is seen.
    pub(crate) planted: bool,
    pub(crate) measure: Box<dyn FnOnce() -> Measured>,
}

const MILLION: usize = 1_000_000;
/// Of what takes a tenth of a millisecond.
const SLOW: usize = 100_000;

pub(crate) fn all() -> Vec<Path> {
    let mut paths = tokens();
    paths.extend(tags());
    paths
}

fn path(name: &'static str, measure: impl FnOnce() -> Measured + 'static) -> Path {
    Path { name, planted: false, measure: Box::new(measure) }
}

fn planted(name: &'static str, measure: impl FnOnce() -> Measured + 'static) -> Path {
    Path { name, planted: true, measure: Box::new(measure) }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

/// `good` with one bit of the byte at `place` changed.
fn bent(good: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes[place] ^= 1;
    bytes
}

fn random<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// What the planted leak does: `==` of two slices as one writes it by hand.
#[inline(never)]
fn gives_up_early(left: &[u8], right: &[u8]) -> bool {
    left.iter().zip(right).all(|(left, right)| std::hint::black_box(left) == right)
}

/// Pairs of kinds of 32 bytes, to be compared with a stored value: the value itself and random bytes; first and last byte
/// wrong; the first half right and random bytes.
fn kinds(stored: [u8; 32]) -> [(usize, impl Fn(bool, &mut ChaCha20Rng) -> Vec<u8> + Clone + 'static); 3] {
    [0, 1, 2].map(|which| {
        let make = move |kind: bool, rng: &mut ChaCha20Rng| {
            let noise: [u8; 32] = random(rng);
            match (which, kind) {
                (0, false) => stored.to_vec(),
                (1, false) => bent(&stored, 0),
                (1, true) => bent(&stored, 31),
                (2, false) => [&stored[..16], &noise[16..]].concat(),
                _ => noise.to_vec(),
            }
        };
        (which, make)
    })
}

fn tokens() -> Vec<Path> {
    const COMPARE: [&str; 3] = [
        "token hashes: equal / random",
        "token hashes: first / last byte wrong",
        "token hashes: right first half / random",
    ];
    const PLANTED: [&str; 3] = [
        "planted early exit: equal / random",
        "planted early exit: first / last byte wrong",
        "planted early exit: right first half / random",
    ];
    let stored = token_hash(&delivery_token(&mut rng()));
    let mut paths = Vec::new();
    for (which, make) in kinds(stored.0) {
        let again = make.clone();
        let same = move |shown: &[u8]| same_token(&TokenHash(shown.try_into().expect("32 bytes")), &stored);
        let leaks = move |shown: &[u8]| gives_up_early(shown, &stored.0);
        paths.push(path(COMPARE[which], move || measure(2 * MILLION, 4, &mut rng(), make, same)));
        paths.push(planted(PLANTED[which], move || measure(MILLION, 4, &mut rng(), again, leaks)));
    }
    // As the relay does it: the hash of what is shown, beside the stored hash.
    let token = delivery_token(&mut rng());
    let stored = token_hash(&token);
    let check =
        move |shown: &[u8]| same_token(&token_hash(&DeliveryToken(shown.try_into().expect("32 bytes"))), &stored);
    let make = move |kind: bool, rng: &mut ChaCha20Rng| {
        let noise: [u8; 32] = random(rng);
        if kind { noise.to_vec() } else { token.0.to_vec() }
    };
    paths.push(path("delivery token at the relay: the right one / random", move || {
        measure(MILLION, 1, &mut rng(), make, check)
    }));
    paths
}

/// First or last byte of the 16-byte tag wrong, which ends `good`; and one wrong tag or random ones.
fn wrong_tags(good: &[u8]) -> [impl Fn(bool, &mut ChaCha20Rng) -> Vec<u8> + Clone + 'static; 2] {
    let (good, end) = (good.to_vec(), good.len());
    [0, 1].map(|which| {
        let good = good.clone();
        move |kind: bool, rng: &mut ChaCha20Rng| {
            let noise: [u8; 16] = random(rng);
            match (which, kind) {
                (0, false) => bent(&good, end - 16),
                (0, true) | (1, false) => bent(&good, end - 1),
                _ => [&good[..end - 16], &noise].concat(),
            }
        }
    })
}

fn tags() -> Vec<Path> {
    let mut paths = Vec::new();

    let rng = &mut rng();
    let (vault, _) = Vault::create(b"passphrase", Cost::FLOOR, rng).expect("a cost within the bounds");
    let vault = std::rc::Rc::new(vault);
    let key = vault.blind("contacts", b"bob");
    let row = vault.seal("contacts", &key, &[7; 100], rng);
    const ROWS: [&str; 2] =
        ["tag of a row (XChaCha20): first / last byte wrong", "tag of a row (XChaCha20): one wrong tag / random ones"];
    for (name, make) in ROWS.into_iter().zip(wrong_tags(&row)) {
        let vault = vault.clone();
        paths.push(path(name, move || {
            measure(MILLION, 1, &mut crate::paths::rng(), make, |row| vault.open("contacts", &key, row).is_ok())
        }));
    }

    let mut person = |name: &str| {
        let (account, device) = (AccountSecret::generate(rng), DeviceSecret::generate(rng));
        let party = Party {
            name: name.parse().expect("a name"),
            account: account.key(),
            device: device.public(DeviceId::FIRST),
        };
        let list =
            DeviceList { number: 1, name: party.name.clone(), account: party.account, devices: vec![party.device] };
        (party, device, account.sign_devices(&list))
    };
    let (alice, alices_device, alices_list) = person("alice");
    let (bob, bobs_device, bobs_list) = person("bob");
    let mut prekey = |role| PrekeySecret::generate(role, PrekeyId(1), 1_700_000_000, &bobs_device, rng);
    let [signed, kem, box_key] = [PrekeyRole::Signed, PrekeyRole::LastResortKem, PrekeyRole::Box].map(&mut prekey);
    let bundle = DeviceBundle {
        device: DeviceId::FIRST,
        signed: signed.signed().clone(),
        one_time: None,
        kem: kem.signed().clone(),
        box_key: box_key.signed().clone(),
    };
    let list = verify_devices(&bobs_list).expect("Bob's own list");
    let bundle = VerifiedBundle::verify(&bundle, &list).expect("Bob's own bundle");
    let session = Session::initiate(&alice, &alices_device, &bundle, rng).expect("a verified bundle");
    let (session, first) = session.encrypt(&[7; 256], rng).expect("a first message");
    let (_, second) = session.encrypt(&[7; 256], rng).expect("a second message");
    let prekeys = OwnPrekeys { signed: &signed, one_time: None, kem: &kem };
    let (bobs, _) = Session::accept(&bob, &bobs_device, &prekeys, &alice, &first).expect("Alice's first message");
    let bobs = std::rc::Rc::new(bobs);
    assert!(bobs.decrypt(&second).is_ok());
    const MESSAGES: [&str; 2] =
        ["tag of a message: first / last byte wrong", "tag of a message: one wrong tag / random ones"];
    for (name, make) in MESSAGES.into_iter().zip(wrong_tags(&second)) {
        let bobs = bobs.clone();
        paths.push(path(name, move || {
            measure(MILLION, 1, &mut crate::paths::rng(), make, |message| bobs.decrypt(message).is_ok())
        }));
    }

    let id = EnvelopeId([7; 16]);
    let sealing = Sealing { device: DeviceId::FIRST, list: alices_list, message: second };
    let sealed = sealed::seal(bundle.box_key(), &bob.device, &id, &sealing, rng).expect("a message that fits");
    let box_key = std::rc::Rc::new(box_key);
    const BOXES: [&str; 2] =
        ["tag of a sealed box: first / last byte wrong", "tag of a sealed box: one wrong tag / random ones"];
    for (name, make) in BOXES.into_iter().zip(wrong_tags(&sealed)) {
        let box_key = box_key.clone();
        paths.push(path(name, move || {
            measure(SLOW, 1, &mut crate::paths::rng(), make, |sealed| {
                sealed::open(&box_key, &bob.device, &id, sealed).is_ok()
            })
        }));
    }
    // A wrong KEM ciphertext gives another secret and fails at the tag too: no sooner, no later.
    let make = move |kind: bool, _: &mut ChaCha20Rng| {
        if kind { bent(&sealed, sealed.len() - 1) } else { bent(&sealed, 4 + 100) }
    };
    paths.push(path("sealed box: ML-KEM ciphertext / tag wrong", move || {
        measure(SLOW, 1, &mut crate::paths::rng(), make, |sealed| {
            sealed::open(&box_key, &bob.device, &id, sealed).is_ok()
        })
    }));
    paths
}
