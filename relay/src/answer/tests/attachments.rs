use super::*;
use crate::answer::Files;
use crate::answer::attachment::room::Most;
use crate::store::CrashPoints;
use sealpost_spec::attachment::{BlobId, KEPT_MS, PART, UNFINISHED_MS};

const BLOB: BlobId = BlobId([1; 16]);

fn bytes(fill: u8) -> Bytes {
    Bytes(vec![fill; PART])
}

/// A part for somebody, with their token.
fn part(to: &Person, blob: BlobId, parts: u32, part: u32, bytes: Bytes) -> Request {
    Request::PutBlob { recipient: to.name.clone(), token: Some(to.token), blob, parts, part, bytes }
}

fn put(relay: &Relay<Memory>, caller: &mut Caller, request: Request) -> Result<u32, Refusal> {
    match ask(relay, caller, request)? {
        Answer::Stored { parts } => Ok(parts),
        other => panic!("stored, not {other:?}"),
    }
}

/// Uploads all of a blob on a link of its own.
fn upload(relay: &Relay<Memory>, to: &Person, blob: BlobId, parts: u32) -> Result<(), Refusal> {
    let mut link = link(relay, LinkKind::Anonymous);
    (0..parts)
        .try_for_each(|number| put(relay, &mut link, part(to, blob, parts, number, bytes(number as u8))).map(drop))
}

fn fetch(relay: &Relay<Memory>, now: u64, blob: BlobId, part: u32) -> Result<Answer, Refusal> {
    ask_at(relay, now, &mut link(relay, LinkKind::Anonymous), Request::FetchBlob { blob, part })
}

fn people(relay: &Relay<Memory>) -> (Person, Caller) {
    let mut bob = Person::new("bob", 20);
    let (caller, _) = bob.register(relay);
    (bob, caller)
}

/// [FILE-5] [FILE-10] parts are counted from the first on, whoever asks goes on where the last one ended, also on another link and
/// after a restart; until all are there nothing is given out, and then each is what was sent.
#[test]
fn an_upload_goes_on_where_it_was() {
    let first = relay(|_| {});
    let (bob, _caller) = people(&first);
    let asks = |relay: &Relay<Memory>| {
        put(relay, &mut link(relay, LinkKind::Anonymous), part(&bob, BLOB, 3, 0, Bytes(Vec::new())))
    };
    assert_eq!(asks(&first), Ok(0));
    let mut sender = link(&first, LinkKind::Anonymous);
    for (number, stored) in [(1, 0), (0, 1), (0, 1), (2, 1), (1, 2)] {
        assert_eq!(put(&first, &mut sender, part(&bob, BLOB, 3, number, bytes(number as u8))), Ok(stored), "{number}");
    }
    assert_eq!(fetch(&first, NOW, BLOB, 0), Err(Refusal::NoSuchBlob), "not all of it is there");
    let second = over(first.store().reopen(CrashPoints::none()), |_| {});
    assert_eq!(asks(&second), Ok(2));
    assert_eq!(put(&second, &mut link(&second, LinkKind::Anonymous), part(&bob, BLOB, 3, 2, bytes(2))), Ok(3));
    assert_eq!(asks(&second), Ok(3));
    for number in 0..3 {
        assert_eq!(fetch(&second, NOW, BLOB, number), Ok(Answer::Blob { parts: 3, bytes: bytes(number as u8) }));
    }
    assert_eq!(fetch(&second, NOW, BLOB, 3), Err(Refusal::Malformed));
    assert_eq!(fetch(&second, NOW, BlobId([2; 16]), 0), Err(Refusal::NoSuchBlob));
    // Whole is whole: nobody adds to it or alters it.
    assert_eq!(put(&second, &mut link(&second, LinkKind::Anonymous), part(&bob, BLOB, 3, 0, bytes(9))), Ok(3));
    assert_eq!(fetch(&second, NOW, BLOB, 0), Ok(Answer::Blob { parts: 3, bytes: bytes(0) }));
}

