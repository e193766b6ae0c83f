//! What is known of somebody besides their key: a label, a display name, being away, the rooms that one shares.

use sealpost_crypto::identity::fingerprint;
use sealpost_spec::account::{AccountKey, DeviceList, Name};
use sealpost_spec::room::{MAX_AWAY, MAX_DISPLAY_NAME, PostHash, PostHead, PostId, PostKind, RoomName, one_line};

use super::command::{Look, Waiting};
use super::history::timestamp;
use super::say::Say;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event, Kind, Text, Trust};
use crate::store::Stored;
use crate::store::messages::Line;
use crate::store::people::{Acquaintance, Persona};

/// Longest label in bytes.
pub(super) const MAX_LABEL: usize = 64;

impl Engine {
    /// The key that one knows somebody by: as a contact, or by their first post.
    pub(super) fn account_of(&self, name: &Name) -> Stored<Option<AccountKey>> {
        match self.contacts.get(name).and_then(|contact| contact.account) {
            Some(account) => Ok(Some(account)),
            None => self.rows().first_author(name),
        }
    }

    /// The label that one gave this account; never that of another key under its name.
    pub(super) fn label_of(&self, name: &Name, account: Option<&AccountKey>) -> Option<Text> {
        let known = self.acquaintances.get(name).filter(|known| !known.label.is_empty())?;
        let same = known.account.is_none() || account.is_none() || known.account.as_ref() == account;
        same.then(|| Text::new(known.label.as_str()))
    }

    /// What this account calls itself.
    pub(super) fn display_of(&self, account: &AccountKey) -> Option<Text> {
        let (_, display) = &self.personas.get(account)?.display;
        (!display.is_empty()).then(|| Text::new(display.as_str()))
    }

    /// Why this account is away, where it is.
    pub(super) fn away_of(&self, account: &AccountKey) -> Option<Text> {
        let (_, away) = &self.personas.get(account)?.away;
        (!away.is_empty()).then(|| Text::new(away.as_str()))
    }

    fn change_persona(&mut self, account: &AccountKey, change: impl FnOnce(&mut Persona) -> bool) -> Stored<()> {
        let mut persona = self.personas.get(account).cloned().unwrap_or_else(|| Persona::new(*account));
        if change(&mut persona) {
            self.rows().put_persona(&persona)?;
            self.personas.insert(*account, persona);
        }
        Ok(())
    }

    /// Somebody posts in a room.
    pub(super) fn seen_in(&mut self, room: &RoomName, account: &AccountKey) -> Stored<()> {
        self.change_persona(account, |persona| persona.rooms.insert(room.clone()))
    }

    /// Somebody is no member of a room any more.
    pub(super) fn gone_from(&mut self, room: &RoomName, account: &AccountKey) -> Stored<()> {
        self.change_persona(account, |persona| persona.rooms.remove(room))
    }

    /// Somebody says what they want to be called, or that they are away: the newest by their clock counts. **[ROOM-19]**
    pub(super) fn called(&mut self, room: &RoomName, head: &PostHead, line: &Line) -> Stored<()> {
        let said = (head.time, line.text.clone());
        let mut news = false;
        self.change_persona(&head.account, |persona| {
            let known = if head.kind == PostKind::Name { &mut persona.display } else { &mut persona.away };
            let newer = known.0 <= said.0;
            if newer {
                news = known.1 != said.1;
                *known = said;
            }
            newer
        })?;
        if news && !self.is_hidden(line) {
            self.tell_about(room, &head.author, &head.account);
        }
        Ok(())
    }

    /// What somebody wanted to be called, or why they are away, was taken away.
    pub(super) fn called_no_more(&mut self, room: &RoomName, head: &PostHead, line: &Line) -> Stored<()> {
        let mut gone = false;
        self.change_persona(&head.account, |persona| {
            let known = if line.kind == Kind::Name { &mut persona.display } else { &mut persona.away };
            gone = (known.0, known.1.as_str()) == (head.time, line.text.as_str()) && !known.1.is_empty();
            if gone {
                known.1.clear();
            }
            gone
        })?;
        if gone && !self.is_hidden(line) {
            self.tell_about(room, &head.author, &head.account);
        }
        Ok(())
    }

    fn tell_about(&mut self, room: &RoomName, name: &Name, account: &AccountKey) {
        let event = Event::About {
            conversation: room.to_string(),
            from: format!("@{name}"),
            display: self.display_of(account),
            away: self.away_of(account),
        };
        self.tell(None, event);
    }

