//! Processes that die at the worst moment, power that goes, and descriptors that run out: what was accepted is there, each
//! once and in order.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use sealpost_tests::processes::{Outcome, Person, RelayProcess, finish, programs, signal, under, until};
use sealpost_tests::skip;

use super::Pair;
use super::disk::{may_mount, says};

/// strace, which as root sees a process that lets nobody else look, and lets it be the child of who started it.
const STRACE: [&str; 7] = ["strace", "-D", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"];

/// Kills whoever runs under it in its `nth` sync, which is never made.
fn dies_in_sync(nth: usize) -> Vec<String> {
    let inject = format!("inject=fsync,fdatasync:signal=KILL:when={nth}");
    STRACE.iter().copied().chain(["/dev/null", "-e", &inject]).map(ToOwned::to_owned).collect()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn has_strace(what: &str) -> bool {
    let there = Command::new("strace").arg("-V").output().is_ok();
    if !there {
        skip(what, "strace");
    }
    there
}

/// [BOX-3] [THREAT-16] a relay is killed in each of the syncs of its start, and in the first ones of what it accepts: it starts
/// again by itself, and what it had accepted is there, each once and in order.
#[test]
fn a_relay_that_is_killed_in_any_sync_loses_nothing() {
    if !has_strace("killed in a sync") {
        return;
    }
    let mut pair = Pair::acquainted();
    let Pair { relay, alice, bob, folder } = &mut pair;
    // How many there are until it is ready.
    relay.kill();
    let syncs = folder.path().join("syncs");
    let path = syncs.to_str().unwrap();
    relay.under(&STRACE.iter().copied().chain([path]).collect::<Vec<_>>());
    relay.restart();
    let start = std::fs::read_to_string(&syncs).unwrap().lines().filter(|line| line.contains("sync(")).count();
    relay.kill();
    let mut killed = 0;
    for nth in 1..=start {
        let mut command = Command::new(&programs().relay);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&relay.data);
        // Each thread counts for itself, so that the last ones may never come.
        let mut wrapper = vec!["timeout".to_owned(), "10".to_owned()];
        wrapper.extend(dies_in_sync(nth));
        killed += usize::from(finish(under(&wrapper, &command), "").code != Some(124));
    }
    assert!(killed >= 1, "none of {start} was killed while it started");
    relay.under(&[]);
    relay.restart();
    let mut said = Vec::new();
    let mut heard = Vec::new();
    let mut killed = 0;
    for round in 0..12 {
        let mut tracer = kills_in_sync(relay, 1 + round % 3);
        let texts: Vec<String> = (0..15).map(|i| format!("{round}.{i}")).collect();
        let (_, sent) = says(alice, &texts);
        killed += usize::from(until_ended(relay));
        let _ = tracer.wait();
        said.extend(texts);
        relay.restart();
        // What was accepted is there without its sender's help.
        let new = bob.receives(sent.iter().filter(|text| text.starts_with(&format!("{round}."))).count());
        assert!(
            sent.iter().all(|text| new.contains(text) || heard.contains(text)),
            "accepted, and gone: {sent:?} of {new:?}"
        );
        heard.extend(new);
    }
    assert!(killed >= 6, "{killed} of 12 were killed while they accepted");
    let _ = alice.run(&["send", "bob", "afterwards", "--timeout", "80s"]).expect(0);
    until("everything arrives", || {
        heard.extend(bob.receives(0));
        (heard.len() > said.len()).then_some(())
    });
    assert_eq!(heard[..said.len()], said, "each once, in order");
}

/// Has a relay that runs killed in the `nth` sync from now on of any of its threads.
fn kills_in_sync(relay: &RelayProcess, nth: usize) -> Child {
    let pid = relay.pid().to_string();
    let inject = format!("inject=fsync,fdatasync:signal=KILL:when={nth}");
    let tracer = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject, "-p", &pid])
        .spawn()
        .expect("it ran before");
    let traced = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("status")).is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    };
    until("all of it is watched", || {
        let mut threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.filter_map(Result::ok);
        threads.all(traced).then_some(())
    });
    tracer
}

