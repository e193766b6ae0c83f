//! Which devices are logged in: presence, and the end of links that another one replaces.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use sealpost_spec::account::{DeviceId, Name};
use sealpost_spec::relay::Refusal;

use super::neighbours::{Elsewhere, News};
use crate::store::Bell;
use crate::store::bell::lock;

/// The bell's tag that says: look at [`Present::ended`].
const END: u8 = 0;

#[derive(Clone, Default)]
pub(super) struct Presence(Arc<Seats>);

#[derive(Default)]
struct Seats {
    here: Mutex<HashMap<Name, Vec<Arc<Seat>>>>,
    elsewhere: Elsewhere,
    /// Tells the other relays, where there are some.
    tell: OnceLock<Tell>,
}

/// Tells the other relays of a store.
pub(super) type Tell = Box<dyn Fn(News) + Send + Sync>;

struct Seat {
    device: DeviceId,
    bell: Bell,
    ended: OnceLock<Refusal>,
}

/// A logged-in device's seat; dropping it leaves.
pub(super) struct Present {
    presence: Presence,
    name: Name,
    seat: Arc<Seat>,
}

impl Presence {
    /// Seats a device. Another link of the same device is told to end, also one at another relay. [RELAY-6]
    pub(super) fn enter(&self, name: &Name, device: DeviceId, bell: &Bell) -> Present {
        let present = self.seated(name, device, bell);
        self.tell(|| News::Entered { name: name.clone(), device });
        present
    }

    fn seated(&self, name: &Name, device: DeviceId, bell: &Bell) -> Present {
        let seat = Arc::new(Seat { device, bell: bell.clone(), ended: OnceLock::new() });
        let mut seats = lock(&self.0.here);
        let seats = seats.entry(name.clone()).or_default();
        for other in seats.iter().filter(|other| other.device == device) {
            other.end(Refusal::Replaced);
        }
        seats.push(Arc::clone(&seat));
        Present { presence: self.clone(), name: name.clone(), seat }
    }

    /// Ends all links of an account, or those of one of its devices; tells how many were here. Other relays are told.
    pub(super) fn end(&self, name: &Name, device: Option<DeviceId>, reason: &Refusal) -> usize {
        self.tell(|| News::Ended { name: name.clone(), device, reason: reason.clone() });
        self.end_here(name, device, reason)
    }

    /// The same, and nobody is told.
    pub(super) fn end_here(&self, name: &Name, device: Option<DeviceId>, reason: &Refusal) -> usize {
        let seats = lock(&self.0.here);
        let ended = seats.get(name).into_iter().flatten().filter(|seat| device.is_none_or(|id| id == seat.device));
        ended.map(|seat| seat.end(reason.clone())).filter(|first| *first).count()
    }

    /// Rings for everybody who is logged in here.
    pub(super) fn ring(&self, tag: u8) {
        lock(&self.0.here).values().flatten().for_each(|seat| seat.bell.ring(tag));
    }

    /// Whether a device of this account is logged in, here or at another relay.
    pub(super) fn online(&self, name: &Name) -> bool {
        let here =
            lock(&self.0.here).get(name).is_some_and(|seats| seats.iter().any(|seat| seat.ended.get().is_none()));
        here || self.0.elsewhere.has(name)
    }

    /// Who is logged in at other relays.
    pub(super) fn elsewhere(&self) -> &Elsewhere {
        &self.0.elsewhere
    }

    /// Who is logged in here.
    pub(super) fn here(&self) -> Vec<Name> {
        lock(&self.0.here).keys().cloned().collect()
    }

    /// From now on the other relays are told.
    pub(super) fn tells(&self, tell: Tell) {
        // There is one store, and its neighbours are given once.
        let _ = self.0.tell.set(tell);
    }

    /// Tells them something, where there are some.
    pub(super) fn tell(&self, news: impl FnOnce() -> News) {
        if let Some(tell) = self.0.tell.get() {
            tell(news());
        }
    }
}

impl Seat {
    /// Tells the link to end; false where it was told before: the first reason stays.
    fn end(&self, reason: Refusal) -> bool {
        let first = self.ended.set(reason).is_ok();
        self.bell.ring(END);
        first
    }
}

impl Present {
    pub(super) fn ended(&self) -> Option<&Refusal> {
        self.seat.ended.get()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut all = lock(&self.presence.0.here);
        let Some(seats) = all.get_mut(&self.name) else { return };
        seats.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        if seats.is_empty() {
            all.remove(&self.name);
            drop(all);
            self.presence.tell(|| News::Left { name: self.name.clone() });
        }
    }
}
