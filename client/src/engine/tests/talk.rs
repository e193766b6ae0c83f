use super::*;

/// [MSG-27] whoever was not accepted is not confirmed; once they are, what came before is, too.
#[test]
fn a_message_is_sent_shown_and_confirmed() {
    let mut world = World::new(&["alice", "bob"]);
    let events = world.send(0, "bob", "hello");
    assert!(matches!(events.first(), Some(Event::Queued { .. })), "{events:?}");
    assert_eq!(world.recv(1), ["hello"]);
    assert!(world.recv(1).is_empty());
    // Bob has not accepted Alice: he confirms nothing.
    world.pass(5_000);
    assert_eq!(world.history(0, "bob")[0].state, State::Sent);
    world.send(1, "@alice", "hello yourself");
    world.pass(5_000);
    assert_eq!(world.recv(0), ["hello yourself"]);
    let (left, right) = (world.history(0, "bob"), world.history(1, "alice"));
    assert_eq!(texts(&left), ["hello", "hello yourself"]);
    assert_eq!(texts(&right), texts(&left));
    assert_eq!(left.iter().map(|m| &m.id).collect::<Vec<_>>(), right.iter().map(|m| &m.id).collect::<Vec<_>>());
    assert_eq!((left[0].state, right[1].state), (State::Delivered, State::Delivered));
}

/// [MSG-26] of two sessions that were begun at once one is left to send on, and nothing is unreadable.
#[test]
fn conversations_started_at_once_meet_in_one_session() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(0);
    world.go_offline(1);
    let queued = |text: &str, to: &str| Command::Send {
        to: to.into(),
        text: text.into(),
        wait: Wait::Queued,
        timeout_ms: 0,
        expire: None,
    };
    world.give(0, queued("from alice", "bob"));
    world.give(1, queued("from bob", "alice"));
    world.come_back(0);
    world.come_back(1);
    world.pass(10_000);
    for round in 0..5 {
        world.send(0, "bob", &format!("a{round}"));
        world.send(1, "alice", &format!("b{round}"));
        world.pass(3_000);
    }
    for (who, with) in [(0, "bob"), (1, "alice")] {
        let history = world.history(who, with);
        assert_eq!(history.len(), 12);
        let own: Vec<_> = history.iter().filter(|message| message.state != State::Received).collect();
        assert!(own.iter().all(|message| message.state == State::Delivered), "{own:?}");
        let peer = world.engine(who).peers.values().next().unwrap();
        assert_eq!(peer.sessions.iter().filter(|note| note.retired_at.is_none()).count(), 1);
        assert!(peer.unreadable.is_empty());
    }
}

#[test]
fn what_waits_for_an_absent_person_comes_once_and_in_order() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(1);
    for i in 0..200 {
        world.give(
            0,
            Command::Send { to: "bob".into(), text: format!("{i}"), wait: Wait::Queued, timeout_ms: 0, expire: None },
        );
    }
    world.pass(60_000);
    world.restart(1);
    world.give(1, Command::Subscribe);
    world.pass(10_000);
    let wanted: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    assert_eq!(world.recv(1), wanted);
    assert_eq!(world.gaps(1), 0);
    world.send(1, "alice", "back");
    world.pass(5_000);
    assert!(world.history(0, "bob").iter().take(200).all(|message| message.state == State::Delivered));
    assert_eq!(world.engine(0).outbox.totals(), (0, 0));
}

/// [MSG-25]
#[test]
fn a_missing_message_is_shown_as_missing_and_a_late_one_at_its_place() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "bob", "1");
    world.pass(5_000);
    world.relay.hold_back = true;
    world.send(0, "bob", "2");
    world.relay.hold_back = false;
    world.send(0, "bob", "3");
    assert_eq!(world.recv(1), ["1"]);
    world.pass(6_000);
    assert_eq!(world.recv(1), ["3"]);
    assert_eq!(world.gaps(1), 1);
    world.relay.release();
    world.pass(1_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hi", "1", "2", "3"]);
}

#[test]
fn unknown_names_and_an_absent_relay_have_their_own_errors() {
    let mut world = World::new(&["alice", "bob"]);
    let send =
        |to: &str, wait| Command::Send { to: to.into(), text: "x".into(), wait, timeout_ms: 2_000, expire: None };
    let events = world.run(0, send("nobody", Wait::Sent));
    assert_eq!(error_of(&events), Some(ErrorCode::NoSuchName), "{events:?}");
    assert!(world.run(0, Command::Contacts).iter().all(|event| !matches!(event, Event::Contact { .. })));
    world.relay.up = false;
    world.go_offline(0);
    let id = world.give(0, send("bob", Wait::Sent));
    world.pass(3_000);
    assert_eq!(error_of(&world.of(0, id)), Some(ErrorCode::Waiting));
    world.relay.up = true;
    world.come_back(0);
    world.pass(60_000);
    assert_eq!(world.recv(1), ["x"]);
}

