#![doc = include_str!("../account.md")]

mod link;
mod name;
mod request;

use serde::{Deserialize, Serialize};

pub use link::{ContactLink, InviteLink, InviteToken};
pub use name::{InvalidName, Name, skeleton};
pub use request::{DeviceCode, DeviceRequest};

use crate::wire::layout::{Reader, Writer};
use crate::wire::{DecodeError, Signed};

/// Most devices of an account: a bundle of all of them fits a frame.
pub const MAX_DEVICES: usize = 8;

/// Most one-time X25519 prekeys of a device that a relay keeps.
pub const MAX_ONE_TIME_PREKEYS: usize = 100;

/// Most one-time ML-KEM-768 prekeys of a device that a relay keeps: each is 1.2 KiB.
pub const MAX_KEM_PREKEYS: usize = 40;

/// Most one-time prekeys of each kind in one request, so that it fits a frame.
pub const MAX_PREKEYS_AT_ONCE: usize = 32;

/// Bytes of an encoded X25519 public key (RFC 7748).
pub const X25519_KEY: usize = 32;
/// Bytes of an encoded ML-KEM-768 encapsulation key (FIPS 203).
pub const ML_KEM_KEY: usize = 1184;
/// Bytes of an encoded X-Wing public key: ML-KEM-768, then X25519.
pub const X_WING_KEY: usize = 1216;

/// The Ed25519 public key that is an account's identity (RFC 8032). Not checked to be a point.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountKey(pub [u8; 32]);

/// A device's Ed25519 public key: signs logins, prekeys and posts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceKey(pub [u8; 32]);

/// A device's X25519 identity key, IK of the PQXDH paper.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdentityKey(pub [u8; 32]);

/// SHA-256 of label and account key: what people compare and links carry. Written as 52 characters of base32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

macro_rules! debug_by_prefix {
    ($($type:ident),*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let text = data_encoding::BASE32_NOPAD.encode(&self.0).to_lowercase();
                write!(f, concat!(stringify!($type), "({}..)"), text.get(..8).unwrap_or_default())
            }
        }
    )*};
}
debug_by_prefix!(AccountKey, DeviceKey, IdentityKey, Fingerprint);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_lowercase())
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = DecodeError;
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let bytes =
            data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| DecodeError)?;
        Ok(Self(bytes.try_into().map_err(|_| DecodeError)?))
    }
}

/// Numbers the devices of an account, from 1; never used again after a device's removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceId(pub u32);

impl DeviceId {
    /// The first device, which holds the account's private key.
    pub const FIRST: Self = Self(1);
}

/// One device of an account, as its device list names it. 68 bytes: id, signing key, identity key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    /// Its number.
    pub id: DeviceId,
    /// Its Ed25519 key.
    pub key: DeviceKey,
    /// Its X25519 key.
    pub identity: IdentityKey,
}

/// The numbered list of an account's devices. Signed by the account key over [`crate::label::DEVICE_LIST`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    /// Starts at 1 and grows by one with each change.
    pub number: u64,
    /// The account's name.
    pub name: Name,
    /// The account's key.
    pub account: AccountKey,
    /// From one to [`MAX_DEVICES`], ids strictly rising.
    pub devices: Vec<Device>,
}

impl DeviceList {
    /// The bytes that are signed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        let head = Writer::new()
            .u64(self.number)
            .short(self.name.as_str().as_bytes())
            .fixed(&self.account.0)
            .u8(self.devices.len() as u8);
        self.devices.iter().fold(head, |writer, device| writer.fixed(&device.layout())).done()
    }

    /// Parses a list; says nothing about its signature.
    ///
    /// # Errors
    /// Anything but the one layout of a list that [ACCT-3] allows.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let number = reader.u64()?;
        let name = Name::from_bytes(reader.short()?)?;
        let account = AccountKey(reader.fixed()?);
        let count = usize::from(reader.u8()?);
        if number == 0 || count == 0 || count > MAX_DEVICES {
            return Err(DecodeError);
        }
        let mut devices: Vec<Device> = Vec::with_capacity(count);
        for _ in 0..count {
            let device = Device::parse(&mut reader)?;
            if devices.last().map_or(0, |last| last.id.0) >= device.id.0 {
                return Err(DecodeError);
            }
            devices.push(device);
        }
        reader.done()?;
        Ok(Self { number, name, account, devices })
    }

    /// The device with this id.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }
}

