//! The tables, and how those of an older version become these.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, MAIN_DB, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};

use super::{OpenError, moved};

/// The schema, one step for each version of it; `user_version` counts the steps taken. A step never changes once it is
/// released.
const SCHEMA: &[M<'static>] = &[
    M::up(
        "CREATE TABLE store (
             id   BLOB NOT NULL,    -- 16 bytes, random
             rev  INTEGER NOT NULL  -- the highest revision that was given to a cell
         ) STRICT;
         CREATE TABLE log (
             id     INTEGER PRIMARY KEY,
             kind   TEXT NOT NULL,
             key    BLOB NOT NULL,
             count  INTEGER NOT NULL,  -- entries, and their bytes
             bytes  INTEGER NOT NULL,
             UNIQUE (kind, key)
         ) STRICT;
         CREATE TABLE entry (
             seq    INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
             log    INTEGER NOT NULL REFERENCES log (id),
             id     BLOB NOT NULL,
             bytes  BLOB NOT NULL,
             UNIQUE (log, id)
         ) STRICT;
         CREATE INDEX entry_of_log ON entry (log, seq);
         CREATE TABLE trimmed (
             log  INTEGER NOT NULL REFERENCES log (id),
             id   BLOB NOT NULL,
             seq  INTEGER NOT NULL,
             at   INTEGER NOT NULL,  -- Unix time in seconds
             PRIMARY KEY (log, id)
         ) STRICT, WITHOUT ROWID;
         CREATE INDEX trimmed_at ON trimmed (at);
         CREATE TABLE cell (
             tbl    TEXT NOT NULL,
             key    BLOB NOT NULL,
             rev    INTEGER NOT NULL,
             value  BLOB NOT NULL,
             UNIQUE (tbl, key)
         ) STRICT;
         CREATE TABLE part (
             blob   BLOB NOT NULL,
             start  INTEGER NOT NULL,
             bytes  BLOB NOT NULL,
             UNIQUE (blob, start)
         ) STRICT;",
    ),
    // Logs without an index on the disk: what an append writes is all at the end of two tables.
    M::up(
        "ALTER TABLE store ADD COLUMN seq INTEGER NOT NULL DEFAULT 1;  -- no entry has this seq or a higher one yet
         UPDATE store SET seq = 1 + max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'entry'), 0),
             coalesce((SELECT max(seq) FROM entry), 0), coalesce((SELECT max(seq) FROM trimmed), 0));

         CREATE TABLE new_log (
             id    INTEGER PRIMARY KEY,
             kind  TEXT NOT NULL,
             key   BLOB NOT NULL
         ) STRICT;
         INSERT INTO new_log SELECT id, kind, key FROM log ORDER BY id;

         CREATE TABLE place (
             seq   INTEGER PRIMARY KEY,  -- of an entry, in all logs
             log   INTEGER NOT NULL,
             id    BLOB NOT NULL,        -- 16 bytes, by which a repetition is told
             size  INTEGER NOT NULL      -- bytes
         ) STRICT;
         INSERT INTO place SELECT seq, log, id, length(bytes) FROM entry ORDER BY seq;

         CREATE TABLE new_entry (
             seq    INTEGER PRIMARY KEY,
             bytes  BLOB NOT NULL
         ) STRICT;
         INSERT INTO new_entry SELECT seq, bytes FROM entry ORDER BY seq;

         CREATE TABLE new_trimmed (
             number  INTEGER PRIMARY KEY,
             log     INTEGER NOT NULL,
             id      BLOB NOT NULL,
             seq     INTEGER NOT NULL,
             at      INTEGER NOT NULL  -- Unix time in seconds
         ) STRICT;
         INSERT INTO new_trimmed (log, id, seq, at) SELECT log, id, seq, at FROM trimmed ORDER BY at;

         DROP TABLE entry;
         DROP TABLE trimmed;
         DROP TABLE log;
         ALTER TABLE new_log RENAME TO log;
         ALTER TABLE new_entry RENAME TO entry;
         ALTER TABLE new_trimmed RENAME TO trimmed;",
    ),
    // Blobs are files; nothing was ever written here.
    M::up("DROP TABLE part"),
    // The tables are the same. An older program would not look for what devices presented where it stands now, and take
    // a profile that was copied back for the newest.
    M::up("-- rows of their own for what devices present at their logins"),
    // One-time prekeys stand on pages. Devices bring new ones when they come; until then the last resort serves.
    M::up("DELETE FROM cell WHERE tbl = 'prekey'"),
    // What waits in mailboxes stands in segments, where it is by now: see `moved`.
    M::up(
        "ALTER TABLE store ADD COLUMN series BLOB NOT NULL DEFAULT x'';  -- 16 bytes: whose segments are its
         UPDATE store SET series = id;
         ALTER TABLE store ADD COLUMN groups INTEGER NOT NULL DEFAULT 0;  -- commits that belong to groups in segments

         CREATE TABLE new_place (
             seq   INTEGER PRIMARY KEY,
             log   INTEGER NOT NULL,
             id    BLOB NOT NULL,
             size  INTEGER NOT NULL
         ) STRICT;
         INSERT INTO new_place SELECT place.* FROM place JOIN log ON log.id = log AND kind <> 'mailbox' ORDER BY seq;

         CREATE TABLE new_entry (
             seq    INTEGER PRIMARY KEY,
             bytes  BLOB NOT NULL
         ) STRICT;
         INSERT INTO new_entry SELECT entry.* FROM new_place JOIN entry USING (seq) ORDER BY seq;

         DELETE FROM trimmed WHERE log IN (SELECT id FROM log WHERE kind = 'mailbox');
         DELETE FROM log WHERE kind = 'mailbox';
         DROP TABLE entry;
         DROP TABLE place;
         ALTER TABLE new_entry RENAME TO entry;
         ALTER TABLE new_place RENAME TO place;",
    ),
];

