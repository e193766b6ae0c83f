use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::store::CrashPoint;
use crate::store::conformance::{self, Bench};

/// A folder that is opened again and again.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("relay.db")
    }

    /// The first segment of mailboxes.
    fn segment(&self) -> std::path::PathBuf {
        segments::folder(&self.file()).join("0000000001")
    }

    fn segments(&self) -> usize {
        segments::numbers(&segments::folder(&self.file())).unwrap().len()
    }

    /// What a process leaves that is killed now: all files as they are.
    fn killed(&self) -> Self {
        use std::io::Read as _;

        let copy = Self::new();
        let folder = segments::folder(&copy.file());
        std::fs::create_dir(&folder).unwrap();
        // The writer may be cleaning: they are those of one moment.
        for segments::Opened { name, file, length } in segments::opened(&segments::folder(&self.file())).unwrap() {
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes).unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        for file in std::fs::read_dir(self.0.path()).unwrap().map(Result::unwrap) {
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), copy.0.path().join(file.file_name())).unwrap();
            }
        }
        copy
    }
}

impl Bench for Disk {
    type Store = Sqlite;

    async fn open(&mut self, crash: CrashPoints) -> Sqlite {
        Sqlite::crashing(&self.file(), crash).unwrap()
    }
}

fn mailbox() -> Log {
    Log { kind: "mailbox", key: vec![1] }
}

fn append(id: u8) -> Vec<Write> {
    vec![Write::Append(Append { log: mailbox(), id: [id; 16], bytes: vec![id; 6000] })]
}

fn room() -> Log {
    Log { kind: "room", key: vec![1] }
}

fn post(id: u8) -> Vec<Write> {
    vec![Write::Append(Append { log: room(), id: [id; 16], bytes: vec![id; 6000] })]
}

fn put(key: u8) -> Write {
    Write::Put { key: Key { table: "account", key: vec![key] }, expected: None, value: vec![key] }
}

const ALL: Limit = Limit { count: 1000, bytes: 1 << 30 };

async fn ids_of(store: &Sqlite, log: &Log) -> Vec<u8> {
    Store::read(store, log, Seq(0), ALL).await.unwrap().iter().map(|entry| entry.id[0]).collect()
}

async fn ids(store: &Sqlite) -> Vec<u8> {
    ids_of(store, &mailbox()).await
}

/// [STORE-1] to [STORE-12] on disk, crash points included.
#[tokio::test]
async fn sqlite_conforms() {
    conformance::all(Disk::new).await;
}

/// What is trimmed between the look where entries are and the look into the file leaves room for those behind it: a
/// short read is the end.
#[tokio::test]
async fn what_is_trimmed_beside_a_read_makes_room() {
    use std::task::{Context, Waker};

    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    let mut seqs = Vec::new();
    for id in 1..=5 {
        let written = store.write(post(id)).await.unwrap();
        seqs.extend(written.iter().filter_map(|written| match written {
            Written::Appended(seq) => Some(*seq),
            _ => None,
        }));
    }
    // Both readers are busy: the read has looked where things are, and waits for one.
    let (free, busy) = std::sync::mpsc::channel::<()>();
    let busy = Arc::new(Mutex::new(busy));
    let mut others: Vec<_> = (0..READERS)
        .map(|_| {
            let busy = Arc::clone(&busy);
            Box::pin(store.read(move |_| {
                let _ = lock(&busy).recv();
                Ok(())
            }))
        })
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    others.iter_mut().for_each(|other| assert!(other.as_mut().poll(&mut context).is_pending()));
    let (log, limit) = (room(), Limit { count: 3, bytes: 1 << 20 });
    let mut read = Box::pin(Store::read(&store, &log, Seq(0), limit));
    assert!(read.as_mut().poll(&mut context).is_pending());
    store.write(vec![Write::Trim { log: room(), through: seqs[1] }]).await.unwrap();
    drop(free);
    let there: Vec<u8> = read.await.unwrap().iter().map(|entry| entry.id[0]).collect();
    assert_eq!(there, [3, 4, 5]);
}

