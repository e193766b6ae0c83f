//! The file `vault`: what turns the passphrase into the storage key. It is written whole or not at all, and another
//! passphrase changes nothing else: rows are sealed under the storage key, which stays.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sealpost_crypto::CryptoRng;
use sealpost_crypto::vault::{self, Cost, Vault};

use super::{HEADER, Profile, closed_to_others, trouble};
use crate::api::{Error, ErrorCode};

/// The vault of a profile that somebody else may hold: whoever has it may change the passphrase, and read no row.
pub struct Header {
    dir: PathBuf,
    vault: Vault,
    /// Two that change the passphrase at once would each believe that theirs is the one.
    _alone: File,
}

impl Header {
    /// Opens it, while the profile itself may be held by another process.
    ///
    /// # Errors
    /// As [`Profile::open`]; `InUse`: the passphrase is just being changed by somebody else.
    pub fn open(dir: &Path, passphrase: &[u8]) -> Result<Self, Error> {
        there(dir)?;
        let alone = alone(dir)?;
        Ok(Self { dir: dir.to_owned(), vault: unlock(dir, passphrase)?, _alone: alone })
    }

    /// From now on this passphrase opens the profile, and the one before does not. Whoever holds the profile goes on.
    ///
    /// # Errors
    /// The disk fails; then the passphrase is the one before.
    pub fn change(self, passphrase: &[u8], cost: Cost, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let header = self.vault.rewrap(passphrase, cost, rng);
        let header = header.map_err(|_| Error::new(ErrorCode::Failed, "no key could be made"))?;
        let path = self.dir.join(HEADER);
        let before = OpenOptions::new().write(true).open(&path).map_err(|cause| trouble(&path, &cause))?;
        write_new(&path, &header).map_err(|cause| trouble(&path, &cause))?;
        // The new one is durable: what the old passphrase opens need not stay on the disk.
        if let Err(cause) = overwrite(&before) {
            tracing::warn!(%cause, "the old header could not be overwritten; it is deleted");
        }
        Ok(())
    }
}

/// Nobody else writes the header, or deletes it, until what is returned is dropped.
pub(super) fn alone(dir: &Path) -> Result<File, Error> {
    let alone = File::open(dir).map_err(|cause| trouble(dir, &cause))?;
    match alone.try_lock() {
        Ok(()) => Ok(alone),
        Err(TryLockError::WouldBlock) => {
            let error = Error::new(ErrorCode::InUse, "another process is changing the passphrase");
            Err(error.advise("wait for it, then try again"))
        }
        Err(TryLockError::Error(cause)) => Err(trouble(dir, &cause)),
    }
}

/// A profile that is there and closed to others.
pub(super) fn there(dir: &Path) -> Result<(), Error> {
    if !Profile::exists(dir) {
        return Err(Error::new(ErrorCode::NoProfile, format!("there is no profile in {}", dir.display()))
            .advise("sealpost init"));
    }
    closed_to_others(dir)?;
    closed_to_others(&dir.join(HEADER))
}

/// Turns the passphrase into the storage key.
pub(super) fn unlock(dir: &Path, passphrase: &[u8]) -> Result<Vault, Error> {
    let header = std::fs::read(dir.join(HEADER)).map_err(|cause| trouble(dir, &cause))?;
    Vault::unlock(&header, passphrase).map_err(|_| {
        Error::new(ErrorCode::Locked, "the profile does not open")
            .because("the passphrase is wrong, or the file `vault` was altered")
            .advise("give the passphrase again; nothing was changed")
    })
}

/// Fills a header with zeros.
pub(super) fn overwrite(mut header: &File) -> std::io::Result<()> {
    header.seek(SeekFrom::Start(0))?;
    header.write_all(&[0; vault::HEADER])?;
    header.sync_all()
}

/// Writes a file that appears whole or not at all.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    // Whatever lies there was left by a crash, and might be open to others.
    match std::fs::remove_file(&new) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sealpost_crypto::vault::Cost;

    use super::super::tests::{code, create, home, open};
    use super::Header;
    use crate::api::ErrorCode;

    const NEW: &[u8] = b"another one";

    #[test]
    fn another_passphrase_leaves_the_rows_and_their_holder_alone() {
        let (_dir, home) = home();
        let held = create(&home).unwrap();
        let database = || std::fs::read(home.join("profile.db")).unwrap();
        let (before, words) = (database(), held.words().unwrap());
        assert_eq!(Header::open(&home, b"wrong").err().unwrap().code, ErrorCode::Locked);
        let header = Header::open(&home, b"right").unwrap();
        header.change(NEW, Cost::FLOOR, &mut rand::rng()).unwrap();
        assert!(before == database(), "no row was written");
        assert_eq!(*held.words().unwrap(), *words, "whoever holds it goes on");
        drop(held);
        assert_eq!(code(open(&home, b"right")), Some(ErrorCode::Locked));
        assert_eq!(*open(&home, NEW).unwrap().words().unwrap(), *words);
    }

    /// What a crash left of an earlier attempt is in nobody's way, and what the old passphrase opens is gone.
    #[test]
    fn nothing_stays_that_the_old_passphrase_opens() {
        let (_dir, home) = home();
        drop(create(&home).unwrap());
        std::fs::write(home.join("vault.new"), "half of a header").unwrap();
        let kept = home.join("kept");
        std::fs::hard_link(home.join("vault"), &kept).unwrap();
        drop(open(&home, b"right").unwrap());
        let header = Header::open(&home, b"right").unwrap();
        assert_eq!(Header::open(&home, b"right").err().unwrap().code, ErrorCode::InUse, "one at a time");
        header.change(NEW, Cost::FLOOR, &mut rand::rng()).unwrap();
        assert!(std::fs::read(&kept).unwrap().iter().all(|byte| *byte == 0), "the old header is overwritten");
        assert!(!home.join("vault.new").exists());
        drop(open(&home, NEW).unwrap());
    }
}
