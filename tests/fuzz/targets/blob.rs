//! A file in chunks, from a relay that may send any bytes as any of them: what opens is the chunk of that number and nothing
//! else, so that what is put together is the file, or none.

use std::sync::OnceLock;

use sealpost_crypto::attachment::{Chunks, FileHash};
use sealpost_spec::attachment::{BlobId, CHUNK, PART, parts};

use super::people::dice;
use super::script::Script;

const KEY: [u8; 32] = [3; 32];
const BLOB: BlobId = BlobId([4; 16]);
/// Chunks that are tried at most.
const TRIED: usize = 6;

/// A file, its chunks, and those of others that somebody might put in their places.
struct File {
    bytes: Vec<u8>,
    chunks: Chunks,
    sealed: Vec<Vec<u8>>,
    foreign: Vec<Vec<u8>>,
}

fn sealed(chunks: &Chunks, bytes: &[u8]) -> Vec<Vec<u8>> {
    let pieces = (0..).zip(bytes.chunks(CHUNK));
    pieces.map(|(number, piece)| chunks.seal(number, piece, &mut dice(u64::from(number))).unwrap()).collect()
}

fn file() -> &'static File {
    static FILE: OnceLock<File> = OnceLock::new();
    FILE.get_or_init(|| {
        let bytes: Vec<u8> = (0..2 * CHUNK + 100).map(|at| (at % 251) as u8).collect();
        let size = bytes.len() as u64;
        let chunks = Chunks::new(&KEY, BLOB, size).unwrap();
        let others = [(KEY, BlobId([5; 16]), size), ([6; 32], BLOB, size), (KEY, BLOB, size - 100)];
        let foreign = others.iter().flat_map(|(key, blob, size)| {
            sealed(&Chunks::new(key, *blob, *size).unwrap(), &bytes[..usize::try_from(*size).unwrap()])
        });
        let foreign = foreign.collect();
        File { sealed: sealed(&chunks, &bytes), chunks, foreign, bytes }
    })
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let size = u64::from_le_bytes(std::array::from_fn(|_| script.byte()));
    counted(size);
    let file = file();
    let mut together = Vec::new();
    let mut hash = FileHash::default();
    for _ in 0..TRIED {
        if script.is_empty() {
            break;
        }
        let number = script.byte() % 5;
        let from = script.below(file.sealed.len() + file.foreign.len());
        let genuine = file.sealed.iter().chain(&file.foreign).nth(from).unwrap();
        let bytes = match script.below(4) {
            0 => script.bent(genuine),
            1 => script.some().to_vec(),
            _ => genuine.clone(),
        };
        // Of the last file the first chunks are those of a shorter one: no other place tells them apart. [FILE-3]
        let right = file.sealed.get(usize::from(number)).is_some_and(|own| *own == bytes);
        match file.chunks.open(u32::from(number), &bytes) {
            Ok(opened) => {
                let place = usize::from(number) * CHUNK;
                assert_eq!(*opened, file.bytes[place..file.bytes.len().min(place + CHUNK)], "another file's bytes");
                assert!(right || from >= file.sealed.len(), "an altered chunk, or one from another place");
                if place == together.len() {
                    hash.update(&opened);
                    together.extend_from_slice(&opened);
                }
            }
            Err(_) => assert!(!right, "the genuine chunk is refused"),
        }
    }
    let whole: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&file.bytes).into();
    assert_eq!(hash.is(&whole), together == file.bytes, "put together, it is what was announced, or it is refused");
}

/// A size that somebody claims: its chunks hold exactly so much, or there are none.
fn counted(size: u64) {
    let Ok(chunks) = Chunks::new(&KEY, BLOB, size) else {
        assert_eq!(parts(size), None);
        return;
    };
    // How many there are is rounded up, so that it tells little: those behind the end hold nothing. [FILE-4]
    let whole = size / CHUNK as u64;
    assert!(u64::from(chunks.parts()) * CHUNK as u64 >= size, "the last bytes have no chunk");
    let cut = u32::try_from(whole).expect("fewer than the parts");
    assert_eq!(whole * CHUNK as u64 + chunks.bytes(cut) as u64, size);
    assert_eq!(chunks.bytes(cut + 1), 0);
    assert_eq!(chunks.bytes(chunks.parts()), 0);
    assert!(chunks.open(chunks.parts(), &[0; PART]).is_err(), "a chunk behind the last one");
}
