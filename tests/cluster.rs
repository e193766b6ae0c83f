//! Relays that share what NATS servers keep, all of them processes, and the long run in which they die.

pub mod speed;

use std::collections::BTreeMap;
use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::processes::{Following, Machine, Nats, Person, RelayProcess, Setup, programs};

/// Servers and relays at 127.0.0.1, .2 and so on; all relays have one port, as an address names one.
pub struct Cluster {
    /// The servers.
    pub nats: Nats,
    /// The relays.
    pub relays: Vec<RelayProcess>,
    folder: PathBuf,
    hosts: String,
    program: PathBuf,
}

impl Cluster {
    /// Starts so many servers and relays in a folder; `None` where there is no NATS server.
    ///
    /// # Panics
    /// They don't start.
    pub fn start(folder: &Path, servers: usize, relays: usize) -> Option<Self> {
        Self::start_program(&programs().relay, folder, servers, relays)
    }

    /// The same with relays of another program than the one that is tested.
    ///
    /// # Panics
    /// They don't start.
    pub fn start_program(program: &Path, folder: &Path, servers: usize, relays: usize) -> Option<Self> {
        let nats = Nats::start(folder, servers, Setup::default())?;
        let hosts: Vec<String> = (1..=relays).map(|number| format!("127.0.0.{number}")).collect();
        let hosts: Vec<(&str, &[&str])> = hosts.iter().map(|host| (host.as_str(), [].as_slice())).collect();
        Some(Self::over(program, folder, nats, &hosts))
    }

    /// The same on machines of their own, a server and a relay on each.
    ///
    /// # Panics
    /// They don't start.
    pub fn start_on(folder: &Path, machines: &'static [Machine]) -> Option<Self> {
        let nats = Nats::start(folder, machines.len(), Setup { machines, ..Setup::default() })?;
        let hosts: Vec<(&str, &[&str])> = machines.iter().map(|machine| (machine.host, machine.under)).collect();
        Some(Self::over(&programs().relay, folder, nats, &hosts))
    }

    fn over(program: &Path, folder: &Path, nats: Nats, hosts: &[(&str, &[&str])]) -> Self {
        let names: Vec<&str> = hosts.iter().map(|(host, _)| *host).collect();
        let (folder, hosts_of, program) = (folder.to_owned(), names.join(","), program.to_owned());
        let mut cluster = Self { nats, relays: Vec::new(), folder, hosts: hosts_of, program };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        hosts.iter().for_each(|(host, under)| cluster.add(host, port, under));
        cluster
    }

    fn add(&mut self, host: &str, port: u16, under: &[&str]) {
        let home = self.folder.join(format!("relay-{host}"));
        std::fs::create_dir_all(&home).expect("a folder");
        let servers = self.nats.addresses().join(",");
        let first = self.relays.first().map(|relay| relay.data.join("relay.key").display().to_string());
        let mut options = vec!["--cluster", &servers, "--metrics", "127.0.0.1:0", "--host", &self.hosts];
        options.extend(first.iter().flat_map(|key| ["--key", key]));
        let monitors = format!("SEALPOST_RELAY_CLUSTER__MONITORS={:?}", self.nats.monitors());
        let replicas = format!("SEALPOST_RELAY_CLUSTER__REPLICAS={}", self.nats.count());
        // Everybody comes from one address.
        let rates = "SEALPOST_RELAY_RATES__REGISTRATIONS={burst=10000,every_ms=1}";
        let listen = format!("{host}:{port}");
        let wrapper = [under, &["env", &monitors, &replicas, rates]].concat();
        self.relays.push(RelayProcess::start_program(&self.program, &home, &listen, &options, &wrapper));
    }

    /// The address of all relays.
    ///
    /// # Panics
    /// There is no relay.
    pub fn address(&self) -> &str {
        &self.relays[0].address
    }

