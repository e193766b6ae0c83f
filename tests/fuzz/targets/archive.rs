//! A relay's backup that somebody has altered: it becomes a relay that is whole, or nothing. No name in it leads out of the folder, and no
//! length that it claims is taken for true.

use std::sync::OnceLock;

use sealpost_relay::backup::{backup, restore};
use sealpost_relay::folder::{Folder, read_key};
use sealpost_relay::store::{Append, Log, Sqlite, Store as _, Write};

use super::script::Script;

/// Bytes of a block of a tar file.
const BLOCK: usize = 512;

fn genuine() -> &'static Vec<u8> {
    static GENUINE: OnceLock<Vec<u8>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let outer = tempfile::tempdir().unwrap();
        let (data, file) = (outer.path().join("data"), outer.path().join("relay.tar"));
        let folder = Folder::open(&data).unwrap();
        folder.key().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Sqlite::open(&folder.store()).unwrap();
            let log = Log { kind: "mailbox", key: vec![7; 16] };
            let append =
                |number| Write::Append(Append { log: log.clone(), id: [number; 16], bytes: vec![number; 100] });
            store.write((0..3).map(append).collect()).await.unwrap();
        });
        backup(&data, &file, |_, _| {}).unwrap();
        std::fs::read(file).unwrap()
    })
}

/// The headers of the archive's files, by where they begin.
fn headers() -> &'static Vec<usize> {
    static HEADERS: OnceLock<Vec<usize>> = OnceLock::new();
    HEADERS.get_or_init(|| {
        let tar = genuine();
        let blocks = (0..tar.len() / BLOCK).map(|block| block * BLOCK);
        blocks.filter(|at| tar[at + 257..].starts_with(b"ustar")).collect()
    })
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut tar = genuine().clone();
    match script.byte() % 4 {
        0 => tar = script.rest().to_vec(),
        1 => tar = script.bent(&tar),
        // A header whose checksum is right again.
        2 => {
            let at = *script.one(headers());
            let header = script.bent(&tar[at..at + BLOCK]);
            tar.splice(at..at + BLOCK, summed(header));
        }
        _ => {
            // One file before another, or twice.
            let (from, to) = (*script.one(headers()), *script.one(headers()));
            let end = headers().iter().copied().find(|at| *at > from).unwrap_or(tar.len());
            let moved = tar[from..end].to_vec();
            tar.splice(to..to, moved);
        }
    }
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    let restored = restore(tar.as_slice(), &data, |_, _| {});
    let outside = std::fs::read_dir(outer.path()).unwrap().flatten().filter(|entry| entry.path() != data).count();
    assert_eq!(outside, 0, "something was written beside the folder");
    match restored {
        Ok(()) => {
            assert!(read_key(&data).is_ok_and(|key| key.is_some()), "a relay without its key");
            let folder = Folder::open(&data).unwrap();
            Sqlite::open(&folder.store()).expect("what was restored opens");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let left =
                std::fs::read_dir(&data).map(|entries| entries.flatten().map(|entry| entry.file_name()).collect());
            let left: Vec<_> = left.unwrap_or_default();
            assert!(left.iter().all(|name| name == "relay.lock"), "{error}: left {left:?}");
        }
    }
}

/// A block of a header with the sum that belongs to it.
fn summed(mut header: Vec<u8>) -> Vec<u8> {
    header.resize(BLOCK, 0);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
