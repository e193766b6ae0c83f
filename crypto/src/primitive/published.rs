//! Vectors that their authors publish as files, and a second ML-KEM, of other authors, held to the same.
use ::ml_kem::array::Array;
use ::ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
use ::ml_kem::{Decapsulate, KeyExport};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::tests::{array, hex, secret};
use super::*;

/// The lines of a file without its comments, in words.
fn lines(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
}

/// The other ML-KEM's public key, ciphertext and shared secret.
fn others_key(seed: &Secret<64>) -> DecapsulationKey {
    DecapsulationKey::from_seed(Array(*seed.expose()))
}
fn others_public(key: &DecapsulationKey) -> [u8; ML_KEM_KEY] {
    key.encapsulation_key().to_bytes().as_slice().try_into().unwrap()
}
fn others_encapsulation(public: &[u8; ML_KEM_KEY], random: &Secret<32>) -> ([u8; ML_KEM_CIPHERTEXT], Secret<32>) {
    let key = EncapsulationKey::new(&Array(*public)).unwrap();
    let (ciphertext, shared) = key.encapsulate_deterministic(&Array(*random.expose()));
    (ciphertext.as_slice().try_into().unwrap(), Secret::copied(&shared).unwrap())
}
fn others_decapsulation(key: &DecapsulationKey, ciphertext: &[u8; ML_KEM_CIPHERTEXT]) -> Secret<32> {
    Secret::copied(&key.decapsulate(&Array(*ciphertext))).unwrap()
}

/// FIPS 203, NIST's ACVP: key generation, encapsulation, and decapsulation with its implicit rejection, of both ML-KEMs.
#[test]
#[allow(deprecated, reason = "NIST gives the key to decapsulate with in its expanded form only")]
fn ml_kem_agrees_with_acvp() {
    let mut tried = [0; 4];
    let mut keys = None;
    for line in lines(include_str!("acvp.txt")) {
        match line[..] {
            ["keygen", d, z, public, private] => {
                let seed = secret(&[d, z].concat());
                let pair = ml_kem::KeyPair::from_seed(&seed);
                assert_eq!(sha256(&[&pair.public()]), array(public));
                assert_eq!(sha256(&[pair.expanded()]), array(private));
                assert_eq!(others_public(&others_key(&seed)), pair.public());
                tried[0] += 1;
            }
            ["encapsulate", public, random, ciphertext, shared] => {
                let (public, random) = (array(public), secret(random));
                for made in [ml_kem::encapsulate(&public, &random).unwrap(), others_encapsulation(&public, &random)] {
                    assert_eq!((sha256(&[&made.0]), made.1), (array(ciphertext), secret(shared)));
                }
                tried[1] += 1;
            }
            ["key", private] => {
                let private: [u8; 2400] = array(private);
                let other = DecapsulationKey::from_expanded(&Array(private)).unwrap();
                keys = Some((ml_kem::KeyPair::from_expanded(private), other));
            }
            ["decapsulate", ciphertext, shared, reason] => {
                let (pair, other) = keys.as_ref().unwrap();
                let ciphertext = array(ciphertext);
                assert_eq!(pair.decapsulate(&ciphertext), secret(shared), "{reason}");
                assert_eq!(others_decapsulation(other, &ciphertext), secret(shared), "{reason}");
                tried[if reason == "no-modification" { 2 } else { 3 }] += 1;
            }
            _ => panic!("{line:?}"),
        }
    }
    assert_eq!(tried, [25, 25, 5, 5]);
}

/// On random seeds both ML-KEMs make the same key, the same ciphertext and the same secret, also of a ciphertext that was
/// altered; and take and refuse the same public keys.
#[test]
fn two_ml_kems_agree() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let mut tried = [0; 2];
    for _ in 0..20 {
        let (seed, random) = (Secret::random(rng), Secret::random(rng));
        let (pair, other) = (ml_kem::KeyPair::from_seed(&seed), others_key(&seed));
        let mut public = pair.public();
        assert_eq!(others_public(&other), public);
        let made = ml_kem::encapsulate(&public, &random).unwrap();
        assert_eq!(others_encapsulation(&public, &random), made);
        let (mut ciphertext, shared) = made;
        assert_eq!(pair.decapsulate(&ciphertext), shared);
        assert_eq!(others_decapsulation(&other, &ciphertext), shared);
        ciphertext[rng.next_u32() as usize % ML_KEM_CIPHERTEXT] ^= 1 << (rng.next_u32() % 8);
        assert_eq!(pair.decapsulate(&ciphertext), others_decapsulation(&other, &ciphertext));
        // Two bytes at random often put a coefficient beyond the modulus.
        for _ in 0..8 {
            let place = rng.next_u32() as usize % 1_000;
            rng.fill_bytes(&mut public[place..][..2]);
            let valid = ml_kem::valid(&public);
            assert_eq!(valid, EncapsulationKey::new(&Array(public)).is_ok());
            tried[usize::from(valid)] += 1;
        }
    }
    assert!(tried[0] > 20 && tried[1] > 20, "{tried:?}");
}

/// draft-connolly-cfrg-xwing-kem-09: public key, ciphertext and shared secret of all three vectors, and back again.
#[test]
fn x_wing_agrees_with_its_draft() {
    let mut tried = 0;
    for line in lines(include_str!("x_wing.txt")) {
        let [seed, randomness, public, ciphertext, shared] = line[..] else { panic!("{line:?}") };
        let (random, ephemeral) = randomness.split_at(64);
        let (seed, public) = (secret(seed), array(public));
        assert_eq!(x_wing::public(&seed), public);
        let made = x_wing::encapsulate(&public, &secret(random), &secret(ephemeral)).unwrap();
        assert_eq!(made, (array(ciphertext), secret(shared)));
        assert_eq!(x_wing::decapsulate(&seed, &public, &made.0), Ok(secret(shared)));
        tried += 1;
    }
    assert_eq!(tried, 3);
}

/// RFC 9180 appendix A.2.1, DHKEM(X25519), from the two private keys to the message: the KEM is made of the same X25519 and
/// HKDF as all else here, key schedule and AEAD are those of the sealed box.
#[test]
fn single_shot_hpke_agrees_with_its_rfc() {
    const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";
    let ephemeral = secret("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600");
    let recipient = secret("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let (sent, public) = (x25519_public(&ephemeral), x25519_public(&recipient));
    assert_eq!(sent, array("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"));
    assert_eq!(public, array("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"));
    for dh in [x25519(&ephemeral, &public).unwrap(), x25519(&recipient, &sent).unwrap()] {
        let prk = hkdf_extract(b"", &[b"HPKE-v1", b"KEM\x00\x20", b"eae_prk", dh.expose()]);
        let shared: Secret<32> =
            hkdf_expand(&prk, &[&[0, 32], b"HPKE-v1", b"KEM\x00\x20", b"shared_secret", &sent, &public]).unwrap();
        assert_eq!(shared, secret("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7"));
        let info = hex("4f6465206f6e2061204772656369616e2055726e");
        let (key, nonce) = crate::sealed::key_schedule(SUITE, &shared, &info).unwrap();
        assert_eq!(key, secret("ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"));
        assert_eq!(nonce, array("5c4d98150661b848853b547f"));
        let plaintext = hex("4265617574792069732074727574682c20747275746820626561757479");
        let mut sealed = Vec::new();
        seal(&key, &nonce, b"Count-0", &plaintext, &mut sealed).unwrap();
        let expected = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";
        assert_eq!(sealed, hex(expected));
        assert_eq!(open(&key, &nonce, b"Count-0", &sealed).unwrap().as_slice(), plaintext);
    }
}