    /// The address of one of them.
    ///
    /// # Panics
    /// There is no such relay.
    pub fn address_of(&self, relay: usize) -> String {
        let host = self.hosts.split(',').nth(relay).expect("there is this relay");
        self.address().replace(&self.hosts, host)
    }

    /// The address of all relays, another one first.
    pub fn address_from(&self, first: usize) -> String {
        let mut hosts: Vec<&str> = self.hosts.split(',').collect();
        let first = first % hosts.len();
        hosts.rotate_left(first);
        self.address().replace(&self.hosts, &hosts.join(","))
    }

    /// Somebody who knows one relay, or all of them.
    ///
    /// # Panics
    /// The registration fails.
    pub fn person(&self, name: &str, relay: Option<usize>) -> Person {
        let address = relay.map_or_else(|| self.address().to_owned(), |relay| self.address_of(relay));
        Person::registered(&self.folder, name, &address)
    }

    /// Kills a server or a relay, of all of them the one of this number.
    pub fn kill(&mut self, number: usize) {
        match number.checked_sub(self.nats.count()) {
            None => self.nats.kill(number),
            Some(relay) => self.relays[relay].kill(),
        }
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self, number: usize) {
        match number.checked_sub(self.nats.count()) {
            None => self.nats.restart(number),
            Some(relay) => self.relays[relay].restart(),
        }
    }

    /// How many servers and relays there are.
    pub fn count(&self) -> usize {
        self.nats.count() + self.relays.len()
    }
}

/// How long a run is, and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// So many people write to so many others.
    pub pairs: usize,
    /// For so long.
    pub time: Duration,
    /// One server or relay is killed so often, and is away for half of that.
    pub every: Duration,
    /// What is killed follows from it.
    pub seed: u64,
    /// Between two lines of one person.
    pub pace: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines that were said.
    pub said: u64,
    /// Of them, those that a relay had accepted when the sender's command ended.
    pub accepted: u64,
    /// Lines that were shown.
    pub shown: u64,
    /// Lines that were accepted and not shown.
    pub lost: u64,
    /// Lines that were shown twice.
    pub doubled: u64,
    /// Lines that were shown before an earlier one.
    pub disordered: u64,
    /// Kills of servers.
    pub servers_killed: u64,
    /// Kills of relays.
    pub relays_killed: u64,
}

impl Report {
    /// Whether every promise was kept.
    pub fn holds(&self) -> bool {
        self.shown == self.said && self.lost + self.doubled + self.disordered == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, accepted, shown, lost, doubled, disordered, servers_killed, relays_killed } = self;
        write!(
            f,
            "{said} lines said, {accepted} accepted at once, {shown} shown, {lost} lost, {doubled} doubled, {disordered} out of \
             order; {servers_killed} servers and {relays_killed} relays killed"
        )
    }
}

/// After the last kill, for everything to arrive.
const SETTLES: Duration = Duration::from_secs(300);

