//! Logs: an entry is a message under a subject of its own, below that of its log. A seq is the message's in its stream.
//!
//! Where an entry of the same id is there, whenever it came, the stream refuses another one (it expects none under the
//! id's subject); for [`super::super::DUPLICATE_WINDOW`] after it came, trimmed or not, the stream remembers the id.
//! [STORE-4]

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use bytes::Bytes;
use sealpost_spec::mailbox::Seq;
use serde::Deserialize;
use serde_json::json;

use super::bus::{Bus, Deadline, Patience, Published, Stored};
use super::names::{LONGEST, LogName, Names, entry};
use super::{EXPECTED, OF_SUBJECT};
use crate::store::bell::lock;
use crate::store::{Append, Entry, Fault, Limit, Log, Usage, Written};

/// Most messages that are asked for at once.
const AT_ONCE: usize = 256;
/// Of logs with more entries, the sum is kept: to list them costs a hundred bytes each.
const FEW: u64 = 64;
/// Of logs with more entries, the bytes are estimated.
const MANY: u64 = 10_000;
/// A sum that others changed is made again after so long, and estimated until then.
const STALE: Duration = Duration::from_secs(1);
/// Sums that are kept.
const SUMS: usize = 10_000;

/// What is known of long logs: as the last listing said, with what was appended here since.
#[derive(Default)]
pub(super) struct Sums(Mutex<HashMap<LogName, Sum>>);

#[derive(Clone, Copy)]
struct Sum {
    usage: Usage,
    listed: Instant,
}

impl Sums {
    fn of(&self, log: &LogName) -> Option<Sum> {
        lock(&self.0).get(log).copied()
    }

    fn keep(&self, log: &LogName, usage: Usage) {
        let mut sums = lock(&self.0);
        if usage.count <= FEW {
            sums.remove(log);
            return;
        }
        if sums.len() >= SUMS {
            sums.clear();
        }
        sums.insert(log.clone(), Sum { usage, listed: Instant::now() });
    }

    fn add(&self, log: &LogName, bytes: usize) {
        if let Some(sum) = lock(&self.0).get_mut(log) {
            sum.usage.count += 1;
            sum.usage.bytes += bytes as u64;
        }
    }

    fn forget(&self, log: &LogName) {
        lock(&self.0).remove(log);
    }
}

/// An append as it is published.
pub(super) fn published(log: &LogName, append: &Append) -> Result<Published, Fault> {
    if append.bytes.len() > LONGEST {
        return Err(Fault::Damaged("an entry"));
    }
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", log.once(&append.id));
    headers.insert(EXPECTED, "0");
    headers.insert(OF_SUBJECT, log.of_id(&append.id));
    let subject = log.entry(&append.id, append.bytes.len());
    Ok(Published { subject, headers, bytes: Bytes::from(append.bytes.clone()) })
}

/// Bytes that a stream counts for an entry beside its own: its subject, its headers and what frames a message. All
/// entries of a kind have the same, as their names are equally long.
fn overhead(names: &Names, kind: &'static str) -> u64 {
    let log = names.log(&Log { kind, key: Vec::new() });
    let id = [0; 16];
    let header = |name: &str, value: usize| name.len() + 2 + value + 2;
    let headers = "NATS/1.0\r\n\r\n".len()
        + header("Nats-Msg-Id", log.once(&id).len())
        + header(EXPECTED, 1)
        + header(OF_SUBJECT, log.of_id(&id).len());
    (22 + 4 + 8 + log.entry(&id, 0).len() + headers) as u64
}

pub(super) async fn append(bus: &Bus, names: &Names, sums: &Sums, append: &Append) -> Result<Written, Fault> {
    let log = names.log(&append.log);
    let published = published(&log, append)?;
    let deadline = Deadline::new();
    let mut patience = Patience::until(deadline);
    loop {
        match bus.publish(&published, deadline).await? {
            // Also where an attempt before this one was not answered: it was appended before.
            Ok(ack) if ack.duplicate => return Ok(Written::Duplicate(Seq(ack.seq))),
            Ok(ack) => {
                sums.add(&log, append.bytes.len());
                return Ok(Written::Appended(Seq(ack.seq)));
            }
            Err(refused) if refused.moved() => {
                let which = json!({ "last_by_subj": log.of_id(&append.id) });
                if let Some(there) = bus.message(&log.stream, &which, deadline).await? {
                    return Ok(Written::Duplicate(Seq(there.seq)));
                }
                // It was trimmed at this moment.
            }
            Err(refused) => return Err(refused.into()),
        }
        patience.wait().await?;
    }
}

