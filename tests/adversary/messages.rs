//! Lies about messages.

use std::sync::{Arc, Mutex};

use sealpost_client::api::{Event, State, Wait};
use sealpost_spec::mailbox::{Envelope, EnvelopeId, Push};
use sealpost_spec::message::{BOX_SIZES, Body, Receipt};
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::wire::{Bytes, decode, encode};
use sealpost_tests::mallory::lies::messages::{drops, push_of};

use super::{acquainted, delivered_to, messages, refusals};
use crate::world::{DAY, HOUR, MINUTE, World};

/// Envelopes that the relay was given, in order.
fn envelopes(world: &World) -> Vec<Envelope> {
    let envelope = |bytes| match decode(bytes) {
        Ok(Request::Deliver { envelope, .. }) => Some(envelope),
        _ => None,
    };
    world.record.of("request").filter_map(envelope).collect()
}

/// [THREAT-3] [THREAT-4] What the relay was given of a message holds neither its text nor anything of its sender.
#[test]
fn an_envelope_tells_neither_text_nor_sender() {
    let mut world = World::new(300);
    world.bob().leaves();
    let secret = "the treasure is buried under the old oak";
    world.alice().sends("bob", secret, Wait::Sent).unwrap();
    world.look_into_the_relay();
    assert_eq!(world.record.traces_of(&[secret.to_owned()]), Vec::<String>::new());
    let alice = world.devices_of("alice");
    let device = alice.devices[0];
    let traces: Vec<Vec<u8>> = vec![
        b"alice".to_vec(),
        alice.account.0.to_vec(),
        device.key.0.to_vec(),
        device.identity.0.to_vec(),
        sealpost_crypto::identity::mailbox(&device.key).0.to_vec(),
        sealpost_crypto::identity::fingerprint(&alice.account).0.to_vec(),
    ];
    let bodies: Vec<Vec<u8>> = world
        .record
        .of("request")
        .filter(|bytes| matches!(decode(bytes), Ok(Request::Deliver { .. })))
        .map(<[u8]>::to_vec)
        .collect();
    assert!(!bodies.is_empty());
    for body in bodies {
        for trace in &traces {
            assert!(!body.windows(trace.len()).any(|window| window == trace), "{:02x?} in an envelope", trace);
        }
    }
}

/// [THREAT-7] [MSG-4] Whatever byte of a box is bent: nothing is shown, nothing changes, and the box as it was still opens.
#[test]
fn a_bent_envelope_is_refused_and_changes_nothing() {
    let mut world = acquainted(301);
    let held: Arc<Mutex<Vec<Push>>> = Arc::default();
    let keep = held.clone();
    world.mallory.push = Some(Box::new(move |person, push| {
        if person == "bob" {
            keep.lock().unwrap().push(push);
            Vec::new()
        } else {
            vec![push]
        }
    }));
    let _ = world.alice().says("bob", "the original");
    world.settle();
    world.mallory.reform();
    let push = held.lock().unwrap().first().cloned().expect("it was pushed");
    let Push::Envelope { seq, id, sealed } = push.clone() else { panic!("an envelope") };
    let length = sealed.0.len();
    for at in [0, 3, 4, 100, 1_119, 1_200, 2_000, length / 2, length - 17, length - 1] {
        for bit in [0x01, 0x80] {
            let mut bent = sealed.clone();
            bent.0[at] ^= bit;
            world.inject("bob", Push::Envelope { seq, id, sealed: bent });
        }
    }
    // Another id or a cut: the same.
    world.inject("bob", Push::Envelope { seq, id: EnvelopeId([9; 16]), sealed: sealed.clone() });
    let short = Bytes(sealed.0[..length - 1].to_vec());
    world.inject("bob", Push::Envelope { seq, id, sealed: short });
    world.pass(MINUTE);
    assert_eq!(world.bob().heard(), Vec::<String>::new());
    world.inject("bob", push);
    world.pass(MINUTE);
    world.settle();
    assert!(world.bob().heard().contains(&"the original".to_owned()));
    world.alice().sends("bob", "and we go on", Wait::Delivered).unwrap();
}

