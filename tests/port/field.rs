//! The fields of requests: each with its bound, which is checked while it is read.

use data_encoding::HEXLOWER;
use sealpost_spec::account::{DeviceId, PrekeyId, PrekeyRole};
use sealpost_spec::wire::{Bytes, Signature, Signed};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// At most `MAX` bytes, written as lower-case hexadecimal.
pub(super) struct Hex<const MAX: usize>(pub(super) Vec<u8>);

impl<'de, const MAX: usize> Deserialize<'de> for Hex<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(from)?;
        if text.len() > 2 * MAX {
            return Err(D::Error::custom(format!("at most {MAX} bytes are taken here")));
        }
        HEXLOWER.decode(text.as_bytes()).map(Self).map_err(|_| D::Error::custom("bytes are lower-case hexadecimal"))
    }
}

/// `N` bytes, written as lower-case hexadecimal.
pub(super) struct Fixed<const N: usize>(pub(super) [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Hex(bytes) = Hex::<N>::deserialize(from)?;
        bytes.try_into().map(Self).map_err(|_| D::Error::custom(format!("{N} bytes belong here")))
    }
}

/// Text of at most `MAX` bytes.
pub(super) struct Text<const MAX: usize>(pub(super) String);

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text.len() > MAX {
            return Err(D::Error::custom(format!("at most {MAX} bytes of text are taken here")));
        }
        Ok(Self(text))
    }
}

/// What the caller calls a person, a session or a vault.
pub(super) type Label = Text<64>;
/// What one request may draw, with room.
pub(super) type Random = Hex<256>;
/// A session message or a box.
pub(super) type Message = Hex<{ 64 * 1024 }>;
/// A row of a vault, or a whole sealed session.
pub(super) type Row = Hex<{ 256 * 1024 }>;

/// Bytes with their signature: a device list or a prekey.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedField {
    body: Hex<2048>,
    signature: Fixed<64>,
}

impl From<SignedField> for Signed {
    fn from(field: SignedField) -> Self {
        Self { body: Bytes(field.body.0), signature: Signature(field.signature.0) }
    }
}

/// 1 to 5.
#[derive(Clone, Copy)]
pub(super) struct Role(pub(super) PrekeyRole);

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(from)?;
        PrekeyRole::from_number(number).map(Self).map_err(|_| D::Error::custom("a role is a number from 1 to 5"))
    }
}

/// From 1.
#[derive(Clone, Copy)]
pub(super) struct Id(u32);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            0 => Err(D::Error::custom("ids count from 1; leave the field out for none")),
            number => Ok(Self(number)),
        }
    }
}

impl From<Id> for PrekeyId {
    fn from(id: Id) -> Self {
        Self(id.0)
    }
}

impl From<Id> for DeviceId {
    fn from(id: Id) -> Self {
        Self(id.0)
    }
}
