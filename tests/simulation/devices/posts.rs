//! What a device posts that its account has dropped.

use std::sync::{Arc, Mutex};

use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::room::{Post, RoomName};

use super::*;

/// Whether somebody sees this text in the lobby.
fn sees(world: &mut World, who: &str, text: &str) -> bool {
    world.person(who).conversation("#lobby").iter().any(|(_, other)| other == text)
}

/// From now on, what somebody posts is kept from all these people.
fn keeps_back(world: &mut World, text: &'static str, from: &'static [&'static str]) -> Arc<Mutex<Vec<Post>>> {
    let kept: Arc<Mutex<Vec<Post>>> = Arc::default();
    let all = Arc::clone(&kept);
    world.mallory.push = Some(Box::new(move |person, push| match push {
        Push::Post { post, .. }
            if from.contains(&person) && post.body.as_ref().is_some_and(|body| body.0 == text.as_bytes()) =>
        {
            all.lock().unwrap().push(post);
            Vec::new()
        }
        push => vec![push],
    }));
    kept
}

/// [ROOM-20] [THREAT-28] what a relay that has a dropped device's key posts for it is shown to nobody who has the newer list, nor to the
/// account's own devices; what the device had posted before stays where it is.
#[test]
fn a_dropped_device_posts_nothing_more() {
    let mut world = house(350);
    for name in ["alice", "bob", PHONE] {
        world.join(name, "#lobby");
    }
    world.person(PHONE).sends("#lobby", "from the phone", Wait::Sent).unwrap();
    world.settle();
    // Nobody can tell a post that was kept back from one that was made later.
    let kept = keeps_back(&mut world, "made later", &["alice", "bob"]);
    world.person(PHONE).sends("#lobby", "made later", Wait::Sent).unwrap();
    world.settle();
    world.mallory.reform();
    let events = world.alice().asks(Command::DeviceRevoke { device: 2 });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.alice().sends("bob", "my phone was stolen", Wait::Delivered).unwrap();
    world.settle();
    let post = kept.lock().unwrap().first().cloned().unwrap();
    let room: RoomName = "lobby".parse().unwrap();
    for who in ["alice", "bob"] {
        world.inject(who, Push::Post { room: room.clone(), seq: Seq(1_000), post: post.clone() });
        world.pass(MINUTE);
        assert!(!sees(&mut world, who, "made later"), "{who}");
        assert!(sees(&mut world, who, "from the phone"), "{who}");
        let told = world.person(who).events();
        let refused = |event: &Event| matches!(event, Event::Refused { reason, .. } if reason.contains("no more"));
        assert!(told.iter().any(refused), "{who}: {told:?}");
    }
}

/// [ROOM-20] what a device posted before it was dropped comes to those who were away, over a restart as well, and to newcomers.
#[test]
fn what_a_dropped_device_had_posted_stays() {
    let mut world = house(351);
    for name in ["alice", "bob", PHONE] {
        world.join(name, "#lobby");
    }
    world.settle();
    world.bob().leaves();
    world.person(PHONE).sends("#lobby", "while bob was away", Wait::Sent).unwrap();
    let events = world.alice().asks(Command::DeviceRevoke { device: 2 });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.alice().sends("bob", "my phone was stolen", Wait::Sent).unwrap();
    world.settle();
    world.bob().returns();
    world.settle();
    assert!(sees(&mut world, "bob", "while bob was away"));
    let (_, link) = world.alice().me();
    let _ = world.carol().asks(Command::Add { link });
    world.carol().sends("alice", "hello", Wait::Sent).unwrap();
    world.settle();
    world.join("carol", "#lobby");
    world.settle();
    assert!(sees(&mut world, "carol", "while bob was away"));
}
