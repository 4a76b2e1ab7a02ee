//! The file system of a node, made up in a folder.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::plugin::{Outcome, Plugin, binary};

/// A path, and what is in the file; `-> target` makes a link.
pub(crate) type Files<'a> = &'a [(&'a str, &'a str)];

pub(super) const PROGRAM: &str = "usr/libexec/ecr-credential-provider/ecr-credential-provider";
pub(crate) const CONFIG: &str = "etc/ecr-credential-provider/credential-provider-config.yaml";
pub(super) const STATE: &str = "var/lib/ecr-credential-provider";

pub(crate) struct Root {
    folder: TempDir,
}

impl Root {
    /// On the file system of the binary, so that links to it can be made.
    pub(crate) fn new(files: Files<'_>) -> Self {
        Self::within(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory"), files)
    }

    /// Where every user can come.
    pub(super) fn public(files: Files<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("changed");
        Self::within(folder, files)
    }

    fn within(folder: TempDir, files: Files<'_>) -> Self {
        let root = Self { folder };
        for folder in ["etc", "usr", "var/lib"] {
            fs::create_dir_all(root.path(folder)).expect("created");
        }
        for (path, text) in files {
            root.write(path, text);
        }
        root
    }

    /// The same with our package installed: the very program that runs, so that nothing is copied.
    pub(crate) fn with_package(files: Files<'_>) -> Self {
        let root = Self::new(files);
        fs::create_dir_all(root.path(PROGRAM).parent().expect("a folder")).expect("created");
        fs::hard_link(binary(), root.path(PROGRAM)).expect("linked");
        root
    }

    /// A copy of the binary, where every user can run it. By a process of its own: a file that this one has open for
    /// writing could not be run while another test starts something.
    pub(super) fn copy_of_program(&self) -> PathBuf {
        let program = self.path("program");
        let copied = Command::new("cp").arg(binary()).arg(&program).status().expect("cp");
        assert!(copied.success());
        program
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        if let Some(target) = text.strip_prefix("-> ") {
            symlink(target, path).expect("linked");
            return;
        }
        fs::write(&path, text).expect("written");
        // The plugins of others.
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path)).expect("text")
    }

    #[expect(clippy::disallowed_methods, reason = "tests read what was written")]
    pub(super) fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        let root = self.folder().display().to_string();
        let arguments = [&arguments[..1], &["--root", &root], &arguments[1..]].concat();
        Plugin::bare().args(&arguments).send("").masking(&root, "ROOT")
    }

    /// Runs it, and expects that it goes well.
    #[track_caller]
    pub(super) fn runs(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        outcome
    }

    /// Everything below: modes, bytes and times of files, targets of links, modes of folders.
    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        self.add(Path::new(""), &mut tree);
        tree
    }

    fn add(&self, within: &Path, tree: &mut Tree) {
        for entry in fs::read_dir(self.folder().join(within)).expect("a folder") {
            let name = within.join(entry.expect("an entry").file_name());
            let path = self.folder().join(&name);
            let status = path.symlink_metadata().expect("it is there");
            let mode = status.mode() & 0o7777;
            let owner = (status.uid(), status.gid());
            let content = if status.is_symlink() {
                format!("-> {}", path.read_link().expect("a link").display())
            } else if status.is_dir() {
                self.add(&name, tree);
                format!("folder {mode:o} {owner:?}")
            } else {
                let text = name.display().to_string();
                let bytes = if status.len() > 1 << 20 {
                    format!("inode {}", status.ino())
                } else {
                    format!("{:?}", String::from_utf8_lossy(&self.bytes(&text)))
                };
                format!("{mode:o} {owner:?} {}.{} {bytes}", status.mtime(), status.mtime_nsec())
            };
            tree.insert(name, content);
        }
    }
}

pub(super) type Tree = BTreeMap<PathBuf, String>;

/// Names the first path at which the trees differ.
#[track_caller]
pub(super) fn assert_same(what: &str, found: &Tree, expected: &Tree) {
    for path in found.keys().chain(expected.keys()) {
        assert_eq!(found.get(path), expected.get(path), "{what}: {}", path.display());
    }
}

/// The files of a node that kubeadm has made, with the packages of Debian.
pub(crate) fn kubeadm_deb() -> Vec<(&'static str, &'static str)> {
    kubeadm("etc/default/kubelet", KUBEADM_DEB)
}

/// The same with RPM.
pub(super) fn kubeadm_rpm() -> Vec<(&'static str, &'static str)> {
    kubeadm("etc/sysconfig/kubelet", KUBEADM_RPM)
}

fn kubeadm(extra: &'static str, drop_in: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("usr/lib/systemd/system/kubelet.service", UNIT),
        ("usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", drop_in),
        (
            "etc/systemd/system/multi-user.target.wants/kubelet.service",
            "-> /usr/lib/systemd/system/kubelet.service",
        ),
        ("var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n"),
        (
            "var/lib/kubelet/kubeadm-flags.env",
            "KUBELET_KUBEADM_ARGS=\"--pod-infra-container-image=registry.k8s.io/pause:3.10\"\n",
        ),
        (extra, "KUBELET_EXTRA_ARGS=\n"),
    ]
}

const UNIT: &str = "[Unit]\nDescription=kubelet: The Kubernetes Node Agent\n\n[Service]\nExecStart=/usr/bin/kubelet\n\
    Restart=always\nStartLimitInterval=0\nRestartSec=10\n\n[Install]\nWantedBy=multi-user.target\n";

/// As the packages of pkgs.k8s.io have it.
const KUBEADM_DEB: &str = "# Note: This dropin only works with kubeadm and kubelet v1.11+\n[Service]\n\
    Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf\"\n\
    Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\n\
    EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/default/kubelet\nExecStart=\n\
    ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n";
const KUBEADM_RPM: &str = "# Note: This dropin only works with kubeadm and kubelet v1.11+\n[Service]\n\
    Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf\"\n\
    Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\n\
    EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/sysconfig/kubelet\nExecStart=\n\
    ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n";

/// The same files with others in the place of some, or more.
pub(super) fn with<'a>(
    files: Vec<(&'a str, &'a str)>,
    others: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut all = files;
    all.retain(|(path, _)| !others.iter().any(|(other, _)| other == path));
    all.extend_from_slice(others);
    all
}

/// The same files without one.
pub(super) fn without<'a>(files: Vec<(&'a str, &'a str)>, path: &str) -> Vec<(&'a str, &'a str)> {
    files.into_iter().filter(|(other, _)| *other != path).collect()
}
