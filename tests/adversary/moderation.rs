//! Lies about who decides in a room.

use sealpost_client::api::{Command, ErrorCode, Event, Kind};
use sealpost_crypto::identity::{RelaySecret, post_hash};
use sealpost_spec::account::{AccountKey, Name};
use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::room::{Person, Post, PostHash, PostHead, PostKind, RoomName, RoomReceipt};
use sealpost_spec::wire::Bytes;
use sealpost_tests::mallory::lies::rooms::{forged_decision, names_another_creator};

use super::refusals;
use super::rooms::{garden, posts};
use crate::world::actor::error_of;
use crate::world::puppet::Puppet;
use crate::world::{HOUR, MINUTE, World};

fn room() -> RoomName {
    "garden".parse().unwrap()
}

fn decide(kind: PostKind, name: &str, reason: &str) -> Command {
    let (room, name, reason) = ("#garden".to_owned(), name.to_owned(), Some(reason.to_owned()));
    match kind {
        PostKind::Kick => Command::Kick { room, name, reason },
        PostKind::Ban => Command::Ban { room, name, reason },
        _ => Command::Unban { room, name, reason },
    }
}

/// Whether somebody's client takes itself for a member.
fn is_in(world: &mut World, who: &str) -> bool {
    let listed = world.person(who).asks(Command::Conversations);
    listed
        .iter()
        .any(|event| matches!(event, Event::Conversation { name, joined: Some(true), .. } if name == "#garden"))
}

fn topic(world: &mut World, who: &str) -> Option<String> {
    let told = world.person(who).asks(Command::Topic { room: "#garden".to_owned(), text: None });
    told.into_iter().find_map(|event| match event {
        Event::Conversation { topic, .. } => topic.map(|topic| topic.as_raw().to_owned()),
        _ => None,
    })
}

/// What somebody decides about somebody, signed by keys in the test's hands.
fn signed(world: &World, by: &Puppet, kind: PostKind, whom: &Name, key: AccountKey) -> Post {
    forged_decision(by, world.relay_key, room(), kind, (whom, key), world.now)
}

/// The posts of this kind that the relay pushed.
fn of_kind(world: &World, kind: PostKind) -> Vec<Post> {
    let is = |post: &Post| PostHead::parse(&post.head.body.0).is_ok_and(|head| head.kind == kind);
    posts(world).into_iter().map(|(_, post)| post).filter(is).collect()
}

/// [THREAT-24] [ROOM-15] A kick that Mallory signs in the creator's name, and a real one that was bent to mean somebody
/// else, put nobody out.
#[test]
fn a_forged_kick_puts_nobody_out() {
    let mut world = garden(420);
    let (bob, carol) = (world.devices_of("bob").account, world.devices_of("carol").account);
    let impostor = world.puppet("alice");
    for kind in [PostKind::Kick, PostKind::Ban] {
        let forged = signed(&world, &impostor, kind, &"bob".parse().unwrap(), bob);
        world.inject("bob", Push::Post { room: room(), seq: Seq(900), post: forged });
    }
    world.pass(MINUTE);
    assert!(is_in(&mut world, "bob"));
    let told = world.alice().asks(decide(PostKind::Kick, "carol", "off topic"));
    assert_eq!(error_of(&told), None, "{told:?}");
    world.settle();
    assert!(!is_in(&mut world, "carol"), "a real one does");
    let real = of_kind(&world, PostKind::Kick).pop().expect("it was pushed");
    let mut bent = PostHead::parse(&real.head.body.0).unwrap();
    bent.target_hash = PostHash(bob.0);
    let mut post = real.clone();
    post.head.body.0 = bent.layout();
    world.inject("bob", Push::Post { room: room(), seq: Seq(901), post });
    // The same with another body: what the head does not hash is not shown.
    let mut post = real;
    post.body = Some(Bytes(Person { name: "bob".parse().unwrap(), reason: String::new() }.layout()));
    world.inject("bob", Push::Post { room: room(), seq: Seq(902), post });
    world.pass(MINUTE);
    assert!(is_in(&mut world, "bob"));
    assert!(!refusals(&mut world, "bob").is_empty(), "bob is told");
    assert_ne!(bob, carol);
}

/// [THREAT-26] [ROOM-15] Somebody who is a member and has not made the room decides nothing in it: not through the relay,
/// and not where a relay lets it through.
#[test]
fn only_who_made_a_room_decides_in_it() {
    let mut world = garden(421);
    let told = world.carol().asks(decide(PostKind::Kick, "bob", "I want to"));
    assert_eq!(error_of(&told), Some(ErrorCode::Refused));
    let mut dave = world.puppet("dave");
    let bob = world.devices_of("bob").account;
    for kind in [PostKind::Kick, PostKind::Ban] {
        let post = signed(&world, &dave, kind, &"bob".parse().unwrap(), bob);
        for who in ["alice", "bob", "carol"] {
            world.inject(who, Push::Post { room: room(), seq: Seq(910), post: post.clone() });
        }
    }
    world.pass(MINUTE);
    for who in ["alice", "bob", "carol"] {
        assert!(is_in(&mut world, who), "{who}");
        let history = world.person(who).history("#garden");
        let shown =
            |event: &Event| matches!(event, Event::Message(message) if matches!(message.kind, Kind::Kick | Kind::Ban));
        assert!(!history.iter().any(shown), "{who}");
        assert!(refusals(&mut world, who).iter().any(|reason| reason.contains("not who made the room")), "{who}");
    }
    let _ = dave.noise(1);
}

