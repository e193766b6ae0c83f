//! Messages and posts as history has them, what `recv` has not given, and what expires.

use rusqlite::{OptionalExtension as _, params};
use sealpost_spec::account::{AccountKey, DeviceId, Name};
use sealpost_spec::message::ContentId;
use sealpost_spec::room::{PostHash, RoomName};
use serde::{Deserialize, Serialize};

use super::rows::{Rows, Stored, Table};
use crate::api::{Kind, State};

const MESSAGE: Table = Table("message");
const FRESH: Table = Table("fresh");
const EXPIRY: Table = Table("expiry");
const COUNTDOWN: Table = Table("countdown");
const SEEN: Table = Table("seen");
const TURN: Table = Table("message turn");
const CONVERSATION: Table = Table("message conversation");
const NAME: Table = Table("message name");

/// Most lines that are looked at for one id: ids are random, and who makes two alike gains nothing.
const MAX_NAMESAKES: u32 = 16;

/// Most lines that are looked at for the place of one that came late.
const MAX_LATE: u32 = 256;
/// Between two neighbours: a late message finds room there.
const SPACING: i64 = 1 << 32;

/// A line of history. Contents and posts have ids of the same 16 random bytes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: ContentId,
    /// `@bob`, `@bob~1` where archived, or `#room`.
    pub(crate) conversation: String,
    pub(crate) from: Name,
    pub(crate) account: AccountKey,
    pub(crate) device: DeviceId,
    /// The author's number; 0 where lines have none.
    pub(crate) number: u64,
    /// How many lines of the same device are missing right before it.
    pub(crate) missing: u64,
    /// Unix milliseconds by the author's clock.
    pub(crate) sent_at: u64,
    pub(crate) text: String,
    pub(crate) kind: Kind,
    pub(crate) target: Option<ContentId>,
    pub(crate) state: State,
    /// Of a post: its hash; edits and deletions name it. All zero where the line is no post.
    pub(crate) hash: PostHash,
    /// Of a post: the hash of its author's post before it.
    pub(crate) previous: PostHash,
    /// The author's edits so far; the newest one's text is shown.
    pub(crate) edited: bool,
}

