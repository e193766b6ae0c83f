//! A whole link, as bytes off a socket: in any pieces, the relay reads frames, answers what can be answered, ends what
//! can't, and writes nothing but frames.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use sealpost_relay::connection::{Arrival, Plain, Timing, serve};
use sealpost_spec::relay::{ClientHello, LinkKind, RelayHello};
use sealpost_spec::wire::{LENGTH_PREFIX, MAX_FRAME, RelayFrame, body_length, decode, encode, frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::people::NOW;
use super::script::Script;

/// Bytes that come in pieces, and what is written meanwhile.
struct Socket {
    unread: Vec<u8>,
    piece: usize,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let piece = self.piece.min(self.unread.len()).min(to.remaining());
        to.put_slice(&self.unread[..piece]);
        self.unread.drain(..piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        // A socket need not take all at once either.
        let taken = from.len().min(7 * self.piece);
        self.written.lock().unwrap().extend_from_slice(&from[..taken]);
        Poll::Ready(Ok(taken))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let choice = script.byte();
    let piece = 1 + usize::from(script.byte()) * 64;
    let mut unread = Vec::new();
    if choice & 1 != 0 {
        let kind = if choice & 2 != 0 { LinkKind::Anonymous } else { LinkKind::Authenticated };
        unread.extend(frame(&ClientHello { lowest: 1, highest: 1, kind }.layout()).unwrap());
    }
    if choice & 4 != 0 {
        // Bodies with the right length before them.
        while !script.is_empty() {
            unread.extend(frame(script.some()).unwrap_or_default());
        }
    }
    unread.extend(script.rest());
    let greeted = unread.get(LENGTH_PREFIX..).is_some_and(|hello| hello.starts_with(b"SEAL"));
    let written = Arc::new(Mutex::new(Vec::new()));
    let socket = Socket { unread, piece, written: Arc::clone(&written) };
    let relay = Arc::new(super::relay::populated(choice & 8 != 0));
    let surplus = choice & 48 == 48;
    let arrival =
        Arrival { address: [192, 0, 2, 1].into(), channel: [9; 32], surplus, shard: relay.shard(), guest: None };
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(serve(&relay, Plain(socket), arrival, &Timing::default(), || NOW, stopping));
    let written = written.lock().unwrap();
    assert!(greeted || written.is_empty(), "who says no hello is told nothing");
    frames(&written);
}

/// A hello, then frames of the relay.
fn frames(mut written: &[u8]) {
    let mut first = true;
    while let Some((prefix, rest)) = written.split_first_chunk::<LENGTH_PREFIX>() {
        let length = body_length(*prefix, MAX_FRAME).expect("a length that is allowed");
        // The bytes have come to their end meanwhile: nobody is left who would read the rest.
        let Some((body, rest)) = rest.split_at_checked(length) else { return };
        written = rest;
        if std::mem::take(&mut first) {
            if RelayHello::parse(body).expect("a hello").is_err() {
                assert!(written.is_empty(), "no version fits, and yet it goes on");
            }
            continue;
        }
        let said: RelayFrame = decode(body).expect("a frame of the relay");
        assert_eq!(encode(&said).as_deref(), Some(body));
        assert!(!matches!(said, RelayFrame::Goodbye(_)) || written.is_empty(), "a goodbye that is not the last");
    }
}
