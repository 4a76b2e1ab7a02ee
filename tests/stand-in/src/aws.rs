//! AWS: ECR, ECR Public, the part of STS that hands out roles, and the places where credentials are served.
//!
//! One server answers all of it: the services by signed POST, told apart by `X-Amz-Target` (ECR) and the
//! form field `Action` (STS), the credentials by GET and PUT as the instance metadata service and the
//! container endpoints do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
pub use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::anywhere;
use crate::cluster::{self, Cluster, OidcProvider};
use crate::pki::Ca;
use crate::server::{ANY_PORT, Reply, Server};
use crate::sigv4::Authorization;
use crate::tls::TestCa;

/// The key id of the identity that exists from the start.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret. Tests look for it where it must not be.
pub const SECRET_ACCESS_KEY: &str = "canary-secret-wJalrXUtnFEMI/K7MDENG";
/// The token that the instance metadata service hands out for its own use.
const METADATA_TOKEN: &str = "canary-metadata-token";
/// What the container credentials endpoint wants in `Authorization`.
pub const CONTAINER_TOKEN: &str = "canary-container-token";

/// A running AWS.
#[derive(Clone, Debug)]
pub struct Aws {
    world: Arc<Mutex<World>>,
    server: Arc<Server>,
    scheme: &'static str,
}

/// How AWS behaves. Change it at any time.
#[derive(Debug)]
pub struct Behaviour {
    /// How long a registry password lives.
    pub password_life: SignedDuration,
    /// The registry password. Without one, each answer has another.
    pub password: Option<String>,
    /// How far AWS's clock is ahead of ours.
    pub clock_ahead: SignedDuration,
    /// How long each answer takes.
    pub latency: Duration,
    /// What `DescribeImages` says of each repository.
    pub repositories: HashMap<String, Vec<serde_json::Value>>,
    /// How many images one answer may describe, however many are asked for.
    pub page: usize,
    /// What to do instead of answering a call of ECR.
    pub fault: Option<Fault>,
    /// What to answer where credentials are served (instance metadata, containers, STS).
    pub credentials_fault: Option<(StatusCode, &'static str)>,
}

/// A failure on purpose.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset.
    Reset,
    /// The connection is reset the given number of times, then all is well.
    ResetTimes(usize),
    /// The connection is closed without an answer.
    Close,
    /// There is no answer.
    Hang,
    /// The right answer comes one byte at a time.
    Drip(Duration),
    /// AWS answers with this error.
    Error(StatusCode, &'static str, String),
    /// Someone answers with this.
    Raw(StatusCode, &'static str, String),
    /// ECR answers with success and this data, in which `{token}` and `{expires}` are replaced.
    Data(String),
}

/// What a request to AWS was.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation, such as `ecr:GetAuthorizationToken`.
    pub operation: String,
    /// The host name that the client asked for.
    pub host: String,
    /// The region of the signature; empty without one.
    pub region: String,
    /// The key id of the signature; empty without one.
    pub access_key_id: String,
    /// The session token of the request.
    pub session_token: Option<String>,
    /// The body.
    pub body: String,
}

struct World {
    /// The time of the request that is being answered: everything in one answer is of the same second.
    at: Timestamp,
    behaviour: Behaviour,
    identities: HashMap<String, Identity>,
    /// Without one, any token will do.
    oidc_provider: Option<OidcProvider>,
    /// The CA of the trust anchor of IAM Roles Anywhere.
    trust_anchor: Vec<u8>,
    passwords: HashMap<String, Timestamp>,
    seen: Vec<Seen>,
}

#[derive(Clone)]
struct Identity {
    secret: String,
    session_token: Option<String>,
}

impl Aws {
    /// Starts AWS over plain HTTP.
    pub fn start() -> Self {
        Self::serve(ANY_PORT, None)
    }

    /// The same at an address of one's choice.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::serve(address, None)
    }

    /// Starts AWS over TLS, under any name, with certificates of `ca`.
    pub fn start_tls(ca: &TestCa) -> Self {
        Self::serve(ANY_PORT, Some(ca))
    }

    /// The same at an address of one's choice.
    pub fn start_tls_at(address: SocketAddr, ca: &TestCa) -> Self {
        Self::serve(address, Some(ca))
    }

