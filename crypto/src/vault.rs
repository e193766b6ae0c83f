//! Passphrase to storage key; and the only door out for a secret: rows sealed with XChaCha20-Poly1305.
//!
//! ```text
//! header   magic 8 "SPVAULT1" | memory u32 | passes u32 | lanes u32 | salt 16 | profile 16 | nonce 24 | wrapped 32 + 16
//! wrapping key = HKDF(zeros, Argon2id(passphrase, salt, cost), label VAULT_HEADER); associated data: all before nonce
//! row key      = HKDF(zeros, storage key, label VAULT_ROWS)
//! blinding key = HKDF(zeros, storage key, label VAULT_BLIND)
//! row      nonce 24 | XChaCha20-Poly1305(row key, nonce, length u32 | row | zeros up to a size class)
//!          associated data: label VAULT_ROW, or VAULT_SECRET | profile | table (short) | blinded key 32
//! blinded  HMAC-SHA256(blinding key, table (short) | key)
//! ```
use sealpost_spec::label;
use sealpost_spec::message::TAG;
use sealpost_spec::wire::layout::{Reader, Writer};
use zeroize::Zeroizing;

use crate::primitive::{argon2id, hkdf, hmac, x_open, x_seal};
use crate::secret::Secret;
use crate::{CryptoRng, Refused};

pub(crate) mod door;
#[cfg(test)]
pub(crate) mod tests;

/// First bytes of a header; the last one is the version.
const MAGIC: &[u8; 8] = b"SPVAULT1";
const NONCE: usize = 24;
/// Bytes before the nonce: what the wrapping authenticates.
const AUTHENTICATED: usize = 8 + 4 + 4 + 4 + 16 + 16;

/// Bytes of a vault's header.
pub const HEADER: usize = AUTHENTICATED + NONCE + 32 + TAG;

/// Argon2id parameters (RFC 9106), stored in the header and authenticated by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}
impl Cost {
    /// RFC 9106's second recommendation: 64 MiB, t=3, p=4.
    pub const RECOMMENDED: Self = Self { memory: 64 * 1024, passes: 3, lanes: 4 };
    /// The least that is accepted of a header: a weaker one was tampered with.
    pub const FLOOR: Self = Self { memory: 19 * 1024, passes: 2, lanes: 1 };
    /// The most that is accepted, before anything is allocated: a stronger one would stop the machine.
    pub const CEILING: Self = Self { memory: 1024 * 1024, passes: 16, lanes: 16 };

    fn check(self) -> Result<Self, Refused> {
        let fits = (Self::FLOOR.memory..=Self::CEILING.memory).contains(&self.memory)
            && (Self::FLOOR.passes..=Self::CEILING.passes).contains(&self.passes)
            && (Self::FLOOR.lanes..=Self::CEILING.lanes).contains(&self.lanes);
        if fits { Ok(self) } else { Err(Refused) }
    }
}

/// The keys of an unlocked profile.
pub struct Vault {
    storage: Secret<32>,
    rows: Secret<32>,
    blind: Secret<32>,
    profile: [u8; 16],
}

impl Vault {
    /// A new vault: random storage key, wrapped under the passphrase. Returns the header to store beside the rows.
    ///
    /// # Errors
    /// A cost beyond [`Cost::FLOOR`] or [`Cost::CEILING`].
    pub fn create(passphrase: &[u8], cost: Cost, rng: &mut dyn CryptoRng) -> Result<(Self, Vec<u8>), Refused> {
        let mut profile = [0; 16];
        rng.fill_bytes(&mut profile);
        let vault = Self::of(Secret::random(rng), profile);
        let header = vault.rewrap(passphrase, cost, rng)?;
        Ok((vault, header))
    }

    /// Opens it again.
    ///
    /// # Errors
    /// Wrong passphrase, altered header, parameters beyond floor or ceiling: one error for all.
    pub fn unlock(header: &[u8], passphrase: &[u8]) -> Result<Self, Refused> {
        let (authenticated, _) = header.split_at_checked(AUTHENTICATED).ok_or(Refused)?;
        let mut reader = Reader::new(header);
        if header.len() != HEADER || reader.fixed::<8>()? != *MAGIC {
            return Err(Refused);
        }
        let cost = Cost { memory: reader.u32()?, passes: reader.u32()?, lanes: reader.u32()? }.check()?;
        let (salt, profile, nonce) = (reader.fixed()?, reader.fixed()?, reader.fixed()?);
        let key = wrapping_key(passphrase, &salt, cost)?;
        let storage = x_open(&key, &nonce, authenticated, reader.rest())?;
        Ok(Self::of(Secret::copied(&storage)?, profile))
    }

