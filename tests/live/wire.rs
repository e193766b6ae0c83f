//! Who records the traffic between client and relay.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sealpost_tests::inspect::Needles;
use sealpost_tests::processes::{Person, RelayProcess};

/// Passes everything on, both ways, and keeps a copy. The threads end with their connections.
fn wiretap(relay: String) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let recorded: Arc<Mutex<Vec<u8>>> = Arc::default();
    let record = recorded.clone();
    fn pass_on(mut from: TcpStream, mut to: TcpStream, record: Arc<Mutex<Vec<u8>>>) {
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                record.lock().unwrap().extend_from_slice(&buffer[..read]);
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&relay) else { break };
            pass_on(client.try_clone().unwrap(), server.try_clone().unwrap(), record.clone());
            pass_on(server, client, record.clone());
        }
    });
    (port, recorded)
}

/// [THREAT-1] On the wire there is neither a message nor a name nor a post, and the key agreement is hybrid.
#[test]
fn nothing_is_read_off_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path());
    let (port, recorded) = wiretap(relay.socket());
    let own_port = relay.socket().rsplit_once(':').unwrap().1.to_owned();
    let tapped = relay.address.replace(&format!(":{own_port}/"), &format!(":{port}/"));
    let alice = Person::registered(folder.path(), "alice-in-wonderland", &tapped);
    let bob = Person::registered(folder.path(), "bob-the-builder", &tapped);
    let _ = alice.run(&["join", "#rabbit-hole"]).expect(0);
    let _ = alice.run(&["send", "#rabbit-hole", "a public word about the rabbit"]).expect(0);
    let _ = alice.run(&["send", "bob-the-builder", "a private word about the rabbit"]).expect(0);
    assert_eq!(bob.receives(1), ["a private word about the rabbit"]);
    let status = alice.json(&["status"]).expect(0);
    assert_eq!(status.events("status")[0]["transport"], "tls1.3 X25519MLKEM768", "{}", status.out);

    let recorded = recorded.lock().unwrap();
    assert!(recorded.len() > 20_000, "only {} bytes passed the tap", recorded.len());
    let texts = [
        "a public word about the rabbit",
        "a private word about the rabbit",
        "alice-in-wonderland",
        "bob-the-builder",
        "rabbit-hole",
    ];
    let found = Needles::new(texts.iter().map(|text| text.as_bytes())).in_bytes(&recorded);
    assert!(found.is_empty(), "{found:?}");
}
