//! What goes wrong in one particular way, told as a story.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sealpost_client::api::{Command, ErrorCode, Event, State, Trust, Wait};
use sealpost_spec::account::Name;
use sealpost_spec::mailbox::{Envelope, EnvelopeId, MAX_ENVELOPES, Push};
use sealpost_spec::message::BOX_SIZES;
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::{Bytes, decode};

use crate::world::{DAY, HOUR, MINUTE, World};

/// Both write first, before either has heard of the other: one conversation comes of it.
#[test]
fn both_begin_at_the_same_time() {
    let mut world = World::new(100);
    world.partition(true);
    let _ = world.alice().says("bob", "hello bob");
    let _ = world.bob().says("alice", "hello alice");
    let _ = world.alice().says("bob", "are you there?");
    let _ = world.bob().says("alice", "is this on?");
    world.partition(false);
    world.settle();
    assert_eq!(world.alice().heard(), ["hello alice", "is this on?"]);
    assert_eq!(world.bob().heard(), ["hello bob", "are you there?"]);
    for round in 0..4 {
        let _ = world.alice().says("bob", &format!("ping {round}"));
        let _ = world.bob().says("alice", &format!("pong {round}"));
        world.settle();
        assert_eq!(world.alice().heard(), [format!("pong {round}")]);
        assert_eq!(world.bob().heard(), [format!("ping {round}")]);
    }
    assert_eq!((world.alice().queue(), world.bob().queue()), ((0, 0), (0, 0)));
}

/// The same while both are online, and again for every delay between them: nothing waits for the next login.
#[test]
fn both_begin_at_the_same_time_online() {
    for seed in 120..130 {
        let mut world = World::new(seed);
        world.faults.slowest = 400;
        for n in 0..3_u64 {
            let _ = world.alice().says("bob", &format!("hello bob {n}"));
            let pause = n * (seed - 119) * 40;
            world.pass(pause);
            let _ = world.bob().says("alice", &format!("hello alice {n}"));
        }
        world.settle();
        let mut at_bobs = world.bob().heard();
        at_bobs.sort();
        assert_eq!(at_bobs, ["hello bob 0", "hello bob 1", "hello bob 2"], "seed {seed}");
        let mut at_alices = world.alice().heard();
        at_alices.sort();
        assert_eq!(at_alices, ["hello alice 0", "hello alice 1", "hello alice 2"], "seed {seed}");
        assert_eq!((world.alice().queue(), world.bob().queue()), ((0, 0), (0, 0)), "seed {seed}");
    }
}

/// Bob is away for a week: what was said meanwhile waits, and comes once and in order.
#[test]
fn a_week_away() {
    let mut world = World::new(101);
    let _ = world.alice().says("bob", "before");
    let _ = world.bob().says("alice", "see you next week");
    world.settle();
    let _ = (world.alice().heard(), world.bob().heard());
    world.bob().leaves();
    let mut said = Vec::new();
    for day in 0..7 {
        for hour in [9, 21] {
            let text = format!("day {day}, {hour} o'clock");
            let _ = world.alice().says("bob", &text);
            said.push(text);
            world.pass(12 * HOUR);
        }
    }
    world.bob().returns();
    world.settle();
    assert_eq!(world.bob().heard(), said);
    world.pass(2 * DAY);
    world.settle();
    assert_eq!(world.bob().heard(), Vec::<String>::new(), "what was sent again is not shown again");
    assert_eq!(world.alice().queue(), (0, 0));
}

