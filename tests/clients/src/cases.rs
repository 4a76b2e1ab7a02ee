//! The cases of the clients test. A new client adds its own here.
//!
//! Each starts with an empty home, an empty cache and a new password of the registry.

use anyhow::{Result, ensure};
use stand_in::aws::{Fault, StatusCode};
use stand_in::cases::Case;
use stand_in::process::write;
use stand_in::vendor::{NAMESPACE, REGISTRY, TAG};

use crate::compare::comparison;
use crate::page::page;
use crate::world::{Clients, OWN, OWN_PASSWORD, OWN_USER, failing_sh, image, sh};

/// All cases by name, in the order in which they run.
const CASES: &[(&str, Case<Clients>)] = &[
    ("skopeo_copies", skopeo),
    ("podman_and_buildah_pull", podman),
    ("helm_pushes_and_pulls_a_chart", helm),
    ("crane_pulls_and_pushes", crane),
    ("oras_pushes_and_pulls", oras),
    ("an_old_login_does_not_come_before_the_helper_in_one_file", old_login),
    ("a_login_that_comes_before_the_helper_is_named", other_login),
    ("another_password_is_refused_by_the_registry", wrong_password),
    ("what_aws_says_reaches_the_user", denied),
    ("other_registries_go_on_without_the_helper", others),
    ("login_password_logs_in", login_password),
    ("credentials_are_taken_by_who_wants_them", credentials),
    ("the_page_copies_to_ones_own_registry", page),
    ("it_answers_as_the_helper_that_it_replaces", comparison),
];

/// These, and those of a client that Debian has not: it is there or not.
#[expect(clippy::print_stdout, reason = "the report of the test")]
pub(crate) fn cases() -> Vec<(&'static str, Case<Clients>)> {
    let mut cases = CASES.to_vec();
    if has_docker() {
        cases.push(("docker_inspects_and_logs_out", docker));
    } else {
        println!("SKIPPED docker_inspects_and_logs_out: there is no docker client on this machine");
    }
    cases
}

fn has_docker() -> bool {
    sh("docker --version").is_ok()
}

fn configure() -> Result<()> {
    let said = sh(&format!("ecr-credential-provider docker configure {REGISTRY} 2>&1"))?;
    ensure!(said == format!("{REGISTRY}: added to /root/.docker/config.json\n"), "{said}");
    Ok(())
}

fn skopeo(world: &mut Clients) -> Result<()> {
    let image = image();
    let refused = failing_sh(&format!("skopeo inspect docker://{image}:{TAG}"))?;
    ensure!(refused.contains("authentication required"), "{refused}");
    configure()?;
    let before = world.calls();
    sh(&format!("skopeo inspect docker://{image}:{TAG} && skopeo copy docker://{image}:{TAG} dir:copy"))?;
    sh(&format!("skopeo list-tags docker://{image} | grep -q {TAG}"))?;
    ensure!(world.calls() == before + 1, "one call of AWS for all of them");
    // For all users of the machine, by the file that podman and its kin have for it.
    sh("ecr-credential-provider docker configure --undo && test ! -e .docker/config.json")?;
    failing_sh(&format!("skopeo inspect docker://{image}:{TAG}"))?;
    sh(
        "echo 'credential-helpers = [\"containers-auth.json\", \"ecr-login\"]' > /etc/containers/registries.conf.d/ecr-login.conf",
    )?;
    let outcome = sh(&format!("skopeo inspect docker://{image}:{TAG}"));
    sh("rm /etc/containers/registries.conf.d/ecr-login.conf")?;
    outcome.map(drop)
}

fn podman(_: &mut Clients) -> Result<()> {
    let image = image();
    sh(&format!("ecr-credential-provider docker configure --client podman {REGISTRY}"))?;
    sh("grep -q ecr-login .config/containers/auth.json && test ! -e .docker")?;
    sh(&format!(
        "podman --storage-driver vfs pull --quiet {image}:{TAG} && podman --storage-driver vfs images | grep -q {TAG}"
    ))?;
    sh(&format!("buildah --storage-driver vfs pull --quiet --policy always {image}:{TAG}"))?;
    // A login is not needed, and ends well.
    sh(&format!("podman login --get-login {REGISTRY} | grep -qx AWS"))?;
    Ok(())
}

const CHART: &str =
    "helm create sigrid-stack >/dev/null && helm package --version 1.2.3 sigrid-stack >/dev/null";

fn helm(_: &mut Clients) -> Result<()> {
    configure()?;
    sh(&format!(
        "{CHART}
        helm push sigrid-stack-1.2.3.tgz oci://{REGISTRY}/{NAMESPACE}
        rm -r sigrid-stack*
        helm pull oci://{REGISTRY}/{NAMESPACE}/sigrid-stack --version 1.2.3 && test -s sigrid-stack-1.2.3.tgz
        helm show chart oci://{REGISTRY}/{NAMESPACE}/sigrid-stack --version 1.2.3 | grep -qx 'version: 1.2.3'"
    ))?;
    Ok(())
}

