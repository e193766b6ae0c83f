//! How many boxes share a sync.
use std::path::PathBuf;

use super::Ingest;
use crate::relay::codec::Wrong;
use crate::relay::engine::Engine;
use crate::relay::host::Host;
use crate::relay::row::{Play, Round};

/// The cost is how many boxes were accepted for each sync of a relay under strace.
pub struct Syncs {
    ingest: Ingest,
    /// Where strace writes.
    trace: PathBuf,
}

impl Syncs {
    pub fn new(ingest: Ingest, trace: PathBuf) -> Self {
        Self { ingest, trace }
    }

    /// Calls so far; one that another thread interrupts has two lines, of which only the first names it in this way.
    fn calls(&self) -> Result<usize, Wrong> {
        let trace = std::fs::read_to_string(&self.trace)?;
        Ok(trace.lines().filter(|line| line.contains("sync(")).count())
    }
}

impl Play for Syncs {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        Ok(())
    }

    fn round(&mut self, engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        let before = self.calls()?;
        let (round, waiting) = self.ingest.keep(engine, host)?;
        let syncs = self.calls()? - before;
        super::keep::take_all(engine, host, &waiting)?;
        Ok(Round { cost: waiting.iter().sum::<u32>() as f64 / syncs as f64, ..round })
    }
}

impl Drop for Syncs {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.trace);
    }
}
