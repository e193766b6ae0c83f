//! Two people with their keys, and a session between them.
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret, verify_devices};
use sealpost_crypto::session::{OwnPrekeys, Party, Session, VerifiedBundle};
use sealpost_spec::account::{DeviceBundle, DeviceId, DeviceList, PrekeyId, PrekeyRole};
use sealpost_spec::wire::Signed;

/// Randomness without a system call, so that no measurement holds one.
pub fn dice(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub struct Person {
    pub party: Party,
    pub device: DeviceSecret,
    pub list: Signed,
    pub devices: DeviceList,
    pub signed: PrekeySecret,
    pub one_time: PrekeySecret,
    pub kem: PrekeySecret,
    pub box_key: PrekeySecret,
}

impl Person {
    pub fn new(name: &str, seed: u64) -> Self {
        let rng = &mut dice(seed);
        let (account, device) = (AccountSecret::generate(rng), DeviceSecret::generate(rng));
        let public = device.public(DeviceId::FIRST);
        let party = Party { name: name.parse().expect("a name"), account: account.key(), device: public };
        let devices = DeviceList { number: 1, name: party.name.clone(), account: party.account, devices: vec![public] };
        let list = account.sign_devices(&devices);
        let devices = verify_devices(&list).expect("just signed");
        let mut prekey = |role, id| PrekeySecret::generate(role, PrekeyId(id), 1_700_000_000, &device, rng);
        let (signed, one_time) = (prekey(PrekeyRole::Signed, 1), prekey(PrekeyRole::OneTime, 2));
        let (kem, box_key) = (prekey(PrekeyRole::OneTimeKem, 3), prekey(PrekeyRole::Box, 4));
        Self { party, device, list, devices, signed, one_time, kem, box_key }
    }

    /// What a relay hands out: with one-time keys of both kinds.
    pub fn bundle(&self) -> DeviceBundle {
        DeviceBundle {
            device: DeviceId::FIRST,
            signed: self.signed.signed().clone(),
            one_time: Some(self.one_time.signed().clone()),
            kem: self.kem.signed().clone(),
            box_key: self.box_key.signed().clone(),
        }
    }

    pub fn initiate(&self, bundle: &DeviceBundle, peer: &Self, rng: &mut ChaCha20Rng) -> Session {
        let bundle = VerifiedBundle::verify(bundle, &peer.devices).expect("signed by its device");
        Session::initiate(&self.party, &self.device, &bundle, rng).expect("honest keys")
    }

    pub fn accept(&self, peer: &Self, message: &[u8]) -> (Session, Vec<u8>) {
        let keys = OwnPrekeys { signed: &self.signed, one_time: Some(&self.one_time), kem: &self.kem };
        let (session, plaintext) =
            Session::accept(&self.party, &self.device, &keys, &peer.party, message).expect("an honest message");
        (session, plaintext.to_vec())
    }
}

/// Alice's and Bob's side of a session in which both have sent, Alice next to begin a chain.
pub fn established(rng: &mut ChaCha20Rng) -> (Session, Session) {
    let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
    let (alices, first) = alice.initiate(&bob.bundle(), &bob, rng).encrypt(b"hello", rng).expect("room in the chain");
    let (bobs, reply) = bob.accept(&alice, &first).0.encrypt(b"hello", rng).expect("room in the chain");
    (alices.decrypt(&reply).expect("Bob's reply").0, bobs)
}