fn crane(_: &mut Clients) -> Result<()> {
    configure()?;
    let image = image();
    sh(&format!(
        "crane manifest {image}:{TAG} >/dev/null
        crane pull {image}:{TAG} image.tar
        crane push image.tar {image}:crane
        crane ls {image} | grep -qx crane"
    ))?;
    Ok(())
}

fn oras(_: &mut Clients) -> Result<()> {
    configure()?;
    sh(&format!(
        "echo hello > file
        oras push --no-tty {REGISTRY}/{NAMESPACE}/artifact:1 file:text/plain
        rm file
        oras pull --no-tty {REGISTRY}/{NAMESPACE}/artifact:1
        test \"$(cat file)\" = hello
        oras repo tags {REGISTRY}/{NAMESPACE}/artifact | grep -qx 1"
    ))?;
    Ok(())
}

/// What the client does without an engine.
fn docker(_: &mut Clients) -> Result<()> {
    let image = image();
    failing_sh(&format!("docker manifest inspect {image}:{TAG}"))?;
    configure()?;
    sh(&format!("docker manifest inspect {image}:{TAG} | grep -q schemaVersion"))?;
    // The helper has nothing to erase, and the file keeps what says that it is asked.
    sh(&format!("docker logout {REGISTRY} && grep -q ecr-login .docker/config.json"))?;
    Ok(())
}

/// In one file all clients ask the helper first, as `docker configure` says: before a password in the file, and before a
/// store of the system that has another.
fn old_login(world: &mut Clients) -> Result<()> {
    let image = image();
    let store = world.places.work.join("bin/docker-credential-old");
    write(
        &store,
        format!(
            "#!/bin/sh\nread -r server\nif [ \"$1 $server\" = 'get {REGISTRY}' ]; then\n\
             echo '{{\"ServerURL\": \"{REGISTRY}\", \"Username\": \"AWS\", \"Secret\": \"old\"}}'\nelse\n\
             echo 'credentials not found in native keychain'; exit 1\nfi\n"
        ),
    )?;
    sh(&format!(
        "chmod 0755 {}
        mkdir .docker
        echo '{{\"auths\": {{\"{REGISTRY}\": {{\"auth\": \"'$(printf AWS:old | base64)'\"}}}}, \"credsStore\": \"old\"}}' > .docker/config.json",
        store.display()
    ))?;
    for client in ["skopeo inspect docker://", "crane manifest ", "oras manifest fetch "] {
        failing_sh(&format!("{client}{image}:{TAG}"))?;
    }
    let said = sh(&format!("ecr-credential-provider docker configure {REGISTRY} 2>&1"))?;
    ensure!(said.contains("still has the password of a login"), "{said}");
    sh(&format!(
        "skopeo inspect docker://{image}:{TAG} >/dev/null
        crane manifest {image}:{TAG} >/dev/null
        oras manifest fetch {image}:{TAG} >/dev/null
        {CHART}
        helm push sigrid-stack-1.2.3.tgz oci://{REGISTRY}/{NAMESPACE}
        if command -v docker >/dev/null; then docker manifest inspect {image}:{TAG} >/dev/null; fi"
    ))?;
    Ok(())
}

/// In another file it does, and fails once its password has ended.
fn other_login(_: &mut Clients) -> Result<()> {
    let image = image();
    sh(&format!(
        "ecr-credential-provider login-password {REGISTRY} | helm registry login --username AWS --password-stdin {REGISTRY}
        ecr-credential-provider login-password {REGISTRY} | skopeo login --username AWS --password-stdin {REGISTRY}
        sed -i 's/\"auth\": \".*\"/\"auth\": \"'$(printf AWS:old | base64)'\"/' \
            .config/helm/registry/config.json /run/containers/0/auth.json"
    ))?;
    let said = sh(&format!("ecr-credential-provider docker configure {REGISTRY} 2>&1"))?;
    for place in ["/run/containers/0/auth.json", "/root/.config/helm/registry/config.json"] {
        ensure!(said.contains(&format!("note: {place} has a login to {REGISTRY}")), "{said}");
    }
    failing_sh(&format!("skopeo inspect docker://{image}:{TAG}"))?;
    failing_sh(&format!("{CHART}; helm push sigrid-stack-1.2.3.tgz oci://{REGISTRY}/{NAMESPACE}"))?;
    // The words of the notes.
    sh(&format!(
        "skopeo logout {REGISTRY} && helm registry logout {REGISTRY}
        skopeo inspect docker://{image}:{TAG} >/dev/null
        helm push sigrid-stack-1.2.3.tgz oci://{REGISTRY}/{NAMESPACE}"
    ))?;
    Ok(())
}

