//! Who asks, and what is pushed to them: everything that the relay keeps of one link.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use sealpost_spec::account::{AccountKey, DeviceId, DeviceKey, DeviceList, Name};
use sealpost_spec::mailbox::{EnvelopeId, MailboxId, Seq, TokenHash};
use sealpost_spec::relay::{LinkKind, NoticeId, Refusal};
use sealpost_spec::wire::Signed;
use tokio::sync::OwnedSemaphorePermit;

use super::mailbox::Inbox;
use super::operator::Counted;
use super::presence::Present;
use super::push::Following;
use super::tail::{Shard, Tail};
use crate::quota::Prefix;
use crate::store::bell::lock;
use crate::store::{Bell, Rev, Tags};

/// Where a link comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// For limits only: never stored or logged.
    pub address: IpAddr,
    /// RFC 9266 `tls-exporter` channel binding of the link.
    pub channel: [u8; 32],
}

/// One link, as the relay knows it from its hello to its end.
pub struct Caller {
    pub(super) kind: LinkKind,
    pub(super) peer: Peer,
    pub(super) from: Prefix,
    pub(super) challenge: [u8; 32],
    pub(super) bell: Bell,
    pub(super) login: Option<LoggedIn>,
    /// The highest counter of a proof of work so far. [RELAY-9]
    pub(super) counter: u64,
    /// The request at hand came with the work that it costs.
    pub(super) paid: bool,
    pub(super) recipient: Recipient,
    pub(super) following: BTreeMap<u8, Following>,
    /// What may have something new to push.
    pub(super) fresh: Tags,
    /// The links that its thread serves; `None` where nothing runs between two calls, as in a simulation.
    pub(super) shard: Option<Shard>,
    /// The author's list of the last post, which was verified with it.
    pub(super) author: Option<Box<(Signed, DeviceList)>>,
    /// Its turn to have signatures checked, where it has waited for it already. [RELAY-25]
    pub(super) turn: Option<OwnedSemaphorePermit>,
    /// Tails that it was the first of its shard to follow.
    pub(super) new_tails: Vec<Weak<Tail>>,
    _counted: Counted,
}

/// A device that has proved to be present on a link.
pub(super) struct LoggedIn {
    pub(super) name: Name,
    pub(super) account: AccountKey,
    pub(super) device: DeviceId,
    pub(super) key: DeviceKey,
    pub(super) inbox: Inbox,
    pub(super) present: Present,
    /// The notice that was pushed last.
    pub(super) notice: Option<NoticeId>,
}

/// Which device asks: what a request is checked with that may have to wait for the store.
pub(super) struct Asker {
    pub(super) name: Name,
    pub(super) account: AccountKey,
    pub(super) device: DeviceId,
    pub(super) key: DeviceKey,
}

impl LoggedIn {
    pub(super) fn asker(&self) -> Asker {
        Asker { name: self.name.clone(), account: self.account, device: self.device, key: self.key }
    }
}

/// The bell's tag of the operator's notice, which comes before the mailbox; 0 says that the link is to end.
pub(super) const NOTICE: u8 = 1;
/// The bell's tag of the mailbox; rooms have higher ones.
pub(super) const INBOX: u8 = 2;

impl Caller {
    pub(super) fn new(kind: LinkKind, peer: Peer, challenge: [u8; 32], counted: Counted) -> Self {
        Self {
            kind,
            peer,
            from: peer.address.into(),
            challenge,
            bell: Bell::new(),
            login: None,
            counter: 0,
            paid: false,
            recipient: Recipient::default(),
            following: BTreeMap::new(),
            fresh: Tags::default(),
            shard: None,
            author: None,
            turn: None,
            new_tails: Vec::new(),
            _counted: counted,
        }
    }

