//! Account, device and relay keys, and what they sign (`spec/account.md`).
use sealpost_spec::account::*;
use sealpost_spec::label;
use sealpost_spec::mailbox::{DeliveryToken, MailboxId, TokenHash};
use sealpost_spec::relay::RelayPin;
use sealpost_spec::room::{MAX_POST_BODY, Post, PostHash, PostHead};
use sealpost_spec::wire::layout::Reader;
use sealpost_spec::wire::{Bytes, Signature, Signed};

use crate::primitive::{self, SigningKey, hkdf, same, sha256, x25519_public};
use crate::secret::Secret;
use crate::vault::door::{Door, Pass, Writing};
use crate::{CryptoRng, Refused, Zeroizing};

mod prekey;
mod purpose;
mod relay;
mod request;
mod safety;
#[cfg(test)]
mod tests;

pub use prekey::{PrekeySecret, verify_prekey};
use purpose::Purpose;
pub use relay::{RelaySecret, verify_receipt, verify_room};
pub use request::{device_code, device_request};
pub use safety::{SafetyNumber, safety_number};

/// An account's private key, kept as the 32 bytes of entropy behind its 24 recovery words (BIP 39).
pub struct AccountSecret {
    entropy: Secret<32>,
    key: SigningKey,
}
impl AccountSecret {
    /// A new one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::of(Secret::random(rng))
    }
    /// From its 24 words.
    ///
    /// # Errors
    /// Not 24 words of the list, or a wrong checksum.
    pub fn from_words(words: &str) -> Result<Self, Refused> {
        primitive::entropy(words).map(Self::of)
    }
    /// Its 24 words.
    pub fn words(&self) -> Zeroizing<String> {
        // 32 bytes always have words.
        primitive::words(&self.entropy).unwrap_or_default()
    }
    /// Its public half.
    pub fn key(&self) -> AccountKey {
        AccountKey(self.key.public())
    }
    /// Signs a device list.
    pub fn sign_devices(&self, list: &DeviceList) -> Signed {
        Purpose::DeviceList.sign(&self.key, list.layout())
    }
    /// Signs that the account ends.
    pub fn sign_leave(&self, proof: &LeaveProof<'_>) -> Signature {
        Purpose::Leave.sign(&self.key, proof.layout()).signature
    }
    /// `Ed25519 seed = HKDF(zeros, entropy, label)`. **[ACCT-4]**
    fn of(entropy: Secret<32>) -> Self {
        let key = SigningKey::from_seed(&hkdf(&[0; 32], &[entropy.expose()], &[label::RECOVERY]));
        Self { entropy, key }
    }
}

/// A device's private keys: Ed25519 for signing, X25519 for PQXDH.
pub struct DeviceSecret {
    seed: Secret<32>,
    key: SigningKey,
    identity: Secret<32>,
    public: IdentityKey,
}
impl DeviceSecret {
    /// A new pair of keys.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let seed = Secret::random(rng);
        Self::of(seed, Secret::random(rng))
    }
    /// The public halves as a device list names them.
    pub fn public(&self, id: DeviceId) -> Device {
        Device { id, key: DeviceKey(self.key.public()), identity: self.public }
    }
    /// Signs a login.
    pub fn sign_login(&self, proof: &LoginProof<'_>) -> Signature {
        Purpose::Login.sign(&self.key, proof.layout()).signature
    }
    /// Signs a post's head.
    pub fn sign_post(&self, head: &PostHead) -> Signed {
        Purpose::Post.sign(&self.key, head.layout())
    }
    /// IK of PQXDH.
    pub(crate) fn identity(&self) -> &Secret<32> {
        &self.identity
    }
    pub(crate) fn sign_prekey(&self, prekey: &Prekey) -> Signed {
        Purpose::Prekey.sign(&self.key, prekey.layout())
    }
    fn of(seed: Secret<32>, identity: Secret<32>) -> Self {
        let public = IdentityKey(x25519_public(&identity));
        Self { key: SigningKey::from_seed(&seed), seed, identity, public }
    }
}

macro_rules! print_nothing {
    ($($type:ident),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    )*};
}
print_nothing!(AccountSecret, DeviceSecret, PrekeySecret, RelaySecret);

/// Version and kind of what lies in the vault, so that no secret is read as one of another kind.
const ACCOUNT: u8 = 0x11;
const DEVICE: u8 = 0x12;

impl Door for AccountSecret {
    fn leave(&self, _: Pass) -> Zeroizing<Vec<u8>> {
        let Self { entropy, key: _ } = self;
        let mut out = Writing::with_room(1 + 32);
        out.u8(ACCOUNT).put(entropy.expose());
        out.done()
    }
    fn enter(bytes: &[u8], _: Pass) -> Result<Self, Refused> {
        match bytes.split_first() {
            Some((&ACCOUNT, entropy)) => Secret::copied(entropy).map(Self::of),
            _ => Err(Refused),
        }
    }
}

