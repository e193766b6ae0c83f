//! An account that its owner ends, and what the linked devices make of it.

use sealpost_spec::relay::Refusal;

use super::*;

/// Whether the relay has nobody of Alice's name.
fn is_gone(world: &mut World) -> bool {
    let answer = world.stranger_asks(&Request::FetchDevices("alice".parse().unwrap()));
    matches!(answer, Err(Refusal::NoSuchName))
}

/// [ACCT-30] [ACCT-20] a linked device brings an account that has been ended back to no relay, not even to one without a store: neither one that was
/// there, nor one that came later.
#[test]
fn a_linked_device_brings_no_account_back() {
    for (seed, was_there) in [(360, true), (361, false)] {
        let mut world = house(seed);
        if !was_there {
            world.person(PHONE).leaves();
        }
        let events = world.alice().asks(Command::Unregister { name: "alice".to_owned() });
        assert_eq!(error_of(&events), None, "{events:?}");
        world.settle();
        if !was_there {
            world.person(PHONE).returns();
            let _ = world.person(PHONE).tries_to_say("bob", "is anybody there?");
            world.settle();
        }
        assert!(is_gone(&mut world));
        world.person(PHONE).leaves();
        world.lose_store();
        world.settle();
        world.person(PHONE).returns();
        let _ = world.person(PHONE).tries_to_say("bob", "I am back");
        world.settle();
        world.pass(DAY);
        world.settle();
        assert!(is_gone(&mut world), "the phone was there: {was_there}");
        assert!(!world.bob().heard().contains(&"I am back".to_owned()));
    }
}
