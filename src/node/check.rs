//! Whether a kubelet would start with a configuration of providers.

use std::path::{Path, PathBuf};

use super::binary;
use super::config::{Config, Source};
use super::layout::RANCHER_CONFIG;
use super::on;
use super::problem::{Fault, Place, Problem, Severity};
use super::rules;
use super::version::Version;

/// What a kubelet is told, and which kubelet. Its files are below a root, and need not be written yet.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `/`, or the folder that is to become the `/` of a node.
    pub root: &'a Path,
    /// `--image-credential-provider-config`, as the kubelet sees it.
    pub config: &'a Path,
    /// `--image-credential-provider-bin-dir`, as the kubelet sees it. Without it the plugins are not looked at.
    pub bin_dir: Option<&'a Path>,
    /// The version of the kubelet.
    pub version: Version,
    /// Files with their content, by the paths that the kubelet sees, which count as if they were written. A file
    /// of [`Self::config`] as a folder may be among them.
    pub planned: &'a [(PathBuf, Vec<u8>)],
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What could be read. Where there are problems it may have less than is written.
    pub config: Config,
    /// All problems, in the order of their places.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// Whether the kubelet would start.
    pub fn starts(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Refused)
    }
}

/// Applies the rules of the kubelet, all of them: it would end at the first that is broken.
///
/// ```
/// use ecr_credential_provider::node::check::{Subject, check};
/// use ecr_credential_provider::node::version::Version;
///
/// let text = b"apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: []\n";
/// let checked = check(&Subject {
///     root: "/".as_ref(),
///     config: "/etc/planned.yaml".as_ref(),
///     bin_dir: None,
///     version: Version::NEWEST,
///     planned: &[("/etc/planned.yaml".into(), text.to_vec())],
/// });
/// assert!(!checked.starts());
/// assert_eq!(
///     checked.problems[0].to_string(),
///     "the kubelet does not start: there is no provider (/etc/planned.yaml)"
/// );
/// ```
pub fn check(subject: &Subject<'_>) -> Checked {
    let Subject { root, config: path, bin_dir, version, planned } = *subject;
    let mut problems = Vec::new();
    let config = Source { root, planned, version }.read(path, &mut problems);
    // Where not all could be read, there may be one after all.
    let is_read = problems.iter().all(|problem| problem.severity != Severity::Refused);
    if config.providers.is_empty() && is_read {
        problems.push(refused(Place::file(path), Fault::NoProvider));
    }
    rules::check(&config, version, &mut problems);
    if config.is_folder && path == Path::new(RANCHER_CONFIG) {
        let (place, fault) = (Place::file(path), Fault::FolderForRancher);
        problems.push(Problem { place, severity: Severity::Failing, fault });
    }
    if let Some(bin_dir) = bin_dir {
        check_plugins(root, bin_dir, &config, &mut problems);
    }
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    Checked { config, problems }
}

fn check_plugins(root: &Path, bin_dir: &Path, config: &Config, problems: &mut Vec<Problem>) {
    if on(root, bin_dir).metadata().is_err() {
        return problems.push(refused(Place::file(bin_dir), Fault::BinDirMissing));
    }
    for provider in &config.providers {
        let is_name = !provider.name.is_empty() && !provider.name.contains('/');
        if let Some(flaw) = binary::runnable(root, bin_dir, &provider.name).err().filter(|_| is_name) {
            let fault = Fault::Binary(bin_dir.join(&provider.name), flaw);
            problems.push(refused(provider.place.clone(), fault));
        }
    }
}

fn refused(place: Place, fault: Fault) -> Problem {
    Problem { place, severity: Severity::Refused, fault }
}