/// [FILE-6] a blob stays that of its account and of its length, and a part has its length; a link serves one account. [RELAY-7]
/// [RELAY-8]
#[test]
fn a_blob_stays_what_it_was() {
    let relay = relay(|_| {});
    let (bob, mut logged_in) = people(&relay);
    let mut carol = Person::new("carol", 30);
    carol.register(&relay);
    upload(&relay, &bob, BLOB, 2).unwrap();
    let anew = |request| put(&relay, &mut link(&relay, LinkKind::Anonymous), request);
    assert_eq!(anew(part(&carol, BLOB, 2, 0, bytes(0))), Err(Refusal::WrongLink));
    assert_eq!(anew(part(&bob, BLOB, 3, 0, bytes(0))), Err(Refusal::Malformed));
    let other = BlobId([2; 16]);
    for (parts, number, length) in [(0, 0, PART), (1, 1, PART), (1 << 24 | 1, 0, PART), (1, 0, PART - 1), (1, 0, 1)] {
        assert_eq!(anew(part(&bob, other, parts, number, Bytes(vec![0; length]))), Err(Refusal::Malformed));
    }
    let long = Refusal::TooLarge { limit: PART as u64 };
    assert_eq!(anew(part(&bob, other, 1, 0, Bytes(vec![0; PART + 1]))), Err(long));
    let mut nobody = part(&bob, other, 1, 0, bytes(0));
    if let Request::PutBlob { recipient, .. } = &mut nobody {
        *recipient = "nobody".parse().unwrap();
    }
    assert_eq!(anew(nobody), Err(Refusal::NoSuchName));
    let mut one = link(&relay, LinkKind::Anonymous);
    assert_eq!(put(&relay, &mut one, part(&carol, other, 1, 0, bytes(0))), Ok(1));
    assert_eq!(put(&relay, &mut one, part(&bob, BLOB, 2, 0, bytes(0))), Err(Refusal::WrongLink));
    assert_eq!(ask(&relay, &mut one, Request::FetchBlob { blob: BLOB, part: 0 }), Err(Refusal::WrongLink));
    for request in [part(&bob, other, 1, 0, bytes(0)), Request::FetchBlob { blob: BLOB, part: 0 }] {
        assert_eq!(ask(&relay, &mut logged_in, request), Err(Refusal::WrongLink));
    }
}

/// [FILE-7] without the account's token each part costs work, an old token is told from none, and what strangers upload leaves half of the
/// room to others.
#[test]
fn strangers_pay_and_leave_room() {
    let room = 8 * PART as u64;
    let files = move |rules: &mut Rules| rules.files = Files { account: room, ..Files::default() };
    let dear = relay(|rules| {
        files(rules);
        rules.work.deliver = 200;
    });
    let (bob, _caller) = people(&dear);
    for (token, refusal) in
        [(None, Refusal::WorkNeeded { bits: 200 }), (Some(DeliveryToken([0; 32])), Refusal::UnknownToken)]
    {
        let mut request = part(&bob, BLOB, 1, 0, bytes(0));
        if let Request::PutBlob { token: shown, .. } = &mut request {
            *shown = token;
        }
        assert_eq!(ask(&dear, &mut link(&dear, LinkKind::Anonymous), request), Err(refusal));
    }
    let relay = relay(files);
    let (bob, _caller) = people(&relay);
    let strange = |blob, parts| {
        let mut request = part(&bob, BlobId([blob; 16]), parts, 0, bytes(0));
        if let Request::PutBlob { token, .. } = &mut request {
            *token = None;
        }
        put(&relay, &mut link(&relay, LinkKind::Anonymous), request)
    };
    assert_eq!(strange(1, 5), Err(Refusal::QuotaReached { limit: room / 2 }));
    assert_eq!(strange(2, 4), Ok(1));
    assert_eq!(strange(3, 1), Err(Refusal::QuotaReached { limit: room / 2 }));
    assert_eq!(upload(&relay, &bob, BlobId([4; 16]), 4), Ok(()));
    assert_eq!(upload(&relay, &bob, BlobId([5; 16]), 1), Err(Refusal::QuotaReached { limit: room }));
}

