//! Conversations as a whole: what is unread, drafts, who is muted, strangers who wait for a word.

use sealpost_spec::account::Name;

use super::change::{conversation_of, is_said, stands_alone};
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event, Kind, Text};
use crate::store::Stored;
use crate::store::changes::Conversation;
use crate::store::messages::{Expiry, Line};

/// Longest draft, in bytes: longer than any message may be.
const MAX_DRAFT: usize = 64 * 1024;

/// Whether text mentions somebody: their name with `@` before it, as a word.
pub(super) fn mentions(text: &str, name: &Name) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.match_indices('@').any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let word = &after[..after.find(|c| !is_of_name(c)).unwrap_or(after.len())];
        // A full stop ends a sentence more often than a name.
        let sentence = word.trim_end_matches(['.', '-', '_']);
        !before.ends_with(|c: char| c.is_ascii_alphanumeric())
            && (word.eq_ignore_ascii_case(name.as_str()) || sentence.eq_ignore_ascii_case(name.as_str()))
    })
}

impl Engine {
    /// Whether this line mentions oneself.
    pub(super) fn mentions_me(&self, line: &Line) -> bool {
        line.account != self.own.account && is_said(line.kind) && mentions(&line.text, &self.own.name)
    }

    pub(super) fn conversation_mut(&mut self, name: &str) -> &mut Conversation {
        self.conversations_touched.insert(name.to_owned());
        self.conversations
            .entry(name.to_owned())
            .or_insert_with(|| Conversation { name: name.to_owned(), ..Conversation::default() })
    }

    /// A line came that nobody has read.
    pub(super) fn add_unread(&mut self, line: &Line) -> Stored<()> {
        // One's own words from another device are known to whoever wrote them.
        if line.account == self.own.account {
            return Ok(());
        }
        // Of a message that is not read yet, its present state is given: what changed it is no news.
        if !stands_alone(line.kind)
            && let Some(target) = &line.target
        {
            let unheard = match line.kind {
                Kind::Delete => self.rows().change(&line.account, target)?.is_some_and(|change| change.unheard),
                _ => self.rows().is_fresh(&line.account, target)?,
            };
            if unheard {
                return Ok(());
            }
        }
        self.rows().add_fresh(line)?;
        if is_said(line.kind) {
            self.count_unread(&line.conversation, 1);
        }
        if self.mentions_me(line) {
            let conversation = self.conversation_mut(&line.conversation);
            conversation.mentions = conversation.mentions.saturating_add(1);
        }
        Ok(())
    }

    /// A line need not be read any more: it was, or it is gone. Whether it was unread.
    pub(super) fn forget_unread(&mut self, line: &Line) -> Stored<bool> {
        if !self.rows().drop_fresh(&line.account, &line.id)? {
            return Ok(false);
        }
        if !is_said(line.kind) && line.kind != Kind::Removed {
            return Ok(true);
        }
        self.count_unread(&line.conversation, -1);
        let unread = self.unread(&line.conversation);
        if let Some(known) = self.conversations.get(&line.conversation).filter(|known| known.mentions > 0) {
            let left = known.mentions - u32::from(self.mentions_me(line));
            self.conversation_mut(&line.conversation).mentions = left.min(unread);
        }
        Ok(true)
    }

    fn unread(&self, conversation: &str) -> u32 {
        match conversation.strip_prefix('@') {
            Some(name) => {
                name.parse().ok().and_then(|name: Name| self.contacts.get(&name)).map_or(0, |known| known.unread)
            }
            None => conversation.parse().ok().and_then(|room| self.rooms.get(&room)).map_or(0, |room| room.unread),
        }
    }

    fn count_unread(&mut self, conversation: &str, by: i32) {
        if let Some(name) = conversation.strip_prefix('@').and_then(|name| name.parse::<Name>().ok())
            && let Some(contact) = self.contact_mut(&name)
        {
            contact.unread = contact.unread.saturating_add_signed(by);
        } else if let Ok(name) = conversation.parse()
            && let Some(room) = self.room_mut(&name)
        {
            room.unread = room.unread.saturating_add_signed(by);
        }
    }

