#![doc = include_str!("../wire.md")]

pub mod codec;
pub mod layout;

use serde::{Deserialize, Serialize};

use crate::mailbox::Push;
use crate::relay::{Answer, Refusal, Work};
pub use codec::{DecodeError, decode, encode};

/// Greatest body of a frame on a link whose hello was answered, in bytes: a 60 KiB box, or a bundle of eight devices,
/// with what stands around it. **[WIRE-2]**
pub const MAX_FRAME: usize = 68 * 1024;

/// Greatest body of a frame before the hello was answered, in bytes: nobody needs more to say hello. **[WIRE-2]**
pub const MAX_FRAME_BEFORE_HELLO: usize = 4 * 1024;

/// Bytes of the length prefix of a frame: `u32`, little-endian.
pub const LENGTH_PREFIX: usize = 4;

/// First bytes of both hellos, the same in every version.
pub const MAGIC: [u8; 4] = *b"SEAL";

/// The protocol version that this crate describes.
pub const VERSION: u16 = 1;

/// Opaque bytes on the wire: `u64` length, then the bytes. Prints its length only.
#[derive(Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// A 64-byte Ed25519 signature (RFC 8032), not yet verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (left, right) = self.0.split_at(32);
        let halves: ([u8; 32], [u8; 32]) =
            (left.try_into().map_err(serde::ser::Error::custom)?, right.try_into().map_err(serde::ser::Error::custom)?);
        halves.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (left, right) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut both = [0; 64];
        let (to_left, to_right) = both.split_at_mut(32);
        to_left.copy_from_slice(&left);
        to_right.copy_from_slice(&right);
        Ok(Self(both))
    }
}

/// Bytes as they travelled and a signature over label and bytes. What is in the bytes is parsed from them and never
/// encoded again to be checked. **[WIRE-8]**
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// A hand-written layout; the chapter of the thing that is signed defines it.
    pub body: Bytes,
    /// Ed25519 over `label || body`.
    pub signature: Signature,
}

/// What a client writes after its hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientFrame {
    /// Asks for something; exactly one [`RelayFrame::Answer`] with this id follows.
    Request {
        /// Chosen by the client, unique among its unanswered requests on this link.
        id: u32,
        /// Proof of work over `body`, where the request has a price.
        work: Option<Work>,
        /// An encoded [`crate::relay::Request`]: the work is bound to these very bytes.
        body: Bytes,
    },
    /// Answers a [`RelayFrame::Ping`] with its number.
    Pong(u64),
}

/// What a relay writes after its hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelayFrame {
    /// Answers the request with this id.
    Answer {
        /// The request's id.
        id: u32,
        /// What was asked for, or why not.
        answer: Result<Answer, Refusal>,
    },
    /// What the store woke: an envelope, or a post of a room that this link follows.
    Push(Push),
    /// Sent on a link that was silent; unanswered, the link is closed.
    Ping(u64),
    /// The last frame of a link that the relay closes, with its reason.
    Goodbye(Refusal),
    /// The last frame of a link that ought to go on at another host of the same relay: `host:port`. The pin stays.
    Redirect(String),
}
