//! Everything that a relay stores, field by field: what it is, why, how long, and what it lets one infer.
//!
//! The operator of a relay can read all of it, and so can whoever takes the machine. This says what that is, and shows
//! it. A test holds [`fields`] to the tables of the store and to every row that stands in them: whatever is stored anew
//! without an entry here breaks it.

mod fields;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::shown;
use crate::store::segments::{self, Item, SegmentError};
use crate::store::sqlite::{OpenError, blobs};
use crate::store::{Fault, Store, Usage};
pub use fields::{Field, fields};

/// How much there is of something, and one of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What: as [`Field::of`].
    pub of: String,
    /// How many of them.
    pub count: u64,
    /// Bytes of them; `None` where nobody counts them.
    pub bytes: Option<u64>,
    /// One of them, as it stands there.
    pub example: Value,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.count)?;
        if let Some(bytes) = self.bytes {
            write!(f, ", {bytes} bytes")?;
        }
        if self.example.is_null() { Ok(()) } else { write!(f, "\n    for example {}", self.example) }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, what, why, kept, tells, .. } = self;
        write!(f, "  {name}\n    is     {what}\n    for    {why}\n    kept   {kept}\n    tells  {tells}")
    }
}

/// What the store in this file holds now. A relay may write to it meanwhile.
///
/// # Errors
/// The store can't be read.
pub fn found(store: &Path) -> Result<Vec<Found>, OpenError> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let transaction = connection.unchecked_transaction()?;
    let mut found = Vec::new();
    for table in tables(&transaction)? {
        // Names of tables are the schema's own.
        let count = transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| whole(row, 0))?;
        let example = example(&transaction, &format!("SELECT * FROM {table} LIMIT 1"))?;
        found.push(Found { of: format!("table {table}"), count, bytes: Some(0), example });
    }
    let kinds = "SELECT tbl, count(*), coalesce(sum(length(key) + length(value)), 0) FROM cell GROUP BY tbl";
    let mut kinds = transaction.prepare(kinds)?;
    let mut counts: BTreeMap<String, (u64, u64)> =
        kinds.query_map([], |row| Ok((row.get(0)?, (whole(row, 1)?, whole(row, 2)?))))?.collect::<Result<_, _>>()?;
    for kind in shown::KINDS {
        let (count, bytes) = counts.remove(kind.table).unwrap_or_default();
        let one = "SELECT key, value FROM cell WHERE tbl = ?1 LIMIT 1";
        let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
        let example = match transaction.query_row(one, [kind.table], read) {
            Ok((key, value)) => json!({ "key": readable(&key), "row": (kind.shown)(&value).map(legible) }),
            Err(rusqlite::Error::QueryReturnedNoRows) => Value::Null,
            Err(error) => return Err(error.into()),
        };
        found.push(Found { of: format!("row {}", kind.table), count, bytes: Some(bytes), example });
    }
    found.extend(waiting(store)?);
    found.push(files(store));
    // What no version of this program writes would be a surprise, and is not kept silent.
    for (table, (count, bytes)) in counts {
        found.push(Found { of: format!("row {table}"), count, bytes: Some(bytes), example: Value::Null });
    }
    Ok(found)
}

/// What the store that relays share holds now: they may write to it meanwhile.
///
/// # Errors
/// The store's own.
pub async fn found_shared<S: Store>(store: &S) -> Result<Vec<Found>, Fault> {
    let mut found = Vec::new();
    for kind in ["mailbox", "room"] {
        let Usage { count, bytes } = store.total(kind).await?;
        found.push(Found { of: format!("stream {kind}"), count, bytes: Some(bytes), example: Value::Null });
    }
    for kind in shown::KINDS {
        let count = store.count(kind.table, &[]).await?;
        let one = store.scan(kind.table, &[], None, 1).await?.pop();
        let example = one.map_or(
            Value::Null,
            |(key, value)| json!({ "key": readable(&key), "row": (kind.shown)(&value.bytes).map(legible) }),
        );
        found.push(Found { of: format!("row {}", kind.table), count, bytes: None, example });
    }
    Ok(found)
}

