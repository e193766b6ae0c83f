//! A relay that lies: it may bend every answer and every push, and say anything at any time.

use sealpost_spec::mailbox::Push;
use sealpost_spec::relay::{Answer, Refusal, RelayHello, Request};

/// Bends an answer. Who asked is told to the test, not to the relay, which has to guess it.
pub(crate) type BendAnswer = Box<dyn FnMut(&str, &Request, Result<Answer, Refusal>) -> Result<Answer, Refusal>>;
/// Bends a push for somebody into none, one or many.
pub(crate) type BendPush = Box<dyn FnMut(&str, Push) -> Vec<Push>>;
/// Takes a request before the relay sees it: `Some` is the answer, and the relay never knows.
pub(crate) type TakeRequest = Box<dyn FnMut(&str, &Request) -> Option<Result<Answer, Refusal>>>;
/// Bends the bytes of a relay's hello.
pub(crate) type BendHello = Box<dyn FnMut(&str, RelayHello) -> RelayHello>;

/// What the relay does on purpose; nothing, by default.
#[derive(Default)]
pub(crate) struct Mallory {
    /// See [`BendAnswer`].
    pub(crate) answer: Option<BendAnswer>,
    /// See [`BendPush`].
    pub(crate) push: Option<BendPush>,
    /// See [`TakeRequest`].
    pub(crate) request: Option<TakeRequest>,
    /// See [`BendHello`].
    pub(crate) hello: Option<BendHello>,
}

impl Mallory {
    /// Becomes honest.
    pub(crate) fn reform(&mut self) {
        *self = Self::default();
    }
}
