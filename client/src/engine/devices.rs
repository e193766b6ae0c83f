//! Other people's device lists and prekeys: asked for, checked, remembered.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_crypto::identity::{fingerprint, verify_devices};
use sealpost_crypto::session::VerifiedBundle;
use sealpost_spec::account::{Bundle, Device, DeviceList, Name, Prekey};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::Signed;

use super::account::refused;
use super::timers::Timer;
use super::{Asked, DAY, Engine, Failure};
use crate::api::{Error, ErrorCode, Event};
use crate::store::Stored;
use crate::store::people::{Contact, Peer, PeerId};

/// A box key is replaced after a week: one that is older is asked for again, at most once a day.
const BOX_KEY_FRESH: u64 = 8 * DAY;

/// A device without keys is asked about again after so long, then after twice as long, up to a day; in milliseconds.
const LACKING: u64 = 60 * 1_000;

/// Most lists that are remembered.
const MAX_LISTS: usize = 2_000;

/// What is asked of the relay's directory, and what it said since the last login.
#[derive(Default)]
pub(super) struct Fetching {
    /// Asked for, without an answer.
    open: BTreeSet<Name>,
    /// Bundles that were fetched, until they are used: each starts one session at most.
    bundles: BTreeMap<PeerId, VerifiedBundle>,
    /// Lists that the directory showed, to judge messages from people one does not know.
    lists: BTreeMap<Name, (u64, Option<Signed>)>,
    /// After how long those are asked about again of whose devices one has published nothing.
    lacking: BTreeMap<Name, u64>,
}

impl Fetching {
    /// A new login: what was said before may have changed.
    pub(super) fn reset(&mut self) {
        self.bundles.clear();
        self.lists.clear();
    }

    /// Remembers what the directory says of a name; `None`: it has nobody.
    fn show(&mut self, name: &Name, now: u64, list: Option<Signed>) {
        // Any other is asked for again where it is needed.
        if self.lists.len() >= MAX_LISTS {
            self.lists.pop_first();
        }
        self.lists.insert(name.clone(), (now, list));
    }

    /// What the directory said of a name, and when.
    pub(super) fn shown(&self, name: &Name) -> Option<(u64, Option<&Signed>)> {
        self.lists.get(name).map(|(at, list)| (*at, list.as_ref()))
    }

    /// What it said is too old to be believed.
    pub(super) fn forget(&mut self, name: &Name) {
        self.lists.remove(name);
    }
}

/// How a device list stands to what is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The one that is known.
    Same,
    /// The same key's next list.
    Newer,
    /// Nothing was pinned; what a link pinned fits. **[ACCT-14]**
    First,
    /// Below the pinned number. **[ACCT-8]**
    Older,
    /// Another key, or another list of the same number. **[ACCT-8]** **[ACCT-13]**
    Changed,
}

/// Judges a verified list.
pub(super) fn judge(contact: Option<&Contact>, signed: &Signed, list: &DeviceList) -> Verdict {
    let Some(contact) = contact else { return Verdict::First };
    match contact.account {
        None => match contact.pinned {
            Some(pinned) if pinned != fingerprint(&list.account) => Verdict::Changed,
            _ => Verdict::First,
        },
        Some(account) if account != list.account => Verdict::Changed,
        Some(_) if list.number < contact.number => Verdict::Older,
        Some(_) if list.number > contact.number => Verdict::Newer,
        Some(_) if contact.list.as_ref().is_some_and(|known| known.body != signed.body) => Verdict::Changed,
        Some(_) => Verdict::Same,
    }
}

impl Engine {
    /// Asks for somebody's prekeys, unless that is under way.
    pub(super) fn fetch_bundle(&mut self, name: &Name) {
        if self.online() && !self.outbox.paused(name, self.now) && self.fetching.open.insert(name.clone()) {
            if self.is_own(name) {
                // [RELAY-27]
                return self.ask(Asked::Bundle(name.clone()), Request::FetchBundle(name.clone()));
            }
            self.ask_anonymously(Asked::Bundle(name.clone()), name.clone(), Request::FetchBundle(name.clone()));
        }
    }

