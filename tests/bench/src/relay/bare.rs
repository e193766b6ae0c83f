//! The yardstick: a fan-out and forwarding server that does no more than it must. Plain tokio with rustls, TLS 1.3, one
//! task a connection, batched vectored writes; no storage, no login, no limits.
//!
//! ```text
//! frame   u32 length of the rest || u8 kind || u32 topic or person || payload
//! ```
//!
//! | kind | to the server | to a client |
//! |---|---|---|
//! | 0 | everything published to this topic is wanted | so it is from now on |
//! | 1 | a payload for a topic | the same frame |
//! | 2 | this link is this person's | so it is from now on |
//! | 3 | a payload for a person; it begins with the sender's number | the same frame |
//! | 4 | for a person: its box has come | the same frame |
mod client;
mod server;

use std::process::Command;

pub use server::serve;

use super::codec::Wrong;
use super::host::{Host, Process, Site};
use super::tls::{self, Identity};

const WANT: u8 = 0;
const PUBLISH: u8 = 1;
const BE: u8 = 2;
const SEND: u8 = 3;
const CAME: u8 = 4;

/// Bytes of length, kind and number before a payload.
pub const HEAD: usize = 9;

fn head(kind: u8, number: u32, payload: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let length = u32::try_from(payload + HEAD - 4).map_err(|_| Wrong::new("a payload is too long"))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
    Ok(())
}

/// Starts one, with so many worker threads; `confirms`: who receives a box says so to its sender.
pub fn start(site: &Site, workers: usize, confirms: bool) -> Result<Host, Wrong> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").arg(workers.to_string());
    let log = site.folder("bare")?.join("log");
    let (process, line) = Process::start_and_read("bare", &mut command, &log)?;
    let address = line.parse().map_err(|_| Wrong(format!("no address: {line}")))?;
    let tls = Some(tls::config(Identity::RawKey)?);
    Ok(Host { process, address, tls, clients: Box::new(client::BareClients { confirms }) })
}
