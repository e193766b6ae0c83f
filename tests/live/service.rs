//! What a service manager and its operator do to a relay that runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;
use sealpost_tests::processes::{Following, PATIENCE, Person, RelayProcess, programs, signal, until};

use super::Pair;

/// A page of the relay's figures: its status line, and all of it.
pub(super) fn page(relay: &RelayProcess, path: &str) -> (String, String) {
    let port = until("the figures stand somewhere", || {
        let log = relay.logged();
        let line = log.lines().rev().find_map(|line| line.split_once("the figures stand on port "))?;
        line.1.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u16>().ok()
    });
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    (text.lines().next().unwrap_or_default().to_owned(), text)
}

fn drain(relay: &RelayProcess) {
    let data = relay.data.to_str().unwrap();
    let _ = RelayProcess::program(&["drain", "--data", data]).expect(0);
}

/// How many are logged in, and whether it drains.
fn status(relay: &RelayProcess) -> (serde_json::Value, serde_json::Value) {
    let data = relay.data.to_str().unwrap();
    let shown = RelayProcess::program(&["admin", "status", "--json", "--data", data]).expect(0).json().remove(0);
    (shown["authenticated_links"].clone(), shown["draining"].clone())
}

/// The figures count what happened and name nobody; a relay that drains is alive and not ready, says why, and is ready
/// again once it is reopened.
#[test]
fn a_relay_shows_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start_under(
        folder.path(),
        &["--metrics", "127.0.0.1:0"],
        &["env", "SEALPOST_RELAY_DRAIN_MS=600000"],
    );
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let bob = Person::registered(folder.path(), "bob", &relay.address);
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    let figures = page(&relay, "/metrics").1;
    let value = |name: &str| {
        let line = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {figures}")).parse::<f64>().unwrap()
    };
    assert!(value("sealpost_handshakes_ended_total{how=\"done\"}") >= 3.0);
    for counted in
        ["deliveries_total", "accepted_seconds_count", "requests_total{kind=\"deliver\"}", "commit_seconds_count"]
    {
        assert!(value(&format!("sealpost_{counted}")) >= 1.0, "{counted}: {figures}");
    }
    assert!(value("sealpost_received_bytes_total") > 6144.0 && value("sealpost_mailbox_bytes") > 6144.0, "{figures}");
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_open_fds") > 5.0);
    for name in ["alice", "bob", "lobby"] {
        assert!(!figures.contains(name), "{name} in {figures}");
    }
    assert_eq!(page(&relay, "/healthz").0, "HTTP/1.1 200 OK");
    assert_eq!(page(&relay, "/readyz").0, "HTTP/1.1 200 OK");

    let following: Vec<Following> = [&alice, &bob].map(Person::follow).into_iter().collect();
    until("both are there", || (status(&relay) == (2.into(), false.into())).then_some(()));
    drain(&relay);
    let (line, text) = page(&relay, "/readyz");
    assert!(line.contains("503") && text.contains("the relay drains"), "{text}");
    assert_eq!(page(&relay, "/healthz").0, "HTTP/1.1 200 OK");
    let _ = RelayProcess::program(&["admin", "reopen", "--data", relay.data.to_str().unwrap()]).expect(0);
    assert_eq!(page(&relay, "/readyz").0, "HTTP/1.1 200 OK");
    let _ = alice.run(&["send", "bob", "again"]).expect(0);
    drop(following);
    assert_eq!(relay.stop(Signal::TERM), Some(0));
}

