//! Where a relay keeps what it is given, where that is not its own folder: the NATS servers that it shares with others.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};

/// The port of a NATS server that names none.
const PORT: u16 = 4222;
/// Most servers that are named.
const MOST: usize = 16;
/// Most letters of a prefix.
const LONGEST: usize = 32;

/// The cluster that keeps the relay's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Its servers, `nats://HOST:PORT` or `tls://HOST:PORT` each; none: the store stands in the data folder.
    pub servers: Vec<String>,
    /// Who the relay is there; empty: nobody.
    pub user: String,
    /// The file with the password.
    pub password_file: PathBuf,
    /// The file with the certificates that a server's has to lead to; empty: no TLS.
    pub tls_ca: PathBuf,
    /// The first word of everything that is kept there.
    pub prefix: String,
    /// On how many servers everything is kept.
    pub replicas: u8,
    /// Where the servers tell about themselves, `HOST:PORT` each: asked whether they sync before they answer.
    pub monitors: Vec<String>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            tls_ca: PathBuf::new(),
            prefix: "sealpost".to_owned(),
            replicas: 3,
            monitors: Vec::new(),
        }
    }
}

/// A server, or its monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// By TLS alone.
    pub tls: bool,
}

impl Server {
    /// As the client of NATS takes it.
    pub fn url(&self) -> String {
        let Self { host, port, tls } = self;
        format!("{}://{host}:{port}", if *tls { "tls" } else { "nats" })
    }

    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl Cluster {
    /// The servers; what is named after another one has its scheme.
    ///
    /// # Errors
    /// One is no server.
    pub fn servers(&self) -> Result<Vec<Server>, ConfigError> {
        let mut tls = false;
        let server = |text: &String| {
            let rest = match text.split_once("://") {
                Some(("nats", rest)) => {
                    tls = false;
                    rest
                }
                Some(("tls", rest)) => {
                    tls = true;
                    rest
                }
                Some(_) => return Err(no_server(text)),
                None => text,
            };
            let (host, port) = parts(rest, Some(PORT)).ok_or_else(|| no_server(text))?;
            Ok(Server { host, port, tls: tls || !self.tls_ca.as_os_str().is_empty() })
        };
        self.servers.iter().map(server).collect()
    }

    /// The monitors.
    ///
    /// # Errors
    /// One is none.
    pub fn monitors(&self) -> Result<Vec<Server>, ConfigError> {
        let monitor = |text: &String| {
            let (host, port) = parts(text, None).ok_or_else(|| ConfigError {
                cause: format!("cluster.monitors: {text:?} is no host and port"),
                advice: "give the http port of each server, as in \"10.0.0.1:8222\"".to_owned(),
            })?;
            Ok(Server { host, port, tls: false })
        };
        self.monitors.iter().map(monitor).collect()
    }
}

fn no_server(text: &str) -> ConfigError {
    // Whoever has put a password in there does not want to read it in a log.
    let shown = if text.contains('@') { "what holds an @" } else { text };
    ConfigError {
        cause: format!("cluster.servers: {shown:?} is no NATS server"),
        advice: "give nats://HOST:PORT or tls://HOST:PORT; who the relay is there belongs to cluster.user and \
                 cluster.password_file"
            .to_owned(),
    }
}

/// Host and port.
fn parts(text: &str, port: Option<u16>) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let host = address.ip();
        let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
        return (address.port() > 0).then_some((host, address.port()));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
        _ => (text, port?),
    };
    let known: sealpost_spec::relay::Host = host.parse().ok()?;
    Some((known.as_str().to_owned(), port))
}

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let cluster = &config.cluster;
    cluster.servers()?;
    cluster.monitors()?;
    let wrong = |cause: &str, advice: &str| Err(ConfigError { cause: cause.to_owned(), advice: advice.to_owned() });
    if cluster.servers.len().max(cluster.monitors.len()) > MOST {
        return wrong("cluster.servers: there are too many", "name three of them: a relay needs one that answers");
    }
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    if cluster.prefix.is_empty() || cluster.prefix.len() > LONGEST || !cluster.prefix.bytes().all(plain) {
        return wrong("cluster.prefix makes no name of a stream", "give up to 32 of a-z, 0-9, - and _");
    }
    if ![1, 3, 5].contains(&cluster.replicas) {
        return wrong("cluster.replicas: an even number gains nothing", "give 3, or 5; 1 keeps everything once");
    }
    if cluster.user.is_empty() != cluster.password_file.as_os_str().is_empty() {
        return wrong("cluster.user and cluster.password_file go together", "give both or none");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(of: &[&str]) -> Result<Vec<String>, ConfigError> {
        let servers = of.iter().map(|server| (*server).to_owned()).collect();
        Ok(Cluster { servers, ..Cluster::default() }.servers()?.iter().map(Server::url).collect())
    }

    /// What follows a server has its scheme, and what has no port the usual one; a password does not come in that way.
    #[test]
    fn servers_are_read() {
        assert_eq!(servers(&["nats://a", "b:1", "c"]).unwrap(), ["nats://a:4222", "nats://b:1", "nats://c:4222"]);
        assert_eq!(servers(&["tls://a:7", "10.0.0.1"]).unwrap(), ["tls://a:7", "tls://10.0.0.1:4222"]);
        assert_eq!(servers(&["nats://[::1]:5"]).unwrap(), ["nats://[::1]:5"]);
        for wrong in ["http://a", "nats://", "nats://a:0", "nats://a:x", "nats://bob:secret@a:4222", "a b"] {
            let refused = servers(&[wrong]).unwrap_err();
            assert!(!refused.cause.contains("secret") && refused.advice.contains("nats://"), "{refused:?}");
        }
        let monitors = Cluster { monitors: vec!["a".to_owned()], ..Cluster::default() };
        assert!(monitors.monitors().is_err());
    }
}
