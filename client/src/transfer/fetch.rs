//! From the relay to a file, from where the disk has come to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sealpost_crypto::attachment::Chunks;
use sealpost_spec::attachment::CHUNK;
use sealpost_spec::message::FilePointer;
use sealpost_spec::relay::{Answer, Refusal, Request};
use tokio::sync::mpsc;

use super::folder::{Partial, To};
use super::pace::{Flight, MOST};
use super::{Told, apart};
use crate::engine::{Failure, FileNews, FileTrouble};
use crate::link::Line;

/// Parts that came and are not written yet.
const WAITING: usize = 4;

/// What the writing thread says before it takes parts.
enum Begins {
    /// So many bytes are there, and are being read again.
    Passed(u64),
    /// From this part on they are wanted.
    From(u32),
}

/// Fetches a file, and gives it its name once all of it is there and is what was announced. **[FILE-13]**
pub(super) async fn run(
    pointer: FilePointer,
    to: To,
    mut line: Line,
    told: &mut Told,
) -> Result<FileNews, FileTrouble> {
    let (blob, size) = (pointer.blob, pointer.size);
    let chunks = Chunks::new(&pointer.key, blob, size).map_err(|_| FileTrouble::Damaged)?;
    let parts = chunks.parts();
    let (parts_in, taken) = mpsc::channel(WAITING);
    let (begins, mut begun) = mpsc::channel(1);
    let mut writing = Box::pin(apart(move || write(&pointer, to, &chunks, begins, taken)));
    let mut first = loop {
        match begun.recv().await {
            Some(Begins::Passed(bytes)) => told.moved(bytes).await,
            Some(Begins::From(part)) => break part,
            // It ended before it began, and says why.
            None => return writing.await.map(saved),
        }
    };
    told.moved(done(first, size)).await;
    let mut next = first;
    let mut flight = Flight::new();
    let mut missing: BTreeSet<u32> = BTreeSet::new();
    let mut came: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    while first < parts {
        while flight.has_room() && (missing.first().is_some() || next < parts && next - first < MOST as u32) {
            let part = missing.pop_first().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            flight.departs(line.ask(Request::FetchBlob { blob, part }), part);
        }
        if flight.is_empty() && !came.contains_key(&first) {
            flight.again().await?;
            continue;
        }
        tokio::select! {
            room = parts_in.reserve(), if came.contains_key(&first) => {
                let (Ok(room), Some(bytes)) = (room, came.remove(&first)) else {
                    // Writing has ended, and says why.
                    return writing.await.map(saved);
                };
                room.send(bytes);
                first += 1;
                told.moved(done(first, size)).await;
            }
            (id, result) = line.answer(), if !flight.is_empty() => {
                let Some(part) = flight.lands(id) else { continue };
                match result {
                    // [FILE-4]
                    Ok(Answer::Blob { parts: others, .. }) if others != parts => return Err(FileTrouble::Damaged),
                    Ok(Answer::Blob { bytes, .. }) => {
                        flight.succeeded();
                        came.insert(part, bytes.0);
                    }
                    Ok(_) => return Err(FileTrouble::Link(Failure::Refused(Refusal::Malformed))),
                    Err(failure) => {
                        missing.insert(part);
                        flight.fails(failure)?;
                    }
                }
            }
            ended = &mut writing => return ended.map(saved),
        }
    }
    drop(parts_in);
    writing.await.map(saved)
}

fn saved(path: PathBuf) -> FileNews {
    FileNews::Saved { path: path.display().to_string() }
}

/// Bytes of the file in so many parts.
fn done(parts: u32, size: u64) -> u64 {
    (u64::from(parts) * CHUNK as u64).min(size)
}

/// The writing thread: says from which part on it wants them, takes them in order, and ends where no more come.
fn write(
    pointer: &FilePointer,
    to: To,
    chunks: &Chunks,
    begins: mpsc::Sender<Begins>,
    mut taken: mpsc::Receiver<Vec<u8>>,
) -> Result<PathBuf, FileTrouble> {
    // Where the last one was not taken up yet, this one is passed over.
    let passed = |bytes| drop(begins.try_send(Begins::Passed(bytes)));
    let (mut partial, mut number) = Partial::open(to, pointer, chunks, passed)?;
    if begins.blocking_send(Begins::From(number)).is_err() {
        return Err(FileTrouble::Unwritable("it was interrupted".to_owned()));
    }
    while let Some(part) = taken.blocking_recv() {
        // [FILE-3]
        let opened = chunks.open(number, &part).map_err(|_| FileTrouble::Damaged)?;
        partial.write(&opened)?;
        number += 1;
    }
    if number < chunks.parts() {
        return Err(FileTrouble::Unwritable("it was interrupted".to_owned()));
    }
    partial.finish(&pointer.hash)
}
