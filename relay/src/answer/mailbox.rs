//! Envelopes: delivered by whoever may, kept until their recipient acknowledges them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sealpost_crypto::identity;
use sealpost_spec::mailbox::{DeliveryToken, EnvelopeId, MAX_ACKNOWLEDGE, MAX_AGE_MS, MailboxId, Seq, TokenHash};
use sealpost_spec::message::BOX_SIZES;
use sealpost_spec::relay::{Answer, LinkKind, Refusal};
use sealpost_spec::wire::{DeliverRef, MAX_FRAME};

use super::caller::{Recipient, Sender, Taker};
use super::row::{Account, Mailbox, account, mailbox};
use super::{ATTEMPTS, Caller, Outcome, Relay, price, row};
use crate::metrics::METRICS;
use crate::store::bell::lock;
use crate::store::{Append, Fault, Limit, Log, Store, Usage, Watch, Write, Written};

/// Most mailboxes of which a sweep looks at the oldest envelope, a tenth of a second's reading: with a sweep in five
/// minutes, 100,000 mailboxes have their turn within two hours.
const SWEPT: usize = 5_000;

/// The mailbox of the device that is logged in, as one link pushes it.
pub(super) struct Inbox {
    pub(super) log: Log,
    _watch: Watch,
    /// The last entry that was pushed or skipped.
    after: Seq,
    /// What was pushed and not yet trimmed, in order, with whether it was acknowledged.
    pushed: VecDeque<(Seq, EnvelopeId, bool)>,
    /// Acknowledged before it was pushed on this link: committed by the recipient on an earlier one.
    early: BTreeMap<Seq, EnvelopeId>,
}

/// Bytes of the time at which a box came, before it.
const TIME: usize = 8;

/// Most bytes of an entry: its box came in a frame.
const MOST: usize = TIME + MAX_FRAME;

/// A box that is to go into a mailbox.
pub(super) struct Delivery {
    token: Option<DeliveryToken>,
    mailbox: MailboxId,
    id: EnvelopeId,
    /// When it came, and the box.
    entry: Vec<u8>,
}

impl Delivery {
    pub(super) fn new(now: u64, read: &DeliverRef<'_>) -> Self {
        Self::to(now, read.token, (read.mailbox, read.id), read.sealed)
    }

    pub(super) fn to(
        now: u64,
        token: Option<DeliveryToken>,
        (mailbox, id): (MailboxId, EnvelopeId),
        sealed: &[u8],
    ) -> Self {
        Self { token, mailbox, id, entry: [now.to_le_bytes().as_slice(), sealed].concat() }
    }
}

/// The kind of log that a mailbox is.
pub(super) const KIND: &str = "mailbox";

pub(super) fn log(mailbox: &MailboxId) -> Log {
    Log { kind: KIND, key: mailbox.0.to_vec() }
}

impl Inbox {
    /// Everything untrimmed, from the oldest on. [BOX-9]
    pub(super) fn new(log: Log, watch: Watch) -> Self {
        Self { log, _watch: watch, after: Seq(0), pushed: VecDeque::new(), early: BTreeMap::new() }
    }

    pub(super) fn pushed(&self) -> Vec<(Seq, EnvelopeId)> {
        self.pushed.iter().filter(|(.., done)| !done).map(|(seq, id, _)| (*seq, *id)).collect()
    }

    /// Takes an acknowledgement; a pair that matches nothing is ignored. [BOX-7]
    fn acknowledge(&mut self, seq: Seq, id: EnvelopeId) {
        let at = self.pushed.binary_search_by_key(&seq, |(at, ..)| *at).ok();
        if let Some(entry) = at.and_then(|at| self.pushed.get_mut(at)) {
            entry.2 |= entry.1 == id;
        } else if seq > self.after && self.early.len() < MAX_ACKNOWLEDGE {
            self.early.insert(seq, id);
        }
    }

    /// The end of the contiguous acknowledged prefix, where there is one. [BOX-8]
    fn acknowledged_through(&mut self) -> Option<Seq> {
        let mut through = None;
        while let Some((seq, _, true)) = self.pushed.front() {
            through = Some(*seq);
            self.pushed.pop_front();
        }
        through
    }
}

impl<S: Store> Relay<S> {
    /// Whether a box of this size is looked at: all that is known without the store.
    pub(super) fn lets_in(&self, sender: &Sender, token: Option<&DeliveryToken>, size: usize) -> Result<(), Refusal> {
        let own = match (sender.kind, &sender.own) {
            (LinkKind::Anonymous, _) => false,
            // [RELAY-27]
            (LinkKind::Authenticated, Some(own)) if token.is_none() => {
                self.quota.load().request(own)?;
                true
            }
            (LinkKind::Authenticated, _) => return Err(Refusal::WrongLink),
        };
        // [BOX-10]
        if !BOX_SIZES.contains(&size) {
            let limit = *BOX_SIZES.last().unwrap_or(&0);
            return Err(if size > limit { Refusal::TooLarge { limit: limit as u64 } } else { Refusal::Malformed });
        }
        match token {
            Some(_) => Ok(()),
            None if own => Ok(()),
            None => price(sender.paid, self.rules.load().work.deliver),
        }
    }

