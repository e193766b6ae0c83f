//! What a walk may have to do with beside the faults of its links: which, its seed says.

use std::collections::BTreeMap;

use rand::RngExt;
use sealpost_client::api::Command;
use sealpost_relay::store::Memory;
use tempfile::TempDir;

use super::Walk;
use crate::world::{HOUR, MINUTE};

/// Everybody of a house of eight.
pub(super) const HOUSE: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// Who may go back to an old profile. Not Alice: what she has decided in her room is nobody else's to remember.
const RESTORED: [&str; 2] = ["bob", "carol"];

/// One sort of trouble to a walk, so that a seed that fails says what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// None beside the faults.
    None,
    /// Clocks are set, by more than a day at times.
    Clocks,
    /// The relay's disk goes back to a copy.
    OldStores,
    /// People's disks go back to a copy.
    OldProfiles,
    /// Eight people instead of three.
    House,
}

impl Trouble {
    pub(super) fn of(seed: u64) -> Self {
        match seed % 8 {
            4 => Self::Clocks,
            5 => Self::OldStores,
            6 => Self::OldProfiles,
            7 => Self::House,
            _ => Self::None,
        }
    }
}

/// Copies that were made, and what was put back.
#[derive(Default)]
pub(super) struct Copies {
    store: Option<Memory>,
    profiles: BTreeMap<&'static str, TempDir>,
    /// How much had been said when somebody went back to an old profile: what was said before may be gone there.
    pub(super) went_back: BTreeMap<&'static str, usize>,
}

impl Walk {
    /// How much of what was said is not sure to be in both conversations: what came before somebody's old profile did.
    pub(super) fn unsure(&self, one: &str, other: &str) -> usize {
        [one, other].iter().filter_map(|who| self.copies.went_back.get(who)).copied().max().unwrap_or_default()
    }

    pub(super) fn troubles(&mut self) {
        match self.trouble {
            Trouble::None | Trouble::House => {}
            Trouble::Clocks => self.sets_a_clock(),
            Trouble::OldStores => self.copies_or_restores_the_store(),
            Trouble::OldProfiles => self.copies_or_restores_a_profile(),
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
                self.copies.went_back.insert(who, self.said.len());
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

    /// Looks around, and does what changes nothing of what was said.
    pub(super) fn looks_around(&mut self, who: &'static str, other: &'static str) {
        let first = self.dice(24);
        for number in first..first + 6 {
            if self.world.person(who).is_here() {
                self.looks(number % 24, who, other);
            }
        }
    }

    fn looks(&mut self, number: usize, who: &'static str, other: &'static str) {
        let (name, with, room) = (other.to_owned(), other.to_owned(), "#lobby".to_owned());
        let command = match number {
            0 => Command::Me,
            1 => Command::Verify { name: Some(name), mark: None },
            2 => Command::Rooms,
            3 => Command::Who { room: Some(room) },
            4 => Command::Whois { name },
            5 => Command::Alias { name, label: "a label".to_owned() },
            6 => Command::Nick { display: "Somebody".to_owned() },
            7 => Command::Away { why: "asleep".to_owned() },
            8 => Command::Contacts,
            9 => Command::Conversations,
            10 => Command::Read { with, through: None },
            11 => Command::Accept { name },
            12 => Command::Mute { with, on: true },
            13 => Command::Draft { with, text: "not yet".to_owned() },
            14 => Command::Typing { to: name, on: true },
            15 => Command::Settings { read_receipts: Some(true), typing: Some(true) },
            16 => Command::Search { words: "planted".to_owned(), with: None, limit: Some(5) },
            17 => Command::Devices,
            18 => Command::Doctor,
            19 => Command::Files,
            20 => Command::Bots,
            21 => Command::Recv { from: None, limit: None, follow: false, timeout_ms: 1_000 },
            22 => Command::Topic { room, text: None },
            _ => Command::Join { room },
        };
        self.world.person(who).tries(command);
    }
}
