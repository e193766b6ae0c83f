//! Moves a relay's store: copies all that one holds into another, an empty one.
//!
//! Nobody may serve either of them meanwhile. What was broken off goes on where it was: a mark in the new store says that
//! not all is there yet, and no relay serves it then.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sealpost_spec::mailbox::Seq;

use crate::answer::shown::KINDS;
use crate::store::{Append, Fault, Key, Limit, Log, Store, Value, Write, Written};

/// Values that are read and written at once.
const PAGE: usize = 200;
/// Entries that are read at once, and their bytes.
const ENTRIES: Limit = Limit { count: 64, bytes: 4 * 1024 * 1024 };
/// Logs, or blobs, that are copied side by side.
const ABREAST: usize = 32;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Values of tables.
    pub values: u64,
    /// Envelopes and posts.
    pub entries: u64,
    /// Parts of files.
    pub parts: u64,
}

/// Why a store was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A relay has written to it before.
    #[error("the new store is not empty")]
    NotEmpty,
    /// A store's own.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Stands in a store as long as not all was copied into it.
fn mark() -> Key {
    Key { table: "cluster", key: b"migrating".to_vec() }
}

/// Whether something is being copied into this store, or was and did not come to its end.
///
/// # Errors
/// The store's own.
pub async fn unfinished<S: Store>(store: &S) -> Result<bool, Fault> {
    Ok(store.get(vec![mark()]).await?.iter().any(Option::is_some))
}

/// Copies everything. `told`: how far it is.
///
/// # Errors
/// See [`MigrateError`].
pub async fn copy<A: Store, B: Store>(from: &A, to: &B, told: impl Fn(Copied)) -> Result<Copied, MigrateError> {
    let mut copied = Copied::default();
    if unfinished(from).await? {
        return Err(Fault::Damaged("what was copied into the old store, and never wholly,").into());
    }
    if !unfinished(to).await? {
        for kind in KINDS {
            if to.count(kind.table, &[]).await? > 0 {
                return Err(MigrateError::NotEmpty);
            }
        }
        to.write(vec![Write::Put { key: mark(), expected: None, value: Vec::new() }]).await?;
    }
    // Entries and parts before the rows that name them, as when they came.
    for (table, kind) in [("mailbox", "mailbox"), ("room", "room")] {
        let mut after = None;
        while let Some(keys) = page(from, table, &mut after).await? {
            let logs = keys.into_iter().map(|(key, _)| log(from, to, Log { kind, key }));
            let mut done = stream::iter(logs).buffer_unordered(ABREAST);
            while let Some(entries) = done.next().await {
                copied.entries += entries?;
                told(copied);
            }
        }
    }
    let mut after = None;
    while let Some(keys) = page(from, "blob", &mut after).await? {
        let blobs = keys.into_iter().filter_map(|(key, _)| Some(blob(from, to, key.try_into().ok()?)));
        let mut done = stream::iter(blobs).buffer_unordered(ABREAST);
        while let Some(parts) = done.next().await {
            copied.parts += parts?;
            told(copied);
        }
    }
    for kind in KINDS {
        let mut after = None;
        while let Some(found) = page(from, kind.table, &mut after).await? {
            copied.values += found.len() as u64;
            values(to, kind.table, found).await?;
            told(copied);
        }
    }
    // Last of all.
    if let Some(Some(there)) = to.get(vec![mark()]).await?.pop() {
        to.write(vec![Write::Delete { key: mark(), expected: there.rev }]).await?;
    }
    Ok(copied)
}

/// The next values of a table; `None` behind the last.
async fn page<S: Store>(
    from: &S,
    table: &'static str,
    after: &mut Option<Vec<u8>>,
) -> Result<Option<Vec<(Vec<u8>, Value)>>, Fault> {
    let found = from.scan(table, &[], after.as_deref(), PAGE).await?;
    let Some((last, _)) = found.last() else { return Ok(None) };
    *after = Some(last.clone());
    Ok(Some(found))
}

