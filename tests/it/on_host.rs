//! `on-host`, by which the containers of the DaemonSet act on the node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use serde_json::Value;
use tempfile::TempDir;

use crate::install::root::{CONFIG, Root, kubeadm_deb};
use crate::plugin::{Outcome, Plugin, binary, repository_file};

/// Programs of a node that write down how they were called, before others in `PATH`.
fn programs(exit_status: u8) -> TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    for name in ["systemctl", "systemd-run"] {
        let calls = folder.path().join("calls");
        let script = format!(
            "#!/bin/sh\necho {name} \"$@\" >>{}\necho broken >&2\nexit {exit_status}\n",
            calls.display()
        );
        fs::write(folder.path().join(name), script).expect("written");
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o755)).expect("changed");
    }
    folder
}

fn on_host(programs: &Path, arguments: &[&str]) -> Outcome {
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let arguments: Vec<_> = ["on-host"].iter().chain(arguments).copied().collect();
    Plugin::bare().env("PATH", path).args(&arguments).send("")
}

fn read(path: &Path) -> String {
    repository_file(&path.display().to_string())
}

/// `chroot` is root's: without it these tests pass without a look.
fn cannot_run() -> bool {
    !geteuid().is_root()
}

#[test]
fn paths_are_those_of_the_node() {
    if cannot_run() {
        return;
    }
    let (node, container) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let secret = container.path().join("credentials");
    fs::write(&secret, "[default]\n").expect("written");
    let copy = format!("--copy={}=/etc/ecr/credentials", secret.display());
    let absent = format!("--copy={}=/etc/ecr/none", container.path().join("none").display());
    let root = format!("--root={}", node.path().display());
    // Twice: what is there is replaced.
    for _ in 0..2 {
        let outcome = on_host(
            container.path(),
            &[&root, &copy, &absent, "--", "generate", "config", "--output-dir", "/etc/ecr"],
        );
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{outcome:#?}");
    }
    let copied = node.path().join("etc/ecr/credentials");
    assert_eq!(read(&copied), "[default]\n");
    assert_eq!(copied.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    assert!(node.path().join("etc/ecr/credential-provider-config.yaml").is_file());
    assert!(!node.path().join("etc/ecr/none").exists());
    assert!(!node.path().join("etc/ecr/credentials.new").exists());
}

/// A script that runs the program with mounts and processes of its own, after `setup`; none where there can be none,
/// and then the test passes without a look.
fn in_namespaces(folder: &Path, setup: &str) -> Option<PathBuf> {
    const NAMESPACES: [&str; 4] = ["--mount", "--pid", "--fork", "--kill-child"];
    let tried = Command::new("unshare").args(NAMESPACES).arg("true").output();
    if cannot_run() || !tried.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let script = folder.join("run");
    let namespaces = NAMESPACES.join(" ");
    let text = format!(
        "#!/bin/sh\nexec unshare {namespaces} sh -ec '{setup}; exec {} \"$@\"' sh \"$@\"\n",
        binary().display()
    );
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("changed");
    Some(script)
}

/// The arguments of the DaemonSet's containers, with `root` in the place of `/host` and `secrets` in that of the volume.
fn arguments_of_the_daemonset(root: &Path, secrets: &Path) -> Vec<String> {
    let text = repository_file("node-config/daemonset/daemonset.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let containers = &documents[1]["spec"]["template"]["spec"]["initContainers"];
    let arguments = containers[0]["args"].as_array().expect("arguments").iter();
    let secrets = format!("--copy={}/", secrets.display());
    let mut arguments: Vec<_> = arguments
        .map(|word| word.as_str().expect("a word").replace("--copy=/credentials/", &secrets))
        .collect();
    arguments.insert(1, format!("--root={}", root.display()));
    arguments
}

/// The libraries of the program, which the shipped one, being static, does not need.
fn copy_libraries(root: &Root) {
    let listed = Command::new("ldd").arg(binary()).output().expect("ldd");
    let listed = String::from_utf8(listed.stdout).expect("text");
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        let target = root.path(&library[1..]);
        fs::create_dir_all(target.parent().expect("a folder")).expect("created");
        fs::copy(library, target).expect("copied");
    }
}

#[test]
fn the_daemonset_installs_once_and_its_end_undoes_it() {
    let (node, secrets) = (Root::with_package(&kubeadm_deb()), tempfile::tempdir().expect("a directory"));
    copy_libraries(&node);
    // A systemd that does as it is told.
    node.write("usr/bin/.keep", "");
    fs::copy("/usr/bin/true", node.path("usr/bin/systemctl")).expect("copied");
    for folder in ["proc", "dev"] {
        fs::create_dir(node.path(folder)).expect("created");
    }
    fs::write(secrets.path().join("credentials"), "[default]\n").expect("written");
    let folder = node.folder().display();
    let setup = format!("mount -t proc proc {folder}/proc; mount --bind /dev {folder}/dev");
    let Some(script) = in_namespaces(secrets.path(), &setup) else { return };
    let run = |arguments: &[String]| {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Plugin::bare().program(&script).args(&arguments).send("")
    };
    let arguments = arguments_of_the_daemonset(node.folder(), secrets.path());
    let install = || run(&arguments);
    let first = install();
    assert_eq!(first.code, Some(0), "{first:#?}");
    assert!(
        node.path(CONFIG).is_file() && node.read("etc/default/kubelet").contains("--image-credential-"),
        "{first:#?}"
    );
    assert_eq!(node.read("etc/ecr-credential-provider/credentials"), "[default]\n");
    let again = install();
    assert_eq!(again.code, Some(0), "{again:#?}");
    assert!(again.stdout.contains("\nnothing to change\n"), "{again:#?}");
    let root = format!("--root={folder}");
    let undone = run(&["on-host", &root, "--", "uninstall", "--no-restart"].map(str::to_owned));
    assert_eq!(undone.code, Some(0), "{undone:#?}");
    assert_eq!(node.read("etc/default/kubelet"), "KUBELET_EXTRA_ARGS=\n");
    assert!(!node.path(CONFIG).exists());
}

#[test]
fn the_node_undoes_it_later_unless_it_runs_again() {
    if cannot_run() {
        return;
    }
    let programs = programs(0);
    // Nothing is installed on this machine, so there is nothing to undo.
    let outcome = on_host(programs.path(), &["--root=/", "--later=600", "--", "uninstall"]);
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", ""));
    let outcome = on_host(programs.path(), &["--root=/", "--", "generate", "rbac", "--service-account"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!(read(&programs.path().join("calls")), "systemctl stop ecr-credential-provider-later.timer\n");
}

#[test]
fn the_node_undoes_it_by_a_timer() {
    let programs = programs(0);
    let installed = "/usr/libexec/ecr-credential-provider";
    let setup = format!(
        "mount -t tmpfs tmpfs /usr/libexec; mkdir {installed}; : >{installed}/ecr-credential-provider"
    );
    let Some(script) = in_namespaces(programs.path(), &setup) else { return };
    let arguments = ["on-host", "--root=/", "--later=600", "--", "uninstall", "--yes"];
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let outcome = Plugin::bare().program(&script).env("PATH", path).args(&arguments).send("");
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", ""));
    let expected = format!(
        "systemd-run --unit=ecr-credential-provider-later --on-active=600 --timer-property=RandomizedDelaySec=600 \
         --collect {installed}/ecr-credential-provider uninstall --yes\n"
    );
    assert_eq!(read(&programs.path().join("calls")), expected);
}

#[test]
fn what_fails_is_said() {
    let programs = programs(1);
    let outcome = on_host(programs.path(), &["--root=/nowhere", "--", "uninstall"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(
        outcome
            .stderr
            .starts_with("ECRP221 the node cannot be reached from the container: entering `/nowhere`"),
        "{outcome:#?}"
    );
    let outcome = on_host(programs.path(), &[]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
    let outcome = on_host(programs.path(), &["--stay", "--", "uninstall"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
}

/// `--stay` is there until it is told to end, and then ends at once, as a container must.
#[test]
fn stays_until_told_to_end() {
    let mut child = Plugin::bare().args(&["on-host", "--stay"]).command().spawn().expect("it runs");
    let id = rustix::process::Pid::from_child(&child);
    assert_eq!(child.try_wait().expect("asked"), None);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told");
    assert_eq!(child.wait().expect("it ends").code(), None);
}
