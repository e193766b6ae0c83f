//! Deadlines and limits of a link, over TLS in a pipe and tokio's paused clock: no test waits.

mod turns;

use std::task::{Context, Poll};

use bytes::BytesMut;
use sealpost_crypto::identity::{RelaySecret, relay_pin};
use sealpost_spec::mailbox::{Envelope, EnvelopeId, Push};
use sealpost_spec::relay::{Answer, LinkKind, RelayHello, Request};
use sealpost_spec::room::PostKind;
use sealpost_spec::wire::{Bytes as Opaque, ClientFrame, LENGTH_PREFIX, MAX_FRAME, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::link::{MAX_WAITING, PUSH_BATCH, PUSH_BELOW};
use super::*;
use crate::answer::tests::{NOW, Person, ask, link, relay};
use crate::listen::tests::client;
use crate::listen::tls;
use crate::store::Memory;

const CHANNEL: [u8; 32] = [9; 32];

/// The client's end of a link that the relay serves.
struct End {
    pipe: TlsStream<DuplexStream>,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// Both ends of a link after the handshake, through a pipe that holds so much.
async fn shaken(pipe: usize) -> (TlsStream<DuplexStream>, Tls<DuplexStream>) {
    let (ours, theirs) = duplex(pipe);
    let secret = RelaySecret::generate(&mut rand::rng());
    let connector = TlsConnector::from(Arc::new(client(relay_pin(&secret.public()))));
    let name = IpAddr::from([127, 0, 0, 1]).into();
    let acceptor = tls(&secret).unwrap();
    let (ours, theirs) = tokio::join!(connector.connect(name, ours), acceptor.accept(theirs));
    (ours.unwrap(), Tls::from(theirs.unwrap()))
}

async fn open_with(relay: &Arc<Relay<Memory>>, pipe: usize, surplus: bool) -> End {
    let address = [127, 0, 0, 1].into();
    arrive(relay, pipe, Arrival { address, channel: CHANNEL, surplus, shard: relay.shard(), guest: None }).await
}

async fn open_in(relay: &Arc<Relay<Memory>>, shard: Shard) -> End {
    let address = [127, 0, 0, 1].into();
    arrive(relay, 64 * 1024, Arrival { address, channel: CHANNEL, surplus: false, shard, guest: None }).await
}

async fn arrive(relay: &Arc<Relay<Memory>>, pipe: usize, arrival: Arrival) -> End {
    let (pipe, tls) = shaken(pipe).await;
    let (stop, stopping) = watch::channel(false);
    let relay = Arc::clone(relay);
    let task = tokio::spawn(async move {
        serve(&relay, tls, arrival, &Timing::default(), || NOW, stopping).await;
    });
    End { pipe, task, stop }
}

async fn open(relay: &Arc<Relay<Memory>>) -> End {
    open_with(relay, 64 * 1024, false).await
}

impl End {
    async fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.pipe.write_all(bytes).await?;
        self.pipe.flush().await
    }

    async fn write(&mut self, body: &[u8]) {
        self.raw(&frame(body).unwrap()).await.unwrap();
    }

    /// The next frame's body; `None` at the end.
    async fn read(&mut self) -> Option<Vec<u8>> {
        let mut prefix = [0; LENGTH_PREFIX];
        self.pipe.read_exact(&mut prefix).await.ok()?;
        let mut body = vec![0; u32::from_le_bytes(prefix) as usize];
        self.pipe.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    async fn next(&mut self) -> Option<RelayFrame> {
        self.read().await.map(|body| decode(&body).unwrap())
    }

    async fn hello(&mut self, kind: LinkKind) -> RelayHello {
        self.write(&ClientHello { lowest: 1, highest: 1, kind }.layout()).await;
        RelayHello::parse(&self.read().await.unwrap()).unwrap().unwrap()
    }

    async fn request(&mut self, id: u32, request: &Request) {
        let body = Opaque(encode(request).unwrap());
        self.write(&encode(&ClientFrame::Request { id, work: None, body }).unwrap()).await;
    }

    async fn ask(&mut self, id: u32, request: &Request) -> Result<Answer, Refusal> {
        self.request(id, request).await;
        match self.next().await {
            Some(RelayFrame::Answer { id: of, answer }) if of == id => answer,
            other => panic!("an answer to {id}, not {other:?}"),
        }
    }

    /// Logs a registered person in; what waits in the mailbox follows.
    async fn login(&mut self, relay: &Relay<Memory>, person: &Person, generation: u64) {
        let hello = self.hello(LinkKind::Authenticated).await;
        let login = person.login_with(relay, &CHANNEL, &hello.challenge, generation);
        assert!(matches!(self.ask(1, &Request::Login(login)).await, Ok(Answer::LoggedIn { .. })));
    }

    /// Nothing more comes: the relay has closed the link, and its task has ended.
    async fn ended(mut self) {
        assert_eq!(self.read().await, None);
        self.task.await.unwrap();
    }

    async fn goodbye(mut self, reason: Refusal) {
        assert_eq!(self.next().await, Some(RelayFrame::Goodbye(reason)));
        self.ended().await;
    }
}

fn new() -> Arc<Relay<Memory>> {
    Arc::new(relay(|_| {}))
}

fn envelope(to: &Person, id: u8) -> Envelope {
    Envelope { mailbox: to.mailbox(), id: EnvelopeId([id; 16]), sealed: Opaque(vec![id; 60 * 1024]) }
}

fn deliver(relay: &Relay<Memory>, envelope: Envelope) {
    let mut stranger = link(relay, LinkKind::Anonymous);
    ask(relay, &mut stranger, Request::Deliver { token: None, envelope }).unwrap();
}

/// A peer that says nothing, and takes nothing or all that there is at once.
struct Gulps {
    thirsty: bool,
    taken: usize,
}

impl Wire for Gulps {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut BytesMut) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, outbox: &mut Outbox) -> Poll<std::io::Result<()>> {
        let waiting = outbox.waiting();
        outbox.stalled(!self.thirsty && waiting > 0);
        if self.thirsty {
            // What was said is a frame like any other.
            outbox.first();
            outbox.taken(waiting);
            self.taken += waiting;
        }
        if self.thirsty || waiting == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_finish(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<std::io::Result<()>> {
        self.poll_write(context, outbox)
    }
}

/// [BOX-9] a link goes on where its reader, who had taken nothing for a while, takes all that waits at once.
#[tokio::test(start_paused = true)]
async fn who_takes_all_at_once_gets_the_rest() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    (0..100).for_each(|id| deliver(&relay, envelope(&bob, id)));
    let caller = bob.enter(&relay, 2);
    let (_stop, stopping) = watch::channel(false);
    let (timing, wire) = (Timing::default(), Gulps { thirsty: false, taken: 0 });
    let ends = (wire, Incoming::new(), Outbox::default());
    let mut link = Link::new(&relay, caller, ends, &timing, || NOW, Instant::now(), stopping);
    for thirsty in [false, true] {
        link.wire.thirsty = thirsty;
        let ran = timeout(Duration::from_secs(5), poll_fn(|context| link.poll(context))).await;
        assert!(ran.is_err(), "the link stays");
        let all = link.wire.taken > 100 * 60 * 1024;
        assert_eq!((link.wire.taken > 0, all), (thirsty, thirsty), "{}", link.wire.taken);
    }
}

/// [RELAY-3] garbage is closed without an answer, whatever it is.
#[tokio::test(start_paused = true)]
async fn garbage_is_not_answered() {
    let relay = new();
    let http = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
    for garbage in [&http[..], &[0; 64], &[255; 64], b"\x09\0\0\0LAES\x01\0\x01\0\x01", b"\x01\0\0\0x"] {
        let mut end = open(&relay).await;
        end.raw(garbage).await.unwrap();
        end.ended().await;
    }
}

/// [RELAY-3] a link on which no hello comes is closed after ten seconds, one byte at a time or none at all.
#[tokio::test(start_paused = true)]
async fn a_hello_has_a_deadline() {
    let relay = new();
    let start = Instant::now();
    open(&relay).await.ended().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    let mut slow = open(&relay).await;
    let start = Instant::now();
    for byte in [9, 0, 0, 0, b'S', b'E'] {
        tokio::time::advance(Duration::from_secs(2)).await;
        if slow.raw(&[byte]).await.is_err() {
            break;
        }
    }
    slow.ended().await;
    assert_eq!(start.elapsed().as_secs(), 12, "the bytes did not prolong it");
}

/// [WIRE-2] more than 4 KiB before the hello and more than 68 KiB after it end the link at their length.
#[tokio::test(start_paused = true)]
async fn a_frame_has_a_limit() {
    let relay = new();
    let mut early = open(&relay).await;
    early.raw(&4097_u32.to_le_bytes()).await.unwrap();
    early.ended().await;
    for length in [68 * 1024 + 1, u32::MAX, 0] {
        let mut end = open(&relay).await;
        end.hello(LinkKind::Anonymous).await;
        end.raw(&length.to_le_bytes()).await.unwrap();
        end.goodbye(Refusal::TooLarge { limit: 68 * 1024 }).await;
    }
}

/// [WIRE-6] [RELAY-3] a version that nobody speaks is told which ones are spoken.
#[tokio::test(start_paused = true)]
async fn an_unknown_version_is_told() {
    let relay = new();
    let mut end = open(&relay).await;
    end.write(&ClientHello { lowest: 2, highest: 3, kind: LinkKind::Anonymous }.layout()).await;
    assert_eq!(RelayHello::parse(&end.read().await.unwrap()), Ok(Err((1, 1))));
    end.ended().await;
}

/// A frame that is none ends the link with its reason; a request that is none is refused, and the link goes on.
#[tokio::test(start_paused = true)]
async fn what_can_not_be_decoded_is_malformed() {
    let relay = new();
    let mut end = open(&relay).await;
    end.hello(LinkKind::Anonymous).await;
    let body = Opaque(b"what".to_vec());
    end.write(&encode(&ClientFrame::Request { id: 5, work: None, body }).unwrap()).await;
    assert_eq!(end.next().await, Some(RelayFrame::Answer { id: 5, answer: Err(Refusal::Malformed) }));
    end.write(b"what").await;
    end.goodbye(Refusal::Malformed).await;
}

/// [RELAY-14] requests written in one go are answered each once, in their order.
#[tokio::test(start_paused = true)]
async fn answers_keep_the_order() {
    let relay = new();
    let mut end = open(&relay).await;
    end.hello(LinkKind::Anonymous).await;
    for id in [7, 3, 7, 9] {
        end.request(id, &Request::FetchBundle("nobody".parse().unwrap())).await;
    }
    for id in [7, 3, 7, 9] {
        assert_eq!(end.next().await, Some(RelayFrame::Answer { id, answer: Err(Refusal::NoSuchName) }));
    }
}

/// [RELAY-13] silence is asked about after 30 s and ends the link after 90 s; who answers stays.
#[tokio::test(start_paused = true)]
async fn silence_is_asked_about() {
    let relay = new();
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let mut end = open(&relay).await;
    end.login(&relay, &alice, 2).await;
    let start = Instant::now();
    for ping in 1..=20 {
        assert_eq!(end.next().await, Some(RelayFrame::Ping(ping)));
        assert_eq!(start.elapsed().as_secs(), 30 * ping);
        end.write(&encode(&ClientFrame::Pong(ping)).unwrap()).await;
    }
    let silent = Instant::now();
    assert_eq!(end.next().await, Some(RelayFrame::Ping(21)));
    end.goodbye(Refusal::TimedOut).await;
    assert_eq!(silent.elapsed().as_secs(), 90);
}

/// [RELAY-13] bytes that never become a frame are silence.
#[tokio::test(start_paused = true)]
async fn dribbling_is_silence() {
    let relay = new();
    let mut alice = Person::new("alice", 10);
    alice.register(&relay);
    let mut end = open(&relay).await;
    end.login(&relay, &alice, 2).await;
    let start = Instant::now();
    end.raw(&1000_u32.to_le_bytes()).await.unwrap();
    while end.raw(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(start.elapsed().as_secs() <= 100, "{:?}", start.elapsed());
}

/// [RELAY-8] an anonymous link ends after ten minutes, however busy; [RELAY-15] an authenticated one without login after one.
#[tokio::test(start_paused = true)]
async fn links_do_not_live_for_ever() {
    let relay = new();
    for (kind, seconds) in [(LinkKind::Anonymous, 600), (LinkKind::Authenticated, 60)] {
        let mut end = open(&relay).await;
        end.hello(kind).await;
        let start = Instant::now();
        let last = loop {
            tokio::select! {
                frame = end.next() => match frame {
                    Some(RelayFrame::Goodbye(reason)) => break reason,
                    Some(_) => {}
                    None => panic!("a goodbye"),
                },
                () = tokio::time::sleep(Duration::from_secs(7)) => {
                    end.request(1, &Request::FetchBundle("nobody".parse().unwrap())).await;
                }
            }
        };
        assert_eq!((last, start.elapsed().as_secs()), (Refusal::TimedOut, seconds), "{kind:?}");
    }
}

/// [RELAY-15] a reader that takes nothing for 20 s is closed, and holds no more than a megabyte meanwhile: the rest of
/// its mailbox stays in the store.
#[tokio::test(start_paused = true)]
async fn a_stalled_reader_is_closed() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    (0..100).for_each(|id| deliver(&relay, envelope(&bob, id)));
    let mut end = open_with(&relay, 4 * 1024, false).await;
    end.login(&relay, &bob, 2).await;
    let start = Instant::now();
    let task = std::mem::replace(&mut end.task, tokio::spawn(async {}));
    task.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 20);
}

