//! Where AWS credentials come from.
//!
//! The order is that of every AWS SDK: environment, shared files (profiles with all they can say), web
//! identity token, container credentials, instance metadata. The sources are the SDK's; what is ours is to
//! ask them one by one, so that an error can tell what was looked at, to stop where one was named and failed,
//! and to leave the instance metadata service alone where there is none.

use std::path::Path;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_types::region::Region;

use super::classify::{Doing, causes, credentials_error};
use super::http::Transport;
use super::profiles::Profiles;
use super::{BEHAVIOR, Budget};
use crate::context::Context;
use crate::dmi;
use crate::error::{Code, Error};
use crate::host::Host;
use crate::settings::Imds;

/// Who asks.
pub(super) struct Identity {
    pub(super) credentials: Credentials,
    /// Where they come from, and the id of the access key, which is no secret.
    pub(super) name: String,
}

/// Finds credentials for calls in `region`.
pub(super) async fn resolve(
    region: &str,
    budget: Budget,
    transport: &Transport,
    context: &Context<'_>,
) -> Result<Identity, Error> {
    let mut search = Search {
        config: provider_config(region, budget, transport),
        transport,
        context,
        looked_at: Vec::new(),
    };
    if let Some(identity) = search.first_of(&[Source::Environment]).await? {
        return Ok(identity);
    }
    let files = Source::SharedFiles(Box::new(Profiles::read(context).await?));
    let rest = [files, Source::WebIdentity, Source::Container, Source::InstanceMetadata];
    match search.first_of(&rest).await? {
        Some(identity) => Ok(identity),
        None => Err(Error::new(Code::NoIdentity, search.looked_at.join("; "))),
    }
}

/// A search through the sources, and what it came by.
struct Search<'a> {
    config: ProviderConfig,
    transport: &'a Transport,
    context: &'a Context<'a>,
    looked_at: Vec<String>,
}

impl Search<'_> {
    /// Asks the sources in order. The first that has credentials, or fails to get those that it is configured
    /// for, decides.
    async fn first_of(&mut self, sources: &[Source]) -> Result<Option<Identity>, Error> {
        let context = self.context;
        for source in sources {
            if let (Source::InstanceMetadata, Some(why_not)) = (source, why_not_imds(context.settings.imds)) {
                self.looked_at.push(format!("instance metadata: {why_not}"));
                continue;
            }
            let what = format!("getting credentials from {}", source.name(context.host));
            context.watchdog.enter(what.as_str());
            let doing = Doing::start(what, self.transport, None);
            match source.provider(&self.config, context).provide_credentials().await {
                Ok(credentials) => {
                    let credentials = checked(&credentials).map_err(|error| error.while_doing(doing))?;
                    let name = format!("{}, key {}", source.name(context.host), credentials.access_key_id());
                    context.log.debug(|| format!("credentials from {name}"));
                    return Ok(Some(Identity { credentials, name }));
                }
                Err(error @ CredentialsError::CredentialsNotLoaded(_)) => match source {
                    Source::SharedFiles(profiles) if profiles.name_a_source() => {
                        return Err(Error::new(Code::AwsConfig, causes(&error)).while_doing(doing));
                    }
                    source => self.looked_at.push(source.what_was_found(context.host, &error)),
                },
                Err(error) => return Err(credentials_error(&error, &doing)),
            }
        }
        Ok(None)
    }
}

/// A source of credentials.
enum Source {
    Environment,
    SharedFiles(Box<Profiles>),
    WebIdentity,
    Container,
    InstanceMetadata,
}

impl Source {
    /// With the files that it reads, as the texts of its errors do not name them.
    fn name(&self, host: &Host) -> String {
        let of = |variable: &str| host.variable(variable).map(|value| value.to_string_lossy().into_owned());
        match self {
            Self::Environment => "the environment".into(),
            Self::SharedFiles(profiles) => format!("profile `{}`", profiles.selected()),
            Self::WebIdentity => match of("AWS_WEB_IDENTITY_TOKEN_FILE") {
                Some(file) => format!("the web identity token in `{file}`"),
                None => "the web identity token".into(),
            },
            Self::Container => match of("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
                Some(file) => format!("the container credentials endpoint, with the token in `{file}`"),
                None => "the container credentials endpoint".into(),
            },
            Self::InstanceMetadata => "the instance metadata service".into(),
        }
    }

    fn provider(&self, config: &ProviderConfig, context: &Context<'_>) -> Box<dyn ProvideCredentials> {
        match self {
            Self::Environment => Box::new(EnvironmentVariableCredentialsProvider::new()),
            Self::SharedFiles(_) => {
                let mut builder = ProfileFileCredentialsProvider::builder().configure(config);
                if let Some(why_not) = why_not_imds(context.settings.imds) {
                    // A profile can name the service too.
                    builder = builder.with_custom_provider("Ec2InstanceMetadata", NotAsked(why_not));
                }
                Box::new(builder.build())
            }
            Self::WebIdentity => {
                Box::new(WebIdentityTokenCredentialsProvider::builder().configure(config).build())
            }
            Self::Container => Box::new(EcsCredentialsProvider::builder().configure(config).build()),
            Self::InstanceMetadata => Box::new(ImdsCredentialsProvider::builder().configure(config).build()),
        }
    }

    /// For the reader of "no identity found": where was looked, and what was there.
    fn what_was_found(&self, host: &Host, error: &CredentialsError) -> String {
        match self {
            Self::Environment if host.variable("AWS_ACCESS_KEY_ID").is_none() => {
                "environment: no `AWS_ACCESS_KEY_ID`".into()
            }
            Self::Environment => "environment: `AWS_ACCESS_KEY_ID` without `AWS_SECRET_ACCESS_KEY`".into(),
            Self::SharedFiles(profiles) => profiles.describe(),
            Self::WebIdentity if host.variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_none() => {
                "web identity: no `AWS_WEB_IDENTITY_TOKEN_FILE`".into()
            }
            Self::WebIdentity => "web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` without `AWS_ROLE_ARN`".into(),
            Self::Container => "container: no `AWS_CONTAINER_CREDENTIALS_FULL_URI`".into(),
            Self::InstanceMetadata => format!("instance metadata: {}", causes(error)),
        }
    }
}

/// Stands in the place of the instance metadata service where that must not be asked.
#[derive(Debug)]
struct NotAsked(&'static str);

impl ProvideCredentials for NotAsked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = format!("the profile wants instance metadata: {}", self.0);
        future::ProvideCredentials::ready(Err(CredentialsError::invalid_configuration(error)))
    }
}

fn provider_config(region: &str, budget: Budget, transport: &Transport) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_behavior_version(Some(BEHAVIOR()))
        .with_http_client(transport.clone())
        .with_timeout_config(budget.timeouts())
        .with_retry_config(budget.retries())
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
fn checked(credentials: &Credentials) -> Result<Credentials, Error> {
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
