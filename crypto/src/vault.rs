//! Passphrase to storage key; and the only door out for a secret: rows sealed with XChaCha20-Poly1305.
use crate::{CryptoRng, Refused};

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
    /// The least that is accepted of a header: a weaker one was tampered with. (`test-costs` lowers nothing.)
    pub const FLOOR: Self = Self { memory: 19 * 1024, passes: 2, lanes: 1 };
}

/// The keys of an unlocked profile.
pub struct Vault {
    _private: (),
}
impl Vault {
    /// A new vault: random storage key, wrapped under the passphrase. Returns the header to store beside the rows.
    pub fn create(_passphrase: &[u8], _cost: Cost, _rng: &mut dyn CryptoRng) -> Result<(Self, Vec<u8>), Refused> {
        todo!()
    }
    /// Opens it again. Errors: wrong passphrase, altered header, parameters beyond floor or ceiling.
    pub fn unlock(_header: &[u8], _passphrase: &[u8]) -> Result<Self, Refused> {
        todo!()
    }
    /// The same storage key under another passphrase: the new header.
    pub fn rewrap(&self, _passphrase: &[u8], _cost: Cost, _rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Refused> {
        todo!()
    }
    /// The blinded form of a lookup key of a table: keyed, deterministic, tells nothing.
    pub fn blind(&self, _table: &str, _key: &[u8]) -> [u8; 32] {
        todo!()
    }
    /// Seals a row, padded to a size class. `key`: its blinded key; both are authenticated.
    pub fn seal(&self, _table: &str, _key: &[u8; 32], _row: &[u8], _rng: &mut dyn CryptoRng) -> Vec<u8> {
        todo!()
    }
    /// Opens a row.
    pub fn open(&self, _table: &str, _key: &[u8; 32], _sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, Refused> {
        todo!()
    }
    /// Seals a secret as a row.
    pub fn seal_secret<S: Keep>(
        &self,
        _table: &str,
        _key: &[u8; 32],
        _secret: &S,
        _rng: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        todo!()
    }
    /// Opens a row that holds a secret.
    pub fn open_secret<S: Keep>(&self, _table: &str, _key: &[u8; 32], _sealed: &[u8]) -> Result<S, Refused> {
        todo!()
    }
}

mod door {
    pub trait Door: Sized {}
}
/// What may be kept in a vault: [`crate::session::Session`], account, device and prekey secrets. Sealed.
pub trait Keep: door::Door {}
impl door::Door for crate::session::Session {}
impl Keep for crate::session::Session {}
impl door::Door for crate::identity::AccountSecret {}
impl Keep for crate::identity::AccountSecret {}
impl door::Door for crate::identity::DeviceSecret {}
impl Keep for crate::identity::DeviceSecret {}
impl door::Door for crate::identity::PrekeySecret {}
impl Keep for crate::identity::PrekeySecret {}
