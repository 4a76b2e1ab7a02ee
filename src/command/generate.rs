//! `generate`: files that make kubelets use this program, for every way of running nodes.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::error::{Code, Error};
use crate::generate::wanted::{
    Distribution, Download, Identity, Mirror, Places, RolesAnywhere, ServiceAccount, Target, Wanted,
    WantedError, patterns,
};
use crate::generate::{self, File};
use crate::host;
use crate::node::version::Version;
use crate::service_account::ROLE_ANNOTATION;

/// What to generate.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateCommand {
    /// What the file is for
    #[arg(value_enum)]
    target: Target,
    #[command(flatten, next_help_heading = "Images")]
    images: Images,
    #[command(flatten, next_help_heading = "Identity")]
    identity: IdentityOptions,
    #[command(flatten, next_help_heading = "Node")]
    node: NodeOptions,
    /// Write the files into this folder instead of printing them
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  ecr-credential-provider generate config --registry 571600876202.dkr.ecr.eu-central-1.amazonaws.com
  ecr-credential-provider generate kubeadm --api v1beta3
  ecr-credential-provider generate cloud-init --distribution k3s --output-dir .
  ecr-credential-provider generate rbac --service-account";

#[derive(Debug, clap::Args)]
pub(super) struct Images {
    /// A registry of ECR; `*` stands for a whole label, a path is a prefix. Without one: all there are
    #[arg(long, value_name = "HOST[/PATH]")]
    registry: Vec<String>,
    /// ECR Public besides the registries that are named
    #[arg(long)]
    public: bool,
    /// A name of yours in front of a registry; `generate settings` says so to this program
    #[arg(long, value_name = "NAME=REGISTRY")]
    mirror: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct IdentityOptions {
    /// AWS credentials file on the node [default: beside the settings file, if no other identity is named]
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<String>,
    /// AWS configuration file on the node, with profiles
    #[arg(long, value_name = "FILE")]
    config_file: Option<String>,
    /// Profile in these files
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// No files: the role of the EC2 instance, or the kubelet's own environment
    #[arg(long, conflicts_with_all = ["credentials_file", "config_file", "profile"])]
    instance_role: bool,
    /// IAM Roles Anywhere with the kubelet's certificate: the trust anchor, with a profile and a role
    #[arg(long, value_name = "ARN", requires_all = ["profile_arn", "role_arn"])]
    trust_anchor_arn: Option<String>,
    /// The profile of --trust-anchor-arn
    #[arg(long, value_name = "ARN", requires = "trust_anchor_arn")]
    profile_arn: Option<String>,
    /// The role of --trust-anchor-arn
    #[arg(long, value_name = "ARN", requires = "trust_anchor_arn")]
    role_arn: Option<String>,
    /// Pods pull with the role that their service account names; others as the node does, if --credentials-file or
    /// the like says how
    #[arg(long)]
    service_account: bool,
    /// For whom the token of --service-account is
    #[arg(long, default_value = "sts.amazonaws.com")]
    audience: String,
    /// The annotation in which a service account names its role
    #[arg(long, default_value = ROLE_ANNOTATION)]
    role_annotation: String,
}

#[derive(Debug, clap::Args)]
struct NodeOptions {
    /// The version of the kubelets
    #[arg(long, value_name = "VERSION", default_value = "1.37", value_parser = parse_version)]
    kubelet_version: Version,
    /// The version of the API of the tool, where there are several
    #[arg(long, value_name = "VERSION")]
    api: Option<String>,
    /// What cloud-init sets up
    #[arg(long, value_enum, default_value_t)]
    distribution: Distribution,
    /// Folder of the program on the node [default: what is usual for the target]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<String>,
    /// The CredentialProviderConfig on the node [default: likewise]
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// How to write the CredentialProviderConfig
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Where a machine fetches the program from, if its image does not hold it
    #[arg(long, value_name = "URL", requires = "binary_sha256")]
    binary_url: Option<String>,
    /// What the file at --binary-url must be
    #[arg(long, value_name = "HEX", requires = "binary_url")]
    binary_sha256: Option<String>,
    /// A DaemonSet that only shows what it would do
    #[arg(long)]
    dry_run: bool,
    /// The image of the DaemonSet
    #[arg(long, default_value = concat!("registry.corp.example/ecr-credential-provider:", env!("CARGO_PKG_VERSION")))]
    image: String,
}

/// How to write a file for which there are two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

/// Prints or writes the files.
pub(crate) fn run(command: &GenerateCommand) -> Result<(), Error> {
    let wanted = command.wanted().and_then(|wanted| wanted.check().map(|()| wanted));
    let made = wanted.and_then(|wanted| Ok((generate::files(command.target, &wanted)?, wanted)));
    let (files, wanted) = made.map_err(|error| {
        Error::new(Code::Usage, error).with_remedy("see `ecr-credential-provider generate --help`")
    })?;
    match &command.output_dir {
        Some(folder) => write(folder, &files)?,
        None => host::write_stdout(printed(&files).as_bytes())?,
    }
    if wanted.needs_settings() && command.target == Target::Config {
        host::write_stderr(&format!(
            "note: this needs `{}` on the node too: `generate settings` with the same options",
            wanted.places.settings
        ));
    }
    Ok(())
}

/// One file as it is; several with a line in front of each that says what it is.
fn printed(files: &[File]) -> String {
    match files {
        [file] => file.text.clone(),
        files => {
            let parts: Vec<_> = files
                .iter()
                .map(|file| format!("# ---- {}, for {}\n{}", file.name, file.goes_to, file.text))
                .collect();
            parts.join("\n")
        }
    }
}

fn write(folder: &Path, files: &[File]) -> Result<(), Error> {
    for file in files {
        let path = folder.join(file.name);
        host::write_file(&path, file.text.as_bytes()).map_err(|error| Error::new(Code::Output, error))?;
        host::write_stderr(&format!("{}: for {}", path.display(), file.goes_to));
    }
    Ok(())
}

fn parse_version(text: &str) -> Result<Version, String> {
    text.parse::<Version>().map_err(|error| error.to_string())
}

impl GenerateCommand {
    fn wanted(&self) -> Result<Wanted, WantedError> {
        let (match_images, mirrors) = self.images.wanted()?;
        let NodeOptions { binary_url, binary_sha256, .. } = &self.node;
        let download = binary_url.as_ref().zip(binary_sha256.as_ref());
        let usual = Places::usual(self.target, self.node.distribution);
        let places = Places {
            bin_dir: self.node.bin_dir.clone().unwrap_or(usual.bin_dir),
            config: self.node.config.clone().unwrap_or(usual.config),
            ..usual
        };
        Ok(Wanted {
            match_images,
            mirrors,
            version: self.node.kubelet_version,
            api: self.node.api.clone(),
            json: self.node.format == Format::Json,
            distribution: self.node.distribution,
            identity: self.identity.identity(places.credentials),
            places,
            download: download.map(|(url, sha256)| Download { url: url.clone(), sha256: sha256.clone() }),
            image: self.node.image.clone(),
            dry_run: self.node.dry_run,
            install_options: self.images.words().chain(self.identity.words()).collect(),
        })
    }
}

impl Images {
    /// The patterns, and the names in front of registries.
    pub(super) fn wanted(&self) -> Result<(Vec<String>, Vec<Mirror>), WantedError> {
        let mirrors = self.mirror.iter().map(|text| text.parse()).collect::<Result<Vec<Mirror>, _>>()?;
        Ok((patterns(&self.registry, self.public, &mirrors)?, mirrors))
    }

