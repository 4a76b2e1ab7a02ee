//! `login-password` and `credentials`: passwords for programs that ask no helper.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stand_in::aws::{Aws, Fault, StatusCode};

use crate::plugin::{HOST, Outcome, Plugin};

fn run(aws: &Aws, arguments: &[&str]) -> Outcome {
    Plugin::with_key(aws).args(arguments).send("")
}

#[test]
fn login_password_prints_what_the_aws_cli_does() {
    let aws = Aws::start();
    let with_path = format!("https://{HOST}/team/app");
    let rows: &[(&[&str], &str)] = &[
        (&[HOST], "eu-central-1"),
        (&[&with_path], "eu-central-1"),
        (&["--region", "eu-west-1"], "eu-west-1"),
        (&["--region", "cn-north-1"], "cn-north-1"),
        (&["public.ecr.aws"], "us-east-1"),
    ];
    for (arguments, region) in rows {
        let outcome = run(&aws, &[&["login-password"], *arguments].concat());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}: {outcome:#?}");
        let password = outcome.stdout.strip_suffix('\n').expect("a line");
        assert!(aws.accepts_password(password), "{arguments:?}: {outcome:#?}");
        let call = aws.seen().pop().expect("AWS was asked");
        assert_eq!(call.region, *region, "{arguments:?}");
    }
}

/// Scripts for the AWS CLI have it there.
#[test]
fn the_environment_may_name_the_region() {
    let aws = Aws::start();
    let plugin = Plugin::with_key(&aws).args(&["login-password"]).env("AWS_DEFAULT_REGION", "eu-west-2");
    for (plugin, region) in
        [(plugin.clone(), "eu-west-2"), (plugin.env("AWS_REGION", "eu-west-1"), "eu-west-1")]
    {
        let outcome = plugin.send("");
        assert!(aws.accepts_password(outcome.stdout.trim_end()), "{outcome:#?}");
        let call = aws.seen().pop().expect("AWS was asked");
        assert_eq!(call.region, region);
    }
}

#[test]
fn a_password_that_is_not_to_be_had_is_an_error() {
    let aws = Aws::start();
    let rows: &[(&[&str], i32, &str)] = &[
        (
            &["login-password", "ghcr.io"],
            1,
            "ECRP100 not an ECR registry: `ghcr.io` gets no password: the host name has none of the forms of ECR; [..]",
        ),
        (
            &["login-password", "--region", "frankfurt"],
            1,
            "ECRP100 not an ECR registry: `frankfurt` is not an AWS region; name a region, as in `--region eu-central-1`",
        ),
        (
            &["login-password"],
            2,
            "ECRP001 wrong arguments: neither a registry nor a region is named, by `--region` or `AWS_REGION`; [..]",
        ),
        (&["login-password", HOST, "--region", "eu-west-1"], 2, "ECRP001 wrong arguments: [..]"),
        (&["credentials", HOST], 2, "ECRP001 wrong arguments: [..]"),
        (&["credentials", "--format", "env"], 2, "ECRP001 wrong arguments: [..]"),
        (
            &["credentials", "--format", "crictl", HOST, "public.ecr.aws"],
            2,
            "ECRP001 wrong arguments: this format has a place for one registry only; [..]",
        ),
        (&["credentials", "--format", "env", "ghcr.io"], 1, "ECRP100 not an ECR registry: [..]"),
        (
            &["credentials", "--format", "docker-config", HOST, "ghcr.io"],
            1,
            "ECRP100 not an ECR registry: [..]",
        ),
    ];
    for (arguments, code, line) in rows {
        run(&aws, arguments).is(*code, "", line);
    }
    // Who names ECR Public wants its password, and is not told that it can be done without.
    aws.behave(|aws| {
        aws.fault = Some(Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned()));
    });
    run(&aws, &["login-password", "public.ecr.aws"]).is(1, "", "ECRP401 AWS denies access: [..]");
}

#[test]
fn credentials_are_in_the_form_of_who_takes_them() {
    let aws = Aws::start();
    aws.behave(|aws| aws.password = Some("canary=".to_owned()));
    let port = format!("{HOST}:443");
    let of = |format: &str| {
        let outcome = run(&aws, &["credentials", "--format", format, &format!("https://{port}/v2/")]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{format}: {outcome:#?}");
        outcome.stdout
    };
    let auth = STANDARD.encode("AWS:canary=");
    for format in ["docker-config", "auth-json"] {
        let file: Value = serde_json::from_str(&of(format)).expect("JSON");
        assert_eq!(file, json!({"auths": {&port: {"auth": auth}}}), "{format}");
    }
    assert_eq!(of("crictl"), "AWS:canary=\n");
    let env = of("env");
    let (assignments, expires_at) = env.split_once("ECR_EXPIRES_AT='").expect("when it expires");
    assert_eq!(assignments, format!("ECR_REGISTRY='{port}'\nECR_USERNAME='AWS'\nECR_PASSWORD='canary='\n"));
    let expires_at: jiff::Timestamp = expires_at.trim_end_matches("'\n").parse().expect("a time");
    assert!(expires_at > jiff::Timestamp::UNIX_EPOCH);
    let response: Value = serde_json::from_str(&of("kubelet")).expect("JSON");
    assert_eq!(response["auth"], json!({&port: {"username": "AWS", "password": "canary="}}));
    assert_eq!(response["cacheDuration"], "6h0m0s");
}

/// One file for the vendor's registry, another region, ECR Public, and a name of one's own.
#[test]
fn a_file_has_a_place_for_many_registries() {
    let aws = Aws::start();
    let folder = tempfile::tempdir().expect("a directory");
    let settings = folder.path().join("config.yaml");
    fs::write(
        &settings,
        format!("registries: [{{match: [\"mirror.corp.example/v/\"], registry: {HOST}}}]\n"),
    )
    .expect("written");
    let other = "571600876202.dkr.ecr.eu-west-1.amazonaws.com";
    let arguments =
        ["credentials", "--format", "auth-json", HOST, other, "public.ecr.aws", "mirror.corp.example"];
    let plugin = Plugin::with_key(&aws)
        .env("ECR_CREDENTIAL_PROVIDER_CONFIG", settings.display().to_string())
        .with_cache(&folder.path().join("cache"));
    let outcome = plugin.args(&arguments).send("");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:#?}");
    let file: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let auths = file["auths"].as_object().expect("an object");
    let names: Vec<_> = auths.keys().map(String::as_str).collect();
    assert_eq!(names, [HOST, other, "mirror.corp.example", "public.ecr.aws"]);
    assert_eq!(auths[HOST], auths["mirror.corp.example"]);
    assert_ne!(auths[HOST], auths[other]);
    assert_eq!(aws.seen().len(), 3, "one call for each token");
}
