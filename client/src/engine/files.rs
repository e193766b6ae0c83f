//! Files: which are sent and fetched when, and what became of them. Whoever moves their bytes is told by [`FileOrder`]s and
//! tells by [`FileNews`].

mod asked;
mod moved;

pub(super) use asked::{Get, SendFile};

use std::collections::{BTreeMap, VecDeque};

use sealpost_spec::account::Name;
use sealpost_spec::attachment::{BlobId, KEPT_MS, parts};
use sealpost_spec::mailbox::DeliveryToken;
use sealpost_spec::message::{ContentId, FilePointer};
use sealpost_spec::relay::{Answer, Request};
use serde::{Deserialize, Serialize};

use super::command::Waiting;
use super::timers::Timer;
use super::{Asked, CommandId, DAY, Engine, Failure, Transmit};
use crate::api::{Event, Text, Transfer, Way};
use crate::store::Stored;
use crate::store::files::{FileKey, FileRow, Stage};
use crate::store::messages::Line;

/// Most files that move at once.
const MOST: usize = 4;
/// First and longest pause after a failure, in milliseconds.
const FIRST_PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 5 * 60 * 1_000;
/// So many characters of a suggested name are kept.
const LONGEST_NAME: usize = 255;
/// How long it is told that a file could not be sent, in milliseconds.
const TOLD: u64 = 30 * DAY;

/// Names an order until its end; chosen by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileJob(pub u64);

/// What a file was when it was read: another state is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The file system.
    pub device: u64,
    /// The file there.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// When it was written last: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it was changed last.
    pub changed: (i64, i64),
}

/// What the engine wants done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOrder {
    /// Find out what is in it. Ends with [`FileNews::Measured`].
    Measure {
        /// Comes back with what is told.
        job: FileJob,
        /// Where it is.
        path: String,
    },
    /// Seal and upload it, from where the relay has come to. Ends with [`FileNews::Uploaded`].
    Upload {
        /// Comes back with what is told.
        job: FileJob,
        /// Where it is.
        path: String,
        /// What it was when it was measured.
        stamp: Stamp,
        /// Whose link.
        recipient: Name,
        /// Their delivery token, where it is known.
        token: Option<DeliveryToken>,
        /// Under which key it is sealed, and where it goes.
        pointer: FilePointer,
    },
    /// Fetch, check and save it, from where the disk has come to. Ends with [`FileNews::Saved`].
    Fetch {
        /// Comes back with what is told.
        job: FileJob,
        /// Where it is and how it is opened.
        pointer: FilePointer,
        /// Where it is to go; else into the folder for downloads.
        to: Option<String>,
    },
    /// End an order. Nothing is told of it any more.
    Stop {
        /// Which.
        job: FileJob,
    },
    /// Remove what was fetched of a file that nobody wants any more.
    Forget {
        /// Which.
        blob: BlobId,
        /// Where it was to go.
        to: Option<String>,
    },
}

/// What became of an order so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileNews {
    /// It is this.
    Measured {
        /// Bytes.
        size: u64,
        /// SHA-256.
        hash: [u8; 32],
        /// Its state, before and after it was read.
        stamp: Stamp,
    },
    /// So many bytes of it are where they belong.
    Moved {
        /// Bytes.
        done: u64,
    },
    /// The relay has all of it. What was sealed is this. **[FILE-9]**
    Uploaded {
        /// Bytes.
        size: u64,
        /// SHA-256.
        hash: [u8; 32],
    },
    /// All of it is there and is what was announced. **[FILE-13]**
    Saved {
        /// Where.
        path: String,
    },
    /// It goes no further.
    Stopped(FileTrouble),
}

/// Why a file goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTrouble {
    /// It can't be read, in words.
    Unreadable(String),
    /// It is not what it was when it was measured.
    Changed,
    /// The relay, or the way there.
    Link(Failure),
    /// What the relay gave is not what was announced.
    Damaged,
    /// What was there of it from an earlier time did not fit the rest: it is fetched from the start.
    Stale,
    /// It can't be written, in words.
    Unwritable(String),
    /// The disk is full.
    Full,
    /// There is something under the name that it was to get.
    Taken(String),
}

/// What moves, in memory: after a start nothing does.
#[derive(Default)]
pub(super) struct Files {
    under_way: BTreeMap<FileJob, FileKey>,
    /// Next to begin.
    waiting: VecDeque<FileKey>,
    /// How far those came that moved since the start, and whether they are only read so far.
    done: BTreeMap<FileKey, u64>,
    pauses: BTreeMap<FileKey, (u64, u64)>,
    last_job: u64,
}

impl Files {
    fn job_of(&self, key: &FileKey) -> Option<FileJob> {
        self.under_way.iter().find(|(_, other)| *other == key).map(|(job, _)| *job)
    }

    fn next_job(&mut self, key: FileKey) -> FileJob {
        self.last_job += 1;
        let job = FileJob(self.last_job);
        self.under_way.insert(job, key);
        job
    }
}

