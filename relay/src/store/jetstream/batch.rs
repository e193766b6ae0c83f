//! A batch: its writes one after the other; changes of tables that follow each other together, where that goes.

use std::sync::Arc;

use super::bus::Deadline;
use super::tables::Change;
use super::{JetStream, logs};
use crate::store::{Append, Fault, Write, Written};

/// Most messages that the server takes together.
const TOGETHER: usize = 500;

impl JetStream {
    /// Applies a batch. [STORE-2]
    pub(super) async fn apply(&self, batch: &[Write]) -> Result<Vec<Written>, Fault> {
        let mut written = Vec::with_capacity(batch.len());
        while written.len() < batch.len() {
            let rest = batch.get(written.len()..).unwrap_or_default();
            let run = rest.iter().take(TOGETHER).take_while(|write| changes(write)).count();
            let run = rest.get(..run.max(1)).unwrap_or_default();
            if run.len() > 1
                && let Some(together) = self.together(run).await?
            {
                written.extend(together);
                if written.last() == Some(&Written::Moved) {
                    return Ok(written);
                }
                continue;
            }
            // One by one: so what stands before a revision that has moved is applied, and nothing behind it.
            for write in run {
                written.push(self.one(write).await?);
                if written.last() == Some(&Written::Moved) {
                    return Ok(written);
                }
            }
        }
        Ok(written)
    }

    /// Changes of tables in one go. Where that was refused, or it is not known what came of it, one by one. `None`: there
    /// is no place.
    async fn together(&self, run: &[Write]) -> Result<Option<Vec<Written>>, Fault> {
        // The server has a few places for these.
        let Ok(_place) = self.together.try_acquire() else { return Ok(None) };
        let batch = format!("{:032x}", rand::random::<u128>());
        let deadline = Deadline::new();
        let changes: Vec<Change> = run.iter().filter_map(|write| Change::of(&self.names, write)).collect();
        let published: Vec<_> = changes.iter().map(|change| change.published.clone()).collect();
        let stream = self.names.stream("tables");
        let first = match self.bus.publish_together(&published, &batch, deadline).await {
            Some(ack) => ack.seq + 1 - ack.count,
            None => return self.found(changes, &stream).await,
        };
        let mut written = Vec::with_capacity(run.len());
        for (seq, change) in (first..).zip(&changes) {
            written.push(change.done(&self.bus, &stream, seq).await);
        }
        Ok(Some(written))
    }

    /// Each for itself, with the marks that it had in the batch.
    async fn found(&self, changes: Vec<Change>, stream: &str) -> Result<Option<Vec<Written>>, Fault> {
        let mut written = Vec::with_capacity(changes.len());
        for change in changes {
            written.push(change.make(&self.bus, stream).await?);
            if written.last() == Some(&Written::Moved) {
                break;
            }
        }
        Ok(Some(written))
    }

    /// Goes on also where whoever asked for it does not wait any more, or not yet.
    async fn append(&self, append: Append) -> Result<Written, Fault> {
        let flight = self.flights.begin(self.names.log(&append.log));
        let (bus, names, sums) = (self.bus.clone(), self.names.clone(), Arc::clone(&self.sums));
        let runtime = self.runtime.as_ref().ok_or(Fault::Stopped)?;
        let appended = runtime.spawn(async move {
            let _flight = flight;
            logs::append(&bus, &names, &sums, &append).await
        });
        appended.await.map_err(|_| Fault::Stopped)?
    }

    async fn one(&self, write: &Write) -> Result<Written, Fault> {
        match write {
            Write::Append(append) => self.append(append.clone()).await,
            Write::Trim { log, through } => logs::trim(&self.bus, &self.names, &self.sums, log, *through).await,
            Write::Put { .. } | Write::Delete { .. } => match Change::of(&self.names, write) {
                Some(change) => change.make(&self.bus, &self.names.stream("tables")).await,
                None => Err(Fault::Damaged("a batch")),
            },
        }
    }
}

/// Whether it changes a table.
fn changes(write: &Write) -> bool {
    matches!(write, Write::Put { .. } | Write::Delete { .. })
}
