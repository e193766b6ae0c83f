//! What any network may do to a conversation.
use proptest::prelude::*;

use super::*;

/// Every order of every choice of these.
fn arrangements(of: &[usize]) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new()];
    for (place, first) in of.iter().enumerate() {
        let rest = [&of[..place], &of[place + 1..]].concat();
        found.extend(arrangements(&rest).into_iter().map(|rest| [&[*first][..], &rest].concat()));
    }
    found
}

/// [MSG-13] five messages, three late ones of one chain and two of the next, in every order and with every loss, each of them
/// twice: what arrives is read once, in both directions.
#[test]
fn every_order_and_every_loss_is_survived() {
    let rng = &mut dice(30);
    let (a, b) = established(rng);
    for (from, to) in [(&a, &b), (&b, &a)] {
        // The recipient sees the first of four, and answers; the sender goes on in a new chain.
        let (from, old) = sent(from, 4, rng);
        let (to, _) = to.decrypt(&old[0]).unwrap();
        let (to, answer) = to.encrypt(b"turn", rng).unwrap();
        let (_, new) = sent(&from.decrypt(&answer).unwrap().0, 2, rng);
        let messages = [&old[1..], &new].concat();
        let all = arrangements(&[0, 1, 2, 3, 4]);
        assert_eq!(all.len(), 326);
        for order in all {
            let mut to = reopened(&to);
            for place in &order {
                let (next, plaintext) = text(to.decrypt(&messages[*place]));
                assert_eq!(plaintext, ["1", "2", "3", "0", "1"][*place], "{order:?}");
                assert_eq!(next.decrypt(&messages[*place]).unwrap_err(), Refused, "{order:?}");
                to = next;
            }
        }
    }
}

/// A skipped key is wiped with its use, and no other one.
#[test]
fn a_skipped_key_is_used_once() {
    let rng = &mut dice(23);
    let (a, b) = established(rng);
    let (_, messages) = sent(&a, 4, rng);
    let (b, _) = b.decrypt(&messages[3]).unwrap();
    let key = b.ratchet.skipped[1].key.expose().to_vec();
    let holds = |session: &Session| state(session).windows(32).any(|bytes| bytes == key);
    assert!(holds(&b) && b.ratchet.skipped.len() == 3);
    let (b, _) = b.decrypt(&messages[1]).unwrap();
    assert!(!holds(&b) && b.ratchet.skipped.len() == 2);
    assert_eq!(b.decrypt(&messages[1]).unwrap_err(), Refused);
    assert!(b.decrypt(&messages[0]).is_ok() && b.decrypt(&messages[2]).is_ok());
}

/// A session that lost only receives: late messages of the old and of one new chain still open.
#[test]
fn a_session_that_only_receives_still_reads() {
    let rng = &mut dice(18);
    let (a, b) = established(rng);
    let (a, late) = a.encrypt(b"late", rng).unwrap();
    let (b, question) = b.encrypt(b"question", rng).unwrap();
    let (a, _) = a.decrypt(&question).unwrap();
    let (_, answers) = sent(&a, 2, rng);
    let b = reopened(&b.receiving_only());
    assert!(b.only_receives());
    assert_eq!(b.encrypt(b"no", rng).unwrap_err(), Refused);
    let (b, plaintext) = text(b.decrypt(&late));
    assert_eq!(plaintext, "late");
    let (b, plaintext) = text(b.decrypt(&answers[1]));
    assert_eq!(plaintext, "1");
    assert_eq!(b.ratchet.root.expose(), &[0; 32]);
    assert_eq!(text(reopened(&b).decrypt(&answers[0])).1, "0");
}

/// What a walk does next: `true` is Alice's side.
#[derive(Clone, Debug)]
enum Act {
    Send(bool),
    /// Delivers one of the waiting messages, by its place among them; `true` keeps it waiting, so that it comes again.
    Deliver(bool, prop::sample::Index, bool),
    Lose(bool, prop::sample::Index),
    Reopen(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<bool>().prop_map(Act::Send),
        5 => (any::<bool>(), any::<prop::sample::Index>(), prop::bool::weighted(0.2))
            .prop_map(|(side, place, again)| Act::Deliver(side, place, again)),
        1 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(side, place)| Act::Lose(side, place)),
        1 => any::<bool>().prop_map(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// [MSG-13] in any order, with any loss and repetition, in both directions over many turns: each message is decrypted
    /// once, a repetition is refused and changes nothing, and what is left at the end still opens.
    #[test]
    fn a_pair_survives_any_network(seed: u64, acts in prop::collection::vec(act(), 1..80)) {
        let rng = &mut dice(seed);
        let (alice, bob) = couple();
        let mut sides = [Some(alice.initiate(&bob, rng)), None];
        let mut waiting: [Vec<(Vec<u8>, u32)>; 2] = [Vec::new(), Vec::new()];
        let mut read = [std::collections::HashSet::new(), std::collections::HashSet::new()];
        let mut counter = 0_u32;
        let deliver = |sides: &mut [Option<Session>; 2], read: &mut [std::collections::HashSet<u32>; 2], to: usize, message: &[u8], number: u32| {
            let before = sides[to].as_ref().map(state);
            let result = match &sides[to] {
                Some(session) => session.decrypt(message),
                None => bob.accept(&alice, message),
            };
            match result {
                Ok((next, plaintext)) => {
                    assert!(read[to].insert(number), "read twice");
                    assert_eq!(plaintext.as_slice(), number.to_le_bytes());
                    sides[to] = Some(next);
                }
                Err(Refused) => {
                    assert!(read[to].contains(&number), "lost");
                    assert_eq!(sides[to].as_ref().map(state), before);
                }
            }
        };
        for act in acts {
            match act {
                Act::Send(alices) => {
                    let from = usize::from(!alices);
                    if let Some(session) = &sides[from] {
                        counter += 1;
                        let (next, message) = session.encrypt(&counter.to_le_bytes(), rng).unwrap();
                        sides[from] = Some(next);
                        waiting[1 - from].push((message, counter));
                    }
                }
                Act::Deliver(alices, place, again) => {
                    let to = usize::from(!alices);
                    if !waiting[to].is_empty() {
                        let place = place.index(waiting[to].len());
                        let (message, number) = waiting[to][place].clone();
                        deliver(&mut sides, &mut read, to, &message, number);
                        if !again {
                            waiting[to].swap_remove(place);
                        }
                    }
                }
                Act::Lose(alices, place) => {
                    let to = usize::from(!alices);
                    if !waiting[to].is_empty() {
                        let place = place.index(waiting[to].len());
                        waiting[to].swap_remove(place);
                    }
                }
                Act::Reopen(alices) => {
                    let side = usize::from(!alices);
                    sides[side] = sides[side].as_ref().map(reopened);
                }
            }
        }
        for to in [0, 1] {
            for (message, number) in std::mem::take(&mut waiting[to]) {
                deliver(&mut sides, &mut read, to, &message, number);
            }
        }
    }
}
