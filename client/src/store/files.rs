//! Files on their way, each beside the message that announces it.

use sealpost_spec::account::{AccountKey, Name};
use sealpost_spec::message::{ContentId, FilePointer};
use serde::{Deserialize, Serialize};

use super::messages::line_key;
use super::rows::{Rows, Stored, Table};
use crate::engine::Stamp;

const FILE: Table = Table("file");

/// Names a file as its message is named: by its sender's key and its id.
pub(crate) type FileKey = (AccountKey, ContentId);

/// A file on its way.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct FileRow {
    /// Whose message announces it.
    pub(crate) account: AccountKey,
    pub(crate) id: ContentId,
    /// The other person.
    pub(crate) peer: Name,
    /// Where it is at the relay. As long as a file that is sent was not read, it has neither size nor hash; once the key is not
    /// needed any more, it is zeros.
    pub(crate) pointer: FilePointer,
    /// When it came, or was to be sent, Unix milliseconds.
    pub(crate) since: u64,
    pub(crate) stage: Stage,
    /// Of a file that is sent: where it lies. Of one that came: where it is to go, then where it is.
    pub(crate) path: Option<String>,
    /// Of a file that is sent: what it was when it was read.
    pub(crate) stamp: Option<Stamp>,
    /// The key that its recipient had when it was begun.
    pub(crate) recipient: Option<AccountKey>,
    /// Seconds after which the message is deleted.
    pub(crate) expire: Option<u32>,
    /// The relay keeps it although it was fetched.
    pub(crate) keep: bool,
    /// The relay is to remove it, and has not confirmed that.
    pub(crate) drop: bool,
    /// Why it does not go on.
    pub(crate) trouble: Option<String>,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Somebody sent it; nobody asked for it.
    Offered,
    /// It is to be sent or fetched.
    Wanted,
    /// It is announced, or saved.
    Done,
    /// Nothing more happens to it by itself.
    Failed,
    /// Its message is gone; the row stays until the relay has removed the file.
    Gone,
}

impl FileRow {
    pub(crate) fn key(&self) -> FileKey {
        (self.account, self.id)
    }

    /// Its key is not needed any more.
    pub(crate) fn forget_key(&mut self) {
        self.pointer.key = [0; 32];
    }
}

impl Rows {
    /// All of them, oldest first.
    pub(crate) fn files(&self) -> Stored<Vec<FileRow>> {
        self.all(FILE)
    }
    pub(crate) fn file(&self, (account, id): &FileKey) -> Stored<Option<FileRow>> {
        self.get(FILE, &line_key(account, id))
    }
    pub(crate) fn put_file(&self, file: &FileRow) -> Stored<()> {
        self.put(FILE, &line_key(&file.account, &file.id), file)
    }
    pub(crate) fn delete_file(&self, (account, id): &FileKey) -> Stored<bool> {
        self.delete(FILE, &line_key(account, id))
    }
}
