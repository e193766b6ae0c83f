//! What the relay answers its operator: see [`crate::admin`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealpost_crypto::identity::mailbox;
use sealpost_spec::account::{DeviceList, Name};
use sealpost_spec::relay::{LinkKind, Refusal};

use super::row::{self, Account, Row};
use super::{Relay, mailbox as mailboxes};
use crate::admin::{Command, PAGE, Record, Status, Trouble, User, Words};
use crate::store::{Fault, Store};

/// What is kept of links and time for the operator's sake.
#[derive(Default)]
pub(super) struct Operator {
    links: Arc<[AtomicU64; 2]>,
    /// Unix milliseconds of the first look at the clock.
    started: AtomicU64,
}

/// A link that is counted until this is dropped.
pub(super) struct Counted(Arc<[AtomicU64; 2]>, LinkKind);

impl Operator {
    /// Counts a link.
    pub(super) fn count(&self, kind: LinkKind) -> Counted {
        let counted = Counted(Arc::clone(&self.links), kind);
        counted.count().fetch_add(1, Ordering::Relaxed);
        counted
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
        of(&self.0, self.1)
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
        let answer = match command {
            Command::Status => self.status(now).await,
            Command::Users { after } => self.users(after).await,
            Command::Kick { name, reason } => self.kick(&name, &reason).await,
        };
        match &answer {
            Ok(_) => tracing::info!(command = word, "done for the operator"),
            Err(_) => tracing::info!(command = word, "not done for the operator"),
        }
        answer
    }

    async fn status(&self, now: u64) -> Answer {
        let waiting = self.known(self.store.total(mailboxes::KIND).await)?;
        Ok(vec![Record::Status(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.saturating_sub(self.operator.started.load(Ordering::Relaxed)) / 1000,
            authenticated_links: self.operator.links(LinkKind::Authenticated),
            anonymous_links: self.operator.links(LinkKind::Anonymous),
            accounts: self.known(self.store.count(Account::TABLE, &[]).await)?,
            waiting: waiting.count,
            waiting_bytes: waiting.bytes,
            rooms: self.known(self.store.count(row::Room::TABLE, &[]).await)?,
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
        Ok(User { online: self.presence.online(&name), name, devices, waiting, waiting_bytes })
    }

    async fn kick(&self, name: &Name, reason: &Words) -> Answer {
        self.known(self.row::<Account>(row::account(name)).await)?.ok_or_else(|| nobody(name))?;
        let ended = self.presence.end(name, None, &Refusal::Kicked { reason: reason.as_str().to_owned() });
        if ended == 0 {
            let advice = format!("sealpost-relay admin ban {}    # keeps them out", name.as_str());
            return Err(Trouble::new(format!("{} is not connected", name.as_str()), "no link is theirs", advice));
        }
        done(format!("{}: {} ended", name.as_str(), crate::admin::counted(ended as u64, "link")))
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
