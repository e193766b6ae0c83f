use sealpost_spec::account::{PrekeyId, PrekeyRole};

use super::*;

/// [MSG-24] [MSG-27] [BOX-7] [BOX-9]
#[test]
fn an_envelope_that_comes_again_shows_nothing_and_is_confirmed_again() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "bob", "one");
    world.pass(5_000);
    let receipts = world.relay.delivered;
    for _ in 0..3 {
        world.relay.push_again(1);
        world.settle();
    }
    world.pass(5_000);
    assert!(world.relay.delivered > receipts, "no second receipt");
    assert_eq!(world.history(1, "alice").len(), 2);
}

/// [MSG-22]
#[test]
fn garbage_and_refusals_leave_no_trace() {
    let mut world = World::new(&["alice", "bob"]);
    let now = world.now;
    let engine = world.engine(0);
    for length in [0, 1, 6 * 1024, 16 * 1024] {
        let push = sealpost_spec::mailbox::Push::Envelope {
            seq: sealpost_spec::mailbox::Seq(9),
            id: sealpost_spec::mailbox::EnvelopeId([length as u8; 16]),
            sealed: vec![1; length].into(),
        };
        engine.handle_link(now, LinkEvent::Push(push));
    }
    engine.handle_link(
        now,
        LinkEvent::Answer { id: RequestId(9_999), result: Err(Failure::Refused(Refusal::Malformed)) },
    );
    assert!(engine.poisoned().is_none());
    assert!(engine.peers.is_empty());
    world.settle();
    assert_eq!(world.send(0, "bob", "still here").len(), 2);
}

/// [MSG-28] [MSG-7] a first message that is played again, in whichever envelope, opens no second session.
#[test]
fn a_first_message_opens_one_session() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "once");
    world.pass(2_000);
    let id = world.engine(1).peers.keys().next().copied().unwrap();
    let sessions = world.engine(1).peers[&id].sessions.clone();
    assert_eq!(sessions.len(), 1);
    // Bob forgets the envelope and the session, as if months had gone by; the replay cache remembers longer.
    world.step(1, |engine| {
        engine.rows().prune_come(u64::MAX)?;
        engine.rows().delete_session(&sessions[0].id)?;
        engine.peer_mut(&id).unwrap().sessions.clear();
        Ok(())
    });
    world.relay.push_again(1);
    world.settle();
    let left = &world.engine(1).peers[&id].sessions;
    assert!(left.iter().all(|note| note.id != sessions[0].id), "it was accepted twice");
    assert_eq!(texts(&world.history(1, "alice")), ["once"]);
}

/// [MSG-26] a first message that is held back until the conversation has moved on to another session begins none that is
/// sent on: each side would send on a session of its own, and no ratchet would turn.
#[test]
fn a_first_message_held_back_moves_nobody() {
    let mut moved = 0;
    for notes in 0..6 {
        let mut world = World::new(&["alice", "bob"]);
        // Each draws from the dice, so that the ids of the two sessions fall in either order.
        (0..notes).for_each(|_| drop(world.send(0, "@alice", "note")));
        world.relay.hold_back = true;
        world.send(1, "alice", "held back");
        world.relay.hold_back = false;
        world.pass(1_000);
        world.send(0, "bob", "hello");
        world.pass(1_000);
        world.send(1, "alice", "hello back");
        world.pass(1_000);
        let sends_on = |world: &mut World, who: usize| {
            let sends = |note: &crate::store::people::SessionNote| note.retired_at.is_none().then_some(note.id);
            world.engine(who).peers.values().next().unwrap().sessions.iter().find_map(sends).unwrap()
        };
        let before = sends_on(&mut world, 0);
        assert_eq!(before, sends_on(&mut world, 1));
        world.relay.release();
        world.pass(1_000);
        assert_eq!((sends_on(&mut world, 0), sends_on(&mut world, 1)), (before, before), "after {notes} notes");
        let known = world.engine(0).peers.values().next().unwrap().sessions.len();
        moved += usize::from(known > 1);
        assert!(texts(&world.history(0, "bob")).contains(&"held back"));
    }
    assert!(moved > 0, "the second session was never the one that is sent on");
}

