pub(crate) fn pass() -> super::door::Pass {
    super::door::Pass::new()
}

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sealpost_spec::account::{DeviceId, PrekeyId, PrekeyRole};

use super::door::Door;
use super::{AUTHENTICATED, Cost, HEADER, NONCE, TAG, Vault, label, size_class, x_seal};
use crate::Refused;
use crate::identity::{AccountSecret, DeviceSecret, PrekeySecret};
use crate::primitive::tests::hex;
use crate::secret::Secret;

const PASSPHRASE: &[u8] = b"correct horse battery staple";

fn vault() -> (Vault, Vec<u8>, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (vault, header) = Vault::create(PASSPHRASE, Cost::FLOOR, &mut rng).unwrap();
    (vault, header, rng)
}

/// The right passphrase opens what was sealed; a wrong one is refused, and a new one opens the same rows.
#[test]
fn a_vault_opens_for_its_passphrase_only() {
    let (vault, header, mut rng) = vault();
    let key = vault.blind("contacts", b"bob");
    let row = vault.seal("contacts", &key, b"row", &mut rng);
    let again = Vault::unlock(&header, PASSPHRASE).unwrap();
    assert_eq!(again.blind("contacts", b"bob"), key);
    assert_eq!(again.open("contacts", &key, &row).unwrap().as_slice(), b"row");
    assert_eq!(Vault::unlock(&header, b"Correct horse battery staple").unwrap_err(), Refused);
    assert_eq!(Vault::unlock(&header, b"").unwrap_err(), Refused);
    let changed = vault.rewrap(b"other", Cost { lanes: 2, ..Cost::FLOOR }, &mut rng).unwrap();
    assert_eq!(Vault::unlock(&changed, PASSPHRASE).unwrap_err(), Refused);
    let changed = Vault::unlock(&changed, b"other").unwrap();
    assert_eq!(changed.open("contacts", &key, &row).unwrap().as_slice(), b"row");
}

/// A flipped bit in any field of the header, a cut or a longer one: refused.
#[test]
fn an_altered_header_is_refused() {
    let (_, header, _) = vault();
    assert_eq!(header.len(), HEADER);
    let fields = [0, 7, 8, 12, 16, 20, 35, 36, 51, AUTHENTICATED, AUTHENTICATED + NONCE, HEADER - TAG, HEADER - 1];
    for byte in fields {
        let mut altered = header.clone();
        altered[byte] ^= 1;
        assert_eq!(Vault::unlock(&altered, PASSPHRASE).unwrap_err(), Refused, "byte {byte}");
    }
    assert_eq!(Vault::unlock(&header[..HEADER - 1], PASSPHRASE).unwrap_err(), Refused);
    assert_eq!(Vault::unlock(&[&header[..], &[0]].concat(), PASSPHRASE).unwrap_err(), Refused);
    assert_eq!(Vault::unlock(b"", PASSPHRASE).unwrap_err(), Refused);
}

/// A cost below the floor or above the ceiling is refused, even of a header that is whole: somebody who once knew the
/// passphrase can make one.
#[test]
fn the_cost_has_a_floor_and_a_ceiling() {
    let (vault, header, mut rng) = vault();
    let (floor, ceiling) = (Cost::FLOOR, Cost::CEILING);
    for cost in [
        Cost { memory: 8 * 1024, ..floor },
        Cost { passes: floor.passes - 1, ..floor },
        Cost { passes: ceiling.passes + 1, ..floor },
        Cost { lanes: ceiling.lanes + 1, ..floor },
    ] {
        let whole = vault.wrapped(PASSPHRASE, cost, &mut rng).unwrap();
        assert_eq!(Vault::unlock(&whole, PASSPHRASE).unwrap_err(), Refused, "{cost:?}");
        assert_eq!(vault.rewrap(PASSPHRASE, cost, &mut rng), Err(Refused));
        assert_eq!(Vault::create(PASSPHRASE, cost, &mut rng).err(), Some(Refused));
    }
    assert!(Vault::unlock(&vault.wrapped(PASSPHRASE, floor, &mut rng).unwrap(), PASSPHRASE).is_ok());
    // Refused before memory is taken for it: 4 TiB would end the process.
    for cost in [
        Cost { memory: ceiling.memory + 1, ..floor },
        Cost { memory: u32::MAX, ..floor },
        Cost { lanes: 0, ..floor },
        Cost { memory: u32::MAX, passes: u32::MAX, lanes: u32::MAX },
    ] {
        assert_eq!(vault.rewrap(PASSPHRASE, cost, &mut rng), Err(Refused));
        let mut altered = header.clone();
        let numbers = [cost.memory.to_le_bytes(), cost.passes.to_le_bytes(), cost.lanes.to_le_bytes()].concat();
        altered[8..20].copy_from_slice(&numbers);
        assert_eq!(Vault::unlock(&altered, PASSPHRASE).unwrap_err(), Refused);
    }
    assert!(Cost::RECOMMENDED.check().is_ok());
}

