//! Several devices of one account.

use super::*;

/// Alice with a second device of hers, which nobody has listed yet.
fn alice_and_second() -> (Person, Person) {
    let alice = Person::new("alice", 10);
    let mut second = Person::new("alice", 11);
    second.device = second.secret.public(DeviceId(2));
    (alice, second)
}

fn list(alice: &Person, number: u64, devices: &[Device]) -> Signed {
    let list = DeviceList { number, name: alice.name.clone(), account: alice.account.key(), devices: devices.to_vec() };
    alice.account.sign_devices(&list)
}

fn set(relay: &Relay<Memory>, caller: &mut Caller, list: Signed, token: u8) -> Result<Answer, Refusal> {
    ask(relay, caller, Request::SetDevices { list, token: token_hash(&DeliveryToken([token; 32])) })
}

fn to(person: &Person, id: u8) -> Envelope {
    Envelope { mailbox: person.mailbox(), id: EnvelopeId([id; 16]), sealed: Bytes(vec![id; 6 * 1024]) }
}

/// Both devices of Alice, logged in, with keys.
pub(super) fn both(relay: &Relay<Memory>) -> (Person, Caller, Person, Caller) {
    let (mut alice, mut second) = alice_and_second();
    let (mut first, _) = alice.register(relay);
    assert_eq!(set(relay, &mut first, list(&alice, 2, &[alice.device, second.device]), 1), Ok(Answer::Done));
    let mut other = second.enter(relay, 1);
    let keys = second.keys(1, 2);
    ask(relay, &mut other, Request::Publish(keys)).unwrap();
    (alice, first, second, other)
}

/// [RELAY-26] the next list counts at once, in whatever order answers are lost; another list under its number, one
/// before it, or one that the account has not signed changes nothing.
#[test]
fn the_next_list_is_taken_once() {
    let relay = relay(|_| {});
    let (mut alice, second) = alice_and_second();
    let (mut first, _) = alice.register(&relay);
    let next = list(&alice, 2, &[alice.device, second.device]);
    let mut early = link(&relay, LinkKind::Authenticated);
    let login = second.login(&relay, &early, 1);
    assert_eq!(ask(&relay, &mut early, Request::Login(login)), Err(Refusal::NoSuchName), "nobody has listed it");
    for _ in 0..2 {
        assert_eq!(set(&relay, &mut first, next.clone(), 1), Ok(Answer::Done));
    }
    let before = relay.store().contents();
    let rival = list(&alice, 2, &[alice.device]);
    assert_eq!(set(&relay, &mut first, rival, 2), Err(Refusal::StaleDeviceList));
    assert_eq!(set(&relay, &mut first, list(&alice, 1, &[alice.device]), 2), Err(Refusal::StaleDeviceList));
    let mallory = Person::new("alice", 66);
    assert_eq!(set(&relay, &mut first, list(&mallory, 9, &[mallory.device]), 2), Err(Refusal::BadSignature));
    let mut forged = list(&alice, 9, &[alice.device]);
    forged.signature.0[0] ^= 1;
    assert_eq!(set(&relay, &mut first, forged, 2), Err(Refusal::BadSignature));
    let elsewhere = DeviceList { number: 9, name: "bob".parse().unwrap(), ..verified(&next) };
    assert_eq!(set(&relay, &mut first, alice.account.sign_devices(&elsewhere), 2), Err(Refusal::BadSignature));
    assert!(relay.store().contents() == before);
    let mut asker = link(&relay, LinkKind::Anonymous);
    assert_eq!(ask(&relay, &mut asker, Request::FetchDevices(alice.name.clone())), Ok(Answer::Devices(next)));
    let _ = second.enter(&relay, 1);
}

fn verified(signed: &Signed) -> DeviceList {
    sealpost_crypto::identity::verify_devices(signed).unwrap()
}

