//! Where fetched files go: a partial file first, then a name of its own that nothing had before. **[FILE-13]** **[FILE-14]**
//!
//! Everything below a folder is done by its open descriptor, so that nobody who renames or links something in the path meanwhile
//! leads elsewhere.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use sealpost_crypto::attachment::{Chunks, FileHash};
use sealpost_spec::attachment::{BlobId, CHUNK};
use sealpost_spec::message::FilePointer;

use super::name;
use crate::engine::FileTrouble;

/// Most names that are tried for one file.
const MOST_NAMES: u32 = 1_000;

/// Where a file is to go.
pub(super) enum To {
    /// Into this folder, which is made where there is none.
    Downloads(PathBuf),
    /// Into this folder where it is one, else under this name, which must not be taken.
    Path(PathBuf),
}

/// A file that is not all there.
pub(super) struct Partial {
    folder: OwnedFd,
    at: PathBuf,
    /// Its own name; nobody but sender, relay and recipient can know it before.
    name: String,
    /// What it is to be called.
    wanted: Wanted,
    file: File,
    hash: FileHash,
    /// Some of it was there before, and nobody knows whether as it was written.
    continued: bool,
}

enum Wanted {
    /// This, or this with a number.
    Like(String),
    /// Nothing else.
    Exactly(String),
}

fn unwritable(error: impl Into<std::io::Error>) -> FileTrouble {
    let error = error.into();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => FileTrouble::Full,
        _ => FileTrouble::Unwritable(error.to_string()),
    }
}

/// Opens the folder, and says what the file is to be called there.
fn place(to: To, suggested: &str) -> Result<(OwnedFd, PathBuf, Wanted), FileTrouble> {
    let like = Wanted::Like(name::safe(suggested));
    let (at, wanted) = match to {
        To::Downloads(folder) => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(unwritable)?;
            (folder, like)
        }
        To::Path(path) if path.is_dir() => (path, like),
        To::Path(path) => {
            let name = path.file_name().and_then(|name| name.to_str());
            let (Some(name), Some(folder)) = (name, path.parent()) else {
                return Err(FileTrouble::Unwritable("there is no such folder".to_owned()));
            };
            (folder.to_owned(), Wanted::Exactly(name.to_owned()))
        }
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(&at, flags, Mode::empty()).map_err(unwritable)?;
    if let Wanted::Exactly(name) = &wanted
        && rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    {
        return Err(FileTrouble::Taken(at.join(name).display().to_string()));
    }
    Ok((folder, at, wanted))
}

impl Partial {
    /// Begins a file, or goes on with what is there of it; also from which part on parts are wanted.
    /// `passed` hears how many bytes there are, again and again while they are read: that takes long, too.
    pub(super) fn open(
        to: To,
        pointer: &FilePointer,
        chunks: &Chunks,
        passed: impl Fn(u64),
    ) -> Result<(Self, u32), FileTrouble> {
        let (folder, at, wanted) = place(to, &pointer.name)?;
        let name = partial(&pointer.blob);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR).map_err(unwritable)?;
        let file = File::from(file);
        let found = file.metadata().map_err(unwritable)?;
        let own = found.is_file() && found.nlink() == 1 && found.uid() == rustix::process::geteuid().as_raw();
        if !own {
            return Err(FileTrouble::Unwritable(format!("{} is something else", at.join(&name).display())));
        }
        if file.try_lock().is_err() {
            return Err(FileTrouble::Unwritable("the file is being fetched already".to_owned()));
        }
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(unwritable)?;
        let mut partial = Self { folder, at, name, wanted, file, hash: FileHash::default(), continued: false };
        let (whole, bytes) = partial.read_again(chunks, found.len(), pointer.size, passed)?;
        partial.continued = whole > 0;
        let room = rustix::fs::fstatvfs(&partial.folder).map_err(unwritable)?;
        if room.f_bavail.saturating_mul(room.f_frsize) < pointer.size - bytes {
            return Err(FileTrouble::Full);
        }
        Ok((partial, whole))
    }

    /// Reads what is there, for the hash of all; what is no whole part is cut off. How many parts that are, and how many bytes.
    fn read_again(
        &mut self,
        chunks: &Chunks,
        length: u64,
        size: u64,
        passed: impl Fn(u64),
    ) -> Result<(u32, u64), FileTrouble> {
        let (mut whole, mut bytes) = (0, 0);
        let mut buffer = vec![0; CHUNK];
        while length <= size && whole < chunks.parts() {
            let part = &mut buffer[..chunks.bytes(whole)];
            // Padding is fetched again: there is nothing of it in the file.
            if part.is_empty() || bytes + part.len() as u64 > length {
                break;
            }
            self.file.read_exact(part).map_err(unwritable)?;
            self.hash.update(part);
            bytes += part.len() as u64;
            whole += 1;
            passed(length);
        }
        self.file.set_len(bytes).map_err(unwritable)?;
        self.file.seek(SeekFrom::Start(bytes)).map_err(unwritable)?;
        Ok((whole, bytes))
    }

    /// The bytes of the next part.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FileTrouble> {
        self.file.write_all(bytes).map_err(unwritable)?;
        self.hash.update(bytes);
        Ok(())
    }

    /// All is there. Where it is what was announced it gets its name, else it goes. **[FILE-13]**
    pub(super) fn finish(self, hash: &[u8; 32]) -> Result<PathBuf, FileTrouble> {
        self.file.sync_all().map_err(unwritable)?;
        if !self.hash.clone().is(hash) {
            rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()).map_err(unwritable)?;
            // What lay there may be what a crash made of it: that is nobody's lie.
            return Err(if self.continued { FileTrouble::Stale } else { FileTrouble::Damaged });
        }
        let named = match &self.wanted {
            Wanted::Exactly(name) => match move_to(&self.folder, &self.name, name) {
                Err(Errno::EXIST) => Err(FileTrouble::Taken(self.at.join(name).display().to_string())),
                Err(error) => Err(unwritable(error)),
                Ok(()) => Ok(name.clone()),
            },
            Wanted::Like(name) => self.number(name),
        }?;
        rustix::fs::fsync(&self.folder).map_err(unwritable)?;
        Ok(self.at.join(named))
    }

    fn number(&self, like: &str) -> Result<String, FileTrouble> {
        for number in 1..=MOST_NAMES {
            let name = name::candidate(like, number);
            match move_to(&self.folder, &self.name, &name) {
                Err(Errno::EXIST) => {}
                Err(error) => return Err(unwritable(error)),
                Ok(()) => return Ok(name),
            }
        }
        Err(FileTrouble::Taken(self.at.join(like).display().to_string()))
    }
}

/// Renames, where nothing has the new name: neither a file nor a link, wherever it leads.
fn move_to(folder: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // Some file systems can't: there an empty file takes the name first, which nobody else can then take.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(folder, to, flags, Mode::RUSR | Mode::WUSR)?;
            rustix::fs::renameat(folder, from, folder, to)
        }
        other => other,
    }
}

/// Removes what is there of a file that is not wanted any more.
pub(super) fn forget(to: To, blob: &BlobId) -> Result<(), FileTrouble> {
    let folder = match to {
        To::Downloads(folder) => folder,
        To::Path(path) if path.is_dir() => path,
        To::Path(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
    };
    std::fs::remove_file(folder.join(partial(blob))).map_err(unwritable)
}

fn partial(blob: &BlobId) -> String {
    let id: String = blob.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(".sealpost-{id}.part")
}
