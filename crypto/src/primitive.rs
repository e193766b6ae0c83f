//! The only file that names third-party ciphers: X25519 (RFC 7748), Ed25519 (RFC 8032), ML-KEM-768 (FIPS 203), X-Wing
//! (draft-connolly-cfrg-xwing-kem), SHA-2 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869), ChaCha20-Poly1305 (RFC 8439),
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) and Argon2id (RFC 9106).
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Tag, XChaCha20Poly1305};
use hmac::{Hmac, Mac};
use sealpost_spec::account::{ML_KEM_KEY, X_WING_KEY};
use sealpost_spec::message::{ML_KEM_CIPHERTEXT, TAG, X_WING_CIPHERTEXT};
use sealpost_spec::wire::Signature;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::secret::{Secret, swept};
#[cfg(test)]
use crate::tap::{Call, called};
use crate::{Refused, Zeroizing};

/// What a cipher uses of the stack in KiB, in a release build and in an unoptimised one.
const fn stack(release: usize, debug: usize) -> usize {
    (if cfg!(debug_assertions) { debug } else { release }) * 1024
}
const HASH: usize = stack(2, 4);
const CURVE: usize = stack(4, 4);
const AEAD: usize = stack(4, 20);
const SPONGE: usize = stack(2, 12);
const KEM: usize = stack(40, 44);
const PASSPHRASE: usize = stack(16, 16);

/// SHA-256 of the concatenation.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// SHA-512 of the concatenation.
pub(crate) fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    parts.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// SHA-256 over a first part that many inputs share.
#[derive(Clone)]
pub(crate) struct Midstate(Sha256);
impl Midstate {
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self(parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)))
    }
    pub(crate) fn finish(&self, rest: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(rest).finalize().into()
    }
}

/// SHA-256 of what comes piece by piece.
#[derive(Clone, Default)]
pub(crate) struct Running(Sha256);
impl Running {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Constant-time equality.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// HMAC-SHA256 of the concatenation.
pub(crate) fn hmac(key: &Secret<32>, parts: &[&[u8]]) -> Secret<32> {
    #[cfg(test)]
    called(Call::Hmac);
    swept::<HASH, _>(|| mac(&mac_block(key), parts))
}

/// HMAC-SHA256 of two inputs, each by itself, under one key.
pub(crate) fn hmac_each(key: &Secret<32>, left: &[u8], right: &[u8]) -> (Secret<32>, Secret<32>) {
    #[cfg(test)]
    [Call::Hmac; 2].into_iter().for_each(called);
    swept::<HASH, _>(|| {
        let block = mac_block(key);
        (mac(&block, &[left]), mac(&block, &[right]))
    })
}

/// RFC 2104 fills a short key with zeros to the block; a whole block has no error case.
fn mac_block(key: &Secret<32>) -> Secret<64> {
    Secret::filled(|block| {
        let (start, _) = block.split_at_mut(32);
        start.copy_from_slice(key.expose());
    })
}

fn mac(block: &Secret<64>, parts: &[&[u8]]) -> Secret<32> {
    let mac = parts.iter().fold(Hmac::<Sha256>::new(block.expose().into()), |mac, part| mac.chain_update(part));
    let output = mac.finalize().into_bytes();
    Secret::filled(|bytes| bytes.copy_from_slice(&output))
}

/// `HKDF(salt, ikm, info)`, both steps, `N` bytes.
pub(crate) fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Secret<N> {
    #[cfg(test)]
    called(Call::Hkdf);
    swept::<HASH, _>(|| {
        let mut extract = hkdf::HkdfExtract::<Sha256>::new(Some(salt));
        ikm.iter().for_each(|part| extract.input_ikm(part));
        let (_, expand) = extract.finalize();
        expanded(&expand, info)
    })
}

/// `HKDF-Extract(salt, ikm)`.
pub(crate) fn hkdf_extract(salt: &[u8], ikm: &[&[u8]]) -> Secret<32> {
    #[cfg(test)]
    called(Call::Hkdf);
    swept::<HASH, _>(|| {
        let mut extract = hkdf::HkdfExtract::<Sha256>::new(Some(salt));
        ikm.iter().for_each(|part| extract.input_ikm(part));
        let (prk, _) = extract.finalize();
        Secret::filled(|bytes| bytes.copy_from_slice(&prk))
    })
}

/// `HKDF-Expand(prk, info, N)`. Errors: none for a key of this length.
pub(crate) fn hkdf_expand<const N: usize>(prk: &Secret<32>, info: &[&[u8]]) -> Result<Secret<N>, Refused> {
    #[cfg(test)]
    called(Call::Hkdf);
    swept::<HASH, _>(|| {
        let expand = hkdf::Hkdf::<Sha256>::from_prk(prk.expose()).map_err(|_| Refused)?;
        Ok(expanded(&expand, info))
    })
}

fn expanded<const N: usize>(expand: &hkdf::Hkdf<Sha256>, info: &[&[u8]]) -> Secret<N> {
    // The only error of an expansion is a length beyond 255 hashes.
    const { assert!(N <= 255 * 32) };
    Secret::filled(|bytes| {
        let done = expand.expand_multi_info(info, bytes);
        debug_assert!(done.is_ok());
    })
}

/// The public key of an X25519 secret.
pub(crate) fn x25519_public(secret: &Secret<32>) -> [u8; 32] {
    #[cfg(test)]
    called(Call::X25519Public);
    swept::<CURVE, _>(|| {
        let secret = x25519_dalek::StaticSecret::from(*secret.expose());
        x25519_dalek::PublicKey::from(&secret).to_bytes()
    })
}

/// X25519. Errors: the all-zero output of a point of low order. **[MSG-2]**
pub(crate) fn x25519(secret: &Secret<32>, public: &[u8; 32]) -> Result<Secret<32>, Refused> {
    #[cfg(test)]
    called(Call::X25519);
    swept::<CURVE, _>(|| {
        let secret = x25519_dalek::StaticSecret::from(*secret.expose());
        let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(*public));
        if !shared.was_contributory() {
            return Err(Refused);
        }
        Secret::copied(shared.as_bytes())
    })
}

