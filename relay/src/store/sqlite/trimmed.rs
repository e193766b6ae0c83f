//! Ids of entries that are gone, by which a repetition is told. [STORE-4]

use std::collections::{HashMap, VecDeque};

use crate::store::segments::Number;
use crate::store::{DUPLICATE_WINDOW, REMEMBERED};

/// Where an id is kept, so that it is known after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Only here, of an entry that was never written.
    Memory,
    /// In this row of the table.
    Row(u64),
    /// With a trim in this segment.
    Segment(Number),
}

struct Gone {
    /// Unix time in seconds.
    at: u64,
    log: i64,
    id: [u8; 16],
}

/// The latest of them, oldest first.
#[derive(Default)]
pub(super) struct Trimmed {
    ring: VecDeque<Gone>,
    seqs: HashMap<(i64, [u8; 16]), (u64, Kept)>,
    /// The last row that was given.
    row: u64,
    /// Rows up to this one are forgotten.
    forgotten: u64,
}

impl Trimmed {
    pub(super) fn seq(&self, log: i64, id: &[u8; 16]) -> Option<u64> {
        self.seqs.get(&(log, *id)).map(|(seq, _)| *seq)
    }

    pub(super) fn kept(&self, log: i64, id: &[u8; 16]) -> Option<Kept> {
        self.seqs.get(&(log, *id)).map(|(_, kept)| *kept)
    }

    /// It is kept somewhere else from now on.
    pub(super) fn moved(&mut self, log: i64, id: &[u8; 16], to: Kept) {
        if let Some((_, kept)) = self.seqs.get_mut(&(log, *id)) {
            *kept = to;
        }
    }

    /// One that is on the disk, in the order of time.
    pub(super) fn load(&mut self, at: u64, log: i64, id: [u8; 16], seq: u64, kept: Kept) {
        if let Kept::Row(row) = kept {
            self.row = self.row.max(row);
        }
        // One that was moved stands in two segments for a while.
        if self.seqs.insert((log, id), (seq, kept)).is_none() {
            self.ring.push_back(Gone { at, log, id });
        }
    }

    /// The row that the next one gets which is written to the table.
    pub(super) fn next_row(&self) -> u64 {
        self.row + 1
    }

    /// One more.
    pub(super) fn push(&mut self, at: u64, log: i64, id: [u8; 16], seq: u64, kept: Kept) {
        if let Kept::Row(row) = kept {
            self.row = row;
        }
        self.seqs.insert((log, id), (seq, kept));
        self.ring.push_back(Gone { at, log, id });
        self.forget(at);
    }

    /// Forgets what is too old or too much. Twice the window: a clock that is set forward a little shortens nothing.
    pub(super) fn forget(&mut self, now: u64) {
        let before = now.saturating_sub(2 * DUPLICATE_WINDOW.as_secs());
        while self.ring.len() > REMEMBERED || self.ring.front().is_some_and(|gone| gone.at < before) {
            let Some(gone) = self.ring.pop_front() else { break };
            if let Some((_, Kept::Row(row))) = self.seqs.remove(&(gone.log, gone.id)) {
                self.forgotten = self.forgotten.max(row);
            }
        }
    }

    /// Rows up to this one may go.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
