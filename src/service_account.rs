//! The service account of a pod: what its token says of it, and who asks AWS for the pod.
//!
//! The token comes from the kubelet, with the image, over stdin. Nothing here verifies it. A role is given only
//! for a token that AWS has verified. Where the node asks AWS for the pod, the token is believed as the name of
//! the image is: who can write to our stdin has what the kubelet has, the identity of the node included.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

use crate::arn::Arn;
use crate::error::{Code, Error};
use crate::protocol::ServiceAccount;
use crate::secret::Secret;

/// Where the Go provider looks for the role of a service account.
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/ecr-role-arn";
/// And for that of those without the annotation.
pub(crate) const ROLE_VARIABLE: &str = "AWS_ECR_ROLE_ARN";

/// Who asks AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Asker {
    /// The node, with its own identity.
    Node,
    /// Nobody: the call fails.
    Deny,
}

/// What the settings say of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSetting {
    /// The annotation that names a role, if not the usual one.
    pub role_annotation: Option<String>,
    /// The role of those without.
    pub role: Option<Arn>,
    /// Who asks AWS where no role is named. The node, as with the Go provider.
    pub fallback: Option<Asker>,
    /// Who asks AWS where there is no token.
    pub without_token: Option<Asker>,
    /// Who may pull; all, if nothing is said.
    pub allow: Option<Vec<AccountPattern>>,
}

/// The role that is assumed for a pod, and with what.
#[derive(Clone, Debug)]
pub(crate) struct PodRole {
    pub(crate) arn: Arn,
    pub(crate) token: Secret,
    /// None if the token is not one of Kubernetes.
    pub(crate) claims: Option<Claims>,
}

impl fmt::Display for PodRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the role `{}` for {}", self.arn, Name(self.claims.as_ref()))
    }
}

impl PodSetting {
    /// What this says and, where it says nothing, what `lower` does.
    pub(crate) fn over(self, lower: Self) -> Self {
        Self {
            role_annotation: self.role_annotation.or(lower.role_annotation),
            role: self.role.or(lower.role),
            fallback: self.fallback.or(lower.fallback),
            without_token: self.without_token.or(lower.without_token),
            allow: self.allow.or(lower.allow),
        }
    }

    /// The annotation that names a role.
    pub(crate) fn role_annotation(&self) -> &str {
        self.role_annotation.as_deref().unwrap_or(ROLE_ANNOTATION)
    }

    /// The role that asks AWS for a pod; none if the node does. `variable` is the value of [`ROLE_VARIABLE`].
    ///
    /// As with the Go provider, an empty annotation is one: no role.
    pub(crate) fn role_for(
        &self,
        account: Option<&ServiceAccount>,
        variable: Option<&str>,
    ) -> Result<Option<PodRole>, Error> {
        let Some(account) = account else { return self.without_token() };
        let claims = Claims::of(&account.token);
        self.check_allowed(claims.as_ref())?;
        let annotation = self.role_annotation();
        let (place, arn) = match (account.annotations.get(annotation), &self.role, variable) {
            (Some(arn), ..) => (format!("the annotation `{annotation}`"), arn.as_str()),
            (None, Some(role), _) => ("`serviceAccount.role`".to_owned(), role.as_str()),
            (None, None, variable) => (format!("`{ROLE_VARIABLE}`"), variable.unwrap_or_default()),
        };
        if arn.is_empty() {
            return self.without_role(claims.as_ref());
        }
        let Some(arn) = Arn::of_role(arn) else {
            let cause = format!("{place} is `{arn}` for {}", Name(claims.as_ref()));
            let remedy = "write the ARN of a role: `arn:aws:iam::ACCOUNT:role/NAME`";
            return Err(Error::new(Code::NoPodRole, cause).with_remedy(remedy));
        };
        Ok(Some(PodRole { arn, token: account.token.clone(), claims }))
    }

    fn without_role(&self, claims: Option<&Claims>) -> Result<Option<PodRole>, Error> {
        if self.fallback.unwrap_or(Asker::Node) == Asker::Node {
            return Ok(None);
        }
        let cause = format!(
            "neither the annotation `{}` of {}, `serviceAccount.role` nor `{ROLE_VARIABLE}` names one, and \
             `serviceAccount.fallback` is `deny`",
            self.role_annotation(),
            Name(claims)
        );
        Err(Error::new(Code::NoPodRole, cause))
    }

    /// Whether nobody asks AWS without the token of a service account.
    pub(crate) fn wants_token(&self) -> bool {
        let usual = match (&self.allow, self.fallback) {
            (None, None | Some(Asker::Node)) => Asker::Node,
            _ => Asker::Deny,
        };
        self.without_token.unwrap_or(usual) == Asker::Deny
    }

    fn without_token(&self) -> Result<Option<PodRole>, Error> {
        if !self.wants_token() {
            return Ok(None);
        }
        let cause = "the request has no token of a service account, and the settings file wants one";
        Err(Error::new(Code::PodRefused, cause).with_remedy(
            "add `tokenAttributes` to the provider in the CredentialProviderConfig; static pods have no token, and pull with \
             `serviceAccount.withoutToken: node`",
        ))
    }

