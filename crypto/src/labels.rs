//! Every label of `spec/src/label.rs` and the one place where it counts. For each there is what the crate really makes there,
//! and the same made again under any label: under its own it comes out equal, under every other one it must not, and
//! what opens or verifies refuses it.
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealpost_spec::account::*;
use sealpost_spec::attachment::BlobId;
use sealpost_spec::label;
use sealpost_spec::mailbox::{DeliveryToken, EnvelopeId};
use sealpost_spec::message::{SALT, SealedBox, Sealing};
use sealpost_spec::room::{PostHash, PostHead, PostId, PostKind, RoomName, RoomReceipt};
use sealpost_spec::wire::layout::Writer;
use sealpost_spec::wire::{Bytes, Signature, Signed, VERSION};

use crate::identity::*;
use crate::primitive::*;
use crate::secret::Secret;
use crate::session::{Party, Session, VerifiedBundle};
use crate::vault::door::Door;
use crate::vault::tests::pass;
use crate::vault::{Cost, Vault};
use crate::work::{Channel, solve};
use crate::{attachment, chain, pqxdh, sealed};

/// Labels of what is designed and not yet built: nothing is made with them.
const PLANNED: [&str; 1] = ["TREE_HEAD"];

type Make<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;
type Accept<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

struct Context<'a> {
    label: &'static str,
    /// What the crate makes.
    real: Vec<u8>,
    /// The same, composed of primitives, under some label.
    made: Make<'a>,
    /// Whether the crate takes it, where there is something that opens or verifies it.
    accepts: Option<Accept<'a>>,
}

fn filled<const N: usize>(byte: u8) -> Secret<N> {
    Secret::filled(|bytes| bytes.fill(byte))
}

/// Keys of which the test knows the seeds.
struct Keys {
    account: AccountSecret,
    device: DeviceSecret,
    relay: RelaySecret,
    own: Device,
    list: DeviceList,
    box_key: PrekeySecret,
}

const ENTROPY: u8 = 1;
const DEVICE: u8 = 2;
const IDENTITY: u8 = 3;

impl Keys {
    fn new() -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let account = AccountSecret::enter(&[&[0x11][..], &[ENTROPY; 32]].concat(), pass()).unwrap();
        let device = [&[0x12][..], &[DEVICE; 32], &[IDENTITY; 32]].concat();
        let device = DeviceSecret::enter(&device, pass()).unwrap();
        let own = device.public(DeviceId::FIRST);
        let list = DeviceList { number: 1, name: name(), account: account.key(), devices: vec![own] };
        let box_key = PrekeySecret::generate(PrekeyRole::Box, PrekeyId(5), 0, &device, rng);
        Self { account, device, relay: RelaySecret::generate(rng), own, list, box_key }
    }
    fn account_key(&self, label: &[u8]) -> SigningKey {
        SigningKey::from_seed(&hkdf(&[0; 32], &[&[ENTROPY; 32]], &[label]))
    }
}

fn name() -> Name {
    "alice".parse().unwrap()
}

fn signed(body: Vec<u8>, signature: &[u8]) -> Signed {
    Signed { body: Bytes(body), signature: Signature(signature.try_into().unwrap()) }
}