    /// What [`Self::lets_in`] was asked about. Borrows nothing of the link, which goes on meanwhile. [RELAY-14]
    pub(super) async fn deliver(&self, now: u64, sender: Sender, delivery: Delivery) -> Outcome {
        let Delivery { token, mailbox: to, id, entry } = delivery;
        let owner = self.taker(&sender.recipient, &to).await?;
        let holds = |token| identity::same_token(&identity::token_hash(token), &owner.token);
        let own = sender.own.as_ref().is_some_and(|own| *own == owner.name);
        // [RELAY-27] whoever is logged in delivers to nobody else.
        if sender.own.is_some() && !own {
            return Err(Refusal::WrongLink.into());
        }
        let contact = own || token.as_ref().is_some_and(holds);
        if token.is_some() && !contact {
            // [BOX-6] who holds an old token works like a stranger.
            price(sender.paid, self.rules.load().work.deliver).map_err(|_| Refusal::UnknownToken)?;
        }
        if !own {
            sender.recipient.may_serve(&owner.name)?;
        }
        let log = log(&to);
        self.admit(now, &log, entry.len() - TIME, self.share(&owner.name, contact)).await?;
        if !own {
            sender.recipient.serves(&owner.name)?;
        }
        // [BOX-2] [BOX-3]
        let offer = Append { log, id: id.0, bytes: entry };
        let (Written::Appended(seq) | Written::Duplicate(seq)) = self.store.offer(offer).await? else {
            return Err(Fault::Damaged("a mailbox").into());
        };
        self.stays(&to, seq).await?;
        Ok(Answer::Accepted { seq })
    }

    /// Who takes what comes into a mailbox. What the link has read of it before is not decoded again while it stands
    /// there unchanged.
    async fn taker(&self, recipient: &Recipient, of: &MailboxId) -> Result<Arc<Taker>, super::No> {
        if let Some(known) = recipient.taker(of) {
            let values = self.store.get(vec![mailbox(of), account(&known.name)]).await?;
            if let [Some(mailbox), Some(account)] = values.as_slice()
                && [mailbox.rev, account.rev] == known.revs
            {
                return Ok(known);
            }
        }
        let mailbox = self.row::<Mailbox>(mailbox(of)).await?.ok_or(Refusal::NoSuchMailbox)?;
        let name = mailbox.row.name;
        let account = self.row::<Account>(account(&name)).await?.ok_or(Refusal::NoSuchMailbox)?;
        let (token, revs) = (account.row.token, [mailbox.rev, account.rev]);
        Ok(recipient.learns(Taker { mailbox: *of, name, token, revs }))
    }

    /// What came into a mailbox while its owner lost it goes with it: nobody would ever fetch or expire it.
    pub(super) async fn stays(&self, to: &MailboxId, seq: Seq) -> Result<(), super::No> {
        if let [None] = self.store.get(vec![mailbox(to)]).await?.as_slice() {
            self.store.write(vec![Write::Trim { log: log(to), through: seq }]).await?;
            return Err(Refusal::NoSuchMailbox.into());
        }
        Ok(())
    }

    /// Whether a mailbox takes so many bytes more of one who may fill this share of it, after what is too old has
    /// gone. What is under way at this very moment on other links may exceed it by their number. [BOX-4]
    async fn admit(&self, now: u64, log: &Log, bytes: usize, most: Usage) -> Result<(), super::No> {
        let full = |usage: Usage| usage.count >= most.count || usage.bytes + bytes as u64 > most.bytes;
        if full(self.store.usage(log).await?) {
            self.expire(now, log).await?;
            if full(self.store.usage(log).await?) {
                return Err(Refusal::MailboxFull.into());
            }
        }
        Ok(())
    }

    /// Takes what a device has committed; what is to be written for it, where that is something.
    pub(super) fn acknowledged(
        &self,
        caller: &mut Caller,
        pairs: Vec<(Seq, EnvelopeId)>,
    ) -> Result<Option<Write>, Refusal> {
        let login = caller.logged_in()?;
        if pairs.len() > MAX_ACKNOWLEDGE {
            return Err(Refusal::TooLarge { limit: MAX_ACKNOWLEDGE as u64 });
        }
        pairs.into_iter().for_each(|(seq, id)| login.inbox.acknowledge(seq, id));
        let through = login.inbox.acknowledged_through();
        Ok(through.map(|through| Write::Trim { log: login.inbox.log.clone(), through }))
    }

