//! Ids of entries that are gone, by which a repetition is told. [STORE-4]

use std::collections::{HashMap, VecDeque};

use crate::store::{DUPLICATE_WINDOW, REMEMBERED};

struct Gone {
    /// Unix time in seconds.
    at: u64,
    log: i64,
    id: [u8; 16],
    /// Its row in the table; 0 where there is none, for an entry that was never written.
    row: u64,
}

/// The latest of them, oldest first.
#[derive(Default)]
pub(super) struct Trimmed {
    ring: VecDeque<Gone>,
    seqs: HashMap<(i64, [u8; 16]), u64>,
    /// The last row that was given.
    row: u64,
    /// Rows up to this one are forgotten.
    forgotten: u64,
}

impl Trimmed {
    pub(super) fn seq(&self, log: i64, id: &[u8; 16]) -> Option<u64> {
        self.seqs.get(&(log, *id)).copied()
    }

    /// One that is on the disk, in the order of rows.
    pub(super) fn load(&mut self, row: u64, at: u64, log: i64, id: [u8; 16], seq: u64) {
        self.row = row;
        self.seqs.insert((log, id), seq);
        self.ring.push_back(Gone { at, log, id, row });
    }

    /// The row that the next one gets which is written.
    pub(super) fn next_row(&self) -> u64 {
        self.row + 1
    }

    /// One more; `written`: in the next row.
    pub(super) fn push(&mut self, at: u64, log: i64, id: [u8; 16], seq: u64, written: bool) {
        self.row += u64::from(written);
        self.seqs.insert((log, id), seq);
        self.ring.push_back(Gone { at, log, id, row: if written { self.row } else { 0 } });
        self.forget(at);
    }

    /// Forgets what is too old or too much. Twice the window: a clock that is set forward a little shortens nothing.
    pub(super) fn forget(&mut self, now: u64) {
        let before = now.saturating_sub(2 * DUPLICATE_WINDOW.as_secs());
        while self.ring.len() > REMEMBERED || self.ring.front().is_some_and(|gone| gone.at < before) {
            let Some(gone) = self.ring.pop_front() else { break };
            self.seqs.remove(&(gone.log, gone.id));
            self.forgotten = self.forgotten.max(gone.row);
        }
    }

    /// Rows up to this one may go.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
