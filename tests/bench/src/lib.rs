//! What an operation of `sealpost-crypto` costs, beside its limit: the same calls to the same third-party crates, with
//! nothing around them; and what the [`relay`] costs, beside a server that does nothing else. README.md tells what is
//! measured, and how.
pub mod clock;
pub mod contest;
pub mod hot;
pub mod limit;
pub mod operation;
pub mod peer;
pub mod people;
pub mod relay;