/// [BOX-4] [BOX-11] A mailbox that strangers filled refuses them, the sender learns why, and once its owner has fetched it
/// everything goes on; a contact finds room meanwhile.
#[test]
fn a_full_mailbox_says_so() {
    let mut world = World::new(102);
    let _ = world.alice().says("bob", "before");
    let _ = world.bob().says("alice", "hello");
    world.settle();
    world.bob().leaves();
    let mailbox = world.mailbox_of("bob");
    let mut refused = None;
    for number in 0..2 * MAX_ENVELOPES as u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        // Nobody can tell a box of noise from another one, except who tries to open it.
        let sealed = Bytes([vec![1, 0, 0, 0], vec![number as u8; BOX_SIZES[0] - 4]].concat());
        let envelope = Envelope { mailbox, id: EnvelopeId(id), sealed };
        match world.stranger_asks(&Request::Deliver { token: None, envelope }) {
            Ok(Answer::Accepted { .. }) => {}
            Err(Refusal::TooFast { retry_after_ms }) => world.pass(u64::from(retry_after_ms)),
            other => {
                refused = Some((number, other));
                break;
            }
        }
    }
    let (_, refusal) = refused.expect("the mailbox becomes full");
    assert!(matches!(refusal, Err(Refusal::MailboxFull)), "{refusal:?}");
    let contact = world.alice().says("bob", "from a contact");
    let id = world.carol().says("bob", "one too many");
    world.pass(MINUTE);
    assert_eq!(world.alice().state_of("bob", &contact), State::Sent);
    assert_eq!(world.carol().state_of("bob", &id), State::Queued);
    let told = world.carol().events();
    assert!(
        told.iter().any(|event| matches!(event, Event::Error(error) if error.message.contains("mailbox"))),
        "the reason reaches the sender: {told:?}"
    );
    world.bob().returns();
    world.pass(2 * DAY);
    world.settle();
    let heard = world.bob().heard();
    assert!(["from a contact", "one too many"].iter().all(|text| heard.contains(&(*text).to_owned())), "{heard:?}");
    assert_eq!(world.alice().state_of("bob", &contact), State::Delivered);
}

/// [THREAT-5] What waits for somebody whose key changes is not encrypted to the new key, not even after `trust`.
#[test]
fn what_waits_is_not_encrypted_to_a_changed_key() {
    let mut world = World::new(103);
    let _ = world.alice().says("bob", "before");
    let _ = world.bob().says("alice", "hello");
    world.settle();
    world.bob().leaves();
    let secret = world.alice().says("bob", "for the old bob only");
    world.settle();
    world.lose_store();
    // Somebody else is faster than bob.
    world.arrives_as("impostor", "bob");
    world.pass(DAY);
    world.settle();
    assert_eq!(world.alice().trust_in("bob"), Some(Trust::KeyChanged));
    assert_eq!(world.alice().sends("bob", "a secret", Wait::Sent), Err(ErrorCode::KeyChanged));
    let (fingerprint, _) = world.person("impostor").me();
    let events = world.alice().asks(Command::Trust { name: "bob".to_owned(), fingerprint });
    assert!(events.iter().any(|event| matches!(event, Event::Contact { trust: Trust::Unverified, .. })), "{events:?}");
    world.alice().sends("bob", "hello, new one", Wait::Sent).unwrap();
    world.pass(2 * DAY);
    world.settle();
    assert_eq!(world.person("impostor").heard(), ["hello, new one"]);
    let texts: Vec<String> = world.person("impostor").conversation("alice").into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["hello, new one"]);
    let _ = secret;
}

/// [THREAT-16] The relay loses its store, but not its key: its people publish themselves anew and send again what
/// nobody has confirmed.
#[test]
fn a_relay_that_lost_its_store_is_filled_again() {
    let mut world = World::new(104);
    let _ = world.alice().says("bob", "before");
    let _ = world.bob().says("alice", "hello");
    world.settle();
    let _ = (world.alice().heard(), world.bob().heard());
    world.bob().leaves();
    let ids: Vec<String> = (0..5).map(|n| world.alice().says("bob", &format!("on the lost disk {n}"))).collect();
    world.settle();
    assert_eq!(world.alice().state_of("bob", &ids[4]), State::Sent);
    world.lose_store();
    world.settle();
    world.bob().returns();
    world.settle();
    world.pass(HOUR);
    world.settle();
    assert_eq!(world.bob().heard(), (0..5).map(|n| format!("on the lost disk {n}")).collect::<Vec<_>>());
    assert_eq!(world.alice().state_of("bob", &ids[4]), State::Delivered);
    assert_eq!(world.alice().queue(), (0, 0));
}

