//! One-time prekeys: a few rows for a device, and each key given out once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::answer::row::{self, OneTimes, Page, Row as _};
use crate::store::{Key, Sqlite, Value, Write, Written};

/// Keys of both kinds under these ids, and nothing else.
fn more(person: &mut Person, ids: std::ops::Range<u32>) -> PublishedKeys {
    let keys = person.keys(ids.start, ids.end - ids.start);
    PublishedKeys { signed: None, last_resort_kem: None, box_key: None, ..keys }
}

fn publish(relay: &Relay<Memory>, caller: &mut Caller, keys: &PublishedKeys) -> PrekeyCounts {
    match ask(relay, caller, Request::Publish(keys.clone())) {
        Ok(Answer::Published { keys }) => keys,
        other => panic!("published, not {other:?}"),
    }
}

/// The one-time keys that the next asker gets; the last resort is none.
fn fetch(relay: &Relay<Memory>, person: &Person) -> [Option<Signed>; 2] {
    let mut asker = link(relay, LinkKind::Anonymous);
    match ask(relay, &mut asker, Request::FetchBundle(person.name.clone())) {
        Ok(Answer::Bundle(Bundle { devices, .. })) => one_time(&devices[0]),
        other => panic!("a bundle, not {other:?}"),
    }
}

fn one_time(device: &DeviceBundle) -> [Option<Signed>; 2] {
    let kem = Prekey::parse(&device.kem.body.0).unwrap();
    [device.one_time.clone(), (kem.role == PrekeyRole::OneTimeKem).then(|| device.kem.clone())]
}

/// Keys and values of a table.
fn rows(relay: &Relay<Memory>, table: &'static str) -> Vec<(Vec<u8>, Value)> {
    ready(relay.store().scan(table, &[], None, 1_000)).unwrap().unwrap()
}

fn write(relay: &Relay<Memory>, write: Write) {
    assert!(!ready(relay.store().write(vec![write])).unwrap().unwrap().contains(&Written::Moved));
}

/// [RELAY-11] [ACCT-16] All that a device may have stands in seven rows, however it came; it goes out in the order of
/// its ids, once, and no row is left of it but the one that says so. What is published later follows.
#[test]
fn a_devices_keys_are_a_few_rows() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    alice.first_keys = Some(alice.keys(1, 9));
    let mut all = alice.first_keys.clone().unwrap();
    let (mut caller, _) = alice.register(&relay);
    for ids in [10..11, 11..12, 12..36, 36..41] {
        let keys = more(&mut alice, ids);
        all.one_time.extend(keys.one_time.clone());
        all.one_time_kem.extend(keys.one_time_kem.clone());
        publish(&relay, &mut caller, &keys);
    }
    for ids in [41..73, 73..101] {
        let keys = PublishedKeys { one_time_kem: vec![], ..more(&mut alice, ids) };
        all.one_time.extend(keys.one_time.clone());
        publish(&relay, &mut caller, &keys);
    }
    assert_eq!((rows(&relay, OneTimes::TABLE).len(), rows(&relay, Page::TABLE).len()), (1, 6));
    for at in 0..100 {
        let expected = [Some(all.one_time[at].clone()), all.one_time_kem.get(at).cloned()];
        assert_eq!(fetch(&relay, &alice), expected, "fetch {at}");
    }
    assert_eq!(fetch(&relay, &alice), [None, None]);
    assert_eq!((rows(&relay, OneTimes::TABLE).len(), rows(&relay, Page::TABLE).len()), (1, 0));
    let next = more(&mut alice, 101..103);
    assert_eq!(publish(&relay, &mut caller, &next), PrekeyCounts { one_time: 2, one_time_kem: 2 });
    for at in 0..2 {
        assert_eq!(fetch(&relay, &alice), [Some(next.one_time[at].clone()), Some(next.one_time_kem[at].clone())]);
    }
    let leaves = alice.leave(&relay, &caller);
    ask(&relay, &mut caller, leaves).unwrap();
    assert_eq!((rows(&relay, OneTimes::TABLE).len(), rows(&relay, Page::TABLE).len()), (0, 0));
}

