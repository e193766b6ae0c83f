//! The largest blocks that hold secrets: whole states, rows, boxes, the memory of Argon2.
//!
//! Freed memory goes to whoever asks next. In a walk that is soon somebody else, who overwrites what a search should find.
//! Here each of them is the last act of a thread, which then waits, with its heap and its stack as they are.
use std::hint::black_box;
use std::sync::mpsc::sync_channel;

use sealpost_spec::message::{SKIPPED_KEY_DAYS, Sealing};
use zeroize::Zeroize;

use super::*;
use crate::primitive::argon2id;

/// Something that is done with a secret of its own.
struct Act<'a> {
    name: &'static str,
    secret: Vec<Piece>,
    run: Box<dyn FnOnce() + Send + 'a>,
}

impl<'a> Act<'a> {
    fn new(name: &'static str, secret: Vec<Piece>, run: impl FnOnce() + Send + 'a) -> Self {
        assert!(secret.len() >= 100, "{name}");
        Self { name, secret, run: Box::new(run) }
    }
}

/// Runs each act in a thread of its own; the names of those of which something stands in memory.
fn left(acts: Vec<Act<'_>>) -> Vec<&'static str> {
    std::thread::scope(|scope| {
        let mut waiting = Vec::new();
        for Act { name, secret, run } in acts {
            let (done, is_done) = sync_channel(1);
            let (search, is_searched) = sync_channel::<()>(1);
            scope.spawn(move || {
                run();
                done.send(()).unwrap();
                // Ends when the search drops its end.
                let _ = is_searched.recv();
            });
            is_done.recv().unwrap();
            waiting.push((name, secret, search));
        }
        let all: Vec<Piece> = waiting.iter().flat_map(|(_, secret, _)| secret).copied().collect();
        let (hits, _) = memory::search(&all);
        let left = |secret: &[Piece]| secret.iter().any(|piece| hits.contains_key(piece));
        waiting.iter().filter(|(_, secret, _)| left(secret)).map(|(name, ..)| *name).collect()
    })
}

const TODAY: u32 = 20_000;

/// A session that keeps the keys of many messages, and these keys.
fn waiting_for_many(seed: u64) -> (Session, Vec<Piece>) {
    let rng = &mut dice(seed);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 300, rng);
    let (b, _) = b.decrypt(&messages[299]).unwrap();
    let session = b.expire_skipped(TODAY).unwrap();
    let keys = session.ratchet.skipped.iter().flat_map(|skipped| pieces(skipped.key.expose())).collect();
    (session, keys)
}

/// All that is left of the session knows none of the keys.
fn expire(session: Session) -> Session {
    let expired = session.expire_skipped(TODAY + SKIPPED_KEY_DAYS).unwrap();
    assert!(expired.ratchet.skipped.is_empty());
    expired
}

fn random(length: usize) -> (Zeroizing<Vec<u8>>, Vec<Piece>) {
    let mut bytes = Zeroizing::new(vec![0; length]);
    Kernel::open().fill_bytes(&mut bytes);
    let pieces = pieces(&bytes);
    (bytes, pieces)
}

/// Lanes, passes and KiB of an Argon2 that is small enough for its memory to stay with the process when it is freed.
const SMALL: (u32, u32, u32) = (1, 1, 32);

/// What Argon2 leaves in its memory.
fn argon2_blocks(passphrase: &[u8], salt: &[u8; 16]) -> Vec<Piece> {
    let (lanes, passes, memory) = SMALL;
    let params = argon2::Params::new(memory, passes, lanes, Some(32)).unwrap();
    let mut blocks = vec![argon2::Block::default(); params.block_count()];
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    swept::<16384, _>(|| argon2.hash_password_into_with_memory(passphrase, salt, &mut [0; 32], &mut blocks)).unwrap();
    let words = blocks.iter().flat_map(|block| block.as_ref().iter().map(|word| word ^ mask())).collect();
    blocks.iter_mut().for_each(Zeroize::zeroize);
    words
}

/// Nothing is left of a state that was written, stored or read again once its keys are past, of a row or a box that was
/// sealed or opened, nor of what Argon2 filled.
#[test]
fn the_largest_blocks_are_wiped() {
    let _alone = memory::alone();
    let rng = &mut Kernel::open();
    let (vault, _) = Vault::create(b"passphrase", Cost::FLOOR, rng).unwrap();
    let (place, id) = ([0; 32], EnvelopeId([7; 16]));
    let bob = Person::drawn("bob", rng);
    let (key, device) = (&bob.box_key, &bob.party.device);
    let sealing =
        |message: &[u8]| Sealing { device: DeviceId::FIRST, list: bob.list.clone(), message: message.to_vec() };

    let (session, keys) = waiting_for_many(50);
    let written = Act::new("a state that was written", keys, move || {
        drop(session.leave(crate::vault::tests::pass()));
        expire(session);
    });
    let (session, keys) = waiting_for_many(51);
    let stored = Act::new("a state that was stored", keys, || {
        let row = vault.seal_secret("sessions", &place, &session, &mut Kernel::open());
        expire(session);
        drop(row);
    });
    let (session, keys) = waiting_for_many(52);
    let row = vault.seal_secret("sessions", &place, &session, rng);
    drop(session);
    let reread = Act::new("a state that was read", keys, || {
        expire(vault.open_secret("sessions", &place, &row).unwrap());
    });

    let (text, secret) = random(20_000);
    let row_sealed = Act::new("a row that was sealed", secret, || {
        let row = vault.seal("history", &place, &text, &mut Kernel::open());
        drop(text);
        drop(row);
    });
    let (text, secret) = random(20_000);
    let history = vault.seal("history", &place, &text, rng);
    drop(text);
    let row_opened =
        Act::new("a row that was opened", secret, || drop(vault.open("history", &place, &history).unwrap()));

    // What a box holds is its caller's to wipe.
    let (text, secret) = random(10_000);
    let mut inside = sealing(&text);
    drop(text);
    let box_sealed = Act::new("a box that was sealed", secret, move || {
        crate::sealed::seal(key.public(), device, &id, &inside, &mut Kernel::open()).unwrap();
        inside.message.zeroize();
    });
    let (text, secret) = random(10_000);
    let mut inside = sealing(&text);
    drop(text);
    let sealed = crate::sealed::seal(key.public(), device, &id, &inside, rng).unwrap();
    inside.message.zeroize();
    let box_opened = Act::new("a box that was opened", secret, || {
        crate::sealed::open(key, device, &id, &sealed).unwrap().message.zeroize();
    });

    let (passphrase, salt) = (random(32).0, [7; 16]);
    let argon2 = Act::new("the memory of Argon2", argon2_blocks(&passphrase, &salt), || {
        let (lanes, passes, memory) = SMALL;
        argon2id(&passphrase, &salt, memory, passes, lanes).unwrap();
    });

    let acts = vec![written, stored, reread, row_sealed, row_opened, box_sealed, box_opened, argon2];
    assert_eq!(left(acts), [""; 0]);
}

/// The search finds a large block that was freed as it was, and not one that was wiped.
#[test]
fn a_planted_block_is_found() {
    let _alone = memory::alone();
    let leaves = |text: &[u8]| drop(black_box(text.to_vec()));
    let wipes = |text: &[u8]| drop(black_box(Zeroizing::new(text.to_vec())));
    let (text, secret) = random(20_000);
    let leak = Act::new("leaked", secret, move || leaves(&text));
    let (text, secret) = random(20_000);
    let wiped = Act::new("wiped", secret, move || wipes(&text));
    assert_eq!(left(vec![leak, wiped]), ["leaked"]);
}
