//! Who is typing. Nothing of it is stored, here or there. **[MSG-41]**

use std::collections::{BTreeMap, BTreeSet};

use sealpost_spec::account::{DeviceList, Name};
use sealpost_spec::message::Body;

use super::timers::Timer;
use super::{CommandId, Engine};
use crate::api::Event;
use crate::store::Stored;
use crate::store::messages::Line;
use crate::store::people::PeerId;

/// A device that was heard from within this time is likely to be there, in milliseconds.
const THERE: u64 = 5 * 60 * 1_000;
/// One's own typing is told again after so long, in milliseconds.
const AGAIN: u64 = 5_000;
/// Older news of typing is none, in milliseconds: clocks differ, and a box may have waited.
pub(super) const OLD: u64 = 60_000;
/// Who has not said so again for so long types no more, in milliseconds.
const OVER: u64 = 12_000;

/// Who types to whom, in memory alone.
#[derive(Default)]
pub(super) struct Typists {
    /// When a device was last heard from.
    heard: BTreeMap<PeerId, u64>,
    /// When somebody was last told that one types.
    told: BTreeMap<Name, u64>,
    /// Who types.
    typing: BTreeSet<Name>,
    /// Parcels that nobody sends twice, by their order.
    once: BTreeSet<u64>,
}

impl Engine {
    /// Tells somebody that one types, or stopped.
    pub(super) fn tell_typing(&mut self, id: CommandId, to: &str, on: bool) -> Stored<()> {
        let name = to.strip_prefix('@').unwrap_or(to).parse::<Name>();
        if let Ok(name) = name
            && self.choices.typing
        {
            self.send_typing(&name, on)?;
        }
        self.tell(Some(id), Event::Done);
        self.end(id);
        Ok(())
    }

    fn send_typing(&mut self, name: &Name, on: bool) -> Stored<()> {
        let Some(contact) = self.contacts.get(name).filter(|contact| contact.accepted) else { return Ok(()) };
        let told = self.typing.told.get(name).copied();
        let news = if on { told.is_none_or(|at| at + AGAIN <= self.now) } else { told.is_some() };
        if !news || !self.online() || !self.may_send(name) || self.outbox.paused(name, self.now) {
            return Ok(());
        }
        let list = contact.list.as_ref().and_then(|list| DeviceList::parse(&list.body.0).ok());
        let Some((account, list)) = contact.account.zip(list) else { return Ok(()) };
        let there: Vec<PeerId> = list
            .devices
            .iter()
            .map(|device| (account, device.id))
            .filter(|peer| self.typing.heard.get(peer).is_some_and(|at| at + THERE > self.now))
            .filter(|peer| self.can_encrypt(peer))
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        for peer in there {
            let content = self.uncounted(Body::Typing(on));
            if self.encrypt_for(&peer, &content)? {
                self.typing.once.insert(self.outbox.last_order());
            }
        }
        if on {
            self.typing.told.insert(name.clone(), self.now);
        } else {
            self.typing.told.remove(name);
        }
        self.deliver(name)
    }

    /// A device says something: it is there.
    pub(super) fn heard_from(&mut self, peer: PeerId) {
        self.typing.heard.insert(peer, self.now);
    }

    /// A delivery came to its end. What nobody sends twice goes with it, whether it was taken or not.
    pub(super) fn typing_landed(&mut self, name: &Name, order: u64) -> Stored<()> {
        if self.typing.once.remove(&order)
            && let Some(parcel) = self.outbox.remove_parcel(name, order)
        {
            self.rows().delete_parcel(&parcel.envelope)?;
        }
        Ok(())
    }

    /// Somebody types, or stopped.
    pub(super) fn take_typing(&mut self, name: &Name, on: bool, sent_at: u64) {
        let accepted = self.contacts.get(name).is_some_and(|contact| contact.accepted && !contact.blocked);
        if !accepted || sent_at.abs_diff(self.now) > OLD {
            return;
        }
        if on {
            self.timers.set(Timer::Typing(name.clone()), self.now + OVER);
        }
        let news = if on { self.typing.typing.insert(name.clone()) } else { self.typing.typing.remove(name) };
        if news {
            self.say_typing(name, on);
        }
    }

    /// Who said something types no more, for now.
    pub(super) fn typed(&mut self, line: &Line) {
        if line.conversation.starts_with('@') && line.account != self.own.account {
            self.typing_over(&line.from);
        }
    }

    /// Nothing was heard of somebody's typing for a while.
    pub(super) fn typing_over(&mut self, name: &Name) {
        self.timers.clear(&Timer::Typing(name.clone()));
        if self.typing.typing.remove(name) {
            self.say_typing(name, false);
        }
    }

    fn say_typing(&mut self, name: &Name, on: bool) {
        let conversation = format!("@{name}");
        self.tell(None, Event::Typing { from: conversation.clone(), conversation, on });
    }
}
