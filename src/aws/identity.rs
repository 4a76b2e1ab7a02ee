//! Where AWS credentials come from.
//!
//! The order is that of every AWS SDK: environment, shared files (profiles with all they can say), web
//! identity token, container credentials, instance metadata. What is ours is to ask them one by one, so that an
//! error can tell what was looked at, to stop where one was named and failed, and to leave the instance metadata
//! service alone where there is none.

use std::path::{Path, PathBuf};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;

use super::chain::{Base, Chain};
use super::classify::{Doing, causes, credentials_error};
use super::sts::Role;
use super::way::Way;
use super::{anywhere, process, profiles};
use crate::context::Context;
use crate::dmi;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::secret::Secret;
use crate::service_account::PodRole;
use crate::settings::{IdentitySetting, Imds};

/// As the Go provider calls them; trust policies may want it.
const SESSION_OF_PODS: &str = "ecr-credential-provider";

/// Who asks.
pub(crate) struct Identity {
    pub(super) credentials: Credentials,
    /// Where they come from, and the id of the access key, which is no secret.
    pub(crate) name: String,
}

/// Finds credentials. The first source that has some, or fails to get those that it is configured for, decides.
pub(super) async fn resolve(way: &Way<'_>) -> Result<Identity, Error> {
    let context = way.context;
    let mut looked_at = Vec::new();
    // What is named for the pod, or in the settings file, is the only one.
    let sources: &[Source] = match (&context.pod_role, &context.settings.identity) {
        (Some(_), _) => &[Source::ServiceAccount],
        (None, Some(IdentitySetting { roles_anywhere: Some(_), .. })) => &[Source::RolesAnywhere],
        (None, Some(_)) => &[Source::Profile],
        (None, None) => &Source::IN_ORDER,
    };
    for source in sources {
        match source.credentials(way).await {
            Ok(credentials) => {
                let name = format!("{}, key {}", source.name(context), credentials.access_key_id());
                context.log.debug(|| format!("credentials from {name}"));
                return Ok(Identity { credentials, name });
            }
            Err(Lack::Absent(what)) => looked_at.push(what),
            Err(Lack::Failed(error)) => return Err(error),
        }
    }
    Err(Error::new(Code::NoIdentity, looked_at.join("; ")))
}

/// Why a source gives no credentials.
pub(super) enum Lack {
    /// It is not there. Where was looked, and what was there, for the reader of "no identity found".
    Absent(String),
    /// It is there, and does not work.
    Failed(Error),
}

impl From<Error> for Lack {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A source of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Environment,
    Profile,
    WebIdentity,
    Container,
    InstanceMetadata,
    /// The role of the pod for which the image is pulled.
    ServiceAccount,
    /// A role for the certificate of the node.
    RolesAnywhere,
}

impl Source {
    const IN_ORDER: [Self; 5] =
        [Self::Environment, Self::Profile, Self::WebIdentity, Self::Container, Self::InstanceMetadata];

    /// With the files that it reads, as the texts of its errors do not name them.
    fn name(self, context: &Context<'_>) -> String {
        match self {
            Self::Environment => "the environment".into(),
            Self::Profile => format!("profile `{}`", context.aws_files.profile),
            Self::WebIdentity => match variable("AWS_WEB_IDENTITY_TOKEN_FILE", context.host) {
                Some(file) => format!("the web identity token in `{file}`"),
                None => "the web identity token".into(),
            },
            Self::Container => match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", context.host) {
                Some(file) => format!("the container credentials endpoint, with the token in `{file}`"),
                None => "the container credentials endpoint".into(),
            },
            Self::InstanceMetadata => "the instance metadata service".into(),
            Self::ServiceAccount => match &context.pod_role {
                Some(role) => role.to_string(),
                None => "the role of a pod".into(),
            },
            Self::RolesAnywhere => match context.roles_anywhere() {
                Some((setting, Ok(pair))) => {
                    format!("IAM Roles Anywhere, the role `{}` for `{}`", setting.role, pair.leaf.subject())
                }
                _ => "IAM Roles Anywhere".into(),
            },
        }
    }

    /// Asks the source.
    async fn credentials(self, way: &Way<'_>) -> Result<Credentials, Lack> {
        let what = format!("getting credentials from {}", self.name(way.context));
        way.context.watchdog.enter(what.as_str());
        let credentials = match self {
            Self::Environment => from_environment(&what, way).await?,
            Self::Profile => from_profile(&what, way).await?,
            Self::WebIdentity => from_web_identity(&what, way).await?,
            Self::Container => from_container(&what, way).await?,
            Self::InstanceMetadata => from_instance_metadata(&what, way).await?,
            Self::ServiceAccount => from_service_account(&what, way).await?,
            Self::RolesAnywhere => from_roles_anywhere(&what, way).await?,
        };
        checked(&credentials).map_err(|error| Lack::Failed(error.while_doing(what)))
    }
}

