//! Reads `spec/vectors/`, which another implementation wrote, and holds this one to it.
use std::collections::HashMap;

use sealpost_spec::account::*;
use sealpost_spec::attachment::{BlobId, parts};
use sealpost_spec::mailbox::{DeliveryToken, EnvelopeId};
use sealpost_spec::message::{BOX_OVERHEAD, ChainKey, PqxdhPart, RatchetHeader, SALT, Sealing, SessionMessage};
use sealpost_spec::relay::{Address, ClientHello, LinkKind, RelayHello, Work};
use sealpost_spec::room::{Person, Post, PostHead, RoomName};
use sealpost_spec::wire::layout::Reader;
use sealpost_spec::wire::{Bytes, MAX_FRAME, MAX_FRAME_BEFORE_HELLO, Signature, Signed, body_length};

use crate::identity::*;
use crate::primitive::tests::hex;
use crate::primitive::{ml_kem, open, sha256, x_wing, x25519};
use crate::secret::Secret;
use crate::session::{OwnPrekeys, Party, Session, VerifiedBundle, chain_id, named_prekeys};
use crate::vault::door::Door;
use crate::vault::tests::pass;
use crate::work::{Channel, check};
use crate::{Refused, attachment, chain, pqxdh, ratchet, sealed};

mod conversation;

/// All files but `encoding.txt`, which needs nothing of this crate.
const FILES: [&str; 7] = [
    include_str!("../../spec/vectors/account.txt"),
    include_str!("../../spec/vectors/message.txt"),
    include_str!("../../spec/vectors/conversation.txt"),
    include_str!("../../spec/vectors/sealed.txt"),
    include_str!("../../spec/vectors/wire.txt"),
    include_str!("../../spec/vectors/room.txt"),
    include_str!("../../spec/vectors/attachment.txt"),
];

struct Vector<'a>(HashMap<&'a str, &'a str>);

