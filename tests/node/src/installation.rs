//! `install` and `uninstall` on a node whose kubelet runs as a service.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use stand_in::process::{SOON, eventually, read};

use crate::node::{Node, image};
use crate::service::{self, ENVIRONMENT, command, expect_success, files};

const CONFIG: &str = "/etc/ecr-credential-provider/credential-provider-config.yaml";
const PROGRAM: &str = "/usr/libexec/ecr-credential-provider/ecr-credential-provider";
const JOURNAL: &str = "/var/lib/ecr-credential-provider/install/journal";

/// Nothing is changed but by `install`; pods pull, and all is gone in the end.
pub(crate) fn there_and_back(node: &mut Node) -> Result<()> {
    node.start_service("")?;
    let (before, first) = (files()?, service::process());
    let shown = expect_success(&command(&node.program(), &["install", "--dry-run"]).output()?)?;
    ensure!(shown.contains("nothing was changed (--dry-run)") && files()? == before, "{shown}");

    let said =
        expect_success(&command(&node.program(), &["install", "--image", &image("sigrid-api")]).output()?)?;
    ensure!(said.contains("restarting kubelet\nthe kubelet is well\n"), "{said}");
    ensure!(said.contains("ok   aws ") && !said.contains("FAIL"), "doctor: {said}");
    ensure!(service::process() != first && Path::new(PROGRAM).is_file(), "{said}");
    let pods = [node.add_pod("sigrid-api", "Always")?, node.add_pod("auth-api", "Always")?];
    node.wait_until_running(&pods)?;
    ensure!(
        node.metric("kubelet_credential_provider_plugin_duration_count")? > 0,
        "the plugin was not asked"
    );

    let (installed, second) = (files()?, service::process());
    let said = expect_success(&command(Path::new(PROGRAM), &["install"]).output()?)?;
    ensure!(said.contains("nothing to change"), "{said}");
    ensure!(files()? == installed && service::process() == second, "a second run has done something: {said}");

    node.remove_pods()?;
    let said = expect_success(&command(Path::new(PROGRAM), &["uninstall"]).output()?)?;
    ensure!(said.contains("the kubelet is well"), "{said}");
    ensure!(files()? == before && service::process() != second, "{said}");
    Ok(())
}

/// With SIGKILL, after the files and before the restart; the kubelet ends at the same time.
pub(crate) fn killed(node: &mut Node) -> Result<()> {
    node.start_service("")?;
    let first = service::process();
    let mut install = command(&node.program(), &["install"]).stdout(Stdio::piped()).spawn()?;
    eventually("the flags to be there", SOON, || {
        ensure!(install.try_wait()?.is_none(), "it has ended");
        Ok(read(Path::new(ENVIRONMENT)).contains("--image-credential-provider-config").then_some(()))
    })?;
    install.kill()?;
    install.wait()?;
    ensure!(read(Path::new(JOURNAL)).contains("\"restart\":\"kubelet\""), "the restart was not noted");
    let said = expect_success(&command(&node.program(), &["install"]).output()?)?;
    ensure!(said.contains("nothing to change") && said.contains("the kubelet is well"), "{said}");
    ensure!(service::process() != first, "the kubelet was not restarted");
    let pod = node.add_pod("sigrid-api", "Always")?;
    node.wait_until_running(&[pod])
}

/// The kubelet's gate is closed, which its configuration alone does not tell: it refuses what was checked.
pub(crate) fn taken_back(node: &mut Node) -> Result<()> {
    node.start_service("featureGates: {KubeletServiceAccountTokenForCredentialProviders: false}\n")?;
    let before = files()?;
    let arguments = ["install", "--service-account", "--timeout", "12s"];
    let output = command(&node.program(), &arguments).output()?;
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(1), "{said}{error}");
    let last = error.lines().last().context("an error")?;
    ensure!(
        last.starts_with(
            "ECRP807 the kubelet was not well afterwards; everything was put back: after 12 s: "
        ),
        "{last}"
    );
    ensure!(last.contains("Failed to register CRI auth plugins"), "no reason: {last}");
    ensure!(files()? == before && !Path::new(CONFIG).exists(), "{said}");
    node.wait_until_well()
}

/// A second pair beside them would win, or lose, and nobody would know why.
pub(crate) fn unknown_flags(node: &mut Node) -> Result<()> {
    node.start_service("")?;
    let elsewhere = Path::new("/etc/kubernetes/providers.yaml");
    node.start_kubelet_with(&node.shipped_config(), elsewhere)?;
    let before = files()?;
    let output = command(&node.program(), &["install"]).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    let words = format!(
        "the kubelet runs with providers in `{}`, `/usr/libexec/ecr-credential-provider`, but nothing",
        elsewhere.display()
    );
    ensure!(error.starts_with("ECRP803 ") && error.contains(&words), "{error}");
    ensure!(files()? == before, "something was changed");
    Ok(())
}
