use sealpost_crypto::identity::verify_receipt;
use sealpost_crypto::work;

use super::*;
use crate::quota::Rate;

fn counts(one_time: u32, one_time_kem: u32) -> PrekeyCounts {
    PrekeyCounts { one_time, one_time_kem }
}

/// Registered, with a receipt of the relay's and the counts of what was published; logged in at once.
#[test]
fn a_registration_gives_a_receipt() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let mut caller = link(&relay, LinkKind::Authenticated);
    let registration = alice.registration(&relay, &caller);
    let Ok(Answer::Registered { receipt, generation, keys }) =
        ask(&relay, &mut caller, Request::Register(registration.clone()))
    else {
        panic!("registered");
    };
    assert_eq!((generation, keys), (0, counts(2, 2)));
    let receipt = verify_receipt(&receipt, relay.public_key()).unwrap();
    let account = alice.account.key();
    assert_eq!(receipt, NameReceipt { name: alice.name.clone(), account, generation: 0, time: NOW });
    assert_eq!(caller.name(), Some(&alice.name));
    assert_eq!(ask(&relay, &mut caller, Request::FetchDevices(alice.name)), Ok(Answer::Devices(registration.list)));
}

/// [ACCT-10] registering again with the same key changes nothing of the name, whenever it happens.
#[test]
fn registering_again_keeps_the_first_time() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (_, first) = alice.register(&relay);
    let mut caller = link(&relay, LinkKind::Authenticated);
    let registration = alice.registration(&relay, &caller);
    let Ok(Answer::Registered { receipt, generation, .. }) =
        ask_at(&relay, NOW + 9_999, &mut caller, Request::Register(registration))
    else {
        panic!("registered");
    };
    assert_eq!((receipt, generation), (first, 1));
}

/// [ACCT-2] [THREAT-20] a name, or one that looks like it, has one owner.
#[test]
fn a_name_has_one_owner() {
    let relay = relay(|_| {});
    Person::new("modern", 10).register(&relay);
    for name in ["modern", "rnodern", "mo-dern", "m0dern"] {
        let mut mallory = Person::new(name, 11);
        let mut caller = link(&relay, LinkKind::Authenticated);
        let registration = mallory.registration(&relay, &caller);
        assert_eq!(ask(&relay, &mut caller, Request::Register(registration)), Err(Refusal::NameTaken), "{name}");
    }
}

