//! The link on which somebody fetches the keys of one account.
use sealpost_spec::relay::{Answer, LinkKind, Request};
use sealpost_spec::wire::LENGTH_PREFIX;

use super::logged_in::{hello, relay_hello, request};
use super::people::Person;
use super::said::{Said, body, said};
use crate::relay::codec::{Codec, Event, Wrong};

pub(super) struct Bundles {
    fetch: Vec<u8>,
    greeted: bool,
}

impl Bundles {
    /// Of this person.
    pub(super) fn new(of: &Person) -> Result<Self, Wrong> {
        Ok(Self { fetch: request(1, &Request::FetchBundle(of.name.clone()))?, greeted: false })
    }
}

impl Codec for Bundles {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        hello(LinkKind::Anonymous, out)
    }

    fn read(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some(body) = body(input)? else { return Ok(None) };
        let length = LENGTH_PREFIX + body.len();
        if !self.greeted {
            self.greeted = true;
            relay_hello(body)?;
            return Ok(Some((length, Event::Ready)));
        }
        match said(body)? {
            Said::Answer(Ok(Answer::Bundle(_))) => Ok(Some((length, Event::Accepted))),
            Said::Answer(answer) => Err(Wrong(format!("the relay answers {answer:?}"))),
            _ => Err(Wrong::new("a push on an anonymous link")),
        }
    }

    /// Fetches: the answer is [`Event::Accepted`].
    fn send(&mut self, _to: u32, _payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        out.extend_from_slice(&self.fetch);
        Ok(())
    }
}
