//! Frames in and out of what TLS carries.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};

use bytes::{Buf, Bytes, BytesMut};
use sealpost_spec::relay::Refusal;
use sealpost_spec::wire::{LENGTH_PREFIX, MAX_FRAME, MAX_FRAME_BEFORE_HELLO, RelayFrame, body_length, encode_frame};
use tokio::time::Instant;

use super::End;
use super::tls::spare;
use crate::metrics::METRICS;

/// Frames for which a silent link keeps places.
const FEW: usize = 8;
/// Bytes of answers for which there is room at first: some of the shortest.
const SAID: usize = 128;
/// Bytes that the beginning of a frame may take, however short it is.
const ROOMY: usize = 4096;

/// What came and was not heard yet: less than a frame and what was read with its end.
pub(super) struct Incoming {
    pub(super) bytes: BytesMut,
    limit: usize,
}

impl Incoming {
    /// For a link whose hello was not answered yet. [WIRE-2]
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), limit: MAX_FRAME_BEFORE_HELLO }
    }

    pub(super) fn hello_answered(&mut self) {
        self.limit = MAX_FRAME;
    }

    /// The body of the frame that is first, where it is there as a whole. Errors: it is empty or too long, which its
    /// first bytes tell.
    pub(super) fn first(&self) -> Result<Option<&[u8]>> {
        let Some((prefix, rest)) = self.bytes.split_first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
        // [WIRE-1] [WIRE-2]
        let length = body_length(*prefix, self.limit).map_err(|_| Error::from(ErrorKind::InvalidData))?;
        Ok(rest.get(..length))
    }

    /// Takes the first frame away, which has a body of this length.
    pub(super) fn heard(&mut self, length: usize) {
        self.bytes.advance(LENGTH_PREFIX + length);
        METRICS.bytes_in.add((LENGTH_PREFIX + length) as u64);
        if self.bytes.is_empty() {
            // A link holds no memory for what it said while it is silent.
            spare(std::mem::take(&mut self.bytes));
        }
    }
}

impl Incoming {
    /// Nothing more comes just now: the beginning of a frame takes no more memory than it needs.
    pub(super) fn settle(&mut self) {
        if !self.bytes.is_empty() && self.bytes.capacity() > ROOMY.max(4 * self.bytes.len()) {
            let little = BytesMut::from(&self.bytes[..]);
            spare(std::mem::replace(&mut self.bytes, little));
        }
    }
}

/// Whether a link that can't be read any more is told why.
pub(super) fn end_of(error: &Error) -> End {
    match error.kind() {
        ErrorKind::InvalidData => End::Goodbye(Refusal::TooLarge { limit: MAX_FRAME as u64 }),
        _ => End::Quiet,
    }
}

/// Frames that wait to be written, and since when nothing of them was taken.
#[derive(Default)]
pub struct Outbox {
    frames: VecDeque<Bytes>,
    /// Answers behind those: what is said at once is one piece.
    said: Vec<u8>,
    waiting: usize,
    since: Option<Instant>,
}

impl Outbox {
    pub(super) fn push(&mut self, frame: Bytes) {
        if !frame.is_empty() {
            self.close();
            self.waiting += frame.len();
            self.frames.push_back(frame);
        }
    }

    /// Whether it fits a frame; nothing is said otherwise.
    pub(super) fn say(&mut self, what: &RelayFrame) -> bool {
        if self.said.capacity() == 0 {
            self.said.reserve(SAID);
        }
        let before = self.said.len();
        let fits = encode_frame(what, &mut self.said);
        self.waiting += self.said.len() - before;
        fits
    }

    /// What was said becomes a piece like any other.
    fn close(&mut self) {
        if !self.said.is_empty() {
            self.frames.push_back(std::mem::take(&mut self.said).into());
        }
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn first(&mut self) -> Option<Bytes> {
        self.frames().next().cloned()
    }

    pub(super) fn frames(&mut self) -> impl Iterator<Item = &Bytes> {
        self.close();
        self.frames.iter()
    }

    /// Since when the stream has taken nothing of what waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether the stream takes nothing just now.
    pub(super) fn stalled(&mut self, stalled: bool) {
        if !stalled {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// So many bytes wait no longer.
    pub(super) fn taken(&mut self, mut taken: usize) {
        self.waiting -= taken;
        METRICS.bytes_out.add(taken as u64);
        while let Some(frame) = self.frames.front_mut() {
            if taken < frame.len() {
                frame.advance(taken);
                return;
            }
            taken -= frame.len();
            self.frames.pop_front();
        }
        if self.frames.capacity() > FEW {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use sealpost_spec::wire::frame;

    use super::*;

    /// [RELAY-15] [THREAT-21] a link that has said half of a short frame holds little more than that, also where its thread
    /// had room for a large one.
    #[test]
    fn half_a_frame_holds_little() {
        let mut incoming = Incoming::new();
        incoming.hello_answered();
        incoming.bytes.reserve(2 * MAX_FRAME);
        incoming.bytes.extend_from_slice(&[9, 0, 0, 0, 1]);
        incoming.settle();
        assert!(incoming.bytes.capacity() <= ROOMY && incoming.first().unwrap().is_none());
        incoming.bytes.extend_from_slice(&[2; 8]);
        assert_eq!(incoming.first().unwrap(), Some(&[1, 2, 2, 2, 2, 2, 2, 2, 2][..]));
        // What is nearly a large frame stays where it is.
        let mut incoming = Incoming::new();
        incoming.bytes.extend_from_slice(&[7; MAX_FRAME]);
        let place = incoming.bytes.as_ptr();
        incoming.settle();
        assert_eq!(incoming.bytes.as_ptr(), place);
    }

    /// [RELAY-15] [THREAT-21] a silent link keeps no room for the large frames that it heard and sent before.
    #[test]
    fn a_silent_link_holds_nothing() {
        let mut incoming = Incoming::new();
        incoming.hello_answered();
        incoming.bytes.extend_from_slice(&frame(&[7; MAX_FRAME]).unwrap());
        assert_eq!(incoming.first().unwrap().map(<[u8]>::len), Some(MAX_FRAME));
        incoming.heard(MAX_FRAME);
        assert_eq!(incoming.bytes.capacity(), 0);
        let mut outbox = Outbox::default();
        (0..100).for_each(|_| outbox.push(Bytes::from_static(&[7; 100])));
        outbox.taken(9_950);
        assert_eq!((outbox.waiting(), outbox.frames().count()), (50, 1));
        outbox.taken(50);
        assert!(outbox.frames.capacity() <= FEW);
    }
}
