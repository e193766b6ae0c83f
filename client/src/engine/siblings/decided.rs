//! What was decided of people and rooms is the same on all devices: the later decision counts. **[MSG-44]**

use std::collections::BTreeSet;

use sealpost_crypto::identity::{fingerprint, verify_devices};
use sealpost_spec::account::{DeviceId, DeviceList, Name};
use sealpost_spec::mailbox::DeliveryToken;
use sealpost_spec::message::{DeviceSync, SyncedPerson};
use sealpost_spec::room::{MAX_ROOMS_JOINED, RoomName, one_line};
use sealpost_spec::wire::Signed;

use crate::api::Event;
use crate::engine::devices::{Verdict, judge};
use crate::engine::people::MAX_LABEL;
use crate::engine::{DAY, Engine, send};
use crate::store::Stored;
use crate::store::devices::{Decided, DeviceNumber, Shared};
use crate::store::people::{Acquaintance, Contact, PeerId};
use crate::store::rooms::Room;

/// A time further ahead of one's own clock than this, in milliseconds, is taken for this. **[MSG-44]**
const MAX_AHEAD: u64 = DAY;
/// So many people and rooms are taken from other devices at most. **[MSG-48]**
const MAX_KNOWN: usize = 10_000;
/// No device: what it said is overruled by whatever another one says.
const NOBODY: DeviceId = DeviceId(0);

impl Engine {
    /// What one has decided of a person or room; `None` where that is nothing, and was nothing before. **[MSG-44]**
    fn decided(&self, name: &str) -> Option<Decided> {
        // A stranger who has only written is known to each device by what came to it.
        self.state_of(name).filter(|state| !state.is_nothing() || self.siblings.shared.contains_key(name))
    }

    /// What is decided of a person or room that is known here.
    fn state_of(&self, name: &str) -> Option<Decided> {
        let muted = self.conversations.get(name).is_some_and(|known| known.muted);
        if let Ok(room) = name.parse::<RoomName>()
            && name.starts_with('#')
        {
            let joined = self.rooms.get(&room)?.joined;
            return Some(Decided::Room { joined, muted });
        }
        let person: Name = name.strip_prefix('@')?.parse().ok()?;
        let contact = self.contacts.get(&person).filter(|contact| contact.name != self.own.name)?;
        let label = self.acquaintances.get(&person).map(|known| known.label.clone()).unwrap_or_default();
        let Contact { account, pinned, verified, accepted, blocked, expire_after, .. } = *contact;
        Some(Decided::Person { account, pinned, verified, accepted, blocked, muted, expire_after, label })
    }

    /// What this step has decided is told. Before the step's commit.
    pub(in crate::engine) fn share_decisions(&mut self) -> Stored<()> {
        if !self.has_siblings() {
            return Ok(());
        }
        let people = self.contacts_touched.iter().map(|name| format!("@{name}"));
        let rooms = self.rooms_touched.iter().map(ToString::to_string);
        let names: BTreeSet<String> = people.chain(rooms).chain(self.conversations_touched.iter().cloned()).collect();
        for name in names {
            let Some(state) = self.decided(&name) else { continue };
            let known = self.siblings.shared.get(&name);
            if known.is_some_and(|known| known.state == state) {
                continue;
            }
            let at = self.later_than(known.map_or(0, |known| known.at));
            let shared = Shared { name, state, at, by: self.own.device.id };
            self.keep_shared(&shared)?;
            if let Some(item) = self.item_of(&shared) {
                self.tell_siblings(item)?;
            }
        }
        Ok(())
    }

    fn keep_shared(&mut self, shared: &Shared) -> Stored<()> {
        self.rows().put_shared(shared)?;
        self.siblings.shared.insert(shared.name.clone(), shared.clone());
        Ok(())
    }