/// [STORE-10] another empty store has another id.
#[test]
fn each_store_has_an_id_of_its_own() {
    let (one, two) = (Disk::new(), Disk::new());
    assert_ne!(Sqlite::open(&one.file()).unwrap().id(), Sqlite::open(&two.file()).unwrap().id());
}

/// Of a store that was closed the file and the segments have everything: who copies them loses nothing.
#[tokio::test]
async fn a_closed_store_has_no_log_beside_it() {
    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    for id in 1..=3 {
        store.write([append(id), post(id)].concat()).await.unwrap();
    }
    drop(store);
    let copy = disk.killed();
    let _ = std::fs::remove_file(copy.0.path().join("relay.db-wal"));
    let store = Sqlite::open(&copy.file()).unwrap();
    assert_eq!((ids(&store).await, ids_of(&store, &room()).await), (vec![1, 2, 3], vec![1, 2, 3]));
}

/// [STORE-1] the tail of SQLite's log, or of the last segment, was torn, as a power cut tears it: what stood before is read,
/// and the store goes on.
#[tokio::test]
async fn a_torn_tail_loses_only_itself() {
    let logs = [("relay.db-wal", room()), ("mailboxes/0000000001", mailbox())];
    for (name, log) in logs {
        let write = |id| if log.kind == "room" { post(id) } else { append(id) };
        let disk = Disk::new();
        let store = Sqlite::open(&disk.file()).unwrap();
        for id in 1..=3 {
            store.write(write(id)).await.unwrap();
        }
        let killed = disk.killed();
        drop(store);
        for cut in [1, 100, 3000] {
            let torn = killed.killed();
            let file = std::fs::OpenOptions::new().write(true).open(torn.0.path().join(name)).unwrap();
            file.set_len(file.metadata().unwrap().len() - cut).unwrap();
            let store = Sqlite::open(&torn.file()).unwrap();
            assert_eq!(ids_of(&store, &log).await, [1, 2], "{name} cut by {cut}");
            store.write(write(9)).await.unwrap();
            assert_eq!(ids_of(&store, &log).await, [1, 2, 9]);
        }
    }
}

/// [STORE-2] [STORE-1] killed between the sync of the segments and that of the tables: a batch with both is there wholly or not
/// at all, what was written before is there, and the store goes on.
#[tokio::test]
async fn a_crash_between_two_syncs_leaves_no_half() {
    let disk = Disk::new();
    let crash = CrashPoints::when(|point, commit| point == CrashPoint::BetweenSyncs && commit == 4);
    let store = Sqlite::crashing(&disk.file(), crash).unwrap();
    // Only one of both each: they have no such point.
    store.write([append(1), vec![put(1)]].concat()).await.unwrap();
    store.write(append(2)).await.unwrap();
    store.write(vec![put(2)]).await.unwrap();
    let both = [vec![put(3)], append(3), vec![Write::Trim { log: mailbox(), through: Seq(1) }, put(4)], append(4)];
    let length = std::fs::metadata(disk.segment()).unwrap().len();
    assert!(matches!(store.write(both.concat()).await, Err(Fault::Stopped)));
    assert!(std::fs::metadata(disk.segment()).unwrap().len() > length, "it was written, and its tables were not");
    drop(store);
    for round in 5..=6 {
        let store = Sqlite::open(&disk.file()).unwrap();
        let expected: Vec<u8> = [1, 2].into_iter().chain(5..round).collect();
        assert_eq!(ids(&store).await, expected);
        let count = store.count("account", &[]).await.unwrap();
        assert_eq!(count, u64::from(round) - 3, "the accounts of the batch are not there");
        assert_eq!(std::fs::metadata(disk.segment()).unwrap().len() == length, round == 5, "it was cut off");
        store.write([append(round), vec![put(round)]].concat()).await.unwrap();
    }
}

