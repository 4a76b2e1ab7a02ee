//! The cases of the node test. A new capability adds its own here.
//!
//! Each starts the kubelet that it needs; the kubelet, its pods and the faults of AWS are gone after it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use serde_json::Value;
use stand_in::aws::{Fault, StatusCode};
use stand_in::configurations::{self, FOLDER};

use crate::installation;
use crate::judge;
use crate::node::{BIN_DIR, CACHE, KEY_FILE, Node, image};
use crate::{prepull, protos};
use stand_in::cases::Case;
use stand_in::process::run;
use stand_in::vendor::{REGISTRY, REPOSITORIES};

/// All cases by name, in the order in which they run.
pub(crate) const CASES: &[(&str, Case<Node>)] = &[
    ("nine_images_are_pulled_without_a_pull_secret", nine_images),
    ("a_kubelet_that_restarts_while_aws_is_down_keeps_pulling", restart_in_outage),
    ("a_token_that_is_due_is_served_while_aws_is_down", due_in_outage),
    ("doctor_walks_the_way_of_a_pull", doctor),
    ("validate_knows_the_kubelet_that_runs", validate),
    ("a_cache_on_a_full_or_read_only_disk_is_no_reason_to_fail", bad_disks),
    ("a_changed_password_is_fetched_without_a_change_on_the_node", changed_password),
    ("a_denial_of_aws_is_one_line_in_the_journal", denied),
    ("a_wrong_key_is_one_line_in_the_journal", wrong_key),
    ("the_helper_of_docker_says_that_it_is_no_plugin", wrong_role),
    ("ctr_pulls_with_a_password_that_is_printed_for_it", ctr),
    ("an_expired_token_of_moto_is_refused", moto),
    ("the_protocol_v1beta1_works", v1beta1),
    ("the_protocol_v1alpha1_works", v1alpha1),
    ("prepull_fills_an_empty_node_for_pods_that_never_pull", prepull::fills_an_empty_node),
    ("prepull_names_what_fails_and_pulls_the_rest", prepull::names_what_fails),
    ("prepull_goes_on_after_it_was_killed", prepull::goes_on_after_it_was_killed),
    ("prepull_brings_the_pause_image_before_the_kubelet", prepull::brings_the_pause_image),
    ("prepull_pins_by_a_label_that_this_containerd_is_too_old_for", prepull::pins_by_label),
    ("prepull_pins_for_containerd_2", prepull::pins_for_containerd_2),
    ("prepull_pulls_the_images_of_kubeadm", prepull::pulls_the_images_of_kubeadm),
    ("prepull_speaks_the_published_protobufs", protos::are_the_published_ones),
    ("mistakes_in_the_configuration_end_the_kubelet", mistakes),
    ("install_has_a_kubelet_that_runs_pull_and_uninstall_takes_it_back", installation::there_and_back),
    ("install_goes_on_after_it_was_killed", installation::killed),
    ("install_takes_everything_back_if_the_kubelet_does_not_start", installation::taken_back),
    ("install_refuses_flags_of_unknown_origin", installation::unknown_flags),
    ("validate_agrees_with_the_kubelet_on_a_table", agreement),
    ("validate_agrees_with_the_kubelet_on_variants", variants),
];

/// The first user's nine images, with the shipped configuration, on an empty node.
fn nine_images(node: &mut Node) -> Result<()> {
    let calls_before = node.aws.seen().len();
    node.start_kubelet(&node.shipped_config())?;
    let pods = pods_of_all_images(node, "IfNotPresent")?;
    node.wait_until_running(&pods)?;

    for pod in node.pods()? {
        ensure!(pod["spec"]["imagePullSecrets"].is_null(), "a pod names a pull secret");
    }
    for file in ["/var/lib/kubelet/config.json", "/root/.docker/config.json", "/.docker/config.json"] {
        ensure!(!std::path::Path::new(file).exists(), "{file} exists");
    }
    // One for all nine, which are pulled at the same time.
    let calls = &node.aws.seen()[calls_before..];
    ensure!(calls.len() == 1, "{} calls to AWS", calls.len());
    let call = &calls[0];
    ensure!(call.operation == "ecr:GetAuthorizationToken" && call.region == "eu-central-1", "{call:?}");
    ensure!(call.host == "api.ecr.eu-central-1.amazonaws.com", "{call:?}");

    // The kubelet's own view of the plugin.
    let plugin_calls = node.metric("kubelet_credential_provider_plugin_duration_count")?;
    ensure!((1..=9).contains(&plugin_calls), "{plugin_calls} calls of the plugin");
    ensure!(
        node.metric("kubelet_credential_provider_plugin_errors_total")? == 0,
        "the kubelet counts errors"
    );
    ensure!(
        node.metric("kubelet_credential_provider_config_info")? == 1,
        "the kubelet shows no configuration"
    );
    ensure!(!node.journal().contains("Failed to provide credentials"), "the journal has a failure");
    Ok(())
}

