//! Prints what each operation costs beside its limit and its peers. `ratios [ROUNDS]`; exit status 1 where a gate fails.
use std::process::ExitCode;

use sealpost_bench::{clock::Load, contest, operation, peer};

/// About half a minute of CPU.
const ROUNDS: usize = 300;

fn main() -> ExitCode {
    let rounds = match std::env::args().nth(1).map(|rounds| rounds.parse()) {
        None => ROUNDS,
        Some(Ok(rounds)) if (20..=1_000_000).contains(&rounds) => rounds,
        Some(_) => {
            eprintln!("error: ROUNDS is a number from 20 to 1000000");
            return ExitCode::from(2);
        }
    };
    let differing = differing();
    if let Some(name) = differing {
        eprintln!("error: {name} is another version than in /Cargo.lock: `cargo update -p {name}` in tests/bench");
        return ExitCode::from(2);
    }
    let load = Load::watch();
    let contests = operation::all().into_iter().chain(peer::all()).collect();
    let outcomes = contest::run(contests, rounds);
    let others = load.of_others();
    println!(
        "{:<44} {:>9} {:>9} {:>7} {:>13} {:>6}",
        "operation", "ours us", "limit us", "ratio", "middle half", "gate"
    );
    for outcome in &outcomes {
        let gate = outcome.gate.map_or(String::new(), |gate| format!("{gate:.2}"));
        let verdict = if outcome.holds() { "" } else { "  FAILS" };
        println!(
            "{:<44} {:>9.2} {:>9.2} {:>7.3} {:>6.3}-{:<6.3} {gate:>6}{verdict}",
            outcome.name, outcome.ours, outcome.other, outcome.ratio, outcome.quartiles.0, outcome.quartiles.1,
        );
    }
    let target = if cfg!(target_feature = "avx2") { "AVX2 known when built" } else { "baseline" };
    println!("medians of {rounds} rounds, CPU time; {target}; others used {others:.0} % of the cores meanwhile");
    if outcomes.iter().all(contest::Outcome::holds) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A crate that sealpost-crypto calls, of which the programs have another version than this one has.
fn differing() -> Option<&'static str> {
    const CALLED: [&str; 12] = [
        "chacha20",
        "chacha20poly1305",
        "curve25519-dalek",
        "ed25519-dalek",
        "hkdf",
        "hmac",
        "libcrux-intrinsics",
        "libcrux-ml-kem",
        "libcrux-sha3",
        "poly1305",
        "sha2",
        "x25519-dalek",
    ];
    let programs = versions(include_str!("../../../../Cargo.lock"));
    let own = versions(include_str!("../../Cargo.lock"));
    // The peers may call others besides.
    CALLED.into_iter().find(|name| programs.iter().any(|entry| entry.0 == *name && !own.contains(entry)))
}

fn versions(lock: &str) -> Vec<(&str, &str)> {
    let entries = lock.split("[[package]]").skip(1);
    entries.map(|entry| (value(entry, "name"), value(entry, "version"))).collect()
}

fn value<'a>(entry: &'a str, field: &str) -> &'a str {
    let line = entry.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(" = "));
    line.unwrap_or_default().trim_matches('"')
}
