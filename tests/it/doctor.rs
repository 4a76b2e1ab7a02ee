//! `doctor`: what it says of a node that is well, and of each thing that can be wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use stand_in::aws::{Aws, Fault, StatusCode};
use stand_in::registry::Registry;
use stand_in::tls::TestCa;

use crate::plugin::{IMAGE, Outcome, Plugin};

/// Runs `doctor` and leaves out what it says of the kubelet: machines for tests may have one or not.
fn doctor(plugin: &Plugin, arguments: &[&str]) -> Outcome {
    let mut outcome = plugin.clone().args(&[&["doctor"], arguments].concat()).send("");
    let lines: Vec<_> = outcome.stdout.lines().filter(|line| !line.contains(" kubelet ")).collect();
    outcome.stdout = lines.join("\n");
    outcome
}

/// The verdicts and texts of all steps but the kubelet's, in order.
fn steps(plugin: &Plugin, arguments: &[&str]) -> Vec<(String, String, String)> {
    let outcome = doctor(plugin, &[arguments, &["--output", "json"]].concat());
    let json: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:#?}"));
    let text = |step: &Value, key: &str| step[key].as_str().unwrap_or_default().to_owned();
    let steps = json["steps"].as_array().expect("steps").iter();
    let steps = steps.map(|step| (text(step, "step"), text(step, "verdict"), text(step, "text")));
    steps.filter(|(step, ..)| step != "kubelet").collect()
}

fn without_kubelet(plugin: &Plugin, arguments: &[&str]) -> Vec<(String, String)> {
    steps(plugin, arguments).into_iter().map(|(step, verdict, _)| (step, verdict)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(step, verdict)| ((*step).to_owned(), (*verdict).to_owned())).collect()
}

#[test]
fn a_way_that_is_well() {
    let aws = Aws::start();
    let outcome = doctor(&Plugin::with_key(&aws), &[IMAGE]).masking(&aws.address(), "AWS");
    snapbox::assert_data_eq!(
        outcome.stdout.clone(),
        "ok   settings  [..] ms  no settings file\n\
         ok   settings  [..] ms  no rule is for this image\n\
         ok   registry  [..] ms  `571600876202.dkr.ecr.eu-central-1.amazonaws.com`, password by region eu-central-1\n\
         ok   cache     [..] ms  off\n\
         ok   identity  [..] ms  the environment, key AKIAIOSFODNN7EXAMPLE\n\
         ok   network   [..] ms  the API is `AWS`, without a proxy\n\
         ok   clock     [..] ms  the same as AWS's\n\
         ok   aws       [..] ms  password valid until [..]Z"
    );
    assert!(!outcome.stdout.contains("canary"));
}

/// What is found past one failure is found too.
#[test]
fn a_failure_does_not_stop_the_steps_that_can_still_run() {
    let aws = Aws::start();
    let folder = tempfile::tempdir().expect("a directory");
    let settings = folder.path().join("config.yaml");
    fs::write(&settings, "deadline: 2s\n").expect("written");
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).expect("created");
    fs::set_permissions(&cache, Permissions::from_mode(0o777)).expect("changed");
    let plugin = Plugin::with_key(&aws)
        .with_cache(&cache)
        .env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings.display().to_string());
    let expected = [
        ("settings", "bad"),
        ("settings", "good"),
        ("registry", "good"),
        ("cache", "note"),
        ("identity", "good"),
        ("network", "good"),
        ("clock", "good"),
        ("aws", "good"),
    ];
    assert_eq!(without_kubelet(&plugin, &[IMAGE]), pairs(&expected));
    assert_eq!(doctor(&plugin, &[IMAGE]).code, Some(1));
}

