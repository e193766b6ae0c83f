//! One message for a session, or for somebody who has none yet: nothing is read but what was said.

use sealpost_crypto::session::{OwnPrekeys, Session};

use super::key::locker;
use super::people::couple;
use super::script::Script;

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let couple = couple();
    let said = [
        (&couple.first[0], &b"one"[..]),
        (&couple.first[1], b"two"),
        (&couple.exhausted, b"exhausted"),
        (&couple.to_bob, b"not read yet either"),
        (&couple.to_alice, b"not read yet"),
    ];
    let choice = script.byte();
    let message = match usize::from(choice >> 4) {
        chosen if chosen < said.len() => script.bent(said[chosen].0),
        // The shape of a message around any bytes, so that they reach what a header leads to.
        5 => [&[1, script.byte()][..], script.rest()].concat(),
        _ => script.rest().to_vec(),
    };
    let genuine = said.iter().find(|(genuine, _)| **genuine == message);
    let holds = |result: Option<&[u8]>| match (result, genuine) {
        (None, _) => {}
        (Some(plaintext), Some((_, said))) => assert_eq!(plaintext, *said),
        (Some(_), None) => panic!("a message that nobody sent was read"),
    };
    let bob = &couple.bob;
    let accepted = |keys: &OwnPrekeys<'_>| {
        let accepted = Session::accept(&bob.party, &bob.device, keys, &couple.alice.party, &message);
        if let Ok((session, _)) = &accepted {
            assert_eq!(session.peer(), &couple.alice.party);
            assert!(!session.initiated() && session.confirmed());
        }
        holds(accepted.ok().as_ref().map(|(_, plaintext)| plaintext.as_slice()));
    };
    accepted(&bob.keys());
    accepted(&bob.exhausted_keys());
    for session in [&couple.begun, &couple.alices, &couple.bobs] {
        let before = locker().bytes_of(session);
        let read = session.decrypt(&message);
        assert!(locker().bytes_of(session) == before, "a state that changed under whoever borrowed it");
        if let Ok((next, _)) = &read {
            assert!(locker().bytes_of(next) != before, "a message that can be read twice");
            assert!(next.decrypt(&message).is_err(), "a message that was read twice");
        }
        holds(read.ok().as_ref().map(|(_, plaintext)| plaintext.as_slice()));
    }
}
