//! The configuration of every client of the SDK.
//!
//! What the environment and the AWS configuration files say about endpoints comes from the SDK's own reading of
//! the variables and of the files as they were read once. Connections, time limits and retries are ours.

use aws_config::provider_config::ProviderConfig;
use aws_config::{AppName, SdkConfig};
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::http::Transport;
use super::{BEHAVIOR, Budget};
use crate::aws_files::AwsFile;
use crate::context::Context;

/// How to get to AWS: in which region, within which time, over which connections.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) region: &'a str,
    pub(super) budget: Budget,
    pub(super) transport: &'a Transport,
    pub(super) context: &'a Context<'a>,
}

/// Nothing more is said of a service.
#[derive(Debug)]
struct Settled;

impl LoadServiceConfig for Settled {
    fn load_config(&self, _: ServiceConfigKey<'_>) -> Option<String> {
        None
    }
}

impl Way<'_> {
    /// For the client of a service, which signs with `credentials` if there are any. Which endpoint the environment
    /// and the files name for it is settled here, as the SDK panics on an empty variable.
    pub(super) async fn sdk_config(&self, credentials: Option<Credentials>, service: &str) -> SdkConfig {
        let loader = aws_config::defaults(BEHAVIOR())
            .region(self.region())
            .profile_files(self.profile_files())
            .profile_name(self.context.aws_files.profile.as_str())
            .http_client(self.transport.clone())
            .timeout_config(self.budget.timeouts())
            .retry_config(self.budget.retries())
            .app_name(
                AppName::new(env!("CARGO_PKG_NAME"))
                    .unwrap_or_else(|_| unreachable!("a package name is valid")),
            );
        let config = match credentials {
            Some(credentials) => loader.credentials_provider(credentials).load().await,
            None => loader.no_credentials().load().await,
        };
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let of_service =
            config.service_config().zip(key.ok()).and_then(|(source, key)| source.load_config(key));
        let of_all = config.endpoint_url().map(str::to_owned);
        let endpoint = [of_service, of_all].into_iter().flatten().find(|url| !url.is_empty());
        let mut builder = config.into_builder();
        let settings = &self.context.settings;
        if let Some(fips) = settings.fips {
            builder.set_use_fips(Some(fips));
        }
        if let Some(dual_stack) = settings.dual_stack {
            builder.set_use_dual_stack(Some(dual_stack));
        }
        builder.set_endpoint_url(endpoint);
        builder.service_config(Settled).build()
    }

    /// For the sources of credentials that the SDK asks itself.
    pub(super) fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(Some(self.region()))
            .with_behavior_version(Some(BEHAVIOR()))
            .with_http_client(self.transport.clone())
            .with_timeout_config(self.budget.timeouts())
            .with_retry_config(self.budget.retries())
    }

    fn region(&self) -> Region {
        Region::new(self.region.to_owned())
    }

    /// A file that cannot be read says nothing here. It does where credentials are looked for in it.
    fn profile_files(&self) -> EnvConfigFiles {
        let text = |file: &AwsFile| {
            let content = file.content(&self.context.watchdog).ok().flatten();
            content.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default().to_owned()
        };
        let files = &self.context.aws_files;
        EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, text(&files.config))
            .with_contents(EnvConfigFileKind::Credentials, text(&files.credentials))
            .build()
    }
}
