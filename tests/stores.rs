//! The store that relays share, on real servers: the one suite that every store passes, and what it alone has to show.
//!
//! Memory and SQLite run the suite in the relay's own tests.

use std::collections::BTreeSet;

use sealpost_relay::store::conformance::{self, Bench};
use sealpost_relay::store::jetstream::{OpenError, Settings};
use sealpost_relay::store::{
    Append, Bell, CrashPoints, JetStream, Key, Limit, Log, Store, Tags, Usage, Write, Written,
};
use sealpost_spec::mailbox::Seq;
use sealpost_tests::processes::{Nats, Setup};
use sealpost_tests::skip;
use tempfile::TempDir;

/// Servers of NATS, in a folder that goes with them.
struct Servers {
    nats: Nats,
    _folder: TempDir,
}

impl Servers {
    /// `None`, and said, where there is no program.
    fn start(test: &str, count: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let nats = Nats::start(folder.path(), count, Setup { syncs: false, ..Setup::default() });
        if nats.is_none() {
            skip(test, "nats");
        }
        Some(Self { nats: nats?, _folder: folder })
    }

    fn settings(&self, prefix: &str) -> Settings {
        Settings {
            servers: self.nats.addresses(),
            login: None,
            tls: None,
            prefix: prefix.to_owned(),
            replicas: self.nats.count() as u8,
            monitors: Vec::new(),
        }
    }
}

/// A store of its own among others in the same servers.
struct Streams(Settings);

impl Bench for Streams {
    type Store = JetStream;

    async fn open(&mut self, crash: CrashPoints) -> JetStream {
        JetStream::crashing(&self.0, crash).await.expect("the cluster is there")
    }
}

async fn conforms(servers: &Servers) {
    let mut number = 0;
    conformance::all(|| {
        number += 1;
        Streams(servers.settings(&format!("store{number}")))
    })
    .await;
}

/// [STORE-1] to [STORE-12] one server.
#[tokio::test(flavor = "multi_thread")]
async fn one_server_conforms() {
    let Some(servers) = Servers::start("stores", 1) else { return };
    conforms(&servers).await;
}

/// [STORE-1] to [STORE-12] three servers that each have everything, two of which have to agree.
#[tokio::test(flavor = "multi_thread")]
async fn three_servers_conform() {
    let Some(servers) = Servers::start("stores", 3) else { return };
    conforms(&servers).await;
}

fn mailbox() -> Log {
    Log { kind: "mailbox", key: b"bob".to_vec() }
}

fn append(id: u8) -> Write {
    Write::Append(Append { log: mailbox(), id: [id; 16], bytes: vec![id; 10] })
}

fn put(key: impl Into<Vec<u8>>) -> Write {
    Write::Put { key: Key { table: "account", key: key.into() }, expected: None, value: b"x".to_vec() }
}

/// [STORE-5] [STORE-6] [STORE-7] [STORE-10] what one relay writes, another one reads and hears; of two that take one
/// name at once, one has it.
#[tokio::test(flavor = "multi_thread")]
async fn relays_share_a_store() {
    let Some(servers) = Servers::start("stores", 3) else { return };
    let settings = servers.settings("sealpost");
    let (one, other) = tokio::join!(JetStream::open(&settings), JetStream::open(&settings));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.id(), other.id(), "both made it at once, and there is one");
    let bell = Bell::new();
    let _watch = other.watch(&mailbox(), &bell, 7);
    for id in 1..=5 {
        let written = one.write(vec![append(id)]).await.unwrap();
        bell.rung().await;
        assert_eq!(bell.take(), Tags::from_iter([7]));
        let all = other.read(&mailbox(), Seq(0), Limit { count: 99, bytes: 9999 }).await.unwrap();
        assert_eq!(all.last().map(|entry| Written::Appended(entry.seq)), written.first().copied());
        assert_eq!(other.usage(&mailbox()).await.unwrap(), Usage { count: id.into(), bytes: 10 * u64::from(id) });
        assert_eq!(other.write(vec![append(id)]).await.unwrap(), [Written::Duplicate(all.last().unwrap().seq)]);
    }
    for name in 0..20 {
        let (a, b) = tokio::join!(one.write(vec![put([name]), put([name, 1])]), other.write(vec![put([name])]));
        let won = [a, b].into_iter().filter(|written| matches!(written.as_ref().unwrap()[0], Written::Put(_))).count();
        assert_eq!(won, 1, "name {name}");
    }
}

