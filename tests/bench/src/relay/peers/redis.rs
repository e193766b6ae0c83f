//! Redis: its channels for what is read at once, its streams for what waits.
pub mod resp;

use std::process::Command;

use super::{Certificate, tls_config};
use crate::relay::codec::{Codec, Event, Wrong, stamp};
use crate::relay::host::{Clients, Host, Process, Site, free_port, installed, listening};
use crate::relay::row::Start;
use resp::{Reply, argument, begin, command, reply};

/// Messages that a reader asks for at once, as many as a Sealpost relay reads at once.
const PAGE: &str = "64";

/// Redis in memory, for what is read at once.
pub fn channels(tls: bool) -> Start {
    Box::new(move |site| start(site, tls, "appendonly no", Box::new(ChannelClients)))
}

/// Redis that answers a write once it is on the disk: `appendfsync always`.
pub fn streams(tls: bool) -> Start {
    // Rewriting the log would be the price of many such writes, and is left out in Redis's favour.
    const ALWAYS: &str = "appendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0";
    Box::new(move |site| start(site, tls, ALWAYS, Box::new(StreamClients)))
}

fn start(site: &Site, tls: bool, keeps: &str, clients: Box<dyn Clients>) -> Result<Option<Host>, Wrong> {
    let Some(program) = installed("redis-server") else { return Ok(None) };
    let (folder, port) = (site.folder("redis")?, free_port()?);
    let ports = match tls {
        true => {
            let Certificate { chain, key } = Certificate::new(&folder)?;
            let (chain, key) = (chain.display(), key.display());
            format!("port 0\ntls-port {port}\ntls-cert-file {chain}\ntls-key-file {key}\ntls-auth-clients no")
        }
        false => format!("port {port}"),
    };
    let config = folder.join("redis.conf");
    let dir = folder.display();
    let rest = "save \"\"\nmaxclients 19000\nclient-output-buffer-limit pubsub 0 0 0";
    std::fs::write(&config, format!("bind 127.0.0.1\n{ports}\ndir {dir}\n{keeps}\n{rest}\n"))?;
    let process = Process::start("redis", Command::new(program).arg(&config))?;
    let address = listening(port, "redis")?;
    Ok(Some(Host { process, address, tls: tls_config(tls)?, clients }))
}

struct ChannelClients;

impl Clients for ChannelClients {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Channels::new(None)))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Channels::new(None)))
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Channels::new(Some(number))))
    }
}

struct StreamClients;

impl Clients for StreamClients {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("streams are not subscribed to"))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("streams are not published to"))
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Emptier::new(number)))
    }

    fn depositor(&self, _from: u32, _to: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Appender::default()))
    }
}

/// A link on which channels are published to and subscribed to. A box is a message of its recipient's channel.
pub struct Channels {
    /// Whose boxes come over this link.
    pub person: Option<u32>,
    ready: bool,
}

impl Channels {
    pub fn new(person: Option<u32>) -> Self {
        Self { person, ready: false }
    }
}

impl Codec for Channels {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        // Version 3 lets one link subscribe and publish.
        command(out, &[b"HELLO", b"3"]);
        if let Some(person) = self.person {
            command(out, &[b"SUBSCRIBE", format!("box.{person}").as_bytes()]);
        }
        Ok(())
    }

    fn read(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, reply)) = reply(input)? else { return Ok(None) };
        let event = match &reply {
            Reply::Push(parts) => match parts.as_slice() {
                [kind, _, payload] if kind.bytes() == b"message" => Event::Delivered { stamp: stamp(payload.bytes()) },
                _ if self.ready => Event::Subscribed,
                _ => self.opened(),
            },
            Reply::Number(_) => Event::Accepted,
            _ if self.person.is_none() => self.opened(),
            _ => Event::Nothing,
        };
        Ok(Some((taken, event)))
    }

    fn subscribe(&mut self, topic: u32, out: &mut Vec<u8>) -> Result<(), Wrong> {
        command(out, &[b"SUBSCRIBE", format!("room.{topic}").as_bytes()]);
        Ok(())
    }

    fn publish(&mut self, topic: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        command(out, &[b"PUBLISH", format!("room.{topic}").as_bytes(), payload]);
        Ok(())
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        command(out, &[b"PUBLISH", format!("box.{to}").as_bytes(), payload]);
        Ok(())
    }
}

