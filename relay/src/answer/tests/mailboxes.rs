use super::*;
use crate::admin::Command;
use crate::quota::Rate;
use crate::store::{Append, CrashPoint, CrashPoints, Log, Store, Write, Written};

fn envelope(to: &Person, id: u16, size: usize) -> Envelope {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&id.to_le_bytes());
    Envelope { mailbox: to.mailbox(), id: EnvelopeId(bytes), sealed: Bytes(vec![id as u8; size]) }
}

fn deliver_at(relay: &Relay<Memory>, now: u64, envelope: Envelope) -> Result<Seq, Refusal> {
    let mut stranger = link(relay, LinkKind::Anonymous);
    match ask_at(relay, now, &mut stranger, Request::Deliver { token: None, envelope })? {
        Answer::Accepted { seq } => Ok(seq),
        other => panic!("accepted, not {other:?}"),
    }
}

fn deliver(relay: &Relay<Memory>, envelope: Envelope) -> Seq {
    deliver_at(relay, NOW, envelope).unwrap()
}

fn acknowledge(relay: &Relay<Memory>, caller: &mut Caller, pairs: &[(Seq, EnvelopeId)]) {
    assert_eq!(ask(relay, caller, Request::Acknowledge(pairs.to_vec())), Ok(Answer::Done));
}

fn pushed(pushes: &[Push]) -> Vec<(Seq, EnvelopeId)> {
    let pair = |push: &Push| match push {
        Push::Envelope { seq, id, .. } => (*seq, *id),
        other => panic!("an envelope, not {other:?}"),
    };
    pushes.iter().map(pair).collect()
}

const SMALL: usize = 6 * 1024;

/// [BOX-1] [BOX-9] delivered while the recipient is away, pushed in order after the login, and again after the next
/// one, until acknowledged; what comes meanwhile is pushed when the bell rings.
#[test]
fn envelopes_wait_and_come_in_order() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let sent: Vec<_> = (0..3).map(|id| envelope(&bob, id, SMALL)).collect();
    let seqs: Vec<_> = sent.iter().map(|envelope| deliver(&relay, envelope.clone())).collect();
    assert!(seqs.is_sorted());
    let push = |(seq, sent): (&Seq, &Envelope)| Push::Envelope { seq: *seq, id: sent.id, sealed: sent.sealed.clone() };
    let expected: Vec<_> = seqs.iter().zip(&sent).map(push).collect();
    let mut first = bob.enter(&relay, 2);
    assert_eq!(pushes(&relay, &mut first), expected);
    assert_eq!(pushes(&relay, &mut first), []);
    let mut second = bob.enter(&relay, 3);
    assert_eq!(pushes(&relay, &mut second), expected);
    let later = deliver(&relay, envelope(&bob, 9, 16 * 1024));
    assert!(ready(second.bell().rung()).is_some(), "it rings");
    assert_eq!(pushed(&pushes(&relay, &mut second))[0].0, later);
    assert_eq!(pushes(&relay, &mut first), [], "a replaced link gets nothing more");
}

/// [BOX-2] the same envelope again has the same place, and is pushed once.
#[test]
fn an_envelope_is_taken_once() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    let (mut caller, _) = bob.register(&relay);
    let seq = deliver(&relay, envelope(&bob, 1, SMALL));
    assert_eq!(deliver(&relay, envelope(&bob, 1, SMALL)), seq);
    let pairs = pushed(&pushes(&relay, &mut caller));
    assert_eq!(pairs.len(), 1);
    acknowledge(&relay, &mut caller, &pairs);
    assert_eq!(deliver(&relay, envelope(&bob, 1, SMALL)), seq, "after it was trimmed too");
    assert_eq!(pushes(&relay, &mut caller), []);
}

