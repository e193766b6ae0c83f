//! Several devices of one account, as one of them sees it.

use sealpost_crypto::identity::{
    AccountSecret, DeviceSecret, device_code, device_request, fingerprint, verify_devices,
};
use sealpost_spec::account::DeviceId;
use sealpost_spec::mailbox::DeliveryToken;
use sealpost_spec::message::{Body, Content, ContentId, DeviceSync, Far, MAX_ITEMS, SyncedPerson};
use sealpost_spec::relay::{Answer, Request};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{Bytes, encode};

use super::*;

/// Alice lists a machine that never comes; its number.
fn adds(world: &mut World, seed: u64) -> u32 {
    let device = DeviceSecret::generate(&mut dice(seed)).public(DeviceId::FIRST);
    let request = device_request(&device, fingerprint(&world.engine(0).own.account));
    let code = Some(device_code(&request).unwrap().to_string());
    let events = world.run(0, Command::DeviceAdd { request: request.to_string(), code, timeout_ms: 0 });
    assert_eq!(error_of(&events), None, "{events:?}");
    world.engine(0).own_list().unwrap().devices.last().unwrap().id.0
}

/// What Alice asks on her own link, without an answer.
fn asks(world: &mut World) -> Vec<(RequestId, Request)> {
    let engine = world.engine(0);
    let mut asked = Vec::new();
    while let Some(transmit) = engine.poll_transmit() {
        if let Transmit::Authenticated { id, request } = transmit {
            asked.push((id, request));
        }
    }
    asked
}

fn answers(world: &mut World, id: RequestId, answer: Answer) {
    let now = world.now;
    world.engine(0).handle_link(now, LinkEvent::Answer { id, result: Ok(answer) });
}

/// The lists among what was asked, and the numbers of the devices in them.
fn lists(asked: &[(RequestId, Request)]) -> Vec<(RequestId, Vec<u32>)> {
    let list = |(id, request): &(RequestId, Request)| match request {
        Request::SetDevices { list, .. } => {
            Some((*id, verify_devices(list).unwrap().devices.iter().map(|device| device.id.0).collect()))
        }
        _ => None,
    };
    asked.iter().filter_map(list).collect()
}

fn said_done(world: &mut World, id: CommandId) -> bool {
    while let Some(heard) = world.engine(0).poll_event() {
        world.people[0].heard.push(heard);
    }
    world.of(0, id).contains(&Event::Done)
}

