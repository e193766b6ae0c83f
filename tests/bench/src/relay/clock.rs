//! When things happen, and what they cost whom.
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::codec::Wrong;
use super::host::Process;
use crate::clock::{busy, process};

/// Nanoseconds since this process first asked.
pub fn nanos() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A span of time in which the CPU time of a server, of the generator and of everybody is watched.
pub struct Watch<'a> {
    server: &'a Process,
    began: Instant,
    own: Duration,
    busy: Duration,
    cpu: Duration,
}

/// What was used in a span of time.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// How long it was, in seconds.
    pub seconds: f64,
    /// CPU seconds of the server's process, all threads, user and system.
    pub server: f64,
    /// CPU seconds of the generator.
    pub generator: f64,
    /// The part of all cores that neither of them used, but somebody else, from 0 to 1.
    pub others: f64,
}

impl<'a> Watch<'a> {
    pub fn begin(server: &'a Process) -> Result<Self, Wrong> {
        let cpu = server.cpu()?;
        Ok(Self { server, began: Instant::now(), own: process(), busy: busy(), cpu })
    }

    pub fn end(self) -> Result<Used, Wrong> {
        let seconds = self.began.elapsed().as_secs_f64();
        let server = self.server.cpu()?.saturating_sub(self.cpu).as_secs_f64();
        let generator = process().saturating_sub(self.own).as_secs_f64();
        let all = busy().saturating_sub(self.busy).as_secs_f64();
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let others = ((all - server - generator) / (seconds * cores)).clamp(0.0, 1.0);
        Ok(Used { seconds, server, generator, others })
    }
}
