//! Rooms, their authors' chains, and one's own posts.

use std::collections::BTreeSet;

use sealpost_spec::account::{AccountKey, DeviceId, Name};
use sealpost_spec::mailbox::{Seq, StoreId};
use sealpost_spec::room::{Post, PostHash, PostId, RoomName};
use sealpost_spec::wire::Signed;
use serde::{Deserialize, Serialize};

use super::changes::Order;
use super::rows::{Rows, Stored, Table};

const ROOM: Table = Table("room");
const AUTHOR: Table = Table("author");
const FIRST_AUTHOR: Table = Table("first_author");
const POST: Table = Table("post");
const RULE: Table = Table("rule");
const DROPPED: Table = Table("dropped");
const SETTING: Table = Table("setting");

/// A room that one is or was a member of.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Room {
    pub(crate) name: RoomName,
    pub(crate) joined: bool,
    /// The last post of the relay's order that was stored.
    pub(crate) cursor: Seq,
    /// The number and hash of one's own last post, of those that were signed.
    pub(crate) number: u64,
    pub(crate) hash: PostHash,
    /// All one's own posts up to this number are durable at the relay's present store.
    pub(crate) posted: u64,
    /// Messages that `recv` has not given.
    pub(crate) unread: u32,
}

impl Room {
    pub(crate) fn new(name: RoomName) -> Self {
        Self { name, joined: false, cursor: Seq(0), number: 0, hash: PostHash::default(), posted: 0, unread: 0 }
    }
}

/// The last post of a device in a room: the next one has to follow it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Author {
    pub(crate) number: u64,
    pub(crate) hash: PostHash,
    /// Where it stands in the relay's order.
    pub(crate) seq: Seq,
}

/// One's own post, signed: kept to be offered again to a relay that lost it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OwnPost {
    pub(crate) id: PostId,
    pub(crate) number: u64,
    pub(crate) post: Post,
}

/// Who made a room, by the relay's receipt. The first one counts.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Creator {
    pub(crate) name: Name,
    pub(crate) account: AccountKey,
    pub(crate) receipt: Signed,
}

/// Who decides in a room, and what they decided that lasts.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) room: RoomName,
    pub(crate) creator: Option<Creator>,
    /// The store of the relay that was asked for the creator.
    pub(crate) asked: Option<StoreId>,
    pub(crate) topic: Option<(Order, String)>,
    /// Where one's own last join stands in the relay's order.
    pub(crate) joined_at: Seq,
    /// Where the last post stands that ended one's own membership.
    pub(crate) put_out: Seq,
}

impl Rule {
    pub(crate) fn new(room: RoomName) -> Self {
        Self { room, creator: None, asked: None, topic: None, joined_at: Seq(0), put_out: Seq(0) }
    }
}

/// Where it is known what devices had posted that an account's newest list does not name. **[ROOM-20]**
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Dropped {
    pub(crate) account: AccountKey,
    /// Not all has come yet since that list was taken.
    pub(crate) open: bool,
    /// The rooms that one was in when all had come.
    pub(crate) rooms: BTreeSet<RoomName>,
}

impl Dropped {
    pub(crate) fn new(account: AccountKey) -> Self {
        Self { account, open: true, rooms: BTreeSet::new() }
    }
}

fn author_key(room: &RoomName, account: &AccountKey, device: DeviceId) -> Vec<u8> {
    [&account.0[..], &device.0.to_le_bytes(), room.as_str().as_bytes()].concat()
}

fn post_key(room: &RoomName, number: u64) -> Vec<u8> {
    [&number.to_le_bytes()[..], room.as_str().as_bytes()].concat()
}

fn doubt_key(room: &RoomName) -> Vec<u8> {
    [b"doubtful posts ", room.as_str().as_bytes()].concat()
}

impl Rows {
    /// Up to which number others may have one's own posts although no relay has answered them.
    pub(crate) fn doubtful(&self, room: &RoomName) -> Stored<u64> {
        Ok(self.get(SETTING, &doubt_key(room))?.unwrap_or_default())
    }
    pub(crate) fn put_doubtful(&self, room: &RoomName, number: u64) -> Stored<()> {
        self.put(SETTING, &doubt_key(room), &number)
    }
    pub(crate) fn rooms(&self) -> Stored<Vec<Room>> {
        self.all(ROOM)
    }
    pub(crate) fn put_room(&self, room: &Room) -> Stored<()> {
        self.put(ROOM, room.name.as_str().as_bytes(), room)
    }
    pub(crate) fn rules(&self) -> Stored<Vec<Rule>> {
        self.all(RULE)
    }
    pub(crate) fn put_rule(&self, rule: &Rule) -> Stored<()> {
        self.put(RULE, rule.room.as_str().as_bytes(), rule)
    }
    pub(crate) fn author(&self, room: &RoomName, account: &AccountKey, device: DeviceId) -> Stored<Option<Author>> {
        self.get(AUTHOR, &author_key(room, account, device))
    }
    pub(crate) fn put_author(
        &self,
        room: &RoomName,
        account: &AccountKey,
        device: DeviceId,
        author: &Author,
    ) -> Stored<()> {
        self.put(AUTHOR, &author_key(room, account, device), author)
    }
    pub(crate) fn dropped(&self, account: &AccountKey) -> Stored<Option<Dropped>> {
        self.get(DROPPED, &account.0)
    }
    pub(crate) fn all_dropped(&self) -> Stored<Vec<Dropped>> {
        self.all(DROPPED)
    }
    pub(crate) fn put_dropped(&self, dropped: &Dropped) -> Stored<()> {
        self.put(DROPPED, &dropped.account.0, dropped)
    }
    /// The key under which this name first wrote in a room.
    pub(crate) fn first_author(&self, name: &Name) -> Stored<Option<AccountKey>> {
        self.get(FIRST_AUTHOR, name.as_str().as_bytes())
    }
    pub(crate) fn put_first_author(&self, name: &Name, account: &AccountKey) -> Stored<()> {
        self.put(FIRST_AUTHOR, name.as_str().as_bytes(), account)
    }
    pub(crate) fn own_post(&self, room: &RoomName, number: u64) -> Stored<Option<OwnPost>> {
        self.get(POST, &post_key(room, number))
    }
    pub(crate) fn delete_own_post(&self, room: &RoomName, number: u64) -> Stored<bool> {
        self.delete(POST, &post_key(room, number))
    }
    pub(crate) fn put_own_post(&self, room: &RoomName, post: &OwnPost) -> Stored<()> {
        self.put(POST, &post_key(room, post.number), post)
    }
}
