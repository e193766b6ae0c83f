//! Lies about keys.

use sealpost_client::api::{Command, ErrorCode, Event, State, Trust, Wait};
use sealpost_crypto::identity::mailbox;
use sealpost_spec::account::{Bundle, DeviceId, PrekeyRole};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::{Bytes, Signed, decode};
use sealpost_tests::mallory::BendAnswer;
use sealpost_tests::mallory::lies::keys::{rewrites_the_version, shuts_a_mailbox, swaps_keys};

use super::{acquainted, delivered_to};
use crate::world::{DAY, HOUR, MINUTE, World};

/// Answers everybody who asks for this name with these keys.
fn swap(name: &'static str, bundle: Bundle) -> Option<BendAnswer> {
    swaps_keys(name.parse().unwrap(), bundle).answer
}

/// [THREAT-5] A known contact's key is swapped: sending stops, the person is told, and nothing is encrypted to the new key.
#[test]
fn a_swapped_key_of_a_known_contact_stops_sending() {
    let mut world = acquainted(200);
    let impostor = world.puppet("bob");
    let theirs = mailbox(&impostor.public().key);
    let real = world.mailbox_of("bob");
    world.mallory.answer = swap("bob", impostor.bundle());
    world.mallory.request = Some(Box::new(move |_, request| match request {
        Request::Deliver { envelope, .. } if envelope.mailbox == real => Some(Err(Refusal::NoSuchMailbox)),
        _ => None,
    }));
    let id = world.alice().says("bob", "for bob alone");
    world.pass(DAY);
    world.settle();
    assert_eq!(world.alice().trust_in("bob"), Some(Trust::KeyChanged));
    let told = world.alice().events();
    assert!(
        told.iter().any(|event| matches!(event, Event::KeyChanged { name, .. } if name.contains("bob"))),
        "{told:?}"
    );
    assert_eq!(world.alice().sends("bob", "and this", Wait::Sent), Err(ErrorCode::KeyChanged));
    assert_eq!(delivered_to(&world, theirs), 0);
    assert_eq!(world.alice().state_of("bob", &id), State::Queued);
}

/// [THREAT-6] Somebody whose link was handed over in person is not passed for, not even at first contact.
#[test]
fn a_swapped_key_of_a_linked_contact_is_refused_at_first_contact() {
    let mut world = World::new(201);
    let (_, link) = world.bob().me();
    let events = world.alice().asks(Command::Add { link });
    assert!(events.iter().any(|event| matches!(event, Event::Contact { trust: Trust::Verified, .. })), "{events:?}");
    let impostor = world.puppet("bob");
    let theirs = mailbox(&impostor.public().key);
    world.mallory.answer = swap("bob", impostor.bundle());
    assert_eq!(world.alice().sends("bob", "for bob alone", Wait::Sent), Err(ErrorCode::KeyChanged));
    world.pass(DAY);
    assert_eq!(delivered_to(&world, theirs), 0);
    assert_eq!(world.bob().heard(), Vec::<String>::new());
}

/// [THREAT-5] Mallory shows each asker other keys for one name. Who compares the safety number sees it; who has pinned
/// a key is stopped.
#[test]
fn per_asker_keys_differ_in_the_safety_number() {
    let mut world = World::new(202);
    let impostor = world.puppet("bob");
    let bundle = impostor.bundle();
    world.mallory.answer = Some(Box::new(move |asker, request, answer| match request {
        Request::FetchBundle(name) if asker == "alice" && name.as_str() == "bob" => Ok(Answer::Bundle(bundle.clone())),
        Request::FetchDevices(name) if asker == "alice" && name.as_str() == "bob" => {
            Ok(Answer::Devices(bundle.list.clone()))
        }
        _ => answer,
    }));
    let _ = world.alice().says("bob", "hello?");
    let _ = world.bob().says("alice", "hello!");
    world.settle();
    let number = |world: &mut World, who: &str, with: &str| {
        let events = world.person(who).asks(Command::Verify { name: Some(with.to_owned()), mark: None });
        events.into_iter().find_map(|event| match event {
            Event::Safety { number, .. } => Some(number),
            _ => None,
        })
    };
    let (hers, his) = (number(&mut world, "alice", "bob"), number(&mut world, "bob", "alice"));
    assert!(his.is_some());
    assert_ne!(hers, his);
    if let Some(his) = his {
        let events = world.alice().asks(Command::Verify { name: Some("bob".to_owned()), mark: Some(his) });
        assert_eq!(crate::world::error_of(&events), Some(ErrorCode::NotTrusted), "{events:?}");
    }
}

