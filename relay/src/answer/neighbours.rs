//! Relays that share a store tell each other who is with them and whose links are over. What they decide stands in the
//! store; this makes it quick. What is lost of it is told again, or found by the next sweep.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost_spec::account::{DeviceId, Name};
use sealpost_spec::relay::Refusal;
use sealpost_spec::wire::{decode, encode};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Relay;
use crate::store::bell::lock;
use crate::store::{Fault, Neighbours, Store};

/// Between two times that a relay tells who is with it.
const TELLS: Duration = Duration::from_secs(15);
/// Who has told nothing for so long is not there.
const SILENT: Duration = Duration::from_secs(50);
/// Between two times that it counts again what files take, which other relays change too.
const COUNTS: Duration = Duration::from_secs(600);
/// Names that are told at once.
const NAMES: usize = 500;
/// Most relays that are listened to, and most names of each.
const MOST: usize = 64;
const MOST_NAMES: usize = 200_000;

/// What a relay tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum News {
    /// A device has logged in there: its other links are over. [RELAY-6]
    Entered { name: Name, device: DeviceId },
    /// No link of this account is there any more.
    Left { name: Name },
    /// The links of an account, or of one of its devices, are over.
    Ended { name: Name, device: Option<DeviceId>, reason: Refusal },
    /// Some of those who are there; with the last of them, whoever was not named since the first is not.
    Here { names: Vec<Name>, first: bool, last: bool },
    /// The operator has decided something that stands in the store.
    Decided,
}

/// News, and the random number of the relay that tells them.
#[derive(Serialize, Deserialize)]
struct Told {
    relay: u64,
    news: News,
}

/// Who is logged in at other relays, as they have told.
#[derive(Default)]
pub(super) struct Elsewhere(Mutex<HashMap<u64, Roll>>);

struct Roll {
    heard: Instant,
    names: HashSet<Name>,
    /// Named since the beginning of what is being told.
    named: HashSet<Name>,
}

impl Elsewhere {
    pub(super) fn has(&self, name: &Name) -> bool {
        lock(&self.0).values().any(|roll| roll.heard.elapsed() < SILENT && roll.names.contains(name))
    }

    /// Takes what a relay tells of who is with it.
    fn hear(&self, relay: u64, news: &News) {
        let mut rolls = lock(&self.0);
        rolls.retain(|_, roll| roll.heard.elapsed() < SILENT);
        if rolls.len() >= MOST && !rolls.contains_key(&relay) {
            return;
        }
        let new = || Roll { heard: Instant::now(), names: HashSet::new(), named: HashSet::new() };
        let roll = rolls.entry(relay).or_insert_with(new);
        roll.heard = Instant::now();
        match news {
            News::Entered { name, .. } if roll.names.len() < MOST_NAMES => {
                roll.named.insert(name.clone());
                roll.names.insert(name.clone());
            }
            News::Left { name } => {
                roll.named.remove(name);
                roll.names.remove(name);
            }
            News::Here { names, first, last } => {
                if *first {
                    roll.named.clear();
                }
                if roll.named.len() < MOST_NAMES {
                    roll.named.extend(names.iter().cloned());
                }
                if *last {
                    roll.names = std::mem::take(&mut roll.named);
                }
            }
            _ => {}
        }
    }
}

impl<S: Store> Relay<S> {
    /// Tells the other relays of the store, and hears them, until this one is to stop. Where there are none, nothing.
    pub(crate) async fn has_neighbours(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let Some(Neighbours { tell, mut heard }) = self.store.neighbours() else { return };
        let own = rand::random();
        self.presence.tells(Box::new(move |news| tell(encode(&Told { relay: own, news }).unwrap_or_default())));
        let (mut tells, mut counts) = (interval(TELLS), interval(COUNTS));
        tells.set_missed_tick_behavior(MissedTickBehavior::Delay);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // At the start they were counted.
        counts.tick().await;
        loop {
            tokio::select! {
                told = heard.recv() => match told.map(|told| decode::<Told>(&told)) {
                    Some(Ok(Told { relay, news })) => self.hear(relay, news).await,
                    // Of a newer version, perhaps.
                    Some(Err(_)) => {}
                    None => return,
                },
                _ = tells.tick() => self.tell_who_is_here(),
                _ = counts.tick() => if let Err(fault) = self.count_blobs().await { self.internal(&fault); },
                () = over(&mut stopping) => return,
            }
        }
    }

    /// Does what another relay tells.
    async fn hear(&self, relay: u64, news: News) {
        self.presence.elsewhere().hear(relay, &news);
        match news {
            News::Entered { name, device } => _ = self.presence.end_here(&name, Some(device), &Refusal::Replaced),
            News::Ended { name, device, reason } => _ = self.presence.end_here(&name, device, &reason),
            News::Decided => {
                if let Err(fault) = self.remember_exceptions().await {
                    self.internal(&Fault::Backend(format!("what the operator has decided was not read: {fault}")));
                }
            }
            News::Left { .. } | News::Here { .. } => {}
        }
    }

    fn tell_who_is_here(&self) {
        let here = self.presence.here();
        let mut some: Vec<&[Name]> = here.chunks(NAMES).collect();
        if some.is_empty() {
            some.push(&[]);
        }
        let end = some.len() - 1;
        for (at, names) in some.into_iter().enumerate() {
            self.presence.tell(|| News::Here { names: names.to_vec(), first: at == 0, last: at == end });
        }
    }
}

/// Resolves when the relay is to stop.
async fn over(stopping: &mut watch::Receiver<bool>) {
    // An error says that it is gone.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// Whoever a relay names is there until it names others, or falls silent; one relay says nothing of another's.
    #[tokio::test(start_paused = true)]
    async fn a_roll_is_as_new_as_its_relay() {
        let elsewhere = Elsewhere::default();
        let has = |name: &str| elsewhere.has(&name.parse().unwrap());
        let here = |list: &[&str], first, last| News::Here { names: names(list), first, last };
        elsewhere.hear(1, &here(&["alice"], true, false));
        assert!(!has("alice"), "it has not told all yet");
        elsewhere.hear(1, &here(&["bob"], false, true));
        elsewhere.hear(2, &here(&["carol"], true, true));
        assert!(has("alice") && has("bob") && has("carol"));
        elsewhere.hear(1, &here(&["bob"], true, true));
        assert!(!has("alice") && has("bob") && has("carol"));
        elsewhere.hear(1, &News::Left { name: "bob".parse().unwrap() });
        elsewhere.hear(1, &News::Entered { name: "dave".parse().unwrap(), device: DeviceId(1) });
        assert!(!has("bob") && has("dave"));
        tokio::time::advance(SILENT).await;
        assert!(!has("dave") && !has("carol"));
    }

    /// News come back as they were told.
    #[test]
    fn news_travel() {
        let reason = Refusal::Kicked { reason: "enough".to_owned() };
        for news in [
            News::Decided,
            News::Ended { name: "bob".parse().unwrap(), device: Some(DeviceId(7)), reason },
            News::Here { names: names(&["alice"]), first: true, last: false },
        ] {
            let told = encode(&Told { relay: 9, news: news.clone() }).unwrap();
            let Told { relay, news: there } = decode(&told).unwrap();
            assert_eq!((relay, there), (9, news));
        }
    }
}
