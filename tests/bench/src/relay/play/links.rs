//! Links that do nothing, and links that are new.
use std::time::{Duration, Instant};

use super::{PATIENCE, open};
use crate::relay::clock::{Watch, nanos};
use crate::relay::codec::{Event, Wrong};
use crate::relay::engine::Engine;
use crate::relay::host::Host;
use crate::relay::row::{Latencies, Play, Round};

/// Links that stand and do nothing, logged in where there is a login. The cost is KiB of the server's memory for each.
pub struct Idle {
    links: usize,
}

impl Idle {
    pub fn new(links: usize) -> Self {
        Self { links }
    }
}

impl Play for Idle {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        // The first links pay for what all share.
        let first = open(engine, host, 16, |number| host.clients.person(number))?;
        let before = host.process.memory()?;
        let watch = Watch::begin(&host.process)?;
        let began = Instant::now();
        let links = open(engine, host, self.links, |number| host.clients.person(number + 16))?;
        // Handshakes leave something behind that goes within a moment; pings come much later.
        while began.elapsed() < Duration::from_secs(5) {
            engine.turn(Duration::from_millis(100), &mut Vec::new())?;
        }
        let used = watch.end()?;
        let memory = host.process.memory()?.saturating_sub(before);
        first.into_iter().chain(links).for_each(|link| engine.close(link));
        let round = Round::of(self.links as u64, used, &Latencies::default());
        Ok(Round { cost: memory as f64 / 1024.0 / self.links as f64, ..round })
    }
}

/// New links, from the first byte to the answer to the login, then closed.
pub struct Newcomers {
    links: usize,
    at_once: usize,
}

impl Newcomers {
    /// So many in a round, so many at once.
    pub fn new(links: usize, at_once: usize) -> Self {
        Self { links, at_once }
    }

    fn come(&self, engine: &mut Engine, host: &Host, links: usize, latencies: &mut Latencies) -> Result<(), Wrong> {
        let (mut begun, mut done) = (0, 0);
        let mut since: Vec<Option<u64>> = Vec::new();
        engine.until(PATIENCE, "new links", |engine, heard| {
            for heard in heard.iter().filter(|heard| heard.what == Event::Ready) {
                // Links of other servers may be told something too, but nothing of this kind.
                let Some(since) = since.get_mut(heard.link).and_then(Option::take) else { continue };
                latencies.add(since, heard.at);
                engine.close(heard.link);
                done += 1;
            }
            while begun < links && begun < done + self.at_once {
                let number = u32::try_from(begun % PEOPLE).unwrap_or_default();
                let at = nanos();
                let link = host.open(engine, host.clients.person(number)?)?;
                if since.len() <= link {
                    since.resize(link + 1, None);
                }
                if let Some(since) = since.get_mut(link) {
                    *since = Some(at);
                }
                begun += 1;
            }
            Ok(done == links)
        })
    }
}

/// Who come are so many different people; each comes again only when its link before is long gone.
pub const PEOPLE: usize = 200;

impl Play for Newcomers {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        self.come(engine, host, self.links / 10 + 1, &mut Latencies::default())?;
        let mut latencies = Latencies::default();
        let watch = Watch::begin(&host.process)?;
        self.come(engine, host, self.links, &mut latencies)?;
        Ok(Round::of(self.links as u64, watch.end()?, &latencies))
    }
}