/// Opens a store whose segments are this long.
fn divided(disk: &Disk, segment: u64) -> Sqlite {
    Sqlite::divided(&disk.file(), CrashPoints::none(), Patience::default(), segment).unwrap()
}

/// Lets the writer go on until this is so: each of these waits for a commit.
async fn commits_until(store: &Sqlite, what: &str, so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if so() {
            return;
        }
        store.write(Vec::new()).await.unwrap();
    }
    panic!("{what}, after ten thousand commits");
}

fn append_to(mailbox: u8, id: u8) -> Write {
    Write::Append(Append { log: Log { kind: "mailbox", key: vec![mailbox] }, id: [id; 16], bytes: vec![id; 6000] })
}

/// [STORE-3] [STORE-4] segments of which nothing is wanted any more go, one after the other; what was taken out of them
/// stays gone and is known when it is repeated, after a restart too.
#[tokio::test]
async fn what_is_taken_gives_its_disk_back() {
    let disk = Disk::new();
    let store = divided(&disk, 20_000);
    let mut last = Seq(0);
    for id in 1..=100 {
        let written = store.write(append(id)).await.unwrap();
        if let [Written::Appended(seq)] = written[..] {
            last = seq;
        }
    }
    assert!(disk.segments() > 20);
    store.write(vec![Write::Trim { log: mailbox(), through: last }]).await.unwrap();
    commits_until(&store, "segments are left", || disk.segments() <= 1).await;
    assert!(!disk.segment().exists());
    let killed = disk.killed();
    let after = divided(&killed, 20_000);
    for store in [&store, &after] {
        assert!(ids(store).await.is_empty());
        let again = store.write((1..=100).flat_map(append).collect()).await.unwrap();
        assert!(again.iter().all(|written| matches!(written, Written::Duplicate(seq) if *seq <= last)), "{again:?}");
    }
    let written = store.write(append(101)).await.unwrap();
    assert!(matches!(written[..], [Written::Appended(seq)] if seq > last));
}

/// However little of each segment is still wanted, no more than half of what all take, and four segments, is waste; and what
/// is wanted comes through all of it, in its order, bit for bit, also for who reads meanwhile, and after a kill at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waste_is_bounded_and_nothing_is_lost_by_it() {
    const SEGMENT: u64 = 64 * 1024;
    let disk = Disk::new();
    let store = Arc::new(divided(&disk, SEGMENT));
    let kept = Log { kind: "mailbox", key: vec![7] };
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, kept, stop) = (Arc::clone(&store), kept.clone(), Arc::clone(&stop));
        async move {
            let mut reads = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let entries = Store::read(&*store, &kept, Seq(0), ALL).await.unwrap();
                assert!(entries.iter().map(|entry| entry.id[0]).eq(1..=entries.len() as u8));
                assert!(entries.iter().all(|entry| entry.bytes == [entry.id[0]; 6000].as_slice()));
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        }
    });
    let bytes = || -> u64 {
        let folder = std::fs::read_dir(segments::folder(&disk.file())).unwrap();
        // One may go meanwhile.
        folder.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
    };
    let mut killed = Vec::new();
    for round in 1..=60_u8 {
        let others = (0..20).map(|one| {
            let id = [[round, one]; 8].concat().try_into().unwrap();
            Write::Append(Append { log: mailbox(), id, bytes: vec![one; 6000] })
        });
        store.write(others.chain([append_to(7, round)]).collect()).await.unwrap();
        store.write(vec![Write::Trim { log: mailbox(), through: Seq(u64::MAX) }]).await.unwrap();
        let most = 2 * u64::from(round) * 6_100 + 4 * SEGMENT + 3 * 130_000;
        let now = bytes();
        assert!(now <= most, "round {round}: {now} bytes, and no more than {most} are expected");
        if round % 15 == 0 {
            killed.push((round, disk.killed()));
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);
    assert!(!disk.segment().exists(), "the first one went long ago");
    for (round, disk) in killed {
        let store = divided(&disk, SEGMENT);
        assert_eq!(ids_of(&store, &kept).await, (1..=round).collect::<Vec<_>>());
        assert!(ids(&store).await.is_empty());
        let again = [[round, 0]; 8].concat().try_into().unwrap();
        let again = Write::Append(Append { log: mailbox(), id: again, bytes: vec![0; 6000] });
        assert!(matches!(store.write(vec![again]).await.unwrap()[..], [Written::Duplicate(_)]), "round {round}");
    }
}

