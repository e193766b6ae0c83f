//! Several devices of one person: what is said on one stands on all, and what one may no more, it can't.

mod decided;
mod late;
mod leaving;
mod posts;

use std::collections::BTreeMap;

use rand::RngExt;
use sealpost_client::api::{Command, ErrorCode, Event, Found, State, Trust, Wait};
use sealpost_spec::mailbox::MAX_ENVELOPES;
use sealpost_spec::message::{Body, DeviceSync};
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::wire::{Bytes, decode, encode};

use crate::world::faults::Faults;
use crate::world::{DAY, HOUR, MINUTE, SECOND, World, error_of};

const PHONE: &str = "alice's phone";

/// Alice and Bob know each other by their links, and Alice has a second device.
fn house(seed: u64) -> World {
    let mut world = World::new(seed);
    let (_, link) = world.alice().me();
    let _ = world.bob().asks(Command::Add { link });
    let (_, link) = world.bob().me();
    let _ = world.alice().asks(Command::Add { link });
    world.alice().sends("bob", "before the phone", Wait::Delivered).unwrap();
    world.bob().sends("alice", "hello alice", Wait::Delivered).unwrap();
    world.settle();
    let _ = world.alice().asks(Command::Read { with: "@bob".to_owned(), through: None });
    world.links(PHONE, "alice");
    world
}