/// [BOX-3] accepted is durable: at each crash, what was accepted is pushed after the restart.
#[test]
fn accepted_is_durable() {
    for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
        for commit in 1..8 {
            let store = Memory::crashing([7; 16], CrashPoints::none());
            let mut bob = Person::new("bob", 20);
            bob.register(&over(store.reopen(CrashPoints::none()), |_| {}));
            let before = over(store.reopen(CrashPoints::at(point, commit)), |_| {});
            let sent: Vec<_> =
                (1..=5).filter_map(|id| deliver_at(&before, NOW, envelope(&bob, id, SMALL)).ok()).collect();
            let after = over(before.store().reopen(CrashPoints::none()), |_| {});
            let mut caller = bob.enter(&after, 2);
            let there: Vec<_> = pushed(&pushes(&after, &mut caller)).into_iter().map(|(seq, _)| seq).collect();
            assert!(there.starts_with(&sent), "{point:?} of commit {commit}: {sent:?} of {there:?}");
            assert!(there.len() <= sent.len() + 1);
        }
    }
}

/// [BOX-7] [BOX-8] a pair that does not match changes nothing, and only the acknowledged beginning is trimmed.
#[test]
fn only_the_acknowledged_prefix_goes() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    let (mut caller, _) = bob.register(&relay);
    for id in 1..=4 {
        deliver(&relay, envelope(&bob, id, SMALL));
    }
    let pairs = pushed(&pushes(&relay, &mut caller));
    let wrong = [(pairs[0].0, pairs[1].1), (pairs[1].0, pairs[0].1), (Seq(0), pairs[0].1)];
    acknowledge(&relay, &mut caller, &wrong);
    let left = |generation| pushed(&pushes(&relay, &mut bob.enter(&relay, generation)));
    assert_eq!(left(2), pairs, "nothing matched");
    let mut caller = bob.enter(&relay, 3);
    pushes(&relay, &mut caller);
    acknowledge(&relay, &mut caller, &[pairs[2], pairs[1]]);
    assert_eq!(left(4), pairs, "the first one is still wanted");
    let mut caller = bob.enter(&relay, 5);
    pushes(&relay, &mut caller);
    acknowledge(&relay, &mut caller, &[pairs[0], pairs[1]]);
    acknowledge(&relay, &mut caller, &[(Seq(u64::MAX), pairs[3].1)]);
    assert_eq!(left(6), pairs[2..]);
}

/// What a recipient acknowledges before it is pushed again on a new link is trimmed without being pushed.
#[test]
fn an_early_acknowledgement_saves_the_push() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    let (mut caller, _) = bob.register(&relay);
    for id in 1..=3 {
        deliver(&relay, envelope(&bob, id, SMALL));
    }
    let pairs = pushed(&pushes(&relay, &mut caller));
    let mut caller = bob.enter(&relay, 2);
    acknowledge(&relay, &mut caller, &pairs[..2]);
    assert_eq!(pushed(&pushes(&relay, &mut caller)), pairs[2..]);
    acknowledge(&relay, &mut caller, &pairs[2..]);
    let mut caller = bob.enter(&relay, 3);
    assert_eq!(pushes(&relay, &mut caller), []);
    let too_many = vec![pairs[0]; MAX_ACKNOWLEDGE + 1];
    let answer = ask(&relay, &mut caller, Request::Acknowledge(too_many));
    assert_eq!(answer, Err(Refusal::TooLarge { limit: 1_000 }));
}

/// [BOX-4] a mailbox takes 1,000 envelopes and no more, says so, and takes again once its owner has come. [BOX-11] half
/// of them from strangers, who do not shut out who has the token.
#[test]
fn a_full_mailbox_refuses() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let contact = |id| {
        let mut link = link(&relay, LinkKind::Anonymous);
        let request = Request::Deliver { token: Some(bob.token), envelope: envelope(&bob, id, SMALL) };
        ask(&relay, &mut link, request).map(|_| ())
    };
    for id in 0..500 {
        deliver(&relay, envelope(&bob, id, SMALL));
    }
    let stranger = || deliver_at(&relay, NOW, envelope(&bob, 2_000, SMALL));
    assert_eq!(stranger(), Err(Refusal::MailboxFull));
    for id in 500..1_000 {
        assert_eq!(contact(id), Ok(()));
    }
    assert_eq!(contact(1_000), Err(Refusal::MailboxFull));
    let mut caller = bob.enter(&relay, 2);
    let pairs = pushed(&pushes(&relay, &mut caller));
    assert_eq!(pairs.len(), 1_000);
    acknowledge(&relay, &mut caller, &pairs[..1]);
    assert_eq!((contact(1_000), stranger()), (Ok(()), Err(Refusal::MailboxFull)));
    acknowledge(&relay, &mut caller, &pairs[1..600]);
    assert!(stranger().is_ok());
}

