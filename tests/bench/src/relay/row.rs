//! A row of the table: work that several servers do in turns, and what ours may cost beside the others.
use std::time::Duration;

use hdrhistogram::Histogram;

use super::clock::{Used, nanos};
use super::codec::Wrong;
use super::engine::Engine;
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

    /// In microseconds.
    pub fn at(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1e3
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

/// Which figure of a round is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    Cost,
    Rate,
    P50,
    P99,
}

impl Figure {
    pub fn of(self, round: &Round) -> f64 {
        match self {
            Self::Cost => round.cost,
            Self::Rate => round.rate,
            Self::P50 => round.p50,
            Self::P99 => round.p99,
        }
    }
}

/// What the ratio must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Ours is at most so many times theirs.
    AtMost(f64),
    /// Ours is at least so many times theirs.
    AtLeast(f64),
    /// Theirs is at least so many times ours.
    Cheaper(f64),
    /// Ours is at most this, whatever theirs is.
    Below(f64),
    /// Ours is at least this, whatever theirs is.
    Above(f64),
    /// It is only told.
    Told,
}

/// Ours is held against others.
pub struct Gate {
    /// What it is about, where the row's name does not say it.
    pub about: &'static str,
    /// Of these the one whose median is the least, where the figure is a cost.
    pub against: Vec<&'static str>,
    pub figure: Figure,
    pub bound: Bound,
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
const NOT_INSTALLED: &str = "not installed";

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

/// A gate with what was found.
pub struct Judged {
    pub about: &'static str,
    pub against: String,
    pub figure: Figure,
    pub bound: Bound,
    /// Ours did not finish.
    pub failed: bool,
    pub ours: f64,
    pub theirs: f64,
    /// The median of the rounds' ratios, ours to theirs.
    pub ratio: f64,
}

impl Judged {
    /// Whether it is as it must be; `None` where nothing was asked or nobody is there to compare with.
    pub fn reached(&self) -> Option<bool> {
        match self.bound {
            Bound::Told => None,
            _ if self.failed => Some(false),
            _ if self.ours.is_nan() => None,
            Bound::Below(most) => Some(self.ours <= most),
            Bound::Above(least) => Some(self.ours >= least),
            _ if self.ratio.is_nan() => None,
            Bound::AtMost(most) => Some(self.ratio <= most),
            Bound::AtLeast(least) => Some(self.ratio >= least),
            Bound::Cheaper(times) => Some(1.0 / self.ratio >= times),
        }
    }
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

fn judge(gate: &Gate, ran: &[Ran]) -> Judged {
    let of = |name: &str| {
        let ran = ran.iter().find(|ran| ran.name == name);
        ran.map(|ran| ran.rounds.iter().map(|round| gate.figure.of(round)).collect::<Vec<_>>()).unwrap_or_default()
    };
    let ours = of(OURS);
    let theirs = gate.against.iter().map(|name| (*name, of(name))).filter(|(_, rounds)| !rounds.is_empty());
    // Whoever is best sets the limit.
    let best = |one: &f64, other: &f64| match gate.figure {
        Figure::Rate => other.total_cmp(one),
        Figure::Cost | Figure::P50 | Figure::P99 => one.total_cmp(other),
    };
    let theirs = theirs.min_by(|one, other| best(&median(&one.1), &median(&other.1)));
    let (against, theirs) = theirs.unwrap_or((gate.against.first().copied().unwrap_or_default(), Vec::new()));
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let broke = |ran: &Ran| ran.name == OURS && ran.absent.as_ref().is_some_and(|why| why != NOT_INSTALLED);
    Judged {
        failed: ran.iter().any(broke),
        about: gate.about,
        against: against.to_owned(),
        figure: gate.figure,
        bound: gate.bound,
        ours: median(&ours),
        theirs: median(&theirs),
        ratio: median(&ratios),
    }
}

/// The middle one, or the mean of the two; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(half), half.checked_sub(1).and_then(|at| sorted.get(at))) {
        (0, Some(upper), Some(lower)) => f64::midpoint(*upper, *lower),
        (1, Some(middle), _) => *middle,
        _ => f64::NAN,
    }
}

/// Whether so much time has passed since then.
pub fn passed(since: u64, span: Duration) -> bool {
    u128::from(nanos().saturating_sub(since)) >= span.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str, costs: &[f64]) -> Ran {
        let round = |cost: &f64| Round {
            cost: *cost,
            rate: 1.0 / cost,
            p50: *cost,
            p99: *cost,
            server: 1.0,
            generator: 1.0,
            others: 0.0,
        };
        Ran { name: name.to_owned(), rounds: costs.iter().map(round).collect(), absent: None }
    }

    /// The limit is whoever does it cheapest, and the ratio is the median of the rounds' ratios, not that of the medians.
    #[test]
    fn the_cheapest_is_the_limit() {
        let ran = [ran(OURS, &[2.0, 9.0, 4.0]), ran("one", &[1.0, 3.0, 4.0]), ran("two", &[4.0, 4.0, 4.0])];
        let gate = |bound| Gate { about: "", against: vec!["two", "one", "none"], figure: Figure::Cost, bound };
        let judged = judge(&gate(Bound::AtMost(2.0)), &ran);
        assert_eq!((judged.against.as_str(), judged.ours, judged.theirs, judged.ratio), ("one", 4.0, 3.0, 2.0));
        assert_eq!(judged.reached(), Some(true));
        assert_eq!(judge(&gate(Bound::AtMost(1.9)), &ran).reached(), Some(false));
        assert_eq!(judge(&gate(Bound::Cheaper(0.6)), &ran).reached(), Some(false));
        assert_eq!(judge(&gate(Bound::Told), &ran).reached(), None);
    }

    /// Who is not installed decides nothing.
    #[test]
    fn nobody_is_no_limit() {
        let gate = Gate { about: "", against: vec!["none"], figure: Figure::Cost, bound: Bound::AtMost(2.0) };
        let judged = judge(&gate, &[ran(OURS, &[1.0])]);
        assert!(judged.ratio.is_nan() && judged.reached().is_none());
    }

    /// Where ours fails, nothing is reached.
    #[test]
    fn a_failure_is_a_miss() {
        let gate = Gate { about: "", against: vec!["bare"], figure: Figure::Cost, bound: Bound::AtMost(2.0) };
        let absent = |why: &str| Ran { absent: Some(why.to_owned()), ..ran(OURS, &[]) };
        assert_eq!(judge(&gate, &[absent("it fell over"), ran("bare", &[1.0])]).reached(), Some(false));
        assert_eq!(judge(&gate, &[absent(NOT_INSTALLED), ran("bare", &[1.0])]).reached(), None);
    }
}
