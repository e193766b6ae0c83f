//! A device that was listed, and comes later than what is said to its owner.

use super::*;

const LAPTOP: &str = "alice's laptop";

/// A machine that Alice has listed, and that was gone before it could log in; Bob has heard of it.
fn listed_and_gone(world: &mut World) {
    let (request, code) = world.asks_to_be_linked(LAPTOP, "alice");
    world.person(LAPTOP).leaves();
    let add = Command::DeviceAdd { request, code: Some(code), timeout_ms: 0 };
    let events = world.alice().asks(add);
    assert_eq!(error_of(&events), None, "{events:?}");
    world.settle();
    assert_eq!(world.devices_of("alice").devices.len(), 3);
}

/// [ACCT-29] what is said while a listed device has no keys waits for it, also over a restart: neither the receipt that brings the list, nor
/// anything that the others confirm, ends that.
#[test]
fn a_device_without_keys_gets_what_was_said_meanwhile() {
    let mut world = house(340);
    listed_and_gone(&mut world);
    // Bob hears of the list by the receipt for this one.
    let _ = world.bob().says("alice", "before bob knew");
    world.settle();
    world.bob().sends("alice", "before it had keys", Wait::Delivered).unwrap();
    world.settle();
    world.pass(HOUR);
    world.bob().leaves();
    world.bob().returns();
    world.bob().sends("alice", "after a restart", Wait::Delivered).unwrap();
    world.settle();
    assert_eq!(world.bob().queue(), (0, 0), "alice has it all");
    world.person(LAPTOP).returns();
    let events = world.person(LAPTOP).asks(Command::DeviceLink { timeout_ms: MINUTE });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.settle();
    world.pass(DAY);
    world.settle();
    assert_eq!(world.person(LAPTOP).heard(), ["before bob knew", "before it had keys", "after a restart"]);
    let of_alice = |text: &&String| !["hello alice"].contains(&text.as_str());
    let heard = world.alice().heard();
    assert_eq!(heard.iter().filter(of_alice).count(), 3, "once each: {heard:?}");
    assert_eq!(world.bob().queue(), (0, 0));
    nobody_lost_a_key(&mut world);
}

/// [ACCT-29] [ACCT-27] nothing waits for a device that is revoked before it ever came, and nobody gets anything twice.
#[test]
fn nothing_waits_for_a_device_that_never_came() {
    let mut world = house(341);
    listed_and_gone(&mut world);
    world.bob().sends("alice", "one", Wait::Delivered).unwrap();
    world.bob().sends("alice", "two", Wait::Delivered).unwrap();
    world.settle();
    let events = world.alice().asks(Command::DeviceRevoke { device: 3 });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.alice().sends("bob", "forget the laptop", Wait::Delivered).unwrap();
    world.settle();
    world.pass(DAY);
    world.settle();
    assert_eq!(world.alice().heard(), ["hello alice", "one", "two"]);
    assert_eq!(world.person(PHONE).heard().last().unwrap(), "two");
    assert_eq!(world.bob().queue(), (0, 0));
    nobody_lost_a_key(&mut world);
}
