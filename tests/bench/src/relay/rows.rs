//! The rows: what is done, who does it, and what ours may cost.
mod durable;
mod growth;

use std::time::Duration;

use super::bare;
use super::peers::{iroh, mosquitto, nats, redis};
use super::play::{Boxes, FanOut, Idle, Newcomers, PEOPLE, Pace, Talk};
use super::row::{Bound, Contender, Figure, Gate, OURS, Play, Row, Start};
use super::sealpost;

/// Posts of a closed loop that are on their way.
const WINDOW: u64 = 64;
/// Bytes of a post's text.
const POST: usize = 256;
/// Bytes of the smallest sealed box.
const BOX: usize = 6 * 1024;
/// Pairs who send each other boxes.
const PAIRS: usize = 500;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Of one round of one server.
    pub span: Duration,
    /// Links that stand and do nothing.
    pub idle: usize,
    /// New links in a round.
    pub newcomers: usize,
    pub quick: bool,
}

impl Scale {
    pub fn new(quick: bool) -> Self {
        match quick {
            true => Self { span: Duration::from_millis(500), idle: 1_000, newcomers: 300, quick },
            false => Self { span: Duration::from_secs(2), idle: 10_000, newcomers: 2_000, quick },
        }
    }
}

/// All of them, in the order of the table.
pub fn all(scale: Scale) -> Vec<Row> {
    let live = vec![
        fan_out(scale, "fan-out-1000", 1_000),
        fan_out(scale, "fan-out-100", 100),
        open_loop(scale, "open-30000", 30_000.0),
        open_loop(scale, "open-50000", 50_000.0),
        boxes(scale, "ping-pong", Talk::PingPong),
        boxes(scale, "in-flight", Talk::InFlight(16)),
        idle(scale),
        newcomers(scale, "new-link", 1),
        newcomers(scale, "new-links-16", 16),
    ];
    live.into_iter().chain(durable::all(scale)).chain(growth::all(scale)).collect()
}

/// Whether a row takes so long that it is only run where it is asked for.
pub fn long(row: &Row) -> bool {
    row.name.starts_with(growth::NAME)
}

fn contender(name: &str, start: Start, play: impl Play + 'static) -> Contender {
    Contender { name: name.to_owned(), start, play: Box::new(play) }
}

/// The bare server with so many workers, and whether who receives a box says so to its sender.
fn bare(workers: usize, confirms: bool) -> Start {
    Box::new(move |site| bare::start(site, workers, confirms).map(Some))
}

/// Ours, where so many people are registered.
fn ours(people: usize) -> Start {
    let people = u32::try_from(people).unwrap_or(u32::MAX);
    Box::new(move |site| sealpost::start(site, people).map(Some))
}

const PLAIN: [&str; 2] = ["bare, 1 worker", "bare, 2 workers"];
const LARGE: [&str; 2] = ["bare, 1 worker, our bytes", "bare, 2 workers, our bytes"];
const CONFIRMED: [&str; 2] = ["bare, 1 worker, confirmed", "bare, 2 workers, confirmed"];

const REDIS: &str = "Redis";
const REDIS_TLS: &str = "Redis TLS";
const NATS: &str = "NATS";
const NATS_TLS: &str = "NATS TLS";
const MOSQUITTO: &str = "mosquitto";
const MOSQUITTO_TLS: &str = "mosquitto TLS";
const IROH: &str = "iroh-relay";
const IROH_TLS: &str = "iroh-relay TLS";

fn gate(about: &'static str, against: [&'static str; 2], figure: Figure, bound: Bound) -> Gate {
    Gate { about, against: against.to_vec(), figure, bound }
}

/// Ours beside one peer; what it costs, if nothing else is said.
fn beside(peer: &'static str, bound: Bound) -> Gate {
    Gate { about: "", against: vec![peer], figure: Figure::Cost, bound }
}

/// A peer under its name.
fn peer(name: &str) -> Start {
    match name {
        REDIS => redis::channels(false),
        REDIS_TLS => redis::channels(true),
        NATS => nats::subjects(false),
        NATS_TLS => nats::subjects(true),
        MOSQUITTO => mosquitto::topics(false),
        MOSQUITTO_TLS => mosquitto::topics(true),
        IROH => iroh::datagrams(false),
        IROH_TLS => iroh::datagrams(true),
        _ => Box::new(|_| Ok(None)),
    }
}

/// Peers that do the same.
fn peers<P: Play + 'static>(names: &[&str], play: impl Fn() -> P) -> Vec<Contender> {
    names.iter().map(|name| contender(name, peer(name), play())).collect()
}

/// All that take part in posts: ours, and the bare server with posts of the same text and with frames as long as ours.
fn posts(subscribers: usize, pace: Pace, span: Duration, others: &[&str]) -> Vec<Contender> {
    let play = |payload| FanOut::new(subscribers, payload, pace, span);
    let long = sealpost::post_frame(POST) - bare::HEAD;
    let [one, two] = PLAIN;
    let [one_long, two_long] = LARGE;
    let own = vec![
        contender(OURS, ours(subscribers + 1), play(POST)),
        contender(one, bare(1, false), play(POST)),
        contender(two, bare(2, false), play(POST)),
        contender(one_long, bare(1, false), play(long)),
        contender(two_long, bare(2, false), play(long)),
    ];
    own.into_iter().chain(peers(others, || play(POST))).collect()
}

