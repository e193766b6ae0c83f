//! Accounts: registration, login, and the keys that people fetch before they write.

mod devices;
mod leave;
mod one_time;
mod prekeys;

use sealpost_crypto::identity::{mailbox, verify_devices, verify_login, verify_receipt};
use sealpost_spec::account::{
    Bundle, Device, DeviceKey, DeviceList, LoginProof, Name, NameReceipt, PublishedKeys, skeleton,
};
use sealpost_spec::mailbox::Seq;
use sealpost_spec::relay::{Answer, LinkKind, Login, MAX_LISTED, Refusal, Registering, Registration};

use super::caller::{INBOX, LoggedIn, NOTICE};
use super::mailbox::{Inbox, log};
use super::row::{self, Account, Claim, Current, Joined, Mailbox, Member, Released, Row, decoded, put};
use super::{ATTEMPTS, Caller, No, Outcome, Relay, only, price};
use crate::store::{Fault, Key, Store, Write, Written};
use prekeys::Verified;

/// What a registration says, every signature of it verified.
struct Claimed<'a> {
    registration: &'a Registration,
    list: DeviceList,
    device: Device,
    receipt: Option<NameReceipt>,
    keys: Verified,
}

impl<S: Store> Relay<S> {
    pub(super) async fn register(&self, now: u64, caller: &mut Caller, registration: Registration) -> Outcome {
        only(LinkKind::Authenticated, caller)?;
        if caller.login.is_some() {
            return Err(Refusal::WrongLink.into());
        }
        // Before any signature is checked: a receipt opens the door to a name, and not to the relay's time.
        self.quota.load().login(caller.from)?;
        if registration.receipt.is_none() {
            self.quota.load().registration(caller.from)?;
        }
        let check = caller.check().await;
        // [ACCT-9]
        let receipt = registration.receipt.as_ref().map(|receipt| verify_receipt(receipt, &self.key)).transpose();
        let receipt = receipt.map_err(|_| Refusal::BadSignature)?;
        // [ACCT-3] [ACCT-5]
        let list = verify_devices(&registration.list).map_err(|_| Refusal::BadSignature)?;
        let login = &registration.login;
        let device = *list.device(login.device).ok_or(Refusal::BadSignature)?;
        let same = |receipt: &NameReceipt| receipt.name == list.name && receipt.account == list.account;
        if login.name != list.name || !receipt.as_ref().is_none_or(same) {
            return Err(Refusal::BadSignature.into());
        }
        self.prove(caller, login, &device.key)?;
        self.operator.admits(&list.account)?;
        let keys = Verified::new(&registration.keys, &device.key, caller.has_others()).await?;
        drop(check);
        let claimed = Claimed { registration: &registration, list, device, receipt, keys };
        for _ in 0..ATTEMPTS {
            if let Some((row, generation)) = self.try_register(now, &claimed).await? {
                let Claimed { list, device, .. } = claimed;
                let receipt = self.secret.sign_receipt(&row.receipt(&list.name));
                let keys = self.counts(&list.name, device.id).await?;
                self.enter(caller, list.name, row, device);
                return Ok(Answer::Registered { receipt, generation, keys });
            }
        }
        Err(Fault::Contended("an account").into())
    }

