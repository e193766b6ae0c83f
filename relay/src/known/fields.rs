//! The entries: one for each column, each field of a row, each file, and what is in memory only.

use serde::Serialize;

/// Something that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Where: `table x`, `row x`, `file` or `memory`; in a cluster `stream x` in place of tables.
    pub of: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Why it is there.
    pub why: &'static str,
    /// How long.
    pub kept: &'static str,
    /// What it lets one infer.
    pub tells: &'static str,
}

impl Field {
    /// It stands in the servers of a cluster.
    pub fn is_shared(&self) -> bool {
        self.of.starts_with("stream ")
    }

    /// It stands in a data folder whose relay shares nothing.
    pub fn is_alone(&self) -> bool {
        let store = ["relay.db", "mailboxes", "blobs/"];
        self.of.starts_with("table ")
            || self.of.starts_with("segment ")
            || store.iter().any(|name| self.name.starts_with(name))
    }
}

/// All of them, in the order of `fields.md`.
pub fn fields() -> Vec<Field> {
    include_str!("fields.md").lines().filter(|line| line.starts_with("| ")).skip(1).filter_map(field).collect()
}

fn field(line: &'static str) -> Option<Field> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let mut next = || cells.next();
    Some(Field { of: next()?, name: next()?, what: next()?, why: next()?, kept: next()?, tells: next()? })
}
