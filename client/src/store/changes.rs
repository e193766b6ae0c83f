//! What became of messages after they were said: edits and deletions by their authors, reactions, and what is known of
//! whole conversations.

use rusqlite::params;
use sealpost_spec::account::{AccountKey, DeviceId, Name};
use sealpost_spec::message::ContentId;
use sealpost_spec::room::PostHash;
use serde::{Deserialize, Serialize};

use super::messages::line_key;
use super::rows::{Rows, Stored, Table};

const CHANGE: Table = Table("change");
const REACTION: Table = Table("reaction");
const TARGET: Table = Table("reaction target");
const CONVERSATION: Table = Table("conversation");

/// Most reactions to one message that are shown.
const MAX_REACTIONS: u32 = 256;

/// The last edit of a message, or its deletion, by its own author; perhaps before the message came.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) conversation: String,
    /// Of a post: the hash that its author says it has.
    pub(crate) hash: PostHash,
    /// `None`: deleted, for ever. Empty once it stands in the message itself.
    pub(crate) text: Option<String>,
    /// Deleted before anybody had read it: nobody needs to hear of that.
    pub(crate) unheard: bool,
    pub(crate) order: Order,
}

/// Which of two contents of one author is the later one.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) device: DeviceId,
    /// The author's number; 0 where there is none.
    pub(crate) number: u64,
    /// Unix milliseconds by the author's clock.
    pub(crate) sent_at: u64,
}

impl Order {
    /// A device's own numbers say it; between devices their clocks do.
    pub(crate) fn is_after(self, other: Self) -> bool {
        if self.device == other.device && self.number > 0 && other.number > 0 {
            self.number > other.number
        } else {
            self.sent_at >= other.sent_at
        }
    }
}

/// What somebody thinks of a message; perhaps before the message came.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Opinion {
    pub(crate) conversation: String,
    pub(crate) target: ContentId,
    /// Of a post: the target's hash.
    pub(crate) hash: PostHash,
    pub(crate) from: Name,
    pub(crate) account: AccountKey,
    /// Empty: taken back.
    pub(crate) emoji: String,
    pub(crate) order: Order,
}

/// What is known of a conversation besides its messages.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Conversation {
    /// `@bob` or `#room`
    pub(crate) name: String,
    /// Unread messages that mention oneself.
    pub(crate) mentions: u32,
    pub(crate) muted: bool,
    pub(crate) draft: String,
    /// The time and id of the content that set the expiry timer.
    pub(crate) timer: Option<(u64, ContentId)>,
}

fn opinion_key(target: &ContentId, account: &AccountKey, conversation: &str) -> Vec<u8> {
    [&target.0[..], &account.0, conversation.as_bytes()].concat()
}

impl Rows {
    pub(crate) fn change(&self, account: &AccountKey, target: &ContentId) -> Stored<Option<Change>> {
        self.get(CHANGE, &line_key(account, target))
    }
    pub(crate) fn put_change(&self, account: &AccountKey, target: &ContentId, change: &Change) -> Stored<()> {
        self.put(CHANGE, &line_key(account, target), change)
    }
    pub(crate) fn delete_change(&self, account: &AccountKey, target: &ContentId) -> Stored<bool> {
        self.delete(CHANGE, &line_key(account, target))
    }

    /// What this person thinks of a message.
    pub(crate) fn opinion(
        &self,
        target: &ContentId,
        account: &AccountKey,
        conversation: &str,
    ) -> Stored<Option<Opinion>> {
        self.get(REACTION, &opinion_key(target, account, conversation))
    }

    pub(crate) fn put_opinion(&self, opinion: &Opinion) -> Stored<()> {
        let key = self.blind(REACTION, &opinion_key(&opinion.target, &opinion.account, &opinion.conversation));
        let row = self.seal(REACTION, &key, opinion)?;
        self.connection()
            .prepare_cached(
                "INSERT INTO reaction (key, row, target) VALUES (?1, ?2, ?3)
                ON CONFLICT (key) DO UPDATE SET row = excluded.row",
            )?
            .execute(params![key, row, self.blind(TARGET, &opinion.target.0)])?;
        Ok(())
    }

    /// What people think of the message with this id, in the order of their first words.
    pub(crate) fn opinions(&self, target: &ContentId) -> Stored<Vec<Opinion>> {
        let mut statement =
            self.connection().prepare_cached("SELECT key, row FROM reaction WHERE target = ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = statement.query(params![self.blind(TARGET, &target.0), MAX_REACTIONS])?;
        let mut opinions = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            opinions.push(self.unseal(REACTION, &key, &sealed)?);
        }
        Ok(opinions)
    }

    /// What people think of all messages.
    pub(super) fn all_opinions(&self) -> Stored<Vec<Opinion>> {
        self.all(REACTION)
    }

    pub(crate) fn delete_opinion(&self, opinion: &Opinion) -> Stored<bool> {
        self.delete(REACTION, &opinion_key(&opinion.target, &opinion.account, &opinion.conversation))
    }

    pub(crate) fn conversations(&self) -> Stored<Vec<Conversation>> {
        self.all(CONVERSATION)
    }
    pub(crate) fn put_conversation(&self, conversation: &Conversation) -> Stored<()> {
        self.put(CONVERSATION, conversation.name.as_bytes(), conversation)
    }
    pub(crate) fn delete_conversation(&self, name: &str) -> Stored<bool> {
        self.delete(CONVERSATION, name.as_bytes())
    }
}