impl Door for DeviceSecret {
    fn leave(&self, _: Pass) -> Zeroizing<Vec<u8>> {
        let Self { seed, key: _, identity, public: _ } = self;
        let mut out = Writing::with_room(1 + 32 + 32);
        out.u8(DEVICE).put(seed.expose()).put(identity.expose());
        out.done()
    }
    fn enter(bytes: &[u8], _: Pass) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != DEVICE {
            return Err(Refused);
        }
        let seed = Secret::copied(reader.slice(32)?)?;
        let identity = Secret::copied(reader.slice(32)?)?;
        reader.done()?;
        Ok(Self::of(seed, identity))
    }
}

/// Parses a device list and verifies it with the account key it names.
///
/// # Errors
/// Malformed, or not signed by that key. Whether the key is the right one for the name is the caller's to know.
/// **[ACCT-5]**
pub fn verify_devices(signed: &Signed) -> Result<DeviceList, Refused> {
    let list = DeviceList::parse(&signed.body.0)?;
    Purpose::DeviceList.verify(&list.account.0, signed)?;
    Ok(list)
}

/// Verifies a login.
///
/// # Errors
/// Not signed by this device over this proof. **[RELAY-5]**
pub fn verify_login(signature: &Signature, proof: &LoginProof<'_>, device: &DeviceKey) -> Result<(), Refused> {
    Purpose::Login.verify_bytes(&device.0, &proof.layout(), signature)
}

/// Verifies that an account's owner wants it to end.
///
/// # Errors
/// Not signed by this account over this proof. **[ACCT-19]**
pub fn verify_leave(signature: &Signature, proof: &LeaveProof<'_>, account: &AccountKey) -> Result<(), Refused> {
    Purpose::Leave.verify_bytes(&account.0, &proof.layout(), signature)
}

/// Verifies a post: the author's list and device, the signature, this relay, the body where it is present.
///
/// # Errors
/// Any of them does not hold, or the body is too long. **[ROOM-2]**
pub fn verify_post(post: &Post, relay: &[u8; 32]) -> Result<(PostHead, DeviceList), Refused> {
    let list = verify_devices(&post.author)?;
    Ok((verify_post_by(post, relay, &list)?, list))
}

/// The same for who has verified the author's list before. `list`: what [`verify_devices`] gave for these very bytes of
/// [`Post::author`].
///
/// # Errors
/// See [`verify_post`]. **[ROOM-2]**
pub fn verify_post_by(post: &Post, relay: &[u8; 32], list: &DeviceList) -> Result<PostHead, Refused> {
    let head = PostHead::parse(&post.head.body.0)?;
    let authors = head.author == list.name && head.account == list.account;
    let devices = list.device(head.device.id) == Some(&head.device);
    let fits = |body: &Bytes| body.0.len() <= MAX_POST_BODY && body_hash(&body.0) == head.body_hash;
    let body = post.body.as_ref().is_none_or(fits);
    if !authors || !devices || !body || head.relay != *relay {
        return Err(Refused);
    }
    Purpose::Post.verify(&head.device.key.0, &post.head)?;
    Ok(head)
}

/// An account key's fingerprint.
pub fn fingerprint(account: &AccountKey) -> Fingerprint {
    Fingerprint(sha256(&[label::FINGERPRINT, &account.0]))
}
/// Where a device's envelopes wait.
pub fn mailbox(device: &DeviceKey) -> MailboxId {
    let mut id = [0; 16];
    id.iter_mut().zip(sha256(&[label::MAILBOX, &device.0])).for_each(|(to, from)| *to = from);
    MailboxId(id)
}
/// What the relay stores of a token.
pub fn token_hash(token: &DeliveryToken) -> TokenHash {
    TokenHash(sha256(&[label::DELIVERY_TOKEN, &token.0]))
}
/// What the relay stores of an invite. [ACCT-17]
pub fn invite_hash(token: &InviteToken) -> [u8; 32] {
    sha256(&[label::INVITE, &token.0])
}
/// A new random token.
pub fn delivery_token(rng: &mut dyn CryptoRng) -> DeliveryToken {
    let mut token = DeliveryToken([0; 32]);
    rng.fill_bytes(&mut token.0);
    token
}
/// What an address pins of a relay's public key.
pub fn relay_pin(key: &[u8; 32]) -> RelayPin {
    RelayPin(sha256(&[key]))
}
/// Names a post for its author's next one. `head`: as it travelled.
pub fn post_hash(head: &[u8]) -> PostHash {
    PostHash(sha256(&[label::POST_HASH, head]))
}
/// SHA-256 of a post's body.
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    sha256(&[body])
}
/// Constant-time equality of two token hashes.
pub fn same_token(left: &TokenHash, right: &TokenHash) -> bool {
    same(&left.0, &right.0)
}
