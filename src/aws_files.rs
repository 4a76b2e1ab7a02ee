//! Where the AWS configuration files are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The credentials file that every AWS SDK reads.
pub(crate) const CREDENTIALS: AwsFile =
    AwsFile { variable: "AWS_SHARED_CREDENTIALS_FILE", below_home: ".aws/credentials" };
/// The configuration file that every AWS SDK reads.
pub(crate) const CONFIG: AwsFile = AwsFile { variable: "AWS_CONFIG_FILE", below_home: ".aws/config" };

/// One of the two files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwsFile {
    /// The variable that names it.
    pub(crate) variable: &'static str,
    below_home: &'static str,
}

impl AwsFile {
    /// Its path, found as the SDK finds it: as the variable says, in which `~` is HOME, or below HOME. There is
    /// none without either, as in a plugin of the kubelet, which gets no HOME.
    pub(crate) fn path<'a>(self, variable: impl Fn(&str) -> Option<&'a OsStr>) -> Option<PathBuf> {
        let home = variable("HOME").map(Path::new);
        match (variable(self.variable).map(Path::new), home) {
            (Some(named), Some(home)) => match named.strip_prefix("~") {
                Ok(below) => Some(home.join(below)),
                Err(_) => Some(named.to_owned()),
            },
            (Some(named), None) => Some(named.to_owned()),
            (None, home) => Some(home?.join(self.below_home)),
        }
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
            let path = CREDENTIALS.path(|name| match name {
                "HOME" => home.map(OsStr::new),
                _ => named.map(OsStr::new),
            });
            assert_eq!(path.as_deref(), expected.map(Path::new), "{named:?} {home:?}");
        }
    }
}