    /// Asks for somebody's device list alone, unless something is under way.
    pub(super) fn fetch_devices(&mut self, name: &Name) {
        if self.online() && !self.outbox.paused(name, self.now) && self.fetching.open.insert(name.clone()) {
            self.ask_anonymously(Asked::Devices(name.clone()), name.clone(), Request::FetchDevices(name.clone()));
        }
    }

    /// Asks again for what may have changed since yesterday. Whether that is due.
    pub(super) fn refresh(&mut self, name: &Name) -> bool {
        let due = self.contacts.get(name).is_some_and(|contact| contact.fetched_at + DAY <= self.now);
        if due {
            self.fetch_bundle(name);
        }
        due
    }

    /// The devices that a content for this person is encrypted for; `None` while something must be asked first.
    pub(super) fn ready_peers(&mut self, name: &Name) -> Stored<Option<Vec<PeerId>>> {
        let Some(contact) = self.contacts.get(name) else { return Ok(None) };
        let (account, fetched_at) = (contact.account, contact.fetched_at);
        let list = contact.list.as_ref().and_then(|list| DeviceList::parse(&list.body.0).ok());
        let (Some(account), Some(list)) = (account, list) else {
            self.fetch_bundle(name);
            return Ok(None);
        };
        let mut ready = Vec::new();
        let mut lacks = false;
        for device in &list.devices {
            let id = (account, device.id);
            if self.is_this_device(&id) {
                continue;
            }
            if !self.can_encrypt(&id)
                && let Some(bundle) = self.fetching.bundles.remove(&id)
                && !self.start_session(&id, &bundle)?
            {
                let error = Error::new(ErrorCode::Refused, "their prekeys can't be used");
                self.pause(name, 0, Some(error));
                return Ok(None);
            }
            if self.can_encrypt(&id) {
                ready.push(id);
            } else {
                lacks = true;
            }
        }
        let stale = ready.iter().any(|id| self.box_key_is_old(id));
        if lacks && fetched_at + self.patience(name) <= self.now
            || stale && fetched_at + DAY <= self.now
            || ready.is_empty()
        {
            self.fetch_bundle(name);
            return Ok(None);
        }
        // A device that has published no keys is not waited for: it gets what is said now once it has. [ACCT-29]
        Ok(Some(ready))
    }

    /// After how long a person is asked about again who has a device without keys: one that was just listed publishes them in a
    /// moment.
    fn patience(&self, name: &Name) -> u64 {
        self.fetching.lacking.get(name).copied().unwrap_or(LACKING)
    }

    /// Asks about the keys that somebody's device lacks, now or when it is time.
    pub(super) fn ask_about_lacking(&mut self, name: &Name) {
        let Some(fetched_at) = self.contacts.get(name).map(|contact| contact.fetched_at) else { return };
        let at = fetched_at + self.patience(name);
        if at <= self.now {
            self.fetch_bundle(name);
        } else {
            self.timers.set_sooner(Timer::Retry(name.clone()), at);
        }
    }

    /// Whether there are fresh keys of a device, to begin a session with.
    pub(super) fn has_bundle(&self, peer: &PeerId) -> bool {
        self.fetching.bundles.contains_key(peer)
    }

    /// Whether a message for somebody is for several devices.
    pub(super) fn has_several(&self, name: &Name) -> bool {
        let list = self.contacts.get(name).and_then(|contact| contact.list.as_ref());
        let devices = list.and_then(|list| DeviceList::parse(&list.body.0).ok()).map_or(0, |list| list.devices.len());
        // Of one's own, this one is for nobody to write to.
        devices > if self.is_own(name) { 2 } else { 1 }
    }

    fn box_key_is_old(&self, id: &PeerId) -> bool {
        let key = self.peers.get(id).and_then(|peer| peer.box_key.as_ref());
        key.and_then(|key| Prekey::parse(&key.body.0).ok())
            .is_none_or(|key| key.made_at.saturating_mul(1_000).saturating_add(BOX_KEY_FRESH) <= self.now)
    }