/// [ACCT-10] after a lost store the receipt's holder gets the name back, from the same or a confusable name, and the
/// squatter's link ends.
#[test]
fn a_receipt_evicts_a_squatter() {
    for squat in ["alice", "a1ice"] {
        let before = relay(|_| {});
        let mut alice = Person::new("alice", 10);
        let (_, receipt) = alice.register(&before);
        let after = over(Memory::new([8; 16]), |rules| rules.registering = Registering::Open);
        let mut squatter = Person::new(squat, 11);
        let mut caller = link(&after, LinkKind::Authenticated);
        let registration = squatter.registration(&after, &caller);
        assert!(ask_at(&after, NOW + 1, &mut caller, Request::Register(registration)).is_ok());

        let mut owner = link(&after, LinkKind::Authenticated);
        let mut registration = alice.registration(&after, &owner);
        registration.receipt = Some(receipt.clone());
        let answer = ask_at(&after, NOW + 2, &mut owner, Request::Register(registration));
        // [ACCT-12] what the squatter's device presented is not hers.
        let Ok(Answer::Registered { receipt: again, generation: 0, .. }) = answer else {
            panic!("registered, not {answer:?}")
        };
        assert_eq!(again, receipt, "it keeps its first time");
        assert_eq!(caller.ended(), Some(Refusal::Replaced));
        let mut asker = link(&after, LinkKind::Anonymous);
        let devices = ask(&after, &mut asker, Request::FetchDevices(alice.name.clone()));
        assert_eq!(devices, Ok(Answer::Devices(alice.list(1))));
        let mut stranger = link(&after, LinkKind::Anonymous);
        let envelope =
            Envelope { mailbox: squatter.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
        let answer = ask(&after, &mut stranger, Request::Deliver { token: None, envelope });
        assert_eq!(answer, Err(Refusal::NoSuchMailbox), "the squatter's mailbox is gone");

        let mut caller = link(&after, LinkKind::Authenticated);
        let registration = squatter.registration(&after, &caller);
        assert_eq!(ask(&after, &mut caller, Request::Register(registration)), Err(Refusal::NameTaken));
    }
}

/// [ACCT-9] a receipt of somebody else, or of another relay, is no receipt.
#[test]
fn a_borrowed_receipt_is_refused() {
    let relay = relay(|_| {});
    let (_, borrowed) = Person::new("bob", 12).register(&relay);
    let mut alice = Person::new("alice", 10);
    let receipt = NameReceipt { name: alice.name.clone(), account: alice.account.key(), generation: 9, time: 0 };
    let foreign = RelaySecret::generate(&mut StdRng::seed_from_u64(3)).sign_receipt(&receipt);
    for receipt in [borrowed, foreign] {
        let mut caller = link(&relay, LinkKind::Authenticated);
        let mut registration = alice.registration(&relay, &caller);
        registration.receipt = Some(receipt);
        assert_eq!(ask(&relay, &mut caller, Request::Register(registration)), Err(Refusal::BadSignature));
    }
}

/// A closed relay still lets in whom it knows, and whom it knew before it lost its store.
#[test]
fn a_closed_relay_knows_its_own() {
    let open = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (_, receipt) = alice.register(&open);
    let closed = over(Memory::new([8; 16]), |rules| rules.registering = Registering::Closed);
    let mut caller = link(&closed, LinkKind::Authenticated);
    let mut registration = alice.registration(&closed, &caller);
    let refused = ask(&closed, &mut caller, Request::Register(registration.clone()));
    assert_eq!(refused, Err(Refusal::RegistrationClosed));
    registration.receipt = Some(receipt);
    assert!(ask(&closed, &mut caller, Request::Register(registration)).is_ok());
    alice.register(&closed);
    let invited = relay(|rules| rules.registering = Registering::Invite);
    let mut caller = link(&invited, LinkKind::Authenticated);
    let registration = alice.registration(&invited, &caller);
    assert_eq!(ask(&invited, &mut caller, Request::Register(registration)), Err(Refusal::InviteNeeded));
}

/// [RELAY-16] the number of a device list never falls, and one number stands for one list.
#[test]
fn a_device_list_never_falls() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let attempt = |alice: &mut Person, list: Signed| {
        let mut caller = link(&relay, LinkKind::Authenticated);
        let registration = Registration { list, ..alice.registration(&relay, &caller) };
        ask(&relay, &mut caller, Request::Register(registration))
    };
    let five = alice.list(5);
    assert!(attempt(&mut alice, five.clone()).is_ok());
    let four = alice.list(4);
    assert_eq!(attempt(&mut alice, four), Err(Refusal::StaleDeviceList));
    let other = DeviceSecret::generate(&mut alice.rng).public(DeviceId(2));
    let devices = vec![alice.device, other];
    let account = alice.account.key();
    let fork = DeviceList { number: 5, name: alice.name.clone(), account, devices };
    let fork = alice.account.sign_devices(&fork);
    assert_eq!(attempt(&mut alice, fork), Err(Refusal::StaleDeviceList));
    assert!(attempt(&mut alice, five).is_ok());
}

/// [ACCT-3] [ACCT-5] [ACCT-6] [ACCT-7] [RELAY-5] each signature of a registration is checked.
#[test]
fn a_registration_is_signed_throughout() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let mut mallory = Person::new("alice", 11);
    let signed_for = link(&relay, LinkKind::Authenticated);
    let good = alice.registration(&relay, &signed_for);
    let other = mallory.registration(&relay, &signed_for);
    let keys = |change: fn(&mut PublishedKeys, PublishedKeys)| {
        let mut bad = good.clone();
        change(&mut bad.keys, other.keys.clone());
        bad
    };
    let mut swapped = good.clone();
    swapped.keys.one_time[0] = swapped.keys.signed.clone().unwrap();
    let bad = [
        Registration { list: other.list.clone(), ..good.clone() },
        Registration { login: other.login.clone(), ..good.clone() },
        Registration { login: Login { generation: 2, ..good.login.clone() }, ..good.clone() },
        Registration { login: Login { name: "bob".parse().unwrap(), ..good.login.clone() }, ..good.clone() },
        Registration { login: Login { device: DeviceId(2), ..good.login.clone() }, ..good.clone() },
        keys(|keys, other| keys.signed = other.signed),
        keys(|keys, other| keys.last_resort_kem = other.last_resort_kem),
        keys(|keys, other| keys.box_key = other.box_key),
        keys(|keys, other| keys.one_time = other.one_time),
        keys(|keys, other| keys.one_time_kem = other.one_time_kem),
        swapped,
    ];
    for (at, bad) in bad.into_iter().enumerate() {
        let mut caller = link(&relay, LinkKind::Authenticated);
        caller.challenge = signed_for.challenge;
        assert_eq!(ask(&relay, &mut caller, Request::Register(bad)), Err(Refusal::BadSignature), "the one at {at}");
    }
}

