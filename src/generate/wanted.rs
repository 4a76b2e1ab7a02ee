//! What the administrator wants of the files: for which images, as whom, and where things are on the node.

use super::File;
use super::config::{self, Document, ProviderEntry, TokenAttributes};
use crate::node::layout::{
    BIN_DIR, CREDENTIALS, K3S_CERTIFICATE, MICROK8S_BIN_DIR, MICROK8S_CREDENTIALS, MICROK8S_PROVIDER_CONFIG,
    PROVIDER_CONFIG, RANCHER_BIN_DIR, RANCHER_CONFIG, RKE2_CERTIFICATE, TALOS_BIN_DIR, TALOS_CREDENTIALS,
    TALOS_PROVIDER_CONFIG, TALOS_SETTINGS,
};
use crate::node::version::Version;
use crate::pattern::{Pattern, PatternError, Trap};
use crate::protocol::ApiVersion;
use crate::registry::Registry;
use crate::service_account::ROLE_ANNOTATION;
use crate::settings::{CONFIG, USUAL_FILE};

/// A way of running nodes, or a file that all of them need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// CredentialProviderConfig, for the kubelet's --image-credential-provider-config
    Config,
    /// Settings file of this program: names of your own in front of ECR, IAM Roles Anywhere
    Settings,
    /// Configuration for `kubeadm init` and `kubeadm join`: new nodes (--api v1beta4 or v1beta3)
    Kubeadm,
    /// Drop-in for kubelet.service: nodes of kubeadm that run already
    DropIn,
    /// k3s: files that it takes without any flag
    K3s,
    /// RKE2: likewise
    Rke2,
    /// k0s: a host for k0sctl.yaml
    K0s,
    /// MicroK8s: a launch configuration
    Microk8s,
    /// Talos: a patch of the machine configuration (--api machine, or document from 1.14 on)
    Talos,
    /// kubespray: variables of a group
    Kubespray,
    /// Cluster API: KubeadmConfigTemplate (--api v1beta2 or v1beta1)
    ClusterApi,
    /// cloud-init: user data (--distribution kubeadm, k3s or rke2)
    CloudInit,
    /// RBAC that lets kubelets ask for the tokens of --service-account
    Rbac,
    /// DaemonSet that installs this program on all nodes, and removes it
    Daemonset,
}

/// How a node runs its kubelet, for user data that sets it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Distribution {
    /// kubelet.service of the packages, with kubeadm
    #[default]
    Kubeadm,
    /// k3s
    K3s,
    /// RKE2
    Rke2,
}

/// Everything that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Patterns of images, those of [`Self::mirrors`] too.
    pub match_images: Vec<String>,
    /// Names of one's own, and the registries behind them.
    pub mirrors: Vec<Mirror>,
    /// The version of the kubelets.
    pub version: Version,
    /// The version of the API of the tool, where there are several.
    pub api: Option<String>,
    /// Whether JSON is wanted where the kubelet reads both.
    pub json: bool,
    /// For [`Target::CloudInit`].
    pub distribution: Distribution,
    /// Where things are on the node.
    pub places: Places,
    /// Who asks AWS.
    pub identity: Identity,
    /// Where nodes get the program from, if it is not in their image.
    pub download: Option<Download>,
    /// The image of [`Target::Daemonset`].
    pub image: String,
    /// Whether it only shows what it would do.
    pub dry_run: bool,
    /// The options by which `install` is told the same.
    pub install_options: Vec<String>,
}

/// Places on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `--image-credential-provider-bin-dir`.
    pub bin_dir: String,
    /// `--image-credential-provider-config`.
    pub config: String,
    /// The settings file.
    pub settings: String,
    /// The AWS credentials file, if no other is named.
    pub credentials: &'static str,
    /// The certificate of the kubelet and its key, if they are not where every other kubelet has them.
    pub kubelet_certificate: Option<[&'static str; 2]>,
}

/// Who asks AWS; what is not set is not looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `AWS_SHARED_CREDENTIALS_FILE`.
    pub credentials_file: Option<String>,
    /// `AWS_CONFIG_FILE`.
    pub config_file: Option<String>,
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
    /// The certificate of the node is exchanged for a session.
    pub roles_anywhere: Option<RolesAnywhere>,
    /// Pods ask with a role of their own.
    pub service_account: Option<ServiceAccount>,
}

/// What IAM Roles Anywhere needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolesAnywhere {
    /// ARN of the trust anchor, the CA of the cluster.
    pub trust_anchor: String,
    /// ARN of the profile.
    pub profile: String,
    /// ARN of the role.
    pub role: String,
}

/// Pods with roles of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// For whom the token is.
    pub audience: String,
    /// The annotation of the service account that names the role.
    pub annotation: String,
}

