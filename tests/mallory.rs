//! Mallory, a relay that lies. She has the relay's key and store, sees every request, and may bend every answer and push.
//!
//! Each of her attacks is a function in [`lies`] that is named after it. The simulation plays them in a world without
//! sockets; [`relay`] is the same Mallory in a process of her own, which real clients talk to and `tour` gives orders.

pub mod lies;
pub mod orders;
pub mod puppet;
pub mod relay;
pub mod seen;

use sealpost_spec::mailbox::Push;
use sealpost_spec::relay::{Answer, Refusal, RelayHello, Request};

/// Bends an answer. Who asked is told to the test, not to the relay, which has to guess it: on an anonymous link of a
/// process it is nobody, the empty name.
pub type BendAnswer = Box<dyn FnMut(&str, &Request, Result<Answer, Refusal>) -> Result<Answer, Refusal> + Send>;
/// Bends a push for somebody into none, one or many.
pub type BendPush = Box<dyn FnMut(&str, Push) -> Vec<Push> + Send>;
/// Takes a request before the relay sees it: `Some` is the answer, and the relay never knows.
pub type TakeRequest = Box<dyn FnMut(&str, &Request) -> Option<Result<Answer, Refusal>> + Send>;
/// Bends a relay's hello.
pub type BendHello = Box<dyn FnMut(&str, RelayHello) -> RelayHello + Send>;

/// What the relay does on purpose; nothing, by default.
#[derive(Default)]
pub struct Mallory {
    /// See [`BendAnswer`].
    pub answer: Option<BendAnswer>,
    /// See [`BendPush`].
    pub push: Option<BendPush>,
    /// See [`TakeRequest`].
    pub request: Option<TakeRequest>,
    /// See [`BendHello`].
    pub hello: Option<BendHello>,
    /// The protocol version that her hello names, in place of the one that was agreed on.
    pub version: Option<u16>,
}

impl Mallory {
    /// Becomes honest.
    pub fn reform(&mut self) {
        *self = Self::default();
    }

    /// Both at once; where both bend the same, this one is forgotten.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            answer: other.answer.or(self.answer),
            push: other.push.or(self.push),
            request: other.request.or(self.request),
            hello: other.hello.or(self.hello),
            version: other.version.or(self.version),
        }
    }
}
