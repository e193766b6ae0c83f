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
    /// The bytes before the ciphertext, with memory for a ciphertext of this length and its tag.
    pub fn header_layout(key: PrekeyId, encapsulated: &[u8; X_WING_CIPHERTEXT], ciphertext: usize) -> Vec<u8> {
        Writer::with_room(BOX_OVERHEAD + ciphertext).u32(key.0).fixed(encapsulated).done()
    }

    /// The bytes that travel.
    pub fn layout(&self) -> Vec<u8> {
        let mut bytes = Self::header_layout(self.key, &self.encapsulated, self.ciphertext.len());
        bytes.extend_from_slice(&self.ciphertext);
        bytes
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
        let length = 4 + 4 + self.list.body.0.len() + 64 + 4 + self.message.len();
        let room = room(length)?;
        let mut bytes = Writer::with_room(room)
            .u32(self.device.0)
            .long(&self.list.body.0)
            .fixed(&self.list.signature.0)
            .long(&self.message)
            .done();
        bytes.resize(room, 0);
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
        // To the end in any case: a loop without a way out reads many bytes at once.
        let zeros = padding.iter().fold(0, |seen, byte| seen | byte) == 0;
        if !zeros || room(used) != Some(bytes.len()) {
            return Err(DecodeError);
        }
        Ok(sealing)
    }
}

/// What the smallest box that `length` bytes fit has room for. **[MSG-20]**
fn room(length: usize) -> Option<usize> {
    BOX_SIZES.iter().map(|size| size - BOX_OVERHEAD).find(|room| *room >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a sealing spends besides its message: device, list with its length and signature, the message's length.
    const BESIDES: usize = 4 + 4 + 115 + 64 + 4;

    fn sealing(length: usize) -> Sealing {
        let list = Signed { body: Bytes(vec![1; 115]), signature: Signature([2; 64]) };
        Sealing { device: DeviceId::FIRST, list, message: vec![3; length] }
    }

    /// [MSG-20] every length has the smallest box that it fits, and one byte more than the largest has none.
    #[test]
    fn every_length_has_its_box() {
        let rooms = BOX_SIZES.map(|size| size - BOX_OVERHEAD);
        let mut lengths = [0; 3];
        for length in 0..=rooms[2] {
            let found = rooms.iter().position(|room| Some(*room) == self::room(length)).unwrap();
            assert!(length <= rooms[found] && (found == 0 || length > rooms[found - 1]), "{length}");
            lengths[found] += 1;
        }
        assert_eq!(lengths, [rooms[0] + 1, rooms[1] - rooms[0], rooms[2] - rooms[1]]);
        assert_eq!(room(rooms[2] + 1), None);
        assert_eq!(room(usize::MAX), None);
    }

    /// [MSG-20] [MSG-21] a sealing is padded to its box and comes out again the same, whatever its message's length; in
    /// the next larger box, or with a byte of padding that is not zero, it is refused.
    #[test]
    fn padding_comes_off_again() {
        let rooms = BOX_SIZES.map(|size| size - BOX_OVERHEAD);
        let edges = rooms.iter().flat_map(|room| room - BESIDES - 3..=room - BESIDES + 3);
        let lengths = (0..rooms[2] - BESIDES).step_by(61).chain(edges).filter(|length| length + BESIDES <= rooms[2]);
        for length in lengths {
            let padded = sealing(length).padded().unwrap();
            assert_eq!(Some(padded.len()), room(length + BESIDES));
            assert_eq!(Sealing::parse(&padded), Ok(sealing(length)));
            if let Some(larger) = rooms.iter().find(|room| **room > padded.len()) {
                let mut padded = padded.clone();
                padded.resize(*larger, 0);
                assert_eq!(Sealing::parse(&padded), Err(DecodeError));
            }
            for place in [length + BESIDES, padded.len() - 1] {
                let mut padded = padded.clone();
                if let Some(byte) = padded.get_mut(place).filter(|_| place >= length + BESIDES) {
                    *byte = 1;
                    assert_eq!(Sealing::parse(&padded), Err(DecodeError));
                }
            }
        }
        assert_eq!(sealing(rooms[2] - BESIDES + 1).padded(), None);
    }
}
