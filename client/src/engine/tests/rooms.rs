use super::*;

/// [ROOM-8] [ROOM-9]
#[test]
fn rooms_reach_everybody_and_newcomers() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "#lobby", "hello all");
    world.send(1, "#lobby", "hello back");
    world.pass(1_000);
    let visible = |world: &mut World, who| {
        let history = world.history(who, "#lobby");
        history
            .into_iter()
            .filter(|m| m.kind == crate::api::Kind::Text)
            .map(|m| m.text.as_raw().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(visible(&mut world, 0), ["hello all", "hello back"]);
    assert_eq!(visible(&mut world, 1), ["hello all", "hello back"]);
    let events = world.send(0, "#other", "nobody");
    assert_eq!(error_of(&events), Some(ErrorCode::NoSuchRoom));
    assert!(world.run(0, Command::Join { room: "#other".into() }).contains(&Event::Done));
    world.send(0, "#other", "early");
    assert!(world.run(1, Command::Join { room: "#other".into() }).contains(&Event::Done));
    world.pass(1_000);
    assert_eq!(visible(&mut world, 1).len(), 2);
    let other: Vec<_> = world.history(1, "#other").into_iter().map(|m| m.text.as_raw().to_owned()).collect();
    assert!(other.contains(&"early".to_owned()), "{other:?}");
    assert!(world.run(1, Command::Leave { room: "#other".into() }).contains(&Event::Done));
    world.send(0, "#other", "late");
    assert!(!world.history(1, "#other").iter().any(|m| m.text.as_raw() == "late"));
}

/// [ROOM-4] [ROOM-5] a post that the relay left out is told as a gap, asked for, and put in its place.
#[test]
fn a_withheld_post_is_a_gap_until_it_comes() {
    let mut world = World::new(&["alice", "bob"]);
    world.relay.withhold = true;
    world.send(0, "#lobby", "1");
    world.relay.withhold = false;
    world.relay.hide = true;
    world.send(0, "#lobby", "2");
    world.pass(1_000);
    assert_eq!(world.recv(1), ["2"]);
    assert_eq!(world.gaps(1), 1);
    world.relay.hide = false;
    world.go_offline(1);
    world.come_back(1);
    world.pass(1_000);
    assert_eq!(world.recv(1), ["1"]);
    let told = world.gaps(1);
    let history = world.history(1, "#lobby");
    let said: Vec<&str> = texts(&history).into_iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(said, ["1", "2"]);
    assert_eq!(world.gaps(1), told, "history shows a gap that was filled");
}

/// [ROOM-7] an edit or delete counts for the same account's post with that very hash only.
#[test]
fn only_its_author_edits_a_post() {
    use sealpost_spec::message::ContentId;
    use sealpost_spec::room::PostHash;
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "#lobby", "mine");
    world.pass(1_000);
    let post = world.history(1, "#lobby").into_iter().find(|m| m.text.as_raw() == "mine").unwrap();
    let alice = world.engine(0).own.account;
    let id: Vec<u8> = (0..32).step_by(2).map(|at| u8::from_str_radix(&post.id[at..at + 2], 16).unwrap()).collect();
    let id = ContentId(id.try_into().unwrap());
    let line = world.engine(1).rows().line(&alice, &id).unwrap().unwrap();
    let edit = |text: &str, account| crate::store::messages::Line {
        id: ContentId([9; 16]),
        kind: crate::api::Kind::Edit,
        target: Some(id),
        text: text.to_owned(),
        account,
        ..line.clone()
    };
    let bob = world.engine(1).own.account;
    for (account, hash, text) in [(bob, line.hash, "theirs"), (alice, PostHash([1; 32]), "another")] {
        let edit = edit(text, account);
        world.step(1, |engine| engine.change_target(&edit, hash).map(drop));
        assert_eq!(world.engine(1).rows().line(&alice, &id).unwrap().unwrap().text, "mine");
    }
    let edit = edit("edited", alice);
    world.step(1, |engine| engine.change_target(&edit, line.hash).map(drop));
    assert_eq!(world.engine(1).rows().line(&alice, &id).unwrap().unwrap().text, "edited");
}

