//! Blobs: a part is a message under its blob and number, that expects the one before it to be the blob's last.
//!
//! So nobody else's part comes in between, and none behind a deletion. [STORE-12]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use sealpost_spec::attachment::PART;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::bus::{Bus, Deadline, Published};
use super::names::Names;
use super::{EXPECTED, OF_SUBJECT};
use crate::store::Fault;
use crate::store::bell::lock;

type Blob = [u8; 16];

/// Blobs whose ends are known.
const ENDS: usize = 4_096;
/// A part waits so long for those before it, which are on their way here.
const WAITS: Duration = Duration::from_secs(15);
/// A part is put again so often where others changed the blob.
const ATTEMPTS: usize = 4;

/// Where blobs end, and which parts are on their way in this relay.
#[derive(Default)]
pub(super) struct Ends(Mutex<HashMap<Blob, Arc<End>>>);

#[derive(Default)]
struct End {
    state: Mutex<State>,
    /// Told when a part is done.
    moved: Notify,
}

#[derive(Default)]
struct State {
    /// How many parts there are, and the seq of the last one; `None`: not known.
    known: Option<(u32, u64)>,
    /// Numbers of parts on their way.
    coming: Vec<u32>,
}

/// A part on its way; dropping it lets those behind it go on.
struct Coming<'a> {
    end: &'a End,
    number: u32,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.end.state);
        if let Some(at) = state.coming.iter().position(|number| *number == self.number) {
            state.coming.swap_remove(at);
        }
        drop(state);
        self.end.moved.notify_waiters();
    }
}

impl Ends {
    fn of(&self, blob: Blob) -> Arc<End> {
        let mut ends = lock(&self.0);
        if ends.len() >= ENDS {
            // Whoever holds one goes on with it; its part expects what the stream has in any case.
            ends.retain(|_, end| Arc::strong_count(end) > 1);
        }
        Arc::clone(ends.entry(blob).or_default())
    }

    fn forget(&self, blob: Blob) {
        lock(&self.0).remove(&blob);
    }
}

pub(super) async fn put(
    bus: &Bus,
    names: &Names,
    ends: &Ends,
    blob: Blob,
    number: u32,
    bytes: Bytes,
) -> Result<u32, Fault> {
    if bytes.len() != PART {
        return Err(Fault::Damaged("a part"));
    }
    let end = ends.of(blob);
    lock(&end.state).coming.push(number);
    let _coming = Coming { end: &end, number };
    let deadline = Deadline::new();
    end.turn(number).await;
    for _ in 0..ATTEMPTS {
        let known = lock(&end.state).known.filter(|(count, _)| *count == number);
        let (count, last) = match known {
            Some(known) => known,
            None => found(bus, names, blob, deadline).await?,
        };
        if count != number {
            lock(&end.state).known = Some((count, last));
            return Ok(count);
        }
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED, last.to_string());
        headers.insert(OF_SUBJECT, names.parts(&blob));
        let published = Published { subject: names.part(&blob, number), headers, bytes: bytes.clone() };
        match bus.publish(&published, deadline).await? {
            Ok(ack) => {
                lock(&end.state).known = Some((number + 1, ack.seq));
                return Ok(number + 1);
            }
            // Deleted, or put by another attempt or another relay: looked at again.
            Err(refused) if refused.moved() => lock(&end.state).known = None,
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(Fault::Contended("a blob"))
}

impl End {
    /// Waits for parts before this one that are on their way here: they came over one link, side by side.
    async fn turn(&self, number: u32) {
        let until = Instant::now() + WAITS;
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // From now on nothing is missed.
            moved.as_mut().enable();
            if !lock(&self.state).coming.iter().any(|coming| *coming < number) {
                return;
            }
            if timeout_at(until, moved).await.is_err() {
                return;
            }
        }
    }
}

/// How many parts there are, and the seq of the last.
async fn found(bus: &Bus, names: &Names, blob: Blob, deadline: Deadline) -> Result<(u32, u64), Fault> {
    let (stream, filter) = (names.stream("blobs"), names.parts(&blob));
    match bus.message(&stream, &json!({ "last_by_subj": filter }), deadline).await? {
        Some(last) => Ok((number_of(&last.subject).ok_or(Fault::Damaged("a blob"))? + 1, last.seq)),
        None => Ok((0, 0)),
    }
}

fn number_of(subject: &str) -> Option<u32> {
    u32::from_str_radix(subject.rsplit('.').next()?, 16).ok().filter(|number| *number < u32::MAX)
}

pub(super) async fn count(bus: &Bus, names: &Names, blob: Blob) -> Result<u32, Fault> {
    let count = bus.subjects(&names.stream("blobs"), &names.parts(&blob), false, Deadline::new()).await?.total;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

pub(super) async fn part(bus: &Bus, names: &Names, blob: Blob, number: u32) -> Result<Option<Bytes>, Fault> {
    let which = json!({ "last_by_subj": names.part(&blob, number) });
    let part = bus.message(&names.stream("blobs"), &which, Deadline::new()).await?;
    match part {
        Some(part) if part.bytes.len() != PART => Err(Fault::Damaged("a blob")),
        part => Ok(part.map(|part| part.bytes)),
    }
}

pub(super) async fn delete(bus: &Bus, names: &Names, ends: &Ends, blob: Blob) -> Result<(), Fault> {
    bus.purge(&names.stream("blobs"), &names.parts(&blob), None, Deadline::new()).await?;
    ends.forget(blob);
    Ok(())
}
