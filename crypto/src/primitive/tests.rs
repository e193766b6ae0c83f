/// Points of low order on the curve and its twist, and their second encodings (RFC 7748 section 6.1; the list of
/// cr.yp.to/ecdh.html).
pub(crate) const LOW_ORDER: [[u8; 32]; 7] = {
    let mut points = [[0; 32]; 7];
    points[1][0] = 1;
    points[2] = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ];
    points[3] = [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ];
    points[4] = [0xff; 32];
    points[4][0] = 0xec;
    points[4][31] = 0x7f;
    points[5] = [0xff; 32];
    points[5][0] = 0xed;
    points[5][31] = 0x7f;
    points[6] = [0xff; 32];
    points[6][0] = 0xee;
    points[6][31] = 0x7f;
    points
};

use super::*;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

pub(crate) fn secret<const N: usize>(text: &str) -> Secret<N> {
    Secret::copied(&hex(text)).unwrap()
}

pub(crate) fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// RFC 7748 section 6.1.
#[test]
fn x25519_agrees_with_its_rfc() {
    let bob = secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let alice = array("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_eq!(x25519_public(&bob), array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
    let shared = secret("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(x25519(&bob, &alice), Ok(shared));
}

/// [MSG-2] no secret agrees with a point of low order, in any of the encodings of each: the top bit counts for nothing.
#[test]
fn points_of_low_order_are_refused() {
    for mut point in LOW_ORDER {
        for top in [0, 0x80] {
            point[31] |= top;
            for secret in [1, 7, 0xff] {
                assert_eq!(x25519(&Secret::filled(|bytes| bytes.fill(secret)), &point), Err(Refused), "{point:?}");
            }
        }
    }
}

/// RFC 8032 section 7.1, test 1; the label is empty there.
#[test]
fn ed25519_agrees_with_its_rfc_and_is_strict() {
    let key = SigningKey::from_seed(&secret("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    assert_eq!(key.public(), array("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"));
    let signature = Signature(array(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ));
    assert_eq!(key.sign(b"", b""), signature);
    assert_eq!(verify(&key.public(), b"", b"", &signature), Ok(()));
    assert_eq!(verify(&key.public(), b"label", b"", &signature), Err(Refused));
    // S + L: the same signature in a second encoding.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut second = signature;
    let mut carry = 0;
    for (byte, add) in second.0[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(verify(&key.public(), b"", b"", &second), Err(Refused));
    // The neutral element as key and commitment fits every message for who does not refuse weak keys.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut any = [0; 64];
    any[0] = 1;
    assert_eq!(verify(&neutral, b"", b"any", &Signature(any)), Err(Refused));
}

/// RFC 4231 section 4.2 has a key of 20 bytes, here filled with zeros as RFC 2104 does; RFC 5869 appendix A.1.
#[test]
fn hmac_and_hkdf_agree_with_their_rfcs() {
    let key = Secret::filled(|bytes| bytes[..20].fill(0x0b));
    let tag = secret("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_eq!(hmac(&key, &[b"Hi ", b"There"]), tag);
    let info = hex("f0f1f2f3f4f5f6f7f8f9");
    let (salt, output) = (
        hex("000102030405060708090a0b0c"),
        secret::<42>("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    );
    assert_eq!(hkdf(&salt, &[&[0x0b; 20], &[0x0b; 2]], &[&info]), output);
    assert_eq!(hkdf_expand(&hkdf_extract(&salt, &[&[0x0b; 22]]), &[&info]), Ok(output));
}

const LADIES: &[u8] = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
    sunscreen would be it.";

/// RFC 8439 section 2.8.2 and draft-irtf-cfrg-xchacha appendix A.3.1.
#[test]
fn the_aeads_agree_with_their_documents() {
    let key = Secret::filled(|bytes| (0x80..).zip(bytes).for_each(|(value, byte)| *byte = value));
    let associated = hex("50515253c0c1c2c3c4c5c6c7");
    let nonce = array("070000004041424344454647");
    let mut sealed = Vec::new();
    seal(&key, &nonce, &associated, LADIES, &mut sealed).unwrap();
    assert_eq!(sealed[..16], hex("d31a8d34648e60db7b86afbc53ef7ec2"));
    assert_eq!(sealed[LADIES.len()..], hex("1ae10b594f09e26a7e902ecbd0600691"));
    assert_eq!(open(&key, &nonce, &associated, &sealed).unwrap().as_slice(), LADIES);
    assert_eq!(open(&key, &nonce, b"", &sealed), Err(Refused));
    let nonce = array("404142434445464748494a4b4c4d4e4f5051525354555657");
    let mut sealed = Vec::new();
    x_seal(&key, &nonce, &associated, LADIES, &mut sealed).unwrap();
    assert_eq!(sealed[..16], hex("bd6d179d3e83d43b9576579493c0e939"));
    assert_eq!(sealed[LADIES.len()..], hex("c0875924c1c7987947deafd8780acf49"));
    assert_eq!(x_open(&key, &nonce, &associated, &sealed).unwrap().as_slice(), LADIES);
    assert_eq!(x_open(&key, &nonce, &associated, &sealed[..15]), Err(Refused));
}

/// RFC 9106 section 5.3, whose secret and associated data Sealpost does not use.
#[test]
fn argon2id_agrees_with_its_rfc() {
    let params = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 =
        argon2::Argon2::new_with_secret(&[3; 8], argon2::Algorithm::Argon2id, argon2::Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    assert_eq!(tag, array("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"));
}

/// [MSG-3] a coefficient beyond the modulus is no key; and decapsulation of garbage gives a secret like any other.
#[test]
fn ml_kem_checks_its_modulus() {
    let pair = ml_kem::KeyPair::from_seed(&Secret::filled(|bytes| bytes.fill(5)));
    let random = Secret::filled(|bytes| bytes.fill(6));
    let (ciphertext, shared) = ml_kem::encapsulate(&pair.public(), &random).unwrap();
    assert_eq!(pair.decapsulate(&ciphertext), shared);
    let mut other = ciphertext;
    other[100] ^= 1;
    assert_ne!(pair.decapsulate(&other), shared);
    assert_eq!(pair.decapsulate(&other), pair.decapsulate(&other));
    // The first coefficient as 3329, which is the modulus itself.
    let mut key = pair.public();
    key[0] = 0x01;
    key[1] = key[1] & 0xf0 | 0x0d;
    assert!(!ml_kem::valid(&key) && ml_kem::valid(&pair.public()));
    assert_eq!(ml_kem::encapsulate(&key, &random).err(), Some(Refused));
}

/// BIP 39's own vectors for 256 bits.
#[test]
fn recovery_words_are_bip_39s() {
    let zero = Secret::filled(|_| ());
    let text = format!("{}art", "abandon ".repeat(23));
    assert_eq!(words(&zero).unwrap().as_str(), text);
    assert_eq!(entropy(&text), Ok(zero));
    assert_eq!(words(&Secret::filled(|bytes| bytes.fill(0xff))).unwrap().split(' ').next_back(), Some("vote"));
    assert_eq!(bip39::Language::English.word_list().iter().map(|word| word.len()).max(), Some(LONGEST_WORD));
    // Twelve words are somebody else's mnemonic, and a wrong last word fails the checksum.
    assert_eq!(entropy(&format!("{}about", "abandon ".repeat(11))), Err(Refused));
    assert_eq!(entropy(&format!("{}abandon", "abandon ".repeat(23))), Err(Refused));
}

/// What a cipher wrote to the stack is overwritten when it returns, however deep it went: a library that comes to use more
/// shows here.
#[test]
fn a_cipher_leaves_no_stack_unswept() {
    let (key, seed) = (Secret::filled(|bytes| bytes.fill(7)), Secret::filled(|bytes| bytes.fill(7)));
    let pair = ml_kem::KeyPair::from_seed(&seed);
    let (ciphertext, _) = ml_kem::encapsulate(&pair.public(), &key).unwrap();
    let wing: [u8; X_WING_KEY] = x_wing::public(&key).try_into().unwrap();
    let (wing_ciphertext, _) = x_wing::encapsulate(&wing, &key, &key).unwrap();
    let signing = SigningKey::from_seed(&key);
    let long = vec![0; 60_000];
    let (mut sealed, mut x_sealed) = (Vec::new(), Vec::new());
    seal(&key, &[0; 12], &long, &long, &mut sealed).unwrap();
    x_seal(&key, &[0; 24], &long, &long, &mut x_sealed).unwrap();
    let works: [(&str, &dyn Fn()); 19] = [
        ("hmac", &|| drop(hmac(&key, &[&long]))),
        ("hmac_each", &|| drop(hmac_each(&key, &long, &long))),
        ("hkdf", &|| drop(hkdf::<64>(&[0; 32], &[&long], &[&long]))),
        ("hkdf_extract", &|| drop(hkdf_extract(&[0; 32], &[&long]))),
        ("hkdf_expand", &|| drop(hkdf_expand::<64>(&key, &[&long]))),
        ("x25519_public", &|| drop(Box::new(x25519_public(&key)))),
        ("x25519", &|| drop(x25519(&key, &[9; 32]))),
        ("from_seed", &|| drop(SigningKey::from_seed(&key))),
        ("sign", &|| drop(Box::new(signing.sign(b"label", &long)))),
        ("key pair", &|| drop(ml_kem::KeyPair::from_seed(&seed))),
        ("encapsulate", &|| drop(ml_kem::encapsulate(&pair.public(), &key).map(|(_, shared)| shared))),
        ("decapsulate", &|| drop(pair.decapsulate(&ciphertext))),
        ("X-Wing", &|| drop(x_wing::decapsulate(&key, &wing, &wing_ciphertext))),
        ("seal", &|| seal(&key, &[0; 12], &long, &long, &mut Vec::new()).unwrap()),
        ("open", &|| drop(open(&key, &[0; 12], &long, &sealed))),
        ("x_seal", &|| x_seal(&key, &[0; 24], &long, &long, &mut Vec::new()).unwrap()),
        ("x_open", &|| drop(x_open(&key, &[0; 24], &long, &x_sealed))),
        ("argon2id", &|| drop(argon2id(b"passphrase", &[0; 16], 64, 2, 4))),
        ("words", &|| drop(words(&key).and_then(|words| entropy(&words)))),
    ];
    for (name, work) in works {
        let left = crate::tap::left_unswept(work);
        assert!(left < 512, "{name}: {left} bytes");
    }
}
