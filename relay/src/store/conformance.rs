//! One suite for every backend: each function shows invariants of [`super`] on any store, and panics where one is
//! broken.
//!
//! A backend's tests implement [`Bench`] and call [`all`] with a way to make a new one.

pub mod offers;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use sealpost_spec::attachment::PART;
use sealpost_spec::mailbox::Seq;

use super::{
    Append, Bell, CrashPoint, CrashPoints, Entry, Fault, Key, Limit, Log, Rev, Store, Tags, Usage, Value, Write,
    Written,
};

/// A place where a store can be opened, closed and opened again.
pub trait Bench {
    /// The backend.
    type Store: Store;

    /// Opens the store; finds what was durable when the last one was dropped or crashed, at first nothing.
    fn open(&mut self, crash: CrashPoints) -> impl Future<Output = Self::Store>;
}

/// Everything below, each on a bench of its own.
pub async fn all<B: Bench>(mut bench: impl FnMut() -> B) {
    appends_rise_and_come_back(&mut bench()).await;
    limits_bound_a_read(&mut bench()).await;
    duplicates_are_told_apart(&mut bench()).await;
    a_short_read_is_the_end(&mut bench()).await;
    trimmed_entries_never_return(&mut bench()).await;
    usage_follows_writes(&mut bench()).await;
    revisions_guard_values(&mut bench()).await;
    a_moved_revision_ends_its_batch(&mut bench()).await;
    scans_page_through_a_prefix(&mut bench()).await;
    names_do_not_run_into_each_other(&mut bench()).await;
    values_come_back_bit_for_bit(&mut bench()).await;
    blobs_are_kept_by_parts(&mut bench()).await;
    watches_never_miss(&mut bench()).await;
    the_id_stays(&mut bench()).await;
    many_writers_at_once(&mut bench()).await;
    many_trims_at_once(&mut bench()).await;
    a_crash_loses_nothing_that_resolved(&mut bench).await;
    offers::what_is_taken_in_time_resolves(&mut bench()).await;
    offers::what_nobody_takes_is_written(&mut bench()).await;
    offers::offers_and_appends_keep_one_order(&mut bench()).await;
    offers::an_offer_is_told_from_its_repetition(&mut bench()).await;
    offers::a_crash_breaks_no_promise_of_an_offer(&mut bench).await;
}

const ALL: Limit = Limit { count: 10_000, bytes: 1 << 30 };

fn log(key: &[u8]) -> Log {
    Log { kind: "mailbox", key: key.to_vec() }
}

fn key(bytes: &[u8]) -> Key {
    Key { table: "account", key: bytes.to_vec() }
}

fn append(to: &[u8], id: u8, bytes: &[u8]) -> Write {
    Write::Append(Append { log: log(to), id: [id; 16], bytes: bytes.to_vec() })
}

fn put(at: &[u8], expected: Option<Rev>, value: &[u8]) -> Write {
    Write::Put { key: key(at), expected, value: value.to_vec() }
}

async fn write(store: &impl Store, batch: Vec<Write>) -> Vec<Written> {
    store.write(batch).await.expect("a store that nobody crashed writes")
}

async fn read(store: &impl Store, from: &[u8], after: u64) -> Vec<Entry> {
    store.read(&log(from), Seq(after), ALL).await.expect("a store that nobody crashed reads")
}

async fn ids(store: &impl Store, from: &[u8]) -> Vec<u8> {
    read(store, from, 0).await.iter().map(|entry| entry.id[0]).collect()
}

async fn value(store: &impl Store, at: &[u8]) -> Option<Value> {
    store.get(vec![key(at)]).await.expect("a store that nobody crashed reads").remove(0)
}

fn appended(written: &[Written]) -> Vec<u64> {
    let seq = |written: &Written| match written {
        Written::Appended(seq) => seq.0,
        other => panic!("appended, not {other:?}"),
    };
    written.iter().map(seq).collect()
}

fn revision(written: &[Written]) -> Rev {
    match written {
        [Written::Put(rev)] => *rev,
        other => panic!("put, not {other:?}"),
    }
}

