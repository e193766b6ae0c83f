//! Where every entry of every log is: their only index, in memory.
//!
//! On the disk an index costs a page for nearly every envelope, since each goes to another mailbox: more than the
//! envelope itself. So envelopes are only ever put at the end of segments, and posts at the end of the tables, and this
//! knows which of them belong to whom; it is read from the segments' listings and one narrow table when the store is
//! opened. Some 40 bytes for each entry of 6 KiB and more: who has the disk for them has the memory.

use std::collections::{BTreeMap, HashMap, VecDeque, hash_map};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sealpost_spec::mailbox::Seq;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::patience::{Pace, Patience};
use super::trimmed::{Kept, Trimmed};
use crate::metrics::METRICS;
use crate::store::segments::{Gone, Number, Place, taken};
use crate::store::{Entry, Fault, Limit, Log, REMEMBERED, Usage, Written};

/// Logs with more entries have their ids in a map; in the others, every mailbox among them, looking at each is quicker
/// than keeping one.
const FEW: usize = 1024;

/// Bytes of the newest entries of watched logs that stay in memory once they are written: whoever watches is about to
/// read them.
const YOUNG: usize = 1024 * 1024;

/// Who waits for an entry, and what it is told then.
pub(super) type Waiter = (oneshot::Sender<Result<Written, Fault>>, Written);

/// What has come of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a commit that is under way, and not to be seen before its end.
    Hidden,
    /// Offered: to be seen, and not written yet.
    Held,
    /// Offered, and in a commit that is under way.
    Flushed,
    /// Durable.
    Stored,
}

struct Slot {
    seq: u64,
    id: [u8; 16],
    size: u32,
    state: State,
    /// In which segment it stands; none where it is not durable, or stands in the tables.
    place: Option<Place>,
}

struct Held {
    log: Arc<Log>,
    bytes: Bytes,
    waiters: Vec<Waiter>,
    since: Instant,
    /// Its share of the memory for what is not written.
    _room: OwnedSemaphorePermit,
}

impl Held {
    fn new(log: Arc<Log>, bytes: Bytes, waiters: Vec<Waiter>, room: OwnedSemaphorePermit) -> Self {
        METRICS.store.held.add(1);
        METRICS.store.held_bytes.add(i64::from(size(&bytes)));
        Self { log, bytes, waiters, since: Instant::now(), _room: room }
    }

    fn waiters(mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.waiters)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        METRICS.store.held.add(-1);
        METRICS.store.held_bytes.add(-i64::from(size(&self.bytes)));
    }
}

struct Contents {
    name: Arc<Log>,
    /// Names the log in the tables, where it stands there.
    number: i64,
    /// Whether its row is durable.
    made: bool,
    slots: VecDeque<Slot>,
    bytes: u64,
    /// Where there are more than a few.
    ids: Option<HashMap<[u8; 16], u64>>,
    /// Of whoever reads it.
    pace: Pace,
    /// The first entry there that was written because nobody took it in time, and since when it was held.
    late: Option<(u64, Instant)>,
}

/// All logs.
#[derive(Default)]
pub(super) struct Logs {
    all: HashMap<Arc<Log>, Contents>,
    counts: Counts,
    held: HashMap<u64, Held>,
    young: Young,
    last_number: i64,
    /// The next seq, and the first one that is not reserved on the disk: none beyond it is given. [STORE-3]
    next: u64,
    reserved: u64,
    pub(super) trimmed: Trimmed,
}

/// How much there is.
#[derive(Default)]
struct Counts {
    totals: HashMap<&'static str, Usage>,
    /// Bytes of each segment that are wanted.
    wanted: BTreeMap<Number, u64>,
}

impl Counts {
    fn come(&mut self, log: &Log, slot: &Slot) {
        let total = self.totals.entry(log.kind).or_default();
        total.count += 1;
        total.bytes += u64::from(slot.size);
        self.placed(log, slot);
    }

    fn placed(&mut self, log: &Log, slot: &Slot) {
        if let Some(place) = slot.place {
            *self.wanted.entry(place.segment).or_default() += taken(&log.key, slot.size);
        }
    }

    fn gone(&mut self, log: &Log, slot: &Slot) {
        let total = self.totals.entry(log.kind).or_default();
        total.count -= 1;
        total.bytes -= u64::from(slot.size);
        self.displaced(log, slot);
    }