/// [BOX-3] Drains and restarts, by command and by signal, while people talk: every message arrives once, in order, and
/// the relay ends by itself with exit 0 each time.
#[test]
fn a_drain_and_a_restart_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let wrapper = ["env", "SEALPOST_RELAY_DRAIN_MS=200"];
    let mut relay = RelayProcess::start_under(folder.path(), &[], &wrapper);
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let bob = Person::registered(folder.path(), "bob", &relay.address);
    // Who knows whom confirms what came.
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    assert_eq!(alice.receives(1), ["hello"]);
    let mut chat = Following::start(alice.command(&["--json", "chat"]));
    let mut following = bob.follow();
    let mut said = 0;
    for restart in 0..3 {
        until("both are there", || (status(&relay) == (2.into(), false.into())).then_some(()));
        for _ in 0..10 {
            writeln!(chat.stdin(), "/dm bob line {said}").unwrap();
            said += 1;
        }
        // Some are on their way when it begins.
        let _ = following.message();
        match restart {
            0 => drain(&relay),
            _ => signal(relay.pid(), Signal::USR2),
        }
        writeln!(chat.stdin(), "/dm bob line {said}").unwrap();
        said += 1;
        assert_eq!(relay.ended(), Some(0), "{}", relay.logged());
        relay.restart();
    }
    (0..said).for_each(|_| drop(chat.lines.until(|line| line.contains("\"event\":\"queued\""))));
    let _ = alice.run(&["send", "bob", "the end", "--wait", "delivered", "--timeout", "80s"]).expect(0);
    while following.message()["text"] != "the end" {}
    let texts: Vec<String> = bob.history("alice").into_iter().map(|(_, text)| text).collect();
    let mut expected: Vec<String> = (0..said).map(|i| format!("line {i}")).collect();
    expected.push("the end".to_owned());
    assert_eq!(texts[2..], expected);
}

/// HUP takes over what may change at run time, says what takes a restart, and keeps the old values where the new file
/// makes no sense, naming key and source.
#[test]
fn a_configuration_is_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("relay.toml");
    std::fs::write(&config, "register = 'open'\n").unwrap();
    let mut relay = RelayProcess::start_with(folder.path(), &["--config", config.to_str().unwrap()]);
    let _ = Person::registered(folder.path(), "alice", &relay.address);
    let reload = |relay: &RelayProcess, text: &str, says: &str| {
        std::fs::write(&config, text).unwrap();
        signal(relay.pid(), Signal::HUP);
        until(&format!("the log says {says}"), || relay.logged().contains(says).then_some(()));
    };
    reload(&relay, "register = 'closed'\nmetrics = '127.0.0.1:1'\n", "register changed");
    assert!(relay.logged().contains("takes a restart: metrics"), "{}", relay.logged());
    let bob = Person::new(folder.path(), "bob");
    let _ = bob.run(&["register", &relay.address, "bob"]).expect(7);
    reload(&relay, "registre = 'open'\n", "did you mean register?");
    assert!(relay.logged().contains(config.to_str().unwrap()), "{}", relay.logged());
    let _ = bob.run(&["register", &relay.address, "bob"]).expect(7);
    reload(&relay, "[log]\nlevel = 'debug'\n", "log.level, register changed");
    let _ = bob.run(&["register", &relay.address, "bob"]).expect(0);
    assert_eq!(relay.stop(Signal::TERM), Some(0));
}

/// A relay shut in by Landlock opens no file but its own, not even where its configuration has become a link to another.
#[test]
fn a_relay_opens_no_file_but_its_own() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = folder.path().join("relay.toml");
    std::fs::write(&config, "register = 'open'\n").unwrap();
    let mut relay = RelayProcess::start_with(folder.path(), &["--config", config.to_str().unwrap()]);
    if relay.logged().contains("no Landlock") {
        return sealpost_tests::skip("landlock", "Landlock");
    }
    let other = elsewhere.path().join("other.toml");
    std::fs::write(&other, "register = 'closed'\n").unwrap();
    std::fs::remove_file(&config).unwrap();
    std::os::unix::fs::symlink(&other, &config).unwrap();
    signal(relay.pid(), Signal::HUP);
    until("it may not", || relay.logged().contains("so the old one holds").then_some(()));
    assert!(relay.logged().to_lowercase().contains("permission denied"), "{}", relay.logged());
    let _ = Person::registered(folder.path(), "alice", &relay.address);
    assert_eq!(relay.stop(Signal::TERM), Some(0));
}

/// systemd hears when the relay is ready, that it is alive, that it reloads and when, and that it stops.
#[test]
fn systemd_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = format!("NOTIFY_SOCKET={}", path.display());
    let mut relay = RelayProcess::start_under(folder.path(), &[], &["env", &address, "WATCHDOG_USEC=400000"]);
    let hear = |wanted: &str| loop {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if said.lines().any(|line| line == wanted) {
            return said;
        }
    };
    assert!(hear("READY=1").contains("STATUS=serving"));
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    signal(relay.pid(), Signal::HUP);
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    let end = std::thread::spawn(move || relay.stop(Signal::TERM));
    hear("STOPPING=1");
    assert_eq!(end.join().unwrap(), Some(0));
}

