//! Reads entries out of segments, a few of which stay open.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::record::{ENTRY, HEAD, HEADER, Header, Kind, parse};
use super::{Number, Place, path};
use crate::store::Fault;
use crate::store::bell::lock;

/// Segments that stay open between two reads.
const OPEN: usize = 32;
/// Who reads at once, and opens one meanwhile: the readers and the writer.
const ABREAST: usize = 3;
/// Most files that are open at once for reading, with the one that is written, and one that is being made.
pub(crate) const FILES: usize = OPEN + ABREAST + 2;

/// Why an entry was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// What stands there is not what was written.
    Altered,
    /// Its segment can't be read.
    Failed(Fault),
}

/// A segment that can be read.
pub(super) struct Open {
    number: Number,
    file: File,
    salt: u64,
}

/// All of them, by their numbers.
pub(crate) struct Files {
    folder: PathBuf,
    /// The one that was used last is the last.
    open: Mutex<Vec<Arc<Open>>>,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::new(Vec::with_capacity(OPEN)) }
    }

    /// `None`: it is gone.
    fn opened(&self, number: Number) -> Result<Option<Arc<Open>>> {
        {
            let mut open = lock(&self.open);
            if let Some(at) = open.iter().rposition(|one| one.number == number) {
                let one = open.remove(at);
                open.push(Arc::clone(&one));
                return Ok(Some(one));
            }
        }
        let file = match File::open(path(&self.folder, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        let header = Header::parse(&header).ok_or(ErrorKind::InvalidData)?;
        let one = Arc::new(Open { number, file, salt: header.salt });
        let mut open = lock(&self.open);
        if open.len() >= OPEN {
            open.remove(0);
        }
        open.push(Arc::clone(&one));
        Ok(Some(one))
    }

    /// Nobody reads it any more.
    pub(super) fn forget(&self, number: Number) {
        lock(&self.open).retain(|one| one.number != number);
    }

    /// What was appended to the log of this key and stands there, `size` bytes; `None` where the segment is gone, and
    /// what is still wanted of it stands elsewhere by now.
    ///
    /// # Errors
    /// See [`Unread`].
    pub(crate) fn read(
        &self,
        place: Place,
        key: &[u8],
        seq: u64,
        size: u32,
    ) -> std::result::Result<Option<Bytes>, Unread> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData => Unread::Failed(Fault::Damaged("a segment")),
            _ => Unread::Failed(Fault::Backend(error.to_string())),
        };
        let Some(open) = self.opened(place.segment).map_err(failed)? else { return Ok(None) };
        let before = HEAD + key.len() + ENTRY;
        let mut bytes = vec![0; before + size as usize];
        open.file.read_exact_at(&mut bytes, u64::from(place.offset)).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Unread::Altered,
            _ => failed(error),
        })?;
        let record = parse(&bytes, open.salt).filter(|record| record.kind == Kind::Entry && record.key == key);
        let same = |length, body: &[u8]| length == bytes.len() && body.starts_with(&seq.to_le_bytes());
        if !record.is_some_and(|record| same(record.length, record.body)) {
            return Err(Unread::Altered);
        }
        Ok(Some(Bytes::from(bytes).slice(before..)))
    }
}