/// What the kubelet knew of passwords is gone with it. The node still knows.
fn restart_in_outage(node: &mut Node) -> Result<()> {
    node.start_kubelet(&node.shipped_config())?;
    let pods = pods_of_all_images(node, "Always")?;
    node.wait_until_running(&pods)?;
    let calls_before = node.aws.seen().len();
    node.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    node.start_kubelet(&node.shipped_config())?;
    let pods = pods_of_all_images(node, "Always")?;
    node.wait_until_running(&pods)?;
    ensure!(node.metric("kubelet_credential_provider_plugin_errors_total")? == 0, "the plugin failed");
    ensure!(
        node.metric("kubelet_credential_provider_plugin_duration_count")? > 0,
        "the plugin was not asked"
    );
    ensure!(node.aws.seen().len() == calls_before, "AWS was asked");
    Ok(())
}

/// The outage lasts for longer than the first half of the token's life, which is half a minute here.
fn due_in_outage(node: &mut Node) -> Result<()> {
    node.aws.behave(|aws| aws.password_life = SignedDuration::from_secs(60));
    node.start_kubelet(&node.shipped_config())?;
    let first = node.add_pod("sigrid-api", "Always")?;
    node.wait_until_running(&[first])?;
    node.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    let calls_before = node.aws.seen().len();
    std::thread::sleep(Duration::from_secs(37));
    node.start_kubelet(&node.shipped_config())?;
    let second = node.add_pod("auth-api", "Always")?;
    node.wait_until_running(&[second])?;
    ensure!(node.aws.seen().len() > calls_before, "nobody tried to replace the token");
    ensure!(node.metric("kubelet_credential_provider_plugin_errors_total")? == 0, "the plugin failed");
    Ok(())
}

/// With the flags of the kubelet that runs, the environment that it gives to the plugin, and the real registry.
fn doctor(node: &mut Node) -> Result<()> {
    node.start_kubelet(&node.shipped_config())?;
    let said = node.command(&["doctor", "--pull", &image("sigrid-api")])?;
    ensure!(said.status.success(), "{said:?}");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let expected = [
        "the kubelet runs as process ",
        "`*.dkr.ecr.*.amazonaws.com` matches: the kubelet asks `ecr-credential-provider`",
        "its `env` has `AWS_SHARED_CREDENTIALS_FILE`, which hold below",
        "profile `default`, key AKIAIOSFODNN7EXAMPLE",
        "the API is `api.ecr.eu-central-1.amazonaws.com`, without a proxy",
        "its certificate is issued by `",
        "password valid until ",
        "the registry takes the password",
        "the first layer is at the registry itself",
    ];
    for words in expected {
        ensure!(
            text.lines().any(|line| line.starts_with("ok ") && line.contains(words)),
            "no {words:?}: {text}"
        );
    }
    // An image that no pattern matches.
    let said = node.command(&["doctor", "registry.example/team/app"])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(
        !said.status.success() && text.contains("no pattern matches `registry.example/team/app`"),
        "{text}"
    );
    Ok(())
}

/// Its flags and its version.
fn validate(node: &mut Node) -> Result<()> {
    node.start_kubelet(&node.shipped_config())?;
    let said = node.command(&["validate", "--output", "json", "--image", &image("sigrid-api")])?;
    let json: Value = serde_json::from_slice(&said.stdout)?;
    ensure!(said.status.success() && json["ok"] == true && json["kubeletVersion"] == "1.37", "{said:?}");
    ensure!(json["images"][0]["asked"][0]["provider"] == "ecr-credential-provider", "{json:#}");
    // The kubelet goes on with what it has read, and would not start again.
    node.change_config("defaultCacheDuration: 0s", "defaultCacheDuration: 0")?;
    let said = node.command(&["validate"])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let words =
        "error: `providers[0].defaultCacheDuration` must be text, but it is a number; put it in quotes";
    ensure!(!said.status.success() && text.contains(words), "{text}");
    Ok(())
}

