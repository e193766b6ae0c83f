//! What stands in a segment: a header, then records.
//!
//! All integers are little-endian. The header, 56 bytes:
//!
//! | bytes | |
//! |---|---|
//! | 8 | `SPMAIL`, 0, 1: what this is, and its version |
//! | 16 | the series: which store it belongs to |
//! | 8 | the segment's number |
//! | 8 | its salt, random |
//! | 8 | the number of the last group before it |
//! | 8 | the XXH64 of the above |
//!
//! A record, 32 bytes and what they say:
//!
//! | bytes | |
//! |---|---|
//! | 8 | the XXH64 of all that follows |
//! | 8 | the segment's salt: nobody who sends an envelope can write something into it that is taken for a record |
//! | 8 | the number of its group |
//! | 1 | its kind: 1 an entry, 2 a trim, 3 the end of a group, 4 the listing that ends a segment |
//! | 1 | 0 |
//! | 2 | length of the key |
//! | 4 | length of the body |
//! | | the key of the log, none with kinds 3 and 4 |
//! | | the body |
//!
//! An entry's body is its seq (8), its id (16) and its bytes; a trim's, up to which seq it reaches (8), Unix time in
//! seconds (8), and for each entry that it took its id (16) and seq (8); that of the end of a group, the number of the
//! tables' commit that belongs to it (8), 0 for none. A listing's stands in `listing`.

use super::Series;
use super::checksum::checksum;

const MAGIC: &[u8; 8] = b"SPMAIL\0\x01";
pub(super) const HEADER: usize = 56;
/// Bytes of a record before its key.
pub(super) const HEAD: usize = 32;
/// Bytes of an entry's body before what was appended.
pub(super) const ENTRY: usize = 24;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Entry = 1,
    Trim = 2,
    End = 3,
    Listing = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Entry, Self::Trim, Self::End, Self::Listing].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) series: Series,
    pub(super) number: u64,
    pub(super) salt: u64,
    /// The number of the last group before it.
    pub(super) after: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.number, self.salt, self.after].map(u64::to_le_bytes);
        let mut bytes = [MAGIC.as_slice(), &self.series, numbers.as_flattened()].concat();
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// `None`: it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes.get(..HEADER)?);
        let said = cursor.0.get(..HEADER - 8)?;
        let magic = cursor.take(8)?;
        let series = cursor.array()?;
        let header = Self { series, number: cursor.u64()?, salt: cursor.u64()?, after: cursor.u64()? };
        (magic == MAGIC && cursor.u64()? == checksum(said)).then_some(header)
    }
}

/// A record that is whole.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) group: u64,
    pub(super) kind: Kind,
    pub(super) key: &'a [u8],
    pub(super) body: &'a [u8],
    /// Bytes of all of it.
    pub(super) length: usize,
}

/// Where a record begins whose salt and group are these.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) salt: u64,
    pub(super) group: u64,
}

impl Mark {
    /// Writes a record. `body`: its pieces.
    pub(super) fn write(self, into: &mut Vec<u8>, kind: Kind, key: &[u8], body: &[&[u8]]) {
        let from = into.len();
        let length: usize = body.iter().map(|piece| piece.len()).sum();
        into.reserve(HEAD + key.len() + length);
        into.extend([0; 8]);
        into.extend(self.salt.to_le_bytes());
        into.extend(self.group.to_le_bytes());
        into.extend([kind as u8, 0]);
        // A key has 64 bytes at most, and nothing that is carried is longer than a frame.
        into.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
        into.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        into.extend(key);
        body.iter().for_each(|piece| into.extend_from_slice(piece));
        let sum = checksum(into.get(from + 8..).unwrap_or_default());
        if let Some(place) = into.get_mut(from..from + 8) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// The record that begins here; `None` where none does that is whole.
pub(super) fn parse(bytes: &[u8], salt: u64) -> Option<Record<'_>> {
    let mut cursor = Cursor(bytes);
    let sum = cursor.u64()?;
    let said = cursor.0;
    if cursor.u64()? != salt {
        return None;
    }
    let group = cursor.u64()?;
    let (kind, _) = (Kind::of(cursor.byte()?)?, cursor.byte()?);
    let (key, body) = (usize::from(cursor.u16()?), cursor.u32()? as usize);
    let (key, body) = (cursor.take(key)?, cursor.take(body)?);
    let length = HEAD + key.len() + body.len();
    let whole = said.get(..length - 8)?;
    (checksum(whole) == sum).then_some(Record { group, kind, key, body, length })
}

/// Reads numbers off the front of what is left.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
