//! How a cluster does: each stream's leader and replicas, as the servers tell it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::bus::{Bus, Deadline};
use super::names::Names;
use super::streams::Plan;

/// For a stream to tell about itself.
const ANSWER: Duration = Duration::from_secs(3);

/// A stream, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub stream: String,
    /// The server that leads it; `None`: there is none, and nothing can be written to it.
    pub leader: Option<String>,
    /// Messages that it holds.
    pub messages: u64,
    /// Bytes that it holds.
    pub bytes: u64,
    /// The other servers that have it.
    pub replicas: Vec<Replica>,
    /// How many servers are to have it.
    pub wanted: u64,
}

/// A server that follows a stream's leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// Its name.
    pub server: String,
    /// Whether it has everything.
    pub current: bool,
    /// Whether it can be reached.
    pub offline: bool,
    /// By how many messages it is behind.
    pub lag: u64,
}

impl StreamStatus {
    /// Whether most of its servers are there, as far as its leader knows: it takes seconds to miss the others.
    pub fn writable(&self) -> bool {
        let there = 1 + self.replicas.iter().filter(|replica| !replica.offline).count() as u64;
        self.leader.is_some() && 2 * there > self.wanted
    }

    /// How many servers don't have all of it.
    pub fn missing(&self) -> u64 {
        let whole = self.replicas.iter().filter(|replica| replica.current && !replica.offline).count() as u64;
        self.wanted.saturating_sub(whole + u64::from(self.leader.is_some()))
    }

    /// By how many messages the slowest server is behind.
    pub fn lag(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.lag).max().unwrap_or_default()
    }
}

/// A relay that has told within a minute that it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RelayStatus {
    /// A random number of its own.
    pub relay: String,
    /// Its program and version.
    pub version: String,
}

#[derive(Deserialize)]
struct Info {
    config: Config,
    state: State,
    cluster: Option<Group>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    num_replicas: u64,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Group {
    leader: Option<String>,
    #[serde(default)]
    replicas: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
    #[serde(default)]
    lag: u64,
}

/// What a stream's leader tells; without a leader nobody does.
pub(super) async fn stream(bus: &Bus, plan: &Plan) -> StreamStatus {
    let what = format!("STREAM.INFO.{}", plan.name);
    let stream = plan.name.clone();
    let Ok(Ok(info)) = bus.api::<Info>(&what, &Json::Null, Deadline::after(ANSWER)).await else {
        return StreamStatus {
            stream,
            leader: None,
            messages: 0,
            bytes: 0,
            replicas: Vec::new(),
            wanted: plan.replicas,
        };
    };
    let Info { config, state, cluster } = info;
    let Group { leader, replicas } = cluster.unwrap_or(Group { leader: None, replicas: Vec::new() });
    let replica = |Peer { name, current, offline, lag }| Replica { server: super::shown(&name), current, offline, lag };
    StreamStatus {
        stream,
        leader: leader.filter(|leader| !leader.is_empty()).map(|leader| super::shown(&leader)),
        messages: state.messages,
        bytes: state.bytes,
        replicas: replicas.into_iter().map(replica).collect(),
        wanted: config.num_replicas,
    }
}

/// The relays that are there.
pub(super) async fn relays(bus: &Bus, names: &Names) -> Vec<RelayStatus> {
    let range = super::tables::Range { table: super::pulse::TABLE, prefix: &[], after: None };
    let found = super::tables::scan(bus, names, &super::Lengths::default(), range, 1_000).await;
    let relay = |(key, value): (Vec<u8>, crate::store::Value)| RelayStatus {
        relay: data_encoding::HEXLOWER.encode(&key),
        version: super::shown(&String::from_utf8_lossy(&value.bytes)),
    };
    found.unwrap_or_default().into_iter().map(relay).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that has lost most of its servers is not called whole because the last one still takes itself for the leader.
    #[test]
    fn a_leader_without_most_servers_writes_nothing() {
        let peer = |offline: bool| Replica { server: "another".into(), current: !offline, offline, lag: 0 };
        let with = |wanted, replicas| StreamStatus {
            stream: "sealpost-mailbox".into(),
            leader: Some("one".into()),
            messages: 0,
            bytes: 0,
            replicas,
            wanted,
        };
        assert!(with(1, Vec::new()).writable());
        assert!(with(3, vec![peer(false), peer(true)]).writable());
        assert!(!with(3, vec![peer(true), peer(true)]).writable());
        assert!(!StreamStatus { leader: None, ..with(3, vec![peer(false), peer(false)]) }.writable());
    }
}
