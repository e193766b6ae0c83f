//! NATS: its subjects for what is read at once, JetStream for what waits.
pub mod protocol;

use std::cell::Cell;
use std::process::Command;

use super::{Certificate, tls_config};
use crate::relay::codec::{Codec, Event, Wrong, stamp};
use crate::relay::host::{Clients, Host, Process, Site, free_port, installed, listening};
use crate::relay::row::Start;
use protocol::{Operation, PING, PONG, connect, next, publish, subscribe};

/// The stream of all boxes that wait.
const STREAM: &str = "BOXES";
/// Messages that a reader asks for at once, as many as a Sealpost relay reads at once.
const PAGE: u32 = 64;

/// When JetStream syncs what it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before it answers.
    Always,
    /// As it comes: within two minutes.
    Default,
}

/// NATS without JetStream, for what is read at once.
pub fn subjects(tls: bool) -> Start {
    Box::new(move |site| start(site, tls, ""))
}

/// NATS with JetStream; syncing always takes 2.10 or newer.
pub fn jetstream(tls: bool, sync: Sync) -> Start {
    Box::new(move |site| match sync {
        Sync::Default => start(site, tls, "jetstream { store_dir: STORE }"),
        Sync::Always if always()? => start(site, tls, "jetstream { store_dir: STORE, sync_interval: always }"),
        Sync::Always => Ok(None),
    })
}

/// Whether the NATS that is installed can sync before it answers.
fn always() -> Result<bool, Wrong> {
    let Some(program) = installed("nats-server") else { return Ok(false) };
    let told = String::from_utf8_lossy(&Command::new(program).arg("-v").output()?.stdout).into_owned();
    let version = told.trim().rsplit_once(" v").and_then(|(_, version)| version.split_once('.'));
    let minor = version.and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    Ok(minor.is_some_and(|minor| minor >= 10))
}

fn start(site: &Site, tls: bool, jetstream: &str) -> Result<Option<Host>, Wrong> {
    let Some(program) = installed("nats-server") else { return Ok(None) };
    let (folder, port) = (site.folder("nats")?, free_port()?);
    let certificate = match tls {
        true => {
            let Certificate { chain, key } = Certificate::new(&folder)?;
            format!("tls {{ cert_file: {chain:?}, key_file: {key:?}, timeout: 60 }}")
        }
        false => String::new(),
    };
    let config = folder.join("nats.conf");
    let jetstream = jetstream.replace("STORE", &format!("{:?}", folder.join("jetstream")));
    // A reader that is slow for a while is not to be thrown out.
    let rest = "max_connections: 19000\nmax_pending: 1GB\nwrite_deadline: \"60s\"";
    std::fs::write(&config, format!("listen: \"127.0.0.1:{port}\"\n{certificate}\n{jetstream}\n{rest}\n"))?;
    let process = Process::start("nats", Command::new(program).arg("-c").arg(&config))?;
    let address = listening(port, "nats")?;
    let clients = NatsClients { tls, links: Cell::new(0) };
    Ok(Some(Host { process, address, tls: tls_config(tls)?, clients: Box::new(clients) }))
}

struct NatsClients {
    tls: bool,
    /// How many links there were that want answers: each has a subject of its own for them.
    links: Cell<u32>,
}

impl Clients for NatsClients {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Subjects::new(self.tls, None)))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Subjects::new(self.tls, None)))
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Subjects::new(self.tls, Some(number))))
    }

    fn depositor(&self, _from: u32, _to: u32) -> Result<Box<dyn Codec>, Wrong> {
        self.links.set(self.links.get() + 1);
        Ok(Box::new(Appender::new(self.tls, self.links.get())))
    }

    fn returner(&self, number: u32, boxes: u32) -> Result<Box<dyn Codec>, Wrong> {
        self.links.set(self.links.get() + 1);
        Ok(Box::new(Emptier::new(self.tls, number, self.links.get(), boxes)))
    }
}

/// A link on which subjects are published to and subscribed to. A box is a message of its recipient's subject.
pub struct Subjects {
    tls: bool,
    /// Whose boxes come over this link.
    person: Option<u32>,
    ready: bool,
}

