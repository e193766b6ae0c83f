use sealpost_crypto::identity::verify_receipt;
use sealpost_spec::attachment::{BlobId, PART};
use sealpost_spec::wire::Signature;

use super::*;

fn try_register(relay: &Relay<Memory>, person: &mut Person, receipt: Option<&Signed>) -> Result<Signed, Refusal> {
    let mut caller = link(relay, LinkKind::Authenticated);
    let registration = Registration { receipt: receipt.cloned(), ..person.registration(relay, &caller) };
    match ask(relay, &mut caller, Request::Register(registration))? {
        Answer::Registered { receipt, .. } => Ok(receipt),
        other => panic!("registered, not {other:?}"),
    }
}

/// [ACCT-19] who unregisters takes all with them but their posts, and frees the name: the old receipt is worth nothing, and
/// the next holder's counts for more.
#[test]
fn an_account_leaves_with_all_that_is_its() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, receipt) = alice.register(&relay);
    let post = alice.says(&relay, "lobby", PostKind::Join, b"", None);
    assert!(ask(&relay, &mut caller, Request::Post(post)).is_ok());
    let envelope = Envelope { mailbox: alice.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
    let deliver = || Request::Deliver { token: None, envelope: envelope.clone() };
    assert!(ask(&relay, &mut link(&relay, LinkKind::Anonymous), deliver()).is_ok());
    let (recipient, token) = (alice.name.clone(), Some(alice.token));
    let (blob, bytes) = (BlobId([2; 16]), Bytes(vec![0; PART]));
    let upload = Request::PutBlob { recipient, token, blob, parts: 1, part: 0, bytes };
    assert_eq!(ask(&relay, &mut link(&relay, LinkKind::Anonymous), upload), Ok(Answer::Stored { parts: 1 }));

    let leave = alice.leave(&relay, &caller);
    assert_eq!(ask(&relay, &mut caller, leave), Ok(Answer::Done));
    assert_eq!(caller.ended(), None, "the answer still has to go out");
    assert!(pushes(&relay, &mut caller).is_empty());
    assert_eq!(ask(&relay, &mut caller, Request::SetToken(token_hash(&alice.token))), Err(Refusal::WrongLink));

    let anonymously = |request| ask(&relay, &mut link(&relay, LinkKind::Anonymous), request);
    assert_eq!(anonymously(Request::FetchBundle(alice.name.clone())), Err(Refusal::NoSuchName));
    assert_eq!(anonymously(Request::FetchDevices(alice.name.clone())), Err(Refusal::NoSuchName));
    assert_eq!(anonymously(deliver()), Err(Refusal::NoSuchMailbox));
    assert_eq!(anonymously(Request::FetchBlob { blob, part: 0 }), Err(Refusal::NoSuchBlob));
    assert_eq!(relay.room.total(), (0, 0), "the room that the file took");
    let mut again = link(&relay, LinkKind::Authenticated);
    let login = Request::Login(alice.login(&relay, &again, 2));
    assert_eq!(ask(&relay, &mut again, login), Err(Refusal::NoSuchName));
    assert_eq!(
        try_register(&relay, &mut alice, Some(&receipt)),
        Err(Refusal::NameTaken),
        "the receipt is worth nothing"
    );

    let mut next = Person::new("alice", 11);
    let after = try_register(&relay, &mut next, None).unwrap();
    let generation = |receipt| verify_receipt(receipt, relay.public_key()).unwrap().generation;
    assert_eq!((generation(&receipt), generation(&after)), (0, 1));
    let mut reader = next.enter(&relay, 2);
    assert!(pushes(&relay, &mut reader).is_empty(), "the mailbox went, too");
    let members = ask(&relay, &mut reader, Request::Members { room: RoomName::lobby(), after: None });
    assert_eq!(members, Ok(Answer::Members(Vec::new())));
    let follow = Request::Follow { room: RoomName::lobby(), after: Seq(0) };
    assert_eq!(ask(&relay, &mut reader, follow), Ok(Answer::Done));
    assert_eq!(pushes(&relay, &mut reader).len(), 1, "the post stays");
}

/// [ACCT-19] nobody else's account goes, and a link that was replaced has no say.
#[test]
fn only_who_is_logged_in_leaves() {
    let relay = relay(|_| {});
    let (_bob, _) = Person::new("bob", 20).register(&relay);
    let mut alice = Person::new("alice", 10);
    let (mut old, _) = alice.register(&relay);
    let _new = alice.enter(&relay, 2);
    let leave = alice.leave(&relay, &old);
    assert_eq!(ask(&relay, &mut old, leave.clone()), Err(Refusal::Replaced));
    for kind in [LinkKind::Authenticated, LinkKind::Anonymous] {
        assert_eq!(ask(&relay, &mut link(&relay, kind), leave.clone()), Err(Refusal::WrongLink));
    }
    for name in ["alice", "bob"] {
        let devices = Request::FetchDevices(name.parse().unwrap());
        assert!(ask(&relay, &mut link(&relay, LinkKind::Anonymous), devices).is_ok(), "{name} is still there");
    }
}

/// [ACCT-19] [THREAT-28] whoever is logged in without the account's key ends nothing; nor does what the account has signed for
/// another link, relay or name.
#[test]
fn only_the_account_key_ends_an_account() {
    let here = relay(|_| {});
    let (alice, first, second, mut other) = super::devices::both(&here);
    let name: Name = "alicia".parse().unwrap();
    let (channel, challenge) = (other.peer.channel, other.challenge);
    let proof = LeaveProof { relay: here.public_key(), channel: &channel, challenge: &challenge, name: &alice.name };
    let mallory = Person::new("alice", 99);
    let bent = [
        alice.account.sign_leave(&LeaveProof { relay: &[1; 32], ..proof.clone() }),
        alice.account.sign_leave(&LeaveProof { channel: &[1; 32], ..proof.clone() }),
        alice.account.sign_leave(&LeaveProof { challenge: &first.challenge, ..proof.clone() }),
        alice.account.sign_leave(&LeaveProof { name: &name, ..proof.clone() }),
        mallory.account.sign_leave(&proof),
        second.login(&here, &other, 1).signature,
        Signature([0; 64]),
    ];
    let before = here.store().contents();
    for signature in bent {
        let answer = ask(&here, &mut other, Request::Unregister { signature });
        assert_eq!(answer, Err(Refusal::BadSignature));
    }
    assert!(here.store().contents() == before);
    let signature = alice.account.sign_leave(&proof);
    assert_eq!(ask(&here, &mut other, Request::Unregister { signature }), Ok(Answer::Done));
    assert!(matches!(first.ended(), Some(Refusal::Kicked { .. })), "{:?}", first.ended());
}
