//! What a relay answers: authorise, one or two calls of the store, reply.

mod account;
mod attachment;
mod caller;
mod mailbox;
mod neighbours;
mod operator;
mod presence;
mod push;
mod room;
mod row;
pub(crate) mod shown;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwap;
use sealpost_crypto::identity::{self, RelaySecret};
use sealpost_crypto::{CryptoRng, work};
use sealpost_spec::mailbox::Envelope;
use sealpost_spec::relay::{
    Answer, ClientHello, LinkKind, Refusal, Registering, RelayHello, RelayPin, Request, Work, WorkPrice,
};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{DeliverRef, VERSION, brings_keys, decode};
use serde::{Deserialize, Serialize};

pub use attachment::Files;
use attachment::Part;
pub use caller::{Caller, Peer};

use crate::course::Course;
use crate::metrics::{ACKNOWLEDGE, DELIVER, METRICS, POST, PUT_BLOB};
use crate::quota::{Quota, Rate, Rates};
use crate::store::bell::lock;
use crate::store::{Fault, Store};
use caller::Sender;
use mailbox::Delivery;
use operator::Operator;
use presence::Presence;
pub(crate) use room::Said;
pub use tail::Shard;
use tail::Tails;

/// How often a request is tried again when another one changed what it had read.
const ATTEMPTS: usize = 8;

/// What a relay's operator decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Who may register.
    pub registering: Registering,
    /// What work costs.
    pub work: WorkPrice,
    /// How often somebody may ask.
    pub rates: Rates,
    /// How much room files may take.
    pub files: Files,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            registering: Registering::Open,
            // 2^18 hashes: a tenth of a second on a laptop, unnoticed before a first message, dear by the million.
            work: WorkPrice { fetch: 18, deliver: 18 },
            rates: Rates::default(),
            files: Files::default(),
        }
    }
}

/// A relay over a store.
pub struct Relay<S> {
    store: S,
    secret: RelaySecret,
    key: [u8; 32],
    /// Read without a lock: both change where the operator changes them.
    rules: ArcSwap<Rules>,
    quota: ArcSwap<Quota>,
    presence: Presence,
    tails: Tails,
    operator: Operator,
    room: attachment::room::Room,
    /// The mailbox at which the last sweep ended, where it did not come to the last one.
    swept: Mutex<Option<Vec<u8>>>,
    course: Course,
    rng: Mutex<Box<dyn CryptoRng + Send>>,
}

/// Why there is no answer: the caller's fault or the relay's own.
enum No {
    Refused(Refusal),
    Fault(Fault),
}

// [RELAY-12] a refusal comes before the first write, or from a write that did not happen.
impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for No {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// An answer that is on its way.
pub(crate) type Waits<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + 'a>>;

/// Answers to posts that are on their way, each in its place.
pub(crate) type Saying<'a> = Pin<Box<dyn Future<Output = Vec<Result<Answer, Refusal>>> + Send + 'a>>;

/// A request that was begun.
pub(crate) enum Begun<'a> {
    /// There was nothing to wait for.
    Answered(Result<Answer, Refusal>),
    /// It borrows nothing of the link, which may go on.
    Waits {
        /// Resolves to the answer.
        answer: Waits<'a>,
        /// Nobody waits for the answer.
        lazy: bool,
    },
    /// A post: it goes on with [`Relay::say`], together with those that follow it.
    Said(Box<Said>),
    /// It needs the link for itself: [`Relay::answer`] goes on with it.
    Alone(Box<Request>),
    /// So does this, which is not even decoded yet: [`Relay::answer_in_turn`] goes on with these bytes.
    InTurn(Vec<u8>),
    /// It does, and others are not answered yet. Nothing has happened.
    NotYet,
}

type Outcome = Result<Answer, No>;

impl<S: Store> Relay<S> {
    /// A relay over this store. `rng`: for challenges and fault ids.
    ///
    /// # Errors
    /// The store's own.
    pub async fn new(
        store: S,
        secret: RelaySecret,
        rules: Rules,
        rng: impl CryptoRng + Send + 'static,
    ) -> Result<Self, Fault> {
        let relay = Self {
            key: secret.public(),
            quota: ArcSwap::from_pointee(Quota::new(&rules.rates)),
            presence: Presence::default(),
            tails: Tails::default(),
            operator: Operator::default(),
            room: attachment::room::Room::default(),
            swept: Mutex::default(),
            course: Course::new(),
            rng: Mutex::new(Box::new(rng)),
            store,
            secret,
            rules: ArcSwap::from_pointee(rules),
        };
        relay.open_lobby().await?;
        relay.remember_exceptions().await?;
        relay.count_blobs().await?;
        Ok(relay)
    }

