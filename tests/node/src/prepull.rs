//! The cases of `prepull`: the real containerd, asked over CRI, and pods that never pull.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stand_in::process::{run, write};
use stand_in::vendor::{REGISTRY, REPOSITORIES};

use crate::node::{Node, SANDBOX, image};

const KEY: &str = "AWS_SHARED_CREDENTIALS_FILE";
const ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

/// The nine images of the first user, on a node that has none, with one call of AWS; then pods that never pull.
pub(crate) fn fills_an_empty_node(node: &mut Node) -> Result<()> {
    remove_images(node)?;
    let calls_before = node.aws.seen().len();
    let images = REPOSITORIES.map(image);
    let said = prepull(&images.each_ref().map(String::as_str))?;
    expect(&said, 0, "9 images for containerd 1.6.", "9 pulled in ")?;
    ensure!(said.stderr.is_empty(), "{said:?}");
    ensure!(node.aws.seen().len() - calls_before == 1, "calls of AWS: {:?}", node.aws.seen());

    node.start_kubelet(&node.shipped_config())?;
    let pods: Result<Vec<_>> =
        REPOSITORIES.iter().map(|repository| node.add_pod(repository, "Never")).collect();
    node.wait_until_running(&pods?)?;
    ensure!(
        node.metric("kubelet_credential_provider_plugin_duration_count")? == 0,
        "the kubelet asked for a password"
    );

    let said = prepull(&images.each_ref().map(String::as_str))?;
    expect(&said, 0, "present  ", "0 pulled, 9 already present in ")?;

    // The key is named in the kubelet's configuration alone.
    clear_cache()?;
    let said = ours().env_remove(KEY).args(["prepull", "--always", &images[0]]).output()?;
    expect(&said, 0, "pulled   ", "1 pulled in ")?;
    node.stop_kubelet()
}

/// Of five, one has no such tag, one the registry does not let in, and one registry is not there.
pub(crate) fn names_what_fails(node: &mut Node) -> Result<()> {
    remove_images(node)?;
    let good = image("sigrid-api");
    let missing = good.replace("1.0.20250603", "9.9.9");
    let said = prepull(&["--retries", "0", &missing, &good, "127.0.0.9:1/a:1", &image("auth-api")])?;
    expect(&said, 1, &format!("failed   {missing}  "), "2 pulled, 2 failed in ")?;
    let shown = String::from_utf8_lossy(&said.stdout).into_owned();
    for (image, code) in [(missing.as_str(), "ECRP854"), ("127.0.0.9:1/a:1", "ECRP857")] {
        let line = shown.lines().find(|line| line.starts_with(&format!("failed   {image}  ")));
        ensure!(line.is_some_and(|line| line.contains(code)), "no {code} of {image}: {shown}");
    }
    let last = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(last.starts_with("ECRP863 not all images are pulled: 2 of 4: "), "{last}");
    let present = images(node, ENDPOINT)?;
    ensure!(
        present.iter().any(|image| image["repoTags"][0] == *good),
        "what could be pulled is not there: {present:?}"
    );

    // What containerd says of a password that the registry does not take, and of none.
    node.aws.behave(|aws| aws.password = Some("canary-wrong".to_owned()));
    clear_cache()?;
    let said = prepull(&["--always", &good])?;
    node.change_password()?;
    clear_cache()?;
    let last = String::from_utf8_lossy(&said.stderr).into_owned();
    let start = format!(
        "ECRP855 the registry refuses the image: `{good}`: pulled with a password of profile `default`, key "
    );
    ensure!(last.starts_with(&start) && last.contains("401 Unauthorized"), "{last}");
    Ok(())
}