    /// A fresh bundle of a device, where one was fetched and not used.
    pub(super) fn take_bundle(&mut self, id: &PeerId) -> Option<VerifiedBundle> {
        self.fetching.bundles.remove(id)
    }

    pub(super) fn bundle_answer(&mut self, name: &Name, result: Result<Answer, Failure>) -> Stored<()> {
        self.fetching.open.remove(name);
        match result {
            Ok(Answer::Bundle(bundle)) => self.bundle(name, &bundle)?,
            Ok(_) => self.pause(name, 0, Some(Error::new(ErrorCode::Refused, "the relay answered something else"))),
            Err(failure) => self.no_answer(name, failure)?,
        }
        // A bundle tells whose name it is too: what waits for that is not asked about a second time.
        self.read_parked(name)?;
        self.pump(name)
    }

    pub(super) fn devices_answer(&mut self, name: &Name, result: Result<Answer, Failure>) -> Stored<()> {
        self.fetching.open.remove(name);
        match result {
            Ok(Answer::Devices(signed)) => match verify_devices(&signed) {
                Ok(list) if list.name == *name => {
                    self.fetching.show(name, self.now, Some(signed.clone()));
                    self.list_shown(name, &signed, &list)?;
                    self.outbox.lift_pause(name);
                }
                _ => {
                    self.pause(name, 0, Some(Error::new(ErrorCode::Refused, "the relay's device list is not genuine")))
                }
            },
            Ok(_) => self.pause(name, 0, Some(Error::new(ErrorCode::Refused, "the relay answered something else"))),
            Err(failure) => self.no_answer(name, failure)?,
        }
        self.read_parked(name)?;
        self.pump(name)
    }

    fn no_answer(&mut self, name: &Name, failure: Failure) -> Stored<()> {
        match failure {
            Failure::Refused(Refusal::NoSuchName) => {
                self.fetching.show(name, self.now, None);
                let why = self.nobody(name)?;
                self.read_parked(name)?;
                self.pause(name, 0, why);
            }
            Failure::Refused(Refusal::TooFast { retry_after_ms }) => self.pause(name, u64::from(retry_after_ms), None),
            Failure::Refused(refusal) => self.pause(name, 0, Some(refused(&refusal))),
            Failure::Unreachable(_) | Failure::Unknown | Failure::WrongRelay => self.pause(name, 0, None),
        }
        Ok(())
    }

    /// The relay knows nobody of this name. Whom one knows may come back to a relay that lost its store; whom one
    /// never saw does not exist.
    fn nobody(&mut self, name: &Name) -> Stored<Option<Error>> {
        if self.contacts.get(name).is_some_and(|contact| contact.account.is_some()) {
            let error = Error::new(ErrorCode::Waiting, format!("nobody at this relay has the name {name} now"))
                .because("they have unregistered, or the relay has lost its store and they were not there since")
                .advise("nothing: what is queued goes out if they come back within 30 days");
            self.fail_waits_about(name, &error, true);
            return Ok(Some(error));
        }
        let error = Error::new(ErrorCode::NoSuchName, format!("nobody at this relay has the name {name}"))
            .advise("ask them for their contact link, then: sealpost add LINK");
        self.fail_waits_about(name, &error, true);
        let queued: Vec<_> = self.outbox.pendings_to(name).map(|pending| pending.id).collect();
        for id in queued {
            self.give_up(&id)?;
        }
        if self.contacts.get(name).is_some_and(|contact| contact.pinned.is_none() && !contact.blocked) {
            self.contacts.remove(name);
            self.contacts_touched.insert(name.clone());
        }
        Ok(None)
    }

