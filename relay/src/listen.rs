//! Where links come from: TLS 1.3 with the relay's own key, within limits, until the relay stops.

mod guests;
mod handshakes;
mod pace;
mod workers;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{self, kx_group, sign};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use sealpost_crypto::identity::RelaySecret;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use crate::Relay;
use crate::connection::{Arrival, Timing, Tls, serve, stopped};
use crate::metrics::{Handshake, METRICS};
use crate::quota::Prefix;
use crate::store::Store;
use crate::store::bell::lock;
use crate::store::segments;
use crate::store::sqlite::blobs;
pub use guests::Guest;
use guests::Guests;
use handshakes::{Handshakes, Lost, Turn};
use pace::Pace;
use workers::Workers;

/// For a TLS handshake: three flights over the slowest network that one can chat on.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// After an accept that failed for want of file descriptors or memory: others may be freed meanwhile.
const BREATH: Duration = Duration::from_millis(100);
/// For links to be closed when the relay stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Links beyond the limit that are told so: they have a place for a moment.
const TOLD: usize = 64;
/// Of them, so many in a second: telling takes a handshake, and a crowd at a full relay is cheaper to turn away without.
const TOLD_A_SECOND: usize = 50;
/// After so many that a full relay has turned away, the door rests for [`REST`]: to be turned away costs the whole
/// machine, and who comes again at once would take all of it.
const TURNED_AWAY: usize = 4;
const REST: Duration = Duration::from_millis(1);
/// Files of the store, its blobs, the runtime and the log.
const OWN_FILES: usize = 64 + blobs::FILES + segments::FILES;
/// How often what is due now and then is done.
const SWEEP: Duration = Duration::from_secs(300);
/// RFC 9266.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// How many links there may be. [RELAY-15]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// In all; less where the process may not open so many files. 10,000 idle links take some 130 MiB.
    pub links: usize,
    /// From one address: a household behind one, each with an authenticated link and some anonymous ones.
    pub links_per_address: usize,
    /// Handshakes at once: they are the dearest thing that a stranger can ask for, half a millisecond each. Beyond it
    /// the oldest makes room for a newcomer.
    pub handshakes: usize,
    /// Threads that serve links; 0: half of the cores, one at least. The store needs the others.
    pub workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { links: 10_000, links_per_address: 100, handshakes: 512, workers: 0 }
    }
}

impl Limits {
    /// These limits, where the process may open so many files: links never take what the store needs.
    #[must_use]
    pub fn within(self, files: usize) -> Self {
        let handshakes = self.handshakes.clamp(1, (files / 4).max(1));
        let links = self.links.min(files.saturating_sub(handshakes + TOLD + OWN_FILES).max(1));
        Self { links, handshakes, ..self }
    }
}

/// TLS 1.3 and nothing else, the hybrid group first, the relay's Ed25519 key as a raw public key (RFC 7250). No session
/// tickets, no resumption, no early data: they would tie a client's links together. [RELAY-2]
///
/// # Errors
/// None with a key that the crypto crate made.
pub fn tls(secret: &RelaySecret) -> Result<TlsAcceptor, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let key = sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(secret.pkcs8().as_slice()))?;
    let certified = CertifiedKey::new(vec![CertificateDer::from(secret.spki())], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(certified))));
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A relay at its door.
pub struct Server<S> {
    relay: Arc<Relay<S>>,
    tls: TlsAcceptor,
    limits: LiveLimits,
    timing: Timing,
    handshakes: Handshakes,
    links: Links,
    guests: Guests,
    telling: Telling,
    pace: Pace,
    turned_away: AtomicUsize,
    workers: Workers,
}

/// How many newcomers a full relay has told so in the present second, and when that began.
#[derive(Default)]
struct Telling(Mutex<Option<(Instant, usize)>>);

impl Telling {
    /// Whether one more may be told.
    fn one_more(&self, now: Instant) -> bool {
        let mut present = lock(&self.0);
        let (_, told) = match &mut *present {
            Some(second) if now < second.0 + Duration::from_secs(1) => second,
            other => other.insert((now, 0)),
        };
        *told += 1;
        *told <= TOLD_A_SECOND
    }
}

/// Limits that may change while the relay runs: who has a link keeps it. Cheap to clone: a clone is the same limits.
#[derive(Clone)]
pub struct LiveLimits(Arc<Mutex<Limits>>);

impl LiveLimits {
    /// These, to begin with.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(limits)))
    }

    /// What holds from now on.
    pub fn set(&self, limits: Limits) {
        *lock(&self.0) = limits;
    }

    /// What holds now.
    pub fn now(&self) -> Limits {
        *lock(&self.0)
    }
}

