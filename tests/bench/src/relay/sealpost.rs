//! The relay of this repository, and its clients, which say what the real ones say: they log in with a new generation,
//! sign their posts, acknowledge what has come.
mod anonymous;
mod bundles;
mod fill;
mod filled;
mod logged_in;
pub(crate) mod people;
mod said;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::relay::Address;
use sealpost_spec::room::{PostHash, RoomName};
use sealpost_spec::wire::{LENGTH_PREFIX, RelayFrame, encode};
use serde_json::Value;

pub use self::fill::Filling;
pub use self::filled::Filled;
use self::logged_in::{LoggedIn, Purpose};
use self::people::{Person, Place};
use super::codec::{Codec, Event, Wrong};
use super::engine::Engine;
use super::host::{Clients, Host, Process, Site, installed};
use super::tls::{self, Identity};

/// The workspace that holds the relay.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Nothing is priced or limited; what the limits cost is still paid. The figure of an idle link is read from `/proc`,
/// which is only there of a process that is dumpable.
const CONFIG: &str = "\
dumpable = true
[work]
fetch = 0
deliver = 0
[links]
links = 19000
links_per_address = 19000
[rates]
registrations = { burst = 1000000000, every_ms = 1 }
logins = { burst = 1000000000, every_ms = 1 }
fetches = { burst = 1000000000, every_ms = 1 }
one_time_keys = { burst = 1000000000, every_ms = 1 }
lookups = { burst = 1000000000, every_ms = 1 }
deliveries = { burst = 1000000000, every_ms = 1 }
posts = { burst = 1000000000, every_ms = 1 }
requests = { burst = 1000000000, every_ms = 1 }
handshakes = { burst = 1000000000, every_ms = 1 }
";

