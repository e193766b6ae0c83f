//! Random walks: some people, everything that can go wrong, and what must hold all the same.
//!
//! `SEALPOST_SEEDS=0..5000` sets the seeds, `SEALPOST_STEPS=500` the steps of each, `SEALPOST_WALK_MINUTES=10` for how long; a
//! failing one prints the command that replays it.

mod accounts;
mod clocks;
mod commits;
mod decisions;
mod devices;
mod looks;
mod restored;
mod stories;
mod troubles;
mod walked;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;
use sealpost_client::api::{Command, Event, Message, State};

use crate::world::extent::{self, Extent};
use crate::world::faults::Faults;
use crate::world::transitions::Walked;
use crate::world::{DAY, MINUTE, World};
use looks::ZOE;
use troubles::{Copies, HOUSE, Trouble};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Walks after which each transition must have been walked: fewer may miss one by chance.
const ENOUGH: u64 = 40;

/// A message of a walk.
struct Said {
    from: &'static str,
    to: &'static str,
    text: String,
    /// Its client said that it was queued: from then on it must arrive. One that died before may have queued it.
    queued: bool,
    /// It may have been edited or deleted since.
    changed: bool,
}

/// A walk under way.
struct Walk {
    world: World,
    said: Vec<Said>,
    posted: Vec<(&'static str, String)>,
    /// What messages were changed to.
    edits: Vec<String>,
    away: BTreeSet<&'static str>,
    decisions: decisions::Decisions,
    people: &'static [&'static str],
    /// Contact links, as everybody shows them.
    links: BTreeMap<&'static str, String>,
    troubles: BTreeSet<Trouble>,
    copies: Copies,
    /// How much time has passed at once, in milliseconds.
    days: u64,
}

impl Walk {
    fn new(seed: u64, mut world: World) -> Self {
        let troubles = Trouble::of(seed);
        let people: &[&str] = if troubles.contains(&Trouble::House) { &HOUSE } else { &PEOPLE };
        for name in people.iter().skip(PEOPLE.len()) {
            world.arrives(name);
        }
        for name in people {
            world.join(name, "#lobby");
        }
        for name in PEOPLE {
            // Alice makes it.
            world.join(name, "#garden");
        }
        Self { troubles, ..Self::among(world, people) }
    }

