use super::*;
use crate::admin::{Command, Record, Trouble};
use crate::store::CrashPoints;

fn operate(relay: &Relay<Memory>, text: Option<&str>, withdraw: bool) -> Result<String, Trouble> {
    let command = Command::Notice { text: text.map(|text| text.parse().unwrap()), withdraw };
    let records = ready(relay.operate(NOW, command)).expect("nothing waits over a store in memory")?;
    match records.as_slice() {
        [Record::Done { text }] => Ok(text.clone()),
        other => panic!("something done, not {other:?}"),
    }
}

/// The texts of all notices that are due on this link.
fn told(relay: &Relay<Memory>, caller: &mut Caller) -> Vec<String> {
    let text = |push| match push {
        Push::Notice(notice) => notice.text,
        other => panic!("a notice, not {other:?}"),
    };
    pushes(relay, caller).into_iter().map(text).collect()
}

/// [RELAY-21] a notice comes once to who is logged in and once at each login, over a restart too, and to nobody once it
/// was replaced or withdrawn.
#[test]
fn a_notice_stands_until_it_is_withdrawn() {
    let before = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let (mut a, _) = alice.register(&before);
    let mut stranger = link(&before, LinkKind::Authenticated);
    assert!(told(&before, &mut a).is_empty());
    operate(&before, Some("back at 9"), false).unwrap();
    assert_eq!(told(&before, &mut a), ["back at 9"]);
    assert!(told(&before, &mut a).is_empty() && told(&before, &mut stranger).is_empty());
    let (mut b, _) = bob.register(&before);
    assert_eq!(told(&before, &mut b), ["back at 9"]);
    operate(&before, Some("back at 10"), false).unwrap();
    assert_eq!((told(&before, &mut a), told(&before, &mut b)), (vec!["back at 10".into()], vec!["back at 10".into()]));
    assert_eq!(operate(&before, None, false).unwrap(), "for 0 s: back at 10");

    let after = over(before.store().reopen(CrashPoints::none()), |_| {});
    let mut a = alice.enter(&after, 2);
    operate(&after, None, true).unwrap();
    assert!(told(&after, &mut a).is_empty(), "withdrawn before it was written");
    assert!(told(&after, &mut bob.enter(&after, 2)).is_empty());
    assert_eq!(operate(&after, None, false).unwrap(), "no notice stands");
    assert!(operate(&after, None, true).unwrap_err().cause.contains("no notice stands"));
    assert_eq!(operate(&after, Some(" "), false).unwrap_err().exit, 2);
}

/// [RELAY-21] after a login and a restart the notice comes first, then the mailbox.
#[test]
fn a_notice_comes_before_the_mailbox() {
    let before = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    bob.register(&before);
    operate(&before, Some("back at 9"), false).unwrap();
    let after = over(before.store().reopen(CrashPoints::none()), |_| {});
    let mut stranger = link(&after, LinkKind::Anonymous);
    let envelope = Envelope { mailbox: bob.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
    assert!(ask(&after, &mut stranger, Request::Deliver { token: None, envelope }).is_ok());
    let mut b = bob.enter(&after, 2);
    let both = pushes(&after, &mut b);
    assert!(matches!(both.as_slice(), [Push::Notice(_), Push::Envelope { .. }]), "{both:?}");
}

/// [RELAY-21] whatever an operator may write fits a notice: its length has a bound in bytes.
#[test]
fn the_longest_words_fit_a_notice() {
    let relay = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    let (mut b, _) = bob.register(&relay);
    operate(&relay, Some(&"🕘".repeat(500)), false).unwrap();
    assert_eq!(told(&relay, &mut b).concat().len(), MAX_NOTICE);
}
