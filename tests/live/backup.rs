//! A relay's backup, what is made of it, and what a relay knows.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;
use sealpost_tests::processes::{Outcome, RelayProcess, programs};

use super::Pair;

fn relay(arguments: &[&str]) -> Outcome {
    RelayProcess::program(arguments)
}

/// A relay that lost its folder and is restored from a backup that was taken while it ran has the same address; what was
/// in the backup is there, what came later is sent again, and nobody sees anything twice. [RELAY-20]
#[test]
fn a_restored_relay_loses_nothing() {
    let mut pair = Pair::acquainted();
    let Pair { relay: running, alice, bob, folder } = &mut pair;
    let data = running.data.to_str().unwrap().to_owned();
    let file = folder.path().join("relay.backup");
    let path = file.to_str().unwrap();
    let _ = alice.run(&["send", "bob", "before the backup"]).expect(0);
    let _ = relay(&["backup", path, "--data", &data]).expect(0);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = relay(&["backup", path, "--data", &data]).expect(1);
    assert!(refused.err.contains("is there already") && refused.err.contains("try: "), "{}", refused.err);
    let _ = alice.run(&["send", "bob", "after the backup"]).expect(0);
    let refused = relay(&["restore", path, "--data", &data]).expect(3);
    assert!(refused.err.contains("another relay is running"), "{}", refused.err);

    assert_eq!(running.stop(Signal::TERM), Some(0));
    let refused = relay(&["restore", path, "--data", &data]).expect(1);
    assert!(refused.err.contains("is not empty"), "{}", refused.err);
    std::fs::remove_dir_all(&running.data).unwrap();
    let _ = relay(&["restore", path, "--data", &data]).expect(0);
    running.restart();
    let _ = alice.run(&["send", "bob", "after the restore", "--timeout", "80s"]).expect(0);
    let mut heard = bob.receives(3);
    heard.sort();
    assert_eq!(heard, ["after the backup", "after the restore", "before the backup"]);
    let _ = bob.run(&["send", "alice", "all of it"]).expect(0);
    assert_eq!(alice.receives(1), ["all of it"]);
    let texts = bob.history("alice").len();
    assert_eq!(texts, 6, "two from before, three that came, one that went");
}

/// A backup goes through a pipe, is an archive that the usual tools read and check, and is refused where it was cut.
#[test]
fn a_backup_can_be_looked_at() {
    let pair = Pair::new();
    let data = pair.relay.data.to_str().unwrap();
    let backup = Command::new(&programs().relay).args(["backup", "-", "--data", data]).output().unwrap();
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let looked = pair.folder.path().join("looked");
    std::fs::create_dir(&looked).unwrap();
    let archive = pair.folder.path().join("relay.backup");
    std::fs::write(&archive, &backup.stdout).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(&looked).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run("tar", &["xf", archive.to_str().unwrap()]);
    let checked = run("sha256sum", &["-c", "SHA256SUMS"]);
    assert_eq!(checked, "README: OK\nrelay.key: OK\nrelay.db: OK\nmailboxes/0000000001: OK\n");
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    let empty = pair.folder.path().join("empty");
    let cut = relay(&["restore", archive.to_str().unwrap(), "--data", empty.to_str().unwrap()]).expect(1);
    assert!(cut.err.contains("too early") && cut.err.contains("try: "), "{}", cut.err);
}

/// An operator is shown what the relay stores of the people who are there, beside the relay that runs; nothing of it is
/// what they said to each other.
#[test]
fn a_relay_tells_what_it_knows() {
    let pair = Pair::new();
    let data = pair.relay.data.to_str().unwrap();
    let _ = pair.alice.run(&["send", "bob", "nobody-knows-this"]).expect(0);
    let shown = relay(&["what-i-know", "--data", data]).expect(0).out;
    assert!(shown.contains("row account: 2, ") && shown.contains("\"key\":\"alice\""), "{shown}");
    assert!(!shown.contains("nobody-knows-this"));
    let records = relay(&["what-i-know", "--json", "--data", data]).expect(0).json();
    let accounts = records.iter().find(|record| record["of"] == "row account" && record["record"] == "found").unwrap();
    assert_eq!((&accounts["v"], &accounts["count"]), (&1.into(), &2.into()));
    assert!(records.iter().any(|record| record["record"] == "field" && record["tells"].is_string()));
    let none = relay(&["what-i-know", "--data", "/nowhere"]).expect(1);
    assert!(none.err.contains("try: "), "{}", none.err);
}
