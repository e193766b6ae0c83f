//! Three relays that share what three NATS servers keep: people of different relays talk, and whatever dies, what was
//! accepted arrives once and in order.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use sealpost_tests::cluster::{Cluster, Run, run};
use sealpost_tests::processes::{Nats, Person, RelayProcess, Setup, until};
use sealpost_tests::skip;
use tempfile::TempDir;

/// Three servers and three relays, in a folder that goes with them; `None`, and said, where there is no NATS server.
fn three() -> Option<(Cluster, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(folder.path(), 3, 3);
    if cluster.is_none() {
        skip("cluster", "nats");
    }
    Some((cluster?, folder))
}

/// `cluster status --json`: its exit code and lines.
fn status(cluster: &Cluster) -> (Option<i32>, Vec<serde_json::Value>) {
    let servers = cluster.nats.addresses().join(",");
    let outcome = RelayProcess::program(&["cluster", "status", "--json", "--cluster", &servers]);
    (outcome.code, outcome.json())
}

/// A page of a relay's figures.
fn page(relay: &RelayProcess, path: &str) -> String {
    let log = relay.logged();
    let line = log.lines().rev().find_map(|line| line.split_once("the figures stand on port ")).unwrap();
    let port: u16 = line.1.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    text
}

/// People of three relays write to each other, in private and in a room, while both are there and while one is away; a name
/// is taken on all relays at once.
#[test]
fn people_of_different_relays_talk() {
    let Some((cluster, folder)) = three() else { return };
    let (alice, bob, carol) =
        (cluster.person("alice", Some(0)), cluster.person("bob", Some(1)), cluster.person("carol", Some(2)));
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let other = Person::new(&elsewhere, "alice");
    let _ = other.run(&["register", &cluster.address_of(1), "alice"]).expect(7);
    for person in [&bob, &carol] {
        let _ = person.run(&["join", "#lobby"]).expect(0);
    }
    let _ = alice.run(&["send", "bob", "while you are away"]).expect(0);
    let mut following = bob.follow();
    until("bob hears of it", || (following.message()["text"] == "while you are away").then_some(()));
    // Whoever was written to is no stranger, and gets receipts.
    let _ = bob.run(&["send", "alice", "I am back"]).expect(0);
    assert_eq!(alice.receives(1), ["I am back"]);
    let _ = alice.run(&["send", "bob", "are you there?", "--wait", "delivered"]).expect(0);
    assert_eq!(following.message()["text"], "are you there?");
    let _ = carol.run(&["send", "#lobby", "hello all"]).expect(0);
    until("bob hears the room", || (following.message()["text"] == "hello all").then_some(()));
    let ready = page(&cluster.relays[0], "/readyz");
    assert!(ready.contains("200 OK"), "{ready}");
    until("every server is known to sync before it answers", || {
        (!page(&cluster.relays[0], "/readyz").contains("warning")).then_some(())
    });
    let figures = page(&cluster.relays[0], "/metrics");
    for figure in ["sealpost_cluster_refusing 0", "sealpost_cluster_missing 0", "sealpost_cluster_unsynced 0"] {
        assert!(figures.contains(figure), "{figures}");
    }
    let (code, lines) = status(&cluster);
    let streams = lines.iter().filter(|line| line["leader"].is_string()).count();
    let relays = lines.iter().filter(|line| line["relay"].is_string()).count();
    assert_eq!((code, streams, relays), (Some(0), 4, 3), "{lines:?}");
}