/// An Ed25519 key pair.
pub(crate) struct SigningKey(Box<ed25519_dalek::SigningKey>);
impl SigningKey {
    pub(crate) fn from_seed(seed: &Secret<32>) -> Self {
        swept::<CURVE, _>(|| Self(Box::new(ed25519_dalek::SigningKey::from_bytes(seed.expose()))))
    }
    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
    /// Signs `label || body`.
    pub(crate) fn sign(&self, label: &[u8], body: &[u8]) -> Signature {
        use ed25519_dalek::Signer;
        swept::<CURVE, _>(|| Signature(self.0.sign(&[label, body].concat()).to_bytes()))
    }
}

/// Verifies a signature over `label || body`, refusing weak keys and every second encoding (RFC 8032 section 5.1.7 and
/// dalek's `verify_strict`).
pub(crate) fn verify(public: &[u8; 32], label: &[u8], body: &[u8], signature: &Signature) -> Result<(), Refused> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(public).map_err(|_| Refused)?;
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(&[label, body].concat(), &signature).map_err(|_| Refused)
}

/// ML-KEM-768 with the private key as its 64-byte seed `d || z`: an expanded key from elsewhere would not bind.
pub(crate) mod ml_kem {
    use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768KeyPair, MlKem768PublicKey};

    #[cfg(test)]
    use super::{Call, called};
    use super::{KEM, ML_KEM_CIPHERTEXT, ML_KEM_KEY, Refused, Secret, swept};

    /// An expanded key pair, overwritten when dropped.
    pub(crate) struct KeyPair(Box<MlKem768KeyPair>);
    impl KeyPair {
        /// `ML-KEM.KeyGen_internal(d, z)`.
        pub(crate) fn from_seed(seed: &Secret<64>) -> Self {
            #[cfg(test)]
            called(Call::KemKey);
            swept::<KEM, _>(|| Self(Box::new(mlkem768::generate_key_pair(*seed.expose()))))
        }
        pub(crate) fn public(&self) -> [u8; ML_KEM_KEY] {
            *self.0.pk()
        }
        /// From NIST's expanded form, which Sealpost itself takes from nobody.
        #[cfg(test)]
        pub(crate) fn from_expanded(private: [u8; 2400]) -> Self {
            let public = private[1152..][..ML_KEM_KEY].try_into().unwrap();
            Self(Box::new(MlKem768KeyPair::new(private, public)))
        }
        #[cfg(test)]
        pub(crate) fn expanded(&self) -> &[u8; 2400] {
            self.0.sk()
        }
        /// Never fails: a wrong ciphertext gives another secret, which only the AEAD tells.
        pub(crate) fn decapsulate(&self, ciphertext: &[u8; ML_KEM_CIPHERTEXT]) -> Secret<32> {
            #[cfg(test)]
            called(Call::Decapsulate);
            swept::<KEM, _>(|| {
                let shared = mlkem768::decapsulate(self.0.private_key(), &MlKem768Ciphertext::from(ciphertext));
                Secret::filled(|bytes| bytes.copy_from_slice(&shared))
            })
        }
    }
    impl Drop for KeyPair {
        fn drop(&mut self) {
            // The library does not wipe; `black_box` keeps the overwriting from being optimised away.
            *self.0 = MlKem768KeyPair::new([0; 2400], [0; ML_KEM_KEY]);
            std::hint::black_box(&self.0);
        }
    }

    /// The modulus check of FIPS 203 section 7.2. **[MSG-3]**
    pub(crate) fn valid(public: &[u8; ML_KEM_KEY]) -> bool {
        mlkem768::validate_public_key(&MlKem768PublicKey::from(public))
    }

    /// `ML-KEM.Encaps_internal(ek, m)`. Errors: the key fails the modulus check.
    pub(crate) fn encapsulate(
        public: &[u8; ML_KEM_KEY],
        random: &Secret<32>,
    ) -> Result<([u8; ML_KEM_CIPHERTEXT], Secret<32>), Refused> {
        if !valid(public) {
            return Err(Refused);
        }
        #[cfg(test)]
        called(Call::Encapsulate);
        swept::<KEM, _>(|| {
            let (ciphertext, shared) = mlkem768::encapsulate(&MlKem768PublicKey::from(public), *random.expose());
            Ok((ciphertext.into(), Secret::filled(|bytes| bytes.copy_from_slice(&shared))))
        })
    }

    #[cfg(all(test, target_os = "linux", not(miri)))]
    mod memory;
}

