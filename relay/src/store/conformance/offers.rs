//! What is promised of an offer, to whoever takes it in time and to whoever comes too late.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use sealpost_spec::mailbox::Seq;

use super::{Bench, append, appended, ids, log, put, read, write};
use crate::store::{Append, Bell, CrashPoint, CrashPoints, Fault, Store, Usage, Write, Written};

fn offered(to: &[u8], id: u8) -> Append {
    Append { log: log(to), id: [id; 16], bytes: vec![id; 10] }
}

/// Begins something that may have to wait; what came of it where it did not.
fn begun<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// What came of something that was begun.
async fn ended<F: Future>(begun: Option<F::Output>, future: F) -> F::Output {
    match begun {
        Some(output) => output,
        None => future.await,
    }
}

/// [STORE-11] [STORE-7] whoever watches is rung for what is offered, reads it, and by trimming it makes it resolve;
/// [STORE-3] it never returns, [STORE-4] is known when it is repeated, and its seq is gone after a restart too.
pub async fn what_is_taken_in_time_resolves<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let bell = Bell::new();
    let watch = store.watch(&log(b"a"), &bell, 7);
    let mut last = 0;
    for id in 1..=3 {
        let mut offer = Box::pin(store.offer(offered(b"a", id)));
        let early = begun(&mut offer);
        bell.rung().await;
        bell.take();
        let there = read(&store, b"a", 0).await;
        assert_eq!(there.iter().map(|entry| entry.id[0]).collect::<Vec<_>>(), [id]);
        assert!(last < there[0].seq.0);
        last = there[0].seq.0;
        let usage = store.usage(&log(b"a")).await.expect("it counts");
        assert_eq!(usage, Usage { count: 1, bytes: 10 });
        assert_eq!(write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(last) }]).await, [Written::Done]);
        assert_eq!(ended(early, offer).await.expect("it is taken"), Written::Appended(Seq(last)));
        assert_eq!(store.usage(&log(b"a")).await.expect("it counts"), Usage::default());
        assert!(read(&store, b"a", 0).await.is_empty());
        let again = store.offer(offered(b"a", id)).await.expect("it answers");
        assert_eq!(again, Written::Duplicate(Seq(last)));
        assert_eq!(write(&store, vec![append(b"a", id, b"x")]).await, [Written::Duplicate(Seq(last))]);
    }
    drop(watch);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert!(read(&store, b"a", 0).await.is_empty());
    assert!(last < appended(&write(&store, vec![append(b"a", 4, b"x")]).await)[0]);
}

/// [STORE-11] [STORE-1] what nobody takes resolves all the same, and is there after a restart, whether somebody watched
/// or not.
pub async fn what_nobody_takes_is_written<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let bell = Bell::new();
    let watch = store.watch(&log(b"a"), &bell, 7);
    for (at, id) in [(b"a", 1), (b"b", 2)] {
        let mut offer = Box::pin(store.offer(offered(at, id)));
        let early = begun(&mut offer);
        // A commit of something else takes it along, if not its own.
        write(&store, vec![put(&[id], None, b"x")]).await;
        let written = ended(early, offer).await.expect("it is written");
        assert!(matches!(written, Written::Appended(_)), "{written:?}");
    }
    drop(watch);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!((ids(&store, b"a").await, ids(&store, b"b").await), (vec![1], vec![2]));
    assert_eq!(read(&store, b"a", 0).await[0].bytes, [1; 10].as_slice());
}

/// [STORE-3] a log in which some entries were offered and some appended is read in one order, and a trim takes the
/// beginning of it.
pub async fn offers_and_appends_keep_one_order<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let bell = Bell::new();
    let _watch = store.watch(&log(b"a"), &bell, 7);
    write(&store, vec![append(b"a", 1, b"x")]).await;
    let mut second = Box::pin(store.offer(offered(b"a", 2)));
    let second_early = begun(&mut second);
    write(&store, vec![append(b"a", 3, b"x")]).await;
    let mut fourth = Box::pin(store.offer(offered(b"a", 4)));
    let fourth_early = begun(&mut fourth);
    assert_eq!(ids(&store, b"a").await, [1, 2, 3, 4]);
    let there = read(&store, b"a", 0).await;
    assert!(there.is_sorted_by(|one, other| one.seq < other.seq));
    assert_eq!(read(&store, b"a", there[1].seq.0).await, there[2..]);
    write(&store, vec![Write::Trim { log: log(b"a"), through: there[2].seq }]).await;
    assert_eq!(ids(&store, b"a").await, [4]);
    write(&store, vec![Write::Trim { log: log(b"a"), through: Seq(u64::MAX) }]).await;
    assert!(ids(&store, b"a").await.is_empty());
    assert!(ended(second_early, second).await.is_ok() && ended(fourth_early, fourth).await.is_ok());
    assert_eq!(store.usage(&log(b"a")).await.expect("it counts"), Usage::default());
}

/// [STORE-4] [STORE-1] the same id offered twice is one entry, and neither answer comes before it is durable.
pub async fn an_offer_is_told_from_its_repetition<B: Bench>(bench: &mut B) {
    let store = bench.open(CrashPoints::none()).await;
    let bell = Bell::new();
    let watch = store.watch(&log(b"a"), &bell, 7);
    let (mut one, mut other) = (Box::pin(store.offer(offered(b"a", 1))), Box::pin(store.offer(offered(b"a", 1))));
    let (one_early, other_early) = (begun(&mut one), begun(&mut other));
    assert_eq!(ids(&store, b"a").await, [1]);
    let appended_too = write(&store, vec![append(b"a", 1, b"x")]).await;
    let first = match ended(one_early, one).await.expect("it is written") {
        Written::Appended(seq) => seq,
        written => panic!("appended, not {written:?}"),
    };
    assert_eq!(ended(other_early, other).await.expect("it is written"), Written::Duplicate(first));
    assert_eq!(appended_too, [Written::Duplicate(first)]);
    drop(watch);
    drop(store);
    let store = bench.open(CrashPoints::none()).await;
    assert_eq!(ids(&store, b"a").await, [1]);
}

/// [STORE-11] [STORE-1] a crash may lose what was offered; what had resolved is there.
pub async fn a_crash_breaks_no_promise_of_an_offer<B: Bench>(bench: &mut impl FnMut() -> B) {
    for commit in 1..=3 {
        for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
            let mut bench = bench();
            let store = bench.open(CrashPoints::at(point, commit)).await;
            let bell = Bell::new();
            let watch = store.watch(&log(b"a"), &bell, 7);
            let mut resolved = Vec::new();
            for id in 1..=4 {
                let mut offer = Box::pin(store.offer(offered(b"a", id)));
                let early = begun(&mut offer);
                let written = store.write(vec![put(&[id], None, b"x")]).await;
                match ended(early, offer).await {
                    Ok(_) => resolved.push(id),
                    Err(fault) => assert!(matches!(fault, Fault::Stopped), "{fault}"),
                }
                if written.is_err() {
                    break;
                }
            }
            drop(watch);
            drop(store);
            let store = bench.open(CrashPoints::none()).await;
            let there = ids(&store, b"a").await;
            assert!(there.starts_with(&resolved), "{point:?} of commit {commit}: {resolved:?} of {there:?}");
            assert!(there.len() <= resolved.len() + 1, "nothing else is there");
        }
    }
}