/// [BOX-4] a mailbox takes 64 MiB and no more, whatever its entries are; [BOX-11] from strangers half of it.
#[test]
fn a_mailbox_is_bounded_in_bytes() {
    for (most, token) in [(MAX_MAILBOX_BYTES, true), (MAX_MAILBOX_BYTES / 2, false)] {
        let relay = relay(|_| {});
        let mut bob = Person::new("bob", 20);
        bob.register(&relay);
        let fill = |id: u8, bytes: usize| {
            let log = super::super::mailbox::log(&bob.mailbox());
            let append = Append { log, id: [id; 16], bytes: vec![0xff; bytes] };
            ready(relay.store().write(vec![Write::Append(append)])).unwrap().unwrap();
        };
        let deliver = |id| {
            let mut link = link(&relay, LinkKind::Anonymous);
            let token = token.then_some(bob.token);
            let request = Request::Deliver { token, envelope: envelope(&bob, id, 60 * 1024) };
            ask(&relay, &mut link, request).map(|_| ())
        };
        fill(200, most - (60 * 1024 + 8) - 1);
        assert_eq!((deliver(1), deliver(2)), (Ok(()), Err(Refusal::MailboxFull)));
    }
}

/// [BOX-5] after 30 days an envelope goes: by the sweep, at a login, or when room is wanted.
#[test]
fn envelopes_expire() {
    let later = NOW + MAX_AGE_MS + 1;
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    deliver(&relay, envelope(&bob, 1, SMALL));
    let young = deliver_at(&relay, later, envelope(&bob, 2, SMALL)).unwrap();
    let mut caller = bob.enter(&relay, 2);
    assert_eq!(pushed(&pushes_at(&relay, later, &mut caller))[0].0, young, "the old one is not pushed");
    let held = || ready(relay.store().usage(&super::super::mailbox::log(&bob.mailbox())));
    assert_eq!(held().unwrap().unwrap().count, 1);
    ready(relay.sweep(later)).unwrap().unwrap();
    assert_eq!(held().unwrap().unwrap().count, 1);
    ready(relay.sweep(later + MAX_AGE_MS)).unwrap().unwrap();
    assert_eq!(held().unwrap().unwrap().count, 1, "30 days to the millisecond is not too old");
    ready(relay.sweep(later + MAX_AGE_MS + 1)).unwrap().unwrap();
    assert_eq!(held().unwrap().unwrap().count, 0);
    for id in 0..500 {
        deliver_at(&relay, later, envelope(&bob, id + 10, SMALL)).unwrap();
    }
    assert_eq!(deliver_at(&relay, later, envelope(&bob, 2_000, SMALL)), Err(Refusal::MailboxFull));
    assert!(deliver_at(&relay, later + 2 * MAX_AGE_MS, envelope(&bob, 2_000, SMALL)).is_ok(), "old ones make room");
}

