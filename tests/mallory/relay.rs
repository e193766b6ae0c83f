//! Mallory as a process: the real relay over its memory store, behind real TLS with the relay's own key, and between its
//! decoded frames and the network her lies. She takes orders as lines, see [`super::orders`].

use std::collections::BTreeMap;
use std::io::{BufRead, Write as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sealpost_crypto::identity::{RelaySecret, relay_pin};
use sealpost_crypto::work;
use sealpost_relay::quota::{Rate, Rates};
use sealpost_relay::store::Memory;
use sealpost_relay::{Caller, Peer, Relay, Rules, listen};
use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Refusal, RelayHello, Request, Work, WorkPrice};
use sealpost_spec::wire::{
    ClientFrame, LENGTH_PREFIX, MAX_FRAME, MAX_FRAME_BEFORE_HELLO, RelayFrame, VERSION, body_length, decode, encode,
    encode_frame, frame,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;

use super::Mallory;
use super::orders::Cast;
use super::seen::Seen;

/// For a handshake and a hello each.
const BEGINNING: Duration = Duration::from_secs(10);
/// How often a link is asked whether somebody is there.
const PING: Duration = Duration::from_secs(30);
/// Frames of one link that are read and not answered yet, and orders to one link.
const QUEUE: usize = 1_000;
/// Bytes of pushes that are asked for at once.
const PUSHED_AT_ONCE: usize = 256 * 1024;
/// Bits of work: cheap, since what it keeps away is not what is tried here.
const WORK: u8 = 8;
/// RFC 9266.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// What happens to a link by order.
pub(super) enum Order {
    /// Something is pushed.
    Push(Box<Push>),
    /// It ends.
    Close,
}

/// All that changes while she lies.
pub(super) struct State {
    pub(super) relay: Arc<Relay<Memory>>,
    pub(super) lies: Mallory,
    pub(super) seen: Seen,
    pub(super) cast: Cast,
    /// How often something was bent, withheld or made up since she was honest.
    pub(super) lied: u64,
    /// Envelopes that somebody sealed to a key of hers.
    pub(super) fooled: u64,
    /// What somebody gets as soon as they log in.
    pub(super) waiting: BTreeMap<String, Vec<Push>>,
    links: BTreeMap<u64, (String, Sender<Order>)>,
    next_link: u64,
}

/// The process.
pub(super) struct House {
    pub(super) key: Vec<u8>,
    tls: TlsAcceptor,
    state: Mutex<State>,
}

/// Unix milliseconds.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A relay over this store.
pub(super) async fn over(store: Memory, secret: RelaySecret) -> Arc<Relay<Memory>> {
    // A crowd may register at once.
    let rates = Rates { registrations: Rate { burst: 100, every_ms: 1_000 }, ..Rates::default() };
    let rules = Rules { work: WorkPrice { fetch: WORK, deliver: WORK }, rates, ..Rules::default() };
    let rng = ChaCha20Rng::from_rng(&mut rand::rng());
    Arc::new(Relay::new(store, secret, rules, rng).await.expect("nothing fails over the memory store"))
}

/// Listens on a free port of loopback, prints the address as a relay does, and does what standard input says until that
/// ends.
///
/// # Panics
/// There is no port.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads").block_on(async {
        let secret = RelaySecret::generate(&mut rand::rng());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let socket = listener.local_addr().expect("it is bound");
        say(&format!("sealpost://{socket}/{}", relay_pin(&secret.public())));
        let house = House::new(&secret).await;
        let (orders, mut lines) = channel::<String>(QUEUE);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if orders.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((tcp, address)) = accepted {
                    let house = Arc::clone(&house);
                    tokio::spawn(async move { house.link(tcp, address.ip()).await });
                },
                line = lines.recv() => match line {
                    Some(line) => say(&house.order(&line).await),
                    None => return,
                },
            }
        }
    });
}

/// Who asked may have gone: then nobody reads it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

