//! What servers are made to do.
mod append;
mod boxes;
mod fan_out;
mod keep;
mod links;
mod start_up;
mod syncs;

pub use append::{Append, nobody};
pub use boxes::{Boxes, Talk};
pub use fan_out::{FanOut, Pace};
pub use keep::{Drain, Fetch, Ingest};
pub use links::{Idle, Newcomers, PEOPLE};
pub use start_up::StartUp;
pub use syncs::Syncs;

use std::time::Duration;

use super::codec::{Event, STAMP, Wrong};
use super::engine::{Engine, LinkId};
use super::host::Host;

/// For whatever must happen at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that nobody can pack, with room for a stamp in front.
pub fn noise(length: usize) -> Vec<u8> {
    use rand_chacha::rand_core::Rng;
    let mut bytes = vec![0; length];
    crate::people::dice(length as u64).fill_bytes(&mut bytes);
    bytes
}

fn stamp(payload: &mut [u8], at: u64) {
    if let Some(stamp) = payload.first_chunk_mut::<STAMP>() {
        *stamp = at.to_le_bytes();
    }
}

/// Opens links until `count` stand, so many at once.
fn open(
    engine: &mut Engine,
    host: &Host,
    count: usize,
    mut codec: impl FnMut(u32) -> Result<Box<dyn super::codec::Codec>, Wrong>,
) -> Result<Vec<LinkId>, Wrong> {
    const AT_ONCE: usize = 64;
    let mut links = Vec::with_capacity(count);
    let mut ready = 0;
    engine.until(PATIENCE, "opening links", |engine, heard| {
        ready += heard.iter().filter(|heard| heard.what == Event::Ready).count();
        while links.len() < count && links.len() < ready + AT_ONCE {
            let number = u32::try_from(links.len()).unwrap_or(u32::MAX);
            links.push(host.open(engine, codec(number)?)?);
        }
        Ok(ready == count)
    })?;
    Ok(links)
}
