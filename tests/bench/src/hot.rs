//! What the relay does most often, one thing at a time, without socket, disk and clock: over the store in memory, whose
//! futures are ready at once. Each case is made ready first, and then done once; only that is measured.
use std::net::IpAddr;

use sealpost_crypto::identity::{RelaySecret, post_hash};
use sealpost_relay::quota::{Rate, Rates};
use sealpost_relay::store::bell::Bells;
use sealpost_relay::store::memory::ready;
use sealpost_relay::store::{Append, Bell, Limit, Log, Memory, Store, Watch, Write};
use sealpost_relay::{Caller, Peer, Relay, Rules};
use sealpost_spec::mailbox::{Envelope, EnvelopeId, Push, Seq};
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Refusal, RelayHello, Request, WorkPrice};
use sealpost_spec::room::{PostHash, RoomName};
use sealpost_spec::wire::{Bytes, ClientFrame, LENGTH_PREFIX, RelayFrame, VERSION, decode, encode, frame};

use crate::people::dice;
use crate::relay::sealpost::people::{Person, Place};

/// Unix milliseconds of a Friday morning.
const NOW: u64 = 1_790_000_000_000;
/// Bytes of the smallest box, which most are.
const BOX: usize = 6 * 1024;
const ALICE: u32 = 1;
const BOB: u32 = 2;

/// Bytes that a link has written to it at most.
const PAGE: usize = 256 * 1024;
const CHANNEL: [u8; 32] = [9; 32];

/// A relay with Alice and Bob, both logged in.
struct Stage {
    relay: Relay<Memory>,
    alice: (Person, Caller),
    bob: (Person, Caller),
    /// Bob's last post, and how many there were.
    last: (PostHash, u64),
}

impl Stage {
    fn new(rates: Rates) -> Self {
        let rules = Rules { work: WorkPrice { fetch: 0, deliver: 0 }, rates, ..Rules::default() };
        let secret = RelaySecret::generate(&mut dice(1));
        let relay = ready(Relay::new(Memory::new([7; 16]), secret, rules, dice(2)));
        let relay = relay.expect("nothing waits").expect("a relay over an empty store");
        let member = |number| {
            let person = Person::new(number);
            let (mut caller, challenge) = link(&relay, LinkKind::Authenticated);
            let registration = person.registration(relay.public_key(), &CHANNEL, &challenge);
            ask(&relay, &mut caller, &Request::Register(registration)).expect("registered");
            (person, caller)
        };
        let (alice, bob) = (member(ALICE), member(BOB));
        Self { relay, alice, bob, last: (PostHash::default(), 0) }
    }

    /// Boxes wait for Alice.
    fn waiting(boxes: u64) -> Self {
        let stage = Self::new(Rates::unlimited());
        let (mut sender, _) = link(&stage.relay, LinkKind::Anonymous);
        for number in 0..boxes {
            ask(&stage.relay, &mut sender, &to(&stage.alice.0, number)).expect("accepted");
        }
        stage
    }

    /// Both follow the lobby, and Bob has just said something in it.
    fn talking() -> Self {
        let mut stage = Self::new(Rates::unlimited());
        let join = stage.bob_says(b"");
        ask(&stage.relay, &mut stage.bob.1, &join).expect("joined");
        for (_, caller) in [&mut stage.alice, &mut stage.bob] {
            let follow = Request::Follow { room: RoomName::lobby(), after: Seq(0) };
            ask(&stage.relay, caller, &follow).expect("followed");
            while pushed(&stage.relay, caller) > 0 {}
        }
        let said = stage.bob_says(&[b'a'; 256]);
        ask(&stage.relay, &mut stage.bob.1, &said).expect("posted");
        stage
    }

    /// Bob's next post.
    fn bob_says(&mut self, text: &[u8]) -> Request {
        let (previous, posts) = self.last;
        let place = Place { relay: self.relay.public_key(), room: RoomName::lobby(), number: posts + 1, previous };
        let post = self.bob.0.post(place, text);
        self.last = (post_hash(&post.head.body.0), posts + 1);
        Request::Post(post)
    }
}

/// A box from somebody who has the recipient's token. `number`: as no other box has it.
fn to(person: &Person, number: u64) -> Request {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let envelope = Envelope { mailbox: person.mailbox(), id: EnvelopeId(id), sealed: Bytes(vec![7; BOX]) };
    Request::Deliver { token: Some(person.token), envelope }
}

