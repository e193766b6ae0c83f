#![doc = include_str!("../wire.md")]

pub mod codec;
pub mod layout;

use serde::{Deserialize, Serialize};

use crate::mailbox::Push;
use crate::relay::{Answer, Refusal, Work};
pub use codec::{DecodeError, DeliverRef, FrameRef, brings_keys, decode, encode, encode_frame};

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

/// The length of the body that follows this prefix.
///
/// # Errors
/// It is 0 or exceeds `limit`, one of [`MAX_FRAME`] and [`MAX_FRAME_BEFORE_HELLO`]: the link has to be closed, for
/// what follows can't be told apart any more. **[WIRE-1]** **[WIRE-2]**
pub fn body_length(prefix: [u8; LENGTH_PREFIX], limit: usize) -> Result<usize, DecodeError> {
    match usize::try_from(u32::from_le_bytes(prefix)) {
        Ok(length) if (1..=limit).contains(&length) => Ok(length),
        _ => Err(DecodeError),
    }
}

/// A frame with this body; `None` where it exceeds [`MAX_FRAME`] or is empty.
pub fn frame(body: &[u8]) -> Option<Vec<u8>> {
    let prefix = u32::try_from(body.len()).ok()?.to_le_bytes();
    body_length(prefix, MAX_FRAME).ok()?;
    let mut frame = Vec::with_capacity(LENGTH_PREFIX + body.len());
    frame.extend_from_slice(&prefix);
    frame.extend_from_slice(body);
    Some(frame)
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
    /// Unasked: an envelope, a post of a room that this link follows, or the operator's notice.
    Push(Push),
    /// Sent on a link that was silent; unanswered, the link is closed.
    Ping(u64),
    /// The last frame of a link that the relay closes, with its reason.
    Goodbye(Refusal),
    /// The last frame of a link that ought to go on at another host of the same relay: `host:port`. The pin stays.
    Redirect(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{ClientHello, LinkKind, RelayHello};

    /// [WIRE-1] [WIRE-2] an empty body and one byte too many end the link before anything is allocated.
    #[test]
    fn lengths_out_of_bounds_are_refused() {
        assert_eq!(body_length([0; 4], MAX_FRAME), Err(DecodeError));
        assert_eq!(body_length([1, 0, 0, 0], MAX_FRAME), Ok(1));
        assert_eq!(body_length(69_632_u32.to_le_bytes(), MAX_FRAME), Ok(69_632));
        assert_eq!(body_length(69_633_u32.to_le_bytes(), MAX_FRAME), Err(DecodeError));
        assert_eq!(body_length(4_097_u32.to_le_bytes(), MAX_FRAME_BEFORE_HELLO), Err(DecodeError));
        assert_eq!(body_length([255; 4], MAX_FRAME), Err(DecodeError));
        assert_eq!(frame(b"x"), Some(vec![1, 0, 0, 0, b'x']));
        assert_eq!(frame(&vec![0; MAX_FRAME + 1]), None);
    }

    /// [WIRE-5] a client hello has one layout.
    #[test]
    fn a_client_hello_has_one_layout() {
        let good = ClientHello { lowest: 1, highest: 3, kind: LinkKind::Authenticated }.layout();
        assert!(ClientHello::parse(&good).is_ok());
        for at in 0..good.len() {
            assert!(ClientHello::parse(&good[..at]).is_err(), "cut at {at}");
        }
        let with = |at: usize, byte: u8| {
            let mut bent = good.clone();
            bent[at] = byte;
            ClientHello::parse(&bent)
        };
        assert!(with(0, b's').is_err(), "another magic");
        assert!(with(4, 9).is_err(), "lowest above highest");
        assert!(with(8, 2).is_err(), "an unknown kind");
        let mut longer = good.clone();
        longer.push(0);
        assert!(ClientHello::parse(&longer).is_err());
    }

    /// [WIRE-6] an unknown version is refused, and a relay that speaks none of the client's says so.
    #[test]
    fn an_unknown_version_is_refused() {
        assert_eq!(RelayHello::parse(&RelayHello::no_version(2, 3)), Ok(Err((2, 3))));
        assert!(RelayHello::parse(b"SEAL\x02\x00").is_err());
        assert!(RelayHello::parse(b"SEAL\x01\x00").is_err(), "version 1 without its fields");
    }

    /// [WIRE-3] a list that claims more elements than there are bytes is refused, without memory for them.
    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut claim = u64::MAX.to_le_bytes().to_vec();
        claim.extend_from_slice(&[0; 64]);
        assert!(decode::<Vec<Signed>>(&claim).is_err());
        assert!(decode::<Bytes>(&claim).is_err());
    }

    /// [WIRE-8] a signed thing keeps the bytes that travelled, and prints neither them nor the signature.
    #[test]
    fn signed_bytes_travel_as_they_are() {
        let signed = Signed { body: Bytes(vec![1, 2]), signature: Signature([7; 64]) };
        let bytes = encode(&signed).unwrap();
        assert_eq!(bytes.len(), 8 + 2 + 64);
        assert_eq!(decode::<Signed>(&bytes), Ok(signed.clone()));
        assert_eq!(format!("{signed:?}"), "Signed { body: Bytes(2), signature: Signature(..) }");
    }
}
