//! What a segment holds, without the envelopes: kept in memory while it is written, and written behind it at its end, so
//! that a start need not read it all.
//!
//! The body of a listing's record: the highest number of a commit of the tables that a group of the segment belongs to
//! (8); the count of keys (4), and each with its length before it (2); the count of items (4), and each: a byte that is 1
//! for an entry and 2 for a trim, the key's place among the keys (4), then
//!
//! - of an entry its seq (8), its id (16), where its record begins (4), and bytes of what was appended (4);
//! - of a trim up to which seq it reaches (8), Unix time in seconds (8), how many it took (4), and of each the id (16) and
//!   the seq (8).
//!
//! Behind the record stand 24 bytes, the last ones of the file: where it begins (8), the segment's salt (8), and the XXH64
//! of the two.

use std::collections::HashMap;
use std::sync::Arc;

use super::checksum::checksum;
use super::record::{Cursor, Kind, Mark};

/// Bytes at the end of a segment that has a listing.
pub(super) const TRAILER: usize = 24;

/// An id and the seq of the entry that had it.
pub(crate) type Gone = ([u8; 16], u64);

/// One thing that a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An entry, whose record begins at `offset`.
    Entry { name: u32, seq: u64, id: [u8; 16], offset: u32, size: u32 },
    /// A trim. `gone`: what it took, as far as that was known for a repetition.
    Trim { name: u32, through: u64, at: u64, gone: Vec<Gone> },
}

/// All that a segment holds, in its order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    names: Vec<Arc<[u8]>>,
    places: HashMap<Arc<[u8]>, u32>,
    items: Vec<Item>,
    /// The highest number of a commit of the tables that a group belongs to.
    pub(super) tables: u64,
}

impl PartialEq for Listing {
    fn eq(&self, other: &Self) -> bool {
        (self.tables, &self.names, &self.items) == (other.tables, &other.names, &other.items)
    }
}

/// How far a listing has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Come {
    names: usize,
    items: usize,
    tables: u64,
}

impl Come {
    /// The highest number of a commit of the tables by then.
    pub(super) fn tables(self) -> u64 {
        self.tables
    }
}

impl Listing {
    /// The keys of logs, which items name by their place here.
    pub(crate) fn names(&self) -> &[Arc<[u8]>] {
        &self.names
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn into_parts(self) -> (Vec<Arc<[u8]>>, Vec<Item>) {
        (self.names, self.items)
    }

    pub(super) fn name(&mut self, key: &[u8]) -> u32 {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let (name, place) = (Arc::<[u8]>::from(key), u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(Arc::clone(&name));
        self.places.insert(name, place);
        place
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    pub(super) fn come(&self) -> Come {
        Come { names: self.names.len(), items: self.items.len(), tables: self.tables }
    }

    /// Takes back what came since.
    pub(super) fn go_back(&mut self, to: Come) {
        self.items.truncate(to.items);
        self.tables = to.tables;
        for name in self.names.drain(to.names.min(self.names.len())..) {
            self.places.remove(&name);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = self.tables.to_le_bytes().to_vec();
        bytes.extend(count(self.names.len()));
        for name in &self.names {
            bytes.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend(name.iter());
        }
        bytes.extend(count(self.items.len()));
        for item in &self.items {
            match item {
                Item::Entry { name, seq, id, offset, size } => {
                    bytes.push(1);
                    bytes.extend(name.to_le_bytes());
                    bytes.extend(seq.to_le_bytes());
                    bytes.extend(id);
                    bytes.extend(offset.to_le_bytes());
                    bytes.extend(size.to_le_bytes());
                }
                Item::Trim { name, through, at, gone } => {
                    bytes.push(2);
                    bytes.extend(name.to_le_bytes());
                    bytes.extend(through.to_le_bytes());
                    bytes.extend(at.to_le_bytes());
                    bytes.extend(count(gone.len()));
                    for (id, seq) in gone {
                        bytes.extend(id);
                        bytes.extend(seq.to_le_bytes());
                    }
                }
            }
        }
        bytes
    }

    /// `None`: it is not one.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(body);
        let mut listing = Self { tables: cursor.u64()?, ..Self::default() };
        for _ in 0..cursor.u32()? {
            let length = usize::from(cursor.u16()?);
            listing.names.push(cursor.take(length)?.into());
        }
        for _ in 0..cursor.u32()? {
            let kind = cursor.byte()?;
            let name = cursor.u32().filter(|name| listing.names.len() > *name as usize)?;
            listing.items.push(match kind {
                1 => {
                    let (seq, id) = (cursor.u64()?, cursor.array()?);
                    Item::Entry { name, seq, id, offset: cursor.u32()?, size: cursor.u32()? }
                }
                2 => {
                    let (through, at) = (cursor.u64()?, cursor.u64()?);
                    let gone = (0..cursor.u32()?).map(|_| Some((cursor.array()?, cursor.u64()?)));
                    Item::Trim { name, through, at, gone: gone.collect::<Option<_>>()? }
                }
                _ => return None,
            });
        }
        cursor.0.is_empty().then_some(listing)
    }

    /// What stands behind the last group of a segment that is `length` bytes long.
    pub(super) fn ending(&self, mark: Mark, length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        mark.write(&mut bytes, Kind::Listing, &[], &[&self.encode()]);
        let mut trailer = [length.to_le_bytes(), mark.salt.to_le_bytes()].concat();
        trailer.extend(checksum(&trailer).to_le_bytes());
        bytes.extend(trailer);
        bytes
    }
}

/// Where the record of the listing begins, by the last bytes of a segment.
pub(super) fn begins(trailer: &[u8], salt: u64) -> Option<u64> {
    let mut cursor = Cursor(trailer);
    let (at, other, sum) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let whole = other == salt && sum == checksum(trailer.get(..16)?);
    whole.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let mut listing = Listing { tables: 7, ..Listing::default() };
        let names = [b"one".as_slice(), b"", b"one"].map(|key| listing.name(key));
        assert_eq!(names, [0, 1, 0]);
        listing.push(Item::Entry { name: 0, seq: 3, id: [1; 16], offset: 48, size: 6_200 });
        listing.push(Item::Trim { name: 1, through: 9, at: 1_790_000_000, gone: vec![([2; 16], 8), ([3; 16], 9)] });
        listing
    }

    /// A listing comes back as it was, and nothing that is shorter, longer or names what is not there is one.
    #[test]
    fn a_listing_comes_back() {
        let bytes = listing().encode();
        let decoded = Listing::decode(&bytes).unwrap();
        assert_eq!((decoded.names(), decoded.items()), (listing().names(), listing().items()));
        assert_eq!(decoded.tables, 7);
        for length in 0..bytes.len() {
            assert!(Listing::decode(&bytes[..length]).is_none(), "{length}");
        }
        assert!(Listing::decode(&[bytes.as_slice(), &[0]].concat()).is_none());
        let mut other = bytes;
        other[8 + 4 + 2 + 3 + 2 + 4 + 1] = 2;
        assert!(Listing::decode(&other).is_none(), "there is no third name");
    }

    /// What a group brought is taken back with it, its names too.
    #[test]
    fn what_was_not_written_is_taken_back() {
        let mut one = listing();
        let come = one.come();
        let name = one.name(b"new");
        one.push(Item::Trim { name, through: 1, at: 1, gone: Vec::new() });
        one.tables = 8;
        one.go_back(come);
        assert_eq!(one, listing());
        assert_eq!(one.name(b"other"), 2);
    }
}
