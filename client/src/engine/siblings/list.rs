//! The numbered list: a device more, a device less, and whoever shows another one.

use std::cmp::Ordering;

use sealpost_crypto::identity::{delivery_token, device_code, device_request, fingerprint, token_hash, verify_devices};
use sealpost_spec::account::{Device, DeviceId, DeviceList, DeviceRequest, MAX_DEVICES};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::Signed;

use crate::api::{Error, ErrorCode, Event};
use crate::engine::account::refused;
use crate::engine::command::Waiting;
use crate::engine::devices::Verdict;
use crate::engine::{Asked, CommandId, Engine, Failure, Offer, Transmit};
use crate::store::Stored;
use crate::store::people::{Contact, PeerId};

impl Engine {
    /// The newest list of one's own account.
    pub(in crate::engine) fn own_list(&self) -> Option<DeviceList> {
        DeviceList::parse(&self.own.list.body.0).ok()
    }

    /// `device add`: lists the machine that made this request. **[ACCT-24]** **[ACCT-26]**
    pub(in crate::engine) fn add_device(
        &mut self,
        id: CommandId,
        request: &str,
        code: Option<&str>,
        timeout_ms: u64,
    ) -> Stored<()> {
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        let asked = request.parse::<DeviceRequest>().ok().and_then(|asked| Some((asked, device_code(&asked).ok()?)));
        let Some((asked, shown)) = asked else {
            let error = Error::new(ErrorCode::Usage, "this is no request of a device, or it was damaged on its way")
                .because("one begins with sealpost-device: and has 160 letters and digits after that")
                .advise("copy what `sealpost device link` prints on the other machine");
            return self.end_with(id, error);
        };
        if asked.fingerprint != fingerprint(&self.own.account) {
            let error = Error::new(ErrorCode::NotTrusted, "this request is for another account")
                .because("the link that was given on the other machine has another fingerprint than yours")
                .advise("sealpost me, here; then on the other machine: sealpost device link LINK");
            return self.end_with(id, error);
        }
        let Some(secret) = self.rows().account_secret()? else { return self.end_with(id, Self::not_first()) };
        let Some(mut list) = self.own_list() else { return self.not_registered(id) };
        let listed = list.devices.iter().find(|device| device.key == asked.key).copied();
        if listed.is_some_and(|device| device.identity != asked.identity) {
            let error = Error::new(
                ErrorCode::NotTrusted,
                "a device with this key is listed already, with another one beside it",
            );
            return self.end_with(id, error.advise("make the profile on the other machine anew"));
        }
        let letters = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        match code {
            Some(code) if letters(code) == letters(&shown.to_string()) => {}
            Some(_) => {
                let error = Error::new(ErrorCode::NotTrusted, "this is not the device code of the request")
                    .because("the request was exchanged on its way, or a letter is wrong; nothing was added")
                    .advise("compare again, and carry the request over another way");
                return self.end_with(id, error);
            }
            None => {
                self.tell(Some(id), Event::DeviceRequest { request: asked.to_string(), code: shown.to_string() });
                // Not the code itself: whoever pasted it would have compared nothing.
                let error = Error::new(ErrorCode::Usage, "the device code is to be compared first; nothing was added")
                    .because(format!("it is {shown}, and the other machine must show the same"))
                    .advise(format!("sealpost device add {asked} --code WHAT-THE-OTHER-MACHINE-SHOWS"));
                return self.end_with(id, error);
            }
        }
        let device = match listed {
            // The answer was lost, or the command was given twice.
            Some(device) => device,
            None if list.devices.len() >= MAX_DEVICES => {
                let error = Error::new(ErrorCode::Usage, format!("an account has at most {MAX_DEVICES} devices"));
                return self.end_with(id, error.advise("sealpost devices, then: sealpost device revoke NUMBER"));
            }
            None => {
                list.number = list.number.saturating_add(1);
                let Ok(number) = u32::try_from(list.number) else { return self.end_with(id, Self::last_number()) };
                let device = Device { id: DeviceId(number), key: asked.key, identity: asked.identity };
                list.devices.push(device);
                self.sign_list(&secret.sign_devices(&list), &list)?;
                device
            }
        };
        self.go_online();
        self.wait_a_while(
            id,
            Waiting::AddDevice { device: device.id, told: false, until: self.now.saturating_add(timeout_ms) },
        );
        self.publish_list();
        self.device_waits()
    }