    fn item_of(&self, shared: &Shared) -> Option<DeviceSync> {
        let at = shared.at;
        match shared.state.clone() {
            Decided::Room { joined, muted } => {
                Some(DeviceSync::Room { at, room: shared.name.parse().ok()?, joined, muted })
            }
            Decided::Person { account, pinned, verified, accepted, blocked, muted, expire_after, label } => {
                let name: Name = shared.name.strip_prefix('@')?.parse().ok()?;
                let contact = self.contacts.get(&name)?;
                let (list, token) = (contact.list.clone(), contact.token);
                Some(DeviceSync::Person(SyncedPerson {
                    at,
                    name,
                    account,
                    pinned,
                    list,
                    token,
                    verified,
                    accepted,
                    blocked,
                    muted,
                    expire_after,
                    label,
                }))
            }
        }
    }

    /// All that a new device is told: people, rooms, settings, the token. **[MSG-45]**
    pub(super) fn everything(&mut self) -> Stored<Vec<DeviceSync>> {
        let people = self.people().map(|contact| format!("@{}", contact.name));
        let names: Vec<String> = people.chain(self.rooms.keys().map(ToString::to_string)).collect();
        let row = &self.siblings.row;
        let (token_at, settings_at) = (row.token_at, row.settings_at);
        let mut items = vec![
            DeviceSync::Token { at: token_at, token: self.own.token },
            DeviceSync::Settings {
                at: settings_at,
                read_receipts: self.choices.read_receipts,
                typing: self.choices.typing,
            },
        ];
        for name in names {
            let Some(state) = self.decided(&name) else { continue };
            let known = self.siblings.shared.get(&name).filter(|known| known.state == state).cloned();
            let shared = match known {
                Some(known) => known,
                None => {
                    let shared = Shared { name, state, at: self.now, by: self.own.device.id };
                    self.keep_shared(&shared)?;
                    shared
                }
            };
            items.extend(self.item_of(&shared));
        }
        Ok(items)
    }

    /// The time of what is decided here and now: after all that this device knows of the matter, whichever clock that came from.
    fn later_than(&self, known: u64) -> u64 {
        self.now.max(known.saturating_add(1))
    }

    /// The time of what another device has decided: its own word, so that all devices put decisions into one order, however far apart
    /// their clocks are. But no time lies so far ahead that nothing would ever be later. **[MSG-44]**
    fn decided_at(&self, at: u64) -> u64 {
        at.min(self.now.saturating_add(MAX_AHEAD))
    }

