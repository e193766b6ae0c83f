//! What an expanded key pair leaves in memory.
use super::*;

/// An expanded ML-KEM key pair is overwritten when it is dropped: nothing of its private key is left where it was.
#[test]
fn a_dropped_kem_key_is_gone_from_memory() {
    let pair = KeyPair::from_seed(&Secret::filled(|bytes| bytes.fill(7)));
    let private = pair.0.private_key().as_slice().to_vec();
    let address = pair.0.private_key().as_slice().as_ptr().addr();
    let (before, after) = crate::secret::tests::left_behind(address, private.len(), || drop(pair));
    assert_eq!(before, private);
    // The allocator writes a few words of its own. Eight bytes of a key are not there by chance.
    let left = |(place, part): (usize, &[u8])| *part == after[8 * place..8 * place + 8];
    assert_eq!(private.chunks_exact(8).enumerate().filter(|chunk| left(*chunk)).count(), 0);
}
