use serde::{Deserialize, Serialize};

use crate::mailbox::StoreId;
use crate::transparency::TreeHead;
use crate::wire::layout::{Reader, Writer};
use crate::wire::{DecodeError, MAGIC, decode, encode};

/// Which kind of link a client opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LinkKind {
    /// Will log in: receives pushes, publishes keys, posts to rooms.
    Authenticated,
    /// Never logs in: fetches bundles of one account and delivers to it.
    Anonymous,
}

/// First frame of a link, written by the client; its layout is the same in every version. **[WIRE-5]**
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// Lowest protocol version that the client speaks.
    pub lowest: u16,
    /// Highest protocol version that the client speaks.
    pub highest: u16,
    /// The kind of link.
    pub kind: LinkKind,
}

impl ClientHello {
    /// Magic, lowest, highest, kind (0 authenticated, 1 anonymous).
    pub fn layout(&self) -> Vec<u8> {
        Writer::new()
            .fixed(&MAGIC)
            .u16(self.lowest)
            .u16(self.highest)
            .u8(match self.kind {
                LinkKind::Authenticated => 0,
                LinkKind::Anonymous => 1,
            })
            .done()
    }

    /// Parses a hello.
    ///
    /// # Errors
    /// Anything but the one layout.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let magic: [u8; 4] = reader.fixed()?;
        let hello = Self {
            lowest: reader.u16()?,
            highest: reader.u16()?,
            kind: match reader.u8()? {
                0 => LinkKind::Authenticated,
                1 => LinkKind::Anonymous,
                _ => return Err(DecodeError),
            },
        };
        reader.done()?;
        if magic != MAGIC || hello.lowest > hello.highest {
            return Err(DecodeError);
        }
        Ok(hello)
    }
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registering {
    /// Everybody.
    Open,
    /// Who has an invite.
    Invite,
    /// Nobody new.
    Closed,
}

/// Leading zero bits that a proof of work must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkPrice {
    /// To fetch a bundle or a device list without login.
    pub fetch: u8,
    /// To deliver without token.
    pub deliver: u8,
}

/// Answers a [`ClientHello`]: magic, then the version that the link speaks from here on, then the rest in that version.
/// Version 0: none that the client speaks; the relay's lowest and highest follow and the link is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayHello {
    /// Changes when the relay has lost its store.
    pub store: StoreId,
    /// Random; part of what a login signs.
    pub challenge: [u8; 32],
    /// The relay's clock, Unix time in milliseconds.
    pub time: u64,
    /// Who may register.
    pub registering: Registering,
    /// What work costs here.
    pub work: WorkPrice,
    /// The newest tree head; all zero while there is no log.
    pub tree_head: TreeHead,
}

impl RelayHello {
    /// The bytes of a hello in version `version`; `None` never happens, the value is of bounded size.
    pub fn layout(&self, version: u16) -> Option<Vec<u8>> {
        let rest = encode(self)?;
        Some(Writer::new().fixed(&MAGIC).u16(version).fixed(&rest).done())
    }

    /// The bytes that tell a client that no version fits.
    pub fn no_version(lowest: u16, highest: u16) -> Vec<u8> {
        Writer::new().fixed(&MAGIC).u16(0).u16(lowest).u16(highest).done()
    }

    /// Parses a hello: the version and the rest, or the relay's lowest and highest version where none fits.
    ///
    /// # Errors
    /// Anything but the layouts above; a version that is not this crate's. **[WIRE-6]**
    pub fn parse(bytes: &[u8]) -> Result<Result<Self, (u16, u16)>, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.fixed::<4>()? != MAGIC {
            return Err(DecodeError);
        }
        match reader.u16()? {
            0 => {
                let range = (reader.u16()?, reader.u16()?);
                reader.done()?;
                Ok(Err(range))
            }
            crate::wire::VERSION => Ok(Ok(decode(reader.rest())?)),
            _ => Err(DecodeError),
        }
    }
}
