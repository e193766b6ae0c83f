//! Sealpost's secrets, and what may be done with them.
//!
//! No socket, no store, no clock, no dice: time and randomness are arguments. Secret types exist only here; none can be
//! cloned, printed or serialised, and the [`vault`] is the only door through which one leaves the process's memory.
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod chain;
pub mod identity;
mod pqxdh;
mod primitive;
mod ratchet;
pub mod sealed;
mod secret;
pub mod session;
pub mod vault;
#[cfg(test)]
mod vectors;
pub mod work;

pub use rand_core::CryptoRng;
pub use zeroize::Zeroizing;

/// Something secret did not fit: a wrong key, a wrong tag, a malformed inside. Which of them is not told, to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be opened or verified")]
pub struct Refused;

impl From<sealpost_spec::wire::DecodeError> for Refused {
    fn from(_: sealpost_spec::wire::DecodeError) -> Self {
        Self
    }
}
