use super::*;
use crate::quota::Rate;

pub(super) fn follow(relay: &Relay<Memory>, caller: &mut Caller, room: &str, after: u64) -> Result<Answer, Refusal> {
    ask(relay, caller, Request::Follow { room: room.parse().unwrap(), after: Seq(after) })
}

pub(super) fn posts(pushes: Vec<Push>) -> Vec<Post> {
    let post = |push| match push {
        Push::Post { post, .. } => post,
        other => panic!("a post, not {other:?}"),
    };
    pushes.into_iter().map(post).collect()
}

pub(super) fn send(relay: &Relay<Memory>, caller: &mut Caller, post: &Post) -> Result<Seq, Refusal> {
    match ask(relay, caller, Request::Post(post.clone()))? {
        Answer::Posted { seq, id } => {
            assert_eq!(id, PostHead::parse(&post.head.body.0).unwrap().id);
            Ok(seq)
        }
        other => panic!("posted, not {other:?}"),
    }
}

/// Joins and says what is given, in one room.
pub(super) fn talk(
    relay: &Relay<Memory>,
    person: &mut Person,
    caller: &mut Caller,
    room: &str,
    lines: &[&str],
) -> Vec<Post> {
    let mut all = vec![person.says(relay, room, PostKind::Join, b"", None)];
    all.extend(lines.iter().map(|line| person.says(relay, room, PostKind::Text, line.as_bytes(), None)));
    for post in &all {
        send(relay, caller, post).unwrap();
    }
    all
}

/// [ROOM-1] [ROOM-9] the lobby is there; a newcomer gets its history, then what comes, bit for bit.
#[test]
fn a_newcomer_gets_the_history() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let (mut a, _) = alice.register(&relay);
    let said = talk(&relay, &mut alice, &mut a, "lobby", &["one", "two"]);
    let (mut b, _) = bob.register(&relay);
    assert_eq!(follow(&relay, &mut b, "lobby", 0), Ok(Answer::Done));
    assert_eq!(posts(pushes(&relay, &mut b)), said);
    let three = alice.says(&relay, "lobby", PostKind::Text, b"three", None);
    let seq = send(&relay, &mut a, &three).unwrap();
    assert!(ready(b.bell().rung()).is_some());
    assert_eq!(pushes(&relay, &mut b), [Push::Post { room: RoomName::lobby(), seq, post: three }]);
    assert_eq!(follow(&relay, &mut b, "lobby", seq.0 - 1), Ok(Answer::Done));
    assert_eq!(pushes(&relay, &mut b).len(), 1, "only what comes after the place that it named");
    assert_eq!(ask(&relay, &mut b, Request::Unfollow(RoomName::lobby())), Ok(Answer::Done));
    let four = alice.says(&relay, "lobby", PostKind::Text, b"four", None);
    send(&relay, &mut a, &four).unwrap();
    assert_eq!(pushes(&relay, &mut b), []);
    assert_eq!(follow(&relay, &mut b, "nowhere", 0), Err(Refusal::NoSuchRoom));
}

/// A long history comes whole and in order, past the posts that are kept encoded, to many links at different places.
#[test]
fn a_long_history_comes_whole() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    let lines: Vec<String> = (0..200).map(|line| line.to_string()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut early = Person::new("early", 20);
    let (mut e, _) = early.register(&relay);
    follow(&relay, &mut e, "lobby", 0).unwrap();
    assert_eq!(pushes(&relay, &mut e), []);
    let said = talk(&relay, &mut alice, &mut a, "lobby", &lines);
    assert!(posts(pushes(&relay, &mut e)) == said);
    for after in [0, 1, 150, 199, 201] {
        let mut late = Person::new(&format!("late{after}"), 30 + after);
        let (mut l, _) = late.register(&relay);
        follow(&relay, &mut l, "lobby", after).unwrap();
        assert!(posts(pushes(&relay, &mut l)) == said[after as usize..], "after {after}");
    }
    assert_eq!(pushes(&relay, &mut e), []);
}

