use super::*;
use crate::admin::{self, Command, Digits, Record, RoomRecord, Trouble, Words};
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
    let unban = || operate(&after, Command::Unban { name: bob.name.clone(), account: None });
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

/// [ACCT-17] a use is a use: whoever was let in by it and has lost the name since needs another one.
#[test]
fn a_released_name_needs_another_invite() {
    let (relay, invite) = invited(1);
    let mut alice = Person::new("alice", 10);
    assert!(attempt(&relay, NOW, &mut alice, invite.token.as_deref(), None).is_ok());
    operate(&relay, Command::Release { name: alice.name.clone() }).unwrap();
    let again = attempt(&relay, NOW, &mut alice, invite.token.as_deref(), None);
    assert_eq!(again, Err(Refusal::InviteNeeded));
}

/// Two who were banned under one name, one after the other, are told apart by their keys.
#[test]
fn bans_under_one_name_are_told_apart() {
    let relay = relay(|_| {});
    let bob = "bob".parse::<sealpost_spec::account::Name>().unwrap();
    for seed in [20, 21] {
        Person::new("bob", seed).register(&relay);
        operate(&relay, ban("bob")).unwrap();
        operate(&relay, Command::Release { name: bob.clone() }).unwrap();
    }
    let unban = |account| operate(&relay, Command::Unban { name: bob.clone(), account });
    assert!(unban(None).unwrap_err().error.contains("2 accounts"));
    let bans = operate(&relay, Command::Bans { after: None }).unwrap();
    let [Record::Banned(first), Record::Banned(second)] = bans.as_slice() else { panic!("{bans:?}") };
    unban(Some(second.account.as_str()[..12].parse().unwrap())).unwrap();
    let left = operate(&relay, Command::Bans { after: None }).unwrap();
    assert!(matches!(left.as_slice(), [Record::Banned(left)] if left.account.as_str() == first.account.as_str()));
    assert!(unban(None).is_ok());
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

fn follow(relay: &Relay<Memory>, caller: &mut Caller, after: u64) -> Vec<(Seq, Post)> {
    let request = Request::Follow { room: RoomName::lobby(), after: Seq(after) };
    assert_eq!(ask(relay, caller, request), Ok(Answer::Done));
    posts(relay, caller)
}

fn posts(relay: &Relay<Memory>, caller: &mut Caller) -> Vec<(Seq, Post)> {
    let post = |push| match push {
        Push::Post { seq, post, .. } => (seq, post),
        other => panic!("a post, not {other:?}"),
    };
    pushes(relay, caller).into_iter().map(post).collect()
}

/// Joins the lobby and says these lines there.
fn talk(relay: &Relay<Memory>, person: &mut Person, caller: &mut Caller, lines: &[&str]) -> Vec<Post> {
    let mut said = vec![person.says(relay, "lobby", PostKind::Join, b"", None)];
    said.extend(lines.iter().map(|line| person.says(relay, "lobby", PostKind::Text, line.as_bytes(), None)));
    for post in &said {
        assert!(ask(relay, caller, Request::Post(post.clone())).is_ok());
    }
    said
}

fn id(post: &Post) -> Digits {
    Digits::of(&PostHead::parse(&post.head.body.0).unwrap().id.0)
}

/// [ROOM-6] [ROOM-10] a body that the operator removes is gone from the store, from who follows the room, from who comes
/// back to it and from newcomers; its head stays, and the author goes on after it.
#[test]
fn a_post_that_the_operator_removes_is_gone_everywhere() {
    let relay = relay(|_| {});
    let (mut alice, mut bob) = (Person::new("alice", 10), Person::new("bob", 20));
    let (mut a, _) = alice.register(&relay);
    let (mut b, _) = bob.register(&relay);
    let said = talk(&relay, &mut alice, &mut a, &["a secret of mine", "and more"]);
    let before = follow(&relay, &mut b, 0);
    assert_eq!(before.len(), 3);
    operate(&relay, Command::DeletePost { post: id(&said[1]) }).unwrap();
    let told = posts(&relay, &mut b);
    let [(seq, told)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&told.head, &told.author, &told.body), (&said[1].head, &said[1].author, &None));
    assert!(*seq > before[2].0);
    assert_eq!(follow(&relay, &mut b, before[2].0.0).len(), 1, "who comes back hears of it");
    let newcomer: Vec<_> = follow(&relay, &mut a, 0).into_iter().map(|(_, post)| post.body).collect();
    assert_eq!(newcomer, [said[0].body.clone(), None, said[2].body.clone(), None]);
    let marker = b"a secret of mine";
    let held = relay.store().contents();
    assert!(!held.iter().any(|bytes| bytes.windows(marker.len()).any(|window| window == marker)));
    let more = alice.says(&relay, "lobby", PostKind::Text, b"on we go", None);
    assert!(ask(&relay, &mut a, Request::Post(more)).is_ok());
    let again = operate(&relay, Command::DeletePost { post: id(&said[1]) }).unwrap_err();
    assert!(again.error.contains("gone already"), "{again:?}");
    let unknown = operate(&relay, Command::DeletePost { post: "0123456789abcdef0123456789abcdef".parse().unwrap() });
    assert!(unknown.unwrap_err().error.contains("no such post"));
    assert_eq!(operate(&relay, Command::DeletePost { post: "0123".parse().unwrap() }).unwrap_err().exit, 2);
}