/// A relay that goes back to a backup makes nobody see anything twice, and loses nothing.
#[test]
fn a_relay_restored_from_a_backup_doubles_nothing() {
    let mut world = World::new(105);
    let _ = world.alice().says("bob", "before");
    let _ = world.bob().says("alice", "hello");
    world.settle();
    let _ = world.bob().heard();
    world.bob().leaves();
    let _ = world.alice().says("bob", "in the backup");
    world.settle();
    let backup = world.backup();
    world.bob().returns();
    world.settle();
    let _ = world.alice().says("bob", "after the backup");
    world.settle();
    assert_eq!(world.bob().heard(), ["in the backup", "after the backup"]);
    world.bob().leaves();
    let _ = world.alice().says("bob", "lost with the disk");
    world.settle();
    world.restore(backup);
    world.bob().returns();
    world.pass(3 * DAY);
    world.settle();
    assert_eq!(world.bob().heard(), ["lost with the disk"]);
    assert_eq!(world.alice().queue(), (0, 0));
}

/// What no device has confirmed in 30 days is shown as not delivered.
#[test]
fn after_thirty_days_it_is_not_delivered() {
    let mut world = World::new(106);
    let _ = world.alice().says("bob", "before");
    let _ = world.bob().says("alice", "hello");
    world.settle();
    world.bob().leaves();
    let id = world.alice().says("bob", "too late");
    world.pass(29 * DAY);
    assert_eq!(world.alice().state_of("bob", &id), State::Sent);
    world.pass(2 * DAY);
    assert_eq!(world.alice().state_of("bob", &id), State::NotDelivered);
    assert_eq!(world.alice().queue(), (0, 0));
}

/// [ACCT-12] [MSG-25] A profile that was restored from a copy drops its sending chains before it encrypts: no key serves twice,
/// both go on talking, and each hears of it in one line.
#[test]
fn a_restored_profile_repeats_no_key() {
    let mut world = World::new(107);
    let _ = world.alice().says("bob", "one");
    let _ = world.bob().says("alice", "two");
    world.settle();
    world.alice().leaves();
    world.copies_profile("alice", "alice from the backup");
    world.alice().returns();
    for n in 0..3 {
        let _ = world.alice().says("bob", &format!("from the original {n}"));
    }
    world.settle();
    world.alice().leaves();
    let mut restored = world.person("alice from the backup");
    restored.returns();
    let _ = restored.says("bob", "from the copy");
    world.settle();
    world.pass(DAY + HOUR);
    world.settle();
    assert!(world.bob().heard().ends_with(&["from the copy".to_owned()]));
    let lines =
        |events: Vec<Event>| events.into_iter().filter(|event| matches!(event, Event::Restored { .. })).collect();
    let at_bobs: Vec<Event> = lines(world.bob().events());
    assert_eq!(at_bobs, [Event::Restored { name: Some("alice".to_owned()) }], "one line, for who talks to her");
    let at_hers: Vec<Event> = lines(world.person("alice from the backup").events());
    assert_eq!(at_hers, [Event::Restored { name: None }]);
    let _ = world.bob().says("alice", "who are you now?");
    world.settle();
    assert!(world.person("alice from the backup").heard().contains(&"who are you now?".to_owned()));
    assert_eq!(world.reused_keys(), Vec::<String>::new());
}