/// [STORE-1] [STORE-3] [STORE-5] a batch over two logs rises within each, is read at once, and after a restart.
pub async fn appends_rise_and_come_back<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!(read(&store, b"a", 0).await, [], "an empty log is read as one");
    let batch = vec![append(b"a", 1, b"one"), append(b"b", 2, b"two"), append(b"a", 3, b"three")];
    let seqs = appended(&write(&store, batch).await);
    assert!(0 < seqs[0] && seqs[0] < seqs[2]);
    let there = read(&store, b"a", 0).await;
    assert_eq!(there[0], Entry { seq: Seq(seqs[0]), id: [1; 16], bytes: "one".into() });
    assert_eq!(read(&store, b"a", seqs[0]).await, there[1..]);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!(read(&store, b"a", 0).await, there);
    let later = appended(&write(&store, vec![append(b"a", 4, b"four")]).await);
    assert!(seqs[2] < later[0]);
}

/// A read stops at its limits, and gives one entry even where that exceeds them.
pub async fn limits_bound_a_read<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    write(&store, (1..=4).map(|id| append(b"a", id, &[id; 100])).collect()).await;
    for (count, bytes, expected) in [(2, 1000, 2), (9, 250, 2), (9, 1, 1), (0, 0, 1), (9, 400, 4)] {
        let entries = store.read(&log(b"a"), Seq(0), Limit { count, bytes }).await.expect("it reads");
        assert_eq!(entries.len(), expected, "count {count}, bytes {bytes}");
    }
}

/// A read that gives fewer entries than it may has come to the end, also where some of what it found is trimmed
/// meanwhile: who reads need not ask again.
pub async fn a_short_read_is_the_end<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    for round in 0..8 {
        let entry = |id: u8| Append {
            log: log(b"a"),
            id: [[round, id]; 8].concat().try_into().expect("16"),
            bytes: vec![id; 100],
        };
        let seqs = appended(&write(&store, (0..64).map(entry).map(Write::Append).collect()).await);
        let limit = Limit { count: 48, bytes: 100_000 };
        for through in seqs.iter().take(60) {
            let mut trim = Box::pin(store.write(vec![Write::Trim { log: log(b"a"), through: Seq(*through) }]));
            let begun = trim.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let entries = store.read(&log(b"a"), Seq(0), limit).await.expect("it reads");
            let end = entries.last().map(|entry| entry.seq.0) == seqs.last().copied();
            assert!(entries.len() == limit.count || end, "{} entries of round {round}", entries.len());
            if begun.is_pending() {
                trim.await.expect("it trims");
            }
        }
        write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(u64::MAX) }]).await;
    }
}

/// [STORE-4] the first seq answers a repetition, within a batch, after a trim and after a restart.
pub async fn duplicates_are_told_apart<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let written = write(&store, vec![append(b"a", 1, b"one"), append(b"a", 1, b"one"), append(b"b", 1, b"one")]).await;
    let first = appended(&written[..1])[0];
    assert_eq!(written[1], Written::Duplicate(Seq(first)));
    assert!(matches!(written[2], Written::Appended(_)), "another log has ids of its own");
    write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(first) }]).await;
    assert_eq!(write(&store, vec![append(b"a", 1, b"one")]).await, [Written::Duplicate(Seq(first))]);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!(write(&store, vec![append(b"a", 1, b"one")]).await, [Written::Duplicate(Seq(first))]);
    assert!(ids(&store, b"a").await.is_empty());
}

/// [STORE-3] what was trimmed is gone for good, its seq with it, even where the log was emptied before a restart.
pub async fn trimmed_entries_never_return<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let seqs = appended(&write(&store, (1..=3).map(|id| append(b"a", id, b"x")).collect()).await);
    write(&store, vec![append(b"b", 9, b"y"), Write::Trim { log: log(b"a"), through: Seq(seqs[1]) }]).await;
    assert_eq!(ids(&store, b"a").await, [3]);
    write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(u64::MAX) }]).await;
    assert!(ids(&store, b"a").await.is_empty());
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert!(ids(&store, b"a").await.is_empty());
    assert_eq!(ids(&store, b"b").await, [9]);
    assert!(seqs[2] < appended(&write(&store, vec![append(b"a", 4, b"x")]).await)[0]);
}

