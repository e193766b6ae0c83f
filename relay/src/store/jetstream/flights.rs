//! Appends that are under way in this relay. Who reads a log waits for those that began before: so what was offered is
//! read as soon as it is written. [STORE-11]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::names::LogName;
use crate::store::bell::lock;

/// Most that a read waits: where a stream elects its leader, an append takes longer, and nobody was promised it yet.
const WAITS: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Flights {
    state: Mutex<State>,
    landed: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    logs: HashMap<LogName, BTreeSet<u64>>,
}

/// One append; dropping it says that it is over.
pub(super) struct Flight {
    flights: Arc<Flights>,
    log: LogName,
    number: u64,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = lock(&self.flights.state);
        if let Some(flights) = state.logs.get_mut(&self.log) {
            flights.remove(&self.number);
            if flights.is_empty() {
                state.logs.remove(&self.log);
            }
        }
        drop(state);
        self.flights.landed.notify_waiters();
    }
}

impl Flights {
    pub(super) fn begin(self: &Arc<Self>, log: LogName) -> Flight {
        let mut state = lock(&self.state);
        state.next += 1;
        let number = state.next;
        state.logs.entry(log.clone()).or_default().insert(number);
        drop(state);
        Flight { flights: Arc::clone(self), log, number }
    }

    /// Waits until those are over that are under way now.
    pub(super) async fn landed(&self, log: &LogName) {
        let latest = lock(&self.state).next;
        let over = async {
            loop {
                let landed = self.landed.notified();
                tokio::pin!(landed);
                // From now on nothing is missed.
                landed.as_mut().enable();
                let first = lock(&self.state).logs.get(log).and_then(|flights| flights.first().copied());
                if first.is_none_or(|first| first > latest) {
                    return;
                }
                landed.await;
            }
        };
        // Whoever took longer was promised to nobody.
        let _ = timeout(WAITS, over).await;
    }
}