    /// Answers a client's hello: the bytes of the relay's, and who asks from now on; `None` where no version fits and
    /// the link is to be closed. `now`: Unix milliseconds, here and below. [WIRE-6]
    pub fn hello(&self, now: u64, hello: &ClientHello, peer: Peer) -> (Vec<u8>, Option<Caller>) {
        if !(hello.lowest..=hello.highest).contains(&VERSION) {
            return (RelayHello::no_version(VERSION, VERSION), None);
        }
        // [RELAY-4]
        let mut challenge = [0; 32];
        lock(&self.rng).fill_bytes(&mut challenge);
        let reply = RelayHello {
            store: self.store.id(),
            challenge,
            time: now,
            registering: self.rules.load().registering,
            work: self.rules.load().work,
            tree_head: TreeHead::NONE,
        };
        match reply.layout(VERSION) {
            Some(bytes) => (bytes, Some(Caller::new(hello.kind, peer, challenge, self.operator.count(hello.kind)))),
            None => (RelayHello::no_version(VERSION, VERSION), None),
        }
    }

    /// Answers an encoded request, once its work was checked.
    ///
    /// # Errors
    /// What the relay refuses, or [`Refusal::Internal`].
    pub async fn handle(
        &self,
        now: u64,
        caller: &mut Caller,
        work: Option<Work>,
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        let request = decode::<Request>(body).map_err(|_| Refusal::Malformed)?;
        self.quota.load().tick(now);
        if matches!(request, Request::Deliver { .. }) {
            self.knocks(caller)?;
        }
        caller.paid = self.paid(caller, self.bits(&request), work, body);
        self.answer(now, caller, request).await
    }

