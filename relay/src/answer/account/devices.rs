//! Several devices of one account: their list, and what they may ask for one another.

use sealpost_crypto::identity::verify_devices;
use sealpost_spec::account::{Device, DeviceId, DeviceList, Name};
use sealpost_spec::mailbox::TokenHash;
use sealpost_spec::relay::{Answer, Refusal};
use sealpost_spec::wire::Signed;

use crate::answer::caller::Asker;
use crate::answer::row::{self, Account, Current, Row as _, put};
use crate::answer::{ATTEMPTS, Caller, No, Outcome, Relay};
use crate::store::{Fault, Store, Written};

impl<S: Store> Relay<S> {
    /// Takes the account's next device list. Devices that it leaves out lose what they have here. **[RELAY-26]**
    pub(in crate::answer) async fn set_devices(&self, caller: &mut Caller, list: Signed, token: TokenHash) -> Outcome {
        let asker = caller.logged_in()?.asker();
        let (name, account) = (asker.name.clone(), asker.account);
        self.quota.load().request(&name)?;
        let check = caller.check().await;
        // [ACCT-3] [ACCT-5]
        let next = verify_devices(&list).map_err(|_| Refusal::BadSignature)?;
        drop(check);
        if next.name != name || next.account != account {
            return Err(Refusal::BadSignature.into());
        }
        // It may have been revoked on another link meanwhile.
        caller.logged_in()?;
        for _ in 0..ATTEMPTS {
            let current = self.account_of(&asker).await?;
            let same = current.row.list.body == list.body;
            // [RELAY-16]
            if next.number < current.row.number || (next.number == current.row.number && !same) {
                return Err(Refusal::StaleDeviceList.into());
            }
            let before = DeviceList::parse(&current.row.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
            let goes = |old: &Device| next.device(old.id).is_none_or(|new| new.key != old.key);
            let dropped: Vec<Device> = before.devices.into_iter().filter(goes).collect();
            let mut batch = Vec::new();
            for old in &dropped {
                batch.extend(self.without_device(&name, old, None).await?);
            }
            let row = Account { list: list.clone(), number: next.number, token, ..current.row };
            batch.push(put(row::account(&name), Some(current.rev), &row)?);
            if self.store.write(batch).await?.last() == Some(&Written::Moved) {
                continue;
            }
            for old in dropped {
                self.presence.end(&name, Some(old.id), &Refusal::StaleDeviceList);
            }
            return Ok(Answer::Done);
        }
        Err(Fault::Contended("an account").into())
    }

    /// The account of who asks, as long as it names their device. A device that is revoked loses its link, but a list without it
    /// may have been taken on another link in this very moment, or by another relay of the cluster, before this one knows.
    /// **[RELAY-26]**
    pub(in crate::answer) async fn account_of(&self, asker: &Asker) -> Result<Current<Account>, No> {
        let current = self.row::<Account>(row::account(&asker.name)).await?;
        let Some(current) = current.filter(|current| current.row.account == asker.account) else {
            return Err(Refusal::NoSuchName.into());
        };
        let list = DeviceList::parse(&current.row.list.body.0).map_err(|_| Fault::Damaged(Account::TABLE))?;
        match list.device(asker.device).is_some_and(|device| device.key == asker.key) {
            true => Ok(current),
            false => Err(Refusal::StaleDeviceList.into()),
        }
    }

    /// Which device asks for the keys of its account's others. **[RELAY-27]**
    pub(super) fn asks_for_others(&self, caller: &mut Caller, name: &Name) -> Result<DeviceId, Refusal> {
        let login = caller.logged_in()?;
        if login.name != *name {
            return Err(Refusal::WrongLink);
        }
        self.quota.load().request(name)?;
        Ok(login.device)
    }
}