    /// Checks a bundle against what is pinned and remembers what it brings.
    fn bundle(&mut self, name: &Name, bundle: &Bundle) -> Stored<()> {
        let not_genuine = || Error::new(ErrorCode::Refused, "the relay's prekeys are not genuine");
        let list = match verify_devices(&bundle.list) {
            Ok(list) if list.name == *name => list,
            _ => {
                self.pause(name, 0, Some(not_genuine()));
                return Ok(());
            }
        };
        if !self.contacts.contains_key(name) {
            return Ok(());
        }
        if self.is_own(name) {
            self.own_list_shown(&bundle.list)?;
            if self.own.list.body != bundle.list.body {
                self.pause(name, 0, None);
                return Ok(());
            }
        } else {
            self.fetching.show(name, self.now, Some(bundle.list.clone()));
            if !self.list_shown(name, &bundle.list, &list)? {
                return Ok(());
            }
        }
        let mut usable = 0;
        for device in &bundle.devices {
            let Ok(verified) = VerifiedBundle::verify(device, &list) else { continue };
            let id = (list.account, device.device);
            let (signed, own) = (verified.signed_prekey().id.0, verified.party().device);
            if self.is_this_device(&id) {
                continue;
            }
            self.know_peer(name, list.account, own);
            let box_id = verified.box_key().id.0;
            let Some(peer) = self.peer_mut(&id) else { continue };
            // An id that falls is an old bundle, kept by a relay that hopes for a key it knows. **[ACCT-15]**
            let known_box =
                peer.box_key.as_ref().and_then(|key| Prekey::parse(&key.body.0).ok()).map_or(0, |key| key.id.0);
            // One key under two names is one person too many: what is for one of them never goes to the other.
            let same = peer.device == own && peer.name == *name;
            if !same || signed < peer.signed_prekey || box_id < known_box {
                continue;
            }
            peer.signed_prekey = signed;
            if box_id > known_box {
                peer.box_key = Some(device.box_key.clone());
            }
            self.fetching.bundles.insert(id, verified);
            usable += 1;
        }
        if usable == 0 {
            // A device of one's own that was not there yet has none.
            let why = (!self.is_own(name)).then(not_genuine);
            self.pause(name, 0, why);
            return Ok(());
        }
        let now = self.now;
        if let Some(contact) = self.contact_mut(name) {
            contact.fetched_at = now;
        }
        let all = list.devices.iter().map(|device| (list.account, device.id));
        let lacks = all
            .filter(|id| !self.is_this_device(id))
            .any(|id| !self.fetching.bundles.contains_key(&id) && !self.can_encrypt(&id));
        match self.fetching.lacking.get(name).copied().filter(|_| lacks) {
            Some(pause) => drop(self.fetching.lacking.insert(name.clone(), (2 * pause).min(DAY))),
            None if lacks => drop(self.fetching.lacking.insert(name.clone(), LACKING)),
            None => drop(self.fetching.lacking.remove(name)),
        }
        self.outbox.lift_pause(name);
        let peers: Vec<PeerId> = list.devices.iter().map(|device| (list.account, device.id)).collect();
        for peer in peers.into_iter().filter(|peer| !self.is_this_device(peer)).collect::<Vec<_>>() {
            // A device without keys is asked about again some other time, not in the same breath for ever.
            if self.fetching.bundles.contains_key(&peer) {
                self.start_repair(&peer)?;
                self.send_receipt_if_planned(&peer)?;
                // One of several begins now: a bundle is not kept, and the others are not asked to wait for it again.
                if self.has_several(name)
                    && !self.can_encrypt(&peer)
                    && let Some(bundle) = self.fetching.bundles.remove(&peer)
                {
                    let _ = self.start_session(&peer, &bundle)?;
                }
            } else {
                self.repair_later(&peer);
            }
        }
        Ok(())
    }

    /// Remembers a device, without a session yet.
    pub(super) fn know_peer(&mut self, name: &Name, account: sealpost_spec::account::AccountKey, device: Device) {
        let id = (account, device.id);
        if !self.peers.contains_key(&id) {
            self.peers_touched.insert(id);
            self.peers.insert(
                id,
                Peer {
                    name: name.clone(),
                    account,
                    device,
                    box_key: None,
                    signed_prekey: 0,
                    sessions: Vec::new(),
                    newest: 0,
                    ranges: Vec::new(),
                    unreceipted: Vec::new(),
                    held: Vec::new(),
                    unreadable: Vec::new(),
                    repaired_at: 0,
                },
            );
        }
    }

