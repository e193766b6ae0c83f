//! Rooms: what they hold, how long they keep it, and posts that have to go.

use std::sync::atomic::Ordering;

use sealpost_spec::mailbox::Seq;
use sealpost_spec::room::{PostHead, PostId, RoomName};
use sealpost_spec::wire::{decode, encode};

use super::{Answer, done};
use crate::admin::{Digits, PAGE, Record, RoomRecord, Trouble, counted, duration};
use crate::answer::push::LoggedPost;
use crate::answer::row::{self, Current, Member, Retention, Room, Row, StoredPost, post, put, room};
use crate::answer::tail::room_log;
use crate::answer::{ATTEMPTS, Relay};
use crate::store::bell::lock;
use crate::store::{Append, Entry, Fault, Limit, Store, Write, Written};

/// What a room keeps unless the operator says otherwise: some ten megabytes of what people usually write, 200 of the
/// largest posts there are. A newcomer reads it within seconds.
const KEPT_POSTS: u32 = 10_000;
/// Most that the operator may have a room keep.
const MAX_POSTS: u32 = 10_000_000;
/// Every so many posts one looks whether its room has to let some go; the others wait for the sweep.
const LOOK: u64 = 256;
/// Entries that are read and removed at once.
const TOGETHER: Limit = Limit { count: 256, bytes: 1024 * 1024 };
/// A post whose author's clock is further ahead keeps nothing behind it from growing old.
const AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

impl Default for Retention {
    fn default() -> Self {
        Self { posts: KEPT_POSTS, age_s: 0, trimmed: false }
    }
}

impl<S: Store> Relay<S> {
    pub(super) async fn rooms_held(&self, after: Option<RoomName>) -> Answer {
        let after = after.as_ref().map(|room| room.as_str().as_bytes());
        let page = self.known(self.store.scan(Room::TABLE, &[], after, PAGE).await)?;
        let mut records = Vec::with_capacity(page.len());
        for (key, _) in page {
            let name = room_of(key).ok_or_else(|| self.trouble(&Fault::Damaged(Room::TABLE)))?;
            let usage = self.known(self.store.usage(&room_log(&name)).await)?;
            let Retention { posts, age_s, .. } = self.known(self.retention_of(&name).await)?;
            records.push(Record::Room(RoomRecord {
                members: self.known(self.store.count(Member::TABLE, &row::of(name.as_str())).await)?,
                posts: usage.count,
                bytes: usage.bytes,
                keeps_posts: posts,
                keeps_s: age_s,
                room: name,
            }));
        }
        Ok(records)
    }

    pub(super) async fn retain(&self, now: u64, name: &RoomName, posts: Option<u32>, age_s: Option<u64>) -> Answer {
        self.known(self.row::<Room>(room(name)).await)?.ok_or_else(|| no_room(name))?;
        if !posts.is_none_or(|posts| (1..=MAX_POSTS).contains(&posts)) {
            let advice = format!("sealpost-relay admin room retention '{name}' --posts {KEPT_POSTS}");
            return Err(
                Trouble::new("nothing was changed", format!("a room keeps 1 to {MAX_POSTS} posts"), advice).exits(2)
            );
        }
        let Retention { posts: before, age_s: aged, trimmed } = self.known(self.retention_of(name).await)?;
        let row = Retention { posts: posts.unwrap_or(before), age_s: age_s.unwrap_or(aged), trimmed };
        self.known(self.set(row::retention(name), &row).await)?;
        let gone = self.known(self.let_go(now, name).await)?;
        let age = if row.age_s == 0 { String::new() } else { format!(" of the last {}", duration(row.age_s)) };
        done(format!("{name} keeps {}{age}; {} gone", counted(u64::from(row.posts), "post"), counted(gone, "post")))
    }

    async fn retention_of(&self, name: &RoomName) -> Result<Retention, Fault> {
        Ok(self.row::<Retention>(row::retention(name)).await?.map(|current| current.row).unwrap_or_default())
    }

    /// Looks, now and then, whether a room that was posted to has to let go of its oldest.
    pub(in crate::answer) async fn posted_to(&self, now: u64, name: &RoomName) -> Result<(), Fault> {
        if self.operator.posts.fetch_add(1, Ordering::Relaxed) % LOOK == LOOK - 1 {
            self.let_go(now, name).await?;
        }
        Ok(())
    }