    /// What one has noted of everybody is brought up to date with what changed about them.
    pub(super) fn acquaint(&mut self, name: &Name) -> Stored<()> {
        let Some(contact) = self.contacts.get(name).filter(|_| !self.is_own(name)) else { return Ok(()) };
        let mut known = self.acquaintances.get(name).cloned().unwrap_or_else(|| Acquaintance::new(name.clone()));
        let before = known.clone();
        if contact.account.is_some() && known.account != contact.account {
            // A label that was given to another key is nothing to go by.
            if known.account.is_some() {
                known.label.clear();
            }
            (known.account, known.seen_at) = (contact.account, self.now);
        }
        if known.verified != contact.verified {
            (known.verified, known.verified_at) = (contact.verified, self.now);
        }
        if known != before {
            self.rows().put_acquaintance(&known)?;
            self.acquaintances.insert(name.clone(), known);
        }
        Ok(())
    }

    /// `alias NAME [LABEL]`
    pub(super) fn alias(&mut self, id: CommandId, name: &str, label: String) -> Stored<()> {
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        if one_line(label.as_bytes(), MAX_LABEL).is_none() {
            let error = Error::new(ErrorCode::Usage, format!("a label is one line of at most {MAX_LABEL} bytes"));
            return self.end_with(id, error.advise(format!("sealpost alias {name} LABEL")));
        }
        let account = self.account_of(&name)?;
        if account.is_none() && !self.contacts.contains_key(&name) {
            let error = Error::new(ErrorCode::NoSuchName, format!("@{name} is not known here"));
            return self.end_with(id, error.advise(format!("sealpost whois {name}")));
        }
        let mut known = self.acquaintances.get(&name).cloned().unwrap_or_else(|| Acquaintance::new(name.clone()));
        known.account = known.account.or(account);
        label.trim().clone_into(&mut known.label);
        self.rows().put_acquaintance(&known)?;
        self.acquaintances.insert(name.clone(), known);
        if self.contacts.contains_key(&name) {
            self.contacts_touched.insert(name.clone());
            let conversation = format!("@{name}");
            let event = self.conversation_event(&conversation)?;
            self.tell(None, event);
        }
        self.tell_person(id, &name, None)
    }

    /// `whois NAME`
    pub(super) fn whois(&mut self, id: CommandId, name: &str) -> Stored<()> {
        let bare = name.strip_prefix('@').unwrap_or(name);
        if bare == self.own.name.as_str() {
            let own = self.own.name.clone();
            return self.tell_person(id, &own, None);
        }
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        if self.account_of(&name)?.is_some() || self.contacts.get(&name).is_some_and(|known| known.pinned.is_some()) {
            return self.tell_person(id, &name, None);
        }
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        self.look_up(id, name, Look::Whois);
        Ok(())
    }

    /// Asks the directory for a name that a command is about.
    pub(super) fn look_up(&mut self, id: CommandId, name: Name, then: Look) {
        self.go_online();
        self.wait_a_while(id, Waiting::Look { name: name.clone(), then });
        self.fetch_devices(&name);
    }

    /// The directory has told whose key a name has: what was asked because of it goes on. Nothing is pinned by it.
    pub(super) fn looked_up(&mut self, name: &Name, list: &DeviceList) -> Stored<()> {
        let waiting: Vec<(CommandId, Look)> = self
            .waits
            .iter()
            .filter_map(|(id, waiting)| match waiting {
                Waiting::Look { name: wanted, then } if wanted == name => Some((*id, then.clone())),
                _ => None,
            })
            .collect();
        for (id, then) in waiting {
            match then {
                Look::Whois => self.tell_person(id, name, Some(list))?,
                Look::Moderate { room, kind, reason } => {
                    self.decide_about(id, &room, kind, name.clone(), list.account, reason)?;
                }
            }
        }
        Ok(())
    }

