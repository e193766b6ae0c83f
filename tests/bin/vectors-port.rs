//! The crypto crate behind JSON lines: one request a line on standard input, one answer a line on standard output, all
//! randomness from the caller. `tests/README.md` describes it.
//!
//! ```text
//! cargo run -p sealpost-tests --bin vectors-port
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    // Who has gone away and reads no answers needs no word about it.
    match sealpost_tests::port::serve(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
