//! The seam: everything that a relay keeps, in three shapes that every backend can carry.
//!
//! | shape | verbs | holds |
//! |---|---|---|
//! | log | append, offer, read, trim, watch, usage | mailboxes, rooms |
//! | table | get, put, delete, scan, count | accounts, devices, prekeys, members |
//! | blob | put_part, parts, part, delete | sealed attachments |
//!
//! The invariants, written for the weaker backend; [`conformance`] checks each on any store:
//!
//! - **[STORE-1]** Durable when the future resolves: what [`Store::write`] reported is there after a crash.
//! - **[STORE-2]** A batch is applied in order. A crash leaves a prefix of it, each write whole; so does a [`Write`]
//!   whose condition does not hold, which ends its batch. There is no transaction beyond that: log first, table derived.
//! - **[STORE-3]** Within a log [`Seq`] strictly rises, from 1 at least; gaps are allowed. It goes on after a trim and
//!   after a restart, so a seq never returns: neither that of a trimmed entry nor that of one that was never written.
//!   Reads show a log in this order: behind what a read has shown, nothing comes before it any more.
//! - **[STORE-4]** The same id appended twice to one log gives the first seq, told apart from a new one, as long as the
//!   entry is there, and for [`DUPLICATE_WINDOW`] after it was trimmed unless [`REMEMBERED`] others were trimmed since.
//!   That an entry was there which was never written [STORE-11] is known until the store is opened again. Beyond that
//!   a store may take it for new.
//! - **[STORE-5]** A read, scan or usage sees every write that resolved before it began.
//! - **[STORE-6]** [`Write::Put`] and [`Write::Delete`] apply only while the revision is the expected one; a revision of a
//!   key never returns, not even after its deletion.
//! - **[STORE-7]** A watch rings after each append to its log that resolved after the watch began. It may ring without
//!   reason; it never misses.
//! - **[STORE-8]** Values come back bit for bit.
//! - **[STORE-9]** Nothing of one log, table or blob shows in another, whatever bytes their names have.
//! - **[STORE-10]** An empty store has a random id of its own, which it keeps.
//! - **[STORE-11]** What is offered, see [`Store::offer`], resolves once it is durable or once a trim has passed it,
//!   whichever comes first. Meanwhile it may be read, rings watches and counts as used; a crash loses it. A store that
//!   has no place for what is not written yet writes it like anything else.
//! - **[STORE-12]** The parts of a blob are put in the order of their numbers: any other than the next one changes
//!   nothing. The number that a put resolves to counts parts that are durable, and it never falls, but to nothing where
//!   the blob was deleted or its file could not be written.

pub mod bell;
pub mod conformance;
pub mod crash;
pub mod jetstream;
pub mod memory;
pub mod segments;
pub mod sqlite;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use bell::{Bell, Tags, Watch};
pub use crash::{CrashPoint, CrashPoints};
pub use jetstream::JetStream;
pub use memory::Memory;
use sealpost_spec::mailbox::{Seq, StoreId};
pub use sqlite::Sqlite;
use tokio::sync::mpsc;

/// For at least so long a store knows the ids that were appended: a client that heard no answer asks again sooner.
/// [STORE-4]
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

/// Of so many trimmed entries, the latest, a store knows the ids: some 20 MiB of them. A full mailbox of each of 250
/// people can be drained meanwhile. [STORE-4]
pub const REMEMBERED: usize = 250_000;

/// Names a log: a kind, which a backend may give a stream of its own, and a key in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Log {
    /// `mailbox` or `room`.
    pub kind: &'static str,
    /// Any bytes, at most 64.
    pub key: Vec<u8>,
}

/// Names a value in a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The table's name.
    pub table: &'static str,
    /// Any bytes, at most 128.
    pub key: Vec<u8>,
}

/// A revision of a value, which only its store understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rev(pub u64);

/// One write of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Puts an entry at the end of a log. Gives [`Written::Appended`] or [`Written::Duplicate`].
    Append(Append),
    /// Removes the entries of a log up to this one. Gives [`Written::Done`].
    Trim {
        /// From which log.
        log: Log,
        /// The last one to go.
        through: Seq,
    },
    /// Sets a value whose revision is `expected`; `None`: which does not exist. Gives [`Written::Put`] or
    /// [`Written::Moved`].
    Put {
        /// Which.
        key: Key,
        /// The revision that it must have.
        expected: Option<Rev>,
        /// The new value.
        value: Vec<u8>,
    },
    /// Removes a value whose revision is `expected`. Gives [`Written::Done`] or [`Written::Moved`].
    Delete {
        /// Which.
        key: Key,
        /// The revision that it must have.
        expected: Rev,
    },
}

/// An entry to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Where.
    pub log: Log,
    /// Tells a repetition. [STORE-4]
    pub id: [u8; 16],
    /// What.
    pub bytes: Vec<u8>,
}

