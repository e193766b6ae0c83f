//! The daemon: holds the profile, so that every other command is quick and asks nothing, and lets programs in by
//! JSON-RPC 2.0 on a socket of their own, each with a token that says where it may speak.

mod connection;
pub mod rpc;
pub mod scope;

use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::Stop;
use super::cli::interrupted;
use super::screen::Screen;
use crate::api::{Command, Error, ErrorCode, Event};
use crate::holder::{self, Opening, PAUSE, Session};

/// The socket's name in the profile's folder.
const NAME: &str = "rpc";

/// Programs at once.
const MAX_PROGRAMS: usize = 32;

/// How long another command may go on to hold the profile.
const TURN: Duration = Duration::from_secs(15);

pub(super) async fn run(mut opening: Opening, screen: Screen, at: Option<PathBuf>) -> Result<u8, Stop> {
    let (folder, name) = place(at, &opening.dir)?;
    let mut session = hold(&mut opening).await?;
    let outcome = serve(&mut session, &opening.dir, &folder, &name, screen).await;
    session.finish().await;
    outcome
}

/// Folder and name of the socket.
fn place(at: Option<PathBuf>, profile: &Path) -> Result<(PathBuf, String), Error> {
    let Some(at) = at else { return Ok((profile.to_owned(), NAME.to_owned())) };
    let path = std::path::absolute(&at).unwrap_or(at);
    match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) if folder.is_dir() => Ok((folder.to_owned(), name.to_owned())),
        _ => Err(Error::new(ErrorCode::Usage, format!("no socket can be made at {}", path.display()))
            .advise("sealpost daemon --socket FOLDER/NAME, where the folder is there")),
    }
}

/// Becomes the holder; commands that hold the profile for a moment are waited for.
async fn hold(opening: &mut Opening) -> Result<Session, Error> {
    let deadline = Instant::now() + TURN;
    loop {
        let session = Session::open(opening).await?;
        if session.holds() {
            return Ok(session);
        }
        session.finish().await;
        if Instant::now() >= deadline {
            return Err(Error::new(ErrorCode::InUse, "another process holds this profile")
                .because("a daemon, chat or recv --follow is running with it")
                .advise("end that one first; commands go through it already"));
        }
        sleep(PAUSE).await;
    }
}

async fn serve(session: &mut Session, profile: &Path, folder: &Path, name: &str, screen: Screen) -> Result<u8, Stop> {
    let at = folder.join(name);
    if tokio::net::UnixStream::connect(&at).await.is_ok() {
        return Err(Error::new(ErrorCode::InUse, format!("somebody listens at {}", at.display()))
            .advise("sealpost daemon --socket, with another path")
            .into());
    }
    let listener = holder::listen_at(folder, name).map_err(|error| {
        Error::new(ErrorCode::Failed, format!("the socket {} can't be made", at.display()))
            .because(error.to_string())
            .advise("sealpost daemon --socket, with another path")
    })?;
    // Online from the beginning: what arrives is there when somebody asks.
    session.give(Command::Subscribe).await?;
    let told = screen.show(&Event::Listening { at: at.display().to_string() });
    if told.is_ok() {
        accept(session, profile, &listener).await;
    }
    drop(listener);
    holder::remove_socket(folder, name);
    told.map(|()| 0)
}

/// Lets programs in until this process is told to end, or the profile is let go.
async fn accept(session: &mut Session, profile: &Path, listener: &UnixListener) {
    let own = rustix::process::geteuid().as_raw();
    let mut programs = JoinSet::new();
    let stop = interrupted();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept(), if programs.len() < MAX_PROGRAMS => match accepted {
                Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == own) => {
                    // This process holds the profile: nobody has to ask for its passphrase.
                    let refuse = || Err(holder::gone());
                    let mut opening = Opening::of_holder(profile, Box::new(refuse));
                    programs.spawn(async move {
                        if let Ok(session) = Session::open(&mut opening).await {
                            connection::serve(stream, session).await;
                        }
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the socket lets nobody in for a moment");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = programs.join_next() => {}
            // What happens is for those who asked; here it is only read.
            event = session.next() => if event.is_none() { return },
            () = &mut stop => return,
        }
    }
}