/// What is decided at one relay holds at all of them at once: who is there is known everywhere, a link elsewhere ends when
/// its account is kicked or banned, and the banned come in nowhere. [RELAY-6] [RELAY-18]
#[test]
fn what_one_relay_decides_holds_at_all() {
    let Some((cluster, _folder)) = three() else { return };
    let (_alice, bob) = (cluster.person("alice", Some(0)), cluster.person("bob", Some(1)));
    let admin = |relay: usize, words: &[&str]| {
        let data = cluster.relays[relay].data.to_str().unwrap();
        RelayProcess::program(&[["admin"].as_slice(), words, &["--data", data]].concat())
    };
    let mut following = bob.follow();
    for relay in 0..3 {
        until("bob is online, as every relay knows", || {
            let users = admin(relay, &["users", "--json"]).expect(0).json();
            users.iter().any(|user| user["name"] == "bob" && user["online"] == true).then_some(())
        });
    }
    let kicked = admin(0, &["kick", "bob", "--reason", "too loud"]).expect(0);
    assert!(kicked.out.contains("the relay where they are is told"), "{}", kicked.out);
    assert!(following.event("error").to_string().contains("too loud"));
    drop(following);
    let mut following = bob.follow();
    until("bob is online again", || {
        let users = admin(2, &["users", "--json"]).expect(0).json();
        users.iter().any(|user| user["name"] == "bob" && user["online"] == true).then_some(())
    });
    let _ = admin(2, &["ban", "bob", "--reason", "spam"]).expect(0);
    assert!(following.event("error").to_string().contains("spam"));
    drop(following);
    let refused = bob.run(&["recv", "--timeout", "20s"]).expect(7);
    assert!(refused.err.contains("spam"), "{}", refused.err);
    let _ = admin(0, &["unban", "bob"]).expect(0);
    until("bob may come in again at his relay", || {
        (bob.run(&["recv", "--timeout", "1s"]).code == Some(0)).then_some(())
    });
}

/// Whatever dies, and with it every second line that is written: the leader of the mailboxes, a relay, most of the servers,
/// all of both. What waits to be written meanwhile is queued and said to be; afterwards everything is there once, in order.
#[test]
fn whatever_dies_nothing_is_lost_or_doubled() {
    let Some((mut cluster, _folder)) = three() else { return };
    let (alice, bob) = (cluster.person("alice", None), cluster.person("bob", None));
    let mut said = Vec::new();
    let mut say = |words: &str, code: i32| {
        let _ = alice.run(&["send", "bob", words, "--timeout", "60s"]).expect(code);
        said.push(words.to_owned());
    };
    say("before anything", 0);
    assert_eq!(bob.receives(1), ["before anything"]);
    let mut heard = vec!["before anything".to_owned()];

    let leader = cluster.nats.leader("sealpost-mailbox");
    cluster.nats.kill(leader);
    say("while a leader is elected", 0);
    cluster.nats.restart(leader);

    cluster.relays[0].kill();
    say("without the first relay", 0);
    cluster.relays[0].restart();
    cluster.relays[1].kill();
    say("without the second relay", 0);
    cluster.relays[1].restart();

    // One of three has no say.
    cluster.nats.kill(0);
    cluster.nats.kill(1);
    until("a relay says that it is not ready", || page(&cluster.relays[2], "/readyz").contains("503").then_some(()));
    let why = page(&cluster.relays[2], "/readyz");
    assert!(why.contains("the cluster can't be written"), "{why}");
    // Which servers are away is what the one that is left knows of them, and it misses them seconds later.
    until("the status says so, too", || (status(&cluster).0 == Some(1)).then_some(()));
    let outcome = alice.run(&["send", "bob", "without most servers", "--timeout", "5s"]);
    assert_eq!(outcome.code, Some(75), "{}{}", outcome.out, outcome.err);
    said.push("without most servers".to_owned());
    cluster.nats.restart(0);
    cluster.nats.restart(1);
    until("the relays are ready again", || {
        cluster.relays.iter().all(|relay| page(relay, "/readyz").contains("200 OK")).then_some(())
    });
    let _ = alice.run(&["send", "bob", "after it healed", "--timeout", "60s"]).expect(0);
    said.push("after it healed".to_owned());
    heard.extend(bob.receives(said.len() - 1));

    for relay in &mut cluster.relays {
        relay.kill();
    }
    (0..3).for_each(|node| cluster.nats.kill(node));
    (0..3).for_each(|node| cluster.nats.restart(node));
    cluster.relays.iter_mut().for_each(RelayProcess::restart);
    let _ = alice.run(&["send", "bob", "after all died", "--timeout", "60s"]).expect(0);
    said.push("after all died".to_owned());
    heard.extend(bob.receives(1));
    assert_eq!(heard, said);
    let shown: Vec<String> = bob.history("alice").into_iter().map(|(_, text)| text).collect();
    assert_eq!(shown, said, "each once, in order");
}