impl Device {
    /// Its 68 bytes in a device list.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new().u32(self.id.0).fixed(&self.key.0).fixed(&self.identity.0).done()
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: DeviceId(reader.u32()?),
            key: DeviceKey(reader.fixed()?),
            identity: IdentityKey(reader.fixed()?),
        })
    }
}

/// What a signed key is for. The byte is signed with it, so that no key passes for one of another role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum PrekeyRole {
    /// X25519, rotated weekly.
    Signed = 1,
    /// X25519, given out once.
    OneTime = 2,
    /// ML-KEM-768, given out when no one-time one is left; rotated weekly.
    LastResortKem = 3,
    /// ML-KEM-768, given out once.
    OneTimeKem = 4,
    /// X-Wing: sealed boxes are addressed to it; rotated weekly.
    Box = 5,
}

/// A prekey id: per device and role, from 1, never used twice; 0 stands for "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct PrekeyId(pub u32);

impl PrekeyId {
    /// No key.
    pub const NONE: Self = Self(0);
}

/// A public prekey. Signed by its device's key over [`crate::label::PREKEY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prekey {
    /// What it is for; fixes the type and length of `key`.
    pub role: PrekeyRole,
    /// Its id.
    pub id: PrekeyId,
    /// Unix time in seconds at which its device made it.
    pub made_at: u64,
    /// The encoded public key.
    pub key: Vec<u8>,
}

impl PrekeyRole {
    /// The type tag before an encoded key: 1 X25519, 2 ML-KEM-768, 3 X-Wing. Encodings of two types are disjoint.
    pub const fn key_type(self) -> u8 {
        match self {
            Self::Signed | Self::OneTime => 1,
            Self::LastResortKem | Self::OneTimeKem => 2,
            Self::Box => 3,
        }
    }

    /// Length of the encoded key in bytes.
    pub const fn key_length(self) -> usize {
        match self {
            Self::Signed | Self::OneTime => X25519_KEY,
            Self::LastResortKem | Self::OneTimeKem => ML_KEM_KEY,
            Self::Box => X_WING_KEY,
        }
    }

    /// The role of this number.
    ///
    /// # Errors
    /// There is none.
    pub const fn from_number(number: u8) -> Result<Self, DecodeError> {
        Ok(match number {
            1 => Self::Signed,
            2 => Self::OneTime,
            3 => Self::LastResortKem,
            4 => Self::OneTimeKem,
            5 => Self::Box,
            _ => return Err(DecodeError),
        })
    }
}

impl Prekey {
    /// The bytes that are signed, without the label: role, id, time, type tag, key.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .u8(self.role as u8)
            .u32(self.id.0)
            .u64(self.made_at)
            .u8(self.role.key_type())
            .fixed(&self.key)
            .done()
    }

    /// Parses a prekey; says nothing about its signature.
    ///
    /// # Errors
    /// Anything but the one layout, id 0 included. **[ACCT-6]**
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let role = PrekeyRole::from_number(reader.u8()?)?;
        let id = PrekeyId(reader.u32()?);
        let made_at = reader.u64()?;
        let key_type = reader.u8()?;
        let key = reader.slice(role.key_length())?.to_vec();
        reader.done()?;
        if id == PrekeyId::NONE || key_type != role.key_type() {
            return Err(DecodeError);
        }
        Ok(Self { role, id, made_at, key })
    }
}

/// What a device publishes of its keys. Each is a [`Prekey`] of the named role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKeys {
    /// The current signed prekey, where it is new to the relay.
    pub signed: Option<Signed>,
    /// The current last-resort KEM prekey, where it is new to the relay.
    pub last_resort_kem: Option<Signed>,
    /// The current box key, where it is new to the relay.
    pub box_key: Option<Signed>,
    /// Further one-time prekeys, at most [`MAX_PREKEYS_AT_ONCE`].
    pub one_time: Vec<Signed>,
    /// Further one-time KEM prekeys, at most [`MAX_PREKEYS_AT_ONCE`].
    pub one_time_kem: Vec<Signed>,
}

