//! Pins, marks and changed keys.

use sealpost_crypto::identity::{delivery_token, fingerprint, safety_number, verify_devices};
use sealpost_spec::account::{AccountKey, ContactLink, DeviceList, Fingerprint, Name};
use sealpost_spec::wire::Signed;

use super::command::Waiting;
use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::{Error, ErrorCode, Event, Trust};
use crate::store::Stored;
use crate::store::people::{Contact, PeerId};

impl Engine {
    /// What is known of somebody's key.
    pub(super) fn trust_of(&self, name: &Name) -> Trust {
        match self.contacts.get(name) {
            _ if *name == self.own.name => Trust::Verified,
            Some(contact) if contact.changed.is_some() => Trust::KeyChanged,
            Some(contact) if contact.verified => Trust::Verified,
            _ => Trust::Unverified,
        }
    }

    /// Whether this key stands against what is pinned for the person, by its key or by the fingerprint in a link.
    pub(super) fn contradicts(contact: &Contact, account: &AccountKey) -> bool {
        match contact.account {
            Some(known) => known != *account,
            None => contact.pinned.is_some_and(|pinned| pinned != fingerprint(account)),
        }
    }

    pub(super) fn contact_event(&self, contact: &Contact) -> Event {
        let pinned = contact.account.as_ref().map(fingerprint).or(contact.pinned);
        Event::Contact {
            name: contact.name.to_string(),
            fingerprint: pinned.map_or_else(String::new, |pinned| pinned.to_string()),
            trust: self.trust_of(&contact.name),
            blocked: contact.blocked,
            accepted: contact.accepted,
            unread: contact.unread,
            changed: Self::changed_fingerprint(contact),
            label: self.label_of(&contact.name, contact.account.as_ref()),
            display: contact.account.and_then(|account| self.display_of(&account)),
        }
    }

    /// The fingerprint that the relay shows now, where it is not the pinned one.
    pub(super) fn changed_fingerprint(contact: &Contact) -> Option<String> {
        let list = DeviceList::parse(&contact.changed.as_ref()?.body.0).ok()?;
        Some(fingerprint(&list.account).to_string())
    }

    pub(super) fn tell_contact(&mut self, id: CommandId, name: &Name) {
        if let Some(contact) = self.contacts.get(name) {
            let event = self.contact_event(contact);
            self.tell(Some(id), event);
        }
        self.end(id);
    }

    /// The error of everything that would be sent to a changed key.
    pub(super) fn key_changed_error(&self, contact: &Contact) -> Error {
        let new = Self::changed_fingerprint(contact).unwrap_or_default();
        Error::new(ErrorCode::KeyChanged, format!("the key of @{} has changed; nothing was sent", contact.name))
            .because("they have a new account under the name, or somebody pretends to be them")
            .advise(format!("ask them for their fingerprint; if it is this one: sealpost trust {} {new}", contact.name))
    }

    /// One has something to do with somebody: what they sent is confirmed from now on.
    pub(super) fn accept_contact(&mut self, name: &Name) {
        let contact = self.contacts.entry(name.clone()).or_insert_with(|| Contact::new(name.clone()));
        if !contact.accepted {
            contact.accepted = true;
            self.contacts_touched.insert(name.clone());
            for peer in self.peers_of(name) {
                self.plan_receipt(&peer);
                self.timers.set_sooner(Timer::Repair(peer), self.now);
            }
        } else if contact.account.is_none() {
            self.contacts_touched.insert(name.clone());
        }
    }

    pub(super) fn peers_of(&self, name: &Name) -> Vec<PeerId> {
        self.peers.iter().filter(|(_, peer)| peer.name == *name).map(|(id, _)| *id).collect()
    }

    /// The directory shows a list that contradicts what is pinned: nothing is sent to that name until `trust`.
    /// **[ACCT-13]**
    pub(super) fn key_changed(&mut self, name: &Name, signed: &Signed, list: &DeviceList) -> Stored<()> {
        let Some(contact) = self.contact_mut(name) else { return Ok(()) };
        if contact.changed.as_ref().is_some_and(|known| known.body == signed.body) {
            return Ok(());
        }
        contact.changed = Some(signed.clone());
        let old = contact.account.as_ref().map(fingerprint).or(contact.pinned);
        let contact = contact.clone();
        self.tell(
            None,
            Event::KeyChanged {
                name: name.to_string(),
                old: old.map_or_else(String::new, |old| old.to_string()),
                new: fingerprint(&list.account).to_string(),
            },
        );
        let error = self.key_changed_error(&contact);
        self.fail_waits_about(name, &error, true);
        Ok(())
    }

