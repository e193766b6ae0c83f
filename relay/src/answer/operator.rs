//! What the relay answers its operator: see [`crate::admin`].

mod invites;
mod limits;
mod notice;
mod people;
mod rooms;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwapOption;
use sealpost_crypto::identity::mailbox;
use sealpost_spec::account::{AccountKey, DeviceList, Name};
use sealpost_spec::relay::{Address, LinkKind, Notice, Refusal};

use super::neighbours::News;
use super::row::{self, Account, Row};
use super::{Relay, mailbox as mailboxes};
use crate::admin::{Command, PAGE, Record, Status, Trouble, User};
use crate::metrics::{METRICS, Raised};
use crate::store::{Fault, Store, Usage};

/// What is kept of links and time for the operator's sake.
#[derive(Default)]
pub(super) struct Operator {
    links: Arc<[AtomicU64; 2]>,
    /// Unix milliseconds of the first look at the clock.
    started: AtomicU64,
    /// Where clients find the relay, for the links of invites.
    address: OnceLock<Address>,
    /// Held while the store and what is in memory of it change together.
    changing: tokio::sync::Mutex<()>,
    bans: Exceptions<AccountKey, String>,
    mailboxes: Exceptions<Name, Usage>,
    /// What everybody is told who is logged in. [RELAY-21]
    pub(super) notice: ArcSwapOption<Notice>,
    /// Posts so far: every so many, one looks whether its room is full.
    posts: AtomicU64,
    most_links: AtomicU64,
}

/// What holds for a few accounts and not for others, in memory: most requests look, and find that there is nothing.
struct Exceptions<K, V> {
    any: AtomicBool,
    all: RwLock<HashMap<K, V>>,
}

impl<K, V> Default for Exceptions<K, V> {
    fn default() -> Self {
        Self { any: AtomicBool::new(false), all: RwLock::default() }
    }
}

impl<K: Eq + std::hash::Hash, V: Clone> Exceptions<K, V> {
    fn of(&self, key: &K) -> Option<V> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<K, V>)) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut all);
        self.any.store(!all.is_empty(), Ordering::Release);
    }
}

/// A link that is counted until this is dropped.
pub(super) struct Counted {
    links: Arc<[AtomicU64; 2]>,
    kind: LinkKind,
    _shown: Raised<'static>,
}

impl Operator {
    /// Counts a link.
    pub(super) fn count(&self, kind: LinkKind) -> Counted {
        let counted = Counted { links: Arc::clone(&self.links), kind, _shown: METRICS.link(kind) };
        counted.count().fetch_add(1, Ordering::Relaxed);
        counted
    }

    /// Refuses an account that is banned. [RELAY-18]
    pub(super) fn admits(&self, account: &AccountKey) -> Result<(), Refusal> {
        match self.bans.of(account) {
            Some(reason) => Err(Refusal::Banned { reason }),
            None => Ok(()),
        }
    }

    fn links(&self, kind: LinkKind) -> u64 {
        of(&self.links, kind).load(Ordering::Relaxed)
    }

