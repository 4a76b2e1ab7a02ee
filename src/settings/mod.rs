//! What the administrator wants: the settings file and the environment.
//!
//! | module | owns |
//! |---|---|
//! | `environment` | the variables, in one table |
//! | `file` | the keys of the settings file, and how its mistakes are told |
//! | `pod` | those below `serviceAccount` |
//! | `anywhere` | those below `rolesAnywhere` |
//! | `checked` | texts that are more than texts |
//! | `layer` | which of several values holds |
//! | `mistakes` | all mistakes of a file at once |
//!
//! A rule of the file comes before its `defaults`, these before the environment, that before what is built in.

mod anywhere;
mod checked;
mod environment;
mod file;
mod layer;
pub(crate) mod mistakes;
mod pod;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use self::anywhere::RolesAnywhereSetting;
pub(crate) use self::environment::CONFIG;
pub use self::environment::{VARIABLES, Variable};
use self::file::File;
use self::layer::Layer;
pub(crate) use self::layer::{ProxySetting, proxy_uri};
use crate::error::Error;
use crate::image::ImageReference;
use crate::partition::Partition;
use crate::pattern::Pattern;
use crate::service_account::PodSetting;

/// Where the settings file is, unless `ECR_CREDENTIAL_PROVIDER_CONFIG` names another.
pub(crate) const USUAL_FILE: &str = "/etc/ecr-credential-provider/config.yaml";

/// Whether a settings file may hold the password of a proxy.
pub(crate) fn has_password(text: &str) -> bool {
    text.lines().any(|line| line.contains("://") && line.contains('@'))
}

/// Everything that is set, for all images.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    environment: Layer,
    log: LogLevel,
    cache: Cache,
    cache_dir: Option<PathBuf>,
    file: File,
}

impl Configuration {
    /// What the environment sets, read with `variable`, which gives the value of an environment variable if
    /// there is one and it is not empty.
    pub(crate) fn from_environment<'a>(variable: impl Fn(&str) -> Option<&'a OsStr>) -> Result<Self, Error> {
        let found = environment::read(variable)?;
        let (log, cache, cache_dir) = (found.log, found.cache, found.cache_dir);
        Ok(Self { environment: found.layer, log, cache, cache_dir, file: File::default() })
    }

    /// The same with a settings file, whose `text` was read from `path`.
    pub(crate) fn with_file(self, path: &Path, text: &str) -> Result<Self, Error> {
        let file = file::parse(path, text)?;
        Ok(Self {
            cache: file.cache.enabled.map_or(self.cache, |on| if on { Cache::On } else { Cache::Off }),
            cache_dir: file.cache.directory.as_ref().map(|path| path.0.clone()).or(self.cache_dir),
            file,
            ..self
        })
    }

    /// The settings that hold before it is known which image is asked for, and for images without a rule.
    pub(crate) fn defaults(&self) -> Settings {
        self.settings(Layer::default())
    }

    /// The first rule for `image`, if there is one, and the settings that hold for it.
    pub(crate) fn for_image(&self, image: &ImageReference) -> Choice {
        let rules = &self.file.registries;
        let found = rules.iter().position(|rule| rule.is_for(image));
        let looked_at = found.map_or(rules.len(), |index| index + 1);
        let path_matters = rules.iter().take(looked_at).any(|rule| rule.has_path_for_registry_of(image));
        self.choice(found, path_matters)
    }

    /// The same for those who want one password for a whole server. Without a rule for all of it, the first for a
    /// part of it holds.
    pub(crate) fn for_server(&self, server: &ImageReference) -> Choice {
        let rules = &self.file.registries;
        let whole = rules.iter().position(|rule| rule.is_for(server));
        let found = whole.or_else(|| rules.iter().position(|rule| rule.has_path_for_registry_of(server)));
        self.choice(found, false)
    }

    /// The rules in their order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = Listed<'_>> {
        self.file.registries.iter().enumerate().map(|(index, rule)| Listed {
            name: format!("registries[{index}]"),
            patterns: rule.r#match.iter().map(|pattern| &pattern.0).collect(),
            settings: self.settings(rule.layer()),
        })
    }

    /// The servers of the rules, as they are written: `host[:port]`, maybe with `*` in it.
    pub(crate) fn servers(&self) -> Vec<String> {
        let patterns = self.file.registries.iter().flat_map(|rule| &rule.r#match);
        let texts = patterns.map(|pattern| pattern.0.to_string());
        texts.map(|text| text.split('/').next().unwrap_or_default().to_owned()).collect()
    }

    fn choice(&self, index: Option<usize>, path_matters: bool) -> Choice {
        let found = index.and_then(|index| Some((index, self.file.registries.get(index)?)));
        Choice {
            rule: found.map(|(index, _)| format!("`registries[{index}]`")),
            registry: found.and_then(|(_, rule)| Some(rule.registry.as_ref()?.0.clone())),
            path_matters,
            settings: found.map_or_else(|| self.defaults(), |(_, rule)| self.settings(rule.layer())),
        }
    }

    /// Partitions that the administrator added.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        self.file.partitions.iter().map(file::ExtraPartition::partition).collect()
    }

    fn settings(&self, rule: Layer) -> Settings {
        let layer = rule.over(self.file.defaults.layer()).over(self.environment.clone());
        Settings {
            deadline: layer.deadline.unwrap_or(environment::USUAL_DEADLINE),
            imds: layer.imds.unwrap_or(Imds::Auto),
            cache: self.cache,
            cache_dir: self.cache_dir.clone(),
            log: self.log,
            log_target: self.file.log.as_ref().map(|sink| sink.0.clone()),
            metrics_file: self.file.metrics.as_ref().map(|path| path.0.clone()),
            ca_bundles: layer.ca_bundles,
            proxy: layer.proxy,
            no_proxy: layer.no_proxy,
            identity: Some(layer.identity).filter(|identity| *identity != IdentitySetting::default()),
            pod: layer.pod,
            endpoint: layer.endpoint,
            fips: layer.fips,
            dual_stack: layer.dual_stack,
        }
    }
}

