//! Assuming a role.

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::Credentials as StsCredentials;

use super::classify::{Doing, sdk_error};
use super::token_error::token_error;
use super::way::Way;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::host;
use crate::secret::Secret;

/// A role, and how to assume it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    pub(super) session_name: Option<&'a str>,
    pub(super) external_id: Option<&'a str>,
    pub(super) duration_seconds: Option<i32>,
}

impl Role<'_> {
    /// Assumes the role with the credentials of another identity.
    pub(super) async fn assume(
        &self,
        credentials: Credentials,
        what: &str,
        way: &Way<'_>,
    ) -> Result<Credentials, Error> {
        let doing = Doing::start(what.to_owned(), way.transport, Some(&credentials));
        let client = Client::new(&way.sdk_config(Some(credentials), "STS").await);
        let call = client
            .assume_role()
            .role_arn(self.arn)
            .role_session_name(self.session_name(way.context))
            .set_external_id(self.external_id.map(str::to_owned))
            .set_duration_seconds(self.duration_seconds)
            .send();
        let answer = call.await.map_err(|error| {
            denied(
                sdk_error(&error, &doing),
                "name this identity in the trust policy of the role, and allow it `sts:AssumeRole`",
            )
        })?;
        credentials_of(answer.credentials(), &doing)
    }

    /// Assumes the role with the token of an identity provider.
    pub(super) async fn assume_with_token(
        &self,
        token: &Secret,
        what: &str,
        way: &Way<'_>,
    ) -> Result<Credentials, Error> {
        let doing = Doing::start(what.to_owned(), way.transport, None).hiding(token.expose());
        let client = Client::new(&way.sdk_config(None, "STS").await);
        let call = client
            .assume_role_with_web_identity()
            .role_arn(self.arn)
            .role_session_name(self.session_name(way.context))
            .set_duration_seconds(self.duration_seconds)
            .web_identity_token(token.expose())
            .send();
        let answer = call.await.map_err(|error| token_error(&error, token, &doing))?;
        credentials_of(answer.credentials(), &doing)
    }

    /// What AWS shows in its logs and to the owner of the role: that it was this node, unless something else was
    /// set.
    fn session_name(&self, context: &Context<'_>) -> String {
        let set = context.host.variable("AWS_ROLE_SESSION_NAME").map(|name| name.to_string_lossy());
        match (self.session_name, set) {
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => name.into_owned(),
            (None, None) => session_name_of_node(&host::node_name()),
        }
    }
}

/// AWS allows 64 characters, and not all of them.
fn session_name_of_node(node: &str) -> String {
    let name = format!("{}@{node}", env!("CARGO_PKG_NAME"));
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    name.chars().take(64).map(|c| if is_allowed(c) { c } else { '-' }).collect()
}

fn denied(error: Error, remedy: &str) -> Error {
    match error.code() {
        Code::AccessDenied => error.with_remedy(remedy),
        _ => error,
    }
}

fn credentials_of(answer: Option<&StsCredentials>, doing: &Doing<'_>) -> Result<Credentials, Error> {
    let answer = answer
        .ok_or_else(|| Error::new(Code::IdentitySource, format!("{doing}: there are no `Credentials`")))?;
    Ok(Credentials::new(
        answer.access_key_id(),
        answer.secret_access_key(),
        Some(answer.session_token().to_owned()),
        None,
        "sts",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_the_node_within_what_aws_allows() {
        let rows = [
            ("ip-10-0-0-1.eu-central-1", "ecr-credential-provider@ip-10-0-0-1.eu-central-1"),
            ("nöde 1/2", "ecr-credential-provider@n-de-1-2"),
            ("", "ecr-credential-provider@"),
        ];
        for (node, expected) in rows {
            assert_eq!(session_name_of_node(node), expected);
        }
        assert_eq!(session_name_of_node(&"ü".repeat(100)).len(), 64);
    }
}
