//! The attacks, each a function that is named after it.

pub mod keys;
pub mod messages;
pub mod rooms;
