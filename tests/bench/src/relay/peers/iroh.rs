//! iroh-relay: forwards datagrams to whoever has a key, and keeps nothing.
pub mod frames;

use std::process::Command;

use ed25519_dalek::SigningKey;

use super::{Certificate, tls_config};
use crate::relay::codec::{Codec, Event, Wrong, stamp};
use crate::relay::host::{Clients, Host, Process, Site, free_port, installed, listening};
use crate::relay::row::Start;
use frames::{Frame, authenticate, next, pong, send, upgrade, upgraded};

/// iroh-relay, without what it has beside the relay.
pub fn datagrams(tls: bool) -> Start {
    Box::new(move |site| start(site, tls))
}

fn start(site: &Site, tls: bool) -> Result<Option<Host>, Wrong> {
    let Some(program) = installed("iroh-relay") else { return Ok(None) };
    let (folder, http, https) = (site.folder("iroh-relay")?, free_port()?, free_port()?);
    let certificate = match tls {
        true => {
            let Certificate { chain, key } = Certificate::new(&folder)?;
            let paths = format!("manual_cert_path = {chain:?}\nmanual_key_path = {key:?}");
            format!("[tls]\nhttps_bind_addr = \"127.0.0.1:{https}\"\ncert_mode = \"Manual\"\n{paths}")
        }
        false => String::new(),
    };
    let config = folder.join("iroh-relay.toml");
    let relay = format!("http_bind_addr = \"127.0.0.1:{http}\"\nenable_metrics = false");
    std::fs::write(&config, format!("{relay}\n{certificate}\n"))?;
    let process = Process::start("iroh-relay", Command::new(program).arg("--config-path").arg(&config))?;
    let address = listening(if tls { https } else { http }, "iroh-relay")?;
    Ok(Some(Host { process, address, tls: tls_config(tls)?, clients: Box::new(DatagramClients) }))
}

struct DatagramClients;

impl Clients for DatagramClients {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("iroh-relay has no topics"))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("iroh-relay has no topics"))
    }

    fn person(&self, number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Ok(Box::new(Datagrams::new(number)))
    }
}

/// A link of one person.
pub struct Datagrams {
    key: SigningKey,
    /// The HTTP part is over.
    open: bool,
    /// To whom the last box went: whoever writes to one person computes one key.
    last: Option<(u32, [u8; 32])>,
}

impl Datagrams {
    pub fn new(person: u32) -> Self {
        Self { key: key(person), open: false, last: None }
    }
}

/// A person's key, the same in every run.
fn key(person: u32) -> SigningKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&person.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

impl Codec for Datagrams {
    fn begin(&mut self, _channel: &[u8; 32], out: &mut Vec<u8>) -> Result<(), Wrong> {
        upgrade(out);
        Ok(())
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<(usize, Event)>, Wrong> {
        if !self.open {
            let head = upgraded(input)?;
            self.open = head.is_some();
            return Ok(head.map(|head| (head, Event::Nothing)));
        }
        let Some((taken, frame)) = next(input)? else { return Ok(None) };
        let event = match frame {
            Frame::Datagram(payload) => Event::Delivered { stamp: stamp(payload) },
            Frame::Challenge(challenge) => {
                authenticate(out, &self.key, challenge);
                Event::Nothing
            }
            Frame::Welcome => Event::Ready,
            Frame::Ping(number) => {
                pong(out, number);
                Event::Nothing
            }
            Frame::Other => Event::Nothing,
        };
        Ok(Some((taken, event)))
    }

    fn send(&mut self, to: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Wrong> {
        let key = match self.last {
            Some((last, key)) if last == to => key,
            _ => key(to).verifying_key().to_bytes(),
        };
        self.last = Some((to, key));
        send(out, &key, payload);
        Ok(())
    }
}
