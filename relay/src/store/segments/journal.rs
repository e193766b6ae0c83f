//! Writes groups at the end of the last segment.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use super::listing::{Come, Gone, Item, Listing};
use super::load::{SegmentError, sealed};
use super::record::{Header, Kind, Mark};
use super::{LARGEST, MANY, Number, Place, Series, full, path, sync};

/// A group's memory is given back where it was larger.
const BUFFER: usize = 4 * 1024 * 1024;

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is no room for it, and it is as if it had not been brought.
    Full(Error),
    /// What is on the disk is not known any more.
    Unknown(Error),
}

/// The segment that is written.
pub(super) struct Active {
    pub(super) number: Number,
    pub(super) file: File,
    pub(super) salt: u64,
    /// Bytes of it that are durable.
    pub(super) length: u64,
    pub(super) listing: Listing,
}

impl Active {
    /// Makes a segment, durably. `after`: the last group before it.
    pub(super) fn create(folder: &Path, series: Series, number: Number, after: u64) -> Result<Self> {
        let name = path(folder, number);
        let salt = rand::random();
        let header = Header { series, number: u64::from(number.get()), salt, after }.encode();
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&name)?;
        let made = file.write_all_at(&header, 0).and_then(|()| file.sync_all()).and_then(|()| sync(folder));
        if let Err(error) = made {
            // What is left of it would be taken for a segment that is damaged.
            std::fs::remove_file(&name)?;
            return Err(error);
        }
        Ok(Self { number, file, salt, length: header.len() as u64, listing: Listing::default() })
    }
}

/// All segments of a store, and the group that is being put together.
pub(crate) struct Journal {
    folder: PathBuf,
    series: Series,
    /// Bytes after which the next segment is begun, where there are few.
    limit: u64,
    active: Active,
    /// Bytes of those before it.
    sealed: BTreeMap<Number, u64>,
    files: Arc<Files>,
    /// The number of the last group.
    group: u64,
    buffer: Vec<u8>,
    /// Before the group.
    come: Come,
    before: u64,
}

impl Journal {
    pub(super) fn new(folder: PathBuf, series: Series, limit: u64, active: Active, group: u64) -> Self {
        let files = Arc::new(Files::new(folder.clone()));
        let (come, before) = (active.listing.come(), active.length);
        let (sealed, buffer) = (BTreeMap::new(), Vec::new());
        Self { folder, series, limit, active, sealed, files, group, buffer, come, before }
    }

    /// One that is complete.
    pub(super) fn add_sealed(&mut self, number: Number, bytes: u64) {
        self.sealed.insert(number, bytes);
    }

