//! Somebody whose keys are in the test's hands: for Mallory's own accounts, and for lists that no honest client makes.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha20Rng;
use sealpost_crypto::identity::{AccountSecret, DeviceSecret, PrekeySecret, delivery_token, token_hash};
use sealpost_crypto::sealed::seal;
use sealpost_crypto::session::{Party, Session, VerifiedBundle};
use sealpost_relay::Peer;
use sealpost_spec::account::{
    Bundle, Device, DeviceBundle, DeviceId, DeviceList, LoginProof, Name, PrekeyId, PrekeyRole, PublishedKeys,
};
use sealpost_spec::mailbox::{Envelope, EnvelopeId};
use sealpost_spec::message::{Body, Content, ContentId, Sealing};
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Login, Refusal, Registration, RelayHello, Request};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{Bytes, Signed, VERSION, encode};

use super::{World, ready};

/// An account of the test's own.
pub(crate) struct Puppet {
    /// Its name.
    pub(crate) name: Name,
    /// Its account key.
    pub(crate) account: AccountSecret,
    /// Its device's keys.
    pub(crate) device: DeviceSecret,
    prekeys: Vec<PrekeySecret>,
    rng: ChaCha20Rng,
}

impl Puppet {
    /// An account with this name, known to nobody.
    pub(crate) fn new(world: &mut World, name: &str) -> Self {
        let mut rng = world.new_rng();
        let account = AccountSecret::generate(&mut rng);
        let device = DeviceSecret::generate(&mut rng);
        let made_at = world.now / 1_000;
        let prekeys = [
            (PrekeyRole::Signed, 1),
            (PrekeyRole::LastResortKem, 1),
            (PrekeyRole::Box, 1),
            (PrekeyRole::OneTime, 1),
            (PrekeyRole::OneTimeKem, 1),
        ]
        .map(|(role, id)| PrekeySecret::generate(role, PrekeyId(id), made_at, &device, &mut rng));
        Self { name: name.parse().unwrap(), account, device, prekeys: prekeys.into(), rng }
    }

    /// A prekey of this role.
    pub(crate) fn prekey(&self, role: PrekeyRole) -> &PrekeySecret {
        self.prekeys.iter().find(|prekey| prekey.role() == role).unwrap()
    }

    /// Makes a new key of this role.
    pub(crate) fn rotates(&mut self, world: &World, role: PrekeyRole, id: u32) {
        let new = PrekeySecret::generate(role, PrekeyId(id), world.now / 1_000, &self.device, &mut self.rng);
        self.prekeys.retain(|prekey| prekey.role() != role);
        self.prekeys.push(new);
    }

    /// Its first device as lists name it.
    pub(crate) fn public(&self) -> Device {
        self.device.public(DeviceId::FIRST)
    }

    /// A signed device list with this number and these devices.
    pub(crate) fn list_of(&self, number: u64, devices: Vec<Device>) -> Signed {
        self.account.sign_devices(&DeviceList { number, name: self.name.clone(), account: self.account.key(), devices })
    }

    /// The plain list: number 1, one device.
    pub(crate) fn list(&self) -> Signed {
        self.list_of(1, vec![self.public()])
    }

    /// A bundle under this list.
    pub(crate) fn bundle_under(&self, list: Signed) -> Bundle {
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
    pub(crate) fn bundle(&self) -> Bundle {
        self.bundle_under(self.list())
    }

    /// Itself as a side of a session.
    pub(crate) fn party(&self) -> Party {
        Party { name: self.name.clone(), account: self.account.key(), device: self.public() }
    }

    /// Text as a content.
    pub(crate) fn content(&mut self, number: u64, sent_at: u64, body: Body) -> Content {
        let id = ContentId(self.rng.random());
        Content { id, number, sent_at, expire_after: None, token: None, tree_head: TreeHead::NONE, body }
    }

    /// Starts a session with the device of this bundle.
    pub(crate) fn initiate(&mut self, bundle: &VerifiedBundle) -> Session {
        Session::initiate(&self.party(), &self.device, bundle, &mut self.rng).unwrap()
    }

    /// The first message of a session, sealed as an envelope. `list`: the certificate that it carries.
    pub(crate) fn first_message(
        &mut self,
        bundle: &VerifiedBundle,
        list: Signed,
        content: &Content,
    ) -> (Session, Envelope) {
        let session = self.initiate(bundle);
        let (session, message) = session.encrypt(&encode(content).unwrap(), &mut self.rng).unwrap();
        let envelope = self.envelope(bundle, list, message);
        (session, envelope)
    }

    /// A session message of whatever origin, sealed as an envelope.
    pub(crate) fn envelope(&mut self, bundle: &VerifiedBundle, list: Signed, message: Vec<u8>) -> Envelope {
        let id = EnvelopeId(self.rng.random());
        let recipient = bundle.party().device;
        let sealing = Sealing { device: DeviceId::FIRST, list, message };
        let sealed = seal(bundle.box_key(), &recipient, &id, &sealing, &mut self.rng).unwrap();
        Envelope { mailbox: sealpost_crypto::identity::mailbox(&recipient.key), id, sealed: Bytes(sealed) }
    }

    /// Noise.
    pub(crate) fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut noise = vec![0; length];
        self.rng.fill_bytes(&mut noise);
        noise
    }
}

impl World {
    /// Somebody's bundle, as the relay gives it to everybody, verified.
    pub(crate) fn bundle_of(&mut self, name: &str) -> VerifiedBundle {
        let Ok(Answer::Bundle(bundle)) = self.stranger_asks(&Request::FetchBundle(name.parse().unwrap())) else {
            panic!("the relay has a bundle of {name}")
        };
        let list = sealpost_crypto::identity::verify_devices(&bundle.list).unwrap();
        VerifiedBundle::verify(&bundle.devices[0], &list).unwrap()
    }

    /// Registers a puppet, on a link of its own.
    pub(crate) fn registers_puppet(&mut self, puppet: &mut Puppet) -> Result<Answer, Refusal> {
        let channel: [u8; 32] = self.dice.random();
        let relay = self.relay.as_ref().expect("it runs");
        let peer = Peer { address: [198, 51, 100, 7].into(), channel };
        let hello = ClientHello { lowest: VERSION, highest: VERSION, kind: LinkKind::Authenticated };
        let (reply, caller) = relay.hello(self.now, &hello, peer);
        let challenge = RelayHello::parse(&reply).unwrap().unwrap().challenge;
        let mut caller = caller.unwrap();
        let proof = LoginProof {
            relay: &self.relay_key,
            channel: &channel,
            challenge: &challenge,
            name: &puppet.name,
            device: DeviceId::FIRST,
            generation: 1,
        };
        let signature = puppet.device.sign_login(&proof);
        let login = Login { name: puppet.name.clone(), device: DeviceId::FIRST, generation: 1, signature };
        let signed = |role| puppet.prekey(role).signed().clone();
        let keys = PublishedKeys {
            signed: Some(signed(PrekeyRole::Signed)),
            last_resort_kem: Some(signed(PrekeyRole::LastResortKem)),
            box_key: Some(signed(PrekeyRole::Box)),
            one_time: vec![signed(PrekeyRole::OneTime)],
            one_time_kem: vec![signed(PrekeyRole::OneTimeKem)],
        };
        let token = token_hash(&delivery_token(&mut puppet.rng));
        let registration = Registration { list: puppet.list(), keys, token, receipt: None, invite: None, login };
        let body = encode(&Request::Register(registration)).unwrap();
        ready(relay.handle(self.now, &mut caller, None, &body))
    }
}