fn contact(world: &mut World, of: &str, name: &str) -> (Trust, bool, bool, Option<String>) {
    let contacts = world.person(of).asks(Command::Contacts);
    let found = contacts.iter().find_map(|event| match event {
        Event::Contact { name: other, trust, blocked, accepted, label, .. } if other == name => {
            Some((*trust, *blocked, *accepted, label.as_ref().map(|label| label.as_raw().to_owned())))
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{of} does not know {name}: {contacts:?}"))
}

fn devices(world: &mut World, of: &str) -> Vec<(u32, bool)> {
    let events = world.person(of).asks(Command::Devices);
    let told = |event: &Event| match event {
        Event::Device { device, this, .. } => Some((*device, *this)),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

/// Both devices show the same conversation, but for what was said before the second one was there.
fn the_same(world: &mut World, with: &str) {
    let mut first = world.alice().present(with);
    first.retain(|_, whole| !whole.contains("before the phone") && !whole.contains("hello alice"));
    let second = world.person(PHONE).present(with);
    assert_eq!(first, second, "{}", world.replay());
}

fn nobody_saw_a_changed_key(world: &mut World) {
    for name in ["alice", PHONE, "bob", "carol"] {
        let told = world.person(name).events();
        let changed = told.iter().any(|event| matches!(event, Event::KeyChanged { .. }));
        assert!(!changed, "{}: {name}: {told:?}", world.replay());
        let refused: Vec<&Event> = told.iter().filter(|event| matches!(event, Event::Refused { .. })).collect();
        assert!(refused.is_empty(), "{}: {name}: {refused:?}", world.replay());
    }
    assert_eq!(world.reused_keys(), Vec::<String>::new());
}

/// [ACCT-25] [ACCT-26] [MSG-45] a machine becomes a device: it has the contacts with their marks, rooms and settings, and no
/// history; contacts hear of it once, and of no changed key.
#[test]
fn a_machine_becomes_a_device() {
    let mut world = World::new(300);
    let (_, link) = world.bob().me();
    let _ = world.alice().asks(Command::Add { link });
    world.alice().sends("bob", "before the phone", Wait::Sent).unwrap();
    world.settle();
    let events = world.bob().asks(Command::Accept { name: "alice".to_owned() });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.carol().sends("alice", "buy my beans", Wait::Sent).unwrap();
    let _ = world.alice().asks(Command::Alias { name: "bob".to_owned(), label: "Uncle Bob".to_owned() });
    let _ = world.alice().asks(Command::Mute { with: "#lobby".to_owned(), on: true });
    let _ = world.alice().asks(Command::Settings { read_receipts: Some(true), typing: None });
    let _ = world.alice().asks(Command::Block { name: "carol".to_owned() });
    world.join("alice", "#garden");
    world.settle();
    world.links(PHONE, "alice");
    assert_eq!(contact(&mut world, PHONE, "bob"), (Trust::Verified, false, true, Some("Uncle Bob".to_owned())));
    assert!(contact(&mut world, PHONE, "carol").1, "carol is blocked there, too");
    let events = world.person(PHONE).asks(Command::Settings { read_receipts: None, typing: None });
    assert!(events.contains(&Event::Settings { read_receipts: true, typing: false }), "{events:?}");
    let conversations = world.person(PHONE).asks(Command::Conversations);
    let room = |name: &str| {
        conversations.iter().find_map(|event| match event {
            Event::Conversation { name: other, muted, joined, .. } if other == name => Some((*muted, *joined)),
            _ => None,
        })
    };
    assert_eq!((room("#lobby"), room("#garden")), (Some((true, Some(true))), Some((false, Some(true)))));
    assert_eq!(world.person(PHONE).conversation("bob"), [], "history is not handed over");
    assert_eq!(
        (devices(&mut world, "alice"), devices(&mut world, PHONE)),
        (vec![(1, true), (2, false)], vec![(1, false), (2, true)])
    );
    let (first, second) = (world.alice().me(), world.person(PHONE).me());
    assert_eq!(first, second, "one account, one key");

    world.alice().sends("bob", "with a phone", Wait::Delivered).unwrap();
    world.bob().sends("alice", "congratulations", Wait::Delivered).unwrap();
    world.settle();
    let told = world.bob().events();
    let new: Vec<_> = told.iter().filter(|event| matches!(event, Event::NewDevice { .. })).collect();
    let expected = Event::NewDevice { name: "alice".to_owned(), device: 2, replaces: false };
    assert_eq!(new, [&expected], "told once");
    assert!(world.person(PHONE).heard().contains(&"congratulations".to_owned()));
    nobody_saw_a_changed_key(&mut world);
    // [MSG-46] what was said before it was there is not missing.
    let gaps = world.person(PHONE).history("bob");
    assert!(!gaps.iter().any(|event| matches!(event, Event::Gap { .. })), "{gaps:?}");
}

/// [ACCT-24] a request that was exchanged on its way, or is for another account, adds nothing; and nobody adds a device without
/// having compared the code.
#[test]
fn only_what_was_compared_is_added() {
    let mut world = World::new(301);
    let (request, code) = world.asks_to_be_linked(PHONE, "alice");
    let (of_the_thief, _) = world.asks_to_be_linked("a thief's machine", "alice");
    let add = |request: &str, code: Option<&str>| Command::DeviceAdd {
        request: request.to_owned(),
        code: code.map(str::to_owned),
        timeout_ms: 0,
    };
    let events = world.alice().asks(add(&request, None));
    assert_eq!(error_of(&events), Some(ErrorCode::Usage));
    assert!(events.contains(&Event::DeviceRequest { request: request.clone(), code: code.clone() }), "{events:?}");
    // Nothing to paste: the code is for comparing.
    let pasted = |event: &Event| matches!(event, Event::Error(error) if error.advice.as_ref().is_some_and(|advice| advice.contains(&code)));
    assert!(!events.iter().any(pasted), "{events:?}");
    let events = world.alice().asks(add(&of_the_thief, Some(&code)));
    assert_eq!(error_of(&events), Some(ErrorCode::NotTrusted), "{events:?}");
    let last = if request.ends_with('a') { 'b' } else { 'a' };
    let bent = format!("{}{last}", &request[..request.len() - 1]);
    for damaged in [&request[..request.len() - 1], "sealpost-device:", &bent] {
        assert_eq!(error_of(&world.alice().asks(add(damaged, Some(&code)))), Some(ErrorCode::Usage), "{damaged}");
    }
    assert_eq!(error_of(&world.bob().asks(add(&request, Some(&code)))), Some(ErrorCode::NotTrusted));
    assert_eq!(world.devices_of("alice").number, 1);
    let events = world.alice().asks(add(&request, Some(&code.replace('-', ""))));
    assert_eq!(error_of(&events), None, "{events:?}");
    // [ACCT-26] given twice, it is listed once.
    let again = world.alice().asks(add(&request, Some(&code)));
    assert_eq!(error_of(&again), None, "{again:?}");
    assert_eq!(world.devices_of("alice").devices.len(), 2);
    world.person("a thief's machine").leaves();
    world.settle();
    // [ACCT-25] the linked device has no key to add anybody with, and its backup would have none.
    for command in [add(&of_the_thief, Some(&code)), Command::DeviceRevoke { device: 1 }] {
        assert_eq!(error_of(&world.person(PHONE).asks(command.clone())), Some(ErrorCode::Usage), "{command:?}");
    }
}

/// [MSG-43] [MSG-24] what is said on one device stands on the other, once, under the same id: text, replies, edits, deletions,
/// reactions, notes, what was read, and how far it came.
#[test]
fn a_conversation_reads_the_same_on_both() {
    let mut world = house(302);
    let first = world.alice().says("bob", "from the desk");
    let second = world.person(PHONE).says("bob", "from the phone");
    world.pass(30 * SECOND);
    let _ = world.bob().says("alice", "to both");
    world.settle();
    the_same(&mut world, "bob");
    assert_eq!(world.bob().heard(), ["before the phone", "from the desk", "from the phone"]);
    for device in ["alice", PHONE] {
        assert!(world.person(device).heard().contains(&"to both".to_owned()), "{device}");
        for id in [&first, &second] {
            assert_eq!(world.person(device).state_of("bob", id), State::Delivered, "{device}");
        }
    }
    // Each changes what the other has said.
    let text = "from the desk, corrected on the phone".to_owned();
    let edit = Command::Edit { id: Some(first.clone()), within: None, text };
    assert_eq!(error_of(&world.person(PHONE).asks(edit)), None);
    let delete = Command::Delete { id: Some(second.clone()), within: None };
    assert_eq!(error_of(&world.alice().asks(delete)), None);
    let heard = world.bob().says("alice", "what was that?");
    world.settle();
    let react = Command::React { id: heard.clone(), emoji: "👍".to_owned() };
    assert_eq!(error_of(&world.person(PHONE).asks(react)), None);
    let reply = Command::Reply { id: heard, text: "nothing".to_owned(), wait: Wait::Sent, timeout_ms: 60_000 };
    assert_eq!(error_of(&world.alice().asks(reply)), None);
    world.settle();
    the_same(&mut world, "bob");
    let at_bobs = world.bob().present("alice");
    assert!(at_bobs[&first].contains("corrected on the phone") && at_bobs[&second].contains("Removed"), "{at_bobs:?}");
    // Notes to oneself.
    let _ = world.alice().says("alice", "milk");
    world.settle();
    assert_eq!(world.person(PHONE).conversation("alice"), [("@alice".to_owned(), "milk".to_owned())]);
    // A room needs no copies, and nobody has unread what they wrote elsewhere.
    world.person(PHONE).sends("#lobby", "from the phone, to all", Wait::Sent).unwrap();
    world.settle();
    the_same(&mut world, "#lobby");
    // What was read on one device is read on the other.
    let unread = |world: &mut World, device: &str| {
        let conversations = world.person(device).asks(Command::Conversations);
        let unread = conversations.iter().map(|event| match event {
            Event::Conversation { unread, .. } => *unread,
            _ => 0,
        });
        unread.sum::<u32>()
    };
    assert!(unread(&mut world, "alice") > 0 && unread(&mut world, PHONE) > 0);
    for with in ["@bob", "#lobby"] {
        let _ = world.person(PHONE).asks(Command::Read { with: with.to_owned(), through: None });
    }
    world.settle();
    assert_eq!((unread(&mut world, "alice"), unread(&mut world, PHONE)), (0, 0));
    nobody_saw_a_changed_key(&mut world);
    assert_eq!((world.alice().queue(), world.person(PHONE).queue()), ((0, 0), (0, 0)));
}

/// [MSG-43] [RELAY-27] a copy does not leave before some seconds have passed since the message was sent, and goes over the
/// link on which its sender is known anyway.
#[test]
fn a_copy_does_not_tell_whose_a_message_was() {
    let mut world = house(303);
    let list = world.devices_of("alice");
    let own: Vec<_> = list.devices.iter().map(|device| sealpost_crypto::identity::mailbox(&device.key)).collect();
    for round in 0..8 {
        let copies = |world: &World| {
            let of_own = |bytes: &[u8]| matches!(decode(bytes), Ok(Request::Deliver { envelope, .. }) if own.contains(&envelope.mailbox));
            world.record.of("request").filter(|bytes| of_own(bytes)).count()
        };
        world.settle();
        let before = copies(&world);
        world.alice().sends("bob", &format!("message {round}"), Wait::Sent).unwrap();
        world.pass(4 * SECOND);
        // Bob's receipts and answers go to both of Alice's devices; of her own there is nothing yet.
        let early = world.person(PHONE).conversation("bob").iter().any(|(_, text)| text.ends_with(&round.to_string()));
        assert!(!early, "round {round}");
        world.pass(2 * MINUTE);
        let there = world.person(PHONE).conversation("bob").iter().any(|(_, text)| text.ends_with(&round.to_string()));
        assert!(there && copies(&world) > before, "round {round}");
    }
}

/// [MSG-44] what is decided on two devices at once, while they can't hear each other, comes out the same on both; that somebody
/// is verified is never taken back.
#[test]
fn decisions_come_out_the_same() {
    let mut world = house(304);
    world.carol().sends("alice", "buy my beans", Wait::Sent).unwrap();
    world.settle();
    let (_, link) = world.carol().me();
    world.partition(true);
    let _ = world.alice().asks(Command::Add { link });
    world.pass(SECOND);
    let _ = world.person(PHONE).asks(Command::Alias { name: "bob".to_owned(), label: "Bobby".to_owned() });
    let _ = world.person(PHONE).asks(Command::Block { name: "carol".to_owned() });
    world.pass(SECOND);
    let _ = world.alice().asks(Command::Alias { name: "bob".to_owned(), label: "Uncle Bob".to_owned() });
    world.partition(false);
    world.settle();
    for name in ["bob", "carol"] {
        assert_eq!(contact(&mut world, "alice", name), contact(&mut world, PHONE, name), "{name}");
    }
    assert_eq!(contact(&mut world, PHONE, "bob").3.as_deref(), Some("Uncle Bob"), "the later one");
    let carol = contact(&mut world, "alice", "carol");
    assert_eq!((carol.0, carol.1), (Trust::Verified, true));
    // Whoever replaced the token last, both have the same, and the relay as well: Bob learns it and needs no work.
    world.alice().sends("bob", "one", Wait::Delivered).unwrap();
    world.bob().sends("alice", "two", Wait::Delivered).unwrap();
    world.settle();
    world.bob().sends("alice", "three", Wait::Delivered).unwrap();
    let of_bob = |bytes: &&[u8]| matches!(decode(bytes), Ok(Request::Deliver { token: Some(_), .. }));
    assert!(world.record.of("request").filter(of_bob).count() > 0);
    world.settle();
    the_same(&mut world, "bob");
}

/// [ACCT-27] [ACCT-28] [RELAY-26] [ACCT-8] [THREAT-28] a device that is revoked hears it, and does nothing more: nobody takes anything from
/// it, nobody encrypts for it, and a thief who starts it again comes no further.
#[test]
fn a_revoked_device_is_out() {
    let mut world = house(305);
    world.person(PHONE).sends("bob", "from the phone", Wait::Delivered).unwrap();
    world.settle();
    world.person(PHONE).leaves();
    world.copies_profile(PHONE, "the thief");
    world.person(PHONE).returns();
    world.settle();
    let phones = sealpost_crypto::identity::mailbox(&world.devices_of("alice").devices[1].key);
    let events = world.alice().asks(Command::DeviceRevoke { device: 2 });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.settle();
    let told = world.person(PHONE).events();
    let heard = |event: &Event| matches!(event, Event::Error(error) if error.code == ErrorCode::Refused && error.message.contains("no more"));
    assert!(told.iter().any(heard), "{told:?}");
    assert_eq!(devices(&mut world, "alice"), [(1, true)]);
    assert_eq!(world.person(PHONE).sends("bob", "am I still here?", Wait::Sent), Err(ErrorCode::Refused));
    assert_eq!(world.person(PHONE).conversation("bob").last().unwrap().1, "from the phone", "what it has, it has");
    let checks = world.person(PHONE).asks(Command::Doctor);
    assert!(
        checks.iter().any(
            |event| matches!(event, Event::Check { found: Found::Warn, detail, .. } if detail.contains("revoked"))
        )
    );
    // Bob learns of it with Alice's next word; from then on he encrypts for one device.
    world.alice().sends("bob", "my phone was stolen", Wait::Delivered).unwrap();
    world.settle();
    let before = world.record.of("request").count();
    world.bob().sends("alice", "I am sorry", Wait::Delivered).unwrap();
    world.settle();
    let to_phone =
        |bytes: &&[u8]| matches!(decode(bytes), Ok(Request::Deliver { envelope, .. }) if envelope.mailbox == phones);
    assert_eq!(world.record.of("request").skip(before).filter(to_phone).count(), 0);
    // The thief has all that the phone had.
    world.person("the thief").returns();
    let tried = world.person("the thief").tries_to_say("bob", "it is me, alice");
    world.settle();
    world.pass(2 * DAY);
    world.settle();
    let told = world.person("the thief").events();
    assert!(told.iter().any(heard), "{tried}: {told:?}");
    assert!(!world.bob().heard().contains(&"it is me, alice".to_owned()));
    assert!(!world.person("the thief").heard().contains(&"I am sorry".to_owned()));
    let again = Command::DeviceRevoke { device: 2 };
    assert_eq!(error_of(&world.alice().asks(again)), Some(ErrorCode::NoSuchName));
    nobody_saw_a_changed_key(&mut world);
    // A new one gets a number that nobody had.
    world.links("alice's new phone", "alice");
    assert_eq!(devices(&mut world, "alice"), [(1, true), (4, false)]);
}

/// [ACCT-28] [THREAT-14] a relay that shows an older list of one's own, another one, or another key, changes nothing.
#[test]
fn a_lie_about_ones_own_devices_changes_nothing() {
    for lie in 0..3 {
        let mut world = house(306 + lie);
        let mallory = world.puppet("alice");
        let older = match world.stranger_asks(&Request::FetchDevices("alice".parse().unwrap())) {
            Ok(Answer::Devices(signed)) => signed,
            other => panic!("{other:?}"),
        };
        let events = world.alice().asks(Command::DeviceRevoke { device: 2 });
        assert_eq!(error_of(&events), None);
        world.links("another phone", "alice");
        let lied = match lie {
            0 => older,
            1 => mallory.list(),
            _ => mallory.list_of(9, vec![mallory.public()]),
        };
        world.mallory.answer = Some(Box::new(move |_, request, answer| match (request, answer) {
            (Request::FetchDevices(name), Ok(Answer::Devices(_))) if name.as_str() == "alice" => {
                Ok(Answer::Devices(lied.clone()))
            }
            (_, answer) => answer,
        }));
        for device in ["alice", "another phone"] {
            world.person(device).leaves();
            world.person(device).returns();
        }
        world.settle();
        world.mallory.reform();
        for device in ["alice", "another phone"] {
            world.person(device).leaves();
            world.person(device).returns();
        }
        world.settle();
        assert_eq!(devices(&mut world, "alice"), [(1, true), (4, false)], "lie {lie}");
        assert_eq!(devices(&mut world, "another phone"), [(1, false), (4, true)], "lie {lie}");
        world.person("another phone").sends("bob", "still here", Wait::Delivered).unwrap();
    }
}

/// [MSG-42] [THREAT-27] what only one's own devices may say is dropped where anybody else says it, and nobody is told that it came.
#[test]
fn a_stranger_says_nothing_in_the_name_of_a_device() {
    let mut world = house(310);
    let mut mallory = world.puppet("mallory");
    world.registers_puppet(&mut mallory).unwrap();
    let text = mallory.content(7, world.now, Body::Text("I owe mallory a thousand".to_owned()));
    let item = DeviceSync::Said {
        to: "bob".parse().unwrap(),
        account: None,
        content: text,
        far: sealpost_spec::message::Far::Delivered,
    };
    let item = Bytes(encode(&item).unwrap());
    let wanted = Bytes(encode(&DeviceSync::Wanted).unwrap());
    let now = world.now;
    for (number, items) in [(1, vec![item.clone()]), (2, vec![wanted])] {
        let body = Body::DeviceSync(DeviceSync::join(&items).unwrap());
        let content = mallory.content(number, now, body);
        let (bundle, list) = (world.bundle_of("alice"), mallory.list());
        let (_, envelope) = mallory.first_message(&bundle, list, &content);
        let answer = world.stranger_asks(&Request::Deliver { token: None, envelope });
        assert!(matches!(answer, Ok(Answer::Accepted { .. })), "{answer:?}");
        world.settle();
    }
    for device in ["alice", PHONE] {
        let said = world.person(device).conversation("bob");
        assert!(said.iter().all(|(_, text)| !text.contains("thousand")), "{device}: {said:?}");
    }
    let told = world.alice().events();
    let dropped =
        |event: &&Event| matches!(event, Event::Refused { reason, .. } if reason.contains("devices of your own"));
    assert_eq!(told.iter().filter(dropped).count(), 2, "{told:?}");
}

/// [MSG-47] a device that takes nothing keeps nothing from the other one: what is new goes there, however full the first one is.
#[test]
fn a_dead_device_holds_nothing_back() {
    let mut world = house(311);
    world.person(PHONE).leaves();
    let all = MAX_ENVELOPES + 40;
    for number in 0..all {
        let _ = world.bob().says("alice", &format!("message {number}"));
        if number % 20 == 19 {
            world.pass(2 * SECOND);
        }
    }
    let last = world.bob().says("alice", "the last one");
    world.settle();
    let heard = world.alice().heard();
    assert_eq!(heard.len(), all + 2, "{}", heard.len());
    assert_eq!(world.bob().state_of("alice", &last), State::Delivered);
    assert_eq!(world.bob().queue(), (0, 0));
    // It comes back, and gets what waited; what was left out is shown as missing.
    world.person(PHONE).returns();
    world.settle();
    world.pass(HOUR);
    world.settle();
    world.bob().sends("alice", "welcome back", Wait::Delivered).unwrap();
    world.settle();
    let heard = world.person(PHONE).heard();
    assert!(heard.contains(&"welcome back".to_owned()) && heard.contains(&"message 0".to_owned()), "{}", heard.len());
    let history = world.person(PHONE).history("bob");
    let missing: u64 = history
        .iter()
        .filter_map(|event| match event {
            Event::Gap { missing, .. } => Some(*missing),
            _ => None,
        })
        .sum();
    assert_eq!(missing as usize + heard.len(), all + 2, "all others are shown as missing");
}

/// A relay that loses its store, or goes back to an older one, gets both devices back.
#[test]
fn both_devices_come_back_to_a_relay_that_forgot() {
    let mut world = house(312);
    let backup = world.backup();
    world.links("a third", "alice");
    world.lose_store();
    world.settle();
    world.alice().sends("bob", "after the loss", Wait::Delivered).unwrap();
    world.bob().sends("alice", "so I see", Wait::Delivered).unwrap();
    world.settle();
    the_same(&mut world, "bob");
    world.restore(backup);
    world.settle();
    world.pass(HOUR);
    world.settle();
    assert_eq!(world.devices_of("alice").devices.len(), 3);
    world.person("a third").sends("bob", "after the backup", Wait::Delivered).unwrap();
    world.bob().sends("alice", "to all three", Wait::Delivered).unwrap();
    world.settle();
    the_same(&mut world, "bob");
    for device in ["alice", PHONE, "a third"] {
        assert!(world.person(device).heard().contains(&"to all three".to_owned()), "{device}");
    }
}

/// [ACCT-29] what is said to somebody before one has heard of their new device comes to it all the same.
#[test]
fn a_new_device_gets_what_was_said_before_it_was_known() {
    let mut world = house(313);
    let _ = world.bob().says("alice", "are you there?");
    world.settle();
    assert_eq!(world.person(PHONE).heard(), ["are you there?"]);
    assert_eq!(world.alice().heard(), ["hello alice", "are you there?"]);
    assert_eq!(world.bob().queue(), (0, 0));
}

/// A house with two devices, in which everything goes wrong that can: at the end both show the same.
#[test]
fn both_converge_whatever_goes_wrong() {
    for seed in 320..326 {
        let mut world = house(seed);
        // Bob has heard of the phone, and it of him.
        world.alice().sends("bob", "I have a phone", Wait::Delivered).unwrap();
        world.bob().sends("alice", "so I see", Wait::Delivered).unwrap();
        world.settle();
        world.faults = Faults::many();
        let mut said: BTreeMap<String, &str> = BTreeMap::new();
        for step in 0..24 {
            let who = ["alice", PHONE, "bob"][world.dice.random_range(0..3_usize)];
            let to = if who == "bob" { "alice" } else { "bob" };
            match world.dice.random_range(0..10) {
                0 if world.person(who).is_here() => world.person(who).leaves(),
                0 | 1 if !world.person(who).is_here() => world.person(who).returns(),
                2 => world.kill_relay(),
                3 => world.start_relay(),
                4 if step > 8 => world.lose_store(),
                _ if world.person(who).is_here() => {
                    let text = format!("{step} of {who}");
                    if world.person(who).tries_to_say(to, &text) {
                        said.insert(text, who);
                    }
                }
                _ => {}
            }
            let time = world.dice.random_range(0..40 * SECOND);
            world.pass(time);
        }
        world.faults = Faults::default();
        world.start_relay();
        // A push that the relay has forgotten comes with the next login, and a link that holds brings none.
        for who in ["alice", PHONE, "bob"] {
            if world.person(who).is_here() {
                world.person(who).leaves();
            }
            world.person(who).returns();
        }
        for _ in 0..4 {
            world.settle();
            world.pass(DAY + HOUR);
        }
        world.settle();
        the_same(&mut world, "bob");
        let at_bobs = world.bob().conversation("alice");
        let on_phone = world.person(PHONE).conversation("bob");
        for (text, who) in &said {
            assert_eq!(
                at_bobs.iter().filter(|(_, other)| other == text).count(),
                1,
                "{}: {who} {text}",
                world.replay()
            );
            assert_eq!(
                on_phone.iter().filter(|(_, other)| other == text).count(),
                1,
                "{}: {who} {text}",
                world.replay()
            );
        }
        nobody_lost_a_key(&mut world);
    }
}

fn nobody_lost_a_key(world: &mut World) {
    for name in ["alice", PHONE, "bob"] {
        let told = world.person(name).events();
        assert!(!told.iter().any(|event| matches!(event, Event::KeyChanged { .. })), "{}: {told:?}", world.replay());
    }
    assert_eq!(world.reused_keys(), Vec::<String>::new());
}
