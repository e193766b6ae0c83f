//! PQXDH and the hybrid double ratchet as one opaque thing: give it plaintext, get a session message.
use std::sync::Arc;

use sealpost_spec::account::{PrekeyId, PrekeyRole};
use sealpost_spec::label;
use sealpost_spec::message::{BOX_OVERHEAD, ML_KEM_CIPHERTEXT, PqxdhPart, SALT, SessionMessage, TAG};

use crate::identity::DeviceSecret;
pub use crate::pqxdh::{OwnPrekeys, Party, VerifiedBundle};
use crate::primitive::sha256;
use crate::ratchet::{self, Arrived, Ratchet};
use crate::{CryptoRng, Refused, Zeroizing, pqxdh};

mod state;
#[cfg(test)]
mod tests;

/// SHA-256 of label and PQXDH part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 32]);

/// A session between two devices. A step borrows the old state and returns the next: what is not committed never
/// happened.
pub struct Session {
    facts: Arc<Facts>,
    ratchet: Ratchet,
    receiving_only: bool,
}

/// What never changes in a session.
struct Facts {
    own: Party,
    peer: Party,
    initiated: bool,
    part: PqxdhPart,
    id: SessionId,
    /// Hash of everything that both sides agreed on; first in what every message authenticates.
    associated: [u8; 32],
}

