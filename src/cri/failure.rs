//! What an answer of the container runtime means: a code, and whether another try may do.
//!
//! CRI has no codes for the ways in which a pull fails. containerd answers most of them as `Unknown`, CRI-O too;
//! what happened is in the text, which both take from the registry and from Go's network library.

use tonic::{Code as Grpc, Status};

use super::endpoint::Endpoint;
use super::transport::Failure;
use crate::error::{Code, Error};

/// An error, and whether it may pass.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) may_pass: bool,
}

/// What to look for in the text, from the most to the least telling: one text may hold several.
const SIGNS: &[(Code, bool, &[&str])] = &[
    (Code::DiskFull, false, &["no space left on device", "disk quota exceeded"]),
    (
        Code::PullDenied,
        false,
        &[
            "401 unauthorized",
            "403 forbidden",
            "pull access denied",
            "authorization failed",
            "authentication required",
            "insufficient_scope",
            "no basic auth credentials",
            "failed to authorize",
            "authorization token has expired",
            "unauthorized:",
            "denied:",
        ],
    ),
    (Code::RegistryUnreachable, false, &["x509:", "tls: "]),
    (Code::PullFailed, false, &["no match for platform", "signaturevalidationfailed", "invalid reference"]),
    (Code::ImageNotFound, false, &["404 not found", "manifest unknown", "name unknown", ": not found"]),
    (
        Code::PullFailed,
        true,
        &["toomanyrequests", "429 too many", "500 internal", "502 bad", "503 service", "504 gateway"],
    ),
    (
        Code::RegistryUnreachable,
        true,
        &[
            "dial tcp",
            "no such host",
            "i/o timeout",
            "connection re",
            "handshake timeout",
            "unexpected eof",
            ": eof",
        ],
    ),
];

/// Of a call that asks the runtime about itself or about what it has.
pub(super) fn of_runtime(failure: Failure, endpoint: &Endpoint) -> Failed {
    let (code, cause, may_pass) = match failure {
        Failure::Connect(error) => match error.kind() {
            std::io::ErrorKind::NotFound => (Code::RuntimeNotFound, error.to_string(), false),
            std::io::ErrorKind::PermissionDenied => (Code::RuntimeDenied, error.to_string(), false),
            _ => (Code::RuntimeSilent, error.to_string(), true),
        },
        Failure::Broken(cause) => (Code::RuntimeSilent, cause, true),
        Failure::Timeout => (Code::RuntimeSilent, "no answer in time".into(), true),
        Failure::Status(status) => match status.code() {
            Grpc::Unimplemented => (Code::NotCri, status.message().to_owned(), false),
            Grpc::PermissionDenied => (Code::RuntimeDenied, status.message().to_owned(), false),
            _ => (Code::RuntimeSilent, described(&status), true),
        },
    };
    Failed { error: Error::new(code, format!("{endpoint}: {cause}")), may_pass }
}

/// Of a pull, by `who`.
pub(super) fn of_pull(failure: Failure, endpoint: &Endpoint, who: &str) -> Failed {
    let status = match failure {
        Failure::Status(status) => status,
        Failure::Timeout => {
            let error = Error::new(Code::PullTimeout, "the time for this image is over");
            return Failed { error, may_pass: false };
        }
        other => return of_runtime(other, endpoint),
    };
    if status.code() == Grpc::Unavailable {
        return of_runtime(Failure::Status(status), endpoint);
    }
    let (code, may_pass) = meaning(&status);
    let said = essence(status.message());
    let cause = if code == Code::PullDenied { format!("{who}: {said}") } else { said };
    Failed { error: Error::new(code, cause), may_pass }
}

fn meaning(status: &Status) -> (Code, bool) {
    let text = status.message().to_lowercase();
    let sign = SIGNS.iter().find(|(_, _, signs)| signs.iter().any(|sign| text.contains(sign)));
    match (sign, status.code()) {
        (Some((code, may_pass, _)), _) => (*code, *may_pass),
        (None, Grpc::NotFound) => (Code::ImageNotFound, false),
        (None, Grpc::Unauthenticated | Grpc::PermissionDenied) => (Code::PullDenied, false),
        (None, Grpc::ResourceExhausted) => (Code::DiskFull, false),
        (None, Grpc::InvalidArgument | Grpc::Unimplemented) => (Code::PullFailed, false),
        (None, _) => (Code::PullFailed, true),
    }
}

