//! Relays that share a store: what they are told of it, how one joins, and `cluster`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sealpost_crypto::Zeroizing;
use sealpost_crypto::identity::{RelaySecret, relay_pin};
use sealpost_relay::config::{Config, Server};
use sealpost_relay::folder::{Folder, read_key_file};
use sealpost_relay::shared;
use sealpost_relay::store::jetstream::{self, RelayStatus, Settings, StreamStatus};
use sealpost_relay::store::{Fault, JetStream};

use super::arguments;
use super::failure::{CONFIGURATION, ENVIRONMENT, Failure, RUNTIME};
use super::say;

/// Longest password.
const PASSWORD: u64 = 1024;
/// What finds a server by its name reads these.
const NAMES: [&str; 5] =
    ["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/run/systemd/resolve"];
/// The NATS client reads the system's certificates, though it is told whom to trust, and connects to nobody where it may
/// not.
const CERTIFICATES: [&str; 7] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/pki",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
];
/// What names others.
const CERTIFICATES_IN: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Names over TCP, where an answer is long.
const DNS: u16 = 53;

/// How to reach the cluster; `None` where the store stands in the data folder.
pub(super) fn settings(config: &Config) -> Result<Option<Settings>, Failure> {
    let cluster = &config.cluster;
    let servers = cluster.servers()?;
    if servers.is_empty() {
        return Ok(None);
    }
    let file = |path: &Path| {
        let wrong =
            |error| Failure::new(CONFIGURATION, &format!("{} can't be read", path.display()), error, "check it");
        let bytes = std::fs::read(path).map_err(wrong)?;
        if bytes.len() as u64 > PASSWORD {
            let error = format!("{} holds more than a password", path.display());
            return Err(Failure::new(CONFIGURATION, &error, "cluster.password_file", "check it"));
        }
        Ok(Zeroizing::new(bytes))
    };
    let login = match cluster.user.as_str() {
        "" => None,
        user => {
            let password = file(&cluster.password_file)?;
            Some((user.to_owned(), String::from_utf8_lossy(&password).trim_end().to_owned()))
        }
    };
    let tls = match cluster.tls_ca.as_os_str().is_empty() {
        false => Some(encryption(&cluster.tls_ca)?),
        true if servers.iter().any(|server| server.tls) => {
            let cause = "a certificate is trusted for what signed it, and nothing is named";
            let advice = "name the certificates of whoever signs the servers' in cluster.tls_ca";
            return Err(Failure::new(CONFIGURATION, "tls:// needs cluster.tls_ca", cause, advice));
        }
        true => None,
    };
    if tls.is_none() && !servers.iter().all(Server::is_here) {
        tracing::warn!("the connection to the cluster is not encrypted: set cluster.tls_ca, or keep its network apart");
    }
    Ok(Some(Settings {
        servers: servers.iter().map(Server::url).collect(),
        login,
        tls,
        prefix: cluster.prefix.clone(),
        replicas: cluster.replicas,
        monitors: cluster.monitors()?.into_iter().map(|monitor| (monitor.host, monitor.port)).collect(),
    }))
}

/// TLS 1.3 with whoever shows a certificate that leads to these.
fn encryption(file: &Path) -> Result<ClientConfig, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        let advice = "give a file with certificates as PEM in cluster.tls_ca";
        Failure::new(CONFIGURATION, &format!("{} can't be used", file.display()), error, advice)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no certificate"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    Ok(config.map_err(|error| wrong(&error))?.with_root_certificates(roots).with_no_client_auth())
}

/// Ports to which the relay connects, and files that it reads for it.
pub(super) fn reached(config: &Config) -> Result<(Vec<u16>, Vec<PathBuf>), Failure> {
    let servers = config.cluster.servers()?;
    if servers.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let ports = servers.iter().chain(&config.cluster.monitors()?).map(|server| server.port).chain([DNS]).collect();
    let mut files = NAMES.map(PathBuf::from).to_vec();
    if !config.cluster.tls_ca.as_os_str().is_empty() {
        files.extend(CERTIFICATES.map(PathBuf::from));
        let named = CERTIFICATES_IN.iter().filter_map(std::env::var_os);
        files.extend(named.flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>()));
    }
    Ok((ports, files))
}

/// The key that the operator has brought.
pub(super) fn given_key(path: &Path) -> Result<RelaySecret, Failure> {
    read_key_file(path)?.ok_or_else(|| {
        let advice = "copy relay.key from the data folder of another relay of the cluster";
        Failure::new(CONFIGURATION, "there is no key", format!("there is no file {}", path.display()), advice)
    })
}

