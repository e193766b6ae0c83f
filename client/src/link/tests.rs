//! The links against a relay of a few lines: real TCP, real TLS, answers as each test scripts them.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use sealpost_crypto::identity::RelaySecret;
use sealpost_crypto::work;
use sealpost_spec::account::Name;
use sealpost_spec::mailbox::{Envelope, EnvelopeId, MailboxId, Push, Seq, StoreId};
use sealpost_spec::relay::{
    Address, Answer, ClientHello, LinkKind, Refusal, Registering, RelayHello, Request, WorkPrice,
};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{Bytes, ClientFrame, RelayFrame, decode, encode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::frame::{FrameReader, write_frame};
use super::{Config, Timing, start};
use crate::engine::{Failure, LinkEvent, RequestId, Transmit};

const STALL: Duration = Duration::from_secs(20);
/// What a test waits for at most; no test waits that long when it passes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Relay {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    address: Address,
    key: [u8; 32],
    price: WorkPrice,
}

struct Accepted {
    stream: FrameReader<tokio::io::ReadHalf<TlsStream<TcpStream>>>,
    writer: tokio::io::WriteHalf<TlsStream<TcpStream>>,
    kind: LinkKind,
    exporter: [u8; 32],
}

impl Relay {
    async fn new() -> Self {
        let secret = RelaySecret::generate(&mut rand::rng());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.pkcs8().to_vec()));
        let key = aws_lc_rs::sign::any_eddsa_type(match &key {
            PrivateKeyDer::Pkcs8(der) => der,
            _ => unreachable!(),
        })
        .unwrap();
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(secret.spki())], key));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        let pin = sealpost_crypto::identity::relay_pin(&secret.public());
        Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            address: format!("sealpost://127.0.0.1:{port}/{pin}").parse().unwrap(),
            key: secret.public(),
            price: WorkPrice { fetch: 8, deliver: 10 },
        }
    }

    async fn accept(&self) -> Accepted {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let tls = self.acceptor.accept(tcp).await.unwrap();
        let exporter = tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
        let (reader, mut writer) = tokio::io::split(tls);
        let mut stream = FrameReader::new(reader);
        let hello = ClientHello::parse(&stream.next().await.unwrap()).unwrap();
        let answer = RelayHello {
            store: StoreId([1; 16]),
            challenge: [2; 32],
            time: 0,
            registering: Registering::Open,
            work: self.price,
            tree_head: TreeHead::NONE,
        };
        write_frame(&mut writer, &answer.layout(1).unwrap(), STALL).await.unwrap();
        stream.hello_answered();
        Accepted { stream, writer, kind: hello.kind, exporter }
    }

    fn client(&self) -> Client {
        self.client_at(self.address.clone(), Timing::default())
    }

    fn client_at(&self, address: Address, timing: Timing) -> Client {
        let (transmits, taken) = mpsc::channel(64);
        let (heard, events) = mpsc::channel(64);
        start(Config { address, proxy: None, timing }, taken, heard);
        Client { transmits, events }
    }
}

impl Accepted {
    async fn say(&mut self, frame: RelayFrame) {
        write_frame(&mut self.writer, &encode(&frame).unwrap(), STALL).await.unwrap();
    }

    /// The next request with its work; pongs are not expected.
    async fn request(&mut self) -> (u32, Option<sealpost_spec::relay::Work>, Vec<u8>) {
        match decode(&self.stream.next().await.unwrap()).unwrap() {
            ClientFrame::Request { id, work, body } => (id, work, body.0),
            ClientFrame::Pong(number) => panic!("pong {number}"),
        }
    }

    async fn answer(&mut self, id: u32, answer: Result<Answer, Refusal>) {
        self.say(RelayFrame::Answer { id, answer }).await;
    }
}

struct Client {
    transmits: mpsc::Sender<Transmit>,
    events: mpsc::Receiver<LinkEvent>,
}

impl Client {
    async fn give(&self, transmit: Transmit) {
        self.transmits.send(transmit).await.unwrap();
    }

    async fn deliver(&self, id: u64, recipient: &str) {
        let request = Request::Deliver { token: None, envelope: envelope() };
        self.give(Transmit::Anonymous { id: RequestId(id), recipient: name(recipient), request }).await;
    }

    async fn ask(&self, id: u64) {
        self.give(Transmit::Authenticated { id: RequestId(id), request: Request::Rooms { after: None } }).await;
    }

