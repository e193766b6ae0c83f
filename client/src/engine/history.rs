//! Lines as faces see them, local history, and what `recv` has not given.

use jiff::Timestamp;
use sealpost_spec::account::Name;

use super::command::Waiting;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event, Kind, Message, Text, Trust};
use crate::store::Stored;
use crate::store::messages::Line;

/// Shortest prefix that names a message.
const MIN_PREFIX: usize = 4;

impl Engine {
    /// A line as faces see it.
    pub(super) fn view(&self, line: &Line) -> Message {
        let own = line.account == self.own.account;
        let contact = self.contacts.get(&line.from);
        let trust = match contact {
            _ if own => Trust::Verified,
            // A line of an earlier key, in an archived conversation or a room; or of whoever took the name there before
            // a link told the key.
            Some(contact) if Self::contradicts(contact, &line.account) => Trust::KeyChanged,
            _ => self.trust_of(&line.from),
        };
        let direct = line.conversation.starts_with('@');
        Message {
            id: line.id.to_string(),
            conversation: line.conversation.clone(),
            from: format!("@{}", line.from),
            verified: trust == Trust::Verified,
            trust,
            sent_at: timestamp(line.sent_at),
            text: Text::new(line.text.clone()),
            kind: line.kind,
            target: line.target.map(|target| target.to_string()),
            state: line.state,
            request: direct && !own && contact.is_none_or(|contact| !contact.accepted),
        }
    }

    pub(super) fn history(
        &mut self,
        id: CommandId,
        with: &str,
        limit: Option<u32>,
        before: Option<&str>,
    ) -> Stored<()> {
        let conversation = match with.chars().next() {
            Some('#' | '@') => with.to_owned(),
            _ => format!("@{with}"),
        };
        let before = before.map(str::to_ascii_lowercase);
        if before.as_ref().is_some_and(|prefix| prefix.len() < MIN_PREFIX) {
            let error = Error::new(ErrorCode::Usage, format!("an id is given by at least {MIN_PREFIX} characters"))
                .advise("sealpost history NAME --json shows the ids");
            return self.end_with(id, error);
        }
        let limit = usize::try_from(limit.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
        // In a room nothing is shown of who is blocked; their own conversation is asked for by name.
        let blocked = |name: &Name| self.contacts.get(name).is_some_and(|contact| contact.blocked);
        let hidden = |line: &Line| line.conversation.starts_with('#') && blocked(&line.from);
        let (mut any, mut matches, mut lines) = (false, 0, Vec::new());
        self.rows().walk_back(&conversation, |line| {
            any = true;
            let named = before.as_ref().is_some_and(|prefix| line.id.to_string().starts_with(prefix.as_str()));
            if named {
                matches += 1;
                lines.clear();
            } else if (before.is_none() || matches > 0) && shown(&line) && !hidden(&line) && lines.len() < limit {
                lines.push(line);
            }
            // The whole conversation is read where a prefix has to be unique.
            before.is_some() || lines.len() < limit
        })?;
        if !any && !self.knows_conversation(&conversation) {
            let (code, what) = if conversation.starts_with('#') {
                (ErrorCode::NoSuchRoom, "room")
            } else {
                (ErrorCode::NoSuchName, "conversation")
            };
            let error = Error::new(code, format!("there is no {what} {conversation} here"));
            return self.end_with(id, error.advise("sealpost contacts"));
        }
        if before.is_some() && matches != 1 {
            let message = if matches == 0 { "no message has this id" } else { "more than one message has such an id" };
            let error = Error::new(ErrorCode::NoSuchMessage, message);
            return self.end_with(id, error.advise(format!("sealpost history '{conversation}'")));
        }
        for line in lines.iter().rev() {
            if line.missing > 0 && line.account != self.own.account {
                let gap = Event::Gap {
                    conversation: conversation.clone(),
                    from: format!("@{}", line.from),
                    missing: line.missing,
                };
                self.tell(Some(id), gap);
            }
            let message = self.view(line);
            self.tell(Some(id), Event::Message(message));
        }
        self.end(id);
        Ok(())
    }

    fn knows_conversation(&self, conversation: &str) -> bool {
        match conversation.strip_prefix('@') {
            Some(name) => {
                name.parse::<Name>().is_ok_and(|name| name == self.own.name || self.contacts.contains_key(&name))
            }
            None => conversation.parse().is_ok_and(|room| self.rooms.contains_key(&room)),
        }
    }

    /// Gives a command what no `recv` has given.
    pub(super) fn give_fresh(&mut self, id: CommandId, from: Option<&str>, limit: Option<u32>) -> Stored<u32> {
        let lines = self.rows().take_fresh(from, limit.unwrap_or(u32::MAX))?;
        let mut given = 0;
        for line in lines {
            self.count_unread(&line.conversation, -1);
            if shown(&line) {
                given += 1;
                let message = self.view(&line);
                self.tell(Some(id), Event::Message(message));
            }
        }
        Ok(given)
    }

    /// Whoever follows gets what is there.
    pub(super) fn feed_followers(&mut self) -> Stored<()> {
        let followers: Vec<(CommandId, Option<String>)> = self
            .waits
            .iter()
            .filter_map(|(id, waiting)| match waiting {
                Waiting::Follow { from } => Some((*id, from.clone())),
                _ => None,
            })
            .collect();
        for (id, from) in followers {
            self.give_fresh(id, from.as_deref(), None)?;
        }
        Ok(())
    }
}

/// Edits and deletions show in the line they changed.
fn shown(line: &Line) -> bool {
    !matches!(line.kind, Kind::Edit | Kind::Delete)
}

/// RFC 3339 with milliseconds. A claim of a stranger's clock: what lies beyond the calendar is shown as its end.
pub(super) fn timestamp(unix_ms: u64) -> String {
    let time =
        i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}
