//! The settings file: its keys, and the words for its mistakes.
//!
//! The types are the documentation: the JSON Schema for editors (`packaging/settings.schema.json`) is generated
//! from them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use super::anywhere::RolesAnywhereSection;
use super::checked::{AbsolutePath, checked_text};
use super::layer::is_http_proxy;
use super::pod::ServiceAccountSection;
use super::{IdentitySetting, Imds, Layer, LogTarget, ProxySetting, environment};
use crate::error::{Code, Error};
use crate::image::ImageReference;
use crate::partition::{PARTITIONS, Partition};
use crate::pattern::{Miss, Pattern};
use crate::registry::Registry;
use crate::secret::Secret;
use crate::words::{is_word, nearest, quoted};

/// Settings of ecr-credential-provider. Read at every run: a change needs no restart of the kubelet.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    /// What holds for every image, unless a rule says otherwise.
    #[serde(default)]
    pub(super) defaults: Defaults,
    /// Rules for images. The first that matches an image holds for it, and no other.
    #[serde(default)]
    pub(super) registries: Vec<Rule>,
    /// Partitions of AWS that this program does not know yet.
    #[serde(default)]
    pub(super) partitions: Vec<ExtraPartition>,
    /// The tokens that this node keeps.
    #[serde(default)]
    pub(super) cache: CacheSection,
    /// Where to write a line about each call: `journald`, or the absolute path of a file.
    pub(super) log: Option<LogSink>,
    /// A file for the textfile collector of Prometheus' node-exporter: an absolute path that ends in `.prom`.
    #[serde(rename = "metricsFile")]
    pub(super) metrics: Option<MetricsFile>,
}

/// Options stand in `defaults` and in each rule. Serde cannot both share them and refuse unknown keys.
macro_rules! with_options {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$inner])* pub(super) $field: $type,)*
            /// How long one call may take in all, retries included: `1s` to `55s`, as Go writes durations.
            deadline: Option<Deadline>,
            /// Whether to ask the EC2 instance metadata service for credentials.
            imds: Option<Imds>,
            /// The HTTP proxy for AWS, `http://[USER:PASSWORD@]HOST:PORT`, or `direct` for none.
            proxy: Option<ProxyUrl>,
            /// What goes without the proxy: host names with all below them, addresses, CIDR ranges, `*`.
            no_proxy: Option<Vec<String>>,
            /// A file of PEM certificates to trust in addition to the node's own store.
            ca_bundle: Option<AbsolutePath>,
            /// The profile of the AWS files. Once a profile or file is named, no other identity is looked for.
            profile: Option<String>,
            /// The AWS credentials file. Nobody but its owner may read it.
            credentials_file: Option<AbsolutePath>,
            /// The AWS configuration file.
            config_file: Option<AbsolutePath>,
            /// A role that IAM Roles Anywhere gives for a certificate. It stands without `profile`, `credentialsFile` and
            /// `configFile`.
            roles_anywhere: Option<RolesAnywhereSection>,
            /// Pods that pull with a role of their own, where the kubelet hands over the tokens of their service
            /// accounts (`tokenAttributes`).
            service_account: Option<ServiceAccountSection>,
            /// The URL of the API of ECR, of a VPC endpoint say.
            endpoint: Option<HttpUrl>,
            /// Whether to ask the FIPS endpoint. Without this, the host name of the image says.
            fips: Option<bool>,
            /// Whether to ask the endpoint that is reachable over IPv6 too. Without this, the host name says.
            dual_stack: Option<bool>,
        }

        impl $name {
            pub(super) fn layer(&self) -> Layer {
                let path = |path: &Option<AbsolutePath>| path.as_ref().map(|path| path.0.clone());
                Layer {
                    deadline: self.deadline.as_ref().map(|deadline| deadline.0),
                    imds: self.imds,
                    ca_bundles: self.ca_bundle.iter().map(|path| ("caBundle", path.0.clone())).collect(),
                    proxy: self.proxy.as_ref().map(|proxy| proxy.0.clone()),
                    no_proxy: self.no_proxy.as_ref().map(|list| list.join(",")),
                    identity: IdentitySetting {
                        profile: self.profile.clone(),
                        credentials_file: path(&self.credentials_file),
                        config_file: path(&self.config_file),
                        roles_anywhere: self.roles_anywhere.as_ref().map(RolesAnywhereSection::setting),
                    },
                    pod: self.service_account.as_ref().map(ServiceAccountSection::setting).unwrap_or_default(),
                    endpoint: self.endpoint.as_ref().map(|url| url.0.clone()),
                    fips: self.fips,
                    dual_stack: self.dual_stack,
                }
            }

            /// What is wrong with `rolesAnywhere`, if it is there.
            fn wrong_with_roles_anywhere(&self) -> Option<String> {
                let section = self.roles_anywhere.as_ref()?;
                let others = [
                    ("profile", self.profile.is_some()),
                    ("credentialsFile", self.credentials_file.is_some()),
                    ("configFile", self.config_file.is_some()),
                ];
                match others.iter().find(|(_, is_there)| *is_there) {
                    Some((other, _)) => Some(format!("this and `{other}` are two identities")),
                    None => section.mismatch(),
                }
            }
        }
    };
}