/// As of this version mailboxes stand in segments.
const IN_SEGMENTS: usize = 6;

/// The version that this program writes.
pub(super) fn version() -> usize {
    SCHEMA.len()
}

/// Brings a file to this version, with a copy of it beside it first where it has an older one.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), OpenError> {
    use rusqlite_migration::{Error, MigrationDefinitionError};
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = version as usize;
    if (1..SCHEMA.len()).contains(&version) {
        copy(connection, file, version)?;
    }
    let failed = |error| match error {
        Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => OpenError::Newer,
        other => OpenError::Schema(other.to_string()),
    };
    let steps = Migrations::from_slice(SCHEMA);
    let moves = (1..IN_SEGMENTS).contains(&version);
    if moves {
        steps.to_version(connection, IN_SEGMENTS - 1).map_err(failed)?;
        moved::into_segments(connection, file)?;
    }
    steps.to_latest(connection).map_err(failed)?;
    if moves {
        // Most of the file is room that nobody needs any more.
        connection.execute_batch("VACUUM").unwrap_or_else(|error| {
            tracing::warn!("{} stays as large as it was: {error}", file.display());
        });
    }
    let known: Option<i64> = connection.query_row("SELECT 1 FROM store", [], |row| row.get(0)).optional()?;
    if known.is_none() {
        // [STORE-10]
        let id: [u8; 16] = rand::random();
        connection.execute("INSERT INTO store (id, rev, series) VALUES (?1, 0, ?1)", params![id])?;
    }
    Ok(())
}

/// `relay.db.before-2`: what there was before version 2, durable, for whoever has to go back.
fn copy(connection: &Connection, file: &Path, version: usize) -> Result<(), OpenError> {
    let size = std::fs::metadata(file)?.len() + log_of(file).metadata().map_or(0, |log| log.len());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free = rustix::fs::statvfs(folder).map_err(std::io::Error::from)?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    // The copy, the new tables before the old ones go, and the log that brings them there.
    let needed = size.saturating_mul(4);
    if free < needed {
        return Err(OpenError::Space { needed: mebibytes(needed), free: mebibytes(free) });
    }
    let kept = beside(file, &format!(".before-{}", version + 1));
    let new = beside(file, ".copying");
    tracing::info!(
        "the store is brought from version {version} to {}; it is kept as it was in {}",
        SCHEMA.len(),
        kept.display()
    );
    let _ = std::fs::remove_file(&new);
    super::private(&new)?;
    connection.backup(MAIN_DB, &new, None)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(&new, &kept)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

fn log_of(file: &Path) -> PathBuf {
    beside(file, "-wal")
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
pub(super) fn first_version() -> Migrations<'static> {
    Migrations::from_slice(&SCHEMA[..1])
}
