//! What was found, for people and for programs.
use std::fmt::Write;

use serde_json::{Value, json};

use super::row::{Bound, Figure, Judged, OURS, Outcome, Round, median};

/// Prints a row: each server's medians.
pub fn print(outcome: &Outcome) {
    println!("\n{}: {}", outcome.name, outcome.what);
    println!(
        "  {:<28} {:>10} {:>12} {:>10} {:>10} {:>7} {:>10} {:>7}",
        "server", outcome.unit, "a second", "p50 us", "p99 us", "server", "generator", "others"
    );
    for ran in &outcome.ran {
        if let Some(why) = &ran.absent {
            println!("  {:<28} left out: {why}", ran.name);
            continue;
        }
        let of = |figure: fn(&Round) -> f64| median(&ran.rounds.iter().map(figure).collect::<Vec<_>>());
        println!(
            "  {:<28} {:>10.2} {:>12.0} {:>10} {:>10} {:>5.0} % {:>8.0} % {:>5.0} %",
            ran.name,
            of(|round| round.cost),
            of(|round| round.rate),
            latency(of(|round| round.p50)),
            latency(of(|round| round.p99)),
            100.0 * of(|round| round.server),
            100.0 * of(|round| round.generator),
            100.0 * of(|round| round.others),
        );
    }
}

fn latency(micros: f64) -> String {
    if micros.is_nan() { "-".to_owned() } else { format!("{micros:.0}") }
}

/// Prints what ours is held to, all rows together.
pub fn summary(outcomes: &[Outcome]) {
    println!(
        "\n{:<14} {:<54} {:>9} {:>9} {:>8}  must reach     reached",
        "row", "held against", "theirs", OURS, "ratio"
    );
    for outcome in outcomes {
        for judged in &outcome.judged {
            println!(
                "{:<14} {:<54} {:>9} {:>9} {:>8}  {:<14} {}",
                outcome.name,
                subject(judged),
                number(judged.theirs),
                number(judged.ours),
                ratio(judged),
                asked(judged.bound),
                verdict(judged)
            );
        }
    }
}

/// The same for a page: what is asked only, with the work in words.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut page =
        format!("| work | held against | theirs | {OURS} | ratio | must reach | |\n|---|---|---|---|---|---|---|\n");
    for outcome in outcomes {
        for judged in &outcome.judged {
            let (theirs, ours) = (number(judged.theirs), number(judged.ours));
            let unit = match judged.figure {
                Figure::Cost => outcome.unit.split(' ').next().unwrap_or_default(),
                Figure::Rate => "a second",
                Figure::P50 | Figure::P99 => "us",
            };
            let (what, against) = (&outcome.what, subject(judged));
            let (ratio, asked, verdict) = (ratio(judged), asked(judged.bound), verdict(judged));
            // Writing to a String can't fail.
            let _ = writeln!(
                page,
                "| {what} | {against} | {theirs} {unit} | {ours} {unit} | {ratio} | {asked} | {verdict} |"
            );
        }
    }
    page
}

fn subject(judged: &Judged) -> String {
    let figure = match judged.figure {
        Figure::Cost => "",
        Figure::Rate => ", a second",
        Figure::P50 => ", median",
        Figure::P99 => ", p99",
    };
    let about = if judged.about.is_empty() { String::new() } else { format!(" ({})", judged.about) };
    format!("{}{figure}{about}", judged.against)
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "-".to_owned(),
        _ if value < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

/// The ratio as its bound speaks of it.
pub fn ratio(judged: &Judged) -> String {
    match judged.bound {
        Bound::Below(_) | Bound::Above(_) => format!("{:.2}", judged.ours),
        _ if judged.ratio.is_nan() => "-".to_owned(),
        Bound::Cheaper(_) => format!("1/{:.2}", 1.0 / judged.ratio),
        _ => format!("{:.2}", judged.ratio),
    }
}

/// What must be reached.
pub fn asked(bound: Bound) -> String {
    match bound {
        Bound::AtMost(most) => format!("at most {most:.2}"),
        Bound::AtLeast(least) => format!("at least {least:.2}"),
        Bound::Cheaper(times) => format!("at most 1/{times:.0}"),
        Bound::Below(most) => format!("at most {most:.1}"),
        Bound::Above(least) => format!("at least {least:.1}"),
        Bound::Told => String::new(),
    }
}

/// Reached, or by how much it is missed.
pub fn verdict(judged: &Judged) -> String {
    let times = match (judged.reached(), judged.bound) {
        _ if judged.failed => return "FAILED".to_owned(),
        (Some(true), _) => return "reached".to_owned(),
        (None, Bound::Told) => return String::new(),
        (None, _) => return "not measured".to_owned(),
        (_, Bound::AtMost(most)) => judged.ratio / most,
        (_, Bound::AtLeast(least)) => least / judged.ratio,
        (_, Bound::Cheaper(times)) => times * judged.ratio,
        (_, Bound::Below(most)) => judged.ours / most,
        (_, Bound::Above(least)) => least / judged.ours,
        (_, Bound::Told) => return String::new(),
    };
    format!("MISSED by {:.0} %", 100.0 * (times - 1.0))
}

/// The same with every round.
pub fn json(outcomes: &[Outcome], machine: &str, date: &str, command: &str) -> Value {
    let number = |value: f64| if value.is_finite() { json!(value) } else { Value::Null };
    let round = |round: &Round| {
        json!({
            "cost": number(round.cost), "rate": number(round.rate), "p50_us": number(round.p50),
            "p99_us": number(round.p99), "server": number(round.server), "generator": number(round.generator),
            "others": number(round.others),
        })
    };
    let judged = |judged: &Judged| {
        json!({
            "about": judged.about, "against": judged.against, "figure": format!("{:?}", judged.figure).to_lowercase(),
            "ours": number(judged.ours), "theirs": number(judged.theirs), "ratio": number(judged.ratio),
            "must_reach": asked(judged.bound), "reached": judged.reached(),
        })
    };
    let rows = outcomes.iter().map(|outcome| {
        let servers = outcome.ran.iter().map(|ran| {
            json!({ "name": ran.name, "left_out": ran.absent,
                    "rounds": ran.rounds.iter().map(round).collect::<Vec<_>>() })
        });
        json!({
            "row": outcome.name, "what": outcome.what, "unit": outcome.unit, "servers": servers.collect::<Vec<_>>(),
            "ratios": outcome.judged.iter().map(judged).collect::<Vec<_>>(),
        })
    });
    json!({ "v": 1, "date": date, "machine": machine, "command": command, "rows": rows.collect::<Vec<_>>() })
}
