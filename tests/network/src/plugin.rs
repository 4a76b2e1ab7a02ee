//! Our binary, as the kubelet runs it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::kubelet::{CredentialProviderConfig, Provider};

/// The registry of the first user.
pub(crate) const REGISTRY: &str = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
const SHIPPED_CONFIG: &str = include_str!("../../../node-config/credential-provider-config.yaml");

/// The binary with an environment.
#[derive(Clone)]
pub(crate) struct Plugin(BTreeMap<String, String>);

impl Plugin {
    /// Without any identity.
    pub(crate) fn bare() -> Self {
        Self(BTreeMap::new()).env("ECR_CREDENTIAL_PROVIDER_CACHE", "off")
    }

    /// With a key that AWS knows.
    pub(crate) fn with_key() -> Self {
        Self::bare().env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Asks for an image of `registry`.
    #[expect(clippy::disallowed_methods, reason = "what must end in time is measured")]
    pub(crate) fn ask(&self, registry: &str) -> Result<Outcome> {
        let image = format!("{registry}/softwareimprovementgroup/sigrid-api");
        let provider = provider_for(&image)?;
        let binary = std::env::var("NETWORK_TEST_BINARY").context("NETWORK_TEST_BINARY is not set")?;
        let started = Instant::now();
        let mut child = Command::new(binary)
            .env_clear()
            .envs(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the binary")?;
        child.stdin.take().context("stdin")?.write_all(provider.request(&image).as_bytes())?;
        let output = child.wait_with_output()?;
        Ok(Outcome {
            registry: registry.to_owned(),
            provider,
            environment: self.0.clone(),
            elapsed: started.elapsed(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn provider_for(image: &str) -> Result<Provider> {
    let config = CredentialProviderConfig::parse(SHIPPED_CONFIG)?;
    let (provider, _) = config.provider_for(image).context("the shipped configuration does not match")?;
    Ok(provider.clone())
}

/// What a run did.
pub(crate) struct Outcome {
    registry: String,
    provider: Provider,
    environment: BTreeMap<String, String>,
    elapsed: Duration,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// It was over by then.
    pub(crate) fn within(self, limit: Duration) -> Result<Self> {
        ensure!(self.elapsed < limit, "it took more than {limit:?}: {self}");
        Ok(self)
    }

    /// It answered with a password that `aws` has issued, and had nothing else to say.
    pub(crate) fn answered(&self, aws: &Aws) -> Result<()> {
        ensure!(self.code == Some(0) && self.stderr.is_empty(), "it failed: {self}");
        let response = self.provider.decode(self.stdout.as_bytes())?;
        let auth = response.auth.with_context(|| format!("no password: {self}"))?;
        let password = auth.get(&self.registry).with_context(|| format!("for another host: {self}"))?;
        ensure!(aws.accepts_password(&password.password), "AWS does not know the password: {self}");
        Ok(())
    }

    /// It failed with this line, in which `…` stands for anything, and wrote nothing else.
    pub(crate) fn failed(&self, line: &str) -> Result<()> {
        ensure!(self.code == Some(1) && self.stdout.is_empty(), "it did not fail: {self}");
        ensure!(!self.stderr.contains('\n'), "more than one line: {self}");
        ensure!(matches(line, &self.stderr), "expected: {line}\n{self}");
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { environment, elapsed, code, stdout, stderr, .. } = self;
        write!(f, "exit code {code:?} after {elapsed:?}\nenvironment: {environment:#?}\n")?;
        write!(f, "stdout: {stdout}\nstderr: {stderr}")
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|text| {
            let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.any(|at| matches(rest, &text[at..]))
        }),
    }
}
