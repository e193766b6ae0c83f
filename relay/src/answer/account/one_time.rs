//! One-time prekeys: each given out once, and a few rows of them for a device.
//!
//! They stand on pages, in the order of their ids, and a small row beside says which of them are left: only what it
//! counts is there. Whoever gives one out moves that row on by a comparison of revisions, and leaves the page as it is;
//! a page goes with its last key. So a page that was written, and never counted, is written again.

use std::collections::BTreeMap;

use sealpost_spec::account::{
    Device, DeviceId, MAX_KEM_PREKEYS, MAX_ONE_TIME_PREKEYS, Name, Prekey, PrekeyCounts, PrekeyId, PrekeyRole,
};
use sealpost_spec::relay::Refusal;
use sealpost_spec::wire::Signed;

use super::prekeys::Verified;
use crate::answer::row::{self, Current, Left, OneTimes, Page, Row as _, decoded, put};
use crate::answer::{ATTEMPTS, No, Relay};
use crate::store::{Fault, Key, Rev, Store, Write, Written};

/// X25519 keys on a page: 7 kB.
const ON_A_PAGE: usize = 50;
/// ML-KEM-768 keys on a page: 13 kB, of which each bundle reads all.
const KEM_ON_A_PAGE: usize = 10;

/// Ids that are so far beyond are those of a profile that was copied, which leaves that many out: it knows none of the keys
/// before. [RELAY-17]
const REPLACES: u32 = 1 << 13;

/// The two kinds of them.
const ROLES: [PrekeyRole; 2] = [PrekeyRole::OneTime, PrekeyRole::OneTimeKem];

/// What becomes of one-time keys beyond the most that are kept. [ACCT-16]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// The request is refused.
    Refused,
    /// Those that fit are taken.
    LeftOut,
}

/// Where a key stands: the number of its page, and its place there.
type Place = (u32, usize);

impl Left {
    /// Keys that are left.
    fn count(&self) -> usize {
        self.pages.iter().map(|keys| usize::from(*keys)).sum::<usize>().saturating_sub(self.given.into())
    }

    /// The next one.
    fn next(&self) -> Option<Place> {
        (self.count() > 0).then_some((self.first, self.given.into()))
    }

    /// The next one is given out; the page that thereby has none left.
    fn give(&mut self) -> Option<u32> {
        self.given = self.given.saturating_add(1);
        if self.pages.first().is_some_and(|keys| self.given < *keys) { None } else { self.turn() }
    }

    /// The first page is over; its number.
    fn turn(&mut self) -> Option<u32> {
        if self.pages.is_empty() {
            return None;
        }
        self.pages.remove(0);
        self.given = 0;
        let over = self.first;
        self.first = over.wrapping_add(1);
        Some(over)
    }

    /// Forgets all of them; the pages on which they stood.
    fn clear(&mut self) -> Vec<u32> {
        self.through = PrekeyId::NONE;
        std::iter::from_fn(|| self.turn()).collect()
    }

    /// The pages that there are, with how many keys on each count.
    fn pages(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..).zip(&self.pages).map(|(at, keys)| (self.first.wrapping_add(at), usize::from(*keys)))
    }
}

impl OneTimes {
    fn of(&mut self, role: PrekeyRole) -> &mut Left {
        if role == PrekeyRole::OneTimeKem { &mut self.one_time_kem } else { &mut self.one_time }
    }
}

/// What one request makes of a device's one-time keys.
pub(super) struct Pool<'a> {
    name: &'a Name,
    id: DeviceId,
    rev: Option<Rev>,
    was: OneTimes,
    now: OneTimes,
    /// Pages that are written: before they count.
    pages: Vec<Write>,
    /// Pages that go: once they count no more.
    over: Vec<Key>,
}

