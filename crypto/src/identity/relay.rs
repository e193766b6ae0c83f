use sealpost_spec::account::NameReceipt;
use sealpost_spec::room::RoomReceipt;
use sealpost_spec::wire::Signed;

use super::purpose::Purpose;
use crate::primitive::SigningKey;
use crate::secret::Secret;
use crate::{CryptoRng, Refused, Zeroizing};

/// DER around the 32-byte seed of an Ed25519 private key: PKCS#8 version 1 (RFC 8410 section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// DER before the 32 bytes of an Ed25519 public key: SubjectPublicKeyInfo (RFC 8410 section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The relay's private key: TLS, receipts of names and of rooms.
pub struct RelaySecret {
    seed: Secret<32>,
    key: SigningKey,
}
impl RelaySecret {
    /// A new one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::of(Secret::random(rng))
    }
    /// From the PKCS#8 document (RFC 8410) of [`Self::pkcs8`], which is also what `openssl genpkey` writes.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Refused> {
        Secret::copied(der.strip_prefix(&PKCS8).ok_or(Refused)?).map(Self::of)
    }
    /// As PKCS#8 DER, for its key file and for TLS.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8.len() + 32));
        der.extend_from_slice(&PKCS8);
        der.extend_from_slice(self.seed.expose());
        der
    }
    /// SubjectPublicKeyInfo DER of the public half, for RFC 7250.
    pub fn spki(&self) -> Vec<u8> {
        [&SPKI[..], &self.public()].concat()
    }
    /// The Ed25519 public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.public()
    }
    /// Signs a name receipt.
    pub fn sign_receipt(&self, receipt: &NameReceipt) -> Signed {
        Purpose::NameReceipt.sign(&self.key, receipt.layout())
    }
    /// Signs a room receipt.
    pub fn sign_room(&self, receipt: &RoomReceipt) -> Signed {
        Purpose::RoomReceipt.sign(&self.key, receipt.layout())
    }
    fn of(seed: Secret<32>) -> Self {
        Self { key: SigningKey::from_seed(&seed), seed }
    }
}

/// Parses a name receipt and verifies it with the relay's key.
///
/// # Errors
/// Malformed, or not signed by this relay. **[ACCT-9]**
pub fn verify_receipt(signed: &Signed, relay: &[u8; 32]) -> Result<NameReceipt, Refused> {
    let receipt = NameReceipt::parse(&signed.body.0)?;
    Purpose::NameReceipt.verify(relay, signed)?;
    Ok(receipt)
}

/// Parses a room receipt and verifies it with the relay's key.
///
/// # Errors
/// Malformed, or not signed by this relay. **[ROOM-13]**
pub fn verify_room(signed: &Signed, relay: &[u8; 32]) -> Result<RoomReceipt, Refused> {
    let receipt = RoomReceipt::parse(&signed.body.0)?;
    Purpose::RoomReceipt.verify(relay, signed)?;
    Ok(receipt)
}