    fn displaced(&mut self, log: &Log, slot: &Slot) {
        if let Some(place) = slot.place
            && let Some(wanted) = self.wanted.get_mut(&place.segment)
        {
            *wanted -= taken(&log.key, slot.size);
        }
    }
}

/// The newest entries that are durable and about to be read.
#[derive(Default)]
struct Young {
    entries: BTreeMap<u64, Bytes>,
    bytes: usize,
}

impl Young {
    fn insert(&mut self, seq: u64, bytes: Bytes) {
        self.bytes += bytes.len();
        self.entries.insert(seq, bytes);
        while self.bytes > YOUNG
            && let Some((_, oldest)) = self.entries.pop_first()
        {
            self.bytes -= oldest.len();
        }
    }

    fn remove(&mut self, seq: u64) {
        if let Some(gone) = self.entries.remove(&seq) {
            self.bytes -= gone.len();
        }
    }
}

/// All logs as they are read from the disk: each found by its number alone, for there may be a million entries.
#[derive(Default)]
pub(super) struct Loading {
    all: HashMap<i64, Contents>,
    /// Of logs that stand in segments, by their keys.
    numbers: HashMap<Arc<[u8]>, i64>,
    last: i64,
    /// Up to where they are trimmed.
    through: HashMap<i64, u64>,
    /// The highest seq.
    highest: u64,
    gone: Vec<(u64, i64, [u8; 16], u64, Kept)>,
}

impl Loading {
    /// A log that stands in the tables.
    pub(super) fn log(&mut self, log: Log, number: i64) {
        self.last = self.last.max(number);
        self.all.insert(number, Contents::new(Arc::new(log), number, true));
    }

    /// The number of a log that stands in segments.
    pub(super) fn mailbox(&mut self, kind: &'static str, key: &Arc<[u8]>) -> i64 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        self.last += 1;
        let log = Log { kind, key: key.to_vec() };
        self.all.insert(self.last, Contents::new(Arc::new(log), self.last, true));
        self.numbers.insert(Arc::clone(key), self.last);
        self.last
    }

    /// An entry. Those of a log come in the order of seqs, but for what stands in two segments, or was moved to a later one.
    pub(super) fn entry(&mut self, number: i64, seq: u64, id: [u8; 16], size: u32, place: Option<Place>) {
        self.highest = self.highest.max(seq);
        let Some(contents) = self.all.get_mut(&number) else { return };
        let slot = Slot { seq, id, size, state: State::Stored, place };
        if contents.slots.back().is_none_or(|last| last.seq < seq) {
            contents.slots.push_back(slot);
            return;
        }
        let at = contents.slots.partition_point(|slot| slot.seq < seq);
        match contents.slots.get_mut(at).filter(|there| there.seq == seq) {
            Some(there) => *there = slot,
            None => contents.slots.insert(at, slot),
        }
    }

    /// A log is trimmed up to there.
    pub(super) fn trim(&mut self, number: i64, through: u64) {
        let before = self.through.entry(number).or_default();
        *before = through.max(*before);
    }

    /// The id of an entry that is gone since `at`, Unix time in seconds.
    pub(super) fn gone(&mut self, at: u64, number: i64, id: [u8; 16], seq: u64, kept: Kept) {
        self.highest = self.highest.max(seq);
        self.gone.push((at, number, id, seq, kept));
    }

    /// The highest seq that was ever used, as far as that is known.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Seqs below `reserved` may be given from `next` on.
    pub(super) fn done(mut self, next: u64, reserved: u64) -> Logs {
        let mut logs = Logs { next, reserved, last_number: self.last, ..Logs::default() };
        for (number, mut contents) in self.all {
            let through = self.through.get(&number).copied().unwrap_or_default();
            let passed = contents.slots.partition_point(|slot| slot.seq <= through);
            let mut slots = std::mem::take(&mut contents.slots);
            slots.drain(..passed);
            slots.shrink_to_fit();
            slots.iter().for_each(|slot| logs.counts.come(&contents.name, slot));
            contents.bytes = slots.iter().map(|slot| u64::from(slot.size)).sum();
            contents.slots = slots;
            contents.map();
            logs.all.insert(Arc::clone(&contents.name), contents);
        }
        // Each file has them in their order, and both together have not.
        self.gone.sort_by_key(|(at, ..)| *at);
        let many = self.gone.len().saturating_sub(REMEMBERED);
        for (at, number, id, seq, kept) in self.gone.drain(..).skip(many) {
            logs.trimmed.load(at, number, id, seq, kept);
        }
        logs
    }
}

