//! What relays tell each other, over core NATS: each begins with the number of who tells, who hears it too.

use std::sync::Arc;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::names::Names;
use crate::store::Neighbours;

/// Bytes of a relay's number.
const NUMBER: usize = 8;
/// News that wait to be heard, and to be told; beyond that they are lost, as they may be.
const WAITING: usize = 4_096;

/// The place at which news are told and heard, until somebody asks for it.
pub(super) struct Board {
    client: Client,
    subject: String,
    heard: Subscriber,
}

impl Board {
    pub(super) async fn open(client: &Client, names: &Names) -> Result<Self, async_nats::Error> {
        let subject = names.news();
        Ok(Self { client: client.clone(), heard: client.subscribe(subject.clone()).await?, subject })
    }

    /// Begins to carry them.
    pub(super) fn begin(self, runtime: &Handle) -> Neighbours {
        let Self { client, subject, heard: mut news } = self;
        let own: [u8; NUMBER] = rand::random();
        let (told, mut telling) = mpsc::channel::<Vec<u8>>(WAITING);
        runtime.spawn(async move {
            while let Some(news) = telling.recv().await {
                // Where there is no connection it is lost, as it may be.
                let _ = client.publish(subject.clone(), [own.as_slice(), &news].concat().into()).await;
            }
        });
        let (hear, heard) = mpsc::channel(WAITING);
        runtime.spawn(async move {
            while let Some(message) = news.next().await {
                let others = message.payload.len() >= NUMBER && !message.payload.starts_with(&own);
                if others && hear.try_send(message.payload.slice(NUMBER..)).is_err() && hear.is_closed() {
                    return;
                }
            }
        });
        let tell = move |news: Vec<u8>| {
            let _ = told.try_send(news);
        };
        Neighbours { tell: Arc::new(tell), heard }
    }
}