    /// A walk of these people, who have joined the lobby. Zoe arrives.
    fn among(mut world: World, people: &'static [&'static str]) -> Self {
        world.arrives(ZOE);
        let links = people.iter().chain([&ZOE]).map(|name| (*name, world.person(name).me().1)).collect();
        Self {
            world,
            said: Vec::new(),
            posted: Vec::new(),
            edits: Vec::new(),
            away: BTreeSet::new(),
            decisions: decisions::Decisions::default(),
            people,
            links,
            troubles: BTreeSet::new(),
            copies: Copies::default(),
            days: 0,
        }
    }

    fn anybody(&mut self) -> &'static str {
        let place = self.dice(self.people.len());
        self.people[place]
    }

    fn dice(&mut self, sides: usize) -> usize {
        self.world.dice.random_range(0..sides)
    }

    fn says(&mut self, from: &'static str, to: &'static str) {
        if !self.world.person(from).is_here() {
            return;
        }
        let text = self.marker(from, to);
        let queued = self.world.person(from).tries_to_say(to, &text);
        self.has_said(from, to, text, queued);
    }

    /// A text that nobody else says.
    fn marker(&self, from: &str, to: &str) -> String {
        format!("planted marker {} of {from} for {to}, seed {}", self.said.len(), self.world.seed)
    }

    fn has_said(&mut self, from: &'static str, to: &'static str, text: String, queued: bool) {
        self.world.walked.note("said", "message");
        self.said.push(Said { from, to, text, queued, changed: false });
    }

    /// Edits or deletes the last message.
    fn changes(&mut self, from: &'static str, to: &'static str) {
        if !self.world.person(from).is_here() {
            return;
        }
        let within = Some(to.to_owned());
        let command = if self.dice(3) > 0 {
            let text = format!("planted change {} of {from}, seed {}", self.edits.len(), self.world.seed);
            self.edits.push(text.clone());
            Command::Edit { id: None, within, text }
        } else {
            Command::Delete { id: None, within }
        };
        self.world.person(from).tries(command);
        self.world.walked.note("said", "change");
        // The last one is the last that surely was queued, or one after it whose client died before it could say so; what
        // was deleted before is no longer the last.
        let theirs = self.said.iter_mut().rev().filter(|said| said.from == from && said.to == to);
        for said in theirs {
            let before = std::mem::replace(&mut said.changed, true);
            if said.queued && !before {
                break;
            }
        }
    }

    /// Thinks something of the last message that somebody else said, wherever that was.
    fn reacts(&mut self, who: &'static str) {
        if !self.world.person(who).is_here() {
            return;
        }
        let Some(last) = self.world.person(who).shown().pop() else { return };
        let emoji = ["👍", "❤", ""][self.dice(3)].to_owned();
        self.world.person(who).tries(Command::React { id: last.id, emoji });
    }

    fn posts(&mut self, from: &'static str) {
        if self.world.person(from).is_here() {
            let text = format!("public post {} of {from}", self.posted.len());
            if self.world.person(from).tries_to_say("#lobby", &text) {
                self.world.walked.note("said", "post");
                self.posted.push((from, text));
            }
        }
    }

    fn step(&mut self) {
        let count = self.people.len();
        let place = self.dice(count);
        let (who, other) = (self.people[place], self.people[(place + 1 + self.dice(count - 1)) % count]);
        match self.dice(32) {
            0..=7 => self.says(who, other),
            8 | 9 => {
                // Both at once, before either has heard of it.
                self.says(who, other);
                self.says(other, who);
            }
            10 => (0..4).for_each(|_| self.says(who, other)),
            11 => self.posts(who),
            12 if self.world.person(who).is_here() => {
                self.world.person(who).leaves();
                self.away.insert(who);
            }
            13 => self.come_back(),
            14 => {
                let cut = self.dice(2) == 0;
                self.world.partition(cut);
            }
            15 => {
                self.world.kill_relay();
                let down = self.world.dice.random_range(0..2 * MINUTE);
                self.world.pass(down);
                self.world.start_relay();
            }
            16 if self.dice(4) == 0 => self.world.lose_store(),
            17 => self.world.break_all_links(),
            18 => self.changes(who, other),
            19 => self.reacts(who),
            20 => self.decides(),
            21 => self.meets_decisions(PEOPLE[place % PEOPLE.len()]),
            22 | 30 | 31 => self.troubles(),
            23 | 24 => self.looks_around(who, other),
            25 | 26 => self.meets_zoe(PEOPLE[place % PEOPLE.len()]),
            27 => self.replies(who, other),
            28 => self.has_a_bot(who),
            29 => self.adds(who, other),
            _ => {}
        }
        self.pauses();
    }

    fn come_back(&mut self) {
        for who in std::mem::take(&mut self.away) {
            if !self.world.person(who).is_here() {
                self.world.person(who).returns();
            }
        }
    }

    /// Nothing goes wrong any more, and what went wrong is given the time to heal.
    fn heal(&mut self) {
        self.world.faults = Faults::default();
        self.world.fills_store(false);
        self.world.start_relay();
        self.come_back();
        // Who died of a fault comes back within half a minute.
        self.world.pass(MINUTE);
        self.makes_up_with_zoe();
        self.world.break_all_links();
        self.world.settle();
        // Whatever the relay lost without saying so is sent again after a day, and after two.
        for _ in 0..4 {
            self.world.pass(DAY);
            self.world.settle();
        }
    }

    fn check(mut self) -> World {
        let replay = self.world.replay();
        let certain: BTreeSet<String> =
            self.said.iter().filter(|said| said.queued).map(|said| said.text.clone()).collect();
        for to in self.people.iter().copied() {
            for from in self.people.iter().copied().filter(|from| *from != to) {
                // Who writes for the first time to a name that the relay has just forgotten is told so: *not delivered*.
                // What was *sent* never ends like that.
                let never = self.not_delivered(from, to);
                let mut sent = texts(&mut self.world, from, to, from);
                sent.retain(|text| !never.contains(text));
                let mut received = texts(&mut self.world, to, from, from);
                // Before somebody went back to an old profile, what was said may be gone on either side; since then it is not.
                let unsure: BTreeSet<&str> =
                    self.said[..self.unsure(from, to)].iter().map(|said| said.text.as_str()).collect();
                let since_then = !unsure.is_empty();
                if since_then {
                    let planned = |text: &String| {
                        self.said.iter().any(|said| said.text == *text && !unsure.contains(text.as_str()))
                    };
                    sent.retain(planned);
                    received.retain(planned);
                }
                assert_eq!(sent, received, "{replay}: {from} to {to}: sent (left), in history there (right)");
                let planned: Vec<&Said> = self.said.iter().filter(|said| said.from == from && said.to == to).collect();
                let mut place = BTreeMap::new();
                for (at, text) in sent.iter().enumerate() {
                    assert_eq!(place.insert(text.as_str(), at), None, "{replay}: {text:?} stands twice");
                }
                let mut last = None;
                for said in planned {
                    let at = place.get(said.text.as_str()).copied();
                    let unsure = unsure.contains(said.text.as_str());
                    let excused = never.contains(&said.text) || !certain.contains(&said.text) || said.changed || unsure;
                    assert!(at.is_some() || excused, "{replay}: {:?} is lost", said.text);
                    assert!(at.is_none() || at > last, "{replay}: {:?} is out of order", said.text);
                    last = at.or(last);
                }
                let gaps: Vec<Event> = self
                    .world
                    .person(to)
                    .history(from)
                    .into_iter()
                    .filter(|event| matches!(event, Event::Gap { .. }))
                    .collect();
                // What its author was told is not delivered is missing here, and shown so.
                assert!(
                    gaps.len() <= never.len() || since_then,
                    "{replay}: gaps are left at {to} from {from}: {gaps:?}"
                );
            }
            for with in self.people.iter().copied().filter(|with| *with > to) {
                if self.unsure(with, to) > 0 {
                    continue;
                }
                let (here, there) = (self.world.person(to).present(with), self.world.person(with).present(to));
                assert_eq!(here, there, "{replay}: {to} (left) and {with} (right) see their conversation differently");
            }
            let mut shown = BTreeSet::new();
            for message in self.world.person(to).shown() {
                let whole = (message.from.clone(), message.id.clone());
                let again = self.copies.went_back.contains_key(to);
                assert!(shown.insert(whole) || again, "{replay}: {to} was shown {:?} twice", message.text.as_raw());
            }
            let (queued, unconfirmed) = self.world.person(to).queue();
            // Whose first words found nobody has not answered anybody yet, and strangers get no receipt.
            let people = self.people;
            let stranger = people.iter().any(|peer| *peer != to && !self.not_delivered(peer, to).is_empty());
            assert_eq!(queued, 0, "{replay}: the outbox of {to} is not empty");
            assert!(unconfirmed == 0 || stranger, "{replay}: {unconfirmed} messages of {to} are not confirmed");
        }
        self.world.look_into_the_relay();
        let said = self.said.iter().map(|said| said.text.clone());
        let markers: Vec<String> = said.chain(self.edits.iter().cloned()).collect();
        let traces = self.world.record.traces_of(&markers);
        assert_eq!(traces, Vec::<String>::new(), "{replay}: the relay has read a message");
        let reused = self.world.reused_keys();
        assert_eq!(reused, Vec::<String>::new(), "{replay}: a message key and nonce served twice");
        self.check_posts(&replay);
        self.check_decisions(&replay);
        self.world
    }

    /// Texts of `from` to `to` that were told to be not delivered; none of them was ever told to be sent.
    fn not_delivered(&mut self, from: &str, to: &str) -> BTreeSet<String> {
        let told = self.world.person(from).events();
        let was_sent = |message: &Message| {
            told.iter().any(|event| matches!(event, Event::State { id, state: State::Sent, .. } if *id == message.id))
        };
        let history = self.world.person(from).history(to);
        history
            .into_iter()
            .filter_map(|event| match event {
                Event::Message(message) if message.state == State::NotDelivered => Some(message),
                _ => None,
            })
            .inspect(|message| assert!(!was_sent(message), "{}: {message:?} was sent", self.world.replay()))
            .map(|message| message.text.as_raw().to_owned())
            .collect()
    }

    /// Every post that was queued is in everybody's history of the room, once; but for what was on a disk that went back.
    fn check_posts(&mut self, replay: &str) {
        let people = self.people;
        let mut rooms = people.iter().map(|reader| self.world.person(reader).present("#lobby"));
        let first = rooms.next().expect("somebody is there");
        for other in rooms {
            assert_eq!(first, other, "{replay}: the room looks differently to people");
        }
        for reader in people {
            let history = self.world.person(reader).conversation("#lobby");
            for author in people {
                let name = format!("@{author}");
                let seen: Vec<&String> = history
                    .iter()
                    .filter(|(from, text)| *from == name && text.starts_with("public post"))
                    .map(|(_, text)| text)
                    .collect();
                let unsure = self.copies.posted.get(author).copied().unwrap_or_default();
                let sure = self.posted[unsure..].iter().filter(|(from, _)| from == author);
                let posted: Vec<&String> = sure.map(|(_, text)| text).collect();
                let missing: Vec<_> = posted.iter().filter(|text| !seen.contains(text)).collect();
                assert!(missing.is_empty(), "{replay}: {reader} misses posts of {author}: {missing:?}");
                let unique: BTreeSet<_> = seen.iter().collect();
                assert_eq!(unique.len(), seen.len(), "{replay}: {reader} sees a post of {author} twice: {seen:?}");
            }
        }
    }
}

