//! What opens, and everything that must not.
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

const KEY: [u8; 32] = [7; 32];
const BLOB: BlobId = BlobId([9; 16]);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn text(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn sealed(size: usize) -> (Chunks, Vec<Vec<u8>>) {
    let (chunks, text, mut rng) = (Chunks::new(&KEY, BLOB, size as u64).unwrap(), text(size), rng());
    let sealed = (0..chunks.parts())
        .map(|number| {
            let from = (number as usize * CHUNK).min(size);
            chunks.seal(number, &text[from..from + chunks.bytes(number)], &mut rng).unwrap()
        })
        .collect();
    (chunks, sealed)
}

/// Whatever its length, a file comes back as it was, and every chunk looks as long as every other one.
#[test]
fn files_come_back() {
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 8 * CHUNK + 5] {
        let (chunks, sealed) = sealed(size);
        assert!(sealed.iter().all(|part| part.len() == PART));
        let numbered = (0..).zip(&sealed);
        let opened: Vec<u8> = numbered.flat_map(|(at, part)| chunks.open(at, part).unwrap().to_vec()).collect();
        assert!(opened == text(size), "{size}");
    }
    let (chunks, sealed) = sealed(8 * CHUNK + 5);
    assert_eq!((sealed.len(), chunks.bytes(8), chunks.bytes(9)), (10, 5, 0));
}

/// [FILE-3] a chunk opens in its own place alone: not altered, moved, repeated, cut short or made longer; not with another key, in
/// another blob, nor as the end of a file that is shorter or longer.
#[test]
fn chunks_open_in_their_place_alone() {
    let (chunks, sealed) = sealed(2 * CHUNK + 100);
    for at in [0, CHUNK_SALT - 1, CHUNK_SALT, PART / 2, PART - 17, PART - 1] {
        let mut flipped = sealed[1].clone();
        flipped[at] ^= 1;
        assert_eq!(chunks.open(1, &flipped), Err(Refused), "{at}");
    }
    for (number, part) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0)] {
        assert_eq!(chunks.open(number, &sealed[part]), Err(Refused), "{part} as {number}");
    }
    assert_eq!(chunks.open(3, &sealed[2]), Err(Refused));
    for bent in [&sealed[1][..PART - 1], &[&sealed[1][..], &[0]].concat(), &[]] {
        assert_eq!(chunks.open(1, bent), Err(Refused));
    }
    for other in [
        Chunks::new(&[8; 32], BLOB, 2 * CHUNK as u64 + 100).unwrap(),
        Chunks::new(&KEY, BlobId([8; 16]), 2 * CHUNK as u64 + 100).unwrap(),
    ] {
        assert!((0..3).all(|number| other.open(number, &sealed[number as usize]).is_err()));
    }
    let (shorter, longer) =
        (Chunks::new(&KEY, BLOB, 2 * CHUNK as u64).unwrap(), Chunks::new(&KEY, BLOB, 3 * CHUNK as u64 + 1).unwrap());
    assert_eq!(shorter.open(1, &sealed[1]), Err(Refused), "the last one is missing");
    assert_eq!(longer.open(2, &sealed[2]), Err(Refused), "there is one more");
    assert!(shorter.open(0, &sealed[0]).is_ok() && longer.open(1, &sealed[1]).is_ok());
}

/// [FILE-4] what stands behind the file's end is zeros, and its sender can't hide anything there.
#[test]
fn padding_is_zeros() {
    let chunks = Chunks::new(&KEY, BLOB, 100).unwrap();
    let mut padded = text(100);
    padded.resize(CHUNK, 0);
    let made = |padded: &[u8]| {
        let mut sealed = vec![3; CHUNK_SALT];
        seal(&chunks.key(&[3; CHUNK_SALT]), &nonce(0, true), &[], padded, &mut sealed).unwrap();
        sealed
    };
    assert_eq!(**chunks.open(0, &made(&padded)).unwrap(), text(100));
    for at in [100, CHUNK - 1] {
        let mut bent = padded.clone();
        bent[at] = 1;
        assert_eq!(chunks.open(0, &made(&bent)), Err(Refused), "{at}");
    }
}

/// [FILE-2] the same chunk is never sealed to the same bytes, so that another text in its place meets another key.
#[test]
fn salts_are_fresh() {
    let (chunks, mut rng) = (Chunks::new(&KEY, BLOB, 100).unwrap(), rng());
    let [one, two] = [(); 2].map(|()| chunks.seal(0, &text(100), &mut rng).unwrap());
    assert!(one[..CHUNK_SALT] != two[..CHUNK_SALT] && one[CHUNK_SALT..] != two[CHUNK_SALT..]);
}

/// What is not a chunk of the file is not sealed.
#[test]
fn lengths_are_held() {
    let (chunks, mut rng) = (Chunks::new(&KEY, BLOB, CHUNK as u64 + 1).unwrap(), rng());
    for (number, length) in [(0, 1), (0, CHUNK + 1), (1, CHUNK), (1, 0), (2, 0)] {
        assert_eq!(chunks.seal(number, &text(length), &mut rng), Err(Refused), "{number} {length}");
    }
    assert!(Chunks::new(&KEY, BLOB, u64::MAX).is_err());
}

/// Pieces hash as the whole does.
#[test]
fn pieces_hash_as_the_whole() {
    let mut hash = FileHash::default();
    text(1_000).chunks(7).for_each(|piece| hash.update(piece));
    let whole = crate::primitive::sha256(&[&text(1_000)]);
    assert_eq!(hash.clone().finish(), whole);
    assert!(hash.clone().is(&whole) && !hash.is(&[0; 32]));
}
