//! Brings what stands in the file's log into the file, beside the writer: most of a checkpoint is writing and syncing
//! the file itself, for which nobody who is to be told *accepted* has to wait.
//!
//! While the writer goes on, the log never comes to its end. So the thread is asked again for what came meanwhile, which
//! is less each time; once that is little, the writer does the rest, and its next commit begins the log anew.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
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
            let done = match self.done.try_recv() {
                Ok(done) => Some(done),
                Err(TryRecvError::Empty) => return Ok(()),
                // The thread is gone: the writer does it all from now on.
                Err(TryRecvError::Disconnected) => None,
            };
            self.asked = false;
            let helped = done.transpose()?.is_some();
            if helped && self.since > LITTLE && self.log < MUCH {
                self.ask();
                return Ok(());
            }
            checkpoint(connection)?;
            (self.log, self.since) = (0, 0);
        } else if self.log > CHECKPOINT {
            self.ask();
            if !self.asked {
                checkpoint(connection)?;
                (self.log, self.since) = (0, 0);
            }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn open(file: &Path) -> Connection {
        let connection = Connection::open(file).unwrap();
        for (name, value) in [("journal_mode", "WAL"), ("wal_autocheckpoint", "0")] {
            connection.pragma_update(None, name, value).unwrap();
        }
        connection
    }

    fn length(file: &Path, end: &str) -> u64 {
        let name = format!("{}{end}", file.display());
        std::fs::metadata(name).unwrap().len()
    }

    const MORE: &str = "INSERT INTO t VALUES (zeroblob(100000))";

    /// A file with all that it has in the log beside it.
    fn behind(file: &Path) -> Connection {
        let writer = open(file);
        writer.execute_batch("CREATE TABLE t (bytes BLOB)").unwrap();
        writer.execute_batch(MORE).unwrap();
        assert!(length(file, "") < 100_000);
        writer
    }

    /// As if the thread had answered so.
    fn told(done: Option<rusqlite::Result<()>>) -> Checkpointer {
        let (finished, answers) = channel();
        done.into_iter().for_each(|done| finished.send(done).unwrap());
        Checkpointer { ask: None, done: answers, thread: None, log: CHECKPOINT, since: 0, asked: true }
    }

    /// The thread brings a long log in while the writer goes on; the writer brings in the little that came meanwhile, and its
    /// next commit begins the log anew: it does not grow for ever.
    #[test]
    fn a_long_log_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let writer = behind(&file);
        let mut checkpointer = Checkpointer::start(open(&file)).unwrap();
        checkpointer.committed(&writer, CHECKPOINT).unwrap();
        assert!(!checkpointer.asked, "it is not long enough");
        checkpointer.committed(&writer, 1).unwrap();
        assert!(checkpointer.asked);
        checkpointer.done.recv().unwrap().unwrap();
        assert!(length(&file, "") > 100_000);
        writer.execute_batch(MORE).unwrap();
        let log = length(&file, "-wal");
        told(Some(Ok(()))).committed(&writer, 1).unwrap();
        assert!(length(&file, "") > 200_000);
        writer.execute_batch(MORE).unwrap();
        assert_eq!(length(&file, "-wal"), log);
    }

    /// [STORE-1] what the thread failed to sync stops the store as what the writer fails to sync does.
    #[test]
    fn what_fails_beside_fails() {
        let folder = tempfile::tempdir().unwrap();
        let writer = behind(&folder.path().join("file"));
        assert!(told(Some(Err(rusqlite::Error::InvalidQuery))).committed(&writer, 1).is_err());
    }

    /// Without its thread the log is brought in all the same: it must not fill the disk.
    #[test]
    fn a_log_is_brought_in_without_the_thread() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let writer = behind(&file);
        let mut alone = told(None);
        alone.committed(&writer, 1).unwrap();
        assert!(length(&file, "") > 100_000 && !alone.asked);
        writer.execute_batch(MORE).unwrap();
        alone.committed(&writer, CHECKPOINT + 1).unwrap();
        assert!(length(&file, "") > 200_000);
    }
}