fn fan_out(scale: Scale, name: &'static str, subscribers: usize) -> Row {
    Row {
        name,
        what: format!("posts of {POST} bytes to {subscribers} subscribers, {WINDOW} posts on their way"),
        unit: "us a delivery",
        most_rounds: usize::MAX,
        contenders: posts(
            subscribers,
            Pace::Window(WINDOW),
            scale.span,
            &[NATS_TLS, NATS, REDIS_TLS, REDIS, MOSQUITTO],
        ),
        gates: vec![
            gate("the same text", PLAIN, Figure::Cost, Bound::AtMost(1.5)),
            gate("frames as long as ours", LARGE, Figure::Cost, Bound::Told),
            beside(NATS_TLS, if subscribers < 1_000 { Bound::Told } else { Bound::Cheaper(8.0) }),
            beside(REDIS_TLS, Bound::Told),
        ],
    }
}

fn open_loop(scale: Scale, name: &'static str, rate: f64) -> Row {
    Row {
        name,
        what: format!("posts of {POST} bytes to 1000 subscribers, {rate} deliveries a second"),
        unit: "us a delivery",
        most_rounds: usize::MAX,
        // The server is idle most of the time, and the kernel counts in hundredths of a second.
        contenders: posts(1_000, Pace::Rate(rate), scale.span.mul_f64(1.5), &[NATS_TLS]),
        gates: vec![
            gate("the same text", PLAIN, Figure::Cost, Bound::AtMost(1.15)),
            gate("the same text", PLAIN, Figure::P99, Bound::AtMost(1.25)),
            gate("frames as long as ours", LARGE, Figure::Cost, Bound::Told),
            gate("frames as long as ours", LARGE, Figure::P99, Bound::Told),
            beside(NATS_TLS, Bound::Told),
        ],
    }
}

fn boxes(scale: Scale, name: &'static str, talk: Talk) -> Row {
    let play = || Boxes::new(PAIRS, BOX, talk, scale.span);
    let [one, two] = PLAIN;
    let [one_confirmed, two_confirmed] = CONFIRMED;
    let (what, most) = match talk {
        Talk::PingPong => ("one box back and forth".to_owned(), 1.25),
        Talk::InFlight(window) => (format!("{window} on their way in each direction"), 1.6),
    };
    Row {
        name,
        what: format!("boxes of {BOX} bytes, {PAIRS} pairs, {what}"),
        unit: "us a box",
        most_rounds: usize::MAX,
        contenders: [
            vec![
                contender(OURS, ours(2 * PAIRS), play()),
                contender(one, bare(1, false), play()),
                contender(two, bare(2, false), play()),
                contender(one_confirmed, bare(1, true), play()),
                contender(two_confirmed, bare(2, true), play()),
            ],
            peers(&[IROH_TLS, IROH, NATS_TLS, REDIS_TLS, MOSQUITTO], play),
        ]
        .into_iter()
        .flatten()
        .collect(),
        gates: vec![
            gate("its receipt travels back too", CONFIRMED, Figure::Cost, Bound::AtMost(most)),
            gate("nothing travels back", PLAIN, Figure::Cost, Bound::Told),
            beside(IROH_TLS, if talk == Talk::PingPong { Bound::Told } else { Bound::Cheaper(2.0) }),
            beside(NATS_TLS, Bound::Told),
            beside(REDIS_TLS, Bound::Told),
        ],
    }
}

fn idle(scale: Scale) -> Row {
    let [one, two] = PLAIN;
    Row {
        name: "idle",
        what: format!("{} links that are logged in and idle", scale.idle),
        unit: "KiB a link",
        // What a process once had it takes again without asking.
        most_rounds: 1,
        contenders: [
            vec![
                contender(OURS, ours(scale.idle + 16), Idle::new(scale.idle)),
                contender(one, bare(1, false), Idle::new(scale.idle)),
                contender(two, bare(2, false), Idle::new(scale.idle)),
            ],
            peers(&[MOSQUITTO_TLS, REDIS_TLS, NATS_TLS], || Idle::new(scale.idle)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        gates: vec![gate("KiB", PLAIN, Figure::Cost, Bound::Below(12.0)), gate("", PLAIN, Figure::Cost, Bound::Told)],
    }
}

fn newcomers(scale: Scale, name: &'static str, at_once: usize) -> Row {
    let play = || Newcomers::new(scale.newcomers, at_once);
    let [one, two] = PLAIN;
    Row {
        name,
        what: format!("new links with handshake and login, {at_once} at once"),
        unit: "us a link",
        most_rounds: usize::MAX,
        contenders: [
            vec![
                contender(OURS, ours(PEOPLE), play()),
                contender(one, bare(1, false), play()),
                contender(two, bare(2, false), play()),
            ],
            peers(&[MOSQUITTO_TLS, REDIS_TLS, NATS_TLS], play),
        ]
        .into_iter()
        .flatten()
        .collect(),
        gates: vec![gate("no login there", PLAIN, Figure::Cost, Bound::AtMost(1.3))],
    }
}
