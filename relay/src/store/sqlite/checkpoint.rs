//! Brings what stands in the file's log into the file, beside the writer: most of a checkpoint is writing and syncing
//! the file itself, for which nobody who is to be told *accepted* has to wait.
//!
//! While the writer goes on, the log never comes to its end. So the thread is asked again for what came meanwhile, which
//! is less each time; once that is little, the writer does the rest, and its next commit begins the log anew.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode};

/// Bytes that the log gets before they are brought into the file: read again after a kill in a fraction of a second.
pub(super) const CHECKPOINT: usize = 32 * 1024 * 1024;
/// So little the writer brings in itself: some milliseconds.
const LITTLE: usize = 2 * 1024 * 1024;
/// At so many bytes it does it all: a disk that falls behind must not be filled by the log.
const MUCH: usize = 8 * CHECKPOINT;

/// The thread, as the writer sees it.
pub(super) struct Checkpointer {
    ask: Option<Sender<()>>,
    done: Receiver<rusqlite::Result<()>>,
    thread: Option<JoinHandle<()>>,
    /// Bytes that went to the log since it was begun, and since it was last asked, roughly.
    log: usize,
    since: usize,
    asked: bool,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (ask, asked) = channel();
        let (finished, done) = channel();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || while asked.recv().is_ok() && finished.send(checkpoint(&connection)).is_ok() {})?;
        Ok(Self { ask: Some(ask), done, thread: Some(thread), log: 0, since: 0, asked: false })
    }

    /// After a commit of about so many bytes by this connection. An error: what was to be synced may not have been.
    pub(super) fn committed(&mut self, connection: &Connection, bytes: usize) -> rusqlite::Result<()> {
        self.log += bytes;
        self.since += bytes;
        if self.asked {
            let Ok(done) = self.done.try_recv() else { return Ok(()) };
            self.asked = false;
            done?;
            if self.since > LITTLE && self.log < MUCH {
                self.ask();
                return Ok(());
            }
            checkpoint(connection)?;
            (self.log, self.since) = (0, 0);
        } else if self.log > CHECKPOINT {
            self.ask();
        }
        Ok(())
    }

    fn ask(&mut self) {
        self.since = 0;
        self.asked = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
    }
}

impl Drop for Checkpointer {
    /// Waits for the thread, and with it for its connection: the file has the writer's alone then.
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(thread) = self.thread.take() {
            // It panicked: that was logged, and nothing can be done here.
            let _ = thread.join();
        }
    }
}

/// As far as readers let it.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    match connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        // The log stays as it is, and holds all that the file has no room for.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => Ok(()),
        done => done,
    }
}
