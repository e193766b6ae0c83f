//! Requests of anybody, in any order, over several links: a relay answers or refuses, and what it refuses changes
//! nothing. Whoever has not signed a login is not logged in, and the relay has no trouble of its own.

use std::sync::OnceLock;

use sealpost_crypto::identity::{body_hash, mailbox, post_hash, token_hash};
use sealpost_crypto::work;
use sealpost_relay::store::Memory;
use sealpost_relay::store::memory::ready;
use sealpost_relay::{Caller, Peer, Relay, Rules, quota::Rates};
use sealpost_spec::account::{DeviceId, LeaveProof, LoginProof, Name, PublishedKeys};
use sealpost_spec::attachment::BlobId;
use sealpost_spec::mailbox::{DeliveryToken, Envelope, EnvelopeId, MailboxId, Seq};
use sealpost_spec::message::BOX_SIZES;
use sealpost_spec::relay::{
    Answer, ClientHello, LinkKind, Login, Refusal, Registration, RelayHello, Request, Work, WorkPrice,
};
use sealpost_spec::room::{Post, PostHash, PostHead, PostId, PostKind};
use sealpost_spec::wire::{Bytes, LENGTH_PREFIX, MAX_FRAME, RelayFrame, decode, encode};

use super::people::{self, NOW, Person, couple, dice};
use super::script::Script;

/// Links at once.
const LINKS: usize = 4;
/// More acts than this tell nothing new, and would take seconds.
const ACTS: usize = 48;
/// Bits of work, where work has a price: few, because the target pays it.
const BITS: u8 = 2;

/// A link as its client knows it.
pub struct Link {
    caller: Caller,
    kind: LinkKind,
    pub channel: [u8; 32],
    pub challenge: [u8; 32],
    counter: u64,
}

fn token() -> DeliveryToken {
    DeliveryToken([5; 32])
}

fn rules(limited: bool) -> Rules {
    let bits = if limited { BITS } else { 0 };
    let rates = if limited { Rates::default() } else { Rates::unlimited() };
    Rules { work: WorkPrice { fetch: bits, deliver: bits }, rates, ..Rules::default() }
}

fn relay_over(store: Memory, limited: bool) -> Relay<Memory> {
    let secret = sealpost_crypto::identity::RelaySecret::generate(&mut dice(4));
    ready(Relay::new(store, secret, rules(limited), dice(1))).unwrap().unwrap()
}

/// A relay where Alice and Bob are registered, Alice is in the lobby, and an envelope waits for Bob.
pub fn populated(limited: bool) -> Relay<Memory> {
    static STORE: OnceLock<Memory> = OnceLock::new();
    let store = STORE.get_or_init(|| {
        let relay = relay_over(Memory::new([1; 16]), false);
        let couple = couple();
        for person in [&couple.alice, &couple.bob] {
            let mut link = open(&relay, LinkKind::Authenticated, 0);
            let request = Request::Register(registration(&relay, &link, person, 1));
            asks(&relay, &mut link, &request).unwrap();
            if person.party.name == couple.alice.party.name {
                let post = Post {
                    head: people::post_head().clone(),
                    author: person.list.clone(),
                    body: Some(Bytes(Vec::new())),
                };
                asks(&relay, &mut link, &Request::Post(post)).unwrap();
            }
        }
        let mut link = open(&relay, LinkKind::Anonymous, 0);
        let envelope =
            Envelope { mailbox: mailbox(&couple.bob.party.device.key), id: EnvelopeId([1; 16]), sealed: sealed(0) };
        asks(&relay, &mut link, &Request::Deliver { token: Some(token()), envelope }).unwrap();
        relay.store().backup()
    });
    relay_over(store.backup(), limited)
}

fn sealed(choice: usize) -> Bytes {
    let mut bytes = super::sealed::genuine().to_vec();
    bytes.resize(*BOX_SIZES.get(choice).unwrap_or(&100), 1);
    Bytes(bytes)
}

pub fn open(relay: &Relay<Memory>, kind: LinkKind, from: u8) -> Link {
    let hello = ClientHello { lowest: 1, highest: 1, kind };
    let channel = [from; 32];
    let (reply, caller) = relay.hello(NOW, &hello, Peer { address: [192, 0, 2, from].into(), channel });
    let challenge = RelayHello::parse(&reply).unwrap().unwrap().challenge;
    Link { caller: caller.unwrap(), kind, channel, challenge, counter: 0 }
}

