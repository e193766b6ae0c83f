//! Blobs: uploaded part by part for an account, given out whole, removed when their time is over.

pub(super) mod room;

use bytes::Bytes;
use sealpost_crypto::identity;
use sealpost_spec::account::Name;
use sealpost_spec::attachment::{BlobId, KEPT_MS, MAX_PARTS, PART, UNFINISHED_MS};
use sealpost_spec::mailbox::DeliveryToken;
use sealpost_spec::relay::{Answer, LinkKind, Refusal};
use sealpost_spec::wire;
use serde::{Deserialize, Serialize};

use super::caller::Sender;
use super::row::{Account, Blob, Current, Row as _, account, blob};
use super::{ATTEMPTS, Caller, No, Outcome, Relay, only, price, row};
use crate::metrics::METRICS;
use crate::store::{Fault, Store, Write, Written};
use room::{Most, counted, size};

/// How much room files may take, in bytes, each with the reason for its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// One file, sealed and padded: a film, or the image of a system.
    pub largest: u64,
    /// What waits for one account: the largest file, and as much again of others. Strangers may fill half of it.
    pub account: u64,
    /// What waits for all accounts: what a small server can spare.
    pub total: u64,
    /// What is left free on the disk in any case, so that messages never find it full.
    pub free: u64,
}

impl Default for Files {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self { largest: 6 * GIB, account: 12 * GIB, total: 50 * GIB, free: GIB }
    }
}

/// A part, as it was asked for.
pub(super) struct Part {
    pub(super) recipient: Name,
    pub(super) token: Option<DeliveryToken>,
    pub(super) blob: BlobId,
    pub(super) parts: u32,
    pub(super) part: u32,
    pub(super) bytes: wire::Bytes,
}

impl<S: Store> Relay<S> {
    /// Borrows nothing of the link, which goes on meanwhile. [RELAY-14]
    pub(super) async fn put_blob(&self, now: u64, sender: Sender, part: Part) -> Outcome {
        if sender.kind != LinkKind::Anonymous {
            return Err(Refusal::WrongLink.into());
        }
        self.quota.load().upload(sender.from)?;
        let Part { recipient: name, token, blob: id, parts, part, bytes } = part;
        let files = self.rules.load().files.clone();
        if files.total == 0 {
            return Err(Refusal::Unsupported.into());
        }
        // [FILE-6]
        if bytes.0.len() > PART {
            return Err(Refusal::TooLarge { limit: PART as u64 }.into());
        }
        if !(bytes.0.is_empty() || bytes.0.len() == PART) || part >= parts || parts > MAX_PARTS {
            return Err(Refusal::Malformed.into());
        }
        if size(parts) > files.largest {
            return Err(Refusal::TooLarge { limit: files.largest }.into());
        }
        // [FILE-7] as for an envelope.
        let work = self.rules.load().work.deliver;
        if token.is_none() {
            price(sender.paid, work)?;
        }
        let recipient = self.row::<Account>(account(&name)).await?.ok_or(Refusal::NoSuchName)?.row;
        let holds = |token| identity::same_token(&identity::token_hash(token), &recipient.token);
        let contact = token.as_ref().is_some_and(holds);
        if token.is_some() && !contact {
            price(sender.paid, work).map_err(|_| Refusal::UnknownToken)?;
        }
        sender.recipient.serves(&name)?;
        let _adds = self.room.door(id).read().await;
        let most = Most::of(&files, contact);
        let known = match self.row::<Blob>(blob(&id)).await? {
            Some(known) => known,
            None if bytes.0.is_empty() || part > 0 => return Ok(Answer::Stored { parts: 0 }),
            None => self.claim(now, &name, id, parts, most, &files).await?,
        };
        if known.row.owner != name {
            return Err(Refusal::WrongLink.into());
        }
        if known.row.parts != parts {
            return Err(Refusal::Malformed.into());
        }
        let known = match self.room_for(known, id, if bytes.0.is_empty() { 0 } else { part }, most, &files).await? {
            Ok(known) => known,
            Err(stored) => return Ok(Answer::Stored { parts: stored }),
        };
        self.put_part(now, id, known, part, Bytes::from(bytes.0)).await
    }