/// What becomes of an offer.
pub(super) enum Offered {
    /// It is there, durably.
    Known(Seq),
    /// It is held, and has this seq.
    Held(Seq),
    /// It is held already; the waiter waits with it.
    Joined,
    /// This is for the writer: there is no seq to give, or it is in a commit that is under way.
    Busy,
}

/// An entry of a read: with what it holds where that is not on the disk yet.
pub(super) struct Found {
    pub(super) seq: u64,
    pub(super) id: [u8; 16],
    pub(super) size: u32,
    /// Where it stands, unless that is in the tables.
    pub(super) place: Option<Place>,
    pub(super) bytes: Option<Bytes>,
}

impl Found {
    /// Where all of it is known.
    pub(super) fn entry(self) -> Option<Entry> {
        Some(Entry { seq: Seq(self.seq), id: self.id, bytes: self.bytes? })
    }
}

/// An entry that a commit writes, and its log.
pub(super) struct Row {
    pub(super) log: Arc<Log>,
    pub(super) number: i64,
    /// Whether the log has a row.
    pub(super) made: bool,
    pub(super) seq: u64,
    pub(super) id: [u8; 16],
    pub(super) bytes: Bytes,
}

/// What a trim takes: everything up to this seq, and these rows.
pub(super) struct Passing {
    pub(super) number: i64,
    pub(super) through: u64,
    pub(super) rows: Vec<(u64, [u8; 16])>,
}

impl Logs {
    pub(super) fn usage(&self, log: &Log) -> Usage {
        self.all
            .get(log)
            .map_or_else(Usage::default, |contents| Usage { count: contents.slots.len() as u64, bytes: contents.bytes })
    }

    pub(super) fn total(&self, kind: &str) -> Usage {
        self.counts.totals.get(kind).copied().unwrap_or_default()
    }

    /// Bytes that are wanted of a segment, and of all of them.
    pub(super) fn wanted(&self, segment: Number) -> (u64, u64) {
        let wanted = &self.counts.wanted;
        (wanted.get(&segment).copied().unwrap_or_default(), wanted.values().sum())
    }

    /// Whether an entry is still there, at this place.
    pub(super) fn is_at(&self, log: &Log, seq: u64, place: Place) -> bool {
        let slots = self.all.get(log).map(|contents| &contents.slots);
        let slot = slots.and_then(|slots| slots.get(slots.partition_point(|slot| slot.seq < seq)));
        slot.is_some_and(|slot| slot.seq == seq && slot.place == Some(place))
    }

    /// What stands at this place is not what was written: the entry is left out from now on, and its id is free. Whether it
    /// was still there.
    pub(super) fn lost(&mut self, log: &Log, seq: u64, place: Place) -> bool {
        if !self.is_at(log, seq, place) {
            return false;
        }
        if let Some(contents) = self.all.get_mut(log) {
            contents.remove(&mut self.counts, seq);
        }
        self.young.remove(seq);
        true
    }

    /// Of ids that were trimmed from a log, those that are remembered by what stands in this segment.
    pub(super) fn remembered(&self, log: &Log, gone: &mut Vec<Gone>, segment: Number) {
        let number = self.all.get(log).map(|contents| contents.number);
        let kept = |id: &[u8; 16]| self.trimmed.kept(number?, id);
        gone.retain(|(id, _)| kept(id) == Some(Kept::Segment(segment)));
    }

    /// These ids are remembered by what stands in another segment from now on.
    pub(super) fn remember(&mut self, log: &Log, gone: &[Gone], segment: Number) {
        let Some(number) = self.all.get(log).map(|contents| contents.number) else { return };
        gone.iter().for_each(|(id, _)| self.trimmed.moved(number, id, Kept::Segment(segment)));
    }

    /// An entry stands somewhere else from now on, where it is still there.
    pub(super) fn moved(&mut self, log: &Log, seq: u64, place: Place) {
        let Some(slot) = self.all.get_mut(log).and_then(|contents| contents.slot(seq)) else { return };
        self.counts.displaced(log, slot);
        slot.place = Some(place);
        self.counts.placed(log, slot);
    }