    /// Borrows nothing of the link, which goes on meanwhile. [RELAY-14]
    pub(super) async fn acknowledge(&self, trim: Result<Option<Write>, Refusal>) -> Outcome {
        if let Some(trim) = trim? {
            self.store.write(vec![trim]).await?;
        }
        Ok(Answer::Done)
    }

    /// What comes next in a mailbox, at most so many bytes, each box as the store has it; and whether that was all.
    pub(super) async fn inbox(
        &self,
        now: u64,
        inbox: &mut Inbox,
        bytes: usize,
    ) -> Result<(Vec<(Seq, EnvelopeId, Bytes)>, bool), Fault> {
        let limit = Limit { count: 64, bytes };
        let entries = self.store.read(&inbox.log, inbox.after, limit).await?;
        let read: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        let drained = entries.len() < limit.count && read + MOST <= limit.bytes || entries.is_empty();
        let mut pushes = Vec::with_capacity(entries.len());
        for entry in entries {
            inbox.after = entry.seq;
            let id = EnvelopeId(entry.id);
            let time: &[u8; 8] = entry.bytes.first_chunk().ok_or(Fault::Damaged("an envelope"))?;
            let done = inbox.early.remove(&entry.seq) == Some(id) || too_old(now, *time);
            inbox.pushed.push_back((entry.seq, id, done));
            if !done {
                pushes.push((entry.seq, id, entry.bytes.slice(time.len()..)));
            }
        }
        if let Some(through) = inbox.acknowledged_through() {
            self.store.write(vec![Write::Trim { log: inbox.log.clone(), through }]).await?;
        }
        Ok((pushes, drained))
    }

    pub(super) async fn set_token(&self, caller: &mut Caller, token: TokenHash) -> Outcome {
        let asker = caller.logged_in()?.asker();
        self.quota.load().request(&asker.name)?;
        for _ in 0..ATTEMPTS {
            // [RELAY-26]
            let mut current = self.account_of(&asker).await?;
            current.row.token = token;
            let put = row::put(account(&asker.name), Some(current.rev), &current.row)?;
            if let [Written::Put(_)] = self.store.write(vec![put]).await?.as_slice() {
                return Ok(Answer::Done);
            }
        }
        Err(Fault::Contended("an account").into())
    }

    /// Removes what has waited too long in a mailbox. [BOX-5]
    async fn expire(&self, now: u64, log: &Log) -> Result<(), Fault> {
        let mut after = Seq(0);
        let mut through = None;
        // Nearly always the oldest one is young, and tells that there is nothing to do.
        let mut count = 1;
        loop {
            let entries = self.store.read(log, after, Limit { count, bytes: 1024 * 1024 }).await?;
            count = 64;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            let old = |bytes: &[u8]| bytes.first_chunk().is_none_or(|time| too_old(now, *time));
            let expired = entries.iter().take_while(|entry| old(&entry.bytes)).count();
            through = expired.checked_sub(1).and_then(|at| entries.get(at)).map(|entry| entry.seq).or(through);
            if expired < entries.len() {
                break;
            }
        }
        if let Some(through) = through {
            let before = self.store.usage(log).await?.count;
            self.store.write(vec![Write::Trim { log: log.clone(), through }]).await?;
            METRICS.store.expired.add(before.saturating_sub(self.store.usage(log).await?.count));
        }
        Ok(())
    }

    /// [`Self::expire`] for the next [`SWEPT`] mailboxes that hold something, from where the last sweep ended: a sweep
    /// is short however many there are, and what is too old is not pushed in any case.
    pub(super) async fn expire_some(&self, now: u64) -> Result<(), Fault> {
        let mut after = lock(&self.swept).take();
        let mut looked = 0;
        while looked < SWEPT {
            let page = self.store.scan(<Mailbox as row::Row>::TABLE, &[], after.as_deref(), 100).await?;
            for (key, _) in &page {
                let log = Log { kind: "mailbox", key: key.clone() };
                if self.store.usage(&log).await?.count > 0 {
                    match self.expire(now, &log).await {
                        Ok(()) => {}
                        Err(fault @ Fault::Damaged(_)) => {
                            tracing::error!("what is too old in a mailbox stays there: {fault}");
                        }
                        Err(fault) => {
                            // The next sweep goes on behind it: this one may fail again.
                            *lock(&self.swept) = Some(key.clone());
                            return Err(fault);
                        }
                    }
                    looked += 1;
                }
            }
            match page.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
        *lock(&self.swept) = after;
        Ok(())
    }
}

fn too_old(now: u64, time: [u8; 8]) -> bool {
    now.saturating_sub(u64::from_le_bytes(time)) > MAX_AGE_MS
}
