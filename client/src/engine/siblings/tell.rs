//! What the other devices are told, and when: what is said here a while after it was sent, so that the copy does not tell
//! the relay whose it was; what a new device asks for at once. **[MSG-43]**

use sealpost_spec::account::{AccountKey, DeviceId, Name};
use sealpost_spec::message::{Body, Content, ContentId, DeviceSync, Far, MAX_ITEMS};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{Bytes, encode};

use crate::api::{Error, ErrorCode, Kind, State};
use crate::engine::send::GIVE_UP;
use crate::engine::timers::Timer;
use crate::engine::{CommandId, Engine};
use crate::store::Stored;
use crate::store::devices::Told;
use crate::store::messages::Line;
use crate::store::outbox::Pending;
use crate::store::people::PeerId;

/// A copy leaves after a random time between these, in milliseconds. **[MSG-43]**
const COPY_AFTER: (u64, u64) = (5_000, 60_000);
/// What is still not sent after so long is copied all the same, in milliseconds: nobody sees it leave. But not before it is known
/// whose key it is for.
const UNSENT: u64 = 60 * 60 * 1_000;
/// Most bytes of items in one message: with what goes around them they fit the largest box.
const PIECE: usize = 40 * 1024;
/// One device is told everything at most once in so long, in milliseconds. **[MSG-48]**
const ANSWER_AGAIN: u64 = 10 * 60 * 1_000;
/// Most that is told in one step.
const MOST: u32 = 1_024;
/// Most that waits for devices that do not come: the oldest is forgotten first.
const MAX_WAITING: u64 = 100_000;
/// What goes around a message's content in its copy, in bytes: the outer content, its item and whom it was for.
pub(in crate::engine) const AROUND: usize = 384;

/// How far a message of one's own came, as it travels.
pub(super) fn far(state: State) -> Far {
    match state {
        State::Queued | State::Received => Far::Queued,
        State::Sent => Far::Sent,
        State::Delivered => Far::Delivered,
        State::Read => Far::Read,
        State::NotDelivered => Far::NotDelivered,
    }
}

impl Engine {
    /// When something that happens now may be told: a random while later.
    fn copy_due(&self) -> u64 {
        let (least, most) = COPY_AFTER;
        self.now + least + u64::from(u32::from_le_bytes(self.random())) % (most - least)
    }

    /// The other devices are to learn something.
    pub(super) fn tell_siblings(&mut self, item: DeviceSync) -> Stored<()> {
        if !self.has_siblings() || !self.is_enrolled() {
            return Ok(());
        }
        let due = self.copy_due();
        self.tell_siblings_at(due, item)
    }

    fn tell_siblings_at(&mut self, due: u64, item: DeviceSync) -> Stored<()> {
        self.siblings.last_order += 1;
        let told = Told { order: self.siblings.last_order, due, item };
        self.siblings.copies.extend(told.said().map(|id| (id, told.order)));
        self.rows().put_told(&told)?;
        if let Some(oldest) = told.order.checked_sub(MAX_WAITING)
            && let Some(told) = self.rows().told_at(oldest)?
        {
            self.forget_one(&told)?;
        }
        self.timers.set_sooner(Timer::Siblings, due);
        Ok(())
    }

    /// Something was said to somebody; `content` as it is sent.
    pub(in crate::engine) fn copy_said(
        &mut self,
        to: &Name,
        account: Option<AccountKey>,
        content: &Content,
    ) -> Stored<()> {
        let content = Content { token: None, tree_head: TreeHead::NONE, ..content.clone() };
        self.tell_siblings(DeviceSync::Said { to: to.clone(), account, content, far: Far::Queued })
    }

    /// What was said before its recipient's key was known has been encrypted, for this one: its copy says so. **[MSG-43]**
    pub(in crate::engine) fn copy_is_for(&mut self, id: &ContentId, key: AccountKey) -> Stored<()> {
        let Some(order) = self.siblings.copies.get(id).copied() else { return Ok(()) };
        let Some(mut told) = self.rows().told_at(order)? else { return Ok(()) };
        if let DeviceSync::Said { account, .. } = &mut told.item {
            *account = Some(key);
        }
        self.rows().put_told(&told)
    }

