//! Nothing outlasts the deadline: not stdin, not stdout, and not a file that never ends.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::Aws;

use crate::plugin::{IMAGE, Plugin, now, request};

const REMEDY: &str =
    "find out why that step is slow; `ECR_CREDENTIAL_PROVIDER_DEADLINE` raises the deadline up to 55s";

fn impatient(aws: &Aws) -> Plugin {
    Plugin::with_key(aws).env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "1s")
}

/// A named pipe that nobody writes to stands for a file on a network mount that is gone.
#[test]
fn a_file_that_never_ends() {
    let aws = Aws::start();
    let folder = tempfile::tempdir().expect("a directory");
    let pipe = folder.path().join("pipe").display().to_string();
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let bare = impatient(&aws).without("AWS_ACCESS_KEY_ID").env("AWS_ENDPOINT_URL_STS", aws.url());
    let rows = [
        (bare.clone().env("AWS_SHARED_CREDENTIALS_FILE", pipe.clone()), "reading `PIPE`"),
        (bare.clone().env("AWS_CONFIG_FILE", pipe.clone()), "reading `PIPE`"),
        (
            bare.env("AWS_WEB_IDENTITY_TOKEN_FILE", pipe.clone())
                .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/a"),
            "getting credentials from the web identity token in `PIPE`",
        ),
        (
            impatient(&aws)
                .env("AWS_ENDPOINT_URL_ECR", "https://127.0.0.1:1")
                .env("AWS_CA_BUNDLE", pipe.clone()),
            "reading `PIPE` (`AWS_CA_BUNDLE`)",
        ),
    ];
    for (plugin, step) in rows {
        let outcome = plugin.ask(IMAGE).within(Duration::from_secs(1)).masking(&pipe, "PIPE");
        outcome.failed(&format!("ECRP507 the deadline passed: 1 s were over while {step}; {REMEDY}"));
    }
}

/// The kubelet closes stdin. Who does not must not keep a process for ever.
#[test]
fn a_stdin_that_stays_open() {
    let aws = Aws::start();
    let started = now();
    let mut child = impatient(&aws)
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"{\"kind\":").expect("written");
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), [].as_slice()));
    let step = "waiting for the caller to write the request to stdin and close it";
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("ECRP507 the deadline passed: 1 s were over while {step}; {REMEDY}")
    );
}

#[test]
fn a_stdout_that_is_full() {
    let aws = Aws::start();
    let started = now();
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    // As much as a pipe holds; see pipe(7).
    writer.write_all(&vec![0; 65536]).expect("written");
    let mut child = impatient(&aws)
        .command()
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let input = request(ApiVersion::V1, IMAGE);
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("ECRP507 the deadline passed: 1 s were over while writing the response to stdout; {REMEDY}")
    );
}