/// Signs with one's own key that one has another name.
fn pose_as(world: &mut World, who: usize, name: &str) {
    let account = world.engine(who).profile.rows.account_secret().unwrap().unwrap();
    let name: sealpost_spec::account::Name = name.parse().unwrap();
    world.step(who, |engine| {
        let devices = vec![engine.own.device];
        let (key, name) = (account.key(), name.clone());
        let forged = sealpost_spec::account::DeviceList { number: 1, name: name.clone(), account: key, devices };
        let own = engine.own_mut();
        (own.list, own.name) = (account.sign_devices(&forged), name);
        Ok(())
    });
}

/// [ACCT-14] [ROOM-9] a link pins a key before anything came from it: a relay that makes up a post under that name with
/// another key is refused, and what it made up before is not shown as verified.
#[test]
fn a_post_under_a_name_that_a_link_pins_is_signed_by_that_key() {
    let mut world = World::new(&["alice", "bob", "mallory"]);
    let Some(Event::Me { link, .. }) = world.run(1, Command::Me).first().cloned() else { panic!("no link") };
    let link = link.replace("/bob?", "/carol?");
    pose_as(&mut world, 1, "carol");
    pose_as(&mut world, 2, "carol");
    world.send(2, "#lobby", "before the link");
    world.pass(1_000);
    world.run(0, Command::Add { link });
    world.send(2, "#lobby", "after the link");
    world.send(1, "#lobby", "from carol");
    world.pass(1_000);
    let shown: Vec<(String, Trust)> = world
        .history(0, "#lobby")
        .into_iter()
        .filter(|m| m.from == "@carol")
        .filter(|m| m.kind == crate::api::Kind::Text)
        .map(|m| (m.text.as_raw().to_owned(), m.trust))
        .collect();
    let wanted = [("before the link".to_owned(), Trust::KeyChanged), ("from carol".to_owned(), Trust::Verified)];
    assert_eq!(shown, wanted);
}

/// [ROOM-4] the greatest of numbers is nobody's, and counting on from it breaks nothing.
#[test]
fn numbers_at_their_end_break_nothing() {
    let mut world = World::new(&["alice", "bob"]);
    world.step(1, |engine| {
        let lobby = sealpost_spec::room::RoomName::lobby();
        engine.room_mut(&lobby).unwrap().number = u64::MAX - 1;
        Ok(())
    });
    let lobby = sealpost_spec::room::RoomName::lobby();
    let id = sealpost_spec::room::PostId([7; 16]);
    let mut post = None;
    world.step(1, |engine| {
        let target = (sealpost_spec::room::PostId::NONE, sealpost_spec::room::PostHash::default());
        engine.sign_post(&lobby, id, sealpost_spec::room::PostKind::Text, 1, "x".into(), target)?;
        post = engine.rows().own_post(&lobby, u64::MAX)?.map(|own| own.post);
        engine.room_mut(&lobby).unwrap().number = 1;
        Ok(())
    });
    let now = world.now;
    let push =
        sealpost_spec::mailbox::Push::Post { room: lobby, seq: sealpost_spec::mailbox::Seq(9), post: post.unwrap() };
    world.engine(0).handle_link(now, LinkEvent::Push(push));
    world.settle();
    assert!(!texts(&world.history(0, "#lobby")).contains(&"x"));
    // [ACCT-12] a relay that claims the greatest generation makes a client begin anew, each time.
    for _ in 0..2 {
        world.go_offline(0);
        world.relay.claim_generation("alice", u64::MAX);
        world.come_back(0);
    }
    assert!(world.send(0, "bob", "still here").contains(&Event::End));
    world.pass(2_000);
    assert_eq!(world.recv(1), ["still here"]);
}

/// [MSG-33] [MSG-23] a stranger signs a device list with any name they like: it is nobody's word but theirs.
#[test]
fn a_name_is_what_the_directory_says() {
    let mut world = World::new(&["alice", "bob", "mallory"]);
    // Mallory's client believes to be carol, who exists and is somebody else.
    world.relay.alias("bob", "carol");
    pose_as(&mut world, 2, "carol");
    world.send(2, "alice", "I am carol");
    world.pass(2_000);
    assert!(world.recv(0).is_empty());
    assert!(world.engine(0).contacts.is_empty());
    let refused = |(_, event): &(Option<CommandId>, Event)| matches!(event, Event::Refused { .. });
    assert!(world.people[0].heard.iter().any(refused));
}

