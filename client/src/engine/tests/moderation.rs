//! Who made a room decides in it.

use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::room::{PostHash, PostId, PostKind, RoomName};

use super::*;
use crate::api::{Kind, Text};
use crate::engine::say::Say;

/// Alice has made the garden, Bob has joined it.
fn garden() -> World {
    let mut world = World::new(&["alice", "bob", "carol"]);
    for who in 0..3 {
        assert!(world.run(who, Command::Join { room: "#garden".into() }).contains(&Event::Done));
        world.pass(10);
    }
    world
}

fn room() -> RoomName {
    "garden".parse().unwrap()
}

fn topic(world: &mut World, who: usize) -> Option<Text> {
    let events = world.run(who, Command::Topic { room: "#garden".into(), text: None });
    events
        .into_iter()
        .find_map(|event| if let Event::Conversation { topic, .. } = event { Some(topic) } else { None })?
}

fn kick(world: &mut World, who: usize, name: &str, reason: &str) -> Vec<Event> {
    let (room, name, reason) = ("#garden".into(), name.into(), Some(reason.into()));
    world.run(who, Command::Kick { room, name, reason })
}

fn is_in(world: &mut World, who: usize) -> bool {
    world.engine(who).rooms.get(&room()).is_some_and(|room| room.joined)
}

fn refusals(world: &World, who: usize) -> Vec<String> {
    let heard = world.people[who].heard.iter();
    heard
        .filter_map(|(_, event)| if let Event::Refused { reason, .. } = event { Some(reason.clone()) } else { None })
        .collect()
}

/// [ROOM-12] [ROOM-13] [ROOM-15] the creator's topic reaches everybody; another one's is not even posted, and one that is
/// posted past the client is shown to nobody.
#[test]
fn only_the_creators_topic_counts() {
    let mut world = garden();
    let set = |text: &str| Command::Topic { room: "#garden".into(), text: Some(text.into()) };
    let told = world.run(0, set("roses"));
    assert_eq!(error_of(&told), None, "{told:?}");
    world.pass(100);
    for who in 0..3 {
        assert_eq!(topic(&mut world, who), Some(Text::new("roses")), "{who}");
    }
    assert_eq!(error_of(&world.run(1, set("weeds"))), Some(ErrorCode::Refused));
    assert_eq!(
        error_of(&world.run(0, Command::Topic { room: "#lobby".into(), text: Some("mine".into()) })),
        Some(ErrorCode::Refused)
    );
    assert_eq!(error_of(&world.run(0, set(&"x".repeat(501)))), Some(ErrorCode::Usage));
    assert_eq!(error_of(&world.run(0, set("two\nlines"))), Some(ErrorCode::Usage));
    world.step(1, |engine| {
        let say = Say { kind: Kind::Topic, ..Say::text("weeds".into()) };
        engine.post_as(&room(), PostKind::Topic, &say, "weeds".into(), (PostId::NONE, PostHash::default()))?;
        engine.offer_posts(&room())
    });
    world.pass(100);
    for who in [0, 2] {
        assert_eq!(topic(&mut world, who), Some(Text::new("roses")), "{who}");
        assert!(!world.history(who, "#garden").iter().any(|line| line.text.as_raw() == "weeds"));
        assert!(refusals(&world, who).iter().any(|reason| reason.contains("not who made the room")), "{who}");
    }
    world.run(0, set(""));
    world.pass(100);
    assert_eq!((topic(&mut world, 0), topic(&mut world, 1)), (None, None));
}

/// [ROOM-18] [THREAT-24] whoever is put out sees by whom and why, and is no member until they join again; the same kick
/// played again, and one that a later join follows, change nothing.
#[test]
fn a_kick_is_shown_and_counts_once() {
    let mut world = garden();
    assert_eq!(error_of(&kick(&mut world, 0, "bob", "off topic")), None);
    let played = world.relay.last_post("garden");
    world.pass(100);
    for who in 0..3 {
        let line =
            world.history(who, "#garden").into_iter().find(|line| line.kind == Kind::Kick).expect("everybody sees it");
        assert_eq!(
            (line.from.as_str(), line.whom.as_deref(), line.text.as_raw()),
            ("@alice", Some("@bob"), "off topic")
        );
    }
    assert_eq!((is_in(&mut world, 1), is_in(&mut world, 2)), (false, true));
    assert_eq!(error_of(&world.send(1, "#garden", "hey")), Some(ErrorCode::NoSuchRoom));
    world.go_offline(1);
    world.come_back(1);
    assert!(!is_in(&mut world, 1), "not by itself");
    assert!(world.run(1, Command::Join { room: "#garden".into() }).contains(&Event::Done));
    world.pass(100);
    assert!(is_in(&mut world, 1));
    for seq in [1, 7, 1_000] {
        let now = world.now;
        let push = Push::Post { room: room(), seq: Seq(seq), post: played.clone() };
        world.engine(1).handle_link(now, LinkEvent::Push(push));
        world.settle();
        assert!(is_in(&mut world, 1), "at {seq}");
    }
    world.restart(1);
    world.come_back(1);
    world.pass(100);
    assert!(is_in(&mut world, 1), "nor after a restart");
}

