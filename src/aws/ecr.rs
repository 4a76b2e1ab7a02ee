//! The call to `GetAuthorizationToken` of ECR and ECR Public.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::classify::{Doing, sdk_error};
use super::way::Way;
use crate::error::{Code, Error};
use crate::host;
use crate::registry::Registry;
use crate::secret::Secret;
use crate::token::AuthorizationToken;

/// Asks the service of `registry` for a token and checks it.
pub(super) async fn ask(
    registry: &Registry,
    credentials: Credentials,
    way: &Way<'_>,
) -> Result<AuthorizationToken, Error> {
    let doing =
        Doing::start(format!("asking for a password for `{registry}`"), way.transport, Some(&credentials));
    let config = sdk_config(registry, credentials, way).await;
    let Parts { token, expires_at } = match registry {
        Registry::Private(_) => ask_private(&config, &doing).await?,
        Registry::Public { .. } => ask_public(&config, &doing).await?,
    };
    let missing = |field| Error::new(Code::NoToken, format!("{doing}: there is no `{field}`"));
    let token = token.ok_or_else(|| missing("authorizationToken"))?;
    let expires_at = expires_at.ok_or_else(|| missing("expiresAt"))?;
    AuthorizationToken::decode(&token, expires_at, time_at_aws(way))
        .map_err(|error| error.while_doing(&doing))
}

/// What we need of either service's answer.
struct Parts {
    token: Option<Secret>,
    expires_at: Option<Timestamp>,
}

impl Parts {
    fn new(token: Option<&str>, expires_at: Option<&DateTime>) -> Self {
        Self {
            token: token.map(|token| Secret::from(token.to_owned())),
            expires_at: expires_at.and_then(|time| Timestamp::from_second(time.secs()).ok()),
        }
    }
}

async fn ask_private(config: &SdkConfig, doing: &Doing<'_>) -> Result<Parts, Error> {
    let call = aws_sdk_ecr::Client::new(config).get_authorization_token().send();
    let answer = call.await.map_err(|error| sdk_error(&error, doing))?;
    let data = answer.authorization_data().first();
    let data =
        data.ok_or_else(|| Error::new(Code::NoToken, format!("{doing}: `authorizationData` is empty")))?;
    Ok(Parts::new(data.authorization_token(), data.expires_at()))
}

async fn ask_public(config: &SdkConfig, doing: &Doing<'_>) -> Result<Parts, Error> {
    let call = aws_sdk_ecrpublic::Client::new(config).get_authorization_token().send();
    let answer = call.await.map_err(|error| sdk_error(&error, doing))?;
    let data = answer.authorization_data();
    let data =
        data.ok_or_else(|| Error::new(Code::NoToken, format!("{doing}: `authorizationData` is missing")))?;
    Ok(Parts::new(data.authorization_token(), data.expires_at()))
}

/// The configuration of the client: what the settings file, the environment and the AWS configuration file say
/// about endpoints, and from the host name of the registry the kind of endpoint.
pub(super) async fn sdk_config(registry: &Registry, credentials: Credentials, way: &Way<'_>) -> SdkConfig {
    let settings = &way.context.settings;
    let service = match registry {
        Registry::Private(_) => "ECR",
        Registry::Public { .. } => "ECR PUBLIC",
    };
    let config = way.sdk_config(Some(credentials), service).await;
    let of_file = settings.endpoint.clone().filter(|_| matches!(registry, Registry::Private(_)));
    let is_custom = config.endpoint_url().is_some();
    let of_unknown_partition = || registry.api_of_unknown_partition().filter(|_| !is_custom);
    let mut builder = config.into_builder();
    if let Some(url) = of_file.or_else(of_unknown_partition) {
        builder.set_use_fips(None);
        builder.set_use_dual_stack(None);
        return builder.endpoint_url(url).build();
    }
    if is_custom {
        // The SDK refuses to choose a kind of endpoint for an endpoint that was chosen already.
        return builder.build();
    }
    if settings.fips.is_none() && registry.is_fips() {
        builder.set_use_fips(Some(true));
    }
    if settings.dual_stack.is_none() && registry.is_dual_stack() {
        builder.set_use_dual_stack(Some(true));
    }
    builder.build()
}

/// The time of the answer by AWS's clock, or by ours where the answer does not say it.
fn time_at_aws(way: &Way<'_>) -> Timestamp {
    let here = host::now();
    let Some(there) = way.transport.last_exchange().date else { return here };
    let skew = here.duration_since(there);
    if skew.abs() > SignedDuration::from_mins(1) {
        way.context.log.debug(|| format!("the local clock differs from that of AWS by {skew:#}"));
    }
    there
}
