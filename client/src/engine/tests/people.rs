//! What is known of people besides their keys.

use super::*;
use crate::api::Text;

fn person(events: &[Event]) -> Event {
    events.iter().find(|event| matches!(event, Event::Person { .. })).expect("it tells of a person").clone()
}

fn whois(world: &mut World, who: usize, name: &str) -> Event {
    person(&world.run(who, Command::Whois { name: name.into() }))
}

/// Of whom one does not know the relay is asked, and nothing is pinned by that; of whom one knows, the store tells.
#[test]
fn whois_tells_what_is_known() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    let before = world.engine(0).contacts.len();
    let events = world.run(0, Command::Whois { name: "nobody".into() });
    assert_eq!(error_of(&events), Some(ErrorCode::NoSuchName));
    world.send(0, "bob", "hello");
    world.pass(1_000);
    world.send(1, "alice", "hello");
    world.pass(1_000);
    world.relay.up = false;
    let Event::Person { name, fingerprint, trust, rooms, devices, first_seen, verified_since, accepted, .. } =
        whois(&mut world, 0, "@bob")
    else {
        panic!("a person")
    };
    let print = sealpost_crypto::identity::fingerprint(&world.engine(1).own.account.clone()).to_string();
    assert_eq!((name.as_str(), fingerprint, trust, accepted), ("bob", print, Trust::Unverified, true));
    assert_eq!((rooms, devices), (vec!["#lobby".to_owned()], vec![1]));
    assert!(first_seen.is_some() && verified_since.is_none());
    assert!(matches!(whois(&mut world, 0, "alice"), Event::Person { trust: Trust::Verified, .. }), "oneself");
    world.relay.up = true;
    assert_eq!(world.engine(0).contacts.len(), before + 1, "nobody was added by asking");
}

/// The directory is asked about whom nobody has met, and the key that it shows is not pinned.
#[test]
fn whois_asks_the_directory() {
    let mut world = World::new(&["alice", "bob"]);
    // Bob has said nothing that alice has read: she forgets whom she saw in the lobby.
    let name: sealpost_spec::account::Name = "carol".parse().unwrap();
    let mut late = World::new(&["carol"]);
    let account = late.engine(0).own.account;
    let list = late.engine(0).own.list.clone();
    let shown = sealpost_crypto::identity::verify_devices(&list).unwrap();
    let id = world.give(0, Command::Whois { name: "carol".into() });
    world.step(0, |engine| engine.looked_up(&name, &shown));
    let Event::Person { fingerprint, first_seen, devices, accepted, .. } = person(&world.of(0, id)) else {
        panic!("a person")
    };
    assert_eq!(fingerprint, sealpost_crypto::identity::fingerprint(&account).to_string());
    assert_eq!((first_seen, devices, accepted), (None, vec![1], false));
    assert!(!world.engine(0).contacts.contains_key(&name));
}

/// [ROOM-19] a label is one's own, stays through a restart, and is gone with the key that it was given to.
#[test]
fn a_label_belongs_to_a_key() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.pass(1_000);
    world.send(1, "alice", "hi");
    world.pass(1_000);
    let alias = |label: &str| Command::Alias { name: "bob".into(), label: label.into() };
    let Event::Person { label, .. } = person(&world.run(0, alias(" Uncle Bob "))) else { panic!("a person") };
    assert_eq!(label, Some(Text::new("Uncle Bob")));
    world.restart(0);
    world.give(0, Command::Subscribe);
    let line = world.history(0, "bob").into_iter().find(|line| line.from == "@bob").unwrap();
    assert_eq!((line.label, line.from.as_str()), (Some(Text::new("Uncle Bob")), "@bob"));
    for bad in ["a\nb", &"x".repeat(65)] {
        assert_eq!(error_of(&world.run(0, alias(bad))), Some(ErrorCode::Usage), "{bad:?}");
    }
    let nobody = Command::Alias { name: "nobody".into(), label: "x".into() };
    assert_eq!(error_of(&world.run(0, nobody)), Some(ErrorCode::NoSuchName));
    world.step(0, |engine| {
        if let Some(contact) = engine.contact_mut(&"bob".parse().unwrap()) {
            contact.account = Some(sealpost_spec::account::AccountKey([9; 32]));
        }
        Ok(())
    });
    let Event::Person { label, .. } = whois(&mut world, 0, "bob") else { panic!("a person") };
    assert_eq!(label, None, "it was given to another key");
}