impl<'a> Vector<'a> {
    fn all() -> impl Iterator<Item = Vector<'static>> {
        FILES.iter().flat_map(|file| file.split("\n\n")).filter_map(|block| {
            let fields: HashMap<_, _> = block
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| line.split_once(": ").or_else(|| line.split_once(':')).unwrap())
                .collect();
            (!fields.is_empty()).then_some(Vector(fields))
        })
    }
    fn text(&self, field: &str) -> &'a str {
        self.0.get(field).unwrap_or_else(|| panic!("{} has no {field}", self.0["name"]))
    }
    fn bytes(&self, field: &str) -> Vec<u8> {
        hex(self.text(field))
    }
    fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }
    fn secret<const N: usize>(&self, field: &str) -> Secret<N> {
        Secret::copied(&self.bytes(field)).unwrap()
    }
    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, field: &str) -> T {
        self.text(field).parse().unwrap()
    }
    fn name(&self, field: &str) -> Name {
        self.text(field).parse().unwrap()
    }
    fn signed(&self, body: &str, signature: &str) -> Signed {
        Signed { body: Bytes(self.bytes(body)), signature: Signature(self.array(signature)) }
    }
    fn prekey(&self, role: u8, secret: &str, body: &str) -> PrekeySecret {
        let signature = self.bytes(&format!("{body}-signature"));
        let row = [&[0x13, role][..], &self.bytes(secret), &signature, &self.bytes(body)].concat();
        PrekeySecret::enter(&row, pass()).unwrap()
    }
    fn device(&self, seed: &str, identity: &str) -> DeviceSecret {
        DeviceSecret::enter(&[&[0x12][..], &self.bytes(seed), &self.bytes(identity)].concat(), pass()).unwrap()
    }
    fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }
    /// Whether a parsed part is what the field says, or both are absent.
    fn is(&self, field: &str, part: Option<&[u8]>) -> bool {
        self.0.get(field).map(|value| hex(value)).as_deref() == part
    }
    fn served(&self, key: &str) -> Signed {
        self.signed(key, &format!("{key}-signature"))
    }
    fn part(&self) -> PqxdhPart {
        // A PQXDH part as it stands in a message of a first chain.
        let message = [&[1, 1][..], &self.bytes("part"), &[0; 32 + ML_KEM_KEY + 8 + SALT + 16]].concat();
        SessionMessage::parse(&message).unwrap().pqxdh.unwrap()
    }
    fn chain_key(&self) -> ChainKey {
        let ciphertext = self.has("ciphertext").then(|| self.array("ciphertext"));
        ChainKey { ratchet: self.array("ratchet"), kem: self.array("kem"), ciphertext }
    }

    /// What the vector says, computed here: `Ok(true)` where its expected values came out, an error where it is refused.
    fn holds(&self) -> Result<bool, Refused> {
        match self.text("kind") {
            "accept" => self.accept(),
            "account" => {
                let account = AccountSecret::enter(&[&[0x11][..], &self.bytes("entropy")].concat(), pass())?;
                Ok(account.key() == AccountKey(self.array("key")))
            }
            "associated-data" => {
                let (initiator, recipient) = (party(&self.bytes("initiator")), party(&self.bytes("recipient")));
                let hash = pqxdh::associated_data(&initiator, &recipient, &self.array("bundle"), &self.part());
                Ok(hash == self.array("hash"))
            }
            "chain-id" => Ok(ratchet::chain_id(&self.chain_key()) == self.array("id")),
            "chain-step" => {
                let (next, key) = chain::step(&self.secret("chain"));
                Ok(next == self.secret("next-chain") && key == self.secret("message-key"))
            }
            "agreement" => Ok(x25519(&self.secret("secret"), &self.array("public"))? == self.secret("shared")),
            "box-size" => {
                let list = Signed { body: Bytes(self.bytes("list")), signature: Signature([0; 64]) };
                let sealing = Sealing { device: DeviceId(1), list, message: vec![7; self.number("message-length")] };
                let padded = sealing.padded().ok_or(Refused)?;
                Ok(padded.len() + BOX_OVERHEAD == self.number::<usize>("size"))
            }
            "bundle" => {
                let bundle = DeviceBundle {
                    device: DeviceId(self.number("device")),
                    signed: self.served("spk"),
                    one_time: self.has("opk").then(|| self.served("opk")),
                    kem: self.served("pqpk"),
                    box_key: self.served("box-key"),
                };
                VerifiedBundle::verify(&bundle, &verify_devices(&self.served("list"))?)?;
                let hash = pqxdh::bundle_hash(&bundle.signed, bundle.one_time.as_ref(), &bundle.kem);
                Ok(hash == self.array("hash"))
            }
            "client-hello" => {
                let hello = ClientHello::parse(&self.bytes("bytes"))?;
                let kind = match self.text("link") {
                    "authenticated" => LinkKind::Authenticated,
                    _ => LinkKind::Anonymous,
                };
                Ok(hello.layout() == self.bytes("bytes")
                    && (hello.lowest, hello.highest, hello.kind)
                        == (self.number("lowest"), self.number("highest"), kind))
            }
            "contact-link" => {
                let text = self.text("text");
                let link: ContactLink = text.parse().map_err(|_| Refused)?;
                Ok(link.to_string() == text
                    && self.addresses(&link.relay)
                    && link.name == self.name("account-name")
                    && link.fingerprint == Fingerprint(self.array("fingerprint"))
                    && link.invite.as_deref() == self.0.get("invite").copied())
            }
            "conversation" => conversation::holds(self),
            "device-list" => {
                let list = DeviceList::parse(&self.bytes("bytes"))?;
                let devices: Vec<u8> = list.devices.iter().flat_map(Device::layout).collect();
                Ok(list.layout() == self.bytes("bytes")
                    && list.number == self.number::<u64>("number")
                    && list.name == self.name("account-name")
                    && list.account == AccountKey(self.array("account"))
                    && devices == self.bytes("devices"))
            }
            "device-request" => {
                let request: DeviceRequest = self.text("text").parse().map_err(|_| Refused)?;
                Ok(device_code(&request)?.to_string() == self.text("code")
                    && request.to_string() == self.text("text")
                    && request.key == DeviceKey(self.array("device"))
                    && request.identity == IdentityKey(self.array("identity"))
                    && request.fingerprint == Fingerprint(self.array("fingerprint")))
            }
            "fingerprint" => Ok(fingerprint(&AccountKey(self.array("account"))).to_string() == self.text("text")),
            "first-chain" => {
                let transcript = ratchet::first_transcript(&self.chain_key(), &self.array("prekey"));
                let (root, key) = chain::first(&self.secret("root"), &self.secret("dh"), &transcript);
                Ok(root == self.secret("next-root") && key == self.secret("chain"))
            }
            "frame-length" => {
                let limit = if self.text("hello") == "yes" { MAX_FRAME } else { MAX_FRAME_BEFORE_HELLO };
                Ok(body_length(self.array("prefix"), limit)? == self.number::<usize>("length"))
            }
            "hpke-key-schedule" => {
                let shared = self.secret("shared");
                let (key, nonce) = sealed::key_schedule(&self.bytes("suite"), &shared, &self.bytes("info"))?;
                Ok(key == self.secret("key") && nonce == self.array("nonce"))
            }
            "kem-key" => {
                if ml_kem::valid(&self.array("key")) {
                    Ok(true)
                } else {
                    Err(Refused)
                }
            }
            "later-chain" => {
                let transcript =
                    ratchet::later_transcript(&self.chain_key(), &self.array("peer"), &self.array("peer-kem"));
                let (root, dh, shared) = (self.secret("root"), self.secret("dh"), self.secret("shared"));
                let (root, key) = chain::later(&root, &dh, &shared, &transcript);
                Ok(root == self.secret("next-root") && key == self.secret("chain"))
            }
            "login" => {
                let (relay, channel, challenge) = (self.array("relay"), self.array("channel"), self.array("challenge"));
                let proof = LoginProof {
                    relay: &relay,
                    channel: &channel,
                    challenge: &challenge,
                    name: &self.name("account-name"),
                    device: DeviceId(self.number("device")),
                    generation: self.number("generation"),
                };
                let device = DeviceKey(self.array("device-key"));
                verify_login(&Signature(self.array("signature")), &proof, &device).map(|()| true)
            }
            "leave" => {
                let (relay, channel, challenge) = (self.array("relay"), self.array("channel"), self.array("challenge"));
                let name = self.name("account-name");
                let proof = LeaveProof { relay: &relay, channel: &channel, challenge: &challenge, name: &name };
                let account = AccountKey(self.array("account"));
                verify_leave(&Signature(self.array("signature")), &proof, &account).map(|()| true)
            }
            "mailbox" => Ok(mailbox(&DeviceKey(self.array("device-key"))).0 == self.array("mailbox")),
            "attachment-chunk" => {
                let (blob, salt) = (BlobId(self.array("blob")), self.array("salt"));
                let key = attachment::chunk_key(&self.secret("file-key"), &blob, &salt);
                let nonce = attachment::nonce(self.number("number"), self.text("last") == "yes");
                Ok(key == self.secret("key")
                    && nonce == self.array("nonce")
                    && **open(&key, &nonce, &[], &self.bytes("sealed"))? == *self.bytes("plaintext"))
            }
            "attachment-parts" => Ok(parts(self.number("size")).ok_or(Refused)? == self.number::<u32>("parts")),
            "message-key" => {
                let (key, nonce) = chain::cipher(&self.secret("message-key"), &self.array("salt"));
                Ok(key == self.secret("key") && nonce == self.array("nonce"))
            }
            "ml-kem" => {
                let pair = ml_kem::KeyPair::from_seed(&self.secret("seed"));
                Ok(pair.public() == self.array("public")
                    && pair.decapsulate(&self.array("ciphertext")) == self.secret("shared"))
            }
            "name" => self.text("text").parse::<Name>().map(|_| true).map_err(|_| Refused),
            "named-prekeys" => {
                let named = named_prekeys(&self.bytes("message"))?.ok_or(Refused)?;
                Ok((named.signed.0, named.one_time.0) == (self.number("spk"), self.number("opk"))
                    && (named.kem_role as u8, named.kem.0) == (self.number("role"), self.number("pqpk"))
                    && named.replay == self.array("remembered"))
            }
            "post" => {
                let body = self.0.get("body").map(|body| Bytes(hex(body)));
                let post = Post {
                    head: self.signed("head", "signature"),
                    author: self.signed("list", "list-signature"),
                    body,
                };
                verify_post(&post, &self.array("relay")).map(|_| true)
            }
            "post-hash" => Ok(post_hash(&self.bytes("head")).0 == self.array("hash")),
            "post-head" => {
                let head = PostHead::parse(&self.bytes("bytes"))?;
                Ok(head.layout() == self.bytes("bytes")
                    && head.relay == self.array("relay")
                    && RoomName::try_from(self.text("room").to_owned()).as_ref() == Ok(&head.room)
                    && head.author == self.name("account-name")
                    && head.account == AccountKey(self.array("account"))
                    && head.device == device(&self.bytes("device"))
                    && (head.number, head.time) == (self.number("number"), self.number("time"))
                    && head.previous.0 == self.array("previous")
                    && head.id.0 == self.array("id")
                    && head.kind as u8 == self.number::<u8>("post-kind")
                    && (head.target.0, head.target_hash.0) == (self.array("target"), self.array("target-hash"))
                    && head.body_hash == self.array("body-hash"))
            }
            "pqxdh-key" => {
                let dh4 = self.has("dh4").then(|| self.secret("dh4"));
                let (dh1, dh2, dh3) = (self.secret("dh1"), self.secret("dh2"), self.secret("dh3"));
                let root = pqxdh::root_key(&dh1, &dh2, &dh3, dh4.as_ref(), &self.secret("shared"));
                Ok(root == self.secret("root"))
            }
            "prekey" => {
                let prekey = Prekey::parse(&self.bytes("bytes"))?;
                Ok(prekey.layout() == self.bytes("bytes")
                    && (prekey.role as u8, prekey.id.0, prekey.made_at)
                        == (self.number("role"), self.number("id"), self.number("made-at"))
                    && prekey.key == self.bytes("key"))
            }
            "receipt-order" => {
                let receipt = |field| NameReceipt::parse(&self.bytes(field)).unwrap();
                Ok(receipt("left").outranks(&receipt("right")) == (self.text("wins") == "yes"))
            }
            "recovery-words" => {
                let account = AccountSecret::from_words(self.text("words"))?;
                let entered = AccountSecret::enter(&[&[0x11][..], &self.bytes("entropy")].concat(), pass())?;
                Ok(account.key() == AccountKey(self.array("key"))
                    && entered.key() == account.key()
                    && entered.words().as_str() == self.text("words"))
            }
            "relay-address" => {
                let address: Address = self.text("text").parse().map_err(|_| Refused)?;
                Ok(address.to_string() == self.text("text") && self.addresses(&address))
            }
            "relay-hello-none" => {
                Ok(RelayHello::parse(&self.bytes("bytes"))?.err()
                    == Some((self.number("lowest"), self.number("highest"))))
            }
            "relay-pin" => Ok(relay_pin(&self.array("key")).to_string() == self.text("text")),
            "person" => {
                let person = Person::parse(&self.bytes("bytes"))?;
                Ok(person.layout() == self.bytes("bytes")
                    && person.name == self.name("account-name")
                    && person.reason == self.text("reason"))
            }
            "signed-room" => {
                let receipt = verify_room(&self.signed("body", "signature"), &self.array("relay"))?;
                Ok(RoomName::try_from(self.text("room").to_owned()).as_ref() == Ok(&receipt.room)
                    && receipt.name == self.name("account-name")
                    && receipt.account == AccountKey(self.array("account"))
                    && receipt.time == self.number::<u64>("time"))
            }
            "room-name" => RoomName::try_from(self.text("text").to_owned()).map(|_| true).map_err(|_| Refused),
            "safety-number" => {
                let (a, b) = (AccountKey(self.array("key-a")), AccountKey(self.array("key-b")));
                let number = safety_number((&self.name("name-a"), &a), (&self.name("name-b"), &b));
                Ok(number.0 == self.text("number"))
            }
            "sealed-box" => {
                let key = self.prekey(5, "box-seed", "box-key");
                let device = device(&self.bytes("device"));
                let sealing = sealed::open(&key, &device, &EnvelopeId(self.array("envelope")), &self.bytes("bytes"))?;
                Ok(sealing.padded().unwrap().starts_with(&self.bytes("sealing")))
            }
            "sealing" => {
                let sealing = Sealing::parse(&self.bytes("bytes"))?;
                Ok(sealing.padded() == Some(self.bytes("bytes"))
                    && sealing.device.0 == self.number::<u32>("device")
                    && sealing.list == self.signed("list", "signature")
                    && sealing.message == self.bytes("message"))
            }
            "session-id" => Ok(sha256(&[sealpost_spec::label::SESSION_ID, &self.part().layout()]) == self.array("id")),
            "session-message" => {
                let message = SessionMessage::parse(&self.bytes("bytes"))?;
                let RatchetHeader { chain, previous, number, salt } = &message.header;
                Ok(message.layout() == self.bytes("bytes")
                    && self.is("part", message.pqxdh.as_ref().map(PqxdhPart::layout).as_deref())
                    && self.is("ct", chain.ciphertext.as_ref().map(|ciphertext| &ciphertext[..]))
                    && (chain.ratchet, chain.kem) == (self.array("ratchet"), self.array("kem"))
                    && (*previous, *number) == (self.number("pn"), self.number("n"))
                    && *salt == self.array::<SALT>("salt")
                    && message.ciphertext == self.bytes("sealed"))
            }
            "signed-device-list" => verify_devices(&self.signed("body", "signature")).map(|_| true),
            "signed-prekey" => {
                let role = PrekeyRole::from_number(self.number("role")).unwrap();
                let device = DeviceKey(self.array("device"));
                verify_prekey(&self.signed("body", "signature"), &device, role).map(|_| true)
            }
            "signed-receipt" => {
                let receipt = verify_receipt(&self.signed("body", "signature"), &self.array("relay"))?;
                Ok(receipt.name == self.name("account-name")
                    && receipt.account == AccountKey(self.array("account"))
                    && (receipt.generation, receipt.time) == (self.number("generation"), self.number("time")))
            }
            "skeleton" => Ok(skeleton(&self.name("text")) == self.text("result")),
            "invite-hash" => Ok(invite_hash(&InviteToken(self.array("token"))) == self.array("hash")),
            "token-hash" => Ok(token_hash(&DeliveryToken(self.array("token"))).0 == self.array("hash")),
            "work" => {
                let (relay, exporter) = (self.array("relay"), self.array("exporter"));
                let channel = Channel { relay: &relay, exporter: &exporter };
                let work = Work { counter: self.number("counter"), nonce: self.number("nonce") };
                if check(channel, &work, &self.bytes("request"), self.number("bits")) { Ok(true) } else { Err(Refused) }
            }
            "x-wing" => {
                let (seed, public) = (self.secret("seed"), self.array("public"));
                let shared = x_wing::decapsulate(&seed, &public, &self.array("ciphertext"))?;
                Ok(x_wing::public(&seed) == public && shared == self.secret("shared"))
            }
            other => panic!("no vector is of kind {other}"),
        }
    }

    fn accept(&self) -> Result<bool, Refused> {
        let (own, peer) = (party(&self.bytes("own")), party(&self.bytes("peer")));
        let device = self.device("device-seed", "identity");
        let message = self.bytes("message");
        let (session, plaintext) = self.with_prekeys(|keys| Session::accept(&own, &device, keys, &peer, &message))?;
        Ok(*plaintext == self.bytes("plaintext") && session.has_chain(&chain_id(&message)?))
    }

    /// Does something with the prekeys that the vector has.
    fn with_prekeys<T>(&self, take: impl FnOnce(&OwnPrekeys<'_>) -> T) -> T {
        let signed = self.prekey(1, "spk-secret", "spk");
        let one_time = self.has("opk").then(|| self.prekey(2, "opk-secret", "opk"));
        let kem = self.prekey(self.bytes("pqpk")[0], "pqpk-seed", "pqpk");
        take(&OwnPrekeys { signed: &signed, one_time: one_time.as_ref(), kem: &kem })
    }

    fn addresses(&self, address: &Address) -> bool {
        let hosts: Result<Vec<_>, _> = self.text("hosts").split(',').map(str::parse).collect();
        Ok(&address.hosts) == hosts.as_ref()
            && (address.port, address.pin.0) == (self.number("port"), self.array("pin"))
    }
}

