//! Clients of the bare server.
use super::{BE, CAME, HEAD, PUBLISH, SEND, WANT, head};
use crate::relay::codec::{Codec, Event, Wrong, stamp};
use crate::relay::host::Clients;

pub(super) struct BareClients {
    pub(super) confirms: bool,
}

impl Clients for BareClients {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Bare { person: None, confirms: false, came: Vec::new() }))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        self.subscriber(0)
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Bare { person: Some(number), confirms: self.confirms, came: Vec::new() }))
    }

    fn accepts(&self) -> bool {
        self.confirms
    }
}

struct Bare {
    person: Option<u32>,
    confirms: bool,
    /// From whom boxes have come, which is told them together.
    came: Vec<u32>,
}

impl Codec for Bare {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        // Who is nobody asks for a topic without posts, so that the answer says that the link works.
        match self.person {
            Some(person) => head(BE, person, 0, out),
            None => head(BE, u32::MAX, 0, out),
        }
    }

    fn read(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((head, rest)) = input.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [l0, l1, l2, l3, kind, ..] = *head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize + 4;
        let Some(payload) = length.checked_sub(HEAD).and_then(|length| rest.get(..length)) else { return Ok(None) };
        let event = match kind {
            WANT => Event::Subscribed,
            BE => Event::Ready,
            PUBLISH => Event::Delivered { stamp: stamp(payload) },
            SEND => {
                let (from, payload) =
                    payload.split_first_chunk().ok_or_else(|| Wrong::new("a box without a sender"))?;
                if self.confirms {
                    self.came.push(u32::from_le_bytes(*from));
                }
                Event::Delivered { stamp: stamp(payload) }
            }
            CAME => Event::Accepted,
            kind => return Err(Wrong(format!("the bare server sends a frame of kind {kind}"))),
        };
        Ok(Some((length, event)))
    }

    fn settle(&mut self, out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.came.drain(..).try_for_each(|from| head(CAME, from, 0, out))
    }

    fn subscribe(&mut self, topic: u32, out: &mut Vec<u8>) -> Result<(), Wrong> {
        head(WANT, topic, 0, out)
    }

    fn publish(&mut self, topic: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        head(PUBLISH, topic, payload.len(), out)?;
        out.extend_from_slice(payload);
        Ok(())
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        head(SEND, to, payload.len() + 4, out)?;
        out.extend_from_slice(&self.person.unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(payload);
        Ok(())
    }
}
