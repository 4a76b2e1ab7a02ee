//! The kubelet's exec protocol: the request on stdin, the response on stdout.
//!
//! The types are those of `credentialprovider.kubelet.k8s.io` ([v1]). The three versions that a kubelet
//! may be configured with differ only in fields of the request that older kubelets do not send, so one
//! set of types serves all of them and the version is echoed: the kubelet rejects a response in another
//! version than the configured one, and decodes it strictly.
//!
//! [v1]: https://kubernetes.io/docs/reference/config-api/kubelet-credentialprovider.v1/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::secret::Secret;

/// The largest request that is read, in bytes.
pub const LARGEST_REQUEST: usize = 1 << 20;

const REQUEST_KIND: &str = "CredentialProviderRequest";
const RESPONSE_KIND: &str = "CredentialProviderResponse";

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// Kubernetes 1.26 and newer.
    V1,
    /// Kubernetes 1.24 and newer.
    V1Beta1,
    /// Kubernetes 1.20 and newer.
    V1Alpha1,
}

impl ApiVersion {
    const ALL: [Self; 3] = [Self::V1, Self::V1Beta1, Self::V1Alpha1];

    /// The value of the field `apiVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "credentialprovider.kubelet.k8s.io/v1",
            Self::V1Beta1 => "credentialprovider.kubelet.k8s.io/v1beta1",
            Self::V1Alpha1 => "credentialprovider.kubelet.k8s.io/v1alpha1",
        }
    }
}

/// What the kubelet asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The version to answer in.
    pub api_version: ApiVersion,
    /// The image to pull, still as text.
    pub image: String,
    /// The pod's identity, sent by Kubernetes 1.33 and newer where the provider has `tokenAttributes`.
    pub service_account: Option<ServiceAccount>,
}

/// The identity of the pod for which an image is pulled (KEP-4412).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// A token of the pod's service account, for the audience that the provider configures.
    pub token: Secret,
    /// Those annotations of the service account that the provider lists.
    pub annotations: BTreeMap<String, String>,
}

/// Decodes a request. Fields that are not known are ignored; newer kubelets send more.
pub fn decode_request(json: &[u8]) -> Result<Request, Error> {
    let TypeMeta { kind, api_version, .. } = parse(json)?;
    if kind != REQUEST_KIND {
        return Err(Error::new(Code::RequestKind, format!("kind is `{kind}`")));
    }
    let api_version = ApiVersion::ALL
        .into_iter()
        .find(|version| version.as_str() == api_version)
        .ok_or_else(|| Error::new(Code::RequestVersion, format!("apiVersion is `{api_version}`")))?;
    let wire: WireRequest = parse(json)?;
    let service_account =
        wire.service_account_token.filter(|token| !token.is_empty()).map(|token| ServiceAccount {
            token: Secret::from(token),
            annotations: wire.service_account_annotations.unwrap_or_default(),
        });
    Ok(Request { api_version, image: wire.image, service_account })
}

/// Whether a text is a request, valid or not: what the kubelet writes to whatever it has been given to run.
pub(crate) fn is_request(input: &[u8]) -> bool {
    serde_json::from_slice::<Value>(input).is_ok_and(|json| json["kind"] == REQUEST_KIND)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| Error::new(Code::RequestMalformed, describe(&error)))
}

/// serde quotes the offending value in its messages, and that value may be a token. Keep what names the
/// field or the syntax error, drop what quotes the input.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() {
        return text;
    }
    // The value may hold any text, so the words after it are looked for from the end.
    match (text.strip_prefix("invalid type: "), text.rfind(", expected ")) {
        (Some(found), Some(expected)) => {
            let found = found.split([' ', '`', '"', ',']).next().unwrap_or_default();
            format!("invalid type: {found}{}", &text[expected..])
        }
        _ => text,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeMeta {
    kind: String,
    api_version: String,
    #[serde(flatten)]
    #[expect(dead_code, reason = "reading the rest as values, not skipping it, keeps the limit on nesting")]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest {
    image: String,
    service_account_token: Option<String>,
    service_account_annotations: Option<BTreeMap<String, String>>,
}

/// For which images an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKeyType {
    /// This one.
    Image,
    /// All of the registry.
    Registry,
}

