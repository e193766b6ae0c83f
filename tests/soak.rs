//! The soak: a relay and hundreds of clients, all of them processes, for as long as one likes. People write to each other and in rooms,
//! change what they said, send files, meet strangers, go away and come back; the relay is killed, stopped and drained in between. Beside
//! them an honest pair exchanges a line a second, which is how the relay's time to answer is measured.

mod ledger;
pub mod measure;
mod talker;
mod verdict;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::lines::different_lines;
use crate::processes::{Person, RelayProcess};
use ledger::{Change, Exchange, Ledger, Place, Wish, name};
use measure::{Processors, Usage, bytes_below, median, percentile, usage};
use talker::Talker;
pub use verdict::Report;

/// The two whose lines are measured; they never go away.
const PAIR: [usize; 2] = [0, 1];
/// Between two lines of theirs.
const HONEST: Duration = Duration::from_secs(1);
/// People of one room, beside the first one, where everybody is.
const ROOM: usize = 30;
/// Between two looks at the relay's memory.
const SAMPLE: Duration = Duration::from_secs(5);
/// For everything to arrive once nothing is said any more.
const SETTLES: Duration = Duration::from_secs(300);
/// For the relay to notice that somebody has gone.
const QUIET: Duration = Duration::from_secs(2);
/// How long an idle client keeps links that are not needed any more, and some more.
const IDLE: Duration = Duration::from_secs(120);

/// How long a run is, and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// So many people, the honest pair among them; four at least.
    pub clients: usize,
    /// For so long.
    pub time: Duration,
    /// So many things are done a second, by all people together.
    pub pace: f64,
    /// The relay is restarted so often, in the first two thirds of the time: a leak needs time to show.
    pub restarts: Duration,
    /// A line is printed so often.
    pub lines: Duration,
    /// What happens follows from it.
    pub seed: u64,
}

/// The relay is away, or the honest pair has not yet found it again.
#[derive(Debug)]
struct Outage {
    how: &'static str,
    began: Instant,
    /// Of what restarts it.
    restart: Option<JoinHandle<()>>,
    relay_back: Option<Instant>,
    pair_back: Option<Instant>,
}

/// What the relay had at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    life: usize,
    usage: Usage,
}

struct Soak {
    run: Run,
    folder: PathBuf,
    dice: ChaCha8Rng,
    words: Vec<String>,
    ledger: Arc<Mutex<Ledger>>,
    talkers: Vec<Talker>,
    relay: Arc<Mutex<RelayProcess>>,
    pid: Arc<AtomicU32>,
    data: PathBuf,
    outages: Vec<Outage>,
    /// Who is away, and until when.
    away: BTreeMap<usize, Instant>,
    wishes: Vec<Wish>,
    samples: Vec<Sample>,
    exchanges: Vec<Exchange>,
    processors: Processors,
    died: Vec<usize>,
    files: PathBuf,
}

/// Lets people talk for as long as the run says; each line of progress is given to `tell`.
///
/// # Panics
/// Something does not start.
pub fn run(folder: &Path, run: Run, tell: &mut dyn FnMut(&str)) -> Report {
    let began = Instant::now();
    let mut soak = Soak::new(folder, run);
    let (empty, full) = soak.fill(tell);
    tell(&format!("{} people are there after {:.0?}; the relay has {full} descriptors", run.clients, began.elapsed()));
    let started = Instant::now();
    soak.work(tell);
    let settling = Instant::now();
    let wrong = soak.settle();
    tell(&format!("everything has arrived, or had its time, after {:.0?}", settling.elapsed()));
    let full = (full, soak.descriptors_at_most(full));
    soak.talkers.iter_mut().for_each(Talker::leaves);
    soak.talkers.iter_mut().for_each(|talker| talker.goes(IDLE));
    let empty = (empty, soak.descriptors_at_most(empty));
    soak.report(started, wrong, full, empty)
}

