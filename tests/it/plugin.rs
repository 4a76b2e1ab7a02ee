//! Running the binary, and comparing what it did.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ecr_credential_provider::duration::GoDuration;
use ecr_credential_provider::protocol::ApiVersion;
use serde_json::Value;
use snapbox::assert_data_eq;
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};

/// The registry of the first user.
pub(crate) const HOST: &str = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
/// An image in it.
pub(crate) const IMAGE: &str =
    "571600876202.dkr.ecr.eu-central-1.amazonaws.com/softwareimprovementgroup/sigrid-api";

/// How long a run may take before the test gives it up; the kubelet's own limit.
const KUBELET_PATIENCE: Duration = Duration::from_mins(1);

/// The path of the binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ecr-credential-provider"))
}

/// The binary with an environment.
#[derive(Clone)]
pub(crate) struct Plugin {
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    program: PathBuf,
    user: Option<u32>,
}

impl Plugin {
    /// An environment that holds nothing but what keeps a test on loopback and apart from the others.
    pub(crate) fn bare() -> Self {
        Self { environment: BTreeMap::new(), arguments: Vec::new(), program: binary(), user: None }
            .env("ECR_CREDENTIAL_PROVIDER_IMDS", "disabled")
            .env("ECR_CREDENTIAL_PROVIDER_CACHE", "off")
    }

    /// With a cache in a directory of the test's own.
    pub(crate) fn with_cache(self, directory: &Path) -> Self {
        self.without("ECR_CREDENTIAL_PROVIDER_CACHE")
            .env("ECR_CREDENTIAL_PROVIDER_CACHE_DIR", directory.display().to_string())
    }

    /// With an access key, and `aws` as ECR.
    pub(crate) fn with_key(aws: &Aws) -> Self {
        Self::bare()
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .env("AWS_ENDPOINT_URL_ECR", aws.url())
            .env("AWS_ENDPOINT_URL_ECR_PUBLIC", aws.url())
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    /// Another program than the binary under test: a copy of it, or a script that runs it.
    pub(crate) fn program(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.program);
        self
    }

    /// Run by another user.
    pub(crate) fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// The command, for tests that do unusual things with its file descriptors.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.args(&self.arguments).env_clear().envs(&self.environment).current_dir("/");
        command
    }

    /// Asks for `image` in version 1 of the protocol.
    pub(crate) fn ask(&self, image: &str) -> Outcome {
        self.send(request(ApiVersion::V1, image))
    }

    /// Writes `input` to stdin.
    pub(crate) fn send(&self, input: impl Into<Vec<u8>>) -> Outcome {
        let started = now();
        let output = assert_cmd::Command::from_std(self.command())
            .write_stdin(input)
            .timeout(KUBELET_PATIENCE)
            .output()
            .expect("the binary runs");
        Outcome {
            run: format!("{:?} with {:#?}", self.arguments, self.environment),
            elapsed: started.elapsed(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A request as the kubelet writes it.
pub(crate) fn request(version: ApiVersion, image: &str) -> String {
    let version = version.as_str();
    format!(r#"{{"kind":"CredentialProviderRequest","apiVersion":"{version}","image":"{image}"}}"#)
}

/// What a run did.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    run: String,
    elapsed: Duration,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Replaces what differs between runs, such as a port.
    pub(crate) fn masking(mut self, text: &impl ToString, label: &str) -> Self {
        self.stdout = self.stdout.replace(&text.to_string(), label);
        self.stderr = self.stderr.replace(&text.to_string(), label);
        self
    }

    /// It was over within `limit`, and a second for a machine that is busy.
    #[track_caller]
    pub(crate) fn within(self, limit: Duration) -> Self {
        assert!(self.elapsed < limit + Duration::from_secs(1), "{self:#?}");
        self
    }

    /// Compares all three. `[..]` stands for anything within a line.
    #[track_caller]
    #[expect(clippy::print_stdout, reason = "cargo shows it if the test fails")]
    pub(crate) fn is(&self, code: i32, stdout: &str, stderr: &str) {
        println!("run: {}\n{self:#?}", self.run);
        assert_eq!(self.code, Some(code));
        assert_data_eq!(self.stdout.clone(), stdout.to_owned());
        assert_data_eq!(self.stderr.clone(), stderr.to_owned());
    }

    /// It failed with this one line, which has no line break at its end: the kubelet's journal would have it
    /// on three.
    #[track_caller]
    pub(crate) fn failed(&self, line: &str) {
        self.is(1, "", line);
    }

    /// It answered with a password for `key`, kept for `cache_duration`, and had nothing else to say.
    #[track_caller]
    pub(crate) fn answered(&self, version: ApiVersion, key: &str, cache_duration: &str) -> String {
        let version = version.as_str();
        let before = format!(
            "{{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"{version}\",\"cacheKeyType\":\"Registry\",\
             \"cacheDuration\":\"{cache_duration}\",\"auth\":{{\"{key}\":{{\"username\":\"AWS\",\"password\":\""
        );
        let password = self.stdout.strip_prefix(&before).and_then(|rest| rest.strip_suffix("\"}}}\n"));
        let password = password.unwrap_or_else(|| panic!("expected {before}…\n{self:#?}"));
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:#?}");
        password.to_owned()
    }

    /// It answered with a password, whichever; returns that and for how long it is to be kept.
    #[track_caller]
    pub(crate) fn credentials(&self) -> (String, GoDuration) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let response: Value = serde_json::from_str(&self.stdout).expect("JSON");
        let auth = response["auth"].as_object().unwrap_or_else(|| panic!("no password: {self:#?}"));
        let password = auth.values().next().and_then(|auth| auth["password"].as_str());
        let keep = response["cacheDuration"].as_str().and_then(|text| text.parse().ok());
        (password.expect("a password").to_owned(), keep.expect("a duration"))
    }

    /// It answered that it has no password, with `reason` on stderr.
    #[track_caller]
    pub(crate) fn answered_nothing(&self, cache_duration: &str, reason: &str) {
        let version = ApiVersion::V1.as_str();
        let stdout = format!(
            "{{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"{version}\",\"cacheKeyType\":\"Registry\",\
             \"cacheDuration\":\"{cache_duration}\",\"auth\":null}}\n"
        );
        self.is(0, &stdout, reason);
    }
}

#[expect(clippy::disallowed_methods, reason = "what must end in time is measured")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A file below the root of the repository.
pub(crate) fn repository_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read(&path)
}

mod fs {
    use std::path::Path;

    #[expect(clippy::disallowed_methods, reason = "tests read files of the repository")]
    pub(super) fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
