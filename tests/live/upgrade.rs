//! An older relay is replaced by this one, alone and in a cluster: whoever talks meanwhile notices nothing, and what the older
//! one has accepted is there.
//!
//! `SEALPOST_OLDER` names its program; `.ci/upgrade` builds one and runs these.

use std::path::PathBuf;

use rustix::process::Signal;
use sealpost_tests::cluster::Cluster;
use sealpost_tests::processes::{Person, RelayProcess, programs};
use sealpost_tests::skip;

use super::healing::{Pair, drained};

/// The program of an older relay.
fn older(what: &str) -> Option<PathBuf> {
    let program = std::env::var_os("SEALPOST_OLDER").map(PathBuf::from);
    if program.is_none() {
        skip(what, "older");
    }
    program
}

/// The relays of a cluster are drained and replaced one by one, so that for a while old and new ones share one store: people of
/// both talk, somebody new comes in at each, and what waited for somebody who was away is there at the end, once and in order.
#[test]
fn a_rolling_upgrade_is_not_noticed() {
    let Some(older) = older("a rolling upgrade") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(mut cluster) = Cluster::start_program(&older, folder.path(), 3, 3) else {
        return skip("a rolling upgrade", "nats");
    };
    let away = cluster.person("away", None);
    let _ = away.run(&["join", "#upgrade"]).expect(0);
    let mut pair = Pair::new(&cluster, &folder);
    let mut said = Vec::new();
    for (relay, new) in ["carol", "dave", "erin"].into_iter().enumerate() {
        drained(&mut cluster, relay, &mut pair);
        cluster.relays[relay].becomes(&programs().relay);
        cluster.relays[relay].restart();
        pair.exchange();
        // At the one that is new, and at the next one, which is old as yet.
        for (number, at) in [(0, relay), (1, (relay + 1) % 3)] {
            let name = format!("{new}-{number}");
            let somebody = cluster.person(&name, Some(at));
            let _ = somebody.run(&["send", "away", &name, "--timeout", "60s"]).expect(0);
            let _ = somebody.run(&["join", "#upgrade"]).expect(0);
            let _ = somebody.run(&["send", "#upgrade", &name, "--timeout", "60s"]).expect(0);
            said.push(name);
        }
    }
    // As a direct message, and in the room.
    let mut heard = away.receives(2 * said.len());
    heard.sort_unstable();
    said.sort_unstable();
    let twice: Vec<&String> = said.iter().flat_map(|text| [text, text]).collect();
    assert_eq!(heard.iter().collect::<Vec<_>>(), twice, "what waited, whichever relay had taken it");
    pair.ends();
}

/// A relay alone is stopped and replaced: it takes over the folder, people go on with their sessions, and what waited is there.
/// [RELAY-20]
#[test]
fn the_folder_of_an_older_relay_is_taken_over() {
    let Some(older) = older("an older folder") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start_program(&older, folder.path(), "127.0.0.1:0", &[], &[]);
    let person = |name: &str| Person::registered(folder.path(), name, &relay.address);
    let (alice, bob) = (person("alice"), person("bob"));
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
    let _ = bob.run(&["send", "alice", "hello"]).expect(0);
    assert_eq!(alice.receives(1), ["hello"]);
    let mut waits: Vec<String> = (0..20).map(|number| format!("waits {number}")).collect();
    for text in &waits {
        let _ = alice.run(&["send", "bob", text]).expect(0);
    }
    let _ = alice.run(&["send", "#lobby", "before"]).expect(0);
    waits.push("before".to_owned());
    assert_eq!(relay.stop(Signal::TERM), Some(0));
    relay.becomes(&programs().relay);
    relay.restart();
    assert_eq!(bob.receives(waits.len()), waits);
    let carol = Person::registered(folder.path(), "carol", &relay.address);
    let _ = carol.run(&["recv", "--timeout", "5s"]).expect(0);
    assert!(carol.history("#lobby").iter().any(|(_, text)| text == "before"));
    let _ = bob.run(&["send", "alice", "afterwards", "--wait", "sent"]).expect(0);
    assert_eq!(alice.receives(1), ["afterwards"]);
    let _ = carol.run(&["send", "alice", "new here"]).expect(0);
    assert_eq!(alice.receives(1), ["new here"]);
}
