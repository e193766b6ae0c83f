//! What ours may cost beside the others, and whether it does.
use super::row::{NOT_INSTALLED, OURS, Ran, Round};

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

/// Holds a gate against what was found.
pub(super) fn judge(gate: &Gate, ran: &[Ran]) -> Judged {
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
