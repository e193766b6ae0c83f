//! The newest posts of a room, encoded once for all links of a thread that follow it.
//!
//! A post that is appended rings one bell for each thread and room. A task of that thread hears it, reads what is new,
//! encodes it behind one another, and rings the links, which are its neighbours: to wake them is cheap, while to wake
//! one across threads is a system call. A link then takes all that is new to it in one piece.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use sealpost_spec::mailbox::Seq;
use sealpost_spec::room::RoomName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;

use crate::store::bell::{Bells, lock};
use crate::store::{Bell, Log, Watch};

/// Most bytes of a room that wait encoded for the links that follow it: a burst of posts.
pub(super) const TAIL_BYTES: usize = 256 * 1024;
/// Most bytes of them in all rooms: beyond it a room's posts are read again for each link.
const TAILS_BYTES: usize = 32 * 1024 * 1024;

/// The links that one thread serves share what they follow, and the thread. Cheap to clone: a clone is the same.
#[derive(Clone)]
pub struct Shard {
    tails: Arc<Tails>,
    /// Whoever checks signatures has it: one at a time.
    checks: Arc<Semaphore>,
}

impl Shard {
    pub(super) fn beside(others: &Tails) -> Self {
        let tails = Arc::new(Tails { held: others.held.clone(), ..Tails::default() });
        Self { tails, checks: Arc::new(Semaphore::new(1)) }
    }

    pub(super) fn tails(&self) -> &Tails {
        &self.tails
    }

    /// Waits until nobody else checks signatures, and until every link of the thread has had its turn: so many checks as
    /// there may be, each delays the others by one at most. The next one may begin once what is returned is dropped.
    /// [RELAY-25]
    pub(crate) async fn check(self) -> Option<OwnedSemaphorePermit> {
        let check = self.checks.acquire_owned().await.ok();
        // The runtime goes on with this when nobody else has anything to do, and has asked the network before.
        yield_now().await;
        check
    }
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

/// The newest posts of a room. Its lock is for the links of one thread, which never meet there.
pub(crate) struct Tail {
    room: RoomName,
    log: Log,
    frames: Mutex<Frames>,
    /// Held while the newest posts are read. Nobody waits here who holds anything else.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// Rung by the store.
    bell: Bell,
    _watch: Watch,
    /// Of those who follow.
    bells: Bells,
}

/// All posts with `from < seq <= through`, once it is known where the room's end is.
struct Frames {
    begun: bool,
    from: Seq,
    through: Seq,
    chunks: VecDeque<Chunk>,
    bytes: usize,
    held: Held,
}

/// Posts that were read together: their frames behind one another, and where each ends.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) frames: Bytes,
    pub(super) ends: Vec<(Seq, usize)>,
    /// One of them takes another one's body away.
    pub(super) removes: bool,
}

/// What a tail has for a link.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Everything up to here, or as much as was wanted.
    Through(Seq),
    /// The link has all that the tail has.
    Nothing,
    /// The link is at an older place: what comes next stands in the store.
    Older,
}

pub(super) fn room_log(room: &RoomName) -> Log {
    Log { kind: "room", key: room.as_str().as_bytes().to_vec() }
}

impl Tails {
    /// The room's tail, and whether it is a new one. `watch`: hangs a bell at the room's log.
    pub(super) fn of(&self, room: &RoomName, watch: impl FnOnce(&Log, &Bell) -> Watch) -> (Arc<Tail>, bool) {
        let mut tails = lock(&self.rooms);
        if let Some(tail) = tails.get(room).and_then(Weak::upgrade) {
            return (tail, false);
        }
        if tails.len() == tails.capacity() {
            // Before it grows.
            tails.retain(|_, tail| tail.strong_count() > 0);
        }
        let (log, bell) = (room_log(room), Bell::new());
        let tail = Arc::new(Tail {
            room: room.clone(),
            frames: Mutex::new(Frames::new(&self.held)),
            reading: tokio::sync::Mutex::default(),
            _watch: watch(&log, &bell),
            log,
            bell,
            bells: Bells::default(),
        });
        tails.insert(room.clone(), Arc::downgrade(&tail));
        (tail, true)
    }
}

