//! Drives the links of all clients, whatever they speak, on one thread.
//!
//! It reads and writes as much as a socket takes at once, and writes only after all that came was looked at: what a
//! client says at once travels together, as it would from a real one.
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::{ClientConfig, ClientConnection};

use super::clock::nanos;
use super::codec::{Codec, Event, Wrong};
use super::tls;

/// Bytes that one read takes at most.
const READ: usize = 256 * 1024;

/// A link's number in its engine.
pub type LinkId = usize;

/// Something that came.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub link: LinkId,
    /// When, in nanoseconds of [`nanos`].
    pub at: u64,
    pub what: Event,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// Waits for the line that comes before TLS.
    Greeting,
    Handshake,
    Open,
}

struct Link {
    tcp: TcpStream,
    tls: Option<ClientConnection>,
    codec: Box<dyn Codec>,
    phase: Phase,
    input: Vec<u8>,
    output: Vec<u8>,
    blocked: bool,
    dirty: bool,
}

/// All links.
pub struct Engine {
    poll: Poll,
    events: Events,
    links: Vec<Option<Link>>,
    free: Vec<LinkId>,
    dirty: Vec<LinkId>,
    scratch: Vec<u8>,
}

impl Engine {
    pub fn new() -> Result<Self, Wrong> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            links: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            scratch: vec![0; READ],
        })
    }

    /// Opens a link. [`Event::Ready`] tells when it may be used.
    pub fn open(
        &mut self,
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        codec: Box<dyn Codec>,
    ) -> Result<LinkId, Wrong> {
        let mut tcp = TcpStream::connect(address)?;
        let id = self.free.pop().unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        self.poll.registry().register(&mut tcp, Token(id), Interest::READABLE | Interest::WRITABLE)?;
        let link = Link {
            tcp,
            tls: tls.map(tls::connection).transpose()?,
            codec,
            phase: Phase::Connecting,
            input: Vec::new(),
            output: Vec::new(),
            blocked: false,
            dirty: false,
        };
        *self.slot(id)? = Some(link);
        Ok(id)
    }

    /// Closes a link; its number may be given to another one.
    pub fn close(&mut self, id: LinkId) {
        if let Some(mut link) = self.links.get_mut(id).and_then(Option::take) {
            let _ = self.poll.registry().deregister(&mut link.tcp);
            self.free.push(id);
        }
    }

    /// Lets a link say something; it leaves with the next [`Self::turn`].
    pub fn say(
        &mut self,
        id: LinkId,
        what: impl FnOnce(&mut dyn Codec, &mut Vec<u8>) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let Some(link) = self.links.get_mut(id).and_then(Option::as_mut) else { return Err(closed()) };
        what(link.codec.as_mut(), &mut link.output)?;
        if !link.dirty {
            link.dirty = true;
            self.dirty.push(id);
        }
        Ok(())
    }

    /// Writes what was said, waits for something to come, at most so long, and appends it to `heard`.
    pub fn turn(&mut self, wait: Duration, heard: &mut Vec<Heard>) -> Result<(), Wrong> {
        self.flush()?;
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            let Token(id) = event.token();
            let Some(link) = self.links.get_mut(id).and_then(Option::as_mut) else { continue };
            if event.is_writable() {
                link.writable()?;
            }
            if event.is_readable() || event.is_error() {
                link.readable(id, event.is_read_closed(), &mut self.scratch, heard)?;
            }
            if !link.output.is_empty() && !link.dirty {
                link.dirty = true;
                self.dirty.push(id);
            }
        }
        self.flush()
    }

    /// Turns until `done` says so.
    pub fn until(
        &mut self,
        deadline: Duration,
        what: &str,
        mut done: impl FnMut(&mut Self, &[Heard]) -> Result<bool, Wrong>,
    ) -> Result<(), Wrong> {
        let until = Instant::now() + deadline;
        let mut heard = Vec::new();
        while !done(self, &heard)? {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Wrong(format!("{what}: not within {} s", deadline.as_secs())));
            }
            heard.clear();
            self.turn(left, &mut heard)?;
        }
        Ok(())
    }

    fn slot(&mut self, id: LinkId) -> Result<&mut Option<Link>, Wrong> {
        self.links.get_mut(id).ok_or_else(closed)
    }

    fn flush(&mut self) -> Result<(), Wrong> {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(link) = self.links.get_mut(id).and_then(Option::as_mut) {
                link.dirty = false;
                link.flush()?;
            }
        }
        Ok(())
    }
}

