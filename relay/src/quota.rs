//! How often somebody may ask: by address for what needs no login, by account for what does.
//!
//! The clock is the `now` of each request, so that a simulation's time is the only time. Memory is bounded: keys that
//! have recovered are forgotten, and beyond [`MAX_KEYS`] newcomers wait where waiting protects others.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota as Allowed, RateLimiter};
use sealpost_spec::account::Name;
use sealpost_spec::relay::Refusal;
use serde::{Deserialize, Serialize};

use crate::store::bell::lock;

/// Most keys that one limiter remembers: about 10 MiB of them.
pub const MAX_KEYS: usize = 100_000;

/// A page of 500 rooms asks the store a thousand things.
const LIST: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// So many at once, and one more after each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// At once; 0 allows none.
    pub burst: u32,
    /// Milliseconds until one more is allowed.
    pub every_ms: u32,
}

/// All rates, each with the reason for its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Registrations per address without a name receipt: a household registers at once, a list of names takes days.
    pub registrations: Rate,
    /// Logins per address: an office that reconnects after a restart is let in, guessing is slow.
    pub logins: Rate,
    /// Bundle fetches per address. Beyond it a bundle has no one-time keys; it is never refused.
    pub fetches: Rate,
    /// One-time keys given out per account, whoever asks: drains 100 of them in hours, while their owner refills.
    pub one_time_keys: Rate,
    /// Device lists per address and per account that asks.
    pub lookups: Rate,
    /// Deliveries per address: two scripts that send as fast as the disk commits stay below it.
    pub deliveries: Rate,
    /// Parts of files, of 64 KiB, that an address uploads: 6 GiB at once, then 12 MiB a second.
    pub uploads: Rate,
    /// The same of what an address fetches: twice as much, since many fetch what one sends.
    pub downloads: Rate,
    /// Posts per account: a pasted page goes through, a flood does not.
    pub posts: Rate,
    /// What else an account asks: keys to publish, a token, rooms to follow or list. A client follows 200 rooms after
    /// its login; a page of all rooms counts as twenty, for so dear is it.
    pub requests: Rate,
    /// TLS handshakes per address: an office comes back at once after a restart, with as many links as an address may
    /// have and half as many again. Who comes faster waits a little for a turn.
    pub handshakes: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            registrations: Rate { burst: 10, every_ms: 30_000 },
            logins: Rate { burst: 500, every_ms: 100 },
            fetches: Rate { burst: 100, every_ms: 5_000 },
            one_time_keys: Rate { burst: 60, every_ms: 60_000 },
            lookups: Rate { burst: 600, every_ms: 200 },
            deliveries: Rate { burst: 6_000, every_ms: 5 },
            uploads: Rate { burst: 100_000, every_ms: 5 },
            downloads: Rate { burst: 200_000, every_ms: 3 },
            posts: Rate { burst: 300, every_ms: 100 },
            requests: Rate { burst: 600, every_ms: 100 },
            handshakes: Rate { burst: 150, every_ms: 50 },
        }
    }
}

/// Until a rate that was used up is whole again, in milliseconds: a century. Beyond a few of them the limiters' clock,
/// nanoseconds in 64 bits, would overflow.
pub(crate) const MAX_RECOVERY_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

impl Rate {
    /// Milliseconds until all that is allowed at once is allowed again.
    pub(crate) fn recovery_ms(self) -> u64 {
        // 32 bits times 32 bits: there is always room.
        u64::from(self.burst) * u64::from(self.every_ms)
    }
}

impl Rates {
    /// Each with the name of its setting.
    pub(crate) fn named(&self) -> [(&'static str, Rate); 11] {
        let Self {
            registrations,
            logins,
            fetches,
            one_time_keys,
            lookups,
            deliveries,
            uploads,
            downloads,
            posts,
            requests,
            handshakes,
        } = *self;
        [
            ("registrations", registrations),
            ("logins", logins),
            ("fetches", fetches),
            ("one_time_keys", one_time_keys),
            ("lookups", lookups),
            ("deliveries", deliveries),
            ("uploads", uploads),
            ("downloads", downloads),
            ("posts", posts),
            ("requests", requests),
            ("handshakes", handshakes),
        ]
    }

    /// Rates that nothing reaches, for tests of something else.
    pub fn unlimited() -> Self {
        let rate = Rate { burst: u32::MAX, every_ms: 1 };
        Self {
            registrations: rate,
            logins: rate,
            fetches: rate,
            one_time_keys: rate,
            lookups: rate,
            deliveries: rate,
            uploads: rate,
            downloads: rate,
            posts: rate,
            requests: rate,
            handshakes: rate,
        }
    }
}

/// An address as limits see it: one IPv4 address, or the 64-bit prefix that an IPv6 user has for themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(u128);

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(Ipv6Addr::to_bits(address) & (u128::MAX << 64)),
        }
    }
}