/// [ACCT-27] a device counts as revoked once the relay has the list without it, and not by the answer to a list before that;
/// also where the list that revokes it names one device alone.
#[test]
fn a_revocation_is_done_when_the_relay_has_it() {
    let mut world = World::new(&["alice"]);
    let (second, third) = (adds(&mut world, 21), adds(&mut world, 22));
    let first = world.give(0, Command::DeviceRevoke { device: second });
    let asked = lists(&asks(&mut world));
    let [(offered, named)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(*named, [1, third]);
    let last = world.give(0, Command::DeviceRevoke { device: third });
    assert_eq!(lists(&asks(&mut world)), [], "one list after the other");
    answers(&mut world, *offered, Answer::Done);
    let asked = lists(&asks(&mut world));
    let [(offered, named)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(*named, [1], "the newest list");
    assert!(!said_done(&mut world, last), "the relay still has the list with the third device");
    answers(&mut world, *offered, Answer::Done);
    assert!(said_done(&mut world, first) && said_done(&mut world, last));
    assert!(!world.engine(0).own.token_is_new);
}

/// [ACCT-27] the same where the answer is lost with the process: the newest list is offered again after the next login.
#[test]
fn a_list_that_the_relay_lacks_is_offered_at_the_next_login() {
    let mut world = World::new(&["alice"]);
    let (second, third) = (adds(&mut world, 21), adds(&mut world, 22));
    world.give(0, Command::DeviceRevoke { device: second });
    let asked = lists(&asks(&mut world));
    world.give(0, Command::DeviceRevoke { device: third });
    answers(&mut world, asked[0].0, Answer::Done);
    let _ = asks(&mut world);
    world.restart(0);
    world.send(0, "#lobby", "I am back");
    let list = verify_devices(world.relay.list_of("alice")).unwrap();
    assert_eq!(list.devices.len(), 1);
}

/// [RELAY-26] [ACCT-28] an account that is left with one device looks at each login whether the relay has its newest list.
#[test]
fn an_account_with_one_device_left_looks_at_its_list() {
    let mut world = World::new(&["alice"]);
    let second = adds(&mut world, 21);
    let older = world.relay.list_of("alice").clone();
    world.run(0, Command::DeviceRevoke { device: second });
    *world.relay.list_of("alice") = older;
    world.go_offline(0);
    world.come_back(0);
    let list = verify_devices(world.relay.list_of("alice")).unwrap();
    assert_eq!(list.devices.len(), 1, "it went back to an older copy of itself");
}

/// [BOX-6] of two new tokens the relay has the later one, also where the link breaks between the two answers.
#[test]
fn the_answer_to_an_earlier_token_is_not_that_to_the_later_one() {
    let mut world = World::new(&["alice", "bob"]);
    let _ = asks(&mut world);
    let mut tokens = Vec::new();
    for name in ["bob", "carol"] {
        world.give(0, Command::Block { name: name.to_owned() });
        tokens.extend(asks(&mut world).into_iter().filter(|(_, request)| matches!(request, Request::SetToken(_))));
    }
    assert_eq!(tokens.len(), 2);
    answers(&mut world, tokens[0].0, Answer::Done);
    assert!(world.engine(0).own.token_is_new, "the relay has the earlier one");
    world.go_offline(0);
    let now = world.now;
    world.engine(0).handle_link(now, LinkEvent::Answer { id: tokens[1].0, result: Err(Failure::Unknown) });
    world.come_back(0);
    assert!(!world.engine(0).own.token_is_new, "told again");
}

/// What another device of Alice tells hers.
fn hears(world: &mut World, items: &[DeviceSync]) {
    let items: Vec<Bytes> = items.iter().map(|item| Bytes(encode(item).unwrap())).collect();
    let body = DeviceSync::join(&items).unwrap();
    let by = (world.engine(0).own.account, DeviceId(2));
    world.step(0, |engine| engine.hear(&by, &body));
}

fn content(id: u8, now: u64, text: &str) -> Content {
    Content {
        id: ContentId([id; 16]),
        number: u64::from(id),
        sent_at: now,
        expire_after: None,
        token: None,
        tree_head: TreeHead::NONE,
        body: Body::Text(text.into()),
    }
}

/// [MSG-43] [ACCT-13] what was said on another device to another key than the pinned one, or to nobody knows which, does not stand
/// in the conversation with the pinned one: not as delivered, and not at all.
#[test]
fn a_copy_for_another_key_shows_nothing() {
    let mut world = World::new(&["alice", "bob", "carol"]);
    world.send(0, "bob", "hello");
    let carols = fingerprint(&world.engine(2).own.account);
    let link = world.engine(2).own_link();
    world.relay.up = false;
    world.go_offline(0);
    world.give(0, Command::Add { link });
    assert_eq!(world.engine(0).contacts[&"carol".parse().unwrap()].pinned, Some(carols));
    let other = AccountSecret::generate(&mut dice(77)).key();
    let now = world.now;
    let mut id = 0;
    for to in ["bob", "carol"] {
        for (account, far) in [(None, Far::Delivered), (None, Far::Queued), (Some(other), Far::Delivered)] {
            id += 1;
            let content = content(id, now, "to somebody else");
            hears(&mut world, &[DeviceSync::Said { to: to.parse().unwrap(), account, content, far }]);
        }
    }
    assert_eq!(texts(&world.history(0, "bob")), ["hello"]);
    assert_eq!(texts(&world.history(0, "carol")), [""; 0]);
    let bob = Some(world.engine(1).own.account);
    for (to, account, far) in [("bob", bob, Far::Delivered), ("carol", None, Far::NotDelivered)] {
        id += 1;
        let content = content(id, now, "to them");
        hears(&mut world, &[DeviceSync::Said { to: to.parse().unwrap(), account, content, far }]);
        assert!(texts(&world.history(0, to)).contains(&"to them"), "{to}");
    }
    // Whom one knows by a copy alone has the key that it names.
    let content = content(20, now, "to dave");
    hears(&mut world, &[DeviceSync::Said { to: "dave".parse().unwrap(), account: bob, content, far: Far::Sent }]);
    assert_eq!(world.engine(0).contacts[&"dave".parse().unwrap()].account, bob);
}

/// [MSG-43] the copy of a first message names the key that it was encrypted for, and waits as long as there is none.
#[test]
fn a_copy_names_the_key_that_it_was_encrypted_for() {
    let mut world = World::new(&["alice", "bob"]);
    adds(&mut world, 21);
    let copied = |world: &mut World| {
        let told = world.engine(0).rows().told(10).unwrap();
        told.into_iter().find_map(|told| match told.item {
            DeviceSync::Said { account, .. } => Some(account),
            _ => None,
        })
    };
    world.relay.up = false;
    world.go_offline(0);
    world.give(
        0,
        Command::Send { to: "bob".into(), text: "hello".into(), wait: Wait::Queued, timeout_ms: 1_000, expire: None },
    );
    assert_eq!(copied(&mut world), Some(None));
    world.now += 2 * 60 * 60 * 1_000;
    world.relay.up = true;
    world.come_back(0);
    let bob = world.engine(1).own.account;
    assert_eq!(copied(&mut world), Some(Some(bob)));
}

/// [MSG-48] a device that asks for everything over and over gets it once, as long as it has not confirmed that; and however many names
/// it makes up, there is an end to them, and strangers are heard beside them.
#[test]
fn a_device_that_floods_another_is_bounded() {
    let mut world = World::new(&["alice", "bob"]);
    adds(&mut world, 21);
    let waiting = |world: &mut World| {
        let own = world.engine(0).own.name.clone();
        world.engine(0).outbox.pendings_to(&own).count()
    };
    let before = waiting(&mut world);
    hears(&mut world, &vec![DeviceSync::Wanted; MAX_ITEMS]);
    let once = waiting(&mut world) - before;
    assert!(once > 0 && once < 4, "{once}");
    for _ in 0..3 {
        world.pass(60 * 60 * 1_000);
        hears(&mut world, &[DeviceSync::Wanted]);
    }
    assert_eq!(waiting(&mut world) - before, once, "it has not confirmed the first answer");

    let now = world.now;
    let person = |number: usize| {
        DeviceSync::Person(SyncedPerson {
            at: now,
            name: format!("nobody{number}").parse().unwrap(),
            account: None,
            pinned: None,
            list: None,
            token: None,
            verified: false,
            accepted: false,
            blocked: false,
            muted: true,
            expire_after: None,
            label: String::new(),
        })
    };
    let room = |number: usize| {
        let room = format!("#room{number}").parse().unwrap();
        DeviceSync::Room { at: now, room, joined: true, muted: false }
    };
    let rooms: Vec<_> = (0..MAX_ITEMS).map(room).collect();
    hears(&mut world, &rooms);
    assert!(world.engine(0).rooms.len() <= 200);
    for start in (0..10_500).step_by(MAX_ITEMS) {
        hears(&mut world, &(start..start + MAX_ITEMS).map(person).collect::<Vec<_>>());
    }
    let known = world.engine(0).contacts.len();
    assert!((9_000..=10_000).contains(&known), "{known}");
    world.send(1, "alice", "may I?");
    assert_eq!(texts(&world.history(0, "bob")), ["may I?"], "a real stranger is heard");
}

/// [MSG-43] how far a message came is known to the device that sent it: another one neither makes it delivered, nor gives it up.
#[test]
fn nobody_but_its_sender_says_how_far_a_message_came() {
    let mut world = World::new(&["alice", "bob"]);
    world.go_offline(1);
    world.send(0, "bob", "are you there?");
    let (now, bob, name) = (world.now, world.engine(1).own.account, "bob".parse().unwrap());
    let id = world.engine(0).outbox.pendings_to(&name).next().unwrap().id;
    let of_it = |far| {
        let content = Content { id, ..content(1, now, "are you there?") };
        [
            DeviceSync::Reached { ids: vec![id], far },
            DeviceSync::Said { to: "bob".parse().unwrap(), account: Some(bob), content, far },
        ]
    };
    for far in [Far::Delivered, Far::Read, Far::NotDelivered] {
        hears(&mut world, &of_it(far));
        assert_eq!(world.history(0, "bob")[0].state, State::Sent, "{far:?}");
    }
    let copied = content(2, now, "from the phone");
    let id = copied.id;
    hears(
        &mut world,
        &[DeviceSync::Said { to: "bob".parse().unwrap(), account: Some(bob), content: copied, far: Far::Sent }],
    );
    hears(&mut world, &[DeviceSync::Reached { ids: vec![id], far: Far::Delivered }]);
    assert_eq!(world.history(0, "bob")[1].state, State::Delivered);
}

/// [MSG-44] [THREAT-28] a mark that names no key marks nobody; a fingerprint beside a key that is not its own is left out.
#[test]
fn a_mark_without_a_key_marks_nobody() {
    let mut world = World::new(&["alice", "bob"]);
    world.send(0, "bob", "hello");
    let (now, bob) = (world.now, world.engine(1).own.account);
    let name: sealpost_spec::account::Name = "bob".parse().unwrap();
    let other = fingerprint(&AccountSecret::generate(&mut dice(77)).key());
    let person = |at, account, pinned, verified| {
        DeviceSync::Person(SyncedPerson {
            at,
            name: "bob".parse().unwrap(),
            account,
            pinned,
            list: None,
            token: None,
            verified,
            accepted: true,
            blocked: false,
            muted: false,
            expire_after: None,
            label: String::new(),
        })
    };
    hears(&mut world, &[person(now + 1, None, None, true)]);
    assert!(!world.engine(0).contacts[&name].verified);
    hears(&mut world, &[person(now + 2, Some(bob), Some(other), false)]);
    assert_ne!(world.engine(0).contacts[&name].pinned, Some(other));
    hears(&mut world, &[person(now + 3, Some(bob), None, true)]);
    assert!(world.engine(0).contacts[&name].verified);
}

/// [MSG-45] zeros stand for a token that is not known: nobody brings that back.
#[test]
fn a_token_of_zeros_is_none() {
    let mut world = World::new(&["alice"]);
    adds(&mut world, 21);
    let token = world.engine(0).own.token;
    let at = world.now + 1;
    hears(&mut world, &[DeviceSync::Token { at, token: DeliveryToken([0; 32]) }]);
    assert_eq!(world.engine(0).own.token, token);
    hears(&mut world, &[DeviceSync::Token { at, token: DeliveryToken([5; 32]) }]);
    assert_eq!(world.engine(0).own.token, DeliveryToken([5; 32]));
}

/// [MSG-40] [MSG-43] a device that comes late shows nothing of what has had its time where it was said; and of what was deleted before its
/// copy left, the copy does not say what it was.
#[test]
fn a_copy_brings_nothing_back() {
    let mut world = World::new(&["alice", "bob"]);
    let (now, bob) = (world.now, world.engine(1).own.account);
    let gone = Content { expire_after: Some(60), ..content(1, now - 61_000, "burn this") };
    let open = Content { expire_after: Some(60), ..content(2, now - 10_000, "and this") };
    let waits = Content { expire_after: Some(60), ..content(3, now - 61_000, "not sent yet") };
    let said = |content, far| DeviceSync::Said { to: "bob".parse().unwrap(), account: Some(bob), content, far };
    hears(&mut world, &[said(gone, Far::Sent), said(open, Far::Sent), said(waits, Far::Queued)]);
    assert_eq!(texts(&world.history(0, "bob")), ["not sent yet", "and this"]);

    adds(&mut world, 21);
    world.send(0, "bob", "a secret");
    let line = world.history(0, "bob").into_iter().find(|line| line.text.as_raw() == "a secret").unwrap();
    world.run(0, Command::Delete { id: Some(line.id), within: None });
    world.pass(2 * 60_000);
    let own = world.engine(0).own.name.clone();
    let engine = world.engine(0);
    let mut copied = Vec::new();
    for pending in engine.outbox.pendings_to(&own) {
        let content = engine.rows().content(&pending.id).unwrap().unwrap();
        let Body::DeviceSync(items) = content.body else { continue };
        for item in DeviceSync::split(&items).unwrap() {
            if let DeviceSync::Said { content, .. } = item {
                copied.push(content.body);
            }
        }
    }
    assert_eq!(copied.len(), 2, "{copied:?}");
    assert!(!format!("{copied:?}").contains("a secret"), "{copied:?}");
}