    /// [`Self::let_go`] for every room, one page of them after the other.
    pub(in crate::answer) async fn let_go_all(&self, now: u64) -> Result<(), Fault> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Room::TABLE, &[], after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, _) in page {
                let name = room_of(key).ok_or(Fault::Damaged(Room::TABLE))?;
                self.let_go(now, &name).await?;
            }
        }
    }

    /// Removes the oldest posts that a room keeps no longer, and tells how many. [ROOM-11]
    async fn let_go(&self, now: u64, name: &RoomName) -> Result<u64, Fault> {
        let log = room_log(name);
        let current = self.row::<Retention>(row::retention(name)).await?;
        let kept = current.as_ref().map(|current| current.row.clone()).unwrap_or_default();
        let Retention { posts, age_s, trimmed } = kept;
        let mut excess = self.store.usage(&log).await?.count.saturating_sub(u64::from(posts));
        if excess == 0 && age_s == 0 {
            return Ok(0);
        }
        let since = if age_s == 0 { 0 } else { now.saturating_sub(age_s.saturating_mul(1000)) };
        let mut gone = 0;
        loop {
            let entries = self.store.read(&log, Seq(0), TOGETHER).await?;
            let times: Vec<_> = entries.iter().map(|entry| time_of(entry).unwrap_or(now)).collect();
            let young = times
                .iter()
                .position(|time| (since..=now.saturating_add(AHEAD_MS)).contains(time))
                .unwrap_or(times.len());
            let old = times.iter().take(young).rposition(|time| *time < since).map_or(0, |last| last + 1);
            let count = old.max(usize::try_from(excess).unwrap_or(usize::MAX).min(entries.len()));
            let Some(last) = count.checked_sub(1).and_then(|last| entries.get(last)) else { return Ok(gone) };
            let through = last.seq;
            let keys: Vec<_> = entries.iter().take(count).map(|entry| post(name, &PostId(entry.id))).collect();
            let values = self.store.get(keys.clone()).await?;
            let bodies = keys.into_iter().zip(values);
            let mut batch = Vec::with_capacity(count + 2);
            if !trimmed && gone == 0 {
                let rev = Current::rev(current.as_ref());
                batch.push(put(row::retention(name), rev, &Retention { posts, age_s, trimmed: true })?);
            }
            batch.extend(bodies.filter_map(|(key, value)| Some(Write::Delete { key, expected: value?.rev })));
            // The entries last: what is cut short is found again.
            batch.push(Write::Trim { log: log.clone(), through });
            if self.store.write(batch).await?.last() == Some(&Written::Moved) {
                // Somebody deletes one of them, or changes what is kept, this very moment: the next look finds it so.
                return Ok(gone);
            }
            gone += count as u64;
            excess = excess.saturating_sub(count as u64);
        }
    }

    /// Takes a post's body away, for good, and has everybody who follows its room hear of it. [ROOM-6] [ROOM-10]
    pub(super) async fn delete_post(&self, id: &Digits) -> Answer {
        let Some(id) = id.bytes().try_into().ok().map(PostId) else {
            let cause = "a post's id has 32 digits";
            return Err(
                Trouble::new("this is no post's id", cause, "copy the id that a client shows with --json").exits(2)
            );
        };
        let Some(name) = self.known(self.room_with(&id).await)? else {
            let cause = "no room has it; it may be older than what its room keeps";
            return Err(Trouble::new("there is no such post", cause, "copy the id that a client shows with --json"));
        };
        for _ in 0..ATTEMPTS {
            let Some(current) = self.known(self.row::<StoredPost>(post(&name, &id)).await)? else { break };
            if current.row.body.is_none() {
                return Err(Trouble::new("the post is gone already", "its body was removed before", "nothing"));
            }
            let Some(logged) = self.known(self.logged(&name, &id).await)? else { break };
            let bare = StoredPost { body: None, ..current.row };
            let mut again = [0; 16];
            lock(&self.rng).fill_bytes(&mut again);
            let bytes = encode(&logged).ok_or_else(|| self.trouble(&Fault::Damaged("a post")))?;
            let batch = vec![
                self.known(put(post(&name, &id), Some(current.rev), &bare))?,
                Write::Append(Append { log: room_log(&name), id: again, bytes }),
            ];
            if self.known(self.store.write(batch).await)?.last() != Some(&Written::Moved) {
                return done(format!("removed from {name}; its place stays"));
            }
        }
        Err(self.trouble(&Fault::Contended("a post")))
    }

    async fn room_with(&self, id: &PostId) -> Result<Option<RoomName>, Fault> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Room::TABLE, &[], after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            after = Some(last.clone());
            let rooms: Vec<RoomName> = page.into_iter().filter_map(|(key, _)| room_of(key)).collect();
            let values = self.store.get(rooms.iter().map(|room| post(room, id)).collect()).await?;
            if let Some((room, _)) = rooms.into_iter().zip(values).find(|(_, value)| value.is_some()) {
                return Ok(Some(room));
            }
        }
    }

    /// A post as it stands in its room's log.
    async fn logged(&self, name: &RoomName, id: &PostId) -> Result<Option<LoggedPost>, Fault> {
        let mut after = Seq(0);
        loop {
            let entries = self.store.read(&room_log(name), after, TOGETHER).await?;
            let Some(last) = entries.last() else { return Ok(None) };
            after = last.seq;
            if let Some(entry) = entries.iter().find(|entry| entry.id == id.0) {
                return decode(&entry.bytes).map(Some).map_err(|_| Fault::Damaged("a post"));
            }
        }
    }
}

/// By its author's clock; none where it is unreadable, which keeps it.
fn time_of(entry: &Entry) -> Option<u64> {
    let logged = decode::<LoggedPost>(&entry.bytes).ok()?;
    Some(PostHead::parse(&logged.head.body.0).ok()?.time)
}

fn room_of(key: Vec<u8>) -> Option<RoomName> {
    String::from_utf8(key).ok()?.parse().ok()
}

fn no_room(name: &RoomName) -> Trouble {
    Trouble::new(
        format!("there is no room {name}"),
        "nobody has joined it",
        "sealpost-relay admin rooms    # lists them",
    )
}
