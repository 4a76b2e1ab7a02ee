//! One place where settings come from: a rule, the defaults of the file, or the environment.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::{IdentitySetting, Imds};
use crate::secret::Secret;
use crate::service_account::PodSetting;

/// What one place sets. The meaning of each is in `file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) deadline: Option<Duration>,
    pub(super) imds: Option<Imds>,
    /// With the settings that name them. They add up.
    pub(super) ca_bundles: Vec<(&'static str, PathBuf)>,
    pub(super) proxy: Option<ProxySetting>,
    pub(super) no_proxy: Option<String>,
    pub(super) identity: IdentitySetting,
    pub(super) pod: PodSetting,
    pub(super) endpoint: Option<String>,
    pub(super) fips: Option<bool>,
    pub(super) dual_stack: Option<bool>,
}

impl Layer {
    /// What this sets and, where it sets nothing, what `lower` does.
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            deadline: self.deadline.or(lower.deadline),
            imds: self.imds.or(lower.imds),
            ca_bundles: [self.ca_bundles, lower.ca_bundles].concat(),
            proxy: self.proxy.or(lower.proxy),
            no_proxy: self.no_proxy.or(lower.no_proxy),
            identity: self.identity.over(lower.identity),
            pod: self.pod.over(lower.pod),
            endpoint: self.endpoint.or(lower.endpoint),
            fips: self.fips.or(lower.fips),
            dual_stack: self.dual_stack.or(lower.dual_stack),
        }
    }
}

impl IdentitySetting {
    /// An identity is never mixed: whichever kind this names, nothing of another kind remains.
    fn over(self, lower: Self) -> Self {
        if self.roles_anywhere.is_some() {
            return self;
        }
        if lower.roles_anywhere.is_some() {
            return if self == Self::default() { lower } else { self };
        }
        Self {
            profile: self.profile.or(lower.profile),
            credentials_file: self.credentials_file.or(lower.credentials_file),
            config_file: self.config_file.or(lower.config_file),
            roles_anywhere: None,
        }
    }
}

/// A proxy of the settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProxySetting {
    /// No proxy, whatever the environment says.
    Direct,
    /// The URL of one; it may hold a password.
    Url(Secret),
}

/// The URL of a proxy. One without a scheme is an HTTP proxy.
pub(crate) fn proxy_uri(url: &str) -> Option<Uri> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    with_scheme.parse().ok()
}

/// Whether it is one that can be used.
pub(super) fn is_http_proxy(url: &str) -> bool {
    let uri = proxy_uri(url).unwrap_or_default();
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}
