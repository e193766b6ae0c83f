//! What blobs take of the room that there is for them.

use std::collections::HashMap;
use std::sync::Mutex;

use sealpost_spec::account::Name;
use sealpost_spec::attachment::{BlobId, PART};
use sealpost_spec::relay::Refusal;
use tokio::sync::RwLock;

use super::Files;
use crate::metrics::METRICS;
use crate::store::bell::lock;

/// Most blobs of one account: each costs a row and a file, however small it is. Strangers may make half of them.
const MOST: u64 = 1_000;
/// So many parts count before any of them is stored: what a client has on its way at once.
const AHEAD: u32 = 16;

pub(super) fn size(parts: u32) -> u64 {
    u64::from(parts) * PART as u64
}

/// How many parts count of a blob of which so many are stored. **[FILE-15]**
pub(super) fn counted(parts: u32, stored: u32) -> u32 {
    stored.saturating_mul(2).saturating_add(AHEAD).min(parts)
}

/// What an account may have of somebody who uploads.
#[derive(Clone, Copy)]
pub(in crate::answer) struct Most {
    pub(in crate::answer) bytes: u64,
    pub(in crate::answer) blobs: u64,
}

impl Most {
    /// Half of it for who does not show the token. **[FILE-7]**
    pub(super) fn of(files: &Files, contact: bool) -> Self {
        let share = if contact { 1 } else { 2 };
        Self { bytes: files.account / share, blobs: MOST / share }
    }
}

/// What counts of blobs. Known from the rows at the start.
#[derive(Default)]
pub(in crate::answer) struct Room(Mutex<Taken>, [RwLock<()>; DOORS]);

/// So many, for blobs that come and go at the same time.
const DOORS: usize = 32;

#[derive(Default)]
struct Taken {
    bytes: u64,
    accounts: HashMap<Name, (u64, u64)>,
}

impl Room {
    /// Takes the first of a blob's room, where all of it is to be had. **[FILE-8]**
    pub(super) fn begin(&self, name: &Name, parts: u32, most: Most, files: &Files) -> Result<(), Refusal> {
        let mut taken = lock(&self.0);
        taken.fits(name, size(parts), most.bytes, files)?;
        if taken.of(name).1 >= most.blobs {
            return Err(Refusal::QuotaReached { limit: most.blobs });
        }
        taken.add(name, size(counted(parts, 0)), 1);
        Ok(())
    }

    /// Takes more room for a blob that there is. **[FILE-15]**
    pub(super) fn grow(&self, name: &Name, bytes: u64, most: Most, files: &Files) -> Result<(), Refusal> {
        let mut taken = lock(&self.0);
        taken.fits(name, bytes, most.bytes, files)?;
        taken.add(name, bytes, 0);
        Ok(())
    }

    /// Parts are added to a blob side by side, and it is removed alone. Else a part that came when the file was gone and
    /// its row not yet would make a file that no row knows, and nobody removes.
    pub(in crate::answer) fn door(&self, id: BlobId) -> &RwLock<()> {
        let [first, ..] = id.0;
        &self.1[usize::from(first) % DOORS]
    }

    /// These are all the blobs that there are. What came or went while they were looked at is off until the next time.
    pub(super) fn count(&self, there: Vec<(Name, u64)>) {
        let mut taken = lock(&self.0);
        *taken = Taken::default();
        there.iter().for_each(|(name, bytes)| taken.add(name, *bytes, 1));
        taken.show();
    }

    /// Gives room back, of one blob that is gone or of none.
    pub(super) fn give_back(&self, name: &Name, bytes: u64, blobs: u64) {
        let mut taken = lock(&self.0);
        taken.bytes = taken.bytes.saturating_sub(bytes);
        if let Some((held, count)) = taken.accounts.get_mut(name) {
            (*held, *count) = (held.saturating_sub(bytes), count.saturating_sub(blobs));
            if *count == 0 {
                taken.accounts.remove(name);
            }
        }
        taken.show();
    }

    /// Whether something waits for an account.
    pub(super) fn holds(&self, name: &Name) -> bool {
        lock(&self.0).accounts.contains_key(name)
    }

    /// Bytes of all of them, and how many there are.
    pub(in crate::answer) fn total(&self) -> (u64, u64) {
        let taken = lock(&self.0);
        (taken.bytes, taken.accounts.values().map(|(_, count)| count).sum())
    }
}

impl Taken {
    fn of(&self, name: &Name) -> (u64, u64) {
        self.accounts.get(name).copied().unwrap_or_default()
    }

    fn fits(&self, name: &Name, bytes: u64, most: u64, files: &Files) -> Result<(), Refusal> {
        for (taken, limit) in [(self.of(name).0, most), (self.bytes, files.total)] {
            if taken.saturating_add(bytes) > limit {
                return Err(Refusal::QuotaReached { limit });
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &Name, bytes: u64, blobs: u64) {
        let (held, count) = self.accounts.entry(name.clone()).or_default();
        (*held, *count) = (*held + bytes, *count + blobs);
        self.bytes += bytes;
        self.show();
    }

    fn show(&self) {
        METRICS.store.blob_bytes.set(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}