    /// `add LINK`: the fingerprint came from the person, so the key is verified from the start. **[ACCT-14]**
    pub(super) fn add(&mut self, id: CommandId, link: &str) -> Stored<()> {
        let link: ContactLink = match link.parse() {
            Ok(link) => link,
            Err(_) => {
                let error = Error::new(ErrorCode::Usage, "this is no contact link")
                    .because("one looks like sealpost://HOST:PORT/KEY/NAME?fp=FINGERPRINT")
                    .advise("ask for what `sealpost me` prints there");
                return self.end_with(id, error);
            }
        };
        if link.relay.pin != self.profile.relay().pin {
            let error = Error::new(ErrorCode::Usage, "the link is for another relay than this profile's")
                .because(format!("it is for {}", link.relay))
                .advise(format!("sealpost -p NAME register {} NAME", link.relay));
            return self.end_with(id, error);
        }
        let name = link.name;
        if name == self.own.name {
            return self.end_with(id, Error::new(ErrorCode::Usage, "this is your own link"));
        }
        let known = self.contacts.get(&name);
        let pinned = known.and_then(|contact| contact.account.as_ref().map(fingerprint));
        if pinned.is_some_and(|pinned| pinned != link.fingerprint) {
            let error =
                Error::new(ErrorCode::NotTrusted, format!("the link has another fingerprint than @{name} is known by"))
                    .because(format!(
                        "the known one is {}",
                        pinned.map_or_else(String::new, |pinned| pinned.to_string())
                    ))
                    .advise(format!("sealpost trust {name} {}", link.fingerprint));
            return self.end_with(id, error);
        }
        self.accept_contact(&name);
        if let Some(contact) = self.contact_mut(&name) {
            contact.pinned = Some(link.fingerprint);
            contact.verified = true;
        }
        self.tell_contact(id, &name);
        Ok(())
    }

    /// `trust NAME FINGERPRINT`: takes a changed key, as unverified, and puts the old conversation away. **[ACCT-13]**
    pub(super) fn trust(&mut self, id: CommandId, name: &str, wanted: &str) -> Stored<()> {
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        let plain: String = wanted.chars().filter(|c| !c.is_whitespace()).collect();
        let Ok(wanted) = plain.parse::<Fingerprint>() else {
            let error = Error::new(ErrorCode::Usage, "this is no fingerprint").because("one has 52 letters and digits");
            return self.end_with(id, error.advise("ask them for what `sealpost verify` prints there"));
        };
        let Some(contact) = self.contacts.get(&name) else {
            let error = Error::new(ErrorCode::NoSuchName, format!("@{name} is not known here"));
            return self.end_with(id, error.advise("sealpost contacts"));
        };
        let pinned = contact.account.as_ref().map(fingerprint).or(contact.pinned);
        let changed = contact.changed.as_ref().and_then(|signed| Some((signed.clone(), verify_devices(signed).ok()?)));
        match changed {
            // Another list of the same key: it is the same person, so mark and conversation stay. [ACCT-8]
            Some((signed, list)) if pinned == Some(wanted) && fingerprint(&list.account) == wanted => {
                self.pin_list(&name, &signed, &list)?;
            }
            Some((signed, list)) if fingerprint(&list.account) == wanted => {
                self.replace_key(&name, &signed, &list)?;
            }
            // Back to the one that is pinned: the directory's other key was a lie or is gone.
            _ if pinned == Some(wanted) => {
                if let Some(contact) = self.contact_mut(&name) {
                    contact.changed = None;
                }
            }
            _ => {
                let error = Error::new(ErrorCode::NotTrusted, format!("@{name} has another fingerprint"))
                    .because("neither the pinned key nor the one that the relay shows has this one")
                    .advise(format!("sealpost verify {name}"));
                return self.end_with(id, error);
            }
        }
        self.tell_contact(id, &name);
        self.pump(&name)
    }

    pub(super) fn replace_key(&mut self, name: &Name, signed: &Signed, list: &DeviceList) -> Stored<()> {
        let queued: Vec<_> = self.outbox.pendings_to(name).map(|pending| pending.id).collect();
        for content in queued {
            self.give_up(&content)?;
        }
        for peer in self.peers_of(name) {
            for parcel in self.outbox.parcels_to(name, &peer) {
                self.outbox.remove_parcel(name, parcel.order);
                self.rows().delete_parcel(&parcel.envelope)?;
            }
            if let Some(known) = self.peers.remove(&peer) {
                for note in known.sessions {
                    self.rows().delete_session(&note.id)?;
                }
            }
            self.peers_touched.insert(peer);
        }
        let Some(contact) = self.contact_mut(name) else { return Ok(()) };
        contact.era += 1;
        let archive = format!("@{name}~{}", contact.era);
        *contact = Contact { era: contact.era, blocked: contact.blocked, accepted: true, ..Contact::new(name.clone()) };
        self.rows().move_lines(&format!("@{name}"), &archive)?;
        self.pin_list(name, signed, list)
    }

