//! From an error of the AWS SDK to one of ours.
//!
//! The SDK's own texts cannot be passed on: the `Debug` of its errors, which `DisplayErrorContext` prints,
//! holds the raw answer, and with it the token. Only the error code, the first line of AWS's message, the
//! status and the request id are taken, and the texts of errors below the HTTP layer.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::http::{Exchange, Transport};
use crate::error::{Code, Error};

/// What is being done, for the start of an error's cause, and what must not appear in its rest.
///
/// Where it happens (the endpoint, the proxy) is what the transport saw last, since the start of this.
pub(super) struct Doing<'a> {
    what: String,
    transport: &'a Transport,
    secrets: Vec<String>,
}

impl<'a> Doing<'a> {
    /// From here on the transport's last exchange is one of this.
    pub(super) fn start(what: String, transport: &'a Transport, credentials: Option<&Credentials>) -> Self {
        transport.start_afresh();
        let secrets = credentials.into_iter().flat_map(|credentials| {
            [Some(credentials.secret_access_key()), credentials.session_token()].into_iter().flatten()
        });
        let nothing = Self { what, transport, secrets: Vec::new() };
        secrets.fold(nothing, Self::hiding)
    }

    /// With another text that must not appear.
    pub(super) fn hiding(mut self, secret: &str) -> Self {
        // A short text is no secret of AWS, and would be found everywhere.
        if secret.len() >= 8 {
            self.secrets.push(secret.to_owned());
        }
        self
    }

    fn failed(&self, code: Code, cause: impl fmt::Display) -> Error {
        let mut cause = cause.to_string();
        for secret in &self.secrets {
            cause = cause.replace(secret, "[redacted]");
        }
        Error::new(code, format!("{self}: {cause}"))
    }
}

impl fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let Exchange { endpoint, proxy, .. } = self.transport.last_exchange();
        if !endpoint.is_empty() {
            write!(f, " at `{endpoint}`")?;
        }
        match proxy {
            Some(proxy) => write!(f, " through the proxy of {proxy}"),
            None => Ok(()),
        }
    }
}

/// Classifies the failure of a call to an AWS service.
pub(super) fn sdk_error<E>(error: &SdkError<E, HttpResponse>, doing: &Doing<'_>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => doing.failed(Code::AwsConfig, causes(error)),
        SdkError::TimeoutError(_) => no_answer(error, doing),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => connector_error(error, doing),
            None => doing.failed(Code::Internal, causes(error)),
        },
        SdkError::ResponseError(failure) => undecodable(error, failure.raw(), doing),
        SdkError::ServiceError(failure) => service_error(failure.err(), failure.raw(), doing),
        _ => doing.failed(Code::Internal, causes(error)),
    }
}

/// Classifies the failure of a source of credentials that the SDK asks.
pub(super) fn credentials_error(error: &CredentialsError, doing: &Doing<'_>) -> Error {
    if let Some(error) = chain(error).find_map(<dyn StdError>::downcast_ref::<ConnectorError>) {
        return connector_error(error, doing);
    }
    match error {
        CredentialsError::InvalidConfiguration(_) => doing.failed(Code::AwsConfig, causes(error)),
        CredentialsError::ProviderTimedOut(_) => doing.failed(Code::NoAnswer, causes(error)),
        _ => doing.failed(Code::IdentitySource, causes(error)),
    }
}

pub(super) fn connector_error(error: &ConnectorError, doing: &Doing<'_>) -> Error {
    if error.is_timeout() {
        return no_answer(error, doing);
    }
    let behind_proxy = doing.transport.last_exchange().proxy.is_some();
    if let Some(ours) = chain(error).find_map(<dyn StdError>::downcast_ref::<Error>) {
        return match ours.code() {
            Code::NameNotFound if behind_proxy => doing.failed(Code::ProxyFailed, ours.cause()),
            _ => ours.clone().while_doing(doing),
        };
    }
    if let Some(tls) = chain(error).find_map(<dyn StdError>::downcast_ref::<rustls::Error>) {
        return tls_error(tls, doing);
    }
    let code = match chain(error).find_map(<dyn StdError>::downcast_ref::<io::Error>).map(io::Error::kind) {
        // hyper-util's own words, as its type is private; the tests of proxies notice if they change.
        _ if chain(error).any(|cause| cause.to_string().starts_with("tunnel error")) => Code::ProxyFailed,
        Some(kind) if NOT_CONNECTED.contains(&kind) && behind_proxy => Code::ProxyFailed,
        Some(kind) if NOT_CONNECTED.contains(&kind) => Code::ConnectFailed,
        // The SDK could not make a request of its configuration, so nothing was sent.
        None if doing.transport.last_exchange().endpoint.is_empty() => Code::AwsConfig,
        _ => Code::ConnectionBroken,
    };
    doing.failed(code, innermost(error))
}

const NOT_CONNECTED: [io::ErrorKind; 7] = [
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::NetworkDown,
    io::ErrorKind::AddrNotAvailable,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::TimedOut,
];

