//! A certificate authority that vouches for any name, so that the real names of AWS can be served.

use std::fmt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// The authority.
#[derive(Clone)]
pub struct TestCa {
    issuer: Arc<CertifiedIssuer<'static, KeyPair>>,
    manner: Manner,
}

/// What certificates it issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Good ones.
    Good,
    /// For another name than the one that was asked for.
    WrongName,
    /// That were good until 2015.
    Expired,
}

impl TestCa {
    /// Makes a new authority that issues good certificates.
    pub fn new() -> Self {
        Self::with_manner(Manner::Good)
    }

    /// Makes a new authority.
    pub fn with_manner(manner: Manner) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "ecr-credential-provider test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer: Arc::new(issuer), manner }
    }

    /// Its certificate, to be trusted.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        TlsAcceptor::from(Arc::new(config))
    }

    /// A certificate and its key as PEM texts, for a server that is not ours.
    pub fn certificate_for(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &*self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn certify(&self, name: &str) -> Option<CertifiedKey> {
        let key = KeyPair::generate().ok()?;
        let name = if self.manner == Manner::WrongName { "other.example" } else { name };
        let mut params = CertificateParams::new([name.to_owned()]).ok()?;
        if self.manner == Manner::Expired {
            params.not_after = date_time_ymd(2015, 1, 1);
        }
        let certificate = params.signed_by(&key, &*self.issuer).ok()?;
        let key = any_supported_type(&PrivateKeyDer::try_from(key.serialize_der()).ok()?).ok()?;
        Some(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestCa")
    }
}

impl ResolvesServerCert for TestCa {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A client that connects to an address sends no name.
        self.certify(hello.server_name().unwrap_or("127.0.0.1")).map(Arc::new)
    }
}
