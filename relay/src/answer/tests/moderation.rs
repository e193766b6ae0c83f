//! Who made a room moderates it, and nobody else does.

use super::rooms::{follow, posts, send, talk};
use super::*;

/// Alice has made the garden, Bob and Carol have joined.
struct Garden {
    relay: Relay<Memory>,
    alice: (Person, Caller),
    bob: (Person, Caller),
    carol: (Person, Caller),
    alices: Vec<Post>,
}

fn enters(relay: &Relay<Memory>, name: &str, seed: u64) -> (Person, Caller) {
    let mut person = Person::new(name, seed);
    let (caller, _) = person.register(relay);
    (person, caller)
}

impl Garden {
    fn new() -> Self {
        let relay = relay(|_| {});
        let mut alice = enters(&relay, "alice", 10);
        let (mut bob, mut carol) = (enters(&relay, "bob", 20), enters(&relay, "carol", 30));
        let alices = talk(&relay, &mut alice.0, &mut alice.1, "garden", &["welcome"]);
        for (person, caller) in [&mut bob, &mut carol] {
            talk(&relay, person, caller, "garden", &[]);
        }
        Self { relay, alice, bob, carol, alices }
    }

    fn alice_says(&mut self, post: &Post) -> Result<Seq, Refusal> {
        send(&self.relay, &mut self.alice.1, post)
    }

    fn bob_says(&mut self, text: &str) -> Result<Seq, Refusal> {
        let (bob, caller) = &mut self.bob;
        let head = bob.head(&self.relay, "garden", PostKind::Text, text.as_bytes());
        let seq = send(&self.relay, caller, &bob.signed(&head, text.as_bytes()))?;
        (bob.number, bob.previous) = (head.number, post_hash(&head.layout()));
        Ok(seq)
    }

    fn bob_joins(&mut self) -> Result<Seq, Refusal> {
        let (bob, caller) = &mut self.bob;
        let head = bob.head(&self.relay, "garden", PostKind::Join, b"");
        let seq = send(&self.relay, caller, &bob.signed(&head, b""))?;
        (bob.number, bob.previous) = (head.number, post_hash(&head.layout()));
        Ok(seq)
    }

    fn members(&mut self) -> Vec<String> {
        let request = Request::Members { room: "garden".parse().unwrap(), after: None };
        match ask(&self.relay, &mut self.alice.1, request) {
            Ok(Answer::Members(members)) => members.into_iter().map(|member| member.name.to_string()).collect(),
            other => panic!("members, not {other:?}"),
        }
    }

    /// What Alice says about Bob.
    fn about_bob(&mut self, kind: PostKind, reason: &str) -> Post {
        about(&self.relay, &mut self.alice.0, kind, &self.bob.0, reason)
    }
}

/// The next post of somebody about somebody.
fn about(relay: &Relay<Memory>, author: &mut Person, kind: PostKind, whom: &Person, reason: &str) -> Post {
    let post = only_signed(relay, author, kind, whom, reason);
    (author.number, author.previous) = (author.number + 1, post_hash(&post.head.body.0));
    post
}

fn only_signed(relay: &Relay<Memory>, author: &Person, kind: PostKind, whom: &Person, reason: &str) -> Post {
    let body = sealpost_spec::room::Person { name: whom.name.clone(), reason: reason.to_owned() }.layout();
    let target_hash = PostHash(whom.account.key().0);
    let head = PostHead { target_hash, ..author.head(relay, "garden", kind, &body) };
    author.signed(&head, &body)
}

fn made(
    relay: &Relay<Memory>,
    caller: &mut Caller,
    room: &str,
    shown: Option<Signed>,
) -> Result<Option<Signed>, Refusal> {
    match ask(relay, caller, Request::Room { room: room.parse().unwrap(), receipt: shown })? {
        Answer::Room { receipt } => Ok(receipt),
        other => panic!("a room, not {other:?}"),
    }
}

