//! Where envelopes wait: files that are only ever written at their ends, each byte once.
//!
//! A database writes what it is given twice, to its log and to its file, and reads a page to remove what stands in it. An
//! envelope needs neither: it comes once, is read once, and goes with all that came before it. So what is appended to
//! mailboxes, and what is trimmed from them, is written one after the other into *segments*, the files of the folder
//! `mailboxes`; the logs' index in memory says where each entry is, and is made of them when the store is opened.
//!
//! - A commit is a *group* of records, written with one call and synced once (`journal`). Each record has a checksum, and
//!   a group counts only with the record that ends it: what a crash tore is cut off at the next start, and the groups
//!   before it are whole. Nothing follows a group that was not synced; so where one that is torn has whole ones behind
//!   it, the disk has altered what it had promised to keep, and the store says so and is not opened (`load`).
//! - Where a commit belongs to both, the segments are synced first and the tables after them, with the number of that
//!   commit in both. A group whose tables did not come to be there is cut off like a torn one: [STORE-2].
//! - A segment that is full gets a *listing* behind it and the next one is begun: a start reads the listings, and all of
//!   the last segment only. A listing that a power cut has torn is none: in the last segment it is cut off, in another one
//!   it is written again where no group is missing before the next segment.
//! - A segment goes when nothing in it is wanted any more, the oldest first. Where too much of them is of no use, what is
//!   still wanted of the oldest is written again at the end (`clean`): no more than half of what all of them take, and
//!   four segments, is waste. As the oldest goes first, no trim goes before the entries that it took; and since a trim
//!   says up to where it reaches, an entry that stands in two places is one.
//!
//! Rooms stay in the tables: a post is written together with what it changes there, and stays for long.

mod checksum;
mod clean;
mod files;
mod journal;
mod listing;
mod load;
mod record;

use std::io::{Error, ErrorKind, Result};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

pub(crate) use clean::Cleaning;
pub(crate) use files::{FILES, Files, Unread};
pub(crate) use journal::{Failed, Journal};
pub(crate) use listing::{Gone, Item};
pub use load::SegmentError;
pub(crate) use load::{Opened, check, look, open, opened, put_aside};

/// Numbers segments, from 1 on, without a gap.
pub(crate) type Number = NonZeroU32;
/// Which store segments belong to.
pub(crate) type Series = [u8; 16];

/// Bytes after which the next segment is begun: read at a start within a tenth of a second.
pub(crate) const SEGMENT: u64 = 32 * 1024 * 1024;
/// Where there are many, they are longer, so that there are never so many files.
const LARGEST: u64 = 256 * 1024 * 1024;
const MANY: u64 = 128;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// In which segment.
    pub(crate) segment: Number,
    /// Where its record begins.
    pub(crate) offset: u32,
}

/// How much of a segment an entry takes.
pub(crate) fn taken(key: &[u8], size: u32) -> u64 {
    (record::HEAD + key.len() + record::ENTRY) as u64 + u64::from(size)
}

/// The folder of a store's segments: `mailboxes` beside its file.
pub(crate) fn folder(store: &Path) -> PathBuf {
    store.with_file_name("mailboxes")
}

/// Whether a file of this name is a segment.
pub(crate) fn is_name(name: &str) -> bool {
    number(name).is_some()
}

fn number(name: &str) -> Option<Number> {
    let digits = name.len() == 10 && name.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| name.parse().ok())?
}

fn path(folder: &Path, number: Number) -> PathBuf {
    folder.join(format!("{number:010}"))
}

/// The segments of a folder in their order; none where it is not there.
pub(crate) fn numbers(folder: &Path) -> Result<Vec<Number>> {
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for file in files {
        numbers.extend(file?.file_name().to_str().and_then(number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn sync(folder: &Path) -> Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Whether there is no room for something: nothing is lost by that, and there may be room again.
fn full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
