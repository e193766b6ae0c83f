//! What scripts rely on: the first line, the exit codes, the words of an error.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use sealpost_spec::relay::Address;

fn relay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost-relay"));
    command.stdin(Stdio::null()).env_clear();
    command
}

/// A relay at work; killed when a test leaves it behind.
struct Running(Child, Address);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path) -> Running {
    let mut child = relay()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.parse().unwrap();
    Running(child, address)
}

impl Running {
    /// Asks it to stop, as an init system does.
    fn terminate(self) -> (Option<i32>, String) {
        self.end(rustix::process::Signal::TERM)
    }

    fn end(mut self, signal: rustix::process::Signal) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
        let mut rest = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        (self.0.wait().unwrap().code(), rest)
    }
}

/// The exit code, and that the error has its three lines.
fn fails(output: &Output) -> Option<i32> {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = ["error: ", "cause: ", "try: "];
    assert!(lines.iter().all(|line| text.lines().any(|printed| printed.starts_with(line))), "{text}");
    assert!(output.stdout.is_empty());
    output.status.code()
}

/// The address alone is the first line, and stays after a restart, a killed process and a lost store.
#[test]
fn the_address_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = serve(&data);
    let address = first.1.clone();
    assert_eq!(first.terminate(), (Some(0), String::new()));
    drop(serve(&data));
    for file in ["relay.db", "relay.db-wal", "relay.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    let again = serve(&data);
    assert_eq!((&again.1.hosts, again.1.pin), (&address.hosts, address.pin));
    let shown = relay().args(["address", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let (line, code) = shown.split_once('\n').unwrap();
    assert_eq!(line, again.1.to_string());
    assert!(code.contains('█'), "and its QR code");
}

/// 2 for a configuration that makes no sense, 3 for what is taken or open to others, 4 for data of a newer version.
#[test]
fn failures_have_their_codes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let attempt = |change: &dyn Fn(&mut Command)| {
        let mut command = relay();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        change(&mut command);
        command.output().unwrap()
    };
    let running = serve(&data);
    assert_eq!(fails(&attempt(&|_| {})), Some(3), "another relay runs in the folder");
    let other = folder.path().join("other");
    let taken = format!("127.0.0.1:{}", running.1.port);
    let port = relay().args(["serve", "--listen", &taken, "--data"]).arg(&other).output().unwrap();
    assert_eq!(fails(&port), Some(3), "the port is taken");
    assert_eq!(running.terminate().0, Some(0));
    assert_eq!(fails(&attempt(&|command| _ = command.env("SEALPOST_RELAY_LISTN", "x"))), Some(2));
    assert_eq!(fails(&attempt(&|command| _ = command.args(["--config", "/nowhere"]))), Some(2));
    let unknown = relay().args(["serve", "--lisen", "x"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let store = rusqlite::Connection::open(data.join("relay.db")).unwrap();
    store.pragma_update(None, "user_version", 1_000).unwrap();
    drop(store);
    assert_eq!(fails(&attempt(&|_| {})), Some(4), "a newer version wrote it");
    let none = relay().args(["address", "--data"]).arg(folder.path().join("none")).output().unwrap();
    assert_eq!(fails(&none), Some(1));
}

/// The demo prints its commands after the address, and leaves nothing behind, however it is stopped: a closed terminal
/// included.
#[test]
fn the_demo_leaves_nothing_behind() {
    use rustix::process::Signal;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = relay()
            .args(["serve", "--demo"])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.parse::<Address>().is_ok(), "{line}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let address = line.parse().unwrap();
        let (code, text) = Running(child, address).end(signal);
        assert_eq!(code, Some(0), "{signal:?}");
        assert!(text.contains(&format!("register {} alice", line.trim())) && text.contains("bob.passphrase chat"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
