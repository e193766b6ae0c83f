use serde::{Deserialize, Serialize};

/// Why a relay did not do what was asked. Numbered on the wire by the order here, which never changes; new ones are
/// added at the end. **[RELAY-12]**
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// 0. The frame or request could not be decoded.
    Malformed,
    /// 1. This relay does not do this.
    Unsupported,
    /// 2. Not on this kind of link, or not before a login.
    WrongLink,
    /// 3. The device list, a key or a login is not signed as it must be.
    BadSignature,
    /// 4. The name, or one that looks like it, belongs to another account.
    NameTaken,
    /// 5. The relay registers nobody new.
    RegistrationClosed,
    /// 6. The relay registers who has an invite, and this one is unknown or used up.
    InviteNeeded,
    /// 7. Nobody has this name, or the device is not on its list.
    NoSuchName,
    /// 8. No device has this mailbox.
    NoSuchMailbox,
    /// 9. The mailbox holds as much as it may; its owner has to come and fetch it.
    MailboxFull,
    /// 10. Work with this many leading zero bits is wanted.
    WorkNeeded {
        /// Leading zero bits.
        bits: u8,
    },
    /// 11. The token is not, or no longer, the account's: work is wanted instead.
    UnknownToken,
    /// 12. Too many of these requests.
    TooFast {
        /// When to try again, in milliseconds.
        retry_after_ms: u32,
    },
    /// 13. Something in the request exceeds its limit.
    TooLarge {
        /// The limit, in the unit of the thing.
        limit: u64,
    },
    /// 14. A quota of this account or relay is used up.
    QuotaReached {
        /// The quota.
        limit: u64,
    },
    /// 15. There is no such room.
    NoSuchRoom,
    /// 16. Only members post.
    NotMember,
    /// 17. The post does not follow the author's previous one in this room.
    PostOutOfOrder {
        /// The number that is wanted.
        wanted: u64,
    },
    /// 18. The device list has a number below the one that the relay has, or the same number and other contents.
    StaleDeviceList,
    /// 19. A key was already published under this id.
    StaleKey,
    /// 20. The operator has banned this account.
    Banned {
        /// The operator's words.
        reason: String,
    },
    /// 21. The operator has ended this link.
    Kicked {
        /// The operator's words.
        reason: String,
    },
    /// 22. Another link of this device has logged in.
    Replaced,
    /// 23. The relay stops, or moves its links elsewhere; try again soon.
    Stopping,
    /// 24. The relay has trouble of its own; its operator finds this number in the log.
    Internal {
        /// The fault's id.
        id: u64,
    },
    /// 25. The link was silent, slow, or open for as long as it may be.
    TimedOut,
    /// 26. The relay has as many links as it may, from this address or in all.
    TooManyLinks,
    /// 27. No such post.
    NoSuchPost,
    /// 28. No such attachment.
    NoSuchBlob,
    /// 29. Only the room's creator does this.
    NotCreator,
    /// 30. The room's creator has banned this account from it.
    BannedFromRoom {
        /// The creator's words.
        reason: String,
    },
}

impl Refusal {
    /// Its number, as on the wire. [RELAY-12]
    pub fn number(&self) -> usize {
        match self {
            Self::Malformed => 0,
            Self::Unsupported => 1,
            Self::WrongLink => 2,
            Self::BadSignature => 3,
            Self::NameTaken => 4,
            Self::RegistrationClosed => 5,
            Self::InviteNeeded => 6,
            Self::NoSuchName => 7,
            Self::NoSuchMailbox => 8,
            Self::MailboxFull => 9,
            Self::WorkNeeded { .. } => 10,
            Self::UnknownToken => 11,
            Self::TooFast { .. } => 12,
            Self::TooLarge { .. } => 13,
            Self::QuotaReached { .. } => 14,
            Self::NoSuchRoom => 15,
            Self::NotMember => 16,
            Self::PostOutOfOrder { .. } => 17,
            Self::StaleDeviceList => 18,
            Self::StaleKey => 19,
            Self::Banned { .. } => 20,
            Self::Kicked { .. } => 21,
            Self::Replaced => 22,
            Self::Stopping => 23,
            Self::Internal { .. } => 24,
            Self::TimedOut => 25,
            Self::TooManyLinks => 26,
            Self::NoSuchPost => 27,
            Self::NoSuchBlob => 28,
            Self::NotCreator => 29,
            Self::BannedFromRoom { .. } => 30,
        }
    }
}