/// A socket that systemd holds is the relay's port: who connects before the relay runs is served by it.
#[test]
fn a_socket_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen={free}")).arg(&programs().relay).args(["serve", "--data"]);
    command.arg(folder.path().join("relay"));
    if Command::new("systemd-socket-activate").arg("--version").output().is_err() {
        return sealpost_tests::skip("socket-activation", "systemd-socket-activate");
    }
    let mut relay = Following::start(command);
    // The first who connects makes it start.
    let _first = until("the port is there", || TcpStream::connect(free).ok());
    let address = relay.lines.next_line().unwrap();
    assert!(address.starts_with(&format!("sealpost://{free}/")), "{address}");
    let _ = Person::registered(folder.path(), "alice", &address);
    signal(relay.pid(), Signal::TERM);
}

/// A port for the figures that others could reach is refused, unless that is what the operator wants.
#[test]
fn figures_are_nobody_elses_business() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let arguments = ["serve", "--metrics", "0.0.0.0:0", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let outcome = RelayProcess::program(&arguments).expect(2);
    assert!(outcome.err.contains("metrics") && outcome.err.contains("try: "), "{}", outcome.err);
    let allowed = ["env", "SEALPOST_RELAY_METRICS_PUBLIC=true"];
    let relay = RelayProcess::start_under(folder.path(), &["--metrics", "0.0.0.0:0"], &allowed);
    assert_eq!(page(&relay, "/healthz").0, "HTTP/1.1 200 OK");
}

/// Nothing in the log at its default level names a person, an address, a key, a mailbox or a room, whatever they do and
/// whatever is done to them, as text and as JSON.
#[test]
fn the_log_names_nobody() {
    let mut pair = Pair::acquainted();
    let Pair { relay, alice, bob, folder } = &mut pair;
    let everything = |relay: &RelayProcess| {
        let _ = alice.run(&["join", "#marked-room"]).expect(0);
        let _ = alice.run(&["send", "#marked-room", "a marked post"]).expect(0);
        let _ = alice.run(&["send", "bob", "a marked message"]).expect(0);
        let mut following = bob.follow();
        let _ = following.message();
        let data = relay.data.to_str().unwrap();
        let _ =
            RelayProcess::program(&["admin", "kick", "bob", "--reason", "a marked reason", "--data", data]).expect(0);
        let _ = alice.run(&["whois", "nobody-marked"]);
        let _ = TcpStream::connect(relay.socket()).unwrap().write_all(b"garbage");
        let _ = Person::new(folder.path(), "mallory").run(&["register", &relay.address, "al1ce"]);
        let told = relay.logged().matches("was read again").count();
        signal(relay.pid(), Signal::HUP);
        // Of two signals that wait for it, the relay may take the end first.
        until("it is read again", || (relay.logged().matches("was read again").count() > told).then_some(()));
    };
    everything(relay);
    assert_eq!(relay.stop(Signal::TERM), Some(0));
    let text = relay.logged();
    relay.under(&["env", "SEALPOST_RELAY_LOG__FORMAT=json"]);
    relay.restart();
    everything(relay);
    assert_eq!(relay.stop(Signal::TERM), Some(0));
    let lines = relay.logged().split_off(text.len());
    assert!(lines.lines().count() > 3);
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["timestamp"].is_string() && line["message"].is_string(), "{line}");
    }
    let me = alice.run(&["me"]).expect(0).out;
    let keys = me.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 16);
    let markers = ["alice", "bob", "al1ce", "mallory", "marked", "127.0.0.1"].into_iter().chain(keys);
    for marker in markers {
        for log in [&text, &lines] {
            assert!(!log.contains(marker), "{marker} in {log}");
        }
    }
}

/// Connections to the figures that say nothing keep nobody from the relay, and are gone with who made them.
#[test]
fn probes_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_with(folder.path(), &["--metrics", "127.0.0.1:0"]);
    let _ = page(&relay, "/healthz");
    let port =
        relay.logged().split_once("figures stand on port ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let silent: Vec<_> = (0..64).filter_map(|_| TcpStream::connect(format!("127.0.0.1:{port}")).ok()).collect();
    let _ = Person::registered(folder.path(), "alice", &relay.address);
    drop(silent);
    assert_eq!(page(&relay, "/healthz").0, "HTTP/1.1 200 OK");
}