fn described(status: &Status) -> String {
    format!("{:?}: {}", status.code(), essence(status.message()))
}

/// The text without what is said twice (the image has its own place in the line), and without the queries of URLs:
/// those of storage hold signatures.
fn essence(message: &str) -> String {
    let mut rest = message;
    for start in ["failed to pull and unpack image", "failed to resolve reference", "failed to resolve image"]
    {
        if let Some((_, after)) = rest.strip_prefix(start).and_then(|after| after.split_once(": ")) {
            rest = after;
        }
    }
    let words = rest.split(' ').map(|word| match word.split_once('?') {
        Some((address, query)) if address.contains("://") => {
            let end = &query[query.trim_end_matches(['"', '\'', ':', ',']).len()..];
            format!("{address}?…{end}")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As containerd 1.6 to 2.4 and CRI-O 1.3x say it.
    #[test]
    fn tells_the_ways_in_which_a_pull_fails_apart() {
        let host = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
        let rows = [
            (Grpc::NotFound, format!("failed to pull and unpack image \"{host}/a:1\": failed to resolve reference \"{host}/a:1\": {host}/a:1: not found"), Code::ImageNotFound, false),
            (Grpc::Unknown, format!("reading manifest 1 in {host}/a: manifest unknown: Requested image not found"), Code::ImageNotFound, false),
            (Grpc::Unknown, format!("failed to resolve reference \"{host}/a:1\": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials"), Code::PullDenied, false),
            (Grpc::Unknown, format!("failed to resolve reference \"{host}/a:1\": unexpected status from HEAD request to https://{host}/v2/a/manifests/1: 403 Forbidden"), Code::PullDenied, false),
            (Grpc::Unauthenticated, "no".to_owned(), Code::PullDenied, false),
            (Grpc::Unknown, "failed to extract layer sha256:0: write /var/lib/containerd/x: no space left on device: unknown".to_owned(), Code::DiskFull, false),
            (Grpc::Unknown, format!("failed to do request: Head \"https://{host}/v2/a/manifests/1\": dial tcp: lookup {host}: no such host"), Code::RegistryUnreachable, true),
            (Grpc::Unknown, format!("failed to do request: Head \"https://{host}/v2/a/manifests/1\": tls: failed to verify certificate: x509: certificate signed by unknown authority"), Code::RegistryUnreachable, false),
            (Grpc::Unknown, "unexpected status from HEAD request to https://h/v2/a/manifests/1: 503 Service Unavailable".to_owned(), Code::PullFailed, true),
            (Grpc::Unavailable, "error reading from server: EOF".to_owned(), Code::RuntimeSilent, true),
            (Grpc::Unknown, "failed to pull image: no match for platform in manifest: not found".to_owned(), Code::PullFailed, false),
            (Grpc::Unknown, "something new".to_owned(), Code::PullFailed, true),
        ];
        let endpoint = Endpoint::named("unix:///run/x.sock", "a test").expect("an endpoint");
        for (grpc, message, code, may_pass) in rows {
            let failed = of_pull(Failure::Status(Status::new(grpc, message.clone())), &endpoint, "as a");
            assert_eq!((failed.error.code(), failed.may_pass), (code, may_pass), "{message}");
        }
    }

    #[test]
    fn says_nothing_twice_and_no_signature() {
        let rows = [
            (
                "failed to pull and unpack image \"a:1\": failed to resolve reference \"a:1\": a:1: not found",
                "a:1: not found",
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://s3/x?X-Amz-Signature=canary: 403 Forbidden",
                "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://s3/x?…: 403 Forbidden",
            ),
            ("Get \"https://s3/x?X-Amz-Signature=canary\": EOF", "Get \"https://s3/x?…\": EOF"),
        ];
        for (message, expected) in rows {
            assert_eq!(essence(message), expected);
        }
    }
}
