//! What whoever looks after a running relay sets: where it shows its figures, and what it logs.

use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing_subscriber::EnvFilter;

use super::{Config, ConfigError};

/// A port of the relay's own that may be left closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Closed.
    Off,
    /// Open here; port 0 takes a free one.
    At(SocketAddr),
}

impl FromStr for Door {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| {
                format!("{address:?} is neither \"off\" nor an address and port such as \"127.0.0.1:7444\"")
            }),
        }
    }
}

impl Serialize for Door {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for Door {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// As text for people, or JSON for programs.
    pub format: LogFormat,
    /// From which level on: `warn`, `info`, `debug`, or several such as `info,sealpost_relay=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info,rusqlite_migration=warn".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if let Door::At(address) = config.metrics
        && !address.ip().is_loopback()
        && !config.metrics_public
    {
        return Err(ConfigError {
            cause: format!("metrics: {address} can be reached by others, and what stands there is for nobody else"),
            advice: "give a port of this machine, metrics = \"127.0.0.1:7444\", or set metrics_public = true"
                .to_owned(),
        });
    }
    if let Err(error) = EnvFilter::try_new(&config.log.level) {
        return Err(ConfigError {
            cause: format!("log.level: {:?}: {error}", config.log.level),
            advice: "give error, warn, info, debug or trace".to_owned(),
        });
    }
    Ok(())
}