#[test]
fn each_failure_is_shown_at_its_step() {
    let aws = Aws::start();
    let with_key = Plugin::with_key(&aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    let denied = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    let rows = [
        (with_key.clone().without("AWS_ACCESS_KEY_ID"), None, ("identity", "no AWS identity found: ")),
        (with_key.clone(), Some(denied), ("aws", "AWS denies access: ")),
        (with_key.clone(), Some(Fault::Reset), ("aws", "the connection broke: ")),
        (
            with_key.clone().env("AWS_ENDPOINT_URL_ECR", "http://nowhere.invalid"),
            None,
            ("aws", "the host name cannot be resolved: "),
        ),
        (
            with_key.clone().without("AWS_ENDPOINT_URL_ECR").env("HTTPS_PROXY", "http://127.0.0.1:1"),
            None,
            ("aws", "the proxy did not connect us: "),
        ),
    ];
    for (plugin, fault, (step, title)) in rows {
        aws.behave(|aws| aws.fault = fault);
        let found = steps(&plugin, &[IMAGE]);
        let bad: Vec<_> = found.iter().filter(|(_, verdict, _)| verdict == "bad").collect();
        assert_eq!(bad.len(), 1, "{found:#?}");
        assert!(bad[0].0 == step && bad[0].2.starts_with(title), "{found:#?}");
    }
}

/// Without an identity the network is looked at all the same: a node may lack both.
#[test]
fn without_an_identity_the_network_is_looked_at() {
    let aws = Aws::start();
    let nobody = Plugin::with_key(&aws).without("AWS_ACCESS_KEY_ID");
    let found = steps(&nobody, &[IMAGE]);
    let (step, verdict, text) = found.last().expect("steps");
    assert_eq!((step.as_str(), verdict.as_str()), ("aws", "skipped"), "{found:#?}");
    assert_eq!(text, "it can be reached, but there is no identity to ask it with");
    let cut_off = nobody.env("AWS_ENDPOINT_URL_ECR", "http://127.0.0.1:1");
    let found = steps(&cut_off, &[IMAGE]);
    let bad: Vec<_> =
        found.iter().filter(|(_, verdict, _)| verdict == "bad").map(|(step, ..)| step).collect();
    assert_eq!(bad, ["identity", "aws"], "{found:#?}");
}

/// As for the kubelet: ECR Public goes without.
#[test]
fn ecr_public_without_an_identity_is_no_failure() {
    let aws = Aws::start();
    let nobody = Plugin::with_key(&aws).without("AWS_ACCESS_KEY_ID");
    let found = steps(&nobody, &["public.ecr.aws/docker/library/busybox"]);
    assert!(!found.iter().any(|(_, verdict, _)| verdict == "bad"), "{found:#?}");
}

/// It takes the connection and says nothing.
#[test]
fn a_silent_server_does_not_hold_up_the_report() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let aws = Aws::start();
    let plugin =
        Plugin::with_key(&aws).env("AWS_ENDPOINT_URL_ECR", url).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    let outcome = doctor(&plugin, &[IMAGE]).within(std::time::Duration::from_secs(12));
    assert!(outcome.stdout.contains("ECRP504 no answer in time: "), "{outcome:#?}");
}

/// Also where all is well, the issuer is named: it tells a company's proxy from AWS.
#[test]
fn the_issuer_of_the_certificate_is_named() {
    let ca = TestCa::new();
    let aws = Aws::start_tls(&ca);
    let folder = tempfile::tempdir().expect("a directory");
    let bundle = folder.path().join("ca.pem");
    fs::write(&bundle, ca.pem()).expect("written");
    let plugin = Plugin::with_key(&aws);
    let trusting = plugin.clone().env("AWS_CA_BUNDLE", bundle.display().to_string());
    let tls = |plugin: &Plugin| {
        let found = steps(plugin, &[IMAGE]);
        found.iter().find(|(step, ..)| step == "tls").cloned().unwrap_or_else(|| panic!("{found:#?}"))
    };
    let (_, verdict, text) = tls(&trusting);
    assert!(verdict == "good" && text.starts_with("its certificate is issued by `"), "{text}");
    let (_, verdict, text) = tls(&plugin);
    assert!(verdict == "note" && text.starts_with("its certificate is issued by `"), "{text}");
}

#[test]
fn a_wrong_clock_is_worth_a_note() {
    let aws = Aws::start();
    aws.behave(|aws| aws.clock_ahead = jiff::SignedDuration::from_mins(7));
    let found = steps(&Plugin::with_key(&aws), &[IMAGE]);
    let clock = found.iter().find(|(step, ..)| step == "clock").expect("a line");
    assert!(clock.1 == "note" && clock.2.ends_with("s behind AWS's"), "{clock:?}");
}

/// The kubelet's journal may be gone, or somebody else's.
#[test]
fn the_last_failure_is_remembered() {
    let aws = Aws::start();
    let folder = tempfile::tempdir().expect("a directory");
    let plugin = Plugin::with_key(&aws).with_cache(&folder.path().join("cache"));
    let denied = Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned());
    aws.behave(|aws| aws.fault = Some(denied));
    plugin.ask(IMAGE);
    aws.behave(|aws| aws.fault = None);
    let found = steps(&plugin, &[IMAGE]);
    let (_, verdict, text) = found.iter().find(|(step, ..)| step == "last").expect("a line");
    assert!(verdict == "note" && text.contains(": error, as the environment, key AKIA"), "{text}");
    assert!(text.contains("ECRP401 AWS denies access: "), "{text}");
}