/// A row opens where it was put, unaltered, and nowhere else.
#[test]
fn a_row_cannot_be_moved_or_altered() {
    let (vault, _, mut rng) = vault();
    let (bob, carol) = (vault.blind("contacts", b"bob"), vault.blind("contacts", b"carol"));
    assert_ne!(bob, carol);
    assert_ne!(bob, vault.blind("sessions", b"bob"));
    let row = vault.seal("contacts", &bob, b"row of bob", &mut rng);
    assert_eq!(vault.open("contacts", &carol, &row), Err(Refused));
    assert_eq!(vault.open("sessions", &bob, &row), Err(Refused));
    for bit in 0..row.len() * 8 {
        let mut altered = row.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(vault.open("contacts", &bob, &altered), Err(Refused));
    }
    for length in 0..row.len() {
        assert_eq!(vault.open("contacts", &bob, &row[..length]), Err(Refused));
    }
    let (other, _) = Vault::create(PASSPHRASE, Cost::FLOOR, &mut rng).unwrap();
    assert_eq!(other.open("contacts", &bob, &row), Err(Refused));
    assert_eq!(vault.open("contacts", &bob, &row).unwrap().as_slice(), b"row of bob");
}

/// The same row twice is two sealed rows; their length says only the class.
#[test]
fn a_sealed_row_tells_a_size_class_only() {
    let (vault, _, mut rng) = vault();
    let key = [0; 32];
    assert_ne!(vault.seal("t", &key, b"row", &mut rng), vault.seal("t", &key, b"row", &mut rng));
    for (length, class) in [(0, 64), (60, 64), (61, 128), (508, 512), (509, 1_024), (1_021, 2_048), (9_000, 9_216)] {
        let row = vec![7; length];
        let sealed = vault.seal("t", &key, &row, &mut rng);
        assert_eq!(sealed.len(), NONCE + class + TAG);
        assert_eq!(size_class(length + 4), class);
        assert_eq!(vault.open("t", &key, &sealed).unwrap().as_slice(), row);
    }
}

/// Secrets go in and come out again the same, and none passes for one of another kind.
#[test]
fn secrets_are_kept_by_kind() {
    let (vault, _, mut rng) = vault();
    let key = [0; 32];
    let account = AccountSecret::generate(&mut rng);
    let device = DeviceSecret::generate(&mut rng);
    let kept = vault.seal_secret("own", &key, &account, &mut rng);
    assert_eq!(vault.open_secret::<AccountSecret>("own", &key, &kept).unwrap().key(), account.key());
    assert_eq!(vault.open_secret::<DeviceSecret>("own", &key, &kept).unwrap_err(), Refused);
    let kept = vault.seal_secret("own", &key, &device, &mut rng);
    let public = device.public(DeviceId::FIRST);
    assert_eq!(vault.open_secret::<DeviceSecret>("own", &key, &kept).unwrap().public(DeviceId::FIRST), public);
    assert_eq!(vault.open_secret::<AccountSecret>("own", &key, &kept).unwrap_err(), Refused);
    assert_eq!(vault.open_secret::<PrekeySecret>("own", &key, &kept).unwrap_err(), Refused);
    assert_eq!(vault.open_secret::<crate::session::Session>("own", &key, &kept).unwrap_err(), Refused);
    for role in
        [PrekeyRole::Signed, PrekeyRole::OneTime, PrekeyRole::LastResortKem, PrekeyRole::OneTimeKem, PrekeyRole::Box]
    {
        let prekey = PrekeySecret::generate(role, PrekeyId(3), 5, &device, &mut rng);
        let kept = vault.seal_secret("own", &key, &prekey, &mut rng);
        let opened = vault.open_secret::<PrekeySecret>("own", &key, &kept).unwrap();
        assert_eq!((opened.role(), opened.id(), opened.made_at()), (role, PrekeyId(3), 5));
        assert_eq!(opened.signed(), prekey.signed());
        assert_eq!(opened.leave(pass()), prekey.leave(pass()));
    }
}

/// What was sealed as a secret never comes out as plain bytes, and plain bytes, which may be somebody else's words, are
/// never taken for a secret.
#[test]
fn a_secret_row_and_a_plain_row_are_two_things() {
    let (vault, _, mut rng) = vault();
    let key = [0; 32];
    let account = AccountSecret::generate(&mut rng);
    let kept = vault.seal_secret("own", &key, &account, &mut rng);
    assert_eq!(vault.open("own", &key, &kept), Err(Refused));
    let plain = vault.seal("own", &key, &account.leave(pass()), &mut rng);
    assert_eq!(vault.open_secret::<AccountSecret>("own", &key, &plain).unwrap_err(), Refused);
}