fn link(relay: &Relay<Memory>, kind: LinkKind) -> (Caller, [u8; 32]) {
    let hello = ClientHello { lowest: VERSION, highest: VERSION, kind };
    let peer = Peer { address: IpAddr::from([127, 0, 0, 1]), channel: CHANNEL };
    let (reply, caller) = relay.hello(NOW, &hello, peer);
    let reply = RelayHello::parse(&reply).expect("a hello").expect("a version that fits");
    (caller.expect("a version that fits"), reply.challenge)
}

fn ask(relay: &Relay<Memory>, caller: &mut Caller, request: &Request) -> Result<Answer, Refusal> {
    let body = encode(request).expect("it fits a frame");
    ready(relay.handle(NOW, caller, None, &body)).expect("nothing waits")
}

fn pushed(relay: &Relay<Memory>, caller: &mut Caller) -> usize {
    ready(relay.pushes(NOW, caller, PAGE)).expect("nothing waits").expect("a store that works").len()
}

/// A request that is about to be answered.
pub struct Asked {
    stage: Stage,
    caller: Caller,
    body: Vec<u8>,
}

impl Asked {
    fn new(stage: Stage, caller: Caller, request: &Request) -> Self {
        Self { stage, caller, body: encode(request).expect("it fits a frame") }
    }

    /// On a link where nobody logs in.
    fn anonymously(stage: Stage, request: &Request) -> Self {
        let (caller, _) = link(&stage.relay, LinkKind::Anonymous);
        Self::new(stage, caller, request)
    }

    /// Whether it was granted.
    pub fn answer(&mut self) -> bool {
        ready(self.stage.relay.handle(NOW, &mut self.caller, None, &self.body)).expect("nothing waits").is_ok()
    }
}

/// A box to Alice, who is there, on a link that has brought her one before.
pub fn delivery() -> Asked {
    let stage = Stage::new(Rates::unlimited());
    let [first, next] = [0, 1].map(|number| to(&stage.alice.0, number));
    let mut asked = Asked::anonymously(stage, &first);
    assert!(asked.answer(), "the first one is granted");
    asked.body = encode(&next).expect("it fits a frame");
    asked
}

/// A box from an address that has used up its rate: what a flood costs.
pub fn delivery_too_fast() -> Asked {
    let stage = Stage::new(Rates { deliveries: Rate { burst: 1, every_ms: u32::MAX }, ..Rates::unlimited() });
    let request = to(&stage.alice.0, 1);
    let mut asked = Asked::anonymously(stage, &request);
    assert!(asked.answer(), "the first one is granted");
    asked
}

/// A login, whose signature is verified.
pub fn login() -> Asked {
    let stage = Stage::new(Rates::unlimited());
    let (caller, challenge) = link(&stage.relay, LinkKind::Authenticated);
    let login = Request::Login(stage.bob.0.login(stage.relay.public_key(), &CHANNEL, &challenge));
    Asked::new(stage, caller, &login)
}

/// A post of 256 bytes, whose signatures are verified.
pub fn post() -> Asked {
    let mut stage = Stage::talking();
    let request = stage.bob_says(&[b'a'; 256]);
    let (other, _) = link(&stage.relay, LinkKind::Anonymous);
    let caller = std::mem::replace(&mut stage.bob.1, other);
    Asked::new(stage, caller, &request)
}

/// Somebody's keys, one-time keys among them.
pub fn bundle() -> Asked {
    let name = format!("p{ALICE}").parse().expect("a name");
    Asked::anonymously(Stage::new(Rates::unlimited()), &Request::FetchBundle(name))
}

/// Alice has 40 boxes, and acknowledges them.
pub fn acknowledgement() -> Asked {
    let mut stage = Stage::waiting(40);
    while pushed(&stage.relay, &mut stage.alice.1) > 0 {}
    let (other, _) = link(&stage.relay, LinkKind::Anonymous);
    let caller = std::mem::replace(&mut stage.alice.1, other);
    let pairs = caller.unacknowledged();
    assert_eq!(pairs.len(), 40, "all were pushed");
    Asked::new(stage, caller, &Request::Acknowledge(pairs))
}

/// A link to which something is about to be pushed.
pub struct Pushed {
    relay: Relay<Memory>,
    caller: Caller,
}