    /// A message of one's own came further. What waits to be copied waits a while more, from when it was sent.
    pub(in crate::engine) fn copy_reached(&mut self, id: ContentId, state: State) -> Stored<()> {
        if !self.has_siblings() {
            return Ok(());
        }
        match self.siblings.copies.get(&id).copied() {
            Some(order) if state == State::Sent => {
                let due = self.copy_due();
                if let Some(told) = self.rows().told_at(order)? {
                    self.rows().put_told(&Told { due, ..told })?;
                    self.timers.set(Timer::Siblings, due);
                }
                Ok(())
            }
            // The copy says it.
            Some(_) => Ok(()),
            None if state > State::Queued => self.tell_siblings(DeviceSync::Reached { ids: vec![id], far: far(state) }),
            None => Ok(()),
        }
    }

    /// A line was read.
    pub(in crate::engine) fn copy_read(&mut self, line: &Line) -> Stored<()> {
        self.tell_siblings(DeviceSync::Read { lines: vec![(line.account, line.id)] })
    }

    /// Tells what is due; and, after a login, sets when that is.
    pub(in crate::engine) fn tell_due(&mut self) -> Stored<()> {
        if !self.online() || !self.has_siblings() {
            return Ok(());
        }
        let mut items = Vec::new();
        let mut next: Option<u64> = None;
        for told in self.rows().told(MOST)? {
            let fate = if told.due > self.now { Fate::Later(told.due) } else { self.as_it_is_now(&told)? };
            match fate {
                Fate::Later(due) => next = Some(next.map_or(due, |next| next.min(due))),
                Fate::Now(item) => {
                    self.forget_one(&told)?;
                    items.push(*item);
                }
                Fate::Never => self.forget_one(&told)?,
            }
        }
        if let Some(next) = next {
            self.timers.set(Timer::Siblings, next.max(self.now + 1));
        }
        self.tell_items(items)
    }

    fn forget_one(&mut self, told: &Told) -> Stored<()> {
        if let Some(id) = told.said() {
            self.siblings.copies.remove(&id);
        }
        self.rows().delete_told(told.order)
    }

    pub(super) fn forget_told(&mut self) -> Stored<()> {
        while let told @ [_, ..] = self.rows().told(MOST)?.as_slice() {
            told.iter().try_for_each(|told| self.rows().delete_told(told.order))?;
        }
        self.siblings.copies.clear();
        Ok(())
    }

    /// A copy says how far the message has come by now; of what is gone there is none.
    fn as_it_is_now(&mut self, told: &Told) -> Stored<Fate> {
        let DeviceSync::Said { to, account, content, .. } = &told.item else {
            return Ok(Fate::Now(Box::new(told.item.clone())));
        };
        let Some(line) = self.rows().line(&self.own.account, &content.id)? else { return Ok(Fate::Never) };
        let for_nobody = account.is_none() && !self.is_own(to);
        if line.state == State::Queued && (for_nobody || content.sent_at + UNSENT > self.now) {
            return Ok(Fate::Later(self.copy_due()));
        }
        let (to, account, mut content) = (to.clone(), *account, content.clone());
        if line.kind == Kind::Removed {
            content.body = Body::Text(String::new());
        }
        Ok(Fate::Now(Box::new(DeviceSync::Said { to, account, content, far: far(line.state) })))
    }

    /// Queues items for all other devices, as many in a message as fit.
    fn tell_items(&mut self, items: Vec<DeviceSync>) -> Stored<()> {
        let mut piece: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        for item in joined(items) {
            let Some(item) = encode(&item).map(Bytes) else { continue };
            if !piece.is_empty() && (piece.len() >= MAX_ITEMS || bytes + item.0.len() > PIECE) {
                self.queue_items(&std::mem::take(&mut piece))?;
                bytes = 0;
            }
            bytes += item.0.len() + 8;
            piece.push(item);
        }
        if !piece.is_empty() {
            self.queue_items(&piece)?;
        }
        let name = self.own.name.clone();
        self.pump(&name)
    }

    fn queue_items(&mut self, items: &[Bytes]) -> Stored<()> {
        let Some(body) = DeviceSync::join(items) else { return Ok(()) };
        let (id, now, name) = (ContentId(self.random()), self.now, self.own.name.clone());
        let Some(contact) = self.contact_mut(&name) else { return Ok(()) };
        contact.last_number += 1;
        let number = contact.last_number;
        let content = Content {
            id,
            number,
            sent_at: now,
            expire_after: None,
            token: None,
            tree_head: TreeHead::NONE,
            body: Body::DeviceSync(body),
        };
        let account = Some(self.own.account);
        let pending =
            Pending { id, to: name.clone(), account, number, queued_at: now, encrypted: false, delivered: false };
        self.rows().add_content(&pending, &content)?;
        self.outbox.add_pending(pending);
        self.timers.set_sooner(Timer::Again(name), now + GIVE_UP);
        Ok(())
    }