async fn from_environment(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    let provider = EnvironmentVariableCredentialsProvider::new();
    let asked = ask_sdk(&provider, what, way).await?;
    asked.map_err(|_| {
        Lack::Absent(match variable("AWS_ACCESS_KEY_ID", way.context.host) {
            None => "environment: no `AWS_ACCESS_KEY_ID`".into(),
            Some(_) => "environment: `AWS_ACCESS_KEY_ID` without `AWS_SECRET_ACCESS_KEY`".into(),
        })
    })
}

async fn from_profile(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    let context = way.context;
    let profiles = profiles::read(context).await?;
    let Some(Chain { base, roles }) = Chain::of(&context.aws_files.profile, &profiles)? else {
        return Err(Lack::Absent(profiles::what_was_found(context)));
    };
    context.watchdog.enter(what);
    let mut credentials = match base {
        Base::Key(credentials) => credentials,
        Base::Process(command_line) => process::credentials(command_line, what, context).await?,
        Base::WebIdentity { token_file, role } => {
            let token = read_token(token_file, what).await?;
            role.assume_with_token(&token, what, way).await?
        }
        // None of those that a profile can name is a profile.
        Base::Source(source) => match Box::pin(source.credentials(way)).await {
            Ok(credentials) => credentials,
            Err(Lack::Absent(missing)) => {
                let cause = format!("{what}: the profile wants {missing}");
                return Err(Error::new(Code::IdentitySource, cause).into());
            }
            Err(Lack::Failed(error)) => return Err(error.while_doing(what).into()),
        },
    };
    for role in roles {
        context.watchdog.enter(format!("{what}, assuming the role `{}`", role.arn));
        credentials = checked(&credentials).map_err(|error| error.while_doing(what))?;
        credentials = role.assume(credentials, what, way).await?;
    }
    Ok(credentials)
}

async fn from_web_identity(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    let host = way.context.host;
    let Some(file) = variable("AWS_WEB_IDENTITY_TOKEN_FILE", host) else {
        return Err(Lack::Absent("web identity: no `AWS_WEB_IDENTITY_TOKEN_FILE`".into()));
    };
    let Some(arn) = variable("AWS_ROLE_ARN", host) else {
        return Err(Lack::Absent(
            "web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` without `AWS_ROLE_ARN`".into(),
        ));
    };
    let role = Role { arn: &arn, session_name: None, external_id: None, duration_seconds: None };
    let token = read_token(&file, what).await?;
    Ok(role.assume_with_token(&token, what, way).await?)
}

/// AWS sees the service account in the token, so the name of the session need not tell one from another.
async fn from_service_account(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    let Some(PodRole { arn, token, .. }) = &way.context.pod_role else {
        return Err(Lack::Absent("the request names no service account".into()));
    };
    let set = variable("AWS_ROLE_SESSION_NAME", way.context.host);
    let session_name = set.as_deref().unwrap_or(SESSION_OF_PODS);
    let role = Role {
        arn: arn.as_str(),
        session_name: Some(session_name),
        external_id: None,
        duration_seconds: None,
    };
    Ok(role.assume_with_token(token, what, way).await?)
}

async fn from_roles_anywhere(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    let Some((setting, pair)) = way.context.roles_anywhere() else {
        return Err(Lack::Absent("no `rolesAnywhere` in the settings file".into()));
    };
    let pair = pair.map_err(|error| error.while_doing(what))?;
    Ok(anywhere::create_session(setting, pair, what, way).await?)
}