/// [ROOM-18] a kick that came while one's own join was on its way: the relay's order says whether it is still one's own.
#[test]
fn the_relays_order_says_whether_a_join_came_later() {
    let mut world = garden();
    assert!(world.run(1, Command::Leave { room: "#garden".into() }).contains(&Event::Done));
    kick(&mut world, 0, "bob", "for good measure");
    assert!(world.run(1, Command::Join { room: "#garden".into() }).contains(&Event::Done));
    world.pass(100);
    assert!(is_in(&mut world, 1), "he has joined after it");
    let rule = world.engine(1).rules.get(&room()).unwrap().clone();
    assert!(rule.put_out > Seq(0) && rule.joined_at > rule.put_out);
}

/// [ROOM-15] [THREAT-26] nobody else kicks; a name that nobody has is none; oneself is not put out.
#[test]
fn a_kick_needs_somebody() {
    let mut world = garden();
    assert_eq!(error_of(&kick(&mut world, 1, "carol", "")), Some(ErrorCode::Refused));
    assert_eq!(error_of(&kick(&mut world, 0, "alice", "")), Some(ErrorCode::Usage));
    assert_eq!(error_of(&kick(&mut world, 0, "nobody", "")), Some(ErrorCode::NoSuchName));
    assert_eq!(error_of(&kick(&mut world, 0, "bob", "a\nb")), Some(ErrorCode::Usage));
    let elsewhere = Command::Ban { room: "#den".into(), name: "bob".into(), reason: None };
    assert_eq!(error_of(&world.run(0, elsewhere)), Some(ErrorCode::NoSuchRoom));
    assert!((0..3).all(|who| is_in(&mut world, who)));
}

/// [ROOM-6] [ROOM-15] the creator takes anybody's post away, and everybody sees who did.
#[test]
fn the_creator_removes_a_post() {
    let mut world = garden();
    world.send(1, "#garden", "buy my weeds");
    world.pass(100);
    let id = world.history(0, "#garden").into_iter().find(|line| line.text.as_raw() == "buy my weeds").unwrap().id;
    let delete = |within| Command::Delete { id: Some(id.clone()), within };
    assert_eq!(error_of(&world.run(2, delete(None))), Some(ErrorCode::Usage), "carol has not made it");
    assert_eq!(error_of(&world.run(0, delete(Some("#garden".into())))), None);
    world.pass(100);
    for who in 0..3 {
        let line = world.history(who, "#garden").into_iter().find(|line| line.id == id).expect("its place stays");
        assert_eq!((line.kind, line.text.as_raw()), (Kind::Removed, "removed by the room's creator"), "{who}");
    }
    let told = world.people[2].heard.iter().any(
        |(_, event)| matches!(event, Event::Message(message) if message.id == id && message.kind == Kind::Removed),
    );
    assert!(told, "it stands on carol's screen");
}

/// [ROOM-13] [ROOM-14] [THREAT-25] the first creator that the relay names counts; it gets its receipt back after it has
/// lost its store, and another name is told.
#[test]
fn a_creator_is_pinned() {
    let mut world = garden();
    let creator = |world: &mut World, who: usize| world.engine(who).creator_of(&room()).unwrap().account;
    let (alice, mallory) = (world.engine(0).own.account, world.engine(2).own.account);
    assert_eq!(creator(&mut world, 1), alice);
    world.relay.lose_store(8);
    for who in [1, 0, 2] {
        world.go_offline(who);
        world.come_back(who);
        world.pass(5_000);
    }
    assert_eq!(world.relay.creators[&room()].account, alice, "bob has shown the receipt before alice was back");
    world.run(0, Command::Topic { room: "#garden".into(), text: Some("roses".into()) });
    world.pass(100);
    assert_eq!(topic(&mut world, 1), Some(Text::new("roses")));

    let receipt = world.relay.creators[&room()].clone();
    world.relay.lose_store(9);
    let lie = sealpost_spec::room::RoomReceipt { name: "carol".parse().unwrap(), account: mallory, time: 1, ..receipt };
    world.relay.creators.insert(room(), lie);
    world.go_offline(1);
    world.come_back(1);
    world.pass(5_000);
    assert_eq!(creator(&mut world, 1), alice);
    assert!(
        refusals(&world, 1).iter().any(|reason| reason.contains("now says that @carol made")),
        "{:?}",
        refusals(&world, 1)
    );
}

/// What somebody asks is taken by the relay, and its answers are lost.
fn answers_are_lost(world: &mut World, who: usize) {
    let now = world.now;
    while let Some(transmit) = world.engine(who).poll_transmit() {
        if let Transmit::Authenticated { request, .. } = transmit {
            let _ = world.relay.authenticated(who, now, request);
        }
    }
    world.go_offline(who);
}

