//! Sealpost's secrets, and what may be done with them.
//!
//! No socket, no store, no clock, no dice: time and randomness are arguments. Secret types exist only here; none can be
//! cloned, printed or serialised, and the [`vault`] is the only door through which one leaves the process's memory; but for
//! the two that are made to be written elsewhere: an account's recovery words and a relay's key file.
//!
//! A first message from Alice to Bob, sealed and opened again:
//!
//! ```
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret, verify_devices};
//! use sealpost_crypto::session::{OwnPrekeys, Party, Session, VerifiedBundle};
//! use sealpost_crypto::sealed;
//! use sealpost_spec::account::{DeviceBundle, DeviceId, DeviceList, PrekeyId, PrekeyRole};
//! use sealpost_spec::mailbox::EnvelopeId;
//! use sealpost_spec::message::Sealing;
//!
//! // A client draws from the operating system; a seed makes the example the same each time.
//! let rng = &mut ChaCha20Rng::seed_from_u64(1);
//! let mut person = |name: &str| {
//!     let (account, device) = (AccountSecret::generate(rng), DeviceSecret::generate(rng));
//!     let public = device.public(DeviceId::FIRST);
//!     let party = Party { name: name.parse().unwrap(), account: account.key(), device: public };
//!     let list =
//!         DeviceList { number: 1, name: party.name.clone(), account: party.account, devices: vec![public] };
//!     (party, device, account.sign_devices(&list))
//! };
//! let (alice, alices_device, alices_list) = person("alice");
//! let (bob, bobs_device, bobs_list) = person("bob");
//!
//! // Bob publishes prekeys; Alice fetches and verifies them.
//! let mut prekey = |role| PrekeySecret::generate(role, PrekeyId(1), 1_700_000_000, &bobs_device, rng);
//! let signed = prekey(PrekeyRole::Signed);
//! let kem = prekey(PrekeyRole::LastResortKem);
//! let box_key = prekey(PrekeyRole::Box);
//! let bundle = DeviceBundle {
//!     device: DeviceId::FIRST,
//!     signed: signed.signed().clone(),
//!     one_time: None,
//!     kem: kem.signed().clone(),
//!     box_key: box_key.signed().clone(),
//! };
//! let bundle = VerifiedBundle::verify(&bundle, &verify_devices(&bobs_list)?)?;
//!
//! // Each step returns the next state of the session, to be stored before anything is sent.
//! let session = Session::initiate(&alice, &alices_device, &bundle, rng)?;
//! let (_session, message) = session.encrypt(b"hello, Bob", rng)?;
//! let id = EnvelopeId([7; 16]);
//! let sealing = Sealing { device: DeviceId::FIRST, list: alices_list, message };
//! let envelope = sealed::seal(bundle.box_key(), &bob.device, &id, &sealing, rng)?;
//! assert_eq!(envelope.len(), 6 * 1024);
//!
//! // Bob learns from the box who says to have written, and from the session that it is so.
//! let sealing = sealed::open(&box_key, &bob.device, &id, &envelope)?;
//! let list = verify_devices(&sealing.list)?;
//! let device = *list.device(sealing.device).unwrap();
//! let sender = Party { name: list.name, account: list.account, device };
//! let prekeys = OwnPrekeys { signed: &signed, one_time: None, kem: &kem };
//! let (session, plaintext) = Session::accept(&bob, &bobs_device, &prekeys, &sender, &sealing.message)?;
//! assert_eq!(plaintext.as_slice(), b"hello, Bob");
//! assert_eq!(session.peer(), &alice);
//! # Ok::<(), sealpost_crypto::Refused>(())
//! ```
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod attachment;
#[cfg(test)]
mod bits;
mod chain;
pub mod identity;
#[cfg(test)]
mod labels;
mod pqxdh;
mod primitive;
mod ratchet;
pub mod sealed;
mod secret;
pub mod session;
#[cfg(test)]
mod tap;
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
