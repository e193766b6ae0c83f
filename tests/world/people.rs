//! People's clients: engines over profiles on a disk, which die and come back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sealpost_client::api::{Command, Error, ErrorCode, Event};
use sealpost_client::engine::{CommandId, Engine};
use sealpost_client::store::{CrashPoint, Profile, write_backup};
use sealpost_crypto::session::chain_id;
use sealpost_crypto::vault::{Cost, Vault};
use sealpost_spec::account::{ContactLink, Name};
use sealpost_spec::message::{SALT, SessionMessage};

use super::doom::Doom;
use super::links::{Happening, LinkId};
use super::{World, transitions};

/// Somebody with a client.
pub(super) struct Person {
    pub(super) name: Name,
    pub(super) folder: PathBuf,
    _home: Option<Arc<tempfile::TempDir>>,
    pub(super) engine: Option<Engine>,
    /// What the passphrase unlocked in an earlier life: one that opens it again takes most of the time of a crash.
    vault: Option<Vault>,
    pub(super) doom: Arc<Mutex<Doom<CrashPoint>>>,
    /// Raised with each life, so that nothing of an earlier one reaches a later one.
    pub(super) life: u64,
    next_command: u64,
    /// Events of commands that were given by the story.
    pub(super) answers: BTreeMap<CommandId, Vec<Event>>,
    /// Events that came by themselves, in all lives.
    pub(super) events: Vec<Event>,
    /// Where `heard` has got to.
    pub(super) told: usize,
    // ---- the link's side
    pub(super) wants_link: bool,
    pub(super) attempt: u32,
    pub(super) dialing: bool,
    pub(super) authenticated: Option<LinkId>,
    pub(super) anonymous: BTreeMap<Name, LinkId>,
    /// Died by a fault, and comes back by itself.
    pub(super) returns: bool,
    /// By how many milliseconds their clock is ahead.
    ahead: i64,
    /// Their disk takes nothing new.
    full: bool,
    /// Session messages that left, as [`Profile::watch_session_messages`] shows them.
    pub(super) session_messages: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Nobody guesses it.
const PASSPHRASE: &[u8] = b"a long walk by the sea";

impl Person {
    pub(super) fn timeout(&self) -> Option<u64> {
        self.engine.as_ref().and_then(Engine::poll_timeout).map(|due| due.saturating_add_signed(-self.ahead))
    }
}

impl World {
    /// Somebody installs the client and registers.
    pub(crate) fn arrives(&mut self, name: &str) {
        self.arrives_as(name, name);
    }

    /// Somebody installs the client and tries to register, whatever comes of it.
    pub(crate) fn installs(&mut self, name: &str) -> Vec<Event> {
        self.registers(name, name)
    }

    fn registers(&mut self, person: &str, name: &str) -> Vec<Event> {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let folder = home.path().join("profile");
        let name: Name = name.parse().unwrap();
        let mut rng = self.new_rng();
        let profile =
            Profile::create(&folder, PASSPHRASE, Cost::FLOOR, &name, &self.address, &mut rng, self.now).unwrap();
        drop(profile);
        self.add(person, name, folder, Some(home));
        self.opens(person);
        self.command(person, Command::Register { invite: None })
    }

    /// Somebody who can't register under this name, and why.
    pub(crate) fn cannot_register(&mut self, name: &str) -> ErrorCode {
        let person = format!("rejected {name}");
        let events = self.registers(&person, name);
        self.closes(&person);
        super::actor::error_of(&events).unwrap_or_else(|| panic!("{name} was registered: {events:?}"))
    }

    /// The same, known to the story under another name than to the relay: a second person who takes the name of one.
    pub(crate) fn arrives_as(&mut self, person: &str, name: &str) {
        let events = self.registers(person, name);
        assert!(
            events.iter().any(|event| matches!(event, Event::Me { .. })),
            "{}: {person} could not register: {events:?}",
            self.replay()
        );
    }