/// [MSG-30] what can't be read is asked for again, and comes, once and at its place.
#[test]
fn an_unreadable_message_heals_itself() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "1");
    world.send(1, "alice", "2");
    world.pass(5_000);
    // Bob's disk loses the sessions, and nothing else.
    let id = world.engine(1).peers.keys().next().copied().unwrap();
    world.step(1, |engine| {
        for note in std::mem::take(&mut engine.peer_mut(&id).unwrap().sessions) {
            engine.rows().delete_session(&note.id)?;
        }
        Ok(())
    });
    world.send(0, "bob", "3");
    world.send(0, "bob", "4");
    world.pass(2 * 3_600 * 1_000);
    assert_eq!(texts(&world.history(1, "alice")), ["1", "2", "3", "4"]);
    assert_eq!(world.gaps(1), 0);
    world.send(1, "alice", "5");
    world.pass(5_000);
    let history = world.history(0, "bob");
    assert_eq!(texts(&history), ["1", "2", "3", "4", "5"]);
    assert!(history.iter().all(|m| matches!(m.state, State::Delivered | State::Received)), "{history:?}");
}

/// [MSG-30] a stranger's message that can't be read tells them nothing, until one has answered: then it heals itself.
#[test]
fn a_stranger_is_asked_again_only_once_answered() {
    let mut world = World::new(&["alice", "bob"]);
    // Bob's disk has lost the keys that his bundle names.
    world.step(1, |engine| {
        for id in 1..=engine.prekeys.last[1] {
            engine.rows().delete_prekey(PrekeyRole::OneTime, PrekeyId(id))?;
        }
        Ok(())
    });
    let before = world.relay.delivered;
    world.send(0, "bob", "can you read this?");
    world.pass(3 * 3_600 * 1_000);
    assert!(world.history(1, "alice").is_empty());
    assert_eq!(world.relay.delivered, before + 1, "alice learnt that it came");
    world.send(1, "alice", "hello alice");
    world.pass(3 * 3_600 * 1_000);
    let history = world.history(1, "alice");
    let mut said = texts(&history);
    said.sort_unstable();
    assert_eq!(said, ["can you read this?", "hello alice"]);
}

/// [MSG-32] an edit or delete reaches only what the same account has said.
#[test]
fn only_its_author_changes_a_message() {
    use super::super::say::Say;
    use crate::api::Kind;
    use sealpost_spec::room::PostHash;
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "mine");
    world.send(1, "alice", "yours");
    world.pass(3_000);
    let ids: Vec<_> = world.history(1, "alice").iter().map(|m| id_of(&m.id)).collect();
    let say = |world: &mut World, kind, target, text: &str| {
        let say = Say { kind, target: Some((target, PostHash::default())), ..Say::text(text.to_owned()) };
        world.step(0, |engine| {
            let name = "bob".parse().unwrap();
            engine.queue(&name, &say)?;
            engine.pump(&name)
        });
    };
    say(&mut world, Kind::Edit, ids[0], "mine, edited");
    say(&mut world, Kind::Edit, ids[1], "yours, edited");
    world.pass(3_000);
    assert_eq!(texts(&world.history(1, "alice")), ["mine, edited", "yours"]);
    assert!(world.people[1].heard.iter().all(|(_, event)| !format!("{event:?}").contains(&ids[1].to_string())
        || !matches!(event, Event::Message(message) if message.kind == Kind::Edit)));
    say(&mut world, Kind::Delete, ids[0], "");
    say(&mut world, Kind::Delete, ids[1], "");
    world.pass(3_000);
    let history = world.history(1, "alice");
    assert_eq!(texts(&history), ["deleted by its author", "yours"]);
    assert_eq!(history[0].kind, Kind::Removed);
}

fn id_of(text: &str) -> sealpost_spec::message::ContentId {
    let bytes: Vec<u8> = (0..32).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    sealpost_spec::message::ContentId(bytes.try_into().unwrap())
}