/// X-Wing: ML-KEM-768 and X25519, private key a 32-byte seed (draft-connolly-cfrg-xwing-kem section 5).
pub(crate) mod x_wing {
    #[cfg(test)]
    use super::{Call, called};
    use super::{
        ML_KEM_CIPHERTEXT, ML_KEM_KEY, Refused, SPONGE, Secret, X_WING_CIPHERTEXT, X_WING_KEY, ml_kem, swept, x25519,
        x25519_public,
    };

    const LABEL: &[u8; 6] = br"\.//^\";

    fn expand(seed: &Secret<32>) -> (ml_kem::KeyPair, Secret<32>) {
        #[cfg(test)]
        called(Call::XWing);
        let expanded =
            swept::<SPONGE, _>(|| Secret::<96>::filled(|bytes| libcrux_sha3::shake256_ema(bytes, seed.expose())));
        let (kem, curve) = expanded.expose().split_at(64);
        let kem = Secret::filled(|bytes| bytes.copy_from_slice(kem));
        (ml_kem::KeyPair::from_seed(&kem), Secret::filled(|bytes| bytes.copy_from_slice(curve)))
    }

    fn combine(kem: &Secret<32>, dh: &Secret<32>, ciphertext: &[u8], public: &[u8]) -> Secret<32> {
        let input = zeroize::Zeroizing::new(
            [&kem.expose()[..], &dh.expose()[..], ciphertext, public, LABEL.as_slice()].concat(),
        );
        #[cfg(test)]
        called(Call::XWing);
        swept::<SPONGE, _>(|| Secret::filled(|bytes| libcrux_sha3::sha256_ema(bytes, &input)))
    }

