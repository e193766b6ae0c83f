use crate::account::{Fingerprint, Name};
use crate::relay::{Address, InvalidAddress};

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
