//! The end of an account, and devices that the relay does not let in.

use super::*;
use crate::api::Found;
use crate::engine::Asked;

fn state_of(world: &mut World, who: usize, with: &str, text: &str) -> State {
    world.history(who, with).into_iter().find(|line| line.text.as_raw() == text).expect("it was said").state
}

/// [ACCT-20] what was not confirmed is not delivered once the account is gone, in rooms as well, and no file waits any longer;
/// who waits for it hears why.
#[test]
fn nothing_waits_when_the_account_is_gone() {
    let mut world = World::new(&["alice", "bob"]);
    world.relay.refuses = Some(b"in the room");
    world.relay.insatiable = true;
    let say = |to: &str, text: &str| Command::Send {
        to: to.into(),
        text: text.into(),
        wait: Wait::Delivered,
        timeout_ms: 600_000,
        expire: None,
    };
    let sent = [world.give(0, say("bob", "to bob")), world.give(0, say("#lobby", "in the room"))];
    let file = Command::SendFile {
        to: "bob".into(),
        path: "/home/alice/x".into(),
        wait: Wait::Sent,
        timeout_ms: 600_000,
        expire: None,
    };
    let file = world.give(0, file);
    world.settle();
    assert_eq!(state_of(&mut world, 0, "#lobby", "in the room"), State::Queued);
    assert!(world.run(0, Command::Unregister { name: "alice".into() }).contains(&Event::Done));
    for id in sent.into_iter().chain([file]) {
        let told = world.of(0, id);
        assert_eq!(error_of(&told), Some(ErrorCode::NoProfile), "{told:?}");
        assert!(told.contains(&Event::End));
    }
    assert_eq!(state_of(&mut world, 0, "bob", "to bob"), State::NotDelivered);
    assert_eq!(state_of(&mut world, 0, "#lobby", "in the room"), State::NotDelivered);
    let files = world.run(0, Command::Files);
    assert!(
        files.iter().any(|event| matches!(event, Event::Progress(file) if file.state == crate::api::Way::Failed)),
        "{files:?}"
    );
    assert!(world.people[0].orders.iter().any(|order| matches!(order, FileOrder::Stop { .. })));
    world.restart(0);
    world.pass(60_000);
    assert!(!world.people[0].wants, "it does not come back");
}

/// [ACCT-20] a request that never left is taken back, so that it does not happen days later. Where one may have come through
/// before it, nothing is taken back: the client would publish an account anew that its owner has deleted.
#[test]
fn who_may_have_left_does_not_come_back() {
    for first in [true, false] {
        let mut world = World::new(&["alice"]);
        let id = world.give(0, Command::Unregister { name: "alice".into() });
        let mut asked = Vec::new();
        while let Some(transmit) = world.engine(0).poll_transmit() {
            asked.push(transmit);
        }
        let [Transmit::Authenticated { id: request, .. }] = asked[..] else { panic!("one request: {asked:?}") };
        let now = world.now;
        let lost = if first { Failure::Unreachable("it never left".into()) } else { Failure::Unknown };
        world.engine(0).handle_link(now, LinkEvent::Answer { id: request, result: Err(lost) });
        assert_eq!(world.engine(0).is_leaving(), !first);
        if first {
            continue;
        }
        world.step(0, |engine| engine.ask_to_leave());
        world.engine(0).step(now, |engine| {
            assert!(!engine.asked.values().any(|asked| matches!(asked, Asked::Unregister { first: true })));
            engine.unregister_answer(false, Err(Failure::Unreachable("there is no link".into())))
        });
        assert!(
            world.engine(0).is_leaving() || world.engine(0).has_left(),
            "what may have come through is not forgotten"
        );
        world.settle();
        let _ = world.of(0, id);
    }
}

/// [ACCT-20] a relay that has lost its store is given nothing of an account whose owner has asked to delete it, not even for the
/// moment until it is deleted there, too.
#[test]
fn who_leaves_publishes_nothing_anew() {
    let mut world = World::new(&["alice"]);
    assert_eq!(world.relay.registrations, 1);
    world.give(0, Command::Unregister { name: "alice".into() });
    while world.engine(0).poll_transmit().is_some() {}
    world.relay.lose_store(8);
    world.restart(0);
    world.give(0, Command::Subscribe);
    world.pass(10_000);
    assert_eq!(world.relay.registrations, 0);
    assert!(world.engine(0).has_left());
}

/// A device that the relay lets in no more is checked all the same, and the check says what is wrong with it.
#[test]
fn the_check_of_a_device_that_is_shut_out_ends() {
    let mut world = World::new(&["alice"]);
    world.restart(0);
    world.relay.shuts_out = Some(Refusal::StaleDeviceList);
    let told = world.run(0, Command::Doctor);
    assert_eq!(error_of(&told), None, "{told:?}");
    let checks: Vec<(&str, Found)> = told
        .iter()
        .filter_map(
            |event| if let Event::Check { what, found, .. } = event { Some((what.as_str(), *found)) } else { None },
        )
        .collect();
    assert!(checks.contains(&("store", Found::Ok)) && checks.contains(&("connection", Found::Fail)), "{checks:?}");
    assert!(told.contains(&Event::End));
    // And where nobody answers, nobody waits for ten seconds.
    world.relay.up = false;
    let id = world.give(0, Command::Doctor);
    world.settle();
    let now = world.now;
    world.engine(0).handle_link(now, LinkEvent::Disconnected(Failure::Unreachable("down: 127.0.0.1".into())));
    world.settle();
    let told = world.of(0, id);
    assert!(told.contains(&Event::End), "{told:?}");
    let details =
        told.iter().filter_map(|event| if let Event::Check { detail, .. } = event { Some(detail) } else { None });
    assert!(
        details.clone().count() > 3 && details.clone().all(|detail| !detail.contains("127.0.0.1")),
        "it names no address"
    );
    // What the relay says may name somebody.
    let named = crate::api::Error::new(ErrorCode::NotTrusted, "the name alice has another key at this relay");
    let id = world.give(0, Command::Doctor);
    world.settle();
    world.step(0, |engine| engine.no_login(named));
    let told = world.of(0, id);
    assert!(told.contains(&Event::End) && !format!("{told:?}").contains("alice"), "{told:?}");
}
