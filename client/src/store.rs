//! The encrypted profile: one folder, one SQLite file, every row sealed.

use std::path::Path;

use sealpost_crypto::vault::Cost;
use sealpost_crypto::{CryptoRng, Zeroizing};
use sealpost_spec::account::Name;
use sealpost_spec::relay::Address;

use crate::api::Error;

/// Where a test may let the machine die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Nothing of the step is on disk.
    BeforeCommit,
    /// All of the step is on disk, and nobody has heard of it.
    AfterCommit,
}

/// Called at every commit; `true` lets the commit fail there, for good.
pub type Faults = Box<dyn FnMut(CrashPoint) -> bool + Send>;

/// One person's profile, unlocked and held by this process alone.
pub struct Profile {
    _private: (),
}

impl Profile {
    /// Whether a profile is in this folder.
    pub fn exists(_dir: &Path) -> bool {
        todo!()
    }
    /// Makes a new profile, with new keys, and holds it. `now`: Unix milliseconds. The binary passes
    /// [`Cost::RECOMMENDED`].
    ///
    /// # Errors
    /// There is one already, the folder is open to others, or the disk fails.
    pub fn create(
        _dir: &Path,
        _passphrase: &[u8],
        _cost: Cost,
        _name: &Name,
        _relay: &Address,
        _rng: &mut dyn CryptoRng,
        _now: u64,
    ) -> Result<Self, Error> {
        todo!()
    }
    /// Opens a profile and holds it.
    ///
    /// # Errors
    /// `NoProfile`; `InUse`: another process holds it; `Locked`: wrong passphrase or altered files; `Failed`: open to
    /// other users of the machine, written by a newer version, or the disk fails.
    pub fn open(_dir: &Path, _passphrase: &[u8], _rng: &mut dyn CryptoRng) -> Result<Self, Error> {
        todo!()
    }
    /// The account's name.
    pub fn name(&self) -> &Name {
        todo!()
    }
    /// The relay's address.
    pub fn relay(&self) -> &Address {
        todo!()
    }
    /// Whether the relay has confirmed the name.
    pub fn registered(&self) -> bool {
        todo!()
    }
    /// The 24 recovery words.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn words(&self) -> Result<Zeroizing<String>, Error> {
        todo!()
    }
    /// Deletes a profile that never came to be registered: a name that was taken leaves nothing behind.
    ///
    /// # Errors
    /// It is registered, or a file can't be deleted.
    pub fn discard(self) -> Result<(), Error> {
        todo!()
    }
    /// For tests: commits without waiting for the disk.
    pub fn without_sync(&self) {
        todo!()
    }
    /// For tests: lets commits fail.
    pub fn set_faults(&mut self, _faults: Faults) {
        todo!()
    }
}
