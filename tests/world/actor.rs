//! The words in which a story is told.

use std::collections::BTreeMap;

use sealpost_client::api::{Command, ErrorCode, Event, Kind, Message, State, Trust, Wait};

use super::World;

/// Somebody, to be told what to do and asked what happened to them.
pub(crate) struct Actor<'w> {
    world: &'w mut World,
    name: String,
}

impl<'w> Actor<'w> {
    pub(super) fn new(world: &'w mut World, name: &str) -> Self {
        assert!(world.people.contains_key(name), "{name} is not in this world");
        Self { world, name: name.to_owned() }
    }

    // ---- doing

    /// Gives a command; returns its events, once it has ended.
    pub(crate) fn asks(&mut self, command: Command) -> Vec<Event> {
        self.world.command(&self.name, command)
    }

    /// Writes to somebody or into a room; does not wait. Returns the message's id, where it was queued.
    ///
    /// # Panics
    /// The command failed at once.
    pub(crate) fn says(&mut self, to: &str, text: &str) -> String {
        let id = self.world.begin(&self.name, send(to, text, Wait::Queued));
        let events = self.world.people.get_mut(&self.name).unwrap().answers.get(&id).cloned().unwrap_or_default();
        events
            .iter()
            .find_map(|event| match event {
                Event::Queued { id, .. } => Some(id.clone()),
                _ => None,
            })
            .unwrap_or_else(|| panic!("{} could not say {text:?} to {to}: {events:?}", self.name))
    }

    /// Says something, whatever becomes of it; returns whether the client said that it was queued.
    pub(crate) fn tries_to_say(&mut self, to: &str, text: &str) -> bool {
        self.tries(send(to, text, Wait::Queued))
    }

    /// Gives a command, whatever becomes of it; returns whether the client said that something was queued.
    pub(crate) fn tries(&mut self, command: Command) -> bool {
        let id = self.world.begin(&self.name, command);
        let them = self.world.people.get_mut(&self.name).unwrap();
        let events = them.answers.get(&id).map(Vec::as_slice).unwrap_or_default();
        events.iter().any(|event| matches!(event, Event::Queued { .. }))
    }

    /// Sends and waits this far; returns the error, if there is one.
    pub(crate) fn sends(&mut self, to: &str, text: &str, wait: Wait) -> Result<(), ErrorCode> {
        let events = self.asks(send(to, text, wait));
        match error_of(&events) {
            Some(code) => Err(code),
            None => Ok(()),
        }
    }

    /// Goes away: the client is killed.
    pub(crate) fn leaves(&mut self) {
        self.world.closes(&self.name);
    }

    /// Comes back.
    pub(crate) fn returns(&mut self) {
        self.world.opens(&self.name);
    }

    // ---- being asked

