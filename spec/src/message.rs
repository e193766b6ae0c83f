#![doc = include_str!("../message.md")]

mod content;
mod sealed;
mod session;
mod sync;

pub use content::{Body, Content, ContentId, FilePointer, MAX_EMOJI, MAX_NAMED, Receipt};
pub use sealed::{BOX_OVERHEAD, BOX_SIZES, SealedBox, Sealing, X_WING_CIPHERTEXT};
pub use session::{
    ChainKey, MAX_JUMP, MAX_SKIPPED_KEYS, ML_KEM_CIPHERTEXT, PqxdhPart, RatchetHeader, SALT, SESSION_VERSION,
    SKIPPED_KEY_DAYS, SessionMessage, TAG,
};
pub use sync::{DeviceSync, Far, MAX_ITEMS, SyncedPerson};
