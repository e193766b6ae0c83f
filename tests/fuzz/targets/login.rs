//! A link from its first byte on, by somebody who says a hello, may log in, and then sends what they like: genuine requests, bent
//! ones, frames of garbage, and bytes that are no frames. Whatever came, the relay has written nothing but frames, has told nothing of
//! a mailbox to whoever has not signed a login, and is well afterwards.

use std::sync::Arc;

use sealpost_relay::Relay;
use sealpost_relay::connection::{Arrival, Plain, Timing, serve};
use sealpost_relay::store::Memory;
use sealpost_relay::store::memory::ready;
use sealpost_spec::relay::{ClientHello, LinkKind, RelayHello, Request};
use sealpost_spec::wire::{
    Bytes, ClientFrame, LENGTH_PREFIX, MAX_FRAME, RelayFrame, body_length, decode, encode, frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::people::{NOW, couple};
use super::relay::{composed, login, open, populated};
use super::script::Script;

const CHANNEL: [u8; 32] = [9; 32];
/// More acts than this tell nothing new.
const ACTS: u32 = 24;
/// Room for all that is said without anybody's reading it.
const PIPE: usize = 4 * 1024 * 1024;

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let choice = script.byte();
    let relay = Arc::new(populated(choice & 1 != 0));
    let kind = if choice & 2 != 0 { LinkKind::Anonymous } else { LinkKind::Authenticated };
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let arrival =
        Arrival { address: [192, 0, 2, 1].into(), channel: CHANNEL, surplus: false, shard: relay.shard(), guest: None };
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let timing = Timing::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let serving = serve(&relay, Plain(theirs), arrival, &timing, || NOW, stopping);
    let ((), said) = runtime.block_on(async { tokio::join!(serving, client(&relay, ours, kind, script)) });
    let Said { logged_in, asked, orderly, written } = said;
    let mut answered = Vec::new();
    let mut rest = written.as_slice();
    let mut goodbye = false;
    while let Some((prefix, after)) = rest.split_first_chunk::<LENGTH_PREFIX>() {
        assert!(!goodbye, "a goodbye that is not the last");
        let length = body_length(*prefix, MAX_FRAME).expect("a length that is allowed");
        let Some((body, after)) = after.split_at_checked(length) else { break };
        rest = after;
        match decode::<RelayFrame>(body).expect("a frame of the relay") {
            RelayFrame::Answer { id, .. } => answered.push(id),
            RelayFrame::Push(_) => assert!(logged_in, "pushed to somebody who has not logged in"),
            RelayFrame::Goodbye(_) => goodbye = true,
            RelayFrame::Ping(_) | RelayFrame::Redirect(_) => {}
        }
    }
    if orderly && !goodbye {
        answered.sort_unstable();
        assert_eq!(answered, asked, "each request has its answer");
    }
    ready(relay.sweep(NOW)).unwrap().expect("a store that is well");
}

/// What a client did, and what came of it.
struct Said {
    logged_in: bool,
    /// Ids of the requests, in their order.
    asked: Vec<u32>,
    /// It has sent whole frames with requests alone.
    orderly: bool,
    /// All that the relay has said after its hello.
    written: Vec<u8>,
}

async fn client(relay: &Relay<Memory>, mut stream: DuplexStream, kind: LinkKind, mut script: Script<'_>) -> Said {
    let mut said = Said { logged_in: false, asked: Vec::new(), orderly: true, written: Vec::new() };
    let hello = frame(&ClientHello { lowest: 1, highest: 1, kind }.layout()).unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut prefix = [0; LENGTH_PREFIX];
    stream.read_exact(&mut prefix).await.unwrap();
    let mut body = vec![0; body_length(prefix, MAX_FRAME).unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let challenge = RelayHello::parse(&body).unwrap().unwrap().challenge;
    let mut link = open(relay, kind, 0);
    (link.channel, link.challenge) = (CHANNEL, challenge);
    let person = if script.below(2) == 0 { &couple().alice } else { &couple().bob };
    if script.below(4) != 0 && kind == LinkKind::Authenticated {
        let request = Request::Login(login(relay, &link, person, 1));
        said.logged_in = true;
        said.asked.push(0);
        if stream.write_all(&asking(0, &request)).await.is_err() {
            return said;
        }
    }
    for id in 1..=ACTS {
        if script.is_empty() {
            break;
        }
        let bytes = match script.below(8) {
            0 => {
                said.orderly = false;
                let (request, signed) = composed(relay, &link, &mut script);
                said.logged_in |= signed.is_some();
                script.bent(&asking(id, &request))
            }
            1 => {
                said.orderly = false;
                frame(script.some()).unwrap_or_default()
            }
            2 => {
                said.orderly = false;
                script.some().to_vec()
            }
            _ => {
                let (request, signed) = composed(relay, &link, &mut script);
                said.logged_in |= signed.is_some();
                said.asked.push(id);
                asking(id, &request)
            }
        };
        // The relay may have ended the link: what it said before stays to be read.
        if stream.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut said.written).await;
    said
}

fn asking(id: u32, request: &Request) -> Vec<u8> {
    let body = Bytes(encode(request).unwrap_or_default());
    frame(&encode(&ClientFrame::Request { id, work: None, body }).unwrap_or_default()).unwrap_or_default()
}