/// [RELAY-5] a login counts on its own link only: another channel, challenge or relay refuses it.
#[test]
fn a_login_is_bound_to_its_link() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let mut caller = link(&relay, LinkKind::Authenticated);
    let login = alice.login(&relay, &caller, 2);
    let mut another_challenge = link(&relay, LinkKind::Authenticated);
    assert_eq!(ask(&relay, &mut another_challenge, Request::Login(login.clone())), Err(Refusal::BadSignature));
    let mut another_channel = link(&relay, LinkKind::Authenticated);
    another_channel.challenge = caller.challenge;
    another_channel.peer.channel = [10; 32];
    assert_eq!(ask(&relay, &mut another_channel, Request::Login(login.clone())), Err(Refusal::BadSignature));
    assert!(ask(&relay, &mut caller, Request::Login(login)).is_ok());
}

/// [ACCT-12] the relay keeps the highest generation and returns the one before; who is behind stays behind, however often the answer
/// is lost and they try again.
#[test]
fn a_login_returns_the_generation_before() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    for (presented, before) in [(7, 1), (3, 7), (4, 8), (9, 9), (10, 10), (12, 11)] {
        let mut caller = link(&relay, LinkKind::Authenticated);
        let login = alice.login(&relay, &caller, presented);
        let answer = ask(&relay, &mut caller, Request::Login(login));
        assert_eq!(answer, Ok(Answer::LoggedIn { generation: before, keys: counts(2, 2) }));
    }
}

/// [ACCT-12] what a device presented before that had a row of its own counts as well.
#[test]
fn an_older_generation_counts() {
    use crate::answer::row::{self, Current};

    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let write = |batch| ready(relay.store().write(batch)).unwrap().unwrap();
    let presented = || ready(relay.row::<row::Presented>(row::presented(&alice.name, DeviceId(1)))).unwrap().unwrap();
    let published = || ready(relay.row::<row::Device>(row::device(&alice.name, DeviceId(1)))).unwrap().unwrap();
    let Current { rev, mut row } = published().unwrap();
    row.generation = 9;
    let device = row::put(row::device(&alice.name, DeviceId(1)), Some(rev), &row).unwrap();
    let expected = presented().unwrap().rev;
    write(vec![device, crate::store::Write::Delete { key: row::presented(&alice.name, DeviceId(1)), expected }]);
    for (generation, before) in [(3, 9), (10, 10), (12, 11)] {
        let mut caller = link(&relay, LinkKind::Authenticated);
        let login = alice.login(&relay, &caller, generation);
        let answer = ask(&relay, &mut caller, Request::Login(login));
        assert_eq!(answer, Ok(Answer::LoggedIn { generation: before, keys: counts(2, 2) }));
    }
    assert_eq!((presented().unwrap().row.generation, published().unwrap().row.generation), (12, 9));
}

#[test]
fn nobody_logs_in_whom_nobody_knows() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let mut caller = link(&relay, LinkKind::Authenticated);
    let login = alice.login(&relay, &caller, 1);
    assert_eq!(ask(&relay, &mut caller, Request::Login(login)), Err(Refusal::NoSuchName));
    alice.register(&relay);
    let login = Login { device: DeviceId(9), ..alice.login(&relay, &caller, 1) };
    assert_eq!(ask(&relay, &mut caller, Request::Login(login)), Err(Refusal::NoSuchName));
}

/// [RELAY-6] a device has one link: the newer login ends the older one, which can do nothing any more.
#[test]
fn a_second_login_replaces_the_first() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut first, _) = alice.register(&relay);
    assert_eq!(first.ended(), None);
    let second = alice.enter(&relay, 2);
    assert_eq!(first.bell().take().first(), Some(0), "it is woken");
    assert_eq!(first.ended(), Some(Refusal::Replaced));
    assert_eq!(ask(&relay, &mut first, Request::Acknowledge(Vec::new())), Err(Refusal::Replaced));
    assert_eq!(second.ended(), None);
}