/// Links that follow a room share each encoded post.
#[test]
fn a_post_is_encoded_once() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let (mut a, _) = alice.register(&relay);
    let (mut b, _) = bob.register(&relay);
    follow(&relay, &mut a, "lobby", 0).unwrap();
    follow(&relay, &mut b, "lobby", 0).unwrap();
    // Who names a place far ahead spoils nothing for the others.
    let mut carol = Person::new("carol", 30);
    let (mut c, _) = carol.register(&relay);
    follow(&relay, &mut c, "lobby", u64::MAX).unwrap();
    assert_eq!(pushes(&relay, &mut c), []);
    let joins = alice.says(&relay, "lobby", PostKind::Join, b"", None);
    send(&relay, &mut a, &joins).unwrap();
    let frames = |caller: &mut Caller| ready(relay.pushes(NOW, caller, 100_000)).unwrap().unwrap();
    let (one, two) = (frames(&mut a), frames(&mut b));
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].as_ptr(), two[0].as_ptr());
}

/// [ROOM-8] only members post; a join makes one and, where there is none, the room; a leave ends it.
#[test]
fn only_members_post() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    let text = alice.signed(&alice.head(&relay, "lobby", PostKind::Text, b"hi"), b"hi");
    assert_eq!(send(&relay, &mut a, &text), Err(Refusal::NotMember));
    let text = alice.signed(&alice.head(&relay, "den", PostKind::Text, b"hi"), b"hi");
    assert_eq!(send(&relay, &mut a, &text), Err(Refusal::NoSuchRoom));
    talk(&relay, &mut alice, &mut a, "den", &["hi"]);
    let rooms = |caller: &mut Caller| ask(&relay, caller, Request::Rooms { after: None });
    let summary = |room: &str, members, posts| RoomSummary { room: room.parse().unwrap(), members, posts };
    assert_eq!(rooms(&mut a), Ok(Answer::Rooms(vec![summary("den", 1, 2), summary("lobby", 0, 0)])));
    let after = Request::Rooms { after: Some("den".parse().unwrap()) };
    assert_eq!(ask(&relay, &mut a, after), Ok(Answer::Rooms(vec![summary("lobby", 0, 0)])));
    let leaves = alice.says(&relay, "den", PostKind::Leave, b"", None);
    send(&relay, &mut a, &leaves).unwrap();
    let text = alice.says(&relay, "den", PostKind::Text, b"hi", None);
    assert_eq!(send(&relay, &mut a, &text), Err(Refusal::NotMember));
    assert_eq!(rooms(&mut a), Ok(Answer::Rooms(vec![summary("den", 0, 3), summary("lobby", 0, 0)])));
}

/// Membership lasts; presence is whether a device is logged in.
#[test]
fn members_are_listed_with_presence() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let (mut a, _) = alice.register(&relay);
    let (mut b, _) = bob.register(&relay);
    talk(&relay, &mut alice, &mut a, "lobby", &[]);
    talk(&relay, &mut bob, &mut b, "lobby", &[]);
    let members =
        |caller: &mut Caller, after| match ask(&relay, caller, Request::Members { room: RoomName::lobby(), after }) {
            Ok(Answer::Members(members)) => {
                members.into_iter().map(|member| (member.name.to_string(), member.online)).collect::<Vec<_>>()
            }
            other => panic!("members, not {other:?}"),
        };
    let listed = |name: &str, online| (name.to_owned(), online);
    assert_eq!(members(&mut a, None), [listed("alice", true), listed("bob", true)]);
    drop(b);
    assert_eq!(members(&mut a, None), [listed("alice", true), listed("bob", false)]);
    assert_eq!(members(&mut a, Some(alice.name.clone())), [listed("bob", false)]);
    let nowhere = Request::Members { room: "nowhere".parse().unwrap(), after: None };
    assert_eq!(ask(&relay, &mut a, nowhere), Err(Refusal::NoSuchRoom));
}

