//! One world for the tests that need no socket: the real relay over its memory store, real engines over real encrypted
//! profiles, a simulated network and a clock that only the world moves.
//!
//! ```ignore
//! let mut world = World::new(7);
//! world.alice().says("bob", "hello");
//! world.settle();
//! assert_eq!(world.bob().heard(), ["hello"]);
//! ```
//!
//! Everything that happens is decided by the seed: two worlds with one seed and one story have the same
//! [`World::trace`].

pub(crate) mod actor;
mod doom;
pub(crate) mod extent;
pub(crate) mod faults;
mod links;
mod people;
pub(crate) mod puppet;
pub(crate) mod record;
pub(crate) mod transitions;
mod waiting;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sealpost_client::api::Command;
use sealpost_client::store::CrashPoint as ClientCrash;
use sealpost_crypto::identity::{RelaySecret, mailbox, relay_pin, verify_devices};
use sealpost_relay::store::{CrashPoint as StoreCrash, CrashPoints, DUPLICATE_WINDOW, Memory, memory};
use sealpost_relay::{Relay, Rules};
use sealpost_spec::account::DeviceList;
use sealpost_spec::mailbox::MailboxId;
use sealpost_spec::relay::{Address, Answer, Registering, Request, WorkPrice};
use sealpost_spec::wire::{RelayFrame, decode};
use sealpost_tests::mallory::Mallory;
use sha2::{Digest, Sha256};

pub(crate) use actor::{Actor, error_of};
use doom::Doom;
use faults::Faults;
use links::{Happening, Link, LinkId};
use people::Person;
use record::Record;
use transitions::Walked;
use waiting::Waiting;

/// Milliseconds.
pub(crate) const SECOND: u64 = 1_000;
/// Milliseconds.
pub(crate) const MINUTE: u64 = 60 * SECOND;
/// Milliseconds.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// Milliseconds.
pub(crate) const DAY: u64 = 24 * HOUR;

/// When every world begins: 2026-09-21, Unix milliseconds.
const BEGINNING: u64 = 1_790_000_000_000;

/// Drives a future of the relay's: over the memory store each is ready at its first poll.
fn ready<T>(future: impl Future<Output = T>) -> T {
    memory::ready(future).expect("nothing waits over the memory store")
}

/// Nothing is due within this time: the world has come to rest.
const REST: u64 = 3 * MINUTE;

/// A world that does not come to rest within this time is sick.
const RESTLESS: u64 = 6 * HOUR;

/// Relay, people, network, clock, faults.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    pub(crate) dice: ChaCha20Rng,
    relay: Option<Arc<Relay<Memory>>>,
    waiting: Waiting,
    /// What a restart finds while the relay is down.
    disk: Option<Memory>,
    key: Vec<u8>,
    pub(crate) relay_key: [u8; 32],
    pub(crate) address: Address,
    rules: Rules,
    people: BTreeMap<String, Person>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    agenda: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    happened: u64,
    tidied: u64,
    /// What goes wrong by itself.
    pub(crate) faults: Faults,
    /// What the relay does on purpose.
    pub(crate) mallory: Mallory,
    /// Everything that the relay saw, said, held or logged.
    pub(crate) record: Record,
    /// What has happened, by name.
    pub(crate) walked: Walked,
    /// Where the relay's store is to crash.
    store_doom: Arc<Mutex<Doom<StoreCrash>>>,
    /// Who is to die at which commit of theirs.
    client_doom: Option<(String, u64, ClientCrash)>,
    /// Clients forget what they store of a session; see [`World::forgets_ratchets`].
    forgetful: bool,
    trace: Sha256,
    /// `SEALPOST_TRACE` tells everything that happens.
    told: bool,
}

impl World {
    /// A world with a relay and nobody in it.
    pub(crate) fn empty(seed: u64) -> Self {
        Self::with_rules(seed, |_| {})
    }

    /// The same, with other rules of the relay's.
    pub(crate) fn with_rules(seed: u64, change: impl FnOnce(&mut Rules)) -> Self {
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        let secret = RelaySecret::generate(&mut dice);
        let relay_key = secret.public();
        let pin = relay_pin(&relay_key);
        let address = format!("sealpost://relay.example.org:7443/{pin}").parse().unwrap();
        let mut rules = Rules {
            registering: Registering::Open,
            work: WorkPrice { fetch: dice.random_range(0..=8), deliver: dice.random_range(0..=8) },
            ..Rules::default()
        };
        change(&mut rules);
        let mut world = Self {
            seed,
            now: BEGINNING,
            relay: None,
            waiting: Waiting::default(),
            disk: Some(Memory::new(dice.random())),
            key: secret.pkcs8().to_vec(),
            relay_key,
            address,
            rules,
            people: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 1,
            agenda: BinaryHeap::new(),
            happened: 0,
            tidied: BEGINNING,
            faults: Faults::default(),
            mallory: Mallory::default(),
            record: Record::new(),
            walked: Walked::default(),
            store_doom: Arc::default(),
            client_doom: None,
            forgetful: false,
            trace: Sha256::new(),
            told: std::env::var_os("SEALPOST_TRACE").is_some(),
            dice,
        };
        world.start_relay();
        world
    }

