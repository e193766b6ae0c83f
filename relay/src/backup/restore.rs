//! From a backup to a relay.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sealpost_crypto::Zeroizing;
use sealpost_crypto::identity::RelaySecret;
use sha2::{Digest, Sha256};
use tar::{Entries, EntryType};

use super::{BLOBS, BackupError, FIRST_FORMAT, FORMAT, Hashed, KEY, MAILBOXES, README, STORE, SUMS, about, line};
use crate::folder::Folder;
use crate::store::segments;
use crate::store::sqlite::{blobs, copy};

/// Longest of the files but the store.
const SMALL: u64 = 4 * 1024;
/// Longest of the sums: a million sealed files.
const LARGEST_SUMS: u64 = 128 * 1024 * 1024;
/// What may be in a folder that counts as empty.
const LOCK: &str = "relay.lock";

/// Makes a relay of a backup, in a folder that is empty or not there yet. All is checked before anything stands in its
/// place. `progress`: bytes of the store that were read, and how many there are.
///
/// # Errors
/// See [`BackupError`]; then the folder is as it was.
pub fn restore(from: impl Read, data: &Path, progress: impl FnMut(u64, u64)) -> Result<(), BackupError> {
    // Nobody starts a relay in it meanwhile.
    let folder = Folder::open(data)?;
    let others = std::fs::read_dir(data).map_err(about(data))?.filter_map(Result::ok);
    if others.into_iter().any(|file| file.file_name() != LOCK) {
        return Err(BackupError::NotEmpty(data.to_owned()));
    }
    let work = tempfile::Builder::new().prefix(".restore-").tempdir_in(data).map_err(about(data))?;
    unpack(from, work.path(), progress)?;
    copy::renew(&work.path().join(STORE))?;
    // Not there in the first format.
    let mailboxes = work.path().join(MAILBOXES);
    if mailboxes.exists() {
        let (series, tables) = copy::groups(&work.path().join(STORE))?;
        segments::check(&mailboxes, series, tables)?;
        File::open(&mailboxes).and_then(|folder| folder.sync_all()).map_err(about(&mailboxes))?;
    }
    // The key first: a key without its store is a relay that lost it, and its clients fill it again; a store without its
    // key would be some other relay's.
    let mailboxes = mailboxes.exists().then_some(MAILBOXES);
    for name in [KEY, BLOBS].into_iter().chain(mailboxes).chain([STORE]) {
        let into = data.join(name);
        std::fs::rename(work.path().join(name), &into).map_err(about(&into))?;
    }
    drop(work);
    File::open(data).and_then(|data| data.sync_all()).map_err(about(data))?;
    drop(folder);
    Ok(())
}

fn unpack(from: impl Read, work: &Path, mut progress: impl FnMut(u64, u64)) -> Result<(), BackupError> {
    let mut archive = tar::Archive::new(from);
    let mut entries = archive.entries().map_err(|error| broken(&error))?;
    let mut sums = String::new();
    let readme = small(&mut entries, README, &mut sums)?;
    let format = readme.split(|byte| *byte == b'\n').next();
    if [FORMAT, FIRST_FORMAT].iter().all(|known| format != Some(known.as_bytes())) {
        return Err(BackupError::Damaged("it is no backup of a relay in a format that this version knows".to_owned()));
    }
    let key = Zeroizing::new(small(&mut entries, KEY, &mut sums)?);
    if RelaySecret::from_pkcs8(&key).is_err() {
        return Err(BackupError::Damaged("relay.key in it is no relay's key".to_owned()));
    }
    write(&work.join(KEY), &mut key.as_slice(), |_| {})?;
    sums += &store(&mut entries, &work.join(STORE), &mut progress)?;
    let said = files(&mut entries, work, &mut sums)?;
    if said != sums.as_bytes() {
        return Err(BackupError::Damaged("it is not what was written: a checksum differs".to_owned()));
    }
    Ok(())
}

fn broken(error: &std::io::Error) -> BackupError {
    BackupError::Damaged(format!("it is no backup of a relay, or not all of it: {error}"))
}

