//! Proof of work, bound to relay, channel, counter and request.
use sealpost_spec::relay::Work;

/// What a proof is bound to: relay's public key and RFC 9266 exporter of the link.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    /// The relay's Ed25519 public key.
    pub relay: &'a [u8; 32],
    /// `tls-exporter`.
    pub exporter: &'a [u8; 32],
}
/// Searches a nonce; on average 2^bits hashes.
pub fn solve(_channel: Channel<'_>, _counter: u64, _request: &[u8], _bits: u8) -> Work {
    todo!()
}
/// Whether a proof has `bits` leading zero bits. One hash more than the request's own.
pub fn check(_channel: Channel<'_>, _work: &Work, _request: &[u8], _bits: u8) -> bool {
    todo!()
}
