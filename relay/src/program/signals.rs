//! What signals tell the relay.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal told.
pub(super) enum Told {
    /// TERM, INT: end gracefully.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR2: take no new links, and end when the last has gone.
    Drain,
}

/// Signals that are waited for.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    drain: Signal,
}

impl Signals {
    /// Waits for them from now on: none of them ends the process by itself any more.
    ///
    /// # Errors
    /// The operating system's own.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            drain: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
            _ = self.drain.recv() => Told::Drain,
        }
    }
}
