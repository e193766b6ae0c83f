//! A relay's folder with many accounts and boxes that wait, filled without a socket: many requests are answered at once,
//! so that they share commits.
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sealpost_relay::folder::Folder;
use sealpost_relay::quota::Rates;
use sealpost_relay::store::{Sqlite, Store};
use sealpost_relay::{Caller, Peer, Relay, Rules};
use sealpost_spec::mailbox::{Envelope, EnvelopeId};
use sealpost_spec::relay::{ClientHello, LinkKind, RelayHello, Request, WorkPrice};
use sealpost_spec::wire::{Bytes, VERSION, encode};
use tokio::task::JoinSet;

use super::people::Person;
use crate::people::dice;
use crate::relay::codec::Wrong;

/// Requests that are answered at once.
const AT_ONCE: usize = 256;
const CHANNEL: [u8; 32] = [9; 32];

/// Who is registered, and what waits for them.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    /// People for whom nothing waits: those who are measured.
    pub free: u32,
    /// People for whom boxes wait.
    pub accounts: u32,
    /// How many for each, of this size.
    pub boxes: u32,
    pub bytes: usize,
}

impl Filling {
    /// Everybody, in the order of registration: those who are measured stand between the others.
    fn order(self) -> Vec<u32> {
        let (free, all) = (self.free as usize, (self.free + self.accounts) as usize);
        let mut order: Vec<u32> = (self.free..self.free + self.accounts).collect();
        for person in 0..self.free {
            order.insert((person as usize * all / free.max(1)).min(order.len()), person);
        }
        order
    }
}

/// Fills a folder, unless it was filled in the same way before.
pub fn fill(data: &Path, filling: Filling) -> Result<(), Wrong> {
    let (mark, what) = (data.with_extension("filled"), format!("{filling:?}"));
    if std::fs::read_to_string(&mark).is_ok_and(|before| before == what) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(filled(data, filling))?;
    Ok(std::fs::write(mark, what)?)
}

async fn filled(data: &Path, filling: Filling) -> Result<(), Wrong> {
    let wrong = |error: &dyn std::fmt::Display| Wrong(format!("{}: {error}", data.display()));
    let folder = Folder::open(data).map_err(|error| wrong(&error))?;
    let store = Sqlite::open(&folder.store()).map_err(|error| wrong(&error))?;
    let secret = folder.key().map_err(|error| wrong(&error))?;
    let rules = Rules { work: WorkPrice { fetch: 0, deliver: 0 }, rates: Rates::unlimited(), ..Rules::default() };
    let relay = Relay::new(store, secret, rules, dice(3)).await.map_err(|error| wrong(&error))?;
    let (relay, order, next) = (Arc::new(relay), Arc::new(filling.order()), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (relay, order, next) = (Arc::clone(&relay), Arc::clone(&order), Arc::clone(&next));
        tasks.spawn(async move {
            while let Some(person) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let boxes = if *person < filling.free { 0 } else { filling.boxes };
                add(&relay, *person, boxes, filling.bytes).await?;
            }
            Ok::<_, Wrong>(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Registers a person, to whom so many boxes are then sent.
async fn add<S: Store>(relay: &Relay<S>, number: u32, boxes: u32, bytes: usize) -> Result<(), Wrong> {
    let person = Person::new(number);
    let (mut caller, challenge) = link(relay, LinkKind::Authenticated)?;
    let registration = person.registration(relay.public_key(), &CHANNEL, &challenge);
    ask(relay, &mut caller, &Request::Register(registration)).await?;
    let (mailbox, token) = (person.mailbox(), person.token);
    drop(caller);
    let (mut caller, _) = link(relay, LinkKind::Anonymous)?;
    for number in 1..=u64::from(boxes) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let envelope = Envelope { mailbox, id: EnvelopeId(id), sealed: Bytes(vec![7; bytes]) };
        ask(relay, &mut caller, &Request::Deliver { token: Some(token), envelope }).await?;
    }
    Ok(())
}

fn link<S: Store>(relay: &Relay<S>, kind: LinkKind) -> Result<(Caller, [u8; 32]), Wrong> {
    let hello = ClientHello { lowest: VERSION, highest: VERSION, kind };
    let peer = Peer { address: IpAddr::from([127, 0, 0, 1]), channel: CHANNEL };
    let (reply, caller) = relay.hello(now(), &hello, peer);
    match (RelayHello::parse(&reply), caller) {
        (Ok(Ok(hello)), Some(caller)) => Ok((caller, hello.challenge)),
        _ => Err(Wrong::new("the relay speaks another version")),
    }
}

async fn ask<S: Store>(relay: &Relay<S>, caller: &mut Caller, request: &Request) -> Result<(), Wrong> {
    let body = encode(request).ok_or_else(|| Wrong::new("a request is too long"))?;
    let answer = relay.handle(now(), caller, None, &body).await;
    answer.map(drop).map_err(|refusal| Wrong(format!("the relay refuses: {refusal:?}")))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody is registered once, and who is measured stands between the others.
    #[test]
    fn who_is_measured_stands_between_the_others() {
        let mut order = Filling { free: 2, accounts: 4, boxes: 1, bytes: 1 }.order();
        assert_eq!(order, [0, 2, 3, 1, 4, 5]);
        order = Filling { free: 200, accounts: 1_000, boxes: 1, bytes: 1 }.order();
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1_200));
    }
}
