//! Settings from the environment.
//!
//! The kubelet passes its own environment and the `env` of the CredentialProviderConfig. Each variable is
//! described in [`VARIABLES`], read once, and means nothing if it is empty. Of the variables of the AWS SDK that
//! are not listed here, those of the configuration files are read in `aws_files`, those of credentials where
//! these are looked for, and the others (endpoints) by the SDK itself.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Cache, Imds, Layer, LogLevel};
use crate::duration::GoDuration;
use crate::error::{Code, Error};

/// How long one call may take, without a setting.
pub(super) const USUAL_DEADLINE: Duration = Duration::from_secs(20);
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

pub(crate) const CONFIG: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_CONFIG",
    default: "`/etc/ecr-credential-provider/config.yaml`, if it is there",
    meaning: "The [settings file](packaging/doc/settings.md).",
};
const DEADLINE: Variable = Variable {
    name: "ECR_CREDENTIAL_PROVIDER_DEADLINE",
    default: "`20s`",
    meaning: "How long one call may take in all, retries included: `1s` to `55s`, as Go writes durations. \
              The kubelet kills a plugin after 60 s.",
};
const IMDS: Variable = Variable {
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

/// What the environment sets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) layer: Layer,
    pub(super) cache: Cache,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) log: LogLevel,
}

/// Reads the variables with `variable`, which gives the value of one if it is set and not empty.
pub(super) fn read<'a>(variable: impl Fn(&str) -> Option<&'a OsStr>) -> Result<Found, Error> {
    let text = |of: &Variable| match variable(of.name).map(|value| (value.to_str(), value)) {
        None => Ok(None),
        Some((Some(text), _)) => Ok(Some(text)),
        Some((None, value)) => Err(invalid(of, &value.to_string_lossy(), "it is not UTF-8 text")),
    };
    let imds = match text(&METADATA_DISABLED)? {
        Some(value) if value.eq_ignore_ascii_case("true") => Some(Imds::Disabled),
        _ => one_of(
            &IMDS,
            text(&IMDS)?,
            &[("auto", Imds::Auto), ("enabled", Imds::Enabled), ("disabled", Imds::Disabled)],
        )?,
    };
    let deadline =
        text(&DEADLINE)?.map(|text| deadline(text).map_err(|error| invalid(&DEADLINE, text, error)));
    let ca_bundles = variable(CA_BUNDLE.name).map(|path| (CA_BUNDLE.name, PathBuf::from(path)));
    let cache = one_of(&CACHE, text(&CACHE)?, &[("on", Cache::On), ("off", Cache::Off)])?;
    let log = one_of(&LOG, text(&LOG)?, &[("error", LogLevel::Error), ("debug", LogLevel::Debug)])?;
    Ok(Found {
        layer: Layer {
            deadline: deadline.transpose()?,
            imds,
            ca_bundles: ca_bundles.into_iter().collect(),
            ..Layer::default()
        },
        cache: cache.unwrap_or(Cache::On),
        cache_dir: variable(CACHE_DIR.name).map(PathBuf::from),
        log: log.unwrap_or(LogLevel::Error),
    })
}

/// A deadline in Go's notation, within its range.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse().map_err(|error| format!("{error}"))?;
    if !DEADLINE_RANGE.contains(&duration.as_std()) {
        return Err("it must be from 1s to 55s".into());
    }
    Ok(duration.as_std())
}

/// The value that `text` names.
fn one_of<T: Copy>(of: &Variable, text: Option<&str>, values: &[(&str, T)]) -> Result<Option<T>, Error> {
    let Some(text) = text else { return Ok(None) };
    let value = values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    value.map(Some).ok_or_else(|| {
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

    fn set(name: &str, value: &str) -> Result<Found, Error> {
        read(|asked| (asked == name).then_some(OsStr::new(value)))
    }

    #[test]
    fn the_variable_of_the_sdk_switches_imds_off() {
        let imds = |value| set("AWS_EC2_METADATA_DISABLED", value).map(|found| found.layer.imds);
        assert_eq!(imds("TRUE"), Ok(Some(Imds::Disabled)));
        assert_eq!(imds("false"), Ok(None));
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
            let error = set(name, value).expect_err("refused");
            assert_eq!(error.code(), Code::Setting, "{name}={value}");
            assert_eq!(error.cause(), format!("`{name}` is `{value}`: {reason}"));
        }
    }
}