/// What is signed.
fn signatures(keys: &Keys) -> Vec<Context<'_>> {
    let device = || SigningKey::from_seed(&filled(DEVICE));
    let list = keys.list.layout();
    let list_again = list.clone();
    let prekey = keys.box_key.public().layout();
    let prekey_again = prekey.clone();
    let proof = LoginProof {
        relay: &[1; 32],
        channel: &[2; 32],
        challenge: &[3; 32],
        name: &keys.list.name,
        device: DeviceId::FIRST,
        generation: 4,
    };
    let proof_again = proof.clone();
    let head = PostHead {
        relay: [7; 32],
        room: RoomName::lobby(),
        author: name(),
        account: keys.account.key(),
        device: keys.own,
        number: 1,
        previous: PostHash::default(),
        time: 1,
        id: PostId([1; 16]),
        kind: PostKind::Text,
        target: PostId::NONE,
        target_hash: PostHash::default(),
        body_hash: body_hash(b"hello"),
    };
    let post = keys.device.sign_post(&head);
    let head = post.body.0.clone();
    let receipt = NameReceipt { name: name(), account: keys.account.key(), generation: 2, time: 3 };
    let receipt_body = receipt.layout();
    let room = RoomReceipt { room: "garden".parse().unwrap(), name: name(), account: keys.account.key(), time: 3 };
    let room_body = room.layout();
    let relay = keys.relay.pkcs8()[16..].to_vec();
    let relay_key = move || SigningKey::from_seed(&Secret::copied(&relay).unwrap());
    let rooms_key = relay_key.clone();
    let leave = LeaveProof { relay: &[1; 32], channel: &[2; 32], challenge: &[3; 32], name: &keys.list.name };
    let leave_again = leave.clone();
    let author = keys.account.sign_devices(&keys.list);
    vec![
        Context {
            label: "DEVICE_LIST",
            real: keys.account.sign_devices(&keys.list).signature.0.to_vec(),
            made: Box::new(move |label| keys.account_key(label::RECOVERY).sign(label, &list).0.to_vec()),
            accepts: Some(Box::new(move |made| verify_devices(&signed(list_again.clone(), made)).is_ok())),
        },
        Context {
            label: "PREKEY",
            real: keys.box_key.signed().signature.0.to_vec(),
            made: Box::new(move |label| device().sign(label, &prekey).0.to_vec()),
            accepts: Some(Box::new(move |made| {
                verify_prekey(&signed(prekey_again.clone(), made), &keys.own.key, PrekeyRole::Box).is_ok()
            })),
        },
        Context {
            label: "LEAVE",
            real: keys.account.sign_leave(&leave).0.to_vec(),
            made: Box::new(move |label| keys.account_key(label::RECOVERY).sign(label, &leave.layout()).0.to_vec()),
            accepts: Some(Box::new(move |made| {
                verify_leave(&Signature(made.try_into().unwrap()), &leave_again, &keys.account.key()).is_ok()
            })),
        },
        Context {
            label: "LOGIN",
            real: keys.device.sign_login(&proof).0.to_vec(),
            made: Box::new(move |label| device().sign(label, &proof.layout()).0.to_vec()),
            accepts: Some(Box::new(move |made| {
                verify_login(&Signature(made.try_into().unwrap()), &proof_again, &keys.own.key).is_ok()
            })),
        },
        Context {
            label: "POST",
            real: post.signature.0.to_vec(),
            made: Box::new(move |label| device().sign(label, &head).0.to_vec()),
            accepts: Some(Box::new(move |made| {
                let post = sealpost_spec::room::Post {
                    head: signed(post.body.0.clone(), made),
                    author: author.clone(),
                    body: None,
                };
                verify_post(&post, &[7; 32]).is_ok()
            })),
        },
        Context {
            label: "NAME_RECEIPT",
            real: keys.relay.sign_receipt(&receipt).signature.0.to_vec(),
            made: Box::new(move |label| relay_key().sign(label, &receipt_body).0.to_vec()),
            accepts: Some(Box::new(move |made| {
                verify_receipt(&signed(receipt.layout(), made), &keys.relay.public()).is_ok()
            })),
        },
        Context {
            label: "ROOM_RECEIPT",
            real: keys.relay.sign_room(&room).signature.0.to_vec(),
            made: Box::new(move |label| rooms_key().sign(label, &room_body).0.to_vec()),
            accepts: Some(Box::new(move |made| {
                verify_room(&signed(room.layout(), made), &keys.relay.public()).is_ok()
            })),
        },
    ]
}