/// Nanoseconds that have passed by the `now` of requests; never goes back.
#[derive(Clone, Default)]
struct Now(Arc<AtomicU64>);

/// Requests of several links come in any order within it; a clock that goes back further was set.
const DISORDER_MS: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(u64);

impl std::ops::Add<Nanos> for Instant {
    type Output = Self;
    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.as_u64()))
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }
    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}

impl Clock for Now {
    type Instant = Instant;
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::Relaxed))
    }
}

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, Now, NoOpMiddleware<Instant>>;

/// One limiter, and whether it shuts or opens when it can remember no more keys.
struct Gate<K: std::hash::Hash + Eq + Clone> {
    limiter: Option<Limiter<K>>,
    burst: NonZeroU32,
    checks: AtomicU64,
    full: AtomicBool,
    shuts: bool,
}

impl<K: std::hash::Hash + Eq + Clone> Gate<K> {
    fn new(rate: Rate, clock: &Now, shuts: bool) -> Self {
        let allowed = NonZeroU32::new(rate.burst).and_then(|burst| {
            let period = Duration::from_millis(u64::from(rate.every_ms.max(1)));
            Some(Allowed::with_period(period)?.allow_burst(burst))
        });
        let limiter =
            allowed.map(|allowed| RateLimiter::new(allowed, DefaultKeyedStateStore::default(), clock.clone()));
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        Self { limiter, burst, checks: AtomicU64::new(0), full: AtomicBool::new(false), shuts }
    }

    fn check(&self, clock: &Now, key: &K) -> Result<(), Refusal> {
        self.charge(clock, key, NonZeroU32::MIN)
    }

    /// The same for something that counts as `cost`, or as all that is allowed at once where that is less.
    fn charge(&self, clock: &Now, key: &K, cost: NonZeroU32) -> Result<(), Refusal> {
        const FULL: Refusal = Refusal::TooFast { retry_after_ms: 60_000 };
        let Some(limiter) = &self.limiter else { return Err(FULL) };
        // Counting the keys locks them all, so it is not done at every check.
        if self.checks.fetch_add(1, Ordering::Relaxed) % 1024 == 1023 && limiter.len() > MAX_KEYS {
            limiter.retain_recent();
            self.full.store(limiter.len() > MAX_KEYS, Ordering::Relaxed);
        }
        if self.full.load(Ordering::Relaxed) {
            return if self.shuts { Err(FULL) } else { Ok(()) };
        }
        // A cost above the burst, for which there is no room ever, was lowered to it.
        limiter.check_key_n(key, cost.min(self.burst)).unwrap_or(Ok(())).map_err(|not_until| {
            let wait = not_until.wait_time_from(clock.now());
            Refusal::TooFast { retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1) }
        })
    }

    fn forget(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
            self.full.store(limiter.len() > MAX_KEYS, Ordering::Relaxed);
        }
    }
}

/// Everybody's quotas.
pub(crate) struct Quota {
    clock: Now,
    /// The latest `now`, Unix milliseconds.
    latest: Mutex<Option<u64>>,
    registrations: Gate<Prefix>,
    logins: Gate<Prefix>,
    fetches: Gate<Prefix>,
    one_time_keys: Gate<Name>,
    lookups: Gate<Prefix>,
    account_lookups: Gate<Name>,
    deliveries: Gate<Prefix>,
    uploads: Gate<Prefix>,
    downloads: Gate<Prefix>,
    posts: Gate<Name>,
    requests: Gate<Name>,
}

impl Quota {
    pub(crate) fn new(rates: &Rates) -> Self {
        let clock = Now::default();
        Self {
            registrations: Gate::new(rates.registrations, &clock, true),
            logins: Gate::new(rates.logins, &clock, false),
            fetches: Gate::new(rates.fetches, &clock, true),
            one_time_keys: Gate::new(rates.one_time_keys, &clock, true),
            lookups: Gate::new(rates.lookups, &clock, true),
            account_lookups: Gate::new(rates.lookups, &clock, true),
            deliveries: Gate::new(rates.deliveries, &clock, false),
            uploads: Gate::new(rates.uploads, &clock, true),
            downloads: Gate::new(rates.downloads, &clock, true),
            posts: Gate::new(rates.posts, &clock, false),
            requests: Gate::new(rates.requests, &clock, false),
            latest: Mutex::default(),
            clock,
        }
    }

