//! Which devices are logged in on this relay: presence, and the end of links that another one replaces.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use sealpost_spec::account::{DeviceId, Name};
use sealpost_spec::relay::Refusal;

use crate::store::Bell;
use crate::store::bell::lock;

/// The bell's tag that says: look at [`Present::ended`].
const END: u8 = 0;

#[derive(Clone, Default)]
pub(super) struct Presence(Arc<Mutex<HashMap<Name, Vec<Arc<Seat>>>>>);

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
    /// Seats a device. Another link of the same device is told to end. [RELAY-6]
    pub(super) fn enter(&self, name: &Name, device: DeviceId, bell: &Bell) -> Present {
        let seat = Arc::new(Seat { device, bell: bell.clone(), ended: OnceLock::new() });
        let mut seats = lock(&self.0);
        let seats = seats.entry(name.clone()).or_default();
        for other in seats.iter().filter(|other| other.device == device) {
            other.end(Refusal::Replaced);
        }
        seats.push(Arc::clone(&seat));
        Present { presence: self.clone(), name: name.clone(), seat }
    }

    /// Ends all links of an account, or those of one of its devices; tells how many.
    pub(super) fn end(&self, name: &Name, device: Option<DeviceId>, reason: &Refusal) -> usize {
        let seats = lock(&self.0);
        let ended = seats.get(name).into_iter().flatten().filter(|seat| device.is_none_or(|id| id == seat.device));
        ended.map(|seat| seat.end(reason.clone())).filter(|first| *first).count()
    }

    /// Rings for everybody who is logged in.
    pub(super) fn ring(&self, tag: u8) {
        lock(&self.0).values().flatten().for_each(|seat| seat.bell.ring(tag));
    }

    /// Whether a device of this account is logged in.
    pub(super) fn online(&self, name: &Name) -> bool {
        lock(&self.0).get(name).is_some_and(|seats| seats.iter().any(|seat| seat.ended.get().is_none()))
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
        let mut all = lock(&self.presence.0);
        if let Some(seats) = all.get_mut(&self.name) {
            seats.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
            if seats.is_empty() {
                all.remove(&self.name);
            }
        }
    }
}