/// A start with many segments has what waits of all of them, in order.
#[tokio::test]
async fn many_segments_are_read_again() {
    let disk = Disk::new();
    let store = divided(&disk, 13_000);
    for id in 0..200 {
        store.write(vec![append_to(id % 7, id)]).await.unwrap();
    }
    drop(store);
    assert!(disk.segments() >= 60, "{}", disk.segments());
    let store = divided(&disk, 13_000);
    for mailbox in 0..7 {
        let expected: Vec<u8> = (mailbox..200).step_by(7).collect();
        assert_eq!(ids_of(&store, &Log { kind: "mailbox", key: vec![mailbox] }).await, expected);
    }
    let total = store.total("mailbox").await.unwrap();
    assert_eq!(total, Usage { count: 200, bytes: 200 * 6000 });
}

/// An envelope that the disk has altered is not given out as if it were whole.
#[tokio::test]
async fn an_altered_envelope_is_not_given_out() {
    use std::os::unix::fs::FileExt as _;

    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    store.write(append(1)).await.unwrap();
    store.write(append(2)).await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(disk.segment()).unwrap();
    file.write_all_at(&[9], 1_000).unwrap();
    assert_eq!(ids(&store).await, [2]);
    drop(store);
    assert!(matches!(Sqlite::open(&disk.file()), Err(OpenError::Segments(SegmentError::Damaged { .. }))));
}

