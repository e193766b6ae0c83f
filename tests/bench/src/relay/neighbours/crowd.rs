//! As many links as there may be, and far more who would like one.
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sealpost_spec::relay::{LinkKind, Refusal, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::link::{Link, address, tcp};
use crate::relay::codec::Wrong;
use crate::relay::tls::{self, Identity};

/// Links from one address, as the relay's limit has it.
const EACH: u32 = 100;
/// How many open at once.
const AT_ONCE: usize = 200;

/// Opens so many links and holds them, answering pings, until it is told to end; then asks something on each. Says how
/// many it holds, and how many answered.
pub async fn holds(relay: SocketAddr, links: u32) -> Result<(), Wrong> {
    let tls = tls::config(Identity::RawKey)?;
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let (told, _) = tokio::sync::watch::channel(false);
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let held = Rc::new(Cell::new(0_u32));
    let mut tasks = JoinSet::new();
    let (done, mut opened) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..links {
        let (tls, gate, held, done, mut told) =
            (tls.clone(), Arc::clone(&gate), Rc::clone(&held), done.clone(), told.subscribe());
        tasks.spawn_local(async move {
            let place = gate.acquire().await.ok()?;
            let stream = tcp(relay, address(number / EACH), None).await;
            let link = match stream {
                Some(stream) => Link::open(stream, &tls, LinkKind::Anonymous).await,
                None => None,
            };
            drop(place);
            let _ = done.send(());
            let mut link = link?;
            held.set(held.get() + 1);
            tokio::select! {
                _ = link.hears() => return None,
                _ = told.wait_for(|told| *told) => {}
            }
            link.says(&Request::FetchDevices("nobody".parse().ok()?)).await?;
            // Without work there is a price: an answer as good as any.
            matches!(link.answered().await?, Err(Refusal::WorkNeeded { .. })).then_some(())
        });
    }
    for _ in 0..links {
        opened.recv().await;
    }
    println!("{}", held.get());
    end.recv().await;
    told.send_replace(true);
    let mut answered = 0;
    while let Some(task) = tasks.join_next().await {
        answered += u32::from(matches!(task, Ok(Some(()))));
    }
    println!("{answered}");
    Ok(())
}

/// Tries to open so many links more; says how many were closed before any TLS, how many after, and how many stand.
pub async fn tries(relay: SocketAddr, attempts: u32, addresses: u32) -> Result<(), Wrong> {
    let tls = tls::config(Identity::RawKey)?;
    let first_flight = {
        let mut connection = tls::connection(&tls)?;
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes)?;
        Rc::new(bytes)
    };
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let (shed, answered) = (Rc::new(Cell::new(0_u32)), Rc::new(Cell::new(0_u32)));
    let mut tasks = JoinSet::new();
    for number in 0..attempts {
        let place = Arc::clone(&gate).acquire_owned().await.map_err(|_| Wrong::new("the gate is shut"))?;
        while tasks.try_join_next().is_some() {}
        let (shed, answered, first_flight) = (Rc::clone(&shed), Rc::clone(&answered), Rc::clone(&first_flight));
        tasks.spawn_local(async move {
            let _place = place;
            let stream = tcp(relay, address(1_000 + number % addresses), None).await;
            let read = match stream {
                Some(mut stream) => {
                    // A first flight, and no second: what is not shed for want of room would be cut off in time.
                    let _ = stream.write_all(&first_flight).await;
                    let mut buffer = [0; 512];
                    timeout(Duration::from_secs(30), stream.read(&mut buffer)).await
                }
                None => Ok(Ok(0)),
            };
            let counter = if matches!(read, Ok(Ok(1..))) { answered } else { shed };
            counter.set(counter.get() + 1);
        });
    }
    while tasks.join_next().await.is_some() {}
    println!("{} {}", shed.get(), answered.get());
    Ok(())
}