/// [RELAY-11] each one-time key is given out once, then the last resort serves for ever. [RELAY-10] [THREAT-18]
#[test]
fn one_time_keys_are_given_out_once() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let keys = alice.keys(10, 3);
    assert_eq!(ask(&relay, &mut caller, Request::Publish(keys.clone())), Ok(Answer::Published { keys: counts(5, 5) }));
    let mut asker = link(&relay, LinkKind::Anonymous);
    let mut seen = Vec::new();
    for fetch in 0..8 {
        let Ok(Answer::Bundle(bundle)) = ask(&relay, &mut asker, Request::FetchBundle(alice.name.clone())) else {
            panic!("a bundle");
        };
        assert_eq!(bundle.list, alice.list(1));
        let [device] = bundle.devices.as_slice() else { panic!("one device") };
        assert_eq!((Some(&device.signed), Some(&device.box_key)), (keys.signed.as_ref(), keys.box_key.as_ref()));
        if fetch < 5 {
            let one_time = device.one_time.clone().unwrap();
            assert!(!seen.contains(&one_time) && !seen.contains(&device.kem));
            assert_ne!(Some(&device.kem), keys.last_resort_kem.as_ref());
            seen.extend([one_time, device.kem.clone()]);
        } else {
            assert_eq!((&device.one_time, Some(&device.kem)), (&None, keys.last_resort_kem.as_ref()));
        }
    }
}

/// [RELAY-10] who asks too often gets last-resort keys, and a stranger at another address then too: the account's
/// own keys are what is protected.
#[test]
fn a_limited_bundle_is_not_refused() {
    let relay = relay(|rules| rules.rates.one_time_keys = Rate { burst: 1, every_ms: 60_000 });
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let fetch = |now| {
        let mut asker = link(&relay, LinkKind::Anonymous);
        match ask_at(&relay, now, &mut asker, Request::FetchBundle(alice.name.clone())) {
            Ok(Answer::Bundle(bundle)) => bundle.devices[0].one_time.is_some(),
            other => panic!("a bundle, not {other:?}"),
        }
    };
    assert_eq!([fetch(NOW), fetch(NOW), fetch(NOW + 60_001)], [true, false, true]);
}

#[test]
fn nobody_has_no_bundle() {
    let relay = relay(|_| {});
    let nobody: Name = "nobody".parse().unwrap();
    for request in [Request::FetchBundle(nobody.clone()), Request::FetchDevices(nobody)] {
        assert_eq!(ask(&relay, &mut link(&relay, LinkKind::Anonymous), request), Err(Refusal::NoSuchName));
    }
}

/// [RELAY-17] an id is published once; the same key again changes nothing, so that a lost answer does no harm.
#[test]
fn a_prekey_id_is_used_once() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let keys = alice.keys(10, 2);
    let mut publish = |keys: PublishedKeys| ask(&relay, &mut caller, Request::Publish(keys));
    assert_eq!(publish(keys.clone()), Ok(Answer::Published { keys: counts(4, 4) }));
    assert_eq!(publish(keys.clone()), Ok(Answer::Published { keys: counts(4, 4) }));
    let none =
        PublishedKeys { signed: None, last_resort_kem: None, box_key: None, one_time: vec![], one_time_kem: vec![] };
    let older = PublishedKeys { signed: Some(alice.prekey(PrekeyRole::Signed, 9)), ..none.clone() };
    assert_eq!(publish(older), Err(Refusal::StaleKey));
    let other = PublishedKeys { box_key: Some(alice.prekey(PrekeyRole::Box, 10)), ..none.clone() };
    assert_eq!(publish(other), Err(Refusal::StaleKey));
    let other = PublishedKeys { one_time: vec![alice.prekey(PrekeyRole::OneTime, 11)], ..none.clone() };
    assert_eq!(publish(other), Err(Refusal::StaleKey));
    let mut asker = link(&relay, LinkKind::Anonymous);
    for _ in 0..4 {
        ask(&relay, &mut asker, Request::FetchBundle(alice.name.clone())).unwrap();
    }
    let used_up = PublishedKeys { one_time: keys.one_time.clone(), ..none };
    assert_eq!(publish(used_up), Ok(Answer::Published { keys: counts(0, 0) }), "a used key does not return");
}

