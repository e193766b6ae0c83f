//! What the caller has made so far, and the verbs.

mod sessions;
mod vaults;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sealpost_crypto::identity::{
    AccountSecret, DeviceSecret, PrekeySecret, fingerprint, mailbox, safety_number, verify_devices, verify_prekey,
};
use sealpost_crypto::session::{Party, Session};
use sealpost_crypto::vault::Vault;
use sealpost_crypto::{Refused, sealed};
use sealpost_spec::account::{AccountKey, Device, DeviceId, DeviceList, Name, PrekeyId, PrekeyRole};
use sealpost_spec::mailbox::EnvelopeId;
use sealpost_spec::message::Sealing;
use sealpost_spec::wire::Signed;
use serde_json::{Value, json};

use super::Failure;
use super::field::{Label, Role, SignedField};
use super::given::draw;
use super::request::{self, Listed, Named, Request};

/// Most persons, sessions and vaults, and most prekeys of a person.
const MOST: usize = 10_000;

/// Everything that has a name.
#[derive(Default)]
pub(super) struct Things {
    persons: HashMap<String, Person>,
    sessions: HashMap<String, Arc<Session>>,
    vaults: HashMap<String, Vault>,
    /// Seals sessions into their state; made when it is first asked for.
    states: Option<Vault>,
}

struct Person {
    party: Party,
    secret: DeviceSecret,
    list: Signed,
    prekeys: BTreeMap<(PrekeyRole, PrekeyId), PrekeySecret>,
}

impl Person {
    fn prekey(&self, role: PrekeyRole, id: PrekeyId) -> Option<&PrekeySecret> {
        self.prekeys.get(&(role, id))
    }
    fn own_prekey(&self, role: PrekeyRole, id: PrekeyId) -> Result<&PrekeySecret, Failure> {
        let missing = || format!("the person has no prekey of role {} with id {}", role as u8, id.0);
        self.prekey(role, id).ok_or_else(|| Failure::request(missing()))
    }
}

impl Things {
    pub(super) fn answer(&mut self, request: Request) -> Result<Value, Failure> {
        match request {
            Request::Person(request) => self.person(request),
            Request::Prekey(request) => self.prekey(request),
            Request::Bundle(request) => self.bundle(&request),
            Request::Initiate(request) => self.initiate(*request),
            Request::Accept(request) => self.accept(request),
            Request::Encrypt(request) => self.encrypt(request),
            Request::Decrypt(request) => self.decrypt(request),
            Request::Retire(request) => self.retire(request),
            Request::Copy(request) => self.copy(request),
            Request::Expire(request) => self.expire(request),
            Request::State(request) => self.state(&request),
            Request::Restore(request) => self.restore(request),
            Request::Session(request) => self.facts(&request),
            Request::Message(request) => Self::message(&request),
            Request::Seal(request) => self.seal(request),
            Request::Open(request) => self.open(&request),
            Request::SafetyNumber(request) => Self::safety_number(&request),
            Request::VaultCreate(request) => self.vault_create(request),
            Request::VaultUnlock(request) => self.vault_unlock(request),
            Request::VaultRewrap(request) => self.vault_rewrap(&request),
            Request::VaultBlind(request) => self.vault_blind(&request),
            Request::VaultSeal(request) => self.vault_seal(&request),
            Request::VaultOpen(request) => self.vault_open(&request),
            Request::Forget(request) => self.forget(&request),
        }
    }

