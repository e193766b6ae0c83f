//! What the fuzzer has found worth keeping, given to its targets again on every run, without a fuzzer.
//!
//! `fuzz/targets` is the same code that the fuzzer runs; `fuzz/corpus` has, for each target, the smallest inputs that
//! reach what it has reached. An input that once broke something stays there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::coverage::source::{read, root};
use crate::targets;

/// More than this is not kept: the corpora are part of every checkout.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

fn corpus() -> PathBuf {
    root().join("tests/fuzz/corpus")
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The kept inputs of a target, in order of their names.
fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(corpus().join(target)).unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut inputs: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    inputs.sort();
    inputs.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// Says which input it was, where a target breaks its promise.
fn replayed(target: &str, what: &str, bytes: &[u8]) {
    let result = std::panic::catch_unwind(|| targets::run(target, bytes));
    assert!(result.is_ok(), "{what} breaks a promise of the target {target}");
}

/// Each target has a corpus, a fuzzer that runs it, and an entry in the fuzzers' workspace; there is nothing else.
#[test]
fn every_target_has_a_corpus_and_a_fuzzer() {
    let targets: BTreeSet<String> = targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets, names("tests/fuzz/corpus"), "targets (left) and corpora (right)");
    assert_eq!(targets, names("tests/fuzz/fuzz_targets"), "targets (left) and fuzzers (right)");
    let manifest = read("tests/fuzz/Cargo.toml");
    let mut bytes = 0;
    for target in &targets {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{target}\"\n")), "{target} is not in the manifest");
        let fuzzer = read(&format!("tests/fuzz/fuzz_targets/{target}.rs"));
        assert!(fuzzer.contains(&format!("\"{target}\"")), "the fuzzer {target} runs another target");
        let kept = kept(target);
        assert!(!kept.is_empty(), "{target} has nothing to replay");
        bytes += kept.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    }
    assert!(bytes <= MAX_BYTES, "the corpora have {bytes} bytes");
}

/// No kept input breaks a promise of its target.
#[test]
fn every_kept_input_is_replayed() {
    for (target, _) in targets::ALL {
        for (path, bytes) in kept(target) {
            replayed(target, &path.display().to_string(), &bytes);
        }
    }
}

/// No vector, no real frame and no real message breaks a promise either. Where `SEALPOST_SEED_CORPORA` names a folder,
/// they are also written there, one folder for each target, for a fuzzer to begin with.
#[test]
fn every_seed_is_replayed() {
    let vectors: Vec<String> = ["account", "message", "room", "sealed", "wire"]
        .map(|file| read(&format!("spec/vectors/{file}.txt")))
        .into_iter()
        .collect();
    let seeds = targets::seeds::all(&vectors);
    let seeded: BTreeSet<&str> = seeds.iter().map(|(target, _)| *target).collect();
    assert_eq!(seeded, targets::ALL.iter().map(|(target, _)| *target).collect(), "targets with seeds (left)");
    let folder = std::env::var_os("SEALPOST_SEED_CORPORA").map(PathBuf::from);
    for (number, (target, bytes)) in seeds.iter().enumerate() {
        replayed(target, &format!("seed {number}"), bytes);
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder.join(target)).unwrap();
            std::fs::write(folder.join(target).join(format!("seed-{number:03}")), bytes).unwrap();
        }
    }
}