/// It is killed in the middle of an image whose registry does not answer. The next run pulls what is missing.
pub(crate) fn goes_on_after_it_was_killed(node: &mut Node) -> Result<()> {
    remove_images(node)?;
    let silent = TcpListener::bind("127.0.0.9:0")?;
    let hanging = format!("{}/a:1", silent.local_addr()?);
    let images = ["sigrid-api", "auth-api", "sigrid-frontend"].map(image);
    let [first, second, third] = images.each_ref().map(String::as_str);
    let mut command = ours();
    command.args(["prepull", "--jobs", "1", first, second, &hanging, third]).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    for start in ["4 images for ", &format!("pulled   {first}  "), &format!("pulled   {second}  ")] {
        let line = lines.next().context("a line")??;
        ensure!(line.starts_with(start), "{line}");
    }
    // containerd has connected: the third image is on its way.
    drop(silent.accept()?);
    child.kill()?;
    child.wait()?;
    let said = prepull(&[first, second, third])?;
    expect(&said, 0, &format!("pulled   {third}  "), "1 pulled, 2 already present in ")
}

/// Its registry is ECR, so that no pod gets a sandbox on a node without it.
pub(crate) fn brings_the_pause_image(node: &mut Node) -> Result<()> {
    run(crictl(node, ENDPOINT).args(["rmi", SANDBOX]))?;
    let outcome = without_pause_image(node);
    node.stop_kubelet()?;
    let said = prepull(&["--sandbox"])?;
    expect(&said, 0, &format!("pulled   {SANDBOX}  "), "1 pulled in ")?;
    outcome?;
    node.start_kubelet(&node.shipped_config())?;
    let pod = node.add_pod("sigrid-api", "IfNotPresent")?;
    node.wait_until_running(&[pod])
}

fn without_pause_image(node: &mut Node) -> Result<()> {
    node.start_kubelet(&node.shipped_config())?;
    node.add_pod("sigrid-api", "IfNotPresent")?;
    let line = node.journal_line("failed to get sandbox image")?;
    ensure!(line.contains(SANDBOX), "{line}");
    node.remove_pods()
}

/// This containerd is too old for pinned images: the label is there, CRI does not show it, and we say so.
pub(crate) fn pins_by_label(_: &mut Node) -> Result<()> {
    let image = image("sigrid-api");
    let said = prepull(&["--pin", &image])?;
    let last = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(
        said.status.code() == Some(1) && last.starts_with("ECRP860 the image is not pinned: "),
        "{said:?}"
    );
    let labels = run(ctr().args(["images", "list", &format!("name=={image}")]))?;
    ensure!(labels.contains("io.cri-containerd.pinned=pinned"), "{labels}");
    Ok(())
}

/// containerd 2 knows pinned images, and `crictl` is the witness. Its CRI does not say which pause image it has.
pub(crate) fn pins_for_containerd_2(node: &mut Node) -> Result<()> {
    let containerd = node.start_containerd_2()?;
    let endpoint = format!("unix://{}", containerd.socket.display());
    let (pinned, other) = (image("sigrid-api"), image("auth-api"));
    let said = prepull(&["--runtime-endpoint", &endpoint, &other])?;
    expect(&said, 0, "1 image for containerd 2.", "1 pulled in ")?;
    let said = prepull(&["--runtime-endpoint", &endpoint, "--pin", &pinned])?;
    expect(&said, 0, &format!("pulled   {pinned}  "), "1 pulled in ")?;
    ensure!(String::from_utf8_lossy(&said.stdout).contains("  pinned\n"), "{said:?}");

    let listed = images(node, &endpoint)?;
    for (image, expected) in [(&pinned, true), (&other, false)] {
        let found = listed.iter().find(|found| found["repoTags"][0] == **image).context("an image")?;
        ensure!(found["pinned"].as_bool().unwrap_or_default() == expected, "{found}");
    }

    let said = prepull(&["--runtime-endpoint", &endpoint, "--sandbox"])?;
    ensure!(
        said.status.code() == Some(1) && String::from_utf8_lossy(&said.stderr).starts_with("ECRP861 "),
        "{said:?}"
    );
    let path = format!("{}:{}", containerd.folder.display(), "/usr/bin:/bin");
    let said =
        ours().args(["prepull", "--runtime-endpoint", &endpoint, "--sandbox"]).env("PATH", path).output()?;
    expect(&said, 0, &format!("pulled   {SANDBOX}  "), "1 pulled in ")
}

