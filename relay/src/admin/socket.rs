//! The relay's side of the socket: who may ask, how much, and for how long.

use std::fs::Permissions;
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Command, Line, MAX_LINE, Record, Trouble};
use crate::Relay;
use crate::connection::stopped;
use crate::listen::now;
use crate::store::Store;

/// The socket's name, in the data folder or beside it.
pub const NAME: &str = "relay.sock";
/// Longest path of a Unix socket in bytes: `sun_path` has 108, and a zero ends it.
pub const MAX_PATH: usize = 107;
/// Operators at once: one at a terminal, some scripts.
const AT_ONCE: usize = 8;
/// For a line to be asked: what asks is a program on this machine.
const ASKED: Duration = Duration::from_secs(10);
/// For an answer to be found: the largest reads a page of accounts with their mailboxes.
const ANSWERED: Duration = Duration::from_secs(30);
/// For an answer to be read.
const READ: Duration = Duration::from_secs(10);
/// After an accept that failed for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system's sockets have shorter paths.
    #[error("{path} has {length} bytes, and a socket's path has at most {MAX_PATH}")]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// Something else stands in its place.
    #[error("{0} is there already, and is no socket")]
    Taken(PathBuf),
    /// The operating system's own words.
    #[error("{path}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// Why not.
        error: Error,
    },
}

/// The socket, removed when it is dropped.
pub struct Socket {
    listener: UnixListener,
    _files: Files,
}

/// What is to be removed.
struct Files(Vec<PathBuf>);

impl Drop for Files {
    fn drop(&mut self) {
        for file in &self.0 {
            // It may be gone with its folder.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Socket {
    /// Listens in the data folder, which this process has locked; or in `runtime`, a folder for such things, and then
    /// leaves a link to it in the data folder. The socket is its owner's alone.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(data: &Path, runtime: Option<&Path>) -> Result<Self, SocketError> {
        let path = runtime.unwrap_or(data).join(NAME);
        let io = |error| SocketError::Io { path: path.clone(), error };
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_PATH {
            return Err(SocketError::TooLong { path, length });
        }
        vacant(&path)?;
        let listener = UnixListener::bind(&path).map_err(io)?;
        let mut files = Files(vec![path.clone()]);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(io)?;
        if runtime.is_some() {
            let link = data.join(NAME);
            vacant(&link)?;
            std::os::unix::fs::symlink(&path, &link).map_err(io)?;
            files.0.push(link);
        }
        Ok(Self { listener, _files: files })
    }

    /// Answers until `stopping` is true.
    pub async fn serve<S: Store>(self, relay: Arc<Relay<S>>, mut stopping: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stopping) => return,
                Some(_) = tasks.join_next() => continue,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(BREATH).await;
                continue;
            };
            if let Err(trouble) = permitted(&stream) {
                tracing::warn!("a process of another user asked at the admin socket");
                turn_away(&stream, trouble);
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                let cause = format!("{AT_ONCE} others are asking");
                turn_away(&stream, Trouble::new("the relay is asked too much at once", cause, "try again in a moment"));
                continue;
            };
            let relay = Arc::clone(&relay);
            tasks.spawn(async move {
                converse(&relay, stream).await;
                drop(place);
            });
        }
    }
}

/// Removes the socket of a relay that was killed, or a link to one.
fn vacant(path: &Path) -> Result<(), SocketError> {
    let io = |error| SocketError::Io { path: path.to_owned(), error };
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() || there.file_type().is_symlink() => {
            std::fs::remove_file(path).map_err(io)
        }
        Ok(_) => Err(SocketError::Taken(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(error)),
    }
}

/// The socket's mode keeps others out already; its folder may be one that others share.
fn permitted(stream: &UnixStream) -> Result<(), Trouble> {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => Ok(()),
        _ => {
            let advice = "run the command as the relay's user: sudo -u USER sealpost-relay admin ...";
            Err(Trouble::new("you may not ask this relay", "only its own user and root may", advice).exits(3))
        }
    }
}

/// Says why, where the socket takes it at once: nobody who may not ask makes the relay wait.
fn turn_away(stream: &UnixStream, trouble: Trouble) {
    let _ = stream.try_write(&written(Record::Error(trouble)));
}

/// One operator's questions, each with its answer, until there are no more.
async fn converse<S: Store>(relay: &Relay<S>, stream: UnixStream) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let answer = match timeout(ASKED, line(&mut reader)).await {
            Ok(Ok(Some(line))) => match asked(&line) {
                Ok(command) => match timeout(ANSWERED, relay.operate(now(), command)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(Trouble::new("the relay did not answer in time", "its store is slow", "try again")),
                },
                Err(trouble) => Err(trouble),
            },
            Ok(Ok(None)) => {
                let cause = format!("a line has at most {MAX_LINE} bytes");
                let trouble = Trouble::new("this line is too long", cause, "ask for less at once");
                // What follows can't be told apart any more.
                let _ = say(&mut writer, Err(trouble)).await;
                return;
            }
            // It has gone, or is silent.
            Ok(Err(_)) | Err(_) => return,
        };
        if say(&mut writer, answer).await.is_err() {
            return;
        }
    }
}

/// The next line; `None` where it is too long.
async fn line(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = (&mut *reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if read > MAX_LINE => Ok(None),
        // Half a line is no question.
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn asked(line: &[u8]) -> Result<Command, Trouble> {
    serde_json::from_slice(line).map_err(|error| {
        let advice = "sealpost-relay admin --help    # lists what there is";
        Trouble::new("this is no command", error.to_string(), advice).exits(2)
    })
}

async fn say(writer: &mut OwnedWriteHalf, answer: Result<Vec<Record>, Trouble>) -> std::io::Result<()> {
    let records = match answer {
        Ok(mut records) => {
            records.push(Record::End);
            records
        }
        Err(trouble) => vec![Record::Error(trouble)],
    };
    let bytes: Vec<u8> = records.into_iter().flat_map(written).collect();
    timeout(READ, writer.write_all(&bytes)).await?
}

fn written(record: Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Line::from(record)).expect("a record has text for keys");
    line.push(b'\n');
    line
}