impl Soak {
    /// A relay and nobody.
    fn new(folder: &Path, run: Run) -> Self {
        assert!(run.clients >= 4, "the honest pair and two others");
        let config = folder.join("relay.toml");
        // Everybody comes from one address.
        let many = "{ burst = 1000000, every_ms = 1 }";
        let rates = ["registrations", "logins", "fetches", "lookups", "deliveries", "handshakes"];
        let rates: String = rates.iter().map(|rate| format!("{rate} = {many}\n")).collect();
        let text = format!("[links]\nlinks_per_address = 10000\nhandshakes = 10000\n[rates]\n{rates}");
        std::fs::write(&config, text).expect("the folder can be written");
        let relay = RelayProcess::start_with(folder, &["--config", config.to_str().expect("a path in UTF-8")]);
        let (pid, data) = (Arc::new(AtomicU32::new(relay.pid())), relay.data.clone());
        let rooms = 2 + run.clients / ROOM;
        let ledger = Arc::new(Mutex::new(Ledger::new(run.clients, rooms, PAIR)));
        let files = folder.join("files");
        std::fs::create_dir_all(&files).expect("the folder can be written");
        Self {
            run,
            folder: folder.to_owned(),
            dice: ChaCha8Rng::seed_from_u64(run.seed),
            words: different_lines(500).lines,
            ledger,
            talkers: Vec::new(),
            relay: Arc::new(Mutex::new(relay)),
            pid,
            data,
            outages: Vec::new(),
            away: BTreeMap::new(),
            wishes: Vec::new(),
            samples: Vec::new(),
            exchanges: Vec::new(),
            processors: Processors::default(),
            died: Vec::new(),
            files,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with it")
    }

    fn usage(&self) -> Option<Usage> {
        usage(self.pid.load(Ordering::Relaxed))
    }

    /// Registers everybody, two at a time, and lets them come and join; the descriptors that the relay has before anybody has come, and
    /// then.
    fn fill(&mut self, tell: &mut dyn FnMut(&str)) -> (usize, usize) {
        let address = self.relay.lock().expect("nobody panics with it").address.clone();
        let everybody: Vec<usize> = (0..self.run.clients).collect();
        let mut empty = None;
        for some in everybody.chunks(2) {
            let (folder, address) = (&self.folder, &address);
            let registered: Vec<Person> = std::thread::scope(|scope| {
                let register = |who: usize| scope.spawn(move || Person::registered(folder, &name(who), address));
                let starting: Vec<_> = some.iter().map(|who| register(*who)).collect();
                starting.into_iter().map(|one| one.join().expect("they are registered")).collect()
            });
            if empty.is_none() {
                // A relay opens its store's files as it needs them.
                let _ = registered[0].run(&["send", &name(some[1]), "hello"]).expect(0);
                assert_eq!(registered[1].receives(1), ["hello"]);
                empty = Some(self.fewest_descriptors(QUIET));
            }
            for (who, person) in some.iter().zip(registered) {
                let mut talker = Talker::new(*who, person, Arc::clone(&self.ledger));
                talker.comes();
                talker.asks(&format!("/join {}", ledger::room_name(self.ledger().room_of(*who))));
                self.talkers.push(talker);
            }
            if self.talkers.len().is_multiple_of(50) {
                tell(&format!("{} people are registered", self.talkers.len()));
            }
        }
        let there = |ledger: &Ledger| everybody.iter().all(|who| ledger.has_joined(*who));
        crate::processes::until("everybody is in their rooms", || {
            (there(&self.ledger()) && self.ledger().are_online(&everybody)).then_some(())
        });
        // They know each other: strangers' messages are confirmed by nobody, and cost a proof of work each.
        for turn in [0, 1] {
            self.talkers[PAIR[turn]].says(Place::Person(PAIR[1 - turn]), "hello");
        }
        crate::processes::until("the honest pair is acquainted", || {
            let ledger = self.ledger();
            PAIR.iter().all(|who| ledger.acquainted(*who).len() == 1).then_some(())
        });
        // Links to the relay that are not needed any more go by themselves.
        let full = self.fewest_descriptors(self.run.time.min(IDLE) / 4);
        let _ = self.processors.look(self.pids().into_iter());
        let _ = self.ledger().exchanges();
        (empty.unwrap_or_default(), full)
    }

    /// The fewest descriptors that the relay comes to have, once it has had no fewer for so long.
    fn fewest_descriptors(&self, quiet: Duration) -> usize {
        let (mut least, mut since) = (usize::MAX, Instant::now());
        while since.elapsed() < quiet {
            let now = self.usage().expect("the relay runs").descriptors;
            if now < least {
                (least, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        least
    }

    /// All processes of the run that live.
    fn pids(&self) -> Vec<u32> {
        let relay = self.pid.load(Ordering::Relaxed);
        let clients = self.talkers.iter().filter_map(Talker::pid);
        clients.chain([relay, std::process::id()]).collect()
    }

    /// Everything that happens, until the time is over.
    fn work(&mut self, tell: &mut dyn FnMut(&str)) {
        let began = Instant::now();
        let Run { time, restarts, lines, clients, .. } = self.run;
        let (act, go) =
            (Duration::from_secs_f64(1.0 / self.run.pace), time / u32::try_from(2 * clients).unwrap_or(u32::MAX));
        let [mut acts, mut honest, mut goes, mut samples] = [began; 4];
        let (mut restarted, mut told) = (began + restarts, began + lines);
        let mut turn = 0;
        while began.elapsed() < time {
            let now = Instant::now();
            let due = |at: &mut Instant, every: Duration| {
                let due = now >= *at;
                // What could not be done in time is not made up for in a burst.
                if due {
                    *at = (*at + every).max(now);
                }
                due
            };
            self.grant();
            self.watch();
            if due(&mut honest, HONEST) {
                turn = 1 - turn;
                self.says(PAIR[turn], Place::Person(PAIR[1 - turn]));
            }
            if due(&mut acts, act) {
                self.act();
            }
            if due(&mut goes, go) {
                self.somebody_goes();
            }
            self.some_return(false);
            if due(&mut samples, SAMPLE.min(time / 60)) {
                let life = self.outages.len();
                self.samples.extend(self.usage().map(|usage| Sample { at: now, life, usage }));
            }
            if due(&mut restarted, restarts) && began.elapsed() < time * 2 / 3 {
                self.restart();
            }
            if due(&mut told, lines) {
                self.line(began, tell);
            }
            let next = [acts, honest, told].into_iter().min().unwrap_or(now);
            std::thread::sleep(next.saturating_duration_since(Instant::now()).min(Duration::from_millis(100)));
        }
        self.line(began, tell);
    }

    /// Does what clients want by themselves, where they are there.
    fn grant(&mut self) {
        let new = self.ledger().wishes();
        self.wishes.extend(new);
        for wish in std::mem::take(&mut self.wishes) {
            match wish {
                Wish::Answer { who, to } if self.talkers[who].is_here() => {
                    self.talkers[who].says(Place::Person(to), "hello")
                }
                Wish::Fetch { who, ref id } if self.talkers[who].is_here() => {
                    self.talkers[who].asks(&format!("/get {id}"));
                }
                wish => self.wishes.push(wish),
            }
        }
    }

    fn one_of(&mut self, all: &[usize]) -> Option<usize> {
        if all.is_empty() { None } else { Some(all[self.dice.random_range(0..all.len())]) }
    }

    /// Somebody of those who are there and are not the honest pair.
    fn somebody(&mut self) -> Option<usize> {
        let here: Vec<usize> =
            (0..self.run.clients).filter(|who| !PAIR.contains(who) && self.talkers[*who].is_here()).collect();
        self.one_of(&here)
    }

    fn says(&mut self, from: usize, to: Place) {
        let words = self.dice.random_range(0..self.words.len());
        self.talkers[from].says(to, &self.words[words]);
    }

    /// Somebody does something.
    fn act(&mut self) {
        let Some(who) = self.somebody() else { return };
        let room = Place::Room(self.ledger().room_of(who));
        let known = self.ledger().acquainted(who);
        let friend = self.one_of(&known);
        match (self.dice.random_range(0..100), friend) {
            (0..45, Some(friend)) => self.says(who, Place::Person(friend)),
            (45..68, _) => self.says(who, room),
            (68..71, _) => self.says(who, Place::Room(0)),
            (71..79, friend) => {
                let to = friend.filter(|_| self.dice.random_range(0..3) > 0).map_or(room, Place::Person);
                let text = |number: usize| format!("line {number}: said in other words");
                self.change(
                    who,
                    who,
                    to,
                    |line| Change::Edited(text(line)),
                    |id, line| format!("/edit {id} {}", text(line)),
                );
            }
            (79..82, friend) => {
                let to = friend.filter(|_| self.dice.random_range(0..3) > 0).map_or(room, Place::Person);
                self.change(who, who, to, |_| Change::Deleted, |id, _| format!("/delete {id}"));
            }
            (82..88, Some(friend)) => {
                let reacted = |_| Change::Reacted(who, "👍".to_owned());
                self.change(who, friend, Place::Person(who), reacted, |id, _| format!("/react {id} 👍"));
            }
            (88..91, Some(friend)) => self.talkers[who].sends_file(friend, &self.files),
            (91..93, Some(friend)) => self.talkers[who].asks(&format!("/whois {}", name(friend))),
            (93..95, _) => self.talkers[who].asks("/who"),
            (95..96, _) => self.talkers[who].asks("/rooms"),
            _ => {
                let strange =
                    |other: &usize| *other != who && !PAIR.contains(other) && !self.ledger().wrote(who, *other);
                let strangers: Vec<usize> = (0..self.run.clients).filter(strange).collect();
                if let Some(stranger) = self.one_of(&strangers) {
                    self.says(who, Place::Person(stranger));
                }
            }
        }
    }

    /// Somebody changes the newest line that somebody has said there, where it can be changed.
    fn change(
        &mut self,
        who: usize,
        author: usize,
        to: Place,
        change: impl Fn(usize) -> Change,
        command: impl Fn(&str, usize) -> String,
    ) {
        let changed = {
            let mut ledger = self.ledger();
            let line = ledger.newest(author, to);
            line.and_then(|line| Some((ledger.changes(line, change(line.number))?, line.number)))
        };
        if let Some((id, number)) = changed {
            self.talkers[who].asks(&command(&id, number));
        }
    }

    /// Somebody is killed, or leaves; a quarter at most is away at once.
    fn somebody_goes(&mut self) {
        if self.away.len() * 4 > self.run.clients {
            return;
        }
        let Some(who) = self.somebody() else { return };
        if self.dice.random_range(0..2) == 0 {
            self.talkers[who].goes(Duration::ZERO);
        } else {
            self.talkers[who].leaves();
        }
        let (shortest, longest) = (self.run.time / 200, self.run.time / 20);
        let away = self.dice.random_range(shortest..longest);
        self.away.insert(who, Instant::now() + away);
    }

    /// Whose time has come is there again, once their last client has ended; or everybody.
    fn some_return(&mut self, all: bool) {
        let now = Instant::now();
        let due: Vec<usize> = self.away.iter().filter(|(_, at)| all || **at <= now).map(|(who, _)| *who).collect();
        for who in due {
            if self.talkers[who].has_ended() {
                self.talkers[who].goes(Duration::ZERO);
                self.talkers[who].comes();
                self.away.remove(&who);
            }
        }
    }

    /// Ends the relay in one of three ways, and lets it be started again after a while.
    fn restart(&mut self) {
        let how = ["killed", "stopped", "drained"][self.dice.random_range(0..3)];
        let away = self.dice.random_range(Duration::ZERO..self.run.restarts / 30);
        let (relay, pid) = (Arc::clone(&self.relay), Arc::clone(&self.pid));
        self.ledger().nobody_is_online();
        let began = Instant::now();
        let restart = std::thread::spawn(move || {
            let mut relay = relay.lock().expect("nobody panics with it");
            match how {
                "killed" => relay.kill(),
                "stopped" => assert_eq!(relay.stop(Signal::TERM), Some(0), "it stops"),
                _ => {
                    crate::processes::signal(relay.pid(), Signal::USR2);
                    assert_eq!(relay.ended(), Some(0), "it ends when the last link has gone");
                }
            }
            std::thread::sleep(away);
            relay.restart();
            pid.store(relay.pid(), Ordering::Relaxed);
        });
        self.outages.push(Outage { how, began, restart: Some(restart), relay_back: None, pair_back: None });
    }

    /// Looks whether the relay is back, and whether anybody has died who should not.
    fn watch(&mut self) {
        let together = self.ledger().are_online(&PAIR);
        if let Some(outage) = self.outages.last_mut() {
            if outage.restart.as_ref().is_some_and(JoinHandle::is_finished) {
                outage.relay_back = Some(Instant::now());
                outage.restart.take().map(JoinHandle::join).transpose().expect("the relay is back");
            }
            if outage.relay_back.is_some() && outage.pair_back.is_none() && together {
                outage.pair_back = Some(Instant::now());
            }
        }
        for who in 0..self.talkers.len() {
            if self.talkers[who].died() {
                self.died.push(who);
                self.talkers[who].goes(Duration::ZERO);
                self.talkers[who].comes();
            }
        }
    }

    /// Whether a line was on its way while the relay was away, or the pair had not found it again.
    fn disturbed(&self, exchange: &Exchange) -> bool {
        self.outages.iter().any(|outage| {
            let over = outage.pair_back.unwrap_or(exchange.shown);
            exchange.said <= over && exchange.shown >= outage.began
        })
    }

    /// How things are, in a line.
    fn line(&mut self, began: Instant, tell: &mut dyn FnMut(&str)) {
        let new = self.ledger().exchanges();
        let calm: Vec<Duration> = new.iter().filter(|one| !self.disturbed(one)).map(Exchange::took).collect();
        self.exchanges.extend(new);
        let [p50, p99, max] = [50, 99, 100].map(|part| percentile(&calm, part).as_millis());
        let counts = self.ledger().counts();
        let shares = self.processors.look(self.pids().into_iter());
        let relay = self.usage().unwrap_or_default();
        let resident = |pid| usage(pid).unwrap_or_default().resident;
        let clients: Vec<u64> = self.talkers.iter().filter_map(Talker::pid).map(resident).collect();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        tell(&format!(
            "{:5.1} min: said {}, accepted {}, shown {} of {}, changed {}; the pair's {} lines p50 {p50} p99 {p99} max {max} ms; relay \
             {:.1} MiB ({:.1} anonymous), {} threads, {} descriptors, {:.1} MiB stored, {} restarts; {} clients, {} connected, {:.0} MiB, \
             median {:.1}; {} errors; CPU {:.0} % ours, {:.0} % others'",
            began.elapsed().as_secs_f64() / 60.0,
            counts.said,
            counts.accepted,
            counts.shown,
            counts.due,
            counts.changes,
            calm.len(),
            mib(relay.resident),
            mib(relay.anonymous),
            relay.threads,
            relay.descriptors,
            mib(bytes_below(&self.data)),
            self.outages.len(),
            clients.len(),
            self.ledger().online(),
            mib(clients.iter().sum()),
            mib(median(clients.iter().copied())),
            counts.errors,
            100.0 * shares.own,
            100.0 * shares.others,
        ));
    }

    /// Everybody comes back, and everything arrives; what is then still wrong with what people have, in words.
    fn settle(&mut self) -> Vec<String> {
        let deadline = Instant::now() + SETTLES;
        let late = || Instant::now() >= deadline;
        let pause = || std::thread::sleep(Duration::from_millis(500));
        loop {
            self.watch();
            self.some_return(true);
            self.grant();
            let all_here = self.away.is_empty() && self.outages.last().is_none_or(|outage| outage.pair_back.is_some());
            if all_here && self.wishes.is_empty() && self.ledger().missing().is_empty() || late() {
                break;
            }
            pause();
        }
        let new = self.ledger().exchanges();
        self.exchanges.extend(new);
        let mut wrong = Vec::new();
        let unprinted = |(who, line): &(usize, ledger::Line)| format!("{} was never shown {line:?}", name(*who));
        wrong.extend(self.ledger().missing().iter().map(unprinted));
        // What is in flight may still change what a history shows.
        let mut left: Vec<usize> = (0..self.talkers.len()).collect();
        loop {
            let found: Vec<(usize, Vec<String>)> = left.iter().map(|who| (*who, self.inspect(*who))).collect();
            left = found.iter().filter(|(_, wrong)| !wrong.is_empty()).map(|(who, _)| *who).collect();
            if left.is_empty() || late() {
                wrong.extend(found.into_iter().flat_map(|(_, wrong)| wrong));
                return wrong;
            }
            pause();
        }
    }

    /// What is wrong with somebody's histories and files.
    fn inspect(&mut self, who: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let places = self.ledger().places_of(who);
        for place in places {
            let with = match place {
                Place::Person(other) => name(other),
                Place::Room(room) => ledger::room_name(room),
            };
            let outcome = self.talkers[who].person.run(&["--json", "history", &with, "--limit", "1000000"]);
            if outcome.code == Some(0) {
                wrong.extend(self.ledger().inspect(who, place, &outcome.json()));
            } else {
                wrong.push(format!(
                    "the history of {} with {with} ends with {:?}: {}",
                    name(who),
                    outcome.code,
                    outcome.out
                ));
            }
        }
        let mine = |line: &ledger::Line| line.to == Place::Person(who);
        let files: Vec<ledger::Line> = self.ledger().files().into_iter().filter(mine).collect();
        for line in files {
            match std::fs::read(self.talkers[who].fetched(line)) {
                Ok(bytes) if bytes == talker::contents(line) => {}
                Ok(bytes) => wrong.push(format!("{} has {} other bytes in {line:?}", name(who), bytes.len())),
                Err(error) => {
                    wrong.push(format!("{} has no file of {line:?}: {error}", name(who)));
                    // Its client may have died while it fetched it.
                    let id = self.ledger().id_of(line).unwrap_or_default().to_owned();
                    self.talkers[who].asks(&format!("/get {id}"));
                }
            }
        }
        wrong
    }

    /// Waits until the relay has no more descriptors than that; how many it has.
    fn descriptors_at_most(&self, most: usize) -> usize {
        let deadline = Instant::now() + IDLE;
        loop {
            let now = self.usage().unwrap_or_default().descriptors;
            if now <= most || Instant::now() >= deadline {
                return now;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn report(mut self, started: Instant, wrong: Vec<String>, full: (usize, usize), empty: (usize, usize)) -> Report {
        let (disturbed, calm): (Vec<Exchange>, Vec<Exchange>) =
            self.exchanges.iter().partition(|exchange| self.disturbed(exchange));
        let files = self.ledger().files().len();
        let errors = self.ledger().errors().clone();
        let outages = std::mem::take(&mut self.outages);
        Report {
            run: self.run,
            counts: self.ledger().counts(),
            files,
            wrong,
            died: self.died.iter().map(|who| name(*who)).collect(),
            windows: verdict::windows(&calm, started, self.run.time),
            worst_disturbed: disturbed.iter().map(Exchange::took).max().unwrap_or_default(),
            outages: outages.iter().map(verdict::Away::of).collect(),
            memory: verdict::Memory::of(&self.samples, started, self.run.time),
            full,
            empty,
            errors,
        }
    }
}
