//! The store of relays that share a NATS JetStream cluster: none of them knows of the others.
//!
//! | shape | here |
//! |---|---|
//! | log | a stream per kind, a subject per entry below its log's; a seq is the message's |
//! | table | a stream that keeps one message per key; a revision is that message's seq |
//! | blob | a stream, a subject per part |
//!
//! What must be the newest is asked of a stream's leader: whether a revision holds, what comes next in a log and where it
//! ends. What relays have in memory beside is for speed alone; each of them may go at any time.
//!
//! How durable that is depends on the servers' own settings, and stands in `spec/durability.md`.

mod batch;
mod blobs;
mod bus;
mod flights;
mod lengths;
mod logs;
mod names;
mod news;
mod pulse;
mod status;
mod streams;
mod tables;
mod wakes;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use bytes::Bytes;
use futures_util::future::join_all;
use sealpost_spec::mailbox::{Seq, StoreId};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc};

use super::bell::{Bells, lock};
use super::{
    Bell, CrashPoint, CrashPoints, Entry, Fault, Key, Limit, Log, Neighbours, Store, Usage, Value, Watch, Write,
    Written,
};
use blobs::Ends;
use bus::{Bus, Deadline};
use flights::Flights;
use lengths::Lengths;
use logs::Sums;
use names::Names;
use news::Board;
use pulse::Heart;
pub use status::{RelayStatus, Replica, StreamStatus};
use wakes::Ears;

/// The header that says what the last message under a subject has to be.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// The header that says under which subjects.
const OF_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The oldest server that publishes a batch as a whole.
pub const OLDEST: (u64, u64) = (2, 12);
/// The largest message that a relay publishes: a part of a blob, with what stands around it.
const LARGEST: usize = 128 * 1024;

/// For a connection to one server.
const CONNECT: Duration = Duration::from_secs(3);
/// A server that says nothing for two of these is given up.
const PING: Duration = Duration::from_secs(2);
/// For the servers to be there, and to have elected their leaders.
const START: Duration = Duration::from_secs(60);
/// Longest wait before the next attempt to connect.
const RECONNECT: Duration = Duration::from_millis(500);
/// Between two looks at a value that may be replaced.
const LOOK: Duration = Duration::from_secs(30);
/// Wakes that wait to be heard; beyond that every bell rings.
const WAKES: usize = 64 * 1024;
/// Batches that are published as a whole at once: a server takes fifty in all.
const TOGETHER: usize = 8;

/// How to reach a cluster.
#[derive(Clone)]
pub struct Settings {
    /// `nats://HOST:PORT` each, or `tls://HOST:PORT`.
    pub servers: Vec<String>,
    /// Who the relay is there, and its password.
    pub login: Option<(String, String)>,
    /// For TLS.
    pub tls: Option<rustls::ClientConfig>,
    /// The first word of everything that is kept.
    pub prefix: String,
    /// On how many servers everything is kept.
    pub replicas: u8,
    /// Hosts and ports at which the servers tell how they are set up.
    pub monitors: Vec<(String, u16)>,
}

/// Why a cluster can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An address is none.
    #[error("{0:?} is no address of a NATS server")]
    Address(String),
    /// Nobody let us in.
    #[error("no server of the cluster could be reached: {0}")]
    Unreachable(String),
    /// Too old.
    #[error("nats-server {0} is too old: a relay needs {major}.{minor} or newer", major = OLDEST.0, minor = OLDEST.1)]
    TooOld(String),
    /// It has none.
    #[error("the NATS server {0} runs without JetStream")]
    NoJetStream(String),
    /// It takes too little.
    #[error("the NATS server takes messages of {is} bytes at most, and a relay sends up to {LARGEST}")]
    MaxPayload {
        /// Bytes.
        is: usize,
    },
    /// A stream is there, and promises less or other things.
    #[error("the stream {stream} has {setting} = {is}, and a relay needs {wanted}")]
    Differs {
        /// Which stream.
        stream: String,
        /// Which setting.
        setting: String,
        /// What it is.
        is: String,
        /// What it must be.
        wanted: String,
    },
    /// A stream is there that is not this store's.
    #[error("the stream {0} belongs to another store, or to none of a relay's")]
    Stranger(String),
    /// The store's own.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The operating system's own words.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A store in the streams of a cluster.
pub struct JetStream {
    id: StoreId,
    bus: Bus,
    names: Names,
    bells: Bells,
    sums: Arc<Sums>,
    flights: Arc<Flights>,
    lengths: Lengths,
    ends: Ends,
    together: Semaphore,
    board: Mutex<Option<Board>>,
    /// `None` once it beats.
    heart: Mutex<Option<Heart>>,
    life: Life,
    /// Carries the connection; `None` once this is dropped.
    runtime: Option<Runtime>,
}

/// When a test wants it to die.
struct Life {
    crash: CrashPoints,
    commits: AtomicU64,
    stopped: AtomicBool,
}

impl Life {
    fn alive(&self) -> Result<(), Fault> {
        if self.stopped.load(Ordering::Acquire) { Err(Fault::Stopped) } else { Ok(()) }
    }

