//! The two AWS configuration files, and which profile in them counts.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::host::{self, FileError};
use crate::settings::IdentitySetting;
use crate::watchdog::Watchdog;

/// Where the files are, and the profile. Everything that needs them takes them from here.
#[derive(Debug)]
pub(crate) struct AwsFiles {
    pub(crate) credentials: AwsFile,
    pub(crate) config: AwsFile,
    /// The name of the profile.
    pub(crate) profile: String,
    /// Who names the profile, for people. Without one it is the default, which need not exist.
    pub(crate) names_profile: Option<&'static str>,
}

impl AwsFiles {
    /// As the settings file says or, if it names no identity, as every AWS SDK finds them. Where it names a file,
    /// the other one is not looked for elsewhere: another identity may be in it.
    pub(crate) fn new<'a>(
        setting: Option<&IdentitySetting>,
        variable: impl Fn(&str) -> Option<&'a OsStr>,
    ) -> Self {
        let IdentitySetting { profile, credentials_file, config_file, .. } =
            setting.cloned().unwrap_or_default();
        let of_variable = variable("AWS_PROFILE").map(|name| name.to_string_lossy().into_owned());
        let of_variable = of_variable.filter(|_| setting.is_none());
        let names_profile = match (&profile, &of_variable) {
            (Some(_), _) => Some("`profile` of the settings file"),
            (None, Some(_)) => Some("`AWS_PROFILE`"),
            (None, None) => None,
        };
        let is_file_named = credentials_file.is_some() || config_file.is_some();
        let home = variable("HOME").map(Path::new);
        let file = |named: Option<PathBuf>, name, below_home| {
            let usual = || path_of(variable(name).map(Path::new), home, below_home);
            AwsFile::new(name, if is_file_named { named } else { usual() })
        };
        Self {
            credentials: file(credentials_file, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
            config: file(config_file, "AWS_CONFIG_FILE", ".aws/config"),
            names_profile,
            profile: profile.or(of_variable).unwrap_or_else(|| "default".to_owned()),
        }
    }
}

/// A file is where its variable says, in which `~` is HOME, or below HOME. It is nowhere without either, as in a
/// plugin of the kubelet, which gets no HOME.
fn path_of(named: Option<&Path>, home: Option<&Path>, below_home: &str) -> Option<PathBuf> {
    match (named, home) {
        (Some(named), Some(home)) => match named.strip_prefix("~") {
            Ok(below) => Some(home.join(below)),
            Err(_) => Some(named.to_owned()),
        },
        (Some(named), None) => Some(named.to_owned()),
        (None, home) => Some(home?.join(below_home)),
    }
}

/// One of the two files. It is read once, so that the name of a token in the cache and the identity that it is
/// issued to come from the same bytes, and so that it may be a pipe.
pub(crate) struct AwsFile {
    /// The setting that names it.
    setting: &'static str,
    path: Option<PathBuf>,
    content: OnceLock<Result<Option<Vec<u8>>, FileError>>,
}

impl AwsFile {
    fn new(setting: &'static str, path: Option<PathBuf>) -> Self {
        Self { setting, path, content: OnceLock::new() }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What is in it; nothing if there is no such file.
    pub(crate) fn content(&self, watchdog: &Watchdog) -> Result<Option<&[u8]>, &FileError> {
        let content = self.content.get_or_init(|| {
            let Some(path) = &self.path else { return Ok(None) };
            watchdog.enter(format!("reading `{}`", path.display()));
            match host::read_file(path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        });
        content.as_ref().map(Option::as_deref)
    }

    /// Why a profile is not in it, for people.
    pub(crate) fn what_was_found(&self, watchdog: &Watchdog) -> String {
        match (&self.path, self.content(watchdog)) {
            (None, _) => format!("no `{}` and no HOME", self.setting),
            (Some(path), Ok(None)) => format!("`{}` does not exist", path.display()),
            (Some(path), _) => format!("not in `{}`", path.display()),
        }
    }
}

/// Without the content, which is secret.
impl fmt::Debug for AwsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_comes_before_home_and_a_tilde_is_home() {
        let rows = [
            (Some("/etc/key"), Some("/root"), Some("/etc/key")),
            (Some("~/key"), Some("/root"), Some("/root/key")),
            (Some("~key"), Some("/root"), Some("~key")),
            (Some("~/key"), None, Some("~/key")),
            (None, Some("/root"), Some("/root/.aws/credentials")),
            (None, None, None),
        ];
        for (named, home, expected) in rows {
            let files = AwsFiles::new(None, |name| match name {
                "HOME" => home.map(OsStr::new),
                "AWS_SHARED_CREDENTIALS_FILE" => named.map(OsStr::new),
                _ => None,
            });
            assert_eq!(files.credentials.path(), expected.map(Path::new), "{named:?} {home:?}");
        }
    }
}
