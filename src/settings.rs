//! Settings from the environment.
//!
//! The kubelet passes its own environment and the `env` of the CredentialProviderConfig. Each variable is
//! described in [`VARIABLES`], read once, and means nothing if it is empty. Of the variables of the AWS SDK that
//! are not listed here, those of the configuration files are read in `aws_files`, those of credentials where
//! these are looked for, and the others (endpoints) by the SDK itself.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use crate::duration::GoDuration;
use crate::error::{Code, Error};

const DEADLINE_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(55);

/// What an environment variable is for.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds without it, for the documentation.
    pub default: &'static str,
    /// What it does, for the documentation.
    pub meaning: &'static str,
}

const DEADLINE: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_DEADLINE",
    default: "`20s`",
    meaning: "How long one call may take in all, retries included: `1s` to `55s`, as Go writes durations. \
              The kubelet kills a plugin after 60 s.",
};
pub(crate) const IMDS: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_IMDS",
    default: "`auto`",
    meaning: "Whether to ask the EC2 instance metadata service for credentials: `auto` (only where the \
              machine's DMI data say EC2), `enabled`, `disabled`.",
};
const CACHE: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_CACHE",
    default: "`on`",
    meaning: "Whether to keep tokens for the other calls on this node: `on`, `off`.",
};
const CACHE_DIR: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_CACHE_DIR",
    default: "as root `/run/ecr-credential-provider`",
    meaning: "Where to keep them: an absolute path. Without it, other users have `ecr-credential-provider` in \
              `XDG_RUNTIME_DIR`, `XDG_CACHE_HOME` or `~/.cache`, the first that there is.",
};
const LOG: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_LOG",
    default: "`error`",
    meaning: "`debug` traces each step to stderr, never a secret. The kubelet shows stderr only when a \
              call fails.",
};
const CA_BUNDLE: Variable = Variable {
    name: "AWS_CA_BUNDLE",
    default: "none",
    meaning: "A file of PEM certificates to trust in addition to the node's own store.",
};
const METADATA_DISABLED: Variable = Variable {
    name: "AWS_EC2_METADATA_DISABLED",
    default: "`false`",
    meaning: "`true` has the effect of `ECR_CREDENTIAL_PROVIDER_IMDS=disabled`, as with every AWS SDK.",
};

/// All variables that are read here.
pub const VARIABLES: &[Variable] = &[DEADLINE, IMDS, CACHE, CACHE_DIR, LOG, CA_BUNDLE, METADATA_DISABLED];

/// The settings of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long the whole run may take.
    pub deadline: Duration,
    /// Whether to ask the instance metadata service.
    pub imds: Imds,
    /// Whether to keep tokens.
    pub cache: Cache,
    /// Where to keep them, if not at the usual place.
    pub cache_dir: Option<PathBuf>,
    /// How much to write to stderr.
    pub log: LogLevel,
    /// Certificates to trust in addition to the node's store.
    pub ca_bundle: Option<PathBuf>,
}

/// Whether to ask the EC2 instance metadata service. Elsewhere nothing answers at its address, or a
/// firewall drops the packets and the time is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imds {
    /// Only where the machine says that it is EC2.
    Auto,
    /// Always.
    Enabled,
    /// Never.
    Disabled,
}

/// Whether to keep tokens for the other calls on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Keep them.
    On,
    /// Neither keep nor look.
    Off,
}

/// How much to write to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// The one line of a failure.
    Error,
    /// Every step.
    Debug,
}

impl Settings {
    /// Reads the settings with `variable`, which gives the value of an environment variable if there is
    /// one and it is not empty.
    pub fn from_environment<'a>(variable: impl Fn(&str) -> Option<&'a OsStr>) -> Result<Self, Error> {
        let text = |of: &Variable| match variable(of.name).map(|value| (value.to_str(), value)) {
            None => Ok(None),
            Some((Some(text), _)) => Ok(Some(text)),
            Some((None, value)) => Err(invalid(of, &value.to_string_lossy(), "it is not UTF-8 text")),
        };
        let imds = match text(&METADATA_DISABLED)? {
            Some(value) if value.eq_ignore_ascii_case("true") => Imds::Disabled,
            _ => one_of(
                &IMDS,
                text(&IMDS)?,
                &[("auto", Imds::Auto), ("enabled", Imds::Enabled), ("disabled", Imds::Disabled)],
            )?,
        };
        Ok(Self {
            deadline: deadline(text(&DEADLINE)?)?,
            imds,
            cache: one_of(&CACHE, text(&CACHE)?, &[("on", Cache::On), ("off", Cache::Off)])?,
            cache_dir: variable(CACHE_DIR.name).map(PathBuf::from),
            log: one_of(&LOG, text(&LOG)?, &[("error", LogLevel::Error), ("debug", LogLevel::Debug)])?,
            ca_bundle: variable(CA_BUNDLE.name).map(PathBuf::from),
        })
    }
}

fn deadline(text: Option<&str>) -> Result<Duration, Error> {
    let Some(text) = text else { return Ok(Duration::from_secs(20)) };
    let duration: GoDuration = text.parse().map_err(|error| invalid(&DEADLINE, text, error))?;
    if !DEADLINE_RANGE.contains(&duration.as_std()) {
        return Err(invalid(&DEADLINE, text, "it must be from 1s to 55s"));
    }
    Ok(duration.as_std())
}

/// The value that `text` names; without a text, the first.
fn one_of<T: Copy>(of: &Variable, text: Option<&str>, values: &[(&str, T)]) -> Result<T, Error> {
    let Some(text) = text else { return Ok(values[0].1) };
    values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        invalid(of, text, format!("it must be one of {}", names.join(", ")))
    })
}

fn invalid(of: &Variable, value: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::Setting, format!("`{}` is `{value}`: {reason}", of.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Settings, Error> {
        Settings::from_environment(|asked| (asked == name).then_some(OsStr::new(value)))
    }

    #[test]
    fn defaults_hold_without_any_variable() {
        let settings = Settings::from_environment(|_| None).expect("defaults");
        let expected = Settings {
            deadline: Duration::from_secs(20),
            imds: Imds::Auto,
            cache: Cache::On,
            cache_dir: None,
            log: LogLevel::Error,
            ca_bundle: None,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_variable_of_the_sdk_switches_imds_off() {
        assert_eq!(read("AWS_EC2_METADATA_DISABLED", "TRUE").map(|s| s.imds), Ok(Imds::Disabled));
        assert_eq!(read("AWS_EC2_METADATA_DISABLED", "false").map(|s| s.imds), Ok(Imds::Auto));
    }

    #[test]
    fn a_bad_value_is_named_with_its_variable() {
        let rows = [
            (DEADLINE.name, "20", "a unit is missing (h, m, s, ms)"),
            (DEADLINE.name, "56s", "it must be from 1s to 55s"),
            (DEADLINE.name, "999ms", "it must be from 1s to 55s"),
            (IMDS.name, "on", "it must be one of auto, enabled, disabled"),
            (CACHE.name, "no", "it must be one of on, off"),
            (LOG.name, "trace", "it must be one of error, debug"),
        ];
        for (name, value, reason) in rows {
            let error = read(name, value).expect_err("refused");
            assert_eq!(error.code(), Code::Setting, "{name}={value}");
            assert_eq!(error.cause(), format!("`{name}` is `{value}`: {reason}"));
        }
    }
}
