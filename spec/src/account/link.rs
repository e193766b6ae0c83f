use crate::account::{Fingerprint, Name};
use crate::relay::{Address, InvalidAddress};
use crate::wire::DecodeError;

/// `sealpost://HOST:PORT/KEY/alice?fp=FINGERPRINT`: a relay, a name there, and the fingerprint that makes whoever got
/// the link in person sure of the key. `&invite=TOKEN` also registers a newcomer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactLink {
    /// The relay's address.
    pub relay: Address,
    /// The account's name there.
    pub name: Name,
    /// The account key's fingerprint.
    pub fingerprint: Fingerprint,
    /// A registration token of the relay's.
    pub invite: Option<String>,
}

impl std::fmt::Display for ContactLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}?fp={}", self.relay, self.name, self.fingerprint)?;
        match &self.invite {
            Some(token) => write!(f, "&invite={token}"),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for ContactLink {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (path, query) = text.trim().split_once('?').ok_or(InvalidAddress)?;
        let (relay, name) = path.rsplit_once('/').ok_or(InvalidAddress)?;
        let mut fingerprint = None;
        let mut invite = None;
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("fp", value)) => fingerprint = value.parse().ok(),
                Some(("invite", value))
                    if (1..=64).contains(&value.len())
                        && value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') =>
                {
                    invite = Some(value.to_owned());
                }
                _ => return Err(InvalidAddress),
            }
        }
        Ok(Self {
            relay: relay.parse()?,
            name: name.parse().map_err(|_| InvalidAddress)?,
            fingerprint: fingerprint.ok_or(InvalidAddress)?,
            invite,
        })
    }
}

/// Lets one newcomer or several register where a relay asks for it: 128 random bits, written as 26 characters of
/// base32. The relay stores a hash alone. **[ACCT-17]**
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InviteToken(pub [u8; 16]);

impl std::fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InviteToken(..)")
    }
}

impl std::fmt::Display for InviteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_lowercase())
    }
}

impl std::str::FromStr for InviteToken {
    type Err = DecodeError;
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let bytes =
            data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| DecodeError)?;
        Ok(Self(bytes.try_into().map_err(|_| DecodeError)?))
    }
}

/// `sealpost://HOST:PORT/KEY?invite=TOKEN`: what a relay's operator sends to a newcomer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteLink {
    /// The relay's address.
    pub relay: Address,
    /// What lets the newcomer in.
    pub token: InviteToken,
}

impl std::fmt::Display for InviteLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}?invite={}", self.relay, self.token)
    }
}

impl std::str::FromStr for InviteLink {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (relay, token) = text.trim().split_once("?invite=").ok_or(InvalidAddress)?;
        Ok(Self { relay: relay.parse()?, token: token.parse().map_err(|_| InvalidAddress)? })
    }
}
