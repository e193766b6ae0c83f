//! The fuzz targets: what is done with bytes from outside, and what must hold whatever they are.
//!
//! Each target is a plain function of bytes without any tie to a fuzzer. `../fuzz_targets` gives them to libFuzzer; the
//! module `replay` of `tests/all.rs` gives them everything that lies in `../corpus`, on every run of the tests. A target
//! panics where its promise is broken; input that makes no sense to it is left alone.
#![allow(unreachable_pub, reason = "a library for the fuzzer, a private module for the tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod archive;
mod blob;
mod config;
mod copy;
pub mod key;
mod layouts;
mod lines;
mod link;
mod login;
mod operator;
mod page;
mod people;
mod relay;
mod rpc;
mod script;
mod sealed;
pub mod seeds;
mod segments;
mod session;
mod state;
mod talk;
mod text;
mod vault;
mod wire;

/// A target's name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. A file of the same name in `../fuzz_targets` and a folder in `../corpus` belong to each.
pub const ALL: &[Target] = &[
    ("archive", archive::run),
    ("blob", blob::run),
    ("config", config::run),
    ("copy", copy::run),
    ("layouts", layouts::run),
    ("lines", lines::run),
    ("link", link::run),
    ("login", login::run),
    ("operator", operator::run),
    ("page", page::run),
    ("relay", relay::run),
    ("rpc", rpc::run),
    ("sealed", sealed::run),
    ("segments", segments::run),
    ("session", session::run),
    ("state", state::run),
    ("talk", talk::run),
    ("text", text::run),
    ("vault", vault::run),
    ("wire", wire::run),
];

/// Gives bytes to a target.
///
/// # Panics
/// There is no such target; or a promise is broken.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, run) = ALL.iter().find(|(name, _)| *name == target).expect("a target of the list");
    run(bytes);
}
