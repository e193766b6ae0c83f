//! What a link is told without asking: the operator's notice, its mailbox, and the rooms that it follows.
//!
//! What waits to be written is never more than the caller asked for: cursors stand in the store, not in queues.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use sealpost_spec::mailbox::{EnvelopeId, Push, Seq};
use sealpost_spec::room::{Post, PostHead, PostId, PostKind, RoomName};
use sealpost_spec::wire::{LENGTH_PREFIX, MAX_FRAME, RelayFrame, Signed, decode, encode, encode_frame, frame};

use super::caller::{INBOX, NOTICE};
use super::row::{StoredPost, decoded, post};
use super::tail::{Chunk, Shard, TAIL_BYTES, Tail, Taken};
use super::{Caller, Relay};
use crate::metrics::METRICS;
use crate::store::{Entry, Fault, Limit, Store, Watch};

/// Most posts that are read at once.
const POSTS: usize = 256;
/// Bytes of the frame of a pushed envelope before its box.
const HEAD: usize = LENGTH_PREFIX + 4 + 4 + 8 + 16 + 8;
/// Most bytes of an entry of a room's log: it came in a frame.
const ENTRY: usize = sealpost_spec::wire::MAX_FRAME;

/// A room that a link follows.
pub(super) struct Following {
    pub(super) tail: Arc<Tail>,
    after: Seq,
    _watch: Watch,
}

impl<S: Store> Relay<S> {
    /// The links of one more thread.
    pub fn shard(&self) -> Shard {
        Shard::beside(&self.tails)
    }

    /// Begins to follow a room. Links of a shard are rung by their tail, and somebody has to listen for a new one.
    pub(super) fn following(&self, caller: &mut Caller, room: &RoomName, after: Seq, tag: u8) -> Following {
        let watch = |log: &_, bell: &_| self.store.watch(log, bell, 0);
        match &caller.shard {
            Some(shard) => {
                let (tail, new) = shard.tails().of(room, watch);
                caller.new_tails.extend(new.then(|| Arc::downgrade(&tail)));
                Following { _watch: tail.follow(&caller.bell, tag), tail, after }
            }
            None => {
                let (tail, _) = self.tails.of(room, watch);
                Following { _watch: self.store.watch(tail.log(), &caller.bell, tag), tail, after }
            }
        }
    }

    /// Listens for a tail: reads what is new, once, and tells the links that follow. Until the tail has gone.
    pub(crate) async fn pass_on(self: Arc<Self>, tail: Weak<Tail>) {
        let Some(bell) = tail.upgrade().map(|tail| tail.bell()) else { return };
        loop {
            bell.rung().await;
            // Taken first, read after: what comes in between rings again. [STORE-7]
            bell.take();
            let Some(tail) = tail.upgrade() else { return };
            if let Err(fault) = self.read_on(&tail).await {
                self.internal(&fault);
            }
            tail.ring();
        }
    }

    /// Posts that stand encoded in memory, at most about so many bytes for each room. What only the store has stays
    /// with [`Caller::more`] for [`Relay::pushed`].
    pub(crate) fn posts_at_hand(&self, caller: &mut Caller, most: usize, mut give: impl FnMut(Bytes)) {
        caller.fresh.extend(caller.bell.take());
        let Caller { fresh, following, shard: Some(_), .. } = caller else { return };
        let mut tags = *fresh;
        while let Some(tag) = tags.first() {
            tags.remove(tag);
            let Some(following) = following.get_mut(&tag) else { continue };
            match following.tail.take(following.after, most, &mut give) {
                Taken::Through(seq) => following.after = seq,
                Taken::Nothing => fresh.remove(tag),
                Taken::Older => {}
            }
        }
    }

    /// Frames to write next on this link, about `bytes` of them (one at least, where there is one); none where there
    /// is nothing new until the bell rings again. Each is a length prefix and an encoded [`RelayFrame::Push`].
    ///
    /// # Errors
    /// The store's own: the link is to be closed.
    pub async fn pushes(&self, now: u64, caller: &mut Caller, bytes: usize) -> Result<Vec<Bytes>, Fault> {
        let mut pieces = self.pushed(now, caller, bytes).await?.into_iter();
        let mut all = Vec::new();
        while let Some(piece) = pieces.next() {
            let head = first(&piece).is_some_and(|end| end > piece.len());
            match head.then(|| pieces.next()).flatten() {
                Some(sealed) => all.push([piece, sealed].concat().into()),
                None => all.extend(frames(piece)),
            }
        }
        Ok(all)
    }