    fn serve(address: SocketAddr, ca: Option<&TestCa>) -> Self {
        let first = Identity { secret: SECRET_ACCESS_KEY.to_owned(), session_token: None };
        let world = Arc::new(Mutex::new(World {
            at: Timestamp::UNIX_EPOCH,
            behaviour: Behaviour {
                password_life: SignedDuration::from_hours(12),
                password: None,
                clock_ahead: SignedDuration::ZERO,
                latency: Duration::ZERO,
                repositories: HashMap::new(),
                page: usize::MAX,
                fault: None,
                credentials_fault: None,
            },
            identities: HashMap::from([(ACCESS_KEY_ID.to_owned(), first)]),
            oidc_provider: None,
            trust_anchor: Vec::new(),
            passwords: HashMap::new(),
            seen: Vec::new(),
        }));
        let shared = world.clone();
        let handler = move |request| shared.lock().expect("not poisoned").answer(&request);
        let server = Server::http(address, ca.map(TestCa::acceptor), Arc::new(handler));
        Self { world, server: Arc::new(server), scheme: if ca.is_some() { "https" } else { "http" } }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL for `AWS_ENDPOINT_URL` and its kin.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.world().behaviour);
    }

    /// Roles can be assumed with tokens of `cluster` for `audience` whose subject is `subject`, and with no others.
    pub fn trust(&self, cluster: &Cluster, audience: &str, subject: &str) {
        self.world().oidc_provider = Some(OidcProvider::new(cluster, audience, subject));
    }

    /// IAM Roles Anywhere trusts certificates of `ca`.
    pub fn anchor(&self, ca: &Ca) {
        self.world().trust_anchor = ca.der();
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.world().seen.clone()
    }

    /// Whether a registry would let this password in now.
    pub fn accepts_password(&self, password: &str) -> bool {
        let world = self.world();
        world.passwords.get(password).is_some_and(|expires_at| world.now() < *expires_at)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("not poisoned")
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "AWS has a clock of its own")]
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.behaviour.clock_ahead
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Reply {
        self.at = self.now();
        let authorization = Authorization::of(request);
        let operation = operation_of(request);
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let body = String::from_utf8_lossy(request.body()).into_owned();
        self.seen.push(Seen {
            operation: operation.clone(),
            host: header("host").unwrap_or_default().to_owned(),
            region: authorization.as_ref().map(|sent| sent.region.clone()).unwrap_or_default(),
            access_key_id: authorization.as_ref().map(|sent| sent.access_key_id.clone()).unwrap_or_default(),
            session_token: header("x-amz-security-token").map(str::to_owned),
            body: body.clone(),
        });
        let is_ecr = operation.starts_with("ecr");
        let response = match operation.as_str() {
            _ if !is_ecr && self.behaviour.credentials_fault.is_some() => {
                let (status, body) = self.behaviour.credentials_fault.unwrap_or_default();
                self.response(status, "text/plain", body.to_owned())
            }
            "ecr:GetAuthorizationToken" | "ecr-public:GetAuthorizationToken" | "ecr:DescribeImages" => {
                return self.answer_ecr(request, authorization, &operation);
            }
            "sts:AssumeRole" => match self.refusal(request, authorization, "sts") {
                Some((code, message)) => sts_error(code, &message),
                None => self.assumed_role("AssumeRole", &body),
            },
            "sts:AssumeRoleWithWebIdentity" => self.assumed_role("AssumeRoleWithWebIdentity", &body),
            "rolesanywhere:CreateSession" => self.created_session(request),
            _ => self.served_credentials(request),
        };
        self.in_time(response)
    }

    fn in_time(&self, response: Response<Bytes>) -> Reply {
        match self.behaviour.latency {
            Duration::ZERO => Reply::Answer(response),
            latency => Reply::Late(latency, response),
        }
    }

    fn answer_ecr(
        &mut self,
        request: &Request<Bytes>,
        authorization: Option<Authorization>,
        operation: &str,
    ) -> Reply {
        if let Some((code, message)) =
            self.refusal(request, authorization, operation.split(':').next().unwrap_or_default())
        {
            return self.in_time(self.json_error(StatusCode::BAD_REQUEST, code, &message));
        }
        let good = match operation {
            "ecr:DescribeImages" => self.images(request.body()),
            _ => self.authorization_data(operation.starts_with("ecr-public"), None),
        };
        match self.behaviour.fault.clone() {
            None | Some(Fault::ResetTimes(0)) => self.in_time(good),
            Some(Fault::Reset) => Reply::Reset,
            Some(Fault::ResetTimes(times)) => {
                self.behaviour.fault = Some(Fault::ResetTimes(times - 1));
                Reply::Reset
            }
            Some(Fault::Close) => Reply::Close,
            Some(Fault::Hang) => Reply::Hang,
            Some(Fault::Drip(pause)) => Reply::Drip(pause, good),
            Some(Fault::Error(status, code, message)) => {
                self.in_time(self.json_error(status, code, &message))
            }
            Some(Fault::Raw(status, content_type, body)) => {
                self.in_time(self.response(status, content_type, body))
            }
            Some(Fault::Data(data)) => {
                let response = self.authorization_data(false, Some(data));
                self.in_time(response)
            }
        }
    }

    /// The error with which AWS refuses a request that is not signed as it must be.
    fn refusal(
        &self,
        request: &Request<Bytes>,
        authorization: Option<Authorization>,
        service: &str,
    ) -> Option<(&'static str, String)> {
        let Some(authorization) = authorization else {
            return Some(("MissingAuthenticationTokenException", "Missing Authentication Token".into()));
        };
        let Some(identity) = self.identities.get(&authorization.access_key_id) else {
            let message = "The security token included in the request is invalid.";
            return Some(("UnrecognizedClientException", message.into()));
        };
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let token_matches = header("x-amz-security-token") == identity.session_token.as_deref();
        if authorization.service != service
            || !token_matches
            || !authorization.is_valid(request, &identity.secret)
        {
            let token = header("x-amz-security-token").unwrap_or_default();
            let message = format!(
                "The request signature we calculated does not match the signature you provided. Check your AWS \
                 Secret Access Key and signing method.\n\nThe Canonical String for this request should have been\n\
                 'POST\n/\n\nx-amz-security-token:{token}\n'"
            );
            return Some(("InvalidSignatureException", message));
        }
        let signed_at = header("x-amz-date")
            .and_then(|text| jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?.in_tz("UTC").ok());
        let age = signed_at.map(|at| self.at.duration_since(at.timestamp()));
        match age {
            Some(age) if age.abs() <= SignedDuration::from_mins(5) => None,
            _ => Some((
                "InvalidSignatureException",
                format!(
                    "Signature expired: {} is now earlier than {}",
                    header("x-amz-date").unwrap_or_default(),
                    self.at
                ),
            )),
        }
    }

    /// A page of the images of a repository, and the token for the next.
    fn images(&self, body: &Bytes) -> Response<Bytes> {
        let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(images) =
            self.behaviour.repositories.get(asked["repositoryName"].as_str().unwrap_or_default())
        else {
            let message = "The repository does not exist in the registry";
            return self.json_error(StatusCode::BAD_REQUEST, "RepositoryNotFoundException", message);
        };
        let tagged_only = asked["filter"]["tagStatus"] == "TAGGED";
        let images = images.iter().filter(|image| !tagged_only || image["imageTags"].is_array());
        let most = asked["maxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
        let page = most.min(self.behaviour.page);
        let start = asked["nextToken"].as_str().and_then(|token| token.strip_prefix("from-")?.parse().ok());
        let mut rest = images.skip(start.unwrap_or(0)).peekable();
        let details: Vec<_> = rest.by_ref().take(page).collect();
        let next = rest.peek().map(|_| format!("from-{}", start.unwrap_or(0) + page));
        let mut answer = json!({"imageDetails": details});
        if let Some(next) = next {
            answer["nextToken"] = next.into();
        }
        self.response(StatusCode::OK, "application/x-amz-json-1.1", answer.to_string())
    }

    fn authorization_data(&mut self, public: bool, data: Option<String>) -> Response<Bytes> {
        let expires_at = self.at + self.behaviour.password_life;
        // As long as a real one, and different each time.
        let another =
            || format!("canary-password-{}-{}", self.passwords.len(), "eyJwYXlsb2FkIjoi".repeat(100));
        let password = self.behaviour.password.clone().unwrap_or_else(another);
        self.passwords.insert(password.clone(), expires_at);
        let token = STANDARD.encode(format!("AWS:{password}"));
        let expires = expires_at.as_second();
        let data = match data {
            Some(data) => data.replace("{token}", &token).replace("{expires}", &expires.to_string()),
            None if public => {
                json!({"authorizationData": {"authorizationToken": token, "expiresAt": expires}}).to_string()
            }
            None => json!({"authorizationData": [{
                "authorizationToken": token, "expiresAt": expires,
                "proxyEndpoint": "https://571600876202.dkr.ecr.eu-central-1.amazonaws.com",
            }]})
            .to_string(),
        };
        self.response(StatusCode::OK, "application/x-amz-json-1.1", data)
    }

    /// A new identity for whoever assumes a role.
    fn assumed_role(&mut self, action: &str, form: &str) -> Response<Bytes> {
        let field = |name: &str| {
            form_urlencoded::parse(form.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let token = field("WebIdentityToken");
        if let Some((provider, token)) = self.oidc_provider.as_ref().zip(token)
            && let Some((code, message)) = cluster::refusal(&token, provider, self.at)
        {
            return sts_error(code, &message);
        }
        let role = field("RoleArn").unwrap_or_default();
        if role.ends_with("/forbidden") {
            let message = format!("User is not authorized to perform: sts:{action} on resource: {role}");
            return sts_error("AccessDenied", &message);
        }
        let [id, secret, session_token] = self.temporary_identity();
        let expiration = self.at + SignedDuration::from_hours(1);
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>{role}/x</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{session_token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        );
        self.response(StatusCode::OK, "text/xml", body)
    }

    /// A new identity for the holder of a certificate.
    fn created_session(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        match anywhere::verify(request, &self.trust_anchor, self.at) {
            Ok(_) => {
                let [id, secret, session_token] = self.temporary_identity();
                let expiration = (self.at + SignedDuration::from_hours(1)).to_string();
                let body = json!({
                    "credentialSet": [{
                        "assumedRoleUser": {"arn": anywhere::ROLE, "assumedRoleId": "AROA:f102"},
                        "credentials": {
                            "accessKeyId": id, "secretAccessKey": secret, "sessionToken": session_token,
                            "expiration": expiration,
                        },
                        "packedPolicySize": 1, "roleArn": anywhere::ROLE, "sourceIdentity": "CN=x",
                    }],
                    "subjectArn": "arn:aws:rolesanywhere:eu-west-1:571600876202:subject/x",
                });
                self.response(StatusCode::CREATED, "application/json", body.to_string())
            }
            Err((status, name, message)) => {
                let body = json!({"message": message}).to_string();
                let mut response = self.response(status, "application/json", body);
                let name = hyper::header::HeaderValue::from_static(name);
                response.headers_mut().insert("x-amzn-errortype", name);
                response
            }
        }
    }

    fn temporary_identity(&mut self) -> [String; 3] {
        let number = self.identities.len();
        let id = format!("ASIAEXAMPLE{number:09}");
        let secret = format!("canary-role-secret-{number}");
        let session_token = format!("canary-session-{number}-{}", "IQoJb3JpZ2luX2Vj".repeat(40));
        let identity = Identity { secret: secret.clone(), session_token: Some(session_token.clone()) };
        self.identities.insert(id.clone(), identity);
        [id, secret, session_token]
    }

    /// What instance metadata (IMDSv2) and container endpoints serve.
    fn served_credentials(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let with_token = header("x-aws-ec2-metadata-token") == Some(METADATA_TOKEN);
        let with_authorization = header("authorization") == Some(CONTAINER_TOKEN);
        match (request.method(), request.uri().path()) {
            (&Method::PUT, "/latest/api/token") => {
                let mut response = self.response(StatusCode::OK, "text/plain", METADATA_TOKEN.into());
                let life = hyper::header::HeaderValue::from_static("21600");
                response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", life);
                response
            }
            (&Method::GET, "/latest/meta-data/iam/security-credentials/") if with_token => {
                self.response(StatusCode::OK, "text/plain", "node-role".into())
            }
            (&Method::GET, "/latest/meta-data/iam/security-credentials/node-role") if with_token => {
                self.credentials_document()
            }
            (&Method::GET, "/container-credentials") if with_authorization => self.credentials_document(),
            _ => self.response(StatusCode::NOT_FOUND, "text/plain", "not found".into()),
        }
    }

    fn credentials_document(&mut self) -> Response<Bytes> {
        let [id, secret, session_token] = self.temporary_identity();
        let expiration = (self.at + SignedDuration::from_hours(6)).to_string();
        let document = json!({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": secret,
            "Token": session_token, "Expiration": expiration, "LastUpdated": self.at.to_string(),
        });
        self.response(StatusCode::OK, "application/json", document.to_string())
    }

    fn json_error(&self, status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
        let body = json!({"__type": code, "message": message}).to_string();
        self.response(status, "application/x-amz-json-1.1", body)
    }

    fn response(&self, status: StatusCode, content_type: &str, body: String) -> Response<Bytes> {
        let date = self.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        Response::builder()
            .status(status)
            .header("date", date)
            .header("content-type", content_type)
            .header("x-amzn-requestid", "00000000-1111-2222-3333-444444444444")
            .body(Bytes::from(body))
            .expect("a valid response")
    }
}

fn operation_of(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    match target {
        Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken") => {
            "ecr:GetAuthorizationToken".into()
        }
        Some("AmazonEC2ContainerRegistry_V20150921.DescribeImages") => "ecr:DescribeImages".into(),
        Some("SpencerFrontendService.GetAuthorizationToken") => "ecr-public:GetAuthorizationToken".into(),
        Some(other) => other.to_owned(),
        None if request.uri().path() == "/sessions" => "rolesanywhere:CreateSession".into(),
        None if request.method() == Method::POST => {
            let action = form_urlencoded::parse(request.body()).find(|(key, _)| key == "Action");
            format!("sts:{}", action.map(|(_, value)| value.into_owned()).unwrap_or_default())
        }
        None => format!("{} {}", request.method(), request.uri().path()),
    }
}

fn sts_error(code: &str, message: &str) -> Response<Bytes> {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    let status = if code == "AccessDenied" { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    Response::builder()
        .status(status)
        .header("content-type", "text/xml")
        .body(Bytes::from(body))
        .expect("a valid response")
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("behaviour", &self.behaviour).finish_non_exhaustive()
    }
}
