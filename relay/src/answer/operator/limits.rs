//! What each limit is and how full it is, and mailboxes that may hold more or less than others.

use std::sync::atomic::Ordering;

use sealpost_spec::account::Name;
use sealpost_spec::mailbox::{MAX_ENVELOPES, MAX_MAILBOX_BYTES};
use sealpost_spec::relay::LinkKind;
use sealpost_spec::room::MAX_ROOMS;

use super::invites::MAX_INVITES;
use super::people::MAX_BANS;
use super::{Answer, done, nobody};
use crate::admin::{LimitRecord, MailboxRecord, PAGE, Record, Trouble, counted, size};
use crate::answer::Relay;
use crate::answer::row::{self, Account, Ban, Invite, MailboxLimit, Room, Row, decoded};
use crate::store::{Fault, Store, Usage, Write};

/// What the mailbox of a device holds unless the operator says otherwise. [BOX-4]
const MAILBOX: Usage = Usage { count: MAX_ENVELOPES as u64, bytes: MAX_MAILBOX_BYTES as u64 };
/// Most that the operator may have one hold.
const MOST: Usage = Usage { count: 1_000_000, bytes: 64 * 1024 * 1024 * 1024 };
/// Accounts with a limit of their own: each is a row in memory, too.
const MAX_EXCEPTIONS: u64 = 10_000;

impl<S: Store> Relay<S> {
    pub(super) async fn limits(&self) -> Answer {
        let limit = |what: &str, limit, used| LimitRecord { what: what.to_owned(), limit, every_ms: None, used };
        let links = self.operator.links(LinkKind::Authenticated) + self.operator.links(LinkKind::Anonymous);
        let most = self.operator.most_links.load(Ordering::Relaxed);
        let mut limits = vec![
            limit("links", most, Some(links)),
            limit("rooms", MAX_ROOMS as u64, Some(self.known(self.store.count(Room::TABLE, &[]).await)?)),
            limit("bans", MAX_BANS, Some(self.known(self.store.count(Ban::TABLE, &[]).await)?)),
            limit("invites", MAX_INVITES, Some(self.known(self.store.count(Invite::TABLE, &[]).await)?)),
            limit("files.total", self.rules.load().files.total, Some(self.room.total().0)),
            limit("files.account", self.rules.load().files.account, None),
            limit("mailbox.envelopes", MAILBOX.count, None),
            limit("mailbox.bytes", MAILBOX.bytes, None),
        ];
        let exceptions = self.known(self.store.count(MailboxLimit::TABLE, &[]).await)?;
        limits.push(limit("mailbox.exceptions", MAX_EXCEPTIONS, Some(exceptions)));
        limits.extend(self.rules.load().rates.named().into_iter().map(|(name, rate)| LimitRecord {
            what: format!("rates.{name}"),
            limit: u64::from(rate.burst),
            every_ms: Some(rate.every_ms),
            used: None,
        }));
        Ok(limits.into_iter().map(Record::Limit).collect())
    }

    /// What an account's mailboxes hold and may hold; sets it where something is given, or to what others have.
    pub(super) async fn mailbox_limit(
        &self,
        name: Name,
        envelopes: Option<u64>,
        bytes: Option<u64>,
        reset: bool,
    ) -> Answer {
        let account = self.known(self.row::<Account>(row::account(&name)).await)?.ok_or_else(|| nobody(&name))?.row;
        let before = self.operator.mailboxes.of(&name);
        let current = before.unwrap_or(MAILBOX);
        let wanted = Usage { count: envelopes.unwrap_or(current.count), bytes: bytes.unwrap_or(current.bytes) };
        let _changing = self.operator.changing.lock().await;
        if reset {
            let key = row::mailbox_limit(&name);
            if let Some(current) = self.known(self.row::<MailboxLimit>(key.clone()).await)? {
                self.known(self.store.write(vec![Write::Delete { key, expected: current.rev }]).await)?;
            }
            self.operator.mailboxes.change(|all| {
                all.remove(&name);
            });
            return done(format!("{}: as everybody", name.as_str()));
        }
        if envelopes.is_none() && bytes.is_none() {
            let user = self.known(self.user(name, &account).await)?;
            return Ok(vec![Record::Mailbox(MailboxRecord {
                name: user.name,
                envelopes: current.count,
                bytes: current.bytes,
                waiting: user.waiting,
                waiting_bytes: user.waiting_bytes,
            })]);
        }
        if wanted.count > MOST.count || wanted.bytes > MOST.bytes {
            let cause = format!("a mailbox holds at most {} envelopes and {}", MOST.count, size(MOST.bytes));
            let advice = format!("sealpost-relay admin quota {} --envelopes {}", name.as_str(), MOST.count);
            return Err(Trouble::new("nothing was changed", cause, advice).exits(2));
        }
        if before.is_none() && self.known(self.store.count(MailboxLimit::TABLE, &[]).await)? >= MAX_EXCEPTIONS {
            let cause = format!("{MAX_EXCEPTIONS} accounts have limits of their own");
            let advice = "sealpost-relay admin quota NAME --default    # for some of them";
            return Err(Trouble::new("nothing was changed", cause, advice));
        }
        let limit = MailboxLimit { envelopes: wanted.count, bytes: wanted.bytes };
        self.known(self.set(row::mailbox_limit(&name), &limit).await)?;
        self.operator.mailboxes.change(|all| {
            all.insert(name.clone(), wanted);
        });
        done(format!("{}: {} and {}", name.as_str(), counted(wanted.count, "envelope"), size(wanted.bytes)))
    }

    /// What a mailbox of this account may hold for one more to be taken: of a contact all, of a stranger half, so that
    /// two minutes of a stranger's work do not shut everybody else out. [BOX-4] [BOX-11]
    pub(in crate::answer) fn share(&self, name: &Name, contact: bool) -> Usage {
        let all = self.operator.mailboxes.of(name).unwrap_or(MAILBOX);
        if contact { all } else { Usage { count: all.count / 2, bytes: all.bytes / 2 } }
    }

    pub(super) async fn remember_mailboxes(&self) -> Result<(), Fault> {
        let mut limits = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(MailboxLimit::TABLE, &[], after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in page {
                let name = Name::from_bytes(&key).map_err(|_| Fault::Damaged(MailboxLimit::TABLE))?;
                let MailboxLimit { envelopes, bytes } = decoded(value)?.row;
                limits.push((name, Usage { count: envelopes, bytes }));
            }
        }
        self.operator.mailboxes.change(|all| *all = limits.into_iter().collect());
        Ok(())
    }
}