/// [STORE-5] entries and bytes are counted as they come and go.
pub async fn usage_follows_writes<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let usage = async |store: &B::Store| store.usage(&log(b"a")).await.expect("it counts");
    assert_eq!(usage(&store).await, Usage { count: 0, bytes: 0 });
    let seqs = appended(&write(&store, vec![append(b"a", 1, &[0; 10]), append(b"a", 2, &[0; 5])]).await);
    write(&store, vec![append(b"a", 2, &[0; 5])]).await;
    assert_eq!(usage(&store).await, Usage { count: 2, bytes: 15 });
    write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(seqs[0]) }]).await;
    assert_eq!(usage(&store).await, Usage { count: 1, bytes: 5 });
    let room = Log { kind: "room", key: b"a".to_vec() };
    write(
        &store,
        vec![append(b"b", 3, &[0; 7]), Write::Append(Append { log: room, id: [4; 16], bytes: vec![0; 100] })],
    )
    .await;
    let total = store.total("mailbox").await.expect("it counts");
    assert_eq!(total, Usage { count: 2, bytes: 12 }, "all of a kind, and no other");
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!(usage(&store).await, Usage { count: 1, bytes: 5 });
}

/// [STORE-6] only the expected revision is replaced or deleted, and none returns after a deletion.
pub async fn revisions_guard_values<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let first = revision(&write(&store, vec![put(b"a", None, b"1")]).await);
    assert_eq!(write(&store, vec![put(b"a", None, b"2")]).await, [Written::Moved]);
    let second = revision(&write(&store, vec![put(b"a", Some(first), b"2")]).await);
    assert_ne!(first, second);
    assert_eq!(write(&store, vec![put(b"a", Some(first), b"3")]).await, [Written::Moved]);
    assert_eq!(write(&store, vec![Write::Delete { key: key(b"a"), expected: first }]).await, [Written::Moved]);
    assert_eq!(value(&store, b"a").await, Some(Value { rev: second, bytes: "2".into() }));
    assert_eq!(write(&store, vec![Write::Delete { key: key(b"a"), expected: second }]).await, [Written::Done]);
    assert_eq!(value(&store, b"a").await, None);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    let third = revision(&write(&store, vec![put(b"a", None, b"1")]).await);
    assert!(third != first && third != second, "a revision returned");
    assert_eq!(write(&store, vec![put(b"a", Some(second), b"4")]).await, [Written::Moved]);
}

/// [STORE-2] [STORE-6] what stands before a moved revision is applied, what stands after it is not.
pub async fn a_moved_revision_ends_its_batch<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    write(&store, vec![put(b"taken", None, b"1")]).await;
    let batch = vec![append(b"a", 1, b"x"), put(b"new", None, b"1"), put(b"taken", None, b"2"), append(b"a", 2, b"y")];
    let written = write(&store, batch).await;
    assert!(matches!(written.as_slice(), [Written::Appended(_), Written::Put(_), Written::Moved]), "{written:?}");
    assert_eq!(ids(&store, b"a").await, [1]);
    assert!(value(&store, b"new").await.is_some());
    assert_eq!(value(&store, b"taken").await.map(|value| value.bytes), Some("1".into()));
}

/// Pages of a prefix, in order, none twice and none left out; a count agrees.
pub async fn scans_page_through_a_prefix<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let keys = [b"a\0".as_slice(), b"a\0x", b"a\0\xff", b"a\0\xff\xff", b"a\x01", b"b"];
    write(&store, keys.iter().rev().map(|key| put(key, None, key)).collect()).await;
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan("account", b"a\0", after.as_deref(), 3).await.expect("it scans");
        assert!(page.len() <= 3);
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(key, value)| {
            assert_eq!(key, value.bytes);
            key
        }));
    }
    assert_eq!(found, keys[..4]);
    for (prefix, expected) in [(b"a\0".as_slice(), 4), (b"", 6), (b"a\0\xff", 2), (b"c", 0)] {
        assert_eq!(store.count("account", prefix).await.expect("it counts"), expected, "{prefix:?}");
    }
    assert_eq!(store.count("device", b"").await.expect("it counts"), 0, "another table");
}

/// [STORE-9] names that resemble each other, with zero bytes, text marks and bytes that are no text.
pub async fn names_do_not_run_into_each_other<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let names = [b"".as_slice(), b"\0", b"a", b"a\0", b"A", b"a%", b"a*", b"a.b", b"a>", b"'", b"\xff\xfe", b"\xff"];
    for (id, name) in (1..).zip(names) {
        let room =
            Write::Append(Append { log: Log { kind: "room", key: name.to_vec() }, id: [100; 16], bytes: vec![] });
        write(&store, vec![append(name, id, name), put(name, None, name), room]).await;
    }
    for (id, name) in (1..).zip(names) {
        assert_eq!(ids(&store, name).await, [id]);
        assert_eq!(value(&store, name).await.map(|value| value.bytes), Some(name.to_vec().into()));
    }
}

