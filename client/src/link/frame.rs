//! Frames on a byte stream: a length, then as many bytes.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use sealpost_spec::wire::{LENGTH_PREFIX, MAX_FRAME, MAX_FRAME_BEFORE_HELLO, body_length};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes asked of the socket at once; a TLS record is not longer.
const READ: usize = 16 * 1024;

/// Reads frames; nothing is lost when the future that waits for one is dropped.
pub(super) struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// For a link whose hello has not been answered.
    pub(super) fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new(), limit: MAX_FRAME_BEFORE_HELLO }
    }

    /// From now on frames may have their full length.
    pub(super) fn hello_answered(&mut self) {
        self.limit = MAX_FRAME;
    }

    /// The next frame's body. Errors: the stream ended or broke, or the frame is empty or too long.
    pub(super) async fn next(&mut self) -> Result<Bytes> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            self.buffer.reserve(READ);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
        // [WIRE-1] [WIRE-2]
        let length = body_length(*prefix, self.limit)
            .map_err(|_| Error::new(ErrorKind::InvalidData, "the relay sent a frame of a forbidden length"))?;
        if self.buffer.len() < LENGTH_PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Writes one frame. Errors: the stream broke, or did not take the frame within `stall`.
pub(super) async fn write_frame<W: AsyncWrite + Unpin>(io: &mut W, body: &[u8], stall: Duration) -> Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    let mut frame = Vec::with_capacity(LENGTH_PREFIX + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(body);
    let written = async {
        io.write_all(&frame).await?;
        io.flush().await
    };
    tokio::time::timeout(stall, written).await.map_err(|_| Error::from(ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::{FrameReader, write_frame};

    const STALL: Duration = Duration::from_secs(5);

    /// [WIRE-1] [WIRE-2] a forbidden length ends the link before anything is waited for.
    #[tokio::test]
    async fn forbidden_lengths_are_refused_at_once() {
        for (length, answered, refused) in [
            (0_u32, true, true),
            (4096, false, false),
            (4097, false, true),
            (68 * 1024, true, false),
            (68 * 1024 + 1, true, true),
            (u32::MAX, true, true),
        ] {
            let (mut relay, client) = tokio::io::duplex(16);
            let mut reader = FrameReader::new(client);
            if answered {
                reader.hello_answered();
            }
            relay.write_all(&length.to_le_bytes()).await.unwrap();
            if !refused {
                drop(relay);
            }
            let kind = reader.next().await.unwrap_err().kind();
            let wanted = if refused { std::io::ErrorKind::InvalidData } else { std::io::ErrorKind::UnexpectedEof };
            assert_eq!(kind, wanted, "{length}");
        }
    }

    #[tokio::test]
    async fn frames_survive_any_cut_and_a_dropped_wait() {
        let (mut relay, client) = tokio::io::duplex(7);
        let mut reader = FrameReader::new(client);
        let writer = tokio::spawn(async move {
            for body in [&b"first"[..], &[7; 3000], b"x"] {
                write_frame(&mut relay, body, STALL).await.unwrap();
            }
        });
        let mut frames = Vec::new();
        while frames.len() < 3 {
            tokio::select! {
                biased;
                frame = reader.next() => frames.push(frame.unwrap()),
                () = tokio::task::yield_now() => {}
            }
        }
        writer.await.unwrap();
        assert_eq!(frames, [&b"first"[..], &[7; 3000], b"x"]);
    }
}
