use sealpost_spec::mailbox::Push;
use sealpost_spec::relay::{MAX_NOTICE, Notice, NoticeId};

use super::*;

fn notice(id: u8, text: &str) -> Push {
    Push::Notice(Notice { id: NoticeId([id; 16]), time: 1_800_000_000_000, text: text.to_owned() })
}

/// The notices among what was heard, with whether it answered a command.
fn shown(heard: &[(Option<CommandId>, Event)]) -> Vec<(bool, String)> {
    let text = |(id, event): &(Option<CommandId>, Event)| match event {
        Event::Notice { text, .. } => Some((id.is_some(), text.as_raw().to_owned())),
        _ => None,
    };
    heard.iter().filter_map(text).collect()
}

fn pushed(world: &mut World, push: Push) {
    let now = world.now;
    world.engine(0).handle_link(now, LinkEvent::Push(push));
    world.settle();
}

/// [RELAY-22] a notice is shown once to each who waits, to nobody again after a restart, and a new one is shown.
#[test]
fn a_notice_is_shown_once() {
    let mut world = World::new(&["alice"]);
    world.give(0, Command::Recv { from: None, limit: None, follow: true, timeout_ms: 0 });
    world.give(0, Command::Subscribe);
    world.settle();
    pushed(&mut world, notice(1, "back at 9"));
    let once = [(true, "back at 9".to_owned()), (false, "back at 9".to_owned())];
    assert_eq!(shown(&world.people[0].heard), once);
    pushed(&mut world, notice(1, "back at 9"));
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.settle();
    pushed(&mut world, notice(1, "back at 9"));
    assert_eq!(shown(&world.people[0].heard), once);
    pushed(&mut world, notice(2, "back at 10"));
    assert_eq!(shown(&world.people[0].heard)[2..], [(false, "back at 10".to_owned())]);
}

/// [RELAY-22] what comes while nobody waits is shown to the next who goes online; on a new link only if the relay tells it
/// again, since it may have been withdrawn.
#[test]
fn a_notice_waits_for_somebody_to_see_it() {
    let mut world = World::new(&["alice"]);
    pushed(&mut world, notice(1, "back at 9"));
    assert_eq!(shown(&world.people[0].heard), []);
    world.run(0, Command::Me);
    assert_eq!(shown(&world.people[0].heard), []);
    world.send(0, "bob", "hello");
    assert_eq!(shown(&world.people[0].heard), [(true, "back at 9".to_owned())]);
    pushed(&mut world, notice(2, "back at 10"));
    world.go_offline(0);
    world.come_back(0);
    world.recv(0);
    assert_eq!(shown(&world.people[0].heard).len(), 1);
}

/// [RELAY-22] a notice that is too long is not shown, and the next one is.
#[test]
fn a_notice_that_is_too_long_is_not_shown() {
    let mut world = World::new(&["alice"]);
    world.give(0, Command::Subscribe);
    world.settle();
    pushed(&mut world, notice(1, &"x".repeat(MAX_NOTICE + 1)));
    assert_eq!(shown(&world.people[0].heard), []);
    pushed(&mut world, notice(1, &"x".repeat(MAX_NOTICE)));
    assert_eq!(shown(&world.people[0].heard).len(), 1);
}
