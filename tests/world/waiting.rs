//! Requests that wait for the relay's store: deliveries to somebody who is there, until they are acknowledged or written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rand::RngExt;
use sealpost_client::engine::RequestId;
use sealpost_relay::store::{CrashPoint as StoreCrash, Memory};
use sealpost_relay::{Caller, Relay};
use sealpost_spec::relay::{Answer, Refusal, Request, Work};

use super::World;
use super::links::{Happening, LinkId};

/// A request that the relay was asked.
pub(super) struct Asked {
    pub(super) link: LinkId,
    pub(super) id: RequestId,
    pub(super) person: String,
    pub(super) request: Request,
}

/// Its answer, with the link's other end.
type Answering = Pin<Box<dyn Future<Output = (Caller, Result<Answer, Refusal>)>>>;

/// All that wait.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Asked, Answering)>);

fn polled(answering: &mut Answering) -> Option<(Caller, Result<Answer, Refusal>)> {
    match answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

impl World {
    /// Asks the relay, which answers now or once its store has done what it has to do.
    pub(super) fn handles(
        &mut self,
        relay: Arc<Relay<Memory>>,
        asked: Asked,
        mut caller: Caller,
        body: &[u8],
        work: Option<Work>,
    ) {
        if self.faults.held > 0 {
            relay.store().hold();
        }
        let store_dies = self.chance(self.faults.store_crash);
        if store_dies {
            let point = if self.dice.random() { StoreCrash::BeforeCommit } else { StoreCrash::AfterCommit };
            let commits = self.dice.random_range(1..=2);
            self.store_doom.lock().unwrap().threatens(commits, point);
        }
        let store = Arc::clone(&relay);
        let (now, body) = (self.now, body.to_vec());
        let mut answering: Answering = Box::pin(async move {
            let answer = relay.handle(now, &mut caller, work, &body).await;
            (caller, answer)
        });
        let first = polled(&mut answering);
        self.store_doom.lock().unwrap().spares();
        if store.store().stopped() {
            // It stops rather than say what it does not know: nobody gets this answer.
            drop((first, answering));
            self.relay_crashed();
            return;
        }
        match first {
            Some((caller, answer)) => self.answers(&asked, caller, answer),
            None => {
                self.mark("waits", &[]);
                self.waiting.0.push((asked, answering));
                let time = self.dice.random_range(1..=self.faults.held.max(20));
                self.schedule(time, Happening::Commits);
                self.pushes();
            }
        }
        self.answers_what_waited();
    }

    /// The store writes what it holds.
    pub(super) fn commits(&mut self) {
        if let Some(relay) = &self.relay {
            let written = relay.store().commit_held();
            if !self.relay_crashed() {
                written.expect("nobody has crashed it");
                self.answers_what_waited();
            }
        }
    }

    fn answers_what_waited(&mut self) {
        let mut at = 0;
        while let Some((_, answering)) = self.waiting.0.get_mut(at) {
            match polled(answering) {
                Some((caller, answer)) => {
                    let (asked, _) = self.waiting.0.remove(at);
                    self.answers(&asked, caller, answer);
                    // Others may have been answered, or have gone with the relay.
                    at = 0;
                }
                None => at += 1,
            }
        }
    }
}
