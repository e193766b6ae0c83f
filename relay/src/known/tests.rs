use std::collections::BTreeSet;

use super::*;
use crate::answer::shown::KINDS;
use crate::store::Sqlite;

fn columns(connection: &Connection) -> BTreeSet<(String, String)> {
    let of = |table: String| {
        let query = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let names = query.column_names().into_iter().map(|name| (format!("table {table}"), name.to_owned()));
        names.collect::<Vec<_>>()
    };
    tables(connection).unwrap().into_iter().flat_map(of).collect()
}

/// What is stored and what is said to be stored are the same: every table's columns, every row's key and fields. What is
/// stored anew needs an entry in `fields.md`.
#[tokio::test]
async fn everything_that_is_stored_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.db");
    drop(Sqlite::open(&file).unwrap());
    let connection = Connection::open(&file).unwrap();
    let mut stored = columns(&connection);
    for kind in KINDS {
        let of = format!("row {}", kind.table);
        let fields = (kind.fields)().iter().map(|name| (of.clone(), (*name).to_owned()));
        stored.extend(fields.chain([(of.clone(), "key".to_owned())]));
    }
    let fields = fields();
    let said = fields.iter().map(|field| (field.of.to_owned(), field.name.to_owned()));
    let said: BTreeSet<(String, String)> =
        said.filter(|(of, _)| of.starts_with("table ") || of.starts_with("row ")).collect();
    assert_eq!(said, stored);
    let elsewhere = |of: &str| matches!(of, "file" | "memory") || of.starts_with("segment ");
    let elsewhere = fields.iter().filter(|field| elsewhere(field.of) || field.is_shared()).count();
    let lines = include_str!("fields.md").lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!((said.len() + elsewhere, fields.len() + 1), (fields.len(), lines), "each line once, and whole");
}

/// A row is shown with its fields by name, its keys as digits, and its names as they are.
#[tokio::test]
async fn what_is_there_is_shown() {
    use crate::store::{Key, Store, Write};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.db");
    let store = Sqlite::open(&file).unwrap();
    let mut row = vec![1, 3, 0, 0, 0, 0, 0, 0, 0];
    row.extend(b"bob");
    let key = Key { table: "skeleton", key: b"hob".to_vec() };
    store.write(vec![Write::Put { key, expected: None, value: row }]).await.unwrap();
    // Beside a relay that runs.
    let found = found(&file).unwrap();
    let claim = found.iter().find(|found| found.of == "row skeleton").unwrap();
    assert_eq!(claim.example, json!({ "key": "hob", "row": { "name": "bob" } }));
    assert_eq!((claim.count, claim.bytes), (1, Some(15)));
    let rows = found_shared(&store).await.unwrap();
    let shared = rows.iter().find(|found| found.of == "row skeleton").unwrap();
    assert_eq!((&shared.example, shared.count, shared.bytes), (&claim.example, 1, None));
    let store_row = found.iter().find(|found| found.of == "table store").unwrap();
    assert_eq!(store_row.example["id"].as_str().unwrap().len(), 32);
    assert_eq!(readable(&[0xff; 40]), format!("{}… (40 bytes)", "ff".repeat(32)));
}
