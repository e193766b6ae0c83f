use super::*;
use crate::api::Kind;

const HOUR: u64 = 3_600_000;

fn acquainted() -> World {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.send(1, "alice", "hi");
    world.pass(3_000);
    world.recv(0);
    world.recv(1);
    world
}

fn expire(world: &mut World, who: usize, with: &str, seconds: Option<u32>) -> Vec<Event> {
    world.run(who, Command::Expire { with: with.to_owned(), seconds })
}

/// [MSG-40] the sender's copy goes after it was sent, the recipient's after it was read, however long that takes and
/// whoever was restarted meanwhile.
#[test]
fn messages_go_after_they_were_sent_and_read() {
    let mut world = acquainted();
    assert_eq!(error_of(&expire(&mut world, 0, "bob", Some(60))), None);
    world.send(0, "bob", "burn after reading");
    world.pass(30_000);
    assert!(world.history(0, "bob").last().unwrap().expires_at.is_some());
    world.pass(60_000);
    assert_eq!(world.history(0, "bob").last().unwrap().kind, Kind::Timer, "sent a minute ago");
    world.pass(HOUR);
    assert_eq!(world.history(1, "alice").last().unwrap().text.as_raw(), "burn after reading", "nobody has read it");
    assert_eq!(world.recv(1), ["messages are deleted 1 min after they were read", "burn after reading"]);
    world.restart(1);
    world.give(1, Command::Subscribe);
    world.pass(30_000);
    assert_eq!(world.history(1, "alice").last().unwrap().text.as_raw(), "burn after reading");
    world.pass(60_000);
    assert_eq!(world.history(1, "alice").last().unwrap().kind, Kind::Timer);
}

/// [MSG-40] both are told, and what either writes afterwards goes; `None` keeps messages again.
#[test]
fn both_sides_keep_the_timer() {
    let mut world = acquainted();
    expire(&mut world, 0, "bob", Some(3_600));
    world.pass(3_000);
    assert_eq!(world.recv(1), ["messages are deleted 1 h after they were read"]);
    for (who, with) in [(0, "bob"), (1, "alice")] {
        let last = world.history(who, with).pop().unwrap();
        assert_eq!((last.kind, last.from.as_str()), (Kind::Timer, "@alice"));
        assert_eq!(last.text.as_raw(), "messages are deleted 1 h after they were read");
    }
    world.send(1, "alice", "gone soon");
    world.pass(3_000);
    world.recv(0);
    world.pass(2 * HOUR);
    assert!(!texts(&world.history(0, "bob")).contains(&"gone soon"));
    assert!(!texts(&world.history(1, "alice")).contains(&"gone soon"));
    expire(&mut world, 1, "alice", None);
    world.pass(3_000);
    assert_eq!(world.history(0, "bob").last().unwrap().text.as_raw(), "messages are kept");
    world.send(0, "bob", "for good");
    world.pass(3_000);
    world.recv(1);
    world.pass(48 * HOUR);
    assert!(texts(&world.history(0, "bob")).contains(&"for good"));
    assert!(texts(&world.history(1, "alice")).contains(&"for good"));
    assert_eq!(error_of(&expire(&mut world, 0, "#lobby", Some(60))), Some(ErrorCode::Usage));
}

/// [MSG-40] a timer of nothing deletes nothing: it is taken for none, whoever sends it.
#[test]
fn a_timer_of_zero_is_none() {
    use super::super::say::Say;
    let mut world = acquainted();
    let zero = Say { kind: Kind::Timer, expire: Some(0), ..Say::text(String::new()) };
    world.step(0, |engine| {
        let name = "bob".parse().unwrap();
        engine.queue(&name, &zero)?;
        engine.pump(&name)
    });
    world.pass(3_000);
    world.send(0, "bob", "one");
    world.send(1, "alice", "two");
    world.pass(3_000);
    world.recv(0);
    world.recv(1);
    world.pass(HOUR);
    for (who, with) in [(0, "bob"), (1, "alice")] {
        let history = world.history(who, with);
        assert!(texts(&history).contains(&"one") && texts(&history).contains(&"two"), "{:?}", texts(&history));
    }
}

/// [MSG-40] of two timers that were set at once the same one counts on both sides.
#[test]
fn timers_set_at_once_agree() {
    let mut world = acquainted();
    world.relay.up = false;
    world.go_offline(0);
    world.go_offline(1);
    world.give(0, Command::Expire { with: "bob".into(), seconds: Some(60) });
    world.pass(1_000);
    world.give(1, Command::Expire { with: "alice".into(), seconds: Some(600) });
    world.relay.up = true;
    world.come_back(0);
    world.come_back(1);
    world.pass(HOUR);
    let timer = |world: &mut World, who, with: &str| world.engine(who).contacts[&with.parse().unwrap()].expire_after;
    assert_eq!((timer(&mut world, 0, "bob"), timer(&mut world, 1, "alice")), (Some(600), Some(600)));
}

/// One message may have a time of its own; what an edit said goes with it, and so does what people thought of it.
#[test]
fn one_message_may_expire_alone() {
    let mut world = acquainted();
    let send = |expire, text: &str| Command::Send {
        to: "bob".into(),
        text: text.into(),
        wait: Wait::Queued,
        timeout_ms: 0,
        expire,
    };
    world.run(0, send(Some(60), "secret"));
    world.run(0, send(None, "kept"));
    world.pass(3_000);
    let id = world.history(1, "alice").iter().find(|message| message.text.as_raw() == "secret").unwrap().id.clone();
    world.run(0, Command::Edit { id: Some(id.clone()), within: None, text: "secret, too".into() });
    world.run(1, Command::React { id: id.clone(), emoji: "🤫".into() });
    world.pass(3_000);
    world.recv(1);
    world.pass(120_000);
    for (who, with) in [(0, "bob"), (1, "alice")] {
        assert_eq!(texts(&world.history(who, with)), ["hello", "hi", "kept"]);
        let mut left = Vec::new();
        world.step(who, |engine| {
            let target = sealpost_spec::message::ContentId(u128::from_str_radix(&id, 16).unwrap().to_be_bytes());
            left.extend(engine.rows().opinions(&target)?.into_iter().map(|opinion| opinion.emoji));
            left.extend(engine.rows().change(&engine.own.account, &target)?.and_then(|change| change.text));
            Ok(())
        });
        assert_eq!(left, Vec::<String>::new());
    }
    let room =
        Command::Send { to: "#lobby".into(), text: "x".into(), wait: Wait::Sent, timeout_ms: 0, expire: Some(9) };
    assert_eq!(error_of(&world.run(0, room)), Some(ErrorCode::Usage));
}
