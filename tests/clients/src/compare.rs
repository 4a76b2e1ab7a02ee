//! The real amazon-ecr-credential-helper and our binary, with the same input and the same AWS.
//!
//! Where they differ, `packaging/doc/docker.md` says so and why; its table is the one that is made here.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stand_in::aws::{ACCESS_KEY_ID, Fault, SECRET_ACCESS_KEY, StatusCode};
use stand_in::process::read;
use stand_in::vendor::REGISTRY;

use crate::world::{Clients, text};

/// `HOST` in an input stands for the vendor's registry.
const SAME: &[(&str, &str)] = &[
    ("get", "HOST"),
    ("get", "https://HOST"),
    ("get", "https://HOST/"),
    ("get", "https://HOST/v1/"),
    ("get", "https://HOST/v2/"),
    ("get", "HOST:443"),
    ("get", "https://HOST:443/v2/"),
    ("get", "HOST/team/app"),
    ("get", "HOST/team/app:1"),
    ("get", " HOST \n"),
    ("get", "HOST\r\n"),
    ("get", "https://\nHOST\n"),
    ("get", "HOST?a=b&c=<d>"),
    ("get", "HOST#fragment"),
    ("get", "571600876202.dkr.ecr-fips.us-east-1.amazonaws.com"),
    ("get", "571600876202.dkr-ecr.eu-central-1.on.aws"),
    ("get", "571600876202.dkr-ecr-fips.us-east-1.on.aws"),
    ("get", "571600876202.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ("get", "571600876202.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"),
    ("get", "571600876202.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ("get", "571600876202.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
    ("get", "571600876202.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
    ("get", "571600876202.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
    ("get", "571600876202.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"),
    ("get", "571600876202.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
    ("get", "public.ecr.aws"),
    ("get", "https://public.ecr.aws/v2/"),
    ("get", "ecr-public.aws.com"),
    ("get", "http://HOST"),
    ("get", "HTTPS://HOST"),
    ("get", "HOST:port"),
    ("get", "HOST."),
    ("get", "HOST.evil.example"),
    ("get", "evil.HOST"),
    ("get", "evil.example/HOST"),
    ("get", "evil.example/?HOST"),
    ("get", "HOST\\@evil.example"),
    ("get", "57160087620.dkr.ecr.eu-central-1.amazonaws.com"),
    ("get", "571600876202.dkr.ecr.eu_central_1.amazonaws.com"),
    ("get", "api.ecr.eu-central-1.amazonaws.com"),
    ("get", "x.public.ecr.aws"),
    ("get", "ghcr.io"),
    ("get", "https://index.docker.io/v1/"),
    ("get", "registry.corp.example:5000"),
    ("get", "localhost:5000"),
    ("get", "[::1]:5000"),
    ("get", "%"),
    ("get", "a b"),
    ("get", ""),
    ("get", "\n\n"),
    ("erase", ""),
    ("store", "{}"),
    ("store", "{\"ServerURL\":\"HOST\"}"),
    ("list", ""),
];

/// Verb, input, and why they differ.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("get", "571600876202.DKR.ECR.EU-CENTRAL-1.AMAZONAWS.COM", "DNS does not distinguish case"),
    ("get", "PUBLIC.ECR.AWS", "likewise"),
    ("get", "AWS@HOST", "no client sends a user; what does may be after something else"),
    ("get", "HOST:", "not a server that a client can reach"),
    ("get", "HOST:0", "likewise"),
    ("get", "HOST:99999", "likewise"),
    ("get", "HOST/%zz", "the path does not matter"),
    (
        "get",
        "571600876202.dkr-ecr.eu-central-1.amazonaws.com",
        "no name of ECR; stderr says what is wrong with it",
    ),
    ("get", "571600876202.dkr.ecr.eu-central-1.on.aws", "likewise"),
    ("get", "571600876202.dkr.ecr.cn-north-1.amazonaws.com", "likewise"),
    ("get", "571600876202.dkr.ecr.nowhere.amazonaws.com", "likewise"),
    (
        "store",
        "{\"ServerURL\":\"HOST\",\"Username\":\"AWS\",\"Secret\":\"s\"}",
        "`docker login` does not fail",
    ),
    ("store", "{\"ServerURL\":\"ghcr.io\",\"Username\":\"u\",\"Secret\":\"s\"}", "says what to do"),
    ("store", "x", "says what it is about"),
    ("erase", "HOST", "`docker logout` does not fail"),
    ("erase", "ghcr.io", "the sentence that clients know"),
    ("version", "", "another program"),
    ("bogus", "", "says what there is"),
];

/// How the table in the page is found.
const MARKER: &str = "<!-- tests/clients/src/compare.rs -->\n";

pub(crate) fn comparison(world: &mut Clients) -> Result<()> {
    for (verb, input) in SAME {
        let [theirs, ours] = both(world, verb, input)?;
        ensure!(theirs == ours, "`{verb}` of `{input}`: the reference said {theirs:?}, we say {ours:?}");
    }
    let mut table =
        String::from("| verb and input | amazon-ecr-credential-helper | this | why |\n|---|---|---|---|\n");
    for (verb, input, why) in DIFFERENT {
        let [theirs, ours] = both(world, verb, input)?;
        ensure!(theirs != ours, "`{verb}` of `{input}`: there is no difference any more: {ours:?}");
        let call = format!("{verb} {input}");
        let _ = writeln!(table, "| `{}` | {} | {} | {why} |", call.trim(), theirs.words(), ours.words());
    }
    world.aws.behave(|aws| {
        aws.fault = Some(Fault::Error(StatusCode::BAD_REQUEST, "AccessDeniedException", "no".to_owned()));
    });
    let [theirs, ours] = both(world, "get", "HOST")?;
    ensure!(theirs.words() == "`credentials not found in native keychain`", "{theirs:?}");
    ensure!(ours.words() == "`ECRP401 AWS denies access: …`", "{ours:?}");
    let page = read(&world.places.repository.join("packaging/doc/docker.md"));
    let shown = page.split_once(MARKER).and_then(|(_, rest)| rest.split_once("\n\n")).map(|(table, _)| table);
    let shown = shown.context("the page has no table of differences")?;
    ensure!(shown.trim_end() == table.trim_end(), "the table of the page should be\n{table}");
    Ok(())
}

/// What a helper did.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    /// With a word in the place of a password, as each has another.
    stdout: String,
}

impl Said {
    /// For the table.
    fn words(&self) -> String {
        let line = self.stdout.trim();
        // Code and title, which do not change.
        match line.split_once(": ").filter(|_| line.starts_with("ECRP")) {
            _ if self.stdout.starts_with("{\"ServerURL\"") => "a password".into(),
            _ if line.is_empty() => format!("exit status {}", self.code.unwrap_or_default()),
            Some((title, _)) => format!("`{title}: …`"),
            None => format!("`{line}`"),
        }
    }
}

/// The reference's words and ours.
fn both(world: &Clients, verb: &str, input: &str) -> Result<[Said; 2]> {
    let ours = world.places.work.join("bin/docker-credential-ecr-login");
    Ok([say(&world.places.tools.join("reference"), verb, input)?, say(&ours, verb, input)?])
}

fn say(program: &Path, verb: &str, input: &str) -> Result<Said> {
    // Whatever the region: all of AWS is here.
    let aws = "https://api.ecr.eu-central-1.amazonaws.com";
    let mut child = Command::new(program)
        .arg(verb)
        .env_clear()
        .envs([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ECR_DISABLE_CACHE", "true"),
            ("AWS_ENDPOINT_URL_ECR", aws),
            ("AWS_ENDPOINT_URL_ECR_PUBLIC", aws),
            ("AWS_REGION", "eu-central-1"),
            ("ECR_CREDENTIAL_PROVIDER_CACHE", "off"),
            ("ECR_CREDENTIAL_PROVIDER_CONFIG", "/dev/null"),
            ("HOME", "/root"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("running {}", program.display()))?;
    // One that does not read has ended.
    let _ = child.stdin.take().context("a pipe")?.write_all(input.replace("HOST", REGISTRY).as_bytes());
    let output = child.wait_with_output()?;
    let stdout = text(&output.stdout);
    let secret = serde_json::from_str::<Value>(&stdout)
        .ok()
        .and_then(|json| Some(json["Secret"].as_str()?.to_owned()));
    let stdout = secret.map_or(stdout.clone(), |secret| stdout.replace(&secret, "PASSWORD"));
    Ok(Said { code: output.status.code(), stdout: stdout.replace(REGISTRY, "HOST") })
}