const DAY: u64 = 24 * 3_600 * 1_000;

/// [MSG-31] the pauses grow, the envelope stays the same, and after 30 days somebody is told.
#[test]
fn what_nobody_confirms_is_sent_again_and_given_up() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(1);
    world.send(0, "bob", "anybody there?");
    let mut delivered = Vec::new();
    for _ in 0..31 {
        delivered.push(world.relay.delivered);
        world.pass(DAY);
    }
    assert_eq!(delivered[..9], [1, 2, 2, 3, 3, 3, 3, 4, 4], "after 1, 3 and 7 days: {delivered:?}");
    assert_eq!(world.relay.envelopes(), 1);
    assert_eq!(world.history(0, "bob")[0].state, State::NotDelivered);
    assert_eq!(world.engine(0).outbox.totals(), (0, 0));
}

/// [MSG-29] [ACCT-16] keys rotate weekly; what was sealed to the old ones still opens five weeks later.
#[test]
fn keys_rotate_and_old_ones_open_what_was_under_way() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.pass(2_000);
    let keys = |world: &mut World| {
        let engine = world.engine(1);
        let current: Vec<u32> = engine.prekeys.current.iter().map(|note| note.id.0).collect();
        (current, engine.prekeys.old.len())
    };
    assert_eq!(keys(&mut world), (vec![1, 1, 1], 0));
    world.relay.hold_back = true;
    world.send(0, "bob", "slow");
    world.relay.hold_back = false;
    world.pass(29 * DAY);
    assert_eq!(keys(&mut world), (vec![5, 5, 5], 12));
    world.relay.release();
    world.pass(5_000);
    assert_eq!(texts(&world.history(1, "alice")), ["hi", "slow"]);
    world.pass(40 * DAY);
    assert!(keys(&mut world).1 <= 3 * 6, "replaced keys go after 35 days: {:?}", keys(&mut world));
    world.send(0, "bob", "with today's keys");
    world.pass(5_000);
    assert_eq!(world.recv(1).last().map(String::as_str), Some("with today's keys"));
}

#[test]
fn a_note_to_oneself_stays_here() {
    let mut world = World::new(&["alice", "bob"]);
    let delivered = world.relay.delivered;
    world.send(0, "@alice", "buy milk");
    let history = world.history(0, "alice");
    assert_eq!((texts(&history), history[0].state), (vec!["buy milk"], State::Delivered));
    assert_eq!(world.relay.delivered, delivered);
}

/// [MSG-20] the limit is told, and what just fits is sent.
#[test]
fn text_that_fits_no_box_is_refused_with_its_limit() {
    let mut world = World::new(&["alice", "bob"]);
    let events = world.send(0, "bob", &"x".repeat(60 * 1024));
    let Some(Event::Error(error)) = events.first() else { panic!("{events:?}") };
    assert_eq!(error.code, ErrorCode::Usage);
    let limit: usize = error.message.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!(limit > 50_000, "{limit}");
    world.send(0, "bob", &"y".repeat(limit));
    assert_eq!(world.recv(1)[0].len(), limit);
    assert_eq!(error_of(&world.send(0, "bob", &"z".repeat(limit + 1))), Some(ErrorCode::Usage));
}

/// [BOX-12] the relay says when all has come that waited: nobody has to wait whether there is more. What was pushed after it was asked
/// is no end.
#[test]
fn the_relay_says_when_all_has_come() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.pass(5_000);
    world.go_offline(1);
    for text in ["one", "two", "three"] {
        world.send(0, "bob", text);
    }
    let id = world.give(1, Command::Recv { from: None, limit: None, follow: false, timeout_ms: 5_000 });
    world.come_back(1);
    let told: Vec<Message> = world.of(1, id).into_iter().filter_map(as_message).collect();
    assert_eq!(texts(&told), ["hello", "one", "two", "three"], "and no time has passed");
    assert!(world.of(1, id).contains(&Event::End));

    world.step(1, |engine| {
        engine.standing.drained = false;
        engine.ask_for_more()?;
        engine.heard_a_push();
        engine.more_answer(&Ok(sealpost_spec::relay::Answer::Done))?;
        assert!(!engine.standing.drained, "something came: perhaps there is more");
        Ok(())
    });
    assert!(world.engine(1).standing.drained, "it was asked again");
}