fn closed() -> Wrong {
    Wrong::new("the link is closed")
}

impl Link {
    fn writable(&mut self) -> Result<(), Wrong> {
        self.blocked = false;
        if self.phase == Phase::Connecting {
            if let Some(error) = self.tcp.take_error()? {
                return Err(Wrong(format!("the server can't be reached: {error}")));
            }
            self.tcp.set_nodelay(true)?;
            self.phase = match &self.tls {
                Some(_) if self.codec.greeted() => Phase::Greeting,
                Some(_) => Phase::Handshake,
                None => Phase::Open,
            };
            if self.phase == Phase::Open {
                self.codec.begin(&[0; 32], &mut self.output)?;
            }
        }
        self.flush()
    }

    fn readable(&mut self, id: LinkId, closing: bool, scratch: &mut [u8], heard: &mut Vec<Heard>) -> Result<(), Wrong> {
        loop {
            let read = match self.tcp.read(scratch) {
                Ok(0) => return Err(Wrong::new("the server closed a link")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let at = nanos();
            self.feed(scratch.get(..read).unwrap_or_default())?;
            self.understand(id, at, heard)?;
            // A short read says that there is no more, see epoll(7).
            if read < scratch.len() && !closing {
                break;
            }
        }
        if self.phase == Phase::Open { self.codec.settle(&mut self.output) } else { Ok(()) }
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Wrong> {
        if self.phase == Phase::Greeting {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(()) };
            bytes = bytes.get(end + 1..).unwrap_or_default();
            self.phase = Phase::Handshake;
            self.flush()?;
        }
        let Some(tls) = &mut self.tls else {
            self.input.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            let plain = tls.process_new_packets()?.plaintext_bytes_to_read();
            if plain > 0 {
                let before = self.input.len();
                self.input.resize(before + plain, 0);
                tls.reader().read_exact(self.input.get_mut(before..).unwrap_or_default())?;
            }
        }
        if self.phase == Phase::Handshake && !tls.is_handshaking() {
            self.phase = Phase::Open;
            self.codec.begin(&tls::channel(tls)?, &mut self.output)?;
        }
        if self.phase == Phase::Handshake { self.flush() } else { Ok(()) }
    }

    fn understand(&mut self, id: LinkId, at: u64, heard: &mut Vec<Heard>) -> Result<(), Wrong> {
        let mut taken = 0;
        while let Some(rest) = self.input.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some((length, what)) = self.codec.read(rest, &mut self.output)? else { break };
            taken += length;
            if what != Event::Nothing {
                heard.push(Heard { link: id, at, what });
            }
        }
        self.input.drain(..taken);
        if self.input.is_empty() && self.input.capacity() > READ {
            self.input = Vec::new();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Wrong> {
        match &mut self.tls {
            Some(tls) => {
                if self.phase == Phase::Open && !self.output.is_empty() {
                    tls.writer().write_all(&self.output)?;
                    self.output.clear();
                }
                let may = matches!(self.phase, Phase::Handshake | Phase::Open);
                while may && !self.blocked && tls.wants_write() {
                    match tls.write_tls(&mut self.tcp) {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            None => {
                let mut written = 0;
                while self.phase == Phase::Open && !self.blocked && written < self.output.len() {
                    match self.tcp.write(self.output.get(written..).unwrap_or_default()) {
                        Ok(bytes) => written += bytes,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                        Err(error) => return Err(error.into()),
                    }
                }
                self.output.drain(..written);
            }
        }
        Ok(())
    }
}
