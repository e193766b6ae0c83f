use super::*;

impl World {
    fn types(&mut self, who: usize, to: &str, on: bool) {
        let events = self.run(who, Command::Typing { to: to.to_owned(), on });
        assert!(events.contains(&Event::Done), "{events:?}");
    }

    /// What somebody was told of typing since they were asked last.
    fn typing(&mut self, who: usize) -> Vec<bool> {
        let heard = std::mem::take(&mut self.people[who].heard);
        heard
            .into_iter()
            .filter_map(|(_, event)| if let Event::Typing { on, .. } = event { Some(on) } else { None })
            .collect()
    }
}

fn acquainted() -> World {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.send(1, "alice", "hi");
    world.pass(3_000);
    world
}

fn wants(world: &mut World, who: usize) {
    world.run(who, Command::Settings { read_receipts: None, typing: Some(true) });
}

/// [MSG-41] nobody learns that one types unless one wants it; who does is told of in time, and nothing is stored.
#[test]
fn typing_is_told_by_who_wants_it() {
    let mut world = acquainted();
    let delivered = world.relay.delivered;
    world.types(0, "bob", true);
    assert_eq!(world.relay.delivered, delivered);
    wants(&mut world, 0);
    let lines = world.history(1, "alice").len();
    world.types(0, "bob", true);
    assert_eq!(world.typing(1), [true]);
    // Each key typed is no box of its own.
    for _ in 0..20 {
        world.types(0, "bob", true);
    }
    assert_eq!((world.relay.delivered, world.typing(1).len()), (delivered + 1, 0));
    world.types(0, "bob", false);
    assert_eq!(world.typing(1), [false]);
    world.types(0, "bob", true);
    world.send(0, "bob", "done");
    assert_eq!(world.typing(1), [true, false]);
    world.pass(6_000);
    world.types(0, "bob", true);
    world.pass(20_000);
    assert_eq!(world.typing(1), [true, false], "who says no more types no more");
    assert_eq!((world.history(1, "alice").len(), world.gaps(1)), (lines + 1, 0));
    assert_eq!(world.engine(0).outbox.totals(), (0, 0));
}

/// [MSG-41] a stranger's typing is not told, nor told to one; nor to who is away.
#[test]
fn strangers_and_absent_people_learn_nothing() {
    let mut world = World::new(&["alice", "bob"]);
    for who in 0..2 {
        wants(&mut world, who);
    }
    world.send(0, "bob", "do you know me?");
    world.pass(3_000);
    let delivered = world.relay.delivered;
    world.types(1, "alice", true);
    world.types(0, "bob", true);
    world.types(0, "#lobby", true);
    world.types(0, "nobody", true);
    assert_eq!((world.relay.delivered, world.typing(1)), (delivered, vec![]));
    world.send(1, "alice", "I do");
    world.pass(3_000);
    world.types(0, "bob", true);
    assert_eq!(world.typing(1), [true]);
    world.go_offline(1);
    world.pass(10 * 60_000);
    let delivered = world.relay.delivered;
    world.types(0, "bob", true);
    assert_eq!(world.relay.delivered, delivered, "bob has not been heard from for ten minutes");
}

/// [MSG-41] what waited in the mailbox is no news, and what the relay did not take is not sent again.
#[test]
fn late_typing_is_dropped() {
    let mut world = acquainted();
    wants(&mut world, 0);
    world.relay.hold_back = true;
    world.types(0, "bob", true);
    world.relay.hold_back = false;
    world.pass(2 * 60_000);
    world.relay.release();
    world.pass(1_000);
    assert_eq!(world.typing(1), Vec::<bool>::new());
    let delivered = world.relay.delivered;
    world.relay.up = false;
    world.types(0, "bob", true);
    world.relay.up = true;
    world.pass(60_000);
    assert_eq!((world.relay.delivered, world.typing(1)), (delivered, vec![]));
}
