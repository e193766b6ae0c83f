//! The claims, in the order in which a message meets them.

use super::Row;
use super::Run::{Long, Tests};

const CRYPTO: &str = "sealpost-crypto";
const SPEC: &str = "sealpost-spec";
const WORLD: &str = "sealpost-tests";

/// The walks of crypto's tests, many of them, and every single bit.
const WALKS: &[&str] = &[
    "env",
    "SEALPOST_SEEDS=0..200",
    "cargo",
    "test",
    "--release",
    "--locked",
    "-p",
    CRYPTO,
    "--lib",
    "--",
    "aging",
    "theft",
    "flipped",
];

/// All claims.
pub const ROWS: &[Row] = &[
    Row {
        claim: "The primitives are those of their standards",
        evidence: "Wycheproof (X25519, Ed25519, ChaCha20-Poly1305, XChaCha20-Poly1305, HKDF, HMAC, ML-KEM-768); RFC 4231, 5869, 7748, \
                   8032, 8439, 9106, 9180 A.2.1; NIST's ACVP for FIPS 203; the X-Wing draft; a second ML-KEM on random seeds",
        place: "crypto/src/primitive/, crypto/src/sealed/tests.rs",
        runs: &[Tests(CRYPTO, &["primitive::", "sealed::"])],
    },
    Row {
        claim: "The chapters can be implemented by somebody else, and each way to fail is known",
        evidence: "vectors, one fault each, that the crates and a verifier in Python by other libraries come to; each altered field \
                   is noticed",
        place: "spec/vectors/, crypto/src/vectors.rs, tests/interop/verify.py",
        runs: &[Tests(CRYPTO, &["vectors::"]), Tests(WORLD, &["vectors::", "every_vector_holds", "vectors_are_what"])],
    },
    Row {
        claim: "First contact is PQXDH",
        evidence: "a peer in Python from the papers, over kyber-py, as initiator and recipient, with and without one-time keys, with \
                   everything forged that can be",
        place: "tests/interop/pqxdh.py",
        runs: &[Tests(WORLD, &["interop::pqxdh_agrees"])],
    },
    Row {
        claim: "The ratchet is the double ratchet",
        evidence: "PyPI's DoubleRatchet over our formulas: 10,000 random events a seed, lost, late, doubled, bent; equal plaintexts, equal \
                   refusals, and after each refusal the same state byte for byte",
        place: "tests/interop/double_ratchet.py",
        runs: &[Tests(WORLD, &["interop::ratchets_agree"])],
    },
    Row {
        claim: "The sealed box is HPKE with X-Wing",
        evidence: "two peers by other authors, both ways, all three sizes, each wrong context",
        place: "tests/interop/sealed.py",
        runs: &[Tests(WORLD, &["interop::sealed_boxes_agree"])],
    },
    Row {
        claim: "Safety numbers and profiles are what the chapters say",
        evidence: "a peer in Python computes the same numbers, and opens and makes the same vaults",
        place: "tests/interop/safety.py",
        runs: &[Tests(WORLD, &["interop::safety_numbers"])],
    },
    Row {
        claim: "Secrets age out",
        evidence: "after random walks no eight bytes in a row of a past secret are in the state or the writable memory of the process, and \
                   nothing is left of stored states, rows and boxes after their last use; planted leaks are found",
        place: "crypto/src/session/tests/aging.rs, crypto/src/tap/",
        runs: &[Tests(CRYPTO, &["aging::", "gone_from_memory", "unswept"])],
    },
    Row {
        claim: "A stolen state stops helping once its owner has received and sent, and either half of the hybrid is enough for that",
        evidence: "a thief with the whole state, and then with every X25519 or every ML-KEM secret, reads nothing more; with both it \
                   reads all",
        place: "crypto/src/session/tests/theft.rs",
        runs: &[Tests(CRYPTO, &["theft::"])],
    },
    Row {
        claim: "Whatever the network does, each message is read once, and a refused one changes nothing",
        evidence: "every order and every loss of a few messages, random walks of many; worlds of whole clients with crashes",
        place: "crypto/src/session/tests/network.rs, tests/simulation.rs",
        runs: &[Tests(CRYPTO, &["network::", "choice::"]), Tests(WORLD, &["simulation::"])],
    },
    Row {
        claim: "What a forger can cost is bounded before the tag is checked",
        evidence: "calls counted exactly, with counters at and beyond each limit; points of low order refused at every door",
        place: "crypto/src/session/tests/limits.rs, low_order.rs, expiry.rs",
        runs: &[Tests(CRYPTO, &["limits::", "low_order", "expiry::"])],
    },
    Row {
        claim: "Every bit counts",
        evidence: "one message of each kind with a bit flipped: one and the same refusal, and no trace of it; each bit in the long \
                   run, else one of each byte or stride where it is long",
        place: "crypto/src/bits.rs, crypto/src/session/tests/refusal.rs",
        runs: &[Tests(CRYPTO, &["flipped", "refusal::", "bits::"]), Long(WALKS, 60)],
    },
    Row {
        claim: "Nothing made for one purpose passes for another",
        evidence: "every label in the place of every other",
        place: "crypto/src/labels.rs",
        runs: &[Tests(CRYPTO, &["labels::"]), Tests(SPEC, &["labels_are"])],
    },
    Row {
        claim: "A box has one of three sizes, whatever is in it",
        evidence: "the choice of the box at every length up to the largest, and one beyond; padded and read again at every 61st and \
                   at the edges",
        place: "spec/src/message/sealed.rs",
        runs: &[Tests(SPEC, &["message::"]), Tests(CRYPTO, &["sealed::", "promised_room"])],
    },
    Row {
        claim: "What arrives from others breaks nothing",
        evidence: "fuzzed: every decoder, the relay before and after login, two sessions step by step; kept inputs are replayed in \
                   each test run",
        place: "tests/fuzz/",
        runs: &[Tests(WORLD, &["replay::"]), Long(&[".ci/fuzz", "60"], 60)],
    },
    Row {
        claim: "Whatever holds secrets wipes them",
        evidence: "the `zeroize` feature of every crate that has one, as cargo resolves it",
        place: "tests/features.rs",
        runs: &[Tests(WORLD, &["features::"])],
    },
    Row {
        claim: "No undefined behaviour below us where no cipher is called",
        evidence: "Miri over the protocol's types and what else needs no cipher",
        place: ".ci/miri",
        runs: &[Long(&[".ci/miri"], 60)],
    },
    Row {
        claim: "The protocol has no attack that a bounded symbolic search finds",
        evidence: "Verifpal: first contact, ratchet, box, login, each with what breaks where a part is left out",
        place: "spec/models/",
        runs: &[Long(&["spec/models/check"], 60)],
    },
    Row {
        claim: "Comparisons of secrets take the same time",
        evidence: "Welch's t below 4.5 over a million samples of tags and tokens, a hundred thousand of whole boxes; a planted early \
                   exit is beyond it",
        place: "tests/bench/",
        runs: &[Long(
            &[
                "cargo",
                "run",
                "--release",
                "--locked",
                "--manifest-path",
                "tests/bench/Cargo.toml",
                "--bin",
                "constant-time",
            ],
            30,
        )],
    },
    Row {
        claim: "It costs little more than the primitives that it must call",
        evidence: "ratios to the bare calls and to peers, in one run; where it was not reached, why",
        place: "tests/bench/README.md",
        runs: &[Long(
            &["cargo", "run", "--release", "--locked", "--manifest-path", "tests/bench/Cargo.toml", "--bin", "ratios"],
            30,
        )],
    },
    Row {
        claim: "The tests of the cryptography notice a change to it",
        evidence: "cargo-mutants: each change is caught by crypto's own tests, or the reason why none can is written down",
        place: ".cargo/mutants.toml",
        runs: &[Long(&[".ci/mutants"], 60)],
    },
];