/// [ROOM-4] [ROOM-5] what the relay took, and whose answer was lost, others have. Where it has lost its store since and does not
/// take it again, its number is left out like that of any other post: nobody sees two posts under one number.
#[test]
fn a_number_that_others_may_know_is_not_used_again() {
    let mut world = garden();
    let say = |text: &str| Command::Send {
        to: "#garden".into(),
        text: text.into(),
        wait: Wait::Sent,
        timeout_ms: 600_000,
        expire: None,
    };
    let sent = world.give(1, say("before"));
    answers_are_lost(&mut world, 1);
    world.settle();
    assert!(world.history(2, "#garden").iter().any(|line| line.text.as_raw() == "before"), "carol has it");
    world.relay.lose_store(8);
    for who in [0, 2] {
        world.go_offline(who);
        world.come_back(who);
        world.pass(5_000);
    }
    let ban = |kind: fn(String, String) -> Command| kind("#garden".into(), "bob".into());
    assert_eq!(error_of(&world.run(0, ban(|room, name| Command::Ban { room, name, reason: None }))), None);
    world.come_back(1);
    world.pass(20_000);
    assert_eq!(error_of(&world.of(1, sent)), Some(ErrorCode::Refused), "{:?}", world.of(1, sent));
    assert!(!is_in(&mut world, 1));
    assert_eq!(error_of(&world.run(0, ban(|room, name| Command::Unban { room, name, reason: None }))), None);
    assert!(world.run(1, Command::Join { room: "#garden".into() }).contains(&Event::Done));
    assert_eq!(error_of(&world.run(1, say("after"))), None);
    world.pass(20_000);
    for who in [0, 2] {
        assert!(world.history(who, "#garden").iter().any(|line| line.text.as_raw() == "after"), "{who}");
        assert_eq!(refusals(&world, who), [""; 0], "{who}");
    }
    let lost = world.history(1, "#garden").into_iter().find(|line| line.text.as_raw() == "before").unwrap();
    assert_eq!(lost.state, State::NotDelivered);
}

/// [ROOM-10] the operator takes away a topic, a reason and a display name: whoever has them shows them no longer, and what was
/// done stays done.
#[test]
fn what_the_operator_takes_away_is_shown_nowhere() {
    let mut world = garden();
    let mut posts = Vec::new();
    world.run(0, Command::Topic { room: "#garden".into(), text: Some("roses".into()) });
    posts.push(world.relay.last_post("garden"));
    world.run(2, Command::Nick { display: "Rude".into() });
    posts.push(world.relay.last_post("garden"));
    assert_eq!(error_of(&kick(&mut world, 0, "bob", "something rude")), None);
    posts.push(world.relay.last_post("garden"));
    world.pass(100);
    assert_eq!(topic(&mut world, 2), Some(Text::new("roses")));
    let carol = world.engine(2).own.account;
    assert_eq!(world.engine(0).display_of(&carol), Some(Text::new("Rude")));
    for (seq, post) in (900..).zip(posts) {
        let bare = sealpost_spec::room::Post { body: None, ..post };
        for who in 0..3 {
            let now = world.now;
            let push = Push::Post { room: room(), seq: Seq(seq), post: bare.clone() };
            world.engine(who).handle_link(now, LinkEvent::Push(push));
            world.settle();
        }
    }
    // Bob was put out: nothing of the room comes to him any more.
    for who in [0, 2] {
        assert_eq!(topic(&mut world, who), None, "{who}");
        assert_eq!(world.engine(who).display_of(&carol), None, "{who}");
        let said: Vec<String> =
            world.history(who, "#garden").iter().map(|line| line.text.as_raw().to_owned()).collect();
        assert!(said.iter().all(|text| !text.contains("rude") && !text.contains("roses")), "{said:?}");
    }
    assert_eq!((is_in(&mut world, 1), is_in(&mut world, 2)), (false, true));
}

/// [ROOM-17] a decision is about an account. Whoever signs one about somebody under another one's name has nobody shown as put
/// out who is not, and whom it hits sees that it is about them.
#[test]
fn a_decision_names_whom_it_is_about() {
    let mut world = garden();
    let carol = world.engine(2).own.account;
    world.step(0, |engine| {
        let lie = sealpost_spec::room::Person { name: "bob".parse().unwrap(), reason: "rude".into() };
        let say = Say { kind: Kind::Kick, ..Say::text("bob rude".into()) };
        let body = String::from_utf8(lie.layout()).unwrap();
        engine.post_as(&room(), PostKind::Kick, &say, body, (PostId::NONE, PostHash(carol.0)))?;
        engine.offer_posts(&room())
    });
    world.pass(100);
    assert_eq!((is_in(&mut world, 1), is_in(&mut world, 2)), (true, false));
    let whom = |world: &mut World, who| {
        let line = world.history(who, "#garden").into_iter().find(|line| line.kind == Kind::Kick).unwrap();
        (line.whom, line.text.as_raw().to_owned())
    };
    assert_eq!(whom(&mut world, 1), (None, String::new()), "bob knows that it is not him");
    assert_eq!(whom(&mut world, 2), (Some("@carol".to_owned()), "rude".to_owned()));
}