/// [ROOM-19] a display name reaches those who share a room, stands beside the account name, and is told again where one
/// enters; being away ends with an empty word.
#[test]
fn what_one_says_of_oneself_reaches_rooms() {
    let mut world = World::new(&["alice", "bob"]);
    let events = world.run(1, Command::Nick { display: "Bobby \u{202e}".into() });
    assert_eq!(error_of(&events), None, "what is no control character is the reader's to filter");
    assert!(world.run(1, Command::Nick { display: "Bobby".into() }).contains(&Event::Done));
    assert!(world.run(1, Command::Away { why: "lunch".into() }).contains(&Event::Done));
    world.send(1, "#lobby", "back at two");
    world.pass(1_000);
    let line = world.history(0, "#lobby").into_iter().find(|line| line.text.as_raw() == "back at two").unwrap();
    assert_eq!((line.from.as_str(), line.display), ("@bob", Some(Text::new("Bobby"))));
    let who = world.run(0, Command::Who { room: None });
    let bob = who.iter().find_map(|event| match event {
        Event::Presence { name, display, away, .. } if name == "@bob" => Some((display.clone(), away.clone())),
        _ => None,
    });
    assert_eq!(bob, Some((Some(Text::new("Bobby")), Some(Text::new("lunch")))));
    assert!(
        world.people[0].heard.iter().any(|(_, event)| matches!(event, Event::About { from, .. } if from == "@bob"))
    );
    let stands = |line: &Message| matches!(line.kind, crate::api::Kind::Name | crate::api::Kind::Away);
    assert!(!world.history(0, "#lobby").iter().any(stands), "history is what was said");

    world.run(1, Command::Away { why: String::new() });
    world.run(1, Command::Join { room: "#garden".into() });
    world.run(0, Command::Join { room: "#garden".into() });
    world.pass(1_000);
    let Event::Person { display, away, rooms, .. } = whois(&mut world, 0, "bob") else { panic!("a person") };
    assert_eq!((display, away), (Some(Text::new("Bobby")), None));
    assert_eq!(rooms, ["#garden", "#lobby"]);
    assert_eq!(error_of(&world.run(1, Command::Nick { display: "x".repeat(65) })), Some(ErrorCode::Usage));
    assert_eq!(error_of(&world.run(1, Command::Away { why: "a\nb".into() })), Some(ErrorCode::Usage));
    world.run(1, Command::Leave { room: "#garden".into() });
    world.pass(1_000);
    let Event::Person { rooms, .. } = whois(&mut world, 0, "bob") else { panic!("a person") };
    assert_eq!(rooms, ["#lobby"]);
}

/// Notes to oneself stay here: nothing leaves, and everything that one does with a message can be done with them.
#[test]
fn notes_stay_here() {
    let mut world = World::new(&["alice"]);
    let before = world.relay.delivered;
    let events = world.send(0, "alice", "milk");
    assert!(events.contains(&Event::End) && error_of(&events).is_none(), "{events:?}");
    world.send(0, "@alice", "eggs");
    let id = world.history(0, "@alice").first().unwrap().id.clone();
    let edit = Command::Edit { id: Some(id.clone()), within: None, text: "oat milk".into() };
    assert_eq!(error_of(&world.run(0, edit)), None);
    let reply = Command::Reply { id: id.clone(), text: "and bread".into(), wait: Wait::Sent, timeout_ms: 1_000 };
    assert_eq!(error_of(&world.run(0, reply)), None);
    assert_eq!(error_of(&world.run(0, Command::React { id, emoji: "👍".into() })), None);
    assert_eq!(error_of(&world.run(0, Command::Delete { id: None, within: Some("alice".into()) })), None);
    let lines = world.history(0, "alice");
    let shown: Vec<_> = lines.iter().map(|line| (line.text.as_raw(), line.edited, line.reactions.len())).collect();
    assert_eq!(shown, [("oat milk", true, 1), ("eggs", false, 0), ("deleted by its author", false, 0)]);
    assert_eq!(world.relay.delivered, before);
    let listed = world.run(0, Command::Conversations);
    assert!(listed.iter().any(|event| matches!(event, Event::Conversation { name, .. } if name == "@alice")));
    let found = world.run(0, Command::Search { words: "egg".into(), with: None, limit: None });
    assert_eq!(found.iter().filter(|event| matches!(event, Event::Message(_))).count(), 1);
}

