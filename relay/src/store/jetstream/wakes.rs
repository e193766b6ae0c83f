//! Wakes: the stream's leader says in core NATS what it has stored, and every relay hears all of it. [STORE-7]
//!
//! That is said once, and to whoever listens at that moment. So where it may have been missed (the connection was away, or
//! had too much to carry; the stream changed its leader), every bell rings, and each rings now and then in any case.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use tokio::sync::mpsc;
use tokio::time::interval;

use super::names::{KINDS, Names, woken};
use crate::store::bell::Bells;

/// Within so many turns every bell rings once.
const TURNS: u64 = 30;
/// Between two turns.
const TURN: Duration = Duration::from_secs(1);

/// What a relay listens to.
pub(super) struct Ears {
    wakes: Subscriber,
    elections: Vec<Subscriber>,
}

impl Ears {
    /// Begins to listen; what is appended from the next request on is heard.
    pub(super) async fn open(client: &Client, names: &Names) -> Result<Self, async_nats::Error> {
        let wakes = client.subscribe(names.all("wake")).await?;
        let mut elections = Vec::new();
        for kind in KINDS {
            let elected = format!("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.{}", names.stream(kind));
            elections.push(client.subscribe(elected).await?);
        }
        client.flush().await?;
        Ok(Self { wakes, elections })
    }

    /// Rings for ever. `missed`: something may have been missed.
    pub(super) async fn listen(self, bells: Bells, mut missed: mpsc::Receiver<()>) {
        let Self { mut wakes, elections } = self;
        let mut elections = select_all(elections);
        let mut turns = interval(TURN);
        let mut turn = 0;
        loop {
            tokio::select! {
                wake = wakes.next() => match wake {
                    Some(wake) => if let Some(place) = woken(&wake.subject) { bells.ring(&place) },
                    None => return,
                },
                Some(_) = elections.next() => bells.ring_those(|_| true),
                heard = missed.recv() => match heard {
                    Some(()) => bells.ring_those(|_| true),
                    None => return,
                },
                _ = turns.tick() => {
                    turn = (turn + 1) % TURNS;
                    bells.ring_those(|log| {
                        let mut hasher = DefaultHasher::new();
                        log.hash(&mut hasher);
                        hasher.finish() % TURNS == turn
                    });
                }
            }
        }
    }
}
