//! Lines as faces see them, local history, and what `recv` has not given.

use jiff::Timestamp;
use sealpost_spec::account::Name;

use super::change::{MIN_PREFIX, conversation_of, is_said, stands_alone};
use super::command::Waiting;
use super::conversations::no_conversation;
use super::moderation::whom_of;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event, Kind, Message, Text, Trust};
use crate::store::Stored;
use crate::store::messages::Line;

/// How text begins that says what its author does. **[MSG-38]**
const ACTION: &str = "/me ";

impl Engine {
    /// A line as faces see it.
    pub(super) fn view(&self, line: &Line) -> Stored<Message> {
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
        let changed = match &line.target {
            Some(target) if line.kind == Kind::Edit => self.rows().line(&line.account, target)?,
            _ => None,
        };
        let said = changed.as_ref().unwrap_or(line);
        let about = whom_of(line);
        let action = said.text.strip_prefix(ACTION).filter(|_| is_said(said.kind) && said.kind != Kind::File);
        Ok(Message {
            id: line.id.to_string(),
            conversation: line.conversation.clone(),
            from: format!("@{}", line.from),
            verified: trust == Trust::Verified,
            trust,
            sent_at: timestamp(line.sent_at),
            text: Text::new(about.map_or(action.unwrap_or(&said.text), |(_, why)| why)),
            label: self.label_of(&line.from, Some(&line.account)),
            display: self.display_of(&line.account),
            whom: about.map(|(name, _)| format!("@{name}")),
            kind: line.kind,
            target: line.target.map(|target| target.to_string()),
            state: line.state,
            request: direct && !own && contact.is_none_or(|contact| !contact.accepted),
            edited: line.edited,
            reactions: self.reactions_to(line)?,
            expires_at: self.rows().expiry(&line.account, &line.id)?.map(timestamp),
            mentions_me: self.mentions_me(said),
            action: action.is_some(),
            file: if line.kind == Kind::File { self.transfer_of(line)? } else { None },
        })
    }

    /// In a room nothing is shown of who is blocked; their own conversation is asked for by name.
    pub(super) fn is_hidden(&self, line: &Line) -> bool {
        line.conversation.starts_with('#') && self.contacts.get(&line.from).is_some_and(|contact| contact.blocked)
    }

    pub(super) fn history(
        &mut self,
        id: CommandId,
        with: &str,
        limit: Option<u32>,
        before: Option<&str>,
    ) -> Stored<()> {
        let conversation = conversation_of(with);
        let before = before.map(str::to_ascii_lowercase);
        if before.as_ref().is_some_and(|prefix| prefix.len() < MIN_PREFIX) {
            let error = Error::new(ErrorCode::Usage, format!("an id is given by at least {MIN_PREFIX} characters"))
                .advise("sealpost history NAME --json shows the ids");
            return self.end_with(id, error);
        }
        let limit = usize::try_from(limit.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
        let (mut any, mut matches, mut shown, mut lines) = (false, 0, 0, Vec::new());
        self.rows().walk_back(&conversation, |line| {
            any = true;
            let named = before.as_ref().is_some_and(|prefix| line.id.to_string().starts_with(prefix.as_str()));
            if named && stands_alone(line.kind) {
                matches += 1;
                shown = 0;
                lines.clear();
            } else if (before.is_none() || matches > 0) && !self.is_hidden(&line) && shown < limit {
                let stands = stands_alone(line.kind);
                shown += usize::from(stands);
                // What is missing before an edit is missing all the same.
                if stands || line.missing > 0 {
                    lines.push(line);
                }
            }
            // The whole conversation is read where a prefix has to be unique.
            before.is_some() || shown < limit
        })?;
        if !any && !self.knows_conversation(&conversation) {
            return self.end_with(id, no_conversation(&conversation));
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
            if stands_alone(line.kind) {
                let message = self.view(line)?;
                self.tell(Some(id), Event::Message(message));
            }
        }
        self.end(id);
        Ok(())
    }

    pub(super) fn knows_conversation(&self, conversation: &str) -> bool {
        match conversation.strip_prefix('@') {
            Some(name) => {
                name.parse::<Name>().is_ok_and(|name| name == self.own.name || self.contacts.contains_key(&name))
            }
            None => conversation.parse().is_ok_and(|room| self.rooms.contains_key(&room)),
        }
    }

    /// Gives a command what nobody has read; from now on it is.
    pub(super) fn give_fresh(&mut self, id: CommandId, from: Option<&str>, limit: Option<u32>) -> Stored<u32> {
        let lines = self.rows().fresh(|other| from.is_none_or(|from| from == other), limit.unwrap_or(u32::MAX))?;
        let mut given = 0;
        for line in lines {
            self.was_read(&line)?;
            let message = self.view(&line)?;
            given += 1;
            self.tell(Some(id), Event::Message(message));
        }
        Ok(given)
    }

    /// Whoever follows gets what is there: each of them all of it.
    pub(super) fn feed_followers(&mut self) -> Stored<()> {
        let followers: Vec<(CommandId, Option<String>)> = self
            .waits
            .iter()
            .filter_map(|(id, waiting)| match waiting {
                Waiting::Follow { from } => Some((*id, from.clone())),
                _ => None,
            })
            .collect();
        let follows = |from: &Option<String>, line: &str| from.as_ref().is_none_or(|from| from == line);
        if followers.is_empty() {
            return Ok(());
        }
        for line in self.rows().fresh(|other| followers.iter().any(|(_, from)| follows(from, other)), u32::MAX)? {
            self.was_read(&line)?;
            let message = self.view(&line)?;
            for (id, _) in followers.iter().filter(|(_, from)| follows(from, &line.conversation)) {
                self.tell(Some(*id), Event::Message(message.clone()));
            }
        }
        Ok(())
    }
}

/// RFC 3339 with milliseconds. A claim of a stranger's clock: what lies beyond the calendar is shown as its end.
pub(super) fn timestamp(unix_ms: u64) -> String {
    let time =
        i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}