fn bad_disks(node: &mut Node) -> Result<()> {
    for (options, is_full) in [("ro,mode=0700", false), ("size=4k,mode=0700", true)] {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs", CACHE]))?;
        if is_full {
            std::fs::write(Path::new(CACHE).join("filler"), [0; 4096])?;
        }
        let outcome = pull_with_this_cache(node);
        run(Command::new("umount").arg(CACHE))?;
        outcome.with_context(|| format!("with a cache mounted with {options}"))?;
    }
    Ok(())
}

fn pull_with_this_cache(node: &mut Node) -> Result<()> {
    node.start_kubelet(&node.shipped_config())?;
    for repository in ["sigrid-api", "auth-api"] {
        let calls_before = node.aws.seen().len();
        let pod = node.add_pod(repository, "Always")?;
        node.wait_until_running(&[pod])?;
        // The kubelet has kept the first password.
        let expected = usize::from(repository == "sigrid-api");
        ensure!(node.aws.seen().len() - calls_before == expected, "calls of AWS for {repository}");
    }
    ensure!(node.metric("kubelet_credential_provider_plugin_errors_total")? == 0, "the plugin failed");
    node.remove_pods()?;
    node.stop_kubelet()?;
    let left = std::fs::read_dir(CACHE)?.filter_map(Result::ok).map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name != "filler").collect();
    ensure!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "left behind: {left:?}");
    Ok(())
}

/// As ECR does after 12 hours, here after 8 seconds.
fn changed_password(node: &mut Node) -> Result<()> {
    node.aws.behave(|aws| aws.password_life = SignedDuration::from_secs(8));
    node.start_kubelet(&node.shipped_config())?;
    let first = node.add_pod("sigrid-api", "Always")?;
    node.wait_until_running(&[first])?;
    node.change_password()?;
    let second = node.add_pod("sigrid-api", "Always")?;
    node.wait_until_running(&[second])
}

fn denied(node: &mut Node) -> Result<()> {
    let message =
        "User: arn:aws:iam::571600876202:user/node is not authorized to perform: ecr:GetAuthorizationToken";
    let fault = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", message.to_owned());
    node.aws.behave(|aws| aws.fault = Some(fault));
    node.start_kubelet(&node.shipped_config())?;
    let pod = node.add_pod("sigrid-api", "Always")?;
    expect_failure(
        node,
        &format!(
            "ECRP401 AWS denies access: asking for a password for `{REGISTRY}` at `api.ecr.eu-central-1.amazonaws.com`: \
             AccessDeniedException: {message} (status 400, request id 00000000-1111-2222-3333-444444444444); allow the \
             action that is named for this identity (private registries need `ecr:GetAuthorizationToken` on `*`)"
        ),
    )?;
    // The kubelet goes on without a password, which is all that the pod shows.
    let shown = node.wait_until_waiting(&pod, "ErrImagePull")?;
    ensure!(shown.contains("401 Unauthorized"), "the pod shows: {shown}");
    ensure!(
        node.metric("kubelet_credential_provider_plugin_errors_total")? >= 1,
        "the kubelet counts no error"
    );

    node.aws.behave(|aws| aws.fault = None);
    node.wait_until_running(&[pod])
}

/// Users do install the wrong one, under the name by which docker calls it.
fn wrong_role(node: &mut Node) -> Result<()> {
    let helper = "docker-credential-ecr-login";
    run(Command::new("ln").args(["-sf", "ecr-credential-provider", &format!("{BIN_DIR}/{helper}")]))?;
    let config = node.shipped_config().replace("name: ecr-credential-provider", &format!("name: {helper}"));
    node.start_kubelet(&config)?;
    let pod = node.add_pod("sigrid-api", "Always")?;
    let line =
        node.journal_line("ECRP108 this is the docker credential helper, and the kubelet calls it: ")?;
    ensure!(
        line.contains("name the provider `ecr-credential-provider` in the CredentialProviderConfig"),
        "{line}"
    );
    node.wait_until_waiting(&pod, "ErrImagePull").map(drop)
}

/// Pulls that the kubelet does not make, as of the pause image, get no password from a plugin.
fn ctr(node: &mut Node) -> Result<()> {
    let image = image("sigrid-api");
    let pull = format!("ctr --namespace by-hand images pull --hosts-dir {}", node.registry_hosts().display());
    let refused = run(Command::new("sh").args(["-c", &format!("{pull} {image}")]));
    ensure!(refused.is_err(), "it was pulled without a password");
    let credentials = format!("{BIN_DIR}/ecr-credential-provider credentials --format crictl {REGISTRY}");
    let script = format!("{pull} --user \"$({credentials})\" {image}");
    run(Command::new("sh").args(["-c", &script]).env("AWS_SHARED_CREDENTIALS_FILE", KEY_FILE))?;
    run(Command::new("ctr").args(["--namespace", "by-hand", "images", "rm", &image])).map(drop)
}

