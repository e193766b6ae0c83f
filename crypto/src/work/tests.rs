use super::{Channel, check, enough, solve};

/// A proof counts for its own relay, channel, counter and request, and for nothing else.
#[test]
fn a_proof_is_bound_to_everything_around_it() {
    let (relay, exporter, other) = ([1; 32], [2; 32], [3; 32]);
    let channel = Channel { relay: &relay, exporter: &exporter };
    let work = solve(channel, 7, b"request", 12);
    assert!(check(channel, &work, b"request", 12));
    assert!(check(channel, &work, b"request", 0));
    assert!(!check(channel, &work, b"other", 12));
    assert!(!check(Channel { relay: &other, ..channel }, &work, b"request", 12));
    assert!(!check(Channel { exporter: &other, ..channel }, &work, b"request", 12));
    let counted = sealpost_spec::relay::Work { counter: 8, ..work };
    assert!(!check(channel, &counted, b"request", 12));
    assert!(!check(channel, &work, b"request", 255));
}

/// A hash is worth its leading zero bits: each number of them from none to all, and not one more.
#[test]
fn leading_zero_bits_are_counted_one_by_one() {
    for zeros in 0..=256_usize {
        let mut hash = [0xff; 32];
        hash[..zeros / 8].fill(0);
        if let Some(byte) = hash.get_mut(zeros / 8) {
            *byte = 0xff >> (zeros % 8);
        }
        for bits in 0..=u8::MAX {
            assert_eq!(enough(&hash, bits), zeros >= usize::from(bits), "{zeros} {bits}");
        }
    }
}

/// A search begins at 0 and takes the first nonce that is enough: it does no work twice.
#[test]
fn the_first_proof_is_taken() {
    let channel = Channel { relay: &[1; 32], exporter: &[2; 32] };
    let work = solve(channel, 7, b"request", 8);
    let enough = |nonce| check(channel, &sealpost_spec::relay::Work { counter: 7, nonce }, b"request", 8);
    assert_eq!(Some(work.nonce), (0..).find(|nonce| enough(*nonce)));
    assert_eq!(work.counter, 7);
    assert_eq!(solve(channel, 7, b"request", 0).nonce, 0);
}
