//! Two people with one device each, and what they have genuinely said: made once from a seed, the same in each run.

use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret, RelaySecret, body_hash, verify_devices};
use sealpost_crypto::session::{OwnPrekeys, Party, Session, VerifiedBundle};
use sealpost_spec::account::{DeviceBundle, DeviceId, DeviceList, NameReceipt, PrekeyId, PrekeyRole, PublishedKeys};
use sealpost_spec::room::{PostHash, PostHead, PostId, PostKind, RoomName};
use sealpost_spec::wire::Signed;

/// A Friday morning.
pub const NOW: u64 = 1_790_000_000_000;

pub fn dice(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A person with all keys. One-time keys: those of the first session.
pub struct Person {
    pub party: Party,
    pub account: AccountSecret,
    pub device: DeviceSecret,
    pub list: Signed,
    pub signed: PrekeySecret,
    pub one_time: PrekeySecret,
    pub kem: PrekeySecret,
    pub last_resort: PrekeySecret,
    pub box_key: PrekeySecret,
}

impl Person {
    fn new(name: &str, seed: u64) -> Self {
        let mut rng = dice(seed);
        let account = AccountSecret::generate(&mut rng);
        let device = DeviceSecret::generate(&mut rng);
        let party =
            Party { name: name.parse().unwrap(), account: account.key(), device: device.public(DeviceId::FIRST) };
        let devices = vec![party.device];
        let list = DeviceList { number: 1, name: party.name.clone(), account: account.key(), devices };
        let mut key = |role, id| PrekeySecret::generate(role, PrekeyId(id), NOW / 1000, &device, &mut rng);
        Self {
            signed: key(PrekeyRole::Signed, 1),
            one_time: key(PrekeyRole::OneTime, 2),
            kem: key(PrekeyRole::OneTimeKem, 3),
            last_resort: key(PrekeyRole::LastResortKem, 4),
            box_key: key(PrekeyRole::Box, 5),
            list: account.sign_devices(&list),
            party,
            account,
            device,
        }
    }

    /// Everything that this person has signed, but for logins and posts.
    pub fn signed(&self) -> impl Iterator<Item = &Signed> {
        let keys = [&self.signed, &self.one_time, &self.kem, &self.last_resort, &self.box_key];
        keys.into_iter().map(PrekeySecret::signed).chain([&self.list])
    }

    pub fn published(&self) -> PublishedKeys {
        PublishedKeys {
            signed: Some(self.signed.signed().clone()),
            last_resort_kem: Some(self.last_resort.signed().clone()),
            box_key: Some(self.box_key.signed().clone()),
            one_time: vec![self.one_time.signed().clone()],
            one_time_kem: vec![self.kem.signed().clone()],
        }
    }

    /// The bundle with these one-time keys, verified; without any where there is none.
    pub fn bundle(&self, one_time: Option<(&PrekeySecret, &PrekeySecret)>) -> VerifiedBundle {
        let bundle = DeviceBundle {
            device: DeviceId::FIRST,
            signed: self.signed.signed().clone(),
            one_time: one_time.map(|(curve, _)| curve.signed().clone()),
            kem: one_time.map_or(&self.last_resort, |(_, kem)| kem).signed().clone(),
            box_key: self.box_key.signed().clone(),
        };
        VerifiedBundle::verify(&bundle, &verify_devices(&self.list).unwrap()).unwrap()
    }

    pub fn keys(&self) -> OwnPrekeys<'_> {
        OwnPrekeys { signed: &self.signed, one_time: Some(&self.one_time), kem: &self.kem }
    }

    pub fn exhausted_keys(&self) -> OwnPrekeys<'_> {
        OwnPrekeys { signed: &self.signed, one_time: None, kem: &self.last_resort }
    }
}

/// Alice and Bob, and a conversation.
pub struct Couple {
    pub alice: Person,
    pub bob: Person,
    /// Alice's session before she has an answer, and two messages of it.
    pub begun: Session,
    pub first: [Vec<u8>; 2],
    /// A session without one-time keys, and its first message.
    pub exhausted: Vec<u8>,
    /// Both sides later, with one message of either that the other has not read yet.
    pub alices: Session,
    pub bobs: Session,
    pub to_bob: Vec<u8>,
    pub to_alice: Vec<u8>,
}

impl Couple {
    fn new() -> Self {
        let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
        let rng = &mut dice(3);
        let start = |bundle: &VerifiedBundle, rng: &mut ChaCha20Rng| {
            Session::initiate(&alice.party, &alice.device, bundle, rng).unwrap()
        };
        let session = start(&bob.bundle(Some((&bob.one_time, &bob.kem))), rng);
        let (session, one) = session.encrypt(b"one", rng).unwrap();
        let (begun, two) = session.encrypt(b"two", rng).unwrap();
        let (_, exhausted) = start(&bob.bundle(None), rng).encrypt(b"exhausted", rng).unwrap();
        // Bob reads the second one first, so that he keeps a key.
        let (bobs, _) = Session::accept(&bob.party, &bob.device, &bob.keys(), &alice.party, &two).unwrap();
        let (bobs, reply) = bobs.encrypt(b"reply", rng).unwrap();
        let (bobs, to_alice) = bobs.encrypt(b"not read yet", rng).unwrap();
        let (alices, _) = begun.decrypt(&reply).unwrap();
        let (alices, _) = alices.encrypt(b"lost", rng).unwrap();
        let (alices, to_bob) = alices.encrypt(b"not read yet either", rng).unwrap();
        Self { alice, bob, begun, first: [one, two], exhausted, alices, bobs, to_bob, to_alice }
    }
}

/// The one couple.
pub fn couple() -> &'static Couple {
    static COUPLE: OnceLock<Couple> = OnceLock::new();
    COUPLE.get_or_init(Couple::new)
}

/// The relay's key.
pub fn relay() -> &'static RelaySecret {
    static RELAY: OnceLock<RelaySecret> = OnceLock::new();
    RELAY.get_or_init(|| RelaySecret::generate(&mut dice(4)))
}

/// The only receipt that the relay has signed.
pub fn receipt() -> &'static Signed {
    static RECEIPT: OnceLock<Signed> = OnceLock::new();
    RECEIPT.get_or_init(|| {
        let alice = &couple().alice.party;
        let receipt = NameReceipt { name: alice.name.clone(), account: alice.account, generation: 1, time: NOW };
        relay().sign_receipt(&receipt)
    })
}

/// What Alice joins the lobby with, the only post that she has signed. It has no body's hash but that of nothing.
pub fn post_head() -> &'static Signed {
    static HEAD: OnceLock<Signed> = OnceLock::new();
    HEAD.get_or_init(|| {
        let alice = &couple().alice;
        alice.device.sign_post(&PostHead {
            relay: relay().public(),
            room: RoomName::lobby(),
            author: alice.party.name.clone(),
            account: alice.party.account,
            device: alice.party.device,
            number: 1,
            previous: PostHash::default(),
            time: NOW,
            id: PostId::new(NOW, [1; 10]),
            kind: PostKind::Join,
            target: PostId::NONE,
            target_hash: PostHash::default(),
            body_hash: body_hash(b""),
        })
    })
}
