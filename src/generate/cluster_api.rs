//! Cluster API with the kubeadm bootstrap provider.

use super::File;
use super::kubeadm::extra_arguments;
use super::wanted::{Download, Wanted, WantedError};
use super::yaml::{indented, scalar};
use crate::node::layout::NAME;

/// For workers; a KubeadmControlPlane takes the same parts.
pub(super) fn files(wanted: &Wanted) -> Result<Vec<File>, WantedError> {
    let api = wanted.api(&["v1beta2", "v1beta1"])?;
    let mut files = Vec::new();
    let parts = [Some(wanted.config_file()), wanted.needs_settings().then(|| wanted.settings_file())];
    for File { goes_to, text, .. } in parts.into_iter().flatten() {
        let content = indented(&text, 12);
        files.push(format!("{}          content: |\n{content}", file(&goes_to, "0644")));
    }
    if let Some(path) = wanted.key_file() {
        files.push(file(path, "0600"));
        files.push("          contentFrom:\n            secret: # kubectl create secret generic ecr-credentials --from-file=credentials\n              name: ecr-credentials\n              key: credentials\n".to_owned());
    }
    let fetch = wanted.download.as_ref().map(|download| {
        format!("      preKubeadmCommands:\n{}", download.command(&wanted.places.bin_dir, 8))
    });
    let arguments = extra_arguments(wanted, api == "v1beta2", 10);
    let text = format!(
        "\
# For MachineDeployments. A KubeadmControlPlane takes what stands below `spec.template.spec` here in its
# `spec.kubeadmConfigSpec`, and the same nodeRegistration in initConfiguration too. A change of a template takes effect
# on new machines: rename it, and name the new one in the MachineDeployment.
apiVersion: bootstrap.cluster.x-k8s.io/{api}
kind: KubeadmConfigTemplate
metadata:
  name: {NAME}
spec:
  template:
    spec:
      files:
{}{}      joinConfiguration:
        nodeRegistration:
{arguments}",
        files.concat(),
        fetch.unwrap_or_default()
    );
    Ok(vec![File { name: "kubeadm-config-template.yaml", goes_to: "kubectl apply -f".into(), text }])
}

fn file(path: &str, mode: &str) -> String {
    format!(
        "        - path: {}\n          owner: root:root\n          permissions: \"{mode}\"\n",
        scalar(path)
    )
}

impl Download {
    /// An item of a list of commands that puts the program into `folder`, whole and as it must be, or not at all.
    pub(super) fn command(&self, folder: &str, indent: usize) -> String {
        let Self { url, sha256 } = self;
        let new = format!("{folder}/.{NAME}.new");
        let url = shlex::try_quote(url).unwrap_or_default();
        let command = format!(
            "\
- |
  mkdir -p {folder} &&
  curl --fail --silent --show-error --location --retry 5 --output {new} {url} &&
  echo '{sha256}  {new}' | sha256sum --check --quiet &&
  chmod 0755 {new} &&
  mv {new} {folder}/{NAME}
"
        );
        indented(&command, indent)
    }
}