fn creator(relay: &Relay<Memory>, receipt: &Option<Signed>) -> Option<RoomReceipt> {
    receipt.as_ref().map(|receipt| verify_room(receipt, relay.public_key()).unwrap())
}

/// [ROOM-12] who made a room stands in its receipt; nobody made the lobby.
#[test]
fn a_receipt_names_who_made_the_room() {
    let mut garden = Garden::new();
    let receipt = made(&garden.relay, &mut garden.bob.1, "garden", None).unwrap();
    let wanted = RoomReceipt {
        room: "garden".parse().unwrap(),
        name: garden.alice.0.name.clone(),
        account: garden.alice.0.account.key(),
        time: NOW,
    };
    assert_eq!(creator(&garden.relay, &receipt), Some(wanted));
    talk(&garden.relay, &mut Person::new("dave", 40), &mut enters(&garden.relay, "dave", 40).1, "lobby", &[]);
    assert_eq!(made(&garden.relay, &mut garden.bob.1, "lobby", None), Ok(None));
    assert_eq!(made(&garden.relay, &mut garden.bob.1, "nowhere", None), Err(Refusal::NoSuchRoom));
    let mut before_login = link(&garden.relay, LinkKind::Authenticated);
    assert_eq!(made(&garden.relay, &mut before_login, "garden", None), Err(Refusal::WrongLink));
}

/// [ROOM-14] a relay that lost its store learns from anybody's receipt who made a room; a later one, another relay's and
/// another room's change nothing.
#[test]
fn a_receipt_outlives_the_store() {
    let mut garden = Garden::new();
    let receipt = made(&garden.relay, &mut garden.bob.1, "garden", None).unwrap();
    let after = over(Memory::new([8; 16]), |_| {});
    let (mut mallory, mut m) = enters(&after, "mallory", 66);
    // Faster than everybody who was there.
    let joins = mallory.says(&after, "garden", PostKind::Join, b"", None);
    ask_at(&after, NOW + 1, &mut m, Request::Post(joins)).unwrap();
    let mallorys = made(&after, &mut m, "garden", None).unwrap();
    assert_eq!(creator(&after, &mallorys).unwrap().account, mallory.account.key());
    let (_, mut b) = enters(&after, "bob", 20);
    assert_eq!(made(&after, &mut b, "garden", receipt.clone()), Ok(receipt.clone()));
    assert_eq!(made(&after, &mut m, "garden", mallorys), Ok(receipt.clone()), "the earlier one counts");
    assert_eq!(made(&after, &mut b, "den", receipt.clone()), Err(Refusal::NoSuchRoom));
    let mut bent = receipt.clone().unwrap();
    *bent.body.0.last_mut().unwrap() ^= 1;
    assert_eq!(made(&after, &mut b, "garden", Some(bent)), Err(Refusal::BadSignature));

    let empty = over(Memory::new([9; 16]), |_| {});
    let (_, mut b) = enters(&empty, "bob", 20);
    assert_eq!(made(&empty, &mut b, "garden", receipt.clone()), Ok(receipt.clone()));
    let (mut alice, mut a) = enters(&empty, "alice", 10);
    for post in &garden.alices {
        send(&empty, &mut a, post).unwrap();
    }
    (alice.number, alice.previous) = (garden.alice.0.number, garden.alice.0.previous);
    let topic = alice.says(&empty, "garden", PostKind::Topic, b"roses", None);
    assert!(send(&empty, &mut a, &topic).is_ok(), "she moderates still");
}