fn wrong_key(node: &mut Node) -> Result<()> {
    let config = node.shipped_config();
    let wrong = "      - name: AWS_ACCESS_KEY_ID\n        value: AKIAIOSFODNN7EXAMPLE\n      - name: AWS_SECRET_ACCESS_KEY\n        value: wrong\n";
    node.start_kubelet(&(config + wrong))?;
    node.add_pod("sigrid-api", "Always")?;
    expect_failure(node, "ECRP402 AWS does not accept the access key: ")
}

/// moto is an ECR that we did not write. It accepts the signed call, and its tokens expired in 2015.
fn moto(node: &mut Node) -> Result<()> {
    let (moto, url) = node.start_moto()?;
    let config =
        node.shipped_config() + &format!("      - name: AWS_ENDPOINT_URL_ECR\n        value: {url}\n");
    node.start_kubelet(&config)?;
    node.add_pod("sigrid-api", "Always")?;
    expect_failure(node, "ECRP606 the authorization token has expired already: ")?;
    let log = moto.log();
    ensure!(log.contains("\"POST / HTTP/1.1\" 200"), "moto did not accept the call: {log}");
    Ok(())
}

fn v1beta1(node: &mut Node) -> Result<()> {
    protocol(node, "v1beta1")
}

fn v1alpha1(node: &mut Node) -> Result<()> {
    protocol(node, "v1alpha1")
}

fn protocol(node: &mut Node, version: &str) -> Result<()> {
    let config = node.shipped_config();
    let config = config.replace(
        "credentialprovider.kubelet.k8s.io/v1",
        &format!("credentialprovider.kubelet.k8s.io/{version}"),
    );
    let config = config.replace("kubelet.config.k8s.io/v1", &format!("kubelet.config.k8s.io/{version}"));
    node.start_kubelet(&config)?;
    let pod = node.add_pod("auth-api", "Always")?;
    node.wait_until_running(&[pod])
}

/// The code of the kubelet without the kubelet, so that there can be many.
fn agreement(node: &mut Node) -> Result<()> {
    judge::compare_table(&mut node.judge()?, &node.folder("table"))
}

fn variants(node: &mut Node) -> Result<()> {
    judge::compare_variants(&mut node.judge()?, &node.folder("variants"))
}

/// Rows of the table, one for each way in which a kubelet ends, with the kubelet itself.
const MISTAKES: [&str; 10] = [
    "no duration",
    "no protocol",
    "protocol v2",
    "an unknown field",
    "a name of nothing",
    "another kind",
    "a duration in words",
    "two of one name",
    "a value that is on",
    "a folder with a bad file",
];

fn mistakes(node: &mut Node) -> Result<()> {
    let folder = node.folder("mistakes");
    let plugins = folder.join("plugins");
    configurations::make_plugins(&plugins)?;
    for name in MISTAKES {
        let configuration = configurations::all().into_iter().find(|row| row.name == name);
        let configuration = configuration.with_context(|| format!("no row {name:?}"))?;
        let own = folder.join(name.replace(' ', "-"));
        let words = node.start_kubelet_that_ends(&configuration.write(&own)?, &plugins)?;
        let words = words.replace(&own.display().to_string(), FOLDER);
        ensure!(words == configuration.words, "{name}: the kubelet says {words}");
    }
    Ok(())
}

fn pods_of_all_images(node: &mut Node, pull_policy: &str) -> Result<Vec<String>> {
    REPOSITORIES.iter().map(|repository| node.add_pod(repository, pull_policy)).collect()
}

/// Our line stands in the journal, within one line that is marked as an error and names plugin and image.
fn expect_failure(node: &Node, line: &str) -> Result<()> {
    let found = node.journal_line(line)?;
    let image = image("sigrid-api");
    let (image, _) = image.rsplit_once(':').unwrap_or_default();
    ensure!(
        found.starts_with('E') && found.contains("\"Failed to provide credentials for image\""),
        "{found}"
    );
    ensure!(found.contains("provider=\"ecr-credential-provider\""), "{found}");
    ensure!(found.contains(&format!("image=\"{image}\"")), "{found}");
    Ok(())
}
