//! Nodes whose kubelet comes from the packages of Kubernetes, with the drop-in of kubeadm.

use super::File;
use super::wanted::{Wanted, WantedError};
use super::yaml::scalar;

/// `kubeletExtraArgs` as the versions of kubeadm's API write them: a list since v1beta4, a map before. Cluster API
/// made the same change from v1beta1 to v1beta2.
pub(super) fn extra_arguments(wanted: &Wanted, as_list: bool, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let one = |(name, value): (&str, &str)| {
        let value = scalar(value);
        if as_list {
            format!("{pad}  - name: {name}\n{pad}    value: {value}\n")
        } else {
            format!("{pad}  {name}: {value}\n")
        }
    };
    format!("{pad}kubeletExtraArgs:\n{}", wanted.places.flags().map(one).concat())
}

/// For `kubeadm init --config` and `kubeadm join --config`; each takes its own part of the file.
pub(super) fn configuration(wanted: &Wanted) -> Result<Vec<File>, WantedError> {
    let usual =
        if wanted.version.has_kubeadm_lists() { ["v1beta4", "v1beta3"] } else { ["v1beta3", "v1beta4"] };
    let api = wanted.api(&usual)?;
    let registration = format!("nodeRegistration:\n{}", extra_arguments(wanted, api == "v1beta4", 2));
    let text = format!(
        "\
# For `kubeadm init --config` and `kubeadm join --config`. Merge it with yours; what is marked is for you to fill in.
# kubeadm writes the flags to /var/lib/kubelet/kubeadm-flags.env once: nodes that run already need another way.
apiVersion: kubeadm.k8s.io/{api}
kind: InitConfiguration
{registration}---
apiVersion: kubeadm.k8s.io/{api}
kind: JoinConfiguration
{registration}discovery:
  bootstrapToken:
    apiServerEndpoint: api.corp.example:6443 # yours
    token: abcdef.0123456789abcdef # of `kubeadm token create`
    caCertHashes: # of `kubeadm token create --print-join-command`
      - sha256:0000000000000000000000000000000000000000000000000000000000000000
"
    );
    Ok(vec![File { name: "kubeadm.yaml", goes_to: "kubeadm --config".into(), text }])
}

/// With a variable of its own: what a drop-in sets in `KUBELET_EXTRA_ARGS`, the EnvironmentFile of the packages
/// erases, which is read later and sets it to nothing.
pub(super) fn drop_in(wanted: &Wanted) -> File {
    let flags = wanted.places.flags().map(|(name, value)| format!("--{name}={value}")).join(" ");
    let text = format!(
        "\
# Two flags for the kubelet of the packages of Kubernetes, after all others. They stand in a variable of their own:
# KUBELET_EXTRA_ARGS, set here, would be erased by the empty one in /etc/default/kubelet or /etc/sysconfig/kubelet.
# ExecStart is that of 10-kubeadm.conf with this variable at its end. If `systemctl cat kubelet` shows another one, take
# that. Remove this file to undo it; each time: systemctl daemon-reload && systemctl restart kubelet
[Service]
Environment=\"ECR_CREDENTIAL_PROVIDER_FLAGS={flags}\"
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS $ECR_CREDENTIAL_PROVIDER_FLAGS
"
    );
    let name = "20-ecr-credential-provider.conf";
    File { name, goes_to: format!("/etc/systemd/system/kubelet.service.d/{name}"), text }
}
