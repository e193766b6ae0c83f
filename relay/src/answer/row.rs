//! What stands in the tables: one byte of row version, then the encoded row.

use sealpost_spec::account::{AccountKey, DeviceId, DeviceKey, Name, NameReceipt, PrekeyId, PrekeyRole};
use sealpost_spec::attachment::BlobId;
use sealpost_spec::mailbox::{MailboxId, TokenHash};
use sealpost_spec::relay::Notice;
use sealpost_spec::room::{PostHash, PostId, RoomName, RoomReceipt};
use sealpost_spec::wire::{Bytes, Signed, decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Relay;
use super::shown::Kind;
use crate::store::{Fault, Key, Rev, Store, Value, Write};

/// Raised when the meaning of rows changes; a reader of the newer version then also reads the older one.
const ROW_VERSION: u8 = 1;

/// A kind of row, in a table of its own.
pub(super) trait Row: Serialize + DeserializeOwned {
    /// The table; also names the row in faults.
    const TABLE: &'static str;
}

macro_rules! tables {
    ($($row:ty = $table:literal;)*) => {
        $(impl Row for $row { const TABLE: &'static str = $table; })*
        /// All of them, for whoever wants to know what is stored.
        pub(crate) const KINDS: &[Kind] = &[$(Kind::of::<$row>()),*];
    };
}
tables! {
    Account = "account";
    Claim = "skeleton";
    Device = "device";
    Presented = "presented";
    Mailbox = "mailbox";
    OneTimes = "prekeys";
    Page = "prekey_page";
    Room = "room";
    Member = "member";
    Joined = "joined";
    Author = "author";
    StoredPost = "post";
    Ban = "ban";
    Released = "released";
    Invite = "invite";
    Retention = "retention";
    MailboxLimit = "limit";
    Notice = "notice";
    Blob = "blob";
    Founder = "founder";
    RoomBan = "room_ban";
}

/// An account, by its name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) list: Signed,
    pub(super) number: u64,
    pub(super) account: AccountKey,
    pub(super) generation: u32,
    pub(super) time: u64,
    pub(super) token: TokenHash,
}

impl Account {
    pub(super) fn receipt(&self, name: &Name) -> NameReceipt {
        NameReceipt { name: name.clone(), account: self.account, generation: self.generation, time: self.time }
    }
}

/// Who holds all names that look like this one, by skeleton.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) name: Name,
}

/// What a device has published, by account name and device id.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) key: DeviceKey,
    /// The highest generation that it presented before it had a row for that: see [`Presented`].
    pub(super) generation: u64,
    pub(super) signed: Option<Signed>,
    pub(super) last_resort_kem: Option<Signed>,
    pub(super) box_key: Option<Signed>,
    /// Highest id published so far, by role number less one: an id is never used twice.
    pub(super) highest: [PrekeyId; 5],
}

/// The highest generation that a device presented, by account name and device id. Each login writes it, and it is a
/// fiftieth of what the device has published. [ACCT-12]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Presented {
    pub(super) key: DeviceKey,
    pub(super) generation: u64,
}

/// Whose mailbox this is, by mailbox id.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Mailbox {
    pub(super) name: Name,
    pub(super) device: DeviceId,
}

/// Which one-time prekeys of a device are left, by account name and device id.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OneTimes {
    pub(super) one_time: Left,
    pub(super) one_time_kem: Left,
}

/// Which of one role: those of the pages from `first` on, but for what was given out of that one.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) first: u32,
    pub(super) given: u16,
    /// Keys that count, page by page.
    pub(super) pages: Vec<u16>,
    /// The highest id that ever counted.
    pub(super) through: PrekeyId,
}

/// One-time prekeys, by account name, device id, role and number of the page.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) keys: Vec<Signed>,
}

/// A room, by its name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Room {
    pub(super) made_at: u64,
    /// Who made it; the lobby was made by nobody.
    pub(super) maker: Option<AccountKey>,
}

/// A member, by room and account name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Member;

/// The same membership, by account name and room.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Joined;

