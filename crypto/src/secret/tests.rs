use super::Secret;

/// What the kernel reads at an address of this process before `drop` is called, and what it reads there afterwards.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn left_behind(address: usize, length: usize, drop: impl FnOnce()) -> (Vec<u8>, Vec<u8>) {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let (mut before, mut after) = (vec![0; length], vec![0; length]);
    memory.read_exact_at(&mut before, address as u64).unwrap();
    drop();
    // Nothing was allocated in between: what was freed lies there as it was left.
    memory.read_exact_at(&mut after, address as u64).unwrap();
    (before, after)
}

/// A secret prints nothing, and equals only what has the same length and the same bytes.
#[test]
fn a_secret_prints_nothing_and_compares_whole() {
    let secret = Secret::<4>::filled(|bytes| bytes.copy_from_slice(b"abcd"));
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    assert_eq!(secret, Secret::copied(b"abcd").unwrap());
    for other in [b"abce", b"bbcd"] {
        assert_ne!(secret, Secret::copied(other).unwrap());
    }
    assert!(Secret::<4>::copied(b"abc").is_err());
    assert!(Secret::<4>::copied(b"abcde").is_err());
}

/// Memory that held a secret does not hold it any more once the secret is dropped, also after it was moved.
#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn a_dropped_secret_is_gone_from_memory() {
    let secret = Secret::<512>::filled(|bytes| bytes.fill(0xa5));
    let address = std::ptr::from_ref(secret.expose()).addr();
    let moved = Some(secret);
    let (before, after) = left_behind(address, 512, || drop(moved));
    assert_eq!(before, [0xa5; 512]);
    // The allocator writes a few words of its own.
    assert!(!after.windows(4).any(|bytes| bytes == [0xa5; 4]));
}

/// AEAD key and nonce are the first 32 and the last 12 bytes, root key and chain key the first and the last 32.
#[test]
fn a_secret_is_cut_where_its_parts_meet() {
    let (key, nonce) =
        Secret::<44>::filled(|bytes| (0..).zip(bytes).for_each(|(place, byte)| *byte = place)).key_and_nonce();
    assert_eq!(key.expose()[..], (0..32).collect::<Vec<_>>());
    assert_eq!(nonce[..], (32..44).collect::<Vec<_>>());
    let (root, chain) = Secret::<64>::filled(|bytes| (0..).zip(bytes).for_each(|(place, byte)| *byte = place)).halves();
    assert_eq!(root.expose()[..], (0..32).collect::<Vec<_>>());
    assert_eq!(chain.expose()[..], (32..64).collect::<Vec<_>>());
}

/// Secrets are compared in constant time. Only the source shows it: a comparison that stops at the first difference gives the
/// same answers, and how long it takes a unit test cannot tell. The constant-time program measures `same`, but not in every
/// run.
#[test]
fn secrets_are_compared_in_constant_time() {
    let body = |source: &'static str, function: &str| {
        let (_, rest) = source.split_once(function).unwrap();
        rest.split_once('}').unwrap().0.trim()
    };
    let equal = body(include_str!("../secret.rs"), "fn eq(&self, other: &Self) -> bool {");
    assert_eq!(equal, "self.0.ct_eq(&*other.0).into()");
    let same = body(include_str!("../primitive.rs"), "fn same(left: &[u8], right: &[u8]) -> bool {");
    assert_eq!(same, "left.ct_eq(right).into()");
}
