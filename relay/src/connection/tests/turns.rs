//! Who asks too much, and who is beside them.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use sealpost_spec::account::PublishedKeys;

use super::*;
use crate::connection::link::MAX_ASKED;
use crate::connection::patience::ALONE;

/// [RELAY-23] a link that is refused again and again is read more slowly, and still answered in words: as many refusals as
/// it may have asked for at once come without delay, further ones a second after one another in the end. Whoever is served
/// meanwhile waits for nothing.
#[tokio::test(start_paused = true)]
async fn a_refused_link_is_read_more_slowly() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let (mut end, mut other) = (open(&relay).await, open(&relay).await);
    end.hello(LinkKind::Anonymous).await;
    other.hello(LinkKind::Anonymous).await;
    let (start, foreign) = (Instant::now(), Request::Rooms { after: None });
    for _ in 0..MAX_ASKED as u32 / ALONE {
        assert_eq!(end.ask(1, &foreign).await, Err(Refusal::WrongLink));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    for _ in 0..12 {
        assert_eq!(end.ask(1, &foreign).await, Err(Refusal::WrongLink));
    }
    let before = Instant::now();
    assert!(other.ask(1, &Request::FetchBundle(bob.name.clone())).await.is_ok());
    assert_eq!(before.elapsed(), Duration::ZERO);
    for _ in 0..3 {
        let before = Instant::now();
        assert_eq!(end.ask(1, &foreign).await, Err(Refusal::WrongLink));
        assert!((900..1_100).contains(&before.elapsed().as_millis()), "{:?}", before.elapsed());
    }
    let before = Instant::now();
    assert!(end.ask(1, &Request::FetchBundle(bob.name.clone())).await.is_ok(), "it is heard again");
    assert!(before.elapsed() <= Duration::from_millis(1_100));
}

/// [RELAY-25] however much a link asks for at once, another link of its thread is served after a turn of it.
#[tokio::test(start_paused = true)]
async fn links_take_turns() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let asked = Arc::new(AtomicUsize::new(0));
    let (mut pipe, tls) = shaken(256 * 1024).await;
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn({
        let (relay, asked) = (Arc::clone(&relay), Arc::clone(&asked));
        async move {
            let now = || {
                asked.fetch_add(1, Ordering::Relaxed);
                NOW
            };
            let arrival = Arrival {
                address: [127, 0, 0, 2].into(),
                channel: CHANNEL,
                surplus: false,
                shard: relay.shard(),
                guest: None,
            };
            serve(&relay, tls, arrival, &Timing::default(), now, stopping).await;
        }
    });
    let mut end = open(&relay).await;
    end.hello(LinkKind::Anonymous).await;
    let hello = frame(&ClientHello { lowest: 1, highest: 1, kind: LinkKind::Anonymous }.layout()).unwrap();
    pipe.write_all(&hello).await.unwrap();
    let mut prefix = [0; LENGTH_PREFIX];
    pipe.read_exact(&mut prefix).await.unwrap();
    asked.store(0, Ordering::Relaxed);
    let body = Opaque(encode(&Request::FetchDevices(bob.name.clone())).unwrap());
    let one = frame(&encode(&ClientFrame::Request { id: 1, work: None, body }).unwrap()).unwrap();
    const MANY: usize = 500;
    pipe.write_all(&one.repeat(MANY)).await.unwrap();
    assert!(end.ask(1, &Request::FetchBundle(bob.name.clone())).await.is_ok());
    let before = asked.load(Ordering::Relaxed);
    assert!(before < MANY / 4, "{before} requests of another link came first");
    while asked.load(Ordering::Relaxed) < MANY {
        tokio::task::yield_now().await;
    }
}

/// [RELAY-25] signatures are checked for one link of a thread at a time, and whoever is ready has a turn before each
/// check.
#[tokio::test(start_paused = true)]
async fn signatures_are_checked_in_turns() {
    let relay = new();
    let shard = relay.shard();
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen = 0;
    for _ in 0..5 {
        let check = shard.clone().check().await;
        let now = turns.load(Ordering::Relaxed);
        assert!(check.is_some() && now > seen, "the other had its turn");
        let mut second = pin!(shard.clone().check());
        (0..3).for_each(|_| {
            assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "one at a time")
        });
        seen = turns.load(Ordering::Relaxed);
        drop(check);
    }
    other.abort();
}

/// [RELAY-25] what brings keys waits for its turn, whatever the answer to it is; and nobody waits for it.
#[tokio::test(start_paused = true)]
async fn what_brings_keys_waits_for_its_turn() {
    let (relay, mut bob) = (new(), Person::new("bob", 20));
    bob.register(&relay);
    let shard = relay.shard();
    let (mut end, mut other) = (open_in(&relay, shard.clone()).await, open_in(&relay, shard.clone()).await);
    end.hello(LinkKind::Authenticated).await;
    other.hello(LinkKind::Anonymous).await;
    let turn = shard.check().await;
    let keys =
        PublishedKeys { signed: None, last_resort_kem: None, box_key: None, one_time: vec![], one_time_kem: vec![] };
    let published = Request::Publish(keys);
    let mut published = pin!(end.ask(1, &published));
    assert!(timeout(Duration::from_secs(1), published.as_mut()).await.is_err(), "another link has its turn");
    assert!(other.ask(1, &Request::FetchBundle(bob.name.clone())).await.is_ok());
    drop(turn);
    assert_eq!(published.await, Err(Refusal::WrongLink), "nobody has logged in");
}
