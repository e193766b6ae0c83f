#![doc = include_str!("../room.md")]

mod moderation;

use serde::{Deserialize, Serialize};

pub use moderation::{MAX_AWAY, MAX_DISPLAY_NAME, MAX_ROOM_BANS, MAX_TOPIC, Person, RoomReceipt, one_line};

use crate::account::{AccountKey, Device, DeviceId, DeviceKey, IdentityKey, Name};
use crate::wire::layout::{Reader, Writer};
use crate::wire::{Bytes, DecodeError, Signed};

/// Longest body of a post in bytes.
pub const MAX_POST_BODY: usize = 16 * 1024;
/// The room that exists from the start.
pub const LOBBY: &str = "lobby";
/// Most rooms of a relay.
pub const MAX_ROOMS: usize = 10_000;
/// Most rooms that one account is a member of.
pub const MAX_ROOMS_JOINED: usize = 200;

/// A public room's name, written with `#` before it: `[a-z0-9][a-z0-9_.-]{0,31}`. **[ROOM-1]**
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

/// The text is no room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room is # and 1 to 32 of a-z 0-9 _ . - beginning with a letter or digit")]
pub struct InvalidRoomName;

impl RoomName {
    /// Greatest length in bytes.
    pub const MAX: usize = 32;

    /// The name without `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The room that exists from the start.
    pub fn lobby() -> Self {
        Self(LOBBY.to_owned())
    }

    /// Whether this is the room that exists from the start, which nobody made. **[ROOM-12]**
    pub fn is_lobby(&self) -> bool {
        self.0 == LOBBY
    }

    /// From a field of a layout.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError)?;
        Self::try_from(text.to_owned()).map_err(|_| DecodeError)
    }
}

impl std::str::FromStr for RoomName {
    type Err = InvalidRoomName;
    fn from_str(text: &str) -> Result<Self, InvalidRoomName> {
        let bare = text.strip_prefix('#').unwrap_or(text);
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let first = bare.bytes().next().is_some_and(letter);
        let rest = bare.bytes().all(|c| letter(c) || matches!(c, b'_' | b'.' | b'-'));
        if first && rest && bare.len() <= Self::MAX { Ok(Self(bare.to_owned())) } else { Err(InvalidRoomName) }
    }
}

impl TryFrom<String> for RoomName {
    type Error = InvalidRoomName;
    fn try_from(text: String) -> Result<Self, InvalidRoomName> {
        if text.starts_with('#') { Err(InvalidRoomName) } else { text.parse() }
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.0
    }
}

impl std::fmt::Display for RoomName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl std::fmt::Debug for RoomName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoomName(#{})", self.0)
    }
}

/// Names a post: UUIDv7 (RFC 9562), by its author's clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct PostId(pub [u8; 16]);

impl PostId {
    /// None: the target of a post that has none.
    pub const NONE: Self = Self([0; 16]);

    /// A UUIDv7 from Unix milliseconds and 10 random bytes (RFC 9562 section 5.7).
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        let [_, _, time @ ..] = unix_ms.to_be_bytes();
        let [r0, r1, r2, rest @ ..] = random;
        let [t0, t1, t2, t3, t4, t5] = time;
        let [r3, r4, r5, r6, r7, r8, r9] = rest;
        Self([t0, t1, t2, t3, t4, t5, 0x70 | (r0 & 0x0f), r1, 0x80 | (r2 & 0x3f), r3, r4, r5, r6, r7, r8, r9])
    }
}

impl std::fmt::Display for PostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for PostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostId({self})")
    }
}

/// SHA-256 of label and a post's head as it travelled; all zero where there is no post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct PostHash(pub [u8; 32]);

/// What a post does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum PostKind {
    /// Says its body.
    Text = 1,
    /// Replaces the body of the target, which is the same account's.
    Edit = 2,
    /// Removes the target, which is the same account's.
    Delete = 3,
    /// Says its body in answer to the target.
    Reply = 4,
    /// Its body is an emoji for the target; empty takes it back.
    Reaction = 5,
    /// Makes the author a member; the first one makes the room.
    Join = 6,
    /// Ends the author's membership.
    Leave = 7,
    /// Says what the room is about.
    Topic = 8,
    /// Ends somebody's membership.
    Kick = 9,
    /// Ends it, and keeps them out.
    Ban = 10,
    /// Lets them in again.
    Unban = 11,
    /// Removes the target, whosever it is.
    Remove = 12,
    /// Its body is what the author wants to be called, beside the account name.
    Name = 13,
    /// Its body is why the author is away; empty: is back.
    Away = 14,
}

impl PostKind {
    fn from_number(number: u8) -> Result<Self, DecodeError> {
        Ok(match number {
            1 => Self::Text,
            2 => Self::Edit,
            3 => Self::Delete,
            4 => Self::Reply,
            5 => Self::Reaction,
            6 => Self::Join,
            7 => Self::Leave,
            8 => Self::Topic,
            9 => Self::Kick,
            10 => Self::Ban,
            11 => Self::Unban,
            12 => Self::Remove,
            13 => Self::Name,
            14 => Self::Away,
            _ => return Err(DecodeError),
        })
    }

    /// Whether a post of this kind names another one.
    pub const fn has_target(self) -> bool {
        matches!(self, Self::Edit | Self::Delete | Self::Reply | Self::Reaction | Self::Remove)
    }
}