    /// Begins a blob, before its first part is stored; where somebody else has just begun it, it is theirs. **[FILE-8]**
    pub(super) async fn claim(
        &self,
        now: u64,
        name: &Name,
        id: BlobId,
        parts: u32,
        most: Most,
        files: &Files,
    ) -> Result<Current<Blob>, No> {
        if self.store.free() < files.free.saturating_add(size(parts)) {
            return Err(Refusal::QuotaReached { limit: files.total }.into());
        }
        self.room.begin(name, parts, most, files)?;
        let row = Blob { owner: name.clone(), parts, counted: counted(parts, 0), begun_at: now, whole_at: None };
        let put = row::put(blob(&id), None, &row).map_err(No::from);
        let written = match put {
            Ok(put) => self.store.write(vec![put]).await.map_err(No::from),
            Err(no) => Err(no),
        };
        match written.as_deref() {
            Ok([Written::Put(rev)]) => Ok(Current { rev: *rev, row }),
            _ => {
                self.room.give_back(name, size(counted(parts, 0)), 1);
                written?;
                Ok(self.row::<Blob>(blob(&id)).await?.ok_or(Fault::Contended(Blob::TABLE))?)
            }
        }
    }

    /// Counts more of a blob where this part takes it. `Err`: it is too far ahead of the parts that are stored, so many.
    /// **[FILE-15]**
    async fn room_for(
        &self,
        mut known: Current<Blob>,
        id: BlobId,
        part: u32,
        most: Most,
        files: &Files,
    ) -> Result<Result<Current<Blob>, u32>, No> {
        for _ in 0..ATTEMPTS {
            if part < known.row.counted {
                return Ok(Ok(known));
            }
            // Those that wait to be written come before this question.
            let stored = self.store.parts(id.0).await?;
            let counts = counted(known.row.parts, stored);
            if part >= counts {
                return Ok(Err(stored));
            }
            let more = size(counts.saturating_sub(known.row.counted));
            self.room.grow(&known.row.owner, more, most, files)?;
            known.row.counted = counts;
            let put = row::put(blob(&id), Some(known.rev), &known.row).map_err(No::from);
            let written = match put {
                Ok(put) => self.store.write(vec![put]).await.map_err(No::from),
                Err(no) => Err(no),
            };
            if let Ok([Written::Put(rev)]) = written.as_deref() {
                known.rev = *rev;
                return Ok(Ok(known));
            }
            self.room.give_back(&known.row.owner, more, 0);
            written?;
            known = self.row::<Blob>(blob(&id)).await?.ok_or(Refusal::NoSuchBlob)?;
        }
        Err(Fault::Contended(Blob::TABLE).into())
    }

    /// Adds a part where it is the next one; tells how many are durable. **[FILE-5]**
    async fn put_part(&self, now: u64, id: BlobId, mut known: Current<Blob>, part: u32, bytes: Bytes) -> Outcome {
        let parts = known.row.parts;
        if known.row.whole_at.is_some() {
            return Ok(Answer::Stored { parts });
        }
        let stored = if bytes.is_empty() {
            self.store.parts(id.0).await?
        } else {
            if self.store.free() < self.rules.load().files.free {
                return Err(Refusal::QuotaReached { limit: self.rules.load().files.total }.into());
            }
            match self.store.put_part(id.0, part, bytes).await {
                Err(Fault::Full) => return Err(Refusal::QuotaReached { limit: self.rules.load().files.total }.into()),
                other => other?,
            }
        };
        for _ in 0..ATTEMPTS {
            if stored < parts || known.row.whole_at.is_some() {
                return Ok(Answer::Stored { parts: stored.min(parts) });
            }
            known.row.whole_at = Some(now);
            let put = row::put(blob(&id), Some(known.rev), &known.row)?;
            if let [Written::Put(_)] = self.store.write(vec![put]).await?.as_slice() {
                METRICS.blobs.add(1);
                return Ok(Answer::Stored { parts });
            }
            known = self.row::<Blob>(blob(&id)).await?.ok_or(Refusal::NoSuchBlob)?;
        }
        Err(Fault::Contended(Blob::TABLE).into())
    }