impl Channels {
    fn opened(&mut self) -> Event {
        self.ready = true;
        Event::Ready
    }
}

/// A link that appends boxes to streams, one stream for each recipient.
#[derive(Default)]
pub struct Appender {
    ready: bool,
}

impl Codec for Appender {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        command(out, &[b"PING"]);
        Ok(())
    }

    fn read(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, _)) = reply(input)? else { return Ok(None) };
        let event = if self.ready { Event::Accepted } else { Event::Ready };
        self.ready = true;
        Ok(Some((taken, event)))
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        command(out, &[b"XADD", stream(to).as_bytes(), b"*", b"b", payload]);
        Ok(())
    }
}

fn stream(person: u32) -> String {
    format!("stream.{person}")
}

/// A link that empties one stream: it reads a page, acknowledges and deletes it, and reads on.
pub struct Emptier {
    stream: String,
    /// Replies that come before the next page: of the two commands that take the last one away, or that make the group.
    answers: usize,
}

impl Emptier {
    pub fn new(person: u32) -> Self {
        Self { stream: stream(person), answers: 2 }
    }

    fn ask(&self, out: &mut Vec<u8>) {
        let stream = self.stream.as_bytes();
        command(out, &[b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", PAGE.as_bytes(), b"STREAMS", stream, b">"]);
    }
}

impl Codec for Emptier {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        // The group of an earlier time knows what it has given out.
        command(out, &[b"XGROUP", b"DESTROY", self.stream.as_bytes(), b"g"]);
        command(out, &[b"XGROUP", b"CREATE", self.stream.as_bytes(), b"g", b"0"]);
        self.ask(out);
        Ok(())
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        let Some((taken, page)) = reply(input)? else { return Ok(None) };
        if self.answers > 0 {
            self.answers -= 1;
            return Ok(Some((taken, Event::Nothing)));
        }
        // One stream of those that were asked for, its name and its entries, each an id and its fields.
        let entries = page.parts().first().and_then(|stream| stream.parts().get(1)).map_or(&[][..], Reply::parts);
        if entries.is_empty() {
            return Ok(Some((taken, Event::Settled)));
        }
        for removal in [&[&b"XACK"[..], self.stream.as_bytes(), b"g"][..], &[b"XDEL", self.stream.as_bytes()]] {
            begin(out, removal.len() + entries.len());
            removal.iter().for_each(|part| argument(out, part));
            entries.iter().for_each(|entry| argument(out, entry.parts().first().map_or(&[][..], Reply::bytes)));
        }
        self.answers = 2;
        self.ask(out);
        Ok(Some((taken, Event::Page { boxes: entries.len() as u32 })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read is acknowledged and deleted before more is asked for, and an empty page is the end.
    #[test]
    fn a_page_is_taken_away_before_the_next() {
        let (mut link, mut out) = (Emptier::new(7), Vec::new());
        link.begin(&[0; 32], &mut out).unwrap();
        out.clear();
        let mut read = |input: &[u8], out: &mut Vec<u8>| link.read(input, out).unwrap().map(|(_, event)| event);
        assert_eq!(read(b":0\r\n", &mut out), Some(Event::Nothing), "no group was there");
        assert_eq!(read(b"+OK\r\n", &mut out), Some(Event::Nothing), "now there is one");
        let entry = |id: &str| format!("*2\r\n$3\r\n{id}\r\n*2\r\n$1\r\nb\r\n$3\r\nbox\r\n");
        let page = format!("*1\r\n*2\r\n$8\r\nstream.7\r\n*2\r\n{}{}", entry("1-0"), entry("2-0"));
        assert_eq!(read(page.as_bytes(), &mut out), Some(Event::Page { boxes: 2 }));
        let mut expected = Vec::new();
        command(&mut expected, &[b"XACK", b"stream.7", b"g", b"1-0", b"2-0"]);
        command(&mut expected, &[b"XDEL", b"stream.7", b"1-0", b"2-0"]);
        assert!(out.starts_with(&expected) && out.len() > expected.len(), "{}", String::from_utf8_lossy(&out));
        for answer in [b":2\r\n", b":2\r\n"] {
            assert_eq!(read(answer, &mut out), Some(Event::Nothing));
        }
        assert_eq!(read(b"*-1\r\n", &mut out), Some(Event::Settled));
    }
}