    /// A machine that is to become a device of somebody's account, by the link that they show.
    pub(crate) fn buys(&mut self, machine: &str, of: &str) {
        let (_, link) = self.person(of).me();
        let link: ContactLink = link.parse().unwrap();
        let home = Arc::new(tempfile::tempdir().unwrap());
        let folder = home.path().join("profile");
        let mut rng = self.new_rng();
        drop(Profile::link(&folder, PASSPHRASE, Cost::FLOOR, &link, &mut rng, self.now).unwrap());
        self.add(machine, link.name, folder, Some(home));
        self.opens(machine);
    }

    /// What such a machine shows, where it does.
    pub(crate) fn shows_request(&mut self, machine: &str) -> Option<(String, String)> {
        let id = self.begin(machine, Command::DeviceLink { timeout_ms: 10 * super::MINUTE });
        self.people[machine].answers[&id].iter().find_map(|event| match event {
            Event::DeviceRequest { request, code } => Some((request.clone(), code.clone())),
            _ => None,
        })
    }

    /// The same of a machine that is new; what it shows.
    pub(crate) fn asks_to_be_linked(&mut self, machine: &str, to: &str) -> (String, String) {
        self.buys(machine, to);
        self.shows_request(machine).unwrap_or_else(|| panic!("{machine} shows nothing"))
    }

    /// The same, and the first device adds it.
    pub(crate) fn links(&mut self, machine: &str, to: &str) {
        let (request, code) = self.asks_to_be_linked(machine, to);
        let add = Command::DeviceAdd { request, code: Some(code), timeout_ms: 60_000 };
        let events = self.command(to, add);
        assert!(events.iter().any(|event| matches!(event, Event::Device { .. })), "{}: {events:?}", self.replay());
        self.settle();
    }

    fn add(&mut self, person: &str, name: Name, folder: PathBuf, home: Option<Arc<tempfile::TempDir>>) {
        let mut doom = Doom::default();
        if let Some((_, commit, point)) = self.client_doom.as_ref().filter(|(whose, ..)| whose == person) {
            doom.fixes(*commit, *point);
        }
        let person_ = Person {
            name,
            folder,
            _home: home,
            engine: None,
            vault: None,
            doom: Arc::new(Mutex::new(doom)),
            life: 0,
            next_command: 1,
            answers: BTreeMap::new(),
            events: Vec::new(),
            told: 0,
            wants_link: false,
            attempt: 0,
            dialing: false,
            authenticated: None,
            anonymous: BTreeMap::new(),
            returns: false,
            ahead: 0,
            full: false,
            session_messages: Arc::default(),
        };
        self.people.insert(person.to_owned(), person_);
    }

    /// Sets somebody's clock, by so many milliseconds ahead. The client has to be closed.
    pub(crate) fn sets_clock(&mut self, person: &str, ahead: i64) {
        let them = self.people.get_mut(person).unwrap();
        assert!(them.engine.is_none(), "a clock that is set while the client runs is the holder's to smooth");
        them.ahead = ahead;
        self.walked.note("fault", "clock set");
    }

    /// How many commits somebody's client has made, in all its lives.
    pub(crate) fn commits_of(&self, person: &str) -> u64 {
        self.people[person].doom.lock().unwrap().commits()
    }

    /// Lets somebody's client die at this commit, counted from its first one. They may still have to arrive.
    pub(crate) fn dies_at(&mut self, person: &str, commit: u64, point: CrashPoint) {
        self.client_doom = Some((person.to_owned(), commit, point));
        if let Some(them) = self.people.get(person) {
            them.doom.lock().unwrap().fixes(commit, point);
        }
    }

    /// Somebody's disk is full, or no more, whether their client runs or not.
    pub(crate) fn fills_disk(&mut self, person: &str, full: bool) {
        self.mark("disk full", format!("{person} {full}").as_bytes());
        if full {
            self.walked.note("fault", "disk full");
        }
        let them = self.people.get_mut(person).unwrap();
        them.full = full;
        if let Some(engine) = &them.engine {
            engine.fill_disk(full);
        }
    }

