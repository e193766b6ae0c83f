//! Attachments, sealed chunk by chunk (`spec/attachment.md`): the STREAM construction of Hoang, Reyhanitabar, Rogaway and
//! Vizár over ChaCha20-Poly1305. Nothing here holds more than one chunk.
use sealpost_spec::attachment::{BlobId, CHUNK, CHUNK_SALT, PART, parts};
use sealpost_spec::label;

use crate::primitive::{Running, hkdf, open, same, seal};
use crate::secret::Secret;
use crate::{CryptoRng, Refused, Zeroizing};

/// The chunks of one file.
pub struct Chunks {
    key: Secret<32>,
    blob: BlobId,
    size: u64,
    parts: u32,
}

impl Chunks {
    /// Of the file of this size that lies in this blob.
    ///
    /// # Errors
    /// No blob is so large.
    pub fn new(key: &[u8; 32], blob: BlobId, size: u64) -> Result<Self, Refused> {
        Ok(Self { key: Secret::copied(key)?, blob, size, parts: parts(size).ok_or(Refused)? })
    }

    /// How many there are. **[FILE-4]**
    pub fn parts(&self) -> u32 {
        self.parts
    }

    /// How many bytes of the file are in this one.
    pub fn bytes(&self, number: u32) -> usize {
        let before = u64::from(number) * CHUNK as u64;
        usize::try_from(self.size.saturating_sub(before)).unwrap_or(usize::MAX).min(CHUNK)
    }

    /// Seals a chunk of the file.
    ///
    /// # Errors
    /// There is no such chunk, or it has another length.
    pub fn seal(&self, number: u32, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Refused> {
        if number >= self.parts || plaintext.len() != self.bytes(number) {
            return Err(Refused);
        }
        let mut padded = Zeroizing::new(Vec::with_capacity(CHUNK));
        padded.extend_from_slice(plaintext);
        padded.resize(CHUNK, 0);
        // [FILE-2] anew each time: the file may be another one by now.
        let mut salt = [0; CHUNK_SALT];
        rng.fill_bytes(&mut salt);
        let mut sealed = Vec::with_capacity(PART);
        sealed.extend_from_slice(&salt);
        seal(&self.key(&salt), &nonce(number, self.last(number)), &[], &padded, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens a chunk: the bytes of the file that are in it.
    ///
    /// # Errors
    /// It is not the chunk of this number, or its padding is not zeros. **[FILE-3]** **[FILE-4]**
    pub fn open(&self, number: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        if number >= self.parts || sealed.len() != PART {
            return Err(Refused);
        }
        let (salt, ciphertext) = sealed.split_first_chunk::<CHUNK_SALT>().ok_or(Refused)?;
        let mut plaintext = open(&self.key(salt), &nonce(number, self.last(number)), &[], ciphertext)?;
        let (_, padding) = plaintext.split_at_checked(self.bytes(number)).ok_or(Refused)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Refused);
        }
        plaintext.truncate(self.bytes(number));
        Ok(plaintext)
    }

    fn last(&self, number: u32) -> bool {
        number + 1 == self.parts
    }

    fn key(&self, salt: &[u8; CHUNK_SALT]) -> Secret<32> {
        chunk_key(&self.key, &self.blob, salt)
    }
}

/// The key of one chunk.
pub(crate) fn chunk_key(file: &Secret<32>, blob: &BlobId, salt: &[u8; CHUNK_SALT]) -> Secret<32> {
    hkdf(salt, &[file.expose()], &[label::ATTACHMENT, &blob.0])
}

/// Which chunk it is, and whether it is the last one.
pub(crate) fn nonce(number: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (start, end) = nonce.split_at_mut(8);
    start.copy_from_slice(&u64::from(number).to_le_bytes());
    if let Some(flag) = end.last_mut() {
        *flag = u8::from(last);
    }
    nonce
}

/// The hash of a file that is read piece by piece.
#[derive(Clone, Default)]
pub struct FileHash(Running);

impl FileHash {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// SHA-256 of all of them.
    pub fn finish(self) -> [u8; 32] {
        self.0.finish()
    }

    /// Whether it is this one.
    pub fn is(self, hash: &[u8; 32]) -> bool {
        same(&self.finish(), hash)
    }
}

#[cfg(test)]
mod tests;
