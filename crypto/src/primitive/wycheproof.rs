//! Project Wycheproof: what implementations have got wrong before, tried on ours. Every valid case comes out, every
//! invalid one is refused; what our types cannot express (another length) counts as refused. How many cases of each kind there
//! are is asserted: a file that lost some shows.
use ::wycheproof::TestResult::{Acceptable, Invalid, Valid};
use ::wycheproof::{aead, eddsa, hkdf, mac, mlkem, xdh};

use super::*;

fn fits<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn secret<const N: usize>(bytes: &[u8]) -> Option<Secret<N>> {
    Secret::copied(bytes).ok()
}

/// [MSG-2] what contributes agrees; an all-zero result is refused, although the suite would put up with it.
#[test]
fn x25519_cases() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let own = secret(&test.private_key).unwrap();
        let shared = fits(&test.public_key).and_then(|public| x25519(&own, &public).ok());
        let zero = test.shared_secret.iter().all(|byte| *byte == 0);
        if zero || test.result == Invalid {
            assert!(shared.is_none(), "{}", test.tc_id);
            refused += 1;
        } else {
            assert!(matches!(test.result, Valid | Acceptable));
            assert_eq!(shared, secret(&test.shared_secret), "{}", test.tc_id);
            agreed += 1;
        }
    }
    assert_eq!((agreed, refused), (487, 31));
}

/// A signature has one encoding, and a key that signs everything signs nothing.
#[test]
fn ed25519_cases() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for group in &set.test_groups {
        let key = fits(&group.key.pk).unwrap();
        for test in &group.tests {
            let signature = fits(&test.sig).map(Signature);
            let good = signature.is_some_and(|signature| verify(&key, b"", &test.msg, &signature).is_ok());
            assert_eq!(good, test.result == Valid, "{}", test.tc_id);
            *(if good { &mut agreed } else { &mut refused }) += 1;
        }
    }
    assert_eq!((agreed, refused), (88, 63));
}

/// Both AEADs seal to the suite's bytes and open nothing else.
#[test]
fn aead_cases() {
    let (mut agreed, mut refused) = ([0; 2], [0; 2]);
    for (place, name) in [aead::TestName::ChaCha20Poly1305, aead::TestName::XChaCha20Poly1305].into_iter().enumerate() {
        let set = aead::TestSet::load(name).unwrap();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let Some(key) = secret(&test.key) else { continue };
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let (short, long) = (fits(&test.nonce), fits(&test.nonce));
            let mut made = Vec::new();
            let (opened, made) = match (short, long) {
                (Some(nonce), _) => {
                    seal(&key, &nonce, &test.aad, &test.pt, &mut made).unwrap();
                    (open(&key, &nonce, &test.aad, &sealed), made)
                }
                (_, Some(nonce)) => {
                    x_seal(&key, &nonce, &test.aad, &test.pt, &mut made).unwrap();
                    (x_open(&key, &nonce, &test.aad, &sealed), made)
                }
                _ => {
                    assert_eq!(test.result, Invalid, "{}", test.tc_id);
                    refused[place] += 1;
                    continue;
                }
            };
            if test.result == Valid {
                assert_eq!((opened.unwrap().as_slice(), made), (&test.pt[..], sealed), "{}", test.tc_id);
                agreed[place] += 1;
            } else {
                assert_eq!(opened, Err(Refused), "{}", test.tc_id);
                refused[place] += 1;
            }
        }
    }
    assert_eq!((agreed, refused), ([256, 246], [69, 69]));
}

/// Every output that ours can give, up to the longest there is.
#[test]
fn hkdf_cases() {
    // An expansion to fewer bytes is the beginning of the longest one.
    const LONGEST: usize = 255 * 32;
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.result == Invalid {
            assert!(test.size > LONGEST, "{}", test.tc_id);
            refused += 1;
            continue;
        }
        let output = super::hkdf::<LONGEST>(&test.salt, &[&test.ikm], &[&test.info]);
        assert_eq!(output.expose()[..test.size], test.okm[..], "{}", test.tc_id);
        agreed += 1;
    }
    assert_eq!((agreed, refused), (83, 3));
}

/// Tags, whole and cut, under every key that ours can have: 32 bytes, or fewer, which RFC 2104 fills with zeros.
#[test]
fn hmac_cases() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut agreed, mut refused, mut longer) = (0, 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            if test.key.len() > 32 {
                longer += 1;
                continue;
            }
            let key = Secret::filled(|bytes| bytes[..test.key.len()].copy_from_slice(&test.key));
            let tag = hmac(&key, &[&test.msg]);
            let same = same(&tag.expose()[..group.tag_size / 8], &test.tag);
            assert_eq!(same, test.result == Valid, "{}", test.tc_id);
            *(if same { &mut agreed } else { &mut refused }) += 1;
        }
    }
    assert_eq!((agreed, refused, longer), (60, 108, 6));
}

/// [MSG-3] keys from seeds, decapsulation with its implicit rejection, encapsulation with its modulus check.
#[test]
fn ml_kem_cases() {
    let load = |name| mlkem::TestSet::load(name).unwrap();
    let (mut decapsulated, mut encapsulated, mut beyond) = (0, 0, 0);
    let sets = [load(mlkem::TestName::MlKem768), load(mlkem::TestName::MlKem768KeyGenSeed)];
    for test in sets.iter().flat_map(|set| &set.test_groups).flat_map(|group| &group.tests) {
        let Some(seed) = test.seed.as_ref().and_then(|seed| secret(seed)) else {
            assert_ne!(test.result, Valid, "{}", test.tc_id);
            continue;
        };
        let pair = ml_kem::KeyPair::from_seed(&seed);
        if let Some(key) = &test.encaps_key {
            assert_eq!(pair.public()[..], key[..], "{}", test.tc_id);
        }
        let (Some(ciphertext), Some(shared)) = (&test.ct, &test.shared_secret) else { continue };
        match fits(ciphertext) {
            Some(ciphertext) if test.result == Valid => {
                assert_eq!(Some(pair.decapsulate(&ciphertext)), secret(shared), "{}", test.tc_id);
                decapsulated += 1;
            }
            _ => assert_eq!(test.result, Invalid, "{}", test.tc_id),
        }
    }
    let set = load(mlkem::TestName::MlKem768Encaps);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(key), Some(random)) = (&test.encaps_key, &test.msg) else { continue };
        let made = fits(key).zip(secret(random)).and_then(|(key, random)| ml_kem::encapsulate(&key, &random).ok());
        if test.result == Valid {
            let (ciphertext, shared) = made.unwrap();
            assert_eq!(test.ct.as_ref().unwrap()[..], ciphertext, "{}", test.tc_id);
            assert_eq!(secret(test.shared_secret.as_ref().unwrap()), Some(shared), "{}", test.tc_id);
            encapsulated += 1;
        } else {
            assert!(made.is_none(), "{}", test.tc_id);
            beyond += 1;
        }
    }
    assert_eq!((decapsulated, encapsulated, beyond), (161, 133, 132));
}