    /// Somebody's recovery words, as they stand on their paper. The client has to be closed.
    pub(crate) fn words_of(&mut self, person: &str) -> String {
        let mut rng = self.new_rng();
        let profile = Profile::open(&self.people[person].folder, PASSPHRASE, &mut rng).unwrap();
        profile.words().unwrap().to_string()
    }

    /// Somebody's profile in a file, whether their client runs or not.
    pub(crate) fn backs_up(&mut self, person: &str) -> Vec<u8> {
        let mut rng = self.new_rng();
        let (mut file, folder) = (Vec::new(), &self.people[person].folder);
        write_backup(folder, PASSPHRASE, Cost::FLOOR, &mut file, &mut rng, self.now, &mut |_| ()).unwrap();
        file
    }

    /// Somebody's disk is gone, and their words are not.
    pub(crate) fn restores_by_words(&mut self, person: &str, words: &str) -> Vec<Event> {
        let (name, address, now) = (self.people[person].name.clone(), self.address.clone(), self.now);
        self.restores(person, |folder, rng| {
            Profile::recover(folder, PASSPHRASE, Cost::FLOOR, (&name, words), &address, rng, now).unwrap()
        })
    }

    /// Somebody's disk is gone, and a backup is not.
    pub(crate) fn restores_a_backup(&mut self, person: &str, mut file: &[u8]) -> Vec<Event> {
        let now = self.now;
        self.restores(person, |folder, rng| {
            Profile::restore(folder, PASSPHRASE, Cost::FLOOR, &mut file, rng, now, &mut |_| ()).unwrap()
        })
    }

    fn restores(&mut self, person: &str, make: impl FnOnce(&Path, &mut ChaCha20Rng) -> Profile) -> Vec<Event> {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let mut rng = self.new_rng();
        let folder = home.path().join("profile");
        drop(make(&folder, &mut rng));
        let them = self.people.get_mut(person).unwrap();
        assert!(them.engine.is_none(), "the old disk is gone");
        (them.folder, them._home, them.vault) = (folder, Some(home), None);
        self.opens(person);
        self.command(person, Command::Register { invite: None })
    }

    /// A copy of somebody's profile, as a backup or a thief makes it, becomes a client of its own: not yet open.
    pub(crate) fn copies_profile(&mut self, of: &str, to: &str) {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let folder = home.path().join("profile");
        let person = &self.people[of];
        let name = person.name.clone();
        copy_folder(&person.folder, &folder);
        self.add(to, name, folder, Some(home));
    }

    /// A copy of somebody's profile as it is now. The client has to be closed.
    pub(crate) fn profile_of(&self, person: &str) -> tempfile::TempDir {
        let person = &self.people[person];
        assert!(person.engine.is_none(), "a profile that is open is copied by `backs_up`");
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&person.folder, copy.path());
        copy
    }

    /// Somebody's profile is again what it was when this copy was made. The client has to be closed.
    pub(crate) fn goes_back(&mut self, person: &str, copy: &tempfile::TempDir) {
        self.mark("goes back", person.as_bytes());
        self.walked.note("fault", "profile put back");
        let person = &self.people[person];
        assert!(person.engine.is_none(), "nobody restores under a client that runs");
        std::fs::remove_dir_all(&person.folder).unwrap();
        copy_folder(copy.path(), &person.folder);
    }

    /// How sessions went on, as the messages show that left.
    pub(crate) fn walks_of_sessions(&mut self) {
        let messages: Vec<Vec<u8>> =
            self.people.values().flat_map(|person| person.session_messages.lock().unwrap().clone()).collect();
        for bytes in messages {
            self.walked.session(&SessionMessage::parse(&bytes).expect("what leaves is a session message"));
        }
    }

