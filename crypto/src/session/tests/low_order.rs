//! A peer who knows the agreement beforehand, because the point that they send is of low order and the result all zeros: their
//! tags are right, and they are refused at every door.
use sealpost_spec::message::ChainKey;

use super::*;
use crate::chain;
use crate::primitive::tests::LOW_ORDER;
use crate::primitive::{ml_kem, x25519};
use crate::ratchet::{OwnKey, PeerKey, Ratchet, Sending, first_transcript, later_transcript};
use crate::secret::Secret;

/// A session that has begun a chain with this as its A', and with zeros as what X25519 gives.
fn with_point(session: &Session, point: [u8; 32], rng: &mut ChaCha20Rng) -> Session {
    let (curve, kem) = (Secret::random(rng), Secret::random(rng));
    let mut header = ChainKey { ratchet: point, kem: ml_kem::KeyPair::from_seed(&kem).public(), ciphertext: None };
    let (root, zeros) = (&session.ratchet.root, Secret::filled(|_| ()));
    let (root, key) = match &*session.ratchet.peer {
        PeerKey::Prekey(prekey) => chain::first(root, &zeros, &first_transcript(&header, prekey)),
        PeerKey::Ratchet { curve: peer, kem: peer_kem } => {
            let (ciphertext, shared) = ml_kem::encapsulate(peer_kem, &Secret::random(rng)).unwrap();
            header.ciphertext = Some(ciphertext);
            chain::later(root, &zeros, &shared, &later_transcript(&header, peer, peer_kem))
        }
    };
    let mut begun = session.at(session.ratchet.receiving_only());
    begun.ratchet.root = Arc::new(root);
    begun.ratchet.own = Some(Arc::new(OwnKey { curve, kem, header: Arc::new(header) }));
    begun.ratchet.sending = Some(Sending { key: Arc::new(key), next: 0 });
    begun
}

/// [MSG-2] as the ratchet key of a first chain and of a later one.
#[test]
fn a_ratchet_key_of_low_order_is_refused() {
    let (alice, bob) = couple();
    let rng = &mut dice(50);
    let (a, b) = established(rng);
    let fresh = alice.initiate(&bob, rng);
    for point in LOW_ORDER {
        let (_, first) = with_point(&fresh, point, rng).encrypt(b"first", rng).unwrap();
        assert_eq!(bob.accept(&alice, &first).unwrap_err(), Refused, "{point:?}");
        let (_, later) = with_point(&a, point, rng).encrypt(b"later", rng).unwrap();
        assert_eq!(b.decrypt(&later).unwrap_err(), Refused, "{point:?}");
    }
}

/// [MSG-2] as the ephemeral key of PQXDH, and as the initiator's identity key, with whatever list it came.
#[test]
fn a_pqxdh_key_of_low_order_is_refused() {
    let (alice, bob) = couple();
    let rng = &mut dice(51);
    let zeros = || Secret::filled(|_| ());
    let kem = bob.kem.public().key.as_slice().try_into().unwrap();
    let bundle = bob.bundle();
    let hash = pqxdh::bundle_hash(&bundle.signed, bundle.one_time.as_ref(), &bundle.kem);
    let (signed, signed_key) = bob.signed.curve_pair().unwrap();
    for point in LOW_ORDER {
        for identity in [false, true] {
            let ephemeral = Secret::random(rng);
            let (ciphertext, shared) = ml_kem::encapsulate(kem, &Secret::random(rng)).unwrap();
            let mut peer = alice.party.clone();
            let mut part = PqxdhPart {
                ephemeral: crate::primitive::x25519_public(&ephemeral),
                signed: PrekeyId(1),
                one_time: PrekeyId(2),
                kem_role: PrekeyRole::OneTimeKem,
                kem: PrekeyId(3),
                ciphertext,
            };
            let dh = |secret: &Secret<32>, point: &[u8; 32]| x25519(secret, point).unwrap();
            let root = if identity {
                peer.device.identity.0 = point;
                let [own, one_time] = [bob.device.identity(), bob.one_time.curve().unwrap()];
                let dh4 = dh(one_time, &part.ephemeral);
                pqxdh::root_key(&zeros(), &dh(own, &part.ephemeral), &dh(signed, &part.ephemeral), Some(&dh4), &shared)
            } else {
                part.ephemeral = point;
                let dh1 = dh(signed, &peer.device.identity.0);
                pqxdh::root_key(&dh1, &zeros(), &zeros(), Some(&zeros()), &shared)
            };
            let facts = Facts {
                own: peer.clone(),
                peer: bob.party.clone(),
                initiated: true,
                id: id_of(&part),
                associated: pqxdh::associated_data(&peer, &bob.party, &hash, &part),
                part,
            };
            let ratchet = Ratchet::initiate(root, signed_key);
            let hostile = Session { facts: Arc::new(facts), ratchet, receiving_only: false };
            let (_, message) = hostile.encrypt(b"hi", rng).unwrap();
            let accepted = Session::accept(&bob.party, &bob.device, &bob.keys(), &peer, &message);
            assert_eq!(accepted.err(), Some(Refused), "{point:?} {identity}");
        }
    }
}