/// [RELAY-15] what waits to be written on a link is bounded, whatever waits in the store and whatever is asked.
#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    (0..100).for_each(|id| deliver(&relay, envelope(&bob, id)));
    let caller = bob.enter(&relay, 2);
    let (_ours, tls) = shaken(1024).await;
    let (_stop, stopping) = watch::channel(false);
    let timing = Timing::default();
    let ends = (tls, Incoming::new(), Outbox::default());
    let mut link = Link::new(&relay, caller, ends, &timing, || NOW, Instant::now(), stopping);
    let ran = timeout(Duration::from_secs(15), poll_fn(|context| link.poll(context))).await;
    assert!(ran.is_err(), "it waits for its reader");
    assert!(link.outbox.waiting() >= PUSH_BELOW && link.outbox.waiting() < PUSH_BELOW + 2 * PUSH_BATCH);
}

/// [RELAY-15] [THREAT-21] what a link has asked and the store has not answered yet is bounded in bytes too: of the largest
/// boxes fifteen wait, and no more is read until one of them is answered.
#[tokio::test(start_paused = true)]
async fn what_is_asked_is_bounded() {
    let relay = new();
    relay.store().hold();
    let mut bob = Person::new("bob", 20);
    let (_reader, _) = bob.register(&relay);
    let (mut ours, tls) = shaken(8 * 1024 * 1024).await;
    for id in 0..40 {
        let request = encode(&Request::Deliver { token: None, envelope: envelope(&bob, id) }).unwrap();
        let request = ClientFrame::Request { id: id.into(), work: None, body: Opaque(request) };
        ours.write_all(&frame(&encode(&request).unwrap()).unwrap()).await.unwrap();
    }
    ours.flush().await.unwrap();
    let (_stop, stopping) = watch::channel(false);
    let timing = Timing::default();
    let mut incoming = Incoming::new();
    incoming.hello_answered();
    let caller = link(&relay, LinkKind::Anonymous);
    let mut asking =
        Link::new(&relay, caller, (tls, incoming, Outbox::default()), &timing, || NOW, Instant::now(), stopping);
    let ran = timeout(Duration::from_secs(15), poll_fn(|context| asking.poll(context))).await;
    assert!(ran.is_err(), "it waits for the store");
    let held = |relay: &Relay<Memory>| relay.store().contents().iter().filter(|entry| entry.len() > 60_000).count();
    assert_eq!(held(&relay), (MAX_WAITING - MAX_FRAME) / (60 * 1024) + 1);
    while held(&relay) < 40 {
        relay.store().commit_held().unwrap();
        let ran = timeout(Duration::from_secs(1), poll_fn(|context| asking.poll(context))).await;
        assert!(ran.is_err(), "it goes on");
    }
}