    /// A generator that the seed decides.
    pub(crate) fn new_rng(&mut self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.dice.random())
    }

    /// Opens a client that is closed.
    pub(super) fn opens(&mut self, person: &str) {
        self.mark("opens", person.as_bytes());
        let mut rng = self.new_rng();
        let engine_rng = self.new_rng();
        let now = self.now;
        let them = self.people.get_mut(person).unwrap();
        assert!(them.engine.is_none(), "{person} is open already");
        if self.forgetful {
            forget_sessions(&them.folder);
        }
        let opened = match them.vault.take() {
            Some(vault) => Profile::reopen(&them.folder, vault, &mut rng),
            None => Profile::open(&them.folder, PASSPHRASE, &mut rng),
        };
        let mut profile = opened.unwrap();
        profile.without_sync();
        let doom = them.doom.clone();
        profile
            .set_faults(Box::new(move |point| doom.lock().unwrap().strikes(point, point == CrashPoint::BeforeCommit)));
        let left = them.session_messages.clone();
        profile.watch_session_messages(Box::new(move |message| left.lock().unwrap().push(message.to_vec())));
        profile.fill(them.full);
        let engine = Engine::new(profile, Box::new(engine_rng)).unwrap();
        them.engine = Some(engine);
        them.life += 1;
        them.returns = false;
        let id = them.fresh_command();
        let _ = now;
        self.walked.note("command", transitions::command(&Command::Subscribe));
        self.engine_step(person, |engine, now| engine.command(now, id, Command::Subscribe));
    }

    /// Closes a client, as a kill does: nothing is said to anybody, the links break.
    pub(super) fn closes(&mut self, person: &str) {
        self.mark("closes", person.as_bytes());
        let them = self.people.get_mut(person).unwrap();
        them.vault = them.engine.take().map(Engine::into_vault).or(them.vault.take());
        them.life += 1;
        them.wants_link = false;
        them.attempt = 0;
        them.dialing = false;
        them.doom.lock().unwrap().spares();
        self.forget_links_of(person);
    }

    /// Adds a second message under the key and salt of one that left.
    pub(crate) fn bend_a_session_message(&self, person: &str) {
        let mut left = self.people[person].session_messages.lock().unwrap();
        let mut again = left.last().expect("something left").clone();
        *again.last_mut().expect("it is not empty") ^= 1;
        left.push(again);
    }

    /// Message keys that served twice with the same salt, of all people and all lives.
    pub(crate) fn reused_keys(&self) -> Vec<String> {
        let mut seen: BTreeMap<([u8; 32], u32, [u8; SALT]), Vec<u8>> = BTreeMap::new();
        let mut reused = Vec::new();
        for (name, person) in &self.people {
            for bytes in person.session_messages.lock().unwrap().iter() {
                let message = SessionMessage::parse(bytes).expect("what leaves is a session message");
                let chain = chain_id(bytes).expect("it parses");
                let key = (chain, message.header.number, message.header.salt);
                let first = seen.entry(key).or_insert_with(|| bytes.clone());
                if first != bytes {
                    reused.push(format!("{name}: message {} of chain {:02x?}", message.header.number, &chain[..4]));
                }
            }
        }
        assert!(!seen.is_empty(), "nobody has encrypted anything: is the watcher in place?");
        reused
    }

    /// One call of an engine, and all that follows from it. A crash in it ends the client's life.
    pub(super) fn engine_step(&mut self, person: &str, call: impl FnOnce(&mut Engine, u64)) {
        let now = self.now.saturating_add_signed(self.people[person].ahead);
        if self.faults.client_crash > 0 && self.dice.random_range(0..1_000) < self.faults.client_crash {
            let point = if self.dice.random() { CrashPoint::BeforeCommit } else { CrashPoint::AfterCommit };
            let commits = self.dice.random_range(1..=3);
            self.people.get_mut(person).unwrap().doom.lock().unwrap().threatens(commits, point);
        }
        let them = self.people.get_mut(person).unwrap();
        let Some(engine) = them.engine.as_mut() else { return };
        call(engine, now);
        if let Some(reason) = engine.poisoned().cloned() {
            let told: Vec<_> = std::iter::from_fn(|| engine.poll_event()).collect();
            self.refuses(person, &reason, &told);
            self.dies(person, &reason.cause.unwrap_or_default());
            return;
        }
        self.pump(person);
    }

    /// A client whose commit failed says so to everybody, in a sentence with an advice, and to whoever waits for a command:
    /// last of all, and nothing else that the step would have told.
    fn refuses(&self, person: &str, reason: &Error, told: &[(Option<CommandId>, Event)]) {
        let is_reason = |event: &Event| matches!(event, Event::Error(error) if error == reason);
        let all = told.last().is_some_and(|(command, event)| command.is_none() && is_reason(event));
        let only = told.iter().all(|(_, event)| is_reason(event) || *event == Event::End);
        let replay = self.replay();
        assert!(all && only && reason.advice.is_some(), "{replay}: {person} dies of {reason:?} and says {told:?}");
    }

    fn dies(&mut self, person: &str, reason: &str) {
        self.mark("dies", reason.as_bytes());
        self.closes(person);
        let back_in = self.dice.random_range(100..30_000);
        self.walked.note("fault", "client dies");
        let them = self.people.get_mut(person).unwrap();
        them.returns = true;
        let life = them.life;
        self.schedule(back_in, Happening::Returns { person: person.to_owned(), life });
    }

    /// Takes what the engine wants done and what it tells.
    fn pump(&mut self, person: &str) {
        loop {
            let Some(engine) = self.people.get_mut(person).unwrap().engine.as_mut() else { return };
            let mut idle = true;
            let mut told = Vec::new();
            while let Some(event) = engine.poll_event() {
                told.push(event);
                idle = false;
            }
            let transmit = engine.poll_transmit();
            for (command, event) in told {
                self.walked.note("event", transitions::event(&event));
                self.mark(
                    "event",
                    format!("{person} {command:?} {}", serde_json::to_string(&event).unwrap()).as_bytes(),
                );
                let them = self.people.get_mut(person).unwrap();
                match command.filter(|command| them.answers.contains_key(command)) {
                    Some(command) => them.answers.entry(command).or_default().push(event),
                    None => them.events.push(event),
                }
            }
            if let Some(transmit) = transmit {
                idle = false;
                self.transmits(person, transmit);
            }
            if idle {
                return;
            }
        }
    }

    /// Gives a command and lets time pass until it has ended, or its patience has.
    pub(super) fn command(&mut self, person: &str, command: Command) -> Vec<Event> {
        let id = self.begin(person, command);
        let end = self.now + 3 * super::MINUTE;
        while let Some(next) = self.next_due() {
            let them = &self.people[person];
            let over = them.answers[&id].iter().any(|event| matches!(event, Event::End));
            if over || them.engine.is_none() || next > end {
                break;
            }
            self.step(next);
        }
        self.people.get_mut(person).unwrap().answers.remove(&id).unwrap_or_default()
    }

    /// Gives a command; nobody waits for its end.
    pub(super) fn begin(&mut self, person: &str, command: Command) -> CommandId {
        let them = self.people.get_mut(person).unwrap();
        let id = them.fresh_command();
        them.answers.insert(id, Vec::new());
        let shown = format!("{person} {}", serde_json::to_string(&command).unwrap());
        self.mark("command", shown.as_bytes());
        self.walked.note("command", transitions::command(&command));
        self.engine_step(person, |engine, now| engine.command(now, id, command));
        id
    }
}

impl Person {
    fn fresh_command(&mut self) -> CommandId {
        self.next_command += 1;
        CommandId(self.next_command)
    }
}

/// Lets a profile keep the first state of each session: what would replace it is not written.
fn forget_sessions(folder: &Path) {
    let database = rusqlite::Connection::open(folder.join("profile.db")).unwrap();
    let trigger = "CREATE TRIGGER IF NOT EXISTS forgets BEFORE UPDATE ON session BEGIN SELECT RAISE(IGNORE); END";
    database.execute_batch(trigger).unwrap();
}

/// Copies a profile while nobody writes to it.
pub(super) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
