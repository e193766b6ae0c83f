use std::os::unix::fs::PermissionsExt;

use sealpost_spec::mailbox::Seq;

use super::*;
use crate::folder::Folder;
use crate::store::{Append, Key as CellKey, Limit, Log, Sqlite, Store, Write as StoreWrite};

fn log() -> Log {
    Log { kind: "mailbox", key: vec![7; 16] }
}

fn append(number: u32) -> StoreWrite {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    StoreWrite::Append(Append { log: log(), id, bytes: vec![number as u8; 600] })
}

fn cell(table: &'static str) -> StoreWrite {
    StoreWrite::Put { key: CellKey { table, key: b"bob".to_vec() }, expected: None, value: vec![1; 40] }
}

fn no_progress(_: u64, _: u64) {}

/// A relay's folder with an account, a page of one-time prekeys and ten envelopes.
async fn relay(path: &Path) -> (Folder, Sqlite) {
    let folder = Folder::open(path).unwrap();
    folder.key().unwrap();
    let store = Sqlite::open(&folder.store()).unwrap();
    store.write(vec![cell("account"), cell("prekeys"), cell("prekey_page")]).await.unwrap();
    store.write((0..10).map(append).collect()).await.unwrap();
    (folder, store)
}

async fn entries(store: &Sqlite) -> usize {
    store.read(&log(), Seq(0), Limit { count: 100_000, bytes: usize::MAX }).await.unwrap().len()
}

/// A backup that is taken while the relay writes holds everything that was accepted before it began, and becomes a relay
/// with the same key, the same envelopes, and a store of its own without one-time prekeys. [RELAY-20]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores() {
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    let (folder, store) = relay(&data).await;
    let store = std::sync::Arc::new(store);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut number = 10;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                store.write(vec![append(number)]).await.unwrap();
                number += 1;
            }
            number
        }
    });
    let part = |fill| bytes::Bytes::from(vec![fill; sealpost_spec::attachment::PART]);
    for number in 0..3_u8 {
        store.put_part([9; 16], u32::from(number), part(number)).await.unwrap();
    }
    let file = outer.path().join("relay.backup");
    let before = entries(&store).await;
    backup(&data, &file, no_progress).unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = load.await.unwrap() as usize;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let beside = std::fs::read_dir(outer.path()).unwrap().count();
    assert_eq!(beside, 2, "nothing is left beside it");

    let again = outer.path().join("again");
    restore(File::open(&file).unwrap(), &again, no_progress).unwrap();
    assert_eq!(folder::read_key(&again).unwrap().unwrap().public(), folder.key().unwrap().public());
    let other = Folder::open(&again).unwrap();
    let restored = Sqlite::open(&other.store()).unwrap();
    assert!((before..=written).contains(&entries(&restored).await));
    assert_ne!(restored.id(), store.id());
    let count = async |table| (store.count(table, &[]).await.unwrap(), restored.count(table, &[]).await.unwrap());
    assert_eq!(count("account").await, (1, 1));
    assert_eq!((count("prekeys").await, count("prekey_page").await), ((1, 0), (1, 0)));
    let names: Vec<_> = std::fs::read_dir(&again).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| name.to_str().unwrap().starts_with("relay.") || *name == "blobs" || *name == "mailboxes"),
        "{names:?}"
    );
    assert_eq!(restored.parts([9; 16]).await.unwrap(), 3);
    assert!(restored.part([9; 16], 2).await.unwrap() == Some(part(2)));
}

/// A backup replaces nothing, and a relay is made in an empty folder only.
#[tokio::test]
async fn nothing_is_overwritten() {
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    let file = outer.path().join("relay.backup");
    assert!(matches!(backup(&data, &file, no_progress), Err(BackupError::Nothing(_))));
    let (folder, store) = relay(&data).await;
    std::fs::write(&file, b"mine").unwrap();
    assert!(matches!(backup(&data, &file, no_progress), Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    let mut bytes = Vec::new();
    stream(&data, outer.path(), &mut bytes, no_progress).unwrap();
    let in_use = restore(bytes.as_slice(), &data, no_progress);
    assert!(matches!(in_use, Err(BackupError::Folder(FolderError::InUse(_)))));
    drop((folder, store));
    assert!(matches!(restore(bytes.as_slice(), &data, no_progress), Err(BackupError::NotEmpty(_))));
}

/// What was cut short or altered anywhere is refused before anything stands in its place.
#[tokio::test]
async fn a_damaged_backup_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    drop(relay(&data).await);
    let mut whole = Vec::new();
    stream(&data, outer.path(), &mut whole, no_progress).unwrap();
    let again = outer.path().join("again");
    let refused = |bytes: &[u8]| {
        let error = restore(bytes, &again, no_progress).unwrap_err();
        assert!(matches!(error, BackupError::Damaged(_) | BackupError::Store(_)), "{error}");
        let left: Vec<_> = std::fs::read_dir(&again).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["relay.lock"]);
    };
    for length in [0, 100, 512, 2_000, whole.len() / 2, whole.len() - 2_048] {
        refused(&whole[..length]);
    }
    // Each file's content in turn: what stands in the archive's own fields is not all looked at.
    let mut at = 0;
    while whole.get(at).is_some_and(|byte| *byte != 0) {
        let size = usize::from_str_radix(std::str::from_utf8(&whole[at + 124..at + 135]).unwrap(), 8).unwrap();
        for byte in [0, size / 2, size - 1] {
            let mut altered = whole.clone();
            altered[at + 512 + byte] ^= 1;
            refused(&altered);
        }
        at += 512 + size.next_multiple_of(512);
    }
    assert_eq!(at, whole.len() - 1_024);
    restore(whole.as_slice(), &again, no_progress).unwrap();
}

/// A segment that becomes shorter while it is copied, as one does whose last group is taken back, leaves a backup that is
/// whole: what it has of that group is cut off when the relay starts.
#[tokio::test]
async fn a_group_that_is_taken_back_meanwhile_is_left_out() {
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    let (folder, store) = relay(&data).await;
    store.write(vec![append(10)]).await.unwrap();
    // The tables take more than one step to be copied: the segments are open by then, and not read yet.
    let long = Append { log: Log { kind: "room", key: vec![7; 16] }, id: [1; 16], bytes: vec![1; 6 << 20] };
    store.write(vec![StoreWrite::Append(long)]).await.unwrap();
    let segment = segments::folder(&folder.store()).join("0000000001");
    let length = std::fs::metadata(&segment).unwrap().len();
    let shorten = |_, _| {
        OpenOptions::new().write(true).open(&segment).unwrap().set_len(length - 100).unwrap();
    };
    let mut bytes = Vec::new();
    stream(&data, outer.path(), &mut bytes, shorten).unwrap();
    let again = outer.path().join("again");
    restore(bytes.as_slice(), &again, no_progress).unwrap();
    assert_eq!(entries(&Sqlite::open(&again.join(STORE)).unwrap()).await, 10);
}

/// A backup whose store does not belong to its mailboxes becomes no relay, which would put them aside or not start.
#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let [data, other] = ["data", "other"].map(|name| outer.path().join(name));
    drop(relay(&data).await);
    drop(relay(&other).await);
    std::fs::copy(other.join(STORE), data.join(STORE)).unwrap();
    let mut bytes = Vec::new();
    stream(&data, outer.path(), &mut bytes, no_progress).unwrap();
    let refused = restore(bytes.as_slice(), &outer.path().join("again"), no_progress);
    assert!(matches!(refused, Err(BackupError::Segments(SegmentError::Damaged { .. }))), "{refused:?}");
}
