use super::*;

fn wants(world: &mut World, who: usize, on: bool) -> Vec<Event> {
    world.run(who, Command::Settings { read_receipts: Some(on), typing: None })
}

fn states(world: &mut World, who: usize, with: &str) -> Vec<State> {
    let history = world.history(who, with);
    history.iter().filter(|message| message.state != State::Received).map(|message| message.state).collect()
}

/// [MSG-39] nobody learns what one has read unless one wants it, and then nothing of what was read before.
#[test]
fn read_receipts_are_sent_by_who_wants_them() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    world.send(0, "bob", "one");
    world.pass(3_000);
    assert_eq!(world.recv(1), ["one"]);
    world.pass(10_000);
    assert_eq!(states(&mut world, 0, "bob"), [State::Delivered]);
    let told = wants(&mut world, 1, true);
    assert!(told.contains(&Event::Settings { read_receipts: true, typing: false }), "{told:?}");
    world.restart(1);
    world.give(1, Command::Subscribe);
    world.send(0, "bob", "two");
    world.send(0, "bob", "three");
    world.pass(10_000);
    assert_eq!(states(&mut world, 0, "bob"), [State::Delivered; 3]);
    let two = world.history(1, "alice").into_iter().find(|message| message.text.as_raw() == "two").unwrap().id;
    world.run(1, Command::Read { with: "alice".into(), through: Some(two) });
    world.pass(10_000);
    assert_eq!(states(&mut world, 0, "bob"), [State::Delivered, State::Read, State::Delivered]);
    assert_eq!(world.recv(1), ["three"]);
    world.pass(10_000);
    assert_eq!(states(&mut world, 0, "bob"), [State::Delivered, State::Read, State::Read]);
    wants(&mut world, 1, false);
    world.send(0, "bob", "four");
    world.pass(10_000);
    world.recv(1);
    world.pass(10_000);
    assert_eq!(states(&mut world, 0, "bob").last(), Some(&State::Delivered));
}

/// [MSG-39] a stranger learns nothing, and what was read is told once they are accepted and something else is read.
#[test]
fn a_stranger_gets_no_read_receipt() {
    let mut world = World::new(&["alice", "bob"]);
    wants(&mut world, 1, true);
    world.send(0, "bob", "do you know me?");
    world.pass(3_000);
    assert_eq!(world.recv(1), ["do you know me?"]);
    world.pass(60_000);
    assert_eq!(states(&mut world, 0, "bob"), [State::Sent]);
    world.run(1, Command::Accept { name: "alice".into() });
    world.pass(60_000);
    assert_eq!(states(&mut world, 0, "bob"), [State::Delivered]);
}

/// `send --wait read` ends when it was read; what was read while the reader was offline is told when they are back.
#[test]
fn send_waits_until_it_was_read() {
    let mut world = World::new(&["alice", "bob"]);
    wants(&mut world, 1, true);
    world.send(1, "alice", "hi");
    let send = Command::Send {
        to: "bob".into(),
        text: "read me".into(),
        wait: Wait::Read,
        timeout_ms: 1_000_000,
        expire: None,
    };
    let id = world.give(0, send);
    world.pass(10_000);
    assert!(!world.of(0, id).contains(&Event::End));
    world.relay.up = false;
    world.go_offline(1);
    world.run(1, Command::Read { with: "alice".into(), through: None });
    world.restart(1);
    world.relay.up = true;
    world.give(1, Command::Subscribe);
    world.pass(10_000);
    let told = world.of(0, id);
    assert!(told.contains(&Event::End) && error_of(&told).is_none(), "{told:?}");
    assert!(told.iter().any(|event| matches!(event, Event::State { state: State::Read, .. })));
}

/// [MSG-27] a receipt of all numbers up to one is understood too, and one's own numbers alone are meant.
#[test]
fn a_cumulative_read_receipt_is_understood() {
    use sealpost_spec::message::Receipt;
    let mut world = World::new(&["alice", "bob"]);
    world.send(1, "alice", "hi");
    for text in ["one", "two", "three"] {
        world.send(0, "bob", text);
    }
    world.pass(10_000);
    world.step(0, |engine| {
        let name = "bob".parse().unwrap();
        engine.take_read(&name, &Receipt { read: true, through: 2, also: vec![9, u64::MAX] })
    });
    assert_eq!(states(&mut world, 0, "bob"), [State::Read, State::Read, State::Delivered]);
}
