//! The CredentialProviderConfig of a node, read as the kubelet reads it.
//!
//! Strictly, as the kubelet does since 1.32: an unknown or repeated key is an error, and so is a number or
//! truth value without quotes where text is expected, because the kubelet makes JSON of the YAML first.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::{Spanned, UserMessageFormatter};

use super::on;
use crate::host;
use crate::secret::Secret;

/// The providers of a node in the order in which the kubelet asks them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The files that were read, in that order.
    pub files: Vec<PathBuf>,
    /// Whether the path was a folder, which kubelets before 1.34 cannot read.
    pub is_directory: bool,
    /// The providers of all files.
    pub providers: Vec<Provider>,
}

/// One provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Where its name stands.
    pub place: Place,
    /// The file name of the plugin.
    pub name: String,
    /// The version of the protocol that it is spoken to in.
    pub api_version: Option<String>,
    /// The patterns as written; the kubelet refuses some, see [`crate::pattern::Pattern`].
    pub match_images: Vec<(Place, String)>,
    /// How long an answer is kept that does not say so.
    pub default_cache_duration: Option<String>,
    /// The plugin's arguments.
    pub args: Vec<String>,
    /// What is added to the kubelet's own environment. People keep keys there.
    pub env: Vec<(String, Secret)>,
    /// The identity of a pod that goes with the request.
    pub token_attributes: Option<TokenAttributes>,
}

/// `tokenAttributes` of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenAttributes {
    /// For whom the token is.
    #[serde(default)]
    pub service_account_token_audience: Option<String>,
    /// `ServiceAccount` or `Token`.
    #[serde(default)]
    pub cache_type: Option<String>,
    /// Whether the plugin is left out for pods without service account.
    #[serde(default)]
    pub require_service_account: Option<bool>,
    /// Annotations that must be there.
    #[serde(default)]
    pub required_service_account_annotation_keys: Option<Vec<String>>,
    /// Annotations that are handed over if they are there.
    #[serde(default)]
    pub optional_service_account_annotation_keys: Option<Vec<String>>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}", file.display())]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

/// Why there is no configuration; a kubelet that starts with it ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Neither a file nor a folder.
    #[error("`{}` is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// A folder without a file for the kubelet.
    #[error("`{}` has no file that ends in .json, .yaml or .yml", .0.display())]
    EmptyDirectory(PathBuf),
    /// Not what the kubelet expects.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
}

/// Reads the file, or the files of the folder, that `--image-credential-provider-config` names.
pub fn read(root: &Path, path: &Path) -> Result<Config, ConfigError> {
    let is_directory = on(root, path).is_dir();
    let files = if is_directory { files_in(root, path)? } else { vec![path.to_owned()] };
    let mut providers: Vec<Provider> = Vec::new();
    for file in &files {
        for provider in providers_in(root, file)? {
            if providers.iter().any(|earlier| earlier.name == provider.name) {
                let reason = format!("there is a provider `{}` already", provider.name);
                return Err(ConfigError::Malformed { place: provider.place, reason });
            }
            providers.push(provider);
        }
    }
    Ok(Config { files, is_directory, providers })
}

/// Not from folders below; names in the order of their bytes.
fn files_in(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let names = host::list_directory(&on(root, folder))
        .map_err(|error| ConfigError::Unreadable(error.to_string()))?;
    let mut files: Vec<_> = names.into_iter().map(|name| folder.join(name)).collect();
    files.retain(|path| is_read(path));
    files.retain(|path| !on(root, path).symlink_metadata().is_ok_and(|data| data.is_dir()));
    files.sort();
    if files.is_empty() { Err(ConfigError::EmptyDirectory(folder.to_owned())) } else { Ok(files) }
}

/// By what follows the last dot, even if nothing stands before it.
fn is_read(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    matches!(name.rsplit_once('.'), Some((_, "json" | "yaml" | "yml")))
}

fn providers_in(root: &Path, file: &Path) -> Result<Vec<Provider>, ConfigError> {
    let actual = on(root, file);
    if actual.metadata().is_ok_and(|data| !data.is_file()) {
        return Err(ConfigError::NotAFile(file.to_owned()));
    }
    let bytes = host::read_file(&actual).map_err(|error| ConfigError::Unreadable(error.to_string()))?;
    let options = serde_saphyr::options! { no_schema: true, with_snippet: false };
    let parsed = serde_saphyr::from_slice_with_options::<WireConfig>(&bytes, options);
    let wire = parsed.map_err(|error| malformed(file, &error))?;
    check_type(file, &wire)?;
    let providers = wire.providers.unwrap_or_default();
    Ok(providers.into_iter().map(|provider| provider.at(file)).collect())
}

fn malformed(file: &Path, error: &serde_saphyr::Error) -> ConfigError {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    let text = error.render_with_formatter(&UserMessageFormatter);
    let reason = text.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(&text).to_owned();
    ConfigError::Malformed { place: Place { file: file.to_owned(), line, column }, reason }
}

fn check_type(file: &Path, wire: &WireConfig) -> Result<(), ConfigError> {
    let refuse =
        |at: &Spanned<String>, reason: String| Err(ConfigError::Malformed { place: place(file, at), reason });
    if wire.kind.value != "CredentialProviderConfig" {
        return refuse(&wire.kind, format!("kind `{}` is not CredentialProviderConfig", wire.kind.value));
    }
    let version = wire.api_version.value.as_str();
    match version.strip_prefix("kubelet.config.k8s.io/") {
        Some("v1" | "v1beta1" | "v1alpha1") => Ok(()),
        _ => refuse(&wire.api_version, format!("apiVersion `{version}` is not kubelet.config.k8s.io/v1")),
    }
}

fn place<T>(file: &Path, at: &Spanned<T>) -> Place {
    Place { file: file.to_owned(), line: at.referenced.line(), column: at.referenced.column() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireConfig {
    kind: Spanned<String>,
    api_version: Spanned<String>,
    #[serde(default)]
    providers: Option<Vec<WireProvider>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireProvider {
    name: Spanned<String>,
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    match_images: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    default_cache_duration: Option<String>,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<WireVariable>>,
    #[serde(default)]
    token_attributes: Option<TokenAttributes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireVariable {
    name: String,
    #[serde(default)]
    value: String,
}

impl WireProvider {
    fn at(self, file: &Path) -> Provider {
        let patterns = self.match_images.unwrap_or_default().into_iter();
        let env = self.env.unwrap_or_default().into_iter();
        Provider {
            place: place(file, &self.name),
            name: self.name.value,
            api_version: self.api_version,
            match_images: patterns.map(|pattern| (place(file, &pattern), pattern.value)).collect(),
            default_cache_duration: self.default_cache_duration,
            args: self.args.unwrap_or_default(),
            env: env.map(|variable| (variable.name, variable.value.into())).collect(),
            token_attributes: self.token_attributes,
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
