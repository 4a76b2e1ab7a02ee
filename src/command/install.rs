//! `install` and `uninstall`.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::generate::{IdentityOptions, Images};
use crate::dmi;
use crate::duration::GoDuration;
use crate::error::{Code, Error};
use crate::generate;
use crate::generate::wanted::{self, Places, Target, WantedError};
use crate::host::Host;
use crate::image::ImageReference;
use crate::install::{Install, Node, Outcome, Uninstall, Wanted, doctor};
use crate::node::distribution::{self, Kind};
use crate::node::layout::{CREDENTIALS, MICROK8S_CREDENTIALS};
use crate::node::version::Version;
use crate::node::{kubelet, root};
use crate::ownership::{self, Readers};
use crate::settings;

/// What to install, and where.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InstallCommand {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeOptions,
    #[command(flatten, next_help_heading = "Images")]
    images: Images,
    #[command(flatten, next_help_heading = "Identity")]
    identity: IdentityOptions,
    /// An image that the nodes must be able to pull: `doctor` walks its way in the end, and decides the exit status
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["dry_run", "root", "no_restart"])]
    image: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  ecr-credential-provider install --dry-run
  ecr-credential-provider install --registry 571600876202.dkr.ecr.eu-central-1.amazonaws.com
  ecr-credential-provider install --root /mnt/image   # the image of a node";

/// What to undo.
#[derive(Debug, clap::Args)]
pub(crate) struct UninstallCommand {
    /// Show what would be undone, and undo nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeOptions,
}

/// The node.
#[derive(Debug, clap::Args)]
struct NodeOptions {
    /// The root of another file system: the image of a node, in which nothing runs
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The kind of node, where more than one is installed
    #[arg(long, value_enum, value_name = "KIND")]
    distribution: Option<Kind>,
    /// Change the files and leave the restart of the kubelet to you
    #[arg(long)]
    no_restart: bool,
    /// How long the kubelet may take to be well again
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    timeout: GoDuration,
}

/// Installs.
pub(crate) fn install(host: &Host, command: &InstallCommand) -> Result<(), Error> {
    let node = command.node.node(host)?;
    if let Some(image) = &command.image {
        let parsed = image.parse::<ImageReference>();
        parsed.map_err(|error| Error::new(Code::ImageMalformed, format!("`{image}`: {error}")))?;
    }
    let root = node.root;
    let wanted = command.wanted(root, node.is_live)?;
    let outcome = Install { node, wanted, dry_run: command.dry_run }.run()?;
    let Outcome::Done(program) = outcome else { return Ok(()) };
    if !node.is_live || !node.restarts {
        return Ok(());
    }
    let is_well = doctor(&program, command.image.as_deref());
    match &command.image {
        Some(image) if !is_well => {
            let cause =
                format!("`{image}` cannot be pulled yet: see `doctor` above; what was installed stays");
            Err(Error::new(Code::Kubelet, cause))
        }
        _ => Ok(()),
    }
}

/// Uninstalls.
pub(crate) fn uninstall(host: &Host, command: &UninstallCommand) -> Result<(), Error> {
    let node = command.node.node(host)?;
    Uninstall { node, dry_run: command.dry_run }.run()
}

impl NodeOptions {
    /// Who is not root can look at an image of theirs, and at nothing else.
    fn node(&self, host: &Host) -> Result<Node<'_>, Error> {
        let is_live = self.root.is_none();
        if is_live && !geteuid().is_root() {
            return Err(Error::new(Code::NotRoot, format!("this is user {}", geteuid().as_raw())));
        }
        let root = match &self.root {
            Some(folder) if !folder.is_dir() => {
                return Err(Error::new(Code::Usage, format!("--root `{}` is no folder", folder.display())));
            }
            Some(folder) => folder,
            None => Path::new("/"),
        };
        let limit = self.timeout.as_std();
        Ok(Node {
            root,
            is_live,
            kind: self.distribution,
            restarts: !self.no_restart,
            limit,
            stopwatch: host.stopwatch(),
        })
    }
}

impl InstallCommand {
    fn wanted(&self, root: &Path, is_live: bool) -> Result<Wanted, Error> {
        let refused = |error: WantedError| {
            Error::new(Code::Usage, error).with_remedy("see `ecr-credential-provider install --help`")
        };
        let version = kubelet::version().filter(|_| is_live).unwrap_or(Version::NEWEST);
        let usual = self.usual_credentials(root);
        let mut identity = self.identity.identity(usual);
        if !self.identity.name_one() && !is_there(root, usual) && has_other_identity(root, is_live) {
            identity.credentials_file = None;
        }
        let mut missing = Vec::new();
        let files = [(&identity.credentials_file, Readers::Owner), (&identity.config_file, Readers::Anybody)];
        for (path, readers) in files {
            if let Some(path) = path.as_ref().map(PathBuf::from)
                && ownership::trusted_below(root, &path, readers)?.is_none()
            {
                missing.push(path);
            }
        }
        let (match_images, mirrors) = self.images.wanted().map_err(refused)?;
        let wanted = wanted::Wanted {
            match_images,
            mirrors,
            version,
            api: None,
            json: false,
            distribution: wanted::Distribution::default(),
            places: Places::usual(Target::Config, wanted::Distribution::default()),
            identity,
            download: None,
            image: String::new(),
            dry_run: false,
            install_options: Vec::new(),
        };
        wanted.check().map_err(refused)?;
        let settings = wanted.needs_settings().then(|| generate::files(Target::Settings, &wanted));
        let settings = settings.transpose().map_err(refused)?.and_then(|mut files| files.pop());
        let settings = settings.map(|file| (PathBuf::from(file.goes_to), file.text));
        Ok(Wanted { entry: wanted.provider(), kind: self.node.distribution, missing, settings, version })
    }

    /// A snap that is confined may not look into `/etc`.
    fn usual_credentials(&self, root: &Path) -> &'static str {
        let is_snap =
            distribution::detect(root, self.node.distribution).is_ok_and(|node| node.kind == Kind::Microk8s);
        if is_snap && !is_there(root, CREDENTIALS) { MICROK8S_CREDENTIALS } else { CREDENTIALS }
    }
}

fn is_there(root: &Path, path: &str) -> bool {
    root::within(root, Path::new(path)).exists()
}

/// A settings file, which may name one; or the role of an instance of EC2.
fn has_other_identity(root: &Path, is_live: bool) -> bool {
    is_there(root, settings::USUAL_FILE) || (is_live && dmi::is_ec2(root))
}