/// [ROOM-14] whoever made the room while its creator was away, and banned her, keeps her out until her receipt is shown.
#[test]
fn a_usurpers_ban_ends_with_the_creators_receipt() {
    let mut garden = Garden::new();
    let receipt = made(&garden.relay, &mut garden.bob.1, "garden", None).unwrap();
    let after = over(Memory::new([8; 16]), |_| {});
    let (mut mallory, mut m) = enters(&after, "mallory", 66);
    let joins = mallory.says(&after, "garden", PostKind::Join, b"", None);
    ask_at(&after, NOW + 1, &mut m, Request::Post(joins)).unwrap();
    let (alice, mut a) = enters(&after, "alice", 10);
    let ban = about(&after, &mut mallory, PostKind::Ban, &alice, "mine now");
    send(&after, &mut m, &ban).unwrap();
    assert_eq!(
        send(&after, &mut a, &garden.alices[0]),
        Err(Refusal::BannedFromRoom { reason: "mine now".to_owned() }),
        "nobody has shown whose it is"
    );
    made(&after, &mut a, "garden", receipt).unwrap();
    for post in &garden.alices {
        send(&after, &mut a, post).unwrap();
    }
    let again = about(&after, &mut mallory, PostKind::Ban, &alice, "mine");
    assert_eq!(send(&after, &mut m, &again), Err(Refusal::NotCreator));
}

/// [ROOM-15] [THREAT-26] nobody but the creator moderates, not even in the lobby; and a creator who has left does not.
#[test]
fn only_the_creator_moderates() {
    let mut garden = Garden::new();
    let (mut dave, mut d) = enters(&garden.relay, "dave", 40);
    talk(&garden.relay, &mut dave, &mut d, "garden", &[]);
    for kind in [PostKind::Kick, PostKind::Ban, PostKind::Unban] {
        let post = only_signed(&garden.relay, &dave, kind, &garden.bob.0, "go");
        assert_eq!(send(&garden.relay, &mut d, &post), Err(Refusal::NotCreator), "{kind:?}");
        // Nor does anybody end their own membership so.
        let post = only_signed(&garden.relay, &dave, kind, &dave, "go");
        assert_eq!(send(&garden.relay, &mut d, &post), Err(Refusal::Malformed), "{kind:?}");
    }
    let topic = dave.signed(&dave.head(&garden.relay, "garden", PostKind::Topic, b"weeds"), b"weeds");
    assert_eq!(send(&garden.relay, &mut d, &topic), Err(Refusal::NotCreator));
    let mut remove = dave.head(&garden.relay, "garden", PostKind::Remove, b"");
    remove.target = PostHead::parse(&garden.alices[1].head.body.0).unwrap().id;
    remove.target_hash = post_hash(&garden.alices[1].head.body.0);
    assert_eq!(send(&garden.relay, &mut d, &dave.signed(&remove, b"")), Err(Refusal::NotCreator));
    assert_eq!(garden.members(), ["alice", "bob", "carol", "dave"]);

    let (mut erin, mut e) = enters(&garden.relay, "erin", 50);
    talk(&garden.relay, &mut erin, &mut e, "lobby", &[]);
    let topic = erin.signed(&erin.head(&garden.relay, "lobby", PostKind::Topic, b"mine"), b"mine");
    assert_eq!(send(&garden.relay, &mut e, &topic), Err(Refusal::NotCreator));

    let leaves = garden.alice.0.says(&garden.relay, "garden", PostKind::Leave, b"", None);
    garden.alice_says(&leaves).unwrap();
    let kick = garden.about_bob(PostKind::Kick, "");
    assert_eq!(garden.alice_says(&kick), Err(Refusal::NotMember));
}

/// [ROOM-17] a kick ends a membership, and whoever was kicked may join again; the same kick again changes nothing.
#[test]
fn a_kick_ends_a_membership() {
    let mut garden = Garden::new();
    let kick = garden.about_bob(PostKind::Kick, "off topic");
    let seq = garden.alice_says(&kick).unwrap();
    assert_eq!(garden.members(), ["alice", "carol"]);
    assert_eq!(garden.bob_says("hey"), Err(Refusal::NotMember));
    garden.bob_joins().unwrap();
    garden.bob_says("back").unwrap();
    assert_eq!(garden.alice_says(&kick), Ok(seq), "it is there already");
    assert_eq!(garden.members(), ["alice", "bob", "carol"]);
    follow(&garden.relay, &mut garden.carol.1, "garden", seq.0 - 1).unwrap();
    assert_eq!(posts(pushes(&garden.relay, &mut garden.carol.1))[0], kick, "everybody sees it, and why");
}

