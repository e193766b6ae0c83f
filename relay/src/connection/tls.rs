//! TLS over a byte stream, driven by the link itself: nothing that a silent link does not need stays in memory.
//!
//! What comes is read into a buffer that all links of a thread share, so that the largest box takes one system call and
//! a silent link holds none of it. What goes is sealed when it is written: a backlog becomes few records and one
//! vectored write, a lone frame one of each, at once.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, Error, ErrorKind, IoSlice, Result, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::frames::Outbox;

/// Bytes asked of the network at once: the largest frame, nearly.
const READ: usize = 64 * 1024;
/// Frames that one record may take together.
const TOGETHER: usize = 64;

thread_local! {
    /// What was read and not deciphered yet; empty between two polls.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
    /// What was deciphered and is not heard yet has its place here while all of it is heard at once.
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// Gives back what a link has read in, for the next one of its thread.
pub(super) fn spare(mut bytes: BytesMut) {
    bytes.clear();
    // All of it again, where its beginning was heard before.
    if bytes.try_reclaim(READ) && bytes.capacity() <= 2 * READ {
        SPARE.set(bytes);
    }
}

/// What carries a link: bytes that come and frames that go.
pub trait Wire: Send {
    /// Reads once, and puts what it says behind `incoming`. An error also where the peer has closed, once all that it
    /// said before was given out.
    fn poll_read(&mut self, context: &mut Context<'_>, incoming: &mut BytesMut) -> Poll<Result<()>>;

    /// Writes all that waits, as far as it is taken. Nothing is lost or written twice where it is not ready.
    fn poll_write(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<()>>;

    /// Writes all that waits, and ends the stream.
    fn poll_finish(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<()>>;
}

/// The relay's end of a link's TLS, once the handshake is over.
pub struct Tls<T> {
    io: T,
    tls: Box<ServerConnection>,
    /// The peer says nothing more.
    ended: bool,
    /// It was told that nothing more comes.
    closing: bool,
}

impl<T> From<TlsStream<T>> for Tls<T> {
    fn from(stream: TlsStream<T>) -> Self {
        let (io, tls) = stream.into_inner();
        Self::new(io, tls)
    }
}

impl<T> Tls<T> {
    /// Both were one stream during the handshake, with nothing left to be written.
    pub(crate) fn new(io: T, tls: ServerConnection) -> Self {
        Self { io, tls: Box::new(tls), ended: false, closing: false }
    }

    /// Whether there was something.
    fn deciphered(&mut self, incoming: &mut BytesMut) -> Result<bool> {
        let mut some = false;
        let mut reader = self.tls.reader();
        loop {
            let length = match reader.fill_buf() {
                Ok([]) => return Ok(some),
                Ok(bytes) => {
                    incoming.extend_from_slice(bytes);
                    bytes.len()
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(some),
                Err(error) => return Err(error),
            };
            reader.consume(length);
            some = true;
        }
    }

    /// Seals what waits, until as much is sealed as one write takes.
    fn seal(&mut self, outbox: &mut Outbox) -> Result<()> {
        while outbox.waiting() > 0 {
            let mut slices = [IoSlice::new(&[]); TOGETHER];
            let used = outbox.frames().zip(&mut slices).map(|(frame, slice)| *slice = IoSlice::new(frame)).count();
            match self.tls.writer().write_vectored(slices.get(..used).unwrap_or_default())? {
                0 => break,
                taken => outbox.taken(taken),
            }
        }
        Ok(())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for Tls<T> {
    fn poll_read(&mut self, context: &mut Context<'_>, incoming: &mut BytesMut) -> Poll<Result<()>> {
        if self.ended {
            return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
        }
        // What came with the end of the handshake.
        let mut some = self.deciphered(incoming)?;
        if some {
            return Poll::Ready(Ok(()));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            let mut read = buffer.filled();
            if read.is_empty() {
                self.ended = true;
            }
            // No record says more than it has bytes: so nothing is moved again while they are deciphered.
            if incoming.capacity() == 0 && !read.is_empty() {
                *incoming = SPARE.take();
            }
            incoming.reserve(read.len());
            while !read.is_empty() && !self.ended {
                self.ended = self.tls.read_tls(&mut read)? == 0;
                let state = self.tls.process_new_packets();
                some |= self.deciphered(incoming)?;
                let state = state.map_err(|error| {
                    // The alert that says why; where it is not taken at once, nobody waits for that.
                    let _ = self.tls.write_tls(&mut Writer { io: &mut self.io, context });
                    Error::other(error)
                })?;
                self.ended |= state.peer_has_closed();
            }
            match self.ended && !some {
                true => Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                false => Poll::Ready(Ok(())),
            }
        })
    }

    fn poll_write(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<()>> {
        loop {
            self.seal(outbox)?;
            if !self.tls.wants_write() {
                outbox.stalled(false);
                return Poll::Ready(Ok(()));
            }
            let mut writer = Writer { io: &mut self.io, context };
            match self.tls.write_tls(&mut writer) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => outbox.stalled(false),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    outbox.stalled(true);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_finish(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<()>> {
        ready!(self.poll_write(context, outbox))?;
        if !self.closing {
            self.closing = true;
            self.tls.send_close_notify();
        }
        ready!(self.poll_write(context, outbox))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// A stream as rustls writes to it.
struct Writer<'a, 'c, T> {
    io: &'a mut T,
    context: &'a mut Context<'c>,
}

impl<T: AsyncWrite + Unpin> Write for Writer<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        now(Pin::new(&mut *self.io).poll_write(self.context, bytes))
    }
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> Result<usize> {
        now(Pin::new(&mut *self.io).poll_write_vectored(self.context, slices))
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn now(polled: Poll<Result<usize>>) -> Result<usize> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

/// Bytes as they are: for tests and fuzzing, which look at frames.
pub struct Plain<T>(pub T);

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for Plain<T> {
    fn poll_read(&mut self, context: &mut Context<'_>, incoming: &mut BytesMut) -> Poll<Result<()>> {
        let mut scratch = [0; 4096];
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.0).poll_read(context, &mut buffer))?;
        incoming.extend_from_slice(buffer.filled());
        Poll::Ready(if buffer.filled().is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
    }

    fn poll_write(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<()>> {
        while let Some(frame) = outbox.first() {
            let polled = Pin::new(&mut self.0).poll_write(context, &frame);
            outbox.stalled(polled.is_pending());
            match ready!(polled)? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                taken => outbox.taken(taken),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<()>> {
        ready!(self.poll_write(context, outbox))?;
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
