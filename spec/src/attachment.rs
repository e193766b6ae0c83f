#![doc = include_str!("../attachment.md")]

use serde::{Deserialize, Serialize};

/// Names a sealed attachment at a relay; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobId(pub [u8; 16]);