/// [ROOM-17] [THREAT-24] a ban keeps out until an unban; a ban that is played again after it changes nothing.
#[test]
fn a_ban_keeps_out() {
    let mut garden = Garden::new();
    let ban = garden.about_bob(PostKind::Ban, "spam");
    let seq = garden.alice_says(&ban).unwrap();
    let banned = Err(Refusal::BannedFromRoom { reason: "spam".to_owned() });
    assert_eq!(garden.members(), ["alice", "carol"]);
    assert_eq!((garden.bob_says("hey"), garden.bob_joins()), (banned.clone(), banned.clone()));
    let again = garden.about_bob(PostKind::Ban, "and again");
    garden.alice_says(&again).unwrap();
    assert_eq!(garden.bob_joins(), Err(Refusal::BannedFromRoom { reason: "and again".to_owned() }));
    let unban = garden.about_bob(PostKind::Unban, "");
    garden.alice_says(&unban).unwrap();
    assert_eq!(garden.bob_says("hey"), Err(Refusal::NotMember), "he has to join again");
    garden.bob_joins().unwrap();
    assert_eq!(garden.alice_says(&ban), Ok(seq));
    garden.bob_says("still here").unwrap();
    // Another room is another room.
    let ban = garden.about_bob(PostKind::Ban, "");
    garden.alice_says(&ban).unwrap();
    let mut elsewhere = Person::new("bob", 20);
    assert!(
        send(&garden.relay, &mut garden.bob.1, &elsewhere.says(&garden.relay, "lobby", PostKind::Join, b"", None))
            .is_ok()
    );
}

/// [ROOM-17] who is meant is the account: somebody else who has the name by now is left alone.
#[test]
fn a_kick_means_an_account() {
    let mut garden = Garden::new();
    let impostor = Person::new("bob", 66);
    let kick = about(&garden.relay, &mut garden.alice.0, PostKind::Ban, &impostor, "");
    garden.alice_says(&kick).unwrap();
    assert_eq!(garden.members(), ["alice", "bob", "carol"]);
    garden.bob_says("not me").unwrap();
}

/// [ROOM-6] [ROOM-15] the creator removes anybody's post: its body is gone from the store, its place stays.
#[test]
fn a_creator_removes_posts() {
    let mut garden = Garden::new();
    let marker = b"buy my weeds";
    let advert = garden.bob.0.says(&garden.relay, "garden", PostKind::Text, marker, None);
    let seq = send(&garden.relay, &mut garden.bob.1, &advert).unwrap();
    follow(&garden.relay, &mut garden.carol.1, "garden", seq.0 - 1).unwrap();
    assert_eq!(posts(pushes(&garden.relay, &mut garden.carol.1)), std::slice::from_ref(&advert));
    let mut wrong = garden.alice.0.head(&garden.relay, "garden", PostKind::Remove, b"");
    wrong.target = PostHead::parse(&advert.head.body.0).unwrap().id;
    let wrong = garden.alice.0.signed(&wrong, b"");
    assert_eq!(garden.alice_says(&wrong), Err(Refusal::NoSuchPost), "another hash");
    let remove = garden.alice.0.says(&garden.relay, "garden", PostKind::Remove, b"", Some(&advert));
    garden.alice_says(&remove).unwrap();
    assert_eq!(posts(pushes(&garden.relay, &mut garden.carol.1)), [remove]);
    follow(&garden.relay, &mut garden.carol.1, "garden", seq.0 - 1).unwrap();
    let now = posts(pushes(&garden.relay, &mut garden.carol.1));
    assert_eq!((&now[0].head, &now[0].body), (&advert.head, &None));
    let held = garden.relay.store().contents();
    assert!(!held.iter().any(|bytes| bytes.windows(marker.len()).any(|window| window == marker)));
}