/// [RELAY-6] the older link of a device is told that it was replaced.
#[tokio::test(start_paused = true)]
async fn a_replaced_link_is_told() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let (mut first, mut second) = (open(&relay).await, open(&relay).await);
    first.login(&relay, &bob, 2).await;
    second.login(&relay, &bob, 3).await;
    first.goodbye(Refusal::Replaced).await;
    deliver(&relay, envelope(&bob, 1));
    assert!(matches!(second.next().await, Some(RelayFrame::Push(Push::Envelope { .. }))));
}

/// [RELAY-14] who has said all it had to say, and closed its side, still gets the answers, however slowly it takes them.
#[tokio::test(start_paused = true)]
async fn who_says_no_more_is_answered() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    bob.register(&relay);
    let mut end = open_with(&relay, 2 * 1024, false).await;
    end.hello(LinkKind::Anonymous).await;
    let request = Request::FetchDevices(bob.name.clone());
    for id in 0..16 {
        end.request(id, &request).await;
    }
    end.pipe.shutdown().await.unwrap();
    for id in 0..16 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(matches!(end.next().await, Some(RelayFrame::Answer { id: of, answer: Ok(_) }) if of == id), "{id}");
    }
    end.ended().await;
}

/// A stopping relay tells its links, after what it had answered.
#[tokio::test(start_paused = true)]
async fn a_stopping_relay_says_so() {
    let relay = new();
    let mut end = open(&relay).await;
    end.hello(LinkKind::Authenticated).await;
    end.stop.send_replace(true);
    end.goodbye(Refusal::Stopping).await;
}