/// Whether it is dead by itself; where it is not, now.
fn until_ended(relay: &mut RelayProcess) -> bool {
    let dead = Path::new(&format!("/proc/{}/exe", relay.pid())).read_link().is_err();
    relay.kill();
    dead
}

/// [BOX-7] a client is killed in any of its syncs while it sends, or while it receives: what its history has arrives, each once
/// and in order, and nothing of it can't be read.
#[test]
fn a_client_that_is_killed_in_any_sync_loses_nothing() {
    if !has_strace("killed in a sync") {
        return;
    }
    let pair = Pair::acquainted();
    let Pair { alice, bob, .. } = &pair;
    let mut heard = Vec::new();
    let mut died = [0, 0];
    for nth in 1..=9 {
        let text = format!("line {nth}");
        let send = under(&dies_in_sync(nth), &alice.command(&["send", "bob", &text, "--timeout", "20s"]));
        died[0] += usize::from(finish(send, "").code.is_none());
        let receive = under(&dies_in_sync(nth), &bob.command(&["--json", "recv", "--timeout", "5s"]));
        let outcome: Outcome = finish(receive, "");
        died[1] += usize::from(outcome.code.is_none());
    }
    assert!(died.iter().all(|died| *died >= 3), "{died:?} were killed");
    let _ = alice.run(&["send", "bob", "afterwards", "--wait", "sent", "--timeout", "60s"]).expect(0);
    // What a receiver that died had printed, or had not, is in its history.
    until("everything arrives", || {
        let _ = bob.json(&["recv", "--timeout", "5s"]).expect(0);
        heard = texts(bob, "alice");
        heard.contains(&"afterwards".to_owned()).then_some(())
    });
    let mut said = texts(alice, "bob");
    said.retain(|text| text != "hello");
    heard.retain(|text| text != "hello");
    assert_eq!(heard, said, "each once, in order");
    let refused = bob.json(&["history", "alice", "--limit", "1000"]).expect(0);
    assert!(refused.events("gap").is_empty() && refused.events("refused").is_empty(), "{}", refused.out);
}

fn texts(person: &Person, with: &str) -> Vec<String> {
    person.history(with).into_iter().map(|(_, text)| text).collect()
}

/// A disk of its own, on which nothing is left that was not synced once its power goes: ext4 in a file, mounted in a namespace
/// that nobody else sees.
struct Disk {
    holder: Child,
    folder: String,
}

