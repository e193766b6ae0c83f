//! A row of the table: work that several servers do in turns, and what ours may cost beside the others.
use std::time::Duration;

use hdrhistogram::Histogram;

use super::clock::{Used, nanos};
use super::codec::Wrong;
use super::engine::Engine;
use super::gate::judge;
pub use super::gate::{Bound, Figure, Gate, Judged, median};
use super::host::{Host, Site};

/// Latencies of a span, in nanoseconds; three digits are kept.
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        // The bounds are constants that make sense: one microsecond to a minute.
        Self(Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("bounds of a histogram"))
    }
}

impl Latencies {
    /// Something that left at `stamp` came at `at`.
    pub fn add(&mut self, stamp: u64, at: u64) {
        self.0.saturating_record(at.saturating_sub(stamp));
    }

    /// In microseconds; NaN where nothing was added.
    pub fn at(&self, part: f64) -> f64 {
        if self.0.is_empty() { f64::NAN } else { self.0.value_at_quantile(part) as f64 / 1e3 }
    }
}

/// What one server did in one round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// What is compared, in the row's unit: microseconds of the server's CPU for one of what is done, if nothing else is said.
    pub cost: f64,
    /// How many were done in a second.
    pub rate: f64,
    /// Microseconds until half of them, and 99 in 100, had come; NaN where nobody waits for them.
    pub p50: f64,
    pub p99: f64,
    /// Part of one core that the server and the generator used.
    pub server: f64,
    pub generator: f64,
    /// Part of all cores that somebody else used.
    pub others: f64,
}

impl Round {
    /// So many were done with this.
    pub fn of(units: u64, used: Used, latencies: &Latencies) -> Self {
        Self {
            cost: used.server * 1e6 / units as f64,
            rate: units as f64 / used.seconds,
            p50: latencies.at(0.5),
            p99: latencies.at(0.99),
            server: used.server / used.seconds,
            generator: used.generator / used.seconds,
            others: used.others,
        }
    }
}

/// Work that can be done with any server.
pub trait Play {
    /// Opens the links that it takes, of this server.
    fn enter(&mut self, engine: &mut Engine, host: &Host) -> Result<(), Wrong>;

    /// Does the work once.
    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong>;
}

/// A way to start a server; `None` where it is not installed.
pub type Start = Box<dyn Fn(&Site) -> Result<Option<Host>, Wrong>>;

/// A server in a row.
pub struct Contender {
    /// As gates and the table name it.
    pub name: String,
    pub start: Start,
    pub play: Box<dyn Play>,
}

/// One row.
pub struct Row {
    /// As the command line names it.
    pub name: &'static str,
    /// What is done, for whoever reads the table.
    pub what: String,
    /// Of [`Round::cost`].
    pub unit: &'static str,
    /// It makes no sense more often.
    pub most_rounds: usize,
    pub contenders: Vec<Contender>,
    pub gates: Vec<Gate>,
}

/// The contender that is held against the others.
pub const OURS: &str = "sealpost";

/// Why a contender is left out that nobody has put on this machine.
pub(super) const NOT_INSTALLED: &str = "not installed";

/// A contender's rounds.
pub struct Ran {
    pub name: String,
    pub rounds: Vec<Round>,
    /// Why there are none.
    pub absent: Option<String>,
}

/// A row that was run.
pub struct Outcome {
    pub name: &'static str,
    pub what: String,
    pub unit: &'static str,
    pub ran: Vec<Ran>,
    pub judged: Vec<Judged>,
}

impl Row {
    /// Starts all servers, lets them work in turns, and compares. A server that fails is left out from there on, and the
    /// others go on. `tell`: what happens meanwhile.
    pub fn run(self, site: &Site, rounds: usize, tell: &mut dyn FnMut(&str)) -> Outcome {
        let mut runs: Vec<Run> = self.contenders.into_iter().map(Run::new).collect();
        for run in &mut runs {
            tell(&format!("{}: {} enters", self.name, run.ran.name));
            run.enter(site);
            if let Some(why) = &run.ran.absent {
                tell(&format!("{}: {} is left out: {why}", self.name, run.ran.name));
            }
        }
        let rounds = rounds.min(self.most_rounds);
        for round in 1..=rounds {
            for run in runs.iter_mut().filter(|run| run.ran.absent.is_none()) {
                tell(&format!("{}: round {round} of {rounds}, {}", self.name, run.ran.name));
                run.round();
                if let Some(why) = &run.ran.absent {
                    tell(&format!("{}: {} is left out: {why}", self.name, run.ran.name));
                }
            }
        }
        let ran: Vec<Ran> = runs.into_iter().map(|run| run.ran).collect();
        let judged = self.gates.iter().map(|gate| judge(gate, &ran)).collect();
        Outcome { name: self.name, what: self.what, unit: self.unit, ran, judged }
    }
}

/// A contender at work. Each has an engine of its own, so that nobody is troubled by another one's links.
struct Run {
    start: Start,
    play: Box<dyn Play>,
    at_work: Option<(Engine, Host)>,
    ran: Ran,
}

impl Run {
    fn new(contender: Contender) -> Self {
        let Contender { name, start, play } = contender;
        Self { start, play, at_work: None, ran: Ran { name, rounds: Vec::new(), absent: None } }
    }

    fn enter(&mut self, site: &Site) {
        let entered = (self.start)(site).and_then(|host| {
            let Some(host) = host else { return Ok(None) };
            let mut engine = Engine::new()?;
            self.play.enter(&mut engine, &host)?;
            Ok(Some((engine, host)))
        });
        match entered {
            Ok(Some(at_work)) => self.at_work = Some(at_work),
            Ok(None) => self.ran.absent = Some(NOT_INSTALLED.to_owned()),
            Err(wrong) => self.ran.absent = Some(wrong.to_string()),
        }
    }

    fn round(&mut self) {
        let Some((engine, host)) = &mut self.at_work else { return };
        match self.play.round(engine, host) {
            Ok(round) => self.ran.rounds.push(round),
            Err(wrong) => {
                // What it did before would not be comparable with what the others did since.
                self.ran.absent = Some(wrong.to_string());
                self.ran.rounds.clear();
                self.at_work = None;
            }
        }
    }
}

/// Whether so much time has passed since then.
pub fn passed(since: u64, span: Duration) -> bool {
    u128::from(nanos().saturating_sub(since)) >= span.as_nanos()
}