/// [ACCT-16] what one request and one device may publish is bounded.
#[test]
fn prekeys_are_bounded() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let keys = |alice: &mut Person, from: u32, kem: u32| PublishedKeys {
        signed: None,
        last_resort_kem: None,
        box_key: None,
        one_time: vec![],
        one_time_kem: (from..from + kem).map(|id| alice.prekey(PrekeyRole::OneTimeKem, id)).collect(),
    };
    let too_many = keys(&mut alice, 10, 33);
    assert_eq!(ask(&relay, &mut caller, Request::Publish(too_many)), Err(Refusal::TooLarge { limit: 32 }));
    let most = keys(&mut alice, 10, 32);
    assert_eq!(ask(&relay, &mut caller, Request::Publish(most)), Ok(Answer::Published { keys: counts(2, 34) }));
    let beyond = keys(&mut alice, 50, 7);
    assert_eq!(ask(&relay, &mut caller, Request::Publish(beyond)), Err(Refusal::QuotaReached { limit: 40 }));
}

/// [ACCT-16] A registration whose answer was lost is made again with other keys: those that fit are taken.
#[test]
fn a_registration_is_not_refused_for_its_keys() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let most = MAX_PREKEYS_AT_ONCE as u32;
    for (from, left) in [(1, counts(32, 32)), (40, counts(64, 40)), (80, counts(96, 40)), (120, counts(100, 40))] {
        alice.first_keys = Some(alice.keys(from, most));
        let mut caller = link(&relay, LinkKind::Authenticated);
        let registration = alice.registration(&relay, &caller);
        match ask(&relay, &mut caller, Request::Register(registration)) {
            Ok(Answer::Registered { keys, .. }) => assert_eq!(keys, left, "keys from {from}"),
            other => panic!("{other:?}"),
        }
    }
}

/// [RELAY-9] work is bound to its link and its bytes, has its price, and counts once.
#[test]
fn work_is_paid_once() {
    let relay = relay(|rules| rules.work = WorkPrice { fetch: 8, deliver: 8 });
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let mut caller = link(&relay, LinkKind::Anonymous);
    let body = encode(&Request::FetchBundle(alice.name.clone())).unwrap();
    let channel = work::Channel { relay: relay.public_key(), exporter: &[9; 32] };
    let handle = |caller: &mut Caller, work, body: &[u8]| ready(relay.handle(NOW, caller, work, body)).unwrap();
    let needed = Err(Refusal::WorkNeeded { bits: 8 });
    assert_eq!(handle(&mut caller, None, &body), needed);
    let first = work::solve(channel, 1, &body, 8);
    assert!(handle(&mut caller, Some(first), &body).is_ok());
    assert_eq!(handle(&mut caller, Some(first), &body), needed, "twice");
    let second = work::solve(channel, 2, &body, 8);
    assert_eq!(handle(&mut caller, Some(Work { counter: 3, ..second }), &body), needed, "another counter");
    let other = encode(&Request::FetchDevices(alice.name.clone())).unwrap();
    assert_eq!(handle(&mut caller, Some(second), &other), needed, "another request");
    let elsewhere = work::solve(work::Channel { exporter: &[10; 32], ..channel }, 2, &body, 8);
    assert_eq!(handle(&mut caller, Some(elsewhere), &body), needed, "another link");
    let other_relay = work::solve(work::Channel { relay: &[0; 32], ..channel }, 2, &body, 8);
    assert_eq!(handle(&mut caller, Some(other_relay), &body), needed, "another relay");
    assert!(handle(&mut caller, Some(second), &body).is_ok());
    let mut logged_in = alice.enter(&relay, 2);
    assert!(handle(&mut logged_in, None, &other).is_ok(), "nothing is asked of who is logged in");
}

/// [RELAY-15] who asks without paying uses up nobody's share of lookups.
#[test]
fn unpaid_lookups_cost_others_nothing() {
    let relay = relay(|rules| {
        rules.work = WorkPrice { fetch: 8, deliver: 8 };
        rules.rates = Rates { lookups: Rate { burst: 2, every_ms: 60_000 }, ..Rates::unlimited() };
    });
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let mut caller = link(&relay, LinkKind::Anonymous);
    let body = encode(&Request::FetchDevices(alice.name.clone())).unwrap();
    for _ in 0..5 {
        let answer = ready(relay.handle(NOW, &mut caller, None, &body)).unwrap();
        assert_eq!(answer, Err(Refusal::WorkNeeded { bits: 8 }));
    }
    let work = work::solve(work::Channel { relay: relay.public_key(), exporter: &[9; 32] }, 1, &body, 8);
    assert!(ready(relay.handle(NOW, &mut caller, Some(work), &body)).unwrap().is_ok());
}

