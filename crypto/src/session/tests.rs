//! Two people with one device each, and what they say; the questions are in the modules.
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_spec::account::{AccountKey, DeviceBundle, DeviceId, DeviceList, PrekeyId, PrekeyRole};
use sealpost_spec::message::SessionMessage;
use sealpost_spec::wire::{Signature, Signed};

use super::*;
use crate::identity::{AccountSecret, PrekeySecret, verify_devices};
use crate::vault::door::Door;

mod aging;
mod beginning;
mod choice;
mod expiry;
mod limits;
mod low_order;
mod network;
mod refusal;
mod stored;
mod talk;
mod theft;

fn dice(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A person with one device and all its prekeys.
struct Person {
    party: Party,
    device: DeviceSecret,
    list: Signed,
    signed: PrekeySecret,
    one_time: PrekeySecret,
    kem: PrekeySecret,
    last_resort: PrekeySecret,
    box_key: PrekeySecret,
}

impl Person {
    fn new(name: &str, seed: u64) -> Self {
        Self::drawn(name, &mut dice(seed))
    }
    fn drawn(name: &str, rng: &mut dyn CryptoRng) -> Self {
        let account = AccountSecret::generate(rng);
        let device = DeviceSecret::generate(rng);
        let party =
            Party { name: name.parse().unwrap(), account: account.key(), device: device.public(DeviceId::FIRST) };
        let list =
            DeviceList { number: 1, name: party.name.clone(), account: account.key(), devices: vec![party.device] };
        let mut key = |role, id| PrekeySecret::generate(role, PrekeyId(id), 1_700_000_000, &device, rng);
        Self {
            signed: key(PrekeyRole::Signed, 1),
            one_time: key(PrekeyRole::OneTime, 2),
            kem: key(PrekeyRole::OneTimeKem, 3),
            last_resort: key(PrekeyRole::LastResortKem, 4),
            box_key: key(PrekeyRole::Box, 5),
            list: account.sign_devices(&list),
            party,
            device,
        }
    }
    fn bundle(&self) -> DeviceBundle {
        DeviceBundle {
            device: DeviceId::FIRST,
            signed: self.signed.signed().clone(),
            one_time: Some(self.one_time.signed().clone()),
            kem: self.kem.signed().clone(),
            box_key: self.box_key.signed().clone(),
        }
    }
    fn exhausted_bundle(&self) -> DeviceBundle {
        DeviceBundle { one_time: None, kem: self.last_resort.signed().clone(), ..self.bundle() }
    }
    fn verified(&self, bundle: &DeviceBundle) -> Result<VerifiedBundle, Refused> {
        VerifiedBundle::verify(bundle, &verify_devices(&self.list).unwrap())
    }
    fn keys(&self) -> OwnPrekeys<'_> {
        OwnPrekeys { signed: &self.signed, one_time: Some(&self.one_time), kem: &self.kem }
    }
    fn exhausted_keys(&self) -> OwnPrekeys<'_> {
        OwnPrekeys { signed: &self.signed, one_time: None, kem: &self.last_resort }
    }
    fn initiate(&self, other: &Self, rng: &mut dyn CryptoRng) -> Session {
        let bundle = other.verified(&other.bundle()).unwrap();
        Session::initiate(&self.party, &self.device, &bundle, rng).unwrap()
    }
    fn accept(&self, other: &Self, message: &[u8]) -> Result<(Session, Zeroizing<Vec<u8>>), Refused> {
        Session::accept(&self.party, &self.device, &self.keys(), &other.party, message)
    }
}

fn couple() -> (Person, Person) {
    (Person::new("alice", 1), Person::new("bob", 2))
}

/// A session of which both sides have decrypted something.
fn established(rng: &mut ChaCha20Rng) -> (Session, Session) {
    let (alice, bob) = couple();
    let a = alice.initiate(&bob, rng);
    let (a, first) = a.encrypt(b"first", rng).unwrap();
    let (b, _) = bob.accept(&alice, &first).unwrap();
    let (b, reply) = b.encrypt(b"reply", rng).unwrap();
    let (a, _) = a.decrypt(&reply).unwrap();
    (a, b)
}

/// All bytes of a state: equal ones mean that nothing changed.
fn state(session: &Session) -> Vec<u8> {
    session.leave(crate::vault::tests::pass()).to_vec()
}

fn reopened(session: &Session) -> Session {
    Session::enter(&state(session), crate::vault::tests::pass()).unwrap()
}

/// Sends `count` messages, of which the given ones are then delivered.
fn sent(from: &Session, count: usize, rng: &mut ChaCha20Rng) -> (Session, Vec<Vec<u8>>) {
    let mut messages = Vec::new();
    let mut state = from.encrypt(b"0", rng).unwrap();
    for number in 1..count {
        let next = state.0.encrypt(number.to_string().as_bytes(), rng).unwrap();
        messages.push(std::mem::replace(&mut state, next).1);
    }
    messages.push(state.1);
    (state.0, messages)
}

fn text(result: Result<(Session, Zeroizing<Vec<u8>>), Refused>) -> (Session, String) {
    let (session, plaintext) = result.unwrap();
    (session, String::from_utf8(plaintext.to_vec()).unwrap())
}
