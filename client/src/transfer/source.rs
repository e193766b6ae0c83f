//! The file that is sent: read once to know it, and once more to seal it. **[FILE-9]**

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand::SeedableRng as _;
use sealpost_crypto::attachment::{Chunks, FileHash};
use sealpost_spec::attachment::CHUNK;
use tokio::sync::mpsc;

use super::{Told, apart};
use crate::engine::{FileNews, FileTrouble, Stamp};

/// Parts that are sealed and not yet on their way.
const READY: usize = 4;
/// After so many parts that are passed over that is told.
const TOLD: u32 = 256;

/// What the reading thread gives.
pub(super) enum Read {
    /// Parts were read that are sent already: told now and then, since that takes long, too.
    Passed,
    /// The part of this number, sealed.
    Part(u32, Vec<u8>),
    /// That was all: what it is that was sealed.
    End { size: u64, hash: [u8; 32] },
}

/// Opens a file to be sent. A link may lead there: it is one's own.
fn open(path: &Path) -> Result<(File, Stamp), FileTrouble> {
    // A pipe without a writer would be waited for.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        let what = if found.is_dir() { "it is a folder" } else { "it is no file" };
        return Err(FileTrouble::Unreadable(what.to_owned()));
    }
    Ok((file, stamp(&found)))
}

fn stamp(found: &Metadata) -> Stamp {
    Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unreadable(error: std::io::Error) -> FileTrouble {
    FileTrouble::Unreadable(match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })
}

/// Fills the buffer, as far as the file goes.
fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize, FileTrouble> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(filled)
}

/// Size, hash and state of a file.
pub(super) async fn measure(path: PathBuf, told: &mut Told) -> Result<FileNews, FileTrouble> {
    let (counts, mut counted) = mpsc::channel(1);
    let measuring = apart(move || {
        let (mut file, stamp) = open(&path)?;
        let (mut hash, mut size) = (FileHash::default(), 0_u64);
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = fill(&mut file, &mut buffer)?;
            hash.update(&buffer[..count]);
            size += count as u64;
            if counts.is_closed() {
                return Err(FileTrouble::Unreadable("it was interrupted".to_owned()));
            }
            // Where the last count was not taken up yet, this one is passed over.
            let _ = counts.try_send(size);
            if count < CHUNK {
                break;
            }
        }
        let after = self::stamp(&file.metadata().map_err(unreadable)?);
        if after != stamp || size != stamp.size {
            return Err(FileTrouble::Changed);
        }
        Ok(FileNews::Measured { size, hash: hash.finish(), stamp })
    });
    tokio::pin!(measuring);
    loop {
        tokio::select! {
            outcome = &mut measuring => return outcome,
            Some(size) = counted.recv() => told.moved(size).await,
        }
    }
}

/// Reads a file that was measured before, and seals its parts from this one on; those before are read for the hash alone. It
/// stops when nobody takes them any more.
pub(super) fn start(
    path: PathBuf,
    stamp: Stamp,
    chunks: Chunks,
    from: u32,
) -> mpsc::Receiver<Result<Read, FileTrouble>> {
    let (given, taken) = mpsc::channel(READY);
    tokio::task::spawn_blocking(move || {
        let end = read(&path, stamp, &chunks, from, &given);
        if let Some(end) = end.transpose() {
            // Nobody takes it any more: then nobody wants it.
            let _ = given.blocking_send(end);
        }
    });
    taken
}

/// `None`: nobody takes the parts any more.
fn read(
    path: &Path,
    stamp: Stamp,
    chunks: &Chunks,
    from: u32,
    given: &mpsc::Sender<Result<Read, FileTrouble>>,
) -> Result<Option<Read>, FileTrouble> {
    let (mut file, found) = open(path)?;
    if found != stamp {
        return Err(FileTrouble::Changed);
    }
    let mut rng = rand::rngs::StdRng::from_rng(&mut rand::rng());
    let (mut hash, mut size) = (FileHash::default(), 0_u64);
    let mut buffer = vec![0; CHUNK];
    for number in 0..chunks.parts() {
        let wanted = &mut buffer[..chunks.bytes(number)];
        if fill(&mut file, wanted)? < wanted.len() {
            return Err(FileTrouble::Changed);
        }
        hash.update(wanted);
        size += wanted.len() as u64;
        if given.is_closed() {
            return Ok(None);
        }
        if number < from {
            if number % TOLD == 0 && given.blocking_send(Ok(Read::Passed)).is_err() {
                return Ok(None);
            }
            continue;
        }
        let sealed = chunks.seal(number, wanted, &mut rng).map_err(|_| FileTrouble::Changed)?;
        if given.blocking_send(Ok(Read::Part(number, sealed))).is_err() {
            return Ok(None);
        }
    }
    let more = fill(&mut file, &mut buffer[..1])? > 0;
    if more || self::stamp(&file.metadata().map_err(unreadable)?) != stamp {
        return Err(FileTrouble::Changed);
    }
    Ok(Some(Read::End { size, hash: hash.finish() }))
}
