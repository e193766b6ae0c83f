//! `serve`: opens folder, store and port, and serves until it is told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use sealpost_relay::Relay;
use sealpost_relay::admin::socket::Socket;
use sealpost_relay::config::Config;
use sealpost_relay::connection::Timing;
use sealpost_relay::demo::Demo;
use sealpost_relay::folder::Folder;
use sealpost_relay::listen::{Server, tls};
use sealpost_relay::store::Sqlite;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::address::printed;
use super::arguments::Options;
use super::failure::{ENVIRONMENT, Failure, RUNTIME};
use super::process::{open_files, shut_memory};
use super::say;

/// Runs the relay in the foreground.
pub(crate) fn serve(options: &Options, demo: bool) -> Result<(), Failure> {
    let mut config = Config::load(options.config.as_deref(), options)?;
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
    // For the door and for signals; links have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ENVIRONMENT, "the relay could not start", error, "allow it more threads"))?;
    let outcome = runtime.block_on(run(config, demo.as_ref()));
    // Nothing is left to wait for: links have ended, and the store with them.
    runtime.shutdown_background();
    outcome
}

async fn run(mut config: Config, demo: Option<&Demo>) -> Result<(), Failure> {
    let runtime = |error: &dyn std::fmt::Display| {
        Failure::new(RUNTIME, "the relay could not start", error, "look at the log above, and report this")
    };
    // First of all: whoever stops it while it starts finds nothing left of a demo either.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| runtime(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| runtime(&error))?;
    // A terminal that was closed.
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| runtime(&error))?;
    config.links = config.links.within(open_files());
    let folder = Folder::open(&config.data)?;
    let secret = folder.key()?;
    let store = Sqlite::open(&folder.store())?;
    let broken = store.stopped();
    let acceptor = tls(&secret).map_err(|error| runtime(&error))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        let advice = "choose another one with --listen ADDR:PORT, or stop what uses it";
        Failure::new(ENVIRONMENT, &format!("can't listen on {}", config.listen), error, advice)
    })?;
    let port = listener.local_addr().map_err(|error| runtime(&error))?.port();
    folder.note_port(port)?;
    let address = printed(&config, port, &secret)?;
    let rng = rand::rngs::StdRng::try_from_rng(&mut rand::rngs::SysRng).map_err(|error| runtime(&error))?;
    let relay = Relay::new(store, secret, config.rules(), rng).await.map_err(|fault| runtime(&fault))?;
    let relay = Arc::new(relay);
    relay.found_at(address.clone(), config.links.links);
    let operator = Socket::bind(&config.data, runtime_folder().as_deref())?;
    let server = Server::new(Arc::clone(&relay), acceptor, config.links.clone(), Timing::default());
    let server = server.on_threads(config.links.workers).map_err(|error| {
        Failure::new(ENVIRONMENT, "the relay could not start", error, "allow it more threads, or set links.workers")
    })?;

    let (stop, stopping) = watch::channel(false);
    let asked = tokio::spawn(operator.serve(relay, stopping.clone()));
    let serving = tokio::spawn(server.run(listener, stopping));
    say(&format!("{address}\n"));
    tracing::info!("the relay listens on port {port}");
    if let Some(demo) = demo {
        say(&demo.instructions(&address, &client()));
    }

    let failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        _ = hangup.recv() => false,
        () = broken => true,
    };
    tracing::info!("the relay stops");
    stop.send_replace(true);
    let ended = serving.await;
    // The store is closed once nobody asks any more.
    let _ = asked.await;
    if failed {
        let advice = "check the disk and its free space, then start again: what was accepted is there";
        return Err(Failure::new(RUNTIME, "the relay stopped", "its store could not be written", advice));
    }
    ended.map_err(|error| runtime(&error))
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