/// [RELAY-26] [RELAY-16] a device that is revoked hears why its link ends, and does nothing from then on: not on that link,
/// not by a login, not by an old list. What waited for it is gone, and the token that it knew is worth nothing.
#[test]
fn a_revoked_device_is_out_at_once() {
    let relay = relay(|_| {});
    let (alice, mut first, mut second, mut other) = both(&relay);
    let mut contact = link(&relay, LinkKind::Anonymous);
    let old = Some(DeliveryToken([1; 32]));
    assert!(ask(&relay, &mut contact, Request::Deliver { token: old, envelope: to(&second, 1) }).is_ok());
    assert_eq!(set(&relay, &mut first, list(&alice, 3, &[alice.device]), 2), Ok(Answer::Done));
    assert_eq!(other.ended(), Some(Refusal::StaleDeviceList));
    assert_eq!(pushes(&relay, &mut other), []);
    let keys = second.keys(50, 1);
    for request in [
        Request::Publish(keys),
        Request::SetToken(token_hash(&DeliveryToken([1; 32]))),
        Request::SetDevices { list: list(&alice, 2, &[alice.device, second.device]), token: TokenHash([1; 32]) },
        Request::Acknowledge(Vec::new()),
        alice.leave(&relay, &other),
    ] {
        assert_eq!(ask(&relay, &mut other, request.clone()), Err(Refusal::StaleDeviceList), "{request:?}");
    }
    for request in [Request::Deliver { token: None, envelope: to(&alice, 2) }, Request::FetchBundle(alice.name.clone())]
    {
        assert!(ask(&relay, &mut other, request.clone()).is_err(), "{request:?}");
    }
    let mut again = link(&relay, LinkKind::Authenticated);
    let login = second.login(&relay, &again, 2);
    assert_eq!(ask(&relay, &mut again, Request::Login(login)), Err(Refusal::NoSuchName));
    let both = list(&alice, 2, &[alice.device, second.device]);
    let registration = Registration { list: both, ..second.registration(&relay, &again) };
    assert_eq!(ask(&relay, &mut again, Request::Register(registration)), Err(Refusal::StaleDeviceList));
    let gone = ask(&relay, &mut contact, Request::Deliver { token: old, envelope: to(&second, 3) });
    assert_eq!(gone, Err(Refusal::NoSuchMailbox));
    // Without work the relay of a test takes anything; a token that it does not know is looked at first.
    let row = relay.store().contents().concat();
    let known = |token: u8| row.windows(32).any(|bytes| bytes == token_hash(&DeliveryToken([token; 32])).0);
    assert!(!known(1) && known(2), "the token is another one with the list, and not after it");
}

/// [RELAY-26] [THREAT-28] a device that another relay of the cluster has seen revoked sets no token and no list at one that has not heard of
/// it yet.
#[test]
fn a_revoked_device_sets_nothing_at_another_relay() {
    let relay = relay(|_| {});
    let elsewhere = over(relay.store().beside(), |_| {});
    let (mut alice, second) = alice_and_second();
    let (mut first, _) = alice.register(&relay);
    let both = list(&alice, 2, &[alice.device, second.device]);
    assert_eq!(set(&relay, &mut first, both.clone(), 1), Ok(Answer::Done));
    let mut other = second.enter(&elsewhere, 1);
    let token = |token: u8| token_hash(&DeliveryToken([token; 32]));
    assert_eq!(ask(&elsewhere, &mut other, Request::SetToken(token(3))), Ok(Answer::Done));
    assert_eq!(set(&relay, &mut first, list(&alice, 3, &[alice.device]), 2), Ok(Answer::Done));
    assert_eq!(other.ended(), None, "it has not heard of it");
    let before = relay.store().contents();
    let newer = list(&alice, 4, &[alice.device, second.device]);
    for request in [Request::SetToken(token(4)), Request::SetDevices { list: newer, token: token(4) }] {
        assert_eq!(ask(&elsewhere, &mut other, request.clone()), Err(Refusal::StaleDeviceList), "{request:?}");
    }
    assert!(relay.store().contents() == before);
    // Nor a device whose number another key has by now.
    let replaced = DeviceSecret::generate(&mut StdRng::seed_from_u64(12)).public(DeviceId(2));
    assert_eq!(set(&relay, &mut first, list(&alice, 4, &[alice.device, replaced]), 2), Ok(Answer::Done));
    assert_eq!(ask(&elsewhere, &mut other, Request::SetToken(token(4))), Err(Refusal::StaleDeviceList));
}

/// [RELAY-27] devices of one account write to one another without price or token, and to nobody else; nor does a
/// device get its own keys, or anybody else's.
#[test]
fn own_devices_reach_each_other_and_nobody_else() {
    let relay = relay(|rules| rules.work = WorkPrice { fetch: 200, deliver: 200 });
    let (alice, mut first, second, mut other) = both(&relay);
    let Ok(Answer::Bundle(bundle)) = ask(&relay, &mut first, Request::FetchBundle(alice.name.clone())) else {
        panic!("a bundle");
    };
    assert_eq!(bundle.devices.iter().map(|device| device.device.0).collect::<Vec<_>>(), [2]);
    let answer = ask(&relay, &mut first, Request::Deliver { token: None, envelope: to(&second, 1) });
    assert!(matches!(answer, Ok(Answer::Accepted { .. })), "{answer:?}");
    assert!(matches!(pushes(&relay, &mut other).as_slice(), [Push::Envelope { id: EnvelopeId([1, ..]), .. }]));
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    assert_eq!(ask(&relay, &mut first, Request::FetchBundle(bob.name.clone())), Err(Refusal::WrongLink));
    for (envelope, token) in [(to(&bob, 1), None), (to(&bob, 1), Some(bob.token)), (to(&second, 2), Some(alice.token))]
    {
        let answer = ask(&relay, &mut first, Request::Deliver { token, envelope });
        assert_eq!(answer, Err(Refusal::WrongLink), "{token:?}");
    }
    let mut nobody = link(&relay, LinkKind::Authenticated);
    let answer = ask(&relay, &mut nobody, Request::Deliver { token: None, envelope: to(&second, 3) });
    assert_eq!(answer, Err(Refusal::WrongLink));
}
