//! What a relay that lies, a contact that floods or a copied profile can't do: spin, grow or lose without end.

use super::*;

/// [MSG-30] however many can't be read, all are asked for.
#[test]
fn more_unreadable_messages_than_one_request_names_all_come() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "1");
    world.send(1, "alice", "2");
    world.pass(5_000);
    let id = world.engine(1).peers.keys().next().copied().unwrap();
    world.step(1, |engine| {
        for note in std::mem::take(&mut engine.peer_mut(&id).unwrap().sessions) {
            engine.rows().delete_session(&note.id)?;
        }
        Ok(())
    });
    world.go_offline(1);
    for i in 0..150 {
        world.send(0, "bob", &format!("m{i}"));
    }
    world.come_back(1);
    world.pass(3 * 3_600 * 1_000);
    assert_eq!(world.history(1, "alice").len(), 2 + 150);
    assert_eq!(world.history(0, "bob").iter().filter(|m| m.state == State::Sent).count(), 0);
}

/// [MSG-25] whoever leaves gaps on purpose is not waited for with all they send.
#[test]
fn few_messages_wait_for_earlier_ones() {
    let mut world = World::new(&["alice", "bob"]);
    let bob = "bob".parse().unwrap();
    for i in 0..300 {
        world.send(0, "bob", &format!("m{i}"));
        world.step(0, |engine| {
            engine.contact_mut(&bob).unwrap().last_number += 1;
            Ok(())
        });
    }
    let held = world.engine(1).peers.values().map(|peer| peer.held.len()).max();
    assert!(held.is_some_and(|held| held <= 256), "{held:?}");
    world.pass(10_000);
    assert_eq!(world.history(1, "alice").len(), 300);
}

/// [ROOM-4] a relay that wants the first post again and again gets it now and then, not as fast as it can ask.
#[test]
fn a_relay_that_never_has_enough_is_not_served_without_end() {
    let mut world = World::new(&["alice"]);
    world.relay.insatiable = true;
    world.send(0, "#lobby", "one");
    world.pass(20_000);
    world.relay.insatiable = false;
    world.pass(20_000);
    assert_eq!(world.history(0, "#lobby").last().map(|m| m.state), Some(State::Sent));
    // Nor does a list that begins anew with every page go on for ever.
    world.relay.repeats = true;
    let rooms = world.run(0, Command::Rooms);
    assert_eq!(rooms.last(), Some(&Event::End));
}

/// A membership is queued like a message: who can't reach the relay hears that it goes out later.
#[test]
fn a_membership_is_queued() {
    let mut world = World::new(&["alice"]);
    world.relay.up = false;
    world.go_offline(0);
    for command in [Command::Join { room: "#garden".into() }, Command::Leave { room: "#lobby".into() }] {
        let id = world.give(0, command);
        world.pass(40_000);
        let events = world.of(0, id);
        assert!(events.iter().any(|event| matches!(event, Event::Queued { .. })), "{events:?}");
        assert_eq!(error_of(&events), Some(ErrorCode::Waiting));
    }
}

/// [ACCT-12] the other copy has published keys under the ids that this one gives out next.
#[test]
fn a_restored_profile_is_reached_although_its_box_key_was_replaced_meanwhile() {
    const DAY: u64 = 24 * 3_600 * 1_000;
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "one");
    world.send(1, "alice", "two");
    world.pass(5_000);
    let (home, copy) = (world.people[0].dir.path().join("p"), world.people[0].dir.path().join("copy"));
    let copy_all = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    world.people[0].engine = None;
    copy_all(&home, &copy);
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.pass(9 * DAY);
    world.send(1, "alice", "to the original");
    world.pass(5_000);
    world.people[0].engine = None;
    copy_all(&copy, &home);
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.settle();
    world.send(1, "alice", "to the copy");
    world.relay.forget_ids();
    world.pass(2 * DAY);
    assert!(texts(&world.history(0, "bob")).contains(&"to the copy"));
}

/// [MSG-27] only what is stored is confirmed: what a block threw away is not, and is told as missing.
#[test]
fn what_a_block_threw_away_is_never_confirmed() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hi");
    world.send(1, "alice", "hi");
    world.pass(5_000);
    world.run(1, Command::Block { name: "alice".into() });
    world.send(0, "bob", "thrown away");
    world.pass(5_000);
    world.run(1, Command::Unblock { name: "alice".into() });
    world.relay.push_again(1);
    world.send(0, "bob", "and now?");
    world.pass(20_000);
    let states: Vec<State> = world.history(0, "bob").iter().map(|m| m.state).skip(2).collect();
    assert_eq!(states, [State::Sent, State::Delivered]);
    assert_eq!(world.gaps(1), 1);
}
