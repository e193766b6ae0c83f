//! Several devices of one account, as one of them sees it.

use sealpost_crypto::identity::{DeviceSecret, device_code, device_request, fingerprint, verify_devices};
use sealpost_spec::account::DeviceId;
use sealpost_spec::relay::{Answer, Request};

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
