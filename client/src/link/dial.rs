//! How a link comes to be open: TCP or SOCKS5, TLS, both hellos; each host of the address in turn.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sealpost_spec::relay::{ClientHello, Host, LinkKind, RelayHello};
use sealpost_spec::wire::VERSION;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_socks::tcp::Socks5Stream;

use super::frame::{FrameReader, write_frame};
use super::proxy::Credentials;
use super::{Config, Timing, pin};
use crate::engine::Failure;

/// RFC 9266 section 2.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// A host that says nothing for so long is not waited for alone: a machine that lost its power answers nobody.
const NEXT: Duration = Duration::from_millis(700);

/// Opens links to one relay.
pub(super) struct Dialer {
    config: Config,
    tls: Arc<ClientConfig>,
}

/// A link whose hello was answered.
pub(super) struct Open {
    pub(super) reader: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    pub(super) writer: WriteHalf<TlsStream<TcpStream>>,
    pub(super) hello: RelayHello,
    /// The relay's Ed25519 key.
    pub(super) relay: [u8; 32],
    /// RFC 9266 exporter.
    pub(super) exporter: [u8; 32],
    /// `tls1.3 X25519MLKEM768`
    pub(super) transport: String,
}

/// Where a relay asked a link to go on: another host of the same relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detour {
    host: Host,
    port: u16,
}

impl Detour {
    /// From `host:port`; `None` where it is no such thing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self { host: host.parse().ok()?, port: port.parse().ok().filter(|port| *port != 0)? })
    }
}

/// Why a link did not open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    WrongRelay,
    Unreachable(String),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::WrongRelay => Self::WrongRelay,
            OpenError::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        if pin::is_wrong_relay(&error) { Self::WrongRelay } else { Self::Unreachable(in_words(&error)) }
    }
}

impl Dialer {
    pub(super) fn new(config: Config) -> Self {
        let tls = pin::tls_config(config.address.pin);
        Self { config, tls }
    }

    pub(super) fn timing(&self) -> &Timing {
        &self.config.timing
    }

    /// Opens a link: to the detour where there is one, then to each host in turn. The next one's turn comes when one has
    /// failed, or has said nothing for [`NEXT`]; who answers first is taken. [RELAY-1]
    pub(super) async fn open(&self, kind: LinkKind, detour: Option<Detour>) -> Result<Open, OpenError> {
        let address = &self.config.address;
        let hosts = address.hosts.iter().map(|host| (host.clone(), address.port));
        let mut hosts = detour.map(|detour| (detour.host, detour.port)).into_iter().chain(hosts).fuse();
        let mut attempts = FuturesUnordered::new();
        let mut wrong = false;
        let mut reasons = String::new();
        let mut next = hosts.next();
        let mut more = next.is_some();
        loop {
            if let Some((host, port)) = next.take() {
                attempts.push(self.attempt(kind, host, port));
            }
            tokio::select! {
                Some((host, port, opened)) = attempts.next() => {
                    match opened {
                        Ok(open) => return Ok(open),
                        Err(OpenError::WrongRelay) => wrong = true,
                        Err(OpenError::Unreachable(why)) => {
                            let comma = if reasons.is_empty() { "" } else { ", " };
                            // Writing to a String can't fail.
                            let _ = write!(reasons, "{comma}{}:{port}: {why}", host.as_str());
                        }
                    }
                    next = hosts.next();
                    more = next.is_some();
                }
                () = tokio::time::sleep(NEXT), if more => {
                    next = hosts.next();
                    more = next.is_some();
                }
                else => break,
            }
        }
        Err(if wrong { OpenError::WrongRelay } else { OpenError::Unreachable(reasons) })
    }

    async fn attempt(&self, kind: LinkKind, host: Host, port: u16) -> (Host, u16, Result<Open, OpenError>) {
        let opened = tokio::time::timeout(self.config.timing.connect, self.open_host(kind, &host, port)).await;
        let opened = opened.unwrap_or_else(|_| Err(OpenError::Unreachable("no answer in time".to_owned())));
        (host, port, opened)
    }

    async fn open_host(&self, kind: LinkKind, host: &Host, port: u16) -> Result<Open, OpenError> {
        let stream = self.reach(host, port).await?;
        stream.set_nodelay(true)?;
        // The name is neither sent nor checked: the key is.
        let name = ServerName::try_from("relay.invalid").expect("a DNS name");
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        let (_, session) = tls.get_ref();
        let relay = session
            .peer_certificates()
            .and_then(|keys| keys.first())
            .and_then(|key| pin::ed25519_key(key))
            .ok_or(OpenError::WrongRelay)?;
        let exporter = session
            .export_keying_material([0; 32], EXPORTER, None)
            .map_err(|error| OpenError::Unreachable(error.to_string()))?;
        let group = session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        let transport = format!("tls1.3 {}", group.unwrap_or_default());

        let (reader, mut writer) = tokio::io::split(tls);
        let mut reader = FrameReader::new(reader);
        let hello = ClientHello { lowest: VERSION, highest: VERSION, kind };
        write_frame(&mut writer, &hello.layout(), self.config.timing.stall).await?;
        // [WIRE-6]
        let hello = match RelayHello::parse(&reader.next().await?) {
            Ok(Ok(hello)) => hello,
            Ok(Err((lowest, highest))) => {
                return Err(OpenError::Unreachable(format!(
                    "it speaks protocol versions {lowest} to {highest}, this client {VERSION}: update the older one"
                )));
            }
            Err(_) => return Err(OpenError::Unreachable("it does not speak Sealpost's protocol".to_owned())),
        };
        reader.hello_answered();
        Ok(Open { reader, writer, hello, relay, exporter, transport })
    }

    async fn reach(&self, host: &Host, port: u16) -> Result<TcpStream, OpenError> {
        let Some(proxy) = &self.config.proxy else {
            return Ok(TcpStream::connect((host.as_str(), port)).await?);
        };
        let own = Credentials::random();
        let through =
            Socks5Stream::connect_with_password(proxy.authority(), (host.as_str(), port), &own.user, &own.password);
        match through.await {
            Ok(stream) => Ok(stream.into_inner()),
            Err(tokio_socks::Error::Io(error)) => Err(error.into()),
            Err(error) => Err(OpenError::Unreachable(format!("through the proxy: {error}"))),
        }
    }
}

/// What an I/O error means to a person.
pub(super) fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "the other side closed the connection".to_owned()
        }
        ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Detour;

    #[test]
    fn a_detour_is_a_host_and_a_port() {
        assert!(Detour::parse("b.example.org:7443").is_some());
        assert!(Detour::parse("[::1]:7443").is_some());
        for refused in ["", "b.example.org", "b.example.org:0", "a b:1", "\u{1b}[2J:1"] {
            assert_eq!(Detour::parse(refused), None, "{refused:?}");
        }
    }
}
