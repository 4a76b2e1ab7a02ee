//! A cluster's CA, and the certificates that it issues to nodes and others.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, SerialNumber, date_time_ymd,
};
pub use rcgen::{DnType, KeyUsagePurpose};

/// Made for these tests; nothing trusts it.
const RSA_KEY: &str = include_str!("../keys/rsa.pem");

/// A CA.
#[derive(Debug)]
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// As kubelets have.
    P256,
    /// As kubeadm makes for the first node.
    Rsa,
    /// Which nobody here signs with.
    P384,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Holder {
    /// `CN` and `O`.
    pub subject: Vec<(DnType, String)>,
    /// Its number, big-endian.
    pub serial: Vec<u8>,
    /// From now on.
    pub holds_from: SignedDuration,
    /// For so long.
    pub life: SignedDuration,
    /// Whether it is a CA itself.
    pub is_ca: bool,
    /// What its key is for.
    pub usages: Vec<KeyUsagePurpose>,
    /// Its kind of key.
    pub algorithm: Algorithm,
}

impl Holder {
    /// A node with a certificate as its kubelet gets.
    pub fn node(name: &str) -> Self {
        let subject = vec![
            (DnType::OrganizationName, "system:nodes".to_owned()),
            (DnType::CommonName, format!("system:node:{name}")),
        ];
        Self {
            subject,
            serial: vec![
                0xf1, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
                0x10,
            ],
            holds_from: SignedDuration::from_mins(-5),
            life: SignedDuration::from_hours(365 * 24),
            is_ca: false,
            usages: vec![KeyUsagePurpose::DigitalSignature],
            algorithm: Algorithm::P256,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a CA has a clock of its own")]
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in &self.subject {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.serial_number = Some(SerialNumber::from_slice(&self.serial));
        let epoch = date_time_ymd(1970, 1, 1);
        let at = |time: Timestamp| epoch + std::time::Duration::from_secs(time.as_second().unsigned_abs());
        let from = Timestamp::now() + self.holds_from;
        (params.not_before, params.not_after) = (at(from), at(from + self.life));
        params.is_ca =
            if self.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.key_usages.clone_from(&self.usages);
        params
    }
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key, in PKCS#8.
    pub key: String,
}

impl Pair {
    /// Both in one text, as the kubelet keeps them.
    pub fn in_one(&self) -> String {
        format!("{}{}", self.certificate, self.in_sec1())
    }

    /// The key as Go and `openssl ecparam` write one of P-256.
    pub fn in_sec1(&self) -> String {
        let der = der_of(&self.key);
        // ring's own form: version, number and point. Go puts the curve in between.
        let start = der.windows(3).position(|bytes| bytes == [0x02, 0x01, 0x01]).expect("a version");
        let (number, point) = (&der[start + 3..start + 37], &der[start + 37..]);
        let curve = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let content = [&[0x02, 0x01, 0x01], number, &curve[..], point].concat();
        let length = u8::try_from(content.len()).expect("short");
        pem("EC PRIVATE KEY", &[&[0x30, length], &content[..]].concat())
    }

    /// The key as `openssl genrsa -traditional` writes it.
    pub fn in_pkcs1(&self) -> String {
        // PKCS#8 has it in an octet string at its end.
        pem("RSA PRIVATE KEY", &der_of(&self.key)[26..])
    }
}

fn der_of(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).expect("base64")
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).fold(String::new(), |mut lines, line| {
        let _ = writeln!(lines, "{}", String::from_utf8_lossy(line));
        lines
    });
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

impl Ca {
    /// A CA as kubeadm makes it, but for its name: that is always `kubernetes` there.
    pub fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().expect("a key"));
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Another CA that this one vouches for.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().expect("a key"));
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect("a certificate"))
    }

    fn params(name: &str) -> CertificateParams {
        let usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        let subject = vec![(DnType::CommonName, name.to_owned())];
        Holder { subject, is_ca: true, usages, ..Holder::node("") }.params()
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A certificate for `holder`, with a key of its own.
    pub fn issue(&self, holder: &Holder) -> Pair {
        let key = match holder.algorithm {
            Algorithm::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Algorithm::Rsa => KeyPair::from_pem(RSA_KEY),
            Algorithm::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        };
        let key = key.expect("a key");
        let certificate = holder.params().signed_by(&key, &self.0).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
