//! `serve`: opens ports, folder and store, and serves until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use sealpost_crypto::identity::RelaySecret;
use sealpost_relay::Relay;
use sealpost_relay::admin::socket::Socket;
use sealpost_relay::config::{Config, Door, SYSTEM};
use sealpost_relay::connection::Timing;
use sealpost_relay::demo::Demo;
use sealpost_relay::folder::Folder;
use sealpost_relay::listen::{Server, tls};
use sealpost_relay::metrics::{self, Health};
use sealpost_relay::migrate;
use sealpost_relay::store::jetstream::Settings;
use sealpost_relay::store::{Sqlite, Store};
use tokio::time::timeout;

use super::address::printed;
use super::arguments::Options;
use super::confine::{Needs, confine};
use super::failure::{CONFIGURATION, ENVIRONMENT, Failure, RUNTIME};
use super::process::{open_files, shut_memory};
use super::reload::Reload;
use super::signals::{Signals, Told};
use super::{cluster, log, say, systemd};

/// Connections that wait with the kernel until they are accepted: a burst after a restart.
const BACKLOG: i32 = 1024;
/// For the store's answer to whether it is alive: longer than any commit.
const ALIVE: Duration = Duration::from_secs(20);

/// Runs the relay in the foreground.
pub(crate) fn serve(options: &Options, key: Option<&Path>, demo: bool) -> Result<(), Failure> {
    let mut config = Config::load(options.config.as_deref(), options)?;
    let level = log::start(&config.log);
    let shared = cluster::settings(&config)?;
    let key = key.map(cluster::given_key).transpose()?;
    if key.is_some() && shared.is_none() {
        let cause = "a relay that stands alone makes a key of its own";
        let advice = "leave --key out, or name the cluster with --cluster";
        return Err(Failure::new(CONFIGURATION, "--key is for a cluster", cause, advice));
    }
    let demo = demo.then(Demo::new).transpose().map_err(|error| {
        Failure::new(ENVIRONMENT, "the demo's folder can't be made", error, "set TMPDIR to a folder that is writable")
    })?;
    if let Some(demo) = &demo {
        config.data = demo.data();
        if options.listen.is_none() {
            config.listen.set_port(0);
        }
    }
    if !config.dumpable {
        shut_memory();
    }
    let folder = Folder::open(&config.data)?;
    let doors = Doors::open(&config)?;
    // A demo takes its folder with it, out of the one in which it stands.
    if demo.is_none() {
        confine(&needs(options, &config)?);
    }
    // For the door and for signals; links have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ENVIRONMENT, "the relay could not start", error, "allow it more threads"))?;
    let outcome = runtime.block_on(run(options, config, level, (folder, doors), (shared, key), demo.as_ref()));
    // Nothing is left to wait for: links have ended, and the store with them.
    runtime.shutdown_background();
    outcome
}

/// Ports that are bound before the process may bind none any more.
struct Doors {
    relay: TcpListener,
    metrics: Option<TcpListener>,
}

impl Doors {
    fn open(config: &Config) -> Result<Self, Failure> {
        let inherited = systemd::inherited().map_err(|error| {
            let advice = "give a unit with ListenStream=PORT, or none";
            Failure::new(ENVIRONMENT, "the socket that was handed over can't be used", error, advice)
        })?;
        let relay = match inherited {
            Some(listener) => listener,
            None => bound(config.listen, "choose another one with --listen ADDR:PORT, or stop what uses it")?,
        };
        let metrics = match config.metrics {
            Door::Off => None,
            Door::At(address) => Some(bound(address, "choose another one with --metrics ADDR:PORT, or --metrics off")?),
        };
        for listener in [Some(&relay), metrics.as_ref()].into_iter().flatten() {
            listener.set_nonblocking(true).map_err(|error| started(&error))?;
        }
        Ok(Self { relay, metrics })
    }
}