/// A rule of the file.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// Where it stands, as `registries[0]`.
    pub(crate) name: String,
    /// For which images it is.
    pub(crate) patterns: Vec<&'a Pattern>,
    /// What holds for them.
    pub(crate) settings: Settings,
}

/// What the settings say of one image.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The rule, for people.
    pub(crate) rule: Option<String>,
    /// The registry of ECR that stands behind the image's host name, if the rule names one.
    pub(crate) registry: Option<String>,
    /// Whether the path took part in the choice. Another rule may be for another image of the same registry,
    /// so the kubelet must not use the answer for all of them.
    pub(crate) path_matters: bool,
    pub(crate) settings: Settings,
}

/// The settings of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How long the whole run may take.
    pub(crate) deadline: Duration,
    /// Whether to ask the instance metadata service.
    pub(crate) imds: Imds,
    /// Whether to keep tokens.
    pub(crate) cache: Cache,
    /// Where to keep them, if not at the usual place.
    pub(crate) cache_dir: Option<PathBuf>,
    /// How much to write to stderr.
    pub(crate) log: LogLevel,
    /// Where to write a line about the call, if anywhere.
    pub(crate) log_target: Option<LogTarget>,
    /// The file for Prometheus, if there is to be one.
    pub(crate) metrics_file: Option<PathBuf>,
    /// Files of certificates to trust in addition to the node's store, with the settings that name them.
    pub(crate) ca_bundles: Vec<(&'static str, PathBuf)>,
    /// The proxy, if it is not for the environment to say.
    pub(crate) proxy: Option<ProxySetting>,
    /// What goes without it, in the form of `NO_PROXY`, if that is not for the environment to say either.
    pub(crate) no_proxy: Option<String>,
    /// The identity that the settings file names. Then no other is looked for.
    pub(crate) identity: Option<IdentitySetting>,
    /// Pods that pull with a role of their own, and who may pull.
    pub(crate) pod: PodSetting,
    /// The URL of the API of ECR.
    pub(crate) endpoint: Option<String>,
    /// Whether to ask the FIPS endpoint, if it is not for the host name to say.
    pub(crate) fips: Option<bool>,
    /// Whether to ask the endpoint that is reachable over IPv6 too.
    pub(crate) dual_stack: Option<bool>,
}

/// A profile in AWS files, or a certificate for a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdentitySetting {
    pub(crate) profile: Option<String>,
    pub(crate) credentials_file: Option<PathBuf>,
    pub(crate) config_file: Option<PathBuf>,
    /// Without any of the others, but for files that say nothing of an identity.
    pub(crate) roles_anywhere: Option<RolesAnywhereSetting>,
}

/// Whether to ask the EC2 instance metadata service. Elsewhere nothing answers at its address, or a
/// firewall drops the packets and the time is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Imds {
    /// Only where the machine says that it is EC2.
    Auto,
    /// Always.
    Enabled,
    /// Never.
    Disabled,
}

/// Whether to keep tokens for the other calls on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Keep them.
    #[default]
    On,
    /// Neither keep nor look.
    Off,
}

/// Where to write a line about each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogTarget {
    /// The journal of systemd.
    Journald,
    /// A file, to which it is appended.
    File(PathBuf),
}

/// How much to write to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// The one line of a failure.
    #[default]
    Error,
    /// Every step.
    Debug,
}
