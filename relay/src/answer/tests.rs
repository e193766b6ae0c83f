//! Every request and every refusal, answered over a store in memory, without socket, clock or runtime.

mod accounts;
mod attachments;
mod devices;
mod invites;
mod leaving;
mod mailboxes;
mod moderation;
mod notices;
mod one_time;
mod operator;
mod rooms;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sealpost_crypto::identity::{
    AccountSecret, DeviceSecret, PrekeySecret, RelaySecret, body_hash, delivery_token, mailbox, post_hash, token_hash,
    verify_room,
};
use sealpost_spec::account::*;
use sealpost_spec::mailbox::*;
use sealpost_spec::relay::*;
use sealpost_spec::room::*;
use sealpost_spec::wire::{Bytes, LENGTH_PREFIX, RelayFrame, Signed, decode, encode};

use super::{Caller, Peer, Relay, Rules};
use crate::quota::Rates;
use crate::store::memory::ready;
use crate::store::{Memory, Store};

/// A Friday morning.
pub(crate) const NOW: u64 = 1_790_000_000_000;

/// A relay that prices nothing and limits nobody, unless a test says otherwise.
pub(crate) fn relay(change: impl FnOnce(&mut Rules)) -> Relay<Memory> {
    over(Memory::new([7; 16]), change)
}

pub(crate) fn over(store: Memory, change: impl FnOnce(&mut Rules)) -> Relay<Memory> {
    let mut rules = Rules { work: WorkPrice { fetch: 0, deliver: 0 }, rates: Rates::unlimited(), ..Rules::default() };
    change(&mut rules);
    let secret = RelaySecret::generate(&mut StdRng::seed_from_u64(1));
    ready(Relay::new(store, secret, rules, StdRng::seed_from_u64(2))).unwrap().unwrap()
}

/// A link of the given kind from an address.
pub(crate) fn link_from(relay: &Relay<Memory>, kind: LinkKind, address: [u8; 4]) -> Caller {
    let hello = ClientHello { lowest: 1, highest: 1, kind };
    let (bytes, caller) = relay.hello(NOW, &hello, Peer { address: address.into(), channel: [9; 32] });
    assert!(RelayHello::parse(&bytes).unwrap().is_ok());
    caller.unwrap()
}

pub(crate) fn link(relay: &Relay<Memory>, kind: LinkKind) -> Caller {
    link_from(relay, kind, [127, 0, 0, 1])
}

pub(crate) fn ask_at(
    relay: &Relay<Memory>,
    now: u64,
    caller: &mut Caller,
    request: Request,
) -> Result<Answer, Refusal> {
    let body = encode(&request).expect("a request of a test fits a frame");
    ready(relay.handle(now, caller, None, &body)).expect("nothing waits over a store in memory")
}

pub(crate) fn ask(relay: &Relay<Memory>, caller: &mut Caller, request: Request) -> Result<Answer, Refusal> {
    ask_at(relay, NOW, caller, request)
}

/// All pushes that are due.
pub(crate) fn pushes_at(relay: &Relay<Memory>, now: u64, caller: &mut Caller) -> Vec<Push> {
    let mut all = Vec::new();
    loop {
        let frames = ready(relay.pushes(now, caller, 100_000)).unwrap().unwrap();
        if frames.is_empty() {
            return all;
        }
        for frame in frames {
            match decode(&frame[LENGTH_PREFIX..]) {
                Ok(RelayFrame::Push(push)) => all.push(push),
                other => panic!("a push, not {other:?}"),
            }
        }
    }
}

pub(crate) fn pushes(relay: &Relay<Memory>, caller: &mut Caller) -> Vec<Push> {
    pushes_at(relay, NOW, caller)
}

/// A person with one device.
pub(crate) struct Person {
    pub(crate) name: Name,
    pub(crate) account: AccountSecret,
    pub(crate) secret: DeviceSecret,
    pub(crate) device: Device,
    pub(crate) token: DeliveryToken,
    pub(crate) rng: StdRng,
    pub(crate) number: u64,
    pub(crate) previous: PostHash,
    /// What it publishes first.
    pub(crate) first_keys: Option<PublishedKeys>,
}