fn bound(address: SocketAddr, advice: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .and_then(|listener| rustix::net::listen(&listener, BACKLOG).map_err(Into::into).map(|()| listener))
        .map_err(|error| Failure::new(ENVIRONMENT, &format!("can't listen on {address}"), error, advice))
}

fn started(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(RUNTIME, "the relay could not start", error, "look at the log above, and report this")
}

fn needs(options: &Options, config: &Config) -> Result<Needs, Failure> {
    let files = [Some(Path::new(SYSTEM)), options.config.as_deref()].into_iter().flatten();
    let read = files.filter_map(Path::parent).map(|folder| match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    });
    // What the process takes of the machine is read there.
    let read = read.chain([PathBuf::from("/proc/self")]);
    let (ports, names) = cluster::reached(config)?;
    Ok(Needs {
        written: [Some(config.data.clone()), runtime_folder()].into_iter().flatten().collect(),
        read: read.chain(names).collect(),
        ports,
    })
}

/// Opens the store, wherever it stands, and serves over it.
async fn run(
    options: &Options,
    config: Config,
    level: log::Level,
    (folder, doors): (Folder, Doors),
    (shared, key): (Option<Settings>, Option<RelaySecret>),
    demo: Option<&Demo>,
) -> Result<(), Failure> {
    // First of all: whoever stops it while it starts finds nothing left of a demo either.
    let mut signals = Signals::new().map_err(|error| started(&error))?;
    let files = open_files();
    let serving = Serving { options, config, level, folder, doors, files, demo };
    let Some(settings) = shared else {
        let secret = serving.folder.key()?;
        let store = Sqlite::open(&serving.folder.store())?;
        let stopped = store.stopped();
        let broken = async move {
            stopped.await;
            let advice = "check the disk and its free space, then start again: what was accepted is there";
            Failure::new(RUNTIME, "the relay stopped", "its store could not be written", advice)
        };
        let opened = Opened { store, secret, alive: Alive::Disk };
        return serve_over(serving, &mut signals, opened, broken).await;
    };
    let (store, secret) = tokio::select! {
        joined = cluster::join(&settings, &serving.folder, key) => joined?,
        // A cluster that does not answer is waited for.
        () = stopped(&mut signals) => return Ok(()),
    };
    store.serve();
    let broken = cluster::left(&store, secret.public());
    serve_over(serving, &mut signals, Opened { store, secret, alive: Alive::Elsewhere }, broken).await
}

/// Resolves when the relay is told to stop.
async fn stopped(signals: &mut Signals) {
    while !matches!(signals.next().await, Told::Stop) {}
}

/// What was opened before the store.
struct Serving<'a> {
    options: &'a Options,
    config: Config,
    level: log::Level,
    folder: Folder,
    doors: Doors,
    files: usize,
    demo: Option<&'a Demo>,
}

/// A store, and the key of the relay that serves it.
struct Opened<S> {
    store: S,
    secret: RelaySecret,
    alive: Alive,
}

/// How one knows that a store is alive.
#[derive(Clone, Copy)]
enum Alive {
    /// Its threads answer: where they don't, a new process does better.
    Disk,
    /// It is not this process's: a new one would find it as it is.
    Elsewhere,
}