#[test]
fn lists_come_from_the_relay() {
    let mut world = World::new(&["alice", "bob"]);
    world.run(0, Command::Join { room: "garden".into() });
    let rooms = world.run(1, Command::Rooms);
    let names: Vec<_> = rooms
        .iter()
        .filter_map(
            |event| if let Event::Room { name, joined, .. } = event { Some((name.as_str(), *joined)) } else { None },
        )
        .collect();
    assert_eq!(names, [("#garden", false), ("#lobby", true)]);
    let who = world.run(1, Command::Who { room: None });
    assert_eq!(who.iter().filter(|event| matches!(event, Event::Presence { .. })).count(), 2);
    world.relay.up = false;
    world.go_offline(1);
    let id = world.give(1, Command::Rooms);
    world.pass(60_000);
    assert_eq!(error_of(&world.of(1, id)), Some(ErrorCode::Unreachable));
}

/// A post that the relay never takes is told and let go; what follows it is posted at once.
#[test]
fn a_refused_post_blocks_nothing() {
    let mut world = World::new(&["alice", "bob"]);
    world.relay.refuses = Some(b"no");
    let send = |text: &str| Command::Send {
        to: "#lobby".into(),
        text: text.into(),
        wait: Wait::Sent,
        timeout_ms: 60_000,
        expire: None,
    };
    let ids = ["one", "no", "two", "three"].map(|text| world.give(0, send(text)));
    world.pass(10_000);
    let errors = ids.map(|id| error_of(&world.of(0, id)));
    assert_eq!(errors, [None, Some(ErrorCode::Refused), None, None]);
    assert!(ids.iter().all(|id| world.of(0, *id).contains(&Event::End)));
    let said = |world: &mut World, who| {
        let history = world.history(who, "#lobby").into_iter().filter(|message| message.kind == crate::api::Kind::Text);
        history.map(|message| (message.text.as_raw().to_owned(), message.state)).collect::<Vec<_>>()
    };
    let wanted = [("one", State::Sent), ("no", State::NotDelivered), ("two", State::Sent), ("three", State::Sent)];
    assert_eq!(said(&mut world, 0), wanted.map(|(text, state)| (text.to_owned(), state)));
    let theirs: Vec<String> = said(&mut world, 1).into_iter().map(|(text, _)| text).collect();
    assert_eq!(theirs, ["one", "two", "three"]);
    assert_eq!(world.gaps(1), 0);
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.send(0, "#lobby", "four");
    world.pass(10_000);
    assert_eq!(said(&mut world, 1).last().map(|(text, _)| text.as_str()), Some("four"));
}

/// [ROOM-9] a place that the relay claims far beyond its own does not keep later posts away.
#[test]
fn a_claimed_place_hides_nothing_for_ever() {
    for claimed in [u64::MAX, 1 << 40] {
        let mut world = World::new(&["alice", "bob"]);
        world.relay.withhold = true;
        world.send(0, "#lobby", "one");
        world.relay.withhold = false;
        let post = world.relay.last_post("lobby");
        let (now, room) = (world.now, sealpost_spec::room::RoomName::lobby());
        let push = sealpost_spec::mailbox::Push::Post { room, seq: sealpost_spec::mailbox::Seq(claimed), post };
        world.engine(1).handle_link(now, LinkEvent::Push(push));
        world.go_offline(1);
        world.send(0, "#lobby", "two");
        world.come_back(1);
        world.send(1, "#lobby", "me too");
        world.pass(10_000);
        let history = world.history(1, "#lobby");
        assert!(texts(&history).contains(&"two"), "{claimed}: {:?}", texts(&history));
    }
}
