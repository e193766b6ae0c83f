//! Old profiles that come back at random moments of weeks, and profiles that run twice.

use rand::RngExt;
use sealpost_client::api::{Event, Trust};
use tempfile::TempDir;

use super::{PEOPLE, Walk};
use crate::world::faults::Faults;
use crate::world::{DAY, HOUR, MINUTE, World, extent};

/// Things that happen in one of these worlds: about three weeks of them.
const HAPPENINGS: u32 = 70;

/// Copies of profiles, with whose they are.
type Copies = Vec<(&'static str, TempDir)>;

/// Everybody has compared everybody's key, and they have talked.
fn acquainted(seed: u64) -> Walk {
    let mut world = World::new(seed);
    for name in PEOPLE {
        world.join(name, "#lobby");
        world.join(name, "#garden");
    }
    let mut walk = Walk::among(world, &PEOPLE);
    for who in PEOPLE {
        for other in PEOPLE.into_iter().filter(|other| *other != who) {
            walk.adds(who, other);
        }
    }
    for who in PEOPLE {
        for other in PEOPLE.into_iter().filter(|other| *other != who) {
            walk.says(who, other);
        }
        walk.world.settle();
    }
    walk
}

impl Walk {
    fn copies(&mut self, who: &'static str, copies: &mut Copies) {
        self.world.person(who).leaves();
        copies.push((who, self.world.profile_of(who)));
        self.world.person(who).returns();
    }

    /// Any of the copies takes the place of its owner's profile, be it hours or weeks old.
    fn restores_any(&mut self, copies: &Copies) -> Option<&'static str> {
        if copies.is_empty() {
            return None;
        }
        let (who, copy) = &copies[self.dice(copies.len())];
        self.world.person(who).leaves();
        self.world.goes_back(who, copy);
        self.went_back(who);
        self.world.person(who).returns();
        Some(who)
    }

    /// A profile runs on two machines for some hours, each of which speaks. What one of them heard, the other may never hear.
    fn runs_twice(&mut self, who: &'static str, number: u32) {
        let other = PEOPLE[(PEOPLE.iter().position(|name| *name == who).unwrap() + 1) % PEOPLE.len()];
        let twin = format!("{who}, copy {number}");
        self.world.person(who).leaves();
        self.world.copies_profile(who, &twin);
        for _ in 0..2 {
            for machine in [who, &twin] {
                self.world.person(machine).returns();
                let _ = self.world.person(machine).tries_to_say(other, &format!("from {machine}"));
                let time = self.world.dice.random_range(0..2 * HOUR);
                self.world.pass(time);
                self.world.person(machine).leaves();
            }
        }
        self.world.person(who).returns();
        self.world.settle();
        self.went_back(who);
    }

    /// How many lines say at somebody's that this person goes on from an older profile.
    fn lines_about(&mut self, at: &str, whose: Option<&str>) -> usize {
        let told = self.world.person(at).events();
        let is_line = |event: &&Event| matches!(event, Event::Restored { name } if name.as_deref() == whose);
        told.iter().filter(is_line).count()
    }
}

fn weeks(seed: u64) {
    let mut walk = acquainted(seed);
    let mut copies = Copies::new();
    let mut went_back = [0; PEOPLE.len()];
    if seed.is_multiple_of(2) {
        walk.world.faults = Faults { client_crash: 0, ..Faults::many() };
    }
    for number in 0..HAPPENINGS {
        let place = walk.dice(PEOPLE.len());
        let (who, other) = (PEOPLE[place], PEOPLE[(place + 1 + walk.dice(PEOPLE.len() - 1)) % PEOPLE.len()]);
        match walk.dice(14) {
            0 | 1 => walk.copies(who, &mut copies),
            2 | 3 => {
                if let Some(who) = walk.restores_any(&copies) {
                    went_back[PEOPLE.iter().position(|name| *name == who).unwrap()] += 1;
                }
            }
            4 => {
                walk.runs_twice(who, number);
                // As often as one of the two machines takes over from the other.
                went_back[place] += 4;
            }
            _ => {
                walk.says(who, other);
                walk.world.pass(MINUTE);
                walk.says(other, who);
            }
        }
        let time = walk.world.dice.random_range(0..14 * HOUR);
        walk.world.pass(time);
    }
    walk.heal();
    let replay = format!("SEALPOST_SEEDS={seed}..{} … old_profiles", seed + 1);
    for (place, who) in PEOPLE.into_iter().enumerate() {
        for other in PEOPLE.into_iter().filter(|other| *other != who) {
            assert_eq!(walk.world.person(other).trust_in(who), Some(Trust::Verified), "{replay}: {other} of {who}");
            let lines = walk.lines_about(other, Some(who));
            // Who goes back to before the line was shown is shown it again.
            let at = PEOPLE.iter().position(|name| *name == other).unwrap();
            let most = went_back[place] + went_back[at];
            assert!(lines <= most, "{replay}: {lines} lines at {other} about {who}: {went_back:?}");
            assert_eq!(walk.world.person(who).queue(), (0, 0), "{replay}: {who} waits for something");
        }
        let told = walk.world.person(who).events();
        let alarm = |event: &&Event| matches!(event, Event::KeyChanged { .. } | Event::NewDevice { .. });
        assert_eq!(told.iter().find(alarm), None, "{replay}: {who}");
    }
    // What is said now is heard by everybody, at once and in order.
    for who in PEOPLE {
        for other in PEOPLE.into_iter().filter(|other| *other != who) {
            walk.says(who, other);
        }
    }
    walk.world.pass(DAY);
    walk.world.settle();
    let _ = walk.check();
}

/// [ACCT-12] [MSG-25] [MSG-30] old profiles come back at random moments of three weeks, and some run twice: nobody loses a verified
/// mark, has to do anything, or hears more than a line of it; nothing said since stays unread; and no key and nonce serve twice.
#[test]
fn old_profiles_come_back_and_lose_nothing() {
    let seeds = if std::env::var_os("SEALPOST_SEEDS").is_some() { extent::Extent::asked_for().seeds } else { 0..3 };
    seeds.for_each(weeks);
}
