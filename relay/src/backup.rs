//! A relay in one file: its key and its store, as they were at one moment.
//!
//! A backup is a tar archive of these files, in this order, so that a person can look at it, and `sha256sum -c` check it:
//!
//! | file | holds |
//! |---|---|
//! | `README` | what this is, how it is restored, and on its first line the format's version |
//! | `relay.key` | the relay's key, PKCS #8: whoever has it can pose as the relay |
//! | `relay.db` | the store, an SQLite file |
//! | `mailboxes/NUMBER` | what waits in mailboxes, a segment each; the first format has it in `relay.db` |
//! | `blobs/ID` | a sealed file each, as far as it was there |
//! | `SHA256SUMS` | the SHA-256 of all of them, as `sha256sum` writes them |
//!
//! It is written under another name and gets its own once it is on the disk; it replaces nothing. What `restore` makes
//! of it is a relay with the same address and a store of its own: [RELAY-20] says what its clients make of that.

mod restore;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::folder::{self, FolderError};
use crate::store::segments::{self, SegmentError};
use crate::store::sqlite::{OpenError, blobs, copy};
pub use restore::restore;

/// What stands first in every backup of this format, and of the one before.
const FORMAT: &str = "Sealpost relay backup, format 2";
const FIRST_FORMAT: &str = "Sealpost relay backup, format 1";
const README: &str = "README";
const KEY: &str = "relay.key";
const STORE: &str = "relay.db";
const SUMS: &str = "SHA256SUMS";
const BLOBS: &str = "blobs/";
const MAILBOXES: &str = "mailboxes/";

/// Why there is no backup, or no relay made of one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something of this name is there.
    #[error("{0} is there already")]
    Exists(PathBuf),
    /// There is no relay in the folder.
    #[error("there is no relay in {0}")]
    Nothing(PathBuf),
    /// A relay is made in an empty folder only.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// It is none, or not as it was written.
    #[error("{0}")]
    Damaged(String),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What waits in mailboxes.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The operating system's own words.
    #[error("{path}: {error}")]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why it was not.
        error: std::io::Error,
    },
}

/// Says which file an error is about.
fn about(path: &Path) -> impl Fn(std::io::Error) -> BackupError + '_ {
    |error| BackupError::Io { path: path.to_owned(), error }
}

/// Writes a backup of the relay in this folder, which may run, into a file that is not there yet. `progress`: how much
/// is done, of how much.
///
/// # Errors
/// See [`BackupError`]; then there is no file.
pub fn backup(data: &Path, file: &Path, progress: impl FnMut(u64, u64)) -> Result<(), BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let work = tempfile::Builder::new().prefix(".sealpost-backup-").tempdir_in(folder).map_err(about(folder))?;
    let archive = work.path().join("archive");
    let mut written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&archive).map_err(about(&archive))?;
    pack(data, work.path(), &mut written, progress)?;
    written.sync_all().map_err(about(file))?;
    // It replaces nothing, not even what came to be there meanwhile.
    match rustix::fs::renameat_with(
        rustix::fs::CWD,
        &archive,
        rustix::fs::CWD,
        file,
        rustix::fs::RenameFlags::NOREPLACE,
    ) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Err(BackupError::Exists(file.to_owned())),
        Err(error) => return Err(about(file)(error.into())),
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(about(folder))
}

/// The same into a stream. `scratch`: a folder for the store's copy, which is as large as the store.
///
/// # Errors
/// See [`BackupError`]; what was written then is no backup.
pub fn stream(
    data: &Path,
    scratch: &Path,
    out: &mut impl Write,
    progress: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    let work = tempfile::Builder::new().prefix(".sealpost-backup-").tempdir_in(scratch).map_err(about(scratch))?;
    pack(data, work.path(), out, progress)
}

fn pack(data: &Path, work: &Path, out: &mut impl Write, mut progress: impl FnMut(u64, u64)) -> Result<(), BackupError> {
    let key = folder::read_key(data)?.ok_or_else(|| BackupError::Nothing(data.to_owned()))?.pkcs8();
    let (store, copied) = (data.join(STORE), work.join(STORE));
    if !store.is_file() {
        return Err(BackupError::Nothing(data.to_owned()));
    }
    // Before the store is copied: each of them has its row there, or is gone by then.
    let files = blobs::names(&store).map_err(about(&store))?;
    // The store is copied as it is right afterwards: the tables' part of each commit that is in the segments is there, but
    // for the last one's, which may be under way.
    let mailboxes = segments::opened(&segments::folder(&store))?;
    copy::copy(&store, &copied, &mut progress)?;
    let stream = about(Path::new("the backup"));
    let mut archive = Archive { tar: Builder::new(out), sums: String::new() };
    let readme = readme();
    archive.append(README, readme.len() as u64, readme.as_bytes()).map_err(&stream)?;
    archive.append(KEY, key.len() as u64, key.as_slice()).map_err(&stream)?;
    let file = File::open(&copied).map_err(about(&copied))?;
    let size = file.metadata().map_err(about(&copied))?.len();
    archive.append(STORE, size, file).map_err(&stream)?;
    let all = mailboxes.len() as u64;
    for (done, segments::Opened { name, file, length }) in (0..).zip(mailboxes) {
        // It is shorter by now where its last group was taken back: a start cuts zeros off.
        let bytes = file.take(length).chain(std::io::repeat(0)).take(length);
        archive.append(&format!("{MAILBOXES}{name}"), length, bytes).map_err(&stream)?;
        progress(done, all);
    }
    let all = files.len() as u64;
    for (done, name) in (0..).zip(files) {
        let path = blobs::folder(&store).join(&name);
        // It was fetched meanwhile.
        let Ok(file) = File::open(&path) else { continue };
        let size = blobs::whole_parts(file.metadata().map_err(about(&path))?.len());
        archive.append(&format!("{BLOBS}{name}"), size, file.take(size)).map_err(&stream)?;
        progress(done, all);
    }
    let sums = std::mem::take(&mut archive.sums);
    archive.append(SUMS, sums.len() as u64, sums.as_bytes()).map_err(&stream)?;
    archive.tar.into_inner().and_then(|out| out.flush()).map_err(&stream)
}

struct Archive<W: Write> {
    tar: Builder<W>,
    sums: String,
}

impl<W: Write> Archive<W> {
    fn append(&mut self, name: &str, size: u64, from: impl Read) -> std::io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(size);
        let mut hashed = Hashed { from, sum: Sha256::new(), bytes: 0 };
        self.tar.append_data(&mut header, name, &mut hashed)?;
        // All that follows would stand where nobody looks for it.
        if hashed.bytes != size {
            let what = format!("{name} became shorter while it was copied; make the backup again");
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, what));
        }
        self.sums += &line(name, hashed.sum);
        Ok(())
    }
}

/// A line of `SHA256SUMS`.
fn line(name: &str, sum: Sha256) -> String {
    let sum: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{sum}  {name}\n")
}

/// Hashes what is read.
struct Hashed<R> {
    from: R,
    sum: Sha256,
    /// So many were read.
    bytes: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.sum.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

fn readme() -> String {
    format!(
        "{FORMAT}\n\nWritten by sealpost-relay {}. Whoever has this file can pose as the relay: relay.key is its key.\n\n\
         relay.key   the relay's key, PKCS #8\nrelay.db    its store, an SQLite file\nmailboxes   what waits in mailboxes, in segments\nblobs       sealed files that wait for their recipients\nSHA256SUMS  for sha256sum -c\n\n\
         sealpost-relay restore THIS-FILE --data EMPTY-FOLDER\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests;
