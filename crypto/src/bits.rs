//! Every single bit counts: of what travels or is kept, one message of each kind, with one bit flipped, is refused.
//!
//! Where a try costs an agreement or more, the normal run flips one bit of some bytes in keys, ciphertexts and padding, and
//! all bits of everything else; with `SEALPOST_SEEDS` set it flips all bits of everything.
use std::ops::Range;

use sealpost_spec::account::*;
use sealpost_spec::room::{Post, PostHash, PostHead, PostId, PostKind, RoomName, RoomReceipt};
use sealpost_spec::wire::{Bytes, Signature, Signed};

use crate::Refused;
use crate::identity::*;
use crate::vault::{Cost, Vault};

/// The bytes with one bit flipped, for each bit; but of the bytes in `long` only of every `stride`th, and there one.
pub(crate) fn flips(bytes: &[u8], long: &[Range<usize>], stride: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let all = std::env::var_os("SEALPOST_SEEDS").is_some();
    let counts = move |bit: &usize| {
        let byte = bit / 8;
        let short = all || !long.iter().any(|range| range.contains(&byte));
        short || (byte.is_multiple_of(stride) && bit % 8 == byte / stride % 8)
    };
    (0..bytes.len() * 8).filter(counts).map(|bit| {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        (bit, altered)
    })
}

/// Body and signature, as one run of bytes and back.
fn joined(signed: &Signed) -> Vec<u8> {
    [&signed.body.0[..], &signed.signature.0].concat()
}
fn parted(bytes: &[u8]) -> Signed {
    let (body, signature) = bytes.split_last_chunk().unwrap();
    Signed { body: Bytes(body.to_vec()), signature: Signature(*signature) }
}

/// The original is taken, and none of its neighbours.
fn only_itself<T>(bytes: &[u8], taken: impl Fn(&[u8]) -> Result<T, Refused>) {
    assert!(taken(bytes).is_ok());
    for (bit, altered) in flips(bytes, &[], 1) {
        assert_eq!(taken(&altered).err(), Some(Refused), "bit {bit}");
    }
}

/// [ACCT-5] [ACCT-7] [ACCT-9] [RELAY-5] [ROOM-2] [ROOM-13] device list, prekey, receipts, login and post.
#[test]
fn a_flipped_bit_of_what_is_signed_is_refused() {
    let rng = &mut <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
    let (account, device, relay) =
        (AccountSecret::generate(rng), DeviceSecret::generate(rng), RelaySecret::generate(rng));
    let (name, own) = ("alice".parse::<Name>().unwrap(), device.public(DeviceId::FIRST));
    let list = DeviceList { number: 1, name: name.clone(), account: account.key(), devices: vec![own] };
    let author = account.sign_devices(&list);
    only_itself(&joined(&author), |bytes| verify_devices(&parted(bytes)));

    let prekey = PrekeySecret::generate(PrekeyRole::OneTime, PrekeyId(7), 9, &device, rng);
    only_itself(&joined(prekey.signed()), |bytes| verify_prekey(&parted(bytes), &own.key, PrekeyRole::OneTime));

    let receipt = NameReceipt { name: name.clone(), account: account.key(), generation: 2, time: 3 };
    only_itself(&joined(&relay.sign_receipt(&receipt)), |bytes| verify_receipt(&parted(bytes), &relay.public()));

    let room = RoomReceipt { room: "garden".parse().unwrap(), name: name.clone(), account: account.key(), time: 3 };
    only_itself(&joined(&relay.sign_room(&room)), |bytes| verify_room(&parted(bytes), &relay.public()));

    let (key, channel, challenge) = (relay.public(), [2; 32], [3; 32]);
    let proof = LoginProof {
        relay: &key,
        channel: &channel,
        challenge: &challenge,
        name: &name,
        device: DeviceId::FIRST,
        generation: 4,
    };
    only_itself(&device.sign_login(&proof).0, |bytes| {
        verify_login(&Signature(bytes.try_into().unwrap()), &proof, &own.key)
    });

    let head = PostHead {
        relay: key,
        room: RoomName::lobby(),
        author: name,
        account: account.key(),
        device: own,
        number: 1,
        previous: PostHash::default(),
        time: 1,
        id: PostId([1; 16]),
        kind: PostKind::Text,
        target: PostId::NONE,
        target_hash: PostHash::default(),
        body_hash: body_hash(b"hello"),
    };
    let (head, author) = (joined(&device.sign_post(&head)), joined(&author));
    let post = [&head[..], &author, b"hello"].concat();
    only_itself(&post, |bytes| {
        let (signed_head, rest) = bytes.split_at(head.len());
        let (list, body) = rest.split_at(author.len());
        verify_post(&Post { head: parted(signed_head), author: parted(list), body: Some(Bytes(body.to_vec())) }, &key)
    });
}

/// A row and a header of a profile. A try of the header costs an Argon2id; of its cost only the lowest bits are flipped,
/// since a header may well ask for more memory than a test should take.
#[test]
fn a_flipped_bit_of_a_profile_is_refused() {
    let rng = &mut <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(2);
    let (vault, header) = Vault::create(b"passphrase", Cost::FLOOR, rng).unwrap();
    let row = vault.seal("table", &[1; 32], b"row", rng);
    only_itself(&row, |bytes| vault.open("table", &[1; 32], bytes));
    only_itself(&vault.seal_secret("table", &[1; 32], &AccountSecret::generate(rng), rng), |bytes| {
        vault.open_secret::<AccountSecret>("table", &[1; 32], bytes)
    });
    for (bit, altered) in flips(&header, std::slice::from_ref(&(8..header.len())), 7) {
        if !(8..20).contains(&(bit / 8)) {
            assert_eq!(Vault::unlock(&altered, b"passphrase").err(), Some(Refused), "bit {bit}");
        }
    }
    for field in [8, 12, 16] {
        let mut altered = header.clone();
        altered[field] ^= 1;
        assert_eq!(Vault::unlock(&altered, b"passphrase").err(), Some(Refused), "byte {field}");
    }
}