    /// Gives out a part of what is whole. **[FILE-10]**
    pub(super) async fn fetch_blob(&self, now: u64, caller: &mut Caller, id: BlobId, part: u32) -> Outcome {
        only(LinkKind::Anonymous, caller)?;
        self.quota.load().download(caller.from)?;
        let known = self.row::<Blob>(blob(&id)).await?.ok_or(Refusal::NoSuchBlob)?.row;
        if known.whole_at.is_none() || over(now, &known) {
            return Err(Refusal::NoSuchBlob.into());
        }
        caller.recipient.serves(&known.owner)?;
        if part >= known.parts {
            return Err(Refusal::Malformed.into());
        }
        match self.store.part(id.0, part).await? {
            Some(bytes) => Ok(Answer::Blob { parts: known.parts, bytes: wire::Bytes(bytes.into()) }),
            // It could not be written, or a backup came without it.
            None => Err(Refusal::NoSuchBlob.into()),
        }
    }

    /// Its owner has it, or does not want it. **[FILE-11]**
    pub(super) async fn drop_blob(&self, caller: &mut Caller, id: BlobId) -> Outcome {
        let name = caller.logged_in()?.name.clone();
        self.quota.load().request(&name)?;
        // Who has none of this id learns nothing of others'.
        self.remove_blob(id, |known| known.owner == name).await?;
        Ok(Answer::Done)
    }

    /// The parts first: a row without them is removed another time, parts without a row never.
    /// Whether there was one that goes.
    async fn remove_blob(&self, id: BlobId, goes: impl Fn(&Blob) -> bool) -> Result<bool, Fault> {
        let _alone = self.room.door(id).write().await;
        let Some(known) = self.row::<Blob>(blob(&id)).await?.filter(|known| goes(&known.row)) else { return Ok(false) };
        self.store.delete_blob(id.0).await?;
        let delete = Write::Delete { key: blob(&id), expected: known.rev };
        let gone = self.store.write(vec![delete]).await?.as_slice() == [Written::Done];
        if gone {
            self.room.give_back(&known.row.owner, size(known.row.counted), 1);
        }
        Ok(gone)
    }

    /// Removes the blobs of an account that leaves. Those that come meanwhile wait their time and go.
    pub(super) async fn drop_blobs_of(&self, name: &Name) -> Result<(), Fault> {
        let mut after: Option<Vec<u8>> = None;
        while self.room.holds(name) {
            let page = self.store.scan(Blob::TABLE, &[], after.as_deref(), 500).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, value) in page {
                if row::decoded::<Blob>(value)?.row.owner == *name
                    && let Some(id) = key.first_chunk()
                {
                    self.remove_blob(BlobId(*id), |known| known.owner == *name).await?;
                }
            }
        }
        Ok(())
    }

    /// Counts what there is: at the start, and now and then where other relays add to it.
    pub(super) async fn count_blobs(&self) -> Result<(), Fault> {
        let mut there = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Blob::TABLE, &[], after.as_deref(), 500).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (_, value) in page {
                let known = row::decoded::<Blob>(value)?.row;
                there.push((known.owner, size(known.counted)));
            }
        }
        self.room.count(there);
        Ok(())
    }

    /// Removes what has waited too long, and what was begun and never finished. **[FILE-11]**
    pub(super) async fn expire_blobs(&self, now: u64) -> Result<(), Fault> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Blob::TABLE, &[], after.as_deref(), 500).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                let known = row::decoded::<Blob>(value)?;
                if over(now, &known.row)
                    && let Some(id) = key.first_chunk()
                    && self.remove_blob(BlobId(*id), |known| over(now, known)).await?
                {
                    METRICS.store.blobs_expired.add(1);
                }
            }
        }
    }
}

fn over(now: u64, known: &Blob) -> bool {
    match known.whole_at {
        Some(at) => now.saturating_sub(at) > KEPT_MS,
        None => now.saturating_sub(known.begun_at) > UNFINISHED_MS,
    }
}
