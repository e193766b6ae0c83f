//! From a file to the relay, from where the relay has come to.

use std::collections::VecDeque;
use std::path::PathBuf;

use sealpost_crypto::attachment::Chunks;
use sealpost_spec::account::Name;
use sealpost_spec::attachment::CHUNK;
use sealpost_spec::mailbox::DeliveryToken;
use sealpost_spec::message::FilePointer;
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::Bytes;

use super::Told;
use super::pace::{Flight, MOST};
use super::source::{self, Read};
use crate::engine::{Failure, FileNews, FileTrouble, Stamp};
use crate::link::Line;

/// What is to be uploaded.
pub(super) struct Upload {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) recipient: Name,
    pub(super) token: Option<DeliveryToken>,
    pub(super) pointer: FilePointer,
}

/// Parts that are sealed, from the first on that the relay has not.
struct Ready {
    parts: VecDeque<Vec<u8>>,
    /// How many parts the relay has.
    stored: u32,
    /// The next one that leaves.
    next: u32,
}

impl Upload {
    pub(super) async fn run(mut self, mut line: Line, told: &mut Told) -> Result<FileNews, FileTrouble> {
        let FilePointer { blob, size, ref key, .. } = self.pointer;
        let chunks = Chunks::new(key, blob, size)
            .map_err(|_| FileTrouble::Link(Failure::Refused(Refusal::TooLarge { limit: 0 })))?;
        let parts = chunks.parts();
        let stored = self.stored(&mut line, parts).await?;
        told.moved(done(stored, size)).await;
        let mut source = source::start(self.path.clone(), self.stamp, chunks, stored);
        let mut ready = Ready { parts: VecDeque::new(), stored, next: stored };
        let mut flight = Flight::new();
        let mut end = None;
        loop {
            if let (Some((size, hash)), true) = (end, ready.stored >= parts && flight.is_empty()) {
                return Ok(FileNews::Uploaded { size, hash });
            }
            while flight.has_room()
                && let Some(part) = ready.parts.get((ready.next - ready.stored) as usize)
            {
                let id = line.ask(self.put(parts, ready.next, part.clone()));
                flight.departs(id, ready.next);
                ready.next += 1;
            }
            if flight.is_empty() && (flight.is_troubled() || ready.next > ready.stored) {
                flight.again().await?;
                ready.next = ready.stored;
                continue;
            }
            tokio::select! {
                read = source.recv(), if end.is_none() && ready.parts.len() < MOST => match read {
                    Some(Ok(Read::Passed)) => told.moved(done(ready.stored, size)).await,
                    // The relay may have come further than the file was read: a part that came twice.
                    Some(Ok(Read::Part(number, _))) if number < ready.stored => {}
                    Some(Ok(Read::Part(_, sealed))) => ready.parts.push_back(sealed),
                    Some(Ok(Read::End { size, hash })) => end = Some((size, hash)),
                    Some(Err(trouble)) => return Err(trouble),
                    None => return Err(FileTrouble::Unreadable("reading it was interrupted".to_owned())),
                },
                (id, result) = line.answer(), if !flight.is_empty() => {
                    if flight.lands(id).is_none() {
                        continue;
                    }
                    match result {
                        Ok(Answer::Stored { parts: stored }) => {
                            if ready.came_to(stored.min(parts)) {
                                flight.succeeded();
                                told.moved(done(ready.stored, size)).await;
                            }
                        }
                        Ok(_) => return Err(FileTrouble::Link(Failure::Refused(Refusal::Malformed))),
                        // [FILE-7] it costs work from now on.
                        Err(Failure::Refused(Refusal::UnknownToken)) if self.token.is_some() => self.token = None,
                        Err(Failure::Refused(Refusal::UnknownToken)) => flight.fails(Failure::Unknown)?,
                        Err(failure) => flight.fails(failure)?,
                    }
                }
            }
        }
    }

    /// Asks how far the relay has come. **[FILE-5]**
    async fn stored(&mut self, line: &mut Line, parts: u32) -> Result<u32, FileTrouble> {
        let mut flight = Flight::new();
        loop {
            let id = line.ask(self.put(parts, 0, Vec::new()));
            flight.departs(id, 0);
            let (id, result) = line.answer().await;
            flight.lands(id);
            match result {
                Ok(Answer::Stored { parts: stored }) => return Ok(stored.min(parts)),
                Ok(_) => return Err(FileTrouble::Link(Failure::Refused(Refusal::Malformed))),
                Err(Failure::Refused(Refusal::UnknownToken)) if self.token.is_some() => self.token = None,
                Err(failure) => {
                    flight.fails(failure)?;
                    flight.again().await?;
                }
            }
        }
    }

    fn put(&self, parts: u32, part: u32, bytes: Vec<u8>) -> Request {
        let (recipient, blob) = (self.recipient.clone(), self.pointer.blob);
        Request::PutBlob { recipient, token: self.token, blob, parts, part, bytes: Bytes(bytes) }
    }
}

impl Ready {
    /// The relay has so many parts. Whether that is further than before. Answers overtake each other: less means nothing, and
    /// a relay that has lost some takes none of those that follow, until it is asked anew.
    fn came_to(&mut self, stored: u32) -> bool {
        let further = stored > self.stored;
        while self.stored < stored {
            self.parts.pop_front();
            self.stored += 1;
        }
        self.next = self.next.max(self.stored);
        further
    }
}

/// Bytes of the file in so many parts.
fn done(parts: u32, size: u64) -> u64 {
    (u64::from(parts) * CHUNK as u64).min(size)
}
