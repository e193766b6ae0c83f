//! The least that keeping a box can cost: its bytes at the end of a file, and a sync.
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::noise;
use crate::relay::clock::{Watch, nanos};
use crate::relay::codec::{Codec, Wrong};
use crate::relay::engine::Engine;
use crate::relay::host::{Clients, Host, Process};
use crate::relay::row::{Latencies, Play, Round, passed};

/// Nobody is asked: this program does it.
pub fn nobody() -> Host {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Host { process: Process::own(), address, tls: None, clients: Box::new(Nobody) }
}

struct Nobody;

impl Clients for Nobody {
    fn subscriber(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("there is no server"))
    }

    fn publisher(&self, _topic: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("there is no server"))
    }

    fn person(&self, _number: u32) -> Result<Box<dyn Codec>, Wrong> {
        Err(Wrong::new("there is no server"))
    }
}

/// Appends boxes to a file, so many for each `fdatasync`.
pub struct Append {
    batch: usize,
    bytes: usize,
    span: Duration,
    /// Beside the servers' folders, on the same disk.
    file: Option<(PathBuf, File)>,
}

impl Append {
    pub fn new(batch: usize, bytes: usize, span: Duration) -> Self {
        Self { batch, bytes, span, file: None }
    }
}

impl Play for Append {
    fn enter(&mut self, _engine: &mut Engine, _host: &Host) -> Result<(), Wrong> {
        let file = tempfile::NamedTempFile::new()?.keep().map_err(|error| Wrong(error.to_string()))?;
        self.file = Some((file.1, file.0));
        Ok(())
    }

    fn round(&mut self, _engine: &mut Engine, host: &Host) -> Result<Round, Wrong> {
        let (_, file) = self.file.as_mut().ok_or_else(|| Wrong::new("no file"))?;
        let batch = noise(self.batch * self.bytes);
        let mut latencies = Latencies::default();
        let (began, mut kept) = (nanos(), 0);
        let watch = Watch::begin(&host.process)?;
        while !passed(began, self.span) {
            let left = nanos();
            file.write_all(&batch)?;
            file.sync_data()?;
            let at = nanos();
            (0..self.batch).for_each(|_| latencies.add(left, at));
            kept += self.batch as u64;
        }
        Ok(Round::of(kept, watch.end()?, &latencies))
    }
}

impl Drop for Append {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.file {
            let _ = std::fs::remove_file(path);
        }
    }
}
