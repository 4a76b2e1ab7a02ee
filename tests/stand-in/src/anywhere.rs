//! IAM Roles Anywhere: who may have a session, and why not.
//!
//! Written from its [user guide], and so that it takes what the official helper sends as well, which has the ARNs in
//! the query. Certificates are read and verified by a library of which the shipped program has nothing.
//!
//! [user guide]: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// The trust anchor.
pub const TRUST_ANCHOR: &str =
    "arn:aws:rolesanywhere:eu-west-1:571600876202:trust-anchor/11111111-2222-3333-4444-555555555555";
/// The profile, which does not accept names of sessions.
pub const PROFILE: &str =
    "arn:aws:rolesanywhere:eu-west-1:571600876202:profile/66666666-7777-8888-9999-000000000000";
/// The same, but that it does.
pub const PROFILE_WITH_NAMES: &str =
    "arn:aws:rolesanywhere:eu-west-1:571600876202:profile/77777777-7777-8888-9999-000000000000";
/// The role that trusts nodes.
pub const ROLE: &str = "arn:aws:iam::571600876202:role/nodes";

/// A refusal.
pub(crate) type Refusal = (StatusCode, &'static str, String);

fn denied<T>(message: &str) -> Result<T, Refusal> {
    Err((StatusCode::FORBIDDEN, "AccessDeniedException", message.to_owned()))
}

/// Checks a request for a session, and returns who asks.
pub(crate) fn verify(request: &Request<Bytes>, anchor: &[u8], now: Timestamp) -> Result<String, Refusal> {
    let sent = Sent::of(request)?;
    let ders: Vec<_> = std::iter::once(header(request, "x-amz-x509"))
        .chain(header(request, "x-amz-x509-chain").split(',').filter(|text| !text.is_empty()))
        .map(|text| STANDARD.decode(text).unwrap_or_default())
        .collect();
    if ders.len() > 6 {
        return denied("Too many certificates in the chain");
    }
    let mut certificates = Vec::new();
    for der in ders.iter().map(Vec::as_slice).chain([anchor]) {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => certificates.push(certificate),
            _ => return denied("Malformed certificate"),
        }
    }
    let leaf = &certificates[0];
    if leaf.tbs_certificate.serial.to_string() != sent.serial {
        return denied("The serial number is not that of the certificate");
    }
    check_signature(request, &sent, leaf, now)?;
    check_chain(&certificates, now)?;
    check_leaf(leaf)?;
    check_parameters(request)?;
    let name = |oid: &x509_parser::der_parser::Oid<'_>| {
        let attributes = leaf.subject().iter_by_oid(oid).filter_map(|attribute| attribute.as_str().ok());
        attributes.collect::<Vec<_>>().join("/")
    };
    let common_name = name(&x509_parser::oid_registry::OID_X509_COMMON_NAME);
    let organization = name(&x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME);
    if organization != "system:nodes" || !common_name.starts_with("system:node:") {
        return denied("Unable to assume role for arn:aws:iam::571600876202:role/nodes");
    }
    Ok(common_name)
}