    /// One attempt: the account's row and the generation that the device presented before; `None` where another
    /// request changed what this one had read.
    async fn try_register(&self, now: u64, claimed: &Claimed<'_>) -> Result<Option<(Account, u64)>, No> {
        let Claimed { registration, list, device, receipt, keys } = claimed;
        let name = &list.name;
        let skeleton = skeleton(name);
        let read = vec![row::account(name), row::claim(&skeleton), row::released(name)];
        let mut values = self.store.get(read).await?.into_iter();
        let current = values.next().flatten().map(decoded::<Account>).transpose()?;
        let claim = values.next().flatten().map(decoded::<Claim>).transpose()?;
        let released = values.next().flatten().map(decoded::<Released>).transpose()?;
        let released = released.map_or(0, |released| released.row.generation);

        let mut batch = Vec::new();
        let mut invite = None;
        let mut evicted = None;
        let mut of_the_name = None;
        let mut dropped = Vec::new();
        match &current {
            Some(current) if current.row.account == list.account => {
                let same = current.row.list.body == registration.list.body;
                // [RELAY-16]
                if list.number < current.row.number || (list.number == current.row.number && !same) {
                    return Err(Refusal::StaleDeviceList.into());
                }
                let before = DeviceList::parse(&current.row.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
                let goes = |old: &Device| list.device(old.id).is_none_or(|new| new.key != old.key);
                dropped = before.devices.into_iter().filter(goes).collect();
                of_the_name = Some(current.row.receipt(name));
            }
            Some(current) => {
                self.outranked(&current.row.receipt(name), receipt.as_ref())?;
                batch.extend(self.eviction(name, &current.row, Some((name, device))).await?);
                evicted = Some(name.clone());
            }
            // [ACCT-18] what was shown before the name was freed is worth nothing.
            None if receipt.as_ref().is_some_and(|receipt| receipt.generation < released) => {
                return Err(Refusal::NameTaken.into());
            }
            None => {}
        }
        // [ACCT-2] [THREAT-20]
        if let Some(other) = claim.as_ref().map(|claim| &claim.row.name).filter(|other| *other != name)
            && let Some(holder) = self.row::<Account>(row::account(other)).await?
        {
            self.outranked(&holder.row.receipt(other), receipt.as_ref())?;
            batch.extend(self.eviction(other, &holder.row, Some((name, device))).await?);
            batch.push(Write::Delete { key: row::account(other), expected: holder.rev });
            evicted = Some(other.clone());
        }
        if of_the_name.is_none() && receipt.is_none() {
            match self.rules.load().registering {
                Registering::Open => {}
                Registering::Invite => {
                    invite = self.used(now, registration.invite.as_deref(), list, released).await?;
                }
                Registering::Closed => return Err(Refusal::RegistrationClosed.into()),
            }
        }
        for old in &dropped {
            batch.extend(self.without_device(name, old, Some((name, device))).await?);
        }

        // Whatever is higher of what stands here and what the account can show: a name keeps its first time. [ACCT-10]
        let shown = receipt.clone().unwrap_or_else(|| NameReceipt {
            name: name.clone(),
            account: list.account,
            generation: released,
            time: now,
        });
        let best = of_the_name.filter(|stored| !shown.outranks(stored)).unwrap_or(shown);
        let account = Account {
            list: registration.list.clone(),
            number: list.number,
            account: list.account,
            generation: best.generation,
            time: best.time,
            token: registration.token,
        };
        batch.push(put(row::claim(&skeleton), Current::rev(claim.as_ref()), &Claim { name: name.clone() })?);
        // [RELAY-12] behind the claim: who comes too late for the name keeps the use.
        batch.extend(invite);
        batch.push(put(row::account(name), Current::rev(current.as_ref()), &account)?);
        let (before, changes) = self.device(name, device, registration.login.generation, Some(keys)).await?;
        batch.extend(changes);
        if self.store.write(batch).await?.last() == Some(&Written::Moved) {
            return Ok(None);
        }
        if let Some(evicted) = evicted {
            self.presence.end(&evicted, None, &Refusal::Replaced);
        }
        for old in dropped {
            self.presence.end(name, Some(old.id), &Refusal::StaleDeviceList);
        }
        Ok(Some((account, before)))
    }

    pub(super) async fn login(&self, caller: &mut Caller, login: Login) -> Outcome {
        only(LinkKind::Authenticated, caller)?;
        if caller.login.is_some() {
            return Err(Refusal::WrongLink.into());
        }
        self.quota.load().login(caller.from)?;
        let name = &login.name;
        for _ in 0..ATTEMPTS {
            let Current { rev, row: account } =
                self.row::<Account>(row::account(name)).await?.ok_or(Refusal::NoSuchName)?;
            let list = DeviceList::parse(&account.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
            let device = *list.device(login.device).ok_or(Refusal::NoSuchName)?;
            let check = caller.check().await;
            self.prove(caller, &login, &device.key)?;
            drop(check);
            self.operator.admits(&account.account)?;
            let (before, changes) = self.device(name, &device, login.generation, None).await?;
            if !changes.is_empty() && self.store.write(changes).await?.last() == Some(&Written::Moved) {
                continue;
            }
            let keys = self.counts(name, device.id).await?;
            self.enter(caller, name.clone(), account, device);
            // Whoever removed the device before it was seated could not end its link.
            if self.row::<Account>(row::account(name)).await?.is_some_and(|account| account.rev == rev) {
                return Ok(Answer::LoggedIn { generation: before, keys });
            }
            caller.login = None;
        }
        Err(Fault::Contended("a device").into())
    }

    pub(super) async fn publish(&self, caller: &mut Caller, keys: PublishedKeys) -> Outcome {
        let login = caller.logged_in()?;
        let (name, id, key) = (login.name.clone(), login.device, login.key);
        self.quota.load().request(&name)?;
        let check = caller.check().await;
        let keys = Verified::new(&keys, &key, caller.has_others()).await?;
        drop(check);
        // Another link of the device may have come meanwhile. [RELAY-6]
        caller.logged_in()?;
        for _ in 0..ATTEMPTS {
            let current = self.row::<row::Device>(row::device(&name, id)).await?.ok_or(Refusal::NoSuchName)?;
            let mut device = current.row;
            let mut changes = self.with_keys(&name, id, &mut device, &keys).await?;
            changes.push(put(row::device(&name, id), Some(current.rev), &device)?);
            if self.store.write(changes).await?.last() != Some(&Written::Moved) {
                return Ok(Answer::Published { keys: self.counts(&name, id).await? });
            }
        }
        Err(Fault::Contended("a device").into())
    }

    pub(super) async fn fetch_devices(&self, caller: &mut Caller, name: Name) -> Outcome {
        match caller.kind {
            LinkKind::Authenticated => {
                let asker = caller.logged_in()?.name.clone();
                self.quota.load().lookup(caller.from, Some(&asker))?;
            }
            LinkKind::Anonymous => {
                // First the price: who does not pay uses up nobody's share.
                price(caller.paid, self.rules.load().work.fetch)?;
                self.quota.load().lookup(caller.from, None)?;
                caller.recipient.may_serve(&name)?;
            }
        }
        let account = self.row::<Account>(row::account(&name)).await?.ok_or(Refusal::NoSuchName)?;
        if caller.kind == LinkKind::Anonymous {
            caller.recipient.serves(&name)?;
        }
        Ok(Answer::Devices(account.row.list))
    }

    pub(super) async fn fetch_bundle(&self, caller: &mut Caller, name: Name) -> Outcome {
        let asks = match caller.kind {
            LinkKind::Authenticated => Some(self.asks_for_others(caller, &name)?),
            LinkKind::Anonymous => {
                price(caller.paid, self.rules.load().work.fetch)?;
                caller.recipient.may_serve(&name)?;
                None
            }
        };
        let account = self.row::<Account>(row::account(&name)).await?.ok_or(Refusal::NoSuchName)?.row;
        if asks.is_none() {
            caller.recipient.serves(&name)?;
        }
        let list = DeviceList::parse(&account.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
        // [RELAY-10] [THREAT-18] whoever asks too often gets last-resort keys, and never a refusal.
        let one_time = self.quota.load().one_time_keys(caller.from, &name);
        let mut devices = Vec::with_capacity(list.devices.len());
        for device in list.devices.iter().filter(|device| asks != Some(device.id)) {
            devices.extend(self.device_bundle(&name, device, one_time).await?);
        }
        Ok(Answer::Bundle(Bundle { list: account.list, devices }))
    }

    /// Verifies that the device signs for this very link: relay, channel and challenge are the link's. [RELAY-5]
    fn prove(&self, caller: &Caller, login: &Login, device: &DeviceKey) -> Result<(), Refusal> {
        let proof = LoginProof {
            relay: &self.key,
            channel: &caller.peer.channel,
            challenge: &caller.challenge,
            name: &login.name,
            device: login.device,
            generation: login.generation,
        };
        verify_login(&login.signature, &proof, device).map_err(|_| Refusal::BadSignature)
    }

    /// Seats the device and begins to push its mailbox.
    fn enter(&self, caller: &mut Caller, name: Name, account: Account, device: Device) {
        let present = self.presence.enter(&name, device.id, &caller.bell);
        // Banned since it was let in: whoever banned it did not find the link yet.
        if let Err(banned) = self.operator.admits(&account.account) {
            self.presence.end(&name, None, &banned);
        }
        // [BOX-1]
        let log = log(&mailbox(&device.key));
        let watch = self.store.watch(&log, &caller.bell, INBOX);
        let inbox = Inbox::new(log, watch);
        let (device, key) = (device.id, device.key);
        caller.login = Some(LoggedIn { name, account: account.account, device, key, inbox, present, notice: None });
        caller.bell.ring(INBOX);
        // Seated before: one that comes from now on rings. [RELAY-21]
        if self.operator.notice.load().is_some() {
            caller.bell.ring(NOTICE);
        }
    }

    /// Lets an account in whose receipt outranks that of who holds the name. [ACCT-10]
    fn outranked(&self, holder: &NameReceipt, receipt: Option<&NameReceipt>) -> Result<(), Refusal> {
        match receipt {
            Some(receipt) if receipt.outranks(holder) => Ok(()),
            _ => Err(Refusal::NameTaken),
        }
    }

    /// Removes all that an account has here but its own row and its posts.
    pub(super) async fn eviction(
        &self,
        name: &Name,
        account: &Account,
        by: Option<(&Name, &Device)>,
    ) -> Result<Vec<Write>, Fault> {
        let list = DeviceList::parse(&account.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
        let mut batch = Vec::new();
        for device in &list.devices {
            batch.extend(self.without_device(name, device, by).await?);
        }
        let prefix = row::of(name.as_str());
        for (key, value) in self.store.scan(Joined::TABLE, &prefix, None, MAX_LISTED).await? {
            let room = key.get(prefix.len()..).unwrap_or_default();
            let member = Key { table: Member::TABLE, key: [room, &[0], name.as_str().as_bytes()].concat() };
            if let Some(current) = self.row::<Member>(member.clone()).await? {
                batch.push(Write::Delete { key: member, expected: current.rev });
            }
            batch.push(Write::Delete { key: Key { table: Joined::TABLE, key }, expected: value.rev });
        }
        Ok(batch)
    }

    /// Removes a device with its keys and mailbox; but not the rows that `by`, which takes its place, writes itself.
    async fn without_device(
        &self,
        name: &Name,
        device: &Device,
        by: Option<(&Name, &Device)>,
    ) -> Result<Vec<Write>, Fault> {
        let address = mailbox(&device.key);
        let mut batch = Vec::new();
        // Whoever lists a foreign device's key has no say over its mailbox.
        if let Some(current) = self.row::<Mailbox>(row::mailbox(&address)).await?
            && (&current.row.name, current.row.device) == (name, device.id)
            && by.is_none_or(|(_, by)| device.key != by.key)
        {
            batch.push(Write::Trim { log: log(&address), through: Seq(u64::MAX) });
            batch.push(Write::Delete { key: row::mailbox(&address), expected: current.rev });
        }
        if by.is_none_or(|(by, new)| (name, device.id) != (by, new.id)) {
            let keys = [row::device(name, device.id), row::presented(name, device.id)];
            let current = self.store.get(keys.to_vec()).await?;
            let there = keys.into_iter().zip(current).filter_map(|(key, current)| Some((key, current?.rev)));
            batch.extend(there.map(|(key, expected)| Write::Delete { key, expected }));
            batch.extend(self.without_keys(name, device).await?);
        }
        Ok(batch)
    }
}
