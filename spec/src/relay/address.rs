/// SHA-256 of the relay's Ed25519 public key: what an address pins. Written as 52 characters of base32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayPin(pub [u8; 32]);

impl std::fmt::Display for RelayPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_lowercase())
    }
}

impl std::fmt::Debug for RelayPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RelayPin({self})")
    }
}

/// A host of an address: a DNS name or an IP address; IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// As it is given to a resolver: without brackets.
    pub fn as_str(&self) -> &str {
        self.0.trim_start_matches('[').trim_end_matches(']')
    }
}

impl std::str::FromStr for Host {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let valid = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=253).contains(&text.len())
                    && !text.starts_with('-')
                    && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-'))
            }
        };
        if valid { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidAddress) }
    }
}

/// `sealpost://host[,host...]:port/<base32 of the SHA-256 of the relay's public key>`. All hosts share port and key.
/// **[RELAY-1]**
///
/// ```
/// use sealpost_spec::relay::Address;
/// let text = format!("sealpost://a.example.org,[::1]:7443/{}", "a".repeat(52));
/// let address: Address = text.parse().unwrap();
/// assert_eq!(address.to_string(), text);
/// assert_eq!(address.hosts[1].as_str(), "::1");
/// assert!("https://a.example.org".parse::<Address>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Tried in order, from one to [`Address::MAX_HOSTS`].
    pub hosts: Vec<Host>,
    /// TCP port.
    pub port: u16,
    /// The relay's key.
    pub pin: RelayPin,
}

impl Address {
    /// Most hosts of an address.
    pub const MAX_HOSTS: usize = 8;
}

/// The text is no address of a relay, or no contact link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a relay's address looks like sealpost://HOST:PORT/KEY with a KEY of 52 characters")]
pub struct InvalidAddress;

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<&str> = self.hosts.iter().map(|host| host.0.as_str()).collect();
        write!(f, "sealpost://{}:{}/{}", hosts.join(","), self.port, self.pin)
    }
}

impl std::str::FromStr for Address {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let rest = text.trim().strip_prefix("sealpost://").ok_or(InvalidAddress)?;
        let (authority, pin) = rest.split_once('/').ok_or(InvalidAddress)?;
        let (hosts, port) = authority.rsplit_once(':').ok_or(InvalidAddress)?;
        let hosts = hosts.split(',').map(str::parse).collect::<Result<Vec<Host>, _>>()?;
        let port = port.parse().map_err(|_| InvalidAddress)?;
        let pin = data_encoding::BASE32_NOPAD
            .decode(pin.trim_end_matches('/').to_ascii_uppercase().as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(InvalidAddress)?;
        if hosts.len() > Self::MAX_HOSTS || port == 0 {
            return Err(InvalidAddress);
        }
        Ok(Self { hosts, port, pin: RelayPin(pin) })
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::account::ContactLink;

    /// [RELAY-1] what is an address and what is not.
    #[test]
    fn addresses() {
        let key = "a".repeat(52);
        for good in ["127.0.0.1:7443", "[::1]:1", "relay.example.org:65535", "a,b,c.example:7443"] {
            let text = format!("sealpost://{good}/{key}");
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text));
        }
        for bad in ["", "a", "a:0", "a:65536", ":1", "a b:1", "a,:1", "-a:1", "[::g]:1", "a,b,c,d,e,f,g,h,i:1"] {
            assert!(format!("sealpost://{bad}/{key}").parse::<Address>().is_err(), "{bad}");
        }
        assert!("sealpost://a:1/".parse::<Address>().is_err());
        assert!(format!("sealpost://a:1/{}", "A".repeat(52)).parse::<Address>().is_ok());
        assert!(format!("sealpost://a:1/{}", &key[1..]).parse::<Address>().is_err());
    }

    /// A letter of another alphabet whose capital is one of base32 is no letter of a key: what looks different is
    /// different, and what is taken is ASCII.
    #[test]
    fn a_key_has_no_letters_of_other_alphabets() {
        let key = "a".repeat(52);
        for alike in ["\u{131}", "\u{17f}"] {
            let bent = key.replacen('a', alike, 1);
            assert!(format!("sealpost://a:1/{bent}").parse::<Address>().is_err(), "{bent}");
            assert!(format!("sealpost://a:1/{key}/alice?fp={bent}").parse::<ContactLink>().is_err(), "{bent}");
        }
    }

    #[test]
    fn contact_links() {
        let key = "a".repeat(52);
        let text = format!("sealpost://a,b:7443/{key}/alice?fp={key}");
        let link: ContactLink = text.parse().unwrap();
        assert_eq!(link.to_string(), text);
        assert_eq!(link.name.as_str(), "alice");
        let invited: ContactLink = format!("{text}&invite=ABC-1").parse().unwrap();
        assert_eq!(invited.invite.as_deref(), Some("ABC-1"));
        for bad in [
            format!("sealpost://a:1/{key}/alice"),
            format!("sealpost://a:1/{key}/alice?fp=x"),
            format!("sealpost://a:1/{key}/?fp={key}"),
            format!("{text}&invite=a%20b"),
            format!("{text}&unknown=1"),
        ] {
            assert!(bad.parse::<ContactLink>().is_err(), "{bad}");
        }
    }
}
