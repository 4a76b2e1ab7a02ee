//! `login-password` and `credentials`: a password for programs that do not ask a helper themselves.

use crate::context::{Context, within_deadline};
use crate::docker::protocol::ServerUrl;
use crate::error::{Code, Error};
use crate::host::{self, Host};
use crate::login::{self, Format, Login};
use crate::provider::{self, Target};
use crate::records::Record;
use crate::registry::Registry;
use crate::settings::Configuration;
use crate::tokens::{self, Supply};

/// Of whom to get a password.
#[derive(Debug, clap::Args)]
#[command(after_help = PASSWORD_EXAMPLES)]
pub(crate) struct LoginPasswordCommand {
    /// Host name of a registry, with or without https://, port and path
    #[arg(conflicts_with = "region")]
    registry: Option<String>,
    /// An AWS region, if no registry is named: the password is good for the registries
    /// of all accounts in it that let this identity in. The identity is that of `defaults`
    /// in the settings file, or of the environment. Without it, AWS_REGION and
    /// AWS_DEFAULT_REGION name the region
    #[arg(long, verbatim_doc_comment)]
    region: Option<String>,
}

const PASSWORD_EXAMPLES: &str = "\
In the place of `aws ecr get-login-password`:
  HOST=571600876202.dkr.ecr.eu-central-1.amazonaws.com
  ecr-credential-provider login-password $HOST | docker login --username AWS --password-stdin $HOST
A login lasts for 12 hours at most; `docker configure` sets up one that does not end.";

/// Of whom to get passwords, and how to write them.
#[derive(Debug, clap::Args)]
#[command(after_help = CREDENTIALS_EXAMPLES)]
pub(crate) struct CredentialsCommand {
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// Host names of registries, with or without https://, port and path
    #[arg(required = true)]
    registry: Vec<String>,
}

const CREDENTIALS_EXAMPLES: &str = "\
Every password ends after 12 hours at most. Files should be readable by nobody else (umask 077).
  HOST=571600876202.dkr.ecr.eu-central-1.amazonaws.com
  ecr-credential-provider credentials --format auth-json $HOST > auth.json && podman pull --authfile auth.json $HOST/app
  ecr-credential-provider credentials --format docker-config $HOST > dir/config.json && DOCKER_CONFIG=dir docker pull $HOST/app
  crictl pull --creds \"$(ecr-credential-provider credentials --format crictl $HOST)\" $HOST/app
  eval \"$(ecr-credential-provider credentials --format env $HOST)\"
  ecr-credential-provider credentials --format kubelet $HOST | jq";

/// Writes the password.
pub(crate) fn password(host: &Host, record: &Record, command: &LoginPasswordCommand) -> Result<(), Error> {
    within_deadline(host, record, |configuration, context| {
        let login = match &command.registry {
            Some(server) => login_of_server(server, configuration, context)?,
            None => login_of_region(command.region.as_deref(), configuration, context)?,
        };
        host::write_stdout(login::password_line(&login).as_bytes())
    })
}

/// Writes credentials.
pub(crate) fn credentials(host: &Host, record: &Record, command: &CredentialsCommand) -> Result<(), Error> {
    let CredentialsCommand { format, registry } = command;
    if format.is_for_one() && registry.len() > 1 {
        return Err(Error::new(Code::Usage, "this format has a place for one registry only"));
    }
    within_deadline(host, record, |configuration, context| {
        let logins = registry.iter().map(|server| login_of_server(server, configuration, context));
        let text = login::render(*format, &logins.collect::<Result<Vec<_>, _>>()?)?;
        host::write_stdout(text.as_bytes())
    })
}

fn login_of_server(
    server: &str,
    configuration: &Configuration,
    context: &Context<'_>,
) -> Result<Login, Error> {
    let ServerUrl { image, .. } = ServerUrl::from_input(server.as_bytes())?;
    let choice = configuration.for_server(&image);
    let Target { registry, settings, .. } = provider::look_up(&image, choice, configuration, context);
    let registry = registry.map_err(|reason| {
        let cause = format!("`{image}` gets no password: {reason}");
        Error::new(Code::NotEcr, cause).with_remedy(Code::NoCredentials.remedy())
    })?;
    login(image.auth_key(), &registry, &context.with_settings(settings)?)
}

/// As the AWS CLI does, which knows no registries.
fn login_of_region(
    region: Option<&str>,
    configuration: &Configuration,
    context: &Context<'_>,
) -> Result<Login, Error> {
    let variable = |name| context.host.variable(name).map(|value| value.to_string_lossy().into_owned());
    let region = region.map(str::to_owned).or_else(|| variable("AWS_REGION"));
    let Some(region) = region.or_else(|| variable("AWS_DEFAULT_REGION")) else {
        let cause = "neither a registry nor a region is named, by `--region` or `AWS_REGION`";
        return Err(Error::new(Code::Usage, cause));
    };
    let registry = Registry::of_region(&region, &configuration.partitions()).map_err(|reason| {
        Error::new(Code::NotEcr, reason).with_remedy("name a region, as in `--region eu-central-1`")
    })?;
    login(registry.to_string(), &registry, context)
}

fn login(server: String, registry: &Registry, context: &Context<'_>) -> Result<Login, Error> {
    let Supply { token, keep, .. } = tokens::supply(registry, context)?;
    let (username, password, expires_at) = (token.username, token.password, token.expires_at);
    Ok(Login { server, username, password, expires_at, keep })
}
