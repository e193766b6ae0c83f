//! What a failed command prints, and its exit code.

use sealpost_relay::admin::socket::SocketError;
use sealpost_relay::config::ConfigError;
use sealpost_relay::folder::FolderError;
use sealpost_relay::store::jetstream;
use sealpost_relay::store::segments::SegmentError;
use sealpost_relay::store::sqlite::OpenError;

/// An error as it is printed, with the exit code that belongs to it.
pub(crate) struct Failure {
    pub(crate) exit: u8,
    pub(crate) error: String,
    pub(crate) cause: String,
    pub(crate) advice: String,
}

// Exit codes: a promise to scripts.

/// It failed while it ran.
pub(crate) const RUNTIME: u8 = 1;
/// The configuration makes no sense, or the command line.
pub(crate) const CONFIGURATION: u8 = 2;
/// What is around it forbids it: a port that is taken, a folder of somebody else.
pub(crate) const ENVIRONMENT: u8 = 3;
/// A newer version wrote the data.
pub(crate) const NEWER: u8 = 4;

impl Failure {
    pub(crate) fn new(exit: u8, error: &str, cause: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self { exit, error: error.to_owned(), cause: cause.to_string(), advice: advice.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(CONFIGURATION, "the configuration makes no sense", error.cause, error.advice)
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let advice = match &error {
            FolderError::InUse(_) => "stop the other one, or give this one a folder with --data DIR".to_owned(),
            FolderError::Open { path, .. } => format!("chmod go= {}", path.display()),
            FolderError::Key(_) => {
                "restore the file from a backup: without it the relay has another address".to_owned()
            }
            FolderError::Io { .. } => "check the folder's owner and the space on its disk".to_owned(),
        };
        Self::new(ENVIRONMENT, "the data folder can't be used", error, advice)
    }
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        let advice = match &error {
            SocketError::TooLong { .. } => {
                "go into the folder and serve with --data . there, or set RUNTIME_DIRECTORY to a short folder"
                    .to_owned()
            }
            SocketError::Taken(path) => format!("move {} away", path.display()),
            SocketError::Io { .. } => "check the folder's owner and the space on its disk".to_owned(),
        };
        Self::new(ENVIRONMENT, "the relay can't listen for its operator", error, advice)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Newer => {
                Self::new(NEWER, "the data can't be read", error, "install the version that wrote it, or a newer one")
            }
            OpenError::Io(_) => {
                Self::new(ENVIRONMENT, "the store can't be opened", error, "check the folder's owner and its disk")
            }
            OpenError::Space { .. } => Self::new(
                ENVIRONMENT,
                "the data is not brought to this version",
                error,
                "free some of the disk, or go on with the version that wrote it: nothing has changed",
            ),
            OpenError::Segments(SegmentError::Io { .. }) => {
                Self::new(ENVIRONMENT, "the store can't be opened", error, "check the folder's owner and its disk")
            }
            OpenError::Segments(SegmentError::Older(_)) => {
                let advice = "put relay.db back as it was with it, or restore a backup";
                Self::new(RUNTIME, "the store can't be opened", error, advice)
            }
            OpenError::Segments(_) => {
                let advice = "put it back as it was, or restore a backup: clients send again what that lacks";
                Self::new(RUNTIME, "the store can't be opened", error, advice)
            }
            OpenError::Sqlite(_) | OpenError::Schema(_) => {
                Self::new(RUNTIME, "the store can't be opened", error, "check the disk, or restore a backup")
            }
        }
    }
}

impl From<jetstream::OpenError> for Failure {
    fn from(error: jetstream::OpenError) -> Self {
        use jetstream::OpenError;
        let advice = match &error {
            OpenError::Address(_) => "give nats://HOST:PORT",
            OpenError::Unreachable(_) => {
                "check that the servers run, their addresses, and cluster.user, cluster.password_file and cluster.tls_ca"
            }
            OpenError::TooOld(_) => "install a newer nats-server: github.com/nats-io/nats-server/releases",
            OpenError::NoJetStream(_) => "add jetstream { store_dir: ..., sync_interval: always } to its configuration",
            OpenError::MaxPayload { .. } => "leave max_payload out of the server's configuration, or raise it",
            OpenError::Differs { .. } => {
                "change it with `nats stream edit`, or keep this cluster's relays apart with another cluster.prefix"
            }
            OpenError::Stranger(_) => "choose another cluster.prefix, or remove the stream where nobody needs it",
            OpenError::Fault(_) | OpenError::Io(_) => "sealpost-relay cluster status",
        };
        Self::new(RUNTIME, "the cluster can't be used", &error, advice)
    }
}
