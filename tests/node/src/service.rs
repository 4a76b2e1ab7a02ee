//! A kubelet that is a service, as kubeadm's packages make it, with a small supervisor in the place of systemd: it starts
//! the kubelet with the flags of `/etc/default/kubelet`, and again a second after it has ended.
//!
//! What people call is `systemctl` and `journalctl`, so these are the names under which it is spoken to.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use stand_in::process::{Process, run, write};

use crate::node::Places;

pub(crate) const ENVIRONMENT: &str = "/etc/default/kubelet";
const UNIT: &str = "/usr/lib/systemd/system/kubelet.service";
const DROP_IN: &str = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf";
const SUPERVISOR: &str = "/usr/local/sbin/supervisor";
/// Each start of the kubelet leaves its process here.
const PROCESS: &str = "/run/kubelet.pid";

/// Files of the service, with `arguments` for the kubelet before those of the administrator.
pub(crate) fn set_up(places: &Places, arguments: &[String], journal: &Path) -> Result<()> {
    let kubelet = places.tools.join("kubelet").canonicalize().context("a kubelet")?;
    run(Command::new("ln").arg("-sfn").arg(kubelet).arg("/usr/bin/kubelet"))?;
    write(Path::new(UNIT), "[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\nRestartSec=10\n")?;
    let drop_in = format!(
        "[Service]\nEnvironmentFile=-{ENVIRONMENT}\nExecStart=\nExecStart=/usr/bin/kubelet {} $KUBELET_EXTRA_ARGS\n",
        arguments.join(" ")
    );
    write(Path::new(DROP_IN), drop_in)?;
    write(Path::new(ENVIRONMENT), "KUBELET_EXTRA_ARGS=\n")?;
    let supervisor = format!(
        "#!/bin/bash
trap 'kill $kubelet; wait $kubelet; exit 0' TERM
while :; do
    KUBELET_EXTRA_ARGS=
    . {ENVIRONMENT}
    /usr/bin/kubelet {} $KUBELET_EXTRA_ARGS &
    kubelet=$!
    echo $kubelet >{PROCESS}
    wait $kubelet
    sleep 1 & wait $!
done
",
        arguments.join(" ")
    );
    let systemctl = format!(
        "#!/bin/bash
set -e
case $* in
    daemon-reload) ;;
    'restart kubelet')
        old=$(<{PROCESS})
        kill $old 2>/dev/null || true
        while [[ $(<{PROCESS}) == $old ]]; do sleep 0.05; done ;;
    *) echo \"not for this supervisor: $*\" >&2; exit 1 ;;
esac
"
    );
    let journalctl = format!("#!/bin/bash\ncat {}\n", journal.display());
    for (path, text) in [
        (SUPERVISOR, &supervisor),
        ("/usr/local/sbin/systemctl", &systemctl),
        ("/usr/local/sbin/journalctl", &journalctl),
    ] {
        write(Path::new(path), text)?;
        run(Command::new("chmod").args(["0755", path]))?;
    }
    Ok(())
}

/// Starts it.
pub(crate) fn start(logs: &Path) -> Result<Process> {
    Process::start("kubelet", &mut Command::new(SUPERVISOR), logs)
}

/// The process of the kubelet.
pub(crate) fn process() -> String {
    stand_in::process::read(Path::new(PROCESS)).trim().to_owned()
}

/// `install` or `uninstall`, as it comes to a node: not from where it is installed.
pub(crate) fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", "/root");
    command
}

/// What it did on the node, which must have gone well.
pub(crate) fn expect_success(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// Everything that `install` may change, with what is in it.
#[expect(clippy::disallowed_methods, reason = "what was changed is compared")]
pub(crate) fn files() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let folders = [
        "/etc/default",
        "/etc/ecr-credential-provider",
        "/usr/lib/systemd/system/kubelet.service.d",
        "/usr/libexec/ecr-credential-provider",
        "/var/lib/ecr-credential-provider",
    ];
    let there = folders.iter().filter(|folder| Path::new(folder).exists());
    let found = run(Command::new("find").args(there).args(["-type", "f"]))?;
    let mut paths: Vec<PathBuf> = found.lines().map(PathBuf::from).collect();
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), std::fs::read(&path)?))).collect()
}
