//! What a link is told without asking: its mailbox, and the rooms that it follows.
//!
//! A post is encoded once for all links that follow its room: they share the frame, each with a place of its own. What
//! waits to be written is never more than the caller asked for: cursors stand in the store, not in queues.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::room::{Post, PostHead, PostKind, RoomName};
use sealpost_spec::wire::{RelayFrame, Signed, decode, encode, frame};

use super::caller::INBOX;
use super::row::{StoredPost, decoded, post};
use super::{Caller, Relay};
use crate::store::bell::lock;
use crate::store::{Entry, Fault, Limit, Log, Store, Watch};

/// Most frames of a room that wait encoded for the links that follow it: a burst of posts.
const TAIL_FRAMES: usize = 64;
/// Most bytes of them.
const TAIL_BYTES: usize = 256 * 1024;
/// Most bytes of them in all rooms: beyond it a room's posts are read again for each link.
const TAILS_BYTES: usize = 32 * 1024 * 1024;

/// A room that a link follows.
pub(super) struct Following {
    pub(super) tail: Arc<Tail>,
    pub(super) after: Seq,
    pub(super) _watch: Watch,
}

/// The tails of all rooms that somebody follows.
#[derive(Default)]
pub(super) struct Tails {
    rooms: Mutex<HashMap<RoomName, Weak<Tail>>>,
    held: Held,
}

/// Bytes that all tails hold.
#[derive(Clone, Default)]
struct Held(Arc<AtomicUsize>);

/// The newest posts of a room, encoded.
pub(super) struct Tail {
    pub(super) room: RoomName,
    pub(super) log: Log,
    /// Held while the newest posts are read: of a thousand links that one post wakes, one reads and encodes it. Nobody
    /// waits here who holds anything else.
    frames: tokio::sync::Mutex<Frames>,
}

/// All posts with `from < seq <= through`.
struct Frames {
    from: Seq,
    through: Seq,
    posts: VecDeque<(Seq, Bytes)>,
    bytes: usize,
    held: Held,
}

pub(super) fn room_log(room: &RoomName) -> Log {
    Log { kind: "room", key: room.as_str().as_bytes().to_vec() }
}

impl Tails {
    pub(super) fn of(&self, room: &RoomName) -> Arc<Tail> {
        let mut tails = lock(&self.rooms);
        if let Some(tail) = tails.get(room).and_then(Weak::upgrade) {
            return tail;
        }
        let frames = tokio::sync::Mutex::new(Frames::at(Seq(0), &self.held));
        let tail = Arc::new(Tail { room: room.clone(), log: room_log(room), frames });
        tails.insert(room.clone(), Arc::downgrade(&tail));
        tail
    }

    pub(super) fn forget(&self) {
        lock(&self.rooms).retain(|_, tail| tail.strong_count() > 0);
    }
}

impl Frames {
    /// None, from here on.
    fn at(place: Seq, held: &Held) -> Self {
        Self { from: place, through: place, posts: VecDeque::new(), bytes: 0, held: held.clone() }
    }

    fn push(&mut self, seq: Seq, frame: Bytes, removes: bool) {
        self.through = seq;
        self.bytes += frame.len();
        let all = self.held.0.fetch_add(frame.len(), Ordering::Relaxed) + frame.len();
        self.posts.push_back((seq, frame));
        // A delete takes a body away, which must not be given out any longer. [ROOM-6]
        let empty = removes || all > TAILS_BYTES;
        while empty || self.posts.len() > TAIL_FRAMES || self.bytes > TAIL_BYTES {
            let Some((seq, frame)) = self.posts.pop_front() else { break };
            self.from = seq;
            self.bytes -= frame.len();
            self.held.0.fetch_sub(frame.len(), Ordering::Relaxed);
        }
    }

