use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_spec::account::{DeviceId, DeviceKey, IdentityKey};
use sealpost_spec::message::{BOX_SIZES, TAG};
use sealpost_spec::wire::{Bytes, Signature, Signed};

use super::*;
use crate::identity::DeviceSecret;

fn sealing(length: usize) -> Sealing {
    let list = Signed { body: Bytes(vec![1; 115]), signature: Signature([2; 64]) };
    Sealing { device: DeviceId::FIRST, list, message: vec![3; length] }
}

struct Recipient {
    device: Device,
    secret: DeviceSecret,
    key: PrekeySecret,
    rng: ChaCha20Rng,
}

fn recipient() -> Recipient {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let secret = DeviceSecret::generate(&mut rng);
    let key = PrekeySecret::generate(PrekeyRole::Box, PrekeyId(7), 0, &secret, &mut rng);
    Recipient { device: secret.public(DeviceId::FIRST), secret, key, rng }
}

/// HPKE's hashes of an empty PSK id and of `info`, which are nobody's secret.
pub(crate) fn public_hashes(recipient: &Device, key: PrekeyId) -> [[u8; 32]; 2] {
    let hash = |label: &[u8], input: &[u8]| *hkdf_extract(b"", &[b"HPKE-v1", SUITE, label, input]).expose();
    [hash(b"psk_id_hash", b""), hash(b"info_hash", &info(recipient, key))]
}

const ID: EnvelopeId = EnvelopeId([9; 16]);

/// [MSG-20] a box has one of three sizes, to the byte the smallest that its contents fit; what fits none is refused. (The
/// padding itself is tried at every length in `spec`.)
#[test]
fn a_box_is_six_sixteen_or_sixty_kib() {
    let mut bob = recipient();
    // A sealing's device, list and lengths.
    let room = |size: usize| size - sealpost_spec::message::BOX_OVERHEAD - (4 + 4 + 115 + 64 + 4);
    let [small, middle, large] = BOX_SIZES.map(room);
    let lengths = [(0, 6), (small, 6), (small + 1, 16), (middle, 16), (middle + 1, 60), (large, 60)];
    for (length, size) in lengths {
        let sealed = seal(bob.key.public(), &bob.device, &ID, &sealing(length), &mut bob.rng).unwrap();
        assert_eq!(sealed.len(), size * 1024);
        assert_eq!(box_key_id(&sealed), Ok(PrekeyId(7)));
        assert_eq!(open(&bob.key, &bob.device, &ID, &sealed), Ok(sealing(length)));
    }
    assert_eq!(seal(bob.key.public(), &bob.device, &ID, &sealing(large + 1), &mut bob.rng), Err(Refused));
    assert_eq!(BOX_SIZES, [6 * 1024, 16 * 1024, 60 * 1024]);
}

/// [MSG-22] a box of each size with a flipped bit is refused, always in the same way, and the original still opens. Tried are
/// all bits of the key id, of the X25519 half of `enc` and of the tag, and one bit each of bytes that are spread over the
/// rest; where `SEALPOST_SEEDS` is set, every single bit.
#[test]
fn a_box_with_a_flipped_bit_is_refused() {
    let mut bob = recipient();
    for (length, stride) in [(100, 16), (7_000, 48), (20_000, 192)] {
        let sealed = seal(bob.key.public(), &bob.device, &ID, &sealing(length), &mut bob.rng).unwrap();
        // The ML-KEM half of `enc`, and the ciphertext.
        let long = [4..1_092, 1_124..sealed.len() - TAG];
        for (bit, altered) in crate::bits::flips(&sealed, &long, stride) {
            assert_eq!(open(&bob.key, &bob.device, &ID, &altered), Err(Refused), "{length} bit {bit}");
        }
        assert_eq!(open(&bob.key, &bob.device, &ID, &sealed[1..]), Err(Refused));
        assert_eq!(open(&bob.key, &bob.device, &ID, &sealed), Ok(sealing(length)));
    }
}

