//! Dice that show what the caller wrote on them.

use std::convert::Infallible;

use rand::{TryCryptoRng, TryRng};
use sealpost_crypto::Refused;

use super::Failure;

/// Bytes that are drawn from the front. Zeros follow, and then the step that drew them is not kept.
struct Given<'a> {
    left: &'a [u8],
    drawn: usize,
}

impl TryRng for Given<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.drawn += bytes.len();
        for byte in bytes {
            *byte = self.left.split_off_first().copied().unwrap_or(0);
        }
        Ok(())
    }
}

impl TryCryptoRng for Given<'_> {}

/// Takes a step that draws exactly these bytes.
///
/// # Errors
/// It was refused; or it draws more or fewer.
pub(super) fn draw<T>(
    random: &[u8],
    step: impl FnOnce(&mut dyn sealpost_crypto::CryptoRng) -> Result<T, Refused>,
) -> Result<T, Failure> {
    let mut given = Given { left: random, drawn: 0 };
    let result = step(&mut given);
    let (drawn, had) = (given.drawn, random.len());
    // What was refused before it drew everything is refused.
    if drawn > had || (drawn < had && result.is_ok()) {
        return Err(Failure::request(format!("this draws {drawn} random bytes, and {had} were given")));
    }
    Ok(result?)
}
