//! Every number with its reason, and where it may be set.
//!
//! A flag wins over `SEALPOST_RELAY_*` (`__` nests: `SEALPOST_RELAY_WORK__FETCH=20`), that over `--config FILE`, that over
//! `/etc/sealpost/relay.toml`, that over the default. An unknown key is an error.

mod cluster;
mod service;
mod shown;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use sealpost_spec::relay::{Host, Registering, WorkPrice};
use serde::{Deserialize, Serialize};

use crate::Rules;
use crate::answer::Files;
use crate::listen::Limits;
use crate::quota::{MAX_RECOVERY_MS, Rates};
pub use cluster::{Cluster, Server};
pub use service::{Door, Log, LogFormat};
pub use shown::{Setting, TEMPLATE, changes, settings};

/// Where the system's configuration stands.
pub const SYSTEM: &str = "/etc/sealpost/relay.toml";
/// Prefix of environment variables.
const ENVIRONMENT: &str = "SEALPOST_RELAY_";

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names or addresses under which clients find the relay, for the address that it prints. Default: that of `listen`.
    pub host: Vec<String>,
    /// Who may register.
    pub register: Register,
    /// What work costs.
    pub work: Work,
    /// How many links there may be.
    pub links: Limits,
    /// How often somebody may ask.
    pub rates: Rates,
    /// How much room files may take.
    pub files: Files,
    /// The servers that keep what relays share; without any, the data folder does.
    pub cluster: Cluster,
    /// Where `/metrics`, `/healthz` and `/readyz` are shown.
    pub metrics: Door,
    /// Whether others than this machine may see them.
    pub metrics_public: bool,
    /// What is logged, and how.
    pub log: Log,
    /// Over how long a relay that drains tells its links to come back, in milliseconds.
    pub drain_ms: u32,
    /// Whether others on this machine may read the process's memory, and a crash may write it to disk. Only tests that
    /// look for secrets in a core image want that.
    pub dumpable: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./sealpost-relay"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7443)),
            host: Vec::new(),
            register: Register::Open,
            work: Work::default(),
            links: Limits::default(),
            rates: Rates::default(),
            files: Files::default(),
            cluster: Cluster::default(),
            metrics: Door::Off,
            metrics_public: false,
            log: Log::default(),
            drain_ms: 10_000,
            dumpable: false,
        }
    }
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// Everybody.
    Open,
    /// Who brings a token that the operator made: `sealpost-relay admin invite`.
    Invite,
    /// Nobody new; who is known, or holds a receipt of this relay, comes in.
    Closed,
}

/// Leading zero bits that a proof of work must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// To fetch keys without login.
    pub fetch: u8,
    /// To deliver without the recipient's token.
    pub deliver: u8,
}

impl Default for Work {
    fn default() -> Self {
        let WorkPrice { fetch, deliver } = Rules::default().work;
        Self { fetch, deliver }
    }
}

/// What is wrong with the configuration, and what to try.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct ConfigError {
    /// What is wrong, and where.
    pub cause: String,
    /// What to do.
    pub advice: String,
}

impl Config {
    /// The configuration from all its sources. `flags`: what the command line says, which wins.
    ///
    /// # Errors
    /// A file can't be read, or holds a key or value that makes no sense.
    pub fn load(file: Option<&Path>, flags: &impl Serialize) -> Result<Self, ConfigError> {
        Self::from(Path::new(SYSTEM), file, flags)
    }

    fn from(system: &Path, file: Option<&Path>, flags: &impl Serialize) -> Result<Self, ConfigError> {
        Self::extract(&Self::sources(system, file, flags)?)
    }

    /// All sources, the later over the earlier.
    fn sources(system: &Path, file: Option<&Path>, flags: &impl Serialize) -> Result<Figment, ConfigError> {
        if let Some(file) = file.filter(|file| !file.is_file()) {
            return Err(ConfigError {
                cause: format!("there is no file {}", file.display()),
                advice: "check the path after --config".to_owned(),
            });
        }
        let mut figment = Figment::from(Named("default", Serialized::defaults(Self::default())));
        for file in [Some(system).filter(|system| system.is_file()), file].into_iter().flatten() {
            figment = figment.merge(Toml::file_exact(file));
        }
        let environment = Env::prefixed(ENVIRONMENT).split("__");
        Ok(figment.merge(environment).merge(Named("command line", Serialized::defaults(flags))))
    }

    fn extract(figment: &Figment) -> Result<Self, ConfigError> {
        let config: Self = figment.extract().map_err(|error| explain(&error))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for host in &self.host {
            if host.parse::<Host>().is_err() {
                return Err(ConfigError {
                    cause: format!("{host:?} is no host"),
                    advice: "give a DNS name or an IP address; an IPv6 address in brackets: --host '[::1]'".to_owned(),
                });
            }
        }
        if self.host.len() > sealpost_spec::relay::Address::MAX_HOSTS {
            return Err(ConfigError {
                cause: format!("an address has at most {} hosts", sealpost_spec::relay::Address::MAX_HOSTS),
                advice: "leave some out".to_owned(),
            });
        }
        if self.work.fetch.max(self.work.deliver) > MAX_WORK {
            return Err(ConfigError {
                cause: format!("work of more than {MAX_WORK} bits keeps everybody out"),
                advice: format!("set work.fetch and work.deliver to at most {MAX_WORK}"),
            });
        }
        service::check(self)?;
        cluster::check(self)?;
        if let Some((name, _)) = self.rates.named().iter().find(|(_, rate)| rate.recovery_ms() > MAX_RECOVERY_MS) {
            return Err(ConfigError {
                cause: format!("rates.{name}: who has used it up would wait for more than a hundred years"),
                advice: format!("lower burst or every_ms of rates.{name}; a burst of 0 allows none at all"),
            });
        }
        Ok(())
    }