/// [RELAY-15] registrations, logins and lookups are limited by address, and each says when to come again.
#[test]
fn addresses_are_limited() {
    let relay = relay(|rules| {
        let rate = Rate { burst: 1, every_ms: 1_000 };
        rules.rates = Rates { registrations: rate, logins: rate, lookups: rate, ..Rates::unlimited() };
    });
    let attempt = |now, name: &str, seed, address| {
        let mut person = Person::new(name, seed);
        let mut caller = link_from(&relay, LinkKind::Authenticated, address);
        let registration = person.registration(&relay, &caller);
        match ask_at(&relay, now, &mut caller, Request::Register(registration))? {
            Answer::Registered { receipt, .. } => Ok(receipt),
            other => panic!("registered, not {other:?}"),
        }
    };
    let later = Err(Refusal::TooFast { retry_after_ms: 1_000 });
    let receipt = attempt(NOW, "alice", 10, [10, 0, 0, 1]).unwrap();
    assert_eq!(attempt(NOW, "bob", 11, [10, 0, 0, 1]).map(drop), later);
    assert!(attempt(NOW, "carol", 12, [10, 0, 0, 2]).is_ok(), "another address");
    assert!(attempt(NOW + 1_000, "bob", 11, [10, 0, 0, 1]).is_ok());

    let alice = Person::new("alice", 10);
    let login = |now| {
        let mut caller = link(&relay, LinkKind::Authenticated);
        let login = alice.login(&relay, &caller, 2);
        ask_at(&relay, now, &mut caller, Request::Login(login)).map(|_| ())
    };
    assert_eq!((login(NOW + 2_000), login(NOW + 2_000)), (Ok(()), Err(Refusal::TooFast { retry_after_ms: 1_000 })));
    // A receipt spares the limit of registrations, and not that of logins.
    let again = |now| {
        let mut alice = Person::new("alice", 10);
        let mut caller = link_from(&relay, LinkKind::Authenticated, [10, 0, 0, 9]);
        let registration = Registration { receipt: Some(receipt.clone()), ..alice.registration(&relay, &caller) };
        ask_at(&relay, now, &mut caller, Request::Register(registration)).map(|_| ())
    };
    assert_eq!((again(NOW + 2_000), again(NOW + 2_000)), (Ok(()), later));
    let mut asker = link(&relay, LinkKind::Anonymous);
    let mut lookup = || ask_at(&relay, NOW + 2_000, &mut asker, Request::FetchDevices(alice.name.clone())).map(|_| ());
    assert_eq!((lookup(), lookup()), (Ok(()), Err(Refusal::TooFast { retry_after_ms: 1_000 })));
}

/// [RELAY-16] a device that a newer list leaves out loses its link, its keys and its mailbox.
#[test]
fn a_dropped_device_is_gone() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let mut second = Person::new("alice", 11);
    second.device = second.secret.public(DeviceId(2));
    let account = alice.account.key();
    let list = |number, devices| DeviceList { number, name: "alice".parse().unwrap(), account, devices };
    let both = alice.account.sign_devices(&list(1, vec![alice.device, second.device]));
    let one = alice.account.sign_devices(&list(2, vec![alice.device]));
    let register = |alice: &mut Person, list| {
        let mut caller = link(&relay, LinkKind::Authenticated);
        let registration = Registration { list, ..alice.registration(&relay, &caller) };
        ask(&relay, &mut caller, Request::Register(registration)).unwrap();
    };
    register(&mut alice, both);
    let mut other = second.enter(&relay, 1);
    let keys = second.keys(1, 1);
    ask(&relay, &mut other, Request::Publish(keys)).unwrap();
    let bundle = || match ask(&relay, &mut link(&relay, LinkKind::Anonymous), Request::FetchBundle(alice.name.clone()))
    {
        Ok(Answer::Bundle(bundle)) => bundle.devices.iter().map(|device| device.device.0).collect::<Vec<_>>(),
        other => panic!("a bundle, not {other:?}"),
    };
    assert_eq!(bundle(), [1, 2]);
    let mut alice = alice;
    register(&mut alice, one);
    assert_eq!(other.ended(), Some(Refusal::StaleDeviceList));
    let mut caller = link(&relay, LinkKind::Authenticated);
    let login = second.login(&relay, &caller, 2);
    assert_eq!(ask(&relay, &mut caller, Request::Login(login)), Err(Refusal::NoSuchName));
    let envelope = Envelope { mailbox: second.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
    let mut stranger = link(&relay, LinkKind::Anonymous);
    let answer = ask(&relay, &mut stranger, Request::Deliver { token: None, envelope });
    assert_eq!(answer, Err(Refusal::NoSuchMailbox));
}