pub fn login(relay: &Relay<Memory>, link: &Link, person: &Person, generation: u64) -> Login {
    let name = person.party.name.clone();
    let proof = LoginProof {
        relay: relay.public_key(),
        channel: &link.channel,
        challenge: &link.challenge,
        name: &name,
        device: DeviceId::FIRST,
        generation,
    };
    let signature = person.device.sign_login(&proof);
    Login { device: DeviceId::FIRST, generation, signature, name }
}

fn registration(relay: &Relay<Memory>, link: &Link, person: &Person, generation: u64) -> Registration {
    Registration {
        list: person.list.clone(),
        keys: person.published(),
        token: token_hash(&token()),
        receipt: None,
        invite: None,
        login: login(relay, link, person, generation),
    }
}

fn asks(relay: &Relay<Memory>, link: &mut Link, request: &Request) -> Result<Answer, Refusal> {
    let body = encode(request).expect("a request that fits a frame");
    ready(relay.handle(NOW, &mut link.caller, None, &body)).expect("nothing waits over a store in memory")
}

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let limited = script.byte() & 1 != 0;
    let mut relay = populated(limited);
    let mut links: Vec<Link> = Vec::new();
    let mut now = NOW;
    for _ in 0..ACTS {
        if script.is_empty() {
            break;
        }
        match script.below(12) {
            0 | 1 => {
                let kind = if script.below(2) == 0 { LinkKind::Authenticated } else { LinkKind::Anonymous };
                if links.len() == LINKS {
                    links.remove(script.below(LINKS));
                }
                links.push(open(&relay, kind, script.byte() % 3));
            }
            // Up to half a year.
            2 => now += 1 << script.below(34),
            3 => ready(relay.sweep(now)).unwrap().expect("a store that is well"),
            4 => {
                // A restart: what was answered is there, links are not.
                links.clear();
                relay = relay_over(relay.store().reopen(sealpost_relay::store::CrashPoints::none()), limited);
            }
            5 => {
                if let Some(link) = chosen(&mut links, &mut script) {
                    pushed(&relay, link, now);
                }
            }
            _ => {
                if let Some(link) = chosen(&mut links, &mut script) {
                    request(&relay, link, now, &mut script);
                }
            }
        }
    }
    for link in &mut links {
        pushed(&relay, link, now);
    }
}

fn chosen<'l>(links: &'l mut [Link], script: &mut Script<'_>) -> Option<&'l mut Link> {
    let place = script.below(links.len());
    links.get_mut(place)
}

/// What is due is whole frames, and comes to an end.
fn pushed(relay: &Relay<Memory>, link: &mut Link, now: u64) {
    for _ in 0..10_000 {
        let frames = ready(relay.pushes(now, &mut link.caller, 100_000)).unwrap().expect("a store that is well");
        if frames.is_empty() {
            return;
        }
        for frame in frames {
            assert!(frame.len() <= LENGTH_PREFIX + MAX_FRAME);
            assert!(matches!(decode(&frame[LENGTH_PREFIX..]), Ok(RelayFrame::Push(_))));
            assert!(link.caller.name().is_some(), "pushed to somebody who is not logged in");
        }
    }
    panic!("pushes without end");
}