/// Texts of `author` in the history that `whose` keeps with `with`.
fn texts(world: &mut World, whose: &str, with: &str, author: &str) -> Vec<String> {
    let name = format!("@{author}");
    let conversation = world.person(whose).conversation(with);
    conversation.into_iter().filter(|(from, _)| *from == name).map(|(_, text)| text).collect()
}

/// One walk from beginning to end.
fn walk(seed: u64) -> World {
    walk_in(seed, World::new(seed))
}

fn walk_in(seed: u64, world: World) -> World {
    let mut walk = Walk::new(seed, world);
    // Everybody writes to everybody for the first time, at once.
    for from in walk.people {
        for to in walk.people.iter().filter(|to| *to != from) {
            walk.says(from, to);
        }
    }
    walk.world.faults = match seed % 4 {
        0 => Faults { slowest: 3_000, doubled_push: 100, held: 6_000, ..Faults::default() },
        1 => Faults { client_crash: 0, relay_crash: 0, store_crash: 0, ..Faults::many() },
        _ => Faults::many(),
    };
    for _ in 0..extent::steps() {
        walk.step();
    }
    walk.heal();
    walk.check()
}

/// Everything *sent* is shown exactly once and in its sender's order; the relay has read none of it; no message key
/// served twice; and when nothing goes wrong any more, every queue runs empty.
#[test]
fn random_walks_lose_and_double_nothing() {
    let extent = Extent::asked_for();
    let next = AtomicU64::new(extent.seeds.start);
    let failed = std::sync::Mutex::new(Vec::new());
    let walked = std::sync::Mutex::new((0, Walked::default()));
    let started = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while extent.goes_on() && failed.lock().unwrap().is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= extent.seeds.end {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| walk(seed))) {
                        Ok(mut world) => {
                            world.walks_of_sessions();
                            let mut all = walked.lock().unwrap();
                            all.0 += 1;
                            all.1.add(&world.walked);
                        }
                        Err(_) => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    if let Some(seed) = failed.into_inner().unwrap().first() {
        panic!("replay with: {}", extent::replay(*seed));
    }
    let (count, walked) = walked.into_inner().unwrap();
    let (first, steps, took) = (extent.seeds.start, extent::steps(), started.elapsed());
    println!("{count} walks of {steps} steps, from seed {first} on, {took:.1?}");
    let (table, never) = walked::table(&walked);
    print!("{table}");
    assert!(count < ENOUGH || never.is_empty(), "{table}no walk came past {never:?}");
}

