//! What the relay counts of itself, and the listener that shows it: `/metrics`, `/healthz`, `/readyz`.
//!
//! Figures are atomics of one `static`: counting takes no lock, allocates nothing and needs nobody to be handed
//! anything. No figure has a label that names a person, a room, a mailbox or an address; the labels are the fixed words
//! of this file. Whoever counts in a loop counts once after it.
//!
//! ```
//! use sealpost_relay::metrics::METRICS;
//! METRICS.posts.add(1);
//! assert!(METRICS.posts.value() >= 1);
//! ```

mod exposition;
mod figure;
mod http;
mod process;

use sealpost_spec::relay::{Answer, LinkKind, Refusal, Request};

pub use exposition::exposition;
pub use figure::{Counter, Each, Gauge, Histogram, Raised};
pub use http::{Health, listen};

/// Everything that is counted.
pub static METRICS: Metrics = Metrics::new();

/// All figures of a relay: what is never reset counts from its start.
#[derive(Debug)]
pub struct Metrics {
    /// Links that are open, by [`KINDS`].
    pub links: [Gauge; KINDS.len()],
    /// Links that were opened, by [`KINDS`].
    pub links_opened: Each<{ KINDS.len() }>,
    /// TLS handshakes under way.
    pub handshakes: Gauge,
    /// TLS handshakes that ended, by [`HANDSHAKES`].
    pub handshakes_ended: Each<{ HANDSHAKES.len() }>,
    /// Connections that were closed before their handshake: there were too many.
    pub shed: Counter,
    /// Requests, by [`REQUESTS`].
    pub requests: Each<{ REQUESTS.len() }>,
    /// Refusals that were answered or ended a link, by their numbers.
    pub refusals: Each<{ REFUSALS.len() }>,
    /// Faults of the relay's own.
    pub faults: Counter,
    /// Envelopes that were accepted.
    pub deliveries: Counter,
    /// Envelopes that their recipients acknowledged.
    pub acknowledged: Counter,
    /// Posts that were taken.
    pub posts: Counter,
    /// Sealed files of which the last part came.
    pub blobs: Counter,
    /// Envelopes and posts that were pushed.
    pub pushes: Counter,
    /// Bytes of frames that came.
    pub bytes_in: Counter,
    /// Bytes of frames that were written.
    pub bytes_out: Counter,
    /// From a delivery's arrival to its *accepted*.
    pub accepted: Histogram<{ SECONDS.len() }>,
    /// What the store does.
    pub store: Store,
    /// What its cluster does, where it has one.
    pub cluster: Cluster,
    /// Whether the relay takes no new links because it is to stop.
    pub draining: Gauge,
}

/// What the NATS servers do that keep a relay's store.
#[derive(Debug)]
pub struct Cluster {
    /// Attempts that were made again, as nobody answered or an election was under way.
    pub retries: Counter,
    /// 1 while the relay keeps its store in a cluster.
    pub joined: Gauge,
    /// 1 while it can't be written.
    pub refusing: Gauge,
    /// Milliseconds for which it could not.
    pub refusing_ms: Counter,
    /// Messages by which the slowest replica of a stream is behind its leader.
    pub lag: Gauge,
    /// Replicas that are missing or behind.
    pub missing: Gauge,
    /// 1 while it is not known that every server syncs before it answers.
    pub unsynced: Gauge,
}

/// What the store does.
#[derive(Debug)]
pub struct Store {
    /// How long a commit takes, its sync included.
    pub commit: Histogram<{ SECONDS.len() }>,
    /// Writes of one commit: what was under way together.
    pub writes: Histogram<{ WRITES.len() }>,
    /// Envelopes in memory that are not written yet.
    pub held: Gauge,
    /// Bytes of them.
    pub held_bytes: Gauge,
    /// Bytes of the envelopes that wait for their recipients.
    pub mailbox_bytes: Gauge,
    /// Envelopes that nobody fetched in time.
    pub expired: Counter,
    /// Room that sealed files take, those included that are still being uploaded.
    pub blob_bytes: Gauge,
    /// Sealed files that nobody fetched, or finished, in time.
    pub blobs_expired: Counter,
    /// 1 while nothing can be written: the last commit found no room on the disk, or the store has stopped.
    pub refusing: Gauge,
}

