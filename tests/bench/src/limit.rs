//! What an operation can't do without, straight from the third-party crates: no wiping, no copying, no parsing, no state.
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use ed25519_dalek::{Signature, VerifyingKey};
use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, Mac};
use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PublicKey};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

pub fn sha256(data: &[u8]) -> [u8; 32] {
    sha2::Digest::finalize(<Sha256 as sha2::Digest>::new_with_prefix(data)).into()
}

pub fn hmac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.chain_update(data).finalize().into_bytes().into()
}

pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], info: &[u8]) -> [u8; N] {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    ikm.iter().for_each(|part| extract.input_ikm(part));
    let mut output = [0; N];
    extract.finalize().1.expand(info, &mut output).expect("short enough");
    output
}

pub fn seal(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8]) -> Tag {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.encrypt_inout_detached(nonce.into(), associated, buffer.into()).expect("short enough")
}

pub fn open(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], buffer: &mut [u8], tag: &Tag) -> bool {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), associated, buffer.into(), tag).is_ok()
}

/// One step of a chain: two HMACs for chain and message key, HKDF for the AEAD's key and nonce.
pub fn step(chain: &mut [u8; 32], salt: &[u8; 16], label: &[u8]) -> ([u8; 32], [u8; 12]) {
    let message = hmac(chain, &[1]);
    *chain = hmac(chain, &[2]);
    let expanded = hkdf::<44>(salt, &[&message], label);
    let (key, nonce) = expanded.split_at(32);
    (key.try_into().expect("32 bytes"), nonce.try_into().expect("12 bytes"))
}

pub fn curve_public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

pub fn agree(secret: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public)).to_bytes()
}

/// The public key of a seed: what begins a chain or makes a prekey.
pub fn kem_public(seed: &[u8; 64]) -> [u8; 1184] {
    *mlkem768::generate_key_pair(*seed).pk()
}

/// The modulus check of FIPS 203 section 7.2.
pub fn kem_valid(public: &[u8; 1184]) -> bool {
    mlkem768::validate_public_key(&MlKem768PublicKey::from(public))
}

pub fn encapsulate(public: &[u8; 1184], random: &[u8; 32]) -> ([u8; 1088], [u8; 32]) {
    let (ciphertext, shared) = mlkem768::encapsulate(&MlKem768PublicKey::from(public), *random);
    (ciphertext.into(), shared)
}

/// From the seed, which is what may be kept.
pub fn decapsulate(seed: &[u8; 64], ciphertext: &[u8; 1088]) -> [u8; 32] {
    let pair = mlkem768::generate_key_pair(*seed);
    mlkem768::decapsulate(pair.private_key(), &MlKem768Ciphertext::from(ciphertext))
}

/// Signatures of one key, which is unpacked once.
pub fn verify(public: &[u8; 32], signed: &[(Vec<u8>, [u8; 64])]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(public) else { return false };
    signed.iter().all(|(bytes, signature)| key.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok())
}

/// X-Wing's combiner.
fn combine(kem: &[u8; 32], dh: &[u8; 32], ciphertext: &[u8], public: &[u8]) -> [u8; 32] {
    let mut input = [0; 134];
    let parts = [&kem[..], dh, ciphertext, public, br"\.//^\"];
    parts.into_iter().flatten().zip(&mut input).for_each(|(from, to)| *to = *from);
    libcrux_sha3::sha256(&input)
}

/// X-Wing to a public key: ML-KEM encapsulation, X25519 key and agreement, SHA3-256.
pub fn wing_encapsulate(public: &[u8; 1216], random: &[u8; 32], ephemeral: &[u8; 32]) -> ([u8; 1088], [u8; 32]) {
    let (kem, curve) = public.split_first_chunk::<1184>().expect("1216 bytes");
    let curve: &[u8; 32] = curve.try_into().expect("32 bytes");
    let (ciphertext, shared) = encapsulate(kem, random);
    let own = curve_public(ephemeral);
    (ciphertext, combine(&shared, &agree(ephemeral, curve), &own, curve))
}

/// X-Wing from the seed: SHAKE-256, ML-KEM key and decapsulation, X25519 agreement, SHA3-256. The own public key is known.
pub fn wing_decapsulate(seed: &[u8; 32], public: &[u8; 32], ciphertext: &[u8; 1120]) -> [u8; 32] {
    let expanded = libcrux_sha3::shake256::<96>(seed);
    let (kem_seed, curve_seed) = expanded.split_first_chunk::<64>().expect("96 bytes");
    let (kem, curve) = ciphertext.split_first_chunk::<1088>().expect("1120 bytes");
    let curve: &[u8; 32] = curve.try_into().expect("32 bytes");
    let dh = agree(curve_seed.try_into().expect("32 bytes"), curve);
    combine(&decapsulate(kem_seed, kem), &dh, curve, public)
}

/// HPKE's key schedule: the extractions of `info_hash` and of the secret, and two expansions. That of `psk_id_hash` has
/// no input, so it is a constant and left out.
pub fn schedule(shared: &[u8; 32], info: &[u8]) -> ([u8; 32], [u8; 12]) {
    const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
    let extract = |salt: &[u8], parts: [&[u8]; 4]| {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        parts.iter().for_each(|part| extract.input_ikm(part));
        extract.finalize()
    };
    let info_hash = extract(b"", [b"HPKE-v1", SUITE, b"info_hash", info]).0;
    let secret: Hkdf<Sha256> = extract(shared, [b"HPKE-v1", SUITE, b"secret", b""]).1;
    let expand = |length: &[u8; 2], label: &[u8], output: &mut [u8]| {
        let context = [&length[..], b"HPKE-v1", SUITE, label, &[0], &[0; 32], &info_hash];
        secret.expand_multi_info(&context, output).expect("short enough");
    };
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    expand(&[0, 32], b"key", &mut key);
    expand(&[0, 12], b"base_nonce", &mut nonce);
    (key, nonce)
}
