//! Pages: what 256 neighbouring rows of history say, in one row of its own, so that a search opens some hundred rows
//! where history has a hundred thousand.
//!
//! A page is sealed like every other row, and says nothing that its lines do not. Whatever adds, writes or deletes one
//! of these drops the page in the same transaction; triggers of the schema do it, so that nobody who writes a line
//! can forget it. So no page has what was deleted. One that is missing is made anew when there is time; until then
//! its lines are read one by one.
//!
//! ```text
//! page   conversations u16, each short | lines u16, each row u8, conversation u8, length u32 | text
//! ```
//! Rows and conversations are counted within the page. The text is that of all lines, in lower case, a line break after
//! each. Who changes the layout, or what lower case is, empties the table in a step of the schema.

use rusqlite::{OptionalExtension as _, params};
use sealpost_crypto::Zeroizing;
use sealpost_spec::wire::DecodeError;
use sealpost_spec::wire::layout::{Reader, Writer};

use super::messages::Line;
use super::rows::{Rows, StoreError, Stored, Table};
use crate::api::Kind;

const PAGE: Table = Table("page");
/// Rows in a page, as a power of two: the triggers of the schema have the same number.
const SHIFT: u32 = 8;

/// One line of a page.
struct Entry {
    row: u8,
    conversation: u8,
    /// Where its text ends; it begins behind the line break of the one before.
    end: u32,
}

impl Entry {
    const fn end(&self) -> usize {
        self.end as usize
    }
}

/// What the lines of 256 neighbouring rows say.
#[derive(Default)]
pub(super) struct Page {
    conversations: Vec<String>,
    lines: Vec<Entry>,
    /// Empty where the text stands in an index.
    text: Zeroizing<String>,
}

/// As it is searched: case does not matter.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Whether a line is found by what it says.
fn says(line: &Line) -> bool {
    matches!(line.kind, Kind::Text | Kind::Reply) && !line.text.is_empty()
}

/// The page that has this row, and which of its rows it is.
fn page_of(row: i64) -> (i64, u8) {
    (row >> SHIFT, (row & 0xff) as u8)
}

/// The row of history that is this one of a page.
pub(super) fn row_of(number: i64, row: u8) -> i64 {
    (number << SHIFT) + i64::from(row)
}

impl Page {
    pub(super) fn add(&mut self, row: u8, conversation: &str, said: &str) {
        let known = self.conversations.iter().position(|known| known == conversation);
        let conversation = known.unwrap_or_else(|| {
            self.conversations.push(conversation.to_owned());
            self.conversations.len() - 1
        });
        let conversation = u8::try_from(conversation).expect("a page has no more conversations than rows");
        self.text.push_str(&folded(said));
        let end = u32::try_from(self.text.len()).expect("256 messages are not so long");
        self.lines.push(Entry { row, conversation, end });
        // No word is found across two messages.
        self.text.push('\n');
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text stands somewhere else from now on.
    pub(super) fn without_text(self) -> Self {
        Self { text: Zeroizing::default(), ..self }
    }

    /// Lines that have all the words, in this conversation where one is given; the oldest first. `text`: of the page, wherever it
    /// stands.
    pub(super) fn find(&self, text: &str, words: &[String], with: Option<&str>) -> Vec<u8> {
        let Some((first, others)) = words.split_first() else { return Vec::new() };
        let with = match with.map(|with| self.conversations.iter().position(|known| known == with)) {
            Some(None) => return Vec::new(),
            Some(with) => with,
            None => None,
        };
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(first)) {
            let at = from + at;
            let line = self.lines.partition_point(|line| line.end() <= at);
            let start =
                line.checked_sub(1).and_then(|before| self.lines.get(before)).map_or(0, |before| before.end() + 1);
            let Some(line @ Entry { row, conversation, .. }) = self.lines.get(line) else { break };
            let end = line.end();
            let said = text.get(start..end).unwrap_or_default();
            let here = with.is_none_or(|with| with == usize::from(*conversation));
            if here && at + first.len() <= end && others.iter().all(|word| said.contains(word)) {
                found.push(*row);
            }
            from = end + 1;
        }
        found
    }