/// A name of one's own in front of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The pattern of the images.
    pub name: String,
    /// The host name of the registry.
    pub registry: String,
}

/// A file that nodes fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// From where.
    pub url: String,
    /// What it must be.
    pub sha256: String,
}

/// What cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// A pattern that a kubelet refuses.
    #[error("`{0}`: {1}")]
    Pattern(String, PatternError),
    /// A pattern that never matches what was meant.
    #[error("`{0}`: {1}")]
    Trap(String, Trap),
    /// Not a registry of ours.
    #[error("`{0}` is no host name of ECR; a name of yours in front of one is `--mirror {0}=REGISTRY`")]
    NotEcr(String),
    /// No name and registry.
    #[error("`--mirror {0}`: write NAME=REGISTRY")]
    Mirror(String),
    /// Blanks and quotes mean something to those who pass the flags on.
    #[error("`{0}` is no absolute path of letters, digits and `.`, `_`, `-`, `+`, `@`, `/`")]
    Path(String),
    /// Such a version of the tool's API is not known.
    #[error("--api {0} is not known for this target; there are {1}")]
    Api(String, String),
    /// A node before 1.34.
    #[error("--service-account needs kubelets of 1.34 or newer, not {0}")]
    TooEarlyForTokens(Version),
    /// What there is no use for.
    #[error("rbac is for --service-account")]
    NoServiceAccount,
    /// `install` looks for them on each node.
    #[error("the paths of each node are found there: leave out --bin-dir and --config")]
    DaemonsetPaths,
    /// Not a digest.
    #[error("`{0}` is no SHA-256 in 64 hexadecimal digits")]
    Digest(String),
}

impl Places {
    /// Where things usually are.
    pub fn usual(target: Target, distribution: Distribution) -> Self {
        let is_rancher = matches!(target, Target::K3s | Target::Rke2)
            || target == Target::CloudInit && distribution != Distribution::Kubeadm;
        let (bin_dir, config, credentials, settings) = match target {
            _ if is_rancher => (RANCHER_BIN_DIR, RANCHER_CONFIG, CREDENTIALS, USUAL_FILE),
            Target::Microk8s => {
                (MICROK8S_BIN_DIR, MICROK8S_PROVIDER_CONFIG, MICROK8S_CREDENTIALS, USUAL_FILE)
            }
            Target::Talos => (TALOS_BIN_DIR, TALOS_PROVIDER_CONFIG, TALOS_CREDENTIALS, TALOS_SETTINGS),
            _ => (BIN_DIR, PROVIDER_CONFIG, CREDENTIALS, USUAL_FILE),
        };
        let kubelet_certificate = match (target, distribution) {
            (Target::K3s, _) | (Target::CloudInit, Distribution::K3s) => Some(K3S_CERTIFICATE),
            (Target::Rke2, _) | (Target::CloudInit, Distribution::Rke2) => Some(RKE2_CERTIFICATE),
            _ => None,
        };
        let [bin_dir, config, settings] = [bin_dir, config, settings].map(str::to_owned);
        Self { bin_dir, config, settings, credentials, kubelet_certificate }
    }

    /// The two flags of the kubelet, without their dashes.
    pub(super) fn flags(&self) -> [(&'static str, &str); 2] {
        [
            ("image-credential-provider-config", &self.config),
            ("image-credential-provider-bin-dir", &self.bin_dir),
        ]
    }
}

impl Wanted {
    /// This program as a provider.
    pub fn provider(&self) -> ProviderEntry {
        let mut entry = ProviderEntry::new(self.match_images.clone());
        entry.api_version = self.protocol();
        let identity = &self.identity;
        let variables = [
            ("AWS_CONFIG_FILE", &identity.config_file),
            ("AWS_PROFILE", &identity.profile),
            ("AWS_SHARED_CREDENTIALS_FILE", &identity.credentials_file),
        ];
        for (name, value) in variables {
            if let Some(value) = value {
                entry = entry.with_variable(name, value);
            }
        }
        if self.needs_settings() && self.places.settings != USUAL_FILE {
            entry = entry.with_variable(CONFIG.name, &self.places.settings);
        }
        entry.token_attributes = identity.service_account.as_ref().map(|account| self.attributes(account));
        entry
    }

    /// Pods without the annotation pull as the node does, if it has an identity.
    fn attributes(&self, account: &ServiceAccount) -> TokenAttributes {
        let keys = vec![account.annotation.clone()];
        let falls_back = self.identity.is_of_node();
        let (required, optional) = if falls_back { (Vec::new(), keys) } else { (keys, Vec::new()) };
        TokenAttributes {
            service_account_token_audience: account.audience.clone(),
            cache_type: "ServiceAccount".into(),
            require_service_account: !falls_back,
            required_service_account_annotation_keys: required,
            optional_service_account_annotation_keys: optional,
        }
    }

