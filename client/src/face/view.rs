//! What a person sees of their conversations, whichever face draws it: built from events alone, and free of terminals.

mod conversation;
mod files;

use std::collections::BTreeMap;

pub(super) use conversation::{Conversation, Entry, own, says};
pub(super) use files::File;

use super::slash::LOBBY;
use crate::api::{Event, Message, State, Trust};

/// So many of the newest messages of a conversation are looked at for queued ones.
const QUEUED: usize = 100;

/// A person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Without its `@`.
    pub(super) name: String,
    pub(super) fingerprint: String,
    pub(super) trust: Trust,
    pub(super) blocked: bool,
    /// One has written to them or added them.
    pub(super) accepted: bool,
    /// The key that stands under the name now, where it is not the pinned one.
    pub(super) changed: Option<KeyChange>,
}

/// A key that is not the pinned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyChange {
    pub(super) old: String,
    pub(super) new: String,
}

/// Who one is.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) name: String,
}

/// The way to the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Connection {
    /// Nothing was heard of it yet.
    #[default]
    Unknown,
    Up,
    /// Down, and why.
    Down(String),
}

/// Everything that was heard.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) own: Option<Own>,
    pub(super) connection: Connection,
    /// Others may learn when one is typing.
    pub(super) tells_typing: bool,
    people: BTreeMap<String, Person>,
    /// Oldest first.
    pub(super) files: Vec<File>,
    conversations: BTreeMap<String, Conversation>,
    open: String,
    /// Counts what arrives: the conversation that moved last stands first.
    moves: u64,
}

/// What stands beside every conversation.
pub(super) fn privacy(conversation: &str) -> &'static str {
    if is_public(conversation) { "PUBLIC" } else { "E2E" }
}

/// Whether everybody at the relay can read it.
pub(super) fn is_public(conversation: &str) -> bool {
    conversation.starts_with('#')
}

fn bare(name: &str) -> &str {
    name.strip_prefix('@').unwrap_or(name)
}

impl View {
    /// Nothing heard yet; the lobby is open.
    pub(super) fn new() -> Self {
        let mut view = Self::default();
        view.open(LOBBY);
        view
    }

    /// The name of the open conversation.
    pub(super) fn here(&self) -> &str {
        &self.open
    }

    /// The open conversation.
    pub(super) fn current(&self) -> &Conversation {
        self.conversations.get(&self.open).expect("what is open is there")
    }

    /// The open conversation.
    pub(super) fn current_mut(&mut self) -> &mut Conversation {
        let open = self.open.clone();
        self.conversation_mut(&open)
    }

    pub(super) fn conversation(&self, name: &str) -> Option<&Conversation> {
        self.conversations.get(name)
    }

    /// A conversation, begun where there is none.
    pub(super) fn conversation_mut(&mut self, name: &str) -> &mut Conversation {
        self.conversations.entry(name.to_owned()).or_insert_with(|| Conversation::new(name))
    }

    /// Shows a conversation: from now on nothing of it is unread.
    pub(super) fn open(&mut self, name: &str) {
        if name != self.open
            && let Some(left) = self.conversations.get_mut(&self.open)
        {
            left.fresh = None;
        }
        self.open = name.to_owned();
        let opened = self.current_mut();
        opened.waiting = std::mem::take(&mut opened.unread);
        opened.mentions = 0;
        opened.mark_fresh();
    }

    /// All conversations, in the order in which they last moved.
    pub(super) fn list(&self) -> Vec<&Conversation> {
        let mut list: Vec<&Conversation> = self.conversations.values().filter(|one| one.listed(&self.open)).collect();
        list.sort_by(|a, b| (b.moved, &b.last).cmp(&(a.moved, &a.last)).then_with(|| a.name.cmp(&b.name)));
        list
    }

    /// Another holder answers from here on: what was asked of the last one will not come.
    pub(super) fn begin_anew(&mut self) {
        for conversation in self.conversations.values_mut() {
            (conversation.asked, conversation.known) = (false, false);
        }
    }

    /// Nothing of a conversation is shown any more; the lobby is open where it was.
    pub(super) fn forget(&mut self, name: &str) {
        self.conversations.remove(name);
        if self.open == name {
            self.open(LOBBY);
        }
    }

    /// Everybody known.
    pub(super) fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// Somebody, with or without their `@`.
    pub(super) fn person(&self, name: &str) -> Option<&Person> {
        self.people.get(bare(name))
    }

    /// What is known of the other side's key; nothing of a room.
    pub(super) fn trust(&self, conversation: &str) -> Option<Trust> {
        if is_public(conversation) { None } else { self.person(conversation).map(|person| person.trust) }
    }

    /// The changed key that keeps one from writing there.
    pub(super) fn changed(&self, conversation: &str) -> Option<&KeyChange> {
        let person = self.person(conversation).filter(|_| !is_public(conversation))?;
        person.changed.as_ref().filter(|_| person.trust == Trust::KeyChanged)
    }

    /// Messages that wait to be read, in all conversations that may draw attention.
    pub(super) fn unread(&self) -> u32 {
        self.conversations.values().filter(|one| !one.muted).fold(0, |sum, one| sum.saturating_add(one.unread))
    }

