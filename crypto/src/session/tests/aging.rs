//! Secrets age out: what has served is neither in a session's state nor anywhere in the memory of the process.
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;

use rand_chacha::rand_core::{Rng, TryCryptoRng, TryRng};
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::{SKIPPED_KEY_DAYS, Sealing};

use super::talk::{Talk, seeds};
use super::*;
use crate::secret::{Secret, swept};
use crate::tap::{Call, Made, Piece, listen, mask, memory, pieces};
use crate::vault::{Cost, Vault};

mod blocks;

/// Draws from the kernel: a generator in this process would itself keep what it drew.
struct Kernel(File);
impl Kernel {
    fn open() -> Self {
        Self(File::open("/dev/urandom").unwrap())
    }
}
impl TryRng for Kernel {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.read_exact(bytes).unwrap();
        Ok(())
    }
}
impl TryCryptoRng for Kernel {}

/// Well below the frames that search later, so that the search overwrites nothing it should find.
#[inline(never)]
fn deep<R>(work: impl FnOnce() -> R) -> R {
    black_box(&mut [0_u8; 32 * 1024]);
    work()
}

/// Three conversations in a row, each with its own people, boxes and a profile that is written and read; what is left
/// of them are the sessions. And what the tap takes for secrets that is none: hashes of public strings.
fn walk(seed: u64) -> (Vec<Session>, Vec<Piece>) {
    let schedule = &mut dice(seed);
    let rng = &mut Kernel::open();
    let (vault, _) = Vault::create(b"passphrase", Cost::FLOOR, rng).unwrap();
    let (mut left, mut public) = (Vec::new(), Vec::new());
    for one_time in [true, false, true] {
        let people = [Person::drawn("alice", rng), Person::drawn("bob", rng)];
        let mut talk = Talk::begin(people, one_time, rng);
        for _ in 0..60 {
            talk.act(schedule, rng);
            let side = schedule.next_u32() as usize % 2;
            if schedule.next_u32().is_multiple_of(8)
                && let Some(session) = &talk.sides[side]
            {
                let row = vault.seal_secret("sessions", &[0; 32], session, rng);
                talk.sides[side] = Some(vault.open_secret("sessions", &[0; 32], &row).unwrap());
            }
        }
        // Whatever the dice said: a turn on both sides, and a box.
        for from in [0, 1, 0, 1] {
            let sent = talk.send(from, rng);
            assert!(talk.deliver(&sent));
        }
        let [alice, bob] = &talk.people;
        let id = EnvelopeId([7; 16]);
        let sealing = Sealing { device: DeviceId::FIRST, list: alice.list.clone(), message: vec![0; 100] };
        let sealed = crate::sealed::seal(bob.box_key.public(), &bob.party.device, &id, &sealing, rng).unwrap();
        crate::sealed::open(&bob.box_key, &bob.party.device, &id, &sealed).unwrap();
        public.extend(crate::sealed::tests::public_hashes(&bob.party.device, PrekeyId(5)).map(|hash| pieces(&hash)));
        for session in talk.sides.into_iter().flatten() {
            // In one of them the keys of what never came have had their time.
            let kept = if one_time { session } else { past_their_time(session) };
            left.push(kept);
        }
    }
    (left, public.concat())
}

/// The session after its skipped keys were kept for as long as they are.
fn past_their_time(session: Session) -> Session {
    let Some(seen) = session.expire_skipped(20_000) else { return session };
    let expired = seen.expire_skipped(20_000 + SKIPPED_KEY_DAYS).unwrap();
    assert!(expired.ratchet.skipped.is_empty());
    expired
}

/// What a session may still hold: one of each, and the keys of messages that have not come.
fn live(session: &Session) -> Vec<Piece> {
    let ratchet = &session.ratchet;
    let mut live = pieces(ratchet.root.expose());
    live.extend(ratchet.own.iter().flat_map(|own| [pieces(own.curve.expose()), pieces(own.kem.expose())]).flatten());
    live.extend(ratchet.sending.iter().flat_map(|chain| pieces(chain.key.expose())));
    live.extend(ratchet.receiving.iter().flat_map(|chain| pieces(chain.key.expose())));
    live.extend(ratchet.skipped.iter().flat_map(|skipped| pieces(skipped.key.expose())));
    live
}

/// The secrets of which a piece stands in memory, by what made them.
fn found(made: &[Made], except: &BTreeSet<Piece>) -> BTreeMap<Option<Call>, usize> {
    let past: Vec<Piece> =
        made.iter().flat_map(|made| &made.pieces).copied().filter(|piece| !except.contains(piece)).collect();
    let (hits, read) = memory::search(&past);
    assert!(read > 1 << 20, "only {read} bytes of memory were read");
    let mut found = BTreeMap::new();
    for made in made {
        if made.pieces.iter().any(|piece| hits.contains_key(piece)) {
            *found.entry(made.by).or_insert(0) += 1;
        }
    }
    found
}