    /// Begins what [`Relay::handle`] does. `others`: requests of the link wait already, and only what borrows nothing of
    /// it may join them.
    pub(crate) fn begin<'a>(
        &'a self,
        now: u64,
        caller: &mut Caller,
        work: Option<Work>,
        body: &[u8],
        others: bool,
    ) -> Begun<'a> {
        match DeliverRef::read(body) {
            Some(Ok(delivery)) => return self.begin_delivery(now, caller, work, body, &delivery),
            Some(Err(_)) => return Begun::Answered(Err(Refusal::Malformed)),
            None => {}
        }
        // [RELAY-25]
        match brings_keys(body) {
            true if others => return Begun::NotYet,
            true => return Begun::InTurn(body.to_vec()),
            false => {}
        }
        let Ok(request) = decode::<Request>(body) else { return Begun::Answered(Err(Refusal::Malformed)) };
        if others && !matches!(request, Request::Acknowledge(_) | Request::Post(_) | Request::PutBlob { .. }) {
            return Begun::NotYet;
        }
        self.quota.load().tick(now);
        caller.paid = self.paid(caller, self.bits(&request), work, body);
        match request {
            Request::PutBlob { recipient, token, blob, parts, part, bytes } => {
                METRICS.requests.add(PUT_BLOB, 1);
                let sender = caller.sender();
                caller.paid = false;
                let part = Part { recipient, token, blob, parts, part, bytes };
                let answer = async move { self.told(self.put_blob(now, sender, part).await) };
                Begun::Waits { answer: Box::pin(answer), lazy: false }
            }
            Request::Acknowledge(pairs) => {
                METRICS.requests.add(ACKNOWLEDGE, 1);
                METRICS.acknowledged.add(pairs.len() as u64);
                // [BOX-12] somebody waits for it.
                let lazy = !pairs.is_empty();
                let trim = self.acknowledged(caller, pairs);
                Begun::Waits { answer: Box::pin(async move { self.told(self.acknowledge(trim).await) }), lazy }
            }
            Request::Post(post) => {
                METRICS.requests.add(POST, 1);
                match self.said(caller, post) {
                    Ok(said) => Begun::Said(Box::new(said)),
                    Err(refusal) => Begun::Answered(self.told(Err(refusal.into()))),
                }
            }
            request => Begun::Alone(Box::new(request)),
        }
    }

    /// Begins a delivery. Its box is copied once, and not before it is known that it may come in.
    fn begin_delivery<'a>(
        &'a self,
        now: u64,
        caller: &mut Caller,
        work: Option<Work>,
        body: &[u8],
        delivery: &DeliverRef<'_>,
    ) -> Begun<'a> {
        METRICS.requests.add(DELIVER, 1);
        self.quota.load().tick(now);
        if let Err(refusal) = self.knocks(caller) {
            return Begun::Answered(self.told(Err(refusal.into())));
        }
        let paid = self.paid(caller, Some(self.rules.load().work.deliver), work, body);
        let sender = Sender { paid, ..caller.sender() };
        if let Err(refusal) = self.lets_in(&sender, delivery.token.as_ref(), delivery.sealed.len()) {
            return Begun::Answered(self.told(Err(refusal.into())));
        }
        let came = Instant::now();
        let delivery = Delivery::new(now, delivery);
        let answer = async move {
            let outcome = self.deliver(now, sender, delivery).await;
            if outcome.is_ok() {
                METRICS.accepted.took(came.elapsed());
            }
            self.told(outcome)
        };
        Begun::Waits { answer: Box::pin(answer), lazy: false }
    }

    /// Decodes and answers a request that brings keys, once it is the link's turn: it takes as long as hundreds of others,
    /// also where it is refused. [RELAY-25]
    pub(crate) async fn answer_in_turn(&self, now: u64, caller: &mut Caller, body: &[u8]) -> Result<Answer, Refusal> {
        caller.turn = caller.check().await;
        let answer = match decode::<Request>(body) {
            Ok(request) => self.answer(now, caller, request).await,
            Err(_) => Err(Refusal::Malformed),
        };
        caller.turn = None;
        answer
    }

    /// Takes posts of one link, in their order.
    pub(crate) fn say(&self, now: u64, said: Vec<Said>) -> Saying<'_> {
        Box::pin(async move {
            let outcomes = self.post_all(now, said).await;
            outcomes.into_iter().map(|outcome| self.told(outcome)).collect()
        })
    }

    /// What the caller is told, and what is counted of it.
    fn told(&self, outcome: Outcome) -> Result<Answer, Refusal> {
        let answer = outcome.map_err(|no| match no {
            No::Refused(refusal) => refusal,
            No::Fault(fault) => self.internal(&fault),
        });
        METRICS.answered(&answer);
        answer
    }

    /// Answers a request.
    ///
    /// # Errors
    /// What the relay refuses, or [`Refusal::Internal`].
    pub async fn answer(&self, now: u64, caller: &mut Caller, request: Request) -> Result<Answer, Refusal> {
        self.quota.load().tick(now);
        METRICS.request(&request);
        let outcome = match request {
            Request::Register(registration) => self.register(now, caller, registration).await,
            Request::Login(login) => self.login(caller, login).await,
            Request::Publish(keys) => self.publish(caller, keys).await,
            Request::SetToken(token) => self.set_token(caller, token).await,
            Request::Acknowledge(pairs) => {
                let trim = self.acknowledged(caller, pairs);
                self.acknowledge(trim).await
            }
            Request::FetchBundle(name) => self.fetch_bundle(caller, name).await,
            Request::FetchDevices(name) => self.fetch_devices(caller, name).await,
            Request::Deliver { token, envelope } => {
                let (sender, Envelope { mailbox, id, sealed }) = (caller.sender(), envelope);
                match self.lets_in(&sender, token.as_ref(), sealed.0.len()) {
                    Ok(()) => self.deliver(now, sender, Delivery::to(now, token, (mailbox, id), &sealed.0)).await,
                    Err(refusal) => Err(refusal.into()),
                }
            }
            Request::Post(post) => match self.said(caller, post) {
                Ok(said) => self.post_all(now, vec![said]).await.pop().unwrap_or(Err(Refusal::Malformed.into())),
                Err(refusal) => Err(refusal.into()),
            },
            Request::Follow { room, after } => self.follow(caller, room, after).await,
            Request::Unfollow(room) => self.unfollow(caller, &room),
            Request::Rooms { after } => self.rooms(caller, after).await,
            Request::Members { room, after } => self.members(caller, room, after).await,
            Request::PutBlob { recipient, token, blob, parts, part, bytes } => {
                let part = Part { recipient, token, blob, parts, part, bytes };
                self.put_blob(now, caller.sender(), part).await
            }
            Request::FetchBlob { blob, part } => self.fetch_blob(now, caller, blob, part).await,
            Request::DropBlob(blob) => self.drop_blob(caller, blob).await,
            Request::Room { room, receipt } => self.room_made(caller, room, receipt).await,
            Request::Unregister { signature } => self.unregister(caller, &signature).await,
            Request::SetDevices { list, token } => self.set_devices(caller, list, token).await,
        };
        caller.paid = false;
        self.told(outcome)
    }

    /// Does what is due now and then: expired envelopes go, limiters forget. Call it every few minutes.
    ///
    /// # Errors
    /// The store's own.
    pub async fn sweep(&self, now: u64) -> Result<(), Fault> {
        self.operator.begin(now);
        self.quota.load().tick(now);
        self.quota.load().forget();
        self.remember_exceptions().await?;
        self.expire_invites(now).await?;
        self.let_go_all(now).await?;
        self.expire_blobs(now).await?;
        self.expire_some(now).await
    }

    /// Goes by these rules from now on. Where the rates are others, whoever has used up one begins anew.
    pub fn govern(&self, rules: Rules) {
        if rules.rates != self.rules.load().rates {
            self.quota.store(Arc::new(Quota::new(&rules.rates)));
        }
        self.rules.store(Arc::new(rules));
    }

    /// How often an address may begin a handshake.
    pub(crate) fn handshake_rate(&self) -> Rate {
        self.rules.load().rates.handshakes
    }

    /// What an address pins of this relay.
    pub fn pin(&self) -> RelayPin {
        identity::relay_pin(&self.key)
    }

    /// The relay's public key, which its TLS proves.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Whether it takes links, and when those that it has are to end.
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// The store, for tests that look into it.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Logs a fault once, under the number that the client is told.
    pub(crate) fn internal(&self, fault: &Fault) -> Refusal {
        let mut id = [0; 8];
        lock(&self.rng).fill_bytes(&mut id);
        let id = u64::from_le_bytes(id);
        tracing::error!(fault = id, "{fault}");
        METRICS.faults.add(1);
        Refusal::Internal { id }
    }

    /// Refuses a delivery whose address has used up its rate, before its work is looked at: that is to hash the box.
    /// [RELAY-15]
    fn knocks(&self, caller: &Caller) -> Result<(), Refusal> {
        match caller.kind {
            LinkKind::Anonymous => self.quota.load().delivery(caller.from),
            LinkKind::Authenticated => Ok(()),
        }
    }

    /// What a request costs, where it has a price.
    fn bits(&self, request: &Request) -> Option<u8> {
        match request {
            Request::FetchBundle(_) | Request::FetchDevices(_) => Some(self.rules.load().work.fetch),
            Request::Deliver { .. } | Request::PutBlob { .. } => Some(self.rules.load().work.deliver),
            _ => None,
        }
    }

    /// Whether the work that came with a request is what the request costs. A proof counts once: its counter is
    /// above that of every proof before it on this link. [RELAY-9]
    fn paid(&self, caller: &mut Caller, bits: Option<u8>, work: Option<Work>, body: &[u8]) -> bool {
        let (Some(bits), Some(work)) = (bits, work) else { return false };
        let channel = work::Channel { relay: &self.key, exporter: &caller.peer.channel };
        let paid = work.counter > caller.counter && work::check(channel, &work, body, bits);
        if paid {
            caller.counter = work.counter;
        }
        paid
    }
}

/// Refuses what costs `bits` and was not paid.
fn price(paid: bool, bits: u8) -> Result<(), Refusal> {
    if paid || bits == 0 { Ok(()) } else { Err(Refusal::WorkNeeded { bits }) }
}

/// Refuses where this is not the link for it. [RELAY-7]
fn only(kind: LinkKind, caller: &Caller) -> Result<(), Refusal> {
    if caller.kind == kind { Ok(()) } else { Err(Refusal::WrongLink) }
}