/// [FILE-8] [RELAY-15] no file is larger than the operator says, all of them together neither, and an address sends and fetches so much; what
/// is refused takes no room, and what is removed gives it back, also where the relay was restarted between.
#[test]
fn room_is_bounded_and_comes_back() {
    let size = |parts: u64| parts * PART as u64;
    let files = move |rules: &mut Rules| {
        rules.files = Files { largest: size(3), account: size(100), total: size(5), ..Files::default() };
    };
    let first = relay(files);
    let (bob, _caller) = people(&first);
    assert_eq!(upload(&first, &bob, BLOB, 4), Err(Refusal::TooLarge { limit: size(3) }));
    upload(&first, &bob, BlobId([2; 16]), 3).unwrap();
    assert_eq!(upload(&first, &bob, BLOB, 3), Err(Refusal::QuotaReached { limit: size(5) }));
    upload(&first, &bob, BlobId([3; 16]), 2).unwrap();
    let second = over(first.store().reopen(CrashPoints::none()), files);
    assert_eq!(upload(&second, &bob, BLOB, 1), Err(Refusal::QuotaReached { limit: size(5) }));
    let mut owner = bob.enter(&second, 2);
    assert_eq!(ask(&second, &mut owner, Request::DropBlob(BlobId([2; 16]))), Ok(Answer::Done));
    assert_eq!(upload(&second, &bob, BLOB, 3), Ok(()));
    let none = relay(|rules| rules.files.total = 0);
    let (bob, _caller) = people(&none);
    assert_eq!(upload(&none, &bob, BLOB, 1), Err(Refusal::Unsupported));
    let slow = relay(|rules| {
        rules.rates.uploads = crate::quota::Rate { burst: 2, every_ms: 1_000 };
        rules.rates.downloads = crate::quota::Rate { burst: 1, every_ms: 1_000 };
    });
    let (bob, _caller) = people(&slow);
    assert!(matches!(upload(&slow, &bob, BLOB, 3), Err(Refusal::TooFast { .. })));
    assert_eq!(fetch(&slow, NOW, BLOB, 0), Err(Refusal::NoSuchBlob));
    assert!(matches!(fetch(&slow, NOW, BLOB, 0), Err(Refusal::TooFast { .. })));
}

/// [FILE-15] who has uploaded little takes little from others, whatever they say will follow; what is uploaded counts twice at most, and
/// after a restart as before. A part beyond what counts is not stored.
#[test]
fn a_claim_takes_no_room() {
    let size = |parts: u64| parts * PART as u64;
    let files = move |rules: &mut Rules| {
        rules.files = Files { largest: size(1_000), account: size(1_000), total: size(1_200), ..Files::default() };
    };
    let first = relay(files);
    let (bob, _caller) = people(&first);
    let begun = |relay: &Relay<Memory>, blob, parts| {
        put(relay, &mut link(relay, LinkKind::Anonymous), part(&bob, blob, parts, 0, bytes(0)))
    };
    for number in 0..9 {
        assert_eq!(begun(&first, BlobId([10 + number; 16]), 800), Ok(1), "{number}");
    }
    assert_eq!(first.room.total(), (9 * size(16), 9));
    assert_eq!(upload(&first, &bob, BLOB, 200), Ok(()));
    assert_eq!(first.room.total(), (9 * size(16) + size(200), 10));
    // What could never be whole is refused before its first part.
    assert_eq!(begun(&first, BlobId([2; 16]), 700), Err(Refusal::QuotaReached { limit: size(1_000) }));
    let (long, mut anonymous) = (BlobId([10; 16]), link(&first, LinkKind::Anonymous));
    let mut long_part = |number| put(&first, &mut anonymous, part(&bob, long, 800, number, bytes(number as u8)));
    assert_eq!(long_part(799), Ok(1), "it is far ahead");
    assert_eq!(first.room.total().0, 9 * size(16) + size(200));
    (1..100).for_each(|number| assert_eq!(long_part(number), Ok(number + 1)));
    let counted = first.room.total().0 - 8 * size(16) - size(200);
    assert!(counted > size(100) && counted <= size(2 * 100 + 16), "{}", counted / PART as u64);
    // Who is overtaken by others is refused on the way, and goes on once there is room.
    assert_eq!(upload(&first, &bob, BlobId([3; 16]), 400), Ok(()));
    let stopped = (100..800).find_map(|number| long_part(number).err().map(|refusal| (number, refusal)));
    let (at, refusal) = stopped.unwrap();
    assert_eq!(refusal, Refusal::QuotaReached { limit: size(1_000) });
    let second = over(first.store().reopen(CrashPoints::none()), files);
    assert_eq!(second.room.total(), first.room.total());
    let mut owner = bob.enter(&second, 2);
    for blob in [BlobId([3; 16]), BLOB] {
        assert_eq!(ask(&second, &mut owner, Request::DropBlob(blob)), Ok(Answer::Done));
    }
    let mut anonymous = link(&second, LinkKind::Anonymous);
    for number in at..800 {
        assert_eq!(put(&second, &mut anonymous, part(&bob, long, 800, number, bytes(0))), Ok(number + 1));
    }
    assert!(fetch(&second, NOW, long, 799).is_ok());
    assert_eq!(second.room.total(), (8 * size(16) + size(800), 9));
}

