use std::collections::VecDeque;

use crate::api::{Event, Kind, Message, Reaction, Shown, State, Text, Transfer};

/// Entries that are kept of one conversation; older ones are in the store.
const MOST: usize = 10_000;

/// Reactions to one message that are kept.
const REACTIONS: usize = 50;

/// One conversation, as far as it was heard.
#[derive(Debug, Default)]
pub(in crate::face) struct Conversation {
    /// `@bob` or `#room`.
    pub(in crate::face) name: String,
    /// Oldest first.
    pub(in crate::face) entries: VecDeque<Entry>,
    /// Messages that wait to be read.
    pub(in crate::face) unread: u32,
    /// Those of them that mention oneself.
    pub(in crate::face) mentions: u32,
    /// The first message that was not read when the conversation was opened.
    pub(in crate::face) fresh: Option<String>,
    /// Nothing older is in the store.
    pub(in crate::face) whole: bool,
    /// Its history was asked for.
    pub(in crate::face) known: bool,
    /// A page of history is on its way.
    pub(in crate::face) asked: bool,
    /// Of a room: how many are in it.
    pub(in crate::face) members: Option<u32>,
    /// Of a room: what it is about.
    pub(in crate::face) topic: Option<Text>,
    /// Of a room: whether one is in it.
    pub(in crate::face) joined: bool,
    /// Nothing of the person is shown.
    pub(in crate::face) blocked: bool,
    /// It draws no attention.
    pub(in crate::face) muted: bool,
    /// A stranger has begun it, who is neither accepted nor refused.
    pub(in crate::face) request: bool,
    /// The other side is typing.
    pub(in crate::face) typing: bool,
    /// Seconds after which messages are deleted.
    pub(in crate::face) expire_after: Option<u32>,
    /// What was typed and not sent.
    pub(in crate::face) draft: String,
    /// Messages that were not read when it was opened, as long as they have not come.
    pub(super) waiting: u32,
    pub(super) moved: u64,
    /// When the newest message was written.
    pub(super) last: String,
}

/// What stands in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::face) enum Entry {
    Message(Box<Message>),
    /// Messages of somebody are missing here.
    Gap {
        from: String,
        missing: u64,
    },
    /// What the program itself has to say: the answer to a command, an error.
    Note(Shown),
}

/// Whether one wrote it oneself.
pub(in crate::face) fn own(message: &Message) -> bool {
    message.state != State::Received
}

/// Whether it says something, so that it can be answered.
pub(in crate::face) fn says(message: &Message) -> bool {
    matches!(message.kind, Kind::Text | Kind::Reply | Kind::File)
}

/// Whether it only changes another message, or what is known of its author.
fn changes(message: &Message) -> bool {
    use Kind::{Away, Delete, Edit, Name, Reaction, Remove};
    matches!(message.kind, Edit | Delete | Reaction | Remove | Name | Away)
}

impl Conversation {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A room that was left, or somebody blocked, stands in the list only while it is open.
    pub(super) fn listed(&self, open: &str) -> bool {
        let left = self.name.starts_with('#') && self.name != crate::face::slash::LOBBY && !self.joined;
        self.name == open || !self.blocked && (!left || self.unread > 0)
    }

    /// The message of this id.
    pub(in crate::face) fn message(&self, id: &str) -> Option<&Message> {
        self.messages().find(|message| message.id == id)
    }

    /// All messages, newest first.
    pub(in crate::face) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.iter().rev().filter_map(|entry| match entry {
            Entry::Message(message) => Some(message.as_ref()),
            Entry::Gap { .. } | Entry::Note(_) => None,
        })
    }

    fn message_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Message(message) if message.id == id => Some(message.as_mut()),
            _ => None,
        })
    }

    /// Puts something at the end.
    pub(in crate::face) fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        if self.entries.len() > MOST {
            self.entries.pop_front();
            self.whole = false;
        }
    }

    /// A message that has just come or gone; whether it is a new one.
    pub(super) fn hear(&mut self, message: &Message) -> bool {
        if let Some(known) = self.message_mut(&message.id) {
            known.clone_from(message);
            return false;
        }
        if message.kind == Kind::Topic {
            self.topic = Some(message.text.clone()).filter(|topic| !topic.as_raw().is_empty());
        }
        if !self.applies(message) && !changes(message) {
            self.push(Entry::Message(Box::new(message.clone())));
        }
        true
    }

    /// What is said about another message changes that one, where it is known.
    fn applies(&mut self, message: &Message) -> bool {
        let Some(target) = message.target.as_deref().and_then(|target| self.message_mut(target)) else { return false };
        match message.kind {
            Kind::Edit => {
                target.text.clone_from(&message.text);
                target.edited = true;
            }
            Kind::Delete => {
                target.kind = Kind::Removed;
                target.text = Text::new("deleted by its author");
                target.reactions.clear();
            }
            Kind::Reaction => {
                target.reactions.retain(|reaction| reaction.from != message.from);
                if !message.text.as_raw().is_empty() && target.reactions.len() < REACTIONS {
                    let (emoji, from) = (message.text.clone(), message.from.clone());
                    target.reactions.push(Reaction { emoji, from });
                }
            }
            _ => return false,
        }
        true
    }

    /// A file came further.
    pub(super) fn file(&mut self, file: &Transfer) {
        if let Some(message) = self.message_mut(&file.id).filter(|message| message.kind == Kind::File) {
            message.file = Some(Box::new(file.clone()));
        }
    }

    pub(super) fn moved_on(&mut self, id: &str, state: State) {
        if let Some(message) = self.message_mut(id).filter(|message| own(message)) {
            message.state = state;
        }
    }

    /// Whether messages go by themselves, so that the page has to be read again now and then.
    pub(in crate::face) fn expires(&self) -> bool {
        self.expire_after.is_some() || self.messages().any(|message| message.expires_at.is_some())
    }

    /// Whether an older page can be asked for.
    pub(in crate::face) fn more(&self) -> bool {
        !self.whole && !self.asked && self.entries.len() < MOST
    }

    /// Whether somebody's messages are missing: once more of theirs arrive, the page has to be read again.
    pub(in crate::face) fn misses(&self, from: &str) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Gap { from: whose, .. } if whose == from))
    }

    /// A page of history: the newest one, in place of what was heard so far, or the one before it.
    pub(super) fn page(&mut self, page: Vec<Event>, asked: u32, newest: bool) {
        self.asked = false;
        if newest {
            self.entries.retain(|entry| matches!(entry, Entry::Note(_)));
        }
        let mut before = Self::new(&self.name);
        let mut messages: u32 = 0;
        for event in page {
            match event {
                Event::Message(message) => {
                    messages += 1;
                    before.hear(&message);
                }
                Event::Gap { from, missing, .. } => before.push(Entry::Gap { from, missing }),
                _ => {}
            }
        }
        self.whole = messages < asked;
        for entry in before.entries.into_iter().rev() {
            self.entries.push_front(entry);
        }
        if newest {
            self.mark_fresh();
        }
    }

    /// Finds the first of the messages that were not read yet.
    pub(super) fn mark_fresh(&mut self) {
        let waiting = usize::try_from(self.waiting).unwrap_or(usize::MAX);
        if self.fresh.is_none() && waiting > 0 {
            let unread = self.messages().filter(|message| !own(message) && says(message)).take(waiting);
            self.fresh = unread.last().map(|message| message.id.clone());
        }
        if self.known && !self.asked {
            self.waiting = 0;
        }
    }
}
