//! The log: to stderr, in colour on a terminal only, without anything that names somebody at the default level.

use std::io::IsTerminal;

use sealpost_relay::config::{Log, LogFormat};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// What the log says from now on, while the relay runs.
pub(crate) struct Level(reload::Handle<EnvFilter, Registry>);

/// Starts the log.
pub(crate) fn start(log: &Log) -> Level {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (filter, level) = reload::Layer::new(filter(&log.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Level(level)
}

impl Level {
    /// Changes it.
    pub(super) fn set(&self, level: &str) {
        // An error says that there is no log any more.
        let _ = self.0.reload(filter(level));
    }
}

/// `RUST_LOG` wins for whoever looks for something; the configuration has been checked.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level))
}
