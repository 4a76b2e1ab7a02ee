//! What a profile says about where credentials come from: something to start from, and the roles to assume from
//! there, one after the other.
//!
//! Which key of a profile comes before which is as the AWS SDKs have it:
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>

use aws_config::profile::{Profile, ProfileSet};
use aws_credential_types::Credentials;

use super::identity::Source;
use super::sts::Role;
use crate::error::{Code, Error};

/// Keys of a profile that needs a person with a browser.
const SIGN_IN: [&str; 3] = ["sso_start_url", "sso_session", "login_session"];

/// All that leads to the credentials of a profile.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) base: Base<'a>,
    /// In the order in which they are assumed.
    pub(super) roles: Vec<Role<'a>>,
}

/// Where a chain starts.
#[derive(Debug)]
pub(super) enum Base<'a> {
    Key(Credentials),
    /// The command line of a `credential_process`.
    Process(&'a str),
    /// A role for the token in a file.
    WebIdentity {
        token_file: &'a str,
        role: Role<'a>,
    },
    /// The `credential_source`.
    Source(Source),
}

impl<'a> Chain<'a> {
    /// The chain of the profile `name`. There is none without such a profile, or if it says nothing of credentials.
    pub(super) fn of(name: &str, profiles: &'a ProfileSet) -> Result<Option<Self>, Error> {
        let Some(mut profile) = profiles.get_profile(name) else { return Ok(None) };
        let (mut visited, mut roles) = (Vec::new(), Vec::new());
        loop {
            visited.push(profile.name());
            // A key comes after a role in the profile that was asked for, and before it in those that it names.
            let key = if visited.len() > 1 { key_of(profile) } else { None };
            let base = match (key, profile.get("role_arn"), profile.get("web_identity_token_file")) {
                (Some(key), ..) => Some(Base::Key(key)),
                (None, Some(arn), None) => {
                    let role = role_of(profile, arn)?;
                    roles.push(role);
                    match source_of(profile)? {
                        Some(source) => {
                            profile = named_by(profile.name(), source, &visited, profiles)?;
                            continue;
                        }
                        None => base_of(profile)?,
                    }
                }
                _ => base_of(profile)?,
            };
            roles.reverse();
            return match base {
                Some(base) => Ok(Some(Self { base, roles })),
                None if visited.len() == 1 && roles.is_empty() => Ok(None),
                None => Err(wrong(profile, "has no key, role or `credential_process`")),
            };
        }
    }
}

/// The profile that gives the credentials with which the role of `profile` is assumed; none if that is itself.
fn source_of(profile: &Profile) -> Result<Option<&str>, Error> {
    match (profile.get("source_profile"), profile.get("credential_source")) {
        (Some(_), Some(_)) => Err(wrong(profile, "has both `source_profile` and `credential_source`")),
        (None, None) => {
            Err(wrong(profile, "has `role_arn`, but neither `source_profile` nor `credential_source`"))
        }
        (Some(source), None) if source != profile.name() => Ok(Some(source)),
        _ => Ok(None),
    }
}

fn named_by<'a>(
    who: &str,
    source: &str,
    visited: &[&str],
    profiles: &'a ProfileSet,
) -> Result<&'a Profile, Error> {
    if visited.contains(&source) {
        let names: Vec<_> =
            visited.iter().chain(std::iter::once(&source)).map(|name| format!("`{name}`")).collect();
        let cause = format!("the `source_profile` of each profile leads in a circle: {}", names.join(", "));
        return Err(Error::new(Code::AwsConfig, cause));
    }
    profiles.get_profile(source).ok_or_else(|| {
        let cause = format!("profile `{who}` has the `source_profile` `{source}`, which does not exist");
        Error::new(Code::AwsConfig, cause)
    })
}

/// What a profile has besides a role that is assumed from another.
fn base_of(profile: &Profile) -> Result<Option<Base<'_>>, Error> {
    if let Some(name) = profile.get("credential_source") {
        return Ok(Some(Base::Source(source_named(profile, name)?)));
    }
    if let Some(token_file) = profile.get("web_identity_token_file") {
        let arn = profile.get("role_arn");
        let arn = arn.ok_or_else(|| wrong(profile, "has `web_identity_token_file`, but no `role_arn`"))?;
        return Ok(Some(Base::WebIdentity { token_file, role: role_of(profile, arn)? }));
    }
    if let Some(key) = SIGN_IN.into_iter().find(|key| profile.get(key).is_some()) {
        return Err(wrong(profile, &format!("has `{key}`: a node cannot sign in"))
            .with_remedy("use a profile with an access key, a role, or a `credential_process`"));
    }
    if let Some(command) = profile.get("credential_process") {
        return Ok(Some(Base::Process(command)));
    }
    match (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
        (Some(_), None) => Err(wrong(profile, "has `aws_access_key_id`, but no `aws_secret_access_key`")),
        (None, Some(_)) => Err(wrong(profile, "has `aws_secret_access_key`, but no `aws_access_key_id`")),
        (None, None) if profile.get("source_profile").is_some() && profile.get("role_arn").is_none() => {
            Err(wrong(profile, "has `source_profile`, but no `role_arn`"))
        }
        _ => Ok(key_of(profile).map(Base::Key)),
    }
}

fn source_named(profile: &Profile, name: &str) -> Result<Source, Error> {
    let known = [
        ("Environment", Source::Environment),
        ("EcsContainer", Source::Container),
        ("Ec2InstanceMetadata", Source::InstanceMetadata),
    ];
    let source = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    source.map(|(_, source)| source).ok_or_else(|| {
        let what = format!(
            "has the `credential_source` `{name}`: it must be Environment, EcsContainer or Ec2InstanceMetadata"
        );
        wrong(profile, &what)
    })
}

fn key_of(profile: &Profile) -> Option<Credentials> {
    let id = profile.get("aws_access_key_id")?;
    let secret = profile.get("aws_secret_access_key")?;
    let session_token = profile.get("aws_session_token").map(str::to_owned);
    Some(Credentials::new(id, secret, session_token, None, "profile"))
}

fn role_of<'a>(profile: &'a Profile, arn: &'a str) -> Result<Role<'a>, Error> {
    if profile.get("mfa_serial").is_some() {
        return Err(wrong(profile, "has `mfa_serial`: a node has no MFA device")
            .with_remedy("use a role that can be assumed without MFA"));
    }
    let duration_seconds = match profile.get("duration_seconds").map(|text| (text, text.parse())) {
        None => None,
        Some((_, Ok(seconds))) => Some(seconds),
        Some((text, Err(_))) => {
            return Err(wrong(profile, &format!("has the `duration_seconds` `{text}`, which is no number")));
        }
    };
    Ok(Role {
        arn,
        session_name: profile.get("role_session_name"),
        external_id: profile.get("external_id"),
        duration_seconds,
    })
}

fn wrong(profile: &Profile, what: &str) -> Error {
    Error::new(Code::AwsConfig, format!("profile `{}` {what}", profile.name()))
}