    /// Remembers when the relay began, by the first who knows the time.
    pub(super) fn begin(&self, now: u64) {
        let _ = self.started.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn of(links: &[AtomicU64; 2], kind: LinkKind) -> &AtomicU64 {
    let [authenticated, anonymous] = links;
    match kind {
        LinkKind::Authenticated => authenticated,
        LinkKind::Anonymous => anonymous,
    }
}

impl Counted {
    fn count(&self) -> &AtomicU64 {
        of(&self.links, self.kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count().fetch_sub(1, Ordering::Relaxed);
    }
}

type Answer = Result<Vec<Record>, Trouble>;

impl<S: Store> Relay<S> {
    /// Answers the relay's operator.
    ///
    /// # Errors
    /// Why it was not done, and what to do.
    pub async fn operate(&self, now: u64, command: Command) -> Answer {
        // Who is asked about stands in no log that is kept by default.
        tracing::debug!(?command, "the operator asks");
        let word = command.word();
        let decides = matches!(
            command,
            Command::Ban { .. } | Command::Unban { .. } | Command::Mailbox { .. } | Command::Notice { .. }
        );
        let answer = match command {
            Command::Status => self.status(now).await,
            Command::Users { after } => self.users(after).await,
            Command::Kick { name, reason } => self.kick(&name, &reason).await,
            Command::Ban { name, reason } => self.ban(&name, &reason).await,
            Command::Unban { name, account } => self.unban(&name, account.as_ref()).await,
            Command::Bans { after } => self.bans(after).await,
            Command::Release { name } => self.release(&name).await,
            Command::Invite { uses, expire_s, label } => self.invite(now, uses, expire_s, &label).await,
            Command::Invites { after } => self.invites(after).await,
            Command::Withdraw { invite } => self.withdraw(&invite).await,
            Command::Rooms { after } => self.rooms_held(after).await,
            Command::Retention { room, posts, age_s } => self.retain(now, &room, posts, age_s).await,
            Command::DeletePost { post } => self.delete_post(&post).await,
            Command::Limits => self.limits().await,
            Command::Mailbox { name, envelopes, bytes, reset } => {
                self.mailbox_limit(name, envelopes, bytes, reset).await
            }
            Command::Notice { text, withdraw: false } => self.notice(now, text).await,
            Command::Notice { withdraw: true, .. } => self.withdraw_notice().await,
            Command::Drain => Ok(self.drain()),
            Command::Reopen => Ok(self.reopen()),
        };
        if decides && answer.is_ok() {
            self.presence.tell(|| News::Decided);
        }
        match &answer {
            Ok(_) => tracing::info!(command = word, "done for the operator"),
            Err(_) => tracing::info!(command = word, "not done for the operator"),
        }
        answer
    }

    fn drain(&self) -> Vec<Record> {
        let text = match self.course.drain() {
            true => "no new links are taken; the relay ends once those it has are gone",
            false => "it drains already",
        };
        vec![Record::Done { text: text.to_owned() }]
    }

    fn reopen(&self) -> Vec<Record> {
        let text = if self.course.reopen() { "links are taken again" } else { "links were taken all the time" };
        vec![Record::Done { text: text.to_owned() }]
    }

    /// Where clients find it, for the links of invites, and how many links it may have.
    pub fn found_at(&self, address: Address, links: usize) {
        let _ = self.operator.address.set(address);
        self.operator.most_links.store(links as u64, Ordering::Relaxed);
    }

    async fn status(&self, now: u64) -> Answer {
        let waiting = self.known(self.store.total(mailboxes::KIND).await)?;
        let (files_bytes, files) = self.room.total();
        Ok(vec![Record::Status(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: self.course.drains(),
            uptime_s: now.saturating_sub(self.operator.started.load(Ordering::Relaxed)) / 1000,
            authenticated_links: self.operator.links(LinkKind::Authenticated),
            anonymous_links: self.operator.links(LinkKind::Anonymous),
            accounts: self.known(self.store.count(Account::TABLE, &[]).await)?,
            waiting: waiting.count,
            waiting_bytes: waiting.bytes,
            held: u64::try_from(METRICS.store.held.value()).unwrap_or_default(),
            rooms: self.known(self.store.count(row::Room::TABLE, &[]).await)?,
            files,
            files_bytes,
            store: self.store.id().0.iter().map(|byte| format!("{byte:02x}")).collect(),
        })])
    }

    async fn users(&self, after: Option<Name>) -> Answer {
        let after = after.as_ref().map(|name| name.as_str().as_bytes());
        let page = self.known(self.store.scan(Account::TABLE, &[], after, PAGE).await)?;
        let mut users = Vec::with_capacity(page.len());
        for (key, value) in page {
            let name = Name::from_bytes(&key).map_err(|_| self.trouble(&Fault::Damaged(Account::TABLE)))?;
            let account = self.known(row::decoded::<Account>(value))?.row;
            users.push(Record::User(self.known(self.user(name, &account).await)?));
        }
        Ok(users)
    }

    async fn user(&self, name: Name, account: &Account) -> Result<User, Fault> {
        let list = DeviceList::parse(&account.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
        let (mut waiting, mut waiting_bytes) = (0, 0);
        for device in &list.devices {
            let usage = self.store.usage(&mailboxes::log(&mailbox(&device.key))).await?;
            (waiting, waiting_bytes) = (waiting + usage.count, waiting_bytes + usage.bytes);
        }
        let devices = u32::try_from(list.devices.len()).unwrap_or(u32::MAX);
        let banned = self.operator.admits(&account.account).is_err();
        Ok(User { online: self.presence.online(&name), name, devices, waiting, waiting_bytes, banned })
    }

    /// The store's own trouble, logged under a number that the operator is told.
    fn trouble(&self, fault: &Fault) -> Trouble {
        let cause = match self.internal(fault) {
            Refusal::Internal { id } => format!("number {id} in its log says what"),
            _ => "its log says what".to_owned(),
        };
        Trouble::new("the relay has trouble of its own", cause, "look into its log, and at its disk")
    }

    fn known<T>(&self, outcome: Result<T, Fault>) -> Result<T, Trouble> {
        outcome.map_err(|fault| self.trouble(&fault))
    }
}

fn done(text: String) -> Answer {
    Ok(vec![Record::Done { text }])
}

fn nobody(name: &Name) -> Trouble {
    let error = format!("nobody is called {}", name.as_str());
    Trouble::new(error, "there is no such account", "sealpost-relay admin users    # lists them")
}