/// After a random walk of several conversations, no past message key, chain key, root key, private key, seed, DH output or
/// KEM secret, and no eight bytes in a row of one, is in the states that are left, nor at any address of the process, also not
/// as HMAC pads a key. And once the sessions are dropped, nothing at all is left. What the walk itself overwrites later is
/// not seen here; the largest blocks are looked at in [`blocks`].
#[test]
fn past_secrets_are_nowhere() {
    let _alone = memory::alone();
    for seed in seeds(0..1) {
        let ((sessions, public), mut made, _) = listen(|| deep(|| walk(seed)));
        made.retain(|made| !made.pieces.iter().any(|piece| public.contains(piece)));
        let live: BTreeSet<Piece> = sessions.iter().flat_map(live).collect();
        // The tap has heard of every secret that a state holds, and of each kind that has served.
        let heard: BTreeSet<Piece> = made.iter().flat_map(|made| &made.pieces).copied().collect();
        assert!(live.is_subset(&heard), "seed {seed}");
        for kind in
            [Call::Random, Call::X25519, Call::Encapsulate, Call::Decapsulate, Call::XWing, Call::Hmac, Call::Hkdf]
        {
            let past = |made: &&Made| made.by == Some(kind) && made.pieces.iter().all(|piece| !live.contains(piece));
            assert!(made.iter().filter(past).count() >= 4, "seed {seed} {kind:?}");
        }
        for session in &sessions {
            let state = session.leave(crate::vault::tests::pass());
            let masked = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap()) ^ mask();
            let past = |piece: &Piece| heard.contains(piece) && !live.contains(piece);
            assert!(!state.windows(8).map(masked).any(|piece| past(&piece)), "seed {seed}");
        }
        assert_eq!(found(&made, &live), BTreeMap::new(), "seed {seed}: these stand in memory, by what made them");
        drop(sessions);
        assert_eq!(found(&made, &BTreeSet::new()), BTreeMap::new(), "seed {seed}: these are left after the last drop");
    }
}

/// The recovery words tell the account's key as well, and so does a list of where each stands in the list of words: once
/// they were shown and dropped, neither is left, not even as pointers.
#[test]
fn shown_words_are_nowhere() {
    let _alone = memory::alone();
    let account = AccountSecret::generate(&mut Kernel::open());
    let list = bip39::Language::English.word_list();
    let addresses = || {
        let words = account.words();
        let address = |word: &str| list.iter().find(|listed| **listed == word).unwrap().as_ptr().addr() as u64;
        let places = words.split(' ').map(address);
        // Each eight bytes once: a word alone, which another test may show, is one or two of them.
        let eighths = words.as_bytes().chunks_exact(8).map(|piece| u64::from_le_bytes(piece.try_into().unwrap()));
        places.chain(eighths).map(|piece| piece ^ mask()).collect::<BTreeSet<Piece>>()
    };
    let known: Vec<Piece> = deep(|| swept::<16384, _>(addresses)).into_iter().collect();
    deep(|| drop(AccountSecret::from_words(&account.words()).unwrap()));
    let (hits, _) = memory::search(&known);
    // One or the other may be among the words of another test.
    assert!(hits.len() < 3, "{} of {} places and pieces", hits.len(), known.len());
}

/// A copy of the bytes in a frame that is gone.
#[inline(never)]
fn leave_on_the_stack(bytes: &[u8]) {
    let copy: [u8; 32] = bytes.try_into().unwrap();
    black_box(&copy);
}

/// The search finds what was planted: in live memory, in freed memory, on a part of the stack that is no longer used, whole,
/// half or any eight bytes in a row, wherever it begins, and as HMAC pads a key; and not what was wiped.
#[test]
fn a_planted_leak_is_found() {
    let _alone = memory::alone();
    let rng = &mut Kernel::open();
    let secrets: Vec<Secret<32>> = (0..8).map(|_| Secret::random(rng)).collect();
    let known: Vec<Vec<Piece>> = secrets.iter().map(|secret| pieces(secret.expose())).collect();
    let kept = [&[0; 3][..], secrets[0].expose()].concat();
    let half = [&[0; 5][..], &secrets[1].expose()[16..]].concat();
    let eight = [&[0; 7][..], &secrets[4].expose()[4..12]].concat();
    let padded = [(5, 0x36), (6, 0x5c)].map(|(secret, pad)| secrets[secret].expose().map(|byte| byte ^ pad).to_vec());
    drop(black_box([&[0; 401][..], secrets[2].expose(), &[0; 401]].concat()));
    deep(|| leave_on_the_stack(secrets[3].expose()));
    drop(secrets);
    let (hits, _) = memory::search(&known.concat());
    let left: Vec<bool> = known.iter().map(|pieces| pieces.iter().any(|piece| hits.contains_key(piece))).collect();
    assert_eq!(left, [true, true, true, true, true, true, true, false]);
    drop(black_box((kept, half, eight, padded)));
}
