//! The yardstick: a fan-out and forwarding server that does no more than it must. Plain tokio with rustls, TLS 1.3, one
//! task a connection, batched vectored writes; no storage, no login, no limits.
//!
//! ```text
//! frame   u32 length of the rest || u8 kind || u32 topic or person || payload
//! ```
//!
//! | kind | to the server | to a client |
//! |---|---|---|
//! | 0 | everything published to this topic is wanted | so it is from now on |
//! | 1 | a payload for a topic | the same frame |
//! | 2 | this link is this person's | so it is from now on |
//! | 3 | a payload for a person; it begins with the sender's number | the same frame |
//! | 4 | for a person: its box has come | the same frame |
mod client;
mod server;

use std::process::Command;

pub use server::serve;

use super::codec::Wrong;
use super::host::{Host, Process, Site};
use super::tls::{self, Identity};

const WANT: u8 = 0;
const PUBLISH: u8 = 1;
const BE: u8 = 2;
const SEND: u8 = 3;
const CAME: u8 = 4;

/// Bytes of length, kind and number before a payload.
pub const HEAD: usize = 9;

fn head(kind: u8, number: u32, payload: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let length = u32::try_from(payload + HEAD - 4).map_err(|_| Wrong::new("a payload is too long"))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
    Ok(())
}

/// Starts one, with so many worker threads; `confirms`: who receives a box says so to its sender.
pub fn start(site: &Site, workers: usize, confirms: bool) -> Result<Host, Wrong> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").arg(workers.to_string());
    let log = site.folder("bare")?.join("log");
    let (process, line) = Process::start_and_read("bare", &mut command, &log)?;
    let address = line.parse().map_err(|_| Wrong(format!("no address: {line}")))?;
    let tls = Some(tls::config(Identity::RawKey)?);
    Ok(Host { process, address, tls, clients: Box::new(client::BareClients { confirms }) })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::client::BareClients;
    use super::*;
    use crate::relay::codec::Event;
    use crate::relay::engine::{Engine, Heard, LinkId};
    use crate::relay::host::Clients;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn server(workers: usize) -> SocketAddr {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || serve(workers, |address| tell.send(address).unwrap()));
        told.recv().unwrap()
    }

    fn person(engine: &mut Engine, address: SocketAddr, number: u32) -> LinkId {
        let tls = tls::config(Identity::RawKey).unwrap();
        let link = engine.open(address, Some(&tls), BareClients { confirms: true }.person(number).unwrap()).unwrap();
        let ready = |heard: &[Heard]| heard.iter().any(|heard| heard.what == Event::Ready);
        engine.until(PATIENCE, "a link", |_, heard| Ok(ready(heard))).unwrap();
        link
    }

    /// Every subscriber gets each post once and in order, however they are packed, cut and batched on the way.
    #[test]
    fn posts_come_once_and_in_order() {
        for workers in [1, 2] {
            let (address, mut engine) = (server(workers), Engine::new().unwrap());
            let links: Vec<LinkId> = (0..4).map(|number| person(&mut engine, address, number)).collect();
            let mut subscribed = 0;
            links.iter().for_each(|link| engine.say(*link, |codec, out| codec.subscribe(7, out)).unwrap());
            let count = |heard: &&Heard| heard.what == Event::Subscribed;
            let done = |_: &mut Engine, heard: &[Heard]| {
                subscribed += heard.iter().filter(count).count();
                Ok(subscribed == links.len())
            };
            engine.until(PATIENCE, "subscribing", done).unwrap();
            for stamp in 1..=2_000_u64 {
                // From a few bytes to more than a record holds, and now and then one that nobody wants.
                let mut payload = vec![0; (stamp as usize * 37) % 20_000 + 8];
                payload[..8].copy_from_slice(&stamp.to_le_bytes());
                let topic = if stamp % 9 == 0 { 8 } else { 7 };
                engine.say(links[0], |codec, out| codec.publish(topic, &payload, out)).unwrap();
            }
            let wanted: Vec<u64> = (1..=2_000).filter(|stamp| stamp % 9 != 0).collect();
            let mut came = vec![Vec::new(); links.len()];
            let done = |_: &mut Engine, heard: &[Heard]| {
                for heard in heard {
                    let Event::Delivered { stamp } = heard.what else { continue };
                    came[links.iter().position(|link| *link == heard.link).unwrap()].push(stamp);
                }
                Ok(came.iter().all(|came| came.len() >= wanted.len()))
            };
            engine.until(PATIENCE, "posts", done).unwrap();
            assert!(came.iter().all(|came| *came == wanted));
        }
    }

    /// A box comes to the person that it is for, and its sender hears of it.
    #[test]
    fn a_box_is_confirmed() {
        let (address, mut engine) = (server(1), Engine::new().unwrap());
        let (alice, bob) = (person(&mut engine, address, 1), person(&mut engine, address, 2));
        let mut payload = vec![0; 6 * 1024];
        payload[0] = 9;
        engine.say(alice, |codec, out| codec.send(2, &payload, out)).unwrap();
        let mut events = Vec::new();
        let done = |_: &mut Engine, heard: &[Heard]| {
            events.extend(heard.iter().map(|heard| (heard.link, heard.what)));
            Ok(events.len() == 2)
        };
        engine.until(PATIENCE, "a box and its receipt", done).unwrap();
        assert_eq!(events, [(bob, Event::Delivered { stamp: 9 }), (alice, Event::Accepted)]);
    }
}
