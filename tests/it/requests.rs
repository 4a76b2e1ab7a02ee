//! Requests that are not: each is refused with one line, soon, and without a call to AWS.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::Aws;

use crate::plugin::{HOST, IMAGE, Plugin};

const V1: &str = r#""apiVersion":"credentialprovider.kubelet.k8s.io/v1""#;
const KIND: &str = r#""kind":"CredentialProviderRequest""#;

/// Every field but `image`, which is `value` (JSON).
fn with_image(value: &str) -> String {
    format!("{{{KIND},{V1},\"image\":{value}}}")
}

/// A request in which `field` (JSON) is added.
fn with_field(field: &str) -> String {
    format!("{{{KIND},{V1},\"image\":\"{IMAGE}\",{field}}}")
}

/// Input, and the start of the line that refuses it.
#[expect(clippy::too_many_lines, reason = "a table")]
fn malformed() -> Vec<(Vec<u8>, &'static str)> {
    let not_valid = "ECRP103 the request is not a valid CredentialProviderRequest: ";
    let text = |text: &str, line| (text.as_bytes().to_vec(), line);
    let image = |value: &str, line| (with_image(value).into_bytes(), line);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        text("", "ECRP101 cannot read the request from stdin: stdin is empty; "),
        text(
            " \n",
            "ECRP103 the request is not a valid CredentialProviderRequest: EOF while parsing a value",
        ),
        text(
            "null",
            "ECRP103 the request is not a valid CredentialProviderRequest: invalid type: null, expected",
        ),
        text("true", not_valid),
        text("42", not_valid),
        text("\"text\"", not_valid),
        text("[]", not_valid),
        text("{", not_valid),
        text("}", not_valid),
        text("{}", "ECRP103 the request is not a valid CredentialProviderRequest: missing field `kind`"),
        text("kind: CredentialProviderRequest", not_valid),
        text(
            HOST,
            "ECRP109 this is the kubelet's credential provider, and it is called as the docker credential helper: ",
        ),
        text(
            &format!("{{{KIND}}}"),
            "ECRP103 the request is not a valid CredentialProviderRequest: missing field `apiVersion`",
        ),
        text(
            &format!("{{{KIND},{V1}}}"),
            "ECRP103 the request is not a valid CredentialProviderRequest: missing field `image`",
        ),
        text(&format!("{},", with_image("\"a\"")), not_valid),
        text(
            &with_image("\"a\"").repeat(2),
            "ECRP103 the request is not a valid CredentialProviderRequest: trailing characters",
        ),
        text(&format!("\u{feff}{}", with_image("\"a\"")), not_valid),
        (b"{\"kind\":\"\xff\"}".to_vec(), not_valid),
        (b"\0\0\0".to_vec(), not_valid),
        text(&format!("{{\"kind\":1,{V1},\"image\":\"a\"}}"), not_valid),
        text(
            &format!("{{{KIND},{KIND},{V1},\"image\":\"a\"}}"),
            "ECRP103 the request is not a valid CredentialProviderRequest: duplicate field `kind`",
        ),
        (
            with_field(r#""image":"b""#).into_bytes(),
            "ECRP103 the request is not a valid CredentialProviderRequest: duplicate field `image`",
        ),
        (with_field(r#""serviceAccountToken":{}"#).into_bytes(), not_valid),
        (with_field(r#""serviceAccountAnnotations":"a""#).into_bytes(), not_valid),
        (
            with_field(&format!("\"new\":{deep}")).into_bytes(),
            "ECRP103 the request is not a valid CredentialProviderRequest: recursion limit exceeded",
        ),
        (deep.into_bytes(), not_valid),
        text(
            &format!("{{\"kind\":\"CredentialProviderResponse\",{V1},\"image\":\"a\"}}"),
            "ECRP104 the request is of another kind: kind is `CredentialProviderResponse`; ",
        ),
        text(
            &format!("{{\"kind\":\"\",{V1},\"image\":\"a\"}}"),
            "ECRP104 the request is of another kind: kind is ``; ",
        ),
        text(
            &format!("{{{KIND},\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v2\",\"spec\":{{}}}}"),
            "ECRP105 the request has an apiVersion that is not known here: apiVersion is `credentialprovider.kubelet.k8s.io/v2`; ",
        ),
        text(
            &format!("{{{KIND},\"apiVersion\":\"v1\",\"image\":\"a\"}}"),
            "ECRP105 the request has an apiVersion that is not known here: apiVersion is `v1`; ",
        ),
        image(
            "1",
            "ECRP103 the request is not a valid CredentialProviderRequest: invalid type: integer, expected a string",
        ),
        image(
            "null",
            "ECRP103 the request is not a valid CredentialProviderRequest: invalid type: null, expected a string",
        ),
        image("\"\"", "ECRP106 the image reference is malformed: it is empty; "),
        image("\" \"", "ECRP106 the image reference is malformed: "),
        image(
            &format!("\"https://{IMAGE}\""),
            "ECRP106 the image reference is malformed: it has a scheme (`://`); ",
        ),
        image(
            &format!("\"{HOST}/\""),
            "ECRP106 the image reference is malformed: `` is not a repository name",
        ),
        image(
            &format!("\"{HOST}/Team/App\""),
            "ECRP106 the image reference is malformed: `Team/App` is not a repository name",
        ),
        image(&format!("\"{HOST}/a b\""), "ECRP106 the image reference is malformed: "),
        image(&format!("\"{HOST}/a\\nb\""), "ECRP106 the image reference is malformed: "),
        image(
            &format!("\"{HOST}:port/a\""),
            "ECRP106 the image reference is malformed: `port` is not a port; ",
        ),
        image(
            &format!("\"{HOST}:99999/a\""),
            "ECRP106 the image reference is malformed: `99999` is not a port; ",
        ),
        image(&format!("\"{HOST}./a\""), "ECRP106 the image reference is malformed: "),
        image(
            &format!("\"user:password@{HOST}/a\""),
            "ECRP106 the image reference is malformed: the digest is malformed; ",
        ),
        image(
            &format!("\"{HOST}/a@sha256:12\""),
            "ECRP106 the image reference is malformed: the digest is malformed; ",
        ),
        image(
            &format!("\"{HOST}/{}\"", "a".repeat(300)),
            "ECRP106 the image reference is malformed: the repository name is longer",
        ),
        (vec![b' '; (1 << 20) + 1], "ECRP102 the request is larger than 1 MiB: more than 1048576 bytes; "),
    ]
}

#[test]
fn a_malformed_request_is_refused_with_one_line() {
    let aws = Aws::start();
    for (input, line) in malformed() {
        let outcome = Plugin::with_key(&aws).send(input).within(Duration::ZERO);
        outcome.failed(&format!("{line}[..]"));
    }
    assert_eq!(aws.seen().len(), 0, "AWS was asked");
}

#[test]
fn fields_of_newer_kubelets_are_ignored() {
    let aws = Aws::start();
    let request = with_field(
        r#""serviceAccountToken":"eyJ","serviceAccountAnnotations":{"a":"b"},"podName":{"x":[1,null]},"":0"#,
    );
    Plugin::with_key(&aws).send(request).answered(ApiVersion::V1, HOST, "6h0m0s");
}

#[test]
fn a_request_of_exactly_one_mebibyte_is_read() {
    let aws = Aws::start();
    let request = with_image(&format!("\"{IMAGE}\""));
    let padded = format!("{request}{}", " ".repeat((1 << 20) - request.len()));
    Plugin::with_key(&aws).send(padded).answered(ApiVersion::V1, HOST, "6h0m0s");
}

#[test]
fn a_stdout_that_nobody_reads_is_an_error_not_a_signal() {
    let aws = Aws::start();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = Plugin::with_key(&aws)
        .command()
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let request = with_image(&format!("\"{IMAGE}\""));
    child.stdin.take().expect("a pipe").write_all(request.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "ECRP902 cannot write the response to stdout: Broken pipe (os error 32); see the reason; if it is a broken \
         pipe, the caller gave up before it read the response"
    );
}