    /// The kind of link.
    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// Rung whenever [`super::Relay::pushes`] or [`Caller::ended`] may have something new.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Whether [`super::Relay::pushes`] stopped at its limit and has more.
    pub fn more(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Who is logged in on this link.
    pub fn name(&self) -> Option<&Name> {
        self.login.as_ref().map(|login| &login.name)
    }

    /// Why the relay wants this link closed, where it does.
    pub fn ended(&self) -> Option<Refusal> {
        self.login.as_ref().and_then(|login| login.present.ended().cloned())
    }

    /// The link is one of these.
    pub(crate) fn sits_in(&mut self, shard: Shard) {
        self.shard = Some(shard);
    }

    /// Tails that somebody has to listen for from now on, with [`super::Relay::pass_on`].
    pub(crate) fn take_new_tails(&mut self) -> Vec<Weak<Tail>> {
        std::mem::take(&mut self.new_tails)
    }

    /// A tag for one more room. There are more tags than rooms that a link may follow.
    pub(super) fn free_tag(&self) -> Option<u8> {
        (INBOX + 1..=u8::MAX).find(|tag| !self.following.contains_key(tag))
    }

    /// Whether something was pushed that nobody has acknowledged yet.
    pub fn unacknowledged(&self) -> Vec<(Seq, EnvelopeId)> {
        self.login.as_ref().map(|login| login.inbox.pushed()).unwrap_or_default()
    }

    /// Who is logged in, for requests that need it.
    pub(super) fn logged_in(&mut self) -> Result<&mut LoggedIn, Refusal> {
        acts(&mut self.login)
    }

    /// Whether others have their turn on its thread.
    pub(super) fn has_others(&self) -> bool {
        self.shard.is_some()
    }

    /// Its turn to have signatures checked, which ends when what is returned is dropped. [RELAY-25]
    pub(super) fn check(&mut self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + 'static {
        let (turn, shard) = (self.turn.take(), self.shard.clone());
        async move {
            match turn {
                Some(turn) => Some(turn),
                None => shard?.check().await,
            }
        }
    }

    /// What a delivery needs of its link.
    pub(super) fn sender(&self) -> Sender {
        let own = self.login.as_ref().filter(|login| login.present.ended().is_none());
        let own = own.map(|login| login.name.clone());
        Sender { kind: self.kind, from: self.from, paid: self.paid, recipient: self.recipient.clone(), own }
    }
}

/// Who is logged in and may act. [RELAY-7]
pub(super) fn acts(login: &mut Option<LoggedIn>) -> Result<&mut LoggedIn, Refusal> {
    let Some(login) = login else { return Err(Refusal::WrongLink) };
    // A link that is to end, for another one of its device or by the operator, acts no more, pushes included.
    match login.present.ended().cloned() {
        Some(reason) => Err(reason),
        None => Ok(login),
    }
}

/// The only account that an anonymous link serves, once it has served one. [RELAY-8]
#[derive(Clone, Default)]
pub(super) struct Recipient(Arc<Served>);

#[derive(Default)]
struct Served {
    name: OnceLock<Name>,
    /// Of the mailbox to which the last box went.
    taker: Mutex<Option<Arc<Taker>>>,
}

/// Who takes what comes into a mailbox, as the rows of these revisions say.
pub(super) struct Taker {
    pub(super) mailbox: MailboxId,
    pub(super) name: Name,
    pub(super) token: TokenHash,
    /// Of the mailbox's row and of the account's.
    pub(super) revs: [Rev; 2],
}

impl Recipient {
    /// Whether it is this account, or may become it.
    pub(super) fn may_serve(&self, name: &Name) -> Result<(), Refusal> {
        if self.0.name.get().is_none_or(|served| served == name) { Ok(()) } else { Err(Refusal::WrongLink) }
    }

    /// An anonymous link serves one account, so that nothing ties its owner's contacts together. [RELAY-8]
    pub(super) fn serves(&self, name: &Name) -> Result<(), Refusal> {
        if self.0.name.get_or_init(|| name.clone()) == name { Ok(()) } else { Err(Refusal::WrongLink) }
    }

    /// What the link learnt of a mailbox before.
    pub(super) fn taker(&self, of: &MailboxId) -> Option<Arc<Taker>> {
        lock(&self.0.taker).clone().filter(|taker| taker.mailbox == *of)
    }

    /// It has learnt this.
    pub(super) fn learns(&self, taker: Taker) -> Arc<Taker> {
        Arc::clone(lock(&self.0.taker).insert(Arc::new(taker)))
    }
}

/// A link, as a delivery on it sees it: several wait for the store at once.
pub(super) struct Sender {
    pub(super) kind: LinkKind,
    pub(super) from: Prefix,
    /// The request came with the work that it costs.
    pub(super) paid: bool,
    pub(super) recipient: Recipient,
    /// Whose device is logged in on it, and writes to that account's others alone. [RELAY-27]
    pub(super) own: Option<Name>,
}
