//! The signature of a request with a certificate: Signature Version 4, in which the key of the certificate takes the
//! place of the secret.
//!
//! <https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html>

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustls::SignatureScheme;
use sha2::{Digest, Sha256};

use crate::error::{Code, Error};
use crate::key_pair::{KeyPair, USUAL_KEYS};

const SERVICE: &str = "rolesanywhere";

/// AWS wants SHA-256 with every key; with that, the library signs by these.
const SCHEMES: [SignatureScheme; 2] =
    [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];

/// A POST without a query.
pub(super) struct Request<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a str,
}

/// The headers of the request, the signature among them.
pub(super) fn headers(
    request: &Request<'_>,
    pair: &KeyPair,
    region: &str,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Error> {
    let signer = pair.key.key.choose_scheme(&SCHEMES).ok_or_else(|| {
        let cause = format!("the key of `{}` is neither of RSA nor of P-256", pair.leaf.subject());
        Error::new(Code::Certificate, cause).with_remedy(USUAL_KEYS)
    })?;
    let algorithm = match signer.scheme() {
        SignatureScheme::RSA_PKCS1_SHA256 => "AWS4-X509-RSA-SHA256",
        _ => "AWS4-X509-ECDSA-SHA256",
    };
    let (date, time) = in_basic_format(now);
    // In the order of the alphabet.
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("host", request.host.to_owned()),
        ("x-amz-date", time.clone()),
        ("x-amz-x509", STANDARD.encode(&pair.leaf.der)),
    ];
    if !pair.intermediates.is_empty() {
        let chain: Vec<_> = pair.intermediates.iter().map(|above| STANDARD.encode(&above.der)).collect();
        headers.push(("x-amz-x509-chain", chain.join(",")));
    }
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let canonical =
        format!("POST\n{}\n\n{}\n\n{names}\n{}", request.path, lines.join("\n"), digest(request.body));
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let to_sign = format!("{algorithm}\n{time}\n{scope}\n{}", digest(&canonical));
    let signature = signer.sign(to_sign.as_bytes()).map_err(|error| Error::new(Code::Certificate, error))?;
    let credential = format!("{}/{scope}", pair.leaf.serial());
    headers.push((
        "authorization",
        format!("{algorithm} Credential={credential}, SignedHeaders={names}, Signature={}", hex(&signature)),
    ));
    Ok(headers)
}

/// `YYYYMMDD` and `YYYYMMDDTHHMMSSZ`.
fn in_basic_format(at: Timestamp) -> (String, String) {
    let at = TimeZone::UTC.to_datetime(at);
    let date = format!("{:04}{:02}{:02}", at.year(), at.month(), at.day());
    let time = format!("{date}T{:02}{:02}{:02}Z", at.hour(), at.minute(), at.second());
    (date, time)
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
