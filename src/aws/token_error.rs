//! Why STS does not take a token, and what to write where.
//!
//! Whoever sets this up has a cluster on one side and IAM on the other, and a typing error between them. So the
//! remedy holds the very words of this token.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::classify::{Doing, sdk_error};
use crate::error::{Code, Error};
use crate::host;
use crate::secret::Secret;
use crate::service_account::Claims;

/// The failure of `AssumeRoleWithWebIdentity` with `token`.
pub(super) fn token_error<E>(error: &SdkError<E, HttpResponse>, token: &Secret, doing: &Doing<'_>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let SdkError::ServiceError(failure) = error else { return sdk_error(error, doing) };
    let (name, message) = (failure.err().code(), failure.err().message());
    let claims = Claims::of(token);
    let classified = sdk_error(error, doing);
    match (name, claims) {
        (Some("AccessDenied"), None) => classified
            .with_remedy("name the issuer and the subject of this token in the trust policy of the role"),
        (Some("AccessDenied"), Some(claims)) => classified.with_remedy(trust(&claims)),
        (Some("ExpiredTokenException"), Some(claims)) => refused(&classified).with_remedy(expired(&claims)),
        (Some("InvalidIdentityToken" | "IDPCommunicationError" | "IDPRejectedClaim"), Some(claims)) => {
            refused(&classified).with_remedy(unknown(&claims, message.unwrap_or_default()))
        }
        (
            Some(
                "ExpiredTokenException"
                | "InvalidIdentityToken"
                | "IDPCommunicationError"
                | "IDPRejectedClaim",
            ),
            None,
        ) => refused(&classified),
        _ => classified,
    }
}

fn refused(error: &Error) -> Error {
    Error::new(Code::TokenRefused, error.cause())
}

fn trust(claims: &Claims) -> String {
    let (issuer, audience) = (claims.issuer_without_scheme(), audience(claims));
    format!(
        "the trust policy of the role must allow `sts:AssumeRoleWithWebIdentity` to the OIDC provider `{issuer}`, with the \
         conditions `{issuer}:aud` = `{audience}` and `{issuer}:sub` = `{}`",
        claims.subject
    )
}

/// STS says which of several things it is only in its message.
fn unknown(claims: &Claims, message: &str) -> String {
    let (issuer, audience) = (&claims.issuer, audience(claims));
    if message.contains("audience") {
        return format!(
            "add the audience `{audience}` to the IAM OIDC provider of `{issuer}`, or have `serviceAccountTokenAudience` of \
             the CredentialProviderConfig name one that it has"
        );
    }
    if message.contains("No OpenIDConnect provider") {
        return format!(
            "in the account of the role: `aws iam create-open-id-connect-provider --url {issuer} --client-id-list {audience}`"
        );
    }
    if is_inside_cluster(claims.issuer_without_scheme()) {
        return format!(
            "AWS cannot reach `{issuer}`, which is a name inside the cluster: give kube-apiserver a public \
             `--service-account-issuer`"
        );
    }
    format!(
        "AWS must find `{issuer}/.well-known/openid-configuration` and the keys that it names, with the key that signed \
         this token, without signing in"
    )
}

/// The default of kubeadm.
fn is_inside_cluster(issuer: &str) -> bool {
    let host = issuer.split(['/', ':']).next().unwrap_or_default();
    ["svc", "local", "localhost"].contains(&host.rsplit('.').next().unwrap_or_default())
}

fn expired(claims: &Claims) -> String {
    let since = claims.expires_at.map(|at| format!("it is valid until {at:.0}, and ")).unwrap_or_default();
    format!(
        "{since}here it is {:.0}: set the clocks of the node and the control plane, or restart the kubelet for a new token",
        host::now()
    )
}

fn audience(claims: &Claims) -> String {
    claims.audiences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_issuer_of_kubeadm_is_inside_the_cluster() {
        let rows = [
            ("kubernetes.default.svc.cluster.local", true),
            ("kubernetes.default.svc", true),
            ("localhost:8443/x", true),
            ("oidc.corp.example/cluster.local", false),
            ("my-bucket.s3.amazonaws.com/cluster", false),
        ];
        for (issuer, expected) in rows {
            assert_eq!(is_inside_cluster(issuer), expected, "{issuer}");
        }
    }
}
