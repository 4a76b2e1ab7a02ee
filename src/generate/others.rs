//! k0s, MicroK8s and kubespray, which pass flags on.

use super::File;
use super::wanted::Wanted;
use super::yaml::scalar;
use crate::node::layout::NAME;

/// A host in the file of k0sctl. The files lie beside it.
pub(super) fn k0s(wanted: &Wanted) -> Vec<File> {
    let places = &wanted.places;
    let flags = places.flags().map(|(name, value)| format!("--{name}={value}")).join(" ");
    let mut uploads = upload(NAME, &format!("{}/{NAME}", places.bin_dir), "0755");
    let config = wanted.config_file();
    uploads += &upload(config.name, &config.goes_to, "0644");
    if let Some(path) = wanted.key_file() {
        uploads += &upload("credentials", path, "0600");
    }
    let mut files = vec![config];
    if wanted.needs_settings() {
        let settings = wanted.settings_file();
        uploads += &upload(settings.name, &settings.goes_to, "0644");
        files.push(settings);
    }
    let text = format!(
        "\
# For `k0sctl apply`. Take installFlags and files into each host of yours that runs pods: workers, and controllers
# with --enable-worker. Without k0sctl: k0s install worker --force --kubelet-extra-args=\"{flags}\" …
apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
metadata:
  name: k0s-cluster
spec:
  hosts:
    - role: worker
      ssh:
        address: 192.0.2.10 # yours
        user: root
      installFlags:
        - --kubelet-extra-args=\"{flags}\"
      files:
{uploads}"
    );
    files.insert(0, File { name: "k0sctl.yaml", goes_to: "k0sctl apply --config".into(), text });
    files
}

fn upload(name: &str, path: &str, mode: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let [source, folder, file] = [name, folder, file].map(scalar);
    format!(
        "        - src: {source}\n          dstDir: {folder}\n          dst: {file}\n          perm: \"{mode}\"\n          user: root\n          group: root\n"
    )
}

/// A launch configuration, which survives that a refresh of the snap writes the arguments anew.
pub(super) fn microk8s(wanted: &Wanted) -> Vec<File> {
    let flags =
        wanted.places.flags().map(|(name, value)| format!("  --{name}: {}\n", scalar(value))).concat();
    let text = format!(
        "\
# A launch configuration of MicroK8s 1.27 and newer, for each node:
# snap set microk8s config=\"$(cat launch-configuration.yaml)\"
# Merge it with yours.
version: 0.1.0
extraKubeletArgs:
{flags}"
    );
    let launch =
        File { name: "launch-configuration.yaml", goes_to: "snap set microk8s config=…".into(), text };
    let mut files = vec![launch, wanted.config_file()];
    if wanted.needs_settings() {
        files.push(wanted.settings_file());
    }
    files
}

/// Variables of a group of hosts.
pub(super) fn kubespray(wanted: &Wanted) -> Vec<File> {
    let flags =
        wanted.places.flags().map(|(name, value)| format!("  - {}\n", scalar(&format!("--{name}={value}"))));
    let text = format!(
        "\
# Flags for the kubelet of each host of a group. Append them to yours. The files must be on the hosts before.
kubelet_custom_flags:
{}",
        flags.concat()
    );
    let name = "ecr-credential-provider.yml";
    vec![File { name, goes_to: format!("inventory/…/group_vars/k8s_cluster/{name}"), text }]
}
