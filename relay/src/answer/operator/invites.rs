//! Invites: what lets newcomers register where the relay asks for it.

use sealpost_crypto::identity::invite_hash;
use sealpost_spec::account::{DeviceList, InviteLink, InviteToken};
use sealpost_spec::relay::{Refusal, Registering};

use super::{Answer, done};
use crate::admin::{self, Digits, PAGE, Record, Trouble, Words, counted};
use crate::answer::row::{self, Invite, Row, decoded, put};
use crate::answer::{No, Relay};
use crate::store::bell::lock;
use crate::store::{Fault, Key, Store, Write, Written};

/// Most invites at once: a school sends one to each of its people.
pub(super) const MAX_INVITES: u64 = 10_000;
/// Most uses of one.
const MAX_USES: u32 = 10_000;
/// Longest that one is good, in seconds: a year.
const MAX_EXPIRY: u64 = 365 * 24 * 60 * 60;

impl<S: Store> Relay<S> {
    pub(super) async fn invite(&self, now: u64, uses: u32, expire_s: u64, label: &Words) -> Answer {
        if !(1..=MAX_USES).contains(&uses) || !(1..=MAX_EXPIRY).contains(&expire_s) {
            let cause = format!("an invite is good for 1 to {MAX_USES} uses and at most a year");
            let advice = "sealpost-relay admin invite --uses 1 --expire 7d";
            return Err(Trouble::new("no invite was made", cause, advice).exits(2));
        }
        if self.known(self.store.count(Invite::TABLE, &[]).await)? >= MAX_INVITES {
            let advice = "sealpost-relay admin invites    # lists them; withdraw some, or give one more uses";
            return Err(Trouble::new("no invite was made", format!("there are {MAX_INVITES} already"), advice));
        }
        let mut token = InviteToken([0; 16]);
        lock(&self.rng).fill_bytes(&mut token.0);
        let hash = invite_hash(&token);
        let expires = now.saturating_add(expire_s.saturating_mul(1000));
        let row = Invite { label: label.as_str().to_owned(), left: uses, expires, last: None };
        self.known(self.set(row::invite(&hash), &row).await)?;
        let link = self.operator.address.get().map(|relay| InviteLink { relay: relay.clone(), token }.to_string());
        let invite = admin::Invite { token: Some(token.to_string()), link, ..shown(&hash, row) };
        let mut records = vec![Record::Invite(invite)];
        if self.rules.load().registering != Registering::Invite {
            let text = "it is not needed yet: this relay does not register by invite (serve --register invite)";
            records.push(Record::Done { text: text.to_owned() });
        }
        Ok(records)
    }

    pub(super) async fn invites(&self, after: Option<Digits>) -> Answer {
        let after = after.map(|after| after.bytes());
        let page = self.known(self.store.scan(Invite::TABLE, &[], after.as_deref(), PAGE).await)?;
        let record = |(key, value): (Vec<u8>, _)| Ok(Record::Invite(shown(&key, decoded::<Invite>(value)?.row)));
        self.known(page.into_iter().map(record).collect())
    }

    pub(super) async fn withdraw(&self, id: &Digits) -> Answer {
        let page = self.known(self.store.scan(Invite::TABLE, &id.bytes(), None, PAGE).await)?;
        let mut fit = page.into_iter().filter(|(key, _)| Digits::of(key).as_str().starts_with(id.as_str()));
        let advice = "sealpost-relay admin invites    # lists them with their ids";
        let (Some((key, value)), more) = (fit.next(), fit.next()) else {
            let cause = "it may be used up and expired, or withdrawn already";
            return Err(Trouble::new(format!("there is no invite {}", id.as_str()), cause, advice));
        };
        if more.is_some() {
            return Err(Trouble::new("several invites begin like this", "none was withdrawn", advice));
        }
        let invite = self.known(decoded::<Invite>(value))?;
        let delete = Write::Delete { key: Key { table: Invite::TABLE, key }, expected: invite.rev };
        if self.known(self.store.write(vec![delete]).await)? == [Written::Moved] {
            return Err(Trouble::new("the invite was used just now", "it has changed", "give the same command again"));
        }
        done(format!("withdrawn; {} gone", counted(u64::from(invite.row.left), "use")))
    }

    /// The write that uses an invite up for this newcomer: it comes before that of the account, so that no two get in
    /// by one use. None where a crash kept this very registration from its end. `released`: how often the name was freed,
    /// as what was used before that is used. [ACCT-17]
    pub(in crate::answer) async fn used(
        &self,
        now: u64,
        token: Option<&str>,
        newcomer: &DeviceList,
        released: u32,
    ) -> Result<Option<Write>, No> {
        let token = token.and_then(|token| token.parse().ok()).ok_or(Refusal::InviteNeeded)?;
        let key = row::invite(&invite_hash(&token));
        let current = self.row::<Invite>(key.clone()).await?.ok_or(Refusal::InviteNeeded)?;
        let mut invite = current.row;
        let by = Some((newcomer.name.clone(), newcomer.account, released));
        if invite.expires <= now || (invite.left == 0 && invite.last != by) {
            return Err(Refusal::InviteNeeded.into());
        }
        if invite.last == by {
            return Ok(None);
        }
        (invite.left, invite.last) = (invite.left - 1, by);
        Ok(Some(put(key, Some(current.rev), &invite)?))
    }

    /// Forgets invites that are good no longer.
    pub(in crate::answer) async fn expire_invites(&self, now: u64) -> Result<(), Fault> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Invite::TABLE, &[], after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in page {
                let invite = decoded::<Invite>(value)?;
                if invite.row.expires <= now {
                    let delete = Write::Delete { key: Key { table: Invite::TABLE, key }, expected: invite.rev };
                    self.store.write(vec![delete]).await?;
                }
            }
        }
    }
}

fn shown(hash: &[u8], row: Invite) -> admin::Invite {
    let Invite { label, left, expires, .. } = row;
    admin::Invite { id: Digits::of(hash), label, left, expires_at: expires / 1000, token: None, link: None }
}