/// Kinds of links.
pub const KINDS: [&str; 2] = ["authenticated", "anonymous"];
/// Ends of a handshake.
pub const HANDSHAKES: [&str; 4] = ["done", "failed", "timed_out", "made_room"];
/// Requests, in the order of [`Request`].
pub const REQUESTS: [&str; 19] = [
    "register",
    "login",
    "publish",
    "set_token",
    "acknowledge",
    "fetch_bundle",
    "fetch_devices",
    "deliver",
    "post",
    "follow",
    "unfollow",
    "rooms",
    "members",
    "put_blob",
    "fetch_blob",
    "drop_blob",
    "room",
    "unregister",
    "set_devices",
];
/// `acknowledge` among [`REQUESTS`].
pub const ACKNOWLEDGE: usize = 4;
/// `deliver` among [`REQUESTS`].
pub const DELIVER: usize = 7;
/// `post` among [`REQUESTS`].
pub const POST: usize = 8;
/// `put_blob` among [`REQUESTS`].
pub const PUT_BLOB: usize = 13;
/// Refusals, in the order of their numbers. [RELAY-12]
pub const REFUSALS: [&str; 31] = [
    "malformed",
    "unsupported",
    "wrong_link",
    "bad_signature",
    "name_taken",
    "registration_closed",
    "invite_needed",
    "no_such_name",
    "no_such_mailbox",
    "mailbox_full",
    "work_needed",
    "unknown_token",
    "too_fast",
    "too_large",
    "quota_reached",
    "no_such_room",
    "not_member",
    "post_out_of_order",
    "stale_device_list",
    "stale_key",
    "banned",
    "kicked",
    "replaced",
    "stopping",
    "internal",
    "timed_out",
    "too_many_links",
    "no_such_post",
    "no_such_blob",
    "not_creator",
    "banned_from_room",
];
/// Upper bounds of latencies, in microseconds: from a memory's to a dying disk's.
pub const SECONDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000,
];
/// Upper bounds of the writes of one commit.
pub const WRITES: [u64; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048];

/// How a handshake ended, as an index of [`HANDSHAKES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// There is a link.
    Done,
    /// It was none of ours, or went away.
    Failed,
    /// It took too long.
    TimedOut,
    /// A newcomer needed its place.
    MadeRoom,
}

impl Metrics {
    /// All at nothing.
    pub const fn new() -> Self {
        Self {
            links: [const { Gauge::new() }; KINDS.len()],
            links_opened: Each::new(),
            handshakes: Gauge::new(),
            handshakes_ended: Each::new(),
            shed: Counter::new(),
            requests: Each::new(),
            refusals: Each::new(),
            faults: Counter::new(),
            deliveries: Counter::new(),
            acknowledged: Counter::new(),
            posts: Counter::new(),
            blobs: Counter::new(),
            pushes: Counter::new(),
            bytes_in: Counter::new(),
            bytes_out: Counter::new(),
            accepted: Histogram::new(&SECONDS),
            store: Store {
                commit: Histogram::new(&SECONDS),
                writes: Histogram::new(&WRITES),
                held: Gauge::new(),
                held_bytes: Gauge::new(),
                mailbox_bytes: Gauge::new(),
                expired: Counter::new(),
                blob_bytes: Gauge::new(),
                blobs_expired: Counter::new(),
                refusing: Gauge::new(),
            },
            cluster: Cluster {
                retries: Counter::new(),
                joined: Gauge::new(),
                refusing: Gauge::new(),
                refusing_ms: Counter::new(),
                lag: Gauge::new(),
                missing: Gauge::new(),
                unsynced: Gauge::new(),
            },
            draining: Gauge::new(),
        }
    }

    /// A link that was opened, and is open until this is dropped.
    pub fn link(&self, kind: LinkKind) -> Raised<'_> {
        let kind = kind as usize;
        self.links_opened.add(kind, 1);
        self.links.get(kind).unwrap_or(&self.links[0]).raise()
    }

    /// A handshake that ended.
    pub fn shaken(&self, how: Handshake) {
        self.handshakes_ended.add(how as usize, 1);
    }

    /// A request that came.
    pub fn request(&self, request: &Request) {
        let kind = match request {
            Request::Register(_) => 0,
            Request::Login(_) => 1,
            Request::Publish(_) => 2,
            Request::SetToken(_) => 3,
            Request::Acknowledge(_) => ACKNOWLEDGE,
            Request::FetchBundle(_) => 5,
            Request::FetchDevices(_) => 6,
            Request::Deliver { .. } => DELIVER,
            Request::Post(_) => POST,
            Request::Follow { .. } => 9,
            Request::Unfollow(_) => 10,
            Request::Rooms { .. } => 11,
            Request::Members { .. } => 12,
            Request::PutBlob { .. } => PUT_BLOB,
            Request::FetchBlob { .. } => 14,
            Request::DropBlob(_) => 15,
            Request::Room { .. } => 16,
            Request::Unregister { .. } => 17,
            Request::SetDevices { .. } => 18,
        };
        self.requests.add(kind, 1);
    }

    /// A request that was answered.
    pub fn answered(&self, answer: &Result<Answer, Refusal>) {
        match answer {
            Ok(Answer::Accepted { .. }) => self.deliveries.add(1),
            Ok(Answer::Posted { .. }) => self.posts.add(1),
            Ok(_) => {}
            Err(refusal) => self.refused(refusal),
        }
    }

    /// A refusal that was answered, or ended a link.
    pub fn refused(&self, refusal: &Refusal) {
        self.refusals.add(refusal.number(), 1);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