    /// `device revoke`: the next list does not name it, and what it knew of the way in is worth nothing. **[ACCT-27]**
    pub(in crate::engine) fn revoke_device(&mut self, id: CommandId, device: u32) -> Stored<()> {
        if !self.is_enrolled() {
            return self.not_registered(id);
        }
        let Some(secret) = self.rows().account_secret()? else { return self.end_with(id, Self::not_first()) };
        let Some(mut list) = self.own_list() else { return self.not_registered(id) };
        if device == self.own.device.id.0 {
            let error = Error::new(ErrorCode::Usage, "this is the device that you are at, which has the account's key")
                .advise("sealpost unregister, which ends the account; or sealpost restore on another machine");
            return self.end_with(id, error);
        }
        let before = list.devices.len();
        list.devices.retain(|listed| listed.id.0 != device);
        if list.devices.len() < before {
            list.number = list.number.saturating_add(1);
            if u32::try_from(list.number).is_err() {
                return self.end_with(id, Self::last_number());
            }
            // The list comes first: what the device had said is overruled with it, so that the new token counts everywhere.
            self.sign_list(&secret.sign_devices(&list), &list)?;
            let token = delivery_token(&mut **self.rows().dice());
            self.new_token(token)?;
            self.tell_anew()?;
        } else if !self.siblings.row.unpublished {
            let error = Error::new(ErrorCode::NoSuchName, format!("no device of yours has number {device}"));
            return self.end_with(id, error.advise("sealpost devices"));
        }
        self.go_online();
        self.wait_a_while(id, Waiting::RevokeDevice);
        self.publish_list();
        Ok(())
    }

    fn not_first() -> Error {
        Error::new(ErrorCode::Usage, "only the device with the account's key adds and revokes devices")
            .because("this one was linked to the account and does not have it")
            .advise("give the command on the account's first device")
    }

    fn last_number() -> Error {
        Error::new(ErrorCode::Failed, "the account's device list has come to its last number")
            .advise("sealpost -p OTHER register ADDRESS NAME")
    }

    /// The account has signed its next list: it counts here from now on, and is offered until the relay has it.
    fn sign_list(&mut self, signed: &Signed, list: &DeviceList) -> Stored<()> {
        self.siblings.row.unpublished = true;
        self.put_siblings()?;
        self.take_own_list(signed, list)
    }

    /// Takes the next list of the account, whoever brought it. **[ACCT-28]**
    pub(in crate::engine) fn take_own_list(&mut self, signed: &Signed, list: &DeviceList) -> Stored<()> {
        let own = self.own.device;
        if list.device(own.id) != Some(&own) {
            return self.revoked();
        }
        let before = self.own_list().map(|list| list.devices).unwrap_or_default();
        self.own_mut().list = signed.clone();
        self.siblings.meet(Some(list), own.id);
        let name = self.own.name.clone();
        let account = list.account;
        let gone: Vec<PeerId> = before
            .iter()
            .filter(|old| old.id != own.id && list.device(old.id).is_none())
            .map(|old| (account, old.id))
            .collect();
        for device in list.devices.iter().filter(|device| before.iter().all(|old| old.id != device.id)) {
            if device.id != own.id && !before.is_empty() {
                self.tell(None, Event::NewDevice { name: name.to_string(), device: device.id.0, replaces: false });
            }
        }
        let known = self.contacts.entry(name.clone()).or_insert_with(|| Contact::new(name.clone()));
        known.account = Some(account);
        known.number = list.number;
        known.list = Some(signed.clone());
        (known.verified, known.accepted) = (true, true);
        known.fetched_at = 0;
        self.contacts_touched.insert(name.clone());
        self.overrule(&gone)?;
        self.list_taken(&account, list)?;
        for device in gone {
            self.device_gone(&name, &device)?;
        }
        if self.has_siblings() {
            return Ok(());
        }
        // There is nobody to tell anything any more.
        for id in self.outbox.pendings_to(&name).map(|pending| pending.id).collect::<Vec<_>>() {
            self.give_up(&id)?;
        }
        self.forget_told()
    }