impl Subjects {
    pub fn new(tls: bool, person: Option<u32>) -> Self {
        Self { tls, person, ready: false }
    }
}

impl Codec for Subjects {
    fn greeted(&self) -> bool {
        true
    }

    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        connect(out, self.tls);
        if let Some(person) = self.person {
            subscribe(out, &format!("box.{person}"));
        }
        out.extend_from_slice(PING);
        Ok(())
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, operation)) = next(input)? else { return Ok(None) };
        let event = match operation {
            Operation::Message { payload, .. } => Event::Delivered { stamp: stamp(payload) },
            Operation::Pong if self.ready => Event::Subscribed,
            Operation::Pong => {
                self.ready = true;
                Event::Ready
            }
            Operation::Ping => {
                out.extend_from_slice(PONG);
                Event::Nothing
            }
            Operation::Info => Event::Nothing,
        };
        Ok(Some((taken, event)))
    }

    fn subscribe(&mut self, topic: u32, out: &mut Vec<u8>) -> Result<(), Wrong> {
        subscribe(out, &format!("room.{topic}"));
        out.extend_from_slice(PING);
        Ok(())
    }

    fn publish(&mut self, topic: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        publish(out, format!("room.{topic}").as_bytes(), b"", payload);
        Ok(())
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        publish(out, format!("box.{to}").as_bytes(), b"", payload);
        Ok(())
    }
}

/// A link that appends boxes to the stream; JetStream answers each.
pub struct Appender {
    tls: bool,
    /// Where the answers go.
    inbox: String,
    ready: bool,
}

impl Appender {
    /// `number`: as no other link of the run has it.
    pub fn new(tls: bool, number: u32) -> Self {
        Self { tls, inbox: format!("answers.{number}"), ready: false }
    }
}

impl Codec for Appender {
    fn greeted(&self) -> bool {
        true
    }

    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        connect(out, self.tls);
        subscribe(out, &self.inbox);
        let stream = format!(
            r#"{{"name":"{STREAM}","subjects":["waiting.*"],"retention":"workqueue","storage":"file","num_replicas":1}}"#
        );
        // The same again changes nothing.
        publish(out, format!("$JS.API.STREAM.CREATE.{STREAM}").as_bytes(), self.inbox.as_bytes(), stream.as_bytes());
        Ok(())
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, operation)) = next(input)? else { return Ok(None) };
        let event = match operation {
            Operation::Message { payload, .. } => {
                answered(payload)?;
                let event = if self.ready { Event::Accepted } else { Event::Ready };
                self.ready = true;
                event
            }
            Operation::Ping => {
                out.extend_from_slice(PONG);
                Event::Nothing
            }
            _ => Event::Nothing,
        };
        Ok(Some((taken, event)))
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        publish(out, format!("waiting.{to}").as_bytes(), self.inbox.as_bytes(), payload);
        Ok(())
    }
}

/// JetStream answers in JSON; an error is a field of it.
fn answered(json: &[u8]) -> Result<(), Wrong> {
    let error = br#""error":"#;
    if json.windows(error.len()).any(|window| window == error) {
        return Err(Wrong(format!("JetStream answered {}", String::from_utf8_lossy(json))));
    }
    Ok(())
}

/// A link that empties one subject of the stream: it pulls a page, acknowledges each message, and pulls on.
pub struct Emptier {
    tls: bool,
    person: u32,
    inbox: String,
    ready: bool,
    /// Boxes that are still to come, of this page and in all.
    page: u32,
    left: u32,
}

impl Emptier {
    /// `number`: as no other link of the run has it. `boxes`: how many wait.
    pub fn new(tls: bool, person: u32, number: u32, boxes: u32) -> Self {
        Self { tls, person, inbox: format!("answers.{number}"), ready: false, page: 0, left: boxes }
    }

    fn call(&self, api: &str, question: &str, out: &mut Vec<u8>) {
        let subject = format!("$JS.API.CONSUMER.{api}.{STREAM}.c{}", self.person);
        publish(out, subject.as_bytes(), self.inbox.as_bytes(), question.as_bytes());
    }

