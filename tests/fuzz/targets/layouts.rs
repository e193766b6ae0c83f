//! Layouts that are written by hand: what is parsed is laid out again to the same bytes, and what a signature covers is
//! taken from nobody but its signer.

use sealpost_crypto::identity::{verify_devices, verify_post, verify_prekey, verify_receipt};
use sealpost_crypto::session::{chain_id, named_prekeys, session_id};
use sealpost_spec::account::{DeviceKey, DeviceList, NameReceipt, Prekey, PrekeyId, PrekeyRole};
use sealpost_spec::message::{BOX_OVERHEAD, BOX_SIZES, PqxdhPart, SealedBox, Sealing, SessionMessage};
use sealpost_spec::relay::{ClientHello, RelayHello};
use sealpost_spec::room::{Post, PostHead};
use sealpost_spec::wire::layout::Reader;
use sealpost_spec::wire::{Signed, VERSION, decode};

use super::people;

/// The first byte of an input says what the others are to be.
pub const KINDS: &[fn(&[u8])] = &[
    client_hello,
    relay_hello,
    device_list,
    prekey,
    receipt,
    post_head,
    pqxdh_part,
    session_message,
    sealed_box,
    sealing,
    signed,
    |bytes| {
        if let Ok(decoded) = decode::<Post>(bytes) {
            post(&decoded);
        }
    },
];

pub fn run(input: &[u8]) {
    if let Some((kind, bytes)) = input.split_first() {
        KINDS[usize::from(*kind) % KINDS.len()](bytes);
    }
}

fn client_hello(bytes: &[u8]) {
    if let Ok(hello) = ClientHello::parse(bytes) {
        assert_eq!(hello.layout(), bytes);
        assert!(hello.lowest <= hello.highest);
    }
}

fn relay_hello(bytes: &[u8]) {
    match RelayHello::parse(bytes) {
        Ok(Ok(hello)) => assert_eq!(hello.layout(VERSION).as_deref(), Some(bytes)),
        Ok(Err((lowest, highest))) => assert_eq!(RelayHello::no_version(lowest, highest), bytes),
        Err(_) => {}
    }
}

fn device_list(bytes: &[u8]) {
    if let Ok(list) = DeviceList::parse(bytes) {
        assert_eq!(list.layout(), bytes);
        assert!(list.number > 0 && list.devices.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(list.devices.iter().all(|device| list.device(device.id) == Some(device)));
    }
}

fn prekey(bytes: &[u8]) {
    if let Ok(prekey) = Prekey::parse(bytes) {
        assert_eq!(prekey.layout(), bytes);
        assert!(prekey.id != PrekeyId::NONE && prekey.key.len() == prekey.role.key_length());
    }
}

fn receipt(bytes: &[u8]) {
    if let Ok(receipt) = NameReceipt::parse(bytes) {
        assert_eq!(receipt.layout(), bytes);
        assert!(!receipt.outranks(&receipt), "nothing outranks itself");
    }
}

fn post_head(bytes: &[u8]) {
    if let Ok(head) = PostHead::parse(bytes) {
        assert_eq!(head.layout(), bytes);
    }
}

fn pqxdh_part(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    if let Ok(part) = PqxdhPart::parse(&mut reader) {
        assert_eq!(bytes.strip_suffix(reader.rest()), Some(&part.layout()[..]));
        assert_eq!(part.layout().len(), PqxdhPart::LENGTH);
    }
}

fn session_message(bytes: &[u8]) {
    let parsed = SessionMessage::parse(bytes);
    let (session, chain, named) = (session_id(bytes), chain_id(bytes), named_prekeys(bytes));
    let Ok(parsed) = parsed else {
        assert!(session.is_err() && chain.is_err() && named.is_err());
        return;
    };
    assert_eq!(parsed.layout(), bytes);
    assert!(chain.is_ok());
    assert_eq!(session.unwrap().is_some(), parsed.pqxdh.is_some());
    assert_eq!(named.unwrap().map(|named| named.kem), parsed.pqxdh.map(|part| part.kem));
}

/// The bytes are the beginning of a box of a size that the first of them chooses.
fn sealed_box(bytes: &[u8]) {
    let Some((size, beginning)) = bytes.split_first() else { return };
    let mut bytes = beginning.to_vec();
    assert_eq!(SealedBox::parse(&bytes).is_ok(), BOX_SIZES.contains(&bytes.len()) && bytes[..4] != [0; 4]);
    bytes.resize(BOX_SIZES[usize::from(*size) % BOX_SIZES.len()], 0);
    if let Ok(sealed) = SealedBox::parse(&bytes) {
        assert_eq!(sealed.layout(), bytes);
    }
}

/// The bytes are the beginning of a sealing, which zeros fill up.
fn sealing(bytes: &[u8]) {
    let Some((size, beginning)) = bytes.split_first() else { return };
    let mut bytes = beginning.to_vec();
    if let Some(size) = BOX_SIZES.get(usize::from(*size) % (BOX_SIZES.len() + 1)) {
        bytes.resize(size - BOX_OVERHEAD, 0);
    }
    if let Ok(sealing) = Sealing::parse(&bytes) {
        assert_eq!(sealing.padded(), Some(bytes));
    }
}

/// Something signed, of whatever kind: nobody's signature is found where nobody signed.
fn signed(bytes: &[u8]) {
    let Ok(signed) = decode::<Signed>(bytes) else { return };
    let people::Couple { alice, bob, .. } = people::couple();
    let genuine = |signed: &Signed| [alice, bob].iter().any(|person| person.signed().any(|own| own == signed));
    if let Ok(list) = verify_devices(&signed) {
        assert_eq!(list.layout(), signed.body.0);
        let key = |person: &people::Person| list.account == person.party.account;
        assert!(![alice, bob].into_iter().any(key) || genuine(&signed), "a list that nobody signed");
    }
    for role in [1, 2, 3, 4, 5].map(|number| PrekeyRole::from_number(number).unwrap()) {
        if let Ok(prekey) = verify_prekey(&signed, &alice.party.device.key, role) {
            assert!(prekey.role == role && genuine(&signed), "a prekey that nobody signed");
        }
    }
    // Keys of low order sign everything where a library lets them.
    for weak in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        assert!(verify_receipt(&signed, &weak).is_err());
        assert!(verify_prekey(&signed, &DeviceKey(weak), PrekeyRole::Signed).is_err());
        assert!(verify_devices(&signed).map_or(true, |list| list.account.0 != weak));
    }
    let relay = people::relay().public();
    assert!(verify_receipt(&signed, &relay).is_err() || signed == *people::receipt(), "a receipt that nobody signed");
}

/// A post: its parts are laid out again the same, and it is nobody's unless somebody signed it.
pub fn post(post: &Post) {
    post_head(&post.head.body.0);
    device_list(&post.author.body.0);
    if let Ok((head, list)) = verify_post(post, &people::relay().public()) {
        assert_eq!((head.author, head.account), (list.name, list.account));
        let alices = head.account == people::couple().alice.party.account;
        assert!(!alices || post.head == *people::post_head(), "a post that nobody signed");
    }
}
