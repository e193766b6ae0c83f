//! Side by side with others: vodozemac (Olm: Double Ratchet without a KEM) and hpke (the sealed box's suite).
use std::hint::black_box;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Kem, OpModeR, OpModeS};
use sealpost_spec::message::{BOX_OVERHEAD, BOX_SIZES};
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

use crate::contest::{Contest, Lap};
use crate::operation::{AAD, CHAIN, CONTENT, FEW, INFO, ours_open, ours_seal, turns, turns_kem, turns_without_kem};
use crate::people::{dice, established};

/// All of them.
pub fn all() -> Vec<Contest> {
    vec![encrypt(), ping_pong(), ping_pong_limit(), seal(), open()]
}

/// Two Olm sessions in which both have sent; the first begins the next chain.
fn olm() -> (Session, Session) {
    let (alice, mut bob) = (Account::new(), Account::new());
    bob.generate_one_time_keys(1);
    let one_time = *bob.one_time_keys().values().next().expect("one was made");
    let config = SessionConfig::version_1();
    let mut alices = alice.create_outbound_session(config, bob.curve25519_key(), one_time).expect("honest keys");
    let OlmMessage::PreKey(first) = alices.encrypt(CONTENT).expect("a new session") else { panic!("the first") };
    let mut bobs = bob.create_inbound_session(config, alice.curve25519_key(), &first).expect("Alice's message").session;
    let reply = bobs.encrypt(CONTENT).expect("a new session");
    alices.decrypt(&reply).expect("Bob's reply");
    (alices, bobs)
}

fn encrypt() -> Contest {
    let mut theirs = olm().0;
    let begun = established(&mut dice(3)).0.encrypt(&CONTENT, &mut dice(4)).expect("room in the chain").0;
    let mut rng = dice(5);
    let ours = move || {
        let (mut state, mut message) = begun.encrypt(&CONTENT, &mut rng).expect("room in the chain");
        for _ in 1..CHAIN {
            (state, message) = state.encrypt(&CONTENT, &mut rng).expect("room in the chain");
        }
        black_box((state, message));
    };
    let other = move || {
        for _ in 0..CHAIN {
            black_box(theirs.encrypt(CONTENT).expect("room in the chain"));
        }
    };
    Contest {
        name: "encrypt 256 B : vodozemac",
        gate: Some(1.0),
        ours: Lap::new(CHAIN, ours),
        less: None,
        other: Lap::new(CHAIN, other),
    }
}

fn olm_turns() -> Lap {
    let (mut alice, mut bob) = olm();
    Lap::new(2 * FEW, move || {
        for _ in 0..FEW {
            let message = alice.encrypt(CONTENT).expect("room in the chain");
            black_box(bob.decrypt(&message).expect("Alice's message"));
            let reply = bob.encrypt(CONTENT).expect("room in the chain");
            black_box(alice.decrypt(&reply).expect("Bob's reply"));
        }
    })
}

/// The gate keeps what was reached; README.md tells why 1.0 was not.
fn ping_pong() -> Contest {
    Contest {
        name: "turn less its ML-KEM calls : vodozemac",
        gate: Some(1.2),
        ours: turns(),
        less: Some(turns_kem()),
        other: olm_turns(),
    }
}

fn ping_pong_limit() -> Contest {
    Contest {
        name: "  the same in lean calls : vodozemac",
        gate: None,
        ours: turns_without_kem(),
        less: None,
        other: olm_turns(),
    }
}

fn seal() -> Contest {
    let mut rng = dice(6);
    let public = XWing::gen_keypair_with_rng(&mut rng).1;
    let plaintext = vec![0; BOX_SIZES[0] - BOX_OVERHEAD];
    let other = move || {
        for _ in 0..FEW {
            let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
                &OpModeS::Base,
                &public,
                &INFO,
                black_box(&plaintext),
                &AAD,
                &mut rng,
            );
            assert!(black_box(sealed).is_ok(), "an honest key");
        }
    };
    Contest {
        name: "seal, 6 KiB : hpke's X-Wing",
        gate: Some(0.8),
        ours: ours_seal(BOX_SIZES[0]),
        less: None,
        other: Lap::new(FEW, other),
    }
}

fn open() -> Contest {
    let mut rng = dice(6);
    let (secret, public) = XWing::gen_keypair_with_rng(&mut rng);
    let plaintext = vec![0; BOX_SIZES[0] - BOX_OVERHEAD];
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &public,
        &INFO,
        &plaintext,
        &AAD,
        &mut rng,
    )
    .unwrap_or_else(|error| panic!("an honest key: {error}"));
    let other = move || {
        for _ in 0..FEW {
            let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
                &OpModeR::Base,
                &secret,
                &encapsulated,
                &INFO,
                black_box(&sealed),
                &AAD,
            );
            assert!(black_box(opened).is_ok(), "what was sealed");
        }
    };
    Contest {
        name: "open, 6 KiB : hpke's X-Wing",
        gate: Some(0.8),
        ours: ours_open(BOX_SIZES[0]),
        less: None,
        other: Lap::new(FEW, other),
    }
}