/// Alters this byte of a file.
fn alter(file: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;

    let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

/// An envelope that the disk has altered is left out, alone: those behind it are read, whoever sends it again is not told
/// that it waits, and it keeps no segment. The same after a restart.
#[tokio::test]
async fn an_altered_envelope_holds_nothing_up() {
    let disk = Disk::new();
    let store = divided(&disk, 20_000);
    for id in 1..=10 {
        store.write(append(id)).await.unwrap();
    }
    alter(&disk.segment(), 8_000);
    let others: Vec<u8> = [1].into_iter().chain(3..=10).collect();
    assert_eq!(ids(&store).await, others);
    assert_eq!(store.usage(&mailbox()).await.unwrap(), Usage { count: 9, bytes: 9 * 6000 });
    assert!(matches!(store.write(append(2)).await.unwrap()[..], [Written::Appended(_)]));
    let all: Vec<u8> = others.iter().copied().chain([2]).collect();
    assert_eq!(ids(&store).await, all);
    let killed = disk.killed();
    let after = divided(&killed, 20_000);
    assert_eq!(ids(&after).await, all);
    assert!(matches!(after.write(append(2)).await.unwrap()[..], [Written::Duplicate(_)]));
    for (store, disk) in [(&store, &disk), (&after, &killed)] {
        store.write(vec![Write::Trim { log: mailbox(), through: Seq(u64::MAX) }]).await.unwrap();
        commits_until(store, "segments are left", || disk.segments() <= 1).await;
    }
}

/// The same of one that nobody reads: what it stands in is cleaned all the same.
#[tokio::test]
async fn an_altered_envelope_stops_no_cleaning() {
    let disk = Disk::new();
    let store = divided(&disk, 20_000);
    store.write(vec![append_to(7, 1), append_to(8, 2)]).await.unwrap();
    for id in 1..=100 {
        store.write(append(id)).await.unwrap();
    }
    alter(&disk.segment(), 1_000);
    store.write(vec![Write::Trim { log: mailbox(), through: Seq(u64::MAX) }]).await.unwrap();
    commits_until(&store, "the first segment is left", || !disk.segment().exists()).await;
    assert_eq!(ids_of(&store, &Log { kind: "mailbox", key: vec![7] }).await, [0; 0]);
    assert_eq!(ids_of(&store, &Log { kind: "mailbox", key: vec![8] }).await, [2]);
}

/// relay.db that was put back alone, as it was earlier, does not give seqs a second time: the store is not opened.
#[tokio::test]
async fn older_tables_beside_newer_segments_are_told() {
    let disk = Disk::new();
    drop(Sqlite::open(&disk.file()).unwrap());
    let old = std::fs::read(disk.file()).unwrap();
    for _ in 0..2 {
        let store = Sqlite::open(&disk.file()).unwrap();
        store.write([append(1), append(2)].concat()).await.unwrap();
        store.write([vec![put(1)], append(3), append(4)].concat()).await.unwrap();
    }
    std::fs::write(disk.file(), old).unwrap();
    assert!(matches!(Sqlite::open(&disk.file()), Err(OpenError::Segments(SegmentError::Older(_)))));
}

/// Without relay.db a new store begins, beside which what waited is kept under another name.
#[tokio::test]
async fn segments_of_a_lost_store_are_put_aside() {
    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    store.write(append(1)).await.unwrap();
    drop(store);
    std::fs::remove_file(disk.file()).unwrap();
    let store = Sqlite::open(&disk.file()).unwrap();
    assert!(ids(&store).await.is_empty());
    assert!(disk.0.path().join("mailboxes.other-1/0000000001").exists());
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

/// An hour: what is offered is written when the test says so, and not before.
const HOUR: Patience = Patience { short: Duration::from_secs(3600), long: Duration::from_secs(3600) };

fn offer(id: u8) -> Append {
    Append { log: mailbox(), id: [id; 16], bytes: vec![id; 6000] }
}

/// Begins an offer, which waits.
fn waits<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    let polled = future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(polled.is_pending());
    future
}

fn rows(file: &Path, table: &str) -> u64 {
    let connection = Connection::open(file).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).map(number).unwrap()
}

/// [STORE-11] [BOX-3] what its recipient acknowledges in time is never written, and costs no commit at all.
#[tokio::test]
async fn what_is_taken_in_time_is_never_written() {
    let disk = Disk::new();
    let commits = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&commits);
    let crash = CrashPoints::when(move |_, number| {
        count.store(number, std::sync::atomic::Ordering::SeqCst);
        false
    });
    let store = Sqlite::patient(&disk.file(), crash, HOUR).unwrap();
    let _watch = store.watch(&mailbox(), &Bell::new(), 1);
    for id in 1..=100 {
        let offer = waits(store.offer(offer(id)));
        let entries = Store::read(&store, &mailbox(), Seq(0), ALL).await.unwrap();
        let trim = Write::Trim { log: mailbox(), through: entries[0].seq };
        assert_eq!(store.write(vec![trim]).await.unwrap(), [Written::Done]);
        assert_eq!(offer.await.unwrap(), Written::Appended(entries[0].seq));
    }
    assert_eq!(commits.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(std::fs::metadata(disk.segment()).unwrap().len() < 100);
}

/// [STORE-11] an end in order writes what is held, and tells who waits for it.
#[tokio::test]
async fn what_is_held_at_the_end_is_written() {
    let disk = Disk::new();
    let store = Sqlite::patient(&disk.file(), CrashPoints::none(), HOUR).unwrap();
    let _watch = store.watch(&mailbox(), &Bell::new(), 1);
    drop(waits(store.offer(offer(1))));
    drop(store);
    assert_eq!(ids(&Sqlite::open(&disk.file()).unwrap()).await, [1]);
}