    /// A conversation as faces list it.
    pub(super) fn conversation_event(&self, name: &str) -> Stored<Event> {
        let mut last = None;
        self.rows().walk_back(name, |line| {
            if stands_alone(line.kind) && !self.is_hidden(&line) {
                last = Some(line);
            }
            last.is_none()
        })?;
        let person = name.strip_prefix('@').and_then(|name| name.parse::<Name>().ok());
        let contact = person.as_ref().and_then(|person| self.contacts.get(person));
        let room = name.parse().ok().and_then(|room| self.rooms.get(&room));
        let known = self.conversations.get(name);
        let draft = known.map(|known| known.draft.as_str()).filter(|draft| !draft.is_empty());
        let unread = self.unread(name);
        Ok(Event::Conversation {
            name: name.to_owned(),
            trust: person.as_ref().map(|person| self.trust_of(person)),
            unread,
            mentions: known.map_or(0, |known| known.mentions.min(unread)),
            muted: known.is_some_and(|known| known.muted),
            request: contact.is_some_and(|contact| !contact.accepted && !contact.blocked),
            blocked: contact.is_some_and(|contact| contact.blocked),
            joined: room.map(|room| room.joined),
            topic: room.and_then(|room| self.shown_topic(&room.name)),
            creator: room.and_then(|room| self.creator_of(&room.name)).map(|creator| format!("@{}", creator.name)),
            label: contact.and_then(|contact| self.label_of(&contact.name, contact.account.as_ref())),
            display: contact.and_then(|contact| contact.account).and_then(|account| self.display_of(&account)),
            draft: draft.map(Text::new),
            expire_after: contact.and_then(|contact| contact.expire_after),
            last: last.map(|line| self.view(&line)).transpose()?.map(Box::new),
        })
    }

    pub(super) fn list_conversations(&mut self, id: CommandId) -> Stored<()> {
        let own = format!("@{}", self.own.name);
        let people = self.people().map(|contact| format!("@{}", contact.name));
        let names: Vec<String> =
            people.chain(self.rooms.keys().map(ToString::to_string)).chain([own.clone()]).collect();
        let mut listed = Vec::new();
        for name in names {
            let event = self.conversation_event(&name)?;
            let Event::Conversation { last, request, joined, draft, .. } = &event else { continue };
            let begun = last.is_some() || draft.is_some();
            // Whose key one has only looked at, a room that one left, notes that nobody made.
            if !begun && (*request || *joined == Some(false) || name == own) {
                continue;
            }
            // A stranger's clock may say anything; nothing is newer than now.
            let at = last.as_ref().map(|last| last.sent_at.clone().min(super::history::timestamp(self.now)));
            listed.push((at, event));
        }
        listed.sort_by(|(left, _), (right, _)| right.cmp(left));
        for (_, event) in listed {
            self.tell(Some(id), event);
        }
        self.end(id);
        Ok(())
    }

    /// The conversation that a command names; ends the command where there is none.
    pub(super) fn conversation_for(&mut self, id: CommandId, with: &str) -> Stored<Option<String>> {
        let conversation = conversation_of(with);
        if self.knows_conversation(&conversation) {
            return Ok(Some(conversation));
        }
        let error = no_conversation(&conversation);
        self.end_with(id, error)?;
        Ok(None)
    }

    /// Tells a command and everybody else how a conversation is now.
    fn tell_conversation(&mut self, id: Option<CommandId>, name: &str) -> Stored<()> {
        let event = self.conversation_event(name)?;
        if id.is_some() {
            self.tell(id, event.clone());
        }
        self.tell(None, event);
        Ok(())
    }

    pub(super) fn mark_read(&mut self, id: CommandId, with: &str, through: Option<&str>) -> Stored<()> {
        let Some(conversation) = self.conversation_for(id, with)? else { return Ok(()) };
        let last = match through.map(|through| self.find(through, Some(&conversation))).transpose()? {
            None => i64::MAX,
            Some(Ok(line)) => self.rows().place(&line.account, &line.id)?.unwrap_or(i64::MAX),
            Some(Err(error)) => return self.end_with(id, error),
        };
        let mut any = false;
        for line in self.rows().fresh(|other| other == conversation, u32::MAX)? {
            if self.rows().place(&line.account, &line.id)?.is_none_or(|place| place <= last) {
                self.was_read(&line)?;
                any = true;
            }
        }
        if any {
            self.tell_conversation(None, &conversation)?;
        }
        self.tell(Some(id), Event::Done);
        self.end(id);
        Ok(())
    }

