//! A link from an address of one's choice, for crowds: that it is closed is no error, but what is counted.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Refusal, RelayHello, Request};
use sealpost_spec::wire::{
    Bytes, ClientFrame, LENGTH_PREFIX, MAX_FRAME, RelayFrame, VERSION, body_length, decode, encode, frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For whatever a neighbour waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// An address of this machine that nobody else in the play has.
pub fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number)
}

/// A TCP connection from there; `None` where it does not come about.
pub async fn tcp(to: SocketAddr, from: Ipv4Addr, receive_buffer: Option<u32>) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).ok()?;
    }
    socket.bind((from, 0).into()).ok()?;
    let stream = timeout(PATIENCE, socket.connect(to)).await.ok()?.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// An open link, after both hellos. Nothing is said, nothing verified on its own.
pub struct Link {
    stream: TlsStream<TcpStream>,
    input: Vec<u8>,
    next: u32,
    /// RFC 9266 exporter.
    pub channel: [u8; 32],
    /// What the relay said.
    pub hello: RelayHello,
}

impl Link {
    /// `None` where the relay does not want it.
    pub async fn open(tcp: TcpStream, tls: &Arc<ClientConfig>, kind: LinkKind) -> Option<Self> {
        let name = ServerName::try_from("localhost").ok()?;
        let shaken = timeout(PATIENCE, TlsConnector::from(Arc::clone(tls)).connect(name, tcp)).await;
        let mut stream = shaken.ok()?.ok()?;
        let channel = super::super::tls::channel(stream.get_ref().1).ok()?;
        let hello = ClientHello { lowest: VERSION, highest: VERSION, kind };
        stream.write_all(&frame(&hello.layout())?).await.ok()?;
        let mut input = Vec::new();
        let body = body(&mut stream, &mut input).await?;
        let hello = RelayHello::parse(&body).ok()?.ok()?;
        Some(Self { stream, input, next: 1, channel, hello })
    }

    /// Says something, and does not wait for an answer.
    pub async fn says(&mut self, request: &Request) -> Option<()> {
        let framed = framed(self.next, request)?;
        self.next = self.next.wrapping_add(1);
        self.sends(&framed).await
    }

    /// The same with bytes that were made before.
    pub async fn sends(&mut self, framed: &[u8]) -> Option<()> {
        timeout(PATIENCE, self.stream.write_all(framed)).await.ok()?.ok()
    }

    /// The next frame that is no ping: those it answers. `None` once the relay has closed.
    pub async fn hears(&mut self) -> Option<RelayFrame> {
        loop {
            let body = body(&mut self.stream, &mut self.input).await?;
            match decode(&body).ok()? {
                RelayFrame::Ping(number) => {
                    self.sends(&frame(&encode(&ClientFrame::Pong(number))?)?).await?;
                }
                other => return Some(other),
            }
        }
    }

    /// The next answer; what is pushed meanwhile is dropped.
    pub async fn answered(&mut self) -> Option<Result<Answer, Refusal>> {
        loop {
            match self.hears().await? {
                RelayFrame::Answer { answer, .. } => return Some(answer),
                RelayFrame::Goodbye(reason) => return Some(Err(reason)),
                _ => {}
            }
        }
    }
}

/// A frame with a request.
pub fn framed(id: u32, request: &Request) -> Option<Vec<u8>> {
    frame(&encode(&ClientFrame::Request { id, work: None, body: Bytes(encode(request)?) })?)
}

async fn body(stream: &mut TlsStream<TcpStream>, input: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(prefix) = input.first_chunk::<LENGTH_PREFIX>() {
            let end = LENGTH_PREFIX + body_length(*prefix, MAX_FRAME).ok()?;
            if let Some(body) = input.get(LENGTH_PREFIX..end).map(<[u8]>::to_vec) {
                input.drain(..end);
                return Some(body);
            }
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}