    /// Whether this is the very device that asks.
    pub(in crate::engine) fn is_this_device(&self, id: &PeerId) -> bool {
        *id == (self.own.account, self.own.device.id)
    }

    /// How a list that one's own account has signed stands to the newest one that is known.
    pub(in crate::engine) fn judge_own(&self, signed: &Signed, list: &DeviceList) -> Verdict {
        let known = self.own_list().map_or(0, |list| list.number);
        match list.number.cmp(&known) {
            Ordering::Less => Verdict::Older,
            Ordering::Greater => Verdict::Newer,
            Ordering::Equal if signed.body == self.own.list.body => Verdict::Same,
            Ordering::Equal => Verdict::Changed,
        }
    }

    /// A list is shown as that of one's own account: one that counts is taken.
    pub(in crate::engine) fn own_list_shown(&mut self, signed: &Signed) -> Stored<()> {
        let list = verify_devices(signed).ok().filter(|list| list.name == self.own.name);
        let known = self.own_list().map_or(0, |list| list.number);
        match list {
            Some(list) if list.account != self.own.account => {
                self.lied("the relay shows another key under your own name; nothing was changed");
            }
            Some(list) if list.number > known => self.take_own_list(signed, &list)?,
            Some(list) if list.number < known => {
                // It went back to an older copy of itself, or lies: it is given the newer one.
                self.siblings.row.unpublished = true;
                self.put_siblings()?;
                self.publish_list();
            }
            Some(_) if signed.body != self.own.list.body => {
                self.lied("the relay shows another list of your own devices than you signed; nothing was changed");
            }
            Some(_) => {}
            None => self.lied("the relay's list of your own devices is not genuine; nothing was changed"),
        }
        Ok(())
    }

    fn lied(&mut self, what: &str) {
        let error = Error::new(ErrorCode::NotTrusted, what)
            .because("the relay errs, or somebody pretends to be you there")
            .advise("tell your contacts; compare with them: sealpost verify NAME");
        self.tell(None, Event::Error(error));
    }

    /// Offers the relay the newest list, where it does not have it. **[RELAY-26]**
    pub(in crate::engine) fn publish_list(&mut self) {
        let waits = self.asked.values().any(|asked| matches!(asked, Asked::SetDevices(_)));
        if self.online() && self.siblings.row.unpublished && !waits && self.knows_token() {
            let (list, token) = (self.own.list.clone(), token_hash(&self.own.token));
            self.ask(Asked::SetDevices(self.offer()), Request::SetDevices { list, token });
        }
    }

    /// What the relay would be offered now.
    pub(in crate::engine) fn offer(&self) -> Offer {
        Offer { number: self.own_list().map_or(0, |list| list.number), token: self.own.token }
    }

    pub(in crate::engine) fn set_devices_answer(
        &mut self,
        offer: Offer,
        result: Result<Answer, Failure>,
    ) -> Stored<()> {
        match result {
            Ok(_) => self.list_published(offer),
            Err(Failure::Refused(Refusal::StaleDeviceList)) => {
                self.ask_own_devices();
                Ok(())
            }
            Err(Failure::Refused(refusal)) => {
                let error = match refusal {
                    Refusal::Malformed | Refusal::Unsupported => {
                        Error::new(ErrorCode::Refused, "the relay knows nothing of several devices")
                            .because("it is older than this client")
                            .advise("ask its operator to update it; what was signed is offered again then")
                    }
                    refusal => refused(&refusal),
                };
                self.fail_waits(&error, |waiting| matches!(waiting, Waiting::AddDevice { .. } | Waiting::RevokeDevice));
                Ok(())
            }
            // It is offered again after the next login.
            Err(_) => Ok(()),
        }
    }

    /// The relay has what it was offered. A list that was signed meanwhile is offered next: until the relay has that one, whom
    /// it revokes is not revoked. **[ACCT-27]**
    pub(in crate::engine) fn list_published(&mut self, offer: Offer) -> Stored<()> {
        self.relay_has_token(offer.token);
        if offer.number < self.offer().number {
            self.publish_list();
        } else if std::mem::take(&mut self.siblings.row.unpublished) {
            self.put_siblings()?;
        }
        self.device_waits()
    }

