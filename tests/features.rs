//! With which features the ciphers are built: whoever wipes secrets when they are dropped is told to.
//!
//! A library wipes only where its feature `zeroize` is on, and turning it on in one crate does not turn it on in those
//! below: by itself `chacha20poly1305` leaves the one-time key of `poly1305` in memory, and `argon2` what `blake2` makes of
//! the passphrase. So the crates are not listed from memory. Cargo is asked for all of them, and for the features of the normal build of
//! `sealpost-crypto`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::coverage::source::root;

const FEATURE: &str = "zeroize";

/// What holds secrets in the normal build of `sealpost-crypto`, and must be there with its feature on.
const WIPES: [&str; 16] = [
    "argon2",
    "bip39",
    "blake2",
    "block-buffer",
    "chacha20",
    "chacha20poly1305",
    "cipher",
    "crypto-common",
    "curve25519-dalek",
    "digest",
    "ed25519-dalek",
    "hmac",
    "hybrid-array",
    "poly1305",
    "sha2",
    "x25519-dalek",
];

/// What has the feature and may have it off, with the reason.
const NOTHING_TO_WIPE: [(&str, &str); 2] = [
    ("arrayvec", "prints hashes in hexadecimal for a library below bip39; nothing of ours calls that"),
    ("ed25519", "has signatures, and secrets only as PKCS#8, which is not used"),
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `name version` of every crate in the normal build of `sealpost-crypto`, and which of its features are on.
fn built() -> BTreeMap<String, BTreeSet<String>> {
    let format = "{p}|{f}";
    let arguments = ["tree", "--locked", "--offline", "-p", "sealpost-crypto", "-e", "normal", "--prefix", "none"];
    let tree = cargo(&[&arguments[..], &["-f", format]].concat());
    let crates = tree.lines().filter_map(|line| {
        let (package, features) = line.split_once('|')?;
        let (name, rest) = package.split_once(" v")?;
        let version = rest.split(' ').next()?;
        let features = features.trim_end_matches("(*)").trim().split(',').map(str::to_owned).collect();
        Some((format!("{name} {version}"), features))
    });
    crates.collect()
}

/// `name version` of every crate that has the feature, in the whole workspace.
fn able() -> BTreeSet<String> {
    let host = cargo(&["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo says for what it was built");
    let json = cargo(&["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&json).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let able = packages.filter(|package| package["features"].get(FEATURE).is_some());
    able.map(|package| format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap()))
        .collect()
}

/// Every crate below `sealpost-crypto` that can wipe what it drops has been told to; what holds secrets is known by name.
#[test]
fn what_holds_secrets_wipes_them() {
    let (built, able) = (built(), able());
    let (mut wiping, mut silent) = (BTreeSet::new(), Vec::new());
    for (package, features) in &built {
        let name = package.split(' ').next().unwrap();
        let on = features.contains(FEATURE);
        let excused = NOTHING_TO_WIPE.iter().find(|(excused, _)| *excused == name);
        if able.contains(package) && !on && excused.is_none() {
            silent.push(package);
        }
        if on {
            wiping.insert(name);
        }
    }
    assert!(silent.is_empty(), "built without their feature {FEATURE}: {silent:?}; turn it on in crypto/Cargo.toml");
    let missing: Vec<_> = WIPES.iter().filter(|name| !wiping.contains(**name)).collect();
    assert!(
        missing.is_empty(),
        "nothing of these wipes any more: {missing:?}; where one has gone, take it off the list"
    );
    let unknown: Vec<_> = wiping.iter().filter(|name| !WIPES.contains(name)).collect();
    assert!(unknown.is_empty(), "these are new: {unknown:?}; put them on the list");
}
