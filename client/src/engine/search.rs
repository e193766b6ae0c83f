//! Finding messages by their words.

use super::change::conversation_of;
use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event};
use crate::store::Stored;
use crate::store::messages::Line;
use crate::store::search::Question;

/// Most messages that are given where nobody says how many.
const MANY: usize = 100;
/// Longest question in bytes.
const MAX_WORDS: usize = 1_000;
/// How long the index is kept after the last question, in milliseconds: it is as large as all texts together.
const KEPT: u64 = 5 * 60 * 1_000;

/// Pages that are made in one step, some milliseconds of work.
const PAGES: usize = 8;
/// The pause before the next ones, in milliseconds, for whoever else wants something.
const PAUSE: u64 = 10;
/// Pages that nobody has asked for yet are made so long after the day began, in milliseconds: then nobody waits for what a
/// short-lived process does.
const LATER: u64 = 5 * 60 * 1_000;

impl Engine {
    /// Messages that have all the words, the oldest first.
    pub(super) fn search(&mut self, id: CommandId, words: &str, with: Option<&str>, limit: Option<u32>) -> Stored<()> {
        if words.trim().is_empty() || words.len() > MAX_WORDS {
            let error = Error::new(ErrorCode::Usage, "there is nothing to search for")
                .because(format!("a search has words, of at most {MAX_WORDS} bytes together"))
                .advise("sealpost search WORDS");
            return self.end_with(id, error);
        }
        let mut index = match self.index.take() {
            Some(index) => index,
            None => self.rows().begin_index()?,
        };
        let with = with.map(conversation_of);
        let limit = limit.map_or(MANY, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let question = Question { words, with: with.as_deref(), limit };
        let lines = self.rows().search(&mut index, &question, |line: &Line| !self.is_hidden(line))?;
        self.index = Some(index);
        self.timers.set(Timer::ForgetIndex, self.now + KEPT);
        self.want_pages(PAUSE)?;
        for line in lines.iter().rev() {
            let message = self.view(line)?;
            self.tell(Some(id), Event::Message(message));
        }
        self.end(id);
        Ok(())
    }

    /// The first searches of a day find what was said since the day before in pages, too.
    pub(super) fn want_pages_later(&mut self) -> Stored<()> {
        self.want_pages(LATER)
    }

    fn want_pages(&mut self, after: u64) -> Stored<()> {
        if self.rows().lacks_pages()? {
            self.timers.set_sooner(Timer::Pages, self.now + after);
        }
        Ok(())
    }

    /// Makes pages of what is said, so that the next search has little to open.
    pub(super) fn make_pages(&mut self) -> Stored<()> {
        if self.rows().make_pages(PAGES)? {
            self.timers.set(Timer::Pages, self.now + PAUSE);
        }
        Ok(())
    }

    /// Nobody has searched for a while.
    pub(super) fn forget_index(&mut self) -> Stored<()> {
        self.index = None;
        self.rows().drop_index()
    }
}
