//! The crypto crate held to peers in other languages, which talk to it through `bin/vectors-port.rs`.

mod verbs;

/// The program, as cargo built it for this test.
const PORT: &str = env!("CARGO_BIN_EXE_vectors-port");
