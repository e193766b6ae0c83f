//! Words of all messages: found in pages, which stay in memory as long as somebody searches.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::params;

use super::messages::Line;
use super::pages::{Page, folded, row_of};
use super::rows::{Rows, Stored};

/// Most bytes of text that stay in memory; the pages beyond are opened for each search. So much is asked of the system in one piece,
/// which takes no memory before it is written to, and goes back as one piece: among other memory the pages would leave holes.
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
    /// Of all of them, one after the other; it never grows beyond its first capacity.
    texts: String,
    /// With where their text begins and ends.
    pages: BTreeMap<i64, (Page, Range<usize>)>,
    /// Bytes of text whose page has another one now, or is gone.
    dead: usize,
    room: usize,
}

impl Index {
    fn with_room(room: usize) -> Self {
        Self { texts: String::with_capacity(room), pages: BTreeMap::new(), dead: 0, room }
    }

    /// Keeps a page; one for which there is no room comes back.
    fn keep(&mut self, number: i64, page: Page) -> Option<Page> {
        let bytes = page.text().len();
        if self.texts.len() + bytes > self.room && self.dead * 2 > self.room {
            self.texts.clear();
            self.pages.clear();
            self.dead = 0;
        }
        let begin = self.texts.len();
        if begin + bytes > self.room {
            return Some(page);
        }
        self.texts.push_str(page.text());
        self.pages.insert(number, (page.without_text(), begin..begin + bytes));
        None
    }

    fn page(&self, number: i64) -> Option<(&Page, &str)> {
        let (page, at) = self.pages.get(&number)?;
        Some((page, self.texts.get(at.clone())?))
    }

    fn forget(&mut self, number: i64) {
        if let Some((_, at)) = self.pages.remove(&number) {
            self.dead += at.len();
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
        Ok(Index::with_room(ROOM))
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
            if index.page(number).is_none() {
                opened = index.keep(number, self.page(number)?);
            }
            let opened = opened.as_ref().map(|page| (page, page.text()));
            let Some((page, text)) = opened.or_else(|| index.page(number)) else { continue };
            for row in page.find(text, &words, question.with).into_iter().rev() {
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