/// [ROOM-2] [THREAT-12] a post is its author's, for this relay, as it was signed, or it is refused.
#[test]
fn a_forged_post_is_refused() {
    let relay = relay(|_| {});
    let (mut alice, mut mallory) = (Person::new("alice", 10), Person::new("mallory", 66));
    let (mut a, _) = alice.register(&relay);
    let (mut m, _) = mallory.register(&relay);
    talk(&relay, &mut alice, &mut a, "lobby", &[]);
    talk(&relay, &mut mallory, &mut m, "lobby", &[]);
    let head = |change: fn(&mut PostHead)| {
        let mut head = alice.head(&relay, "lobby", PostKind::Text, b"hi");
        change(&mut head);
        alice.signed(&head, b"hi")
    };
    let good = head(|_| {});
    let forged = Post { head: mallory.secret.sign_post(&PostHead::parse(&good.head.body.0).unwrap()), ..good.clone() };
    let bad = [
        head(|head| head.relay = [0; 32]),
        head(|head| head.body_hash = [0; 32]),
        head(|head| head.account = AccountKey([1; 32])),
        head(|head| head.device.id = DeviceId(2)),
        Post { author: mallory.list(1), ..good.clone() },
        Post { body: Some(Bytes(b"ho".to_vec())), ..good.clone() },
        forged,
    ];
    for (at, bad) in bad.iter().enumerate() {
        assert_eq!(send(&relay, &mut a, bad), Err(Refusal::BadSignature), "the one at {at}");
    }
    assert_eq!(send(&relay, &mut m, &good), Err(Refusal::BadSignature), "somebody else brings it");
    assert!(send(&relay, &mut a, &good).is_ok());
}

/// [ROOM-4] a device's posts follow each other without gap or fork; the same post again has the same place.
#[test]
fn posts_follow_each_other() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    talk(&relay, &mut alice, &mut a, "lobby", &["one"]);
    let three = alice.says(&relay, "lobby", PostKind::Text, b"three", None);
    let four = alice.says(&relay, "lobby", PostKind::Text, b"four", None);
    assert_eq!(send(&relay, &mut a, &four), Err(Refusal::PostOutOfOrder { wanted: 3 }));
    let seq = send(&relay, &mut a, &three).unwrap();
    assert_eq!(send(&relay, &mut a, &three), Ok(seq));
    let mut fork = PostHead::parse(&four.head.body.0).unwrap();
    fork.previous = PostHash([1; 32]);
    assert_eq!(send(&relay, &mut a, &alice.signed(&fork, b"four")), Err(Refusal::PostOutOfOrder { wanted: 4 }));
    let again = PostHead { number: 3, ..PostHead::parse(&four.head.body.0).unwrap() };
    assert_eq!(send(&relay, &mut a, &alice.signed(&again, b"four")), Err(Refusal::PostOutOfOrder { wanted: 4 }));
    assert!(send(&relay, &mut a, &four).is_ok());
    assert_eq!(send(&relay, &mut a, &three), Ok(seq));
}

/// [ROOM-4] a relay that lost its store takes a chain from any place on, and its author is a member again.
#[test]
fn authors_offer_their_posts_again() {
    let before = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&before);
    let said = talk(&before, &mut alice, &mut a, "den", &["one", "two", "three"]);
    let edits = alice.says(&before, "den", PostKind::Edit, b"1", Some(&said[1]));
    for from in [0, 2] {
        let after = over(Memory::new([8; 16]), |_| {});
        let (mut a, _) = alice.register(&after);
        for post in &said[from..] {
            assert!(send(&after, &mut a, post).is_ok(), "from {from}");
        }
        assert!(send(&after, &mut a, &edits).is_ok(), "its target may be lost");
        follow(&after, &mut a, "den", 0).unwrap();
        assert_eq!(posts(pushes(&after, &mut a))[..4 - from], said[from..]);
    }
}