/// What the segments hold: the entries that wait, and the ids of those that are gone.
fn waiting(store: &Path) -> Result<[Found; 2], SegmentError> {
    let [mut entries, mut trims] = ["segment entry", "segment trim"].map(|of| Found {
        of: of.to_owned(),
        count: 0,
        bytes: Some(0),
        example: Value::Null,
    });
    // By mailbox and seq: one that was moved stands in two places for a while.
    let mut sizes: BTreeMap<(Arc<[u8]>, u64), u32> = BTreeMap::new();
    let mut trimmed: BTreeMap<Arc<[u8]>, u64> = BTreeMap::new();
    segments::look(&segments::folder(store), |_, listing| {
        let key = |name: &u32| listing.names().get(*name as usize).cloned().unwrap_or_default();
        for item in listing.items() {
            match item {
                Item::Entry { name, seq, id, size, .. } => {
                    sizes.insert((key(name), *seq), *size);
                    entries.example =
                        json!({ "key": readable(&key(name)), "seq": seq, "id": readable(id), "bytes": size });
                }
                Item::Trim { name, through, at, gone } => {
                    let before = trimmed.entry(key(name)).or_default();
                    *before = through.max(before).to_owned();
                    trims.count += gone.len() as u64;
                    let ids: Vec<String> = gone.iter().map(|(id, _)| readable(id)).take(1).collect();
                    trims.example = json!({ "key": readable(&key(name)), "through": through, "at": at, "gone": ids });
                }
            }
        }
    })?;
    sizes.retain(|(key, seq), _| trimmed.get(key).is_none_or(|through| seq > through));
    entries.count = sizes.len() as u64;
    entries.bytes = Some(sizes.values().copied().map(u64::from).sum());
    Ok([entries, trims])
}

/// The sealed files.
fn files(store: &Path) -> Found {
    let (mut count, mut bytes, mut example) = (0, 0, Value::Null);
    for file in std::fs::read_dir(blobs::folder(store)).into_iter().flatten().filter_map(Result::ok) {
        count += 1;
        bytes += file.metadata().map_or(0, |file| file.len());
        example = json!({ "name": file.file_name().to_string_lossy() });
    }
    Found { of: "file blobs/ID".to_owned(), count, bytes: Some(bytes), example }
}

/// A number that is never below zero.
fn whole(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or_default())
}

/// All tables but SQLite's own.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    connection.prepare(tables)?.query_map([], |row| row.get(0))?.collect()
}

fn example(connection: &Connection, query: &str) -> rusqlite::Result<Value> {
    let mut query = connection.prepare(query)?;
    let names: Vec<String> = query.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = query.query([])?;
    let Some(row) = rows.next()? else { return Ok(Value::Null) };
    let mut example = serde_json::Map::new();
    for (at, name) in names.into_iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => json!(number),
            ValueRef::Real(number) => json!(number),
            ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
            ValueRef::Blob(bytes) => json!(readable(bytes)),
        };
        example.insert(name, value);
    }
    Ok(Value::Object(example))
}

/// Most bytes of something that are shown.
const SHOWN: usize = 32;

/// Bytes as a person reads them: as text where they are printable with zero bytes between, else as hexadecimal digits.
fn readable(bytes: &[u8]) -> String {
    let text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if !bytes.is_empty() && bytes.iter().all(text) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let shown: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN { format!("{shown}… ({} bytes)", bytes.len()) } else { shown }
}

/// The same with all bytes in it as a person reads them.
fn legible(value: Value) -> Value {
    match value {
        Value::Array(values) => {
            let bytes: Option<Vec<u8>> =
                values.iter().map(|value| value.as_u64().and_then(|byte| byte.try_into().ok())).collect();
            match bytes {
                Some(bytes) if bytes.len() >= 16 => json!(readable(&bytes)),
                _ => Value::Array(values.into_iter().map(legible).collect()),
            }
        }
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, legible(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