/// Opens the store that is shared, with the key that is.
pub(super) async fn join(
    settings: &Settings,
    folder: &Folder,
    given: Option<RelaySecret>,
) -> Result<(JetStream, RelaySecret), Failure> {
    let store = JetStream::open(settings).await?;
    let own = folder.known_key()?;
    if let (Some(own), Some(given)) = (&own, &given)
        && own.public() != given.public()
    {
        let cause = "the data folder has a relay.key that is not the one given with --key";
        let advice = "move relay.key away from the data folder, or leave --key out";
        return Err(Failure::new(CONFIGURATION, "which key?", cause, advice));
    }
    let recorded = shared::key(&store).await.map_err(unanswered)?;
    let new = own.is_none() && given.is_none();
    if new && recorded.is_some() {
        let cause = "the relays of this cluster have one, and this one has none yet";
        let advice = "copy relay.key from another one's data folder, and start with --key FILE";
        return Err(Failure::new(CONFIGURATION, "the cluster's key is missing", cause, advice));
    }
    let kept = own.is_some();
    let secret = match own.or(given) {
        Some(secret) => secret,
        None => RelaySecret::generate(&mut rand::rng()),
    };
    // Nobody but this relay may have it: durable before the cluster knows of it.
    if new {
        folder.keep_key(&secret)?;
    }
    let agreed = shared::agree(&store, secret.public()).await.map_err(unanswered)?;
    if agreed != secret.public() {
        if new {
            // Another one began at the same moment.
            folder.drop_key()?;
        }
        let pin = |key: &[u8; 32]| relay_pin(key).to_string();
        let cause = format!("the cluster's relays have the key {}, this one {}", pin(&agreed), pin(&secret.public()));
        let advice = "copy relay.key from another one's data folder, and start with --key FILE in a folder without one";
        return Err(Failure::new(CONFIGURATION, "this is another relay's key", cause, advice));
    }
    if !kept && !new {
        folder.keep_key(&secret)?;
    }
    Ok((store, secret))
}

fn unanswered(fault: Fault) -> Failure {
    Failure::new(RUNTIME, "the cluster does not answer", fault, "sealpost-relay cluster status")
}

/// Resolves when the relays of the cluster have another key.
pub(super) fn left(store: &JetStream, own: [u8; 32]) -> impl Future<Output = Failure> + use<> {
    let replaced = store.replaced(shared::place(), own.to_vec());
    async move {
        replaced.await;
        let advice = "start it with the new one: serve --key FILE, in a data folder without relay.key";
        Failure::new(RUNTIME, "the relay stopped", "the cluster's key was replaced", advice)
    }
}

/// What may be asked of a cluster.
pub(crate) fn cluster(command: &arguments::Cluster) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(ENVIRONMENT, "nothing could be asked", error, "allow the process more threads")
    })?;
    match command {
        arguments::Cluster::Status { options, json } => runtime.block_on(status(&named(options)?, *json)),
        arguments::Cluster::ReplaceKey { key, options } => {
            let secret = given_key(key)?;
            runtime.block_on(replace(&named(options)?, &secret))
        }
    }
}

fn named(options: &arguments::Options) -> Result<Settings, Failure> {
    let config = Config::load(options.config.as_deref(), options)?;
    settings(&config)?.ok_or_else(|| {
        let advice = "name its servers: --cluster nats://a,b,c, or cluster.servers in the configuration";
        Failure::new(CONFIGURATION, "there is no cluster", "the configuration names no servers", advice)
    })
}

async fn status(settings: &Settings, json: bool) -> Result<(), Failure> {
    let (streams, relays) = jetstream::look(settings).await?;
    let lines = |stream: &StreamStatus| match json {
        true => format!("{}\n", serde_json::json!(stream)),
        false => shown(stream),
    };
    streams.iter().map(lines).for_each(|lines| say(&lines));
    for relay in &relays {
        let RelayStatus { relay: number, version } = relay;
        match json {
            true => say(&format!("{}\n", serde_json::json!(relay))),
            false => say(&format!("relay {number}  {version}\n")),
        }
    }
    let stuck = streams.iter().filter(|stream| !stream.writable()).count();
    if stuck > 0 {
        let cause = format!("{stuck} of {} streams have too few servers, or no leader yet", streams.len());
        let advice = "start the servers that are missing; what was accepted is there once most of them are";
        return Err(Failure::new(RUNTIME, "the cluster can't be written", cause, advice));
    }
    Ok(())
}

/// A stream, for people.
fn shown(stream: &StreamStatus) -> String {
    let StreamStatus { stream: name, leader, messages, bytes, replicas, wanted } = stream;
    let leader = leader.as_deref().unwrap_or("NO LEADER");
    let mut text = format!("{name}  {messages} messages, {bytes} bytes, on {wanted} servers\n  {leader}  leads\n");
    for replica in replicas {
        let how = match (replica.offline, replica.current) {
            (true, _) => "OFFLINE".to_owned(),
            (false, true) => "has everything".to_owned(),
            (false, false) => format!("BEHIND by {} messages", replica.lag),
        };
        text += &format!("  {}  {how}\n", replica.server);
    }
    text
}

async fn replace(settings: &Settings, secret: &RelaySecret) -> Result<(), Failure> {
    let store = JetStream::open(settings).await?;
    shared::replace(&store, secret.public()).await.map_err(unanswered)?;
    say(&format!("the relays of this cluster have the key {} from now on\n", relay_pin(&secret.public())));
    Ok(())
}