/// How many links there are, from each address and in all.
#[derive(Clone, Default)]
struct Links(Arc<Mutex<HashMap<Prefix, usize>>>, Arc<Mutex<usize>>);

/// A link's place among them; dropping it frees it.
struct Place(Links, Prefix);

impl Links {
    /// A place, the number of links from its address with it, and of all.
    fn enter(&self, from: Prefix) -> (Place, usize, usize) {
        let here = {
            let mut links = lock(&self.0);
            let here = links.entry(from).or_default();
            *here += 1;
            *here
        };
        let mut all = lock(&self.1);
        *all += 1;
        (Place(self.clone(), from), here, *all)
    }
}

impl Links {
    /// How many there are from an address.
    fn from(&self, from: Prefix) -> usize {
        lock(&self.0).get(&from).copied().unwrap_or_default()
    }

    /// How many there are.
    fn all(&self) -> usize {
        *lock(&self.1)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *lock(&self.0.1) -= 1;
        let mut links = lock(&self.0.0);
        if let Some(here) = links.get_mut(&self.1) {
            *here -= 1;
            if *here == 0 {
                links.remove(&self.1);
            }
        }
    }
}

impl<S: Store> Server<S> {
    /// A door to this relay, whose links are served by the runtime that runs it.
    pub fn new(relay: Arc<Relay<S>>, tls: TlsAcceptor, limits: Limits, timing: Timing) -> Self {
        let limits = LiveLimits::new(limits);
        let workers = Workers::none(relay.shard());
        let (handshakes, links, guests, telling, pace, turned_away) = Default::default();
        Self { relay, tls, limits, timing, handshakes, links, guests, telling, pace, turned_away, workers }
    }

