//! Account, device and relay keys, and what they sign.
use sealpost_spec::account::*;
use sealpost_spec::mailbox::{DeliveryToken, MailboxId, TokenHash};
use sealpost_spec::relay::RelayPin;
use sealpost_spec::room::{Post, PostHash, PostHead};
use sealpost_spec::wire::{Signature, Signed};

use crate::{CryptoRng, Refused, Zeroizing};

/// An account's private key, kept as the 32 bytes of entropy behind its 24 recovery words (BIP 39).
pub struct AccountSecret(());
impl AccountSecret {
    /// A new one.
    pub fn generate(_rng: &mut dyn CryptoRng) -> Self {
        todo!()
    }
    /// From its 24 words. Errors: not 24 words of the list, or a wrong checksum.
    pub fn from_words(_words: &str) -> Result<Self, Refused> {
        todo!()
    }
    /// Its 24 words.
    pub fn words(&self) -> Zeroizing<String> {
        todo!()
    }
    /// Its public half.
    pub fn key(&self) -> AccountKey {
        todo!()
    }
    /// Signs a device list.
    pub fn sign_devices(&self, _list: &DeviceList) -> Signed {
        todo!()
    }
}

/// A device's private keys: Ed25519 for signing, X25519 for PQXDH.
pub struct DeviceSecret(());
impl DeviceSecret {
    /// A new pair of keys.
    pub fn generate(_rng: &mut dyn CryptoRng) -> Self {
        todo!()
    }
    /// The public halves as a device list names them.
    pub fn public(&self, _id: DeviceId) -> Device {
        todo!()
    }
    /// Signs a login.
    pub fn sign_login(&self, _proof: &LoginProof<'_>) -> Signature {
        todo!()
    }
    /// Signs a post's head.
    pub fn sign_post(&self, _head: &PostHead) -> Signed {
        todo!()
    }
}

/// A prekey's private half with its signed public half. ML-KEM and X-Wing keys are kept as their seeds.
pub struct PrekeySecret(());
impl PrekeySecret {
    /// A new key, signed by its device. `made_at`: Unix seconds.
    pub fn generate(
        _role: PrekeyRole,
        _id: PrekeyId,
        _made_at: u64,
        _device: &DeviceSecret,
        _rng: &mut dyn CryptoRng,
    ) -> Self {
        todo!()
    }
    /// What is published.
    pub fn signed(&self) -> &Signed {
        todo!()
    }
    /// Its role.
    pub fn role(&self) -> PrekeyRole {
        todo!()
    }
    /// Its id.
    pub fn id(&self) -> PrekeyId {
        todo!()
    }
}

/// The relay's private key: TLS and name receipts.
pub struct RelaySecret(());
impl RelaySecret {
    /// A new one.
    pub fn generate(_rng: &mut dyn CryptoRng) -> Self {
        todo!()
    }
    /// From the PKCS#8 document (RFC 8410) of [`Self::pkcs8`].
    pub fn from_pkcs8(_der: &[u8]) -> Result<Self, Refused> {
        todo!()
    }
    /// As PKCS#8 DER, for its key file and for TLS.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        todo!()
    }
    /// SubjectPublicKeyInfo DER of the public half, for RFC 7250.
    pub fn spki(&self) -> Vec<u8> {
        todo!()
    }
    /// The Ed25519 public key.
    pub fn public(&self) -> [u8; 32] {
        todo!()
    }
    /// Signs a name receipt.
    pub fn sign_receipt(&self, _receipt: &NameReceipt) -> Signed {
        todo!()
    }
}

/// Parses a device list and verifies it with the account key it names.
pub fn verify_devices(_signed: &Signed) -> Result<DeviceList, Refused> {
    todo!()
}
/// Parses a prekey and verifies that this device made it for this role.
pub fn verify_prekey(_signed: &Signed, _device: &DeviceKey, _role: PrekeyRole) -> Result<Prekey, Refused> {
    todo!()
}
/// Verifies a login.
pub fn verify_login(_signature: &Signature, _proof: &LoginProof<'_>, _device: &DeviceKey) -> Result<(), Refused> {
    todo!()
}
/// Verifies a post: the author's list and device, the signature, this relay, the body where it is present.
pub fn verify_post(_post: &Post, _relay: &[u8; 32]) -> Result<(PostHead, DeviceList), Refused> {
    todo!()
}
/// Parses a name receipt and verifies it with the relay's key.
pub fn verify_receipt(_signed: &Signed, _relay: &[u8; 32]) -> Result<NameReceipt, Refused> {
    todo!()
}

/// An account key's fingerprint.
pub fn fingerprint(_account: &AccountKey) -> Fingerprint {
    todo!()
}
/// Where a device's envelopes wait.
pub fn mailbox(_device: &DeviceKey) -> MailboxId {
    todo!()
}
/// What the relay stores of a token.
pub fn token_hash(_token: &DeliveryToken) -> TokenHash {
    todo!()
}
/// A new random token.
pub fn delivery_token(_rng: &mut dyn CryptoRng) -> DeliveryToken {
    todo!()
}
/// What an address pins of a relay's public key.
pub fn relay_pin(_key: &[u8; 32]) -> RelayPin {
    todo!()
}
/// Names a post for its author's next one. `head`: as it travelled.
pub fn post_hash(_head: &[u8]) -> PostHash {
    todo!()
}
/// SHA-256 of a post's body.
pub fn body_hash(_body: &[u8]) -> [u8; 32] {
    todo!()
}
/// Constant-time equality of two token hashes.
pub fn same_token(_left: &TokenHash, _right: &TokenHash) -> bool {
    todo!()
}

/// 60 digits that two people compare: the same on both sides, whoever computes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafetyNumber(pub String);
/// The safety number of two accounts. About 10,400 SHA-512 compressions.
pub fn safety_number(_one: (&Name, &AccountKey), _other: (&Name, &AccountKey)) -> SafetyNumber {
    todo!()
}
