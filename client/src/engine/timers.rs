//! What is to be done when. There is no clock: whoever drives the engine asks when it is due.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_spec::account::Name;
use sealpost_spec::room::RoomName;

use super::{CommandId, Engine};
use crate::store::Stored;
use crate::store::files::FileKey;
use crate::store::people::PeerId;

/// Something that is due at some time; each at most once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A command has waited as long as it may.
    Command(CommandId),
    /// Nothing was pushed for a while: the mailbox is drained.
    Drained,
    /// Try again to reach somebody.
    Retry(Name),
    /// Send again what nobody confirmed, or give it up.
    Again(Name),
    /// Send a receipt to a device.
    Receipt(PeerId),
    /// Show what waited for an earlier message of this device.
    Show(PeerId),
    /// Ask this device again for what could not be read.
    Repair(PeerId),
    /// Try again to post in a room.
    Post(RoomName),
    /// Delete messages whose time is over.
    Expire,
    /// Take somebody's typing for over.
    Typing(Name),
    /// Rotate keys and forget what nobody asks for any more.
    Daily,
    /// Try again to publish keys.
    Publish,
    /// Try again to log in.
    Login,
    /// Forget the index of words.
    ForgetIndex,
    /// Make pages of what is said.
    Pages,
    /// Try again to send or fetch a file.
    File(FileKey),
    /// Tell the other devices what they are to learn.
    Siblings,
}

#[derive(Default)]
pub(super) struct Timers {
    at: BTreeMap<Timer, u64>,
    order: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Due at `at`, whatever was set before.
    pub(super) fn set(&mut self, timer: Timer, at: u64) {
        self.clear(&timer);
        self.order.insert((at, timer.clone()));
        self.at.insert(timer, at);
    }

    /// Due at `at` or when it was set for, whichever comes first.
    pub(super) fn set_sooner(&mut self, timer: Timer, at: u64) {
        if self.at.get(&timer).is_none_or(|before| at < *before) {
            self.set(timer, at);
        }
    }

    pub(super) fn clear(&mut self, timer: &Timer) {
        if let Some(at) = self.at.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    pub(super) fn has(&self, timer: &Timer) -> bool {
        self.at.contains_key(timer)
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes what is due.
    pub(super) fn due(&mut self, now: u64) -> Vec<Timer> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.order.first()
            && *at <= now
            && let Some((_, timer)) = self.order.pop_first()
        {
            self.at.remove(&timer);
            due.push(timer);
        }
        due
    }
}

impl Engine {
    /// What a profile that was just opened has to do by itself. The time is not known yet: everything is due at once,
    /// and sets its next time when it is looked at.
    pub(super) fn set_first_timers(&mut self) -> Stored<()> {
        self.timers.set(Timer::Daily, 0);
        if !self.rows().expiries()?.is_empty() {
            self.timers.set(Timer::Expire, 0);
        }
        for name in self.outbox.names() {
            self.timers.set(Timer::Again(name), 0);
        }
        for (id, peer) in &self.peers {
            if !peer.held.is_empty() {
                self.timers.set(Timer::Show(*id), 0);
            }
        }
        Ok(())
    }

    pub(super) fn fire(&mut self, timer: Timer) -> Stored<()> {
        match timer {
            Timer::Command(id) => self.command_timeout(id),
            Timer::Drained => self.drained(),
            Timer::Retry(name) => self.retry(&name),
            Timer::Again(name) => self.send_again(&name),
            Timer::Receipt(peer) => self.send_receipt(&peer),
            Timer::Show(peer) => self.show_held(&peer),
            Timer::Repair(peer) => self.start_repair(&peer),
            Timer::Post(room) => self.offer_posts(&room),
            Timer::Expire => self.expire(),
            Timer::Typing(name) => {
                self.typing_over(&name);
                Ok(())
            }
            Timer::Daily => self.daily(),
            Timer::Publish => self.publish(),
            Timer::Login => self.introduce(),
            Timer::ForgetIndex => self.forget_index(),
            Timer::Pages => self.make_pages(),
            Timer::File(key) => self.file_due(key),
            Timer::Siblings => self.tell_due(),
        }
    }
}