    fn pull(&mut self, out: &mut Vec<u8>) {
        self.page = PAGE.min(self.left);
        self.call("MSG.NEXT", &format!(r#"{{"batch":{}}}"#, self.page), out);
    }
}

impl Codec for Emptier {
    fn greeted(&self) -> bool {
        true
    }

    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        connect(out, self.tls);
        subscribe(out, &self.inbox);
        let person = self.person;
        let config = format!(
            r#"{{"durable_name":"c{person}","filter_subject":"waiting.{person}","ack_policy":"explicit","deliver_policy":"all","replay_policy":"instant"}}"#
        );
        self.call("DURABLE.CREATE", &format!(r#"{{"stream_name":"{STREAM}","config":{config}}}"#), out);
        Ok(())
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, operation)) = next(input)? else { return Ok(None) };
        let event = match operation {
            Operation::Message { payload, .. } if !self.ready => {
                answered(payload)?;
                self.ready = true;
                self.pull(out);
                Event::Nothing
            }
            Operation::Message { reply, payload, .. } if !reply.is_empty() => {
                publish(out, reply, b"", b"+ACK");
                (self.page, self.left) = (self.page.saturating_sub(1), self.left.saturating_sub(1));
                match (self.page, self.left) {
                    // Answered once the server has read all the acknowledgements.
                    (0, 0) => out.extend_from_slice(PING),
                    (0, _) => self.pull(out),
                    _ => {}
                }
                Event::Delivered { stamp: stamp(payload) }
            }
            Operation::Message { payload, .. } => {
                return Err(Wrong(format!("a pull was answered with {:?}", String::from_utf8_lossy(payload))));
            }
            Operation::Pong => Event::Settled,
            Operation::Ping => {
                out.extend_from_slice(PONG);
                Event::Nothing
            }
            Operation::Info => Event::Nothing,
        };
        Ok(Some((taken, event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each message is acknowledged, the next page is asked for once one is whole, and the server says when it has read
    /// the last acknowledgement.
    #[test]
    fn pages_are_acknowledged_message_by_message() {
        let (mut link, mut out) = (Emptier::new(true, 7, 1, PAGE + 1), Vec::new());
        link.begin(&[0; 32], &mut out).unwrap();
        out.clear();
        let mut read = |input: &[u8], out: &mut Vec<u8>| link.read(input, out).unwrap().map(|(_, event)| event);
        assert_eq!(read(b"MSG answers.1 1 2\r\n{}\r\n", &mut out), Some(Event::Nothing), "there is a consumer");
        let message = b"MSG waiting.7 1 $JS.ACK.1 3\r\nbox\r\n";
        for pulled in [PAGE, 1] {
            let question = format!(r#"{{"batch":{pulled}}}"#);
            let length = question.len();
            let pull = format!("PUB $JS.API.CONSUMER.MSG.NEXT.{STREAM}.c7 answers.1 {length}\r\n{question}\r\n");
            assert_eq!(String::from_utf8_lossy(&out), pull);
            for left in (0..pulled).rev() {
                out.clear();
                assert_eq!(read(message, &mut out), Some(Event::Delivered { stamp: 0 }));
                let acknowledged = b"PUB $JS.ACK.1 4\r\n+ACK\r\n";
                assert!(out.starts_with(acknowledged) && (out.len() > acknowledged.len()) == (left == 0));
            }
            out.drain(..b"PUB $JS.ACK.1 4\r\n+ACK\r\n".len());
        }
        assert_eq!(out, PING);
        assert_eq!(read(b"PONG\r\n", &mut out), Some(Event::Settled));
    }

    /// What JetStream refuses ends the run.
    #[test]
    fn refusals_of_jetstream_are_told() {
        assert!(answered(br#"{"stream":"BOXES","seq":1}"#).is_ok());
        assert!(answered(br#"{"type":"x","error":{"code":503,"description":"no room"}}"#).is_err());
    }
}