/// [STORE-8] all byte values, nothing at all, and the largest frame.
pub async fn values_come_back_bit_for_bit<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let all: Vec<u8> = (0..=255).collect();
    let largest: Vec<u8> = all.iter().copied().cycle().take(68 * 1024).collect();
    for (id, bytes) in (1..).zip([all.as_slice(), &[], &largest]) {
        write(&store, vec![append(b"a", id, bytes), put(&[id], None, bytes)]).await;
    }
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    for (at, bytes) in [all.as_slice(), &[], &largest].into_iter().enumerate() {
        assert!(read(&store, b"a", 0).await[at].bytes == bytes);
        assert!(value(&store, &[at as u8 + 1]).await.is_some_and(|value| value.bytes == bytes));
    }
}

/// [STORE-12] [STORE-1] [STORE-8] parts come in their order and are all there after a restart; any other part changes
/// nothing; a blob is gone with all of them, and no other one with it.
pub async fn blobs_are_kept_by_parts<B: Bench>(bench: &mut B) {
    let part = |fill: u8| Bytes::from(vec![fill; PART]);
    let (one, two) = ([1; 16], [2; 16]);
    let store = bench.open(CrashPoints::none()).await;
    let put =
        async |store: &B::Store, blob, number, fill| store.put_part(blob, number, part(fill)).await.expect("it writes");
    let counts = async |store: &B::Store, blob| store.parts(blob).await.expect("it reads");
    assert_eq!((counts(&store, one).await, put(&store, one, 1, 9).await), (0, 0), "the first one comes first");
    for (number, fill, there) in [(0, 10, 1), (0, 9, 1), (2, 9, 1), (1, 11, 2), (1, 9, 2), (2, 12, 3)] {
        assert_eq!(put(&store, one, number, fill).await, there, "{number}");
    }
    assert_eq!(put(&store, two, 0, 20).await, 1);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!((counts(&store, one).await, counts(&store, two).await), (3, 1));
    let read = async |store: &B::Store, blob, number| store.part(blob, number).await.expect("it reads");
    for number in 0..3_u8 {
        assert!(read(&store, one, u32::from(number)).await == Some(part(10 + number)), "{number}");
    }
    assert_eq!((read(&store, one, 3).await, read(&store, [3; 16], 0).await), (None, None));
    assert_eq!(put(&store, one, 3, 13).await, 4, "it goes on where it was");
    store.delete_blob(one).await.expect("it deletes");
    store.delete_blob([3; 16]).await.expect("what is not there is gone");
    assert_eq!((counts(&store, one).await, read(&store, one, 0).await), (0, None));
    assert!(read(&store, two, 0).await == Some(part(20)));
    assert_eq!(put(&store, one, 0, 30).await, 1, "it begins anew");
}

/// [STORE-7] an append rings every bell at its log, whether somebody waits already or asks later.
pub async fn watches_never_miss<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let (bell, other) = (Bell::new(), Bell::new());
    let watch = store.watch(&log(b"a"), &bell, 7);
    let _other = store.watch(&log(b"a"), &other, 8);
    other.take();
    for attempt in 0.. {
        bell.take();
        let mut waits = pin!(bell.rung());
        if waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            // Without reason, as it may, but not for ever.
            assert!(attempt < 10, "it rings again and again, and nothing was appended");
            continue;
        }
        write(&store, vec![append(b"a", 1, b"x")]).await;
        waits.await;
        break;
    }
    assert_eq!(bell.take(), Tags::from_iter([7]));
    other.rung().await;
    assert_eq!(other.take(), Tags::from_iter([8]));
    drop(watch);
    // What rang it before it was dropped.
    bell.take();
    write(&store, vec![append(b"a", 2, b"x")]).await;
    other.rung().await;
    assert_eq!(bell.take(), Tags::default(), "a dropped watch is silent");
}

/// [STORE-10] a store keeps its id, and another one has another.
pub async fn the_id_stays<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let id = store.id();
    drop(store);
    assert_eq!(bench.open(CrashPoints::none()).await.id(), id);
}

