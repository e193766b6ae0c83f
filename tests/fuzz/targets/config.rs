//! A relay's configuration file: whatever stands in it, the relay starts with what it means or says why not.

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};

use sealpost_relay::config::Config;
use sealpost_relay::store::Memory;
use sealpost_relay::store::memory::ready;
use sealpost_relay::{Peer, Relay};
use sealpost_spec::relay::{Address, ClientHello, Host, LinkKind, Request};
use sealpost_spec::wire::encode;

use super::people::{NOW, couple, dice};

/// In milliseconds.
const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

pub fn run(text: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file.rewind().unwrap();
    let no_flags = BTreeMap::<&str, &str>::new();
    let config = match Config::load(Some(file.path()), &no_flags) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.cause.is_empty() && !error.advice.is_empty());
            return;
        }
    };
    assert!(config.host.len() <= Address::MAX_HOSTS && config.host.iter().all(|host| host.parse::<Host>().is_ok()));
    // A price that nobody can pay would shut everybody out.
    assert!(config.work.fetch <= 26 && config.work.deliver <= 26);
    // What is written back reads the same.
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&written).unwrap(), config);
    starts(&config);
}

/// A relay goes by these rules, limits included, and answers a first request of each kind of link.
fn starts(config: &Config) {
    let secret = sealpost_crypto::identity::RelaySecret::generate(&mut dice(4));
    let relay = ready(Relay::new(Memory::new([1; 16]), secret, config.rules(), dice(1))).unwrap().unwrap();
    let name = couple().alice.party.name.clone();
    for kind in [LinkKind::Authenticated, LinkKind::Anonymous] {
        let hello = ClientHello { lowest: 1, highest: 1, kind };
        let peer = Peer { address: [127, 0, 0, 1].into(), channel: [1; 32] };
        let (_, caller) = relay.hello(NOW, &hello, peer);
        let mut caller = caller.unwrap();
        for request in [Request::FetchDevices(name.clone()), Request::FetchBundle(name.clone())] {
            let body = encode(&request).unwrap();
            for now in [NOW, NOW + 1, NOW + CENTURY] {
                assert!(ready(relay.handle(now, &mut caller, None, &body)).is_some_and(|answer| answer.is_err()));
            }
        }
    }
    ready(relay.sweep(NOW + CENTURY)).unwrap().unwrap();
}
