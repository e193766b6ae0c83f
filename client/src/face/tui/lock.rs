//! Locking: what is shown is forgotten, the conversation with the holder ends, and the passphrase opens both again.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Start;
use super::session::{Conversation, Heard};
use crate::api::{Command, Error, ErrorCode};
use crate::holder::{self, Zeroizing};

/// The conversation, while the screen is not locked.
pub(super) struct Room {
    start: Start,
    open: Option<Conversation>,
    after: Option<Duration>,
    touched: Instant,
    checking: Option<JoinHandle<Result<Zeroizing<String>, Error>>>,
}

impl Room {
    /// `after`: so long without a key.
    pub(super) fn open(start: Start, after: Option<Duration>) -> Self {
        // The passphrase of a file opens the profile for whoever sits there.
        let after = after.filter(|_| start.passphrase.is_asked_for());
        let open = Some(Conversation::start(start.clone()));
        let start = Start { chosen: None, ..start };
        Self { start, open, after, touched: Instant::now(), checking: None }
    }

    pub(super) fn locks(&self) -> bool {
        self.start.passphrase.is_asked_for()
    }

    /// Somebody is there.
    pub(super) fn touched(&mut self) {
        self.touched = Instant::now();
    }

    /// When it locks by itself, if nobody is there until then.
    pub(super) fn due(&self) -> Option<Instant> {
        self.after.map(|after| self.touched + after)
    }

    /// Ends the conversation; where this process held the profile, its keys go.
    pub(super) async fn lock(&mut self) {
        if let Some(open) = self.open.take() {
            open.finish().await;
        }
    }

    /// Tries a passphrase. Whoever holds the profile would not ask for it, so it is compared here.
    pub(super) fn unlock(&mut self, passphrase: Zeroizing<String>) {
        if let Some(open) = &self.open {
            return open.unlock(passphrase);
        }
        let dir = self.start.dir.clone();
        self.checking = Some(tokio::spawn(async move {
            holder::unlock_header(&dir, &passphrase).await?;
            Ok(passphrase)
        }));
    }

    pub(super) fn give(&self, number: u64, command: Command) -> bool {
        self.open.as_ref().is_some_and(|open| open.give(number, command))
    }

    /// The next thing heard; `None` when it is over. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        if let Some(open) = &mut self.open {
            return open.next().await;
        }
        let Some(checking) = &mut self.checking else { return std::future::pending().await };
        let checked = checking.await;
        self.checking = None;
        match checked {
            Ok(Ok(passphrase)) => {
                self.touched();
                self.open = Some(Conversation::start(Start { chosen: Some(passphrase), ..self.start.clone() }));
                Some(Heard::Opening)
            }
            Ok(Err(error)) => Some(Heard::Locked(Some(error))),
            Err(_) => Some(Heard::Locked(Some(Error::new(ErrorCode::Failed, "opening the profile was interrupted")))),
        }
    }

    /// The same, where it has been heard already.
    pub(super) fn ready(&mut self) -> Option<Heard> {
        self.open.as_mut()?.ready()
    }

    pub(super) async fn finish(mut self) {
        self.lock().await;
    }
}
