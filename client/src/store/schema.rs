//! Tables and how they came to be. A step is only ever added; the database counts those it has taken.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use crate::api::{Error, ErrorCode};

/// `key`: blinded lookup key. `row`: sealed. Rows without `place` stand in the order in which they came.
const FIRST: &str = "
CREATE TABLE setting (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE secret (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE prekey (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE replay (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE contact (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE peer (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE session (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE envelope (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE seen (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL,
    conversation BLOB NOT NULL, turn BLOB, place INTEGER NOT NULL) STRICT;
CREATE INDEX message_place ON message (conversation, place);
CREATE INDEX message_turn ON message (turn) WHERE turn IS NOT NULL;
CREATE TABLE fresh (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE expiry (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE content (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL,
    content BLOB NOT NULL) STRICT;
CREATE TABLE parcel (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL,
    message BLOB NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE room (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE author (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE first_author (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE post (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// What becomes of a message after it was said. `name`: blinded id of a line, whoever wrote it; filled in for older
/// lines when the profile is opened.
const CHANGES: &str = "
ALTER TABLE message ADD COLUMN name BLOB;
CREATE INDEX message_name ON message (name);
CREATE TABLE change (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE reaction (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL, target BLOB NOT NULL) STRICT;
CREATE INDEX reaction_target ON reaction (target);
CREATE TABLE conversation (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// What waits to be read: until then nothing of it is counted down, or told to its author.
const READING: &str = "
CREATE TABLE countdown (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE reading (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// Files that were sent or came.
const FILES: &str = "
CREATE TABLE file (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// Who decides in rooms, what one has noted of people, and what they say of themselves.
const PEOPLE: &str = "
CREATE TABLE rule (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE acquaintance (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE persona (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// What history says, a page of 256 rows each: see `pages`. Whatever becomes of a row takes the page that it is in along.
const PAGES: &str = "
CREATE TABLE page (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TRIGGER page_of_new AFTER INSERT ON message BEGIN DELETE FROM page WHERE id = new.id >> 8; END;
CREATE TRIGGER page_of_written AFTER UPDATE OF row ON message BEGIN DELETE FROM page WHERE id = new.id >> 8; END;
CREATE TRIGGER page_of_gone AFTER DELETE ON message BEGIN DELETE FROM page WHERE id = old.id >> 8; END;
";

/// What the account's other devices know, and what they are still to be told.
const DEVICES: &str = "
CREATE TABLE told (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
CREATE TABLE shared (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// What devices are to get that had no keys yet.
const LATE: &str = "
CREATE TABLE late (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// What is known of the posts of devices that their accounts have dropped.
const DROPPED: &str = "
CREATE TABLE dropped (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, row BLOB NOT NULL) STRICT;
";

/// How many steps there are.
const NEWEST: i64 = 9;

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Opens the database beside its holder, to read as it is in one moment.
pub(super) fn look(path: &Path) -> Result<Connection, Error> {
    let failed = |cause: String| {
        Error::new(ErrorCode::Locked, "the profile's database can't be read").because(cause).advise("sealpost doctor")
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|cause| failed(cause.to_string()))?;
    match version(&connection).map_err(|cause| failed(cause.to_string()))? {
        NEWEST => Ok(connection),
        _ => Err(failed("another version of this program holds the profile".to_owned())),
    }
}

/// Opens the database, makes it one of one's own where it is new, and brings it up to date.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let failed = |cause: String| {
        Error::new(ErrorCode::Locked, "the profile's database can't be opened").because(cause).advise("sealpost doctor")
    };
    // SQLite gives its journal the mode of the database: so this one has to exist, closed to others, before.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| failed(cause.to_string()))?;
    let mut connection = Connection::open(path).map_err(|cause| failed(cause.to_string()))?;
    let steps = [FIRST, CHANGES, READING, FILES, PEOPLE, PAGES, DEVICES, LATE, DROPPED].map(M::up);
    let steps = Migrations::new(steps.into());
    let version = version(&connection).map_err(|cause| failed(cause.to_string()))?;
    if version > NEWEST {
        return Err(Error::new(ErrorCode::Failed, "the profile was written by a newer version of this program")
            .because(format!("its schema has number {version}, this program knows {NEWEST}"))
            .advise("install the newer version again; nothing was changed"));
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;
             PRAGMA temp_store = MEMORY",
        )
        .map_err(|cause| failed(cause.to_string()))?;
    connection.set_prepared_statement_cache_capacity(128);
    steps.to_latest(&mut connection).map_err(|cause| failed(cause.to_string()))?;
    Ok(connection)
}