/// A registry of its own on this machine, as its name a mirror in front of ECR.
fn with_registry(aws: &Aws, registry: &Registry, folder: &std::path::Path) -> (Plugin, String) {
    let settings = folder.join("config.yaml");
    let name = registry.address().to_string();
    let text = format!(
        "registries:\n- match: [\"{name}\"]\n  registry: 571600876202.dkr.ecr.eu-central-1.amazonaws.com\n"
    );
    fs::write(&settings, text).expect("written");
    let plugin = Plugin::with_key(aws)
        .env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings.display().to_string())
        .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    (plugin, format!("{name}/sigrid/api:1"))
}

#[test]
fn pull_follows_the_layer_to_its_storage() {
    let aws = Aws::start();
    let folder = tempfile::tempdir().expect("a directory");
    let storage = Registry::start_storage();
    let at = storage.address().to_string();
    let gone = || Some("127.0.0.1:1".to_owned());
    let rows = [
        (Registry::start(&aws), "good", "the first layer is at the registry itself".to_owned()),
        (
            Registry::with_storage(&aws, Some(at.clone())),
            "good",
            format!("the first layer is at its storage, `{at}`"),
        ),
        (
            Registry::with_storage(&aws, gone()),
            "bad",
            "cannot connect: asking the registry at `127.0.0.1:1`: ".to_owned(),
        ),
    ];
    for (registry, verdict, text) in rows {
        let (plugin, image) = with_registry(&aws, &registry, folder.path());
        let found = steps(&plugin, &["--pull", &image]);
        let (step, last_verdict, last_text) = found.last().expect("steps");
        assert!(step == "pull" && last_verdict == verdict && last_text.starts_with(&text), "{found:#?}");
        assert!(!format!("{found:?}").contains("canary"), "{found:#?}");
    }
}

#[test]
fn pull_says_which_door_is_closed() {
    let aws = Aws::start();
    let folder = tempfile::tempdir().expect("a directory");
    let stranger = Aws::start();
    let registry = Registry::start(&stranger);
    let (plugin, image) = with_registry(&aws, &registry, folder.path());
    let found = steps(&plugin, &["--pull", &image]);
    let (step, verdict, text) = found.last().expect("steps");
    assert!(step == "pull" && verdict == "bad", "{found:#?}");
    let expected = format!(
        "the registry does not give the image: the registry: `{}` answers with status 401",
        registry.address()
    );
    assert_eq!(*text, expected);
    let outcome = doctor(&plugin, &["--pull", &image]);
    let last = outcome.stderr.lines().last().unwrap_or_default();
    // Or what is wrong with the kubelet of this machine, which comes first.
    assert!(last.starts_with("ECRP608 ") || last.starts_with("ECRP207 "), "{outcome:#?}");
}

#[test]
fn without_an_image_the_node_alone_is_looked_at() {
    let aws = Aws::start();
    let expected = [("settings", "good"), ("image", "skipped"), ("cache", "good")];
    assert_eq!(without_kubelet(&Plugin::with_key(&aws), &[]), pairs(&expected));
    assert_eq!(aws.seen().len(), 0);
}

#[test]
fn a_malformed_image_and_a_stranger_are_said_so() {
    let aws = Aws::start();
    let plugin = Plugin::with_key(&aws);
    let found = steps(&plugin, &["https://registry/x"]);
    assert!(found[0].2.starts_with("the image reference is malformed: `https://registry/x`: "), "{found:#?}");
    let found = steps(&plugin, &["registry.k8s.io/pause:3"]);
    let last = found.last().expect("steps");
    assert!(last.2.starts_with("not an ECR registry: `registry.k8s.io` gets no password: "), "{found:#?}");
    assert_eq!(aws.seen().len(), 0);
}

#[test]
fn a_code_is_explained() {
    let explain = |code| Plugin::bare().args(&["doctor", "--explain", code]).send("");
    let text = "ECRP505 the TLS connection cannot be trusted\n\
                if a proxy inspects TLS here, name its CA certificate in `AWS_CA_BUNDLE`\n";
    explain("ECRP505").is(0, text, "");
    explain("505").is(0, text, "");
    explain("ECRP999").is(
        2,
        "",
        "ECRP001 wrong arguments: `ECRP999` is no code; see packaging/doc/errors.md",
    );
}
