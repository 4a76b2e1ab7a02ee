//! The certificate for IAM Roles Anywhere, and its key, from files.
//!
//! The files are read once a run. The kubelet renews its own pair at any time: it writes another file, removes the
//! link to the old one and sets the new one in its place, so there is a moment without, which is waited for. Where
//! certificate and key are two files, they may not match for a moment.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::{Code, Error};
use crate::host::{self, Deadline};
use crate::ownership::{self, Readers};
use crate::settings::RolesAnywhereSetting;
use crate::watchdog::Watchdog;
use crate::x509::Certificate;

/// How long to wait for files that are being replaced, at most.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(25);

/// As many as AWS takes.
const MOST_INTERMEDIATES: usize = 5;

/// Where to find a pair, and what was found.
#[derive(Debug, Default)]
pub(crate) struct KeyPairFiles(OnceLock<Result<KeyPair, Error>>);

impl KeyPairFiles {
    /// The pair that `setting` names.
    pub(crate) fn read(
        &self,
        setting: &RolesAnywhereSetting,
        deadline: Deadline,
        watchdog: &Watchdog,
    ) -> Result<&KeyPair, Error> {
        let read = || {
            watchdog.enter(format!("reading `{}`", setting.certificate.display()));
            let patience = PATIENCE.min(deadline.remaining() / 4);
            let give_up_at = deadline.remaining().saturating_sub(patience);
            loop {
                match KeyPair::read(setting) {
                    Err(Flaw::Passing(_)) if deadline.remaining() > give_up_at => std::thread::sleep(PAUSE),
                    outcome => return outcome.map_err(Flaw::into_error),
                }
            }
        };
        self.0.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

/// Whether the pair that `setting` names can be used, at the first look.
pub(crate) fn check(setting: &RolesAnywhereSetting) -> Result<(), Error> {
    KeyPair::read(setting).map(drop).map_err(Flaw::into_error)
}

/// A certificate and its key, which fit.
pub(crate) struct KeyPair {
    pub(crate) leaf: Certificate,
    /// What stands between it and the CA.
    pub(crate) intermediates: Vec<Certificate>,
    pub(crate) key: Arc<CertifiedKey>,
}

/// Without the key.
impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("subject", &self.leaf.subject()).finish_non_exhaustive()
    }
}

/// Why there is no pair.
enum Flaw {
    /// It may be gone in a moment.
    Passing(Error),
    Lasting(Error),
}

impl Flaw {
    fn into_error(self) -> Error {
        let (Self::Passing(error) | Self::Lasting(error)) = self;
        error
    }
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

impl KeyPair {
    fn read(setting: &RolesAnywhereSetting) -> Result<Self, Flaw> {
        let RolesAnywhereSetting { certificate, private_key, intermediates, .. } = setting;
        let is_one_file = certificate == private_key;
        let of_certificate =
            text_of(certificate, if is_one_file { Readers::Owner } else { Readers::Anybody })?;
        let of_key = if is_one_file { of_certificate.clone() } else { text_of(private_key, Readers::Owner)? };
        let mut chain = certificates_in(certificate, &of_certificate)?;
        if let Some(path) = intermediates {
            chain.extend(certificates_in(path, &text_of(path, Readers::Anybody)?)?);
        }
        let key = key_in(private_key, &of_key)?;
        let ders = chain.iter().map(|certificate| CertificateDer::from(certificate.der.clone())).collect();
        let key = CertifiedKey::from_der(ders, key, &ring::default_provider()).map_err(|error| {
            let pair = format!("`{}` and the key in `{}`", certificate.display(), private_key.display());
            match error {
                rustls::Error::InconsistentKeys(_) => Flaw::Passing(
                    unusable(format!("{pair} do not belong together"))
                        .with_remedy("write a certificate and its own key"),
                ),
                error => Flaw::Lasting(unusable(format!("{pair}: {error}")).with_remedy(USUAL_KEYS)),
            }
        })?;
        let leaf = chain.remove(0);
        // Roots are not sent: AWS has its own.
        chain.retain(|certificate| !certificate.is_self_issued());
        if chain.len() > MOST_INTERMEDIATES {
            let cause = format!("there are {} certificates between it and the CA", chain.len());
            return Err(unusable(cause).with_remedy(format!("leave at most {MOST_INTERMEDIATES}")).into());
        }
        Ok(Self { leaf, intermediates: chain, key: Arc::new(key) })
    }

    /// What AWS would refuse, and could not say so well.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let leaf = &self.leaf;
        let wrong = |what: String, remedy: &str| {
            let cause = format!("the certificate of `{}` {what}", leaf.subject());
            Err(unusable(cause).with_remedy(remedy))
        };
        let renew = "renew it (the kubelet does so itself while it can reach the API server), or set this machine's clock if \
                     it is wrong";
        if now >= leaf.not_after {
            return wrong(format!("expired at {:.0}, and here it is {now:.0}", leaf.not_after), renew);
        }
        if now < leaf.not_before {
            return wrong(
                format!("holds from {:.0} on, and here it is {now:.0}", leaf.not_before),
                "set this machine's clock (`timedatectl`, chrony)",
            );
        }
        let other = "use a certificate for one node: not of a CA, signed with SHA-256 or better, with a subject, and with the \
                     key usage `digitalSignature`";
        if leaf.is_anonymous() {
            return wrong("has no subject".into(), other);
        }
        if leaf.is_ca {
            return wrong("is that of a CA".into(), other);
        }
        if leaf.may_sign == Some(false) {
            return wrong("is not for signatures".into(), other);
        }
        if leaf.is_weak {
            return wrong("is signed with MD5 or SHA-1".into(), other);
        }
        Ok(())
    }
}

pub(crate) const USUAL_KEYS: &str =
    "use a key of RSA with 2048 to 4096 bits, or of P-256, without a password";

fn unusable(cause: impl fmt::Display) -> Error {
    Error::new(Code::Certificate, cause)
}

fn text_of(path: &Path, readers: Readers) -> Result<Vec<u8>, Flaw> {
    let missing = || Flaw::Passing(unusable(format!("`{}` does not exist", path.display())));
    let real = ownership::trusted(path, readers)?.ok_or_else(missing)?;
    host::read_file(&real)
        .map_err(|error| if error.is_not_found() { missing() } else { Flaw::Lasting(unusable(error)) })
}

fn certificates_in(path: &Path, text: &[u8]) -> Result<Vec<Certificate>, Flaw> {
    let malformed = || Flaw::Passing(unusable(format!("`{}` has a malformed certificate", path.display())));
    let mut certificates = Vec::new();
    for der in CertificateDer::pem_slice_iter(text) {
        let der = der.map_err(|_| malformed())?;
        certificates.push(Certificate::of(&der).map_err(|_| malformed())?);
    }
    if certificates.is_empty() {
        let cause = format!("`{}` has no certificate (`-----BEGIN CERTIFICATE-----`)", path.display());
        return Err(Flaw::Passing(unusable(cause)));
    }
    Ok(certificates)
}

fn key_in(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, Flaw> {
    PrivateKeyDer::from_pem_slice(text).map_err(|_| {
        let name = path.display();
        if String::from_utf8_lossy(text).contains("ENCRYPTED") {
            let cause = format!("the key in `{name}` has a password");
            return Flaw::Lasting(unusable(cause).with_remedy(USUAL_KEYS));
        }
        Flaw::Passing(unusable(format!("`{name}` has no private key, or a malformed one")))
    })
}
