//! Where things are on a node: our files, and those by which each kind of node gives its kubelet flags.

/// The name of the binary, and of the provider in the CredentialProviderConfig.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Our folder for `--image-credential-provider-bin-dir`. Below `/usr/libexec` SELinux lets a confined kubelet run
/// it (`bin_t`), which below `/etc` and `/opt` it does not.
pub const BIN_DIR: &str = "/usr/libexec/ecr-credential-provider";
/// For programs where `/usr` cannot be written to. Below `/opt/…/bin` SELinux lets a kubelet run them, as below
/// `/usr/libexec`; below `/var/lib` it may not.
pub const OTHER_BIN_DIRS: [&str; 2] =
    ["/opt/ecr-credential-provider/bin", "/var/lib/ecr-credential-provider/bin"];
/// Our file for `--image-credential-provider-config`.
pub const PROVIDER_CONFIG: &str = "/etc/ecr-credential-provider/credential-provider-config.yaml";
/// The AWS credentials file that our configuration names.
pub const CREDENTIALS: &str = "/etc/ecr-credential-provider/credentials";

/// Used by k3s, and by RKE2, if the first is a file and the second a folder, without any flag.
pub const RANCHER_CONFIG: &str = "/var/lib/rancher/credentialprovider/config.yaml";
/// See [`RANCHER_CONFIG`].
pub const RANCHER_BIN_DIR: &str = "/var/lib/rancher/credentialprovider/bin";

/// The certificate of the kubelet of k3s and its key, which k3s renews itself.
pub const K3S_CERTIFICATE: [&str; 2] =
    ["/var/lib/rancher/k3s/agent/client-kubelet.crt", "/var/lib/rancher/k3s/agent/client-kubelet.key"];
/// The same of RKE2.
pub const RKE2_CERTIFICATE: [&str; 2] =
    ["/var/lib/rancher/rke2/agent/client-kubelet.crt", "/var/lib/rancher/rke2/agent/client-kubelet.key"];

/// Where kubeadm writes the flags of its `kubeletExtraArgs`.
pub const KUBEADM_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// Where an administrator adds flags: on Debian, and with RPM. Last in the command line, so they win.
pub const EXTRA_ARGUMENTS: [&str; 2] = ["/etc/default/kubelet", "/etc/sysconfig/kubelet"];
/// In the order of systemd's precedence, the weakest first.
pub const DROP_INS: [&str; 2] =
    ["/usr/lib/systemd/system/kubelet.service.d", "/etc/systemd/system/kubelet.service.d"];

/// Where MicroK8s keeps the flags of its kubelet.
pub const MICROK8S_ARGUMENTS: &str = "/var/snap/microk8s/current/args/kubelet";
/// Where strictly confined MicroK8s reads and runs things too.
pub const MICROK8S_BIN_DIR: &str = "/var/snap/microk8s/common/ecr-credential-provider/bin";
/// See [`MICROK8S_BIN_DIR`].
pub const MICROK8S_PROVIDER_CONFIG: &str =
    "/var/snap/microk8s/common/ecr-credential-provider/credential-provider-config.yaml";
/// See [`MICROK8S_BIN_DIR`].
pub const MICROK8S_CREDENTIALS: &str = "/var/snap/microk8s/common/ecr-credential-provider/credentials";

/// Where nodes of EKS, and EKS Hybrid Nodes, have their plugins and the configuration of them.
pub const EKS_DIR: &str = "/etc/eks/image-credential-provider";

/// The one folder from which the kubelet of Talos runs plugins; system extensions fill it.
pub const TALOS_BIN_DIR: &str = "/usr/local/lib/kubelet/credentialproviders";
/// Where Talos writes the configuration of its kubelet's providers.
pub const TALOS_PROVIDER_CONFIG: &str = "/etc/kubernetes/kubelet-credentialproviderconfig.yaml";
/// Below the one folder that Talos lets one write files to and its kubelet, in a container, reads too.
pub const TALOS_CREDENTIALS: &str = "/var/lib/kubelet/ecr-credential-provider/credentials";
/// See [`TALOS_CREDENTIALS`].
pub const TALOS_SETTINGS: &str = "/var/lib/kubelet/ecr-credential-provider/config.yaml";

/// Our drop-in, where no environment file takes flags. It must sort after the one that has the command line.
pub const OWN_DROP_IN: &str = "zz-ecr-credential-provider.conf";
/// The kubelet's settings on a kubeadm node, from the strongest to the weakest: those of this node, and those of all.
pub const KUBELET_SETTINGS: [&str; 2] =
    ["/var/lib/kubelet/instance-config.yaml", "/var/lib/kubelet/config.yaml"];
/// Where container runtimes listen: those that `crictl` looks for, k3s and RKE2, k0s, MicroK8s.
pub const RUNTIME_SOCKETS: [&str; 6] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];
