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

/// The keys of a vault, as whoever has the passphrase comes to them.
pub struct Keys {
    /// What wraps the storage key.
    pub wrapping: [u8; 32],
    /// What all others are made of.
    pub storage: [u8; 32],
    /// What seals rows.
    pub rows: [u8; 32],
    /// What blinds lookup keys.
    pub blind: [u8; 32],
    profile: [u8; 16],
}

impl Keys {
    /// Those of a header; `None` where the passphrase is another one, or the header none.
    pub fn of(passphrase: &[u8], header: &[u8]) -> Option<Self> {
        let (authenticated, sealed) = header.split_at_checked(8 + 12 + 16 + 16)?;
        let field = |at: usize| u32::from_le_bytes(authenticated[at..at + 4].try_into().unwrap());
        let (salt, profile) = authenticated[20..].split_at(16);
        let cost = argon2::Params::new(field(8), field(12), field(16), Some(32)).ok()?;
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost);
        let mut stretched = [0; 32];
        argon2.hash_password_into(passphrase, salt, &mut stretched).ok()?;
        let wrapping = derived(&stretched, label::VAULT_HEADER);
        let storage: [u8; 32] = opened(&wrapping, authenticated, sealed)?.try_into().ok()?;
        let (rows, blind) = (derived(&storage, label::VAULT_ROWS), derived(&storage, label::VAULT_BLIND));
        Some(Self { wrapping, storage, rows, blind, profile: profile.try_into().unwrap() })
    }

    /// The bytes of a secret that lies in a row; `None` where it is another sort of row.
    pub fn secret_in(&self, table: &str, place: &[u8], row: &[u8]) -> Option<Vec<u8>> {
        let padded = opened(&self.rows, &self.associated(table, place), row)?;
        let (length, rest) = padded.split_first_chunk()?;
        Some(rest.get(..u32::from_le_bytes(*length) as usize)?.to_vec())
    }

    fn associated(&self, table: &str, place: &[u8]) -> Vec<u8> {
        let table = [&[table.len() as u8], table.as_bytes()].concat();
        [label::VAULT_SECRET, &self.profile, &table, place].concat()
    }
}

/// A vault, its header, and its keys.
pub struct Locker {
    pub vault: Vault,
    pub header: Vec<u8>,
    keys: Keys,
}

/// The one vault: deriving its key takes a while.
pub fn locker() -> &'static Locker {
    static LOCKER: OnceLock<Locker> = OnceLock::new();
    LOCKER.get_or_init(|| {
        let (vault, header) = Vault::create(PASSPHRASE, Cost::FLOOR, &mut dice(5)).unwrap();
        let keys = Keys::of(PASSPHRASE, &header).expect("the header as its layout says");
        Locker { vault, header, keys }
    })
}

impl Locker {
    /// A secret as the bytes that would lie in the profile.
    pub fn bytes_of<S: Keep>(&self, secret: &S) -> Vec<u8> {
        let row = self.vault.seal_secret(TABLE, &PLACE, secret, &mut dice(6));
        self.keys.secret_in(TABLE, &PLACE, &row).expect("a row as its layout says")
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
        let tag = XChaCha20Poly1305::new(&self.keys.rows.into())
            .encrypt_inout_detached(&nonce.into(), &self.keys.associated(TABLE, &PLACE), bytes.as_mut_slice().into())
            .unwrap();
        [&nonce[..], &bytes, &tag].concat()
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