impl Person {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let secret = DeviceSecret::generate(&mut rng);
        Self {
            name: name.parse().unwrap(),
            account: AccountSecret::generate(&mut rng),
            device: secret.public(DeviceId::FIRST),
            token: delivery_token(&mut rng),
            secret,
            rng,
            number: 0,
            previous: PostHash::default(),
            first_keys: None,
        }
    }

    pub(crate) fn list(&self, number: u64) -> Signed {
        let list =
            DeviceList { number, name: self.name.clone(), account: self.account.key(), devices: vec![self.device] };
        self.account.sign_devices(&list)
    }

    pub(crate) fn prekey(&mut self, role: PrekeyRole, id: u32) -> Signed {
        PrekeySecret::generate(role, PrekeyId(id), NOW / 1000, &self.secret, &mut self.rng).signed().clone()
    }

    /// The rotating keys under `id` and so many one-time keys of each kind from there on.
    pub(crate) fn keys(&mut self, id: u32, one_time: u32) -> PublishedKeys {
        PublishedKeys {
            signed: Some(self.prekey(PrekeyRole::Signed, id)),
            last_resort_kem: Some(self.prekey(PrekeyRole::LastResortKem, id)),
            box_key: Some(self.prekey(PrekeyRole::Box, id)),
            one_time: (id..id + one_time).map(|id| self.prekey(PrekeyRole::OneTime, id)).collect(),
            one_time_kem: (id..id + one_time).map(|id| self.prekey(PrekeyRole::OneTimeKem, id)).collect(),
        }
    }

    pub(crate) fn login(&self, relay: &Relay<Memory>, caller: &Caller, generation: u64) -> Login {
        self.login_with(relay, &caller.peer.channel, &caller.challenge, generation)
    }

    pub(crate) fn login_with(
        &self,
        relay: &Relay<impl Store>,
        channel: &[u8; 32],
        challenge: &[u8; 32],
        generation: u64,
    ) -> Login {
        let relay = relay.public_key();
        let proof = LoginProof { relay, channel, challenge, name: &self.name, device: self.device.id, generation };
        let signature = self.secret.sign_login(&proof);
        Login { name: self.name.clone(), device: self.device.id, generation, signature }
    }

    /// Ends the account, on this link.
    pub(crate) fn leave(&self, relay: &Relay<Memory>, caller: &Caller) -> Request {
        let (channel, challenge) = (&caller.peer.channel, &caller.challenge);
        let proof = LeaveProof { relay: relay.public_key(), channel, challenge, name: &self.name };
        Request::Unregister { signature: self.account.sign_leave(&proof) }
    }

    pub(crate) fn registration(&mut self, relay: &Relay<Memory>, caller: &Caller) -> Registration {
        self.registration_with(relay, &caller.peer.channel, &caller.challenge)
    }

    pub(crate) fn registration_with(
        &mut self,
        relay: &Relay<impl Store>,
        channel: &[u8; 32],
        challenge: &[u8; 32],
    ) -> Registration {
        let keys = self.first_keys.take().unwrap_or_else(|| self.keys(1, 2));
        self.first_keys = Some(keys.clone());
        Registration {
            list: self.list(1),
            keys,
            token: token_hash(&self.token),
            receipt: None,
            invite: None,
            login: self.login_with(relay, channel, challenge, 1),
        }
    }

    /// Registers on a new link, which stays.
    pub(crate) fn register(&mut self, relay: &Relay<Memory>) -> (Caller, Signed) {
        let mut caller = link(relay, LinkKind::Authenticated);
        let registration = self.registration(relay, &caller);
        match ask(relay, &mut caller, Request::Register(registration)) {
            Ok(Answer::Registered { receipt, .. }) => (caller, receipt),
            other => panic!("registered, not {other:?}"),
        }
    }

    /// Logs in on a new link.
    pub(crate) fn enter(&self, relay: &Relay<Memory>, generation: u64) -> Caller {
        let mut caller = link(relay, LinkKind::Authenticated);
        let login = self.login(relay, &caller, generation);
        let answer = ask(relay, &mut caller, Request::Login(login));
        assert!(matches!(answer, Ok(Answer::LoggedIn { .. })), "{answer:?}");
        caller
    }

    pub(crate) fn mailbox(&self) -> MailboxId {
        mailbox(&self.device.key)
    }

    pub(crate) fn head(&self, relay: &Relay<Memory>, room: &str, kind: PostKind, body: &[u8]) -> PostHead {
        let mut id = [0; 10];
        id[3..7].copy_from_slice(&(self.number as u32 + 1).to_le_bytes());
        id[9] = self.device.key.0[0];
        PostHead {
            relay: *relay.public_key(),
            room: room.parse().unwrap(),
            author: self.name.clone(),
            account: self.account.key(),
            device: self.device,
            number: self.number + 1,
            previous: self.previous,
            time: NOW,
            id: PostId::new(NOW, id),
            kind,
            target: PostId::NONE,
            target_hash: PostHash::default(),
            body_hash: body_hash(body),
        }
    }

    pub(crate) fn signed(&self, head: &PostHead, body: &[u8]) -> Post {
        Post { head: self.secret.sign_post(head), author: self.list(1), body: Some(Bytes(body.to_vec())) }
    }

    /// The next post of the person in a room, about another one where there is a target.
    pub(crate) fn says(
        &mut self,
        relay: &Relay<Memory>,
        room: &str,
        kind: PostKind,
        body: &[u8],
        target: Option<&Post>,
    ) -> Post {
        let mut head = self.head(relay, room, kind, body);
        if let Some(target) = target {
            head.target = PostHead::parse(&target.head.body.0).unwrap().id;
            head.target_hash = post_hash(&target.head.body.0);
        }
        let post = self.signed(&head, body);
        self.number += 1;
        self.previous = post_hash(&post.head.body.0);
        post
    }
}