/// How many one-time prekeys of a device the relay still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrekeyCounts {
    /// X25519.
    pub one_time: u32,
    /// ML-KEM-768.
    pub one_time_kem: u32,
}

/// The prekeys of one device, as a relay gives them to whoever wants to write to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceBundle {
    /// Whose they are.
    pub device: DeviceId,
    /// [`PrekeyRole::Signed`].
    pub signed: Signed,
    /// [`PrekeyRole::OneTime`], while there are any.
    pub one_time: Option<Signed>,
    /// [`PrekeyRole::OneTimeKem`], else [`PrekeyRole::LastResortKem`].
    pub kem: Signed,
    /// [`PrekeyRole::Box`].
    pub box_key: Signed,
}

/// An account's device list and the prekeys of each of its devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// A [`DeviceList`].
    pub list: Signed,
    /// One for each device that has published keys.
    pub devices: Vec<DeviceBundle>,
}

/// The relay's word that a name belongs to an account key. Signed by the relay's key over
/// [`crate::label::NAME_RECEIPT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameReceipt {
    /// The name.
    pub name: Name,
    /// Whose it is.
    pub account: AccountKey,
    /// Raised each time the relay's operator releases the name.
    pub generation: u32,
    /// Unix time in milliseconds of the first registration.
    pub time: u64,
}

impl NameReceipt {
    /// The bytes that are signed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .short(self.name.as_str().as_bytes())
            .fixed(&self.account.0)
            .u32(self.generation)
            .u64(self.time)
            .done()
    }

    /// Parses a receipt; says nothing about its signature.
    ///
    /// # Errors
    /// Anything but the one layout.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let receipt = Self {
            name: Name::from_bytes(reader.short()?)?,
            account: AccountKey(reader.fixed()?),
            generation: reader.u32()?,
            time: reader.u64()?,
        };
        reader.done()?;
        Ok(receipt)
    }

    /// Whether this receipt wins a name from `other`: highest generation, then earliest time. **[ACCT-10]**
    pub fn outranks(&self, other: &Self) -> bool {
        (self.generation, std::cmp::Reverse(self.time)) > (other.generation, std::cmp::Reverse(other.time))
    }
}

/// What the end of an account signs. Signed by the account's key over [`crate::label::LEAVE`]. **[ACCT-19]**
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveProof<'a> {
    /// The relay's Ed25519 public key, which TLS proved.
    pub relay: &'a [u8; 32],
    /// RFC 9266 `tls-exporter` channel binding of the link.
    pub channel: &'a [u8; 32],
    /// From the relay's hello.
    pub challenge: &'a [u8; 32],
    /// Who leaves.
    pub name: &'a Name,
}

impl LeaveProof<'_> {
    /// The bytes that are signed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .fixed(self.relay)
            .fixed(self.channel)
            .fixed(self.challenge)
            .short(self.name.as_str().as_bytes())
            .done()
    }
}

/// What a login signs. Signed by the device's key over [`crate::label::LOGIN`]. **[RELAY-5]**
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginProof<'a> {
    /// The relay's Ed25519 public key, which TLS proved.
    pub relay: &'a [u8; 32],
    /// RFC 9266 `tls-exporter` channel binding of the link.
    pub channel: &'a [u8; 32],
    /// From the relay's hello.
    pub challenge: &'a [u8; 32],
    /// Who logs in.
    pub name: &'a Name,
    /// With which device.
    pub device: DeviceId,
    /// The profile's generation.
    pub generation: u64,
}

impl LoginProof<'_> {
    /// The bytes that are signed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .fixed(self.relay)
            .fixed(self.channel)
            .fixed(self.challenge)
            .short(self.name.as_str().as_bytes())
            .u32(self.device.0)
            .u64(self.generation)
            .done()
    }
}
