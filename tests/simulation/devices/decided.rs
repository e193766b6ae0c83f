//! What was decided on one device counts on all, and the last word is never a stolen device's.

use sealpost_crypto::identity::token_hash;

use super::*;

const STOLEN: &str = "a stolen tablet";

/// All these devices hand out the delivery token that the relay has.
fn one_token(world: &mut World, devices: &[&str]) {
    let set = |bytes: &[u8]| match decode(bytes) {
        Ok(Request::SetToken(token) | Request::SetDevices { token, .. }) => Some(token),
        _ => None,
    };
    let at_the_relay = world.record.of("request").filter_map(set).last().unwrap();
    let list = world.devices_of("alice");
    let own: Vec<_> = list.devices.iter().map(|device| sealpost_crypto::identity::mailbox(&device.key)).collect();
    world.arrives("dave");
    for device in devices {
        world.person(device).sends("dave", "this is alice", Wait::Sent).unwrap();
        world.settle();
        let before = world.record.of("request").count();
        world.person("dave").sends("alice", "hello alice", Wait::Delivered).unwrap();
        let used = |bytes: &[u8]| match decode(bytes) {
            Ok(Request::Deliver { token: Some(token), envelope }) if own.contains(&envelope.mailbox) => {
                Some(token_hash(&token))
            }
            _ => None,
        };
        let used: Vec<_> = world.record.of("request").skip(before).filter_map(used).collect();
        assert!(!used.is_empty() && used.iter().all(|token| *token == at_the_relay), "{device} hands out another one");
    }
}

/// [MSG-44] whichever clock runs ahead, what is decided later counts on both devices; and both hand out the token that the relay
/// has.
#[test]
fn a_clock_that_runs_ahead_does_not_win() {
    let mut world = house(330);
    world.person(PHONE).leaves();
    world.sets_clock(PHONE, i64::try_from(HOUR).unwrap());
    world.person(PHONE).returns();
    world.settle();
    let _ = world.person(PHONE).asks(Command::Alias { name: "bob".to_owned(), label: "Bobby".to_owned() });
    let _ = world.person(PHONE).asks(Command::Block { name: "carol".to_owned() });
    world.settle();
    world.pass(10 * MINUTE);
    let _ = world.alice().asks(Command::Block { name: "bob".to_owned() });
    world.settle();
    for name in ["bob", "carol"] {
        assert_eq!(contact(&mut world, "alice", name), contact(&mut world, PHONE, name), "{name}");
    }
    let bob = contact(&mut world, PHONE, "bob");
    assert!(bob.1, "bob is blocked");
    assert_eq!(bob.3.as_deref(), Some("Bobby"));
    one_token(&mut world, &["alice", PHONE]);
}

/// [ACCT-27] [MSG-44] what a stolen device told another one before it was revoked counts no more once that hears of it, whatever
/// time it claimed: neither a token of its choice, nor what it decided of people and rooms.
#[test]
fn a_revoked_device_has_not_the_last_word() {
    let mut world = house(331);
    world.links(STOLEN, "alice");
    world.settle();
    world.person(PHONE).leaves();
    world.person(STOLEN).leaves();
    world.sets_clock(STOLEN, i64::try_from(20 * DAY).unwrap());
    world.person(STOLEN).returns();
    world.settle();
    let _ = world.person(STOLEN).asks(Command::Block { name: "bob".to_owned() });
    let _ = world.person(STOLEN).asks(Command::Mute { with: "#lobby".to_owned(), on: true });
    let _ = world.person(STOLEN).asks(Command::Settings { read_receipts: Some(true), typing: Some(true) });
    world.pass(2 * MINUTE);
    let _ = world.alice().asks(Command::Unblock { name: "bob".to_owned() });
    let _ = world.alice().asks(Command::Mute { with: "#lobby".to_owned(), on: false });
    let _ = world.alice().asks(Command::Settings { read_receipts: Some(false), typing: Some(false) });
    let events = world.alice().asks(Command::DeviceRevoke { device: 3 });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.settle();
    world.person(PHONE).returns();
    world.settle();
    assert!(!contact(&mut world, "alice", "bob").1 && !contact(&mut world, PHONE, "bob").1, "bob is not blocked");
    let muted = |world: &mut World, device: &str| {
        let conversations = world.person(device).asks(Command::Conversations);
        conversations.iter().any(|event| matches!(event, Event::Conversation { muted: true, .. }))
    };
    assert!(!muted(&mut world, "alice") && !muted(&mut world, PHONE));
    let events = world.person(PHONE).asks(Command::Settings { read_receipts: None, typing: None });
    assert!(events.contains(&Event::Settings { read_receipts: false, typing: false }), "{events:?}");
    one_token(&mut world, &["alice", PHONE]);
    // And what is decided from now on counts, on either of them.
    let _ = world.person(PHONE).asks(Command::Mute { with: "#lobby".to_owned(), on: true });
    world.settle();
    assert!(muted(&mut world, "alice"));
}

/// [MSG-44] what is taken back of a stranger on one device is taken back on the other: who is blocked no longer, muted no longer, or
/// has no label any more.
#[test]
fn what_is_taken_back_of_a_stranger_is_told() {
    let mut world = house(332);
    for name in ["carol", "dave", "erin"] {
        if name != "carol" {
            world.arrives(name);
        }
        world.person(name).sends("alice", "buy my beans", Wait::Sent).unwrap();
    }
    world.settle();
    let (label, nothing) = ("beans".to_owned(), String::new());
    let _ = world.alice().asks(Command::Block { name: "carol".to_owned() });
    let _ = world.alice().asks(Command::Mute { with: "@dave".to_owned(), on: true });
    let _ = world.alice().asks(Command::Alias { name: "erin".to_owned(), label });
    world.settle();
    assert!(contact(&mut world, PHONE, "carol").1);
    assert_eq!(contact(&mut world, PHONE, "erin").3.as_deref(), Some("beans"));
    let _ = world.alice().asks(Command::Unblock { name: "carol".to_owned() });
    let _ = world.alice().asks(Command::Mute { with: "@dave".to_owned(), on: false });
    let _ = world.alice().asks(Command::Alias { name: "erin".to_owned(), label: nothing });
    world.settle();
    for name in ["carol", "erin"] {
        assert_eq!(contact(&mut world, "alice", name), contact(&mut world, PHONE, name), "{name}");
    }
    assert!(!contact(&mut world, PHONE, "carol").1);
    let conversations = world.person(PHONE).asks(Command::Conversations);
    assert!(!conversations.iter().any(|event| matches!(event, Event::Conversation { muted: true, .. })));
    world.carol().sends("alice", "no beans today", Wait::Sent).unwrap();
    world.settle();
    assert!(world.person(PHONE).heard().contains(&"no beans today".to_owned()));
}