    /// The same in pieces, which one after the other are whole frames: a box is one of its own, as the store has it.
    pub(crate) async fn pushed(&self, now: u64, caller: &mut Caller, bytes: usize) -> Result<Vec<Bytes>, Fault> {
        // Tags first, store after: what comes in between rings again. [STORE-7]
        caller.fresh.extend(caller.bell.take());
        let mut pieces = Vec::new();
        let mut left = bytes;
        while let Some(tag) = caller.fresh.first() {
            let read = match (tag, caller.following.get_mut(&tag), &mut caller.login) {
                (INBOX, _, Some(login)) if login.present.ended().is_none() => {
                    let (boxes, drained) = self.inbox(now, &mut login.inbox, left).await?;
                    METRICS.pushes.add(boxes.len() as u64);
                    let mut read = Vec::with_capacity(2 * boxes.len());
                    for (seq, id, sealed) in boxes {
                        read.extend([head(seq, id, sealed.len())?, sealed]);
                    }
                    (read, drained)
                }
                (NOTICE, _, Some(login)) if login.present.ended().is_none() => {
                    let news =
                        self.news(&mut login.notice).map(|notice| encoded(&RelayFrame::Push(Push::Notice(notice))));
                    let news = news.into_iter().collect::<Result<Vec<_>, _>>()?;
                    METRICS.pushes.add(news.len() as u64);
                    (news, true)
                }
                (_, Some(following), Some(login)) if login.present.ended().is_none() => {
                    let (read, drained) = self.room(following, left).await?;
                    METRICS.pushes.add(read.len() as u64);
                    (read, drained)
                }
                _ => (Vec::new(), true),
            };
            if read.1 {
                caller.fresh.remove(tag);
            }
            left = left.saturating_sub(read.0.iter().map(Bytes::len).sum());
            pieces.extend(read.0);
            if left == 0 {
                break;
            }
        }
        Ok(pieces)
    }

    /// Posts of a room after a place, out of the tail where it has them, else out of the store; and whether that was
    /// all.
    async fn room(&self, following: &mut Following, bytes: usize) -> Result<(Vec<Bytes>, bool), Fault> {
        let tail = Arc::clone(&following.tail);
        let mut frames = Vec::new();
        let mut taken = tail.take(following.after, bytes, |frame| frames.push(frame));
        if taken == Taken::Nothing {
            self.read_on(&tail).await?;
            taken = tail.take(following.after, bytes, |frame| frames.push(frame));
        }
        match taken {
            Taken::Through(seq) => {
                following.after = seq;
                Ok((frames, false))
            }
            Taken::Nothing => Ok((frames, true)),
            // History: read by who asks for it, and not kept.
            Taken::Older => {
                let (chunk, last) = self.read_posts(&tail, following.after, bytes.min(TAIL_BYTES)).await?;
                let read = chunk.ends.last().map(|(seq, _)| *seq);
                let new = last && tail.through().is_none();
                let frames = read.map(|_| chunk.frames.clone()).into_iter().collect();
                if new && (read.is_some() || self.stands(&tail, following.after).await?) {
                    tail.begin(following.after, chunk);
                }
                following.after = read.unwrap_or(following.after);
                Ok((frames, read.is_none()))
            }
        }
    }

    /// Whether a place is the beginning of a room or one of its posts, and not any number that a client may name.
    async fn stands(&self, tail: &Tail, at: Seq) -> Result<bool, Fault> {
        let Some(before) = at.0.checked_sub(1) else { return Ok(true) };
        let entries = self.store.read(tail.log(), Seq(before), Limit { count: 1, bytes: ENTRY }).await?;
        Ok(entries.first().is_some_and(|entry| entry.seq == at))
    }

    /// Puts into a tail what is new behind it.
    async fn read_on(&self, tail: &Tail) -> Result<(), Fault> {
        let _alone = tail.reading.lock().await;
        while let Some(through) = tail.through() {
            let (chunk, last) = self.read_posts(tail, through, TAIL_BYTES / 2).await?;
            tail.push(chunk);
            if last {
                break;
            }
        }
        Ok(())
    }

