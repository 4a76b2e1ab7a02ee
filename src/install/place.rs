//! Where the configuration and the program go: where the kubelet looks already, or else where it may run programs.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags};

use crate::error::{Code, Error};
use crate::node::distribution::{Distribution, Kind};
use crate::node::layout::{
    BIN_DIR, MICROK8S_BIN_DIR, MICROK8S_PROVIDER_CONFIG, OTHER_BIN_DIRS, PROVIDER_CONFIG, RANCHER_BIN_DIR,
    RANCHER_CONFIG,
};
use crate::node::root;

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The CredentialProviderConfig: a file, or a folder of such.
    pub config: PathBuf,
    /// The folder of the plugins.
    pub bin_dir: PathBuf,
}

/// The places, and what people should know about them.
pub(crate) fn choose(root: &Path, distribution: &Distribution) -> Result<(Places, Vec<String>), Error> {
    let flags = &distribution.flags;
    match (&flags.config, &flags.bin_dir) {
        (Some(config), Some(bin_dir)) => {
            let places = Places { config: config.into(), bin_dir: bin_dir.into() };
            let all = [&places.config, &places.bin_dir];
            if let Some(relative) = all.into_iter().find(|path| !path.is_absolute()) {
                let cause =
                    format!("the kubelet's flags name `{}`, which is not absolute", relative.display());
                return Err(Error::new(Code::NodeUnclear, cause));
            }
            Ok((places, Vec::new()))
        }
        (None, None) => usual(root, distribution),
        (config, _) => {
            let there = if config.is_some() { "config" } else { "bin-dir" };
            let cause = format!(
                "the kubelet has the flag --image-credential-provider-{there} without the other, and does not start with it"
            );
            let remedy =
                "remove the flag, or add the other: `ecr-credential-provider install` then uses both";
            Err(Error::new(Code::NodeUnclear, cause).with_remedy(remedy))
        }
    }
}

fn usual(root: &Path, distribution: &Distribution) -> Result<(Places, Vec<String>), Error> {
    let places = |config: &str, bin_dir: &str| Places { config: config.into(), bin_dir: bin_dir.into() };
    let fixed = match distribution.kind {
        Kind::K3s | Kind::Rke2 => places(RANCHER_CONFIG, RANCHER_BIN_DIR),
        Kind::Microk8s => places(MICROK8S_PROVIDER_CONFIG, MICROK8S_BIN_DIR),
        Kind::Kubelet | Kind::K0s => {
            let mut notes = Vec::new();
            for bin_dir in std::iter::once(BIN_DIR).chain(OTHER_BIN_DIRS) {
                match obstacle(root, Path::new(bin_dir)) {
                    None => return Ok((places(PROVIDER_CONFIG, bin_dir), notes)),
                    Some(obstacle) => notes.push(format!("not in `{bin_dir}`: {obstacle}")),
                }
            }
            let cause = format!("there is no place for the program: {}", notes.join(", "));
            return Err(Error::new(Code::NodeUnclear, cause));
        }
    };
    match obstacle(root, &fixed.bin_dir) {
        None => Ok((fixed, Vec::new())),
        Some(obstacle) => {
            let cause = format!("the program cannot be in `{}`: {obstacle}", fixed.bin_dir.display());
            Err(Error::new(Code::NodeUnclear, cause))
        }
    }
}

/// Why a program cannot be put there and run; judged by the nearest folder above that there is.
fn obstacle(root: &Path, folder: &Path) -> Option<&'static str> {
    let folder = root::resolved(root, folder);
    let there = folder.ancestors().map(|folder| root::on(root, folder)).find(|folder| folder.exists())?;
    if rustix::fs::access(&there, Access::WRITE_OK).is_err() {
        return Some("it cannot be written to");
    }
    let flags = rustix::fs::statvfs(&there).ok()?.f_flag;
    flags.contains(StatVfsMountFlags::NOEXEC).then_some("no program may run there (noexec)")
}