/// [MSG-30] A message that a restored profile can't read is asked for again; where the relay loses that request with its store, it is
/// asked for once more when it comes again.
#[test]
fn a_request_that_is_lost_is_made_once_more() {
    let mut world = World::new(191);
    let _ = world.alice().says("bob", "one");
    let _ = world.bob().says("alice", "two");
    world.settle();
    world.bob().leaves();
    let old = world.profile_of("bob");
    world.bob().returns();
    // A new chain, which the copy knows nothing of.
    let _ = world.bob().says("alice", "three");
    world.settle();
    world.bob().leaves();
    let id = world.alice().says("bob", "four");
    world.pass(MINUTE);
    world.alice().leaves();
    world.goes_back("bob", &old);
    world.bob().returns();
    world.pass(MINUTE);
    let told = world.bob().events();
    let asks = |event: &Event| matches!(event, Event::Refused { reason, .. } if reason.contains("asked for again"));
    assert!(told.iter().any(asks), "{told:?}");
    world.lose_store();
    world.settle();
    world.alice().returns();
    world.pass(2 * DAY);
    assert_eq!(world.bob().heard().last().map(String::as_str), Some("four"));
    assert_eq!(world.alice().state_of("bob", &id), State::Delivered);
    assert_eq!(world.reused_keys(), Vec::<String>::new());
}

/// [MSG-49] [ACCT-12] A profile goes back to a copy, and the relay does not tell it: it has lost its store, or hides the generation. What
/// is said then has numbers that the other copy has used, for which receipts are on their way; it arrives all the same, and is
/// not called delivered before.
#[test]
fn a_receipt_for_what_another_copy_sent_confirms_nothing() {
    for lies in [false, true] {
        let mut world = World::new(192);
        let _ = world.alice().says("bob", "one");
        let _ = world.bob().says("alice", "two");
        world.settle();
        world.bob().leaves();
        let old = world.profile_of("bob");
        world.bob().returns();
        for number in 0..5 {
            let _ = world.bob().says("alice", &format!("of the first life {number}"));
            world.settle();
        }
        world.bob().leaves();
        let _ = world.alice().says("bob", "are you there?");
        world.settle();
        world.goes_back("bob", &old);
        if lies {
            world.mallory.answer = Some(Box::new(|_, _, answer| match answer {
                Ok(Answer::LoggedIn { keys, .. }) => Ok(Answer::LoggedIn { generation: 0, keys }),
                other => other,
            }));
        } else {
            world.lose_store();
        }
        world.alice().leaves();
        world.bob().returns();
        let ids: Vec<String> = (0..3).map(|number| world.bob().says("alice", &format!("again {number}"))).collect();
        world.settle();
        assert!(ids.iter().all(|id| world.bob().state_of("alice", id) <= State::Sent), "{lies}");
        world.alice().returns();
        world.pass(3 * DAY);
        world.settle();
        let heard = world.alice().heard();
        assert!(
            heard.ends_with(&["again 0".to_owned(), "again 1".to_owned(), "again 2".to_owned()]),
            "{lies}: {heard:?}"
        );
        assert!(ids.iter().all(|id| world.bob().state_of("alice", id) == State::Delivered), "{lies}");
        assert!(world.bob().events().contains(&Event::Restored { name: None }), "{lies}");
        let lines = world.alice().events().into_iter().filter(|event| matches!(event, Event::Restored { .. })).count();
        assert_eq!(lines, 1, "{lies}");
        assert_eq!((world.alice().queue(), world.bob().queue()), ((0, 0), (0, 0)), "{lies}");
        assert_eq!(world.reused_keys(), Vec::<String>::new(), "{lies}");
    }
}

/// [ACCT-12] [RELAY-17] What is encrypted to a restored profile it can open: the one-time keys that the relay has of the other copy are
/// replaced, and not given out to whoever writes next.
#[test]
fn a_restored_profile_opens_what_is_encrypted_to_it() {
    let mut world = World::new(193);
    world.alice().leaves();
    let old = world.profile_of("alice");
    // To a relay without a store she publishes one-time keys that the copy knows nothing of.
    world.lose_store();
    world.alice().returns();
    world.settle();
    world.alice().leaves();
    world.goes_back("alice", &old);
    world.alice().returns();
    world.settle();
    assert!(world.alice().events().contains(&Event::Restored { name: None }));
    for name in ["bob", "carol"] {
        let _ = world.person(name).says("alice", &format!("hello from {name}"));
        world.settle();
    }
    assert_eq!(world.alice().heard(), ["hello from bob", "hello from carol"]);
    let told = world.alice().events();
    assert!(!told.iter().any(|event| matches!(event, Event::Refused { .. })), "{told:?}");
}

