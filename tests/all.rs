//! All tests that need more than one crate: one executable. `README.md` says how it is cut.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod adversary;
mod coverage;
mod features;
mod interop;
mod live;
mod replay;
mod simulation;
mod stores;
#[path = "fuzz/targets/mod.rs"]
mod targets;
mod vectors;
mod walk;
mod world;
