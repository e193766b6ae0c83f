use crate::account::{DeviceId, PrekeyId};
use crate::wire::layout::{Reader, Writer};
use crate::wire::{Bytes, DecodeError, Signature, Signed};

/// Bytes of an X-Wing ciphertext: ML-KEM-768, then X25519.
pub const X_WING_CIPHERTEXT: usize = 1120;

/// The three sizes of a sealed box in bytes, all included: nothing else about its length is to be learned.
/// **[MSG-20]**
pub const BOX_SIZES: [usize; 3] = [6 * 1024, 16 * 1024, 60 * 1024];

/// What a box spends before its plaintext: key id, X-Wing ciphertext, tag.
pub const BOX_OVERHEAD: usize = 4 + X_WING_CIPHERTEXT + super::TAG;

/// A sealed box as it travels (RFC 9180 base mode; KEM X-Wing).
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBox {
    /// Which box key of the recipient's device it is addressed to.
    pub key: PrekeyId,
    /// HPKE's `enc`.
    pub encapsulated: [u8; X_WING_CIPHERTEXT],
    /// HPKE's ciphertext with tag, over the padded [`Sealing`].
    pub ciphertext: Vec<u8>,
}

impl SealedBox {
    /// The bytes that travel.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new().u32(self.key.0).fixed(&self.encapsulated).fixed(&self.ciphertext).done()
    }

    /// Parses a box.
    ///
    /// # Errors
    /// Its length is none of [`BOX_SIZES`], or its key id is 0.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        if !BOX_SIZES.contains(&bytes.len()) {
            return Err(DecodeError);
        }
        let mut reader = Reader::new(bytes);
        let key = PrekeyId(reader.u32()?);
        if key == PrekeyId::NONE {
            return Err(DecodeError);
        }
        Ok(Self { key, encapsulated: reader.fixed()?, ciphertext: reader.rest().to_vec() })
    }
}

/// What is inside a sealed box: who says to have sent it, and a session message that proves or refutes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The sending device.
    pub device: DeviceId,
    /// The sender's device list, its certificate.
    pub list: Signed,
    /// An encoded [`super::SessionMessage`].
    pub message: Vec<u8>,
}

impl Sealing {
    /// The layout, padded with zeros to the smallest box it fits; `None` where it fits none.
    pub fn padded(&self) -> Option<Vec<u8>> {
        let mut bytes = Writer::new()
            .u32(self.device.0)
            .long(&self.list.body.0)
            .fixed(&self.list.signature.0)
            .long(&self.message)
            .done();
        let size = BOX_SIZES.iter().map(|size| size - BOX_OVERHEAD).find(|size| *size >= bytes.len())?;
        bytes.resize(size, 0);
        Some(bytes)
    }

    /// Parses a padded layout.
    ///
    /// # Errors
    /// A field is cut short, or the padding is not zero, or it would have fitted a smaller box. **[MSG-21]**
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let sealing = Self {
            device: DeviceId(reader.u32()?),
            list: Signed { body: Bytes(reader.long()?.to_vec()), signature: Signature(reader.fixed()?) },
            message: reader.long()?.to_vec(),
        };
        let padding = reader.rest();
        let used = bytes.len() - padding.len();
        let smallest = BOX_SIZES.iter().map(|size| size - BOX_OVERHEAD).find(|size| *size >= used);
        if padding.iter().any(|byte| *byte != 0) || smallest != Some(bytes.len()) {
            return Err(DecodeError);
        }
        Ok(sealing)
    }
}