impl FileOrder {
    /// Which job it is about; that of no job is 0.
    pub fn job(&self) -> FileJob {
        match self {
            Self::Measure { job, .. } | Self::Upload { job, .. } | Self::Fetch { job, .. } | Self::Stop { job } => *job,
            Self::Forget { .. } => FileJob(0),
        }
    }
}

/// A name as it is kept: what is longer is no name.
pub(super) fn kept_name(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

impl Engine {
    /// A message came that announces a file. Nothing is fetched that nobody asks for. **[FILE-12]**
    pub(super) fn file_offered(&mut self, line: &Line, pointer: FilePointer) -> Stored<()> {
        let pointer = FilePointer { name: kept_name(&pointer.name), ..pointer };
        self.rows().put_file(&FileRow {
            account: line.account,
            id: line.id,
            peer: line.from.clone(),
            pointer,
            since: self.now,
            stage: Stage::Offered,
            path: None,
            stamp: None,
            recipient: None,
            expire: None,
            keep: false,
            drop: false,
            trouble: None,
        })
    }

    /// A file that one has sent from another device: it can be fetched here, and stays its recipient's. **[MSG-43]**
    pub(super) fn file_sent_elsewhere(&mut self, line: &Line, to: &Name, pointer: FilePointer) -> Stored<()> {
        self.file_offered(line, pointer)?;
        match self.rows().file(&(line.account, line.id))? {
            Some(row) => self.rows().put_file(&FileRow { peer: to.clone(), keep: true, ..row }),
            None => Ok(()),
        }
    }

    /// Whether this device sends or sent it.
    pub(super) fn is_outgoing(&self, row: &FileRow) -> bool {
        row.account == self.own.account && !row.keep
    }

    /// Whether there can be a file of this size.
    pub(super) fn is_file_size(size: u64) -> bool {
        parts(size).is_some()
    }

    /// A file as faces see it.
    pub(super) fn transfer(&self, row: &FileRow) -> Transfer {
        let incoming = !self.is_outgoing(row);
        let under_way = self.files.job_of(&row.key()).is_some();
        let state = match row.stage {
            // A blob waits for 30 days. **[FILE-11]**
            Stage::Offered if self.now > row.since.saturating_add(KEPT_MS) => Way::Failed,
            Stage::Offered => Way::Offered,
            Stage::Wanted if !under_way => Way::Waiting,
            Stage::Wanted if !incoming && row.stamp.is_none() => Way::Reading,
            Stage::Wanted => Way::Moving,
            Stage::Done => Way::Done,
            Stage::Failed | Stage::Gone => Way::Failed,
        };
        let done = match state {
            Way::Done => row.pointer.size,
            _ => self.files.done.get(&row.key()).copied().unwrap_or_default(),
        };
        Transfer {
            id: row.id.to_string(),
            conversation: format!("@{}", row.peer),
            incoming,
            name: Text::new(row.pointer.name.as_str()),
            size: row.pointer.size,
            done,
            state,
            path: row.path.clone().filter(|_| !incoming || state == Way::Done),
            trouble: match state {
                Way::Failed if row.stage == Stage::Offered => Some("the relay kept it for 30 days".to_owned()),
                _ => row.trouble.clone(),
            },
        }
    }

    /// The file that a line announces.
    pub(super) fn transfer_of(&self, line: &Line) -> Stored<Option<Box<Transfer>>> {
        let row = self.rows().file(&(line.account, line.id))?;
        Ok(row.map(|row| Box::new(Transfer { conversation: line.conversation.clone(), ..self.transfer(&row) })))
    }

    /// Tells everybody how far a file is, those who wait for it first.
    pub(super) fn tell_file(&mut self, row: &FileRow) {
        let event = Event::Progress(self.transfer(row));
        for id in self.waiting_for_file(&row.key()) {
            self.tell(Some(id), event.clone());
        }
        self.tell(None, event);
    }

    /// Lets a file move, as soon as there is room for it.
    pub(super) fn want_file(&mut self, key: FileKey) -> Stored<()> {
        self.files.pauses.remove(&key);
        self.timers.clear(&Timer::File(key));
        if self.files.job_of(&key).is_none() && !self.files.waiting.contains(&key) {
            self.files.waiting.push_back(key);
        }
        self.start_files()
    }

    /// Begins with what waits.
    pub(super) fn start_files(&mut self) -> Stored<()> {
        while self.files.under_way.len() < MOST && self.online() {
            let Some(key) = self.files.waiting.pop_front() else { break };
            let Some(row) = self.rows().file(&key)?.filter(|row| row.stage == Stage::Wanted) else { continue };
            let job = self.files.next_job(key);
            let order = self.order(job, &row);
            self.transmit(Transmit::File(order));
            self.tell_file(&row);
        }
        Ok(())
    }

    fn order(&self, job: FileJob, row: &FileRow) -> FileOrder {
        let (pointer, path) = (row.pointer.clone(), row.path.clone());
        if !self.is_outgoing(row) {
            return FileOrder::Fetch { job, pointer, to: path };
        }
        let path = path.unwrap_or_default();
        match row.stamp {
            None => FileOrder::Measure { job, path },
            Some(stamp) => {
                let token = self.contacts.get(&row.peer).and_then(|contact| contact.token);
                FileOrder::Upload { job, path, stamp, recipient: row.peer.clone(), token, pointer }
            }
        }
    }

    /// Somebody watches, or somebody is logged in again: what is not finished goes on.
    pub(super) fn resume_files(&mut self) -> Stored<()> {
        let watched = self.is_watched();
        for row in self.rows().files()? {
            let key = row.key();
            if row.drop {
                self.ask_to_drop(&row);
            }
            if row.stage == Stage::Wanted && (watched || !self.waiting_for_file(&key).is_empty()) {
                self.want_file(key)?;
            }
        }
        self.start_files()
    }

    /// Whether somebody is there who sees what happens by itself.
    fn is_watched(&self) -> bool {
        self.waits.values().any(|waiting| matches!(waiting, Waiting::Subscribe))
    }

    /// A pause is over.
    pub(super) fn file_due(&mut self, key: FileKey) -> Stored<()> {
        self.files.waiting.retain(|other| *other != key);
        self.files.waiting.push_back(key);
        self.start_files()
    }

    /// The link is given up: nothing moves until somebody asks again.
    pub(super) fn stop_files(&mut self) {
        for job in std::mem::take(&mut self.files.under_way).into_keys() {
            self.transmit(Transmit::File(FileOrder::Stop { job }));
        }
        self.files.waiting.clear();
    }

    /// The message that announced a file is gone, and the file goes with it; what was saved is the person's own.
    pub(super) fn forget_file(&mut self, line: &Line) -> Stored<()> {
        self.forget_file_of(&(line.account, line.id))
    }

    pub(super) fn forget_file_of(&mut self, key: &FileKey) -> Stored<()> {
        let Some(mut row) = self.rows().file(key)? else { return Ok(()) };
        self.halt_file(&row);
        let fetched = row.stage == Stage::Done && !row.keep;
        // Another device may not have fetched it yet; and what one sent is its recipient's.
        let stays = self.has_siblings() || row.account == self.own.account;
        if stays || fetched && !row.drop {
            self.rows().delete_file(key)?;
            return self.start_files();
        }
        row.stage = Stage::Gone;
        row.forget_key();
        row.pointer.name.clear();
        (row.path, row.trouble, row.drop) = (None, None, true);
        self.rows().put_file(&row)?;
        self.ask_to_drop(&row);
        self.start_files()
    }

    /// It moves no further, and what was fetched of it goes.
    fn halt_file(&mut self, row: &FileRow) {
        let key = row.key();
        if let Some(job) = self.files.job_of(&key) {
            self.files.under_way.remove(&job);
            self.transmit(Transmit::File(FileOrder::Stop { job }));
        }
        self.files.waiting.retain(|other| *other != key);
        self.files.done.remove(&key);
        self.files.pauses.remove(&key);
        self.timers.clear(&Timer::File(key));
        let incoming = !self.is_outgoing(row);
        if incoming && matches!(row.stage, Stage::Wanted | Stage::Failed) {
            self.transmit(Transmit::File(FileOrder::Forget { blob: row.pointer.blob, to: row.path.clone() }));
        }
    }

    /// Lets the relay remove what one has, or does not want. **[FILE-11]**
    pub(super) fn ask_to_drop(&mut self, row: &FileRow) {
        if self.online() {
            self.ask(Asked::Drop(row.key()), Request::DropBlob(row.pointer.blob));
        }
    }

    pub(super) fn dropped(&mut self, key: &FileKey, result: &Result<Answer, Failure>) -> Stored<()> {
        if result.is_err() {
            // It is asked again after the next login.
            return Ok(());
        }
        match self.rows().file(key)? {
            Some(row) if row.stage == Stage::Gone => self.rows().delete_file(key).map(drop),
            Some(mut row) => {
                row.drop = false;
                self.rows().put_file(&row)
            }
            None => Ok(()),
        }
    }

    /// Forgets what could not be sent long ago: no message tells of it.
    pub(super) fn forget_old_files(&mut self) -> Stored<()> {
        for row in self.rows().files()? {
            let unsent = self.is_outgoing(&row) && row.stage == Stage::Failed;
            if unsent && row.since.saturating_add(TOLD) < self.now {
                self.rows().delete_file(&row.key())?;
            }
        }
        Ok(())
    }

    /// Commands that wait for this file.
    fn waiting_for_file(&self, key: &FileKey) -> Vec<CommandId> {
        let waits = self.waits.iter();
        waits.filter(|(_, waiting)| waiting.is_about_file(key)).map(|(id, _)| *id).collect()
    }

    /// A new id for a file and the message that will announce it.
    fn file_key(&self) -> FileKey {
        (self.own.account, ContentId(self.random()))
    }
}
