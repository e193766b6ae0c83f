//! What the tests of real processes are made of: building the two programs, starting relays and clients, waiting for
//! what they show; the long conversation with its inspection, which `bin/conversation.rs` runs in full; the large file of `bin/large-file.rs`; and the crypto
//! crate behind JSON lines, which `bin/vectors-port.rs` serves.

pub mod cluster;
pub mod conversation;
pub mod evidence;
pub mod inspect;
pub mod large;
pub mod lines;
pub mod mallory;
pub mod port;
pub mod processes;
pub mod soak;
pub mod tour;

use std::io::Write as _;

/// Says that a test can't be made on this machine, and fails where `SEALPOST_REQUIRE` names it or what it lacks.
///
/// # Panics
/// One of them is required.
pub fn skip(test: &str, missing: &str) {
    // Not by a macro: the test runner would keep what a passing test prints to itself. Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "skipped: {test} (missing {missing})");
    let required = std::env::var("SEALPOST_REQUIRE").unwrap_or_default();
    let needed = required.split([',', ' ']).any(|name| name == test || name == missing);
    assert!(!needed, "{test} is required, and {missing} is missing");
}
