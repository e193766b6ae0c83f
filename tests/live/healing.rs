//! What goes wrong in a cluster and is right again: an honest pair then exchanges a message within ten seconds, and all that
//! they said meanwhile is there once, in order.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use sealpost_tests::cluster::Cluster;
use sealpost_tests::processes::{Following, Machine, Person, RelayProcess, nats_server, until};
use sealpost_tests::skip;
use tempfile::TempDir;

/// For two people to exchange a message, once everything runs again that had died.
const HEALS: Duration = Duration::from_secs(10);
/// A server is away for so long.
const AWAY: Duration = Duration::from_secs(60);

fn three() -> Option<(Cluster, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(folder.path(), 3, 3);
    if cluster.is_none() {
        skip("healing", "nats");
    }
    Some((cluster?, folder))
}

/// Somebody, what they have said, and what they were shown.
pub(super) struct Side {
    pub(super) person: Person,
    hears: Following,
    said: Vec<String>,
    heard: Vec<String>,
}

impl Side {
    /// Says it; it is accepted, or queued.
    pub(super) fn says(&mut self, to: &str, text: &str, time: &str) -> Option<i32> {
        let code = self.person.run(&["send", to, text, "--timeout", time]).code;
        assert!(matches!(code, Some(0 | 75)), "{code:?} for {text:?}");
        self.said.push(text.to_owned());
        code
    }

    /// Waits until so many lines were shown.
    fn hears(&mut self, lines: usize) {
        while self.heard.len() < lines {
            self.heard.push(self.hears.message()["text"].as_str().unwrap().to_owned());
        }
    }
}

/// Two people who know each other, both of them online.
pub(super) struct Pair {
    pub(super) alice: Side,
    pub(super) bob: Side,
    /// What an exchange takes on this machine when nothing is wrong.
    usual: Duration,
}

impl Pair {
    /// Each knows all relays, and begins with another one.
    pub(super) fn new(cluster: &Cluster, folder: &TempDir) -> Self {
        let side = |name: &str, first: usize| {
            let person = Person::registered(folder.path(), name, &cluster.address_from(first));
            Side { hears: person.holds(), person, said: Vec::new(), heard: Vec::new() }
        };
        let mut pair = Self { alice: side("alice", 0), bob: side("bob", 1), usual: Duration::ZERO };
        // The first ones are strangers'.
        pair.exchange();
        pair.usual = (0..3).map(|_| pair.exchange()).max().unwrap_or_default();
        pair
    }

    fn alice_says(&mut self, text: &str) {
        self.alice.says("bob", text, "60s");
    }

    /// A question and its answer; how long they took.
    pub(super) fn exchange(&mut self) -> Duration {
        let began = Instant::now();
        let number = self.alice.said.len() + self.bob.said.len();
        self.alice.says("bob", &format!("question {number}"), "60s");
        self.bob.hears(self.alice.said.len());
        self.bob.says("alice", &format!("answer {number}"), "60s");
        self.alice.hears(self.bob.said.len());
        began.elapsed()
    }

    /// Everything runs again since then: whoever talks is heard within [`HEALS`], beside what it takes anyway.
    fn healed(&mut self, since: Instant, what: &str) {
        self.exchange();
        let (took, most) = (since.elapsed(), HEALS + 3 * self.usual);
        eprintln!("{what}: {took:?} until they talked again; {:?} is usual here", self.usual);
        assert!(took < most, "{what}: it took {took:?}");
    }

    /// All of it is there, once, in order.
    pub(super) fn ends(mut self) {
        self.exchange();
        for (from, to) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            assert_eq!(to.heard, from.said);
            let shown = to.person.history(&from.person.name).into_iter();
            let from_them = shown.filter(|(who, _)| who.trim_start_matches('@') == from.person.name);
            assert_eq!(from_them.map(|(_, text)| text).collect::<Vec<_>>(), from.said, "each once, in order");
        }
    }
}

