//! The certificates that TLS trusts: the node's own store, or `SSL_CERT_FILE` and `SSL_CERT_DIR` in its place,
//! and `AWS_CA_BUNDLE` in addition.

use std::path::{Path, PathBuf};

use aws_smithy_http_client::tls::TrustStore;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use crate::context::Context;
use crate::error::{Code, Error};
use crate::host;
use crate::log::Log;
use crate::watchdog::Watchdog;

/// Where certificates come from.
#[derive(Debug)]
pub(super) struct Sources {
    bundle: Option<PathBuf>,
    /// Whether the environment names what takes the place of the node's store.
    is_store_replaced: bool,
}

impl Sources {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let replaced = |variable| context.host.variable(variable).is_some();
        Self {
            bundle: context.settings.ca_bundle.clone(),
            is_store_replaced: replaced("SSL_CERT_FILE") || replaced("SSL_CERT_DIR"),
        }
    }

    /// Reads all certificates. One in the node's store that cannot be used is left out, as every TLS library
    /// does; `AWS_CA_BUNDLE` was named on purpose, so it must be readable and hold a usable certificate.
    pub(super) fn load(&self, watchdog: &Watchdog, log: Log) -> Result<TrustStore, Error> {
        let mut pem = String::new();
        watchdog.enter("reading the CA certificates of the node");
        let store = self.store()?;
        log.debug(|| format!("{} CA certificates of the node", store.len()));
        append_pem(&mut pem, &store);
        if let Some(path) = &self.bundle {
            watchdog.enter(format!("reading `{}` (`AWS_CA_BUNDLE`)", path.display()));
            let bundle = read_bundle(path)?;
            log.debug(|| format!("{} CA certificates in `{}`", bundle.len(), path.display()));
            append_pem(&mut pem, &bundle);
        } else if store.is_empty() {
            let cause = "there are none on this node, and `AWS_CA_BUNDLE` is not set";
            return Err(Error::new(Code::CaCertificates, cause)
                .with_remedy("install the package ca-certificates, or name a bundle in `AWS_CA_BUNDLE`"));
        }
        Ok(TrustStore::empty().with_pem_certificate(pem))
    }

    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` if they are set, otherwise the first bundle file that is where one
    /// of the distributions puts it. The directory of single certificates, which holds the same ones, is read
    /// only where there is no bundle: it costs more than the call to AWS.
    fn store(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        if self.is_store_replaced {
            let found = load_native_certs();
            let certificates = usable(found.certs);
            return match found.errors.first() {
                Some(error) if certificates.is_empty() => {
                    let cause = format!("`SSL_CERT_FILE` or `SSL_CERT_DIR`: {error}");
                    Err(Error::new(Code::CaCertificates, cause))
                }
                _ => Ok(certificates),
            };
        }
        let places = openssl_probe::probe();
        Ok(usable(match places.cert_file {
            Some(file) => load_certs_from_paths(Some(&file), None).certs,
            None => {
                places.cert_dir.iter().flat_map(|dir| load_certs_from_paths(None, Some(dir)).certs).collect()
            }
        }))
    }
}

fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refused = |cause: String| Error::new(Code::CaCertificates, format!("`AWS_CA_BUNDLE`: {cause}"));
    let bytes = host::read_file(path).map_err(|error| refused(error.to_string()))?;
    let bundle = usable(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect());
    if bundle.is_empty() {
        return Err(refused(format!("`{}` holds no usable PEM certificate", path.display())));
    }
    Ok(bundle)
}

/// The client that gets them panics on a certificate that it cannot use, so those are left out here, by the
/// same rule.
fn usable(mut certificates: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    let mut store = RootCertStore::empty();
    certificates.retain(|certificate| store.add(certificate.clone()).is_ok());
    certificates
}

/// The client takes PEM text and nothing else.
fn append_pem(pem: &mut String, certificates: &[CertificateDer<'_>]) {
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        STANDARD.encode_string(certificate, pem);
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
}
