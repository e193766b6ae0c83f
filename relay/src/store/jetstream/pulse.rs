//! The pulse: a relay writes a little now and then, so that it knows whether it could write more; looks how far replicas
//! are; and asks servers whether they sync before they answer.

use std::time::Duration;

use async_nats::HeaderMap;
use futures_util::future::join_all;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::bus::{Bus, Deadline, Published};
use super::names::Names;
use super::status::{self, StreamStatus};
use super::streams::Plan;
use crate::metrics::METRICS;
use crate::store::Key;

/// The table of relays that are there.
pub(super) const TABLE: &str = "pulse";
/// A relay that says nothing for so long is not there.
const GONE: &str = "1m";
/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// For a beat to be written.
const WRITTEN: Duration = Duration::from_secs(3);
/// Between two looks at how servers are set up.
const LOOK: u64 = 60;
/// For a server to tell about itself.
const MONITOR: Duration = Duration::from_secs(3);
/// The longest that a server tells about itself.
const LONGEST: u64 = 1024 * 1024;

/// What has a pulse.
pub(super) struct Heart {
    pub(super) bus: Bus,
    pub(super) names: Names,
    pub(super) plans: Vec<Plan>,
    /// Where servers tell about themselves.
    pub(super) monitors: Vec<(String, u16)>,
    /// How many servers there are to be.
    pub(super) servers: usize,
}

impl Heart {
    /// Beats for ever.
    pub(super) async fn beat(self) {
        METRICS.cluster.joined.set(1);
        let own: [u8; 8] = rand::random();
        let subject = self.names.value(&Key { table: TABLE, key: own.to_vec() });
        let mut headers = HeaderMap::new();
        headers.insert("Nats-TTL", GONE);
        let bytes = concat!("sealpost-relay ", env!("CARGO_PKG_VERSION")).into();
        let beat = Published { subject, headers, bytes };
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refusing: Option<Instant> = None;
        let mut synced = None;
        for turn in 0_u64.. {
            let began = beats.tick().await;
            let (written, streams) = tokio::join!(
                self.bus.publish(&beat, Deadline::after(WRITTEN)),
                join_all(self.plans.iter().map(|plan| status::stream(&self.bus, plan)))
            );
            let writes = matches!(written, Ok(Ok(_))) && streams.iter().all(|stream| stream.leader.is_some());
            refusing = told(writes, refusing, began);
            METRICS.cluster.lag.set(figure(streams.iter().map(StreamStatus::lag).max()));
            METRICS.cluster.missing.set(figure(streams.iter().map(StreamStatus::missing).max()));
            if turn % LOOK == 0 {
                synced = Some(self.look(synced).await);
            }
        }
    }

    /// Whether every server is known to sync before it answers. Said once, and again where it changes.
    async fn look(&self, before: Option<bool>) -> bool {
        let asked = join_all(self.monitors.iter().map(|(host, port)| syncs(host, *port))).await;
        let syncs = asked.iter().filter(|syncs| **syncs == Some(true)).count();
        let known = syncs >= self.servers && asked.iter().all(|syncs| *syncs == Some(true));
        METRICS.cluster.unsynced.set(i64::from(!known));
        if before == Some(known) {
            return known;
        }
        let answers_early = asked.iter().filter(|syncs| **syncs == Some(false)).count();
        match known {
            true => tracing::info!("every server of the cluster syncs before it answers"),
            false if answers_early > 0 => tracing::warn!(
                "{answers_early} of the cluster's servers answer before they sync: a power cut of all of them loses what was \
                 accepted in the last minutes; set sync_interval: always"
            ),
            false => tracing::warn!(
                "it is not known of {} of the cluster's servers whether they sync before they answer: set sync_interval: \
                 always there, and name their monitoring ports in cluster.monitors",
                self.servers.saturating_sub(syncs)
            ),
        }
        known
    }
}

/// Notes whether the cluster can be written; since when not.
fn told(writes: bool, refusing: Option<Instant>, began: Instant) -> Option<Instant> {
    METRICS.cluster.refusing.set(i64::from(!writes));
    let since = refusing.unwrap_or(began);
    if !writes || refusing.is_some() {
        // What this beat took, with the pause before the next.
        let took = began.elapsed().max(BEAT);
        METRICS.cluster.refusing_ms.add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }
    match (writes, refusing) {
        (false, None) => tracing::warn!("the cluster can't be written: a stream has no leader, or no server answers"),
        (true, Some(_)) => tracing::info!("the cluster is written again, after {} s", since.elapsed().as_secs()),
        _ => {}
    }
    (!writes).then_some(since)
}

fn figure(value: Option<u64>) -> i64 {
    i64::try_from(value.unwrap_or_default()).unwrap_or(i64::MAX)
}

/// Whether a server syncs before it answers; `None`: it does not tell.
async fn syncs(host: &str, port: u16) -> Option<bool> {
    let asked = async {
        let mut tcp = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port)).await?;
        tcp.write_all(format!("GET /varz HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        tcp.take(LONGEST).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(MONITOR, asked).await.ok()?.ok()?;
    always(&answer)
}

/// What it says, in an answer of HTTP.
fn always(answer: &[u8]) -> Option<bool> {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n")?;
    let told: Json = serde_json::from_slice(answer.get(head + 4..)?).ok()?;
    let config = told.get("jetstream")?.get("config")?;
    Some(config.get("sync_always").and_then(Json::as_bool).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a server that says so syncs before it answers; one that says something else, or nothing, is not known to.
    #[test]
    fn syncing_is_told() {
        let answer = |body: &str| always(format!("HTTP/1.0 200 OK\r\nx: y\r\n\r\n{body}").as_bytes());
        assert_eq!(answer(r#"{"jetstream":{"config":{"sync_interval":120000000000,"sync_always":true}}}"#), Some(true));
        assert_eq!(answer(r#"{"jetstream":{"config":{"sync_interval":120000000000}}}"#), Some(false));
        assert_eq!(answer(r#"{"jetstream":{}}"#), None);
        assert_eq!(answer("nonsense"), None);
        assert_eq!(always(b"HTTP/1.0 200 OK"), None);
    }
}