/// [THREAT-7] Mallory wraps what she has under somebody else's certificate: the sender shown is who proved to be it.
#[test]
fn a_message_is_not_attributed_to_somebody_else() {
    let mut world = acquainted(302);
    let mut mallory = world.puppet("mallory");
    world.registers_puppet(&mut mallory).unwrap();
    let bob = world.bundle_of("bob");
    let Ok(Answer::Devices(alices)) = world.stranger_asks(&Request::FetchDevices("alice".parse().unwrap())) else {
        panic!("alice is registered")
    };
    let now = world.now;
    // Her own session message under alice's public certificate.
    let content = mallory.content(1, now, Body::Text("transfer everything, yours alice".to_owned()));
    let (_, envelope) = mallory.first_message(&bob, alices.clone(), &content);
    world.inject("bob", push_of(&envelope, 9_001));
    // A content that was never encrypted at all.
    let naked = mallory.envelope(&bob, alices.clone(), encode(&content).unwrap());
    world.inject("bob", push_of(&naked, 9_002));
    // Noise that looks like a session message.
    let noise = mallory.noise(3_000);
    let noisy = mallory.envelope(&bob, alices, noise);
    world.inject("bob", push_of(&noisy, 9_003));
    world.pass(MINUTE);
    assert_eq!(world.bob().heard(), Vec::<String>::new());
    let from_alice: Vec<String> = world.bob().conversation("alice").into_iter().map(|(_, text)| text).collect();
    assert!(!from_alice.iter().any(|text| text.contains("transfer")), "{from_alice:?}");
    // Under her own name it is a message like others, and says whose it is.
    let list = mallory.list();
    let (_, honest) = mallory.first_message(&bob, list, &content);
    world.inject("bob", push_of(&honest, 9_004));
    world.pass(MINUTE);
    let shown = world.bob().shown();
    let last = shown.last().unwrap();
    assert_eq!((last.from.as_str(), last.conversation.as_str()), ("@mallory", "@mallory"));
    world.alice().sends("bob", "it was not me", Wait::Delivered).unwrap();
}

/// [THREAT-8] [MSG-24] Everything that was ever delivered, a hundred times more, today and after a restart: shown once.
#[test]
fn replayed_envelopes_are_shown_once() {
    let mut world = World::new(303);
    let _ = world.alice().says("bob", "first contact");
    world.settle();
    let _ = world.bob().says("alice", "an answer");
    world.settle();
    let _ = world.alice().says("bob", "a later one");
    world.settle();
    let mailbox = world.mailbox_of("bob");
    let all: Vec<Envelope> = envelopes(&world).into_iter().filter(|envelope| envelope.mailbox == mailbox).collect();
    assert!(all.len() >= 2);
    for round in 0..100 {
        for (at, envelope) in all.iter().enumerate() {
            world.inject("bob", push_of(envelope, 10_000 + 100 * round + at as u64));
        }
        if round == 50 {
            world.pass(MINUTE);
            world.bob().leaves();
            world.bob().returns();
            world.settle();
        }
    }
    world.pass(HOUR);
    world.settle();
    assert_eq!(world.bob().heard(), ["first contact", "a later one"]);
    let texts: Vec<String> = world.bob().conversation("alice").into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["first contact", "an answer", "a later one"]);
    world.alice().sends("bob", "and it goes on", Wait::Delivered).unwrap();
}

/// [THREAT-8] The same, delivered by anybody over an anonymous link under new envelope ids.
#[test]
fn a_redelivered_first_message_makes_no_second_session() {
    let mut world = World::new(304);
    let _ = world.alice().says("bob", "first contact");
    world.settle();
    let first = envelopes(&world).remove(0);
    world.bob().leaves();
    for number in 0..20_u8 {
        // The id is authenticated: under another one the box does not open.
        let id = if number % 2 == 0 { first.id } else { EnvelopeId([number; 16]) };
        let envelope = Envelope { id, ..first.clone() };
        let _ = world.stranger_asks(&Request::Deliver { token: None, envelope });
    }
    world.bob().returns();
    world.settle();
    assert_eq!(world.bob().heard(), ["first contact"]);
    assert_eq!(world.bob().conversation("alice").len(), 1);
}

