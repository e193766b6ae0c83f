use std::sync::Arc;

use crate::account::{ML_KEM_KEY, PrekeyId, PrekeyRole};
use crate::wire::DecodeError;
use crate::wire::layout::{Reader, Writer};

/// First byte of a session message.
pub const SESSION_VERSION: u8 = 1;
/// Bytes of an ML-KEM-768 ciphertext (FIPS 203).
pub const ML_KEM_CIPHERTEXT: usize = 1088;
/// Random bytes of each header that make a message key's AEAD key and nonce unique even in a copied profile.
pub const SALT: usize = 16;
/// Bytes of a Poly1305 tag (RFC 8439).
pub const TAG: usize = 16;
/// Most messages that one message may skip: bounds the work before its tag is checked. **[MSG-14]**
pub const MAX_JUMP: u32 = 1_000;
/// Most skipped message keys that a session stores; the oldest go first. **[MSG-15]**
pub const MAX_SKIPPED_KEYS: usize = 2_000;
/// Days after which a skipped message key is wiped. **[MSG-35]**
pub const SKIPPED_KEY_DAYS: u32 = 35;

const HAS_PQXDH: u8 = 1;
const HAS_CIPHERTEXT: u8 = 2;

/// What an initiator sends until it has decrypted a reply (PQXDH section 3.3). 1,133 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct PqxdhPart {
    /// EK_A, X25519.
    pub ephemeral: [u8; 32],
    /// Which signed prekey was used.
    pub signed: PrekeyId,
    /// Which one-time prekey was used; [`PrekeyId::NONE`] for none.
    pub one_time: PrekeyId,
    /// [`PrekeyRole::OneTimeKem`] or [`PrekeyRole::LastResortKem`].
    pub kem_role: PrekeyRole,
    /// Which KEM prekey was used.
    pub kem: PrekeyId,
    /// ML-KEM-768 ciphertext to it.
    pub ciphertext: [u8; ML_KEM_CIPHERTEXT],
}

/// The public half of a chain: new with each turn of the conversation, repeated in every header of the chain.
#[derive(Clone, PartialEq, Eq)]
pub struct ChainKey {
    /// A', X25519.
    pub ratchet: [u8; 32],
    /// ek', ML-KEM-768.
    pub kem: [u8; ML_KEM_KEY],
    /// ML-KEM-768 ciphertext to the peer's ek; `None` only in the first chain of a session.
    pub ciphertext: Option<[u8; ML_KEM_CIPHERTEXT]>,
}

/// Header of a session message (Double Ratchet section 3.4), with the hybrid chain key.
#[derive(Clone, PartialEq, Eq)]
pub struct RatchetHeader {
    /// The sender's chain; shared, because it is long and the same in all of them.
    pub chain: Arc<ChainKey>,
    /// PN: messages in the sender's previous chain.
    pub previous: u32,
    /// N: this message's number in its chain, from 0.
    pub number: u32,
    /// Random; see [`SALT`].
    pub salt: [u8; SALT],
}

/// A message of a session: everything before `ciphertext` is authenticated with it, as the bytes that travelled.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionMessage {
    /// Present until the initiator has decrypted a reply.
    pub pqxdh: Option<PqxdhPart>,
    /// The ratchet header.
    pub header: RatchetHeader,
    /// ChaCha20-Poly1305 ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl PqxdhPart {
    /// Length of the layout in bytes.
    pub const LENGTH: usize = 32 + 4 + 4 + 1 + 4 + ML_KEM_CIPHERTEXT;

    /// The bytes whose hash is the session id, and which both sides authenticate.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .fixed(&self.ephemeral)
            .u32(self.signed.0)
            .u32(self.one_time.0)
            .u8(self.kem_role as u8)
            .u32(self.kem.0)
            .fixed(&self.ciphertext)
            .done()
    }

    /// Reads a part where it stands.
    ///
    /// # Errors
    /// A field is cut short, the KEM prekey is of another role, an id is 0 where a key is needed. **[MSG-4]**
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let part = Self {
            ephemeral: reader.fixed()?,
            signed: PrekeyId(reader.u32()?),
            one_time: PrekeyId(reader.u32()?),
            kem_role: PrekeyRole::from_number(reader.u8()?)?,
            kem: PrekeyId(reader.u32()?),
            ciphertext: reader.fixed()?,
        };
        let kem_role = matches!(part.kem_role, PrekeyRole::OneTimeKem | PrekeyRole::LastResortKem);
        if part.signed == PrekeyId::NONE || part.kem == PrekeyId::NONE || !kem_role {
            return Err(DecodeError);
        }
        Ok(part)
    }
}