/// [RELAY-14] what was begun is answered before a stopping relay says goodbye.
#[tokio::test(start_paused = true)]
async fn what_was_begun_is_answered_before_a_stop() {
    let relay = new();
    relay.store().hold();
    let mut bob = Person::new("bob", 2);
    drop(bob.register(&relay));
    let (mut reads, mut sends) = (open(&relay).await, open(&relay).await);
    reads.login(&relay, &bob, 2).await;
    sends.hello(LinkKind::Anonymous).await;
    sends.request(7, &Request::Deliver { token: None, envelope: envelope(&bob, 1) }).await;
    let Some(RelayFrame::Push(Push::Envelope { seq, id, .. })) = reads.next().await else { panic!("a push") };
    sends.stop.send_replace(true);
    let before = Instant::now();
    reads.request(8, &Request::Acknowledge(vec![(seq, id)])).await;
    let answer = sends.next().await;
    assert!(matches!(answer, Some(RelayFrame::Answer { id: 7, answer: Ok(Answer::Accepted { .. }) })), "{answer:?}");
    sends.goodbye(Refusal::Stopping).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "and then nothing is waited for");
}

/// [RELAY-14] the answer to an acknowledgement waits 100 ms for something to travel with, and leaves with what comes.
#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_answered_with_what_comes_next() {
    let relay = new();
    relay.store().hold();
    let mut bob = Person::new("bob", 2);
    drop(bob.register(&relay));
    let (mut reads, mut sends) = (open(&relay).await, open(&relay).await);
    reads.login(&relay, &bob, 2).await;
    sends.hello(LinkKind::Anonymous).await;
    let done = |id| Some(RelayFrame::Answer { id, answer: Ok(Answer::Done) });
    for (box_id, alone) in [(1, true), (2, false), (3, true)] {
        if alone {
            sends.request(7, &Request::Deliver { token: None, envelope: envelope(&bob, box_id) }).await;
        }
        let Some(RelayFrame::Push(Push::Envelope { seq, id, .. })) = reads.next().await else { panic!("a push") };
        let asked = Instant::now();
        reads.request(8, &Request::Acknowledge(vec![(seq, id)])).await;
        assert!(matches!(sends.next().await, Some(RelayFrame::Answer { id: 7, .. })), "it is accepted at once");
        assert_eq!(asked.elapsed().as_millis(), 0);
        if box_id == 1 {
            sends.request(7, &Request::Deliver { token: None, envelope: envelope(&bob, 2) }).await;
        }
        assert_eq!(reads.next().await, done(8));
        let waited = asked.elapsed().as_millis();
        assert!(if box_id == 1 { waited == 0 } else { (100..=101).contains(&waited) }, "{waited} ms");
    }
}

