//! A CredentialProviderConfig, and one provider of it, as YAML and as JSON.

use serde::Serialize;

use super::yaml::{indented, scalar};
use crate::node::layout::NAME;
use crate::protocol::ApiVersion;
use crate::registry::Registry;

/// One provider: what the kubelet runs, and for which images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderEntry {
    /// The file name of the plugin in the kubelet's bin dir.
    pub name: String,
    /// The version of the protocol.
    #[serde(serialize_with = "version_of_protocol")]
    pub api_version: ApiVersion,
    /// For which images it is asked.
    pub match_images: Vec<String>,
    /// How long an answer is kept that does not say so.
    pub default_cache_duration: String,
    /// The plugin's arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What is added to the kubelet's own environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    /// The identity of the pod that goes with the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_attributes: Option<TokenAttributes>,
}

/// A variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// `tokenAttributes` of a provider, which kubelets take from 1.34 on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenAttributes {
    /// For whom the token is.
    pub service_account_token_audience: String,
    /// `ServiceAccount` or `Token`.
    pub cache_type: String,
    /// Whether the plugin is left out for pods without service account, such as static pods.
    pub require_service_account: bool,
    /// Annotations that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_service_account_annotation_keys: Vec<String>,
    /// Annotations that are handed over if they are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub optional_service_account_annotation_keys: Vec<String>,
}

/// A whole CredentialProviderConfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The version of the document; those of the kubelet's configuration and of the protocol came together.
    pub version: ApiVersion,
    /// Its providers, in the order in which the kubelet asks them.
    pub providers: Vec<ProviderEntry>,
}

impl ProviderEntry {
    /// This program for images that match one of these patterns, with the identity that it finds by itself.
    pub fn new(match_images: Vec<String>) -> Self {
        Self {
            name: NAME.to_owned(),
            api_version: ApiVersion::V1,
            match_images,
            default_cache_duration: "0s".to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            token_attributes: None,
        }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.env.push(Variable { name: name.to_owned(), value: value.to_owned() });
        self
    }

    /// An item of a list in YAML, each line with `indent` spaces in front.
    pub fn to_yaml(&self, indent: usize) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.extend([line.as_str(), "\n"]);
        line(format!("- name: {}", scalar(&self.name)));
        line(format!("  apiVersion: {}", self.api_version.as_str()));
        line(list("  matchImages", &self.match_images));
        line(
            "  # Required by the kubelet. Without effect: every answer says for how long it may be kept."
                .into(),
        );
        line(format!("  defaultCacheDuration: {}", scalar(&self.default_cache_duration)));
        if !self.args.is_empty() {
            line(list("  args", &self.args));
        }
        if !self.env.is_empty() {
            line("  env:".into());
        }
        if self.env.iter().any(|variable| variable.value.starts_with('/')) {
            line("    # The kubelet gives its plugins no HOME, so paths are absolute.".into());
        }
        for Variable { name, value } in &self.env {
            line(format!("    - name: {}\n      value: {}", scalar(name), scalar(value)));
        }
        if let Some(attributes) = &self.token_attributes {
            line(attributes.to_yaml());
        }
        indented(&text, indent)
    }

    /// An object in JSON, for configurations that are written so.
    pub fn to_json(&self) -> String {
        pretty(self)
    }
}

impl TokenAttributes {
    fn to_yaml(&self) -> String {
        let mut lines = vec![
            "  tokenAttributes:".to_owned(),
            format!("    serviceAccountTokenAudience: {}", scalar(&self.service_account_token_audience)),
            format!("    cacheType: {}", scalar(&self.cache_type)),
            format!("    requireServiceAccount: {}", self.require_service_account),
        ];
        let keys = [
            ("    requiredServiceAccountAnnotationKeys", &self.required_service_account_annotation_keys),
            ("    optionalServiceAccountAnnotationKeys", &self.optional_service_account_annotation_keys),
        ];
        let keys = keys.into_iter().filter(|(_, keys)| !keys.is_empty());
        lines.extend(keys.map(|(name, keys)| list(name, keys)));
        lines.join("\n")
    }
}

impl Document {
    /// In YAML, with the comments that people need who meet it on a node.
    pub fn to_yaml(&self) -> String {
        let version = self.version();
        let providers: String = self.providers.iter().map(|provider| provider.to_yaml(2)).collect();
        format!("{HEAD}apiVersion: {version}\nkind: {KIND}\nproviders:\n{providers}")
    }

    /// In JSON, which has no comments.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            api_version: String,
            kind: &'static str,
            providers: &'a [ProviderEntry],
        }
        pretty(&Wire { api_version: self.version(), kind: KIND, providers: &self.providers })
    }

    fn version(&self) -> String {
        self.version.as_str().replace("credentialprovider.kubelet.", "kubelet.config.")
    }
}

/// The patterns for every host name of ECR, or without those of ECR Public.
pub fn all_registries(public: bool) -> Vec<String> {
    let public_hosts = Registry::public_hosts().into_iter().filter(|_| public);
    Registry::private_patterns().into_iter().chain(public_hosts.map(str::to_owned)).collect()
}

const KIND: &str = "CredentialProviderConfig";

