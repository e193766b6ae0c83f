//! Frames in and out of a byte stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sealpost_spec::relay::Refusal;
use sealpost_spec::wire::{LENGTH_PREFIX, MAX_FRAME, MAX_FRAME_BEFORE_HELLO, body_length};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::End;

/// Bytes asked of the stream at once: what has not come takes no memory. [WIRE-3]
const READ: usize = 8 * 1024;
/// Frames that one write takes together.
const TOGETHER: usize = 32;

/// Reads frames; nothing is lost when the future that waits for one is dropped.
pub(super) struct Reader<R> {
    io: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// For a link whose hello was not answered yet. [WIRE-2]
    pub(super) fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new(), limit: MAX_FRAME_BEFORE_HELLO }
    }

    pub(super) fn hello_answered(&mut self) {
        self.limit = MAX_FRAME;
    }

    /// The next frame's body. Errors: the stream ended or broke, or the frame is empty or too long.
    pub(super) async fn next(&mut self) -> Result<Bytes> {
        loop {
            if let Some(prefix) = self.buffer.first_chunk::<LENGTH_PREFIX>() {
                // [WIRE-1] [WIRE-2]
                let length = body_length(*prefix, self.limit).map_err(|_| Error::from(ErrorKind::InvalidData))?;
                if self.buffer.len() >= LENGTH_PREFIX + length {
                    self.buffer.advance(LENGTH_PREFIX);
                    return Ok(self.buffer.split_to(length).freeze());
                }
            }
            if self.buffer.is_empty() && self.buffer.capacity() > READ {
                // A link that once sent something large holds no memory for it while it is silent.
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(READ);
            if self.io.read_buf(&mut (&mut self.buffer).limit(READ)).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
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
pub(super) struct Outbox<W> {
    io: W,
    frames: VecDeque<Bytes>,
    waiting: usize,
    unflushed: bool,
    since: Option<Instant>,
}

impl<W: AsyncWrite + Unpin> Outbox<W> {
    pub(super) fn new(io: W) -> Self {
        Self { io, frames: VecDeque::new(), waiting: 0, unflushed: false, since: None }
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        self.waiting += frame.len();
        self.frames.push_back(frame);
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn unwritten(&self) -> bool {
        self.unflushed || !self.frames.is_empty()
    }

    /// Since when the stream has taken nothing of what waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Writes what the stream takes, several frames at once; flushes once all is written. Nothing is lost or written
    /// twice when this is dropped while it waits.
    pub(super) async fn write(&mut self) -> Result<()> {
        let Self { io, frames, .. } = self;
        if frames.is_empty() {
            poll_fn(|context| Pin::new(&mut *io).poll_flush(context)).await?;
            (self.unflushed, self.since) = (false, None);
            return Ok(());
        }
        let taken = poll_fn(|context| {
            let mut slices = [IoSlice::new(&[]); TOGETHER];
            let used = frames.iter().zip(&mut slices).map(|(frame, slice)| *slice = IoSlice::new(frame)).count();
            Pin::new(&mut *io).poll_write_vectored(context, slices.get(..used).unwrap_or_default())
        })
        .await?;
        if taken == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        self.taken(taken);
        Ok(())
    }

    fn taken(&mut self, mut taken: usize) {
        self.waiting -= taken;
        (self.unflushed, self.since) = (true, Some(Instant::now()));
        while let Some(frame) = self.frames.front_mut() {
            if taken < frame.len() {
                frame.advance(taken);
                return;
            }
            taken -= frame.len();
            self.frames.pop_front();
        }
    }

    /// Writes all that waits and ends the stream, as far as its reader takes it in time.
    pub(super) async fn finish(mut self, deadline: Duration) {
        let rest = async {
            while self.unwritten() {
                self.write().await?;
            }
            self.io.shutdown().await
        };
        // Who reads no more learns nothing more.
        let _ = timeout(deadline, rest).await;
    }
}

#[cfg(test)]
mod tests {
    use sealpost_spec::wire::frame;
    use tokio::io::duplex;

    use super::*;

    /// [RELAY-15] [THREAT-21] a silent link keeps no room for the large frame that it sent before.
    #[tokio::test]
    async fn a_silent_link_holds_little() {
        let (mut ours, theirs) = duplex(1024 * 1024);
        let mut reader = Reader::new(theirs);
        reader.hello_answered();
        ours.write_all(&frame(&[7; MAX_FRAME]).unwrap()).await.unwrap();
        assert_eq!(reader.next().await.unwrap().len(), MAX_FRAME);
        let silent = poll_fn(|context| {
            let polled = std::pin::pin!(reader.next()).poll(context);
            std::task::Poll::Ready(polled.is_pending())
        });
        assert!(silent.await);
        assert!(reader.buffer.capacity() <= 2 * READ, "{}", reader.buffer.capacity());
    }
}
