//! Finding messages by their words.

use super::change::conversation_of;
use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event};
use crate::store::Stored;

/// Most messages that are given where nobody says how many.
const MANY: usize = 100;
/// Longest question in bytes.
const MAX_WORDS: usize = 1_000;
/// How long the index is kept after the last question, in milliseconds: it is as large as all texts together.
const KEPT: u64 = 5 * 60 * 1_000;

impl Engine {
    /// Messages that have all the words, the oldest first.
    pub(super) fn search(&mut self, id: CommandId, words: &str, with: Option<&str>, limit: Option<u32>) -> Stored<()> {
        if words.trim().is_empty() || words.len() > MAX_WORDS {
            let error = Error::new(ErrorCode::Usage, "there is nothing to search for")
                .because(format!("a search has words, of at most {MAX_WORDS} bytes together"))
                .advise("sealpost search WORDS");
            return self.end_with(id, error);
        }
        let index = self.index.take();
        let index = self.rows().index(index)?;
        let with = with.map(conversation_of);
        let wanted = |line: &crate::store::messages::Line| {
            with.as_ref().is_none_or(|with| line.conversation == *with) && !self.is_hidden(line)
        };
        let limit = limit.map_or(MANY, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let lines = self.rows().search(&index, words, limit, wanted)?;
        self.index = Some(index);
        self.timers.set(Timer::ForgetIndex, self.now + KEPT);
        for line in lines.iter().rev() {
            let message = self.view(line)?;
            self.tell(Some(id), Event::Message(message));
        }
        self.end(id);
        Ok(())
    }

    /// Nobody has searched for a while.
    pub(super) fn forget_index(&mut self) -> Stored<()> {
        self.index = None;
        self.rows().drop_index()
    }
}