impl Tail {
    pub(super) fn room(&self) -> &RoomName {
        &self.room
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Rung by the store whenever there is something new, and when the tail has gone.
    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Rings this bell whenever the tail has something new.
    pub(super) fn follow(&self, bell: &Bell, tag: u8) -> Watch {
        self.bells.watch(&self.log, bell, tag)
    }

    /// Tells those who follow.
    pub(super) fn ring(&self) {
        self.bells.ring(&self.log);
    }

    /// Up to where it has read; `None` where nobody knows yet where the room's end is.
    pub(super) fn through(&self) -> Option<Seq> {
        let frames = lock(&self.frames);
        frames.begun.then_some(frames.through)
    }

    /// From here on it keeps what comes: all that was there was read. `at`: behind what.
    pub(super) fn begin(&self, at: Seq, chunk: Chunk) {
        let mut frames = lock(&self.frames);
        if !frames.begun {
            (frames.begun, frames.from, frames.through) = (true, at, at);
            frames.push(chunk);
            // What came meanwhile rang when nobody kept it.
            self.bell.ring(0);
        }
    }

    pub(super) fn push(&self, chunk: Chunk) {
        lock(&self.frames).push(chunk);
    }

    /// What comes after a place, at most about so many bytes.
    pub(super) fn take(&self, after: Seq, most: usize, give: impl FnMut(Bytes)) -> Taken {
        lock(&self.frames).take(after, most, give)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.bell.ring(0);
    }
}

impl Frames {
    fn new(held: &Held) -> Self {
        let (from, through) = (Seq(0), Seq(0));
        Self { begun: false, from, through, chunks: VecDeque::new(), bytes: 0, held: held.clone() }
    }

    fn push(&mut self, chunk: Chunk) {
        let Some((last, _)) = chunk.ends.last() else { return };
        // A delete takes a body away, which must not be given out any longer; what was read with it has it no more.
        // [ROOM-6]
        while chunk.removes && self.drop_oldest() {}
        self.through = *last;
        self.bytes += chunk.frames.len();
        let all = self.held.0.fetch_add(chunk.frames.len(), Ordering::Relaxed) + chunk.frames.len();
        self.chunks.push_back(chunk);
        while (all > TAILS_BYTES || self.bytes > TAIL_BYTES) && self.drop_oldest() {}
    }

    /// Whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some(chunk) = self.chunks.pop_front() else { return false };
        self.from = chunk.ends.last().map_or(self.from, |(seq, _)| *seq);
        self.bytes -= chunk.frames.len();
        self.held.0.fetch_sub(chunk.frames.len(), Ordering::Relaxed);
        true
    }

