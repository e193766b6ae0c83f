use sealpost_spec::label;
use sealpost_spec::wire::{Bytes, Signature, Signed};

use crate::Refused;
use crate::primitive::{self, SigningKey};

/// What a signature is for. There is no way to sign without one, and who verifies names the same. **[WIRE-9]**
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    DeviceList,
    Leave,
    Login,
    NameReceipt,
    Post,
    Prekey,
    RoomReceipt,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::DeviceList => label::DEVICE_LIST,
            Self::Leave => label::LEAVE,
            Self::Login => label::LOGIN,
            Self::NameReceipt => label::NAME_RECEIPT,
            Self::Post => label::POST,
            Self::Prekey => label::PREKEY,
            Self::RoomReceipt => label::ROOM_RECEIPT,
        }
    }

    /// The bytes with their signature.
    pub(crate) fn sign(self, key: &SigningKey, body: Vec<u8>) -> Signed {
        Signed { signature: key.sign(self.label(), &body), body: Bytes(body) }
    }

    /// Verifies the bytes as they travelled.
    pub(crate) fn verify(self, key: &[u8; 32], signed: &Signed) -> Result<(), Refused> {
        self.verify_bytes(key, &signed.body.0, &signed.signature)
    }

    /// Verifies bytes that this side has laid out itself.
    pub(crate) fn verify_bytes(self, key: &[u8; 32], body: &[u8], signature: &Signature) -> Result<(), Refused> {
        primitive::verify(key, self.label(), body, signature)
    }
}
