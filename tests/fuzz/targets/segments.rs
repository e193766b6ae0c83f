//! What a crash, or a disk, has made of the files in which mailboxes wait. A store opens with envelopes that were appended, each as it was and
//! in order, and takes more; or it says which file is damaged, and stays as it is.

use std::path::Path;
use std::sync::OnceLock;

use sealpost_relay::store::{Append, Limit, Log, Sqlite, Store as _, Write};
use sealpost_spec::mailbox::Seq;
use tempfile::TempDir;

use super::script::Script;

const ENVELOPES: u8 = 12;
const LENGTH: usize = 300;

fn log(of: u8) -> Log {
    Log { kind: "mailbox", key: vec![of; 16] }
}

fn append(of: u8, number: u8) -> Write {
    Write::Append(Append { log: log(of), id: [number; 16], bytes: vec![number; LENGTH] })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A store's files: its tables, and the segment with two mailboxes, of which one was read in part.
struct Files {
    _folder: TempDir,
    tables: Vec<u8>,
    name: String,
    segment: Vec<u8>,
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        runtime().block_on(async {
            let store = Sqlite::open(&path).unwrap();
            for number in 0..ENVELOPES {
                store.write(vec![append(number % 2, number)]).await.unwrap();
            }
            let read = store.read(&log(0), Seq(0), Limit { count: 2, bytes: usize::MAX }).await.unwrap();
            store.write(vec![Write::Trim { log: log(0), through: read[1].seq }]).await.unwrap();
        });
        let segment = std::fs::read_dir(folder.path().join("mailboxes")).unwrap().next().unwrap().unwrap().path();
        Files {
            tables: std::fs::read(&path).unwrap(),
            name: segment.file_name().unwrap().to_str().unwrap().to_owned(),
            segment: std::fs::read(segment).unwrap(),
            _folder: folder,
        }
    })
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let files = files();
    let segment = match script.byte() % 4 {
        0 => script.rest().to_vec(),
        1 => files.segment[..usize::from(script.short()) % (files.segment.len() + 1)].to_vec(),
        _ => script.bent(&files.segment),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    std::fs::write(&path, &files.tables).unwrap();
    std::fs::create_dir(folder.path().join("mailboxes")).unwrap();
    let at = folder.path().join("mailboxes").join(&files.name);
    std::fs::write(&at, &segment).unwrap();
    runtime().block_on(async {
        match Sqlite::open(&path) {
            Ok(store) => {
                let before = [found(&store, 0).await, found(&store, 1).await];
                store.write(vec![append(1, ENVELOPES)]).await.expect("a store that opens takes more");
                drop(store);
                let store = Sqlite::open(&path).expect("it opens again");
                let after = [found(&store, 0).await, found(&store, 1).await];
                assert_eq!(after[0], before[0]);
                assert_eq!(after[1], [&before[1][..], &[ENVELOPES]].concat());
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                unchanged(&at, &segment);
            }
        }
    });
}

/// What was refused is there to be looked at.
fn unchanged(at: &Path, segment: &[u8]) {
    assert!(std::fs::read(at).is_ok_and(|bytes| bytes == segment), "a damaged file was written to");
}

/// The envelopes of a mailbox by their numbers, each of which must be as it was appended.
async fn found(store: &Sqlite, of: u8) -> Vec<u8> {
    let entries = store.read(&log(of), Seq(0), Limit { count: 100, bytes: usize::MAX }).await;
    let entries = entries.expect("what was listed can be read");
    let mut numbers: Vec<u8> = Vec::new();
    for entry in entries {
        let number = entry.id[0];
        assert_eq!((entry.id, &entry.bytes[..]), ([number; 16], &[number; LENGTH][..]), "an altered envelope");
        assert!(number % 2 == of || number == ENVELOPES, "an envelope of another mailbox");
        assert!(numbers.last().is_none_or(|last| *last < number), "twice, or in another order");
        numbers.push(number);
    }
    numbers
}
