//! A consistent copy of a store that is in use, and what makes a copy a store of its own.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{OpenError, schema};
use crate::store::segments::Series;

/// Pages that are copied at once, between two looks at the progress.
const STEP: i32 = 512;
/// For another one that writes the file's header just now.
const BUSY: Duration = Duration::from_secs(5);

/// Copies the store of this file, as it is when the copy begins, into a file that is not there yet. A relay may go on
/// writing meanwhile: what it accepted before is in the copy. `progress`: pages done, pages in all.
///
/// # Errors
/// See [`OpenError`].
pub fn copy(store: &Path, into: &Path, mut progress: impl FnMut(u64, u64)) -> Result<(), OpenError> {
    let from = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    from.busy_timeout(BUSY)?;
    if version(&from)? > schema::version() {
        return Err(OpenError::Newer);
    }
    super::private(into)?;
    let mut to = Connection::open(into)?;
    // One transaction that reads: the copy is of one moment, and never begins anew because somebody writes.
    let moment = from.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM store", [], |_| Ok(()))?;
    {
        let backup = Backup::new(&from, &mut to)?;
        while backup.step(STEP)? != StepResult::Done {
            let pages = backup.progress();
            let all = u64::try_from(pages.pagecount).unwrap_or_default();
            progress(all.saturating_sub(u64::try_from(pages.remaining).unwrap_or_default()), all);
        }
    }
    drop(moment);
    // Alone, without a log beside it.
    to.pragma_update(None, "journal_mode", "DELETE")?;
    to.close().map_err(|(_, error)| error)?;
    std::fs::File::open(into)?.sync_all()?;
    Ok(())
}

/// Checks a copy and makes it a store of its own: with a new id, so that clients send again what it may lack, and
/// without one-time prekeys, of which it can't know which were given out since. [RELAY-20]
///
/// # Errors
/// See [`OpenError`]; [`OpenError::Schema`] where it is damaged.
pub fn renew(copy: &Path) -> Result<(), OpenError> {
    let mut connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let version = version(&connection)?;
    if version > schema::version() {
        return Err(OpenError::Newer);
    }
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" || version == 0 {
        return Err(OpenError::Schema(format!("the store in the backup is damaged: {state}")));
    }
    let transaction = connection.transaction()?;
    let id: [u8; 16] = rand::random();
    transaction.execute("UPDATE store SET id = ?1", [id])?;
    transaction.execute("DELETE FROM cell WHERE tbl IN ('prekeys', 'prekey_page')", [])?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    std::fs::File::open(copy)?.sync_all()?;
    Ok(())
}

/// Which segments belong to a copy, and how many of its commits belong to groups of them.
///
/// # Errors
/// See [`OpenError`].
pub(crate) fn groups(copy: &Path) -> Result<(Series, u64), OpenError> {
    let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let row = connection.query_row("SELECT series, groups FROM store", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((row.0, super::number(row.1)))
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map(|version| version as usize)
}