    fn take(&self, after: Seq, most: usize, mut give: impl FnMut(Bytes)) -> Taken {
        if !self.begun || after < self.from {
            return Taken::Older;
        }
        let (mut taken, mut through) = (0, after);
        // Nearly always the newest alone is new.
        let older = self.chunks.iter().rev().take_while(|chunk| chunk.ends.last().is_some_and(|(seq, _)| *seq > after));
        let first = self.chunks.len() - older.count();
        for chunk in self.chunks.iter().skip(first) {
            let at = chunk.ends.partition_point(|(seq, _)| *seq <= through);
            let start = at.checked_sub(1).and_then(|before| chunk.ends.get(before)).map_or(0, |(_, end)| *end);
            let fits = |(_, end): &(Seq, usize)| taken + end <= most + start;
            // One at least, so that none is too large to be taken.
            let least = at + usize::from(taken == 0);
            let until = chunk.ends.partition_point(fits).max(least);
            let Some((seq, end)) = until.checked_sub(1).filter(|_| until > at).and_then(|last| chunk.ends.get(last))
            else {
                break;
            };
            give(chunk.frames.slice(start..*end));
            (taken, through) = (taken + end - start, *seq);
            if until < chunk.ends.len() {
                break;
            }
        }
        if through > after { Taken::Through(through) } else { Taken::Nothing }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(seqs: std::ops::RangeInclusive<u64>, length: usize, removes: bool) -> Chunk {
        let ends: Vec<_> = seqs.clone().zip(1..).map(|(seq, count)| (Seq(seq), count * length)).collect();
        let frames = seqs.flat_map(|seq| vec![seq as u8; length]).collect::<Vec<_>>().into();
        Chunk { frames, ends, removes }
    }

    fn tail(tails: &Tails, room: &str) -> Arc<Tail> {
        let bells = Bells::default();
        tails.of(&room.parse().unwrap(), |log, bell| bells.watch(log, bell, 0)).0
    }

    fn take(tail: &Tail, after: u64, most: usize) -> (Taken, Vec<u8>) {
        let mut all = Vec::new();
        let taken = tail.take(Seq(after), most, |frame| all.extend_from_slice(&frame));
        (taken, all)
    }

    /// [RELAY-15] [THREAT-21] the tails of many rooms together are bounded, and what no tail holds is read again.
    #[test]
    fn all_tails_together_are_bounded() {
        let tails = Tails::default();
        let followed: Vec<Arc<Tail>> = (0..200).map(|room| tail(&tails, &format!("room{room}"))).collect();
        for tail in &followed {
            tail.begin(Seq(0), Chunk::default());
            (1..=40).for_each(|seq| tail.push(chunk(seq..=seq, 16 * 1024, false)));
            assert_eq!(tail.through(), Some(Seq(40)), "it knows what it holds");
            assert_eq!(take(tail, 0, 1).0, Taken::Older);
        }
        let held = tails.held.0.load(Ordering::Relaxed);
        assert!(held <= TAILS_BYTES && held > TAILS_BYTES - 2 * TAIL_BYTES, "{held}");
        drop(followed);
        assert_eq!(tails.held.0.load(Ordering::Relaxed), 0);
    }

    /// [ROOM-9] whatever a link has already and however much it takes at once, it gets each post once and in order.
    #[test]
    fn every_post_is_taken_once() {
        let tail = tail(&Tails::default(), "lobby");
        assert_eq!(take(&tail, 0, 100).0, Taken::Older, "nobody knows where it ends");
        tail.begin(Seq(10), Chunk::default());
        [11..=13, 20..=20, 21..=25].into_iter().for_each(|seqs| tail.push(chunk(seqs, 4, false)));
        let all = [11, 12, 13, 20, 21, 22, 23, 24, 25];
        for most in 0..50 {
            for have in 0..=all.len() {
                let mut after = have.checked_sub(1).map_or(10, |at| all[at].into());
                let mut got = all[..have].to_vec();
                loop {
                    match take(&tail, after, most) {
                        (Taken::Through(seq), bytes) => {
                            assert!(bytes.len() <= most.max(4));
                            got.extend(bytes.chunks(4).map(|post| post[0]));
                            after = seq.0;
                        }
                        (Taken::Nothing, bytes) => break assert!(bytes.is_empty()),
                        (Taken::Older, _) => panic!("it has them"),
                    }
                }
                assert_eq!(got, all, "{most} at once, {have} there");
            }
        }
    }

    /// [ROOM-6] a delete ends all that was encoded before it: it may hold the body that has to go.
    #[test]
    fn a_delete_empties_a_tail() {
        let tail = tail(&Tails::default(), "lobby");
        tail.begin(Seq(0), Chunk::default());
        tail.push(chunk(1..=3, 4, false));
        tail.push(chunk(4..=4, 4, true));
        assert_eq!(take(&tail, 2, 100).0, Taken::Older);
        assert_eq!(take(&tail, 3, 100), (Taken::Through(Seq(4)), vec![4; 4]));
    }
}
