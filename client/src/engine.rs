//! The engine: everything that a client does, without socket, clock or dice.
//!
//! Commands and what the link heard go in; requests and events come out. Each call is one transaction: what it makes
//! visible to `poll_*` is committed before.

use sealpost_spec::account::Name;
use sealpost_spec::mailbox::Push;
use sealpost_spec::relay::{Answer, Refusal, RelayHello, Request};

use sealpost_crypto::CryptoRng;

use crate::api::{Command, Error, Event};
use crate::store::Profile;

/// Names a command until its [`Event::End`]; chosen by whoever gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// Names a request until its answer; chosen by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What the engine wants done on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// A request on the authenticated link. Login and registration are requests like others.
    Authenticated {
        /// Comes back with the answer.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// A request on the anonymous link of this recipient; the link does the work that the request costs.
    Anonymous {
        /// Comes back with the answer.
        id: RequestId,
        /// Whose link.
        recipient: Name,
        /// The request.
        request: Request,
    },
    /// Open the authenticated link, and go on trying with growing pauses.
    Connect,
    /// Close all links and stay offline until the next [`Transmit::Connect`].
    Disconnect,
}

/// What the link tells the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The authenticated link is open; nobody is logged in yet.
    Connected {
        /// The relay's hello.
        hello: RelayHello,
        /// The relay's public key, whose hash the address pins and TLS proved.
        relay: [u8; 32],
        /// RFC 9266 exporter.
        channel: [u8; 32],
        /// `tls1.3 X25519MLKEM768`.
        transport: String,
    },
    /// The authenticated link is closed, or could not be opened. Requests on it were failed before, one by one.
    Disconnected(Failure),
    /// The relay pushed something.
    Push(Push),
    /// A request, on either kind of link, came to its end.
    Answer {
        /// Which.
        id: RequestId,
        /// How.
        result: Result<Answer, Failure>,
    },
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The relay says no.
    Refused(Refusal),
    /// It never left: no link could be opened.
    Unreachable(String),
    /// The relay's key is not the pinned one.
    WrongRelay,
    /// It may have arrived or not: the link broke, or the answer did not come in time.
    Unknown,
}

/// One person's client.
pub struct Engine {
    _private: (),
}

impl Engine {
    /// An engine over an unlocked profile, offline. All randomness comes from `rng`.
    ///
    /// # Errors
    /// The profile can't be read.
    pub fn new(_profile: Profile, _rng: Box<dyn CryptoRng + Send>) -> Result<Self, Error> {
        todo!()
    }
    /// Several calls in one commit: all of them or none become visible.
    pub fn together<R>(&mut self, _calls: impl FnOnce(&mut Self) -> R) -> R {
        todo!()
    }
    /// Why the engine does nothing any more: a commit failed. Only opening the profile anew helps.
    pub fn poisoned(&self) -> Option<&str> {
        todo!()
    }
    /// Takes a command. `now`: Unix milliseconds, here and below.
    pub fn command(&mut self, _now: u64, _id: CommandId, _command: Command) {
        todo!()
    }
    /// Forgets a command whose giver has gone; what it queued stays queued.
    pub fn cancel(&mut self, _id: CommandId) {
        todo!()
    }
    /// Takes what the link heard.
    pub fn handle_link(&mut self, _now: u64, _event: LinkEvent) {
        todo!()
    }
    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: u64) {
        todo!()
    }
    /// The next thing to do on the network.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        todo!()
    }
    /// The next event; with the command that it answers, or for everybody.
    pub fn poll_event(&mut self) -> Option<(Option<CommandId>, Event)> {
        todo!()
    }
    /// When [`Engine::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<u64> {
        todo!()
    }
}
