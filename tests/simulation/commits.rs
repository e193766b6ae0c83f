//! One story, and somebody who dies at a commit of it: at each, before it is durable and after.
//!
//! The usual run takes some of the commits, `SEALPOST_COMMITS=all` all of them, and `SEALPOST_COMMITS=7..8` those places.

use sealpost_client::api::{Command, Event};
use sealpost_client::store::CrashPoint;
use sealpost_relay::store::CrashPoint as StoreCrash;

use super::{PEOPLE, Walk};
use crate::world::{MINUTE, SECOND, World};

const PHONE: &str = "carol's phone";

/// The usual run tries one commit in so many.
const STRIDE: usize = 101;

/// Who dies.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Client(&'static str, CrashPoint),
    Store(StoreCrash),
}

impl Victim {
    /// As it is counted.
    const fn death(self) -> &'static str {
        match self {
            Self::Client(..) => "client dies",
            Self::Store(_) => "store crashes",
        }
    }
}

/// A story of everything that is committed: first words, answers, changes, a room, a device, a disk that is lost.
fn story(victim: Option<(Victim, u64)>) -> Walk {
    let mut world = World::empty(400);
    match victim {
        Some((Victim::Store(point), commit)) => world.store_crashes_at(commit, point),
        Some((Victim::Client(person, point), commit)) => world.dies_at(person, commit, point),
        None => {}
    }
    for name in PEOPLE {
        let _ = world.installs(name);
        lasting(&mut world, name, registers(name));
    }
    world.settle();
    for name in PEOPLE {
        lasting(&mut world, name, joins(name, "#lobby"));
    }
    let mut walk = Walk::among(world, &PEOPLE);
    walk.meets("alice", "bob");
    walk.meets("bob", "carol");
    walk.meets("carol", "alice");
    for name in PEOPLE {
        lasting(&mut walk.world, name, joins(name, "#garden"));
        walk.posts(name);
    }
    walk.changes("alice", "bob");
    walk.reacts("bob");
    walk.replies("bob", "alice");
    walk.rests();
    let out = Command::Kick { room: "#garden".to_owned(), name: "bob".to_owned(), reason: None };
    lasting(&mut walk.world, "alice", |world| world.person("alice").tries(out.clone()));
    walk.rests();
    walk.gets_a_phone();
    for (from, to) in [("bob", "carol"), ("carol", "bob")] {
        walk.says(from, to);
        walk.rests();
    }
    walk.says_by(PHONE, "carol", "bob");
    walk.rests();
    walk.loses_a_disk("bob");
    walk.meets("alice", "bob");
    walk.meets("carol", "bob");
    walk
}

fn registers(who: &'static str) -> impl FnMut(&mut World) -> bool {
    move |world| {
        let told = world.person(who).asks(Command::Register { invite: None });
        told.iter().any(|event| matches!(event, Event::Me { .. }))
    }
}

fn joins(who: &'static str, room: &'static str) -> impl FnMut(&mut World) -> bool {
    move |world| world.person(who).asks(Command::Join { room: room.to_owned() }).contains(&Event::Done)
}

/// Does something until it is done; whoever dies on the way comes back and does it again.
fn lasting(world: &mut World, who: &str, mut does: impl FnMut(&mut World) -> bool) {
    for _ in 0..4 {
        if world.person(who).is_here() && does(world) {
            return;
        }
        world.pass(MINUTE);
    }
    panic!("{who} does not come to it");
}

impl Walk {
    /// What was done reaches everybody; whoever died of it comes back.
    fn rests(&mut self) {
        self.world.pass(MINUTE);
        self.world.settle();
    }

    /// Two write to each other.
    fn meets(&mut self, one: &'static str, other: &'static str) {
        self.says(one, other);
        self.world.pass(2 * SECOND);
        self.says(other, one);
        self.rests();
        self.says(one, other);
        self.rests();
    }

    /// The same as [`Walk::says`], on another device of `from`.
    fn says_by(&mut self, device: &str, from: &'static str, to: &'static str) {
        let text = self.marker(from, to);
        let queued = self.world.person(device).is_here() && self.world.person(device).tries_to_say(to, &text);
        self.has_said(from, to, text, queued);
    }

    /// Carol links a second device.
    fn gets_a_phone(&mut self) {
        self.world.buys(PHONE, "carol");
        let mut request = None;
        lasting(&mut self.world, PHONE, |world| {
            request = world.shows_request(PHONE);
            request.is_some()
        });
        let (request, code) = request.expect("it is shown");
        lasting(&mut self.world, "carol", |world| {
            let (request, code) = (request.clone(), Some(code.clone()));
            let told = world.person("carol").asks(Command::DeviceAdd { request, code, timeout_ms: 60_000 });
            told.iter().any(|event| matches!(event, Event::Device { .. }))
        });
        self.rests();
    }

    /// Somebody has their words and nothing else.
    fn loses_a_disk(&mut self, who: &'static str) {
        if self.world.person(who).is_here() {
            self.world.person(who).leaves();
        }
        let words = self.world.words_of(who);
        let _ = self.world.restores_by_words(who, &words);
        lasting(&mut self.world, who, registers(who));
        self.went_back(who);
        self.rests();
    }
}

/// Which of so many places are tried.
fn chosen(places: usize) -> Vec<usize> {
    let asked = std::env::var("SEALPOST_COMMITS").unwrap_or_default();
    match asked.split_once("..") {
        Some((from, to)) => (from.parse().expect("a number")..to.parse().expect("a number")).collect(),
        None if asked == "all" => (0..places).collect(),
        None => (0..places).step_by(STRIDE).collect(),
    }
}

/// [BOX-3] [MSG-24] whoever dies at whichever commit of whichever step, client or relay's store: nothing that was queued is lost,
/// nothing stands twice, no key serves twice, and every queue runs empty.
#[test]
fn whoever_dies_at_any_commit_loses_nothing() {
    let mut whole = story(None);
    let mut places = Vec::new();
    for name in ["alice", "bob", "carol", PHONE] {
        for point in [CrashPoint::BeforeCommit, CrashPoint::AfterCommit] {
            places.extend((1..=whole.world.commits_of(name)).map(|commit| (Victim::Client(name, point), commit)));
        }
    }
    for point in [StoreCrash::BeforeCommit, StoreCrash::AfterCommit] {
        places.extend((1..=whole.world.commits_of_store()).map(|commit| (Victim::Store(point), commit)));
    }
    whole.heal();
    let _ = whole.check();
    let chosen = chosen(places.len());
    println!("{} of {} places to die at", chosen.len(), places.len());
    for place in chosen {
        println!(
            "{:?}, again with: SEALPOST_COMMITS={place}..{} cargo test -p sealpost-tests --locked whoever_dies -- --nocapture",
            places[place],
            place + 1
        );
        let mut walk = story(Some(places[place]));
        assert!(walk.world.walked.count("fault", places[place].0.death()) > 0, "nobody died");
        walk.heal();
        let _ = walk.check();
    }
}
