//! The link on which a device is logged in: it receives, follows, posts.
use std::collections::VecDeque;
use std::rc::Rc;

use sealpost_crypto::identity::post_hash;
use sealpost_spec::mailbox::{EnvelopeId, Seq};
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, RelayHello, Request};
use sealpost_spec::room::{PostHash, RoomName};
use sealpost_spec::wire::{Bytes, ClientFrame, LENGTH_PREFIX, VERSION, encode, frame};

use super::people::{Person, Place};
use super::said::{Said, body, said};
use crate::relay::codec::{Codec, Event, Wrong, stamp};

/// What a link is for.
pub(super) enum Purpose {
    /// Registers its person, and no more.
    Register,
    /// Receives boxes.
    Receive,
    /// Follows a room, once it is told to.
    Follow { room: RoomName },
    /// Joins a room, and posts there.
    Post { room: RoomName },
}

pub(super) struct LoggedIn {
    relay: [u8; 32],
    person: Rc<Person>,
    purpose: Purpose,
    channel: [u8; 32],
    greeted: bool,
    next_id: u32,
    /// What the answers that are due will mean, in their order.
    due: VecDeque<Event>,
    /// What has come and was not acknowledged.
    came: Vec<(Seq, EnvelopeId)>,
    posts: u64,
    previous: PostHash,
}

pub(super) fn hello(kind: LinkKind, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let hello = ClientHello { lowest: VERSION, highest: VERSION, kind };
    out.extend(framed(&hello.layout())?);
    Ok(())
}

pub(super) fn framed(body: &[u8]) -> Result<Vec<u8>, Wrong> {
    frame(body).ok_or_else(|| Wrong::new("a frame is too long"))
}

pub(super) fn relay_hello(body: &[u8]) -> Result<RelayHello, Wrong> {
    match RelayHello::parse(body) {
        Ok(Ok(hello)) => Ok(hello),
        _ => Err(Wrong::new("the relay speaks another version")),
    }
}

/// A frame with a request.
pub(super) fn request(id: u32, request: &Request) -> Result<Vec<u8>, Wrong> {
    let body = encode(request).ok_or_else(|| Wrong::new("a request is too long"))?;
    let body = encode(&ClientFrame::Request { id, work: None, body: Bytes(body) });
    framed(&body.ok_or_else(|| Wrong::new("a request is too long"))?)
}

impl LoggedIn {
    pub(super) fn new(relay: [u8; 32], person: &Rc<Person>, purpose: Purpose) -> Self {
        Self {
            relay,
            person: Rc::clone(person),
            purpose,
            channel: [0; 32],
            greeted: false,
            next_id: 1,
            due: VecDeque::new(),
            came: Vec::new(),
            posts: 0,
            previous: PostHash::default(),
        }
    }

    fn ask(&mut self, what: &Request, means: Event, out: &mut Vec<u8>) -> Result<(), Wrong> {
        out.extend(request(self.next_id, what)?);
        self.next_id = self.next_id.wrapping_add(1);
        self.due.push_back(means);
        Ok(())
    }

    fn enter(&mut self, hello: &RelayHello, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let person = Rc::clone(&self.person);
        let room = match &self.purpose {
            Purpose::Register => {
                let registration = person.registration(&self.relay, &self.channel, &hello.challenge);
                return self.ask(&Request::Register(registration), Event::Ready, out);
            }
            Purpose::Post { room } => Some(room.clone()),
            Purpose::Receive | Purpose::Follow { .. } => None,
        };
        let login = Request::Login(person.login(&self.relay, &self.channel, &hello.challenge));
        let Some(room) = room else { return self.ask(&login, Event::Ready, out) };
        self.ask(&login, Event::Nothing, out)?;
        self.post(room, &[], Event::Ready, out)
    }

    fn post(&mut self, room: RoomName, text: &[u8], means: Event, out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.posts += 1;
        let place = Place { relay: &self.relay, room, number: self.posts, previous: self.previous };
        let post = self.person.post(place, text);
        self.previous = post_hash(&post.head.body.0);
        self.ask(&Request::Post(post), means, out)
    }
}

impl Codec for LoggedIn {
    fn begin(&mut self, channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.channel = *channel;
        hello(LinkKind::Authenticated, out)
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some(body) = body(input)? else { return Ok(None) };
        let length = LENGTH_PREFIX + body.len();
        if !self.greeted {
            self.greeted = true;
            self.enter(&relay_hello(body)?, out)?;
            return Ok(Some((length, Event::Nothing)));
        }
        let event = match said(body)? {
            Said::Envelope { seq, id, sealed } => {
                self.came.push((seq, id));
                Event::Delivered { stamp: stamp(sealed) }
            }
            // Joins have no text and are nobody's delivery.
            Said::Post { body: [] } => Event::Nothing,
            Said::Post { body } => Event::Delivered { stamp: stamp(body) },
            Said::Ping(number) => {
                let pong = encode(&ClientFrame::Pong(number)).ok_or_else(|| Wrong::new("a pong is too long"))?;
                out.extend(framed(&pong)?);
                Event::Nothing
            }
            Said::Answer(Ok(
                Answer::Registered { .. } | Answer::LoggedIn { .. } | Answer::Posted { .. } | Answer::Done,
            )) => match self.due.pop_front() {
                // What has come since is still to be acknowledged.
                Some(Event::Settled) if !(self.due.is_empty() && self.came.is_empty()) => Event::Nothing,
                Some(means) => means,
                None => return Err(Wrong::new("an answer that nobody asked for")),
            },
            Said::Answer(answer) => return Err(Wrong(format!("the relay answers {answer:?}"))),
        };
        Ok(Some((length, event)))
    }

    /// What came together is acknowledged together, at once: nothing has to be committed here.
    fn settle(&mut self, out: &mut Vec<u8>) -> Result<(), Wrong> {
        if self.came.is_empty() {
            return Ok(());
        }
        let came = std::mem::take(&mut self.came);
        self.ask(&Request::Acknowledge(came), Event::Settled, out)
    }

    fn subscribe(&mut self, _topic: u32, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let Purpose::Follow { room } = &self.purpose else { return Err(Wrong::new("this link follows no room")) };
        let follow = Request::Follow { room: room.clone(), after: Seq(0) };
        self.ask(&follow, Event::Subscribed, out)
    }

    fn publish(&mut self, _topic: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        let Purpose::Post { room } = &self.purpose else { return Err(Wrong::new("this link posts nowhere")) };
        self.post(room.clone(), payload, Event::Accepted, out)
    }
}