/// The next file of an archive, which must be this one.
fn next<'a, R: Read>(entries: &mut Entries<'a, R>, name: &str) -> Result<tar::Entry<'a, R>, BackupError> {
    let missing = || BackupError::Damaged(format!("it is no backup of a relay, or not all of it: {name} is missing"));
    let entry = entries.next().ok_or_else(missing)?.map_err(|error| broken(&error))?;
    let named = entry.path_bytes().as_ref() == name.as_bytes();
    if named && entry.header().entry_type() == EntryType::Regular { Ok(entry) } else { Err(missing()) }
}

fn small<R: Read>(entries: &mut Entries<'_, R>, name: &str, sums: &mut String) -> Result<Vec<u8>, BackupError> {
    let bytes = contents(next(entries, name)?, name)?;
    *sums += &line(name, Sha256::new_with_prefix(&bytes));
    Ok(bytes)
}

fn contents<R: Read>(entry: tar::Entry<'_, R>, name: &str) -> Result<Vec<u8>, BackupError> {
    // The sums have a line for each sealed file.
    let (size, most) = (entry.size(), if name == SUMS { LARGEST_SUMS } else { SMALL });
    let mut bytes = Vec::new();
    if size <= most {
        entry.take(most).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
    }
    if bytes.len() as u64 != size {
        return Err(BackupError::Damaged(format!("{name} in it is not as long as it says")));
    }
    Ok(bytes)
}

/// Writes the segments and the sealed files, and gives what comes after them.
fn files<R: Read>(entries: &mut Entries<'_, R>, work: &Path, sums: &mut String) -> Result<Vec<u8>, BackupError> {
    let folder = |name: &str| {
        let folder = work.join(name);
        DirBuilder::new().mode(0o700).recursive(true).create(&folder).map_err(about(&folder))
    };
    folder(BLOBS)?;
    loop {
        let missing =
            || BackupError::Damaged(format!("it is no backup of a relay, or not all of it: {SUMS} is missing"));
        let entry = entries.next().ok_or_else(missing)?.map_err(|error| broken(&error))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != EntryType::Regular {
            return Err(missing());
        }
        if name == SUMS {
            return contents(entry, SUMS);
        }
        // A name that leads elsewhere is none.
        let blob = name.strip_prefix(BLOBS).is_some_and(blobs::is_name);
        if name.strip_prefix(MAILBOXES).is_some_and(segments::is_name) {
            folder(MAILBOXES)?;
        } else if !blob {
            return Err(missing());
        }
        let size = entry.size();
        let mut hashed = Hashed { from: entry, sum: Sha256::new(), bytes: 0 };
        if write(&work.join(&name), &mut hashed, |_| {})? != size {
            return Err(BackupError::Damaged("it ends too early".to_owned()));
        }
        *sums += &line(&name, hashed.sum);
    }
}

/// Writes the store, and gives its line of the sums.
fn store<R: Read>(
    entries: &mut Entries<'_, R>,
    into: &Path,
    progress: &mut impl FnMut(u64, u64),
) -> Result<String, BackupError> {
    let entry = next(entries, STORE)?;
    let size = entry.size();
    let mut hashed = Hashed { from: entry, sum: Sha256::new(), bytes: 0 };
    let written = write(into, &mut hashed, |done| progress(done, size))?;
    if written != size {
        return Err(BackupError::Damaged("it ends too early".to_owned()));
    }
    Ok(line(STORE, hashed.sum))
}

/// Writes a file that nobody else may read, durably; how many bytes it has.
fn write(path: &Path, from: &mut impl Read, mut progress: impl FnMut(u64)) -> Result<u64, BackupError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(about(path))?;
    let (mut buffer, mut written) = (vec![0; 256 * 1024], 0);
    loop {
        let read = from.read(&mut buffer).map_err(|error| broken(&error))?;
        if read == 0 {
            break;
        }
        file.write_all(buffer.get(..read).unwrap_or_default()).map_err(about(path))?;
        written += read as u64;
        progress(written);
    }
    file.sync_all().map_err(about(path))?;
    Ok(written)
}