/// [STORE-4] an entry is known by its id as long as it is there, also when the servers have forgotten that it came.
#[tokio::test(flavor = "multi_thread")]
async fn entries_outlast_the_window() {
    let Some(servers) = Servers::start("stores", 1) else { return };
    let store = JetStream::open(&servers.settings("sealpost")).await.unwrap();
    let first = store.write(vec![append(1)]).await.unwrap();
    let [Written::Appended(seq)] = first[..] else { panic!("{first:?}") };
    let info = servers.nats.ask(0, "STREAM.INFO.sealpost-mailbox", &serde_json::Value::Null).unwrap();
    let mut config = info["config"].clone();
    config["duplicate_window"] = 100_000_000.into();
    let updated = servers.nats.ask(0, "STREAM.UPDATE.sealpost-mailbox", &config).unwrap();
    assert!(updated["error"].is_null(), "{updated}");
    // Asked until the server has forgotten an entry that came later, and is not there any more.
    let other = Log { kind: "mailbox", key: b"gone".to_vec() };
    let gone = || vec![Write::Append(Append { log: other.clone(), id: [3; 16], bytes: vec![] })];
    store.write(gone()).await.unwrap();
    store.write(vec![Write::Trim { log: other.clone(), through: Seq(u64::MAX) }]).await.unwrap();
    while !matches!(store.write(gone()).await.unwrap()[..], [Written::Appended(_)]) {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.write(vec![append(1)]).await.unwrap(), [Written::Duplicate(seq)]);
    // What promises less is refused when a relay starts, in words.
    let refused = JetStream::open(&servers.settings("sealpost")).await.err().unwrap();
    assert!(matches!(&refused, OpenError::Differs { setting, .. } if setting == "duplicate_window"), "{refused}");
}

/// Tables of many keys are read in pages, in order, without any key being left out or told twice.
#[tokio::test(flavor = "multi_thread")]
async fn large_tables_are_paged() {
    let Some(servers) = Servers::start("stores", 1) else { return };
    let store = JetStream::open(&servers.settings("sealpost")).await.unwrap();
    let mut keys: BTreeSet<Vec<u8>> = (0..1_500_u32).map(|number| (number * 7919).to_be_bytes().to_vec()).collect();
    keys.extend([vec![], vec![0], vec![0, 0, 0, 0, 0], vec![255], vec![0, 0, 1]]);
    store.write(keys.iter().cloned().map(put).collect()).await.unwrap();
    for (prefix, page) in [(vec![], 100), (vec![], 2_000), (vec![0], 64), (vec![0, 0], 7)] {
        let mut found = Vec::new();
        loop {
            let after: Option<&Vec<u8>> = found.last();
            let next = store.scan("account", &prefix, after.map(Vec::as_slice), page).await.unwrap();
            let last = next.len() < page;
            found.extend(next.into_iter().map(|(key, _)| key));
            if last {
                break;
            }
        }
        let wanted: Vec<Vec<u8>> = keys.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
        assert_eq!(found, wanted, "{prefix:?} by {page}");
        assert_eq!(store.count("account", &prefix).await.unwrap(), wanted.len() as u64);
    }
}

/// What a version had in a table of which the next one makes another goes when a relay starts, and nothing beside it.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_older_versions_go() {
    let Some(servers) = Servers::start("stores", 1) else { return };
    let settings = servers.settings("sealpost");
    let store = JetStream::open(&settings).await.unwrap();
    let all = ["prekey", "prekeys", "prekey_page", "account"];
    let put = |table| Write::Put { key: Key { table, key: b"a".to_vec() }, expected: None, value: b"x".to_vec() };
    store.write(all.map(put).to_vec()).await.unwrap();
    let store = JetStream::open(&settings).await.unwrap();
    let mut left = Vec::new();
    for table in all {
        left.push(store.count(table, &[]).await.unwrap());
    }
    assert_eq!(left, [0, 1, 1, 1]);
}

/// [STORE-1] [STORE-2] while the leader of a stream dies and another one is elected, writes wait and are made once; a
/// node that comes back has what it missed.
#[tokio::test(flavor = "multi_thread")]
async fn elections_lose_and_double_nothing() {
    let Some(mut servers) = Servers::start("stores", 3) else { return };
    let store = JetStream::open(&servers.settings("sealpost")).await.unwrap();
    let mut seqs = Vec::new();
    for id in 0..60 {
        if id % 20 == 10 {
            let leader = servers.nats.leader(if id < 20 { "sealpost-mailbox" } else { "sealpost-tables" });
            servers.nats.kill(leader);
            let written = store.write(vec![append(id), put([id]), put([id, 1])]).await.unwrap();
            assert!(matches!(written[..], [_, Written::Put(_), Written::Put(_)]), "{written:?}");
            servers.nats.restart(leader);
        } else {
            store.write(vec![append(id), put([id]), put([id, 1])]).await.unwrap();
        }
    }
    for entry in store.read(&mailbox(), Seq(0), Limit { count: 99, bytes: 9999 }).await.unwrap() {
        seqs.push(entry.id[0]);
    }
    assert_eq!(seqs, (0..60).collect::<Vec<u8>>());
    assert_eq!(store.count("account", &[]).await.unwrap(), 120);
}
