//! Every kind of node: what changes, that a second run changes nothing, and that `uninstall` brings everything back.

use std::path::Path;

use ecr_credential_provider::node::check::{Subject, check};
use ecr_credential_provider::node::distribution;
use ecr_credential_provider::node::flags::Flags;
use ecr_credential_provider::node::version::Version;

use super::root::{CONFIG, PROGRAM, Root, STATE, assert_same, kubeadm_deb, kubeadm_rpm, with, without};

const USUAL: [&str; 2] =
    ["/etc/ecr-credential-provider/credential-provider-config.yaml", "/usr/libexec/ecr-credential-provider"];
const RANCHER: [&str; 2] =
    ["/var/lib/rancher/credentialprovider/config.yaml", "/var/lib/rancher/credentialprovider/bin"];
const FLAGS: &str = "--image-credential-provider-config=/etc/ecr-credential-provider/credential-provider-config.yaml \
    --image-credential-provider-bin-dir=/usr/libexec/ecr-credential-provider";

/// Dry run, run, run again, uninstall. Returns the root as it was after the runs to `look`.
#[track_caller]
fn there_and_back(name: &str, root: &Root, [config, bin_dir]: [&str; 2], look: impl FnOnce(&Root)) {
    let original = root.tree();
    root.runs(&["install", "--dry-run"]);
    assert_same(&format!("{name}, after a dry run"), &root.tree(), &original);
    root.runs(&["install"]);
    let installed = root.tree();
    starts(name, root, config, bin_dir);
    look(root);
    let again = root.runs(&["install"]);
    assert!(again.stdout.contains("nothing to change"), "{name}: {again:#?}");
    assert_same(&format!("{name}, after a second run"), &root.tree(), &installed);
    root.runs(&["uninstall"]);
    assert_same(&format!("{name}, after uninstall"), &root.tree(), &original);
    let nothing = root.runs(&["uninstall"]);
    assert!(nothing.stdout.starts_with("nothing to undo"), "{name}: {nothing:#?}");
    assert_same(&format!("{name}, after a second uninstall"), &root.tree(), &original);
}

/// The kubelet of this node would start with our program, by the flags that it gets.
#[track_caller]
fn starts(name: &str, root: &Root, config: &str, bin_dir: &str) {
    let found = distribution::detect(root.folder(), None).expect("a node");
    let flags = distribution::flags_in_force(root.folder(), &found);
    let expected = Flags { config: Some(config.to_owned()), bin_dir: Some(bin_dir.to_owned()) };
    assert!(flags == expected || config == RANCHER[0], "{name}: {flags:?}");
    let checked = check(&Subject {
        root: root.folder(),
        config: Path::new(config),
        bin_dir: Some(Path::new(bin_dir)),
        version: Version::NEWEST,
        planned: &[],
    });
    assert!(checked.starts(), "{name}: {:#?}", checked.problems);
    let ours = checked.config.providers.iter().filter(|one| one.name == "ecr-credential-provider").count();
    assert_eq!(ours, 1, "{name}");
}