fn wrong_password(world: &mut Clients) -> Result<()> {
    configure()?;
    world.spoil_password()?;
    let image = image();
    for client in [
        format!("skopeo inspect docker://{image}:{TAG}"),
        format!("crane manifest {image}:{TAG}"),
        format!("oras manifest fetch {image}:{TAG}"),
    ] {
        let said = failing_sh(&client)?.to_lowercase();
        ensure!(
            said.contains("unauthorized") || said.contains("authentication required"),
            "{client}: {said}"
        );
        ensure!(!said.contains("canary"), "{client}: {said}");
    }
    // The registry's password is AWS's again, but the cache still has the one from before.
    world.change_password()?;
    sh(&format!("ecr-credential-provider cache clear && skopeo inspect docker://{image}:{TAG}"))?;
    Ok(())
}

/// Clients that stop show stdout, those that go on show stderr. One way or the other, the line is there.
fn denied(world: &mut Clients) -> Result<()> {
    configure()?;
    world.aws.behave(|aws| {
        let message =
            "User: arn:aws:iam::1:user/a is not authorized to perform: ecr:GetAuthorizationToken".to_owned();
        aws.fault = Some(Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", message));
    });
    let image = image();
    let mut clients = vec![
        format!("skopeo inspect docker://{image}:{TAG}"),
        format!("podman --storage-driver vfs pull {image}:{TAG}"),
        format!("crane manifest {image}:{TAG}"),
        format!("oras manifest fetch {image}:{TAG}"),
        format!("helm pull oci://{REGISTRY}/{NAMESPACE}/sigrid-stack --version 1.2.3"),
    ];
    if has_docker() {
        clients.push(format!("docker manifest inspect {image}:{TAG}"));
    }
    for client in clients {
        let said = failing_sh(&client)?;
        ensure!(said.contains("ECRP401 AWS denies access: "), "{client}: {said}");
    }
    Ok(())
}

/// A helper for everything, as `credsStore` makes it one, must not stand in the way of registries that are not ECR.
fn others(world: &mut Clients) -> Result<()> {
    let before = world.calls();
    sh("mkdir .docker && echo '{\"credsStore\": \"ecr-login\"}' > .docker/config.json")?;
    // It keeps no password, and does not say that it does.
    let said = failing_sh(&format!(
        "echo {OWN_PASSWORD} | crane auth login {OWN} --username {OWN_USER} --password-stdin"
    ))?;
    ensure!(said.contains("ECRP114 this helper keeps no passwords: "), "{said}");
    for client in [format!("crane manifest {OWN}/a:1"), format!("oras manifest fetch {OWN}/a:1")] {
        let said = failing_sh(&client)?.to_lowercase();
        ensure!(
            said.contains("unauthorized")
                || said.contains("authentication required")
                || said.contains("credential"),
            "{client}: {said}"
        );
        ensure!(!said.contains("ecrp"), "{client}: {said}");
    }
    ensure!(world.calls() == before, "AWS was asked");
    Ok(())
}

fn login_password(_: &mut Clients) -> Result<()> {
    let image = image();
    sh(&format!(
        "ecr-credential-provider login-password {REGISTRY} | skopeo login --username AWS --password-stdin {REGISTRY}
        skopeo inspect docker://{image}:{TAG} >/dev/null
        ecr-credential-provider login-password --region eu-central-1 | crane auth login {REGISTRY} --username AWS --password-stdin
        crane manifest {image}:{TAG} >/dev/null"
    ))?;
    if has_docker() {
        sh(&format!(
            "rm .docker/config.json
            ecr-credential-provider login-password {REGISTRY} | docker login --username AWS --password-stdin {REGISTRY} 2>/dev/null
            docker manifest inspect {image}:{TAG} >/dev/null"
        ))?;
    }
    Ok(())
}

fn credentials(_: &mut Clients) -> Result<()> {
    let image = image();
    sh(&format!(
        "umask 077
        mkdir dir
        ecr-credential-provider credentials --format auth-json {REGISTRY} > auth.json
        podman --storage-driver vfs pull --quiet --authfile auth.json {image}:{TAG}
        skopeo inspect --authfile auth.json docker://{image}:{TAG} >/dev/null
        ecr-credential-provider credentials --format docker-config {REGISTRY} > dir/config.json
        DOCKER_CONFIG=dir crane manifest {image}:{TAG} >/dev/null
        skopeo inspect --creds \"$(ecr-credential-provider credentials --format crictl {REGISTRY})\" docker://{image}:{TAG} >/dev/null
        eval \"$(ecr-credential-provider credentials --format env {REGISTRY})\"
        oras manifest fetch --username \"$ECR_USERNAME\" --password \"$ECR_PASSWORD\" \"$ECR_REGISTRY/{NAMESPACE}/auth-api:{TAG}\" >/dev/null"
    ))?;
    Ok(())
}