/// [STORE-11] what waits for its reader is written at once where the last one leaves: its sender is not held up.
#[tokio::test]
async fn who_leaves_holds_nobody_up() {
    let disk = Disk::new();
    let store = Sqlite::patient(&disk.file(), CrashPoints::none(), HOUR).unwrap();
    let (one, other) = (store.watch(&mailbox(), &Bell::new(), 1), store.watch(&mailbox(), &Bell::new(), 1));
    let offer = waits(store.offer(offer(1)));
    drop(one);
    assert_eq!(store.front.logs(|logs| logs.held(&mailbox()).len()).unwrap(), 1, "another one is there");
    drop(other);
    assert!(matches!(offer.await, Ok(Written::Appended(_))));
    assert!(std::fs::metadata(disk.segment()).unwrap().len() > 6000);
}

/// [STORE-3] killed while entries were held: they are gone, and their seqs with them.
#[tokio::test]
async fn seqs_of_what_was_never_written_are_not_given_again() {
    let disk = Disk::new();
    let store = Sqlite::patient(&disk.file(), CrashPoints::none(), HOUR).unwrap();
    let _watch = store.watch(&mailbox(), &Bell::new(), 1);
    store.write(append(1)).await.unwrap();
    let _held = waits(store.offer(offer(2)));
    let seen = Store::read(&store, &mailbox(), Seq(0), ALL).await.unwrap();
    assert_eq!(seen.len(), 2);
    let killed = disk.killed();
    let after = Sqlite::open(&killed.file()).unwrap();
    assert_eq!(ids(&after).await, [1]);
    let written = after.write(append(3)).await.unwrap();
    assert!(matches!(written[0], Written::Appended(seq) if seq > seen[1].seq), "{written:?}");
}

/// [STORE-4] repetitions are told in a log of many entries as in one of few.
#[tokio::test]
async fn a_long_log_knows_its_ids() {
    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    let id = |number: u16| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_le_bytes());
        id
    };
    let append = |number| Write::Append(Append { log: mailbox(), id: id(number), bytes: vec![1] });
    let first = store.write((0..2_000).map(append).collect()).await.unwrap();
    let again = store.write((0..2_000).map(append).collect()).await.unwrap();
    for (first, again) in first.into_iter().zip(again) {
        let Written::Appended(seq) = first else { panic!("appended, not {first:?}") };
        assert_eq!(again, Written::Duplicate(seq));
    }
    let middle = Store::read(&store, &mailbox(), Seq(0), Limit { count: 1_500, bytes: 1 << 20 }).await.unwrap();
    store.write(vec![Write::Trim { log: mailbox(), through: middle[1_499].seq }]).await.unwrap();
    let again = store.write(vec![append(1_499), append(1_500), append(2_000)]).await.unwrap();
    assert!(matches!(again[..], [Written::Duplicate(_), Written::Duplicate(_), Written::Appended(_)]), "{again:?}");
    assert_eq!(store.usage(&mailbox()).await.unwrap(), Usage { count: 501, bytes: 501 });
}

/// [STORE-5] a value that is read from memory is the one that was written last, and so is a count of keys.
#[tokio::test]
async fn what_is_kept_in_memory_is_what_was_written() {
    let disk = Disk::new();
    let store = Sqlite::open(&disk.file()).unwrap();
    let key = |last: u8| Key { table: "account", key: vec![1, last] };
    let put = |expected, value: u8| Write::Put { key: key(1), expected, value: vec![value] };
    let mut rev = None;
    for round in 0..20 {
        let Written::Put(next) = store.write(vec![put(rev, round)]).await.unwrap()[0] else { panic!("it was put") };
        rev = Some(next);
        let more = Write::Put { key: key(2 + round), expected: None, value: vec![] };
        store.write(vec![more]).await.unwrap();
        // The first look is into the file, the second one into memory.
        for _ in 0..2 {
            let value = store.get(vec![key(1)]).await.unwrap().remove(0).unwrap();
            assert_eq!((value.rev, &value.bytes[..]), (next, [round].as_slice()));
            assert_eq!(store.count("account", &[1]).await.unwrap(), 2 + u64::from(round));
        }
    }
    store.write(vec![Write::Delete { key: key(1), expected: rev.unwrap() }]).await.unwrap();
    assert_eq!(store.get(vec![key(1)]).await.unwrap(), [None]);
    assert_eq!(store.count("account", &[1]).await.unwrap(), 20);
}

