//! The sealed box: HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305 (`spec/message.md`).
use sealpost_spec::account::{Device, Prekey, PrekeyId, PrekeyRole, X_WING_KEY};
use sealpost_spec::label;
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::{SealedBox, Sealing};
use sealpost_spec::wire::VERSION;
use sealpost_spec::wire::layout::Writer;

use crate::identity::{PrekeySecret, mailbox};
use crate::primitive::{hkdf_expand, hkdf_extract, open_in_place, seal as aead_seal, x_wing};
use crate::secret::Secret;
use crate::{CryptoRng, Refused, Zeroizing};

/// `"HPKE" || KEM 0x647a X-Wing || KDF 0x0001 HKDF-SHA256 || AEAD 0x0003 ChaCha20-Poly1305` (RFC 9180 section 5.1).
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";

/// Seals to a box key of a device.
///
/// # Errors
/// The sealing fits no box, or the key is no X-Wing key.
pub fn seal(
    key: &Prekey,
    recipient: &Device,
    id: &EnvelopeId,
    sealing: &Sealing,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Refused> {
    let random = Secret::random(rng);
    let ephemeral = Secret::random(rng);
    seal_with(key, recipient, id, sealing, &random, &ephemeral)
}

fn seal_with(
    key: &Prekey,
    recipient: &Device,
    id: &EnvelopeId,
    sealing: &Sealing,
    random: &Secret<32>,
    ephemeral: &Secret<32>,
) -> Result<Vec<u8>, Refused> {
    if key.role != PrekeyRole::Box {
        return Err(Refused);
    }
    let public: &[u8; X_WING_KEY] = key.key.as_slice().try_into().map_err(|_| Refused)?;
    let padded = Zeroizing::new(sealing.padded().ok_or(Refused)?);
    let (encapsulated, shared) = x_wing::encapsulate(public, random, ephemeral)?;
    let (aead_key, nonce) = key_schedule(SUITE, &shared, &info(recipient, key.id))?;
    let mut sealed = SealedBox::header_layout(key.id, &encapsulated, padded.len());
    aead_seal(&aead_key, &nonce, &associated(recipient, key.id, id), &padded, &mut sealed)?;
    Ok(sealed)
}

/// Opens a box with the box key it names. `recipient`: the own device.
///
/// # Errors
/// Another key, device or envelope id, any altered bit, malformed inside: one error for all. **[MSG-22]**
pub fn open(key: &PrekeySecret, recipient: &Device, id: &EnvelopeId, sealed: &[u8]) -> Result<Sealing, Refused> {
    let sealed = SealedBox::parse(sealed)?;
    if sealed.key != key.id() {
        return Err(Refused);
    }
    let (seed, public) = key.wing_pair()?;
    let shared = x_wing::decapsulate(seed, public, &sealed.encapsulated)?;
    let (aead_key, nonce) = key_schedule(SUITE, &shared, &info(recipient, sealed.key))?;
    let padded = open_in_place(&aead_key, &nonce, &associated(recipient, sealed.key, id), sealed.ciphertext)?;
    Ok(Sealing::parse(&padded)?)
}

/// The id of the box key that a box names. Errors: malformed.
pub fn box_key_id(sealed: &[u8]) -> Result<PrekeyId, Refused> {
    Ok(SealedBox::parse(sealed)?.key)
}

/// HPKE's `info`: who can open the box, and with which key. **[MSG-18]**
fn info(recipient: &Device, key: PrekeyId) -> Vec<u8> {
    Writer::new().fixed(label::SEALED_BOX).u16(VERSION).fixed(&recipient.layout()).u32(key.0).done()
}

/// HPKE's `aad`: the box's address. **[MSG-19]**
fn associated(recipient: &Device, key: PrekeyId, id: &EnvelopeId) -> Vec<u8> {
    Writer::new().fixed(label::ENVELOPE).fixed(&mailbox(&recipient.key).0).u32(key.0).fixed(&id.0).done()
}

/// `KeySchedule(mode_base, shared_secret, info, "", "")` (RFC 9180 section 5.1): AEAD key and nonce of the one message.
pub(crate) fn key_schedule(suite: &[u8], shared: &Secret<32>, info: &[u8]) -> Result<(Secret<32>, [u8; 12]), Refused> {
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| hkdf_extract(salt, &[b"HPKE-v1", suite, label, ikm]);
    let psk_id_hash = extract(b"", b"psk_id_hash", b"");
    let info_hash = extract(b"", b"info_hash", info);
    let secret = extract(shared.expose(), b"secret", b"");
    let context = [&[0][..], psk_id_hash.expose(), info_hash.expose()];
    let labeled = |label: &[u8], length: &[u8; 2]| {
        [&length[..], b"HPKE-v1", suite, label].into_iter().chain(context).collect::<Vec<_>>().concat()
    };
    let key = hkdf_expand::<32>(&secret, &[&labeled(b"key", &32_u16.to_be_bytes())])?;
    let nonce = hkdf_expand::<12>(&secret, &[&labeled(b"base_nonce", &12_u16.to_be_bytes())])?;
    Ok((key, *nonce.expose()))
}

#[cfg(test)]
pub(crate) mod tests;
