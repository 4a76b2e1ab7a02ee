//! The files by which the nodes of a cluster come to use this program, as texts.
//!
//! Pure: what is written where is for `command` to say. [`Wanted`] is what the administrator wants, a module for
//! each way of running nodes makes [`File`]s of it.
//!
//! | module | for |
//! |---|---|
//! | `config`, `settings` | every node |
//! | `kubeadm`, `rancher`, `others` | nodes that are set up by … |
//! | `talos`, `cluster_api`, `cloud_init` | machines that are described as a whole |
//! | `manifests` | the API server |

mod cloud_init;
mod cluster_api;
pub mod config;
mod kubeadm;
mod manifests;
mod others;
mod rancher;
mod settings;
mod talos;
pub mod wanted;
pub mod yaml;

use wanted::{Target, Wanted, WantedError};

/// A file, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name in a folder of such files.
    pub name: &'static str,
    /// Where it goes, for people.
    pub goes_to: String,
    /// What is in it.
    pub text: String,
}

/// The files of a target.
pub fn files(target: Target, wanted: &Wanted) -> Result<Vec<File>, WantedError> {
    let files = match target {
        Target::Config => vec![wanted.config_file()],
        Target::Settings => vec![wanted.settings_file()],
        Target::Kubeadm => kubeadm::configuration(wanted)?,
        Target::DropIn => vec![kubeadm::drop_in(wanted)],
        Target::K3s => rancher::files(wanted, "k3s"),
        Target::Rke2 => rancher::files(wanted, "rke2"),
        Target::K0s => others::k0s(wanted),
        Target::Microk8s => others::microk8s(wanted),
        Target::Kubespray => others::kubespray(wanted),
        Target::Talos => talos::files(wanted)?,
        Target::ClusterApi => cluster_api::files(wanted)?,
        Target::CloudInit => cloud_init::files(wanted),
        Target::Rbac => manifests::rbac(wanted)?,
        Target::Daemonset => manifests::daemonset(wanted)?,
    };
    Ok(files)
}
