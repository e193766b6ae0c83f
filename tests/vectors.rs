//! `spec/vectors` and those who read it: `crypto/src/vectors.rs` and `vectors/encoding.rs` hold the code to every vector;
//! this holds the vectors to their own README, so that none lies there unread.

mod encoding;

use std::collections::BTreeSet;

use crate::coverage::source::{read, root};

/// Who holds the code to the vectors.
const READERS: [&str; 2] = ["crypto/src/vectors.rs", "tests/vectors/encoding.rs"];

/// A block of lines `field: value`.
struct Vector {
    place: String,
    fields: Vec<(String, String)>,
}

impl Vector {
    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

/// Names of the files with vectors.
fn files() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("spec/vectors"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !matches!(name.as_str(), "README.md" | "generate.py" | "generator") && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for file in files() {
        let mut fields = Vec::new();
        let text = read(&format!("spec/vectors/{file}"));
        for (at, line) in text.lines().chain([""]).enumerate() {
            if line.starts_with('#') {
                continue;
            }
            if line.is_empty() {
                if !fields.is_empty() {
                    all.push(Vector { place: format!("{file}:{at}"), fields: std::mem::take(&mut fields) });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or_else(|| panic!("{file}:{}: no field", at + 1));
            fields.push((field.to_owned(), value.trim_start().to_owned()));
        }
    }
    all
}

/// Kinds that the README describes: the first column of its second table.
fn described() -> BTreeSet<String> {
    let text = read("spec/vectors/README.md");
    let table = text.split_once("## Kinds").expect("a list of kinds").1.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let first = row.trim_start_matches('|').split('|').next().unwrap_or_default();
        first.split(',').map(|kind| kind.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    })
    .collect()
}

/// Every file with vectors is read, and nothing else lies among them.
#[test]
fn every_file_is_read() {
    let readers = READERS.map(read).concat();
    for file in files() {
        let taken = [format!("spec/vectors/{file}\""), format!("\"{file}:\"")];
        assert!(taken.iter().any(|taken| readers.contains(taken)), "nobody reads spec/vectors/{file}");
    }
}

/// Every kind is described, taken by the reader, and has a vector; nothing else is in the files.
#[test]
fn every_kind_is_known() {
    let described = described();
    let used: BTreeSet<String> = vectors().iter().map(|vector| vector.field("kind").to_owned()).collect();
    assert_eq!(described, used, "kinds of the README (left) and of the files (right)");
    let readers = READERS.map(read).concat();
    for kind in used {
        assert!(readers.contains(&format!("\"{kind}\"")), "nobody takes vectors of the kind {kind}");
    }
}

/// Every vector has its three first fields, a name of its own, and bytes that are bytes; whatever is refused has a
/// taken one of its kind beside it.
#[test]
fn every_vector_has_its_form() {
    let all = vectors();
    assert!(all.len() > 600, "only {} vectors found: is the search wrong?", all.len());
    let mut names = BTreeSet::new();
    let taken: BTreeSet<&str> =
        all.iter().filter(|vector| vector.field("expect") == "ok").map(|vector| vector.field("kind")).collect();
    for vector in &all {
        let first: Vec<&str> = vector.fields.iter().take(3).map(|(field, _)| field.as_str()).collect();
        assert_eq!(first, ["name", "kind", "expect"], "{}", vector.place);
        assert!(matches!(vector.field("expect"), "ok" | "refused"), "{}", vector.place);
        let file = vector.place.split(':').next().unwrap_or_default();
        assert!(names.insert((file, vector.field("name"))), "{}: the name stands twice", vector.place);
        assert!(taken.contains(vector.field("kind")), "{}: nothing of this kind is taken", vector.place);
        for field in ["bytes", "body", "signature", "key", "message"] {
            let value = vector.field(field);
            assert!(
                data_encoding::HEXLOWER.decode(value.as_bytes()).is_ok(),
                "{}: {field} is no lower-case hex",
                vector.place
            );
        }
    }
}
