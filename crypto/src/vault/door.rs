//! The only door out for a secret. The module is private and a [`Pass`] is made in the vault alone, so that no other
//! crate can call what stands here, not even through a bound on [`super::Keep`].
use crate::{Refused, Zeroizing};

/// Lets the vault through.
pub struct Pass {
    _private: (),
}

impl Pass {
    pub(super) fn new() -> Self {
        Self { _private: () }
    }
}

/// How a secret becomes bytes inside the vault, and comes back.
pub trait Door: Sized {
    /// Its bytes, on their way into a row.
    fn leave(&self, pass: Pass) -> Zeroizing<Vec<u8>>;
    /// From the bytes of a row that opened. Errors: another version, a field cut short or out of its bounds.
    fn enter(bytes: &[u8], pass: Pass) -> Result<Self, Refused>;
}

/// A wiped buffer that is given its room at once: growing would leave secrets in freed memory.
pub(crate) struct Writing(Zeroizing<Vec<u8>>);

impl Writing {
    pub(crate) fn with_room(room: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(room)))
    }
    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert!(self.0.capacity() - self.0.len() >= bytes.len(), "the room was given too small");
        self.0.extend_from_slice(bytes);
        self
    }
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }
    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }
    pub(crate) fn done(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}
