//! The AWS configuration files and the profile that is selected in them.
//!
//! The SDK only parses them. Left to itself it passes over a file that it cannot read, and goes on to the next
//! source of credentials where a profile was named that does not exist.

use std::collections::HashMap;
use std::path::PathBuf;

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};

use super::classify::causes;
use crate::aws_files::AwsFile;
use crate::context::Context;
use crate::error::{Code, Error};

/// Reads both files. Neither has to exist, but what exists must be readable and well-formed, and a profile that
/// was named must be in one of them.
pub(super) async fn read(context: &Context<'_>) -> Result<ProfileSet, Error> {
    let files = &context.aws_files;
    // In this order, as what stands in both counts as it stands in the credentials file.
    let kinds =
        [(EnvConfigFileKind::Config, &files.config), (EnvConfigFileKind::Credentials, &files.credentials)];
    let (mut builder, mut contents) = (EnvConfigFiles::builder(), HashMap::new());
    for (kind, file) in kinds {
        let name = file.path().map_or_else(|| "nothing".to_owned(), |path| path.display().to_string());
        builder = builder.with_file(kind, &name);
        contents.entry(name).or_insert(text_of(file, context)?);
    }
    // The SDK gets what was read, under its name, so that its errors say in which file something is wrong.
    let (fs, env) = (Fs::from_map(contents), Env::from_slice(&[]));
    let profile = files.profile.clone().into();
    let profiles = aws_config::profile::load(&fs, &env, &builder.build(), Some(profile))
        .await
        .map_err(|error| Error::new(Code::AwsConfig, causes(&error)))?;
    match files.names_profile {
        Some(who) if profiles.get_profile(&files.profile).is_none() => {
            let cause = format!("{who} names a profile that does not exist: {}", what_was_found(context));
            Err(Error::new(Code::AwsConfig, cause))
        }
        _ => Ok(profiles),
    }
}

/// The `ca_bundle` of the profile. What is wrong with the files is told where credentials are looked for in them.
pub(super) async fn ca_bundle(context: &Context<'_>) -> Option<PathBuf> {
    let config = context.aws_files.config.content(&context.watchdog).ok().flatten()?;
    // To parse the file costs more than to look for a word in it.
    if !config.windows(b"ca_bundle".len()).any(|window| window == b"ca_bundle") {
        return None;
    }
    let profiles = read(context).await.ok()?;
    profiles.get_profile(&context.aws_files.profile)?.get("ca_bundle").map(PathBuf::from)
}

/// What was looked at and what was found. The kubelet gives its plugins no HOME, so the usual paths often mean
/// nothing.
pub(super) fn what_was_found(context: &Context<'_>) -> String {
    let files = &context.aws_files;
    let found = [&files.credentials, &files.config].map(|file| file.what_was_found(&context.watchdog));
    format!("profile `{}`: {}", files.profile, found.join(", "))
}

fn text_of(file: &AwsFile, context: &Context<'_>) -> Result<Vec<u8>, Error> {
    let bytes = file.content(&context.watchdog).map_err(|error| Error::new(Code::AwsConfig, error))?;
    let bytes = bytes.unwrap_or_default();
    match (std::str::from_utf8(bytes), file.path()) {
        (Err(_), Some(path)) => {
            Err(Error::new(Code::AwsConfig, format!("`{}` is not UTF-8 text", path.display())))
        }
        _ => Ok(bytes.to_owned()),
    }
}