pub(super) async fn trim(bus: &Bus, names: &Names, sums: &Sums, log: &Log, through: Seq) -> Result<Written, Fault> {
    let log = names.log(log);
    bus.purge(&log.stream, &log.entries(), through.0.checked_add(1), Deadline::new()).await?;
    sums.forget(&log);
    Ok(Written::Done)
}

/// The leader says what comes next and where the end is, so that a read sees all that resolved before it began, and
/// nothing that was trimmed. What stands in between is read from any replica, many at a time: a trim takes the
/// beginning of a log alone, and what a replica has is the beginning of what the leader has. [STORE-3] [STORE-5]
pub(super) async fn read(
    bus: &Bus,
    names: &Names,
    log: &Log,
    after: Seq,
    limit: Limit,
    deadline: Deadline,
) -> Result<Vec<Entry>, Fault> {
    let Some(mut from) = after.0.checked_add(1) else { return Ok(Vec::new()) };
    let log = names.log(log);
    let mut taken = Taken { limit, entries: Vec::new(), bytes: 0 };
    loop {
        let which = json!({ "seq": from, "next_by_subj": log.entries() });
        let Some(next) = bus.message(&log.stream, &which, deadline).await? else { break };
        from = next.seq + 1;
        if !taken.take(next)? {
            break;
        }
        // Mostly there is one, or none.
        let room = limit.count.saturating_sub(taken.entries.len()).min(AT_ONCE);
        if taken.entries.len() < 2 || room < 2 {
            continue;
        }
        let bytes = limit.bytes.saturating_sub(taken.bytes).max(1);
        let which = json!({ "seq": from, "next_by_subj": log.entries(), "batch": room, "max_bytes": bytes });
        for next in bus.messages(&log.stream, &which).await? {
            from = next.seq + 1;
            if !taken.take(next)? {
                return Ok(taken.entries);
            }
        }
    }
    Ok(taken.entries)
}

/// What a read has so far.
struct Taken {
    limit: Limit,
    entries: Vec<Entry>,
    bytes: usize,
}

impl Taken {
    /// Takes one where it fits; whether there is room for another one.
    fn take(&mut self, stored: Stored) -> Result<bool, Fault> {
        let size = stored.bytes.len().max(1);
        if !self.entries.is_empty() && self.bytes + size > self.limit.bytes {
            return Ok(false);
        }
        let (id, length) = entry(&stored.subject).ok_or(Fault::Damaged("an entry"))?;
        if length != stored.bytes.len() {
            return Err(Fault::Damaged("an entry"));
        }
        self.bytes += size;
        self.entries.push(Entry { seq: Seq(stored.seq), id, bytes: stored.bytes });
        Ok(self.entries.len() < self.limit.count)
    }
}

/// How much a log holds: its entries are counted by their subjects, which say how long they are.
pub(super) async fn usage(bus: &Bus, names: &Names, sums: &Sums, log: &Log) -> Result<Usage, Fault> {
    let (kind, log) = (log.kind, names.log(log));
    let deadline = Deadline::new();
    let known = sums.of(&log);
    // Rooms keep what is said there, and may be long. Mailboxes are bounded, and mostly hold little.
    if known.is_some() || kind != "mailbox" {
        let count = bus.subjects(&log.stream, &log.entries(), false, deadline).await?.total;
        if let Some(Sum { usage, listed }) = known {
            if count == usage.count {
                return Ok(usage);
            }
            if count > FEW && listed.elapsed() < STALE {
                return Ok(Usage { count, bytes: count * (usage.bytes / usage.count.max(1)) });
            }
        }
        if count > MANY {
            let all = total(bus, names, kind).await?;
            return Ok(Usage { count, bytes: count * (all.bytes / all.count.max(1)) });
        }
    }
    let listed = bus.subjects(&log.stream, &log.entries(), true, deadline).await?;
    let sizes = listed.names.iter().filter_map(|subject| entry(subject));
    let usage = sizes
        .fold(Usage::default(), |usage, (_, size)| Usage { count: usage.count + 1, bytes: usage.bytes + size as u64 });
    sums.keep(&log, usage);
    Ok(usage)
}

/// How much all logs of a kind hold: as the stream counts it, less what it counts beside.
pub(super) async fn total(bus: &Bus, names: &Names, kind: &'static str) -> Result<Usage, Fault> {
    #[derive(Deserialize)]
    struct Info {
        state: State,
    }
    #[derive(Deserialize)]
    struct State {
        messages: u64,
        bytes: u64,
    }
    let what = format!("STREAM.INFO.{}", names.stream(kind));
    let State { messages, bytes } = bus.api::<Info>(&what, &serde_json::Value::Null, Deadline::new()).await??.state;
    let beside = messages * overhead(names, kind);
    Ok(Usage { count: messages, bytes: bytes.saturating_sub(beside) })
}
