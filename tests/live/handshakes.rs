//! Handshakes that are bent: the shapes in which TLS libraries and what is built on them have gone round in circles, kept
//! sockets for ever, or buffered without end. Here they end, and the relay's processor is idle again at once.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use sealpost_tests::processes::{RelayProcess, until};

use super::Pair;
use super::limits::{Tls, connect, frame, hello, is_closed, read_frame, tls};

/// Kinds of a record of TLS.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// A record that is not enciphered.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// A genuine ClientHello, without its record's header.
fn client_hello(relay: &RelayProcess) -> Vec<u8> {
    let mut bytes = Vec::new();
    tls(relay, 30).conn.write_tls(&mut bytes).unwrap();
    bytes[5..].to_vec()
}

/// What is sent instead of a handshake, each with what it is.
fn shapes(relay: &RelayProcess) -> Vec<(&'static str, Vec<u8>)> {
    let hello = client_hello(relay);
    let whole = record(HANDSHAKE, &hello);
    // What it claims of its length, beyond all that is allowed.
    let mut endless = hello.clone();
    endless[1..4].copy_from_slice(&[0xff; 3]);
    vec![
        ("a hello and a farewell", [&whole[..], &record(ALERT, &[1, 0])].concat()),
        ("a farewell", record(ALERT, &[1, 0])),
        ("half of a hello and a farewell", [&record(HANDSHAKE, &hello[..40])[..], &record(ALERT, &[1, 0])].concat()),
        ("a hello a byte at a time, and nothing after it", {
            hello.iter().flat_map(|byte| record(HANDSHAKE, &[*byte])).collect()
        }),
        ("two hellos", whole.repeat(2)),
        ("a hello that is longer than anything", record(HANDSHAKE, &endless)),
        ("records of nothing", record(HANDSHAKE, &[]).repeat(20_000)),
        ("a hello and changes of cipher", [&whole[..], &record(CHANGE_CIPHER_SPEC, &[1]).repeat(20_000)].concat()),
        ("a hello and warnings", [&whole[..], &record(ALERT, &[1, 90]).repeat(20_000)].concat()),
        ("a record longer than any", [&[HANDSHAKE, 3, 3, 0xff, 0xff][..], &[0; 70_000]].concat()),
        ("the version before", [&[HANDSHAKE, 3, 1, 0, 4][..], &[1, 0, 0, 0]].concat()),
    ]
}

/// Processor time of a process so far, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    after.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Hardly any processor time in a whole second.
fn is_idle(relay: &RelayProcess) {
    until("the relay's processor is idle", || {
        let before = ticks(relay.pid());
        std::thread::sleep(Duration::from_secs(1));
        (ticks(relay.pid()) - before <= 5).then_some(())
    });
}

/// Says all of it, as far as it is taken, and nothing more.
fn says(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
}

/// A link that is greeted.
fn greeted(relay: &RelayProcess) -> Tls {
    let mut link = tls(relay, 31);
    link.write_all(&hello()).unwrap();
    let _ = read_frame(&mut link);
    link
}

/// [THREAT-21] Handshakes that are cut, doubled, split, flooded or ended in the middle are closed at once, links that say farewell
/// and then go on are, too; none of them keeps the relay busy, and an honest pair is served beside all of them.
#[test]
fn bent_handshakes_end_and_cost_nothing() {
    let pair = Pair::new();
    let Pair { relay, alice, bob, .. } = &pair;
    let _holder = alice.follow();
    for (number, (what, bytes)) in (0..).zip(shapes(relay)) {
        let started = Instant::now();
        let streams: Vec<TcpStream> = (0..8).map(|_| connect(relay, 40 + number)).collect();
        streams.iter().for_each(|stream| says(stream, &bytes));
        for stream in &streams {
            assert!(is_closed(stream), "{what}: it stays open");
        }
        println!("{what}: closed after {:.1?}", started.elapsed());
    }
    // After the handshake: keys that are changed again and again, and a farewell that something follows.
    let mut restless = greeted(relay);
    for _ in 0..2_000 {
        if restless.conn.refresh_traffic_keys().is_err() || restless.flush().is_err() {
            break;
        }
    }
    drop(restless);
    let mut taken_back = greeted(relay);
    taken_back.conn.send_close_notify();
    let _ = taken_back.flush();
    let _ = taken_back.write_all(&frame(b"not a request"));
    let _ = taken_back.sock.write_all(&record(23, &[7; 40]).repeat(1_000));
    assert!(is_closed(&taken_back.sock), "a farewell that something followed");
    is_idle(relay);
    let _ = alice.run(&["send", "bob", "hello"]).expect(0);
    assert_eq!(bob.receives(1), ["hello"]);
}
