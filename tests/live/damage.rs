//! Files that were torn, or in which a bit has turned, under the real client: they open, or refuse in words, and what is shown was said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sealpost_tests::processes::{Outcome, finish};

use super::Pair;

/// Times that each file is damaged; `SEALPOST_SEEDS=0..100` damages each a hundred times.
fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("SEALPOST_SEEDS").unwrap_or_else(|_| "0..2".to_owned());
    let (from, to) = given.split_once("..").expect("SEALPOST_SEEDS=0..100");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Every file below a folder that holds something.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let about = entry.metadata().unwrap();
        if about.is_dir() {
            files.extend(files_of(&entry.path()));
        } else if about.is_file() && about.len() > 0 {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// A copy in the place of whatever is there, permissions included.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success(), "a folder can be copied");
}

/// Cuts a file short, or turns one of its bits; what was done, in words.
fn damage(file: &Path, seed: u64) -> String {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = fs::read(file).unwrap();
    let at = dice.random_range(0..bytes.len());
    let done = if seed.is_multiple_of(2) {
        let bit = dice.random_range(0..8);
        bytes[at] ^= 1 << bit;
        format!("bit {bit} of byte {at} of {} turned", bytes.len())
    } else {
        let whole = bytes.len();
        bytes.truncate(at);
        format!("cut to {at} of {whole} bytes")
    };
    fs::write(file, bytes).unwrap();
    format!("seed {seed}: {}, {done}", file.display())
}

/// Whether all of these were said, in this order, each at most once.
fn in_order(shown: &[String], said: &[String]) -> bool {
    let mut rest = said.iter();
    shown.iter().all(|text| rest.any(|one| one == text))
}

/// It went well, or it failed as a program fails that knows why.
fn ends_in_words(what: &str, outcome: &Outcome) {
    assert!(matches!(outcome.code, Some(0 | 1 | 5)), "{what}: {outcome:?}");
    assert!(!outcome.err.contains("panicked"), "{what}: {}", outcome.err);
    if outcome.code != Some(0) {
        assert!(outcome.out.contains("\"message\":") || outcome.err.contains("error: "), "{what}: {outcome:?}");
    }
}

/// [THREAT-22] Each file of a profile is torn, or a bit of it turns: it does not open and says so, or shows what was said, in order and once.
#[test]
fn a_damaged_profile_refuses_or_shows_what_was_said() {
    let pair = Pair::acquainted();
    let Pair { alice, bob, folder, .. } = &pair;
    let said: Vec<String> = (0..8).map(|number| format!("line {number}")).collect();
    let lines: String = said.iter().map(|text| format!("/dm bob {text}\n")).collect();
    let _ = finish(alice.command(&["chat"]), &lines).expect(0);
    let mut following = bob.follow();
    (0..said.len()).for_each(|_| drop(following.message()));
    // Dead in the middle: its log is still beside the profile.
    following.kill();
    let whole = folder.path().join("whole");
    copy(&bob.home, &whole);
    let all: Vec<String> = ["hello".to_owned(), "hello".to_owned()].into_iter().chain(said).collect();
    let (mut refused, mut opened) = (0, 0);
    for file in files_of(&whole) {
        for seed in seeds() {
            copy(&whole, &bob.home);
            let what = damage(&bob.home.join(file.strip_prefix(&whole).unwrap()), seed);
            let outcome = bob.json(&["history", "alice", "--limit", "1000"]);
            ends_in_words(&what, &outcome);
            let lines = outcome.events("message");
            let shown: Vec<String> = lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect();
            assert!(in_order(&shown, &all), "{what}: {shown:?}");
            let error = outcome.events("error").pop();
            println!("{what}: {:?}, {} shown, {error:?}", outcome.code, shown.len());
            if outcome.code == Some(0) { opened += 1 } else { refused += 1 }
        }
    }
    println!("{refused} times refused, {opened} times opened");
    assert!(refused > 0 && opened > 0, "{refused} times refused, {opened} times opened");
}
