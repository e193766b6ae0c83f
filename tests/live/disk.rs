//! A disk that is full, or read-only, or fails: the relay refuses or stops, and what it accepted is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sealpost_tests::processes::{Outcome, Person, RelayProcess, finish, until};
use sealpost_tests::skip;

use super::Pair;

/// Whether this test may mount something where nobody else sees it.
pub(super) fn may_mount() -> bool {
    Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success())
}

/// A relay whose data folder is mounted by these shell commands, in a namespace of its own.
fn mounted(folder: &Path, mount: &str) -> [String; 5] {
    std::fs::create_dir_all(folder.join("relay")).unwrap();
    let script = format!("cd {} && {mount} && exec \"$0\" \"$@\"", folder.display());
    ["unshare", "-m", "sh", "-c", &script].map(ToOwned::to_owned)
}

/// Says lines to bob, each a message of its own; those whose text the relay has accepted.
pub(super) fn says(alice: &Person, texts: &[String]) -> (Outcome, BTreeSet<String>) {
    let lines: String = texts.iter().map(|text| format!("/dm bob {text}\n")).collect();
    let outcome = finish(alice.command(&["--json", "chat"]), &lines);
    let history = alice.json(&["history", "bob", "--limit", "100000"]).expect(0).events("message");
    let sent = history.iter().filter(|message| message["state"] == "sent");
    let sent = sent.map(|message| message["text"].as_str().unwrap().to_owned()).collect();
    (outcome, sent)
}

/// [BOX-3] A full disk refuses: what is not durable stays in its sender's outbox, nobody is told *sent* in vain, the relay
/// goes on, and once there is room everything arrives, each once and in order.
#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    if !may_mount() {
        return skip("full disk", "mount");
    }
    let folder = tempfile::tempdir().unwrap();
    let wrapper = mounted(folder.path(), "mount -t tmpfs -o size=2m,mode=0700 tmpfs relay");
    // They are strangers, and hundreds of proofs of work take minutes on a busy machine.
    let config = folder.path().join("relay.toml");
    std::fs::write(&config, "[work]\nfetch = 0\ndeliver = 0\n").unwrap();
    let options = ["--config", config.to_str().unwrap()];
    let relay = RelayProcess::start_under(folder.path(), &options, &wrapper.each_ref().map(String::as_str));
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let bob = Person::registered(folder.path(), "bob", &relay.address);
    let texts: Vec<String> = (0..250).map(|i| format!("line {i}")).collect();
    let (_, sent) = says(&alice, &texts);
    assert!(!sent.is_empty() && sent.len() < texts.len(), "{} of {} fit", sent.len(), texts.len());
    assert!(relay.logged().contains("full"), "the operator is told");

    let pid = relay.pid().to_string();
    let data = folder.path().join("relay");
    let mut room = Command::new("nsenter");
    room.args(["-t", &pid, "-m", "mount", "-o", "remount,size=64m"]).arg(&data);
    assert!(room.status().unwrap().success());
    let _ = alice.run(&["send", "bob", "afterwards", "--timeout", "80s"]).expect(0);
    let heard = bob.receives(texts.len() + 1);
    assert_eq!(heard[..texts.len()], texts, "each once, in order");
    assert_eq!(heard[texts.len()], "afterwards");
}

/// [BOX-3] A sync that fails stops the relay with exit 1: what the kernel has forgotten is never called accepted. After a start
/// on a sound disk everything arrives, each once and in order.
#[test]
fn a_failed_sync_stops_the_relay() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("failing sync", "strace");
    }
    let mut pair = Pair::acquainted();
    let Pair { relay, alice, bob, .. } = &mut pair;
    relay.kill();
    // The first ones belong to the start. As root, strace sees a process that lets nobody else look.
    let inject = "inject=fsync,fdatasync:error=EIO:when=20+";
    relay.under(&["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject]);
    relay.restart();
    let texts: Vec<String> = (0..100).map(|i| format!("line {i}")).collect();
    let (_, sent) = says(alice, &texts);
    assert_eq!(relay.ended(), Some(1), "{}", relay.logged());
    assert!(relay.logged().contains("a commit failed"), "{}", relay.logged());
    assert!(sent.len() < texts.len(), "{} were called sent", sent.len());

    relay.under(&[]);
    relay.restart();
    // What was accepted is there without its sender's help.
    let first = bob.receives(sent.len());
    assert!(first.iter().cloned().collect::<BTreeSet<_>>().is_superset(&sent), "{} of {}", first.len(), sent.len());
    let _ = alice.run(&["send", "bob", "afterwards", "--timeout", "80s"]).expect(0);
    let mut heard = first;
    until("everything arrives", || {
        heard.extend(bob.receives(0));
        (heard.len() > texts.len()).then_some(())
    });
    assert_eq!(heard[..texts.len()], texts, "each once, in order");
}

/// A folder that can't be written is exit 3 with advice, and not a relay that accepts into nowhere.
#[test]
fn a_read_only_folder_is_refused() {
    if !may_mount() {
        return skip("read-only folder", "mount");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start(folder.path());
    relay.kill();
    let wrapper = mounted(folder.path(), "mount --bind relay relay && mount -o remount,bind,ro relay");
    let mut command = Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).arg(&sealpost_tests::processes::programs().relay).arg("serve");
    let outcome = finish(
        {
            command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&relay.data);
            command
        },
        "",
    )
    .expect(3);
    assert!(outcome.out.is_empty(), "it says no address: {}", outcome.out);
    assert!(outcome.err.contains("Read-only file system") && outcome.err.contains("try: "), "{}", outcome.err);
}