impl House {
    async fn new(secret: &RelaySecret) -> Arc<Self> {
        let key = secret.pkcs8().to_vec();
        let tls = listen::tls(secret).expect("a key that was made here");
        let own = RelaySecret::from_pkcs8(&key).expect("it was just written");
        let state = State {
            relay: over(Memory::new(rand::random()), own).await,
            lies: Mallory::default(),
            seen: Seen::default(),
            cast: Cast::default(),
            lied: 0,
            fooled: 0,
            waiting: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 0,
        };
        Arc::new(Self { key, tls, state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the relay signs with.
    pub(super) fn secret(&self) -> RelaySecret {
        RelaySecret::from_pkcs8(&self.key).expect("it was written by us")
    }

    /// Asks the relay something, as anybody can, for the same work.
    pub(super) async fn asks(&self, request: Request) -> Result<Answer, Refusal> {
        let relay = Arc::clone(&self.state().relay);
        let hello = ClientHello { lowest: VERSION, highest: VERSION, kind: LinkKind::Anonymous };
        let peer = Peer { address: [192, 0, 2, 1].into(), channel: [0; 32] };
        let (_, caller) = relay.hello(now(), &hello, peer);
        let mut caller = caller.ok_or(Refusal::Unsupported)?;
        let body = encode(&request).ok_or(Refusal::Malformed)?;
        let channel = work::Channel { relay: relay.public_key(), exporter: &peer.channel };
        let work = work::solve(channel, 1, &body, WORK);
        relay.handle(now(), &mut caller, Some(work), &body).await
    }

    /// One link, from its handshake to its end; `None`: the client has gone, or says what nobody understands.
    async fn link(&self, tcp: TcpStream, address: IpAddr) -> Option<()> {
        let mut tls = timeout(BEGINNING, self.tls.accept(tcp)).await.ok()?.ok()?;
        let channel_binding = tls.get_ref().1.export_keying_material([0; 32], EXPORTER, None).ok()?;
        let hello = timeout(BEGINNING, read(&mut tls, MAX_FRAME_BEFORE_HELLO)).await.ok()??;
        let hello = ClientHello::parse(&hello).ok()?;
        let (orders, mut ordered) = channel(QUEUE);
        let (number, relay, reply, caller) = self.enters(&hello, Peer { address, channel: channel_binding }, orders);
        let _end = End(self, number);
        tls.write_all(&frame(&reply)?).await.ok()?;
        let mut caller = caller?;
        let (mut reader, mut writer) = tokio::io::split(tls);
        let (heard, mut frames) = channel(QUEUE);
        tokio::spawn(async move {
            while let Some(body) = read(&mut reader, MAX_FRAME).await {
                if heard.send(body).await.is_err() {
                    return;
                }
            }
        });
        let bell = caller.bell().clone();
        let mut ping = interval(PING);
        loop {
            tokio::select! {
                // What she makes up comes first.
                biased;
                order = ordered.recv() => match order? {
                    Order::Push(push) => write(&mut writer, &RelayFrame::Push(*push)).await?,
                    Order::Close => return None,
                },
                body = frames.recv() => match decode(&body?).ok()? {
                    ClientFrame::Request { id, work, body } => {
                        let answer = self.answers(&relay, number, &mut caller, work, &body.0).await;
                        write(&mut writer, &RelayFrame::Answer { id, answer }).await?;
                    }
                    ClientFrame::Pong(_) => {}
                },
                () = bell.rung() => {}
                _ = ping.tick() => write(&mut writer, &RelayFrame::Ping(7)).await?,
            }
            let pushes = relay.pushes(now(), &mut caller, PUSHED_AT_ONCE).await.ok()?;
            for bytes in pushes {
                let RelayFrame::Push(push) = decode(bytes.get(LENGTH_PREFIX..)?).ok()? else { return None };
                for push in self.pushes(number, push) {
                    write(&mut writer, &RelayFrame::Push(push)).await?;
                }
            }
            if let Some(reason) = caller.ended() {
                return write(&mut writer, &RelayFrame::Goodbye(reason)).await;
            }
        }
    }

    /// A link's number, the relay that it is with, and what that says to its hello.
    fn enters(
        &self,
        hello: &ClientHello,
        peer: Peer,
        orders: Sender<Order>,
    ) -> (u64, Arc<Relay<Memory>>, Vec<u8>, Option<Caller>) {
        let mut state = self.state();
        let relay = Arc::clone(&state.relay);
        let (mut reply, caller) = relay.hello(now(), hello, peer);
        if let Ok(Ok(real)) = RelayHello::parse(&reply) {
            let said = match state.lies.hello.as_mut() {
                Some(bend) => bend("", real),
                None => real,
            };
            reply = said.layout(state.lies.version.unwrap_or(VERSION)).unwrap_or_default();
            state.lied += u64::from(state.lies.hello.is_some() || state.lies.version.is_some());
        }
        let number = state.next_link;
        state.next_link += 1;
        state.links.insert(number, (String::new(), orders));
        (number, relay, reply, caller)
    }

    async fn answers(
        &self,
        relay: &Relay<Memory>,
        number: u64,
        caller: &mut Caller,
        work: Option<Work>,
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        let request: Request = decode(body).map_err(|_| Refusal::Malformed)?;
        let taken = {
            let mut state = self.state();
            let who = state.who(number);
            state.seen.request(&who, &request);
            if state.cast.owns(&request) {
                state.fooled += 1;
                return Ok(Answer::Accepted { seq: Seq(77) });
            }
            let taken = state.lies.request.as_mut().and_then(|take| take(&who, &request));
            state.lied += u64::from(taken.is_some());
            taken
        };
        let answer = match taken {
            Some(answer) => answer,
            None => relay.handle(now(), caller, work, body).await,
        };
        let mut state = self.state();
        let logged_in = matches!(answer, Ok(Answer::LoggedIn { .. } | Answer::Registered { .. }));
        if let (true, Some(name)) = (logged_in, caller.name()) {
            state.has_logged_in(number, name.as_str());
        }
        let who = state.who(number);
        let Some(bend) = state.lies.answer.as_mut() else { return answer };
        let said = bend(&who, &request, answer.clone());
        state.lied += u64::from(said != answer);
        said
    }

    fn pushes(&self, number: u64, push: Push) -> Vec<Push> {
        let mut state = self.state();
        let who = state.who(number);
        let Some(bend) = state.lies.push.as_mut() else { return vec![push] };
        let said = bend(&who, push.clone());
        state.lied += u64::from(said != [push]);
        said
    }
}

impl State {
    /// Who has logged in on a link; nobody on an anonymous one.
    fn who(&self, number: u64) -> String {
        self.links.get(&number).map(|(name, _)| name.clone()).unwrap_or_default()
    }

    fn has_logged_in(&mut self, number: u64, name: &str) {
        if let Some(link) = self.links.get_mut(&number) {
            name.clone_into(&mut link.0);
        }
        for push in self.waiting.remove(name).unwrap_or_default() {
            self.inject(name, push);
        }
    }

    /// Pushes something to somebody, now or when they log in.
    pub(super) fn inject(&mut self, name: &str, push: Push) {
        self.lied += 1;
        let here = self.links.values().find(|(who, _)| who == name);
        match here.map(|(_, orders)| orders.try_send(Order::Push(Box::new(push.clone()))).is_ok()) {
            Some(true) => {}
            _ => self.waiting.entry(name.to_owned()).or_default().push(push),
        }
    }

    /// Ends every link.
    pub(super) fn close_all(&self) {
        for (_, orders) in self.links.values() {
            // One that takes no orders any more is about to end.
            let _ = orders.try_send(Order::Close);
        }
    }
}

/// A link's place, freed at its end.
struct End<'a>(&'a House, u64);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.state().links.remove(&self.1);
    }
}

/// The body of the next frame.
async fn read(from: &mut (impl AsyncRead + Unpin), limit: usize) -> Option<Vec<u8>> {
    let mut prefix = [0; LENGTH_PREFIX];
    from.read_exact(&mut prefix).await.ok()?;
    let mut body = vec![0; body_length(prefix, limit).ok()?];
    from.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &RelayFrame) -> Option<()> {
    let mut bytes = Vec::new();
    if encode_frame(frame, &mut bytes) {
        to.write_all(&bytes).await.ok()?;
        to.flush().await.ok()?;
    }
    Some(())
}
