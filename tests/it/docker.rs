//! The role of a credential helper: what clients of registries write and read.

use std::fs::{self, hard_link};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ecr_credential_provider::protocol::ApiVersion;
use serde_json::{Value, json};
use stand_in::aws::{Aws, Fault, StatusCode};
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Outcome, Plugin, binary, request};

const NOT_FOUND: &str = "credentials not found in native keychain\n";

/// The helper in a folder of its own, which `AWS` may have to be asked for.
struct Helper {
    aws: Aws,
    folder: TempDir,
    plugin: Plugin,
}

impl Helper {
    fn new() -> Self {
        let aws = Aws::start();
        let folder = tempfile::tempdir().expect("a directory");
        let name = folder.path().join("docker-credential-ecr-login");
        symlink(binary(), &name).expect("a link");
        let plugin = Plugin::with_key(&aws).program(&name);
        Self { aws, folder, plugin }
    }

    fn with_cache(self) -> Self {
        Self { plugin: self.plugin.with_cache(&self.folder.path().join("cache")), ..self }
    }

    fn with_settings(self, yaml: &str) -> Self {
        let path = self.folder.path().join("config.yaml");
        fs::write(&path, yaml).expect("written");
        let path = path.display().to_string();
        Self { plugin: self.plugin.env("ECR_CREDENTIAL_PROVIDER_CONFIG", path), ..self }
    }

    fn run(&self, verb: &str, input: impl Into<Vec<u8>>) -> Outcome {
        self.plugin.clone().args(&[verb]).send(input)
    }

    /// `get`, which must answer for this server.
    #[track_caller]
    fn get(&self, server_url: &str) -> String {
        answered(&self.run("get", server_url), server_url)
    }
}