    /// The directory shows this list for a name: whether it may be used.
    fn list_shown(&mut self, name: &Name, signed: &Signed, list: &DeviceList) -> Stored<bool> {
        if !self.contacts.contains_key(name) {
            self.key_learnt(name, list)?;
            return Ok(false);
        }
        match judge(self.contacts.get(name), signed, list) {
            Verdict::Same => {}
            Verdict::First | Verdict::Newer => self.pin_list(name, signed, list)?,
            Verdict::Older => {
                let error = Error::new(ErrorCode::Refused, "the relay shows an outdated device list")
                    .because("it is older than one that was seen before");
                self.pause(name, 0, Some(error));
                return Ok(false);
            }
            Verdict::Changed => {
                self.key_changed(name, signed, list)?;
                return Ok(false);
            }
        }
        self.key_learnt(name, list)?;
        Ok(self.contacts.get(name).is_some_and(|contact| contact.changed.is_none()))
    }

    /// Takes a list that follows what is pinned, or the first one.
    pub(super) fn pin_list(&mut self, name: &Name, signed: &Signed, list: &DeviceList) -> Stored<()> {
        if self.is_own(name) {
            return self.take_own_list(signed, list);
        }
        let known = self.contacts.get(name).and_then(|contact| contact.list.as_ref());
        if let Some(known) = known.and_then(|known| DeviceList::parse(&known.body.0).ok()) {
            let gone: Vec<PeerId> = known
                .devices
                .iter()
                .filter(|old| list.device(old.id).is_none())
                .map(|old| (known.account, old.id))
                .collect();
            // [ACCT-8] a device that nobody announced might be a thief's.
            for device in list.devices.iter().filter(|device| known.device(device.id).is_none()) {
                let replaces = list.devices.len() == 1 && !gone.is_empty();
                self.tell(None, Event::NewDevice { name: name.to_string(), device: device.id.0, replaces });
                if !replaces {
                    self.also_for(name, (list.account, device.id))?;
                }
            }
            for device in gone {
                self.device_gone(name, &device)?;
            }
        }
        if let Some(contact) = self.contact_mut(name) {
            let known = contact.list.as_ref().and_then(|known| DeviceList::parse(&known.body.0).ok());
            let more = |known: DeviceList| list.devices.iter().any(|device| known.device(device.id).is_none());
            if known.is_some_and(more) {
                contact.fetched_at = 0;
            }
            // Of two lists with one number, both were of this key: which devices there are, this one says. [ACCT-8]
            let other = contact.changed.as_ref().and_then(|other| DeviceList::parse(&other.body.0).ok());
            if other.is_some_and(|other| other.account == list.account && other.number <= list.number) {
                contact.changed = None;
            }
            contact.account = Some(list.account);
            contact.number = list.number;
            contact.list = Some(signed.clone());
        }
        self.list_taken(&list.account, list)
    }

    /// Nothing is sent to this device any more, and what it did not confirm is encrypted anew, for those that the list
    /// names. **[ACCT-23]**
    pub(super) fn device_gone(&mut self, name: &Name, device: &PeerId) -> Stored<()> {
        let mut contents = BTreeSet::new();
        for parcel in self.outbox.parcels_to(name, device) {
            self.outbox.remove_parcel(name, parcel.order);
            self.rows().delete_parcel(&parcel.envelope)?;
            contents.extend(parcel.content);
        }
        // Once the step is over: what brings the new list may be a message that is read just now.
        self.timers.set_sooner(Timer::Retry(name.clone()), self.now);
        for content in contents {
            let elsewhere = self.outbox.parcels(name).any(|parcel| parcel.content == Some(content));
            let confirmed = self.outbox.pending(&content).is_none_or(|pending| pending.delivered);
            if !elsewhere
                && !confirmed
                && let Some(pending) = self.outbox.change_pending(&content, |pending| pending.encrypted = false)
            {
                self.rows().put_pending(&pending)?;
            }
        }
        self.never_for(device)?;
        let Some(peer) = self.peer_mut(device) else { return Ok(()) };
        peer.box_key = None;
        let sessions = std::mem::take(&mut peer.sessions);
        sessions.iter().try_for_each(|note| self.rows().delete_session(&note.id).map(drop))
    }
}
