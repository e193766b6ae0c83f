//! The rows: what is done, who does it, and what ours may cost.
use std::time::Duration;

use super::bare;
use super::play::{FanOut, Pace};
use super::row::{Contender, Play, Row, Start};

/// Posts of a closed loop that are on their way.
const WINDOW: u64 = 64;
/// Bytes of a post's text.
const POST: usize = 256;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Of one round of one server.
    pub span: Duration,
    /// Links of the greatest row.
    pub links: usize,
}

impl Scale {
    pub fn new(quick: bool) -> Self {
        match quick {
            true => Self { span: Duration::from_millis(500), links: 1_000 },
            false => Self { span: Duration::from_secs(2), links: 10_000 },
        }
    }
}

/// All of them, in the order of the table.
pub fn all(scale: Scale) -> Vec<Row> {
    vec![fan_out(scale, "fan-out-1000", 1_000), fan_out(scale, "fan-out-100", 100)]
}

fn contender(name: &str, start: Start, play: impl Play + 'static) -> Contender {
    Contender { name: name.to_owned(), start, play: Box::new(play) }
}

/// The bare server with so many workers, and whether who receives a box says so to its sender.
fn bare(workers: usize, confirms: bool) -> Start {
    Box::new(move |_| bare::start(workers, confirms).map(Some))
}

fn fan_out(scale: Scale, name: &'static str, subscribers: usize) -> Row {
    let play = |payload| FanOut::new(subscribers, payload, Pace::Window(WINDOW), scale.span);
    Row {
        name,
        what: format!("posts of {POST} bytes to {subscribers} subscribers, {WINDOW} posts on their way"),
        unit: "us a delivery",
        contenders: vec![
            contender("bare, 1 worker", bare(1, false), play(POST)),
            contender("bare, 2 workers", bare(2, false), play(POST)),
        ],
        gates: Vec::new(),
    }
}