with_options! {
    /// What holds for every image.
    #[derive(Default)]
    Defaults {}
}

with_options! {
    /// What holds for some images.
    Rule {
        /// Patterns of images, with the meaning of `matchImages` in the CredentialProviderConfig.
        r#match: Vec<ImagePattern>,
        /// The registry of ECR that stands behind these names: a mirror, a CNAME, a pull-through cache. Its
        /// password is given to them.
        registry: Option<RegistryHost>,
    }
}

impl Rule {
    pub(super) fn is_for(&self, image: &ImageReference) -> bool {
        self.r#match.iter().any(|pattern| pattern.0.matches(image).is_ok())
    }

    /// Whether the path of an image of this registry decides if this rule is for it.
    pub(super) fn has_path_for_registry_of(&self, image: &ImageReference) -> bool {
        let is_for_registry =
            |pattern: &Pattern| matches!(pattern.matches(image), Ok(()) | Err(Miss::Path { .. }));
        self.r#match.iter().any(|pattern| pattern.0.has_path() && is_for_registry(&pattern.0))
    }
}

/// A partition of AWS.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExtraPartition {
    /// Its name as in ARNs, `aws-iso` say.
    name: String,
    /// What the names of its regions start with, `us-iso-` say.
    region_prefix: RegionPrefix,
    /// The end of `<account>.dkr.ecr.<region>.<suffix>`, and of `api.ecr.<region>.<suffix>`.
    dns_suffix: DnsSuffix,
    /// The end of `<account>.dkr-ecr.<region>.<suffix>`, if it has such names.
    dual_stack_dns_suffix: Option<DnsSuffix>,
}

impl ExtraPartition {
    pub(super) fn partition(&self) -> Partition {
        Partition {
            name: self.name.clone().into(),
            region_prefix: self.region_prefix.0.clone().into(),
            suffix: self.dns_suffix.0.clone().into(),
            dual_stack_suffix: self.dual_stack_dns_suffix.as_ref().map(|suffix| suffix.0.clone().into()),
        }
    }
}

/// The cache of tokens.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CacheSection {
    /// Whether to keep tokens for the other calls on this node.
    pub(super) enabled: Option<bool>,
    /// Where to keep them, as an absolute path.
    pub(super) directory: Option<AbsolutePath>,
}

checked_text! {
    Deadline(Duration) = |text| if is_word(&text) { environment::deadline(&text) } else { Err("this is not a duration".into()) }
}

checked_text! {
    LogSink(LogTarget) = |text| match Path::new(&text) {
        path if path.is_absolute() => Ok(LogTarget::File(path.to_owned())),
        _ if text == "journald" => Ok(LogTarget::Journald),
        _ => Err(format!("`{text}` is neither `journald` nor an absolute path")),
    }
}

checked_text! {
    MetricsFile(PathBuf) = |text| match Path::new(&text) {
        path if path.is_absolute() && path.extension().is_some_and(|end| end == "prom") => Ok(path.to_owned()),
        _ => Err(format!("`{text}` is not an absolute path that ends in `.prom`")),
    }
}

checked_text! {
    /// The words do not quote it: it may hold a password.
    ProxyUrl(ProxySetting) = |text| match text.as_str() {
        "direct" => Ok(ProxySetting::Direct),
        url if is_http_proxy(url) => Ok(ProxySetting::Url(Secret::from(text))),
        _ => Err("this is neither the URL of an HTTP proxy (`http://HOST:PORT`) nor `direct`".into()),
    }
}

checked_text! {
    HttpUrl(String) = |text| {
        let uri: Option<Uri> = text.parse().ok();
        match uri.as_ref().and_then(Uri::scheme_str) {
            Some("http" | "https") => Ok(text),
            _ => Err("this is not a URL with `https://` or `http://`".into()),
        }
    }
}

checked_text! {
    ImagePattern(Pattern) = |text| {
        if text.contains('@') {
            return Err("no image has an `@` here".into());
        }
        let pattern: Pattern =
            text.parse().map_err(|error| format!("the kubelet would not take this pattern: {error}"))?;
        match pattern.trap() {
            Some(trap) => Err(trap.to_string()),
            None => Ok(pattern),
        }
    }
}

checked_text! {
    RegistryHost(String) = |text| {
        if text.contains(['/', ':', '@']) {
            Err("this is not a host name: leave out scheme, port and path".into())
        } else {
            Ok(text)
        }
    }
}

