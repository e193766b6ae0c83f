//! Who may come in: kicked, banned, and names that are freed.

use sealpost_spec::account::{AccountKey, Name};
use sealpost_spec::relay::Refusal;

use super::{Answer, done, nobody};
use crate::admin::{Banned, Digits, PAGE, Record, Trouble, Words, counted};
use crate::answer::row::{self, Account, Ban, Current, Row, decoded, put};
use crate::answer::{ATTEMPTS, Relay};
use crate::store::{Fault, Key, Store, Write, Written};

/// Most accounts that are banned: each is a row in memory, too.
pub(super) const MAX_BANS: u64 = 10_000;
/// What the holder of a released name is told.
const RELEASED: &str = "the name was released: whoever registers it next has it";

impl<S: Store> Relay<S> {
    pub(super) async fn kick(&self, name: &Name, reason: &Words) -> Answer {
        self.known(self.row::<Account>(row::account(name)).await)?.ok_or_else(|| nobody(name))?;
        let ended = self.presence.end(name, None, &Refusal::Kicked { reason: reason.as_str().to_owned() });
        if ended == 0 && self.presence.online(name) {
            return done(format!("{}: the relay where they are is told", name.as_str()));
        }
        if ended == 0 {
            let advice = format!("sealpost-relay admin ban {}    # keeps them out", name.as_str());
            return Err(Trouble::new(format!("{} is not connected", name.as_str()), "no link is theirs", advice));
        }
        done(format!("{}: {} ended", name.as_str(), counted(ended as u64, "link")))
    }

    pub(super) async fn ban(&self, name: &Name, reason: &Words) -> Answer {
        let account = self.known(self.row::<Account>(row::account(name)).await)?.ok_or_else(|| nobody(name))?.row;
        if self.known(self.store.count(Ban::TABLE, &[]).await)? >= MAX_BANS {
            let advice = "sealpost-relay admin bans    # lists them; unban some";
            return Err(Trouble::new("nobody more can be banned", format!("{MAX_BANS} are"), advice));
        }
        let reason = reason.as_str().to_owned();
        let _changing = self.operator.changing.lock().await;
        let ban = Ban { name: name.clone(), reason: reason.clone() };
        self.known(self.set(row::ban(&account.account), &ban).await)?;
        // Durable first, then for every request from now on, then for the links that there are.
        self.operator.bans.change(|bans| drop(bans.insert(account.account, reason.clone())));
        let ended = self.presence.end(name, None, &Refusal::Banned { reason });
        done(format!("{} is banned; {} ended", name.as_str(), counted(ended as u64, "link")))
    }

    /// `account`: how the key begins, where several accounts were banned under one name, one after the other.
    pub(super) async fn unban(&self, name: &Name, account: Option<&Digits>) -> Answer {
        let _changing = self.operator.changing.lock().await;
        let mut after: Option<Vec<u8>> = None;
        let mut fit = Vec::new();
        loop {
            let page = self.known(self.store.scan(Ban::TABLE, &[], after.as_deref(), PAGE).await)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in page {
                let Current { rev, row } = self.known(decoded::<Ban>(value))?;
                let begins = account.is_none_or(|begin| Digits::of(&key).as_str().starts_with(begin.as_str()));
                if row.name == *name && begins {
                    fit.push((key, rev));
                }
            }
        }
        let advice = "sealpost-relay admin bans    # lists who is, with their account keys";
        if fit.len() > 1 {
            let error = format!("{} accounts were banned as {}", fit.len(), name.as_str());
            let advice =
                format!("sealpost-relay admin unban {} --account DIGITS    # admin bans lists them", name.as_str());
            return Err(Trouble::new(error, "nobody was let in", advice));
        }
        let Some((key, expected)) = fit.pop() else {
            let error = format!("{} is not banned", name.as_str());
            return Err(Trouble::new(error, "no such ban is there", advice));
        };
        let account = account_of(&key).ok_or_else(|| self.trouble(&Fault::Damaged(Ban::TABLE)))?;
        let delete = Write::Delete { key: Key { table: Ban::TABLE, key }, expected };
        self.known(self.store.write(vec![delete]).await)?;
        self.operator.bans.change(|bans| drop(bans.remove(&account)));
        done(format!("{} may come in again", name.as_str()))
    }

    pub(super) async fn bans(&self, after: Option<Digits>) -> Answer {
        let after = after.map(|after| after.bytes());
        let page = self.known(self.store.scan(Ban::TABLE, &[], after.as_deref(), PAGE).await)?;
        let record = |(key, value): (Vec<u8>, _)| {
            let Ban { name, reason } = decoded::<Ban>(value)?.row;
            Ok(Record::Banned(Banned { name, reason, account: Digits::of(&key) }))
        };
        self.known(page.into_iter().map(record).collect())
    }

    /// Frees a name: its holder's receipts are worth nothing, and all that the holder has here goes. [ACCT-18]
    pub(super) async fn release(&self, name: &Name) -> Answer {
        for _ in 0..ATTEMPTS {
            let holder = self.known(self.row::<Account>(row::account(name)).await)?.ok_or_else(|| nobody(name))?;
            if self.known(self.erase(name, &holder).await)? {
                self.presence.end(name, None, &Refusal::Kicked { reason: RELEASED.to_owned() });
                return done(format!("{} is free: whoever registers it next has it", name.as_str()));
            }
        }
        Err(self.trouble(&Fault::Contended("an account")))
    }

    /// Reads what the operator has decided about few: when the relay begins, and now and then, since another relay of
    /// the cluster may have been told.
    pub(in crate::answer) async fn remember_exceptions(&self) -> Result<(), Fault> {
        let _changing = self.operator.changing.lock().await;
        let mut bans = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Ban::TABLE, &[], after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in page {
                let account = account_of(&key).ok_or(Fault::Damaged(Ban::TABLE))?;
                bans.push((account, decoded::<Ban>(value)?.row.reason));
            }
        }
        self.operator.bans.change(|all| *all = bans.into_iter().collect());
        self.remember_mailboxes().await?;
        self.remember_notice().await
    }

    /// Sets a row, whatever there was.
    pub(super) async fn set<R: Row>(&self, key: Key, row: &R) -> Result<(), Fault> {
        for _ in 0..ATTEMPTS {
            let before = self.row::<R>(key.clone()).await?;
            let write = put(key.clone(), Current::rev(before.as_ref()), row)?;
            if self.store.write(vec![write]).await?.last() != Some(&Written::Moved) {
                return Ok(());
            }
        }
        Err(Fault::Contended(R::TABLE))
    }
}

fn account_of(key: &[u8]) -> Option<AccountKey> {
    key.try_into().ok().map(AccountKey)
}
