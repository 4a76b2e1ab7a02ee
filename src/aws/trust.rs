//! The certificates that TLS trusts: the node's own store, and in addition what `caBundle` of the settings file,
//! `AWS_CA_BUNDLE`, `ca_bundle` of the AWS configuration file, `SSL_CERT_FILE` and `SSL_CERT_DIR` name.

use std::path::{Path, PathBuf};

use aws_smithy_http_client::tls::TrustStore;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::load_certs_from_paths;

use crate::context::Context;
use crate::error::{Code, Error};
use crate::host::{self, FileError};
use crate::log::Log;
use crate::watchdog::Watchdog;

/// Where the distributions keep all CA certificates in one file.
const FILES_OF_NODES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Flatcar
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL, Fedora, Amazon Linux
    "/etc/pki/tls/certs/ca-bundle.crt",   // RHEL 6
    "/etc/ssl/ca-bundle.pem",             // SUSE
    "/etc/ssl/cert.pem",                  // Alpine
    "/etc/pki/tls/cacert.pem",            // OpenELEC
];
/// Where they keep the same ones in a file each.
const DIRECTORIES_OF_NODES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Where certificates come from, besides the node's own store.
#[derive(Debug)]
pub(super) struct Sources(Vec<Source>);

/// A file or directory, and the setting that names it.
#[derive(Debug)]
struct Source {
    setting: &'static str,
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file that is named for us, so it must be readable and hold a usable certificate.
    Bundle,
    /// A file that is named for every program that uses TLS; one that is not there is no error for them either.
    File,
    /// The same as a directory.
    Directory,
}

/// What is trusted.
pub(super) struct Trusted {
    pub(super) store: TrustStore,
    /// How many certificates of which source, for who has to find out why one is missing.
    pub(super) description: String,
}

impl Sources {
    /// `of_profile` is the `ca_bundle` of the AWS configuration file.
    pub(super) fn of(context: &Context<'_>, of_profile: Option<PathBuf>) -> Self {
        let bundles = context.settings.ca_bundles.iter();
        let bundle = bundles.map(|(setting, path)| Source::new(setting, path, Kind::Bundle));
        let file = context.host.variable("SSL_CERT_FILE").into_iter();
        let file = file.map(|path| Source::new("SSL_CERT_FILE", path, Kind::File));
        let directories = context.host.variable("SSL_CERT_DIR").into_iter().flat_map(std::env::split_paths);
        let directories = directories.map(|path| Source::new("SSL_CERT_DIR", path, Kind::Directory));
        let of_profile = of_profile.map(|path| Source::new("ca_bundle", path, Kind::Bundle));
        Self(bundle.chain(of_profile).chain(file).chain(directories).collect())
    }

    /// Reads all certificates. One that cannot be used is left out, as every TLS library does.
    pub(super) fn load(&self, watchdog: &Watchdog, log: &Log) -> Result<Trusted, Error> {
        let mut pool = Pool::default();
        watchdog.enter("reading the CA certificates of the node");
        read_store_of_node(&mut pool);
        for source in &self.0 {
            if pool.has_read(&source.path) {
                continue;
            }
            watchdog.enter(format!("reading `{}` (`{}`)", source.path.display(), source.setting));
            pool.add(&source.path, Some(source.setting), source.read(log)?);
        }
        let description = pool.description();
        log.debug(|| format!("CA certificates: {description}"));
        if pool.pem.is_empty() {
            let cause = match description.as_str() {
                "" => "there are none on this node, and `AWS_CA_BUNDLE` is not set".to_owned(),
                description => format!("there are none on this node: {description}"),
            };
            return Err(Error::new(Code::CaCertificates, cause)
                .with_remedy("install the package ca-certificates, or name a bundle in `AWS_CA_BUNDLE`"));
        }
        Ok(Trusted { store: TrustStore::empty().with_pem_certificate(pool.pem), description })
    }
}

/// The first file of certificates that there is. The directories of single certificates, which hold the same
/// ones, are read only where there is none: that costs more than the call to AWS.
fn read_store_of_node(pool: &mut Pool) {
    for file in FILES_OF_NODES.map(Path::new) {
        let certificates = read_file(file).unwrap_or_default();
        if !certificates.is_empty() {
            return pool.add(file, None, certificates);
        }
    }
    for directory in DIRECTORIES_OF_NODES.map(Path::new) {
        let certificates = read_directory(directory);
        if !certificates.is_empty() {
            pool.add(directory, None, certificates);
        }
    }
}

impl Source {
    fn new(setting: &'static str, path: impl Into<PathBuf>, kind: Kind) -> Self {
        Self { setting, path: path.into(), kind }
    }

    fn read(&self, log: &Log) -> Result<Vec<CertificateDer<'static>>, Error> {
        let refused =
            |cause: String| Err(Error::new(Code::CaCertificates, format!("`{}`: {cause}", self.setting)));
        match (self.kind, read_file_or_directory(&self.path, self.kind)) {
            (Kind::Bundle, Ok(certificates)) if certificates.is_empty() => {
                refused(format!("`{}` holds no usable PEM certificate", self.path.display()))
            }
            (_, Ok(certificates)) => Ok(certificates),
            (Kind::Bundle, Err(error)) => refused(error.to_string()),
            (Kind::File | Kind::Directory, Err(error)) => {
                log.debug(|| format!("`{}`: {error}", self.setting));
                Ok(Vec::new())
            }
        }
    }
}

fn read_file_or_directory(path: &Path, kind: Kind) -> Result<Vec<CertificateDer<'static>>, FileError> {
    match kind {
        Kind::Bundle | Kind::File => read_file(path),
        Kind::Directory => Ok(read_directory(path)),
    }
}

fn read_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = host::read_file(path)?;
    Ok(usable(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect()))
}

fn read_directory(path: &Path) -> Vec<CertificateDer<'static>> {
    usable(load_certs_from_paths(None, Some(path)).certs)
}

/// The client that gets them panics on a certificate that it cannot use, so those are left out here, by the
/// same rule.
fn usable(mut certificates: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    let mut store = RootCertStore::empty();
    certificates.retain(|certificate| store.add(certificate.clone()).is_ok());
    certificates
}

/// All certificates, as PEM text because the client takes nothing else, and where they are from.
#[derive(Default)]
struct Pool {
    pem: String,
    read: Vec<(PathBuf, Option<&'static str>, usize)>,
}

impl Pool {
    fn has_read(&self, path: &Path) -> bool {
        self.read.iter().any(|(read, ..)| read == path)
    }

    fn add(&mut self, path: &Path, setting: Option<&'static str>, certificates: Vec<CertificateDer<'_>>) {
        self.read.push((path.to_owned(), setting, certificates.len()));
        for certificate in certificates {
            self.pem.push_str("-----BEGIN CERTIFICATE-----\n");
            STANDARD.encode_string(certificate, &mut self.pem);
            self.pem.push_str("\n-----END CERTIFICATE-----\n");
        }
    }

    fn description(&self) -> String {
        let sources = self.read.iter().map(|(path, setting, count)| {
            let setting = setting.map(|setting| format!(" (`{setting}`)")).unwrap_or_default();
            format!("{count} of `{}`{setting}", path.display())
        });
        sources.collect::<Vec<_>>().join(", ")
    }
}