/// Who is blocked reaches nobody's screen any more, and their token is worth nothing.
#[test]
fn who_is_blocked_is_not_heard() {
    let mut world = World::new(108);
    let _ = world.carol().says("bob", "buy my coins");
    let _ = world.bob().says("carol", "no");
    world.settle();
    assert_eq!(world.bob().heard(), ["buy my coins"]);
    let events = world.bob().asks(Command::Block { name: "carol".to_owned() });
    assert!(events.iter().any(|event| matches!(event, Event::Contact { blocked: true, .. })), "{events:?}");
    world.settle();
    let _ = world.carol().says("bob", "buy my coins now");
    world.settle();
    assert_eq!(world.bob().heard(), Vec::<String>::new());
    let _ = world.bob().asks(Command::Unblock { name: "carol".to_owned() });
    let _ = world.carol().says("bob", "sorry");
    world.settle();
    assert_eq!(world.bob().heard(), ["sorry"]);
}

/// [BOX-6] A sender who has no token works for the first envelope, and not for those after an answer.
#[test]
fn a_reply_brings_the_token() {
    let mut world = World::with_people(109, |rules| rules.work.deliver = 8);
    let _ = world.alice().says("bob", "hello");
    world.settle();
    let _ = world.bob().says("alice", "hello");
    world.settle();
    let before = world.record.of("request").count();
    let _ = world.alice().says("bob", "with your token");
    world.settle();
    let with_token = world
        .record
        .of("request")
        .skip(before)
        .any(|bytes| matches!(decode(bytes), Ok(Request::Deliver { token: Some(_), .. })));
    assert!(with_token, "the third message needs no work");
}

/// [THREAT-20] A name is taken by who came first, and so is one that looks like it.
#[test]
fn names_are_taken_once() {
    let mut world = World::new(110);
    for name in ["bob", "b0b", "b.ob"] {
        let error = world.cannot_register(name);
        assert_eq!(error, ErrorCode::Refused, "{name}");
    }
    let name: Name = "bobby".parse().unwrap();
    world.arrives(name.as_str());
}

/// [MSG-35] the key of a message that never came is wiped after five weeks: held back for six, it opens no more, so a
/// profile that is copied then does not help with it either.
#[test]
fn a_message_held_back_for_six_weeks_stays_closed() {
    let mut world = World::new(190);
    let _ = world.alice().says("bob", "first");
    world.settle();
    assert_eq!(world.bob().heard(), ["first"]);
    // The next envelope for bob is kept from him, however often it is sent, until it comes before another one.
    let held: Arc<Mutex<Option<(EnvelopeId, Push)>>> = Arc::default();
    let released = Arc::new(AtomicBool::new(false));
    let (kept, free) = (Arc::clone(&held), Arc::clone(&released));
    world.mallory.push = Some(Box::new(move |person, push| {
        let Push::Envelope { id, .. } = push else { return vec![push] };
        let mut kept = kept.lock().unwrap();
        if person != "bob" {
            return vec![push];
        }
        let of_held = kept.get_or_insert_with(|| (id, push.clone())).0;
        match (of_held == id, free.load(Ordering::Relaxed)) {
            (true, _) => Vec::new(),
            (false, false) => vec![push],
            (false, true) => vec![kept.as_ref().expect("one is held").1.clone(), push],
        }
    }));
    let lost = world.alice().says("bob", "held back");
    world.settle();
    let _ = world.alice().says("bob", "and on");
    world.pass(HOUR);
    assert_eq!(world.bob().heard(), ["and on"]);
    world.pass(38 * DAY);
    assert_eq!(world.alice().state_of("bob", &lost), State::NotDelivered);
    released.store(true, Ordering::Relaxed);
    let _ = world.alice().says("bob", "are you there?");
    world.settle();
    assert_eq!(world.bob().heard(), ["are you there?"]);
}
