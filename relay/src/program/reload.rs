//! HUP: reads the configuration again, and takes over what may change while the relay runs.

use sealpost_relay::Relay;
use sealpost_relay::config::{Config, ConfigError, changes};
use sealpost_relay::listen::LiveLimits;
use sealpost_relay::store::Store;

use super::arguments::Options;
use super::log::Level;

/// What the relay goes by, and where that came from.
pub(super) struct Reload<'a> {
    pub(super) options: &'a Options,
    /// As it was read last.
    pub(super) config: Config,
    pub(super) level: Level,
    pub(super) limits: LiveLimits,
    /// How many files the process may open.
    pub(super) files: usize,
}

impl Reload<'_> {
    /// Reads it again. Where it makes no sense, all stays as it was.
    pub(super) fn again<S: Store>(&mut self, relay: &Relay<S>) {
        match Config::load(self.options.config.as_deref(), self.options) {
            Ok(config) => self.take(config, relay),
            Err(ConfigError { cause, advice }) => {
                tracing::warn!("the configuration makes no sense, so the old one holds: {cause}; try: {advice}");
            }
        }
    }

    fn take<S: Store>(&mut self, config: Config, relay: &Relay<S>) {
        let (taken, restart) = changes(&self.config, &config);
        if !restart.is_empty() {
            tracing::warn!("what has changed here takes a restart: {}", restart.join(", "));
        }
        if taken.iter().any(|key| key.starts_with("log.")) {
            self.level.set(&config.log.level);
        }
        self.limits.set(config.links.within(self.files));
        relay.govern(config.rules());
        match taken.as_slice() {
            [] => tracing::info!("the configuration was read again: nothing to take over has changed"),
            taken => tracing::info!("the configuration was read again: {} changed", taken.join(", ")),
        }
        // What takes a restart is told of again at the next time.
        let Config { data, listen, host, cluster, metrics, metrics_public, dumpable, .. } = self.config.clone();
        let format = self.config.log.format;
        self.config = Config { data, listen, host, cluster, metrics, metrics_public, dumpable, ..config };
        self.config.log.format = format;
    }
}