/// A relay comes into a cluster with the key that the others have, and with no other one; once the key is replaced it needs
/// the new one. [RELAY-1]
#[test]
fn relays_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nats) = Nats::start(folder.path(), 1, Setup { syncs: false, ..Setup::default() }) else {
        return skip("cluster", "nats");
    };
    let servers = nats.addresses().join(",");
    let home = |name: &str| {
        let home = folder.path().join(name);
        std::fs::create_dir_all(&home).unwrap();
        home
    };
    let one = ["SEALPOST_RELAY_CLUSTER__REPLICAS=1"];
    let start = |name: &str, key: Option<&Path>| {
        let mut options = vec!["--cluster", &servers];
        options.extend(key.iter().flat_map(|key| ["--key", key.to_str().unwrap()]));
        RelayProcess::start_at(&home(name), "127.0.0.1:0", &options, &["env", one[0]])
    };
    let serve = |name: &str, key: Option<&Path>| {
        let data = home(name).join("relay");
        let mut words = vec!["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
        words.extend(["--cluster", &servers]);
        words.extend(key.iter().flat_map(|key| ["--key", key.to_str().unwrap()]));
        RelayProcess::program_with(&one.map(|pair| pair.split_once('=').unwrap()), &words)
    };
    let mut first = start("first", None);
    let key = first.data.join("relay.key");
    let refused = serve("second", None).expect(2);
    assert!(refused.err.contains("the cluster's key is missing") && refused.err.contains("--key"), "{}", refused.err);
    assert!(!home("second").join("relay/relay.key").exists(), "and it made none");
    let second = start("second", Some(&key));
    let pin = |relay: &RelayProcess| relay.address.rsplit('/').next().unwrap().to_owned();
    assert_eq!(pin(&second), pin(&first));

    let alone = RelayProcess::start(&home("alone"));
    let other = alone.data.join("relay.key");
    let refused = serve("third", Some(&other)).expect(2);
    assert!(refused.err.contains("another relay's key"), "{}", refused.err);
    assert!(!home("third").join("relay/relay.key").exists(), "and it kept none");
    let refused = serve("second", Some(&other));
    assert_eq!(refused.code, Some(3), "its folder is in use: {}", refused.err);

    let replaced = RelayProcess::program_with(
        &one.map(|pair| pair.split_once('=').unwrap()),
        &["cluster", "replace-key", other.to_str().unwrap(), "--cluster", &servers],
    );
    let _ = replaced.expect(0);
    assert_eq!(first.ended(), Some(1), "{}", first.logged());
    assert!(first.logged().contains("key was replaced"), "{}", first.logged());
    let refused = serve("first", None).expect(2);
    assert!(refused.err.contains("another relay's key"), "{}", refused.err);
    let third = start("third", Some(&other));
    assert_eq!(pin(&third), pin(&alone));
}