    /// The same again, for `install`.
    fn words(&self) -> impl Iterator<Item = String> {
        let registries = self.registry.iter().map(|value| format!("--registry={value}"));
        let public = self.public.then(|| "--public".to_owned());
        let mirrors = self.mirror.iter().map(|value| format!("--mirror={value}"));
        registries.chain(public).chain(mirrors)
    }
}

impl IdentityOptions {
    /// The same again, for `install`.
    fn words(&self) -> impl Iterator<Item = String> {
        let annotation = self.service_account.then(|| self.role_annotation.clone());
        let audience = self.service_account.then(|| self.audience.clone());
        let values = [
            ("credentials-file", self.credentials_file.clone()),
            ("config-file", self.config_file.clone()),
            ("profile", self.profile.clone()),
            ("trust-anchor-arn", self.trust_anchor_arn.clone()),
            ("profile-arn", self.profile_arn.clone()),
            ("role-arn", self.role_arn.clone()),
            ("audience", audience),
            ("role-annotation", annotation),
        ];
        let values = values.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
        let switches = [("--instance-role", self.instance_role), ("--service-account", self.service_account)];
        let switches = switches.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name.to_owned());
        switches.chain(values)
    }

    /// Whether one is named; a profile alone is one in the usual file.
    pub(super) fn name_one(&self) -> bool {
        self.instance_role || self.identity("").credentials_file.as_deref() != Some("")
    }

    pub(super) fn identity(&self, usual_file: &str) -> Identity {
        let arns = self.trust_anchor_arn.clone().zip(self.profile_arn.clone()).zip(self.role_arn.clone());
        let mut identity = Identity {
            credentials_file: self.credentials_file.clone(),
            config_file: self.config_file.clone(),
            profile: self.profile.clone(),
            roles_anywhere: arns.map(|((trust_anchor, profile), role)| RolesAnywhere {
                trust_anchor,
                profile,
                role,
            }),
            service_account: self.service_account.then(|| ServiceAccount {
                audience: self.audience.clone(),
                annotation: self.role_annotation.clone(),
            }),
        };
        let is_named = self.instance_role
            || identity != Identity { profile: self.profile.clone(), ..Identity::default() };
        if !is_named {
            identity.credentials_file = Some(usual_file.to_owned());
        }
        identity
    }
}
