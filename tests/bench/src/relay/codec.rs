//! A client's side of a protocol, without its socket.
use std::fmt;

/// What a server did or said that can't be gone on with: the run ends with it.
#[derive(Debug)]
pub struct Wrong(pub String);

impl Wrong {
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<rustls::Error> for Wrong {
    fn from(error: rustls::Error) -> Self {
        Self(format!("TLS: {error}"))
    }
}

/// What came over a link, as the plays see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link may be used: logged in, where the protocol has a login.
    Ready,
    /// What was asked with [`Codec::subscribe`] holds from now on.
    Subscribed,
    /// A post or box, with the stamp that its payload begins with.
    Delivered { stamp: u64 },
    /// So many boxes that had waited, together.
    Page { boxes: u32 },
    /// All that has come over this link is acknowledged, and the server has said so.
    Settled,
    /// What this link sent or published was accepted, with all that the server promises by that word.
    Accepted,
    /// Nothing that a play waits for.
    Nothing,
}

/// Bytes at the beginning of each payload that say when it left: nanoseconds of [`super::clock::nanos`].
pub const STAMP: usize = 8;

/// One link of one client. What it wants to say it appends to `out`; nobody else writes there.
pub trait Codec {
    /// The server speaks a line before TLS begins, as NATS does.
    fn greeted(&self) -> bool {
        false
    }

    /// The link is open. `channel`: its RFC 9266 exporter, zeros without TLS.
    fn begin(&mut self, channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong>;

    /// Reads the first message of `input`: how many bytes it takes and what it says; `None` while some of it is missing.
    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong>;

    /// All that has come was read: what is answered together leaves now.
    fn settle(&mut self, _out: &mut Vec<u8>) -> Result<(), Wrong> {
        Ok(())
    }

    /// Asks for what is published to a topic. Answered by [`Event::Subscribed`].
    fn subscribe(&mut self, _topic: u32, _out: &mut Vec<u8>) -> Result<(), Wrong> {
        Err(Wrong::new("this link does not subscribe"))
    }

    /// Publishes to a topic.
    fn publish(&mut self, _topic: u32, _payload: &[u8], _out: &mut Vec<u8>) -> Result<(), Wrong> {
        Err(Wrong::new("this link does not publish"))
    }

    /// Sends a box to a person.
    fn send(&mut self, _to: u32, _payload: &[u8], _out: &mut Vec<u8>) -> Result<(), Wrong> {
        Err(Wrong::new("this link does not send"))
    }
}

/// The stamp of a payload; 0 where it is too short for one.
pub fn stamp(payload: &[u8]) -> u64 {
    payload.first_chunk::<STAMP>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