/// [ROOM-19] the newest name counts by its author's clock, in whatever room and order it is read.
#[test]
fn an_older_name_does_not_come_back() {
    let mut world = World::new(&["alice", "bob"]);
    let bob = world.engine(1).own.account;
    assert!(world.run(1, Command::Join { room: "#garden".into() }).contains(&Event::Done));
    for (name, leaves) in [("Old", true), ("New", false)] {
        world.pass(1_000);
        assert!(world.run(1, Command::Nick { display: name.into() }).contains(&Event::Done));
        if leaves {
            assert!(world.run(1, Command::Leave { room: "#garden".into() }).contains(&Event::Done));
        }
    }
    world.pass(1_000);
    assert_eq!(world.engine(0).display_of(&bob), Some(Text::new("New")));
    assert!(world.run(0, Command::Join { room: "#garden".into() }).contains(&Event::Done));
    world.pass(1_000);
    let old = |line: &Message| line.text.as_raw() == "Old";
    assert!(!world.history(0, "#garden").iter().any(old), "it stands in no line of its own");
    assert_eq!(world.engine(0).display_of(&bob), Some(Text::new("New")));
}

/// [ROOM-19] a label is for the account that it was given to, not for whoever else uses the name.
#[test]
fn a_label_is_not_shown_for_another_key() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.pass(1_000);
    let label = Command::Alias { name: "bob".into(), label: "the one from the choir".into() };
    assert_eq!(error_of(&world.run(0, label)), None);
    let (bob, name) = (world.engine(1).own.account, "bob".parse().unwrap());
    let of = |world: &mut World, account| world.engine(0).label_of(&name, account).is_some();
    assert!(of(&mut world, Some(&bob)) && of(&mut world, None));
    assert!(!of(&mut world, Some(&sealpost_spec::account::AccountKey([9; 32]))));
}

/// [MSG-44] [ACCT-13] another device of one's own that was shown another key, at its first contact, replaces none that is pinned
/// here, verified or not, and takes no mark from it.
#[test]
fn another_device_replaces_no_key() {
    use sealpost_crypto::identity::{AccountSecret, DeviceSecret};
    use sealpost_spec::account::{DeviceId, DeviceList};
    use sealpost_spec::message::{DeviceSync, SyncedPerson};
    use sealpost_spec::wire::{Bytes, encode};
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    world.settle();
    let name: sealpost_spec::account::Name = "bob".parse().unwrap();
    let mut rng = dice(77);
    let secret = AccountSecret::generate(&mut rng);
    let device = DeviceSecret::generate(&mut rng).public(DeviceId(1));
    let list = DeviceList { number: 9, name: name.clone(), account: secret.key(), devices: vec![device] };
    let (now, own) = (world.now, (world.engine(0).own.account, DeviceId(2)));
    let item = DeviceSync::Person(SyncedPerson {
        at: now,
        name: name.clone(),
        account: Some(secret.key()),
        pinned: None,
        list: Some(secret.sign_devices(&list)),
        token: None,
        verified: true,
        accepted: true,
        blocked: false,
        muted: false,
        expire_after: None,
        label: "Bobby".into(),
    });
    let body = DeviceSync::join(&[Bytes(encode(&item).unwrap())]).unwrap();
    for verified in [false, true] {
        world.step(0, |engine| {
            engine.contact_mut(&name).unwrap().verified = verified;
            Ok(())
        });
        let before = world.engine(0).contacts[&name].clone();
        world.step(0, |engine| engine.hear(&own, &body));
        let after = &world.engine(0).contacts[&name];
        assert_eq!((after.account, after.verified, after.era), (before.account, verified, before.era));
        assert!(after.list == before.list && after.changed.is_none());
        world.settle();
    }
    assert_eq!(texts(&world.history(0, "bob")), ["hello"]);
}