    /// Lets the limiters see this time. `now`: Unix milliseconds. Where the clock is set back, they go on from there:
    /// nobody waits until it is again as late as it was.
    pub(crate) fn tick(&self, now: u64) {
        let mut latest = lock(&self.latest);
        let before = latest.unwrap_or(now);
        if now > before {
            self.clock.0.fetch_add((now - before).saturating_mul(1_000_000), Ordering::Relaxed);
        }
        if now > before || before - now > DISORDER_MS || latest.is_none() {
            *latest = Some(now);
        }
    }

    pub(crate) fn registration(&self, from: Prefix) -> Result<(), Refusal> {
        self.registrations.check(&self.clock, &from)
    }
    pub(crate) fn login(&self, from: Prefix) -> Result<(), Refusal> {
        self.logins.check(&self.clock, &from)
    }
    /// Whether this address still gets one-time keys of this account.
    pub(crate) fn one_time_keys(&self, from: Prefix, account: &Name) -> bool {
        self.fetches.check(&self.clock, &from).is_ok() && self.one_time_keys.check(&self.clock, account).is_ok()
    }
    pub(crate) fn lookup(&self, from: Prefix, account: Option<&Name>) -> Result<(), Refusal> {
        match account {
            Some(name) => self.account_lookups.check(&self.clock, name),
            None => self.lookups.check(&self.clock, &from),
        }
    }
    pub(crate) fn delivery(&self, from: Prefix) -> Result<(), Refusal> {
        self.deliveries.check(&self.clock, &from)
    }
    pub(crate) fn upload(&self, from: Prefix) -> Result<(), Refusal> {
        self.uploads.check(&self.clock, &from)
    }
    pub(crate) fn download(&self, from: Prefix) -> Result<(), Refusal> {
        self.downloads.check(&self.clock, &from)
    }
    pub(crate) fn post(&self, account: &Name) -> Result<(), Refusal> {
        self.posts.check(&self.clock, account)
    }

    /// Something else that an account asks.
    pub(crate) fn request(&self, account: &Name) -> Result<(), Refusal> {
        self.requests.check(&self.clock, account)
    }
    /// A page of a list with a number for each of its entries.
    pub(crate) fn list(&self, account: &Name) -> Result<(), Refusal> {
        self.requests.charge(&self.clock, account, LIST)
    }

    /// Forgets whoever has recovered.
    pub(crate) fn forget(&self) {
        self.registrations.forget();
        self.logins.forget();
        self.fetches.forget();
        self.one_time_keys.forget();
        self.lookups.forget();
        self.account_lookups.forget();
        self.deliveries.forget();
        self.uploads.forget();
        self.downloads.forget();
        self.posts.forget();
        self.requests.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 2, every_ms: 1_000 };

    fn quota() -> Quota {
        let quota = Quota::new(&Rates { registrations: RATE, requests: RATE, ..Rates::default() });
        quota.tick(1_790_000_000_000);
        quota
    }

    fn from(number: u32) -> Prefix {
        IpAddr::from(number.to_be_bytes()).into()
    }

    /// [RELAY-15] [THREAT-21] what the limiters remember is bounded, however many addresses come: then newcomers wait,
    /// until others have recovered.
    #[test]
    fn keys_are_bounded() {
        let quota = quota();
        let refused = (0..2 * MAX_KEYS as u32).filter(|number| quota.registration(from(*number)).is_err()).count();
        let known = quota.registrations.limiter.as_ref().map(RateLimiter::len).unwrap();
        assert!(known <= MAX_KEYS + 1024, "{known}");
        assert!(refused >= MAX_KEYS - 1024, "{refused}");
        quota.tick(1_790_000_010_000);
        quota.forget();
        assert_eq!(quota.registration(from(1)), Ok(()));
    }

    /// A clock that was set back does not stop the limiters until it is as late again; small disorder does not
    /// quicken them.
    #[test]
    fn a_clock_may_be_set_back() {
        let quota = quota();
        let now = 1_790_000_000_000;
        let year = 365 * 24 * 3_600_000;
        quota.tick(now + year);
        let attempt = || quota.registration(from(1)).is_ok();
        assert!(attempt() && attempt() && !attempt());
        quota.tick(now);
        assert!(!attempt());
        quota.tick(now + 1_000);
        assert!(attempt() && !attempt());
        (0..10).for_each(|_| [500, 1_000].into_iter().for_each(|later| quota.tick(now + later)));
        assert!(!attempt());
    }

    /// A dear request counts as all that is allowed at once where that is less than it costs.
    #[test]
    fn what_costs_more_counts_more() {
        let (quota, alice) = (quota(), "alice".parse().unwrap());
        assert!(quota.list(&alice).is_ok() && quota.request(&alice).is_err());
        let quota = Quota::new(&Rates::default());
        let pages = (0..1000).take_while(|_| quota.list(&alice).is_ok()).count();
        assert_eq!(pages, 30);
    }
}