    /// Nothing of a segment is wanted any more, and it is gone.
    pub(super) fn forget_segment(&mut self, segment: Number) {
        self.counts.wanted.remove(&segment);
    }

    /// How far seqs are to be reserved anew, where too few are left.
    pub(super) fn reserve(&self, block: u64) -> Option<u64> {
        (self.next + block / 2 > self.reserved).then_some(self.next + block)
    }

    pub(super) fn reserved(&mut self, through: u64) {
        self.reserved = through;
    }

    /// Takes an entry in, to be seen at once.
    pub(super) fn offer(
        &mut self,
        log: &Log,
        id: [u8; 16],
        bytes: Bytes,
        answer: oneshot::Sender<Result<Written, Fault>>,
        room: OwnedSemaphorePermit,
    ) -> (Offered, Option<oneshot::Sender<Result<Written, Fault>>>) {
        let contents = contents(&mut self.all, &mut self.last_number, log);
        if let Some((seq, state)) = contents.find(&id) {
            return match (state, self.held.get_mut(&seq)) {
                (State::Stored, _) => (Offered::Known(Seq(seq)), Some(answer)),
                (State::Held | State::Flushed, Some(held)) => {
                    held.waiters.push((answer, Written::Duplicate(Seq(seq))));
                    (Offered::Joined, None)
                }
                _ => (Offered::Busy, Some(answer)),
            };
        }
        if let Some(seq) = self.trimmed.seq(contents.number, &id) {
            return (Offered::Known(Seq(seq)), Some(answer));
        }
        if self.next >= self.reserved {
            return (Offered::Busy, Some(answer));
        }
        let seq = self.next;
        self.next += 1;
        let slot = Slot { seq, id, size: size(&bytes), state: State::Held, place: None };
        contents.push(&mut self.counts, slot);
        let waiters = vec![(answer, Written::Appended(Seq(seq)))];
        self.held.insert(seq, Held::new(Arc::clone(&contents.name), bytes, waiters, room));
        (Offered::Held(Seq(seq)), None)
    }

    /// Of whoever reads a log.
    pub(super) fn pace(&self, log: &Log) -> Pace {
        self.all.get(log).map(|contents| contents.pace).unwrap_or_default()
    }

    /// Entries of a log that are to be written unless somebody takes them.
    pub(super) fn held(&self, log: &Log) -> Vec<u64> {
        let slots = self.all.get(log).into_iter().flat_map(|contents| &contents.slots);
        slots.filter(|slot| slot.state == State::Held).map(|slot| slot.seq).collect()
    }

    /// Whether an offer is still to be written.
    pub(super) fn holds(&self, seq: u64) -> bool {
        self.held.contains_key(&seq)
    }

    /// Takes an entry into the commit that is under way; none where it was taken meanwhile. `late`: it waited for
    /// somebody to take it, as long as anything does.
    pub(super) fn flush(&mut self, seq: u64, late: bool) -> Option<Row> {
        let held = self.held.get(&seq)?;
        let contents = self.all.get_mut(&held.log)?;
        let slot = contents.slot(seq).filter(|slot| slot.state == State::Held)?;
        slot.state = State::Flushed;
        let id = slot.id;
        if late {
            contents.pace.late(held.since.elapsed());
            contents.late.get_or_insert((seq, held.since));
        }
        let (number, made, bytes) = (contents.number, contents.made, held.bytes.clone());
        Some(Row { log: Arc::clone(&held.log), number, made, seq, id, bytes })
    }

    /// Takes an entry of a batch into the commit that is under way: what it writes for it, and what it is.
    pub(super) fn append(&mut self, log: &Log, id: [u8; 16], bytes: Bytes) -> (Option<Row>, Written) {
        let contents = contents(&mut self.all, &mut self.last_number, log);
        // [STORE-4]
        match contents.find(&id) {
            // [STORE-1] what was only offered is written now.
            Some((seq, State::Held)) => return (self.flush(seq, false), Written::Duplicate(Seq(seq))),
            Some((seq, _)) => return (None, Written::Duplicate(Seq(seq))),
            None => {}
        }
        if let Some(seq) = self.trimmed.seq(contents.number, &id) {
            return (None, Written::Duplicate(Seq(seq)));
        }
        let seq = self.next;
        self.next += 1;
        let slot = Slot { seq, id, size: size(&bytes), state: State::Hidden, place: None };
        contents.push(&mut self.counts, slot);
        let row = Row { number: contents.number, made: contents.made, log: Arc::clone(&contents.name), seq, id, bytes };
        (Some(row), Written::Appended(Seq(seq)))
    }

