//! What costs the relay next to nothing: garbage, oversize, slow and half-open links, beside an honest pair.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use sealpost_spec::relay::{ClientHello, LinkKind, RelayHello};
use sealpost_spec::wire::{MAX_FRAME, MAX_FRAME_BEFORE_HELLO, VERSION};
use sealpost_tests::processes::{PATIENCE, RelayProcess, until};

use super::Pair;

/// Believes every relay: it wants to annoy them, not to trust them.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key.as_ref()),
            signature,
            &algorithms,
        )
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

pub(super) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A TCP connection from an address of its own, so that limits per address do not touch the honest pair.
pub(super) fn connect(relay: &RelayProcess, from: u8) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime
        .block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(([127, 0, 0, from], 0).into())?;
            socket.connect(relay.socket().parse().unwrap()).await
        })
        .unwrap()
        .into_std()
        .unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(super) fn tls(relay: &RelayProcess, from: u8) -> Tls {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("relay.invalid").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, connect(relay, from))
}

/// Whether the other side has closed: an end of file or a reset, whatever it says before.
pub(super) fn is_closed(mut stream: impl Read) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

pub(super) fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], body].concat()
}

pub(super) fn hello() -> Vec<u8> {
    frame(&ClientHello { lowest: VERSION, highest: VERSION, kind: LinkKind::Anonymous }.layout())
}

/// Reads one frame.
pub(super) fn read_frame(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

/// Memory that a process uses, in bytes.
fn memory(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// [THREAT-21] [WIRE-1] [WIRE-2] A frame that claims more than it may is closed at its header, and takes no memory.
#[test]
fn oversize_frames_are_closed_at_their_header() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path());
    let mut warm = tls(&relay, 2);
    warm.write_all(&hello()).unwrap();
    assert!(matches!(RelayHello::parse(&read_frame(&mut warm)), Ok(Ok(_))));
    let before = memory(relay.pid());
    for _ in 0..10 {
        for claimed in [0, MAX_FRAME_BEFORE_HELLO as u32 + 1, MAX_FRAME as u32, u32::MAX] {
            let mut stream = tls(&relay, 2);
            stream.write_all(&claimed.to_le_bytes()).unwrap();
            assert!(is_closed(stream), "{claimed} before the hello");
        }
        for claimed in [0, MAX_FRAME as u32 + 1, u32::MAX] {
            let mut stream = tls(&relay, 2);
            stream.write_all(&hello()).unwrap();
            let _ = read_frame(&mut stream);
            stream.write_all(&claimed.to_le_bytes()).unwrap();
            assert!(is_closed(stream), "{claimed} after the hello");
        }
    }
    let grown = memory(relay.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "the relay grew by {grown} bytes");
}

/// [THREAT-21] [WIRE-5] [WIRE-6] Garbage instead of TLS, of a hello, of a request: closed. A version from the future is told which
/// ones there are.
#[test]
fn garbage_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path());
    let mut plain = connect(&relay, 2);
    let _ = plain.write_all(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n");
    assert!(is_closed(plain));
    for body in
        [&b"SEAL"[..], b"LEAS\x01\x00\x01\x00\x00", b"SEAL\x01\x00\x01\x00\x02", b"SEAL\x02\x00\x01\x00\x00", &[0; 9]]
    {
        let mut stream = tls(&relay, 2);
        stream.write_all(&frame(body)).unwrap();
        assert!(is_closed(stream), "{body:02x?}");
    }
    for body in [&[0xff; 40][..], &[0; 3], b"not a request"] {
        let mut stream = tls(&relay, 2);
        stream.write_all(&hello()).unwrap();
        let _ = read_frame(&mut stream);
        stream.write_all(&frame(body)).unwrap();
        assert!(is_closed(stream), "{body:02x?}");
    }
    let mut future = tls(&relay, 2);
    future.write_all(&frame(&ClientHello { lowest: 7, highest: 9, kind: LinkKind::Anonymous }.layout())).unwrap();
    assert_eq!(RelayHello::parse(&read_frame(&mut future)), Ok(Err((VERSION, VERSION))));
    assert!(is_closed(future));
}

/// [THREAT-21] Links that never finish their handshake or never say hello are closed, and an honest pair beside
/// hundreds of them notices nothing.
#[test]
fn half_open_links_are_closed_and_nobody_notices() {
    let pair = Pair::new();
    let Pair { relay, alice, bob, .. } = &pair;
    let _holder = alice.follow();
    let mut silent: Vec<TcpStream> = Vec::new();
    for from in 10..16 {
        silent.extend((0..40).map(|_| connect(relay, from)));
    }
    let mut mute: Vec<Tls> = (0..8).map(|_| tls(relay, 20)).collect();
    for stream in &mut mute {
        // The handshake is complete once the relay's side of it has arrived.
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    let mut slow = tls(relay, 21);
    slow.write_all(&hello()[..7]).unwrap();
    for round in 0..5 {
        let text = format!("round {round}");
        let _ = alice.run(&["send", "bob", &text]).expect(0);
        assert_eq!(bob.receives(1), [text]);
    }
    for stream in silent {
        assert!(is_closed(stream), "a link without a handshake stays open");
    }
    for stream in mute {
        assert!(is_closed(stream), "a link without a hello stays open");
    }
    assert!(is_closed(slow), "a link with half a hello stays open");
    let _ = alice.run(&["send", "bob", "afterwards"]).expect(0);
    assert_eq!(bob.receives(1), ["afterwards"]);
}

/// [THREAT-21] One address does not take all places: beyond its share it is closed, others are served.
#[test]
fn one_address_does_not_take_all_places() {
    let pair = Pair::new();
    let Pair { relay, alice, bob, .. } = &pair;
    let crowd: Vec<TcpStream> = (0..600).map(|_| connect(relay, 30)).collect();
    let refused = until("the relay closes what is too much", || {
        let closed = crowd.iter().filter(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            matches!((&**stream).read(&mut [0; 1]), Ok(0))
                || matches!((&**stream).read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
        });
        let closed = closed.count();
        (closed > 0).then_some(closed)
    });
    assert!(refused > 0);
    let _ = alice.run(&["send", "bob", "is there room for us?"]).expect(0);
    assert_eq!(bob.receives(1), ["is there room for us?"]);
}