/// [BOX-6] the account's token delivers without work; an old or foreign one does not, and work always does.
#[test]
fn a_token_delivers_without_work() {
    let relay = relay(|rules| rules.work = WorkPrice { fetch: 0, deliver: 8 });
    let mut bob = Person::new("bob", 20);
    let (mut caller, _) = bob.register(&relay);
    let deliver = |token, work: bool| {
        let mut stranger = link(&relay, LinkKind::Anonymous);
        let body = encode(&Request::Deliver { token, envelope: envelope(&bob, 1, SMALL) }).unwrap();
        let channel = sealpost_crypto::work::Channel { relay: relay.public_key(), exporter: &[9; 32] };
        let work = work.then(|| sealpost_crypto::work::solve(channel, 1, &body, 8));
        ready(relay.handle(NOW, &mut stranger, work, &body)).unwrap().map(|_| ())
    };
    let old = Some(bob.token);
    assert_eq!(deliver(None, false), Err(Refusal::WorkNeeded { bits: 8 }));
    assert_eq!(deliver(None, true), Ok(()));
    assert_eq!(deliver(old, false), Ok(()));
    let new = DeliveryToken([3; 32]);
    assert_eq!(ask(&relay, &mut caller, Request::SetToken(token_hash(&new))), Ok(Answer::Done));
    assert_eq!(deliver(old, false), Err(Refusal::UnknownToken));
    assert_eq!(deliver(old, true), Ok(()));
    assert_eq!(deliver(Some(new), false), Ok(()));
}

/// [BOX-6] what a link has learnt of a mailbox holds as long as it is true: a token that was replaced since is refused on
/// the very link on which it was good.
#[test]
fn a_link_notices_a_new_token() {
    let relay = relay(|rules| rules.work = WorkPrice { fetch: 0, deliver: 8 });
    let mut bob = Person::new("bob", 20);
    let (mut caller, _) = bob.register(&relay);
    let mut stranger = link(&relay, LinkKind::Anonymous);
    let mut deliver = |token, id| {
        let envelope = envelope(&bob, id, SMALL);
        ask(&relay, &mut stranger, Request::Deliver { token: Some(token), envelope }).map(|_| ())
    };
    let (old, new) = (bob.token, DeliveryToken([3; 32]));
    assert_eq!([deliver(old, 1), deliver(old, 2)], [Ok(()), Ok(())]);
    assert_eq!(ask(&relay, &mut caller, Request::SetToken(token_hash(&new))), Ok(Answer::Done));
    assert_eq!(deliver(old, 3), Err(Refusal::UnknownToken));
    assert_eq!([deliver(new, 4), deliver(new, 5)], [Ok(()), Ok(())]);
}

/// [RELAY-15] who has used up the rate of deliveries is refused before anybody looks at the work: it counts once it is
/// sent again.
#[test]
fn a_refused_delivery_uses_up_no_work() {
    let relay = relay(|rules| {
        rules.work = WorkPrice { fetch: 0, deliver: 8 };
        rules.rates = Rates { deliveries: Rate { burst: 1, every_ms: 1_000 }, ..Rates::unlimited() };
    });
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let mut stranger = link(&relay, LinkKind::Anonymous);
    let mut deliver = |now, id, counter| {
        let body = encode(&Request::Deliver { token: None, envelope: envelope(&bob, id, SMALL) }).unwrap();
        let channel = sealpost_crypto::work::Channel { relay: relay.public_key(), exporter: &[9; 32] };
        let work = sealpost_crypto::work::solve(channel, counter, &body, 8);
        ready(relay.handle(now, &mut stranger, Some(work), &body)).unwrap().map(|_| ())
    };
    assert_eq!(deliver(NOW, 1, 1), Ok(()));
    assert!(matches!(deliver(NOW, 2, 2), Err(Refusal::TooFast { .. })));
    assert_eq!(deliver(NOW + 1_000, 2, 2), Ok(()));
}

/// [BOX-10] a box has one of three sizes.
#[test]
fn a_box_has_one_of_three_sizes() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    for size in [6, 16, 60] {
        assert!(deliver_at(&relay, NOW, envelope(&bob, size, usize::from(size) * 1024)).is_ok());
    }
    for size in [0, 1, SMALL - 1, SMALL + 1, 59 * 1024] {
        assert_eq!(deliver_at(&relay, NOW, envelope(&bob, 7, size)), Err(Refusal::Malformed), "{size}");
    }
    let large = deliver_at(&relay, NOW, envelope(&bob, 7, 61 * 1024));
    assert_eq!(large, Err(Refusal::TooLarge { limit: 61_440 }));
    let nobody = Person::new("nobody", 21);
    assert_eq!(deliver_at(&relay, NOW, envelope(&nobody, 1, SMALL)), Err(Refusal::NoSuchMailbox));
}

