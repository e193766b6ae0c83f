use super::*;
use crate::admin::{self, Command, Digits, Record, Trouble, Words};
use crate::store::{CrashPoint, CrashPoints};

fn operate_at(relay: &Relay<Memory>, now: u64, command: Command) -> Result<Vec<Record>, Trouble> {
    ready(relay.operate(now, command)).expect("nothing waits over a store in memory")
}

fn operate(relay: &Relay<Memory>, command: Command) -> Result<Vec<Record>, Trouble> {
    operate_at(relay, NOW, command)
}

fn words(text: &str) -> Words {
    text.parse().unwrap()
}

fn ban(name: &str) -> Command {
    Command::Ban { name: name.parse().unwrap(), reason: words("spam") }
}

fn banned<T>() -> Result<T, Refusal> {
    Err(Refusal::Banned { reason: "spam".to_owned() })
}

/// Registers on a new link, with an invite or receipt.
fn attempt(
    relay: &Relay<Memory>,
    now: u64,
    person: &mut Person,
    invite: Option<&str>,
    receipt: Option<&Signed>,
) -> Result<Signed, Refusal> {
    let mut caller = link(relay, LinkKind::Authenticated);
    let (invite, receipt) = (invite.map(str::to_owned), receipt.cloned());
    let registration = Registration { invite, receipt, ..person.registration(relay, &caller) };
    match ask_at(relay, now, &mut caller, Request::Register(registration))? {
        Answer::Registered { receipt, .. } => Ok(receipt),
        other => panic!("registered, not {other:?}"),
    }
}