fn party(bytes: &[u8]) -> Party {
    let mut reader = Reader::new(bytes);
    let name = Name::from_bytes(reader.short().unwrap()).unwrap();
    Party { name, account: AccountKey(reader.fixed().unwrap()), device: device(reader.rest()) }
}

fn device(bytes: &[u8]) -> Device {
    let mut reader = Reader::new(bytes);
    Device {
        id: DeviceId(reader.u32().unwrap()),
        key: DeviceKey(reader.fixed().unwrap()),
        identity: IdentityKey(reader.fixed().unwrap()),
    }
}

/// Every vector comes out as it says, and each one that is refused is refused for itself: its neighbour, which differs in
/// that one thing, holds. [ACCT-1] [ACCT-2] [ACCT-3] [ACCT-6] [ACCT-10] [MSG-1] [MSG-4] [MSG-9] [MSG-10] [MSG-20] [MSG-21]
#[test]
fn all_vectors_hold() {
    let mut seen = HashMap::<&str, [usize; 2]>::new();
    let mut wrong = Vec::new();
    for vector in Vector::all() {
        let refused = match vector.text("expect") {
            "ok" => false,
            "refused" => true,
            other => panic!("{other} is not to be expected"),
        };
        seen.entry(vector.text("kind")).or_default()[usize::from(refused)] += 1;
        if vector.holds() != if refused { Err(Refused) } else { Ok(true) } {
            wrong.push(vector.text("name"));
        }
    }
    assert_eq!(wrong, Vec::<&str>::new());
    assert!(seen.values().all(|[ok, _]| *ok > 0), "a kind is only refused");
    let [ok, refused] = seen.values().fold([0, 0], |sum, kind| [sum[0] + kind[0], sum[1] + kind[1]]);
    assert!(ok >= 140 && refused >= 290, "{ok} and {refused} vectors were read");
}
