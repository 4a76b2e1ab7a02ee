//! `on-host`, by which the containers of the DaemonSet act on the node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;
use tempfile::TempDir;

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

/// In a mount namespace, in which the program is installed; passes where there can be none.
#[test]
fn the_node_undoes_it_by_a_timer() {
    let namespace = Command::new("unshare").args(["--mount", "true"]).output();
    if cannot_run() || !namespace.is_ok_and(|output| output.status.success()) {
        return;
    }
    let programs = programs(0);
    let script = programs.path().join("run");
    let installed = "/usr/libexec/ecr-credential-provider";
    let text = format!(
        "#!/bin/sh\nexec unshare --mount sh -ec 'mount -t tmpfs tmpfs /usr/libexec; mkdir {installed}; \
         : >{installed}/ecr-credential-provider; exec {} \"$@\"' sh \"$@\"\n",
        binary().display()
    );
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("changed");
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
