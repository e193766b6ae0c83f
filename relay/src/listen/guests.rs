//! Links on which nobody has logged in yet. Where there are as many links as there may be, the oldest of them makes room:
//! who opens links and says nothing on them keeps nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::quota::Prefix;
use crate::store::bell::lock;

/// All of them.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    /// The oldest first.
    all: BTreeMap<u64, One>,
}

struct One {
    from: Prefix,
    since: Instant,
    /// Used where it makes room; dropped where it stays.
    goes: oneshot::Sender<()>,
}

/// A link's place among them. Dropped, the link stays as long as it likes.
pub struct Guest {
    guests: Guests,
    number: u64,
}

impl Guests {
    /// A link more; resolves to `Ok` where it has to go.
    pub(super) fn enter(&self, from: Prefix) -> (Guest, oneshot::Receiver<()>) {
        let mut waiting = lock(&self.0);
        waiting.next += 1;
        let number = waiting.next;
        let (goes, told) = oneshot::channel();
        waiting.all.insert(number, One { from, since: Instant::now(), goes });
        (Guest { guests: self.clone(), number }, told)
    }

    /// Whether one makes room that has had its time for a login: the oldest, of this address where it is about one.
    pub(super) fn make_room(&self, of: Option<Prefix>, time: Duration) -> bool {
        let mut waiting = lock(&self.0);
        let mut old = waiting.all.iter().take_while(|(_, one)| one.since.elapsed() >= time);
        let number = old.find(|(_, one)| of.is_none_or(|of| of == one.from)).map(|(number, _)| *number);
        let goes = number.and_then(|number| waiting.all.remove(&number));
        // Where it has ended meanwhile, its place is free.
        goes.is_some_and(|one| one.goes.send(()).is_ok())
    }

    /// Whether one could.
    pub(super) fn could(&self, time: Duration) -> bool {
        lock(&self.0).all.first_key_value().is_some_and(|(_, one)| one.since.elapsed() >= time)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        lock(&self.guests.0).all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    fn from(last: u8) -> Prefix {
        IpAddr::from([10, 0, 0, last]).into()
    }

    /// [RELAY-15] [THREAT-21] the oldest that has had its time makes room, of the address that is full where one is; who is
    /// young, or has logged in, stays.
    #[tokio::test(start_paused = true)]
    async fn the_oldest_guest_makes_room() {
        let guests = Guests::default();
        let (logged_in, mut stays) = guests.enter(from(1));
        let (_one, mut first) = guests.enter(from(1));
        let (_two, mut second) = guests.enter(from(2));
        let (_three, mut third) = guests.enter(from(2));
        drop(logged_in);
        assert!(!guests.could(TIME) && !guests.make_room(None, TIME), "all are young");
        tokio::time::advance(TIME).await;
        let (_young, mut young) = guests.enter(from(3));
        assert!(guests.could(TIME) && !guests.make_room(Some(from(3)), TIME));
        assert!(guests.make_room(Some(from(2)), TIME));
        assert_eq!((second.try_recv(), first.try_recv().is_err()), (Ok(()), true));
        assert!(guests.make_room(None, TIME));
        assert_eq!((first.try_recv(), third.try_recv().is_err()), (Ok(()), true));
        assert!(guests.make_room(None, TIME));
        assert!(!guests.make_room(None, TIME));
        assert!(third.try_recv().is_ok() && young.try_recv().is_err() && stays.try_recv().is_err());
        assert_eq!(lock(&guests.0).all.len(), 1, "nothing is kept of who went");
    }
}
