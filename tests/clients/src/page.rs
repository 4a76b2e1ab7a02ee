//! The scripts of `packaging/doc/docker.md` do what it says, as they stand there.

use anyhow::{Context, Result, ensure};
use stand_in::process::read;
use stand_in::vendor::{NAMESPACE, REGISTRY, REPOSITORIES, TAG};

use crate::world::{Clients, OWN, OWN_PASSWORD, OWN_USER, sh};

/// The first user's nine images and chart, into one's own registry.
pub(crate) fn page(world: &mut Clients) -> Result<()> {
    let page = read(&world.places.repository.join("packaging/doc/docker.md"));
    let (_, flow) = page.split_once("\n## Your own registry\n").context("the page has the flow")?;
    let scripts: Vec<_> =
        flow.split("\n```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n")).collect();
    let [copy, sync] = scripts.as_slice() else { anyhow::bail!("the flow has {} scripts", scripts.len()) };
    sh(&format!(
        "helm create sigrid-stack >/dev/null && helm package --version 1.2.3 sigrid-stack >/dev/null
        ecr-credential-provider docker configure {REGISTRY}
        helm push sigrid-stack-1.2.3.tgz oci://{REGISTRY}/{NAMESPACE}
        rm -r sigrid-stack* .docker"
    ))?;
    let login = format!("echo {OWN_PASSWORD} | skopeo login --username {OWN_USER} --password-stdin {OWN}");
    sh(&login)?;
    sh(copy)?;
    check_copy("sigrid", &["sigrid-stack:1.2.3"])?;
    sh(sync)?;
    check_copy("synced", &[])
}

/// The images are there, and are the vendor's.
fn check_copy(project: &str, others: &[&str]) -> Result<()> {
    let images = REPOSITORIES.iter().map(|repository| format!("{repository}:{TAG}"));
    for name in images.chain(others.iter().map(ToString::to_string)) {
        let digest = |image: String| sh(&format!("skopeo inspect --raw docker://{image} | sha256sum"));
        let (theirs, ours) =
            (digest(format!("{REGISTRY}/{NAMESPACE}/{name}"))?, digest(format!("{OWN}/{project}/{name}"))?);
        ensure!(theirs == ours, "{name} is another in {project}");
    }
    Ok(())
}