    /// The commit is done: this entry is durable, at this place or in the tables. `young`: what it is, where it will be
    /// read at once. Gives who waited for it.
    pub(super) fn stored(&mut self, log: &Log, seq: u64, place: Option<Place>, young: Option<Bytes>) -> Vec<Waiter> {
        if let Some(bytes) = young {
            self.young.insert(seq, bytes);
        }
        if let Some(contents) = self.all.get_mut(log) {
            contents.made = true;
            if let Some(slot) = contents.slot(seq) {
                (slot.state, slot.place) = (State::Stored, place);
                self.counts.placed(log, slot);
            }
        }
        self.held.remove(&seq).map(Held::waiters).unwrap_or_default()
    }

    /// The commit was undone: this entry is not there. Gives who waited for it.
    pub(super) fn undone(&mut self, log: &Log, seq: u64) -> Vec<Waiter> {
        if let Some(contents) = self.all.get_mut(log) {
            contents.remove(&mut self.counts, seq);
        }
        self.held.remove(&seq).map(Held::waiters).unwrap_or_default()
    }

    /// Entries after a seq, as far as they may be seen. [STORE-3]
    pub(super) fn read(&self, log: &Log, after: Seq, limit: Limit) -> Vec<Found> {
        let Some(contents) = self.all.get(log) else { return Vec::new() };
        let from = contents.slots.partition_point(|slot| slot.seq <= after.0);
        let mut bytes = 0;
        let next = contents.slots.range(from..).take_while(|slot| slot.state != State::Hidden);
        let fits = next.take(limit.count.max(1)).take_while(|slot| {
            let first = bytes == 0;
            bytes += slot.size.max(1) as usize;
            first || bytes <= limit.bytes
        });
        let held = |seq| self.held.get(seq).map(|held| &held.bytes).or_else(|| self.young.entries.get(seq)).cloned();
        fits.map(|slot| Found {
            seq: slot.seq,
            id: slot.id,
            size: slot.size,
            place: slot.place,
            bytes: held(&slot.seq),
        })
        .collect()
    }

    /// A trim without a write: where nothing up to there is written, or about to be, it is gone. Gives who waited for
    /// what is passed, and whether there is something to write. A trim tells how quick the log's reader is, also where
    /// the entry was written in between.
    pub(super) fn pass_held(&mut self, log: &Log, through: Seq, now: u64, patience: Patience) -> (Vec<Waiter>, bool) {
        let Some(contents) = self.all.get_mut(log) else { return (Vec::new(), false) };
        let late = contents.late.take_if(|(seq, _)| *seq <= through.0).map(|(_, since)| since);
        let first = contents.slots.front().filter(|slot| slot.seq <= through.0);
        let oldest = late.or_else(|| Some(self.held.get(&first?.seq)?.since));
        if let Some(since) = oldest {
            contents.pace.took(since.elapsed(), patience);
        }
        let passed = contents.slots.partition_point(|slot| slot.seq <= through.0);
        let mut waiters = Vec::new();
        let mut written = false;
        for slot in contents.slots.range(..passed) {
            written |= slot.state != State::Held;
            // [STORE-11] whoever trims it has it: that is true now, whatever comes of the trim.
            if let Some(held) = self.held.get_mut(&slot.seq) {
                waiters.append(&mut held.waiters);
            }
        }
        if !written {
            contents.drop_first(&mut self.counts, passed, |number, slot| {
                self.held.remove(&slot.seq);
                self.trimmed.push(now, number, slot.id, slot.seq, Kept::Memory);
            });
        }
        (waiters, written)
    }

    /// What a trim takes that is written or is being so, and that the same commit has not taken: what comes after `passed`.
    /// None of it goes before [`Logs::pass`].
    pub(super) fn passing(&self, log: &Log, passed: u64, through: Seq) -> Option<Passing> {
        let contents = self.all.get(log)?;
        let from = contents.slots.partition_point(|slot| slot.seq <= passed);
        let to = contents.slots.partition_point(|slot| slot.seq <= through.0).max(from);
        let last = contents.slots.range(from..to).next_back()?.seq;
        let rows = contents.slots.range(from..to).filter(|slot| slot.state != State::Held);
        let rows = rows.map(|slot| (slot.seq, slot.id)).collect();
        Some(Passing { number: contents.number, through: last, rows })
    }

