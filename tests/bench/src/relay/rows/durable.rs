//! Boxes that wait: how fast they are kept, and how fast they are taken.
use std::time::Duration;

use super::{Scale, contender};
use crate::relay::peers::nats::{Sync, jetstream};
use crate::relay::peers::redis::streams;
use crate::relay::play::{Append, Drain, Ingest, Syncs, nobody};
use crate::relay::row::{Bound, Figure, Gate, OURS, Row, Start};
use crate::relay::sealpost;

/// Bytes of the smallest box, which most are.
const BOX: usize = 6 * 1024;
/// Boxes of a group commit, as the limit has them.
const GROUP: usize = 64;

const REDIS: &str = "Redis, always";
const REDIS_TLS: &str = "Redis TLS, always";
const JETSTREAM: &str = "JetStream TLS, always";
const JETSTREAM_LATER: &str = "JetStream TLS, later";
const APPEND: &str = "append + fdatasync";

pub(super) fn all(scale: Scale) -> Vec<Row> {
    vec![ingest(scale), syncs(scale), lone(scale), drain(scale)]
}

/// Without a server.
fn alone() -> Start {
    Box::new(|_| Ok(Some(nobody())))
}

/// The relay with so many people.
fn relay(people: u32) -> Start {
    Box::new(move |site| sealpost::start(site, people).map(Some))
}

fn gate(about: &'static str, against: Vec<&'static str>, figure: Figure, bound: Bound) -> Gate {
    Gate { about, against, figure, bound }
}

/// Links that send, each to somebody else.
const SENDERS: usize = 64;
/// Boxes under way on each.
const IN_FLIGHT: usize = 16;

fn sending(scale: Scale) -> Ingest {
    const MOST: u32 = 500;
    Ingest::new(SENDERS, IN_FLIGHT, MOST, BOX, scale.span)
}

fn ingest(scale: Scale) -> Row {
    let play = || sending(scale);
    Row {
        name: "ingest",
        what: format!("boxes of {BOX} bytes for {SENDERS} people who are away, {IN_FLIGHT} under way to each"),
        unit: "us a box",
        most_rounds: usize::MAX,
        contenders: vec![
            contender(OURS, relay(SENDERS as u32), play()),
            contender(REDIS_TLS, streams(true), play()),
            contender(REDIS, streams(false), play()),
            contender(JETSTREAM, jetstream(true, Sync::Always), play()),
            contender(JETSTREAM_LATER, jetstream(true, Sync::Default), play()),
            contender("append + fdatasync of 64", alone(), Append::new(GROUP, BOX, scale.span)),
        ],
        gates: vec![
            gate("whichever is faster", vec![REDIS_TLS, REDIS], Figure::Rate, Bound::AtLeast(0.75)),
            gate("", vec![REDIS_TLS], Figure::Rate, Bound::Told),
            gate("", vec![JETSTREAM], Figure::Rate, Bound::AtLeast(40.0)),
            gate("", vec![JETSTREAM_LATER], Figure::Rate, Bound::Told),
            gate("", vec!["append + fdatasync of 64"], Figure::Rate, Bound::Told),
        ],
    }
}

fn syncs(scale: Scale) -> Row {
    let trace = std::env::temp_dir().join(format!("sealpost-bench-syncs-{}", std::process::id()));
    let play = Syncs::new(sending(scale), trace.clone());
    let start: Start = Box::new(move |site| sealpost::start_traced(site, SENDERS as u32, &trace));
    Row {
        name: "syncs",
        what: format!("boxes of {BOX} bytes, {SENDERS} senders with {IN_FLIGHT} under way each: how many share a sync"),
        unit: "boxes a sync",
        most_rounds: 2,
        contenders: vec![contender(OURS, start, play)],
        gates: vec![gate("boxes a sync", vec![OURS], Figure::Cost, Bound::Above(32.0))],
    }
}

fn lone(scale: Scale) -> Row {
    // Short turns: a disk has its moods.
    let span = scale.span / 4;
    let play = || Ingest::new(1, 1, 900, BOX, span);
    Row {
        name: "lone-accepted",
        what: format!("one box of {BOX} bytes at a time for somebody who is away"),
        unit: "us a box",
        most_rounds: usize::MAX,
        contenders: vec![
            contender(OURS, relay(1), play()),
            contender(APPEND, alone(), Append::new(1, BOX, span)),
            contender(REDIS_TLS, streams(true), play()),
            contender(JETSTREAM, jetstream(true, Sync::Always), play()),
        ],
        gates: vec![
            gate("", vec![APPEND], Figure::P50, Bound::AtMost(1.5)),
            gate("", vec![REDIS_TLS], Figure::P50, Bound::Told),
        ],
    }
}

fn drain(scale: Scale) -> Row {
    let (people, boxes) = if scale.span < Duration::from_secs(1) { (20, 50) } else { (100, 300) };
    let play = || Drain::new(people, boxes, BOX);
    Row {
        name: "drain",
        what: format!("{people} people come back to {boxes} boxes of {BOX} bytes each, take and acknowledge them"),
        unit: "us a box",
        most_rounds: usize::MAX,
        contenders: vec![
            contender(OURS, relay(people as u32), play()),
            contender(REDIS_TLS, streams(true), play()),
            contender(REDIS, streams(false), play()),
            contender(JETSTREAM_LATER, jetstream(true, Sync::Default), play()),
        ],
        gates: vec![
            gate("whichever is faster", vec![REDIS_TLS, REDIS], Figure::Rate, Bound::AtLeast(0.5)),
            gate("", vec![REDIS_TLS], Figure::Rate, Bound::Told),
            gate("", vec![JETSTREAM_LATER], Figure::Rate, Bound::AtLeast(7.0)),
        ],
    }
}