    /// Commands about devices go on, or end.
    pub(in crate::engine) fn device_waits(&mut self) -> Stored<()> {
        if self.siblings.row.unpublished {
            return Ok(());
        }
        let ids: Vec<CommandId> = self.waits.keys().copied().collect();
        for id in ids {
            match self.waits.get(&id) {
                Some(Waiting::RevokeDevice) => {
                    self.tell(Some(id), Event::Done);
                    self.end(id);
                }
                Some(&Waiting::AddDevice { device, told, until }) => {
                    if !told {
                        self.tell_device(id, device);
                        self.wait(id, Waiting::AddDevice { device, told: true, until }, until);
                    }
                    if until <= self.now || self.was_told_all(device) {
                        self.end(id);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn tell_device(&mut self, id: CommandId, device: DeviceId) {
        let Some(device) = self.own_list().and_then(|list| list.device(device).copied()) else { return };
        let code = device_code(&device_request(&device, fingerprint(&self.own.account))).ok();
        let this = device.id == self.own.device.id;
        let code = code.map(|code| code.to_string());
        self.tell(Some(id), Event::Device { device: device.id.0, this, code });
    }

    /// `devices`
    pub(in crate::engine) fn list_devices(&mut self, id: CommandId) -> Stored<()> {
        for device in self.own_list().map(|list| list.devices).unwrap_or_default() {
            self.tell_device(id, device.id);
        }
        self.end(id);
        Ok(())
    }

    /// Asks on one's own link which devices the account has by now.
    pub(in crate::engine) fn ask_own_devices(&mut self) {
        if self.online() && !self.asked.values().any(|asked| matches!(asked, Asked::OwnDevices)) {
            let name = self.own.name.clone();
            self.ask(Asked::OwnDevices, Request::FetchDevices(name));
        }
    }

    pub(in crate::engine) fn own_devices_answer(&mut self, result: Result<Answer, Failure>) -> Stored<()> {
        match result {
            Ok(Answer::Devices(signed)) => self.own_list_shown(&signed),
            _ => Ok(()),
        }
    }

    /// The relay says that another list has taken the place of one's own: whether that is so, the list itself says.
    pub(in crate::engine) fn check_own_list(&mut self, result: Result<Answer, Failure>) -> Stored<()> {
        if let Ok(Answer::Devices(signed)) = &result {
            let before = self.own_list().map_or(0, |list| list.number);
            self.own_list_shown(signed)?;
            if self.siblings.row.revoked {
                return Ok(());
            }
            if self.own_list().map_or(0, |list| list.number) > before {
                return self.introduce();
            }
        }
        match result {
            Err(Failure::Refused(refusal)) if self.not_yet(&refusal) => Ok(()),
            // A device that knows what goes with it publishes the account anew, or does in a moment.
            Ok(_) if self.own.receipt.is_none() => {
                self.log_in_later();
                Ok(())
            }
            Err(Failure::Refused(Refusal::NoSuchName)) if self.own.receipt.is_none() => {
                self.log_in_much_later();
                Ok(())
            }
            Err(Failure::Unreachable(_) | Failure::Unknown | Failure::WrongRelay) => {
                self.log_in_later();
                Ok(())
            }
            _ => self.no_login(refused(&Refusal::StaleDeviceList)),
        }
    }

    /// The account goes on without this device. **[ACCT-28]**
    pub(in crate::engine) fn revoked(&mut self) -> Stored<()> {
        self.siblings.row.revoked = true;
        self.put_siblings()?;
        self.siblings.others.clear();
        let error = Self::revoked_error();
        self.transmit(Transmit::Disconnect);
        self.shut_out(error.clone());
        self.tell(None, Event::Error(error.clone()));
        // Before what they wait for is given up: why that is, they hear here.
        self.fail_waits(&error, |waiting| !matches!(waiting, Waiting::Subscribe));
        for name in self.outbox.names() {
            for id in self.outbox.pendings_to(&name).map(|pending| pending.id).collect::<Vec<_>>() {
                self.give_up(&id)?;
            }
        }
        self.forget_told()?;
        self.stop_files();
        Ok(())
    }
}