#[test]
fn kubeadm_gets_the_flags_where_administrators_put_theirs() {
    let deb = "etc/default/kubelet";
    let rows = [
        ("Debian", kubeadm_deb(), deb, format!("KUBELET_EXTRA_ARGS=\"{FLAGS}\"\n")),
        ("RPM", kubeadm_rpm(), "etc/sysconfig/kubelet", format!("KUBELET_EXTRA_ARGS=\"{FLAGS}\"\n")),
        ("no such file", without(kubeadm_deb(), deb), deb, format!("KUBELET_EXTRA_ARGS=\"{FLAGS}\"\n")),
        (
            "in quotes",
            with(
                kubeadm_deb(),
                &[(deb, "# mine\nKUBELET_EXTRA_ARGS=\"--node-ip=10.0.0.1 --v=2\"\nHTTPS_PROXY=http://p\n")],
            ),
            deb,
            format!(
                "# mine\nKUBELET_EXTRA_ARGS=\"--node-ip=10.0.0.1 --v=2 {FLAGS}\"\nHTTPS_PROXY=http://p\n"
            ),
        ),
        (
            "without quotes, with carriage returns",
            with(kubeadm_deb(), &[(deb, "KUBELET_EXTRA_ARGS=--node-ip=10.0.0.1\r\n")]),
            deb,
            format!("KUBELET_EXTRA_ARGS=\"--node-ip=10.0.0.1 {FLAGS}\"\r\n"),
        ),
        (
            "in quotes of two kinds",
            with(kubeadm_deb(), &[(deb, "KUBELET_EXTRA_ARGS=\"--v=2\" '--w'\n")]),
            "etc/systemd/system/kubelet.service.d/zz-ecr-credential-provider.conf",
            String::new(),
        ),
        (
            "a cluster of v1beta3",
            with(
                kubeadm_deb(),
                &[(
                    "var/lib/kubelet/kubeadm-flags.env",
                    "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock --pod-infra-container-image=registry.k8s.io/pause:3.9\"\n",
                )],
            ),
            deb,
            format!("KUBELET_EXTRA_ARGS=\"{FLAGS}\"\n"),
        ),
        (
            "a cluster of v1beta4",
            with(kubeadm_deb(), &[("var/lib/kubelet/kubeadm-flags.env", "KUBELET_KUBEADM_ARGS=\"\"\n")]),
            deb,
            format!("KUBELET_EXTRA_ARGS=\"{FLAGS}\"\n"),
        ),
    ];
    for (name, files, path, expected) in rows {
        let root = Root::with_package(&files);
        there_and_back(name, &root, USUAL, |root| {
            if !expected.is_empty() {
                assert_eq!(root.read(path), expected, "{name}");
            }
            assert!(root.path(path).exists() && root.path(CONFIG).exists(), "{name}");
        });
    }
}

/// Where nothing takes flags, or something would be erased.
#[test]
fn a_drop_in_repeats_the_command_line() {
    let drop_in = "etc/systemd/system/kubelet.service.d/zz-ecr-credential-provider.conf";
    let by_hand = "[Service]\nExecStart=/usr/local/bin/kubelet --config=/etc/kubelet.yaml $MY_ARGS\n";
    let own = "[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS=--v=2\"\n";
    let rows = [
        (
            "by hand",
            vec![("etc/systemd/system/kubelet.service", by_hand)],
            "ExecStart=/usr/local/bin/kubelet --config=/etc/kubelet.yaml $MY_ARGS $KUBELET_IMAGE",
        ),
        (
            "a variable that a file would erase",
            with(
                without(kubeadm_deb(), "etc/default/kubelet"),
                &[("etc/systemd/system/kubelet.service.d/20-mine.conf", own)],
            ),
            "$KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS $KUBELET_IMAGE",
        ),
        (
            "kubespray",
            vec![
                (
                    "etc/systemd/system/kubelet.service",
                    "[Service]\nEnvironmentFile=-/etc/kubernetes/kubelet.env\nExecStart=/usr/local/bin/kubelet \\\n\t\t$KUBE_LOGTOSTDERR \\\n\t\t$KUBELET_ARGS\n",
                ),
                (
                    "etc/kubernetes/kubelet.env",
                    "KUBELET_ARGS=\"--config=/etc/kubernetes/kubelet-config.yaml\"\n",
                ),
            ],
            "ExecStart=/usr/local/bin/kubelet $KUBE_LOGTOSTDERR $KUBELET_ARGS $KUBELET_IMAGE",
        ),
    ];
    for (name, files, expected) in rows {
        let root = Root::with_package(&files);
        there_and_back(name, &root, USUAL, |root| {
            let text = root.read(drop_in);
            assert!(text.contains(expected) && text.contains("ExecStart=\n"), "{name}: {text}");
        });
    }
    let out =
        Root::with_package(&[("etc/systemd/system/kubelet.service", by_hand)]).runs(&["install"]).stdout;
    let because = "the command line of `kubelet.service` has no $KUBELET_EXTRA_ARGS";
    assert!(out.contains(because), "{out}");
}