    fn person(&mut self, request: request::Person) -> Result<Value, Failure> {
        let name = name(request.name.map_or_else(|| request.r#as.0.clone(), |name| name.0))?;
        let number = request.number.unwrap_or(1);
        if number == 0 {
            return Err(Failure::request("lists are numbered from 1"));
        }
        let id = request.device.map_or(DeviceId::FIRST, DeviceId::from);
        let (account, secret) =
            draw(&request.random.0, |rng| Ok((AccountSecret::generate(rng), DeviceSecret::generate(rng))))?;
        let device = secret.public(id);
        let party = Party { name, account: account.key(), device };
        let list = account.sign_devices(&DeviceList {
            number,
            name: party.name.clone(),
            account: party.account,
            devices: vec![device],
        });
        let answer = json!({
            "account": hex(&party.account.0),
            "device": device.id.0,
            "device-key": hex(&device.key.0),
            "identity": hex(&device.identity.0),
            "list": signed(&list),
            "fingerprint": fingerprint(&party.account).to_string(),
            "mailbox": hex(&mailbox(&device.key).0),
        });
        keep(&mut self.persons, request.r#as, Person { party, secret, list, prekeys: BTreeMap::new() })?;
        Ok(answer)
    }

    fn prekey(&mut self, request: request::Prekey) -> Result<Value, Failure> {
        let person = find_mut(&mut self.persons, &request.person, "person")?;
        let (Role(role), id) = (request.role, request.id.into());
        if person.prekeys.len() >= MOST && person.prekey(role, id).is_none() {
            return Err(Failure::request(format!("a person has at most {MOST} prekeys; forget some")));
        }
        let secret =
            draw(&request.random.0, |rng| Ok(PrekeySecret::generate(role, id, request.made_at, &person.secret, rng)))?;
        let answer = signed(secret.signed());
        person.prekeys.insert((role, id), secret);
        Ok(answer)
    }

    fn bundle(&self, request: &request::Bundle) -> Result<Value, Failure> {
        let person = find(&self.persons, &request.person, "person")?;
        let Named { signed: spk, one_time, kem_role: Role(kem_role), kem } = request.keys;
        let one_time = one_time.map(|id| person.own_prekey(PrekeyRole::OneTime, id.into())).transpose()?;
        Ok(json!({
            "list": signed(&person.list),
            "device": person.party.device.id.0,
            "signed": signed(person.own_prekey(PrekeyRole::Signed, spk.into())?.signed()),
            "one-time": one_time.map(|key| signed(key.signed())),
            "kem": signed(person.own_prekey(kem_role, kem.into())?.signed()),
            "box-key": signed(person.own_prekey(PrekeyRole::Box, request.box_key.into())?.signed()),
        }))
    }

    fn seal(&self, request: request::Seal) -> Result<Value, Failure> {
        let person = find(&self.persons, &request.person, "person")?;
        let recipient = listed(request.recipient)?.device;
        let key = verify_prekey(&request.box_key.into(), &recipient.key, PrekeyRole::Box)?;
        let sealing = Sealing { device: person.party.device.id, list: person.list.clone(), message: request.message.0 };
        let id = EnvelopeId(request.envelope.0);
        let sealed = draw(&request.random.0, |rng| sealed::seal(&key, &recipient, &id, &sealing, rng))?;
        Ok(json!({ "sealed": hex(&sealed) }))
    }

    fn open(&self, request: &request::Open) -> Result<Value, Failure> {
        let person = find(&self.persons, &request.person, "person")?;
        let named = match request.box_key {
            Some(id) => person.own_prekey(PrekeyRole::Box, id.into())?,
            // A key that is not there opens nothing.
            None => person.prekey(PrekeyRole::Box, sealed::box_key_id(&request.sealed.0)?).ok_or(Refused)?,
        };
        let id = EnvelopeId(request.envelope.0);
        let sealing = sealed::open(named, &person.party.device, &id, &request.sealed.0)?;
        Ok(json!({
            "sender": { "list": signed(&sealing.list), "device": sealing.device.0 },
            "message": hex(&sealing.message),
        }))
    }

    fn safety_number(request: &request::SafetyNumber) -> Result<Value, Failure> {
        let (one, other) = (AccountKey(request.one.account.0), AccountKey(request.other.account.0));
        let names = [name(request.one.name.0.clone())?, name(request.other.name.0.clone())?];
        let [first, second] = &names;
        let number = safety_number((first, &one), (second, &other));
        Ok(json!({
            "number": number.0,
            "shown": number.to_string(),
            "fingerprints": [fingerprint(&one).to_string(), fingerprint(&other).to_string()],
        }))
    }

    fn forget(&mut self, request: &request::Forget) -> Result<Value, Failure> {
        let known = match request {
            request::Forget { person: Some(person), session: None, vault: None, role: None, id: None } => {
                self.persons.remove(&person.0).is_some()
            }
            request::Forget { person: Some(person), session: None, vault: None, role: Some(role), id: Some(id) } => {
                let person = find_mut(&mut self.persons, person, "person")?;
                person.prekeys.remove(&(role.0, (*id).into())).is_some()
            }
            request::Forget { person: None, session: Some(session), vault: None, role: None, id: None } => {
                self.sessions.remove(&session.0).is_some()
            }
            request::Forget { person: None, session: None, vault: Some(vault), role: None, id: None } => {
                self.vaults.remove(&vault.0).is_some()
            }
            _ => {
                return Err(Failure::request("forget takes a session, a vault, or a person, perhaps with role and id"));
            }
        };
        if known { Ok(json!({})) } else { Err(Failure::request("there is nothing of that name to forget")) }
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn signed(signed: &Signed) -> Value {
    json!({ "body": hex(&signed.body.0), "signature": hex(&signed.signature.0) })
}

fn name(text: String) -> Result<Name, Failure> {
    text.parse().map_err(|_| Failure::request("that is no name: [a-z0-9][a-z0-9_.-]{1,31}"))
}

/// A list whose signature holds, and its device of this id.
fn verified(list: SignedField, device: DeviceId) -> Result<(DeviceList, Device), Refused> {
    let list = verify_devices(&list.into())?;
    let device = *list.device(device).ok_or(Refused)?;
    Ok((list, device))
}

fn listed(peer: Listed) -> Result<Party, Refused> {
    let (list, device) = verified(peer.list, peer.device.into())?;
    Ok(Party { name: list.name, account: list.account, device })
}

fn find<'a, T>(things: &'a HashMap<String, T>, label: &Label, kind: &str) -> Result<&'a T, Failure> {
    things.get(&label.0).ok_or_else(|| Failure::request(format!("there is no {kind} of that name")))
}

fn find_mut<'a, T>(things: &'a mut HashMap<String, T>, label: &Label, kind: &str) -> Result<&'a mut T, Failure> {
    things.get_mut(&label.0).ok_or_else(|| Failure::request(format!("there is no {kind} of that name")))
}

/// Gives a thing its name, which may have been another one's.
fn keep<T>(things: &mut HashMap<String, T>, label: Label, thing: T) -> Result<(), Failure> {
    if things.len() >= MOST && !things.contains_key(&label.0) {
        return Err(Failure::request(format!("there are at most {MOST} of a kind; forget some")));
    }
    things.insert(label.0, thing);
    Ok(())
}
