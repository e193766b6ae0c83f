//! Handshakes under way: a bounded number, and who makes room where a newcomer finds none.
//!
//! A stranger can open connections faster than any deadline ends them. So a newcomer is never turned away for their
//! sake: the oldest of them makes room, of the address that has the most, and first one that has not even said which
//! TLS it speaks. Who means it says that at once, and is through before its turn comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::metrics::{METRICS, Raised};
use crate::quota::Prefix;
use crate::store::bell::lock;

/// For so long nobody has to make room: the first flight of an honest client is under way.
const GRACE: Duration = Duration::from_millis(50);

/// So many handshakes at once are no crowd: they take some milliseconds together.
const CROWD: usize = 32;

/// All handshakes that are under way.
#[derive(Clone, Default)]
pub(super) struct Handshakes {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// The oldest first.
    peers: Vec<Peer>,
}

struct Peer {
    number: u64,
    from: Prefix,
    since: Instant,
    /// Its first flight has come.
    begun: bool,
    /// Dropped where it makes room.
    _stays: oneshot::Sender<()>,
    _counted: Raised<'static>,
}

/// A place for one handshake; dropping it frees it.
pub(super) struct Turn {
    number: u64,
    handshakes: Handshakes,
}

/// Resolves when its peer has to make room.
pub(super) struct Lost(oneshot::Receiver<()>);

impl Lost {
    pub(super) async fn lost(self) {
        // An error is what was waited for: nothing is ever sent.
        let _ = self.0.await;
    }
}

impl Handshakes {
    /// A turn for a newcomer; or when to ask again, where all are too young to make room. `most`: so many at once, one
    /// at least.
    pub(super) fn enter(&self, from: Prefix, most: usize) -> Result<(Turn, Lost), Instant> {
        let mut waiting = lock(&self.waiting);
        if waiting.peers.len() >= most.max(1)
            && let Some(at) = waiting.oldest_of_most()
        {
            if let Some(peer) = waiting.peers.get(at).filter(|peer| peer.since.elapsed() < GRACE) {
                return Err(peer.since + GRACE);
            }
            waiting.peers.remove(at);
        }
        waiting.next += 1;
        let (_stays, lost) = oneshot::channel();
        let number = waiting.next;
        let _counted = METRICS.handshakes.raise();
        waiting.peers.push(Peer { number, from, since: Instant::now(), begun: false, _stays, _counted });
        Ok((Turn { number, handshakes: self.clone() }, Lost(lost)))
    }
}

impl Handshakes {
    /// Whether this is a crowd.
    pub(super) fn many(&self) -> bool {
        lock(&self.waiting).peers.len() > CROWD
    }
}

impl Waiting {
    /// The oldest peer of the address that has the most, among those who have said nothing where there are such.
    fn oldest_of_most(&self) -> Option<usize> {
        let silent = self.peers.iter().any(|peer| !peer.begun);
        let mut of: HashMap<Prefix, (usize, usize)> = HashMap::new();
        for (at, peer) in self.peers.iter().enumerate().filter(|(_, peer)| !(silent && peer.begun)) {
            of.entry(peer.from).or_insert((0, at)).0 += 1;
        }
        of.into_values().max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest))).map(|(_, oldest)| oldest)
    }
}

impl Turn {
    /// Its first flight has come.
    pub(super) fn begun(&self) {
        let mut waiting = lock(&self.handshakes.waiting);
        waiting.peers.iter_mut().filter(|peer| peer.number == self.number).for_each(|peer| peer.begun = true);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.handshakes.waiting).peers.retain(|peer| peer.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const MOST: usize = 4;

    fn from(last: u8) -> Prefix {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn entered(handshakes: &Handshakes, of: u8) -> (Turn, Lost) {
        let Ok(turn) = handshakes.enter(from(of), MOST) else { panic!("a turn") };
        turn
    }

    fn gone(lost: &mut Lost) -> bool {
        matches!(lost.0.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    /// [RELAY-15] [THREAT-21] a crowd from one address costs nobody else a turn, and one who has begun goes last.
    #[tokio::test(start_paused = true)]
    async fn the_crowd_makes_room() {
        let handshakes = Handshakes::default();
        let (_honest, mut honest) = entered(&handshakes, 1);
        let (begun, mut started) = entered(&handshakes, 2);
        begun.begun();
        let mut crowd = vec![entered(&handshakes, 2), entered(&handshakes, 2)];
        assert_eq!(
            handshakes.enter(from(3), MOST).err().map(|at| at - Instant::now()),
            Some(GRACE),
            "nobody is old enough"
        );
        for _ in 0..20 {
            tokio::time::advance(GRACE).await;
            crowd.push(entered(&handshakes, 2));
        }
        assert!(!gone(&mut honest) && !gone(&mut started));
        let stay = crowd.iter_mut().filter_map(|(_, lost)| (!gone(lost)).then_some(())).count();
        assert_eq!((stay, lock(&handshakes.waiting).peers.len()), (2, 4));
        drop(crowd);
        assert_eq!(lock(&handshakes.waiting).peers.len(), 2);
        // Where all have begun, the oldest of the most does.
        let (second, _second) = entered(&handshakes, 2);
        second.begun();
        let (_other, _) = entered(&handshakes, 1);
        _honest.begun();
        _other.begun();
        tokio::time::advance(GRACE).await;
        let (_third, _) = entered(&handshakes, 3);
        assert!(gone(&mut honest) != gone(&mut started), "one of the two oldest");
    }
}