/// [THREAT-14] [ACCT-8] A device list is not rolled back: an older one under the same key is refused, the person is told, and
/// nothing goes to the device that the newer one has dropped.
#[test]
fn a_device_list_is_not_rolled_back() {
    let mut world = World::new(203);
    let mut dave = world.puppet("dave");
    world.registers_puppet(&mut dave).unwrap();
    // His first device was stolen; the second list has another one in its place.
    let stolen = world.puppet("dave");
    let mut old = stolen.bundle();
    old.list = dave.list_of(1, vec![stolen.public()]);
    let new = dave.bundle_under(dave.list_of(2, vec![dave.public()]));
    world.mallory.answer = swap("dave", new.clone());
    world.alice().sends("dave", "hello", Wait::Sent).unwrap();
    let (real, thiefs) = (mailbox(&dave.public().key), mailbox(&stolen.public().key));
    let before = delivered_to(&world, real);
    assert!(before > 0);

    // A mailbox that is gone makes her ask again which devices there are.
    world.mallory = swaps_keys("dave".parse().unwrap(), old).and(shuts_a_mailbox(real));
    assert!(world.alice().sends("dave", "under the old list?", Wait::Sent).is_err());
    world.pass(DAY);
    let told = world.alice().events();
    let noticed =
        |event: &Event| matches!(event, Event::Error(error) if error.message.contains("outdated device list"));
    assert!(told.iter().any(noticed), "an older list is told: {told:?}");
    assert_eq!(delivered_to(&world, thiefs), 0, "nothing goes to the device that was dropped");
    assert_ne!(world.alice().trust_in("dave"), Some(Trust::KeyChanged), "it is the same key");

    world.mallory = swaps_keys("dave".parse().unwrap(), new);
    world.pass(2 * DAY);
    assert!(delivered_to(&world, real) > before, "an honest list heals it");
    assert_eq!(delivered_to(&world, thiefs), 0);
}

/// [THREAT-14] [ACCT-8] [ACCT-13] Two different lists under one number are a changed key.
#[test]
fn two_lists_under_one_number_are_a_changed_key() {
    let mut world = World::new(204);
    let mut dave = world.puppet("dave");
    world.registers_puppet(&mut dave).unwrap();
    world.alice().sends("dave", "hello", Wait::Sent).unwrap();
    let real = mailbox(&dave.public().key);
    // The same account signs another list with the same number, with a device of Mallory's in it.
    let other = world.puppet("dave");
    let mut forked = other.bundle();
    forked.list = dave.list_of(1, vec![other.public()]);
    world.mallory.answer = swap("dave", forked);
    world.mallory.request = Some(Box::new(move |_, request| match request {
        Request::Deliver { envelope, .. } if envelope.mailbox == real => Some(Err(Refusal::NoSuchMailbox)),
        _ => None,
    }));
    let _ = world.alice().says("dave", "which one are you?");
    world.pass(DAY);
    world.settle();
    assert_eq!(world.alice().trust_in("dave"), Some(Trust::KeyChanged));
    assert_eq!(delivered_to(&world, mailbox(&other.public().key)), 0);
}

/// [THREAT-15] A bundle whose post-quantum half was left out, or replaced by a key of another role, starts no session.
#[test]
fn a_bundle_without_its_post_quantum_half_is_refused() {
    let mut world = World::new(205);
    let mut dave = world.puppet("dave");
    world.registers_puppet(&mut dave).unwrap();
    let device = mailbox(&dave.public().key);
    let honest = dave.bundle();
    let role = |role| dave.prekey(role).signed().clone();
    let nothing = Signed { body: Bytes(Vec::new()), signature: honest.devices[0].kem.signature };
    for bent in [nothing, role(PrekeyRole::OneTime), role(PrekeyRole::Signed), role(PrekeyRole::Box)] {
        let mut bundle = honest.clone();
        bundle.devices[0].kem = bent;
        world.mallory.answer = swap("dave", bundle);
        assert!(world.alice().sends("dave", "hello", Wait::Sent).is_err());
        assert_eq!(delivered_to(&world, device), 0);
    }
    world.mallory.reform();
    world.pass(MINUTE);
    world.alice().sends("dave", "hello again", Wait::Sent).unwrap();
}