/// The header `Authorization`, taken apart.
struct Sent {
    algorithm: String,
    serial: String,
    scope: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Sent {
    fn of(request: &Request<Bytes>) -> Result<Self, Refusal> {
        let text = header(request, "authorization");
        let (algorithm, fields) = text.split_once(' ').unwrap_or_default();
        let field = |name: &str| {
            let value = fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        let credential = field("Credential");
        let (serial, scope) = credential.split_once('/').unwrap_or_default();
        let signed_headers: Vec<_> = field("SignedHeaders").split(';').map(str::to_owned).collect();
        let is_signed = |name: &str| signed_headers.iter().any(|signed| signed == name);
        let must = ["host", "x-amz-date", "x-amz-x509", "x-amz-x509-chain"];
        if must.into_iter().any(|name| !header(request, name).is_empty() && !is_signed(name))
            || !is_signed("host")
            || !signed_headers.is_sorted()
        {
            return denied("Headers that must be signed are not, or not in order");
        }
        let signature = field("Signature");
        let bytes = (0..signature.len() / 2)
            .filter_map(|at| u8::from_str_radix(signature.get(2 * at..2 * at + 2)?, 16).ok());
        Ok(Self {
            algorithm: algorithm.to_owned(),
            serial: serial.to_owned(),
            scope: scope.to_owned(),
            signature: bytes.collect(),
            signed_headers,
        })
    }
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn check_signature(
    request: &Request<Bytes>,
    sent: &Sent,
    leaf: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let time = header(request, "x-amz-date");
    let signed_at =
        DateTime::strptime("%Y%m%dT%H%M%SZ", time).and_then(|at| Ok(at.in_tz("UTC")?.timestamp()));
    if !signed_at.is_ok_and(|at| now.duration_since(at).abs() <= SignedDuration::from_mins(5)) {
        return denied("Invalid signature");
    }
    let expected = format!("{}/eu-west-1/rolesanywhere/aws4_request", time.get(..8).unwrap_or_default());
    if sent.scope != expected {
        return denied("Invalid signature");
    }
    let mut query: Vec<_> =
        request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let mut canonical = format!("{}\n{}\n{}\n", request.method(), request.uri().path(), query.join("&"));
    for name in &sent.signed_headers {
        let value = header(request, name).split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{}\n{}", sent.signed_headers.join(";"), digest(request.body()));
    let text = format!("{}\n{time}\n{}\n{}", sent.algorithm, sent.scope, digest(canonical.as_bytes()));
    let key = leaf.public_key();
    let algorithm: &dyn VerificationAlgorithm = match (sent.algorithm.as_str(), key.parsed()) {
        ("AWS4-X509-RSA-SHA256", Ok(PublicKey::RSA(_))) => &RSA_PKCS1_2048_8192_SHA256,
        ("AWS4-X509-ECDSA-SHA256", Ok(PublicKey::EC(point))) if point.key_size() == 256 => {
            &ECDSA_P256_SHA256_ASN1
        }
        ("AWS4-X509-ECDSA-SHA256", Ok(PublicKey::EC(point))) if point.key_size() == 384 => {
            &ECDSA_P384_SHA256_ASN1
        }
        _ => return denied("Invalid signature"),
    };
    let key = UnparsedPublicKey::new(algorithm, &key.subject_public_key.data);
    if key.verify(text.as_bytes(), &sent.signature).is_err() {
        return denied("Invalid signature");
    }
    Ok(())
}

/// Each is issued by one of the others, and the anchor vouches for the last.
fn check_chain(certificates: &[X509Certificate<'_>], now: Timestamp) -> Result<(), Refusal> {
    let now = x509_parser::time::ASN1Time::from_timestamp(now.as_second()).expect("in range");
    let anchor = certificates.last().expect("the anchor");
    let mut current = &certificates[0];
    for _ in certificates {
        if !current.validity().is_valid_at(now) {
            return denied("Untrusted signing certificate");
        }
        if current.tbs_certificate.subject == anchor.tbs_certificate.subject
            && current.public_key() == anchor.public_key()
        {
            return Ok(());
        }
        let vouches = |above: &&X509Certificate<'_>| {
            above.is_ca()
                && above.subject() == current.issuer()
                && current.verify_signature(Some(above.public_key())).is_ok()
        };
        match certificates[1..].iter().find(vouches) {
            Some(above) => current = above,
            None => break,
        }
    }
    denied("Untrusted signing certificate")
}

fn check_leaf(leaf: &X509Certificate<'_>) -> Result<(), Refusal> {
    let may_sign = leaf.key_usage().ok().flatten().is_some_and(|usage| usage.value.digital_signature());
    if leaf.is_ca() || !may_sign || leaf.subject().iter().next().is_none() {
        return denied("The certificate is not one of an end entity that may sign");
    }
    Ok(())
}

/// In the body, or in the query.
fn check_parameters(request: &Request<Bytes>) -> Result<(), Refusal> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let parameter = |name: &str| {
        let of_query = query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        of_query.or_else(|| body[name].as_str().map(str::to_owned)).unwrap_or_default()
    };
    let missing =
        |what: &str| Err((StatusCode::NOT_FOUND, "ResourceNotFoundException", format!("{what} not found")));
    if parameter("trustAnchorArn") != TRUST_ANCHOR {
        return missing("Trust anchor");
    }
    let profile = parameter("profileArn");
    if profile != PROFILE && profile != PROFILE_WITH_NAMES {
        return missing("Profile");
    }
    if profile == PROFILE && !parameter("roleSessionName").is_empty() {
        return denied("Not authorized to set roleSessionName.");
    }
    if let Some(duration) = body["durationSeconds"].as_i64()
        && !(900..=43_200).contains(&duration)
    {
        return Err((
            StatusCode::BAD_REQUEST,
            "ValidationException",
            "durationSeconds is out of range".into(),
        ));
    }
    match parameter("roleArn").as_str() {
        ROLE => Ok(()),
        other => denied(&format!("Unable to assume role for {other}")),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