    /// What devices said that the account has no more was decided before all that the others say. **[ACCT-27]**
    pub(super) fn overrule(&mut self, gone: &[PeerId]) -> Stored<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let said_it = |by: DeviceNumber| gone.iter().any(|(_, device)| device.0 == by);
        let row = &mut self.siblings.row;
        if said_it(row.token_by) {
            (row.token_at, row.token_by) = (0, 0);
        }
        if said_it(row.settings_by) {
            (row.settings_at, row.settings_by) = (0, 0);
        }
        self.put_siblings()?;
        let theirs: Vec<Shared> =
            self.siblings.shared.values().filter(|shared| said_it(shared.by.0)).cloned().collect();
        for shared in theirs {
            self.keep_shared(&Shared { at: 0, by: NOBODY, ..shared })?;
        }
        Ok(())
    }

    /// Whether what another device says was decided later than what is known here.
    fn is_news(&self, name: &str, at: u64, by: DeviceId) -> bool {
        self.siblings.shared.get(name).is_none_or(|known| (at, by) > (known.at, known.by))
    }

    /// Whether this device takes somebody's name from another one. **[MSG-48]**
    pub(super) fn has_room_for(&mut self, name: &Name) -> bool {
        let known = self.contacts.contains_key(name);
        let fits = known || self.contacts.len().max(self.siblings.shared.len()) < MAX_KNOWN;
        if !fits {
            self.refuse(None, "another device of yours knows more people than this one keeps");
        }
        fits
    }

    /// Another device has decided something of a room.
    pub(super) fn hear_room(
        &mut self,
        by: DeviceId,
        at: u64,
        room: &RoomName,
        joined: bool,
        muted: bool,
    ) -> Stored<()> {
        let name = room.to_string();
        let at = self.decided_at(at);
        let known = self.rooms.get(room);
        let full = known.is_none() && self.siblings.shared.len() >= MAX_KNOWN
            || joined
                && known.is_none_or(|known| !known.joined)
                && self.rooms.values().filter(|room| room.joined).count() >= MAX_ROOMS_JOINED;
        if full {
            self.refuse(None, "another device of yours knows more rooms than this one keeps");
        }
        if full || !self.is_news(&name, at, by) {
            return Ok(());
        }
        self.keep_shared(&Shared { name: name.clone(), state: Decided::Room { joined, muted }, at, by })?;
        if joined && !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), Room::new(room.clone()));
        }
        let was = self.rooms.get(room).is_some_and(|known| known.joined);
        if let Some(known) = self.room_mut(room) {
            known.joined = joined;
        }
        if self.conversations.get(&name).is_some_and(|known| known.muted) != muted {
            self.conversation_mut(&name).muted = muted;
        }
        if joined && !was {
            self.follow(room);
        }
        if self.rooms.contains_key(room) {
            let event = self.conversation_event(&name)?;
            self.tell(None, event);
        }
        Ok(())
    }

    /// Another device has decided something of a person.
    pub(super) fn hear_person(&mut self, by: DeviceId, person: SyncedPerson) -> Stored<()> {
        let (name, at) = (person.name.clone(), self.decided_at(person.at));
        let conversation = format!("@{name}");
        if self.is_own(&name) || !self.is_news(&conversation, at, by) || person.label.len() > MAX_LABEL {
            return Ok(());
        }
        let told = Decided::Person {
            account: person.account,
            pinned: person.pinned,
            verified: person.verified,
            accepted: person.accepted,
            blocked: person.blocked,
            muted: person.muted,
            expire_after: person.expire_after,
            label: person.label.clone(),
        };
        if told.is_nothing() && !self.contacts.contains_key(&name) || !self.has_room_for(&name) {
            return Ok(());
        }
        let list = person.list.as_ref().and_then(|signed| Some((signed, verify_devices(signed).ok()?)));
        let list = list.filter(|(_, list)| list.name == name && Some(list.account) == person.account);
        if !self.take_key_of(&name, &person, list)? {
            return Ok(());
        }
        let label = one_line(person.label.as_bytes(), MAX_LABEL).map(str::to_owned).unwrap_or_default();
        if person.accepted {
            self.accept_contact(&name);
        }
        let Some(contact) = self.contact_mut(&name) else { return Ok(()) };
        // A fingerprint beside a key is that of the key.
        let pinned = person.pinned.filter(|pinned| person.account.is_none_or(|key| fingerprint(&key) == *pinned));
        contact.pinned = pinned.or(contact.pinned);
        // [MSG-44] of one key neither is ever taken back; and a mark is that of a key.
        contact.verified |= person.verified && (person.account.is_some() || person.pinned.is_some());
        contact.accepted |= person.accepted;
        contact.blocked = person.blocked;
        contact.expire_after = person.expire_after;
        contact.token = contact.token.or(person.token);
        let known = self.acquaintances.get(&name).cloned().unwrap_or_else(|| Acquaintance::new(name.clone()));
        if known.label != label {
            let known = Acquaintance { account: known.account.or(person.account), label, ..known };
            self.rows().put_acquaintance(&known)?;
            self.acquaintances.insert(name.clone(), known);
        }
        if self.conversations.get(&conversation).is_some_and(|known| known.muted) != person.muted {
            self.conversation_mut(&conversation).muted = person.muted;
        }
        // As it is by now: where the marks of both were joined, the others learn that.
        let state = self.state_of(&conversation);
        self.keep_shared(&Shared { name: conversation.clone(), state: told.clone(), at, by })?;
        if state.as_ref() != Some(&told) {
            self.contacts_touched.insert(name.clone());
        }
        if let Some(contact) = self.contacts.get(&name) {
            let event = self.contact_event(contact);
            self.tell(None, event);
        }
        let event = self.conversation_event(&conversation)?;
        self.tell(None, event);
        self.pump(&name)
    }

    /// The key that another device knows somebody by. Whether the rest of what it says is about the same person.
    fn take_key_of(&mut self, name: &Name, person: &SyncedPerson, list: Option<(&Signed, DeviceList)>) -> Stored<bool> {
        if !self.contacts.contains_key(name) {
            self.contacts.insert(name.clone(), Contact::new(name.clone()));
            self.contacts_touched.insert(name.clone());
        }
        let contact = self.contacts.get(name);
        let known = contact.and_then(|contact| contact.account);
        let here = known.as_ref().map(fingerprint).or(contact.and_then(|contact| contact.pinned));
        let there = person.account.as_ref().map(fingerprint).or(person.pinned);
        // [ACCT-13] one's other device may have been lied to at first contact, and a key is accepted by who sees it.
        if here.is_some_and(|here| there.is_some_and(|there| here != there)) {
            self.refuse(Some(name), "another device of yours knows them by another key: compare their number on both");
            return Ok(false);
        }
        let Some(account) = person.account else { return Ok(true) };
        match (known, list) {
            (Some(_), None) => Ok(true),
            (_, Some((signed, list))) => {
                match judge(self.contacts.get(name), signed, &list) {
                    Verdict::First | Verdict::Newer => self.pin_list(name, signed, &list)?,
                    // [ACCT-14] a link was opened here that says something else.
                    Verdict::Changed => return Ok(false),
                    Verdict::Same | Verdict::Older => {}
                }
                Ok(true)
            }
            (None, None) => {
                if let Some(contact) = self.contact_mut(name) {
                    contact.account = Some(account);
                }
                Ok(true)
            }
        }
    }

    /// The account's delivery token is another one from now on. **[BOX-6]**
    pub(in crate::engine) fn new_token(&mut self, token: DeliveryToken) -> Stored<()> {
        let at = self.later_than(self.siblings.row.token_at);
        (self.siblings.row.token_at, self.siblings.row.token_by) = (at, self.own.device.id.0);
        let own = self.own_mut();
        (own.token, own.token_is_new) = (token, true);
        self.put_siblings()?;
        self.tell_siblings(DeviceSync::Token { at, token })
    }

    /// Another device has changed the token. Whichever is the later one is what the relay is to have.
    pub(super) fn hear_token(&mut self, by: DeviceId, at: u64, token: DeliveryToken) -> Stored<()> {
        let at = self.decided_at(at);
        let later = (at, by.0) > (self.siblings.row.token_at, self.siblings.row.token_by) || !self.knows_token();
        // Zeros stand for a token that is not known yet.
        if token == self.own.token || token.0 == [0; 32] {
            return Ok(());
        }
        if later {
            let first = !self.knows_token();
            (self.siblings.row.token_at, self.siblings.row.token_by) = (at, by.0);
            self.put_siblings()?;
            self.own_mut().token = token;
            if first {
                return Ok(());
            }
        }
        self.own_mut().token_is_new = true;
        if self.online() {
            self.set_token();
        }
        Ok(())
    }

    /// What the person wants others to learn was changed here.
    pub(in crate::engine) fn copy_settings(&mut self) -> Stored<()> {
        let at = self.later_than(self.siblings.row.settings_at);
        (self.siblings.row.settings_at, self.siblings.row.settings_by) = (at, self.own.device.id.0);
        self.put_siblings()?;
        let (read_receipts, typing) = (self.choices.read_receipts, self.choices.typing);
        self.tell_siblings(DeviceSync::Settings { at, read_receipts, typing })
    }

    pub(super) fn hear_settings(&mut self, by: DeviceId, at: u64, read_receipts: bool, typing: bool) -> Stored<()> {
        let at = self.decided_at(at);
        let row = &mut self.siblings.row;
        if (at, by.0) <= (row.settings_at, row.settings_by) {
            return Ok(());
        }
        (row.settings_at, row.settings_by) = (at, by.0);
        self.put_siblings()?;
        self.choose(Some(read_receipts), Some(typing))?;
        let event = Event::Settings { read_receipts, typing };
        self.tell(None, event);
        Ok(())
    }

    /// The conversation with somebody, as a copy of what was said to them goes into it.
    pub(super) fn conversation_with(&self, name: &Name) -> Option<String> {
        self.contacts.get(name).map(send::conversation)
    }
}