/// A link too many is told so.
#[tokio::test(start_paused = true)]
async fn a_link_too_many_is_told() {
    let relay = new();
    let mut end = open_with(&relay, 1024, true).await;
    end.hello(LinkKind::Authenticated).await;
    end.goodbye(Refusal::TooManyLinks).await;
}

/// [BOX-9] [ROOM-9] a mailbox larger than what may wait comes whole and in order through a narrow pipe, and a room beside
/// it.
#[tokio::test(start_paused = true)]
async fn everything_comes_through_a_narrow_pipe() {
    let relay = new();
    let mut bob = Person::new("bob", 20);
    let (mut caller, _) = bob.register(&relay);
    let post = bob.says(&relay, "lobby", PostKind::Join, b"", None);
    ask(&relay, &mut caller, Request::Post(post)).unwrap();
    (0..100).for_each(|id| deliver(&relay, envelope(&bob, id)));
    let mut end = open_with(&relay, 700, false).await;
    end.login(&relay, &bob, 2).await;
    let follow = Request::Follow { room: "lobby".parse().unwrap(), after: Default::default() };
    end.request(2, &follow).await;
    let (mut ids, mut others) = (Vec::new(), 0);
    while ids.len() < 100 || others < 2 {
        match end.next().await {
            Some(RelayFrame::Push(Push::Envelope { id, sealed, .. })) => {
                assert_eq!(sealed.0, vec![id.0[0]; 60 * 1024]);
                ids.push(id.0[0]);
            }
            Some(RelayFrame::Push(Push::Post { .. }) | RelayFrame::Answer { id: 2, answer: Ok(Answer::Done) }) => {
                others += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
}

/// [BOX-12] whoever asks whether there is more is pushed something first, as long as there is: the first answer before which nothing
/// came says that all has come. It waits for nothing to travel with.
#[tokio::test(start_paused = true)]
async fn who_asks_for_more_hears_of_the_end() {
    for (boxes, pipe) in [(0, 64 * 1024), (1, 64 * 1024), (100, 64 * 1024), (100, 700)] {
        let relay = new();
        let mut bob = Person::new("bob", 20);
        let (mut caller, _) = bob.register(&relay);
        let post = bob.says(&relay, "lobby", PostKind::Join, b"", None);
        ask(&relay, &mut caller, Request::Post(post)).unwrap();
        (0..boxes).for_each(|id| deliver(&relay, envelope(&bob, id)));
        let mut end = open_with(&relay, pipe, false).await;
        end.login(&relay, &bob, 2).await;
        let (mut come, mut number) = (0, 2);
        let follow = Request::Follow { room: "lobby".parse().unwrap(), after: Default::default() };
        end.request(number, &follow).await;
        loop {
            let (before, asked) = (come, tokio::time::Instant::now());
            loop {
                match end.next().await {
                    Some(RelayFrame::Push(_)) => come += 1,
                    Some(RelayFrame::Answer { id, answer: Ok(Answer::Done) }) if id == number => break,
                    other => panic!("unexpected {other:?}"),
                }
            }
            assert_eq!(asked.elapsed(), Duration::ZERO);
            if number > 2 && come == before {
                break;
            }
            number += 1;
            end.request(number, &Request::Acknowledge(Vec::new())).await;
        }
        assert_eq!(come, usize::from(boxes) + 1, "{boxes} boxes and a post, through {pipe} bytes");
    }
}

/// [STORE-7] [ROOM-9] who follows a room hears of every post by itself: also after the bell has rung for nothing, as it does
/// when somebody else begins to follow.
#[tokio::test(start_paused = true)]
async fn each_post_wakes_its_followers() {
    let relay = new();
    let mut alice = Person::new("alice", 10);
    let (mut caller, _) = alice.register(&relay);
    let join = alice.says(&relay, "lobby", PostKind::Join, b"", None);
    ask(&relay, &mut caller, Request::Post(join)).unwrap();
    let (shard, mut ends) = (relay.shard(), Vec::new());
    for mut follower in [Person::new("bob", 20), Person::new("carol", 30)] {
        follower.register(&relay);
        let mut end = open_in(&relay, shard.clone()).await;
        end.login(&relay, &follower, 2).await;
        let follow = Request::Follow { room: "lobby".parse().unwrap(), after: Default::default() };
        assert_eq!(end.ask(2, &follow).await, Ok(Answer::Done));
        assert!(matches!(end.next().await, Some(RelayFrame::Push(Push::Post { .. }))));
        ends.push(end);
    }
    for _ in 0..3 {
        let post = alice.says(&relay, "lobby", PostKind::Text, b"hi", None);
        ask(&relay, &mut caller, Request::Post(post.clone())).unwrap();
        for end in &mut ends {
            assert!(
                matches!(end.next().await, Some(RelayFrame::Push(Push::Post { post: pushed, .. })) if pushed == post)
            );
        }
    }
}
