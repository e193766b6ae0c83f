//! PQXDH and the hybrid double ratchet as one opaque thing: give it plaintext, get a session message.
use sealpost_spec::account::*;

use crate::identity::{DeviceSecret, PrekeySecret};
use crate::{CryptoRng, Refused, Zeroizing};

/// SHA-256 of label and PQXDH part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 32]);

/// One side of a session, as both sides authenticate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The account's name.
    pub name: Name,
    /// The account's key.
    pub account: AccountKey,
    /// The device.
    pub device: Device,
}

/// A device's prekeys, every signature of which was verified; the only thing a session can be started with.
#[derive(Debug)]
pub struct VerifiedBundle {
    _private: (),
}
impl VerifiedBundle {
    /// Verifies all prekeys of one device with its key in `list`, which [`crate::identity::verify_devices`] returned.
    pub fn verify(_bundle: &DeviceBundle, _list: &DeviceList) -> Result<Self, Refused> {
        todo!()
    }
    /// Whose bundle it is.
    pub fn party(&self) -> &Party {
        todo!()
    }
    /// The box key, for [`crate::sealed::seal`].
    pub fn box_key(&self) -> &Prekey {
        todo!()
    }
    /// The signed prekey, whose id never falls.
    pub fn signed_prekey(&self) -> &Prekey {
        todo!()
    }
}

/// The prekeys of one's own that a first message names.
pub struct OwnPrekeys<'a> {
    /// The signed prekey it names.
    pub signed: &'a PrekeySecret,
    /// The one-time prekey it names, where it names one.
    pub one_time: Option<&'a PrekeySecret>,
    /// The KEM prekey it names.
    pub kem: &'a PrekeySecret,
}

/// A session between two devices. A step borrows the old state and returns the next: what is not committed never
/// happened.
pub struct Session {
    _private: (),
}
impl Session {
    /// Starts one towards a device (PQXDH section 3.3).
    pub fn initiate(
        _own: &Party,
        _secret: &DeviceSecret,
        _bundle: &VerifiedBundle,
        _rng: &mut dyn CryptoRng,
    ) -> Result<Self, Refused> {
        todo!()
    }
    /// Accepts one from a first message (PQXDH section 3.4) and decrypts that message.
    pub fn accept(
        _own: &Party,
        _secret: &DeviceSecret,
        _prekeys: &OwnPrekeys<'_>,
        _peer: &Party,
        _message: &[u8],
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        todo!()
    }
    /// Encrypts; returns the next state and the session message.
    pub fn encrypt(&self, _plaintext: &[u8], _rng: &mut dyn CryptoRng) -> Result<(Self, Vec<u8>), Refused> {
        todo!()
    }
    /// Decrypts a message of this session; returns the next state and the plaintext.
    pub fn decrypt(&self, _message: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        todo!()
    }
    /// Its id.
    pub fn id(&self) -> SessionId {
        todo!()
    }
    /// Whether the other side is known to have it: this side has decrypted a message of it.
    pub fn confirmed(&self) -> bool {
        todo!()
    }
    /// The same session without what encrypts: it only receives from now on.
    pub fn receiving_only(&self) -> Self {
        todo!()
    }
}

/// The id of the session that a message with a PQXDH part belongs to; `None` for one without. Errors: malformed.
pub fn session_id(_message: &[u8]) -> Result<Option<SessionId>, Refused> {
    todo!()
}
/// The ids of one's own prekeys that a first message names: signed, one-time, KEM with its role; and the replay-cache
/// key, SHA-256 of EKA and ciphertext. `None` for a message without PQXDH part.
pub fn named_prekeys(_message: &[u8]) -> Result<Option<NamedPrekeys>, Refused> {
    todo!()
}
/// See [`named_prekeys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedPrekeys {
    /// Signed prekey.
    pub signed: PrekeyId,
    /// One-time prekey or [`PrekeyId::NONE`].
    pub one_time: PrekeyId,
    /// One-time or last resort.
    pub kem_role: PrekeyRole,
    /// KEM prekey.
    pub kem: PrekeyId,
    /// SHA-256 of ephemeral key and KEM ciphertext.
    pub replay: [u8; 32],
}
/// The chain id of a message, by which a session recognises its own without a trial. Errors: malformed.
pub fn chain_id(_message: &[u8]) -> Result<[u8; 32], Refused> {
    todo!()
}
impl Session {
    /// Whether this session knows the chain of a message (current receiving chain or skipped keys), or could begin it:
    /// used to choose the session before any decryption.
    pub fn knows_chain(&self, _chain: &[u8; 32]) -> bool {
        todo!()
    }
}
/// Longest plaintext that fits a box of `size` bytes, with a device list of `list` bytes and with or without PQXDH part.
pub fn room_for_plaintext(_size: usize, _list: usize, _pqxdh: bool) -> usize {
    todo!()
}