impl Pushed {
    /// How many frames there are.
    pub fn push(&mut self) -> usize {
        pushed(&self.relay, &mut self.caller)
    }
}

/// So many boxes wait for Alice.
pub fn boxes(count: u64) -> Pushed {
    let Stage { relay, alice: (_, caller), .. } = Stage::waiting(count);
    Pushed { relay, caller }
}

/// A post that nobody has read yet: it is read from the store and encoded.
pub fn first_reader() -> Pushed {
    let Stage { relay, alice: (_, caller), .. } = Stage::talking();
    Pushed { relay, caller }
}

/// A post that somebody else has read before: its frame is shared.
pub fn next_reader() -> Pushed {
    let Stage { relay, alice: (_, caller), mut bob, .. } = Stage::talking();
    assert!(pushed(&relay, &mut bob.1) > 0, "bob follows the room too");
    Pushed { relay, caller }
}

/// A log at which many links wait.
pub struct Tower {
    bells: Bells,
    log: Log,
    _hung: Vec<(Bell, Watch)>,
}

/// So many links wait at one log.
pub fn tower(links: u32) -> Tower {
    let (bells, log) = (Bells::default(), log());
    let hang = |_| {
        let bell = Bell::new();
        let watch = bells.watch(&log, &bell, 1);
        (bell, watch)
    };
    let hung = (0..links).map(hang).collect();
    Tower { bells, log, _hung: hung }
}

impl Tower {
    pub fn ring(&self) {
        self.bells.ring(&self.log);
    }
}

/// The log of somebody's mailbox.
pub fn log() -> Log {
    Log { kind: "mailbox", key: vec![7; 16] }
}

/// So many boxes to append, each as no other is. `from`: what the first one's number is.
pub fn appends(from: u64, count: u64) -> Vec<Write> {
    let append = |number: u64| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        Write::Append(Append { log: log(), id, bytes: vec![7; BOX] })
    };
    (from..from + count).map(append).collect()
}

/// As much as a link reads of a log at once.
pub const READ: Limit = Limit { count: 64, bytes: PAGE };

/// A store in memory with so many boxes in one log.
pub fn stored(boxes: u64) -> Memory {
    let store = Memory::new([7; 16]);
    ready(store.write(appends(0, boxes))).expect("nothing waits").expect("a store that works");
    store
}

/// A delivery as it travels, without its length.
pub fn travelling() -> Vec<u8> {
    let body = encode(&to(&Person::new(ALICE), 1)).expect("it fits a frame");
    encode(&ClientFrame::Request { id: 1, work: None, body: Bytes(body) }).expect("it fits a frame")
}

/// Reads a delivery: the frame, and the request in it.
pub fn read_delivery(bytes: &[u8]) -> Request {
    match decode(bytes) {
        Ok(ClientFrame::Request { body, .. }) => decode(&body.0).expect("a request"),
        other => panic!("a request, not {other:?}"),
    }
}

/// A push that is to be written.
pub fn push() -> RelayFrame {
    RelayFrame::Push(Push::Envelope { seq: Seq(1), id: EnvelopeId([1; 16]), sealed: Bytes(vec![7; BOX]) })
}

/// Writes a push: length and frame.
pub fn write_push(push: &RelayFrame) -> Vec<u8> {
    let bytes = encode(push).as_deref().and_then(frame).expect("it fits a frame");
    debug_assert!(bytes.len() > LENGTH_PREFIX + BOX);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case does what its name says: who measures a refusal measures nothing.
    #[test]
    fn cases_do_what_they_say() {
        for (name, case) in [
            ("delivery", delivery as fn() -> Asked),
            ("login", login),
            ("post", post),
            ("bundle", bundle),
            ("acknowledgement", acknowledgement),
        ] {
            assert!(case().answer(), "{name}");
        }
        assert!(!delivery_too_fast().answer());
        assert_eq!((boxes(1).push(), boxes(40).push()), (1, 40));
        assert_eq!((first_reader().push(), next_reader().push()), (1, 1));
        tower(10).ring();
        assert!(matches!(read_delivery(&travelling()), Request::Deliver { .. }));
        assert!(matches!(decode(&write_push(&push())[LENGTH_PREFIX..]), Ok(RelayFrame::Push(_))));
        assert_eq!(ready(stored(40).read(&log(), Seq(0), READ)).unwrap().unwrap().len(), 40);
    }
}
