//! An account that was restored, by its words or out of a backup: its list gets a new device, and no other.

use sealpost_crypto::identity::verify_devices;
use sealpost_spec::account::{DeviceId, DeviceList};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::room::{PostKind, RoomName};
use sealpost_spec::wire::Signed;

use super::account::Phase;
use super::timers::Timer;
use super::{Asked, Engine, Failure};
use crate::api::{Error, ErrorCode};
use crate::store::{StoreError, Stored};

impl Engine {
    /// Asks which devices the account has by now, as anybody may. **[ACCT-21]**
    pub(super) fn ask_own_list(&mut self) {
        if !self.asked.values().any(|asked| matches!(asked, Asked::OwnList)) {
            let name = self.own.name.clone();
            self.ask_anonymously(Asked::OwnList, name.clone(), Request::FetchDevices(name));
        }
    }

    pub(super) fn own_list_answer(&mut self, result: Result<Answer, Failure>) -> Stored<()> {
        if self.standing.phase != Phase::Open {
            return Ok(());
        }
        if self.siblings.row.linking.is_some() {
            return self.linking_answer(result);
        }
        if self.restoring.is_none() {
            return self.check_own_list(result);
        }
        match result {
            Ok(Answer::Devices(signed)) => {
                match verify_devices(&signed) {
                    Ok(list) if list.name == self.own.name && list.account == self.own.account => {
                        self.replace_devices(Some((&signed, &list)))
                    }
                    Ok(list) if list.name == self.own.name => {
                        let error = format!("the name {} has another key at this relay", self.own.name);
                        self.no_login(
                        Error::new(ErrorCode::NotTrusted, error)
                            .because("these are another account's words, or the name was freed and taken")
                            .advise("compare the words, then restore again; or: sealpost -p OTHER register ADDRESS NAME"),
                    )
                    }
                    _ => self.no_login(Error::new(ErrorCode::Refused, "the relay's device list is not genuine")),
                }
            }
            Err(Failure::Refused(Refusal::NoSuchName)) => self.replace_devices(None),
            Ok(_) => self.no_login(Error::new(ErrorCode::Refused, "the relay answered something else than asked")),
            Err(Failure::Refused(refusal)) if self.not_yet(&refusal) => Ok(()),
            Err(Failure::Refused(refusal)) => self.no_login(super::account::refused(&refusal)),
            Err(Failure::Unreachable(_) | Failure::Unknown | Failure::WrongRelay) => {
                self.timers.set(Timer::Login, self.now + super::account::LOGIN_PAUSE);
                Ok(())
            }
        }
    }

    /// Signs the list that names this device alone, and registers with it. `shown`: the list that the relay has.
    /// **[ACCT-21]**
    fn replace_devices(&mut self, shown: Option<(&Signed, &DeviceList)>) -> Stored<()> {
        let ours = self.secret.public(DeviceId::FIRST);
        let there = shown.and_then(|(signed, list)| {
            let device = list.devices.iter().find(|device| device.key == ours.key)?;
            Some((signed.clone(), *device))
        });
        let (signed, device) = match there {
            // The answer to a registration was lost: it is this very device's list already.
            Some(there) => there,
            None => {
                let known = self.restoring.as_ref().map_or(0, |restoring| restoring.number);
                let number = match shown {
                    Some((_, list)) => list.number.max(known).saturating_add(1),
                    None => (self.now / 1_000).max(known.saturating_add(1)),
                };
                let Ok(id) = u32::try_from(number) else {
                    let error = Error::new(ErrorCode::Failed, "the account's device list has come to its last number");
                    return self.no_login(error.advise("sealpost -p OTHER register ADDRESS NAME"));
                };
                let device = self.secret.public(DeviceId(id));
                let list = DeviceList {
                    number,
                    name: self.own.name.clone(),
                    account: self.own.account,
                    devices: vec![device],
                };
                let account = self.rows().account_secret()?.ok_or(StoreError::Sealed)?;
                (account.sign_devices(&list), device)
            }
        };
        let own = self.own_mut();
        (own.list, own.device) = (signed, device);
        self.register()
    }

    /// The relay has the new list.
    pub(super) fn restored(&mut self) -> Stored<()> {
        self.rows().put_restoring(None)?;
        self.restoring = None;
        // Posts of this device are a chain of their own; it begins where everybody's does.
        let joined: Vec<RoomName> =
            self.rooms.values().filter(|room| room.joined).map(|room| room.name.clone()).collect();
        joined.iter().try_for_each(|room| self.post_membership(room, PostKind::Join).map(drop))
    }
}