/// A row opens in its own profile only, even where another one had the same storage key.
#[test]
fn a_row_is_its_profiles() {
    let (vault, _, mut rng) = vault();
    let key = [0; 32];
    let row = vault.seal("contacts", &key, b"row", &mut rng);
    let storage = || Secret::copied(vault.storage.expose()).unwrap();
    assert_eq!(Vault::of(storage(), [1; 16]).open("contacts", &key, &row), Err(Refused));
    assert!(Vault::of(storage(), vault.profile).open("contacts", &key, &row).is_ok());
}

/// A vault that this version wrote opens in every later one. Header and rows were made by another implementation: Argon2's
/// reference code, libsodium's XChaCha20-Poly1305, and HKDF and HMAC on Python's hashlib.
#[test]
fn a_vault_made_elsewhere_opens() {
    let header =
        hex("53505641554c5431004c00000300000002000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\
         303132333435363738393a3b3c3d3e3f4041424344454647d0d6fe0b15342c8f1410473e2532921450ade92169541f8b12737b90\
         8107719d741c88fd5ae7b910fbfe9d4118ca1168");
    let vault = Vault::unlock(&header, PASSPHRASE).unwrap();
    let key = vault.blind("contacts", b"bob");
    assert_eq!(key[..], hex("28e6b14d23155d3aaa82928e9fcaa5eb2c91e92c96f2e3c283f8460766312a50"));
    let row =
        hex("48494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f797ecea802c2bb11d8989931cb1dfcfd458c3b706e5bd885efe2cef8\
         5dc410636ba53d44d524c7febb051be45b025864ec93110556280028d3b7a818bbaafd2c1d7e353d6349a5359c48de9ef836a8f0");
    assert_eq!(vault.open("contacts", &key, &row).unwrap().as_slice(), b"row of bob");
    let secret =
        hex("48494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f527ecea861adcc31b7feb953a47ffcfd458c3b706e5bd885efe2cef8\
         5dc410636ba53d44d524c7febb051be45b025864ec93110556280028d3b7a818bbaafd2c4bb83d9cbdeb4497ead9b17b1eac8b55");
    let account: AccountSecret = vault.open_secret("contacts", &key, &secret).unwrap();
    assert_eq!(account.leave(pass())[..], [&[0x11][..], &[0; 32]].concat());
}

/// RFC 9106's second recommendation is what new profiles get; what is taken of a header lies around it.
#[test]
fn the_costs_are_those_that_were_chosen() {
    let cost = |memory, passes, lanes| Cost { memory, passes, lanes };
    assert_eq!(Cost::RECOMMENDED, cost(65_536, 3, 4));
    assert_eq!(Cost::FLOOR, cost(19_456, 2, 1));
    assert_eq!(Cost::CEILING, cost(1_048_576, 16, 16));
    for edge in [Cost::FLOOR, Cost::CEILING] {
        assert_eq!(edge.check(), Ok(edge));
    }
}

/// An open vault prints nothing.
#[test]
fn a_vault_prints_nothing() {
    assert_eq!(format!("{:?}", vault().0), "Vault(..)");
}

/// A row may be longer or shorter than it says: neither opens, though its tag is right.
#[test]
fn a_row_that_lies_about_its_length_is_refused() {
    let (vault, _, _) = vault();
    let key = [0; 32];
    let associated = vault.associated(label::VAULT_ROW, "t", &key);
    let sealed = |padded: &[u8]| {
        let mut row = vec![3; NONCE];
        x_seal(&vault.rows, &[3; NONCE], &associated, padded, &mut row).unwrap();
        vault.open("t", &key, &row)
    };
    assert_eq!(sealed(&[2, 0, 0, 0, 8, 9, 0, 0]).unwrap().as_slice(), [8, 9]);
    assert_eq!(sealed(&[4, 0, 0, 0, 8, 9, 0, 0]).unwrap().as_slice(), [8, 9, 0, 0]);
    assert_eq!(sealed(&[5, 0, 0, 0, 8, 9, 0, 0]), Err(Refused));
    assert_eq!(sealed(&[1, 0, 0, 0, 8, 9, 0, 0]), Err(Refused));
    assert_eq!(sealed(&[0xff, 0xff, 0xff, 0xff, 8, 9, 0, 0]), Err(Refused));
    assert_eq!(sealed(&[0, 0, 0]), Err(Refused));
}
