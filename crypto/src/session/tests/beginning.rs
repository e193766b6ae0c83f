//! What begins a session, and with whom.
use sealpost_spec::message::ChainKey;

use super::*;
use crate::chain;
use crate::primitive::{ml_kem, x25519, x25519_public};
use crate::ratchet::{OwnKey, PeerKey, Sending, first_transcript, later_transcript};
use crate::secret::Secret;

/// [MSG-7] [MSG-16] whichever message of the first chain arrives first, alone, begins the session; the PQXDH part is in
/// each of them until a reply was decrypted, and in none after.
#[test]
fn any_first_message_begins_the_session() {
    let (alice, bob) = couple();
    let rng = &mut dice(3);
    let (a, messages) = sent(&alice.initiate(&bob, rng), 5, rng);
    for (number, message) in messages.iter().enumerate() {
        assert_eq!(session_id(message).unwrap(), Some(a.id()));
        let (b, plaintext) = text(bob.accept(&alice, message));
        assert_eq!((plaintext, b.id(), b.peer()), (number.to_string(), a.id(), &alice.party));
        assert!(b.confirmed() && !b.initiated() && !a.confirmed() && a.initiated());
    }
    let (mut b, _) = text(bob.accept(&alice, &messages[3]));
    for number in [4, 0, 2, 1] {
        let (next, plaintext) = text(b.decrypt(&messages[number]));
        assert_eq!(plaintext, number.to_string());
        b = next;
    }
    for message in &messages {
        assert_eq!(b.decrypt(message).unwrap_err(), Refused);
    }
    let (b, reply) = b.encrypt(b"reply", rng).unwrap();
    assert_eq!(session_id(&reply), Ok(None));
    let (a, plaintext) = text(a.decrypt(&reply));
    assert_eq!((plaintext.as_str(), a.confirmed()), ("reply", true));
    let (_, later) = a.encrypt(b"later", rng).unwrap();
    assert_eq!(session_id(&later), Ok(None));
    assert_eq!(text(b.decrypt(&later)).1, "later");
}

/// [MSG-5] [MSG-1] without one-time keys the last-resort key serves; the recipient must use the keys that are named.
#[test]
fn an_exhausted_bundle_still_works_and_names_its_keys() {
    let (alice, bob) = couple();
    let rng = &mut dice(8);
    let bundle = bob.verified(&bob.exhausted_bundle()).unwrap();
    assert!(!bundle.is_one_time() && bob.verified(&bob.bundle()).unwrap().is_one_time());
    let session = Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap();
    let (_, message) = session.encrypt(b"hi", rng).unwrap();
    let named = named_prekeys(&message).unwrap().unwrap();
    assert_eq!(
        (named.signed, named.one_time, named.kem_role, named.kem),
        (PrekeyId(1), PrekeyId::NONE, PrekeyRole::LastResortKem, PrekeyId(4))
    );
    let accept = |keys: &OwnPrekeys<'_>| Session::accept(&bob.party, &bob.device, keys, &alice.party, &message);
    assert_eq!(text(accept(&bob.exhausted_keys())).1, "hi");
    assert_eq!(accept(&bob.keys()).unwrap_err(), Refused);
    let wrong = OwnPrekeys { signed: &bob.one_time, ..bob.exhausted_keys() };
    assert_eq!(accept(&wrong).unwrap_err(), Refused);
    let (_, full) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    let replay = named_prekeys(&full).unwrap().unwrap().replay;
    assert_ne!(replay, named.replay);
}

/// [MSG-6] whoever differs in one field of either side, or in one byte of the bundle, has another session.
#[test]
fn a_session_binds_both_sides_and_the_bundle() {
    let (alice, bob) = couple();
    let rng = &mut dice(9);
    let (_, message) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    let refused = |own: &Party, peer: &Party| {
        assert_eq!(Session::accept(own, &bob.device, &bob.keys(), peer, &message).unwrap_err(), Refused);
    };
    let (mine, theirs) = (&bob.party, &alice.party);
    refused(&Party { name: "bobby".parse().unwrap(), ..mine.clone() }, theirs);
    refused(&Party { account: AccountKey([7; 32]), ..mine.clone() }, theirs);
    refused(mine, &Party { name: "alicia".parse().unwrap(), ..theirs.clone() });
    refused(mine, &Party { account: AccountKey([7; 32]), ..theirs.clone() });
    let mut device = theirs.device;
    device.id = DeviceId(2);
    refused(mine, &Party { device, ..theirs.clone() });
    let carol = Person::new("carol", 10);
    refused(mine, &Party { device: carol.party.device, ..theirs.clone() });
    // Another time of making: the same key under another signature of the same device.
    let mut again = dice(2);
    AccountSecret::generate(&mut again);
    DeviceSecret::generate(&mut again);
    let signed = PrekeySecret::generate(PrekeyRole::Signed, PrekeyId(1), 1_700_000_001, &bob.device, &mut again);
    assert_eq!(signed.public().key, bob.signed.public().key);
    let keys = OwnPrekeys { signed: &signed, ..bob.keys() };
    assert_eq!(Session::accept(mine, &bob.device, &keys, theirs, &message).unwrap_err(), Refused);
    assert!(bob.accept(&alice, &message).is_ok());
}