impl CacheKeyType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Registry => "Registry",
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// For which images the kubelet may use this answer.
    pub cache_key_type: CacheKeyType,
    /// For how long the kubelet may use this answer instead of asking again. Never absent: then the kubelet would take its configured default, usually 12 hours.
    pub cache_duration: GoDuration,
    /// The password, or none: the kubelet goes on without, with other providers or anonymously.
    pub auth: Option<Auth>,
}

/// A password for one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// `host[:port]` as in the image reference.
    pub key: String,
    /// The user name, `AWS` for ECR.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Encodes a response as one line of JSON, in the version of the request.
pub fn encode_response(response: &Response, api_version: ApiVersion) -> Result<Vec<u8>, Error> {
    let wire = WireResponse {
        kind: RESPONSE_KIND,
        api_version: api_version.as_str(),
        cache_key_type: response.cache_key_type.as_str(),
        cache_duration: response.cache_duration.to_string(),
        auth: response.auth.as_ref().map(|auth| {
            let config = WireAuth { username: &auth.username, password: auth.password.expose() };
            BTreeMap::from([(auth.key.as_str(), config)])
        }),
    };
    let mut line = serde_json::to_vec(&wire).map_err(|error| Error::new(Code::Internal, error))?;
    line.push(b'\n');
    Ok(line)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireResponse<'a> {
    kind: &'static str,
    api_version: &'static str,
    cache_key_type: &'static str,
    cache_duration: String,
    /// `null` is the kubelet's word for "no credentials".
    auth: Option<BTreeMap<&'a str, WireAuth<'a>>>,
}

#[derive(Serialize)]
struct WireAuth<'a> {
    username: &'a str,
    password: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_fields_it_knows_and_ignores_the_rest() {
        let json = br#"{
            "kind": "CredentialProviderRequest", "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "image": "registry.corp/a", "serviceAccountToken": "eyJ", "podUID": {"from": ["2030"]},
            "serviceAccountAnnotations": {"eks.amazonaws.com/ecr-role-arn": "arn:aws:iam::1:role/a"}
        }"#;
        let request = decode_request(json).expect("a valid request");
        assert_eq!(request.api_version, ApiVersion::V1);
        assert_eq!(request.image, "registry.corp/a");
        let account = request.service_account.expect("a service account");
        assert_eq!(account.token.expose(), "eyJ");
        assert_eq!(account.annotations["eks.amazonaws.com/ecr-role-arn"], "arn:aws:iam::1:role/a");
    }

    #[test]
    fn an_error_does_not_quote_the_token() {
        let json = |token: &str, annotations: &str| {
            format!(
                r#"{{"kind":"CredentialProviderRequest","apiVersion":"{}","image":"a",
                     "serviceAccountToken":{token},"serviceAccountAnnotations":{annotations}}}"#,
                ApiVersion::V1.as_str()
            )
        };
        let rows = [
            (json("5500000000", "null"), "invalid type: integer, expected a string at line 2"),
            (json("null", r#""canary-5500""#), "invalid type: string, expected a map at line 2"),
            (json("null", r#""a, expected canary-5500""#), "invalid type: string, expected a map at line 2"),
            (json("null", r#"{"a":["canary-5500"]}"#), "invalid type: sequence, expected a string at line 2"),
        ];
        for (json, message) in rows {
            let error = decode_request(json.as_bytes()).expect_err("a wrong type");
            assert_eq!(error.code(), Code::RequestMalformed);
            assert!(error.cause().starts_with(message), "{error}");
            assert!(!error.to_string().contains("5500"), "{error}");
        }
    }

    #[test]
    fn a_response_is_byte_for_byte_what_go_writes() {
        let auth = Auth { key: "h:1".into(), username: "AWS".into(), password: Secret::from("p".to_owned()) };
        let response = Response {
            cache_key_type: CacheKeyType::Registry,
            cache_duration: GoDuration::from_secs(21_600),
            auth: Some(auth),
        };
        let line = encode_response(&response, ApiVersion::V1).expect("encodes");
        assert_eq!(
            String::from_utf8_lossy(&line),
            "{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
             \"cacheKeyType\":\"Registry\",\"cacheDuration\":\"6h0m0s\",\
             \"auth\":{\"h:1\":{\"username\":\"AWS\",\"password\":\"p\"}}}\n"
        );
    }
}