impl SessionMessage {
    /// The bytes before the ciphertext: what the AEAD authenticates after the session's own associated data.
    pub fn header_layout(pqxdh: Option<&PqxdhPart>, header: &RatchetHeader) -> Vec<u8> {
        let parts = pqxdh.map_or(0, |_| HAS_PQXDH) | header.chain.ciphertext.as_ref().map_or(0, |_| HAS_CIPHERTEXT);
        let RatchetHeader { chain, previous, number, salt } = header;
        let part = pqxdh.map(PqxdhPart::layout).unwrap_or_default();
        let ciphertext: &[u8] = chain.ciphertext.as_ref().map_or(&[], |ciphertext| ciphertext);
        Writer::with_room(2 + part.len() + 32 + ML_KEM_KEY + ciphertext.len() + 4 + 4 + SALT)
            .u8(SESSION_VERSION)
            .u8(parts)
            .fixed(&part)
            .fixed(&chain.ratchet)
            .fixed(&chain.kem)
            .fixed(ciphertext)
            .u32(*previous)
            .u32(*number)
            .fixed(salt)
            .done()
    }

    /// The whole message.
    pub fn layout(&self) -> Vec<u8> {
        let mut bytes = Self::header_layout(self.pqxdh.as_ref(), &self.header);
        bytes.extend_from_slice(&self.ciphertext);
        bytes
    }

    /// Parses a message.
    ///
    /// # Errors
    /// Another version, unknown parts, a field cut short, a ciphertext shorter than its tag; a PQXDH part with a
    /// ciphertext of the chain, or neither of them: the first is of a session's first chain, the second of every later
    /// one. **[MSG-4]**
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::parse_of_chain(bytes, None)
    }

    /// Parses a message that is likely to be of this chain, and then shares the chain's key instead of copying it.
    ///
    /// # Errors
    /// Those of [`Self::parse`].
    pub fn parse_of_chain(bytes: &[u8], likely: Option<&Arc<ChainKey>>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        let parts = reader.u8()?;
        if version != SESSION_VERSION || !matches!(parts, HAS_PQXDH | HAS_CIPHERTEXT) {
            return Err(DecodeError);
        }
        let pqxdh = match parts & HAS_PQXDH {
            0 => None,
            _ => Some(PqxdhPart::parse(&mut reader)?),
        };
        let (ratchet, kem) = (reader.place()?, reader.place()?);
        let ciphertext = match parts & HAS_CIPHERTEXT {
            0 => None,
            _ => Some(reader.place()?),
        };
        let same =
            |key: &&Arc<ChainKey>| key.ratchet == *ratchet && key.kem == *kem && key.ciphertext.as_ref() == ciphertext;
        let chain = likely.filter(same).map_or_else(
            || Arc::new(ChainKey { ratchet: *ratchet, kem: *kem, ciphertext: ciphertext.copied() }),
            Arc::clone,
        );
        let header = RatchetHeader { chain, previous: reader.u32()?, number: reader.u32()?, salt: reader.fixed()? };
        let ciphertext = reader.rest().to_vec();
        if ciphertext.len() < TAG {
            return Err(DecodeError);
        }
        Ok(Self { pqxdh, header, ciphertext })
    }
}
