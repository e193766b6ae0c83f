//! Everything that the relay saw, said, held or logged, kept to be searched for what must not be there.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Once;

use sealpost_tests::inspect::Needles;
use sha2::{Digest, Sha256};
use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes into the log of the world that runs on this thread.
struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for ThreadLog {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// The record of one world. One world at a time may run on a thread.
pub(crate) struct Record {
    kept: Vec<(&'static str, Vec<u8>)>,
    /// Digests of what was kept out of the store: the next look finds most of it again.
    seen: BTreeSet<[u8; 32]>,
}

impl Record {
    pub(super) fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let _ = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .without_time()
                .with_writer(|| ThreadLog)
                .try_init();
        });
        LOG.with_borrow_mut(Vec::clear);
        Self { kept: Vec::new(), seen: BTreeSet::new() }
    }

    pub(super) fn keep(&mut self, what: &'static str, bytes: &[u8]) {
        self.kept.push((what, bytes.to_vec()));
    }

    /// The same, of what stands still: what was kept before is not kept again.
    pub(super) fn keep_once(&mut self, what: &'static str, bytes: &[u8]) {
        if self.seen.insert(Sha256::digest(bytes).into()) {
            self.keep(what, bytes);
        }
    }

    /// Everything that was logged on this thread, at every level.
    pub(crate) fn logged(&self) -> String {
        LOG.with_borrow(|log| String::from_utf8_lossy(log).into_owned())
    }

    /// What of these texts the relay has had, in any form.
    pub(crate) fn traces_of(&self, texts: &[String]) -> Vec<String> {
        let needles = Needles::new(texts.iter().map(String::as_bytes));
        let log = self.logged();
        self.kept
            .iter()
            .map(|(what, bytes)| (*what, bytes.as_slice()))
            .chain([("log", log.as_bytes())])
            .flat_map(|(what, bytes)| {
                let found = needles.in_bytes(bytes);
                found.into_iter().map(move |(number, form, _)| format!("{what}: {:?} {form}", texts[number]))
            })
            .collect()
    }

    /// Everything kept of one sort: `request`, `answer`, `push`, `store`.
    pub(crate) fn of(&self, sort: &'static str) -> impl Iterator<Item = &[u8]> {
        self.kept.iter().filter(move |(what, _)| *what == sort).map(|(_, bytes)| bytes.as_slice())
    }
}
