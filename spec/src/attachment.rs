#![doc = include_str!("../attachment.md")]

use serde::{Deserialize, Serialize};

use crate::message::TAG;

/// Names a sealed attachment at a relay; random. **[FILE-1]**
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobId(pub [u8; 16]);

/// Bytes of a part of a blob, which is one sealed chunk.
pub const PART: usize = 64 * 1024;
/// Bytes of a chunk's salt.
pub const CHUNK_SALT: usize = 16;
/// Bytes of the file in a chunk.
pub const CHUNK: usize = PART - CHUNK_SALT - TAG;
/// How long a blob waits once all of it is there, in milliseconds: 30 days. **[FILE-11]**
pub const KEPT_MS: u64 = crate::mailbox::MAX_AGE_MS;
/// How long the first part of a blob waits for the last one, in milliseconds: three days. **[FILE-11]**
pub const UNFINISHED_MS: u64 = 3 * 24 * 60 * 60 * 1_000;
/// Most parts of a blob: 1 TiB.
pub const MAX_PARTS: u32 = 1 << 24;

/// How many parts the blob of a file of this size has; `None` beyond [`MAX_PARTS`]. **[FILE-4]**
pub fn parts(size: u64) -> Option<u32> {
    let chunks = u32::try_from(size.div_ceil(CHUNK as u64).max(1)).ok()?;
    Some(padded(chunks)).filter(|parts| *parts <= MAX_PARTS)
}

/// Padmé, so that the length of a blob tells little of the file's.
fn padded(chunks: u32) -> u32 {
    let Some(exponent) = chunks.checked_ilog2().filter(|exponent| *exponent > 0) else { return chunks };
    let mask = (1_u32 << (exponent - exponent.ilog2() - 1)) - 1;
    chunks.saturating_add(mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, MAX_PARTS, padded, parts};

    /// [FILE-4] a blob is never shorter than its file, at most an eighth longer, and few lengths occur.
    #[test]
    fn padding_is_small_and_lengths_are_few() {
        let lengths: std::collections::BTreeSet<u32> = (1..100_000)
            .map(|chunks| {
                let padded = padded(chunks);
                assert!(padded >= chunks && padded - chunks <= chunks / 8, "{chunks} {padded}");
                padded
            })
            .collect();
        assert!(lengths.len() < 250, "{}", lengths.len());
        assert_eq!([1, 2, 8, 9, 10, 17, 1_000].map(padded), [1, 2, 8, 10, 10, 18, 1_024]);
    }

    /// [FILE-4] what exceeds the largest blob has no number of parts.
    #[test]
    fn blobs_have_an_end() {
        let largest = u64::from(MAX_PARTS) * CHUNK as u64;
        assert_eq!((parts(largest), parts(largest + 1), parts(u64::MAX)), (Some(MAX_PARTS), None, None));
    }
}
