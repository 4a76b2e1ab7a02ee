//! Nodes that are left as they are, and what is said.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use super::root::{Root, kubeadm_deb, with};
use crate::plugin::Plugin;

#[test]
fn a_node_that_is_not_known_or_not_sound_is_not_touched() {
    let kubelet =
        ("etc/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet $KUBELET_EXTRA_ARGS\n");
    let k3s = ("etc/systemd/system/k3s.service", "[Service]\nExecStart=/usr/local/bin/k3s server\n");
    let broken = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: acr\n  matchImages: [a.b]\n";
    let flags = "KUBELET_KUBEADM_ARGS=\"--image-credential-provider-config=/etc/c.yaml --image-credential-provider-bin-dir=/opt/p\"\n";
    let flags_file = "var/lib/kubelet/kubeadm-flags.env";
    let one = "KUBELET_KUBEADM_ARGS=--image-credential-provider-config=/etc/c.yaml\n";
    let rows = [
        (
            vec![],
            "ECRP802 it is not known how the kubelet of this node gets its flags: no service of a kubelet, k3s, RKE2, MicroK8s or k0s is installed; ",
        ),
        (
            vec![kubelet, k3s],
            "ECRP802 it is not known how the kubelet of this node gets its flags: k3s (`k3s.service`) and a kubelet (`kubelet.service`) are \
             installed; name the one that holds with `--distribution`",
        ),
        (
            with(kubeadm_deb(), &[(flags_file, one)]),
            "ECRP803 this node cannot be changed without risk to what is there: the kubelet has the flag \
             --image-credential-provider-config without the other, ",
        ),
        (
            with(kubeadm_deb(), &[(flags_file, flags), ("etc/c.yaml", "providers: {\n")]),
            "ECRP803 this node cannot be changed without risk to what is there: `/etc/c.yaml`: ",
        ),
        (
            with(kubeadm_deb(), &[(flags_file, flags), ("etc/c.yaml", "providers: []\n---\nkind: A\n")]),
            "ECRP803 this node cannot be changed without risk to what is there: `/etc/c.yaml`: it has more than one document; correct the file, \
             or add this provider to it by hand: ",
        ),
        (
            with(kubeadm_deb(), &[("etc/ecr-credential-provider", "-> /etc/ecr-credential-provider")]),
            "ECRP206 others can change or read a file that must be ours alone: `/etc/ecr-credential-provider` leads nowhere; correct the link, \
             or remove it",
        ),
        (
            with(kubeadm_deb(), &[(flags_file, flags), ("etc/c.yaml", broken)]),
            "ECRP806 the kubelet would not start with this: the kubelet does not start: ",
        ),
        (
            vec![k3s, ("var/lib/rancher/credentialprovider/config.yaml/a.yaml", broken)],
            "ECRP803 this node cannot be changed without risk to what is there: `/var/lib/rancher/credentialprovider/config.yaml` is a folder, \
             which k3s does not look into; ",
        ),
    ];
    for (files, expected) in rows {
        let root = Root::with_package(&files);
        let original = root.tree();
        for arguments in [&["install", "--dry-run"][..], &["install"]] {
            let outcome = root.run(arguments);
            assert_eq!(outcome.code, Some(1), "{outcome:#?}");
            let line = outcome.stderr.lines().last().unwrap_or_default();
            assert!(line.starts_with(expected), "{outcome:#?}");
            assert_eq!(root.tree(), original, "{expected}");
        }
    }
    let root = Root::with_package(&[kubelet, k3s]);
    root.runs(&["install", "--dry-run", "--distribution", "k3s"]);
}

/// What is asked for and could not be had: nothing is installed before that is said.
#[test]
fn wrong_options_change_nothing() {
    let root = Root::with_package(&kubeadm_deb());
    let original = root.tree();
    let rows = [
        (
            vec!["install", "--image", "host/a"],
            2,
            "ECRP001 wrong arguments: the argument '--root <DIR>' cannot be used with '--image <IMAGE>'; \
             see `ecr-credential-provider install --help`",
        ),
        (
            vec!["install", "--credentials-file", "relative"],
            1,
            "ECRP206 others can change or read a file that must be ours alone: `relative` is not an absolute path; name it from `/` on",
        ),
    ];
    for (arguments, code, line) in rows {
        root.run(&arguments).is(code, "", line);
        assert_eq!(root.tree(), original, "{line}");
    }
}

/// Whoever can write there runs what he likes as root.
#[test]
fn a_place_that_others_can_write_to_is_refused() {
    let root = Root::with_package(&kubeadm_deb());
    set_permissions(root.path("etc"), Permissions::from_mode(0o777)).expect("changed");
    let outcome = root.run(&["install"]);
    let line = outcome.stderr.lines().last().unwrap_or_default();
    assert!(
        line.starts_with("ECRP206 ") && line.contains("others can write to `/etc` (mode 0777)"),
        "{outcome:#?}"
    );
}

/// A link in an image leads to a place in the image.
#[test]
fn links_of_an_image_stay_in_it() {
    let files = with(
        kubeadm_deb(),
        &[
            ("etc/default/kubelet", "-> /var/lib/defaults/kubelet"),
            ("var/lib/defaults/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n"),
        ],
    );
    let root = Root::with_package(&files);
    let original = root.tree();
    root.runs(&["install"]);
    assert!(root.read("var/lib/defaults/kubelet").starts_with("KUBELET_EXTRA_ARGS=\"--v=2 --image"));
    assert!(root.path("etc/default/kubelet").is_symlink());
    root.runs(&["uninstall"]);
    assert_eq!(root.tree(), original);
}

#[test]
fn only_one_run_at_a_time() {
    let root = Root::with_package(&kubeadm_deb());
    root.runs(&["install"]);
    let folder = std::fs::File::open(root.path("var/lib/ecr-credential-provider/install")).expect("a folder");
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    for command in ["install", "uninstall"] {
        let outcome = root.run(&[command]);
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let line = outcome.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("ECRP804 another `install` or `uninstall` is running: "), "{outcome:#?}");
    }
}

#[test]
fn this_machine_is_changed_by_root_alone() {
    let outside = Root::public(&[]);
    let program = outside.copy_of_program();
    let mut plugin = Plugin::bare().program(&program).args(&["install", "--dry-run"]);
    if rustix::process::geteuid().is_root() {
        plugin = plugin.user(65534);
    }
    let outcome = plugin.send("");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    assert!(
        outcome.stderr.starts_with("ECRP801 only root can change this node: this is user "),
        "{outcome:#?}"
    );
}