    /// Alice, Bob and Carol, registered and online, and nothing goes wrong.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_people(seed, |_| {})
    }

    /// The same, with other rules of the relay's.
    pub(crate) fn with_people(seed: u64, change: impl FnOnce(&mut Rules)) -> Self {
        let mut world = Self::with_rules(seed, change);
        for name in ["alice", "bob", "carol"] {
            world.arrives(name);
        }
        world.settle();
        world
    }

    /// Alice.
    pub(crate) fn alice(&mut self) -> Actor<'_> {
        self.person("alice")
    }

    /// Bob.
    pub(crate) fn bob(&mut self) -> Actor<'_> {
        self.person("bob")
    }

    /// Carol.
    pub(crate) fn carol(&mut self) -> Actor<'_> {
        self.person("carol")
    }

    /// Somebody who has arrived.
    pub(crate) fn person(&mut self, name: &str) -> Actor<'_> {
        Actor::new(self, name)
    }

    /// Joins a room and waits for it.
    pub(crate) fn join(&mut self, person: &str, room: &str) {
        let events = self.command(person, Command::Join { room: room.to_owned() });
        assert_eq!(actor::error_of(&events), None, "{person} joins {room}: {events:?}");
    }

    /// The mailbox of somebody's device, as everybody can find it out.
    pub(crate) fn mailbox_of(&mut self, name: &str) -> MailboxId {
        mailbox(&self.devices_of(name).devices[0].key)
    }

    /// Somebody's device list, as the relay gives it to everybody.
    pub(crate) fn devices_of(&mut self, name: &str) -> DeviceList {
        match self.stranger_asks(&Request::FetchDevices(name.parse().unwrap())) {
            Ok(Answer::Devices(signed)) => verify_devices(&signed).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// A digest of everything that has happened.
    pub(crate) fn trace(&self) -> [u8; 32] {
        self.trace.clone().finalize().into()
    }

    fn mark(&mut self, what: &str, bytes: &[u8]) {
        if self.told {
            let text = match what {
                "asks" | "answers" => self.in_words(what, bytes),
                _ => String::from_utf8_lossy(bytes).chars().take(300).collect(),
            };
            println!("{:>12} {what} {text}", self.now - BEGINNING);
        }
        self.trace.update(self.now.to_le_bytes());
        self.trace.update([what.len() as u8]);
        self.trace.update(what);
        self.trace.update((bytes.len() as u64).to_le_bytes());
        self.trace.update(bytes);
    }

    /// A request or answer as its type shows it, cut where it goes on for long.
    fn in_words(&self, what: &str, bytes: &[u8]) -> String {
        let words = match what {
            "asks" => format!("{:?}", decode::<Request>(bytes)),
            _ => format!("{:?}", decode::<RelayFrame>(bytes)),
        };
        words.chars().take(300).collect()
    }

    // ---- the relay's life

    /// Kills the relay: all links break, memory is lost, what was durable stays.
    pub(crate) fn kill_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            self.mark("relay dies", &[]);
            self.walked.note("fault", "relay dies");
            // What was not written is lost, and nobody was told *accepted*.
            self.waiting = Waiting::default();
            self.keep_record_of(&relay);
            self.disk = Some(relay.store().reopen(CrashPoints::none()));
            self.break_all_links();
        }
    }

    /// Starts a relay that is down, over what its store has.
    pub(crate) fn start_relay(&mut self) {
        if self.relay.is_none() {
            self.mark("relay starts", &[]);
            let doom = Arc::clone(&self.store_doom);
            let store = self.disk.take().expect("a relay that is down has a disk");
            let strikes = move |point, _| doom.lock().unwrap().strikes(point, point == StoreCrash::BeforeCommit);
            let store = store.reopen(CrashPoints::when(strikes));
            let secret = self.relay_secret();
            let rng = ChaCha20Rng::from_seed(self.dice.random());
            let relay = ready(Relay::new(store, secret, self.rules.clone(), rng)).unwrap();
            self.relay = Some(Arc::new(relay));
        }
    }

    /// How many commits the relay's stores have made.
    pub(crate) fn commits_of_store(&self) -> u64 {
        self.store_doom.lock().unwrap().commits()
    }

    /// Lets the relay's store crash at this commit, counted from its first one.
    pub(crate) fn store_crashes_at(&mut self, commit: u64, point: StoreCrash) {
        self.store_doom.lock().unwrap().fixes(commit, point);
    }

    /// A relay whose store has crashed stops, and is started again. Whether that was so.
    fn relay_crashed(&mut self) -> bool {
        let crashed = self.relay.as_ref().is_some_and(|relay| relay.store().stopped());
        if crashed {
            self.mark("store crashes", &[]);
            self.walked.note("fault", "store crashes");
            self.kill_relay();
            self.start_relay();
        }
        crashed
    }

    /// The relay's disk is full until this is called again, or it is started anew.
    pub(crate) fn fills_store(&mut self, full: bool) {
        if let Some(relay) = &self.relay {
            relay.store().fill(full);
            self.mark("store full", &[u8::from(full)]);
            if full {
                self.walked.note("fault", "store full");
            }
        }
    }

    /// What the relay signs with.
    pub(crate) fn relay_secret(&self) -> RelaySecret {
        RelaySecret::from_pkcs8(&self.key).unwrap()
    }

    /// The relay loses its disk, but not its key, and starts anew.
    pub(crate) fn lose_store(&mut self) {
        self.kill_relay();
        self.mark("store lost", &[]);
        self.walked.note("fault", "store lost");
        self.disk = Some(Memory::new(self.dice.random()));
        self.start_relay();
    }

    /// The relay goes back to a state that [`World::backup`] took.
    pub(crate) fn restore(&mut self, backup: Memory) {
        self.kill_relay();
        self.mark("store restored", &[]);
        self.walked.note("fault", "store restored");
        self.disk = Some(backup);
        self.start_relay();
    }

    /// A copy of what the relay has stored.
    pub(crate) fn backup(&self) -> Memory {
        self.relay.as_ref().expect("it runs").store().backup()
    }

    /// From now on clients that are opened lose what they store of a session after its first state: as if a commit of the
    /// ratchet had been left out of the program.
    pub(crate) fn forgets_ratchets(&mut self) {
        self.forgetful = true;
    }

    /// Adds what the relay holds now to the record.
    pub(crate) fn look_into_the_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            self.keep_record_of(&relay);
            self.relay = Some(relay);
        }
    }

    fn keep_record_of(&mut self, relay: &Relay<Memory>) {
        for value in relay.store().contents() {
            self.record.keep_once("store", &value);
        }
    }

    // ---- time

    /// Lets time pass, and what is due happen.
    pub(crate) fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.next_due()
            && next <= end
        {
            self.step(next);
        }
        self.now = end;
    }

    /// Lets time pass until nothing more is due for a while.
    ///
    /// # Panics
    /// The world does not come to rest.
    pub(crate) fn settle(&mut self) {
        let end = self.now + RESTLESS;
        while let Some(next) = self.next_due() {
            if next > self.now + REST {
                return;
            }
            assert!(next < end, "{}: the world does not come to rest: {}", self.replay(), self.due());
            self.step(next);
        }
    }

    /// The command that replays a failing seed.
    pub(crate) fn replay(&self) -> String {
        extent::replay(self.seed)
    }

    fn next_due(&self) -> Option<u64> {
        let happening = self.agenda.peek().map(|Reverse((time, ..))| *time);
        let timeout = self.people.values().filter_map(Person::timeout).min();
        // What is overdue is due now.
        happening.into_iter().chain(timeout).min().map(|time| time.max(self.now))
    }

    fn due(&self) -> String {
        let timeouts: Vec<_> = self
            .people
            .iter()
            .map(|(name, person)| (name, person.timeout().map(|time| time as i64 - self.now as i64)))
            .collect();
        format!("{} happenings, timeouts in {timeouts:?} ms", self.agenda.len())
    }

    fn step(&mut self, next: u64) {
        self.now = self.now.max(next);
        self.tidy();
        if let Some(Reverse((time, ..))) = self.agenda.peek()
            && *time <= self.now
        {
            let Some(Reverse((_, _, happening))) = self.agenda.pop() else { return };
            self.happens(happening);
        } else {
            let names: Vec<String> = self.people.keys().cloned().collect();
            for name in names {
                if self.people[&name].timeout().is_some_and(|time| time <= self.now) {
                    self.engine_step(&name, |engine, now| engine.handle_timeout(now));
                }
            }
        }
    }

    /// What a relay does every few minutes; and the ids of envelopes that were fetched are forgotten after the time for
    /// which a store promises to know them.
    fn tidy(&mut self) {
        let Some(relay) = self.relay.as_ref() else { return };
        if self.now >= self.tidied + DUPLICATE_WINDOW.as_millis() as u64 {
            let swept = ready(relay.sweep(self.now));
            relay.store().forget_duplicates();
            self.tidied = self.now;
            assert!(self.relay_crashed() || swept.is_ok(), "{}: {swept:?}", self.replay());
        }
    }

    fn schedule(&mut self, delay: u64, happening: Happening) {
        self.happened += 1;
        self.agenda.push(Reverse((self.now + delay, self.happened, happening)));
    }
}