/// [MSG-17] a session with oneself, or with the secret of another device, does not begin.
#[test]
fn nothing_of_ones_own_comes_back_as_somebody_elses() {
    let (alice, bob) = couple();
    let rng = &mut dice(11);
    let own = alice.verified(&alice.bundle()).unwrap();
    assert_eq!(Session::initiate(&alice.party, &alice.device, &own, rng).unwrap_err(), Refused);
    let bundle = bob.verified(&bob.bundle()).unwrap();
    assert_eq!(Session::initiate(&alice.party, &bob.device, &bundle, rng).unwrap_err(), Refused);
    let (a, message) = alice.initiate(&bob, rng).encrypt(b"hi", rng).unwrap();
    assert_eq!(a.decrypt(&message).unwrap_err(), Refused);
    assert_eq!(alice.accept(&alice, &message).unwrap_err(), Refused);
    let (b, _) = bob.accept(&alice, &message).unwrap();
    let (b, reply) = b.encrypt(b"hi", rng).unwrap();
    assert_eq!(b.decrypt(&reply).unwrap_err(), Refused);
}

/// [MSG-1] every signature of a bundle is checked, and for the role in which the key is served.
#[test]
fn a_bundle_is_verified_key_by_key() {
    let (_, bob) = couple();
    let carol = Person::new("carol", 12);
    let refused = |change: &dyn Fn(&mut DeviceBundle)| {
        let mut bundle = bob.bundle();
        change(&mut bundle);
        assert_eq!(bob.verified(&bundle).unwrap_err(), Refused);
    };
    refused(&|bundle| bundle.signed = carol.signed.signed().clone());
    refused(&|bundle| bundle.one_time = Some(carol.one_time.signed().clone()));
    refused(&|bundle| bundle.kem = carol.kem.signed().clone());
    refused(&|bundle| bundle.box_key = carol.box_key.signed().clone());
    refused(&|bundle| bundle.signed = bob.one_time.signed().clone());
    refused(&|bundle| bundle.one_time = Some(bob.signed.signed().clone()));
    refused(&|bundle| bundle.kem = bob.signed.signed().clone());
    refused(&|bundle| bundle.box_key = bob.kem.signed().clone());
    refused(&|bundle| bundle.device = DeviceId(2));
    refused(&|bundle| bundle.kem.signature = Signature([0; 64]));
    refused(&|bundle| bundle.signed.body.0[20] ^= 1);
    assert!(bob.verified(&bob.bundle()).is_ok());
}

/// [MSG-2] [MSG-3] keys of low order and KEM keys beyond the modulus are refused, however well they are signed.
#[test]
fn bad_points_and_bad_kem_keys_are_refused() {
    let (alice, bob) = couple();
    let rng = &mut dice(13);
    let forged = |secret: &PrekeySecret, key: Vec<u8>| {
        bob.device.sign_prekey(&sealpost_spec::account::Prekey { key, ..secret.public().clone() })
    };
    for point in crate::primitive::tests::LOW_ORDER {
        for one_time in [false, true] {
            let mut bundle = bob.bundle();
            if one_time {
                bundle.one_time = Some(forged(&bob.one_time, point.to_vec()));
            } else {
                bundle.signed = forged(&bob.signed, point.to_vec());
            }
            let bundle = bob.verified(&bundle).unwrap();
            assert_eq!(Session::initiate(&alice.party, &alice.device, &bundle, rng).unwrap_err(), Refused);
        }
    }
    let beyond = vec![0xff; 1184];
    let bundle = DeviceBundle { kem: forged(&bob.kem, beyond.clone()), ..bob.bundle() };
    assert_eq!(bob.verified(&bundle).unwrap_err(), Refused);
    let bundle = DeviceBundle { box_key: forged(&bob.box_key, [&beyond[..], &[9; 32]].concat()), ..bob.bundle() };
    assert_eq!(bob.verified(&bundle).unwrap_err(), Refused);
}

