//! Words of all messages, in memory alone: on the disk every row is sealed, and nothing of this is written there.

use rusqlite::params;

use super::messages::Line;
use super::rows::{Rows, Stored};
use crate::api::Kind;

/// Remembers, in memory, which rows have changed since the index was made. Part of each transaction, like all else.
const WATCH: &str = "
CREATE TEMP TABLE IF NOT EXISTS touched (id INTEGER PRIMARY KEY);
CREATE TEMP TRIGGER IF NOT EXISTS message_new AFTER INSERT ON main.message
    BEGIN INSERT OR IGNORE INTO touched (id) VALUES (new.id); END;
CREATE TEMP TRIGGER IF NOT EXISTS message_changed AFTER UPDATE ON main.message
    BEGIN INSERT OR IGNORE INTO touched (id) VALUES (new.id); END;
CREATE TEMP TRIGGER IF NOT EXISTS message_gone AFTER DELETE ON main.message
    BEGIN INSERT OR IGNORE INTO touched (id) VALUES (old.id); END;
";
const UNWATCH: &str = "
DROP TRIGGER IF EXISTS temp.message_new;
DROP TRIGGER IF EXISTS temp.message_changed;
DROP TRIGGER IF EXISTS temp.message_gone;
DROP TABLE IF EXISTS temp.touched;
";

/// The text of a row of the index, from `start` to `end`.
struct Entry {
    row: i64,
    start: usize,
    end: usize,
}

/// What all messages say, in lower case, one after the other.
#[derive(Default)]
pub(crate) struct Index {
    text: String,
    /// In the order of their text.
    entries: Vec<Entry>,
    /// Bytes of text whose row has another one now, or is gone.
    dead: usize,
}

/// As it is searched: case does not matter.
fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Whether a line is found by what it says.
fn says(line: &Line) -> bool {
    matches!(line.kind, Kind::Text | Kind::Reply) && !line.text.is_empty()
}

impl Index {
    fn add(&mut self, row: i64, text: &str) {
        let start = self.text.len();
        self.text.push_str(&folded(text));
        self.entries.push(Entry { row, start, end: self.text.len() });
        // No word is found across two messages.
        self.text.push('\n');
    }

    /// Rows whose text has all the words, the newest first.
    fn find(&self, words: &[String]) -> Vec<i64> {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        // The longest is the rarest, most of the time.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let Some((first, others)) = words.split_first() else { return Vec::new() };
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = self.text.get(from..).and_then(|rest| rest.find(first)) {
            let at = from + at;
            let Some(entry) = self.entries.get(self.entries.partition_point(|entry| entry.end <= at)) else { break };
            let text = self.text.get(entry.start..entry.end).unwrap_or_default();
            if entry.row > 0 && at + first.len() <= entry.end && others.iter().all(|word| text.contains(word)) {
                found.push(entry.row);
            }
            from = entry.end + 1;
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    fn forget(&mut self, rows: &[i64]) {
        for entry in &mut self.entries {
            if rows.binary_search(&entry.row).is_ok() {
                self.dead += entry.end - entry.start;
                entry.row = 0;
            }
        }
    }
}

impl Rows {
    /// Makes the index, or brings it up to date.
    pub(crate) fn index(&self, index: Option<Index>) -> Stored<Index> {
        match index {
            Some(index) if index.dead * 2 <= index.text.len() => self.catch_up(index),
            _ => self.make_index(),
        }
    }

    fn make_index(&self) -> Stored<Index> {
        self.connection().execute_batch(UNWATCH)?;
        self.connection().execute_batch(WATCH)?;
        let mut index = Index::default();
        let mut statement = self.connection().prepare_cached("SELECT id, key, row FROM message ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line = self.line_of_row(&row.get::<_, [u8; 32]>(1)?, &row.get::<_, Vec<u8>>(2)?)?;
            if says(&line) {
                index.add(row.get(0)?, &line.text);
            }
        }
        Ok(index)
    }

    fn catch_up(&self, mut index: Index) -> Stored<Index> {
        let mut touched = self.connection().prepare_cached("SELECT id FROM touched ORDER BY id")?;
        let touched: Vec<i64> = touched.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if touched.is_empty() {
            return Ok(index);
        }
        index.forget(&touched);
        for row in touched {
            if let Some(line) = self.line_in_row(row)?
                && says(&line)
            {
                index.add(row, &line.text);
            }
        }
        self.connection().execute_batch("DELETE FROM touched")?;
        Ok(index)
    }

    /// Nobody searches any more.
    pub(crate) fn drop_index(&self) -> Stored<()> {
        Ok(self.connection().execute_batch(UNWATCH)?)
    }

    /// Lines that have all these words and are wanted, the newest first.
    pub(crate) fn search(
        &self,
        index: &Index,
        words: &str,
        limit: usize,
        wanted: impl Fn(&Line) -> bool,
    ) -> Stored<Vec<Line>> {
        let words: Vec<String> = folded(words).split_whitespace().map(str::to_owned).collect();
        let mut lines = Vec::new();
        for row in index.find(&words) {
            if lines.len() >= limit {
                break;
            }
            lines.extend(self.line_in_row(row)?.filter(&wanted));
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
mod tests {
    use super::Index;

    fn found(index: &Index, words: &[&str]) -> Vec<i64> {
        index.find(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    /// All words have to stand in one message, whole or as a part, in whichever order.
    #[test]
    fn all_words_stand_in_one_message() {
        let mut index = Index::default();
        index.add(1, "The quick Fox");
        index.add(2, "fox and hounds");
        index.add(3, "quick");
        index.add(4, "ÄRGER mit dem Fuchs");
        assert_eq!(found(&index, &["fox"]), [2, 1]);
        assert_eq!(found(&index, &["quick", "fox"]), [1]);
        assert_eq!(found(&index, &["ärger"]), [4]);
        assert_eq!(found(&index, &["hounds\nquick"]), [0; 0]);
        assert_eq!(found(&index, &[]), [0; 0]);
        index.forget(&[1, 3]);
        assert_eq!(found(&index, &["quick"]), [0; 0]);
        assert_eq!(found(&index, &["fox"]), [2]);
    }

    /// A hundred thousand messages are searched in a moment, also for what stands in each and for what stands in none.
    #[test]
    fn a_word_is_found_among_many() {
        let mut index = Index::default();
        for row in 1..=100_000 {
            index.add(row, &format!("message number {row} of a long friendship, with words as people write them"));
        }
        assert_eq!(found(&index, &["77777"]), [77_777]);
        assert_eq!(found(&index, &["friendship", "message"]).len(), 100_000);
        assert_eq!(found(&index, &["enmity"]), [0; 0]);
    }
}