/// [WIRE-6] [RELAY-3] a version that the relay does not speak is refused, and no caller comes of it.
#[test]
fn an_unknown_version_is_refused() {
    let relay = relay(|_| {});
    let peer = Peer { address: [127, 0, 0, 1].into(), channel: [9; 32] };
    for (lowest, highest) in [(2, 9), (0, 0)] {
        let hello = ClientHello { lowest, highest, kind: LinkKind::Anonymous };
        let (bytes, caller) = relay.hello(NOW, &hello, peer);
        assert_eq!(RelayHello::parse(&bytes), Ok(Err((1, 1))));
        assert!(caller.is_none());
    }
}

/// [RELAY-4] two hellos have two challenges, and both say whether the store was lost.
#[test]
fn a_hello_is_fresh() {
    let (first, other) = (relay(|_| {}), over(Memory::new([8; 16]), |_| {}));
    let hello = |relay: &Relay<Memory>| {
        let hello = ClientHello { lowest: 1, highest: 7, kind: LinkKind::Authenticated };
        let peer = Peer { address: [127, 0, 0, 1].into(), channel: [9; 32] };
        RelayHello::parse(&relay.hello(NOW, &hello, peer).0).unwrap().unwrap()
    };
    let (one, two) = (hello(&first), hello(&first));
    assert_ne!(one.challenge, two.challenge);
    assert_eq!((one.store, one.time), (two.store, NOW));
    assert_ne!(one.store, hello(&other).store);
}

/// [RELAY-7] each request on the wrong link, or before a login.
#[test]
fn requests_keep_to_their_links() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut logged_in, _) = alice.register(&relay);
    let registration = alice.registration(&relay, &logged_in);
    let login = registration.login.clone();
    let room = RoomName::lobby();
    let envelope = Envelope { mailbox: alice.mailbox(), id: EnvelopeId([1; 16]), sealed: Bytes(vec![0; 6 * 1024]) };
    let post = alice.says(&relay, "lobby", PostKind::Join, b"", None);
    let needs_login = [
        Request::Publish(registration.keys.clone()),
        Request::SetToken(registration.token),
        Request::Acknowledge(Vec::new()),
        Request::Post(post),
        Request::Follow { room: room.clone(), after: Seq(0) },
        Request::Unfollow(room.clone()),
        Request::Rooms { after: None },
        Request::Members { room: room.clone(), after: None },
        Request::Room { room, receipt: None },
        alice.leave(&relay, &logged_in),
        Request::SetDevices { list: registration.list.clone(), token: registration.token },
    ];
    for request in needs_login {
        let mut before_login = link(&relay, LinkKind::Authenticated);
        assert_eq!(ask(&relay, &mut before_login, request.clone()), Err(Refusal::WrongLink), "{request:?}");
        let mut anonymous = link(&relay, LinkKind::Anonymous);
        assert_eq!(ask(&relay, &mut anonymous, request.clone()), Err(Refusal::WrongLink), "{request:?}");
    }
    for request in [Request::Register(registration), Request::Login(login)] {
        let mut anonymous = link(&relay, LinkKind::Anonymous);
        assert_eq!(ask(&relay, &mut anonymous, request.clone()), Err(Refusal::WrongLink), "{request:?}");
        assert_eq!(ask(&relay, &mut logged_in, request.clone()), Err(Refusal::WrongLink), "{request:?}");
    }
    for request in [Request::FetchBundle(alice.name.clone()), Request::Deliver { token: None, envelope }] {
        let mut before_login = link(&relay, LinkKind::Authenticated);
        assert_eq!(ask(&relay, &mut before_login, request.clone()), Err(Refusal::WrongLink), "{request:?}");
    }
    let mut before_login = link(&relay, LinkKind::Authenticated);
    assert_eq!(ask(&relay, &mut before_login, Request::FetchDevices(alice.name.clone())), Err(Refusal::WrongLink));
}

