//! `cargo demo`: the way of a pull, from the kubelet's question to the layer of an image, on this machine
//! alone and without an AWS account.
//!
//! The binary is the real one, in its release build, and its configuration is the shipped one. AWS and the
//! registry are stand-ins on loopback.

#![expect(clippy::print_stdout, reason = "the output is the demonstration")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hyper::Response;
use hyper::body::Bytes;
use serde_json::Value;
use stand_in::aws::{ACCESS_KEY_ID, Aws, Fault, SECRET_ACCESS_KEY};
use stand_in::http;
use stand_in::kubelet::CredentialProviderConfig;
use stand_in::registry::{Registry, digest, pull};

const CONFIG: &str = "node-config/credential-provider-config.yaml";
const CONFIG_TEXT: &str = include_str!("../../../../node-config/credential-provider-config.yaml");
const HOST: &str = "571600876202.dkr.ecr.eu-central-1.amazonaws.com";
const REPOSITORY: &str = "softwareimprovementgroup/sigrid-api";
const TAG: &str = "1.0.20250603";

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let binary = build(&root)?;
    let aws = Aws::start();
    let registry = Registry::start(&aws);
    let scratch = tempfile::tempdir()?;
    let key_file = scratch.path().join("credentials");
    std::fs::write(
        &key_file,
        format!(
            "[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
        ),
    )?;

    println!("Stand-ins on loopback");
    println!("  ECR API    {}", aws.url());
    println!("  registry   http://{}, answers as {HOST}", registry.address());
    println!("  AWS key    {}\n", key_file.display());

    let config = CredentialProviderConfig::parse(CONFIG_TEXT)?;
    let image = format!("{HOST}/{REPOSITORY}");
    let (provider, pattern) = config.provider_for(&image).context("no pattern matches the image")?;
    let mut provider = provider.clone();
    for variable in &mut provider.env {
        if variable.name == "AWS_SHARED_CREDENTIALS_FILE" {
            variable.value = key_file.display().to_string();
        }
    }
    println!("The kubelet is to pull {image}:{TAG}");
    println!("  {CONFIG}: pattern {pattern} picks provider {}", provider.name);
    println!("  request    {}", provider.request(&image));

    let started = time();
    let bin_dir = binary.parent().context("the binary has a folder")?;
    let kubelet_environment = [
        ("AWS_ENDPOINT_URL_ECR", aws.url()),
        ("ECR_CREDENTIAL_PROVIDER_IMDS", "disabled".to_owned()),
        ("ECR_CREDENTIAL_PROVIDER_CACHE_DIR", scratch.path().join("cache").display().to_string()),
    ];
    let kubelet_environment = kubelet_environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = provider.ask(bin_dir, &image, &kubelet_environment)?;
    let milliseconds = started.elapsed().as_millis();
    let auth =
        answer.auth.as_ref().and_then(|auth| auth.get(HOST)).context("no password for the registry")?;
    println!("  response   {}", shortened(&answer.json, &auth.password));
    println!("             after {milliseconds} ms\n");

    let manifest = format!("/v2/{REPOSITORY}/manifests/{TAG}");
    let password = Some((auth.username.as_str(), auth.password.as_str()));
    println!("The container runtime pulls");
    let refused = get("without a password", &registry, &manifest, None)?;
    ensure!(refused.status() == 401, "the registry let a stranger in");
    let found = get("with that password", &registry, &manifest, password)?;
    let layer = layer_of(found.body())?;
    let pulled = get("with that password", &registry, &format!("/v2/{REPOSITORY}/blobs/{layer}"), password)?;
    ensure!(
        pulled.status() == 200 && digest(pulled.body()) == layer,
        "the layer is not what the manifest says"
    );
    println!("  the layer's digest is the one in the manifest\n");

    println!("AWS goes away, and the kubelet is to pull another image");
    aws.behave(|aws| aws.fault = Some(Fault::Reset));
    let started = time();
    let answer =
        provider.ask(bin_dir, &format!("{HOST}/softwareimprovementgroup/auth-api"), &kubelet_environment)?;
    let milliseconds = started.elapsed().as_millis();
    let cached = answer.auth.as_ref().and_then(|auth| auth.get(HOST)).context("no password in the outage")?;
    ensure!(cached.password == auth.password, "that is another password");
    println!("  response   the same password, from the node's cache, after {milliseconds} ms\n");

    let calls = aws.seen();
    ensure!(calls.len() == 1, "AWS was called {} times", calls.len());
    println!(
        "AWS saw one call: {}, signed for {} by {}",
        calls[0].operation, calls[0].region, calls[0].access_key_id
    );
    Ok(())
}

fn build(root: &Path) -> Result<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--bin",
            "ecr-credential-provider",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the build failed");
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let binary =
        messages.filter_map(Result::ok).find_map(|message| message["executable"].as_str().map(PathBuf::from));
    binary.context("cargo did not say where the binary is")
}

/// A page of text that nobody needs to see, and nobody should.
fn shortened(json: &str, password: &str) -> String {
    json.replace(password, &format!("{}… ({} characters)", &password[..12], password.len()))
}

fn get(
    how: &str,
    registry: &Registry,
    path: &str,
    password: Option<(&str, &str)>,
) -> Result<Response<Bytes>> {
    let response = http::send(registry.address(), pull(path, HOST, password))?;
    let short = path.replace(REPOSITORY, "…");
    let short = if short.len() > 48 { format!("{}…", &short[..48]) } else { short };
    println!("  {how}   {} GET {short}", response.status().as_u16());
    Ok(response)
}

fn layer_of(manifest: &[u8]) -> Result<String> {
    let manifest: Value = serde_json::from_slice(manifest)?;
    let digest = manifest["layers"][0]["digest"].as_str().context("a manifest with a layer")?;
    Ok(digest.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "to show how long an answer took")]
fn time() -> Instant {
    Instant::now()
}