/// A store of the first version opens with all that is in it, and stays beside it as it was.
#[tokio::test]
async fn an_older_store_is_brought_up_to_date() {
    let disk = Disk::new();
    let mut old = Connection::open(disk.file()).unwrap();
    old.pragma_update(None, "journal_mode", "WAL").unwrap();
    schema::first_version().to_latest(&mut old).unwrap();
    old.execute("INSERT INTO store (id, rev) VALUES (?1, 41)", [[9_u8; 16]]).unwrap();
    old.execute_batch(
        "INSERT INTO log VALUES (3, 'mailbox', x'01', 2, 6005), (7, 'room', x'01', 1, 1);
         INSERT INTO entry VALUES (5, 3, zeroblob(16), x'0102030405'), (9, 7, zeroblob(16), x'06');
         INSERT INTO trimmed VALUES (3, x'01010101010101010101010101010101', 4, unixepoch());
         INSERT INTO cell VALUES ('account', x'61', 41, x'0708'), ('prekey', x'6101', 40, x'09');",
    )
    .unwrap();
    old.execute("INSERT INTO entry VALUES (12, 3, ?1, ?2)", params![[2_u8; 16], [2_u8; 6000]]).unwrap();
    old.execute_batch("DELETE FROM entry WHERE seq = 12; INSERT INTO entry VALUES (11, 3, x'02020202020202020202020202020202', zeroblob(6000))").unwrap();
    drop(old);
    let store = Sqlite::open(&disk.file()).unwrap();
    assert_eq!(store.id(), StoreId([9; 16]));
    let there = Store::read(&store, &mailbox(), Seq(0), ALL).await.unwrap();
    let expected = [
        Entry { seq: Seq(5), id: [0; 16], bytes: vec![1, 2, 3, 4, 5].into() },
        Entry { seq: Seq(11), id: [2; 16], bytes: vec![0; 6000].into() },
    ];
    assert_eq!(there, expected);
    assert_eq!(store.usage(&mailbox()).await.unwrap(), Usage { count: 2, bytes: 6005 });
    let value = store.get(vec![Key { table: "account", key: b"a".to_vec() }]).await.unwrap();
    assert_eq!(value, [Some(Value { rev: Rev(41), bytes: vec![7, 8].into() })]);
    assert_eq!(store.count("prekey", &[]).await.unwrap(), 0, "devices bring new ones");
    let written = store.write([append(1), append(2), append(3)].concat()).await.unwrap();
    assert_eq!(written[..2], [Written::Duplicate(Seq(4)), Written::Duplicate(Seq(11))]);
    assert!(matches!(written[2], Written::Appended(seq) if seq > Seq(12)), "{written:?}");
    let posts = Store::read(&store, &room(), Seq(0), ALL).await.unwrap();
    assert_eq!(posts, [Entry { seq: Seq(9), id: [0; 16], bytes: vec![6].into() }]);
    drop(store);
    let store = Sqlite::open(&disk.file()).unwrap();
    assert_eq!(Store::read(&store, &mailbox(), Seq(0), ALL).await.unwrap()[..2], expected);
    drop(store);

    let copy = disk.0.path().join("relay.db.before-2");
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o077, 0);
    let version: u32 = Connection::open(&copy).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!((version, rows(&copy, "entry"), rows(&copy, "trimmed")), (1, 3, 1));
    std::fs::remove_file(&copy).unwrap();
    drop(Sqlite::open(&disk.file()).unwrap());
    assert!(!copy.exists(), "there was nothing to bring up to date");
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
    store.write(post(1)).await.unwrap();
    let other = Connection::open(disk.file()).unwrap();
    other.execute_batch("DROP TABLE entry").unwrap();
    assert!(matches!(store.write(post(2)).await, Err(Fault::Stopped)));
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
    assert!(matches!(store.write([append(1), vec![put(1)]].concat()).await, Err(Fault::Backend(_))));
    store.write(append(2)).await.unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    store.write(append(3)).await.unwrap();
    assert_eq!(ids(&store).await, [2, 3], "envelopes need no tables");
}

