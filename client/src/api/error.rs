//! Errors, and the exit codes that belong to them.

use serde::{Deserialize, Serialize};

/// An error: what happened, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Error {
    /// Stable.
    pub code: ErrorCode,
    /// The exit code that belongs to it.
    pub exit: u8,
    /// What happened.
    pub message: String,
    /// Why, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// What to do: an exact command where there is one.
    #[serde(rename = "try", skip_serializing_if = "Option::is_none", default)]
    pub advice: Option<String>,
}

/// Stable names of errors; each has one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Something that should not have happened.
    Failed,
    /// The command makes no sense.
    Usage,
    /// The relay can't be reached, or took too long.
    Unreachable,
    /// The relay's key is not the one in its address.
    WrongRelay,
    /// Somebody's key is not the pinned one.
    KeyChanged,
    /// A number or fingerprint differs.
    NotTrusted,
    /// Wrong passphrase, or the profile was altered.
    Locked,
    /// Another process holds the profile and does not answer.
    InUse,
    /// There is no profile here yet.
    NoProfile,
    /// Nobody has this name.
    NoSuchName,
    /// No such room.
    NoSuchRoom,
    /// No such message.
    NoSuchMessage,
    /// No such file, here or any more at the relay.
    NoSuchFile,
    /// The relay refused.
    Refused,
    /// It is queued and has not come as far as was asked.
    Waiting,
    /// Interrupted.
    Interrupted,
}

impl ErrorCode {
    /// The exit code of a process that ends with this error.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable | Self::WrongRelay => 3,
            Self::KeyChanged | Self::NotTrusted => 4,
            Self::Locked | Self::InUse | Self::NoProfile => 5,
            Self::NoSuchName | Self::NoSuchRoom | Self::NoSuchMessage | Self::NoSuchFile => 6,
            Self::Refused => 7,
            Self::Waiting => 75,
            Self::Interrupted => 130,
        }
    }
}

impl Error {
    /// An error with neither cause nor advice.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, exit: code.exit(), message: message.into(), cause: None, advice: None }
    }
    /// With why it happened.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
    /// With what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}