fn request(relay: &Relay<Memory>, link: &mut Link, now: u64, script: &mut Script<'_>) {
    let (mut body, signed) = match script.below(16) {
        0 => (script.some().to_vec(), None),
        _ => {
            let (request, signed) = composed(relay, link, script);
            (encode(&request).unwrap_or_default(), signed)
        }
    };
    if script.below(4) == 0 {
        body = script.bent(&body);
    }
    let work = (script.below(3) != 0).then(|| paid(relay, link, &body, script.byte()));
    let before = relay.store().contents();
    let was = link.caller.name().cloned();
    let answer = ready(relay.handle(now, &mut link.caller, work, &body)).expect("nothing waits");
    if decode::<Request>(&body).is_err() {
        assert_eq!(answer, Err(Refusal::Malformed));
    }
    match &answer {
        Ok(_) => {
            let frame = RelayFrame::Answer { id: 1, answer: answer.clone() };
            let encoded = encode(&frame).expect("an answer that fits a frame");
            assert_eq!(decode::<RelayFrame>(&encoded), Ok(frame));
        }
        Err(Refusal::Internal { .. }) => panic!("the relay has trouble of its own"),
        // [RELAY-12]
        Err(refusal) => assert!(relay.store().contents() == before, "{refusal:?} has changed something"),
    }
    if link.caller.name().is_none() && was.is_some() {
        // [ACCT-19]
        assert!(
            answer.is_ok() && matches!(decode(&body), Ok(Request::Unregister { .. })),
            "logged out by another request"
        );
    } else if link.caller.name() != was.as_ref() {
        let name = link.caller.name().expect("somebody is logged in");
        // What else is in a registration is not signed on this link, and may be another's doing.
        let login = match decode(&body) {
            Ok(Request::Login(login) | Request::Register(Registration { login, .. })) => Some(login),
            _ => None,
        };
        assert!(login.is_some() && login == signed, "logged in without a signature");
        assert_eq!(signed.map(|signed| signed.name).as_ref(), Some(name));
        assert_eq!((was, link.kind), (None, LinkKind::Authenticated));
    }
}

/// Work that fits, or that was done for something else.
fn paid(relay: &Relay<Memory>, link: &mut Link, body: &[u8], choice: u8) -> Work {
    match choice {
        0..=31 => Work { counter: u64::from(choice), nonce: u64::from(choice) },
        32..=63 => Work { counter: link.counter, nonce: 0 },
        _ => {
            link.counter += 1;
            let channel = work::Channel { relay: relay.public_key(), exporter: &link.channel };
            let done = work::solve(channel, link.counter, body, BITS);
            assert!(work::check(channel, &done, body, BITS));
            done
        }
    }
}

/// A request that makes sense, and the login that was signed for it.
pub fn composed(relay: &Relay<Memory>, link: &Link, script: &mut Script<'_>) -> (Request, Option<Login>) {
    let couple = couple();
    let (person, other) =
        if script.below(2) == 0 { (&couple.alice, &couple.bob) } else { (&couple.bob, &couple.alice) };
    let name: Name = match script.below(8) {
        0 => "carol".parse().unwrap(),
        1 => other.party.name.clone(),
        _ => person.party.name.clone(),
    };
    let room = ["lobby", "lobby", "garden", "x"][script.below(4)].parse().unwrap();
    let after = Seq(u64::from(script.byte() % 8));
    let request = match script.below(18) {
        0 => {
            let signed = login(relay, link, person, u64::from(script.byte()));
            let mut login = signed.clone();
            match script.below(8) {
                0 => login.generation = login.generation.wrapping_add(1),
                1 => login.name = name,
                _ => {}
            }
            return (Request::Login(login), Some(signed));
        }
        1 => {
            let mut registration = registration(relay, link, person, u64::from(script.byte()));
            let signed = registration.login.clone();
            registration.receipt = (script.below(2) == 0).then(|| people::receipt().clone());
            match script.below(6) {
                0 => registration.list = other.list.clone(),
                1 => registration.keys = other.published(),
                2 => registration.token = token_hash(&DeliveryToken([6; 32])),
                3 => registration.login.name = name,
                _ => {}
            }
            return (Request::Register(registration), Some(signed));
        }
        2 => Request::Publish(keys(person, script)),
        3 => Request::SetToken(token_hash(&DeliveryToken([5 + script.byte() % 2; 32]))),
        4 => {
            let pairs = script.some().iter().map(|byte| (Seq(u64::from(byte % 16)), EnvelopeId([byte >> 4; 16])));
            Request::Acknowledge(pairs.collect())
        }
        5 => Request::FetchBundle(name),
        6 => Request::FetchDevices(name),
        7..=9 => {
            let mailbox = match script.below(8) {
                0 => MailboxId([0; 16]),
                1 => mailbox(&other.party.device.key),
                _ => mailbox(&person.party.device.key),
            };
            let envelope =
                Envelope { mailbox, id: EnvelopeId([script.byte() % 16; 16]), sealed: sealed(script.below(5)) };
            let token = (script.below(3) != 0).then(|| DeliveryToken([4 + script.byte() % 3; 32]));
            Request::Deliver { token, envelope }
        }
        10 | 11 => Request::Post(post(relay, person, script)),
        12 => Request::Follow { room, after },
        13 => Request::Unfollow(room),
        14 => Request::Rooms { after: (script.below(2) == 0).then_some(room) },
        15 => Request::Members { room, after: (script.below(2) == 0).then_some(name) },
        16 => Request::PutBlob {
            recipient: name,
            token: None,
            blob: BlobId([1; 16]),
            parts: 1,
            part: 0,
            bytes: Bytes(script.some().to_vec()),
        },
        17 if script.below(4) == 0 => {
            let challenge = &link.challenge;
            let proof = LeaveProof { relay: relay.public_key(), channel: &link.channel, challenge, name: &name };
            Request::Unregister { signature: person.account.sign_leave(&proof) }
        }
        17 if script.below(2) == 0 => {
            let list = if script.below(4) == 0 { &other.list } else { &person.list };
            Request::SetDevices { list: list.clone(), token: token_hash(&DeliveryToken([5 + script.byte() % 2; 32])) }
        }
        _ if script.below(3) == 0 => {
            Request::Room { room, receipt: (script.below(2) == 0).then(|| person.list.clone()) }
        }
        _ if script.below(2) == 0 => Request::FetchBlob { blob: BlobId([1; 16]), part: 0 },
        _ => Request::DropBlob(BlobId([1; 16])),
    };
    (request, None)
}