    /// What others said since the last time, in the order in which it was shown. Joining and leaving is not saying.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        let them = self.world.people.get_mut(&self.name).unwrap();
        let told = std::mem::replace(&mut them.told, them.events.len());
        them.events[told..]
            .iter()
            .filter_map(|event| match event {
                Event::Message(message) if said_by_others(message) => Some(message.text.as_raw().to_owned()),
                _ => None,
            })
            .collect()
    }

    /// Everything that the client told by itself, in all its lives.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.world.people[&self.name].events.clone()
    }

    /// What others said, as it was shown when it came, in all lives.
    pub(crate) fn shown(&self) -> Vec<Message> {
        let said = |event: &Event| match event {
            Event::Message(message) if said_by_others(message) => Some(message.clone()),
            _ => None,
        };
        self.world.people[&self.name].events.iter().filter_map(said).collect()
    }

    /// History of a conversation: messages and gaps.
    ///
    /// # Panics
    /// The command fails.
    pub(crate) fn history(&mut self, with: &str) -> Vec<Event> {
        let events = self.asks(Command::History { with: with.to_owned(), limit: Some(1_000_000), before: None });
        assert_eq!(error_of(&events), None, "{events:?}");
        events.into_iter().filter(|event| matches!(event, Event::Message(_) | Event::Gap { .. })).collect()
    }

    /// Messages of a conversation as they are now, by id: who said it, what it is, what it says, what people think of it.
    pub(crate) fn present(&mut self, with: &str) -> BTreeMap<String, String> {
        let history = self.history(with);
        let said = |kind| matches!(kind, Kind::Text | Kind::Reply | Kind::Removed);
        history
            .into_iter()
            .filter_map(|event| match event {
                Event::Message(message) if said(message.kind) && message.state != State::NotDelivered => {
                    let mut reactions: Vec<String> =
                        message.reactions.iter().map(|one| format!("{} {}", one.from, one.emoji.as_raw())).collect();
                    reactions.sort();
                    let (text, edited) = (message.text.as_raw(), message.edited);
                    let whole = format!("{} {:?} {text:?} {edited} {reactions:?}", message.from, message.kind);
                    Some((message.id, whole))
                }
                _ => None,
            })
            .collect()
    }

    /// Texts of a conversation with who said them; what was deleted says nothing any more.
    pub(crate) fn conversation(&mut self, with: &str) -> Vec<(String, String)> {
        let history = self.history(with);
        history
            .into_iter()
            .filter_map(|event| match event {
                Event::Message(message) if message.kind != Kind::Removed => {
                    Some((message.from, message.text.as_raw().to_owned()))
                }
                _ => None,
            })
            .collect()
    }

    /// How far one's own message has come, by its id.
    ///
    /// # Panics
    /// It is not in the history.
    pub(crate) fn state_of(&mut self, with: &str, id: &str) -> State {
        let history = self.history(with);
        history
            .iter()
            .find_map(|event| match event {
                Event::Message(message) if message.id == id => Some(message.state),
                _ => None,
            })
            .unwrap_or_else(|| panic!("no message {id} with {with}"))
    }

    /// What is known of somebody's key; `None` of a stranger.
    pub(crate) fn trust_in(&mut self, name: &str) -> Option<Trust> {
        let contacts = self.asks(Command::Contacts);
        contacts.into_iter().find_map(|event| match event {
            Event::Contact { name: contact, trust, .. } if contact.trim_start_matches('@') == name => Some(trust),
            _ => None,
        })
    }

    /// One's own fingerprint and contact link.
    ///
    /// # Panics
    /// The client does not know itself.
    pub(crate) fn me(&mut self) -> (String, String) {
        let events = self.asks(Command::Me);
        events
            .iter()
            .find_map(|event| match event {
                Event::Me { fingerprint, link, .. } => Some((fingerprint.clone(), link.clone())),
                _ => None,
            })
            .unwrap_or_else(|| panic!("{events:?}"))
    }

    /// Messages that the relay has not accepted, and that nobody has confirmed.
    ///
    /// # Panics
    /// The client does not say.
    pub(crate) fn queue(&mut self) -> (u32, u32) {
        let events = self.asks(Command::Status);
        events
            .iter()
            .find_map(|event| match event {
                Event::Status { queued, unconfirmed, .. } => Some((*queued, *unconfirmed)),
                _ => None,
            })
            .unwrap_or_else(|| panic!("{events:?}"))
    }

    /// Whether the client runs.
    pub(crate) fn is_here(&self) -> bool {
        self.world.people[&self.name].engine.is_some()
    }
}

fn said_by_others(message: &Message) -> bool {
    message.state == State::Received && matches!(message.kind, Kind::Text | Kind::Reply)
}

/// The command that sends text.
pub(crate) fn send(to: &str, text: &str, wait: Wait) -> Command {
    Command::Send { to: to.to_owned(), text: text.to_owned(), wait, timeout_ms: 60_000, expire: None }
}

/// The error among these events.
pub(crate) fn error_of(events: &[Event]) -> Option<ErrorCode> {
    events.iter().find_map(|event| match event {
        Event::Error(error) => Some(error.code),
        _ => None,
    })
}