    fn layout(&self) -> Zeroizing<Vec<u8>> {
        let names: usize = self.conversations.iter().map(|name| name.len() + 1).sum();
        let mut page = Writer::with_room(4 + names + self.lines.len() * 6 + self.text.len());
        page = page.u16(self.conversations.len() as u16);
        for name in &self.conversations {
            page = page.short(name.as_bytes());
        }
        page = page.u16(self.lines.len() as u16);
        let mut start = 0;
        for Entry { row, conversation, end } in &self.lines {
            page = page.u8(*row).u8(*conversation).u32(end - start);
            start = end + 1;
        }
        Zeroizing::new(page.fixed(self.text.as_bytes()).done())
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut page = Self::default();
        for _ in 0..reader.u16()? {
            page.conversations.push(str::from_utf8(reader.short()?).map_err(|_| DecodeError)?.to_owned());
        }
        let mut begin = 0_u32;
        for _ in 0..reader.u16()? {
            let (row, conversation, length) = (reader.u8()?, reader.u8()?, reader.u32()?);
            let end = begin.checked_add(length).ok_or(DecodeError)?;
            page.lines.push(Entry { row, conversation, end });
            begin = end.checked_add(1).ok_or(DecodeError)?;
        }
        let text = str::from_utf8(reader.rest()).map_err(|_| DecodeError)?;
        if text.len() != begin as usize {
            return Err(DecodeError);
        }
        page.text = Zeroizing::new(text.to_owned());
        Ok(page)
    }
}

impl Rows {
    /// The number of the newest page, whether it is kept or not.
    pub(super) fn newest_page(&self) -> Stored<Option<i64>> {
        let mut newest = self.connection().prepare_cached("SELECT max(id) FROM message")?;
        let row: Option<i64> = newest.query_row([], |row| row.get(0))?;
        Ok(row.map(|row| page_of(row).0))
    }

    /// What these 256 rows say, from their page where it is kept.
    pub(super) fn page(&self, number: i64) -> Stored<Page> {
        let mut kept = self.connection().prepare_cached("SELECT row FROM page WHERE id = ?1")?;
        let kept: Option<Vec<u8>> = kept.query_row(params![number], |row| row.get(0)).optional()?;
        match kept {
            Some(row) => {
                let bytes = self.open(PAGE, &self.blind(PAGE, &number.to_le_bytes()), &row)?;
                Page::read(&bytes).map_err(|_| StoreError::Sealed)
            }
            None => self.read_page(number),
        }
    }

    fn read_page(&self, number: i64) -> Stored<Page> {
        let mut page = Page::default();
        let mut statement = self
            .connection()
            .prepare_cached("SELECT id, key, row FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        let mut rows = statement.query(params![row_of(number, 0), row_of(number + 1, 0)])?;
        while let Some(row) = rows.next()? {
            let line = self.line_of_row(&row.get::<_, [u8; 32]>(1)?, &row.get::<_, Vec<u8>>(2)?)?;
            if says(&line) {
                page.add(page_of(row.get(0)?).1, &line.conversation, &line.text);
            }
        }
        Ok(page)
    }

    /// How many pages have all the rows that they will have: the newest one is not kept.
    fn full_pages(&self) -> Stored<i64> {
        Ok(self.newest_page()?.unwrap_or(0))
    }

    /// Whether a page is not kept that could be.
    pub(crate) fn lacks_pages(&self) -> Stored<bool> {
        let full = self.full_pages()?;
        let mut kept = self.connection().prepare_cached("SELECT count(*) FROM page WHERE id < ?1")?;
        Ok(kept.query_row(params![full], |row| row.get::<_, i64>(0))? < full)
    }

    /// Makes pages that are not kept, at most so many, the newest first. Whether more are wanted.
    pub(crate) fn make_pages(&self, most: usize) -> Stored<bool> {
        let full = self.full_pages()?;
        let mut kept = self.connection().prepare_cached("SELECT id FROM page WHERE id < ?1 ORDER BY id")?;
        let kept: Vec<i64> = kept.query_map(params![full], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut missing = (0..full).rev().filter(|number| kept.binary_search(number).is_err());
        for number in missing.by_ref().take(most) {
            let key = self.blind(PAGE, &number.to_le_bytes());
            let row = self.seal_bytes(PAGE, &key, &self.read_page(number)?.layout());
            let mut keep = self.connection().prepare_cached("INSERT INTO page (id, key, row) VALUES (?1, ?2, ?3)")?;
            keep.execute(params![number, key, row])?;
        }
        Ok(missing.next().is_some())
    }
}

#[cfg(test)]
pub(super) mod tests;
