use super::*;

/// [ACCT-13]
#[test]
fn a_changed_key_stops_sending_until_it_is_trusted() {
    let mut world = World::new(&["alice", "bob", "mallory"]);
    world.send(0, "bob", "for bob alone");
    world.send(1, "alice", "thanks");
    world.pass(5_000);
    // The operator frees the name, and somebody else takes it.
    world.go_offline(2);
    let changed = world.relay.rename("mallory", "bob");
    world.go_offline(0);
    world.give(
        0,
        Command::Send { to: "bob".into(), text: "secret".into(), wait: Wait::Sent, timeout_ms: 10_000, expire: None },
    );
    world.now += 40 * 24 * 3_600 * 1_000;
    world.come_back(0);
    world.pass(20_000);
    let events = world.send(0, "bob", "more");
    assert_eq!(error_of(&events), Some(ErrorCode::KeyChanged), "{events:?}");
    assert_eq!(world.relay.waiting("bob"), 0, "something was sent to a changed key");
    let fingerprint = changed.to_string();
    let wrong = world.run(0, Command::Trust { name: "bob".into(), fingerprint: "a".repeat(52) });
    assert_eq!(error_of(&wrong), Some(ErrorCode::NotTrusted));
    let events = world.run(0, Command::Trust { name: "bob".into(), fingerprint });
    assert!(matches!(events.first(), Some(Event::Contact { trust: Trust::Unverified, .. })), "{events:?}");
    assert!(world.history(0, "bob").is_empty());
    let archived = world.history(0, "@bob~1");
    assert_eq!(texts(&archived), ["for bob alone", "thanks", "secret"]);
    assert_eq!(archived[2].state, State::NotDelivered);
}

/// [ACCT-14] [ACCT-11]
#[test]
fn a_link_makes_a_person_verified_before_the_first_message() {
    let mut world = World::new(&["alice", "bob"]);
    let Some(Event::Me { link, .. }) = world.run(1, Command::Me).first().cloned() else { panic!("no link") };
    let events = world.run(0, Command::Add { link: link.clone() });
    assert!(matches!(events.first(), Some(Event::Contact { trust: Trust::Verified, .. })), "{events:?}");
    world.send(0, "bob", "hi");
    assert!(world.history(0, "bob")[0].verified);
    let left = world.run(0, Command::Verify { name: Some("bob".into()), mark: None });
    let right = world.run(1, Command::Verify { name: Some("alice".into()), mark: None });
    let number = |events: &[Event]| match events.first() {
        Some(Event::Safety { number, .. }) => number.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(number(&left), number(&right));
    assert_eq!(number(&left).len(), 60 + 11);
    let marked = world.run(1, Command::Verify { name: Some("alice".into()), mark: Some(number(&left)) });
    assert!(matches!(marked.first(), Some(Event::Safety { trust: Trust::Verified, .. })));
    let wrong = world.run(1, Command::Verify { name: Some("alice".into()), mark: Some("1".repeat(60)) });
    assert_eq!(error_of(&wrong), Some(ErrorCode::NotTrusted));
}

#[test]
fn who_is_blocked_is_neither_shown_nor_confirmed() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hi");
    world.send(1, "alice", "hi");
    world.pass(5_000);
    let token = world.engine(1).own.token;
    let events = world.run(1, Command::Block { name: "alice".into() });
    assert!(matches!(events.first(), Some(Event::Contact { blocked: true, .. })));
    assert_ne!(world.engine(1).own.token, token);
    world.recv(1);
    world.send(0, "bob", "are you there?");
    world.pass(5_000);
    assert!(world.recv(1).is_empty());
    assert_eq!(world.history(0, "bob").last().map(|m| m.state), Some(State::Sent));
    assert_eq!(error_of(&world.send(1, "alice", "no")), Some(ErrorCode::Usage));
    world.run(1, Command::Unblock { name: "alice".into() });
    world.send(0, "bob", "and now?");
    world.pass(5_000);
    assert_eq!(world.recv(1), ["and now?"]);
}

#[test]
fn links_of_other_relays_and_other_keys_are_refused() {
    let mut world = World::new(&["alice", "bob"]);
    let add = |link: String| Command::Add { link };
    let relay = world.relay.address();
    let other = format!("sealpost://localhost:7443/{}/bob?fp={}", "a".repeat(52), "b".repeat(51) + "a");
    assert_eq!(error_of(&world.run(0, add(other))), Some(ErrorCode::Usage));
    assert_eq!(error_of(&world.run(0, add("nonsense".into()))), Some(ErrorCode::Usage));
    // [ACCT-14] a link with a false fingerprint: nothing is sent.
    let wrong = format!("{relay}/bob?fp={}", "b".repeat(51) + "a");
    assert_eq!(error_of(&world.run(0, add(wrong.clone()))), None);
    let send = Command::Send { to: "bob".into(), text: "x".into(), wait: Wait::Sent, timeout_ms: 5_000, expire: None };
    assert_eq!(error_of(&world.run(0, send)), Some(ErrorCode::KeyChanged));
    assert_eq!(world.relay.delivered, 0);
    // Once the key is known, another link can't replace it.
    world.send(1, "alice", "hi");
    world.pass(3_000);
    let wrong = format!("{relay}/alice?fp={}", "b".repeat(51) + "a");
    assert_eq!(error_of(&world.run(1, add(wrong))), Some(ErrorCode::NotTrusted));
}

/// [ACCT-8] two lists of one key with one number stop sending, since one of the two may be a thief's: until that key's next list, or until the
/// person says that it is theirs. The mark and the conversation stay, as the key does.
#[test]
fn another_list_of_the_same_key_is_no_other_person() {
    use sealpost_crypto::identity::DeviceSecret;
    use sealpost_spec::account::{DeviceId, DeviceList};
    for accepts in [false, true] {
        let mut world = World::new(&["alice", "bob"]);
        world.send(0, "bob", "hello bob");
        world.send(1, "alice", "hello alice");
        let name: sealpost_spec::account::Name = "bob".parse().unwrap();
        let account = world.engine(1).rows().account_secret().unwrap().unwrap();
        let mut list = world.engine(1).own_list().unwrap();
        let shows = |world: &mut World, list: &DeviceList| {
            *world.relay.list_of("bob") = account.sign_devices(list);
            let name = name.clone();
            world.step(0, |engine| {
                let contact = engine.contact_mut(&name).unwrap();
                (contact.fetched_at, contact.verified) = (0, true);
                engine.retry(&name)
            });
        };
        list.devices.push(DeviceSecret::generate(&mut dice(9)).public(DeviceId(2)));
        shows(&mut world, &list);
        assert_eq!(error_of(&world.send(0, "bob", "nothing leaves")), Some(ErrorCode::KeyChanged));
        if accepts {
            let fingerprint = sealpost_crypto::identity::fingerprint(&list.account).to_string();
            let events = world.run(0, Command::Trust { name: "bob".into(), fingerprint });
            assert_eq!(error_of(&events), None, "{events:?}");
        } else {
            list.number += 1;
            shows(&mut world, &list);
        }
        assert_eq!(error_of(&world.send(0, "bob", "as before")), None);
        let contact = &world.engine(0).contacts[&name];
        assert!(contact.verified && contact.era == 0 && contact.changed.is_none());
        assert_eq!(texts(&world.history(0, "bob")), ["hello bob", "hello alice", "as before"]);
        assert!(world.history(1, "alice").iter().any(|line| line.text.as_raw() == "as before"));
    }
}
