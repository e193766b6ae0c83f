//! The program around the library: a room for each command, and what they share.
//!
//! [`serve`], [`cluster`] and [`migrate`] are the only ones that name a concrete store.

pub(crate) mod address;
pub(crate) mod admin;
pub(crate) mod arguments;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod cluster;
mod confine;
pub(crate) mod failure;
pub(crate) mod init;
pub(crate) mod known;
pub(crate) mod log;
pub(crate) mod manual;
pub(crate) mod migrate;
mod process;
mod reload;
pub(crate) mod serve;
mod signals;
mod systemd;

use std::io::Write;

/// Writes to stdout. A closed pipe is not an error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