    /// A new device wants to know everything: it is told at once, in pieces. **[MSG-45]**
    pub(super) fn tell_all(&mut self, to: DeviceId) -> Stored<()> {
        // Who has the account's key knows whom it has added; others may be as new.
        let Some(receipt) = self.own.receipt.clone().filter(|_| !self.was_linked()) else { return Ok(()) };
        if self.answers_already(to) {
            return Ok(());
        }
        let mut items = self.everything()?;
        items.push(DeviceSync::Ready { receipt });
        self.tell_items(items)?;
        let last = self.contacts.get(&self.own.name).map_or(0, |contact| contact.last_number);
        self.siblings.told_all.insert(to, (self.now, last));
        self.device_waits()
    }

    /// The devices that stay hear once more what counts: the one that is revoked may have told them otherwise. **[ACCT-27]**
    pub(super) fn tell_anew(&mut self) -> Stored<()> {
        if !self.has_siblings() {
            return Ok(());
        }
        let items = self.everything()?;
        self.tell_items(items)
    }

    /// Whether a device was told everything a moment ago, or has yet to confirm that it was: it is not told faster than it listens.
    fn answers_already(&self, device: DeviceId) -> bool {
        let Some((at, last)) = self.siblings.told_all.get(&device).copied() else { return false };
        let (name, peer) = (&self.own.name, (self.own.account, device));
        let unconfirmed = self.outbox.parcels_to(name, &peer).iter().any(|parcel| (1..=last).contains(&parcel.number))
            || self.outbox.pendings_to(name).any(|pending| !pending.encrypted && pending.number <= last);
        unconfirmed || self.now < at.saturating_add(ANSWER_AGAIN)
    }

    /// A new device asks for all that the others know.
    pub(in crate::engine) fn want_all(&mut self) -> Stored<()> {
        if !self.was_linked() || self.siblings.row.ready || !self.has_siblings() {
            return Ok(());
        }
        let name = self.own.name.clone();
        if self.outbox.pendings_to(&name).all(|pending| pending.delivered) {
            self.tell_items(vec![DeviceSync::Wanted])?;
        }
        Ok(())
    }

    /// Whether a device has been told everything, as far as the relay has taken it.
    pub(super) fn was_told_all(&self, device: DeviceId) -> bool {
        let peer: PeerId = (self.own.account, device);
        self.siblings.told_all.contains_key(&device)
            && self.outbox.parcels_to(&self.own.name, &peer).iter().all(|parcel| parcel.accepted_at.is_some())
            && self.outbox.pendings_to(&self.own.name).all(|pending| pending.encrypted)
    }

    /// `device add` has waited as long as it may: what is not told yet is told when the device comes.
    pub(in crate::engine) fn add_timeout(&mut self, id: CommandId, told: bool) -> Stored<()> {
        if told {
            self.end(id);
            return Ok(());
        }
        let error = Error::new(ErrorCode::Waiting, "the relay has not taken the list with the new device yet")
            .because(self.standing.reason.clone())
            .advise("nothing: it is offered again by itself; sealpost status shows whether the relay can be reached");
        self.end_with(id, error)
    }
}

/// What becomes of something that waits to be told.
enum Fate {
    Now(Box<DeviceSync>),
    Later(u64),
    Never,
}

/// What was read, and what came as far, is told together.
fn joined(items: Vec<DeviceSync>) -> Vec<DeviceSync> {
    let mut joined: Vec<DeviceSync> = Vec::with_capacity(items.len());
    for item in items {
        match (joined.last_mut(), &item) {
            (Some(DeviceSync::Read { lines }), DeviceSync::Read { lines: more })
                if lines.len() + more.len() <= MAX_ITEMS =>
            {
                lines.extend(more);
            }
            (Some(DeviceSync::Reached { ids, far }), DeviceSync::Reached { ids: more, far: as_far })
                if far == as_far && ids.len() + more.len() <= MAX_ITEMS =>
            {
                ids.extend(more);
            }
            _ => joined.push(item),
        }
    }
    joined
}