/// [STORE-2] [STORE-3] batches that are under way together are all applied, each in its order.
pub async fn many_writers_at_once<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let batch = |id: u8| vec![append(b"a", id, &[id]), append(b"a", id + 100, &[id]), put(&[id], None, &[id])];
    let mut writes: Vec<_> = (0..50).map(|id| Box::pin(store.write(batch(id)))).collect();
    let mut seqs = Vec::new();
    // Polled once each before any is awaited, so that a store may commit them together.
    let mut done = Vec::new();
    for write in &mut writes {
        done.push(write.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    }
    for (write, done) in writes.into_iter().zip(done) {
        let written = match done {
            Poll::Ready(written) => written,
            Poll::Pending => write.await,
        };
        let written = written.expect("it writes");
        assert_eq!(written.len(), 3);
        let both = appended(&written[..2]);
        assert!(both[0] < both[1]);
        seqs.extend(both);
    }
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 100, "no seq was given twice");
    assert_eq!(read(&store, b"a", 0).await.len(), 100);
}

/// [STORE-3] [STORE-4] trims of one log that are under way together take what they say, once, and what they took is known.
pub async fn many_trims_at_once<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    for round in 0..3 {
        let first = round * 40;
        let seqs = appended(&write(&store, (first..first + 40).map(|id| append(b"a", id, b"x")).collect()).await);
        let trim = |through: &u64| vec![Write::Trim { log: log(b"a"), through: Seq(*through) }];
        // Some of them say less than one before them.
        let throughs = (0..40).step_by(5).flat_map(|at| [seqs[at + 2], seqs[at]]);
        let mut trims: Vec<_> = throughs.map(|through| Box::pin(store.write(trim(&through)))).collect();
        let mut done = Vec::new();
        for trim in &mut trims {
            done.push(trim.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        }
        for (trim, done) in trims.into_iter().zip(done) {
            let written = match done {
                Poll::Ready(written) => written,
                Poll::Pending => trim.await,
            };
            assert_eq!(written.expect("it trims"), [Written::Done]);
        }
        assert_eq!(read(&store, b"a", 0).await.first().map(|entry| entry.seq), Some(Seq(seqs[38])));
        write(&store, trim(&u64::MAX)).await;
        let again = write(&store, (first..first + 40).map(|id| append(b"a", id, b"x")).collect()).await;
        let known: Vec<_> = seqs.iter().map(|seq| Written::Duplicate(Seq(*seq))).collect();
        assert_eq!(again, known);
        assert_eq!(store.usage(&log(b"a")).await.expect("it counts"), Usage::default());
    }
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert!(matches!(write(&store, vec![append(b"a", 7, b"x")]).await[..], [Written::Duplicate(_)]));
    let last = appended(&write(&store, vec![append(b"a", 200, b"x")]).await)[0];
    assert_eq!(write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(last) }]).await, [Written::Done]);
}

/// [STORE-1] [STORE-2] killed at each point of each commit: what resolved is there, what did not is there wholly or
/// not at all, and the store goes on.
pub async fn a_crash_loses_nothing_that_resolved<B: Bench>(bench: &mut impl FnMut() -> B) {
    for commit in 1..=4 {
        for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
            let mut bench = bench();
            let store = bench.open(CrashPoints::at(point, commit)).await;
            let mut resolved = 0;
            for id in 1..=4 {
                match store.write(vec![append(b"a", id, &[id]), put(&[id], None, &[id])]).await {
                    Ok(_) => resolved = id,
                    Err(fault) => {
                        assert!(matches!(fault, Fault::Stopped), "{fault}");
                        break;
                    }
                }
            }
            assert_eq!(u64::from(resolved), commit - 1, "it crashed at its point");
            assert!(store.read(&log(b"a"), Seq(0), ALL).await.is_err(), "a dead store answers nothing");
            drop(store);
            let store = bench.open(CrashPoints::none()).await;
            let there = ids(&store, b"a").await;
            let durable = if point == CrashPoint::AfterCommit { resolved + 1 } else { resolved };
            assert_eq!(there, (1..=durable).collect::<Vec<_>>(), "{point:?} of commit {commit}");
            for id in 1..=4 {
                assert_eq!(value(&store, &[id]).await.is_some(), id <= durable);
            }
            assert!(matches!(write(&store, vec![append(b"a", 9, b"x")]).await.as_slice(), [Written::Appended(_)]));
        }
    }
}