/// What is hashed.
fn hashes(keys: &Keys) -> Vec<Context<'_>> {
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let hash = |label: &'static str, real: &[u8], rest: Vec<u8>| Context {
        label,
        real: real.to_vec(),
        made: Box::new(move |label| sha256(&[label, &rest]).to_vec()),
        accepts: None,
    };
    let account = keys.account.key();
    let safety = safety_number((&name(), &account), (&name(), &account)).0;
    let (relay, exporter) = ([1; 32], [2; 32]);
    let work = solve(Channel { relay: &relay, exporter: &exporter }, 7, b"request", 12);
    let nonce = move |label: &[u8]| {
        let start = Midstate::new(&[label, &relay, &exporter, &7_u64.to_le_bytes(), &sha256(&[b"request"])]);
        let enough = |nonce: &u64| matches!(start.finish(&nonce.to_le_bytes()), [0, 0..16, ..]);
        (0..).find(enough).unwrap()
    };
    let bob = Party { name: "bob".parse().unwrap(), account: AccountKey([9; 32]), device: keys.own };
    let key =
        |role, id| PrekeySecret::generate(role, PrekeyId(id), 0, &keys.device, &mut ChaCha20Rng::seed_from_u64(3));
    let bundle = DeviceBundle {
        device: DeviceId::FIRST,
        signed: key(PrekeyRole::Signed, 1).signed().clone(),
        one_time: None,
        kem: key(PrekeyRole::LastResortKem, 4).signed().clone(),
        box_key: keys.box_key.signed().clone(),
    };
    let verified = VerifiedBundle::verify(&bundle, &keys.list).unwrap();
    let long = |key: &Signed| Writer::new().long(&key.body.0).fixed(&key.signature.0).done();
    let served = [&long(&bundle.signed)[..], &[0], &long(&bundle.kem)].concat();
    let carol = DeviceSecret::generate(rng);
    let carols = Party { device: carol.public(DeviceId::FIRST), ..bob.clone() };
    let session = Session::initiate(&carols, &carol, &verified, rng).unwrap();
    let (_, message) = session.encrypt(b"hi", rng).unwrap();
    let part = sealpost_spec::message::SessionMessage::parse(&message).unwrap().pqxdh.unwrap();
    let agreed = pqxdh::associated_data(&carols, &bob, &[6; 32], &part);
    let parties = [carols.layout(), bob.layout()].concat();
    let asked = device_request(&keys.own, fingerprint(&account));
    let request = [&asked.check[..], &device_code(&asked).unwrap().0].concat();
    let covered = [&VERSION.to_le_bytes()[..], &parties, &[6; 32], &part.layout()].concat();
    vec![
        hash("FINGERPRINT", &fingerprint(&account).0, account.0.to_vec()),
        hash("DELIVERY_TOKEN", &token_hash(&DeliveryToken([4; 32])).0, vec![4; 32]),
        Context {
            label: "DEVICE_REQUEST",
            real: request,
            made: Box::new(move |label| sha256(&[label, &asked.layout()])[..16].to_vec()),
            accepts: None,
        },
        hash("INVITE", &invite_hash(&InviteToken([4; 16])), vec![4; 16]),
        hash("POST_HASH", &post_hash(b"head").0, b"head".to_vec()),
        hash("BUNDLE", &pqxdh::bundle_hash(&bundle.signed, None, &bundle.kem), served),
        hash("SESSION", &agreed, covered),
        hash("SESSION_ID", &session.id().0, part.layout()),
        Context {
            label: "MAILBOX",
            real: mailbox(&keys.own.key).0.to_vec(),
            made: Box::new(move |label| sha256(&[label, &keys.own.key.0])[..16].to_vec()),
            accepts: None,
        },
        Context {
            label: "SAFETY_NUMBER",
            real: safety.into_bytes(),
            made: Box::new(move |label| {
                let start =
                    Writer::new().fixed(label).u16(1).fixed(&account.0).short(name().as_str().as_bytes()).done();
                let hash = (0..5_200).fold(start, |hash, _| sha512(&[&hash, &account.0]).to_vec());
                let group =
                    |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) % 100_000;
                let side: String = hash.chunks(5).take(6).map(|bytes| format!("{:05}", group(bytes))).collect();
                [side.as_bytes(), side.as_bytes()].concat()
            }),
            accepts: None,
        },
        Context {
            label: "WORK",
            real: work.nonce.to_le_bytes().to_vec(),
            made: Box::new(move |label| nonce(label).to_le_bytes().to_vec()),
            accepts: None,
        },
    ]
}

