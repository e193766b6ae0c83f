//! Whether the time of a call tells two kinds of input apart: the method of Reparaz, Balasch and Verbauwhede ("Dude, is
//! my code constant time?", 2016).

use std::hint::black_box;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

/// Above it two kinds of input count as told apart: by chance alone about once in 150,000 comparisons.
pub(crate) const BOUND: f64 = 4.5;
/// Inputs are made so many at a time, so that making them is no neighbour of measuring them.
const BATCH: usize = 1024;
/// Which part of the measurements is looked at: all, and those up to so many thousandths. The slow end is where
/// interrupts and other programs are; a leak of few cycles is seen only without it.
const CROPS: [usize; 6] = [1000, 999, 990, 900, 700, 400];

/// Nanoseconds of each kind.
pub(crate) struct Measured {
    pub(crate) samples: usize,
    /// The greatest |t| of all crops.
    pub(crate) t: f64,
    /// The crop, in thousandths, where it is.
    pub(crate) crop: usize,
    /// Median nanoseconds of one call of both kinds.
    pub(crate) median: u32,
}

/// Calls `call` with inputs of two kinds, in random order, `calls` times for each of `samples` measurements.
/// `make`: writes an input of the kind.
pub(crate) fn measure(
    samples: usize,
    calls: u32,
    rng: &mut ChaCha20Rng,
    mut make: impl FnMut(bool, &mut ChaCha20Rng) -> Vec<u8>,
    mut call: impl FnMut(&[u8]) -> bool,
) -> Measured {
    let mut times: Vec<(bool, u32)> = Vec::with_capacity(samples);
    let mut warm = false;
    // Every call reads its input from here: one place in memory for both kinds.
    let mut place = make(false, rng);
    while times.len() < samples {
        let batch: Vec<(bool, Vec<u8>)> = (0..BATCH)
            .map(|_| {
                let kind = rng.next_u32() & 1 == 1;
                (kind, make(kind, rng))
            })
            .collect();
        for (kind, input) in &batch {
            place.copy_from_slice(input);
            let place = black_box(&place[..]);
            let start = Instant::now();
            for _ in 0..calls {
                black_box(call(black_box(place)));
            }
            let time = start.elapsed().as_nanos();
            if warm {
                times.push((*kind, u32::try_from(time).unwrap_or(u32::MAX)));
            }
        }
        // The first batch fills caches and teaches the branch predictor.
        warm = true;
    }
    judged(&times, calls)
}

fn judged(times: &[(bool, u32)], calls: u32) -> Measured {
    let mut sorted: Vec<u32> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable();
    let at = |thousandths: usize| sorted[(sorted.len() * thousandths / 1000).clamp(1, sorted.len()) - 1];
    let (t, crop) = CROPS
        .iter()
        .filter_map(|crop| Some((welch(times, at(*crop))?.abs(), *crop)))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .unwrap_or((f64::INFINITY, 0));
    Measured { samples: times.len(), t, crop, median: at(500) / calls }
}

/// Welch's t of the two kinds' times that do not exceed `longest`. None: hardly any of one kind is left, which the crops
/// above tell better.
fn welch(times: &[(bool, u32)], longest: u32) -> Option<f64> {
    let [left, right] = [false, true].map(|kind| {
        let kept =
            || times.iter().filter(|(of, time)| *of == kind && *time <= longest).map(|(_, time)| f64::from(*time));
        let count = kept().count() as f64;
        let mean = kept().sum::<f64>() / count;
        let variance = kept().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (count, mean, variance / count)
    });
    if left.0.min(right.0) < 1000.0 {
        return None;
    }
    // Times that are all equal have no spread to divide by.
    let spread = (left.2 + right.2).sqrt().max(1e-9);
    Some((left.1 - right.1) / spread)
}