/// The head of a post: everything that its author signs. Signed by the author's device over
/// [`crate::label::POST`]. **[ROOM-2]**
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostHead {
    /// The relay's public key: a post can't be carried to another relay.
    pub relay: [u8; 32],
    /// The room.
    pub room: RoomName,
    /// The author's name.
    pub author: Name,
    /// The author's account key.
    pub account: AccountKey,
    /// The author's device.
    pub device: Device,
    /// Counts this device's posts in this room, from 1. **[ROOM-4]**
    pub number: u64,
    /// Hash of this device's previous post in this room.
    pub previous: PostHash,
    /// Unix time in milliseconds by the author's clock.
    pub time: u64,
    /// The post's id.
    pub id: PostId,
    /// What it does.
    pub kind: PostKind,
    /// The post it is about, or [`PostId::NONE`].
    pub target: PostId,
    /// That post's hash; where the post is about a person, their account key.
    pub target_hash: PostHash,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

impl PostHead {
    /// The bytes that are signed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .fixed(&self.relay)
            .short(self.room.as_str().as_bytes())
            .short(self.author.as_str().as_bytes())
            .fixed(&self.account.0)
            .fixed(&self.device.layout())
            .u64(self.number)
            .fixed(&self.previous.0)
            .u64(self.time)
            .fixed(&self.id.0)
            .u8(self.kind as u8)
            .fixed(&self.target.0)
            .fixed(&self.target_hash.0)
            .fixed(&self.body_hash)
            .done()
    }

    /// Parses a head; says nothing about its signature.
    ///
    /// # Errors
    /// Anything but the one layout; a target, its hash or a person where the kind has none, or none where it has one;
    /// number 0.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let relay = reader.fixed()?;
        let head = Self {
            relay,
            room: RoomName::from_bytes(reader.short()?)?,
            author: Name::from_bytes(reader.short()?)?,
            account: AccountKey(reader.fixed()?),
            device: Device {
                id: DeviceId(reader.u32()?),
                key: DeviceKey(reader.fixed()?),
                identity: IdentityKey(reader.fixed()?),
            },
            number: reader.u64()?,
            previous: PostHash(reader.fixed()?),
            time: reader.u64()?,
            id: PostId(reader.fixed()?),
            kind: PostKind::from_number(reader.u8()?)?,
            target: PostId(reader.fixed()?),
            target_hash: PostHash(reader.fixed()?),
            body_hash: reader.fixed()?,
        };
        reader.done()?;
        let (post, hash) = (head.target != PostId::NONE, head.target_hash != PostHash::default());
        let fits = post == head.kind.has_target() && (post || hash == head.kind.names_a_person());
        if head.number == 0 || !fits { Err(DecodeError) } else { Ok(head) }
    }

    /// The account that a kick, ban or unban names.
    pub fn person(&self) -> Option<AccountKey> {
        self.kind.names_a_person().then_some(AccountKey(self.target_hash.0))
    }
}

/// A post as it travels and as the relay stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// A signed [`PostHead`].
    pub head: Signed,
    /// The author's device list, signed by the account key: shows that the device is the account's.
    pub author: Signed,
    /// The body; `None` where it was removed, which the signature can't show: by its author if a delete post names it,
    /// else by the relay's operator. **[ROOM-6]**
    pub body: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [ROOM-1] names of rooms.
    #[test]
    fn room_names() {
        for good in ["#lobby", "a", "0-1_x.y", &"a".repeat(32)] {
            assert!(good.parse::<RoomName>().is_ok(), "{good}");
        }
        for bad in ["", "#", "##a", "-a", "A", "a b", "a/b", "ä", &"a".repeat(33), "a\n"] {
            assert!(bad.parse::<RoomName>().is_err(), "{bad:?}");
        }
        assert!(RoomName::try_from("#lobby".to_owned()).is_err(), "it travels without the mark");
    }

    #[test]
    fn post_ids_are_uuids_of_version_7() {
        let id = PostId::new(0x0198_1234_5678, [0xff; 10]);
        assert_eq!(id.to_string(), "0198123456787fffbfffffffffffffff");
    }

    fn head() -> PostHead {
        PostHead {
            relay: [1; 32],
            room: RoomName::lobby(),
            author: "alice".parse().unwrap(),
            account: AccountKey([2; 32]),
            device: Device { id: DeviceId::FIRST, key: DeviceKey([3; 32]), identity: IdentityKey([4; 32]) },
            number: 1,
            previous: PostHash::default(),
            time: 5,
            id: PostId([6; 16]),
            kind: PostKind::Text,
            target: PostId::NONE,
            target_hash: PostHash::default(),
            body_hash: [7; 32],
        }
    }

    /// [ROOM-2] a head has one layout, and a target exactly where its kind has one.
    #[test]
    fn a_head_has_one_layout() {
        let good = head().layout();
        assert_eq!(PostHead::parse(&good), Ok(head()));
        assert!(PostHead::parse(&good[1..]).is_err());
        assert!(PostHead::parse(&[good.as_slice(), &[0]].concat()).is_err());
        assert!(PostHead::parse(&PostHead { number: 0, ..head() }.layout()).is_err());
        assert!(PostHead::parse(&PostHead { kind: PostKind::Edit, ..head() }.layout()).is_err());
        assert!(PostHead::parse(&PostHead { target: PostId([1; 16]), ..head() }.layout()).is_err());
        assert!(PostHead::parse(&PostHead { target_hash: PostHash([1; 32]), ..head() }.layout()).is_err());
        let kick = PostHead { kind: PostKind::Kick, target_hash: PostHash([1; 32]), ..head() };
        assert_eq!(PostHead::parse(&kick.layout()).map(|head| head.person()), Ok(Some(AccountKey([1; 32]))));
        assert!(PostHead::parse(&PostHead { target_hash: PostHash::default(), ..kick.clone() }.layout()).is_err());
        assert!(PostHead::parse(&PostHead { target: PostId([1; 16]), ..kick }.layout()).is_err());
        assert_eq!(head().person(), None);
    }
}
