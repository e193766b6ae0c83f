//! Tables: a value is the last message under its key's subject, and its revision that message's seq. [STORE-6]
//!
//! A deletion is a message, too, so that it can expect a revision; then that message is removed. Each write carries a
//! mark of its own: where an answer was lost and the write is made again, the mark tells it from somebody else's.

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use super::EXPECTED;
use super::bus::{Bus, Deadline, Patience, Published, Stored};
use super::lengths::Lengths;
use super::names::Names;
use crate::store::{Fault, Key, Rev, Value, Write, Written};

/// The header with a write's own mark.
const MARK: &str = "W";
/// The header of a deletion.
const GONE: &str = "D";
/// A deletion that nobody removes goes after so long.
const GOES: &str = "2m";
/// Tables of older versions: nobody reads them any more.
const RETIRED: [&str; 1] = ["prekey"];
/// Values that are asked for at once.
const AT_ONCE: usize = 64;
/// Beyond so many names a listing goes deeper, byte by byte.
const LISTED: u64 = 512;

/// A put or a deletion, on its way.
pub(super) struct Change {
    pub(super) published: Published,
    mark: String,
    deletes: bool,
    creates: bool,
}

impl Change {
    /// `None`: it is no write of a table.
    pub(super) fn of(names: &Names, write: &Write) -> Option<Self> {
        let mark = format!("{:016x}", rand::random::<u64>());
        let mut headers = HeaderMap::new();
        headers.insert(MARK, mark.as_str());
        let (key, expected, bytes, deletes) = match write {
            Write::Put { key, expected, value } => {
                (key, expected.map_or(0, |rev| rev.0), Bytes::from(value.clone()), false)
            }
            Write::Delete { key, expected } => {
                headers.insert(GONE, "1");
                headers.insert("Nats-TTL", GOES);
                (key, expected.0, Bytes::new(), true)
            }
            Write::Append(_) | Write::Trim { .. } => return None,
        };
        headers.insert(EXPECTED, expected.to_string());
        let published = Published { subject: names.value(key), headers, bytes };
        Some(Self { published, mark, deletes, creates: expected == 0 && !deletes })
    }

    /// It was published under this seq.
    pub(super) async fn done(&self, bus: &Bus, stream: &str, seq: u64) -> Written {
        if !self.deletes {
            return Written::Put(Rev(seq));
        }
        // It is deleted in any case: what is left to do is to let it be counted no more.
        let _ = bus.remove(stream, seq, Deadline::new()).await;
        Written::Done
    }

    /// Publishes it.
    pub(super) async fn make(mut self, bus: &Bus, stream: &str) -> Result<Written, Fault> {
        let deadline = Deadline::new();
        let mut patience = Patience::until(deadline);
        loop {
            match bus.publish(&self.published, deadline).await? {
                Ok(ack) => return Ok(self.done(bus, stream, ack.seq).await),
                Err(refused) if refused.moved() => {}
                Err(refused) => return Err(refused.into()),
            }
            let which = json!({ "last_by_subj": self.published.subject });
            match bus.message(stream, &which, deadline).await? {
                Some(last) if last.header(MARK) == Some(&self.mark) => {
                    return Ok(self.done(bus, stream, last.seq).await);
                }
                // Deleted, and not removed yet.
                Some(last) if self.creates && is_gone(&last) => {
                    self.published.headers.insert(EXPECTED, last.seq.to_string());
                }
                None if self.creates => self.published.headers.insert(EXPECTED, "0"),
                _ => return Ok(Written::Moved),
            }
            patience.wait().await?;
        }
    }
}

fn is_gone(stored: &Stored) -> bool {
    stored.header(GONE).is_some()
}

async fn value(bus: &Bus, stream: &str, subject: String, deadline: Deadline) -> Result<Option<Value>, Fault> {
    let last = bus.message(stream, &json!({ "last_by_subj": subject }), deadline).await?;
    let last = last.filter(|last| !is_gone(last));
    Ok(last.map(|last| Value { rev: Rev(last.seq), bytes: last.bytes }))
}

/// The values under these subjects.
async fn values(
    bus: &Bus,
    stream: &str,
    subjects: Vec<String>,
    deadline: Deadline,
) -> Result<Vec<Option<Value>>, Fault> {
    let asked = subjects.into_iter().map(|subject| value(bus, stream, subject, deadline));
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    answers.into_iter().collect()
}

