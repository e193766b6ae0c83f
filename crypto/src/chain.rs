//! The symmetric half of the ratchet: root key, chain key, message key (Double Ratchet sections 2.2 and 5.2 of the
//! Signal paper; `spec/message.md`, "Ratchet").
use sealpost_spec::label;
use sealpost_spec::message::SALT;

use crate::primitive::{hkdf, hmac_each};
use crate::secret::Secret;

/// KDF_RK of a session's first chain, from X25519 alone: PQXDH's KEM secret is in the root key. **[MSG-9]**
pub(crate) fn first(root: &Secret<32>, dh: &Secret<32>, transcript: &[u8; 32]) -> (Secret<32>, Secret<32>) {
    hkdf::<64>(root.expose(), &[dh.expose()], &[label::FIRST_CHAIN, transcript]).halves()
}

/// KDF_RK of every later chain, from X25519 and ML-KEM. **[MSG-10]**
pub(crate) fn later(
    root: &Secret<32>,
    dh: &Secret<32>,
    kem: &Secret<32>,
    transcript: &[u8; 32],
) -> (Secret<32>, Secret<32>) {
    hkdf::<64>(root.expose(), &[dh.expose(), kem.expose()], &[label::RATCHET, transcript]).halves()
}

/// KDF_CK: the next chain key and this message's key.
pub(crate) fn step(chain: &Secret<32>) -> (Secret<32>, Secret<32>) {
    hmac_each(chain, &[2], &[1])
}

/// AEAD key and nonce of a message. The salt keeps two copies of a profile from ever using one pair. **[MSG-12]**
pub(crate) fn cipher(message: &Secret<32>, salt: &[u8; SALT]) -> (Secret<32>, [u8; 12]) {
    hkdf::<44>(salt, &[message.expose()], &[label::MESSAGE]).key_and_nonce()
}