/// Each query of a link finds its way by an index, whatever a mailbox or room holds.
#[test]
fn queries_use_indexes() {
    let disk = Disk::new();
    drop(Sqlite::open(&disk.file()).unwrap());
    let connection = Connection::open(disk.file()).unwrap();
    for query in [
        "SELECT bytes FROM entry WHERE seq = 7",
        "SELECT rev, value FROM cell WHERE tbl = 'a' AND key = x'00'",
        FROM,
        AFTER,
        COUNT,
        "DELETE FROM entry WHERE seq = 7",
        "DELETE FROM place WHERE seq = 7",
        "DELETE FROM trimmed WHERE number <= 7",
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

/// [STORE-12] [STORE-1] what a crash tore behind the last sync is not counted, and the rest is; a part whose bytes are others than were
/// written is not given out.
#[tokio::test]
async fn torn_parts_do_not_count() {
    let disk = Disk::new();
    let part = |fill: u8| Bytes::from(vec![fill; sealpost_spec::attachment::PART]);
    let store = Sqlite::open(&disk.file()).unwrap();
    for number in 0..4_u8 {
        store.put_part([7; 16], u32::from(number), part(number)).await.unwrap();
    }
    drop(store);
    let file = blobs::folder(&disk.file()).join("07".repeat(16));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = std::fs::read(&file).unwrap();
    let stride = whole.len() / 4;
    let mut bent = whole.clone();
    bent[2 * stride + 100] ^= 1;
    for (bytes, there) in [
        (&whole[..], 4),
        (&whole[..whole.len() - 1], 3),
        (&[&whole[..], &[0; 100]].concat(), 4),
        (&[&whole[..], &vec![0; stride]].concat(), 4),
        (&bent, 2),
        (&[], 0),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let store = Sqlite::open(&disk.file()).unwrap();
        assert_eq!(store.parts([7; 16]).await.unwrap(), there);
        assert_eq!(store.put_part([7; 16], there, part(9)).await.unwrap(), there + 1, "it goes on");
        assert!(store.part([7; 16], there).await.unwrap() == Some(part(9)));
        if there > 0 {
            let mut altered = std::fs::read(&file).unwrap();
            altered[stride - 1] ^= 1;
            std::fs::write(&file, altered).unwrap();
            assert!(store.part([7; 16], 0).await.is_err());
        }
    }
}

/// Parts that come all at once are counted in their order, over more blobs than files stay open.
#[tokio::test]
async fn many_blobs_at_once() {
    let disk = Disk::new();
    let store = std::sync::Arc::new(Sqlite::open(&disk.file()).unwrap());
    let part = |fill: u8| Bytes::from(vec![fill; sealpost_spec::attachment::PART]);
    for number in 0..3 {
        let all: Vec<_> = (0..100_u8)
            .map(|blob| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move { store.put_part([blob; 16], number, part(blob)).await })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap().unwrap(), number + 1);
        }
    }
    assert!(store.part([99; 16], 2).await.unwrap() == Some(part(99)));
    let folder = blobs::folder(&disk.file());
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|open| open.ok()?.path().read_link().ok());
    assert!(open.filter(|open| open.starts_with(&folder)).count() <= blobs::FILES);
}
