use std::sync::Arc;

use super::*;
use crate::admin::{Command, Record, Words};
use crate::store::Sqlite;

const NEWCOMERS: u64 = 6;
const USES: u32 = 3;

/// [ACCT-17] of newcomers who come with one invite at the same moment, to a store that writes while it reads, as many
/// get in as it has uses, and the others are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_uses_an_invite_up_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("relay.db")).unwrap();
    let rules = Rules { registering: Registering::Invite, rates: Rates::unlimited(), ..Rules::default() };
    let secret = RelaySecret::generate(&mut StdRng::seed_from_u64(1));
    let relay = Arc::new(Relay::new(store, secret, rules, StdRng::seed_from_u64(2)).await.unwrap());
    let invite = Command::Invite { uses: USES, expire_s: 60, label: Words::default() };
    let records = relay.operate(NOW, invite).await.unwrap();
    let [Record::Invite(invite)] = records.as_slice() else { panic!("{records:?}") };

    let mut crowd = tokio::task::JoinSet::new();
    for newcomer in 0..NEWCOMERS {
        let (relay, token) = (Arc::clone(&relay), invite.token.clone());
        crowd.spawn(async move {
            let mut person = Person::new(&format!("newcomer{newcomer}"), 100 + newcomer);
            let hello = ClientHello { lowest: 1, highest: 1, kind: LinkKind::Authenticated };
            let peer = Peer { address: [127, 0, 0, 1].into(), channel: [9; 32] };
            let mut caller = relay.hello(NOW, &hello, peer).1.unwrap();
            let registration = person.registration_with(&relay, &caller.peer.channel, &caller.challenge);
            let request = Request::Register(Registration { invite: token, ..registration });
            relay.answer(NOW, &mut caller, request).await.map(drop)
        });
    }
    let answers = crowd.join_all().await;
    let refused = answers.iter().filter(|answer| **answer == Err(Refusal::InviteNeeded)).count() as u64;
    let let_in = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    assert_eq!((let_in, refused), (u64::from(USES), NEWCOMERS - u64::from(USES)), "{answers:?}");
    let left = relay.operate(NOW, Command::Invites { after: None }).await.unwrap();
    assert!(matches!(left.as_slice(), [Record::Invite(invite)] if invite.left == 0), "{left:?}");
}
