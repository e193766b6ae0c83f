//! The folder of a relay: its key, its store, and a lock, for nobody else to read.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sealpost_crypto::Zeroizing;
use sealpost_crypto::identity::RelaySecret;

/// A relay's data folder, which this process has for itself.
pub struct Folder {
    path: PathBuf,
    _lock: Lock,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another relay runs in it.
    #[error("another relay is running in {0}")]
    InUse(PathBuf),
    /// Others on this machine could read it.
    #[error("{path} is open to others: its mode is {mode:o}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key file is no relay's key.
    #[error("{0} holds no relay's key")]
    Key(PathBuf),
    /// The operating system's own words.
    #[error("{path}: {error}")]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why it was not.
        error: Error,
    },
}

/// Held until it is dropped.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread is just starting has it, too, for a moment.
        let _ = self.0.unlock();
    }
}

impl Folder {
    /// Opens the folder, or makes it with mode 0700, and locks it until this is dropped.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn open(path: &Path) -> std::result::Result<Self, FolderError> {
        let io = |error| FolderError::Io { path: path.to_owned(), error };
        DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(io)?;
        closed(path)?;
        let lock =
            OpenOptions::new().create(true).append(true).mode(0o600).open(path.join("relay.lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: Lock(lock) }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.path.join("relay.db")
    }

    /// The relay's key, made where there is none yet.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn key(&self) -> std::result::Result<RelaySecret, FolderError> {
        match read_key(&self.path)? {
            Some(secret) => Ok(secret),
            None => {
                let secret = RelaySecret::generate(&mut rand::rng());
                self.keep_key(&secret)?;
                Ok(secret)
            }
        }
    }

    /// The relay's key; `None` where there is none yet.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn known_key(&self) -> std::result::Result<Option<RelaySecret>, FolderError> {
        read_key(&self.path)
    }

    /// Makes this the relay's key, in a folder that has none.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn keep_key(&self, secret: &RelaySecret) -> std::result::Result<(), FolderError> {
        let path = self.path.join(KEY);
        let io = |error| FolderError::Io { path: path.clone(), error };
        // Whole or not at all: a relay whose key is lost has another address.
        let new = self.path.join("relay.key.new");
        write_new(&new, &secret.pkcs8()).map_err(io)?;
        std::fs::rename(&new, &path).map_err(io)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(io)
    }

    /// Removes a key that was made and never used.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn drop_key(&self) -> std::result::Result<(), FolderError> {
        let path = self.path.join(KEY);
        std::fs::remove_file(&path).map_err(|error| FolderError::Io { path, error })
    }

    /// Notes where the relay listens, for `sealpost-relay address`.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn note_port(&self, port: u16) -> std::result::Result<(), FolderError> {
        let path = self.path.join(PORT);
        let io = |error| FolderError::Io { path: path.clone(), error };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        write_new(&path, format!("{port}\n").as_bytes()).map_err(io)
    }
}

const KEY: &str = "relay.key";
const PORT: &str = "relay.port";

/// The key in a folder, without locking it; `None` where there is none yet.
///
/// # Errors
/// See [`FolderError`].
pub fn read_key(folder: &Path) -> std::result::Result<Option<RelaySecret>, FolderError> {
    read_key_file(&folder.join(KEY))
}

/// The key in a file; `None` where there is no such file.
///
/// # Errors
/// See [`FolderError`].
pub fn read_key_file(path: &Path) -> std::result::Result<Option<RelaySecret>, FolderError> {
    let io = |error| FolderError::Io { path: path.to_owned(), error };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    closed(path)?;
    let mut der = Zeroizing::new(Vec::with_capacity(128));
    Read::by_ref(&mut file).take(128).read_to_end(&mut der).map_err(io)?;
    RelaySecret::from_pkcs8(&der).map(Some).map_err(|_| FolderError::Key(path.to_owned()))
}

/// The port that the relay of this folder listened on last.
pub fn noted_port(folder: &Path) -> Option<u16> {
    std::fs::read_to_string(folder.join(PORT)).ok()?.trim().parse().ok()
}

/// Writes a file that nobody else may read and that is not there yet, durably.
///
/// # Errors
/// The operating system's own.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    // A rest of an attempt that was killed.
    let _ = std::fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn closed(path: &Path) -> std::result::Result<(), FolderError> {
    let metadata = std::fs::metadata(path).map_err(|error| FolderError::Io { path: path.to_owned(), error })?;
    match metadata.mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(FolderError::Open { path: path.to_owned(), mode }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    /// The key stays, is private, and is not the store's: a lost store leaves the address as it was.
    #[test]
    fn the_key_stays() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("some/data");
        assert!(read_key(&path).unwrap().is_none());
        let folder = Folder::open(&path).unwrap();
        let key = folder.key().unwrap().public();
        assert_eq!(folder.key().unwrap().public(), key);
        drop(folder);
        assert_eq!(read_key(&path).unwrap().map(|secret| secret.public()), Some(key));
        assert_eq!((mode(&path), mode(&path.join(KEY))), (0o700, 0o600));
        std::fs::write(path.join(KEY), b"not a key").unwrap();
        assert!(matches!(read_key(&path), Err(FolderError::Key(_))));
    }

    /// Two relays can't share a folder, and a folder or key that others can read is refused.
    #[test]
    fn a_folder_is_for_one_relay() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("data");
        let folder = Folder::open(&path).unwrap();
        folder.key().unwrap();
        assert!(matches!(Folder::open(&path), Err(FolderError::InUse(_))));
        // A child that another thread is just starting has the lock's file for a moment, and keeps nobody out.
        let _inherited = folder._lock.0.try_clone().unwrap();
        drop(folder);
        std::fs::set_permissions(path.join(KEY), PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(Folder::open(&path).unwrap().key(), Err(FolderError::Open { mode: 0o640, .. })));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(matches!(Folder::open(&path), Err(FolderError::Open { mode: 0o755, .. })));
    }
}
