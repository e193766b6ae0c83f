//! How much memory the primitives take.
use super::*;

/// Sealing takes its room at once and no more than it fills: growing would leave plaintext in freed memory.
#[test]
fn sealing_takes_the_room_it_fills() {
    for length in [0, 1, 100, 6_000] {
        let mut message = vec![1; 40];
        message.shrink_to_fit();
        let key = Secret::filled(|bytes| bytes.fill(7));
        seal(&key, &[0; 12], b"", &vec![2; length], &mut message).unwrap();
        assert_eq!((message.len(), message.capacity()), (40 + length + 16, 40 + length + 16));
    }
}