#[test]
fn k3s_and_rke2_need_files_alone() {
    let k3s = (
        "etc/systemd/system/k3s.service",
        "[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--tls-san' \\\n\t'a.b' \\\n\n",
    );
    let rke2 = [
        (
            "usr/local/lib/systemd/system/rke2-server.service",
            "[Service]\nExecStart=/usr/local/bin/rke2 server\n",
        ),
        (
            "usr/local/lib/systemd/system/rke2-agent.service",
            "[Service]\nExecStart=/usr/local/bin/rke2 agent\n",
        ),
        (
            "etc/systemd/system/multi-user.target.wants/rke2-agent.service",
            "-> /usr/local/lib/systemd/system/rke2-agent.service",
        ),
    ];
    let named = "kubelet-arg:\n  - image-credential-provider-config=/etc/ecr/c.yaml\nnode-label: a=b\n";
    let rows = [
        ("k3s", vec![k3s], RANCHER, "k3s.service"),
        (
            "k3s on Alpine",
            vec![("etc/init.d/k3s-agent", "#!/sbin/openrc-run\n")],
            RANCHER,
            "k3s-agent.service",
        ),
        ("RKE2", rke2.to_vec(), RANCHER, "rke2-agent.service"),
        (
            "k3s with paths of its own",
            vec![
                k3s,
                ("etc/rancher/k3s/config.yaml", named),
                ("etc/rancher/k3s/config.yaml.d/10.yaml", "image-credential-provider-bin-dir: /opt/bin\n"),
            ],
            ["/etc/ecr/c.yaml", "/opt/bin"],
            "k3s.service",
        ),
    ];
    for (name, files, places, service) in rows {
        let root = Root::with_package(&files);
        let shown = root.runs(&["install", "--dry-run"]).stdout;
        assert!(shown.contains(&format!("started by `{service}`")), "{name}: {shown}");
        let is_usual = shown.contains("where it looks without being told");
        assert_eq!(is_usual, places == RANCHER, "{name}: {shown}");
        there_and_back(name, &root, places, |root| {
            let program = root.path(&places[1][1..]).join("ecr-credential-provider");
            assert_eq!(program.read_link().expect("a link"), Path::new("/").join(PROGRAM), "{name}");
        });
    }
}

#[test]
fn microk8s_and_k0s_get_flags_of_their_own_form() {
    let snap = "/var/snap/microk8s/common/ecr-credential-provider";
    let root = Root::with_package(&[
        ("var/snap/microk8s/7000/args/kubelet", "--cluster-dns=10.152.183.10\n--v=2"),
        ("var/snap/microk8s/current", "-> 7000"),
    ]);
    let [config, bin_dir] = [format!("{snap}/credential-provider-config.yaml"), format!("{snap}/bin")];
    there_and_back("MicroK8s", &root, [&config, &bin_dir], |root| {
        let text = root.read("var/snap/microk8s/7000/args/kubelet");
        let expected = format!(
            "--cluster-dns=10.152.183.10\n--v=2\n--image-credential-provider-config={config}\n--image-credential-provider-bin-dir={bin_dir}\n"
        );
        assert_eq!(text, expected);
        assert!(root.path("var/snap/microk8s/current").is_symlink());
    });

    let k0s = "[Service]\nExecStart=/usr/local/bin/k0s worker --kubelet-extra-args=--v=2 --token-file=/etc/k0s/token\n";
    let root = Root::with_package(&[("etc/systemd/system/k0sworker.service", k0s)]);
    there_and_back("k0s", &root, USUAL, |root| {
        let text = root.read("etc/systemd/system/k0sworker.service.d/zz-ecr-credential-provider.conf");
        let expected = format!(
            "ExecStart=\nExecStart=/usr/local/bin/k0s worker --token-file=/etc/k0s/token \"--kubelet-extra-args=--v=2 {FLAGS}\"\n"
        );
        assert!(text.ends_with(&expected), "{text}");
    });
    let controller = "[Service]\nExecStart=/usr/local/bin/k0s controller\n";
    let root = Root::with_package(&[("etc/systemd/system/k0scontroller.service", controller)]);
    assert!(root.run(&["install"]).stderr.starts_with("ECRP802 "), "it runs no kubelet");
}

