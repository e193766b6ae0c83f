//! What a room's creator says: about whom, why, and the relay's word for who the creator is.

use super::{PostKind, RoomName};
use crate::account::{AccountKey, Name};
use crate::wire::DecodeError;
use crate::wire::layout::{Reader, Writer};

/// Longest topic of a room, and longest reason of a kick or ban, in bytes. **[ROOM-16]**
pub const MAX_TOPIC: usize = 500;
/// Longest display name in bytes. **[ROOM-16]**
pub const MAX_DISPLAY_NAME: usize = 64;
/// Longest reason to be away in bytes. **[ROOM-16]**
pub const MAX_AWAY: usize = 200;
/// Most accounts that are banned from a room.
pub const MAX_ROOM_BANS: usize = 1_000;

/// Whom a kick, ban or unban names, and why: the body of such a post. The account key stands in its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name that the account has.
    pub name: Name,
    /// At most [`MAX_TOPIC`] bytes on one line; may be empty.
    pub reason: String,
}

impl Person {
    /// The bytes of the body.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new().short(self.name.as_str().as_bytes()).fixed(self.reason.as_bytes()).done()
    }

    /// Parses a body.
    ///
    /// # Errors
    /// Anything but the one layout, and a reason that [`one_line`] refuses. **[ROOM-16]**
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name = Name::from_bytes(reader.short()?)?;
        let reason = one_line(reader.rest(), MAX_TOPIC).ok_or(DecodeError)?.to_owned();
        Ok(Self { name, reason })
    }
}

/// Text of at most so many bytes, without control characters; `None` for anything else. **[ROOM-16]**
pub fn one_line(bytes: &[u8], most: usize) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= most)?;
    (!text.chars().any(char::is_control)).then_some(text)
}

impl PostKind {
    /// Whether only the room's creator says this. **[ROOM-15]**
    pub const fn moderates(self) -> bool {
        matches!(self, Self::Topic | Self::Kick | Self::Ban | Self::Unban | Self::Remove)
    }

    /// Whether it is about a person, whose account key stands where the target's hash would.
    pub const fn names_a_person(self) -> bool {
        matches!(self, Self::Kick | Self::Ban | Self::Unban)
    }

    /// The most bytes of its body, where that is one line of text. **[ROOM-16]**
    pub const fn line(self) -> Option<usize> {
        match self {
            Self::Topic => Some(MAX_TOPIC),
            Self::Name => Some(MAX_DISPLAY_NAME),
            Self::Away => Some(MAX_AWAY),
            _ => None,
        }
    }
}

/// The relay's word for who made a room. Signed by the relay's key over [`crate::label::ROOM_RECEIPT`]. **[ROOM-12]**
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomReceipt {
    /// The room.
    pub room: RoomName,
    /// The name of who made it.
    pub name: Name,
    /// Their account key.
    pub account: AccountKey,
    /// Unix time in milliseconds at which it was made.
    pub time: u64,
}

impl RoomReceipt {
    /// The bytes that are signed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .short(self.room.as_str().as_bytes())
            .short(self.name.as_str().as_bytes())
            .fixed(&self.account.0)
            .u64(self.time)
            .done()
    }

    /// Parses a receipt; says nothing about its signature.
    ///
    /// # Errors
    /// Anything but the one layout; one for the room that has no creator.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let receipt = Self {
            room: RoomName::from_bytes(reader.short()?)?,
            name: Name::from_bytes(reader.short()?)?,
            account: AccountKey(reader.fixed()?),
            time: reader.u64()?,
        };
        reader.done()?;
        if receipt.room.is_lobby() { Err(DecodeError) } else { Ok(receipt) }
    }

    /// Whether this receipt names the creator, and not the other one. **[ROOM-14]**
    pub fn outranks(&self, other: &Self) -> bool {
        self.time < other.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [ROOM-16] a reason is one bounded line.
    #[test]
    fn a_reason_is_one_line() {
        let person = |reason: &str| Person { name: "bob".parse().unwrap(), reason: reason.to_owned() };
        for good in ["", "spam", &"x".repeat(MAX_TOPIC), "grüße 👋"] {
            assert_eq!(Person::parse(&person(good).layout()), Ok(person(good)), "{good}");
        }
        for bad in ["a\nb", "\x1b[2J", "\u{9b}2J", "\0", &"x".repeat(MAX_TOPIC + 1)] {
            assert!(Person::parse(&person(bad).layout()).is_err(), "{bad:?}");
        }
        for bad in [&b""[..], b"\x03Bob", b"\x05bob", b"\x03bob\xff"] {
            assert!(Person::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// [ROOM-12] [ROOM-14] a receipt has one layout; the earlier one counts; the lobby has none.
    #[test]
    fn a_receipt_has_one_layout() {
        let receipt = RoomReceipt {
            room: "garden".parse().unwrap(),
            name: "alice".parse().unwrap(),
            account: AccountKey([1; 32]),
            time: 7,
        };
        let layout = receipt.layout();
        assert_eq!(RoomReceipt::parse(&layout), Ok(receipt.clone()));
        assert!(RoomReceipt::parse(&layout[1..]).is_err());
        assert!(RoomReceipt::parse(&[layout.as_slice(), &[0]].concat()).is_err());
        assert!(RoomReceipt::parse(&RoomReceipt { room: RoomName::lobby(), ..receipt.clone() }.layout()).is_err());
        let later = RoomReceipt { time: 8, ..receipt.clone() };
        assert!(receipt.outranks(&later) && !later.outranks(&receipt) && !receipt.outranks(&receipt));
    }
}
