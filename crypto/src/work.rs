//! Proof of work, bound to relay, channel, counter and request (`spec/relay.md`).
use sealpost_spec::label;
use sealpost_spec::relay::Work;

use crate::primitive::{Midstate, sha256};

/// What a proof is bound to: relay's public key and RFC 9266 exporter of the link.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    /// The relay's Ed25519 public key.
    pub relay: &'a [u8; 32],
    /// `tls-exporter`.
    pub exporter: &'a [u8; 32],
}

/// Searches a nonce; on average 2^bits hashes, on one core about four million a second. Bounding `bits` is the
/// caller's: beyond 40 it ends in no useful time.
pub fn solve(channel: Channel<'_>, counter: u64, request: &[u8], bits: u8) -> Work {
    let start = midstate(channel, counter, request);
    let mut nonce = 0_u64;
    while !enough(&start.finish(&nonce.to_le_bytes()), bits) {
        nonce = nonce.wrapping_add(1);
    }
    Work { counter, nonce }
}

/// Whether a proof has `bits` leading zero bits. One hash more than the request's own.
pub fn check(channel: Channel<'_>, work: &Work, request: &[u8], bits: u8) -> bool {
    enough(&midstate(channel, work.counter, request).finish(&work.nonce.to_le_bytes()), bits)
}

/// `SHA-256(label || relay key || exporter || counter || SHA-256(request) || nonce)` up to the nonce.
fn midstate(channel: Channel<'_>, counter: u64, request: &[u8]) -> Midstate {
    Midstate::new(&[label::WORK, channel.relay, channel.exporter, &counter.to_le_bytes(), &sha256(&[request])])
}

fn enough(hash: &[u8; 32], bits: u8) -> bool {
    let whole = hash.iter().take_while(|byte| **byte == 0).count();
    let rest = hash.get(whole).map_or(0, |byte| byte.leading_zeros() as usize);
    whole * 8 + rest >= usize::from(bits)
}

#[cfg(test)]
mod tests;