    fn reach(&self, point: CrashPoint) -> Result<(), Fault> {
        self.alive()?;
        let commit = match point {
            CrashPoint::BeforeCommit => self.commits.fetch_add(1, Ordering::AcqRel) + 1,
            CrashPoint::BetweenSyncs | CrashPoint::AfterCommit => self.commits.load(Ordering::Acquire),
        };
        if self.crash.crashes(point, commit) {
            self.stopped.store(true, Ordering::Release);
        }
        self.alive()
    }
}

impl JetStream {
    /// Connects to a cluster, and finds its streams or makes them.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        Self::crashing(settings, CrashPoints::none()).await
    }

    /// The same, crashing at these points.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn crashing(settings: &Settings, crash: CrashPoints) -> Result<Self, OpenError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("cluster").enable_all().build()?;
        let mut store = Kept { runtime: Some(runtime) };
        let handle = store.runtime.as_ref().map(|runtime| runtime.handle().clone()).ok_or(Fault::Stopped)?;
        let (settings, bells) = (settings.clone(), Bells::default());
        let hung = bells.clone();
        let opened = handle.spawn(async move { connected(&settings, hung).await }).await;
        let (id, bus, names, board, heart) = opened.map_err(|_| Fault::Stopped)??;
        Ok(Self {
            id,
            bus,
            names,
            bells,
            sums: Arc::default(),
            flights: Arc::default(),
            lengths: Lengths::default(),
            ends: Ends::default(),
            together: Semaphore::new(TOGETHER),
            board: Mutex::new(Some(board)),
            heart: Mutex::new(Some(heart)),
            life: Life { crash, commits: AtomicU64::new(0), stopped: AtomicBool::new(false) },
            runtime: store.runtime.take(),
        })
    }
}

impl JetStream {
    /// Says from now on that a relay is here, and looks after the cluster.
    pub fn serve(&self) {
        if let (Some(runtime), Some(heart)) = (&self.runtime, lock(&self.heart).take()) {
            runtime.spawn(heart.beat());
        }
    }

    /// Resolves when a value is there, and is not this one: looked at now and then. It goes on without the store.
    pub fn replaced(&self, key: Key, own: Vec<u8>) -> impl Future<Output = ()> + Send + use<> {
        let (bus, names) = (self.bus.clone(), self.names.clone());
        async move {
            loop {
                tokio::time::sleep(LOOK).await;
                // Where nobody answers, nothing was replaced.
                let there = tables::get(&bus, &names, std::slice::from_ref(&key)).await.ok();
                let there = there.and_then(|mut values| values.pop().flatten());
                if there.is_some_and(|value| *value.bytes != *own) {
                    return;
                }
            }
        }
    }
}