    /// Posts of a room after a place; and whether there were no more.
    async fn read_posts(&self, tail: &Tail, after: Seq, bytes: usize) -> Result<(Chunk, bool), Fault> {
        let limit = Limit { count: POSTS, bytes };
        let entries = self.store.read(tail.log(), after, limit).await?;
        let read: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        let last = entries.len() < limit.count && read + ENTRY <= limit.bytes;
        Ok((self.chunk(tail.room(), entries).await?, last))
    }

    /// Entries of a room's log with their bodies, as frames.
    async fn chunk(&self, room: &RoomName, entries: Vec<Entry>) -> Result<Chunk, Fault> {
        if entries.is_empty() {
            return Ok(Chunk::default());
        }
        let keys = entries.iter().map(|entry| post(room, &PostId(entry.id))).collect();
        let bodies = self.store.get(keys).await?;
        let (mut frames, mut ends, mut removes) = (Vec::new(), Vec::with_capacity(entries.len()), false);
        for (entry, body) in entries.into_iter().zip(bodies) {
            let LoggedPost { head, author } = decode(&entry.bytes).map_err(|_| Fault::Damaged("a post"))?;
            let parsed = PostHead::parse(&head.body.0);
            // The second kind is a post whose body the operator has removed, once more under another id. [ROOM-10]
            removes |= parsed
                .is_ok_and(|head| matches!(head.kind, PostKind::Delete | PostKind::Remove) || head.id.0 != entry.id);
            let body = body.map(decoded::<StoredPost>).transpose()?.and_then(|stored| stored.row.body);
            let post = Post { head, author, body };
            let push = RelayFrame::Push(Push::Post { room: room.clone(), seq: entry.seq, post });
            frames.extend_from_slice(&encoded(&push)?);
            ends.push((entry.seq, frames.len()));
        }
        Ok(Chunk { frames: frames.into(), ends, removes })
    }
}

/// Where the first frame of a piece ends.
fn first(piece: &[u8]) -> Option<usize> {
    let prefix = piece.first_chunk::<LENGTH_PREFIX>()?;
    Some(LENGTH_PREFIX + usize::try_from(u32::from_le_bytes(*prefix)).ok()?)
}

/// The frames of a piece.
fn frames(mut piece: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let end = first(&piece)?.min(piece.len());
        Some(piece.split_to(end))
    })
}

/// A post as it stands in its room's log: all but the body, which may have to go.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct LoggedPost {
    pub(super) head: Signed,
    pub(super) author: Signed,
}

/// The frame of a pushed envelope up to where its box begins, which is its end: so the box is not copied. The length of
/// the box is the last of it.
fn head(seq: Seq, id: EnvelopeId, sealed: usize) -> Result<Bytes, Fault> {
    let empty = RelayFrame::Push(Push::Envelope { seq, id, sealed: Vec::new().into() });
    let mut head = Vec::with_capacity(HEAD);
    let whole = encode_frame(&empty, &mut head).then(|| head.len() - LENGTH_PREFIX + sealed);
    let whole = whole.filter(|body| *body <= MAX_FRAME).ok_or(Fault::Damaged("a push"))?;
    let [whole, length] = [whole, sealed].map(|length| (length as u64).to_le_bytes());
    if let Some((prefix, whole)) = head.first_chunk_mut::<LENGTH_PREFIX>().zip(whole.first_chunk()) {
        *prefix = *whole;
    }
    if let Some(place) = head.last_chunk_mut() {
        *place = length;
    }
    Ok(head.into())
}

/// What fits a request fits a push: both have the same things around the box or post.
fn encoded(push: &RelayFrame) -> Result<Bytes, Fault> {
    encode(push).as_deref().and_then(frame).map(Bytes::from).ok_or(Fault::Damaged("a push"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [WIRE-4] a head and its box are the one encoding of their push, whatever the box's length.
    #[test]
    fn a_head_and_its_box_are_a_frame() {
        let (seq, id) = (Seq(7), EnvelopeId([9; 16]));
        for length in [0, 1, 6 * 1024, 60 * 1024] {
            let sealed = vec![3; length];
            let push = RelayFrame::Push(Push::Envelope { seq, id, sealed: sealed.clone().into() });
            let whole = [head(seq, id, length).unwrap(), sealed.into()].concat();
            assert_eq!(whole, encoded(&push).unwrap());
        }
        assert!(head(seq, id, MAX_FRAME).is_err());
    }
}