/// A session that has begun a chain as a hostile peer would: with this as its ek', all else in order.
fn with_kem_key(session: &Session, kem: [u8; 1184], rng: &mut ChaCha20Rng) -> Session {
    let (curve, seed) = (Secret::random(rng), Secret::random(rng));
    let mut header = ChainKey { ratchet: x25519_public(&curve), kem, ciphertext: None };
    let root = &session.ratchet.root;
    let (root, key) = match &*session.ratchet.peer {
        PeerKey::Prekey(prekey) => {
            let dh = x25519(&curve, prekey).unwrap();
            chain::first(root, &dh, &first_transcript(&header, prekey))
        }
        PeerKey::Ratchet { curve: peer, kem: peer_kem } => {
            let (ciphertext, shared) = ml_kem::encapsulate(peer_kem, &Secret::random(rng)).unwrap();
            header.ciphertext = Some(ciphertext);
            let dh = x25519(&curve, peer).unwrap();
            chain::later(root, &dh, &shared, &later_transcript(&header, peer, peer_kem))
        }
    };
    let mut begun = session.at(session.ratchet.receiving_only());
    begun.ratchet.root = Arc::new(root);
    begun.ratchet.own = Some(Arc::new(OwnKey { curve, kem: seed, header: Arc::new(header) }));
    begun.ratchet.sending = Some(Sending { key: Arc::new(key), next: 0 });
    begun
}

/// [MSG-3] nor is a message taken whose own ek' is beyond the modulus, in a first chain or a later one, though its tag is
/// right: nothing could ever be sent in answer.
#[test]
fn a_peers_bad_kem_key_is_refused_before_it_is_kept() {
    let (alice, bob) = couple();
    let rng = &mut dice(25);
    let (a, b) = established(rng);
    let fresh = alice.initiate(&bob, rng);
    let good = ml_kem::KeyPair::from_seed(&Secret::random(rng)).public();
    let mut bad = good;
    (bad[0], bad[1]) = (0x01, bad[1] & 0xf0 | 0x0d);
    let (_, first) = with_kem_key(&fresh, good, rng).encrypt(b"first", rng).unwrap();
    assert_eq!(text(bob.accept(&alice, &first)).1, "first");
    let (_, first) = with_kem_key(&fresh, bad, rng).encrypt(b"first", rng).unwrap();
    assert_eq!(bob.accept(&alice, &first).unwrap_err(), Refused);
    let (_, later) = with_kem_key(&a, good, rng).encrypt(b"later", rng).unwrap();
    assert_eq!(text(b.decrypt(&later)).1, "later");
    let (_, later) = with_kem_key(&a, bad, rng).encrypt(b"later", rng).unwrap();
    assert_eq!(b.decrypt(&later).unwrap_err(), Refused);
}

/// [MSG-34] the first chain of either side follows none.
#[test]
fn a_first_chain_names_no_chain_before_it() {
    let (alice, bob) = couple();
    let rng = &mut dice(26);
    let a = alice.initiate(&bob, rng);
    let good = ml_kem::KeyPair::from_seed(&Secret::random(rng)).public();
    let mut claims = with_kem_key(&a, good, rng);
    claims.ratchet.previous = 1;
    let (_, message) = claims.encrypt(b"hi", rng).unwrap();
    assert_eq!(bob.accept(&alice, &message).unwrap_err(), Refused);
    let (a, message) = a.encrypt(b"hi", rng).unwrap();
    let (mut b, _) = text(bob.accept(&alice, &message));
    let (_, reply) = b.encrypt(b"hi", rng).unwrap();
    b.ratchet.previous = 1;
    let (_, claims) = b.encrypt(b"hi", rng).unwrap();
    assert_eq!(a.decrypt(&claims).unwrap_err(), Refused);
    assert!(a.decrypt(&reply).is_ok());
}

/// Both sides begin at once: two sessions, each of which works, and neither reads the other's messages.
#[test]
fn two_sessions_begun_at_once_stay_apart() {
    let (alice, bob) = couple();
    let rng = &mut dice(17);
    let (a1, to_bob) = alice.initiate(&bob, rng).encrypt(b"from alice", rng).unwrap();
    let (b2, to_alice) = bob.initiate(&alice, rng).encrypt(b"from bob", rng).unwrap();
    assert_ne!(a1.id(), b2.id());
    assert_eq!(a1.decrypt(&to_alice).unwrap_err(), Refused);
    let (b1, _) = bob.accept(&alice, &to_bob).unwrap();
    let (a2, _) = alice.accept(&bob, &to_alice).unwrap();
    assert_eq!((a1.id(), a2.id()), (b1.id(), b2.id()));
    let (_, message) = b1.encrypt(b"in the first", rng).unwrap();
    let chain = chain_id(&message).unwrap();
    assert!(a1.knows_chain(&chain) && !a1.has_chain(&chain) && !a2.knows_chain(&chain));
    assert_eq!(a2.decrypt(&message).unwrap_err(), Refused);
    let (a1, plaintext) = text(a1.decrypt(&message));
    assert!(a1.has_chain(&chain));
    assert_eq!(plaintext, "in the first");
}