impl Line {
    /// What is stored of it: the text of an edit stands in its target alone, and goes with it.
    pub(crate) fn stored(&self) -> Self {
        let text = if self.kind == Kind::Edit { String::new() } else { self.text.clone() };
        Self { text, ..self.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct Fresh {
    conversation: String,
    account: AccountKey,
    id: ContentId,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Expiry {
    pub(crate) at: u64,
    pub(crate) account: AccountKey,
    pub(crate) id: ContentId,
}

/// What names a line: its author's key and its id, so that nobody takes another's id.
pub(super) fn line_key(account: &AccountKey, id: &ContentId) -> Vec<u8> {
    [&account.0[..], &id.0].concat()
}

/// Where a line goes.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// After everything.
    Last,
    /// Right before the line with this number of the same author and conversation.
    Before(u64),
    /// Before what was sent later, of the last lines; Unix milliseconds.
    At(u64),
}

impl Rows {
    fn turn(&self, conversation: &str, account: &AccountKey, device: DeviceId, number: u64) -> [u8; 32] {
        let key = [conversation.as_bytes(), &[0], &account.0, &device.0.to_le_bytes(), &number.to_le_bytes()];
        self.blind(TURN, &key.concat())
    }

    fn turn_of(&self, line: &Line, number: u64) -> [u8; 32] {
        self.turn(&line.conversation, &line.account, line.device, number)
    }

    fn find(&self, turn: &[u8; 32]) -> Stored<Option<Line>> {
        let found: Option<([u8; 32], Vec<u8>)> = self
            .connection()
            .prepare_cached("SELECT key, row FROM message WHERE turn = ?1")?
            .query_row(params![turn], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found.map(|(key, row)| self.unseal(MESSAGE, &key, &row)).transpose()
    }

    /// Stores a new line.
    pub(crate) fn add_line(&self, line: &Line, place: Place) -> Stored<()> {
        let conversation = self.blind(CONVERSATION, line.conversation.as_bytes());
        let place = match place {
            Place::Before(number) => self.place_before(&conversation, &self.turn_of(line, number))?,
            Place::At(time) => self.place_at(&line.conversation, time)?,
            Place::Last => None,
        };
        let place = match place {
            Some(place) => place,
            None => {
                let mut last =
                    self.connection().prepare_cached("SELECT max(place) FROM message WHERE conversation = ?1")?;
                last.query_row(params![conversation], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0) + SPACING
            }
        };
        self.restore_line(line, place)
    }

    /// Stores a line at its place.
    pub(super) fn restore_line(&self, line: &Line, place: i64) -> Stored<()> {
        let conversation = self.blind(CONVERSATION, line.conversation.as_bytes());
        let key = self.blind(MESSAGE, &line_key(&line.account, &line.id));
        let row = self.seal(MESSAGE, &key, line)?;
        let turn = (line.number > 0).then(|| self.turn_of(line, line.number));
        self.connection()
            .prepare_cached(
                "INSERT INTO message (key, row, conversation, turn, place, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![key, row, conversation, turn, place, self.blind(NAME, &line.id.0)])?;
        Ok(())
    }

    fn place_before(&self, conversation: &[u8; 32], turn: &[u8; 32]) -> Stored<Option<i64>> {
        let next: Option<i64> = self
            .connection()
            .prepare_cached("SELECT place FROM message WHERE turn = ?1")?
            .query_row(params![turn], |row| row.get(0))
            .optional()?;
        next.map(|next| self.room_before(conversation, next)).transpose()
    }

    /// A place between a line and the one before it.
    fn room_before(&self, conversation: &[u8; 32], mut next: i64) -> Stored<i64> {
        let below: Option<i64> = self
            .connection()
            .prepare_cached("SELECT max(place) FROM message WHERE conversation = ?1 AND place < ?2")?
            .query_row(params![conversation, next], |row| row.get(0))?;
        let below = below.unwrap_or(next - SPACING);
        if next - below < 2 {
            self.connection()
                .prepare_cached("UPDATE message SET place = place + ?3 WHERE conversation = ?1 AND place >= ?2")?
                .execute(params![conversation, next, SPACING])?;
            next += SPACING;
        }
        Ok(below + (next - below) / 2)
    }

    /// The place before all that was sent after `time`, of the last lines of a conversation.
    fn place_at(&self, conversation: &str, time: u64) -> Stored<Option<i64>> {
        let mut next = None;
        let mut looked_at = 0;
        self.walk_back(conversation, |line| {
            looked_at += 1;
            let later = line.sent_at > time;
            if later {
                next = Some((line.account, line.id));
            }
            later && looked_at < MAX_LATE
        })?;
        let Some((account, id)) = next else { return Ok(None) };
        let Some(at) = self.place(&account, &id)? else { return Ok(None) };
        self.room_before(&self.blind(CONVERSATION, conversation.as_bytes()), at).map(Some)
    }

    /// Writes a line that is there again; its place stays.
    pub(crate) fn put_line(&self, line: &Line) -> Stored<()> {
        let key = self.blind(MESSAGE, &line_key(&line.account, &line.id));
        let row = self.seal(MESSAGE, &key, line)?;
        self.connection().prepare_cached("UPDATE message SET row = ?2 WHERE key = ?1")?.execute(params![key, row])?;
        Ok(())
    }

    /// The same of a line that has another number; its place stays.
    pub(crate) fn renumber_line(&self, line: &Line) -> Stored<()> {
        let key = self.blind(MESSAGE, &line_key(&line.account, &line.id));
        let row = self.seal(MESSAGE, &key, line)?;
        let turn = (line.number > 0).then(|| self.turn_of(line, line.number));
        self.connection()
            .prepare_cached("UPDATE message SET row = ?2, turn = ?3 WHERE key = ?1")?
            .execute(params![key, row, turn])?;
        Ok(())
    }

    /// The line in a row that was read.
    pub(super) fn line_of_row(&self, key: &[u8; 32], row: &[u8]) -> Stored<Line> {
        self.unseal(MESSAGE, key, row)
    }

    /// The line of this author with this id.
    pub(crate) fn line(&self, account: &AccountKey, id: &ContentId) -> Stored<Option<Line>> {
        self.get(MESSAGE, &line_key(account, id))
    }

    /// The lines with this id, whoever wrote them.
    pub(crate) fn lines_named(&self, id: &ContentId) -> Stored<Vec<Line>> {
        let mut statement =
            self.connection().prepare_cached("SELECT key, row FROM message WHERE name = ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = statement.query(params![self.blind(NAME, &id.0), MAX_NAMESAKES])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            lines.push(self.unseal(MESSAGE, &key, &sealed)?);
        }
        Ok(lines)
    }

    /// Gives lines their names that were stored by a version without them.
    pub(crate) fn name_lines(&self) -> Stored<()> {
        let mut statement = self.connection().prepare("SELECT key, row FROM message WHERE name IS NULL")?;
        let mut rows = statement.query([])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            names.push((key, self.blind(NAME, &self.unseal::<Line>(MESSAGE, &key, &sealed)?.id.0)));
        }
        if names.is_empty() {
            return Ok(());
        }
        self.connection().execute_batch("BEGIN IMMEDIATE")?;
        for (key, name) in names {
            self.connection()
                .prepare_cached("UPDATE message SET name = ?2 WHERE key = ?1")?
                .execute(params![key, name])?;
        }
        Ok(self.connection().execute_batch("COMMIT")?)
    }

    /// Where a line stands in its conversation.
    pub(crate) fn place(&self, account: &AccountKey, id: &ContentId) -> Stored<Option<i64>> {
        let key = self.blind(MESSAGE, &line_key(account, id));
        let mut statement = self.connection().prepare_cached("SELECT place FROM message WHERE key = ?1")?;
        Ok(statement.query_row(params![key], |row| row.get(0)).optional()?)
    }

    /// The line with this number of the same author and conversation.
    pub(crate) fn line_at(&self, like: &Line, number: u64) -> Stored<Option<Line>> {
        self.find(&self.turn_of(like, number))
    }

    /// The line with this number of this device in a conversation.
    pub(crate) fn numbered(
        &self,
        conversation: &str,
        account: &AccountKey,
        device: DeviceId,
        number: u64,
    ) -> Stored<Option<Line>> {
        self.find(&self.turn(conversation, account, device, number))
    }

    /// The post with this number of this device in a room.
    pub(crate) fn post_at(
        &self,
        room: &RoomName,
        account: &AccountKey,
        device: DeviceId,
        number: u64,
    ) -> Stored<Option<Line>> {
        self.find(&self.turn(&room.to_string(), account, device, number))
    }

    pub(crate) fn delete_line(&self, account: &AccountKey, id: &ContentId) -> Stored<bool> {
        self.delete(MESSAGE, &line_key(account, id))
    }

    /// Walks a conversation from its newest line to its oldest, until `each` returns `false`.
    pub(crate) fn walk_back(&self, conversation: &str, mut each: impl FnMut(Line) -> bool) -> Stored<()> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT key, row FROM message WHERE conversation = ?1 ORDER BY place DESC, id DESC")?;
        let mut rows = statement.query(params![self.blind(CONVERSATION, conversation.as_bytes())])?;
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            if !each(self.unseal(MESSAGE, &key, &sealed)?) {
                break;
            }
        }
        Ok(())
    }

    /// Walks all lines, the newest first, until `each` returns `false`.
    pub(crate) fn walk_all_back(&self, mut each: impl FnMut(Line) -> bool) -> Stored<()> {
        let mut statement = self.connection().prepare_cached("SELECT key, row FROM message ORDER BY id DESC")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            if !each(self.unseal(MESSAGE, &key, &sealed)?) {
                break;
            }
        }
        Ok(())
    }

    /// Moves all lines of a conversation under another name; returns how many there were.
    pub(crate) fn move_lines(&self, from: &str, to: &str) -> Stored<usize> {
        let mut moved = Vec::new();
        self.walk_back(from, |line| {
            moved.push(line);
            true
        })?;
        let conversation = self.blind(CONVERSATION, to.as_bytes());
        for line in &mut moved {
            to.clone_into(&mut line.conversation);
            let key = self.blind(MESSAGE, &line_key(&line.account, &line.id));
            let turn = (line.number > 0).then(|| self.turn_of(line, line.number));
            self.connection()
                .prepare_cached("UPDATE message SET row = ?2, conversation = ?3, turn = ?4 WHERE key = ?1")?
                .execute(params![key, self.seal(MESSAGE, &key, line)?, conversation, turn])?;
        }
        Ok(moved.len())
    }

    /// Whether this content was not seen before; it is from now on, for ever. **[MSG-24]**
    pub(crate) fn first_time(&self, account: &AccountKey, id: &ContentId) -> Stored<bool> {
        let key = self.blind(SEEN, &line_key(account, id));
        let mut insert = self.connection().prepare_cached("INSERT OR IGNORE INTO seen (key) VALUES (?1)")?;
        Ok(insert.execute(params![key])? > 0)
    }

    /// Whether this content was seen before.
    pub(crate) fn was_seen(&self, account: &AccountKey, id: &ContentId) -> Stored<bool> {
        let key = self.blind(SEEN, &line_key(account, id));
        let mut find = self.connection().prepare_cached("SELECT 1 FROM seen WHERE key = ?1")?;
        Ok(find.exists(params![key])?)
    }

    /// Keeps a line for `recv`: it is not read yet.
    pub(crate) fn add_fresh(&self, line: &Line) -> Stored<()> {
        let fresh = Fresh { conversation: line.conversation.clone(), account: line.account, id: line.id };
        self.put(FRESH, &line_key(&line.account, &line.id), &fresh)
    }

    /// The oldest lines that are not read yet, of the conversations that are `wanted`.
    pub(crate) fn fresh(&self, wanted: impl Fn(&str) -> bool, limit: u32) -> Stored<Vec<Line>> {
        let mut found = Vec::new();
        for fresh in self.all::<Fresh>(FRESH)? {
            if found.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
            if wanted(&fresh.conversation) {
                found.extend(self.line(&fresh.account, &fresh.id)?);
            }
        }
        Ok(found)
    }

    /// Whether a line is not read yet.
    pub(crate) fn is_fresh(&self, account: &AccountKey, id: &ContentId) -> Stored<bool> {
        Ok(self.get::<Fresh>(FRESH, &line_key(account, id))?.is_some())
    }

    /// Takes one line from `recv`: it was given, or is gone. Whether it was there.
    pub(crate) fn drop_fresh(&self, account: &AccountKey, id: &ContentId) -> Stored<bool> {
        self.delete(FRESH, &line_key(account, id))
    }

    pub(crate) fn expiries(&self) -> Stored<Vec<Expiry>> {
        self.all(EXPIRY)
    }
    /// When a line is deleted.
    pub(crate) fn expiry(&self, account: &AccountKey, id: &ContentId) -> Stored<Option<u64>> {
        Ok(self.get::<Expiry>(EXPIRY, &line_key(account, id))?.map(|expiry| expiry.at))
    }
    pub(crate) fn put_expiry(&self, expiry: &Expiry) -> Stored<()> {
        self.put(EXPIRY, &line_key(&expiry.account, &expiry.id), expiry)
    }
    pub(crate) fn delete_expiry(&self, expiry: &Expiry) -> Stored<bool> {
        self.delete(EXPIRY, &line_key(&expiry.account, &expiry.id))
    }

    /// After how many seconds a line is deleted, once it has been read or sent.
    pub(crate) fn put_countdown(&self, account: &AccountKey, id: &ContentId, seconds: u32) -> Stored<()> {
        self.put(COUNTDOWN, &line_key(account, id), &seconds)
    }
    /// The same, to look at.
    pub(super) fn countdown(&self, account: &AccountKey, id: &ContentId) -> Stored<Option<u32>> {
        self.get(COUNTDOWN, &line_key(account, id))
    }
    /// Takes it: it begins now, or never.
    pub(crate) fn take_countdown(&self, account: &AccountKey, id: &ContentId) -> Stored<Option<u32>> {
        let seconds = self.get(COUNTDOWN, &line_key(account, id))?;
        if seconds.is_some() {
            self.delete(COUNTDOWN, &line_key(account, id))?;
        }
        Ok(seconds)
    }
}
