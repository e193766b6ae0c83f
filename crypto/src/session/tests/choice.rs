//! Which session a message belongs to, and which two devices may have one.
use sealpost_spec::account::Device;

use super::*;

/// A session knows a chain as long as it reads it or keeps a key of it, and no other chain.
#[test]
fn a_chain_is_known_as_long_as_it_has_keys() {
    let rng = &mut dice(50);
    let (a, b) = established(rng);
    let (a, old) = sent(&a, 3, rng);
    let (b, _) = text(b.decrypt(&old[2]));
    let (b, reply) = b.encrypt(b"turn", rng).unwrap();
    let (a, _) = text(a.decrypt(&reply));
    let (_, new) = a.encrypt(b"new", rng).unwrap();
    let (old_chain, new_chain) = (chain_id(&old[0]).unwrap(), chain_id(&new).unwrap());
    assert!(b.has_chain(&old_chain) && !b.has_chain(&new_chain) && b.knows_chain(&new_chain));
    let (b, _) = text(b.decrypt(&new));
    assert!(b.has_chain(&old_chain) && b.has_chain(&new_chain) && !b.has_chain(&[7; 32]));
    assert!(b.knows_chain(&old_chain) && b.knows_chain(&new_chain) && !b.knows_chain(&[7; 32]));
    let (b, _) = text(b.decrypt(&old[0]));
    assert!(b.has_chain(&old_chain));
    let (b, _) = text(b.decrypt(&old[1]));
    assert!(!b.has_chain(&old_chain) && b.has_chain(&new_chain));
}

/// A message with a PQXDH part names its session: one that names another is refused, even with a right tag, which only the
/// peer itself can make.
#[test]
fn a_message_that_names_another_session_is_refused() {
    let (alice, bob) = couple();
    let rng = &mut dice(51);
    let (a, first) = alice.initiate(&bob, rng).encrypt(b"first", rng).unwrap();
    let (b, _) = text(bob.accept(&alice, &first));
    let mut named = |part: &PqxdhPart| a.ratchet.encrypt(&a.facts.associated, Some(part), b"again", rng).unwrap().1;
    let part = a.facts.part.clone();
    let (own, other) = (named(&part), named(&PqxdhPart { signed: PrekeyId(9), ..part.clone() }));
    assert_eq!(b.decrypt(&other).unwrap_err(), Refused);
    assert_eq!(text(b.decrypt(&own)).1, "again");
}

/// A session is named by the hash of its PQXDH part, and a first message by the keys that it names and by the hash of its
/// ephemeral key and KEM ciphertext: what both sides store, and what the recipient looks up before it decrypts.
#[test]
fn a_first_message_is_named_by_its_pqxdh_part() {
    let (alice, bob) = couple();
    let rng = &mut dice(53);
    let (a, message) = alice.initiate(&bob, rng).encrypt(b"first", rng).unwrap();
    let part = &message[2..2 + 1_133];
    let id = SessionId(sha256(&[b"sealpost/1 session id\0", part]));
    assert_eq!((a.id(), session_id(&message)), (id, Ok(Some(id))));
    let named = NamedPrekeys {
        signed: PrekeyId(1),
        one_time: PrekeyId(2),
        kem_role: PrekeyRole::OneTimeKem,
        kem: PrekeyId(3),
        replay: sha256(&[&part[..32], &part[45..]]),
    };
    assert_eq!(named_prekeys(&message), Ok(Some(named)));
    assert_eq!(reopened(&a).id(), id);
    let (b, _) = text(bob.accept(&alice, &message));
    assert_eq!(b.id(), id);
    let (_, reply) = b.encrypt(b"reply", rng).unwrap();
    assert_eq!((session_id(&reply), named_prekeys(&reply)), (Ok(None), Ok(None)));
}

/// [MSG-17] a first message of one's own device to itself is refused on arrival as well, though all keys fit.
#[test]
fn a_message_to_oneself_is_not_accepted() {
    let (alice, bob) = couple();
    let rng = &mut dice(54);
    let first = |to: &Person, rng: &mut ChaCha20Rng| {
        let bundle = to.verified(&to.bundle()).unwrap();
        let (part, agreement) = pqxdh::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
        let ratchet = Ratchet::initiate(agreement.root, bundle.signed_key().unwrap());
        ratchet.encrypt(&agreement.associated, Some(&part), b"hi", rng).unwrap().1
    };
    assert_eq!(text(bob.accept(&alice, &first(&bob, rng))).1, "hi");
    assert_eq!(alice.accept(&alice, &first(&alice, rng)).unwrap_err(), Refused);
}

/// [MSG-17] one key in common is enough to be taken for oneself, and the secret must be that of the own device.
#[test]
fn two_devices_have_no_key_in_common() {
    let (alice, bob) = couple();
    let (own, peer) = (&alice.party, &bob.party);
    let with = |device| Party { device, ..peer.clone() };
    assert_eq!(two_devices(own, &alice.device, peer), Ok(()));
    let same_key = Device { key: own.device.key, ..peer.device };
    assert_eq!(two_devices(own, &alice.device, &with(same_key)), Err(Refused));
    let same_identity = Device { identity: own.device.identity, ..peer.device };
    assert_eq!(two_devices(own, &alice.device, &with(same_identity)), Err(Refused));
    assert_eq!(two_devices(own, &bob.device, peer), Err(Refused));
    let half = Party { device: Device { identity: peer.device.identity, ..own.device }, ..own.clone() };
    let carol = Person::new("carol", 10);
    assert_eq!(two_devices(&half, &alice.device, &carol.party), Err(Refused));
}

/// A session tells on which side it stands and whether it still sends, and prints nothing else.
#[test]
fn a_session_tells_how_it_stands() {
    let (a, b) = established(&mut dice(52));
    assert!(a.initiated() && !b.initiated());
    assert!(!a.only_receives() && a.receiving_only().only_receives());
    assert_eq!((a.own(), a.peer()), (b.peer(), b.own()));
    assert_eq!(format!("{a:?}"), "Session(..)");
}