    /// The same storage key under another passphrase: the new header. Rows stay as they are.
    ///
    /// # Errors
    /// A cost beyond [`Cost::FLOOR`] or [`Cost::CEILING`].
    pub fn rewrap(&self, passphrase: &[u8], cost: Cost, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Refused> {
        self.wrapped(passphrase, cost.check()?, rng)
    }

    fn wrapped(&self, passphrase: &[u8], cost: Cost, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Refused> {
        let (mut salt, mut nonce) = ([0; 16], [0; NONCE]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let authenticated = Writer::new()
            .fixed(MAGIC)
            .u32(cost.memory)
            .u32(cost.passes)
            .u32(cost.lanes)
            .fixed(&salt)
            .fixed(&self.profile)
            .done();
        let mut header = [&authenticated[..], &nonce].concat();
        let key = wrapping_key(passphrase, &salt, cost)?;
        x_seal(&key, &nonce, &authenticated, self.storage.expose(), &mut header)?;
        Ok(header)
    }

    /// The blinded form of a lookup key of a table: keyed, deterministic, tells nothing.
    pub fn blind(&self, table: &str, key: &[u8]) -> [u8; 32] {
        *hmac(&self.blind, &[&Writer::new().short(table.as_bytes()).done(), key]).expose()
    }

    /// Seals a row, padded to a size class. `key`: its blinded key; both are authenticated.
    pub fn seal(&self, table: &str, key: &[u8; 32], row: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.sealed(&self.of_row(table, key), row, rng)
    }

    /// Opens a row.
    ///
    /// # Errors
    /// Altered, another profile's, moved from another table or key, or one that holds a secret.
    pub fn open(&self, table: &str, key: &[u8; 32], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.opened(&self.of_row(table, key), sealed)
    }

    /// Seals a secret as a row.
    pub fn seal_secret<S: Keep>(&self, table: &str, key: &[u8; 32], secret: &S, rng: &mut dyn CryptoRng) -> Vec<u8> {
        self.sealed(&self.of_secret(table, key), &secret.leave(door::Pass::new()), rng)
    }

    /// Opens a row that holds a secret.
    ///
    /// # Errors
    /// As [`Self::open`]; or the row holds no secret, another kind of it, or a newer version.
    pub fn open_secret<S: Keep>(&self, table: &str, key: &[u8; 32], sealed: &[u8]) -> Result<S, Refused> {
        S::enter(&self.opened(&self.of_secret(table, key), sealed)?, door::Pass::new())
    }

    /// Whether a row opens, be it a secret or not.
    pub fn opens(&self, table: &str, key: &[u8; 32], sealed: &[u8]) -> bool {
        [self.of_row(table, key), self.of_secret(table, key)].iter().any(|data| self.opened(data, sealed).is_ok())
    }

    fn sealed(&self, associated: &[u8], row: &[u8], rng: &mut dyn CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut padded = Zeroizing::new(Vec::with_capacity(size_class(row.len() + 4)));
        padded.extend_from_slice(&(row.len() as u32).to_le_bytes());
        padded.extend_from_slice(row);
        padded.resize(size_class(row.len() + 4), 0);
        let mut sealed = Vec::with_capacity(NONCE + padded.len() + TAG);
        sealed.extend_from_slice(&nonce);
        let done = x_seal(&self.rows, &nonce, associated, &padded, &mut sealed);
        // It fails for a row beyond 256 GiB only; what is returned then opens for nobody.
        debug_assert!(done.is_ok());
        sealed
    }

    fn opened(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().ok_or(Refused)?;
        let mut padded = x_open(&self.rows, nonce, associated, ciphertext)?;
        let mut reader = Reader::new(&padded);
        let length = reader.long()?.len();
        if reader.rest().iter().any(|byte| *byte != 0) {
            return Err(Refused);
        }
        padded.copy_within(4..4 + length, 0);
        padded.truncate(length);
        Ok(padded)
    }

    fn of(storage: Secret<32>, profile: [u8; 16]) -> Self {
        let rows = hkdf(&[0; 32], &[storage.expose()], &[label::VAULT_ROWS]);
        let blind = hkdf(&[0; 32], &[storage.expose()], &[label::VAULT_BLIND]);
        Self { storage, rows, blind, profile }
    }

    fn of_row(&self, table: &str, key: &[u8; 32]) -> Vec<u8> {
        self.associated(label::VAULT_ROW, table, key)
    }

    fn of_secret(&self, table: &str, key: &[u8; 32]) -> Vec<u8> {
        self.associated(label::VAULT_SECRET, table, key)
    }

    /// A row opens as what it was sealed: no secret as plain bytes, and no plain bytes as a secret.
    fn associated(&self, label: &[u8], table: &str, key: &[u8; 32]) -> Vec<u8> {
        Writer::new().fixed(label).fixed(&self.profile).short(table.as_bytes()).fixed(key).done()
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

fn wrapping_key(passphrase: &[u8], salt: &[u8; 16], cost: Cost) -> Result<Secret<32>, Refused> {
    let key = argon2id(passphrase, salt, cost.memory, cost.passes, cost.lanes)?;
    Ok(hkdf(&[0; 32], &[key.expose()], &[label::VAULT_HEADER]))
}

/// 64, 128, 256, 512 bytes, then whole KiB: the length of a row tells little of what it holds.
fn size_class(length: usize) -> usize {
    match length {
        0..=512 => length.next_power_of_two().max(64),
        _ => length.next_multiple_of(1024),
    }
}

/// What may be kept in a vault: [`crate::session::Session`], account, device and prekey secrets. Sealed.
///
/// ```compile_fail
/// fn steal<S: sealpost_crypto::vault::Keep>(secret: &S) -> Vec<u8> {
///     secret.leave(todo!()).to_vec() // nobody outside can name, make or return a `Pass`
/// }
/// let pass: sealpost_crypto::vault::door::Pass;
/// ```
pub trait Keep: door::Door {}
impl Keep for crate::session::Session {}
impl Keep for crate::identity::AccountSecret {}
impl Keep for crate::identity::DeviceSecret {}
impl Keep for crate::identity::PrekeySecret {}