    /// Serves the links by so many threads instead; 0: half of the cores, one at least.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn on_threads(mut self, count: usize) -> std::io::Result<Self> {
        let count = if count == 0 { workers::usual() } else { count };
        self.workers = Workers::start(count, || self.relay.shard())?;
        Ok(self)
    }

    /// Its limits, to be changed.
    pub fn limits(&self) -> LiveLimits {
        self.limits.clone()
    }

    /// Takes links until the relay is to stop; then tells them all and waits for their end.
    pub async fn run(self, listener: TcpListener) {
        let server = Arc::new(self);
        // Every task has the other end, or a copy of it, until it ends.
        let (serving, mut ended) = mpsc::channel::<Infallible>(1);
        tokio::spawn(sweep(Arc::clone(&server.relay), server.relay.course().stopping(), serving.clone()));
        tokio::spawn(Arc::clone(&server.relay).has_neighbours(server.relay.course().stopping()));
        match listener.into_std() {
            Ok(listener) => {
                let accepting = server.workers.at_the_door(Arc::clone(&server).accept(listener, serving));
                // An error says that it panicked: that was logged.
                let _ = accepting.await;
            }
            Err(error) => tracing::error!("no links can be taken: {error}"),
        }
        let _ = timeout(DRAIN, ended.recv()).await;
    }

    async fn accept(self: Arc<Self>, listener: std::net::TcpListener, serving: Serving) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("no links can be taken: {error}"),
        };
        let mut stopping = self.relay.course().stopping();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopped(&mut stopping) => return,
            };
            match accepted {
                Ok((tcp, address)) => {
                    let Some(newcomer) = self.newcomer(tcp, address.ip()).await else { continue };
                    // This is the door's thread, and it has no other work.
                    tokio::spawn(Arc::clone(&self).arrive(newcomer, serving.clone()));
                }
                // It went before it was served, which is nobody else's matter.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    sleep(BREATH).await;
                }
            }
        }
    }

    /// A newcomer with its turn for a handshake; `None` where it is not worth one: it is closed at once.
    async fn newcomer(&self, tcp: TcpStream, address: IpAddr) -> Option<Newcomer> {
        let (from, limits) = (address.into(), self.limits.now());
        let all = self.links.all();
        let crowded = all >= limits.links && !self.guests.could(self.timing.guest);
        let full = crowded && (all >= limits.links + TOLD || !self.telling.one_more(Instant::now()));
        let rate = self.relay.handshake_rate();
        let begins = match full || self.links.from(from) >= 2 * limits.links_per_address {
            true => None,
            false => self.pace.turn(from, rate, Instant::now()),
        };
        let Some(begins) = begins else {
            METRICS.shed.add(1);
            drop(tcp);
            if full {
                // There is no place for anybody: nobody honest waits longer for it.
                self.rest().await;
            }
            return None;
        };
        loop {
            match self.handshakes.enter(from, limits.handshakes) {
                Ok((turn, lost)) => return Some(Newcomer { tcp, address, begins, turn, lost }),
                // Meanwhile others wait with the kernel.
                Err(again) => sleep_until(again).await,
            }
        }
    }

    /// After so many that a full relay has turned away, the door rests a little.
    async fn rest(&self) {
        if self.turned_away.fetch_add(1, Ordering::Relaxed) % TURNED_AWAY == TURNED_AWAY - 1 {
            sleep(REST).await;
        }
    }

    /// From the first byte to a link, which is a task of its own: what the handshake needed has gone by then.
    async fn arrive(self: Arc<Self>, newcomer: Newcomer, serving: Serving) {
        let Newcomer { tcp, address, begins, turn, lost } = newcomer;
        options(&tcp);
        let handshake = async {
            if begins > Instant::now() {
                sleep_until(begins).await;
            }
            timeout(HANDSHAKE, self.handshake(tcp, &turn)).await
        };
        let (shaken, how) = tokio::select! {
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => (Some(stream), Handshake::Done),
                Ok(Err(_)) => (None, Handshake::Failed),
                Err(_) => (None, Handshake::TimedOut),
            },
            () = lost.lost() => (None, Handshake::MadeRoom),
        };
        METRICS.shaken(how);
        let Some(stream) = shaken else { return };
        let (place, here, all) = self.links.enter(address.into());
        drop(turn);
        let Ok(channel) = stream.get_ref().1.export_keying_material([0; 32], EXPORTER, None) else { return };
        // A little beyond the limits a link is told so; further beyond it would not have come so far.
        let limits = self.limits.now();
        let crowded = here > limits.links_per_address;
        let full = crowded || all > limits.links;
        let surplus = full && !self.guests.make_room(crowded.then(|| address.into()), self.timing.guest);
        let (guest, told) = self.guests.enter(address.into());
        let (tcp, tls) = stream.into_inner();
        let Ok(tcp) = tcp.into_std() else { return };
        let server = Arc::clone(&self);
        let worker = server.workers.next();
        let guest = Some(Arc::new(guest));
        let arrival = Arrival { address, channel, surplus, shard: worker.shard.clone(), guest };
        // Boxed, so that it takes no memory of the task once the link has begun.
        let begins = Box::new((tcp, tls, arrival, self.relay.course().link(), told));
        worker.spawn(async move {
            // The box goes with this block: as the task's own it would stay as long as the task.
            let (tcp, tls, arrival, stopping, told) = {
                let begins = begins;
                *begins
            };
            let Ok(tcp) = TcpStream::from_std(tcp) else { return };
            tokio::select! {
                () = serve(&self.relay, Tls::new(tcp, tls), arrival, &self.timing, now, stopping) => {}
                // It makes room: at once, whatever its peer still reads.
                Ok(()) = told => METRICS.shed.add(1),
            }
            drop((place, serving));
        });
    }

    async fn handshake(&self, tcp: TcpStream, turn: &Turn) -> std::io::Result<TlsStream<TcpStream>> {
        let first = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await?;
        turn.begun();
        let mut stream = pin!(first.into_stream(Arc::clone(self.tls.config())));
        poll_fn(|context| {
            let began = std::time::Instant::now();
            let polled = stream.as_mut().poll(context);
            self.workers.after_you(began.elapsed(), self.handshakes.many());
            polled
        })
        .await
    }
}

/// Kept by whatever has to end before the relay has stopped.
type Serving = mpsc::Sender<Infallible>;

struct Newcomer {
    tcp: TcpStream,
    address: IpAddr,
    /// When its handshake may begin.
    begins: Instant,
    turn: Turn,
    lost: Lost,
}

/// Small frames go out at once, and a peer whose network has gone is noticed by the kernel too. Where the system knows
/// an option not, the link's own deadlines do.
fn options(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(tcp, 30_000);
}

async fn sweep<S: Store>(relay: Arc<Relay<S>>, mut stopping: watch::Receiver<bool>, _serving: Serving) {
    loop {
        if let Err(fault) = relay.sweep(now()).await {
            relay.internal(&fault);
        }
        tokio::select! {
            () = sleep(SWEEP) => {}
            () = stopped(&mut stopping) => return,
        }
    }
}

/// The wall clock, Unix milliseconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
