//! The sealed box: HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305.
use sealpost_spec::account::Device;
use sealpost_spec::account::Prekey;
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::Sealing;

use crate::identity::PrekeySecret;
use crate::{CryptoRng, Refused};

/// Seals to a box key of a device. Errors: the sealing fits no box, or the key is no X-Wing key.
pub fn seal(
    _key: &Prekey,
    _recipient: &Device,
    _id: &EnvelopeId,
    _sealing: &Sealing,
    _rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Refused> {
    todo!()
}
/// Opens a box with the box key it names. `recipient`: the own device.
pub fn open(_key: &PrekeySecret, _recipient: &Device, _id: &EnvelopeId, _sealed: &[u8]) -> Result<Sealing, Refused> {
    todo!()
}
/// The id of the box key that a box names. Errors: malformed.
pub fn box_key_id(_sealed: &[u8]) -> Result<sealpost_spec::account::PrekeyId, Refused> {
    todo!()
}