    fn after(&self, after: Seq, bytes: usize) -> Vec<(Seq, Bytes)> {
        let mut taken = 0;
        let newer = self.posts.iter().skip_while(|(seq, _)| *seq <= after);
        let fits = newer.take_while(|(_, frame)| {
            let first = taken == 0;
            taken += frame.len();
            first || taken <= bytes
        });
        fits.cloned().collect()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<S: Store> Relay<S> {
    /// Frames to write next on this link, about `bytes` of them (one at least, where there is one); none where there
    /// is nothing new until the bell rings again. Each is a length prefix and an encoded [`RelayFrame::Push`].
    ///
    /// # Errors
    /// The store's own: the link is to be closed.
    pub async fn pushes(&self, now: u64, caller: &mut Caller, bytes: usize) -> Result<Vec<Bytes>, Fault> {
        // Tags first, store after: what comes in between rings again. [STORE-7]
        caller.fresh.extend(caller.bell.take());
        let mut frames = Vec::new();
        let mut left = bytes;
        while let Some(tag) = caller.fresh.first().copied() {
            let read = match (tag, caller.following.get_mut(&tag), &mut caller.login) {
                (INBOX, _, Some(login)) if login.present.ended().is_none() => {
                    let (pushes, drained) = self.inbox(now, &mut login.inbox, left).await?;
                    let encoded = pushes.into_iter().map(|push| encoded(&RelayFrame::Push(push)));
                    (encoded.collect::<Result<Vec<_>, _>>()?, drained)
                }
                (_, Some(following), Some(login)) if login.present.ended().is_none() => {
                    let posts = self.room(&following.tail, following.after, left).await?;
                    if let Some((seq, _)) = posts.last() {
                        following.after = *seq;
                    }
                    let drained = posts.is_empty();
                    (posts.into_iter().map(|(_, frame)| frame).collect(), drained)
                }
                _ => (Vec::new(), true),
            };
            if read.1 {
                caller.fresh.remove(&tag);
            }
            left = left.saturating_sub(read.0.iter().map(Bytes::len).sum());
            frames.extend(read.0);
            if left == 0 {
                break;
            }
        }
        Ok(frames)
    }

    /// Posts of a room after a place: out of the tail where it has them, else out of the store.
    async fn room(&self, tail: &Tail, after: Seq, bytes: usize) -> Result<Vec<(Seq, Bytes)>, Fault> {
        let limit = Limit { count: TAIL_FRAMES, bytes: bytes.min(TAIL_BYTES) };
        let mut frames = tail.frames.lock().await;
        if after < frames.from {
            // History: read by who asks for it, and not kept.
            drop(frames);
            let entries = self.store.read(&tail.log, after, limit).await?;
            return Ok(self
                .posts(&tail.room, entries)
                .await?
                .into_iter()
                .map(|(seq, frame, _)| (seq, frame))
                .collect());
        }
        if after >= frames.through {
            let entries = self.store.read(&tail.log, after, limit).await?;
            let read = self.posts(&tail.room, entries).await?;
            // The tail moves on to where there are posts, and not to any place that a client may name.
            if after > frames.through && !read.is_empty() {
                *frames = Frames::at(after, &self.tails.held);
            }
            let mine = read.iter().map(|(seq, frame, _)| (*seq, frame.clone())).collect();
            read.into_iter().for_each(|(seq, frame, removes)| frames.push(seq, frame, removes));
            return Ok(mine);
        }
        Ok(frames.after(after, bytes))
    }

    /// Entries of a room's log with their bodies, as frames; and whether one takes another one's body away.
    async fn posts(&self, room: &RoomName, entries: Vec<Entry>) -> Result<Vec<(Seq, Bytes, bool)>, Fault> {
        let keys = entries.iter().map(|entry| post(room, &sealpost_spec::room::PostId(entry.id))).collect();
        let bodies = self.store.get(keys).await?;
        let mut posts = Vec::with_capacity(entries.len());
        for (entry, body) in entries.into_iter().zip(bodies) {
            let LoggedPost { head, author } = decode(&entry.bytes).map_err(|_| Fault::Damaged("a post"))?;
            // The second kind is a post whose body the operator has removed, once more under another id. [ROOM-10]
            let removes =
                PostHead::parse(&head.body.0).is_ok_and(|head| head.kind == PostKind::Delete || head.id.0 != entry.id);
            let body = body.map(decoded::<StoredPost>).transpose()?.and_then(|stored| stored.row.body);
            let post = Post { head, author, body };
            let push = Push::Post { room: room.clone(), seq: entry.seq, post };
            posts.push((entry.seq, encoded(&RelayFrame::Push(push))?, removes));
        }
        Ok(posts)
    }
}

/// A post as it stands in its room's log: all but the body, which may have to go.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct LoggedPost {
    pub(super) head: Signed,
    pub(super) author: Signed,
}

/// What fits a request fits a push: both have the same things around the box or post.
fn encoded(push: &RelayFrame) -> Result<Bytes, Fault> {
    encode(push).as_deref().and_then(frame).map(Bytes::from).ok_or(Fault::Damaged("a push"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [RELAY-15] [THREAT-21] the tails of many rooms together are bounded, and what no tail holds is read again.
    #[test]
    fn all_tails_together_are_bounded() {
        let tails = Tails::default();
        let rooms: Vec<RoomName> = (0..200).map(|room| format!("room{room}").parse().unwrap()).collect();
        let followed: Vec<Arc<Tail>> = rooms.iter().map(|room| tails.of(room)).collect();
        let frame = Bytes::from(vec![7; 16 * 1024]);
        for tail in &followed {
            let mut frames = tail.frames.try_lock().unwrap();
            (1..=40).for_each(|seq| frames.push(Seq(seq), frame.clone(), false));
            let last = frames.posts.front().map_or(frames.through, |(seq, _)| Seq(seq.0 - 1));
            assert_eq!((frames.from, frames.through), (last, Seq(40)), "it knows what it holds");
        }
        let held = tails.held.0.load(Ordering::Relaxed);
        assert!(held <= TAILS_BYTES && held > TAILS_BYTES - 2 * TAIL_BYTES, "{held}");
        drop(followed);
        assert_eq!(tails.held.0.load(Ordering::Relaxed), 0);
    }
}