    /// Messages of one's own that the relay has not accepted yet.
    pub(super) fn queued(&self) -> usize {
        let waits = |message: &&Message| message.state == State::Queued;
        self.conversations.values().map(|one| one.messages().take(QUEUED).filter(waits).count()).sum()
    }

    /// Something was told, other than a page of history.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Message(message) => self.message(message),
            Event::State { id, conversation, state } => {
                if let Some(conversation) = self.conversations.get_mut(conversation) {
                    conversation.moved_on(id, *state);
                }
            }
            Event::Gap { conversation, from, missing } => {
                let gap = Entry::Gap { from: from.clone(), missing: *missing };
                self.conversation_mut(conversation).push(gap);
            }
            Event::KeyChanged { name, old, new } => {
                let person = self.person_mut(name);
                person.trust = Trust::KeyChanged;
                person.changed = Some(KeyChange { old: old.clone(), new: new.clone() });
            }
            Event::Me { name, .. } | Event::Status { name, .. } => {
                self.own = Some(Own { name: name.clone() });
                if let Event::Status { connection, .. } = event {
                    self.connection = if connection.starts_with("connected") {
                        Connection::Up
                    } else {
                        Connection::Down(connection.clone())
                    };
                }
            }
            Event::Conversation { name, .. } => self.conversation_told(name, event),
            Event::Contact { name, fingerprint, trust, blocked, accepted, changed, .. } => {
                let person = self.person_mut(name);
                person.fingerprint.clone_from(fingerprint);
                (person.trust, person.blocked, person.accepted) = (*trust, *blocked, *accepted);
                person.changed = changed.as_ref().filter(|_| *trust == Trust::KeyChanged).map(|new| {
                    let old = fingerprint.clone();
                    KeyChange { old, new: new.clone() }
                });
                self.conversation_mut(&format!("@{}", bare(name))).blocked = *blocked;
            }
            Event::Room { name, members, joined, .. } => {
                let room = self.conversation_mut(name);
                (room.members, room.joined) = (Some(*members), *joined);
            }
            Event::Progress(file) => {
                self.conversation_mut(&file.conversation).file(file);
                self.moved(file);
            }
            Event::Typing { conversation, on, .. } => self.conversation_mut(conversation).typing = *on,
            Event::Settings { typing, .. } => self.tells_typing = *typing,
            Event::Connection { online, detail } => {
                self.connection = if *online { Connection::Up } else { Connection::Down(detail.clone()) };
            }
            _ => {}
        }
    }

    /// A page of a conversation's history, oldest first, of at most `asked` messages: the newest one, in place of what
    /// was heard so far, or what stands before all that is known.
    pub(super) fn page(&mut self, conversation: &str, page: Vec<Event>, asked: u32, newest: bool) {
        for event in &page {
            if let Event::Message(message) = event {
                self.meet(message);
            }
        }
        self.conversation_mut(conversation).page(page, asked, newest);
    }

    fn message(&mut self, message: &Message) {
        self.meet(message);
        let open = self.open == message.conversation;
        self.moves += 1;
        let moves = self.moves;
        let conversation = self.conversation_mut(&message.conversation);
        if conversation.hear(message) && says(message) {
            conversation.moved = moves;
            if message.state == State::Received {
                conversation.typing = false;
            }
            if !open && message.state == State::Received {
                conversation.unread = conversation.unread.saturating_add(1);
                conversation.mentions = conversation.mentions.saturating_add(u32::from(message.mentions_me));
            }
        }
    }

    /// What the store knows of a conversation.
    fn conversation_told(&mut self, name: &str, event: &Event) {
        let Event::Conversation {
            trust,
            unread,
            mentions,
            muted,
            request,
            blocked,
            joined,
            topic,
            draft,
            expire_after,
            last,
            ..
        } = event
        else {
            return;
        };
        if let Some(trust) = trust {
            self.person_mut(name).trust = *trust;
        }
        let open = self.open == name;
        let conversation = self.conversation_mut(name);
        (conversation.unread, conversation.mentions) = (*unread, *mentions);
        if open && *unread > 0 && !conversation.known {
            conversation.waiting = *unread;
        }
        (conversation.muted, conversation.request, conversation.blocked) = (*muted, *request, *blocked);
        conversation.expire_after = *expire_after;
        conversation.joined = joined.unwrap_or(conversation.joined);
        conversation.topic.clone_from(topic);
        if let Some(draft) = draft.as_ref().filter(|_| !open) {
            draft.as_raw().clone_into(&mut conversation.draft);
        }
        if let Some(last) = last {
            conversation.last.clone_from(&last.sent_at);
        }
    }

    /// Learns from a message what is known of its author's key.
    fn meet(&mut self, message: &Message) {
        if message.state != State::Received {
            return;
        }
        let person = self.person_mut(&message.from);
        // A line of an earlier key says nothing of the key that one writes to now.
        if message.trust != Trust::KeyChanged && person.trust != Trust::KeyChanged {
            person.trust = message.trust;
        }
        person.accepted |= !message.request;
    }

    fn person_mut(&mut self, name: &str) -> &mut Person {
        self.people.entry(bare(name).to_owned()).or_insert_with(|| Person {
            name: bare(name).to_owned(),
            fingerprint: String::new(),
            trust: Trust::Unverified,
            blocked: false,
            accepted: false,
            changed: None,
        })
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