    /// What the relay itself goes by.
    pub fn rules(&self) -> Rules {
        Rules {
            registering: match self.register {
                Register::Open => Registering::Open,
                Register::Invite => Registering::Invite,
                Register::Closed => Registering::Closed,
            },
            work: WorkPrice { fetch: self.work.fetch, deliver: self.work.deliver },
            rates: self.rates.clone(),
            files: self.files.clone(),
        }
    }
}

/// A source under a name that tells an operator something.
struct Named<P>(&'static str, P);

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }
    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        self.1.data()
    }
}

/// Some seconds of one core: what a client is willing to do.
const MAX_WORK: u8 = 26;

fn explain(error: &figment::Error) -> ConfigError {
    let source = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => format!(" in {source}"),
        None => format!(" in {}", metadata.name),
    });
    let source = source.unwrap_or_default();
    let key = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(found, expected) => {
            let nearest = expected.iter().min_by_key(|known| distance(found, known));
            let advice = match nearest.filter(|known| distance(found, known) <= 3) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known are {}", expected.join(", ")),
            };
            ConfigError { cause: format!("there is no setting {found}{source}"), advice }
        }
        kind => ConfigError { cause: format!("{key}{source}: {kind}"), advice: format!("correct {key}") },
    }
}

/// Levenshtein's distance of two short words.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (b, cell) in other.bytes().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[derive(Serialize)]
    struct Flags {
        #[serde(skip_serializing_if = "Option::is_none")]
        register: Option<Register>,
    }

    const NONE: Flags = Flags { register: None };

    /// A flag wins over the file that was named, that over the system's, that over the default.
    #[test]
    fn sources_have_an_order() {
        let system = file("register = 'closed'\nlisten = '127.0.0.1:1'\n[work]\nfetch = 1\n");
        let named = file("listen = '127.0.0.1:2'\n[links]\nhandshakes = 7\n");
        let load = |flags| Config::from(system.path(), Some(named.path()), &flags).unwrap();
        let config = load(NONE);
        assert_eq!((config.register, config.listen.port()), (Register::Closed, 2));
        assert_eq!((config.work, config.links.handshakes), (Work { fetch: 1, deliver: 18 }, 7));
        assert_eq!(config.links.links, Limits::default().links);
        assert_eq!(load(Flags { register: Some(Register::Open) }).register, Register::Open);
        assert_eq!(Config::from(Path::new("/nowhere"), None, &NONE).unwrap(), Config::default());
    }

    /// A rate that takes longer to recover than anybody lives is refused, and not left to overflow a clock; the slowest
    /// and the fastest that are taken start a relay.
    #[test]
    fn a_rate_recovers_within_a_century() {
        let load = |burst: u64, every_ms: u64| {
            let named = file(&format!("[rates.fetches]\nburst = {burst}\nevery_ms = {every_ms}\n"));
            Config::from(Path::new("/nowhere"), Some(named.path()), &NONE)
        };
        let most = u64::from(u32::MAX);
        for (burst, every_ms) in [(most, most), (most, 735), (735, most), (1_000_000, 3_153_601)] {
            let error = load(burst, every_ms).unwrap_err();
            assert!(error.cause.contains("rates.fetches") && error.advice.contains("every_ms"), "{error:?}");
        }
        for (burst, every_ms) in [(0, 0), (0, most), (most, 0), (most, 734), (734, most), (1_000_000, 3_153_600)] {
            let config = load(burst, every_ms).unwrap();
            crate::quota::Quota::new(&config.rates);
        }
    }

    /// What is misspelt is an error that names the right word; so is a value that makes no sense.
    #[test]
    fn mistakes_are_explained() {
        for (text, cause, advice) in [
            ("listn = 'x'", "no setting listn", "did you mean listen?"),
            ("[work]\nfetsch = 1", "no setting fetsch", "did you mean fetch?"),
            ("qwertyuiop = 1", "no setting qwertyuiop", "known are"),
            ("listen = 'x'", "listen", "correct listen"),
            ("[work]\nfetch = 99", "99 bits keeps", "at most"),
            ("host = ['a b']", "is no host", "IPv6"),
            ("[cluster]\nservers = ['http://a']", "no NATS server", "cluster.user"),
            ("[cluster]\nprefix = 'A.b'", "cluster.prefix", "a-z"),
            ("[cluster]\nreplicas = 2", "cluster.replicas", "3"),
            ("[cluster]\nuser = 'relay'", "cluster.password_file", "both"),
            ("metrics = 'x'", "metrics neither off", "correct metrics"),
            ("metrics = '0.0.0.0:1'", "metrics reached", "metrics_public"),
            ("[log]\nlevel = 'loud=very'", "log.level loud", "debug"),
        ] {
            let named = file(text);
            let error = Config::from(Path::new("/nowhere"), Some(named.path()), &NONE).unwrap_err();
            let words = cause.split_whitespace().all(|word| error.cause.contains(word) || word == "99");
            assert!(words && error.advice.contains(advice), "{text}: {error:?}");
        }
        assert!(Config::load(Some(Path::new("/nowhere")), &NONE).is_err());
    }
}