/// A server that is too old is refused in words, before anything is asked of it, and so is a login that it does not take.
#[test]
fn servers_that_will_not_do_are_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            let info = r#"{"server_id":"X","server_name":"X","version":"2.9.10","go":"x","host":"x","port":1,
                "headers":true,"max_payload":1048576,"proto":1,"jetstream":true}"#;
            tcp.write_all(format!("INFO {}\r\n", info.replace('\n', "")).as_bytes()).unwrap();
            let mut bytes = [0; 4096];
            while tcp.read(&mut bytes).is_ok_and(|read| read > 0) {
                let _ = tcp.write_all(b"PONG\r\n");
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let serve = |cluster: &str| {
        RelayProcess::program(&[
            "serve",
            "--data",
            data.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--cluster",
            cluster,
        ])
    };
    let refused = serve(&address).expect(1);
    assert!(refused.err.contains("nats-server 2.9.10 is too old") && refused.err.contains("2.12"), "{}", refused.err);
    let refused = serve("nats://bob:secret@127.0.0.1").expect(2);
    assert!(refused.err.contains("cluster.password_file") && !refused.err.contains("secret"), "{}", refused.err);

    let setup = Setup { login: Some(("relay", "secret")), ..Setup::default() };
    let Some(nats) = Nats::start(folder.path(), 1, setup) else { return skip("cluster", "nats") };
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    let settings = format!(
        "env SEALPOST_RELAY_CLUSTER__REPLICAS=1 SEALPOST_RELAY_CLUSTER__USER=relay SEALPOST_RELAY_CLUSTER__PASSWORD_FILE={}",
        password.display()
    );
    let settings: Vec<&str> = settings.split(' ').collect();
    let relay = RelayProcess::start_at(folder.path(), "127.0.0.1:0", &["--cluster", &nats.addresses()[0]], &settings);
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let _ = alice.run(&["send", "alice", "a note"]).expect(0);
}

/// Relays reach servers over TLS, by a certificate that leads to what the operator names and by no other, and log in there.
#[test]
fn servers_are_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |words: &str| {
        let mut command = std::process::Command::new("openssl");
        command.current_dir(folder.path()).args(words.split(' ')).output().is_ok_and(|out| out.status.success())
    };
    std::fs::write(folder.path().join("leaf"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let made = ["ca", "other"]
        .iter()
        .all(|ca| openssl(&format!("{new} -x509 -keyout {ca}.key -out {ca}.pem -subj /CN={ca}")))
        && openssl(&format!("{new} -keyout server.key -out server.csr -subj /CN=server"))
        && openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -extfile leaf");
    if !made {
        return skip("cluster over TLS", "openssl");
    }
    let setup = Setup { tls: true, login: Some(("relay", "secret")), ..Setup::default() };
    let Some(nats) = Nats::start(folder.path(), 1, setup) else { return skip("cluster over TLS", "nats") };
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    std::fs::write(folder.path().join("wrong"), "guessed\n").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let servers = nats.addresses().join(",");
    let settings = |ca: &str, password: &str| {
        [
            ("SEALPOST_RELAY_CLUSTER__REPLICAS", "1".to_owned()),
            ("SEALPOST_RELAY_CLUSTER__USER", "relay".to_owned()),
            ("SEALPOST_RELAY_CLUSTER__PASSWORD_FILE", path(password)),
            ("SEALPOST_RELAY_CLUSTER__TLS_CA", path(ca)),
        ]
    };
    let good = settings("ca.pem", "password").map(|(name, value)| format!("{name}={value}"));
    let wrapper: Vec<&str> = ["env"].into_iter().chain(good.iter().map(String::as_str)).collect();
    let relay = RelayProcess::start_at(folder.path(), "127.0.0.1:0", &["--cluster", &servers], &wrapper);
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let _ = alice.run(&["send", "alice", "a note"]).expect(0);
    for (ca, password, code) in [("ca.pem", "password", 0), ("other.pem", "password", 1), ("ca.pem", "wrong", 1)] {
        let settings = settings(ca, password);
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let status = RelayProcess::program_with(&settings, &["cluster", "status", "--cluster", &servers]);
        assert_eq!(status.code, Some(code), "{ca}, {password}: {}{}", status.out, status.err);
    }
}

/// What the examples hand to a NATS server and to an init system is what those take.
#[test]
fn the_examples_are_taken() {
    let Some(server) = sealpost_tests::processes::nats_server() else { return skip("cluster examples", "nats") };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../relay/dist/cluster");
    for conf in ["nats.conf", "compose.conf"] {
        let mut command = std::process::Command::new(&server);
        command.env("RELAY_PASSWORD", "secret").arg("-t").arg("-c").arg(examples.join(conf));
        let outcome = command.output().unwrap();
        assert!(outcome.status.success(), "{conf}: {}", String::from_utf8_lossy(&outcome.stderr));
    }
    let mut analyze = std::process::Command::new("systemd-analyze");
    if !analyze.arg("--version").output().is_ok_and(|out| out.status.success()) {
        return skip("cluster units", "systemd-analyze");
    }
    // Copies that name programs which are here: all else is looked at as it stands.
    let folder = tempfile::tempdir().unwrap();
    for unit in ["nats-server.service", "sealpost-drain.service", "sealpost-relay-cluster.service"] {
        let text = std::fs::read_to_string(examples.join(unit)).unwrap();
        let relay = sealpost_tests::processes::programs().relay.display().to_string();
        let text = text.replace("/usr/bin/nats-server", &server.display().to_string());
        std::fs::write(folder.path().join(unit), text.replace("/usr/bin/sealpost-relay", &relay)).unwrap();
        let mut analyze = std::process::Command::new("systemd-analyze");
        let outcome = analyze.args(["verify", "--man=no"]).arg(folder.path().join(unit)).output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success() && !said.contains(unit), "{unit}: {said}");
    }
}

