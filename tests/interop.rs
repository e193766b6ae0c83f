//! The crypto crate held to peers in Python, which talk to it through `bin/vectors-port.rs`. What they lean on is
//! pinned in `interop/requirements.txt` and installed by `interop/prepare`.

mod verbs;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sealpost_tests::processes::{Outcome, finish_within};
use sealpost_tests::skip;

/// The program, as cargo built it for this test.
const PORT: &str = env!("CARGO_BIN_EXE_vectors-port");

/// For a peer that has a lot to do, on a machine that does something else as well.
const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// The same where somebody asked for other seeds.
const LONG_DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

/// Runs a script of `tests/interop` to its end, where the environment for it was made.
fn python(script: &str, arguments: &[&str]) -> Option<Outcome> {
    // Cargo's folder for tests is in the target folder, where `prepare` makes the environment.
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("interop-venv").join("bin/python");
    if !python.exists() {
        skip("interop", "python");
        return None;
    }
    let mut command = Command::new(python);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop"));
    // Of this machine's Python nothing else: neither its packages nor its settings, and no compiled files in the tree.
    command.args(["-E", "-s", "-B", script]).args(arguments);
    let deadline = if seeds().is_some() { LONG_DEADLINE } else { DEADLINE };
    Some(finish_within(deadline, command, ""))
}

/// What somebody asked for.
fn seeds() -> Option<String> {
    std::env::var("SEALPOST_INTEROP_SEEDS").ok()
}

/// Runs a peer against the port, with its own number of seeds or those of `SEALPOST_INTEROP_SEEDS`. It ends badly at the
/// first thing on which the two disagree, and tells at the end what they agreed on.
fn agrees(script: &str) {
    let seeds = seeds();
    let mut arguments = vec!["--port", PORT];
    arguments.extend(seeds.iter().flat_map(|seeds| ["--seeds", seeds]));
    let Some(outcome) = python(script, &arguments) else { return };
    let outcome = outcome.expect(0);
    assert!(!outcome.out.trim().is_empty(), "{script} says nothing, so it did nothing");
    println!("{}", outcome.out);
}

/// PQXDH and the first turns of a session are the same bytes in both implementations, with and without one-time keys, and
/// so each talks to the other; a bundle, a first message or a later one that lies in anything is refused by both, and
/// leaves the state as it was. [MSG-1] [MSG-2] [MSG-3] [MSG-5] [MSG-6] [MSG-7] [MSG-8] [MSG-10] [MSG-11] [MSG-13]
/// [MSG-16] [MSG-17] [MSG-34]
#[test]
fn pqxdh_agrees() {
    agrees("pqxdh.py");
}

/// A sealed box is one of HPKE with X-Wing: another implementation opens ours and we open its, of each size; a box for
/// another device, key, envelope or mailbox opens nowhere, nor does one that was altered, or holds what no box may hold.
/// [MSG-18] [MSG-19] [MSG-20] [MSG-21] [MSG-22]
#[test]
fn sealed_boxes_agree() {
    agrees("sealed.py");
}

/// Safety numbers, fingerprints and everything of a vault come out the same where they are made of other libraries, and
/// what one side makes the other opens; a row in another place, a header with another byte does neither. [ACCT-4]
/// [ACCT-11]
#[test]
fn safety_numbers_and_vaults_agree() {
    agrees("safety.py");
}

/// Runs a script that needs no port, and shows what it says at its end.
fn ends_well(script: &str, arguments: &[&str]) {
    let Some(outcome) = python(script, arguments) else { return };
    println!("{}", outcome.expect(0).out);
}

/// Every vector of `spec/vectors` comes out as it says where another implementation of the chapters, by other libraries,
/// decodes and verifies it; and where any of its fields is altered, it does not.
#[test]
fn every_vector_holds_in_a_third_implementation() {
    ends_well("verify.py", &[]);
    ends_well("verify.py", &["--break"]);
}

/// The vectors are what their generator writes: nothing in them was altered by hand.
#[test]
fn the_vectors_are_what_their_generator_writes() {
    ends_well("../../spec/vectors/generate.py", &["--check"]);
}

/// Two people talk with sessions of ours and with PyPI's `DoubleRatchet` at once, and both come out the same after each of
/// 10,000 events: messages, plaintexts, refusals, and states that a refusal leaves as they were. [MSG-8] [MSG-10]
/// [MSG-13] [MSG-14] [MSG-15]
#[test]
fn ratchets_agree() {
    agrees("double_ratchet.py");
}