impl Session {
    /// Starts one towards a device (PQXDH section 3.3).
    ///
    /// # Errors
    /// A key of the bundle is of low order, the bundle is one's own device's, `secret` is not that of `own`.
    pub fn initiate(
        own: &Party,
        secret: &DeviceSecret,
        bundle: &VerifiedBundle,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Refused> {
        two_devices(own, secret, bundle.party())?;
        let (part, agreement) = pqxdh::initiate(own, secret, bundle, rng)?;
        let ratchet = Ratchet::initiate(agreement.root, bundle.signed_key()?);
        let facts = Facts {
            own: own.clone(),
            peer: bundle.party().clone(),
            initiated: true,
            id: id_of(&part),
            part,
            associated: agreement.associated,
        };
        Ok(Self { facts: Arc::new(facts), ratchet, receiving_only: false })
    }

    /// Accepts one from any message of an initiator's first chain (PQXDH section 3.4), and decrypts that message. The
    /// one-time keys are to be deleted in the transaction that stores the session. **[MSG-7]**
    ///
    /// # Errors
    /// No PQXDH part, other keys than it names, another peer than made it, a jump beyond
    /// [`sealpost_spec::message::MAX_JUMP`], any altered bit.
    pub fn accept(
        own: &Party,
        secret: &DeviceSecret,
        prekeys: &OwnPrekeys<'_>,
        peer: &Party,
        message: &[u8],
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        two_devices(own, secret, peer)?;
        let parsed = parse(message)?;
        let part = parsed.pqxdh.clone().ok_or(Refused)?;
        let agreement = pqxdh::accept(own, secret, prekeys, peer, &part)?;
        let covered = covered(&agreement.associated, message, &parsed)?;
        let arrived =
            Arrived { chain: ratchet::chain_id(&parsed.header.chain), message: &parsed, associated: &covered };
        let (signed, public) = prekeys.signed.curve_pair()?;
        let (ratchet, plaintext) = Ratchet::accept(&agreement.root, signed, &public, &arrived)?;
        let facts = Facts {
            own: own.clone(),
            peer: peer.clone(),
            initiated: false,
            id: id_of(&part),
            part,
            associated: agreement.associated,
        };
        Ok((Self { facts: Arc::new(facts), ratchet, receiving_only: false }, plaintext))
    }

    /// Encrypts; returns the next state and the session message.
    ///
    /// # Errors
    /// The session only receives; a chain of 2^32 messages is used up.
    pub fn encrypt(&self, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Result<(Self, Vec<u8>), Refused> {
        if self.receiving_only {
            return Err(Refused);
        }
        // Until the first reply the recipient may not have the session. [MSG-16]
        let part = (!self.confirmed()).then_some(&self.facts.part);
        let (ratchet, message) = self.ratchet.encrypt(&self.facts.associated, part, plaintext, rng)?;
        Ok((self.at(ratchet), message))
    }

    /// Decrypts a message of this session; returns the next state and the plaintext.
    ///
    /// # Errors
    /// Another session's message, one that was decrypted before, one too far ahead, any altered bit: all the same
    /// error, and nothing has changed.
    pub fn decrypt(&self, message: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        let (parsed, chain) = self.ratchet.parse(message)?;
        if let Some(part) = &parsed.pqxdh
            && (self.facts.initiated || *part != self.facts.part)
        {
            return Err(Refused);
        }
        let covered = covered(&self.facts.associated, message, &parsed)?;
        let arrived = Arrived { chain, message: &parsed, associated: &covered };
        let (ratchet, plaintext) = self.ratchet.decrypt(&arrived)?;
        let next = self.at(ratchet);
        Ok((if self.receiving_only { next.receiving_only() } else { next }, plaintext))
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.facts.id
    }
    /// This side of it.
    pub fn own(&self) -> &Party {
        &self.facts.own
    }
    /// The other side of it.
    pub fn peer(&self) -> &Party {
        &self.facts.peer
    }
    /// Whether this side began it.
    pub fn initiated(&self) -> bool {
        self.facts.initiated
    }
    /// Whether the other side is known to have it: this side has decrypted a message of it.
    pub fn confirmed(&self) -> bool {
        self.ratchet.receiving.is_some()
    }
    /// Whether [`Self::encrypt`] is refused.
    pub fn only_receives(&self) -> bool {
        self.receiving_only
    }
    /// The same session without what encrypts: it only receives from now on.
    pub fn receiving_only(&self) -> Self {
        Self { receiving_only: true, ..self.at(self.ratchet.receiving_only()) }
    }

    /// The same session without the skipped keys that are too old to be of use, to be asked for once a day; `today` in days
    /// since 1970. `None` where nothing changes. **[MSG-35]**
    pub fn expire_skipped(&self, today: u32) -> Option<Self> {
        self.ratchet.expire_skipped(today).map(|ratchet| self.at(ratchet))
    }

    /// Whether this session knows the chain of a message (current receiving chain or skipped keys), or could begin it:
    /// used to choose the session before any decryption. Ask all sessions [`Self::has_chain`] first, since any session
    /// that waits for an answer could begin any chain.
    pub fn knows_chain(&self, chain: &[u8; 32]) -> bool {
        self.has_chain(chain) || self.ratchet.own.is_some()
    }
    /// Whether the chain is this session's current receiving chain, or one of which it keeps skipped keys.
    pub fn has_chain(&self, chain: &[u8; 32]) -> bool {
        self.ratchet.has_chain(chain)
    }

    fn at(&self, ratchet: Ratchet) -> Self {
        Self { facts: Arc::clone(&self.facts), ratchet, receiving_only: self.receiving_only }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(..)")
    }
}

fn parse(message: &[u8]) -> Result<SessionMessage, Refused> {
    SessionMessage::parse(message).map_err(|_| Refused)
}

/// The two sides are two devices, and the secret is the own one's: nothing of one's own comes back as somebody else's.
/// **[MSG-17]**
fn two_devices(own: &Party, secret: &DeviceSecret, peer: &Party) -> Result<(), Refused> {
    let same = own.device.key == peer.device.key || own.device.identity == peer.device.identity;
    if same || secret.public(own.device.id) != own.device { Err(Refused) } else { Ok(()) }
}

fn id_of(part: &PqxdhPart) -> SessionId {
    SessionId(sha256(&[label::SESSION_ID, &part.layout()]))
}

/// What the tag covers besides the ciphertext: the session's hash, then the header as it travelled.
fn covered(associated: &[u8; 32], message: &[u8], parsed: &SessionMessage) -> Result<Vec<u8>, Refused> {
    let header =
        message.len().checked_sub(parsed.ciphertext.len()).and_then(|end| message.get(..end)).ok_or(Refused)?;
    Ok([&associated[..], header].concat())
}

/// The id of the session that a message with a PQXDH part belongs to; `None` for one without. Errors: malformed.
pub fn session_id(message: &[u8]) -> Result<Option<SessionId>, Refused> {
    Ok(parse(message)?.pqxdh.as_ref().map(id_of))
}

/// The ids of one's own prekeys that a first message names: signed, one-time, KEM with its role; and the replay-cache
/// key, SHA-256 of EKA and ciphertext. `None` for a message without PQXDH part. Errors: malformed.
pub fn named_prekeys(message: &[u8]) -> Result<Option<NamedPrekeys>, Refused> {
    Ok(parse(message)?.pqxdh.map(|part| NamedPrekeys {
        signed: part.signed,
        one_time: part.one_time,
        kem_role: part.kem_role,
        kem: part.kem,
        replay: sha256(&[&part.ephemeral, &part.ciphertext]),
    }))
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
pub fn chain_id(message: &[u8]) -> Result<[u8; 32], Refused> {
    Ok(ratchet::chain_id(&parse(message)?.header.chain))
}

/// Longest plaintext that fits a box of `size` bytes, with a device list of `list` bytes and with or without PQXDH part.
pub fn room_for_plaintext(size: usize, list: usize, pqxdh: bool) -> usize {
    // Sealing: device id, list with its length and signature, message with its length. Message: version, parts, one of
    // PQXDH part and ciphertext of the chain, A', ek', PN, N, salt, tag.
    let sealing = 4 + (4 + list + 64) + 4;
    let parts = if pqxdh { PqxdhPart::LENGTH } else { ML_KEM_CIPHERTEXT };
    let header = 2 + parts + 32 + sealpost_spec::account::ML_KEM_KEY + 4 + 4 + SALT;
    size.saturating_sub(BOX_OVERHEAD + sealing + header + TAG)
}