/// What keys are derived with.
fn derivations(keys: &Keys) -> Vec<Context<'_>> {
    let both = |(left, right): (Secret<32>, Secret<32>)| [&left.expose()[..], right.expose()].concat();
    let transcript = [8; 32];
    let (key, nonce) = chain::cipher(&filled(1), &[2; SALT]);
    let shared = [&[0xff; 32][..], &[1; 32], &[2; 32], &[3; 32], &[4; 32]].concat();
    vec![
        Context {
            label: "PQXDH",
            real: pqxdh::root_key(&filled(1), &filled(2), &filled(3), None, &filled(4)).expose().to_vec(),
            made: Box::new(move |label| hkdf::<32>(&[0; 32], &[&shared], &[label]).expose().to_vec()),
            accepts: None,
        },
        Context {
            label: "FIRST_CHAIN",
            real: both(chain::first(&filled(1), &filled(2), &transcript)),
            made: Box::new(move |label| hkdf::<64>(&[1; 32], &[&[2; 32]], &[label, &transcript]).expose().to_vec()),
            accepts: None,
        },
        Context {
            label: "RATCHET",
            real: both(chain::later(&filled(1), &filled(2), &filled(3), &transcript)),
            made: Box::new(move |label| {
                hkdf::<64>(&[1; 32], &[&[2; 32], &[3; 32]], &[label, &transcript]).expose().to_vec()
            }),
            accepts: None,
        },
        Context {
            label: "MESSAGE",
            real: [&key.expose()[..], &nonce].concat(),
            made: Box::new(|label| hkdf::<44>(&[2; SALT], &[&[1; 32]], &[label]).expose().to_vec()),
            accepts: None,
        },
        Context {
            label: "ATTACHMENT",
            real: attachment::chunk_key(&filled(1), &BlobId([2; 16]), &[3; 16]).expose().to_vec(),
            made: Box::new(|label| hkdf::<32>(&[3; 16], &[&[1; 32]], &[label, &[2; 16]]).expose().to_vec()),
            accepts: None,
        },
        Context {
            label: "RECOVERY",
            real: keys.account.key().0.to_vec(),
            made: Box::new(|label| keys.account_key(label).public().to_vec()),
            accepts: None,
        },
    ]
}

/// What a box authenticates.
fn boxes(keys: &Keys) -> Vec<Context<'_>> {
    const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
    const ID: EnvelopeId = EnvelopeId([7; 16]);
    let sealing =
        Sealing { device: DeviceId::FIRST, list: keys.account.sign_devices(&keys.list), message: b"message".to_vec() };
    let made = move |info: &[u8], first: &[u8]| {
        let rng = &mut ChaCha20Rng::seed_from_u64(4);
        let public = keys.box_key.public().key.as_slice().try_into().unwrap();
        let (encapsulated, shared) = x_wing::encapsulate(public, &Secret::random(rng), &Secret::random(rng)).unwrap();
        let info = Writer::new().fixed(info).u16(VERSION).fixed(&keys.own.layout()).u32(5).done();
        let aad = Writer::new().fixed(first).fixed(&mailbox(&keys.own.key).0).u32(5).fixed(&ID.0).done();
        let (key, nonce) = sealed::key_schedule(SUITE, &shared, &info).unwrap();
        let mut ciphertext = Vec::new();
        let sealing = Sealing {
            device: DeviceId::FIRST,
            list: keys.account.sign_devices(&keys.list),
            message: b"message".to_vec(),
        };
        seal(&key, &nonce, &aad, &sealing.padded().unwrap(), &mut ciphertext).unwrap();
        SealedBox { key: PrekeyId(5), encapsulated, ciphertext }.layout()
    };
    let rng = &mut ChaCha20Rng::seed_from_u64(4);
    let real = sealed::seal(keys.box_key.public(), &keys.own, &ID, &sealing, rng).unwrap();
    let opens = move |made: &[u8]| sealed::open(&keys.box_key, &keys.own, &ID, made).is_ok();
    vec![
        Context {
            label: "SEALED_BOX",
            real: real.clone(),
            made: Box::new(move |label| made(label, label::ENVELOPE)),
            accepts: Some(Box::new(opens)),
        },
        Context {
            label: "ENVELOPE",
            real,
            made: Box::new(move |label| made(label::SEALED_BOX, label)),
            accepts: Some(Box::new(opens)),
        },
    ]
}