    /// `pk_M || pk_X`.
    pub(crate) fn public(seed: &Secret<32>) -> Vec<u8> {
        let (kem, curve) = expand(seed);
        [&kem.public()[..], &x25519_public(&curve)].concat()
    }

    fn split<const N: usize, const M: usize>(bytes: &[u8; M]) -> Result<(&[u8; N], &[u8; 32]), Refused> {
        let (kem, curve) = bytes.split_first_chunk::<N>().ok_or(Refused)?;
        Ok((kem, curve.try_into().map_err(|_| Refused)?))
    }

    /// Whether the ML-KEM half passes its modulus check.
    pub(crate) fn valid(public: &[u8]) -> bool {
        public.first_chunk::<ML_KEM_KEY>().is_some_and(ml_kem::valid) && public.len() == X_WING_KEY
    }

    /// `EncapsulateDerand(pk, random || ephemeral)`.
    pub(crate) fn encapsulate(
        public: &[u8; X_WING_KEY],
        random: &Secret<32>,
        ephemeral: &Secret<32>,
    ) -> Result<([u8; X_WING_CIPHERTEXT], Secret<32>), Refused> {
        let (kem, curve) = split::<ML_KEM_KEY, X_WING_KEY>(public)?;
        let (kem_ciphertext, kem_shared) = ml_kem::encapsulate(kem, random)?;
        let curve_ciphertext = x25519_public(ephemeral);
        let shared = combine(&kem_shared, &x25519(ephemeral, curve)?, &curve_ciphertext, curve);
        let mut ciphertext = [0; X_WING_CIPHERTEXT];
        let (to_kem, to_curve) = ciphertext.split_at_mut(ML_KEM_CIPHERTEXT);
        to_kem.copy_from_slice(&kem_ciphertext);
        to_curve.copy_from_slice(&curve_ciphertext);
        Ok((ciphertext, shared))
    }

    /// `Decapsulate(ct, sk)`. `public`: the X25519 half of the own public key, so that it is not derived again.
    pub(crate) fn decapsulate(
        seed: &Secret<32>,
        public: &[u8; X_WING_KEY],
        ciphertext: &[u8; X_WING_CIPHERTEXT],
    ) -> Result<Secret<32>, Refused> {
        let (_, curve_public) = split::<ML_KEM_KEY, X_WING_KEY>(public)?;
        let (kem, curve) = split::<ML_KEM_CIPHERTEXT, X_WING_CIPHERTEXT>(ciphertext)?;
        let (kem_secret, curve_secret) = expand(seed);
        let kem_shared = kem_secret.decapsulate(kem);
        Ok(combine(&kem_shared, &x25519(&curve_secret, curve)?, curve, curve_public))
    }
}

/// ChaCha20-Poly1305: ciphertext and tag appended to `message`. Errors: more than 256 GiB.
pub(crate) fn seal(
    key: &Secret<32>,
    nonce: &[u8; 12],
    associated: &[u8],
    plaintext: &[u8],
    message: &mut Vec<u8>,
) -> Result<(), Refused> {
    swept::<AEAD, _>(|| {
        append(&ChaCha20Poly1305::new(key.expose().into()), nonce.into(), associated, plaintext, message)
    })
}

/// Opens [`seal`].
pub(crate) fn open(
    key: &Secret<32>,
    nonce: &[u8; 12],
    associated: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    open_in_place(key, nonce, associated, ciphertext.to_vec())
}

/// Opens [`seal`] in the memory of the ciphertext, where it is long.
pub(crate) fn open_in_place(
    key: &Secret<32>,
    nonce: &[u8; 12],
    associated: &[u8],
    ciphertext: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    #[cfg(test)]
    called(Call::Open);
    swept::<AEAD, _>(|| opened(&ChaCha20Poly1305::new(key.expose().into()), nonce.into(), associated, ciphertext))
}

/// XChaCha20-Poly1305: ciphertext and tag appended to `message`. Errors: more than 256 GiB.
pub(crate) fn x_seal(
    key: &Secret<32>,
    nonce: &[u8; 24],
    associated: &[u8],
    plaintext: &[u8],
    message: &mut Vec<u8>,
) -> Result<(), Refused> {
    swept::<AEAD, _>(|| {
        append(&XChaCha20Poly1305::new(key.expose().into()), nonce.into(), associated, plaintext, message)
    })
}