/// [ROOM-16] what stands on a screen beside a room or a name is one bounded line.
#[test]
fn lines_are_bounded() {
    let mut garden = Garden::new();
    for (kind, most) in [(PostKind::Topic, MAX_TOPIC), (PostKind::Name, MAX_DISPLAY_NAME), (PostKind::Away, MAX_AWAY)] {
        let alice = &garden.alice.0;
        let says = |body: &[u8]| alice.signed(&alice.head(&garden.relay, "garden", kind, body), body);
        let bad = [says(&vec![b'x'; most + 1]), says(b"a\nb"), says(b"\x1b[2J"), says(b"\xff")];
        let large = Err(Refusal::TooLarge { limit: most as u64 });
        let answers = bad.map(|post| send(&garden.relay, &mut garden.alice.1, &post));
        assert_eq!(answers, [large, Err(Refusal::Malformed), Err(Refusal::Malformed), Err(Refusal::Malformed)]);
        let good = garden.alice.0.says(&garden.relay, "garden", kind, &vec![b'x'; most], None);
        garden.alice_says(&good).unwrap();
    }
    let long = only_signed(&garden.relay, &garden.alice.0, PostKind::Kick, &garden.bob.0, &"x".repeat(MAX_TOPIC + 1));
    assert!(matches!(garden.alice_says(&long), Err(Refusal::TooLarge { .. })));
    let bent = only_signed(&garden.relay, &garden.alice.0, PostKind::Kick, &garden.bob.0, "a\nb");
    assert_eq!(garden.alice_says(&bent), Err(Refusal::Malformed));
    let nobody = Post { body: None, ..garden.about_bob(PostKind::Kick, "") };
    assert_eq!(garden.alice_says(&nobody), Err(Refusal::Malformed));
    assert_eq!(garden.members(), ["alice", "bob", "carol"]);
}

/// [ROOM-17] [RELAY-15] a room has so many bans and no more; one that is there may be given again.
#[test]
fn bans_are_bounded() {
    let mut garden = Garden::new();
    for number in 0..MAX_ROOM_BANS as u64 {
        let mut whom = only_signed(&garden.relay, &garden.alice.0, PostKind::Ban, &garden.bob.0, "");
        let mut head = PostHead::parse(&whom.head.body.0).unwrap();
        head.target_hash.0[..8].copy_from_slice(&number.to_le_bytes());
        whom.head = garden.alice.0.secret.sign_post(&head);
        garden.alice_says(&whom).unwrap();
        (garden.alice.0.number, garden.alice.0.previous) = (head.number, post_hash(&whom.head.body.0));
    }
    let one_more = only_signed(&garden.relay, &garden.alice.0, PostKind::Ban, &garden.bob.0, "");
    assert_eq!(garden.alice_says(&one_more), Err(Refusal::QuotaReached { limit: 1_000 }));
    assert!(garden.bob_says("spared").is_ok());
}

/// [ROOM-4] whoever comes in again leaves out what was refused as long as they were out: nothing else may.
#[test]
fn a_join_leaves_out_what_was_refused() {
    let mut garden = Garden::new();
    let kick = garden.about_bob(PostKind::Kick, "");
    garden.alice_says(&kick).unwrap();
    let (bob, caller) = &mut garden.bob;
    let refused = bob.says(&garden.relay, "garden", PostKind::Text, b"said before the store was lost", None);
    assert_eq!(send(&garden.relay, caller, &refused), Err(Refusal::NotMember));
    let text = bob.signed(&bob.head(&garden.relay, "garden", PostKind::Text, b"hi"), b"hi");
    assert_eq!(send(&garden.relay, caller, &text), Err(Refusal::PostOutOfOrder { wanted: 2 }));
    let joins = bob.says(&garden.relay, "garden", PostKind::Join, b"", None);
    let edits = bob.says(&garden.relay, "garden", PostKind::Edit, b"never mind", Some(&refused));
    for post in [&joins, &edits] {
        assert!(send(&garden.relay, caller, post).is_ok());
    }
    assert_eq!(send(&garden.relay, caller, &refused), Err(Refusal::PostOutOfOrder { wanted: 5 }), "its time is over");
    assert_eq!(garden.members(), ["alice", "bob", "carol"]);
}