/// What a profile is sealed with.
fn rows(keys: &Keys) -> Vec<Context<'_>> {
    const KEY: [u8; 32] = [9; 32];
    let seed = || ChaCha20Rng::seed_from_u64(5);
    let (vault, header) = Vault::create(b"passphrase", Cost::FLOOR, &mut seed()).unwrap();
    let mut rng = seed();
    let mut profile = [0; 16];
    rng.fill_bytes(&mut profile);
    let storage = Secret::<32>::random(&mut rng).expose().to_vec();
    let derived = move |label: &[u8]| hkdf::<32>(&[0; 32], &[&storage], &[label]);
    let storage_again = derived.clone();
    let vault = std::rc::Rc::new(vault);
    let row = move |rows: &[u8], first: &[u8], row: &[u8]| {
        let mut nonce = [0; 24];
        ChaCha20Rng::seed_from_u64(6).fill_bytes(&mut nonce);
        let associated = Writer::new().fixed(first).fixed(&profile).short(b"table").fixed(&KEY).done();
        let mut padded = [&(row.len() as u32).to_le_bytes()[..], row].concat();
        padded.resize(64.max(padded.len().next_power_of_two()), 0);
        let mut sealed = nonce.to_vec();
        x_seal(&storage_again(rows), &nonce, &associated, &padded, &mut sealed).unwrap();
        sealed
    };
    let row = std::rc::Rc::new(row);
    let fixed = || ChaCha20Rng::seed_from_u64(6);
    let account = keys.account.leave(pass());
    let plain = vault.seal("table", &KEY, b"row", &mut fixed());
    let opens = |vault: &std::rc::Rc<Vault>| {
        let vault = std::rc::Rc::clone(vault);
        Box::new(move |made: &[u8]| vault.open("table", &KEY, made).is_ok())
    };
    let opener = std::rc::Rc::clone(&vault);
    let [rows, plain_row, secret_row] = [0, 1, 2].map(|_| std::rc::Rc::clone(&row));
    // Everything but the label is in the header; the passphrase is paid for once.
    let wrapped = argon2id(b"passphrase", header[20..36].try_into().unwrap(), 19 * 1024, 2, 1).unwrap();
    let before = header.clone();
    let unwrapping = storage_of(&header, &wrapped);
    vec![
        Context {
            label: "VAULT_ROWS",
            real: plain.clone(),
            made: Box::new(move |label| rows(label, label::VAULT_ROW, b"row")),
            accepts: Some(opens(&vault)),
        },
        Context {
            label: "VAULT_ROW",
            real: plain,
            made: Box::new(move |label| plain_row(label::VAULT_ROWS, label, b"row")),
            accepts: Some(opens(&vault)),
        },
        Context {
            label: "VAULT_SECRET",
            real: vault.seal_secret("table", &KEY, &keys.account, &mut fixed()),
            made: Box::new(move |label| secret_row(label::VAULT_ROWS, label, &account)),
            accepts: Some(Box::new(move |made| opener.open_secret::<AccountSecret>("table", &KEY, made).is_ok())),
        },
        Context {
            label: "VAULT_BLIND",
            real: vault.blind("table", b"key").to_vec(),
            made: Box::new(move |label| {
                let table = Writer::new().short(b"table").done();
                hmac(&derived(label), &[&table, b"key"]).expose().to_vec()
            }),
            accepts: None,
        },
        Context {
            label: "VAULT_HEADER",
            real: header,
            made: Box::new(move |label| {
                let key = hkdf::<32>(&[0; 32], &[wrapped.expose()], &[label]);
                let mut header = before[..76].to_vec();
                x_seal(&key, before[52..76].try_into().unwrap(), &before[..52], &unwrapping, &mut header).unwrap();
                header
            }),
            accepts: None,
        },
    ]
}

fn storage_of(header: &[u8], wrapped: &Secret<32>) -> Vec<u8> {
    let key = hkdf::<32>(&[0; 32], &[wrapped.expose()], &[label::VAULT_HEADER]);
    x_open(&key, header[52..76].try_into().unwrap(), &header[..52], &header[76..]).unwrap().to_vec()
}

/// [WIRE-9] [MSG-18] [MSG-19] what is made in one context never opens, verifies or comes out equal in another: each label with
/// each other one, in the place of each. A label that is added without a context here fails.
#[test]
fn no_context_passes_for_another() {
    let keys = Keys::new();
    let contexts: Vec<Context<'_>> = [signatures(&keys), hashes(&keys), derivations(&keys), boxes(&keys), rows(&keys)]
        .into_iter()
        .flatten()
        .collect();
    let mut named: Vec<&str> = contexts.iter().map(|context| context.label).chain(PLANNED).collect();
    let mut all: Vec<&str> = label::ALL.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    all.sort_unstable();
    assert_eq!(named, all);
    for context in &contexts {
        for (name, label) in label::ALL {
            let (own, made) = (*name == context.label, (context.made)(label));
            assert_eq!(made == context.real, own, "{} made as {name}", context.label);
            if let Some(accepts) = &context.accepts {
                assert_eq!(accepts(&made), own, "{} made as {name}", context.label);
            }
        }
    }
}
