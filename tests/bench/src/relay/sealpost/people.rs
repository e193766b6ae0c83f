//! People with an account and a device.
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use sealpost_crypto::identity::{
    AccountSecret, DeviceSecret, PrekeySecret, body_hash, delivery_token, mailbox, token_hash,
};
use sealpost_spec::account::{Device, DeviceId, DeviceList, LoginProof, Name, PrekeyId, PrekeyRole, PublishedKeys};
use sealpost_spec::mailbox::{DeliveryToken, MailboxId};
use sealpost_spec::relay::{Login, Registration};
use sealpost_spec::room::{Post, PostHash, PostHead, PostId, PostKind, RoomName};
use sealpost_spec::wire::{Bytes, Signed};

use crate::people::dice;

/// Where a post stands: in which relay's room, after which other one of its author's.
pub(crate) struct Place<'a> {
    pub(crate) relay: &'a [u8; 32],
    pub(crate) room: RoomName,
    pub(crate) number: u64,
    pub(crate) previous: PostHash,
}

/// Its keys follow from its number, so that nothing has to be kept.
pub(crate) struct Person {
    pub(crate) name: Name,
    account: AccountSecret,
    secret: DeviceSecret,
    device: Device,
    pub(crate) token: DeliveryToken,
    list: Signed,
    number: u32,
    generation: Cell<u64>,
}

impl Person {
    pub(crate) fn new(number: u32) -> Self {
        let rng = &mut dice(u64::from(number) + 1_000);
        let (account, secret) = (AccountSecret::generate(rng), DeviceSecret::generate(rng));
        let device = secret.public(DeviceId::FIRST);
        let name: Name = format!("p{number}").parse().expect("a letter and digits are a name");
        let list = DeviceList { number: 1, name: name.clone(), account: account.key(), devices: vec![device] };
        let list = account.sign_devices(&list);
        let token = delivery_token(rng);
        Self { name, account, secret, device, token, list, number, generation: Cell::new(0) }
    }

    pub(crate) fn mailbox(&self) -> MailboxId {
        mailbox(&self.device.key)
    }

    /// A login, with a generation above that of every login before.
    pub(crate) fn login(&self, relay: &[u8; 32], channel: &[u8; 32], challenge: &[u8; 32]) -> Login {
        self.generation.set(self.generation.get() + 1);
        let generation = self.generation.get();
        let proof = LoginProof { relay, channel, challenge, name: &self.name, device: self.device.id, generation };
        Login { name: self.name.clone(), device: self.device.id, generation, signature: self.secret.sign_login(&proof) }
    }

    /// A registration with rotating keys and one one-time key of each kind.
    pub(crate) fn registration(&self, relay: &[u8; 32], channel: &[u8; 32], challenge: &[u8; 32]) -> Registration {
        let rng = &mut dice(u64::from(self.number) + 1_000_000);
        let mut key =
            |role| PrekeySecret::generate(role, PrekeyId(1), 1_700_000_000, &self.secret, rng).signed().clone();
        let keys = PublishedKeys {
            signed: Some(key(PrekeyRole::Signed)),
            last_resort_kem: Some(key(PrekeyRole::LastResortKem)),
            box_key: Some(key(PrekeyRole::Box)),
            one_time: vec![key(PrekeyRole::OneTime)],
            one_time_kem: vec![key(PrekeyRole::OneTimeKem)],
        };
        Registration {
            list: self.list.clone(),
            keys,
            token: token_hash(&self.token),
            receipt: None,
            invite: None,
            login: self.login(relay, channel, challenge),
        }
    }

    /// Joins, where there is nothing to say; else says it.
    pub(crate) fn post(&self, place: Place<'_>, text: &[u8]) -> Post {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let time = u64::try_from(time).unwrap_or_default();
        let mut random = [0; 10];
        if let Some(low) = random.last_chunk_mut() {
            *low = place.number.to_be_bytes();
        }
        let head = PostHead {
            relay: *place.relay,
            room: place.room,
            author: self.name.clone(),
            account: self.account.key(),
            device: self.device,
            number: place.number,
            previous: place.previous,
            time,
            id: PostId::new(time, random),
            kind: if text.is_empty() { PostKind::Join } else { PostKind::Text },
            target: PostId::NONE,
            target_hash: PostHash::default(),
            body_hash: body_hash(text),
        };
        Post { head: self.secret.sign_post(&head), author: self.list.clone(), body: Some(Bytes(text.to_vec())) }
    }
}
