//! Somebody whose keys are in the test's hands: for Mallory's own accounts, and for lists that no honest client makes.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha20Rng;
use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret, delivery_token, token_hash};
use sealpost_crypto::sealed::seal;
use sealpost_crypto::session::{Party, Session, VerifiedBundle};
use sealpost_spec::account::{
    Bundle, Device, DeviceBundle, DeviceId, DeviceList, LoginProof, Name, PrekeyId, PrekeyRole, PublishedKeys,
};
use sealpost_spec::mailbox::{Envelope, EnvelopeId};
use sealpost_spec::message::{Body, Content, ContentId, Sealing};
use sealpost_spec::relay::{Login, Registration};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{Bytes, Signed, encode};

/// An account of the test's own.
pub struct Puppet {
    /// Its name.
    pub name: Name,
    /// Its account key.
    pub account: AccountSecret,
    /// Its device's keys.
    pub device: DeviceSecret,
    prekeys: Vec<PrekeySecret>,
    rng: ChaCha20Rng,
}

impl Puppet {
    /// An account with this name, known to nobody. `now`: Unix milliseconds.
    ///
    /// # Panics
    /// It is no name.
    pub fn new(name: &str, now: u64, mut rng: ChaCha20Rng) -> Self {
        let account = AccountSecret::generate(&mut rng);
        let device = DeviceSecret::generate(&mut rng);
        let made_at = now / 1_000;
        let prekeys = [
            (PrekeyRole::Signed, 1),
            (PrekeyRole::LastResortKem, 1),
            (PrekeyRole::Box, 1),
            (PrekeyRole::OneTime, 1),
            (PrekeyRole::OneTimeKem, 1),
        ]
        .map(|(role, id)| PrekeySecret::generate(role, PrekeyId(id), made_at, &device, &mut rng));
        Self { name: name.parse().expect("a name"), account, device, prekeys: prekeys.into(), rng }
    }

    /// A prekey of this role.
    ///
    /// # Panics
    /// It has none: puppets have one of each.
    pub fn prekey(&self, role: PrekeyRole) -> &PrekeySecret {
        self.prekeys.iter().find(|prekey| prekey.role() == role).expect("a puppet has one key of each role")
    }

    /// Makes a new key of this role.
    pub fn rotates(&mut self, now: u64, role: PrekeyRole, id: u32) {
        let new = PrekeySecret::generate(role, PrekeyId(id), now / 1_000, &self.device, &mut self.rng);
        self.prekeys.retain(|prekey| prekey.role() != role);
        self.prekeys.push(new);
    }

    /// Its first device as lists name it.
    pub fn public(&self) -> Device {
        self.device.public(DeviceId::FIRST)
    }

    /// A signed device list with this number and these devices.
    pub fn list_of(&self, number: u64, devices: Vec<Device>) -> Signed {
        self.account.sign_devices(&DeviceList { number, name: self.name.clone(), account: self.account.key(), devices })
    }

    /// The plain list: number 1, one device.
    pub fn list(&self) -> Signed {
        self.list_of(1, vec![self.public()])
    }

    /// A bundle under this list.
    pub fn bundle_under(&self, list: Signed) -> Bundle {
        let signed = |role| self.prekey(role).signed().clone();
        let device = DeviceBundle {
            device: DeviceId::FIRST,
            signed: signed(PrekeyRole::Signed),
            one_time: Some(signed(PrekeyRole::OneTime)),
            kem: signed(PrekeyRole::OneTimeKem),
            box_key: signed(PrekeyRole::Box),
        };
        Bundle { list, devices: vec![device] }
    }

    /// Its bundle.
    pub fn bundle(&self) -> Bundle {
        self.bundle_under(self.list())
    }

    /// Itself as a side of a session.
    pub fn party(&self) -> Party {
        Party { name: self.name.clone(), account: self.account.key(), device: self.public() }
    }

    /// Text as a content.
    pub fn content(&mut self, number: u64, sent_at: u64, body: Body) -> Content {
        let id = ContentId(self.rng.random());
        Content { id, number, sent_at, expire_after: None, token: None, tree_head: TreeHead::NONE, body }
    }

    /// Starts a session with the device of this bundle.
    ///
    /// # Panics
    /// The bundle does not fit.
    pub fn initiate(&mut self, bundle: &VerifiedBundle) -> Session {
        Session::initiate(&self.party(), &self.device, bundle, &mut self.rng).expect("its own keys fit")
    }

    /// The first message of a session, sealed as an envelope. `list`: the certificate that it carries.
    ///
    /// # Panics
    /// It is too long for a box.
    pub fn first_message(&mut self, bundle: &VerifiedBundle, list: Signed, content: &Content) -> (Session, Envelope) {
        let session = self.initiate(bundle);
        let (session, message) =
            session.encrypt(&encode(content).expect("its own keys fit"), &mut self.rng).expect("its own keys fit");
        let envelope = self.envelope(bundle, list, message);
        (session, envelope)
    }

    /// A session message of whatever origin, sealed as an envelope.
    ///
    /// # Panics
    /// It is too long for a box.
    pub fn envelope(&mut self, bundle: &VerifiedBundle, list: Signed, message: Vec<u8>) -> Envelope {
        let id = EnvelopeId(self.rng.random());
        let recipient = bundle.party().device;
        let sealing = Sealing { device: DeviceId::FIRST, list, message };
        let sealed = seal(bundle.box_key(), &recipient, &id, &sealing, &mut self.rng).expect("its own keys fit");
        Envelope { mailbox: sealpost_crypto::identity::mailbox(&recipient.key), id, sealed: Bytes(sealed) }
    }

    /// Noise.
    pub fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut noise = vec![0; length];
        self.rng.fill_bytes(&mut noise);
        noise
    }

    /// What it registers with, where a relay proposes this challenge on this link.
    pub fn registration(&mut self, relay: &[u8; 32], channel: &[u8; 32], challenge: &[u8; 32]) -> Registration {
        let proof = LoginProof { relay, channel, challenge, name: &self.name, device: DeviceId::FIRST, generation: 1 };
        let signature = self.device.sign_login(&proof);
        let login = Login { name: self.name.clone(), device: DeviceId::FIRST, generation: 1, signature };
        let signed = |role| self.prekey(role).signed().clone();
        let keys = PublishedKeys {
            signed: Some(signed(PrekeyRole::Signed)),
            last_resort_kem: Some(signed(PrekeyRole::LastResortKem)),
            box_key: Some(signed(PrekeyRole::Box)),
            one_time: vec![signed(PrekeyRole::OneTime)],
            one_time_kem: vec![signed(PrekeyRole::OneTimeKem)],
        };
        let token = token_hash(&delivery_token(&mut self.rng));
        Registration { list: self.list(), keys, token, receipt: None, invite: None, login }
    }
}
