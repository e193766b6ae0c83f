//! The bare server itself: its process is this program, started anew.
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use sealpost_crypto::identity::RelaySecret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{BE, CAME, HEAD, PUBLISH, SEND, WANT};
use crate::people::dice;
use crate::relay::codec::Wrong;
use crate::relay::tls::provider;

/// Bytes that are read at once, into memory that all connections of a thread share.
const READ: usize = 64 * 1024;
/// Slices that one write takes.
const SLICES: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Serves until it is killed. `listens`: is told where, once it does. One worker is a runtime on one thread.
pub fn serve(workers: usize, listens: impl FnOnce(SocketAddr)) -> Result<(), Wrong> {
    let runtime = match workers {
        1 => tokio::runtime::Builder::new_current_thread().enable_io().build()?,
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_io().build()?,
    };
    runtime.block_on(async {
        let tls = tls()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listens(listener.local_addr()?);
        let state = Arc::new(State::default());
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            let (tls, state) = (tls.clone(), Arc::clone(&state));
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(tcp).await {
                    let connection = Connection {
                        stream,
                        state,
                        outbox: Arc::default(),
                        input: BytesMut::new(),
                        out: VecDeque::new(),
                    };
                    connection.run().await;
                }
            });
        }
    })
}

/// As the relay's: TLS 1.3, the hybrid group first, an Ed25519 key as a raw public key, no tickets.
fn tls() -> Result<TlsAcceptor, Wrong> {
    let secret = RelaySecret::generate(&mut dice(1));
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(secret.pkcs8().as_slice()))?;
    let certified = CertifiedKey::new(vec![CertificateDer::from(secret.spki())], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(certified))));
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[derive(Default)]
struct State {
    topics: Mutex<HashMap<u32, Vec<Arc<Outbox>>>>,
    people: Mutex<HashMap<u32, Arc<Outbox>>>,
}

/// What waits to be written on one connection, and whom to wake.
#[derive(Default)]
struct Outbox(Mutex<(Vec<Bytes>, Option<Waker>)>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    fn push(&self, frames: Bytes) {
        let waker = {
            let mut waiting = lock(&self.0);
            waiting.0.push(frames);
            waiting.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Connection {
    stream: TlsStream<TcpStream>,
    state: Arc<State>,
    outbox: Arc<Outbox>,
    /// The beginning of a frame whose rest has not come.
    input: BytesMut,
    out: VecDeque<Bytes>,
}

impl Connection {
    async fn run(mut self) {
        // It ends when the client has gone.
        let _ = poll_fn(|cx| self.poll(cx)).await;
        for subscribers in lock(&self.state.topics).values_mut() {
            subscribers.retain(|outbox| !Arc::ptr_eq(outbox, &self.outbox));
        }
        lock(&self.state.people).retain(|_, outbox| !Arc::ptr_eq(outbox, &self.outbox));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            let heard = self.poll_read(cx)?;
            {
                let mut waiting = lock(&self.outbox.0);
                self.out.extend(waiting.0.drain(..));
                if waiting.0.capacity() > SLICES {
                    waiting.0 = Vec::new();
                }
                waiting.1.get_or_insert_with(|| cx.waker().clone());
            }
            let written = self.poll_write(cx)?;
            if written.is_pending() || heard.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Ready where something came.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> std::io::Result<Poll<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            // A record at a time is what rustls gives; several are understood together.
            let mut state = Poll::Ready(());
            loop {
                let before = read.filled().len();
                match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                    Poll::Ready(Ok(())) if read.filled().len() == before => {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    Poll::Ready(Ok(())) if read.remaining() > 0 => {}
                    Poll::Ready(Ok(())) => break,
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => {
                        state = Poll::Pending;
                        break;
                    }
                }
            }
            if !read.filled().is_empty() {
                self.input.extend_from_slice(read.filled());
                self.understand()?;
            }
            Ok(state)
        })
    }

    fn understand(&mut self) -> std::io::Result<()> {
        // Posts to one topic that came together leave together, as the bytes that they are.
        let (mut run, mut topic) = (0, 0);
        while let Some((length, kind, number)) = frame(self.input.get(run..).unwrap_or_default())? {
            if kind == PUBLISH && (run == 0 || topic == number) {
                (run, topic) = (run + length, number);
                continue;
            }
            if run > 0 {
                self.deliver(topic, run);
                run = 0;
                continue;
            }
            let frame = self.input.split_to(length).freeze();
            match kind {
                WANT => {
                    lock(&self.state.topics).entry(number).or_default().push(Arc::clone(&self.outbox));
                    self.out.push_back(frame);
                }
                BE => {
                    lock(&self.state.people).insert(number, Arc::clone(&self.outbox));
                    self.out.push_back(frame);
                }
                SEND | CAME => {
                    let outbox = lock(&self.state.people).get(&number).cloned();
                    outbox.into_iter().for_each(|outbox| outbox.push(frame.clone()));
                }
                _ => return Err(ErrorKind::InvalidData.into()),
            }
        }
        if run > 0 {
            self.deliver(topic, run);
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(())
    }

    fn deliver(&mut self, topic: u32, length: usize) {
        let frames = self.input.split_to(length).freeze();
        if let Some(subscribers) = lock(&self.state.topics).get(&topic) {
            subscribers.iter().for_each(|outbox| outbox.push(frames.clone()));
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            slices.iter_mut().zip(&self.out).for_each(|(slice, frames)| *slice = IoSlice::new(frames));
            let slices = slices.get(..self.out.len()).unwrap_or(&slices);
            let mut written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
            while let Some(first) = self.out.front_mut().filter(|_| written > 0) {
                let taken = written.min(first.len());
                first.advance(taken);
                written -= taken;
                if first.is_empty() {
                    self.out.pop_front();
                }
            }
        }
        if self.out.capacity() > SLICES {
            self.out = VecDeque::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// Length, kind and number of the first frame; `None` while some of it is missing.
fn frame(input: &[u8]) -> std::io::Result<Option<(usize, u8, u32)>> {
    let Some([l0, l1, l2, l3, kind, n0, n1, n2, n3]) = input.first_chunk::<HEAD>() else { return Ok(None) };
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize + 4;
    match length {
        0..HEAD => Err(ErrorKind::InvalidData.into()),
        _ if input.len() < length => Ok(None),
        _ => Ok(Some((length, *kind, u32::from_le_bytes([*n0, *n1, *n2, *n3])))),
    }
}