const OTHER: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: acr # theirs\n  \
    apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: [\"*.azurecr.io\"]\n  defaultCacheDuration: 10m\n  env:\n  \
    - name: SOME_KEY\n    value: hunter2\n";
const EXISTING: [&str; 2] = ["/etc/kubernetes/providers", "/opt/plugins"];

/// A kubelet has one configuration and one folder of plugins: those that others have named are used.
#[test]
fn an_existing_configuration_is_added_to() {
    let flow = "apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers: [{name: acr, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['*.azurecr.io'], defaultCacheDuration: 10m}]
";
    let json = "{\n  \"apiVersion\": \"kubelet.config.k8s.io/v1\",\n  \"kind\": \"CredentialProviderConfig\",\n  \"providers\": [\n    {\n      \"name\": \"acr\",\n      \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\",\n      \"matchImages\": [\"*.azurecr.io\"],\n      \"defaultCacheDuration\": \"10m\"\n    }\n  ]\n}\n";
    let flags = |config: &str| {
        format!(
            "KUBELET_KUBEADM_ARGS=\"--image-credential-provider-config={config} --image-credential-provider-bin-dir=/opt/plugins --v=2\"\n"
        )
    };
    let in_folder = format!("{}/20-acr.yaml", EXISTING[0]);
    let rows = [
        ("block", "/etc/kubernetes/providers", "/etc/kubernetes/providers", OTHER),
        ("flow", "/etc/kubernetes/providers", "/etc/kubernetes/providers", flow),
        ("JSON", "/etc/kubernetes/providers.json", "/etc/kubernetes/providers.json", json),
        ("folder", "/etc/kubernetes/providers", in_folder.as_str(), OTHER),
    ];
    for (name, config, file, text) in rows {
        let flags = flags(config);
        let others = [
            ("var/lib/kubelet/kubeadm-flags.env", flags.as_str()),
            (&file[1..], text),
            ("opt/plugins/acr", "#!/bin/sh\n"),
        ];
        let root = Root::with_package(&with(kubeadm_deb(), &others));
        let shown = root.runs(&["install", "--dry-run"]).stdout;
        assert!(!shown.contains("hunter2"), "{shown}");
        there_and_back(name, &root, [config, EXISTING[1]], |root| {
            assert_eq!(root.read("etc/default/kubelet"), "KUBELET_EXTRA_ARGS=\n", "{name}");
            if name == "folder" {
                assert_eq!(root.read(&file[1..]), text, "{name}");
                assert!(root.path("etc/kubernetes/providers/50-ecr-credential-provider.yaml").is_file());
            }
        });
    }
}

/// The Go provider's file is swapped, its entry kept, and both come back.
#[test]
fn the_go_provider_of_eks_is_replaced() {
    let unit = "[Service]\nEnvironmentFile=/etc/eks/kubelet/environment\nExecStart=/usr/bin/kubelet $NODEADM_KUBELET_ARGS\n";
    let environment = "NODEADM_KUBELET_ARGS=\"--image-credential-provider-bin-dir=/etc/eks/image-credential-provider \
        --image-credential-provider-config=/etc/eks/image-credential-provider/config.json\"\n";
    let config = "{\"apiVersion\":\"kubelet.config.k8s.io/v1\",\"kind\":\"CredentialProviderConfig\",\"providers\":[{\"name\":\"ecr-credential-provider\",\
        \"matchImages\":[\"*.dkr.ecr.*.amazonaws.com\"],\"defaultCacheDuration\":\"12h\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
        \"env\":[{\"name\":\"AWS_PROFILE\",\"value\":\"hybrid\"}]}]}\n";
    let program = "etc/eks/image-credential-provider/ecr-credential-provider";
    let root = Root::with_package(&[
        ("etc/systemd/system/kubelet.service", unit),
        ("etc/eks/kubelet/environment", environment),
        ("etc/eks/image-credential-provider/config.json", config),
        (program, "#!the Go provider\n"),
    ]);
    let folder = "/etc/eks/image-credential-provider";
    there_and_back("EKS Hybrid Nodes", &root, [&format!("{folder}/config.json"), folder], |root| {
        assert_eq!(root.read("etc/eks/image-credential-provider/config.json"), config);
        assert!(root.path(program).is_symlink());
    });
    let out = root.runs(&["install"]).stdout;
    assert!(out.contains("has a provider `ecr-credential-provider`, which is kept as it is"), "{out}");
    assert!(out.contains("it has no pattern `*.dkr.ecr-fips.*.amazonaws.com`, "), "{out}");
}

/// Copied, and to a place that can be written to and run from.
#[test]
fn a_usr_that_is_read_only_has_the_program_elsewhere() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let root = Root::public(&with(kubeadm_deb(), &[("opt/x", "")]));
    // The folder of the build may be root's alone.
    let outside = Root::public(&[]);
    let program = outside.copy_of_program();
    let read_only = root.path("usr");
    set_permissions(&read_only, Permissions::from_mode(0o555)).expect("changed");
    // Root can write everywhere.
    let user = rustix::process::geteuid().is_root().then_some(65534);
    if let Some(user) = user {
        let paths = root.tree().into_keys().map(|path| root.folder().join(path));
        for path in std::iter::once(root.folder().to_owned()).chain(paths) {
            std::os::unix::fs::lchown(path, Some(user), Some(user)).expect("changed");
        }
    }
    let original = root.tree();
    let run = |arguments: &[&str]| {
        let folder = root.folder().display().to_string();
        let arguments = [&arguments[..1], &["--root", &folder], &arguments[1..]].concat();
        let mut plugin = crate::plugin::Plugin::bare().program(&program).args(&arguments);
        if let Some(user) = user {
            plugin = plugin.user(user);
        }
        let outcome = plugin.send("");
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        outcome
    };
    let first = run(&["install"]);
    let note = "note: not in `/usr/libexec/ecr-credential-provider`: it cannot be written to";
    assert!(first.stdout.contains(note), "{first:#?}");
    starts("read-only", &root, USUAL[0], "/opt/ecr-credential-provider/bin");
    let installed = root.tree();
    assert!(run(&["install"]).stdout.contains("nothing to change"));
    assert_same("a second run", &root.tree(), &installed);
    run(&["uninstall"]);
    assert_same("uninstall", &root.tree(), &original);
    assert!(!root.path(STATE).exists());
    set_permissions(&read_only, Permissions::from_mode(0o755)).expect("changed");
}

