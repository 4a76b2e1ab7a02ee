//! Secrets stay where they belong: the password on stdout, and nothing anywhere else.

use std::fs;
use std::path::{Path, PathBuf};

use ecr_credential_provider::protocol::ApiVersion;
use stand_in::aws::{Aws, Fault, SECRET_ACCESS_KEY, StatusCode};
use tempfile::TempDir;

use crate::plugin::{HOST, IMAGE, Outcome, Plugin};

/// Every way to a secret in one run: a key in a file, a role, a session token, the registry password, all of
/// them with `canary` in it, and a service account token of the kubelet.
struct World {
    aws: Aws,
    _folder: TempDir,
    plugin: Plugin,
}

impl World {
    fn new() -> Self {
        let aws = Aws::start();
        let folder = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let key = stand_in::aws::ACCESS_KEY_ID;
        let credentials =
            format!("[base]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n");
        let config = "[default]\nrole_arn = arn:aws:iam::571600876202:role/pull\nsource_profile = base\n";
        let plugin = Plugin::bare()
            .env("AWS_SHARED_CREDENTIALS_FILE", write("credentials", credentials))
            .env("AWS_CONFIG_FILE", write("config", config.to_owned()))
            .env("AWS_ENDPOINT_URL", aws.url())
            .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug")
            .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s")
            // Variables that make other programs talk.
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        Self { aws, _folder: folder, plugin }
    }

    fn ask(&self) -> Outcome {
        self.plugin.send(format!(
            r#"{{"kind":"CredentialProviderRequest","apiVersion":"{}","image":"{IMAGE}",
                 "serviceAccountToken":"canary-service-account","serviceAccountAnnotations":{{}}}}"#,
            ApiVersion::V1.as_str()
        ))
    }
}

#[test]
fn under_full_logging_the_password_is_on_stdout_alone() {
    let world = World::new();
    let outcome = world.ask();
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stderr.lines().count() > 4, "there is a trace: {outcome:#?}");
    assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
    let secrets: Vec<_> = outcome.stdout.matches("canary").collect();
    assert_eq!(secrets.len(), 1, "the password, once");
    assert!(
        outcome
            .stdout
            .contains(&format!("\"{HOST}\":{{\"username\":\"AWS\",\"password\":\"canary-password-"))
    );
}

#[test]
fn no_failure_shows_a_secret() {
    let session_token = "IQoJb3JpZ2luX2Vj".repeat(40);
    let raw = |status, content_type, body: &str| Fault::Raw(status, content_type, body.to_owned());
    let json = "application/x-amz-json-1.1";
    let faults = [
        // The answer is cut off or wrong after the password.
        Fault::Data(
            r#"{"authorizationData": [{"authorizationToken": "{token}", "expiresAt": "soon"}]}"#.to_owned(),
        ),
        Fault::Data(r#"{"authorizationData": [{"authorizationToken": "{token}""#.to_owned()),
        Fault::Data(
            r#"{"authorizationData": [{"authorizationToken": "{token}", "expiresAt": 0}]}"#.to_owned(),
        ),
        // AWS, or a proxy, quotes what was sent.
        Fault::Error(
            StatusCode::BAD_REQUEST,
            "AccessDeniedException",
            format!("canary-session-1-{session_token} is no good"),
        ),
        Fault::Error(
            StatusCode::BAD_REQUEST,
            "InvalidSignatureException",
            "mismatch\n\nx-amz-security-token:canary".to_owned(),
        ),
        raw(StatusCode::OK, "text/html", "<p>canary</p>"),
        raw(StatusCode::INTERNAL_SERVER_ERROR, json, "canary"),
        Fault::Reset,
    ];
    for fault in faults {
        let world = World::new();
        world.aws.behave(|aws| aws.fault = Some(fault.clone()));
        let outcome = world.ask();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{fault:?}");
        assert!(outcome.stderr.lines().last().is_some_and(|line| line.starts_with("ECRP")), "{outcome:#?}");
        assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("IQoJ"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("Y2FuYXJ5"), "in base64: {}", outcome.stderr);
    }
}

/// Secrets that stand in URLs: of a proxy, of an endpoint, of the container credentials.
#[test]
fn no_url_shows_its_secret() {
    let aws = Aws::start();
    let address = aws.address();
    let plugin = Plugin::with_key(&aws)
        .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug")
        .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
    let bare = plugin.clone().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let url = |path: &str| format!("http://node:canary-password@{address}{path}");
    let runs = [
        plugin.clone().env("AWS_ENDPOINT_URL_ECR", url("/")),
        plugin.clone().env("AWS_ENDPOINT_URL_ECR", "http://node:canary-password@127.0.0.1:1/canary?canary"),
        plugin.clone().without("AWS_ENDPOINT_URL_ECR").env("HTTPS_PROXY", url("/")),
        plugin
            .without("AWS_ENDPOINT_URL_ECR")
            .env("HTTPS_PROXY", format!("socks5://node:canary-password@{address}")),
        bare.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{address}/canary-path?sig=canary")),
    ];
    for run in runs {
        let outcome = run.ask(IMAGE);
        assert!(outcome.stderr.lines().count() > 1, "there is a trace: {outcome:#?}");
        assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
    }
}

/// What is served where credentials are served may be credentials, even with the wrong status.
#[test]
fn no_answer_of_a_source_of_credentials_is_shown() {
    let bodies = [
        (StatusCode::OK, "canary"),
        (StatusCode::INTERNAL_SERVER_ERROR, "canary"),
        (StatusCode::FORBIDDEN, "canary"),
    ];
    for fault in bodies {
        let aws = Aws::start();
        aws.behave(|aws| aws.credentials_fault = Some(fault));
        let plugin = Plugin::bare()
            .env("AWS_ENDPOINT_URL", aws.url())
            .env("ECR_CREDENTIAL_PROVIDER_LOG", "debug")
            .env("ECR_CREDENTIAL_PROVIDER_DEADLINE", "2s");
        let uri = format!("{}/container-credentials", aws.url());
        let folder = tempfile::tempdir().expect("a directory");
        let token = folder.path().join("token");
        fs::write(&token, "canary-web-identity").expect("written");
        let runs = [
            plugin.clone().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri),
            plugin
                .clone()
                .env("ECR_CREDENTIAL_PROVIDER_IMDS", "enabled")
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url()),
            plugin
                .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string())
                .env("AWS_ROLE_ARN", "arn:aws:iam::571600876202:role/pull"),
        ];
        for run in runs {
            let outcome = run.ask(IMAGE);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
            assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
        }
    }
}

/// A call of `expose` is where a secret leaves. These files may.
#[test]
fn secrets_are_exposed_in_few_places() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut exposing: Vec<_> = rust_files(&source);
    exposing.retain(|path| production_code(path).contains(".expose("));
    let mut names: Vec<_> =
        exposing.iter().filter_map(|path| path.strip_prefix(&source).ok()?.to_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "aws/probe.rs",
            "aws/proxy.rs",
            "aws/sts.rs",
            "cache/entry.rs",
            "cache/key.rs",
            // Of the `env` in the kubelet's configuration, the variables of our settings.
            "command/validate/settings.rs",
            "cri/messages.rs",
            "docker/protocol.rs",
            "host.rs",
            "login.rs",
            "protocol.rs",
            "service_account.rs",
            "token.rs"
        ]
    );
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "tests read files of the repository")]
fn production_code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}