/// [THREAT-18] [RELAY-10] Who uses up all one-time prekeys has nothing refused to others: last-resort keys remain, and the owner
/// makes new ones.
#[test]
fn exhausted_prekeys_refuse_nobody() {
    let mut world = World::new(206);
    world.bob().leaves();
    let mut last_resort = false;
    for _ in 0..400 {
        match world.stranger_asks(&Request::FetchBundle("bob".parse().unwrap())) {
            Ok(Answer::Bundle(bundle)) => {
                let bundle = &bundle.devices[0];
                let kem = sealpost_spec::account::Prekey::parse(&bundle.kem.body.0).unwrap();
                if bundle.one_time.is_none() && kem.role == PrekeyRole::LastResortKem {
                    last_resort = true;
                    break;
                }
            }
            Err(Refusal::TooFast { retry_after_ms }) => world.pass(u64::from(retry_after_ms)),
            other => panic!("{other:?}"),
        }
    }
    assert!(last_resort, "the one-time prekeys ran out, or were withheld");
    world.alice().sends("bob", "on your last resort", Wait::Sent).unwrap();
    world.bob().returns();
    world.settle();
    assert_eq!(world.bob().heard(), ["on your last resort"]);
    let published = world.record.of("request").any(|bytes| {
        matches!(decode(bytes), Ok(Request::Publish(keys)) if !keys.one_time.is_empty() && !keys.one_time_kem.is_empty())
    });
    assert!(published, "bob fills up again");
}

/// [ACCT-15] [THREAT-14] An old bundle, kept by a relay that hopes for a key it knows, starts no session once a newer signed
/// prekey was seen.
#[test]
fn an_old_bundle_is_refused() {
    let mut world = World::new(208);
    let mut dave = world.puppet("dave");
    world.registers_puppet(&mut dave).unwrap();
    let old = dave.bundle();
    dave.rotates(world.now, PrekeyRole::Signed, 2);
    let new = dave.bundle();
    let real = mailbox(&dave.public().key);
    world.mallory.answer = swap("dave", new);
    world.alice().sends("dave", "under the new key", Wait::Sent).unwrap();
    // Mallory goes back to the old one; the relay's refusal makes alice ask anew, and her session is lost with a copy.
    world.mallory.answer = swap("dave", old);
    world.alice().leaves();
    world.copies_profile("alice", "alice from the backup");
    world.alice().returns();
    world.settle();
    world.alice().leaves();
    let mut copy = world.person("alice from the backup");
    copy.returns();
    let before = delivered_to(&world, real);
    let _ = world.person("alice from the backup").says("dave", "under the old key?");
    world.pass(2 * MINUTE);
    assert_eq!(delivered_to(&world, real), before, "nothing is encrypted to the old bundle");
    let new = dave.bundle();
    world.mallory.answer = swap("dave", new);
    world.pass(DAY);
    assert!(delivered_to(&world, real) > before, "an honest bundle heals it");
}

/// [THREAT-20] Mallory's word is not enough to take a name over either: a receipt for another key outranks nothing without
/// the relay's own signature, and people keep the key that they know.
#[test]
fn a_registered_name_stays_its_owners() {
    let mut world = acquainted(207);
    let mut impostor = world.puppet("bob");
    assert!(matches!(world.registers_puppet(&mut impostor), Err(Refusal::NameTaken)));
    assert_eq!(world.devices_of("bob").devices[0].id, DeviceId::FIRST);
    world.alice().sends("bob", "still you?", Wait::Delivered).unwrap();
}

/// [THREAT-15] A relay that goes over to another protocol version is told nothing, however often it is tried: what waits is
/// sent once it speaks this one again.
#[test]
fn nothing_is_said_in_another_version() {
    let mut world = acquainted(209);
    let real = world.mailbox_of("bob");
    for version in [0, 2, 0x0100, u16::MAX] {
        world.mallory = rewrites_the_version(version);
        world.break_all_links();
        let before = delivered_to(&world, real);
        assert!(world.alice().sends("bob", &format!("in version {version}"), Wait::Sent).is_err());
        world.pass(HOUR);
        assert_eq!(delivered_to(&world, real), before, "version {version}");
    }
    world.mallory.reform();
    world.pass(HOUR);
    world.settle();
    assert_eq!(world.bob().heard().len(), 4);
}