/// [ROOM-6] [ROOM-7] a delete takes the body away everywhere and leaves the head; only of one's own posts.
#[test]
fn a_delete_removes_the_body() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let (mut a, _) = alice.register(&relay);
    let (mut b, _) = bob.register(&relay);
    follow(&relay, &mut b, "lobby", 0).unwrap();
    let said = talk(&relay, &mut alice, &mut a, "lobby", &["a secret of mine"]);
    talk(&relay, &mut bob, &mut b, "lobby", &[]);
    assert_eq!(posts(pushes(&relay, &mut b)).len(), 3);
    for kind in [PostKind::Delete, PostKind::Edit] {
        let mut head = bob.head(&relay, "lobby", kind, b"");
        head.target = PostHead::parse(&said[1].head.body.0).unwrap().id;
        head.target_hash = post_hash(&said[1].head.body.0);
        assert_eq!(send(&relay, &mut b, &bob.signed(&head, b"")), Err(Refusal::NoSuchPost), "another's {kind:?}");
        let mut head = alice.head(&relay, "lobby", kind, b"");
        head.target = PostHead::parse(&said[1].head.body.0).unwrap().id;
        assert_eq!(send(&relay, &mut a, &alice.signed(&head, b"")), Err(Refusal::NoSuchPost), "another hash, {kind:?}");
        head.target = PostId([1; 16]);
        assert_eq!(
            send(&relay, &mut a, &alice.signed(&head, b"")),
            Err(Refusal::NoSuchPost),
            "no such target, {kind:?}"
        );
    }
    let delete = alice.says(&relay, "lobby", PostKind::Delete, b"", Some(&said[1]));
    send(&relay, &mut a, &delete).unwrap();
    assert_eq!(posts(pushes(&relay, &mut b)), [delete]);
    follow(&relay, &mut a, "lobby", 0).unwrap();
    let now = posts(pushes(&relay, &mut a));
    assert_eq!((&now[1].head, &now[1].body), (&said[1].head, &None));
    let marker = b"a secret of mine";
    let held = relay.store().contents();
    assert!(!held.iter().any(|bytes| bytes.windows(marker.len()).any(|window| window == marker)));
}

/// A post's body is bounded, and so are the posts of an account and the rooms that it joins.
#[test]
fn posts_and_rooms_are_bounded() {
    let limited = relay(|rules| rules.rates.posts = Rate { burst: 1, every_ms: 700 });
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&limited);
    let large = vec![b'x'; MAX_POST_BODY + 1];
    let large = alice.signed(&alice.head(&limited, "lobby", PostKind::Text, &large), &large);
    assert_eq!(send(&limited, &mut a, &large), Err(Refusal::TooLarge { limit: 16_384 }));
    assert_eq!(send(&limited, &mut a, &large), Err(Refusal::TooFast { retry_after_ms: 700 }));

    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    let (mut b, _) = bob.register(&relay);
    for room in 0..=MAX_ROOMS_JOINED {
        (bob.number, bob.previous) = (0, PostHash::default());
        let joins = bob.says(&relay, &format!("room{room}"), PostKind::Join, b"", None);
        let quota = Err(Refusal::QuotaReached { limit: 200 });
        assert_eq!(send(&relay, &mut b, &joins).is_ok(), room < MAX_ROOMS_JOINED);
        let followed = follow(&relay, &mut b, &format!("room{}", room.min(MAX_ROOMS_JOINED - 1)), 0);
        assert_eq!(followed, Ok(Answer::Done));
        if room == MAX_ROOMS_JOINED {
            assert_eq!(follow(&relay, &mut b, "lobby", 0), quota);
        }
    }
}

