//! A cluster that issues tokens of service accounts, and what STS thinks of them.
//!
//! Written from [RFC 7519] and the user guide of IAM; the words of refusals are those of AWS.
//!
//! [RFC 7519]: https://www.rfc-editor.org/rfc/rfc7519

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};

/// The issuer of tokens.
#[derive(Debug)]
pub struct Cluster {
    issuer: String,
    key: EcdsaKeyPair,
}

impl Cluster {
    /// A cluster whose `--service-account-issuer` is `issuer`.
    pub fn new(issuer: &str) -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self { issuer: issuer.to_owned(), key: key.expect("a key") }
    }

    /// A token of the service account `namespace/name` for `audience`, as kube-apiserver issues it for a pod.
    /// Each one is another.
    #[expect(clippy::disallowed_methods, reason = "a cluster has a clock of its own")]
    pub fn token(&self, account: &str, audience: &str, life: SignedDuration) -> String {
        let (namespace, name) = account.split_once('/').expect("namespace/name");
        let now = Timestamp::now();
        let header = json!({"alg": "ES256", "kid": "k", "typ": "JWT"}).to_string();
        let claims = json!({
            "iss": self.issuer, "sub": format!("system:serviceaccount:{namespace}:{name}"), "aud": [audience],
            "iat": now.as_second(), "nbf": now.as_second(), "exp": (now + life).as_second(),
            "jti": format!("canary-{}", now.as_nanosecond()),
            "kubernetes.io": {
                "namespace": namespace, "serviceaccount": {"name": name, "uid": format!("uid-of-{name}")},
                "pod": {"name": "web-0", "uid": "p"}, "node": {"name": "node-1", "uid": "n"},
            },
        });
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An OIDC provider in IAM, and the subject that the trust policies of all roles want.
#[derive(Clone, Debug)]
pub(crate) struct OidcProvider {
    issuer: String,
    audience: String,
    subject: String,
    key: Vec<u8>,
}

impl OidcProvider {
    pub(crate) fn new(cluster: &Cluster, audience: &str, subject: &str) -> Self {
        Self {
            issuer: cluster.issuer.clone(),
            audience: audience.to_owned(),
            subject: subject.to_owned(),
            key: cluster.key.public_key().as_ref().to_vec(),
        }
    }
}

/// Error code and message of STS; none if it takes the token.
pub(crate) fn refusal(
    token: &str,
    provider: &OidcProvider,
    now: Timestamp,
) -> Option<(&'static str, String)> {
    let invalid = |message: &str| Some(("InvalidIdentityToken", message.to_owned()));
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return invalid("The ID Token provided is not a valid JWT.");
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&decoded(payload)).unwrap_or_default();
    let issuer = claims["iss"].as_str().unwrap_or_default();
    if issuer != provider.issuer {
        return invalid(&format!("No OpenIDConnect provider found in your account for {issuer}"));
    }
    if !claims["aud"].as_array().is_some_and(|all| all.iter().any(|one| *one == provider.audience.as_str())) {
        return invalid("Incorrect token audience");
    }
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &provider.key);
    if key.verify(format!("{header}.{payload}").as_bytes(), &decoded(signature)).is_err() {
        return invalid("Couldn't retrieve verification key from your identity provider");
    }
    let expires_at = claims["exp"].as_i64().unwrap_or_default();
    if expires_at <= now.as_second() {
        let message = format!(
            "Token expired: current date/time {} must be before the expiration date/time {expires_at}",
            now.as_second()
        );
        return Some(("ExpiredTokenException", message));
    }
    if claims["sub"] != provider.subject.as_str() {
        return Some(("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity".into()));
    }
    None
}
