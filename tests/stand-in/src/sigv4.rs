//! Verification of AWS Signature Version 4, written from its [specification].
//!
//! [specification]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use hyper::Request;
use hyper::body::Bytes;
use sha2::{Digest, Sha256};

/// The `Authorization` header, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) access_key_id: String,
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    /// `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX`
    pub(crate) fn of(request: &Request<Bytes>) -> Option<Self> {
        let header = request.headers().get("authorization")?.to_str().ok()?;
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field =
            |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let scope: Vec<_> = field("Credential")?.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = scope[..] else { return None };
        Some(Self {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        })
    }

    /// Whether the request was signed with `secret`, and whether all is signed that has to be.
    pub(crate) fn is_valid(&self, request: &Request<Bytes>, secret: &str) -> bool {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let must = ["host", "x-amz-date", "x-amz-target", "x-amz-security-token"];
        let signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if must.into_iter().any(|name| header(name).is_some() && !signed(name)) {
            return false;
        }
        let Some(time) = header("x-amz-date") else { return false };
        let mut canonical = format!("{}\n{}\n", request.method(), request.uri().path());
        let _ = writeln!(canonical, "{}", request.uri().query().unwrap_or_default());
        for name in &self.signed_headers {
            let value = header(name).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(
            canonical,
            "\n{}\n{}",
            self.signed_headers.join(";"),
            hex(&Sha256::digest(request.body()))
        );
        let Self { date, region, service, .. } = self;
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{}",
            hex(&Sha256::digest(canonical))
        );
        let key = [date, region, service, "aws4_request"]
            .into_iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
        hex(&hmac(&key, &to_sign)) == self.signature
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