/// [FILE-7] nor do strangers' blobs, however small, fill more than half of those that an account may have.
#[test]
fn strangers_leave_blobs_to_others() {
    let relay = relay(|_| {});
    let (bob, _caller) = people(&relay);
    let put = |number: u16, token| {
        let mut blob = [0; 16];
        blob[..2].copy_from_slice(&number.to_le_bytes());
        let mut request = part(&bob, BlobId(blob), 1, 0, bytes(0));
        if let Request::PutBlob { token: shown, .. } = &mut request {
            *shown = token;
        }
        put(&relay, &mut link(&relay, LinkKind::Anonymous), request)
    };
    (0..500).for_each(|number| assert_eq!(put(number, None), Ok(1)));
    assert_eq!(put(500, None), Err(Refusal::QuotaReached { limit: 500 }));
    assert_eq!(put(500, Some(bob.token)), Ok(1));
}

/// [FILE-11] a blob goes when its account drops it, 30 days after it was whole, or three days after it was begun and not finished;
/// nobody else drops it, nor learns that it is there.
#[test]
fn blobs_go_in_time() {
    let relay = relay(|_| {});
    let (bob, mut logged_in) = people(&relay);
    let mut carol = Person::new("carol", 30);
    let (mut other, _) = carol.register(&relay);
    upload(&relay, &bob, BLOB, 1).unwrap();
    for blob in [BLOB, BlobId([9; 16])] {
        assert_eq!(ask(&relay, &mut other, Request::DropBlob(blob)), Ok(Answer::Done));
    }
    assert!(fetch(&relay, NOW, BLOB, 0).is_ok());
    assert_eq!(ask(&relay, &mut logged_in, Request::DropBlob(BLOB)), Ok(Answer::Done));
    assert_eq!(fetch(&relay, NOW, BLOB, 0), Err(Refusal::NoSuchBlob));
    let (whole, begun) = (BlobId([2; 16]), BlobId([3; 16]));
    upload(&relay, &bob, whole, 1).unwrap();
    put(&relay, &mut link(&relay, LinkKind::Anonymous), part(&bob, begun, 2, 0, bytes(0))).unwrap();
    let there = |now| {
        ready(relay.sweep(now)).unwrap().unwrap();
        let parts = [whole, begun].map(|blob| ready(relay.store().parts(blob.0)).unwrap().unwrap());
        (parts[0] > 0, parts[1] > 0)
    };
    assert_eq!(there(NOW + UNFINISHED_MS), (true, true));
    assert_eq!(there(NOW + UNFINISHED_MS + 1), (true, false));
    assert_eq!(there(NOW + KEPT_MS), (true, false));
    assert_eq!(fetch(&relay, NOW + KEPT_MS + 1, whole, 0), Err(Refusal::NoSuchBlob), "before it is swept");
    assert_eq!(there(NOW + KEPT_MS + 1), (false, false));
    assert_eq!(relay.room.total(), (0, 0));
    let mut anonymous = link(&relay, LinkKind::Anonymous);
    assert_eq!(ask(&relay, &mut anonymous, Request::DropBlob(BLOB)), Err(Refusal::WrongLink));
}

/// [FILE-8] [FILE-11] a blob is removed alone: while a part is added nothing goes, so no file stays that no row knows. And it
/// is removed for what it is then: one that is finished in time stays.
#[test]
fn a_blob_is_removed_alone() {
    let relay = relay(|_| {});
    let (bob, mut logged_in) = people(&relay);
    upload(&relay, &bob, BLOB, 1).unwrap();
    let body = encode(&Request::DropBlob(BLOB)).unwrap();
    let adds = relay.room.door(BLOB).try_read().unwrap();
    assert_eq!(ready(relay.handle(NOW, &mut logged_in, None, &body)), None);
    assert_eq!(fetch(&relay, NOW, BLOB, 0), Ok(Answer::Blob { parts: 1, bytes: bytes(0) }));
    drop(adds);
    assert_eq!(ready(relay.handle(NOW, &mut logged_in, None, &body)), Some(Ok(Answer::Done)));
    assert_eq!(ready(relay.store().parts(BLOB.0)).unwrap().unwrap(), 0);
    assert_eq!(relay.room.total(), (0, 0));
}

/// [FILE-8] two who begin a blob at the same time take its room once, and both go on.
#[test]
fn a_blob_is_claimed_once() {
    let relay = relay(|_| {});
    let (bob, _caller) = people(&relay);
    for _ in 0..2 {
        let most = Most { bytes: u64::MAX, blobs: u64::MAX };
        let claimed = ready(relay.claim(NOW, &bob.name, BLOB, 3, most, &Files::default())).unwrap();
        assert!(claimed.is_ok_and(|known| known.row.parts == 3));
        assert_eq!(relay.room.total(), (3 * PART as u64, 1));
    }
}
