//! The page: the same conversations in a browser of this machine, and of nobody else.
//!
//! It listens on loopback. Whoever comes shows a token that serves once, gets a cookie for it, and is asked for that cookie
//! below a path that no other program on this machine knows: browsers give a cookie to every port of a host.

mod acts;
mod ask;
mod files;
mod gate;
mod held;
mod live;
mod lock;
mod pages;
mod shown;

use std::io::{BufRead as _, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Stop;
use super::cli::interrupted;
use super::screen::Screen;
use crate::api::{Error, ErrorCode, Event};
use crate::holder::Opening;
use ask::Ask;
use gate::Gate;
use held::Held;
use lock::{Given, Lock};

/// Longest form in bytes: a text that fits no message is refused in words.
const MAX_FORM: usize = 256 * 1024;

/// How long what is under way may take once the page is told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What every request needs.
struct Web {
    gate: Gate,
    ask: Ask,
    lock: Lock,
}

/// Where it listens, and whether it opens a browser.
pub(super) struct Options {
    pub(super) listen: SocketAddr,
    pub(super) open: bool,
    pub(super) may_ask: bool,
    /// After how long without a request of a person's pages are locked.
    pub(super) lock: Option<Duration>,
}

pub(super) async fn run(opening: Opening, screen: Screen, options: Options) -> Result<u8, Stop> {
    if !options.listen.ip().is_loopback() {
        return Err(Error::new(
            ErrorCode::Usage,
            format!("{} is not an address of this machine alone", options.listen),
        )
        .because("the page shows everything that you can read")
        .advise("sealpost web --listen 127.0.0.1:0; from another machine: ssh -L")
        .into());
    }
    let dir = opening.dir.clone();
    let mut held = Held::open(opening).await?;
    let outcome = serve(&mut held, &dir, screen, &options).await;
    held.finish().await;
    outcome
}

async fn serve(held: &mut Held, profile: &Path, screen: Screen, options: &Options) -> Result<u8, Stop> {
    let bound = TcpListener::bind(options.listen).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|error| {
        Error::new(ErrorCode::Failed, format!("nothing can listen on {}", options.listen))
            .because(error.to_string())
            .advise("sealpost web --listen 127.0.0.1:0")
    })?;
    let (lock, mut given) = Lock::new(options.lock);
    let web = Arc::new(Web { gate: Gate::new(address), ask: Ask::new(profile), lock });
    files::sweep(&web).await;
    tell(&web, screen)?;
    let door = if options.open { Some(Door::open(profile, &web.gate)?) } else { None };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let served = axum::serve(listener, routes(&web)).with_graceful_shutdown(async {
        let _ = ended.await;
    });
    let mut served = tokio::spawn(async move { served.await });
    let mut lines = lines(options.may_ask);
    let mut locked = web.lock.told();
    let stop = interrupted();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            error = held.reads() => return Err(error.into()),
            () = web.lock.idle() => web.lock.lock(),
            _ = locked.changed() => if *locked.borrow_and_update() { held.lock() },
            Some(Given { passphrase, tell }) = given.recv() => tokio::select! {
                opened = held.unlock(passphrase) => {
                    if opened.is_ok() {
                        web.lock.unlock();
                    }
                    // Whoever gave it may have gone.
                    let _ = tell.send(opened);
                }
                () = &mut stop => break,
            },
            Some(()) = lines.recv() => tell(&web, screen)?,
            () = &mut stop => break,
            _ = &mut served => break,
        }
    }
    drop(door);
    web.ask.end();
    let _ = end.send(());
    let _ = tokio::time::timeout(LAST_WORDS, &mut served).await;
    served.abort();
    Ok(0)
}

/// Serves the page of a profile that somebody holds, until it is dropped, never locks it and takes no passphrase: for whoever tests it
/// with bytes of their own. `tell` is given the way in.
///
/// # Errors
/// The listener has no address, or breaks.
pub async fn serve_held(profile: &Path, listener: TcpListener, tell: impl FnOnce(String)) -> std::io::Result<()> {
    // Nobody hears of passphrases: whoever gives one is told that at once.
    let (lock, _) = Lock::new(None);
    let web = Arc::new(Web { gate: Gate::new(listener.local_addr()?), ask: Ask::new(profile), lock });
    tell(web.gate.way_in());
    axum::serve(listener, routes(&web)).await
}

/// Prints the way in: it serves once.
fn tell(web: &Web, screen: Screen) -> Result<(), Stop> {
    screen.show(&Event::Listening { at: web.gate.way_in() })?;
    if screen.terminal && !screen.json {
        screen.note("the link serves once; Enter prints another one, Ctrl-C ends the page");
    }
    Ok(())
}

/// Lines that somebody types.
fn lines(may_ask: bool) -> mpsc::Receiver<()> {
    let (typed, lines) = mpsc::channel(1);
    if may_ask && std::io::stdin().is_terminal() {
        // A thread of its own: it ends with the process.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.is_err() || typed.blocking_send(()).is_err() {
                    return;
                }
            }
        });
    } else {
        // Kept open: an end would be heard again and again.
        std::mem::forget(typed);
    }
    lines
}

/// A file that leads a browser in: a link among a program's arguments could be read by everybody on this machine.
struct Door(PathBuf);

impl Door {
    fn open(profile: &Path, gate: &Gate) -> Result<Self, Error> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = profile.join("open.html");
        let failed = |error: std::io::Error| {
            Error::new(ErrorCode::Failed, "no browser can be opened")
                .because(error.to_string())
                .advise("sealpost web, and open the link that it prints")
        };
        let _ = std::fs::remove_file(&path);
        let mut file =
            std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(failed)?;
        let door = Self(path);
        let link = gate.way_in();
        write!(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={link}\">").map_err(failed)?;
        let opened = std::process::Command::new("xdg-open")
            .arg(&door.0)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        let mut browser = opened.map_err(failed)?;
        // Nobody else waits for it.
        std::thread::spawn(move || browser.wait());
        Ok(door)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn routes(web: &Arc<Web>) -> Router {
    let inside = Router::new()
        .route("/with/{name}", get(pages::person))
        .route("/room/{name}", get(pages::room))
        .route("/people", get(pages::people))
        .route("/search", get(pages::search))
        .route("/verify", get(pages::own))
        .route("/verify/{name}", get(pages::verify))
        .route("/do", post(acts::act))
        .route("/say", post(acts::say))
        .route("/file", post(files::bring).layer(DefaultBodyLimit::disable()))
        .route("/file/{id}", get(files::give))
        .route(lock::UNLOCK, post(lock::unlock))
        .route("/events", get(live::events))
        .route("/style.css", get(pages::style))
        .route("/page.js", get(pages::script))
        .route("/icon.svg", get(pages::icon))
        .layer(DefaultBodyLimit::max(MAX_FORM));
    Router::new()
        .route("/", get(gate::enter))
        .route(&format!("{}/", web.gate.base()), get(pages::home))
        .nest(web.gate.base(), inside)
        .fallback(pages::nothing)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(web), gate::guard))
        .with_state(Arc::clone(web))
}