/// What is no request is refused.
#[test]
fn garbage_is_malformed() {
    let relay = relay(|_| {});
    let mut caller = link(&relay, LinkKind::Anonymous);
    for garbage in [&b""[..], b"\xff\xff\xff\xff", b"hello"] {
        assert_eq!(ready(relay.handle(NOW, &mut caller, None, garbage)), Some(Err(Refusal::Malformed)));
    }
}

/// A store in trouble is told as a number, and nothing more.
#[test]
fn a_fault_is_internal() {
    let relay = relay(|_| {});
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let _elsewhere = relay.store().reopen(crate::store::CrashPoints::none());
    let refusal = ask(&relay, &mut caller, Request::Rooms { after: None });
    assert!(matches!(refusal, Err(Refusal::Internal { .. })), "{refusal:?}");
}

/// [RELAY-12] the numbers that clients in the field know.
#[test]
fn refusals_keep_their_numbers() {
    let reason = String::new;
    let all = [
        Refusal::Malformed,
        Refusal::Unsupported,
        Refusal::WrongLink,
        Refusal::BadSignature,
        Refusal::NameTaken,
        Refusal::RegistrationClosed,
        Refusal::InviteNeeded,
        Refusal::NoSuchName,
        Refusal::NoSuchMailbox,
        Refusal::MailboxFull,
        Refusal::WorkNeeded { bits: 1 },
        Refusal::UnknownToken,
        Refusal::TooFast { retry_after_ms: 1 },
        Refusal::TooLarge { limit: 1 },
        Refusal::QuotaReached { limit: 1 },
        Refusal::NoSuchRoom,
        Refusal::NotMember,
        Refusal::PostOutOfOrder { wanted: 1 },
        Refusal::StaleDeviceList,
        Refusal::StaleKey,
        Refusal::Banned { reason: reason() },
        Refusal::Kicked { reason: reason() },
        Refusal::Replaced,
        Refusal::Stopping,
        Refusal::Internal { id: 1 },
        Refusal::TimedOut,
        Refusal::TooManyLinks,
        Refusal::NoSuchPost,
        Refusal::NoSuchBlob,
        Refusal::NotCreator,
        Refusal::BannedFromRoom { reason: reason() },
    ];
    for (number, refusal) in (0_u32..).zip(all) {
        assert_eq!(encode(&refusal).unwrap()[..4], number.to_le_bytes(), "{refusal:?}");
    }
}

/// [RELAY-12] what is refused has changed nothing: the store is as it was before.
#[test]
fn a_refusal_changes_nothing() {
    let relay = relay(|_| {});
    let (mut alice, mut mallory) = (Person::new("alice", 10), Person::new("alice", 66));
    let (mut caller, _) = alice.register(&relay);
    let before = relay.store().contents();
    let mut stranger = link(&relay, LinkKind::Authenticated);
    let registration = mallory.registration(&relay, &stranger);
    assert_eq!(ask(&relay, &mut stranger, Request::Register(registration)), Err(Refusal::NameTaken));
    let text = alice.signed(&alice.head(&relay, "lobby", PostKind::Text, b"hi"), b"hi");
    assert_eq!(ask(&relay, &mut caller, Request::Post(text)), Err(Refusal::NotMember));
    let stale = PublishedKeys { signed: Some(alice.prekey(PrekeyRole::Signed, 1)), ..alice.keys(50, 2) };
    assert_eq!(ask(&relay, &mut caller, Request::Publish(stale)), Err(Refusal::StaleKey));
    assert!(relay.store().contents() == before);
}