    /// Everything that is known of somebody. `shown`: what the directory says of whom one does not know.
    fn tell_person(&mut self, id: CommandId, name: &Name, shown: Option<&DeviceList>) -> Stored<()> {
        let own = *name == self.own.name;
        let account = if own { Some(self.own.account) } else { self.account_of(name)? };
        let account = account.or(shown.map(|list| list.account));
        let contact = self.contacts.get(name);
        let known = self.acquaintances.get(name);
        let list = match contact.and_then(|contact| contact.list.as_ref()) {
            _ if own => DeviceList::parse(&self.own.list.body.0).ok(),
            Some(list) => DeviceList::parse(&list.body.0).ok(),
            None => shown.cloned(),
        };
        let print = account.as_ref().map(fingerprint).or(contact.and_then(|contact| contact.pinned));
        let persona = account.as_ref().and_then(|account| self.personas.get(account));
        let shared = |room: &&RoomName| self.rooms.get(*room).is_some_and(|room| room.joined);
        let time = |at: u64| (at > 0).then(|| timestamp(at));
        let event = Event::Person {
            name: name.to_string(),
            fingerprint: print.map_or_else(String::new, |print| print.to_string()),
            trust: if own { Trust::Verified } else { self.trust_of(name) },
            label: self.label_of(name, account.as_ref()),
            display: account.as_ref().and_then(|account| self.display_of(account)),
            away: account.as_ref().and_then(|account| self.away_of(account)),
            blocked: contact.is_some_and(|contact| contact.blocked),
            accepted: own || contact.is_some_and(|contact| contact.accepted),
            changed: contact.and_then(Self::changed_fingerprint),
            rooms: persona
                .map_or_else(Vec::new, |known| known.rooms.iter().filter(shared).map(ToString::to_string).collect()),
            devices: list.map_or_else(Vec::new, |list| list.devices.iter().map(|device| device.id.0).collect()),
            first_seen: known.and_then(|known| time(known.seen_at)),
            verified_since: known.filter(|known| known.verified).and_then(|known| time(known.verified_at)),
        };
        self.tell(Some(id), event);
        self.end(id);
        Ok(())
    }

    /// `nick [NAME]`: what one calls oneself, told in one's rooms.
    pub(super) fn nick(&mut self, id: CommandId, display: &str) -> Stored<()> {
        self.say_of_oneself(id, PostKind::Name, display, MAX_DISPLAY_NAME)
    }

    /// `away [TEXT]`: away, or without text back.
    pub(super) fn away(&mut self, id: CommandId, why: &str) -> Stored<()> {
        self.say_of_oneself(id, PostKind::Away, why, MAX_AWAY)
    }

    fn say_of_oneself(&mut self, id: CommandId, kind: PostKind, text: &str, most: usize) -> Stored<()> {
        let text = text.trim().to_owned();
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        if one_line(text.as_bytes(), most).is_none() {
            let error = Error::new(ErrorCode::Usage, format!("this is one line of at most {most} bytes"));
            return self.end_with(id, error.because(format!("yours has {}", text.len())).advise("say it shorter"));
        }
        let (now, said) = (self.now, text.clone());
        self.change_persona(&self.own.account.clone(), |persona| {
            *(if kind == PostKind::Name { &mut persona.display } else { &mut persona.away }) = (now, said);
            true
        })?;
        self.go_online();
        let rooms: Vec<RoomName> =
            self.rooms.values().filter(|room| room.joined).map(|room| room.name.clone()).collect();
        let mut posts = Vec::with_capacity(rooms.len());
        for room in &rooms {
            posts.push(self.post_of_oneself(room, kind, text.clone())?);
        }
        if posts.is_empty() {
            self.tell(Some(id), Event::Done);
            self.end(id);
            return Ok(());
        }
        self.wait_a_while(id, Waiting::Posts { left: posts.into_iter().collect() });
        for room in &rooms {
            self.offer_posts(room)?;
        }
        Ok(())
    }

    fn post_of_oneself(&mut self, room: &RoomName, kind: PostKind, text: String) -> Stored<PostId> {
        let line = if kind == PostKind::Name { Kind::Name } else { Kind::Away };
        let say = Say { kind: line, ..Say::text(text.clone()) };
        self.post_as(room, kind, &say, text, (PostId::NONE, PostHash::default()))
    }

    /// Whoever enters a room says there what the others know already.
    pub(super) fn introduce_oneself(&mut self, room: &RoomName) -> Stored<()> {
        let Some(persona) = self.personas.get(&self.own.account) else { return Ok(()) };
        let (display, away) = (persona.display.1.clone(), persona.away.1.clone());
        for (kind, text) in [(PostKind::Name, display), (PostKind::Away, away)] {
            if !text.is_empty() {
                self.post_of_oneself(room, kind, text)?;
            }
        }
        Ok(())
    }

    /// A post reached the relay, or never will: whoever waits for it waits for one less.
    pub(super) fn post_settled(&mut self, post: PostId) {
        let mut over = Vec::new();
        for (id, waiting) in &mut self.waits {
            if let Waiting::Posts { left } = waiting
                && left.remove(&post)
                && left.is_empty()
            {
                over.push(*id);
            }
        }
        for id in over {
            self.tell(Some(id), Event::Done);
            self.end(id);
        }
    }
}
