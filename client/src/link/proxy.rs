use std::str::FromStr;

use rand::RngExt as _;

/// `socks5h://HOST:PORT`: a SOCKS5 proxy (RFC 1928) that also resolves names, such as Tor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `host:port`
    authority: String,
}

/// The text is no proxy that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a proxy looks like socks5h://HOST:PORT: one that resolves names itself, and without credentials, \
     because each link brings its own"
)]
pub struct InvalidProxy;

impl FromStr for Proxy {
    type Err = InvalidProxy;
    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let authority = text.trim().strip_prefix("socks5h://").ok_or(InvalidProxy)?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').ok_or(InvalidProxy)?;
        let plain = host.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'[' | b']' | b':'));
        if host.is_empty() || !plain || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(InvalidProxy);
        }
        Ok(Self { authority: authority.to_owned() })
    }
}

impl Proxy {
    /// Where the proxy listens.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }
}

/// User name and password of one link: Tor gives streams with different credentials different circuits.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl Credentials {
    pub(super) fn random() -> Self {
        let mut rng = rand::rng();
        Self { user: format!("{:032x}", rng.random::<u128>()), password: format!("{:032x}", rng.random::<u128>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Proxy};

    #[test]
    fn only_a_proxy_that_resolves_names_and_asks_for_no_credentials_is_taken() {
        assert!("socks5h://127.0.0.1:9050".parse::<Proxy>().is_ok());
        assert!("socks5h://[::1]:9050/".parse::<Proxy>().is_ok());
        for refused in ["socks5://127.0.0.1:9050", "socks5h://a:b@127.0.0.1:9050", "socks5h://tor", "socks5h://:9", ""]
        {
            assert!(refused.parse::<Proxy>().is_err(), "{refused}");
        }
    }

    #[test]
    fn every_link_has_credentials_of_its_own() {
        let (one, other) = (Credentials::random(), Credentials::random());
        assert!(one.user != other.user && one.password != other.password);
    }
}