/// Where a device's posts in a room stand, by room, account name and device id. [ROOM-4]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Author {
    pub(super) account: AccountKey,
    /// The first number that this store has: above 1, the author's earlier posts were lost here.
    pub(super) first: u64,
    pub(super) number: u64,
    pub(super) hash: PostHash,
}

/// What can't stand in the room's log because it may be removed, by room and post id.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredPost {
    pub(super) account: AccountKey,
    pub(super) hash: PostHash,
    pub(super) body: Option<Bytes>,
}

/// An account that the operator keeps out, by its key. [RELAY-18]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Ban {
    /// What it was called then.
    pub(super) name: Name,
    pub(super) reason: String,
}

/// A name that the operator has freed, by the name. [ACCT-18]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Released {
    /// What the next receipt for it has; lower ones are worth nothing.
    pub(super) generation: u32,
}

/// What lets newcomers register, by the hash of its token. [ACCT-17]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Invite {
    /// The operator's own note.
    pub(super) label: String,
    /// How often it may still be used.
    pub(super) left: u32,
    /// Unix milliseconds.
    pub(super) expires: u64,
    /// Who used it last, under which generation of the name: their registration may be repeated.
    pub(super) last: Option<(Name, AccountKey, u32)>,
}

/// What a room keeps, by its name. [ROOM-11]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Retention {
    pub(super) posts: u32,
    /// Seconds; 0 for ever.
    pub(super) age_s: u64,
    /// Whether anything has gone so far.
    pub(super) trimmed: bool,
}

/// What the mailboxes of an account may hold where that is not what others may, by its name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MailboxLimit {
    pub(super) envelopes: u64,
    pub(super) bytes: u64,
}

/// A blob, by its id. [FILE-6]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Blob {
    /// The account that may fetch it.
    pub(super) owner: Name,
    pub(super) parts: u32,
    /// So many parts count of it: at most what is stored twice over, and a few. [FILE-8]
    pub(super) counted: u32,
    /// Unix milliseconds.
    pub(super) begun_at: u64,
    /// When its last part came.
    pub(super) whole_at: Option<u64>,
}

/// Who made a room, by its name: the relay's receipt for it. [ROOM-12]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Founder {
    pub(super) name: Name,
    pub(super) account: AccountKey,
    /// Unix milliseconds.
    pub(super) time: u64,
}

impl Founder {
    pub(super) fn receipt(&self, room: &RoomName) -> RoomReceipt {
        RoomReceipt { room: room.clone(), name: self.name.clone(), account: self.account, time: self.time }
    }
}

/// An account that a room's creator keeps out, by the room and the account's key. [ROOM-17]
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RoomBan {
    /// What it was called then.
    pub(super) name: Name,
    pub(super) reason: String,
}

/// A row with its revision.
pub(super) struct Current<R> {
    pub(super) rev: Rev,
    pub(super) row: R,
}

/// Names a row. Names and rooms have no zero byte, which therefore ends them; what follows has a fixed width.
fn key<R: Row>(parts: &[&[u8]]) -> Key {
    Key { table: R::TABLE, key: parts.concat() }
}

