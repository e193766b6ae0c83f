//! The gates: each operation of `sealpost-crypto` against its limit.
use std::hint::black_box;

use rand_chacha::rand_core::Rng;
use sealpost_crypto::sealed;
use sealpost_crypto::session::Session;
use sealpost_spec::account::DeviceId;
use sealpost_spec::label;
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::{BOX_OVERHEAD, BOX_SIZES, Sealing};

use crate::contest::{Contest, Lap};
use crate::limit;
use crate::people::{Person, dice, established};

/// Content of the messages.
pub const CONTENT: [u8; 256] = [b'x'; 256];
/// What a tag of a later chain covers: the session's hash, then version, parts, A', ek', ct, PN, N and salt.
const COVERED: usize = 32 + 2 + 32 + 1184 + 1088 + 4 + 4 + 16;
/// Messages of a chain in one lap.
pub const CHAIN: u32 = 256;
/// Turns, set-ups or boxes in one lap.
pub const FEW: u32 = 16;

/// All of them.
pub fn all() -> Vec<Contest> {
    let mut all = vec![encrypt(), decrypt(), turn(), initiate(), accept()];
    all.extend([0, 1, 2].map(seal));
    all.extend([0, 1, 2].map(open));
    all
}

fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut bytes = [0; N];
    dice(seed).fill_bytes(&mut bytes);
    bytes
}

fn sent(from: &Session, count: u32) -> (Session, Vec<Vec<u8>>) {
    let rng = &mut dice(9);
    let mut messages = Vec::new();
    let (mut state, first) = from.encrypt(&CONTENT, rng).expect("room in the chain");
    messages.push(first);
    for _ in 1..count {
        let (next, message) = state.encrypt(&CONTENT, rng).expect("room in the chain");
        state = next;
        messages.push(message);
    }
    (state, messages)
}

/// A message of a chain that was begun: two HMACs, HKDF and AEAD over content and associated data.
fn encrypt() -> Contest {
    let rng = &mut dice(3);
    let begun = sent(&established(rng).0, 1).0;
    let mut rng = dice(4);
    let ours = move || {
        let (mut state, mut message) = begun.encrypt(&CONTENT, &mut rng).expect("room in the chain");
        for _ in 1..CHAIN {
            (state, message) = state.encrypt(&CONTENT, &mut rng).expect("room in the chain");
        }
        black_box((state, message));
    };
    Contest {
        name: "encrypt 256 B, in a chain",
        gate: Some(1.3),
        ours: Lap::new(CHAIN, ours),
        less: None,
        other: Lap::new(CHAIN, symmetric_limit),
    }
}

fn symmetric_limit() {
    let (salt, covered) = (bytes::<16>(5), [7; COVERED]);
    let mut chain = [1; 32];
    let mut buffer = CONTENT;
    for _ in 0..CHAIN {
        let (key, nonce) = limit::step(&mut chain, &salt, label::MESSAGE);
        black_box(limit::seal(&key, &nonce, black_box(&covered), black_box(&mut buffer)));
    }
}

fn decrypt() -> Contest {
    let (alice, bob) = established(&mut dice(3));
    let (_, messages) = sent(&alice, CHAIN + 1);
    let begun = bob.decrypt(&messages[0]).expect("Alice's message").0;
    let ours = move || {
        let (mut state, mut content) = begun.decrypt(&messages[1]).expect("Alice's message");
        for message in &messages[2..] {
            (state, content) = state.decrypt(message).expect("Alice's message");
        }
        black_box((state, content));
    };
    let (salt, covered) = (bytes::<16>(5), [7; COVERED]);
    let mut chain = [1; 32];
    let sealed: Vec<_> = (0..CHAIN)
        .map(|_| {
            let (key, nonce) = limit::step(&mut chain, &salt, label::MESSAGE);
            let mut buffer = CONTENT;
            (limit::seal(&key, &nonce, &covered, &mut buffer), buffer)
        })
        .collect();
    let other = move || {
        let mut chain = [1; 32];
        for (tag, ciphertext) in &sealed {
            let (key, nonce) = limit::step(&mut chain, &salt, label::MESSAGE);
            let mut buffer = *ciphertext;
            assert!(limit::open(&key, &nonce, black_box(&covered), &mut buffer, tag), "what was sealed");
            black_box(buffer);
        }
    };
    Contest {
        name: "decrypt 256 B, in a chain",
        gate: Some(1.3),
        ours: Lap::new(CHAIN, ours),
        less: None,
        other: Lap::new(CHAIN, other),
    }
}

/// Messages to and fro, each the first of a new chain: encrypted by one side, decrypted by the other.
pub fn turns() -> Lap {
    let mut rng = dice(6);
    let (mut alice, mut bob) = established(&mut rng);
    Lap::new(2 * FEW, move || {
        for _ in 0..FEW {
            let (alices, message) = alice.encrypt(&CONTENT, &mut rng).expect("room in the chain");
            let bobs = bob.decrypt(&message).expect("Alice's message").0;
            let (bobs, reply) = bobs.encrypt(&CONTENT, &mut rng).expect("room in the chain");
            alice = alices.decrypt(&reply).expect("Bob's reply").0;
            bob = bobs;
        }
    })
}

