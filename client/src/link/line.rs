//! A line: an anonymous link with nobody else's requests on it, for as long as something large takes.
//!
//! It is opened when something is asked, replaced when it is old, and opened again where it broke, like any anonymous link,
//! and has credentials of its own at a proxy.

use std::sync::Arc;

use sealpost_spec::relay::{Answer, Request};
use tokio::sync::mpsc;

use super::anonymous::{self, Slots};
use super::dial::Dialer;
use super::{Config, Job, QUEUE};
use crate::engine::{Failure, LinkEvent, RequestId};

/// Opens lines to one relay.
#[derive(Clone)]
pub(crate) struct Lines {
    dialer: Arc<Dialer>,
    slots: Arc<Slots>,
}

/// One of them.
pub(crate) struct Line {
    lines: Lines,
    jobs: Option<mpsc::Sender<Job>>,
    heard: mpsc::Sender<LinkEvent>,
    answers: mpsc::Receiver<LinkEvent>,
    last: u64,
}

impl Lines {
    pub(crate) fn new(config: Config) -> Self {
        Self { dialer: Arc::new(Dialer::new(config)), slots: Arc::default() }
    }

    /// A line on which nothing was asked yet: it is not open.
    pub(crate) fn line(&self) -> Line {
        let (heard, answers) = mpsc::channel(QUEUE);
        Line { lines: self.clone(), jobs: None, heard, answers, last: 0 }
    }
}

impl Line {
    /// Asks; the number comes back with the answer. No more than [`QUEUE`] may be unanswered.
    pub(crate) fn ask(&mut self, request: Request) -> RequestId {
        self.last += 1;
        let id = RequestId(self.last);
        let mut job = Job { id, request };
        if let Some(jobs) = &self.jobs {
            match jobs.try_send(job) {
                Ok(()) => return id,
                // The link closed because nobody needed it.
                Err(mpsc::error::TrySendError::Closed(again) | mpsc::error::TrySendError::Full(again)) => job = again,
            }
        }
        let (jobs, taken) = mpsc::channel(QUEUE);
        // The queue is new and has room.
        let _ = jobs.try_send(job);
        let Lines { dialer, slots } = self.lines.clone();
        tokio::spawn(anonymous::run(dialer, slots, taken, self.heard.clone()));
        self.jobs = Some(jobs);
        id
    }

    /// The next answer to something that was asked. Nothing is lost when the future is dropped.
    pub(crate) async fn answer(&mut self) -> (RequestId, Result<Answer, Failure>) {
        loop {
            match self.answers.recv().await {
                Some(LinkEvent::Answer { id, result }) => return (id, result),
                Some(_) => {}
                // It holds a sender of its own, so the channel stays open.
                None => std::future::pending().await,
            }
        }
    }
}
