//! mosquitto: topics for posts and boxes alike, quality of service 0.
pub mod mqtt;

use std::cell::Cell;
use std::process::Command;

use super::{Certificate, tls_config};
use crate::relay::codec::{Codec, Event, Wrong, stamp};
use crate::relay::host::{Clients, Host, Process, Site, free_port, installed, listening};
use crate::relay::row::Start;
use mqtt::{Packet, connect, next, publish, subscribe};

/// mosquitto, which keeps nothing.
pub fn topics(tls: bool) -> Start {
    Box::new(move |site| start(site, tls))
}

fn start(site: &Site, tls: bool) -> Result<Option<Host>, Wrong> {
    let Some(program) = installed("mosquitto") else { return Ok(None) };
    let (folder, port) = (site.folder("mosquitto")?, free_port()?);
    let certificate = match tls {
        true => {
            let Certificate { chain, key } = Certificate::new(&folder)?;
            format!("certfile {}\nkeyfile {}", chain.display(), key.display())
        }
        false => String::new(),
    };
    let config = folder.join("mosquitto.conf");
    // As root it would become somebody who can't read the certificate.
    let user = "user root\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_type none";
    std::fs::write(&config, format!("{user}\nlistener {port} 127.0.0.1\n{certificate}\n"))?;
    let process = Process::start("mosquitto", Command::new(program).arg("-c").arg(&config))?;
    let address = listening(port, "mosquitto")?;
    let clients = TopicClients { links: Cell::new(0) };
    Ok(Some(Host { process, address, tls: tls_config(tls)?, clients: Box::new(clients) }))
}

struct TopicClients {
    /// Each link has a name of its own.
    links: Cell<u32>,
}

impl TopicClients {
    fn link(&self, person: Option<u32>) -> Box<dyn Codec> {
        self.links.set(self.links.get() + 1);
        Box::new(Topics::new(self.links.get(), person))
    }
}

impl Clients for TopicClients {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(self.link(None))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(self.link(None))
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(self.link(Some(number)))
    }
}

/// A link on which topics are published to and subscribed to. A box is a message of its recipient's topic.
pub struct Topics {
    name: String,
    /// Whose boxes come over this link.
    person: Option<u32>,
    ready: bool,
}

impl Topics {
    /// `number`: as no other link of the run has it.
    pub fn new(number: u32, person: Option<u32>) -> Self {
        Self { name: format!("c{number}"), person, ready: false }
    }
}

impl Codec for Topics {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        connect(out, &self.name);
        if let Some(person) = self.person {
            subscribe(out, &format!("box/{person}"));
        }
        Ok(())
    }

    fn read(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, packet)) = next(input)? else { return Ok(None) };
        let event = match packet {
            Packet::Message(payload) => Event::Delivered { stamp: stamp(payload) },
            Packet::Connected if self.person.is_some() => Event::Nothing,
            Packet::Subscribed if self.ready => Event::Subscribed,
            Packet::Connected | Packet::Subscribed => {
                self.ready = true;
                Event::Ready
            }
        };
        Ok(Some((taken, event)))
    }

    fn subscribe(&mut self, topic: u32, out: &mut Vec<u8>) -> Result<(), Wrong> {
        subscribe(out, &format!("room/{topic}"));
        Ok(())
    }

    fn publish(&mut self, topic: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        publish(out, &format!("room/{topic}"), payload);
        Ok(())
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        publish(out, &format!("box/{to}"), payload);
        Ok(())
    }
}
