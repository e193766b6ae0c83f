use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_spec::relay::Address;
use sealpost_spec::room::{MAX_POST_BODY, PostId, PostKind, RoomName, RoomReceipt};

use super::*;
use crate::primitive::tests::hex;
use crate::vault::tests::pass;

fn dice(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

struct Person {
    account: AccountSecret,
    device: DeviceSecret,
    list: DeviceList,
}

fn person(text: &str, seed: u64) -> Person {
    let mut rng = dice(seed);
    let account = AccountSecret::generate(&mut rng);
    let device = DeviceSecret::generate(&mut rng);
    let devices = vec![device.public(DeviceId::FIRST)];
    let list = DeviceList { number: 1, name: name(text), account: account.key(), devices };
    Person { account, device, list }
}

/// [ACCT-4] the words are the account: the same ones give the same key, in any layout of whitespace, and no others do.
#[test]
fn the_words_are_the_account() {
    let account = AccountSecret::generate(&mut dice(1));
    let words = account.words();
    assert_eq!(words.split(' ').count(), 24);
    assert_eq!(AccountSecret::from_words(&words).unwrap().key(), account.key());
    let spread = words.replace(' ', "\n  ");
    assert_eq!(AccountSecret::from_words(&spread).unwrap().key(), account.key());
    assert_eq!(AccountSecret::from_words("twelve words are not enough").unwrap_err(), Refused);
    assert_ne!(AccountSecret::generate(&mut dice(2)).key(), account.key());
    assert_eq!(format!("{account:?}"), "AccountSecret(..)");
}

/// [ACCT-5] a device list counts with the signature of the account key that it names, and with no other.
#[test]
fn a_device_list_is_its_accounts() {
    let (alice, mallory) = (person("alice", 1), person("alice", 2));
    let signed = alice.account.sign_devices(&alice.list);
    assert_eq!(verify_devices(&signed).unwrap(), alice.list);
    assert_eq!(verify_devices(&mallory.account.sign_devices(&alice.list)), Err(Refused));
    for byte in 0..signed.body.0.len() {
        let mut altered = signed.clone();
        altered.body.0[byte] ^= 1;
        assert_eq!(verify_devices(&altered), Err(Refused), "byte {byte}");
    }
    // A device can't sign for the account.
    let by_device = Purpose::DeviceList.sign(&alice.device.key, alice.list.layout());
    assert_eq!(verify_devices(&by_device), Err(Refused));
}

/// [ACCT-7] a prekey counts for its device and its role.
#[test]
fn a_prekey_is_its_devices_and_its_roles() {
    let (alice, mallory) = (person("alice", 1), person("mallory", 2));
    let (own, other) = (alice.list.devices[0].key, mallory.list.devices[0].key);
    let key = PrekeySecret::generate(PrekeyRole::OneTime, PrekeyId(4), 9, &alice.device, &mut dice(3));
    let public = verify_prekey(key.signed(), &own, PrekeyRole::OneTime).unwrap();
    assert_eq!(&public, key.public());
    assert_eq!(verify_prekey(key.signed(), &own, PrekeyRole::Signed), Err(Refused));
    assert_eq!(verify_prekey(key.signed(), &other, PrekeyRole::OneTime), Err(Refused));
    let mut renamed = key.signed().clone();
    renamed.body.0[1] = 5;
    assert_eq!(verify_prekey(&renamed, &own, PrekeyRole::OneTime), Err(Refused));
}

/// [WIRE-9] what a key signed for one purpose counts for no other: each purpose with each.
#[test]
fn a_signature_counts_for_its_purpose_only() {
    let key = person("alice", 1).device.key;
    use Purpose::*;
    let purposes = [DeviceList, Login, NameReceipt, Post, Prekey, RoomReceipt];
    for signed in purposes {
        for asked in purposes {
            let counts = asked.verify(&key.public(), &signed.sign(&key, b"body".to_vec()));
            assert_eq!(counts.is_ok(), signed == asked, "{signed:?} {asked:?}");
        }
    }
}

/// [RELAY-5] a login counts on its channel, to its relay, for its challenge, name, device and generation.
#[test]
fn a_login_is_bound_to_its_link() {
    let alice = person("alice", 1);
    let (alices, bobs) = (name("alice"), name("bob"));
    let proof = LoginProof {
        relay: &[1; 32],
        channel: &[2; 32],
        challenge: &[3; 32],
        name: &alices,
        device: DeviceId::FIRST,
        generation: 4,
    };
    let signature = alice.device.sign_login(&proof);
    let device = alice.list.devices[0].key;
    assert_eq!(verify_login(&signature, &proof, &device), Ok(()));
    for other in [
        LoginProof { relay: &[9; 32], ..proof.clone() },
        LoginProof { channel: &[9; 32], ..proof.clone() },
        LoginProof { challenge: &[9; 32], ..proof.clone() },
        LoginProof { name: &bobs, ..proof.clone() },
        LoginProof { device: DeviceId(2), ..proof.clone() },
        LoginProof { generation: 5, ..proof.clone() },
    ] {
        assert_eq!(verify_login(&signature, &other, &device), Err(Refused));
    }
    assert_eq!(verify_login(&signature, &proof, &DeviceKey(alice.account.key().0)), Err(Refused));
}

/// [ROOM-2] a post stands only where list, head, device, relay and body belong together.
#[test]
fn a_post_is_refused_unless_all_of_it_fits() {
    let (alice, mallory) = (person("alice", 1), person("mallory", 2));
    let relay = [7; 32];
    let head = PostHead {
        relay,
        room: RoomName::lobby(),
        author: alice.list.name.clone(),
        account: alice.account.key(),
        device: alice.list.devices[0],
        number: 1,
        previous: PostHash::default(),
        time: 1,
        id: PostId([1; 16]),
        kind: PostKind::Text,
        target: PostId::NONE,
        target_hash: PostHash::default(),
        body_hash: body_hash(b"hello"),
    };
    let author = alice.account.sign_devices(&alice.list);
    let post = |head: &PostHead, by: &Person, author: &Signed, body: Option<&[u8]>| Post {
        head: by.device.sign_post(head),
        author: author.clone(),
        body: body.map(|body| Bytes(body.to_vec())),
    };
    let good = post(&head, &alice, &author, Some(b"hello"));
    assert_eq!(verify_post(&good, &relay).unwrap(), (head.clone(), alice.list.clone()));
    assert!(verify_post(&post(&head, &alice, &author, None), &relay).is_ok());
    let refused = |post: Post| assert_eq!(verify_post(&post, &relay), Err(Refused));
    assert_eq!(verify_post(&good, &[8; 32]), Err(Refused));
    refused(post(&head, &alice, &author, Some(b"hullo")));
    refused(post(&head, &mallory, &author, Some(b"hello")));
    refused(post(&head, &alice, &mallory.account.sign_devices(&mallory.list), Some(b"hello")));
    refused(post(&PostHead { author: name("alicia"), ..head.clone() }, &alice, &author, Some(b"hello")));
    refused(post(&PostHead { account: mallory.account.key(), ..head.clone() }, &alice, &author, Some(b"hello")));
    let elsewhere = Device { id: DeviceId(2), ..head.device };
    refused(post(&PostHead { device: elsewhere, ..head.clone() }, &alice, &author, Some(b"hello")));
    let long = vec![b'x'; MAX_POST_BODY + 1];
    refused(post(&PostHead { body_hash: body_hash(&long), ..head.clone() }, &alice, &author, Some(&long)));
    let longest = &long[1..];
    let head = PostHead { body_hash: body_hash(longest), ..head };
    assert!(verify_post(&post(&head, &alice, &author, Some(longest)), &relay).is_ok());
}

/// [ACCT-9] [ROOM-13] receipts of names and rooms count with the relay's own signature. The relay's key survives its file, and its two DER forms
/// are those of RFC 8410.
#[test]
fn a_receipt_is_its_relays() {
    let relay = RelaySecret::generate(&mut dice(1));
    let receipt = NameReceipt { name: name("alice"), account: AccountKey([1; 32]), generation: 2, time: 3 };
    let signed = relay.sign_receipt(&receipt);
    assert_eq!(verify_receipt(&signed, &relay.public()), Ok(receipt));
    assert_eq!(verify_receipt(&signed, &RelaySecret::generate(&mut dice(2)).public()), Err(Refused));
    let room =
        RoomReceipt { room: "garden".parse().unwrap(), name: name("alice"), account: AccountKey([1; 32]), time: 3 };
    let signed = relay.sign_room(&room);
    assert_eq!(verify_room(&signed, &relay.public()), Ok(room));
    assert_eq!(verify_room(&signed, &RelaySecret::generate(&mut dice(2)).public()), Err(Refused));
    let again = RelaySecret::from_pkcs8(&relay.pkcs8()).unwrap();
    assert_eq!(again.public(), relay.public());
    assert_eq!((relay.pkcs8().len(), relay.spki().len()), (48, 44));
    assert_eq!(relay.spki()[12..], relay.public());
    assert_eq!(RelaySecret::from_pkcs8(&relay.pkcs8()[1..]).unwrap_err(), Refused);
    assert_eq!(RelaySecret::from_pkcs8(&[&relay.pkcs8()[..], &[0]].concat()).unwrap_err(), Refused);
    let pin = relay_pin(&relay.public());
    assert_eq!(format!("sealpost://localhost:7443/{pin}").parse::<Address>().unwrap().pin, pin);
}

/// [ACCT-11] one number on both sides, of 60 digits in twelve groups, different for any other name or key.
#[test]
fn a_safety_number_is_the_same_on_both_sides() {
    let (alice, bob) = (name("alice"), name("bob"));
    let (a, b, c) = (AccountKey([1; 32]), AccountKey([2; 32]), AccountKey([3; 32]));
    let number = safety_number((&alice, &a), (&bob, &b));
    assert_eq!(number, safety_number((&bob, &b), (&alice, &a)));
    assert_eq!(number.0.len(), 60);
    assert!(number.0.bytes().all(|digit| digit.is_ascii_digit()));
    let groups = number.to_string();
    assert_eq!(groups.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
    assert_eq!(groups.replace(' ', ""), number.0);
    for other in [
        safety_number((&alice, &c), (&bob, &b)),
        safety_number((&alice, &a), (&bob, &c)),
        safety_number((&alice, &b), (&bob, &a)),
        safety_number((&name("alicia"), &a), (&bob, &b)),
    ] {
        assert_ne!(number, other);
    }
}

/// Public names of things: equal inputs, equal names, and no two kinds alike.
#[test]
fn derived_names_are_separate() {
    let bytes = [5; 32];
    let token = delivery_token(&mut dice(1));
    assert!(same_token(&token_hash(&token), &token_hash(&token)));
    assert!(!same_token(&token_hash(&token), &token_hash(&delivery_token(&mut dice(2)))));
    let names = [
        fingerprint(&AccountKey(bytes)).0,
        token_hash(&DeliveryToken(bytes)).0,
        relay_pin(&bytes).0,
        post_hash(&bytes).0,
    ];
    for (place, left) in names.iter().enumerate() {
        assert!(names.iter().skip(place + 1).all(|right| left != right));
        assert!(!left.starts_with(&mailbox(&DeviceKey(bytes)).0));
    }
}

/// RFC 8410 section 10: its example key in PKCS#8, and the public half of it as SubjectPublicKeyInfo.
#[test]
fn a_relays_key_has_the_forms_of_rfc_8410() {
    let seed = hex("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842");
    let pkcs8 = [hex("302e020100300506032b657004220420"), seed].concat();
    let public = hex("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    let relay = RelaySecret::from_pkcs8(&pkcs8).unwrap();
    assert_eq!(*relay.pkcs8(), pkcs8);
    assert_eq!(relay.spki(), [hex("302a300506032b6570032100"), public].concat());
}

/// A secret on its way into a row or file has its room at once and fills it: none of it is left in freed memory.
#[test]
fn a_secret_leaves_in_the_room_it_fills() {
    let mut rng = dice(1);
    let device = DeviceSecret::generate(&mut rng);
    let mut left = vec![
        AccountSecret::generate(&mut rng).leave(pass()),
        device.leave(pass()),
        RelaySecret::generate(&mut rng).pkcs8(),
    ];
    for role in
        [PrekeyRole::Signed, PrekeyRole::OneTime, PrekeyRole::LastResortKem, PrekeyRole::OneTimeKem, PrekeyRole::Box]
    {
        left.push(PrekeySecret::generate(role, PrekeyId(1), 2, &device, &mut rng).leave(pass()));
    }
    for bytes in left {
        assert_eq!(bytes.capacity(), bytes.len());
    }
}

/// A kept secret comes back whole or not at all: no byte less, and none more.
#[test]
fn a_kept_secret_is_taken_whole_only() {
    fn whole_only<S: Door>(secret: &S) {
        let bytes = secret.leave(pass());
        assert!(S::enter(&bytes, pass()).is_ok());
        for length in 0..bytes.len() {
            assert!(S::enter(&bytes[..length], pass()).is_err(), "{length}");
        }
        assert!(S::enter(&[&bytes[..], &[0]].concat(), pass()).is_err());
    }
    let mut rng = dice(1);
    let device = DeviceSecret::generate(&mut rng);
    whole_only(&AccountSecret::generate(&mut rng));
    whole_only(&device);
    for role in
        [PrekeyRole::Signed, PrekeyRole::OneTime, PrekeyRole::LastResortKem, PrekeyRole::OneTimeKem, PrekeyRole::Box]
    {
        whole_only(&PrekeySecret::generate(role, PrekeyId(1), 2, &device, &mut rng));
    }
}

/// No secret prints more than its name.
#[test]
fn secrets_print_their_name() {
    let mut rng = dice(1);
    let device = DeviceSecret::generate(&mut rng);
    let prekey = PrekeySecret::generate(PrekeyRole::Box, PrekeyId(1), 2, &device, &mut rng);
    assert_eq!(format!("{:?}", AccountSecret::generate(&mut rng)), "AccountSecret(..)");
    assert_eq!(format!("{device:?}"), "DeviceSecret(..)");
    assert_eq!(format!("{prekey:?}"), "PrekeySecret(..)");
    assert_eq!(format!("{:?}", RelaySecret::generate(&mut rng)), "RelaySecret(..)");
}