/// Serves until it is told to stop, or the store is gone: `broken` says why.
async fn serve_over<S: Store>(
    serving: Serving<'_>,
    signals: &mut Signals,
    Opened { store, secret, alive }: Opened<S>,
    broken: impl Future<Output = Failure>,
) -> Result<(), Failure> {
    let Serving { options, config, level, folder, doors, files, demo } = serving;
    if migrate::unfinished(&store).await.map_err(|fault| started(&fault))? {
        let cause = "not all was copied into its store yet";
        return Err(Failure::new(RUNTIME, "the relay does not start", cause, "end it first: sealpost-relay migrate"));
    }
    let acceptor = tls(&secret).map_err(|error| started(&error))?;
    let port = doors.relay.local_addr().map_err(|error| started(&error))?.port();
    let listener = tokio::net::TcpListener::from_std(doors.relay).map_err(|error| started(&error))?;
    folder.note_port(port)?;
    let address = printed(&config, port, &secret)?;
    let rng = rand::rngs::StdRng::try_from_rng(&mut rand::rngs::SysRng).map_err(|error| started(&error))?;
    let relay = Relay::new(store, secret, config.rules(), rng).await.map_err(|fault| started(&fault))?;
    let relay = Arc::new(relay);
    let links = config.links.within(files);
    if links.links < config.links.links {
        let (most, wanted) = (links.links, config.links.links);
        tracing::warn!(most, wanted, files, "fewer links than configured: raise the limit of open files (LimitNOFILE)");
    }
    relay.found_at(address.clone(), links.links);
    let server = Server::new(Arc::clone(&relay), acceptor, links, Timing::default());
    let server = server.on_threads(config.links.workers).map_err(|error| {
        Failure::new(ENVIRONMENT, "the relay could not start", error, "allow it more threads, or set links.workers")
    })?;
    let limits = server.limits();
    let course = relay.course().clone();
    let operator = Socket::bind(&config.data, runtime_folder().as_deref())?;
    if let Some(door) = doors.metrics {
        let door = tokio::net::TcpListener::from_std(door).map_err(|error| started(&error))?;
        let port = door.local_addr().map_err(|error| started(&error))?.port();
        tracing::info!("the figures stand on port {port}");
        tokio::spawn(metrics::listen(door, Health { limits: limits.clone() }));
    }
    tokio::spawn(watchdog(Arc::downgrade(&relay), alive));
    let asked = tokio::spawn(operator.serve(Arc::clone(&relay), course.stopping()));
    let serving = tokio::spawn(server.run(listener));
    say(&format!("{address}\n"));
    tracing::info!("the relay listens on port {port}");
    systemd::ready("serving");
    if let Some(demo) = demo {
        say(&demo.instructions(&address, &client()));
    }

    let over = Duration::from_millis(u64::from(config.drain_ms));
    let mut reload = Reload { options, config, level, limits, files };
    let mut draining = course.draining();
    let drained = course.drained(over);
    tokio::pin!(drained, broken);
    let failed = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::Stop => break None,
                // A terminal that was closed.
                Told::Reload if demo.is_some() => break None,
                Told::Reload => {
                    systemd::reloading();
                    reload.again(&relay);
                    systemd::ready("serving");
                }
                Told::Drain => _ = course.drain(),
            },
            Ok(()) = draining.changed() => match *draining.borrow_and_update() {
                true => {
                    tracing::info!("the relay drains: it takes no new links, and ends when the last has gone");
                    systemd::status("draining");
                }
                false => {
                    tracing::info!("the relay takes links again");
                    systemd::status("serving");
                }
            },
            () = &mut drained => break None,
            failure = &mut broken => break Some(failure),
        }
    };
    tracing::info!("the relay stops");
    systemd::stopping();
    course.stop();
    let ended = serving.await;
    // The store is closed once nobody asks any more.
    let _ = asked.await;
    match failed {
        Some(failure) => Err(failure),
        None => ended.map_err(|error| started(&error)),
    }
}

/// The service manager hears that the relay is alive as long as its store reads and writes: both threads are asked for
/// something that is in no memory, and an empty batch waits for the commits before it.
async fn watchdog<S: Store>(relay: std::sync::Weak<Relay<S>>, how: Alive) {
    let alive = || async {
        let Some(relay) = relay.upgrade() else { return false };
        if let Alive::Elsewhere = how {
            return true;
        }
        let asked = async { (relay.store().part([0; 16], 0).await, relay.store().write(Vec::new()).await) };
        matches!(timeout(ALIVE, asked).await, Ok((Ok(_), Ok(_))))
    };
    systemd::watchdog(alive).await;
}

/// A folder that the init system made for sockets and such, the first where there are several.
fn runtime_folder() -> Option<PathBuf> {
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
    std::env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

/// The client's program, which stands beside this one.
fn client() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new(".")).join("sealpost")
}