/// The ML-KEM calls of a turn: a key, an encapsulation, the decapsulation from the seed, and each side's modulus check.
pub fn turns_kem() -> Lap {
    let (seed, random) = (bytes::<64>(7), bytes::<32>(8));
    let public = limit::kem_public(&seed);
    let ciphertext = limit::encapsulate(&public, &random).0;
    Lap::new(FEW, move || {
        for _ in 0..FEW {
            assert!([(); 2].iter().all(|()| limit::kem_valid(black_box(&public))), "a key of ML-KEM");
            black_box(limit::kem_public(black_box(&seed)));
            black_box(limit::encapsulate(black_box(&public), &random));
            black_box(limit::decapsulate(black_box(&seed), &ciphertext));
        }
    })
}

/// What a turn can't do without besides its ML-KEM calls, in lean calls: an X25519 key and two agreements, the transcript's
/// hash and KDF_RK on both sides, the chain's id, and a symmetric step on both sides.
pub fn turns_without_kem() -> Lap {
    let secret = bytes::<32>(9);
    let (salt, covered, transcript) = (bytes::<16>(5), [7; COVERED], [8; 32 + 1184 + 1088 + 32 + 1184]);
    Lap::new(FEW, move || {
        for _ in 0..FEW {
            let own = limit::curve_public(black_box(&secret));
            black_box(limit::sha256(black_box(&transcript[..32 + 1184 + 1088])));
            for _ in 0..2 {
                let shared = [limit::agree(black_box(&secret), &own), [6; 32]];
                let info = [label::RATCHET, &limit::sha256(black_box(&transcript))].concat();
                let keys = limit::hkdf::<64>(&secret, &[shared.as_flattened()], &info);
                let mut chain = *keys.first_chunk().expect("64 bytes");
                let (key, nonce) = limit::step(&mut chain, &salt, label::MESSAGE);
                black_box(limit::seal(&key, &nonce, black_box(&covered), &mut CONTENT.clone()));
            }
        }
    })
}

/// The KEM calls with an X25519 key and two agreements.
fn turn() -> Contest {
    let (seed, random, secret) = (bytes::<64>(7), bytes::<32>(8), bytes::<32>(9));
    let public = limit::kem_public(&seed);
    let ciphertext = limit::encapsulate(&public, &random).0;
    let other = move || {
        for _ in 0..FEW {
            let own = limit::curve_public(black_box(&secret));
            assert!([(); 2].iter().all(|()| limit::kem_valid(black_box(&public))), "a key of ML-KEM");
            black_box(limit::kem_public(black_box(&seed)));
            black_box(limit::encapsulate(black_box(&public), &random));
            black_box(limit::agree(black_box(&secret), &own));
            black_box(limit::decapsulate(black_box(&seed), &ciphertext));
            black_box(limit::agree(black_box(&secret), &own));
        }
    };
    Contest {
        name: "turn: first message of a chain, both sides",
        gate: Some(1.15),
        ours: turns(),
        less: None,
        other: Lap::new(FEW, other),
    }
}

/// Verifying the bundle and the agreement; the first message is not in it.
fn initiate() -> Contest {
    let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
    let bundle = bob.bundle();
    let signed: Vec<(Vec<u8>, [u8; 64])> = [&bob.signed, &bob.one_time, &bob.kem, &bob.box_key]
        .map(|key| ([label::PREKEY, &key.signed().body.0].concat(), key.signed().signature.0))
        .into();
    let device = bob.party.device.key.0;
    let (secret, seed, random) = (bytes::<32>(7), bytes::<64>(8), bytes::<32>(9));
    let (curve, kem) = (limit::curve_public(&bytes(10)), limit::kem_public(&seed));
    let other = move || {
        for _ in 0..FEW {
            assert!(limit::verify(&device, black_box(&signed)), "signed by Bob's device");
            black_box(limit::curve_public(black_box(&secret)));
            let dh = [(); 4].map(|()| limit::agree(black_box(&secret), &curve));
            let shared = limit::encapsulate(black_box(&kem), &random).1;
            black_box(limit::hkdf::<32>(&[0; 32], &[&[255; 32], dh.as_flattened(), &shared], label::PQXDH));
        }
    };
    let mut rng = dice(11);
    let ours = move || {
        for _ in 0..FEW {
            black_box(alice.initiate(black_box(&bundle), &bob, &mut rng));
        }
    };
    Contest {
        name: "PQXDH, initiate (bundle of 4 signatures)",
        gate: Some(1.15),
        ours: Lap::new(FEW, ours),
        less: None,
        other: Lap::new(FEW, other),
    }
}