/// Lets people talk while servers and relays die. `None` where there is no NATS server.
///
/// # Panics
/// Something does not start.
pub fn run(folder: &Path, run: Run) -> Option<Report> {
    let mut cluster = Cluster::start(folder, 3, 3)?;
    let somebody = |name: String, first: usize| Person::registered(folder, &name, &cluster.address_from(first));
    let people: Vec<(Person, Person)> = (0..run.pairs)
        .map(|pair| (somebody(format!("says-{pair}"), pair), somebody(format!("hears-{pair}"), pair + 1)))
        .collect();
    let mut holders: Vec<(Following, Following)> =
        people.iter().map(|(says, hears)| (says.holds(), hears.holds())).collect();
    // Whoever was written to is no stranger, and gets receipts: without them nobody says more than a thousand lines.
    for (says, hears) in &people {
        let _ = hears.run(&["send", &says.name, "hello", "--timeout", "60s"]).expect(0);
    }
    let (over, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut report = Report::default();
    let mut said = Vec::new();
    std::thread::scope(|scope| {
        let (over, accepted) = (&over, &accepted);
        let talking: Vec<_> = people
            .iter()
            .map(|(says, hears)| scope.spawn(move || talk(says, &hears.name, run.pace, over, accepted)))
            .collect();
        kill(&mut cluster, run, accepted, &mut report);
        over.store(true, Ordering::Relaxed);
        said = talking.into_iter().map(|talk| talk.join().expect("a talk ends")).collect();
    });
    report.accepted = accepted.load(Ordering::Relaxed);
    let until = Instant::now() + SETTLES;
    for ((_, hears), said) in holders.iter_mut().zip(said) {
        report.said += said;
        count(&heard(hears, said, until), said, &mut report);
    }
    Some(report)
}

/// Says a line after the other until it is over; how many there were.
fn talk(says: &Person, to: &str, pace: Duration, over: &AtomicBool, accepted: &AtomicU64) -> u64 {
    let (_never, waits): (_, Receiver<()>) = channel();
    let mut line = 0;
    while !over.load(Ordering::Relaxed) {
        line += 1;
        match says.run(&["send", to, &format!("line {line}"), "--timeout", "60s"]).code {
            Some(0) => _ = accepted.fetch_add(1, Ordering::Relaxed),
            // Queued: it goes when it can.
            Some(75) => {}
            // Who holds the profile was too busy to answer: nothing is queued, and it is said again.
            Some(5) => line -= 1,
            code => panic!("{} ended with {code:?}", says.name),
        }
        assert_eq!(waits.recv_timeout(pace), Err(RecvTimeoutError::Timeout));
    }
    line
}

/// Kills and restarts, one after the other, until the time is over; then all are there.
fn kill(cluster: &mut Cluster, run: Run, accepted: &AtomicU64, report: &mut Report) {
    let (_never, pace): (_, Receiver<()>) = channel();
    let wait = |time: Duration| assert_eq!(pace.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    let (end, mut state) = (Instant::now() + run.time, run.seed);
    while Instant::now() < end {
        // SplitMix64: the same seed kills in the same order.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let victim = usize::try_from((mixed >> 33) % cluster.count() as u64).unwrap_or_default();
        cluster.kill(victim);
        if victim < cluster.nats.count() {
            report.servers_killed += 1;
        } else {
            report.relays_killed += 1;
        }
        wait(run.every / 2);
        cluster.restart(victim);
        wait(run.every / 2);
        let Report { servers_killed, relays_killed, .. } = report;
        let (accepted, left) = (accepted.load(Ordering::Relaxed), end.saturating_duration_since(Instant::now()));
        eprintln!(
            "{accepted} accepted; {servers_killed} servers and {relays_killed} relays killed; {} s to go",
            left.as_secs()
        );
    }
}

/// The numbers of the lines that somebody was shown, in order, until all are there or the time is over.
fn heard(hears: &mut Following, said: u64, until: Instant) -> Vec<u64> {
    let mut shown = Vec::new();
    while (shown.len() as u64) < said && Instant::now() < until {
        let Some(line) = hears.lines.next_within(until.saturating_duration_since(Instant::now())) else { break };
        let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
        let number = line["text"].as_str().and_then(|text| text.strip_prefix("line ")?.parse::<u64>().ok());
        shown.extend(number.filter(|_| line["event"] == "message"));
    }
    shown
}

/// Compares what was shown to somebody with what was said.
fn count(shown: &[u64], said: u64, report: &mut Report) {
    report.shown += shown.len() as u64;
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    shown.iter().for_each(|line| *times.entry(*line).or_default() += 1);
    report.doubled += times.values().map(|times| times - 1).sum::<u64>();
    report.lost += (1..=said).filter(|line| !times.contains_key(line)).count() as u64;
    report.disordered += shown.windows(2).filter(|two| two[1] < two[0]).count() as u64;
}
