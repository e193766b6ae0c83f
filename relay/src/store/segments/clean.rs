//! Goes through the oldest segment, so that what is still wanted of it is written again at the end, and it can go.

use std::sync::Arc;

use super::listing::Item;
use super::load::SegmentError;
use super::{Journal, Number};

/// So many segments' worth of waste is no matter.
const SLACK: u64 = 4;

/// A segment that is to go, and what of it was not looked at yet.
pub(crate) struct Cleaning {
    segment: Number,
    names: Vec<Arc<[u8]>>,
    items: std::vec::IntoIter<Item>,
}

impl Cleaning {
    /// Begins with the oldest segment, where it is time to. `oldest` and `all`: bytes that are wanted of it, and of all.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn begin(
        journal: &Journal,
        wanted: impl FnOnce(Number) -> (u64, u64),
    ) -> Result<Option<Self>, SegmentError> {
        let Some(segment) = journal.oldest() else { return Ok(None) };
        let (oldest, all) = wanted(segment);
        if oldest > 0 && journal.bytes() <= 2 * all + SLACK * journal.limit() {
            return Ok(None);
        }
        let (names, items) = journal.listing(segment)?.into_parts();
        Ok(Some(Self { segment, names, items: items.into_iter() }))
    }

    /// The segment.
    pub(crate) fn segment(&self) -> Number {
        self.segment
    }

    /// Whether all of it was looked at.
    pub(crate) fn is_done(&self) -> bool {
        self.items.len() == 0
    }

    /// The next thing in it, with the key of its log.
    pub(crate) fn next(&mut self) -> Option<(Arc<[u8]>, Item)> {
        let item = self.items.next()?;
        let (Item::Entry { name, .. } | Item::Trim { name, .. }) = &item;
        Some((Arc::clone(self.names.get(*name as usize)?), item))
    }
}