    /// For who reads.
    pub(crate) fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files)
    }

    /// The segment into which the group goes.
    pub(crate) fn segment(&self) -> Number {
        self.active.number
    }

    /// The oldest one that is complete.
    pub(crate) fn oldest(&self) -> Option<Number> {
        self.sealed.keys().next().copied()
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.sealed.values().sum::<u64>() + self.active.length
    }

    /// Bytes after which the next one is begun.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.max((self.sealed.values().sum::<u64>() / MANY).min(LARGEST))
    }

    /// Begins a group, in a new segment where the last one is full.
    ///
    /// # Errors
    /// [`Failed::Unknown`].
    pub(crate) fn begin(&mut self) -> std::result::Result<(), Failed> {
        if self.active.length >= self.limit() {
            self.seal()?;
        }
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
        (self.come, self.before) = (self.active.listing.come(), self.active.length);
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark { salt: self.active.salt, group: self.group + 1 }
    }

    /// Adds an entry of the log of this key to the group; where it will be.
    pub(crate) fn entry(&mut self, key: &[u8], seq: u64, id: [u8; 16], bytes: &[u8]) -> Place {
        // A segment is far shorter, and so is what is written at once.
        let offset = u32::try_from(self.active.length + self.buffer.len() as u64).unwrap_or(u32::MAX);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.mark().write(&mut self.buffer, Kind::Entry, key, &[&seq.to_le_bytes(), &id, bytes]);
        let name = self.active.listing.name(key);
        self.active.listing.push(Item::Entry { name, seq, id, offset, size });
        Place { segment: self.active.number, offset }
    }

    /// Adds a trim of this log to the group. `at`: Unix time in seconds; `gone`: what it takes.
    pub(crate) fn trim(&mut self, key: &[u8], through: u64, at: u64, gone: Vec<Gone>) {
        let taken: Vec<u8> = gone.iter().flat_map(|(id, seq)| id.iter().copied().chain(seq.to_le_bytes())).collect();
        self.mark().write(&mut self.buffer, Kind::Trim, key, &[&through.to_le_bytes(), &at.to_le_bytes(), &taken]);
        let name = self.active.listing.name(key);
        self.active.listing.push(Item::Trim { name, through, at, gone });
    }

    /// Whether there is anything in the group.
    pub(crate) fn holds(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The group comes to nothing.
    pub(crate) fn abandon(&mut self) {
        self.buffer.clear();
        self.active.listing.go_back(self.come);
    }

    /// Makes the group durable. `tables`: the number of the tables' commit that belongs to it, and follows.
    ///
    /// # Errors
    /// See [`Failed`].
    pub(crate) fn commit(&mut self, tables: Option<u64>) -> std::result::Result<(), Failed> {
        let mark = self.mark();
        mark.write(&mut self.buffer, Kind::End, &[], &[&tables.unwrap_or_default().to_le_bytes()]);
        let (file, at) = (&self.active.file, self.active.length);
        if let Err(error) = file.write_all_at(&self.buffer, at) {
            if !full(&error) {
                return Err(Failed::Unknown(error));
            }
            // What fits no more is not left half there.
            file.set_len(at).map_err(Failed::Unknown)?;
            self.abandon();
            return Err(Failed::Full(error));
        }
        // Linux forgets the dirty pages of a failed sync: a second one would succeed without having written them.
        if let Err(error) = file.sync_data() {
            // Nobody was told of the group, and the next start is not to find it. Where this fails too, that start writes
            // it again.
            let _ = file.set_len(at);
            return Err(Failed::Unknown(error));
        }
        self.active.length += self.buffer.len() as u64;
        self.active.listing.tables = self.active.listing.tables.max(tables.unwrap_or_default());
        self.group = mark.group;
        Ok(())
    }

    /// Takes back the group that was made durable last: the tables' part of it came to nothing.
    ///
    /// # Errors
    /// The operating system's: then it is there, and cut off when the store is opened again.
    pub(crate) fn take_back(&mut self) -> Result<()> {
        self.active.file.set_len(self.before)?;
        self.active.file.sync_all()?;
        self.active.length = self.before;
        self.group -= 1;
        self.abandon();
        Ok(())
    }

    /// Ends the segment with its listing and begins the next one. Where there is no room for that, it goes on as it was.
    fn seal(&mut self) -> std::result::Result<(), Failed> {
        let Some(next) = self.active.number.checked_add(1) else { return Ok(()) };
        let ending = self.active.listing.ending(self.mark(), self.active.length);
        let file = &self.active.file;
        let begun = file
            .write_all_at(&ending, self.active.length)
            .and_then(|()| file.sync_data())
            .and_then(|()| Active::create(&self.folder, self.series, next, self.group));
        match begun {
            Ok(active) => {
                let bytes = self.active.length + ending.len() as u64;
                self.sealed.insert(self.active.number, bytes);
                self.active = active;
                Ok(())
            }
            Err(error) if full(&error) => {
                file.set_len(self.active.length).and_then(|()| file.sync_all()).map_err(Failed::Unknown)
            }
            Err(error) => Err(Failed::Unknown(error)),
        }
    }

    /// What a segment holds that is complete.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn listing(&self, number: Number) -> std::result::Result<Listing, SegmentError> {
        sealed(&self.folder, number)
    }

    /// Removes the oldest segment, of which nothing is wanted any more; durably, so that no later one goes before it.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn remove(&mut self, oldest: Number) -> Result<()> {
        self.files.forget(oldest);
        std::fs::remove_file(path(&self.folder, oldest))?;
        sync(&self.folder)?;
        self.sealed.remove(&oldest);
        Ok(())
    }
}