/// A runtime may not be dropped where others run.
struct Kept {
    runtime: Option<Runtime>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Drop for JetStream {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// How a cluster does: its streams, and the relays that are there.
///
/// # Errors
/// See [`OpenError`].
pub async fn look(settings: &Settings) -> Result<(Vec<StreamStatus>, Vec<RelayStatus>), OpenError> {
    let (miss, _missed) = mpsc::channel(1);
    let bus = Bus::new(connect(settings, miss, Deadline::after(CONNECT)).await?);
    let names = Names::new(&settings.prefix);
    let plans = streams::plans(&names, settings.replicas);
    let streams = join_all(plans.iter().map(|plan| status::stream(&bus, plan))).await;
    let relays = match streams.iter().all(|stream| stream.leader.is_some()) {
        true => status::relays(&bus, &names).await,
        false => Vec::new(),
    };
    Ok((streams, relays))
}

/// Connects, begins to listen, and settles the streams.
async fn connected(settings: &Settings, bells: Bells) -> Result<(StoreId, Bus, Names, Board, Heart), OpenError> {
    let until = Deadline::after(START);
    let (miss, missed) = mpsc::channel(1);
    let client = connect(settings, miss, until).await?;
    let names = Names::new(&settings.prefix);
    let ears = Ears::open(&client, &names).await.map_err(|error| OpenError::Unreachable(words(&error)))?;
    let board = Board::open(&client, &names).await.map_err(|error| OpenError::Unreachable(words(&error)))?;
    tokio::spawn(ears.listen(bells, missed));
    let bus = Bus::new(client);
    let plans = streams::plans(&names, settings.replicas);
    let mut id = None;
    for plan in &plans {
        id = Some(plan.settle(&bus, id, until).await?);
    }
    let id = id.ok_or(Fault::Damaged("a cluster"))?;
    tables::retire(&bus, &names, until).await?;
    let (monitors, servers) = (settings.monitors.clone(), settings.servers.len());
    let heart = Heart { bus: bus.clone(), names: names.clone(), plans, monitors, servers };
    Ok((StoreId(id), bus, names, board, heart))
}

/// Connects to one of the servers, and looks whether it will do. `miss`: told when something may have been missed.
async fn connect(settings: &Settings, miss: mpsc::Sender<()>, until: Deadline) -> Result<Client, OpenError> {
    let addresses = settings.servers.iter().map(|server| {
        let address: Result<async_nats::ServerAddr, _> = server.parse();
        address.map_err(|_| OpenError::Address(server.clone()))
    });
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    let mut options = ConnectOptions::new()
        .name("sealpost-relay")
        // Those alone that the operator has named: the process may reach no others.
        .ignore_discovered_servers()
        .connection_timeout(CONNECT)
        .ping_interval(PING)
        .subscription_capacity(WAKES)
        .reconnect_delay_callback(|attempts| match attempts {
            0 | 1 => Duration::ZERO,
            attempts => RECONNECT.min(Duration::from_millis(20 * attempts as u64)),
        })
        .event_callback(move |event| {
            let miss = miss.clone();
            async move {
                match event {
                    // Already told where there is no room.
                    Event::Connected | Event::SlowConsumer(_) => _ = miss.try_send(()),
                    Event::Disconnected => tracing::warn!("the connection to the cluster is lost"),
                    Event::ServerError(error) => tracing::warn!("a server of the cluster says: {}", words(&error)),
                    other => tracing::debug!("cluster: {}", words(&other)),
                }
            }
        });
    if let Some((user, password)) = &settings.login {
        options = options.user_and_password(user.clone(), password.clone());
    }
    if let Some(tls) = &settings.tls {
        options = options.require_tls(true).tls_client_config(tls.clone());
    }
    let mut patience = bus::Patience::until(until);
    let client = loop {
        match options.clone().connect(addresses.as_slice()).await {
            Ok(client) => break client,
            Err(error) if patience.wait().await.is_err() => return Err(OpenError::Unreachable(words(&error))),
            Err(_) => {}
        }
    };
    let server = client.server_info();
    if !server.jetstream {
        return Err(OpenError::NoJetStream(shown(&server.server_name)));
    }
    if !new_enough(&server.version) {
        return Err(OpenError::TooOld(shown(&server.version)));
    }
    if server.max_payload < LARGEST {
        return Err(OpenError::MaxPayload { is: server.max_payload });
    }
    Ok(client)
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u64>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= OLDEST)
}

/// Words of a server or of the system, for a terminal or the log: one printable line.
fn words(text: &impl std::fmt::Display) -> String {
    text.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

/// What a server says of itself, for a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

impl Store for JetStream {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn write(&self, batch: Vec<Write>) -> Result<Vec<Written>, Fault> {
        if batch.is_empty() {
            return self.life.alive().map(|()| Vec::new());
        }
        self.life.reach(CrashPoint::BeforeCommit)?;
        let written = self.apply(&batch).await?;
        self.life.reach(CrashPoint::AfterCommit)?;
        Ok(written)
    }

    fn neighbours(&self) -> Option<Neighbours> {
        let runtime = self.runtime.as_ref()?;
        Some(lock(&self.board).take()?.begin(runtime.handle()))
    }

    async fn read(&self, log: &Log, after: Seq, limit: Limit) -> Result<Vec<Entry>, Fault> {
        self.life.alive()?;
        self.flights.landed(&self.names.log(log)).await;
        logs::read(&self.bus, &self.names, log, after, limit, Deadline::new()).await
    }

    async fn usage(&self, log: &Log) -> Result<Usage, Fault> {
        self.life.alive()?;
        self.flights.landed(&self.names.log(log)).await;
        logs::usage(&self.bus, &self.names, &self.sums, log).await
    }

    async fn total(&self, kind: &'static str) -> Result<Usage, Fault> {
        self.life.alive()?;
        logs::total(&self.bus, &self.names, kind).await
    }

    fn watch(&self, log: &Log, bell: &Bell, tag: u8) -> Watch {
        self.bells.watch(&self.names.log(log).place(log.kind), bell, tag)
    }

    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Value>>, Fault> {
        self.life.alive()?;
        tables::get(&self.bus, &self.names, &keys).await
    }

    async fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Value)>, Fault> {
        self.life.alive()?;
        tables::scan(&self.bus, &self.names, &self.lengths, tables::Range { table, prefix, after }, limit).await
    }

    async fn count(&self, table: &'static str, prefix: &[u8]) -> Result<u64, Fault> {
        self.life.alive()?;
        tables::count(&self.bus, &self.names, table, prefix).await
    }

    async fn put_part(&self, blob: [u8; 16], number: u32, bytes: Bytes) -> Result<u32, Fault> {
        self.life.alive()?;
        blobs::put(&self.bus, &self.names, &self.ends, blob, number, bytes).await
    }

    async fn parts(&self, blob: [u8; 16]) -> Result<u32, Fault> {
        self.life.alive()?;
        blobs::count(&self.bus, &self.names, blob).await
    }

    async fn part(&self, blob: [u8; 16], number: u32) -> Result<Option<Bytes>, Fault> {
        self.life.alive()?;
        blobs::part(&self.bus, &self.names, blob, number).await
    }

    async fn delete_blob(&self, blob: [u8; 16]) -> Result<(), Fault> {
        self.life.alive()?;
        blobs::delete(&self.bus, &self.names, &self.ends, blob).await
    }
}