/// Reads in a thread of its own, so that a file that never ends costs no more than the budget.
async fn read_token(file: &str, what: &str) -> Result<Secret, Error> {
    let failed = |cause: String| Error::new(Code::IdentitySource, format!("{what}: {cause}"));
    let path = PathBuf::from(file);
    let read = tokio::task::spawn_blocking(move || host::read_file(&path)).await;
    let bytes =
        read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    let token = String::from_utf8(bytes).map_err(|_| failed(format!("`{file}` is not UTF-8 text")))?;
    Ok(Secret::from(token))
}

async fn from_container(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    let provider = EcsCredentialsProvider::builder().configure(&way.provider_config()).build();
    let asked = ask_sdk(&provider, what, way).await?;
    asked.map_err(|_| Lack::Absent("container: no `AWS_CONTAINER_CREDENTIALS_FULL_URI`".into()))
}

async fn from_instance_metadata(what: &str, way: &Way<'_>) -> Result<Credentials, Lack> {
    if let Some(why_not) = why_not_imds(way.context.settings.imds) {
        return Err(Lack::Absent(format!("instance metadata: {why_not}")));
    }
    let endpoint = imds_endpoint(way.context).await?;
    let config = way.provider_config();
    let client = imds::Client::builder().configure(&config).endpoint(&endpoint).map_err(|error| {
        Error::new(Code::AwsConfig, format!("the endpoint `{endpoint}` of instance metadata: {error}"))
    })?;
    let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(client.build()).build();
    let asked = ask_sdk(&provider, what, way).await?;
    asked.map_err(|error| Lack::Absent(format!("instance metadata: {}", causes(&error))))
}

/// Where the instance metadata service is. The SDK would read the configuration files once more for that, and find
/// them in its own way.
async fn imds_endpoint(context: &Context<'_>) -> Result<String, Error> {
    let profiles = profiles::read(context).await?;
    let profile = profiles.get_profile(&context.aws_files.profile);
    let setting = |name: &str, key| {
        variable(name, context.host)
            .or_else(|| profile.and_then(|profile| profile.get(key)).map(str::to_owned))
    };
    if let Some(endpoint) = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint") {
        return Ok(endpoint);
    }
    let mode = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
    match mode {
        Some(mode) if mode.eq_ignore_ascii_case("IPv6") => Ok("http://[fd00:ec2::254]".into()),
        Some(mode) if !mode.eq_ignore_ascii_case("IPv4") => {
            let cause = format!("the endpoint mode `{mode}` of instance metadata: it must be IPv4 or IPv6");
            Err(Error::new(Code::AwsConfig, cause))
        }
        _ => Ok("http://169.254.169.254".into()),
    }
}

/// Asks a source of the SDK's. The inner error is that nothing is there.
async fn ask_sdk(
    source: &impl ProvideCredentials,
    what: &str,
    way: &Way<'_>,
) -> Result<Result<Credentials, CredentialsError>, Error> {
    let doing = Doing::start(what.to_owned(), way.transport, None);
    match source.provide_credentials().await {
        Ok(credentials) => Ok(Ok(credentials)),
        Err(error @ CredentialsError::CredentialsNotLoaded(_)) => Ok(Err(error)),
        Err(error) => Err(credentials_error(&error, &doing)),
    }
}

fn variable(name: &str, host: &Host) -> Option<String> {
    host.variable(name).map(|value| value.to_string_lossy().into_owned())
}

fn why_not_imds(imds: Imds) -> Option<&'static str> {
    match imds {
        Imds::Enabled => None,
        Imds::Disabled => Some("disabled"),
        Imds::Auto if dmi::is_ec2(Path::new("/")) => None,
        Imds::Auto => Some("not asked, this machine is not EC2"),
    }
}

/// Credentials end up in HTTP headers. The SDK panics on those that cannot, and sends an empty session token.
pub(super) fn checked(credentials: &Credentials) -> Result<Credentials, Error> {
    let session_token = credentials.session_token().filter(|token| !token.is_empty());
    let parts = [
        ("access key id", Some(credentials.access_key_id())),
        ("secret access key", Some(credentials.secret_access_key())),
        ("session token", session_token),
    ];
    for (name, text) in parts {
        if text.is_some_and(|text| text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic())) {
            let cause = format!("the {name} is empty, or holds spaces or control characters");
            return Err(Error::new(Code::IdentityMalformed, cause));
        }
    }
    Ok(Credentials::new(
        credentials.access_key_id(),
        credentials.secret_access_key(),
        session_token.map(str::to_owned),
        credentials.expiry(),
        "checked",
    ))
}