    /// The commit is done: everything up to there is gone. Gives who still waited for it.
    /// `segment`: where the trim stands; none where that is in the tables.
    pub(super) fn pass(&mut self, log: &Log, through: u64, now: u64, segment: Option<Number>) -> Vec<Waiter> {
        let Some(contents) = self.all.get_mut(log) else { return Vec::new() };
        let passed = contents.slots.partition_point(|slot| slot.seq <= through);
        let mut waiters = Vec::new();
        contents.drop_first(&mut self.counts, passed, |number, slot| {
            waiters.extend(self.held.remove(&slot.seq).map(Held::waiters).unwrap_or_default());
            self.young.remove(slot.seq);
            let kept = match (slot.state, segment) {
                (State::Held, _) => Kept::Memory,
                (_, Some(segment)) => Kept::Segment(segment),
                (_, None) => Kept::Row(self.trimmed.next_row()),
            };
            self.trimmed.push(now, number, slot.id, slot.seq, kept);
        });
        waiters
    }
}

fn contents<'a>(all: &'a mut HashMap<Arc<Log>, Contents>, last: &mut i64, log: &Log) -> &'a mut Contents {
    let name = all.get_key_value(log).map_or_else(|| Arc::new(log.clone()), |(name, _)| Arc::clone(name));
    match all.entry(name) {
        hash_map::Entry::Occupied(there) => there.into_mut(),
        hash_map::Entry::Vacant(place) => {
            *last += 1;
            let contents = Contents::new(Arc::clone(place.key()), *last, false);
            place.insert(contents)
        }
    }
}

fn size(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Contents {
    fn new(name: Arc<Log>, number: i64, made: bool) -> Self {
        let (slots, bytes, ids, pace, late) = Default::default();
        Self { name, number, made, slots, bytes, ids, pace, late }
    }

    fn find(&self, id: &[u8; 16]) -> Option<(u64, State)> {
        let slot = match &self.ids {
            Some(ids) => {
                let seq = ids.get(id)?;
                self.slots.get(self.slots.partition_point(|slot| slot.seq < *seq))?
            }
            None => self.slots.iter().find(|slot| slot.id == *id)?,
        };
        Some((slot.seq, slot.state))
    }

    fn slot(&mut self, seq: u64) -> Option<&mut Slot> {
        let at = self.slots.partition_point(|slot| slot.seq < seq);
        self.slots.get_mut(at).filter(|slot| slot.seq == seq)
    }

    fn push(&mut self, counts: &mut Counts, slot: Slot) {
        counts.come(&self.name, &slot);
        self.bytes += u64::from(slot.size);
        if let Some(ids) = &mut self.ids {
            ids.insert(slot.id, slot.seq);
        }
        self.slots.push_back(slot);
        self.map();
    }

    /// Begins a map of ids where there are more than a few.
    fn map(&mut self) {
        if self.ids.is_none() && self.slots.len() > FEW {
            self.ids = Some(self.slots.iter().map(|slot| (slot.id, slot.seq)).collect());
        }
    }

    fn remove(&mut self, counts: &mut Counts, seq: u64) {
        let at = self.slots.partition_point(|slot| slot.seq < seq);
        if self.slots.get(at).is_some_and(|slot| slot.seq == seq)
            && let Some(slot) = self.slots.remove(at)
        {
            self.gone(counts, &slot);
        }
    }

    fn drop_first(&mut self, counts: &mut Counts, count: usize, mut each: impl FnMut(i64, &Slot)) {
        for _ in 0..count {
            let Some(slot) = self.slots.pop_front() else { break };
            self.gone(counts, &slot);
            each(self.number, &slot);
        }
        if self.slots.is_empty() {
            // A drained mailbox gives its memory back.
            (self.slots, self.ids) = (VecDeque::new(), None);
        }
    }

    fn gone(&mut self, counts: &mut Counts, slot: &Slot) {
        counts.gone(&self.name, slot);
        self.bytes -= u64::from(slot.size);
        // After a restart one that was lost may be there beside the one that was sent again.
        if let Some(ids) = &mut self.ids
            && ids.get(&slot.id) == Some(&slot.seq)
        {
            ids.remove(&slot.id);
        }
    }
}
