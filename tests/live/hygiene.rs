//! What is left lying about: in memory.

mod forgotten;
mod secrets;
