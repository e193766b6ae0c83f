use crate::account::{DeviceKey, Fingerprint, IdentityKey};
use crate::wire::DecodeError;
use crate::wire::layout::{Reader, Writer};

/// What stands before a request, so that nobody takes it for anything else.
const SCHEME: &str = "sealpost-device:";

/// `sealpost-device:BASE32`: the public keys of a machine that is to become a device of an account. **[ACCT-24]**
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The Ed25519 key with which it will sign.
    pub key: DeviceKey,
    /// Its X25519 key.
    pub identity: IdentityKey,
    /// Of the account key: whose device it is to become.
    pub fingerprint: Fingerprint,
    /// The first bytes of a hash of the above; says nothing about who made it.
    pub check: [u8; 4],
}

impl DeviceRequest {
    /// What is hashed, without the label.
    pub fn layout(&self) -> Vec<u8> {
        Writer::new().fixed(&self.key.0).fixed(&self.identity.0).fixed(&self.fingerprint.0).done()
    }

    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let request = Self {
            key: DeviceKey(reader.fixed()?),
            identity: IdentityKey(reader.fixed()?),
            fingerprint: Fingerprint(reader.fixed()?),
            check: reader.fixed()?,
        };
        reader.done()?;
        Ok(request)
    }
}

impl std::fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [self.layout().as_slice(), &self.check].concat();
        write!(f, "{SCHEME}{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase())
    }
}

impl std::str::FromStr for DeviceRequest {
    type Err = DecodeError;
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let text = text.trim().strip_prefix(SCHEME).ok_or(DecodeError)?;
        let bytes =
            data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| DecodeError)?;
        Self::parse(&bytes)
    }
}

/// What both machines show when one is to become a device: 96 bits of a hash of the request, so that nobody can make another
/// request that shows the same. Written as 20 characters of base32 in groups of four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceCode(pub [u8; 12]);

impl std::fmt::Display for DeviceCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = data_encoding::BASE32_NOPAD.encode(&self.0).to_lowercase();
        for (place, letter) in text.chars().enumerate() {
            if place > 0 && place.is_multiple_of(4) {
                f.write_str("-")?;
            }
            write!(f, "{letter}")?;
        }
        Ok(())
    }
}
