//! The kubelet's side: its configuration, which provider it picks for an image, how it runs the plugin, and
//! what it accepts as an answer.
//!
//! Written from the kubelet of Kubernetes 1.36 (`pkg/credentialprovider`): `keyring.go` for the matching,
//! `plugin/plugin.go` for the call. It decodes strictly, as the kubelet does from 1.32 on.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

/// The file of `--image-credential-provider-config`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialProviderConfig {
    kind: String,
    api_version: String,
    /// The providers, in the order in which they are asked.
    pub providers: Vec<Provider>,
}

/// One provider of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The file name of the plugin.
    pub name: String,
    /// Which images it is asked for.
    pub match_images: Vec<String>,
    /// How long an answer without `cacheDuration` is kept.
    pub default_cache_duration: String,
    /// The version of the protocol.
    pub api_version: String,
    /// The plugin's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// What is added to the plugin's environment.
    #[serde(default)]
    pub env: Vec<EnvironmentVariable>,
}

/// An entry of a provider's `env`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentVariable {
    /// The variable's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What the plugin reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    kind: &'static str,
    api_version: &'a str,
    image: &'a str,
}

/// What the plugin answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Response {
    kind: String,
    api_version: String,
    /// `Image`, `Registry` or `Global`.
    pub cache_key_type: String,
    /// Go duration text.
    pub cache_duration: Option<String>,
    /// The passwords, by `host[:port]`.
    pub auth: Option<BTreeMap<String, AuthConfig>>,
    /// The answer as it was written.
    #[serde(skip)]
    pub json: String,
}

/// A user and a password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl CredentialProviderConfig {
    /// Reads a configuration and checks what the kubelet would end over.
    pub fn parse(yaml: &str) -> anyhow::Result<Self> {
        let config: Self = serde_saphyr::from_str(yaml)?;
        ensure!(config.kind == "CredentialProviderConfig", "kind is {}", config.kind);
        let version = config.api_version.strip_prefix("kubelet.config.k8s.io/").unwrap_or_default();
        ensure!(matches!(version, "v1" | "v1beta1" | "v1alpha1"), "apiVersion is {}", config.api_version);
        ensure!(!config.providers.is_empty(), "no provider");
        for provider in &config.providers {
            let Provider { name, match_images, api_version, .. } = provider;
            ensure!(!name.contains(['/', ' ']) && !matches!(name.as_str(), "" | "." | ".."), "name `{name}`");
            ensure!(!match_images.is_empty(), "no matchImages");
            let version = api_version.strip_prefix("credentialprovider.kubelet.k8s.io/").unwrap_or_default();
            ensure!(matches!(version, "v1" | "v1beta1" | "v1alpha1"), "apiVersion is {api_version}");
        }
        Ok(config)
    }

    /// The first provider that is asked for `image` (a name without tag), and the pattern that says so.
    pub fn provider_for(&self, image: &str) -> Option<(&Provider, &str)> {
        self.providers.iter().find_map(|provider| {
            let pattern = provider.match_images.iter().find(|pattern| matches(pattern, image))?;
            Some((provider, pattern.as_str()))
        })
    }
}

impl Provider {
    /// The request for `image` as the kubelet writes it.
    pub fn request(&self, image: &str) -> String {
        let request = Request { kind: "CredentialProviderRequest", api_version: &self.api_version, image };
        serde_json::to_string(&request).expect("a request can be encoded")
    }

    /// Runs the plugin as the kubelet does: its own environment, then the provider's `env`.
    pub fn ask(
        &self,
        bin_dir: &Path,
        image: &str,
        kubelet_environment: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        let mut child = Command::new(bin_dir.join(&self.name))
            .args(&self.args)
            .env_clear()
            .envs(kubelet_environment.iter().copied())
            .envs(self.env.iter().map(|variable| (&variable.name, &variable.value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`", bin_dir.join(&self.name).display()))?;
        child.stdin.take().context("stdin")?.write_all(self.request(image).as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("the plugin failed with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        self.decode(&output.stdout)
    }

    /// Decodes and checks an answer.
    pub fn decode(&self, json: &[u8]) -> anyhow::Result<Response> {
        let mut response: Response = serde_json::from_slice(json)?;
        String::from_utf8_lossy(json).trim().clone_into(&mut response.json);
        ensure!(response.kind == "CredentialProviderResponse", "kind is {}", response.kind);
        ensure!(response.api_version == self.api_version, "apiVersion is {}", response.api_version);
        let key_type = response.cache_key_type.as_str();
        ensure!(matches!(key_type, "Image" | "Registry" | "Global"), "cacheKeyType is {key_type}");
        Ok(response)
    }
}

/// `URLsMatchStr`: the same port or none on both sides, as many labels, each label matching its glob, and
/// the pattern's path a prefix of the image's.
pub fn matches(pattern: &str, image: &str) -> bool {
    let (pattern_host, pattern_port, pattern_path) = parts(pattern);
    let (host, port, path) = parts(image);
    let (globs, labels): (Vec<_>, Vec<_>) = (pattern_host.split('.').collect(), host.split('.').collect());
    port == pattern_port
        && globs.len() == labels.len()
        && globs.iter().zip(&labels).all(|(glob, label)| label_matches(glob, label))
        && path.starts_with(pattern_path)
}

fn parts(text: &str) -> (&str, Option<&str>, &str) {
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    (host, port, path)
}

/// `*` stands for any run of characters of one label.
fn label_matches(glob: &str, label: &str) -> bool {
    match glob.split_once('*') {
        None => glob == label,
        Some((before, rest)) => label.strip_prefix(before).is_some_and(|label| {
            (0..=label.len()).any(|at| label.is_char_boundary(at) && label_matches(rest, &label[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_like_the_kubelet() {
        let image = "571600876202.dkr.ecr.eu-central-1.amazonaws.com/softwareimprovementgroup/sigrid-api";
        let rows = [
            ("*.dkr.ecr.*.amazonaws.com", image, true),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.cn-north-1.amazonaws.com.cn/a", false),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr-fips.us-east-1.amazonaws.com/a", false),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.us-east-1.amazonaws.com:443/a", false),
            ("*.dkr-ecr*.*.on.aws", "1.dkr-ecr-fips.us-east-1.on.aws/a", true),
            ("*.dkr-ecr.*.on.aws", "1.dkr.ecr.us-east-1.on.aws/a", false),
            ("public.ecr.aws", "public.ecr.aws/docker/library/nginx", true),
            ("public.ecr.aws", "x.public.ecr.aws/a", false),
            ("a.b/team", "a.b/team-evil/x", true),
            ("a.b/*", "a.b/x", false),
        ];
        for (pattern, image, expected) in rows {
            assert_eq!(matches(pattern, image), expected, "{pattern} {image}");
        }
    }
}