/// The server that leads the mailboxes dies and comes back, each relay does, one server is away for a minute, two of three are,
/// all of it dies: each time an honest pair talks again within ten seconds, and nothing is lost, doubled or out of order.
#[test]
fn whatever_dies_people_talk_again_in_seconds() {
    let Some((mut cluster, folder)) = three() else { return };
    let mut pair = Pair::new(&cluster, &folder);

    let leader = cluster.nats.leader("sealpost-mailbox");
    cluster.nats.kill(leader);
    pair.alice_says("while a leader is elected");
    cluster.nats.restart(leader);
    pair.healed(Instant::now(), "a leader died");

    for relay in 0..3 {
        cluster.relays[relay].kill();
        pair.alice_says("without one of the relays");
        cluster.relays[relay].restart();
        pair.healed(Instant::now(), "a relay died");
    }

    cluster.nats.kill(1);
    let left = Instant::now();
    while left.elapsed() < AWAY {
        pair.exchange();
    }
    cluster.nats.restart(1);
    pair.healed(Instant::now(), "a server was away for a minute");

    cluster.nats.kill(0);
    cluster.nats.kill(2);
    let refused = pair.alice.says("bob", "without most servers", "5s");
    assert_eq!(refused, Some(75), "it is queued, and said to be");
    cluster.nats.restart(0);
    cluster.nats.restart(2);
    pair.healed(Instant::now(), "two servers were away");

    cluster.relays.iter_mut().for_each(RelayProcess::kill);
    (0..3).for_each(|node| cluster.nats.kill(node));
    pair.alice.says("bob", "without anybody", "1s");
    (0..3).for_each(|node| cluster.nats.restart(node));
    cluster.relays.iter_mut().for_each(RelayProcess::restart);
    pair.healed(Instant::now(), "all died");
    pair.ends();
}

/// Disks that take 300 ms for each sync: everything is slow and accepted; on quick disks people talk as before.
#[test]
fn slow_disks_lose_nothing() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("slow disk", "strace");
    }
    let Some((mut cluster, folder)) = three() else { return };
    let mut pair = Pair::new(&cluster, &folder);
    let slow = "inject=fsync,fdatasync:delay_enter=300000";
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", slow];
    for node in 0..3 {
        cluster.nats.stop(node);
        cluster.nats.under(node, &strace);
        cluster.nats.restart(node);
    }
    for line in 0..3 {
        pair.alice_says(&format!("slowly {line}"));
    }
    let took = pair.exchange();
    assert!(took > Duration::from_millis(600), "the disks were quick: {took:?}");
    for node in 0..3 {
        cluster.nats.stop(node);
        cluster.nats.under(node, &[]);
        cluster.nats.restart(node);
    }
    pair.healed(Instant::now(), "slow disks");
    pair.ends();
}

/// Drains a relay and waits for its end, while Alice talks from its first moment to its last.
pub(super) fn drained(cluster: &mut Cluster, relay: usize, pair: &mut Pair) {
    let data = cluster.relays[relay].data.display().to_string();
    let _ = RelayProcess::program(&["drain", "--data", &data]).expect(0);
    let mut line = 0;
    let (ends, ended) = channel();
    std::thread::scope(|scope| {
        let drained = &mut cluster.relays[relay];
        scope.spawn(move || ends.send(drained.ended()));
        let code = loop {
            if let Ok(code) = ended.try_recv() {
                break code;
            }
            line += 1;
            assert_eq!(pair.alice.says("bob", &format!("relay {relay} goes, {line}"), "60s"), Some(0));
        };
        assert_eq!(code, Some(0), "a relay that has drained ends well");
    });
}

/// Relays are drained and started again one by one, then servers are stopped and started again, each once the one before has
/// caught up: whoever talks meanwhile is moved to the others, and all of it is accepted, once and in order.
#[test]
fn a_rolling_restart_is_not_noticed() {
    let Some((mut cluster, folder)) = three() else { return };
    let mut pair = Pair::new(&cluster, &folder);
    let servers = cluster.nats.addresses().join(",");
    for relay in 0..3 {
        drained(&mut cluster, relay, &mut pair);
        cluster.relays[relay].restart();
        pair.exchange();
    }
    for node in 0..3 {
        cluster.nats.stop(node);
        pair.exchange();
        cluster.nats.restart(node);
        until("the server has caught up", || {
            let status = RelayProcess::program(&["cluster", "status", "--json", "--cluster", &servers]);
            let replicas = status.json().into_iter().filter_map(|line| line["replicas"].as_array().cloned());
            let mut replicas = replicas.flatten().peekable();
            let behind = |replica: &serde_json::Value| replica["offline"] == true || replica["current"] == false;
            (status.code == Some(0) && replicas.peek().is_some() && !replicas.any(|one| behind(&one))).then_some(())
        });
    }
    pair.ends();
}