    pub(super) fn mute(&mut self, id: CommandId, with: &str, on: bool) -> Stored<()> {
        let Some(conversation) = self.conversation_for(id, with)? else { return Ok(()) };
        self.conversation_mut(&conversation).muted = on;
        self.tell_conversation(Some(id), &conversation)?;
        self.end(id);
        Ok(())
    }

    pub(super) fn keep_draft(&mut self, id: CommandId, with: &str, text: String) -> Stored<()> {
        if text.len() > MAX_DRAFT {
            let error = Error::new(ErrorCode::Usage, format!("a draft has at most {MAX_DRAFT} bytes"));
            return self.end_with(id, error);
        }
        let Some(conversation) = self.conversation_for(id, with)? else { return Ok(()) };
        self.conversation_mut(&conversation).draft = text;
        self.tell(Some(id), Event::Done);
        self.end(id);
        Ok(())
    }

    /// `accept NAME`: a stranger no more.
    pub(super) fn accept(&mut self, id: CommandId, name: &str) -> Stored<()> {
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        if !self.contacts.contains_key(&name) {
            return self.end_with(id, nobody_known(&name));
        }
        self.go_online();
        self.accept_contact(&name);
        self.tell_conversation(None, &format!("@{name}"))?;
        self.tell_contact(id, &name);
        Ok(())
    }

    /// `refuse NAME`: what a stranger wrote is deleted. Their session stays, so that a later message is a request again
    /// and not an unreadable one; they learn nothing.
    pub(super) fn refuse_stranger(&mut self, id: CommandId, name: &str) -> Stored<()> {
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        let Some(contact) = self.contacts.get(&name) else { return self.end_with(id, nobody_known(&name)) };
        if contact.accepted {
            let error = Error::new(ErrorCode::Usage, format!("@{name} is no stranger"));
            return self.end_with(id, error.advise(format!("sealpost block {name}")));
        }
        let (conversation, mut lines) = (format!("@{name}"), Vec::new());
        self.rows().walk_back(&conversation, |line| {
            lines.push(line);
            true
        })?;
        for line in lines {
            self.delete_everything_of(&line)?;
        }
        for peer in self.peers_of(&name) {
            if let Some(peer) = self.peer_mut(&peer) {
                peer.held.clear();
                peer.unreceipted.clear();
                peer.unreadable.clear();
            }
        }
        if self.contacts.get(&name).is_some_and(|contact| !contact.blocked) {
            self.contacts.remove(&name);
            self.contacts_touched.insert(name);
        }
        self.conversations.remove(&conversation);
        self.conversations_touched.insert(conversation);
        self.tell(Some(id), Event::Done);
        self.end(id);
        Ok(())
    }

    /// Deletes a line and all that is known of it.
    pub(super) fn delete_everything_of(&mut self, line: &Line) -> Stored<()> {
        self.forget_unread(line)?;
        self.forget_reactions(line)?;
        self.forget_file(line)?;
        self.rows().delete_change(&line.account, &line.id)?;
        self.rows().take_countdown(&line.account, &line.id)?;
        self.rows().delete_expiry(&Expiry { at: 0, account: line.account, id: line.id })?;
        self.rows().delete_line(&line.account, &line.id)?;
        Ok(())
    }
}

/// The error of a conversation that is not there.
pub(super) fn no_conversation(conversation: &str) -> Error {
    let (code, what, instead) = if conversation.starts_with('#') {
        (ErrorCode::NoSuchRoom, "room", "sealpost rooms")
    } else {
        (ErrorCode::NoSuchName, "conversation", "sealpost contacts")
    };
    Error::new(code, format!("there is no {what} {conversation} here")).advise(instead)
}

fn nobody_known(name: &Name) -> Error {
    Error::new(ErrorCode::NoSuchName, format!("@{name} is not known here")).advise("sealpost contacts")
}

#[cfg(test)]
mod tests {
    use super::mentions;

    /// A mention is a word: an address, a longer name or a name without its sign is none.
    #[test]
    fn a_mention_is_the_whole_name() {
        let bob = "bob".parse().unwrap();
        for text in ["@bob", "hi @bob, hello", "(@Bob)", "is it you, @bob?", "ask @bob.", "@bob's", "日本@bob"] {
            assert!(mentions(text, &bob), "{text}");
        }
        for text in ["bob", "@bobby", "x@bob", "@bob.smith", "@", "", "@@", "@bo b"] {
            assert!(!mentions(text, &bob), "{text}");
        }
    }
}
