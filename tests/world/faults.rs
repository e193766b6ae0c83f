//! What goes wrong by itself.

use std::collections::BTreeSet;

/// Chances in a thousand, and what lasts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// A message on a link takes up to so many milliseconds; 0: no dice are thrown, 5 ms.
    pub(crate) slowest: u64,
    /// A link breaks when a message is sent on it.
    pub(crate) breaks: u32,
    /// A push comes twice.
    pub(crate) doubled_push: u32,
    /// A push is lost, as if the relay had forgotten it until the next login.
    pub(crate) lost_push: u32,
    /// A client dies at one of the next commits.
    pub(crate) client_crash: u32,
    /// The relay dies when it is asked something.
    pub(crate) relay_crash: u32,
    /// The relay's store crashes at one of the next commits, before or after it, as when an fsync fails.
    pub(crate) store_crash: u32,
    /// The relay takes a request and its answer is lost with the link.
    pub(crate) lost_answer: u32,
    /// The relay holds what it is to deliver to somebody who is there for up to so many milliseconds before it writes it;
    /// 0: it writes at once.
    pub(crate) held: u64,
    /// Nobody reaches the relay.
    pub(crate) partition: bool,
    /// These people do not reach it.
    pub(crate) cut_off: BTreeSet<String>,
}

impl Faults {
    /// A bad day.
    pub(crate) fn many() -> Self {
        Self {
            slowest: 4_000,
            breaks: 15,
            doubled_push: 60,
            lost_push: 20,
            client_crash: 12,
            relay_crash: 4,
            store_crash: 4,
            lost_answer: 15,
            held: 4_000,
            partition: false,
            cut_off: BTreeSet::new(),
        }
    }
}