    fn protocol(&self) -> ApiVersion {
        if self.version.has_v1() { ApiVersion::V1 } else { ApiVersion::V1Beta1 }
    }

    /// The configuration of the kubelet.
    pub fn document(&self) -> Document {
        Document { version: self.protocol(), providers: vec![self.provider()] }
    }

    /// Whether the settings file has something to say.
    pub fn needs_settings(&self) -> bool {
        let annotation = self.identity.service_account.as_ref().map(|account| account.annotation.as_str());
        !self.mirrors.is_empty()
            || self.identity.roles_anywhere.is_some()
            || annotation.is_some_and(|annotation| annotation != ROLE_ANNOTATION)
    }

    /// Whether a key must come to the node, at [`Identity::credentials_file`].
    pub(super) fn key_file(&self) -> Option<&str> {
        self.identity.credentials_file.as_deref()
    }

    pub(super) fn config_file(&self) -> File {
        let document = self.document();
        let (name, text) = if self.json {
            ("credential-provider-config.json", document.to_json())
        } else {
            ("credential-provider-config.yaml", document.to_yaml())
        };
        File { name, goes_to: self.places.config.clone(), text }
    }

    /// The value of `--api`, or the first that there is.
    pub(super) fn api<'a>(&self, known: &[&'a str]) -> Result<&'a str, WantedError> {
        let Some(api) = &self.api else { return Ok(known[0]) };
        let found = known.iter().find(|one| *one == api).copied();
        found.ok_or_else(|| WantedError::Api(api.clone(), known.join(", ")))
    }

    /// What cannot be.
    pub fn check(&self) -> Result<(), WantedError> {
        let identity = &self.identity;
        let files = [&identity.credentials_file, &identity.config_file];
        let places = [&self.places.bin_dir, &self.places.config, &self.places.settings];
        for path in places.into_iter().chain(files.into_iter().flatten()) {
            if !is_safe_path(path) {
                return Err(WantedError::Path(path.clone()));
            }
        }
        if identity.service_account.is_some() && !self.version.has_cache_type() {
            return Err(WantedError::TooEarlyForTokens(self.version));
        }
        if let Some(Download { sha256, .. }) = &self.download
            && !(sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(WantedError::Digest(sha256.clone()));
        }
        Ok(())
    }
}

impl Identity {
    /// Whether the node can ask without the help of a pod.
    fn is_of_node(&self) -> bool {
        let Self { credentials_file, config_file, profile, roles_anywhere, service_account: _ } = self;
        [credentials_file, config_file, profile].iter().any(|value| value.is_some())
            || roles_anywhere.is_some()
    }
}

/// The patterns for these registries and mirrors; all registries there are if none is named.
pub fn patterns(registries: &[String], public: bool, mirrors: &[Mirror]) -> Result<Vec<String>, WantedError> {
    let mut patterns = Vec::new();
    for registry in registries {
        check_pattern(registry)?;
        if !names_ecr(registry) {
            return Err(WantedError::NotEcr(registry.clone()));
        }
        patterns.push(registry.clone());
    }
    if registries.is_empty() {
        patterns = config::all_registries(true);
    } else if public {
        patterns.extend(Registry::public_hosts().map(str::to_owned));
    }
    patterns.extend(mirrors.iter().map(|mirror| mirror.name.clone()));
    Ok(patterns)
}

impl std::str::FromStr for Mirror {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, WantedError> {
        let (name, registry) = text.split_once('=').ok_or_else(|| WantedError::Mirror(text.to_owned()))?;
        check_pattern(name)?;
        if Registry::from_host(registry).is_err() {
            return Err(WantedError::NotEcr(registry.to_owned()));
        }
        Ok(Self { name: name.to_owned(), registry: registry.to_owned() })
    }
}

fn check_pattern(text: &str) -> Result<(), WantedError> {
    let pattern: Pattern = text.parse().map_err(|error| WantedError::Pattern(text.to_owned(), error))?;
    pattern.trap().map_or(Ok(()), |trap| Err(WantedError::Trap(text.to_owned(), trap)))
}

/// Whether the host name in `pattern` is one of ECR, or a pattern for such.
fn names_ecr(pattern: &str) -> bool {
    let host = pattern.split(['/', ':']).next().unwrap_or_default();
    if !host.contains('*') {
        return Registry::from_host(host).is_ok();
    }
    let alike = |(known, label): (&str, &str)| known == "*" || known == label || label.contains('*');
    Registry::private_patterns().iter().any(|known| {
        known.split('.').count() == host.split('.').count()
            && known.split('.').zip(host.split('.')).all(alike)
    })
}

fn is_safe_path(path: &str) -> bool {
    path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+@/".contains(&byte))
}