/// What a relay alone has goes into a cluster, and out of it again, under one address: who was away finds what waits, people go
/// on where they were, and nothing is copied over something else.
#[test]
fn a_store_moves_into_a_cluster_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(nats) = Nats::start(folder.path(), 1, Setup { syncs: false, ..Setup::default() }) else {
        return skip("cluster", "nats");
    };
    let servers = nats.addresses().join(",");
    let environment = [("SEALPOST_RELAY_CLUSTER__REPLICAS", "1")];
    let mut alone = RelayProcess::start(folder.path());
    let alice = Person::registered(folder.path(), "alice", &alone.address);
    let bob = Person::registered(folder.path(), "bob", &alone.address);
    let file = folder.path().join("a file");
    std::fs::write(&file, vec![7; 300_000]).unwrap();
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    assert_eq!(alice.receives(1), ["hello"]);
    let _ = alice.run(&["send", "bob", "before it moved"]).expect(0);
    let _ = alice.run(&["send", "bob", "-f", file.to_str().unwrap()]).expect(0);
    let socket = alone.socket();
    let data = alone.data.to_str().unwrap().to_owned();
    let migrate = |to: &str, data: &str, more: &[&str]| {
        let words = [["migrate", to, "--data", data, "--cluster", &servers].as_slice(), more].concat();
        RelayProcess::program_with(&environment, &words)
    };
    assert_eq!(migrate("cluster", &data, &[]).code, Some(3), "the relay runs");
    assert_eq!(alone.stop(rustix::process::Signal::TERM), Some(0));
    let moved = migrate("cluster", &data, &[]).expect(0);
    assert!(moved.out.starts_with("copied: ") && !moved.out.contains(" 0 parts"), "{}", moved.out);

    let home = folder.path().join("shared");
    std::fs::create_dir_all(&home).unwrap();
    let key = format!("{data}/relay.key");
    let replicas = format!("{}={}", environment[0].0, environment[0].1);
    let options = ["--cluster", &servers, "--key", &key];
    let mut shared = RelayProcess::start_at(&home, &socket, &options, &["env", &replicas]);
    assert_eq!(shared.address, alone.address);
    let (mut texts, mut offered) = (Vec::new(), None);
    until("bob has what waited for him", || {
        let outcome = bob.json(&["recv", "--timeout", "20s"]).expect(0);
        texts.extend(outcome.events("message").iter().map(|line| line["text"].clone()));
        offered = outcome.events("file").pop().map(|file| file["id"].clone()).or(offered.take());
        (!texts.is_empty() && offered.is_some()).then_some(())
    });
    assert_eq!(texts, ["before it moved"]);
    let got = folder.path().join("got");
    let id = offered.unwrap();
    let _ = bob.run(&["get", id.as_str().unwrap(), "-o", got.to_str().unwrap()]).expect(0);
    assert_eq!(std::fs::read(&got).unwrap(), vec![7; 300_000]);
    let _ = bob.run(&["send", "alice", "after it moved"]).expect(0);
    assert_eq!(shared.stop(rustix::process::Signal::TERM), Some(0));

    let back = folder.path().join("back/relay");
    std::fs::create_dir_all(back.parent().unwrap()).unwrap();
    let refused = migrate("folder", back.to_str().unwrap(), &["--key", &key]);
    assert!(refused.code == Some(1) && refused.err.contains("stop them"), "{}", refused.err);
    until("no relay is there any more", || {
        let moved = migrate("folder", back.to_str().unwrap(), &["--key", &key]);
        (moved.code == Some(0)).then_some(())
    });
    let again = RelayProcess::start_at(&folder.path().join("back"), &socket, &[], &[]);
    assert_eq!(again.address, alone.address);
    let _ = bob.run(&["send", "alice", "and back"]).expect(0);
    assert_eq!(alice.receives(2), ["after it moved", "and back"]);
}

