//! A relay starts.
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use crate::relay::clock::Watch;
use crate::relay::codec::Wrong;
use crate::relay::engine::Engine;
use crate::relay::host::Host;
use crate::relay::row::{Latencies, Play, Round};
use crate::relay::sealpost::Filled;

/// The cost is seconds from the program's start until it says that it listens.
pub struct StartUp {
    relay: Rc<RefCell<Option<Filled>>>,
}

impl StartUp {
    /// `relay`: what is there once the row has begun.
    pub fn new(relay: Rc<RefCell<Option<Filled>>>) -> Self {
        Self { relay }
    }
}

impl Play for StartUp {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, _engine: &mut Engine, _host: &Host) -> Result<Round, Wrong> {
        let relay = self.relay.borrow();
        let relay = relay.as_ref().ok_or_else(|| Wrong::new("there is nothing to start"))?;
        let began = Instant::now();
        let process = relay.start()?;
        let cost = began.elapsed().as_secs_f64();
        let used = Watch::begin(&process)?.end()?;
        Ok(Round { cost, rate: 1.0 / cost, p50: f64::NAN, p99: f64::NAN, ..Round::of(1, used, &Latencies::default()) })
    }
}