/// What became of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Appended here.
    Appended(Seq),
    /// Was appended before, here.
    Duplicate(Seq),
    /// Set; this is the new revision.
    Put(Rev),
    /// The revision was another one. The batch ended before this write. [STORE-6]
    Moved,
    /// Done.
    Done,
}

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub id: [u8; 16],
    /// What was appended. A clone shares it.
    pub bytes: Bytes,
}

/// How much a read may return. One entry is returned in any case, so that no entry is too large to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Entries.
    pub count: usize,
    /// Bytes of entries.
    pub bytes: usize,
}

/// How much a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// Entries.
    pub count: u64,
    /// Bytes of entries.
    pub bytes: u64,
}

/// A value with its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// For the next put.
    pub rev: Rev,
    /// What was put. A clone shares it.
    pub bytes: Bytes,
}

/// The store's own trouble: nothing was promised, and whether it was written is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The store has stopped: after a failed commit, a crash point, or its end.
    #[error("the store has stopped")]
    Stopped,
    /// What was read is not what was written.
    #[error("{0} in the store is damaged")]
    Damaged(&'static str),
    /// A value kept changing between reading and writing it.
    #[error("{0} kept changing")]
    Contended(&'static str),
    /// There is no room for it.
    #[error("the disk is full")]
    Full,
    /// The backend's own words.
    #[error("{0}")]
    Backend(String),
}

/// What relays of one store say to each other. It is heard at once or not at all, and is kept nowhere: so nothing leans on
/// it for good.
pub struct Neighbours {
    /// Tells all others.
    pub tell: Arc<dyn Fn(Vec<u8>) + Send + Sync>,
    /// What they tell.
    pub heard: mpsc::Receiver<Bytes>,
}

/// Everything that a relay keeps. The module's documentation numbers what an implementation promises.
pub trait Store: Send + Sync + 'static {
    /// Random, new with every empty store. [STORE-10]
    fn id(&self) -> StoreId;

    /// Applies a batch, in order, and resolves once it is durable. Fewer results than writes: the last result is
    /// [`Written::Moved`] and what follows was not applied. [STORE-1] [STORE-2]
    fn write(&self, batch: Vec<Write>) -> impl Future<Output = Result<Vec<Written>, Fault>> + Send;

    /// Appends an entry that somebody may take before it is written: resolves once it is durable, or once a
    /// [`Write::Trim`] has passed it. [STORE-11]
    fn offer(&self, append: Append) -> impl Future<Output = Result<Written, Fault>> + Send {
        async {
            let written = self.write(vec![Write::Append(append)]).await?;
            written.first().copied().ok_or(Fault::Damaged("a log"))
        }
    }

    /// Entries of a log after this seq, in order. Fewer than there might be by `limit`, with room for one more: there were
    /// no more of them.
    fn read(&self, log: &Log, after: Seq, limit: Limit) -> impl Future<Output = Result<Vec<Entry>, Fault>> + Send;

    /// How much a log holds.
    fn usage(&self, log: &Log) -> impl Future<Output = Result<Usage, Fault>> + Send;

    /// How much all logs of a kind hold.
    fn total(&self, kind: &'static str) -> impl Future<Output = Result<Usage, Fault>> + Send;

    /// Rings this bell with this tag whenever the log has something new, until the watch is dropped. [STORE-7]
    fn watch(&self, log: &Log, bell: &Bell, tag: u8) -> Watch;

    /// The values of these keys, in this order.
    fn get(&self, keys: Vec<Key>) -> impl Future<Output = Result<Vec<Option<Value>>, Fault>> + Send;

    /// Keys of a table that begin with `prefix`, after `after` (a whole key), in order, with their values.
    fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, Value)>, Fault>> + Send;

    /// How many keys of a table begin with `prefix`.
    fn count(&self, table: &'static str, prefix: &[u8]) -> impl Future<Output = Result<u64, Fault>> + Send;

    /// Adds a part to a blob, [`sealpost_spec::attachment::PART`] bytes, where it is the next one, numbered from 0; resolves to how
    /// many there are. [STORE-12]
    fn put_part(&self, blob: [u8; 16], number: u32, bytes: Bytes) -> impl Future<Output = Result<u32, Fault>> + Send;

    /// How many parts of a blob there are.
    fn parts(&self, blob: [u8; 16]) -> impl Future<Output = Result<u32, Fault>> + Send;

    /// This part of a blob.
    fn part(&self, blob: [u8; 16], number: u32) -> impl Future<Output = Result<Option<Bytes>, Fault>> + Send;

    /// Removes a blob with all its parts, where it is.
    fn delete_blob(&self, blob: [u8; 16]) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The other relays that share this store; `None` where nobody does. Given to the first who asks.
    fn neighbours(&self) -> Option<Neighbours> {
        None
    }

    /// How many bytes more it could hold, as far as it knows.
    fn free(&self) -> u64 {
        u64::MAX
    }
}
