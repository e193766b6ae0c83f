//! Real sockets and real TLS: what a client meets at the door.

use std::net::SocketAddr;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sealpost_crypto::identity::relay_pin;
use sealpost_spec::mailbox::{Envelope, EnvelopeId, Push};
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Refusal, RelayHello, RelayPin, Request};
use sealpost_spec::wire::{Bytes, ClientFrame, LENGTH_PREFIX, RelayFrame, decode, encode, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::Rules;
use crate::answer::tests::Person;
use crate::quota::{Rate, Rates};
use crate::store::Memory;

/// Believes the key that hashes to the pin.
#[derive(Debug)]
struct Pinned(RelayPin);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let raw: [u8; 32] = key.last_chunk().copied().unwrap();
        if relay_pin(&raw) == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("TLS 1.3 only")
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key.as_ref()), signed, &algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A relay on a free port of this machine.
struct Door {
    address: SocketAddr,
    pin: RelayPin,
    relay: Arc<Relay<Memory>>,
    limits: LiveLimits,
    task: JoinHandle<()>,
}

async fn door(limits: Limits) -> Door {
    door_with(limits, Rates::unlimited()).await
}

async fn door_with(limits: Limits, rates: Rates) -> Door {
    door_for(limits, rates, Timing::default()).await
}

async fn door_for(limits: Limits, rates: Rates, timing: Timing) -> Door {
    let secret = RelaySecret::generate(&mut rand::rng());
    let acceptor = tls(&secret).unwrap();
    let work = sealpost_spec::relay::WorkPrice { fetch: 0, deliver: 0 };
    let rules = Rules { work, rates, ..Rules::default() };
    let rng: rand::rngs::StdRng = rand::make_rng();
    let relay = Arc::new(Relay::new(Memory::new([7; 16]), secret, rules, rng).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(Arc::clone(&relay), acceptor, limits, timing);
    let limits = server.limits();
    let task = tokio::spawn(server.run(listener));
    Door { address, pin: relay.pin(), relay, limits, task }
}

pub(crate) fn client(pin: RelayPin) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin)))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

struct End {
    stream: TlsStream<TcpStream>,
    channel: [u8; 32],
    next: u32,
}

async fn connect(address: SocketAddr, config: ClientConfig) -> std::io::Result<End> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let channel = stream.get_ref().1.export_keying_material([0; 32], EXPORTER, None).unwrap();
    Ok(End { stream, channel, next: 0 })
}

impl End {
    async fn open(door: &Door, kind: LinkKind) -> (Self, RelayHello) {
        let mut end = connect(door.address, client(door.pin)).await.unwrap();
        let hello = end.hello(kind).await.unwrap();
        (end, hello)
    }

    async fn write(&mut self, body: &[u8]) {
        self.stream.write_all(&frame(body).unwrap()).await.unwrap();
    }