/// [THREAT-9] Alice's own envelopes come back to her: they are not somebody else's message.
#[test]
fn reflected_envelopes_are_not_shown() {
    let mut world = acquainted(305);
    let _ = world.alice().says("bob", "do I hear an echo?");
    world.settle();
    for (at, envelope) in envelopes(&world).iter().enumerate() {
        world.inject("alice", push_of(envelope, 20_000 + at as u64));
    }
    world.pass(MINUTE);
    assert_eq!(world.alice().heard(), Vec::<String>::new());
    let texts: Vec<String> = world.alice().conversation("bob").into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts.iter().filter(|text| text.contains("echo")).count(), 1);
    world.alice().sends("bob", "no", Wait::Delivered).unwrap();
}

/// [THREAT-7] An envelope for Bob in Carol's mailbox tells Carol nothing.
#[test]
fn a_relabelled_envelope_does_not_open() {
    let mut world = acquainted(306);
    let _ = world.alice().says("bob", "for bob");
    world.settle();
    let mailbox = world.mailbox_of("carol");
    for envelope in envelopes(&world) {
        let _ = world.stranger_asks(&Request::Deliver { token: None, envelope: Envelope { mailbox, ..envelope } });
    }
    world.settle();
    assert_eq!(world.carol().heard(), Vec::<String>::new());
}

/// [THREAT-10] Mallory says *accepted* and drops it: it stays *sent*, a later message shows the gap, and it is sent
/// again until it arrives.
#[test]
fn a_dropped_message_is_noticed_and_sent_again() {
    let mut world = acquainted(307);
    let mailbox = world.mailbox_of("bob");
    world.mallory = drops(mailbox);
    let dropped = world.alice().says("bob", "dropped");
    world.settle();
    world.mallory.reform();
    let _ = world.alice().says("bob", "not dropped");
    world.settle();
    assert_eq!(world.bob().heard(), ["not dropped"]);
    let gap = |event: &Event| matches!(event, Event::Gap { missing: 1, from, .. } if from == "@alice");
    assert!(world.bob().history("alice").iter().any(gap), "its place is shown as missing");
    assert_eq!(world.alice().state_of("bob", &dropped), State::Sent);
    world.pass(25 * HOUR);
    world.settle();
    assert_eq!(world.bob().heard(), ["dropped"]);
    assert!(!world.bob().history("alice").iter().any(gap), "nothing is missing any more");
    assert_eq!(world.alice().state_of("bob", &dropped), State::Delivered);
    let texts: Vec<String> = world.bob().conversation("alice").into_iter().map(|(_, text)| text).collect();
    assert!(texts.ends_with(&["dropped".to_owned(), "not dropped".to_owned()]), "in alice's order: {texts:?}");
}

/// [THREAT-11] Only a receipt sealed by Bob's device says *delivered*: not the relay, not somebody else's receipt.
#[test]
fn delivered_takes_the_recipients_receipt() {
    let mut world = acquainted(308);
    let mailbox = world.mailbox_of("bob");
    world.mallory = drops(mailbox);
    let id = world.alice().says("bob", "have you got it?");
    world.settle();
    let mut mallory = world.puppet("mallory");
    world.registers_puppet(&mut mallory).unwrap();
    let alice = world.bundle_of("alice");
    let Ok(Answer::Devices(bobs)) = world.stranger_asks(&Request::FetchDevices("bob".parse().unwrap())) else {
        panic!("bob is registered")
    };
    let receipt = Receipt { read: true, through: 1_000, also: Vec::new() };
    let now = world.now;
    let content = mallory.content(0, now, Body::Receipt(receipt));
    for list in [mallory.list(), bobs] {
        let (_, envelope) = mallory.first_message(&alice, list, &content);
        world.inject("alice", push_of(&envelope, 30_000));
    }
    world.pass(MINUTE);
    assert_eq!(world.alice().state_of("bob", &id), State::Sent);
    world.mallory.reform();
    world.pass(25 * HOUR);
    world.settle();
    assert_eq!(world.alice().state_of("bob", &id), State::Delivered);
}

