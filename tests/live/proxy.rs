//! Through a SOCKS5 proxy, as through Tor.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sealpost_tests::processes::{Person, RelayProcess};

/// A host that nobody but the proxy can resolve.
const HOST: &str = "relay.invalid";

/// What the proxy was told on one connection: user name, password, host.
type Told = (Vec<u8>, Vec<u8>, String);

/// A SOCKS5 proxy (RFC 1928) that insists on user name and password (RFC 1929), and leads everybody to one relay.
struct Proxy {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Proxy {
    fn to(relay: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (relay, log) = (relay.clone(), Arc::clone(&log));
                std::thread::spawn(move || lead(stream, &relay, &log));
            }
        });
        Self { address, told }
    }
}

fn bytes(stream: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// A field behind a length of one byte.
fn short(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = bytes(stream, 1)?[0];
    bytes(stream, usize::from(length))
}

fn lead(mut client: TcpStream, relay: &str, log: &Mutex<Vec<Told>>) -> Option<()> {
    let version = bytes(&mut client, 1)?;
    let methods = short(&mut client)?;
    assert!(version == [5] && methods.contains(&2), "credentials are offered");
    client.write_all(&[5, 2]).ok()?;
    assert_eq!(bytes(&mut client, 1)?, [1]);
    let (user, password) = (short(&mut client)?, short(&mut client)?);
    client.write_all(&[1, 0]).ok()?;
    assert_eq!(bytes(&mut client, 4)?, [5, 1, 0, 3], "CONNECT to a name: the proxy resolves it");
    let host = String::from_utf8(short(&mut client)?).ok()?;
    bytes(&mut client, 2)?;
    log.lock().unwrap().push((user, password, host));
    let mut onward = TcpStream::connect(relay).ok()?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).ok()?;
    let (mut back, mut answers) = (client.try_clone().ok()?, onward.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut client, &mut onward);
    let _ = onward.shutdown(Shutdown::Both);
    Some(())
}

/// Everything goes through the proxy, names included, and each link has credentials of its own: Tor gives it a circuit of
/// its own, and the relay can't tell by it that two links are one person's.
#[test]
fn each_link_has_its_own_way_through_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path());
    let proxy = Proxy::to(relay.socket());
    let socks = format!("socks5h://{}", proxy.address);
    let address = relay.address.replace("127.0.0.1", HOST);
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(folder.path(), name));
    for person in [&alice, &bob] {
        let _ = person.run(&["--proxy", &socks, "register", &address, &person.name]).expect(0);
    }
    let _ = alice.run(&["--proxy", &socks, "send", "bob", "by another way"]).expect(0);
    let received = bob.json(&["--proxy", &socks, "recv", "--timeout", "20s"]).expect(0).events("message");
    assert_eq!(received[0]["text"], "by another way");

    // A file goes another way than the message that announces it, and each file its own.
    let before = proxy.told.lock().unwrap().len();
    let paths = ["one", "two"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| std::fs::write(path, "what it says").unwrap());
    let [one, two] = paths.each_ref().map(|path| path.to_str().unwrap());
    let _ = alice.run(&["--proxy", &socks, "send", "bob", "-f", one, "-f", two]).expect(0);
    // One that logs in, one for messages to Bob, and two for files.
    let links = proxy.told.lock().unwrap().len() - before;
    assert!(links >= 4, "{links}");

    let told = proxy.told.lock().unwrap().clone();
    assert!(told.iter().all(|(.., host)| host == HOST), "{told:?}");
    // Two registrations, one login each, and an anonymous link.
    assert!(told.len() >= 5, "{told:?}");
    let mut credentials: Vec<_> = told.iter().map(|(user, password, _)| (user, password)).collect();
    credentials.sort();
    credentials.dedup();
    assert_eq!(credentials.len(), told.len(), "two links shared their credentials");

    // Where the proxy is down, nothing goes around it.
    let before = proxy.told.lock().unwrap().len();
    let stopped = alice.run(&["--proxy", "socks5h://127.0.0.1:1", "--timeout", "3s", "rooms"]);
    let _ = stopped.expect(3);
    assert_eq!(proxy.told.lock().unwrap().len(), before);
}