/// A cluster is backed up while its relays serve it: what was accepted before is in it, and a relay made of it has the same
/// address. What it knows is asked of a cluster like of a folder. [RELAY-20]
#[test]
fn a_cluster_is_backed_up_and_looked_into() {
    let Some((mut cluster, folder)) = three() else { return };
    let (alice, bob) = (cluster.person("alice", Some(0)), cluster.person("bob", Some(1)));
    let _ = alice.run(&["send", "bob", "before the backup"]).expect(0);
    let servers = cluster.nats.addresses().join(",");
    let data = cluster.relays[2].data.display().to_string();
    let file = folder.path().join("cluster.backup");
    let asked = |words: &[&str]| RelayProcess::program(&[words, &["--data", &data, "--cluster", &servers]].concat());
    let _ = asked(&["backup", file.to_str().unwrap()]).expect(0);
    let again = asked(&["backup", file.to_str().unwrap()]);
    assert!(again.code == Some(1) && again.err.contains("replaces nothing"), "{}", again.err);
    let known = asked(&["what-i-know"]).expect(0);
    assert!(known.out.contains("stream mailbox: 1, ") && known.out.contains("row account: 2"), "{}", known.out);
    assert!(!known.out.contains("table entry") && !known.out.contains("relay.db"), "{}", known.out);
    let restored = folder.path().join("restored/relay");
    std::fs::create_dir_all(restored.parent().unwrap()).unwrap();
    let words = ["restore", file.to_str().unwrap(), "--data", restored.to_str().unwrap()];
    let _ = RelayProcess::program(&words).expect(0);
    let socket = cluster.relays[0].socket();
    let port = socket.rsplit(':').next().unwrap();
    cluster.relays.iter_mut().for_each(RelayProcess::kill);
    let listen = format!("127.0.0.2:{port}");
    let alone = RelayProcess::start_at(restored.parent().unwrap(), &listen, &["--host", "127.0.0.2"], &[]);
    assert_eq!(alone.address, cluster.address_of(1));
    assert_eq!(bob.receives(1), ["before the backup"]);
}

/// The long run, in short: two people write to two others while servers and relays are killed, and all of it arrives once, in
/// order. The whole of it is `cargo run -p sealpost-tests --bin cluster`.
#[test]
fn people_talk_while_servers_and_relays_die() {
    let folder = tempfile::tempdir().unwrap();
    let (time, every) = (Duration::from_secs(45), Duration::from_secs(15));
    let pace = Duration::from_secs(1);
    let Some(report) = run(folder.path(), Run { pairs: 2, time, every, seed: 7, pace }) else {
        return skip("cluster", "nats");
    };
    println!("{report}");
    assert!(report.holds() && report.said > 0, "{report}");
}