/// Puts values that are not there, or differ from what was put before.
async fn values<S: Store>(to: &S, table: &'static str, found: Vec<(Vec<u8>, Value)>) -> Result<(), Fault> {
    let keys: Vec<Key> = found.iter().map(|(key, _)| Key { table, key: key.clone() }).collect();
    let there = to.get(keys.clone()).await?;
    let differs = keys.into_iter().zip(found).zip(there).filter_map(|((key, (_, value)), there)| match there {
        Some(there) if there.bytes == value.bytes => None,
        there => Some(Write::Put { key, expected: there.map(|there| there.rev), value: value.bytes.to_vec() }),
    });
    let batch: Vec<Write> = differs.collect();
    if !batch.is_empty() && to.write(batch).await?.last() == Some(&Written::Moved) {
        return Err(Fault::Contended("the new store"));
    }
    Ok(())
}

/// Copies a log in its order; what is there already is known by its id.
async fn log<A: Store, B: Store>(from: &A, to: &B, log: Log) -> Result<u64, Fault> {
    let mut after = Seq(0);
    let mut copied = 0;
    loop {
        let entries = from.read(&log, after, ENTRIES).await?;
        let Some(last) = entries.last() else { return Ok(copied) };
        after = last.seq;
        copied += entries.len() as u64;
        let append = |entry: crate::store::Entry| {
            Write::Append(Append { log: log.clone(), id: entry.id, bytes: entry.bytes.to_vec() })
        };
        to.write(entries.into_iter().map(append).collect()).await?;
    }
}

/// Copies the parts of a blob that are not there yet.
async fn blob<A: Store, B: Store>(from: &A, to: &B, id: [u8; 16]) -> Result<u64, Fault> {
    let mut next = to.parts(id).await?;
    loop {
        let part: Option<Bytes> = from.part(id, next).await?;
        let Some(part) = part else { return Ok(u64::from(next)) };
        let parts = to.put_part(id, next, part).await?;
        if parts <= next {
            return Err(Fault::Contended("a blob"));
        }
        next = parts;
    }
}

#[cfg(test)]
mod tests {
    use sealpost_spec::attachment::PART;

    use super::*;
    use crate::store::{CrashPoint, CrashPoints, Memory, memory::ready};

    fn filled() -> Memory {
        let store = Memory::new([1; 16]);
        let mut batch = Vec::new();
        for number in 0..250_u32 {
            let key = number.to_be_bytes().to_vec();
            let put = |table| Write::Put { key: Key { table, key: key.clone() }, expected: None, value: key.clone() };
            batch.extend([put("mailbox"), put("account")]);
            let log = Log { kind: "mailbox", key: key.clone() };
            let append = |id: u8| Write::Append(Append { log: log.clone(), id: [id; 16], bytes: vec![id; 100] });
            batch.extend((0..3).map(append));
        }
        batch.push(Write::Put { key: Key { table: "blob", key: vec![9; 16] }, expected: None, value: vec![9] });
        ready(store.write(batch)).unwrap().unwrap();
        for number in 0..3 {
            ready(store.put_part([9; 16], number, vec![number as u8; PART].into())).unwrap().unwrap();
        }
        store
    }

    fn contents(store: &Memory) -> Vec<Vec<u8>> {
        let mut all = store.contents();
        all.sort();
        all
    }

    /// All of a store is in its copy, which has an id of its own; into one that holds something nothing is copied.
    #[test]
    fn a_copy_holds_everything() {
        let (from, to) = (filled(), Memory::new([2; 16]));
        let copied = ready(copy(&from, &to, |_| ())).unwrap().unwrap();
        assert_eq!(copied, Copied { values: 501, entries: 750, parts: 3 });
        assert_eq!(contents(&to), contents(&from));
        assert_ne!(to.id(), from.id());
        assert!(!ready(unfinished(&to)).unwrap().unwrap());
        assert!(matches!(ready(copy(&from, &to, |_| ())).unwrap(), Err(MigrateError::NotEmpty)));
    }

    /// What is broken off at any commit is marked, and goes on to the same end.
    #[test]
    fn a_broken_copy_goes_on() {
        let from = filled();
        for commit in [1, 2, 100, 251, 253] {
            let broken = Memory::crashing([2; 16], CrashPoints::at(CrashPoint::AfterCommit, commit));
            assert!(ready(copy(&from, &broken, |_| ())).unwrap().is_err());
            let to = broken.reopen(CrashPoints::none());
            assert!(ready(unfinished(&to)).unwrap().unwrap(), "commit {commit}");
            ready(copy(&from, &to, |_| ())).unwrap().unwrap();
            assert_eq!(contents(&to), contents(&from), "commit {commit}");
        }
    }
}
