//! What stands on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sealpost_relay::config::{self, Door, LogFormat, Register};
use serde::{Serialize, Serializer};

use super::admin::{Admin, Drain};

/// Carries sealed messages that it can't open.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  sealpost-relay serve --demo
  sealpost-relay serve --data /var/lib/sealpost --listen 0.0.0.0:7443 --host relay.example.org
  sealpost-relay serve --data /var/lib/sealpost --cluster nats://10.0.0.1,10.0.0.2,10.0.0.3
  sealpost-relay address --data /var/lib/sealpost
  sealpost-relay admin status --data /var/lib/sealpost
  sealpost-relay backup relay.backup --data /var/lib/sealpost
  sealpost-relay init /etc/sealpost/relay.toml
  sealpost-relay check";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the relay in the foreground; the first line on stdout is its address
    Serve {
        #[command(flatten)]
        options: Options,
        /// The key that the relays of a cluster share, another one's relay.key; kept in the data folder
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Use a temporary folder, and print the commands that two people paste to talk
        #[arg(long, conflicts_with_all = ["data", "cluster", "key"])]
        demo: bool,
    },
    /// Copies what a relay alone has in its data folder into a cluster, or what a cluster has into a data folder
    ///
    /// No relay may run meanwhile that serves either. What was broken off goes on where it was, and is not served before it is
    /// whole. The old store stays as it is. People keep their addresses: the key is the same.
    Migrate {
        /// Where to
        #[arg(value_enum)]
        to: Home,
        /// For a data folder without one: the key that the relays of the cluster share
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        #[command(flatten)]
        options: Options,
    },
    /// The NATS servers that relays share, and the key that they share
    #[command(subcommand)]
    Cluster(Cluster),
    /// Asks the relay that runs, over a socket in its data folder: see `admin --help`
    Admin(Admin),
    /// Takes no new links, tells those that there are to come back soon, and ends the relay once they are gone
    ///
    /// `admin reopen` undoes it. USR2 does the same.
    Drain(Drain),
    /// Writes a backup of the relay, which may run: its key and its store in one file
    ///
    /// Whoever has the file can pose as the relay, so keep it as you keep the relay's key. It is a tar archive, which
    /// `tar tvf` shows and `sha256sum -c SHA256SUMS` checks. What was accepted before the backup began is in it. While
    /// it is made there is a copy of the store beside it.
    Backup {
        /// The file, which must not be there yet. `-` writes to stdout
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Makes a relay of a backup, in an empty folder; it has the same address
    ///
    /// It is as old as the backup: clients notice that, publish themselves anew and send again what may be missing.
    /// Nothing is in its place before all was checked. Bans and invites are those of then, too: look at `admin bans` and
    /// `admin invites`.
    Restore {
        /// The backup. `-` reads from stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Prints everything that the relay stores, field by field: what, why, how long, and what it lets one infer
    ///
    /// Beside each there is how much of it the data folder holds, and an example out of it: names and ids as they are.
    /// The relay may run.
    WhatIKnow {
        #[command(flatten)]
        options: Options,
        /// Print one JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
    /// Prints the relay's address, and its QR code
    Address {
        #[command(flatten)]
        options: Options,
    },
    /// Writes a commented configuration, to be edited; nothing in it changes a default yet
    Init {
        /// The file; it must not be there yet. `-` prints it
        #[arg(value_name = "FILE", default_value = config::SYSTEM)]
        file: PathBuf,
    },
    /// Shows the configuration that is in force, and where each value comes from
    Check {
        #[command(flatten)]
        options: Options,
        /// Print one JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
    /// Prints what a shell needs to complete commands
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one for each command into a folder
    Man {
        /// The folder, which must be there
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// Where a store may stand.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Home {
    /// In the cluster's servers
    Cluster,
    /// In the data folder
    Folder,
}

/// What may be asked of a cluster, and changed in it.
#[derive(Subcommand)]
pub(crate) enum Cluster {
    /// Shows the servers, what each stream holds, its leader, and how far its replicas are; exits 1 where something can't be
    /// written
    Status {
        #[command(flatten)]
        options: Options,
        /// Print one JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
    /// Makes another key the one that the cluster's relays share: their address changes with it
    ///
    /// Relays that run stop within a minute, and start again only with the new key: `serve --key FILE`, in a data folder
    /// without relay.key. Clients know a relay by its key, so everybody has to register at the new address; name receipts of
    /// the old key are worth nothing to the new one. So this is for a key that was stolen.
    ReplaceKey {
        /// The new key: the relay.key of a data folder that a relay has made
        #[arg(value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        options: Options,
    },
}

/// What is given wins over environment and files.
#[derive(Args, Serialize)]
pub(crate) struct Options {
    /// The data folder [default: ./sealpost-relay]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7443]
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// Names under which clients find the relay, for the printed address
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) host: Vec<String>,
    /// Who may register [default: open]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) register: Option<Register>,
    /// Where to show /metrics, /healthz and /readyz, or `off` [default: off]
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<Door>,
    /// Share the store of other relays, in these NATS servers: nats://HOST[:PORT], or tls://
    #[arg(long, value_name = "NATS", value_delimiter = ',')]
    #[serde(serialize_with = "in_cluster", skip_serializing_if = "Vec::is_empty")]
    pub(crate) cluster: Vec<String>,
    /// How the log looks [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    #[serde(rename = "log", serialize_with = "in_log", skip_serializing_if = "Option::is_none")]
    pub(crate) log_format: Option<LogFormat>,
    /// A configuration file, over /etc/sealpost/relay.toml
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
}

/// A flag for a setting of the table `log`.
fn in_log<S: Serializer>(format: &Option<LogFormat>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(format.iter().map(|format| ("format", format)))
}

/// A flag for a setting of the table `cluster`.
fn in_cluster<S: Serializer>(servers: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([("servers", servers)])
}
