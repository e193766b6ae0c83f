#![doc = include_str!("../transparency.md")]

use serde::{Deserialize, Serialize};

use crate::wire::Signature;

/// The newest signed state of the relay's log that somebody has seen; all zero where there is none. 144 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeHead {
    /// Random id of the log.
    pub log: [u8; 32],
    /// Number of leaves.
    pub size: u64,
    /// Unix time in milliseconds.
    pub time: u64,
    /// Root hash.
    pub root: [u8; 32],
    /// By the relay's key.
    pub signature: Signature,
}

impl TreeHead {
    /// No tree head: what every client sends until there is a log. **[TREE-1]**
    pub const NONE: Self = Self { log: [0; 32], size: 0, time: 0, root: [0; 32], signature: Signature([0; 64]) };
}

#[cfg(test)]
mod tests {
    use super::TreeHead;
    use crate::wire::{decode, encode};

    /// [TREE-1] a tree head always takes its 144 bytes, all zero while there is no log.
    #[test]
    fn no_tree_head_is_zeros() {
        let bytes = encode(&TreeHead::NONE).unwrap();
        assert_eq!(bytes, [0; 144]);
        assert_eq!(decode::<TreeHead>(&bytes), Ok(TreeHead::NONE));
    }
}
