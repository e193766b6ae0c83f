//! How far random walks go, as the environment says: which seeds, how many steps each, and for how long.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seeds of a run that says nothing about them.
const SEEDS: u64 = 40;
/// Steps of a walk in such a run.
const STEPS: u32 = 24;
/// Steps of a walk in a run that is bounded by time.
const LONG: u32 = 500;
/// So far apart the seeds of two days begin.
const SEEDS_OF_A_DAY: u64 = 100_000;

/// Which walks a run makes.
pub(crate) struct Extent {
    /// The first seed, and the one after the last.
    pub(crate) seeds: std::ops::Range<u64>,
    /// No walk begins after this.
    pub(crate) until: Option<Instant>,
}

impl Extent {
    /// `SEALPOST_SEEDS=0..5000`: these. `SEALPOST_WALK_MINUTES=10`: as many of them as begin in that time; where no seeds are
    /// named, those of today (UTC), so that another day tries others.
    pub(crate) fn asked_for() -> Self {
        let minutes = number("SEALPOST_WALK_MINUTES");
        let seeds = match std::env::var("SEALPOST_SEEDS") {
            Ok(text) => {
                let (from, to) = text.split_once("..").expect("SEALPOST_SEEDS is FROM..TO");
                from.parse().expect("a number")..to.parse().expect("a number")
            }
            Err(_) if minutes.is_some() => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("1970 is over");
                let first = since.as_secs() / 86_400 * SEEDS_OF_A_DAY;
                first..first + SEEDS_OF_A_DAY
            }
            Err(_) => 0..SEEDS,
        };
        Self { seeds, until: minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)) }
    }

    /// Whether another walk may begin.
    pub(crate) fn goes_on(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// Steps of each walk: `SEALPOST_STEPS`.
pub(crate) fn steps() -> u32 {
    let usual = if number("SEALPOST_WALK_MINUTES").is_some() { LONG } else { STEPS };
    number("SEALPOST_STEPS").map_or(usual, |steps| u32::try_from(steps).expect("SEALPOST_STEPS is not that large"))
}

/// Whether walks are long enough for several troubles at once, and for days to pass.
pub(crate) fn is_long() -> bool {
    steps() >= 4 * STEPS
}

/// The command that walks one seed again.
pub(crate) fn replay(seed: u64) -> String {
    let steps = match steps() {
        STEPS => String::new(),
        steps => format!("SEALPOST_STEPS={steps} "),
    };
    format!(
        "{steps}SEALPOST_SEEDS={seed}..{} cargo test -p sealpost-tests --locked random_walks -- --nocapture",
        seed + 1
    )
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