checked_text! {
    /// What the names of the regions start with. Regions that are known must stay what they are.
    RegionPrefix(String) = |text| {
        let known = PARTITIONS.iter().map(|partition| &*partition.region_prefix).filter(|prefix| !prefix.is_empty());
        let mut known = known.chain(COMMERCIAL_AREAS);
        match text.strip_suffix('-') {
            None | Some("") => Err("this is not the start of the names of regions, such as `us-iso-`".into()),
            Some(_) if known.any(|known| known.starts_with(&text) || text.starts_with(known)) => {
                Err("regions that start like this belong to a partition that is known".into())
            }
            Some(_) => Ok(text),
        }
    }
}

checked_text! {
    DnsSuffix(String) = |text| {
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if text.contains('.') && text.split('.').all(is_label) { Ok(text) } else { Err("this is not the end of a host name in lower case, such as `amazonaws.com`".into()) }
    }
}

/// How the names of the commercial regions start, as far as there are some.
const COMMERCIAL_AREAS: [&str; 9] = ["af-", "ap-", "ca-", "eu-", "il-", "me-", "mx-", "sa-", "us-"];

/// Something that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Line and column.
    pub(crate) at: Option<(u64, u64)>,
    /// The key, where that is all that is known of the place.
    pub(crate) path: Option<String>,
    /// What.
    pub(crate) what: String,
    /// What to do, if that is more than to correct it.
    pub(crate) remedy: Option<String>,
}

impl Mistake {
    fn error(self, path: &Path) -> Error {
        let file = path.display();
        let place = match (self.at, self.path) {
            (Some((line, column)), _) => format!("`{file}`, line {line}, column {column}"),
            (None, Some(path)) => format!("`{file}`, {path}"),
            (None, None) => format!("`{file}`"),
        };
        let error = Error::new(Code::SettingsFile, format!("{place}: {}", self.what));
        match self.remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }
}

/// Parses the file; `path` is for the errors.
pub(super) fn parse(path: &Path, text: &str) -> Result<File, Error> {
    let file = read(text).map_err(|mistake| mistake.error(path))?;
    match check(&file).into_iter().next() {
        Some(mistake) => Err(mistake.error(path)),
        None => Ok(file),
    }
}

/// What the types say.
pub(super) fn read(text: &str) -> Result<File, Mistake> {
    let options = serde_saphyr::options! { no_schema: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| describe(&error))
}

/// What they do not say.
pub(super) fn check(file: &File) -> Vec<Mistake> {
    let partitions: Vec<_> = file.partitions.iter().map(ExtraPartition::partition).collect();
    let mut mistakes = Vec::new();
    let mut refuse = |path: String, what: String| {
        mistakes.push(Mistake { at: None, path: Some(path), what, remedy: None });
    };
    if let Some(reason) = file.defaults.wrong_with_roles_anywhere() {
        refuse("defaults.rolesAnywhere".into(), reason);
    }
    for (index, rule) in file.registries.iter().enumerate() {
        let mut refuse = |key: &str, what: String| refuse(format!("registries[{index}].{key}"), what);
        if let Some(reason) = rule.wrong_with_roles_anywhere() {
            refuse("rolesAnywhere", reason);
        }
        if rule.r#match.is_empty() {
            refuse("match", "there is no pattern".into());
        }
        if let Some(RegistryHost(host)) = &rule.registry
            && let Err(reason) = Registry::from_host_in(host, &partitions)
        {
            refuse("registry", reason.to_string());
        }
    }
    mistakes
}

fn describe(error: &serde_saphyr::Error) -> Mistake {
    use serde_saphyr::Error as Cause;
    let at = error.location().map(|location| (location.line(), location.column()));
    let (what, remedy) = match error {
        Cause::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key{}", quoted(field)), Some(nearest(field, expected)))
        }
        Cause::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value{}", quoted(variant)), Some(nearest(variant, expected)))
        }
        Cause::SerdeMissingField { field, .. } => (format!("the key `{field}` is missing"), None),
        Cause::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("the key{} stands here again", quoted(key)), None)
        }
        other => {
            let text = other.to_string();
            (text.split(" at line ").next().unwrap_or_default().to_owned(), None)
        }
    };
    Mistake { at, path: None, what, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SNAPSHOTS=overwrite cargo test --lib settings` writes it anew.
    #[test]
    fn the_schema_for_editors_is_that_of_the_types() {
        let schema = schemars::generate::SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<File>();
        let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        let shipped = snapbox::Data::read_from(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/settings.schema.json"),
            Some(snapbox::data::DataFormat::Text),
        );
        snapbox::assert_data_eq!(text, shipped.raw());
    }

    #[test]
    fn the_sample_that_is_shipped_is_valid() {
        let text = include_str!("../../node-config/config.yaml");
        let file = parse(Path::new("config.yaml"), text).expect("valid");
        assert_eq!(file.registries.len(), 3);
    }
}