/// The real kubeadm, with the `imageRepository` of its configuration.
pub(crate) fn pulls_the_images_of_kubeadm(node: &mut Node) -> Result<()> {
    let config = Path::new("/etc/kubeadm.yaml");
    let repository = format!("{REGISTRY}/softwareimprovementgroup");
    write(
        config,
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.0\nimageRepository: {repository}\n"
        ),
    )?;
    let path = format!("{}:/usr/bin:/bin", node.tool("").display());
    let arguments = ["prepull", "--retries", "0", "--kubeadm", "--kubeadm-config", "/etc/kubeadm.yaml"];
    let said = ours().args(arguments).env("PATH", &path).output()?;
    let shown = String::from_utf8_lossy(&said.stdout).into_owned();
    // None of them is in this registry, which was asked for each with a password.
    for name in ["kube-apiserver:v1.37.0", "kube-proxy:v1.37.0", "coredns:v", "pause:", "etcd:"] {
        let start = format!("failed   {repository}/{name}");
        let line = shown.lines().find(|line| line.starts_with(&start));
        ensure!(line.is_some_and(|line| line.contains("ECRP854")), "no line of {name}: {said:?}");
    }
    ensure!(shown.contains(&format!("present  {SANDBOX}  ")), "{shown}");
    let said = ours()
        .args(["prepull", "--retries", "0", "--total-timeout", "1s", "--kubeadm"])
        .env("PATH", &path)
        .output()?;
    let shown = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(shown.contains("registry.k8s.io/kube-apiserver:v1.37."), "the version of kubeadm: {said:?}");
    Ok(())
}

/// Our program, as a bootstrap script runs it.
fn ours() -> Command {
    let mut command = Command::new("/usr/libexec/ecr-credential-provider/ecr-credential-provider");
    command.env(KEY, "/etc/ecr-credential-provider/credentials");
    command
}

fn prepull(arguments: &[&str]) -> Result<Output> {
    ours().arg("prepull").args(arguments).output().context("running prepull")
}

/// It ended with this status; there is a line that begins with `start`, and the last one begins with `sum`.
fn expect(said: &Output, code: i32, start: &str, sum: &str) -> Result<()> {
    let shown = String::from_utf8_lossy(&said.stdout);
    ensure!(said.status.code() == Some(code), "{said:?}");
    ensure!(shown.lines().any(|line| line.starts_with(start)), "no {start:?}: {shown}");
    ensure!(shown.lines().last().is_some_and(|line| line.starts_with(sum)), "no {sum:?}: {shown}");
    ensure!(!shown.contains("canary"), "a password is shown: {shown}");
    Ok(())
}

fn ctr() -> Command {
    let mut command = Command::new("ctr");
    command.args(["--namespace", "k8s.io"]);
    command
}

fn crictl(node: &Node, endpoint: &str) -> Command {
    let mut command = Command::new(node.tool("crictl"));
    command.args(["--runtime-endpoint", endpoint]);
    command
}

/// The images that a runtime has, as its CRI shows them.
fn images(node: &Node, endpoint: &str) -> Result<Vec<Value>> {
    let listed: Value =
        serde_json::from_str(&run(crictl(node, endpoint).args(["images", "--output", "json"]))?)?;
    listed["images"].as_array().cloned().context("images")
}

/// All but that of the sandbox.
fn remove_images(node: &Node) -> Result<()> {
    let ids = images(node, ENDPOINT)?.into_iter().filter(|image| image["repoTags"][0] != SANDBOX);
    let ids: Vec<_> = ids.filter_map(|image| image["id"].as_str().map(str::to_owned)).collect();
    if !ids.is_empty() {
        run(crictl(node, ENDPOINT).arg("rmi").args(ids))?;
    }
    Ok(())
}

fn clear_cache() -> Result<()> {
    run(ours().args(["cache", "clear"])).map(drop)
}
