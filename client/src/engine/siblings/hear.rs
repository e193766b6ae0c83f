//! What the other devices say: believed, since the account's own list names them. **[MSG-42]**

use sealpost_crypto::identity::verify_receipt;
use sealpost_spec::account::{AccountKey, DeviceId, Name};
use sealpost_spec::message::{Body, Content, ContentId, DeviceSync, Far, MAX_ITEMS};
use sealpost_spec::room::PostHash;
use sealpost_spec::wire::{Bytes, Signed};

use crate::api::{Event, Kind, State};
use crate::engine::content::said;
use crate::engine::{Engine, expiry};
use crate::store::Stored;
use crate::store::messages::{Line, Place};
use crate::store::people::{Contact, PeerId};

/// How far something came.
fn state(far: Far) -> State {
    match far {
        Far::Queued => State::Queued,
        Far::Sent => State::Sent,
        Far::Delivered => State::Delivered,
        Far::Read => State::Read,
        Far::NotDelivered => State::NotDelivered,
    }
}

/// Whether a copy is of something that does not belong into the conversation with the key that is pinned here: it was for
/// another one, or nobody can say for which. What went to no key was not delivered. **[MSG-43]**
fn was_for_another(contact: &Contact, account: Option<&AccountKey>, far: Far) -> bool {
    match account {
        Some(account) => Engine::contradicts(contact, account),
        None => (contact.account.is_some() || contact.pinned.is_some()) && far != Far::NotDelivered,
    }
}

impl Engine {
    /// Takes what another device of this account tells.
    pub(in crate::engine) fn hear(&mut self, id: &PeerId, body: &Bytes) -> Stored<()> {
        let Some(items) = DeviceSync::split(body) else {
            self.refuse(None, "another device of yours said something that this version does not know");
            return Ok(());
        };
        let by = id.1;
        // [MSG-48] however often it is said.
        let wanted = items.contains(&DeviceSync::Wanted);
        for item in items {
            match item {
                DeviceSync::Wanted => {}
                DeviceSync::Ready { receipt } => self.hear_ready(receipt)?,
                DeviceSync::Said { to, account, content, far } => self.hear_said(by, &to, account, content, far)?,
                DeviceSync::Reached { ids, far } => {
                    for id in ids.iter().take(MAX_ITEMS) {
                        self.hear_state(by, id, far)?;
                    }
                }
                DeviceSync::Read { lines } => self.hear_read(&lines)?,
                DeviceSync::Person(person) => self.hear_person(by, person)?,
                DeviceSync::Room { at, room, joined, muted } => self.hear_room(by, at, &room, joined, muted)?,
                DeviceSync::Settings { at, read_receipts, typing } => {
                    self.hear_settings(by, at, read_receipts, typing)?;
                }
                DeviceSync::Token { at, token } => self.hear_token(by, at, token)?,
            }
        }
        if wanted { self.tell_all(by) } else { Ok(()) }
    }

    /// That was everything: from now on this device does all that the others do. **[MSG-45]**
    fn hear_ready(&mut self, receipt: Signed) -> Stored<()> {
        let key = self.own.relay_key.unwrap_or_default();
        let genuine = verify_receipt(&receipt, &key)
            .is_ok_and(|word| word.name == self.own.name && word.account == self.own.account);
        if !genuine || !self.knows_token() || !self.was_linked() {
            return Ok(());
        }
        self.own_mut().receipt = Some(receipt);
        if !std::mem::replace(&mut self.siblings.row.ready, true) {
            self.put_siblings()?;
        }
        self.linked();
        Ok(())
    }

    /// How far a message came that another device sent; of those of others, it knows nothing. **[MSG-43]**
    fn hear_state(&mut self, by: DeviceId, id: &ContentId, far: Far) -> Stored<()> {
        let line = self.rows().line(&self.own.account, id)?;
        if line.is_some_and(|line| line.device == by) { self.advance(id, state(far)) } else { Ok(()) }
    }

    /// A copy of what was said on another device: a line of one's own. **[MSG-43]**
    fn hear_said(
        &mut self,
        by: DeviceId,
        to: &Name,
        account: Option<AccountKey>,
        content: Content,
        far: Far,
    ) -> Stored<()> {
        let own = self.own.account;
        // [MSG-24]
        if self.rows().line(&own, &content.id)?.is_some() || !self.rows().first_time(&own, &content.id)? {
            return self.hear_state(by, &content.id, far);
        }
        // [MSG-40] it has had its time where it was said.
        let sent = !matches!(far, Far::Queued | Far::NotDelivered);
        let goes_at = |seconds: u32| content.sent_at.saturating_add(u64::from(seconds) * 1_000);
        if sent && content.expire_after.is_some_and(|seconds| seconds > 0 && goes_at(seconds) <= self.now) {
            return Ok(());
        }
        let to_oneself = self.is_own(to);
        if !to_oneself {
            if self.contacts.get(to).is_some_and(|contact| was_for_another(contact, account.as_ref(), far)) {
                self.refuse(Some(to), "a copy of what you wrote to another key of theirs was left out");
                return Ok(());
            }
            if !self.has_room_for(to) {
                return Ok(());
            }
            self.accept_contact(to);
            // Whoever opens their link here later is to hear of it where that names another key.
            if let Some(contact) = self.contact_mut(to).filter(|contact| contact.account.is_none()) {
                contact.account = account;
            }
        }
        let conversation = if to_oneself { Some(format!("@{to}")) } else { self.conversation_with(to) };
        let Some(conversation) = conversation else { return Ok(()) };
        let (kind, text, target, file) = match content.body {
            Body::Timer(timer) if !to_oneself => {
                if !self.take_timer(to, timer, content.sent_at, content.id) {
                    return Ok(());
                }
                (Kind::Timer, expiry::words(timer), None, None)
            }
            body => match said(body) {
                Some(said) => said,
                None => return Ok(()),
            },
        };
        let mut line = Line {
            id: content.id,
            conversation,
            from: self.own.name.clone(),
            account: own,
            device: by,
            number: content.number,
            missing: 0,
            sent_at: content.sent_at,
            text,
            kind,
            target,
            state: state(far),
            hash: PostHash::default(),
            previous: PostHash::default(),
            edited: false,
        };
        // Two things under one number are one too many, whoever errs.
        if self.rows().line_at(&line, line.number)?.is_some() {
            line.number = 0;
        }
        if let Some(pointer) = file {
            self.file_sent_elsewhere(&line, to, pointer)?;
        }
        self.apply_early_change(&mut line)?;
        self.rows().add_line(&line.stored(), Place::At(line.sent_at))?;
        let shows = self.change_target(&line, PostHash::default())?;
        self.count_down_once_read(&line, content.expire_after)?;
        if line.state > State::Queued {
            self.start_countdown(&line)?;
        }
        if shows {
            let message = self.view(&line)?;
            self.tell(None, Event::Message(message));
        }
        Ok(())
    }

    /// Read on another device: nobody is told a second time.
    fn hear_read(&mut self, lines: &[(AccountKey, ContentId)]) -> Stored<()> {
        let mut conversations = Vec::new();
        for (account, id) in lines.iter().take(MAX_ITEMS) {
            let Some(line) = self.rows().line(account, id)? else { continue };
            if self.forget_unread(&line)? {
                self.start_countdown(&line)?;
                if !conversations.contains(&line.conversation) {
                    conversations.push(line.conversation);
                }
            }
        }
        for name in conversations {
            let event = self.conversation_event(&name)?;
            self.tell(None, event);
        }
        Ok(())
    }
}