const HEAD: &str = "\
# The file for the kubelet's --image-credential-provider-config. The kubelet runs
# <--image-credential-provider-bin-dir>/<name> for every image that matches a pattern.
#
# A pattern matches label by label: `*` never spans a dot, and a port must be equal on both sides.
# https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
";

/// A key with a list, in block style.
fn list(key: &str, items: &[String]) -> String {
    if items.is_empty() {
        return format!("{key}: []");
    }
    let indent = key.len() - key.trim_start().len() + 2;
    let items: Vec<_> = items.iter().map(|item| format!("{:indent$}- {}", "", scalar(item))).collect();
    format!("{key}:\n{}", items.join("\n"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn version_of_protocol<S: serde::Serializer>(version: &ApiVersion, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(version.as_str())
}

fn pretty(value: &impl Serialize) -> String {
    // Texts, lists and truth values: JSON has a form for all of them.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::image::ImageReference;
    use crate::pattern::Pattern;

    #[test]
    fn a_pattern_matches_every_form_of_host_name() {
        let patterns: Vec<Pattern> =
            all_registries(true).iter().map(|text| text.parse().expect("a pattern")).collect();
        let hosts = [
            "571600876202.dkr.ecr.eu-central-1.amazonaws.com",
            "571600876202.dkr.ecr-fips.us-gov-east-1.amazonaws.com",
            "571600876202.dkr-ecr.eu-central-1.on.aws",
            "571600876202.dkr-ecr-fips.us-west-2.on.aws",
            "571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "571600876202.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "571600876202.dkr.ecr.us-iso-east-1.c2s.ic.gov",
            "571600876202.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
            "571600876202.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
            "571600876202.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
            "571600876202.dkr.ecr.eusc-de-east-1.amazonaws.eu",
            "public.ecr.aws",
            "ecr-public.aws.com",
        ];
        assert_eq!(patterns.len(), hosts.len(), "no pattern twice, none without a host: {patterns:#?}");
        for host in hosts {
            let image: ImageReference = format!("{host}/team/app").parse().expect("an image");
            let matching = patterns.iter().filter(|pattern| pattern.matches(&image).is_ok()).count();
            assert_eq!(matching, 1, "{host}");
        }
        assert_eq!(all_registries(false).len(), hosts.len() - 2);
    }

    #[test]
    fn an_entry_at_any_depth() {
        let entry = ProviderEntry::new(vec!["*.dkr.ecr.*.amazonaws.com".into()]).with_variable("A", "b");
        let expected = "
      - name: ecr-credential-provider
        apiVersion: credentialprovider.kubelet.k8s.io/v1
        matchImages:
          - \"*.dkr.ecr.*.amazonaws.com\"
        # Required by the kubelet. Without effect: every answer says for how long it may be kept.
        defaultCacheDuration: 0s
        env:
          - name: A
            value: b
";
        assert_eq!(format!("\n{}", entry.to_yaml(6)), expected);
    }

    #[test]
    fn the_shipped_file_is_generated() {
        let provider = ProviderEntry::new(all_registries(true))
            .with_variable("AWS_SHARED_CREDENTIALS_FILE", crate::node::layout::CREDENTIALS);
        let document = Document { version: ApiVersion::V1, providers: vec![provider] };
        assert_eq!(document.to_yaml(), include_str!("../../node-config/credential-provider-config.yaml"));
    }

    fn entries() -> impl Strategy<Value = ProviderEntry> {
        let texts = || vec(any::<String>(), 0..3);
        let versions =
            prop_oneof![Just(ApiVersion::V1), Just(ApiVersion::V1Beta1), Just(ApiVersion::V1Alpha1)];
        let env = vec(any::<(String, String)>(), 0..3);
        let attributes =
            (any::<(String, String, bool)>(), texts(), texts()).prop_map(|(scalars, required, optional)| {
                TokenAttributes {
                    service_account_token_audience: scalars.0,
                    cache_type: scalars.1,
                    require_service_account: scalars.2,
                    required_service_account_annotation_keys: required,
                    optional_service_account_annotation_keys: optional,
                }
            });
        let rest = (texts(), texts(), env, option::of(attributes));
        (any::<(String, String)>(), versions, rest).prop_map(|(scalars, api_version, rest)| ProviderEntry {
            name: scalars.0,
            api_version,
            match_images: rest.0,
            default_cache_duration: scalars.1,
            args: rest.1,
            env: rest.2.into_iter().map(|(name, value)| Variable { name, value }).collect(),
            token_attributes: rest.3,
        })
    }

    proptest! {
        #[test]
        fn yaml_and_json_say_the_same(providers in vec(entries(), 1..3)) {
            let document = Document { version: ApiVersion::V1Beta1, providers };
            let json: Value = serde_json::from_str(&document.to_json()).expect("JSON");
            let yaml = document.to_yaml();
            let read: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            prop_assert_eq!(&read, &json);
            prop_assert_eq!(&json["apiVersion"], "kubelet.config.k8s.io/v1beta1");
            let given = serde_json::to_value(&document.providers).expect("a value");
            prop_assert_eq!(&json["providers"], &given);
        }
    }
}