/// [RELAY-11] [RELAY-17] [STORE-2] a page is written before it counts. Where it never came to count, its keys are no
/// keys yet: published again, each is given out once; and a page that is not there costs its own keys alone.
#[test]
fn pages_count_once_their_row_says_so() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let first = alice.first_keys.clone().unwrap();
    let keys = more(&mut alice, 3..13);
    let counted = rows(&relay, OneTimes::TABLE).remove(0);
    publish(&relay, &mut caller, &keys);
    // As it is where somebody took a key between the pages and the row that counts them.
    let row = |name: &Name| row::one_times(name, DeviceId::FIRST);
    let now = rows(&relay, OneTimes::TABLE).remove(0).1.rev;
    write(&relay, Write::Put { key: row(&alice.name), expected: Some(now), value: counted.1.bytes.to_vec() });
    let device = row::device(&alice.name, DeviceId::FIRST);
    let there = ready(relay.row::<row::Device>(device.clone())).unwrap().unwrap().unwrap();
    let highest = [PrekeyId(2); 5];
    write(&relay, row::put(device, Some(there.rev), &row::Device { highest, ..there.row }).unwrap());
    assert_eq!(rows(&relay, Page::TABLE).len(), 3);
    assert_eq!(publish(&relay, &mut caller, &keys), PrekeyCounts { one_time: 12, one_time_kem: 12 });
    let both = first.one_time.iter().chain(&keys.one_time).zip(first.one_time_kem.iter().chain(&keys.one_time_kem));
    let both: Vec<_> = both.map(|(one, kem)| [Some(one.clone()), Some(kem.clone())]).collect();
    for expected in &both[..5] {
        assert_eq!(fetch(&relay, &alice), *expected);
    }
    let kem = rows(&relay, Page::TABLE).into_iter().find(|(key, _)| key.ends_with(&[4, 0, 0, 0, 0])).unwrap();
    write(&relay, Write::Delete { key: Key { table: Page::TABLE, key: kem.0 }, expected: kem.1.rev });
    assert_eq!(fetch(&relay, &alice), [both[5][0].clone(), None]);
    // The second page has the last two.
    for at in 6..8 {
        assert_eq!(fetch(&relay, &alice), [both[at][0].clone(), both[at + 4][1].clone()]);
    }
    assert_eq!(fetch(&relay, &alice), [both[8][0].clone(), None]);
}

/// [RELAY-17] [ACCT-16] another key under a known id is refused, in one request as in two, and changes nothing.
#[test]
fn one_id_is_one_key() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let before = relay.store().contents();
    let (mut twice, other) = (more(&mut alice, 5..7), more(&mut alice, 5..6));
    twice.one_time.extend(other.one_time);
    assert_eq!(ask(&relay, &mut caller, Request::Publish(twice)), Err(Refusal::StaleKey));
    let known = more(&mut alice, 2..4);
    assert_eq!(ask(&relay, &mut caller, Request::Publish(known)), Err(Refusal::StaleKey));
    assert!(relay.store().contents() == before);
}

/// [RELAY-17] one-time keys far beyond all that were published are a restored profile's, and replace those that are there; others
/// stand behind them.
#[test]
fn keys_far_beyond_replace_all() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 11);
    let (mut caller, _) = alice.register(&relay);
    let (near, far) = (more(&mut alice, 20..24), more(&mut alice, 9_000..9_003));
    assert!(publish(&relay, &mut caller, &near).one_time > 3);
    assert_eq!(publish(&relay, &mut caller, &far), PrekeyCounts { one_time: 3, one_time_kem: 3 });
    let further = more(&mut alice, 9_003..9_004);
    assert_eq!(publish(&relay, &mut caller, &further), PrekeyCounts { one_time: 4, one_time_kem: 4 });
    let both = far.one_time.iter().chain(&further.one_time).zip(far.one_time_kem.iter().chain(&further.one_time_kem));
    for (one, kem) in both {
        assert_eq!(fetch(&relay, &alice), [Some(one.clone()), Some(kem.clone())]);
    }
    assert_eq!(fetch(&relay, &alice), [None, None]);
}

/// [RELAY-11] [STORE-6] of many who ask at once each gets keys that nobody else gets, or the last resort.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_different_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("relay.db")).unwrap();
    let rules = Rules { work: WorkPrice { fetch: 0, deliver: 0 }, rates: Rates::unlimited(), ..Rules::default() };
    let secret = RelaySecret::generate(&mut StdRng::seed_from_u64(1));
    let relay = Arc::new(Relay::new(store, secret, rules, StdRng::seed_from_u64(2)).await.unwrap());
    let open = |relay: &Relay<Sqlite>, kind| {
        let hello = ClientHello { lowest: 1, highest: 1, kind };
        relay.hello(NOW, &hello, Peer { address: [127, 0, 0, 1].into(), channel: [9; 32] }).1.unwrap()
    };
    let mut alice = Person::new("alice", 10);
    alice.first_keys = Some(alice.keys(1, 32));
    let mut caller = open(&relay, LinkKind::Authenticated);
    let registration = alice.registration_with(&relay, &[9; 32], &caller.challenge);
    let body = encode(&Request::Register(registration)).unwrap();
    relay.handle(NOW, &mut caller, None, &body).await.unwrap();
    let asks = (0..64).map(|_| {
        let (relay, mut asker) = (Arc::clone(&relay), open(&relay, LinkKind::Anonymous));
        let body = encode(&Request::FetchBundle(alice.name.clone())).unwrap();
        tokio::spawn(async move {
            match relay.handle(NOW, &mut asker, None, &body).await {
                Ok(Answer::Bundle(Bundle { devices, .. })) => one_time(&devices[0]),
                other => panic!("a bundle, not {other:?}"),
            }
        })
    });
    let (mut given, mut seen) = ([0, 0], BTreeSet::new());
    for asked in asks.collect::<Vec<_>>() {
        for (given, key) in given.iter_mut().zip(asked.await.unwrap()) {
            if let Some(key) = key {
                *given += 1;
                assert!(seen.insert(key.body.0), "given out twice");
            }
        }
    }
    let left = relay.counts(&alice.name, DeviceId::FIRST).await.unwrap();
    assert_eq!([given[0] + left.one_time, given[1] + left.one_time_kem], [32, 32]);
    assert!(given[0] > 8, "{given:?}");
}