pub(super) async fn get(bus: &Bus, names: &Names, keys: &[Key]) -> Result<Vec<Option<Value>>, Fault> {
    let subjects = keys.iter().map(|key| names.value(key)).collect();
    values(bus, &names.stream("tables"), subjects, Deadline::new()).await
}

pub(super) async fn scan(
    bus: &Bus,
    names: &Names,
    lengths: &Lengths,
    range: Range<'_>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Value)>, Fault> {
    let deadline = Deadline::new();
    let stream = names.stream("tables");
    let mut found = Vec::new();
    let mut after = range.after.map(<[u8]>::to_vec);
    while found.len() < limit {
        let asked = limit - found.len();
        let rest = Range { after: after.as_deref(), ..range };
        let keys = listed(bus, names, lengths, rest, asked, deadline).await?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        let subjects = keys.iter().map(|key| names.value(&Key { table: range.table, key: key.clone() })).collect();
        let values = values(bus, &stream, subjects, deadline).await?;
        // Some were deleted since they were listed.
        let last = keys.len() < asked;
        found.extend(keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))));
        if last {
            break;
        }
    }
    Ok(found)
}

/// What a scan asks for.
#[derive(Clone, Copy)]
pub(super) struct Range<'a> {
    pub(super) table: &'static str,
    pub(super) prefix: &'a [u8],
    /// A whole key.
    pub(super) after: Option<&'a [u8]>,
}

/// The first keys of a range, in order, at most so many. A table that is too long to be listed is looked through by the
/// bytes with which its keys go on.
async fn listed(
    bus: &Bus,
    names: &Names,
    lengths: &Lengths,
    Range { table, prefix, after }: Range<'_>,
    limit: usize,
    deadline: Deadline,
) -> Result<Vec<Vec<u8>>, Fault> {
    let stream = names.stream("tables");
    let mut found: Vec<Vec<u8>> = Vec::new();
    // Prefixes to look through, the next one last; their keys are all different, and in this order.
    let mut todo = vec![prefix.to_vec()];
    while let Some(next) = todo.pop() {
        if found.len() >= limit {
            break;
        }
        // All of its keys begin with it: where it is below `after`, and not the beginning of it, so are they.
        if after.is_some_and(|after| next.as_slice() < after && !after.starts_with(&next)) {
            continue;
        }
        let filter = names.values(table, &next);
        let long = match lengths.of(&filter) {
            Some(long) => long,
            None => bus.subjects(&stream, &filter, false, deadline).await?.total > LISTED,
        };
        if !long {
            let there = bus.subjects(&stream, &filter, true, deadline).await?;
            lengths.note(filter, there.total > LISTED);
            let mut keys: Vec<Vec<u8>> = there.names.iter().filter_map(|subject| names.key(table, subject)).collect();
            keys.retain(|key| after.is_none_or(|after| key.as_slice() > after));
            keys.sort_unstable();
            found.extend(keys);
            continue;
        }
        lengths.note(filter, true);
        // The key that has nothing behind the prefix comes before those that have.
        if after.is_none_or(|after| next.as_slice() > after) {
            let key = Key { table, key: next.clone() };
            if bus.subjects(&stream, &names.value(&key), false, deadline).await?.total > 0 {
                found.push(next.clone());
            }
        }
        let from = after.filter(|after| after.starts_with(&next)).and_then(|after| after.get(next.len()));
        for byte in (from.copied().unwrap_or(0)..=u8::MAX).rev() {
            todo.push([next.as_slice(), &[byte]].concat());
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// Removes what older versions have left, and relays of them that still run go on to leave.
pub(super) async fn retire(bus: &Bus, names: &Names, deadline: Deadline) -> Result<(), Fault> {
    for table in RETIRED {
        bus.purge(&names.stream("tables"), &names.values(table, &[]), None, deadline).await?;
    }
    Ok(())
}

pub(super) async fn count(bus: &Bus, names: &Names, table: &str, prefix: &[u8]) -> Result<u64, Fault> {
    let filter = names.values(table, prefix);
    Ok(bus.subjects(&names.stream("tables"), &filter, false, Deadline::new()).await?.total)
}
