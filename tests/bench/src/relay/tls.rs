//! TLS as clients of a measured server speak it: 1.3, the hybrid group first, no resumption. Whom they talk to they take
//! as it comes: it is a process of this very program's, on the same machine.
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::codec::Wrong;

/// RFC 9266.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// How the server shows its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// RFC 7250, as a Sealpost relay and the bare server do.
    RawKey,
    /// X.509, as everybody else does.
    Certificate,
}

/// The relay's provider: its ciphers, the hybrid group first.
pub fn provider() -> CryptoProvider {
    let mut provider = default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    provider
}

/// What all clients of one server share.
pub fn config(identity: Identity) -> Result<Arc<ClientConfig>, Wrong> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Whoever { identity, algorithms }))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = identity == Identity::Certificate;
    Ok(Arc::new(config))
}

/// A client's side of a new connection.
pub fn connection(config: &Arc<ClientConfig>) -> Result<ClientConnection, Wrong> {
    let name = ServerName::try_from("localhost").map_err(|_| Wrong::new("localhost is no name"))?;
    let mut connection = ClientConnection::new(Arc::clone(config), name)?;
    connection.set_buffer_limit(None);
    Ok(connection)
}

/// The RFC 9266 exporter of a connection whose handshake is done.
pub fn channel(connection: &ClientConnection) -> Result<[u8; 32], Wrong> {
    Ok(connection.export_keying_material([0; 32], EXPORTER, None)?)
}

/// Takes any key, and verifies that the server has its private half, as every client must.
#[derive(Debug)]
struct Whoever {
    identity: Identity,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.identity {
            Identity::RawKey => {
                let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
                verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
            }
            Identity::Certificate => verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.identity == Identity::RawKey
    }
}
