//! What systemd is told, and what it hands over. Without it nothing happens here.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager, where there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager could not be told: {error}");
    }
}

/// The relay serves: after its start, and after it was reloaded.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is read again, which ends with [`ready`].
pub(super) fn reloading() {
    let states = NotifyState::monotonic_usec_now().map(|now| [NotifyState::Reloading, now]);
    match states {
        Ok(states) => tell(&states),
        Err(error) => tracing::warn!("the service manager was not told: {error}"),
    }
}

/// The relay stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// What the relay does now, in words.
pub(super) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Tells the service manager twice in each period in which it wants to be told that the relay is alive: that `alive`
/// answered. Where it does not, nothing is told, and the service manager does what its unit says.
pub(super) async fn watchdog<F: Future<Output = bool>>(alive: impl Fn() -> F) {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval((period / 2).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        if alive().await {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// The socket that whoever started the relay has bound for it.
///
/// # Errors
/// What was handed over is no TCP socket that listens.
pub(super) fn inherited() -> io::Result<Option<TcpListener>> {
    listenfd::ListenFd::from_env().take_tcp_listener(0)
}
