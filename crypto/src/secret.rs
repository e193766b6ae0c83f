//! `Secret<N>`: bytes that are wiped when dropped, compared in constant time, never printed, cloned or serialised.
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::{CryptoRng, Refused};

/// `N` secret bytes, boxed so that moving the value leaves no copy behind.
pub(crate) struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Filled in place, so that the bytes exist nowhere else.
    pub(crate) fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        #[cfg(test)]
        crate::tap::made(&*secret.0);
        secret
    }

    /// Fresh randomness.
    pub(crate) fn random(rng: &mut dyn CryptoRng) -> Self {
        #[cfg(test)]
        crate::tap::called(crate::tap::Call::Random);
        Self::filled(|bytes| rng.fill_bytes(bytes))
    }

    /// A copy of bytes that the caller wipes. Errors: not `N` bytes.
    pub(crate) fn copied(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() != N {
            return Err(Refused);
        }
        Ok(Self::filled(|secret| secret.copy_from_slice(bytes)))
    }

    /// The bytes. What is copied out of them is the caller's to wipe.
    pub(crate) fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl Secret<44> {
    /// AEAD key and nonce of one message.
    pub(crate) fn key_and_nonce(&self) -> (Secret<32>, [u8; 12]) {
        let (key, nonce) = self.0.split_at(32);
        let mut fixed = [0; 12];
        fixed.copy_from_slice(nonce);
        (Secret::filled(|bytes| bytes.copy_from_slice(key)), fixed)
    }
}

impl Secret<64> {
    /// Root key and chain key of one ratchet step.
    pub(crate) fn halves(&self) -> (Secret<32>, Secret<32>) {
        let (left, right) = self.0.split_at(32);
        (Secret::filled(|bytes| bytes.copy_from_slice(left)), Secret::filled(|bytes| bytes.copy_from_slice(right)))
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}
impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> std::fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Runs `work`, which hands secrets to somebody else's code, then overwrites the `DEPTH` bytes of stack that it used: there
/// secrets are passed by value and copied to where no destructor reaches. Not reached: registers, and what the kernel
/// saves of them.
pub(crate) fn swept<const DEPTH: usize, R>(work: impl FnOnce() -> R) -> R {
    let result = apart(work);
    sweep::<DEPTH>();
    result
}

/// In a frame of its own, which lies where [`sweep`]'s will.
#[inline(never)]
fn apart<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[inline(never)]
fn sweep<const DEPTH: usize>() {
    let mut stack = [0_u8; DEPTH];
    std::hint::black_box(&mut stack);
    #[cfg(test)]
    crate::tap::swept_to(stack.as_ptr().addr());
}

#[cfg(test)]
pub(crate) mod tests;
