//! Moves what waits in mailboxes out of the tables of an older version.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::{MAILBOX, OpenError, number};
use crate::store::segments::{self, Failed, Journal, SEGMENT};

/// Entries, or ids of trimmed ones, that are written together.
const TOGETHER: usize = 512;

/// Writes all of them into segments. The tables keep them until the step that follows: broken off, it begins anew.
pub(super) fn into_segments(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let folder = segments::folder(file);
    let new = folder.with_extension("new");
    if new.exists() {
        std::fs::remove_dir_all(&new)?;
    }
    let series = connection.query_row("SELECT id FROM store", [], |row| row.get(0))?;
    let mut journal = segments::open(&new, series, 0, SEGMENT, |_, _| ())?;
    let entries = "SELECT key, place.seq, place.id, bytes FROM place JOIN log ON log.id = log JOIN entry USING (seq)
                   WHERE kind = ?1 ORDER BY place.seq";
    write(connection, entries, &mut journal, |journal, row| {
        let (key, bytes) = (row.get_ref(0)?.as_blob()?, row.get_ref(3)?.as_blob()?);
        journal.entry(key, number(row.get(1)?), row.get(2)?, bytes);
        Ok(())
    })?;
    let trimmed =
        "SELECT key, at, trimmed.id, seq FROM trimmed JOIN log ON log.id = log WHERE kind = ?1 ORDER BY number";
    write(connection, trimmed, &mut journal, |journal, row| {
        let gone = vec![(row.get(2)?, number(row.get(3)?))];
        journal.trim(row.get_ref(0)?.as_blob()?, 0, number(row.get(1)?), gone);
        Ok(())
    })?;
    drop(journal);
    segments::put_aside(&folder)?;
    std::fs::rename(&new, &folder)?;
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn write(
    connection: &Connection,
    query: &str,
    journal: &mut Journal,
    mut each: impl FnMut(&mut Journal, &Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), OpenError> {
    let mut query = connection.prepare(query)?;
    let mut rows = query.query([MAILBOX])?;
    let failed = |(Failed::Full(error) | Failed::Unknown(error))| OpenError::Io(error);
    loop {
        journal.begin().map_err(failed)?;
        for _ in 0..TOGETHER {
            let Some(row) = rows.next()? else { break };
            each(journal, row)?;
        }
        if !journal.holds() {
            return Ok(());
        }
        journal.commit(None).map_err(failed)?;
    }
}
