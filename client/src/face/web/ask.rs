//! What a request asks of whoever holds the profile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::api::{Command, Error, ErrorCode, Event};
use crate::holder::{self, Opening, Session};

/// Longest that a page waits for what it asked.
const PATIENCE: Duration = Duration::from_secs(40);
/// Most events that answer a request.
const MAX_EVENTS: usize = 10_000;

pub(super) struct Ask {
    profile: PathBuf,
    ended: watch::Sender<bool>,
}

impl Ask {
    pub(super) fn new(profile: &Path) -> Self {
        Self { profile: profile.to_owned(), ended: watch::Sender::new(false) }
    }

    /// From now on pages that wait for events are let go.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Tells when that has happened.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// The profile is held by this process, or by one that it goes through: nobody has to ask for its passphrase.
    fn opening(&self) -> Opening {
        Opening::of_holder(&self.profile, Box::new(|| Err(holder::gone())))
    }

    /// The profile's folder.
    pub(super) fn profile(&self) -> &Path {
        &self.profile
    }

    /// Begins something that takes long: tells whether it could be begun, and does `after` when it has ended.
    pub(super) async fn begin(&self, command: Command, after: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let (tells, told) = oneshot::channel::<Result<(), Error>>();
        let (mut opening, mut ended) = (self.opening(), self.ended());
        tokio::spawn(async move {
            let mut tells = Some(tells);
            let each = |event: Event| -> Result<(), Error> {
                let begun = match event {
                    Event::Error(error) => Err(error),
                    _ => Ok(()),
                };
                if let Some(tells) = tells.take() {
                    // Whoever asked may have gone.
                    let _ = tells.send(begun);
                }
                Ok(())
            };
            let stop = async { drop(ended.changed().await) };
            if matches!(holder::run(&mut opening, &command, stop, each).await, Ok(None)) {
                after();
            }
        });
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(begun)) => begun,
            // It ended without a word, or waits for its turn.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// A conversation of one's own with the holder.
    pub(super) async fn session(&self) -> Result<Session, Error> {
        Session::open(&mut self.opening()).await
    }

    /// Carries out a command. Errors: the command's own, too.
    pub(super) async fn of(&self, command: Command) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        let mut failed = None;
        let each = |event: Event| -> Result<(), Error> {
            match event {
                Event::Error(error) => failed = Some(error),
                event if events.len() < MAX_EVENTS => events.push(event),
                _ => {}
            }
            Ok(())
        };
        let late = holder::run(&mut self.opening(), &command, tokio::time::sleep(PATIENCE), each).await?;
        match (failed, late) {
            (Some(error), _) => Err(error),
            (None, Some(())) => Err(Error::new(ErrorCode::Unreachable, "there was no answer in time")
                .advise("look at the status, and try again")),
            (None, None) => Ok(events),
        }
    }
}