/// [RELAY-18] a ban ends the links, and stops login, posts and registrations, under another name too, and after a
/// restart; it is lifted by name. What others deliver goes on.
#[test]
fn a_ban_keeps_an_account_out() {
    let before = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    let (mut b, _) = bob.register(&before);
    let joins = bob.says(&before, "lobby", PostKind::Join, b"", None);
    assert!(ask(&before, &mut b, Request::Post(joins)).is_ok());
    operate(&before, ban("bob")).unwrap();
    assert_eq!(b.ended(), banned::<()>().err());
    let text = bob.says(&before, "lobby", PostKind::Text, b"hi", None);
    assert_eq!(ask(&before, &mut b, Request::Post(text)), banned());

    let after = over(before.store().reopen(CrashPoints::none()), |_| {});
    let mut caller = link(&after, LinkKind::Authenticated);
    let login = bob.login(&after, &caller, 2);
    assert_eq!(ask(&after, &mut caller, Request::Login(login)), banned());
    assert_eq!(attempt(&after, NOW, &mut bob, None, None), banned());
    let mut robert = Person::new("robert", 20);
    assert_eq!(attempt(&after, NOW, &mut robert, None, None), banned(), "the same key under another name");
    let mut stranger = link(&after, LinkKind::Anonymous);
    let envelope = Envelope { mailbox: bob.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
    assert!(ask(&after, &mut stranger, Request::Deliver { token: None, envelope }).is_ok());

    let bans = operate(&after, Command::Bans { after: None }).unwrap();
    let [Record::Banned(ban)] = bans.as_slice() else { panic!("{bans:?}") };
    assert_eq!((ban.name.as_str(), ban.reason.as_str()), ("bob", "spam"));
    let unban = || operate(&after, Command::Unban { name: bob.name.clone() });
    assert!(unban().is_ok());
    bob.enter(&after, 3);
    assert!(unban().unwrap_err().error.contains("bob is not banned"));
}

/// [RELAY-18] a login that was made before the ban is refused after it, and the list of accounts says why.
#[test]
fn a_login_from_before_a_ban_is_refused() {
    let relay = relay(|_| {});
    let bob = {
        let mut bob = Person::new("bob", 20);
        bob.register(&relay);
        bob
    };
    let mut caller = link(&relay, LinkKind::Authenticated);
    let login = Request::Login(bob.login(&relay, &caller, 2));
    operate(&relay, ban("bob")).unwrap();
    assert_eq!(ask(&relay, &mut caller, login), banned());
    assert!(operate(&relay, Command::Users { after: None }).unwrap().iter().all(|record| match record {
        Record::User(user) => user.banned && !user.online,
        _ => false,
    }));
}

/// [ACCT-18] [ACCT-10] a released name is the next one's, with a higher generation; the receipt of who had it is worth
/// nothing, neither before the next one has come nor after, nor at a relay that lost its store.
#[test]
fn a_released_name_is_free() {
    let here = relay(|_| {});
    let mut lost = Person::new("alice", 10);
    let (mut old, before) = lost.register(&here);
    let joins = lost.says(&here, "lobby", PostKind::Join, b"", None);
    assert!(ask(&here, &mut old, Request::Post(joins)).is_ok());
    let mut stranger = link(&here, LinkKind::Anonymous);
    let envelope = Envelope { mailbox: lost.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
    assert!(ask(&here, &mut stranger, Request::Deliver { token: None, envelope: envelope.clone() }).is_ok());

    operate(&here, Command::Release { name: lost.name.clone() }).unwrap();
    assert!(matches!(old.ended(), Some(Refusal::Kicked { reason }) if reason.contains("released")));
    let mut stranger = link(&here, LinkKind::Anonymous);
    let refused = ask(&here, &mut stranger, Request::Deliver { token: None, envelope });
    assert_eq!(refused, Err(Refusal::NoSuchMailbox));
    assert_eq!(attempt(&here, NOW, &mut lost, None, Some(&before)), Err(Refusal::NameTaken), "nobody has it yet");

    let mut found = Person::new("alice", 11);
    let after = attempt(&here, NOW + 1, &mut found, None, None).unwrap();
    let read = |receipt: &Signed| NameReceipt::parse(&receipt.body.0).unwrap();
    assert_eq!((read(&before).generation, read(&after).generation), (0, 1));
    assert!(read(&after).outranks(&read(&before)));
    assert_eq!(attempt(&here, NOW, &mut lost, None, Some(&before)), Err(Refusal::NameTaken));
    let mut reader = link(&here, LinkKind::Authenticated);
    let login = Request::Login(found.login(&here, &reader, 2));
    assert!(ask(&here, &mut reader, login).is_ok());
    let members = ask(&here, &mut reader, Request::Members { room: RoomName::lobby(), after: None });
    assert_eq!(members, Ok(Answer::Members(Vec::new())), "memberships went with the account");

    let anew = over(Memory::new([8; 16]), |_| {});
    attempt(&anew, NOW, &mut lost, None, Some(&before)).unwrap();
    attempt(&anew, NOW, &mut found, None, Some(&after)).unwrap();
    operate(&here, Command::Release { name: found.name.clone() }).unwrap();
    let third = attempt(&here, NOW, &mut Person::new("alice", 12), None, None).unwrap();
    assert_eq!(read(&third).generation, 2);
    assert!(operate(&here, Command::Release { name: "nobody".parse().unwrap() }).is_err());
}

/// A relay that asks for invites, and one of them.
fn invited(uses: u32) -> (Relay<Memory>, admin::Invite) {
    let relay = relay(|rules| rules.registering = Registering::Invite);
    let invite = invite(&relay, uses);
    (relay, invite)
}

fn invite(relay: &Relay<Memory>, uses: u32) -> admin::Invite {
    let records = operate(relay, Command::Invite { uses, expire_s: 3600, label: words("for the choir") });
    match records.unwrap().into_iter().next() {
        Some(Record::Invite(invite)) => invite,
        other => panic!("an invite, not {other:?}"),
    }
}

fn invites(relay: &Relay<Memory>) -> Vec<(String, u32)> {
    let records = operate(relay, Command::Invites { after: None }).unwrap();
    let read = |record| match record {
        Record::Invite(admin::Invite { label, left, token: None, link: None, .. }) => (label, left),
        other => panic!("an invite without its token, not {other:?}"),
    };
    records.into_iter().map(read).collect()
}

/// [ACCT-17] an invite lets in as many as it has uses and no more; what was refused used none; who registers again under
/// their own name needs none, and neither does a receipt. The store has no token.
#[test]
fn an_invite_is_used_up() {
    let (relay, invite) = invited(2);
    let token = invite.token.as_deref();
    let mut alice = Person::new("alice", 10);
    let receipt = attempt(&relay, NOW, &mut alice, token, None).unwrap();
    assert_eq!(attempt(&relay, NOW, &mut Person::new("a1ice", 66), token, None), Err(Refusal::NameTaken));
    assert!(attempt(&relay, NOW, &mut alice, None, None).is_ok());
    assert!(attempt(&relay, NOW, &mut alice, None, Some(&receipt)).is_ok());
    assert_eq!(invites(&relay), [("for the choir".to_owned(), 1)]);
    assert!(attempt(&relay, NOW, &mut Person::new("bob", 20), token, None).is_ok());
    for token in [token, None, Some(""), Some("nonsense"), Some("aaaaaaaaaaaaaaaaaaaaaaaaaa")] {
        let refused = attempt(&relay, NOW, &mut Person::new("carol", 30), token, None);
        assert_eq!(refused, Err(Refusal::InviteNeeded), "{token:?}");
    }
    let same_key = attempt(&relay, NOW, &mut Person::new("bobby", 20), token, None);
    assert_eq!(same_key, Err(Refusal::InviteNeeded), "another name under the key that used it last");
    let token = token.unwrap();
    let bare: InviteToken = token.parse().unwrap();
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let contents = relay.store().contents();
    assert!(!contents.iter().any(|bytes| holds(bytes, token.as_bytes()) || holds(bytes, &bare.0)));
}

/// [ACCT-17] by the relay's clock an invite ends, and by its operator's word; both are forgotten.
#[test]
fn an_invite_ends() {
    let (relay, first) = invited(5);
    let later = NOW + 3_600_000;
    assert!(attempt(&relay, later - 1, &mut Person::new("alice", 10), first.token.as_deref(), None).is_ok());
    let late = attempt(&relay, later, &mut Person::new("bob", 20), first.token.as_deref(), None);
    assert_eq!(late, Err(Refusal::InviteNeeded));
    let second = invite(&relay, 1);
    let start: Digits = second.id.as_str()[..8].parse().unwrap();
    operate(&relay, Command::Withdraw { invite: start.clone() }).unwrap();
    assert!(operate(&relay, Command::Withdraw { invite: start }).unwrap_err().error.contains("no invite"));
    let withdrawn = attempt(&relay, NOW, &mut Person::new("bob", 20), second.token.as_deref(), None);
    assert_eq!(withdrawn, Err(Refusal::InviteNeeded));
    ready(relay.sweep(later)).unwrap().unwrap();
    assert_eq!(invites(&relay), []);
}

/// [ACCT-17] a relay that is killed at any point of a registration has used the invite once at most, and the newcomer
/// comes in with it by asking again.
#[test]
fn a_crash_uses_an_invite_once() {
    for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
        let (relay, invite) = invited(1);
        let mut alice = Person::new("alice", 10);
        let crashing = over(relay.store().reopen(CrashPoints::at(point, 1)), |rules| {
            rules.registering = Registering::Invite;
        });
        let lost = attempt(&crashing, NOW, &mut alice, invite.token.as_deref(), None);
        assert!(matches!(lost, Err(Refusal::Internal { .. })), "{lost:?}");
        let again = over(crashing.store().reopen(CrashPoints::none()), |rules| {
            rules.registering = Registering::Invite;
        });
        assert!(attempt(&again, NOW, &mut alice, invite.token.as_deref(), None).is_ok(), "{point:?}");
        let other = attempt(&again, NOW, &mut Person::new("bob", 20), invite.token.as_deref(), None);
        assert_eq!(other, Err(Refusal::InviteNeeded), "{point:?}");
    }
}

/// Numbers that make no sense are refused with the command that does.
#[test]
fn an_invite_has_bounds() {
    let relay = relay(|_| {});
    for (uses, expire_s) in [(0, 60), (10_001, 60), (1, 0), (1, u64::MAX)] {
        let refused = operate(&relay, Command::Invite { uses, expire_s, label: Words::default() }).unwrap_err();
        assert!(refused.exit == 2 && refused.advice.contains("--uses 1 --expire 7d"), "{refused:?}");
    }
    let records = operate(&relay, Command::Invite { uses: 1, expire_s: 60, label: Words::default() }).unwrap();
    assert!(matches!(&records[1], Record::Done { text } if text.contains("--register invite")), "{records:?}");
}
