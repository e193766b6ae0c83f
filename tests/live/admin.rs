//! What an operator does to a relay that runs, and what people see of it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use sealpost_tests::processes::{Outcome, RelayProcess, finish, programs, until};
use serde_json::Value;

use super::Pair;

/// `sealpost-relay admin ...` for this relay.
fn admin(relay: &RelayProcess, arguments: &[&str]) -> Outcome {
    let mut all = vec!["admin"];
    all.extend(arguments);
    all.extend(["--data", relay.data.to_str().unwrap()]);
    RelayProcess::program(&all)
}

/// The records of an answer.
fn records(relay: &RelayProcess, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["--json"];
    all.extend(arguments);
    admin(relay, &all).expect(0).json()
}

/// An operator sees how the relay is and who is there; without a relay there is an error that says what to do.
#[test]
fn a_relay_tells_how_it_is() {
    let mut pair = Pair::new();
    let _ = pair.alice.run(&["send", "bob", "hello"]).expect(0);
    let status = &records(&pair.relay, &["status"])[0];
    assert_eq!((&status["record"], &status["accounts"], &status["waiting"]), (&"status".into(), &2.into(), &1.into()));
    let shown = admin(&pair.relay, &["status"]).expect(0).out;
    assert!(shown.contains("waiting    1 envelope in 6152 B"), "{shown}");
    let users = records(&pair.relay, &["users"]);
    let waiting: Vec<_> = users.iter().map(|user| (&user["name"], &user["waiting"])).collect();
    assert_eq!(waiting, [(&"alice".into(), &0.into()), (&"bob".into(), &1.into())]);
    pair.relay.stop(rustix::process::Signal::TERM);
    let outcome = admin(&pair.relay, &["status"]).expect(1);
    assert!(outcome.err.contains("error: no relay runs here") && outcome.err.contains("\ntry: "), "{}", outcome.err);
    // A killed one leaves its socket behind, which is in nobody's way.
    pair.relay.restart();
    pair.relay.kill();
    pair.relay.restart();
    let _ = admin(&pair.relay, &["status"]).expect(0);
}

/// Who is kicked sees the reason, with exit 7, stays away by itself, and comes back by command.
#[test]
fn a_kicked_client_sees_the_reason() {
    let pair = Pair::acquainted();
    let mut bob = pair.bob.follow();
    until("bob is online", || records(&pair.relay, &["users"])[1]["online"].as_bool().filter(|online| *online));
    let done = admin(&pair.relay, &["kick", "bob", "--reason", "too loud"]).expect(0);
    assert_eq!(done.out, "bob: 1 link ended\n");
    let line = bob.lines.until(|line| line.contains("\"event\":\"error\""));
    let error: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&error["code"], &error["exit"]), (&"refused".into(), &7.into()), "{line}");
    assert!(line.contains("too loud"), "{line}");
    assert!(std::iter::from_fn(|| bob.lines.next_line()).all(|line| !line.contains("\"online\":true")), "it ended");
    let _ = pair.alice.run(&["send", "bob", "are you there?"]).expect(0);
    assert_eq!(pair.bob.receives(1), ["are you there?"]);
    let outcome = admin(&pair.relay, &["kick", "bob"]).expect(1);
    assert!(outcome.err.contains("bob is not connected"), "{}", outcome.err);
    let log = pair.relay.logged();
    assert!(log.contains("kick") && !log.contains("bob") && !log.contains("too loud"), "{log}");
}

/// Another user of the machine can't ask: not past the folder's mode, and not where somebody has opened folder and
/// socket to all.
#[test]
fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return sealpost_tests::skip("another_user", "root");
    }
    let pair = Pair::new();
    let open = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // The program stands where the other user can reach it.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sealpost-relay");
    std::fs::copy(&programs().relay, &program).unwrap();
    open(folder.path(), 0o755);
    open(pair.folder.path(), 0o755);
    let as_nobody = |mut command: Command| {
        command.uid(65_534).gid(65_534).current_dir("/");
        finish(command, "")
    };
    let status = || {
        let mut command = Command::new(&program);
        command.args(["admin", "status", "--data"]).arg(&pair.relay.data);
        as_nobody(command)
    };
    let outcome = status().expect(3);
    assert!(outcome.err.contains("Permission denied") && outcome.err.contains("sudo -u"), "{}", outcome.err);
    let socket = pair.relay.data.join("relay.sock");
    open(&pair.relay.data, 0o755);
    open(&socket, 0o666);
    let outcome = status().expect(3);
    assert!(outcome.err.contains("its mode is 666"), "{}", outcome.err);
    // What does not look at modes is told by the relay itself.
    let talk = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(4096))";
    let mut python = Command::new("python3");
    python.args(["-c", talk]).arg(&socket);
    let outcome = as_nobody(python).expect(0);
    assert!(outcome.out.contains("only its own user and root may"), "{}", outcome.out);
}
