//! When a newcomer's handshake may begin: so many of an address at once, then one after the other.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::quota::{MAX_KEYS, Prefix, Rate};
use crate::store::bell::lock;

/// A newcomer waits so long for its turn, and its client would give up not much later. Who would have to wait longer is
/// closed at once. [RELAY-24]
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// Addresses that have recovered are forgotten when there are too many, and no more often than this.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// The addresses that have not recovered yet.
#[derive(Default)]
pub(super) struct Pace(Mutex<Busy>);

#[derive(Default)]
struct Busy {
    /// When an address will have recovered.
    whole: HashMap<Prefix, Instant>,
    forgot: Option<Instant>,
}

impl Pace {
    /// When the handshake of a newcomer from this address may begin; `None` where so many wait already that it is not
    /// worth one. [RELAY-24]
    pub(super) fn turn(&self, from: Prefix, rate: Rate, now: Instant) -> Option<Instant> {
        let mut busy = lock(&self.0);
        if busy.whole.len() >= MAX_KEYS && busy.forgot.is_none_or(|forgot| now >= forgot + FORGET_EVERY) {
            busy.whole.retain(|_, whole| *whole > now);
            busy.forgot = Some(now);
        }
        let every = Duration::from_millis(u64::from(rate.every_ms));
        let whole = busy.whole.get(&from).map_or(now, |whole| now.max(*whole));
        let begins = now.max(whole.checked_sub(every.saturating_mul(rate.burst.checked_sub(1)?)).unwrap_or(now));
        if begins > now + PATIENCE {
            return None;
        }
        // A crowd of more addresses than can be remembered is held back by the number of handshakes at once.
        if busy.whole.len() < MAX_KEYS || busy.whole.contains_key(&from) {
            busy.whole.insert(from, whole.checked_add(every)?);
        }
        Some(begins)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;

    const RATE: Rate = Rate { burst: 3, every_ms: 1_000 };

    fn from(number: u32) -> Prefix {
        IpAddr::from(number.to_be_bytes()).into()
    }

    /// [RELAY-24] so many begin at once, later ones in turn, and who would wait for longer than three seconds not at all;
    /// who was turned away has used up nothing. Another address is another matter, and another host of one IPv6 network is
    /// not.
    #[test]
    fn newcomers_of_an_address_take_turns() {
        let (pace, now) = (Pace::default(), Instant::now());
        let begins = |from, now| pace.turn(from, RATE, now).map(|begins| (begins - now).as_millis());
        let seen: Vec<_> = (0..8).map(|_| begins(from(1), now)).collect();
        assert_eq!(seen, [Some(0), Some(0), Some(0), Some(1_000), Some(2_000), Some(3_000), None, None]);
        assert_eq!(begins(from(2), now), Some(0));
        let later = now + Duration::from_millis(1_500);
        assert_eq!(begins(from(1), later), Some(2_500));
        assert_eq!(begins(from(1), now + Duration::from_secs(60)), Some(0));
        let host = |last| Prefix::from(IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)));
        let seen: Vec<_> = (0..4).map(|last| begins(host(last), now)).collect();
        assert_eq!(seen, [Some(0), Some(0), Some(0), Some(1_000)]);
        assert_eq!(pace.turn(from(3), Rate { burst: 0, every_ms: 1 }, now), None);
    }

    /// [RELAY-24] [THREAT-21] what is remembered is bounded, however many addresses come; those that are not remembered
    /// begin at once.
    #[test]
    fn addresses_are_bounded() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert!((0..MAX_KEYS as u32 + 10).all(|number| pace.turn(from(number), RATE, now) == Some(now)));
        assert_eq!(lock(&pace.0).whole.len(), MAX_KEYS);
        let later = now + Duration::from_secs(2);
        assert_eq!(pace.turn(from(u32::MAX), RATE, later), Some(later));
        assert_eq!(lock(&pace.0).whole.len(), 1);
    }
}