/// The password of an answer that is as it must be to the last byte.
#[track_caller]
fn answered(outcome: &Outcome, server_url: &str) -> String {
    let before = format!("{{\"ServerURL\":\"{server_url}\",\"Username\":\"AWS\",\"Secret\":\"");
    let secret = outcome.stdout.strip_prefix(&before).and_then(|rest| rest.strip_suffix("\"}\n"));
    let secret = secret.unwrap_or_else(|| panic!("expected {before}…\n{outcome:#?}"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:#?}");
    secret.to_owned()
}

/// It failed, and said so twice: for the client and for its user.
#[track_caller]
fn failed(outcome: &Outcome, line: &str) {
    outcome.is(1, &format!("{line}\n"), &format!("{line}\n"));
}

#[test]
fn every_form_of_a_server_gets_its_password() {
    let helper = Helper::new();
    let rows = [
        HOST.to_owned(),
        format!("https://{HOST}"),
        format!("https://{HOST}/"),
        format!("https://{HOST}/v1/"),
        format!("https://{HOST}:443/v2/"),
        format!("{HOST}:5000"),
        format!("{HOST}/team/app"),
        "571600876202.dkr.ecr-fips.us-east-1.amazonaws.com".to_owned(),
        "571600876202.dkr-ecr.eu-central-1.on.aws".to_owned(),
        "571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn".to_owned(),
        "https://public.ecr.aws".to_owned(),
        "ecr-public.aws.com".to_owned(),
    ];
    for server in rows {
        assert!(helper.aws.accepts_password(&helper.get(&server)), "{server}");
    }
    let regions: Vec<_> = helper.aws.seen().into_iter().map(|seen| seen.region).collect();
    assert_eq!(
        regions[6..],
        ["eu-central-1", "us-east-1", "eu-central-1", "cn-north-1", "us-east-1", "us-east-1"]
    );
    // What clients write around it.
    let outcome = helper.run("get", format!("  https://{HOST}\r\n"));
    answered(&outcome, &format!("https://{HOST}"));
    // What Go escapes.
    let outcome = helper.run("get", format!("{HOST}?a&b<c>"));
    answered(&outcome, &format!("{HOST}?a\\u0026b\\u003cc\\u003e"));
}

/// Clients ask about every registry, so this is silent, and cheap: neither the network nor a password is needed.
#[test]
fn other_servers_are_told_that_there_are_no_credentials() {
    let helper = Helper::new();
    let rows = [
        "https://index.docker.io/v1/",
        "ghcr.io",
        "localhost:5000",
        "[::1]:5000",
        "registry.corp.example:5000/team/app",
        "evil.example/571600876202.dkr.ecr.eu-central-1.amazonaws.com",
        "http://571600876202.dkr.ecr.eu-central-1.amazonaws.com",
        "AWS:canary@571600876202.dkr.ecr.eu-central-1.amazonaws.com",
        "a b",
    ];
    for server in rows {
        helper.run("get", server).is(1, NOT_FOUND, "");
    }
    assert!(helper.aws.seen().is_empty(), "{:?}", helper.aws.seen());
}

/// A name that is ECR's but for a mistake: the client goes on, its user should know.
#[test]
fn a_mistake_in_a_name_of_ecr_is_told_to_the_user() {
    let rows = [
        (
            "57160087620.dkr.ecr.eu-central-1.amazonaws.com",
            "`57160087620` is not an AWS account of 12 digits",
        ),
        ("571600876202.dkr.ecr.frankfurt.amazonaws.com", "`frankfurt` is not an AWS region"),
        (
            "571600876202.dkr.ecr.cn-north-1.amazonaws.com",
            "region `cn-north-1` is of partition aws-cn, which has another DNS suffix",
        ),
        (
            "571600876202.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
            "`amazonaws.com.evil.example` is not a DNS suffix of AWS for this form of name",
        ),
    ];
    let helper = Helper::new();
    for (server, reason) in rows {
        let line = format!(
            "ECRP100 not an ECR registry: `{server}`: {reason}; nothing to do if it is no registry of ECR; a name of \
             your own in front of ECR needs a rule with `registry` in the settings file\n"
        );
        helper.run("get", server).is(1, NOT_FOUND, &line);
    }
}

#[test]
fn a_name_of_ones_own_gets_the_password_that_its_rule_names() {
    let helper = Helper::new().with_settings(&format!(
        "registries:\n  - {{match: [\"registry.corp.example:5000\"], registry: {HOST}}}\n  \
         - {{match: [\"mirror.corp.example/vendor/\"], registry: 571600876202.dkr.ecr.eu-west-1.amazonaws.com}}\n  \
         - {{match: [\"mirror.corp.example/other/\"], registry: 571600876202.dkr.ecr.eu-west-2.amazonaws.com}}\n"
    ));
    // Most clients want one password for the whole server; a few name the image.
    let rows = [
        ("registry.corp.example:5000", "eu-central-1"),
        ("https://registry.corp.example:5000/v2/", "eu-central-1"),
        ("mirror.corp.example", "eu-west-1"),
        ("mirror.corp.example/other/app", "eu-west-2"),
        ("mirror.corp.example/vendor/app", "eu-west-1"),
    ];
    for (server, region) in rows {
        assert!(helper.aws.accepts_password(&helper.get(server)), "{server}");
        let asked = helper.aws.seen().pop().expect("AWS was asked");
        assert_eq!(asked.region, region, "{server}");
    }
    helper.run("get", "registry.corp.example").is(1, NOT_FOUND, "");
    helper
        .run("store", r#"{"ServerURL":"registry.corp.example:5000","Username":"a","Secret":"b"}"#)
        .is(0, "", "");
}

/// With the words of the protocol, by which clients know these mistakes.
#[test]
fn what_stands_on_stdin_is_checked() {
    let helper = Helper::new();
    let no_url = "no credentials server URL\n";
    let url_missing = "ECRP111 the server URL is missing: it is empty; [..]\n";
    let rows = [
        ("get", "", no_url, url_missing),
        ("get", " \n", no_url, url_missing),
        ("erase", "\n", no_url, url_missing),
        ("store", "{}", no_url, url_missing),
        (
            "store",
            r#"{"ServerURL":"ghcr.io","Secret":"canary"}"#,
            "no credentials username\n",
            "ECRP112 [..]\n",
        ),
    ];
    for (verb, input, stdout, stderr) in rows {
        helper.run(verb, input).is(1, stdout, stderr);
    }
    let malformed =
        [("store", "canary"), ("store", r#"{"ServerURL": {"canary": 1}}"#), ("store", r#"["canary"]"#)];
    for (verb, input) in malformed {
        let outcome = helper.run(verb, input);
        let line = "ECRP113 the docker credential helper is called wrongly: stdin holds no credentials: [..]";
        failed(&outcome, line);
        assert!(!outcome.stdout.contains("canary"), "{outcome:#?}");
    }
    failed(
        &helper.run("get", "x".repeat(70_000)),
        "ECRP113 [..]: there are more than 65536 bytes on stdin; [..]",
    );
}

/// `docker login` and `docker logout` end well, though nothing is kept. For other servers it is a failure, as a
/// password would be lost.
#[test]
fn store_and_erase_do_nothing() {
    let helper = Helper::new().with_cache();
    let store = |server: &str| json!({"ServerURL": server, "Username": "u", "Secret": "canary"}).to_string();
    helper.run("store", store(HOST)).is(0, "", "");
    helper.run("store", store(&format!("https://{HOST}/v2/"))).is(0, "", "");
    helper.run("erase", HOST).is(0, "", "");
    helper.run("erase", "ghcr.io").is(1, NOT_FOUND, "");
    let line = "ECRP114 this helper keeps no passwords: `ghcr.io`: the host name has none of the forms of ECR; make it \
                the helper of ECR alone, by `credHelpers` instead of `credsStore`, and log in to this server again";
    failed(&helper.run("store", store("ghcr.io")), line);
    assert!(helper.aws.seen().is_empty(), "AWS was asked");
    assert!(!helper.folder.path().join("cache").exists(), "something was kept");
}

#[test]
fn list_shows_what_the_cache_holds_and_asks_nobody() {
    let helper = Helper::new().with_cache();
    helper.run("list", "").is(0, "{}\n", "");
    let other_account = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    for server in [HOST, other_account, "public.ecr.aws"] {
        helper.get(server);
    }
    assert_eq!(helper.aws.seen().len(), 2, "accounts of a region share a password");
    let all = format!(
        r#"{{"https://{other_account}":"AWS","https://{HOST}":"AWS","https://public.ecr.aws":"AWS"}}"#
    );
    helper.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    helper.run("list", "").is(0, &format!("{all}\n"), "");
    assert_eq!(helper.aws.seen().len(), 2, "AWS was asked");
    helper.plugin.clone().args(&["cache"]).program(&binary()).args(&["cache", "clear"]).send("");
    helper.run("list", "").is(0, "{}\n", "");
}

#[test]
fn it_says_what_it_is() {
    let helper = Helper::new();
    let version =
        concat!("docker-credential-ecr-login (ecr-credential-provider) ", env!("CARGO_PKG_VERSION"), "\n");
    let usage = "Usage: docker-credential-ecr-login <store|get|erase|list|version>\n";
    for (argument, stdout) in
        [("version", version), ("--version", version), ("-v", version), ("--help", usage), ("-h", usage)]
    {
        helper.run(argument, "").is(0, stdout, "");
    }
    let remedy = "it takes one verb, `get`, `store`, `erase`, `list` or `version`, and a client that writes to stdin; \
                  for people there is `ecr-credential-provider docker --help`";
    let rows = [
        (vec![], "there is no verb"),
        (vec!["bogus"], "`bogus` is not a verb"),
        (vec!["get", "x"], "`get x` is not a verb"),
    ];
    for (arguments, cause) in rows {
        let line = format!("ECRP113 the docker credential helper is called wrongly: {cause}; {remedy}");
        failed(&helper.plugin.clone().args(&arguments).send(""), &line);
    }
}

/// By a link of either kind, as a copy, or by the command: the same answer.
#[test]
fn the_name_makes_the_helper() {
    let helper = Helper::new();
    let place = |name: &str| helper.folder.path().join(name);
    let copy = place("copy");
    fs::copy(binary(), &copy).expect("copied");
    fs::create_dir(place("hard")).expect("a directory");
    hard_link(&copy, place("hard/docker-credential-ecr-login")).expect("a link");
    symlink(&copy, place("docker-credential-vendor")).expect("a link");
    let named = |name: &str| helper.plugin.clone().program(&place(name)).args(&["get"]);
    for plugin in [
        named("docker-credential-ecr-login"),
        named("hard/docker-credential-ecr-login"),
        named("docker-credential-vendor"),
        helper.plugin.clone().program(Path::new(&binary())).args(&["docker", "get"]),
    ] {
        answered(&plugin.send(HOST), HOST);
    }
}

/// Clients take stdout for the reason. Those that go on without a password show stderr at least.
#[test]
fn a_failure_is_told_on_both_outputs() {
    let helper = Helper::new();
    helper.aws.behave(|aws| {
        let denied = "User: arn:aws:iam::1:user/a is not authorized to perform: ecr:GetAuthorizationToken";
        aws.fault = Some(Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", denied.to_owned()));
    });
    failed(&helper.run("get", HOST), "ECRP401 AWS denies access: [..]; allow the action [..]");
    // It serves without a password, so there is no failure.
    helper.run("get", "public.ecr.aws").is(1, NOT_FOUND, "");
    let nobody =
        helper.plugin.clone().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY").args(&["get"]);
    nobody.send("public.ecr.aws").is(1, NOT_FOUND, "");
    failed(&nobody.send(HOST), "ECRP301 no AWS identity found: [..]");
    let log = helper
        .plugin
        .clone()
        .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug")
        .args(&["get"])
        .send("public.ecr.aws");
    assert_eq!((log.code, log.stdout.as_str()), (Some(1), NOT_FOUND));
    let wrong = helper.plugin.clone().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "soon").args(&["get"]);
    failed(&wrong.send("ghcr.io"), "ECRP201 a setting has an invalid value: [..]");
}

#[test]
fn the_deadline_is_told_on_both_outputs() {
    let helper = Helper::new();
    helper.aws.behave(|aws| aws.fault = Some(Fault::Hang));
    let hasty = helper.plugin.clone().env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "1s").args(&["get"]);
    let outcome = hasty.send(HOST).within(Duration::from_secs(2));
    failed(&outcome, "ECRP50[..]");
}

/// A client that does not read cannot be told, and must not be waited for.
#[test]
fn a_stdout_that_nobody_reads_does_not_hold_up_the_end() {
    let helper = Helper::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // As much as a pipe takes.
    rustix::io::ioctl_fionbio(&writer, true).expect("set");
    while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("set");
    let mut child = helper
        .plugin
        .clone()
        .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "1s")
        .args(&["get"])
        .command()
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), HOST.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    drop(reader);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("ECRP507 the deadline passed: 1 s were over while writing the answer to stdout"),
        "{stderr}"
    );
}

/// A user of docker is not root: there is no HOME in a service, and /etc may be the kubelet's alone.
#[test]
fn another_user_without_a_home_gets_a_password() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let helper = Helper::new();
    let name = Path::new("/tmp").join(format!("docker-credential-{}", helper.aws.address().port()));
    fs::copy(binary(), &name).expect("copied");
    let outcome = helper
        .plugin
        .clone()
        .without("ECR_CREDENTIAL_PROVIDER_CACHE")
        .program(&name)
        .user(65534)
        .args(&["get"])
        .send(HOST);
    fs::remove_file(&name).expect("removed");
    answered(&outcome, HOST);
}