/// [THREAT-19] A stranger learns nothing from Bob's client before he has answered: no receipt, whatever they send.
#[test]
fn strangers_get_no_receipt() {
    let mut world = World::new(309);
    let mut mallory = world.puppet("mallory");
    world.registers_puppet(&mut mallory).unwrap();
    let bob = world.bundle_of("bob");
    let now = world.now;
    let content = mallory.content(1, now, Body::Text("are you awake?".to_owned()));
    let list = mallory.list();
    let (_, envelope) = mallory.first_message(&bob, list, &content);
    world.stranger_asks(&Request::Deliver { token: None, envelope }).unwrap();
    for number in 0..50_u8 {
        let mut noise = mallory.noise(BOX_SIZES[0]);
        noise[..4].copy_from_slice(&1_u32.to_le_bytes());
        let envelope =
            Envelope { mailbox: world.mailbox_of("bob"), id: EnvelopeId([number; 16]), sealed: Bytes(noise) };
        let _ = world.stranger_asks(&Request::Deliver { token: None, envelope });
        world.pass(10 * MINUTE);
    }
    world.pass(2 * DAY);
    let shown = world.bob().shown();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].request, "it is marked as a request");
    let theirs = sealpost_crypto::identity::mailbox(&mallory.public().key);
    assert_eq!(delivered_to(&world, theirs), 0, "nothing went back");
    // Alice, who writes for the first time too, sees *sent* until he answers.
    let id = world.alice().says("bob", "it is me");
    world.settle();
    assert_eq!(world.alice().state_of("bob", &id), State::Sent);
    let _ = world.bob().says("alice", "oh, hello");
    world.settle();
    assert_eq!(world.alice().state_of("bob", &id), State::Delivered);
}

/// [THREAT-15] A relay that says hello in an unknown version, or offers none, gets nothing.
#[test]
fn another_protocol_version_is_refused() {
    use sealpost_spec::relay::RelayHello;
    use sealpost_spec::wire::{MAGIC, VERSION};
    let other = |version: u16| [&MAGIC[..], &version.to_le_bytes(), &[0; 300]].concat();
    for version in (0..=8).filter(|version| *version != VERSION) {
        assert!(!matches!(RelayHello::parse(&other(version)), Ok(Ok(_))), "version {version}");
    }
    assert_eq!(RelayHello::parse(&RelayHello::no_version(7, 9)), Ok(Err((7, 9))));
    // And a first message of another session version is refused like any bent one.
    let mut world = acquainted(310);
    let mut mallory = world.puppet("mallory");
    world.registers_puppet(&mut mallory).unwrap();
    let bob = world.bundle_of("bob");
    let now = world.now;
    let content = mallory.content(1, now, Body::Text("an old friend".to_owned()));
    let session = mallory.initiate(&bob);
    let mut rng = world.new_rng();
    let (_, message) = session.encrypt(&encode(&content).unwrap(), &mut rng).unwrap();
    for version in [0, 2, 255] {
        let mut old = message.clone();
        old[0] = version;
        let list = mallory.list();
        let envelope = mallory.envelope(&bob, list, old);
        world.inject("bob", push_of(&envelope, 40_000));
    }
    // Without its PQXDH part, or with the ciphertext of a ratchet step cut out, it opens nothing either.
    for parts in 0..=255_u8 {
        let mut cut = message.clone();
        cut[1] = parts;
        if cut != message {
            let list = mallory.list();
            let envelope = mallory.envelope(&bob, list, cut);
            world.inject("bob", push_of(&envelope, 50_000 + u64::from(parts)));
        }
    }
    world.pass(MINUTE);
    assert_eq!(world.bob().heard(), Vec::<String>::new());
    let events = world.bob().events();
    assert!(messages(&events).iter().all(|message| message.from != "@mallory"));
    let _ = refusals(&mut world, "bob");
    world.alice().sends("bob", "we go on", Wait::Delivered).unwrap();
}