/// [MSG-18] [MSG-19] a box opens for its device, key and envelope id, and for nothing else.
#[test]
fn a_box_is_bound_to_its_address() {
    let mut bob = recipient();
    let sealed = seal(bob.key.public(), &bob.device, &ID, &sealing(1), &mut bob.rng).unwrap();
    let refused = |device: Device, id: EnvelopeId| assert_eq!(open(&bob.key, &device, &id, &sealed), Err(Refused));
    refused(bob.device, EnvelopeId([8; 16]));
    refused(Device { id: DeviceId(2), ..bob.device }, ID);
    refused(Device { key: DeviceKey([1; 32]), ..bob.device }, ID);
    refused(Device { identity: IdentityKey([1; 32]), ..bob.device }, ID);
    // The same key under another id, and another key under the same.
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    DeviceSecret::generate(&mut rng);
    let renamed = PrekeySecret::generate(PrekeyRole::Box, PrekeyId(8), 0, &bob.secret, &mut rng);
    assert_eq!(renamed.public().key, bob.key.public().key);
    let mut other = sealed.clone();
    other[0] = 8;
    assert_eq!(open(&renamed, &bob.device, &ID, &other), Err(Refused));
    assert_eq!(open(&renamed, &bob.device, &ID, &sealed), Err(Refused));
    let fresh = PrekeySecret::generate(PrekeyRole::Box, PrekeyId(7), 0, &bob.secret, &mut rng);
    assert_eq!(open(&fresh, &bob.device, &ID, &sealed), Err(Refused));
    let signed = PrekeySecret::generate(PrekeyRole::Signed, PrekeyId(7), 0, &bob.secret, &mut rng);
    assert_eq!(open(&signed, &bob.device, &ID, &sealed), Err(Refused));
    assert_eq!(seal(signed.public(), &bob.device, &ID, &sealing(1), &mut rng), Err(Refused));
}

/// The same sealing twice is two boxes that have nothing in common but their key id: a resend shows no one that it is one.
#[test]
fn two_boxes_of_one_sealing_differ() {
    let mut bob = recipient();
    let one = seal(bob.key.public(), &bob.device, &ID, &sealing(1), &mut bob.rng).unwrap();
    let other = seal(bob.key.public(), &bob.device, &ID, &sealing(1), &mut bob.rng).unwrap();
    assert_ne!(one[4..1_124], other[4..1_124]);
    assert_ne!(one[1_124..], other[1_124..]);
}

/// [MSG-2] a box whose X25519 half is a point of low order is refused, though its maker knows what the agreement gives and the
/// tag is right.
#[test]
fn a_box_with_a_point_of_low_order_is_refused() {
    let mut bob = recipient();
    let public = &bob.key.public().key;
    let (kem, curve) = public.split_at(sealpost_spec::account::ML_KEM_KEY);
    for point in crate::primitive::tests::LOW_ORDER {
        let random = Secret::random(&mut bob.rng);
        let (kem_ciphertext, shared) = crate::primitive::ml_kem::encapsulate(kem.try_into().unwrap(), &random).unwrap();
        // X-Wing's combiner, with zeros as the agreement.
        let combined = [&shared.expose()[..], &[0; 32], &point, curve, br"\.//^\"].concat();
        let shared = Secret::filled(|bytes| libcrux_sha3::sha256_ema(bytes, &combined));
        let (key, nonce) = key_schedule(SUITE, &shared, &info(&bob.device, PrekeyId(7))).unwrap();
        let mut ciphertext = Vec::new();
        let associated = associated(&bob.device, PrekeyId(7), &ID);
        aead_seal(&key, &nonce, &associated, &sealing(1).padded().unwrap(), &mut ciphertext).unwrap();
        let encapsulated = [&kem_ciphertext[..], &point].concat().try_into().unwrap();
        let sealed = SealedBox { key: PrekeyId(7), encapsulated, ciphertext }.layout();
        assert_eq!(open(&bob.key, &bob.device, &ID, &sealed), Err(Refused), "{point:?}");
    }
}
