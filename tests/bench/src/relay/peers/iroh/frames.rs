//! What iroh-relay speaks: the frames of its relay protocol, version 2, in binary messages of a WebSocket (RFC 6455).
use ed25519_dalek::{Signer, SigningKey};

use crate::relay::codec::Wrong;

/// What a relay sends.
#[derive(Debug, PartialEq)]
pub enum Frame<'a> {
    /// Wants [`authenticate`].
    Challenge(&'a [u8]),
    /// The client is let in.
    Welcome,
    /// What another client has sent.
    Datagram(&'a [u8]),
    /// Wants a [`pong`].
    Ping(&'a [u8]),
    /// Something else that needs no answer.
    Other,
}

/// Numbers of frames.
const CHALLENGE: u8 = 0;
const CLIENT_AUTH: u8 = 1;
const CONFIRMS: u8 = 2;
const TO_RELAY: u8 = 4;
const TO_CLIENT: u8 = 6;
const ENDPOINT_GONE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const STATUS: u8 = 13;

/// First bytes of a WebSocket message: a whole one, binary; and those of control.
const BINARY: u8 = 0x82;
const WS_PING: u8 = 0x89;
const WS_PONG: u8 = 0x8a;

/// Bytes of a client's key, its address.
const KEY: usize = 32;

/// Asks the relay's HTTP server for a WebSocket.
pub fn upgrade(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"GET /relay HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
          Sec-WebSocket-Protocol: iroh-relay-v2\r\n\r\n",
    );
}

/// How many bytes the answer to [`upgrade`] takes; `None` until all of it is there.
pub fn upgraded(input: &[u8]) -> Result<Option<usize>, Wrong> {
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    if input.starts_with(b"HTTP/1.1 101 ") {
        Ok(Some(end + 4))
    } else {
        Err(Wrong(format!("iroh-relay gives no WebSocket: {:?}", String::from_utf8_lossy(input))))
    }
}

/// Signs the challenge.
pub fn authenticate(out: &mut Vec<u8>, key: &SigningKey, challenge: &[u8]) {
    let signed = blake3::derive_key("iroh-relay handshake v1 challenge signature", challenge);
    let signature = key.sign(&signed).to_bytes();
    message(out, &[&[CLIENT_AUTH], key.verifying_key().as_bytes(), &[signature.len() as u8], &signature]);
}

/// Sends a datagram to whoever has this key.
pub fn send(out: &mut Vec<u8>, to: &[u8; KEY], payload: &[u8]) {
    const NO_ECN: u8 = 0;
    message(out, &[&[TO_RELAY], to, &[NO_ECN], payload]);
}

/// Answers a [`Frame::Ping`].
pub fn pong(out: &mut Vec<u8>, number: &[u8]) {
    message(out, &[&[PONG], number]);
}

/// The first frame of what came, and how many bytes it takes; `None` until all of it is there.
pub fn next(input: &[u8]) -> Result<Option<(usize, Frame<'_>)>, Wrong> {
    let (kind, header, length) = match *input {
        [kind, 126, high, low, ..] => (kind, 4, usize::from(u16::from_be_bytes([high, low]))),
        [kind, 127, 0, 0, 0, 0, a, b, c, d, ..] => (kind, 10, u32::from_be_bytes([a, b, c, d]) as usize),
        [_, 126 | 127, ..] | [] | [_] => return Ok(None),
        [kind, length, ..] => (kind, 2, usize::from(length)),
    };
    let Some(body) = input.get(header..header + length) else { return Ok(None) };
    let frame = match (kind, body) {
        (WS_PING | WS_PONG, _) | (BINARY, [PONG | ENDPOINT_GONE | STATUS, ..]) => Frame::Other,
        (BINARY, [CHALLENGE, challenge @ ..]) => Frame::Challenge(challenge),
        (BINARY, [CONFIRMS, ..]) => Frame::Welcome,
        // The sender's key, a byte for congestion, what it sent.
        (BINARY, [TO_CLIENT, rest @ ..]) => Frame::Datagram(rest.get(KEY + 1..).unwrap_or_default()),
        (BINARY, [PING, number @ ..]) => Frame::Ping(number),
        _ => return Err(Wrong(format!("iroh-relay refuses, or sent what is not known: {kind:#x} {body:?}"))),
    };
    Ok(Some((header + length, frame)))
}

/// A client masks what it sends. A mask of zeros costs the relay what any mask does, and the generator nothing.
fn message(out: &mut Vec<u8>, parts: &[&[u8]]) {
    const MASKED: u8 = 0x80;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(BINARY);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame is taken once it is whole, and not a byte before.
    #[test]
    fn frames_are_taken_whole() {
        let challenge = [&[BINARY, 17, CHALLENGE][..], &[5; 16]].concat();
        let payload = [7; 6144];
        let datagram = [&[BINARY, 126, 0x18, 0x22, TO_CLIENT][..], &[9; 32], &[0], &payload].concat();
        let long = [&[BINARY, 127, 0, 0, 0, 0, 0, 0, 0x18, 0x22, TO_CLIENT][..], &[9; 32], &[0], &payload].concat();
        let all = [
            (challenge.as_slice(), Frame::Challenge(&[5; 16])),
            (&[BINARY, 1, CONFIRMS], Frame::Welcome),
            (&[WS_PING, 0], Frame::Other),
            (&[BINARY, 9, PING, 1, 2, 3, 4, 5, 6, 7, 8], Frame::Ping(&[1, 2, 3, 4, 5, 6, 7, 8])),
            (&datagram, Frame::Datagram(&payload)),
            (&long, Frame::Datagram(&payload)),
        ];
        for (bytes, expected) in all {
            for cut in 0..bytes.len() {
                assert_eq!(next(&bytes[..cut]).unwrap(), None, "{cut} bytes of {expected:?}");
            }
            assert_eq!(next(&[bytes, &[BINARY, 1, CONFIRMS]].concat()).unwrap(), Some((bytes.len(), expected)));
        }
    }

    /// An upgrade is granted, or ends the run.
    #[test]
    fn an_upgrade_is_granted_or_an_error() {
        let granted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(upgraded(&granted[..granted.len() - 1]).unwrap(), None);
        assert_eq!(upgraded(&[granted.as_slice(), &[BINARY]].concat()).unwrap(), Some(granted.len()));
        assert!(upgraded(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
    }

    /// A message says its length in the shortest way, and is masked.
    #[test]
    fn messages_are_masked() {
        let mut out = Vec::new();
        send(&mut out, &[9; 32], &[7; 6144]);
        assert_eq!(out[..8], [BINARY, 0x80 | 126, 0x18, 0x22, 0, 0, 0, 0]);
        assert_eq!(out.len(), 8 + 1 + 32 + 1 + 6144);
        out.clear();
        pong(&mut out, &[1; 8]);
        assert_eq!(out[..2], [BINARY, 0x80 | 9]);
    }
}
