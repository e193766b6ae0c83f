//! Accounts that lose their disk, and accounts that end.

use sealpost_client::api::{Command, Error, ErrorCode, Event, State, Trust, Wait};

use crate::world::{DAY, SECOND, World};

/// Bob has compared Alice's key, they have talked, and one message has not reached her when her disk dies.
fn acquainted(seed: u64) -> World {
    let mut world = World::new(seed);
    let (_, link) = world.alice().me();
    let _ = world.bob().asks(Command::Add { link });
    let (_, link) = world.bob().me();
    let _ = world.alice().asks(Command::Add { link });
    world.alice().sends("bob", "hello bob", Wait::Delivered).unwrap();
    world.bob().sends("alice", "hello alice", Wait::Delivered).unwrap();
    world.settle();
    let _ = (world.alice().heard(), world.bob().heard());
    world.alice().leaves();
    world
}

fn new_devices(world: &mut World, of: &str) -> Vec<(u32, bool)> {
    let told = world.bob().events();
    let found = |event: &Event| match event {
        Event::NewDevice { name, device, replaces } if name == of => Some((*device, *replaces)),
        _ => None,
    };
    told.iter().filter_map(found).collect()
}

/// Nobody at all was told of a changed key, and nothing was encrypted twice under one key.
fn nothing_bad(world: &mut World) {
    let told = world.bob().events();
    assert!(!told.iter().any(|event| matches!(event, Event::KeyChanged { .. })), "{told:?}");
    assert_eq!(world.reused_keys(), Vec::<String>::new());
}

fn talk(world: &mut World) {
    world.alice().sends("bob", "it is me again", Wait::Delivered).unwrap();
    world.bob().sends("alice", "so I see", Wait::Delivered).unwrap();
    world.settle();
    assert_eq!(world.bob().heard(), ["it is me again"]);
}

/// [ACCT-4] [ACCT-21] [ACCT-23] the words bring back name and key, as a new device: who has verified the key keeps the mark
/// and is told of the device once; what had not arrived is encrypted for it. The old disk can do nothing any more.
#[test]
fn the_words_bring_an_account_back() {
    let mut world = acquainted(140);
    let words = world.words_of("alice");
    world.copies_profile("alice", "the old disk");
    let waits = world.bob().says("alice", "are you there?");
    world.settle();
    assert_eq!(world.bob().state_of("alice", &waits), State::Sent);
    let events = world.restores_by_words("alice", &words);
    assert!(events.iter().any(|event| matches!(event, Event::Me { name, .. } if name == "alice")), "{events:?}");
    let list = world.devices_of("alice");
    assert_eq!((list.number, list.devices.len(), list.devices[0].id.0), (2, 1, 2), "the id is the list's number");
    talk(&mut world);
    assert_eq!(world.bob().trust_in("alice"), Some(Trust::Verified), "the key is the same");
    assert_eq!(new_devices(&mut world, "alice"), [(2, true)], "told once");
    assert_eq!(world.bob().state_of("alice", &waits), State::Delivered);
    let mut heard = world.alice().heard();
    heard.sort();
    assert_eq!(heard, ["are you there?", "so I see"]);
    nothing_bad(&mut world);

    world.person("the old disk").returns();
    world.settle();
    let told = world.person("the old disk").events();
    let refused = |event: &Event| matches!(event, Event::Error(error) if error.message.contains("no more"));
    assert!(told.iter().any(refused), "{told:?}");
    world.alice().sends("bob", "still here", Wait::Delivered).unwrap();

    // The next time the number goes on.
    world.alice().leaves();
    let _ = world.restores_by_words("alice", &words);
    assert_eq!(world.devices_of("alice").devices[0].id.0, 3);
    nothing_bad(&mut world);
}

/// [ACCT-22] [ACCT-21] [MSG-24] a backup brings back who was verified and what was said; sessions begin anew, and nothing is
/// shown twice.
#[test]
fn a_backup_brings_people_and_history_back() {
    let mut world = acquainted(141);
    world.alice().returns();
    world.settle();
    world.join("alice", "#garden");
    world.alice().sends("#garden", "roses", Wait::Sent).unwrap();
    world.settle();
    let file = world.backs_up("alice");
    world.alice().sends("bob", "after the backup", Wait::Delivered).unwrap();
    world.settle();
    let _ = world.bob().heard();
    world.alice().leaves();
    let _ = world.bob().says("alice", "are you there?");
    world.settle();
    let events = world.restores_a_backup("alice", &file);
    assert!(events.iter().any(|event| matches!(event, Event::Me { .. })), "{events:?}");
    talk(&mut world);
    assert_eq!(world.alice().trust_in("bob"), Some(Trust::Verified));
    assert_eq!(world.bob().trust_in("alice"), Some(Trust::Verified));
    let said: Vec<String> = world.alice().conversation("bob").into_iter().map(|(_, text)| text).collect();
    for text in ["hello bob", "hello alice", "are you there?", "it is me again", "so I see"] {
        assert_eq!(said.iter().filter(|other| *other == text).count(), 1, "{text}: {said:?}");
    }
    world.alice().sends("#garden", "tulips", Wait::Sent).unwrap();
    world.settle();
    let garden: Vec<String> = world.alice().conversation("#garden").into_iter().map(|(_, text)| text).collect();
    assert_eq!(garden.iter().filter(|text| *text == "roses").count(), 1, "{garden:?}");
    assert!(garden.contains(&"tulips".to_owned()), "{garden:?}");
    nothing_bad(&mut world);
}

