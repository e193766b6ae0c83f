//! Whom the programs speak to: seen from the system calls that they make.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use sealpost_tests::processes::{Following, Person, RelayProcess, finish, signal, under, until};
use sealpost_tests::skip;

const CALLS: &str = "trace=connect,bind,listen,sendto,sendmsg,sendmmsg,openat,execve";

/// What a program does under it goes to the end of this file, also what its threads and children do. `stays`: signals are for the
/// program, which is then no child of strace's.
fn traced(into: &Path, stays: bool) -> Vec<&str> {
    let detached: &[&str] = if stays { &["strace", "-D"] } else { &["strace"] };
    let rest = ["-f", "--seccomp-bpf", "-q", "-A", "-s", "200", "-e", CALLS, "-o", into.to_str().unwrap()];
    [detached, &rest].concat()
}

/// The lines of a call.
fn calls<'a>(trace: &'a str, call: &'a str) -> impl Iterator<Item = &'a str> {
    trace.lines().filter(move |line| line.contains(&format!(" {call}(")))
}

/// What is connected to beside the relay, and the person's own sockets.
fn strangers(trace: &str, relay: &str, home: &Path) -> Vec<String> {
    let (address, port) = relay.split_once(':').unwrap();
    let relay = format!("sin_port=htons({port}), sin_addr=inet_addr(\"{address}\")");
    let own = format!("sun_path=\"{}/", home.display());
    let allowed = |line: &&str| line.contains(&relay) || line.contains(&own);
    calls(trace, "connect").filter(|line| !allowed(line)).map(ToOwned::to_owned).collect()
}

/// Waits until strace has written the end of a process.
fn is_whole(trace: &Path, pid: u32) {
    until("strace has written all", || {
        let trace = std::fs::read_to_string(trace).unwrap();
        trace.lines().any(|line| line.starts_with(&format!("{pid} ")) && line.contains(" +++ ")).then_some(())
    });
}

fn has_strace(what: &str) -> bool {
    let there = Command::new("strace").arg("-V").output().is_ok();
    if !there {
        skip(what, "strace");
    }
    there
}

/// A client connects to its relay, and to the socket of whoever holds its profile: to nobody else, not even to ask for a name
/// where the address is a number. It listens for nobody but its owner, and starts no other program.
#[test]
fn a_client_speaks_to_its_relay_alone() {
    if !has_strace("a client's connections") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path());
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(folder.path(), name));
    let trace = folder.path().join("trace");
    let tried =
        |person: &Person, arguments: &[&str]| finish(under(&traced(&trace, false), &person.command(arguments)), "");
    let run = |person: &Person, arguments: &[&str]| tried(person, arguments).expect(0);
    let stays = |person: &Person, arguments: &[&str]| {
        Following::start(under(&traced(&trace, true), &person.command(arguments)))
    };
    let plan = folder.path().join("plan.txt");
    std::fs::write(&plan, "a plan").unwrap();
    for person in [&alice, &bob] {
        let _ = run(person, &["register", &relay.address, &person.name]);
    }
    // A link in what is said is nothing that anybody follows.
    let _ = run(&bob, &["send", "alice", "look: https://192.0.2.1/picture.png"]);
    let mut daemon = stays(&alice, &["--json", "daemon"]);
    let _ = daemon.lines.until(|line| line.contains("\"listening\""));
    let _ = run(&alice, &["send", "bob", "hello"]);
    let _ = run(&alice, &["join", "#garden"]);
    let _ = run(&alice, &["send", "#garden", "https://192.0.2.1/"]);
    let _ = run(&alice, &["send", "bob", "-f", plan.to_str().unwrap()]);
    until("the file has come", || (tried(&bob, &["get"]).code == Some(0)).then_some(()));
    let _ = run(&bob, &["doctor"]);
    let mut page = stays(&bob, &["--json", "web"]);
    let listening = page.lines.until(|line| line.contains("\"listening\""));
    let port = listening.split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let ends = |following: &mut Following| {
        signal(following.pid(), Signal::TERM);
        until("it ends", || following.ended());
    };
    for following in [&mut page, &mut daemon] {
        ends(following);
        is_whole(&trace, following.pid());
    }
    let trace = std::fs::read_to_string(&trace).unwrap();
    assert!(calls(&trace, "connect").any(|line| line.contains("AF_INET")), "it was watched: {trace}");
    let strangers = strangers(&trace, &relay.socket(), folder.path());
    assert!(strangers.is_empty(), "{strangers:#?}");
    for line in calls(&trace, "bind") {
        let page = line.contains(&format!("sin_port=htons({port})")) || line.contains("sin_port=htons(0)");
        let own = page && line.contains("inet_addr(\"127.0.0.1\")");
        assert!(own || line.contains("AF_UNIX"), "{line}");
    }
    let resolver = calls(&trace, "openat").find(|line| line.contains("resolv.conf") || line.contains("/etc/hosts"));
    assert_eq!(resolver, None, "a number was looked up");
    let programs: Vec<&str> = calls(&trace, "execve").filter(|line| !line.contains("sealpost")).collect();
    assert!(programs.is_empty(), "{programs:#?}");
    assert!(calls(&trace, "sendto").chain(calls(&trace, "sendmsg")).all(|line| !line.contains("UDP")), "no datagrams");
}

/// A relay without a cluster connects to nobody, whatever it is asked.
#[test]
fn a_relay_connects_to_nobody() {
    if !has_strace("a relay's connections") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut relay = RelayProcess::start_under(folder.path(), &["--metrics", "127.0.0.1:0"], &traced(&trace, true));
    let [alice, bob] = ["alice", "bob"].map(|name| Person::registered(folder.path(), name, &relay.address));
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = super::super::service::page(&relay, "/metrics");
    assert_eq!(relay.stop(Signal::TERM), Some(0));
    is_whole(&trace, relay.pid());
    let trace = std::fs::read_to_string(&trace).unwrap();
    assert!(calls(&trace, "listen").count() >= 2, "it was watched: {trace}");
    let connected: Vec<&str> = calls(&trace, "connect").collect();
    assert!(connected.is_empty(), "{connected:#?}");
    let bound: Vec<&str> = calls(&trace, "bind").filter(|line| !line.contains("AF_UNIX")).collect();
    assert!(bound.iter().all(|line| line.contains("inet_addr(\"127.0.0.1\")")), "{bound:#?}");
}