/// All disks of a cluster are lost. Its relays begin again under their key with another store: people come back into it with
/// their names, and what was accepted and not yet heard is sent again.
#[test]
fn a_cluster_that_lost_everything_is_filled_again() {
    let Some((mut cluster, folder)) = three() else { return };
    let person = |name: &str| Person::registered(folder.path(), name, cluster.address());
    let (alice, bob) = (person("alice"), person("bob"));
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    assert_eq!(alice.receives(1), ["hello"]);
    let _ = alice.run(&["send", "bob", "accepted, and lost"]).expect(0);
    cluster.relays.iter_mut().for_each(RelayProcess::kill);
    (0..3).for_each(|node| cluster.nats.kill(node));
    (0..3).for_each(|node| cluster.nats.lose(node));
    (0..3).for_each(|node| cluster.nats.restart(node));
    cluster.relays.iter_mut().for_each(RelayProcess::restart);
    let mut heard = Vec::new();
    until("what was lost is there again", || {
        // Each comes back with their name, and sends again what nobody has confirmed.
        let _ = alice.run(&["recv", "--timeout", "5s"]).expect(0);
        let outcome = bob.json(&["recv", "--timeout", "5s"]);
        heard.extend(outcome.events("message").iter().map(|line| line["text"].clone()));
        (!heard.is_empty()).then_some(())
    });
    let _ = alice.run(&["send", "bob", "afterwards", "--timeout", "60s"]).expect(0);
    heard.extend(bob.receives(1).into_iter().map(Into::into));
    assert_eq!(heard, ["accepted, and lost", "afterwards"]);
}

const fn machine(host: &'static str, under: &'static [&'static str]) -> Machine {
    Machine { host, under }
}

/// Network namespaces, joined by a bridge in the one from which people come.
const MACHINES: &[Machine] = &[
    machine("10.77.0.1", &["ip", "netns", "exec", "m1"]),
    machine("10.77.0.2", &["ip", "netns", "exec", "m2"]),
    machine("10.77.0.3", &["ip", "netns", "exec", "m3"]),
];
/// Set where the namespaces have been entered.
const INSIDE: &str = "SEALPOST_INSIDE";

fn ip(words: &str) -> bool {
    Command::new("ip").args(words.split(' ')).status().is_ok_and(|status| status.success())
}

/// Whether a machine reaches the others.
fn link(machine: usize, state: &str) {
    assert!(ip(&format!("link set v{machine} {state}")), "a link can be set {state}");
}

/// Three machines with a server and a relay each. The one whose server leads is cut off, then all are cut off from each other:
/// once the cables are back people talk within ten seconds, and nothing is lost, doubled or out of order.
#[test]
fn a_partition_loses_nothing() {
    const NAME: &str = "live::healing::a_partition_loses_nothing";
    if std::env::var_os(INSIDE).is_none() {
        // Names of namespaces are files in /run: in one of its own.
        let within = |then: &str| {
            let mut command = Command::new("unshare");
            command.args(["--net", "--mount", "sh", "-c"]);
            command.arg(format!("mount -t tmpfs tmpfs /run && {then}"));
            command
        };
        let may = within("ip netns add m1 && ip link add type veth peer netns m1").output();
        if !may.is_ok_and(|may| may.status.success()) {
            return skip("partition", "netns");
        }
        if nats_server().is_none() {
            return skip("partition", "nats");
        }
        let mut inside = within("exec \"$0\" \"$@\"");
        inside.arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1");
        assert!(inside.status().unwrap().success(), "see above");
        return;
    }
    for words in ["link set lo up", "link add hub type bridge", "addr add 10.77.0.254/24 dev hub", "link set hub up"] {
        assert!(ip(words), "{words}");
    }
    for number in 1..=3 {
        for words in [
            format!("netns add m{number}"),
            format!("link add v{number} type veth peer name eth0 netns m{number}"),
            format!("link set v{number} master hub up"),
            format!("-n m{number} addr add 10.77.0.{number}/24 dev eth0"),
            format!("-n m{number} link set eth0 up"),
            format!("-n m{number} link set lo up"),
        ] {
            assert!(ip(&words), "{words}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_on(folder.path(), MACHINES).expect("it was looked for");
    let mut pair = Pair::new(&cluster, &folder);

    let leader = cluster.nats.leader("sealpost-mailbox") + 1;
    link(leader, "down");
    pair.alice_says("while a machine is cut off");
    pair.exchange();
    link(leader, "up");
    pair.healed(Instant::now(), "a machine was cut off");

    (1..=3).for_each(|machine| link(machine, "down"));
    assert_eq!(pair.alice.says("bob", "while all are", "10s"), Some(75));
    (1..=3).for_each(|machine| link(machine, "up"));
    pair.healed(Instant::now(), "all machines were cut off");
    pair.ends();
}
