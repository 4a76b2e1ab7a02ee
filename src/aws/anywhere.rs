//! IAM Roles Anywhere: a session of a role for whoever holds a certificate.
//!
//! No SDK has this call.

use std::fmt;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ErrorMetadata;
use http::Uri;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::classify::{Doing, connector_error, service_error};
use super::way::Way;
use super::{read_body, x509_signature};
use crate::error::{Code, Error};
use crate::host;
use crate::key_pair::KeyPair;
use crate::partition::PARTITIONS;
use crate::settings::RolesAnywhereSetting;

/// As many as the SDK makes.
const ATTEMPTS: u32 = 3;

/// AWS takes signatures that are not older, nor younger.
const MOST_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Gets a session of the role of `setting` for the holder of `pair`.
pub(super) async fn create_session(
    setting: &RolesAnywhereSetting,
    pair: &KeyPair,
    what: &str,
    way: &Way<'_>,
) -> Result<Credentials, Error> {
    pair.check(host::now()).map_err(|error| error.while_doing(what))?;
    let url = url(setting, way).await?;
    let mut attempt = 1;
    loop {
        match ask(&url, setting, pair, what, way).await {
            Err(error) if attempt < ATTEMPTS && is_worth_another_try(error.code()) => {
                tokio::time::sleep(way.budget.pause_after(attempt)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

fn is_worth_another_try(code: Code) -> bool {
    let passing =
        [Code::Throttled, Code::AwsFailed, Code::ConnectFailed, Code::ConnectionBroken, Code::NoAnswer];
    passing.contains(&code)
}

async fn ask(
    url: &Uri,
    setting: &RolesAnywhereSetting,
    pair: &KeyPair,
    what: &str,
    way: &Way<'_>,
) -> Result<Credentials, Error> {
    let doing = Doing::start(what.to_owned(), way.transport, None);
    let answer = tokio::time::timeout(way.budget.attempt(), async {
        let request = request(url, setting, pair)?;
        let answer = way.transport.send(request, way.budget).await;
        let answer = answer.map_err(|error| connector_error(&error, &doing))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read_body(answer.into_body()).await.map_err(|error| error.while_doing(&doing))?;
        let mut answer = HttpResponse::new(status, SdkBody::from(body));
        *answer.headers_mut() = headers;
        Ok(answer)
    });
    let answer =
        answer.await.unwrap_or_else(|_| Err(Error::new(Code::NoAnswer, format!("{doing}: time is over"))))?;
    if answer.status().is_success() {
        return credentials_of(answer.body()).ok_or_else(|| {
            Error::new(Code::IdentitySource, format!("{doing}: the answer holds no credentials"))
        });
    }
    Err(refused(&answer, setting, pair, &doing, way))
}

fn request(url: &Uri, setting: &RolesAnywhereSetting, pair: &KeyPair) -> Result<HttpRequest, Error> {
    let RolesAnywhereSetting { trust_anchor, profile, role, session_name, duration, .. } = setting;
    let mut body = Map::new();
    for (key, arn) in [("trustAnchorArn", trust_anchor), ("profileArn", profile), ("roleArn", role)] {
        body.insert(key.into(), arn.as_str().into());
    }
    if let Some(name) = session_name {
        body.insert("roleSessionName".into(), name.as_str().into());
    }
    if let Some(duration) = duration {
        body.insert("durationSeconds".into(), duration.as_secs().into());
    }
    let body = Value::from(body).to_string();
    let host = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let unsigned = x509_signature::Request { host, path: url.path(), body: &body };
    let headers = x509_signature::headers(&unsigned, pair, trust_anchor.region(), host::now())?;
    let mut request = HttpRequest::new(SdkBody::from(body));
    let unusable =
        |error: &dyn fmt::Display| Error::new(Code::AwsConfig, format!("the endpoint `{url}`: {error}"));
    request.set_method("POST").map_err(|error| unusable(&error))?;
    request.set_uri(url.to_string()).map_err(|error| unusable(&error))?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// Region and partition are those of the trust anchor, whichever registry it is for.
async fn url(setting: &RolesAnywhereSetting, way: &Way<'_>) -> Result<Uri, Error> {
    let config = way.sdk_config(None, "RolesAnywhere").await;
    let malformed =
        |error| Error::new(Code::AwsConfig, format!("the endpoint of IAM Roles Anywhere is no URL: {error}"));
    if let Some(url) = config.endpoint_url() {
        return format!("{}/sessions", url.trim_end_matches('/')).parse().map_err(malformed);
    }
    let anchor = &setting.trust_anchor;
    let suffix =
        suffix(anchor.partition(), config.use_dual_stack().unwrap_or_default()).ok_or_else(|| {
            let cause = format!(
                "it is not known where IAM Roles Anywhere of the partition {} is",
                anchor.partition()
            );
            let remedy = "set `AWS_ENDPOINT_URL_ROLESANYWHERE`, or `dualStack: false`";
            Error::new(Code::AwsConfig, cause).with_remedy(remedy)
        })?;
    let fips = if config.use_fips().unwrap_or_default() { "-fips" } else { "" };
    format!("https://rolesanywhere{fips}.{}.{suffix}/sessions", anchor.region()).parse().map_err(malformed)
}

fn suffix(partition: &str, is_dual_stack: bool) -> Option<&'static str> {
    match (is_dual_stack, partition) {
        (true, "aws" | "aws-us-gov") => Some("api.aws"),
        (true, "aws-cn") => Some("api.amazonwebservices.com.cn"),
        (true, _) => None,
        (false, name) => PARTITIONS.iter().find(|known| known.name == name).map(|known| &*known.suffix),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    credential_set: Vec<CredentialSet>,
}

#[derive(Deserialize)]
struct CredentialSet {
    credentials: WireCredentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

fn credentials_of(body: &SdkBody) -> Option<Credentials> {
    let answer: Answer = serde_json::from_slice(body.bytes()?).ok()?;
    let WireCredentials { access_key_id, secret_access_key, session_token } =
        answer.credential_set.into_iter().next()?.credentials;
    Some(Credentials::new(access_key_id, secret_access_key, Some(session_token), None, "rolesanywhere"))
}

fn refused(
    answer: &HttpResponse,
    setting: &RolesAnywhereSetting,
    pair: &KeyPair,
    doing: &Doing<'_>,
    way: &Way<'_>,
) -> Error {
    let body: Value =
        answer.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let text = |keys: &[&str]| keys.iter().find_map(|key| body[*key].as_str()).map(str::to_owned);
    let name =
        answer.headers().get("x-amzn-errortype").map(str::to_owned).or_else(|| text(&["__type", "code"]));
    let name = name
        .and_then(|name| Some(name.split([':', '#']).find(|part| part.ends_with("Exception"))?.to_owned()));
    let message = text(&["message", "Message"]);
    let mut metadata = ErrorMetadata::builder();
    if let Some(name) = &name {
        metadata = metadata.code(name);
    }
    if let Some(message) = &message {
        metadata = metadata.message(message);
    }
    let error = service_error(&metadata.build(), answer, doing);
    let skew = way.transport.last_exchange().date.map(|there| host::now().duration_since(there));
    if let (Code::AccessDenied, Some(skew)) = (error.code(), skew.filter(|skew| skew.abs() > MOST_SKEW)) {
        let side = if skew.is_positive() { "ahead of" } else { "behind" };
        return Error::new(
            Code::ClockWrong,
            format!("{}; this clock is {:#} {side} AWS's", error.cause(), skew.abs()),
        );
    }
    match remedy(error.code(), message.as_deref().unwrap_or_default(), setting, pair) {
        Some(remedy) => error.with_remedy(remedy),
        None => error,
    }
}

/// What is wrong is in the message alone.
fn remedy(code: Code, message: &str, setting: &RolesAnywhereSetting, pair: &KeyPair) -> Option<String> {
    let RolesAnywhereSetting { trust_anchor, profile, role, .. } = setting;
    let leaf = &pair.leaf;
    let holder = format!("the certificate of `{}`, serial number {}", leaf.subject(), leaf.serial());
    match code {
        Code::AccessDenied if message.contains("Untrusted") => Some(format!(
            "{holder}, is issued by `{}`: that CA must be the one of `{trust_anchor}`, or `intermediates` must lead there",
            leaf.issuer()
        )),
        Code::AccessDenied if message.contains("roleSessionName") => Some(format!(
            "let `{profile}` accept the names of sessions (`--accept-role-session-name`), or leave out `sessionName`"
        )),
        Code::AccessDenied if message.contains("signature") => {
            Some("see what changes requests on their way: a proxy that inspects TLS, say".into())
        }
        Code::AccessDenied => Some(format!(
            "see that `{profile}` is enabled and has `{role}`, and that the role trusts `rolesanywhere.amazonaws.com` with \
             `sts:AssumeRole`, `sts:TagSession` and `sts:SetSourceIdentity` for {holder}, and `aws:SourceArn` \
             `{trust_anchor}`"
        )),
        Code::Refused => Some(format!("see that `{trust_anchor}` and `{profile}` exist, and are enabled")),
        _ => None,
    }
}
