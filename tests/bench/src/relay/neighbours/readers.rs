//! Links that follow a room and stop reading, and read everything in the end.
use std::net::SocketAddr;
use std::time::Duration;

use sealpost_spec::mailbox::{Push, Seq};
use sealpost_spec::relay::{Answer, LinkKind, Request};
use sealpost_spec::room::RoomName;
use sealpost_spec::wire::RelayFrame;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::link::{Link, address, tcp};
use crate::relay::codec::Wrong;
use crate::relay::sealpost::people::Person;
use crate::relay::sealpost::public_key;
use crate::relay::tls::{self, Identity};

/// What a slow reader's kernel keeps for it: little, so that the relay notices soon.
const RECEIVE_BUFFER: u32 = 16 * 1024;
/// How long nothing new comes before a reader holds that it has everything.
const QUIET: Duration = Duration::from_secs(20);

/// People of these numbers follow the room of the play from its beginning and read nothing until TERM; then each reads until nothing
/// more comes, over new links where the relay has closed the old ones. Says "ready", and then how many posts each has
/// got at least, and how many links the relay had closed.
pub async fn stop(relay: SocketAddr, people: std::ops::Range<u32>) -> Result<(), Wrong> {
    let tls = tls::config(Identity::RawKey)?;
    let key = public_key(relay, &tls)?;
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let (told, _) = tokio::sync::watch::channel(false);
    let (ready, mut readied) = tokio::sync::mpsc::unbounded_channel();
    let count = people.len();
    let mut tasks = JoinSet::new();
    for number in people {
        let (tls, ready, mut told) = (tls.clone(), ready.clone(), told.subscribe());
        tasks.spawn_local(async move {
            let person = Person::new(number);
            let (mut posts, mut after, mut closed, mut last) = (0_u64, Seq(0), 0_u32, Seq(0));
            loop {
                let stream = tcp(relay, address(3_000 + number), Some(RECEIVE_BUFFER)).await?;
                let mut link = Link::open(stream, &tls, LinkKind::Authenticated).await?;
                link.says(&Request::Login(person.login(&key, &link.channel, &link.hello.challenge))).await?;
                link.answered().await?.ok()?;
                let room = room(&mut link).await?;
                link.says(&Request::Follow { room, after }).await?;
                link.answered().await?.ok()?;
                let _ = ready.send(());
                told.wait_for(|told| *told).await.ok()?;
                loop {
                    match timeout(QUIET, link.hears()).await {
                        Ok(Some(RelayFrame::Push(Push::Post { seq, .. }))) => {
                            // In order, each once.
                            (seq > last).then_some(())?;
                            (last, after, posts) = (seq, seq, posts + 1);
                        }
                        Ok(Some(RelayFrame::Goodbye(_)) | None) => break closed += 1,
                        Ok(Some(_)) => {}
                        Err(_) => return Some((posts, closed)),
                    }
                }
            }
        });
    }
    for _ in 0..count {
        readied.recv().await;
    }
    println!("ready");
    end.recv().await;
    told.send_replace(true);
    let (mut least, mut closed) = (u64::MAX, 0);
    while let Some(task) = tasks.join_next().await {
        let Ok(Some((posts, ended))) = task else { return Err(Wrong::new("a slow reader lost something")) };
        least = least.min(posts);
        closed += ended;
    }
    println!("{least} {closed}");
    Ok(())
}

/// The room that the publisher of the play has made.
async fn room(link: &mut Link) -> Option<RoomName> {
    link.says(&Request::Rooms { after: None }).await?;
    let Answer::Rooms(rooms) = link.answered().await?.ok()? else { return None };
    rooms.into_iter().map(|room| room.room).find(|room| *room != RoomName::lobby())
}