/// Opens [`x_seal`].
pub(crate) fn x_open(
    key: &Secret<32>,
    nonce: &[u8; 24],
    associated: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    swept::<AEAD, _>(|| {
        opened(&XChaCha20Poly1305::new(key.expose().into()), nonce.into(), associated, ciphertext.to_vec())
    })
}

fn append<A: AeadInOut<TagSize = chacha20poly1305::consts::U16>>(
    cipher: &A,
    nonce: &chacha20poly1305::aead::Nonce<A>,
    associated: &[u8],
    plaintext: &[u8],
    message: &mut Vec<u8>,
) -> Result<(), Refused> {
    let start = message.len();
    // All room first: growing later would leave plaintext in freed memory.
    message.reserve_exact(plaintext.len() + TAG);
    message.extend_from_slice(plaintext);
    let (_, buffer) = message.split_at_mut_checked(start).ok_or(Refused)?;
    match cipher.encrypt_inout_detached(nonce, associated, buffer.into()) {
        Ok(tag) => {
            message.extend_from_slice(&tag);
            Ok(())
        }
        Err(_) => {
            message.truncate(start);
            Err(Refused)
        }
    }
}

fn opened<A: AeadInOut<TagSize = chacha20poly1305::consts::U16>>(
    cipher: &A,
    nonce: &chacha20poly1305::aead::Nonce<A>,
    associated: &[u8],
    ciphertext: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let mut plaintext = Zeroizing::new(ciphertext);
    let (buffer, tag) = plaintext.split_last_chunk_mut::<TAG>().ok_or(Refused)?;
    let tag = Tag::from(*tag);
    let length = buffer.len();
    cipher.decrypt_inout_detached(nonce, associated, buffer.into(), &tag).map_err(|_| Refused)?;
    plaintext.truncate(length);
    Ok(plaintext)
}

/// Argon2id version 0x13, 32 bytes. `memory` in KiB. Errors: parameters that RFC 9106 section 3.1 excludes.
pub(crate) fn argon2id(
    passphrase: &[u8],
    salt: &[u8; 16],
    memory: u32,
    passes: u32,
    lanes: u32,
) -> Result<Secret<32>, Refused> {
    let params = argon2::Params::new(memory, passes, lanes, Some(32)).map_err(|_| Refused)?;
    let mut blocks = vec![argon2::Block::default(); params.block_count()];
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut done = Err(Refused);
    let key = swept::<PASSPHRASE, _>(|| {
        Secret::filled(|bytes| {
            done = argon2.hash_password_into_with_memory(passphrase, salt, bytes, &mut blocks).map_err(|_| Refused);
        })
    });
    // The last blocks are as good as the key, and the library leaves them to whoever is given the memory next.
    blocks.iter_mut().for_each(zeroize::Zeroize::zeroize);
    done.map(|()| key)
}

/// Letters of the longest words of the English list.
const LONGEST_WORD: usize = 8;

/// The 24 words of 32 bytes of entropy (BIP 39, English list). Errors: none for this length.
pub(crate) fn words(entropy: &Secret<32>) -> Result<Zeroizing<String>, Refused> {
    swept::<HASH, _>(|| {
        let mnemonic = bip39::Mnemonic::from_entropy(entropy.expose()).map_err(|_| Refused)?;
        // Room for all at once, and no list of them: freed memory would keep either.
        let mut text = Zeroizing::new(String::with_capacity(24 * (LONGEST_WORD + 1)));
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        Ok(text)
    })
}

/// The entropy of 24 words. Errors: another number of words, a word not on the list, a wrong checksum.
pub(crate) fn entropy(words: &str) -> Result<Secret<32>, Refused> {
    swept::<HASH, _>(|| {
        let mnemonic = bip39::Mnemonic::parse_in(bip39::Language::English, words).map_err(|_| Refused)?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        Secret::copied(&entropy)
    })
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod published;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod wycheproof;