/// [RELAY-15] what an account asks besides posting is limited too, and a page of rooms counts for what it costs.
#[test]
fn an_account_is_limited() {
    let relay = relay(|rules| rules.rates.requests = Rate { burst: 21, every_ms: 700 });
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    assert!(ask(&relay, &mut a, Request::Rooms { after: None }).is_ok());
    assert_eq!(follow(&relay, &mut a, "lobby", 0), Ok(Answer::Done));
    let later = Err(Refusal::TooFast { retry_after_ms: 700 });
    let token = sealpost_spec::mailbox::TokenHash([1; 32]);
    let keys = alice.keys(50, 1);
    let members = Request::Members { room: RoomName::lobby(), after: None };
    for request in [Request::SetToken(token), Request::Publish(keys), members] {
        assert_eq!(ask(&relay, &mut a, request), later);
    }
    assert_eq!(follow(&relay, &mut a, "lobby", 0), later);
    let (mut b, _) = Person::new("bob", 20).register(&relay);
    assert_eq!(follow(&relay, &mut b, "lobby", 0), Ok(Answer::Done), "nobody else waits");
}

/// [ROOM-4] [RELAY-14] posts of a link that wait together are each answered as if they had come alone: one that is there
/// already as it was, one that does not follow with the number that is wanted, and the others are there in their order.
#[test]
fn posts_that_wait_together_are_answered_each() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    let mut says = |kind, text: &[u8]| alice.says(&relay, "lobby", kind, text, None);
    let [join, one, two, three] =
        [(PostKind::Join, ""), (PostKind::Text, "1"), (PostKind::Text, "2"), (PostKind::Text, "3")]
            .map(|(kind, text)| says(kind, text.as_bytes()));
    let (_lost, five) = (says(PostKind::Text, b"4"), says(PostKind::Text, b"5"));
    let asked = [&join, &one, &two, &two, &three, &five].map(|post| relay.said(&mut a, post.clone()).unwrap());
    let answers = ready(relay.say(NOW, asked.into_iter().collect())).expect("nothing waits");
    let seqs: Vec<Seq> = answers
        .iter()
        .filter_map(|answer| match answer {
            Ok(Answer::Posted { seq, .. }) => Some(*seq),
            _ => None,
        })
        .collect();
    assert!(seqs.len() == 5 && seqs[2] == seqs[3] && seqs.is_sorted(), "{answers:?}");
    assert_eq!(answers.last(), Some(&Err(Refusal::PostOutOfOrder { wanted: 5 })));
    follow(&relay, &mut a, "lobby", 0).unwrap();
    assert_eq!(posts(pushes(&relay, &mut a)), [join, one, two, three]);
}

/// [ROOM-4] [STORE-2] an id that another post has is refused, alone and among posts that wait together; those before it
/// are there once, and their author goes on behind them.
#[test]
fn an_id_is_not_taken_twice() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let ((mut a, _), (mut b, _)) = (alice.register(&relay), bob.register(&relay));
    let mut said = talk(&relay, &mut bob, &mut b, "lobby", &["mine"]);
    said.extend(talk(&relay, &mut alice, &mut a, "lobby", &[]));
    let head = PostHead { id: id_of(&said[1]), ..alice.head(&relay, "lobby", PostKind::Text, b"yours") };
    assert_eq!(send(&relay, &mut a, &alice.signed(&head, b"yours")), Err(Refusal::Malformed));
    let one = alice.says(&relay, "lobby", PostKind::Text, b"one", None);
    let head = PostHead { id: id_of(&said[1]), ..alice.head(&relay, "lobby", PostKind::Text, b"yours") };
    let asked = [&one, &alice.signed(&head, b"yours")].map(|post| relay.said(&mut a, post.clone()).unwrap());
    let answers = ready(relay.say(NOW, asked.into_iter().collect())).expect("nothing waits");
    assert!(matches!(answers[..], [Ok(Answer::Posted { .. }), Err(Refusal::Malformed)]), "{answers:?}");
    let two = alice.says(&relay, "lobby", PostKind::Text, b"two", None);
    assert!(send(&relay, &mut a, &two).is_ok());
    said.extend([one, two]);
    follow(&relay, &mut a, "lobby", 0).unwrap();
    assert_eq!(posts(pushes(&relay, &mut a)), said);
}

fn id_of(post: &Post) -> PostId {
    PostHead::parse(&post.head.body.0).unwrap().id
}
