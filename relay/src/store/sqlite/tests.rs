use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::store::conformance::{self, Bench};
use crate::store::{Append, CrashPoint};

/// A folder that is opened again and again.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("relay.db")
    }
}

impl Bench for Disk {
    type Store = Sqlite;

    async fn open(&mut self, crash: CrashPoints) -> Sqlite {
        Sqlite::crashing(&self.file(), crash).unwrap()
    }
}

fn append(id: u8) -> Vec<Write> {
    let log = Log { kind: "mailbox", key: vec![1] };
    vec![Write::Append(Append { log, id: [id; 16], bytes: vec![id; 6000] })]
}

const ALL: Limit = Limit { count: 1000, bytes: 1 << 30 };

async fn ids(store: &Sqlite) -> Vec<u8> {
    let log = Log { kind: "mailbox", key: vec![1] };
    Store::read(store, &log, Seq(0), ALL).await.unwrap().iter().map(|entry| entry.id[0]).collect()
}

/// [STORE-1] to [STORE-10] on disk, crash points included.
#[tokio::test]
async fn sqlite_conforms() {
    conformance::all(Disk::new).await;
}

/// [STORE-10] another empty store has another id.
#[test]
fn each_store_has_an_id_of_its_own() {
    let (one, two) = (Disk::new(), Disk::new());
    assert_ne!(Sqlite::open(&one.file()).unwrap().id(), Sqlite::open(&two.file()).unwrap().id());
}

/// [STORE-1] the log's tail was torn, as a power cut tears it: what stood before is read, and the store goes on.
#[tokio::test]
async fn a_torn_tail_loses_only_itself() {
    let disk = Disk::new();
    let wal = disk.0.path().join("relay.db-wal");
    let store = Sqlite::open(&disk.file()).unwrap();
    for id in 1..=3 {
        store.write(append(id)).await.unwrap();
    }
    // What a process leaves that is killed here: the file and its log as they are.
    let (file, log) = (std::fs::read(disk.file()).unwrap(), std::fs::read(&wal).unwrap());
    drop(store);
    for cut in [1, 100, 3000] {
        let torn = Disk::new();
        std::fs::write(torn.file(), &file).unwrap();
        std::fs::write(torn.0.path().join("relay.db-wal"), &log[..log.len() - cut]).unwrap();
        let store = Sqlite::open(&torn.file()).unwrap();
        assert_eq!(ids(&store).await, [1, 2], "cut by {cut}");
        store.write(append(9)).await.unwrap();
        assert_eq!(ids(&store).await, [1, 2, 9]);
    }
}

/// What waits together is committed together: fifty batches take fewer syncs than batches.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_together_is_committed_together() {
    let disk = Disk::new();
    let commits = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (count, gate) = (std::sync::Arc::clone(&commits), std::sync::Arc::new(Mutex::new(())));
    let shut = std::sync::Arc::clone(&gate);
    let crash = CrashPoints::when(move |point, number| {
        if point == CrashPoint::BeforeCommit {
            count.store(number, std::sync::atomic::Ordering::SeqCst);
            drop(lock(&shut));
        }
        false
    });
    let store = std::sync::Arc::new(Sqlite::crashing(&disk.file(), crash).unwrap());
    let writes: Vec<_> = {
        // The first commit waits here until all others are in the queue.
        let closed = lock(&gate);
        let mut writes = Vec::new();
        for id in 0..50 {
            let mut write = Box::pin({
                let store = std::sync::Arc::clone(&store);
                async move { store.write(append(id)).await }
            });
            let polled = Future::poll(write.as_mut(), &mut std::task::Context::from_waker(std::task::Waker::noop()));
            assert!(polled.is_pending());
            writes.push(write);
        }
        drop(closed);
        writes
    };
    for write in writes {
        write.await.unwrap();
    }
    let commits = commits.load(std::sync::atomic::Ordering::SeqCst);
    assert!(commits <= 3, "{commits} commits");
    assert_eq!(ids(&store).await.len(), 50);
}

/// Data of a version that this one does not know is left alone.
#[test]
fn a_newer_version_is_refused() {
    let disk = Disk::new();
    drop(Sqlite::open(&disk.file()).unwrap());
    Connection::open(disk.file()).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    assert!(matches!(Sqlite::open(&disk.file()), Err(OpenError::Newer)));
}

/// Nobody else on the machine reads the files.
#[test]
fn files_are_private() {
    let disk = Disk::new();
    let _store = Sqlite::open(&disk.file()).unwrap();
    for entry in std::fs::read_dir(disk.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} {mode:o}", entry.file_name());
    }
}

/// [STORE-1] a disk that refuses to write makes no promise; here somebody took a table away.
#[tokio::test]
async fn a_failed_commit_stops_the_store() {
    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    store.write(append(1)).await.unwrap();
    let other = Connection::open(disk.file()).unwrap();
    other.execute_batch("DROP TABLE entry").unwrap();
    assert!(matches!(store.write(append(2)).await, Err(Fault::Stopped)));
    store.stopped().await;
    assert!(matches!(store.write(append(3)).await, Err(Fault::Stopped)));
    assert!(matches!(store.usage(&Log { kind: "mailbox", key: vec![1] }).await, Err(Fault::Stopped)));
}

/// Somebody who holds the file with another program fails the writes of that time, and nothing else.
#[tokio::test]
async fn a_busy_file_does_not_stop_the_store() {
    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    let other = Connection::open(disk.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.write(append(1)).await, Err(Fault::Backend(_))));
    other.execute_batch("ROLLBACK").unwrap();
    store.write(append(2)).await.unwrap();
    assert_eq!(ids(&store).await, [2]);
}

/// Each query of a link finds its way by an index, whatever a mailbox or room holds.
#[test]
fn queries_use_indexes() {
    let disk = Disk::new();
    drop(Sqlite::open(&disk.file()).unwrap());
    let connection = Connection::open(disk.file()).unwrap();
    for query in [
        "SELECT seq, id, bytes FROM entry WHERE log = (SELECT id FROM log WHERE kind = 'a' AND key = x'00')
         AND seq > 5 ORDER BY seq LIMIT 9",
        "SELECT rev, value FROM cell WHERE tbl = 'a' AND key = x'00'",
        FROM,
        AFTER,
        COUNT,
        "SELECT seq FROM entry WHERE log = 1 AND id = x'00'",
        "DELETE FROM entry WHERE log = 1 AND seq <= 7",
        "DELETE FROM trimmed WHERE at < 7",
    ] {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let any = vec![rusqlite::types::Null; plan.parameter_count()];
        let rows = plan.query_map(rusqlite::params_from_iter(any), |row| row.get(3)).unwrap();
        let steps: Vec<String> = rows.map(Result::unwrap).collect();
        for step in steps {
            assert!(!step.starts_with("SCAN") && !step.contains("TEMP B-TREE"), "{step} in {query}");
        }
    }
}