/// Its options are those of the entry, and a run with others changes the entry.
#[test]
fn options_decide_over_our_provider() {
    let root = Root::with_package(&kubeadm_deb());
    let registry = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
    root.runs(&["install", "--registry", registry, "--credentials-file", "/etc/aws", "--profile", "sigrid"]);
    let text = root.read(CONFIG);
    let entry = format!(
        "    matchImages:\n      - {registry}\n    # Required by the kubelet. Without effect: every answer says for how long it may be kept.\n    \
         defaultCacheDuration: 0s\n    env:\n      # The kubelet gives its plugins no HOME, so paths are absolute.\n      \
         - name: AWS_PROFILE\n        value: sigrid\n      - name: AWS_SHARED_CREDENTIALS_FILE\n        value: /etc/aws\n"
    );
    assert!(text.ends_with(&entry), "{text}");
    root.runs(&["install", "--registry", registry, "--public", "--instance-role"]);
    let text = root.read(CONFIG);
    assert!(text.contains("public.ecr.aws") && !text.contains("env:"), "{text}");
    root.runs(&["install", "--service-account", "--mirror", &format!("registry.corp.example={registry}")]);
    assert!(root.read(CONFIG).contains("tokenAttributes:"));
    assert!(root.read("etc/ecr-credential-provider/config.yaml").contains("registry.corp.example"));
    root.runs(&["uninstall"]);
    assert_eq!(root.read("etc/default/kubelet"), "KUBELET_EXTRA_ARGS=\n");
    assert!(!root.path("etc/ecr-credential-provider").exists());
}