    fn check_allowed(&self, claims: Option<&Claims>) -> Result<(), Error> {
        let Some(allow) = &self.allow else { return Ok(()) };
        let account = claims.and_then(Claims::account);
        if account.is_some_and(|account| allow.iter().any(|pattern| pattern.allows(account))) {
            return Ok(());
        }
        Err(Error::new(Code::PodRefused, format!("`serviceAccount.allow` does not have {}", Name(claims))))
    }
}

/// Which service accounts may pull: `NAMESPACE/NAME`, each of which may be `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPattern {
    namespace: String,
    name: String,
}

impl AccountPattern {
    fn allows(&self, (namespace, name): (&str, &str)) -> bool {
        let fits = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        fits(&self.namespace, namespace) && fits(&self.name, name)
    }
}

/// Not `NAMESPACE/NAME`.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnAccount;

impl FromStr for AccountPattern {
    type Err = NotAnAccount;

    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        let is_name = |name: &str| {
            let is_label = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
            name == "*" || !name.is_empty() && name.bytes().all(is_label)
        };
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(NotAnAccount),
        }
    }
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The URL of the cluster that issued it.
    pub issuer: String,
    /// `system:serviceaccount:NAMESPACE:NAME`
    pub subject: String,
    /// Whom it is for.
    pub audiences: Vec<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The number of the service account: one that was deleted and made again has another.
    pub uid: Option<String>,
}

impl Claims {
    /// Reads the middle of a JWT.
    pub fn of(token: &Secret) -> Option<Self> {
        let payload = token.expose().split('.').nth(1)?;
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let wire: WireClaims = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            issuer: wire.iss,
            subject: wire.sub,
            audiences: match wire.aud {
                Audience::One(one) => vec![one],
                Audience::Several(several) => several,
            },
            expires_at: wire.exp.and_then(|second| Timestamp::from_second(second).ok()),
            uid: wire.kubernetes.and_then(|kubernetes| Some(kubernetes.serviceaccount?.uid)),
        })
    }

    /// Namespace and name.
    pub fn account(&self) -> Option<(&str, &str)> {
        self.subject.strip_prefix("system:serviceaccount:")?.split_once(':')
    }

    /// The issuer as IAM writes it in the names of conditions.
    pub fn issuer_without_scheme(&self) -> &str {
        self.issuer.strip_prefix("https://").unwrap_or(&self.issuer).trim_end_matches('/')
    }
}

/// A service account, for people.
pub(crate) struct Name<'a>(pub(crate) Option<&'a Claims>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("a service account whose token does not say which it is"),
            Some(claims) => match claims.account() {
                Some((namespace, name)) => write!(f, "the service account `{namespace}/{name}`"),
                None => write!(f, "the subject `{}`", claims.subject),
            },
        }
    }
}

#[derive(Deserialize)]
struct WireClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Kubernetes {
    serviceaccount: Option<AccountReference>,
}

#[derive(Deserialize)]
struct AccountReference {
    uid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(payload: &str) -> Option<Claims> {
        Claims::of(&Secret::from(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))))
    }

    #[test]
    fn a_token_says_whose_it_is() {
        let kubernetes = r#"{"iss": "https://oidc.example/", "sub": "system:serviceaccount:team-a:web", "aud": ["a", "b"],
                             "exp": 1764000000, "kubernetes.io": {"namespace": "x", "serviceaccount": {"name": "y", "uid": "u"}}}"#;
        let found = claims(kubernetes).expect("claims");
        assert_eq!(found.account(), Some(("team-a", "web")));
        assert_eq!(found.issuer_without_scheme(), "oidc.example");
        assert_eq!((found.audiences.len(), found.uid.as_deref()), (2, Some("u")));
        let other = claims(r#"{"iss": "i", "sub": "someone", "aud": "a"}"#).expect("claims");
        assert_eq!((other.account(), other.audiences.as_slice()), (None, &["a".to_owned()][..]));
        assert_eq!(Name(Some(&other)).to_string(), "the subject `someone`");
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for token in ["", "a", "a.b.c", "..", "e30.e30.e30", "e30.W10.", "e30.bm90anNvbg.x"] {
            assert_eq!(Claims::of(&Secret::from(token.to_owned())), None, "{token}");
        }
    }

    #[test]
    fn a_pattern_is_a_namespace_and_a_name() {
        let rows = [
            ("a/b", true),
            ("a/*", true),
            ("*/*", true),
            ("kube-system/coredns.v2", true),
            ("a", false),
            ("a/", false),
            ("/b", false),
            ("a/b/c", false),
            ("a/b*", false),
            ("A/b", false),
        ];
        for (text, is_one) in rows {
            assert_eq!(text.parse::<AccountPattern>().is_ok(), is_one, "{text}");
        }
    }
}
