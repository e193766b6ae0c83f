//! As much of one thing as a relay answers, from many addresses, until it is told to end.
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;
use sealpost_spec::mailbox::{Envelope, EnvelopeId};
use sealpost_spec::relay::{LinkKind, Request};
use sealpost_spec::wire::Bytes;
use tokio::task::JoinSet;

use super::link::{Link, address, framed, tcp};
use crate::relay::codec::Wrong;
use crate::relay::sealpost::people::Person;
use crate::relay::tls::{self, Identity};

/// Addresses, with [`LINKS`] each.
const ADDRESSES: u32 = 50;
const LINKS: u32 = 4;
/// Requests under way on each link.
const WINDOW: usize = 8;

/// What there may be too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Flood {
    /// TLS handshakes, each closed at once.
    Handshakes,
    /// Registrations whose login is signed for another link: every signature before it is checked.
    Registrations,
    /// Device lists, without work.
    Lookups,
    /// Bundles, without work.
    Bundles,
    /// Boxes with the recipient's token, for somebody who is away.
    Deliveries,
}

/// Floods until TERM; says how many were answered, and how many of these refused.
pub async fn floods(relay: SocketAddr, what: Flood) -> Result<(), Wrong> {
    let tls = tls::config(Identity::RawKey)?;
    let (answered, refused) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut tasks = JoinSet::new();
    for number in 0..ADDRESSES * LINKS {
        let (tls, answered, refused) = (tls.clone(), Rc::clone(&answered), Rc::clone(&refused));
        tasks.spawn_local(async move {
            // Whose link is closed comes again.
            loop {
                if one(relay, what, number, &tls, &answered, &refused).await.is_none() {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    println!("begun");
    end.recv().await;
    println!("{} {}", answered.get(), refused.get());
    Ok(())
}

async fn one(
    relay: SocketAddr,
    what: Flood,
    number: u32,
    tls: &Arc<ClientConfig>,
    answered: &Cell<u64>,
    refused: &Cell<u64>,
) -> Option<()> {
    let tcp = tcp(relay, address(2_000 + number / LINKS), None).await?;
    let kind = if what == Flood::Registrations { LinkKind::Authenticated } else { LinkKind::Anonymous };
    let mut link = Link::open(tcp, tls, kind).await?;
    if what == Flood::Handshakes {
        answered.set(answered.get() + 1);
        return Some(());
    }
    let mut ids = 0_u64;
    let request = |ids: u64| -> Option<Request> {
        Some(match what {
            Flood::Registrations => {
                Request::Register(Person::new(50_000 + number).registration(&[7; 32], &[8; 32], &[9; 32]))
            }
            Flood::Lookups => Request::FetchDevices("p0".parse().ok()?),
            Flood::Bundles => Request::FetchBundle("p0".parse().ok()?),
            Flood::Deliveries | Flood::Handshakes => {
                let to = Person::new(4);
                let mut id = [0; 16];
                id[..4].copy_from_slice(&number.to_le_bytes());
                id[4..12].copy_from_slice(&ids.to_le_bytes());
                let sealed = Bytes(vec![5; 6 * 1024]);
                let envelope = Envelope { mailbox: to.mailbox(), id: EnvelopeId(id), sealed };
                Request::Deliver { token: Some(to.token), envelope }
            }
        })
    };
    // Made once: what is flooded with is cheap for who floods.
    let same = framed(1, &request(0)?)?;
    let next = |ids: &mut u64| {
        *ids += 1;
        if what == Flood::Deliveries { framed(1, &request(*ids)?) } else { Some(same.clone()) }
    };
    for _ in 0..WINDOW {
        link.sends(&next(&mut ids)?).await?;
    }
    loop {
        let answer = link.answered().await?;
        answered.set(answered.get() + 1);
        refused.set(refused.get() + u64::from(answer.is_err()));
        link.sends(&next(&mut ids)?).await?;
    }
}
