//! Files on their way, as far as was heard of them.

use std::time::Instant;

use super::View;
use crate::api::{Transfer, Way};

/// Most files that are listed: what came before is in its conversation.
const MOST: usize = 500;

/// A file, and since when it moves.
#[derive(Clone, Debug)]
pub(in crate::face) struct File {
    pub(in crate::face) transfer: Transfer,
    /// Where it began to move, and when.
    pub(in crate::face) began: (u64, Instant),
}

impl View {
    /// A file came further.
    pub(super) fn moved(&mut self, transfer: &Transfer) {
        let began = (transfer.done, Instant::now());
        match self.files.iter_mut().find(|file| file.transfer.id == transfer.id) {
            Some(file) => {
                if file.transfer.state != transfer.state {
                    file.began = began;
                }
                file.transfer.clone_from(transfer);
            }
            None => {
                if self.files.len() >= MOST {
                    self.files.remove(0);
                }
                self.files.push(File { transfer: transfer.clone(), began });
            }
        }
    }

    /// How many files move, and how much of them is there, in percent.
    pub(in crate::face) fn moving(&self) -> Option<(usize, u64)> {
        let moving = || self.files.iter().map(|file| &file.transfer).filter(|file| file.state == Way::Moving);
        let (done, size) = moving().fold((0_u64, 0_u64), |(done, size), file| {
            (done.saturating_add(file.done), size.saturating_add(file.size))
        });
        let percent = (u128::from(done) * 100).checked_div(u128::from(size)).unwrap_or(100);
        Some((moving().count(), u64::try_from(percent).unwrap_or(100))).filter(|(count, _)| *count > 0)
    }
}
