//! Words of all messages: found in pages, which stay in memory as long as somebody searches.

use std::collections::BTreeMap;

use rusqlite::params;

use super::messages::Line;
use super::pages::{Page, folded, row_of};
use super::rows::{Rows, Stored};

/// Most bytes of pages that stay in memory; those beyond are opened for each search.
const ROOM: usize = 48 * 1024 * 1024;

/// Remembers, in memory, which pages are not what they were. Part of each transaction, like all else.
const WATCH: &str = "
CREATE TEMP TABLE touched (page INTEGER PRIMARY KEY);
CREATE TEMP TRIGGER message_new AFTER INSERT ON main.message
    BEGIN INSERT OR IGNORE INTO touched (page) VALUES (new.id >> 8); END;
CREATE TEMP TRIGGER message_written AFTER UPDATE OF row ON main.message
    BEGIN INSERT OR IGNORE INTO touched (page) VALUES (new.id >> 8); END;
CREATE TEMP TRIGGER message_gone AFTER DELETE ON main.message
    BEGIN INSERT OR IGNORE INTO touched (page) VALUES (old.id >> 8); END;
";
const UNWATCH: &str = "
DROP TRIGGER IF EXISTS temp.message_new;
DROP TRIGGER IF EXISTS temp.message_written;
DROP TRIGGER IF EXISTS temp.message_gone;
DROP TABLE IF EXISTS temp.touched;
";

/// Pages that a search has opened.
pub(crate) struct Index {
    pages: BTreeMap<i64, Page>,
    bytes: usize,
    room: usize,
}

impl Index {
    /// Keeps a page; one for which there is no room comes back.
    fn keep(&mut self, number: i64, page: Page) -> Option<Page> {
        let bytes = self.bytes + page.bytes();
        if bytes > self.room {
            return Some(page);
        }
        self.bytes = bytes;
        self.pages.insert(number, page);
        None
    }

    fn forget(&mut self, number: i64) {
        if let Some(page) = self.pages.remove(&number) {
            self.bytes -= page.bytes();
        }
    }
}

/// What is looked for.
pub(crate) struct Question<'a> {
    /// All of them have to stand in a message, whole or as a part, in whichever order.
    pub(crate) words: &'a str,
    /// In this conversation alone.
    pub(crate) with: Option<&'a str>,
    /// Most lines.
    pub(crate) limit: usize,
}

impl Rows {
    /// An index without pages, which from now on hears of every line that changes.
    pub(crate) fn begin_index(&self) -> Stored<Index> {
        self.drop_index()?;
        self.connection().execute_batch(WATCH)?;
        Ok(Index { pages: BTreeMap::new(), bytes: 0, room: ROOM })
    }

    /// Nobody searches any more.
    pub(crate) fn drop_index(&self) -> Stored<()> {
        Ok(self.connection().execute_batch(UNWATCH)?)
    }

    /// Forgets pages whose lines have changed since the last search.
    fn catch_up(&self, index: &mut Index) -> Stored<()> {
        let mut touched = self.connection().prepare_cached("SELECT page FROM touched")?;
        let touched: Vec<i64> = touched.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for number in &touched {
            index.forget(*number);
        }
        if !touched.is_empty() {
            self.connection().execute_batch("DELETE FROM touched")?;
        }
        Ok(())
    }

    /// Lines that answer a question and are wanted, the newest first.
    pub(crate) fn search(
        &self,
        index: &mut Index,
        question: &Question,
        wanted: impl Fn(&Line) -> bool,
    ) -> Stored<Vec<Line>> {
        let mut words: Vec<String> = folded(question.words).split_whitespace().map(str::to_owned).collect();
        // The longest is the rarest, most of the time.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        self.catch_up(index)?;
        let mut lines = Vec::new();
        let Some(newest) = self.newest_page()? else { return Ok(lines) };
        for number in (0..=newest).rev() {
            let mut opened = None;
            if !index.pages.contains_key(&number) {
                opened = index.keep(number, self.page(number)?);
            }
            let Some(page) = opened.as_ref().or_else(|| index.pages.get(&number)) else { continue };
            for row in page.find(&words, question.with).into_iter().rev() {
                if lines.len() >= question.limit {
                    return Ok(lines);
                }
                lines.extend(self.line_in_row(row_of(number, row))?.filter(&wanted));
            }
        }
        Ok(lines)
    }

    fn line_in_row(&self, row: i64) -> Stored<Option<Line>> {
        let mut statement = self.connection().prepare_cached("SELECT key, row FROM message WHERE id = ?1")?;
        let mut rows = statement.query(params![row])?;
        match rows.next()? {
            Some(row) => self.line_of_row(&row.get::<_, [u8; 32]>(0)?, &row.get::<_, Vec<u8>>(1)?).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
