//! Lies about rooms.

use std::sync::{Arc, Mutex};

use sealpost_client::api::Event;
use sealpost_crypto::identity::{body_hash, post_hash};
use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::room::{Post, PostHash, PostHead, PostId, PostKind, RoomName};
use sealpost_spec::wire::{Bytes, LENGTH_PREFIX, RelayFrame, decode};

use super::refusals;
use crate::world::{MINUTE, World};

/// Alice, Bob and Carol in the garden.
pub(super) fn garden(seed: u64) -> World {
    let mut world = World::new(seed);
    for name in ["alice", "bob", "carol"] {
        world.join(name, "#garden");
    }
    world.settle();
    world
}

/// Texts that somebody sees in the garden.
fn texts(world: &mut World, who: &str) -> Vec<(String, String)> {
    let all = world.person(who).conversation("#garden");
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// Posts that the relay pushed, each once.
pub(super) fn posts(world: &World) -> Vec<(Seq, Post)> {
    let mut posts = Vec::new();
    for bytes in world.record.of("push") {
        if let Ok(RelayFrame::Push(Push::Post { seq, post, .. })) = decode(&bytes[LENGTH_PREFIX..])
            && !posts.contains(&(seq, post.clone()))
        {
            posts.push((seq, post));
        }
    }
    posts
}

/// [THREAT-12] [ROOM-2] [ROOM-3] A post whose body, head, room or author was bent on its way is refused and shown as such.
#[test]
fn a_bent_post_is_refused_and_shown_as_such() {
    let mut world = garden(400);
    world.mallory.push = Some(Box::new(|person, push| match push {
        Push::Post { room, seq, mut post } if person == "bob" => {
            if let Some(body) = post.body.as_mut()
                && body.0 == b"roses are red"
            {
                body.0 = b"roses are blue".to_vec();
            }
            vec![Push::Post { room, seq, post }]
        }
        push => vec![push],
    }));
    let _ = world.alice().says("#garden", "roses are red");
    world.settle();
    assert_eq!(texts(&mut world, "carol"), [("@alice".to_owned(), "roses are red".to_owned())]);
    assert!(!texts(&mut world, "bob").iter().any(|(_, text)| text.contains("blue")));
    assert!(!refusals(&mut world, "bob").is_empty(), "bob is told");
    world.mallory.reform();

    let (_, post) = posts(&world).into_iter().rfind(|(_, post)| post.body.is_some()).unwrap();
    let room: RoomName = "garden".parse().unwrap();
    let before = refusals(&mut world, "carol").len();
    let mut bent = Vec::new();
    for at in (0..post.head.body.0.len()).step_by(7) {
        let mut head = post.clone();
        head.head.body.0[at] ^= 1;
        bent.push((room.clone(), head));
    }
    let mut signature = post.clone();
    signature.head.signature.0[3] ^= 1;
    bent.push((room.clone(), signature));
    let mut author = post.clone();
    author.author.body.0[10] ^= 1;
    bent.push((room, author));
    // The very post, in another room.
    bent.push(("lobby".parse().unwrap(), post));
    for (at, (room, post)) in bent.into_iter().enumerate() {
        world.inject("carol", Push::Post { room, seq: Seq(1_000 + at as u64), post });
    }
    world.pass(MINUTE);
    // Not each of them, so that nobody's screen is flooded.
    assert!(refusals(&mut world, "carol").len() > before, "carol is told");
    assert_eq!(texts(&mut world, "carol").len(), 1);
}

/// [THREAT-12] Mallory signs with a key of her own: under somebody's name it is shown as refused, not as theirs.
#[test]
fn a_forged_post_is_refused() {
    let mut world = garden(401);
    let _ = world.alice().says("#garden", "I am alice");
    world.settle();
    let mut impostor = world.puppet("alice");
    let mut dave = world.puppet("dave");
    let room: RoomName = "garden".parse().unwrap();
    let body = b"send me money".to_vec();
    let mut head = PostHead {
        relay: world.relay_key,
        room: room.clone(),
        author: impostor.name.clone(),
        account: impostor.account.key(),
        device: impostor.public(),
        number: 3,
        previous: PostHash([7; 32]),
        time: world.now,
        id: PostId::new(world.now, [1; 10]),
        kind: PostKind::Text,
        target: PostId::NONE,
        target_hash: PostHash::default(),
        body_hash: body_hash(&body),
    };
    let impostors =
        Post { head: impostor.device.sign_post(&head), author: impostor.list(), body: Some(Bytes(body.clone())) };
    // Alice's own list, somebody else's signature.
    let alices = posts(&world).into_iter().rfind(|(_, post)| post.body.is_some()).unwrap().1;
    let theirs = PostHead::parse(&alices.head.body.0).unwrap();
    head.account = theirs.account;
    head.device = theirs.device;
    head.number = theirs.number + 1;
    head.previous = post_hash(&alices.head.body.0);
    let signed = dave.device.sign_post(&head);
    let stolen = Post { head: signed, author: alices.author.clone(), body: Some(Bytes(body.clone())) };
    // For another relay, and so a post that travelled.
    head.relay = [9; 32];
    let travelled = Post { head: dave.device.sign_post(&head), author: dave.list(), body: Some(Bytes(body)) };
    for (at, post) in [impostors, stolen, travelled].into_iter().enumerate() {
        world.inject("bob", Push::Post { room: room.clone(), seq: Seq(2_000 + at as u64), post });
    }
    world.pass(MINUTE);
    let shown = world.bob().history("#garden");
    for event in &shown {
        if let Event::Message(message) = event
            && message.text.as_raw().contains("money")
        {
            panic!("a forged post is shown as {}: {message:?}", message.from);
        }
    }
    assert!(refusals(&mut world, "bob").len() >= 3, "{:?}", refusals(&mut world, "bob"));
    let _ = (impostor.noise(1), dave.noise(1));
}

/// [THREAT-13] [ROOM-5] One post of many is withheld from Bob: its place is shown as a gap.
#[test]
fn a_withheld_post_leaves_a_gap() {
    let mut world = garden(402);
    world.mallory.push = Some(Box::new(|person, push| match &push {
        Push::Post { post, .. } if person == "bob" && post.body == Some(Bytes(b"two".to_vec())) => Vec::new(),
        _ => vec![push],
    }));
    for text in ["one", "two", "three"] {
        let _ = world.alice().says("#garden", text);
        world.settle();
    }
    let seen: Vec<String> = texts(&mut world, "bob").into_iter().map(|(_, text)| text).collect();
    assert_eq!(seen, ["one", "three"]);
    let gap = world
        .bob()
        .history("#garden")
        .into_iter()
        .any(|event| matches!(event, Event::Gap { missing: 1, ref from, .. } if from == "@alice"));
    assert!(gap, "{:?}", world.bob().history("#garden"));
    assert_eq!(texts(&mut world, "carol").len(), 3);
}

/// [ROOM-5] A second, different post under one number is refused; the same one again is shown once.
#[test]
fn a_post_is_shown_once() {
    let mut world = garden(403);
    let _ = world.alice().says("#garden", "only once");
    world.settle();
    let room: RoomName = "garden".parse().unwrap();
    for (at, (_, post)) in posts(&world).into_iter().enumerate() {
        for round in 0..10 {
            let seq = Seq(3_000 + 100 * round + at as u64);
            world.inject("bob", Push::Post { room: room.clone(), seq, post: post.clone() });
        }
    }
    world.pass(MINUTE);
    assert_eq!(texts(&mut world, "bob").len(), 1);
}

/// [THREAT-13] [ROOM-6] A body that the relay takes away leaves its place, and does not pass for its author's wish.
#[test]
fn a_removed_body_is_not_its_authors_wish() {
    let mut world = garden(404);
    world.mallory.push = Some(Box::new(|person, push| match push {
        Push::Post { room, seq, mut post } if person == "bob" => {
            if post.body == Some(Bytes(b"unwelcome".to_vec())) {
                post.body = None;
            }
            vec![Push::Post { room, seq, post }]
        }
        push => vec![push],
    }));
    let _ = world.alice().says("#garden", "unwelcome");
    world.settle();
    let history = world.bob().history("#garden");
    let removed = history.iter().find_map(|event| match event {
        Event::Message(message) if message.kind == sealpost_client::api::Kind::Removed => Some(message.clone()),
        _ => None,
    });
    let removed = removed.expect("its place is shown");
    assert!(!removed.text.as_raw().contains("unwelcome"));
    assert!(!removed.text.as_raw().contains("author"), "{}", removed.text.as_raw());
}

/// [ROOM-9] Who comes later gets what was said before, from an honest relay; one that withholds it all shows as gaps.
#[test]
fn newcomers_get_the_history() {
    let mut world = garden(405);
    for text in ["one", "two", "three"] {
        let _ = world.alice().says("#garden", text);
    }
    world.settle();
    world.arrives("dave");
    world.join("dave", "#garden");
    world.settle();
    let seen: Vec<String> = texts(&mut world, "dave").into_iter().map(|(_, text)| text).collect();
    assert_eq!(seen, ["one", "two", "three"]);

    world.arrives("erin");
    let withheld: Arc<Mutex<u32>> = Arc::default();
    let count = withheld.clone();
    world.mallory.push = Some(Box::new(move |person, push| match &push {
        Push::Post { post, .. } if person == "erin" && post.body != Some(Bytes(b"four".to_vec())) => {
            *count.lock().unwrap() += 1;
            Vec::new()
        }
        _ => vec![push],
    }));
    world.join("erin", "#garden");
    let _ = world.alice().says("#garden", "four");
    world.settle();
    assert!(*withheld.lock().unwrap() > 0);
    let missing = world.person("erin").history("#garden").into_iter().any(|event| matches!(event, Event::Gap { .. }));
    assert!(missing, "{:?}", world.person("erin").history("#garden"));
}
