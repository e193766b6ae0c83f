//! Real programs, real sockets, real TLS.

mod admin;
mod backup;
mod cluster;
mod daemon;
mod damage;
mod demo;
mod devices;
mod disk;
mod everyday;
mod expendable;
mod faces;
mod failures;
mod faults;
mod files;
mod four_ways;
mod handshakes;
mod healing;
mod hostile;
mod hygiene;
mod limits;
mod long;
mod moderation;
mod operator;
mod profile;
mod proxy;
mod schema;
mod screen;
mod service;
mod soak;
mod talk;
mod terminal;
mod tour;
mod upgrade;
mod web;
mod wire;

use sealpost_tests::processes::{Person, RelayProcess};
use tempfile::TempDir;

/// A relay and two people who are registered there, in a folder that goes with them.
struct Pair {
    relay: RelayProcess,
    alice: Person,
    bob: Person,
    folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(folder.path());
        let alice = Person::registered(folder.path(), "alice", &relay.address);
        let bob = Person::registered(folder.path(), "bob", &relay.address);
        Self { relay, alice, bob, folder }
    }

    /// The same, and they have talked: each has the other's token, and gets receipts.
    fn acquainted() -> Self {
        let pair = Self::new();
        let _ = pair.alice.run(&["send", "bob", "hello"]).expect(0);
        assert_eq!(pair.bob.receives(1), ["hello"]);
        let _ = pair.bob.run(&["send", "alice", "hello"]).expect(0);
        assert_eq!(pair.alice.receives(1), ["hello"]);
        pair
    }
}
