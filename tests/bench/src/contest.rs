//! Rounds in which an operation and its limit take turns.
use crate::clock;

/// Something that is done `times` at each call.
pub struct Lap {
    times: u32,
    run: Box<dyn FnMut()>,
}

impl Lap {
    pub fn new(times: u32, run: impl FnMut() + 'static) -> Self {
        Self { times, run: Box::new(run) }
    }

    /// Does it, unmeasured.
    pub fn call(&mut self) {
        (self.run)();
    }

    /// Microseconds of CPU for each time.
    fn measure(&mut self) -> f64 {
        let before = clock::thread();
        self.call();
        (clock::thread() - before).as_secs_f64() * 1e6 / f64::from(self.times)
    }
}

/// An operation and what it is held against.
pub struct Contest {
    pub name: &'static str,
    /// The greatest ratio that is let pass; `None` where it is only told.
    pub gate: Option<f64>,
    pub ours: Lap,
    /// What `other` does not do and is taken off: its cost is measured in the same round.
    pub less: Option<Lap>,
    pub other: Lap,
}

/// Medians over all rounds.
pub struct Outcome {
    pub name: &'static str,
    pub gate: Option<f64>,
    /// Microseconds.
    pub ours: f64,
    /// Microseconds.
    pub other: f64,
    /// Of the ratios of each round, which is not the ratio of the medians.
    pub ratio: f64,
    /// The middle half of the rounds lies between these two.
    pub quartiles: (f64, f64),
}

impl Outcome {
    pub fn holds(&self) -> bool {
        self.gate.is_none_or(|gate| self.ratio <= gate)
    }
}

/// Runs all contests, one round of each after the other, so that a change of the machine's mood meets all of them.
pub fn run(contests: Vec<Contest>, rounds: usize) -> Vec<Outcome> {
    let mut contests: Vec<_> = contests.into_iter().map(|contest| (contest, Vec::new())).collect();
    // The first rounds fill caches and are not counted.
    for round in 0..rounds + rounds / 20 + 1 {
        for (contest, measured) in &mut contests {
            // Who begins has cold caches: by turns.
            let (ours, other) = if round % 2 == 0 {
                let ours = contest.ours.measure();
                (ours, contest.other.measure())
            } else {
                let other = contest.other.measure();
                (contest.ours.measure(), other)
            };
            let ours = ours - contest.less.as_mut().map_or(0.0, Lap::measure);
            if round > rounds / 20 {
                measured.push((ours, other, ours / other));
            }
        }
    }
    let outcome = |(contest, measured): (Contest, Vec<(f64, f64, f64)>)| {
        let ratios = sorted(measured.iter().map(|round| round.2));
        Outcome {
            name: contest.name,
            gate: contest.gate,
            ours: at(&sorted(measured.iter().map(|round| round.0)), 0.5),
            other: at(&sorted(measured.iter().map(|round| round.1)), 0.5),
            ratio: at(&ratios, 0.5),
            quartiles: (at(&ratios, 0.25), at(&ratios, 0.75)),
        }
    };
    contests.into_iter().map(outcome).collect()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], part: f64) -> f64 {
    sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}
