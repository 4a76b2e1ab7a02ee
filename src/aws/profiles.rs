//! The AWS configuration files and the profile that is selected in them.
//!
//! The SDK reads these files itself, but it passes over a file that it cannot read, drops the line number of a
//! syntax error, and goes on to the next source of credentials where a profile was named that does not exist.
//! So they are looked at here first, to say what is wrong with them.

use aws_config::profile::{Profile, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::classify::causes;
use crate::aws_files::{self, AwsFile};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::host;

/// Keys of a profile by which it says where credentials come from.
const SOURCES: [&str; 6] = [
    "aws_access_key_id",
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
];
/// Keys of a profile that needs a person with a browser.
const SIGN_IN: [&str; 3] = ["sso_start_url", "sso_session", "login_session"];

/// The files, and the profile.
pub(super) struct Profiles {
    files: Vec<String>,
    selected: String,
    all: ProfileSet,
}

impl Profiles {
    /// Reads both files. Neither has to exist, but what exists must be readable and well-formed, and a profile
    /// that `AWS_PROFILE` names must be in one of them.
    pub(super) async fn read(context: &Context<'_>) -> Result<Self, Error> {
        let files = [look_at(aws_files::CREDENTIALS, context)?, look_at(aws_files::CONFIG, context)?];
        let all = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None)
            .await
            .map_err(|error| Error::new(Code::AwsConfig, causes(&error)))?;
        let found = Self { files: files.into(), selected: all.selected_profile().to_owned(), all };
        if found.profile().is_none() && context.host.variable("AWS_PROFILE").is_some() {
            let cause = format!("`AWS_PROFILE` names a profile that does not exist: {}", found.describe());
            return Err(Error::new(Code::AwsConfig, cause));
        }
        if let Some(key) = found.keys_of(&SIGN_IN).next() {
            let cause = format!("profile `{}` has `{key}`: a node cannot sign in", found.selected);
            return Err(Error::new(Code::AwsConfig, cause)
                .with_remedy("use a profile with an access key, a role, or a `credential_process`"));
        }
        Ok(found)
    }

    /// The name of the selected profile.
    pub(super) fn selected(&self) -> &str {
        &self.selected
    }

    /// Whether the profile says where credentials come from. If it does and there are none, the next source
    /// must not be asked: it may be another identity.
    pub(super) fn name_a_source(&self) -> bool {
        self.keys_of(&SOURCES).next().is_some()
    }

    /// What was looked at and what was found.
    pub(super) fn describe(&self) -> String {
        format!("profile `{}`: {}", self.selected, self.files.join(", "))
    }

    fn profile(&self) -> Option<&Profile> {
        self.all.get_profile(&self.selected)
    }

    fn keys_of<'a>(&'a self, keys: &'a [&str]) -> impl Iterator<Item = &'a str> {
        keys.iter().copied().filter(|key| self.profile().is_some_and(|profile| profile.get(key).is_some()))
    }
}

/// The kubelet gives its plugins no HOME, so the usual paths often mean nothing; say what was looked for.
fn look_at(file: AwsFile, context: &Context<'_>) -> Result<String, Error> {
    let Some(path) = file.path(|name| context.host.variable(name)) else {
        return Ok(format!("no `{}` and no HOME", file.variable));
    };
    context.watchdog.enter(format!("reading `{}`", path.display()));
    let refused = |cause: String| Error::new(Code::AwsConfig, cause);
    match host::read_file(&path) {
        Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => Ok(format!("not in `{}`", path.display())),
        Ok(_) => Err(refused(format!("`{}` is not UTF-8 text", path.display()))),
        Err(error) if error.is_not_found() => Ok(format!("`{}` does not exist", path.display())),
        Err(error) => Err(refused(error.to_string())),
    }
}
