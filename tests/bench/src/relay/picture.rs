//! The table as a picture: a panel for each row, a bar for each server, ours in colour.
use std::fmt::Write;

use super::row::{Figure, OURS, Outcome, median};

/// Panels stand in two columns.
const COLUMN: usize = 490;
const BAR: usize = 20;
const TITLE: usize = 44;
/// Where bars begin, and how long the longest is.
const BARS: usize = 184;
const LONGEST: f64 = 220.0;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #24292f } .row { font-weight: 600; font-size: 13px } \
.what { fill: #6e7781; font-size: 11px } .name { text-anchor: end } rect { fill: #8c959f } .bare { fill: #bfc5cc } \
.ours { fill: #1f6feb } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .what { fill: #8d96a0 } \
rect { fill: #6e7681 } .bare { fill: #484f58 } .ours { fill: #4493f8 } }";

/// A bar: whose, and how long.
struct Bar<'a> {
    name: &'a str,
    value: f64,
}

/// What a row is about first of all, and so is drawn.
fn figure(outcome: &Outcome) -> Figure {
    outcome.judged.first().map_or(Figure::Cost, |judged| judged.figure)
}

/// All rows as an SVG. `note`: when, on what machine, by which command.
pub fn svg(outcomes: &[Outcome], note: &str) -> String {
    let mut heights = [0; 2];
    let mut panels = String::new();
    for outcome in outcomes {
        let bars = bars(outcome);
        // Nothing is long or short by itself.
        if bars.len() < 2 {
            continue;
        }
        // Into the shorter column.
        let [left, right] = heights;
        let (column, top) = if left <= right { (0, left) } else { (1, right) };
        panel(&mut panels, outcome, &bars, column * COLUMN, top);
        if let Some(height) = heights.get_mut(column) {
            *height += TITLE + BAR * bars.len() + 16;
        }
    }
    let (width, height) = (2 * COLUMN, heights.iter().max().copied().unwrap_or_default() + 24);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\">\n<style>{STYLE}</style>\n{panels}<text class=\"what\" x=\"8\" y=\"{}\">{}</text>\n</svg>\n",
        height - 8,
        escaped(note),
    )
}

/// Ours, of the bare servers the one that sets the limit, and everybody else who was there; the best first.
fn bars(outcome: &Outcome) -> Vec<Bar<'_>> {
    let limit = outcome.judged.iter().find(|judged| judged.against.starts_with("bare")).map(|judged| &judged.against);
    let shown = |name: &String| !name.starts_with("bare") || Some(name) == limit;
    let ran = outcome.ran.iter().filter(|ran| !ran.rounds.is_empty() && shown(&ran.name));
    let mut bars: Vec<Bar<'_>> = ran
        .map(|ran| {
            let values: Vec<f64> = ran.rounds.iter().map(|round| figure(outcome).of(round)).collect();
            Bar { name: &ran.name, value: median(&values) }
        })
        .filter(|bar| bar.value.is_finite())
        .collect();
    bars.sort_by(|one, other| one.value.total_cmp(&other.value));
    if figure(outcome) == Figure::Rate {
        bars.reverse();
    }
    bars
}

fn panel(out: &mut String, outcome: &Outcome, bars: &[Bar<'_>], left: usize, top: usize) {
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let (name, what) = (escaped(outcome.name), escaped(&outcome.what));
    let unit = match figure(outcome) {
        Figure::Cost => outcome.unit,
        Figure::Rate => "a second (longer is better)",
        Figure::P50 | Figure::P99 => "us until it is done",
    };
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "<text class=\"row\" x=\"{}\" y=\"{}\">{name}, {}</text>\n<text class=\"what\" x=\"{}\" y=\"{}\">{what}</text>",
        left + 8,
        top + 18,
        escaped(unit),
        left + 8,
        top + 34,
    );
    for (at, bar) in bars.iter().enumerate() {
        let y = top + TITLE + at * BAR;
        let class = match bar.name {
            OURS => " class=\"ours\"",
            name if name.starts_with("bare") => " class=\"bare\"",
            _ => "",
        };
        let width = (LONGEST * bar.value / longest).max(1.0);
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text><rect{class} x=\"{}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            left + BARS - 8,
            y + 14,
            escaped(bar.name),
            left + BARS,
            y + 3,
            BAR - 6,
            (left + BARS) as f64 + width + 6.0,
            y + 14,
            digits(bar.value),
        );
    }
}

/// Three digits.
fn digits(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::row::{Bound, Figure, Judged, Ran, Round};

    fn ran(name: &str, cost: Option<f64>) -> Ran {
        let round = |cost| Round { cost, rate: 1.0, p50: 1.0, p99: 1.0, server: 1.0, generator: 1.0, others: 0.0 };
        Ran { name: name.to_owned(), rounds: cost.into_iter().map(round).collect(), absent: None }
    }

    /// The picture has ours, the limit and the peers that ran, the best first; no other bare server, and nobody who
    /// was left out.
    #[test]
    fn who_sets_the_limit_is_drawn() {
        let judged = Judged {
            about: "",
            against: "bare, 2 workers".to_owned(),
            figure: Figure::Cost,
            bound: Bound::AtMost(1.0),
            failed: false,
            ours: 3.0,
            theirs: 2.0,
            ratio: 1.5,
        };
        let ran = vec![
            ran(OURS, Some(3.0)),
            ran("bare, 1 worker", Some(4.0)),
            ran("bare, 2 workers", Some(2.0)),
            ran("a & b", Some(5.0)),
            ran("absent", None),
        ];
        let outcome = Outcome { name: "row", what: "work".to_owned(), unit: "us", ran, judged: vec![judged] };
        let names: Vec<&str> = bars(&outcome).iter().map(|bar| bar.name).collect();
        assert_eq!(names, ["bare, 2 workers", OURS, "a & b"]);
        let svg = svg(&[outcome], "<today>");
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;today&gt;") && !svg.contains("absent"));
    }
}
