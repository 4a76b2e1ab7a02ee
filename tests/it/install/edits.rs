//! What somebody has edited after `install` is not thrown away.

use super::root::{CONFIG, PROGRAM, Root, STATE, kubeadm_deb, with};

const EXTRA: &str = "etc/default/kubelet";
const OTHER: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: acr\n  \
    apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: [\"*.azurecr.io\"]\n  defaultCacheDuration: 10m\n";
const FLAGS: &str = "KUBELET_KUBEADM_ARGS=\"--image-credential-provider-config=/etc/c.yaml --image-credential-provider-bin-dir=/opt/p\"\n";

fn with_other_provider() -> Root {
    let others =
        [("var/lib/kubelet/kubeadm-flags.env", FLAGS), ("etc/c.yaml", OTHER), ("opt/p/acr", "#!/bin/sh\n")];
    Root::with_package(&with(kubeadm_deb(), &others))
}

#[test]
fn our_part_is_taken_out_of_a_file_that_was_edited() {
    let root = Root::with_package(&kubeadm_deb());
    root.runs(&["install"]);
    let edited = root.read(EXTRA).replace("ARGS=\"", "ARGS=\"--v=4 ") + "HTTPS_PROXY=http://proxy\n";
    root.write(EXTRA, &edited);
    root.runs(&["uninstall"]);
    assert_eq!(root.read(EXTRA), "KUBELET_EXTRA_ARGS=\"--v=4\"\nHTTPS_PROXY=http://proxy\n");
    assert!(!root.path(CONFIG).exists() && !root.path(STATE).exists());

    let root = with_other_provider();
    root.runs(&["install"]);
    root.write("etc/c.yaml", &root.read("etc/c.yaml").replace("10m", "5m"));
    root.runs(&["uninstall"]);
    assert_eq!(root.read("etc/c.yaml"), OTHER.replace("10m", "5m"));
}

/// It could not be told what is whose, and the kubelet would look for a program that is gone.
#[test]
fn nothing_is_undone_where_our_part_was_edited() {
    let root = with_other_provider();
    root.runs(&["install"]);
    root.write(
        "etc/c.yaml",
        &root.read("etc/c.yaml").replace("defaultCacheDuration: 0s", "defaultCacheDuration: 1s"),
    );
    let before = root.tree();
    let outcome = root.run(&["uninstall"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    let words = "ECRP809 files were edited after `install`, and are left as they are: `/etc/c.yaml` cannot be told apart from \
        our part; nothing was undone; remove what `install` added there by hand";
    assert!(outcome.stderr.starts_with(words), "{outcome:#?}");
    assert_eq!(root.tree(), before);
    // As it says.
    root.write("etc/c.yaml", OTHER);
    root.runs(&["uninstall"]);
    assert!(!root.path("opt/p/ecr-credential-provider").exists());
}

/// Nothing looks into it once the flags are gone.
#[test]
fn a_file_of_ours_that_was_edited_is_left() {
    let root = Root::with_package(&kubeadm_deb());
    root.runs(&["install"]);
    let edited = root.read(CONFIG).replace("0s", "1s");
    root.write(CONFIG, &edited);
    let again = root.runs(&["install"]);
    assert!(again.stdout.contains("which is kept as it is"), "{again:#?}");
    let outcome = root.runs(&["uninstall"]);
    let left = "left as it is, because it was edited after `install`: /etc/ecr-credential-provider/credential-provider-config.yaml";
    assert!(outcome.stdout.contains(left), "{outcome:#?}");
    assert_eq!((root.read(CONFIG), root.read(EXTRA)), (edited, "KUBELET_EXTRA_ARGS=\n".to_owned()));
    assert!(root.path(PROGRAM).exists(), "the package's");
}

/// What was there before the first run comes back, with the edit that came between.
#[test]
fn two_runs_with_an_edit_between_them() {
    let root = with_other_provider();
    root.runs(&["install", "--instance-role"]);
    root.write("etc/c.yaml", &root.read("etc/c.yaml").replace("10m", "5m"));
    root.runs(&["install"]);
    root.runs(&["uninstall"]);
    assert_eq!(root.read("etc/c.yaml"), OTHER.replace("10m", "5m"));
}
