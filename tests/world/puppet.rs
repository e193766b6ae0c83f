//! Puppets in a world: accounts whose keys are in the test's hands.

use rand::RngExt;
use sealpost_crypto::session::VerifiedBundle;
use sealpost_relay::Peer;
use sealpost_spec::relay::{Answer, ClientHello, LinkKind, Refusal, RelayHello, Request};
use sealpost_spec::wire::{VERSION, encode};
pub(crate) use sealpost_tests::mallory::puppet::Puppet;

use super::{World, ready};

impl World {
    /// A puppet of this name, known to nobody.
    pub(crate) fn puppet(&mut self, name: &str) -> Puppet {
        let rng = self.new_rng();
        Puppet::new(name, self.now, rng)
    }

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
        let registration = puppet.registration(&self.relay_key, &channel, &challenge);
        let body = encode(&Request::Register(registration)).unwrap();
        ready(relay.handle(self.now, &mut caller, None, &body))
    }
}