#[test]
fn a_failure_shows_no_secret() {
    let helper = Helper::new();
    let faults = [
        Fault::Data(
            r#"{"authorizationData": [{"authorizationToken": "{token}", "expiresAt": 0}]}"#.to_owned(),
        ),
        Fault::Raw(StatusCode::OK, "text/html", "<p>canary</p>".to_owned()),
        Fault::Reset,
    ];
    let loud = helper.plugin.clone().env("ECR_CREDENTIAL_PROVIDER_LOG", "debug").args(&["get"]);
    for fault in faults {
        helper.aws.behave(|aws| aws.fault = Some(fault.clone()));
        let outcome = loud.send(HOST);
        assert_eq!(outcome.code, Some(1), "{fault:?}");
        assert!(!outcome.stdout.contains("canary") && !outcome.stderr.contains("canary"), "{outcome:#?}");
        assert!(outcome.stdout.starts_with("ECRP"), "{outcome:#?}");
    }
    let in_url = loud.send(format!("https://user:canary@{HOST}/?canary"));
    assert!(!in_url.stderr.contains("canary"), "{in_url:#?}");
}

/// Users do install the wrong one.
#[test]
fn the_kubelet_is_told_that_it_calls_the_wrong_role() {
    let helper = Helper::new();
    let cause = "there is a CredentialProviderRequest on stdin";
    let line = format!(
        "ECRP108 this is the docker credential helper, and the kubelet calls it: {cause}; name the provider \
         `ecr-credential-provider` in the CredentialProviderConfig, and put the binary under that name into the directory \
         of `--image-credential-provider-bin-dir`: `docker-credential-ecr-login` is for docker, podman, skopeo and helm"
    );
    for version in [ApiVersion::V1, ApiVersion::V1Alpha1] {
        for arguments in [vec![], vec!["get-credentials"], vec!["get"], vec!["erase"], vec!["store"]] {
            let outcome = helper.plugin.clone().args(&arguments).send(request(version, IMAGE));
            // No line break: the kubelet's journal would have three lines.
            outcome.is(1, &format!("{line}\n"), &line);
        }
    }
    assert!(helper.aws.seen().is_empty(), "AWS was asked");
}