/// Builds the relay as it is shipped, where that was not done, and finds it: cargo says where it is.
pub fn build() -> Result<PathBuf, Wrong> {
    let arguments = ["build", "--release", "--locked", "-p", "sealpost-relay", "--message-format=json"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(cargo).args(arguments).args(["--manifest-path", WORKSPACE]).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err(Wrong::new("the relay does not build"));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = |message: &Value| message.pointer("/target/name").and_then(Value::as_str) == Some("sealpost-relay");
    let mut programs =
        messages.filter(ours).filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    programs.next_back().ok_or_else(|| Wrong::new("cargo does not say where the relay is"))
}

/// How long the frame is that brings a post with a text of so many bytes to a subscriber.
pub fn post_frame(text: usize) -> usize {
    let place = Place { relay: &[0; 32], room: RoomName::lobby(), number: 1, previous: PostHash::default() };
    let post = Person::new(1_000).post(place, &vec![0; text]);
    let push = RelayFrame::Push(Push::Post { room: RoomName::lobby(), seq: Seq(1), post });
    encode(&push).map_or(0, |body| LENGTH_PREFIX + body.len())
}

/// Starts a relay over an empty folder, registers so many people, and starts it again: what it holds of their
/// registrations is what it holds after any start.
pub fn start(site: &Site, people: u32) -> Result<Host, Wrong> {
    start_as(site, people, Command::new(&site.relay), CONFIG)
}

/// The same with a configuration of the caller's.
pub fn start_with(site: &Site, people: u32, config: &str) -> Result<Host, Wrong> {
    start_as(site, people, Command::new(&site.relay), config)
}

/// The same under strace, which writes a line into this file for each sync; `None` where there is no strace.
pub fn start_traced(site: &Site, people: u32, syncs: &Path) -> Result<Option<Host>, Wrong> {
    let Some(strace) = installed("strace") else { return Ok(None) };
    let mut command = Command::new(strace);
    // The relay keeps the process that is started, and is stopped for nothing else.
    command.args(["-D", "-f", "-qq", "--seccomp-bpf", "-e", "trace=fdatasync,fsync", "-o"]).arg(syncs).arg(&site.relay);
    start_as(site, people, command, CONFIG).map(Some)
}

fn start_as(site: &Site, people: u32, command: Command, config: &str) -> Result<Host, Wrong> {
    let folder = site.folder("sealpost")?;
    let people: Vec<Rc<Person>> = (0..people).map(|number| Rc::new(Person::new(number))).collect();
    let host = run(Command::new(&site.relay), &folder, people.clone(), config)?;
    register(&host, &people)?;
    drop(host);
    run(command, &folder, people, config)
}

fn run(relay: Command, folder: &Path, people: Vec<Rc<Person>>, config: &str) -> Result<Host, Wrong> {
    let (process, address) = launch(relay, folder, config)?;
    let tls = tls::config(Identity::RawKey)?;
    let relay = public_key(address, &tls)?;
    // A store that is kept for another run has the rooms of this one.
    let rooms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let clients = Sealpost { relay, people, rooms: RefCell::new(rooms) };
    Ok(Host { process, address, tls: Some(tls), clients: Box::new(clients) })
}

/// Starts the program over a folder, and says where it listens.
fn launch(mut command: Command, folder: &Path, settings: &str) -> Result<(Process, SocketAddr), Wrong> {
    let config = folder.join("bench.toml");
    std::fs::write(&config, settings)?;
    command.arg("serve").args(["--listen", "127.0.0.1:0"]).arg("--config").arg(&config);
    command.arg("--data").arg(folder.join("data"));
    let (process, line) = Process::start_and_read("sealpost", &mut command, &folder.join("log"))?;
    let address: Address = line.parse().map_err(|_| Wrong(format!("no address: {line}")))?;
    Ok((process, SocketAddr::from((Ipv4Addr::LOCALHOST, address.port))))
}

/// The relay's key, as its TLS shows it.
pub(super) fn public_key(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<[u8; 32], Wrong> {
    let mut tcp = TcpStream::connect(address)?;
    let mut tls = tls::connection(config)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    let key = tls.peer_certificates().and_then(|keys| keys.first()?.last_chunk::<32>().copied());
    key.ok_or_else(|| Wrong::new("the relay shows no key"))
}

fn register(host: &Host, people: &[Rc<Person>]) -> Result<(), Wrong> {
    const AT_ONCE: usize = 64;
    let mut engine = Engine::new()?;
    let relay = public_key(host.address, host.tls.as_ref().ok_or_else(|| Wrong::new("no TLS"))?)?;
    let mut waiting = people.iter();
    let mut open = 0;
    engine.until(Duration::from_secs(120), "registering", |engine, heard| {
        for heard in heard.iter().filter(|heard| heard.what == Event::Ready) {
            engine.close(heard.link);
            open -= 1;
        }
        while open < AT_ONCE {
            let Some(person) = waiting.next() else { break };
            host.open(engine, Box::new(LoggedIn::new(relay, person, Purpose::Register)))?;
            open += 1;
        }
        Ok(open == 0)
    })
}

struct Sealpost {
    relay: [u8; 32],
    people: Vec<Rc<Person>>,
    /// Who has published to a topic so far: each play has a room of its own.
    rooms: RefCell<u32>,
}

impl Sealpost {
    fn number(&self, number: u32) -> Result<&Rc<Person>, Wrong> {
        self.people.get(number as usize).ok_or_else(|| Wrong::new("so many people were not registered"))
    }

    /// The room that was made last for a topic.
    fn room(&self, topic: u32) -> Result<RoomName, Wrong> {
        let name = format!("room{topic}-{}", self.rooms.borrow());
        name.parse().map_err(|_| Wrong::new("no name of a room"))
    }
}

impl Clients for Sealpost {
    fn subscriber(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        let purpose = Purpose::Follow { room: self.room(0)? };
        Ok(Box::new(LoggedIn::new(self.relay, self.number(number)?, purpose)))
    }

    fn publisher(&self, topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        *self.rooms.borrow_mut() += 1;
        // The last one registered is in nobody's way.
        let person = self.people.last().ok_or_else(|| Wrong::new("nobody was registered"))?;
        let purpose = Purpose::Post { room: self.room(topic)? };
        Ok(Box::new(LoggedIn::new(self.relay, person, purpose)))
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(LoggedIn::new(self.relay, self.number(number)?, Purpose::Receive)))
    }

    fn sender(&self, _from: u32, to: u32) -> Result<Option<Box<dyn Codec>>, Wrong> {
        Ok(Some(Box::new(anonymous::Anonymous::new(self.number(to)?)?)))
    }

    fn fetcher(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(bundles::Bundles::new(self.number(number)?)?))
    }

    fn accepts(&self) -> bool {
        true
    }
}