    /// `verify [NAME] [--mark NUMBER]` **[ACCT-11]**
    pub(super) fn verify(&mut self, id: CommandId, name: Option<String>, mark: Option<String>) -> Stored<()> {
        let Some(name) = name else {
            let event = Event::Safety {
                name: self.own.name.to_string(),
                number: fingerprint(&self.own.account).to_string(),
                code: self.own_link(),
                trust: Trust::Verified,
            };
            self.tell(Some(id), event);
            self.end(id);
            return Ok(());
        };
        let Some(name) = self.name_for(id, &name)? else { return Ok(()) };
        if self.contacts.get(&name).is_some_and(|contact| contact.account.is_some()) {
            return self.verify_known(id, &name, mark.as_deref());
        }
        self.go_online();
        self.wait_a_while(id, Waiting::Verify { name: name.clone(), mark });
        self.fetch_devices(&name);
        Ok(())
    }

    fn verify_known(&mut self, id: CommandId, name: &Name, mark: Option<&str>) -> Stored<()> {
        let Some(account) = self.contacts.get(name).and_then(|contact| contact.account) else { return Ok(()) };
        let digits = safety_number((&self.own.name, &self.own.account), (name, &account)).0;
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        if let Some(mark) = mark {
            let given: String = mark.chars().filter(|c| !c.is_whitespace()).collect();
            if given != digits {
                let error = Error::new(ErrorCode::NotTrusted, format!("this is not the safety number with @{name}"))
                    .because("one of you sees another key than the other has, or a digit is wrong")
                    .advise(format!("compare again: sealpost verify {name}"));
                return self.end_with(id, error);
            }
            self.accept_contact(name);
            if let Some(contact) = self.contact_mut(name) {
                contact.verified = true;
            }
        }
        let groups: Vec<&str> = (0..digits.len()).step_by(5).filter_map(|at| digits.get(at..at + 5)).collect();
        let event = Event::Safety {
            name: name.to_string(),
            number: groups.join(" "),
            code: digits,
            trust: self.trust_of(name),
        };
        self.tell(Some(id), event);
        self.end(id);
        Ok(())
    }

    /// The key of a name is known by now: whoever waits for it goes on.
    pub(super) fn key_learnt(&mut self, name: &Name, list: &DeviceList) -> Stored<()> {
        self.looked_up(name, list)?;
        let waiting: Vec<(CommandId, Option<String>)> = self
            .waits
            .iter()
            .filter_map(|(id, waiting)| match waiting {
                Waiting::Verify { name: wanted, mark } if wanted == name => Some((*id, mark.clone())),
                _ => None,
            })
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        // To compare a number with somebody is to begin to know them: the key is pinned, as unverified.
        if !self.contacts.contains_key(name) {
            self.contacts.insert(name.clone(), Contact::new(name.clone()));
        }
        if let Some(signed) = self.fetching.shown(name).and_then(|(_, shown)| shown).cloned()
            && self.contacts.get(name).is_some_and(|contact| contact.account.is_none())
        {
            self.pin_list(name, &signed, list)?;
        }
        for (id, mark) in waiting {
            self.verify_known(id, name, mark.as_deref())?;
        }
        Ok(())
    }

    /// `block NAME`: nothing of them is shown, and the token that they may have is worth nothing from now on.
    pub(super) fn block(&mut self, id: CommandId, name: &str, blocked: bool) -> Stored<()> {
        let Some(name) = self.name_for(id, name)? else { return Ok(()) };
        if !blocked && !self.contacts.contains_key(&name) {
            let error = Error::new(ErrorCode::NoSuchName, format!("@{name} is not known here"));
            return self.end_with(id, error.advise("sealpost contacts"));
        }
        self.contacts.entry(name.clone()).or_insert_with(|| Contact::new(name.clone()));
        if let Some(contact) = self.contact_mut(&name) {
            contact.blocked = blocked;
        }
        if blocked {
            let token = delivery_token(&mut **self.rows().dice());
            self.new_token(token)?;
            self.go_online();
            if self.online() {
                self.set_token();
            }
        }
        self.tell_contact(id, &name);
        self.pump(&name)
    }

    /// Parses the name that a command has; ends the command where it is none, or one's own.
    pub(super) fn name_for(&mut self, id: CommandId, text: &str) -> Stored<Option<Name>> {
        let error = match text.strip_prefix('@').unwrap_or(text).parse::<Name>() {
            Ok(name) if name != self.own.name => return Ok(Some(name)),
            Ok(_) => Error::new(ErrorCode::Usage, "this is your own name"),
            Err(cause) => Error::new(ErrorCode::Usage, "this is nobody's name").because(cause.to_string()),
        };
        self.end_with(id, error.advise("sealpost contacts"))?;
        Ok(None)
    }

    pub(super) fn own_link(&self) -> String {
        ContactLink {
            relay: self.profile.relay().clone(),
            name: self.own.name.clone(),
            fingerprint: fingerprint(&self.own.account),
            invite: None,
        }
        .to_string()
    }
}