#[test]
fn a_client_of_docker_is_told_that_it_calls_the_wrong_role() {
    let helper = Helper::new();
    let provider = helper.plugin.clone().program(&binary());
    let title =
        "ECRP109 this is the kubelet's credential provider, and it is called as the docker credential helper";
    let rows = [
        (HOST.to_owned(), "the name of a server"),
        (format!("https://{HOST}/v2/\n"), "the name of a server"),
        ("ghcr.io".to_owned(), "the name of a server"),
        ("localhost:5000".to_owned(), "the name of a server"),
        (r#"{"ServerURL":"ghcr.io","Username":"u","Secret":"canary"}"#.to_owned(), "JSON of docker"),
        (r#"{"auths":{"ghcr.io":{"auth":"canary"}}}"#.to_owned(), "JSON of docker"),
    ];
    for (input, what) in rows {
        let line = format!("{title}: there is {what} on stdin; call it `docker-credential-ecr-login`: [..]");
        provider.send(input).failed(&line);
    }
    // What is neither stays what it was.
    provider.send("canary").failed("ECRP103 the request is not a valid CredentialProviderRequest: [..]");
    for verb in ["get", "store", "erase", "list"] {
        let outcome = provider.clone().args(&[verb]).send(HOST);
        failed(&outcome, &format!("{title}: there is a verb of credential helpers in the arguments; [..]"));
    }
}

/// Records are for this role too: an administrator sees one picture of the node.
#[test]
fn a_call_leaves_the_records_that_the_settings_want() {
    let helper = Helper::new();
    let log = helper.folder.path().join("log");
    let helper = helper.with_settings(&format!("log: {}\n", log.display()));
    helper.get(HOST);
    helper.run("get", "ghcr.io");
    helper.run("list", "");
    #[expect(clippy::disallowed_methods, reason = "the test reads what the program wrote")]
    let log = fs::read_to_string(&log).expect("a log");
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains(&format!("result=ok image={HOST} ")), "{log}");
    assert!(lines[1].contains("result=empty code=ECRP110 image=ghcr.io "), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

/// One token serves the kubelet and the clients of the same user.
#[test]
fn the_roles_share_the_cache() {
    let helper = Helper::new().with_cache();
    let password = helper.get(HOST);
    let (of_kubelet, _) = helper.plugin.clone().program(&binary()).ask(IMAGE).credentials();
    assert_eq!(password, of_kubelet);
    assert_eq!(helper.aws.seen().len(), 1);
    let answer: Value = serde_json::from_str(&helper.run("get", HOST).stdout).expect("JSON");
    assert_eq!(answer["Secret"], password);
}