/// [RELAY-8] an anonymous link serves one account: nothing ties a sender's contacts together.
#[test]
fn an_anonymous_link_serves_one_account() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    alice.register(&relay);
    bob.register(&relay);
    let to = |person: &Person| {
        let envelope = envelope(person, 1, SMALL);
        let (bundle, devices) = (Request::FetchBundle(person.name.clone()), Request::FetchDevices(person.name.clone()));
        [bundle, devices, Request::Deliver { token: None, envelope }]
    };
    for first in to(&alice) {
        let mut stranger = link(&relay, LinkKind::Anonymous);
        assert!(ask(&relay, &mut stranger, first).is_ok());
        for request in to(&alice) {
            assert!(ask(&relay, &mut stranger, request).is_ok());
        }
        for request in to(&bob) {
            assert_eq!(ask(&relay, &mut stranger, request), Err(Refusal::WrongLink));
        }
    }
}

/// [RELAY-8] what is refused fixes no account; once one is served, nothing is said of any other name, not even whether it is
/// there.
#[test]
fn a_refusal_fixes_no_account() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let nobody = Person::new("nobody", 20);
    for fetch in [Request::FetchBundle, Request::FetchDevices] {
        let mut stranger = link(&relay, LinkKind::Anonymous);
        assert_eq!(ask(&relay, &mut stranger, fetch(nobody.name.clone())), Err(Refusal::NoSuchName));
        assert!(ask(&relay, &mut stranger, fetch(alice.name.clone())).is_ok());
        assert_eq!(ask(&relay, &mut stranger, fetch(nobody.name.clone())), Err(Refusal::WrongLink));
    }
}

/// [RELAY-12] a mailbox that goes while something is delivered to it takes that along, and its sender is told: nothing stays
/// that nobody would ever fetch.
#[test]
fn a_mailbox_takes_what_is_under_way_along() {
    let relay = relay(|_| {});
    relay.store().hold();
    let mut bob = Person::new("bob", 20);
    let (caller, _) = bob.register(&relay);
    let mut stranger = link(&relay, LinkKind::Anonymous);
    let body = encode(&Request::Deliver { token: None, envelope: envelope(&bob, 1, SMALL) }).unwrap();
    let mut held = Box::pin(relay.handle(NOW, &mut stranger, None, &body));
    assert_eq!(ready(held.as_mut()), None);
    ready(relay.operate(NOW, Command::Release { name: bob.name.clone() })).unwrap().unwrap();
    assert_eq!(ready(held), Some(Err(Refusal::NoSuchMailbox)));
    drop(caller);
    // One that knew the mailbox before it went, and comes into its log afterwards.
    let log = Log { kind: "mailbox", key: bob.mailbox().0.to_vec() };
    let late = Append { log: log.clone(), id: [2; 16], bytes: vec![0; SMALL] };
    let Ok(Written::Appended(seq)) = ready(relay.store().offer(late)).unwrap() else { panic!("it comes") };
    assert!(ready(relay.stays(&bob.mailbox(), seq)).unwrap().is_err());
    assert_eq!(ready(relay.store().usage(&log)).unwrap().unwrap().count, 0);
}

/// [RELAY-15] deliveries are limited by address.
#[test]
fn deliveries_are_limited() {
    let relay = relay(|rules| rules.rates.deliveries = crate::quota::Rate { burst: 2, every_ms: 500 });
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let deliver = |now, id| deliver_at(&relay, now, envelope(&bob, id, SMALL)).map(|_| ());
    assert_eq!((deliver(NOW, 1), deliver(NOW, 2)), (Ok(()), Ok(())));
    assert_eq!(deliver(NOW, 3), Err(Refusal::TooFast { retry_after_ms: 500 }));
    assert_eq!(deliver(NOW + 500, 3), Ok(()));
}
