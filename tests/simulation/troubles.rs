//! What a walk may have to do with beside the faults of its links: which, its seed says.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sealpost_relay::store::Memory;
use tempfile::TempDir;

use super::Walk;
use crate::world::{DAY, HOUR, MINUTE, extent};

/// Everybody of a house of eight.
pub(super) const HOUSE: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// Who may go back to an old profile. Not Alice: what she has decided in her room is nobody else's to remember.
const RESTORED: [&str; 2] = ["bob", "carol"];

/// So long a walk may last beside its steps' own pauses: whoever is away for all of it still hears what was said.
const WEEKS: u64 = 20 * DAY;

/// A sort of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// Clocks are set, by more than a day at times.
    Clocks,
    /// The relay's disk goes back to a copy.
    OldStores,
    /// People's disks go back to a copy.
    OldProfiles,
    /// Eight people instead of three.
    House,
    /// People's disks are full for a while.
    FullDisks,
    /// The relay's disk is full for a while.
    FullStore,
    /// Some people do not reach the relay for hours.
    CutOff,
    /// Days pass.
    Days,
}

impl Trouble {
    const ALL: [Self; 8] = [
        Self::Clocks,
        Self::OldStores,
        Self::OldProfiles,
        Self::House,
        Self::FullDisks,
        Self::FullStore,
        Self::CutOff,
        Self::Days,
    ];

    /// One at most in a short walk, so that a seed that fails says what it is about; any of them in a long one.
    pub(super) fn of(seed: u64) -> BTreeSet<Self> {
        if !extent::is_long() {
            let one = usize::try_from(seed % 12).ok().and_then(|place| Self::ALL.get(place.checked_sub(4)?));
            return one.copied().into_iter().collect();
        }
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        Self::ALL
            .into_iter()
            .filter(|trouble| dice.random_range(0..if *trouble == Self::House { 6 } else { 3 }) == 0)
            .collect()
    }
}

/// Copies that were made, and what was put back.
#[derive(Default)]
pub(super) struct Copies {
    store: Option<Memory>,
    profiles: BTreeMap<&'static str, TempDir>,
    /// How much had been said when somebody went back to an old profile: what was said before may be gone there.
    pub(super) went_back: BTreeMap<&'static str, usize>,
    /// How much had been posted then: what the relay had not taken went with the disk.
    pub(super) posted: BTreeMap<&'static str, usize>,
}

impl Walk {
    /// How much of what was said is not sure to be in both conversations: what came before somebody's old profile did.
    pub(super) fn unsure(&self, one: &str, other: &str) -> usize {
        [one, other].iter().filter_map(|who| self.copies.went_back.get(who)).copied().max().unwrap_or_default()
    }

    /// What was said so far may be gone there.
    pub(super) fn went_back(&mut self, who: &'static str) {
        self.copies.went_back.insert(who, self.said.len());
        self.copies.posted.insert(who, self.posted.len());
    }

    pub(super) fn troubles(&mut self) {
        let all: Vec<Trouble> = self.troubles.iter().copied().collect();
        if all.is_empty() {
            return;
        }
        match all[self.dice(all.len())] {
            Trouble::House => {}
            Trouble::Clocks => self.sets_a_clock(),
            Trouble::OldStores => self.copies_or_restores_the_store(),
            Trouble::OldProfiles => self.copies_or_restores_a_profile(),
            Trouble::FullDisks => self.fills_a_disk(),
            Trouble::FullStore => self.fills_the_store(),
            Trouble::CutOff => self.cuts_somebody_off(),
            Trouble::Days => self.lets_days_pass(),
        }
    }

    /// Somebody's disk takes nothing new for a while, in which they and others go on.
    fn fills_a_disk(&mut self) {
        let who = self.anybody();
        self.world.fills_disk(who, true);
        self.goes_on();
        self.world.fills_disk(who, false);
    }

    /// The relay's disk takes nothing new for a while: it accepts nothing, and what it had stays.
    fn fills_the_store(&mut self) {
        self.world.fills_store(true);
        self.goes_on();
        self.world.fills_store(false);
    }

    /// A few things are said, and up to a minute passes.
    fn goes_on(&mut self) {
        for _ in 0..3 {
            let count = self.people.len();
            let place = self.dice(count);
            let (who, other) = (self.people[place], self.people[(place + 1 + self.dice(count - 1)) % count]);
            self.says(who, other);
            self.posts(other);
            let time = self.world.dice.random_range(0..MINUTE / 3);
            self.world.pass(time);
        }
    }

    fn cuts_somebody_off(&mut self) {
        let who = self.anybody();
        let cut = !self.world.faults.cut_off.contains(who);
        self.world.cuts_off(who, cut);
    }

    fn lets_days_pass(&mut self) {
        let time = self.world.dice.random_range(0..3 * DAY);
        if self.days + time <= WEEKS {
            self.days += time;
            self.world.pass(time);
        }
    }

    fn sets_a_clock(&mut self) {
        let who = self.anybody();
        if !self.world.person(who).is_here() {
            return;
        }
        self.world.person(who).leaves();
        let hours = self.world.dice.random_range(-30..=30_i64);
        self.world.sets_clock(who, hours * i64::try_from(HOUR).unwrap());
        self.world.person(who).returns();
    }

    fn copies_or_restores_the_store(&mut self) {
        match self.copies.store.take() {
            Some(old) if self.dice(2) == 0 => self.world.restore(old),
            // A newer copy, or the first.
            _ => self.copies.store = Some(self.world.backup()),
        }
    }

    fn copies_or_restores_a_profile(&mut self) {
        let who = RESTORED[self.dice(RESTORED.len())];
        if !self.world.person(who).is_here() {
            return;
        }
        self.world.person(who).leaves();
        match self.copies.profiles.remove(who) {
            Some(old) if self.dice(2) == 0 => {
                self.world.goes_back(who, &old);
                self.went_back(who);
            }
            _ => {
                let copy = self.world.profile_of(who);
                self.copies.profiles.insert(who, copy);
            }
        }
        let away = self.world.dice.random_range(0..MINUTE);
        self.world.pass(away);
        self.world.person(who).returns();
    }
}
