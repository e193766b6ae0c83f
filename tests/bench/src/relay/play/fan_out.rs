//! One publishes, many subscribe.
use std::time::Duration;

use super::{PATIENCE, noise, open, stamp};
use crate::relay::clock::{Watch, nanos};
use crate::relay::codec::{Event, Wrong};
use crate::relay::engine::{Engine, Heard, LinkId};
use crate::relay::host::Host;
use crate::relay::row::{Latencies, Play, Round, passed};

/// When the next post leaves.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Closed loop: as soon as fewer than so many posts are on their way.
    Window(u64),
    /// Open loop: whatever has become of those before, so that all subscribers together have so many deliveries a second.
    Rate(f64),
}

/// Posts of one publisher to many subscribers.
pub struct FanOut {
    subscribers: usize,
    pace: Pace,
    span: Duration,
    payload: Vec<u8>,
    publisher: LinkId,
    /// Which links subscribe, by their numbers.
    listens: Vec<bool>,
}

impl FanOut {
    pub fn new(subscribers: usize, payload: usize, pace: Pace, span: Duration) -> Self {
        Self { subscribers, pace, span, payload: noise(payload), publisher: 0, listens: Vec::new() }
    }
}

/// What has left and what has come.
#[derive(Default)]
struct Count {
    posts: u64,
    deliveries: u64,
}

impl FanOut {
    fn post(&mut self, engine: &mut Engine, count: &mut Count, at: u64) -> Result<(), Wrong> {
        count.posts += 1;
        stamp(&mut self.payload, at);
        engine.say(self.publisher, |codec, out| codec.publish(0, &self.payload, out))
    }

    fn hear(&self, heard: &[Heard], count: &mut Count, latencies: Option<&mut Latencies>) {
        let mine = |heard: &&Heard| self.listens.get(heard.link).copied().unwrap_or_default();
        let mut latencies = latencies;
        for heard in heard.iter().filter(mine) {
            if let Event::Delivered { stamp } = heard.what {
                count.deliveries += 1;
                if let Some(latencies) = latencies.as_deref_mut() {
                    latencies.add(stamp, heard.at);
                }
            }
        }
    }

    /// Publishes for so long, from `began` on.
    fn go_on(
        &mut self,
        engine: &mut Engine,
        span: Duration,
        count: &mut Count,
        mut latencies: Option<&mut Latencies>,
    ) -> Result<(), Wrong> {
        let (began, before) = (nanos(), count.posts);
        let mut heard = Vec::new();
        while !passed(began, span) {
            let wait = match self.pace {
                Pace::Window(window) => {
                    while count.posts * (self.subscribers as u64) < count.deliveries + window * self.subscribers as u64
                    {
                        self.post(engine, count, nanos())?;
                    }
                    Duration::from_millis(100)
                }
                Pace::Rate(rate) => {
                    let every = self.subscribers as f64 * 1e9 / rate;
                    let due = |posts: u64| began + ((posts - before) as f64 * every) as u64;
                    // It left when it should have: who is late lets everybody wait.
                    while nanos() >= due(count.posts) {
                        self.post(engine, count, due(count.posts))?;
                    }
                    Duration::from_nanos(due(count.posts).saturating_sub(nanos()))
                }
            };
            heard.clear();
            engine.turn(wait, &mut heard)?;
            self.hear(&heard, count, latencies.as_deref_mut());
        }
        Ok(())
    }
}

impl Play for FanOut {
    fn enter(&mut self, engine: &mut Engine, host: &Host) -> Result<(), Wrong> {
        let publisher = open(engine, host, 1, |_| host.clients.publisher(0))?;
        self.publisher = publisher.first().copied().ok_or_else(|| Wrong::new("no publisher"))?;
        let links = open(engine, host, self.subscribers, |number| host.clients.subscriber(number))?;
        for link in &links {
            engine.say(*link, |codec, out| codec.subscribe(0, out))?;
            if self.listens.len() <= *link {
                self.listens.resize(link + 1, false);
            }
            if let Some(listens) = self.listens.get_mut(*link) {
                *listens = true;
            }
        }
        let mut subscribed = 0;
        engine.until(PATIENCE, "subscribing", |_, heard| {
            subscribed += heard.iter().filter(|heard| heard.what == Event::Subscribed).count();
            Ok(subscribed == links.len())
        })
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        let mut count = Count::default();
        // Until batches are as long as they will be.
        self.go_on(engine, self.span / 5, &mut count, None)?;
        let mut latencies = Latencies::default();
        let before = count.deliveries;
        let watch = Watch::begin(&host.process)?;
        self.go_on(engine, self.span, &mut count, Some(&mut latencies))?;
        let used = watch.end()?;
        let done = count.deliveries - before;
        let all = |count: &Count| count.deliveries == count.posts * self.subscribers as u64;
        engine.until(PATIENCE, "the last posts", |_, heard| {
            self.hear(heard, &mut count, None);
            Ok(all(&count))
        })?;
        Ok(Round::of(done, used, &latencies))
    }
}