pub(super) fn account(name: &Name) -> Key {
    key::<Account>(&[name.as_str().as_bytes()])
}
pub(super) fn claim(skeleton: &str) -> Key {
    key::<Claim>(&[skeleton.as_bytes()])
}
pub(super) fn ban(account: &AccountKey) -> Key {
    key::<Ban>(&[&account.0])
}
pub(super) fn released(name: &Name) -> Key {
    key::<Released>(&[name.as_str().as_bytes()])
}
pub(super) fn invite(hash: &[u8]) -> Key {
    key::<Invite>(&[hash])
}
pub(super) fn retention(room: &RoomName) -> Key {
    key::<Retention>(&[room.as_str().as_bytes()])
}
pub(super) fn mailbox_limit(name: &Name) -> Key {
    key::<MailboxLimit>(&[name.as_str().as_bytes()])
}
pub(super) fn blob(id: &BlobId) -> Key {
    key::<Blob>(&[&id.0])
}
/// There is one notice at most. [RELAY-21]
pub(super) fn notice() -> Key {
    key::<Notice>(&[b"standing"])
}
pub(super) fn device(name: &Name, device: DeviceId) -> Key {
    key::<Device>(&[name.as_str().as_bytes(), &[0], &device.0.to_be_bytes()])
}
pub(super) fn presented(name: &Name, device: DeviceId) -> Key {
    key::<Presented>(&[name.as_str().as_bytes(), &[0], &device.0.to_be_bytes()])
}
pub(super) fn mailbox(id: &MailboxId) -> Key {
    key::<Mailbox>(&[&id.0])
}
pub(super) fn one_times(name: &Name, device: DeviceId) -> Key {
    key::<OneTimes>(&[name.as_str().as_bytes(), &[0], &device.0.to_be_bytes()])
}
/// Prefix of the pages of a device's one-time prekeys.
pub(super) fn pages(name: &Name, device: DeviceId) -> Vec<u8> {
    [name.as_str().as_bytes(), &[0], &device.0.to_be_bytes()].concat()
}
pub(super) fn page(name: &Name, device: DeviceId, role: PrekeyRole, number: u32) -> Key {
    Key { table: Page::TABLE, key: [pages(name, device).as_slice(), &[role as u8], &number.to_be_bytes()].concat() }
}
pub(super) fn room(room: &RoomName) -> Key {
    key::<Room>(&[room.as_str().as_bytes()])
}
pub(super) fn founder(room: &RoomName) -> Key {
    key::<Founder>(&[room.as_str().as_bytes()])
}
pub(super) fn room_ban(room: &RoomName, account: &AccountKey) -> Key {
    key::<RoomBan>(&[room.as_str().as_bytes(), &[0], &account.0])
}
pub(super) fn member(room: &RoomName, name: &Name) -> Key {
    key::<Member>(&[room.as_str().as_bytes(), &[0], name.as_str().as_bytes()])
}
pub(super) fn joined(name: &Name, room: &RoomName) -> Key {
    key::<Joined>(&[name.as_str().as_bytes(), &[0], room.as_str().as_bytes()])
}
/// Prefix of what belongs to a name or room.
pub(super) fn of(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}
pub(super) fn author(room: &RoomName, name: &Name, device: DeviceId) -> Key {
    let (room, name) = (room.as_str().as_bytes(), name.as_str().as_bytes());
    key::<Author>(&[room, &[0], name, &[0], &device.0.to_be_bytes()])
}
pub(super) fn post(room: &RoomName, id: &PostId) -> Key {
    key::<StoredPost>(&[room.as_str().as_bytes(), &[0], &id.0])
}

pub(super) fn decoded<R: Row>(value: Value) -> Result<Current<R>, Fault> {
    let row = match value.bytes.split_first() {
        Some((&ROW_VERSION, row)) => decode(row).map_err(|_| Fault::Damaged(R::TABLE))?,
        _ => return Err(Fault::Damaged(R::TABLE)),
    };
    Ok(Current { rev: value.rev, row })
}

pub(super) fn encoded<R: Row>(row: &R) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![ROW_VERSION];
    bytes.extend(encode(row).ok_or(Fault::Damaged(R::TABLE))?);
    Ok(bytes)
}

/// Sets a row that was read, or that there was none of.
pub(super) fn put<R: Row>(key: Key, read: Option<Rev>, row: &R) -> Result<Write, Fault> {
    Ok(Write::Put { key, expected: read, value: encoded(row)? })
}

impl<R> Current<R> {
    /// The revision to expect when it is replaced.
    pub(super) fn rev(read: Option<&Self>) -> Option<Rev> {
        read.map(|current| current.rev)
    }
}

impl<S: Store> Relay<S> {
    /// The row under this key.
    pub(super) async fn row<R: Row>(&self, key: Key) -> Result<Option<Current<R>>, Fault> {
        let mut values = self.store.get(vec![key]).await?;
        values.pop().flatten().map(decoded).transpose()
    }
}
