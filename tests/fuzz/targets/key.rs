//! A vault whose key the test knows, because it has the passphrase: the layouts of `crypto/src/vault.rs` written a
//! second time, so that any bytes at all can stand in a row, as no vault would seal them itself.

use std::sync::OnceLock;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use hkdf::Hkdf;
use sealpost_crypto::vault::{Cost, Keep, Vault};
use sealpost_spec::label;
use sha2::Sha256;

use super::people::dice;

pub const PASSPHRASE: &[u8] = b"correct horse battery staple";
const TABLE: &str = "fuzz";
const PLACE: [u8; 32] = [7; 32];
const NONCE: usize = 24;
const TAG: usize = 16;

/// The vault, its header, and the key that seals its rows.
pub struct Locker {
    pub vault: Vault,
    pub header: Vec<u8>,
    rows: [u8; 32],
    profile: [u8; 16],
}

/// The one vault: deriving its key takes a while.
pub fn locker() -> &'static Locker {
    static LOCKER: OnceLock<Locker> = OnceLock::new();
    LOCKER.get_or_init(|| {
        let (vault, header) = Vault::create(PASSPHRASE, Cost::FLOOR, &mut dice(5)).unwrap();
        let (authenticated, sealed) = header.split_at(8 + 12 + 16 + 16);
        let (salt, profile) = authenticated[20..].split_at(16);
        let cost = argon2::Params::new(Cost::FLOOR.memory, Cost::FLOOR.passes, Cost::FLOOR.lanes, Some(32)).unwrap();
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost);
        let mut wrapping = [0; 32];
        argon2.hash_password_into(PASSPHRASE, salt, &mut wrapping).unwrap();
        let wrapping = derived(&wrapping, label::VAULT_HEADER);
        let storage = opened(&wrapping, authenticated, sealed).expect("the header as its layout says");
        let rows = derived(&storage, label::VAULT_ROWS);
        Locker { vault, rows, profile: profile.try_into().unwrap(), header }
    })
}

impl Locker {
    /// A secret as the bytes that would lie in the profile.
    pub fn bytes_of<S: Keep>(&self, secret: &S) -> Vec<u8> {
        let row = self.vault.seal_secret(TABLE, &PLACE, secret, &mut dice(6));
        let padded = opened(&self.rows, &self.associated(), &row).expect("a row as its layout says");
        let (length, rest) = padded.split_first_chunk().unwrap();
        rest[..u32::from_le_bytes(*length) as usize].to_vec()
    }

    /// What the vault takes these bytes of a row for; they may be any.
    pub fn secret_of<S: Keep>(&self, bytes: &[u8]) -> Option<S> {
        let padded = [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
        self.vault.open_secret(TABLE, &PLACE, &self.row(&padded)).ok()
    }

    /// A row that holds these bytes, its length and padding included.
    fn row(&self, padded: &[u8]) -> Vec<u8> {
        let mut bytes = padded.to_vec();
        let nonce = [9; NONCE];
        let tag = XChaCha20Poly1305::new(&self.rows.into())
            .encrypt_inout_detached(&nonce.into(), &self.associated(), bytes.as_mut_slice().into())
            .unwrap();
        [&nonce[..], &bytes, &tag].concat()
    }

    fn associated(&self) -> Vec<u8> {
        let table = [&[TABLE.len() as u8], TABLE.as_bytes()].concat();
        [label::VAULT_SECRET, &self.profile, &table, &PLACE].concat()
    }
}

fn derived(key: &[u8], label: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    Hkdf::<Sha256>::new(Some(&[0; 32]), key).expand(label, &mut output).unwrap();
    output
}

fn opened(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    let mut bytes = ciphertext.to_vec();
    let tag: [u8; TAG] = tag.try_into().ok()?;
    XChaCha20Poly1305::new(&(*key).into())
        .decrypt_inout_detached(&(*nonce).into(), associated, bytes.as_mut_slice().into(), &tag.into())
        .ok()?;
    Some(bytes)
}
