//! The faces: what people and programs meet. A face speaks [`crate::api`] with whoever holds the profile, and knows
//! nothing below that.

mod chat;
pub mod cli;
mod columns;
pub mod daemon;
mod duration;
mod field;
mod json;
mod meter;
mod names;
mod notify;
mod passphrase;
mod place;
mod plain;
mod process;
mod qr;
mod relays;
mod screen;
pub mod slash;
mod tui;
mod view;
pub mod web;

use crate::api::Error;
#[cfg(test)]
pub(crate) use plain::tests::PAYLOADS;

/// Why a face ends before its command has.
#[derive(Debug)]
enum Stop {
    /// Whoever read the output has gone; that is no error.
    Closed,
    /// It failed.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
