//! The only module that names bincode: fixed-width little-endian integers, an explicit limit, every byte consumed.
//!
//! In this configuration a value has exactly one encoding **[WIRE-4]**, and the limit bounds what a length may claim
//! **[WIRE-3]**. bincode is no longer maintained
//! (RUSTSEC-2025-0141); the layout is written down in the chapter, and nothing signed, hashed or authenticated leans on
//! it, so that another encoder of the same bytes can take its place.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_FRAME;

/// The bytes are not the encoding of a value of the wanted type, or exceed the limit. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed")]
pub struct DecodeError;

fn configuration() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::Limit<MAX_FRAME>,
> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<MAX_FRAME>()
}

/// Encodes a value; `None` where it exceeds [`MAX_FRAME`] bytes, which only a caller's own unbounded list can.
pub fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(value, configuration()).ok()?;
    (bytes.len() <= MAX_FRAME).then_some(bytes)
}

/// Decodes a value from exactly these bytes.
///
/// # Errors
/// Anything else than the one encoding of a `T`: trailing bytes, a length beyond the input, an unknown variant.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError);
    }
    match bincode::serde::decode_from_slice(bytes, configuration()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(DecodeError),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::wire::Bytes;

    /// [WIRE-4] trailing bytes, short input and a length prefix of a tebibyte are all refused.
    #[test]
    fn only_the_one_encoding_decodes() {
        let encoded = encode(&Bytes(vec![1, 2, 3])).unwrap_or_default();
        assert_eq!(encoded, [3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(decode::<Bytes>(&encoded), Ok(Bytes(vec![1, 2, 3])));
        let mut longer = encoded.clone();
        longer.push(0);
        assert!(decode::<Bytes>(&longer).is_err());
        assert!(decode::<Bytes>(encoded.split_last().map_or(&[], |(_, rest)| rest)).is_err());
        let tebibyte = (1_u64 << 40).to_le_bytes();
        assert!(decode::<Bytes>(&tebibyte).is_err());
        assert!(decode::<Vec<u64>>(&tebibyte).is_err());
        assert!(decode::<String>(&tebibyte).is_err());
        assert!(decode::<bool>(&[2]).is_err());
        assert!(decode::<Option<u8>>(&[2, 0]).is_err());
    }
}