/// [THREAT-24] [ROOM-18] What the creator decided once does not count again: a kick and a ban that are played again after
/// the unban, to whom they meant and to a newcomer, and an old topic after a newer one.
#[test]
fn old_decisions_do_not_come_back() {
    let mut world = garden(422);
    for text in ["roses", "tulips"] {
        let told = world.alice().asks(Command::Topic { room: "#garden".to_owned(), text: Some(text.to_owned()) });
        assert_eq!(error_of(&told), None, "{told:?}");
    }
    for kind in [PostKind::Kick, PostKind::Ban, PostKind::Unban] {
        let told = world.alice().asks(decide(kind, "bob", "spam"));
        assert_eq!(error_of(&told), None, "{kind:?}: {told:?}");
        world.settle();
        assert!(!is_in(&mut world, "bob"));
        if kind == PostKind::Ban {
            let told = world.bob().asks(Command::Join { room: "#garden".to_owned() });
            assert_eq!(error_of(&told), Some(ErrorCode::Refused), "he is banned");
            assert!(format!("{told:?}").contains("spam"), "and is told why");
        }
    }
    world.join("bob", "#garden");
    world.settle();
    world.arrives("dave");
    world.join("dave", "#garden");
    world.settle();
    let mut old = Vec::new();
    for kind in [PostKind::Topic, PostKind::Kick, PostKind::Ban] {
        old.extend(of_kind(&world, kind));
    }
    assert_eq!(old.len(), 4);
    for who in ["bob", "dave", "carol"] {
        for (at, post) in old.iter().enumerate() {
            world.inject(who, Push::Post { room: room(), seq: Seq(5_000 + at as u64), post: post.clone() });
        }
    }
    world.pass(MINUTE);
    for who in ["bob", "dave", "carol"] {
        assert!(is_in(&mut world, who), "{who}");
        assert_eq!(topic(&mut world, who).as_deref(), Some("tulips"), "{who}");
    }
    let _ = world.bob().says("#garden", "here again");
    world.settle();
    assert!(world.carol().conversation("#garden").iter().any(|(_, text)| text == "here again"));
}

/// [THREAT-25] [ROOM-13] Mallory names another creator to those who know the room: told, and nothing changes. Her receipt
/// for another room, and one that she did not sign, count for nobody.
#[test]
fn a_creator_is_not_replaced() {
    let mut world = garden(423);
    let mut dave = world.puppet("dave");
    let (key, alice) = (dave.account.key(), world.devices_of("alice").account);
    let pinned = |world: &mut World, who: &str| {
        let listed = world.person(who).asks(Command::Conversations);
        listed.into_iter().find_map(|event| match event {
            Event::Conversation { name, creator, .. } if name == "#garden" => creator,
            _ => None,
        })
    };
    assert_eq!(pinned(&mut world, "bob").as_deref(), Some("@alice"));
    world.mallory = names_another_creator(world.relay_secret(), "dave".parse().unwrap(), key);
    world.lose_store();
    world.pass(2 * HOUR);
    world.settle();
    assert_eq!(pinned(&mut world, "bob").as_deref(), Some("@alice"));
    assert!(
        refusals(&mut world, "bob").iter().any(|reason| reason.contains("@dave made")),
        "{:?}",
        refusals(&mut world, "bob")
    );
    let bob = world.devices_of("bob").account;
    let post = signed(&world, &dave, PostKind::Ban, &"bob".parse().unwrap(), bob);
    world.inject("bob", Push::Post { room: room(), seq: Seq(7_000), post });
    world.pass(MINUTE);
    assert!(is_in(&mut world, "bob"));

    let other = RelaySecret::generate(&mut world.new_rng());
    let real = world.relay_secret();
    let strange: [(&str, RelaySecret, &str); 2] = [("erin", other, "garden"), ("frank", real, "den")];
    for (who, secret, of) in strange {
        let of: RoomName = of.parse().unwrap();
        world.mallory.answer = Some(Box::new(move |_, request, answer| match request {
            Request::Room { .. } => {
                let lie = RoomReceipt { room: of.clone(), name: "dave".parse().unwrap(), account: alice, time: 1 };
                Ok(Answer::Room { receipt: Some(secret.sign_room(&lie)) })
            }
            _ => answer,
        }));
        world.arrives(who);
        world.join(who, "#garden");
        world.settle();
        assert_eq!(pinned(&mut world, who), None, "{who}");
        assert!(refusals(&mut world, who).iter().any(|reason| reason.contains("not genuine")), "{who}");
    }
    let _ = (dave.noise(1), post_hash(b""));
}