/// The agreement, and the first message, without which no session is accepted: its chain's agreement is the fifth.
fn accept() -> Contest {
    let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
    let session = alice.initiate(&bob.bundle(), &bob, &mut dice(11));
    let message = session.encrypt(&CONTENT, &mut dice(12)).expect("room in the chain").1;
    let (secret, seed) = (bytes::<32>(7), bytes::<64>(8));
    let curve = limit::curve_public(&bytes(10));
    let ciphertext = limit::encapsulate(&limit::kem_public(&seed), &bytes(9)).0;
    let other = move || {
        for _ in 0..FEW {
            let dh = [(); 4].map(|()| limit::agree(black_box(&secret), &curve));
            let shared = limit::decapsulate(black_box(&seed), &ciphertext);
            let root = limit::hkdf::<32>(&[0; 32], &[&[255; 32], dh.as_flattened(), &shared], label::PQXDH);
            let first = limit::agree(black_box(&secret), &curve);
            black_box(limit::hkdf::<64>(&root, &[&first], label::FIRST_CHAIN));
        }
    };
    let ours = move || {
        for _ in 0..FEW {
            black_box(bob.accept(&alice, black_box(&message)));
        }
    };
    Contest {
        name: "PQXDH, accept (with a first message)",
        gate: Some(1.15),
        ours: Lap::new(FEW, ours),
        less: None,
        other: Lap::new(FEW, other),
    }
}

/// A sealing that fills a box of this size.
pub fn sealing(person: &Person, size: usize) -> Sealing {
    let empty = Sealing { device: DeviceId::FIRST, list: person.list.clone(), message: Vec::new() };
    let around = 4 + 4 + empty.list.body.0.len() + 64 + 4;
    Sealing { message: vec![b'm'; size - BOX_OVERHEAD - around], ..empty }
}

/// As long as `info` and `aad` of a box are.
pub const INFO: [u8; 86] = [3; 86];
pub const AAD: [u8; 55] = [4; 55];

fn seal(size: usize) -> Contest {
    let size_of_box = BOX_SIZES[size];
    let (random, ephemeral) = (bytes::<32>(7), bytes::<32>(8));
    let bob = Person::new("bob", 2);
    let public: [u8; 1216] = bob.box_key.public().key.as_slice().try_into().expect("an X-Wing key");
    let mut buffer = vec![0; size_of_box - BOX_OVERHEAD];
    let other = move || {
        for _ in 0..FEW {
            let (_, shared) = limit::wing_encapsulate(black_box(&public), &random, &ephemeral);
            let (key, nonce) = limit::schedule(&shared, &INFO);
            black_box(limit::seal(&key, &nonce, &AAD, black_box(&mut buffer)));
        }
    };
    Contest {
        name: ["seal, 6 KiB", "seal, 16 KiB", "seal, 60 KiB"][size],
        gate: Some(1.2),
        ours: ours_seal(size_of_box),
        less: None,
        other: Lap::new(FEW, other),
    }
}

pub fn ours_seal(size: usize) -> Lap {
    let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
    let sealing = sealing(&alice, size);
    let mut rng = dice(13);
    Lap::new(FEW, move || {
        for _ in 0..FEW {
            let (key, to) = (bob.box_key.public(), &bob.party.device);
            black_box(sealed::seal(key, to, &EnvelopeId([7; 16]), black_box(&sealing), &mut rng).expect("it fits"));
        }
    })
}

fn open(size: usize) -> Contest {
    let size_of_box = BOX_SIZES[size];
    let (random, ephemeral, seed) = (bytes::<32>(7), bytes::<32>(8), bytes::<32>(9));
    let public = limit::curve_public(&bytes(10));
    let ciphertext =
        [&limit::encapsulate(&limit::kem_public(&bytes(11)), &random).0[..], &limit::curve_public(&ephemeral)]
            .concat()
            .try_into()
            .expect("1120 bytes");
    let shared = limit::wing_decapsulate(&seed, &public, &ciphertext);
    let (key, nonce) = limit::schedule(&shared, &INFO);
    let mut sealed = vec![0; size_of_box - BOX_OVERHEAD];
    let tag = limit::seal(&key, &nonce, &AAD, &mut sealed);
    let mut buffer = sealed.clone();
    let other = move || {
        for _ in 0..FEW {
            let shared = limit::wing_decapsulate(black_box(&seed), &public, &ciphertext);
            let (key, nonce) = limit::schedule(&shared, &INFO);
            buffer.copy_from_slice(&sealed);
            assert!(limit::open(&key, &nonce, &AAD, black_box(&mut buffer), &tag), "what was sealed");
        }
    };
    Contest {
        name: ["open, 6 KiB", "open, 16 KiB", "open, 60 KiB"][size],
        gate: Some(1.2),
        ours: ours_open(size_of_box),
        less: None,
        other: Lap::new(FEW, other),
    }
}

pub fn ours_open(size: usize) -> Lap {
    let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
    let id = EnvelopeId([7; 16]);
    let (key, to) = (bob.box_key.public(), &bob.party.device);
    let sealed = sealed::seal(key, to, &id, &sealing(&alice, size), &mut dice(13)).expect("it fits");
    Lap::new(FEW, move || {
        for _ in 0..FEW {
            black_box(sealed::open(&bob.box_key, &bob.party.device, &id, black_box(&sealed)).expect("Alice's box"));
        }
    })
}