/// The walks would notice if the ratchet's state were not stored: with that one commit taken out they fail, within a hundred
/// seeds.
#[test]
fn a_lost_commit_of_the_ratchet_is_found() {
    let found = (0..100).find(|seed| {
        catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(*seed);
            world.forgets_ratchets();
            walk_in(*seed, world)
        }))
        .is_err()
    });
    println!("found with seed {}", found.expect("a client that forgets its ratchet loses or repeats something"));
}

/// The same seed gives the same world, to the last byte.
#[test]
fn a_seed_decides_everything() {
    let first = walk(3).trace();
    let second = walk(3).trace();
    assert_eq!(first, second);
    assert_ne!(first, walk(2).trace());
}

/// The search for keys that served twice can fail: the same key, number and salt over other bytes is found.
#[test]
fn a_key_that_serves_twice_is_found() {
    let mut world = World::new(22);
    let _ = world.alice().says("bob", "one");
    world.settle();
    assert_eq!(world.reused_keys(), Vec::<String>::new());
    world.bend_a_session_message("alice");
    assert_eq!(world.reused_keys().len(), 1);
}

/// A message that has been confirmed is delivered on its sender's side.
#[test]
fn confirmed_messages_are_delivered() {
    let mut world = World::new(21);
    let first = world.alice().says("bob", "one");
    world.settle();
    let _ = world.bob().says("alice", "two");
    world.settle();
    assert_eq!(world.alice().state_of("bob", &first), State::Delivered);
}