/// [ACCT-21] the answer to the registration is lost again and again: the account has one new device in the end.
#[test]
fn a_restored_account_has_one_new_device_whatever_is_lost() {
    for seed in 150..156 {
        let mut world = acquainted(seed);
        let words = world.words_of("alice");
        world.faults.lost_answer = 350;
        let _ = world.restores_by_words("alice", &words);
        world.faults.lost_answer = 0;
        let events = world.alice().asks(Command::Register { invite: None });
        assert!(events.iter().any(|event| matches!(event, Event::Me { .. })), "seed {seed}: {events:?}");
        let list = world.devices_of("alice");
        assert_eq!((list.number, list.devices[0].id.0), (2, 2), "seed {seed}");
        talk(&mut world);
        nothing_bad(&mut world);
    }
}

/// [ACCT-21] a relay that knows the name no more gets a list whose number nobody has seen.
#[test]
fn an_account_comes_back_to_a_relay_without_a_store() {
    let mut world = acquainted(142);
    let words = world.words_of("alice");
    world.lose_store();
    world.settle();
    let events = world.restores_by_words("alice", &words);
    assert!(events.iter().any(|event| matches!(event, Event::Me { .. })), "{events:?}");
    assert!(world.devices_of("alice").number > 1_000_000_000);
    talk(&mut world);
    assert_eq!(world.bob().trust_in("alice"), Some(Trust::Verified));
    nothing_bad(&mut world);
}

/// [ACCT-21] the words of another account open nothing, and change nothing.
#[test]
fn other_words_are_refused() {
    let mut world = acquainted(143);
    world.bob().leaves();
    let words = world.words_of("bob");
    world.bob().returns();
    let events = world.restores_by_words("alice", &words);
    let code = events.iter().find_map(|event| match event {
        Event::Error(error) => Some(error.code),
        _ => None,
    });
    assert_eq!(code, Some(ErrorCode::NotTrusted), "{events:?}");
    assert_eq!(world.devices_of("alice").number, 1);
}

fn error(events: &[Event]) -> Option<&Error> {
    events.iter().find_map(|event| match event {
        Event::Error(error) => Some(error),
        _ => None,
    })
}

fn send(to: &str, text: &str) -> Command {
    Command::Send { to: to.to_owned(), text: text.to_owned(), wait: Wait::Sent, timeout_ms: 60_000, expire: None }
}

fn unregister(name: &str) -> Command {
    Command::Unregister { name: name.to_owned() }
}

/// [ACCT-19] [ACCT-20] [ACCT-13] who unregisters is gone, here too and for good; who writes to them hears it, and to them
/// whoever takes the name has a changed key.
#[test]
fn an_account_ends() {
    let mut world = acquainted(144);
    world.alice().returns();
    world.settle();
    let events = world.alice().asks(unregister("bob"));
    assert_eq!(error(&events).map(|error| error.code), Some(ErrorCode::Usage), "one's own name alone");
    let events = world.alice().asks(unregister("alice"));
    assert!(events.iter().any(|event| matches!(event, Event::Done)) && error(&events).is_none(), "{events:?}");
    for _ in 0..2 {
        let events = world.alice().asks(send("bob", "too late"));
        let error = error(&events).unwrap();
        assert!(error.code == ErrorCode::NoProfile && error.message.contains("unregistered"), "{error:?}");
        assert!(!world.alice().conversation("bob").is_empty(), "what was said is still here");
        world.alice().leaves();
        world.alice().returns();
        world.settle();
    }
    let events = world.alice().asks(Command::Register { invite: None });
    assert!(error(&events).is_some(), "this profile does not come back: {events:?}");

    let events = world.bob().asks(send("alice", "are you there?"));
    let told = error(&events).unwrap();
    assert!(told.code == ErrorCode::Waiting && told.message.contains("nobody"), "{told:?}");
    world.arrives_as("somebody else", "alice");
    world.pass(DAY);
    world.settle();
    assert_eq!(world.bob().trust_in("alice"), Some(Trust::KeyChanged));
    assert_eq!(world.person("somebody else").heard(), Vec::<String>::new());
}

/// [ACCT-20] the answer is lost: the client asks again, and does not publish itself anew, even to a relay without a store.
#[test]
fn an_account_that_ended_does_not_come_back_by_itself() {
    for loses_store in [false, true] {
        let mut world = acquainted(145);
        world.alice().returns();
        world.settle();
        world.faults.lost_answer = 1_000;
        let _ = world.alice().tries(unregister("alice"));
        world.pass(20 * SECOND);
        world.faults.lost_answer = 0;
        if loses_store {
            world.lose_store();
        }
        world.pass(DAY);
        world.settle();
        let events = world.alice().asks(send("bob", "too late"));
        assert!(error(&events).is_some_and(|error| error.message.contains("unregistered")), "{events:?}");
        world.arrives_as("somebody else", "alice");
    }
}

/// [ACCT-20] what could not be asked is not done days later.
#[test]
fn an_account_does_not_end_days_later() {
    let mut world = acquainted(146);
    world.partition(true);
    world.alice().returns();
    let events = world.alice().asks(unregister("alice"));
    assert_eq!(error(&events).map(|error| error.code), Some(ErrorCode::Unreachable), "{events:?}");
    world.partition(false);
    world.pass(DAY);
    world.settle();
    world.alice().sends("bob", "never mind", Wait::Delivered).unwrap();
}