    async fn read(&mut self) -> Option<Vec<u8>> {
        let mut prefix = [0; LENGTH_PREFIX];
        self.stream.read_exact(&mut prefix).await.ok()?;
        let mut body = vec![0; u32::from_le_bytes(prefix) as usize];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    async fn hello(&mut self, kind: LinkKind) -> Option<RelayHello> {
        self.write(&ClientHello { lowest: 1, highest: 1, kind }.layout()).await;
        RelayHello::parse(&self.read().await?).unwrap().ok()
    }

    async fn next(&mut self) -> Option<RelayFrame> {
        self.read().await.map(|body| decode(&body).unwrap())
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.next += 1;
        let id = self.next;
        let body = Bytes(encode(&request).unwrap());
        self.write(&encode(&ClientFrame::Request { id, work: None, body }).unwrap()).await;
        match self.next().await {
            Some(RelayFrame::Answer { id: of, answer }) if of == id => answer,
            other => panic!("an answer, not {other:?}"),
        }
    }
}

/// [RELAY-15] [THREAT-21] a full relay tells so many newcomers in a second that it is full, and turns the others away
/// before their handshake.
#[test]
fn only_some_are_told_that_there_is_no_room() {
    let (telling, now) = (Telling::default(), Instant::now());
    let told = |at| (0..10 * TOLD_A_SECOND).filter(|_| telling.one_more(at)).count();
    assert_eq!(told(now), TOLD_A_SECOND);
    assert_eq!(told(now + Duration::from_millis(999)), 0);
    assert_eq!(told(now + Duration::from_secs(1)), TOLD_A_SECOND);
}

/// The relay's half of the walk of a message: hello, registration, login, delivery, push, acknowledgement, over TLS 1.3
/// with the hybrid group and a raw public key. [RELAY-2]
#[tokio::test]
async fn an_envelope_crosses_the_relay() {
    let door = door(Limits::default()).await;
    let mut bob = Person::new("bob", 20);
    let (mut end, hello) = End::open(&door, LinkKind::Authenticated).await;
    let tls = end.stream.get_ref().1;
    assert_eq!(tls.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(tls.negotiated_key_exchange_group().unwrap().name(), rustls::NamedGroup::X25519MLKEM768);
    let registration = bob.registration_with(&door.relay, &end.channel, &hello.challenge);
    assert!(matches!(end.ask(Request::Register(registration)).await, Ok(Answer::Registered { .. })));

    let (mut stranger, _) = End::open(&door, LinkKind::Anonymous).await;
    let sealed = Bytes(vec![5; 16 * 1024]);
    let envelope = Envelope { mailbox: bob.mailbox(), id: EnvelopeId([1; 16]), sealed: sealed.clone() };
    let Ok(Answer::Accepted { seq }) = stranger.ask(Request::Deliver { token: None, envelope }).await else {
        panic!("accepted");
    };
    let push = RelayFrame::Push(Push::Envelope { seq, id: EnvelopeId([1; 16]), sealed });
    assert_eq!(end.next().await, Some(push.clone()));

    let (mut again, hello) = End::open(&door, LinkKind::Authenticated).await;
    let login = bob.login_with(&door.relay, &again.channel, &hello.challenge, 2);
    assert!(matches!(again.ask(Request::Login(login)).await, Ok(Answer::LoggedIn { generation: 1, .. })));
    assert_eq!(again.next().await, Some(push));
    assert_eq!(end.next().await, Some(RelayFrame::Goodbye(Refusal::Replaced)));
    assert_eq!(again.ask(Request::Acknowledge(vec![(seq, EnvelopeId([1; 16]))])).await, Ok(Answer::Done));

    door.relay.course().stop();
    assert_eq!(again.next().await, Some(RelayFrame::Goodbye(Refusal::Stopping)));
    assert_eq!(again.next().await, None);
    door.task.await.unwrap();
}

/// [RELAY-2] whoever has the wrong address of this relay does not get as far as a hello.
#[tokio::test]
async fn a_wrong_pin_ends_the_handshake() {
    let door = door(Limits::default()).await;
    let error = connect(door.address, client(RelayPin([1; 32]))).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

/// [RELAY-2] [RELAY-5] no session is resumed, no early data taken, and each link has a channel of its own, so that a
/// login of one is worth nothing on another.
#[tokio::test]
async fn links_are_not_tied_together() {
    let door = door(Limits::default()).await;
    let config = client(door.pin);
    let mut channels = Vec::new();
    for _ in 0..3 {
        let mut end = connect(door.address, config.clone()).await.unwrap();
        end.hello(LinkKind::Anonymous).await.unwrap();
        let tls = end.stream.get_ref().1;
        assert_eq!(tls.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(tls.tls13_tickets_received(), 0);
        assert!(!channels.contains(&end.channel));
        channels.push(end.channel);
    }
}

/// [RELAY-15] a link beyond an address's limit is told so; far beyond it, it is not worth a handshake; freed places serve
/// again.
#[tokio::test]
async fn links_of_an_address_are_bounded() {
    let door = door(Limits { links_per_address: 2, ..Limits::default() }).await;
    let (one, _) = End::open(&door, LinkKind::Anonymous).await;
    let (_two, _) = End::open(&door, LinkKind::Anonymous).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        let mut third = connect(door.address, client(door.pin)).await.unwrap();
        assert!(third.hello(LinkKind::Anonymous).await.is_some());
        assert_eq!(third.next().await, Some(RelayFrame::Goodbye(Refusal::TooManyLinks)));
        assert_eq!(third.next().await, None);
        silent.push(connect(door.address, client(door.pin)).await.unwrap());
    }
    // Two served and two that say nothing: that is the double.
    assert!(connect(door.address, client(door.pin)).await.is_err());
    drop((one, silent));
    // How soon the relay notices is the kernel's matter.
    loop {
        let mut end = match connect(door.address, client(door.pin)).await {
            Ok(end) => end,
            Err(_) => continue,
        };
        let mut alone = end.hello(LinkKind::Anonymous).await.is_some();
        alone &= end.ask_quietly().await;
        if alone {
            break;
        }
    }
}

impl End {
    /// Whether the link serves: a refusal is an answer, a goodbye is none.
    async fn ask_quietly(&mut self) -> bool {
        let body = Bytes(encode(&Request::FetchBundle("nobody".parse().unwrap())).unwrap());
        let request = frame(&encode(&ClientFrame::Request { id: 9, work: None, body }).unwrap()).unwrap();
        self.stream.write_all(&request).await.is_ok() && matches!(self.next().await, Some(RelayFrame::Answer { .. }))
    }
}

/// [RELAY-24] [RELAY-15] an office of a hundred behind one address comes back at once after a restart, and everybody gets
/// in, with the rates that a relay comes with.
#[tokio::test]
async fn an_office_comes_back_at_once() {
    let door = door_with(Limits::default(), Rates::default()).await;
    let mut office = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (address, config) = (door.address, client(door.pin));
        office.spawn(async move {
            let mut end = connect(address, config).await.unwrap();
            assert!(end.hello(LinkKind::Anonymous).await.is_some());
            (end.ask_quietly().await, end)
        });
    }
    let all = office.join_all().await;
    assert!(all.iter().all(|(served, _)| *served));
}

/// [RELAY-24] who comes faster than an address may waits for a turn, and gets in; beyond the wait it is closed before any
/// TLS.
#[tokio::test]
async fn newcomers_wait_for_their_turn() {
    let rates = Rates { handshakes: Rate { burst: 1, every_ms: 200 }, ..Rates::unlimited() };
    let door = door_with(Limits::default(), rates).await;
    let began = Instant::now();
    let ends = (connect(door.address, client(door.pin)), connect(door.address, client(door.pin)));
    let (one, two) = tokio::join!(ends.0, ends.1);
    assert!(one.is_ok() && two.is_ok() && began.elapsed() >= Duration::from_millis(200));
    let rates = Rates { handshakes: Rate { burst: 1, every_ms: 3_600_000 }, ..Rates::unlimited() };
    door.relay.govern(Rules { rates, ..Rules::default() });
    assert!(connect(door.address, client(door.pin)).await.is_ok());
    assert!(connect(door.address, client(door.pin)).await.is_err());
}

/// A relay that drains tells newcomers to come back soon, answers what was asked before, and lets everybody in again
/// once it is reopened.
#[tokio::test]
async fn a_draining_relay_takes_no_new_links() {
    let door = door(Limits::default()).await;
    let (mut before, _) = End::open(&door, LinkKind::Anonymous).await;
    door.relay.course().drain();
    let (mut late, _) = End::open(&door, LinkKind::Anonymous).await;
    assert_eq!(late.next().await, Some(RelayFrame::Goodbye(Refusal::Stopping)));
    assert!(before.ask_quietly().await);
    door.relay.course().reopen();
    let (mut after, _) = End::open(&door, LinkKind::Anonymous).await;
    assert!(after.ask_quietly().await && before.ask_quietly().await);
    door.relay.course().drain();
    let drained = tokio::spawn({
        let course = door.relay.course().clone();
        async move { course.drained(Duration::from_millis(10)).await }
    });
    for mut link in [before, after] {
        assert_eq!(link.next().await, Some(RelayFrame::Goodbye(Refusal::Stopping)));
    }
    drained.await.unwrap();
    door.relay.course().stop();
    door.task.await.unwrap();
}

/// [RELAY-15] [THREAT-21] where all places are taken, one on which nobody has logged in makes room for a newcomer, of the same
/// address where that one has too many; an anonymous link and one that is logged in stay.
#[tokio::test]
async fn who_does_not_log_in_makes_room() {
    let (all, each) = (Limits { links: 3, ..Limits::default() }, Limits { links_per_address: 3, ..Limits::default() });
    for limits in [all, each] {
        let timing = Timing { guest: Duration::ZERO, ..Timing::default() };
        let door = door_for(limits, Rates::unlimited(), timing).await;
        let (mut anonymous, _) = End::open(&door, LinkKind::Anonymous).await;
        let (mut logged_in, hello) = End::open(&door, LinkKind::Authenticated).await;
        let mut bob = Person::new("bob", 20);
        let registration = bob.registration_with(&door.relay, &logged_in.channel, &hello.challenge);
        assert!(logged_in.ask(Request::Register(registration)).await.is_ok());
        let (mut idle, _) = End::open(&door, LinkKind::Authenticated).await;
        let (mut newcomer, _) = End::open(&door, LinkKind::Anonymous).await;
        assert!(newcomer.ask_quietly().await);
        assert_eq!(idle.next().await, None, "it has gone");
        assert!(anonymous.ask_quietly().await);
        assert!(logged_in.ask(Request::Rooms { after: None }).await.is_ok());
        let (mut surplus, _) = End::open(&door, LinkKind::Anonymous).await;
        assert_eq!(surplus.next().await, Some(RelayFrame::Goodbye(Refusal::TooManyLinks)));
    }
}

/// [RELAY-15] limits that change while the relay runs hold for the next link.
#[tokio::test]
async fn limits_change_while_it_runs() {
    let door = door(Limits { links_per_address: 1, ..Limits::default() }).await;
    let (_one, _) = End::open(&door, LinkKind::Anonymous).await;
    let (mut surplus, _) = End::open(&door, LinkKind::Anonymous).await;
    assert_eq!(surplus.next().await, Some(RelayFrame::Goodbye(Refusal::TooManyLinks)));
    door.limits.set(Limits::default());
    let (mut two, _) = End::open(&door, LinkKind::Anonymous).await;
    assert!(two.ask_quietly().await);
}

/// [RELAY-15] [THREAT-21] a crowd that only connects, from the same address even, keeps nobody out: it makes room.
#[tokio::test]
async fn silent_connections_make_room() {
    let door = door(Limits { links_per_address: 2, handshakes: 4, ..Limits::default() }).await;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(TcpStream::connect(door.address).await.unwrap());
    }
    let mut end = connect(door.address, client(door.pin)).await.unwrap();
    assert!(end.hello(LinkKind::Anonymous).await.is_some());
    drop(crowd);
}

/// Links leave the store its files, however few there are.
#[test]
fn links_leave_files_to_the_store() {
    for files in [0, 100, 1024, 20_000, usize::MAX] {
        let Limits { links, handshakes, .. } = Limits::default().within(files);
        assert!(links > 0 && handshakes > 0);
        assert!(files < 440 || links + TOLD + handshakes + OWN_FILES <= files, "{files}");
    }
    assert_eq!(Limits::default().within(20_000), Limits::default());
}

/// [RELAY-15] [THREAT-21] handshakes that never end hold no honest link up for longer than their deadline; here the clock
/// runs by itself, so that the five seconds take none.
#[tokio::test]
async fn slow_handshakes_end() {
    let door = door(Limits { handshakes: 1, ..Limits::default() }).await;
    let mut slow = TcpStream::connect(door.address).await.unwrap();
    // Its end comes from the relay, at the deadline.
    slow.write_all(&[22, 3, 1]).await.unwrap();
    tokio::time::pause();
    let mut rest = Vec::new();
    let ended = slow.read_to_end(&mut rest).await;
    tokio::time::resume();
    assert!(ended.is_err() || rest.is_empty());
    assert!(connect(door.address, client(door.pin)).await.is_ok());
}
