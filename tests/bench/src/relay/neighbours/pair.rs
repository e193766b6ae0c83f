//! Two people who write to each other while others do what they can to be in their way.
use std::time::Duration;

use crate::relay::clock::nanos;
use crate::relay::codec::{Event, STAMP, Wrong};
use crate::relay::engine::{Engine, LinkId};
use crate::relay::host::Host;
use crate::relay::play::noise;
use crate::relay::row::Latencies;

/// Between a box and the next one.
const PACE: Duration = Duration::from_millis(5);
/// For a box to come and to be accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// A box every [`PACE`], the next one not before the last has come and was accepted.
pub struct Pair {
    engine: Engine,
    sends: LinkId,
    payload: Vec<u8>,
}

/// What the pair waited for, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// How many boxes.
    pub boxes: u64,
    /// Until the box was there.
    pub delivered: (f64, f64),
    /// Until its sender knew that it was accepted.
    pub accepted: (f64, f64),
}

impl Pair {
    /// People 0 and 1 of this relay.
    pub fn open(host: &Host) -> Result<Self, Wrong> {
        let mut engine = Engine::new()?;
        host.open(&mut engine, host.clients.person(1)?)?;
        let codec = host.clients.sender(0, 1)?.ok_or_else(|| Wrong::new("no link to send on"))?;
        let sends = host.open(&mut engine, codec)?;
        let mut ready = 0;
        engine.until(PATIENCE, "the pair's links", |_, heard| {
            ready += heard.iter().filter(|heard| heard.what == Event::Ready).count();
            Ok(ready == 2)
        })?;
        Ok(Self { engine, sends, payload: noise(6 * 1024) })
    }

    /// Writes for so long.
    pub fn talks(&mut self, span: Duration) -> Result<Waited, Wrong> {
        let (mut delivered, mut accepted) = (Latencies::default(), Latencies::default());
        let (began, span) = (nanos(), u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        let mut boxes = 0;
        while nanos() < began + span {
            let sent = nanos();
            if let Some(stamp) = self.payload.first_chunk_mut::<STAMP>() {
                *stamp = sent.to_le_bytes();
            }
            let payload = &self.payload;
            self.engine.say(self.sends, |codec, out| codec.send(1, payload, out))?;
            let mut due = 2;
            self.engine.until(PATIENCE, "a box of the pair", |_, heard| {
                for heard in heard {
                    match heard.what {
                        Event::Delivered { stamp } if stamp == sent => delivered.add(sent, heard.at),
                        Event::Accepted => accepted.add(sent, heard.at),
                        _ => continue,
                    }
                    due -= 1;
                }
                Ok(due == 0)
            })?;
            boxes += 1;
            let next = sent + u64::try_from(PACE.as_nanos()).unwrap_or_default();
            while nanos() < next {
                let left = Duration::from_nanos(next.saturating_sub(nanos()));
                self.engine.turn(left, &mut Vec::new())?;
            }
        }
        let both = |latencies: &Latencies| (latencies.at(0.5), latencies.at(0.99));
        Ok(Waited { boxes, delivered: both(&delivered), accepted: both(&accepted) })
    }
}
