//! What a relay costs that has many accounts, beside one that has few. It takes minutes to fill, so these rows are only
//! run where they are asked for.
use std::cell::RefCell;
use std::rc::Rc;

use super::{Scale, contender};
use crate::relay::play::{FanOut, Fetch, Ingest, Newcomers, PEOPLE, Pace, StartUp, nobody};
use crate::relay::row::{Bound, Contender, Figure, Gate, OURS, Play, Row, Start};
use crate::relay::sealpost::{Filled, Filling};

/// What the names of these rows begin with.
pub(super) const NAME: &str = "growth";

/// Bytes of the smallest box, which most are.
const BOX: usize = 6 * 1024;
/// Boxes that wait for each account.
const WAITING: u32 = 10;
const FEW: u32 = 100;
const SMALL: &str = "sealpost, 100 accounts";

fn filling(accounts: u32) -> Filling {
    Filling { free: PEOPLE as u32, accounts, boxes: WAITING, bytes: BOX }
}

pub(super) fn all(scale: Scale) -> Vec<Row> {
    let many = if scale.quick { 1_000 } else { 100_000 };
    let span = scale.span;
    vec![
        row("growth-post", "posts to 100 subscribers", "us a delivery", many, || {
            FanOut::new(100, 256, Pace::Window(64), span)
        }),
        row("growth-box", "boxes for 64 people who are away", "us a box", many, || Ingest::new(64, 16, 500, BOX, span)),
        row("growth-login", "logins, on new links", "us a login", many, || Newcomers::new(1_000, 8)),
        row("growth-bundle", "bundles, one at a time on 32 links", "us a bundle", many, || Fetch::new(32, span)),
        starts(many),
    ]
}

fn row<P: Play + 'static>(name: &'static str, what: &str, unit: &'static str, many: u32, play: impl Fn() -> P) -> Row {
    let filled = |accounts| -> Start { Box::new(move |site| Filled::new(site, filling(accounts))?.host().map(Some)) };
    let gate = |figure| Gate { about: "", against: vec![SMALL], figure, bound: Bound::AtMost(1.3) };
    Row {
        name,
        what: format!("{what}; {many} accounts with {WAITING} boxes each that wait, beside {FEW}"),
        unit,
        most_rounds: usize::MAX,
        contenders: vec![contender(OURS, filled(many), play()), contender(SMALL, filled(FEW), play())],
        gates: vec![gate(Figure::Cost), gate(Figure::P50)],
    }
}

fn starts(many: u32) -> Row {
    let start = |name, accounts| -> Contender {
        let relay = Rc::new(RefCell::new(None));
        let play = StartUp::new(Rc::clone(&relay));
        let fill = move |site: &_| {
            *relay.borrow_mut() = Some(Filled::new(site, filling(accounts))?);
            Ok(Some(nobody()))
        };
        contender(name, Box::new(fill), play)
    };
    let gate = |bound| Gate { about: "seconds", against: vec![SMALL], figure: Figure::Cost, bound };
    Row {
        name: "growth-start",
        what: format!("a start; {many} accounts with {WAITING} boxes each that wait, beside {FEW}"),
        unit: "s",
        most_rounds: usize::MAX,
        contenders: vec![start(OURS, many), start(SMALL, FEW)],
        gates: vec![gate(Bound::Below(2.0)), gate(Bound::Told)],
    }
}