    async fn next(&mut self) -> LinkEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("something happens").expect("the link lives")
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn envelope() -> Envelope {
    Envelope { mailbox: MailboxId([3; 16]), id: EnvelopeId([4; 16]), sealed: Bytes(vec![5; 100]) }
}

fn answered(id: u64, result: Result<Answer, Failure>) -> LinkEvent {
    LinkEvent::Answer { id: RequestId(id), result }
}

#[tokio::test]
async fn the_standing_link_is_hybrid_bound_to_its_channel_and_comes_back() {
    let relay = Relay::new().await;
    let mut client = relay.client();
    client.give(Transmit::Connect).await;
    let mut link = relay.accept().await;
    assert_eq!(link.kind, LinkKind::Authenticated);
    let LinkEvent::Connected { relay: key, channel, transport, hello } = client.next().await else {
        panic!("connected")
    };
    assert_eq!((key, channel), (relay.key, link.exporter));
    assert_eq!((transport.as_str(), hello.challenge), ("tls1.3 X25519MLKEM768", [2; 32]));

    client.ask(1).await;
    client.ask(2).await;
    let (first, work, body) = link.request().await;
    assert_eq!((work, decode(&body)), (None, Ok(Request::Rooms { after: None })));
    let (second, _, _) = link.request().await;
    assert_ne!(first, second);
    link.answer(second, Ok(Answer::Rooms(Vec::new()))).await;
    link.answer(77, Ok(Answer::Done)).await;
    assert_eq!(client.next().await, answered(2, Ok(Answer::Rooms(Vec::new()))));

    let push = Push::Envelope { seq: Seq(1), id: EnvelopeId([4; 16]), sealed: Bytes(vec![5; 60 * 1024]) };
    link.say(RelayFrame::Push(push.clone())).await;
    assert_eq!(client.next().await, LinkEvent::Push(push));
    link.say(RelayFrame::Ping(9)).await;
    assert_eq!(decode(&link.stream.next().await.unwrap()), Ok(ClientFrame::Pong(9)));

    // It breaks with one request unanswered, whose fate is unknown, and is opened again.
    drop(link);
    assert_eq!(client.next().await, answered(1, Err(Failure::Unknown)));
    assert!(matches!(client.next().await, LinkEvent::Disconnected(Failure::Unreachable(_))));
    client.ask(3).await;
    assert!(matches!(client.next().await, LinkEvent::Answer { result: Err(Failure::Unreachable(_)), .. }));
    relay.accept().await;
    assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
}

/// [RELAY-2] another key than the pinned one ends the handshake; a later host of the address is tried.
#[tokio::test]
async fn another_key_than_the_pinned_one_is_refused() {
    let (relay, other) = (Relay::new().await, Relay::new().await);
    let mut address = relay.address.clone();
    address.pin = other.address.pin;
    let mut client = relay.client_at(address, Timing::default());
    client.give(Transmit::Connect).await;
    let (tcp, _) = relay.listener.accept().await.unwrap();
    assert!(relay.acceptor.accept(tcp).await.is_err());
    assert_eq!(client.next().await, LinkEvent::Disconnected(Failure::WrongRelay));
    client.deliver(1, "bob").await;
    let (tcp, _) = relay.listener.accept().await.unwrap();
    assert!(relay.acceptor.accept(tcp).await.is_err());
    assert_eq!(client.next().await, answered(1, Err(Failure::WrongRelay)));
}

#[tokio::test]
async fn hosts_are_tried_in_their_order() {
    let relay = Relay::new().await;
    let mut address = relay.address.clone();
    address.hosts.insert(0, "127.0.0.2".parse().unwrap());
    let mut client = relay.client_at(address, Timing::default());
    client.give(Transmit::Connect).await;
    relay.accept().await;
    assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
}

/// [RELAY-1] a host that takes the connection and says nothing is not waited for until its deadline, which is an hour here: the
/// next one has its turn.
#[tokio::test]
async fn a_silent_host_keeps_nobody_waiting() {
    let relay = Relay::new().await;
    let mut address = relay.address.clone();
    let _silent = TcpListener::bind(("127.0.0.2", address.port)).await.unwrap();
    address.hosts.insert(0, "127.0.0.2".parse().unwrap());
    let mut client = relay.client_at(address, Timing { connect: Duration::from_secs(3_600), ..Timing::default() });
    client.give(Transmit::Connect).await;
    relay.accept().await;
    assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
}

#[tokio::test]
async fn who_is_sent_away_does_not_come_back_by_itself() {
    let away = [
        Refusal::Kicked { reason: "noise".to_owned() },
        Refusal::Banned { reason: "spam".to_owned() },
        Refusal::Replaced,
    ];
    for refusal in away {
        let relay = Relay::new().await;
        let mut client = relay.client();
        client.give(Transmit::Connect).await;
        let mut link = relay.accept().await;
        assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
        link.say(RelayFrame::Goodbye(refusal.clone())).await;
        assert_eq!(client.next().await, LinkEvent::Disconnected(Failure::Refused(refusal)));
        client.ask(1).await;
        assert!(matches!(client.next().await, LinkEvent::Answer { result: Err(Failure::Unreachable(_)), .. }));
        // By command it does.
        client.give(Transmit::Connect).await;
        relay.accept().await;
        assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
    }
}

#[tokio::test]
async fn a_redirected_link_goes_on_at_the_other_host_with_the_same_pin() {
    let relay = Relay::new().await;
    let mut client = relay.client();
    client.give(Transmit::Connect).await;
    let mut link = relay.accept().await;
    assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
    link.say(RelayFrame::Redirect(format!("127.0.0.1:{}", relay.address.port))).await;
    assert!(matches!(client.next().await, LinkEvent::Disconnected(_)));
    relay.accept().await;
    assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
}

/// [RELAY-9] work is done at the hello's price, once more at the relay's word, and bound to channel and request.
#[tokio::test]
async fn anonymous_requests_are_paid_for() {
    let relay = Relay::new().await;
    let mut client = relay.client();
    client.deliver(1, "bob").await;
    let mut link = relay.accept().await;
    assert_eq!(link.kind, LinkKind::Anonymous);
    let exporter = link.exporter;
    let channel = || work::Channel { relay: &relay.key, exporter: &exporter };
    let (id, paid, body) = link.request().await;
    let paid = paid.unwrap();
    assert!(paid.counter == 1 && work::check(channel(), &paid, &body, 10));
    link.answer(id, Err(Refusal::WorkNeeded { bits: 12 })).await;
    let (id, more, same) = link.request().await;
    let more = more.unwrap();
    assert!(more.counter == 2 && same == body && work::check(channel(), &more, &body, 12));
    link.answer(id, Err(Refusal::WorkNeeded { bits: 13 })).await;
    assert_eq!(client.next().await, answered(1, Err(Failure::Refused(Refusal::WorkNeeded { bits: 13 }))));
    // The same person, the same link; what costs too much is not paid.
    client.deliver(2, "bob").await;
    let (id, _, _) = link.request().await;
    link.answer(id, Err(Refusal::WorkNeeded { bits: 200 })).await;
    assert_eq!(client.next().await, answered(2, Err(Failure::Refused(Refusal::WorkNeeded { bits: 200 }))));
}

#[tokio::test]
async fn each_recipient_has_a_link_and_at_most_sixteen_are_open() {
    let relay = Relay::new().await;
    let mut client = relay.client();
    for i in 0..20 {
        client.deliver(i, &format!("person{i}")).await;
    }
    let mut links = Vec::new();
    for _ in 0..16 {
        links.push(relay.accept().await);
    }
    // Four wait: whoever has nothing to do any more makes room for one of them, long before it counts as idle.
    for done in 0..4 {
        let (id, _, _) = links[done].request().await;
        links[done].answer(id, Ok(Answer::Accepted { seq: Seq(1) })).await;
        assert!(matches!(client.next().await, LinkEvent::Answer { result: Ok(Answer::Accepted { .. }), .. }));
        assert!(links[done].stream.next().await.is_err(), "it makes room");
        links.push(relay.accept().await);
    }
    // Nobody waits any more: the next one that is done stays open for its recipient.
    let (id, _, _) = links[4].request().await;
    links[4].answer(id, Ok(Answer::Accepted { seq: Seq(1) })).await;
    let LinkEvent::Answer { id: RequestId(who), .. } = client.next().await else { panic!("answered") };
    client.deliver(99, &format!("person{who}")).await;
    links[4].request().await;
}

#[tokio::test]
async fn an_idle_link_closes_and_is_replaced_without_a_trace() {
    let relay = Relay::new().await;
    let timing = Timing { idle: Duration::from_millis(50), ..Timing::default() };
    let mut client = relay.client_at(relay.address.clone(), timing);
    for round in 1..=2 {
        client.deliver(round, "bob").await;
        let mut link = relay.accept().await;
        let (id, _, _) = link.request().await;
        link.answer(id, Ok(Answer::Accepted { seq: Seq(round) })).await;
        assert_eq!(client.next().await, answered(round, Ok(Answer::Accepted { seq: Seq(round) })));
        assert!(link.stream.next().await.is_err(), "it closes by itself");
    }
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_unknown_and_silence_ends_a_link() {
    let relay = Relay::new().await;
    let brief = Duration::from_millis(200);
    let timing = Timing { answer: brief, silence: 3 * brief, ..Timing::default() };
    let mut client = relay.client_at(relay.address.clone(), timing);
    client.give(Transmit::Connect).await;
    let mut link = relay.accept().await;
    assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
    client.ask(1).await;
    let (id, _, _) = link.request().await;
    assert_eq!(client.next().await, answered(1, Err(Failure::Unknown)));
    // Too late, and nobody waits for it.
    link.answer(id, Ok(Answer::Done)).await;
    let LinkEvent::Disconnected(Failure::Unreachable(why)) = client.next().await else { panic!("disconnected") };
    assert!(why.contains("silent"), "{why}");
}

#[tokio::test]
async fn garbage_ends_a_link() {
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\0", b"\x04\0\0\0abcd"] {
        let relay = Relay::new().await;
        let mut client = relay.client();
        client.give(Transmit::Connect).await;
        let mut link = relay.accept().await;
        assert!(matches!(client.next().await, LinkEvent::Connected { .. }));
        tokio::io::AsyncWriteExt::write_all(&mut link.writer, garbage).await.unwrap();
        tokio::io::AsyncWriteExt::flush(&mut link.writer).await.unwrap();
        assert!(matches!(client.next().await, LinkEvent::Disconnected(Failure::Unreachable(_))));
    }
}