fn keys(person: &Person, script: &mut Script<'_>) -> PublishedKeys {
    let all = person.published();
    let choice = script.byte();
    let repeated = |keys: Vec<_>| match choice >> 6 {
        0 => keys,
        1 => Vec::new(),
        // One more than fit a request.
        2 => keys.iter().cycle().take(33).cloned().collect(),
        _ => [keys.clone(), keys].concat(),
    };
    PublishedKeys {
        signed: all.signed.filter(|_| choice & 1 != 0),
        last_resort_kem: all.last_resort_kem.filter(|_| choice & 2 != 0),
        box_key: if choice & 4 != 0 { all.box_key } else { Some(person.signed.signed().clone()) },
        one_time: if choice & 8 != 0 { repeated(all.one_time) } else { repeated(all.one_time_kem.clone()) },
        one_time_kem: repeated(all.one_time_kem),
    }
}

/// A post with a signature that is right over fields that need not be.
fn post(relay: &Relay<Memory>, person: &Person, script: &mut Script<'_>) -> Post {
    use PostKind::{Away, Ban, Delete, Edit, Join, Kick, Leave, Name, Reaction, Remove, Reply, Text, Topic, Unban};
    let kinds = [Join, Text, Leave, Edit, Delete, Reply, Reaction, Join, Topic, Kick, Ban, Unban, Remove, Name, Away];
    let kind = *script.one(&kinds);
    let whom = &people::couple().bob.party;
    let about = sealpost_spec::room::Person { name: whom.name.clone(), reason: String::new() }.layout();
    let body = if kind.names_a_person() && script.below(4) != 0 { &about } else { script.some() };
    let previous = people::post_head();
    let target = kind.has_target();
    let alices = PostHead::parse(&previous.body.0).unwrap();
    let follows = script.below(4) != 0;
    let head = PostHead {
        relay: *relay.public_key(),
        room: ["lobby", "lobby", "garden", "x"][script.below(4)].parse().unwrap(),
        author: person.party.name.clone(),
        account: person.party.account,
        device: person.party.device,
        number: 1 + u64::from(script.byte() % 3),
        previous: if follows { post_hash(&previous.body.0) } else { PostHash::default() },
        time: NOW,
        id: PostId::new(NOW, [script.byte(); 10]),
        kind,
        target: if target { alices.id } else { PostId::NONE },
        target_hash: match target {
            true => post_hash(&previous.body.0),
            false if kind.names_a_person() => PostHash(whom.account.0),
            false => PostHash::default(),
        },
        body_hash: body_hash(body),
    };
    Post {
        head: person.device.sign_post(&head),
        author: person.list.clone(),
        body: (script.below(8) != 0).then(|| Bytes(body.to_vec())),
    }
}