impl Disk {
    /// Mounted at `folder/relay`; `None` where this machine does not let us.
    fn new(folder: &Path) -> Option<Self> {
        let made = Command::new("sh")
            .args([
                "-c",
                "cd \"$0\" && mkdir -p relay && truncate -s 64m disk && mkfs.ext4 -q disk && python3 -c 'import fcntl'",
            ])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        if !may_mount() || !made.is_ok_and(|status| status.success()) {
            return None;
        }
        let holder = Command::new("unshare")
            .args(["-m", "sh", "-c", "read -r line"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it ran before");
        let disk = Self { holder, folder: folder.to_str().expect("a name of ours").to_owned() };
        // The namespace is there once it is another one.
        let own = std::fs::read_link("/proc/self/ns/mnt").ok();
        let there = format!("/proc/{}/ns/mnt", disk.holder.id());
        until("there is a namespace", || (std::fs::read_link(&there).ok() != own).then_some(()));
        disk.mount().then_some(disk)
    }

    /// What makes a program see it.
    fn enter(&self) -> Vec<String> {
        ["nsenter", "-t", &self.holder.id().to_string(), "-m"].map(ToOwned::to_owned).to_vec()
    }

    fn does(&self, script: &str) -> bool {
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).args(["sh", "-c", script, &self.folder]);
        command.status().is_ok_and(|status| status.success())
    }

    fn mount(&self) -> bool {
        self.does("cd \"$0\" && mount -o loop,data=ordered disk relay && rm -rf relay/lost+found && chmod 700 relay")
    }

    /// The power goes: what the kernel has not written is gone. Then it comes back.
    fn loses_power(&self, relay: &mut RelayProcess) {
        // FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let shutdown = "cd \"$0\" && python3 -c 'import fcntl, os, struct
fcntl.ioctl(os.open(\"relay\", os.O_RDONLY), 0x8004587D, struct.pack(\"I\", 2))'";
        assert!(self.does(shutdown), "the disk loses its power");
        relay.kill();
        assert!(self.does("cd \"$0\" && umount relay") && self.mount(), "the disk comes back");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.does("umount \"$0/relay\"");
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// [BOX-3] the power of the relay's disk goes while it accepts, three times: it starts again on what is left, without repair, and
/// what it had accepted is there, each once and in order.
#[test]
fn a_power_cut_loses_nothing_that_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(folder.path()) else {
        return skip("power cut", "mount");
    };
    let config = folder.path().join("relay.toml");
    std::fs::write(&config, "[work]\nfetch = 0\ndeliver = 0\n").unwrap();
    let options = ["--config", config.to_str().unwrap()];
    let mut relay = RelayProcess::start_under(folder.path(), &options, &words(&disk.enter()));
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let bob = Person::registered(folder.path(), "bob", &relay.address);
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for cut in 0..3 {
        let texts: Vec<String> = (0..40).map(|i| format!("{cut}.{i}")).collect();
        let lines: String = texts.iter().map(|text| format!("/dm bob {text}\n")).collect();
        // In the middle of it: some are accepted, and others on their way.
        let mut talking = sealpost_tests::processes::Following::start(alice.command(&["--json", "chat"]));
        std::io::Write::write_all(talking.stdin(), lines.as_bytes()).unwrap();
        for _ in 0..10 {
            let _ = talking.event("sent");
        }
        disk.loses_power(&mut relay);
        signal(talking.pid(), Signal::TERM);
        until("who talks goes", || talking.ended());
        let history = alice.json(&["history", "bob", "--limit", "100000"]).expect(0).events("message");
        let state = |text: &str, state: &str| history.iter().any(|line| line["text"] == text && line["state"] == state);
        let sent: Vec<&String> = texts.iter().filter(|text| state(text, "sent")).collect();
        assert!(sent.len() >= 10, "{} were accepted", sent.len());
        relay.restart();
        let new = bob.receives(sent.len());
        assert!(sent.iter().all(|text| new.contains(text)), "accepted, and gone: {sent:?} of {new:?}");
        heard.extend(new);
        said.extend(texts.into_iter().filter(|text| history.iter().any(|line| line["text"] == *text)));
    }
    let _ = alice.run(&["send", "bob", "afterwards", "--timeout", "80s"]).expect(0);
    until("everything arrives", || {
        heard.extend(bob.receives(0));
        (heard.len() > said.len()).then_some(())
    });
    assert_eq!(heard[..said.len()], said, "each once, in order");
}

/// [THREAT-21] a relay whose descriptors are all taken serves those whom it has, says so, and serves everybody again once some are
/// free.
#[test]
fn a_relay_without_descriptors_goes_on() {
    if Command::new("prlimit").arg("-V").output().is_err() {
        return skip("no descriptors", "prlimit");
    }
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_under(folder.path(), &[], &["prlimit", "--nofile=1000:1000"]);
    let alice = Person::registered(folder.path(), "alice", &relay.address);
    let bob = Person::registered(folder.path(), "bob", &relay.address);
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    let mut following = bob.follow();
    let _ = alice.run(&["send", "bob", "before", "--wait", "delivered"]).expect(0);
    assert_eq!(following.message()["text"], "before");
    let crowd: Vec<TcpStream> = (0..1200).filter_map(|_| TcpStream::connect(relay.socket()).ok()).collect();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", relay.pid())).map_or(0, Iterator::count);
    assert!(open() <= 1000);
    assert!(relay.logged().contains("raise the limit of open files"), "{}", relay.logged());
    assert!(following.ended().is_none(), "who is there stays there");
    drop(crowd);
    let _ = alice.run(&["send", "bob", "afterwards", "--wait", "delivered", "--timeout", "80s"]).expect(0);
    assert_eq!(following.message()["text"], "afterwards");
    let _ = Person::registered(folder.path(), "carol", &relay.address);
}
