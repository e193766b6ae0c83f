//! What people would take instead, where it is installed: each as its own programs configure it, with a certificate that
//! is made for the run where it speaks TLS.
pub mod iroh;
pub mod mosquitto;
pub mod nats;
pub mod redis;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use super::codec::Wrong;
use super::tls::{Identity, config};

/// A certificate for localhost that has signed itself, ECDSA over P-256 as most have today, and its key: two files.
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new(folder: &Path) -> Result<Self, Wrong> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.map_err(|error| Wrong(format!("no certificate: {error}")))?;
        let (chain, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&chain, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        Ok(Self { chain, key })
    }
}

/// What clients of a peer need for TLS, where it speaks it.
fn tls_config(tls: bool) -> Result<Option<Arc<ClientConfig>>, Wrong> {
    tls.then(|| config(Identity::Certificate)).transpose()
}