impl Pool<'_> {
    /// Forgets what an earlier device of this id has published.
    pub(super) fn clear(&mut self) {
        ROLES.into_iter().for_each(|role| self.clear_role(role));
    }

    fn clear_role(&mut self, role: PrekeyRole) {
        let over = self.now.of(role).clear().into_iter();
        self.over.extend(over.map(|page| row::page(self.name, self.id, role, page)));
    }

    /// What is to be written, in this order.
    pub(super) async fn writes<S: Store>(self, relay: &Relay<S>) -> Result<Vec<Write>, Fault> {
        let Self { name, id, rev, was, now, mut pages, over } = self;
        if now != was {
            pages.push(put(row::one_times(name, id), rev, &now)?);
        }
        let there = relay.store.get(over.clone()).await?;
        let over = over.into_iter().zip(there);
        pages.extend(over.filter_map(|(key, there)| Some(Write::Delete { key, expected: there?.rev })));
        Ok(pages)
    }
}

impl<S: Store> Relay<S> {
    /// What a device has of them.
    pub(super) async fn pool<'a>(&self, name: &'a Name, id: DeviceId) -> Result<Pool<'a>, Fault> {
        let there = self.row::<OneTimes>(row::one_times(name, id)).await?;
        let rev = Current::rev(there.as_ref());
        let was = there.map(|there| there.row).unwrap_or_default();
        Ok(Pool { name, id, rev, now: was.clone(), was, pages: Vec::new(), over: Vec::new() })
    }

    /// Adds what a request brings. `highest`: of the device, by role. [ACCT-16]
    pub(super) async fn fill(
        &self,
        pool: &mut Pool<'_>,
        highest: &mut [PrekeyId; 5],
        keys: &Verified,
        beyond: Beyond,
    ) -> Result<(), No> {
        for (role, keys) in ROLES.into_iter().zip([&keys.one_time, &keys.one_time_kem]) {
            let Some(highest) = highest.get_mut(role as usize - 1) else { continue };
            let through = pool.now.of(role).through.max(*highest);
            let mut new: BTreeMap<PrekeyId, &Signed> = BTreeMap::new();
            let mut old = Vec::new();
            for (id, signed) in keys {
                if *id <= through {
                    old.push((*id, signed));
                } else if *new.entry(*id).or_insert(signed) != signed {
                    return Err(Refusal::StaleKey.into());
                }
            }
            self.same(pool, role, &old).await?;
            if new.keys().next().is_some_and(|first| first.0 >= through.0.saturating_add(REPLACES)) {
                pool.clear_role(role);
            }
            let most = if role == PrekeyRole::OneTime { MAX_ONE_TIME_PREKEYS } else { MAX_KEM_PREKEYS };
            let room = most.saturating_sub(pool.now.of(role).count());
            if new.len() > room && beyond == Beyond::Refused {
                return Err(Refusal::QuotaReached { limit: most as u64 }.into());
            }
            let new: Vec<_> = new.into_iter().take(room).collect();
            if let Some((last, _)) = new.last() {
                (*highest, pool.now.of(role).through) = (*last, *last);
                self.append(pool, role, new.into_iter().map(|(_, signed)| signed.clone()).collect()).await?;
            }
        }
        Ok(())
    }

    /// A key under an id that was published before is the same one, used up or not, or is refused. [RELAY-17]
    async fn same(&self, pool: &mut Pool<'_>, role: PrekeyRole, keys: &[(PrekeyId, &Signed)]) -> Result<(), No> {
        if keys.is_empty() {
            return Ok(());
        }
        let pages: Vec<_> = pool.now.of(role).pages().collect();
        for (page, count) in pages {
            let Some(there) = self.row::<Page>(row::page(pool.name, pool.id, role, page)).await? else { continue };
            for there in there.row.keys.iter().take(count) {
                let id = Prekey::parse(&there.body.0).map_err(|_| Fault::Damaged(Page::TABLE))?.id;
                if keys.iter().any(|(key, signed)| *key == id && *signed != there) {
                    return Err(Refusal::StaleKey.into());
                }
            }
        }
        Ok(())
    }

    /// Puts keys behind the last one: on its page where that has room, and on further ones.
    async fn append(&self, pool: &mut Pool<'_>, role: PrekeyRole, mut keys: Vec<Signed>) -> Result<(), Fault> {
        let full = if role == PrekeyRole::OneTime { ON_A_PAGE } else { KEM_ON_A_PAGE };
        while !keys.is_empty() {
            let left = pool.now.of(role);
            let (number, count) = match left.pages().last() {
                Some((number, count)) if count < full => (number, count),
                // A page behind the last one.
                last => {
                    left.pages.push(0);
                    (last.map_or(left.first, |(number, _)| number.wrapping_add(1)), 0)
                }
            };
            let key = row::page(pool.name, pool.id, role, number);
            // It may be there, and not count yet.
            let there = self.row::<Page>(key.clone()).await?;
            let rev = Current::rev(there.as_ref());
            let mut page = there.map_or_else(Vec::new, |there| there.row.keys);
            page.truncate(count);
            page.extend(keys.drain(..keys.len().min(full.saturating_sub(page.len()))));
            if let Some(last) = pool.now.of(role).pages.last_mut() {
                *last = u16::try_from(page.len()).map_err(|_| Fault::Damaged(Page::TABLE))?;
            }
            pool.pages.push(put(key, rev, &Page { keys: page })?);
        }
        Ok(())
    }

    /// How many are left.
    pub(in crate::answer) async fn counts(&self, name: &Name, id: DeviceId) -> Result<PrekeyCounts, Fault> {
        let OneTimes { one_time, one_time_kem } = self.pool(name, id).await?.now;
        let count = |left: &Left| u32::try_from(left.count()).unwrap_or(u32::MAX);
        Ok(PrekeyCounts { one_time: count(&one_time), one_time_kem: count(&one_time_kem) })
    }

    /// Takes one of each kind: who moves the row on gives them out, nobody else does. [RELAY-11]
    pub(super) async fn take(&self, name: &Name, id: DeviceId) -> Result<[Option<Signed>; 2], Fault> {
        for _ in 0..ATTEMPTS {
            let mut pool = self.pool(name, id).await?;
            let places = ROLES.map(|role| Some((role, pool.now.of(role).next()?)));
            let asked: Vec<(PrekeyRole, Place)> = places.into_iter().flatten().collect();
            if asked.is_empty() {
                return Ok([None, None]);
            }
            let keys = asked.iter().map(|(role, (page, _))| row::page(name, id, *role, *page)).collect();
            let mut taken = [None, None];
            let mut writes = Vec::new();
            let values = self.store.get(keys).await?;
            for ((role, (page, place)), value) in asked.into_iter().zip(values) {
                let rev = value.as_ref().map(|value| value.rev);
                let there = value.map(decoded::<Page>).transpose()?;
                let signed = there
                    .and_then(|mut there| (place < there.row.keys.len()).then(|| there.row.keys.swap_remove(place)));
                // A page that is not there is over: its keys are lost, and the last resort serves.
                let left = pool.now.of(role);
                let over = if signed.is_some() { left.give() } else { left.turn() };
                if let (Some(_), Some(expected)) = (over, rev) {
                    writes.push(Write::Delete { key: row::page(name, id, role, page), expected });
                }
                if let Some(taken) = taken.get_mut(usize::from(role == PrekeyRole::OneTimeKem)) {
                    *taken = signed;
                }
            }
            writes.insert(0, put(row::one_times(name, id), pool.rev, &pool.now)?);
            if matches!(self.store.write(writes).await?.first(), Some(Written::Put(_))) {
                return Ok(taken);
            }
        }
        // Everybody fetches at once: the last resort serves.
        Ok([None, None])
    }

    /// Removes all that a device has of them.
    pub(super) async fn without_keys(&self, name: &Name, device: &Device) -> Result<Vec<Write>, Fault> {
        let mut batch = Vec::new();
        let counted = row::one_times(name, device.id);
        if let Some(there) = self.row::<OneTimes>(counted.clone()).await? {
            batch.push(Write::Delete { key: counted, expected: there.rev });
        }
        // Those that never counted, too.
        let most = MAX_ONE_TIME_PREKEYS + MAX_KEM_PREKEYS;
        for (key, value) in self.store.scan(Page::TABLE, &row::pages(name, device.id), None, most).await? {
            batch.push(Write::Delete { key: Key { table: Page::TABLE, key }, expected: value.rev });
        }
        Ok(batch)
    }
}