/// [ROOM-11] a room keeps its newest posts, the older ones go with all that they said, newcomers get what is kept, and
/// its authors go on; an edit of what has gone is taken.
#[test]
fn a_room_keeps_its_newest_posts() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    let said = talk(&relay, &mut alice, &mut a, &["one", "two", "three", "four"]);
    let retention = |posts, age_s| Command::Retention { room: RoomName::lobby(), posts, age_s };
    let done = operate(&relay, retention(Some(2), None)).unwrap();
    assert_eq!(done, [Record::Done { text: "#lobby keeps 2 posts; 3 posts gone".to_owned() }]);
    let kept: Vec<_> = follow(&relay, &mut a, 0).into_iter().map(|(_, post)| post).collect();
    assert_eq!(kept, said[3..]);
    let held = relay.store().contents();
    assert!(!held.iter().any(|bytes| bytes.ends_with(b"two")), "it stands nowhere");
    let edit = alice.says(&relay, "lobby", PostKind::Edit, b"2", Some(&said[2]));
    assert!(ask(&relay, &mut a, Request::Post(edit)).is_ok());
    ready(relay.sweep(NOW)).unwrap().unwrap();
    let rooms = operate(&relay, Command::Rooms { after: None }).unwrap();
    let [Record::Room(RoomRecord { members: 1, posts: 2, keeps_posts: 2, keeps_s: 0, .. })] = rooms.as_slice() else {
        panic!("{rooms:?}");
    };
    for (posts, room) in [(Some(0), "lobby"), (Some(10_000_001), "lobby"), (None, "nowhere")] {
        let command = Command::Retention { room: room.parse().unwrap(), posts, age_s: None };
        assert!(operate(&relay, command).is_err(), "{posts:?} {room}");
    }
}

/// [ROOM-11] posts grow old by their authors' clocks; one from the future keeps nothing behind it, and one from long ago
/// takes nothing before it along.
#[test]
fn posts_grow_old() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    let day = 24 * 3_600_000;
    let mut said = Vec::new();
    for (kind, time) in [
        (PostKind::Join, NOW + 90 * day),
        (PostKind::Text, NOW - 40 * day),
        (PostKind::Text, NOW),
        (PostKind::Text, NOW - 50 * day),
    ] {
        let head = PostHead { time, ..alice.head(&relay, "lobby", kind, b"") };
        let post = alice.signed(&head, b"");
        (alice.number, alice.previous) = (alice.number + 1, post_hash(&post.head.body.0));
        assert!(ask(&relay, &mut a, Request::Post(post.clone())).is_ok());
        said.push(post);
    }
    let month = Command::Retention { room: RoomName::lobby(), posts: None, age_s: Some(30 * 86_400) };
    let done = operate(&relay, month).unwrap();
    assert_eq!(done, [Record::Done { text: "#lobby keeps 10000 posts of the last 30 d 0 h; 2 posts gone".to_owned() }]);
    let kept: Vec<_> = follow(&relay, &mut a, 0).into_iter().map(|(_, post)| post).collect();
    assert_eq!(kept, said[2..]);
    ready(relay.sweep(NOW + 31 * day)).unwrap().unwrap();
    assert_eq!(follow(&relay, &mut a, 0), []);
}

/// [ROOM-11] nobody has to wait for the sweep where a lot is posted.
#[test]
fn a_flood_of_posts_is_let_go() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut a, _) = alice.register(&relay);
    operate(&relay, Command::Retention { room: RoomName::lobby(), posts: Some(10), age_s: None }).unwrap();
    talk(&relay, &mut alice, &mut a, &vec!["again"; 600]);
    let rooms = operate(&relay, Command::Rooms { after: None }).unwrap();
    assert!(matches!(&rooms[0], Record::Room(room) if room.posts < 10 + 256), "{rooms:?}");
}

/// [BOX-4] [BOX-11] the mailboxes of one account may hold less or more than those of others, after a restart too, until
/// they are as everybody's again; strangers fill half.
#[test]
fn a_mailbox_has_a_limit_of_its_own() {
    let before = relay(|_| {});
    let mut bob = Person::new("bob", 20);
    bob.register(&before);
    let command = |envelopes, reset| Command::Mailbox { name: bob.name.clone(), envelopes, bytes: None, reset };
    operate(&before, command(Some(4), false)).unwrap();
    let relay = over(before.store().reopen(CrashPoints::none()), |_| {});
    let deliver = |id: u8, token| {
        let mut link = link(&relay, LinkKind::Anonymous);
        let envelope = Envelope { mailbox: bob.mailbox(), id: EnvelopeId([id; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
        ask(&relay, &mut link, Request::Deliver { token, envelope }).map(drop)
    };
    assert_eq!((deliver(1, None), deliver(2, None)), (Ok(()), Ok(())));
    assert_eq!(deliver(3, None), Err(Refusal::MailboxFull));
    assert_eq!((deliver(3, Some(bob.token)), deliver(4, Some(bob.token))), (Ok(()), Ok(())));
    assert_eq!(deliver(5, Some(bob.token)), Err(Refusal::MailboxFull));
    let shown = operate(&relay, command(None, false)).unwrap();
    assert!(
        matches!(&shown[0], Record::Mailbox(mailbox) if (mailbox.envelopes, mailbox.waiting) == (4, 4)),
        "{shown:?}"
    );
    operate(&relay, command(None, true)).unwrap();
    assert_eq!(deliver(5, None), Ok(()));
    assert_eq!(operate(&relay, command(Some(u64::MAX), false)).unwrap_err().exit, 2);
    let limits = operate(&relay, Command::Limits).unwrap();
    let what = |name: &str| limits.iter().any(|record| matches!(record, Record::Limit(limit) if limit.what == name));
    assert!(
        ["links", "rooms", "bans", "invites", "mailbox.envelopes", "rates.posts"].into_iter().all(what),
        "{limits:?}"
    );
}