fn no_answer(error: &(dyn StdError + 'static), doing: &Doing<'_>) -> Error {
    let Exchange { proxy, is_resolving, .. } = doing.transport.last_exchange();
    if is_resolving {
        return doing
            .failed(Code::NameNotFound, format!("the resolver does not answer: {}", innermost(error)));
    }
    let error = doing.failed(Code::NoAnswer, innermost(error));
    match proxy {
        Some(_) => error.with_remedy("see whether the proxy lets this host through"),
        None => error,
    }
}

fn tls_error(error: &rustls::Error, doing: &Doing<'_>) -> Error {
    use rustls::CertificateError as Certificate;
    let failed = doing.failed(Code::TlsFailed, error);
    match error {
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => failed.with_remedy(
            "set this machine's clock if it is wrong, otherwise that certificate must be renewed",
        ),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => failed.with_remedy("find out who answers in the place of this host: DNS, /etc/hosts, a proxy"),
        _ => failed,
    }
}

/// What is wrong with the certificate of the server, if that is why there is no connection.
pub(super) fn refused_certificate(error: &ConnectorError) -> Option<&rustls::CertificateError> {
    match chain(error).find_map(<dyn StdError>::downcast_ref::<rustls::Error>) {
        Some(rustls::Error::InvalidCertificate(reason)) => Some(reason),
        _ => None,
    }
}

/// Whether the proxy wants another user or password.
pub(super) fn is_unknown_to_proxy(error: &ConnectorError) -> bool {
    // hyper-util's own words, as its type is private.
    chain(error).any(|cause| cause.to_string() == "tunnel error: proxy authorization required")
}

/// An answer that cannot be decoded: broken off, or not from AWS.
fn undecodable(error: &(dyn StdError + 'static), raw: &HttpResponse, doing: &Doing<'_>) -> Error {
    if chain(error).any(<dyn StdError>::is::<io::Error>) {
        return doing.failed(Code::ConnectionBroken, innermost(error));
    }
    not_aws(raw, doing)
}

fn not_aws(raw: &HttpResponse, doing: &Doing<'_>) -> Error {
    let content_type = raw.headers().get("content-type").unwrap_or("none");
    let status = raw.status().as_u16();
    // Without TLS the proxy has no tunnel to refuse, and answers in the place of AWS.
    let code = if status == 407 { Code::ProxyFailed } else { Code::NotAws };
    doing.failed(code, format!("status {status}, content type `{content_type}`"))
}

/// Classifies an error that AWS answers with.
pub(super) fn service_error(
    error: &impl ProvideErrorMetadata,
    raw: &HttpResponse,
    doing: &Doing<'_>,
) -> Error {
    let status = raw.status().as_u16();
    let request_id = match raw.headers().get("x-amzn-requestid") {
        Some(id) => format!(", request id {id}"),
        None => String::new(),
    };
    // The message of a signature error goes on with the signed headers, the session token among them.
    let message = error.message().and_then(|message| message.lines().next()).unwrap_or("no message");
    let Some(name) = error.code() else {
        return match status {
            500.. => doing.failed(Code::AwsFailed, format!("status {status}{request_id}")),
            _ => not_aws(raw, doing),
        };
    };
    let code = match name {
        "AccessDenied"
        | "AccessDeniedException"
        | "NotAuthorized"
        | "UnauthorizedOperation"
        | "OptInRequired" => Code::AccessDenied,
        "ExpiredToken" | "ExpiredTokenException" => Code::SessionExpired,
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => Code::ClockWrong,
        "InvalidSignatureException" | "SignatureDoesNotMatch" if message.contains("Signature expired") => {
            Code::ClockWrong
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" if message.contains("not yet current") => {
            Code::ClockWrong
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Code::KeyRejected,
        "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown" => Code::Throttled,
        _ if status == 429 => Code::Throttled,
        _ if status >= 500 => Code::AwsFailed,
        _ => Code::Refused,
    };
    doing.failed(code, format!("{name}: {message} (status {status}{request_id})"))
}

/// The texts of an error and its causes, outermost first, without repetitions and without the generic ones.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> String {
    const GENERIC: [&str; 7] = [
        "dispatch failure",
        "service error",
        "failed to construct request",
        "io error",
        "an error occurred while loading credentials",
        "the credentials provider was not properly configured",
        // It was, and did not find any.
        "the credential provider was not enabled",
    ];
    let mut texts: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = text_of(cause);
        let known = texts.last().is_some_and(|last| last.contains(&text));
        if !known && !GENERIC.contains(&text.as_str()) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(text_of).unwrap_or_default()
}

fn text_of(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<ImdsError>() {
        // Its `Display` prints the raw answer.
        Some(ImdsError::ErrorResponse(answer)) => format!("status {}", answer.response().status().as_u16()),
        _ => error.to_string(),
    }
}

/// The error and its causes. An `io::Error` hides the error that it wraps from `source`.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}
