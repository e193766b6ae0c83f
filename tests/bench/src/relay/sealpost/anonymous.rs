//! The link on which somebody delivers to one account, and nobody logs in.
use sealpost_spec::mailbox::{Envelope, EnvelopeId};
use sealpost_spec::relay::{Answer, LinkKind, Request};
use sealpost_spec::wire::{Bytes, ClientFrame, LENGTH_PREFIX, encode};

use super::logged_in::{framed, hello, relay_hello, request};
use super::people::Person;
use super::said::{Said, body, said};
use crate::people::dice;
use crate::relay::codec::{Codec, Event, Wrong};

/// Where a delivery of this program has what changes from one to the next: length, variant, request id.
const REQUEST_ID: usize = 8;
/// Behind the id: no work, length of the request, its variant, a token, the mailbox.
const ENVELOPE_ID: usize = REQUEST_ID + 4 + 1 + 8 + 4 + 33 + 16;
/// Behind the envelope's id: the box's length.
const SEALED: usize = ENVELOPE_ID + 16 + 8;

pub(super) struct Anonymous {
    greeted: bool,
    deliver: Request,
    /// The delivery that was sent last: the next one differs in ids and box.
    frame: Vec<u8>,
    next: u32,
    ids: rand_chacha::ChaCha20Rng,
}

impl Anonymous {
    /// To this person.
    pub(super) fn new(to: &Person) -> Result<Self, Wrong> {
        let envelope = Envelope { mailbox: to.mailbox(), id: EnvelopeId([0; 16]), sealed: Bytes(Vec::new()) };
        let deliver = Request::Deliver { token: Some(to.token), envelope };
        // Ids differ between links and runs, as a relay keeps those that it was given for a while.
        let seed = u64::from_le_bytes(*to.mailbox().0.first_chunk().unwrap_or(&[0; 8]));
        let now = crate::relay::clock::nanos();
        Ok(Self { greeted: false, deliver, frame: Vec::new(), next: 1, ids: dice(seed ^ now) })
    }
}

impl Codec for Anonymous {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        hello(LinkKind::Anonymous, out)
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some(body) = body(input)? else { return Ok(None) };
        let length = LENGTH_PREFIX + body.len();
        if !self.greeted {
            self.greeted = true;
            relay_hello(body)?;
            return Ok(Some((length, Event::Ready)));
        }
        let event = match said(body)? {
            Said::Answer(Ok(Answer::Accepted { .. })) => Event::Accepted,
            Said::Ping(number) => {
                let pong = encode(&ClientFrame::Pong(number)).ok_or_else(|| Wrong::new("a pong is too long"))?;
                out.extend(framed(&pong)?);
                Event::Nothing
            }
            Said::Answer(answer) => return Err(Wrong(format!("the relay answers {answer:?}"))),
            _ => return Err(Wrong::new("a push on an anonymous link")),
        };
        Ok(Some((length, event)))
    }

    fn send(&mut self, _to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        use rand_chacha::rand_core::Rng;
        if self.frame.len() != SEALED + payload.len() {
            let Request::Deliver { envelope, .. } = &mut self.deliver else { return Err(Wrong::new("no delivery")) };
            envelope.sealed = Bytes(payload.to_vec());
            self.frame = request(0, &self.deliver)?;
        }
        let mut place = |at: usize, bytes: &[u8]| {
            if let Some(place) = self.frame.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let mut id = [0; 16];
        self.ids.fill_bytes(&mut id);
        place(REQUEST_ID, &self.next.to_le_bytes());
        place(ENVELOPE_ID, &id);
        place(SEALED, payload);
        self.next = self.next.wrapping_add(1);
        out.extend_from_slice(&self.frame);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sealpost_spec::wire::decode;

    use super::*;

    /// A delivery that was made of the one before is a delivery all the same, with its own ids and box.
    #[test]
    fn a_delivery_is_what_it_seems() {
        let to = Person::new(5);
        let mut link = Anonymous::new(&to).unwrap();
        let mut seen = Vec::new();
        for (number, payload) in [[1; 50].as_slice(), &[2; 50], &[3; 60], &[4; 60]].into_iter().enumerate() {
            let mut out = Vec::new();
            link.send(0, payload, &mut out).unwrap();
            let Ok(ClientFrame::Request { id, work: None, body }) = decode(&out[LENGTH_PREFIX..]) else { panic!() };
            assert_eq!(id as usize, number + 1);
            let Ok(Request::Deliver { token, envelope }) = decode(&body.0) else { panic!() };
            assert_eq!((token, envelope.mailbox), (Some(to.token), to.mailbox()));
            assert_eq!(envelope.sealed.0, payload);
            assert!(!seen.contains(&envelope.id));
            seen.push(envelope.id);
        }
    }
}
